//! What a view was made from: every member of the network with what came of asking it.

use serde::{Deserialize, Serialize};

use crate::id::{Digest, NetworkId, OdsCode, QueryId};
use crate::query::Cause;
use crate::signed::Document;
use crate::time::Timestamp;

/// What one member contributed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceOutcome {
    /// Replied with everything it may share.
    Answered,
    /// Replied with part of it.
    AnsweredPartial,
    /// Replied; nothing it can share. Never counts towards "none recorded".
    NothingShareable,
    /// Refused, for a cause the asker can mend.
    Refused(Cause),
    /// Reached, but not in time.
    Timeout,
    /// Not reached.
    Unreachable,
    /// Reached, but not believed.
    Untrusted(Cause),
    /// Reached, but speaks no common version.
    Incompatible,
    /// Said it is too busy; retry after this many milliseconds.
    Busy(u32),
    /// Not asked, and why.
    NotAsked(NotAsked),
}

/// Why a member was not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotAsked {
    /// Its kind holds no records (governance, voluntary).
    HoldsNoRecords,
    /// Suspended from the network.
    Suspended,
    /// It is admitted and not yet in use: its rollout stage is planned.
    NotLive,
    /// More members than one view asks.
    FanOutLimit,
    /// The person's role and purpose see nothing there.
    RoleSeesNothing,
    /// Whereabouts of this patient are restricted and this source is local.
    Restricted,
}

impl SourceOutcome {
    /// Whether the source was asked and did reply.
    #[must_use]
    pub fn replied(&self) -> bool {
        matches!(self, Self::Answered | Self::NothingShareable | Self::Refused(_))
    }

    /// Whether it was asked.
    #[must_use]
    pub fn asked(&self) -> bool {
        !matches!(self, Self::NotAsked(_))
    }

    /// The outcome's stable name.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::AnsweredPartial => "answered-partial",
            Self::NothingShareable => "nothing-shareable",
            Self::Refused(_) => "refused",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Untrusted(_) => "untrusted",
            Self::Incompatible => "incompatible",
            Self::Busy(_) => "busy",
            Self::NotAsked(_) => "not-asked",
        }
    }
}

/// One member's line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceLine {
    /// The member.
    pub ods: OdsCode,
    /// What came of it.
    pub outcome: SourceOutcome,
    /// Records received and verified.
    pub records: u32,
    /// Milliseconds from asking to the last verified byte.
    pub ms: u32,
    /// Up to when its data is complete.
    pub data_to: Option<Timestamp>,
    /// SHA-256 of the signed answer header, where one came.
    pub receipt: Option<Digest>,
}

/// COSE_Sign1 by the asker's node key. It proves what was received; a timeout is a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completeness {
    /// The network.
    pub network: NetworkId,
    /// The query.
    pub query_id: QueryId,
    /// Whose node says so.
    pub asker: OdsCode,
    /// When the view was finished.
    pub as_at: Timestamp,
    /// The manifest whose members are listed.
    pub manifest_version: u64,
    /// Every member of that manifest, in the order of their codes.
    pub sources: Vec<SourceLine>,
}

impl Document for Completeness {
    const CONTEXT: &'static str = "careweave completeness 1";
    const MAX: usize = 4 * 1024 * 1024;
}
