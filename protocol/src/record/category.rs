//! Record categories: the rows of the access table.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! categories {
    ($($(#[$doc:meta])* $variant:ident = $code:literal $name:literal),+ $(,)?) => {
        /// What a record is about; decided once, at import. The number is its code on the wire and in the store.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Category {
            $($(#[$doc])* #[serde(rename = $name)] $variant = $code),+
        }

        impl Category {
            /// Every category, in the table's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The category's name, as in `--category`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The code on the wire and in the store.
            #[must_use]
            pub fn code(self) -> u8 {
                match self { $(Self::$variant => $code),+ }
            }

            /// The category with this code.
            #[must_use]
            pub fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

categories! {
    /// Patient, RelatedPerson.
    Demographics = 1 "demographics",
    /// Condition.
    Problems = 2 "problems",
    /// AllergyIntolerance.
    Allergies = 3 "allergies",
    /// MedicationRequest, MedicationStatement, MedicationDispense, MedicationAdministration, Medication.
    Medications = 4 "medications",
    /// DiagnosticReport, Observation (laboratory).
    Results = 5 "results",
    /// ImagingStudy, DiagnosticReport (radiology).
    Imaging = 6 "imaging",
    /// Observation (vital signs), NEWS2.
    Vitals = 7 "vitals",
    /// Procedure.
    Procedures = 8 "procedures",
    /// Immunization.
    Immunisations = 9 "immunisations",
    /// Encounter, EpisodeOfCare.
    Encounters = 10 "encounters",
    /// Appointment.
    Appointments = 11 "appointments",
    /// Composition, DocumentReference or document Bundle of a discharge.
    Discharge = 12 "discharge",
    /// DocumentReference of a letter.
    Letters = 13 "letters",
    /// CarePlan, Goal.
    CarePlan = 14 "careplan",
    /// Advance decisions: DocumentReference, Consent, Flag.
    AdvanceCare = 15 "advance-care",
    /// QuestionnaireResponse, Observation (survey).
    Assessments = 16 "assessments",
    /// CareTeam, PractitionerRole.
    CareTeam = 17 "careteam",
    /// ServiceRequest, Task.
    Referrals = 18 "referrals",
    /// Flag.
    Flags = 19 "flags",
    /// Flag of category safeguarding.
    Safeguarding = 20 "safeguarding",
    /// Home environment, equipment, packages of care.
    SocialCare = 21 "socialcare",
    /// What matters to the person.
    AboutMe = 22 "aboutme",
    /// Hospital transfer pack.
    RedBag = 23 "redbag",
    /// Experience answers; never part of a view.
    Experience = 24 "experience",
    /// Everything else; returned to the own organisation only.
    Other = 25 "other",
}

impl Category {
    /// The category's name as a heading and at the head of a sentence.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Demographics => "Demographics",
            Self::Problems => "Problems",
            Self::Allergies => "Allergies",
            Self::Medications => "Medications",
            Self::Results => "Results",
            Self::Imaging => "Imaging",
            Self::Vitals => "Vital signs",
            Self::Procedures => "Procedures",
            Self::Immunisations => "Immunisations",
            Self::Encounters => "Encounters",
            Self::Appointments => "Appointments",
            Self::Discharge => "Discharge",
            Self::Letters => "Letters",
            Self::CarePlan => "Care plan",
            Self::AdvanceCare => "Advance care",
            Self::Assessments => "Assessments",
            Self::CareTeam => "Care team",
            Self::Referrals => "Referrals",
            Self::Flags => "Flags",
            Self::Safeguarding => "Safeguarding",
            Self::SocialCare => "Social care",
            Self::AboutMe => "About me",
            Self::RedBag => "Red bag",
            Self::Experience => "Experience",
            Self::Other => "Other",
        }
    }

    /// Categories that are never filtered by date or category: leaving one out of a view could hurt somebody.
    pub const SAFETY: [Self; 5] = [Self::Allergies, Self::Medications, Self::Problems, Self::Flags, Self::AdvanceCare];

    /// Categories where a label never lowers a full cell: what is hidden here may interact.
    #[must_use]
    pub fn outranks_labels(self) -> bool {
        matches!(self, Self::Medications | Self::Allergies | Self::Flags | Self::AdvanceCare)
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Category {
    type Err = UnknownCategory;
    fn from_str(text: &str) -> Result<Self, UnknownCategory> {
        Self::ALL.iter().copied().find(|c| c.as_str() == text).ok_or(UnknownCategory)
    }
}

/// Not one of the categories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a record category; one of demographics problems allergies medications results imaging vitals procedures immunisations encounters appointments discharge letters careplan advance-care assessments careteam referrals flags safeguarding socialcare aboutme redbag"
)]
pub struct UnknownCategory;
