//! Which category a resource belongs to and which sensitivity labels it carries: one table, decided once, at import.
//!
//! Order: safeguarding, advance-care, discharge, letters, redbag and aboutme by their codes; then codes in the table's order;
//! then types in the table's order; what fits nothing is `other` and is returned to the own organisation only. A code counts
//! wherever a resource says what it is: `code`, `type`, `category`, `class`, `meta.tag`. A document (a document Bundle or a
//! Composition) takes its own category, or safeguarding when a safeguarding flag is inside; a known code inside a document of
//! unknown type never opens the document. Its labels are all that are inside.

use careweave_protocol::record::code::{ACT_CODE, CONFIDENTIALITY, LOINC, SNOMED};
use careweave_protocol::record::{Category, Label, Labels};
use serde_json::Value;

use super::element::{codings, each, items, text};

/// A patient's seal in `meta.security`: `patient` beside v3-Confidentiality V; `even-in-emergency` when it holds then too;
/// `legal` for what a law or a court withholds; `informant` and `competent-minor` for what was told in confidence.
pub const SEAL: &str = "https://careweave.example/fhir/CodeSystem/seal";
/// A category stated by the feed, by its name (such as `experience`), in `category` or `meta.tag`.
pub const RECORD_CATEGORY: &str = "https://careweave.example/fhir/CodeSystem/record-category";
/// Kinds of social-care records; any code of it means `socialcare`.
pub const SOCIAL_CARE: &str = "https://careweave.example/fhir/CodeSystem/social-care";

/// What classification decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class {
    /// The row of the access table.
    pub category: Category,
    /// Sensitivity labels.
    pub labels: Labels,
}

/// Classifies a resource.
#[must_use]
pub fn classify(resource: &Value) -> Class {
    let kind = text(resource, "resourceType").unwrap_or("");
    let mut labels = labels_inside(resource);
    let category = match kind {
        "Bundle" => document_category(resource),
        "Composition" => {
            if holds_safeguarding(resource) {
                Category::Safeguarding
            } else {
                category_of(resource, kind)
            }
        }
        _ => category_of(resource, kind),
    };
    // R on a Patient restricts the whereabouts (stripped forms), not who the person is; on a safeguarding record it says
    // what the category already does.
    if kind == "Patient" {
        labels = without_confidentiality(labels);
    } else if category == Category::Safeguarding {
        labels = labels.iter().filter(|l| *l != Label::Restricted).fold(Labels::NONE, Labels::with);
    }
    Class { category, labels }
}

/// Whether a Patient's `meta.security` restricts the address (R, V or PDS's `REDACTED`).
#[must_use]
pub(super) fn restricts_address(patient: &Value) -> bool {
    patient.get("meta").is_some_and(|meta| {
        codings(meta, "security")
            .any(|(system, code, _)| system == CONFIDENTIALITY && matches!(code, "R" | "V" | "REDACTED"))
    })
}

/// One row of the table.
struct Row {
    category: Category,
    /// Resource types it takes; with codes, those a code is looked for on. Empty: any type.
    types: &'static [&'static str],
    /// SNOMED CT and LOINC codes; the two systems' codes never look alike.
    codes: &'static [&'static str],
}

const DOCUMENTS: &[&str] = &["Composition", "DocumentReference", "Bundle"];

/// Rows that only a code opens, before all others.
const FIRST: &[Row] = &[
    Row {
        category: Category::AdvanceCare,
        types: &[],
        codes: &["736366004", "1382601000000107", "450476008", "42348-3"],
    },
    Row { category: Category::Discharge, types: DOCUMENTS, codes: &["373942005", "18842-5"] },
    Row { category: Category::Letters, types: DOCUMENTS, codes: &["823751000000102", "25611000000107", "57133-1"] },
    Row { category: Category::RedBag, types: DOCUMENTS, codes: &["371535009", "18761-7"] },
    Row {
        category: Category::AboutMe,
        types: &["QuestionnaireResponse", "DocumentReference", "Composition", "Bundle"],
        codes: &["1515851000000101", "81338-6"],
    },
];

/// Rows of codes in the table's order.
const CODED: &[Row] = &[
    Row { category: Category::Problems, types: &[], codes: &["717711000000103", "11450-4", "11348-0"] },
    Row { category: Category::Allergies, types: &[], codes: &["886921000000105", "716186003", "48765-2"] },
    Row { category: Category::Medications, types: &[], codes: &["933361000000108", "10160-0"] },
    Row { category: Category::Results, types: &[], codes: &["887191000000108", "30954-2"] },
    Row { category: Category::Imaging, types: &[], codes: &["721981007", "18748-4"] },
    Row { category: Category::Vitals, types: &[], codes: &["1102421000000108", "8716-3", "1363501000000100"] },
    Row { category: Category::Procedures, types: &[], codes: &["887171000000109", "47519-4"] },
    Row { category: Category::Immunisations, types: &[], codes: &["1102181000000102", "11369-6"] },
    Row { category: Category::Encounters, types: &[], codes: &["46240-8"] },
    Row { category: Category::Appointments, types: &["Appointment"], codes: &["439708006", "225929007"] },
    Row { category: Category::CarePlan, types: &[], codes: &["734163000", "2181441000000107", "18776-5"] },
    Row {
        category: Category::Assessments,
        types: &[],
        codes: &["713634000", "325931000000109", "312384001", "47420-5"],
    },
    Row { category: Category::CareTeam, types: &[], codes: &["85847-2"] },
    Row { category: Category::Referrals, types: &[], codes: &["792931000000107", "871731000000106", "57133-1"] },
    Row { category: Category::Flags, types: &["Flag"], codes: &["717341000000101", "104605-1"] },
    Row { category: Category::SocialCare, types: &[], codes: &["29762-2"] },
];

/// Rows of types in the table's order; Observation and DiagnosticReport are told apart by their category.
const TYPED: &[Row] = &[
    Row { category: Category::Demographics, types: &["Patient", "RelatedPerson"], codes: &[] },
    Row { category: Category::Problems, types: &["Condition"], codes: &[] },
    Row { category: Category::Allergies, types: &["AllergyIntolerance"], codes: &[] },
    Row {
        category: Category::Medications,
        types: &[
            "MedicationRequest",
            "MedicationStatement",
            "MedicationDispense",
            "MedicationAdministration",
            "Medication",
        ],
        codes: &[],
    },
    Row { category: Category::Results, types: &["DiagnosticReport"], codes: &[] },
    Row { category: Category::Imaging, types: &["ImagingStudy"], codes: &[] },
    Row { category: Category::Procedures, types: &["Procedure"], codes: &[] },
    Row { category: Category::Immunisations, types: &["Immunization"], codes: &[] },
    Row { category: Category::Encounters, types: &["Encounter", "EpisodeOfCare"], codes: &[] },
    Row { category: Category::Appointments, types: &["Appointment"], codes: &[] },
    Row { category: Category::CarePlan, types: &["CarePlan", "Goal"], codes: &[] },
    Row { category: Category::Assessments, types: &["QuestionnaireResponse"], codes: &[] },
    Row { category: Category::CareTeam, types: &["CareTeam", "PractitionerRole"], codes: &[] },
    Row { category: Category::Referrals, types: &["ServiceRequest", "Task"], codes: &[] },
    Row { category: Category::Flags, types: &["Flag"], codes: &[] },
];

/// Codes of `Consent.category` and `Consent.scope` that make it an advance decision
/// (<http://terminology.hl7.org/CodeSystem/consentcategorycodes>, <http://terminology.hl7.org/CodeSystem/consentscope>).
const ADVANCE_CONSENTS: [&str; 6] = ["acd", "dnr", "hcd", "polst", "emrgonly", "adr"];
/// Diagnostic services of radiology (HL7 v2 table 0074) and its LOINC class.
const RADIOLOGY: [&str; 12] =
    ["RAD", "RX", "CT", "NMR", "NMS", "RUS", "OUS", "VUS", "CUS", "XRC", "LP29684-5", "394914008"];

fn category_of(resource: &Value, kind: &str) -> Category {
    if is_safeguarding(resource) {
        return Category::Safeguarding;
    }
    let coded = |rows: &[Row]| {
        rows.iter()
            .find(|row| (row.types.is_empty() || row.types.contains(&kind)) && said(resource).any(|c| in_row(row, c)))
            .map(|row| row.category)
    };
    // A problem or result that merely names such a code is still found by it: better seen as an advance decision than missed.
    if let Some(category) = coded(FIRST) {
        return category;
    }
    match kind {
        "Consent" if of_system(resource, &["category", "scope"], |_, code| ADVANCE_CONSENTS.contains(&code)) => {
            return Category::AdvanceCare;
        }
        "Flag" if of_system(resource, &["category"], |_, code| code == "advance-directive") => {
            return Category::AdvanceCare;
        }
        "QuestionnaireResponse" => match text(resource, "questionnaire").map(questionnaire_name) {
            Some("about-me") => return Category::AboutMe,
            Some("experience") => return Category::Experience,
            _ => {}
        },
        _ => {}
    }
    if let Some(stated) =
        said(resource).find(|(system, _)| *system == RECORD_CATEGORY).and_then(|(_, code)| code.parse().ok())
    {
        return stated;
    }
    if said(resource).any(|(system, _)| system == SOCIAL_CARE) {
        return Category::SocialCare;
    }
    if let Some(category) = coded(CODED) {
        return category;
    }
    match kind {
        "Observation" => observation_category(resource),
        "DiagnosticReport" if of_system(resource, &["category"], |_, code| RADIOLOGY.contains(&code)) => {
            Category::Imaging
        }
        _ => TYPED.iter().find(|row| row.types.contains(&kind)).map_or(Category::Other, |row| row.category),
    }
}

fn observation_category(resource: &Value) -> Category {
    codings(resource, "category")
        .find_map(|(_, code, _)| match code {
            "laboratory" => Some(Category::Results),
            "vital-signs" => Some(Category::Vitals),
            "survey" => Some(Category::Assessments),
            "imaging" => Some(Category::Imaging),
            _ => None,
        })
        .unwrap_or(Category::Other)
}

fn document_category(bundle: &Value) -> Category {
    let mut own = Category::Other;
    for (place, resource) in items(bundle, "entry").filter_map(|entry| entry.get("resource")).enumerate() {
        let kind = text(resource, "resourceType").unwrap_or("");
        let category = if kind == "Composition" { composed(resource) } else { category_of(resource, kind) };
        if category == Category::Safeguarding {
            return category;
        }
        // The Composition is the first entry of a document (FHIR R4 §3.3.1).
        if place == 0 && kind == "Composition" {
            own = category;
        }
    }
    own
}

fn composed(composition: &Value) -> Category {
    if holds_safeguarding(composition) { Category::Safeguarding } else { category_of(composition, "Composition") }
}

fn holds_safeguarding(composition: &Value) -> bool {
    is_safeguarding(composition) || items(composition, "contained").any(is_safeguarding)
}

fn is_safeguarding(resource: &Value) -> bool {
    of_system(resource, &["category"], |_, code| code == "safeguarding")
        || said(resource).any(|(system, code)| system == RECORD_CATEGORY && code == "safeguarding")
        || text(resource, "resourceType") == Some("Flag")
            && items(resource, "category")
                .any(|c| text(c, "text").is_some_and(|words| words.eq_ignore_ascii_case("safeguarding")))
}

/// Every code by which a resource says what it is: (system, code).
fn said(resource: &Value) -> impl Iterator<Item = (&str, &str)> {
    let own = ["code", "type", "category", "class"].into_iter().flat_map(|name| codings(resource, name));
    let tags = resource.get("meta").into_iter().flat_map(|meta| codings(meta, "tag"));
    own.chain(tags).map(|(system, code, _)| (system, code))
}

fn in_row(row: &Row, (system, code): (&str, &str)) -> bool {
    matches!(system, SNOMED | LOINC) && row.codes.contains(&code)
}

fn of_system(resource: &Value, names: &[&str], fits: impl Fn(&str, &str) -> bool) -> bool {
    names.iter().any(|name| codings(resource, name).any(|(system, code, _)| fits(system, code)))
}

fn questionnaire_name(canonical: &str) -> &str {
    let plain = canonical.split('|').next().unwrap_or(canonical);
    plain.strip_prefix("https://careweave.example/fhir/Questionnaire/").unwrap_or("")
}

/// The labels of a resource and of everything it contains or bundles.
fn labels_inside(resource: &Value) -> Labels {
    let mut labels = own_labels(resource);
    for inside in items(resource, "contained") {
        labels = labels.union(own_labels(inside));
    }
    for entry in items(resource, "entry") {
        if let Some(inside) = entry.get("resource") {
            let inner = labels_inside(inside);
            let patient = text(inside, "resourceType") == Some("Patient");
            labels = labels.union(if patient { without_confidentiality(inner) } else { inner });
        }
    }
    labels
}

fn own_labels(resource: &Value) -> Labels {
    let meta = resource.get("meta").into_iter().flat_map(|meta| codings(meta, "security"));
    let stated = meta.chain(codings(resource, "securityLabel"));
    let mut labels = stated.filter_map(|(system, code, _)| label(system, code)).fold(Labels::NONE, Labels::with);
    // Composition.confidentiality is a bare code of v3-Confidentiality.
    for code in each(resource.get("confidentiality")).filter_map(Value::as_str) {
        labels = label(CONFIDENTIALITY, code).map_or(labels, |l| labels.with(l));
    }
    if labels.contains(Label::Sealed) || labels.contains(Label::Legal) {
        labels = labels.iter().filter(|l| *l != Label::VeryRestricted).fold(Labels::NONE, Labels::with);
    }
    labels
}

fn label(system: &str, code: &str) -> Option<Label> {
    match (system, code) {
        (ACT_CODE, "PSY") => Some(Label::Psy),
        (ACT_CODE, "ETH" | "ETHUD" | "OPIOIDUD" | "SUD") => Some(Label::Eth),
        (ACT_CODE, "SDV" | "DVD" | "SV") => Some(Label::Sdv),
        (ACT_CODE, "HIV") => Some(Label::Hiv),
        (ACT_CODE, "SEX") => Some(Label::Sex),
        (ACT_CODE, "STD") => Some(Label::Std),
        // Any other sensitivity: one cannot tell what it asks for, so it is restricted.
        (ACT_CODE, _) | (CONFIDENTIALITY, "R") | (SEAL, "informant" | "competent-minor") => Some(Label::Restricted),
        (CONFIDENTIALITY, "V" | "REDACTED") => Some(Label::VeryRestricted),
        (SEAL, "patient") => Some(Label::Sealed),
        // Including `even-in-emergency`, `legal`, and a seal this version does not know.
        (SEAL, _) => Some(Label::Legal),
        _ => None,
    }
}

fn without_confidentiality(labels: Labels) -> Labels {
    labels.iter().filter(|l| !matches!(l, Label::Restricted | Label::VeryRestricted)).fold(Labels::NONE, Labels::with)
}
