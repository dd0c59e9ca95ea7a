//! How a member joins: what its node asks for, and what the governance office gives back.
//!
//! Both are single CBOR files. The request is a `Signed<EnrolmentRequest>` by the organisation key; the answer is an
//! [`Enrolment`], which needs no signature of its own because everything in it carries one.

use careweave_protocol::cbor::{self, CborError};
use careweave_protocol::id::{Digest, NetworkId, NodeKey, OdsCode};
use careweave_protocol::identity::{Attestation, KeyEndorsement};
use careweave_protocol::key::{PublicKey, Signer};
use careweave_protocol::signed::{Document, MultiSigned, Scope, Signed, SignedError, Verified};
use careweave_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use thiserror::Error;

use crate::authority::{AuthorityError, CertificateRequest};
use crate::manifest::{KeyPin, Manifest, Member, MemberKind, RolloutStage};

/// What an organisation tells the governance office to be admitted, signed by the organisation key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolmentRequest {
    /// The network it wants to join.
    pub network: NetworkId,
    /// Its ODS code.
    pub ods: OdsCode,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: MemberKind,
    /// Care setting, as shown to people.
    pub care_setting: String,
    /// The neighbourhood it belongs to, when it belongs to one.
    pub neighbourhood: Option<String>,
    /// Whom to ring when its records are needed and its node does not reply.
    pub duty_contact: String,
    /// Where alerts about it go.
    pub alert_contact: String,
    /// Key of its peer endpoint.
    pub peer: NodeKey,
    /// Key that signs its beacons, if it is to run one.
    pub beacon: NodeKey,
    /// Key of its desk endpoint.
    pub desk: NodeKey,
    /// PKCS#10 request for the organisation key, PEM.
    pub certificate_request: String,
    /// The pinned key's word on that key, where it is a successor that the manifest does not pin yet.
    pub endorsement: Option<Signed<KeyEndorsement>>,
}

/// One officer's word that whoever knows a one-time code may ask for this member's first certificate. The certificate itself comes only when
/// the manifest pins the key that was asked for, and that takes M officers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// Who is invited.
    pub ods: OdsCode,
    /// SHA-256 of the code.
    pub code: Digest,
    /// First instant at which it no longer counts.
    pub expires: Timestamp,
}

impl Document for Invitation {
    const CONTEXT: &'static str = "careweave invitation 1";
}

/// What the governance office gives back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// The network.
    pub network: NetworkId,
    /// The member.
    pub ods: OdsCode,
    /// Organisation certificate and intermediate, DER, leaf first.
    pub chain: Vec<ByteBuf>,
    /// What registrars say about it.
    pub attestations: Vec<Signed<Attestation>>,
    /// Every manifest from the first on.
    pub manifests: Vec<MultiSigned<Manifest>>,
}

/// Why a request was refused.
#[derive(Debug, Error)]
pub enum EnrolmentError {
    /// Not a request, or not signed with the key of its certificate request.
    #[error(transparent)]
    Signed(#[from] SignedError),
    /// The certificate request inside is malformed or does not prove its key.
    #[error(transparent)]
    Request(#[from] AuthorityError),
    /// The certificate request names another organisation.
    #[error("the certificate request inside is for another organisation")]
    OtherName,
    /// Not an enrolment.
    #[error("not an enrolment: {0}")]
    Cbor(#[from] CborError),
}

/// Longest enrolment: the manifests of many versions, each within its own limit.
pub const ENROLMENT_MAX: usize = 256 * 1024 * 1024;

impl Document for EnrolmentRequest {
    const CONTEXT: &'static str = "careweave enrolment request 1";
}

impl EnrolmentRequest {
    /// Signs the request.
    ///
    /// # Errors
    /// When the organisation key cannot sign.
    pub fn sign(&self, organisation: &dyn Signer) -> Result<Signed<Self>, EnrolmentError> {
        Ok(Signed::sign(self, Scope::network(&self.network), organisation)?.into_signed())
    }

    /// Verifies a request: the key of its certificate request signed both, and both name the same organisation. Whether it *is*
    /// that organisation, people have to find out: compare [`EnrolmentRequest::key`]'s hash over another channel.
    ///
    /// # Errors
    /// See [`EnrolmentError`].
    pub fn verify(signed: &Signed<Self>) -> Result<Verified<Self>, EnrolmentError> {
        let claim = signed.unverified()?;
        let certificate_request = claim.certificate_request()?;
        if !certificate_request.is_for(&claim.network, &claim.ods) {
            return Err(EnrolmentError::OtherName);
        }
        Ok(signed.verify(Scope::network(&claim.network), certificate_request.key())?)
    }

    /// The certificate request inside.
    ///
    /// # Errors
    /// When it is malformed or does not prove its key.
    pub fn certificate_request(&self) -> Result<CertificateRequest, AuthorityError> {
        CertificateRequest::from_pem(&self.certificate_request)
    }

    /// The organisation key.
    ///
    /// # Errors
    /// When the certificate request inside is malformed.
    pub fn key(&self) -> Result<PublicKey, AuthorityError> {
        Ok(self.certificate_request()?.key().clone())
    }

    /// The member this request asks to become.
    ///
    /// # Errors
    /// When the certificate request inside is malformed.
    pub fn member(&self, stage: RolloutStage) -> Result<Member, AuthorityError> {
        Ok(Member {
            ods: self.ods.clone(),
            name: self.name.clone(),
            kind: self.kind,
            care_setting: self.care_setting.clone(),
            neighbourhood: self.neighbourhood.clone(),
            stage,
            alert_contact: self.alert_contact.clone(),
            duty_contact: self.duty_contact.clone(),
            key: KeyPin { active: self.key()?.spki_hash(), next: None },
        })
    }
}

impl Enrolment {
    /// Reads an enrolment file. Nothing in it is believed yet: [`crate::trust::Trust`] and [`crate::chain`] do that.
    ///
    /// # Errors
    /// When the bytes are none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EnrolmentError> {
        Ok(cbor::from_slice(bytes, ENROLMENT_MAX)?)
    }

    /// The enrolment in bytes.
    ///
    /// # Errors
    /// When it cannot be encoded, which no enrolment causes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EnrolmentError> {
        Ok(cbor::to_vec(self)?)
    }
}
