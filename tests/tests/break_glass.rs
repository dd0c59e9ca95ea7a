//! Break-glass, from the step-up key to the closed review: what it opens, what it never opens, and who learns of it.

mod grants;

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use careweave_tests::network::{Network, Output, Staff};
use careweave_tests::population::{NHS_NUMBER_SYSTEM, nhs_number};
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

const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
const SEAL: &str = "https://careweave.example/fhir/CodeSystem/seal";
const OBJECTION: &str = careweave_node::store::patients::OBJECTION;

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
