//! Asking one holder: envelope out, header verified, every record verified before it is handed on.

use std::time::Duration;

use careweave_protocol::audit::verify::verify_receipt;
use careweave_protocol::cbor;
use careweave_protocol::id::{Digest, OdsCode};
use careweave_protocol::limits::{
    ANSWER_BUDGET, CREDIT_WINDOW, FRAME_MAX, IDLE_TIMEOUT, RECORD_MAX, RECORDS_MAX, REFUSAL_BUCKET,
};
use careweave_protocol::query::{
    AnswerFrame, AnswerHeader, AnswerOutcome, Cause, CreditFrame, Envelope, RecordHead, SourceOutcome,
};
use careweave_protocol::record::{Category, Form, merkle};
use careweave_protocol::signed::{Scope, Signed, Verified};
use thiserror::Error;
use tokio::time::timeout;

use crate::net::directory::Known;
use crate::net::gate::Session;
use crate::net::{ConnectError, FrameError, FramedStream, OpenError, Protocol};
use crate::services::Services;

/// How long one attempt to connect and pass `auth` may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// The asker says it consumed this much; four to a window keep the holder from waiting.
const CREDIT_STEP: u32 = CREDIT_WINDOW / 4;

/// One verified record.
pub struct Fetched {
    /// Category that the holder decided.
    pub category: Category,
    /// Form that the holder granted.
    pub form: Form,
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

/// Why no answer came, as far as it is not in a header.
#[derive(Debug, Error)]
pub enum FetchError {
    /// No advert is known, or nobody answers there.
    #[error("not reached: {0}")]
    Unreachable(#[from] ConnectError),
    /// No address is known.
    #[error("no address is known")]
    NoAddress,
    /// The connection did not pass `auth`, or no stream could be opened.
    #[error("no stream: {0}")]
    Open(#[from] OpenError),
    /// The stream failed or went quiet.
    #[error(transparent)]
    Stream(#[from] FrameError),
    /// Nothing came for [`IDLE_TIMEOUT`].
    #[error("went quiet")]
    Idle,
    /// Told to come back.
    #[error("busy for {0} ms")]
    Busy(u32),
    /// The answer does not verify; nothing of it is shown.
    #[error("answer not believed: {0}")]
    Untrusted(&'static str),
    /// The peer is not who the manifest says it is.
    #[error("peer refused: {0}")]
    Gate(Cause),
    /// The envelope could not be signed.
    #[error("the envelope could not be signed")]
    Signing,
}

impl FetchError {
    /// What the completeness statement says about it.
    #[must_use]
    pub fn outcome(&self) -> SourceOutcome {
        match self {
            Self::Busy(ms) => SourceOutcome::Busy(*ms),
            Self::Idle => SourceOutcome::Timeout,
            Self::Untrusted(_) => SourceOutcome::Untrusted(Cause::SignatureInvalid),
            Self::Gate(cause) => SourceOutcome::Untrusted(cause.clone()),
            Self::Stream(FrameError::Unsupported) | Self::Open(OpenError::Unsupported { .. }) => {
                SourceOutcome::Incompatible
            }
            Self::Unreachable(_) | Self::NoAddress | Self::Open(_) | Self::Stream(_) | Self::Signing => {
                SourceOutcome::Unreachable
            }
        }
    }
}

/// Sends the envelope that `envelope` makes for this holder, and takes the answer.
///
/// # Errors
/// See [`FetchError`]. Records that came before an error are dropped with it: nothing unverified, and no half answer, is shown.
pub async fn fetch(
    services: &Services,
    holder: &OdsCode,
    known: Option<Known>,
    envelope: impl Fn(&Known) -> Result<Verified<Envelope>, FetchError>,
) -> Result<Answer, FetchError> {
    let known = known.ok_or(FetchError::NoAddress)?;
    connect(services, &known).await?;
    let mut stream =
        FramedStream::new(services.peers.handle.open(known.peer, Protocol::Query, CONNECT_DEADLINE).await?);
    let envelope = envelope(&known)?;
    stream.write_frame(envelope.signed().as_bytes()).await?;

    let scope = Scope::to(&services.config.network, &services.config.ods);
    let mut answer: Option<Receiving> = None;
    let mut unpaid: u32 = 0;
    loop {
        let frame = timeout(IDLE_TIMEOUT, stream.read_frame(FRAME_MAX)).await.map_err(|_| FetchError::Idle)??;
        let frame = frame.ok_or(FetchError::Untrusted("ended early"))?;
        match (AnswerFrame::parse(&frame).ok_or(FetchError::Untrusted("unknown frame"))?, answer.as_mut()) {
            (AnswerFrame::Busy(ms), None) => return Err(FetchError::Busy(ms)),
            (AnswerFrame::Header(signed), None) => {
                let header = Signed::<AnswerHeader>::from_bytes(signed.to_vec())
                    .and_then(|signed| signed.verify(scope, &known.node.into()))
                    .map_err(|_| FetchError::Untrusted("header does not verify"))?;
                answer = Some(Receiving::begin(services, header, &envelope, holder, &known)?);
            }
            (AnswerFrame::Leaves(leaves), Some(answer)) => answer.leaves(leaves)?,
            (AnswerFrame::Chunk(bytes), Some(answer)) => {
                answer.chunk(bytes)?;
                unpaid = unpaid.saturating_add(u32::try_from(frame.len()).unwrap_or(u32::MAX));
                if unpaid >= CREDIT_STEP {
                    let credit = cbor::to_vec(&CreditFrame { bytes: unpaid }).map_err(|_| FetchError::Signing)?;
                    stream.write_frame(&credit).await?;
                    unpaid = 0;
                }
            }
            (AnswerFrame::End, Some(_)) => {
                return answer.ok_or(FetchError::Untrusted("no header"))?.finish();
            }
            _ => return Err(FetchError::Untrusted("frames out of order")),
        }
    }
}

/// Makes sure that there is an admitted connection.
async fn connect(services: &Services, known: &Known) -> Result<(), FetchError> {
    let handle = &services.peers.handle;
    if handle.is_admitted(known.peer) {
        return Ok(());
    }
    handle.dial(known.peer, known.addresses.clone(), CONNECT_DEADLINE).await?;
    match handle.wait_admitted(known.peer, CONNECT_DEADLINE).await {
        Ok(_) => Ok(()),
        Err(error) => Err(services.gate_cause(&known.peer).map_or(FetchError::Open(error), FetchError::Gate)),
    }
}

/// An answer while it comes in.
struct Receiving {
    header: Verified<AnswerHeader>,
    leaves: Vec<Digest>,
    root_checked: bool,
    buffer: Vec<u8>,
    consumed: usize,
    records: Vec<Fetched>,
    received: u64,
}

impl Receiving {
    /// Checks that the header answers this very envelope, and that its receipt proves itself.
    fn begin(
        services: &Services,
        header: Verified<AnswerHeader>,
        envelope: &Verified<Envelope>,
        holder: &OdsCode,
        known: &Known,
    ) -> Result<Self, FetchError> {
        let said = header.get();
        let ours = said.envelope == envelope.signed().digest()
            && said.asker == services.config.ods
            && said.holder == *holder
            && said.records <= RECORDS_MAX
            && said.bytes <= ANSWER_BUDGET
            && said.padding.len() <= REFUSAL_BUCKET;
        let given = matches!(said.outcome, AnswerOutcome::Answered | AnswerOutcome::Partial);
        if !ours || given != (said.records > 0) {
            return Err(FetchError::Untrusted("header answers another question"));
        }
        if said.outcome != AnswerOutcome::Refused(Cause::LogUnavailable) {
            verify_receipt(said, &services.config.network, &[known.node])
                .map_err(|_| FetchError::Untrusted("receipt does not prove its log entry"))?;
        }
        let count = usize::try_from(said.records).unwrap_or(0);
        Ok(Self {
            header,
            leaves: Vec::with_capacity(count),
            root_checked: count == 0,
            buffer: Vec::new(),
            consumed: 0,
            records: Vec::with_capacity(count),
            received: 0,
        })
    }

    fn leaves(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        let more = bytes.chunks_exact(Digest::LEN).filter_map(|leaf| Digest::try_from(leaf).ok());
        self.leaves.extend(more);
        let expected = usize::try_from(self.header.get().records).unwrap_or(0);
        if self.root_checked || self.leaves.len() > expected {
            return Err(FetchError::Untrusted("more hashes than records"));
        }
        if self.leaves.len() == expected {
            if merkle::root(&self.leaves) != self.header.get().root {
                return Err(FetchError::Untrusted("hashes do not make the root"));
            }
            self.root_checked = true;
        }
        Ok(())
    }

    fn chunk(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        if !self.root_checked {
            return Err(FetchError::Untrusted("records before their hashes"));
        }
        self.received = self.received.saturating_add(bytes.len() as u64);
        let heads = u64::from(self.header.get().records).saturating_mul(RecordHead::LEN as u64);
        if self.received > self.header.get().bytes.saturating_add(heads) {
            return Err(FetchError::Untrusted("more bytes than announced"));
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

    fn take_record(&mut self) -> Result<bool, FetchError> {
        let rest = self.buffer.get(self.consumed..).unwrap_or_default();
        let Some((head, rest)) = rest.split_first_chunk::<{ RecordHead::LEN }>() else { return Ok(false) };
        let head = RecordHead::from_bytes(*head).ok_or(FetchError::Untrusted("unknown category or form"))?;
        let len = usize::try_from(head.len).unwrap_or(usize::MAX);
        let Some(body) = rest.get(..len) else { return Ok(false) };
        let leaf = self.leaves.get(self.records.len()).ok_or(FetchError::Untrusted("more records than hashes"))?;
        if merkle::leaf(head.category, head.form, body) != *leaf {
            return Err(FetchError::Untrusted("a record does not fit its hash"));
        }
        let body = unpack(body).ok_or(FetchError::Untrusted("a record does not unpack within its bound"))?;
        self.records.push(Fetched { category: head.category, form: head.form, body });
        self.consumed = self.consumed.saturating_add(RecordHead::LEN).saturating_add(len);
        Ok(true)
    }

    fn finish(self) -> Result<Answer, FetchError> {
        let whole = self.root_checked && self.records.len() == self.leaves.len() && self.consumed == self.buffer.len();
        if whole {
            Ok(Answer { header: self.header, records: self.records })
        } else {
            Err(FetchError::Untrusted("ended before its last record"))
        }
    }
}

/// Unpacks a zstd frame of at most [`RECORD_MAX`] bytes.
#[must_use]
pub fn unpack(body: &[u8]) -> Option<Vec<u8>> {
    use std::io::Read;
    let mut out = Vec::new();
    let reader = zstd::stream::read::Decoder::with_buffer(body).ok()?;
    reader.take(RECORD_MAX as u64 + 1).read_to_end(&mut out).ok()?;
    (out.len() <= RECORD_MAX).then_some(out)
}

/// Whether the peer is connected and admitted, for `node peers`.
#[must_use]
pub fn is_connected(services: &Services, known: &Known) -> bool {
    matches!(services.peers.sessions.get(&known.peer), Some(Session::Node(_)))
        && services.peers.handle.is_admitted(known.peer)
}
