//! A key file of any form, read but not opened.

use std::path::Path;

use careweave_protocol::key::{PublicKey, Signer};
use zeroize::Zeroizing;

use super::token::Reference;
use super::{KEY_FILE_MAX, KeyStoreError, SoftwareKey, protected};
use crate::private_file;

/// What a key file holds, without opening the key: so that a caller knows whether to ask for a passphrase or PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// PKCS#8 in PEM: no secret.
    Plain,
    /// Under a passphrase.
    Protected,
    /// A reference to a key in a token.
    Token {
        /// Whether the reference leaves the user PIN to whoever reads it. For a token with a PIN pad of its own an empty PIN
        /// is then the right answer.
        pin_needed: bool,
    },
}

/// The contents, by form.
pub(super) enum KeyFile {
    Plain(SoftwareKey),
    Protected { public: PublicKey, bytes: Zeroizing<Vec<u8>> },
    Token(Reference),
}

impl KeyFile {
    pub(super) fn read(path: &Path) -> Result<Self, KeyStoreError> {
        let bytes = private_file::read(path, KEY_FILE_MAX)?;
        if Reference::begins(&bytes) {
            return Reference::parse(&bytes, path).map(Self::Token);
        }
        match protected::header(&bytes) {
            Ok(public) => Ok(Self::Protected { public, bytes }),
            Err(_) => {
                SoftwareKey::from_pem(&bytes).map(Self::Plain).map_err(|_| KeyStoreError::NotAKey(path.to_owned()))
            }
        }
    }

    fn form(&self) -> KeyForm {
        match self {
            Self::Plain(_) => KeyForm::Plain,
            Self::Protected { .. } => KeyForm::Protected,
            Self::Token(reference) => KeyForm::Token { pin_needed: reference.uri.pin_needed() },
        }
    }

    fn into_public_key(self) -> PublicKey {
        match self {
            Self::Plain(key) => key.public_key(),
            Self::Protected { public, .. } => public,
            Self::Token(reference) => reference.public,
        }
    }
}

/// What a key file holds.
///
/// # Errors
/// When others can read it, or it is not a key file.
pub fn form_of(path: &Path) -> Result<KeyForm, KeyStoreError> {
    Ok(KeyFile::read(path)?.form())
}

/// The public key of a key file, without its passphrase, PIN or token.
///
/// # Errors
/// When others can read the file, or it holds no key.
pub fn public_key_of(path: &Path) -> Result<PublicKey, KeyStoreError> {
    Ok(KeyFile::read(path)?.into_public_key())
}
