//! Everything a node or a command line believes: the manifest chain from a pinned first one, suspensions, staff revocations,
//! beacons. Pure: `now` and bytes are passed in, and nothing that does not verify gets in.
//!
//! The version never falls. Files, timers and connections are the caller's; so is asking peers for what is newer.

mod eligibility;
mod keys;
mod notices;
mod peer;
mod saved;

pub use eligibility::Eligibility;
pub use keys::endorse;
pub(crate) use keys::verify_endorsement;
pub use notices::{BeaconNews, NoticeError};
pub use peer::PeerIdentity;
pub use saved::TRUST_MAX;

use std::collections::{BTreeMap, BTreeSet};

use careweave_protocol::cbor::CborError;
use careweave_protocol::id::{Digest, NetworkId, NodeKey, OdsCode};
use careweave_protocol::identity::{KeyEndorsement, StaffRevocation};
use careweave_protocol::key::PublicKey;
use careweave_protocol::limits::CLOCK_SKEW;
use careweave_protocol::signed::{MultiSigned, Verified};
use careweave_protocol::time::Timestamp;
use thiserror::Error;

use crate::manifest::{Beacon, Governance, Manifest, Member};
use crate::quorum::{QuorumError, VerifiedManifest};
use notices::HeldSuspension;

/// What is believed, and how recently it was known to be current.
#[derive(Debug, Clone)]
pub struct Trust {
    pinned: Digest,
    first_version: u64,
    chain: Vec<MultiSigned<Manifest>>,
    /// One per manifest of the chain: who governed, and from when.
    epochs: Vec<Epoch>,
    current: VerifiedManifest,
    suspensions: BTreeMap<Digest, HeldSuspension>,
    revocations: BTreeMap<OdsCode, (Verified<StaffRevocation>, PublicKey)>,
    endorsements: BTreeMap<OdsCode, Verified<KeyEndorsement>>,
    /// Organisation keys that an earlier manifest of the chain pinned: nothing stands under them now but what two people approved then.
    pinned_before: BTreeMap<OdsCode, BTreeSet<Digest>>,
    /// Endpoints their organisation has replaced.
    retired: BTreeMap<(OdsCode, NodeKey), keys::Retirements>,
    beacons: BTreeMap<OdsCode, Verified<Beacon>>,
    /// The organisation that believes this: its own beacon says nothing that it did not know.
    own: Option<OdsCode>,
    /// The newest time at which a beacon agreed with what is held here.
    confirmed: Option<Timestamp>,
}

#[derive(Debug, Clone)]
struct Epoch {
    issued: Timestamp,
    governance: Governance,
}

/// What a manifest changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advanced {
    /// It is the one already held.
    Unchanged,
    /// It is the next one and is held now.
    To {
        /// The version held before.
        from: u64,
        /// The version held now.
        version: u64,
    },
}

/// Why a manifest was not taken in, or a saved state not believed.
#[derive(Debug, Error)]
pub enum TrustError {
    /// Not signed by those who must, out of order, or nonsense.
    #[error(transparent)]
    Quorum(#[from] QuorumError),
    /// The officers have signed two different manifests of one version. Both are evidence.
    #[error("MANIFEST_FORKED {version}: two different manifests of this version are signed")]
    Forked {
        /// The version.
        version: u64,
    },
    /// Dated in the future by more than clocks may differ: it would count as current until then, whatever beacons say.
    #[error("MANIFEST_FROM_THE_FUTURE {version}: this version is dated {}", issued.rfc3339())]
    FromTheFuture {
        /// The version.
        version: u64,
        /// When it says it was drawn up.
        issued: Timestamp,
    },
    /// More versions than are kept.
    #[error("the chain of manifests has reached its limit of {CHAIN_MAX}")]
    ChainFull,
    /// A saved state without a manifest.
    #[error("no manifest")]
    Empty,
    /// A saved state that cannot be read or written.
    #[error("saved trust: {0}")]
    Saved(#[from] CborError),
    /// A statement in a saved state does not verify.
    #[error("saved trust: {0}")]
    Signed(#[from] careweave_protocol::signed::SignedError),
    /// Another first manifest than the one that is pinned.
    #[error("the first manifest is {shown}, not {pinned}")]
    OtherPin {
        /// Digest of the one shown.
        shown: Digest,
        /// Digest that is pinned.
        pinned: Digest,
    },
}

/// Versions kept so that others can catch up: one a day for eleven years.
const CHAIN_MAX: usize = 4_096;

impl Trust {
    /// Starts from a first manifest, which the caller has pinned: anybody could sign one for themselves.
    ///
    /// # Errors
    /// When too few of its own officers have signed it, or it makes no sense in itself.
    pub fn from_pinned(first: MultiSigned<Manifest>) -> Result<Self, TrustError> {
        let current = VerifiedManifest::first(first)?;
        Ok(Self {
            pinned: current.digest(),
            first_version: current.manifest().version,
            chain: vec![current.signed().clone()],
            epochs: vec![Epoch::of(current.manifest())],
            current,
            suspensions: BTreeMap::new(),
            revocations: BTreeMap::new(),
            endorsements: BTreeMap::new(),
            pinned_before: BTreeMap::new(),
            retired: BTreeMap::new(),
            beacons: BTreeMap::new(),
            own: None,
            confirmed: None,
        })
    }

    /// Starts from a first manifest and follows its chain.
    ///
    /// # Errors
    /// When the chain is empty, any link is refused, or its first is not the pinned one.
    pub fn from_chain(
        chain: Vec<MultiSigned<Manifest>>,
        pinned: Option<Digest>,
        now: Timestamp,
    ) -> Result<Self, TrustError> {
        Self::follow(chain, pinned, now, now.after(CLOCK_SKEW))
    }

    /// As [`Trust::from_chain`], with every manifest up to the one dated `latest`.
    fn follow(
        chain: Vec<MultiSigned<Manifest>>,
        pinned: Option<Digest>,
        now: Timestamp,
        latest: Timestamp,
    ) -> Result<Self, TrustError> {
        let mut links = chain.into_iter();
        let mut trust = Self::from_pinned(links.next().ok_or(TrustError::Empty)?)?;
        match pinned {
            Some(pinned) if pinned != trust.pinned => return Err(TrustError::OtherPin { shown: trust.pinned, pinned }),
            _ => {}
        }
        for link in links {
            trust.advance_until(link, now, latest)?;
        }
        Ok(trust)
    }

    /// Takes in the next manifest.
    ///
    /// # Errors
    /// A skipped or older version, too few officers of either version, another network: see [`QuorumError`].
    /// [`TrustError::Forked`] when its officers signed it beside the one that is held, [`TrustError::FromTheFuture`] by its date.
    pub fn advance(&mut self, next: MultiSigned<Manifest>, now: Timestamp) -> Result<Advanced, TrustError> {
        self.advance_until(next, now, now.after(CLOCK_SKEW))
    }

    fn advance_until(
        &mut self,
        next: MultiSigned<Manifest>,
        now: Timestamp,
        latest: Timestamp,
    ) -> Result<Advanced, TrustError> {
        let held = self.current.manifest().version;
        let digest = next.statement_digest().map_err(QuorumError::from)?;
        if digest == self.current.digest() {
            return Ok(Advanced::Unchanged);
        }
        let next = match self.current.next(next.clone()) {
            Err(QuorumError::Rollback { shown, .. }) if shown == held => {
                VerifiedManifest::first(next)?;
                return Err(TrustError::Forked { version: held });
            }
            other => other?,
        };
        let (version, issued) = (next.manifest().version, next.manifest().issued);
        if issued > latest {
            return Err(TrustError::FromTheFuture { version, issued });
        }
        if self.chain.len() >= CHAIN_MAX {
            return Err(TrustError::ChainFull);
        }
        for member in &self.current.manifest().members {
            let keys = [Some(member.key.active), member.key.next];
            let changed = keys
                .into_iter()
                .flatten()
                .filter(|key| next.manifest().member(&member.ods).is_none_or(|after| !after.key.accepts(key)));
            for key in changed {
                self.pinned_before.entry(member.ods.clone()).or_default().insert(key);
            }
        }
        self.chain.push(next.signed().clone());
        self.epochs.push(Epoch::of(next.manifest()));
        self.current = next;
        self.review_notices(now);
        Ok(Advanced::To { from: held, version: self.current.manifest().version })
    }

    /// The manifest that holds.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        self.current.manifest()
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &NetworkId {
        &self.manifest().network
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.manifest().version
    }

    /// Statement digest of the pinned first manifest: what people compare.
    #[must_use]
    pub fn pinned(&self) -> Digest {
        self.pinned
    }

    /// One member.
    #[must_use]
    pub fn member(&self, ods: &OdsCode) -> Option<&Member> {
        self.manifest().member(ods)
    }

    /// Every manifest after this version, oldest first, for somebody who lacks them. Zero gives all of them.
    #[must_use]
    pub fn manifest_chain_after(&self, version: u64) -> Vec<MultiSigned<Manifest>> {
        let held = version.saturating_add(1).saturating_sub(self.first_version);
        self.chain.iter().skip(usize::try_from(held).unwrap_or(usize::MAX)).cloned().collect()
    }

    /// The manifest of one version, of those held since the first: what old receipts are verified under.
    #[must_use]
    pub fn manifest_of(&self, version: u64) -> Option<Manifest> {
        let index = usize::try_from(version.checked_sub(self.first_version)?).ok()?;
        self.chain.get(index)?.unverified().ok()
    }

    /// Whether an earlier manifest pinned this key of a member.
    #[must_use]
    pub fn was_pinned(&self, ods: &OdsCode, spki: &Digest) -> bool {
        self.pinned_before.get(ods).is_some_and(|keys| keys.contains(spki))
    }

    /// The newest time at which what is held here was known to be current: a beacon that agreed, or the manifest's own issue.
    #[must_use]
    pub fn current_as_of(&self) -> Timestamp {
        self.confirmed.unwrap_or(Timestamp(i64::MIN)).max(self.manifest().issued)
    }

    /// Says whose trust this is. From then on that member's own beacons are kept and handed on, and confirm nothing here: a node that is cut off
    /// would else find itself up to date for ever.
    #[must_use]
    pub fn of(mut self, own: OdsCode) -> Self {
        self.own = Some(own);
        self
    }

    /// Whether a member is stopped now, or this endpoint of it.
    #[must_use]
    pub fn is_suspended(&self, ods: &OdsCode, node: Option<NodeKey>, now: Timestamp) -> bool {
        use crate::manifest::SuspensionTarget::{Member, Node};
        self.active_suspensions(now).any(|s| match &s.target {
            Member(member) => member == ods,
            Node(key) => Some(*key) == node,
            crate::manifest::SuspensionTarget::Credential(_) => false,
        })
    }
}

impl Epoch {
    fn of(manifest: &Manifest) -> Self {
        Self { issued: manifest.issued, governance: manifest.governance.clone() }
    }
}

#[cfg(test)]
mod tests;
