//! The file that stands for a token key where a key file is expected.
//!
//! Two lines of text: the `pkcs11:` address (RFC 7512), and the `SubjectPublicKeyInfo` of the key as base64, so that the public
//! key is known without the token and a token with another key under the same label is noticed. The file holds no secret, but
//! it is private all the same: its `module-path` names a library that is loaded into the process that reads it.

use std::path::Path;

use careweave_protocol::key::PublicKey;
use data_encoding::BASE64;

use super::uri::{SCHEME, TokenUri, TokenUriError};
use crate::keystore::KeyStoreError;
use crate::private_file;

/// A token key by its address and its public half.
pub(in crate::keystore) struct Reference {
    pub(in crate::keystore) uri: TokenUri,
    pub(in crate::keystore) public: PublicKey,
}

impl Reference {
    /// Whether these are the bytes of a reference, well formed or not.
    pub(in crate::keystore) fn begins(bytes: &[u8]) -> bool {
        bytes.get(..SCHEME.len()).is_some_and(|first| first.eq_ignore_ascii_case(SCHEME.as_bytes()))
    }

    pub(in crate::keystore) fn parse(bytes: &[u8], path: &Path) -> Result<Self, KeyStoreError> {
        let text = std::str::from_utf8(bytes).map_err(|_| TokenUriError::Encoding)?;
        let mut lines = text.lines();
        let uri = lines.next().unwrap_or_default().parse()?;
        let no_public_key = || KeyStoreError::NoPublicKey(path.to_owned());
        let (Some(line), None) = (lines.next(), lines.next()) else { return Err(no_public_key()) };
        let spki = BASE64.decode(line.as_bytes()).map_err(|_| no_public_key())?;
        let public = PublicKey::from_spki_der(&spki).map_err(|_| no_public_key())?;
        Ok(Self { uri, public })
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), KeyStoreError> {
        let text = format!("{}\n{}\n", self.uri, BASE64.encode(&self.public.spki_der()));
        Ok(private_file::create(path, text.as_bytes())?)
    }
}
