//! Where a member's node is. Adverts give addresses; only the manifest gives membership.

use serde::{Deserialize, Serialize};

use crate::id::{NodeKey, OdsCode};
use crate::identity::NodeBinding;
use crate::key::PublicKey;
use crate::signed::{Document, Signed};
use crate::time::Timestamp;

/// COSE_Sign1 by the node key: this endpoint of this organisation is reached here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advert {
    /// The organisation.
    pub ods: OdsCode,
    /// Its peer endpoint.
    pub node: NodeKey,
    /// Multiaddresses, at most [`crate::limits::ADVERT_ADDRESSES`].
    pub addresses: Vec<String>,
    /// Whom to ring when the node does not answer.
    pub duty_contact: String,
    /// When it was signed; a later one replaces an earlier one.
    pub issued: Timestamp,
    /// First instant at which it no longer counts; at most [`crate::limits::ADVERT_LIFE`] later.
    pub expires: Timestamp,
}

impl Document for Advert {
    const CONTEXT: &'static str = "careweave advert 1";
}

/// An advert with all that is needed to believe it, given the manifest: the manifest pins the organisation key's hash, that
/// key signs the binding, the bound node key signs the advert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdvertRecord {
    /// The organisation key; its hash is in the manifest.
    pub organisation_key: PublicKey,
    /// The endpoint is the organisation's.
    pub binding: Signed<NodeBinding>,
    /// The advert.
    pub advert: Signed<Advert>,
}
