//! Where an entry stands: its file, its Bundle, and what the Bundle's other entries are.

use std::borrow::Cow;
use std::collections::HashMap;

use careweave_protocol::id::OdsCode;
use careweave_protocol::time::Timestamp;

use crate::store::patients::PatientKey;

/// Where an entry stands in the import, for the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    /// When the import began.
    pub(super) import: Timestamp,
    /// Which of its files.
    pub(super) file: u32,
    /// Which entry of the file, from 1.
    pub(super) entry: u64,
    /// Its line, where known.
    pub(super) line: Option<u64>,
}

/// An entry's surroundings.
pub(super) struct Scope<'a> {
    pub(super) position: Position,
    /// `fullUrl` of the entry.
    pub(super) full_url: Option<&'a str>,
    /// Full URLs of the Bundle whose owners are known.
    pub(super) owners: &'a HashMap<Cow<'a, str>, PatientKey>,
    /// Full URLs of the Bundle's Organizations that have an ODS code.
    pub(super) organisations: &'a HashMap<Cow<'a, str>, OdsCode>,
    /// The Bundle's only patient.
    pub(super) sole_patient: Option<PatientKey>,
}

impl Scope<'_> {
    /// Whose the entry of this full URL is.
    pub(super) fn owner_of(&self, full_url: &str) -> Option<PatientKey> {
        self.owners.get(full_url).copied()
    }
}
