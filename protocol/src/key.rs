//! Public keys and the two signature algorithms: ES256 for organisations and governance, EdDSA for nodes and people.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::id::{Digest, NodeKey};

/// A public key that signs statements of this protocol.
///
/// On the wire: one byte of algorithm (1 EdDSA, 2 ES256) and the raw key (32 bytes; 65 bytes, uncompressed point).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PublicKey {
    /// Ed25519 (RFC 8032), COSE algorithm EdDSA (-8).
    Ed25519([u8; 32]),
    /// ECDSA on P-256 with SHA-256 (FIPS 186-5), COSE algorithm ES256 (-7); SEC 1 uncompressed point.
    P256([u8; 65]),
}

/// Why a key or signature was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The bytes are no public key of a known algorithm.
    #[error("not a public key of a supported algorithm (Ed25519 or P-256)")]
    Unsupported,
    /// The signature does not verify under this key.
    #[error("signature does not verify")]
    BadSignature,
    /// The key, token or device could not sign.
    #[error("the key could not sign")]
    CannotSign,
}

/// Whatever holds a private key: a file, a token. Implemented in `careweave-certs`.
pub trait Signer: Send + Sync {
    /// The key that verifies what [`Signer::sign`] makes.
    fn public_key(&self) -> PublicKey;

    /// Signs the bytes: 64 bytes, fixed length for both algorithms (RFC 9053 §2).
    ///
    /// # Errors
    /// When the key cannot be used (a token that is gone, no randomness).
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError>;
}

/// DER of `SubjectPublicKeyInfo` up to the key itself (RFC 8410, RFC 5480): both algorithms have one fixed prefix.
const SPKI_ED25519: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const SPKI_P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

impl PublicKey {
    /// Verifies a 64-byte signature over the message.
    ///
    /// # Errors
    /// [`KeyError::BadSignature`].
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};
        let outcome = match self {
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
            Self::P256(key) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(message, signature),
        };
        outcome.map_err(|_| KeyError::BadSignature)
    }

    /// The key as `SubjectPublicKeyInfo` in DER.
    #[must_use]
    pub fn spki_der(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => [SPKI_ED25519.as_slice(), key.as_slice()].concat(),
            Self::P256(key) => [SPKI_P256.as_slice(), key.as_slice()].concat(),
        }
    }

    /// Reads `SubjectPublicKeyInfo` in DER.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`] for any other algorithm, curve or point form.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        if let Some(key) = der.strip_prefix(SPKI_ED25519.as_slice()) {
            return key.try_into().map(Self::Ed25519).map_err(|_| KeyError::Unsupported);
        }
        match der.strip_prefix(SPKI_P256.as_slice()) {
            Some(point) if point.first() == Some(&4) => {
                point.try_into().map(Self::P256).map_err(|_| KeyError::Unsupported)
            }
            _ => Err(KeyError::Unsupported),
        }
    }

    /// SHA-256 of the `SubjectPublicKeyInfo`: what the manifest pins (RFC 7469 §2.4 uses the same hash).
    #[must_use]
    pub fn spki_hash(&self) -> Digest {
        Digest::of(&[&self.spki_der()])
    }

    /// The key as a node key, when it is Ed25519.
    #[must_use]
    pub fn node_key(&self) -> Option<NodeKey> {
        match self {
            Self::Ed25519(key) => Some(NodeKey(*key)),
            Self::P256(_) => None,
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => [[1u8].as_slice(), key.as_slice()].concat(),
            Self::P256(key) => [[2u8].as_slice(), key.as_slice()].concat(),
        }
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        match bytes.split_first() {
            Some((1, key)) => key.try_into().map(Self::Ed25519).map_err(|_| KeyError::Unsupported),
            Some((2, key)) if key.first() == Some(&4) => {
                key.try_into().map(Self::P256).map_err(|_| KeyError::Unsupported)
            }
            _ => Err(KeyError::Unsupported),
        }
    }
}

impl From<NodeKey> for PublicKey {
    fn from(key: NodeKey) -> Self {
        Self::Ed25519(key.0)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Ed25519(_) => "Ed25519",
            Self::P256(_) => "P256",
        };
        write!(f, "{name}(spki {})", self.spki_hash())
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        serde_bytes::serialize(&self.to_bytes(), s)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let bytes: serde_bytes::ByteBuf = serde_bytes::deserialize(d)?;
        Self::from_bytes(&bytes).map_err(D::Error::custom)
    }
}
