//! Why an entry is not taken. The text is shown to whoever runs the import: what is wrong and what to do, and never what the
//! entry says.

use careweave_protocol::id::IdError;
use thiserror::Error;

use super::source::DOCUMENT_MAX;
use crate::store::database::StoreError;
use careweave_protocol::limits::RECORD_MAX;

/// Why an entry is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(in crate::store) enum Reason {
    #[error("the file is empty")]
    EmptyFile,
    #[error(
        "not FHIR JSON: give a Bundle, a single resource or one resource on each line; convert XML and unpack archives first"
    )]
    NotFhirJson,
    #[error("not JSON: {what} at line {line}, column {column}")]
    NotJson { what: &'static str, line: usize, column: usize },
    #[error("not UTF-8 text")]
    NotUtf8,
    #[error("a line is over {} MiB; larger documents belong behind a link", RECORD_MAX >> 20)]
    LineTooLong,
    #[error("a JSON document is over {} MiB; split it, or give one resource on each line", DOCUMENT_MAX >> 20)]
    DocumentTooLong,
    #[error("a resource is over {} MiB; larger documents belong behind a link", RECORD_MAX >> 20)]
    RecordTooLong,
    #[error("the file could not be read any further")]
    Unreadable,
    #[error("not a JSON object")]
    NotAnObject,
    #[error("has no resourceType")]
    NoResourceType,
    #[error("its resourceType is none of FHIR R4")]
    UnknownResourceType,
    #[error("the Bundle has no type")]
    NoBundleType,
    #[error("the Bundle's type is none of FHIR R4")]
    UnknownBundleType,
    #[error("a Bundle inside a Bundle is taken only when it is a document; import it by itself")]
    NestedBundle,
    #[error("the Bundle's entry has no resource; deletions and searches are not applied")]
    NoResource,
    #[error("the document has no Composition with a subject and no Patient, so nobody can tell whose it is")]
    DocumentOfNobody,
    #[error(
        "the Patient has no NHS number (identifier of system https://fhir.nhs.uk/Id/nhs-number) and is not known by its id; trace the number and import it again"
    )]
    NoNhsNumber,
    #[error("the Patient's NHS number is not valid: {0}")]
    BadNhsNumber(IdError),
    #[error("the Patient has no birthDate, without which nobody can be matched")]
    NoBirthDate,
    #[error("the Patient's birthDate is not a FHIR date")]
    BadBirthDate,
    #[error("the Patient has no family name, without which nobody can be matched")]
    NoFamilyName,
    #[error(
        "another Patient of this id is already here under another NHS number; ids must be unique within the organisation"
    )]
    OtherNumber,
    #[error("it does not say which patient it is about (subject or patient)")]
    NoSubject,
    #[error("its subject's reference and identifier name two different patients; correct the source")]
    SubjectsDiffer,
    #[error("its subject's name fits two different patients here; resolve the duplicate first")]
    AmbiguousSubject,
    #[error(
        "the Patient inside the document carries a number-change marker beside links, other numbers or previous names; issue the document again without them"
    )]
    TracesInDocument,
    #[error(
        "a record of this type and id is already here for another patient and this one states no newer version; ids must be unique within the organisation"
    )]
    OtherPatient,
}

impl Reason {
    /// From a parser's error; its own words could quote the entry.
    pub(in crate::store) fn json(error: &serde_json::Error) -> Self {
        let what = match error.classify() {
            serde_json::error::Category::Eof => "it ends in the middle",
            serde_json::error::Category::Data => "a value of another kind than FHIR has",
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => "a syntax error",
        };
        Self::NotJson { what, line: error.line(), column: error.column() }
    }
}

/// Why filing stopped: the entry's fault, or the store's.
#[derive(Debug, Error)]
pub(in crate::store) enum Failure {
    /// The entry is bad; the import goes on.
    #[error(transparent)]
    Bad(#[from] Reason),
    /// The store failed; the import ends.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Outcome {
    Imported,
    Unchanged,
    Superseded,
    Parked,
}
