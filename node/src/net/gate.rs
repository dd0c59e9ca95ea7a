//! Who is this peer? The `auth` exchange on a new connection, and the sessions it opens.
//!
//! The dialler says hello, the listener says hello, the dialler gives its verdict, the listener gives its own. Each end
//! decides for itself; a connection is admitted where both verdicts are welcome.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use careweave_certs::trust::PeerIdentity;
use careweave_protocol::cbor;
use careweave_protocol::desk::{GovernanceDocument, PeerEvidence};
use careweave_protocol::frame::{self, Assembly};
use careweave_protocol::id::{Digest, NodeKey};
use careweave_protocol::identity::{
    EndpointRole, EnrolHello, EnrolReply, Hello, HelloReply, StaffCredential, StaffHello,
};
use careweave_protocol::limits::{CLOCK_SKEW, FRAME_MAX, MANIFEST_MAX, REPLY_MAX, REQUEST_MAX};
use careweave_protocol::query::Cause;
use careweave_protocol::signed::Verified;
use careweave_protocol::time::Timestamp;
use careweave_protocol::version::PROTOCOL_VERSION;
use libp2p::PeerId;
use thiserror::Error;

use super::directory::node_key;
use super::peers::EndpointKey;
use super::{ConnectionId, ExchangeStream, FrameError, FramedStream, Handle, Role};
use crate::enrolment;
use crate::services::{Refusal, Services};

/// Whoever passed the gate on an open connection.
#[derive(Debug, Clone)]
pub enum Session {
    /// Another organisation's node.
    Node(Arc<NodeSession>),
    /// One of the organisation's own people.
    Staff(Arc<StaffSession>),
}

/// Another organisation's node.
#[derive(Debug)]
pub struct NodeSession {
    /// Its organisation, keys and clock, as it showed them.
    pub identity: PeerIdentity,
    /// The key of our endpoint that it is connected with: what we say to it is signed with that.
    pub local: Arc<EndpointKey>,
    /// What an answer of this peer is kept with: CBOR of [`PeerEvidence`], and its digest.
    pub evidence: Arc<(Digest, Vec<u8>)>,
}

/// Longest endorsement that is kept with receipts: one is under 600 bytes, and one that was not believed can be anything.
const ENDORSEMENT_KEPT: usize = 2 * 1024;

impl NodeSession {
    /// The session of a peer that passed.
    ///
    /// # Errors
    /// When the evidence cannot be encoded, which no identity causes.
    pub fn new(identity: PeerIdentity, local: Arc<EndpointKey>) -> Result<Self, Cause> {
        let evidence = PeerEvidence {
            // The leaf alone: what is above it comes from the manifest, and a peer could show us anything there.
            chain: identity.chain().iter().take(1).cloned().collect(),
            endorsement: identity.shown_endorsement().filter(|e| e.as_bytes().len() <= ENDORSEMENT_KEPT).cloned(),
            binding: identity.binding().signed().clone(),
        };
        let bytes = cbor::to_vec(&evidence).map_err(|_| Cause::Malformed)?;
        Ok(Self { identity, local, evidence: Arc::new((Digest::of(&[&bytes]), bytes)) })
    }
}

/// One of the organisation's own people.
#[derive(Debug)]
pub struct StaffSession {
    /// Their credential.
    pub credential: Verified<StaffCredential>,
}

/// Every session of one endpoint, by PeerId.
#[derive(Debug, Default)]
pub struct Sessions {
    open: RwLock<HashMap<PeerId, Session>>,
}

/// Why an `auth` exchange ended without a session.
#[derive(Debug, Error)]
pub enum GateError {
    /// We did not believe the other end.
    #[error("refused the peer: {0}")]
    Refused(Cause),
    /// The other end did not believe us.
    #[error("the peer refused us: {0}")]
    RefusedByPeer(Cause),
    /// The stream failed or ended.
    #[error(transparent)]
    Stream(#[from] FrameError),
    /// The other end did not follow the protocol.
    #[error("the peer does not follow the auth protocol")]
    Protocol,
    /// It asked for a certificate, had its answer, and is not admitted.
    #[error("a request for a certificate was answered")]
    Enrolled,
    /// The connection was gone before it could be admitted.
    #[error("the connection ended during auth")]
    Gone,
}

impl Sessions {
    /// The session of a peer.
    #[must_use]
    pub fn get(&self, peer: &PeerId) -> Option<Session> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).get(peer).cloned()
    }

    /// Every session.
    #[must_use]
    pub fn all(&self) -> Vec<(PeerId, Session)> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).iter().map(|(p, s)| (*p, s.clone())).collect()
    }

    /// Forgets a peer.
    pub fn remove(&self, peer: &PeerId) {
        self.open.write().unwrap_or_else(PoisonError::into_inner).remove(peer);
    }

    /// Puts a session in another's place, while its connection stays.
    pub fn insert(&self, peer: PeerId, session: Session) {
        self.open.write().unwrap_or_else(PoisonError::into_inner).insert(peer, session);
    }
}

/// What the gate of one endpoint needs to know of its own side.
pub struct Gate {
    /// The endpoint.
    pub handle: Handle,
    /// Which of the node's two endpoints it is.
    pub role: EndpointRole,
    /// Its sessions.
    pub sessions: Sessions,
    /// Its key.
    pub key: Arc<EndpointKey>,
}

impl Gate {
    /// Runs the `auth` exchange of a new connection to its end: a session, or a cut connection.
    ///
    /// # Errors
    /// The cause, for the log and for `node peers`.
    pub async fn authenticate(
        &self,
        services: &Arc<Services>,
        peer: PeerId,
        connection: ConnectionId,
        role: Role,
        stream: ExchangeStream,
    ) -> Result<Session, GateError> {
        let outcome = self.exchange(services, peer, connection, role, FramedStream::new(stream)).await;
        // Before the cut, which is what whoever waits for this connection sees first.
        match &outcome {
            Ok(_) => services.note_refusal(peer, None),
            Err(GateError::Refused(cause)) => services.note_refusal(peer, Some(Refusal::Ours(cause.clone()))),
            Err(GateError::RefusedByPeer(cause)) => services.note_refusal(peer, Some(Refusal::Theirs(cause.clone()))),
            Err(_) => {}
        }
        if outcome.is_err() {
            self.handle.disconnect(peer).await;
            self.sessions.remove(&peer);
        }
        outcome
    }

    async fn exchange(
        &self,
        services: &Arc<Services>,
        peer: PeerId,
        connection: ConnectionId,
        role: Role,
        mut stream: FramedStream<ExchangeStream>,
    ) -> Result<Session, GateError> {
        let own = services.hello(self.key.node).ok_or(GateError::Gone)?;
        match role {
            Role::Dialer => {
                stream.write_frame(&encode(&Hello::Node(Box::new(own)))?).await?;
                let hello: Hello = read(&mut stream).await?;
                let session = self.judge(services, peer, &hello);
                stream.write_frame(&encode(&verdict(&session))?).await?;
                let theirs: Result<HelloReply, GateError> = read(&mut stream).await;
                let refused = match (session, theirs) {
                    (Ok(session), Ok(HelloReply::Welcome)) => return self.open(services, peer, connection, session),
                    (Ok(_), Ok(HelloReply::Refused(cause))) => GateError::RefusedByPeer(cause),
                    (Ok(_), Err(error)) => error,
                    (Err(cause), _) => GateError::Refused(cause),
                };
                self.catch_up(services, &hello, &mut stream).await;
                Err(refused)
            }
            Role::Listener => {
                let hello = read(&mut stream).await?;
                if let (EndpointRole::Peer, Hello::Enrol(newcomer)) = (self.role, &hello) {
                    return self.enrol(services, newcomer, stream).await;
                }
                let session = self.judge(services, peer, &hello);
                stream.write_frame(&encode(&Hello::Node(Box::new(own)))?).await?;
                let theirs: HelloReply = read(&mut stream).await?;
                let opened = match (session, theirs) {
                    // Open before saying so: the dialler may use the connection at once.
                    (Ok(session), HelloReply::Welcome) => self.open(services, peer, connection, session),
                    (Ok(_), HelloReply::Refused(cause)) => Err(GateError::RefusedByPeer(cause)),
                    (Err(cause), _) => Err(GateError::Refused(cause)),
                };
                let reply = match &opened {
                    Err(GateError::Refused(cause)) => HelloReply::Refused(cause.clone()),
                    _ => HelloReply::Welcome,
                };
                stream.write_frame(&encode(&reply)?).await?;
                // Let the verdict arrive before the connection is cut.
                if opened.is_err() {
                    for manifest in self.lacking(services, peer, &hello) {
                        for frame in frame::split(&encode(&manifest)?) {
                            stream.write_frame(&frame).await?;
                        }
                    }
                    stream.close().await?;
                    drop(stream.read_frame(REQUEST_MAX).await);
                }
                opened
            }
        }
    }

    /// The manifests that a member lacks who was away: without them it would refuse everybody whose certificate stands under an authority
    /// of since, and so never hear of it. None for anybody else.
    fn lacking(&self, services: &Services, peer: PeerId, hello: &Hello) -> Vec<GovernanceDocument> {
        let (EndpointRole::Peer, Hello::Node(hello), Some(node)) = (self.role, hello, node_key(&peer)) else {
            return Vec::new();
        };
        let behind = services.trust().is_member_behind(hello, node, services.clock.now());
        let documents = if behind { services.documents_after(hello.manifest_version) } else { Vec::new() };
        documents.into_iter().filter(|document| matches!(document, GovernanceDocument::Manifest(_))).collect()
    }

    /// Takes in the manifests that a node hands us which is further than we are, whether or not we believe that it is who it says: each
    /// manifest proves itself. What does not, ends it.
    async fn catch_up(&self, services: &Arc<Services>, hello: &Hello, stream: &mut FramedStream<ExchangeStream>) {
        if !matches!(hello, Hello::Node(hello) if hello.manifest_version > services.trust().version()) {
            return;
        }
        let mut assembly = Assembly::default();
        let mut length = 0usize;
        loop {
            let Ok(Some(frame)) = stream.read_frame(FRAME_MAX).await else { return };
            length = length.saturating_add(frame.len());
            match assembly.push(&frame) {
                Ok(None) if length <= MANIFEST_MAX => {}
                Ok(Some(manifest)) => {
                    length = 0;
                    let document = cbor::from_slice(&manifest, REPLY_MAX);
                    let Ok(document @ GovernanceDocument::Manifest(_)) = document else { return };
                    match services.take_in(&document).await {
                        Ok(true) => tracing::info!(version = services.trust().version(), "caught up with the network"),
                        // Whoever repeats what is known has nothing more to hand over.
                        Ok(false) => return,
                        Err(error) => {
                            tracing::warn!(%error, "a manifest of a node that is further was not taken in");
                            return;
                        }
                    }
                }
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Answers somebody who asks for a first certificate; the connection ends with that, whatever the answer.
    async fn enrol(
        &self,
        services: &Arc<Services>,
        newcomer: &EnrolHello,
        mut stream: FramedStream<ExchangeStream>,
    ) -> Result<Session, GateError> {
        let reply = match services.enrolment {
            Some(_) => enrolment::newcomer(services, newcomer).await,
            None => EnrolReply::Refused(Cause::NoEnrolmentService),
        };
        for frame in frame::split(&encode(&reply)?) {
            stream.write_frame(&frame).await?;
        }
        stream.close().await?;
        // Let it arrive before the connection is cut.
        drop(stream.read_frame(REQUEST_MAX).await);
        Err(GateError::Enrolled)
    }

    fn open(
        &self,
        services: &Services,
        peer: PeerId,
        connection: ConnectionId,
        session: Session,
    ) -> Result<Session, GateError> {
        self.sessions.insert(peer, session.clone());
        // Trust may have changed since the hello was judged. From here on a sweep sees the session; before, only this does.
        let now = services.clock.now();
        let current = match &session {
            Session::Node(node) => services.trust().recheck(&node.identity, now),
            Session::Staff(staff) => services.check_own_staff(staff.credential.signed(), now).map(drop),
        };
        current.map_err(GateError::Refused)?;
        self.handle.admit(peer, connection).map_err(|_| GateError::Gone)?;
        Ok(session)
    }

    fn judge(&self, services: &Services, peer: PeerId, hello: &Hello) -> Result<Session, Cause> {
        let key = node_key(&peer).ok_or(Cause::BindingInvalid)?;
        let now = services.clock.now();
        match (self.role, hello) {
            // Only a desk serves people, and it serves nobody else.
            (EndpointRole::Desk, Hello::Staff(hello)) => judge_staff(services, key, hello, now),
            (EndpointRole::Peer, Hello::Node(hello)) => {
                let identity = services.trust().check_node(hello, key, EndpointRole::Peer, now)?;
                Ok(Session::Node(Arc::new(NodeSession::new(identity, Arc::clone(&self.key))?)))
            }
            _ => Err(Cause::Malformed),
        }
    }
}

fn judge_staff(services: &Services, key: NodeKey, hello: &StaffHello, now: Timestamp) -> Result<Session, Cause> {
    if hello.network != services.config.network {
        return Err(Cause::OtherNetwork);
    }
    if hello.protocol < PROTOCOL_VERSION {
        return Err(Cause::Incompatible);
    }
    let skew = hello.clock.0.saturating_sub(now.0);
    if skew.unsigned_abs() > u64::try_from(CLOCK_SKEW.as_millis()).unwrap_or(u64::MAX) {
        return Err(Cause::ClockSkew(skew / 1000));
    }
    let credential = services.check_own_staff(&hello.credential, now)?;
    if credential.get().key != key {
        return Err(Cause::CredentialInvalid);
    }
    Ok(Session::Staff(Arc::new(StaffSession { credential })))
}

fn verdict(session: &Result<Session, Cause>) -> HelloReply {
    match session {
        Ok(_) => HelloReply::Welcome,
        Err(cause) => HelloReply::Refused(cause.clone()),
    }
}

fn encode<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, GateError> {
    cbor::to_vec(value).map_err(|_| GateError::Protocol)
}

async fn read<T: serde::Serialize + serde::de::DeserializeOwned>(
    stream: &mut FramedStream<ExchangeStream>,
) -> Result<T, GateError> {
    let frame = stream.read_frame(REQUEST_MAX).await?.ok_or(GateError::Protocol)?;
    cbor::from_slice(&frame, REQUEST_MAX).map_err(|_| GateError::Protocol)
}
