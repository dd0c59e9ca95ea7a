//! One connection to the own node: TCP, Noise with the person's own key, Yamux. A task of its own keeps it going.

use std::io;
use std::time::Duration;

use futures::StreamExt;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{DialError, NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol, Swarm, Transport, dns, noise, ping, swarm, tcp, yamux};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::streams::{OpenRequest, Streams};

/// A connection; dropping it closes it.
pub(super) struct Connection {
    peer: PeerId,
    requests: mpsc::Sender<OpenRequest>,
    driver: JoinHandle<()>,
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The desk address in the profile names no key to expect.
    #[error("the desk address does not end in /p2p/ and the node's id")]
    AddressWithoutPeer,
    /// The person's key cannot serve for a connection.
    #[error("the staff key cannot be used for a connection")]
    Key,
    /// Somebody else answers at that address.
    #[error("another node answers at the desk address (it shows {0})")]
    OtherNode(PeerId),
    /// Nobody answers in time.
    #[error("no connection within {} s", DIAL_DEADLINE.as_secs())]
    Timeout,
    /// Nobody answers.
    #[error("{0}")]
    Dial(String),
    /// The connection was there and is no more.
    #[error("the connection was closed")]
    Closed,
}

impl Connection {
    /// Dials an address that ends in `/p2p/PEERID`.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub(super) async fn dial(address: &Multiaddr, key: &Keypair) -> Result<Self, ConnectError> {
        let peer = peer_of(address).ok_or(ConnectError::AddressWithoutPeer)?;
        let mut swarm = swarm(key)?;
        let dial = DialOpts::peer_id(peer).addresses(vec![address.clone()]).allocate_new_port().build();
        swarm.dial(dial).map_err(blame)?;
        timeout(DIAL_DEADLINE, established(&mut swarm)).await.map_err(|_| ConnectError::Timeout)??;
        let (requests, asked) = mpsc::channel(OPENS_WAITING);
        Ok(Self { peer, requests, driver: tokio::spawn(drive(swarm, peer, asked)) })
    }

    /// Who Noise has proved to be at the other end.
    pub(super) fn peer(&self) -> PeerId {
        self.peer
    }

    /// Opens a stream.
    ///
    /// # Errors
    /// When the connection is gone, or the node does not offer the protocol (it has not admitted us).
    pub(super) async fn open(&self, protocol: &'static str) -> io::Result<Stream> {
        let (reply, opened) = oneshot::channel();
        let request = OpenRequest { protocol: StreamProtocol::new(protocol), reply };
        let gone = || io::Error::from(io::ErrorKind::NotConnected);
        self.requests.send(request).await.map_err(|_| gone())?;
        opened.await.map_err(|_| gone())?
    }

    /// Ends the connection; what was written before has a moment to leave.
    pub(super) async fn close(self) {
        drop(self.requests);
        // Past the deadline the socket closes with the process.
        drop(timeout(CLOSE_DEADLINE, self.driver).await);
    }
}

#[derive(NetworkBehaviour)]
struct Conversation {
    streams: Streams,
    /// Answers the node's probes: it closes a connection on which they fail, and an import can be silent for long.
    liveness: ping::Behaviour,
}

fn swarm(key: &Keypair) -> Result<Swarm<Conversation>, ConnectError> {
    let tcp = || tcp::tokio::Transport::new(tcp::Config::new().nodelay(true));
    // Without a resolver configuration only literal addresses can be dialled; a desk is mostly one of those.
    let sockets = match dns::tokio::Transport::system(tcp()) {
        Ok(transport) => transport.boxed(),
        Err(_) => tcp().boxed(),
    };
    let transport = sockets
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(key).map_err(|_| ConnectError::Key)?)
        .multiplex(yamux::Config::default())
        .timeout(DIAL_DEADLINE)
        .boxed();
    let conversation = Conversation { streams: Streams::default(), liveness: ping::Behaviour::default() };
    let config = swarm::Config::with_tokio_executor().with_substream_upgrade_protocol_override(Version::V1Lazy);
    Ok(Swarm::new(transport, conversation, key.public().to_peer_id(), config))
}

async fn established(swarm: &mut Swarm<Conversation>) -> Result<(), ConnectError> {
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::ConnectionEstablished { .. } => return Ok(()),
            SwarmEvent::OutgoingConnectionError { error, .. } => return Err(blame(error)),
            _ => {}
        }
    }
}

/// Owns the swarm until the connection closes or nobody holds it any more.
async fn drive(mut swarm: Swarm<Conversation>, peer: PeerId, mut asked: mpsc::Receiver<OpenRequest>) {
    let mut leaving = false;
    loop {
        tokio::select! {
            request = asked.recv(), if !leaving => match request {
                Some(request) => swarm.behaviour_mut().streams.open(peer, request),
                None => {
                    leaving = true;
                    if swarm.disconnect_peer_id(peer).is_err() {
                        return;
                    }
                }
            },
            event = swarm.select_next_some() => if matches!(event, SwarmEvent::ConnectionClosed { .. }) {
                return;
            },
        }
    }
}

fn peer_of(address: &Multiaddr) -> Option<PeerId> {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => Some(peer),
        _ => None,
    }
}

fn blame(error: DialError) -> ConnectError {
    match error {
        DialError::WrongPeerId { obtained, .. } => ConnectError::OtherNode(obtained),
        DialError::Aborted => ConnectError::Closed,
        DialError::Transport(attempts) => {
            // One address, one attempt; the innermost source is the operating system's own word for it.
            let reason = attempts.into_iter().next().map_or_else(String::new, |(_, error)| innermost(&error));
            ConnectError::Dial(reason)
        }
        other => ConnectError::Dial(innermost(&other)),
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string().to_lowercase()
}

/// TCP connection, Noise and Yamux together: the node is in the same building.
const DIAL_DEADLINE: Duration = Duration::from_secs(5);
/// Time for the last frames to leave.
const CLOSE_DEADLINE: Duration = Duration::from_millis(500);
/// Streams asked for and not yet opened: one command opens one or two.
const OPENS_WAITING: usize = 8;

#[cfg(test)]
mod tests;
