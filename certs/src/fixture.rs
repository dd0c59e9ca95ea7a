//! A small network for tests: officers, authorities, a registrar, members, each with keys made on the spot.

use careweave_protocol::id::{NetworkId, NodeKey, OdsCode};
use careweave_protocol::identity::{Attestation, EndpointRole, NodeHello, Standard, StandardStatus};
use careweave_protocol::key::Signer;
use careweave_protocol::limits::BINDING_LIFE;
use careweave_protocol::signed::{MultiSigned, Signed};
use careweave_protocol::time::{Date, Timestamp};
use careweave_protocol::version::PROTOCOL_VERSION;
use ring::rand::SystemRandom;
use rustls_pki_types::CertificateDer;
use serde_bytes::ByteBuf;

use crate::authority::{Authority, CertificateRequest, create_root};
use crate::keystore::tests::key;
use crate::keystore::{Algorithm, SoftwareKey};
use crate::manifest::{
    AuthorityCertificate, AuthorityRole, AuthorityState, Governance, KeyPin, MANIFEST_LIFE, Manifest, Member,
    MemberKind, RolloutStage, StalenessLimits,
};
use crate::{attest, binding};

pub(crate) struct Network {
    pub(crate) id: NetworkId,
    pub(crate) now: Timestamp,
    pub(crate) officers: Vec<SoftwareKey>,
    pub(crate) root_key: SoftwareKey,
    pub(crate) root: CertificateDer<'static>,
    pub(crate) intermediate_key: SoftwareKey,
    pub(crate) intermediate: CertificateDer<'static>,
    pub(crate) registrar: SoftwareKey,
    pub(crate) organisations: Vec<Organisation>,
}

pub(crate) struct Organisation {
    pub(crate) ods: OdsCode,
    pub(crate) key: SoftwareKey,
    pub(crate) peer: SoftwareKey,
    pub(crate) desk: SoftwareKey,
}

impl Network {
    /// Five officers of whom three must agree, and these members.
    pub(crate) fn new(members: &[&str]) -> Self {
        let id: NetworkId = "orchard".parse().unwrap();
        let now = Timestamp::from_rfc3339("2026-06-01T12:00:00Z").unwrap();
        let ((root_key, root), (intermediate_key, intermediate)) = authorities(&id, now);
        let organisation = |ods: &&str| Organisation {
            ods: ods.parse().unwrap(),
            key: key(Algorithm::P256),
            peer: key(Algorithm::Ed25519),
            desk: key(Algorithm::Ed25519),
        };
        Self {
            id,
            now,
            officers: (0..5).map(|_| key(Algorithm::P256)).collect(),
            root_key,
            root,
            intermediate_key,
            intermediate,
            registrar: key(Algorithm::P256),
            organisations: members.iter().map(organisation).collect(),
        }
    }

    /// Puts a new root and a new intermediate in the place of the old ones.
    pub(crate) fn rotate_authorities(&mut self) {
        let ((root_key, root), (intermediate_key, intermediate)) = authorities(&self.id, self.now);
        (self.root_key, self.root) = (root_key, root);
        (self.intermediate_key, self.intermediate) = (intermediate_key, intermediate);
    }

    pub(crate) fn manifest(&self, version: u64) -> Manifest {
        let authority = |role, certificate: &CertificateDer<'_>| AuthorityCertificate {
            role,
            state: AuthorityState::Active,
            certificate: ByteBuf::from(certificate.to_vec()),
        };
        let mut members: Vec<Member> = self.organisations.iter().map(Organisation::member).collect();
        members.sort_by(|a, b| a.ods.cmp(&b.ods));
        Manifest {
            network: self.id.clone(),
            version,
            issued: self.now,
            expires: self.now.after(MANIFEST_LIFE),
            governance: Governance { keys: self.officers.iter().map(Signer::public_key).collect(), threshold: 3 },
            authorities: vec![
                authority(AuthorityRole::Root, &self.root),
                authority(AuthorityRole::Intermediate, &self.intermediate),
            ],
            members,
            registrars: vec![self.registrar.public_key()],
            beacons: Vec::new(),
            enrolment: Vec::new(),
            minimum_standard: StandardStatus::Met,
            witnesses: Vec::new(),
            witness_quorum: 0,
            policy: None,
            protocol_min: 1,
            staleness: StalenessLimits::default(),
            suspended: Vec::new(),
            lifted: Vec::new(),
        }
    }

    pub(crate) fn sign(&self, manifest: &Manifest, officers: &[usize]) -> MultiSigned<Manifest> {
        officers.iter().fold(MultiSigned::draft(manifest).unwrap(), |signed, officer| {
            signed.add_signature(&self.id, &self.officers[*officer]).unwrap()
        })
    }

    pub(crate) fn certificate(&self, ods: &OdsCode, key: &SoftwareKey) -> CertificateDer<'static> {
        let request = CertificateRequest::create(&self.id, ods, "Test", key).unwrap();
        let request = CertificateRequest::from_pem(&request).unwrap();
        Authority::new(self.intermediate.clone(), &self.intermediate_key)
            .unwrap()
            .issue_organisation(&self.id, ods, "Test", &request, self.now, &SystemRandom::new())
            .unwrap()
    }

    pub(crate) fn attestations(&self, ods: &OdsCode, last_day: Date) -> Vec<Signed<Attestation>> {
        let status = |s| (s == Standard::Dspt).then_some(StandardStatus::Met);
        let issue = |s| {
            attest::issue(&self.id, ods, (s, status(s)), last_day, &self.registrar, self.now).unwrap().into_signed()
        };
        Standard::REQUIRED.into_iter().map(issue).collect()
    }

    pub(crate) fn hello(&self, organisation: &Organisation) -> NodeHello {
        self.hello_under(organisation, &organisation.key)
    }

    /// A hello whose certificate and binding are for this organisation key.
    pub(crate) fn hello_under(&self, organisation: &Organisation, key: &SoftwareKey) -> NodeHello {
        let leaf = self.certificate(&organisation.ods, key);
        let endpoint = (organisation.node(), EndpointRole::Peer);
        let life = (self.now, BINDING_LIFE);
        let bound = binding::issue(&self.id, &organisation.ods, endpoint, None, key, life);
        NodeHello {
            network: self.id.clone(),
            protocol: PROTOCOL_VERSION,
            clock: self.now,
            chain: vec![ByteBuf::from(leaf.to_vec()), ByteBuf::from(self.intermediate.to_vec())],
            endorsement: None,
            earlier_keys: Vec::new(),
            binding: bound.unwrap().into_signed(),
            attestations: self.attestations(&organisation.ods, Date::new(2027, 1, 1).unwrap()),
            manifest_version: 1,
        }
    }
}

impl Organisation {
    pub(crate) fn node(&self) -> NodeKey {
        self.peer.public_key().node_key().unwrap()
    }

    pub(crate) fn member(&self) -> Member {
        Member {
            ods: self.ods.clone(),
            name: format!("Organisation {}", self.ods),
            kind: MemberKind::Acute,
            care_setting: "acute".to_owned(),
            neighbourhood: None,
            stage: RolloutStage::Live,
            alert_contact: "alerts".to_owned(),
            duty_contact: "switchboard".to_owned(),
            key: KeyPin { active: self.key.public_key().spki_hash(), next: None },
        }
    }
}

type Keyed = (SoftwareKey, CertificateDer<'static>);

/// A root and an intermediate under it.
fn authorities(id: &NetworkId, now: Timestamp) -> (Keyed, Keyed) {
    let random = SystemRandom::new();
    let (root_key, intermediate_key) = (key(Algorithm::P256), key(Algorithm::P256));
    let root = create_root(id, &root_key, now, &random).unwrap();
    let intermediate = Authority::new(root.clone(), &root_key)
        .unwrap()
        .issue_intermediate(id, &intermediate_key.public_key(), now, &random)
        .unwrap();
    ((root_key, root), (intermediate_key, intermediate))
}
