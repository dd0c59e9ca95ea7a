//! The network layer: authenticated streams between endpoints, and nothing else.
//!
//! One libp2p connection (TCP, Noise, Yamux) carries one stream per exchange. A connection offers `auth` alone until the owner
//! of the endpoint has checked the other side and said so with [`Handle::admit`]; every bound below holds from the first byte.
//! Reading order: [`endpoint`] (what the rest of the node calls), [`exchange`] (the table of connections), then
//! `exchange/protocol.rs` (names, frames, streams), `exchange/handler.rs` (one connection) and `exchange/behaviour.rs` (admission of connections).
//!
//! Not here: who is a member, what a message means, which addresses a member has. This module sees peer identities and
//! bytes; the gate, the directory and the exchanges above it own every rule.

use std::time::Duration;

use careweave_protocol::limits::{
    AUTH_DEADLINE, CONNECTIONS_MAX, CONNECTIONS_PER_PEER, EXCHANGE_QUEUE, EXCHANGES_PER_PEER, FAN_OUT_MAX,
    PRE_AUTH_CONNECTIONS, STREAMS_PER_CONNECTION,
};

pub mod directory;
pub mod endpoint;
pub mod exchange;
pub mod gate;
pub mod peers;
#[cfg(test)]
mod tests;

pub use endpoint::{ConnectError, Endpoint, EndpointConfig, Handle, Inbound, PeerStatus, StartError, WallClock};
pub use exchange::protocol::{ExchangeStream, FrameError, FramedStream, Protocol};
pub use exchange::{LimitReached, OpenError, Role};
pub use libp2p::swarm::ConnectionId;

/// The bounds of one endpoint. `Default` gives the values of the design; tests narrow single fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time from connection to [`Handle::admit`]; a connection not admitted by then is closed. Default [`AUTH_DEADLINE`].
    pub auth_deadline: Duration,
    /// Connections that others opened and that are not admitted yet. Default [`PRE_AUTH_CONNECTIONS`].
    pub unauthenticated_inbound: usize,
    /// Connections that we opened and that are not admitted yet. Default [`FAN_OUT_MAX`]: one query may find every recipient cold.
    pub unauthenticated_outbound: usize,
    /// All open connections. At this number the longest unused idle one makes room; if all are in use, the newcomer is denied.
    /// Default [`CONNECTIONS_MAX`].
    pub established: usize,
    /// Open connections with one peer. Default [`CONNECTIONS_PER_PEER`].
    pub per_peer: usize,
    /// Connections still in their Noise handshake, each way. Default [`MAX_PENDING`].
    pub pending: usize,
    /// Exchanges of one peer that are being served, over all its connections. Default [`EXCHANGES_PER_PEER`].
    pub exchanges_in_flight: usize,
    /// Exchanges of one connection that wait for a place. Default [`MAX_EXCHANGES_QUEUED`].
    pub exchanges_queued: usize,
    /// How long an exchange may wait for a place before it is answered busy. Default [`EXCHANGE_QUEUE`].
    pub queue_wait: Duration,
    /// Streams that we hold open at once on one connection; further opens wait. Default [`MAX_OPENS_PER_CONNECTION`].
    pub opens_per_connection: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            auth_deadline: AUTH_DEADLINE,
            unauthenticated_inbound: PRE_AUTH_CONNECTIONS,
            unauthenticated_outbound: FAN_OUT_MAX,
            established: CONNECTIONS_MAX,
            per_peer: CONNECTIONS_PER_PEER,
            pending: MAX_PENDING,
            exchanges_in_flight: EXCHANGES_PER_PEER,
            exchanges_queued: MAX_EXCHANGES_QUEUED,
            queue_wait: EXCHANGE_QUEUE,
            opens_per_connection: MAX_OPENS_PER_CONNECTION,
        }
    }
}

/// Handshakes in progress each way: a fan-out of 64 at once, and the same for those who call us.
pub const MAX_PENDING: usize = 64;
/// Time for TCP connection, Noise and Yamux together; a silent socket holds its pending place no longer than this.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
/// Exchanges of one connection waiting for a place: a short burst waits, a flood is told at once.
pub const MAX_EXCHANGES_QUEUED: usize = 4;
/// Busy answers of one connection that wait for the peer to finish its request; further ones end the stream as soon as they are written.
pub const MAX_BUSY_DRAINS: usize = 4;
/// Our open streams per connection; a view or a delivery takes one for a fraction of a second.
pub const MAX_OPENS_PER_CONNECTION: usize = 20;
/// Streams of a connection beside exchanges: auth, and a ping each way.
const SERVICE_STREAMS: usize = 3;
// Meeting the Yamux bound ends the whole connection. So all that the bounds above let live on one connection stays below it, even when
// an asker has given up on streams that we still serve.
const _: () = assert!(
    EXCHANGES_PER_PEER + MAX_EXCHANGES_QUEUED + MAX_BUSY_DRAINS + MAX_OPENS_PER_CONNECTION + SERVICE_STREAMS
        < STREAMS_PER_CONNECTION
);
/// Callers waiting in [`Handle::open`] for one connection; past it they are told busy instead of piling up.
pub const MAX_OPENS_WAITING: usize = 256;
/// Inbound streams that an unauthenticated connection may have in negotiation: auth, ping, and one spare each. Each may buffer 256 KiB,
/// so 32 strangers hold at most 32 MiB, and one stream more each before it is noticed.
pub const MAX_UNAUTHENTICATED_NEGOTIATIONS: usize = 4;
/// Time for the two sides to agree on a protocol for one stream.
pub const NEGOTIATION_DEADLINE: Duration = Duration::from_secs(5);
/// Time to write a busy answer and see the other side finish.
pub const BUSY_DEADLINE: Duration = Duration::from_secs(1);
/// Time a closing connection may take to send what is queued; then the socket is dropped, whatever the other side does.
pub const CLOSE_GRACE: Duration = Duration::from_millis(500);
/// Connections that may be closing at once before newcomers are denied.
pub const MAX_CLOSING: usize = 64;
/// Interval of liveness probes on an open connection.
pub const PING_INTERVAL: Duration = Duration::from_secs(15);
/// Time for a liveness probe to be answered. libp2p reports the second failure in a row; we close on it.
pub const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Commands waiting for the event loop; senders wait beyond it.
pub const MAX_COMMANDS: usize = 128;
/// Addresses tried in one dial: what one advert may reasonably list, and adverts come from others.
pub const MAX_DIAL_ADDRESSES: usize = 8;
/// Callers waiting for one dial of one peer.
pub const MAX_DIAL_WAITERS: usize = 256;
/// Time for every listener to report its first address at start.
pub const LISTEN_DEADLINE: Duration = Duration::from_secs(5);
/// Time for connections to close at shutdown: the closing grace, and as much again for the loop to see it.
pub const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(1);
