//! Who is on the other end: a node's hello, and a person's credential.

use careweave_protocol::id::{NodeKey, OdsCode};
use careweave_protocol::identity::{
    Attestation, EndpointRole, KeyEndorsement, NodeBinding, NodeHello, StaffCredential,
};
use careweave_protocol::key::PublicKey;
use careweave_protocol::limits::{CLOCK_SKEW, EARLIER_KEYS_MAX};
use careweave_protocol::query::Cause;
use careweave_protocol::signed::{Signed, Verified};
use careweave_protocol::time::Timestamp;

use serde_bytes::ByteBuf;

use super::Trust;
use crate::chain::OrganisationCertificate;
use crate::{attest, binding, chain, staff};

/// A node whose certificate, binding and standing have been checked. Made by [`Trust::check_node`] alone; it ages, so ask
/// [`Trust::recheck`] before relying on an old one.
#[derive(Debug, Clone)]
pub struct PeerIdentity {
    certificate: OrganisationCertificate,
    chain: Vec<ByteBuf>,
    endorsement: Option<Verified<KeyEndorsement>>,
    shown_endorsement: Option<Signed<KeyEndorsement>>,
    earlier_keys: Vec<PublicKey>,
    former_keys: Vec<PublicKey>,
    binding: Verified<NodeBinding>,
    attestations: Vec<Verified<Attestation>>,
    manifest_version: u64,
    clock_ahead: i64,
}

impl PeerIdentity {
    /// The organisation.
    #[must_use]
    pub fn ods(&self) -> &OdsCode {
        self.certificate.ods()
    }

    /// The endpoint's key, which Noise proved.
    #[must_use]
    pub fn node(&self) -> NodeKey {
        self.binding.get().node
    }

    /// Which endpoint it is.
    #[must_use]
    pub fn role(&self) -> EndpointRole {
        self.binding.get().role
    }

    /// The organisation's key.
    #[must_use]
    pub fn organisation_key(&self) -> &PublicKey {
        self.certificate.key()
    }

    /// Every key under which the organisation's statements may stand: the certificate's first, then others that are accepted.
    pub fn organisation_keys(&self) -> impl Iterator<Item = &PublicKey> {
        std::iter::once(self.certificate.key()).chain(&self.earlier_keys)
    }

    /// Every key under which the credentials of those may stand who approved a colleague's: an approval counts for a year, and a key that
    /// an earlier manifest pinned may have been replaced within it.
    fn approval_keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.organisation_keys().chain(&self.former_keys)
    }

    /// The pinned key's word on the certificate's key, as it was shown; hand it to [`Trust::accept_endorsement`].
    #[must_use]
    pub fn endorsement(&self) -> Option<&Verified<KeyEndorsement>> {
        self.endorsement.as_ref()
    }

    /// The endorsement as it was shown, believed or not: who holds an older manifest than we do may still need it, and so may whoever verifies
    /// their receipts.
    #[must_use]
    pub fn shown_endorsement(&self) -> Option<&Signed<KeyEndorsement>> {
        self.shown_endorsement.as_ref()
    }

    /// The chain as it was shown, DER, leaf first.
    #[must_use]
    pub fn chain(&self) -> &[ByteBuf] {
        &self.chain
    }

    /// The organisation's certificate.
    #[must_use]
    pub fn certificate(&self) -> &OrganisationCertificate {
        &self.certificate
    }

    /// The endpoint's binding.
    #[must_use]
    pub fn binding(&self) -> &Verified<NodeBinding> {
        &self.binding
    }

    /// What registrars say about the organisation.
    #[must_use]
    pub fn attestations(&self) -> &[Verified<Attestation>] {
        &self.attestations
    }

    /// The newest manifest version it said it holds.
    #[must_use]
    pub fn manifest_version(&self) -> u64 {
        self.manifest_version
    }

    /// Seconds by which its clock is ahead of ours, at most five minutes either way.
    #[must_use]
    pub fn clock_ahead(&self) -> i64 {
        self.clock_ahead
    }
}

impl Trust {
    /// Checks a node's hello on a connection whose other end Noise has proved to be `peer`, and which must be that node's
    /// endpoint of this role.
    ///
    /// An expired manifest does not refuse here: a peer is where the next one comes from. It refuses in
    /// [`Trust::check_eligibility`].
    ///
    /// # Errors
    /// The first cause found, in the order network, protocol, clock, certificate, pin, suspension, binding.
    pub fn check_node(
        &self,
        hello: &NodeHello,
        peer: NodeKey,
        role: EndpointRole,
        now: Timestamp,
    ) -> Result<PeerIdentity, Cause> {
        let manifest = self.manifest();
        if hello.network != manifest.network {
            return Err(Cause::OtherNetwork);
        }
        if hello.protocol < manifest.protocol_min {
            return Err(Cause::Incompatible);
        }
        let clock_ahead = check_clock(hello.clock, now)?;
        let certificate = self.verify_chain(&hello.chain, hello.endorsement.as_ref(), now)?;
        let (ods, key) = (certificate.ods(), certificate.key());
        if self.is_suspended(ods, Some(peer), now) {
            return Err(Cause::Suspended);
        }
        if self.is_retired(ods, peer, now) {
            return Err(Cause::KeyRetired);
        }
        let endorsement = hello.endorsement.as_ref().and_then(|signed| self.verify_endorsement(signed, now).ok());
        let endorsement = endorsement.filter(|e| e.get().ods == *ods);
        let said = endorsement.as_ref().map(Verified::get);
        let earlier_keys: Vec<PublicKey> = hello
            .earlier_keys
            .iter()
            .take(EARLIER_KEYS_MAX)
            .filter(|earlier| *earlier != key && self.accepts_key_with(ods, &earlier.spki_hash(), said, now))
            .cloned()
            .collect();
        let former = |shown: &&PublicKey| !earlier_keys.contains(shown) && self.was_pinned(ods, &shown.spki_hash());
        let former_keys = hello.earlier_keys.iter().take(EARLIER_KEYS_MAX).filter(former).cloned().collect();
        let binding = binding::verify(&hello.binding, &manifest.network, (ods, key), (peer, role), now)?;
        let attestations = attest::verify_all(&hello.attestations, &manifest.network, ods, &manifest.registrars);
        let manifest_version = hello.manifest_version;
        let chain = hello.chain.clone();
        Ok(PeerIdentity {
            certificate,
            chain,
            endorsement,
            shown_endorsement: hello.endorsement.clone(),
            earlier_keys,
            former_keys,
            binding,
            attestations,
            manifest_version,
            clock_ahead,
        })
    }

    /// Whether a node that [`Trust::check_node`] refuses is a member's that was away while the network changed: what it holds is older than
    /// what is held here, but an organisation key that is accepted has bound its endpoint. Its certificate may be over, or stand under an
    /// authority that has left since. It is owed the manifests it lacks, and nothing else.
    #[must_use]
    pub fn is_member_behind(&self, hello: &NodeHello, peer: NodeKey, now: Timestamp) -> bool {
        let manifest = self.manifest();
        if hello.network != manifest.network || hello.manifest_version >= manifest.version {
            return false;
        }
        let Some(leaf) = hello.chain.first() else { return false };
        let Ok(claim) = chain::read(&leaf.as_slice().into(), manifest) else { return false };
        let (ods, key) = (claim.ods(), claim.key());
        let endpoint = (peer, EndpointRole::Peer);
        self.accepts_key(ods, &key.spki_hash(), now)
            && !self.is_suspended(ods, Some(peer), now)
            && !self.is_retired(ods, peer, now)
            && binding::verify(&hello.binding, &manifest.network, (ods, key), endpoint, now).is_ok()
    }

    /// Whether a node that passed [`Trust::check_node`] would still pass: for every live connection after each change of
    /// trust, and on a timer.
    ///
    /// # Errors
    /// The cause for which its connections are to be cut.
    pub fn recheck(&self, peer: &PeerIdentity, now: Timestamp) -> Result<(), Cause> {
        // The whole path again: a root or intermediate may have been tainted since, a member have left, a pin have changed.
        let shown = peer.endorsement.as_ref().map(Verified::signed);
        self.verify_chain(std::slice::from_ref(peer.certificate.der()), shown, now)?;
        if self.is_suspended(peer.ods(), Some(peer.node()), now) {
            return Err(Cause::Suspended);
        }
        if self.is_retired(peer.ods(), peer.node(), now) {
            return Err(Cause::KeyRetired);
        }
        if now >= peer.binding.get().not_after { Err(Cause::BindingExpired) } else { Ok(()) }
    }

    /// Checks a person's credential under their employer's keys: signature, life, the employer's pin, revocation, suspension, and the two
    /// people's word where a scope needs it. Gives also the key under which it stands.
    ///
    /// # Errors
    /// [`Cause::CredentialInvalid`], [`Cause::CredentialExpired`], [`Cause::CredentialRevoked`], [`Cause::Suspended`],
    /// [`Cause::NotAMember`], [`Cause::ApprovalMissing`].
    pub fn check_credential(
        &self,
        credential: &Signed<StaffCredential>,
        employer: &PeerIdentity,
        now: Timestamp,
    ) -> Result<(Verified<StaffCredential>, PublicKey), Cause> {
        let keys = || employer.organisation_keys();
        let mut last = Cause::CredentialInvalid;
        let mut found = None;
        for key in keys() {
            match staff::verify(credential, self.network(), key, now) {
                Ok(verified) => found = Some((verified, key.clone())),
                // The signature was good under this key; no other will do better.
                Err(cause @ Cause::CredentialExpired) => last = cause,
                Err(_) => {}
            }
        }
        let (verified, key) = found.ok_or(last)?;
        let ods = &verified.get().ods;
        if self.member(ods).is_none() {
            return Err(Cause::NotAMember);
        }
        let said = employer.endorsement.as_ref().map(Verified::get);
        if !self.accepts_key_with(ods, &key.spki_hash(), said, now) {
            return Err(Cause::CredentialInvalid);
        }
        let keys: Vec<&PublicKey> = employer.approval_keys().collect();
        staff::check_approvals(verified.get(), self.network(), &keys, now)?;
        let digest = verified.statement_digest();
        let stopped = self.is_suspended(ods, None, now)
            || self.is_credential_suspended(&digest, now)
            || self.is_key_suspended(&verified.get().key, now);
        if stopped {
            return Err(Cause::Suspended);
        }
        if self.is_credential_revoked(ods, &digest) { Err(Cause::CredentialRevoked) } else { Ok((verified, key)) }
    }
}

/// How many seconds the other clock is ahead, when that is within what is accepted.
///
/// # Errors
/// [`Cause::ClockSkew`] with that number.
pub(super) fn check_clock(theirs: Timestamp, now: Timestamp) -> Result<i64, Cause> {
    let ahead = theirs.0.saturating_sub(now.0);
    let bound = i64::try_from(CLOCK_SKEW.as_millis()).unwrap_or(i64::MAX);
    if ahead.saturating_abs() > bound { Err(Cause::ClockSkew(ahead / 1000)) } else { Ok(ahead / 1000) }
}
