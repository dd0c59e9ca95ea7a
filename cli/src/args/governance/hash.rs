//! How keys and certificates are named on the command line.

use std::fmt;
use std::str::FromStr;

use careweave_protocol::id::Digest;

/// The beginning of a SHA-256 as people read and type it; all of it will do as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashPrefix(String);

/// An officer as they are named: by the hash of their key, or by their number in the list that `gov show` prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfficerName {
    /// Counted from 1.
    Number(usize),
    /// By the key.
    Hash(HashPrefix),
}

/// Fewer digits could be made to fit by chance or by somebody's effort.
const SHORTEST: usize = 8;

impl HashPrefix {
    /// Whether this hash begins so.
    #[must_use]
    pub fn fits(&self, digest: &Digest) -> bool {
        digest.to_string().starts_with(&self.0)
    }
}

impl fmt::Display for HashPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for HashPrefix {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
        if digits && (SHORTEST..=2 * Digest::LEN).contains(&text.len()) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("not a hash; it has {SHORTEST} to {} of the digits 0-9 and a-f", 2 * Digest::LEN))
    }
}

impl FromStr for OfficerName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<usize>() {
            Ok(number) if text.len() < SHORTEST => Ok(Self::Number(number)),
            _ => text.parse().map(Self::Hash),
        }
    }
}

impl fmt::Display for OfficerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "officer {number}"),
            Self::Hash(hash) => hash.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_digits_are_a_hash_and_fewer_are_a_number() {
        let digest = Digest::of(&[b"key"]);
        let full = digest.to_string();
        for length in [8, 9, 64] {
            let prefix: HashPrefix = full.get(..length).unwrap().parse().unwrap();
            assert!(prefix.fits(&digest) && !prefix.fits(&Digest::of(&[b"other"])));
        }
        for wrong in ["", "1234567", "XYZ12345", "ABCDEF12", &format!("{full}0")] {
            assert!(wrong.parse::<HashPrefix>().is_err(), "{wrong}");
        }
        assert_eq!("3".parse(), Ok(OfficerName::Number(3)));
        assert!(matches!("12345678".parse(), Ok(OfficerName::Hash(_))));
        assert!("abc".parse::<OfficerName>().is_err());
    }
}
