//! Identifiers. Parsing is the validation: a value of one of these types is well formed.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// Why a text is not the identifier it was taken for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdError {
    /// ODS codes are 1 to 9 letters and digits.
    #[error("an ODS code has 1 to 9 capital letters or digits")]
    Ods,
    /// Not ten digits.
    #[error("an NHS number has ten digits")]
    NhsNumberLength,
    /// Ten digits, wrong check digit.
    #[error("the NHS number's check digit is wrong; compare it with the source")]
    NhsNumberCheck,
    /// Ten times the same digit passes the check and is nobody's number.
    #[error("ten repeated digits are nobody's NHS number")]
    NhsNumberRepeated,
    /// Names of networks are 1 to 63 lower-case letters, digits or hyphens.
    #[error("a network id has 1 to 63 lower-case letters, digits or hyphens")]
    Network,
    /// Person ids are 1 to 64 letters, digits, `.`, `_` or `-`.
    #[error("a person id has 1 to 64 letters, digits, '.', '_' or '-'")]
    Person,
    /// Not hexadecimal of the right length.
    #[error("expected {0} bytes in hexadecimal")]
    Hex(usize),
}

/// An organisation's code in the Organisation Data Service: 1 to 9 capital letters and digits
/// (`https://fhir.nhs.uk/Id/ods-organization-code`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OdsCode(Box<str>);

/// The network's name, part of every signature's context: 1 to 63 characters of `[a-z0-9-]`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkId(Box<str>);

/// A member of staff within their organisation: 1 to 64 characters of `[A-Za-z0-9._-]`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonId(Box<str>);

/// An NHS number: ten digits with a valid Modulus 11 check digit (NHS Data Dictionary, NHS NUMBER).
///
/// `Debug` shows nothing, so a number cannot reach a log by accident. A valid number is not the right person.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NhsNumber([u8; 10]);

impl OdsCode {
    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl NetworkId {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PersonId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl NhsNumber {
    /// The ten digits without separators.
    #[must_use]
    pub fn digits(&self) -> String {
        self.0.iter().map(|d| char::from(b'0' + d)).collect()
    }

    /// As people read it aloud: `999 001 0013`.
    #[must_use]
    pub fn spaced(&self) -> String {
        let mut text = String::with_capacity(12);
        for (i, d) in self.0.iter().enumerate() {
            if i == 3 || i == 6 {
                text.push(' ');
            }
            text.push(char::from(b'0' + d));
        }
        text
    }
}

impl FromStr for OdsCode {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let fits = (1..=9).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if fits { Ok(Self(text.into())) } else { Err(IdError::Ods) }
    }
}

impl FromStr for NetworkId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let fits = (1..=63).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits { Ok(Self(text.into())) } else { Err(IdError::Network) }
    }
}

impl FromStr for PersonId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if fits { Ok(Self(text.into())) } else { Err(IdError::Person) }
    }
}

impl FromStr for NhsNumber {
    type Err = IdError;
    /// Accepts spaces and hyphens between digits, as people write them.
    fn from_str(text: &str) -> Result<Self, IdError> {
        let mut digits = [0u8; 10];
        let mut count = 0;
        for byte in text.bytes().filter(|b| !matches!(b, b' ' | b'-')) {
            let slot = digits.get_mut(count).ok_or(IdError::NhsNumberLength)?;
            *slot = if byte.is_ascii_digit() {
                byte - b'0'
            } else {
                return Err(IdError::NhsNumberLength);
            };
            count += 1;
        }
        if count != 10 {
            return Err(IdError::NhsNumberLength);
        }
        let [first, .., check] = digits;
        if digits.iter().all(|d| *d == first) {
            return Err(IdError::NhsNumberRepeated);
        }
        let sum: u32 = digits.iter().take(9).zip((2..=10u32).rev()).map(|(d, w)| u32::from(*d) * w).sum();
        // 11 - (sum mod 11), where 11 stands for 0 and 10 is never issued.
        let expected = (11 - sum % 11) % 11;
        if expected == u32::from(check) { Ok(Self(digits)) } else { Err(IdError::NhsNumberCheck) }
    }
}

impl fmt::Debug for NhsNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NhsNumber(hidden)")
    }
}

macro_rules! text_id {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(D::Error::custom)
            }
        }
    };
}
text_id!(OdsCode);
text_id!(NetworkId);
text_id!(PersonId);

impl Serialize for NhsNumber {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.digits())
    }
}

impl<'de> Deserialize<'de> for NhsNumber {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        // On the wire there is one way to write it, so that one number has one signature.
        if text.len() != 10 {
            return Err(D::Error::custom(IdError::NhsNumberLength));
        }
        text.parse().map_err(D::Error::custom)
    }
}

macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// The bytes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), HEXLOWER.encode(&self.0))
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| IdError::Hex($len))?;
                bytes.try_into().map(Self).map_err(|_| IdError::Hex($len))
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = IdError;
            fn try_from(bytes: &[u8]) -> Result<Self, IdError> {
                bytes.try_into().map(Self).map_err(|_| IdError::Hex($len))
            }
        }

        impl Serialize for $name {
            /// Bytes on the wire, hexadecimal where people read it.
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                if s.is_human_readable() {
                    s.serialize_str(&HEXLOWER.encode(&self.0))
                } else {
                    s.serialize_bytes(&self.0)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                struct Bytes;
                impl Visitor<'_> for Bytes {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        write!(f, "{} bytes", $len)
                    }
                    fn visit_bytes<E: serde::de::Error>(self, v: &[u8]) -> Result<$name, E> {
                        v.try_into().map($name).map_err(|_| E::invalid_length(v.len(), &self))
                    }
                    fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<$name, E> {
                        v.parse().map_err(E::custom)
                    }
                }
                if d.is_human_readable() { d.deserialize_str(Bytes) } else { d.deserialize_bytes(Bytes) }
            }
        }
    };
}

byte_id!(
    /// One query, the same on both sides' logs: 128 random bits.
    QueryId, 16
);
byte_id!(
    /// Random bits that make one envelope unrepeatable.
    Nonce, 16
);
byte_id!(
    /// Random bits that hide what a commitment commits to.
    Salt, 32
);
byte_id!(
    /// A SHA-256 hash (FIPS 180-4).
    Digest, 32
);
byte_id!(
    /// An Ed25519 public key that is a libp2p PeerId: a node's endpoint, or a person's command line (RFC 8032).
    NodeKey, 32
);

impl Digest {
    /// SHA-256 of the parts, one after the other.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        for part in parts {
            context.update(part);
        }
        let mut out = [0u8; 32];
        for (slot, byte) in out.iter_mut().zip(context.finish().as_ref()) {
            *slot = *byte;
        }
        Self(out)
    }
}

impl NodeKey {
    /// The libp2p PeerId bytes: identity multihash of the protobuf-encoded Ed25519 key (libp2p peer-ids specification).
    #[must_use]
    pub fn peer_id_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0x00, 0x24, 0x08, 0x01, 0x12, 0x20];
        bytes.extend_from_slice(&self.0);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nhs_numbers_follow_modulus_11() {
        for good in ["9990010013", "999 013 3484", "999-025-6950", "9990380422", "9995000008"] {
            assert!(good.parse::<NhsNumber>().is_ok(), "{good}");
        }
        for (bad, why) in [
            ("9990010014", IdError::NhsNumberCheck),
            ("9990010031", IdError::NhsNumberCheck),
            ("0000000000", IdError::NhsNumberRepeated),
            ("9999999999", IdError::NhsNumberRepeated),
            ("999001001", IdError::NhsNumberLength),
            ("99900100133", IdError::NhsNumberLength),
            ("999001OO13", IdError::NhsNumberLength),
            ("", IdError::NhsNumberLength),
        ] {
            assert_eq!(bad.parse::<NhsNumber>(), Err(why), "{bad}");
        }
    }

    #[test]
    fn a_number_is_shown_in_groups_and_never_by_debug() {
        let number: NhsNumber = "9990010013".parse().unwrap();
        assert_eq!(number.spaced(), "999 001 0013");
        assert!(!format!("{number:?}").contains("999"));
    }

    #[test]
    fn ods_codes_are_short_and_upper_case() {
        for good in ["R9A", "901", "8Z901", "Y91001", "VL901"] {
            assert!(good.parse::<OdsCode>().is_ok(), "{good}");
        }
        for bad in ["", "r9a", "R9A ", "TOOLONGCODE", "R9/A"] {
            assert_eq!(bad.parse::<OdsCode>(), Err(IdError::Ods), "{bad}");
        }
    }
}
