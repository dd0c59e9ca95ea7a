//! What an asker tells a holder afterwards: that the answer arrived whole. Delivered in batches, off the path.

use serde::{Deserialize, Serialize};

use crate::id::{Digest, OdsCode, QueryId};
use crate::signed::Document;
use crate::time::Timestamp;

/// One answer that arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// The query.
    pub query_id: QueryId,
    /// SHA-256 of the signed answer header.
    pub header: Digest,
    /// Records that verified.
    pub records: u32,
    /// When the last one did.
    pub received_at: Timestamp,
}

/// COSE_Sign1 by the asker's node key, addressed to the holder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcknowledgementBatch {
    /// Who acknowledges.
    pub asker: OdsCode,
    /// Whose answers.
    pub holder: OdsCode,
    /// At most 256.
    pub items: Vec<Acknowledgement>,
}

impl Document for AcknowledgementBatch {
    const CONTEXT: &'static str = "careweave acknowledgement 1";
}

/// Acknowledgements in one batch: about 100 bytes each, well inside one frame.
pub const BATCH_MAX: usize = 256;
