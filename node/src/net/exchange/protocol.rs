//! What travels on a connection: the protocol names, their negotiation, the stream of one exchange, and frames on it.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use careweave_protocol::frame;
use careweave_protocol::version;
use futures::channel::oneshot;
use futures::future::{FutureExt, Shared};
use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::core::upgrade::{InboundUpgrade, NegotiationError, OutboundUpgrade, UpgradeInfo};
use libp2p::{Stream, StreamProtocol};
use tokio::sync::OwnedSemaphorePermit;

use super::Link;

/// A protocol of the exchange; each stream speaks exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Protocol {
    /// Proof of organisation, node or person; the only protocol before admission.
    Auth,
    /// Manifest, suspensions, revocations, beacons and adverts.
    Manifest,
    /// One signed query and its streamed answer.
    Query,
    /// Store-and-forward of signed things.
    Deliver,
    /// Checkpoint cosigning and reconciliation.
    Witness,
    /// What staff ask of their own node.
    Desk,
    /// A member's next certificate.
    Enrol,
}

impl Protocol {
    /// Every protocol, in the order of the design's table.
    pub const ALL: [Self; 7] =
        [Self::Auth, Self::Manifest, Self::Query, Self::Deliver, Self::Witness, Self::Desk, Self::Enrol];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => version::AUTH,
            Self::Manifest => version::MANIFEST,
            Self::Query => version::QUERY,
            Self::Deliver => version::DELIVER,
            Self::Witness => version::WITNESS,
            Self::Desk => version::DESK,
            Self::Enrol => version::ENROL,
        }
    }

    /// The name in libp2p's type.
    pub const fn stream_protocol(self) -> StreamProtocol {
        StreamProtocol::new(self.as_str())
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl AsRef<str> for Protocol {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// A set of protocols. One byte, because libp2p asks each handler for its set every time it is polled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProtocolSet(u8);

impl ProtocolSet {
    pub(crate) const AUTH: Self = Self(Protocol::Auth.bit());

    pub(crate) fn with_auth(self) -> Self {
        Self(self.0 | Self::AUTH.0)
    }

    fn contains(self, protocol: Protocol) -> bool {
        self.0 & protocol.bit() != 0
    }
}

impl FromIterator<Protocol> for ProtocolSet {
    fn from_iter<I: IntoIterator<Item = Protocol>>(protocols: I) -> Self {
        Self(protocols.into_iter().fold(0, |set, protocol| set | protocol.bit()))
    }
}

/// The protocols that an [`Offer`] contains.
#[derive(Clone, Debug)]
pub struct ProtocolNames {
    set: ProtocolSet,
    rest: std::array::IntoIter<Protocol, 7>,
}

impl Iterator for ProtocolNames {
    type Item = Protocol;

    fn next(&mut self) -> Option<Protocol> {
        self.rest.by_ref().find(|protocol| self.set.contains(*protocol))
    }
}

/// The inbound side of negotiation: what we accept now.
#[derive(Clone, Copy, Debug)]
pub struct Offer(pub(crate) ProtocolSet);

impl UpgradeInfo for Offer {
    type Info = Protocol;
    type InfoIter = ProtocolNames;

    fn protocol_info(&self) -> ProtocolNames {
        ProtocolNames { set: self.0, rest: Protocol::ALL.into_iter() }
    }
}

impl InboundUpgrade<Stream> for Offer {
    type Output = (Stream, Protocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, protocol: Protocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}

/// The outbound side of negotiation: exactly one name, which is what lets libp2p send it together with the first data.
#[derive(Clone, Copy, Debug)]
pub struct Proposal(pub(crate) Protocol);

impl UpgradeInfo for Proposal {
    type Info = Protocol;
    type InfoIter = std::iter::Once<Protocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once(self.0)
    }
}

impl OutboundUpgrade<Stream> for Proposal {
    type Output = Stream;
    type Error = Infallible;
    type Future = Ready<Result<Stream, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, _: Protocol) -> Self::Future {
        ready(Ok(stream))
    }
}

/// Resolves when the connection is cut. Needed because Yamux leaves readers of a closing connection waiting.
pub(crate) type Cut = Shared<oneshot::Receiver<()>>;

/// The stream of one exchange. It holds its place among the exchanges in flight and gives it back when dropped; once the
/// connection is cut, every read and write fails with [`io::ErrorKind::ConnectionAborted`].
#[derive(Debug)]
pub struct ExchangeStream {
    stream: Stream,
    /// `None` once cut: a `Shared` must not be polled after it resolved.
    cut: Option<Cut>,
    _place: Option<OwnedSemaphorePermit>,
    _use: LinkUse,
}

impl ExchangeStream {
    pub(crate) fn new(stream: Stream, link: &Arc<Link>, place: Option<OwnedSemaphorePermit>) -> Self {
        Self { stream, cut: Some(link.cut()), _place: place, _use: LinkUse::of(link) }
    }

    fn poll_alive(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if let Some(cut) = self.cut.as_mut() {
            if cut.poll_unpin(context).is_pending() {
                return Ok(());
            }
            self.cut = None;
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    }
}

impl AsyncRead for ExchangeStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_alive(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for ExchangeStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_alive(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_alive(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_alive(context)?;
        Pin::new(&mut self.stream).poll_close(context)
    }
}

/// Counts a stream as live use of its connection, so that a connection in use is never the one that makes room.
#[derive(Debug)]
struct LinkUse(Arc<Link>);

impl LinkUse {
    fn of(link: &Arc<Link>) -> Self {
        link.begin_use();
        Self(Arc::clone(link))
    }
}

impl Drop for LinkUse {
    fn drop(&mut self) {
        self.0.end_use();
    }
}

/// Frames of [`careweave_protocol::frame`] on a stream.
#[derive(Debug)]
pub struct FramedStream<S> {
    stream: S,
    /// Small frames are put together here, prefix and payload: Yamux sends each write as a packet of its own.
    outgoing: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> FramedStream<S> {
    /// Frames on `stream`, starting at its current position.
    pub fn new(stream: S) -> Self {
        Self { stream, outgoing: Vec::new() }
    }

    /// The next frame of at most `max` bytes, or `None` when the other side has closed between frames.
    ///
    /// Not cancel safe: a read dropped half way leaves the stream inside a frame. Fails with [`FrameError::Oversize`] before any byte of
    /// a frame above `max` is read; the stream is unusable after an error. Memory grows with what arrives, not with the length stated.
    pub async fn read_frame(&mut self, max: usize) -> Result<Option<Vec<u8>>, FrameError> {
        let mut prefix = [0_u8; frame::PREFIX];
        match fill(&mut self.stream, &mut prefix).await? {
            0 => return Ok(None),
            frame::PREFIX => {}
            _ => return Err(FrameError::Truncated),
        }
        let stated = frame::length(prefix, max)?;
        let mut payload = vec![0_u8; stated.min(FIRST_READ)];
        let mut filled = 0;
        while filled < stated {
            if filled == payload.len() {
                payload.resize(stated.min(filled.saturating_mul(2)), 0);
            }
            let free = payload.get_mut(filled..).ok_or(FrameError::Truncated)?;
            let wanted = free.len();
            let read = fill(&mut self.stream, free).await?;
            filled = filled.saturating_add(read);
            if read < wanted {
                return Err(FrameError::Truncated);
            }
        }
        Ok(Some(payload))
    }

    /// Writes `payload` as one frame and flushes it.
    ///
    /// Fails with [`FrameError::Oversize`] above [`FRAME_MAX`](careweave_protocol::limits::FRAME_MAX) bytes. Not cancel safe. When it fails because the other side stopped reading,
    /// that side may have said why first: read one frame before giving up.
    pub async fn write_frame(&mut self, payload: &[u8]) -> Result<(), FrameError> {
        self.write_frames(&[payload]).await
    }

    /// Writes each payload as a frame of its own, as few packets as fit, and flushes them. Fails as [`FramedStream::write_frame`].
    pub async fn write_frames(&mut self, payloads: &[&[u8]]) -> Result<(), FrameError> {
        for payload in payloads {
            let prefix = frame::prefix(payload.len())?;
            if self.outgoing.len().saturating_add(frame::PREFIX) > PACKET {
                self.send_outgoing().await?;
            }
            self.outgoing.extend_from_slice(&prefix);
            let room = PACKET.saturating_sub(self.outgoing.len());
            let (head, tail) = payload.split_at_checked(room).unwrap_or((payload, &[]));
            self.outgoing.extend_from_slice(head);
            if !tail.is_empty() {
                self.send_outgoing().await?;
                self.stream.write_all(tail).await?;
            }
        }
        self.send_outgoing().await?;
        self.flush().await
    }

    /// Sends on whatever the layers below still hold.
    pub async fn flush(&mut self) -> Result<(), FrameError> {
        Ok(self.stream.flush().await?)
    }

    /// Ends our direction; the other side then reads `None`. Reading stays possible.
    pub async fn close(&mut self) -> Result<(), FrameError> {
        Ok(self.stream.close().await?)
    }

    /// The stream beneath, at its current position.
    pub fn into_inner(self) -> S {
        self.stream
    }

    async fn send_outgoing(&mut self) -> Result<(), FrameError> {
        self.stream.write_all(&self.outgoing).await?;
        self.outgoing.clear();
        Ok(())
    }
}

/// Reads until `buffer` is full or the other side has closed; gives the number of bytes read.
async fn fill<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(free) = buffer.get_mut(filled..).filter(|free| !free.is_empty()) {
        match stream.read(free).await {
            Ok(0) => break,
            Ok(read) => filled = filled.saturating_add(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// More than we accept or send; nothing of it was read or written.
    #[error("frame of {stated} bytes is above the limit of {limit} bytes")]
    Oversize {
        /// Bytes of the frame, as stated in its prefix.
        stated: usize,
        /// Bytes accepted.
        limit: usize,
    },
    /// The peer closed inside a frame.
    #[error("stream ended inside a frame")]
    Truncated,
    /// The peer does not offer this protocol, or not yet: it has not admitted us.
    #[error("the peer does not offer this protocol on this connection")]
    Unsupported,
    /// The connection was cut on our side, by a disconnect or a deadline.
    #[error("connection was cut")]
    Cut,
    /// The stream or the connection failed.
    #[error("stream failed")]
    Io(#[source] io::Error),
}

impl From<frame::FrameError> for FrameError {
    fn from(error: frame::FrameError) -> Self {
        match error {
            frame::FrameError::TooLong { len, limit } => Self::Oversize { stated: len, limit },
        }
    }
}

impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::ConnectionAborted {
            return Self::Cut;
        }
        // The name went out together with the first data, so the other side's "no" arrives at the first read.
        match error.get_ref().and_then(|source| source.downcast_ref()) {
            Some(NegotiationError::Failed) => Self::Unsupported,
            _ => Self::Io(error),
        }
    }
}

/// Largest first allocation for a frame, so that a length alone costs the peer more to send than us to hear.
const FIRST_READ: usize = 64 * 1024;
/// Bytes sent in one write: what Yamux puts in one of its frames.
const PACKET: usize = 16 * 1024;
