//! Reading the certificate of an authority: what it is, how long it lives, who issued it.

use careweave_protocol::id::Digest;
use careweave_protocol::key::PublicKey;
use careweave_protocol::time::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::parse_x509_certificate;

use super::AuthorityError;
use crate::manifest::AuthorityRole;

/// What an authority's certificate says (RFC 5280 §4). Whether it is believed, the manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityDetails {
    /// Root when it names itself as its issuer and has signed itself; else intermediate.
    pub role: AuthorityRole,
    /// Its key.
    pub key: PublicKey,
    /// First instant of validity, an hour before it was made.
    pub not_before: Timestamp,
    /// First instant at which it no longer holds.
    pub not_after: Timestamp,
    /// SHA-256 of the certificate in DER: its fingerprint in other tools, and the name by which commands take it.
    pub digest: Digest,
}

impl AuthorityDetails {
    /// Reads a certificate.
    ///
    /// # Errors
    /// [`AuthorityError::Issuer`] when it is no certificate of an authority, or its key is not P-256.
    pub fn read(certificate: &[u8]) -> Result<Self, AuthorityError> {
        let parsed = parse(certificate).ok_or(AuthorityError::Issuer)?;
        let constraints = parsed.basic_constraints().ok().flatten().ok_or(AuthorityError::Issuer)?;
        let key = key_of(certificate)?;
        if !constraints.value.ca || !matches!(key, PublicKey::P256(_)) {
            return Err(AuthorityError::Issuer);
        }
        let instant = |seconds: i64| Timestamp(seconds.saturating_mul(1000));
        Ok(Self {
            role: if is_issued_by(certificate, certificate) {
                AuthorityRole::Root
            } else {
                AuthorityRole::Intermediate
            },
            key,
            not_before: instant(parsed.validity().not_before.timestamp()),
            not_after: instant(parsed.validity().not_after.timestamp()),
            digest: Digest::of(&[certificate]),
        })
    }
}

/// The key in a certificate in DER, whoever issued it.
///
/// # Errors
/// [`AuthorityError::Issuer`] when it is no certificate, or its key is of another kind than ours.
pub fn key_of(certificate: &[u8]) -> Result<PublicKey, AuthorityError> {
    let parsed = parse(certificate).ok_or(AuthorityError::Issuer)?;
    PublicKey::from_spki_der(parsed.public_key().raw).map_err(|_| AuthorityError::Issuer)
}

/// Whether `certificate` names `issuer` as its issuer and bears its signature; both in DER. Nothing else is looked at: whether a chain
/// holds, [`crate::chain`] says.
#[must_use]
pub fn is_issued_by(certificate: &[u8], issuer: &[u8]) -> bool {
    let (Some(certificate), Some(issuer)) = (parse(certificate), parse(issuer)) else { return false };
    certificate.issuer().as_raw() == issuer.subject().as_raw()
        && certificate.verify_signature(Some(issuer.public_key())).is_ok()
}

fn parse(certificate: &[u8]) -> Option<X509Certificate<'_>> {
    let (rest, parsed) = parse_x509_certificate(certificate).ok()?;
    rest.is_empty().then_some(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::{INTERMEDIATE_LIFE, ROOT_LIFE};
    use crate::fixture::Network;

    #[test]
    fn an_authority_is_read_as_it_was_made_and_an_organisation_is_none() {
        let network = Network::new(&["R9A"]);
        let organisation = network.organisations.first().unwrap();
        let leaf = network.certificate(&organisation.ods, &organisation.key);
        let root = AuthorityDetails::read(&network.root).unwrap();
        let intermediate = AuthorityDetails::read(&network.intermediate).unwrap();
        assert_eq!((root.role, intermediate.role), (AuthorityRole::Root, AuthorityRole::Intermediate));
        assert_eq!(root.not_after, network.now.after(ROOT_LIFE));
        assert_eq!(intermediate.not_after, network.now.after(INTERMEDIATE_LIFE));
        assert_eq!(key_of(&leaf).unwrap(), careweave_protocol::key::Signer::public_key(&organisation.key));
        assert!(AuthorityDetails::read(&leaf).is_err() && AuthorityDetails::read(b"noise").is_err());

        for (certificate, issuer, wanted) in [
            (&leaf, &network.intermediate, true),
            (&network.intermediate, &network.root, true),
            (&network.root, &network.root, true),
            (&leaf, &network.root, false),
            (&network.root, &network.intermediate, false),
            (&leaf, &Network::new(&[]).intermediate, false),
        ] {
            assert_eq!(is_issued_by(certificate, issuer), wanted);
        }
    }
}
