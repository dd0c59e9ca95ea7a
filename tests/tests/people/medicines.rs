//! Forty medicines and every way in which lists contradict one another; and the two conflicts of Ada's that everybody is shown.

use std::collections::BTreeSet;

use careweave_tests::population::hard;
use serde_json::{Value, json};

use super::{answered, conflict, facts, listed, not_warned, nowhere, printed, row, see, warned};
use crate::scene::{ada, rows};

#[test]
fn every_conflict_among_forty_medicines_is_named_with_both_sides() {
    let who = hard::forty_medicines();
    let seen = see("Y91001-gp", who, &[]);
    for ods in ["R9A", "R9C", "R9M", "FZ901"] {
        answered(&seen, ods);
    }
    let products: BTreeSet<&str> = medicines(&seen).iter().map(|row| row["text"].as_str().unwrap()).collect();
    assert!(products.len() >= 40, "{} products: {products:#?}", products.len());

    for (id, kind, subject, sources) in [
        ("CW-H010", "status", "ramipril", ["Y91001", "R9A"].as_slice()),
        ("CW-H010", "status", "apixaban", &["Y91001", "R9A"]),
        ("CW-H011", "dose", "bisoprolol", &["Y91001", "R9A"]),
        ("CW-H011", "dose", "insulin glargine", &["Y91001", "R9C"]),
        ("CW-H011", "dose", "methotrexate", &["Y91001", "R9A"]),
        ("CW-H012", "duplicate", "atorvastatin", &["Y91001"]),
        ("CW-H012", "duplicate", "paracetamol", &["Y91001"]),
        ("CW-H013", "discharge-change", "bisoprolol", &["Y91001", "R9A"]),
        ("CW-H013", "discharge-change", "ramipril", &["Y91001", "R9A"]),
        ("CW-H013", "discharge-change", "lansoprazole", &["R9A"]),
        ("CW-H014", "not-dispensed", "amlodipine", &["Y91001"]),
    ] {
        let found = conflict(&seen, kind, subject);
        assert_eq!(found["id"], id, "{kind} {subject}");
        let sides: BTreeSet<&str> =
            found["entries"].as_array().unwrap().iter().map(|side| side["source"]["ods"].as_str().unwrap()).collect();
        for ods in sources {
            assert!(sides.contains(ods), "{kind} {subject}: {sides:?}");
        }
        assert!(warned(&seen, id).contains(subject), "{subject} in {id}: {}", warned(&seen, id));
    }
    // What is dispensed, dose and product alike, is no conflict.
    for subject in ["digoxin", "gabapentin", "folic acid", "hydroxocobalamin"] {
        let all = seen["conflicts"].as_array().unwrap();
        assert!(all.iter().all(|conflict| conflict["subject"] != subject), "{subject}: {all:#?}");
    }
}

#[test]
fn words_without_codes_codes_against_words_and_codes_out_of_use_are_each_said() {
    let seen = see("Y91001-gp", hard::forty_medicines(), &[]);
    let uncoded = warned(&seen, "CW-H035");
    for words in ["Sleeping remedy from the market", "Co-proxamol"] {
        assert!(uncoded.contains(words), "{uncoded}");
    }
    assert!(warned(&seen, "CW-H036").contains("Mirtazapine 15mg tablets"));
    assert!(warned(&seen, "CW-H041").contains("Angina"));
    // Neither the words nor the code is dropped.
    let picked = row(&seen, "medications", "Y91001", "Mirtazapine 15mg tablets");
    assert_eq!(picked["code"], "386849001");
    assert!(!picked["notes"].as_array().unwrap().is_empty());
    assert_eq!(
        row(&seen, "medications", "Y91001", "Levothyroxine")["dose"],
        "Take one hundred micrograms each morning before breakfast"
    );
    // A label hides why, never what.
    let quetiapine = row(&seen, "medications", "R9M", "Quetiapine 25mg tablets");
    assert_eq!((&quetiapine["dose"], &quetiapine["form"]), (&json!("Take one at night"), &json!("essential")));
    nowhere(&[("json", seen.to_string())], &["Evening agitation"]);
    for id in ["CW-H036", "CW-H041"] {
        not_warned(&see("Y91001-gp", hard::sealed(), &[]), id);
    }
}

#[test]
fn no_drug_and_no_dose_is_cut_in_a_table() {
    let who = hard::forty_medicines();
    let seen = see("Y91001-gp", who, &[]);
    let table = printed("Y91001-gp", who, "table").stdout;
    let words: Vec<&str> = table.split_whitespace().collect();
    for medicine in medicines(&seen) {
        for part in ["text", "dose"] {
            let Some(text) = medicine[part].as_str() else { continue };
            // Wrapped text has other columns between its lines, so every word is looked for and none may be shortened.
            for word in text.split_whitespace() {
                assert!(words.iter().any(|shown| shown.contains(word)), "{word} of {text}");
            }
        }
    }
    assert!(!table.contains('…'), "something was cut");
    for id in ["CW-H010", "CW-H011", "CW-H012", "CW-H013", "CW-H014", "CW-H035", "CW-H036"] {
        assert!(table.contains(id), "{id}");
    }
}

#[test]
fn no_filter_takes_a_medicine_away() {
    let who = hard::forty_medicines();
    let all = listed(&see("Y91001-gp", who, &[]), "medications");
    for more in [["--since", "2099-01-01"], ["--until", "1990-01-01"], ["--category", "results"]] {
        assert_eq!(listed(&see("Y91001-gp", who, &more), "medications"), all, "{more:?}");
    }
}

#[test]
fn adas_apixaban_is_one_group_of_two_rows_and_a_conflict() {
    let seen = see("Y91001-gp", ada(), &[]);
    let apixaban = conflict(&seen, "status", "apixaban");
    assert_eq!(apixaban["id"], "CW-H010");
    let statuses: BTreeSet<(&str, &str)> = apixaban["entries"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|side| side["resource_type"] == "MedicationRequest")
        .map(|side| (side["source"]["ods"].as_str().unwrap(), side["status"].as_str().unwrap()))
        .collect();
    assert_eq!(statuses, BTreeSet::from([("R9A", "on-hold"), ("Y91001", "active")]));
    let orders: Vec<&Value> = medicines(&seen)
        .into_iter()
        .filter(|row| row["group"] == "apixaban" && row["resource_type"] == "MedicationRequest")
        .collect();
    assert_eq!(orders.len(), 2);
    assert!(orders.iter().any(|row| row["dose"] == "Take one twice a day" && row["status"] == "active"));
    warned(&seen, "CW-H010");
}

#[test]
fn no_known_allergy_beside_an_old_anaphylaxis_is_a_conflict_that_no_date_filters() {
    for more in [[].as_slice(), &["--since", "2024-01-01"]] {
        let seen = see("Y91001-gp", ada(), more);
        warned(&seen, "CW-H015");
        let denied = conflict(&seen, "no-known-allergy", "no known allergy");
        let sides: BTreeSet<&str> =
            denied["entries"].as_array().unwrap().iter().map(|side| side["source"]["ods"].as_str().unwrap()).collect();
        assert!(sides.contains("R9X") && sides.contains("Y91001"), "{sides:?}");
        assert_eq!(facts(&seen, "allergies").first().map(String::as_str), Some("Allergy to penicillin"));
        let heads = seen["key_facts"]["allergies"].as_array().unwrap();
        assert!(heads.iter().all(|fact| fact["conflict"] == true && fact["text"] != "No known allergy"), "{heads:#?}");
        assert!(heads[0]["detail"].as_str().unwrap().contains("Anaphylaxis"), "{:#}", heads[0]);
        let penicillin = rows(&seen).into_iter().find(|(c, r)| *c == "allergies" && r["code"] == "91936005").unwrap().1;
        assert_eq!(penicillin["date"], "1998", "{more:?}");
    }
    let table = printed("Y91001-gp", ada(), "table").stdout;
    assert!(table.contains("CONFLICT") && table.contains("CW-H015"), "{table}");
}

fn medicines(view: &Value) -> Vec<&Value> {
    rows(view).into_iter().filter(|(category, _)| *category == "medications").map(|(_, row)| row).collect()
}
