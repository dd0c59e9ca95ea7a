//! How a log is handed over for checking: a run of entries with the checkpoints that end in it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::audit::leaf::{LeafParts, NO_PATIENT, PatientCommitment};
use crate::id::{Digest, Salt};

/// A run of entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPage {
    /// In order of their index.
    pub entries: Vec<LogEntry>,
    /// Entries in the whole log when the page was made.
    pub size: u64,
    /// Stored checkpoints that cover the last of these entries or one before it, oldest first: signed notes.
    pub checkpoints: Vec<String>,
}

/// One entry as the store has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Its position.
    pub index: u64,
    /// The leaf hash kept in the tree, apart from the entry; `None` when it is gone.
    pub leaf: Option<Digest>,
    /// What it says.
    pub content: EntryContent,
}

/// What the store has of an entry.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryContent {
    /// All of it, or all but the patient part.
    Present {
        /// The leaf's salt.
        salt: Salt,
        /// CBOR of [`crate::audit::AuditEntry`].
        details: ByteBuf,
        /// CBOR of [`crate::audit::PatientDetails`]; `None` when there is none, it is erased, or it is not for the reader.
        patient: Option<ByteBuf>,
        /// Digest of the patient part; zero when the entry is about no patient.
        patient_digest: Digest,
    },
    /// Nothing.
    Missing,
    /// Something that does not open: altered, or moved here from another place.
    Unreadable,
}

impl LogEntry {
    /// What the leaf commits to; `None` when the content is missing or does not open.
    #[must_use]
    pub fn parts(&self) -> Option<LeafParts> {
        let EntryContent::Present { salt, details, patient, patient_digest } = &self.content else {
            return None;
        };
        let patient = match patient {
            Some(bytes) => PatientCommitment::Present(bytes.to_vec()),
            None if *patient_digest == NO_PATIENT => PatientCommitment::Absent,
            None => PatientCommitment::Withheld(*patient_digest),
        };
        Some(LeafParts { salt: *salt, details: details.to_vec(), patient })
    }
}

impl fmt::Debug for EntryContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Present { .. } => "Present(hidden)",
            Self::Missing => "Missing",
            Self::Unreadable => "Unreadable",
        })
    }
}

/// Bytes of one page on the wire: leaves half a frame to whatever stands around it.
pub const PAGE_BYTES: usize = crate::limits::FRAME_MAX / 2;
/// Entries of one page: at the least bytes an entry can have, about what [`PAGE_BYTES`] holds.
pub const PAGE_ENTRIES: u64 = 512;
