//! An organisation's standard lapses, falls below what is asked for, and is attested anew: its people are refused by name everywhere, in
//! an emergency they go on with alerts, nobody else notices, and the renewed attestation counts without a restart or a reconnection.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use careweave_certs::attest;
use careweave_certs::enrolment::Enrolment;
use careweave_certs::keystore::{Passphrase, SoftwareKey};
use careweave_node::clock::Clock;
use careweave_node::net::Protocol;
use careweave_protocol::identity::{Standard, StandardStatus};
use careweave_protocol::query::{AnswerFrame, AnswerHeader, AnswerOutcome, Cause, Purpose, Relationship};
use careweave_protocol::signed::{Scope, Signed};
use careweave_protocol::time::Date;
use careweave_tests::network::{Network, Output, until};
use careweave_tests::peer::{Member, Peer, Person, Question};
use libp2p::Multiaddr;
use serde_json::Value;

use crate::scene::{ada, assert_clean, decision, entry, list, query_id, small, source, view};

#[test]
fn a_care_home_whose_standard_lapsed_is_refused_by_name_and_answered_again_once_attested_without_a_restart() {
    let home = Home::new(small(&[PRACTICE, HOSPITAL, HOME]));
    let network = &home.network;
    let pid = network.pid(HOME).unwrap();
    let before = home.answered();
    let connected = home.connected_since(HOSPITAL);
    let yesterday = yesterday();

    // The standard ended yesterday. Nobody at the home can look, and its own log says why.
    home.install(&home.lapsed(yesterday));
    network.reload(HOME).unwrap();
    let cause = format!("ATTESTATION_EXPIRED dspt {yesterday}");
    home.refused(&cause);
    let logged = list(network, HOME, &["--kind", "decision"]);
    let said = |e: &&Value| e["outcome"] == "refused" && e["cause"] == cause && e["actor"]["person"] == "chn";
    assert!(logged.iter().any(|e| said(&e)), "{logged:#?}");
    home.emergency_alerts(&cause);
    home.others_go_on();

    // Attested anew, and not well enough.
    home.attest(&["--expires", "2099-12-31", "--status", "approaching"]);
    network.reload(HOME).unwrap();
    let below = "ATTESTATION_BELOW dspt approaching<met";
    home.refused(below);
    home.emergency_alerts(below);

    // Attested anew. The running node takes it in by itself, and shows the others on the connections there are.
    home.attest(&["--expires", "2099-12-31"]);
    let again = home.answered();
    assert_ne!(before, again);
    assert_eq!(decision(network, HOSPITAL, &again)["outcome"], "answered");
    assert_eq!(network.pid(HOME).unwrap(), pid, "never restarted");
    assert_eq!(home.connected_since(HOSPITAL), connected, "never reconnected");

    // Taken back to the planning stage by the officers: nothing is answered, not in an emergency either, until it is live again.
    home.stage("planned");
    home.refused("NOT_LIVE planned");
    let urgent = home.emergency();
    assert_eq!((urgent.status, urgent.field("/error/cause").unwrap()), (6, "NOT_LIVE planned".into()));
    let seen = view(network, GP, &ada(), &[]).expect_status(0).unwrap().json().unwrap();
    assert_eq!(source(&seen, HOSPITAL)["outcome"], "answered");
    assert_eq!(source(&seen, HOME)["reason"], "not in use yet");
    home.stage("live");
    home.answered();
    assert_eq!(network.pid(HOME).unwrap(), pid, "never restarted");

    home.peers_refuse_by_themselves(yesterday);
    for ods in [PRACTICE, HOSPITAL] {
        assert_clean(network, ods);
    }
}

/// The care home in its network.
struct Home {
    network: Network,
}

impl Home {
    fn new(network: Network) -> Self {
        for profile in [NURSE, VISITOR, GP, "VL901-ig", "R9A-ig", "Y91001-ra"] {
            network.profile(profile).unwrap();
        }
        Self { network }
    }

    fn view(&self) -> Output {
        view(&self.network, NURSE, &ada(), &[])
    }

    /// A nurse who visits the home asks in an emergency; those who work there have no such purpose.
    fn emergency(&self) -> Output {
        view(&self.network, VISITOR, &ada(), &["--for", "emergency"])
    }

    /// Waits until the nurse's view works; gives its query.
    fn answered(&self) -> String {
        let seen = until("the nurse is answered", LEARNED, || {
            let seen = self.view();
            if seen.status == 0 { Ok(seen) } else { Err(seen.everything()) }
        });
        let seen = seen.unwrap().json().unwrap();
        assert_eq!(source(&seen, HOSPITAL)["outcome"], "answered");
        query_id(&seen)
    }

    /// Waits until the nurse's view is refused for this.
    fn refused(&self, cause: &str) {
        until(cause, LEARNED, || {
            let refused = self.view();
            let named = refused.status == 6 && refused.field("/error/cause").is_ok_and(|said| said == cause);
            if named { Ok(()) } else { Err(refused.everything()) }
        })
        .unwrap();
        // The one that met the change was under way, and stopped; the next is refused from the start.
        let refused = self.view();
        assert_eq!((refused.status, refused.field("/error/cause").unwrap()), (6, cause.into()));
    }

    /// An emergency is answered, and somebody is alerted at both ends: so the holder knows of the lapse itself.
    fn emergency_alerts(&self, cause: &str) {
        until(&format!("the hospital's alert of {cause}"), LEARNED, || {
            let urgent = self.emergency().expect_status(0).unwrap().json().unwrap();
            assert_eq!(source(&urgent, HOSPITAL)["outcome"], "answered");
            let query = query_id(&urgent);
            let alerted = |e: &Value| e["kind"] == "ALERT" && e["cause"] == cause;
            entry(&self.network, HOME, &query, alerted);
            let there = list(&self.network, HOSPITAL, &["--query", &query]);
            if there.iter().any(alerted) { Ok(()) } else { Err(format!("{there:#?}")) }
        })
        .unwrap();
    }

    fn others_go_on(&self) {
        let seen = view(&self.network, GP, &ada(), &[]).expect_status(0).unwrap().json().unwrap();
        for ods in [HOSPITAL, HOME] {
            assert_eq!(source(&seen, ods)["outcome"], "answered", "{seen:#}");
        }
    }

    /// How often a connection with the home was cut or refused, as another organisation's node says.
    fn connected_since(&self, ods: &str) -> usize {
        let admin = list(&self.network, ods, &["--kind", "admin"]);
        admin.iter().filter(|e| e["outcome"] == "connection-cut").count()
    }

    /// `gov attest` of the home's security standard, then its enrolment from the office to the node directory.
    fn attest(&self, more: &[&str]) {
        let attest = ["attest", "--ods", HOME, "--standard", "dspt"];
        self.gov(&attest.into_iter().chain(more.iter().copied()).collect::<Vec<_>>());
        let layout = self.network.layout();
        let (request, out) =
            (layout.node(HOME).join("enrolment-request.cbor"), layout.post().join("renewed.enrolment"));
        self.network.commands().gov_issue(&request, &out).unwrap().expect_status(0).unwrap();
        self.install(&out);
    }

    fn install(&self, enrolment: &Path) {
        let node = self.network.layout().node(HOME);
        self.network.commands().cert_install(&node, enrolment).unwrap().expect_status(0).unwrap();
    }

    fn stage(&self, stage: &str) {
        self.gov(&["propose", "--stage", &format!("{HOME}={stage}")]);
        for officer in 1..=2 {
            self.network.commands().gov_sign(officer).unwrap().expect_status(0).unwrap();
        }
        let out = self.network.layout().post().join(format!("{stage}.manifest"));
        self.network.commands().gov_publish(&out).unwrap().expect_status(0).unwrap();
        self.network.commands().gov_publish_to("Y91001-ra").unwrap().expect_status(0).unwrap();
    }

    fn gov(&self, arguments: &[&str]) {
        let layout = self.network.layout();
        let (office, passphrase) = (layout.governance(), layout.passphrase());
        let place = ["--dir", office.to_str().unwrap(), "--passphrase-file", passphrase.to_str().unwrap()];
        let all: Vec<&str> = ["gov"].into_iter().chain(arguments.iter().copied()).chain(place).collect();
        self.network.programs().run(None, &all).unwrap().expect_status(0).unwrap();
    }

    /// The home's enrolment with a security standard that ended on this day. `gov attest` refuses to sign such a thing.
    fn lapsed(&self, day: Date) -> PathBuf {
        let layout = self.network.layout();
        let words = fs::read_to_string(layout.passphrase()).unwrap();
        let passphrase = Passphrase::new(words.trim_end().to_owned().into());
        let registrar = layout.governance().join("registrar/registrar.key");
        let registrar = SoftwareKey::read_protected(&registrar, &passphrase).unwrap();
        let mut enrolment =
            Enrolment::from_bytes(&fs::read(layout.post().join(format!("{HOME}.enrolment"))).unwrap()).unwrap();
        let met = (Standard::Dspt, Some(StandardStatus::Met));
        let (network, ods) = (enrolment.network.clone(), enrolment.ods.clone());
        let lapsed = attest::issue(&network, &ods, met, day, &registrar, Clock.now()).unwrap();
        enrolment.attestations.retain(|a| a.unverified().unwrap().standard != Standard::Dspt);
        enrolment.attestations.push(lapsed.into_signed());
        let path = layout.post().join("lapsed.enrolment");
        fs::write(&path, enrolment.to_bytes().unwrap()).unwrap();
        path
    }

    /// A home whose own node does not stop its people is refused by the others all the same, and their log names it.
    fn peers_refuse_by_themselves(&self, day: Date) {
        let (network, layout) = (&self.network, self.network.layout());
        network.stop(HOME).unwrap();
        self.install(&self.lapsed(day));
        let member = Member::load(&layout.node(HOME)).unwrap();
        let person = Person::load(&layout.profile(VISITOR), &layout.passphrase()).unwrap();
        let holder_node = Member::load(&layout.node(HOSPITAL)).unwrap().own.node_key();
        let to: Multiaddr = network.addresses(HOSPITAL).unwrap().peer.parse().unwrap();
        let cause = Cause::AttestationExpired("dspt".to_owned(), day);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let peer = runtime.block_on(Peer::connect(member.credentials().unwrap(), &to)).unwrap();
        let ask = |purpose: Purpose| {
            let patient = ada();
            let question = Question {
                member: &member,
                person: &person,
                patient: careweave_protocol::query::Patient {
                    nhs_number: patient.nhs_number.parse().unwrap(),
                    birth_date: Date::from_iso(&patient.birth_date).unwrap(),
                    family: patient.family,
                    postcode: None,
                    other_numbers: Vec::new(),
                },
                purpose,
                grounds: vec![Relationship::Residency],
                holder: HOSPITAL.parse().unwrap(),
                holder_node,
            };
            let query = question.query().unwrap();
            let envelope = question.envelope(&query).unwrap();
            let frames = runtime.block_on(peer.exchange(Protocol::Query, envelope.signed().as_bytes())).unwrap();
            let Some(AnswerFrame::Header(signed)) = AnswerFrame::parse(&frames[0]) else { panic!("no header") };
            let scope = Scope::to(&member.config.network, &member.config.ods);
            let header = Signed::<AnswerHeader>::from_bytes(signed.to_vec()).unwrap();
            let header = header.verify(scope, &holder_node.into()).unwrap().into_inner();
            (header.outcome, query.get().query_id.to_string())
        };
        let (outcome, query) = ask(Purpose::Treat);
        assert_eq!(outcome, AnswerOutcome::Refused(cause.clone()));
        let decided = decision(network, HOSPITAL, &query);
        assert_eq!((&decided["outcome"], &decided["cause"]), (&"refused".into(), &cause.to_string().into()));
        assert_eq!((&decided["asker"], &decided["actor"]["person"]), (&HOME.into(), &"rn".into()));
        let (outcome, query) = ask(Purpose::Etreat);
        assert_eq!(outcome, AnswerOutcome::Answered);
        entry(network, HOSPITAL, &query, |e| e["kind"] == "ALERT" && e["cause"] == cause.to_string());
    }
}

fn yesterday() -> Date {
    let day = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).date().yesterday().unwrap();
    Date::from_iso(&day.to_string()).unwrap()
}

const PRACTICE: &str = "Y91001";
const HOSPITAL: &str = "R9A";
const HOME: &str = "VL901";
const NURSE: &str = "VL901-chn";
const VISITOR: &str = "VL901-rn";
const GP: &str = "Y91001-gp";
/// How long a connected node may take to learn of a change.
const LEARNED: Duration = Duration::from_secs(60);
