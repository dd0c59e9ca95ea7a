//! Private keys: PKCS#8 in plain PEM files (nodes, organisations), under a passphrase (people, officers, authorities), or in a
//! PKCS#11 token, with a file that refers to it.
//!
//! A plain file is PKCS#8 in PEM (RFC 5208, RFC 7468), so that other tools and tokens take it as it is. It protects nothing
//! beyond its mode. The form under a passphrase is in `protected`, that of a token in `token`. [`PrivateKey::read`] reads all
//! three; whatever may be a key of an organisation, an officer or an authority goes through it.

mod error;
mod file;
mod private;
mod protected;
mod software;
mod token;

pub use error::{KeyStoreError, TokenAnswer};
pub use file::{KeyForm, form_of, public_key_of};
pub use private::{PrivateKey, destroy};
pub use protected::{KDF, KdfCost, Passphrase};
pub use software::{Algorithm, SoftwareKey};
pub use token::{TokenKey, TokenUri, TokenUriError, generate_in_token};

use std::path::Path;

use crate::private_file;
use file::KeyFile;

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
    /// When others can read it, it is under a passphrase or refers to a token, or it holds no key.
    pub fn read_plain(path: &Path) -> Result<Self, KeyStoreError> {
        match KeyFile::read(path)? {
            KeyFile::Plain(key) => Ok(key),
            KeyFile::Protected { .. } => Err(KeyStoreError::PassphraseNeeded(path.to_owned())),
            KeyFile::Token(_) => Err(KeyStoreError::InToken(path.to_owned())),
        }
    }

    /// Reads a key file under a passphrase. Takes up to 300 ms in a release build, by design.
    ///
    /// # Errors
    /// When others can read it, the passphrase is wrong, or it holds no protected key.
    pub fn read_protected(path: &Path, passphrase: &Passphrase) -> Result<Self, KeyStoreError> {
        match KeyFile::read(path)? {
            KeyFile::Plain(_) => Err(KeyStoreError::NotAKey(path.to_owned())),
            KeyFile::Protected { bytes, .. } => protected::open(&bytes, passphrase),
            KeyFile::Token(_) => Err(KeyStoreError::InToken(path.to_owned())),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
