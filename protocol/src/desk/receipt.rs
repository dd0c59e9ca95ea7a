//! The receipts that a node holds of others' answers, with all that is needed to verify them years later.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::id::{Digest, OdsCode, QueryId};
use crate::identity::{KeyEndorsement, NodeBinding};
use crate::signed::Signed;

/// What tied a holder's node key to the holder when it answered. Kept once for all answers under it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerEvidence {
    /// Organisation certificate and intermediate as shown, DER, leaf first.
    pub chain: Vec<ByteBuf>,
    /// The endorsement of the certificate's key, where the manifest did not pin that key itself.
    pub endorsement: Option<Signed<KeyEndorsement>>,
    /// The endpoint was the organisation's.
    pub binding: Signed<NodeBinding>,
}

/// A signed answer header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredReceipt {
    /// Who answered.
    pub holder: OdsCode,
    /// The query.
    pub query_id: QueryId,
    /// The signed [`crate::query::AnswerHeader`].
    pub header: ByteBuf,
    /// SHA-256 of the CBOR of the [`PeerEvidence`] that held then; `None` where it was not kept.
    pub evidence: Option<Digest>,
}

/// Some receipts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptPage {
    /// The receipts.
    pub receipts: Vec<StoredReceipt>,
    /// The evidence that they name, each once.
    pub evidence: Vec<PeerEvidence>,
    /// Where the next page begins; `None` when this is the last.
    pub next: Option<ByteBuf>,
}

/// Receipts in one page: about 1.5 KiB each, so a page stays well within a reply.
pub const RECEIPTS_PER_PAGE: usize = 1_000;
