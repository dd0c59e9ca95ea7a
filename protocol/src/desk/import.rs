//! What came of an import: `import -o json` prints exactly this.

use serde::{Deserialize, Serialize};

/// One file of an import. The counts are disjoint: every entry of the file is in exactly one of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FileReport {
    /// The file's name as the caller gave it.
    pub file: String,
    /// Entries that were not in the store and are now, durably.
    pub imported: u64,
    /// Entries whose content, or a newer version of it, was there already.
    pub unchanged: u64,
    /// Entries that replaced an older version.
    pub superseded: u64,
    /// Entries kept aside until their patient arrives.
    pub parked: u64,
    /// Entries that were not taken, with the reason; at most [`BAD_LISTED_MAX`] are listed.
    pub bad: Vec<BadEntry>,
}

/// One entry that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadEntry {
    /// Position in the file, from 1: the line's number among those that are not blank, or the Bundle's entry; 0 for the file itself.
    pub entry: u64,
    /// Line of the file, from 1, where it is known; otherwise null.
    pub line: Option<u64>,
    /// What is wrong and what to do about it; no clinical content and no identifiers of the patient.
    pub reason: String,
}

/// The whole import.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ImportReport {
    /// One report for each file, in order.
    pub files: Vec<FileReport>,
    /// Entries written: new ones and those that replaced an older version.
    pub imported: u64,
    /// Entries of these files that still wait for their patient.
    pub parked: u64,
    /// Entries that were not taken, listed or not.
    pub bad: u64,
}

/// Bad entries listed for one file: bounds the report; what is over it is counted in [`ImportReport::bad`] and in a last line.
pub const BAD_LISTED_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor;

    #[test]
    fn a_report_round_trips() {
        let bad = vec![BadEntry { entry: 2, line: Some(2), reason: "not JSON".into() }];
        let file = FileReport { file: "a.ndjson".into(), imported: 1, unchanged: 2, superseded: 3, parked: 4, bad };
        let report = ImportReport { files: vec![file], imported: 4, parked: 4, bad: 1 };
        let bytes = cbor::to_vec(&report).unwrap();
        assert_eq!(cbor::from_slice::<ImportReport>(&bytes, 1024).unwrap(), report);
    }
}
