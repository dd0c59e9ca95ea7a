//! A patient whose whereabouts are restricted: every way in which a row, a note or a warning could name a local organisation.

use super::*;

const SNOMED: &str = "http://snomed.info/sct";
/// The care home, whose name, code, telephone and street must be nowhere.
const HOME: &str = "Lavender Court care home";
const TELEPHONE: &str = "020 7946 0901";

fn home(records: Vec<SourceRecord>) -> SourceRecords {
    SourceRecords {
        name: HOME.to_owned(),
        duty_contact: Some(format!("Nurse in charge, {TELEPHONE}")),
        ..answered("VL901", records)
    }
}

fn restricted(sources: &[SourceRecords]) -> View {
    let query = query();
    assemble(&Request { own_restricted: true, last_look: Some(Timestamp(10)), ..request(&query) }, sources)
}

fn hides(view: &View) {
    let printed = serde_json::to_string(view).unwrap().to_lowercase();
    for word in [HOME, "VL901", TELEPHONE, "02079460901", "7 Hidden Row", "SE1 6NM"] {
        assert!(!printed.contains(&word.to_lowercase()), "{word} in {printed}");
    }
}

#[test]
fn nothing_in_any_row_note_conflict_or_warning_names_a_local_organisation() {
    let identified = |mut json: Value| {
        json["identifier"] = json!([{"system": "https://careweave.example/VL901/id", "value": "A"}]);
        json["id"] = json!("VL901-17");
        json
    };
    let medicine = |status: &str, dose: &str| {
        json!({"resourceType": "MedicationRequest", "id": "m", "status": status, "authoredOn": "2026-10-01", "requester": {"display": format!("Nurse at {HOME}")},
        "medicationCodeableConcept": {"coding": [{"system": "urn:VL901:drugs", "code": "1", "display": format!("{HOME} stock")}], "text": "Apixaban 5mg tablets"},
        "dosageInstruction": [{"text": format!("{dose}, given by {HOME}")}], "note": [{"text": "Kept at lavender court CARE HOME, ring 02079460901"}]})
    };
    let supply = json!({"resourceType": "MedicationDispense", "id": "s", "status": "completed", "medicationCodeableConcept": {"text": "Apixaban 5mg tablets"}, "whenHandedOver": "2026-10-20"});
    let respect = |id: &str, words: &str| {
        let mut json = document(id, "current", "2026-06-01", words);
        json["custodian"] = json!({"identifier": {"value": "VL901"}, "display": HOME});
        json["relatesTo"] = json!([{"code": "replaces", "target": {"reference": "DocumentReference/old"}}]);
        json
    };
    let result = |unit: &str| json!({"resourceType": "Observation", "id": unit, "status": "final", "code": {"coding": [{"system": "s", "code": "1"}], "text": "Weight"}, "effectiveDateTime": "2030-01-01", "valueQuantity": {"value": 58, "unit": unit}});
    let stay = json!({"resourceType": "Encounter", "id": "e", "status": "finished", "period": {"start": "2026-10-01"}, "location": [{"location": {"display": "Room 4, 7 Hidden Row"}}],
        "hospitalization": {"dischargeDisposition": {"text": format!("Back to {HOME}")}}});
    let somebody = patient("1951-07-02");
    let known = json!({"resourceType": "Patient", "id": "VL901-p", "name": [{"family": "Okafor", "given": ["Ada"]}], "birthDate": "1938-03-14",
        "address": [{"line": ["7 Hidden Row"], "postalCode": "SE1 6NM"}], "telecom": [{"value": TELEPHONE}], "generalPractitioner": [{"display": HOME}]});
    let safeguarding = SourceRecord {
        form: Form::Summary,
        ..record(
            Category::Safeguarding,
            &json!({"resourceType": "Flag", "id": "g", "status": "active", "code": {"coding": [{"code": "1"}]}}),
        )
    };
    let mut at_home = home(vec![
        record(Category::Demographics, &known),
        record(Category::Demographics, &somebody),
        record(Category::Problems, &identified(problem("Asthma at VL901", "active", "2020"))),
        record(Category::Medications, &medicine("active", "One daily")),
        record(Category::Medications, &supply),
        record(Category::AdvanceCare, &document("old", "current", "2020-01-01", "For resuscitation.")),
        record(Category::AdvanceCare, &respect("new", "Not for resuscitation.")),
        record(Category::Vitals, &result("kg")),
        record(Category::Vitals, &result("lb")),
        record(Category::Encounters, &stay),
        safeguarding,
        SourceRecord { body: b"{broken".to_vec(), ..record(Category::Letters, &Value::Null) },
    ]);
    at_home.medicines_not_shown = 2;
    at_home.data_to = None;
    at_home.feed_interval = Some(Duration::from_secs(1));
    let hospital = answered(
        "R9A",
        vec![
            record(Category::Problems, &identified(problem("Asthma", "resolved", "2021"))),
            record(Category::Medications, &medicine("stopped", "Two daily")),
            record(
                Category::AdvanceCare,
                &document("r", "current", "2026-01-01", "For resuscitation. Lives at 7 Hidden Row, SE1 6NM."),
            ),
            record(Category::Encounters, &stay),
        ],
    );
    let silent =
        SourceRecords { name: HOME.to_owned(), ..source("FZ901", Some(SourceOutcome::NothingShareable), vec![]) };
    let view = restricted(&[at_home, hospital, silent]);
    hides(&view);
    // And it is a view of everything: conflicts, copies, and warnings are all there.
    assert!(!view.conflicts.is_empty());
    assert!(view.categories.values().flatten().any(|row| !row.also_at.is_empty()));
    for warning in [
        Warning::AddressRestricted,
        Warning::SomebodyElse,
        Warning::MedicineNotShown,
        Warning::CurrencyUnknown,
        Warning::ImplausibleDate,
        Warning::UnitsDiffer,
        Warning::Safeguarding,
        Warning::AdvanceCareEnded,
        Warning::Uncoded,
        Warning::Unreadable,
    ] {
        assert!(warned(&view, warning), "{warning:?}");
    }
}

#[test]
fn a_silent_or_refusing_local_source_is_not_named_either() {
    for outcome in [
        SourceOutcome::NothingShareable,
        SourceOutcome::Refused(Cause::Suspended),
        SourceOutcome::AnsweredPartial,
        SourceOutcome::Unreachable,
        SourceOutcome::Busy(7),
    ] {
        let mut silent = home(vec![]);
        silent.outcome = Some(outcome);
        hides(&restricted(&[silent, answered("R9A", vec![])]));
    }
    hides(&restricted(&[SourceRecords { outcome: None, ..home(vec![]) }]));
    // One that answered beside one that did not is one line that replied in part; no answer was cut.
    let late = SourceRecords { local: true, ..source("FZ901", Some(SourceOutcome::Timeout), vec![]) };
    let view = restricted(&[home(vec![]), late]);
    assert_eq!(view.sources[0].outcome, "answered-partial");
    assert!(!warned(&view, Warning::AnswerCut));
}

#[test]
fn what_is_no_whereabouts_is_left_as_it_was_written() {
    let medicine = json!({"resourceType": "MedicationRequest", "id": "m", "status": "active", "authoredOn": "2026-10-01", "medicationCodeableConcept": {"coding": [{"system": SNOMED, "code": "42206511000001102"}], "text": "Apixaban 5mg tablets"},
        "dosageInstruction": [{"text": "Take one twice a day"}], "requester": {"display": "Consultant cardiologist"}});
    let view = restricted(&[answered("R9A", vec![record(Category::Medications, &medicine)]), home(vec![])]);
    let row = &view.rows(Category::Medications)[0];
    assert_eq!((row.text.as_str(), row.dose.as_deref()), ("Apixaban 5mg tablets", Some("Take one twice a day")));
    assert_eq!(row.author.as_deref(), Some("Consultant cardiologist"));
    assert_eq!(row.codings[0].system, SNOMED);
    // The same patient unrestricted names everybody.
    let open = super::view(&[home(vec![record(Category::Medications, &medicine)])]);
    assert!(serde_json::to_string(&open).unwrap().contains(HOME));
}
