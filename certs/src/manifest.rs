//! The manifest: the one shared, signed description of the network, and the two notices between its versions.
//!
//! Statements only. Who must have signed a manifest is in [`crate::quorum`]; what a node does with it in [`crate::trust`].

mod authority;
mod check;
mod member;
mod notice;

pub use authority::{AuthorityCertificate, AuthorityRole, AuthorityState};
pub use check::ManifestError;
pub use member::{KeyPin, Member, MemberKind, RolloutStage};
pub use notice::{Beacon, SUSPENSION_LIFE, Suspension, SuspensionTarget};

use std::time::Duration;

use careweave_protocol::id::{Digest, NetworkId, OdsCode};
use careweave_protocol::identity::StandardStatus;
use careweave_protocol::key::PublicKey;
use careweave_protocol::limits::MANIFEST_MAX;
use careweave_protocol::query::Purpose;
use careweave_protocol::signed::Document;
use careweave_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Everything the network agrees on. COSE_Sign by M of the previous version's officers and M of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The network's name.
    pub network: NetworkId,
    /// Counts up by exactly one.
    pub version: u64,
    /// When it was drawn up.
    pub issued: Timestamp,
    /// First instant at which it no longer holds; at most [`MANIFEST_LIFE`] after `issued`.
    pub expires: Timestamp,
    /// Who may sign the next one, and suspensions.
    pub governance: Governance,
    /// Roots and intermediates.
    pub authorities: Vec<AuthorityCertificate>,
    /// Members, ascending by ODS code.
    pub members: Vec<Member>,
    /// Keys that sign attestations.
    pub registrars: Vec<PublicKey>,
    /// Keys that sign beacons, of different members.
    pub beacons: Vec<BeaconKey>,
    /// Members whose nodes run the enrolment service, ascending.
    pub enrolment: Vec<OdsCode>,
    /// The lowest status in the Data Security and Protection Toolkit with which a member is answered.
    pub minimum_standard: StandardStatus,
    /// Who cosigns whose audit checkpoints, ascending by ODS code; may be empty.
    pub witnesses: Vec<WitnessAssignment>,
    /// How many of its witnesses must have cosigned a checkpoint.
    pub witness_quorum: u32,
    /// SHA-256 of the baseline policy bundle; none means the one built into the program.
    pub policy: Option<Digest>,
    /// Lowest protocol version that is accepted.
    pub protocol_min: u32,
    /// How old what a node knows may be.
    pub staleness: StalenessLimits,
    /// Suspensions that last until a later manifest leaves them out.
    pub suspended: Vec<Suspension>,
    /// Statement digests of suspensions that are void although their seven days are not over.
    pub lifted: Vec<Digest>,
}

/// The officers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Governance {
    /// One key per officer.
    pub keys: Vec<PublicKey>,
    /// How many of them must agree.
    pub threshold: u32,
}

/// A key that signs beacons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeaconKey {
    /// The member who runs it.
    pub ods: OdsCode,
    /// Its key, which is no other of its keys, so that those can be changed without the officers.
    pub key: PublicKey,
}

/// Who cosigns one member's checkpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessAssignment {
    /// The member whose log it is.
    pub ods: OdsCode,
    /// Its witnesses.
    pub witnesses: Vec<OdsCode>,
}

/// How old the newest proof that the manifest is current may be, in hours, per class of purposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StalenessLimits {
    /// Direct care and coordination (TREAT, COC).
    pub care_hours: u32,
    /// Emergency and break-glass (ETREAT, BTG); past `care_hours` they alert.
    pub urgent_hours: u32,
    /// Everything else.
    pub other_hours: u32,
}

/// A manifest lives at most this long: a governance office that fell silent is noticed within half a year.
pub const MANIFEST_LIFE: Duration = Duration::from_secs(180 * 24 * 3600);

impl Document for Manifest {
    const CONTEXT: &'static str = "careweave manifest 1";
    const MAX: usize = MANIFEST_MAX;
}

impl Manifest {
    /// One member; by binary search, because [`Manifest::check`] has seen the order.
    #[must_use]
    pub fn member(&self, ods: &OdsCode) -> Option<&Member> {
        let index = self.members.binary_search_by(|m| m.ods.cmp(ods)).ok()?;
        self.members.get(index)
    }

    /// The witnesses of one member's log.
    #[must_use]
    pub fn witnesses_of(&self, ods: &OdsCode) -> &[OdsCode] {
        self.witnesses.iter().find(|w| w.ods == *ods).map_or(&[], |w| &w.witnesses)
    }
}

impl Default for StalenessLimits {
    fn default() -> Self {
        Self { care_hours: 7 * 24, urgent_hours: 30 * 24, other_hours: 24 }
    }
}

impl StalenessLimits {
    /// The limit for a purpose.
    #[must_use]
    pub fn for_purpose(&self, purpose: Purpose) -> Duration {
        let hours = match purpose {
            Purpose::Treat | Purpose::Coc => self.care_hours,
            Purpose::Etreat | Purpose::Btg => self.urgent_hours,
            _ => self.other_hours,
        };
        Duration::from_secs(u64::from(hours) * 3600)
    }
}
