use careweave_protocol::desk::view::Source;
use careweave_protocol::record::{Category, Form};
use careweave_protocol::time::Timestamp;
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
    arrange(&mut entries, None);
    let as_at = Timestamp::from_rfc3339("2026-11-02T14:10:00Z").unwrap();
    let all: Vec<&Entry> = entries.iter().collect();
    conflicts::conflicts(&all, as_at).into_iter().map(|c| (c.kind, c.subject, c.entries.len())).collect()
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
    arrange(&mut entries, None);
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
    arrange(&mut entries, None);
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

#[test]
fn a_medicine_that_only_words_name_is_listed_under_them() {
    let contained = |medication: Value, reference: Value| json!({"resourceType": "MedicationRequest", "status": "active", "contained": [medication], "medicationReference": reference});
    for (json, words) in [
        (json!({"medicationCodeableConcept": {"text": "Her blue inhaler"}}), "Her blue inhaler"),
        (
            json!({"note": [{"text": "Takes St John's wort from the health shop"}]}),
            "Takes St John's wort from the health shop",
        ),
        (json!({"dosageInstruction": [{"text": "Warfarin as directed"}]}), "Warfarin as directed"),
        (
            contained(
                json!({"resourceType": "Medication", "id": "m", "code": {"text": "Special cream 5%"}}),
                json!({"reference": "#m"}),
            ),
            "Special cream 5%",
        ),
        (
            contained(json!({"resourceType": "Medication", "code": {"text": "Special cream 5%"}}), Value::Null),
            "Special cream 5%",
        ),
        (
            contained(
                json!({"resourceType": "Medication", "id": "m", "ingredient": [{"itemCodeableConcept": {"text": "Zinc"}}, {"itemCodeableConcept": {"text": "Castor oil"}}]}),
                json!({"reference": "#m"}),
            ),
            "Zinc + Castor oil",
        ),
        (json!({"medicationReference": {"display": "Naproxen, bought"}}), "Naproxen, bought"),
        (json!({}), "MedicationRequest without a description"),
    ] {
        let mut json = json;
        json["resourceType"] = json!("MedicationRequest");
        json["status"] = json!("active");
        let mut entries = [at(0, &json)];
        arrange(&mut entries, None);
        assert_eq!(entries[0].row.text, words);
        assert!(entries[0].row.group.is_some());
    }
}

#[test]
fn an_order_tells_when_it_was_last_issued_and_its_substance_last_dispensed() {
    let mut template = json!({"resourceType": "MedicationRequest", "id": "o", "status": "active", "medicationCodeableConcept": {"text": "Apixaban 5mg tablets"}});
    template["extension"] = json!([{"url": "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-MedicationRequest-LastIssueDate", "valueDateTime": "2026-10-24"}]);
    let mut declined = supply(2, "Eliquis 5mg tablets", "2026-10-30", &ONE);
    declined.activity = Activity::Ended;
    let mut entries = vec![
        at(0, &template),
        supply(2, "Eliquis 5mg tablets", "2026-08-01", &ONE),
        supply(2, "Eliquis 5mg tablets", "2026-10-25", &ONE),
        declined,
    ];
    arrange(&mut entries, None);
    let order = entries.iter().find(|e| e.row.id == "o").unwrap();
    let detail = |name: &str| order.row.details.iter().find(|d| d.name == name).map(|d| d.value.as_str());
    assert_eq!(detail("last issued"), Some("24-Oct-2026"));
    assert_eq!(detail("last dispensed"), Some("25-Oct-2026, Eliquis 5mg tablets, FZ901 "));
}

#[test]
fn what_tells_of_one_medicine_twice_is_no_duplicate() {
    let a = "Apixaban 5mg tablets";
    let mut plan = order(0, a, "active", "community", "2026-10-24", &ONE);
    plan.row.id = "plan".to_owned();
    plan.medicine.as_mut().unwrap().intent = Some("plan".to_owned());
    check(
        "the plan to prescribe and what was issued under it",
        vec![plan, order(0, a, "active", "community", "2026-10-24", &ONE)],
        &[],
    );
    let stated = json!({"resourceType": "MedicationStatement", "id": "s", "status": "active", "medicationCodeableConcept": {"text": a}, "effectiveDateTime": "2026-10-24", "dosage": dosage(&ONE)});
    check(
        "a statement beside its order",
        vec![at(0, &stated), order(0, a, "active", "community", "2026-10-24", &ONE)],
        &[],
    );
    let proposal = json!({"resourceType": "MedicationRequest", "id": "p", "status": "active", "intent": "proposal", "medicationCodeableConcept": {"text": "Warfarin 3mg tablets"}, "authoredOn": "2026-10-24"});
    check(
        "a proposal is not taken",
        vec![at(0, &proposal), order(1, "Warfarin 3mg tablets", "stopped", "community", "2026-10-24", &ONE)],
        &[],
    );
}

#[test]
fn a_supply_that_was_declined_is_none_and_a_volume_is_not_multiplied_by_a_strength() {
    let ramipril = "Ramipril 5mg capsules";
    let mut declined = supply(2, ramipril, "2026-10-25", &TWO);
    declined.activity = Activity::Ended;
    check(
        "declined",
        vec![order(0, ramipril, "active", "community", "2026-10-24", &ONE), declined],
        &[("not-dispensed", "ramipril", 1)],
    );
    let spoon = |source: usize, words: &str| {
        let dosage = json!([{"text": words, "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}, "doseAndRate": [{"doseQuantity": {"value": 5, "unit": "ml"}}]}]);
        at(
            source,
            &json!({"resourceType": "MedicationRequest", "id": words, "status": "active", "medicationCodeableConcept": {"text": "Oddicine 5mg/5ml syrup"}, "authoredOn": "2026-10-24", "dosageInstruction": dosage}),
        )
    };
    check("the same spoon", vec![spoon(0, "One spoon"), spoon(1, "one  spoon")], &[]);
    check("words decide", vec![spoon(0, "One spoon"), spoon(1, "One spoon at night")], &[("dose", "oddicine", 2)]);
    let plain = |source: usize, product: &str| {
        at(
            source,
            &json!({"resourceType": "MedicationRequest", "id": product, "status": "active", "medicationCodeableConcept": {"text": product}, "authoredOn": "2026-10-24", "dosageInstruction": [{"text": "One twice a day"}]}),
        )
    };
    check("a brand of the same strength", vec![plain(0, "Apixaban 5mg tablets"), plain(1, "Eliquis 5mg tablets")], &[]);
}

/// A prescription as systems send it: dm+d or SNOMED CT code with display, the product as text, a full dosage.
fn coded(
    source: usize,
    (code, display, product): (&str, &str, &str),
    status: &str,
    setting: &str,
    date: &str,
    dose: &Dose,
) -> Entry {
    let mut dosage = dosage(dose);
    dosage[0]["sequence"] = json!(1);
    dosage[0]["route"] =
        json!({"coding": [{"system": "http://snomed.info/sct", "code": "26643006", "display": "Oral route"}]});
    at(
        source,
        &json!({"resourceType": "MedicationRequest", "id": format!("{product}|{status}|{date}"), "meta": {"versionId": "1"}, "status": status, "intent": "order",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/medicationrequest-category", "code": setting}]}],
        "medicationCodeableConcept": {"coding": [{"system": "http://snomed.info/sct", "code": code, "display": display}], "text": product},
        "authoredOn": date, "requester": {"display": "General practitioner"}, "dosageInstruction": dosage}),
    )
}

/// Forty medicines of one person at four sources, with every kind of disagreement once or more, and as many where all agree.
#[test]
fn forty_medicines_with_every_kind_of_conflict_come_out_right() {
    let (now, then) = ("2026-10-24", "2026-10-12");
    let practice = |code: &'static str, product: &'static str, dose: &Dose| {
        coded(0, (code, product, product), "active", "community", now, dose)
    };
    let hospital = |code: &'static str, product: &'static str, status: &str, dose: &Dose| {
        coded(1, (code, product, product), status, "discharge", then, dose)
    };
    let mut entries = vec![
        // On hold at discharge, issued and dispensed since.
        practice("42206511000001102", "Apixaban 5mg tablets", &ONE),
        hospital("42206511000001102", "Apixaban 5mg tablets", "on-hold", &ONE),
        // Raised at discharge, not taken over.
        practice("387475002", "Furosemide 40mg tablets", &ONE),
        hospital("387475002", "Furosemide 40mg tablets", "active", &TWO),
        // Started at discharge, not taken over.
        hospital("387137007", "Omeprazole 20mg gastro-resistant capsules", "active", &ONE),
        // Stopped at discharge, still issued.
        practice("372588000", "Naproxen 250mg tablets", &ONE),
        hospital("372588000", "Naproxen 250mg tablets", "stopped", &ONE),
        // Prescribed and never dispensed.
        practice("386855006", "Donepezil 10mg tablets", &ONE),
        // One ingredient in two products.
        practice("322236009", "Paracetamol 500mg tablets", &TWO),
        practice("", "Co-codamol 30mg/500mg tablets", &TWO),
        // Two strengths at one source.
        practice("386872004", "Ramipril 5mg capsules", &ONE),
        practice("386872004", "Ramipril 2.5mg capsules", &ONE),
        // The same amount in another strength: no conflict.
        practice("386868003", "Bisoprolol 2.5mg tablets", &ONE),
        hospital("386868003", "Bisoprolol 1.25mg tablets", "active", &TWO),
        // A finished course.
        coded(
            0,
            ("41956211000001109", "Trimethoprim 200mg tablets", "Trimethoprim 200mg tablets"),
            "completed",
            "community",
            "2026-04-01",
            &ONE,
        ),
        // Weekly here, daily there: the slip that kills.
        practice("387381009", "Methotrexate 2.5mg tablets", &Dose("Take four once a WEEK", 4.0, 1.0 / 7.0)),
        coded(
            1,
            ("387381009", "Methotrexate", "Methotrexate 2.5mg tablets"),
            "active",
            "outpatient",
            then,
            &Dose("Take four daily", 4.0, 1.0),
        ),
        // A code that means another medicine than the words.
        coded(3, ("42217611000001104", "Warfarin 3mg tablets", "Edoxaban 60mg tablets"), "active", "", now, &ONE),
        // Words only, and a note only.
        at(
            3,
            &json!({"resourceType": "MedicationStatement", "id": "words", "status": "active", "medicationCodeableConcept": {"text": "Senna, two at night"}, "effectiveDateTime": now}),
        ),
        at(
            3,
            &json!({"resourceType": "MedicationStatement", "id": "note", "status": "active", "note": [{"text": "Takes turmeric from the market"}], "effectiveDateTime": now}),
        ),
    ];
    let agreed = [
        ("386864001", "Amlodipine 5mg tablets"),
        ("325278007", "Metformin 500mg tablets"),
        ("395731001", "Gliclazide 80mg tablets"),
        ("373444002", "Atorvastatin 20mg tablets"),
        ("13177001000001108", "Lithium carbonate 400mg modified-release tablets"),
        ("372594008", "Sertraline 50mg tablets"),
        ("386847004", "Mirtazapine 15mg tablets"),
        ("386849001", "Olanzapine 10mg tablets"),
        ("386952008", "Clopidogrel 75mg tablets"),
        ("710809001", "Levothyroxine sodium 50microgram tablets"),
        ("387000003", "Levetiracetam 500mg tablets"),
        ("391730008", "Alendronic acid 70mg tablets"),
        ("41984711000001104", "Ferrous fumarate 210mg tablets"),
        ("372687004", "Amoxicillin 500mg capsules"),
        ("", "Senega 5mg tablets"),
        ("", "Spironolactone 25mg tablets"),
        ("", "Digoxin 125microgram tablets"),
        ("", "Allopurinol 100mg tablets"),
        ("", "Folic acid 5mg tablets"),
        ("", "Thiamine 100mg tablets"),
        ("", "Quetiapine 25mg tablets"),
        ("", "Gabapentin 300mg capsules"),
        ("", "Baclofen 10mg tablets"),
        ("", "Tamsulosin 400microgram capsules"),
        ("", "Nitrofurantoin 50mg tablets"),
    ];
    for (code, product) in agreed {
        entries.push(practice(code, product, &ONE));
        entries.push(coded(1, (code, product, product), "active", "outpatient", then, &ONE));
    }
    let dispensed: Vec<String> = entries
        .iter()
        .filter(|e| e.source == 0 && !e.row.text.starts_with("Donepezil"))
        .map(|e| e.row.text.clone())
        .collect();
    entries.extend(dispensed.iter().map(|product| {
        let dose = match product.get(..4) {
            Some("Para" | "Co-c") => &TWO,
            Some("Meth") => &Dose("Take four once a WEEK", 4.0, 1.0 / 7.0),
            _ => &ONE,
        };
        supply(2, product, "2026-10-25", dose)
    }));
    let count = entries.len();
    arrange(&mut entries, None);
    assert_eq!(entries.len(), count, "nothing is dropped");
    let substances: std::collections::BTreeSet<&str> =
        entries.iter().flat_map(|e| &e.medicine.as_ref().unwrap().substances).map(String::as_str).collect();
    assert!(substances.len() >= 40, "{}", substances.len());
    let as_at = Timestamp::from_rfc3339("2026-11-02T14:10:00Z").unwrap();
    let all: Vec<&Entry> = entries.iter().collect();
    let found = conflicts::conflicts(&all, as_at);
    let found: Vec<(&str, &str, usize)> =
        found.iter().map(|c| (c.subject.as_str(), c.kind.as_str(), c.entries.len())).collect();
    assert_eq!(
        found,
        [
            ("apixaban", "status", 3),
            ("apixaban", "discharge-change", 2),
            ("donepezil", "not-dispensed", 1),
            ("edoxaban", "not-dispensed", 1),
            ("furosemide", "dose", 3),
            ("furosemide", "discharge-change", 2),
            ("methotrexate", "dose", 3),
            ("naproxen", "status", 3),
            ("naproxen", "discharge-change", 2),
            ("omeprazole", "discharge-change", 1),
            ("paracetamol", "duplicate", 2),
            ("ramipril", "duplicate", 2),
            ("warfarin", "not-dispensed", 1),
        ]
    );
    let newest = |substance: &str| {
        let marked = entries.iter().filter(|e| e.row.newest && e.row.group.as_deref() == Some(substance));
        marked.map(|e| e.row.source.ods.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(newest("apixaban"), ["FZ901"], "the newest is marked, whoever said it");
    assert_eq!(newest("edoxaban + warfarin"), Vec::<&str>::new(), "one alone is not the newest of several");
}
