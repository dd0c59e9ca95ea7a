//! Purposes of use (HL7 v3 PurposeOfUse, `http://terminology.hl7.org/CodeSystem/v3-ActReason`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why somebody asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Purpose {
    /// Direct care.
    Treat,
    /// Coordination: a meeting, a referral.
    Coc,
    /// Emergency.
    Etreat,
    /// Break-glass, under a signed grant.
    Btg,
    /// Case finding in the own records.
    Caremgt,
    /// Operations, aggregates only.
    Hoperat,
    /// Quality improvement, aggregates only.
    Hqualimp,
    /// Subject access.
    Patrqt,
    /// Audit review.
    Hcompl,
    /// System administration, no clinical payload.
    Hsysadmin,
    /// Research; always refused.
    Hresch,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 11] = [
        Self::Treat,
        Self::Coc,
        Self::Etreat,
        Self::Btg,
        Self::Caremgt,
        Self::Hoperat,
        Self::Hqualimp,
        Self::Patrqt,
        Self::Hcompl,
        Self::Hsysadmin,
        Self::Hresch,
    ];

    /// The code of the purpose.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Treat => "TREAT",
            Self::Coc => "COC",
            Self::Etreat => "ETREAT",
            Self::Btg => "BTG",
            Self::Caremgt => "CAREMGT",
            Self::Hoperat => "HOPERAT",
            Self::Hqualimp => "HQUALIMP",
            Self::Patrqt => "PATRQT",
            Self::Hcompl => "HCOMPL",
            Self::Hsysadmin => "HSYSADMIN",
            Self::Hresch => "HRESCH",
        }
    }

    /// Emergency care and break-glass go on when training, a standard or a beacon has lapsed; an alert is raised instead.
    #[must_use]
    pub fn is_urgent(self) -> bool {
        matches!(self, Self::Etreat | Self::Btg)
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Purpose {
    type Err = UnknownPurpose;
    fn from_str(text: &str) -> Result<Self, UnknownPurpose> {
        Self::ALL.into_iter().find(|p| p.as_str().eq_ignore_ascii_case(text)).ok_or(UnknownPurpose)
    }
}

/// Not one of the purposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a purpose of use")]
pub struct UnknownPurpose;
