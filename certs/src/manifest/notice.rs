//! What is said between two versions of the manifest: a stop, and a sign of life.

use std::time::Duration;

use careweave_protocol::cbor::{self, CborError};
use careweave_protocol::id::{Digest, NodeKey, OdsCode};
use careweave_protocol::signed::Document;
use careweave_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

/// One member, node or credential is stopped. Signed by any one officer: taking access away needs one, giving it needs M.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// Who or what is stopped.
    pub target: SuspensionTarget,
    /// Why, as shown to people.
    pub reason: String,
    /// From when; it ends [`SUSPENSION_LIFE`] later unless a manifest confirms it.
    pub from: Timestamp,
}

/// What a suspension stops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SuspensionTarget {
    /// An organisation with all its nodes and staff.
    Member(OdsCode),
    /// One key: an endpoint, or a person by the PeerId of their key, whichever of their credentials they show.
    Node(NodeKey),
    /// One staff credential, by its [`careweave_protocol::signed::Verified::statement_digest`]. A renewed one of the same person is another.
    Credential(Digest),
}

/// A member's statement of what it knew to be current.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beacon {
    /// The member; the manifest names its beacon key.
    pub ods: OdsCode,
    /// The newest manifest version it holds.
    pub manifest_version: u64,
    /// [`crate::trust::Trust::suspensions_digest`] at `time`.
    pub suspensions: Digest,
    /// When it signed.
    pub time: Timestamp,
}

/// A suspension that no manifest confirms ends after this: one officer alone cannot exclude anybody for good.
pub const SUSPENSION_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

impl Document for Suspension {
    const CONTEXT: &'static str = "careweave suspension 1";
}

impl Document for Beacon {
    const CONTEXT: &'static str = "careweave beacon 1";
}

impl Suspension {
    /// SHA-256 of the statement, the same whoever signs it: what a manifest names to lift it.
    ///
    /// # Errors
    /// When it cannot be encoded, which no suspension causes.
    pub fn digest(&self) -> Result<Digest, CborError> {
        Ok(Digest::of(&[&cbor::to_vec(self)?]))
    }
}
