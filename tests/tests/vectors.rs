//! One signed sample of every type, byte for byte: a change of field, order or encoding shows here before it shows in a network
//! of two versions. `CAREWEAVE_BLESS=1` writes the files anew; a wire change does that, and says so in `docs/protocol.md`. The type
//! matrix offers each of them as every other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use careweave_certs::enrolment::{EnrolmentRequest, Invitation};
use careweave_certs::manifest::{
    AuthorityCertificate, AuthorityRole, AuthorityState, Beacon, BeaconKey, Governance, KeyPin, Manifest, Member,
    MemberKind, RolloutStage, StalenessLimits, Suspension, SuspensionTarget, WitnessAssignment,
};
use careweave_certs::office_key::{OfficeKey, OfficeRole};
use careweave_certs::staff::{StaffRequest, StepUpRequest};
use careweave_protocol::delivery::{Alert, AlertKind};
use careweave_protocol::desk::MedicineException;
use careweave_protocol::id::{Digest, NetworkId, NodeKey, Nonce, OdsCode, PersonId, QueryId};
use careweave_protocol::identity::{
    Advert, Approval, Attestation, EndpointRole, KeyEndorsement, NodeBinding, RetiredEndpoint, RevokedCredential,
    Scope as DeskScope, StaffApproval, StaffCredential, StaffGroup, StaffRevocation, Standard, StandardStatus,
};
use careweave_protocol::key::{KeyError, PublicKey, Signer};
use careweave_protocol::query::completeness::NotAsked;
use careweave_protocol::query::{
    Acknowledgement, AcknowledgementBatch, AnswerHeader, AnswerOutcome, BreakGlassGrant, Cause, Completeness, Envelope,
    Evidence, InclusionProof, Patient, Period, Purpose, Query, Relationship, SourceLine, SourceOutcome,
};
use careweave_protocol::record::Category;
use careweave_protocol::signed::{Document, MultiSigned, Scope, Signed};
use careweave_protocol::time::{Date, Timestamp};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_bytes::ByteBuf;

/// Made from words, so that no key is kept anywhere.
struct VectorKey(Ed25519KeyPair);

impl VectorKey {
    fn new() -> Self {
        Self::from_words(b"careweave golden vectors")
    }

    fn from_words(words: &[u8]) -> Self {
        let seed = Digest::of(&[words]);
        Self(Ed25519KeyPair::from_seed_unchecked(seed.as_bytes()).unwrap())
    }
}

impl Signer for VectorKey {
    fn public_key(&self) -> PublicKey {
        PublicKey::Ed25519(self.0.public_key().as_ref().try_into().unwrap())
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

const NOW: Timestamp = Timestamp(1_793_628_600_000);

/// One signed type: a statement, signed, and how the type reads bytes.
struct Sample {
    name: &'static str,
    context: &'static str,
    network: NetworkId,
    audience: Option<OdsCode>,
    bytes: Vec<u8>,
    reads: fn(&[u8], Scope<'_>, &PublicKey) -> bool,
}

impl Sample {
    fn new<T: Document + Clone>(name: &'static str, statement: &T, scope: Scope<'_>, key: &VectorKey) -> Self {
        Self {
            name,
            context: T::CONTEXT,
            network: scope.network.clone(),
            audience: scope.audience.cloned(),
            bytes: Signed::sign(statement, scope, key).unwrap().into_signed().as_bytes().to_vec(),
            reads: |bytes, scope, key| {
                Signed::<T>::from_bytes(bytes.to_vec()).and_then(|signed| signed.verify(scope, key)).is_ok()
            },
        }
    }

    fn scope(&self) -> Scope<'_> {
        Scope { network: &self.network, audience: self.audience.as_ref() }
    }
}

#[test]
fn every_signed_type_has_the_bytes_it_has_always_had() {
    let key = VectorKey::new();
    for sample in samples(&key) {
        check(sample.name, &sample.bytes);
        assert!((sample.reads)(&sample.bytes, sample.scope(), &key.public_key()), "{}", sample.name);
    }
    let signed = manifest();
    check("manifest", signed.as_bytes());
    let officers = signed.unverified().unwrap().governance.keys;
    assert_eq!(signed.signers(&"vectors".parse().unwrap(), &officers).unwrap(), officers);
}

#[test]
fn type_matrix_no_signed_type_passes_for_another() {
    let key = VectorKey::new();
    let (samples, manifest) = (samples(&key), manifest());
    let mut tried = 0;
    for shown in &samples {
        for other in samples.iter().filter(|other| other.name != shown.name) {
            // Under the scope it was signed for, and under the one that the other is signed for.
            for scope in [shown.scope(), other.scope()] {
                let passed = (other.reads)(&shown.bytes, scope, &key.public_key());
                assert!(!passed, "{} passes for {}", shown.name, other.name);
            }
            tried += 1;
        }
        assert!(!(shown.reads)(manifest.as_bytes(), shown.scope(), &key.public_key()), "{}", shown.name);
        let as_manifest = MultiSigned::<Manifest>::from_bytes(shown.bytes.clone()).unwrap();
        assert!(as_manifest.signers(&shown.network, &[key.public_key()]).is_err(), "{}", shown.name);
    }
    assert_eq!(tried, samples.len() * (samples.len() - 1));

    // Each has a context of its own, and none that the source signs is missing here.
    let contexts: BTreeSet<String> =
        samples.iter().map(|sample| sample.context).chain([Manifest::CONTEXT]).map(str::to_owned).collect();
    assert_eq!(contexts.len(), samples.len() + 1);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut signed = BTreeSet::new();
    for sources in ["protocol/src", "certs/src", "node/src", "cli/src"] {
        find_contexts(&root.join(sources), &mut signed);
    }
    assert_eq!(contexts, signed);
}

/// The context of every `impl Document` under a directory of sources, those of tests aside.
fn find_contexts(directory: &Path, contexts: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find_contexts(&path, contexts);
        } else if path.extension().is_some_and(|kind| kind == "rs") && !path.ends_with("tests.rs") {
            let source = fs::read_to_string(&path).unwrap();
            let values = source.lines().filter_map(|line| line.trim().strip_prefix("const CONTEXT: &'static str = \""));
            contexts.extend(values.filter_map(|value| value.strip_suffix("\";")).map(str::to_owned));
        }
    }
}

/// A manifest with something in every field, signed by its two officers.
fn manifest() -> MultiSigned<Manifest> {
    let network: NetworkId = "vectors".parse().unwrap();
    let officers =
        ["one", "two"].map(|who| VectorKey::from_words(format!("careweave vectors, officer {who}").as_bytes()));
    let (ods, digest) = ("R9A".parse::<OdsCode>().unwrap(), Digest([9; 32]));
    let member = Member {
        ods: ods.clone(),
        name: "Riverside".to_owned(),
        kind: MemberKind::Acute,
        care_setting: "acute".to_owned(),
        neighbourhood: Some("north".to_owned()),
        stage: RolloutStage::Pilot,
        alert_contact: "alerts".to_owned(),
        duty_contact: "switchboard".to_owned(),
        key: KeyPin { active: digest, next: Some(Digest([10; 32])) },
    };
    let stop = Suspension { target: SuspensionTarget::Credential(digest), reason: "lost".to_owned(), from: NOW };
    let manifest = Manifest {
        network: network.clone(),
        version: 4,
        issued: NOW,
        expires: Timestamp(NOW.0 + 86_400_000),
        governance: Governance { keys: officers.iter().map(Signer::public_key).collect(), threshold: 2 },
        authorities: vec![AuthorityCertificate {
            role: AuthorityRole::Root,
            state: AuthorityState::Next,
            certificate: ByteBuf::from(vec![0x30, 0]),
        }],
        members: vec![member],
        registrars: vec![VectorKey::new().public_key()],
        beacons: vec![BeaconKey { ods: ods.clone(), key: VectorKey::new().public_key() }],
        enrolment: vec![ods.clone()],
        minimum_standard: StandardStatus::Approaching,
        witnesses: vec![WitnessAssignment { ods: ods.clone(), witnesses: vec![ods] }],
        witness_quorum: 1,
        policy: Some(digest),
        protocol_min: 1,
        staleness: StalenessLimits::default(),
        suspended: vec![stop],
        lifted: vec![digest],
    };
    let draft = MultiSigned::draft(&manifest).unwrap();
    officers.iter().fold(draft, |signed, officer| signed.add_signature(&network, officer).unwrap())
}

fn samples(key: &VectorKey) -> Vec<Sample> {
    let network: NetworkId = "vectors".parse().unwrap();
    let (r9a, gp): (OdsCode, OdsCode) = ("R9A".parse().unwrap(), "Y91001".parse().unwrap());
    let (all, to_holder, to_asker) = (Scope::network(&network), Scope::to(&network, &r9a), Scope::to(&network, &gp));
    let person: PersonId = "gp-1".parse().unwrap();
    let (node, digest, query_id) = (NodeKey([7; 32]), Digest([9; 32]), QueryId([3; 16]));

    let approver = VectorKey::from_words(b"careweave golden vectors, approver");
    let plain = StaffCredential {
        ods: gp.clone(),
        person: "gp-2".parse().unwrap(),
        name: "Practice manager".to_owned(),
        group: StaffGroup::Gp,
        sds_role: "R1290".to_owned(),
        registration: Some("GMC 0000000".to_owned()),
        training_expires: Date::new(2027, 3, 31).unwrap(),
        scopes: Vec::new(),
        key: approver.public_key().node_key().unwrap(),
        step_up: None,
        approvals: Vec::new(),
        not_before: NOW,
        not_after: Timestamp(NOW.0 + 1),
    };
    let approval = StaffApproval {
        ods: gp.clone(),
        approver: "gp-2".parse().unwrap(),
        person: person.clone(),
        key: node,
        scopes: vec![DeskScope::Audit],
        at: NOW,
    };
    let approved = Approval {
        credential: Signed::sign(&plain, all, key).unwrap().into_signed(),
        approval: Signed::sign(&approval, all, &approver).unwrap().into_signed(),
    };
    let credential = StaffCredential {
        ods: gp.clone(),
        person: person.clone(),
        name: "General practitioner".to_owned(),
        group: StaffGroup::Gp,
        sds_role: "R0260".to_owned(),
        registration: None,
        training_expires: Date::new(2027, 3, 31).unwrap(),
        scopes: vec![DeskScope::Operate, DeskScope::Audit],
        key: node,
        step_up: Some(NodeKey([8; 32])),
        approvals: vec![approved],
        not_before: NOW,
        not_after: Timestamp(NOW.0 + 1),
    };
    let query = Query {
        network: network.clone(),
        query_id,
        asker: gp.clone(),
        credential: digest,
        patient: Patient {
            nhs_number: "9990010013".parse().unwrap(),
            birth_date: Date::new(1938, 3, 14).unwrap(),
            family: "Okafor".to_owned(),
            postcode: None,
            other_numbers: Vec::new(),
        },
        categories: vec![Category::Problems, Category::AdvanceCare],
        period: Period { since: Some(NOW), until: None },
        purpose: Purpose::Treat,
        reason: None,
        reason_text: Some(digest),
        case_number: None,
        grant: None,
        asked_at: NOW,
        expires_at: Timestamp(NOW.0 + 60_000),
    };
    let signed_query = Signed::sign(&query, all, key).unwrap().into_signed();
    let signed_credential = Signed::sign(&credential, all, key).unwrap().into_signed();
    let envelope = Envelope {
        query: signed_query,
        credential: signed_credential,
        asker: gp.clone(),
        asker_node: node,
        audience: r9a.clone(),
        audience_node: node,
        nonce: Nonce([5; 16]),
        evidence: vec![Evidence {
            kind: Relationship::RegisteredPractice,
            since: Timestamp(0),
            until: None,
            basis: "Patient.generalPractitioner".to_owned(),
        }],
        manifest_version: 4,
        sent_at: NOW,
        budget: 64,
        window: 32,
    };
    let header = AnswerHeader {
        query_id,
        asker: gp.clone(),
        holder: r9a.clone(),
        envelope: digest,
        outcome: AnswerOutcome::Refused(Cause::TrainingLapsed(Date::new(2026, 11, 1).unwrap())),
        records: 0,
        bytes: 0,
        counts: BTreeMap::from([(Category::Problems, 2)]),
        open: vec![Category::Problems],
        root: digest,
        leaf: digest,
        proof: InclusionProof { index: 5, size: 7, path: vec![digest] },
        checkpoint: "note".to_owned(),
        commitment: digest,
        data_to: Some(NOW),
        feed_interval: Some(86_400),
        medicines_not_shown: 1,
        outside_period: 2,
        manifest_version: 4,
        beacon_age: Some(12),
        policy: digest,
        decided_at: NOW,
        padding: ByteBuf::from(vec![0; 3]),
    };
    let line =
        |outcome| SourceLine { ods: r9a.clone(), outcome, records: 1, ms: 2, data_to: None, receipt: Some(digest) };
    let completeness = Completeness {
        network: network.clone(),
        query_id,
        asker: gp.clone(),
        as_at: NOW,
        manifest_version: 4,
        sources: vec![line(SourceOutcome::Answered), line(SourceOutcome::NotAsked(NotAsked::HoldsNoRecords))],
    };
    let item = Acknowledgement { query_id, header: digest, records: 2, received_at: NOW };
    let batch = AcknowledgementBatch { asker: gp.clone(), holder: r9a.clone(), items: vec![item] };
    let binding = NodeBinding {
        ods: gp.clone(),
        node,
        role: EndpointRole::Peer,
        retires: Some(RetiredEndpoint { node: NodeKey([6; 32]), from: NOW }),
        not_before: NOW,
        not_after: Timestamp(NOW.0 + 1),
    };
    let attestation = Attestation {
        ods: gp.clone(),
        standard: Standard::Dspt,
        status: Some(StandardStatus::Met),
        issued: NOW,
        expires: Date::new(2027, 6, 30).unwrap(),
    };
    let revoked = RevokedCredential { credential: digest, person, at: NOW, until: Timestamp(NOW.0 + 1) };
    let revocation = StaffRevocation { ods: gp.clone(), version: 2, issued: NOW, revoked: vec![revoked] };
    let advert = Advert {
        ods: gp.clone(),
        node,
        addresses: vec!["/ip4/127.0.0.1/tcp/4101".to_owned()],
        duty_contact: "020 7946 0001".to_owned(),
        issued: NOW,
        expires: Timestamp(NOW.0 + 1),
    };
    let alert =
        Alert { from: r9a.clone(), kind: AlertKind::SelfClaimedAccess, query_id, purpose: Purpose::Etreat, at: NOW };

    let grant = BreakGlassGrant {
        network: network.clone(),
        id: query_id,
        ods: gp.clone(),
        person: "gp-1".parse().unwrap(),
        nhs_number: "9990010013".parse().unwrap(),
        categories: vec![Category::Problems, Category::Letters],
        reason: "acute-confusion".to_owned(),
        reason_text: digest,
        issued_at: NOW,
        expires_at: Timestamp(NOW.0 + 3_600_000),
    };
    let second = VectorKey::from_words(b"careweave golden vectors, second key");
    let request = StaffRequest::create("gp-1".parse().unwrap(), "General practitioner", key, Some(&second)).unwrap();
    let request_network: NetworkId = "staff-request".parse().unwrap();

    let exception = MedicineException {
        network: network.clone(),
        ods: r9a.clone(),
        guardian: "ig".parse().unwrap(),
        nhs_number: "9990010013".parse().unwrap(),
        resource_type: "MedicationRequest".to_owned(),
        id: "7".to_owned(),
        hidden: true,
        reason: "case 12".to_owned(),
        issued_at: NOW,
        expires_at: Timestamp(NOW.0 + 86_400_000),
    };

    let endorsement = KeyEndorsement {
        ods: gp.clone(),
        endorser: key.public_key(),
        successor: second.public_key(),
        issued: NOW,
        expires: Timestamp(NOW.0 + 86_400_000),
    };
    let step_up = StepUpRequest { key: node, step_up: NodeKey([8; 32]) };
    let invitation = Invitation { ods: gp.clone(), code: digest, expires: Timestamp(NOW.0 + 86_400_000) };
    let office_key =
        OfficeKey { network: network.clone(), office: OfficeRole::Registrar, key: key.public_key(), issued: NOW };
    let stop = Suspension { target: SuspensionTarget::Node(node), reason: "incident".to_owned(), from: NOW };
    let beacon = Beacon { ods: gp.clone(), manifest_version: 4, suspensions: digest, time: NOW };
    let enrolment = EnrolmentRequest {
        network: network.clone(),
        ods: gp.clone(),
        name: "Orchard Surgery".to_owned(),
        kind: MemberKind::GpPractice,
        care_setting: "primary-care".to_owned(),
        neighbourhood: Some("north".to_owned()),
        duty_contact: "020 7946 0001".to_owned(),
        alert_contact: "alerts".to_owned(),
        peer: node,
        beacon: NodeKey([6; 32]),
        desk: NodeKey([8; 32]),
        certificate_request: "a certificate request, PEM".to_owned(),
        endorsement: Some(Signed::sign(&endorsement, all, key).unwrap().into_signed()),
    };

    let for_request = Scope::network(&request_network);
    vec![
        Sample::new("break-glass-grant", &grant, all, key),
        Sample::new("medicine-exception", &exception, all, key),
        Sample::new("staff-request", &request.unverified().unwrap(), for_request, key),
        Sample::new("step-up-request", &step_up, for_request, key),
        Sample::new("query", &query, all, key),
        Sample::new("envelope", &envelope, to_holder, key),
        Sample::new("answer-header", &header, to_asker, key),
        Sample::new("completeness", &completeness, all, key),
        Sample::new("acknowledgement", &batch, to_holder, key),
        Sample::new("node-binding", &binding, all, key),
        Sample::new("key-endorsement", &endorsement, all, key),
        Sample::new("attestation", &attestation, all, key),
        Sample::new("staff-credential", &credential, all, key),
        Sample::new("staff-approval", &approval, all, key),
        Sample::new("staff-revocation", &revocation, all, key),
        Sample::new("advert", &advert, all, key),
        Sample::new("alert", &alert, to_asker, key),
        Sample::new("invitation", &invitation, all, key),
        Sample::new("enrolment-request", &enrolment, all, key),
        Sample::new("office-key", &office_key, all, key),
        Sample::new("suspension", &stop, all, key),
        Sample::new("beacon", &beacon, all, key),
    ]
}

/// Compares with the golden file, or writes it.
fn check(name: &str, bytes: &[u8]) {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors").join(format!("{name}.hex"));
    if std::env::var_os("CAREWEAVE_BLESS").is_some() {
        fs::write(&path, format!("{hex}\n")).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(golden.trim_end(), hex, "{name} is encoded otherwise than it was");
}
