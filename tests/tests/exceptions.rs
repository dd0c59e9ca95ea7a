//! A medicine that the Caldicott guardian hides: others are told that one is not shown, and the organisation itself sees it.

use careweave_tests::network::{Network, Output};
use careweave_tests::population::{NHS_NUMBER_SYSTEM, ODS_SYSTEM};
use serde_json::{Value, json};

use crate::residents::{collection, held, stranger};
use crate::scene::{Patient, assert_clean, decision, list, query_id, rows, small, source, view};

#[test]
fn a_hidden_medicine_is_counted_to_others_shown_to_its_own_organisation_and_back_when_the_exception_ends() {
    let network = small(&[PRACTICE, HOLDER]);
    let patient = stranger(11);
    load(&network, &patient);
    let whole = look(&network, &patient);
    assert_eq!(medicines(&whole), 2);
    assert!(!warned(&whole));

    // Only the guardian, for a medicine that is there, within ninety days; each attempt is in the log and changes nothing.
    let first = record(&patient, 1);
    let nurse = hide(&network, &format!("{HOLDER}-hos"), &patient, &first, &[]);
    assert_eq!((nurse.status, nurse.field("/error/code").unwrap()), (4, "not-allowed".into()));
    assert!(nurse.stdout.contains("IG"), "{}", nurse.stdout);
    let guardian = format!("{HOLDER}-ig");
    for (target, more, status) in [
        ("MedicationRequest/none", &[][..], 1),
        (&format!("Condition/asthma-{}", patient.nhs_number), &[], 2),
        (&first, &["--until", "2099-01-01"], 2),
        (&first, &["--until", "2020-01-01"], 2),
    ] {
        let refused = hide(&network, &guardian, &patient, target, more);
        assert_eq!(refused.status, status, "{}", refused.everything());
        assert!(refused.json().unwrap()["error"]["hint"].is_string());
    }
    let of_another = hide(&network, &guardian, &stranger(12), &first, &[]);
    assert_eq!(of_another.status, 1, "{}", of_another.everything());
    let causes: Vec<Value> = refusals(&network);
    assert_eq!(causes, ["not-allowed: exceptions", "no-such-medicine", "no-such-medicine"]);
    assert_eq!(medicines(&look(&network, &patient)), 2);

    // The same drug as it was dispensed is another record, and tells as much.
    let mut dispensed = medicine(&patient, 1, "1");
    dispensed["resourceType"] = "MedicationDispense".into();
    network.import_value(HOLDER, &collection(vec![dispensed])).unwrap();
    hide(&network, &guardian, &patient, &first, &[]).expect_status(0).unwrap();
    let entry = admin(&network, "medicine-hidden");
    assert_eq!((&entry["actor"]["person"], &entry["reason"]), (&"ig".into(), &"court-order".into()));
    assert_eq!(entry["patient"]["nhs_number"], json!(patient.nhs_number));
    assert!(
        !entry["detail"].as_str().unwrap().contains("medicine-"),
        "the record's id stays out of the log: {entry:#}"
    );
    let listed = network.cli(&guardian, &["exception", "list", "-o", "json"]).unwrap().expect_status(0).unwrap();
    assert_eq!(listed.field("/0/record").unwrap(), first);
    assert_eq!(network.cli(&format!("{HOLDER}-hos"), &["exception", "list"]).unwrap().status, 4);

    let less = look(&network, &patient);
    assert_eq!(medicines(&less), 1);
    assert!(warned(&less), "{:#}", less["warnings"]);
    let decided = decision(&network, HOLDER, &query_id(&less));
    assert_eq!((&decided["outcome"], &decided["detail"]), (&"answered".into(), &"medicines not shown: 2".into()));
    // Whoever may not see medicines of this patient is not told either.
    let stranger_to_them = view(&network, &format!("{PRACTICE}-gp"), &stranger(13), &[]).json().unwrap();
    assert!(!warned(&stranger_to_them));
    // At home it is there, and an import of a newer version stays hidden elsewhere.
    let own = view(&network, &format!("{HOLDER}-hos"), &patient, &[]).json().unwrap();
    assert_eq!(own_medicines(&own, HOLDER), 3, "{own:#}");
    network.import_value(HOLDER, &collection(vec![medicine(&patient, 1, "2")])).unwrap();
    assert_eq!(medicines(&look(&network, &patient)), 1);

    let shown = ["exception", "end", &patient.nhs_number, "--record", &first];
    network.cli(&guardian, &shown).unwrap().expect_status(0).unwrap();
    admin(&network, "medicine-shown");
    let whole = look(&network, &patient);
    assert_eq!(medicines(&whole), 3);
    assert!(!warned(&whole));
    assert_eq!(network.cli(&guardian, &shown).unwrap().status, 1, "there is nothing left to end");
    for ods in [PRACTICE, HOLDER] {
        assert_clean(&network, ods);
    }
}

#[test]
fn where_everything_open_is_hidden_the_answer_says_so_and_is_not_nothing_shareable() {
    let network = small(&[PRACTICE, HOLDER]);
    let patient = stranger(14);
    load(&network, &patient);
    let guardian = format!("{HOLDER}-ig");
    for number in [1, 2] {
        hide(&network, &guardian, &patient, &record(&patient, number), &[]).expect_status(0).unwrap();
    }
    // Problems are always asked for; the one there is, the patient has sealed. So nothing else is open.
    network.import_value(HOLDER, &collection(vec![sealed_asthma(&patient)])).unwrap();
    let seen = view(&network, &format!("{PRACTICE}-gp"), &patient, &["--category", "medications"]).json().unwrap();
    let line = source(&seen, HOLDER);
    assert_eq!(line["outcome"], "answered", "{line}");
    assert_eq!(medicines(&seen), 0);
    assert!(warned(&seen), "{:#}", seen["warnings"]);
    assert!(
        seen["absences"]
            .as_array()
            .unwrap()
            .iter()
            .all(|absence| { absence["category"] != "medications" || absence["kind"] == "nothing-supplied" }),
        "a hidden medicine is no evidence that there is none: {:#}",
        seen["absences"]
    );
    let decided = decision(&network, HOLDER, &query_id(&seen));
    assert_eq!(decided["outcome"], "answered");
    assert!(decided["detail"].as_str().unwrap().contains("medicines not shown: 2"), "{decided:#}");

    // The twin without a relationship learns nothing of it.
    network.import_value(PRACTICE, &collection(vec![person(&patient, "Y99999", "2")])).unwrap();
    let refused = view(&network, &format!("{PRACTICE}-gp"), &patient, &["--category", "medications"]).json().unwrap();
    assert_eq!(source(&refused, HOLDER)["outcome"], "nothing-shareable");
    assert!(!warned(&refused), "{:#}", refused["warnings"]);
    assert_eq!(decision(&network, HOLDER, &query_id(&refused))["cause"], "no-relationship");
}

fn look(network: &Network, patient: &Patient) -> Value {
    view(network, &format!("{PRACTICE}-gp"), patient, &[]).expect_status(0).unwrap().json().unwrap()
}

fn medicines(view: &Value) -> usize {
    own_medicines(view, HOLDER)
}

/// Rows of medicines from this source, wherever grouping put them.
fn own_medicines(view: &Value, ods: &str) -> usize {
    rows(view).iter().filter(|(category, row)| *category == "medications" && row["source"]["ods"] == ods).count()
}

fn warned(view: &Value) -> bool {
    view["warnings"].as_array().unwrap().iter().any(|warning| warning["id"] == "CW-H030")
}

fn hide(network: &Network, profile: &str, patient: &Patient, record: &str, more: &[&str]) -> Output {
    let typed = ["exception", "add", &patient.nhs_number, "--record", record, "--reason", "court-order", "-o", "json"];
    network.cli(profile, &[&typed, more].concat()).unwrap()
}

fn admin(network: &Network, event: &str) -> Value {
    let found: Vec<Value> =
        list(network, HOLDER, &["--kind", "admin"]).into_iter().filter(|entry| entry["outcome"] == event).collect();
    assert_eq!(found.len(), 1, "{event}: {found:#?}");
    found[0].clone()
}

/// Causes of what was refused at the holder's desk.
fn refusals(network: &Network) -> Vec<Value> {
    let fits = |entry: &Value| entry["outcome"] == "refused" && entry["query_id"].is_null();
    list(network, HOLDER, &["--kind", "decision"]).iter().filter(|e| fits(e)).map(|e| e["cause"].clone()).collect()
}

/// A patient of the practice with two medicines and a problem at the holder.
fn load(network: &Network, patient: &Patient) {
    network.import_value(PRACTICE, &collection(vec![person(patient, PRACTICE, "1")])).unwrap();
    network.import_value(HOLDER, &held(patient)).unwrap();
    let two = collection(vec![medicine(patient, 1, "1"), medicine(patient, 2, "1")]);
    network.import_value(HOLDER, &two).unwrap();
}

fn person(patient: &Patient, practice: &str, version: &str) -> Value {
    json!({
        "resourceType": "Patient", "id": format!("patient-{}", patient.nhs_number), "meta": {"versionId": version},
        "identifier": [{"system": NHS_NUMBER_SYSTEM, "value": patient.nhs_number}],
        "name": [{"use": "official", "family": patient.family, "given": ["Robin"]}],
        "birthDate": patient.birth_date,
        "generalPractitioner": [{"type": "Organization", "identifier": {"system": ODS_SYSTEM, "value": practice}}]
    })
}

fn record(patient: &Patient, number: u32) -> String {
    format!("MedicationRequest/medicine-{number}-{}", patient.nhs_number)
}

/// Amlodipine, or salbutamol.
fn medicine(patient: &Patient, number: u32, version: &str) -> Value {
    let (code, name) =
        [("321787000", "Amlodipine 5mg tablets"), ("35936511000001107", "Salbutamol 100micrograms inhaler")]
            [usize::from(number == 2)];
    json!({
        "resourceType": "MedicationRequest", "id": format!("medicine-{number}-{}", patient.nhs_number),
        "meta": {"versionId": version}, "status": "active", "intent": "order",
        "subject": {"identifier": {"system": NHS_NUMBER_SYSTEM, "value": patient.nhs_number}},
        "medicationCodeableConcept": {"coding": [{"system": "http://snomed.info/sct", "code": code, "display": name}]},
        "authoredOn": "2026-01-05"
    })
}

/// The problem in a newer version that the patient has sealed.
fn sealed_asthma(patient: &Patient) -> Value {
    let mut asthma = held(patient)["entry"][1]["resource"].clone();
    asthma["meta"] = json!({"versionId": "2", "security": [
        {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"},
        {"system": "https://careweave.example/fhir/CodeSystem/seal", "code": "patient"}
    ]});
    asthma
}

const PRACTICE: &str = "Y91001";
const HOLDER: &str = "R9A";
