//! The employer's own stop: credentials of people who left or lost a laptop.

use serde::{Deserialize, Serialize};

use crate::id::{Digest, OdsCode, PersonId};
use crate::signed::Document;
use crate::time::Timestamp;

/// One revoked credential, listed until it would have expired anyway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedCredential {
    /// SHA-256 of the credential without its signature ([`crate::signed::Verified::statement_digest`]).
    pub credential: Digest,
    /// Whose it is.
    pub person: PersonId,
    /// When it was revoked.
    pub at: Timestamp,
    /// When the credential would have expired.
    pub until: Timestamp,
}

/// Signed by the organisation key; a higher `version` replaces a lower one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaffRevocation {
    /// The employer.
    pub ods: OdsCode,
    /// Counts up with every change.
    pub version: u64,
    /// When it was signed.
    pub issued: Timestamp,
    /// Every credential that is revoked and not yet expired.
    pub revoked: Vec<RevokedCredential>,
}

impl Document for StaffRevocation {
    const CONTEXT: &'static str = "careweave staff revocation 1";
    /// A large trust's leavers of 30 days, each with the several credentials that run beside each other: 9,000 entries of about 110 bytes.
    const MAX: usize = 1024 * 1024;
}
