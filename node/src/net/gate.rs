//! Who is this peer? The `auth` exchange on a new connection, and the sessions it opens.
//!
//! The dialler says hello, the listener says hello, the dialler gives its verdict, the listener gives its own. Each end
//! decides for itself; a connection is admitted where both verdicts are welcome.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use careweave_certs::trust::PeerIdentity;
use careweave_protocol::cbor;
use careweave_protocol::id::NodeKey;
use careweave_protocol::identity::{EndpointRole, Hello, HelloReply, StaffCredential, StaffHello};
use careweave_protocol::limits::{CLOCK_SKEW, REQUEST_MAX};
use careweave_protocol::query::Cause;
use careweave_protocol::signed::Verified;
use careweave_protocol::time::Timestamp;
use careweave_protocol::version::PROTOCOL_VERSION;
use libp2p::PeerId;
use thiserror::Error;

use super::directory::node_key;
use super::{ConnectionId, ExchangeStream, FrameError, FramedStream, Handle, Role};
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

    fn insert(&self, peer: PeerId, session: Session) {
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
}

impl Gate {
    /// Runs the `auth` exchange of a new connection to its end: a session, or a cut connection.
    ///
    /// # Errors
    /// The cause, for the log and for `node peers`.
    pub async fn authenticate(
        &self,
        services: &Services,
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
        services: &Services,
        peer: PeerId,
        connection: ConnectionId,
        role: Role,
        mut stream: FramedStream<ExchangeStream>,
    ) -> Result<Session, GateError> {
        let mut own = services.hello(self.role);
        match role {
            Role::Dialer => {
                stream.write_frame(&encode(&Hello::Node(Box::new(own)))?).await?;
                let session = self.judge(services, peer, &read(&mut stream).await?);
                stream.write_frame(&encode(&verdict(&session))?).await?;
                let session = session.map_err(GateError::Refused)?;
                match read(&mut stream).await? {
                    HelloReply::Welcome => self.open(services, peer, connection, session),
                    HelloReply::Refused(cause) => Err(GateError::RefusedByPeer(cause)),
                }
            }
            Role::Listener => {
                let hello = read(&mut stream).await?;
                let session = self.judge(services, peer, &hello);
                // Who has left us is for those we know.
                if session.is_err() {
                    own.revocation = None;
                }
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
                    stream.close().await?;
                    drop(stream.read_frame(REQUEST_MAX).await);
                }
                opened
            }
        }
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
                Ok(Session::Node(Arc::new(NodeSession { identity })))
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
