//! Opens streams on the one connection; takes none. Behaviour and handler in libp2p's terms.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{DeniedUpgrade, ReadyUpgrade};
use libp2p::swarm::behaviour::FromSwarm;
use libp2p::swarm::handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedOutbound};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, NetworkBehaviour, NotifyHandler,
    StreamUpgradeError, SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol};
use tokio::sync::oneshot;

/// A stream somebody waits for.
#[derive(Debug)]
pub(super) struct OpenRequest {
    /// What it will speak.
    pub(super) protocol: StreamProtocol,
    /// Where it goes.
    pub(super) reply: oneshot::Sender<io::Result<Stream>>,
}

/// Hands requests on to the connection.
#[derive(Default)]
pub(super) struct Streams {
    /// At most what the driver's queue holds: it is emptied at every turn of the swarm.
    requests: VecDeque<(PeerId, OpenRequest)>,
}

impl Streams {
    /// Asks for a stream; the swarm must be polled next.
    pub(super) fn open(&mut self, peer: PeerId, request: OpenRequest) {
        self.requests.push_back((peer, request));
    }
}

impl NetworkBehaviour for Streams {
    type ConnectionHandler = Opener;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Err(ConnectionDenied::new(io::Error::from(io::ErrorKind::Unsupported)))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Opener::default())
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        // Requests arrive only between two polls of the swarm, so no waker is needed.
        self.requests.pop_front().map_or(Poll::Pending, |(peer_id, event)| {
            Poll::Ready(ToSwarm::NotifyHandler { peer_id, handler: NotifyHandler::Any, event })
        })
    }
}

/// Opens what is asked for.
#[derive(Default)]
pub(super) struct Opener {
    requests: VecDeque<OpenRequest>,
}

type Reply = oneshot::Sender<io::Result<Stream>>;

impl ConnectionHandler for Opener {
    type FromBehaviour = OpenRequest;
    type ToBehaviour = Infallible;
    type InboundProtocol = DeniedUpgrade;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Reply;

    fn listen_protocol(&self) -> SubstreamProtocol<DeniedUpgrade> {
        SubstreamProtocol::new(DeniedUpgrade, ())
    }

    /// The connection lives as long as its owner wants it to.
    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn on_behaviour_event(&mut self, request: OpenRequest) {
        self.requests.push_back(request);
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, DeniedUpgrade, ReadyUpgrade<StreamProtocol>, (), Reply>,
    ) {
        let (reply, opened) = match event {
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, info }) => {
                (info, Ok(protocol))
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => (info, Err(failure(error))),
            _ => return,
        };
        // A caller that stopped waiting drops the stream, which resets it.
        drop(reply.send(opened));
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<ReadyUpgrade<StreamProtocol>, Reply, Infallible>> {
        // The swarm polls a handler after every event it gives it.
        self.requests.pop_front().map_or(Poll::Pending, |request| {
            let upgrade = ReadyUpgrade::new(request.protocol);
            let protocol = SubstreamProtocol::new(upgrade, request.reply);
            Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol })
        })
    }
}

fn failure(error: StreamUpgradeError<Infallible>) -> io::Error {
    match error {
        StreamUpgradeError::Timeout => io::ErrorKind::TimedOut.into(),
        StreamUpgradeError::NegotiationFailed => io::ErrorKind::Unsupported.into(),
        StreamUpgradeError::Io(error) => error,
        StreamUpgradeError::Apply(never) => match never {},
    }
}
