//! The transport beneath an endpoint: TCP (no delay) with DNS, Noise, Yamux, and the Swarm over them.
//!
//! Both layers and every stream negotiate lazily (multistream `V1Lazy`): the one name proposed travels with the first data, so neither costs a
//! round trip. It cannot help where the dialer has to hear first who supports what; we never do, as each side proposes one name at a time.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use careweave_protocol::limits::STREAMS_PER_CONNECTION;
use futures::future::FutureExt;
use libp2p::core::muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerEvent};
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::swarm::NetworkBehaviour;
use libp2p::{PeerId, Swarm, Transport, dns, identity, noise, ping, swarm, tcp, yamux};
use tokio::time::{Sleep, sleep};

use super::StartError;
use crate::net::exchange::behaviour::Behaviour;
use crate::net::{CLOSE_GRACE, HANDSHAKE_DEADLINE, PING_INTERVAL, PING_TIMEOUT};

/// Everything the Swarm of an endpoint does: the exchange, and a probe whether the other side is still there.
#[derive(NetworkBehaviour)]
pub(super) struct Conversation {
    exchange: Behaviour,
    liveness: ping::Behaviour,
}

/// Builds the Swarm. Fails only if the key cannot serve for Noise.
pub(super) fn swarm(keypair: &identity::Keypair, exchange: Behaviour) -> Result<Swarm<Conversation>, StartError> {
    // The stream bound is also the memory bound: a stream buffers at most its receive window, 256 KiB at first, so 16 MiB per connection. Yamux
    // doubles a stream's window only after we have read half of it within two round trips. We read one request (64 KiB) from an asker, and from an
    // answerer no more than it may have under way (`CREDIT_WINDOW`), so windows do not fill beyond that. libp2p exposes no window setting.
    let mut multiplexing = yamux::Config::default();
    multiplexing.set_max_num_streams(STREAMS_PER_CONNECTION);
    let transport: Boxed<(PeerId, StreamMuxerBox)> = sockets()
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(keypair)?)
        .multiplex(multiplexing)
        .timeout(HANDSHAKE_DEADLINE)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(PromptClose::new(muxer))))
        .boxed();
    let conversation = Conversation {
        exchange,
        liveness: ping::Behaviour::new(ping::Config::new().with_interval(PING_INTERVAL).with_timeout(PING_TIMEOUT)),
    };
    let config = swarm::Config::with_tokio_executor()
        .with_substream_upgrade_protocol_override(Version::V1Lazy)
        .with_max_negotiating_inbound_streams(STREAMS_PER_CONNECTION);
    Ok(Swarm::new(transport, conversation, keypair.public().to_peer_id(), config))
}

/// TCP, with names resolved as the machine is configured to; without such a configuration, literal addresses only.
fn sockets() -> Boxed<tcp::tokio::TcpStream> {
    let tcp = || tcp::tokio::Transport::new(tcp::Config::new().nodelay(true));
    match dns::tokio::Transport::system(tcp()) {
        Ok(transport) => transport.boxed(),
        Err(error) => {
            tracing::warn!(%error, "no dns configuration; only literal addresses can be dialled");
            tcp().boxed()
        }
    }
}

/// A muxer whose closing ends in bounded time. Yamux waits for the other side to take what is queued, and a peer that has stopped reading
/// would keep a connection, its place and its memory for as long as it likes.
struct PromptClose<M> {
    muxer: M,
    grace: Option<Pin<Box<Sleep>>>,
}

impl<M> PromptClose<M> {
    fn new(muxer: M) -> Self {
        Self { muxer, grace: None }
    }
}

impl<M: StreamMuxer + Unpin> StreamMuxer for PromptClose<M> {
    type Substream = M::Substream;
    type Error = M::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<M::Substream, M::Error>> {
        Pin::new(&mut self.muxer).poll_inbound(context)
    }

    fn poll_outbound(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<M::Substream, M::Error>> {
        Pin::new(&mut self.muxer).poll_outbound(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        if let Poll::Ready(closed) = Pin::new(&mut self.muxer).poll_close(context) {
            return Poll::Ready(closed);
        }
        let grace = self.grace.get_or_insert_with(|| Box::pin(sleep(CLOSE_GRACE)));
        grace.poll_unpin(context).map(Ok)
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, M::Error>> {
        Pin::new(&mut self.muxer).poll(context)
    }
}

impl<M> fmt::Debug for PromptClose<M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PromptClose").finish_non_exhaustive()
    }
}
