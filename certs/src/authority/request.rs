//! A certificate request: the organisation key and the proof that its owner holds it.

use careweave_protocol::id::{NetworkId, OdsCode};
use careweave_protocol::key::{PublicKey, Signer};
use rcgen::{CertificateParams, CertificateSigningRequestParams, DnType, PublicKeyData, SanType};

use super::{AuthorityError, SigningAdapter, organisation_uri, subject};

/// A PKCS#10 request whose own signature has verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRequest {
    key: PublicKey,
    names: Vec<String>,
}

/// A request for one P-256 key is under 700 bytes of PEM.
const REQUEST_MAX: usize = 8 * 1024;

impl CertificateRequest {
    /// Makes the request of an organisation, as PEM (RFC 7468 §7).
    ///
    /// # Errors
    /// When the key is not P-256 or cannot sign.
    pub fn create(
        network: &NetworkId,
        ods: &OdsCode,
        name: &str,
        signer: &dyn Signer,
    ) -> Result<String, AuthorityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(&[(DnType::OrganizationName, name), (DnType::CommonName, ods.as_str())]);
        params.subject_alt_names = vec![SanType::URI(
            organisation_uri(network, ods).try_into().map_err(|_| AuthorityError::Request("name".to_owned()))?,
        )];
        Ok(params.serialize_request(&SigningAdapter::new(signer)?)?.pem()?)
    }

    /// Reads a request and verifies that whoever made it holds the key.
    ///
    /// # Errors
    /// When it is malformed, its signature does not verify, or its key is not P-256.
    pub fn from_pem(pem: &str) -> Result<Self, AuthorityError> {
        if pem.len() > REQUEST_MAX {
            return Err(AuthorityError::Request(format!("longer than {REQUEST_MAX} bytes")));
        }
        let request =
            CertificateSigningRequestParams::from_pem(pem).map_err(|e| AuthorityError::Request(e.to_string()))?;
        let key = PublicKey::from_spki_der(&request.public_key.subject_public_key_info());
        let names = request.params.subject_alt_names.iter().map(|name| match name {
            SanType::URI(uri) => uri.as_str().to_owned(),
            other => format!("{other:?}"),
        });
        match key {
            Ok(key @ PublicKey::P256(_)) => Ok(Self { key, names: names.collect() }),
            _ => Err(AuthorityError::Algorithm),
        }
    }

    /// The key to be certified.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Whether the request names this organisation and nobody else.
    #[must_use]
    pub fn is_for(&self, network: &NetworkId, ods: &OdsCode) -> bool {
        self.names == [organisation_uri(network, ods)]
    }
}
