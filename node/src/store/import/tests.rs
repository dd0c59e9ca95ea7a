use careweave_protocol::policy::Objection;
use careweave_protocol::record::code::NHS_NUMBER;
use careweave_protocol::record::{Category, Form};
use careweave_protocol::time::Timestamp;
use serde_json::{Value, json};

use crate::store::parked;
use crate::store::patients::OBJECTION;
use crate::store::tests::{ADA, BEN, NOW, Store, condition, person, with};

fn bundle(kind: &str, entries: &[(Option<&str>, Value)]) -> String {
    let entries: Vec<Value> = entries
        .iter()
        .map(|(url, resource)| match url {
            Some(url) => json!({"fullUrl": url, "resource": resource}),
            None => json!({"resource": resource}),
        })
        .collect();
    json!({"resourceType": "Bundle", "type": kind, "entry": entries}).to_string()
}

fn subject(reference: &str) -> Value {
    json!({"reference": reference})
}

#[test]
fn originals_come_back_byte_for_byte() {
    let store = Store::new("bytes");
    let patient = person("1", ADA, "Okafor").to_string();
    // Spacing, order, escapes, numbers and repeated line ends that no parser would write again.
    let odd = "{ \"id\" :\"o\",\r\n\t\"resourceType\":\"Observation\", \"subject\":{\"reference\":\"Patient/1\"},\n \
               \"valueQuantity\":{\"value\":1.50e+1},\"note\":[{\"text\":\"caf\\u00e9 \\/ café\"}]  }";
    let file = format!(
        "{{\"resourceType\":\"Bundle\",\"type\":\"transaction\",\n\"entry\":[{{\"resource\":{odd} }},\n{{\"resource\":{patient}}}]}}"
    );
    let report = store.import(&[&file]);
    assert_eq!((report.imported, report.bad), (2, 0), "{report:?}");
    assert_eq!(store.form(ADA, "o", Form::Full).unwrap(), odd);
    assert_eq!(store.form(ADA, "1", Form::Full).unwrap(), patient);

    let alone = format!("\n  {}\n", odd.replace("\"o\"", "\"alone\""));
    store.import(&[&alone]);
    assert_eq!(store.form(ADA, "alone", Form::Full).unwrap(), alone.trim());
}

#[test]
fn the_same_files_twice_change_nothing() {
    let store = Store::new("twice");
    let url = "urn:uuid:0b3a6f9e-0000-4000-8000-000000000001";
    let files = [
        bundle("transaction", &[(Some(url), person("1", ADA, "Okafor")), (None, condition("a", subject(url)))]),
        format!("{}\n{}\n", condition("b", subject("Patient/1")), condition("parked", subject("Patient/9"))),
        json!({"resourceType": "Organization", "name": "no id"}).to_string(),
    ];
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let first = store.import(&files);
    assert_eq!((first.imported, first.parked, first.bad), (4, 1, 0), "{first:?}");
    let before = store.headers(ADA);
    let second = store.import_at(Timestamp(NOW.0 + 1), &files);
    assert_eq!((second.imported, second.parked, second.bad), (0, 1, 0), "{second:?}");
    assert_eq!(second.files.iter().map(|f| f.unchanged).sum::<u64>(), 4);
    assert_eq!(store.headers(ADA), before);
    assert_eq!(parked::list(&store.database, 10).unwrap().len(), 1);
}

#[test]
fn a_newer_version_replaces_and_an_older_one_changes_nothing() {
    let store = Store::new("versions");
    let version = |version: &str, updated: Option<&str>, onset: &str| {
        let mut meta = json!({"versionId": version});
        if let Some(updated) = updated {
            meta["lastUpdated"] = json!(updated);
        }
        with(condition("a", subject("Patient/1")), json!({"meta": meta, "onsetDateTime": onset})).to_string()
    };
    store.import(&[&person("1", ADA, "Okafor").to_string(), &version("2", None, "2001")]);
    let outcome = |text: &str| {
        let file = store.import(&[text]).files.remove(0);
        (file.imported, file.superseded, file.unchanged)
    };
    assert_eq!(outcome(&version("1", None, "1999")), (0, 0, 1));
    assert_eq!(outcome(&version("10", None, "2010")), (0, 1, 0));
    assert_eq!(outcome(&version("1", Some("2026-01-02T00:00:00Z"), "2026")), (0, 0, 1));
    assert_eq!(outcome(&version("11", Some("2026-01-02T00:00:00Z"), "2026-01")), (0, 1, 0));
    assert_eq!(outcome(&version("12", Some("2026-01-01T00:00:00Z"), "2027")), (0, 0, 1));
    let records: Vec<_> = store.headers(ADA).into_iter().filter(|h| h.header.id == "a").collect();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].header.version.as_deref(), Some("11"));
    assert!(store.form(ADA, "a", Form::Full).unwrap().contains("2026-01"));
}

#[test]
fn records_before_their_patient_wait_and_are_filed_when_the_patient_arrives() {
    let store = Store::new("parked");
    let waiting: String = (0..200)
        .map(|n| {
            format!("{}\n", condition(&format!("c{n}"), subject(if n % 2 == 0 { "Patient/1" } else { "Patient/2" })))
        })
        .collect();
    let first = store.import(&[&waiting, &person("1", ADA, "Okafor").to_string()]);
    let counts: Vec<_> = first.files.iter().map(|f| (f.imported, f.parked)).collect();
    assert_eq!(counts, [(100, 100), (1, 0)]);
    assert_eq!((first.imported, first.parked), (101, 100));
    assert_eq!(store.headers(ADA).len(), 101);
    // In a later import, by another name of the patient.
    let late = store.import_at(Timestamp(NOW.0 + 1), &[&person("2", BEN, "Ellis").to_string()]);
    assert_eq!((late.imported, late.parked), (101, 0), "{late:?}");
    assert_eq!(store.headers(BEN).len(), 101);
    assert!(parked::list(&store.database, 10).unwrap().is_empty());
}

#[test]
fn every_kind_of_reference_finds_the_patient_before_and_after_they_arrive() {
    let base = "https://feed.example/fhir";
    let urn = "urn:uuid:0b3a6f9e-0000-4000-8000-000000000001";
    let patient = with(
        person("1", ADA, "Okafor"),
        json!({"identifier": [{"system": NHS_NUMBER, "value": ADA}, {"system": "urn:mrn", "value": "77"}]}),
    );
    let about = |n: usize, subject: &Value| condition(&format!("c{n}"), subject.clone());
    let by_url = [subject("Patient/1"), subject(&format!("{base}/Patient/1"))];
    let by_urn = [subject(urn)];
    let anyhow = [
        subject("Patient/1"),
        subject("Patient/1/_history/3"),
        subject(&format!("Patient?identifier={NHS_NUMBER}|{ADA}")),
        subject("Patient?identifier=urn:mrn|77"),
        json!({"identifier": {"system": NHS_NUMBER, "value": ADA}}),
        json!({"identifier": {"system": "urn:mrn", "value": "77"}, "type": "Patient"}),
        json!({"reference": "Patient/1", "identifier": {"system": NHS_NUMBER, "value": ADA}}),
        json!({"reference": "urn:uuid:of-another-bundle", "identifier": {"system": NHS_NUMBER, "value": ADA}}),
    ];
    for (place, full_url) in [(0, Some(format!("{base}/Patient/1"))), (1, Some(urn.to_owned())), (2, None)] {
        let mut references = anyhow.to_vec();
        references.extend(match place {
            0 => by_url.to_vec(),
            1 => by_urn.to_vec(),
            // A feed that states no server is taken at its word.
            _ => vec![subject("https://anything.example/Patient/1")],
        });
        let records: Vec<Value> = references.iter().enumerate().map(|(n, r)| about(n, r)).collect();
        let rows: String = records.iter().map(|r| format!("{r}\n")).collect();
        let alone = bundle("collection", &[(full_url.as_deref(), patient.clone())]);
        let mut entries: Vec<(Option<&str>, Value)> = records.iter().map(|r| (None, r.clone())).collect();
        entries.push((full_url.as_deref(), patient.clone()));
        for (order, files) in [
            vec![rows.clone(), alone.clone()],
            vec![alone.clone(), rows.clone()],
            vec![bundle("transaction", &entries)],
        ]
        .into_iter()
        .enumerate()
        {
            let store = Store::new(&format!("references-{place}-{order}"));
            let files: Vec<&str> = files.iter().map(String::as_str).collect();
            let report = store.import(&files);
            assert_eq!((report.parked, report.bad), (0, 0), "{place} {order} {report:?}");
            assert_eq!(store.headers(ADA).len(), references.len() + 1, "{place} {order}");
        }
    }
}

#[test]
fn a_record_of_another_server_is_not_filed_under_a_patient_of_the_same_id() {
    let store = Store::new("servers");
    let patient = bundle("collection", &[(Some("https://a.example/Patient/1"), person("1", ADA, "Okafor"))]);
    let elsewhere = condition("c", subject("https://b.example/Patient/1"));
    let relative =
        bundle("collection", &[(Some("https://b.example/Condition/d"), condition("d", subject("Patient/1")))]);
    let report = store.import(&[&patient, &elsewhere.to_string(), &relative]);
    assert_eq!((report.imported, report.parked), (1, 2), "{report:?}");
    assert_eq!(store.headers(ADA).len(), 1);
}

#[test]
fn a_subject_that_contradicts_itself_or_fits_two_is_bad() {
    let store = Store::new("contradiction");
    let twin = with(person("2", ADA, "Okafor"), json!({"birthDate": "1938-04-13"}));
    store.import(&[&person("1", ADA, "Okafor").to_string(), &person("3", BEN, "Ellis").to_string()]);
    let number = |number: &str| json!({"system": NHS_NUMBER, "value": number});
    let contradicts = condition("a", json!({"reference": "Patient/1", "identifier": number(BEN)}));
    let report = store.import(&[&contradicts.to_string()]);
    assert!(report.files[0].bad[0].reason.contains("two different patients"), "{report:?}");
    // The same number with another birth date is another person until somebody has looked.
    store.import(&[&twin.to_string()]);
    assert_eq!(store.patients(ADA).len(), 2);
    let ambiguous = condition("b", json!({"identifier": number(ADA)}));
    assert_eq!(store.import(&[&ambiguous.to_string()]).bad, 1);
}

#[test]
fn three_bad_lines_of_a_thousand_are_listed_and_the_others_are_kept() {
    let store = Store::new("bad-lines");
    let mut lines: Vec<String> =
        (0..999).map(|n| condition(&format!("c{n}"), subject("Patient/1")).to_string()).collect();
    lines.insert(0, person("1", ADA, "Okafor").to_string());
    lines[10] = "{\"resourceType\":\"Condition\", \"id\":".into();
    lines[500] = "{\"resourceType\":\"Conditoin\",\"id\":\"secret\"}".into();
    lines[999] = "[1,2]".into();
    let report = store.import(&[&lines.join("\n")]);
    assert_eq!((report.imported, report.parked, report.bad), (997, 0, 3));
    let listed: Vec<_> = report.files[0].bad.iter().map(|bad| (bad.entry, bad.line)).collect();
    assert_eq!(listed, [(11, Some(11)), (501, Some(501)), (1000, Some(1000))]);
    let written = serde_json::to_string(&report).unwrap();
    assert!(written.starts_with(r#"{"files":[{"file":"file 0","imported":997,"unchanged":0,"superseded":0,"parked":0,"bad":[{"entry":11,"line":11,"reason":"#));
    assert!(written.ends_with(r#"],"imported":997,"parked":0,"bad":3}"#));
    assert!(!written.contains("secret"));
}

#[test]
fn patients_who_cannot_be_told_apart_safely_are_bad_with_what_to_do() {
    let store = Store::new("bad-patients");
    for (patient, words) in [
        (with(person("1", ADA, "Okafor"), json!({"identifier": []})), "trace the number"),
        (person("1", "9990010014", "Okafor"), "check digit"),
        (with(person("1", ADA, "Okafor"), json!({"birthDate": null})), "no birthDate"),
        (with(person("1", ADA, "Okafor"), json!({"birthDate": "14/03/1938"})), "not a FHIR date"),
        (with(person("1", ADA, "Okafor"), json!({"name": []})), "no family name"),
        (with(condition("c", json!(null)), json!({"subject": null})), "which patient"),
        (json!({"id": "1"}), "no resourceType"),
        (json!({"resourceType": "Bundle", "entry": []}), "no type"),
        (json!({"resourceType": "Bundle", "type": "document", "entry": []}), "whose it is"),
    ] {
        let report = store.import(&[&patient.to_string()]);
        let bad = &report.files[0].bad;
        assert!(report.imported == 0 && bad.len() == 1 && bad[0].reason.contains(words), "{report:?}");
    }
    // Known by its id, a Patient may come without its number; under another number it may not.
    store.import(&[&person("1", ADA, "Okafor").to_string()]);
    let nameless = with(person("1", ADA, "Adeyemi"), json!({"identifier": []}));
    assert_eq!(store.import(&[&nameless.to_string()]).files[0].superseded, 1);
    assert_eq!(store.patient(ADA).demographics.families, ["Adeyemi", "Okafor"]);
    assert!(
        store.import(&[&person("1", BEN, "Ellis").to_string()]).files[0].bad[0].reason.contains("another NHS number")
    );
}

#[test]
fn bad_entries_of_a_bundle_are_listed_with_their_line() {
    let store = Store::new("bad-entries");
    let text = format!(
        "{{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":[\n{{\"resource\":{}}},\n{{\"request\":{{\"method\":\"DELETE\"}}}},\n\
         {{\"resource\":{{\"resourceType\":\"Nonsense\"}}}}\n]}}",
        person("1", ADA, "Okafor")
    );
    let report = store.import(&[&text]);
    let listed: Vec<_> = report.files[0].bad.iter().map(|bad| (bad.entry, bad.line)).collect();
    assert_eq!((report.imported, listed), (1, vec![(2, Some(3)), (3, Some(4))]));
}

#[test]
fn a_document_stays_whole_and_belongs_to_its_subject() {
    let store = Store::new("document");
    let composition = json!({"resourceType": "Composition", "status": "final", "subject": {"reference": "urn:uuid:p"},
        "type": {"coding": [{"system": "http://snomed.info/sct", "code": "373942005"}]}, "date": "2026-10-01",
        "section": [{"title": "secret"}]});
    let allergy = json!({"resourceType": "AllergyIntolerance", "patient": {"reference": "urn:uuid:p"},
        "meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}]}});
    let entries =
        [(Some("urn:uuid:c"), composition), (Some("urn:uuid:p"), person("p", ADA, "Okafor")), (None, allergy)];
    let document = bundle("document", &entries);
    let report = store.import(&[&document]);
    assert_eq!((report.imported, report.bad), (1, 0), "{report:?}");
    let headers = store.headers(ADA);
    assert_eq!(headers.len(), 1);
    let header = &headers[0].header;
    assert_eq!((header.category, format!("{:?}", header.labels).as_str()), (Category::Discharge, "{Psy}"));
    assert_eq!(store.form(ADA, &header.id, Form::Full).unwrap(), document);
    let summary = store.form(ADA, &header.id, Form::Summary).unwrap();
    assert!(summary.contains("373942005") && !summary.contains("secret") && !summary.contains("Okafor"), "{summary}");
}

#[test]
fn stripped_forms_of_a_restricted_patient_contain_no_address_whenever_they_were_made() {
    let restricted = with(
        person("1", ADA, "Okafor"),
        json!({"meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}}),
    );
    let visit = json!({"resourceType": "Encounter", "id": "e", "status": "finished", "class": {"code": "HH"},
        "subject": {"reference": "Patient/1"}, "period": {"start": "2026-01-01", "end": "2026-01-01"},
        "serviceProvider": {"display": "Lavender Quay surgery"},
        "location": [{"location": {"display": "12 Lavender Quay Road"}}],
        "type": [{"text": "visit at room 14, 12 lavender quay road"}]});
    let orders = [
        vec![person("1", ADA, "Okafor").to_string(), visit.to_string(), restricted.to_string()],
        vec![restricted.to_string(), visit.to_string()],
        vec![visit.to_string(), restricted.to_string()],
    ];
    for (place, order) in orders.iter().enumerate() {
        let store = Store::new(&format!("restricted-{place}"));
        let files: Vec<&str> = order.iter().map(String::as_str).collect();
        assert_eq!(store.import(&files).bad, 0);
        assert!(store.patient(ADA).demographics.restricted);
        for id in ["1", "e"] {
            for form in [Form::FullStripped, Form::SummaryStripped] {
                let left = store.form(ADA, id, form).unwrap().to_lowercase();
                assert!(!left.contains("lavender") && !left.contains("se16"), "{left}");
            }
        }
        assert!(store.form(ADA, "1", Form::FullStripped).unwrap().contains("Okafor"));
        // An unrestricted patient needs none.
        store.import(&[&person("2", BEN, "Ellis").to_string()]);
        assert!(store.form(BEN, "2", Form::FullStripped).is_none());
    }
}

#[test]
fn stripped_forms_follow_the_whereabouts_and_go_with_the_restriction() {
    let store = Store::new("restricted-moves");
    let version = |version: &str, restricted: bool, lines: Vec<String>| {
        let code = if restricted { "R" } else { "N" };
        let security = json!([{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": code}]);
        let meta = json!({"versionId": version, "security": security});
        with(person("1", ADA, "Okafor"), json!({"meta": meta, "address": [{"line": lines}]})).to_string()
    };
    let note =
        with(condition("c", subject("Patient/1")), json!({"note": [{"text": "safe at Rowan Lodge Refuge now"}]}));
    let left = || store.form(ADA, "c", Form::FullStripped);
    store.import(&[&version("1", true, vec!["12 Lavender Quay Road".to_owned()]), &note.to_string()]);
    assert!(left().unwrap().contains("Rowan Lodge"));
    store.import(&[&version("2", true, vec!["Rowan Lodge Refuge".to_owned()])]);
    assert!(!left().unwrap().contains("Rowan Lodge"), "{:?}", left());
    // Of more texts than are remembered the oldest go.
    let many = (0..300).map(|n| format!("House of number {n}")).collect();
    store.import(&[&version("3", true, many)]);
    assert!(left().unwrap().contains("Rowan Lodge"));
    store.import(&[&version("4", true, vec!["Rowan Lodge Refuge".to_owned()])]);
    assert!(!left().unwrap().contains("Rowan Lodge"));

    let forms = |id: &str| {
        let patient = store.patient(ADA);
        let place = store.headers(ADA).into_iter().find(|indexed| indexed.header.id == id).unwrap().place;
        let prefix = [patient.key.as_bytes().as_slice(), &place].concat();
        store.database.scan(crate::store::database::Family::Forms, &prefix).unwrap().count()
    };
    let before = forms("c");
    store.import(&[&version("5", false, vec!["Rowan Lodge Refuge".to_owned()])]);
    assert!(left().is_none() && store.form(ADA, "1", Form::FullStripped).is_none());
    assert_eq!((forms("c"), store.header(ADA, "c").forms.len()), (before - 2, 2));
    store.import(&[&version("6", true, vec!["Rowan Lodge Refuge".to_owned()])]);
    assert!(!left().unwrap().contains("Rowan Lodge"));
}

#[test]
fn whoever_is_made_known_while_an_import_is_under_way_is_kept_under_the_same_number() {
    let store = Store::new("two-write");
    let born = |id: &str, born: &str| with(person(id, ADA, "Okafor"), json!({"birthDate": born})).to_string();
    let database = store.database.clone();
    let mut importer = super::Importer::new(&store.database, &crate::store::tests::own(), NOW);
    importer.file("one", born("1", "1938-03-14").as_bytes()).unwrap();
    let (lines, source) = Lines::new();
    std::thread::scope(|scope| {
        let reading =
            scope.spawn(move || importer.file("two", std::io::BufReader::with_capacity(1, source)).map(|_| importer));
        lines.send(born("2", "1939-03-14") + "\n" + &born("3", "1940-03-14") + "\n").unwrap();
        lines.send(" ".to_owned()).unwrap();
        // The reader asks for more: what it has read is written, and no lock is held.
        {
            let _one = database.introducing().blocking_lock();
            let mut who = store.patients(ADA).remove(0).demographics;
            who.birth_date = careweave_protocol::time::Date::new(1941, 3, 14);
            crate::store::patients::create(&database, who).unwrap();
        }
        lines.send(born("4", "1942-03-14") + "\n").unwrap();
        drop(lines);
        reading.join().unwrap().unwrap().finish().unwrap();
    });
    assert_eq!(store.patients(ADA).len(), 5);
    // One import at a time, however many are asked for.
    let number = |n: usize| born(&format!("p{n}"), &format!("19{}-01-01", 50 + n));
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (store, text) = (&store, number(n));
            scope.spawn(move || assert_eq!(store.import(&[&text]).imported, 1));
        }
    });
    assert_eq!(store.patients(ADA).len(), 13);
}

/// A file that comes in pieces; the next piece is taken when everything before it was read.
struct Lines {
    coming: std::sync::mpsc::Receiver<String>,
    piece: std::io::Cursor<Vec<u8>>,
}

impl Lines {
    fn new() -> (std::sync::mpsc::SyncSender<String>, Self) {
        let (sender, coming) = std::sync::mpsc::sync_channel(0);
        (sender, Self { coming, piece: std::io::Cursor::default() })
    }
}

impl std::io::Read for Lines {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = self.piece.read(out)?;
        if count > 0 {
            return Ok(count);
        }
        let Ok(next) = self.coming.recv() else { return Ok(0) };
        self.piece = std::io::Cursor::new(next.into_bytes());
        self.piece.read(out)
    }
}

#[test]
fn the_essential_form_is_made_only_where_a_label_is_outranked() {
    let store = Store::new("essential");
    let psy = json!({"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}]});
    let lithium = json!({"resourceType": "MedicationRequest", "id": "m", "status": "active", "intent": "order", "meta": psy,
        "subject": {"reference": "Patient/1"}, "medicationCodeableConcept": {"text": "Lithium 400 mg"},
        "dosageInstruction": [{"text": "one at night"}], "reasonCode": [{"text": "secret"}]});
    let labelled = with(condition("c", subject("Patient/1")), json!({"meta": psy}));
    store.import(&[
        &person("1", ADA, "Okafor").to_string(),
        &lithium.to_string(),
        &labelled.to_string(),
        &with(lithium.clone(), json!({"id": "plain", "meta": {}})).to_string(),
    ]);
    let essential = store.form(ADA, "m", Form::Essential).unwrap();
    assert!(
        essential.contains("Lithium 400 mg") && essential.contains("one at night") && !essential.contains("secret")
    );
    assert!(store.form(ADA, "c", Form::Essential).is_none());
    assert!(store.form(ADA, "plain", Form::Essential).is_none());
}

#[test]
fn an_objection_is_recorded_and_taken_back_with_its_consent() {
    let store = Store::new("objection");
    let consent = |status: &str, kind: &str, code: Value| {
        json!({"resourceType": "Consent", "id": "o", "status": status, "patient": {"reference": "Patient/1"},
            "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
            "category": [{"coding": [code]}], "provision": {"type": kind}})
        .to_string()
    };
    let none = json!({"system": "http://loinc.org", "code": "59284-0"});
    let even = json!({"system": OBJECTION, "code": "even-in-emergency"});
    // The objection arrives before the patient and counts from the moment the patient is here.
    store.import(&[&consent("active", "deny", none.clone()), &person("1", ADA, "Okafor").to_string()]);
    let objection = || store.patient(ADA).objection();
    assert_eq!(objection(), Objection::Network);
    for (text, wanted) in [
        (consent("active", "deny", even), Objection::EvenEmergency),
        (consent("inactive", "deny", none.clone()), Objection::None),
        (consent("active", "permit", none), Objection::None),
    ] {
        store.import(&[&text]);
        assert_eq!(objection(), wanted);
    }
}

#[test]
fn a_medication_stays_with_the_patient_whose_request_names_it() {
    let store = Store::new("medication");
    let medication = json!({"resourceType": "Medication", "id": "m", "code": {"text": "apixaban 5 mg"}});
    let request = json!({"resourceType": "MedicationRequest", "id": "r", "status": "active", "intent": "order",
        "subject": {"reference": "urn:uuid:p"}, "medicationReference": {"reference": "urn:uuid:m"}});
    let entries = [
        (Some("urn:uuid:m"), medication),
        (Some("urn:uuid:r"), request),
        (Some("urn:uuid:p"), person("p", ADA, "Okafor")),
    ];
    store.import(&[&bundle("transaction", &entries)]);
    assert_eq!(store.header(ADA, "m").category, Category::Medications);
}

#[test]
fn a_provenance_follows_the_record_it_is_about() {
    let store = Store::new("provenance");
    let provenance = json!({"resourceType": "Provenance", "id": "p", "target": [{"reference": "Condition/c"}],
        "recorded": "2026-01-01T00:00:00Z"});
    let report = store.import(&[
        &provenance.to_string(),
        &condition("c", subject("Patient/1")).to_string(),
        &person("1", ADA, "Okafor").to_string(),
    ]);
    assert_eq!((report.imported, report.parked), (3, 0), "{report:?}");
    assert_eq!(store.headers(ADA).len(), 3);
}

#[test]
fn a_crash_in_the_middle_of_a_file_leaves_a_store_that_the_same_file_completes() {
    struct Broken<'a>(&'a [u8]);
    impl std::io::Read for Broken<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            if self.0.is_empty() {
                return Err(std::io::ErrorKind::ConnectionReset.into());
            }
            self.0.read(out)
        }
    }
    let store = Store::new("crash");
    let mut text = person("1", ADA, "Okafor").to_string();
    for n in 0..600 {
        text += &format!("\n{}", condition(&format!("c{n}"), subject("Patient/1")));
    }
    let half = text.len() / 2;
    let cut = text.as_bytes().get(..half).unwrap();
    // The importer is dropped without finishing, as when the process dies; what was batched so far stays.
    let mut importer = super::Importer::new(&store.database, &crate::store::tests::own(), NOW);
    let report = importer.file("cut", std::io::BufReader::new(Broken(cut))).unwrap();
    assert_eq!(report.bad.last().unwrap().reason, "the file could not be read any further");
    drop(importer);
    let whole = store.import(&[&text]);
    assert_eq!(whole.imported + whole.files[0].unchanged, 601);
    assert_eq!((whole.bad, store.headers(ADA).len()), (0, 601));
}
