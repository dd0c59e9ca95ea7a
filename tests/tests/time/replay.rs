//! An envelope is answered once, whatever is done to the holder's clock, while it runs and across restarts.

use careweave_certs::layout;
use careweave_node::net::Protocol;
use careweave_protocol::id::NodeKey;
use careweave_protocol::identity::Hello;
use careweave_protocol::query::{AnswerFrame, AnswerHeader, AnswerOutcome, Cause, Patient, Purpose, Relationship};
use careweave_protocol::signed::{Scope, Signed};
use careweave_protocol::time::{Date, Timestamp};
use careweave_tests::network::{Network, NetworkError, until};
use careweave_tests::peer::{Credentials, Member, Peer, Person, Question};
use libp2p::Multiaddr;

use super::{GP, HOSPITAL, PATIENCE, PRACTICE, start};
use crate::scene::{ada, assert_clean, entries, list};

#[test]
fn no_clock_that_is_moved_opens_a_window_for_an_envelope_that_was_answered() {
    let network = start(&[PRACTICE, HOSPITAL]);
    let replayer = Replayer::new(&network);
    let (envelope, query) = replayer.envelope();
    let sent = |ahead: i64| replayer.send(&envelope, ahead);
    assert_eq!(sent(0), AnswerOutcome::Answered);
    let replayed = AnswerOutcome::Refused(Cause::Replayed);
    let stale = AnswerOutcome::Refused(Cause::QueryStale);
    assert_eq!(sent(0), replayed, "at once");

    // Back, as far as clocks may differ: the holder believes that it is before the question was asked.
    network.move_clock(HOSPITAL, -240).unwrap();
    assert_eq!(sent(-240), replayed, "behind");
    network.kill(HOSPITAL).unwrap();
    network.start(HOSPITAL).unwrap();
    assert_eq!(sent(-240), replayed, "restarted behind");

    // Ahead: the question is over.
    network.move_clock(HOSPITAL, 600).unwrap();
    assert_eq!(sent(600), stale, "ahead");
    wait_noted(&network, 600);

    // Further back than clocks may differ: the running node still knows; a restarted one does not run at all.
    network.move_clock(HOSPITAL, 0).unwrap();
    assert_eq!(sent(0), replayed, "put right while it runs");
    network.kill(HOSPITAL).unwrap();
    let refused = network.start(HOSPITAL);
    let Err(NetworkError::Deadline { detail, .. }) = refused else { panic!("it started: {refused:?}") };
    assert!(detail.contains("CLOCK_BACKWARDS"), "{detail}");
    network.kill(HOSPITAL).unwrap();
    network.move_clock(HOSPITAL, 420).unwrap();
    network.start(HOSPITAL).unwrap();
    let after = sent(420);
    assert!(after == stale || after == replayed, "{after:?}");

    // The question was answered once, and every other time is in the log with its cause.
    let decided = entries(&network, HOSPITAL, &query);
    let count = |fits: &dyn Fn(&serde_json::Value) -> bool| {
        decided.iter().filter(|e| e["kind"] == "DECISION" && fits(e)).count()
    };
    assert_eq!(count(&|e| e["outcome"] == "answered"), 1, "{decided:#?}");
    let refusals = count(&|e| e["cause"] == "REPLAYED" || e["cause"] == "QUERY_STALE");
    assert_eq!((refusals, count(&|e| e["cause"] == "QUERY_STALE") >= 1), (6, true), "{decided:#?}");
    let alerts = list(&network, HOSPITAL, &["--kind", "alert"]);
    assert!(alerts.iter().filter(|e| e["outcome"] == "replay").count() >= 4, "{alerts:#?}");
    // The twin: another question by the same clock is answered.
    let another = replayer.envelope_at(420).0;
    assert_eq!(replayer.send(&another, 420), AnswerOutcome::Answered);
    assert_clean(&network, HOSPITAL);
}

/// The asking node's keys in the hands of somebody who shows whatever clock the holder likes.
struct Replayer {
    member: Member,
    person: Person,
    to: Multiaddr,
    holder_node: NodeKey,
    runtime: tokio::runtime::Runtime,
}

impl Replayer {
    fn new(network: &Network) -> Self {
        let profile = network.profile(GP).unwrap();
        network.profile(&format!("{HOSPITAL}-ig")).unwrap();
        network.stop(PRACTICE).unwrap();
        let person = Person::load(&profile, &network.layout().passphrase()).unwrap();
        let member = Member::load(&network.layout().node(PRACTICE)).unwrap();
        let holder_node = Member::load(&network.layout().node(HOSPITAL)).unwrap().own.node_key();
        let to = network.addresses(HOSPITAL).unwrap().peer.parse().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        Self { member, person, to, holder_node, runtime }
    }

    fn question(&self) -> Question<'_> {
        let patient = ada();
        Question {
            member: &self.member,
            person: &self.person,
            patient: Patient {
                nhs_number: patient.nhs_number.parse().unwrap(),
                birth_date: Date::from_iso(&patient.birth_date).unwrap(),
                family: patient.family,
                postcode: None,
                other_numbers: Vec::new(),
            },
            purpose: Purpose::Treat,
            grounds: vec![Relationship::RegisteredPractice],
            holder: HOSPITAL.parse().unwrap(),
            holder_node: self.holder_node,
        }
    }

    /// A signed envelope and the id of its query.
    fn envelope(&self) -> (Vec<u8>, String) {
        self.envelope_at(0)
    }

    /// As by a clock that is so many seconds ahead.
    fn envelope_at(&self, ahead: i64) -> (Vec<u8>, String) {
        let question = self.question();
        let mut query = question.query().unwrap().into_inner();
        let moved = |at: Timestamp| Timestamp(at.0 + ahead * 1000);
        (query.asked_at, query.expires_at) = (moved(query.asked_at), moved(query.expires_at));
        let id = query.query_id.to_string();
        let scope = Scope::network(&self.member.config.network);
        let query = Signed::sign(&query, scope, self.person.key.as_ref()).unwrap();
        (question.envelope(&query).unwrap().signed().as_bytes().to_vec(), id)
    }

    /// Sends it on a connection of its own, with a clock that the holder accepts.
    fn send(&self, envelope: &[u8], ahead: i64) -> AnswerOutcome {
        let Credentials { keypair, hello: Hello::Node(mut hello) } = self.member.credentials().unwrap() else {
            panic!("not a node's hello")
        };
        hello.clock = Timestamp(hello.clock.0 + ahead * 1000);
        self.runtime.block_on(async {
            let who = Credentials { keypair, hello: Hello::Node(hello) };
            let peer = Peer::connect(who, &self.to).await.unwrap();
            let frames = peer.exchange(Protocol::Query, envelope).await.unwrap();
            peer.close().await;
            let Some(AnswerFrame::Header(signed)) = AnswerFrame::parse(&frames[0]) else { panic!("no header") };
            let scope = Scope::to(&self.member.config.network, &self.member.config.ods);
            let header = Signed::<AnswerHeader>::from_bytes(signed.to_vec()).unwrap();
            header.verify(scope, &self.holder_node.into()).unwrap().into_inner().outcome
        })
    }
}

/// Waits until the holder has put down that its clock showed this, which it does each round.
fn wait_noted(network: &Network, ahead: u64) {
    let metrics = network.layout().node(HOSPITAL).join(layout::METRICS);
    let written = || std::fs::metadata(&metrics).and_then(|file| file.modified()).ok();
    // The time is put down just after the file: the second round's file tells that the first one's time was.
    let mut newest = written();
    for _ in 0..2 {
        newest = until(&format!("a round under a clock {ahead} s ahead"), PATIENCE, || match written() {
            now if now > newest => Ok(now),
            other => Err(format!("{other:?}")),
        })
        .unwrap();
    }
}
