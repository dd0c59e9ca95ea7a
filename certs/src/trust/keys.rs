//! Which keys of a member are accepted: those the manifest pins, the successor that a pinned key endorses; and endpoints that their
//! organisation has replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use careweave_protocol::id::{Digest, NetworkId, NodeKey, OdsCode};
use careweave_protocol::identity::{KeyEndorsement, NodeBinding};
use careweave_protocol::key::{PublicKey, Signer};
use careweave_protocol::limits::{BINDING_LIFE, CLOCK_SKEW, ENDORSEMENT_LIFE};
use careweave_protocol::query::Cause;
use careweave_protocol::signed::{Scope, Signed, SignedError, Verified};
use careweave_protocol::time::Timestamp;

use super::{NoticeError, Trust};
use crate::authority::BACK_DATING;
use crate::chain::{self, OrganisationCertificate};
use crate::manifest::Manifest;

/// Replaced endpoints remembered of one member: each is refused until its last binding has run out, a week later, and a member replaces
/// one a year. Per member, so that nobody can crowd out another's.
const RETIRED_PER_MEMBER: usize = 16;

/// How much later an endorsement must say the same again, and how much earlier a retirement, to count as new: what is new is written down and
/// handed on by every node, and nobody is to make them do so by a millisecond at a time.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// One replaced endpoint: by the hash of each organisation key under which its organisation said so, from when it is refused, and when that may
/// be forgotten.
pub(super) type Retirements = BTreeMap<Digest, (Timestamp, Timestamp)>;

/// Signs an endorsement: `organisation`, the pinned key, says that `successor` is the organisation's as well.
///
/// # Errors
/// When the key cannot sign.
pub fn endorse(
    network: &NetworkId,
    ods: &OdsCode,
    successor: &PublicKey,
    organisation: &dyn Signer,
    now: Timestamp,
) -> Result<Verified<KeyEndorsement>, SignedError> {
    let endorsement = KeyEndorsement {
        ods: ods.clone(),
        endorser: organisation.public_key(),
        successor: successor.clone(),
        issued: now,
        expires: now.after(ENDORSEMENT_LIFE),
    };
    Signed::sign(&endorsement, Scope::network(network), organisation)
}

impl Trust {
    /// Whether an organisation key of a member is accepted now: pinned, or endorsed by a pinned one.
    #[must_use]
    pub fn accepts_key(&self, ods: &OdsCode, spki: &Digest, now: Timestamp) -> bool {
        self.accepts_key_with(ods, spki, None, now)
    }

    /// Takes in an organisation's word on its next key; `true` when it is new. The same word again, dated less than `AGAIN_AFTER` later, is not.
    ///
    /// # Errors
    /// When the endorser is not pinned, the signature does not verify, or its life is over, too long, or yet to come.
    pub fn accept_endorsement(&mut self, signed: &Signed<KeyEndorsement>, now: Timestamp) -> Result<bool, NoticeError> {
        let verified = self.verify_endorsement(signed, now)?;
        let ods = verified.get().ods.clone();
        match self.endorsements.get(&ods).map(Verified::get) {
            Some(held) if *held == *verified.get() => Ok(false),
            Some(held) if rank(held) >= rank(verified.get()) && self.endorser_is_pinned(held) => {
                let at = |time: Timestamp| u64::try_from(time.0).unwrap_or(0);
                Err(NoticeError::Older { shown: at(verified.get().issued), known: at(held.issued) })
            }
            Some(held) if says_the_same(held, verified.get()) => Ok(false),
            _ => {
                self.endorsements.insert(ods, verified);
                Ok(true)
            }
        }
    }

    /// Endorsements held, for somebody who lacks them.
    pub fn endorsements(&self) -> impl Iterator<Item = &Signed<KeyEndorsement>> {
        self.endorsements.values().map(Verified::signed)
    }

    /// The endorsement of a member's next key, where one is held.
    #[must_use]
    pub fn endorsement(&self, ods: &OdsCode) -> Option<&Verified<KeyEndorsement>> {
        self.endorsements.get(ods)
    }

    /// Verifies an endorsement without taking it in.
    ///
    /// # Errors
    /// As [`Trust::accept_endorsement`].
    pub fn verify_endorsement(
        &self,
        signed: &Signed<KeyEndorsement>,
        now: Timestamp,
    ) -> Result<Verified<KeyEndorsement>, NoticeError> {
        verify_endorsement(signed, self.manifest(), now)
    }

    /// Verifies a chain against what is believed, and against an endorsement shown with it.
    ///
    /// # Errors
    /// As [`chain::verify`].
    pub fn verify_chain<C: AsRef<[u8]>>(
        &self,
        chain: &[C],
        shown: Option<&Signed<KeyEndorsement>>,
        now: Timestamp,
    ) -> Result<OrganisationCertificate, Cause> {
        // One that does not verify is as if it had not been shown: the chain then fails for its key, by name.
        let shown = shown.and_then(|signed| self.verify_endorsement(signed, now).ok());
        let accepts =
            |ods: &OdsCode, spki: &Digest| self.accepts_key_with(ods, spki, shown.as_ref().map(Verified::get), now);
        chain::verify_pinned(chain, self.manifest(), accepts, now)
    }

    /// As [`Trust::accepts_key`], counting an endorsement that has verified beside those held.
    pub(super) fn accepts_key_with(
        &self,
        ods: &OdsCode,
        spki: &Digest,
        shown: Option<&KeyEndorsement>,
        now: Timestamp,
    ) -> bool {
        let Some(member) = self.member(ods) else { return false };
        let held = self.endorsements.get(ods).map(Verified::get);
        let endorsed = |endorsement: &KeyEndorsement| {
            endorsement.ods == *ods
                && endorsement.successor.spki_hash() == *spki
                && now < endorsement.expires
                && self.endorser_is_pinned(endorsement)
        };
        // A later endorsement replaces an earlier one, whichever way it came.
        let all = held.into_iter().chain(shown.filter(|s| s.ods == *ods));
        let newest = all.max_by(|a, b| rank(a).cmp(&rank(b)));
        member.key.accepts(spki) || newest.is_some_and(endorsed)
    }

    /// Remembers which endpoint a verified binding replaces, and the hash of the organisation key under which the binding stands; `true` when
    /// that is new. Said again with an earlier instant (by `AGAIN_AFTER`), the earlier one holds: an organisation brings the end of a stolen
    /// key forward, and never puts it off. What was said under a key that is no longer accepted goes with that key.
    ///
    /// Only the organisation's own endpoints: a key belongs to whoever has shown a binding for it, and nobody else can end it.
    pub fn note_retired(&mut self, binding: &NodeBinding, signer: Digest, now: Timestamp) -> bool {
        let Some(retired) = binding.retires else { return false };
        self.retain_retired(|_, _, forget| forget > now);
        let key = (binding.ods.clone(), retired.node);
        let known = self.retired.get(&key).and_then(|by| by.get(&signer)).copied();
        let adds_nothing = known.is_some_and(|(from, _)| from < retired.from.after(AGAIN_AFTER));
        if retired.node == binding.node || adds_nothing {
            return false;
        }
        if known.is_none() {
            self.make_room(&binding.ods);
        }
        let last_binding_over = retired.from.max(now).after(BINDING_LIFE + BACK_DATING);
        let forget = known.map_or(last_binding_over, |(_, forget)| forget.max(last_binding_over));
        self.retired.entry(key).or_default().insert(signer, (retired.from, forget));
        true
    }

    /// Whether the organisation has replaced this endpoint, and the overlap is over.
    #[must_use]
    pub fn is_retired(&self, ods: &OdsCode, node: NodeKey, now: Timestamp) -> bool {
        let by = self.retired.get(&(ods.clone(), node));
        by.is_some_and(|by| by.values().any(|(from, _)| now >= *from))
    }

    /// After the manifest changed: what a key said that is no longer accepted, perhaps because it was stolen, counts no more. What the
    /// organisation itself goes on saying stands in every binding it shows.
    pub(super) fn review_retired(&mut self, now: Timestamp) {
        let mut accepted = BTreeSet::new();
        for ((ods, _), by) in &self.retired {
            let keys = by.keys().filter(|key| self.accepts_key(ods, key, now));
            accepted.extend(keys.map(|key| (ods.clone(), *key)));
        }
        self.retain_retired(|ods, signer, _| accepted.contains(&(ods.clone(), *signer)));
    }

    fn retain_retired(&mut self, keep: impl Fn(&OdsCode, &Digest, Timestamp) -> bool) {
        self.retired.retain(|(ods, _), by| {
            by.retain(|signer, (_, forget)| keep(ods, signer, *forget));
            !by.is_empty()
        });
    }

    /// One more of this member: while it has no slot left, the one that would be forgotten soonest goes.
    fn make_room(&mut self, ods: &OdsCode) {
        loop {
            let own = self.retired.iter().filter(|((of, _), _)| of == ods);
            let own = own.flat_map(|((_, node), by)| by.iter().map(|(signer, (_, forget))| (*forget, *node, *signer)));
            let all: BTreeSet<_> = own.collect();
            let soonest = all.first().filter(|_| all.len() >= RETIRED_PER_MEMBER).copied();
            let Some((_, node, signer)) = soonest else { return };
            let key = (ods.clone(), node);
            if let Some(by) = self.retired.get_mut(&key) {
                by.remove(&signer);
                if by.is_empty() {
                    self.retired.remove(&key);
                }
            }
        }
    }

    fn endorser_is_pinned(&self, endorsement: &KeyEndorsement) -> bool {
        is_pinned(self.manifest(), endorsement)
    }
}

/// Verifies an endorsement under the pins of one manifest at one time.
///
/// # Errors
/// As [`Trust::accept_endorsement`].
pub(crate) fn verify_endorsement(
    signed: &Signed<KeyEndorsement>,
    manifest: &Manifest,
    now: Timestamp,
) -> Result<Verified<KeyEndorsement>, NoticeError> {
    let claim = signed.unverified()?;
    if !is_pinned(manifest, &claim) {
        return Err(NoticeError::KeyNotPinned);
    }
    let verified = signed.verify(Scope::network(&manifest.network), &claim.endorser)?;
    if claim.issued > now.after(CLOCK_SKEW) || claim.expires > claim.issued.after(ENDORSEMENT_LIFE) {
        return Err(NoticeError::FromTheFuture);
    }
    if now >= claim.expires { Err(NoticeError::Over) } else { Ok(verified) }
}

fn is_pinned(manifest: &Manifest, endorsement: &KeyEndorsement) -> bool {
    manifest.member(&endorsement.ods).is_some_and(|m| m.key.accepts(&endorsement.endorser.spki_hash()))
}

/// Whether an endorsement says no more than the one held, at nearly the same time.
fn says_the_same(held: &KeyEndorsement, shown: &KeyEndorsement) -> bool {
    held.successor == shown.successor
        && held.endorser == shown.endorser
        && shown.issued < held.issued.after(AGAIN_AFTER)
}

/// Which of two endorsements of one organisation counts: the later one, and of two of one instant always the same, whichever came first.
fn rank(endorsement: &KeyEndorsement) -> (Timestamp, &PublicKey, Timestamp, &PublicKey) {
    (endorsement.issued, &endorsement.successor, endorsement.expires, &endorsement.endorser)
}
