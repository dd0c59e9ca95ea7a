//! What a holder sends back: a signed header first, which is the receipt, then the leaf hashes, then the records in chunks.
//!
//! Frames in order: `Header`, `Leaves`…, `Chunk`…, `End`. The chunks together are one byte string: for each record a
//! [`RecordHead`] and its body. A refusal that must not tell is a `Header` and an `End` of one size.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::id::{Digest, OdsCode, QueryId};
use crate::query::Cause;
use crate::record::{Category, Form};
use crate::signed::Document;
use crate::time::Timestamp;

/// What the holder decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerOutcome {
    /// Records follow.
    Answered,
    /// Records follow, but not all that could have: the asker's budget ended first.
    Partial,
    /// Nothing follows: the patient is not known, not matched, objects, or nothing may be shared. Which, it does not tell.
    NothingShareable,
    /// Refused for a cause about the asker.
    Refused(Cause),
}

/// Proof that a leaf is in the log under a checkpoint (RFC 6962 §2.1.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InclusionProof {
    /// Position of the leaf.
    pub index: u64,
    /// Leaves under the checkpoint.
    pub size: u64,
    /// Sibling hashes, lowest first.
    pub path: Vec<Digest>,
}

/// The receipt: COSE_Sign1 by the holder's node key, addressed to the asking organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerHeader {
    /// The query answered.
    pub query_id: QueryId,
    /// Who asked.
    pub asker: OdsCode,
    /// Who answers.
    pub holder: OdsCode,
    /// SHA-256 of the signed envelope.
    pub envelope: Digest,
    /// What was decided.
    pub outcome: AnswerOutcome,
    /// Records that follow.
    pub records: u32,
    /// Bytes of all bodies.
    pub bytes: u64,
    /// Records of each category.
    pub counts: BTreeMap<Category, u32>,
    /// Categories asked for that the policy opens to this asker, whether or not anything is held in them; empty when nothing
    /// follows. Without it, "none recorded" could not be told from "not open".
    pub open: Vec<Category>,
    /// Merkle root over the leaves that follow ([`crate::record::merkle`]).
    pub root: Digest,
    /// Leaf hash of the DECISION in the holder's log.
    pub leaf: Digest,
    /// Where that leaf is.
    pub proof: InclusionProof,
    /// The holder's checkpoint that covers it: a C2SP signed note.
    pub checkpoint: String,
    /// Salted commitment to the true reason, opened only to governance.
    pub commitment: Digest,
    /// Up to when the holder's feed is complete.
    pub data_to: Option<Timestamp>,
    /// How often that feed should bring something, in seconds, where the holder says so.
    pub feed_interval: Option<u32>,
    /// Medicines held and open to this asker by policy, but hidden by a signed exception of the holder's Caldicott guardian.
    pub medicines_not_shown: u32,
    /// Records open to this asker that were left out because of the dates asked for.
    pub outside_period: u32,
    /// Manifest version the decision was made under.
    pub manifest_version: u64,
    /// Age of that manifest's newest beacon in seconds, when one was seen.
    pub beacon_age: Option<u64>,
    /// SHA-256 of the policy bundle.
    pub policy: Digest,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// Fills a refusal up to its bucket.
    pub padding: ByteBuf,
}

impl Document for AnswerHeader {
    const CONTEXT: &'static str = "careweave answer header 1";
    const MAX: usize = crate::limits::FRAME_MAX - 1024;
}

/// One frame from holder to asker: a byte of kind, then the payload as it is, so that record bytes are not encoded again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerFrame<'a> {
    /// First (kind 1): the signed [`AnswerHeader`].
    Header(&'a [u8]),
    /// Then (kind 2) the leaf hashes, concatenated, at most [`crate::limits::LEAVES_PER_FRAME`] to a frame.
    Leaves(&'a [u8]),
    /// Then (kind 3) the records, at most [`crate::limits::CHUNK_MAX`] bytes to a frame.
    Chunk(&'a [u8]),
    /// Last (kind 4).
    End,
    /// Instead of everything ([`crate::frame::BUSY`]): try again after this many milliseconds.
    Busy(u32),
}

impl<'a> AnswerFrame<'a> {
    /// Kind byte of a header frame.
    pub const HEADER: u8 = 1;
    /// Kind byte of a frame of leaf hashes.
    pub const LEAVES: u8 = 2;
    /// Kind byte of a chunk.
    pub const CHUNK: u8 = 3;
    /// Kind byte of the last frame.
    pub const END: u8 = 4;

    /// Reads a frame; `None` when it is none of these.
    #[must_use]
    pub fn parse(frame: &'a [u8]) -> Option<Self> {
        if let Some(ms) = crate::frame::retry_after(frame) {
            return Some(Self::Busy(ms));
        }
        match frame.split_first()? {
            (&Self::HEADER, signed) => Some(Self::Header(signed)),
            (&Self::LEAVES, leaves) if leaves.len() % Digest::LEN == 0 => Some(Self::Leaves(leaves)),
            (&Self::CHUNK, bytes) => Some(Self::Chunk(bytes)),
            (&Self::END, []) => Some(Self::End),
            _ => None,
        }
    }
}

/// A frame from asker to holder while the answer streams: this many more bytes may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditFrame {
    /// Bytes consumed since the last credit.
    pub bytes: u32,
}

/// What stands before each body in the chunks: category, form, when the holder took the record in (big-endian 64-bit
/// milliseconds), and the body's length as a big-endian 32-bit number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHead {
    /// Category that was decided.
    pub category: Category,
    /// Form that was granted.
    pub form: Form,
    /// When the holder took the record in.
    pub taken_in: Timestamp,
    /// Bytes of the body.
    pub len: u32,
}

impl RecordHead {
    /// Length on the wire.
    pub const LEN: usize = 14;

    /// As on the wire.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let [a, b, c, d] = self.len.to_be_bytes();
        let [i, j, k, l, m, n, o, p] = self.taken_in.0.to_be_bytes();
        [self.category.code(), self.form.code(), i, j, k, l, m, n, o, p, a, b, c, d]
    }

    /// Reads the fourteen bytes; `None` for an unknown category or form.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Option<Self> {
        let [category, form, i, j, k, l, m, n, o, p, a, b, c, d] = bytes;
        Some(Self {
            category: Category::from_code(category)?,
            form: Form::from_code(form)?,
            taken_in: Timestamp(i64::from_be_bytes([i, j, k, l, m, n, o, p])),
            len: u32::from_be_bytes([a, b, c, d]),
        })
    }
}
