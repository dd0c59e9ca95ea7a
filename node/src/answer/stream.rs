//! Sending what was permitted: read once, in order, in chunks, never more under way than the asker has granted.

use std::ops::ControlFlow;
use std::sync::Arc;

use careweave_protocol::cbor;
use careweave_protocol::limits::{CHUNK_MAX, CREDIT_WINDOW, IDLE_TIMEOUT, LEAVES_PER_FRAME};
use careweave_protocol::query::{AnswerFrame, CreditFrame, RecordHead};
use careweave_protocol::record::merkle;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::AnswerError;
use super::permit::{Permit, Selected};
use crate::ask::locate::LONGEST_DEADLINE;
use crate::net::{ExchangeStream, FramedStream};
use crate::services::Services;
use crate::store::patients::OpenPatient;
use crate::store::records::{self, ReadError};

/// Chunks read ahead of the socket: two being sent, two being read.
const CHUNKS_AHEAD: usize = 4;
/// A credit frame is one small integer.
const CREDIT_MAX: usize = 64;

/// Answers being sent at once by this process. Each keeps a thread that may wait for its asker, of the 512 that tokio has for work
/// that blocks: half stay free, so that slow askers never keep others from being judged.
const SENT_AT_ONCE: usize = 256;
static SENDING: Semaphore = Semaphore::const_new(SENT_AT_ONCE);

/// Sends header, leaves, records and end.
///
/// # Errors
/// When the store or the stream fails, the asker grants nothing for [`IDLE_TIMEOUT`], or takes longer than any view waits.
pub async fn send(
    services: &Arc<Services>,
    stream: &mut FramedStream<ExchangeStream>,
    head: &[u8],
    permit: Permit,
    patient: OpenPatient,
    window: u32,
) -> Result<(), AnswerError> {
    // `acquire` fails only when the semaphore is closed, and nobody closes it.
    let _place = timeout(IDLE_TIMEOUT, SENDING.acquire()).await.map_err(|_| AnswerError::Idle)?;
    let sent = send_all(services, stream, head, permit, patient, window);
    timeout(LONGEST_DEADLINE, sent).await.map_err(|_| AnswerError::Idle)?
}

async fn send_all(
    services: &Arc<Services>,
    stream: &mut FramedStream<ExchangeStream>,
    head: &[u8],
    permit: Permit,
    patient: OpenPatient,
    window: u32,
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
        if merkle::leaf(selected.category, selected.form, &body) != selected.leaf {
            changed = true;
            return ControlFlow::Break(());
        }
        let head = RecordHead { category: selected.category, form: selected.form, len: selected.bytes };
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
