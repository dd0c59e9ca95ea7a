//! A peer of our own making, for what no program of ours would do: it speaks libp2p and `auth` like a node or a person, and
//! sends whatever a test or a benchmark hands it.
//!
//! What it is *not*: a node. It keeps nothing, checks nothing it receives, and believes whoever answers.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use careweave_certs::keystore::{Algorithm, Passphrase, SoftwareKey};
use careweave_certs::{binding, layout};
use careweave_node::ask::receive::Expected;
use careweave_node::clock::Clock;
use careweave_node::config::Config;
use careweave_node::net::{
    Endpoint, EndpointConfig, ExchangeStream, FramedStream, Handle, Inbound, Limits, Protocol, directory,
};
use careweave_node::own::OwnIdentity;
use careweave_protocol::cbor;
use careweave_protocol::desk::{DeskReply, DeskRequest, ViewRequest};
use careweave_protocol::frame::Assembly;
use careweave_protocol::id::{NetworkId, NodeKey, Nonce, OdsCode, QueryId};
use careweave_protocol::identity::{EndpointRole, Hello, HelloReply, StaffCredential, StaffHello};
use careweave_protocol::key::Signer;
use careweave_protocol::limits::{ANSWER_BUDGET, BINDING_LIFE, CREDIT_WINDOW, FRAME_MAX, QUERY_LIFE, REQUEST_MAX};
use careweave_protocol::query::{Cause, Envelope, Evidence, Patient, Period, Purpose, Query, Relationship};
use careweave_protocol::signed::{Scope, Signed, Verified};
use careweave_protocol::time::Timestamp;
use careweave_protocol::version::PROTOCOL_VERSION;
use libp2p::{Multiaddr, PeerId, identity};
use ring::rand::SecureRandom;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// Longest wait for anything on a connection.
const PATIENCE: Duration = Duration::from_secs(20);
/// Events of one connection.
const EVENTS: usize = 64;

/// What went wrong on the way.
#[derive(Debug, Error)]
pub enum PeerError {
    /// The other side refused, and said why.
    #[error("refused: {0}")]
    Refused(Cause),
    /// Nothing came in time, or the connection ended.
    #[error("nothing came: {0}")]
    Nothing(&'static str),
    /// A file, key or message.
    #[error("{0}")]
    Other(String),
}

impl PeerError {
    fn other(error: impl std::fmt::Display) -> Self {
        Self::Other(error.to_string())
    }
}

/// Somebody's key and what they show of themselves.
pub struct Credentials {
    /// Proves the PeerId.
    pub keypair: identity::Keypair,
    /// Shown on `auth`.
    pub hello: Hello,
}

/// A connection that has passed `auth`.
pub struct Peer {
    handle: Handle,
    /// Who is at the other end.
    pub to: PeerId,
    events: mpsc::Receiver<Inbound>,
}

/// A member's node, from its node directory; the node itself must not be running.
pub struct Member {
    /// Its configuration.
    pub config: Config,
    /// Its keys and statements.
    pub own: OwnIdentity,
    /// What it believes.
    pub trust: careweave_certs::trust::Trust,
}

/// A member of staff, from their profile.
pub struct Person {
    /// Signs questions.
    pub key: Arc<SoftwareKey>,
    /// Their credential.
    pub credential: Signed<StaffCredential>,
}

impl Member {
    /// Reads a node directory.
    ///
    /// # Errors
    /// When a file is missing or others would refuse the node.
    pub fn load(dir: &Path) -> Result<Self, PeerError> {
        let config = Config::read(&dir.join(layout::NODE_CONFIG)).map_err(PeerError::other)?;
        let now = Clock.now();
        let loaded = OwnIdentity::load(&config).map_err(PeerError::other)?;
        let trust = loaded.load_trust(now).map_err(PeerError::other)?;
        let own = loaded.identify(&config, &trust, now).map_err(PeerError::other)?;
        Ok(Self { config, own, trust })
    }

    /// What the node would show.
    ///
    /// # Errors
    /// When its key is not one.
    pub fn credentials(&self) -> Result<Credentials, PeerError> {
        let hello = self
            .own
            .hello(self.own.node_key(), &self.config.network, self.trust.version(), Clock.now())
            .ok_or_else(|| PeerError::other("the endpoint is not bound"))?;
        let keypair = self.own.peer_keypair().map_err(PeerError::other)?;
        Ok(Credentials { keypair, hello: Hello::Node(Box::new(hello)) })
    }

    /// What an endpoint with a key made just now would show that has everything else of this member: so nothing it does touches the
    /// member's own connections.
    ///
    /// # Errors
    /// When a key cannot be made or cannot sign.
    pub fn another_endpoint(&self) -> Result<Credentials, PeerError> {
        let key =
            SoftwareKey::generate(Algorithm::Ed25519, &ring::rand::SystemRandom::new()).map_err(PeerError::other)?;
        let node = key.public_key().node_key().ok_or_else(|| PeerError::other("not an Ed25519 key"))?;
        let (network, ods) = (&self.config.network, &self.config.ods);
        let (endpoint, life) = ((node, EndpointRole::Peer), (Clock.now(), BINDING_LIFE));
        let binding = binding::issue(network, ods, endpoint, None, self.own.organisation(), life);
        let Credentials { hello: Hello::Node(mut hello), .. } = self.credentials()? else {
            return Err(PeerError::other("not a node's hello"));
        };
        hello.binding = binding.map_err(PeerError::other)?.into_signed();
        Ok(Credentials { keypair: keypair(&key)?, hello: Hello::Node(hello) })
    }
}

/// The libp2p identity of an Ed25519 key.
///
/// # Errors
/// When it is of another algorithm.
pub fn keypair(key: &SoftwareKey) -> Result<identity::Keypair, PeerError> {
    let mut seed = key.ed25519_seed().ok_or_else(|| PeerError::other("not an Ed25519 key"))?;
    identity::Keypair::ed25519_from_bytes(seed.as_mut_slice()).map_err(PeerError::other)
}

impl Person {
    /// Reads a staff profile.
    ///
    /// # Errors
    /// When a file is missing or the passphrase is not the key's.
    pub fn load(profile: &Path, passphrase: &Path) -> Result<Self, PeerError> {
        let words = std::fs::read_to_string(passphrase).map_err(PeerError::other)?;
        let passphrase = Passphrase::new(words.trim_end().to_owned().into());
        let key =
            SoftwareKey::read_protected(&profile.join(layout::STAFF_KEY), &passphrase).map_err(PeerError::other)?;
        let credential = std::fs::read(profile.join(layout::STAFF_CREDENTIAL)).map_err(PeerError::other)?;
        let credential = Signed::from_bytes(credential).map_err(PeerError::other)?;
        Ok(Self { key: Arc::new(key), credential })
    }

    /// What the person would show at their desk.
    ///
    /// # Errors
    /// When their key is not one.
    pub fn credentials(&self, network: &NetworkId) -> Result<Credentials, PeerError> {
        let keypair = keypair(&self.key)?;
        let hello = StaffHello {
            network: network.clone(),
            protocol: PROTOCOL_VERSION,
            clock: Clock.now(),
            credential: self.credential.clone(),
        };
        Ok(Credentials { keypair, hello: Hello::Staff(Box::new(hello)) })
    }

    /// The same person with what the own node holds ready for them: the credential that the employer has renewed. `None` where there is
    /// nothing newer.
    ///
    /// # Errors
    /// When the desk does not answer.
    pub async fn renewed(&self, desk: &Peer) -> Result<Option<Self>, PeerError> {
        let replies = desk.desk(&DeskRequest::Trust { version: u64::MAX }).await?;
        match replies.into_iter().next_back() {
            Some((_, DeskReply::Trust { credential, .. })) => {
                Ok(credential.map(|credential| Self { key: Arc::clone(&self.key), credential }))
            }
            other => Err(PeerError::Other(format!("no trust from the desk: {other:?}"))),
        }
    }

    /// The person's signed question about everything, for direct care, as their desk takes it.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn view(&self, network: &NetworkId, patient: &Patient, wait: Duration) -> Result<ViewRequest, PeerError> {
        let now = Clock.now();
        let query = Query {
            network: network.clone(),
            query_id: QueryId(random()?),
            asker: self.credential.unverified().map_err(PeerError::other)?.ods,
            credential: self.credential.digest(),
            patient: patient.clone(),
            categories: Vec::new(),
            period: Period::default(),
            purpose: Purpose::Treat,
            reason: None,
            reason_text: None,
            case_number: None,
            grant: None,
            asked_at: now,
            expires_at: now.after(QUERY_LIFE),
        };
        let signed = Signed::sign(&query, Scope::network(network), self.key.as_ref()).map_err(PeerError::other)?;
        let deadline_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
        let query = signed.into_signed();
        Ok(ViewRequest { query, reason_text: None, deadline_ms, resources: false, mark_new: false })
    }

    /// Their public key.
    #[must_use]
    pub fn public_key(&self) -> careweave_protocol::key::PublicKey {
        self.key.public_key()
    }
}

impl Peer {
    /// Connects, passes `auth`, and keeps the connection.
    ///
    /// # Errors
    /// [`PeerError::Refused`] when the other side says why it does not want us.
    pub async fn connect(who: Credentials, to: &Multiaddr) -> Result<Self, PeerError> {
        Self::connect_offering(who, to, Vec::new()).await
    }

    /// As [`Peer::connect`], and lets the other side open streams of these protocols: they come from [`Peer::next`].
    ///
    /// # Errors
    /// As [`Peer::connect`].
    pub async fn connect_offering(who: Credentials, to: &Multiaddr, offers: Vec<Protocol>) -> Result<Self, PeerError> {
        let (peer, mut stream, connection) = Self::dial(&who, to, offers).await?;
        stream.write_frame(&cbor::to_vec(&who.hello).map_err(PeerError::other)?).await.map_err(PeerError::other)?;
        drop(read(&mut stream).await?);
        let welcome = cbor::to_vec(&HelloReply::Welcome).map_err(PeerError::other)?;
        stream.write_frame(&welcome).await.map_err(PeerError::other)?;
        match cbor::from_slice(&read(&mut stream).await?, REQUEST_MAX).map_err(PeerError::other)? {
            HelloReply::Welcome => {}
            HelloReply::Refused(cause) => return Err(PeerError::Refused(cause)),
        }
        peer.handle.admit(peer.to, connection).map_err(PeerError::other)?;
        Ok(peer)
    }

    /// Connects and stops before `auth`: the stream on which it would be spoken.
    ///
    /// # Errors
    /// When nobody is there.
    pub async fn unproven(
        who: &Credentials,
        to: &Multiaddr,
    ) -> Result<(Self, FramedStream<ExchangeStream>, careweave_node::net::ConnectionId), PeerError> {
        Self::dial(who, to, Vec::new()).await
    }

    async fn dial(
        who: &Credentials,
        to: &Multiaddr,
        offers: Vec<Protocol>,
    ) -> Result<(Self, FramedStream<ExchangeStream>, careweave_node::net::ConnectionId), PeerError> {
        let target = directory::peer_of(to).ok_or_else(|| PeerError::other("address without a PeerId"))?;
        let (sender, mut events) = mpsc::channel(EVENTS);
        let config = EndpointConfig {
            keypair: who.keypair.clone(),
            listen: Vec::new(),
            offers,
            limits: Limits::default(),
            busy_frame: Arc::from([0u8].as_slice()),
            clock: Arc::new(|| std::time::SystemTime::UNIX_EPOCH),
        };
        let (handle, _) = Endpoint::start(config, sender).await.map_err(PeerError::other)?;
        handle.dial(target, vec![to.clone()], PATIENCE).await.map_err(PeerError::other)?;
        let event = timeout(PATIENCE, events.recv()).await.map_err(|_| PeerError::Nothing("auth stream"))?;
        let Some(Inbound::Auth { stream, connection, .. }) = event else {
            return Err(PeerError::Nothing("auth stream"));
        };
        Ok((Self { handle, to: target, events }, FramedStream::new(stream), connection))
    }

    /// What the other side does next; `None` when the endpoint has ended.
    pub async fn next(&mut self) -> Option<Inbound> {
        self.events.recv().await
    }

    /// Returns when the connection has ended, whoever ended it; never before.
    pub async fn ended(&mut self) {
        while let Some(event) = self.next().await {
            if matches!(event, Inbound::Disconnected { .. }) {
                return;
            }
        }
    }

    /// Opens a stream of a protocol.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn open(&self, protocol: Protocol) -> Result<FramedStream<ExchangeStream>, PeerError> {
        Ok(FramedStream::new(self.handle.open(self.to, protocol, PATIENCE).await.map_err(PeerError::other)?))
    }

    /// Sends one request and takes every frame of the reply, as received.
    ///
    /// # Errors
    /// When the stream fails before it ends in order.
    pub async fn exchange(&self, protocol: Protocol, request: &[u8]) -> Result<Vec<Vec<u8>>, PeerError> {
        let mut stream = self.open(protocol).await?;
        stream.write_frame(request).await.map_err(PeerError::other)?;
        let mut frames = Vec::new();
        loop {
            let frame = timeout(PATIENCE, stream.read_frame(FRAME_MAX)).await;
            match frame.map_err(|_| PeerError::Nothing("frame"))?.map_err(PeerError::other)? {
                Some(frame) => frames.push(frame),
                None => return Ok(frames),
            }
        }
    }

    /// Asks at a desk and takes every reply, each with the time from asking to its last byte.
    ///
    /// # Errors
    /// When the stream fails, or what comes is no reply.
    pub async fn desk(&self, request: &DeskRequest) -> Result<Vec<(Duration, DeskReply)>, PeerError> {
        let request = cbor::to_vec(request).map_err(PeerError::other)?;
        let begun = Instant::now();
        let mut stream = self.open(Protocol::Desk).await?;
        stream.write_frame(&request).await.map_err(PeerError::other)?;
        let mut assembly = Assembly::default();
        let mut replies = Vec::new();
        loop {
            let frame = timeout(PATIENCE, stream.read_frame(FRAME_MAX)).await;
            let frame = frame.map_err(|_| PeerError::Nothing("frame"))?.map_err(PeerError::other)?;
            let Some(frame) = frame else { return Ok(replies) };
            if let Some(reply) = assembly.push(&frame).map_err(PeerError::other)? {
                let took = begun.elapsed();
                replies.push((took, cbor::from_own(&reply).map_err(PeerError::other)?));
            }
        }
    }

    /// Cuts the connection.
    pub async fn close(self) {
        self.handle.shutdown().await;
    }
}

async fn read(stream: &mut FramedStream<ExchangeStream>) -> Result<Vec<u8>, PeerError> {
    let frame = timeout(PATIENCE, stream.read_frame(REQUEST_MAX)).await.map_err(|_| PeerError::Nothing("frame"))?;
    frame.map_err(PeerError::other)?.ok_or(PeerError::Nothing("frame"))
}

/// A question as a member's node would send it to one holder.
pub struct Question<'a> {
    /// Whose node asks.
    pub member: &'a Member,
    /// Who asks there.
    pub person: &'a Person,
    /// About whom.
    pub patient: Patient,
    /// Why.
    pub purpose: Purpose,
    /// On what grounds.
    pub grounds: Vec<Relationship>,
    /// Whom.
    pub holder: OdsCode,
    /// Their endpoint.
    pub holder_node: NodeKey,
}

impl Question<'_> {
    /// Signs the question as the person.
    ///
    /// # Errors
    /// When a key cannot sign.
    pub fn query(&self) -> Result<Verified<Query>, PeerError> {
        let now = Clock.now();
        let query = Query {
            network: self.member.config.network.clone(),
            query_id: QueryId(random()?),
            asker: self.member.config.ods.clone(),
            credential: self.person.credential.digest(),
            patient: self.patient.clone(),
            categories: Vec::new(),
            period: Period::default(),
            purpose: self.purpose,
            reason: None,
            reason_text: None,
            case_number: None,
            grant: None,
            asked_at: now,
            expires_at: now.after(QUERY_LIFE),
        };
        let scope = Scope::network(&self.member.config.network);
        Signed::sign(&query, scope, self.person.key.as_ref()).map_err(PeerError::other)
    }

    /// Puts a question into an envelope for the holder, as the node.
    ///
    /// # Errors
    /// When a key cannot sign.
    pub fn envelope(&self, query: &Verified<Query>) -> Result<Verified<Envelope>, PeerError> {
        let now = Clock.now();
        let basis = "test".to_owned();
        let evidence = |kind| Evidence { kind, since: Timestamp(0), until: None, basis: basis.clone() };
        let envelope = Envelope {
            query: query.signed().clone(),
            credential: self.person.credential.clone(),
            asker: self.member.config.ods.clone(),
            asker_node: self.member.own.node_key(),
            audience: self.holder.clone(),
            audience_node: self.holder_node,
            nonce: Nonce(random()?),
            evidence: self.grounds.iter().copied().map(evidence).collect(),
            manifest_version: self.member.trust.version(),
            sent_at: now,
            budget: ANSWER_BUDGET,
            window: CREDIT_WINDOW,
        };
        let scope = Scope::to(&self.member.config.network, &self.holder);
        Signed::sign(&envelope, scope, self.member.own.node_signer()).map_err(PeerError::other)
    }

    /// What an answer to the envelope must be.
    #[must_use]
    pub fn expected(&self, envelope: &Verified<Envelope>) -> Expected {
        Expected {
            network: self.member.config.network.clone(),
            asker: self.member.config.ods.clone(),
            holder: self.holder.clone(),
            node: self.holder_node,
            envelope: envelope.signed().digest(),
        }
    }
}

fn random<const N: usize>() -> Result<[u8; N], PeerError> {
    let mut bytes = [0; N];
    ring::rand::SystemRandom::new().fill(&mut bytes).map_err(|_| PeerError::other("no randomness"))?;
    Ok(bytes)
}
