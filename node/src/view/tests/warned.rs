//! Every warning of which the other tests of the view do not tell, by what raises it and what it is about.

use super::*;

/// What a warning is about; `None` where it is not given.
fn about(view: &View, warning: Warning) -> Option<&str> {
    view.warnings.iter().find(|notice| notice.id == warning.id()).map(|notice| notice.about.as_str())
}

fn with(query: &Query, change: impl FnOnce(&mut Request<'_>), sources: &[SourceRecords]) -> View {
    let mut request = request(query);
    change(&mut request);
    assemble(&request, sources)
}

const SNOMED: &str = "http://snomed.info/sct";

fn medicine(id: &str, code: Option<&str>, words: &str) -> Value {
    let coding: Vec<Value> = code.iter().map(|code| json!({"system": SNOMED, "code": code})).collect();
    json!({"resourceType": "MedicationRequest", "id": id, "status": "active", "authoredOn": "2026-10-01", "medicationCodeableConcept": {"coding": coding, "text": words}})
}

#[test]
fn what_only_break_glass_opens_is_said_of_every_patient() {
    let query = query();
    let view =
        with(&query, |r| r.may_exist = &["mental-health detail", "sensitive records"], &[answered("R9A", vec![])]);
    assert_eq!(about(&view, Warning::MayExist), Some("mental-health detail, sensitive records"));
    assert_eq!(view.may_exist, ["mental-health detail", "sensitive records"]);
    assert_eq!(about(&super::view(&[answered("R9A", vec![])]), Warning::MayExist), None);
}

#[test]
fn a_hidden_medicine_is_told_with_whom_to_ring_and_no_list_is_said_to_be_empty() {
    let hiding = SourceRecords { medicines_not_shown: 1, ..answered("R9A", vec![]) };
    let more = SourceRecords { medicines_not_shown: 2, duty_contact: None, ..answered("R9C", vec![]) };
    let view = view(&[hiding, more]);
    let said = "R9A Organisation R9A, 1 medicine, ring ring R9A; R9C Organisation R9C, 2 medicines, ring it, no duty number is listed";
    assert_eq!(about(&view, Warning::MedicineNotShown), Some(said));
    let medicines = view.absences.iter().find(|absence| absence.category == Category::Medications).unwrap();
    assert_eq!(medicines.text, "Medications: nothing supplied by 2 sources. This does NOT mean none.");
    assert_eq!(about(&super::view(&[answered("R9A", vec![])]), Warning::MedicineNotShown), None);
}

#[test]
fn a_replaced_number_is_said_when_it_was_asked_for_and_when_a_source_holds_it() {
    let mut query = query();
    let numbered = |number: &str| {
        let mut json = patient("1938-03-14");
        json["identifier"].as_array_mut().unwrap().push(json!({"system": NHS, "value": number, "use": "old"}));
        vec![record(Category::Demographics, &json)]
    };
    for (number, said) in [("9990380422", Some("R9A Organisation R9A holds another number")), ("9990010013", None)] {
        let view = view_of(&query, &[answered("R9A", numbered(number))]);
        assert_eq!(about(&view, Warning::NumberReplaced), said);
    }
    query.patient.other_numbers = vec!["9990380422".parse().unwrap()];
    let view = view_of(&query, &[answered("R9A", vec![])]);
    assert_eq!(about(&view, Warning::NumberReplaced), Some("also asked for under 999 038 0422"));
    let hidden = with(&query, |r| r.own_restricted = true, &[answered("R9A", numbered("9990380422"))]);
    assert_eq!(about(&hidden, Warning::NumberReplaced), Some("also asked for under another number"));
    assert!(!serde_json::to_string(&hidden.warnings).unwrap().contains("999 038 0422"));
    // The former number of somebody restricted is not told.
    let mut hidden = numbered("9990133484");
    hidden[0].form = Form::FullStripped;
    let json = json!({"resourceType": "Patient", "meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]},
        "identifier": [{"system": NHS, "value": "9990010013"}, {"system": NHS, "value": "9990133484", "use": "old"}]});
    query.patient.other_numbers.clear();
    let view = view_of(&query, &[answered("R9A", vec![record(Category::Demographics, &json)])]);
    assert_eq!(about(&view, Warning::NumberReplaced), None);
}

#[test]
fn what_the_view_rests_on_is_said() {
    let mut query = query();
    let plain = super::view(&[]);
    for warning in [Warning::Namesake, Warning::SelfClaimed, Warning::BreakGlass] {
        assert_eq!(about(&plain, warning), None);
    }
    let view = with(&query, |r| r.namesake = true, &[]);
    assert_eq!(about(&view, Warning::Namesake), Some("you asked for 999 001 0013"));
    assert_eq!(about(&with(&query, |r| r.self_claimed = true, &[]), Warning::SelfClaimed), Some(""));
    query.purpose = Purpose::Btg;
    query.reason = Some("386053000".to_owned());
    assert_eq!(about(&view_of(&query, &[]), Warning::BreakGlass), Some("reason 386053000"));
}

#[test]
fn a_source_that_shares_nothing_is_named_and_the_own_one_that_knows_nobody_is_not() {
    let query = query();
    let nothing = |ods: &str| source(ods, Some(SourceOutcome::NothingShareable), vec![]);
    let sources = [
        nothing("Y91001"),
        nothing("R9A"),
        source("R9C", Some(SourceOutcome::Refused(Cause::Suspended)), vec![]),
        source("R9M", Some(SourceOutcome::Timeout), vec![]),
        answered("R9X", vec![]),
    ];
    let unknown = with(&query, |r| r.own_identity = OwnIdentity::NotHeld, &sources);
    let others = "R9A Organisation R9A; R9C Organisation R9C (refused: SUSPENDED)";
    assert_eq!(about(&unknown, Warning::NothingShareable), Some(others));
    let known = view_of(&query, &sources);
    assert_eq!(
        about(&known, Warning::NothingShareable),
        Some(format!("Y91001 Organisation Y91001; {others}").as_str())
    );
    assert_eq!(about(&super::view(&[answered("R9A", vec![])]), Warning::NothingShareable), None);
}

#[test]
fn an_answer_that_was_cut_is_named() {
    let cut = source(
        "R9A",
        Some(SourceOutcome::AnsweredPartial),
        vec![record(Category::Problems, &problem("Asthma", "active", "2020"))],
    );
    let view = view(&[cut, answered("R9C", vec![])]);
    assert_eq!(about(&view, Warning::AnswerCut), Some("R9A Organisation R9A"));
    assert!(warned(&view, Warning::Incomplete));
    assert_eq!(about(&super::view(&[answered("R9A", vec![])]), Warning::AnswerCut), None);
}

#[test]
fn how_current_the_data_is_is_said_with_its_hour_or_that_nobody_says() {
    let feed = |ods: &str, data_to: Option<&str>, hours: Option<u64>| SourceRecords {
        data_to: data_to.map(|at| Timestamp::from_rfc3339(at).unwrap()),
        feed_interval: hours.map(|hours| Duration::from_secs(hours * 3600)),
        ..answered(ods, vec![])
    };
    let view = view(&[
        feed("R9A", Some("2026-11-01T14:10:00Z"), Some(23)),
        feed("R9C", Some("2026-11-01T14:10:00Z"), Some(24)),
        feed("R9M", Some("2020-01-01T00:00:00Z"), None),
        feed("R9X", None, Some(24)),
        SourceRecords { data_to: None, ..source("VL901", Some(SourceOutcome::Timeout), vec![]) },
    ]);
    assert_eq!(about(&view, Warning::StaleData), Some("R9A Organisation R9A, data to 01-Nov-2026 14:10 GMT"));
    assert_eq!(about(&view, Warning::CurrencyUnknown), Some("R9X Organisation R9X"));
    let stale: Vec<&str> = view.sources.iter().filter(|line| line.stale).map(|line| line.ods.as_str()).collect();
    assert_eq!(stale, ["R9A"]);
}

#[test]
fn what_cannot_be_right_is_told_once_and_marked_at_its_row_and_nothing_is_dropped() {
    let retired = json!({"resourceType": "Condition", "id": "angina", "code": {"coding": [{"system": SNOMED, "code": "367416001"}], "text": "Angina"}, "recordedDate": "2020"});
    let future = problem("Gout", "active", "2030-01-01");
    let result = |id: &str, value: f64, unit: &str| {
        json!({"resourceType": "Observation", "id": id, "status": "final", "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}], "text": "Haemoglobin"},
        "effectiveDateTime": "2026-01-01", "valueQuantity": {"value": value, "unit": unit}})
    };
    let view = view(&[answered(
        "R9A",
        vec![
            record(Category::Medications, &medicine("1", Some("42206511000001102"), "Warfarin 3mg tablets")),
            record(Category::Medications, &medicine("2", None, "Her blue inhaler")),
            record(Category::Allergies, &allergy("Elastoplast, skin goes red", "mild")),
            record(Category::Problems, &retired),
            record(Category::Problems, &future),
            record(Category::Results, &result("a", 96.0, "g/L")),
            record(Category::Results, &result("b", 9.6, "g/dL")),
        ],
    )]);
    for (warning, said) in [
        (Warning::CodeAgainstWords, "Warfarin 3mg tablets, R9A Organisation R9A"),
        (Warning::Uncoded, "Elastoplast, skin goes red, R9A Organisation R9A; Her blue inhaler, R9A Organisation R9A"),
        (Warning::RetiredCode, "Angina, R9A Organisation R9A"),
        (Warning::ImplausibleDate, "Gout, R9A Organisation R9A"),
        (Warning::UnitsDiffer, "Haemoglobin: g/dL, g/L"),
    ] {
        assert_eq!(about(&view, warning), Some(said));
    }
    let rows: Vec<&Row> = view.categories.values().flatten().collect();
    assert_eq!(rows.len(), 7);
    assert!(rows.iter().all(|row| row.notes.len() == 1), "each is marked where it stands");
    let blue = rows.iter().find(|row| row.id == "2").unwrap();
    assert_eq!(blue.notes, ["no code: compared by its words only"]);
    let warfarin = rows.iter().find(|row| row.id == "1").unwrap();
    assert_eq!(warfarin.group.as_deref(), Some("apixaban + warfarin"), "compared under both");
    assert!(warfarin.notes[0].contains("means apixaban"), "{}", warfarin.notes[0]);
}

#[test]
fn safeguarding_in_summary_sends_to_whom_to_ring() {
    let flag = json!({"resourceType": "Flag", "id": "f", "status": "active", "period": {"start": "2026-10-01"}, "code": {"coding": [{"system": SNOMED, "code": "1"}]}});
    let summary = SourceRecord { form: Form::Summary, ..record(Category::Safeguarding, &flag) };
    let view = view(&[answered("R9A", vec![summary]), answered("R9C", vec![record(Category::Safeguarding, &flag)])]);
    assert_eq!(about(&view, Warning::Safeguarding), Some("R9A Organisation R9A, ring ring R9A"));
    let notes: Vec<usize> = view.rows(Category::Safeguarding).iter().map(|row| row.notes.len()).collect();
    assert_eq!(notes, [1, 0]);
    assert_eq!(view.rows(Category::Safeguarding)[0].notes, ["safeguarding is recorded here: ring ring R9A"]);
}

#[test]
fn a_view_with_two_unreachable_sources_never_says_none_recorded() {
    let letter = json!({"resourceType": "DocumentReference", "id": "l", "date": "2026-01-01", "description": "Letter"});
    let sources = [
        answered("Y91001", vec![record(Category::Letters, &letter)]),
        answered("R9A", vec![]),
        source("R9C", Some(SourceOutcome::Unreachable), vec![]),
        source("R9M", Some(SourceOutcome::Timeout), vec![]),
    ];
    let printed = serde_json::to_string(&view(&sources)).unwrap();
    assert!(!printed.to_lowercase().contains("none recorded"));
    let text = "Allergies: nothing supplied by 4 sources. This does NOT mean none. 2 of them were not reached.";
    assert!(printed.contains(text));
    // The twin: everybody replied, and it is said of how many.
    let printed = serde_json::to_string(&view(&sources[..2])).unwrap();
    assert!(printed.contains("Allergies: none recorded at 2 of 2 sources.\""));
}

#[test]
fn what_came_since_the_last_look_is_marked_and_a_copy_only_where_it_says_otherwise() {
    let query = query();
    let identified = |id: &str, words: &str| {
        let mut json = problem(words, "active", "2020");
        json["id"] = json!(id);
        json["identifier"] = json!([{"system": "https://careweave.example/Y91001/id", "value": "A"}]);
        json
    };
    let taken = |at: i64, json: &Value| SourceRecord { taken_in: Timestamp(at), ..record(Category::Problems, json) };
    let in_error = {
        let mut json = identified("1", "Asthma");
        json["verificationStatus"] = json!({"coding": [{"code": "entered-in-error"}]});
        json
    };
    for (name, own, other, new) in [
        ("both seen", taken(5, &identified("1", "Asthma")), taken(5, &identified("2", "Asthma")), false),
        ("the entry is new", taken(15, &identified("1", "Asthma")), taken(5, &identified("2", "Asthma")), true),
        (
            "the same from one more holder",
            taken(5, &identified("1", "Asthma")),
            taken(15, &identified("2", "Asthma")),
            false,
        ),
        (
            "a new copy that differs",
            taken(5, &identified("1", "Asthma")),
            taken(15, &identified("2", "Asthma, severe")),
            true,
        ),
        ("withdrawn since", taken(15, &in_error), taken(5, &identified("2", "Asthma")), true),
    ] {
        let sources = [answered("Y91001", vec![own]), answered("R9A", vec![other])];
        let view = with(&query, |r| r.last_look = Some(Timestamp(10)), &sources);
        let marked: Vec<bool> = view.rows(Category::Problems).iter().map(|row| row.new).collect();
        assert_eq!(marked, [new], "{name}");
        assert_eq!(view.last_look, Some(Moment(Timestamp(10))));
        assert!(
            !super::view_of(&query, &sources).rows(Category::Problems)[0].new,
            "{name}: only where it was asked for"
        );
    }
}

#[test]
fn demographics_that_differ_are_shown_each_with_its_source_and_said() {
    let person = |family: &str, line: &str, telephone: &str| {
        let mut json = patient("1938-03-14");
        json["name"] = json!([{"use": "official", "family": family, "given": ["Ada"]}]);
        json["address"] = json!([{"line": [line]}]);
        json["telecom"] = json!([{"value": telephone}]);
        vec![record(Category::Demographics, &json)]
    };
    let view = view(&[
        answered("R9A", person("Okafor-Eze", "3 Old Street", "020 7946 0002")),
        answered("Y91001", person("Okafor", "12 Quay Road", "020 7946 0001")),
        answered("R9C", person("OKAFOR", "12, Quay  Road", "02079460001")),
    ]);
    assert_eq!((view.patient.name.as_str(), view.patient.address.as_deref()), ("Ada Okafor", Some("12 Quay Road")));
    assert_eq!(view.patient.held_by.as_ref().map(|source| source.ods.as_str()), Some("Y91001"));
    let notes = |ods: &str| {
        view.rows(Category::Demographics).iter().find(|row| row.source.ods == ods).map(|row| row.notes.clone()).unwrap()
    };
    let other = |what: &str, ours: &str| format!("{what} differs: Y91001 Organisation Y91001 has \"{ours}\"");
    assert_eq!(
        notes("R9A"),
        [other("name", "Ada Okafor"), other("address", "12 Quay Road"), other("telephone", "020 7946 0001")]
    );
    assert!(notes("R9C").is_empty() && notes("Y91001").is_empty());
}

#[test]
fn death_recorded_as_an_event_shows_the_banner_and_partial_dates_are_no_dispute() {
    let stay = json!({"resourceType": "Encounter", "status": "finished", "class": {"code": "IMP"}, "period": {"start": "2026-10-20", "end": "2026-10-30"},
        "hospitalization": {"dischargeDisposition": {"coding": [{"code": "exp"}]}}});
    let view = view(&[answered("R9A", vec![record(Category::Encounters, &stay)])]);
    let deceased = view.patient.deceased.clone().unwrap();
    assert_eq!(
        (deceased.date_shown.as_str(), deceased.sources[0].ods.as_str(), deceased.disputed),
        ("30-Oct-2026", "R9A", false)
    );
    let dead = |on: &str| {
        let mut json = patient("1938-03-14");
        json["deceasedDateTime"] = json!(on);
        vec![record(Category::Demographics, &json)]
    };
    for (one, other, disputed) in
        [("2026-10", "2026-10-30", false), ("2026", "2026-10", false), ("2026-09", "2026-10-30", true)]
    {
        let view = super::view(&[answered("R9A", dead(one)), answered("R9C", dead(other))]);
        assert_eq!(view.patient.deceased.unwrap().disputed, disputed, "{one} {other}");
    }
    let refuted = json!({"resourceType": "Condition", "code": {"coding": [{"system": SNOMED, "code": "419099009"}]}, "verificationStatus": {"coding": [{"code": "refuted"}]}});
    assert!(super::view(&[answered("R9A", vec![record(Category::Problems, &refuted)])]).patient.deceased.is_none());
}

#[test]
fn a_long_record_of_ten_sources_is_put_together_whole() {
    let sources: Vec<SourceRecords> = (0..10).map(|place| long_source(place, 300)).collect();
    let view = view(&sources);
    let listed: usize = view.categories.values().map(Vec::len).sum();
    assert_eq!(listed, 3_000);
    assert!(view.conflicts.iter().all(|conflict| conflict.entries.len() > 1));
}

/// A source with so many entries of the common kinds.
fn long_source(place: usize, count: usize) -> SourceRecords {
    let ods = ["R9A", "R9B", "R9C", "R9D", "R9E", "R9F", "R9G", "R9H", "R9J", "Y91001"][place];
    let records = (0..count).map(|number| {
        let date = Date::new(2006 + i16::try_from(number % 20).unwrap(), 1 + i8::try_from(number % 12).unwrap(), 1 + i8::try_from(place).unwrap());
        let date = date.unwrap().to_string();
        let id = format!("{ods}-{number}");
        let result = |code: &str, words: &str| json!({"resourceType": "Observation", "id": id, "status": "final", "code": {"coding": [{"system": "http://loinc.org", "code": code}], "text": words},
            "effectiveDateTime": date, "issued": format!("{date}T09:00:00Z"), "performer": [{"display": "Pathology"}],
            "valueQuantity": {"value": 138, "unit": "mmol/L"}, "referenceRange": [{"low": {"value": 133}, "high": {"value": 146}}]});
        match number % 6 {
            0 => record(Category::Medications, &json!({"resourceType": "MedicationRequest", "id": id, "status": "completed", "intent": "order", "authoredOn": date,
                "medicationCodeableConcept": {"coding": [{"system": SNOMED, "code": format!("{}", 1000 + number)}], "text": format!("Product{number} 5mg tablets")},
                "dosageInstruction": [{"text": "Take one daily", "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}, "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "tablet"}}]}]})),
            1 => record(Category::Problems, &json!({"resourceType": "Condition", "id": id, "code": {"coding": [{"system": SNOMED, "code": format!("{}", 2000 + number)}], "text": format!("Problem {number}")},
                "clinicalStatus": {"coding": [{"code": "active"}]}, "recordedDate": date})),
            2 => record(Category::Letters, &json!({"resourceType": "DocumentReference", "id": id, "status": "current", "date": format!("{date}T10:00:00Z"), "description": format!("Letter {number} of {ods}"),
                "content": [{"attachment": {"contentType": "text/plain", "title": format!("Letter {number} of {ods}"), "data": data_encoding::BASE64.encode(format!("Words of letter {number} of {ods}. ").repeat(20).as_bytes())}}]})),
            3 => record(Category::Encounters, &json!({"resourceType": "Encounter", "id": id, "status": "finished", "class": {"code": "AMB"}, "type": [{"text": "Consultation"}], "period": {"start": date}})),
            _ => record(Category::Results, &result("2951-2", "Sodium in serum")),
        }
    });
    answered(ods, records.collect())
}
