//! Changing keys and certificates of a running node, and asking beforehand who would not follow.

use serde::{Deserialize, Serialize};

use crate::id::OdsCode;
use crate::query::Cause;
use crate::time::Timestamp;

/// What is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RotationPart {
    /// The organisation certificate, for the same key.
    Certificate,
    /// The organisation key, and with it the certificate.
    OrganisationKey,
    /// The key of the peer endpoint.
    NodeKey,
}

/// Take the next step of a rotation: prepare a successor, put it in use, or end the overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationOrder {
    /// What is changed.
    pub part: RotationPart,
    /// Only ask every reachable member whether it would accept the successor; change nothing.
    pub rehearse: bool,
    /// Go on although a member would not accept it, was not reached, or the time has not come.
    pub force: bool,
}

/// What a member said to the successor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberVerdict {
    /// The member.
    pub ods: OdsCode,
    /// Its name.
    pub name: String,
    /// Whether it was reached and said anything.
    pub reached: bool,
    /// Why it would not accept: its own words, or why it could not be asked.
    pub refused: Option<Cause>,
    /// What it would refuse direct care for all the same.
    pub lapses: Vec<Cause>,
    /// Its clock against ours, in seconds, where it was reached.
    pub skew: Option<i64>,
    /// The newest manifest it holds, where it was reached.
    pub manifest_version: Option<u64>,
    /// What somebody should know although it would accept, such as `MANIFEST_OLD 3<5`.
    pub remarks: Vec<String>,
}

/// What came of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationReport {
    /// What is changed.
    pub part: RotationPart,
    /// The state before.
    pub before: RotationState,
    /// The state now.
    pub now: RotationState,
    /// What every member said; empty where none was asked.
    pub members: Vec<MemberVerdict>,
    /// What was done, or why nothing was, in words.
    pub said: String,
    /// What comes next, in words.
    pub next: String,
    /// Whether the order was carried out: `false` when a verdict stood in the way.
    pub done: bool,
}

/// Where a key or certificate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RotationState {
    /// One, in use.
    Active,
    /// A successor is made and announced, and signs nothing yet.
    Prepared,
    /// The successor is in use; the predecessor is still accepted.
    Overlap,
}

/// One key or certificate of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationLine {
    /// Which.
    pub part: RotationPart,
    /// Where it stands.
    pub state: RotationState,
    /// When what is in use ends, where it ends.
    pub until: Option<Timestamp>,
    /// When the timer takes the next step by itself, where it does.
    pub next_step: Option<Timestamp>,
}

impl RotationPart {
    /// Every part.
    pub const ALL: [Self; 3] = [Self::Certificate, Self::OrganisationKey, Self::NodeKey];

    /// As typed and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::OrganisationKey => "organisation-key",
            Self::NodeKey => "node-key",
        }
    }
}

impl RotationState {
    /// As shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Prepared => "prepared",
            Self::Overlap => "overlap",
        }
    }
}
