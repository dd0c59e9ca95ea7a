//! One entry of an organisation's audit log. Every field is documented in `docs/audit-log.md`; a `tidy` test compares.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{Digest, NhsNumber, OdsCode, PersonId, QueryId};
use crate::identity::StaffGroup;
use crate::query::{Purpose, Relationship};
use crate::record::{Category, Labels};
use crate::time::Timestamp;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EntryKind {
    /// Own staff are about to ask others; written before any envelope leaves.
    Intent,
    /// A query of another organisation, or of own staff about own records, was decided; written before any byte leaves.
    Decision,
    /// An answer arrived and was verified.
    Receipt,
    /// An asker acknowledged an answer.
    Ack,
    /// Configuration, policy, staff, rotation, import.
    Admin,
    /// Somebody should look at this.
    Alert,
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The person's organisation.
    pub ods: OdsCode,
    /// The person.
    pub person: PersonId,
    /// Name in the credential.
    pub name: String,
    /// Staff group in the credential.
    pub group: StaffGroup,
}

/// What an entry says about the patient: kept under the patient's own key, so that erasing the patient leaves the tree whole.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatientPart {
    /// The number asked about.
    pub nhs_number: NhsNumber,
    /// Counts this log's entries about this patient, from 1.
    pub sequence: u64,
    /// Leaf hash of this patient's entry before; zero for the first. Never sent to others.
    pub previous: Digest,
    /// Free-text reason of the asker, at the asker only.
    pub reason_text: Option<String>,
}

impl fmt::Debug for PatientPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PatientPart(hidden)")
    }
}

/// What was decided for records of one category with the same labels: enough to decide again and compare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellDecision {
    /// The row.
    pub category: Category,
    /// The labels those records carry.
    pub labels: Labels,
    /// Whether those records were sent to the asking organisation, or are of its own referral or meeting.
    pub sent: bool,
    /// `none`, `summary`, `essential` or `full`.
    pub access: String,
}

/// The details of an entry, without the patient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// What happened.
    pub kind: EntryKind,
    /// When.
    pub at: Timestamp,
    /// Whose log this is.
    pub log: OdsCode,
    /// The organisation that asks, or acts.
    pub asker: Option<OdsCode>,
    /// The organisation that answers.
    pub holder: Option<OdsCode>,
    /// The person.
    pub actor: Option<Actor>,
    /// Purpose of use.
    pub purpose: Option<Purpose>,
    /// Coded reason.
    pub reason: Option<String>,
    /// Kinds of relationship that counted.
    pub evidence: Vec<Relationship>,
    /// `answered`, `nothing-shareable`, `refused`, …; for ADMIN and ALERT the name of the event.
    pub outcome: String,
    /// The true cause: never sent for causes about a patient.
    pub cause: Option<String>,
    /// SHA-256 of the policy bundle.
    pub policy: Option<Digest>,
    /// Ids of the policies that determined the decision.
    pub policy_ids: Vec<String>,
    /// Manifest version.
    pub manifest_version: Option<u64>,
    /// Age of the newest beacon in seconds.
    pub beacon_age: Option<u64>,
    /// The query's id, the same on both sides.
    pub query_id: Option<QueryId>,
    /// SHA-256 of the signed query.
    pub query: Option<Digest>,
    /// SHA-256 of the signed envelope.
    pub envelope: Option<Digest>,
    /// SHA-256 of the signed answer header, on RECEIPT and ACK.
    pub receipt: Option<Digest>,
    /// Merkle root of what was selected.
    pub root: Option<Digest>,
    /// Records of each category.
    pub counts: BTreeMap<Category, u32>,
    /// Bytes of all bodies.
    pub bytes: u64,
    /// The patient's objection as it stood: `none`, `network`, `even-emergency`.
    pub objection: Option<String>,
    /// Whether the patient's death was recorded.
    pub deceased: bool,
    /// Id of the break-glass grant.
    pub grant: Option<QueryId>,
    /// Categories of that grant.
    pub granted: Vec<Category>,
    /// Number of the governance case.
    pub case_number: Option<String>,
    /// What was decided, cell by cell.
    pub cells: Vec<CellDecision>,
    /// Salt of the commitment to the cause that the answer carries.
    pub commitment_salt: Option<crate::id::Salt>,
    /// What ADMIN and ALERT are about, in words; no patient.
    pub detail: Option<String>,
}

impl AuditEntry {
    /// An entry with nothing but kind, time, log and outcome; the caller fills in what it knows.
    #[must_use]
    pub fn new(kind: EntryKind, at: Timestamp, log: OdsCode, outcome: &str) -> Self {
        Self {
            kind,
            at,
            log,
            asker: None,
            holder: None,
            actor: None,
            purpose: None,
            reason: None,
            evidence: Vec::new(),
            outcome: outcome.to_owned(),
            cause: None,
            policy: None,
            policy_ids: Vec::new(),
            manifest_version: None,
            beacon_age: None,
            query_id: None,
            query: None,
            envelope: None,
            receipt: None,
            root: None,
            counts: BTreeMap::new(),
            bytes: 0,
            objection: None,
            deceased: false,
            grant: None,
            granted: Vec::new(),
            case_number: None,
            cells: Vec::new(),
            commitment_salt: None,
            detail: None,
        }
    }
}

impl EntryKind {
    /// The kind's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Intent => "INTENT",
            Self::Decision => "DECISION",
            Self::Receipt => "RECEIPT",
            Self::Ack => "ACK",
            Self::Admin => "ADMIN",
            Self::Alert => "ALERT",
        }
    }
}
