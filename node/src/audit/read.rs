//! Reading the log back: for the desk, for pages that the cli checks, and for witnesses. Blocking, like the store.

use std::sync::Arc;

use careweave_protocol::audit::page::{PAGE_BYTES, PAGE_ENTRIES};
use careweave_protocol::audit::{
    AuditEntry, EntryContent, LogEntry, LogPage, PatientDetails, PatientPart, TreeHead, tree,
};
use careweave_protocol::cbor;
use careweave_protocol::id::{Digest, NhsNumber, QueryId};
use careweave_protocol::query::InclusionProof;

use super::stored::{self, DetailsRow, PatientHead, PatientRow, index_key, over_tree, trailing_index, with_index};
use super::{AuditError, AuditLog};
use crate::store::database::{Family, StoreError};
use crate::store::seal::SealingKey;

/// Finds the data keys of a patient; the log knows patients by blinded number only.
pub trait PatientKeyring {
    /// The keys that may have sealed something about whoever has this blinded number
    /// ([`crate::store::seal::StoreKeys::blind_number`]); none when the patient was erased.
    ///
    /// # Errors
    /// When the store fails.
    fn keys(&self, blinded: &[u8; 16]) -> Result<Vec<SealingKey>, StoreError>;
}

/// An entry, read and opened.
#[derive(Debug, Clone)]
pub struct StoredEntry {
    /// As it is handed over for checking: index, leaf, salt, bytes and digests.
    pub raw: LogEntry,
    /// What it says.
    pub entry: AuditEntry,
    /// What it says about the patient; `None` when it is about none, the patient was erased, or the part was not asked for.
    pub patient: Option<PatientPart>,
}

impl AuditLog {
    /// Entries on disk.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.head().size
    }

    /// Size and root of the log on disk.
    #[must_use]
    pub fn head(&self) -> TreeHead {
        self.inner.published.borrow().head
    }

    /// The newest checkpoint; `None` while the log is empty.
    #[must_use]
    pub fn latest_checkpoint(&self) -> Option<Arc<str>> {
        self.inner.published.borrow().checkpoint.clone()
    }

    /// One entry, opened. Without a keyring the patient part stays closed.
    ///
    /// # Errors
    /// [`AuditError::NoSuchEntry`], [`AuditError::Altered`], or when the database fails.
    pub fn entry(&self, index: u64, patients: Option<&dyn PatientKeyring>) -> Result<StoredEntry, AuditError> {
        if index >= self.size() {
            return Err(AuditError::NoSuchEntry(index));
        }
        let raw = self.raw(index, patients)?;
        let altered = AuditError::Altered(index);
        let EntryContent::Present { details, patient, .. } = &raw.content else { return Err(altered) };
        let Ok(entry) = cbor::from_own::<AuditEntry>(details) else { return Err(altered) };
        let part = patient.as_ref().map(|bytes| PatientDetails::from_bytes(bytes)).transpose();
        let Ok(part) = part else { return Err(altered) };
        Ok(StoredEntry { raw, entry, patient: part.map(|details| details.part) })
    }

    /// Up to `count` entries from `from` on, opened; at most [`PAGE_ENTRIES`].
    ///
    /// # Errors
    /// As [`AuditLog::entry`].
    pub fn range(
        &self,
        from: u64,
        count: u64,
        patients: Option<&dyn PatientKeyring>,
    ) -> Result<Vec<StoredEntry>, AuditError> {
        let end = self.size().min(from.saturating_add(count.min(PAGE_ENTRIES)));
        (from..end).map(|index| self.entry(index, patients)).collect()
    }

    /// A page for checking, from `from` on: as many entries as fit in a frame, whatever state they are in, and the
    /// checkpoints that end among them.
    ///
    /// # Errors
    /// When the database fails.
    pub fn page(&self, from: u64, count: u64, patients: Option<&dyn PatientKeyring>) -> Result<LogPage, AuditError> {
        let size = self.size();
        let end = size.min(from.saturating_add(count.min(PAGE_ENTRIES)));
        let mut page = LogPage { entries: Vec::new(), size, checkpoints: Vec::new() };
        let mut bytes = 0;
        // A checkpoint ends with an entry, so there are no more of them than entries.
        let mut notes = self.notes(from.saturating_add(1), end.saturating_sub(from))?.into_iter().peekable();
        for index in from..end {
            let entry = self.raw(index, patients)?;
            let mut checkpoints = Vec::new();
            while let Some(note) = notes.next_if(|(size, _)| *size <= index + 1) {
                checkpoints.push(note.1);
            }
            bytes += wire_len(&entry) + checkpoints.iter().map(|note| note.len() + 4).sum::<usize>();
            // One entry always goes, so that a reader gets on.
            if bytes > PAGE_BYTES && !page.entries.is_empty() {
                break;
            }
            page.entries.push(entry);
            page.checkpoints.append(&mut checkpoints);
        }
        Ok(page)
    }

    /// Positions of the entries about a query, at most [`PAGE_ENTRIES`] of them.
    ///
    /// # Errors
    /// When the database fails.
    pub fn by_query(&self, query: &QueryId) -> Result<Vec<u64>, AuditError> {
        self.positions(&stored::query_prefix(query), 0)
    }

    /// Whether there is any entry about a query.
    ///
    /// # Errors
    /// When the database fails.
    pub fn knows_query(&self, query: &QueryId) -> Result<bool, StoreError> {
        let prefix = stored::query_prefix(query);
        let first = self.inner.db.scan(Family::AuditIndex, &prefix)?.next().transpose()?;
        Ok(first.is_some())
    }

    /// Positions of the entries about a patient from `from` on, at most [`PAGE_ENTRIES`] of them.
    ///
    /// # Errors
    /// When the database fails.
    pub fn by_patient(&self, number: &NhsNumber, from: u64) -> Result<Vec<u64>, AuditError> {
        self.positions(&stored::patient_prefix(&self.inner.db.keys().blind_number(number)), from)
    }

    /// How many entries are about a patient: the sequence number of the newest.
    ///
    /// # Errors
    /// When the database fails.
    pub fn count_of_patient(&self, number: &NhsNumber) -> Result<u64, AuditError> {
        let key = stored::patient_head_key(&self.inner.db.keys().blind_number(number));
        let head = self.inner.db.get(Family::AuditIndex, &key)?;
        Ok(head.and_then(|row| PatientHead::parse(&row)).map_or(0, |head| head.sequence))
    }

    /// Stored checkpoints over at least `from_size` entries, oldest first, at most `count` and [`PAGE_ENTRIES`].
    ///
    /// # Errors
    /// When the database fails.
    pub fn checkpoints(&self, from_size: u64, count: u64) -> Result<Vec<String>, AuditError> {
        Ok(self.notes(from_size, count)?.into_iter().map(|(_, note)| note).collect())
    }

    /// Proves an entry under a tree of this size.
    ///
    /// # Errors
    /// [`AuditError::Tree`] when there is no such entry or tree, or when the database fails.
    pub fn prove(&self, index: u64, size: u64) -> Result<InclusionProof, AuditError> {
        self.within(size)?;
        Ok(over_tree(&self.inner.db, |read| tree::prove_inclusion(index, size, read))??)
    }

    /// Proves that the tree of size `new` begins with the tree of size `old`.
    ///
    /// # Errors
    /// As [`AuditLog::prove`].
    pub fn prove_consistency(&self, old: u64, new: u64) -> Result<Vec<Digest>, AuditError> {
        self.within(new)?;
        Ok(over_tree(&self.inner.db, |read| tree::prove_consistency(old, new, read))??)
    }

    /// Checks that this log goes on from what somebody else remembers of it, a witness for one.
    ///
    /// # Errors
    /// [`AuditError::LogRollback`] when it is shorter, or was another at that size; or when the database fails.
    pub fn extends(&self, remembered: &TreeHead) -> Result<(), AuditError> {
        let rollback = AuditError::LogRollback { signed: remembered.size, stored: self.size() };
        if remembered.size > self.size() {
            return Err(rollback);
        }
        match over_tree(&self.inner.db, |read| tree::head(remembered.size, read))? {
            Ok(head) if head == *remembered => Ok(()),
            _ => Err(rollback),
        }
    }

    fn within(&self, size: u64) -> Result<(), AuditError> {
        if size <= self.size() { Ok(()) } else { Err(tree::TreeError::OutOfRange.into()) }
    }

    /// Checkpoints over at least `from` entries, at most `most`: size and note.
    fn notes(&self, from: u64, most: u64) -> Result<Vec<(u64, String)>, AuditError> {
        let start = index_key(from);
        let rows = self.inner.db.scan_from(Family::Checkpoints, &[], &start)?;
        rows.take(usize::try_from(most.min(PAGE_ENTRIES)).unwrap_or(usize::MAX))
            .map(|row| {
                let (key, note) = row?;
                // A row that is no note is handed on as one: whoever checks it will say so.
                Ok((trailing_index(&key).unwrap_or(0), String::from_utf8_lossy(&note).into_owned()))
            })
            .collect()
    }

    fn positions(&self, prefix: &[u8], from: u64) -> Result<Vec<u64>, AuditError> {
        let most = usize::try_from(PAGE_ENTRIES).unwrap_or(usize::MAX);
        let rows = self.inner.db.scan_from(Family::AuditIndex, prefix, &with_index(prefix, from))?;
        rows.take(most).filter_map(|row| row.map(|(key, _)| trailing_index(&key)).transpose()).map(|i| Ok(i?)).collect()
    }

    /// An entry as the store has it, in whatever state.
    fn raw(&self, index: u64, patients: Option<&dyn PatientKeyring>) -> Result<LogEntry, AuditError> {
        let db = &self.inner.db;
        let leaf = db.get(Family::AuditTree, &index_key(tree::leaf_number(index)))?;
        let leaf = leaf.and_then(|row| Digest::try_from(row.as_slice()).ok());
        let content = match db.get(Family::Audit, &index_key(index))? {
            None => EntryContent::Missing,
            Some(sealed) => {
                let plain = db.keys().log.open(Family::Audit, &index_key(index), sealed).ok();
                match plain.and_then(DetailsRow::parse) {
                    None => EntryContent::Unreadable,
                    Some(DetailsRow { salt, patient_digest, details }) => EntryContent::Present {
                        salt,
                        details: details.into(),
                        patient: patients.map(|p| self.patient(index, p)).transpose()?.flatten().map(Into::into),
                        patient_digest,
                    },
                }
            }
        };
        Ok(LogEntry { index, leaf, content })
    }

    fn patient(&self, index: u64, patients: &dyn PatientKeyring) -> Result<Option<Vec<u8>>, AuditError> {
        let db = &self.inner.db;
        let Some(row) = db.get(Family::AuditPatient, &index_key(index))?.and_then(PatientRow::parse) else {
            return Ok(None);
        };
        if !row.own_key {
            return Ok(row.open(index, &db.keys().log).map_err(StoreError::from)?);
        }
        for key in patients.keys(&row.blinded)? {
            if let Some(plain) = row.open(index, &key).map_err(StoreError::from)? {
                return Ok(Some(plain));
            }
        }
        Ok(None)
    }
}

/// About the bytes of an entry on the wire: its contents, and names and lengths around them.
fn wire_len(entry: &LogEntry) -> usize {
    match &entry.content {
        EntryContent::Present { details, patient, .. } => {
            details.len() + patient.as_ref().map_or(0, |bytes| bytes.len()) + WIRE_FRAME
        }
        EntryContent::Missing | EntryContent::Unreadable => WIRE_FRAME,
    }
}

/// Index, hashes, salt and the names of the fields.
const WIRE_FRAME: usize = 256;
