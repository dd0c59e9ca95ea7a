//! Codes in everyday words. Where there is a code that people type, it stands beside the words.

use careweave_protocol::identity::StaffGroup;
use careweave_protocol::query::Purpose;

/// The staff group in words.
pub(super) fn group(group: StaffGroup) -> &'static str {
    match group {
        StaffGroup::Gp => "general practitioner",
        StaffGroup::Hos => "hospital clinician",
        StaffGroup::Psy => "psychiatrist",
        StaffGroup::Rn => "nurse",
        StaffGroup::Mhn => "mental-health nurse",
        StaffGroup::Ahp => "allied health professional",
        StaffGroup::Pha => "pharmacist",
        StaffGroup::Chn => "care home nurse",
        StaffGroup::Chs => "senior carer",
        StaffGroup::Chc => "carer",
        StaffGroup::Par => "paramedic",
        StaffGroup::Sw => "social worker",
        StaffGroup::Nav => "care navigator",
        StaffGroup::Vol => "voluntary worker",
        StaffGroup::Fac => "neighbourhood facilitator",
        StaffGroup::Ig => "privacy officer",
        StaffGroup::Ra => "registration authority",
        StaffGroup::It => "systems",
    }
}

/// The purpose in words.
pub(super) fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Treat => "direct care",
        Purpose::Coc => "coordination of care",
        Purpose::Etreat => "emergency care",
        Purpose::Btg => "break-glass",
        Purpose::Caremgt => "case finding",
        Purpose::Hoperat => "operations",
        Purpose::Hqualimp => "quality improvement",
        Purpose::Patrqt => "subject access",
        Purpose::Hcompl => "audit review",
        Purpose::Hsysadmin => "system administration",
        Purpose::Hresch => "research",
    }
}

/// What a laboratory's mark means (HL7 v3 `ObservationInterpretation`); other marks stand as they are.
pub(super) fn interpretation(mark: &str) -> Option<&'static str> {
    Some(match mark {
        "H" | "HU" => "high",
        "HH" => "critically high",
        "L" | "LU" => "low",
        "LL" => "critically low",
        "A" => "abnormal",
        "AA" => "critically abnormal",
        "N" => "normal",
        "POS" => "positive",
        "NEG" => "negative",
        _ => return None,
    })
}

/// A count with its noun.
pub(super) fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
