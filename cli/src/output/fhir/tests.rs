use std::collections::BTreeMap;

use careweave_protocol::desk::view::{
    Absence, ConflictEntry, Counts, Identity, KeyFacts, Notice, PatientHeader, Source, SourceView,
};
use careweave_protocol::desk::warning::Warning;
use careweave_protocol::id::QueryId;
use careweave_protocol::identity::StaffGroup;
use careweave_protocol::query::completeness::NotAsked;
use careweave_protocol::query::{Purpose, SourceLine, SourceOutcome};
use careweave_protocol::record::{Category, Form};
use serde_bytes::ByteBuf;

use super::*;

const AS_AT: Timestamp = Timestamp(1_793_628_600_000);

fn line(ods: &str, outcome: SourceOutcome) -> SourceLine {
    let receipt = (outcome.replied() && ods != "Y91001").then(|| Digest::of(&[ods.as_bytes()]));
    SourceLine { ods: ods.parse().unwrap(), outcome, records: 1, ms: 40, data_to: None, receipt }
}

fn shown(ods: &str, name: &str, outcome: &SourceOutcome) -> SourceView {
    SourceView {
        ods: ods.to_owned(),
        name: name.to_owned(),
        own: ods == "Y91001",
        outcome: outcome.as_str().to_owned(),
        records: 1,
        ms: 40,
        data_to: Some(Moment(AS_AT)),
        reason: None,
        asked: outcome.asked(),
        replied: outcome.replied(),
        ineligible: false,
        stale: false,
        duty_contact: (*outcome == SourceOutcome::Timeout).then(|| "020 7946 0000".to_owned()),
    }
}

/// The practice, and others with what came of asking them.
fn view(others: &[(&str, SourceOutcome)]) -> (View, Completeness) {
    let all: Vec<(&str, SourceOutcome)> =
        [("Y91001", SourceOutcome::Answered)].into_iter().chain(others.iter().cloned()).collect();
    let sources = all.iter().map(|(ods, outcome)| shown(ods, &format!("Organisation {ods}"), outcome)).collect();
    let view = View {
        query_id: QueryId([7; 16]),
        as_at: Moment(AS_AT),
        finished: true,
        asker: "Y91001".parse().unwrap(),
        asker_name: "Organisation Y91001".to_owned(),
        requester: "Dr Test".to_owned(),
        group: StaffGroup::Gp,
        purpose: Purpose::Treat,
        zone: "Europe/London".to_owned(),
        patient: PatientHeader {
            nhs_number: "9990010013".to_owned(),
            nhs_number_shown: "999 001 0013".to_owned(),
            birth_date: "1938-03-14".to_owned(),
            birth_date_shown: "14-Mar-1938".to_owned(),
            name: "Ada Okafor".to_owned(),
            held_by: None,
            address: None,
            address_restricted: false,
            identity: Identity::Confirmed,
            identity_reason: None,
            deceased: None,
        },
        all_replied: all.iter().all(|(_, outcome)| !outcome.asked() || outcome.replied()),
        sources,
        key_facts: KeyFacts::default(),
        categories: BTreeMap::new(),
        conflicts: Vec::new(),
        absences: vec![Absence {
            category: Category::Allergies,
            kind: "nothing-supplied".to_owned(),
            text: "Allergies: nothing supplied by 2 sources. This does NOT mean none.".to_owned(),
        }],
        role_cannot_see: vec![Category::Safeguarding],
        may_exist: Vec::new(),
        last_look: None,
        warnings: vec![Notice::new(Warning::RoleCannotSee, "safeguarding")],
        counts: Counts::default(),
    };
    let completeness = Completeness {
        network: "demo".parse().unwrap(),
        query_id: view.query_id,
        asker: view.asker.clone(),
        as_at: AS_AT,
        manifest_version: 3,
        sources: all.iter().map(|(ods, outcome)| line(ods, outcome.clone())).collect(),
    };
    (view, completeness)
}

fn record(ods: &str, body: &str) -> SourceResource {
    SourceResource {
        source: Source { ods: ods.to_owned(), name: format!("Organisation {ods}") },
        origin: 0,
        category: Category::Problems,
        form: Form::Full,
        taken_in: AS_AT,
        body: ByteBuf::from(body.as_bytes().to_vec()),
    }
}

fn written(view: &View, completeness: &Completeness, resources: &[SourceResource]) -> Value {
    serde_json::to_value(bundle(view, completeness, resources)).unwrap()
}

fn entries<'a>(bundle: &'a Value, kind: &str) -> Vec<&'a Value> {
    bundle["entry"].as_array().unwrap().iter().filter(|entry| entry["resource"]["resourceType"] == kind).collect()
}

fn issues(bundle: &Value) -> &Vec<Value> {
    bundle["entry"][0]["resource"]["issue"].as_array().unwrap()
}

fn issue_about<'a>(bundle: &'a Value, words: &str) -> &'a Value {
    let said = |issue: &&Value| issue["details"]["text"].as_str().unwrap().contains(words);
    issues(bundle).iter().find(said).unwrap_or_else(|| panic!("nothing about {words} in {bundle:#}"))
}

#[test]
fn records_are_entries_byte_for_byte_at_a_full_url_of_their_own_source() {
    let (view, completeness) = view(&[("R9A", SourceOutcome::Answered)]);
    let body = r#"{ "resourceType":"Observation", "id":"o1","valueQuantity": {"value": 72.50},"subject":{"reference":"Patient/1"}}"#;
    let resources = [record("Y91001", r#"{"resourceType":"Patient","id":"1"}"#), record("R9A", body)];
    let made = bundle(&view, &completeness, &resources);
    assert!(serde_json::to_string_pretty(&made).unwrap().contains(body), "the holder's own bytes");
    let made = serde_json::to_value(made).unwrap();
    assert_eq!((&made["type"], &made["timestamp"]), (&json!("collection"), &json!("2026-11-02T14:10:00.000Z")));
    assert_eq!(made["identifier"]["value"], view.query_id.to_string());
    assert_eq!(made["entry"][0]["resource"]["resourceType"], "OperationOutcome");
    assert_eq!(made["entry"][1]["fullUrl"], "https://y91001.demo.careweave.example/fhir/Patient/1");
    assert_eq!(made["entry"][2]["fullUrl"], "https://r9a.demo.careweave.example/fhir/Observation/o1");
}

#[test]
fn one_record_twice_is_one_entry_and_full_urls_differ_unless_versions_do() {
    let (view, completeness) = view(&[]);
    let versions = |version: &str, text: &str| {
        record(
            "Y91001",
            &format!(
                r#"{{"resourceType":"Flag","id":"f","meta":{{"versionId":"{version}"}},"code":{{"text":"{text}"}}}}"#
            ),
        )
    };
    let nameless = record("Y91001", r#"{"resourceType":"Flag","code":{"text":"no id"}}"#);
    let resources = [
        versions("1", "a"),
        versions("1", "a"),
        versions("2", "b"),
        versions("2", "other words under one version"),
        nameless.clone(),
        nameless,
        record("Y91001", r#"{"resourceType":"Flag","id":"not an id","code":{"text":"x"}}"#),
    ];
    let made = written(&view, &completeness, &resources);
    let flags = entries(&made, "Flag");
    assert_eq!(flags.len(), 5);
    let keys: BTreeSet<String> =
        flags.iter().map(|entry| format!("{} {}", entry["fullUrl"], entry["resource"]["meta"]["versionId"])).collect();
    assert_eq!(keys.len(), 5, "{keys:?}");
    assert_eq!(keys.iter().filter(|key| key.contains("urn:uuid:")).count(), 3);
    assert_eq!(made, written(&view, &completeness, &resources), "the same view gives the same Bundle");
}

#[test]
fn what_is_no_fhir_resource_is_left_out_and_said_so() {
    let (view, completeness) = view(&[]);
    let broken = ["not json", "[1]", r#"{"id":"1"}"#, r#"{"resourceType":""}"#, r#"{"resourceType":7}"#];
    let resources: Vec<SourceResource> = broken.iter().map(|body| record("Y91001", body)).collect();
    let made = written(&view, &completeness, &resources);
    assert_eq!(made["entry"].as_array().unwrap().len(), 2, "the outcome and the organisation: {made:#}");
    let said = issue_about(&made, "5 records are no FHIR resources");
    assert_eq!((&said["severity"], &said["code"]), (&json!("warning"), &json!("incomplete")));
}

#[test]
fn every_outcome_of_a_source_has_its_issue_type() {
    let (view, completeness) = view(&[
        ("R9A", SourceOutcome::Timeout),
        ("R9B", SourceOutcome::Unreachable),
        ("R9C", SourceOutcome::NothingShareable),
        ("R9D", SourceOutcome::Refused(careweave_protocol::query::Cause::Suspended)),
        ("R9E", SourceOutcome::Untrusted(careweave_protocol::query::Cause::LogRollback)),
        ("R9F", SourceOutcome::AnsweredPartial),
        ("R9G", SourceOutcome::Busy(500)),
        ("R9H", SourceOutcome::Incompatible),
        ("R9J", SourceOutcome::NotAsked(NotAsked::HoldsNoRecords)),
        ("R9K", SourceOutcome::NotAsked(NotAsked::RoleSeesNothing)),
        ("R9L", SourceOutcome::NotAsked(NotAsked::FanOutLimit)),
    ]);
    let made = written(&view, &completeness, &[]);
    for (ods, severity, code) in [
        ("Y91001 Organisation Y91001: ", "information", "informational"),
        ("R9A ", "error", "timeout"),
        ("R9B ", "error", "transient"),
        ("R9C ", "warning", "suppressed"),
        ("R9D ", "error", "forbidden"),
        ("R9E ", "error", "security"),
        ("R9F ", "warning", "incomplete"),
        ("R9G ", "error", "transient"),
        ("R9H ", "error", "incomplete"),
        ("R9J ", "information", "informational"),
        ("R9K ", "information", "forbidden"),
        ("R9L ", "warning", "incomplete"),
    ] {
        let said = issue_about(&made, ods);
        assert_eq!((&said["severity"], &said["code"]), (&json!(severity), &json!(code)), "{said}");
    }
    assert!(issue_about(&made, "R9A ")["details"]["text"].as_str().unwrap().contains("Ring 020 7946 0000"));
    let heading = &issues(&made)[0];
    assert_eq!((&heading["severity"], &heading["code"]), (&json!("error"), &json!("incomplete")), "{heading}");
    for words in ["Ada Okafor", "14-Mar-1938", "999 001 0013", "Dr Test", "Y91001", "TREAT", "02-Nov-2026 14:10 GMT"] {
        assert!(heading["details"]["text"].as_str().unwrap().contains(words), "{words} in {heading}");
    }
}

#[test]
fn warnings_keep_their_id_in_the_hazard_log_and_conflicts_point_at_the_entries_they_are_about() {
    let (mut view, completeness) = view(&[("R9A", SourceOutcome::Answered)]);
    let side = |ods: &str| ConflictEntry {
        source: Source { ods: ods.to_owned(), name: format!("Organisation {ods}") },
        resource_type: "MedicationRequest".to_owned(),
        id: "m".to_owned(),
        text: "Methotrexate".to_owned(),
        status: Some("active".to_owned()),
        dose: None,
        severity: None,
        date: None,
        date_shown: "24-Oct-2026".to_owned(),
        newest: ods == "R9A",
    };
    view.conflicts.push(careweave_protocol::desk::view::Conflict {
        id: Warning::MedicineDose.id().to_owned(),
        category: Category::Medications,
        kind: "dose".to_owned(),
        subject: "Methotrexate".to_owned(),
        text: Warning::MedicineDose.text().to_owned(),
        entries: vec![side("R9A"), side("Y91001"), side("R9Z")],
    });
    let body = r#"{"resourceType":"MedicationRequest","id":"m"}"#;
    let made = written(&view, &completeness, &[record("Y91001", body), record("R9A", body)]);
    let conflict = issue_about(&made, "Methotrexate: ");
    assert_eq!(conflict["code"], "conflict");
    assert_eq!(
        conflict["details"]["coding"][0],
        json!({"system": "https://careweave.example/fhir/CodeSystem/hazard", "code": "CW-H011"})
    );
    assert_eq!(conflict["expression"], json!(["Bundle.entry[2].resource", "Bundle.entry[1].resource"]));
    assert_eq!(made["entry"][2]["fullUrl"], "https://r9a.demo.careweave.example/fhir/MedicationRequest/m");
    let told = issue_about(&made, "Your role cannot see");
    assert_eq!(told["details"]["coding"][0]["code"], "CW-H008");
    assert_eq!(issue_about(&made, "This does NOT mean none")["code"], "incomplete");
}

#[test]
fn each_source_that_replied_has_its_provenance_and_every_reference_in_it_resolves() {
    let (view, completeness) = view(&[
        ("R9A", SourceOutcome::Answered),
        ("R9C", SourceOutcome::NothingShareable),
        ("R9X", SourceOutcome::Timeout),
    ]);
    let resources = [
        record("Y91001", r#"{"resourceType":"Patient","id":"1"}"#),
        record("R9A", r#"{"resourceType":"Flag","id":"1"}"#),
    ];
    let made = written(&view, &completeness, &resources);
    let provenance = entries(&made, "Provenance");
    assert_eq!(provenance.len(), 3, "nothing came of R9X");
    let urls: BTreeSet<&str> =
        made["entry"].as_array().unwrap().iter().map(|entry| entry["fullUrl"].as_str().unwrap()).collect();
    for entry in &provenance {
        let resource = &entry["resource"];
        assert_eq!(resource["recorded"], "2026-11-02T14:10:00.000Z");
        assert_eq!(resource["reason"][0]["coding"][0]["code"], "TREAT");
        let who = resource["agent"].as_array().unwrap().iter().map(|agent| &agent["who"]["reference"]);
        let targets = resource["target"].as_array().unwrap().iter().map(|target| &target["reference"]);
        for reference in who.chain(targets).filter_map(Value::as_str) {
            assert!(urls.contains(reference), "{reference}");
        }
        assert_eq!(resource["agent"][2]["who"], json!({"display": "Dr Test (GP)"}));
    }
    let of =
        |ods: &str| provenance.iter().find(|entry| entry["resource"]["agent"][0]["who"]["identifier"]["value"] == ods);
    let hospital = &of("R9A").unwrap()["resource"];
    assert_eq!(hospital["target"], json!([{"reference": "https://r9a.demo.careweave.example/fhir/Flag/1"}]));
    assert_eq!(hospital["entity"][0]["what"]["identifier"]["value"], Digest::of(&[b"R9A"]).to_string());
    assert_eq!(of("R9C").unwrap()["resource"]["target"][0]["reference"], made["entry"][0]["fullUrl"]);
    assert_eq!(entries(&made, "Organization").len(), 4);
}

#[test]
fn local_organisations_of_a_restricted_patient_are_named_nowhere_and_their_records_stay_apart() {
    let (mut view, completeness) = view(&[("VL901", SourceOutcome::Answered), ("FZ901", SourceOutcome::Answered)]);
    view.patient.address_restricted = true;
    view.sources.truncate(1);
    view.sources.push(shown(WITHHELD, "local organisations, names withheld", &SourceOutcome::Answered));
    let withheld = |origin: u32, text: &str| SourceResource {
        source: Source { ods: WITHHELD.to_owned(), name: "local organisation, name withheld".to_owned() },
        origin,
        ..record(WITHHELD, &format!(r#"{{"resourceType":"Flag","id":"1","code":{{"text":"{text}"}}}}"#))
    };
    let resources = [withheld(5, "a"), withheld(9, "b")];
    let made = written(&view, &completeness, &resources);
    let text = made.to_string().to_lowercase();
    for secret in ["vl901", "fz901", &Digest::of(&[b"VL901"]).to_string()] {
        assert!(!text.contains(secret), "{secret}");
    }
    let urls: BTreeSet<&str> = entries(&made, "Flag").iter().map(|entry| entry["fullUrl"].as_str().unwrap()).collect();
    assert_eq!(urls.len(), 2);
    assert!(urls.iter().all(|url| url.starts_with("https://withheld-") && url.ends_with("/Flag/1")), "{urls:?}");
    let mut reversed = resources.clone();
    reversed.reverse();
    assert_eq!(made, written(&view, &completeness, &reversed), "the order in which they came does not tell");
    let provenance = entries(&made, "Provenance");
    assert_eq!(provenance.len(), 1, "one for all of them");
    assert_eq!(provenance[0]["resource"]["agent"][0]["who"], json!({"display": "local organisations, names withheld"}));
}
