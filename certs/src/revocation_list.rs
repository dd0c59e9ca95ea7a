//! Certificate revocation lists (RFC 5280 §5) for other tools: a proxy or a browser that meets an organisation's certificate.
//!
//! Our own nodes never consult one. For them a certificate ends when its member leaves the manifest, its pin changes, its
//! authority is tainted or the member is suspended ([`crate::chain`], [`crate::trust`]), which all reach them within a minute
//! and need no list that may be thirty days old.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use careweave_protocol::time::Timestamp;
use rcgen::{
    CertificateRevocationListParams, KeyIdMethod, RevocationReason as ReasonCode, RevokedCertParams, SerialNumber,
    date_time_ymd,
};
use rustls_pki_types::CertificateRevocationListDer;
use thiserror::Error;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::parse_x509_certificate;

use crate::authority::{Authority, AuthorityError, since_epoch};

/// One certificate that is not to be believed any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedCertificate {
    serial: Vec<u8>,
    issuer: Option<Vec<u8>>,
    reason: RevocationReason,
    at: Timestamp,
}

/// Why a certificate was revoked (RFC 5280 §5.3.1, without those that no authority of ours gives).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RevocationReason {
    /// Not said; the entry then has no reason code.
    Unspecified,
    /// The organisation's key is known or feared to be in other hands.
    KeyCompromise,
    /// The authority's own key is.
    CaCompromise,
    /// The organisation's name or code has changed.
    AffiliationChanged,
    /// Another certificate took its place.
    Superseded,
    /// The organisation has left or closed.
    CessationOfOperation,
    /// Suspended for the time being.
    CertificateHold,
}

/// A signed list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationList {
    der: CertificateRevocationListDer<'static>,
    pem: String,
}

/// Why there is no list.
#[derive(Debug, Error)]
pub enum RevocationListError {
    /// A certificate to be listed cannot be read.
    #[error("a certificate to be revoked cannot be read")]
    Certificate,
    /// A certificate to be listed was issued by somebody else, whose list it belongs on.
    #[error("certificate {0} was issued by another authority")]
    OtherIssuer(String),
    /// A serial number is empty or longer than RFC 5280 §4.1.2.2 allows.
    #[error("a serial number has between one and {SERIAL_MAX} bytes")]
    Serial,
    /// More certificates than one list holds.
    #[error("a list holds at most {REVOKED_MAX} certificates")]
    TooMany,
    /// The authority's certificate cannot be read, may not sign lists, or its key could not be used.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

/// A list says that its successor will be there after this: whoever still holds an older one knows that it is missing something.
pub const LIST_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Certificates on one list: those of the largest network over ten years of changing keys.
pub const REVOKED_MAX: usize = 65_536;
/// Longest serial number in bytes (RFC 5280 §4.1.2.2).
const SERIAL_MAX: usize = 20;

/// Signs the list of an authority: what it has issued and no longer stands by. `number` counts up with every list of the same
/// authority (RFC 5280 §5.2.3); a certificate that is named twice is listed once, since the earlier instant.
///
/// # Errors
/// See [`RevocationListError`].
pub fn issue(
    authority: &Authority<'_>,
    revoked: &[RevokedCertificate],
    number: u64,
    this_update: Timestamp,
) -> Result<RevocationList, RevocationListError> {
    let (_, certificate) = parse_x509_certificate(authority.certificate()).map_err(|_| AuthorityError::Issuer)?;
    let mut entries: BTreeMap<&[u8], &RevokedCertificate> = BTreeMap::new();
    for entry in revoked {
        if entry.issuer.as_deref().is_some_and(|issuer| issuer != certificate.subject().as_raw()) {
            return Err(RevocationListError::OtherIssuer(hex(&entry.serial)));
        }
        let listed = entries.entry(&entry.serial).or_insert(entry);
        if entry.at < listed.at {
            *listed = entry;
        }
    }
    if entries.len() > REVOKED_MAX {
        return Err(RevocationListError::TooMany);
    }
    let epoch = date_time_ymd(1970, 1, 1);
    let params = CertificateRevocationListParams {
        this_update: epoch + since_epoch(this_update),
        next_update: epoch + since_epoch(this_update.after(LIST_LIFE)),
        crl_number: SerialNumber::from(number),
        issuing_distribution_point: None,
        revoked_certs: entries
            .into_values()
            .map(|entry| RevokedCertParams {
                serial_number: SerialNumber::from_slice(&entry.serial),
                revocation_time: epoch + since_epoch(entry.at),
                reason_code: entry.reason.code(),
                invalidity_date: None,
            })
            .collect(),
        key_identifier_method: key_identifier(&certificate),
    };
    let list = authority.sign_revocation_list(&params)?;
    let pem = list.pem().map_err(AuthorityError::from)?;
    Ok(RevocationList { der: list.into(), pem })
}

impl RevokedCertificate {
    /// A certificate at hand, in DER.
    ///
    /// # Errors
    /// When it is none.
    pub fn certificate(der: &[u8], reason: RevocationReason, at: Timestamp) -> Result<Self, RevocationListError> {
        let (_, certificate) = parse_x509_certificate(der).map_err(|_| RevocationListError::Certificate)?;
        let issuer = Some(certificate.issuer().as_raw().to_vec());
        Ok(Self { issuer, ..Self::serial(certificate.raw_serial(), reason, at)? })
    }

    /// A certificate of which only the serial number is known: big-endian, as tools print it. That this authority issued it is
    /// for the caller to know.
    ///
    /// # Errors
    /// When no serial number has this many bytes.
    pub fn serial(serial: &[u8], reason: RevocationReason, at: Timestamp) -> Result<Self, RevocationListError> {
        // A leading zero only keeps the number positive in DER; without it, one number has one form here.
        let serial: Vec<u8> = serial.iter().copied().skip_while(|byte| *byte == 0).collect();
        if !(1..=SERIAL_MAX).contains(&serial.len()) {
            return Err(RevocationListError::Serial);
        }
        Ok(Self { serial, issuer: None, reason, at })
    }
}

impl RevocationList {
    /// The list in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The list in PEM (RFC 7468 §6).
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }
}

impl RevocationReason {
    /// Every reason.
    pub const ALL: [Self; 7] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::CaCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::CertificateHold,
    ];

    /// The reason as typed and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key-compromise",
            Self::CaCompromise => "ca-compromise",
            Self::AffiliationChanged => "affiliation-changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation-of-operation",
            Self::CertificateHold => "certificate-hold",
        }
    }

    fn code(self) -> Option<ReasonCode> {
        match self {
            Self::Unspecified => None,
            Self::KeyCompromise => Some(ReasonCode::KeyCompromise),
            Self::CaCompromise => Some(ReasonCode::CaCompromise),
            Self::AffiliationChanged => Some(ReasonCode::AffiliationChanged),
            Self::Superseded => Some(ReasonCode::Superseded),
            Self::CessationOfOperation => Some(ReasonCode::CessationOfOperation),
            Self::CertificateHold => Some(ReasonCode::CertificateHold),
        }
    }
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for RevocationReason {
    type Err = UnknownReason;
    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text).ok_or(UnknownReason)
    }
}

/// Not one of the reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "not a reason; one of unspecified key-compromise ca-compromise affiliation-changed superseded cessation-of-operation certificate-hold"
)]
pub struct UnknownReason;

/// The list names its issuer's key as the issuer's own certificate does (RFC 5280 §5.2.1): other tools compare the two.
fn key_identifier(authority: &X509Certificate<'_>) -> KeyIdMethod {
    let named = authority.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0.to_vec()),
        _ => None,
    });
    named.map_or(KeyIdMethod::Sha256, KeyIdMethod::PreSpecified)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
