//! The only user of the CBOR crate: bounded, no trailing bytes, and what was read must encode to the same bytes again.
//!
//! Structs are maps with text keys in declaration order (RFC 8949 §4.2 asks for *a* fixed order; ours is the order of the
//! fields). The check on reading makes every value have one encoding: a reordered map, an indefinite length, a long form of
//! a short integer or an unknown field all fail it.

use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

/// Why bytes were not accepted as CBOR, or a value could not be written.
#[derive(Debug, Error)]
pub enum CborError {
    /// Longer than the caller's bound.
    #[error("message of {len} bytes is over the limit of {limit}")]
    TooLong {
        /// Bytes received.
        len: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Not CBOR, not this shape, or bytes left over.
    #[error("malformed message: {0}")]
    Malformed(serde_cbor::Error),
    /// Decodes, but its one encoding is different.
    #[error("message is not in its canonical encoding")]
    NotCanonical,
    /// The value cannot be written as CBOR.
    #[error("value cannot be encoded: {0}")]
    Encode(serde_cbor::Error),
}

/// Writes a value in its one encoding.
///
/// # Errors
/// When a map or sequence of unknown length is met; no type of this crate has one.
pub fn to_vec<T: Serialize>(value: &T) -> Result<Vec<u8>, CborError> {
    serde_cbor::to_vec(value).map_err(CborError::Encode)
}

/// Reads a value of at most `limit` bytes.
///
/// # Errors
/// Too long, malformed, with trailing bytes, or not in its one encoding.
pub fn from_slice<T: Serialize + DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<T, CborError> {
    if bytes.len() > limit {
        return Err(CborError::TooLong { len: bytes.len(), limit });
    }
    let value: T = serde_cbor::from_slice(bytes).map_err(CborError::Malformed)?;
    if to_vec(&value)? == bytes { Ok(value) } else { Err(CborError::NotCanonical) }
}

/// Reads what this same program wrote to its own disk: bounded by the store, authenticated by its encryption, so the
/// re-encoding check would prove nothing and cost a second pass.
///
/// # Errors
/// When the bytes are not of this shape.
pub fn from_own<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CborError> {
    serde_cbor::from_slice(bytes).map_err(CborError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Pair {
        a: u64,
        b: Option<String>,
    }

    #[test]
    fn a_value_round_trips() {
        let pair = Pair { a: 7, b: None };
        let bytes = to_vec(&pair).unwrap();
        assert_eq!(from_slice::<Pair>(&bytes, 64).unwrap(), pair);
    }

    #[test]
    fn trailing_bytes_reordered_maps_long_integers_and_oversize_are_refused() {
        let bytes = to_vec(&Pair { a: 7, b: None }).unwrap();
        let mut trailing = bytes.clone();
        trailing.push(0);
        assert!(from_slice::<Pair>(&trailing, 64).is_err());
        // {"b": null, "a": 7}
        assert!(matches!(
            from_slice::<Pair>(&[0xa2, 0x61, b'b', 0xf6, 0x61, b'a', 7], 64),
            Err(CborError::NotCanonical)
        ));
        // {"a": 7 as two bytes, "b": null}
        assert!(matches!(
            from_slice::<Pair>(&[0xa2, 0x61, b'a', 0x18, 7, 0x61, b'b', 0xf6], 64),
            Err(CborError::NotCanonical)
        ));
        assert!(matches!(from_slice::<Pair>(&bytes, 3), Err(CborError::TooLong { .. })));
    }

    #[test]
    fn deep_nesting_is_refused_and_does_not_crash() {
        let deep = vec![0x81u8; 100_000];
        assert!(from_slice::<Vec<u64>>(&deep, 1 << 20).is_err());
    }
}
