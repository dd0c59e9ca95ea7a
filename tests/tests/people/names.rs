//! Who is it? Twins, namesakes, exchanged dates, and names that every organisation writes its own way.

use std::collections::BTreeSet;

use careweave_tests::population::hard;
use serde_json::Value;

use super::{answered, facts, listed, not_matched, not_warned, see, silent, spaced, warned};
use crate::scene::{Patient, ada, namesake, query_id, rows};

#[test]
fn nothing_of_one_twin_stands_in_a_view_of_the_other_and_the_node_says_that_there_are_two() {
    let twins = [hard::twin_first(), hard::twin_second()];
    for profile in ["Y91002-gp", "R9A-hos"] {
        let views = twins.map(|twin| see(profile, twin, &[]));
        for (view, twin) in views.iter().zip(twins) {
            assert!(warned(view, "CW-H032").contains(&spaced(twin.nhs_number)));
            let name = view["patient"]["name"].as_str().unwrap();
            assert!(name.contains(twin.given), "{name}");
        }
        let places = |view: &Value| -> BTreeSet<String> {
            rows(view).iter().map(|(_, row)| format!("{} {}", row["source"]["ods"], row["id"])).collect()
        };
        assert!(places(&views[0]).is_disjoint(&places(&views[1])));
        for (view, other) in [(&views[0], twins[1]), (&views[1], twins[0])] {
            let text = view.to_string();
            assert!(!text.contains(other.nhs_number) && !text.contains(other.given), "{} in the other's", other.given);
        }
    }
    let [first, second] = twins.map(|twin| see("Y91002-gp", twin, &[]));
    assert_eq!(facts(&first, "allergies"), ["Allergy to penicillin"]);
    assert_eq!(facts(&second, "allergies"), ["No known allergy"]);
    assert_eq!(listed(&second, "medications"), ["Y91002: Methotrexate 2.5mg tablets"]);
    for view in [&first, &second] {
        answered(view, "R9A");
        not_warned(view, "CW-H002");
    }
    // Whoever has no namesake is not warned of one.
    not_warned(&see("Y91002-gp", hard::transposed(), &[]), "CW-H032");
}

#[test]
fn two_namesakes_at_one_hospital_are_told_apart_and_the_hospital_is_warned() {
    for (asked, other) in [(ada(), namesake()), (namesake(), ada())] {
        let seen = see("R9A-hos", asked.clone(), &[]);
        assert!(warned(&seen, "CW-H032").contains(&spaced(&asked.nhs_number)));
        assert!(!seen.to_string().contains(&other.nhs_number));
    }
    // The practice holds one of them only; that another holder has both is not told on the wire.
    let seen = see("Y91001-gp", ada(), &[]);
    not_warned(&seen, "CW-H032");
    answered(&seen, "R9A");
}

#[test]
fn exchanged_day_and_month_release_nothing_and_leave_the_holder_something_to_correct() {
    let who = hard::transposed();
    let seen = see("Y91002-gp", who, &[]);
    let decided = silent(&seen, "R9A", "not-matched: day and month");
    assert_eq!(decided["detail"], "data-quality");
    answered(&seen, "FZ901");
    assert!(facts(&seen, "allergies").is_empty(), "the hospital's latex allergy is not shown");
    // In the hospital it is the own record that contradicts the right date.
    not_matched("R9A-hos", who, "day and month");
    // The twin: by the date that the hospital has, its own record opens, and now the practice's does not fit.
    let seen = see("R9A-hos", Patient::from(who).born("1962-09-04"), &[]);
    assert_eq!(facts(&seen, "allergies"), ["Latex allergy"]);
    silent(&seen, "Y91002", "not-matched: day and month");
}

#[test]
fn a_name_is_the_same_with_and_without_marks_hyphens_apostrophes_and_particles() {
    for (who, profile, typed, holders) in [
        (
            hard::diacritics(),
            "Y91001-gp",
            ["Núñez-O'Brien", "nunez obrien", "NÚÑEZ O\u{2019}BRIEN", "Nun\u{303}ez-O'Brien"].as_slice(),
            ["R9A", "R9X"].as_slice(),
        ),
        (hard::particle(), "Y91002-gp", &["van der Berg", "VAN DER BERG", "van-der-Berg"], &["R9A", "FZ901"]),
        (
            hard::decomposed(),
            "Y91001-gp",
            &["Şükrüoğlu", "Sukruoglu", "S\u{327}u\u{308}kru\u{308}og\u{306}lu"],
            &["R9A"],
        ),
    ] {
        for name in typed {
            let seen = see(profile, Patient { family: (*name).to_owned(), ..who.into() }, &[]);
            assert_eq!(seen["patient"]["identity"], "confirmed", "{name}");
            for ods in holders {
                answered(&seen, ods);
            }
        }
        not_matched(profile, Patient { family: "Somebody-Else".to_owned(), ..who.into() }, "the family name differs");
    }
}

#[test]
fn a_previous_name_fits_where_the_holder_knows_it_and_a_name_it_was_never_told_does_not() {
    let who = hard::maiden_name();
    let now = see("Y91001-gp", who, &[]);
    answered(&now, "R9A");
    silent(&now, "R9C", "not-matched: the family name differs");
    assert!(facts(&now, "allergies").is_empty());
    let before = see("Y91001-gp", Patient { family: "Drummond Hay".to_owned(), ..who.into() }, &[]);
    for ods in ["R9A", "R9C"] {
        answered(&before, ods);
    }
    assert_eq!(facts(&before, "allergies"), ["Latex allergy"]);
    assert_ne!(query_id(&now), query_id(&before));
}
