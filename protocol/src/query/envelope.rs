//! What the asking node sends to one holder.

use serde::{Deserialize, Serialize};

use crate::id::{NodeKey, Nonce, OdsCode};
use crate::identity::StaffCredential;
use crate::query::{Evidence, Query};
use crate::signed::{Document, Signed};
use crate::time::Timestamp;

/// COSE_Sign1 by the asking node's key, addressed to one organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The person's signed question.
    pub query: Signed<Query>,
    /// The person's credential, issued by the organisation whose node signs this envelope.
    pub credential: Signed<StaffCredential>,
    /// The asking organisation.
    pub asker: OdsCode,
    /// The asking node's endpoint.
    pub asker_node: NodeKey,
    /// The organisation asked.
    pub audience: OdsCode,
    /// The endpoint asked.
    pub audience_node: NodeKey,
    /// Never used twice.
    pub nonce: Nonce,
    /// Why the asker believes the patient is theirs to ask about; at most [`crate::limits::EVIDENCE_MAX`].
    pub evidence: Vec<Evidence>,
    /// Newest manifest version the asker holds.
    pub manifest_version: u64,
    /// When it was signed.
    pub sent_at: Timestamp,
    /// Bytes of answer the asker will take; more is cut and said to be partial.
    pub budget: u64,
    /// Bytes that may be under way before the asker grants more.
    pub window: u32,
}

impl Document for Envelope {
    const CONTEXT: &'static str = "careweave envelope 1";
}
