//! The organisation's audit log: one writer appends, everybody reads.
//!
//! An append returns when its entry, its place in the tree, a signed checkpoint over it, the replay nonce and whatever the
//! caller sent along are on disk, in one batch and one sync. Appends that arrive while the disk is busy share the next sync.
//! When a write fails the log takes no more: what the disk holds after a failed sync nobody can say, so nothing is served.
//!
//! [`append`] (what goes in and comes out) · `writer` (group commit) · `startup` (is this log the one that was signed?) ·
//! `read` (what the desk asks) · `stored` (rows). What is *not* here: deciding (`answer`), and asking witnesses.

use std::sync::Arc;

use careweave_protocol::audit::{CheckpointError, Origin, TreeError, TreeHead};
use careweave_protocol::id::{NetworkId, NodeKey, OdsCode, Salt};
use careweave_protocol::key::Signer;
use rocksdb::WriteBatch;
use thiserror::Error;
use tokio::sync::{mpsc, watch};

use crate::store::database::{Database, StoreError};
use crate::store::seal;

pub mod append;
mod read;
mod startup;
mod stored;
mod writer;

pub use append::{Append, AppendError, AppendReceipt, PatientAppend, Replay};
pub use read::{PatientKeyring, StoredEntry};

/// A handle on the log; clones share it.
#[derive(Clone)]
pub struct AuditLog {
    inner: Arc<Inner>,
}

struct Inner {
    db: Database,
    origin: Origin,
    queue: mpsc::Sender<writer::Command>,
    published: watch::Receiver<Published>,
}

/// What the log looks like to everybody else: moves on with each batch that is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Size and root.
    pub head: TreeHead,
    /// The signed note over them; `None` while the log is empty.
    pub checkpoint: Option<Arc<str>>,
    /// Whether the log takes appends; it stops when a write has failed and at shutdown.
    pub open: bool,
}

/// Why the log could not be opened or read.
#[derive(Debug, Error)]
pub enum AuditError {
    /// The stored log is not the one the organisation last signed, or that somebody else remembers.
    #[error("the audit log was rolled back or altered: {signed} entries were signed, {stored} are stored and fit")]
    LogRollback {
        /// Entries under the checkpoint.
        signed: u64,
        /// Entries in the store; as many as were signed when they are there and make another root.
        stored: u64,
    },
    /// The newest stored checkpoint is not this log's.
    #[error("the newest checkpoint of the audit log is not believed: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A proof was asked for that cannot be made.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// There is no such entry.
    #[error("the audit log has no entry {0}")]
    NoSuchEntry(u64),
    /// The entry is there and does not open, or a row of it is not of the shape it should be.
    #[error("entry {0} of the audit log was altered")]
    Altered(u64),
    /// The writer's thread could not be started.
    #[error("the audit writer could not be started: {0}")]
    Writer(#[from] std::io::Error),
}

impl AuditLog {
    /// Opens the organisation's log in this database and starts its writer, on a thread of its own.
    ///
    /// Checkpoints are signed by `signer`, an Ed25519 node key; `earlier` are node keys that may have signed before it.
    ///
    /// # Errors
    /// [`AuditError::LogRollback`] when the stored tree is not the one the newest stored checkpoint was signed for;
    /// [`AuditError::Checkpoint`] when none of the keys signed that; or when the database fails.
    pub fn open(
        db: Database,
        network: &NetworkId,
        log: &OdsCode,
        signer: Arc<dyn Signer>,
        earlier: &[NodeKey],
    ) -> Result<Self, AuditError> {
        let to = db.clone();
        Self::open_writing(db, network, log, signer, earlier, Box::new(move |batch| to.write_synced(batch)))
    }

    fn open_writing(
        db: Database,
        network: &NetworkId,
        log: &OdsCode,
        signer: Arc<dyn Signer>,
        earlier: &[NodeKey],
        write: Write,
    ) -> Result<Self, AuditError> {
        let origin = Origin::new(network, log);
        let own = signer.public_key().node_key().ok_or(CheckpointError::CannotSign)?;
        let keys: Vec<NodeKey> = std::iter::once(own).chain(earlier.iter().copied()).collect();
        let (edge, checkpoint) = startup::check(&db, &origin, &keys)?;
        let (publish, published) = watch::channel(Published { head: edge.head(), checkpoint, open: true });
        let (queue, commands) = mpsc::channel(QUEUE);
        let writer = writer::Writer::new(db.clone(), write, origin.clone(), vec![signer], edge, commands, publish);
        std::thread::Builder::new().name("audit-writer".to_owned()).spawn(move || writer.run())?;
        Ok(Self { inner: Arc::new(Inner { db, origin, queue, published }) })
    }

    /// Appends an entry and returns when it is on disk. Waits for room when the queue is full. Dropping the future does not
    /// take the entry back: whoever hangs up early is still in the log.
    ///
    /// # Errors
    /// [`AppendError`]; the caller must then not do what the entry says.
    pub async fn append(&self, append: Append) -> Result<AppendReceipt, AppendError> {
        let (request, answer) = append::request(append)?;
        let command = writer::Command::Append(Box::new(request));
        self.inner.queue.send(command).await.map_err(|_| AppendError::Unavailable)?;
        answer.await.map_err(|_| AppendError::Unavailable)??.receipt()
    }

    /// As [`AuditLog::append`], for a thread that is not asynchronous; panics on one that is.
    ///
    /// # Errors
    /// [`AppendError`].
    pub fn append_blocking(&self, append: Append) -> Result<AppendReceipt, AppendError> {
        let (request, answer) = append::request(append)?;
        let command = writer::Command::Append(Box::new(request));
        self.inner.queue.blocking_send(command).map_err(|_| AppendError::Unavailable)?;
        answer.blocking_recv().map_err(|_| AppendError::Unavailable)??.receipt()
    }

    /// Signs checkpoints with these node keys from the next batch on: two while one follows the other.
    ///
    /// # Errors
    /// [`AppendError::Unavailable`] when the log is closed.
    pub async fn sign_with(&self, signers: Vec<Arc<dyn Signer>>) -> Result<(), AppendError> {
        self.inner.queue.send(writer::Command::SignWith(signers)).await.map_err(|_| AppendError::Unavailable)
    }

    /// Follows the log: changes with every batch on disk, and when the log stops taking appends.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Published> {
        self.inner.published.clone()
    }

    /// Whose log it is, as it stands in checkpoints.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.inner.origin
    }

    /// Takes no more appends, finishes those that wait, and returns when the writer has let go of the database.
    pub async fn shutdown(&self) {
        // An error means that the writer is gone already.
        let _ = self.inner.queue.send(writer::Command::Stop).await;
        let mut published = self.inner.published.clone();
        while published.changed().await.is_ok() {}
    }
}

/// 32 fresh random bytes.
///
/// # Errors
/// When there is no randomness; a salt that can be guessed hides nothing, so there is no other to fall back on.
pub fn fresh_salt() -> Result<Salt, StoreError> {
    Ok(Salt(*seal::random_key()?))
}

/// Puts a batch on disk.
type Write = Box<dyn FnMut(WriteBatch) -> Result<(), StoreError> + Send>;

/// Appends waiting for the writer: two full batches, so that one can gather while the other is synced; past that callers wait.
const QUEUE: usize = 2 * writer::BATCH_MAX;

#[cfg(test)]
mod tests;
