//! What a hostile but admitted peer sees and can do on the wire: shapes of refusals, altered bytes, replays, mixed-up types.

use std::time::{Duration, Instant};

use careweave_certs::authority::{Authority, CertificateRequest};
use careweave_certs::keystore::{Algorithm, Passphrase, SoftwareKey};
use careweave_certs::{binding, chain};
use careweave_node::ask::receive::{Receiver, Step};
use careweave_node::clock::Clock;
use careweave_node::net::Protocol;
use careweave_protocol::desk::{DeskReply, DeskRequest, GovernanceDocument};
use careweave_protocol::id::{NodeKey, OdsCode};
use careweave_protocol::identity::{EndpointRole, Hello};
use careweave_protocol::key::Signer;
use careweave_protocol::limits::{CREDIT_WINDOW, REFUSAL_BUCKET, REFUSAL_TICK};
use careweave_protocol::query::{AnswerFrame, AnswerHeader, AnswerOutcome, Cause, Patient, Purpose, Relationship};
use careweave_protocol::signed::{MultiSigned, Scope, Signed};
use careweave_protocol::time::Date;
use careweave_tests::network::Network;
use careweave_tests::peer::{Credentials, Member, Peer, PeerError, Person, Question};
use libp2p::{Multiaddr, identity};
use ring::rand::SystemRandom;
use serde_bytes::ByteBuf;
use serde_json::json;

use crate::scene;

const HOLDER: &str = "R9A";
const ASKER: &str = "Y91001";

/// A network of two whose asking node has been stopped, so that its keys are in our hands.
struct Wire {
    network: Network,
    member: Member,
    person: Person,
    to: Multiaddr,
    holder_node: NodeKey,
    runtime: tokio::runtime::Runtime,
}

impl Wire {
    fn new() -> Self {
        let network = scene::small(&[ASKER, HOLDER]);
        let profile = network.profile(&format!("{ASKER}-gp")).unwrap();
        network.profile(&format!("{HOLDER}-ig")).unwrap();
        network.stop(ASKER).unwrap();
        let member = Member::load(&network.layout().node(ASKER)).unwrap();
        let person = Person::load(&profile, &network.layout().passphrase()).unwrap();
        let to: Multiaddr = network.addresses(HOLDER).unwrap().peer.parse().unwrap();
        let holder_node = Member::load(&network.layout().node(HOLDER)).unwrap().own.node_key();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        Self { network, member, person, to, holder_node, runtime }
    }

    fn question(&self, patient: &scene::Patient) -> Question<'_> {
        Question {
            member: &self.member,
            person: &self.person,
            patient: Patient {
                nhs_number: patient.nhs_number.parse().unwrap(),
                birth_date: Date::from_iso(&patient.birth_date).unwrap(),
                family: patient.family.clone(),
                postcode: None,
                other_numbers: Vec::new(),
            },
            purpose: Purpose::Treat,
            grounds: vec![Relationship::RegisteredPractice],
            holder: HOLDER.parse().unwrap(),
            holder_node: self.holder_node,
        }
    }

    fn connect(&self) -> Peer {
        self.runtime.block_on(Peer::connect(self.member.credentials().unwrap(), &self.to)).unwrap()
    }

    fn ask(&self, peer: &Peer, envelope: &[u8]) -> Vec<Vec<u8>> {
        self.runtime.block_on(peer.exchange(Protocol::Query, envelope)).unwrap()
    }

    fn header(&self, frames: &[Vec<u8>]) -> AnswerHeader {
        let Some(AnswerFrame::Header(signed)) = AnswerFrame::parse(&frames[0]) else { panic!("no header") };
        let own: OdsCode = ASKER.parse().unwrap();
        let scope = Scope::to(&self.member.config.network, &own);
        Signed::<AnswerHeader>::from_bytes(signed.to_vec())
            .unwrap()
            .verify(scope, &self.holder_node.into())
            .unwrap()
            .into_inner()
    }

    /// The causes of the newest decisions in the holder's log, newest last.
    fn causes(&self, count: usize) -> Vec<String> {
        let entries = scene::list(&self.network, HOLDER, &["--kind", "DECISION"]);
        let causes = entries.iter().map(|entry| entry["cause"].as_str().unwrap_or("").to_owned());
        let mut newest: Vec<String> = causes.rev().take(count).collect();
        newest.reverse();
        newest
    }
}

#[test]
fn refusals_about_a_patient_have_one_face_on_the_wire_and_their_reasons_in_the_log() {
    let wire = Wire::new();
    // Somebody who objects, and somebody of whom only a sealed record is held.
    let (objecting, sealed) = (stranger(70, "Objector"), stranger(71, "Sealed"));
    wire.network.import_value(HOLDER, &bundle(&objecting, &objection())).unwrap();
    wire.network.import_value(HOLDER, &only_sealed(&sealed)).unwrap();

    let unknown = stranger(72, "Nobody");
    let misdated = scene::ada().born("1938-03-15");
    let peer = wire.connect();
    let mut faces = Vec::new();
    let mut cases = vec![
        (wire.question(&unknown), "unknown-patient"),
        (wire.question(&misdated), "not-matched"),
        (wire.question(&objecting), "objection"),
        (wire.question(&sealed), "break-glass-only"),
    ];
    let mut unrelated = wire.question(&scene::ada());
    unrelated.grounds.clear();
    cases.push((unrelated, "no-relationship"));

    for (question, _) in &cases {
        let envelope = question.envelope(&question.query().unwrap()).unwrap();
        let asked = Instant::now();
        let frames = wire.ask(&peer, envelope.signed().as_bytes());
        let took = asked.elapsed();
        let header = wire.header(&frames);
        assert_eq!(header.outcome, AnswerOutcome::NothingShareable);
        assert_eq!((header.records, header.bytes, header.counts.len(), header.open.len()), (0, 0, 0, 0));
        assert!(took >= REFUSAL_TICK, "a refusal left before its tick: {took:?}");
        let sizes: Vec<usize> = frames.iter().map(Vec::len).collect();
        faces.push((sizes, header.data_to, header.policy, header.manifest_version, header.root));
    }
    assert!(faces.windows(2).all(|pair| pair[0] == pair[1]), "{faces:#?}");
    assert_eq!(faces[0].0, vec![REFUSAL_BUCKET + 1, 1], "a kind byte, a full bucket, an end");

    let causes = wire.causes(cases.len());
    for ((_, expected), cause) in cases.iter().zip(&causes) {
        assert!(cause.starts_with(expected), "{cause} is not {expected}: {causes:?}");
    }
    // The twin that is granted: Ada, with a relationship.
    let question = wire.question(&scene::ada());
    let envelope = question.envelope(&question.query().unwrap()).unwrap();
    let frames = wire.ask(&peer, envelope.signed().as_bytes());
    assert_eq!(wire.header(&frames).outcome, AnswerOutcome::Answered);
    assert_eq!(wire.causes(1), vec![String::new()]);
}

#[test]
fn every_flipped_bit_of_an_answer_is_rejected_by_the_asker_and_of_an_envelope_by_the_holder() {
    let wire = Wire::new();
    let patient = stranger(73, "Short");
    wire.network.import_value(HOLDER, &bundle(&patient, &condition())).unwrap();
    let question = wire.question(&patient);
    let query = question.query().unwrap();
    let envelope = question.envelope(&query).unwrap();
    let peer = wire.connect();
    let frames = wire.ask(&peer, envelope.signed().as_bytes());

    let whole = |frames: &[Vec<u8>]| {
        let mut receiver = Receiver::new(question.expected(&envelope));
        frames.iter().any(|frame| matches!(receiver.take(frame), Ok(Step::Whole(_))))
    };
    assert!(whole(&frames));
    for (which, frame) in frames.iter().enumerate() {
        for bit in 0..frame.len() * 8 {
            let mut altered = frames.clone();
            altered[which][bit / 8] ^= 1 << (bit % 8);
            let mut receiver = Receiver::new(question.expected(&envelope));
            let believed = altered.iter().map(|frame| receiver.take(frame)).collect::<Result<Vec<_>, _>>();
            let believed = believed.is_ok_and(|steps| steps.iter().any(|s| matches!(s, Step::Whole(_))));
            assert!(!believed, "frame {which}, bit {bit}");
        }
    }
    // Frames left out or doubled are no answer either.
    for which in 0..frames.len() {
        let mut fewer = frames.clone();
        fewer.remove(which);
        assert!(!whole(&fewer), "without frame {which}");
    }

    // The holder verifies the same bytes before it looks anybody up; all bits here, a sample of them against the node.
    let fresh = question.envelope(&question.query().unwrap()).unwrap();
    let bytes = fresh.signed().as_bytes();
    let holder: OdsCode = HOLDER.parse().unwrap();
    let scope = Scope::to(&wire.member.config.network, &holder);
    for bit in 0..bytes.len() * 8 {
        let mut altered = bytes.to_vec();
        altered[bit / 8] ^= 1 << (bit % 8);
        let verified = Signed::<careweave_protocol::query::Envelope>::from_bytes(altered)
            .and_then(|signed| signed.verify(scope, &wire.member.own.node_key().into()));
        assert!(verified.is_err(), "bit {bit}");
    }
    for bit in (0..bytes.len() * 8).step_by(397) {
        let mut altered = bytes.to_vec();
        altered[bit / 8] ^= 1 << (bit % 8);
        let outcome = wire.header(&wire.ask(&peer, &altered)).outcome;
        assert!(
            matches!(outcome, AnswerOutcome::Refused(Cause::SignatureInvalid | Cause::Malformed)),
            "bit {bit}: {outcome:?}"
        );
    }
    assert_eq!(wire.header(&wire.ask(&peer, bytes)).outcome, AnswerOutcome::Answered, "unaltered, it is answered");
}

#[test]
fn an_envelope_is_answered_once_even_across_a_restart_of_the_holder() {
    let wire = Wire::new();
    let question = wire.question(&scene::ada());
    let query = question.query().unwrap();
    let first = question.envelope(&query).unwrap();
    let peer = wire.connect();
    assert_eq!(wire.header(&wire.ask(&peer, first.signed().as_bytes())).outcome, AnswerOutcome::Answered);

    let replayed = AnswerOutcome::Refused(Cause::Replayed);
    assert_eq!(wire.header(&wire.ask(&peer, first.signed().as_bytes())).outcome, replayed);
    // The same question in a new envelope is the same question.
    let again = question.envelope(&query).unwrap();
    assert_eq!(wire.header(&wire.ask(&peer, again.signed().as_bytes())).outcome, replayed);

    wire.runtime.block_on(peer.close());
    wire.network.kill(HOLDER).unwrap();
    wire.network.start(HOLDER).unwrap();
    let peer = wire.connect();
    assert_eq!(wire.header(&wire.ask(&peer, first.signed().as_bytes())).outcome, replayed);
    assert_eq!(wire.header(&wire.ask(&peer, again.signed().as_bytes())).outcome, replayed);
    let another = question.envelope(&question.query().unwrap()).unwrap();
    assert_eq!(wire.header(&wire.ask(&peer, another.signed().as_bytes())).outcome, AnswerOutcome::Answered);
    let alerts = scene::list(&wire.network, HOLDER, &["--kind", "ALERT"]);
    assert!(alerts.iter().filter(|alert| alert["outcome"] == "replay").count() >= 4, "{alerts:#?}");
}

#[test]
fn nobody_is_served_who_does_not_prove_who_they_are() {
    let wire = Wire::new();
    let proven = || wire.member.credentials().unwrap();
    let Hello::Node(true_hello) = proven().hello else { panic!("a node's hello") };
    let refused = |who: Credentials| match wire.runtime.block_on(Peer::connect(who, &wire.to)) {
        Err(PeerError::Refused(cause)) => Some(cause),
        Err(_) => None,
        Ok(_) => panic!("admitted"),
    };
    let with = |change: &dyn Fn(&mut careweave_protocol::identity::NodeHello)| {
        let mut hello = (*true_hello).clone();
        hello.clock = Clock.now();
        change(&mut hello);
        Credentials { keypair: proven().keypair, hello: Hello::Node(Box::new(hello)) }
    };

    // Another key than the one the binding names.
    let stolen = Credentials { keypair: identity::Keypair::generate_ed25519(), hello: proven().hello };
    assert_eq!(refused(stolen), Some(Cause::BindingInvalid));
    assert_eq!(refused(with(&|h| h.chain.clear())), Some(Cause::CertInvalid));
    let theirs = Member::load(&wire.network.layout().node(HOLDER)).unwrap();
    let binding = theirs.own.binding(theirs.own.node_key()).unwrap();
    assert_eq!(refused(with(&|h| h.binding = binding.clone())), Some(Cause::BindingInvalid));
    let desk = wire.member.own.binding(wire.member.own.desk().node).unwrap();
    assert_eq!(refused(with(&|h| h.binding = desk.clone())), Some(Cause::BindingInvalid));
    assert_eq!(refused(with(&|h| h.network = "elsewhere".parse().unwrap())), Some(Cause::OtherNetwork));
    assert_eq!(refused(with(&|h| h.protocol = 0)), Some(Cause::Incompatible));
    let late = with(&|h| h.clock = Clock.now().before(Duration::from_secs(412)));
    assert!(matches!(refused(late), Some(Cause::ClockSkew(-413..=-411))));
    // A person has nothing to do at the peers' door.
    let person = wire.person.credentials(&wire.member.config.network).unwrap();
    assert_eq!(refused(person), Some(Cause::Malformed));

    // Before `auth` has passed, no other protocol is there.
    let (peer, _stream, _) = wire.runtime.block_on(Peer::unproven(&proven(), &wire.to)).unwrap();
    for protocol in Protocol::ALL.into_iter().filter(|p| *p != Protocol::Auth) {
        assert!(wire.runtime.block_on(peer.exchange(protocol, b"hello")).is_err(), "{protocol:?}");
    }
    // The twin: the same member with all of it in order.
    drop(wire.connect());
}

#[test]
fn a_stolen_authority_key_an_old_certificate_and_too_few_officers_open_nothing() {
    let wire = Wire::new();
    let governance = wire.network.layout().governance();
    let words = std::fs::read_to_string(wire.network.layout().passphrase()).unwrap();
    let passphrase = Passphrase::new(words.trim_end().to_owned().into());
    let stolen = |path: &str| SoftwareKey::read_protected(&governance.join(path), &passphrase).unwrap();
    let (network, ods) = (&wire.member.config.network, &wire.member.config.ods);
    let random = SystemRandom::new();

    // The intermediate's key, in wrong hands, mints a certificate for a key of their own, with a binding to match.
    let intermediate = stolen("authority/intermediate.key");
    let certificate = chain::from_pem(&std::fs::read(governance.join("authority/intermediate.pem")).unwrap()).unwrap();
    let authority = Authority::new(certificate[0].clone(), &intermediate).unwrap();
    let minted = SoftwareKey::generate(Algorithm::P256, &random).unwrap();
    let pem = CertificateRequest::create(network, ods, "Borough GP practice", &minted).unwrap();
    let request = CertificateRequest::from_pem(&pem).unwrap();
    let proven = || wire.member.credentials().unwrap();
    let Hello::Node(true_hello) = proven().hello else { panic!("a node's hello") };
    let show = |leaf: &[u8], binding| {
        let mut hello = (*true_hello).clone();
        hello.clock = Clock.now();
        hello.chain[0] = ByteBuf::from(leaf.to_vec());
        hello.binding = binding;
        let who = Credentials { keypair: proven().keypair, hello: Hello::Node(Box::new(hello)) };
        match wire.runtime.block_on(Peer::connect(who, &wire.to)) {
            Err(PeerError::Refused(cause)) => cause,
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("admitted"),
        }
    };
    let endpoint = (wire.member.own.node_key(), EndpointRole::Peer);
    let life = (Clock.now(), Duration::from_secs(3600));
    let forged = binding::issue(network, ods, endpoint, None, &minted, life).unwrap();
    let issue =
        |now| authority.issue_organisation(network, ods, "Borough GP practice", &request, now, &random).unwrap();
    assert_eq!(show(&issue(Clock.now()), forged.signed().clone()), Cause::KeyNotPinned);
    let long_ago = Clock.now().before(Duration::from_secs(100 * 86_400));
    assert_eq!(show(&issue(long_ago), forged.signed().clone()), Cause::CertExpired);

    // One officer of the two that are needed signs the next manifest, and a node is handed it.
    let mut next = wire.member.trust.manifest().clone();
    next.version += 1;
    let officers = governance.join("officers");
    let mut keys: Vec<_> = std::fs::read_dir(&officers).unwrap().map(|entry| entry.unwrap().path()).collect();
    keys.sort();
    let key = walk(&keys[0]).into_iter().find(|path| path.extension().is_some_and(|e| e == "key")).unwrap();
    let officer = SoftwareKey::read_protected(&key, &passphrase).unwrap();
    let under_signed = MultiSigned::draft(&next).unwrap().add_signature(network, &officer).unwrap();
    let clerk = wire.network.profile(&format!("{HOLDER}-ra")).unwrap();
    let clerk = Person::load(&clerk, &wire.network.layout().passphrase()).unwrap();
    let desk: Multiaddr = wire.network.addresses(HOLDER).unwrap().desk.parse().unwrap();
    let document = GovernanceDocument::Manifest(ByteBuf::from(under_signed.as_bytes().to_vec()));
    let replies = wire.runtime.block_on(async {
        let peer = Peer::connect(clerk.credentials(network).unwrap(), &desk).await.unwrap();
        peer.desk(&DeskRequest::Publish(document)).await.unwrap()
    });
    let Some((_, DeskReply::Failed(why))) = replies.last() else { panic!("{replies:?}") };
    assert!(why.contains("sign"), "{why}");
    // The twin: what is in order is still served, under the manifest there was.
    let question = wire.question(&scene::ada());
    let envelope = question.envelope(&question.query().unwrap()).unwrap();
    let header = wire.header(&wire.ask(&wire.connect(), envelope.signed().as_bytes()));
    assert_eq!(header.outcome, AnswerOutcome::Answered);
    assert_eq!(header.manifest_version, wire.member.trust.version());
}

fn walk(path: &std::path::Path) -> Vec<std::path::PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    std::fs::read_dir(path).unwrap().flat_map(|entry| walk(&entry.unwrap().path())).collect()
}

#[test]
fn no_signed_type_passes_for_another() {
    let wire = Wire::new();
    let question = wire.question(&scene::ada());
    let query = question.query().unwrap();
    let envelope = question.envelope(&query).unwrap();
    let network = wire.member.config.network.clone();
    let holder: OdsCode = HOLDER.parse().unwrap();
    let own: OdsCode = ASKER.parse().unwrap();
    let peer = wire.connect();
    let frames = wire.ask(&peer, envelope.signed().as_bytes());
    let Some(AnswerFrame::Header(header)) = AnswerFrame::parse(&frames[0]) else { panic!("no header") };
    let credential = wire.person.credential.as_bytes().to_vec();
    let binding = wire.member.own.binding(wire.member.own.node_key()).unwrap().as_bytes().to_vec();
    let advert = wire.member.own.advert().unwrap().advert.as_bytes().to_vec();
    let samples: Vec<(&str, Vec<u8>)> = vec![
        ("query", query.signed().as_bytes().to_vec()),
        ("envelope", envelope.signed().as_bytes().to_vec()),
        ("header", header.to_vec()),
        ("credential", credential),
        ("binding", binding),
        ("advert", advert),
    ];
    let keys = [
        wire.person.public_key(),
        wire.member.own.node_key().into(),
        wire.holder_node.into(),
        wire.member.own.organisation().public_key(),
    ];
    let scopes = [Scope::network(&network), Scope::to(&network, &holder), Scope::to(&network, &own)];
    macro_rules! accepted_as {
        ($type:ty, $bytes:expr) => {
            scopes.iter().any(|scope| {
                keys.iter().any(|key| {
                    Signed::<$type>::from_bytes($bytes.clone()).is_ok_and(|signed| signed.verify(*scope, key).is_ok())
                })
            })
        };
    }
    use careweave_protocol::{delivery, identity, query};
    let mut offered = 0;
    for (name, bytes) in &samples {
        let accepted: Vec<(&str, bool)> = vec![
            ("query", accepted_as!(query::Query, bytes)),
            ("envelope", accepted_as!(query::Envelope, bytes)),
            ("header", accepted_as!(query::AnswerHeader, bytes)),
            ("credential", accepted_as!(identity::StaffCredential, bytes)),
            ("binding", accepted_as!(identity::NodeBinding, bytes)),
            ("advert", accepted_as!(identity::Advert, bytes)),
            ("attestation", accepted_as!(identity::Attestation, bytes)),
            ("revocation", accepted_as!(identity::StaffRevocation, bytes)),
            ("acknowledgement", accepted_as!(query::AcknowledgementBatch, bytes)),
            ("completeness", accepted_as!(query::Completeness, bytes)),
            ("alert", accepted_as!(delivery::Alert, bytes)),
            ("suspension", accepted_as!(careweave_certs::manifest::Suspension, bytes)),
            ("beacon", accepted_as!(careweave_certs::manifest::Beacon, bytes)),
        ];
        for (kind, accepted) in accepted {
            offered += 1;
            assert_eq!(accepted, kind == *name, "{name} offered as {kind}");
        }
    }
    assert_eq!(offered, 78);
    // And at the door: whatever is not an envelope is refused, and the log says so.
    for (name, bytes) in samples.iter().filter(|(name, _)| *name != "envelope") {
        let outcome = wire.header(&wire.ask(&peer, bytes)).outcome;
        assert!(matches!(outcome, AnswerOutcome::Refused(Cause::SignatureInvalid | Cause::Malformed)), "{name}");
    }
}

#[test]
fn an_answer_of_many_credit_windows_arrives_whole_and_stops_where_nobody_grants_more() {
    let wire = Wire::new();
    let patient = stranger(74, "Large");
    let mut large = bundle(&patient, &condition());
    for number in 0..8 {
        large["entry"].as_array_mut().unwrap().push(scan(number));
    }
    wire.network.import_value(HOLDER, &large).unwrap();

    // A holder that is granted nothing sends its window and no more, and cuts the stream when it has waited long enough.
    let question = wire.question(&patient);
    let envelope = question.envelope(&question.query().unwrap()).unwrap();
    let peer = wire.connect();
    let header = wire.runtime.block_on(async {
        let mut stream = peer.open(Protocol::Query).await.unwrap();
        stream.write_frame(envelope.signed().as_bytes()).await.unwrap();
        let mut receiver = Receiver::new(question.expected(&envelope));
        let mut consumed = 0;
        let (mut first, mut whole) = (None, false);
        while let Ok(Some(frame)) = stream.read_frame(careweave_protocol::limits::FRAME_MAX).await {
            first.get_or_insert(frame.clone());
            match receiver.take(&frame).unwrap() {
                Step::Further { consumed: bytes } => consumed += bytes,
                Step::Whole(_) => whole = true,
                Step::Busy(_) => panic!("busy"),
            }
        }
        assert!(!whole, "it ended without credit");
        assert!(consumed <= CREDIT_WINDOW + careweave_protocol::limits::CHUNK_MAX as u32, "{consumed}");
        first.unwrap()
    });
    let header = wire.header(&[header]);
    assert!(header.bytes > 2 * u64::from(CREDIT_WINDOW), "{} bytes", header.bytes);

    // The node itself grants as it consumes, and gets all of it.
    wire.runtime.block_on(peer.close());
    wire.network.start(ASKER).unwrap();
    wire.network.wait_connected(ASKER).unwrap();
    wire.network.import_value(ASKER, &registered(&patient)).unwrap();
    let view = scene::view(&wire.network, &format!("{ASKER}-gp"), &patient, &[]).expect_status(0).unwrap();
    let view = view.json().unwrap();
    assert_eq!(scene::source(&view, HOLDER)["outcome"], "answered");
    assert_eq!(scene::source(&view, HOLDER)["records"], 10);
}

/// A scanned letter of 600 kB that does not compress.
fn scan(number: u32) -> serde_json::Value {
    let mut state = 0x9e37_79b9_7f4a_7c15u64.wrapping_add(u64::from(number));
    let mut data = String::new();
    while data.len() < 600_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        data.push_str(&format!("{:016x}", state.rotate_left(17) ^ (state >> 29)));
    }
    json!({"fullUrl": format!("urn:uuid:00000000-0000-4000-8002-{number:012}"), "resource": {
        "resourceType": "DocumentReference", "id": format!("scan-{number}"), "status": "current",
        "type": {"coding": [{"system": "http://snomed.info/sct", "code": "823751000000102"}]},
        "subject": {"reference": "urn:uuid:00000000-0000-4000-8000-000000000001"}, "date": "2026-01-01T00:00:00Z",
        "content": [{"attachment": {"contentType": "application/pdf", "data": data}}]
    }})
}

/// The patient as their practice holds them.
fn registered(patient: &scene::Patient) -> serde_json::Value {
    let mut own = patient_entry(patient);
    own["resource"]["generalPractitioner"] = json!([
        {"identifier": {"system": "https://fhir.nhs.uk/Id/ods-organization-code", "value": ASKER}}]);
    json!({"resourceType": "Bundle", "type": "collection", "entry": [own]})
}

fn stranger(index: usize, family: &str) -> scene::Patient {
    let nhs_number = careweave_tests::population::nhs_number(15_000 + index);
    scene::Patient { nhs_number, birth_date: "1970-01-31".to_owned(), family: family.to_owned() }
}

fn patient_entry(patient: &scene::Patient) -> serde_json::Value {
    json!({"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000001", "resource": {
        "resourceType": "Patient", "id": format!("p-{}", &patient.nhs_number),
        "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": patient.nhs_number}],
        "name": [{"family": patient.family, "given": ["Test"]}], "birthDate": patient.birth_date
    }})
}

fn bundle(patient: &scene::Patient, with: &serde_json::Value) -> serde_json::Value {
    json!({"resourceType": "Bundle", "type": "collection", "entry": [patient_entry(patient), with]})
}

fn condition() -> serde_json::Value {
    json!({"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000002", "resource": {
        "resourceType": "Condition", "id": "short-condition",
        "subject": {"reference": "urn:uuid:00000000-0000-4000-8000-000000000001"},
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "38341003", "display": "Hypertension"}]}
    }})
}

fn objection() -> serde_json::Value {
    json!({"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000003", "resource": {
        "resourceType": "Consent", "id": "objection", "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": "urn:uuid:00000000-0000-4000-8000-000000000001"},
        "provision": {"type": "deny"}
    }})
}

/// A patient whose every record, the demographics too, is sealed by the patient.
fn only_sealed(patient: &scene::Patient) -> serde_json::Value {
    let seal = json!({"security": [
        {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"},
        {"system": "https://careweave.example/fhir/CodeSystem/seal", "code": "patient"}
    ]});
    let mut both = bundle(patient, &condition());
    for entry in both["entry"].as_array_mut().unwrap() {
        entry["resource"]["meta"] = seal.clone();
    }
    both
}
