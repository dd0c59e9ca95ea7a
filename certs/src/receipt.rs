//! Verifying an old receipt: what a holder signed stands although its keys, its certificate and the authorities have changed
//! since, because every manifest since the first is kept and says who was believed then.
//!
//! Nothing of today counts: not the clock, not the manifest in force, not a later suspension. Only the manifest that the
//! receipt names, and the instant at which it says it was decided.

use careweave_protocol::audit;
use careweave_protocol::desk::PeerEvidence;
use careweave_protocol::id::{Digest, OdsCode};
use careweave_protocol::identity::{EndpointRole, KeyEndorsement};
use careweave_protocol::key::PublicKey;
use careweave_protocol::query::{AnswerHeader, Cause};
use careweave_protocol::signed::{Scope, Signed, SignedError, Verified};
use careweave_protocol::time::Timestamp;
use thiserror::Error;

use crate::chain::OrganisationCertificate;
use crate::manifest::Manifest;
use crate::trust::{NoticeError, Trust, verify_endorsement};
use crate::{binding, chain};

/// Why a receipt proves nothing: the first link that does not hold.
#[derive(Debug, Error)]
pub enum ReceiptError {
    /// The header or its binding cannot be read.
    #[error("the receipt cannot be read: {0}")]
    Unreadable(SignedError),
    /// Another organisation's answer.
    #[error("the receipt is {shown}'s, not {expected}'s")]
    OtherHolder {
        /// Whom it names.
        shown: OdsCode,
        /// Whose it should be.
        expected: OdsCode,
    },
    /// An answer to another organisation.
    #[error("the receipt was made out to {shown}, not to {expected}")]
    OtherAsker {
        /// Whom it names.
        shown: OdsCode,
        /// To whom it should be.
        expected: OdsCode,
    },
    /// The manifest it was decided under was never held here.
    #[error("manifest version {0}, which the receipt names, is not held here")]
    UnknownManifest(u64),
    /// The key of the holder's certificate was not pinned, and the word of a pinned one does not hold.
    #[error("the endorsement of the holder's key: {0}")]
    Endorsement(NoticeError),
    /// The holder's certificate did not stand under that manifest at that time.
    #[error("the holder's certificate: {0}")]
    Certificate(Cause),
    /// The certificate is good, and somebody else's.
    #[error("the certificate is {0}'s")]
    OtherOrganisation(OdsCode),
    /// The answering endpoint was not the holder's at that time.
    #[error("the binding of the holder's node: {0}")]
    Binding(Cause),
    /// The header is not signed by that endpoint, to that asker.
    #[error("the signature of the receipt: {0}")]
    Signature(SignedError),
    /// The decision is not in the holder's log under a checkpoint of that endpoint.
    #[error("the holder's log: {0}")]
    Log(audit::ReceiptError),
}

/// Verifies a receipt under the manifest that it names, of those held since the first.
///
/// # Errors
/// See [`ReceiptError`].
pub fn verify(
    trust: &Trust,
    asker: &OdsCode,
    holder: &OdsCode,
    header: &Signed<AnswerHeader>,
    evidence: &PeerEvidence,
) -> Result<Verified<AnswerHeader>, ReceiptError> {
    let version = header.unverified().map_err(ReceiptError::Unreadable)?.manifest_version;
    let manifest = trust.manifest_of(version).ok_or(ReceiptError::UnknownManifest(version))?;
    verify_under(&manifest, asker, holder, header, evidence)
}

/// As [`verify`], under a manifest that the caller has taken from [`Trust::manifest_of`]: for many receipts of one version, each
/// of which would read it anew.
///
/// # Errors
/// See [`ReceiptError`]; [`ReceiptError::UnknownManifest`] when the receipt names another version.
pub fn verify_under(
    manifest: &Manifest,
    asker: &OdsCode,
    holder: &OdsCode,
    header: &Signed<AnswerHeader>,
    evidence: &PeerEvidence,
) -> Result<Verified<AnswerHeader>, ReceiptError> {
    let claim = header.unverified().map_err(ReceiptError::Unreadable)?;
    if claim.holder != *holder {
        return Err(ReceiptError::OtherHolder { shown: claim.holder, expected: holder.clone() });
    }
    if claim.asker != *asker {
        return Err(ReceiptError::OtherAsker { shown: claim.asker, expected: asker.clone() });
    }
    if claim.manifest_version != manifest.version {
        return Err(ReceiptError::UnknownManifest(claim.manifest_version));
    }
    let (network, at) = (&manifest.network, claim.decided_at);

    let certificate = verify_certificate(manifest, evidence, at)?;
    if certificate.ods() != holder {
        return Err(ReceiptError::OtherOrganisation(certificate.ods().clone()));
    }
    let node = evidence.binding.unverified().map_err(ReceiptError::Unreadable)?.node;
    let endpoint = (node, EndpointRole::Peer);
    binding::verify(&evidence.binding, network, (holder, certificate.key()), endpoint, at)
        .map_err(ReceiptError::Binding)?;
    let verified = header.verify(Scope::to(network, asker), &PublicKey::from(node)).map_err(ReceiptError::Signature)?;
    audit::verify_receipt(verified.get(), network, &[node]).map_err(ReceiptError::Log)?;
    Ok(verified)
}

/// The chain at that time under that manifest's authorities; its key is pinned there, or endorsed by one that is.
fn verify_certificate(
    manifest: &Manifest,
    evidence: &PeerEvidence,
    at: Timestamp,
) -> Result<OrganisationCertificate, ReceiptError> {
    let endorsed = evidence.endorsement.as_ref().map(|signed| verify_endorsement(signed, manifest, at));
    let accepts = |ods: &OdsCode, spki: &Digest| {
        let says = |e: &KeyEndorsement| e.ods == *ods && e.successor.spki_hash() == *spki;
        let pinned = manifest.member(ods).is_some_and(|member| member.key.accepts(spki));
        pinned || matches!(&endorsed, Some(Ok(endorsement)) if says(endorsement.get()))
    };
    match (chain::verify_pinned(&evidence.chain, manifest, accepts, at), endorsed) {
        (Ok(certificate), _) => Ok(certificate),
        (Err(Cause::KeyNotPinned), Some(Err(error))) => Err(ReceiptError::Endorsement(error)),
        (Err(cause), _) => Err(ReceiptError::Certificate(cause)),
    }
}

#[cfg(test)]
mod tests;
