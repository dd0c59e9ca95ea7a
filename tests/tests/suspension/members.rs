//! Members of our own making: keys, certificates and people made here, admitted by the officers, without a node behind them.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use careweave_certs::authority::{Authority, CertificateRequest, to_pem};
use careweave_certs::keystore::{Algorithm, Passphrase, SoftwareKey};
use careweave_certs::manifest::{
    KeyPin, Manifest, Member as Entry, MemberKind, RolloutStage, Suspension, SuspensionTarget,
};
use careweave_certs::staff::{StaffGrant, StaffRequest};
use careweave_certs::trust::Trust;
use careweave_certs::{attest, chain, layout, private_file, staff};
use careweave_node::clock::Clock;
use careweave_protocol::cbor;
use careweave_protocol::desk::{DeskReply, DeskRequest, GovernanceDocument};
use careweave_protocol::id::{NetworkId, OdsCode};
use careweave_protocol::identity::{StaffGroup, Standard, StandardStatus};
use careweave_protocol::key::Signer;
use careweave_protocol::limits::CREDENTIAL_LIFE;
use careweave_protocol::signed::{MultiSigned, Scope, Signed};
use careweave_protocol::time::Date;
use careweave_tests::network::Network;
use careweave_tests::peer::{Member, Peer, Person};
use libp2p::Multiaddr;
use ring::rand::SystemRandom;
use serde_bytes::ByteBuf;
use tokio::runtime::Runtime;

/// The keys of the governance office, and its own desk.
pub(super) struct Officers {
    network: NetworkId,
    keys: Vec<SoftwareKey>,
    registrar: SoftwareKey,
    /// Certificate in DER, and key.
    intermediate: (Vec<u8>, SoftwareKey),
    desk: Peer,
}

/// One member, with somebody who works there.
pub(super) struct Joined {
    pub(super) member: Member,
    pub(super) person: Person,
}

impl Officers {
    /// Reads the keys of the office's directory, and connects as the one who may publish.
    pub(super) fn new(network: &Network, office: &str, runtime: &Runtime) -> Self {
        let directory = network.layout().governance();
        let words = fs::read_to_string(network.layout().passphrase()).unwrap();
        let passphrase = Passphrase::new(words.trim_end().to_owned().into());
        let key = |name: &str| SoftwareKey::read_protected(&directory.join(name), &passphrase).unwrap();
        let certificate = fs::read(directory.join("authority/intermediate.pem")).unwrap();
        let certificate = chain::from_pem(&certificate).unwrap().remove(0).to_vec();
        let profile = network.profile(&format!("{office}-ra")).unwrap();
        let person = Person::load(&profile, &network.layout().passphrase()).unwrap();
        let id: NetworkId = network.commands().network().parse().unwrap();
        let desk: Multiaddr = network.addresses(office).unwrap().desk.parse().unwrap();
        let desk = runtime.block_on(Peer::connect(person.credentials(&id).unwrap(), &desk)).unwrap();
        Self {
            network: id,
            keys: (1..=2).map(|number| key(&format!("officers/{number}/officer.key"))).collect(),
            registrar: key("registrar/registrar.key"),
            intermediate: (certificate, key("authority/intermediate.key")),
            desk,
        }
    }

    /// One officer suspends a member and publishes that.
    pub(super) async fn suspend(&self, ods: &OdsCode) {
        let suspension = Suspension {
            target: SuspensionTarget::Member(ods.clone()),
            reason: "incident 31".to_owned(),
            from: Clock.now(),
        };
        let signed = Signed::sign(&suspension, Scope::network(&self.network), &self.keys[0]).unwrap();
        let bytes = ByteBuf::from(signed.signed().as_bytes().to_vec());
        self.publish(GovernanceDocument::Suspension(bytes)).await;
    }

    /// Makes and admits so many members in one manifest: their directories lie under `root`.
    pub(super) fn admit(&self, held: &Trust, count: usize, root: &Path, runtime: &Runtime) -> Vec<Joined> {
        let now = Clock.now();
        let codes: Vec<OdsCode> = (0..count).map(|number| format!("T{number:05}").parse().unwrap()).collect();
        let keys: Vec<SoftwareKey> = codes.iter().map(|_| generate(Algorithm::P256)).collect();
        let mut next: Manifest = held.manifest().clone();
        next.version += 1;
        next.issued = now;
        next.expires = now.after(Duration::from_secs(90 * 24 * 3600));
        next.members.extend(codes.iter().zip(&keys).map(|(ods, key)| entry(ods, key)));
        next.members.sort_by(|a, b| a.ods.cmp(&b.ods));
        let mut signed = MultiSigned::draft(&next).unwrap();
        for officer in &self.keys {
            signed = signed.add_signature(&self.network, officer).unwrap();
        }
        let mut trust = held.clone();
        trust.advance(signed.clone(), now).unwrap();
        let bytes = ByteBuf::from(signed.as_bytes().to_vec());
        runtime.block_on(self.publish(GovernanceDocument::Manifest(bytes)));
        let trust = trust.to_bytes().unwrap();
        codes.iter().zip(keys).map(|(ods, key)| self.join(ods, key, &trust, &root.join(ods.as_str()))).collect()
    }

    async fn publish(&self, document: GovernanceDocument) {
        let replies = self.desk.desk(&DeskRequest::Publish(document)).await.unwrap();
        assert!(matches!(replies.last(), Some((_, DeskReply::Published(said))) if said == "taken in"), "{replies:?}");
    }

    fn join(&self, ods: &OdsCode, organisation: SoftwareKey, trust: &[u8], directory: &Path) -> Joined {
        let now = Clock.now();
        for folder in [directory, &directory.join(layout::KEYS), &directory.join(layout::TRUST)] {
            private_file::create_dir(folder).unwrap();
        }
        let request = CertificateRequest::create(&self.network, ods, NAME, &organisation).unwrap();
        let request = CertificateRequest::from_pem(&request).unwrap();
        let authority = Authority::new(self.intermediate.0.clone().into(), &self.intermediate.1).unwrap();
        let random = SystemRandom::new();
        let leaf = authority.issue_organisation(&self.network, ods, NAME, &request, now, &random).unwrap();
        let attestations: Vec<_> = [(Standard::Dspt, Some(StandardStatus::Met)), (Standard::SharingAgreement, None)]
            .into_iter()
            .map(|standard| attest::issue(&self.network, ods, standard, far(), &self.registrar, now).unwrap())
            .map(|attestation| attestation.into_signed())
            .collect();
        let config = format!(
            "ods = \"{ods}\"\nname = \"{NAME}\"\nnetwork = \"{}\"\nkind = \"gp-practice\"\n\
             listen = [\"/ip4/127.0.0.1/tcp/0\"]\ndesk_listen = [\"/ip4/127.0.0.1/tcp/0\"]\n",
            self.network
        );
        fs::write(directory.join(layout::NODE_CONFIG), config).unwrap();
        let write = |name: &str, bytes: &[u8]| private_file::replace(&directory.join(name), bytes).unwrap();
        write(layout::CHAIN, to_pem(&[leaf, self.intermediate.0.clone().into()]).as_bytes());
        write(layout::ATTESTATIONS, &cbor::to_vec(&attestations).unwrap());
        write(layout::MANIFEST, trust);
        organisation.write_plain(&directory.join(layout::ORGANISATION_KEY)).unwrap();
        for name in [layout::PEER_KEY, layout::DESK_KEY] {
            generate(Algorithm::Ed25519).write_plain(&directory.join(name)).unwrap();
        }
        let key = generate(Algorithm::Ed25519);
        let request = StaffRequest::create("gp1".parse().unwrap(), "GP of a practice", &key, None).unwrap();
        let request = StaffRequest::verify(&request).unwrap();
        let credential = staff::issue(&self.network, ods, &request, &grant(), &organisation, now).unwrap();
        let person = Person { key: Arc::new(key), credential: credential.into_signed() };
        Joined { member: Member::load(directory).unwrap(), person }
    }
}

fn entry(ods: &OdsCode, key: &SoftwareKey) -> Entry {
    Entry {
        ods: ods.clone(),
        name: NAME.to_owned(),
        kind: MemberKind::GpPractice,
        care_setting: "primary-care".to_owned(),
        neighbourhood: None,
        stage: RolloutStage::Live,
        alert_contact: "020 7946 0131".to_owned(),
        duty_contact: "020 7946 0131".to_owned(),
        key: KeyPin { active: key.public_key().spki_hash(), next: None },
    }
}

fn grant() -> StaffGrant {
    StaffGrant {
        group: StaffGroup::Gp,
        sds_role: "R0260".to_owned(),
        registration: None,
        training_expires: far(),
        scopes: Vec::new(),
        break_glass: false,
        approvals: Vec::new(),
        life: CREDENTIAL_LIFE,
    }
}

fn generate(algorithm: Algorithm) -> SoftwareKey {
    SoftwareKey::generate(algorithm, &SystemRandom::new()).unwrap()
}

/// Far enough for every test to run before it.
fn far() -> Date {
    Date::new(2099, 12, 31).unwrap()
}

const NAME: &str = "A further practice";
