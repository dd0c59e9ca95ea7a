//! The one thread that writes the log: takes what waits, gives it positions, seals it, signs once, syncs once, answers all.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use careweave_protocol::audit::sequence::NONE_BEFORE;
use careweave_protocol::audit::{Frontier, Origin, PatientDetails, PatientPart, checkpoint, leaf};
use careweave_protocol::id::{Digest, Nonce};
use careweave_protocol::key::Signer;
use careweave_protocol::time::Timestamp;
use rocksdb::WriteBatch;
use tokio::sync::{mpsc, oneshot, watch};

use super::append::{AppendError, Committed, CommittedBatch, PatientAppend, Replay, Request};
use super::stored::{self, DetailsRow, PatientHead, PatientRow, index_key, with_index};
use super::{Published, Write, fresh_salt};
use crate::store::database::{Database, Family, StoreError};
use crate::store::seal;

/// What the writer is told.
pub(super) enum Command {
    /// Append an entry.
    Append(Box<Request>),
    /// Sign with another key from here on.
    SignWith(Vec<Arc<dyn Signer>>),
    /// Finish what waits, then end.
    Stop,
}

/// Appends in one sync: at 2 KiB each about a megabyte, well under a write buffer; more would make the first wait for the last.
pub(super) const BATCH_MAX: usize = 512;
/// Nonces looked at for each one that may be added: two, so that the expired ones never outnumber the others for long.
const SWEEP_PER_APPEND: usize = 2;

/// The writer's state; everything here is as of the last batch on disk.
pub(super) struct Writer {
    db: Database,
    write: Write,
    origin: Origin,
    signers: Vec<Arc<dyn Signer>>,
    edge: Frontier,
    commands: mpsc::Receiver<Command>,
    /// The nonce at which the next sweep goes on.
    sweep_from: Vec<u8>,
    /// Last, so that it is dropped last: its end tells that the database has been let go of.
    publish: watch::Sender<Published>,
}

/// A batch being made: what it claims, before the database can tell.
#[derive(Default)]
struct Open {
    nonces: HashSet<Nonce>,
    decided: HashSet<Vec<u8>>,
    heads: HashMap<[u8; 16], PatientHead>,
    rows: Vec<(Family, Vec<u8>, Vec<u8>)>,
    /// The latest time of its entries.
    now: Option<Timestamp>,
}

/// An entry that has its place.
struct Placed {
    index: u64,
    leaf: Digest,
    root: Option<Digest>,
    answer: oneshot::Sender<Result<Committed, AppendError>>,
}

impl Writer {
    pub(super) fn new(
        db: Database,
        write: Write,
        origin: Origin,
        signers: Vec<Arc<dyn Signer>>,
        edge: Frontier,
        commands: mpsc::Receiver<Command>,
        publish: watch::Sender<Published>,
    ) -> Self {
        Self { db, write, origin, signers, edge, commands, sweep_from: Vec::new(), publish }
    }

    /// Serves until the log is closed, or a write fails; then every append, waiting or later, is answered that the log is
    /// unavailable.
    pub(super) fn run(mut self) {
        let mut usable = true;
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while let Some(first) = self.commands.blocking_recv() {
            self.take(first, &mut batch);
            while batch.len() < BATCH_MAX
                && let Ok(next) = self.commands.try_recv()
            {
                self.take(next, &mut batch);
            }
            if usable && !batch.is_empty() {
                usable = self.commit(&mut batch);
            }
            if !usable {
                self.commands.close();
                self.publish.send_modify(|published| published.open = false);
            }
            for request in batch.drain(..) {
                let _ = request.answer.send(Err(AppendError::Unavailable));
            }
        }
        self.publish.send_modify(|published| published.open = false);
    }

    fn take(&mut self, command: Command, batch: &mut Vec<Request>) {
        match command {
            Command::Append(request) => batch.push(*request),
            Command::SignWith(signers) => self.signers = signers,
            Command::Stop => self.commands.close(),
        }
    }

    /// Writes a batch and answers it. False when the log must not be used any more.
    fn commit(&mut self, requests: &mut Vec<Request>) -> bool {
        let mut edge = self.edge.clone();
        let mut nodes: HashMap<u64, Digest> = edge.stored().map(|node| (node.index, node.hash)).collect();
        let mut open = Open::default();
        let mut placed = Vec::with_capacity(requests.len());
        let sweep = requests.len() * SWEEP_PER_APPEND;
        for request in requests.drain(..) {
            let index = edge.size();
            match self.place(&request, index, &mut open) {
                Ok(leaf) => {
                    edge.push(&leaf, |node| {
                        nodes.insert(node.index, node.hash);
                        let row = node.hash.as_bytes().to_vec();
                        open.rows.push((Family::AuditTree, index_key(node.index).to_vec(), row));
                    });
                    open.rows.extend(request.extra);
                    placed.push(Placed { index, leaf, root: request.root, answer: request.answer });
                }
                Err(error) => {
                    let _ = request.answer.send(Err(error));
                }
            }
        }
        if placed.is_empty() {
            return true;
        }
        let head = edge.head();
        let signers: Vec<&dyn Signer> = self.signers.iter().map(|signer| &**signer).collect();
        let note: Arc<str> = match checkpoint::sign_all(&self.origin, &head, &signers) {
            Ok(note) => note.into(),
            Err(error) => {
                // Nothing was written: a token that comes back may sign the next batch.
                tracing::error!(%error, "the audit log's checkpoint could not be signed");
                return refuse(placed, true);
            }
        };
        open.rows.push((Family::Checkpoints, index_key(head.size).to_vec(), note.as_bytes().to_vec()));
        let written = self.batch(&open, sweep).and_then(|batch| (self.write)(batch));
        if let Err(error) = written {
            tracing::error!(%error, "the audit log could not be written and is closed");
            return refuse(placed, false);
        }
        self.edge = edge;
        self.publish.send_replace(Published { head, checkpoint: Some(Arc::clone(&note)), open: true });
        let batch = Arc::new(CommittedBatch { head, checkpoint: note, nodes });
        for Placed { index, leaf, root, answer } in placed {
            let _ = answer.send(Ok(Committed { index, leaf, root, batch: Arc::clone(&batch) }));
        }
        true
    }

    /// Makes the rows of one entry. Touches `open` only when nothing can fail any more, so that a refused entry leaves nothing.
    fn place(&self, request: &Request, index: u64, open: &mut Open) -> Result<Digest, AppendError> {
        if let Some(replay) = &request.replay {
            self.refuse_repetition(replay, request.at, open)?;
        }
        let salt = fresh_salt()?;
        let patient = request.patient.as_ref().map(|part| self.patient(part, index, open)).transpose()?;
        let patient_digest = patient.as_ref().map_or(leaf::NO_PATIENT, |part| part.digest);
        let hash = leaf::leaf(&salt, &Digest::of(&[&request.details]), &patient_digest);
        let place = index_key(index);
        let plain = DetailsRow::plain(&salt, &patient_digest, &request.details);
        let sealed = self.db.keys().log.seal(Family::Audit, &place, &plain).map_err(StoreError::from)?;

        open.now = open.now.max(Some(request.at));
        open.rows.push((Family::Audit, place.to_vec(), sealed));
        if let Some(part) = patient {
            let head = PatientHead { sequence: part.sequence, leaf: hash };
            let blinded = part.row.blinded;
            open.rows.push((Family::AuditPatient, place.to_vec(), part.row.to_bytes()));
            open.rows.push((Family::AuditIndex, stored::patient_head_key(&blinded), head.to_bytes()));
            let by_patient = with_index(&stored::patient_prefix(&blinded), index);
            open.rows.push((Family::AuditIndex, by_patient, Vec::new()));
            for number in request.patient.iter().flat_map(|append| &append.also) {
                let prefix = stored::patient_prefix(&self.db.keys().blind_number(number));
                open.rows.push((Family::AuditIndex, with_index(&prefix, index), Vec::new()));
            }
            open.heads.insert(blinded, head);
        }
        if let Some(query_id) = &request.query_id {
            let by_query = with_index(&stored::query_prefix(query_id), index);
            open.rows.push((Family::AuditIndex, by_query, Vec::new()));
        }
        if let Some(replay) = &request.replay {
            let decided = stored::decided_key(&replay.asker, &replay.query_id);
            let until = replay.keep_until.0.to_be_bytes().to_vec();
            open.rows.push((Family::Nonces, replay.nonce.as_bytes().to_vec(), until));
            open.rows.push((Family::AuditIndex, decided.clone(), place.to_vec()));
            open.nonces.insert(replay.nonce);
            open.decided.insert(decided);
        }
        Ok(hash)
    }

    fn refuse_repetition(&self, replay: &Replay, now: Timestamp, open: &Open) -> Result<(), AppendError> {
        let decided = stored::decided_key(&replay.asker, &replay.query_id);
        if open.nonces.contains(&replay.nonce) || open.decided.contains(&decided) {
            return Err(AppendError::Replayed);
        }
        if self.db.get(Family::AuditIndex, &decided)?.is_some() {
            return Err(AppendError::Replayed);
        }
        match self.db.get(Family::Nonces, replay.nonce.as_bytes())? {
            Some(row) if !is_expired(&row, now) => Err(AppendError::Replayed),
            _ => Ok(()),
        }
    }

    fn patient(&self, append: &PatientAppend, index: u64, open: &Open) -> Result<PlacedPatient, AppendError> {
        let keys = self.db.keys();
        let blinded = keys.blind_number(&append.number);
        let head = match open.heads.get(&blinded) {
            Some(head) => Some(*head),
            None => self
                .db
                .get(Family::AuditIndex, &stored::patient_head_key(&blinded))?
                // A head that cannot be read must not start the count again.
                .map(|row| PatientHead::parse(&row).ok_or(StoreError::from(seal::SealError::DoesNotOpen)))
                .transpose()?,
        };
        let sequence = head.map_or(1, |head| head.sequence.saturating_add(1));
        let part = PatientPart {
            nhs_number: append.number,
            sequence,
            previous: head.map_or(NONE_BEFORE, |head| head.leaf),
            reason_text: append.reason_text.clone(),
        };
        let salt = fresh_salt()?;
        let plain = PatientDetails { salt, part }.to_bytes()?;
        if plain.len() > leaf::PATIENT_DETAILS_MAX {
            let (len, limit) = (plain.len(), leaf::PATIENT_DETAILS_MAX);
            return Err(careweave_protocol::cbor::CborError::TooLong { len, limit }.into());
        }
        let digest = Digest::of(&[&plain]);
        let key = append.key.as_ref().unwrap_or(&keys.log);
        let sealed = key.seal(Family::AuditPatient, &index_key(index), &plain).map_err(StoreError::from)?;
        let row = PatientRow { own_key: append.key.is_some(), blinded, sealed };
        Ok(PlacedPatient { sequence, digest, row })
    }

    fn batch(&mut self, open: &Open, sweep: usize) -> Result<WriteBatch, StoreError> {
        let mut batch = WriteBatch::default();
        // Before the rows: a nonce that expired may be among them again.
        if let Some(now) = open.now {
            self.sweep(now, sweep, &mut batch)?;
        }
        for (family, key, value) in &open.rows {
            self.db.put(&mut batch, *family, key, value)?;
        }
        Ok(batch)
    }

    /// Forgets expired nonces, a few with each batch, going round.
    fn sweep(&mut self, now: Timestamp, budget: usize, batch: &mut WriteBatch) -> Result<(), StoreError> {
        let mut seen = 0;
        let mut last = None;
        for item in self.db.scan_from(Family::Nonces, &[], &self.sweep_from)?.take(budget) {
            let (nonce, row) = item?;
            if is_expired(&row, now) {
                self.db.delete(batch, Family::Nonces, &nonce)?;
            }
            seen += 1;
            last = Some(nonce);
        }
        // One past the last one seen; from the start again when the end was reached.
        self.sweep_from.clear();
        if let Some(last) = last.filter(|_| seen == budget) {
            self.sweep_from.extend_from_slice(&last);
            self.sweep_from.push(0);
        }
        Ok(())
    }
}

/// The patient part of an entry that has its place.
struct PlacedPatient {
    sequence: u64,
    digest: Digest,
    row: PatientRow,
}

/// Every row begins with when it may be forgotten. One that cannot be read never expires: what is unclear counts as seen.
fn is_expired(row: &[u8], now: Timestamp) -> bool {
    row.first_chunk::<8>().is_some_and(|bytes| i64::from_be_bytes(*bytes) < now.0)
}

fn refuse(placed: Vec<Placed>, usable: bool) -> bool {
    for entry in placed {
        let _ = entry.answer.send(Err(AppendError::Unavailable));
    }
    usable
}
