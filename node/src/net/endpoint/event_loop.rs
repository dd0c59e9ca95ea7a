//! The event loop: the only place that touches the Swarm.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::StreamExt;
use libp2p::core::transport::ListenerId;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::transport::{Conversation, ConversationEvent};
use super::{ConnectError, Inbound, StartError};
use crate::net::exchange::Links;
use crate::net::exchange::behaviour::Ended;
use crate::net::{MAX_DIAL_ADDRESSES, MAX_DIAL_WAITERS, SHUTDOWN_DEADLINE};

/// What a handle asks of the loop.
#[derive(Debug)]
pub(super) enum Command {
    Dial { peer: PeerId, addresses: Vec<Multiaddr>, reply: DialReply },
    Disconnect { peer: PeerId },
    StopListening,
    Shutdown { reply: oneshot::Sender<()> },
}

type DialReply = oneshot::Sender<Result<ConnectionId, ConnectError>>;

/// Owns the Swarm.
pub(super) struct EventLoop {
    swarm: Swarm<Conversation>,
    commands: mpsc::Receiver<Command>,
    inbound: mpsc::Sender<Inbound>,
    links: Arc<Links>,
    addresses: Arc<Mutex<Vec<Multiaddr>>>,
    listeners: Vec<ListenerId>,
    dials: HashMap<PeerId, Dial>,
    /// Ends not reported yet. Newcomers are denied while it is long, so it holds at most twice the established limit.
    ended: VecDeque<Ended>,
}

/// A dial in progress.
struct Dial {
    connection: ConnectionId,
    waiters: Vec<DialReply>,
}

impl EventLoop {
    pub(super) fn new(
        swarm: Swarm<Conversation>,
        commands: mpsc::Receiver<Command>,
        inbound: mpsc::Sender<Inbound>,
        links: Arc<Links>,
        addresses: Arc<Mutex<Vec<Multiaddr>>>,
    ) -> Self {
        Self {
            swarm,
            commands,
            inbound,
            links,
            addresses,
            listeners: Vec::new(),
            dials: HashMap::new(),
            ended: VecDeque::new(),
        }
    }

    /// Listens on each address and waits until each has at least one resolved address.
    pub(super) async fn listen(&mut self, listen: Vec<Multiaddr>) -> Result<(), StartError> {
        for address in listen {
            let listener =
                self.swarm.listen_on(address.clone()).map_err(|source| StartError::Listen { address, source })?;
            self.listeners.push(listener);
        }
        let mut silent: HashSet<ListenerId> = self.listeners.iter().copied().collect();
        while !silent.is_empty() {
            let event = self.swarm.select_next_some().await;
            match &event {
                SwarmEvent::NewListenAddr { listener_id, .. } => {
                    silent.remove(listener_id);
                }
                SwarmEvent::ListenerClosed { reason, .. } => {
                    let kind = reason.as_ref().err().map_or(io::ErrorKind::NotConnected, io::Error::kind);
                    return Err(StartError::ListenerClosed(kind.into()));
                }
                _ => {}
            }
            self.on_swarm(event);
        }
        Ok(())
    }

    /// Runs until told to shut down, or until no handle is left.
    pub(super) async fn run(mut self) {
        let inbound = self.inbound.clone();
        let shutdown = loop {
            tokio::select! {
                command = self.commands.recv() => match command {
                    None => break None,
                    Some(Command::Shutdown { reply }) => break Some(reply),
                    Some(Command::Dial { peer, addresses, reply }) => self.dial(peer, addresses, reply),
                    Some(Command::Disconnect { peer }) => self.disconnect(peer),
                    Some(Command::StopListening) => self.stop_listening(),
                },
                event = self.swarm.select_next_some() => self.on_swarm(event),
                room = inbound.reserve(), if !self.ended.is_empty() => self.report_ended(room.ok()),
            }
        };
        self.finish().await;
        // The socket of the Swarm must be free before the caller hears of it, so that a restart can bind the same port.
        drop(self);
        if let Some(reply) = shutdown {
            // A caller that stopped waiting needs no answer.
            reply.send(()).unwrap_or_default();
        }
    }

    fn dial(&mut self, peer: PeerId, mut addresses: Vec<Multiaddr>, reply: DialReply) {
        if let Some(link) = self.links.connected(peer) {
            answer(reply, Ok(link.connection));
            return;
        }
        if let Some(dial) = self.dials.get_mut(&peer) {
            dial.waiters.retain(|waiter| !waiter.is_closed());
            if dial.waiters.len() < MAX_DIAL_WAITERS {
                dial.waiters.push(reply);
            } else {
                answer(reply, Err(ConnectError::Busy));
            }
            return;
        }
        addresses.truncate(MAX_DIAL_ADDRESSES);
        // A new port each time: reusing the listening one makes a quick redial of the same peer fail while the old socket lingers.
        let options =
            DialOpts::peer_id(peer).condition(PeerCondition::Always).addresses(addresses).allocate_new_port().build();
        let connection = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => {
                let waiters = vec![reply];
                self.dials.insert(peer, Dial { connection, waiters });
            }
            Err(error) => answer(reply, Err(error.into())),
        }
    }

    fn disconnect(&mut self, peer: PeerId) {
        self.links.sever(peer);
        // An error only says that there was no connection.
        self.swarm.disconnect_peer_id(peer).unwrap_or_default();
    }

    fn stop_listening(&mut self) {
        for listener in std::mem::take(&mut self.listeners) {
            self.swarm.remove_listener(listener);
        }
    }

    fn on_swarm(&mut self, event: SwarmEvent<ConversationEvent>) {
        match event {
            SwarmEvent::Behaviour(ConversationEvent::Exchange(ended)) => {
                self.ended.push_back(ended);
                self.links.set_undelivered(self.ended.len());
            }
            SwarmEvent::Behaviour(ConversationEvent::Liveness(ping)) => {
                if let Err(error) = ping.result {
                    tracing::debug!(peer = %ping.peer, connection = %ping.connection, %error, "closing connection that is not alive");
                    self.links.sever_one(ping.peer, ping.connection);
                    self.swarm.close_connection(ping.connection);
                }
            }
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, .. } => {
                // Whoever dialled: the callers wanted a connection with this peer.
                let dial = self.dials.remove(&peer_id);
                dial.into_iter().flat_map(|dial| dial.waiters).for_each(|reply| answer(reply, Ok(connection_id)));
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                self.fail_dial(connection_id, error.into())
            }
            SwarmEvent::NewListenAddr { address, .. } => self.listening(|addresses| {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }),
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.listening(|addresses| addresses.retain(|known| *known != address))
            }
            SwarmEvent::ListenerClosed { addresses: gone, reason, .. } => {
                if let Err(error) = reason {
                    tracing::error!(%error, "a listener closed");
                }
                self.listening(|addresses| addresses.retain(|known| !gone.contains(known)));
            }
            _ => {}
        }
    }

    fn fail_dial(&mut self, connection: ConnectionId, error: ConnectError) {
        let failed = self.dials.iter().find(|(_, dial)| dial.connection == connection);
        if let Some(peer) = failed.map(|(peer, _)| *peer) {
            let dial = self.dials.remove(&peer);
            dial.into_iter().flat_map(|dial| dial.waiters).for_each(|reply| answer(reply, Err(error.clone())));
        }
    }

    fn listening(&self, change: impl FnOnce(&mut Vec<Multiaddr>)) {
        change(&mut self.addresses.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn report_ended(&mut self, room: Option<mpsc::Permit<'_, Inbound>>) {
        match room {
            Some(room) => {
                if let Some(Ended { peer, connection }) = self.ended.pop_front() {
                    room.send(Inbound::Disconnected { peer, connection });
                }
            }
            // The owner is gone; nobody is left to tell.
            None => self.ended.clear(),
        }
        self.links.set_undelivered(self.ended.len());
    }

    /// Listeners first, so that no connection comes while the others go.
    async fn finish(&mut self) {
        self.commands.close();
        self.stop_listening();
        self.links.sever_all();
        let peers: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            self.disconnect(peer);
        }
        let closed = timeout(SHUTDOWN_DEADLINE, async {
            while self.swarm.connected_peers().next().is_some() {
                let event = self.swarm.select_next_some().await;
                self.on_swarm(event);
            }
        });
        if closed.await.is_err() {
            tracing::debug!("connections were dropped at shutdown without a goodbye");
        }
        // Last words to an owner that still listens; one that does not is not waited for.
        while let Some(Ended { peer, connection }) = self.ended.pop_front() {
            if self.inbound.try_send(Inbound::Disconnected { peer, connection }).is_err() {
                break;
            }
        }
    }
}

/// A caller that stopped waiting needs no answer.
fn answer(reply: DialReply, result: Result<ConnectionId, ConnectError>) {
    drop(reply.send(result));
}
