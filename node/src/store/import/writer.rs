//! What an import is about to write: batches that are bounded, with what is in the next one visible to reading.

use std::collections::HashMap;

use rocksdb::WriteBatch;

use crate::store::database::{Database, Family, StoreError};
use crate::store::patients::Rows;

/// Rows of one batch, about 256 resources of six rows each.
const BATCH_ROWS: usize = 1_536;
/// Bytes of one batch: bounds memory when resources are large.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Bytes written before the disk is waited for in the middle of a file: bounds what a crash makes one import again.
const UNSYNCED_BYTES: usize = 64 * 1024 * 1024;
/// Row that goes with a sync, so that an otherwise empty batch still waits for the log.
const SYNCED: &[u8] = b"import synced";

/// The open batch.
pub(in crate::store) struct Writer {
    database: Database,
    batch: WriteBatch,
    pending: HashMap<(Family, [u8; 16]), Vec<u8>>,
    unsynced: usize,
    /// Whether the batch has rows that others write too.
    introduces: bool,
}

impl Writer {
    pub(super) fn new(database: Database) -> Self {
        Self { database, batch: WriteBatch::default(), pending: HashMap::new(), unsynced: 0, introduces: false }
    }

    /// Adds a row. Rows of one resource stay in one batch: batches end in [`Writer::settle`] only.
    pub(in crate::store) fn put(&mut self, family: Family, key: &[u8], value: Vec<u8>) -> Result<(), StoreError> {
        self.database.put(&mut self.batch, family, key, &value)?;
        self.introduces |= matches!(family, Family::Numbers | Family::Namesakes);
        if let (true, Ok(key)) = (READ_BACK.contains(&family), key.try_into()) {
            self.pending.insert((family, key), value);
        }
        Ok(())
    }

    /// Removes a row of a family that is not read back.
    pub(in crate::store) fn delete(&mut self, family: Family, key: &[u8]) -> Result<(), StoreError> {
        self.database.delete(&mut self.batch, family, key)
    }

    /// Between two resources: writes the batch when it is large enough, or when it makes somebody known: the next who does must see it.
    pub(super) fn settle(&mut self) -> Result<(), StoreError> {
        if !self.introduces && self.batch.len() < BATCH_ROWS && self.batch.size_in_bytes() < BATCH_BYTES {
            return Ok(());
        }
        if self.unsynced > UNSYNCED_BYTES { self.sync() } else { self.commit() }
    }

    /// Writes the batch, so that scans see it.
    pub(in crate::store) fn commit(&mut self) -> Result<(), StoreError> {
        self.unsynced += self.batch.size_in_bytes();
        self.pending.clear();
        self.introduces = false;
        self.database.write_buffered(std::mem::take(&mut self.batch))
    }

    /// Writes the batch and waits until everything is on disk.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        self.database.put(&mut self.batch, Family::Meta, SYNCED, &[1])?;
        self.unsynced = 0;
        self.pending.clear();
        self.introduces = false;
        self.database.write_synced(std::mem::take(&mut self.batch))
    }
}

impl Rows for Writer {
    fn database(&self) -> &Database {
        &self.database
    }

    fn row(&self, family: Family, key: &[u8; 16]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.pending.get(&(family, *key)) {
            Some(value) => Ok(Some(value.clone())),
            None => self.database.get(family, key),
        }
    }
}

/// Families with keys of 16 bytes that an import reads while it writes them; it deletes from none of them.
const READ_BACK: [Family; 7] = [
    Family::Keys,
    Family::Numbers,
    Family::Links,
    Family::Namesakes,
    Family::Patients,
    Family::References,
    Family::Sent,
];
