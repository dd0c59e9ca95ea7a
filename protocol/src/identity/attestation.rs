//! A registrar's statement about an organisation: the security standard it meets and the agreements it has signed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::OdsCode;
use crate::signed::Document;
use crate::time::{Date, Timestamp};

/// What an attestation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standard {
    /// Data Security and Protection Toolkit: the organisation's published status; the manifest says which is enough.
    Dspt,
    /// The network's data-sharing agreement is signed.
    SharingAgreement,
}

/// Published status of an organisation in the Data Security and Protection Toolkit, lowest first (NHS England, DSPT standards and
/// statuses).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StandardStatus {
    /// Standards not met.
    NotMet,
    /// Approaching standards: an agreed improvement plan is under way.
    Approaching,
    /// Standards met.
    Met,
    /// Standards exceeded.
    Exceeded,
}

impl StandardStatus {
    /// Every status, lowest first.
    pub const ALL: [Self; 4] = [Self::NotMet, Self::Approaching, Self::Met, Self::Exceeded];

    /// The status as typed and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotMet => "not-met",
            Self::Approaching => "approaching",
            Self::Met => "met",
            Self::Exceeded => "exceeded",
        }
    }
}

impl fmt::Display for StandardStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for StandardStatus {
    type Err = UnknownStatus;
    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(UnknownStatus)
    }
}

/// Not one of the statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a status; one of not-met approaching met exceeded")]
pub struct UnknownStatus;

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
    /// The published status, of a standard that has one; an agreement is signed or it is not.
    pub status: Option<StandardStatus>,
    /// When the registrar looked.
    pub issued: Timestamp,
    /// Last day on which it holds.
    pub expires: Date,
}

impl Document for Attestation {
    const CONTEXT: &'static str = "careweave attestation 1";
}
