//! How a node is.

use serde::{Deserialize, Serialize};

use crate::id::{NetworkId, NodeKey, OdsCode};
use crate::time::Timestamp;

/// State of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// The organisation.
    pub ods: OdsCode,
    /// Its name.
    pub name: String,
    /// The network.
    pub network: NetworkId,
    /// Version of the program.
    pub version: String,
    /// When it started.
    pub started: Timestamp,
    /// Its clock.
    pub now: Timestamp,
    /// Newest manifest.
    pub manifest_version: u64,
    /// End of that manifest's life.
    pub manifest_expires: Timestamp,
    /// Age of the newest beacon in seconds, when one was seen.
    pub beacon_age: Option<u64>,
    /// Members of the manifest.
    pub members: u32,
    /// Members connected now.
    pub connected: u32,
    /// End of the organisation certificate.
    pub certificate_expires: Timestamp,
    /// End of the peer endpoint's binding.
    pub binding_expires: Timestamp,
    /// Keys and certificates, and where their rotation stands.
    pub rotations: Vec<super::RotationLine>,
    /// Every node key that has signed the log's checkpoints before the present one, newest first.
    pub log_keys: Vec<NodeKey>,
    /// PeerId of the peer endpoint.
    pub peer_id: String,
    /// Where the peer endpoint listens.
    pub listen: Vec<String>,
    /// PeerId of the desk endpoint.
    pub desk_peer_id: String,
    /// Where the desk endpoint listens.
    pub desk_listen: Vec<String>,
    /// Entries in the audit log.
    pub log_size: u64,
    /// Up to when the feed is complete.
    pub data_to: Option<Timestamp>,
    /// Deliveries waiting for their recipient.
    pub outbox: u64,
    /// What somebody should see to, named: `CERT_EXPIRES 6 d`, `BEACON_STALE …`.
    pub warnings: Vec<String>,
}

/// One member and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerLine {
    /// The member.
    pub ods: OdsCode,
    /// Its name.
    pub name: String,
    /// PeerId of its newest advert.
    pub peer_id: Option<String>,
    /// Addresses of its newest advert.
    pub addresses: Vec<String>,
    /// Whether a connection has passed `auth`.
    pub connected: bool,
    /// Its clock against ours, in seconds.
    pub skew: Option<i64>,
    /// Why the last attempt did not pass.
    pub cause: Option<String>,
}
