use serde_json::json;

use super::tests_support::read_json;
use super::*;

const SNOMED: &str = "http://snomed.info/sct";

fn details(entry: &Entry) -> Vec<(&str, &str)> {
    entry.row.details.iter().map(|d| (d.name.as_str(), d.value.as_str())).collect()
}

fn full(category: Category, json: &Value) -> Entry {
    read_json(category, Form::Full, json)
}

#[test]
fn each_type_is_named_dated_and_given_its_status() {
    let concept = |text: &str| json!({"coding": [{"system": SNOMED, "code": "1"}], "text": text});
    let status = |code: &str| json!({"coding": [{"code": code}]});
    for (json, text, status_is, date) in [
        (
            json!({"resourceType": "Condition", "code": concept("Heart failure"), "clinicalStatus": status("active"), "onsetDateTime": "2016-02"}),
            "Heart failure",
            Some("active"),
            "Feb-2016",
        ),
        (
            json!({"resourceType": "AllergyIntolerance", "code": concept("Penicillin"), "clinicalStatus": status("active"), "recordedDate": "2020-01-02"}),
            "Penicillin",
            Some("active"),
            "recorded 02-Jan-2020",
        ),
        (
            json!({"resourceType": "MedicationRequest", "status": "on-hold", "medicationCodeableConcept": concept("Apixaban 5mg tablets"), "authoredOn": "2026-10-12"}),
            "Apixaban 5mg tablets",
            Some("on-hold"),
            "12-Oct-2026",
        ),
        (
            json!({"resourceType": "MedicationDispense", "status": "completed", "medicationCodeableConcept": concept("Apixaban"), "whenHandedOver": "2026-10-12T11:30:00Z"}),
            "Apixaban",
            Some("completed"),
            "12-Oct-2026 12:30 BST",
        ),
        (
            json!({"resourceType": "MedicationAdministration", "status": "completed", "medicationCodeableConcept": concept("Apixaban"), "effectiveDateTime": "2026-11-02"}),
            "Apixaban",
            Some("completed"),
            "02-Nov-2026",
        ),
        (
            json!({"resourceType": "MedicationStatement", "status": "active", "medicationReference": {"display": "Naproxen"}, "dateAsserted": "2026"}),
            "Naproxen",
            Some("active"),
            "recorded 2026",
        ),
        (
            json!({"resourceType": "Procedure", "status": "completed", "code": concept("Echocardiography"), "performedPeriod": {"start": "2026-01-02", "end": "2026-01-03"}}),
            "Echocardiography",
            Some("completed"),
            "02-Jan-2026 to 03-Jan-2026",
        ),
        (
            json!({"resourceType": "Immunization", "status": "not-done", "vaccineCode": concept("Influenza vaccine"), "occurrenceDateTime": "2025-10-01"}),
            "NOT GIVEN: Influenza vaccine",
            Some("not-done"),
            "01-Oct-2025",
        ),
        (
            json!({"resourceType": "Encounter", "status": "finished", "class": {"code": "IMP"}, "type": [concept("Hospital admission")], "period": {"start": "2026-10-01"}}),
            "Hospital admission",
            Some("finished"),
            "01-Oct-2026",
        ),
        (
            json!({"resourceType": "EpisodeOfCare", "status": "active", "type": [concept("District nursing")], "period": {"start": "2026"}}),
            "District nursing",
            Some("active"),
            "2026",
        ),
        (
            json!({"resourceType": "Appointment", "status": "booked", "serviceType": [concept("Home visit")], "start": "2026-11-04T10:00:00Z"}),
            "Home visit",
            Some("booked"),
            "04-Nov-2026 10:00 GMT",
        ),
        (
            json!({"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": "Sit in the garden"}, "startDate": "2026-05-01"}),
            "Sit in the garden",
            Some("active"),
            "01-May-2026",
        ),
        (
            json!({"resourceType": "CareTeam", "status": "active", "name": "Team", "period": {"start": "2026-05-01"}}),
            "Team",
            Some("active"),
            "01-May-2026",
        ),
        (
            json!({"resourceType": "ServiceRequest", "status": "active", "code": concept("Chair"), "authoredOn": "2026-05-01"}),
            "Chair",
            Some("active"),
            "01-May-2026",
        ),
        (
            json!({"resourceType": "Task", "status": "in-progress", "description": "Deliver it", "authoredOn": "2026-05-01"}),
            "Deliver it",
            Some("in-progress"),
            "01-May-2026",
        ),
        (
            json!({"resourceType": "NutritionOrder", "status": "active", "code": concept("Soft diet")}),
            "Soft diet",
            Some("active"),
            "undated",
        ),
    ] {
        let entry = full(Category::Other, &json);
        assert_eq!(entry.row.text, text);
        assert_eq!(entry.row.status.as_deref(), status_is, "{text}");
        assert_eq!(entry.row.date_shown, date, "{text}");
        assert_eq!(Some(entry.row.resource_type.as_str()), json["resourceType"].as_str());
    }
}

#[test]
fn a_dose_is_kept_in_full_and_put_together_when_it_has_no_words() {
    for (dosage, shown) in [
        (json!([{"text": "Take four once a WEEK on the same day"}]), Some("Take four once a WEEK on the same day")),
        (json!([{"text": "Two now"}, {"text": "one daily"}]), Some("Two now; then one daily")),
        (
            json!([{"doseAndRate": [{"doseQuantity": {"value": 2, "unit": "tablet"}}], "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}}]),
            Some("2 tablet 1 times every 1 d"),
        ),
        (json!([{"asNeededBoolean": true, "doseAndRate": [{"doseQuantity": {"value": 1}}]}]), Some("1 when required")),
        (json!("rubbish"), None),
        (json!([]), None),
    ] {
        let json = json!({"resourceType": "MedicationRequest", "dosageInstruction": dosage});
        assert_eq!(full(Category::Medications, &json).row.dose.as_deref(), shown);
    }
}

#[test]
fn blood_pressure_reads_as_one_value_and_other_components_as_parts() {
    let part = |code: &str, text: &str, value: i64| json!({"code": {"coding": [{"code": code}], "text": text}, "valueQuantity": {"value": value, "unit": "mmHg"}});
    let json = json!({"resourceType": "Observation", "code": {"text": "Blood pressure"}, "component": [part("8480-6", "Systolic", 128), part("8462-4", "Diastolic", 76)]});
    let entry = full(Category::Vitals, &json);
    assert_eq!((entry.row.value.as_deref(), entry.row.unit.as_deref()), (Some("128/76"), Some("mmHg")));
    let json = json!({"resourceType": "Observation", "code": {"text": "X"}, "component": [part("1", "One", 1), part("2", "Two", 2)]});
    assert_eq!(details(&full(Category::Vitals, &json)), [("One", "1 mmHg"), ("Two", "2 mmHg")]);
}

#[test]
fn documents_show_their_words() {
    let document = json!({
        "resourceType": "DocumentReference", "status": "current", "type": {"text": "Letter"}, "date": "2026-10-01T10:00:00Z",
        "content": [{"attachment": {"contentType": "text/plain; charset=utf-8", "title": "Clinic letter", "data": "V2VpZ2ggd2Vla2x5Lg=="}}]
    });
    let entry = full(Category::Letters, &document);
    assert_eq!(entry.row.text, "Clinic letter");
    assert_eq!(details(&entry), [("kind", "Letter"), ("text", "Weigh weekly.")]);
    for (kind, data, shown) in [
        ("application/pdf", "JVBERi0=", "attachment not shown here: T, application/pdf"),
        ("text/plain", "not base64!", "attachment not shown here: T, text/plain"),
        ("text/plain", "/////w==", "attachment not shown here: T, text/plain"),
        ("text/html", "PHA+SGk8L3A+", "Hi"),
    ] {
        let json = json!({"resourceType": "DocumentReference", "content": [{"attachment": {"contentType": kind, "data": data, "title": "T"}}]});
        assert_eq!(details(&full(Category::Letters, &json)), [("text", shown)], "{kind}");
    }
}

#[test]
fn a_composition_shows_every_section_and_a_bundle_what_it_contains() {
    let section =
        |title: &str, words: &str| json!({"title": title, "text": {"div": format!("<div><p>{words}</p></div>")}});
    let composition = json!({"resourceType": "Composition", "title": "Discharge summary", "date": "2026-10-12", "section": [section("Course", "Diuresed &amp; well"), {"title": "Plan", "section": [section("Practice", "Bloods")]}]});
    let wanted = [("Course", "Diuresed & well"), ("Practice", "Bloods")];
    assert_eq!(details(&full(Category::Discharge, &composition)), wanted);
    let medicine = json!({"resourceType": "MedicationRequest", "status": "active", "medicationCodeableConcept": {"text": "Ramipril"}, "dosageInstruction": [{"text": "One daily"}]});
    let bundle = json!({"resourceType": "Bundle", "type": "document", "entry": [{"resource": composition}, {"resource": medicine}, {"resource": 7}]});
    let entry = full(Category::Discharge, &bundle);
    assert_eq!(entry.row.text, "Discharge summary");
    assert_eq!(details(&entry)[2..], [("MedicationRequest", "Ramipril; One daily; active")]);
}

#[test]
fn answers_stand_beside_their_questions() {
    let json = json!({"resourceType": "QuestionnaireResponse", "questionnaire": "https://x/Questionnaire/about-me|2", "status": "completed",
        "item": [{"text": "What matters", "answer": [{"valueString": "My daughter"}, {"valueBoolean": true, "item": [{"linkId": "1.1", "answer": [{"valueInteger": 4}]}]}]}]});
    let entry = full(Category::AboutMe, &json);
    assert_eq!(entry.row.text, "about me");
    assert_eq!(details(&entry), [("What matters", "My daughter; yes"), ("1.1", "4")]);
}

#[test]
fn an_uncoded_entry_in_summary_is_counted_and_not_shown() {
    let json = json!({"resourceType": "Condition", "id": "1", "recordedDate": "2020"});
    let entry = read_json(Category::Problems, Form::Summary, &json);
    assert!(entry.uncoded);
    assert_eq!(entry.row.text, "1 uncoded entry, not shown to your role");
    assert_eq!(entry.row.form, "summary");
    let entry = read_json(Category::Problems, Form::FullStripped, &json);
    assert_eq!(
        (entry.uncoded, entry.stripped, entry.row.text.as_str()),
        (false, true, "Condition without a description")
    );
}

#[test]
fn entered_in_error_is_seen_in_every_place_it_can_stand() {
    let ver = json!({"coding": [{"code": "entered-in-error"}]});
    for json in [
        json!({"resourceType": "Condition", "verificationStatus": ver}),
        json!({"resourceType": "AllergyIntolerance", "verificationStatus": ver}),
        json!({"resourceType": "Observation", "status": "entered-in-error"}),
        json!({"resourceType": "DocumentReference", "status": "current", "docStatus": "entered-in-error"}),
        json!({"resourceType": "Flag", "status": "entered-in-error"}),
        json!({"resourceType": "NutritionOrder", "status": "entered-in-error"}),
    ] {
        assert!(full(Category::Other, &json).in_error, "{json}");
    }
}

#[test]
fn an_allergy_without_a_status_counts_as_active_and_shows_its_worst_reaction() {
    let json = json!({"resourceType": "AllergyIntolerance", "code": {"text": "Penicillin"}, "criticality": "low",
        "reaction": [{"manifestation": [{"text": "Rash"}], "severity": "mild"}, {"manifestation": [{"text": "Anaphylaxis"}], "severity": "severe"}]});
    let entry = full(Category::Allergies, &json);
    assert_eq!(entry.activity, Activity::Current);
    assert_eq!(entry.row.severity.as_deref(), Some("severe"));
    assert_eq!(details(&entry)[..2], [("reaction", "Rash (mild)"), ("reaction", "Anaphylaxis (severe)")]);
}

#[test]
fn a_restricted_patient_is_read_without_whereabouts() {
    let json = json!({"resourceType": "Patient", "meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]},
        "name": [{"family": "Shah", "given": ["Cara"]}], "address": [{"line": ["7 Hidden Row"]}], "telecom": [{"value": "020"}]});
    let entry = full(Category::Demographics, &json);
    assert_eq!(details(&entry), []);
    let person = entry.person.unwrap();
    assert!(person.restricted && person.address.is_none());
}

/// Every element of every type in turn replaced by something of the wrong type: always a row, never a panic.
#[test]
fn odd_input_always_becomes_a_row() {
    let long = "x".repeat(100_000);
    let odd = [
        json!(null),
        json!(7),
        json!(-1.5e300),
        json!([]),
        json!([[[]]]),
        json!({}),
        json!({"coding": [null, 3, {"code": {}}]}),
        json!("\u{202e}e\u{301}\u{1b}[31m"),
        json!(long),
        json!([{"text": {"div": 3}}, "x"]),
    ];
    let elements = [
        "id",
        "status",
        "code",
        "clinicalStatus",
        "verificationStatus",
        "onsetDateTime",
        "period",
        "identifier",
        "meta",
        "name",
        "address",
        "item",
        "section",
        "entry",
        "content",
        "component",
        "dosageInstruction",
        "dosage",
        "reaction",
        "medicationReference",
        "medicationCodeableConcept",
        "valueQuantity",
        "birthDate",
        "link",
        "note",
        "provision",
        "participant",
        "activity",
        "contained",
        "telecom",
        "category",
        "type",
        "extension",
    ];
    for kind in KINDS {
        for element in elements {
            for value in &odd {
                let json = json!({"resourceType": kind, element: value});
                let entry = full(Category::Other, &json);
                assert!(!entry.row.text.is_empty(), "{kind} {element}");
                assert!(!entry.row.date_shown.is_empty(), "{kind} {element}");
            }
        }
    }
    for json in [json!(null), json!([]), json!("text"), json!(1)] {
        assert!(!full(Category::Other, &json).readable);
    }
    assert_eq!(full(Category::Other, &json!({})).row.text, "unknown without a description");
}

const KINDS: [&str; 28] = [
    "Condition",
    "AllergyIntolerance",
    "MedicationRequest",
    "MedicationStatement",
    "MedicationDispense",
    "MedicationAdministration",
    "Medication",
    "Observation",
    "DiagnosticReport",
    "ImagingStudy",
    "Procedure",
    "Immunization",
    "Encounter",
    "EpisodeOfCare",
    "Appointment",
    "DocumentReference",
    "Composition",
    "Bundle",
    "CarePlan",
    "Goal",
    "QuestionnaireResponse",
    "Consent",
    "Flag",
    "CareTeam",
    "ServiceRequest",
    "Task",
    "Patient",
    "RelatedPerson",
];
