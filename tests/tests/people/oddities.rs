//! Entries that say odd things: nothing is lost, nothing stops the rest, and what is odd is said.

use careweave_tests::population::hard::{self, LONG_NARRATIVE_END};
use serde_json::{Value, json};

use super::{answered, facts, listed, printed, row, see, warned};
use crate::scene::rows;

#[test]
fn dates_that_are_missing_partial_to_come_or_before_birth_are_shown_and_said() {
    let who = hard::odd_entries();
    let seen = see("Y91002-gp", who, &[]);
    answered(&seen, "R9A");
    assert_eq!(row(&seen, "problems", "Y91002", "Eczema")["date_shown"], "1987");
    assert_eq!(row(&seen, "problems", "Y91002", "Gout")["date_shown"], "Jun-1999");
    for (category, text) in
        [("problems", "Osteoarthritis"), ("medications", "Omeprazole"), ("results", "Total cholesterol")]
    {
        let entry = row(&seen, category, "Y91002", text);
        assert_eq!((&entry["undated"], &entry["date_shown"]), (&json!(true), &json!("undated")), "{text}");
    }
    let implausible = warned(&seen, "CW-H037");
    for text in ["Migraine", "Sodium in serum", "Tetanus vaccine"] {
        assert!(implausible.contains(text), "{text} in {implausible}");
    }
    // Whatever dates are asked for, what has none is listed and marked.
    let filtered = see("Y91002-gp", who, &["--since", "2098-01-01", "--until", "2098-12-31"]);
    row(&filtered, "results", "Y91002", "Total cholesterol");
    warned(&filtered, "CW-H024");
    warned(&filtered, "CW-H028");
    assert!(listed(&filtered, "results").iter().all(|result| !result.contains("Haemoglobin")));
}

#[test]
fn codes_that_are_out_of_use_empty_or_against_their_words_are_shown_with_their_words() {
    let seen = see("Y91002-gp", hard::odd_entries(), &[]);
    assert!(warned(&seen, "CW-H041").contains("Angina"));
    let against = warned(&seen, "CW-H036");
    for text in ["Asthma", "Warfarin 3mg tablets"] {
        assert!(against.contains(text), "{text} in {against}");
    }
    let diabetes = rows(&seen).into_iter().find(|(_, row)| row["code"] == "44054006").unwrap().1;
    assert_eq!(diabetes["text"], "Asthma", "the words stand as they were written");
    // A display that is empty is no reason to show nothing: the code is there to look up.
    for (category, code) in [("problems", "38341003"), ("allergies", "300916003")] {
        let entry = rows(&seen).into_iter().find(|(c, row)| *c == category && row["code"] == code).unwrap().1;
        assert!(entry["text"].as_str().unwrap().contains(code), "{entry:#}");
    }
    assert!(facts(&seen, "allergies").iter().any(|fact| fact.contains("300916003")), "{:?}", facts(&seen, "allergies"));
    for (category, row) in rows(&seen) {
        assert!(!row["text"].as_str().unwrap().trim().is_empty(), "{category} {}", row["id"]);
    }
    assert!(warned(&seen, "CW-H042").contains("Haemoglobin"));
}

#[test]
fn words_without_a_code_are_never_dropped_and_errors_are_counted() {
    let seen = see("Y91002-gp", hard::odd_entries(), &[]);
    let uncoded = warned(&seen, "CW-H035");
    for text in ["The pink antibiotic, throat closed up", "Eye drops from the hospital", "allergic to hospitals"] {
        assert!(uncoded.contains(text), "{text} in {uncoded}");
        assert!(seen["categories"].to_string().contains(text), "{text}");
    }
    row(&seen, "problems", "Y91002", "Funny turns since the accident");
    assert!(facts(&seen, "allergies").iter().any(|fact| fact.contains("pink antibiotic")));
    // Entered in error: counted once each, listed nowhere.
    assert_eq!(seen["counts"]["entered_in_error"], 2);
    warned(&seen, "CW-H023");
    assert!(listed(&seen, "problems").iter().all(|problem| !problem.contains("Epilepsy")));
    assert!(rows(&seen).iter().all(|(_, row)| row["value"] != "9.9"));
    // A role that reads codes only is told how many it does not read.
    let pharmacist = see("Y91002-pha", hard::odd_entries(), &[]);
    assert!(pharmacist["counts"]["uncoded_not_shown"].as_u64().unwrap() >= 1, "{:#}", pharmacist["counts"]);
    assert!(!pharmacist.to_string().contains("Funny turns"));
    assert!(warned(&pharmacist, "CW-H025").contains("not shown to your role"));
}

#[test]
fn what_no_category_fits_is_its_own_organisations_and_a_long_letter_is_shown_to_its_end() {
    let who = hard::odd_entries();
    let own = see("Y91002-gp", who, &[]);
    let unknown: Vec<&Value> =
        rows(&own).into_iter().filter(|(category, _)| *category == "other").map(|(_, row)| row).collect();
    assert!(unknown.iter().any(|row| row["text"] == "Something measured"), "{unknown:#?}");
    let letter = row(&own, "letters", "Y91002", "A very long letter");
    let words = letter["details"].as_array().unwrap().iter().find(|detail| detail["name"] == "text").unwrap();
    assert!(words["value"].as_str().unwrap().ends_with(LONG_NARRATIVE_END));
    assert!(printed("Y91002-gp", who, "html").stdout.contains(LONG_NARRATIVE_END));

    let elsewhere = see("R9A-hos", who, &["--for", "emergency"]);
    let decided = answered(&elsewhere, "Y91002");
    assert!(decided["counts"].get("other").is_none(), "{:#}", decided["counts"]);
    assert!(!elsewhere.to_string().contains("Something measured"));
    row(&elsewhere, "letters", "Y91002", "A very long letter");
}
