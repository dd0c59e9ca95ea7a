//! Verifying an organisation's certificate (RFC 5280 §6, by rustls-webpki): up to a root of the manifest, at a given time, for
//! our purpose, with exactly one name; and then that its key is the one the manifest pins.
//!
//! Revocation of organisation certificates is the manifest's: a member leaves it, its pin changes, or it is suspended. A CRL
//! is never consulted here.

use std::time::Duration;

use careweave_protocol::id::{Digest, OdsCode};
use careweave_protocol::key::PublicKey;
use careweave_protocol::query::Cause;
use careweave_protocol::time::Timestamp;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use thiserror::Error;
use webpki::{EndEntityCert, Error as WebpkiError, KeyUsage, anchor_from_trusted_cert};
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use crate::authority::{KEY_PURPOSE, organisation_uri};
use crate::manifest::{AuthorityCertificate, AuthorityRole, Manifest, Member};

/// An organisation certificate that has verified, and whose key the manifest pins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganisationCertificate {
    der: CertificateDer<'static>,
    ods: OdsCode,
    key: PublicKey,
    not_before: Timestamp,
    not_after: Timestamp,
}

/// Certificates in a chain as shown: leaf, intermediate, perhaps the root, and one for an authority in rotation.
const CHAIN_MAX: usize = 4;
/// One certificate in DER; ours are under 1 KiB.
const CERTIFICATE_MAX: usize = 16 * 1024;
/// The one algorithm of organisation certificates.
const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[webpki::ring::ECDSA_P256_SHA256];

/// Verifies a chain, leaf first, against the manifest.
///
/// Only the leaf is taken from the chain: intermediates are the manifest's own, so that a tainted or unlisted one is never
/// used, whatever is shown.
///
/// # Errors
/// [`Cause::CertExpired`], [`Cause::CertNotYetValid`], [`Cause::CertInvalid`], [`Cause::NotAMember`], [`Cause::KeyNotPinned`].
pub fn verify<C: AsRef<[u8]>>(
    chain: &[C],
    manifest: &Manifest,
    now: Timestamp,
) -> Result<OrganisationCertificate, Cause> {
    verify_pinned(chain, manifest, |ods, key| manifest.member(ods).is_some_and(|m| m.key.accepts(key)), now)
}

/// As [`verify`], with another answer to whether a member's key is accepted: the manifest's pin, or an endorsed successor.
///
/// # Errors
/// As [`verify`].
pub fn verify_pinned<C: AsRef<[u8]>>(
    chain: &[C],
    manifest: &Manifest,
    accepts: impl Fn(&OdsCode, &Digest) -> bool,
    now: Timestamp,
) -> Result<OrganisationCertificate, Cause> {
    let leaf = match chain.first() {
        Some(leaf) if chain.len() <= CHAIN_MAX && leaf.as_ref().len() <= CERTIFICATE_MAX => leaf.as_ref(),
        _ => return Err(Cause::CertInvalid),
    };
    let der = CertificateDer::from(leaf);
    verify_path(&der, manifest, now)?;
    let certificate = read(&der, manifest)?;
    if manifest.member(&certificate.ods).is_none() {
        return Err(Cause::NotAMember);
    }
    if accepts(&certificate.ods, &certificate.key.spki_hash()) { Ok(certificate) } else { Err(Cause::KeyNotPinned) }
}

impl OrganisationCertificate {
    /// The certificate in DER.
    #[must_use]
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// The organisation.
    #[must_use]
    pub fn ods(&self) -> &OdsCode {
        &self.ods
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// First instant of validity.
    #[must_use]
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Last instant of validity.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// The member it belongs to.
    #[must_use]
    pub fn member<'a>(&self, manifest: &'a Manifest) -> Option<&'a Member> {
        manifest.member(&self.ods)
    }
}

/// The text is not a series of certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a chain of at most {CHAIN_MAX} certificates in PEM")]
pub struct NotAChain;

/// Reads a chain from PEM, leaf first.
///
/// # Errors
/// When it holds no certificate, too many, or something else.
pub fn from_pem(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, NotAChain> {
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(text).take(CHAIN_MAX + 1).collect::<Result<_, _>>().map_err(|_| NotAChain)?;
    if (1..=CHAIN_MAX).contains(&chain.len()) { Ok(chain) } else { Err(NotAChain) }
}

fn verify_path(leaf: &CertificateDer<'_>, manifest: &Manifest, now: Timestamp) -> Result<(), Cause> {
    match verify_under(leaf, manifest, AuthorityCertificate::is_accepted, now) {
        // It would do if nothing were tainted: then that is what somebody has to know.
        Err(Cause::CertInvalid) if verify_under(leaf, manifest, |_| true, now).is_ok() => Err(Cause::AuthorityTainted),
        verdict => verdict,
    }
}

fn verify_under(
    leaf: &CertificateDer<'_>,
    manifest: &Manifest,
    counts: impl Fn(&AuthorityCertificate) -> bool,
    now: Timestamp,
) -> Result<(), Cause> {
    let accepted = |role: AuthorityRole| -> Vec<CertificateDer<'_>> {
        let wanted = manifest.authorities.iter().filter(|a| a.role == role && counts(a));
        wanted.map(|a| CertificateDer::from(a.certificate.as_slice())).collect()
    };
    let (roots, intermediates) = (accepted(AuthorityRole::Root), accepted(AuthorityRole::Intermediate));
    let anchors: Vec<TrustAnchor<'_>> = roots.iter().filter_map(|r| anchor_from_trusted_cert(r).ok()).collect();
    let seconds = u64::try_from(now.0.div_euclid(1000)).map_err(|_| Cause::CertNotYetValid)?;
    let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let end_entity = EndEntityCert::try_from(leaf).map_err(|_| Cause::CertInvalid)?;
    let usage = KeyUsage::required(KEY_PURPOSE);
    match end_entity.verify_for_usage(ALGORITHMS, &anchors, &intermediates, time, usage, None, None) {
        Ok(_) => Ok(()),
        Err(WebpkiError::CertExpired { .. }) => Err(Cause::CertExpired),
        Err(WebpkiError::CertNotValidYet { .. }) => Err(Cause::CertNotYetValid),
        Err(_) => Err(Cause::CertInvalid),
    }
}

/// What a certificate says of itself, whoever issued it and however long ago.
///
/// # Errors
/// [`Cause::CertInvalid`] when it is not in the form of an organisation's certificate in this network.
pub(crate) fn read(leaf: &CertificateDer<'_>, manifest: &Manifest) -> Result<OrganisationCertificate, Cause> {
    let (rest, certificate) = parse_x509_certificate(leaf).map_err(|_| Cause::CertInvalid)?;
    let name = certificate.subject_alternative_name().ok().flatten().ok_or(Cause::CertInvalid)?;
    // Exactly one name of one kind: a second one could be read as somebody else by another tool.
    let [GeneralName::URI(uri)] = name.value.general_names.as_slice() else {
        return Err(Cause::CertInvalid);
    };
    let (_, ods) = uri.rsplit_once('/').ok_or(Cause::CertInvalid)?;
    let ods: OdsCode = ods.parse().map_err(|_| Cause::CertInvalid)?;
    if !rest.is_empty() || *uri != organisation_uri(&manifest.network, &ods) {
        return Err(Cause::CertInvalid);
    }
    let key = PublicKey::from_spki_der(certificate.public_key().raw).map_err(|_| Cause::CertInvalid)?;
    let instant = |seconds: i64| Timestamp(seconds.saturating_mul(1000));
    let validity = certificate.validity();
    let (not_before, not_after) = (instant(validity.not_before.timestamp()), instant(validity.not_after.timestamp()));
    Ok(OrganisationCertificate { der: leaf.clone().into_owned(), ods, key, not_before, not_after })
}

#[cfg(test)]
mod tests;
