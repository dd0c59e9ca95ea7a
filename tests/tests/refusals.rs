//! A refusal about the patient does not tell: five reasons in the holder's log, one line at the asker.

use careweave_tests::population::{NHS_NUMBER_SYSTEM, ODS_SYSTEM, nhs_number};
use serde_json::{Value, json};

use crate::scene::{Patient, assert_clean, ben, decision, demo, population, query_id, rows, source, view};

#[test]
fn five_reasons_stand_in_the_holder_s_log_and_look_the_same_to_the_asker() {
    let network = demo();
    let (objecting, sealed, unknown) = (stranger(1), stranger(2), stranger(3));
    for patient in [&objecting, &sealed] {
        network.import_value("Y91001", &collection(vec![registered(patient, "Y91001")])).unwrap();
    }
    let problem = |patient| condition(patient, json!([]));
    let objection = consent(&objecting, "active", 1);
    network
        .import_value("R9A", &collection(vec![person(&objecting, json!([])), problem(&objecting), objection]))
        .unwrap();
    let seal = json!([
        {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"},
        {"system": "https://careweave.example/fhir/CodeSystem/seal", "code": "patient"}
    ]);
    let behind_seal = vec![person(&sealed, seal.clone()), condition(&sealed, seal)];
    network.import_value("R9A", &collection(behind_seal)).unwrap();
    assert!(!population().holders(&ben().nhs_number).contains(&"R9C"), "the community trust knows him");

    let asked = [
        ("Y91001-gp", unknown, "unknown-patient"),
        ("R9C-rn", ben().born("1952-08-03"), "not-matched"),
        ("Y91001-gp", objecting.clone(), "objection"),
        ("Y91001-gp", sealed.clone(), "break-glass-only"),
        ("R9X-par", ben(), "no-relationship"),
    ];
    let mut lines = Vec::new();
    for (profile, patient, cause) in asked {
        let seen = view(network, profile, &patient, &[]).json().unwrap();
        let decided = decision(network, "R9A", &query_id(&seen));
        assert_eq!(decided["outcome"], "nothing-shareable", "{cause}");
        let logged = decided["cause"].as_str().unwrap_or_else(|| panic!("no cause in {decided:#}"));
        assert!(logged.starts_with(cause), "{logged} instead of {cause}");
        assert!(rows(&seen).iter().all(|(_, row)| row["source"]["ods"] != "R9A"));
        let mut line = source(&seen, "R9A").clone();
        line.as_object_mut().unwrap().remove("ms");
        lines.push(line);
    }
    for line in &lines {
        assert_eq!(line["outcome"], "nothing-shareable");
        assert_eq!(line["reason"], Value::Null);
        assert_eq!(line, &lines[0], "the asker can tell two refusals apart");
    }

    // The twins: an emergency is not blocked by an objection, nor is care once it is withdrawn.
    let urgent =
        view(network, "Y91001-gp", &objecting, &["--for", "emergency"]).expect_status(0).unwrap().json().unwrap();
    assert_eq!(source(&urgent, "R9A")["outcome"], "answered");
    assert_eq!(decision(network, "R9A", &query_id(&urgent))["objection"], "network");
    network.import_value("R9A", &collection(vec![consent(&objecting, "inactive", 2)])).unwrap();
    let again = view(network, "Y91001-gp", &objecting, &[]).expect_status(0).unwrap().json().unwrap();
    assert!(rows(&again).iter().any(|(category, row)| *category == "problems" && row["source"]["ods"] == "R9A"));
    assert_eq!(decision(network, "R9A", &query_id(&again))["objection"], "none");
    // A patient's seal holds in an emergency too: only break-glass opens it.
    let urgent = view(network, "Y91001-gp", &sealed, &["--for", "emergency"]).json().unwrap();
    assert_eq!(source(&urgent, "R9A")["outcome"], "nothing-shareable");
    assert_clean(network, "R9A");
}

#[test]
fn whoever_the_own_record_contradicts_is_not_asked_about_and_exit_5_says_so() {
    let network = demo();
    let refused = view(network, "Y91002-gp", &ben().born("1951-02-07"), &[]);
    assert_eq!(refused.status, 5, "{}", refused.everything());
    assert_eq!(refused.field("/error/code").unwrap(), "not-matched");
    let own = crate::scene::list(network, "Y91002", &[]);
    assert!(
        own.iter().any(|entry| entry["cause"].as_str().is_some_and(|cause| cause.contains("exchanged"))),
        "{own:#?}"
    );
    view(network, "Y91002-gp", &ben(), &[]).expect_status(0).unwrap();
}

/// Somebody outside the population.
fn stranger(index: usize) -> Patient {
    let family = ["Quennell", "Ravenscroft", "Satterthwaite", "Thistlewood"][index % 4].to_owned();
    Patient { nhs_number: nhs_number(90_000 + index), birth_date: "1947-04-09".to_owned(), family }
}

fn collection(resources: Vec<Value>) -> Value {
    let entries: Vec<Value> = resources.into_iter().map(|resource| json!({"resource": resource})).collect();
    json!({"resourceType": "Bundle", "type": "collection", "entry": entries})
}

fn person(patient: &Patient, security: Value) -> Value {
    json!({
        "resourceType": "Patient",
        "id": format!("patient-{}", patient.nhs_number),
        "meta": {"versionId": "1", "security": security},
        "identifier": [{"system": NHS_NUMBER_SYSTEM, "value": patient.nhs_number}],
        "name": [{"use": "official", "family": patient.family, "given": ["Robin"]}],
        "gender": "unknown",
        "birthDate": patient.birth_date
    })
}

fn registered(patient: &Patient, practice: &str) -> Value {
    let mut person = person(patient, json!([]));
    person["generalPractitioner"] =
        json!([{"type": "Organization", "identifier": {"system": ODS_SYSTEM, "value": practice}}]);
    person
}

fn condition(patient: &Patient, security: Value) -> Value {
    json!({
        "resourceType": "Condition",
        "id": format!("asthma-{}", patient.nhs_number),
        "meta": {"versionId": "1", "security": security},
        "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]},
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "195967001", "display": "Asthma"}]},
        "subject": subject(patient),
        "recordedDate": "2025-03-01"
    })
}

fn consent(patient: &Patient, status: &str, version: u32) -> Value {
    json!({
        "resourceType": "Consent",
        "id": format!("objection-{}", patient.nhs_number),
        "meta": {"versionId": version.to_string(), "lastUpdated": format!("2026-01-0{version}T09:00:00Z")},
        "status": status,
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentcategorycodes", "code": "INFA"}]}],
        "patient": subject(patient),
        "dateTime": format!("2026-01-0{version}"),
        "provision": {"type": "deny"}
    })
}

fn subject(patient: &Patient) -> Value {
    json!({"identifier": {"system": NHS_NUMBER_SYSTEM, "value": patient.nhs_number}})
}
