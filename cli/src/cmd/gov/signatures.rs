//! Who has signed a draft, and who has not yet.

use careweave_certs::manifest::{Governance, Manifest};
use careweave_certs::trust::Trust;
use careweave_protocol::id::Digest;
use careweave_protocol::key::PublicKey;
use careweave_protocol::signed::MultiSigned;
use serde_json::{Value, json};

use crate::error::CliError;

/// The two quorums that a draft needs: of its own officers, and of those of the manifest that holds.
pub(super) struct Signatures {
    pub(super) own: Quorum,
    pub(super) previous: Option<Quorum>,
}

/// One quorum.
pub(super) struct Quorum {
    needed: u32,
    signed: Vec<Digest>,
    missing: Vec<Digest>,
}

impl Signatures {
    /// Counts.
    ///
    /// # Errors
    /// When the draft is damaged.
    pub(super) fn of(
        signed: &MultiSigned<Manifest>,
        manifest: &Manifest,
        held: Option<&Trust>,
    ) -> Result<Self, CliError> {
        let count = |governance: &Governance| Quorum::of(signed, manifest, governance);
        let previous = held.map(|trust| count(&trust.manifest().governance)).transpose()?;
        Ok(Self { own: count(&manifest.governance)?, previous })
    }

    /// Whether both have enough.
    pub(super) fn are_enough(&self) -> bool {
        self.own.is_met() && self.previous.as_ref().is_none_or(Quorum::is_met)
    }

    /// In words, a line each.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = self.own.lines("officers");
        // Where the officers stay, the two quorums are the same people and saying it twice tells nothing.
        if let Some(previous) = self.previous.as_ref().filter(|previous| **previous != self.own) {
            lines.extend(previous.lines("officers of the manifest that holds"));
        }
        lines
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        json!({ "own": self.own.json(), "previous": self.previous.as_ref().map(Quorum::json), "enough": self.are_enough() })
    }
}

impl Quorum {
    fn of(signed: &MultiSigned<Manifest>, manifest: &Manifest, governance: &Governance) -> Result<Self, CliError> {
        let have = signed.signers(&manifest.network, &governance.keys)?;
        let (signed, missing): (Vec<&PublicKey>, Vec<&PublicKey>) =
            governance.keys.iter().partition(|key| have.contains(key));
        let hashes = |keys: Vec<&PublicKey>| keys.into_iter().map(PublicKey::spki_hash).collect();
        Ok(Self { needed: governance.threshold, signed: hashes(signed), missing: hashes(missing) })
    }

    /// How many have signed.
    pub(super) fn count(&self) -> usize {
        self.signed.len()
    }

    /// How many must.
    pub(super) fn needed(&self) -> u32 {
        self.needed
    }

    fn is_met(&self) -> bool {
        u32::try_from(self.count()).is_ok_and(|count| count >= self.needed)
    }

    fn lines(&self, whose: &str) -> Vec<String> {
        let mut lines = vec![format!("signed by {} of {} {whose}", self.count(), self.needed)];
        lines.extend(self.signed.iter().map(|hash| format!("  signed   {hash}")));
        let word = if self.is_met() { "may sign" } else { "not yet " };
        lines.extend(self.missing.iter().map(|hash| format!("  {word} {hash}")));
        lines
    }

    fn json(&self) -> Value {
        let texts = |hashes: &[Digest]| hashes.iter().map(ToString::to_string).collect::<Vec<_>>();
        json!({ "needed": self.needed, "signed": texts(&self.signed), "missing": texts(&self.missing) })
    }
}

impl PartialEq for Quorum {
    fn eq(&self, other: &Self) -> bool {
        (self.needed, &self.signed, &self.missing) == (other.needed, &other.signed, &other.missing)
    }
}
