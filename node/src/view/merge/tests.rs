use careweave_protocol::desk::view::{Identifier, Source};
use careweave_protocol::record::{Category, Form};
use serde_json::{Value, json};

use super::super::row::tests_support::read_json;
use super::*;

const CODES: [&str; 3] = ["Y91001", "R9A", "VL901"];

fn at(source: usize, json: &Value) -> Entry {
    let mut entry = read_json(Category::Allergies, Form::Full, json);
    entry.source = source;
    entry.row.source = Source { ods: CODES[source].to_owned(), name: String::new() };
    entry
}

fn allergy(id: &str, version: u32, identifier: Option<&str>, text: &str, code: &str) -> Value {
    let identifier: Vec<Value> = identifier
        .iter()
        .map(|value| json!({"system": "https://careweave.example/Y91001/id", "value": value}))
        .collect();
    json!({"resourceType": "AllergyIntolerance", "id": id, "meta": {"versionId": version.to_string()}, "identifier": identifier,
        "code": {"text": text, "coding": [{"system": "s", "code": code}]}, "clinicalStatus": {"coding": [{"code": "active"}]}})
}

fn in_error(mut json: Value) -> Value {
    json["verificationStatus"] = json!({"coding": [{"code": "entered-in-error"}]});
    json
}

/// What is shown: (source, text, also at, older versions).
fn shown(merged: &Merged) -> Vec<(&str, &str, Vec<&str>, u32)> {
    merged
        .entries
        .iter()
        .map(|e| {
            let also = e.row.also_at.iter().map(|copy| copy.ods.as_str()).collect();
            (e.row.source.ods.as_str(), e.row.text.as_str(), also, e.row.older_versions)
        })
        .collect()
}

#[test]
fn copies_fold_into_the_custodians_highest_version() {
    let p = "Allergy to penicillin";
    for (name, entries, expected) in [
        (
            "same identifier at two sources",
            vec![at(0, &allergy("1", 1, Some("A"), p, "9")), at(1, &allergy("7", 1, Some("A"), p, "9"))],
            vec![("Y91001", p, vec!["R9A"], 0)],
        ),
        (
            "the custodian wins over a higher version elsewhere",
            vec![at(1, &allergy("7", 9, Some("A"), p, "9")), at(0, &allergy("1", 1, Some("A"), p, "9"))],
            vec![("Y91001", p, vec!["R9A"], 0)],
        ),
        (
            "versions of one id, in any order",
            vec![
                at(0, &allergy("1", 2, None, p, "9")),
                at(0, &allergy("1", 10, None, "new", "9")),
                at(0, &allergy("1", 1, None, "old", "9")),
            ],
            vec![("Y91001", "new", vec![], 2)],
        ),
        (
            "the same id at two sources is two records",
            vec![at(0, &allergy("1", 1, None, p, "9")), at(1, &allergy("1", 1, None, p, "9"))],
            vec![("Y91001", p, vec![], 0), ("R9A", p, vec![], 0)],
        ),
        (
            "the same text is not the same record",
            vec![at(0, &allergy("1", 1, None, p, "9")), at(0, &allergy("2", 1, None, p, "9"))],
            vec![("Y91001", p, vec![], 0), ("Y91001", p, vec![], 0)],
        ),
        (
            "one identifier on two different things",
            vec![at(0, &allergy("1", 1, Some("A"), p, "9")), at(1, &allergy("2", 1, Some("A"), "Latex", "8"))],
            vec![("Y91001", p, vec![], 0), ("R9A", "Latex", vec![], 0)],
        ),
        (
            "a UUID is one record everywhere",
            vec![
                at(0, &allergy("6f9619ff-8b86-d011-b42d-00cf4fc964ff", 1, None, p, "9")),
                at(1, &allergy("6F9619FF-8B86-D011-B42D-00CF4FC964FF", 2, None, p, "9")),
            ],
            vec![("R9A", p, vec!["Y91001"], 0)],
        ),
        (
            "the nil UUID is none",
            vec![
                at(0, &allergy("00000000-0000-0000-0000-000000000000", 1, None, p, "9")),
                at(1, &allergy("00000000-0000-0000-0000-000000000000", 2, None, p, "9")),
            ],
            vec![("Y91001", p, vec![], 0), ("R9A", p, vec![], 0)],
        ),
    ] {
        let merged = merge(entries, &CODES);
        assert_eq!(shown(&merged), expected, "{name}");
        assert_eq!(merged.in_error, 0);
    }
}

#[test]
fn an_entry_in_error_is_counted_and_a_copy_that_stands_elsewhere_is_shown_with_that_said() {
    let a = || allergy("1", 1, Some("A"), "Latex", "9");
    let merged = merge(vec![at(0, &in_error(a()))], &CODES);
    assert_eq!((merged.entries.len(), merged.in_error), (0, 1));
    let merged = merge(vec![at(0, &in_error(a())), at(1, &allergy("2", 1, Some("A"), "Latex", "9"))], &CODES);
    assert_eq!(merged.in_error, 1);
    assert_eq!(merged.entries[0].row.source.ods, "R9A");
    assert!(merged.entries[0].row.notes[0].starts_with(WITHDRAWN));
    let merged = merge(vec![at(0, &a()), at(1, &in_error(allergy("2", 1, Some("A"), "Latex", "9")))], &CODES);
    assert_eq!(merged.in_error, 0);
    assert_eq!(
        merged.entries[0].row.also_at[0].differs.as_deref(),
        Some("entered in error there; verification entered-in-error")
    );
}

#[test]
fn what_a_copy_says_otherwise_stands_beside_it() {
    let mut copy = allergy("2", 1, Some("A"), "Penicillin", "9");
    copy["reaction"] = json!([{"severity": "severe"}]);
    let merged = merge(vec![at(0, &allergy("1", 1, Some("A"), "Allergy to penicillin", "9")), at(1, &copy)], &CODES);
    let row = &merged.entries[0].row;
    assert_eq!(row.also_at[0].differs.as_deref(), Some("called Penicillin; severity severe"));
    assert_eq!(row.details[0].value, "severe", "details of the copy are not lost");
}

#[test]
fn patients_are_never_folded_into_one_another() {
    let patient = json!({"resourceType": "Patient", "id": "6f9619ff-8b86-d011-b42d-00cf4fc964ff", "identifier": [{"system": "x", "value": "1"}]});
    assert_eq!(merge(vec![at(0, &patient), at(1, &patient)], &CODES).entries.len(), 2);
}

#[test]
fn documents_about_one_event_are_linked_and_both_kept() {
    let document = |kind: &str, id: &str| {
        json!({"resourceType": kind, "id": id, "type": {"coding": [{"system": "s", "code": "373942005"}]}, "date": "2026-10-12T11:40:00Z",
        "encounter": {"reference": "urn:uuid:e"}, "context": {"encounter": [{"reference": "urn:uuid:e"}]}})
    };
    let merged = merge(vec![at(1, &document("Composition", "c")), at(1, &document("DocumentReference", "d"))], &CODES);
    let links: Vec<&[String]> = merged.entries.iter().map(|e| e.row.linked.as_slice()).collect();
    assert_eq!(links, [["DocumentReference/d".to_owned()], ["Composition/c".to_owned()]]);
}

#[test]
fn unreadable_entries_are_never_folded() {
    let merged = merge(vec![at(0, &json!(1)), at(0, &json!(2))], &CODES);
    assert_eq!(merged.entries.len(), 2);
}

#[test]
fn identifiers_of_the_person_are_not_those_of_the_record() {
    let nhs = json!({"resourceType": "Condition", "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9990010013"}, {"system": "s", "value": "v"}]});
    let found = at(0, &nhs).row.identifiers;
    assert!(found == [Identifier { system: "s".into(), value: "v".into() }]);
}

#[test]
fn documents_are_linked_by_identifier_hash_or_event_and_by_nothing_that_is_only_similar() {
    let document = |id: &str, more: Value| {
        let mut json = json!({"resourceType": "DocumentReference", "id": id, "type": {"coding": [{"system": "s", "code": "1"}]}, "date": "2026-10-12"});
        json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json
    };
    let attached = |words: &str, hash: Option<&str>| json!({"content": [{"attachment": {"contentType": "text/plain", "data": data_encoding::BASE64.encode(words.as_bytes()), "hash": hash}}]});
    let event = |custodian: &str, encounter: &str, date: &str| json!({"custodian": {"identifier": {"value": custodian}}, "context": {"encounter": [{"reference": encounter}]}, "date": date});
    // SHA-1 of "The letter."
    let hash = data_encoding::BASE64
        .encode(ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, b"The letter.").as_ref());
    let hexadecimal = data_encoding::HEXUPPER.encode(&data_encoding::BASE64.decode(hash.as_bytes()).unwrap());
    for (name, one, other, linked) in [
        ("the same bytes", attached("The letter.", None), attached("The letter.", None), true),
        (
            "its hash without its bytes",
            attached("The letter.", None),
            json!({"content": [{"attachment": {"hash": hash}}]}),
            true,
        ),
        (
            "its hash in hexadecimal",
            attached("The letter.", None),
            json!({"content": [{"attachment": {"hash": hexadecimal}}]}),
            true,
        ),
        ("other bytes of the same title and day", attached("The letter.", None), attached("The letter!", None), false),
        ("no bytes at all", attached("", None), attached("", None), false),
        (
            "type, custodian, encounter and day",
            event("R9A", "Encounter/1", "2026-10-12T09:00:00Z"),
            event("R9A", "Encounter/1", "2026-10-12T17:00:00Z"),
            true,
        ),
        (
            "another custodian",
            event("R9A", "Encounter/1", "2026-10-12"),
            event("Y91001", "Encounter/1", "2026-10-12"),
            false,
        ),
        (
            "another encounter",
            event("R9A", "Encounter/1", "2026-10-12"),
            event("R9A", "Encounter/2", "2026-10-12"),
            false,
        ),
        ("another day", event("R9A", "Encounter/1", "2026-10-12"), event("R9A", "Encounter/1", "2026-10-13"), false),
        ("no encounter", json!({}), json!({}), false),
    ] {
        let merged = merge(vec![at(0, &document("a", one)), at(1, &document("b", other))], &CODES);
        assert_eq!(merged.entries.len(), 2, "{name}: nothing is dropped");
        let links: Vec<usize> = merged.entries.iter().map(|e| e.row.linked.len()).collect();
        assert_eq!(links, [usize::from(linked); 2], "{name}");
    }
}

#[test]
fn the_original_stands_first_with_its_copies_after_it() {
    let document = |kind: &str, id: &str, date: &str, custodian: Option<&str>, words: &str| {
        let mut json = json!({"resourceType": kind, "id": id, "date": date, "content": [{"attachment": {"contentType": "text/plain", "data": data_encoding::BASE64.encode(words.as_bytes())}}]});
        if let Some(custodian) = custodian {
            json["custodian"] = json!({"identifier": {"value": custodian}});
        }
        json
    };
    let order = |entries: Vec<Entry>| {
        let mut merged = merge(entries, &CODES);
        originals_first(&mut merged.entries);
        merged.entries.iter().map(|e| e.row.id.clone()).collect::<Vec<_>>()
    };
    let dr = "DocumentReference";
    let filed = || at(0, &document(dr, "filed", "2026-10-14", Some("R9A"), "Summary."));
    let original = || at(1, &document(dr, "original", "2026-10-12", Some("R9A"), "Summary."));
    let between = || at(0, &document(dr, "between", "2026-10-13", None, "Else."));
    assert_eq!(order(vec![filed(), between(), original()]), ["between", "original", "filed"]);
    let unsaid = |id: &str, date: &str| at(0, &document(dr, id, date, None, "Same."));
    assert_eq!(order(vec![unsaid("new", "2026-10-14"), unsaid("old", "2026-10-12")]), ["old", "new"]);
    assert_eq!(
        order(vec![unsaid("new", "2026-10-14"), between(), at(0, &document(dr, "none", "?", None, "x"))]),
        ["new", "between", "none"]
    );
}

#[test]
fn many_documents_of_one_event_name_only_a_few_of_the_others() {
    let leaflet = |number: usize| json!({"resourceType": "DocumentReference", "id": number.to_string(), "content": [{"attachment": {"data": "TGVhZmxldA=="}}]});
    let merged = merge((0..40).map(|number| at(0, &leaflet(number))).collect(), &CODES);
    assert_eq!(merged.entries.len(), 40);
    assert!(merged.entries.iter().all(|e| e.row.linked.len() == 8));
}
