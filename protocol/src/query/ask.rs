//! What a person signs.

use serde::{Deserialize, Serialize};

use crate::id::{Digest, NetworkId, NhsNumber, OdsCode, QueryId};
use crate::query::{BreakGlassGrant, Purpose};
use crate::record::Category;
use crate::signed::{Document, Signed};
use crate::time::{Date, Timestamp};

/// Who is asked about. Every part must fit at the holder: a valid number is not the right person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patient {
    /// NHS number.
    pub nhs_number: NhsNumber,
    /// Birth date.
    pub birth_date: Date,
    /// Family name as typed.
    pub family: String,
    /// Postcode, which can corroborate.
    pub postcode: Option<String>,
    /// Other numbers of the same person, which replaced this one or were replaced by it (FHIR `Patient.link`), at most
    /// [`crate::limits::OTHER_NUMBERS_MAX`]; a record under one of them is this person's if birth date and name fit as well.
    pub other_numbers: Vec<NhsNumber>,
}

impl std::fmt::Debug for Patient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Patient(hidden)")
    }
}

/// Clinical dates asked for; a missing bound is open. Safety categories ignore it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Period {
    /// First instant.
    pub since: Option<Timestamp>,
    /// First instant no longer asked for.
    pub until: Option<Timestamp>,
}

/// One question about one person, COSE_Sign1 by the key in the asker's staff credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// The network.
    pub network: NetworkId,
    /// The same on every log.
    pub query_id: QueryId,
    /// The asker's organisation.
    pub asker: OdsCode,
    /// SHA-256 of the asker's signed credential.
    pub credential: Digest,
    /// Who is asked about.
    pub patient: Patient,
    /// Categories asked for; empty means all that the role may see. Safety categories are always included.
    pub categories: Vec<Category>,
    /// Clinical dates asked for.
    pub period: Period,
    /// Why.
    pub purpose: Purpose,
    /// Coded reason (SNOMED CT or local code), where the purpose needs one.
    pub reason: Option<String>,
    /// SHA-256 of the free-text reason, which stays in the asker's own log.
    pub reason_text: Option<Digest>,
    /// Number of the governance case (subject access, audit review) for which clinical content is read.
    pub case_number: Option<String>,
    /// What opens B cells, where the purpose is BTG.
    pub grant: Option<Signed<BreakGlassGrant>>,
    /// When it was signed.
    pub asked_at: Timestamp,
    /// When it stops being answered; at most [`crate::limits::QUERY_LIFE`] later.
    pub expires_at: Timestamp,
}

impl Document for Query {
    const CONTEXT: &'static str = "careweave query 1";
}

impl Patient {
    /// The number asked for, then the others.
    pub fn numbers(&self) -> impl Iterator<Item = NhsNumber> {
        std::iter::once(self.nhs_number).chain(self.other_numbers.iter().copied())
    }
}

impl Query {
    /// Whether the category was asked for.
    #[must_use]
    pub fn wants(&self, category: Category) -> bool {
        self.categories.is_empty() || Category::SAFETY.contains(&category) || self.categories.contains(&category)
    }
}
