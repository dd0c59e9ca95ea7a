//! What each end of a new connection shows on `/careweave/auth/1`: one frame each way, then one frame of verdict each way.
//!
//! Noise has already proved each end's key; the hello ties that key to an organisation or a person.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::id::{Digest, NetworkId};
use crate::identity::{Attestation, KeyEndorsement, NodeBinding, StaffCredential};
use crate::key::PublicKey;
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
    /// Somebody who is no member yet, or whose certificate has run out, to a node that runs the enrolment service. The connection ends with
    /// the reply; nothing else is open to it.
    Enrol(Box<EnrolHello>),
}

/// A request for a certificate by somebody who has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolHello {
    /// The network it wants to join.
    pub network: NetworkId,
    /// Its clock, for the skew check.
    pub clock: Timestamp,
    /// The enrolment request as its node made it: COSE_Sign1 by the organisation key.
    pub request: ByteBuf,
    /// HMAC-SHA-256 of those bytes under the one-time code: who knows the code asks for this very key, and the code itself never travels.
    pub proof: Digest,
}

/// What the enrolment service says to [`EnrolHello`]; one message of one or more frames ([`crate::frame::split`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnrolReply {
    /// The code was right and the request is kept for the officers: ask again when they have admitted the organisation.
    AwaitingApproval,
    /// The certificate, and every manifest from the first on: an `Enrolment` (`careweave-certs`).
    Enrolled(ByteBuf),
    /// Not for a named cause.
    Refused(crate::query::Cause),
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
    /// The pinned key's word on the key of the certificate, while the manifest does not pin that key itself.
    pub endorsement: Option<Signed<KeyEndorsement>>,
    /// Other organisation keys, pinned or endorsed, under which credentials still run; at most [`crate::limits::EARLIER_KEYS_MAX`].
    pub earlier_keys: Vec<PublicKey>,
    /// The endpoint is this organisation's.
    pub binding: Signed<NodeBinding>,
    /// Stapled statements of registrars.
    pub attestations: Vec<Signed<Attestation>>,
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
