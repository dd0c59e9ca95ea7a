use careweave_protocol::cbor;
use careweave_protocol::desk::view::{Identity, WITHHELD};
use careweave_protocol::id::{Digest, QueryId};
use careweave_protocol::query::{Cause, Patient, Period, Purpose};
use careweave_protocol::time::Date;
use serde_json::{Value, json};

use super::*;

mod number_changed;
mod restricted;
mod warned;

const NHS: &str = "https://fhir.nhs.uk/Id/nhs-number";

fn query() -> Query {
    Query {
        network: "demo".parse().unwrap(),
        query_id: QueryId([7; 16]),
        asker: "Y91001".parse().unwrap(),
        credential: Digest([0; 32]),
        patient: Patient {
            nhs_number: "9990010013".parse().unwrap(),
            birth_date: Date::new(1938, 3, 14).unwrap(),
            family: "Okafor".to_owned(),
            postcode: None,
            other_numbers: Vec::new(),
        },
        categories: Vec::new(),
        period: Period::default(),
        purpose: Purpose::Treat,
        reason: None,
        reason_text: None,
        case_number: None,
        grant: None,
        asked_at: Timestamp(0),
        expires_at: Timestamp(60_000),
    }
}

fn record(category: Category, json: &Value) -> SourceRecord {
    SourceRecord { category, form: Form::Full, taken_in: Timestamp(0), body: serde_json::to_vec(json).unwrap() }
}

fn source(ods: &str, outcome: Option<SourceOutcome>, records: Vec<SourceRecord>) -> SourceRecords {
    SourceRecords {
        ods: ods.parse().unwrap(),
        name: format!("Organisation {ods}"),
        own: ods == "Y91001",
        local: matches!(ods, "Y91001" | "VL901" | "FZ901"),
        outcome,
        open: Category::ALL.to_vec(),
        ms: 12,
        data_to: Some(Timestamp(0)),
        feed_interval: None,
        medicines_not_shown: 0,
        outside_period: 0,
        duty_contact: Some(format!("ring {ods}")),
        records,
    }
}

fn answered(ods: &str, records: Vec<SourceRecord>) -> SourceRecords {
    source(ods, Some(SourceOutcome::Answered), records)
}

fn request(query: &Query) -> Request<'_> {
    Request {
        query,
        group: StaffGroup::Gp,
        asker_name: "Organisation Y91001",
        requester: "Dr Test",
        role_cannot_see: &[Category::Safeguarding],
        may_exist: &[],
        last_look: None,
        self_claimed: false,
        namesake: false,
        number_changed: false,
        as_at: Timestamp::from_rfc3339("2026-11-02T14:10:00Z").unwrap(),
        zone: "Europe/London",
        own_identity: OwnIdentity::Confirmed,
        own_restricted: false,
        dmd: None,
    }
}

fn view_of(query: &Query, sources: &[SourceRecords]) -> View {
    assemble(&request(query), sources)
}

fn view(sources: &[SourceRecords]) -> View {
    view_of(&query(), sources)
}

fn patient(born: &str) -> Value {
    json!({"resourceType": "Patient", "id": "p", "identifier": [{"system": NHS, "value": "9990010013"}], "birthDate": born,
        "name": [{"use": "official", "family": "Okafor", "given": ["Ada"]}], "address": [{"line": ["12 Lavender Quay Road"]}]})
}

fn allergy(text: &str, severity: &str) -> Value {
    json!({"resourceType": "AllergyIntolerance", "id": text, "code": {"text": text}, "clinicalStatus": {"coding": [{"code": "active"}]},
        "recordedDate": "1998", "reaction": [{"severity": severity}]})
}

fn problem(text: &str, status: &str, recorded: &str) -> Value {
    json!({"resourceType": "Condition", "id": text, "code": {"text": text}, "clinicalStatus": {"coding": [{"code": status}]}, "recordedDate": recorded})
}

fn document(id: &str, status: &str, date: &str, words: &str) -> Value {
    let data = data_encoding::BASE64.encode(words.as_bytes());
    json!({"resourceType": "DocumentReference", "id": id, "status": status, "date": date,
        "type": {"coding": [{"system": "http://snomed.info/sct", "code": "1382601000000107", "display": "ReSPECT"}]},
        "content": [{"attachment": {"contentType": "text/plain", "title": "ReSPECT plan", "data": data}}]})
}

fn warned(view: &View, warning: Warning) -> bool {
    view.warnings.iter().any(|notice| notice.id == warning.id())
}

#[test]
fn the_head_repeats_who_it_is_about_as_the_own_node_holds_them() {
    let view = view(&[
        answered(
            "R9A",
            vec![record(Category::Demographics, &json!({"resourceType": "Patient", "name": [{"text": "A OKAFOR"}]}))],
        ),
        answered("Y91001", vec![record(Category::Demographics, &patient("1938-03-14"))]),
    ]);
    assert_eq!(view.patient.name, "Ada Okafor");
    assert_eq!(view.patient.nhs_number_shown, "999 001 0013");
    assert_eq!(view.patient.birth_date_shown, "14-Mar-1938");
    assert_eq!(view.patient.address.as_deref(), Some("12 Lavender Quay Road"));
    assert_eq!(view.sources.first().map(|s| s.own), Some(true), "own organisation first");
    let empty = super::tests::view(&[answered("R9A", vec![])]);
    assert_eq!((empty.patient.name.as_str(), empty.patient.held_by), ("Okafor", None));
}

#[test]
fn records_about_somebody_else_are_rejected_and_said_to_be() {
    let view = view(&[answered(
        "R9A",
        vec![
            record(Category::Demographics, &patient("1951-07-02")),
            record(Category::Problems, &problem("Asthma", "active", "2020")),
        ],
    )]);
    assert_eq!(view.counts.about_somebody_else, 1);
    assert!(warned(&view, Warning::SomebodyElse));
    assert!(view.rows(Category::Demographics).is_empty());
    assert_eq!(view.rows(Category::Problems).len(), 1);
}

#[test]
fn experience_is_never_in_a_view_and_other_only_in_the_own() {
    let records = || {
        let json = json!({"resourceType": "NutritionOrder", "code": {"text": "x"}});
        vec![record(Category::Experience, &json), record(Category::Other, &json)]
    };
    let view = view(&[answered("Y91001", records()), answered("R9A", records())]);
    let sources: Vec<&str> = view.rows(Category::Other).iter().map(|row| row.source.ods.as_str()).collect();
    assert_eq!(sources, ["Y91001"]);
    assert!(view.rows(Category::Experience).is_empty());
    assert!(
        view.absences
            .iter()
            .all(|a| !matches!(a.category, Category::Experience | Category::Other | Category::Safeguarding))
    );
}

#[test]
fn dates_and_categories_never_filter_what_keeps_people_safe() {
    let mut query = query();
    query.categories = vec![Category::Letters];
    query.period.since = Date::new(2026, 1, 1).map(Date::start);
    let letter =
        |id: &str, date: &str| json!({"resourceType": "DocumentReference", "id": id, "date": date, "description": id});
    let view = view_of(
        &query,
        &[answered(
            "R9A",
            vec![
                record(Category::Allergies, &allergy("Penicillin", "severe")),
                record(Category::Problems, &problem("Asthma", "active", "1990")),
                record(Category::Letters, &letter("old", "2020-01-01")),
                record(Category::Letters, &letter("new", "2026-02-01")),
                record(Category::Letters, &json!({"resourceType": "DocumentReference", "id": "undated"})),
                record(Category::Encounters, &json!({"resourceType": "Encounter", "period": {"start": "2026-03-01"}})),
            ],
        )],
    );
    let ids: Vec<&str> = view.rows(Category::Letters).iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids, ["new", "undated"]);
    assert!(view.rows(Category::Letters)[1].undated);
    assert_eq!(view.counts.outside_period, 1);
    assert!(warned(&view, Warning::Undated) && warned(&view, Warning::OutsidePeriod));
    assert_eq!(view.rows(Category::Allergies).len(), 1);
    assert_eq!(view.rows(Category::Problems).len(), 1);
    assert!(view.rows(Category::Encounters).is_empty());
}

#[test]
fn a_restricted_patients_view_names_no_local_organisation_anywhere() {
    let mut stripped = record(Category::Problems, &problem("Asthma", "active", "1990"));
    stripped.form = Form::FullStripped;
    let mut seen = record(Category::Demographics, &patient("1938-03-14"));
    seen.form = Form::Full;
    let sources = [
        answered("R9A", vec![seen]),
        answered("VL901", vec![stripped, record(Category::Allergies, &allergy("Penicillin", "severe"))]),
        source("FZ901", Some(SourceOutcome::Timeout), vec![record(Category::Demographics, &patient("1951-07-02"))]),
    ];
    let view = view(&sources);
    assert!(view.patient.address_restricted && warned(&view, Warning::AddressRestricted));
    let printed = serde_json::to_string(&view).unwrap();
    for word in ["VL901", "FZ901", "Lavender"] {
        assert!(!printed.contains(word), "{word}");
    }
    assert_eq!(view.rows(Category::Problems)[0].source.ods, WITHHELD);
    assert!(printed.contains("R9A"));
}

#[test]
fn allergies_are_a_union_with_the_highest_severity_and_its_source() {
    let none = json!({"resourceType": "AllergyIntolerance", "id": "n", "code": {"coding": [{"system": "http://snomed.info/sct", "code": "716186003"}]}});
    let view = view(&[
        answered("Y91001", vec![record(Category::Allergies, &allergy("Penicillin", "moderate"))]),
        answered("R9A", vec![record(Category::Allergies, &allergy("Allergy to penicillin", "severe"))]),
        answered("R9C", vec![record(Category::Allergies, &none)]),
    ]);
    assert_eq!(view.rows(Category::Allergies).len(), 3, "nothing is dropped for being similar");
    let kinds: Vec<&str> = view.conflicts.iter().map(|c| c.kind.as_str()).collect();
    assert_eq!(kinds, ["no-known-allergy", "severity"]);
    let facts = &view.key_facts.allergies;
    assert_eq!(facts.len(), 1, "no known allergy is no key fact beside an allergy");
    assert_eq!(
        (facts[0].severity.as_deref(), facts[0].severity_source.as_ref().map(|s| s.ods.as_str())),
        (Some("severe"), Some("R9A"))
    );
    assert_eq!(facts[0].sources.len(), 2);
    assert!(facts[0].conflict);
    assert!(view.rows(Category::Allergies).iter().filter(|row| row.negated).count() == 1);
}

#[test]
fn a_problem_active_here_and_resolved_there_shows_both() {
    let view = view(&[
        answered(
            "Y91001",
            vec![
                record(Category::Problems, &problem("Asthma", "active", "2020")),
                record(Category::Problems, &problem("Gout", "resolved", "2010")),
            ],
        ),
        answered("R9A", vec![record(Category::Problems, &problem("asthma", "resolved", "2024"))]),
    ]);
    assert_eq!(
        view.conflicts.iter().map(|c| (c.kind.as_str(), c.entries.len())).collect::<Vec<_>>(),
        [("activity", 2)]
    );
    assert_eq!(view.conflicts[0].entries.iter().map(|e| e.newest).collect::<Vec<_>>(), [true, false]);
    let texts: Vec<&str> = view.rows(Category::Problems).iter().map(|row| row.text.as_str()).collect();
    assert_eq!(texts, ["asthma", "Asthma", "Gout"], "active first, one concept together");
}

#[test]
fn the_newest_side_is_the_one_said_last_whatever_its_onset() {
    let since = |onset: &str, status: &str, recorded: &str| {
        let mut json = problem("Asthma", status, recorded);
        json["onsetDateTime"] = json!(onset);
        record(Category::Problems, &json)
    };
    let view = view(&[
        answered("Y91001", vec![since("1990", "active", "2012-08-07")]),
        answered("R9A", vec![since("1988", "resolved", "2026-07-05")]),
    ]);
    let sides: Vec<_> =
        view.conflicts[0].entries.iter().map(|e| (e.source.ods.as_str(), e.newest, e.date_shown.as_str())).collect();
    assert_eq!(sides, [("R9A", true, "1988, recorded 05-Jul-2026"), ("Y91001", false, "1990, recorded 07-Aug-2012")]);
}

#[test]
fn differing_advance_decisions_are_a_conflict_and_ended_ones_no_key_fact() {
    let view = view(&[
        answered(
            "Y91001",
            vec![record(Category::AdvanceCare, &document("1", "current", "2026-06-01", "Not for resuscitation."))],
        ),
        answered(
            "R9A",
            vec![
                record(Category::AdvanceCare, &document("2", "current", "2023-06-01", "For resuscitation.")),
                record(Category::AdvanceCare, &document("3", "superseded", "2020-06-01", "For everything.")),
            ],
        ),
    ]);
    assert_eq!(
        view.conflicts.iter().map(|c| (c.kind.as_str(), c.entries.len())).collect::<Vec<_>>(),
        [("advance-care", 2)]
    );
    assert_eq!(view.key_facts.advance_care.len(), 2);
    assert!(view.key_facts.advance_care.iter().all(|fact| fact.conflict));
    assert_eq!(view.key_facts.advance_care[0].detail.as_deref(), Some("Not for resuscitation."));
    assert_eq!(view.rows(Category::AdvanceCare).len(), 3);
    assert!(warned(&view, Warning::AdvanceCare) && warned(&view, Warning::AdvanceCareEnded));
}

#[test]
fn death_is_said_with_its_source_and_a_dispute_too() {
    let person = |extra: Value| {
        let mut json = patient("1938-03-14");
        json.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        record(Category::Demographics, &json)
    };
    let dead = || person(json!({"deceasedDateTime": "2026-11-01"}));
    for (other, disputed) in [
        (json!({}), false),
        (json!({"deceasedDateTime": "2026-11-01T03:00:00Z"}), false),
        (json!({"deceasedDateTime": "2026-10-30"}), true),
        (json!({"deceasedBoolean": false}), true),
    ] {
        let view = view(&[answered("R9A", vec![dead()]), answered("R9C", vec![person(other)])]);
        let deceased = view.patient.deceased.clone().unwrap();
        assert_eq!((deceased.date_shown.as_str(), deceased.disputed), ("01-Nov-2026", disputed));
        assert!(warned(&view, Warning::Deceased));
        assert_eq!(warned(&view, Warning::DeathDisputed), disputed);
    }
    assert!(view(&[answered("R9A", vec![person(json!({"deceasedBoolean": false}))])]).patient.deceased.is_none());
}

#[test]
fn about_me_heads_the_view_in_its_current_version() {
    let about = |id: &str, version: u32, date: &str, words: &str| {
        let mut json = document(id, "current", date, words);
        json["meta"] = json!({"versionId": version.to_string()});
        record(Category::AboutMe, &json)
    };
    let view = view(&[
        answered(
            "VL901",
            vec![about("a", 2, "2026-10-01", "No sugar now."), about("a", 1, "2024-10-01", "Two sugars.")],
        ),
        answered("Y91001", vec![about("b", 1, "2025-10-01", "Call me Mrs Okafor.")]),
    ]);
    let said: Vec<&str> = view.key_facts.about_me.iter().filter_map(|fact| fact.detail.as_deref()).collect();
    assert_eq!(said, ["No sugar now."]);
    assert_eq!(view.rows(Category::AboutMe).len(), 2);
    assert_eq!(view.rows(Category::AboutMe)[0].older_versions, 1);
}

#[test]
fn the_named_professional_comes_from_a_current_care_team() {
    let team = |status: &str, role: &str| {
        record(
            Category::CareTeam,
            &json!({"resourceType": "CareTeam", "status": status, "name": "Team", "participant": [{"role": [{"text": role}], "member": {"display": role}}]}),
        )
    };
    let view = view(&[answered(
        "Y91001",
        vec![team("active", "Named GP"), team("inactive", "Named nurse"), team("active", "Pharmacist")],
    )]);
    assert_eq!(view.key_facts.named_professional.iter().map(|f| f.text.as_str()).collect::<Vec<_>>(), ["Named GP"]);
}

#[test]
fn the_first_view_says_that_it_is_one() {
    let view = view(&[
        answered("Y91001", vec![record(Category::Allergies, &allergy("Penicillin", "mild"))]),
        source("R9A", None, vec![]),
    ]);
    assert!(!view.finished && !view.all_replied && warned(&view, Warning::FirstView));
    assert!(!warned(&view, Warning::Incomplete));
    assert_eq!(view.sources[1].outcome, "awaited");
    assert!(view.absences.iter().all(|absence| absence.kind == "nothing-supplied"));
}

#[test]
fn what_is_missing_is_said_with_who_to_ring() {
    let view = view(&[
        answered("Y91001", vec![]),
        source("R9A", Some(SourceOutcome::Unreachable), vec![]),
        source("R9C", Some(SourceOutcome::Refused(Cause::TrainingLapsed(Date::new(2026, 11, 1).unwrap()))), vec![]),
    ]);
    assert!(!view.all_replied && warned(&view, Warning::Incomplete));
    let lines: Vec<_> = view
        .sources
        .iter()
        .map(|s| (s.ods.as_str(), s.duty_contact.as_deref(), s.ineligible, s.reason.as_deref()))
        .collect();
    assert_eq!(lines[1], ("R9A", Some("ring R9A"), false, None));
    assert_eq!(lines[2], ("R9C", None, true, Some("TRAINING_LAPSED 2026-11-01")));
    assert_eq!(view.role_cannot_see, [Category::Safeguarding]);
}

#[test]
fn a_doubtful_own_match_is_said() {
    let query = query();
    let own_identity = OwnIdentity::of(Located::Doubtful(Doubt::Ambiguous));
    let view = assemble(&Request { own_identity, ..request(&query) }, &[]);
    assert_eq!(view.patient.identity, Identity::NotSafelyMatched);
    assert!(warned(&view, Warning::NotSafelyMatched));
}

#[test]
fn a_view_has_one_encoding_and_the_documented_json() {
    let made = view(&[
        answered(
            "Y91001",
            vec![
                record(Category::Demographics, &patient("1938-03-14")),
                record(Category::Allergies, &allergy("Penicillin", "severe")),
            ],
        ),
        answered(
            "R9A",
            vec![
                record(Category::Problems, &problem("\u{1b}[31m\u{202e}", "active", "2020")),
                SourceRecord { body: b"{broken".to_vec(), ..record(Category::Letters, &Value::Null) },
            ],
        ),
    ]);
    let bytes = cbor::to_vec(&made).unwrap();
    assert!(cbor::from_slice::<View>(&bytes, 1 << 20).unwrap() == made);
    let json: Value = serde_json::to_value(&made).unwrap();
    assert!(serde_json::from_value::<View>(json.clone()).unwrap() == made);
    assert_eq!(json["as_at"], "2026-11-02T14:10:00.000Z");
    assert_eq!(json["all_replied"], true);
    assert_eq!(json["categories"]["allergies"][0]["source"], json!({"ods": "Y91001", "name": "Organisation Y91001"}));
    assert_eq!(json["categories"]["letters"][0]["text"], "entry that could not be read");
    assert_eq!(json["sources"][1]["outcome"], "answered");
    assert_eq!(json["role_cannot_see"], json!(["safeguarding"]));
    assert_eq!(made.counts.unreadable, 1);
    for field in ["query_id", "patient", "conflicts", "warnings", "key_facts", "absences", "counts"] {
        assert!(json.get(field).is_some(), "{field}");
    }
}

#[test]
fn a_problem_of_one_code_stands_together_under_every_name_onset_and_source() {
    let coded = |words: &str, onset: &str| {
        let mut json = problem(words, "active", "2020");
        json["code"] = json!({"coding": [{"system": "http://snomed.info/sct", "code": "84114007"}], "text": words});
        json["onsetDateTime"] = json!(onset);
        record(Category::Problems, &json)
    };
    let view = view(&[
        answered(
            "Y91001",
            vec![coded("Heart failure", "2016-02-08"), record(Category::Problems, &problem("Gout", "active", "2010"))],
        ),
        answered("R9A", vec![coded("HFrEF", "2016")]),
    ]);
    assert!(view.conflicts.is_empty());
    let rows: Vec<_> = view
        .rows(Category::Problems)
        .iter()
        .map(|row| (row.group.as_deref().unwrap(), row.text.as_str(), row.date_shown.as_str(), row.source.ods.as_str()))
        .collect();
    assert_eq!(
        rows,
        [
            ("Heart failure", "Heart failure", "08-Feb-2016", "Y91001"),
            ("Heart failure", "HFrEF", "2016", "R9A"),
            ("Gout", "Gout", "recorded 2010", "Y91001"),
        ]
    );
}
