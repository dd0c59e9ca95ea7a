//! Why an organisation believes the patient is theirs to ask about.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Kind of relationship between the asking organisation (or person) and the patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relationship {
    /// The patient is registered with this practice (`Patient.generalPractitioner`).
    RegisteredPractice,
    /// A referral for the patient was received.
    Referral,
    /// An Encounter or EpisodeOfCare is open.
    OpenEpisode,
    /// The patient lives in this home.
    Residency,
    /// A meeting about the patient is under way.
    Meeting,
    /// The patient is on the person's caseload.
    Caseload,
    /// Acting for the patient.
    Proxy,
    /// Nothing but the asker's word; counts for ETREAT only, and alerts both sides.
    SelfClaimed,
}

impl Relationship {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::RegisteredPractice,
        Self::Referral,
        Self::OpenEpisode,
        Self::Residency,
        Self::Meeting,
        Self::Caseload,
        Self::Proxy,
        Self::SelfClaimed,
    ];

    /// The kind's name in policies and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RegisteredPractice => "registered-practice",
            Self::Referral => "referral",
            Self::OpenEpisode => "open-episode",
            Self::Residency => "residency",
            Self::Meeting => "meeting",
            Self::Caseload => "caseload",
            Self::Proxy => "proxy",
            Self::SelfClaimed => "self-claimed",
        }
    }
}

/// One piece of evidence, derived by the asking node from its own records and signed in the envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What kind.
    pub kind: Relationship,
    /// Since when.
    pub since: Timestamp,
    /// Until when, where an end is known; an ended one counts for nothing.
    pub until: Option<Timestamp>,
    /// What the asking organisation's record says, such as `Patient.generalPractitioner`; no clinical content.
    pub basis: String,
}

impl Evidence {
    /// Whether it holds at this instant.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.since <= now && self.until.is_none_or(|end| end > now)
    }
}
