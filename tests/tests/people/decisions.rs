//! Death that is disputed, and advance decisions that contradict one another, were taken back or are out of date.

use std::collections::BTreeSet;

use careweave_tests::population::hard;
use serde_json::{Value, json};

use super::{answered, facts, listed, not_warned, printed, see, silent, warned};

#[test]
fn death_recorded_anywhere_is_said_with_every_source_and_that_it_is_disputed() {
    let who = hard::death_disputed();
    let seen = see("Y91002-gp", who, &[]);
    let dead = &seen["patient"]["deceased"];
    assert_eq!(dead["disputed"], true, "{dead:#}");
    let sources: BTreeSet<&str> =
        dead["sources"].as_array().unwrap().iter().map(|s| s["ods"].as_str().unwrap()).collect();
    assert_eq!(sources, BTreeSet::from(["Y91002", "R9C"]));
    let told = warned(&seen, "CW-H003");
    assert!(told.contains("Y91002") && told.contains("R9C") && !told.contains("R9A"), "{told}");
    warned(&seen, "CW-H004");
    // The practice treated last, so it sees what the others hold; the later contact is there.
    for ods in ["R9A", "R9C"] {
        answered(&seen, ods);
    }
    assert!(listed(&seen, "encounters").contains(&"R9A: Consultation".to_owned()), "{:?}", listed(&seen, "encounters"));
    let table = printed("Y91002-gp", who, "table").stdout;
    assert!(table.contains("CW-H003") && table.contains("CW-H004"), "{table}");
    // The twin: the hospital has no tie to the practice, to which the person is dead. Its own record says alive.
    let seen = see("R9A-hos", who, &[]);
    assert_eq!(silent(&seen, "Y91002", "deceased")["deceased"], true);
    assert!(seen["patient"]["deceased"].is_null(), "{:#}", seen["patient"]);
    not_warned(&seen, "CW-H003");
}

#[test]
fn a_dnacpr_flag_beside_a_plan_to_attempt_resuscitation_is_a_conflict_in_which_nobody_wins() {
    let who = hard::dnacpr_conflict();
    let seen = see("Y91001-gp", who, &[]);
    warned(&seen, "CW-H018");
    let found: Vec<&Value> =
        seen["conflicts"].as_array().unwrap().iter().filter(|c| c["kind"] == "advance-care").collect();
    assert_eq!(found.len(), 1, "{found:#?}");
    let mut sides: Vec<(&str, &str)> = found[0]["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|side| (side["source"]["ods"].as_str().unwrap(), side["resource_type"].as_str().unwrap()))
        .collect();
    sides.sort_unstable();
    assert_eq!(sides, [("R9A", "DocumentReference"), ("Y91001", "Flag")]);
    let heads = seen["key_facts"]["advance_care"].as_array().unwrap();
    assert_eq!(heads.len(), 2, "{heads:#?}");
    assert!(heads.iter().all(|fact| fact["conflict"] == true), "{heads:#?}");
    for form in ["table", "html"] {
        let shown = printed("Y91001-gp", who, form).stdout;
        assert!(shown.contains("CONFLICT: check the original") && shown.contains("CW-H018"), "{form}");
    }
    // No filter takes it away.
    let filtered = see("Y91001-gp", who, &["--category", "results", "--since", "2099-01-01"]);
    assert_eq!(filtered["key_facts"]["advance_care"], seen["key_facts"]["advance_care"]);
    warned(&filtered, "CW-H018");
}

#[test]
fn no_revoked_decision_stands_among_the_key_facts_and_that_there_was_one_is_said() {
    let seen = see("Y91002-gp", hard::dnacpr_revoked(), &[]);
    assert_eq!(facts(&seen, "advance_care"), Vec::<String>::new());
    assert_eq!(facts(&seen, "flags"), Vec::<String>::new());
    let told = warned(&seen, "CW-H019");
    assert!(told.contains("Y91002") && told.contains("R9A"), "{told}");
    not_warned(&seen, "CW-H018");
    // Entered in error: counted, not listed.
    warned(&seen, "CW-H023");
    assert_eq!(seen["counts"]["entered_in_error"], 1);
    let shown = listed(&seen, "advance-care");
    assert_eq!(shown.len(), 3, "{shown:?}");
    assert!(shown.iter().all(|row| !row.starts_with("R9C")), "{shown:?}");
    assert!(!shown.is_empty(), "what ended is still in its category");
}

#[test]
fn a_decision_whose_review_is_overdue_is_to_be_checked_and_one_whose_time_is_over_does_not_head_the_view() {
    let seen = see("Y91001-gp", hard::dnacpr_review_overdue(), &[]);
    warned(&seen, "CW-H018");
    assert!(warned(&seen, "CW-H019").contains("R9A"));
    let heads = seen["key_facts"]["advance_care"].as_array().unwrap();
    assert_eq!(heads.len(), 1, "{heads:#?}");
    assert_eq!((&heads[0]["text"], &heads[0]["conflict"]), (&json!("ReSPECT plan"), &json!(true)));
    assert_eq!(heads[0]["sources"][0]["ods"], "Y91001");
    let about = seen["conflicts"].as_array().unwrap();
    assert!(about.iter().any(|c| c["kind"] == "advance-care"), "{about:#?}");
    // The twin: where there is no decision at all, nothing is called a conflict.
    let without = see("Y91001-gp", hard::diacritics(), &[]);
    for id in ["CW-H018", "CW-H019"] {
        not_warned(&without, id);
    }
}
