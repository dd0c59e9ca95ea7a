//! An organisation's statement that a libp2p endpoint is its own.

use serde::{Deserialize, Serialize};

use crate::id::{NodeKey, OdsCode};
use crate::signed::Document;
use crate::time::Timestamp;

/// Which of a node's two endpoints a key belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndpointRole {
    /// Other organisations' nodes connect here.
    Peer,
    /// The organisation's own staff connect here.
    Desk,
}

/// COSE_Sign1 by the organisation key: this endpoint is ours, for at most seven days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeBinding {
    /// The organisation.
    pub ods: OdsCode,
    /// The endpoint's key, which Noise proves.
    pub node: NodeKey,
    /// Which endpoint.
    pub role: EndpointRole,
    /// The endpoint that this one replaces, and from when that one is refused.
    pub retires: Option<RetiredEndpoint>,
    /// First instant of validity.
    pub not_before: Timestamp,
    /// First instant at which it no longer holds; at most [`crate::limits::BINDING_LIFE`] after `not_before` plus the back-dating hour.
    pub not_after: Timestamp,
}

/// A key that its organisation has replaced. Its bindings may run for days yet; nobody need believe them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetiredEndpoint {
    /// The key.
    pub node: NodeKey,
    /// First instant at which it is refused.
    pub from: Timestamp,
}

impl Document for NodeBinding {
    const CONTEXT: &'static str = "careweave node binding 1";
}
