//! A key under a passphrase: argon2id (RFC 9106) makes the key of AES-256-GCM (NIST SP 800-38D) around the PKCS#8 bytes.
//!
//! The file is CBOR: what is needed to open it, then the sealed key. Everything before the sealed key is its associated data,
//! so a changed parameter or public key is a wrong passphrase.

use std::fmt;

use argon2::{Algorithm as Argon2Algorithm, Argon2, Params, Version};
use careweave_protocol::cbor;
use careweave_protocol::key::{PublicKey, Signer};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::SecureRandom;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use zeroize::Zeroizing;

use super::{KEY_FILE_MAX, KeyStoreError, SoftwareKey};

/// What a person types; wiped when dropped, never shown.
pub struct Passphrase(Zeroizing<String>);

/// Work that one guess at a passphrase costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KdfCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes; one thread does them.
    pub lanes: u32,
}

/// What new files cost, and the least a file may cost to be accepted: a file rewritten with a cheaper setting is refused, not
/// believed. 32 MiB and three passes are over the minimum of the OWASP Password Storage Cheat Sheet (19 MiB, two passes) and
/// take under 300 ms on one core of a small server in a release build, so that `login` stays pleasant.
pub const KDF: KdfCost = KdfCost { memory_kib: 32 * 1024, passes: 3, lanes: 1 };
/// The most a file may ask for: a planted file must not exhaust the machine's memory.
const KDF_MAX: KdfCost = KdfCost { memory_kib: 1024 * 1024, passes: 16, lanes: 8 };
/// NIST SP 800-63B §5.1.1.1: a secret that somebody memorises has at least eight characters.
const PASSPHRASE_MIN: usize = 8;
/// First field of the file; a later form gets another.
const FORMAT: &str = "careweave key 1";

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    public_key: PublicKey,
    kdf: KdfCost,
    #[serde(with = "serde_bytes")]
    salt: [u8; 16],
    #[serde(with = "serde_bytes")]
    nonce: [u8; NONCE_LEN],
}

#[derive(Serialize, Deserialize)]
struct ProtectedKey {
    header: Header,
    sealed: ByteBuf,
}

impl Passphrase {
    /// Takes what was typed, without the line end.
    #[must_use]
    pub fn new(text: Zeroizing<String>) -> Self {
        let mut text = text;
        let kept = text.trim_end_matches(['\r', '\n']).len();
        text.truncate(kept);
        Self(text)
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(hidden)")
    }
}

impl PartialEq for Passphrase {
    /// Compares what one person typed twice; not for guarding anything.
    fn eq(&self, other: &Self) -> bool {
        *self.0 == *other.0
    }
}

pub(super) fn seal(
    key: &SoftwareKey,
    passphrase: &Passphrase,
    random: &dyn SecureRandom,
) -> Result<Vec<u8>, KeyStoreError> {
    if passphrase.0.chars().count() < PASSPHRASE_MIN {
        return Err(KeyStoreError::PassphraseTooShort(PASSPHRASE_MIN));
    }
    let (mut salt, mut nonce) = ([0u8; 16], [0u8; NONCE_LEN]);
    random.fill(&mut salt).map_err(|_| KeyStoreError::Crypto)?;
    random.fill(&mut nonce).map_err(|_| KeyStoreError::Crypto)?;
    let header = Header { format: FORMAT.to_owned(), public_key: key.public_key(), kdf: KDF, salt, nonce };
    // Room for the tag, so that the plain bytes are sealed where they are and never moved.
    let mut sealed = Vec::with_capacity(key.pkcs8().len() + AES_256_GCM.tag_len());
    sealed.extend_from_slice(key.pkcs8());
    sealing_key(&header, passphrase)?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(cbor::to_vec(&header)?), &mut sealed)
        .map_err(|_| KeyStoreError::Crypto)?;
    Ok(cbor::to_vec(&ProtectedKey { header, sealed: ByteBuf::from(sealed) })?)
}

pub(super) fn open(bytes: &[u8], passphrase: &Passphrase) -> Result<SoftwareKey, KeyStoreError> {
    let ProtectedKey { header, sealed } = parse(bytes)?;
    let KdfCost { memory_kib, passes, lanes } = header.kdf;
    let within = |asked: u32, least: u32, most: u32| (least..=most).contains(&asked);
    let accepted = within(memory_kib, KDF.memory_kib, KDF_MAX.memory_kib)
        && within(passes, KDF.passes, KDF_MAX.passes)
        && within(lanes, KDF.lanes, KDF_MAX.lanes);
    if !accepted {
        return Err(KeyStoreError::KdfCost { memory_kib, passes });
    }
    let mut buffer = Zeroizing::new(sealed.into_vec());
    let aad = Aad::from(cbor::to_vec(&header)?);
    let length = sealing_key(&header, passphrase)?
        .open_in_place(Nonce::assume_unique_for_key(header.nonce), aad, &mut buffer)
        .map_err(|_| KeyStoreError::WrongPassphrase)?
        .len();
    buffer.truncate(length);
    let key = SoftwareKey::from_pkcs8(buffer)?;
    if key.public_key() == header.public_key { Ok(key) } else { Err(KeyStoreError::Unsupported) }
}

/// The public key in the file's header; whoever can write the file can write this, so it is only for finding the right file.
pub(super) fn header(bytes: &[u8]) -> Result<PublicKey, KeyStoreError> {
    Ok(parse(bytes)?.header.public_key)
}

fn parse(bytes: &[u8]) -> Result<ProtectedKey, KeyStoreError> {
    let file: ProtectedKey = cbor::from_slice(bytes, KEY_FILE_MAX)?;
    if file.header.format == FORMAT { Ok(file) } else { Err(KeyStoreError::Unsupported) }
}

fn sealing_key(header: &Header, passphrase: &Passphrase) -> Result<LessSafeKey, KeyStoreError> {
    let KdfCost { memory_kib, passes, lanes } = header.kdf;
    let params =
        Params::new(memory_kib, passes, lanes, Some(AES_256_GCM.key_len())).map_err(|_| KeyStoreError::Crypto)?;
    let mut bytes = Zeroizing::new([0u8; 32]);
    Argon2::new(Argon2Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.0.as_bytes(), &header.salt, bytes.as_mut_slice())
        .map_err(|_| KeyStoreError::Crypto)?;
    Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes.as_slice()).map_err(|_| KeyStoreError::Crypto)?))
}
