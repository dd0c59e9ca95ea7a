//! What nodes tell each other about the network itself, on `/careweave/manifest/1`: one request, one reply of one or more
//! frames ([`crate::frame::split`]). No gossip of records: signed documents of governance and members' addresses only.

use serde::{Deserialize, Serialize};

use crate::desk::GovernanceDocument;
use crate::id::OdsCode;
use crate::identity::AdvertRecord;
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
}

/// From the one called.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ManifestReply {
    /// Manifests after the caller's, in order, then every suspension, staff revocation and the newest beacon held.
    pub documents: Vec<GovernanceDocument>,
    /// Adverts the caller lacks.
    pub adverts: Vec<AdvertRecord>,
}
