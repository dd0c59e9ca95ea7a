//! A care home sees its current residents only, and its own register says who they are.

use careweave_tests::network::{Network, Output};
use careweave_tests::population::{NHS_NUMBER_SYSTEM, nhs_number};
use serde_json::{Value, json};

use crate::scene::{Patient, ada, assert_clean, decision, list, query_id, rows, small, source, view};

#[test]
fn a_resident_is_seen_from_moving_in_to_leaving_and_every_look_is_logged() {
    let network = small(&[HOME, HOSPITAL]);
    let patient = stranger(1);
    network.import_value(HOSPITAL, &held(&patient)).unwrap();
    refused(&network, &patient);

    let nurse = format!("{HOME}-chn");
    let added = add(&network, &nurse, &patient, &["--room", "14", "-o", "json"]).expect_status(0).unwrap();
    assert_eq!(added.field("/state").unwrap(), "resident");
    let entry = admin(&network, "resident-added");
    assert_eq!(
        (&entry["actor"]["person"], &entry["patient"]["nhs_number"]),
        (&"chn".into(), &json!(patient.nhs_number))
    );
    assert!(entry["detail"].as_str().unwrap().contains("no end known"), "{entry:#}");
    granted(&network, &patient);

    // The list to pick from, for carers too; every look is in the log.
    let listed = residents(&network, &format!("{HOME}-chc"), &[]);
    assert_eq!(listed.len(), 1);
    let line = &listed[0];
    assert_eq!((&line["nhs_number"], &line["name"]), (&json!(patient.nhs_number), &json!(patient.family)));
    assert_eq!(
        (&line["birth_date"], &line["room"], &line["until"]),
        (&"1947-04-09".into(), &"14".into(), &Value::Null)
    );
    let table = network.cli(&nurse, &["residents"]).unwrap().expect_status(0).unwrap();
    assert!(table.stdout.contains("09-Apr-1947") && table.stdout.contains("14"), "{}", table.stdout);
    let looks = decisions(&network, "residents-listed");
    let who: Vec<&Value> = looks.iter().map(|entry| &entry["actor"]["person"]).collect();
    assert_eq!(who, ["chc", "chn"]);
    assert_eq!(looks[0]["detail"], "1 listed");

    // Nobody without a clinical role looks, and no carer ends a stay; both attempts are logged and change nothing.
    let looked = network.cli(&format!("{HOME}-ig"), &["residents", "-o", "json"]).unwrap();
    assert_eq!((looked.status, looked.field("/error/code").unwrap()), (4, "not-allowed".into()));
    let carer = network.cli(&format!("{HOME}-chc"), &["resident", "leave", &patient.nhs_number, "-o", "json"]).unwrap();
    assert_eq!((carer.status, carer.field("/error/code").unwrap()), (4, "not-allowed".into()));
    assert!(carer.stdout.contains("CHN or CHS"), "{}", carer.stdout);
    // Nor does whoever operates the node: that is no reason to read anybody's records.
    let operator = add(&network, &format!("{HOME}-it"), &stranger(4), &["-o", "json"]);
    assert_eq!((operator.status, operator.field("/error/code").unwrap()), (4, "not-allowed".into()));
    let causes: Vec<Value> = decisions(&network, "refused").iter().map(|entry| entry["cause"].clone()).collect();
    assert_eq!(causes, ["not-allowed: residents"; 3]);
    // And nobody at all makes residents of a hospital.
    let elsewhere = add(&network, &format!("{HOSPITAL}-chn"), &stranger(4), &["-o", "json"]);
    assert_eq!(elsewhere.status, 1, "{}", elsewhere.everything());
    assert!(elsewhere.stdout.contains("only a care home"), "{}", elsewhere.stdout);
    let logged = list(&network, HOSPITAL, &["--kind", "decision"]);
    assert!(logged.iter().any(|entry| entry["cause"] == "not-a-care-home: residents"), "{logged:#?}");
    granted(&network, &patient);

    // Whoever has left is seen no more: the next question derives its evidence anew.
    let manager = format!("{HOME}-chs");
    network.cli(&manager, &["resident", "leave", &patient.nhs_number]).unwrap().expect_status(0).unwrap();
    assert_eq!(admin(&network, "resident-left")["actor"]["person"], "chs");
    refused(&network, &patient);
    assert!(residents(&network, &nurse, &[]).is_empty());
    let all = residents(&network, &nurse, &["--all"]);
    assert!(all.len() == 1 && all[0]["until"].is_string(), "{all:#?}");
    for ods in [HOME, HOSPITAL] {
        assert_clean(&network, ods);
    }
}

#[test]
fn the_register_closes_the_door_that_an_open_episode_of_care_would_keep_open() {
    let network = small(&[HOME, HOSPITAL]);
    // Her record at the home has an active EpisodeOfCare of kind residency, and the register is silent about her.
    assert_eq!(granted(&network, &ada())["evidence"], json!(["residency"]));
    let nurse = format!("{HOME}-chn");
    add(&network, &nurse, &ada(), &["--since", "2025-01-01"]).expect_status(0).unwrap();
    granted(&network, &ada());
    network.cli(&nurse, &["resident", "leave", &ada().nhs_number]).unwrap().expect_status(0).unwrap();
    refused(&network, &ada());
    // A hospital stay does not end residency, and whoever comes back is entered again.
    network.import_value(HOSPITAL, &stay(&ada())).unwrap();
    add(&network, &nurse, &ada(), &[]).expect_status(0).unwrap();
    granted(&network, &ada());
    assert_eq!(residents(&network, &nurse, &["--all"]).len(), 2);
}

#[test]
fn respite_has_an_end_after_which_nothing_is_seen() {
    let network = small(&[HOME, HOSPITAL]);
    let (staying, over) = (stranger(2), stranger(3));
    let nurse = format!("{HOME}-chn");
    for patient in [&staying, &over] {
        network.import_value(HOSPITAL, &held(patient)).unwrap();
    }
    add(&network, &nurse, &staying, &["--since", "2026-01-05", "--until", "2099-01-12"]).expect_status(0).unwrap();
    add(&network, &nurse, &over, &["--since", "2026-01-05", "--until", "2026-01-12"]).expect_status(0).unwrap();
    granted(&network, &staying);
    refused(&network, &over);
    let listed = residents(&network, &nurse, &[]);
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["until"], "2099-01-13T00:00:00.000Z");
    // Its end can be moved, to a day yet to come too.
    network
        .cli(&nurse, &["resident", "leave", &staying.nhs_number, "--on", "2098-12-31"])
        .unwrap()
        .expect_status(0)
        .unwrap();
    assert_eq!(residents(&network, &nurse, &[])[0]["until"], "2099-01-01T00:00:00.000Z");
    granted(&network, &staying);
}

#[test]
fn what_does_not_fit_the_register_is_said_clearly_and_changes_nothing() {
    let network = small(&[HOME, HOSPITAL]);
    let nurse = format!("{HOME}-chn");
    let (resident, other) = (stranger(4), stranger(5));
    add(&network, &nurse, &resident, &[]).expect_status(0).unwrap();
    let before = residents(&network, &nurse, &["--all"]);

    let leave = |more: &[&str]| {
        let typed = [&["resident", "leave"], more, &["-o", "json"]].concat();
        network.cli(&nurse, &typed).unwrap()
    };
    let misnumbered = Patient { nhs_number: "9990010014".to_owned(), ..other.clone() };
    let renamed = Patient { family: "Otherwise".to_owned(), ..resident.clone() };
    let reversed = ["--since", "2026-02-02", "--until", "2026-02-01", "-o", "json"];
    let wrong: Vec<(Output, i32, &str)> = vec![
        (add(&network, &nurse, &resident, &["-o", "json"]), 1, "already"),
        (leave(&[&other.nhs_number]), 1, "not a resident"),
        (leave(&[&resident.nhs_number, "--on", "2020-01-01"]), 1, "before it begins"),
        (add(&network, &nurse, &other, &reversed), 2, "--since is after --until"),
        (add(&network, &nurse, &other, &["--since", "1900-01-01", "-o", "json"]), 1, "before the birth date"),
        (add(&network, &nurse, &misnumbered, &["-o", "json"]), 2, "NHS"),
        (add(&network, &nurse, &resident.clone().born("1947-04-10"), &["-o", "json"]), 5, "another birth date"),
        (add(&network, &nurse, &renamed, &["-o", "json"]), 5, "family name"),
    ];
    for (output, status, said) in wrong {
        assert_eq!(output.status, status, "{}", output.everything());
        let error = output.json().unwrap()["error"].clone();
        assert!(error["message"].as_str().unwrap().contains(said), "{error:#}");
        assert!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{error:#}");
    }
    assert_eq!(residents(&network, &nurse, &["--all"]), before);
    assert_eq!(
        list(&network, HOME, &["--kind", "admin"]).iter().filter(|e| e["outcome"] == "resident-added").count(),
        1
    );
    let causes: Vec<String> =
        decisions(&network, "refused").iter().map(|e| e["cause"].as_str().unwrap().to_owned()).collect();
    for cause in ["already-resident", "not-resident", "dates-reversed", "not-matched"] {
        assert!(causes.iter().any(|logged| logged.contains(cause)), "{cause} is not among {causes:?}");
    }
    // The twin: what fits is taken.
    add(&network, &nurse, &other, &[]).expect_status(0).unwrap();
    assert_eq!(residents(&network, &nurse, &[]).len(), 2);
}

/// The home sees what the hospital holds; gives the hospital's DECISION.
fn granted(network: &Network, patient: &Patient) -> Value {
    let seen = view(network, &format!("{HOME}-chn"), patient, &[]).expect_status(0).unwrap().json().unwrap();
    assert_eq!(source(&seen, HOSPITAL)["outcome"], "answered");
    let decided = decision(network, HOSPITAL, &query_id(&seen));
    assert!(decided["evidence"].as_array().unwrap().contains(&"residency".into()), "{decided:#}");
    decided
}

/// The home sees nothing of others, and the hospital's log says why. The exit code is 4, or 0 where the home has records of its own.
fn refused(network: &Network, patient: &Patient) {
    let output = view(network, &format!("{HOME}-chn"), patient, &[]);
    let seen = output.json().unwrap();
    assert!(rows(&seen).iter().all(|(_, row)| row["source"]["ods"] == HOME));
    assert_eq!(output.status, if rows(&seen).is_empty() { 4 } else { 0 });
    let decided = decision(network, HOSPITAL, &query_id(&seen));
    assert_eq!((&decided["outcome"], &decided["cause"]), (&"nothing-shareable".into(), &"no-relationship".into()));
}

/// `careweave resident add`.
pub(crate) fn add(network: &Network, profile: &str, patient: &Patient, more: &[&str]) -> Output {
    let who = ["resident", "add", &patient.nhs_number, "--dob", &patient.birth_date, "--family", &patient.family];
    network.cli(profile, &[&who, more].concat()).unwrap()
}

fn residents(network: &Network, profile: &str, more: &[&str]) -> Vec<Value> {
    let output = network.cli(profile, &[&["residents", "-o", "json"], more].concat()).unwrap();
    output.expect_status(0).unwrap().json().unwrap().as_array().unwrap().clone()
}

/// The one ADMIN entry of this event in the home's log.
fn admin(network: &Network, event: &str) -> Value {
    let found: Vec<Value> =
        list(network, HOME, &["--kind", "admin"]).into_iter().filter(|entry| entry["outcome"] == event).collect();
    assert_eq!(found.len(), 1, "{event}: {found:#?}");
    found[0].clone()
}

/// DECISIONs of the home's log with this outcome that are about no query.
fn decisions(network: &Network, outcome: &str) -> Vec<Value> {
    let fits = |entry: &Value| entry["outcome"] == outcome && entry["query_id"].is_null();
    list(network, HOME, &["--kind", "decision"]).into_iter().filter(fits).collect()
}

/// Somebody outside the population.
pub(crate) fn stranger(index: usize) -> Patient {
    let family = ["Quennell", "Ravenscroft", "Satterthwaite", "Thistlewood", "Underhill"][index % 5].to_owned();
    Patient { nhs_number: nhs_number(60_000 + index), birth_date: "1947-04-09".to_owned(), family }
}

/// A Patient with asthma and a medicine, as a holder knows them.
pub(crate) fn held(patient: &Patient) -> Value {
    let subject = json!({"identifier": {"system": NHS_NUMBER_SYSTEM, "value": patient.nhs_number}});
    let person = json!({
        "resourceType": "Patient", "id": format!("patient-{}", patient.nhs_number),
        "identifier": [{"system": NHS_NUMBER_SYSTEM, "value": patient.nhs_number}],
        "name": [{"use": "official", "family": patient.family, "given": ["Robin"]}],
        "gender": "unknown", "birthDate": patient.birth_date
    });
    let asthma = json!({
        "resourceType": "Condition", "id": format!("asthma-{}", patient.nhs_number), "subject": subject,
        "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]},
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "195967001", "display": "Asthma"}]},
        "recordedDate": "2025-03-01"
    });
    collection(vec![person, asthma])
}

pub(crate) fn collection(resources: Vec<Value>) -> Value {
    let entries: Vec<Value> = resources.into_iter().map(|resource| json!({"resource": resource})).collect();
    json!({"resourceType": "Bundle", "type": "collection", "entry": entries})
}

/// A stay in hospital under way.
fn stay(patient: &Patient) -> Value {
    json!({
        "resourceType": "Encounter", "id": "stay-under-way", "status": "in-progress",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
        "subject": {"identifier": {"system": NHS_NUMBER_SYSTEM, "value": patient.nhs_number}},
        "period": {"start": "2026-06-01"}
    })
}

const HOME: &str = "VL901";
const HOSPITAL: &str = "R9A";
