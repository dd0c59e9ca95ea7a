//! The exchange: our libp2p behaviour and handler, and the table of connections they share with the endpoint's handles.
//!
//! The table lets a handle open a stream, or admit a peer, without a turn of the event loop: an open goes straight to the task of
//! the connection. Entries are made and removed by the behaviour alone.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use futures::channel::oneshot as cut_channel;
use futures::future::FutureExt;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

pub(crate) mod behaviour;
pub(crate) mod handler;
pub mod protocol;

use super::{Limits, MAX_CLOSING, MAX_OPENS_WAITING};
use protocol::{Cut, ExchangeStream, Protocol};

/// Every open connection of one endpoint, by peer.
#[derive(Debug)]
pub(crate) struct Links {
    peers: Mutex<HashMap<PeerId, PeerLinks>>,
    /// Counts changes of standing; waiters for an admission look again at each.
    changes: watch::Sender<u64>,
    uses: Arc<AtomicU64>,
    /// Closed connections the owner has not been told of yet; newcomers are denied while there are too many.
    undelivered: AtomicUsize,
}

#[derive(Debug)]
struct PeerLinks {
    in_flight: Arc<Semaphore>,
    links: Vec<Arc<Link>>,
}

impl Links {
    pub(crate) fn new() -> Self {
        Self {
            peers: Mutex::new(HashMap::new()),
            changes: watch::Sender::new(0),
            uses: Arc::new(AtomicU64::new(0)),
            undelivered: AtomicUsize::new(0),
        }
    }

    /// Enters a connection just established, if the limits have room. The second value is an idle connection that makes room and must be closed.
    pub(crate) fn enter(
        &self,
        candidate: Candidate,
        limits: &Limits,
    ) -> Result<(Entered, Option<Arc<Link>>), LimitReached> {
        let mut peers = self.lock();
        let displaced = check_room(&peers, &candidate, limits, self.undelivered.load(Ordering::Relaxed))?;
        let entry = peers.entry(candidate.peer).or_insert_with(|| PeerLinks {
            in_flight: Arc::new(Semaphore::new(limits.exchanges_in_flight)),
            links: Vec::new(),
        });
        let (opens, requests) = mpsc::channel(limits.opens_per_connection.max(1));
        let (cutter, cut) = cut_channel::channel();
        let link = Arc::new(Link {
            peer: candidate.peer,
            connection: candidate.connection,
            role: candidate.role,
            address: candidate.address,
            established_at: candidate.established_at,
            standing: AtomicU8::new(UNAUTHENTICATED),
            surfaced: AtomicBool::new(false),
            live: AtomicUsize::new(0),
            last_used: AtomicU64::new(0),
            uses: Arc::clone(&self.uses),
            opens,
            waiting: AtomicUsize::new(0),
            slots: Arc::new(Semaphore::new(limits.opens_per_connection)),
            in_flight: Arc::clone(&entry.in_flight),
            cutter: Mutex::new(Some(cutter)),
            cut: cut.shared(),
        });
        entry.links.push(Arc::clone(&link));
        drop(peers);
        if let Some(displaced) = &displaced {
            displaced.sever();
        }
        Ok((Entered { link, requests }, displaced))
    }

    /// Takes a closed connection out, and cuts whatever streams it left.
    pub(crate) fn remove(&self, connection: ConnectionId) -> Option<Arc<Link>> {
        let mut peers = self.lock();
        let peer = peers
            .iter()
            .find(|(_, entry)| entry.links.iter().any(|link| link.connection == connection))
            .map(|(peer, _)| *peer)?;
        let entry = peers.get_mut(&peer)?;
        let position = entry.links.iter().position(|link| link.connection == connection)?;
        let link = entry.links.swap_remove(position);
        if entry.links.is_empty() {
            peers.remove(&peer);
        }
        drop(peers);
        link.sever();
        self.announce();
        Some(link)
    }

    /// Marks a connection as having passed the gate. `false` if it is gone or closing.
    pub(crate) fn admit(&self, peer: PeerId, connection: ConnectionId) -> bool {
        let admitted = self.of(peer).iter().any(|link| link.connection == connection && link.admit());
        if admitted {
            self.announce();
        }
        admitted
    }

    /// Cuts one connection.
    pub(crate) fn sever_one(&self, peer: PeerId, connection: ConnectionId) {
        let links = self.of(peer);
        links.iter().filter(|link| link.connection == connection).for_each(|link| link.sever());
        self.announce();
    }

    /// Cuts every connection with `peer`, at once and for good.
    pub(crate) fn sever(&self, peer: PeerId) {
        self.of(peer).iter().for_each(|link| link.sever());
        self.announce();
    }

    /// Cuts every connection.
    pub(crate) fn sever_all(&self) {
        self.all().iter().for_each(|link| link.sever());
        self.announce();
    }

    /// Any connection with `peer` that is not closing, admitted ones first.
    pub(crate) fn connected(&self, peer: PeerId) -> Option<Arc<Link>> {
        let links = self.of(peer);
        let admitted = links.iter().find(|link| link.is_admitted());
        admitted.or_else(|| links.iter().find(|link| !link.is_severed())).cloned()
    }

    /// An admitted connection with `peer`, the one with most free streams.
    pub(crate) fn admitted(&self, peer: PeerId) -> Result<Arc<Link>, OpenError> {
        let links = self.of(peer);
        let best = links.iter().filter(|link| link.is_admitted()).max_by_key(|link| link.slots.available_permits());
        match best {
            Some(link) => Ok(Arc::clone(link)),
            None if links.iter().any(|link| !link.is_severed()) => Err(OpenError::NotAdmitted),
            None => Err(OpenError::NotConnected),
        }
    }

    /// Every connection that is not closing.
    pub(crate) fn all(&self) -> Vec<Arc<Link>> {
        let peers = self.lock();
        let links = peers.values().flat_map(|entry| &entry.links);
        links.filter(|link| !link.is_severed()).cloned().collect()
    }

    /// Resolves at every later change of any connection's standing.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(crate) fn set_undelivered(&self, count: usize) {
        self.undelivered.store(count, Ordering::Relaxed);
    }

    fn of(&self, peer: PeerId) -> Vec<Arc<Link>> {
        self.lock().get(&peer).map(|entry| entry.links.clone()).unwrap_or_default()
    }

    fn announce(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Nothing panics while holding the lock, so a poisoned table is still a whole one.
    fn lock(&self) -> MutexGuard<'_, HashMap<PeerId, PeerLinks>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Decides whether `candidate` may enter; gives the connection to displace, if one must.
fn check_room(
    peers: &HashMap<PeerId, PeerLinks>,
    candidate: &Candidate,
    limits: &Limits,
    undelivered: usize,
) -> Result<Option<Arc<Link>>, LimitReached> {
    let all = || peers.values().flat_map(|entry| &entry.links);
    if undelivered >= limits.established {
        return Err(LimitReached::Undelivered(limits.established));
    }
    if peers.get(&candidate.peer).is_some_and(|entry| entry.links.len() >= limits.per_peer) {
        return Err(LimitReached::PerPeer(limits.per_peer));
    }
    if all().filter(|link| link.is_severed()).count() >= MAX_CLOSING {
        return Err(LimitReached::Closing(MAX_CLOSING));
    }
    let unauthenticated = all().filter(|link| link.role == candidate.role && link.is_unauthenticated()).count();
    let budget = match candidate.role {
        Role::Listener => limits.unauthenticated_inbound,
        Role::Dialer => limits.unauthenticated_outbound,
    };
    if unauthenticated >= budget {
        return Err(LimitReached::Unauthenticated(budget));
    }
    if all().filter(|link| !link.is_severed()).count() < limits.established {
        return Ok(None);
    }
    // Warm connections are kept for speed only, so the longest unused idle one yields to a newcomer.
    all()
        .filter(|link| link.is_admitted() && link.live.load(Ordering::Acquire) == 0)
        .min_by_key(|link| link.last_used.load(Ordering::Relaxed))
        .map(|link| Some(Arc::clone(link)))
        .ok_or(LimitReached::Established(limits.established))
}

/// A connection that asks to be entered.
pub(crate) struct Candidate {
    pub(crate) peer: PeerId,
    pub(crate) connection: ConnectionId,
    pub(crate) role: Role,
    pub(crate) address: Multiaddr,
    pub(crate) established_at: SystemTime,
}

/// An entered connection, and the requests that its handler will serve.
pub(crate) struct Entered {
    pub(crate) link: Arc<Link>,
    pub(crate) requests: mpsc::Receiver<OpenRequest>,
}

/// One open connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) peer: PeerId,
    pub(crate) connection: ConnectionId,
    pub(crate) role: Role,
    pub(crate) address: Multiaddr,
    pub(crate) established_at: SystemTime,
    standing: AtomicU8,
    surfaced: AtomicBool,
    live: AtomicUsize,
    last_used: AtomicU64,
    uses: Arc<AtomicU64>,
    opens: mpsc::Sender<OpenRequest>,
    waiting: AtomicUsize,
    slots: Arc<Semaphore>,
    in_flight: Arc<Semaphore>,
    cutter: Mutex<Option<cut_channel::Sender<()>>>,
    cut: Cut,
}

impl Link {
    /// Opens a stream: waits for a free one of ours, then for the connection's own task.
    pub(crate) async fn open(&self, protocol: Protocol) -> Result<ExchangeStream, OpenError> {
        let waiting = Waiting::enter(&self.waiting)?;
        let slots = Arc::clone(&self.slots);
        let slot = slots.acquire_owned().await.map_err(|_| OpenError::NotConnected)?;
        drop(waiting);
        let (reply, answer) = oneshot::channel();
        let request = OpenRequest { protocol, slot, reply };
        self.opens.send(request).await.map_err(|_| OpenError::NotConnected)?;
        answer.await.map_err(|_| OpenError::NotConnected)?
    }

    pub(crate) fn is_admitted(&self) -> bool {
        self.standing.load(Ordering::Acquire) == ADMITTED
    }

    pub(crate) fn is_unauthenticated(&self) -> bool {
        self.standing.load(Ordering::Acquire) == UNAUTHENTICATED
    }

    pub(crate) fn is_severed(&self) -> bool {
        self.standing.load(Ordering::Acquire) == SEVERED
    }

    /// Fails every stream of the connection from now on. The connection itself is closed by the event loop.
    pub(crate) fn sever(&self) {
        self.standing.store(SEVERED, Ordering::Release);
        self.slots.close();
        // Dropping the sender resolves every `Cut`.
        drop(self.cutter.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Notes that the owner knows of this connection and must hear of its end.
    pub(crate) fn surface(&self) {
        self.surfaced.store(true, Ordering::Release);
    }

    pub(crate) fn is_surfaced(&self) -> bool {
        self.surfaced.load(Ordering::Acquire)
    }

    /// Places among the exchanges of this peer that may be served at once, shared by all its connections.
    pub(crate) fn in_flight(&self) -> &Arc<Semaphore> {
        &self.in_flight
    }

    /// Streams of this connection held by callers now.
    pub(crate) fn live_streams(&self) -> usize {
        self.live.load(Ordering::Acquire)
    }

    fn admit(&self) -> bool {
        // Not from `SEVERED`: a connection being cut must not come back.
        let change = self.standing.compare_exchange(UNAUTHENTICATED, ADMITTED, Ordering::AcqRel, Ordering::Acquire);
        change.is_ok() || change == Err(ADMITTED)
    }

    fn cut(&self) -> Cut {
        self.cut.clone()
    }

    fn begin_use(&self) {
        self.live.fetch_add(1, Ordering::AcqRel);
        self.last_used.store(self.uses.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    }

    fn end_use(&self) {
        self.live.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A caller's place in the line for a stream; left when dropped, whether served or given up.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(line: &'a AtomicUsize) -> Result<Self, OpenError> {
        let place = Self(line);
        if line.fetch_add(1, Ordering::AcqRel) >= MAX_OPENS_WAITING {
            return Err(OpenError::Busy);
        }
        Ok(place)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A request to open a stream, for the handler of the connection.
#[derive(Debug)]
pub(crate) struct OpenRequest {
    pub(crate) protocol: Protocol,
    pub(crate) slot: OwnedSemaphorePermit,
    pub(crate) reply: oneshot::Sender<Result<ExchangeStream, OpenError>>,
}

/// Our part in making the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// We dialled, and opened the auth stream.
    Dialer,
    /// The other side dialled.
    Listener,
}

/// Why a stream could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No open connection with the peer, or it ended meanwhile.
    #[error("not connected to the peer")]
    NotConnected,
    /// The gate has not admitted the connection.
    #[error("the connection is not admitted yet")]
    NotAdmitted,
    /// `auth` is opened by the endpoint itself, once per connection.
    #[error("the auth protocol is opened by the endpoint itself")]
    Reserved,
    /// The peer does not offer the protocol. Usually seen later, as [`FrameError::Unsupported`](protocol::FrameError::Unsupported).
    #[error("the peer does not offer {}", .0.as_str())]
    Unsupported(Protocol),
    /// Too many callers wait for a stream on this connection.
    #[error("too many callers wait for a stream to the peer")]
    Busy,
    /// The caller's time, or the negotiation's, ran out.
    #[error("opening a stream took too long")]
    Timeout,
    /// The connection failed while opening.
    #[error("opening a stream failed")]
    Io(#[source] io::Error),
}

/// The limit that a denied connection met; the value is the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitReached {
    /// Handshakes in progress that others began.
    #[error("{0} inbound connections are pending")]
    PendingInbound(usize),
    /// Handshakes in progress that we began.
    #[error("{0} outbound connections are pending")]
    PendingOutbound(usize),
    /// Connections awaiting admission.
    #[error("{0} connections await admission")]
    Unauthenticated(usize),
    /// All open connections, none of them idle.
    #[error("{0} connections are open and in use")]
    Established(usize),
    /// Connections with the same peer.
    #[error("{0} connections with the peer are open")]
    PerPeer(usize),
    /// Connections not closed to the end yet.
    #[error("{0} connections are closing")]
    Closing(usize),
    /// Ended connections of which the owner has not been told.
    #[error("{0} ended connections are not reported yet")]
    Undelivered(usize),
}

const UNAUTHENTICATED: u8 = 0;
const ADMITTED: u8 = 1;
const SEVERED: u8 = 2;
