//! A P-256 key in a PKCS#11 token (OASIS PKCS#11 2.40): a hardware security module, a smart card, SoftHSM.
//!
//! The private key never leaves the token: this process sends a SHA-256 and gets a signature. Where a key file is expected
//! stands a file that refers to the key, see `reference`. P-256 only: the keys worth a token are those of
//! organisations, officers, registrars and authorities; Ed25519 keys of nodes and people sign all the time and stay in files.
//!
//! A key made with the maker's own tools serves as well, once somebody has written the two lines of the reference file. Keys
//! that want the PIN before each signature (CKA_ALWAYS_AUTHENTICATE) cannot sign here.

mod login;
mod module;
mod objects;
mod reference;
mod uri;

pub(super) use reference::Reference;
pub use uri::{TokenUri, TokenUriError};

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use careweave_protocol::key::{KeyError, PublicKey, Signer};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use ring::digest::{SHA256, digest};

use super::{KeyStoreError, Passphrase, PrivateKey};
use crate::private_file::PrivateFileError;
use login::{Login, Pin};
use objects::{Class, Objects, private_template, public_template};

/// A private key in a token, logged in. `Debug` shows the public key only.
pub struct TokenKey {
    login: Arc<Login>,
    reference: Reference,
}

/// Random bytes of a new CKA_ID: enough that no two keys of a token share one.
const ID_LEN: u32 = 16;

impl TokenKey {
    pub(super) fn open(reference: Reference, secret: Option<&Passphrase>) -> Result<Self, KeyStoreError> {
        let login = module::login(&reference.uri, &Pin::for_token(&reference.uri, secret)?)?;
        let key = Self { login, reference };
        key.check()?;
        Ok(key)
    }

    /// Whether both objects are there now, and are those that the reference names.
    pub(super) fn check(&self) -> Result<(), KeyStoreError> {
        self.login.with_session(|session| {
            self.own(session)?;
            self.objects().one(session, Class::Private).map(drop)
        })
    }

    /// The public object, checked to be the one that the reference names.
    fn own(&self, session: &Session) -> Result<ObjectHandle, KeyStoreError> {
        let objects = self.objects();
        let handle = objects.one(session, Class::Public)?;
        if objects.public_key(session, handle)? == self.reference.public {
            return Ok(handle);
        }
        let (token, object) = objects.names();
        Err(KeyStoreError::OtherKey { token, object })
    }

    fn objects(&self) -> Objects<'_> {
        Objects { login: &self.login, uri: &self.reference.uri }
    }
}

impl Signer for TokenKey {
    fn public_key(&self) -> PublicKey {
        self.reference.public.clone()
    }

    /// Waits for the token: milliseconds to tens of them, and one signature at a time on each token.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let hash = digest(&SHA256, message);
        let signature = self.login.with_session(|session| {
            // Looked up each time: a handle does not outlive the session that found it.
            let key = self.objects().one(session, Class::Private)?;
            session.sign(&Mechanism::Ecdsa, key, hash.as_ref()).map_err(|answer| self.login.refused(answer))
        });
        let signature = signature.map_err(|_| KeyError::CannotSign)?;
        // A token that was exchanged for another one with the same labels, or that fails, must not speak in this key's name.
        self.reference.public.verify(message, &signature).map_err(|_| KeyError::CannotSign)?;
        Ok(signature)
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TokenKey").field(&self.reference.public).finish()
    }
}

/// Makes a P-256 key pair in a token and the private file that refers to it.
///
/// The private key is a token object that is sensitive, not extractable and only signs; without an `id` in the address the token
/// draws one. The file is new, mode 0600, and cannot exist before; when it cannot be written, the pair is destroyed again.
///
/// # Errors
/// When the file exists, the token is not there or refuses the PIN, or it has an object of that label and class already.
pub fn generate_in_token(path: &Path, uri: &TokenUri, pin: Option<&Passphrase>) -> Result<PrivateKey, KeyStoreError> {
    if path.symlink_metadata().is_ok() {
        let source = io::Error::from(io::ErrorKind::AlreadyExists);
        return Err(PrivateFileError::Io { path: path.to_owned(), source }.into());
    }
    let login = module::login(uri, &Pin::for_token(uri, pin)?)?;
    let _calling = login.calling();
    let session = login.writing()?;
    let refused = |answer| login.refused(answer);
    let by_label = Objects { login: &login, uri };
    for class in [Class::Private, Class::Public] {
        if !by_label.labelled(&session, class)?.is_empty() {
            let (token, object) = by_label.names();
            return Err(KeyStoreError::ObjectExists { token, object, class: class.name() });
        }
    }
    let uri = uri.or_id(session.generate_random_vec(ID_LEN).map_err(refused)?);
    let (public_handle, private_handle) = session
        .generate_key_pair(&Mechanism::EccKeyPairGen, &public_template(&uri), &private_template(&uri))
        .map_err(refused)?;
    let written = Objects { login: &login, uri: &uri }.public_key(&session, public_handle).and_then(|public| {
        let reference = Reference { uri, public };
        reference.write(path)?;
        Ok(reference)
    });
    match written {
        Ok(reference) => Ok(PrivateKey::Token(TokenKey { login: Arc::clone(&login), reference })),
        Err(error) => {
            // A pair that no file refers to would only stand in the way of the next attempt; the first error is the one to tell.
            drop(session.destroy_object(private_handle));
            drop(session.destroy_object(public_handle));
            Err(error)
        }
    }
}

/// Destroys both objects of a token key; what an interrupted destruction left of them is enough to go on with.
pub(super) fn destroy(reference: &Reference, secret: Option<&Passphrase>) -> Result<(), KeyStoreError> {
    let uri = &reference.uri;
    let login = module::login(uri, &Pin::for_token(uri, secret)?)?;
    let _calling = login.calling();
    let session = login.writing()?;
    let objects = Objects { login: &login, uri };
    // The public object goes last: it is what shows that this is the key that was meant.
    let public = objects.one(&session, Class::Public)?;
    if objects.public_key(&session, public)? != reference.public {
        let (token, object) = objects.names();
        return Err(KeyStoreError::OtherKey { token, object });
    }
    let private = match objects.one(&session, Class::Private) {
        Ok(handle) => Some(handle),
        Err(KeyStoreError::NoSuchObject { .. }) => None,
        Err(error) => return Err(error),
    };
    for handle in private.into_iter().chain([public]) {
        session.destroy_object(handle).map_err(|answer| login.refused(answer))?;
    }
    for class in [Class::Private, Class::Public] {
        if !objects.all(&session, class)?.is_empty() {
            let (token, object) = objects.names();
            return Err(KeyStoreError::ObjectExists { token, object, class: class.name() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
