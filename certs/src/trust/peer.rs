//! Who is on the other end: a node's hello, and a person's credential.

use careweave_protocol::id::{NodeKey, OdsCode};
use careweave_protocol::identity::{
    Attestation, EndpointRole, NodeBinding, NodeHello, StaffCredential, StaffRevocation,
};
use careweave_protocol::key::PublicKey;
use careweave_protocol::limits::CLOCK_SKEW;
use careweave_protocol::query::Cause;
use careweave_protocol::signed::{Signed, Verified};
use careweave_protocol::time::Timestamp;

use super::Trust;
use crate::chain::{self, OrganisationCertificate};
use crate::{attest, binding, revocation, staff};

/// A node whose certificate, binding and standing have been checked. Made by [`Trust::check_node`] alone; it ages, so ask
/// [`Trust::recheck`] before relying on an old one.
#[derive(Debug, Clone)]
pub struct PeerIdentity {
    certificate: OrganisationCertificate,
    binding: Verified<NodeBinding>,
    attestations: Vec<Verified<Attestation>>,
    revocation: Option<Verified<StaffRevocation>>,
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

    /// The list of revoked credentials it showed; hand it to [`Trust::accept_revocation`].
    #[must_use]
    pub fn revocation(&self) -> Option<&Verified<StaffRevocation>> {
        self.revocation.as_ref()
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
    /// The first cause found, in the order network, protocol, clock, certificate, pin, suspension, binding, revocation list.
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
        let certificate = chain::verify(&hello.chain, manifest, now)?;
        let (ods, key) = (certificate.ods(), certificate.key());
        if self.is_suspended(ods, Some(peer), now) {
            return Err(Cause::Suspended);
        }
        let binding = binding::verify(&hello.binding, &manifest.network, (ods, key), (peer, role), now)?;
        let revocation = match &hello.revocation {
            Some(list) => {
                Some(revocation::verify(list, &manifest.network, ods, key).map_err(|_| Cause::SignatureInvalid)?)
            }
            None => None,
        };
        let attestations = attest::verify_all(&hello.attestations, &manifest.network, ods, &manifest.registrars);
        let manifest_version = hello.manifest_version;
        Ok(PeerIdentity { certificate, binding, attestations, revocation, manifest_version, clock_ahead })
    }

    /// Whether a node that passed [`Trust::check_node`] would still pass: for every live connection after each change of
    /// trust, and on a timer.
    ///
    /// # Errors
    /// The cause for which its connections are to be cut.
    pub fn recheck(&self, peer: &PeerIdentity, now: Timestamp) -> Result<(), Cause> {
        // The whole path again: a root or intermediate may have been tainted since, a member have left, a pin have changed.
        chain::verify(std::slice::from_ref(peer.certificate.der()), self.manifest(), now)?;
        if self.is_suspended(peer.ods(), Some(peer.node()), now) {
            return Err(Cause::Suspended);
        }
        if now >= peer.binding.get().not_after { Err(Cause::BindingExpired) } else { Ok(()) }
    }

    /// Checks a person's credential under their employer's key: signature, life, the employer's pin, revocation, suspension.
    ///
    /// # Errors
    /// [`Cause::CredentialInvalid`], [`Cause::CredentialExpired`], [`Cause::CredentialRevoked`], [`Cause::Suspended`],
    /// [`Cause::NotAMember`].
    pub fn check_credential(
        &self,
        credential: &Signed<StaffCredential>,
        organisation_key: &PublicKey,
        now: Timestamp,
    ) -> Result<Verified<StaffCredential>, Cause> {
        let verified = staff::verify(credential, self.network(), organisation_key, now)?;
        let ods = &verified.get().ods;
        let employer = self.member(ods).ok_or(Cause::NotAMember)?;
        if !employer.key.accepts(&organisation_key.spki_hash()) {
            return Err(Cause::CredentialInvalid);
        }
        let digest = verified.statement_digest();
        if self.is_suspended(ods, None, now) || self.is_credential_suspended(&digest, now) {
            return Err(Cause::Suspended);
        }
        if self.is_credential_revoked(ods, &digest) { Err(Cause::CredentialRevoked) } else { Ok(verified) }
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
