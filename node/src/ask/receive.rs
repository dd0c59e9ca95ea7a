//! Taking an answer in, frame by frame: nothing is handed on before it has verified, and a half answer is none.

use careweave_protocol::audit::verify_receipt;
use careweave_protocol::id::{Digest, NetworkId, NodeKey, OdsCode};
use careweave_protocol::limits::{ANSWER_BUDGET, RECORD_MAX, RECORDS_MAX, REFUSAL_BUCKET};
use careweave_protocol::query::{AnswerFrame, AnswerHeader, AnswerOutcome, Cause, RecordHead};
use careweave_protocol::record::{Category, Form, merkle};
use careweave_protocol::signed::{Scope, Signed, Verified};
use careweave_protocol::time::Timestamp;
use thiserror::Error;
use zstd::stream::read::Decoder;
use zstd::zstd_safe::{DCtx, ResetDirective};

/// One verified record.
pub struct Fetched {
    /// Category that the holder decided.
    pub category: Category,
    /// Form that the holder granted.
    pub form: Form,
    /// When the holder took it in.
    pub taken_in: Timestamp,
    /// Uncompressed FHIR R4 JSON.
    pub body: Vec<u8>,
}

/// A whole verified answer.
pub struct Answer {
    /// The receipt.
    pub header: Verified<AnswerHeader>,
    /// The records.
    pub records: Vec<Fetched>,
}

/// Whose answer to what is expected.
#[derive(Debug, Clone)]
pub struct Expected {
    /// The network.
    pub network: NetworkId,
    /// Who asked.
    pub asker: OdsCode,
    /// Who was asked.
    pub holder: OdsCode,
    /// The endpoint asked.
    pub node: NodeKey,
    /// SHA-256 of the envelope sent.
    pub envelope: Digest,
}

/// What a frame brought.
pub enum Step {
    /// Told to come back after this many milliseconds.
    Busy(u32),
    /// More is to come; this many bytes of records were consumed.
    Further {
        /// Bytes to be granted again.
        consumed: u32,
    },
    /// That was the last.
    Whole(Box<Answer>),
}

/// Why an answer is not believed; nothing of it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotBelieved {
    /// The stream ended before the answer did, or the answer before its last record.
    #[error("it ended early")]
    EndedEarly,
    /// A frame of no known kind, or one that does not belong here.
    #[error("its frames are not in order")]
    Frames,
    /// The header is not signed by the holder for us.
    #[error("its header does not verify")]
    Header,
    /// The header answers another question, or contradicts itself.
    #[error("its header answers another question")]
    OtherQuestion,
    /// The receipt does not prove that the decision was logged.
    #[error("its receipt does not prove a log entry")]
    Receipt,
    /// The hashes do not make the root.
    #[error("its hashes do not make the signed root")]
    Root,
    /// A record does not fit its hash, or there are more than announced.
    #[error("a record does not fit its hash")]
    Record,
    /// A record does not unpack within its bound, or all of them together do not.
    #[error("its records do not unpack within their bound")]
    Packing,
}

/// An answer while it comes in.
pub struct Receiver {
    expected: Expected,
    coming: Option<Coming>,
}

struct Coming {
    header: Verified<AnswerHeader>,
    leaves: Vec<Digest>,
    root_checked: bool,
    buffer: Vec<u8>,
    consumed: usize,
    records: Vec<Fetched>,
    unpacker: Unpacker,
    received: u64,
    unpacked: u64,
}

/// All records of one answer, uncompressed: four times the budget of what travels, because clinical text packs about that well. Without
/// it 65,536 records of a few bytes could unpack to a terabyte.
const UNPACKED_MAX: u64 = 4 * ANSWER_BUDGET;
/// Window of a zstd frame (RFC 8878 §3.1.1.1.2), as a power of two: a record has at most 2^24 bytes. A frame could ask for far more memory.
const WINDOW_LOG_MAX: u32 = 24;

impl Receiver {
    /// Nothing has come yet.
    #[must_use]
    pub fn new(expected: Expected) -> Self {
        Self { expected, coming: None }
    }

    /// Takes the next frame.
    ///
    /// # Errors
    /// [`NotBelieved`]; whatever came before it is dropped with the receiver.
    pub fn take(&mut self, frame: &[u8]) -> Result<Step, NotBelieved> {
        let further = |consumed: usize| Step::Further { consumed: u32::try_from(consumed).unwrap_or(u32::MAX) };
        match (AnswerFrame::parse(frame).ok_or(NotBelieved::Frames)?, self.coming.as_mut()) {
            (AnswerFrame::Busy(ms), None) => Ok(Step::Busy(ms)),
            (AnswerFrame::Header(signed), None) => {
                self.coming = Some(Coming::begin(&self.expected, signed)?);
                Ok(further(0))
            }
            (AnswerFrame::Leaves(leaves), Some(coming)) => coming.leaves(leaves).map(|()| further(0)),
            (AnswerFrame::Chunk(bytes), Some(coming)) => coming.chunk(bytes).map(|()| further(frame.len())),
            (AnswerFrame::End, Some(_)) => {
                let coming = self.coming.take().ok_or(NotBelieved::Frames)?;
                Ok(Step::Whole(Box::new(coming.finish()?)))
            }
            _ => Err(NotBelieved::Frames),
        }
    }
}

impl Coming {
    /// Checks that the header answers this very envelope, and that its receipt proves itself.
    fn begin(expected: &Expected, signed: &[u8]) -> Result<Self, NotBelieved> {
        let scope = Scope::to(&expected.network, &expected.asker);
        let header = Signed::<AnswerHeader>::from_bytes(signed.to_vec())
            .and_then(|signed| signed.verify(scope, &expected.node.into()))
            .map_err(|_| NotBelieved::Header)?;
        let said = header.get();
        let unlogged = said.outcome == AnswerOutcome::Refused(Cause::LogUnavailable);
        let ours = (said.envelope == expected.envelope || unlogged)
            && said.asker == expected.asker
            && said.holder == expected.holder
            && said.records <= RECORDS_MAX
            && said.bytes <= ANSWER_BUDGET
            && said.padding.len() <= 2 * REFUSAL_BUCKET;
        let given = matches!(said.outcome, AnswerOutcome::Answered | AnswerOutcome::Partial);
        // Of an answer without records at least one medicine is hidden, which is what it is there to say.
        if !ours || given != (said.records > 0 || said.medicines_not_shown > 0) {
            return Err(NotBelieved::OtherQuestion);
        }
        // A holder whose log is down can only refuse, and that refusal is the one answer without a proof.
        if !unlogged {
            verify_receipt(said, &expected.network, &[expected.node]).map_err(|_| NotBelieved::Receipt)?;
        }
        let count = usize::try_from(said.records).unwrap_or(0);
        Ok(Self {
            leaves: Vec::with_capacity(count),
            root_checked: count == 0,
            buffer: Vec::new(),
            consumed: 0,
            records: Vec::with_capacity(count),
            unpacker: Unpacker::default(),
            received: 0,
            unpacked: 0,
            header,
        })
    }

    fn leaves(&mut self, bytes: &[u8]) -> Result<(), NotBelieved> {
        let expected = usize::try_from(self.header.get().records).unwrap_or(0);
        self.leaves.extend(bytes.chunks_exact(Digest::LEN).filter_map(|leaf| Digest::try_from(leaf).ok()));
        if self.root_checked || self.leaves.len() > expected {
            return Err(NotBelieved::Root);
        }
        if self.leaves.len() == expected {
            if merkle::root(&self.leaves) != self.header.get().root {
                return Err(NotBelieved::Root);
            }
            self.root_checked = true;
        }
        Ok(())
    }

    fn chunk(&mut self, bytes: &[u8]) -> Result<(), NotBelieved> {
        if !self.root_checked {
            return Err(NotBelieved::Frames);
        }
        self.received = self.received.saturating_add(bytes.len() as u64);
        let heads = u64::from(self.header.get().records).saturating_mul(RecordHead::LEN as u64);
        if self.received > self.header.get().bytes.saturating_add(heads) {
            return Err(NotBelieved::Record);
        }
        self.buffer.extend_from_slice(bytes);
        while self.take_record()? {}
        // What is consumed is given back once in a while, not moved for every record.
        if self.consumed > self.buffer.len() / 2 {
            self.buffer.drain(..self.consumed);
            self.consumed = 0;
        }
        Ok(())
    }

    fn take_record(&mut self) -> Result<bool, NotBelieved> {
        let rest = self.buffer.get(self.consumed..).unwrap_or_default();
        let Some((head, rest)) = rest.split_first_chunk::<{ RecordHead::LEN }>() else { return Ok(false) };
        let head = RecordHead::from_bytes(*head).ok_or(NotBelieved::Record)?;
        let len = usize::try_from(head.len).unwrap_or(usize::MAX);
        let Some(body) = rest.get(..len) else { return Ok(false) };
        let leaf = self.leaves.get(self.records.len()).ok_or(NotBelieved::Record)?;
        if merkle::leaf(head.category, head.form, head.taken_in, body) != *leaf {
            return Err(NotBelieved::Record);
        }
        let body = self.unpacker.unpack(body).ok_or(NotBelieved::Packing)?;
        self.unpacked = self.unpacked.saturating_add(body.len() as u64);
        if self.unpacked > UNPACKED_MAX {
            return Err(NotBelieved::Packing);
        }
        self.records.push(Fetched { category: head.category, form: head.form, taken_in: head.taken_in, body });
        self.consumed = self.consumed.saturating_add(RecordHead::LEN).saturating_add(len);
        Ok(true)
    }

    fn finish(self) -> Result<Answer, NotBelieved> {
        let whole = self.root_checked && self.records.len() == self.leaves.len() && self.consumed == self.buffer.len();
        if whole { Ok(Answer { header: self.header, records: self.records }) } else { Err(NotBelieved::EndedEarly) }
    }
}

/// Unpacks zstd frames one after the other: the context is large, and making one for each record costs more than the records.
pub struct Unpacker {
    context: DCtx<'static>,
}

impl Default for Unpacker {
    fn default() -> Self {
        Self { context: DCtx::create() }
    }
}

impl Unpacker {
    /// Unpacks a frame of at most [`RECORD_MAX`] bytes.
    #[must_use]
    pub fn unpack(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        use std::io::Read;
        // Whatever a frame before this one left behind.
        self.context.reset(ResetDirective::SessionAndParameters).ok()?;
        let mut out = Vec::with_capacity(body.len().saturating_mul(USUAL_RATIO).min(RECORD_MAX));
        let mut reader = Decoder::with_context(body, &mut self.context);
        reader.window_log_max(WINDOW_LOG_MAX).ok()?;
        reader.take(RECORD_MAX as u64 + 1).read_to_end(&mut out).ok()?;
        (out.len() <= RECORD_MAX).then_some(out)
    }
}

/// How much larger a record of FHIR JSON usually is than its frame.
const USUAL_RATIO: usize = 4;
