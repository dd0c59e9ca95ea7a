//! How a value is encrypted: zstd outside, AES-256-GCM inside, with column family, key and version as associated data, so a
//! value moved to another place does not open.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{hkdf, hmac};
use thiserror::Error;
use zeroize::Zeroizing;

use careweave_protocol::id::NhsNumber;

use super::database::Family;

/// Version byte at the start of every sealed value.
const VERSION: u8 = 1;

/// Why a value could not be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SealError {
    /// Altered, moved, or sealed under another key.
    #[error("a stored value does not open: it was altered or the key is another's")]
    DoesNotOpen,
    /// No randomness or no key of the right length.
    #[error("a value could not be sealed")]
    CannotSeal,
}

/// 32 bytes of key, from a file, a passphrase or a token; everything else is derived from it.
pub struct KeyEncryptionKey(Zeroizing<[u8; 32]>);

impl KeyEncryptionKey {
    /// Takes the bytes over.
    #[must_use]
    pub fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// Derives everything the store needs (HKDF-SHA256, RFC 5869).
    ///
    /// # Errors
    /// When the derived bytes are no key; cannot happen with these lengths.
    pub fn derive(&self) -> Result<StoreKeys, SealError> {
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, b"careweave store 1").extract(self.0.as_ref());
        let expand = |purpose: &'static str| -> Result<Zeroizing<[u8; 32]>, SealError> {
            let mut out = Zeroizing::new([0u8; 32]);
            let info = [purpose.as_bytes()];
            let okm = secret.expand(&info, hkdf::HKDF_SHA256).map_err(|_| SealError::CannotSeal)?;
            okm.fill(out.as_mut()).map_err(|_| SealError::CannotSeal)?;
            Ok(out)
        };
        Ok(StoreKeys {
            wrapping: SealingKey::new(&*expand("wrap patient keys")?)?,
            log: SealingKey::new(&*expand("audit log")?)?,
            index: hmac::Key::new(hmac::HMAC_SHA256, expand("index keys")?.as_ref()),
        })
    }
}

/// The keys the store works with.
pub struct StoreKeys {
    /// Wraps each patient's data key.
    pub wrapping: SealingKey,
    /// Seals audit details, outbox and everything that belongs to no one patient.
    pub log: SealingKey,
    index: hmac::Key,
}

impl StoreKeys {
    /// HMAC of an identifying text under the index key, cut to 16 bytes: what stands in RocksDB keys instead of it.
    #[must_use]
    pub fn blind(&self, kind: &str, parts: &[&[u8]]) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.index);
        context.update(kind.as_bytes());
        for part in parts {
            // The length first, so that ("ab", "c") and ("a", "bc") differ.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut out = [0u8; 16];
        for (slot, byte) in out.iter_mut().zip(context.sign().as_ref()) {
            *slot = *byte;
        }
        out
    }

    /// What stands for an NHS number in keys.
    #[must_use]
    pub fn blind_number(&self, number: &NhsNumber) -> [u8; 16] {
        self.blind("nhs number", &[number.digits().as_bytes()])
    }
}

/// One AES-256-GCM key. `Debug` is not implemented, so it cannot be printed.
#[derive(Clone)]
pub struct SealingKey(LessSafeKey);

impl SealingKey {
    /// Takes 32 bytes.
    ///
    /// # Errors
    /// When ring refuses them; cannot happen with this length.
    pub fn new(bytes: &[u8; 32]) -> Result<Self, SealError> {
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| SealError::CannotSeal)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Seals a value for one place.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn seal(&self, family: Family, key: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0u8; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| SealError::CannotSeal)?;
        let mut out = Vec::with_capacity(1 + NONCE_LEN + plain.len() + AES_256_GCM.tag_len());
        out.push(VERSION);
        out.extend_from_slice(&nonce);
        let start = out.len();
        out.extend_from_slice(plain);
        let body = out.get_mut(start..).ok_or(SealError::CannotSeal)?;
        let tag = self
            .0
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place(family, key)), body)
            .map_err(|_| SealError::CannotSeal)?;
        out.extend_from_slice(tag.as_ref());
        Ok(out)
    }

    /// Opens a value, in its own buffer.
    ///
    /// # Errors
    /// [`SealError::DoesNotOpen`].
    pub fn open(&self, family: Family, key: &[u8], mut sealed: Vec<u8>) -> Result<Vec<u8>, SealError> {
        let (version, rest) = sealed.split_first_mut().ok_or(SealError::DoesNotOpen)?;
        let (nonce, body) = rest.split_at_mut_checked(NONCE_LEN).ok_or(SealError::DoesNotOpen)?;
        if *version != VERSION {
            return Err(SealError::DoesNotOpen);
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::DoesNotOpen)?;
        let len =
            self.0.open_in_place(nonce, Aad::from(place(family, key)), body).map_err(|_| SealError::DoesNotOpen)?.len();
        sealed.drain(..=NONCE_LEN);
        sealed.truncate(len);
        Ok(sealed)
    }
}

/// A fresh data key.
///
/// # Errors
/// When there is no randomness.
pub fn random_key() -> Result<Zeroizing<[u8; 32]>, SealError> {
    let mut bytes = Zeroizing::new([0u8; 32]);
    SystemRandom::new().fill(bytes.as_mut()).map_err(|_| SealError::CannotSeal)?;
    Ok(bytes)
}

fn place(family: Family, key: &[u8]) -> Vec<u8> {
    let name = family.name().as_bytes();
    let mut out = Vec::with_capacity(2 + name.len() + key.len());
    out.push(VERSION);
    out.extend_from_slice(name);
    out.push(0);
    out.extend_from_slice(key);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_opens_only_in_its_own_place_unaltered_under_its_own_key() {
        let key = SealingKey::new(&[7; 32]).unwrap();
        let sealed = key.seal(Family::Forms, b"here", b"the record").unwrap();
        assert!(!sealed.windows(6).any(|w| w == b"record"));
        assert_eq!(key.open(Family::Forms, b"here", sealed.clone()).unwrap(), b"the record");
        assert!(key.open(Family::Forms, b"there", sealed.clone()).is_err());
        assert!(key.open(Family::Index, b"here", sealed.clone()).is_err());
        assert!(SealingKey::new(&[8; 32]).unwrap().open(Family::Forms, b"here", sealed.clone()).is_err());
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(key.open(Family::Forms, b"here", flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn blinded_keys_depend_on_key_kind_and_parts() {
        let keys = KeyEncryptionKey::new(Zeroizing::new([1; 32])).derive().unwrap();
        let other = KeyEncryptionKey::new(Zeroizing::new([2; 32])).derive().unwrap();
        let a = keys.blind("x", &[b"ab", b"c"]);
        assert_ne!(a, keys.blind("x", &[b"a", b"bc"]));
        assert_ne!(a, keys.blind("y", &[b"ab", b"c"]));
        assert_ne!(a, other.blind("x", &[b"ab", b"c"]));
    }
}
