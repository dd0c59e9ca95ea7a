//! The forms in which a record is kept, made at import so that answering forwards bytes and parses nothing.

use serde::{Deserialize, Serialize};

/// One stored form of a record. The number is its code on the wire and in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Form {
    /// The original bytes, exactly.
    Full = 1,
    /// Codes, dates and status; no narrative; uncoded entries counted (FHIR tag SUBSETTED).
    Summary = 2,
    /// A labelled medicine, allergy, flag or advance decision: everything but indication and narrative.
    Essential = 3,
    /// As `Full`, without what gives an address-restricted patient's whereabouts away.
    FullStripped = 4,
    /// As `Summary`, stripped likewise.
    SummaryStripped = 5,
    /// As `Essential`, stripped likewise.
    EssentialStripped = 6,
}

impl Form {
    /// Every form.
    pub const ALL: [Self; 6] = [
        Self::Full,
        Self::Summary,
        Self::Essential,
        Self::FullStripped,
        Self::SummaryStripped,
        Self::EssentialStripped,
    ];

    /// The code on the wire and in the store.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The form with this code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.code() == code)
    }

    /// The same form without whereabouts.
    #[must_use]
    pub fn stripped(self) -> Self {
        match self {
            Self::Full | Self::FullStripped => Self::FullStripped,
            Self::Summary | Self::SummaryStripped => Self::SummaryStripped,
            Self::Essential | Self::EssentialStripped => Self::EssentialStripped,
        }
    }
}
