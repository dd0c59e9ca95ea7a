//! Endpoints on real sockets of the loopback interface. Every wait has a deadline; none is a sleep.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::future::join;
use futures::stream::{FuturesUnordered, StreamExt};
use libp2p::{Multiaddr, PeerId, identity, multiaddr};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;

/// Longer than anything takes, so that a hang is a failure and a slow machine is not.
const PATIENCE: Duration = Duration::from_secs(20);
const BUSY: &[u8] = b"busy";
const MAX: usize = 256 * 1024;

struct Node {
    handle: Handle,
    inbound: mpsc::Receiver<Inbound>,
    task: JoinHandle<()>,
}

impl Node {
    async fn start(limits: Limits) -> Self {
        Self::start_with_room(limits, 256).await
    }

    async fn start_with_room(limits: Limits, room: usize) -> Self {
        let (sender, inbound) = mpsc::channel(room);
        let (handle, task) = Endpoint::start(config(limits), sender).await.unwrap();
        Self { handle, inbound, task }
    }

    fn peer(&self) -> PeerId {
        self.handle.local_peer()
    }

    async fn next(&mut self) -> Inbound {
        timeout(PATIENCE, self.inbound.recv()).await.expect("an event in time").expect("a running endpoint")
    }

    async fn next_exchange(&mut self) -> (Protocol, FramedStream<ExchangeStream>) {
        match self.next().await {
            Inbound::Exchange { protocol, stream, .. } => (protocol, FramedStream::new(stream)),
            other => panic!("expected an exchange, got {other:?}"),
        }
    }

    async fn next_auth(&mut self, expected: Role) -> (ConnectionId, FramedStream<ExchangeStream>) {
        match self.next().await {
            Inbound::Auth { connection, role, stream, .. } if role == expected => {
                (connection, FramedStream::new(stream))
            }
            other => panic!("expected an auth stream as {expected:?}, got {other:?}"),
        }
    }

    async fn expect_disconnected(&mut self, from: PeerId) {
        match self.next().await {
            Inbound::Disconnected { peer, .. } => assert_eq!(peer, from),
            other => panic!("expected the end of a connection, got {other:?}"),
        }
    }

    async fn open(&self, to: &Self, protocol: Protocol) -> FramedStream<ExchangeStream> {
        FramedStream::new(self.handle.open(to.peer(), protocol, PATIENCE).await.unwrap())
    }
}

fn config(limits: Limits) -> EndpointConfig {
    EndpointConfig {
        keypair: identity::Keypair::generate_ed25519(),
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        offers: vec![Protocol::Manifest, Protocol::Query, Protocol::Deliver, Protocol::Witness],
        limits,
        busy_frame: BUSY.into(),
        clock: Arc::new(|| SystemTime::UNIX_EPOCH),
    }
}

/// Connects, with both auth streams surfaced, nobody admitted.
async fn connect(
    dialer: &mut Node,
    listener: &mut Node,
) -> ((ConnectionId, FramedStream<ExchangeStream>), (ConnectionId, FramedStream<ExchangeStream>)) {
    let addresses = listener.handle.listen_addresses();
    dialer.handle.dial(listener.peer(), addresses, PATIENCE).await.unwrap();
    let (connection, mut auth) = dialer.next_auth(Role::Dialer).await;
    auth.write_frame(b"who I am").await.unwrap();
    let (other_connection, mut other_auth) = listener.next_auth(Role::Listener).await;
    assert_eq!(other_auth.read_frame(MAX).await.unwrap().unwrap(), b"who I am");
    ((connection, auth), (other_connection, other_auth))
}

/// Connects, and admits on both sides.
async fn admit(dialer: &mut Node, listener: &mut Node) {
    let ((connection, _), (other_connection, _)) = connect(dialer, listener).await;
    listener.handle.admit(dialer.peer(), other_connection).unwrap();
    dialer.handle.admit(listener.peer(), connection).unwrap();
}

async fn admitted_pair(limits: Limits) -> (Node, Node) {
    let (mut asker, mut holder) = join(Node::start(limits), Node::start(limits)).await;
    admit(&mut asker, &mut holder).await;
    (asker, holder)
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(1), work).await.expect("done within 1 s")
}

#[tokio::test]
async fn before_admission_only_auth_is_answered() {
    let (mut stranger, mut holder) = join(Node::start(Limits::default()), Node::start(Limits::default())).await;
    let ((connection, mut auth), (_, mut other_auth)) = connect(&mut stranger, &mut holder).await;
    other_auth.write_frame(b"who I am").await.unwrap();
    assert_eq!(auth.read_frame(MAX).await.unwrap().unwrap(), b"who I am");

    let refused = stranger.handle.open(holder.peer(), Protocol::Query, PATIENCE).await;
    assert!(matches!(refused, Err(OpenError::NotAdmitted)), "{refused:?}");

    // A stranger that thinks itself admitted.
    stranger.handle.admit(holder.peer(), connection).unwrap();
    for protocol in Protocol::ALL {
        if protocol == Protocol::Auth {
            continue;
        }
        let mut stream = stranger.open(&holder, protocol).await.into_inner();
        let mut framed = FramedStream::new(&mut stream);
        framed.write_frame(b"give me everything").await.unwrap();
        let answer = timeout(PATIENCE, framed.read_frame(MAX)).await.unwrap();
        assert!(matches!(answer, Err(FrameError::Unsupported)), "{protocol:?}: {answer:?}");
    }
    assert!(holder.inbound.try_recv().is_err(), "no exchange reached the owner");
}

#[tokio::test]
async fn admission_opens_both_directions() {
    let (mut asker, mut holder) = admitted_pair(Limits::default()).await;
    assert!(asker.handle.is_admitted(holder.peer()));
    let status = holder.handle.peers();
    assert_eq!(status.len(), 1);
    assert!(status[0].admitted && status[0].peer == asker.peer());

    let mut question = asker.open(&holder, Protocol::Query).await;
    question.write_frames(&[b"what", b"is known"]).await.unwrap();
    let (protocol, mut answer) = holder.next_exchange().await;
    assert_eq!(protocol, Protocol::Query);
    assert_eq!(answer.read_frame(MAX).await.unwrap().unwrap(), b"what");
    assert_eq!(answer.read_frame(MAX).await.unwrap().unwrap(), b"is known");
    let large = vec![7_u8; MAX];
    let (sent, received) = join(answer.write_frame(&large), question.read_frame(MAX)).await;
    sent.unwrap();
    assert!(received.unwrap().unwrap() == large);
    answer.close().await.unwrap();
    assert!(question.read_frame(MAX).await.unwrap().is_none());

    let mut back = holder.open(&asker, Protocol::Deliver).await;
    back.write_frame(b"acknowledged").await.unwrap();
    let (protocol, mut stream) = asker.next_exchange().await;
    assert_eq!(protocol, Protocol::Deliver);
    assert_eq!(stream.read_frame(MAX).await.unwrap().unwrap(), b"acknowledged");
}

#[tokio::test]
async fn a_protocol_that_is_not_offered_is_named_even_after_admission() {
    let (asker, holder) = admitted_pair(Limits::default()).await;
    let mut stream = asker.open(&holder, Protocol::Desk).await;
    stream.write_frame(b"hello").await.unwrap();
    assert!(matches!(stream.read_frame(MAX).await, Err(FrameError::Unsupported)));
    let reserved = asker.handle.open(holder.peer(), Protocol::Auth, PATIENCE).await;
    assert!(matches!(reserved, Err(OpenError::Reserved)));
}

#[tokio::test]
async fn a_connection_not_admitted_in_time_is_closed() {
    let hasty = Limits { auth_deadline: Duration::from_millis(200), ..Limits::default() };
    let (mut dialer, mut listener) = join(Node::start(Limits::default()), Node::start(hasty)).await;
    let ((_, mut auth), (connection, mut other_auth)) = connect(&mut dialer, &mut listener).await;
    assert!(matches!(soon(other_auth.read_frame(MAX)).await, Err(FrameError::Cut)));
    assert!(!matches!(soon(auth.read_frame(MAX)).await, Ok(Some(_))));
    listener.expect_disconnected(dialer.peer()).await;
    dialer.expect_disconnected(listener.peer()).await;
    assert!(listener.handle.peers().is_empty());
    assert!(listener.handle.admit(dialer.peer(), connection).is_err(), "too late to admit");
}

#[tokio::test]
async fn wait_admitted_ends_with_admission_or_with_the_connection() {
    let (mut dialer, mut listener) = join(Node::start(Limits::default()), Node::start(Limits::default())).await;
    let ((connection, _auth), _other) = connect(&mut dialer, &mut listener).await;
    let waiting = dialer.handle.wait_admitted(listener.peer(), PATIENCE);
    let admitting = async { dialer.handle.admit(listener.peer(), connection) };
    let (waited, admitted) = join(waiting, admitting).await;
    admitted.unwrap();
    assert_eq!(waited.unwrap(), connection);

    let waiting = listener.handle.wait_admitted(dialer.peer(), PATIENCE);
    let (waited, ()) = join(waiting, dialer.handle.disconnect(listener.peer())).await;
    assert!(matches!(waited, Err(OpenError::NotConnected)), "{waited:?}");
}

#[tokio::test]
async fn the_exchange_above_the_limit_is_answered_busy() {
    let limits = Limits { opens_per_connection: 40, ..Limits::default() };
    let (asker, mut holder) = admitted_pair(limits).await;
    let mut asked = Vec::new();
    let mut served = Vec::new();
    for _ in 0..EXCHANGES_PER_PEER {
        let mut stream = asker.open(&holder, Protocol::Query).await;
        stream.write_frame(b"question").await.unwrap();
        asked.push(stream);
        served.push(holder.next_exchange().await);
    }
    let mut extra = asker.open(&holder, Protocol::Query).await;
    extra.write_frame(b"question").await.unwrap();
    let answer = timeout(PATIENCE, extra.read_frame(MAX)).await.unwrap();
    assert_eq!(answer.unwrap().unwrap(), BUSY);
    assert!(extra.read_frame(MAX).await.unwrap().is_none());
    assert!(holder.inbound.try_recv().is_err(), "the owner saw only the exchanges with a place");

    // A place given back is taken by the one who waits.
    let mut patient = asker.open(&holder, Protocol::Query).await;
    patient.write_frame(b"question").await.unwrap();
    served.pop();
    let (_, mut stream) = soon(holder.next_exchange()).await;
    stream.write_frame(b"answer").await.unwrap();
    assert_eq!(patient.read_frame(MAX).await.unwrap().unwrap(), b"answer");
}

#[tokio::test]
async fn an_owner_that_does_not_keep_up_has_exchanges_answered_busy() {
    let limits = Limits { queue_wait: Duration::from_millis(50), ..Limits::default() };
    let mut asker = Node::start(limits).await;
    let mut holder = Node::start_with_room(limits, 1).await;
    admit(&mut asker, &mut holder).await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = asker.open(&holder, Protocol::Query).await;
        stream.write_frame(b"question").await.unwrap();
        streams.push(stream);
    }
    // One is in the owner's channel; every other one hears so.
    let mut busy = 0;
    let mut answers: FuturesUnordered<_> = streams.iter_mut().map(|stream| stream.read_frame(MAX)).collect();
    while busy < 19 {
        let answer = timeout(PATIENCE, answers.next()).await.unwrap().unwrap();
        assert_eq!(answer.unwrap().unwrap(), BUSY);
        busy += 1;
    }
}

#[tokio::test]
async fn askers_that_give_up_do_not_bring_the_connection_to_its_stream_limit() {
    let (mut asker, mut holder) = admitted_pair(Limits::default()).await;
    let mut held = Vec::new();
    for _ in 0..MAX_OPENS_PER_CONNECTION {
        let mut stream = holder.open(&asker, Protocol::Deliver).await;
        stream.write_frame(b"delivery").await.unwrap();
        held.push((asker.next_exchange().await, stream));
    }
    // The holder keeps every stream it is given; the asker keeps none for longer than a busy answer may take.
    let mut served = Vec::new();
    for _ in 0..6 {
        let mut asked = Vec::new();
        for _ in 0..MAX_OPENS_PER_CONNECTION {
            let mut stream = asker.open(&holder, Protocol::Query).await;
            stream.write_frame(b"question").await.unwrap();
            asked.push(stream);
        }
        while served.len() < EXCHANGES_PER_PEER {
            let exchange = timeout(Duration::from_millis(200), holder.next_exchange()).await;
            match exchange {
                Ok(exchange) => served.push(exchange),
                Err(_) => break,
            }
        }
    }
    assert_eq!(served.len(), EXCHANGES_PER_PEER);
    for ((_, stream), _) in &mut held {
        stream.write_frame(b"still here").await.unwrap();
    }
    assert!(holder.handle.is_admitted(asker.peer()));
}

#[tokio::test]
async fn opens_above_our_own_limit_wait_for_a_stream() {
    let limits = Limits { opens_per_connection: 1, ..Limits::default() };
    let (asker, holder) = admitted_pair(limits).await;
    let first = asker.open(&holder, Protocol::Query).await;
    let second = asker.handle.open(holder.peer(), Protocol::Query, Duration::from_millis(50)).await;
    assert!(matches!(second, Err(OpenError::Timeout)), "{second:?}");
    let (third, ()) = join(asker.open(&holder, Protocol::Query), async { drop(first) }).await;
    drop(third);
}

#[tokio::test]
async fn disconnect_cuts_live_streams_at_once() {
    let (mut asker, mut holder) = admitted_pair(Limits::default()).await;
    let mut question = asker.open(&holder, Protocol::Query).await;
    question.write_frame(b"question").await.unwrap();
    let (_, mut answer) = holder.next_exchange().await;
    answer.read_frame(MAX).await.unwrap();

    // The asker reads nothing, so the holder's writes block when the window is full; the cut must reach a blocked writer.
    let writer = tokio::spawn(async move {
        loop {
            if let Err(error) = answer.write_frame(&vec![1_u8; MAX]).await {
                return error;
            }
        }
    });
    holder.handle.disconnect(asker.peer()).await;
    assert!(matches!(soon(writer).await.unwrap(), FrameError::Cut));
    soon(async { while let Ok(Some(_)) = question.read_frame(MAX).await {} }).await;
    soon(holder.expect_disconnected(asker.peer())).await;
    soon(asker.expect_disconnected(holder.peer())).await;
    assert!(matches!(asker.handle.open(holder.peer(), Protocol::Query, PATIENCE).await, Err(OpenError::NotConnected)));

    // And the way back is open again, through the gate.
    admit(&mut asker, &mut holder).await;
}

/// Forwards one connection to `target` until told to stop, then holds both sockets and reads no more.
async fn stalling_proxy(target: Multiaddr) -> (Multiaddr, oneshot::Sender<()>) {
    let port = target.iter().find_map(|part| match part {
        multiaddr::Protocol::Tcp(port) => Some(port),
        _ => None,
    });
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().unwrap().port()).parse().unwrap();
    let (stall, stalled) = oneshot::channel();
    tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = TcpStream::connect(("127.0.0.1", port.unwrap())).await.unwrap();
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
            _ = stalled => std::future::pending::<()>().await,
        }
    });
    (address, stall)
}

#[tokio::test]
async fn a_peer_that_stops_reading_cannot_delay_its_disconnection() {
    let (mut asker, mut holder) = join(Node::start(Limits::default()), Node::start(Limits::default())).await;
    let (address, stall) = stalling_proxy(holder.handle.listen_addresses().remove(0)).await;
    asker.handle.dial(holder.peer(), vec![address], PATIENCE).await.unwrap();
    let (connection, mut auth) = asker.next_auth(Role::Dialer).await;
    auth.flush().await.unwrap();
    let (other_connection, _other_auth) = holder.next_auth(Role::Listener).await;
    holder.handle.admit(asker.peer(), other_connection).unwrap();
    asker.handle.admit(holder.peer(), connection).unwrap();

    stall.send(()).unwrap();
    let mut writers = Vec::new();
    for _ in 0..MAX_OPENS_PER_CONNECTION {
        let mut stream = holder.open(&asker, Protocol::Deliver).await;
        writers.push(tokio::spawn(async move {
            loop {
                // More than sockets and windows hold, so every layer below is full.
                if let Err(error) = stream.write_frame(&vec![1_u8; MAX]).await {
                    return error;
                }
            }
        }));
    }
    let written = timeout(Duration::from_millis(300), &mut writers[0]).await;
    assert!(written.is_err(), "the writers are blocked: {written:?}");
    holder.handle.disconnect(asker.peer()).await;
    for writer in writers {
        assert!(matches!(soon(writer).await.unwrap(), FrameError::Cut));
    }
    soon(holder.expect_disconnected(asker.peer())).await;
}

#[tokio::test]
async fn strangers_fill_only_their_own_budget() {
    let limits = Limits { auth_deadline: PATIENCE * 3, ..Limits::default() };
    let (mut member, mut holder) = admitted_pair(limits).await;
    let mut strangers = Vec::new();
    for _ in 0..40 {
        strangers.push(Node::start(limits).await);
    }
    let dials: Vec<_> = strangers
        .iter()
        .map(|stranger| async {
            let peer = holder.peer();
            stranger.handle.dial(peer, holder.handle.listen_addresses(), PATIENCE).await.is_err()
                || stranger.handle.wait_admitted(peer, PATIENCE * 2).await.is_err()
        })
        .collect();
    let mut denied: FuturesUnordered<_> = dials.into_iter().collect();
    for _ in 0..8 {
        assert_eq!(timeout(PATIENCE, denied.next()).await.unwrap(), Some(true));
    }
    drop(denied);
    let unauthenticated = holder.handle.peers().iter().filter(|status| !status.admitted).count();
    assert_eq!(unauthenticated, PRE_AUTH_CONNECTIONS);

    let mut question = member.open(&holder, Protocol::Query).await;
    question.write_frame(b"question").await.unwrap();
    soon(async {
        loop {
            if let Inbound::Exchange { peer, .. } = holder.next().await {
                assert_eq!(peer, member.peer());
                break;
            }
        }
    })
    .await;
    assert!(member.inbound.try_recv().is_err(), "the member was left alone");
}

#[tokio::test]
async fn a_second_auth_stream_closes_the_connection() {
    let (mut dialer, mut listener) = join(Node::start(Limits::default()), Node::start(Limits::default())).await;
    let ((connection, _auth), _other) = connect(&mut dialer, &mut listener).await;
    dialer.handle.admit(listener.peer(), connection).unwrap();
    let mut second = FramedStream::new(dialer.handle.open_unchecked(listener.peer(), Protocol::Auth).await);
    second.write_frame(b"again").await.unwrap();
    dialer.expect_disconnected(listener.peer()).await;
}

#[tokio::test]
async fn a_stranger_cannot_hold_many_streams_in_negotiation() {
    let (mut dialer, mut listener) = join(Node::start(Limits::default()), Node::start(Limits::default())).await;
    let ((connection, _auth), _other) = connect(&mut dialer, &mut listener).await;
    dialer.handle.admit(listener.peer(), connection).unwrap();
    let mut stalled = Vec::new();
    for _ in 0..=MAX_UNAUTHENTICATED_NEGOTIATIONS {
        let mut stream = dialer.open(&listener, Protocol::Query).await.into_inner();
        // The length of a multistream message that never comes.
        futures::AsyncWriteExt::write_all(&mut stream, &[64]).await.unwrap();
        futures::AsyncWriteExt::flush(&mut stream).await.unwrap();
        stalled.push(stream);
    }
    soon(dialer.expect_disconnected(listener.peer())).await;
}

#[tokio::test]
async fn callers_for_one_peer_share_a_dial() {
    let (mut dialer, listener) = join(Node::start(Limits::default()), Node::start(Limits::default())).await;
    let dial = || dialer.handle.dial(listener.peer(), listener.handle.listen_addresses(), PATIENCE);
    let (one, other) = join(dial(), dial()).await;
    assert_eq!(one.unwrap(), other.unwrap());
    assert_eq!(dial().await.unwrap(), dialer.next_auth(Role::Dialer).await.0);
}

#[tokio::test]
async fn failed_dials_say_what_failed() {
    let (dialer, listener) = join(Node::start(Limits::default()), Node::start(Limits::default())).await;
    let addresses = listener.handle.listen_addresses();
    let nobody = PeerId::random();
    assert!(matches!(dialer.handle.dial(nobody, vec![], PATIENCE).await, Err(ConnectError::NoAddress)));
    let wrong = dialer.handle.dial(nobody, addresses.clone(), PATIENCE).await;
    assert!(matches!(wrong, Err(ConnectError::WrongPeer { obtained }) if obtained == listener.peer()), "{wrong:?}");
    listener.handle.shutdown().await;
    let gone = dialer.handle.dial(listener.peer(), addresses, PATIENCE).await;
    assert!(matches!(gone, Err(ConnectError::Unreachable(_))), "{gone:?}");
}

#[tokio::test]
async fn the_longest_unused_connection_makes_room_for_a_newcomer() {
    let mut holder = Node::start(Limits { established: 2, ..Limits::default() }).await;
    let mut members = Vec::new();
    for _ in 0..2 {
        let mut member = Node::start(Limits::default()).await;
        admit(&mut member, &mut holder).await;
        members.push(member);
    }
    // The first is in use, so the second has to go.
    let mut question = members[0].open(&holder, Protocol::Query).await;
    question.write_frame(b"question").await.unwrap();
    let (_, _in_use) = holder.next_exchange().await;
    let newcomer = Node::start(Limits::default()).await;
    newcomer.handle.dial(holder.peer(), holder.handle.listen_addresses(), PATIENCE).await.unwrap();
    members[1].expect_disconnected(holder.peer()).await;
    assert!(holder.handle.is_admitted(members[0].peer()));
}

#[tokio::test]
async fn shutdown_joins_and_frees_the_port() {
    let (mut asker, holder) = admitted_pair(Limits::default()).await;
    let mut question = asker.open(&holder, Protocol::Query).await;
    let address = holder.handle.listen_addresses();
    soon(holder.handle.shutdown()).await;
    soon(holder.task).await.unwrap();
    assert!(holder.handle.peers().is_empty());
    assert!(matches!(question.read_frame(MAX).await, Err(_) | Ok(None)));
    asker.expect_disconnected(holder.handle.local_peer()).await;
    let late = holder.handle.dial(asker.peer(), asker.handle.listen_addresses(), PATIENCE).await;
    assert!(matches!(late, Err(ConnectError::ShutDown)), "{late:?}");

    let again = EndpointConfig { listen: address.clone(), ..config(Limits::default()) };
    let (handle, task) = Endpoint::start(again, mpsc::channel(1).0).await.unwrap();
    assert_eq!(handle.listen_addresses(), address);
    drop(handle);
    soon(task).await.unwrap();
}

#[tokio::test]
async fn an_oversize_frame_is_named_before_it_is_read() {
    let (asker, mut holder) = admitted_pair(Limits::default()).await;
    let mut question = asker.open(&holder, Protocol::Query).await;
    question.write_frame(&[0_u8; 1025]).await.unwrap();
    let (_, mut stream) = holder.next_exchange().await;
    let refused = stream.read_frame(1024).await;
    assert!(matches!(refused, Err(FrameError::Oversize { stated: 1025, limit: 1024 })), "{refused:?}");
    let unsent = question.write_frame(&vec![0; MAX + 1]).await;
    assert!(matches!(unsent, Err(FrameError::Oversize { .. })), "{unsent:?}");
}

#[tokio::test]
async fn frames_of_every_size_come_back_whole() {
    let payloads: Vec<Vec<u8>> = [0, 1, 2, 16_379, 16_380, 16_381, 16_384, 65_535, 65_536, 65_537, 200_000, MAX]
        .iter()
        .map(|size| vec![*size as u8; *size])
        .collect();
    let mut framed = FramedStream::new(futures::io::Cursor::new(Vec::new()));
    let borrowed: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
    framed.write_frames(&borrowed).await.unwrap();
    let bytes = framed.into_inner().into_inner();
    let mut framed = FramedStream::new(futures::io::Cursor::new(bytes.clone()));
    for payload in &payloads {
        assert!(framed.read_frame(MAX).await.unwrap().as_ref() == Some(payload));
    }
    assert!(framed.read_frame(MAX).await.unwrap().is_none());

    for cut in [1, 3, 5, bytes.len() - 1] {
        let mut framed = FramedStream::new(futures::io::Cursor::new(bytes[..cut].to_vec()));
        let ended = loop {
            match framed.read_frame(MAX).await {
                Ok(Some(_)) => {}
                other => break other,
            }
        };
        assert!(matches!(ended, Err(FrameError::Truncated)), "{cut}: {ended:?}");
    }
}
