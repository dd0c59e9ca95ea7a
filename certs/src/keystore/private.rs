//! A private key wherever it is, and its end.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use careweave_protocol::key::{KeyError, PublicKey, Signer};
use zeroize::Zeroizing;

use super::file::KeyFile;
use super::token::{self, TokenKey};
use super::{KeyStoreError, Passphrase, SoftwareKey, protected};
use crate::private_file::PrivateFileError;

/// A private key wherever it is: in this process, or in a token. `Debug` shows the public key only.
pub enum PrivateKey {
    /// In this process, read from a file.
    Software(SoftwareKey),
    /// In a PKCS#11 token, which does the signing.
    Token(TokenKey),
}

impl PrivateKey {
    /// Reads a key file of any form: PKCS#8 in PEM (the secret is ignored), a key under a passphrase (the secret is the
    /// passphrase), or a reference to a token key. For the last the secret is the token's user PIN, unless the reference names a
    /// file for it with `pin-source`, which is then what counts; no PIN or an empty one is for tokens with a PIN pad.
    ///
    /// For a token this waits for hardware: tens of milliseconds, over a network more.
    ///
    /// # Errors
    /// When others can read the file, it needs a secret and none was given, the secret is wrong, it holds no key, or the token
    /// is not there, has no such key, or has another one than the file says.
    pub fn read(path: &Path, secret: Option<&Passphrase>) -> Result<Self, KeyStoreError> {
        match KeyFile::read(path)? {
            KeyFile::Plain(key) => Ok(Self::Software(key)),
            KeyFile::Protected { bytes, .. } => {
                let passphrase = secret.ok_or_else(|| KeyStoreError::PassphraseNeeded(path.to_owned()))?;
                protected::open(&bytes, passphrase).map(Self::Software)
            }
            KeyFile::Token(reference) => TokenKey::open(reference, secret).map(Self::Token),
        }
    }

    /// The seed of an Ed25519 key, for libp2p's key pair; `None` for P-256 and for keys in tokens.
    #[must_use]
    pub fn ed25519_seed(&self) -> Option<Zeroizing<[u8; 32]>> {
        match self {
            Self::Software(key) => key.ed25519_seed(),
            Self::Token(_) => None,
        }
    }

    /// The key itself, when it is in this process.
    #[must_use]
    pub fn into_software(self) -> Option<SoftwareKey> {
        match self {
            Self::Software(key) => Some(key),
            Self::Token(_) => None,
        }
    }

    /// Whether the key can be used now. [`Signer::sign`] does not say why it could not sign; this does. For a token it waits for
    /// hardware, as signing does.
    ///
    /// # Errors
    /// When the token is not there, refuses the PIN, or has no such key or another one.
    pub fn check(&self) -> Result<(), KeyStoreError> {
        match self {
            Self::Software(_) => Ok(()),
            Self::Token(key) => key.check(),
        }
    }

    fn signer(&self) -> &dyn Signer {
        match self {
            Self::Software(key) => key,
            Self::Token(key) => key,
        }
    }
}

impl Signer for PrivateKey {
    fn public_key(&self) -> PublicKey {
        self.signer().public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.signer().sign(message)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Software(key) => key.fmt(f),
            Self::Token(key) => key.fmt(f),
        }
    }
}

/// Destroys a private key.
///
/// A key file is overwritten with zeros, synced and removed; no secret is asked for, because whoever may write the file can do
/// the same without this program. On a magnetic disk with a file system that writes in place, that is the end of it. A
/// solid-state disk writes the zeros elsewhere and keeps the old block until it erases it; a file system that copies on write,
/// a snapshot or a backup keeps the old file whole. There, what protects a destroyed key is encryption of the disk and the
/// passphrase of the file, and a key that must be gone for certain belongs in a token.
///
/// Of a key in a token, which needs its PIN, the private and then the public object are destroyed, the token is asked whether
/// they are gone, and the reference file is removed. An interrupted destruction can be repeated.
///
/// # Errors
/// When it is not a key file, the token does not let go of the key or has no such key, or the file cannot be written or removed.
pub fn destroy(path: &Path, secret: Option<&Passphrase>) -> Result<(), KeyStoreError> {
    if let KeyFile::Token(reference) = KeyFile::read(path)? {
        token::destroy(&reference, secret)?;
    }
    overwrite(path)
        .and_then(|()| fs::remove_file(path))
        .and_then(|()| sync_directory(path))
        .map_err(|source| PrivateFileError::Io { path: path.to_owned(), source }.into())
}

fn overwrite(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    file.write_all(&vec![0u8; length])?;
    file.sync_all()
}

fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}
