//! A private key in memory.

use std::fmt;

use careweave_protocol::key::{KeyError, PublicKey, Signer};
use data_encoding::BASE64;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use zeroize::{Zeroize, Zeroizing};

use super::KeyStoreError;

/// The two algorithms of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Nodes and people.
    Ed25519,
    /// Organisations, governance officers, authorities, registrars.
    P256,
}

/// A private key held by this process. `Debug` shows the public key only.
///
/// The PKCS#8 bytes are wiped when it is dropped. *ring* does not wipe the scalar in its own key pair, so a process that has
/// used a key should end rather than linger: the login agent exits when it locks.
pub struct SoftwareKey {
    pkcs8: Zeroizing<Vec<u8>>,
    pair: Pair,
    public: PublicKey,
    random: SystemRandom,
}

enum Pair {
    Ed25519(Box<Ed25519KeyPair>),
    P256(Box<EcdsaKeyPair>),
}

/// Up to the seed, PKCS#8 of an Ed25519 key is the same in both versions but for two lengths and the version (RFC 8410 §7).
const ED25519_SEED_AT: std::ops::Range<usize> = 16..48;
/// PKCS#8 version 1 of an Ed25519 key, up to the seed (RFC 8410 §7).
const ED25519_PKCS8_V1: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// Characters in a line of PEM (RFC 7468 §2).
const PEM_LINE: usize = 64;
/// What RFC 7468 §10 calls an unencrypted PKCS#8 key.
const PEM_LABEL: &str = "PRIVATE KEY";

impl SoftwareKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`KeyStoreError::Crypto`] when there is no randomness.
    pub fn generate(algorithm: Algorithm, random: &dyn SecureRandom) -> Result<Self, KeyStoreError> {
        let document = match algorithm {
            Algorithm::Ed25519 => Ed25519KeyPair::generate_pkcs8(random),
            Algorithm::P256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, random),
        };
        Self::from_pkcs8(Zeroizing::new(document.map_err(|_| KeyStoreError::Crypto)?.as_ref().to_vec()))
    }

    /// Reads PKCS#8 in DER (RFC 5208, RFC 5958): P-256 with its public key, Ed25519 in either version.
    ///
    /// # Errors
    /// [`KeyStoreError::Unsupported`].
    pub fn from_pkcs8(pkcs8: Zeroizing<Vec<u8>>) -> Result<Self, KeyStoreError> {
        let random = SystemRandom::new();
        let (pair, public) = if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8) {
            let public = pair.public_key().as_ref().try_into().map(PublicKey::Ed25519);
            (Pair::Ed25519(Box::new(pair)), public)
        } else {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8, &random)
                .map_err(|_| KeyStoreError::Unsupported)?;
            let public = pair.public_key().as_ref().try_into().map(PublicKey::P256);
            (Pair::P256(Box::new(pair)), public)
        };
        Ok(Self { pkcs8, pair, public: public.map_err(|_| KeyStoreError::Unsupported)?, random })
    }

    /// A key from its Ed25519 seed (RFC 8032 §5.1.5): what the login agent hands out.
    ///
    /// # Errors
    /// [`KeyStoreError::Unsupported`], which no seed causes.
    pub fn from_ed25519_seed(seed: &Zeroizing<[u8; 32]>) -> Result<Self, KeyStoreError> {
        let mut pkcs8 = Zeroizing::new(Vec::with_capacity(ED25519_SEED_AT.end));
        pkcs8.extend_from_slice(&ED25519_PKCS8_V1);
        pkcs8.extend_from_slice(seed.as_slice());
        Self::from_pkcs8(pkcs8)
    }

    /// The seed of an Ed25519 key, for libp2p's key pair; `None` for P-256.
    #[must_use]
    pub fn ed25519_seed(&self) -> Option<Zeroizing<[u8; 32]>> {
        match self.pair {
            Pair::Ed25519(_) => {
                let mut seed = Zeroizing::new([0u8; 32]);
                seed.copy_from_slice(self.pkcs8.get(ED25519_SEED_AT)?);
                Some(seed)
            }
            Pair::P256(_) => None,
        }
    }

    /// The algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Ed25519(_) => Algorithm::Ed25519,
            Pair::P256(_) => Algorithm::P256,
        }
    }

    pub(super) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    pub(super) fn to_pem(&self) -> Zeroizing<String> {
        let mut body = Zeroizing::new(vec![0u8; BASE64.encode_len(self.pkcs8.len())]);
        BASE64.encode_mut(&self.pkcs8, &mut body);
        // The full capacity at once: a text that grows leaves copies of the secret behind.
        let mut text = Zeroizing::new(String::with_capacity(body.len() + body.len() / PEM_LINE + 128));
        text.push_str("-----BEGIN ");
        text.push_str(PEM_LABEL);
        text.push_str("-----\n");
        for line in body.chunks(PEM_LINE) {
            text.push_str(std::str::from_utf8(line).unwrap_or_default());
            text.push('\n');
        }
        text.push_str("-----END ");
        text.push_str(PEM_LABEL);
        text.push_str("-----\n");
        text
    }

    pub(super) fn from_pem(text: &[u8]) -> Result<Self, KeyStoreError> {
        let mut key = PrivatePkcs8KeyDer::from_pem_slice(text).map_err(|_| KeyStoreError::Unsupported)?;
        let pkcs8 = Zeroizing::new(key.secret_pkcs8_der().to_vec());
        key.zeroize();
        Self::from_pkcs8(pkcs8)
    }
}

impl Signer for SoftwareKey {
    fn public_key(&self) -> PublicKey {
        self.public.clone()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match &self.pair {
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::P256(pair) => {
                pair.sign(&self.random, message).map(|s| s.as_ref().to_vec()).map_err(|_| KeyError::CannotSign)
            }
        }
    }
}

impl fmt::Debug for SoftwareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SoftwareKey").field(&self.public).finish()
    }
}
