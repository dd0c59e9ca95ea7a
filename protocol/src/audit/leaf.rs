//! What one leaf of the log commits to, in three parts that can be told and forgotten apart.
//!
//! ```text
//! leaf       = SHA-256(0x00 ‖ commitment)                                        RFC 6962 §2.1
//! commitment = SHA-256("careweave audit leaf 1" ‖ 0x00 ‖ salt ‖ digest(details) ‖ digest(patient) or 32 zero bytes)
//! digest(x)  = SHA-256(x)
//! ```
//! The salt stays with the log's owner, so a leaf hash in an answer header tells nothing. The patient part carries a salt of
//! its own *inside*, so that when the part is erased and only its digest is left, the ten digits of an NHS number cannot be
//! found by trying them all.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::audit::PatientPart;
use crate::cbor::{self, CborError};
use crate::id::{Digest, Salt};

/// Everything one leaf commits to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafParts {
    /// 32 random bytes of this leaf alone.
    pub salt: Salt,
    /// CBOR of the [`crate::audit::AuditEntry`].
    pub details: Vec<u8>,
    /// What the entry says about a patient, or what is left of it.
    pub patient: PatientCommitment,
}

/// The patient part of a leaf.
#[derive(Clone, PartialEq, Eq)]
pub enum PatientCommitment {
    /// The entry is about no patient.
    Absent,
    /// CBOR of [`PatientDetails`].
    Present(Vec<u8>),
    /// The part cannot be read (erased, or sealed under a key that is not at hand); its digest still holds its place.
    Withheld(Digest),
}

/// The patient part as it is stored and hashed: the part and a salt that goes when it goes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatientDetails {
    /// 32 random bytes of this part alone; not the leaf's salt.
    pub salt: Salt,
    /// What the entry says about the patient.
    pub part: PatientPart,
}

impl LeafParts {
    /// The leaf hash.
    #[must_use]
    pub fn leaf(&self) -> Digest {
        leaf(&self.salt, &Digest::of(&[&self.details]), &self.patient.digest())
    }
}

impl PatientCommitment {
    /// The digest that goes into the leaf: zero when the entry is about no patient.
    #[must_use]
    pub fn digest(&self) -> Digest {
        match self {
            Self::Absent => NO_PATIENT,
            Self::Present(bytes) => Digest::of(&[bytes]),
            Self::Withheld(digest) => *digest,
        }
    }
}

impl fmt::Debug for PatientCommitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "Absent",
            Self::Present(_) => "Present(hidden)",
            Self::Withheld(_) => "Withheld",
        })
    }
}

impl PatientDetails {
    /// The bytes that are hashed and sealed.
    ///
    /// # Errors
    /// When the part cannot be encoded; cannot happen with this shape.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CborError> {
        cbor::to_vec(self)
    }

    /// Reads the bytes back.
    ///
    /// # Errors
    /// When they are longer than [`PATIENT_DETAILS_MAX`] or of another shape.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CborError> {
        cbor::from_slice(bytes, PATIENT_DETAILS_MAX)
    }
}

impl fmt::Debug for PatientDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PatientDetails(hidden)")
    }
}

/// The leaf hash from salt and digests, for whoever holds no more than those.
#[must_use]
pub fn leaf(salt: &Salt, details: &Digest, patient: &Digest) -> Digest {
    let commitment = Digest::of(&[CONTEXT, salt.as_bytes(), details.as_bytes(), patient.as_bytes()]);
    Digest::of(&[&[0x00], commitment.as_bytes()])
}

/// Keeps a commitment apart from every other hash of this protocol.
const CONTEXT: &[u8] = b"careweave audit leaf 1\0";
/// Stands where the digest of a patient part would.
pub const NO_PATIENT: Digest = Digest([0; 32]);
/// A patient part: a number, two hashes and a free-text reason of a few sentences.
pub const PATIENT_DETAILS_MAX: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> LeafParts {
        let part = PatientPart {
            nhs_number: "9990010013".parse().unwrap(),
            sequence: 3,
            previous: Digest([4; 32]),
            reason_text: Some("seen in clinic".into()),
        };
        let patient = PatientDetails { salt: Salt([2; 32]), part }.to_bytes().unwrap();
        LeafParts { salt: Salt([1; 32]), details: b"details".to_vec(), patient: PatientCommitment::Present(patient) }
    }

    #[test]
    fn erasing_the_patient_part_leaves_the_leaf_as_it_was() {
        let mut parts = parts();
        let before = parts.leaf();
        parts.patient = PatientCommitment::Withheld(parts.patient.digest());
        assert_eq!(parts.leaf(), before);
        parts.patient = PatientCommitment::Absent;
        assert_ne!(parts.leaf(), before);
    }

    #[test]
    fn every_part_counts() {
        let base = parts();
        let mut salt = base.clone();
        salt.salt.0[31] ^= 1;
        let mut details = base.clone();
        details.details.push(0);
        let mut patient = base.clone();
        patient.patient = PatientCommitment::Present(b"else".to_vec());
        for other in [salt, details, patient] {
            assert_ne!(other.leaf(), base.leaf());
        }
    }

    #[test]
    fn two_parts_about_one_patient_have_digests_that_cannot_be_guessed_from_each_other() {
        let PatientCommitment::Present(bytes) = parts().patient else { panic!("a patient part") };
        let mut other = PatientDetails::from_bytes(&bytes).unwrap();
        other.salt = Salt([9; 32]);
        assert_ne!(Digest::of(&[&bytes]), Digest::of(&[&other.to_bytes().unwrap()]));
        assert!(!format!("{other:?} {:?}", PatientCommitment::Present(bytes)).contains("999"));
    }
}
