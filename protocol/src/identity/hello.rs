//! What each end of a new connection shows on `/careweave/auth/1`: one frame each way, then one frame of verdict each way.
//!
//! Noise has already proved each end's key; the hello ties that key to an organisation or a person.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::id::NetworkId;
use crate::identity::{Attestation, NodeBinding, StaffCredential, StaffRevocation};
use crate::signed::Signed;
use crate::time::Timestamp;

/// Who is calling or answering.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hello {
    /// An organisation's node.
    Node(Box<NodeHello>),
    /// A person, to their own organisation's desk.
    Staff(Box<StaffHello>),
}

/// A node's proof of who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeHello {
    /// The network it believes it is in.
    pub network: NetworkId,
    /// Highest protocol version spoken.
    pub protocol: u32,
    /// Its clock, for the skew check.
    pub clock: Timestamp,
    /// Organisation certificate and intermediate, DER, leaf first (X.509, RFC 5280); the root is in the manifest.
    pub chain: Vec<ByteBuf>,
    /// The endpoint is this organisation's.
    pub binding: Signed<NodeBinding>,
    /// Stapled statements of registrars.
    pub attestations: Vec<Signed<Attestation>>,
    /// The organisation's own list of revoked credentials, so a stolen laptop is known wherever its employer connects.
    pub revocation: Option<Signed<StaffRevocation>>,
    /// Newest manifest version held.
    pub manifest_version: u64,
}

/// A person's proof of who they are; the credential's key must be the connection's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaffHello {
    /// The network it believes it is in.
    pub network: NetworkId,
    /// Highest protocol version spoken.
    pub protocol: u32,
    /// Its clock, for the skew check.
    pub clock: Timestamp,
    /// The credential.
    pub credential: Signed<StaffCredential>,
}

/// The verdict on the other end's hello.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HelloReply {
    /// Passed; other protocols are open now.
    Welcome,
    /// Not passed; the connection is closed. The cause is about the caller, so it is named.
    Refused(crate::query::Cause),
}
