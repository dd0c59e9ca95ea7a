use careweave_protocol::record::Form;
use careweave_protocol::time::Date;
use serde_json::{Value, json};

use super::super::row::tests_support::read_json;
use super::*;

const LOINC: &str = "http://loinc.org";

/// As at 02-Nov-2026 14:10 of somebody born 14-Mar-1938.
fn bounds() -> Bounds {
    let as_at = Timestamp::from_rfc3339("2026-11-02T14:10:00Z").unwrap();
    Bounds { born: Date::new(1938, 3, 14).unwrap().start(), from_now: as_at.after(TOLERANCE) }
}

fn dated(kind: &str, more: Value) -> Option<String> {
    let mut json = json!({"resourceType": kind, "status": "active"});
    json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    implausible(&read_json(Category::Other, Form::Full, &json), bounds())
}

#[test]
fn dates_in_the_future_or_before_birth_are_told_where_they_are_not_natural() {
    for (kind, more, said) in [
        ("Condition", json!({"onsetDateTime": "2026-11-02"}), None),
        ("Condition", json!({"onsetDateTime": "2026-11-03"}), None),
        ("Condition", json!({"onsetDateTime": "2026-11-05"}), Some("date 05-Nov-2026 is in the future")),
        ("Condition", json!({"onsetDateTime": "2062-11"}), Some("date Nov-2062 is in the future")),
        ("Condition", json!({"onsetDateTime": "1938"}), None),
        ("Condition", json!({"onsetDateTime": "1938-03-13"}), Some("date 13-Mar-1938 is before the person was born")),
        (
            "Condition",
            json!({"onsetDateTime": "1900-01-01", "recordedDate": "2020"}),
            Some("date 01-Jan-1900 is before"),
        ),
        ("Condition", json!({"recordedDate": "2027-01-01"}), Some("recorded date 01-Jan-2027 is in the future")),
        ("Condition", json!({"onsetDateTime": "next year"}), None),
        ("Condition", json!({"abatementDateTime": "2030-01-01", "onsetDateTime": "2020"}), None),
        (
            "Observation",
            json!({"effectiveDateTime": "2027-01-01T10:00:00Z"}),
            Some("date 01-Jan-2027 is in the future"),
        ),
        ("Appointment", json!({"start": "2027-01-01T10:00:00Z"}), None),
        ("Appointment", json!({"created": "2027-01-01T10:00:00Z"}), Some("recorded date 01-Jan-2027 is in the future")),
        ("CarePlan", json!({"period": {"start": "2027-01-01"}}), None),
        ("Flag", json!({"period": {"start": "2020", "end": "2030"}}), None),
        ("Encounter", json!({"status": "planned", "period": {"start": "2027-01-01"}}), None),
        ("Encounter", json!({"status": "finished", "period": {"start": "2027-01-01"}}), Some("is in the future")),
        ("MedicationStatement", json!({"status": "intended", "effectiveDateTime": "2027-01-01"}), None),
        ("ServiceRequest", json!({"occurrenceDateTime": "2027-01-01", "authoredOn": "2026-10-01"}), None),
        ("ServiceRequest", json!({"authoredOn": "2027-01-01"}), Some("recorded date 01-Jan-2027 is in the future")),
        ("Patient", json!({"meta": {"lastUpdated": "1900-01-01"}}), None),
    ] {
        let found = dated(kind, more.clone());
        assert_eq!(found.is_some(), said.is_some(), "{kind} {more}: {found:?}");
        assert!(found.unwrap_or_default().contains(said.unwrap_or_default()), "{kind} {more}");
    }
}

#[test]
fn units_are_the_same_under_any_of_their_names_and_different_otherwise() {
    for (a, b, same) in [
        ("mmol/L", "mmol/l", true),
        ("mL/min/1.73m2", "mL/min/{1.73_m2}", true),
        ("umol/L", "µmol/L", true),
        ("micromol/L", "umol/L", true),
        ("10*9/L", "x10^9/L", true),
        ("degrees C", "Cel", true),
        ("beats/min", "/min", true),
        ("%", "percent", true),
        ("mm[Hg]", "mmHg", true),
        ("g/L", "g/dL", false),
        ("mmol/L", "mg/dL", false),
        ("kg", "lb", false),
        ("%", "mmol/mol", false),
    ] {
        assert_eq!(same_unit(a) == same_unit(b), same, "{a} {b}");
    }
}

#[test]
fn one_test_in_two_units_is_told_at_every_row_and_nothing_else_is() {
    let result = |category: Category, code: &str, words: &str, value: f64, unit: &str| {
        let json = json!({"resourceType": "Observation", "status": "final", "code": {"coding": [{"system": LOINC, "code": code}], "text": words},
            "valueQuantity": {"value": value, "unit": unit}});
        read_json(category, Form::Full, &json)
    };
    let mut entries = vec![
        result(Category::Results, "718-7", "Haemoglobin", 96.0, "g/L"),
        result(Category::Results, "718-7", "Haemoglobin", 9.6, "g/dL"),
        result(Category::Results, "718-7", "Haemoglobin", 98.0, "g/L"),
        result(Category::Results, "2951-2", "Sodium", 138.0, "mmol/L"),
        result(Category::Vitals, "2951-2", "Sodium", 138.0, "mmol/l"),
        result(Category::Assessments, "2951-2", "Sodium", 138.0, "mg/dL"),
    ];
    let mut told = Warnings::default();
    units(&mut entries, &mut told);
    let marked: Vec<usize> = entries.iter().map(|e| e.row.notes.len()).collect();
    assert_eq!(marked, [1, 1, 1, 0, 0, 0]);
    assert_eq!(entries[0].row.notes, ["this test is given in different units: g/dL, g/L"]);
    let notices = told.into_notices();
    assert_eq!(notices.iter().map(|n| n.about.as_str()).collect::<Vec<_>>(), ["Haemoglobin: g/dL, g/L"]);
}

#[test]
fn a_medicine_or_allergy_that_holds_and_has_no_code_is_told() {
    let entry = |category: Category, form: Form, json: Value| is_uncoded(&read_json(category, form, &json));
    let medicine = |status: &str, concept: Value| json!({"resourceType": "MedicationRequest", "status": status, "medicationCodeableConcept": concept});
    let words = || json!({"text": "Her blue inhaler"});
    assert!(entry(Category::Medications, Form::Full, medicine("active", words())));
    assert!(!entry(Category::Medications, Form::Full, medicine("stopped", words())));
    assert!(!entry(
        Category::Medications,
        Form::Full,
        medicine("active", json!({"coding": [{"code": "1"}], "text": "x"}))
    ));
    assert!(!entry(Category::Medications, Form::Summary, medicine("active", json!({}))), "counted as not shown");
    let allergy = |more: Value| {
        let mut json = json!({"resourceType": "AllergyIntolerance", "code": {"text": "Elastoplast"}});
        json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json
    };
    assert!(entry(Category::Allergies, Form::Full, allergy(json!({}))));
    assert!(!entry(
        Category::Allergies,
        Form::Full,
        allergy(json!({"verificationStatus": {"coding": [{"code": "refuted"}]}}))
    ));
    assert!(!entry(Category::Problems, Form::Full, json!({"resourceType": "Condition", "code": {"text": "Unsteady"}})));
}
