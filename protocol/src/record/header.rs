//! The index header of a record: everything that choosing needs, so that nothing else is read before the decision is durable.

use serde::{Deserialize, Serialize};

use crate::id::{Digest, OdsCode};
use crate::record::{Category, Coding, Form, Labels};
use crate::time::Timestamp;

/// One stored form: its Merkle leaf and its size, known before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormHash {
    /// Which form.
    pub form: Form,
    /// [`crate::record::merkle::leaf`] of category, form, [`Header::imported`] and body.
    pub leaf: Digest,
    /// Bytes of the body (zstd frame).
    pub bytes: u32,
}

/// What the store's index holds for one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// FHIR resource type.
    pub resource_type: String,
    /// Logical id at the holder, or a digest of the content where the feed gave none.
    pub id: String,
    /// `meta.versionId`, where the feed gave one.
    pub version: Option<String>,
    /// `meta.lastUpdated`, where the feed gave one.
    pub updated: Option<Timestamp>,
    /// The row of the access table.
    pub category: Category,
    /// Sensitivity labels; a document's are the union of what is inside.
    pub labels: Labels,
    /// FHIR status or clinical status code.
    pub status: Option<String>,
    /// First instant the clinical date can mean; the recorded date where there is no clinical one.
    pub from: Option<Timestamp>,
    /// First instant it can no longer mean; `None` with `from` present is still going on.
    pub until: Option<Timestamp>,
    /// Codes that choosing needs, at most [`crate::limits::CODES_MAX`].
    pub codes: Vec<Coding>,
    /// Organisations it was sent to, or of whose referral or meeting it is (the O cells of the access table).
    pub sent_to: Vec<OdsCode>,
    /// When the store took it.
    pub imported: Timestamp,
    /// The forms there are.
    pub forms: Vec<FormHash>,
}

impl Header {
    /// The stored form, when the record has it.
    #[must_use]
    pub fn form(&self, form: Form) -> Option<&FormHash> {
        self.forms.iter().find(|f| f.form == form)
    }

    /// Whether the record can lie in the window; an undated record always can.
    #[must_use]
    pub fn overlaps(&self, since: Option<Timestamp>, until: Option<Timestamp>) -> bool {
        let Some(from) = self.from else { return true };
        since.is_none_or(|s| self.until.is_none_or(|end| end > s)) && until.is_none_or(|u| from < u)
    }
}
