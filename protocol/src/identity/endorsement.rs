//! An organisation's word on its own next key: signed by the key that the manifest pins, for the key that will follow it.
//!
//! With it a key can be changed without waiting for the officers; the next manifest then pins the successor itself.

use serde::{Deserialize, Serialize};

use crate::id::OdsCode;
use crate::key::PublicKey;
use crate::signed::Document;
use crate::time::Timestamp;

/// COSE_Sign1 by `endorser`: `successor` is ours as well. It counts while the manifest pins the endorser, and one endorsed key endorses
/// nobody: one step, then the officers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEndorsement {
    /// The organisation.
    pub ods: OdsCode,
    /// The key that signs this; its hash is in the manifest.
    pub endorser: PublicKey,
    /// The key that follows.
    pub successor: PublicKey,
    /// When it was signed; a later one replaces an earlier one.
    pub issued: Timestamp,
    /// First instant at which it no longer counts; at most [`crate::limits::ENDORSEMENT_LIFE`] later.
    pub expires: Timestamp,
}

impl Document for KeyEndorsement {
    const CONTEXT: &'static str = "careweave key endorsement 1";
}
