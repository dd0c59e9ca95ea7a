//! Issuing X.509 (RFC 5280): root, intermediate, organisation certificate, all P-256, and the request for one (PKCS#10, RFC 2986).
//!
//! Whatever a request asks for, only its key is taken from it: names, lives and usages are the authority's to decide.

mod adapter;
mod certificate;
mod request;

pub use certificate::{AuthorityDetails, is_issued_by, key_of};
pub use request::CertificateRequest;

use std::time::Duration;

use careweave_protocol::id::{NetworkId, OdsCode};
use careweave_protocol::key::{PublicKey, Signer};
use careweave_protocol::time::Timestamp;
use data_encoding::BASE64;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationList, CertificateRevocationListParams, CustomExtension,
    DistinguishedName, DnType, IsCa, Issuer, KeyUsagePurpose, SanType, SerialNumber, date_time_ymd,
};
use ring::rand::SecureRandom;
use rustls_pki_types::CertificateDer;
use thiserror::Error;
use x509_parser::parse_x509_certificate;

use adapter::{RawPublicKey, SigningAdapter};

/// A root lives ten years: it stays in a safe, and its successor is announced through the manifest.
pub const ROOT_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// An intermediate lives three years: long enough not to hurry its rotation, short against the root.
pub const INTERMEDIATE_LIFE: Duration = Duration::from_secs(3 * 365 * 24 * 3600);
/// An organisation certificate lives 90 days, so that renewal is routine.
pub const ORGANISATION_LIFE: Duration = Duration::from_secs(90 * 24 * 3600);
/// Certificates and bindings begin this much before they are made, so that a clock that is behind accepts them.
pub const BACK_DATING: Duration = Duration::from_secs(3600);
/// Extended key usage of organisation certificates, content octets of the OID in DER:
/// `2.25.131987517201211379382275987778650882510`, a UUID-based OID (ITU-T X.667 §6.3) that needs no registration.
pub const KEY_PURPOSE: &[u8] = &[
    0x69, 0x81, 0xc6, 0xcb, 0xef, 0xc1, 0x98, 0x96, 0xda, 0xb9, 0x83, 0x9c, 0x98, 0xf6, 0xfd, 0xf9, 0xef, 0xb7, 0x83,
    0x4e,
];
/// [`KEY_PURPOSE`] in dotted form, as other tools show it.
pub const KEY_PURPOSE_TEXT: &str = "2.25.131987517201211379382275987778650882510";

/// extKeyUsage (RFC 5280 §4.2.1.12).
const EXTENDED_KEY_USAGE: [u64; 4] = [2, 5, 29, 37];
/// Random serial numbers of 16 bytes: at least 64 bits of them unpredictable (CA/Browser Forum Baseline Requirements §7.1).
const SERIAL_LEN: usize = 16;
/// The last second that X.509 can name, 9999-12-31T23:59:59Z (RFC 5280 §4.1.2.5).
const LAST_SECOND: i64 = 253_402_300_799;

/// Why nothing was issued.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// Only P-256 keys are certified.
    #[error("only P-256 keys are certified")]
    Algorithm,
    /// The request is malformed, or its signature does not verify.
    #[error("certificate request: {0}")]
    Request(String),
    /// The issuer's certificate is malformed.
    #[error("the issuer's certificate cannot be read")]
    Issuer,
    /// The signing key is not the one in the issuer's certificate.
    #[error("the signing key does not belong to the issuer's certificate")]
    IssuerKey,
    /// The certificate would outlive its issuer's.
    #[error("the issuer's certificate ends on {0}, before this one would")]
    Outlives(String),
    /// No randomness.
    #[error("no randomness for a serial number")]
    Random,
    /// The encoder or the signing key failed.
    #[error("the certificate could not be made: {0}")]
    Encode(#[from] rcgen::Error),
}

/// An authority that issues: its certificate and its key.
pub struct Authority<'a> {
    certificate: CertificateDer<'a>,
    signer: &'a dyn Signer,
}

/// Makes a self-signed root.
///
/// # Errors
/// When the key is not P-256 or cannot sign.
pub fn create_root(
    network: &NetworkId,
    signer: &dyn Signer,
    now: Timestamp,
    random: &dyn SecureRandom,
) -> Result<CertificateDer<'static>, AuthorityError> {
    let adapter = SigningAdapter::new(signer)?;
    let mut params = authority_params(network, "root", 1, now, ROOT_LIFE, random)?;
    params.use_authority_key_identifier_extension = false;
    Ok(params.self_signed(&adapter)?.der().clone())
}

impl<'a> Authority<'a> {
    /// Puts a certificate and its key together.
    ///
    /// # Errors
    /// When they do not belong together.
    pub fn new(certificate: CertificateDer<'a>, signer: &'a dyn Signer) -> Result<Self, AuthorityError> {
        let (_, parsed) = parse_x509_certificate(&certificate).map_err(|_| AuthorityError::Issuer)?;
        if PublicKey::from_spki_der(parsed.public_key().raw).ok() != Some(signer.public_key()) {
            return Err(AuthorityError::IssuerKey);
        }
        Ok(Self { certificate, signer })
    }

    /// Issues an intermediate under a root.
    ///
    /// # Errors
    /// When the key is not P-256, or it would outlive this authority.
    pub fn issue_intermediate(
        &self,
        network: &NetworkId,
        key: &PublicKey,
        now: Timestamp,
        random: &dyn SecureRandom,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        let mut params = authority_params(network, "intermediate", 0, now, INTERMEDIATE_LIFE, random)?;
        // Whatever this authority issues serves this one purpose, also for verifiers that intersect usages along the chain.
        params.custom_extensions.push(key_purpose());
        self.issue(&params, key, now.after(INTERMEDIATE_LIFE))
    }

    /// Issues an organisation's certificate for the key of a request: 90 days from now, begun an hour ago.
    ///
    /// # Errors
    /// When it would outlive this authority.
    pub fn issue_organisation(
        &self,
        network: &NetworkId,
        ods: &OdsCode,
        name: &str,
        request: &CertificateRequest,
        now: Timestamp,
        random: &dyn SecureRandom,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        let mut params = params(now, ORGANISATION_LIFE, random)?;
        params.distinguished_name = subject(&[(DnType::OrganizationName, name), (DnType::CommonName, ods.as_str())]);
        params.subject_alt_names = vec![SanType::URI(
            organisation_uri(network, ods).try_into().map_err(|_| AuthorityError::Request("name".to_owned()))?,
        )];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.custom_extensions.push(key_purpose());
        self.issue(&params, request.key(), now.after(ORGANISATION_LIFE))
    }

    /// Its certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'a> {
        &self.certificate
    }

    /// Signs a list of revoked certificates; what is in it is [`crate::revocation_list`]'s to say.
    pub(crate) fn sign_revocation_list(
        &self,
        params: &CertificateRevocationListParams,
    ) -> Result<CertificateRevocationList, AuthorityError> {
        Ok(params.signed_by(&self.issuer()?)?)
    }

    fn issue(
        &self,
        params: &CertificateParams,
        key: &PublicKey,
        ends: Timestamp,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        let (_, parsed) = parse_x509_certificate(&self.certificate).map_err(|_| AuthorityError::Issuer)?;
        let issuer_ends = Timestamp(parsed.validity().not_after.timestamp().saturating_mul(1000));
        if ends > issuer_ends {
            return Err(AuthorityError::Outlives(issuer_ends.rfc3339()));
        }
        Ok(params.signed_by(&RawPublicKey::new(key)?, &self.issuer()?)?.der().clone())
    }

    fn issuer(&self) -> Result<Issuer<'static, SigningAdapter<'a>>, AuthorityError> {
        Ok(Issuer::from_ca_cert_der(&self.certificate, SigningAdapter::new(self.signer)?)?)
    }
}

/// The name of an organisation in its certificate: `careweave://NETWORK/ODS`.
#[must_use]
pub fn organisation_uri(network: &NetworkId, ods: &OdsCode) -> String {
    format!("careweave://{network}/{ods}")
}

/// Certificates as PEM (RFC 7468 §5), in the order given.
#[must_use]
pub fn to_pem(certificates: &[CertificateDer<'_>]) -> String {
    let mut text = String::new();
    for certificate in certificates {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in BASE64.encode(certificate).as_bytes().chunks(64) {
            text.push_str(&String::from_utf8_lossy(line));
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

fn authority_params(
    network: &NetworkId,
    what: &str,
    path_length: u8,
    now: Timestamp,
    life: Duration,
    random: &dyn SecureRandom,
) -> Result<CertificateParams, AuthorityError> {
    let mut params = params(now, life, random)?;
    // The serial in the name keeps a successor's name apart from its predecessor's: verifiers find issuers by name.
    let serial = params.serial_number.as_ref().map(|s| s.to_bytes()).unwrap_or_default();
    let short: String = serial.iter().take(4).map(|b| format!("{b:02x}")).collect();
    let name = format!("{network} {what} {short}");
    params.distinguished_name =
        subject(&[(DnType::OrganizationName, network.as_str()), (DnType::CommonName, name.as_str())]);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn params(now: Timestamp, life: Duration, random: &dyn SecureRandom) -> Result<CertificateParams, AuthorityError> {
    let mut serial = [0u8; SERIAL_LEN];
    random.fill(&mut serial).map_err(|_| AuthorityError::Random)?;
    // Positive and of full length, so that every tool prints the same number.
    if let Some(first) = serial.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    let mut params = CertificateParams::default();
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_epoch(now.before(BACK_DATING));
    params.not_after = epoch + since_epoch(now.after(life));
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.distinguished_name = DistinguishedName::new();
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn subject(parts: &[(DnType, &str)]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    for (kind, text) in parts {
        name.push(kind.clone(), *text);
    }
    name
}

fn key_purpose() -> CustomExtension {
    // SEQUENCE { OBJECT IDENTIFIER }; the encoder's own field holds arcs of 64 bits, and this one has 128.
    let length = |bytes: usize| u8::try_from(bytes).unwrap_or(u8::MAX);
    let mut content = vec![0x30, length(KEY_PURPOSE.len() + 2), 0x06, length(KEY_PURPOSE.len())];
    content.extend_from_slice(KEY_PURPOSE);
    CustomExtension::from_oid_content(&EXTENDED_KEY_USAGE, content)
}

/// Whole seconds since 1970, within what X.509 can name.
pub(crate) fn since_epoch(time: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from((time.0 / 1000).clamp(0, LAST_SECOND)).unwrap_or(0))
}

const _: () = assert!(KEY_PURPOSE.len() + 2 < 0x80);

#[cfg(test)]
pub(crate) mod tests;
