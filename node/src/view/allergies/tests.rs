use careweave_protocol::record::Form;
use serde_json::{Value, json};

use super::super::row::tests_support::read_json;
use super::*;

fn at(source: usize, json: &Value) -> Entry {
    let mut entry = read_json(Category::Allergies, Form::Full, json);
    entry.source = source;
    entry.row.source.ods = ["Y91001", "R9A", "VL901"][source].to_owned();
    entry
}

fn allergy(source: usize, code: Option<&str>, words: &str, status: &str, severity: Option<&str>) -> Entry {
    let coding: Vec<Value> =
        code.iter().map(|code| json!({"system": "http://snomed.info/sct", "code": code})).collect();
    let reaction: Vec<Value> = severity
        .iter()
        .map(|severity| json!({"severity": severity, "description": format!("{severity} reaction")}))
        .collect();
    let json = json!({"resourceType": "AllergyIntolerance", "id": format!("{words}{source}"), "code": {"coding": coding, "text": words},
        "clinicalStatus": {"coding": [{"code": status}]}, "recordedDate": "2020-01-01", "reaction": reaction});
    at(source, &json)
}

fn kinds(entries: &mut [Entry]) -> Vec<(String, String, usize)> {
    arrange(entries);
    let all: Vec<&Entry> = entries.iter().collect();
    conflicts(&all).into_iter().map(|c| (c.kind, c.subject, c.entries.len())).collect()
}

#[test]
fn an_allergy_that_one_source_denies_is_a_conflict_however_the_denial_is_written() {
    let penicillin = || allergy(0, Some("91936005"), "Allergy to penicillin", "active", Some("severe"));
    let denied = |words: &str| vec![("no-known-allergy".to_owned(), words.to_owned(), 2)];
    for (code, words, expected) in [
        (Some("716186003"), "No known allergy", denied("no known allergy")),
        (Some("409137002"), "x", denied("no known allergy")),
        (None, "NKDA", denied("no known allergy")),
        (None, "No known drug allergies.", denied("no known allergy")),
        (None, "None known", denied("no known allergy")),
        (None, "No known allergy to penicillin", denied("no known allergy to penicillin")),
        (Some("429625007"), "No known food allergy", vec![]),
        (None, "No known latex allergy", vec![]),
    ] {
        let mut entries = vec![penicillin(), allergy(1, code, words, "active", None)];
        assert_eq!(kinds(&mut entries), expected, "{words}");
        assert!(entries.iter().any(|e| e.row.negated && e.row.text == words), "{words} is shown as a denial");
        let all: Vec<&Entry> = entries.iter().collect();
        let facts = key_facts(&all);
        assert_eq!(facts.iter().map(|fact| fact.text.as_str()).collect::<Vec<_>>(), ["Allergy to penicillin"]);
    }
}

#[test]
fn allergies_without_a_code_are_compared_by_their_words_and_none_is_dropped() {
    let mut entries = vec![
        allergy(0, None, "Penicillin", "active", Some("mild")),
        allergy(1, Some("91936005"), "Allergy to penicillin", "active", Some("severe")),
        allergy(2, None, "penicillin allergy", "inactive", None),
        allergy(2, None, "Elastoplast, skin goes red", "active", None),
    ];
    let expected = [("activity", "penicillin", 3), ("severity", "penicillin", 2)];
    let found = kinds(&mut entries);
    assert_eq!(found.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), *c)).collect::<Vec<_>>(), expected);
    assert_eq!(entries.len(), 4);
    let all: Vec<&Entry> = entries.iter().collect();
    let facts = key_facts(&all);
    assert_eq!(facts[0].severity.as_deref(), Some("severe"));
    assert_eq!(facts[0].severity_source.as_ref().map(|s| s.ods.as_str()), Some("R9A"), "the highest, with its source");
    assert!(facts[0].detail.as_ref().unwrap().contains("mild reaction"));
    assert_eq!(facts[1].text, "Elastoplast, skin goes red");
}

#[test]
fn the_display_of_a_code_is_kept_beside_other_words() {
    for (display, words, kept) in [
        ("Allergy to penicillin", "Amoxil: came out in a rash", Some("Allergy to penicillin")),
        ("Allergy to penicillin", "Penicillin", None),
        ("Latex allergy", "latex allergy", None),
    ] {
        let json = json!({"resourceType": "AllergyIntolerance", "code": {"coding": [{"system": "s", "code": "1", "display": display}], "text": words}});
        let mut entries = [at(0, &json)];
        arrange(&mut entries);
        let found = entries[0].row.details.iter().find(|d| d.name == "coded as").map(|d| d.value.as_str());
        assert_eq!(found, kept, "{words}");
    }
}
