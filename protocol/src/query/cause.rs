//! Why something was refused, named. Only causes about the *asker* travel: the asker can mend those. A cause about the
//! patient stays in the holder's own log.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::identity::StandardStatus;
use crate::query::Purpose;
use crate::time::{Date, Timestamp};

/// A named cause about a caller, its organisation or its clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Not in the manifest.
    NotAMember,
    /// Suspended by a governance officer.
    Suspended,
    /// The certificate's key is not the one the manifest pins.
    KeyNotPinned,
    /// The certificate chain does not verify.
    CertInvalid,
    /// The certificate stands under an authority that the manifest has tainted.
    AuthorityTainted,
    /// The certificate, or one above it, is past its end.
    CertExpired,
    /// The certificate is not valid yet.
    CertNotYetValid,
    /// The endpoint's binding is for another key, organisation or role, or does not verify.
    BindingInvalid,
    /// The endpoint's binding is past its end.
    BindingExpired,
    /// No such network here.
    OtherNetwork,
    /// Protocol versions do not meet.
    Incompatible,
    /// Clocks differ by this many seconds.
    ClockSkew(i64),
    /// The caller's newest manifest is older than one it has used before.
    ManifestRollback {
        /// Version shown.
        shown: u64,
        /// Highest version known.
        known: u64,
    },
    /// The manifest's own life is over.
    ManifestExpired,
    /// No beacon since then; this purpose is past its staleness limit.
    BeaconStale(Option<Timestamp>),
    /// A required attestation is missing.
    AttestationMissing(String),
    /// A required attestation ended on that day.
    AttestationExpired(String, Date),
    /// A required standard is held, but not well enough: standard, status, status that is asked for.
    AttestationBelow(String, StandardStatus, StandardStatus),
    /// The organisation's activation has not come far enough: its rollout stage.
    NotLive(String),
    /// The endpoint's key was replaced by its organisation.
    KeyRetired,
    /// The one-time code is not one, was used, or is over.
    InvitationInvalid,
    /// Another node must be asked: this one runs no enrolment service.
    NoEnrolmentService,
    /// Two other people must have agreed to this credential, and have not.
    ApprovalMissing,
    /// The person's training ended on that day.
    TrainingLapsed(Date),
    /// The person's credential does not verify.
    CredentialInvalid,
    /// The person's credential is past its end, or not yet begun.
    CredentialExpired,
    /// The person's employer revoked the credential.
    CredentialRevoked,
    /// The purpose is not granted to this staff group.
    PurposeNotGranted(Purpose),
    /// The query or envelope does not verify.
    SignatureInvalid,
    /// The query is outside its own life.
    QueryStale,
    /// The same envelope, or the same query, was received before.
    Replayed,
    /// Over the day's number of distinct patients.
    QuotaExceeded,
    /// The log of the holder does not continue what it showed before.
    LogRollback,
    /// The holder cannot make its log durable, so it does not answer.
    LogUnavailable,
    /// The break-glass grant does not verify, is for somebody else, or is over.
    GrantInvalid,
    /// What tied the asker to the patient ended while the view was under way; only the own node says so.
    RelationshipEnded,
    /// A review is never closed by the person it is about; only the own node says so.
    OwnReview,
    /// The request does not follow the protocol.
    Malformed,
}

impl Cause {
    /// Whether the organisation or person is not eligible (exit code 6): a standard, an agreement, training, a suspension.
    #[must_use]
    pub fn is_eligibility(&self) -> bool {
        matches!(
            self,
            Self::Suspended
                | Self::NotAMember
                | Self::AttestationMissing(_)
                | Self::AttestationExpired(..)
                | Self::AttestationBelow(..)
                | Self::NotLive(_)
                | Self::ApprovalMissing
                | Self::TrainingLapsed(_)
                | Self::CredentialRevoked
                | Self::CredentialExpired
        )
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAMember => f.write_str("NOT_A_MEMBER"),
            Self::Suspended => f.write_str("SUSPENDED"),
            Self::KeyNotPinned => f.write_str("KEY_NOT_PINNED"),
            Self::CertInvalid => f.write_str("CERT_INVALID"),
            Self::AuthorityTainted => f.write_str("AUTHORITY_TAINTED"),
            Self::CertExpired => f.write_str("CERT_EXPIRED"),
            Self::CertNotYetValid => f.write_str("CERT_NOT_YET_VALID"),
            Self::BindingInvalid => f.write_str("BINDING_INVALID"),
            Self::BindingExpired => f.write_str("BINDING_EXPIRED"),
            Self::OtherNetwork => f.write_str("OTHER_NETWORK"),
            Self::Incompatible => f.write_str("INCOMPATIBLE"),
            Self::ClockSkew(seconds) => write!(f, "CLOCK_SKEW {seconds} s"),
            Self::ManifestRollback { shown, known } => {
                write!(f, "MANIFEST_ROLLBACK {shown}<{known}")
            }
            Self::ManifestExpired => f.write_str("MANIFEST_EXPIRED"),
            Self::BeaconStale(Some(since)) => write!(f, "BEACON_STALE since {}", since.rfc3339()),
            Self::BeaconStale(None) => f.write_str("BEACON_STALE never seen"),
            Self::AttestationMissing(standard) => write!(f, "ATTESTATION_MISSING {standard}"),
            Self::AttestationExpired(standard, day) => {
                write!(f, "ATTESTATION_EXPIRED {standard} {day}")
            }
            Self::AttestationBelow(standard, held, asked) => {
                write!(f, "ATTESTATION_BELOW {standard} {held}<{asked}")
            }
            Self::NotLive(stage) => write!(f, "NOT_LIVE {stage}"),
            Self::KeyRetired => f.write_str("KEY_RETIRED"),
            Self::InvitationInvalid => f.write_str("INVITATION_INVALID"),
            Self::NoEnrolmentService => f.write_str("NO_ENROLMENT_SERVICE"),
            Self::ApprovalMissing => f.write_str("APPROVAL_MISSING"),
            Self::TrainingLapsed(day) => write!(f, "TRAINING_LAPSED {day}"),
            Self::CredentialInvalid => f.write_str("CREDENTIAL_INVALID"),
            Self::CredentialExpired => f.write_str("CREDENTIAL_EXPIRED"),
            Self::CredentialRevoked => f.write_str("CREDENTIAL_REVOKED"),
            Self::PurposeNotGranted(purpose) => write!(f, "PURPOSE_NOT_GRANTED {purpose}"),
            Self::SignatureInvalid => f.write_str("SIGNATURE_INVALID"),
            Self::QueryStale => f.write_str("QUERY_STALE"),
            Self::Replayed => f.write_str("REPLAYED"),
            Self::QuotaExceeded => f.write_str("QUOTA_EXCEEDED"),
            Self::LogRollback => f.write_str("LOG_ROLLBACK"),
            Self::LogUnavailable => f.write_str("LOG_UNAVAILABLE"),
            Self::GrantInvalid => f.write_str("GRANT_INVALID"),
            Self::RelationshipEnded => f.write_str("RELATIONSHIP_ENDED"),
            Self::OwnReview => f.write_str("OWN_REVIEW"),
            Self::Malformed => f.write_str("MALFORMED"),
        }
    }
}
