//! The record-holding organisations of the demonstration network, as they name themselves inside their own records.

use serde_json::{Value, json};

use super::ODS_SYSTEM;

/// One organisation: its ODS code, its display name and the neutral role that signs its entries.
#[derive(Debug)]
pub(super) struct Organisation {
    pub(super) ods: &'static str,
    pub(super) name: &'static str,
    pub(super) author: &'static str,
    pub(super) style: Style,
}

impl Organisation {
    /// A logical reference (FHIR R4 `Reference.identifier`): an organisation is never an entry of a holding.
    pub(super) fn reference(&self) -> Value {
        json!({
            "type": "Organization",
            "identifier": {"system": ODS_SYSTEM, "value": self.ods},
            "display": self.name
        })
    }
}

/// How an organisation's system spells names and addresses, so that copies of one patient differ as they do in life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// All given names, words written out, one line for each part.
    Full,
    /// First given name only, street words abbreviated.
    Abbreviated,
    /// Capitals throughout.
    Capitals,
    /// Hyphens typed as spaces and the whole address on one line.
    OneLine,
}

pub(super) const PRACTICE_BOROUGH: Organisation =
    Organisation { ods: "Y91001", name: "Borough GP practice", author: "Duty doctor", style: Style::Full };
pub(super) const PRACTICE_WALWORTH: Organisation =
    Organisation { ods: "Y91002", name: "Walworth GP practice", author: "Duty doctor", style: Style::Full };
pub(super) const ACUTE: Organisation =
    Organisation { ods: "R9A", name: "Acute hospital trust", author: "Ward doctor", style: Style::Abbreviated };
pub(super) const COMMUNITY: Organisation =
    Organisation { ods: "R9C", name: "Community health trust", author: "District nurse", style: Style::Abbreviated };
pub(super) const MENTAL_HEALTH: Organisation =
    Organisation { ods: "R9M", name: "Mental health trust", author: "Mental health practitioner", style: Style::Full };
pub(super) const AMBULANCE: Organisation =
    Organisation { ods: "R9X", name: "Ambulance trust", author: "Ambulance crew", style: Style::Capitals };
pub(super) const CARE_HOME: Organisation =
    Organisation { ods: "VL901", name: "Bermondsey care home", author: "Care home nurse", style: Style::OneLine };
pub(super) const COUNCIL: Organisation =
    Organisation { ods: "901", name: "Council adult social care", author: "Duty social worker", style: Style::OneLine };
pub(super) const PHARMACY: Organisation = Organisation {
    ods: "FZ901",
    name: "Rotherhithe pharmacy",
    author: "Responsible pharmacist",
    style: Style::Abbreviated,
};

/// The practice with this ODS code; the Walworth practice for any other.
pub(super) fn practice(ods: &str) -> &'static Organisation {
    if ods == PRACTICE_BOROUGH.ods { &PRACTICE_BOROUGH } else { &PRACTICE_WALWORTH }
}
