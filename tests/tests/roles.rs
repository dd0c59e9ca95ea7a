//! Each role sees what the table says and nothing else. The columns stand here a second time, typed from the design's table.

use std::collections::{BTreeMap, BTreeSet};

use careweave_tests::network::Output;
use serde_json::Value;

use crate::scene::{ada, ben, decision, demo, entries, entry, population, query_id, rows, source, view};

#[test]
fn a_care_home_nurse_sees_the_nurse_s_column_of_the_table_and_nothing_else() {
    check("VL901-chn", |row| row.1);
}

#[test]
fn a_carer_sees_the_carer_s_column_of_the_table_and_nothing_else() {
    check("VL901-chc", |row| row.2);
}

#[test]
fn a_paramedic_without_a_relationship_sees_an_emergency_and_both_sides_are_alerted() {
    let network = demo();
    assert!(!population().holders(&ben().nhs_number).contains(&"R9X"), "the ambulance trust knows him");
    let seen = view(network, "R9X-par", &ben(), &["--for", "emergency"]).expect_status(0).unwrap().json().unwrap();
    assert_eq!(source(&seen, "R9A")["outcome"], "answered");
    assert!(rows(&seen).iter().any(|(category, row)| *category == "allergies" && row["source"]["ods"] == "Y91002"));
    let query = query_id(&seen);
    let granted = decision(network, "R9A", &query);
    assert_eq!((&granted["outcome"], &granted["purpose"]), (&"answered".into(), &"ETREAT".into()));
    for ods in ["R9X", "R9A", "Y91002"] {
        let alert = entry(network, ods, &query, |entry| entry["kind"] == "ALERT");
        assert_eq!(alert["outcome"], "self-claimed", "{alert:#}");
    }
}

#[test]
fn a_paramedic_without_a_relationship_sees_nothing_in_direct_care_and_nobody_is_alerted() {
    let network = demo();
    let refused = view(network, "R9X-par", &ben(), &[]).expect_status(4).unwrap();
    let seen = refused.json().unwrap();
    assert!(rows(&seen).is_empty());
    assert_eq!(source(&seen, "R9A")["outcome"], "nothing-shareable");
    let query = query_id(&seen);
    let denied = decision(network, "R9A", &query);
    assert_eq!((&denied["outcome"], &denied["cause"]), (&"nothing-shareable".into(), &"no-relationship".into()));
    for ods in ["R9X", "R9A"] {
        assert!(!entries(network, ods, &query).iter().any(|entry| entry["kind"] == "ALERT"));
    }
}

/// Asks as one of the home's staff and as the practice, and compares with one column.
fn check(profile: &str, column: impl Fn(&Row) -> char) {
    let network = demo();
    let cells: BTreeMap<&str, char> = TABLE.iter().map(|row| (row.0, column(row))).collect();
    let output: Output = view(network, profile, &ada(), &[]).expect_status(0).unwrap();
    let seen = output.json().unwrap();

    // Nothing that the table does not open, and nothing in a fuller form than it says.
    let mut forms: BTreeMap<(String, String), String> = BTreeMap::new();
    for (category, row) in rows(&seen) {
        let form = row["form"].as_str().unwrap();
        match cells[category] {
            'A' => {}
            'S' => assert_eq!(form, "summary", "{category} {}", row["id"]),
            cell => panic!("{profile} sees {category} {}, where the table has {cell}", row["id"]),
        }
        for place in places(row) {
            forms.insert(place, form.to_owned());
        }
    }
    let closed: BTreeSet<&str> =
        cells.iter().filter(|(_, cell)| **cell == '–').map(|(category, _)| *category).collect();
    let said: BTreeSet<&str> =
        seen["role_cannot_see"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
    assert_eq!(said, closed, "what the role cannot see is said");

    // Everything that it opens: what the practice sees in full carries no label, so the cell alone decides.
    let whole = view(network, "Y91001-gp", &ada(), &[]).expect_status(0).unwrap().json().unwrap();
    let mut compared = BTreeSet::new();
    for (category, row) in rows(&whole).into_iter().filter(|(_, row)| row["form"] == "full") {
        let place = (row["source"]["ods"].to_string(), row["id"].to_string());
        match cells[category] {
            'A' => assert_eq!(forms.get(&place).map(String::as_str), Some("full"), "{profile} {category} {place:?}"),
            // Without a code there is nothing to summarise; such entries are counted.
            'S' if row["code"].is_string() => {
                assert_eq!(forms.get(&place).map(String::as_str), Some("summary"), "{profile} {category} {place:?}");
            }
            _ => assert_ne!(forms.get(&place).map(String::as_str), Some("full"), "{profile} {category} {place:?}"),
        }
        compared.insert(category);
    }
    for category in ["allergies", "medications", "problems", "results", "discharge", "vitals"] {
        assert!(compared.contains(category), "nothing to compare in {category}");
    }

    // The hospital's log says the same, cell by cell.
    let decided = decision(network, "R9A", &query_id(&seen));
    assert_eq!(decided["outcome"], "answered");
    for cell in decided["cells"].as_array().unwrap() {
        let Some(letter) = cells.get(cell["category"].as_str().unwrap()) else { continue };
        if cell["labels"].as_array().is_some_and(Vec::is_empty) {
            let access = match letter {
                'A' => "full",
                'S' => "summary",
                _ => "none",
            };
            assert_eq!(cell["access"], access, "{cell}");
        }
    }
}

/// Where an entry is held: its own place and those of its copies.
fn places(row: &Value) -> Vec<(String, String)> {
    let own = (row["source"]["ods"].to_string(), row["id"].to_string());
    let copies = row["also_at"].as_array().into_iter().flatten();
    std::iter::once(own).chain(copies.map(|copy| (copy["ods"].to_string(), copy["id"].to_string()))).collect()
}

/// Category, registered nurse of a home, carer.
type Row = (&'static str, char, char);

const TABLE: [Row; 23] = [
    ("demographics", 'A', 'A'),
    ("allergies", 'A', 'A'),
    ("flags", 'A', 'A'),
    ("advance-care", 'A', 'A'),
    ("aboutme", 'A', 'A'),
    ("medications", 'A', 'A'),
    ("problems", 'A', 'S'),
    ("results", 'A', '–'),
    ("imaging", 'A', '–'),
    ("vitals", 'A', '–'),
    ("discharge", 'A', 'S'),
    ("letters", 'S', '–'),
    ("procedures", 'S', '–'),
    ("encounters", 'S', '–'),
    ("immunisations", 'A', 'A'),
    ("appointments", 'A', 'A'),
    ("careteam", 'A', 'A'),
    ("careplan", 'A', 'A'),
    ("assessments", 'A', 'S'),
    ("referrals", 'S', '–'),
    ("socialcare", 'S', 'S'),
    ("safeguarding", 'S', '–'),
    ("redbag", 'A', 'A'),
];
