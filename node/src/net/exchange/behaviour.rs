//! Which connections may exist: the limits at each stage of establishment, and the closing of those that break the rules.

use std::collections::{HashSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use libp2p::core::Endpoint as DialRole;
use libp2p::core::transport::PortUse;
use libp2p::swarm::behaviour::{ConnectionClosed, DialFailure, FromSwarm, ListenFailure};
use libp2p::swarm::{
    CloseConnection, ConnectionDenied, ConnectionId, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
    ToSwarm,
};
use libp2p::{Multiaddr, PeerId};

use super::handler::{Handler, Settings};
use super::{Candidate, LimitReached, Links, Role};
use crate::net::endpoint::WallClock;

/// The behaviour of the exchange.
pub(crate) struct Behaviour {
    links: Arc<Links>,
    settings: Arc<Settings>,
    clock: WallClock,
    pending_inbound: HashSet<ConnectionId>,
    pending_outbound: HashSet<ConnectionId>,
    /// At most one fault and one end per connection, and the swarm takes them at its next turn.
    events: VecDeque<ToSwarm<Ended, Infallible>>,
}

/// A connection that the owner knows of has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) peer: PeerId,
    pub(crate) connection: ConnectionId,
}

impl Behaviour {
    pub(crate) fn new(links: Arc<Links>, settings: Arc<Settings>, clock: WallClock) -> Self {
        Self {
            links,
            settings,
            clock,
            pending_inbound: HashSet::new(),
            pending_outbound: HashSet::new(),
            events: VecDeque::new(),
        }
    }

    fn enter(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        role: Role,
        address: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        let candidate = Candidate { peer, connection, role, address: address.clone(), established_at: (self.clock)() };
        let (entered, displaced) = self.links.enter(candidate, &self.settings.limits).map_err(|limit| {
            tracing::debug!(%peer, %connection, %limit, "connection denied");
            ConnectionDenied::new(limit)
        })?;
        if let Some(link) = displaced {
            self.close(link.peer, link.connection);
        }
        Ok(Handler::new(entered, Arc::clone(&self.settings)))
    }

    fn close(&mut self, peer_id: PeerId, connection: ConnectionId) {
        self.events.push_back(ToSwarm::CloseConnection { peer_id, connection: CloseConnection::One(connection) });
    }

    fn forget(&mut self, connection: ConnectionId) {
        self.pending_inbound.remove(&connection);
        self.pending_outbound.remove(&connection);
        if let Some(link) = self.links.remove(connection).filter(|link| link.is_surfaced()) {
            self.events.push_back(ToSwarm::GenerateEvent(Ended { peer: link.peer, connection }));
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Ended;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let limit = self.settings.limits.pending;
        if self.pending_inbound.len() >= limit {
            return Err(ConnectionDenied::new(LimitReached::PendingInbound(limit)));
        }
        self.pending_inbound.insert(connection);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.pending_inbound.remove(&connection);
        self.enter(connection, peer, Role::Listener, remote)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        connection: ConnectionId,
        _: Option<PeerId>,
        _: &[Multiaddr],
        _: DialRole,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        let limit = self.settings.limits.pending;
        if self.pending_outbound.len() >= limit {
            return Err(ConnectionDenied::new(LimitReached::PendingOutbound(limit)));
        }
        self.pending_outbound.insert(connection);
        Ok(Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        _: DialRole,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.pending_outbound.remove(&connection);
        self.enter(connection, peer, Role::Dialer, address)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. })
            | FromSwarm::DialFailure(DialFailure { connection_id, .. })
            | FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) => self.forget(connection_id),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, fault: THandlerOutEvent<Self>) {
        tracing::debug!(%peer, %connection, %fault, "closing connection");
        self.links.sever_one(peer, connection);
        self.close(peer, connection);
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Ended, THandlerInEvent<Self>>> {
        // Events arise only in calls from the swarm, which polls afterwards: no waker is needed.
        self.events.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}
