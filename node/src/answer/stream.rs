//! Sending what was permitted: read once, in order, in chunks, never more under way than the asker has granted.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use careweave_protocol::audit::{AuditEntry, EntryKind};
use careweave_protocol::cbor;
use careweave_protocol::limits::{CHUNK_MAX, CREDIT_WINDOW, IDLE_TIMEOUT, LEAVES_PER_FRAME};
use careweave_protocol::query::{AnswerFrame, Cause, CreditFrame, RecordHead};
use careweave_protocol::record::merkle;
use careweave_protocol::time::Timestamp;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};

use super::AnswerError;
use super::authenticate::Asked;
use super::permit::{Permit, Selected};
use crate::ask::evidence::rests_on;
use crate::ask::locate::LONGEST_DEADLINE;
use crate::audit::Append;
use crate::net::gate::NodeSession;
use crate::net::{ExchangeStream, FramedStream};
use crate::services::Services;
use crate::store::patients::OpenPatient;
use crate::store::records::{self, ReadError};

/// Chunks read ahead of the socket: two being sent, two being read.
const CHUNKS_AHEAD: usize = 4;
/// How often the standing of an asker who is being answered is looked at: it is in memory, and within five seconds nothing more leaves.
const CHECKED_EVERY: Duration = Duration::from_secs(1);
/// A credit frame is one small integer.
const CREDIT_MAX: usize = 64;

/// Answers being sent at once by this process. Each keeps a thread that may wait for its asker, of the 512 that tokio has for work
/// that blocks: half stay free, so that slow askers never keep others from being judged.
const SENT_AT_ONCE: usize = 256;
static SENDING: Semaphore = Semaphore::const_new(SENT_AT_ONCE);

/// Sends header, leaves, records and end, for as long as the asker may have them. An answer that does not get to its end is logged with how
/// far it got.
///
/// # Errors
/// When the store or the stream fails, the asker grants nothing for [`IDLE_TIMEOUT`], takes longer than any view waits, or what the answer
/// rests on ends: [`AnswerError::Ended`].
pub async fn send(
    services: &Arc<Services>,
    session: &NodeSession,
    asked: &Asked,
    stream: &mut FramedStream<ExchangeStream>,
    head: &[u8],
    permit: Permit,
    patient: OpenPatient,
) -> Result<(), AnswerError> {
    let bytes = AtomicU64::new(0);
    let sending = async {
        // `acquire` fails only when the semaphore is closed, and nobody closes it.
        let _place = timeout(IDLE_TIMEOUT, SENDING.acquire()).await.map_err(|_| AnswerError::Idle)?;
        let sent = send_all(services, stream, head, permit, patient, asked.envelope.get().window, &bytes);
        timeout(LONGEST_DEADLINE, sent).await.map_err(|_| AnswerError::Idle)?
    };
    let outcome = tokio::select! {
        cause = ended(services, session, asked) => Err(AnswerError::Ended(cause)),
        outcome = sending => outcome,
    };
    if let Err(error) = &outcome {
        log_cut(services, session, asked, error, bytes.load(Ordering::Relaxed)).await;
    }
    outcome
}

/// Returns when the answer must stop.
async fn ended(services: &Services, session: &NodeSession, asked: &Asked) -> Cause {
    loop {
        sleep(CHECKED_EVERY).await;
        if let Some(cause) = standing(services, session, asked, services.clock.now()) {
            return cause;
        }
    }
}

/// Why what was decided would not be decided now, as far as that can end by itself or by a notice: the organisation's standing, the
/// person's, the grant, and the relationship the asker stated.
fn standing(services: &Services, session: &NodeSession, asked: &Asked, now: Timestamp) -> Option<Cause> {
    let (person, purpose) = (&asked.credential, asked.query.get().purpose);
    if let Err(cause) = services.trust().recheck(&session.identity, now) {
        return Some(cause);
    }
    if let Err(cause) = services.check_staff(person.signed(), &session.identity, now) {
        return Some(cause);
    }
    let eligibility = services.trust().check_eligibility(&session.identity, person.get(), purpose, now);
    if let Some(cause) = eligibility.refused {
        return Some(cause);
    }
    if asked.grant.as_ref().is_some_and(|grant| !grant.runs(now)) {
        return Some(Cause::GrantInvalid);
    }
    let mut counted = asked.envelope.get().evidence.iter().filter(|item| rests_on(purpose, item.kind)).peekable();
    let over = counted.peek().is_some() && counted.all(|item| item.until.is_some_and(|end| end <= now));
    over.then_some(Cause::RelationshipEnded)
}

/// The DECISION says what was to be sent; this says that not all of it was.
async fn log_cut(services: &Services, session: &NodeSession, asked: &Asked, error: &AnswerError, bytes: u64) {
    let now = services.clock.now();
    let mut entry = AuditEntry::new(EntryKind::Admin, now, services.config.ods.clone(), "answer-cut");
    asked.describe(&mut entry);
    entry.holder = Some(services.config.ods.clone());
    // A connection that was cut because of the asker's standing fails here before that is looked at.
    let cause = match error {
        AnswerError::Ended(cause) => Some(cause.clone()),
        _ => standing(services, session, asked, now),
    };
    entry.cause = Some(cause.map_or_else(|| error.to_string(), |cause| cause.to_string()));
    entry.bytes = bytes;
    if let Err(error) = services.audit.append(Append::new(entry)).await {
        tracing::error!(%error, "that an answer was cut could not be logged");
    }
}

async fn send_all(
    services: &Arc<Services>,
    stream: &mut FramedStream<ExchangeStream>,
    head: &[u8],
    permit: Permit,
    patient: OpenPatient,
    window: u32,
    bytes: &AtomicU64,
) -> Result<(), AnswerError> {
    let leaves = leaf_frames(permit.selected());
    let mut first: Vec<&[u8]> = vec![head];
    first.extend(leaves.iter().map(Vec::as_slice));
    timeout(IDLE_TIMEOUT, stream.write_frames(&first)).await.map_err(|_| AnswerError::Idle)??;

    let (sender, mut chunks) = mpsc::channel(CHUNKS_AHEAD);
    let database = services.database.clone();
    let reading = tokio::task::spawn_blocking(move || read(&database, &permit, &patient, &sender));
    let mut credit = i64::from(window.min(CREDIT_WINDOW));
    while let Some(chunk) = chunks.recv().await {
        let chunk: Vec<u8> = chunk;
        while credit <= 0 {
            let frame = timeout(IDLE_TIMEOUT, stream.read_frame(CREDIT_MAX)).await.map_err(|_| AnswerError::Idle)??;
            let Some(granted) = frame.and_then(|f| cbor::from_slice::<CreditFrame>(&f, CREDIT_MAX).ok()) else {
                return Err(AnswerError::Idle);
            };
            credit = credit.saturating_add(i64::from(granted.bytes)).min(i64::from(CREDIT_WINDOW));
        }
        credit = credit.saturating_sub(i64::try_from(chunk.len()).unwrap_or(i64::MAX));
        // Before the write: part of a frame may leave even when the write fails, and the log must not say less than left.
        bytes.fetch_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
        timeout(IDLE_TIMEOUT, stream.write_frame(&chunk)).await.map_err(|_| AnswerError::Idle)??;
    }
    reading.await??;
    timeout(IDLE_TIMEOUT, stream.write_frame(&[AnswerFrame::END])).await.map_err(|_| AnswerError::Idle)??;
    Ok(())
}

fn leaf_frames(selected: &[Selected]) -> Vec<Vec<u8>> {
    let frame = |part: &[Selected]| {
        let mut bytes = Vec::with_capacity(1 + part.len() * 32);
        bytes.push(AnswerFrame::LEAVES);
        part.iter().for_each(|s| bytes.extend_from_slice(s.leaf.as_bytes()));
        bytes
    };
    selected.chunks(LEAVES_PER_FRAME).map(frame).collect()
}

/// Reads the permitted forms and packs them into chunk frames. Ends early when nobody takes them any more.
fn read(
    database: &crate::store::database::Database,
    permit: &Permit,
    patient: &OpenPatient,
    chunks: &mpsc::Sender<Vec<u8>>,
) -> Result<(), ReadError> {
    let mut packing = Packing { frame: Packing::empty(), chunks };
    let mut open = true;
    let mut changed = false;
    records::read(database, permit, patient, |selected, body| {
        // An import may have put another version in its place, which nobody has decided about.
        if merkle::leaf(selected.category, selected.form, selected.taken_in, &body) != selected.leaf {
            changed = true;
            return ControlFlow::Break(());
        }
        let Selected { category, form, taken_in, bytes, .. } = *selected;
        let head = RecordHead { category, form, taken_in, len: bytes };
        open = packing.push(&head.to_bytes()) && packing.push(&body);
        if open { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    if changed {
        return Err(ReadError::Missing);
    }
    if open {
        packing.finish();
    }
    Ok(())
}

struct Packing<'a> {
    frame: Vec<u8>,
    chunks: &'a mpsc::Sender<Vec<u8>>,
}

impl Packing<'_> {
    fn empty() -> Vec<u8> {
        let mut frame = Vec::with_capacity(CHUNK_MAX);
        frame.push(AnswerFrame::CHUNK);
        frame
    }

    fn push(&mut self, mut bytes: &[u8]) -> bool {
        loop {
            let room = CHUNK_MAX.saturating_sub(self.frame.len());
            let (now, later) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
            self.frame.extend_from_slice(now);
            if later.is_empty() && self.frame.len() < CHUNK_MAX {
                return true;
            }
            let full = std::mem::replace(&mut self.frame, Self::empty());
            if self.chunks.blocking_send(full).is_err() {
                return false;
            }
            bytes = later;
        }
    }

    fn finish(self) {
        if self.frame.len() > 1 {
            // An error means that the asker has gone; the sender side has noticed already.
            drop(self.chunks.blocking_send(self.frame));
        }
    }
}
