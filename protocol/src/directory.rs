//! What nodes tell each other about the network itself, on `/careweave/manifest/1`: one request, one reply of one or more
//! frames ([`crate::frame::split`]). No gossip of records: signed documents of governance and members' addresses only.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::desk::GovernanceDocument;
use crate::id::OdsCode;
use crate::identity::{AdvertRecord, Attestation, KeyEndorsement, NodeHello};
use crate::query::Cause;
use crate::signed::Signed;
use crate::time::Timestamp;

/// From the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ManifestRequest {
    /// Send what I lack.
    Pull {
        /// Newest manifest version the caller holds.
        manifest_version: u64,
        /// Adverts the caller holds, with their times of issue.
        adverts: Vec<(OdsCode, Timestamp)>,
        /// The caller's own advert.
        own: AdvertRecord,
    },
    /// Something has changed here: pull when you can. The reply is empty.
    Notice,
    /// The caller's own chain, attestations or endorsement have changed: judge it again on this connection. The reply is a [`Verdict`]; an
    /// introduction that is refused leaves what was believed before as it was.
    Introduce(Box<NodeHello>),
    /// Would you admit this? Nothing is changed by asking. The reply is a [`Verdict`].
    Rehearse(Box<NodeHello>),
}

/// What a member makes of a hello, and how it stands itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Why it would not be admitted; `None` when it would.
    pub refused: Option<Cause>,
    /// What it would be answered with all the same, such as an attestation that is over, for direct care.
    pub lapses: Vec<Cause>,
    /// The member's own clock.
    pub clock: Timestamp,
    /// The newest manifest it holds.
    pub manifest_version: u64,
    /// When that was last known to be current.
    pub current_as_of: Timestamp,
}

/// A member's request for its next certificate, on `/careweave/enrol/1`, to a node that runs the enrolment service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewalRequest {
    /// PKCS#10, PEM: for the pinned key, or for one that it has endorsed.
    pub certificate_request: String,
    /// That endorsement.
    pub endorsement: Option<Signed<KeyEndorsement>>,
}

/// Its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RenewalReply {
    /// Organisation certificate and intermediate, DER, leaf first, and what registrars say of the organisation now.
    Issued {
        /// The chain.
        chain: Vec<ByteBuf>,
        /// The attestations that the office has handed to the service.
        attestations: Vec<Signed<Attestation>>,
    },
    /// Not in good standing, or not for this key.
    Refused(Cause),
}

/// From the one called.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ManifestReply {
    /// Manifests after the caller's, in order, then every suspension, staff revocation and the newest beacon held.
    pub documents: Vec<GovernanceDocument>,
    /// Adverts the caller lacks.
    pub adverts: Vec<AdvertRecord>,
}
