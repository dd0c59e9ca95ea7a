//! What a view rests on can end while the view is under way: then it stops, at the asker and at the holder, and both logs say how far it got.

use std::time::{Duration, Instant};

use careweave_node::ask::receive::{Receiver, Step};
use careweave_node::clock::Clock;
use careweave_node::net::Protocol;
use careweave_protocol::cbor;
use careweave_protocol::desk::{DeskReply, DeskRequest, GovernanceDocument, ResidentAdd};
use careweave_protocol::id::{NodeKey, OdsCode};
use careweave_protocol::limits::{CREDIT_WINDOW, FRAME_MAX};
use careweave_protocol::query::{AnswerFrame, AnswerHeader, CreditFrame, Envelope, Patient, Purpose, Relationship};
use careweave_protocol::signed::{Scope, Signed, Verified};
use careweave_protocol::time::{Date, Timestamp};
use careweave_tests::network::{Network, Output, process, until};
use careweave_tests::peer::{Member, Peer, Person, Question};
use libp2p::Multiaddr;
use serde_bytes::ByteBuf;
use serde_json::{Value, json};

use crate::residents::{add, held, stranger};
use crate::scene::{self, assert_clean, entries, list, rows, small, view};

#[test]
fn a_view_under_way_stops_when_the_resident_leaves_and_that_of_another_resident_goes_on() {
    let network = small(&[HOME, HOSPITAL, SILENT]);
    let nurse = format!("{HOME}-chn");
    let (leaving, staying) = (stranger(21), stranger(22));
    for patient in [&leaving, &staying] {
        network.import_value(HOSPITAL, &held(patient)).unwrap();
        add(&network, &nurse, patient, &[]).expect_status(0).unwrap();
    }
    // One person has two connections at most, so each thing is done by somebody else.
    let (colleague, manager) = (format!("{HOME}-chn.two"), format!("{HOME}-chs"));
    for profile in [&colleague, &manager] {
        network.profile(profile).unwrap();
    }
    let paused = Paused::new(&network, SILENT);
    let (stopped, other, took) = std::thread::scope(|scope| {
        let first = scope.spawn(|| under_way(&network, &nurse, &leaving));
        let second = scope.spawn(|| under_way(&network, &colleague, &staying));
        wait_answered(&network, 2);
        let began = Instant::now();
        network.cli(&manager, &["resident", "leave", &leaving.nhs_number]).unwrap().expect_status(0).unwrap();
        let stopped = first.join().unwrap();
        let took = began.elapsed();
        drop(paused);
        (stopped, second.join().unwrap(), took)
    });
    // Nothing of others is shown; the reason is named, because it is about the own organisation.
    assert_eq!(stopped.status, 4, "{}", stopped.everything());
    assert_eq!(stopped.field("/error/cause").unwrap(), "RELATIONSHIP_ENDED");
    assert!(!stopped.stdout.contains("Asthma"));
    assert!(took < SOON, "{took:?}");
    let entry = stopped_view(&network, HOME);
    assert_eq!((&entry["cause"], &entry["evidence"]), (&"RELATIONSHIP_ENDED".into(), &json!(["residency"])));
    assert_eq!(entry["detail"], "1 of 2 sources had come to an end");
    assert!(entry["bytes"].as_u64().unwrap() > 0);
    // What had come is logged as received, on both sides.
    let query = entry["query_id"].as_str().unwrap();
    scene::entry(&network, HOME, query, |e| e["kind"] == "RECEIPT" && e["holder"] == HOSPITAL);
    scene::entry(&network, HOSPITAL, query, |e| e["kind"] == "ACK");

    assert!(matches!(other.status, 0 | 3), "{}", other.everything());
    let seen = other.json().unwrap();
    assert!(rows(&seen).iter().any(|(_, row)| row["source"]["ods"] == HOSPITAL), "{seen:#}");

    // What a stopped view would have shown was not seen: it is no last look. That of the colleague is one.
    add(&network, &nurse, &leaving, &[]).expect_status(0).unwrap();
    for (profile, patient, looked) in [(&nurse, &leaving, false), (&colleague, &staying, true)] {
        let again = view(&network, profile, patient, &["--new"]);
        assert!(matches!(again.status, 0 | 3), "{}", again.everything());
        assert_eq!(again.json().unwrap()["last_look"].is_string(), looked, "{}", again.everything());
    }
    for ods in [HOME, HOSPITAL] {
        assert_clean(&network, ods);
    }
}

#[test]
fn a_view_under_way_stops_when_respite_ends_or_the_person_is_revoked() {
    let network = small(&[HOME, HOSPITAL, SILENT]);
    let nurse = format!("{HOME}-chn");
    let (respite, staying) = (stranger(23), stranger(24));
    for patient in [&respite, &staying] {
        network.import_value(HOSPITAL, &held(patient)).unwrap();
    }
    add(&network, &nurse, &staying, &[]).expect_status(0).unwrap();
    let leaver = format!("{HOME}-chn.leaver");
    network.profile(&leaver).unwrap();
    let _paused = Paused::new(&network, SILENT);

    // A stay that ends in a few seconds, which no command line types.
    let ends = Clock.now().after(Duration::from_secs(12));
    enter(&network, &nurse, &respite, ends);
    let stopped = under_way(&network, &nurse, &respite);
    let late = Clock.now().since(ends);
    assert_eq!(stopped.field("/error/cause").unwrap(), "RELATIONSHIP_ENDED");
    assert!(Clock.now() >= ends && late < SOON, "{late:?}");
    assert_eq!(stopped_view(&network, HOME)["cause"], "RELATIONSHIP_ENDED");

    let answered = list(&network, HOSPITAL, &["--kind", "decision"]).len();
    let gone = std::thread::scope(|scope| {
        let view = scope.spawn(|| under_way(&network, &leaver, &staying));
        wait_answered(&network, answered + 1);
        network.commands().staff_revoke(HOME, "chn-leaver").unwrap().expect_status(0).unwrap();
        network.reload(HOME).unwrap();
        view.join().unwrap()
    });
    // The desk hangs up on whoever has been revoked; where its word came first, it is named.
    assert!(matches!(gone.status, 1 | 6), "{}", gone.everything());
    assert!(!gone.stdout.contains("Asthma"));
    until("the stopped view is logged", SOON, || {
        let found = stops(&network, HOME);
        if found.iter().any(|e| e["cause"] == "CREDENTIAL_REVOKED") { Ok(()) } else { Err(format!("{found:#?}")) }
    })
    .unwrap();
}

#[test]
fn an_answer_being_sent_is_cut_when_the_relationship_the_person_or_the_organisation_ends() {
    let wire = Wire::new();
    let patient = stranger(25);
    let mut large = held(&patient);
    for number in 0..8 {
        large["entry"].as_array_mut().unwrap().push(json!({"resource": scan(&patient, number)}));
    }
    wire.network.import_value(HOSPITAL, &large).unwrap();

    // The twin first: nothing ends, credit is given, and the whole answer arrives.
    let whole = wire.answer(&wire.connect(), &patient, &wire.person("gp"), None, true);
    assert!(whole.whole);
    assert!(whole.header.bytes > 2 * u64::from(CREDIT_WINDOW), "{} bytes", whole.header.bytes);
    assert!(wire.cuts().is_empty());

    // The relationship has an end, and nobody gives credit, so the answer waits for it.
    let peer = wire.connect();
    let ends = Clock.now().after(Duration::from_secs(4));
    let cut = wire.answer(&peer, &patient, &wire.person("gp"), Some(ends), false);
    let late = Clock.now().since(ends);
    assert!(!cut.whole && late < SOON, "{late:?}");
    wire.assert_cut(1, "RELATIONSHIP_ENDED", &cut);

    // The employer revokes the person, and the holder hears of it.
    wire.network.profile(&format!("{HOSPITAL}-ra")).unwrap();
    let cut = std::thread::scope(|scope| {
        let answer = scope.spawn(|| wire.answer(&peer, &patient, &wire.person("gp.leaver"), None, false));
        wire.wait_decisions(3);
        wire.network.commands().staff_revoke(ASKER, "gp-leaver").unwrap().expect_status(0).unwrap();
        let began = Instant::now();
        wire.hand_on_revocation();
        let cut = answer.join().unwrap();
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        cut
    });
    assert!(!cut.whole);
    wire.assert_cut(2, "CREDENTIAL_REVOKED", &cut);

    // An officer suspends the organisation; the holder hears of it at its own desk.
    let peer = wire.connect();
    let cut = std::thread::scope(|scope| {
        let answer = scope.spawn(|| wire.answer(&peer, &patient, &wire.person("gp"), None, false));
        wire.wait_decisions(4);
        wire.network.commands().gov_suspend(ASKER, "incident 21").unwrap().expect_status(0).unwrap();
        let began = Instant::now();
        let publish = wire.network.commands().gov_publish_to(&format!("{HOSPITAL}-ra")).unwrap();
        publish.expect_status(0).unwrap();
        let cut = answer.join().unwrap();
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        cut
    });
    assert!(!cut.whole);
    wire.assert_cut(3, "SUSPENDED", &cut);
    assert_clean(&wire.network, HOSPITAL);
}

/// A view that waits for the silent holder until something ends it.
fn under_way(network: &Network, profile: &str, patient: &scene::Patient) -> Output {
    view(network, profile, patient, &["--deadline", "50s"])
}

/// Waits until the hospital has decided this many queries in all.
fn wait_answered(network: &Network, count: usize) {
    until("the hospital has answered", PATIENCE, || {
        let found = list(network, HOSPITAL, &["--kind", "decision"]).len();
        if found >= count { Ok(()) } else { Err(format!("{found} decisions")) }
    })
    .unwrap();
}

fn stops(network: &Network, ods: &str) -> Vec<Value> {
    let admin = list(network, ods, &["--kind", "admin"]);
    admin.into_iter().filter(|entry| entry["outcome"] == "view-stopped").collect()
}

fn stopped_view(network: &Network, ods: &str) -> Value {
    let found = stops(network, ods);
    assert_eq!(found.len(), 1, "{found:#?}");
    found[0].clone()
}

/// Enters somebody over the desk's own protocol, with an end to the second.
fn enter(network: &Network, profile: &str, patient: &scene::Patient, until: Timestamp) {
    let person = Person::load(&network.layout().profile(profile), &network.layout().passphrase()).unwrap();
    let desk: Multiaddr = network.addresses(HOME).unwrap().desk.parse().unwrap();
    let line = ResidentAdd {
        nhs_number: patient.nhs_number.parse().unwrap(),
        birth_date: Date::from_iso(&patient.birth_date).unwrap(),
        family: patient.family.clone(),
        since: Clock.now().before(Duration::from_secs(60)),
        until: Some(until),
        room: None,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let replies = runtime.block_on(async {
        let peer = Peer::connect(person.credentials(&NETWORK.parse().unwrap()).unwrap(), &desk).await.unwrap();
        peer.desk(&DeskRequest::ResidentAdd(line)).await.unwrap()
    });
    assert!(matches!(replies.last(), Some((_, DeskReply::Done))), "{replies:?}");
}

/// A node whose process stands still until this is dropped: connected, and silent.
pub(crate) struct Paused {
    pid: u32,
}

impl Paused {
    pub(crate) fn new(network: &Network, ods: &str) -> Self {
        let pid = process::running(&network.layout().node(ods)).unwrap();
        process::signal("STOP", pid).unwrap();
        Self { pid }
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        process::signal("CONT", self.pid).unwrap();
    }
}

/// A network of two whose asking node has been stopped, so that its keys are in our hands.
struct Wire {
    network: Network,
    to: Multiaddr,
    holder_node: NodeKey,
    runtime: tokio::runtime::Runtime,
}

/// What came of one answer.
struct Answered {
    header: AnswerHeader,
    query_id: String,
    /// Bytes of chunks, with their kind bytes, as the holder counts them.
    bytes: u64,
    whole: bool,
}

impl Wire {
    fn new() -> Self {
        let network = small(&[ASKER, HOSPITAL]);
        for profile in [format!("{ASKER}-gp"), format!("{ASKER}-gp.leaver"), format!("{HOSPITAL}-ig")] {
            network.profile(&profile).unwrap();
        }
        network.stop(ASKER).unwrap();
        let to: Multiaddr = network.addresses(HOSPITAL).unwrap().peer.parse().unwrap();
        let holder_node = Member::load(&network.layout().node(HOSPITAL)).unwrap().own.node_key();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        Self { network, to, holder_node, runtime }
    }

    /// The asking node as its directory is now: it shows the newest list of revoked credentials.
    fn member(&self) -> Member {
        Member::load(&self.network.layout().node(ASKER)).unwrap()
    }

    fn person(&self, role: &str) -> Person {
        let profile = self.network.layout().profile(&format!("{ASKER}-{role}"));
        Person::load(&profile, &self.network.layout().passphrase()).unwrap()
    }

    /// Hands the asker's list of revoked credentials to the holder's desk: the asker's own node, which would tell of it, does not run.
    fn hand_on_revocation(&self) {
        let member = self.member();
        let (list, organisation_key) = member.own.revocation(&member.config.network).unwrap().unwrap();
        let list = ByteBuf::from(list.signed().as_bytes());
        let document = GovernanceDocument::StaffRevocation { organisation_key, list };
        let officer = self.network.layout().profile(&format!("{HOSPITAL}-ra"));
        let officer = Person::load(&officer, &self.network.layout().passphrase()).unwrap();
        let desk: Multiaddr = self.network.addresses(HOSPITAL).unwrap().desk.parse().unwrap();
        let replies = self.runtime.block_on(async {
            let peer = Peer::connect(officer.credentials(&member.config.network).unwrap(), &desk).await.unwrap();
            peer.desk(&DeskRequest::Publish(document)).await.unwrap()
        });
        assert!(matches!(replies.last(), Some((_, DeskReply::Published(_)))), "{replies:?}");
    }

    fn connect(&self) -> Peer {
        self.runtime.block_on(Peer::connect(self.member().credentials().unwrap(), &self.to)).unwrap()
    }

    /// Asks as the registered practice, with an end of that relationship or none, and takes what comes.
    fn answer(
        &self,
        peer: &Peer,
        patient: &scene::Patient,
        person: &Person,
        until: Option<Timestamp>,
        credit: bool,
    ) -> Answered {
        let member = self.member();
        let question = Question {
            member: &member,
            person,
            patient: Patient {
                nhs_number: patient.nhs_number.parse().unwrap(),
                birth_date: Date::from_iso(&patient.birth_date).unwrap(),
                family: patient.family.clone(),
                postcode: None,
                other_numbers: Vec::new(),
            },
            purpose: Purpose::Treat,
            grounds: vec![Relationship::RegisteredPractice],
            holder: HOSPITAL.parse().unwrap(),
            holder_node: self.holder_node,
        };
        let query = question.query().unwrap();
        let envelope = ending(&member, question.envelope(&query).unwrap(), until);
        self.runtime.block_on(async {
            let mut stream = peer.open(Protocol::Query).await.unwrap();
            stream.write_frame(envelope.signed().as_bytes()).await.unwrap();
            let mut receiver = Receiver::new(question.expected(&envelope));
            let (mut header, mut bytes, mut whole) = (None, 0, false);
            // What comes after the cut is an end or an error, whichever the connection makes of it.
            while let Ok(Some(frame)) = stream.read_frame(FRAME_MAX).await {
                if header.is_none() {
                    header = Some(self.header(&member, &frame));
                }
                match receiver.take(&frame).unwrap() {
                    Step::Further { consumed } => {
                        bytes += u64::from(consumed);
                        if credit && consumed > 0 {
                            let credit = cbor::to_vec(&CreditFrame { bytes: consumed }).unwrap();
                            stream.write_frame(&credit).await.unwrap();
                        }
                    }
                    Step::Whole(_) => whole = true,
                    Step::Busy(_) => panic!("busy"),
                }
            }
            let query_id = query.get().query_id.to_string();
            Answered { header: header.unwrap(), query_id, bytes, whole }
        })
    }

    fn header(&self, member: &Member, frame: &[u8]) -> AnswerHeader {
        let Some(AnswerFrame::Header(signed)) = AnswerFrame::parse(frame) else { panic!("no header") };
        let scope = Scope::to(&member.config.network, &member.config.ods);
        let signed = Signed::<AnswerHeader>::from_bytes(signed.to_vec()).unwrap();
        signed.verify(scope, &self.holder_node.into()).unwrap().into_inner()
    }

    fn cuts(&self) -> Vec<Value> {
        let admin = list(&self.network, HOSPITAL, &["--kind", "admin"]);
        admin.into_iter().filter(|entry| entry["outcome"] == "answer-cut").collect()
    }

    fn wait_decisions(&self, count: usize) {
        wait_answered(&self.network, count);
    }

    /// The newest cut of so many is of this answer, for this cause, and says how far it got.
    fn assert_cut(&self, count: usize, cause: &str, answered: &Answered) {
        let cuts = until("the cut is logged", SOON, || {
            let cuts = self.cuts();
            if cuts.len() >= count { Ok(cuts) } else { Err(format!("{cuts:#?}")) }
        })
        .unwrap();
        assert_eq!(cuts.len(), count, "{cuts:#?}");
        let cut = &cuts[count - 1];
        assert_eq!((&cut["cause"], &cut["query_id"]), (&cause.into(), &json!(answered.query_id)), "{cut:#}");
        assert_eq!((&cut["asker"], &cut["holder"]), (&ASKER.into(), &HOSPITAL.into()));
        let said = cut["bytes"].as_u64().unwrap();
        assert!(answered.bytes <= said && said < answered.header.bytes, "{} of {said}", answered.bytes);
        assert!(answered.bytes > 0);
        let decided = entries(&self.network, HOSPITAL, &answered.query_id);
        assert!(decided.iter().any(|e| e["kind"] == "DECISION" && e["bytes"] == answered.header.bytes), "{decided:#?}");
    }
}

/// The same envelope with an end to every relationship in it, signed anew.
fn ending(member: &Member, envelope: Verified<Envelope>, until: Option<Timestamp>) -> Verified<Envelope> {
    let holder: OdsCode = HOSPITAL.parse().unwrap();
    let mut envelope = envelope.into_inner();
    for item in &mut envelope.evidence {
        item.until = until;
    }
    Signed::sign(&envelope, Scope::to(&member.config.network, &holder), member.own.node_signer()).unwrap()
}

/// A scanned letter of 600 kB that does not compress.
pub(crate) fn scan(patient: &scene::Patient, number: u32) -> Value {
    let mut state = 0x9e37_79b9_7f4a_7c15u64.wrapping_add(u64::from(number));
    let mut data = String::new();
    while data.len() < 600_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        data.push_str(&format!("{:016x}", state.rotate_left(17) ^ (state >> 29)));
    }
    json!({
        "resourceType": "DocumentReference", "id": format!("scan-{number}"), "status": "current",
        "type": {"coding": [{"system": "http://snomed.info/sct", "code": "823751000000102"}]},
        "subject": held(patient)["entry"][1]["resource"]["subject"],
        "date": "2026-01-01T00:00:00Z",
        "content": [{"attachment": {"contentType": "application/pdf", "data": data}}]
    })
}

const HOME: &str = "VL901";
const HOSPITAL: &str = "R9A";
const SILENT: &str = "R9C";
const ASKER: &str = "Y91001";
/// Name of every network of the tests.
const NETWORK: &str = "demo";
/// What may pass from the end of a relationship to the end of what rests on it, with a busy machine's margin.
const SOON: Duration = Duration::from_secs(8);
/// Until a question has been asked and answered on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
