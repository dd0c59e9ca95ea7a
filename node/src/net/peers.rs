//! The peer endpoint, and while its key is being changed the one before it: new exchanges go out through the present one, those that come in
//! are served by the one they came to.

use std::sync::{Arc, PoisonError, RwLock};

use careweave_certs::keystore::SoftwareKey;
use careweave_protocol::id::NodeKey;
use careweave_protocol::identity::EndpointRole;

use super::Handle;
use super::gate::{Gate, Sessions};

/// The key of one endpoint: proves the connection and signs what goes out on it.
#[derive(Debug)]
pub struct EndpointKey {
    /// Signs.
    pub signer: Arc<SoftwareKey>,
    /// The public half.
    pub node: NodeKey,
}

/// One peer endpoint.
pub struct PeerEnd {
    /// Its gate, with handle and sessions.
    pub gate: Gate,
}

/// The present endpoint, and the former one during an overlap.
pub struct Peers {
    ends: RwLock<Ends>,
}

#[derive(Clone)]
struct Ends {
    current: Arc<PeerEnd>,
    former: Option<Arc<PeerEnd>>,
}

impl PeerEnd {
    /// An endpoint with nobody connected.
    #[must_use]
    pub fn new(handle: Handle, key: Arc<EndpointKey>) -> Self {
        Self { gate: Gate { handle, role: EndpointRole::Peer, sessions: Sessions::default(), key } }
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> &Arc<EndpointKey> {
        &self.gate.key
    }

    /// The public half of its key.
    #[must_use]
    pub fn node(&self) -> NodeKey {
        self.gate.key.node
    }
}

impl Peers {
    /// One endpoint.
    #[must_use]
    pub fn new(current: Arc<PeerEnd>) -> Self {
        Self { ends: RwLock::new(Ends { current, former: None }) }
    }

    /// The endpoint that exchanges go out through.
    #[must_use]
    pub fn current(&self) -> Arc<PeerEnd> {
        self.ends().current
    }

    /// The endpoint before it, while an overlap runs.
    #[must_use]
    pub fn former(&self) -> Option<Arc<PeerEnd>> {
        self.ends().former
    }

    /// Every endpoint, the present one first.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<PeerEnd>> {
        let Ends { current, former } = self.ends();
        std::iter::once(current).chain(former).collect()
    }

    /// Puts another endpoint in use. The one before it becomes the former one; a former one that was still there is given back to be ended.
    #[must_use]
    pub fn put_in_use(&self, next: Arc<PeerEnd>) -> Option<Arc<PeerEnd>> {
        let mut ends = self.ends.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut ends.current, next);
        ends.former.replace(before)
    }

    /// Takes the former endpoint out, to be ended.
    #[must_use]
    pub fn take_former(&self) -> Option<Arc<PeerEnd>> {
        self.ends.write().unwrap_or_else(PoisonError::into_inner).former.take()
    }

    fn ends(&self) -> Ends {
        self.ends.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
