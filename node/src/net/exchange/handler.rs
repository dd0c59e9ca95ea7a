//! One connection: what it offers, the streams it opens for callers, and the way of inbound streams to the owner.
//!
//! Before admission it offers `auth` alone, gives the owner exactly one auth stream, and asks to be closed at the deadline. An inbound
//! exchange goes to the owner if the peer has a place and the owner has room; otherwise it waits a moment, then is answered busy.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use careweave_protocol::limits::{REQUEST_MAX, STREAMS_PER_CONNECTION};
use futures::future::{BoxFuture, FutureExt};
use futures::io::AsyncReadExt;
use futures::stream::{FuturesUnordered, StreamExt};
use libp2p::Stream;
use libp2p::swarm::handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p::swarm::{ConnectionHandler, ConnectionHandlerEvent, StreamUpgradeError, SubstreamProtocol};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Sleep, sleep, timeout};

use super::protocol::{ExchangeStream, FrameError, FramedStream, Offer, Proposal, Protocol, ProtocolSet};
use super::{Entered, Link, OpenError, OpenRequest, Role};
use crate::net::endpoint::Inbound;
use crate::net::{BUSY_DEADLINE, Limits, MAX_BUSY_DRAINS, MAX_UNAUTHENTICATED_NEGOTIATIONS, NEGOTIATION_DEADLINE};

/// The handler of one connection.
pub(crate) struct Handler {
    link: Arc<Link>,
    settings: Arc<Settings>,
    requests: mpsc::Receiver<OpenRequest>,
    auth: Auth,
    deadline: Option<std::pin::Pin<Box<Sleep>>>,
    /// Handed out with each offer; the number of holders is the number of inbound streams in negotiation.
    negotiation: Negotiation,
    /// Streams on their way to the owner or being refused. Bounded by the streams a connection may have.
    underway: FuturesUnordered<BoxFuture<'static, Way>>,
    queued: usize,
    fault: Option<Fault>,
    fault_reported: bool,
}

/// What all handlers of an endpoint share.
pub(crate) struct Settings {
    pub(crate) offers: ProtocolSet,
    pub(crate) limits: Limits,
    pub(crate) busy_frame: Arc<[u8]>,
    pub(crate) inbound: mpsc::Sender<Inbound>,
}

/// Why the handler wants its connection closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("not admitted in time")]
    AuthDeadline,
    #[error("auth could not be opened")]
    AuthUnavailable,
    #[error("a second auth stream on one connection")]
    SecondAuth,
    #[error("too many streams before admission")]
    TooManyNegotiations,
}

/// Whether the one auth stream of the connection exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Auth {
    /// We dialled and have to ask for it.
    ToOpen,
    /// The other side dialled and has to open it.
    Awaited,
    /// It exists, or is being negotiated.
    Seen,
}

/// How an inbound stream went: only those that queued are counted.
enum Way {
    Queued,
    Direct,
}

/// Marks an inbound stream in negotiation.
#[derive(Clone, Debug)]
pub(crate) struct Negotiation(Arc<()>);

/// What an outbound stream is for.
#[derive(Debug)]
pub(crate) enum Purpose {
    Auth,
    Exchange(OpenRequest),
}

impl Handler {
    pub(crate) fn new(entered: Entered, settings: Arc<Settings>) -> Self {
        let auth = match entered.link.role {
            Role::Dialer => Auth::ToOpen,
            Role::Listener => Auth::Awaited,
        };
        Self {
            deadline: Some(Box::pin(sleep(settings.limits.auth_deadline))),
            link: entered.link,
            settings,
            requests: entered.requests,
            auth,
            negotiation: Negotiation(Arc::new(())),
            underway: FuturesUnordered::new(),
            queued: 0,
            fault: None,
            fault_reported: false,
        }
    }

    fn offer(&self) -> ProtocolSet {
        if self.link.is_admitted() { self.settings.offers.with_auth() } else { ProtocolSet::AUTH }
    }

    fn on_inbound(&mut self, stream: Stream, protocol: Protocol) {
        if protocol != Protocol::Auth {
            self.receive(stream, protocol);
        } else if self.auth == Auth::Awaited {
            self.auth = Auth::Seen;
            self.surface_auth(stream);
        } else {
            self.fault.get_or_insert(Fault::SecondAuth);
        }
    }

    fn on_outbound(&mut self, stream: Stream, purpose: Purpose) {
        match purpose {
            Purpose::Auth => self.surface_auth(stream),
            Purpose::Exchange(request) => {
                let stream = ExchangeStream::new(stream, &self.link, Some(request.slot));
                // A caller that stopped waiting drops the stream, which resets it.
                drop(request.reply.send(Ok(stream)));
            }
        }
    }

    fn on_outbound_failure(&mut self, purpose: Purpose, error: StreamUpgradeError<std::convert::Infallible>) {
        match purpose {
            Purpose::Auth => {
                self.fault.get_or_insert(Fault::AuthUnavailable);
            }
            Purpose::Exchange(request) => {
                let error = match error {
                    StreamUpgradeError::Timeout => OpenError::Timeout,
                    StreamUpgradeError::NegotiationFailed => OpenError::Unsupported(request.protocol),
                    StreamUpgradeError::Io(error) => OpenError::Io(error),
                    StreamUpgradeError::Apply(never) => match never {},
                };
                drop(request.reply.send(Err(error)));
            }
        }
    }

    /// Gives the auth stream to the owner. It takes no place among the exchanges; the deadline bounds its wait.
    fn surface_auth(&mut self, stream: Stream) {
        let link = Arc::clone(&self.link);
        let inbound = self.settings.inbound.clone();
        let event = Inbound::Auth {
            peer: link.peer,
            connection: link.connection,
            role: link.role,
            stream: ExchangeStream::new(stream, &link, None),
        };
        self.underway.push(
            async move {
                if let Ok(room) = inbound.reserve().await {
                    // Before the event, so that its `Disconnected` can never be missed.
                    link.surface();
                    room.send(event);
                }
                Way::Direct
            }
            .boxed(),
        );
    }

    /// Gives an exchange to the owner now, soon, or answers busy.
    fn receive(&mut self, stream: Stream, protocol: Protocol) {
        if self.underway.len() >= STREAMS_PER_CONNECTION {
            return;
        }
        let link = Arc::clone(&self.link);
        let settings = Arc::clone(&self.settings);
        // Those who wait already go first.
        let place = (self.queued == 0).then(|| Arc::clone(link.in_flight()).try_acquire_owned().ok()).flatten();
        match place {
            Some(place) => {
                let event = exchange(&link, protocol, stream, place);
                if let Err(TrySendError::Full(event)) = settings.inbound.try_send(event) {
                    self.queued = self.queued.saturating_add(1);
                    self.underway.push(wait_for_owner(event, settings).boxed());
                }
            }
            None if self.queued < settings.limits.exchanges_queued => {
                self.queued = self.queued.saturating_add(1);
                self.underway.push(wait_for_place(link, protocol, stream, settings).boxed());
            }
            None => {
                let stream = ExchangeStream::new(stream, &link, None);
                let refusals = self.underway.len().saturating_sub(self.queued);
                let drain = if refusals < MAX_BUSY_DRAINS { REQUEST_MAX } else { 0 };
                self.underway.push(answer_busy(stream, settings, drain).map(|()| Way::Direct).boxed());
            }
        }
    }

    /// The standing of an unauthenticated connection: its deadline and its streams.
    fn poll_probation(&mut self, context: &mut Context<'_>) {
        if !self.link.is_unauthenticated() {
            self.deadline = None;
            return;
        }
        if self.deadline.as_mut().is_some_and(|deadline| deadline.poll_unpin(context).is_ready()) {
            self.deadline = None;
            self.fault.get_or_insert(Fault::AuthDeadline);
        }
        if Arc::strong_count(&self.negotiation.0) > MAX_UNAUTHENTICATED_NEGOTIATIONS.saturating_add(1) {
            self.fault.get_or_insert(Fault::TooManyNegotiations);
        }
    }

    fn poll_request(&mut self, context: &mut Context<'_>) -> Poll<OpenRequest> {
        loop {
            let Some(request) = ready!(self.requests.poll_recv(context)) else {
                return Poll::Pending;
            };
            if request.reply.is_closed() {
                continue;
            }
            if self.link.is_admitted() {
                return Poll::Ready(request);
            }
            drop(request.reply.send(Err(OpenError::NotAdmitted)));
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = std::convert::Infallible;
    type ToBehaviour = Fault;
    type InboundProtocol = Offer;
    type OutboundProtocol = Proposal;
    type InboundOpenInfo = Negotiation;
    type OutboundOpenInfo = Purpose;

    fn listen_protocol(&self) -> SubstreamProtocol<Offer, Negotiation> {
        SubstreamProtocol::new(Offer(self.offer()), self.negotiation.clone()).with_timeout(NEGOTIATION_DEADLINE)
    }

    /// Connections stay warm; the endpoint closes the longest unused one when it needs the place.
    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn on_behaviour_event(&mut self, event: Self::FromBehaviour) {
        match event {}
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Offer, Proposal, Negotiation, Purpose>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (stream, protocol), ..
            }) => self.on_inbound(stream, protocol),
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, info }) => {
                self.on_outbound(protocol, info);
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => {
                self.on_outbound_failure(info, error)
            }
            _ => {}
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Proposal, Purpose, Fault>> {
        self.poll_probation(context);
        if let Some(fault) = self.fault.filter(|_| !self.fault_reported) {
            self.fault_reported = true;
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(fault));
        }
        while let Poll::Ready(Some(way)) = self.underway.poll_next_unpin(context) {
            if let Way::Queued = way {
                self.queued = self.queued.saturating_sub(1);
            }
        }
        if self.auth == Auth::ToOpen {
            self.auth = Auth::Seen;
            return Poll::Ready(request(Protocol::Auth, Purpose::Auth));
        }
        self.poll_request(context).map(|open| request(open.protocol, Purpose::Exchange(open)))
    }
}

fn request(protocol: Protocol, purpose: Purpose) -> ConnectionHandlerEvent<Proposal, Purpose, Fault> {
    ConnectionHandlerEvent::OutboundSubstreamRequest {
        protocol: SubstreamProtocol::new(Proposal(protocol), purpose).with_timeout(NEGOTIATION_DEADLINE),
    }
}

fn exchange(link: &Arc<Link>, protocol: Protocol, stream: Stream, place: OwnedSemaphorePermit) -> Inbound {
    Inbound::Exchange {
        peer: link.peer,
        connection: link.connection,
        protocol,
        stream: ExchangeStream::new(stream, link, Some(place)),
    }
}

/// Waits for a place among the peer's exchanges and for room at the owner.
async fn wait_for_place(link: Arc<Link>, protocol: Protocol, stream: Stream, settings: Arc<Settings>) -> Way {
    let found = timeout(settings.limits.queue_wait, async {
        let place = Arc::clone(link.in_flight()).acquire_owned().await.ok()?;
        let room = settings.inbound.reserve().await.ok()?;
        Some((place, room))
    });
    match found.await {
        Ok(Some((place, room))) => room.send(exchange(&link, protocol, stream, place)),
        Ok(None) => {}
        Err(_) => answer_busy(ExchangeStream::new(stream, &link, None), Arc::clone(&settings), REQUEST_MAX).await,
    }
    Way::Queued
}

/// Waits for room at the owner with an exchange that has its place already.
async fn wait_for_owner(event: Inbound, settings: Arc<Settings>) -> Way {
    match timeout(settings.limits.queue_wait, settings.inbound.reserve()).await {
        Ok(Ok(room)) => room.send(event),
        Ok(Err(_)) => {}
        Err(_) => {
            if let Inbound::Exchange { stream, .. } = event {
                answer_busy(stream, Arc::clone(&settings), REQUEST_MAX).await;
            }
        }
    }
    Way::Queued
}

/// Writes the busy frame, closes, and reads up to `drain` bytes of what the peer was writing, so that its write does not fail before it has
/// read ours. An honest peer is writing one request.
async fn answer_busy(stream: ExchangeStream, settings: Arc<Settings>, drain: usize) {
    let answered = timeout(BUSY_DEADLINE, async {
        let mut framed = FramedStream::new(stream);
        framed.write_frame(&settings.busy_frame).await?;
        framed.close().await?;
        let mut rest = framed.into_inner().take(drain as u64);
        futures::io::copy(&mut rest, &mut futures::io::sink()).await?;
        Ok::<(), FrameError>(())
    });
    if let Ok(Err(error)) = answered.await {
        tracing::debug!(%error, "busy answer not delivered");
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Handler")
            .field("peer", &self.link.peer)
            .field("connection", &self.link.connection)
            .finish_non_exhaustive()
    }
}
