//! What an organisation has issued and can therefore revoke and renew.

use std::collections::{BTreeMap, BTreeSet};

use careweave_protocol::cbor::{self, CborError};
use careweave_protocol::id::{Digest, NodeKey, PersonId};
use careweave_protocol::identity::{Approval, StaffCredential};
use careweave_protocol::key::PublicKey;
use careweave_protocol::limits::{APPROVAL_LIFE, CLOCK_SKEW};
use careweave_protocol::signed::{Signed, SignedError, Verified};
use careweave_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The organisation's register of issued credentials that have not expired.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// In the order they were issued.
    pub issued: Vec<IssuedCredential>,
    /// When each person was last revoked: nobody's word of before counts, nor does a word about them. Kept for as long as a word would count.
    pub revoked: BTreeMap<PersonId, Timestamp>,
}

/// How close to the word its giver's credential must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Given for a credential that is issued now: the very credential that the approver showed runs.
    Given,
    /// Carried along by a renewal: a later credential of the same person and key will do, because a word counts for longer than a credential.
    Carried,
}

/// One line of the register. It keeps the credential itself, because that is all a renewal needs (the person's key, which the request
/// proved, and every claim), and because it is signed: whoever alters the register cannot have somebody else's claims renewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedCredential {
    /// SHA-256 of the credential without its signature ([`Verified::statement_digest`]).
    pub digest: Digest,
    /// Whose it is.
    pub person: PersonId,
    /// Their own key.
    pub key: NodeKey,
    /// When it was issued.
    pub issued: Timestamp,
    /// First instant at which it no longer holds.
    pub not_after: Timestamp,
    /// SHA-256 of the organisation key that signed it ([`PublicKey::spki_hash`]): while a credential runs, its key must be accepted.
    pub signed_by: Digest,
    /// The credential.
    pub credential: Signed<StaffCredential>,
}

impl Register {
    /// Reads a register.
    ///
    /// # Errors
    /// When the bytes are none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CborError> {
        cbor::from_slice(bytes, REGISTER_MAX)
    }

    /// The register in bytes.
    ///
    /// # Errors
    /// When it cannot be encoded, which no register causes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CborError> {
        cbor::to_vec(self)
    }

    /// Enters a credential that this organisation key has signed, and leaves out what has expired.
    pub fn enter(&mut self, credential: &Verified<StaffCredential>, organisation: &PublicKey, now: Timestamp) {
        let claim = credential.get();
        self.issued.retain(|c| c.not_after > now);
        self.issued.push(IssuedCredential {
            digest: credential.statement_digest(),
            person: claim.person.clone(),
            key: claim.key,
            issued: now,
            not_after: claim.not_after,
            signed_by: organisation.spki_hash(),
            credential: credential.signed().clone(),
        });
    }

    /// Remembers that a person was revoked, and forgets what no word is left of.
    pub fn note_revoked(&mut self, person: &PersonId, now: Timestamp) {
        self.revoked.retain(|_, at| now < at.after(APPROVAL_LIFE).after(CLOCK_SKEW));
        self.revoked.insert(person.clone(), now);
    }

    /// Whether an approver's word counts with their own employer: they still work here, under the key they gave it with, and neither they nor
    /// whom it is about has been revoked since. `is_stopped` says whether a credential is revoked or suspended. That the word itself verifies is
    /// [`super::check_approvals`]'s to say.
    pub fn keeps_word(
        &self,
        approval: &Approval,
        word: Word,
        is_stopped: impl Fn(&IssuedCredential) -> bool,
        now: Timestamp,
    ) -> bool {
        let (Ok(approver), Ok(said)) = (approval.credential.unverified(), approval.approval.unverified()) else {
            return false;
        };
        let is_theirs = |c: &IssuedCredential| {
            let own = c.person == approver.person && c.key == approver.key;
            own && match word {
                Word::Given => c.claims().is_ok_and(|claims| claims == approver),
                Word::Carried => true,
            }
        };
        let runs = self.running(now).any(|c| is_theirs(c) && !is_stopped(c));
        let since = |person| self.revoked.get(person).is_none_or(|at| *at < said.at);
        runs && since(&approver.person) && since(&said.person)
    }

    /// Credentials that still run, in the order they were issued.
    pub fn running(&self, now: Timestamp) -> impl Iterator<Item = &IssuedCredential> {
        self.issued.iter().filter(move |c| c.not_after > now)
    }

    /// Credentials that a later one of the same person and key has replaced, so that these need not be renewed.
    #[must_use]
    pub fn replaced(&self) -> BTreeSet<Digest> {
        let mut newest = BTreeMap::new();
        let entered = self.issued.iter().filter_map(|c| newest.insert((&c.person, c.key), c.digest));
        entered.collect()
    }

    /// Everybody with a running credential, and the one that a renewal follows: the newest of their newest key. A key whose newest
    /// credential was revoked is out; `None` for somebody who has no other.
    pub fn renewable(
        &self,
        is_revoked: impl Fn(&Digest) -> bool,
        now: Timestamp,
    ) -> BTreeMap<PersonId, Option<&IssuedCredential>> {
        let mut newest = BTreeMap::new();
        for (place, credential) in self.running(now).enumerate() {
            // The later one replaces the earlier.
            newest.insert((&credential.person, credential.key), (place, credential));
        }
        let mut people: BTreeMap<PersonId, Option<(usize, &IssuedCredential)>> = BTreeMap::new();
        for ((person, _), (place, credential)) in newest {
            let chosen = people.entry(person.clone()).or_default();
            if !is_revoked(&credential.digest) && chosen.is_none_or(|(held, _)| held < place) {
                *chosen = Some((place, credential));
            }
        }
        people.into_iter().map(|(person, chosen)| (person, chosen.map(|(_, credential)| credential))).collect()
    }
}

impl IssuedCredential {
    /// What it says, as the organisation wrote it down; verify [`IssuedCredential::credential`] before anything rests on it.
    ///
    /// # Errors
    /// When the register was altered.
    pub fn claims(&self) -> Result<StaffCredential, SignedError> {
        self.credential.unverified()
    }
}

/// File name of a person's renewed credential in [`crate::layout::RENEWED`]: a digest, because file names of a node tell nobody who
/// works there.
#[must_use]
pub fn renewed_name(person: &PersonId) -> String {
    format!("{}.cbor", Digest::of(&[person.as_str().as_bytes()]))
}

/// A register of the largest trust: 20,000 staff whose credentials of 30 days are renewed every week, so five of about 600 bytes each.
pub const REGISTER_MAX: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests;
