//! A code of a terminology.

use serde::{Deserialize, Serialize};

/// FHIR `Coding` as far as choosing and showing needs it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Coding {
    /// The terminology's URI.
    pub system: String,
    /// The code.
    pub code: String,
    /// How the holder displays it; may disagree with the terminology.
    pub display: Option<String>,
}

/// SNOMED CT and dm+d.
pub const SNOMED: &str = "http://snomed.info/sct";
/// LOINC.
pub const LOINC: &str = "http://loinc.org";
/// NHS number.
pub const NHS_NUMBER: &str = "https://fhir.nhs.uk/Id/nhs-number";
/// Organisation codes.
pub const ODS: &str = "https://fhir.nhs.uk/Id/ods-organization-code";
/// Confidentiality (N, R, V).
pub const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
/// Sensitivity (ETH, PSY, SDV, HIV, SEX, STD).
pub const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
