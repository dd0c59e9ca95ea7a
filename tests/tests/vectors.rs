//! One signed sample of every type, byte for byte: a change of field, order or encoding shows here before it shows in a network
//! of two versions. `CAREWEAVE_BLESS=1` writes the files anew; a wire change does that, and says so in `docs/protocol.md`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use careweave_certs::staff::StaffRequest;
use careweave_protocol::delivery::{Alert, AlertKind};
use careweave_protocol::desk::MedicineException;
use careweave_protocol::id::{Digest, NetworkId, NodeKey, Nonce, OdsCode, PersonId, QueryId};
use careweave_protocol::identity::{
    Advert, Attestation, EndpointRole, NodeBinding, RevokedCredential, Scope as DeskScope, StaffCredential, StaffGroup,
    StaffRevocation, Standard,
};
use careweave_protocol::key::{KeyError, PublicKey, Signer};
use careweave_protocol::query::completeness::NotAsked;
use careweave_protocol::query::{
    Acknowledgement, AcknowledgementBatch, AnswerHeader, AnswerOutcome, BreakGlassGrant, Cause, Completeness, Envelope,
    Evidence, InclusionProof, Patient, Period, Purpose, Query, Relationship, SourceLine, SourceOutcome,
};
use careweave_protocol::record::Category;
use careweave_protocol::signed::{Document, Scope, Signed};
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

#[test]
fn every_signed_type_has_the_bytes_it_has_always_had() {
    let key = VectorKey::new();
    let network: NetworkId = "vectors".parse().unwrap();
    let (r9a, gp): (OdsCode, OdsCode) = ("R9A".parse().unwrap(), "Y91001".parse().unwrap());
    let (all, to_holder, to_asker) = (Scope::network(&network), Scope::to(&network, &r9a), Scope::to(&network, &gp));
    let person: PersonId = "gp-1".parse().unwrap();
    let (node, digest, query_id) = (NodeKey([7; 32]), Digest([9; 32]), QueryId([3; 16]));

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
    let signed_query = Signed::sign(&query, all, &key).unwrap().into_signed();
    let signed_credential = Signed::sign(&credential, all, &key).unwrap().into_signed();
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
        not_before: NOW,
        not_after: Timestamp(NOW.0 + 1),
    };
    let attestation = Attestation {
        ods: gp.clone(),
        standard: Standard::Dspt,
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
    let request = StaffRequest::create("gp-1".parse().unwrap(), "General practitioner", &key, Some(&second)).unwrap();
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

    check("break-glass-grant", &grant, all, &key);
    check("medicine-exception", &exception, all, &key);
    check("staff-request", &request.unverified().unwrap(), Scope::network(&request_network), &key);
    check("query", &query, all, &key);
    check("envelope", &envelope, to_holder, &key);
    check("answer-header", &header, to_asker, &key);
    check("completeness", &completeness, all, &key);
    check("acknowledgement", &batch, to_holder, &key);
    check("node-binding", &binding, all, &key);
    check("attestation", &attestation, all, &key);
    check("staff-credential", &credential, all, &key);
    check("staff-revocation", &revocation, all, &key);
    check("advert", &advert, all, &key);
    check("alert", &alert, to_asker, &key);
}

fn check<T: Document + Clone>(name: &str, statement: &T, scope: Scope<'_>, key: &VectorKey) {
    let bytes = Signed::sign(statement, scope, key).unwrap().into_signed().as_bytes().to_vec();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors").join(format!("{name}.hex"));
    if std::env::var_os("CAREWEAVE_BLESS").is_some() {
        std::fs::write(&path, format!("{hex}\n")).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    assert_eq!(golden.trim_end(), hex, "{name} is encoded otherwise than it was");
    let golden = Signed::<T>::from_bytes(bytes).unwrap();
    assert!(golden.verify(scope, &key.public_key()).is_ok(), "{name}");
}
