//! Break-glass, from the step-up key to the closed review: what it opens, what it never opens, and who learns of it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use careweave_certs::keystore::{Passphrase, SoftwareKey};
use careweave_certs::layout;
use careweave_node::clock::Clock;
use careweave_node::net::Protocol;
use careweave_protocol::id::{Digest, NodeKey, OdsCode, QueryId};
use careweave_protocol::key::Signer;
use careweave_protocol::limits::{QUERY_LIFE, REFUSAL_BUCKET};
use careweave_protocol::query::{
    AnswerFrame, AnswerHeader, AnswerOutcome, BreakGlassGrant, Cause, Patient as AskedPatient, Purpose, Query,
};
use careweave_protocol::record::Category;
use careweave_protocol::signed::{Scope, Signed};
use careweave_protocol::time::{Date, Timestamp};
use careweave_tests::network::{Network, Output, Staff};
use careweave_tests::peer::{Member, Peer, Person, Question};
use careweave_tests::population::{NHS_NUMBER_SYSTEM, nhs_number};
use libp2p::Multiaddr;
use serde_json::{Value, json};

use crate::scene::{self, Patient, ada, decision, demo, entries, entry, list, query_id, rows, source, view};

/// Words that are nowhere else.
const TEXT: &str = "found wandering, quetzal-indigo, cannot say what she takes";
const REASON: &str = "acute-confusion";

#[test]
fn a_grant_opens_sensitive_records_and_both_organisations_are_alerted_and_review_it() {
    let network = demo();
    let patient = stranger(1);
    network.import_value("R9A", &bundle(&patient, vec![problem(&patient, "plain", json!([])), hiv(&patient)])).unwrap();

    // The refused twin: without a grant an emergency shows what has no label.
    let without = view(network, "R9C-rn", &patient, &["--for", "emergency", "--category", "problems"]);
    let without = without.expect_status(0).unwrap().json().unwrap();
    assert_eq!(problems(&without), ["plain"]);
    let cells = decision(network, "R9A", &query_id(&without))["cells"].clone();
    assert!(cells.as_array().unwrap().iter().any(|cell| cell["access"] == "none"), "{cells:#}");

    let opened = break_glass(network, "R9C-rn", &patient, &["--category", "problems"]);
    assert!(opened.stderr.contains("privacy officers"), "{}", opened.everything());
    let opened = opened.expect_status(0).unwrap().json().unwrap();
    assert_eq!(problems(&opened), ["hiv", "plain"]);
    let warned = opened["warnings"].as_array().unwrap().iter().any(|warning| warning["id"] == "CW-H039");
    assert!(warned, "{:#}", opened["warnings"]);

    let query = query_id(&opened);
    let decided = decision(network, "R9A", &query);
    let told = (&decided["outcome"], &decided["purpose"], &decided["reason"]);
    assert_eq!(told, (&json!("answered"), &json!("BTG"), &json!(REASON)));
    let grant = decided["grant"].clone();
    assert!(grant.is_string() && decided["granted"] == json!(["problems"]), "{decided:#}");
    for (ods, outcome) in [("R9C", "break-glass"), ("R9A", "break-glass"), ("R9C", "break-glass-at-holder")] {
        let alert = entry(network, ods, &query, |e| e["kind"] == "ALERT" && e["outcome"] == outcome);
        assert!(outcome == "break-glass-at-holder" || alert["grant"] == grant, "{alert:#}");
    }

    // One review at each, of one grant; further queries under it would join it.
    for (ods, holder) in [("R9C", Value::Null), ("R9A", json!("R9A"))] {
        let review = review(network, ods, &grant);
        assert_eq!(
            (&review["kind"], &review["holder"], &review["overdue"]),
            (&json!("break-glass"), &holder, &json!(false))
        );
        assert_eq!((&review["about"]["ods"], &review["about"]["person"]), (&json!("R9C"), &json!("rn")));
        assert_eq!((&review["queries"], &review["categories"]), (&json!([query]), &json!(["problems"])));
        assert!(review["due"].as_str() > review["opened"].as_str());
    }

    // The words stay at the asker: in its INTENT, and nowhere at the holder.
    let intent = entry(network, "R9C", &query, |e| e["kind"] == "INTENT");
    assert_eq!((&intent["patient"]["reason_text"], &intent["grant"]), (&json!(TEXT), &grant));
    let theirs = serde_json::to_string(&list(network, "R9A", &[])).unwrap();
    assert!(theirs.contains(REASON) && !theirs.contains("quetzal-indigo"));
    assert_eq!(holding(&network.layout().node("R9A"), b"quetzal-indigo"), Vec::<String>::new());
    scene::assert_clean(network, "R9A");
    scene::assert_clean(network, "R9C");
}

#[test]
fn what_is_closed_by_law_or_by_the_patient_even_in_an_emergency_stays_closed_under_a_grant() {
    let network = demo();
    let (withheld, objecting) = (stranger(2), stranger(3));
    let seal = |code: &str| json!([{"system": CONFIDENTIALITY, "code": "V"}, {"system": SEAL, "code": code}]);
    let records = vec![
        problem(&withheld, "sealed", seal("patient")),
        problem(&withheld, "always-sealed", seal("even-in-emergency")),
        problem(&withheld, "by-law", seal("legal")),
    ];
    network.import_value("R9A", &bundle(&withheld, records)).unwrap();
    let opened = break_glass(network, "R9C-rn", &withheld, &["--category", "problems"]).expect_status(0).unwrap();
    assert_eq!(problems(&opened.json().unwrap()), ["sealed"], "the patient's plain seal is opened, the others are not");

    let consent = json!({
        "resourceType": "Consent", "id": "objection", "meta": {"versionId": "1"}, "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": OBJECTION, "code": "even-in-emergency"}]}],
        "patient": subject(&objecting), "dateTime": "2026-01-01", "provision": {"type": "deny"}
    });
    network.import_value("R9A", &bundle(&objecting, vec![problem(&objecting, "plain", json!([])), consent])).unwrap();
    let closed = break_glass(network, "R9C-rn", &objecting, &["--category", "problems"]);
    assert_eq!(closed.status, 4, "{}", closed.everything());
    let closed = closed.json().unwrap();
    assert_eq!(source(&closed, "R9A")["outcome"], "nothing-shareable");
    let query = query_id(&closed);
    let refused = decision(network, "R9A", &query);
    assert_eq!((&refused["cause"], &refused["objection"]), (&json!("objection"), &json!("even-emergency")));
    // Nobody was given anything there, so nobody there is alerted; at the asker the glass was broken all the same.
    assert!(!entries(network, "R9A", &query).iter().any(|entry| entry["kind"] == "ALERT"));
    assert!(reviews(network, "R9A").iter().all(|review| review["id"] != refused["grant"]));
    review(network, "R9C", &refused["grant"]);
}

#[test]
fn whoever_may_not_break_glass_or_does_not_say_why_sends_nothing_and_is_told_why() {
    let network = demo();
    // A carer: the table does not let them, their node says so and logs that they tried.
    let refused = break_glass(network, "VL901-chc", &ada(), &["--category", "problems"]);
    assert_eq!(refused.status, 4, "{}", refused.everything());
    assert_eq!(refused.field("/error/cause").unwrap(), "PURPOSE_NOT_GRANTED BTG");
    let tried = list(network, "VL901", &["--kind", "DECISION"]);
    let tried = tried.iter().find(|e| e["cause"] == "PURPOSE_NOT_GRANTED BTG").unwrap();
    assert_eq!((&tried["outcome"], &tried["actor"]["person"]), (&json!("refused"), &json!("chc")));

    // A nurse without a step-up key.
    let plain = Staff { step_up: false, ..Staff::named("R9C-rn.plain").unwrap() };
    network.hire(&plain).unwrap();
    let refused = break_glass(network, "R9C-rn.plain", &ada(), &["--category", "problems"]);
    assert_eq!((refused.status, refused.field("/error/code").unwrap()), (4, json!("no-step-up-key")));

    // Half a command line, and a category that does not exist.
    let half = network.cli("R9C-rn", &["break-glass", &ada().nhs_number, "--category", "problems", "--yes"]).unwrap();
    assert_eq!(half.status, 2, "{}", half.everything());
    let unknown = break_glass(network, "R9C-rn", &ada(), &["--category", "gossip"]);
    assert_eq!(unknown.status, 2, "{}", unknown.everything());
    assert!(unknown.everything().contains("advance-care"), "{}", unknown.everything());
    let long = break_glass(network, "R9C-rn", &ada(), &["--category", "problems", "--for-minutes", "61"]);
    assert_eq!(long.status, 2, "{}", long.everything());

    // Another passphrase, and none: exit 1, and nobody hears of it.
    let careless = "R9C-rn.careless";
    let profile = network.profile(careless).unwrap().join("profile.toml");
    let heard = || {
        let entries = list(network, "R9C", &[]);
        entries.iter().filter(|entry| entry["actor"]["person"] == "rn-careless").count()
    };
    let text = fs::read_to_string(&profile).unwrap();
    let named = text.lines().find(|line| line.starts_with("step_up_passphrase_file")).unwrap().to_owned();
    private(&profile, &text.replace(&named, "step_up_passphrase_file = \"../../passphrase\""));
    let wrong = break_glass(network, careless, &ada(), &["--category", "problems"]);
    assert_eq!((wrong.status, wrong.field("/error/code").unwrap()), (1, json!("wrong-passphrase")));
    private(&profile, &text.replace(&named, ""));
    let unasked = break_glass(network, careless, &ada(), &["--category", "problems"]);
    assert_eq!((unasked.status, unasked.field("/error/code").unwrap()), (1, json!("passphrase")));
    assert_eq!(heard(), 0);
    private(&profile, &text);
    break_glass(network, careless, &ada(), &["--category", "problems"]).expect_status(0).unwrap();
    assert!(heard() > 0);
}

#[test]
fn a_review_is_closed_by_somebody_else_and_never_by_the_person_it_is_about() {
    let network = demo();
    // A nurse who audits as well, and a colleague who only nurses.
    let auditor = Staff { scope: Some("audit"), ..Staff::named("R9C-rn.auditor").unwrap() };
    network.hire(&auditor).unwrap();
    let opened = break_glass(network, "R9C-rn.auditor", &ada(), &["--category", "problems"]);
    let query = query_id(&opened.expect_status(0).unwrap().json().unwrap());
    let id = entry(network, "R9C", &query, |e| e["kind"] == "INTENT")["grant"].as_str().unwrap().to_owned();

    let close = |profile: &str, note: &str| {
        network.cli(profile, &["-o", "json", "review", "close", &id, "--justified", "--note", note]).unwrap()
    };
    let own = close("R9C-rn.auditor", "I had to");
    assert_eq!((own.status, own.field("/error/cause").unwrap()), (4, json!("OWN_REVIEW")), "{}", own.everything());
    let scopeless = close("R9C-rn", "she had to");
    assert_eq!((scopeless.status, scopeless.field("/error/code").unwrap()), (4, json!("not-allowed")));
    assert!(network.cli("R9C-rn", &["review", "list"]).unwrap().status == 4);
    assert!(review(network, "R9C", &json!(id))["closed"].is_null());
    let admin = |outcome: &str| {
        let found = list(network, "R9C", &["--kind", "ADMIN"]).into_iter().rev();
        found.into_iter().find(|e| e["outcome"] == outcome && e["grant"] == json!(id))
    };
    assert_eq!(admin("review-close-refused").unwrap()["actor"]["person"], "rn-auditor");
    assert!(admin("review-closed").is_none());

    close("R9C-ig", "visit sheet seen").expect_status(0).unwrap();
    assert_eq!(admin("review-closed").unwrap()["actor"]["person"], "ig");
    assert!(reviews(network, "R9C").iter().all(|review| review["id"] != json!(id)), "closed ones are not listed");
    let all = network.cli("R9C-ig", &["-o", "json", "review", "list", "--all"]).unwrap().json().unwrap();
    let closed = all.as_array().unwrap().iter().find(|review| review["id"] == json!(id)).unwrap();
    assert_eq!(
        (&closed["closed"]["outcome"], &closed["closed"]["note"]),
        (&json!("justified"), &json!("visit sheet seen"))
    );
    assert_ne!(close("R9C-ig", "again").status, 0);
    // The holder's review is its own to close.
    review(network, "Y91001", &json!(id));
}

#[test]
fn an_emergency_view_on_somebodys_word_is_reviewed_by_both_organisations() {
    let network = demo();
    let seen = view(network, "R9X-par", &scene::ben(), &["--for", "emergency"]).expect_status(0).unwrap();
    let query = query_id(&seen.json().unwrap());
    for ods in ["R9X", "R9A"] {
        let review = review(network, ods, &json!(query));
        assert_eq!((&review["kind"], &review["purpose"]), (&json!("self-claimed"), &json!("ETREAT")));
    }
    // A view in direct care is nobody's review.
    let seen = view(network, "Y91001-gp", &ada(), &[]).expect_status(0).unwrap();
    let query = query_id(&seen.json().unwrap());
    for ods in ["Y91001", "R9A"] {
        assert!(reviews(network, ods).iter().all(|review| review["queries"] != json!([query])));
    }
}

#[test]
fn a_grant_that_is_not_this_persons_for_this_patient_now_opens_nothing() {
    let wire = Wire::new();
    let peer = wire.connect();
    let good = wire.grant();
    let sign = |grant: &BreakGlassGrant, key: &SoftwareKey| {
        Signed::sign(grant, Scope::network(&wire.member.config.network), key).unwrap().into_signed()
    };
    let with = |change: &dyn Fn(&mut BreakGlassGrant)| {
        let mut grant = good.clone();
        change(&mut grant);
        sign(&grant, &wire.step_up)
    };
    let signed = with(&|_| {});
    let mut altered = signed.as_bytes().to_vec();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    let hour = Duration::from_secs(3600);
    let bad = [
        (
            "outlived",
            with(&|g| {
                (g.issued_at, g.expires_at) = (Clock.now().before(hour), Clock.now().before(Duration::from_secs(1)))
            }),
        ),
        ("longer than an hour", with(&|g| g.expires_at = g.issued_at.after(hour + Duration::from_secs(1)))),
        (
            "not yet begun",
            with(&|g| (g.issued_at, g.expires_at) = (Clock.now().after(hour), Clock.now().after(hour * 2))),
        ),
        ("for another patient", with(&|g| g.nhs_number = "9990133484".parse().unwrap())),
        ("for another person", with(&|g| g.person = "rn-other".parse().unwrap())),
        ("for another organisation", with(&|g| g.ods = "R9M".parse().unwrap())),
        ("of another network", with(&|g| g.network = "elsewhere".parse().unwrap())),
        ("without a category", with(&|g| g.categories.clear())),
        ("with another reason", with(&|g| g.reason = "curiosity".to_owned())),
        ("with other words", with(&|g| g.reason_text = Digest([5; 32]))),
        ("altered", Signed::from_bytes(altered).unwrap()),
        ("signed with the ordinary key", sign(&good, &wire.person.key)),
    ];
    for (what, grant) in bad {
        let refused = wire.ask(&peer, &wire.person, Purpose::Btg, Some(grant));
        assert_eq!(refused, AnswerOutcome::Refused(Cause::GrantInvalid), "{what}");
        let logged = wire.newest();
        let said = (&logged["outcome"], &logged["cause"], &logged["actor"]["person"]);
        assert_eq!(said, (&json!("refused"), &json!("GRANT_INVALID"), &json!("rn")), "{what}: {logged:#}");
    }
    assert_eq!(wire.ask(&peer, &wire.person, Purpose::Btg, None), AnswerOutcome::Refused(Cause::GrantInvalid));
    // A grant that holds, brought for what needs none; and by somebody whose credential names no step-up key.
    let reused = wire.ask(&peer, &wire.person, Purpose::Treat, Some(signed.clone()));
    assert_eq!(reused, AnswerOutcome::Refused(Cause::Malformed));
    assert_eq!(wire.newest()["cause"], "MALFORMED");
    let theirs = with(&|g| g.person = "rn-plain".parse().unwrap());
    assert_eq!(wire.ask(&peer, &wire.plain, Purpose::Btg, Some(theirs)), AnswerOutcome::Refused(Cause::GrantInvalid));
    let carer = wire.ask(&peer, &wire.social_worker, Purpose::Btg, Some(signed.clone()));
    assert_eq!(carer, AnswerOutcome::Refused(Cause::PurposeNotGranted(Purpose::Btg)));
    assert!(alerts(&wire.network).is_empty(), "nothing was given");

    // The twin that holds, twice under one grant: two alerts, one review.
    for _ in 0..2 {
        assert_eq!(wire.ask(&peer, &wire.person, Purpose::Btg, Some(signed.clone())), AnswerOutcome::Answered);
    }
    assert_eq!(alerts(&wire.network).len(), 2);
    let open = reviews(&wire.network, HOLDER);
    assert_eq!(open.len(), 1, "{open:#?}");
    assert_eq!(open[0]["queries"].as_array().unwrap().len(), 2);

    // A near miss under a grant looks and costs what a stranger does: one entry, one full bucket.
    let misdated = Patient { birth_date: "1938-03-15".to_owned(), ..ada() };
    for patient in [misdated, stranger(9)] {
        let before = list(&wire.network, HOLDER, &[]).len();
        let grant = with(&|g| g.nhs_number = patient.nhs_number.parse().unwrap());
        let frames = wire.frames(&peer, &wire.person, &patient, Purpose::Btg, Some(grant));
        assert_eq!(wire.header(&frames).outcome, AnswerOutcome::NothingShareable);
        assert_eq!(frames.iter().map(Vec::len).collect::<Vec<_>>(), [REFUSAL_BUCKET + 1, 1]);
        assert_eq!(list(&wire.network, HOLDER, &[]).len(), before + 1);
    }
    assert_eq!(alerts(&wire.network).len(), 2);
}

const HOLDER: &str = "R9A";
const ASKER: &str = "R9C";
const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
const SEAL: &str = "https://careweave.example/fhir/CodeSystem/seal";
const OBJECTION: &str = careweave_node::store::patients::OBJECTION;

/// A network of two whose asking node has been stopped, so that its keys are in our hands.
struct Wire {
    network: Network,
    member: Member,
    /// A nurse, with the step-up key that her credential names.
    person: Person,
    step_up: SoftwareKey,
    /// A nurse without one.
    plain: Person,
    /// Somebody whose group may never break glass.
    social_worker: Person,
    to: Multiaddr,
    holder_node: NodeKey,
    runtime: tokio::runtime::Runtime,
}

impl Wire {
    fn new() -> Self {
        let network = scene::small(&[ASKER, HOLDER]);
        let profile = network.profile("R9C-rn").unwrap();
        network.hire(&Staff { step_up: false, ..Staff::named("R9C-rn.plain").unwrap() }).unwrap();
        let plain = network.profile("R9C-rn.plain").unwrap();
        let other = network.profile("R9C-sw").unwrap();
        network.profile(&format!("{HOLDER}-ig")).unwrap();
        network.stop(ASKER).unwrap();
        let member = Member::load(&network.layout().node(ASKER)).unwrap();
        let passphrase = network.layout().passphrase();
        let load = |profile: &Path| Person::load(profile, &passphrase).unwrap();
        let words = fs::read_to_string(network.layout().step_up_passphrase()).unwrap();
        let step_up = SoftwareKey::read_protected(&profile.join(layout::STEP_UP_KEY), &Passphrase::new(words.into()));
        let to: Multiaddr = network.addresses(HOLDER).unwrap().peer.parse().unwrap();
        let holder_node = Member::load(&network.layout().node(HOLDER)).unwrap().own.node_key();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let (person, plain, social_worker) = (load(&profile), load(&plain), load(&other));
        let step_up = step_up.unwrap();
        assert_eq!(person.credential.unverified().unwrap().step_up, step_up.public_key().node_key());
        assert_eq!(plain.credential.unverified().unwrap().step_up, None);
        Self { network, member, person, step_up, plain, social_worker, to, holder_node, runtime }
    }

    fn connect(&self) -> Peer {
        self.runtime.block_on(Peer::connect(self.member.credentials().unwrap(), &self.to)).unwrap()
    }

    /// One that holds: the nurse's, about Ada.
    fn grant(&self) -> BreakGlassGrant {
        let now = Clock.now();
        BreakGlassGrant {
            network: self.member.config.network.clone(),
            id: QueryId([6; 16]),
            ods: ASKER.parse().unwrap(),
            person: "rn".parse().unwrap(),
            nhs_number: ada().nhs_number.parse().unwrap(),
            categories: vec![Category::Problems],
            reason: REASON.to_owned(),
            reason_text: words(),
            issued_at: now,
            expires_at: now.after(Duration::from_secs(3600)),
        }
    }

    fn ask(
        &self,
        peer: &Peer,
        person: &Person,
        purpose: Purpose,
        grant: Option<Signed<BreakGlassGrant>>,
    ) -> AnswerOutcome {
        self.header(&self.frames(peer, person, &ada(), purpose, grant)).outcome
    }

    fn frames(
        &self,
        peer: &Peer,
        person: &Person,
        patient: &Patient,
        purpose: Purpose,
        grant: Option<Signed<BreakGlassGrant>>,
    ) -> Vec<Vec<u8>> {
        let question = Question {
            member: &self.member,
            person,
            patient: AskedPatient {
                nhs_number: patient.nhs_number.parse().unwrap(),
                birth_date: Date::from_iso(&patient.birth_date).unwrap(),
                family: patient.family.clone(),
                postcode: None,
                other_numbers: Vec::new(),
            },
            purpose,
            grounds: Vec::new(),
            holder: HOLDER.parse().unwrap(),
            holder_node: self.holder_node,
        };
        let now: Timestamp = Clock.now();
        let query = Query {
            reason: Some(REASON.to_owned()),
            reason_text: Some(words()),
            grant,
            asked_at: now,
            expires_at: now.after(QUERY_LIFE),
            ..question.query().unwrap().into_inner()
        };
        let scope = Scope::network(&self.member.config.network);
        let query = Signed::sign(&query, scope, person.key.as_ref()).unwrap();
        let envelope = question.envelope(&query).unwrap();
        self.runtime.block_on(peer.exchange(Protocol::Query, envelope.signed().as_bytes())).unwrap()
    }

    fn header(&self, frames: &[Vec<u8>]) -> AnswerHeader {
        let Some(AnswerFrame::Header(signed)) = AnswerFrame::parse(&frames[0]) else { panic!("no header") };
        let own: OdsCode = ASKER.parse().unwrap();
        let scope = Scope::to(&self.member.config.network, &own);
        let signed = Signed::<AnswerHeader>::from_bytes(signed.to_vec()).unwrap();
        signed.verify(scope, &self.holder_node.into()).unwrap().into_inner()
    }

    /// The newest DECISION of the holder.
    fn newest(&self) -> Value {
        list(&self.network, HOLDER, &["--kind", "DECISION"]).last().unwrap().clone()
    }
}

/// The digest of the words that a grant and its question both carry.
fn words() -> Digest {
    Digest::of(&[TEXT.as_bytes()])
}

/// ALERTs of the holder about break-glass.
fn alerts(network: &Network) -> Vec<Value> {
    let all = list(network, HOLDER, &["--kind", "ALERT"]);
    all.into_iter().filter(|alert| alert["outcome"] == "break-glass").collect()
}

/// `careweave break-glass` in JSON, whatever its exit code.
fn break_glass(network: &Network, profile: &str, patient: &Patient, more: &[&str]) -> Output {
    let asked = [patient.nhs_number.as_str(), "--dob", &patient.birth_date, "--family", &patient.family, "-o", "json"];
    let why = ["--reason", REASON, "--text", TEXT, "--yes"];
    let arguments: Vec<&str> =
        ["break-glass"].into_iter().chain(asked).chain(why).chain(more.iter().copied()).collect();
    network.cli(profile, &arguments).unwrap()
}

/// Open reviews, as an organisation's privacy officer lists them.
fn reviews(network: &Network, ods: &str) -> Vec<Value> {
    let output = network.cli(&format!("{ods}-ig"), &["-o", "json", "review", "list"]).unwrap();
    output.expect_status(0).unwrap().json().unwrap().as_array().unwrap().clone()
}

/// The open review with this id.
fn review(network: &Network, ods: &str, id: &Value) -> Value {
    let open = reviews(network, ods);
    open.iter()
        .find(|review| review["id"] == *id)
        .unwrap_or_else(|| panic!("no review {id} at {ods}: {open:#?}"))
        .clone()
}

/// Ids of the problems shown, without the patient's number, in order.
fn problems(view: &Value) -> Vec<String> {
    let shown = rows(view).into_iter().filter(|(category, _)| *category == "problems");
    let ids = shown.filter_map(|(_, row)| Some(row["id"].as_str()?.rsplit_once('-')?.0.to_owned()));
    let mut ids: Vec<String> = ids.collect();
    ids.sort();
    ids
}

/// Somebody outside the population, whom no other test asks about.
fn stranger(index: usize) -> Patient {
    let family = ["Abernethy", "Blenkinsop", "Carruthers", "Dalrymple"][index % 4].to_owned();
    Patient { nhs_number: nhs_number(93_000 + index), birth_date: "1951-03-02".to_owned(), family }
}

fn bundle(patient: &Patient, records: Vec<Value>) -> Value {
    let person = json!({
        "resourceType": "Patient",
        "id": format!("patient-{}", patient.nhs_number),
        "identifier": [{"system": NHS_NUMBER_SYSTEM, "value": patient.nhs_number}],
        "name": [{"use": "official", "family": patient.family, "given": ["Robin"]}],
        "gender": "unknown",
        "birthDate": patient.birth_date
    });
    let entries: Vec<Value> =
        std::iter::once(person).chain(records).map(|resource| json!({"resource": resource})).collect();
    json!({"resourceType": "Bundle", "type": "collection", "entry": entries})
}

fn hiv(patient: &Patient) -> Value {
    problem(patient, "hiv", json!([{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV"}]))
}

fn problem(patient: &Patient, name: &str, security: Value) -> Value {
    // Two problems of one code would be one.
    let (code, display) = if name == "plain" { ("195967001", "Asthma") } else { ("13645005", "COPD") };
    json!({
        "resourceType": "Condition",
        "id": format!("{name}-{}", patient.nhs_number),
        "meta": {"versionId": "1", "security": security},
        "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]},
        "code": {"text": name, "coding": [{"system": "http://snomed.info/sct", "code": code, "display": display}]},
        "subject": subject(patient),
        "recordedDate": "2025-03-01"
    })
}

fn subject(patient: &Patient) -> Value {
    json!({"identifier": {"system": NHS_NUMBER_SYSTEM, "value": patient.nhs_number}})
}

/// Files below a directory that hold these bytes.
fn holding(directory: &Path, needle: &[u8]) -> Vec<String> {
    let (mut found, mut ahead) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(directory) = ahead.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                ahead.push(path);
            } else if fs::read(&path).unwrap_or_default().windows(needle.len()).any(|bytes| bytes == needle) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

/// Writes a file that nobody else may read.
fn private(path: &Path, text: &str) {
    drop(fs::remove_file(path));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
