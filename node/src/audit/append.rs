//! What goes into the log, and the receipt that comes out.

use std::collections::HashMap;
use std::sync::Arc;

use careweave_protocol::audit::{AuditEntry, TreeHead, tree};
use careweave_protocol::cbor::{self, CborError};
use careweave_protocol::id::{Digest, NhsNumber, Nonce, OdsCode, QueryId};
use careweave_protocol::query::InclusionProof;
use careweave_protocol::time::Timestamp;
use thiserror::Error;
use tokio::sync::oneshot;

use crate::store::database::{Family, StoreError};
use crate::store::seal::SealingKey;

/// One entry to append, and what must become durable together with it.
pub struct Append {
    /// The entry; its time is also the `now` by which nonces are judged and forgotten.
    pub entry: AuditEntry,
    /// What it says about a patient.
    pub patient: Option<PatientAppend>,
    /// What must not happen twice.
    pub replay: Option<Replay>,
    /// Further rows for the same batch: family, key, value as stored (sealed by the caller where it must be).
    pub extra: Vec<(Family, Vec<u8>, Vec<u8>)>,
}

/// The patient part of an entry; the writer adds sequence number and previous hash.
pub struct PatientAppend {
    /// The number of whoever it is about: under it the entry is counted and chained.
    pub number: NhsNumber,
    /// Further numbers under which the entry is found: others of the same person, and the one asked about.
    pub also: Vec<NhsNumber>,
    /// The patient's own data key, under which the part is sealed; without one, under the log key.
    pub key: Option<SealingKey>,
    /// Free-text reason, at the asker only.
    pub reason_text: Option<String>,
}

/// What makes a query unrepeatable: its envelope's nonce, and that one organisation's query is decided once.
#[derive(Debug, Clone)]
pub struct Replay {
    /// Nonce of the envelope.
    pub nonce: Nonce,
    /// Until when the nonce is remembered; the query's id is remembered for ever.
    pub keep_until: Timestamp,
    /// Who asks.
    pub asker: OdsCode,
    /// The query.
    pub query_id: QueryId,
}

/// Why an entry is not in the log.
#[derive(Debug, Error)]
pub enum AppendError {
    /// The nonce, or this organisation's query, was there already. Nothing was written.
    #[error("the envelope's nonce or its query was seen before")]
    Replayed,
    /// The log takes no appends: a write has failed, the key cannot sign, or the node is shutting down.
    #[error("the audit log takes no entries")]
    Unavailable,
    /// The entry cannot be encoded, or is longer than [`ENTRY_MAX`].
    #[error("the audit entry cannot be encoded: {0}")]
    Entry(#[from] CborError),
    /// The store failed before anything was written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Proof that an entry is on disk. Made only by the log.
#[derive(Debug, Clone)]
pub struct AppendReceipt {
    leaf: Digest,
    proof: InclusionProof,
    checkpoint: Arc<str>,
    root: Option<Digest>,
}

impl Append {
    /// An entry with nothing beside it.
    #[must_use]
    pub fn new(entry: AuditEntry) -> Self {
        Self { entry, patient: None, replay: None, extra: Vec::new() }
    }
}

impl AppendReceipt {
    /// The entry's position.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.proof.index
    }

    /// The entry's leaf hash.
    #[must_use]
    pub fn leaf(&self) -> Digest {
        self.leaf
    }

    /// Proof that the leaf is under the checkpoint.
    #[must_use]
    pub fn proof(&self) -> &InclusionProof {
        &self.proof
    }

    /// The checkpoint: a C2SP signed note.
    #[must_use]
    pub fn checkpoint(&self) -> &str {
        &self.checkpoint
    }

    /// The Merkle root of what was selected, as the entry commits to it.
    #[must_use]
    pub fn root(&self) -> Option<Digest> {
        self.root
    }
}

/// An append on its way to the writer, with everything done that needs no position.
pub(super) struct Request {
    pub(super) at: Timestamp,
    pub(super) query_id: Option<QueryId>,
    pub(super) root: Option<Digest>,
    pub(super) details: Vec<u8>,
    pub(super) patient: Option<PatientAppend>,
    pub(super) replay: Option<Replay>,
    pub(super) extra: Vec<(Family, Vec<u8>, Vec<u8>)>,
    pub(super) answer: oneshot::Sender<Result<Committed, AppendError>>,
}

/// A leaf on disk, and the batch it went with.
pub(super) struct Committed {
    pub(super) index: u64,
    pub(super) leaf: Digest,
    pub(super) root: Option<Digest>,
    pub(super) batch: Arc<CommittedBatch>,
}

/// What all leaves of a batch share: enough of the tree to prove each of them.
pub(super) struct CommittedBatch {
    pub(super) head: TreeHead,
    pub(super) checkpoint: Arc<str>,
    /// The right edge before the batch, and every node the batch completed, by their stored numbers.
    pub(super) nodes: HashMap<u64, Digest>,
}

/// Encodes on the caller's thread: the writer is the one thread everybody waits for.
pub(super) fn request(
    append: Append,
) -> Result<(Request, oneshot::Receiver<Result<Committed, AppendError>>), AppendError> {
    let details = cbor::to_vec(&append.entry)?;
    if details.len() > ENTRY_MAX {
        return Err(CborError::TooLong { len: details.len(), limit: ENTRY_MAX }.into());
    }
    let (answer, receiver) = oneshot::channel();
    let request = Request {
        at: append.entry.at,
        query_id: append.entry.query_id,
        root: append.entry.root,
        details,
        patient: append.patient,
        replay: append.replay,
        extra: append.extra,
        answer,
    };
    Ok((request, receiver))
}

impl Committed {
    /// Makes the proof, on the caller's thread and from memory alone.
    pub(super) fn receipt(self) -> Result<AppendReceipt, AppendError> {
        let Self { index, leaf, root, batch } = self;
        let proof = tree::prove_inclusion(index, batch.head.size, |number| batch.nodes.get(&number).copied())
            .map_err(|_| AppendError::Unavailable)?;
        Ok(AppendReceipt { leaf, proof, checkpoint: Arc::clone(&batch.checkpoint), root })
    }
}

/// One entry, encoded: a page of the log holds several. A DECISION with every field is about 1.5 KiB.
pub const ENTRY_MAX: usize = 32 * 1024;
