//! A member organisation.

use std::fmt;
use std::str::FromStr;

use careweave_protocol::id::{Digest, OdsCode};
use serde::{Deserialize, Serialize};

/// One organisation of the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its ODS code.
    pub ods: OdsCode,
    /// Its name, as shown to people.
    pub name: String,
    /// What it is.
    pub kind: MemberKind,
    /// Care setting, as shown to people.
    pub care_setting: String,
    /// The neighbourhood it belongs to, when it belongs to one.
    pub neighbourhood: Option<String>,
    /// How far its activation has come.
    pub stage: RolloutStage,
    /// Where alerts about it go.
    pub alert_contact: String,
    /// Whom to ring when its records are needed and its node does not reply.
    pub duty_contact: String,
    /// The organisation keys that are accepted.
    pub key: KeyPin,
}

/// SHA-256 of the `SubjectPublicKeyInfo` of the accepted organisation keys: a certificate for any other key is refused,
/// whoever issued it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPin {
    /// The key in use.
    pub active: Digest,
    /// Its announced successor.
    pub next: Option<Digest>,
}

/// What an organisation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemberKind {
    /// General practice.
    GpPractice,
    /// Acute hospital trust.
    Acute,
    /// Community trust.
    Community,
    /// Mental health trust.
    MentalHealth,
    /// Ambulance trust.
    Ambulance,
    /// Care home.
    CareHome,
    /// Council social care.
    SocialCare,
    /// Community pharmacy.
    Pharmacy,
    /// Voluntary organisation.
    Voluntary,
    /// Governance office.
    Governance,
}

/// How far a member's activation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RolloutStage {
    /// Admitted, not yet in use.
    Planned,
    /// In use by a first group.
    Pilot,
    /// In use.
    Live,
}

impl KeyPin {
    /// Whether this key is accepted.
    #[must_use]
    pub fn accepts(&self, spki: &Digest) -> bool {
        self.active == *spki || self.next.as_ref() == Some(spki)
    }
}

impl MemberKind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::GpPractice,
        Self::Acute,
        Self::Community,
        Self::MentalHealth,
        Self::Ambulance,
        Self::CareHome,
        Self::SocialCare,
        Self::Pharmacy,
        Self::Voluntary,
        Self::Governance,
    ];

    /// The kind's name, as typed and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GpPractice => "gp-practice",
            Self::Acute => "acute",
            Self::Community => "community",
            Self::MentalHealth => "mental-health",
            Self::Ambulance => "ambulance",
            Self::CareHome => "care-home",
            Self::SocialCare => "social-care",
            Self::Pharmacy => "pharmacy",
            Self::Voluntary => "voluntary",
            Self::Governance => "governance",
        }
    }

    /// The care setting, when the organisation states none.
    #[must_use]
    pub fn care_setting(self) -> &'static str {
        match self {
            Self::GpPractice => "primary-care",
            other => other.as_str(),
        }
    }

    /// Whether a member of this kind is asked for views: voluntary organisations and the governance office hold no records.
    #[must_use]
    pub fn holds_records(self) -> bool {
        !matches!(self, Self::Voluntary | Self::Governance)
    }
}

impl fmt::Display for MemberKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for MemberKind {
    type Err = UnknownKind;
    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|k| k.as_str() == text).ok_or(UnknownKind)
    }
}

impl RolloutStage {
    /// The stage's name, as typed and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Pilot => "pilot",
            Self::Live => "live",
        }
    }
}

impl FromStr for RolloutStage {
    type Err = UnknownStage;
    fn from_str(text: &str) -> Result<Self, UnknownStage> {
        [Self::Planned, Self::Pilot, Self::Live].into_iter().find(|s| s.as_str() == text).ok_or(UnknownStage)
    }
}

/// Not one of the kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a kind of member; one of gp-practice acute community mental-health ambulance care-home social-care pharmacy voluntary governance"
)]
pub struct UnknownKind;

/// Not one of the stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a rollout stage; one of planned pilot live")]
pub struct UnknownStage;
