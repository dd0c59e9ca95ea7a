use careweave_protocol::record::Form;
use serde_json::{Value, json};

use super::super::row::tests_support::read_json;
use super::*;

const AS_AT: &str = "2026-11-02T14:10:00Z";

fn at(source: usize, json: &Value) -> Entry {
    let mut entry = read_json(Category::AdvanceCare, Form::Full, json);
    entry.source = source;
    entry.row.source.ods = ["Y91001", "R9A", "VL901"][source].to_owned();
    entry
}

fn snomed(code: &str, display: &str) -> Value {
    json!({"coding": [{"system": "http://snomed.info/sct", "code": code, "display": display}]})
}

fn respect(source: usize, id: &str, status: &str, title: &str, words: &str, more: Value) -> Entry {
    let data = data_encoding::BASE64.encode(words.as_bytes());
    let mut json = json!({"resourceType": "DocumentReference", "id": id, "status": status, "date": "2026-06-01", "type": snomed("1382601000000107", "ReSPECT"),
        "content": [{"attachment": {"contentType": "text/plain", "title": title, "data": data}}]});
    json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    at(source, &json)
}

fn flag(source: usize, status: &str) -> Entry {
    at(
        source,
        &json!({"resourceType": "Flag", "id": "f", "status": status, "period": {"start": "2026-06-01"},
        "code": snomed("450476008", "Not for attempted cardiopulmonary resuscitation")}),
    )
}

fn consent(source: usize, status: &str, decision: &str) -> Entry {
    at(
        source,
        &json!({"resourceType": "Consent", "id": "c", "status": status, "category": [snomed("1", "Advance decision")],
        "provision": {"type": decision, "code": [snomed("89666000", "Cardiopulmonary resuscitation")]}}),
    )
}

/// What conflicts there are, as (subject, sides), and how many key facts.
fn found(entries: &mut [Entry]) -> (Vec<(String, usize)>, usize) {
    arrange(entries, Timestamp::from_rfc3339(AS_AT).unwrap());
    let all: Vec<&Entry> = entries.iter().collect();
    let conflicts = conflicts(&all);
    let facts = key_facts(&all, &conflicts);
    assert!(conflicts.iter().all(|c| c.text.starts_with("CONFLICT: check the original")));
    (conflicts.into_iter().map(|c| (c.subject, c.entries.len())).collect(), facts.len())
}

const FOR: &str = "For full treatment. For attempted resuscitation.";
const AGAINST: &str = "Not for attempted cardiopulmonary resuscitation.";

#[test]
fn decisions_of_any_kind_for_and_against_resuscitation_are_a_conflict() {
    let none = || json!({});
    let resuscitation = |sides: usize| vec![("resuscitation".to_owned(), sides)];
    for (name, mut entries, expected, facts) in [
        (
            "a flag against a document",
            vec![flag(0, "active"), respect(1, "1", "current", "ReSPECT plan", FOR, none())],
            resuscitation(2),
            2,
        ),
        (
            "a flag beside a document that says the same",
            vec![flag(0, "active"), respect(0, "1", "current", "ReSPECT plan", AGAINST, none())],
            vec![],
            2,
        ),
        (
            "a consent against a document",
            vec![consent(0, "active", "deny"), respect(1, "1", "current", "ReSPECT plan", FOR, none())],
            resuscitation(2),
            2,
        ),
        (
            "a consent beside a document that says the same",
            vec![consent(0, "active", "permit"), respect(1, "1", "current", "ReSPECT plan", FOR, none())],
            vec![],
            2,
        ),
        (
            "two documents and a flag, said once",
            vec![
                flag(0, "active"),
                respect(0, "1", "current", "ReSPECT plan", AGAINST, none()),
                respect(1, "2", "current", "ReSPECT plan", FOR, none()),
            ],
            resuscitation(3),
            3,
        ),
        (
            "an ended flag decides nothing",
            vec![flag(0, "inactive"), respect(1, "1", "current", "ReSPECT plan", FOR, none())],
            vec![],
            1,
        ),
        (
            "a rejected consent decides nothing",
            vec![consent(0, "rejected", "deny"), respect(1, "1", "current", "ReSPECT plan", FOR, none())],
            vec![],
            1,
        ),
        (
            "a proposed one is not in force",
            vec![consent(0, "proposed", "deny"), respect(1, "1", "current", "ReSPECT plan", FOR, none())],
            vec![],
            1,
        ),
        (
            "a draft document is not in force",
            vec![respect(0, "1", "current", "ReSPECT plan", AGAINST, json!({"docStatus": "preliminary"}))],
            vec![],
            0,
        ),
    ] {
        assert_eq!(found(&mut entries), (expected, facts), "{name}");
    }
}

#[test]
fn what_was_revoked_or_replaced_is_never_a_key_fact() {
    let replaces = |target: Value| json!({"relatesTo": [{"code": "replaces", "target": target}]});
    let identified = json!({"identifier": [{"system": "urn:x", "value": "A"}]});
    for (name, mut entries, facts) in [
        ("revoked in its title", vec![respect(0, "1", "current", "DNACPR form (REVOKED 2025)", AGAINST, json!({}))], 0),
        ("superseded", vec![respect(0, "1", "superseded", "ReSPECT plan", AGAINST, json!({}))], 0),
        (
            "replaced by id at the same source",
            vec![
                respect(0, "1", "current", "ReSPECT plan", FOR, json!({})),
                respect(
                    0,
                    "2",
                    "current",
                    "ReSPECT plan",
                    AGAINST,
                    replaces(json!({"reference": "DocumentReference/1"})),
                ),
            ],
            1,
        ),
        (
            "the same id at another source is another document",
            vec![
                respect(1, "1", "current", "ReSPECT plan", AGAINST, json!({})),
                respect(
                    0,
                    "2",
                    "current",
                    "ReSPECT plan",
                    AGAINST,
                    replaces(json!({"reference": "DocumentReference/1"})),
                ),
            ],
            2,
        ),
        (
            "replaced by identifier anywhere",
            vec![
                respect(1, "1", "current", "ReSPECT plan", FOR, identified),
                respect(
                    0,
                    "2",
                    "current",
                    "ReSPECT plan",
                    AGAINST,
                    replaces(json!({"identifier": {"system": "urn:x", "value": "A"}})),
                ),
            ],
            1,
        ),
        (
            "a draft replaces nothing",
            vec![
                respect(0, "1", "current", "ReSPECT plan", FOR, json!({})),
                respect(
                    0,
                    "2",
                    "current",
                    "ReSPECT plan",
                    AGAINST,
                    json!({"docStatus": "preliminary",
                    "relatesTo": [{"code": "replaces", "target": {"reference": "DocumentReference/1"}}]}),
                ),
            ],
            1,
        ),
    ] {
        let (conflicts, shown) = found(&mut entries);
        assert_eq!((conflicts.len(), shown), (0, facts), "{name}");
        let ended = entries.iter().filter(|e| e.activity == Activity::Ended).count();
        assert_eq!(ended + facts, entries.len() - usize::from(name.starts_with("a draft")), "{name}");
    }
    let mut entries = [
        respect(0, "1", "current", "ReSPECT plan", FOR, json!({})),
        respect(0, "2", "current", "ReSPECT plan", AGAINST, replaces(json!({"reference": "urn:uuid:1"}))),
    ];
    found(&mut entries);
    assert_eq!(
        entries[0].row.notes,
        ["replaced by ReSPECT plan, 01-Jun-2026, R9A Acute hospital trust".replace("R9A", "Y91001")]
    );
}

#[test]
fn an_overdue_review_or_words_that_say_both_send_to_the_original() {
    let extension = json!({"extension": [{"url": "https://example.org/StructureDefinition/next-review-date", "valueDate": "2026-03-01"}]});
    for (name, words, more, checked) in [
        ("in an extension", AGAINST, extension, true),
        ("in its words", "Not for resuscitation. Review date: 01-Mar-2026.", json!({}), true),
        ("in its words, written out", "DNACPR. To be reviewed by 1 March 2026 at the latest", json!({}), true),
        ("still to come", "Not for resuscitation. Review date: 01/03/2027.", json!({}), false),
        ("without a date", "Not for resuscitation. Review on admission.", json!({}), false),
        ("both yes and no", "CPR attempts recommended. CPR attempts NOT recommended.", json!({}), true),
    ] {
        let mut entries = [respect(0, "1", "current", "ReSPECT plan", words, more)];
        let (conflicts, facts) = found(&mut entries);
        assert_eq!((conflicts.len(), facts), (usize::from(checked), 1), "{name}");
        assert_eq!(entries[0].row.notes.iter().any(|note| note.starts_with(CHECK)), checked, "{name}");
    }
}
