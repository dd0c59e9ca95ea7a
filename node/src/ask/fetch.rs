//! Asking one holder: envelope out, header verified, every record verified before it is handed on.

use std::sync::Arc;
use std::time::Duration;

use careweave_protocol::cbor;
use careweave_protocol::id::{Digest, OdsCode};
use careweave_protocol::limits::{CREDIT_WINDOW, FRAME_MAX, IDLE_TIMEOUT};
use careweave_protocol::query::{Cause, CreditFrame, Envelope, SourceOutcome};
use careweave_protocol::signed::Verified;
use thiserror::Error;
use tokio::time::timeout;

use super::receive::{Answer, Expected, NotBelieved, Receiver, Step};
use crate::net::directory::{self, Known};
use crate::net::gate::Session;
use crate::net::peers::{EndpointKey, PeerEnd};
use crate::net::{ConnectError, FrameError, FramedStream, OpenError, Protocol};
use crate::services::{Refusal, Services};
use crate::upkeep;

/// How long one attempt to connect and pass `auth` may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Until a welcome that is on its way has certainly arrived, on a connection that was made this moment.
const WELCOME_WAIT: Duration = Duration::from_millis(250);
/// The asker says it consumed this much; four to a window keep the holder from waiting.
const CREDIT_STEP: u32 = CREDIT_WINDOW / 4;

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
    Untrusted(#[from] NotBelieved),
    /// The peer is not who the manifest says it is.
    #[error("peer not admitted: {0}")]
    Gate(Cause),
    /// The peer did not admit us, for a cause we can mend.
    #[error("the peer refused this organisation: {0}")]
    RefusedUs(Cause),
    /// The envelope could not be signed.
    #[error("the envelope could not be signed")]
    Signing,
}

impl FetchError {
    /// Whether an answer was awaited, and did not come to its end.
    #[must_use]
    pub fn is_early_end(&self) -> bool {
        match self {
            Self::Stream(FrameError::Unsupported) => false,
            Self::Stream(_) | Self::Idle | Self::Untrusted(_) => true,
            _ => false,
        }
    }

    /// What the completeness statement says about it.
    #[must_use]
    pub fn outcome(&self) -> SourceOutcome {
        match self {
            Self::Busy(ms) => SourceOutcome::Busy(*ms),
            Self::Idle => SourceOutcome::Timeout,
            Self::Untrusted(_) => SourceOutcome::Untrusted(Cause::SignatureInvalid),
            Self::Gate(cause) => SourceOutcome::Untrusted(cause.clone()),
            Self::RefusedUs(cause) => SourceOutcome::Refused(cause.clone()),
            Self::Stream(FrameError::Unsupported) | Self::Open(OpenError::Unsupported { .. }) => {
                SourceOutcome::Incompatible
            }
            Self::Unreachable(_) | Self::NoAddress | Self::Open(_) | Self::Stream(_) | Self::Signing => {
                SourceOutcome::Unreachable
            }
        }
    }
}

/// Sends the envelope that `envelope` makes for this holder, and takes the answer, with what its receipt is kept with. Counts in `received`,
/// from when the question has left, the bytes of records that have come, also when they are then dropped.
///
/// # Errors
/// See [`FetchError`]. Records that came before an error are dropped with it: nothing unverified, and no half answer, is shown.
pub async fn fetch(
    services: &Arc<Services>,
    holder: &OdsCode,
    known: Option<Known>,
    envelope: impl Fn(&EndpointKey, &Known) -> Result<Verified<Envelope>, FetchError>,
    received: &mut Option<u64>,
) -> Result<(Answer, Arc<(Digest, Vec<u8>)>), FetchError> {
    let known = known.ok_or(FetchError::NoAddress)?;
    // One endpoint from here to the end: the envelope is signed with the key that the connection proves.
    let end = services.peers.current();
    let known = match connect(services, &end, &known).await {
        Ok(()) => known,
        // It has changed its key since we heard of it: hear of it again, from itself, and go on.
        Err(FetchError::Unreachable(ConnectError::WrongPeer { .. })) => {
            let found = upkeep::connect(&end, known.peer, known.addresses.clone()).await;
            let found = found.ok_or(FetchError::NoAddress)?;
            directory::pull(services, &end, found).await.map_err(|_| FetchError::NoAddress)?;
            let again = services.directory.get(holder, services.clock.now()).ok_or(FetchError::NoAddress)?;
            connect(services, &end, &again).await?;
            again
        }
        Err(error) => return Err(error),
    };
    match ask(services, &end, holder, &known, &envelope, received).await {
        // On a connection that is just being made the other side may not have heard our welcome yet; nothing was read there.
        Err(FetchError::Stream(FrameError::Unsupported)) => {
            tokio::time::sleep(WELCOME_WAIT).await;
            ask(services, &end, holder, &known, &envelope, received).await
        }
        outcome => outcome,
    }
}

/// One question on an admitted connection, and its answer.
async fn ask(
    services: &Services,
    end: &PeerEnd,
    holder: &OdsCode,
    known: &Known,
    envelope: impl Fn(&EndpointKey, &Known) -> Result<Verified<Envelope>, FetchError>,
    received: &mut Option<u64>,
) -> Result<(Answer, Arc<(Digest, Vec<u8>)>), FetchError> {
    let Some(Session::Node(session)) = end.gate.sessions.get(&known.peer) else {
        return Err(FetchError::Open(OpenError::NotConnected));
    };
    let mut stream = FramedStream::new(end.gate.handle.open(known.peer, Protocol::Query, CONNECT_DEADLINE).await?);
    let envelope = envelope(end.key(), known)?;
    stream.write_frame(envelope.signed().as_bytes()).await?;
    *received = Some(0);

    let mut receiver = Receiver::new(Expected {
        network: services.config.network.clone(),
        asker: services.config.ods.clone(),
        holder: holder.clone(),
        node: known.node,
        envelope: envelope.signed().digest(),
    });
    let mut unpaid: u32 = 0;
    loop {
        let frame = timeout(IDLE_TIMEOUT, stream.read_frame(FRAME_MAX)).await.map_err(|_| FetchError::Idle)??;
        let frame = frame.ok_or(NotBelieved::EndedEarly)?;
        match receiver.take(&frame)? {
            Step::Busy(ms) => return Err(FetchError::Busy(ms)),
            Step::Whole(answer) => return Ok((*answer, Arc::clone(&session.evidence))),
            Step::Further { consumed } => {
                *received = received.map(|bytes| bytes.saturating_add(u64::from(consumed)));
                unpaid = unpaid.saturating_add(consumed);
            }
        }
        if unpaid >= CREDIT_STEP {
            let credit = cbor::to_vec(&CreditFrame { bytes: unpaid }).map_err(|_| FetchError::Signing)?;
            stream.write_frame(&credit).await?;
            unpaid = 0;
        }
    }
}

/// Makes sure that there is an admitted connection.
async fn connect(services: &Services, end: &PeerEnd, known: &Known) -> Result<(), FetchError> {
    let handle = &end.gate.handle;
    if handle.is_admitted(known.peer) {
        return Ok(());
    }
    handle.dial(known.peer, known.addresses.clone(), CONNECT_DEADLINE).await?;
    match handle.wait_admitted(known.peer, CONNECT_DEADLINE).await {
        Ok(_) => Ok(()),
        Err(error) => Err(match services.refusal(&known.peer) {
            Some(Refusal::Ours(cause)) => FetchError::Gate(cause),
            Some(Refusal::Theirs(cause)) => FetchError::RefusedUs(cause),
            None => FetchError::Open(error),
        }),
    }
}

/// Whether the peer is connected and admitted, for `node peers`.
#[must_use]
pub fn is_connected(services: &Services, known: &Known) -> bool {
    services.peers.all().iter().any(|end| {
        matches!(end.gate.sessions.get(&known.peer), Some(Session::Node(_))) && end.gate.handle.is_admitted(known.peer)
    })
}
