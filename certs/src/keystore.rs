//! Software keys: PKCS#8 in memory, in plain PEM files (nodes, organisations) or under a passphrase (people, officers,
//! authorities).
//!
//! A plain file is PKCS#8 in PEM (RFC 5208, RFC 7468), so that other tools and tokens take it as it is. It protects nothing
//! beyond its mode. The other form is in `protected`.

mod protected;
mod software;

pub use protected::{KDF, KdfCost, Passphrase};
pub use software::{Algorithm, SoftwareKey};

use std::path::{Path, PathBuf};

use careweave_protocol::cbor::CborError;
use careweave_protocol::key::PublicKey;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::private_file::{self, PrivateFileError};

/// Why a key was not made, read or written.
#[derive(Debug, Error)]
pub enum KeyStoreError {
    /// The file is missing, open to others, too long.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// Not a key file.
    #[error("{0} is not a key file")]
    NotAKey(PathBuf),
    /// A protected file is malformed.
    #[error("malformed key file")]
    Malformed(#[from] CborError),
    /// The key inside is for another algorithm, or damaged.
    #[error("not an Ed25519 or P-256 private key")]
    Unsupported,
    /// The passphrase does not open the file, or the file was altered.
    #[error("wrong passphrase")]
    WrongPassphrase,
    /// The file is under a passphrase and none was given.
    #[error("{0} is under a passphrase")]
    PassphraseNeeded(PathBuf),
    /// Too short to protect anything.
    #[error("a passphrase has at least {0} characters")]
    PassphraseTooShort(usize),
    /// The file asks for less work than [`KDF`], or for more than this program is willing to spend.
    #[error("the key file's passphrase hashing ({memory_kib} KiB, {passes} passes) is outside what is accepted")]
    KdfCost {
        /// Memory the file asks for.
        memory_kib: u32,
        /// Passes the file asks for.
        passes: u32,
    },
    /// No randomness, or no memory for the passphrase hash.
    #[error("the key could not be made")]
    Crypto,
}

/// Longest key file: a protected P-256 key is under 600 bytes.
const KEY_FILE_MAX: usize = 8 * 1024;

impl SoftwareKey {
    /// Writes the key as PKCS#8 in PEM to a new file with mode 0600.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn write_plain(&self, path: &Path) -> Result<(), KeyStoreError> {
        Ok(private_file::create(path, self.to_pem().as_bytes())?)
    }

    /// Writes the key under a passphrase to a new file with mode 0600.
    ///
    /// # Errors
    /// When the passphrase is too short, or the file exists or cannot be written.
    pub fn write_protected(
        &self,
        path: &Path,
        passphrase: &Passphrase,
        random: &dyn ring::rand::SecureRandom,
    ) -> Result<(), KeyStoreError> {
        Ok(private_file::create(path, &protected::seal(self, passphrase, random)?)?)
    }

    /// Reads a plain key file.
    ///
    /// # Errors
    /// When others can read it, it is under a passphrase, or it holds no key.
    pub fn read_plain(path: &Path) -> Result<Self, KeyStoreError> {
        let bytes = private_file::read(path, KEY_FILE_MAX)?;
        if protected::header(&bytes).is_ok() {
            return Err(KeyStoreError::PassphraseNeeded(path.to_owned()));
        }
        Self::from_pem(&bytes).map_err(|_| KeyStoreError::NotAKey(path.to_owned()))
    }

    /// Reads a key file under a passphrase. Takes up to 300 ms in a release build, by design.
    ///
    /// # Errors
    /// When others can read it, the passphrase is wrong, or it holds no protected key.
    pub fn read_protected(path: &Path, passphrase: &Passphrase) -> Result<Self, KeyStoreError> {
        let bytes = private_file::read(path, KEY_FILE_MAX)?;
        if protected::header(&bytes).is_err() {
            return Err(KeyStoreError::NotAKey(path.to_owned()));
        }
        protected::open(&bytes, passphrase)
    }
}

/// The public key of a key file, without its passphrase.
///
/// # Errors
/// When others can read the file, or it holds no key.
pub fn public_key_of(path: &Path) -> Result<PublicKey, KeyStoreError> {
    let bytes: Zeroizing<Vec<u8>> = private_file::read(path, KEY_FILE_MAX)?;
    match protected::header(&bytes) {
        Ok(public_key) => Ok(public_key),
        Err(_) => SoftwareKey::from_pem(&bytes)
            .map(|key| careweave_protocol::key::Signer::public_key(&key))
            .map_err(|_| KeyStoreError::NotAKey(path.to_owned())),
    }
}

#[cfg(test)]
pub(crate) mod tests;
