//! The control: what is wrong is found, so that finding nothing means something.

use serde_json::{Value, json};

use crate::r4::errors;

fn bundle(resource: &Value) -> Value {
    json!({"resourceType": "Bundle", "type": "collection", "timestamp": "2026-11-02T14:10:00Z",
        "entry": [{"fullUrl": "https://example.org/fhir/X/1", "resource": resource}]})
}

fn observation() -> Value {
    json!({"resourceType": "Observation", "id": "1", "status": "final", "code": {"text": "Weight"},
        "subject": {"reference": "Patient/1"}, "effectivePeriod": {"start": "2026-01-01", "end": "2026-01-02"},
        "valueQuantity": {"value": 72.5, "unit": "kg"}, "referenceRange": [{"text": "60 to 80"}]})
}

#[test]
fn the_validators_find_nothing_in_what_is_valid() {
    let condition = json!({"resourceType": "Condition", "subject": {"reference": "Patient/1"},
        "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "remission"}]}});
    let report = json!({"resourceType": "DiagnosticReport", "status": "preliminary", "code": {"text": "x"},
        "presentedForm": [{"contentType": "text/plain; charset=utf-8", "data": "eA=="}]});
    let dispense = json!({"resourceType": "MedicationDispense", "status": "completed", "medicationCodeableConcept": {"text": "x"}});
    for valid in [observation(), condition, report, dispense] {
        assert_eq!(errors(&bundle(&valid).to_string()), Vec::<String>::new());
    }
}

#[test]
fn the_validators_find_each_planted_error() {
    let planted: [(&str, Value, &str); 14] = [
        ("/status", json!(5), "expected a string"),
        ("/status", Value::Null, "required element missing"),
        ("/status", json!("ended"), "unknown variant `ended`"),
        ("/code", Value::Null, "required element missing"),
        ("/code", json!([{"text": "x"}]), "expected a single value"),
        ("/effectivePeriod/start", json!("2026-13-40"), "not a valid"),
        ("/effectivePeriod/start", json!("2026-01-03"), "per-1"),
        ("/valueQuantity/value", json!("72.5"), "valueQuantity"),
        ("/valueQuantity", json!({"value": 1, "code": "kg"}), "qty-3"),
        ("/valueString", json!("x"), "only one type"),
        ("/dataAbsentReason", json!({"text": "x"}), "obs-6"),
        ("/referenceRange/0", json!({"appliesTo": [{"text": "x"}]}), "obs-3"),
        ("/subject/reference", json!("#1"), "ref-1"),
        ("/unheardOf", json!(1), "unknown element"),
    ];
    for (at, value, expected) in planted {
        let mut resource = observation();
        let (parent, name) = at.rsplit_once('/').unwrap();
        let parent = resource.pointer_mut(parent).unwrap();
        match (parent, value) {
            (Value::Object(fields), Value::Null) => drop(fields.remove(name)),
            (Value::Object(fields), value) => drop(fields.insert(name.to_owned(), value)),
            (other, value) => other[0] = value,
        }
        let found = errors(&bundle(&resource).to_string());
        assert!(found.iter().any(|error| error.contains(expected)), "{at}: no {expected} in {found:?}");
    }
}

#[test]
fn the_validators_find_errors_of_a_bundle_and_of_its_provenance() {
    let mut twice = bundle(&observation());
    let entry = twice["entry"][0].clone();
    twice["entry"].as_array_mut().unwrap().push(entry);
    let mut kind = bundle(&observation());
    kind["type"] = json!("heap");
    let mut found_by_search = bundle(&observation());
    found_by_search["entry"][0]["search"] = json!({"mode": "match"});
    let mut of_one_version = bundle(&observation());
    of_one_version["entry"][0]["fullUrl"] = json!("https://example.org/fhir/X/1/_history/2");
    let provenance = json!({"resourceType": "Provenance", "target": [{"reference": "X/1"}], "recorded": "2026-11-02",
        "agent": [{"who": {"display": "x"}}]});
    let aimless =
        json!({"resourceType": "Provenance", "recorded": "2026-11-02T14:10:00Z", "agent": [{"who": {"display": "x"}}]});
    let outcome = json!({"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "lost"}]});
    let allergy = json!({"resourceType": "AllergyIntolerance", "patient": {"reference": "Patient/1"},
        "clinicalStatus": {"coding": [{"code": "over"}]}});
    for (wrong, expected) in [
        (twice, "bdl-7"),
        (kind, "unknown variant `heap`"),
        (found_by_search, "bdl-2"),
        (of_one_version, "bdl-8"),
        (bundle(&provenance), "instant"),
        (bundle(&aimless), "target"),
        (bundle(&outcome), "unknown variant `lost`"),
        (bundle(&allergy), "no code of its required value set"),
    ] {
        let found = errors(&wrong.to_string());
        assert!(found.iter().any(|error| error.contains(expected)), "no {expected} in {found:?}");
    }
    assert!(!errors("{\"resourceType\": \"Bundle\"").is_empty(), "what is not JSON is not valid");
}
