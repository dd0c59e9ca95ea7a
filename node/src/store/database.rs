//! The one open database and its column families.

use std::path::Path;
use std::sync::Arc;

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, DBCompressionType, DBRecoveryMode, Options, WriteBatch,
    WriteOptions,
};
use thiserror::Error;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::seal::{KeyEncryptionKey, SealError, StoreKeys};

/// Version of the layout below; a store of another version is refused, not guessed at.
const LAYOUT: u8 = 2;
const LAYOUT_KEY: &[u8] = b"layout";
const CANARY_KEY: &[u8] = b"key check";
const CANARY: &[u8] = b"careweave";

/// Block cache of the whole store: small enough that a resting node stays under 64 MiB.
const BLOCK_CACHE: usize = 16 * 1024 * 1024;
/// Write buffer of one column family; with the total below, bounds memory during an import.
const WRITE_BUFFER: usize = 8 * 1024 * 1024;
/// All write buffers together.
const WRITE_BUFFERS_TOTAL: usize = 48 * 1024 * 1024;
/// Old information logs kept by RocksDB; they hold no keys or values.
const INFO_LOGS_KEPT: usize = 2;
/// Files RocksDB keeps open: bounds memory for table metadata on large stores.
const OPEN_FILES: i32 = 512;

/// A column family: what its keys and values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Layout version, key check, highest time seen, data currency.
    Meta,
    /// Patient key (16 random bytes) → wrapped data key. Deleting the row erases the patient.
    Keys,
    /// Blinded NHS number → patient keys.
    Numbers,
    /// Blinded number or Patient → keys of patients whose records link to it.
    Links,
    /// Blinded family name and birth date → patient keys.
    Namesakes,
    /// Patient key → sealed demographics and flags.
    Patients,
    /// Patient key ‖ category ‖ reversed date ‖ blinded id → sealed header.
    Index,
    /// Patient key ‖ blinded id ‖ form → sealed zstd body.
    Forms,
    /// Blinded reference (type/id, identifier, full URL) → sealed place of the record.
    References,
    /// Blinded record and owner → sealed organisations it was sent to; blinded referral → sealed list of what it carries.
    Sent,
    /// Blinded reference waited for ‖ number → sealed entry whose patient has not arrived.
    Parked,
    /// Leaf index, big-endian → sealed audit details.
    Audit,
    /// Leaf index, big-endian → audit details about the patient, sealed under the patient's key.
    AuditPatient,
    /// Stored hash index of the tree, big-endian → hash.
    AuditTree,
    /// Checkpoint size, big-endian → signed note.
    Checkpoints,
    /// Blinded patient or query → position in the log.
    AuditIndex,
    /// Nonce → when it may be forgotten.
    Nonces,
    /// Sequence, big-endian → sealed thing still to be delivered.
    Outbox,
    /// Query id ‖ holder → sealed receipt.
    Receipts,
    /// Review id → sealed review.
    Reviews,
    /// Patient key ‖ number of the stay → sealed stay at this home.
    Residents,
    /// Patient key ‖ blinded id of a record → sealed exception that hides it.
    Exceptions,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 22] = [
        Self::Meta,
        Self::Keys,
        Self::Numbers,
        Self::Links,
        Self::Namesakes,
        Self::Patients,
        Self::Index,
        Self::Forms,
        Self::References,
        Self::Sent,
        Self::Parked,
        Self::Audit,
        Self::AuditPatient,
        Self::AuditTree,
        Self::Checkpoints,
        Self::AuditIndex,
        Self::Nonces,
        Self::Outbox,
        Self::Receipts,
        Self::Reviews,
        Self::Residents,
        Self::Exceptions,
    ];

    /// Name in RocksDB.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Keys => "keys",
            Self::Numbers => "numbers",
            Self::Links => "links",
            Self::Namesakes => "namesakes",
            Self::Patients => "patients",
            Self::Index => "index",
            Self::Forms => "forms",
            Self::References => "references",
            Self::Sent => "sent",
            Self::Parked => "parked",
            Self::Audit => "audit",
            Self::AuditPatient => "audit-patient",
            Self::AuditTree => "audit-tree",
            Self::Checkpoints => "checkpoints",
            Self::AuditIndex => "audit-index",
            Self::Nonces => "nonces",
            Self::Outbox => "outbox",
            Self::Receipts => "receipts",
            Self::Reviews => "reviews",
            Self::Residents => "residents",
            Self::Exceptions => "exceptions",
        }
    }
}

/// One row: its key and its value, sealed.
pub type Row = (Box<[u8]>, Box<[u8]>);

/// One row to be written: family, key, value as stored.
pub type Put = (Family, Vec<u8>, Vec<u8>);

/// Why the store failed.
#[derive(Debug, Error)]
pub enum StoreError {
    /// RocksDB could not read or write.
    #[error("the database failed: {0}")]
    Database(#[from] rocksdb::Error),
    /// A value does not open.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A stored value has another shape than this program writes.
    #[error(transparent)]
    Shape(#[from] careweave_protocol::cbor::CborError),
    /// Compression failed.
    #[error("a stored body could not be packed or unpacked: {0}")]
    Packing(#[from] std::io::Error),
    /// The store was made by another version.
    #[error("the store has layout {found}, this program reads layout {LAYOUT}")]
    Layout {
        /// Layout found.
        found: u8,
    },
    /// The key-encryption key is not the one this store was made with.
    #[error("the store was made under another key-encryption key")]
    WrongKey,
    /// A column family is missing: the directory is damaged.
    #[error("column family {0} is missing")]
    MissingFamily(&'static str),
}

/// The open database with its keys. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    db: DB,
    keys: StoreKeys,
    importing: Arc<Mutex<()>>,
    introducing: Mutex<()>,
}

impl Database {
    /// Opens the store in `dir`, making it when it is not there.
    ///
    /// # Errors
    /// When RocksDB fails, the layout is another, or the key is not this store's.
    pub fn open(dir: &Path, kek: &KeyEncryptionKey) -> Result<Self, StoreError> {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_paranoid_checks(true);
        // The default may drop acknowledged data that follows a corrupted record without saying so.
        options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
        options.set_db_write_buffer_size(WRITE_BUFFERS_TOTAL);
        options.set_keep_log_file_num(INFO_LOGS_KEPT);
        options.set_max_open_files(OPEN_FILES);
        let cache = Cache::new_lru_cache(BLOCK_CACHE);
        let families = Family::ALL.map(|family| ColumnFamilyDescriptor::new(family.name(), family_options(&cache)));
        let db = DB::open_cf_descriptors(&options, dir, families)?;
        let database = Self {
            inner: Arc::new(Inner {
                db,
                keys: kek.derive()?,
                importing: Arc::default(),
                introducing: Mutex::default(),
            }),
        };
        database.check_layout()?;
        Ok(database)
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &StoreKeys {
        &self.inner.keys
    }

    /// Held by one import from its first file to its end: it keeps in mind what it read, so a second one waits. Blocks; not for tasks.
    pub(super) fn importing(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.inner.importing).blocking_lock_owned()
    }

    /// Held from reading who is under a number or a name until whoever is new there is written: those rows list people and are written
    /// whole, so of two who write at once one would be lost. An import holds it for one resource at a time.
    #[must_use]
    pub fn introducing(&self) -> &Mutex<()> {
        &self.inner.introducing
    }

    /// Reads one raw value.
    ///
    /// # Errors
    /// When RocksDB fails.
    pub fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.inner.db.get_cf(self.handle(family)?, key)?)
    }

    /// Adds a write to a batch.
    ///
    /// # Errors
    /// When the family is missing.
    pub fn put(&self, batch: &mut WriteBatch, family: Family, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        batch.put_cf(self.handle(family)?, key, value);
        Ok(())
    }

    /// Adds a deletion to a batch.
    ///
    /// # Errors
    /// When the family is missing.
    pub fn delete(&self, batch: &mut WriteBatch, family: Family, key: &[u8]) -> Result<(), StoreError> {
        batch.delete_cf(self.handle(family)?, key);
        Ok(())
    }

    /// Writes a batch and returns when it is on disk.
    ///
    /// # Errors
    /// When RocksDB fails. A failed sync is never retried on the same file: the caller stops serving.
    pub fn write_synced(&self, batch: WriteBatch) -> Result<(), StoreError> {
        let mut options = WriteOptions::default();
        options.set_sync(true);
        Ok(self.inner.db.write_opt(batch, &options)?)
    }

    /// Writes a batch to the log without waiting for the disk; a later synced write covers it.
    ///
    /// # Errors
    /// When RocksDB fails.
    pub fn write_buffered(&self, batch: WriteBatch) -> Result<(), StoreError> {
        Ok(self.inner.db.write(batch)?)
    }

    /// Everything under a key prefix, in key order.
    ///
    /// # Errors
    /// When the family is missing; each item can fail by itself.
    pub fn scan<'a>(
        &'a self,
        family: Family,
        prefix: &'a [u8],
    ) -> Result<impl Iterator<Item = Result<Row, StoreError>> + 'a, StoreError> {
        self.scan_from(family, prefix, prefix)
    }

    /// Everything under a key prefix from `start` on, in key order.
    ///
    /// # Errors
    /// When the family is missing; each item can fail by itself.
    pub fn scan_from<'a>(
        &'a self,
        family: Family,
        prefix: &'a [u8],
        start: &[u8],
    ) -> Result<impl Iterator<Item = Result<Row, StoreError>> + 'a, StoreError> {
        let mode = rocksdb::IteratorMode::From(start, rocksdb::Direction::Forward);
        let iterator = self.inner.db.iterator_cf(self.handle(family)?, mode);
        Ok(iterator
            .take_while(move |item| item.as_ref().map_or(true, |(key, _)| key.starts_with(prefix)))
            .map(|item| item.map_err(StoreError::from)))
    }

    /// The last entry of a family.
    ///
    /// # Errors
    /// When RocksDB fails.
    pub fn last(&self, family: Family) -> Result<Option<Row>, StoreError> {
        Ok(self.inner.db.iterator_cf(self.handle(family)?, rocksdb::IteratorMode::End).next().transpose()?)
    }

    fn handle(&self, family: Family) -> Result<&rocksdb::ColumnFamily, StoreError> {
        self.inner.db.cf_handle(family.name()).ok_or(StoreError::MissingFamily(family.name()))
    }

    fn check_layout(&self) -> Result<(), StoreError> {
        match self.get(Family::Meta, LAYOUT_KEY)?.as_deref() {
            None => {
                let mut batch = WriteBatch::default();
                self.put(&mut batch, Family::Meta, LAYOUT_KEY, &[LAYOUT])?;
                let canary = self.keys().log.seal(Family::Meta, CANARY_KEY, CANARY)?;
                self.put(&mut batch, Family::Meta, CANARY_KEY, &canary)?;
                self.write_synced(batch)
            }
            Some([LAYOUT]) => {
                let sealed = self.get(Family::Meta, CANARY_KEY)?.ok_or(StoreError::WrongKey)?;
                let open = self.keys().log.open(Family::Meta, CANARY_KEY, sealed).map_err(|_| StoreError::WrongKey)?;
                if open == CANARY { Ok(()) } else { Err(StoreError::WrongKey) }
            }
            Some(other) => Err(StoreError::Layout { found: other.first().copied().unwrap_or(0) }),
        }
    }
}

fn family_options(cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_cache_index_and_filter_blocks(true);
    table.set_bloom_filter(10.0, false);
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_write_buffer_size(WRITE_BUFFER);
    options.set_max_write_buffer_number(2);
    // Values are packed before they are sealed, and sealed bytes do not compress.
    options.set_compression_type(DBCompressionType::None);
    options
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    #[test]
    fn a_store_opens_again_under_its_own_key_and_under_no_other() {
        let dir = std::env::temp_dir().join(format!("careweave-database-{}", std::process::id()));
        let key = |b| KeyEncryptionKey::new(Zeroizing::new([b; 32]));
        drop(Database::open(&dir, &key(1)).unwrap());
        drop(Database::open(&dir, &key(1)).unwrap());
        assert!(matches!(Database::open(&dir, &key(2)), Err(StoreError::WrongKey)));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
