//! An endpoint: one Swarm, one PeerId, one event loop. Everybody else holds a [`Handle`].

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use libp2p::core::transport::TransportError;
use libp2p::swarm::{ConnectionId, DialError};
use libp2p::{Multiaddr, PeerId, identity, noise};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

mod event_loop;
mod transport;

use super::exchange::behaviour::Behaviour;
use super::exchange::handler::Settings;
use super::exchange::protocol::{ExchangeStream, Protocol};
use super::exchange::{LimitReached, Link, Links, OpenError, Role};
use super::{LISTEN_DEADLINE, Limits, MAX_COMMANDS};
use event_loop::{Command, EventLoop};

/// Starts endpoints.
#[derive(Debug)]
pub enum Endpoint {}

impl Endpoint {
    /// Listens, and starts the event loop. Returns once every listener has its address, so port 0 is resolved in
    /// [`Handle::listen_addresses`]. What peers do arrives at `inbound`, whose capacity is the owner's to choose: when it is full,
    /// exchanges wait, then are answered busy. Must be called within a tokio runtime.
    ///
    /// The task ends after [`Handle::shutdown`], or when the last handle is dropped.
    pub async fn start(
        config: EndpointConfig,
        inbound: mpsc::Sender<Inbound>,
    ) -> Result<(Handle, JoinHandle<()>), StartError> {
        let local_peer = config.keypair.public().to_peer_id();
        let links = Arc::new(Links::new());
        let settings = Arc::new(Settings {
            offers: config.offers.into_iter().collect(),
            limits: config.limits,
            busy_frame: config.busy_frame,
            inbound: inbound.clone(),
        });
        let behaviour = Behaviour::new(Arc::clone(&links), settings, config.clock);
        let swarm = transport::swarm(&config.keypair, behaviour)?;
        let (sender, commands) = mpsc::channel(MAX_COMMANDS);
        let addresses = Arc::new(Mutex::new(Vec::new()));
        let mut event_loop = EventLoop::new(swarm, commands, inbound, Arc::clone(&links), Arc::clone(&addresses));
        timeout(LISTEN_DEADLINE, event_loop.listen(config.listen)).await.map_err(|_| StartError::ListenTimeout)??;
        let handle = Handle { local_peer, links, addresses, commands: sender };
        Ok((handle, tokio::spawn(event_loop.run())))
    }
}

/// What an endpoint needs to start.
pub struct EndpointConfig {
    /// The Ed25519 key that the PeerId is made of and Noise proves.
    pub keypair: identity::Keypair,
    /// Where to listen; empty for an endpoint that only dials. Port 0 takes any free port.
    pub listen: Vec<Multiaddr>,
    /// What an admitted peer may open. `auth` needs no mention.
    pub offers: Vec<Protocol>,
    /// The bounds; `Limits::default()` unless there is a reason.
    pub limits: Limits,
    /// The payload of the one frame that answers an exchange for which there is no place.
    pub busy_frame: Arc<[u8]>,
    /// The time for [`PeerStatus::established_at`]. All waits use tokio's timer.
    pub clock: WallClock,
}

/// Gives the wall-clock time.
pub type WallClock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

impl fmt::Debug for EndpointConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EndpointConfig")
            .field("listen", &self.listen)
            .field("offers", &self.offers)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// What peers do, for the owner of the endpoint.
#[derive(Debug)]
pub enum Inbound {
    /// The auth stream of a new connection: check the other side on it, then [`Handle::admit`] or [`Handle::disconnect`].
    Auth {
        /// The PeerId that Noise has proved.
        peer: PeerId,
        /// The connection to admit.
        connection: ConnectionId,
        /// `Dialer`: we opened the stream, and speak first if the protocol says so.
        role: Role,
        /// The stream.
        stream: ExchangeStream,
    },
    /// An exchange that an admitted peer opened. Dropping the stream gives its place back.
    Exchange {
        /// The PeerId that Noise has proved.
        peer: PeerId,
        /// The connection it came on.
        connection: ConnectionId,
        /// What the stream speaks; one of the endpoint's offers.
        protocol: Protocol,
        /// The stream.
        stream: ExchangeStream,
    },
    /// A connection whose auth stream was given out has ended. The peer may still have another.
    Disconnected {
        /// The peer.
        peer: PeerId,
        /// The ended connection.
        connection: ConnectionId,
    },
}

/// Access to a running endpoint. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    local_peer: PeerId,
    links: Arc<Links>,
    addresses: Arc<Mutex<Vec<Multiaddr>>>,
    commands: mpsc::Sender<Command>,
}

impl Handle {
    /// Our own PeerId.
    pub fn local_peer(&self) -> PeerId {
        self.local_peer
    }

    /// Where the endpoint listens now, ports resolved; a wildcard address appears as one address per interface.
    pub fn listen_addresses(&self) -> Vec<Multiaddr> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The connection with `peer`, made now if there is none. Calls for the same peer share one dial, with the first caller's addresses,
    /// of which the first [`MAX_DIAL_ADDRESSES`](super::MAX_DIAL_ADDRESSES) are tried.
    ///
    /// The connection is not necessarily admitted: see [`Handle::wait_admitted`].
    pub async fn dial(
        &self,
        peer: PeerId,
        addresses: Vec<Multiaddr>,
        within: Duration,
    ) -> Result<ConnectionId, ConnectError> {
        if let Some(link) = self.links.connected(peer) {
            return Ok(link.connection);
        }
        let dialled = timeout(within, async {
            let (reply, answer) = oneshot::channel();
            let command = Command::Dial { peer, addresses, reply };
            self.commands.send(command).await.map_err(|_| ConnectError::ShutDown)?;
            answer.await.map_err(|_| ConnectError::ShutDown)?
        });
        dialled.await.map_err(|_| ConnectError::Timeout)?
    }

    /// Opens a stream for one exchange on an admitted connection.
    ///
    /// On a warm connection nothing is waited for: the protocol's name travels with the first data written (multistream `V1Lazy`). So a peer
    /// that does not offer it is noticed at the first read, as [`FrameError::Unsupported`](super::FrameError::Unsupported), and the
    /// peer does not see the stream before we write, flush or read.
    pub async fn open(&self, peer: PeerId, protocol: Protocol, within: Duration) -> Result<ExchangeStream, OpenError> {
        if protocol == Protocol::Auth {
            return Err(OpenError::Reserved);
        }
        let link = self.links.admitted(peer)?;
        timeout(within, link.open(protocol)).await.map_err(|_| OpenError::Timeout)?
    }

    /// Declares that the gate has passed the connection: both directions are open from now on. Fails if it has ended or is ending.
    pub fn admit(&self, peer: PeerId, connection: ConnectionId) -> Result<(), OpenError> {
        if self.links.admit(peer, connection) { Ok(()) } else { Err(OpenError::NotConnected) }
    }

    /// Whether the gate has passed a connection with `peer` that is still open.
    pub fn is_admitted(&self, peer: PeerId) -> bool {
        self.links.admitted(peer).is_ok()
    }

    /// Waits until the gate has passed a connection with `peer`. Fails at once with [`OpenError::NotConnected`] when none is left that it could.
    pub async fn wait_admitted(&self, peer: PeerId, within: Duration) -> Result<ConnectionId, OpenError> {
        let mut changes = self.links.changes();
        let admitted = timeout(within, async {
            loop {
                match self.links.admitted(peer) {
                    Ok(link) => return Ok(link.connection),
                    Err(OpenError::NotAdmitted) => {}
                    Err(error) => return Err(error),
                }
                changes.changed().await.map_err(|_| OpenError::NotConnected)?;
            }
        });
        admitted.await.map_err(|_| OpenError::Timeout)?
    }

    /// Cuts every connection and stream with `peer`. Streams fail before this returns; sockets close within
    /// [`CLOSE_GRACE`](super::CLOSE_GRACE), whatever the peer does. A dial of the peer in progress is given up.
    pub async fn disconnect(&self, peer: PeerId) {
        self.links.sever(peer);
        // Fails only when the loop has ended, and then there are no connections.
        drop(self.commands.send(Command::Disconnect { peer }).await);
    }

    /// Every peer with an open connection.
    pub fn peers(&self) -> Vec<PeerStatus> {
        let mut links = self.links.all();
        links.sort_by_key(|link| (link.peer, link.connection));
        links.chunk_by(|one, next| one.peer == next.peer).filter_map(PeerStatus::of).collect()
    }

    /// Takes no new connections; those that are open go on, and dialling stays possible. For an endpoint whose place another takes.
    pub async fn stop_listening(&self) {
        // Fails only when the loop has ended, and then nothing listens.
        drop(self.commands.send(Command::StopListening).await);
    }

    /// Cuts everything, stops listening, and returns when the event loop has ended its work.
    pub async fn shutdown(&self) {
        let (reply, done) = oneshot::channel();
        if self.commands.send(Command::Shutdown { reply }).await.is_ok() {
            // An error means that the loop is gone, which is what we wait for.
            drop(done.await);
        }
    }
}

#[cfg(test)]
impl Handle {
    /// Opens even what [`Handle::open`] would not, as a hostile peer does.
    pub(super) async fn open_unchecked(&self, peer: PeerId, protocol: Protocol) -> ExchangeStream {
        self.links.admitted(peer).unwrap().open(protocol).await.unwrap()
    }
}

/// A peer with an open connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// The PeerId that Noise has proved.
    pub peer: PeerId,
    /// The far end of each connection, as seen from here; at most [`Limits::per_peer`].
    pub addresses: Vec<Multiaddr>,
    /// Whether the gate has passed one of them.
    pub admitted: bool,
    /// When the oldest of them was established.
    pub established_at: SystemTime,
    /// Streams held open here, both directions.
    pub streams: usize,
}

impl PeerStatus {
    fn of(links: &[Arc<Link>]) -> Option<Self> {
        let first = links.first()?;
        Some(Self {
            peer: first.peer,
            addresses: links.iter().map(|link| link.address.clone()).collect(),
            admitted: links.iter().any(|link| link.is_admitted()),
            established_at: links.iter().map(|link| link.established_at).min()?,
            streams: links.iter().map(|link| link.live_streams()).sum(),
        })
    }
}

/// Why an endpoint could not start: always the local configuration or machine.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The key cannot serve for Noise.
    #[error("the node key cannot be used for noise")]
    Noise(#[from] noise::Error),
    /// The address is not one we can listen on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The configured address.
        address: Multiaddr,
        /// What the transport says.
        #[source]
        source: TransportError<std::io::Error>,
    },
    /// The listener ended before it had an address.
    #[error("a listener closed at once")]
    ListenerClosed(#[source] std::io::Error),
    /// A listener reported no address in [`LISTEN_DEADLINE`].
    #[error("no listening address in time")]
    ListenTimeout,
}

/// Why a peer could not be reached. `Clone`, because callers share a dial.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConnectError {
    /// The caller's time ran out.
    #[error("connecting took too long")]
    Timeout,
    /// Too many callers wait for the same dial.
    #[error("too many callers wait for this peer")]
    Busy,
    /// No address was given.
    #[error("no address of the peer is known")]
    NoAddress,
    /// A limit of this endpoint.
    #[error("denied by a limit of this endpoint")]
    Denied(#[from] LimitReached),
    /// Someone else answered at the address.
    #[error("the address belongs to {obtained}")]
    WrongPeer {
        /// Who answered.
        obtained: PeerId,
    },
    /// No address answered, or the handshake failed.
    #[error("the peer cannot be reached")]
    Unreachable(#[source] Arc<DialError>),
    /// The endpoint has been shut down.
    #[error("the endpoint is shut down")]
    ShutDown,
}

impl From<DialError> for ConnectError {
    fn from(error: DialError) -> Self {
        match error {
            DialError::NoAddresses => Self::NoAddress,
            DialError::WrongPeerId { obtained, .. } => Self::WrongPeer { obtained },
            DialError::Denied { cause } => match cause.downcast::<LimitReached>() {
                Ok(limit) => Self::Denied(limit),
                Err(cause) => Self::Unreachable(Arc::new(DialError::Denied { cause })),
            },
            other => Self::Unreachable(Arc::new(other)),
        }
    }
}
