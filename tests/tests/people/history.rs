//! Three thousand entries in one view: all of them, and the old ones that matter at its head.

use careweave_tests::population::hard::{self, HISTORY_ENTRIES};

use super::{answered, facts, not_warned, printed, see};
use crate::scene::rows;

#[test]
fn of_three_thousand_entries_none_is_lost_and_the_oldest_allergy_heads_the_view() {
    let who = hard::long_history();
    let seen = see("Y91001-gp", who, &["--deadline", "30s"]);
    for ods in &who.holders[1..] {
        answered(&seen, ods);
    }
    let entries: usize = rows(&seen)
        .iter()
        .map(|(_, row)| 1 + row["also_at"].as_array().unwrap().len() + row["older_versions"].as_u64().unwrap() as usize)
        .sum();
    assert_eq!(entries, HISTORY_ENTRIES);
    for count in ["entered_in_error", "unreadable", "outside_period", "about_somebody_else"] {
        assert_eq!(seen["counts"][count], 0, "{count}");
    }
    for id in ["CW-H005", "CW-H034"] {
        not_warned(&seen, id);
    }
    assert_eq!(facts(&seen, "allergies"), ["Allergy to penicillin"]);
    assert_eq!(seen["key_facts"]["allergies"][0]["date_shown"], "1961");

    // A window leaves out thousands, says so, and leaves out no allergy, problem or medicine.
    let recent = see("Y91001-gp", who, &["--since", "2026-06-01", "--deadline", "30s"]);
    assert_eq!(recent["key_facts"], seen["key_facts"]);
    for category in ["allergies", "problems", "medications"] {
        assert_eq!(
            recent["categories"][category].as_array().map(Vec::len),
            seen["categories"][category].as_array().map(Vec::len),
            "{category}"
        );
    }
    super::warned(&recent, "CW-H028");
    assert!(recent["counts"]["outside_period"].as_u64().unwrap() > 1_000, "{:#}", recent["counts"]);

    let table = printed("Y91001-gp", who, "table").stdout;
    let page = printed("Y91001-gp", who, "html").stdout;
    for shown in [&table, &page] {
        assert!(shown.contains("Allergy to penicillin") && shown.contains("Salbutamol 100micrograms/dose"));
    }
    assert!(!table.contains('…'), "something was cut");
}
