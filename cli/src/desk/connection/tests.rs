use std::convert::Infallible;
use std::task::{Context, Poll};

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{DeniedUpgrade, ReadyUpgrade};
use libp2p::swarm::behaviour::FromSwarm;
use libp2p::swarm::handler::{ConnectionEvent, FullyNegotiatedInbound};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, SubstreamProtocol, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use tokio::sync::oneshot;

use super::*;

const ECHO: &str = "/careweave/echo/1";

/// A node that sends back what it is sent.
#[derive(Default)]
struct Echo;

impl NetworkBehaviour for Echo {
    type ConnectionHandler = Self;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Self)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Self)
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

impl ConnectionHandler for Echo {
    type FromBehaviour = Infallible;
    type ToBehaviour = Infallible;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = DeniedUpgrade;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(StreamProtocol::new(ECHO)), ())
    }

    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn on_behaviour_event(&mut self, event: Infallible) {
        match event {}
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Self::InboundProtocol, DeniedUpgrade>) {
        if let ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol: mut stream, .. }) = event {
            tokio::spawn(async move {
                let mut sent = Vec::new();
                stream.read_to_end(&mut sent).await.unwrap();
                stream.write_all(&sent).await.unwrap();
                stream.close().await.unwrap();
            });
        }
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<DeniedUpgrade, (), Infallible>> {
        Poll::Pending
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Starts the node on a free port; the receiver hears when its first connection closes.
async fn echo_node() -> (Multiaddr, oneshot::Receiver<()>) {
    let key = Keypair::generate_ed25519();
    let transport = tcp::tokio::Transport::new(tcp::Config::new())
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(&key).unwrap())
        .multiplex(yamux::Config::default())
        .boxed();
    let peer = key.public().to_peer_id();
    let mut swarm = Swarm::new(transport, Echo, peer, swarm::Config::with_tokio_executor());
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
    let address = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            break address.with(Protocol::P2p(peer));
        }
    };
    let (closed, closing) = oneshot::channel();
    tokio::spawn(async move {
        while !matches!(swarm.select_next_some().await, SwarmEvent::ConnectionClosed { .. }) {}
        closed.send(()).unwrap_or_default();
    });
    (address, closing)
}

#[test]
fn streams_carry_both_ways_and_closing_is_heard_at_the_other_end() {
    runtime().block_on(async {
        let (address, closing) = echo_node().await;
        let connection = Connection::dial(&address, &Keypair::generate_ed25519()).await.unwrap();
        assert_eq!(address.iter().last(), Some(Protocol::P2p(connection.peer())));
        for size in [5, 3_000_000_usize] {
            let mut stream = connection.open(ECHO).await.unwrap();
            let sent: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            stream.write_all(&sent).await.unwrap();
            stream.close().await.unwrap();
            let mut received = Vec::new();
            stream.read_to_end(&mut received).await.unwrap();
            assert!(received == sent, "{size}");
        }
        connection.close().await;
        timeout(DIAL_DEADLINE, closing).await.unwrap().unwrap();
    });
}

#[test]
fn a_protocol_that_is_not_offered_fails_at_the_first_read() {
    runtime().block_on(async {
        let (address, _closing) = echo_node().await;
        let connection = Connection::dial(&address, &Keypair::generate_ed25519()).await.unwrap();
        // The name travels with the first data, so opening alone cannot tell yet.
        let told = match connection.open("/careweave/desk/1").await {
            Ok(mut stream) => {
                stream.write_all(b"hello").await.unwrap();
                stream.flush().await.unwrap();
                stream.read_exact(&mut [0]).await
            }
            Err(error) => Err(error),
        };
        assert!(told.is_err());
    });
}

#[test]
fn another_node_at_the_address_is_named_as_such() {
    runtime().block_on(async {
        let (address, _closing) = echo_node().await;
        let expected = Keypair::generate_ed25519().public().to_peer_id();
        let mut wrong = address.clone();
        let actual = wrong.pop();
        let wrong = wrong.with(Protocol::P2p(expected));
        let refused = Connection::dial(&wrong, &Keypair::generate_ed25519()).await;
        assert!(matches!(refused, Err(ConnectError::OtherNode(shown)) if actual == Some(Protocol::P2p(shown))));
    });
}

#[test]
fn an_address_without_a_node_id_is_not_dialled() {
    let key = Keypair::generate_ed25519();
    let refused = runtime().block_on(Connection::dial(&"/ip4/127.0.0.1/tcp/1".parse().unwrap(), &key));
    assert!(matches!(refused, Err(ConnectError::AddressWithoutPeer)));
}

#[test]
fn a_port_where_nobody_listens_is_named_as_such() {
    let key = Keypair::generate_ed25519();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let peer = Keypair::generate_ed25519().public().to_peer_id();
    let address: Multiaddr = format!("/ip4/127.0.0.1/tcp/{free}/p2p/{peer}").parse().unwrap();
    let refused = runtime().block_on(Connection::dial(&address, &key));
    assert!(matches!(refused, Err(ConnectError::Dial(reason)) if reason.contains("refused")));
}
