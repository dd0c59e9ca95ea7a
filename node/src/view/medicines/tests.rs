use careweave_protocol::desk::view::Source;
use careweave_protocol::record::Form;
use serde_json::{Value, json};

use super::super::row::tests_support::read_json;
use super::*;

const SOURCES: [&str; 4] = ["Y91001", "R9A", "FZ901", "VL901"];

fn at(source: usize, json: &Value) -> Entry {
    let mut entry = read_json(Category::Medications, Form::Full, json);
    entry.source = source;
    entry.row.source = Source { ods: SOURCES[source].to_owned(), name: String::new() };
    entry
}

struct Dose(&'static str, f64, f64);
const ONE: Dose = Dose("Take one in the morning", 1.0, 1.0);
const TWO: Dose = Dose("Take two in the morning", 2.0, 1.0);

fn dosage(dose: &Dose) -> Value {
    json!([{"text": dose.0, "timing": {"repeat": {"frequency": dose.2, "period": 1, "periodUnit": "d"}},
        "doseAndRate": [{"doseQuantity": {"value": dose.1, "unit": "tablet"}}], "route": {"text": "Oral route"}}])
}

fn order(source: usize, product: &str, status: &str, setting: &str, date: &str, dose: &Dose) -> Entry {
    at(
        source,
        &json!({"resourceType": "MedicationRequest", "id": format!("{product}{date}"), "status": status, "category": [{"coding": [{"code": setting}]}],
        "medicationCodeableConcept": {"text": product}, "authoredOn": date, "dosageInstruction": dosage(dose)}),
    )
}

fn supply(source: usize, product: &str, date: &str, dose: &Dose) -> Entry {
    at(
        source,
        &json!({"resourceType": "MedicationDispense", "status": "completed", "medicationCodeableConcept": {"text": product}, "whenHandedOver": date, "dosageInstruction": dosage(dose)}),
    )
}

fn given(source: usize, product: &str, date: &str) -> Entry {
    at(
        source,
        &json!({"resourceType": "MedicationAdministration", "status": "completed", "medicationCodeableConcept": {"text": product}, "effectiveDateTime": date}),
    )
}

fn found(mut entries: Vec<Entry>) -> Vec<(String, String, usize)> {
    arrange(&mut entries);
    let as_at = Timestamp::from_rfc3339("2026-11-02T14:10:00Z").unwrap();
    let all: Vec<&Entry> = entries.iter().collect();
    conflicts(&all, as_at).into_iter().map(|c| (c.kind, c.subject, c.entries.len())).collect()
}

fn check(name: &str, entries: Vec<Entry>, expected: &[(&str, &str, usize)]) {
    let found = found(entries);
    let found: Vec<(&str, &str, usize)> = found.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), *c)).collect();
    assert_eq!(found, expected, "{name}");
}

#[test]
fn active_against_stopped_or_on_hold_is_named_with_everything_that_says_otherwise() {
    let a = "Apixaban 5mg tablets";
    check(
        "on hold at the hospital, issued, dispensed and given since",
        vec![
            order(1, a, "on-hold", "discharge", "2026-10-12", &ONE),
            order(0, a, "active", "community", "2026-10-24", &ONE),
            supply(2, "Eliquis 5mg tablets", "2026-10-25", &ONE),
            given(3, a, "2026-11-01"),
        ],
        &[("status", "apixaban", 4), ("discharge-change", "apixaban", 2)],
    );
    check(
        "a supply from before the stop says nothing",
        vec![order(0, a, "stopped", "community", "2026-10-12", &ONE), supply(2, a, "2026-08-01", &ONE)],
        &[],
    );
    check(
        "stopped everywhere",
        vec![order(0, a, "stopped", "community", "2026-10-12", &ONE), order(1, a, "stopped", "", "2026-10-13", &ONE)],
        &[],
    );
    check(
        "a finished course disagrees with nothing",
        vec![order(0, a, "completed", "community", "2026-10-12", &ONE), order(1, a, "active", "", "2026-10-13", &ONE)],
        &[],
    );
    check(
        "one source that stopped it and started again",
        vec![
            order(0, a, "stopped", "community", "2020-01-01", &ONE),
            order(0, a, "active", "community", "2026-01-01", &ONE),
            order(1, a, "active", "", "2026-10-13", &ONE),
        ],
        &[],
    );
    check(
        "one source that changed the product",
        vec![
            order(0, "Apixaban 2.5mg tablets", "stopped", "community", "2026-01-01", &ONE),
            order(0, a, "active", "community", "2026-01-01", &ONE),
            order(1, a, "active", "", "2026-10-13", &ONE),
        ],
        &[],
    );
}

#[test]
fn doses_are_compared_as_amounts_a_day() {
    let f = "Furosemide 40mg tablets";
    check(
        "two against one",
        vec![
            order(0, f, "active", "community", "2026-10-01", &ONE),
            order(1, f, "active", "inpatient", "2026-10-12", &TWO),
        ],
        &[("dose", "furosemide", 2)],
    );
    check(
        "two of 20 mg are one of 40 mg",
        vec![
            order(0, f, "active", "community", "2026-10-01", &ONE),
            order(1, "Furosemide 20mg tablets", "active", "inpatient", "2026-10-12", &TWO),
        ],
        &[],
    );
    check(
        "other words, same amount",
        vec![
            order(0, f, "active", "community", "2026-10-01", &ONE),
            order(1, f, "active", "inpatient", "2026-10-12", &Dose("One mane", 1.0, 1.0)),
        ],
        &[],
    );
    check(
        "weekly against daily",
        vec![
            order(
                0,
                "Methotrexate 2.5mg tablets",
                "active",
                "community",
                "2026-10-01",
                &Dose("four a WEEK", 4.0, 1.0 / 7.0),
            ),
            order(1, "Methotrexate 2.5mg tablets", "active", "inpatient", "2026-10-12", &Dose("four a day", 4.0, 1.0)),
        ],
        &[("dose", "methotrexate", 2)],
    );
    check(
        "what was dispensed counts",
        vec![order(1, f, "active", "inpatient", "2026-10-12", &TWO), supply(2, f, "2026-10-25", &ONE)],
        &[("dose", "furosemide", 2)],
    );
    check(
        "words decide where amounts cannot be worked out",
        vec![
            order(0, "Oddicine", "active", "community", "2026-10-01", &ONE),
            order(1, "Oddicine", "active", "inpatient", "2026-10-01", &TWO),
        ],
        &[("dose", "oddicine", 2)],
    );
}

#[test]
fn one_ingredient_in_two_products_is_named() {
    check(
        "in a combination",
        vec![
            order(0, "Paracetamol 500mg tablets", "active", "community", "2026-10-01", &TWO),
            order(1, "Co-codamol 30mg/500mg tablets", "active", "inpatient", "2026-10-12", &TWO),
        ],
        &[("dose", "paracetamol", 2), ("duplicate", "paracetamol", 2)],
    );
    check(
        "twice at one source",
        vec![
            order(0, "Ramipril 5mg capsules", "active", "community", "2026-10-01", &ONE),
            order(0, "Ramipril 2.5mg capsules", "active", "community", "2026-10-01", &ONE),
        ],
        &[("duplicate", "ramipril", 2)],
    );
    check(
        "the same at two sources is one medicine",
        vec![
            order(0, "Ramipril 5mg capsules", "active", "community", "2026-10-01", &ONE),
            order(1, "Ramipril 5mg capsules", "active", "inpatient", "2026-10-01", &ONE),
        ],
        &[],
    );
}

#[test]
fn a_discharge_change_nobody_took_over_and_an_order_nobody_dispensed_are_named() {
    let o = "Omeprazole 20mg gastro-resistant capsules";
    let other = || order(0, "Ramipril 5mg capsules", "active", "community", "2026-10-24", &ONE);
    check(
        "started at discharge",
        vec![order(1, o, "active", "discharge", "2026-10-12", &ONE), other()],
        &[("discharge-change", "omeprazole", 1)],
    );
    check("no list to compare with", vec![order(1, o, "active", "discharge", "2026-10-12", &ONE)], &[]);
    check("long ago", vec![order(1, o, "active", "discharge", "2025-10-12", &ONE), other()], &[]);
    check(
        "taken over",
        vec![
            order(1, o, "active", "discharge", "2026-10-12", &ONE),
            order(0, o, "active", "community", "2026-10-20", &ONE),
            other(),
        ],
        &[],
    );
    check(
        "not dispensed",
        vec![
            other(),
            order(0, "Donepezil 10mg tablets", "active", "community", "2026-10-24", &ONE),
            supply(2, "Ramipril 5mg capsules", "2026-10-25", &ONE),
        ],
        &[("not-dispensed", "donepezil", 1)],
    );
    check("no pharmacy replied", vec![other()], &[]);
}

#[test]
fn what_is_taken_comes_first_and_the_newest_is_marked() {
    let mut entries = vec![
        order(0, "Naproxen 250mg tablets", "stopped", "community", "2022-01-01", &ONE),
        order(0, "Ramipril 5mg capsules", "active", "community", "2026-10-01", &ONE),
        order(1, "Ramipril 5mg capsules", "active", "community", "2026-10-20", &ONE),
        order(0, "Bisoprolol 2.5mg tablets", "active", "community", "2026-10-01", &ONE),
    ];
    arrange(&mut entries);
    let order: Vec<(&str, &str, bool)> =
        entries.iter().map(|e| (e.row.group.as_deref().unwrap(), e.row.source.ods.as_str(), e.row.newest)).collect();
    assert_eq!(
        order,
        [
            ("bisoprolol", "Y91001", false),
            ("ramipril", "R9A", true),
            ("ramipril", "Y91001", false),
            ("naproxen", "Y91001", false)
        ]
    );
}

#[test]
fn a_medicine_named_only_by_reference_gets_its_name_from_its_own_source() {
    let named = json!({"resourceType": "Medication", "id": "m1", "code": {"text": "Warfarin 3mg tablets"}});
    let pointing = json!({"resourceType": "MedicationRequest", "status": "active", "medicationReference": {"reference": "Medication/m1"}});
    let mut entries = vec![at(0, &named), at(0, &pointing), at(1, &pointing)];
    arrange(&mut entries);
    let mut texts: Vec<(&str, &str)> = entries
        .iter()
        .filter(|e| e.row.resource_type == "MedicationRequest")
        .map(|e| (e.row.source.ods.as_str(), e.row.text.as_str()))
        .collect();
    texts.sort_unstable();
    assert_eq!(
        texts,
        [("R9A", "medicine not named in this entry, ask its source"), ("Y91001", "Warfarin 3mg tablets")]
    );
}
