//! Rows of the log: their keys and values.
//!
//! Details are sealed but not compressed: entries are short, and starting a compressor costs more than it saves there.

use std::cell::RefCell;

use careweave_protocol::audit::tree;
use careweave_protocol::id::{Digest, OdsCode, QueryId, Salt};

use crate::store::database::{Database, Family, StoreError};
use crate::store::seal::{SealError, SealingKey};

/// What is sealed in [`Family::Audit`]: salt ‖ digest of the patient part ‖ details.
pub(super) struct DetailsRow {
    pub(super) salt: Salt,
    pub(super) patient_digest: Digest,
    pub(super) details: Vec<u8>,
}

impl DetailsRow {
    pub(super) fn plain(salt: &Salt, patient_digest: &Digest, details: &[u8]) -> Vec<u8> {
        [salt.as_bytes().as_slice(), patient_digest.as_bytes(), details].concat()
    }

    pub(super) fn parse(mut plain: Vec<u8>) -> Option<Self> {
        let (salt, rest) = plain.split_first_chunk::<{ Salt::LEN }>()?;
        let (digest, _) = rest.split_first_chunk::<{ Digest::LEN }>()?;
        let (salt, patient_digest) = (Salt(*salt), Digest(*digest));
        plain.drain(..Salt::LEN + Digest::LEN);
        Some(Self { salt, patient_digest, details: plain })
    }
}

/// What is in [`Family::AuditPatient`]: whose key ‖ blinded number ‖ sealed part.
pub(super) struct PatientRow {
    /// Whether the patient's own key seals it, or the log key.
    pub(super) own_key: bool,
    pub(super) blinded: [u8; 16],
    pub(super) sealed: Vec<u8>,
}

impl PatientRow {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        [[u8::from(self.own_key)].as_slice(), &self.blinded, &self.sealed].concat()
    }

    pub(super) fn parse(mut row: Vec<u8>) -> Option<Self> {
        let (own_key, rest) = row.split_first()?;
        let (own_key, blinded) = (*own_key == 1, *rest.first_chunk::<16>()?);
        row.drain(..17);
        Some(Self { own_key, blinded, sealed: row })
    }

    /// Opens the part; `None` when this key is not the one.
    pub(super) fn open(&self, index: u64, key: &SealingKey) -> Result<Option<Vec<u8>>, SealError> {
        match key.open(Family::AuditPatient, &index_key(index), self.sealed.clone()) {
            Ok(plain) => Ok(Some(plain)),
            Err(SealError::DoesNotOpen) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The patient's newest entry, in [`Family::AuditIndex`]: its sequence number and leaf.
#[derive(Clone, Copy)]
pub(super) struct PatientHead {
    pub(super) sequence: u64,
    pub(super) leaf: Digest,
}

impl PatientHead {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        [self.sequence.to_be_bytes().as_slice(), self.leaf.as_bytes()].concat()
    }

    pub(super) fn parse(row: &[u8]) -> Option<Self> {
        let (sequence, leaf) = row.split_first_chunk::<8>()?;
        Some(Self { sequence: u64::from_be_bytes(*sequence), leaf: Digest::try_from(leaf).ok()? })
    }
}

pub(super) fn index_key(index: u64) -> [u8; 8] {
    index.to_be_bytes()
}

/// Reads a big-endian number at the end of a key.
pub(super) fn trailing_index(key: &[u8]) -> Option<u64> {
    key.last_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes))
}

pub(super) fn patient_head_key(blinded: &[u8; 16]) -> Vec<u8> {
    [b"h".as_slice(), blinded].concat()
}

/// Under it, one row for each entry about the patient, ending with its index.
pub(super) fn patient_prefix(blinded: &[u8; 16]) -> Vec<u8> {
    [b"p".as_slice(), blinded].concat()
}

/// Under it, one row for each entry about the query, ending with its index. Query ids are random and tell nothing.
pub(super) fn query_prefix(query: &QueryId) -> Vec<u8> {
    [b"q".as_slice(), query.as_bytes()].concat()
}

/// There when this organisation's query was decided.
pub(super) fn decided_key(asker: &OdsCode, query: &QueryId) -> Vec<u8> {
    [b"d".as_slice(), query.as_bytes(), asker.as_str().as_bytes()].concat()
}

pub(super) fn with_index(prefix: &[u8], index: u64) -> Vec<u8> {
    [prefix, &index_key(index)].concat()
}

/// Runs a proof or a recomputation over the stored tree, keeping apart a tree that lacks a hash and a database that fails.
pub(super) fn over_tree<T>(
    db: &Database,
    run: impl FnOnce(&dyn Fn(u64) -> Option<Digest>) -> Result<T, tree::TreeError>,
) -> Result<Result<T, tree::TreeError>, StoreError> {
    let failed = RefCell::new(None);
    let read = |number: u64| match db.get(Family::AuditTree, &index_key(number)) {
        Ok(row) => Digest::try_from(row?.as_slice()).ok(),
        Err(error) => {
            failed.replace(Some(error));
            None
        }
    };
    let outcome = run(&read);
    match failed.into_inner() {
        Some(error) => Err(error),
        None => Ok(outcome),
    }
}
