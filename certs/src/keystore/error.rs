//! Why a key was not made, read, used or destroyed, by who has to do something about it.

use std::fmt;
use std::path::PathBuf;

use careweave_protocol::cbor::CborError;
use thiserror::Error;

use super::token::TokenUriError;
use crate::private_file::PrivateFileError;

/// Why a key was not made, read, written or destroyed.
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
    /// The file asks for less work than [`super::KDF`], or for more than this program is willing to spend.
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
    /// The key is in a token, and what asked for it needs one in a file.
    #[error("{0} refers to a key in a token, and here only a key in a file will do")]
    InToken(PathBuf),
    /// The address of a token key is malformed.
    #[error("the address of the token key: {0}")]
    TokenUri(#[from] TokenUriError),
    /// A reference file has an address and no public key, or something else in its second line.
    #[error("{0} refers to a token key without that key's public half in its second line")]
    NoPublicKey(PathBuf),
    /// The library of the token is missing, of another architecture, not PKCS#11, or does not start.
    #[error("the PKCS#11 module {} cannot be used: {answer}", module.display())]
    Module {
        /// Its path, as the address has it.
        module: PathBuf,
        /// What the loader or the module said.
        answer: TokenAnswer,
    },
    /// More libraries than one process has a use for.
    #[error("one process uses at most {0} PKCS#11 modules")]
    TooManyModules(usize),
    /// No slot holds a token of this label.
    #[error("the PKCS#11 module sees no token labelled {token}")]
    NoSuchToken {
        /// Label asked for.
        token: String,
    },
    /// Several slots hold tokens of this label, and guessing between them is not safe.
    #[error("the PKCS#11 module sees {found} tokens labelled {token}")]
    SeveralTokens {
        /// Label asked for.
        token: String,
        /// How many have it.
        found: usize,
    },
    /// The token wants its user PIN and none was given.
    #[error("the token {token} needs its user PIN")]
    PinNeeded {
        /// Label of the token.
        token: String,
    },
    /// The file that `pin-source` names holds no text.
    #[error("{0} does not hold a PIN")]
    PinFile(PathBuf),
    /// The PIN is not the user PIN of the token.
    #[error("wrong PIN for the token {token}")]
    WrongPin {
        /// Label of the token.
        token: String,
    },
    /// Too many wrong PINs: the token accepts none any more.
    #[error("the user PIN of the token {token} is locked")]
    PinLocked {
        /// Label of the token.
        token: String,
    },
    /// The token has no such key.
    #[error("the token {token} has no {class} labelled {object}")]
    NoSuchObject {
        /// Label of the token.
        token: String,
        /// Label of the object.
        object: String,
        /// `private key` or `public key`.
        class: &'static str,
    },
    /// The address fits several keys of the token.
    #[error("the token {token} has {found} {class}s labelled {object}")]
    SeveralObjects {
        /// Label of the token.
        token: String,
        /// Label of the objects.
        object: String,
        /// `private key` or `public key`.
        class: &'static str,
        /// How many.
        found: usize,
    },
    /// A new key would have the label of one that is there.
    #[error("the token {token} has a {class} labelled {object} already")]
    ObjectExists {
        /// Label of the token.
        token: String,
        /// Label of the object.
        object: String,
        /// `private key` or `public key`.
        class: &'static str,
    },
    /// The token's key is not the one whose public half the reference file names.
    #[error("the key {object} of the token {token} is another than the one the key file refers to")]
    OtherKey {
        /// Label of the token.
        token: String,
        /// Label of the object.
        object: String,
    },
    /// The token's key is not on P-256: the only algorithm of organisations, officers and authorities.
    #[error("the key {object} of the token {token} is not a P-256 key")]
    NotP256 {
        /// Label of the token.
        token: String,
        /// Label of the object.
        object: String,
    },
    /// The token says no, for a reason of its own.
    #[error("the token {token} refused: {answer}")]
    TokenRefused {
        /// Label of the token.
        token: String,
        /// The function called, and what it returned.
        answer: TokenAnswer,
    },
}

impl KeyStoreError {
    /// What whoever sees the error can do about it, where the message alone does not say.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotAKey(_) | Self::Malformed(_) | Self::Unsupported => {
                "take the key file from the copy you keep; what is lost is replaced by a rotation"
            }
            Self::PassphraseNeeded(_) => {
                "a program that runs unattended asks nobody: its key is in a plain file with mode 0600, or in a token"
            }
            Self::Crypto => "this machine gives no randomness, or has no memory left for the passphrase; try again",
            Self::WrongPassphrase => "try again; nothing was changed",
            Self::PassphraseTooShort(_) => "choose a longer one",
            Self::KdfCost { .. } => "do not use this file: somebody may have altered it; take the copy you keep",
            Self::InToken(_) => "name a key file that holds the key itself: nodes and people have theirs in a file",
            Self::TokenUri(TokenUriError::PinValue) => {
                "write the PIN to a file of its own with mode 0600 and name it: pin-source=file:/PATH, or type the PIN when asked"
            }
            Self::TokenUri(_) => {
                "an address reads pkcs11:token=LABEL;object=LABEL?module-path=/PATH/TO/LIBRARY.so (RFC 7512)"
            }
            Self::NoPublicKey(_) => {
                "add the SubjectPublicKeyInfo of the key as base64 in one line, as `pkcs11-tool --read-object --type pubkey` gives it"
            }
            Self::Module { .. } => {
                "check module-path: the library that came with the token, for this processor, readable by this account; and the library's own configuration: SoftHSM's is the file in SOFTHSM2_CONF, and the directory that it names has to be there"
            }
            Self::TooManyModules(_) => "use one module path for all keys of one make of token",
            Self::NoSuchToken { .. } => {
                "plug the token in, or check its label with `pkcs11-tool --module PATH --list-slots`; SoftHSM looks where SOFTHSM2_CONF says"
            }
            Self::SeveralTokens { .. } => "give the tokens labels of their own, or unplug all but one",
            Self::PinNeeded { .. } => {
                "type the PIN when asked, or name a file that holds it with pin-source=file:/PATH"
            }
            Self::PinFile(_) => "put the PIN into it as one line of text, with mode 0600",
            Self::WrongPin { .. } => {
                "check the PIN before the next attempt: a token locks itself after a few wrong ones; nothing was changed"
            }
            Self::PinLocked { .. } => "the token's security officer sets a new user PIN",
            Self::NoSuchObject { .. } => {
                "check the label and id with `pkcs11-tool --login --list-objects`; a private key shows only after login"
            }
            Self::SeveralObjects { .. } => "add the id of the one you mean to the address: id=%01%02",
            Self::ObjectExists { .. } => "choose another label, or destroy the old key first",
            Self::OtherKey { .. } => {
                "do not use it before you know who replaced it: the organisation's pinned key is the one in the file"
            }
            Self::NotP256 { .. } => "make a P-256 key (secp256r1) for this",
            Self::TokenRefused { .. } => "the manual of the token explains its answer",
            Self::File(_) => return None,
        })
    }
}

/// What a PKCS#11 module or the loader answered: the function and its return value, never what was sent.
#[derive(Debug)]
pub struct TokenAnswer(pub(super) cryptoki::error::Error);

impl fmt::Display for TokenAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use cryptoki::error::Error as Answer;
        match &self.0 {
            // The crate's own text is the paragraph of the specification; the name is what people search for.
            Answer::Pkcs11(value, function) => write!(f, "C_{function:?}: {value:?}"),
            Answer::LibraryLoading(error) => error.fmt(f),
            other => other.fmt(f),
        }
    }
}
