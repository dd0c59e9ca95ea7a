//! A registrar's statement about an organisation: the security standard it meets and the agreements it has signed.

use serde::{Deserialize, Serialize};

use crate::id::OdsCode;
use crate::signed::Document;
use crate::time::{Date, Timestamp};

/// What an attestation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standard {
    /// Data Security and Protection Toolkit: the organisation's published status is "standards met" or better.
    Dspt,
    /// The network's data-sharing agreement is signed.
    SharingAgreement,
}

impl Standard {
    /// Short name, as in `ATTESTATION_EXPIRED dspt 2026-11-01`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dspt => "dspt",
            Self::SharingAgreement => "sharing-agreement",
        }
    }

    /// Every standard an organisation must hold to be answered.
    pub const REQUIRED: [Self; 2] = [Self::Dspt, Self::SharingAgreement];
}

/// Signed by a registrar key that the manifest names; stapled with the certificate chain in the connection handshake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    /// The organisation it is about.
    pub ods: OdsCode,
    /// What is attested.
    pub standard: Standard,
    /// When the registrar looked.
    pub issued: Timestamp,
    /// Last day on which it holds.
    pub expires: Date,
}

impl Document for Attestation {
    const CONTEXT: &'static str = "careweave attestation 1";
}
