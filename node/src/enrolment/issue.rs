//! The one place that signs a certificate.

use careweave_certs::authority::{Authority, CertificateRequest};
use careweave_certs::chain::OrganisationCertificate;
use careweave_protocol::id::OdsCode;
use careweave_protocol::identity::KeyEndorsement;
use careweave_protocol::query::Cause;
use careweave_protocol::signed::Signed;
use careweave_protocol::time::Timestamp;
use ring::rand::SystemRandom;
use serde_bytes::ByteBuf;

use super::Service;
use crate::services::Services;

/// A chain that every member accepts now.
pub(super) struct Issued {
    /// Leaf and intermediate, DER.
    pub(super) chain: Vec<ByteBuf>,
    /// The leaf, verified.
    pub(super) certificate: OrganisationCertificate,
}

impl Service {
    /// Issues a certificate for the key of a request, under the manifest's name for the member.
    ///
    /// # Errors
    /// [`Cause::NotAMember`]; [`Cause::NoEnrolmentService`] when the authority cannot sign or ends too soon; else why members would refuse
    /// the chain.
    pub(super) fn issue(
        &self,
        services: &Services,
        ods: &OdsCode,
        request: &CertificateRequest,
        endorsement: Option<&Signed<KeyEndorsement>>,
        now: Timestamp,
    ) -> Result<Issued, Cause> {
        let name = services.trust().member(ods).map(|member| member.name.clone()).ok_or(Cause::NotAMember)?;
        let network = &services.config.network;
        let leaf = Authority::new(self.certificate.as_slice().into(), &self.key)
            .and_then(|authority| authority.issue_organisation(network, ods, &name, request, now, &SystemRandom::new()))
            .map_err(|error| {
                tracing::error!(%error, "the authority of the enrolment service did not sign");
                Cause::NoEnrolmentService
            })?;
        self.chain_of(services, leaf.to_vec(), endorsement, now)
    }

    /// The chain of a leaf issued here, when members accept it now.
    ///
    /// # Errors
    /// Why they would not.
    pub(super) fn chain_of(
        &self,
        services: &Services,
        leaf: Vec<u8>,
        endorsement: Option<&Signed<KeyEndorsement>>,
        now: Timestamp,
    ) -> Result<Issued, Cause> {
        let chain = vec![ByteBuf::from(leaf), ByteBuf::from(self.certificate.clone())];
        let certificate = services.trust().verify_chain(&chain, endorsement, now)?;
        Ok(Issued { chain, certificate })
    }
}
