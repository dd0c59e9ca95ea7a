//! Entries whose patient (or, for a Provenance and the like, whose target) has not arrived: sealed, under the blinded name
//! they wait for, until an import brings it.

use careweave_protocol::cbor;
use careweave_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::database::{Database, Family, StoreError};

/// One entry that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Parked {
    /// When the import began that parked it.
    pub(super) import: Timestamp,
    /// Which file of that import.
    pub(super) file: u32,
    /// Which entry of that file.
    pub(super) entry: u64,
    /// Its line there, where known.
    pub(super) line: Option<u64>,
    /// Name of that file, as it was given to the import.
    pub(super) file_name: String,
    /// FHIR resource type.
    pub(super) resource_type: String,
    /// `fullUrl` of its Bundle entry.
    pub(super) full_url: Option<String>,
    /// The resource as it was received.
    pub(super) raw: String,
}

/// One line of the list of what waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// FHIR resource type.
    pub resource_type: String,
    /// When the import began that parked it.
    pub since: Timestamp,
    /// Name of its file, as it was given to the import.
    pub file: String,
    /// Which entry of its file.
    pub entry: u64,
    /// Its line there, where known.
    pub line: Option<u64>,
    /// What it waits for; never who.
    pub reason: &'static str,
}

/// What waits, at most `limit` entries.
///
/// # Errors
/// When the store fails or an entry does not open.
pub fn list(database: &Database, limit: usize) -> Result<Vec<Waiting>, StoreError> {
    let mut found = Vec::new();
    for item in database.scan(Family::Parked, &[])?.take(limit) {
        let (key, sealed) = item?;
        let parked = Parked::open(database, &key, sealed.into_vec())?;
        let about_records = matches!(parked.resource_type.as_str(), "Provenance" | "AuditEvent");
        found.push(Waiting {
            resource_type: parked.resource_type,
            since: parked.import,
            file: parked.file_name,
            entry: parked.entry,
            line: parked.line,
            reason: if about_records { RECORD_AWAITED } else { PATIENT_AWAITED },
        });
    }
    Ok(found)
}

/// Why an entry about a patient waits.
const PATIENT_AWAITED: &str = "the patient it is about has not arrived; import the Patient it refers to";
/// Why an entry about another record waits.
const RECORD_AWAITED: &str = "the record it is about has not arrived; import that record";

impl Parked {
    /// The row's key: the name waited for, then a hash of the content, so that the same entry is parked once.
    #[must_use]
    pub(super) fn key(database: &Database, waits_for: &[u8; 16], raw: &str) -> [u8; 32] {
        let content = database.keys().blind("parked", &[raw.as_bytes()]);
        let mut key = [0; 32];
        for (slot, byte) in key.iter_mut().zip(waits_for.iter().chain(&content)) {
            *slot = *byte;
        }
        key
    }

    /// The row as it is stored.
    pub(super) fn sealed(&self, database: &Database, key: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(database.keys().log.seal(Family::Parked, key, &cbor::to_vec(self)?)?)
    }

    /// Reads a row.
    pub(super) fn open(database: &Database, key: &[u8], sealed: Vec<u8>) -> Result<Self, StoreError> {
        Ok(cbor::from_own(&database.keys().log.open(Family::Parked, key, sealed)?)?)
    }
}

/// A row's key and what it holds.
pub(super) type ParkedRow = (Box<[u8]>, Parked);

/// What waits for a name, after the row `after`; at most `limit` rows, so that a busy patient's arrival stays bounded.
pub(super) fn waiting_for(
    database: &Database,
    name: &[u8; 16],
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<ParkedRow>, StoreError> {
    let start = after.map_or_else(|| name.to_vec(), |key| [key, &[0]].concat());
    let rows = database.scan_from(Family::Parked, name, &start)?;
    rows.take(limit)
        .map(|item| {
            let (key, sealed) = item?;
            let parked = Parked::open(database, &key, sealed.into_vec())?;
            Ok((key, parked))
        })
        .collect()
}

/// Every name that is waited for, until told to stop.
pub(super) fn names(database: &Database, mut each: impl FnMut([u8; 16]) -> bool) -> Result<(), StoreError> {
    let mut last = None;
    for item in database.scan(Family::Parked, &[])? {
        let (key, _) = item?;
        let name = key.first_chunk::<16>().copied();
        if let Some(name) = name.filter(|name| last != Some(*name))
            && !each(name)
        {
            break;
        }
        last = name;
    }
    Ok(())
}
