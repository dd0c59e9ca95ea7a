//! What arrives between two manifests: suspensions, staff revocations, beacons.

use std::collections::BTreeSet;

use careweave_protocol::id::{Digest, NodeKey, OdsCode};
use careweave_protocol::identity::StaffRevocation;
use careweave_protocol::key::{PublicKey, Signer};
use careweave_protocol::limits::CLOCK_SKEW;
use careweave_protocol::signed::{Scope, Signed, SignedError, Verified};
use careweave_protocol::time::Timestamp;
use thiserror::Error;

use super::Trust;
use crate::manifest::{Beacon, SUSPENSION_LIFE, Suspension, SuspensionTarget};
use crate::revocation;

/// A suspension that has verified, and who signed it.
#[derive(Debug, Clone)]
pub(super) struct HeldSuspension {
    pub(super) statement: Verified<Suspension>,
    officer: PublicKey,
}

/// What a beacon says about what is held here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BeaconNews {
    /// It is newer than any other of its member.
    pub is_newer: bool,
    /// Its member holds a newer manifest: ask for the chain.
    pub manifest_behind: bool,
    /// Its member knew other suspensions at that time: ask for them.
    pub suspensions_differ: bool,
}

/// Why a notice was not taken in.
#[derive(Debug, Error)]
pub enum NoticeError {
    /// Malformed, or the signature does not verify under the key that should have signed.
    #[error(transparent)]
    Signed(#[from] SignedError),
    /// Signed by nobody who may.
    #[error("signed by nobody who may")]
    NotEntitled,
    /// The organisation's key is not the pinned one.
    #[error("the organisation key is not pinned in the manifest")]
    KeyNotPinned,
    /// Its life is over.
    #[error("its life is over")]
    Over,
    /// Dated in the future by more than clocks may differ.
    #[error("dated in the future")]
    FromTheFuture,
    /// Not newer than what is held.
    #[error("version {shown} is not newer than {known}")]
    Older {
        /// Its version.
        shown: u64,
        /// The version held.
        known: u64,
    },
    /// So far above what is held that nothing could ever follow it.
    #[error("version {shown} is more than {VERSION_STEP_MAX} above {known}")]
    TooFarAhead {
        /// Its version.
        shown: u64,
        /// The version held, zero for none.
        known: u64,
    },
    /// One officer has more suspensions running than is allowed.
    #[error("an officer may have {SUSPENSIONS_PER_OFFICER} suspensions running")]
    TooMany,
}

/// Suspensions of one officer that may run at once: bounds what a rogue officer can make every node keep.
const SUSPENSIONS_PER_OFFICER: usize = 1_024;
/// How far one list of revoked credentials may be above the one held. A list is signed for each person who leaves, so a node that was away for
/// years is far below this; a stolen key that jumped to the last version would shut its organisation out.
const VERSION_STEP_MAX: u64 = 1 << 20;

impl Trust {
    /// Takes in a suspension; `true` when it is new. Any one officer will do, and one who was removed since still counts for
    /// what they signed before.
    ///
    /// # Errors
    /// When it is over or not by an officer. A suspension that the manifest lifts is taken in and has no effect.
    pub fn accept_suspension(&mut self, signed: Signed<Suspension>, now: Timestamp) -> Result<bool, NoticeError> {
        let held = self.verify_suspension(&signed, now)?;
        let digest = held.statement.get().digest().map_err(SignedError::from)?;
        if self.suspensions.contains_key(&digest) {
            return Ok(false);
        }
        self.suspensions.retain(|_, s| s.statement.get().from.after(SUSPENSION_LIFE) > now);
        if self.suspensions.values().filter(|s| s.officer == held.officer).count() >= SUSPENSIONS_PER_OFFICER {
            return Err(NoticeError::TooMany);
        }
        self.suspensions.insert(digest, held);
        self.review_beacons();
        Ok(true)
    }

    /// Takes in an organisation's list of revoked credentials. The key proves itself by its hash in the manifest.
    ///
    /// A list under a key that is no longer accepted gives way to one under a key that is, whatever their versions: with the key went all
    /// credentials under it, and whoever stole it may have signed a high version.
    ///
    /// # Errors
    /// When the key is not pinned, the signature does not verify, the list is not newer than the one held or is too far above it.
    pub fn accept_revocation(
        &mut self,
        signed: &Signed<StaffRevocation>,
        organisation_key: &PublicKey,
        now: Timestamp,
    ) -> Result<(), NoticeError> {
        let ods = signed.unverified()?.ods;
        if !self.accepts_key(&ods, &organisation_key.spki_hash(), now) {
            return Err(NoticeError::KeyNotPinned);
        }
        let verified = revocation::verify(signed, self.network(), &ods, organisation_key)?;
        let list = verified.get();
        if list.issued > now.after(CLOCK_SKEW) {
            return Err(NoticeError::FromTheFuture);
        }
        let held = self.revocations.get(&ods).map(|(held, by)| (held.get().version, by.spki_hash()));
        let known = held.map_or(0, |(version, _)| version);
        if list.version > known.saturating_add(VERSION_STEP_MAX) {
            return Err(NoticeError::TooFarAhead { shown: list.version, known });
        }
        match held {
            Some((known, by)) if list.version <= known && self.accepts_key(&ods, &by, now) => {
                Err(NoticeError::Older { shown: list.version, known })
            }
            _ => {
                self.revocations.insert(ods, (verified, organisation_key.clone()));
                Ok(())
            }
        }
    }

    /// Takes in a beacon and says what it shows to be missing here.
    ///
    /// # Errors
    /// When its member runs no beacon, the signature does not verify, or it is dated in the future.
    pub fn accept_beacon(&mut self, signed: &Signed<Beacon>, now: Timestamp) -> Result<BeaconNews, NoticeError> {
        let verified = self.verify_beacon(signed)?;
        let beacon = verified.get().clone();
        if beacon.time > now.after(CLOCK_SKEW) {
            return Err(NoticeError::FromTheFuture);
        }
        let news = BeaconNews {
            is_newer: self.beacons.get(&beacon.ods).is_none_or(|held| held.get().time < beacon.time),
            manifest_behind: beacon.manifest_version > self.version(),
            suspensions_differ: beacon.suspensions != self.suspensions_digest(beacon.time),
        };
        if news.is_newer {
            self.beacons.insert(beacon.ods, verified);
            self.review_beacons();
        }
        Ok(news)
    }

    /// What this node would say in a beacon of its own now.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn sign_beacon(
        &self,
        ods: &OdsCode,
        key: &dyn Signer,
        now: Timestamp,
    ) -> Result<Verified<Beacon>, SignedError> {
        let beacon = Beacon {
            ods: ods.clone(),
            manifest_version: self.version(),
            suspensions: self.suspensions_digest(now),
            time: now,
        };
        Signed::sign(&beacon, Scope::network(self.network()), key)
    }

    /// Whether the manifest lets this key sign beacons for this member.
    #[must_use]
    pub fn runs_beacon(&self, ods: &OdsCode, key: NodeKey) -> bool {
        self.manifest().beacons.iter().any(|b| b.ods == *ods && b.key.node_key() == Some(key))
    }

    /// SHA-256 over the statement digests of every suspension running at this time, ascending; those that the manifest
    /// confirms or lifts are the manifest's business and its version covers them.
    #[must_use]
    pub fn suspensions_digest(&self, at: Timestamp) -> Digest {
        let running = self.suspensions.iter().filter(|(digest, held)| {
            let from = held.statement.get().from;
            from <= at && at < from.after(SUSPENSION_LIFE) && !self.manifest().lifted.contains(digest)
        });
        let digests: Vec<&[u8]> = running.map(|(digest, _)| digest.as_bytes().as_slice()).collect();
        Digest::of(&digests)
    }

    /// Suspensions held, for somebody who lacks them.
    pub fn suspensions(&self) -> impl Iterator<Item = &Signed<Suspension>> {
        self.suspensions.values().map(|held| held.statement.signed())
    }

    /// Staff revocations held, each with the organisation key that signed it.
    pub fn revocations(&self) -> impl Iterator<Item = (&Signed<StaffRevocation>, &PublicKey)> {
        self.revocations.values().map(|(held, key)| (held.signed(), key))
    }

    /// Those of them that others would take in now: under a key that is accepted no more a list stays in force here, and everybody who does not
    /// hold it would refuse it.
    pub fn accepted_revocations(&self, now: Timestamp) -> impl Iterator<Item = (&Signed<StaffRevocation>, &PublicKey)> {
        let accepted =
            self.revocations.iter().filter(move |(ods, (_, key))| self.accepts_key(ods, &key.spki_hash(), now));
        accepted.map(|(_, (held, key))| (held.signed(), key))
    }

    /// The newest beacon of each member that runs one.
    pub fn beacons(&self) -> impl Iterator<Item = &Signed<Beacon>> {
        self.beacons.values().map(Verified::signed)
    }

    /// Suspensions in force: running ones that no manifest lifted, and those the manifest confirms.
    pub fn active_suspensions(&self, now: Timestamp) -> impl Iterator<Item = &Suspension> {
        let lifted = &self.manifest().lifted;
        let begun = move |s: &Suspension| s.from <= now.after(CLOCK_SKEW);
        let running = self.suspensions.iter().filter(move |(digest, held)| {
            let suspension = held.statement.get();
            begun(suspension) && now < suspension.from.after(SUSPENSION_LIFE) && !lifted.contains(digest)
        });
        let confirmed = self.manifest().suspended.iter().filter(move |s| begun(s));
        running.map(|(_, held)| held.statement.get()).chain(confirmed)
    }

    /// Whether a staff credential is stopped by governance now.
    #[must_use]
    pub fn is_credential_suspended(&self, credential: &Digest, now: Timestamp) -> bool {
        self.active_suspensions(now).any(|s| s.target == SuspensionTarget::Credential(*credential))
    }

    /// Whether governance has stopped this key now, be it an endpoint's or a person's. A person keeps their key when their credential is
    /// renewed, so this stops every credential for it.
    #[must_use]
    pub fn is_key_suspended(&self, key: &NodeKey, now: Timestamp) -> bool {
        self.active_suspensions(now).any(|s| s.target == SuspensionTarget::Node(*key))
    }

    /// Whether the employer has revoked this credential.
    #[must_use]
    pub fn is_credential_revoked(&self, ods: &OdsCode, credential: &Digest) -> bool {
        self.revocations.get(ods).is_some_and(|(held, _)| revocation::revokes(held.get(), credential))
    }

    /// Everything the employer has revoked, to look many credentials up in.
    #[must_use]
    pub fn revoked_credentials(&self, ods: &OdsCode) -> BTreeSet<Digest> {
        let list = self.revocations.get(ods).map(|(held, _)| held.get());
        list.into_iter().flat_map(|list| &list.revoked).map(|entry| entry.credential).collect()
    }

    /// After the manifest changed: officers, members and beacon keys may have.
    pub(super) fn review_notices(&mut self, now: Timestamp) {
        let held = std::mem::take(&mut self.suspensions);
        for (digest, suspension) in held {
            if self.verify_suspension(suspension.statement.signed(), now).is_ok() {
                self.suspensions.insert(digest, suspension);
            }
        }
        let held = std::mem::take(&mut self.revocations);
        // A retired organisation key's list still counts; a member that left takes its list along.
        self.revocations = held.into_iter().filter(|(ods, _)| self.member(ods).is_some()).collect();
        let held = std::mem::take(&mut self.endorsements);
        self.endorsements =
            held.into_iter().filter(|(_, e)| self.verify_endorsement(e.signed(), now).is_ok()).collect();
        let held = std::mem::take(&mut self.beacons);
        self.beacons = held.into_iter().filter(|(_, b)| self.verify_beacon(b.signed()).is_ok()).collect();
        self.review_retired(now);
        self.review_beacons();
    }

    /// A beacon proves that what is held here was current only when it speaks of the same manifest and suspensions.
    fn review_beacons(&mut self) {
        let agrees = |b: &&Beacon| {
            self.own.as_ref() != Some(&b.ods)
                && b.manifest_version == self.version()
                && b.suspensions == self.suspensions_digest(b.time)
        };
        let newest = self.beacons.values().map(Verified::get).filter(agrees).map(|b| b.time).max();
        self.confirmed = self.confirmed.max(newest);
    }

    fn verify_suspension(&self, signed: &Signed<Suspension>, now: Timestamp) -> Result<HeldSuspension, NoticeError> {
        let claim = signed.unverified()?;
        if claim.from > now.after(CLOCK_SKEW) {
            return Err(NoticeError::FromTheFuture);
        }
        if now >= claim.from.after(SUSPENSION_LIFE) {
            return Err(NoticeError::Over);
        }
        let scope = Scope::network(self.network());
        let by = |officer: PublicKey| {
            let statement = signed.verify(scope, &officer).ok()?;
            Some(HeldSuspension { statement, officer })
        };
        self.officers_since(claim.from).into_iter().find_map(by).ok_or(NoticeError::NotEntitled)
    }

    /// Everybody who was an officer at this time or later: a removed officer's last suspensions run out by themselves, and
    /// nothing they date after their removal is believed.
    fn officers_since(&self, from: Timestamp) -> BTreeSet<PublicKey> {
        let successors = self.epochs.iter().skip(1).map(|e| Some(e.issued)).chain([None]);
        let governed = self.epochs.iter().zip(successors).filter(|(_, until)| until.is_none_or(|u| u >= from));
        governed.flat_map(|(epoch, _)| epoch.governance.keys.iter().cloned()).collect()
    }

    pub(super) fn verify_beacon(&self, signed: &Signed<Beacon>) -> Result<Verified<Beacon>, NoticeError> {
        let ods = signed.unverified()?.ods;
        let scope = Scope::network(self.network());
        let mut keys = self.manifest().beacons.iter().filter(|b| b.ods == ods);
        keys.find_map(|b| signed.verify(scope, &b.key).ok()).ok_or(NoticeError::NotEntitled)
    }
}
