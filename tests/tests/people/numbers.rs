//! Under which number? Replaced and withdrawn ones, ones that must never be linked, and registrations made twice.

use careweave_tests::population::hard::{self, HardPerson};

use super::{
    answered, every_form, facts, listed, not_matched, not_warned, nowhere, printed, see, silent, spaced, warned,
};
use crate::scene::{Patient, assert_clean, decision, demo, query_id, rows, source};

#[test]
fn whoever_asks_under_either_number_of_one_person_sees_what_is_held_under_both() {
    let (old, new) = (hard::superseded_old(), hard::superseded_new());
    for (asked, other) in [(new, old), (old, new)] {
        let seen = see("Y91001-gp", asked, &[]);
        assert!(warned(&seen, "CW-H031").contains(&spaced(other.nhs_number)), "{:#}", seen["warnings"]);
        assert_eq!(seen["patient"]["nhs_number"], asked.nhs_number, "the head repeats what was asked");
        for ods in ["R9A", "R9C"] {
            answered(&seen, ods);
        }
        // Held under the old number by somebody who knows only that one, and it could kill.
        assert_eq!(facts(&seen, "allergies"), ["Latex allergy"]);
        assert_eq!(listed(&seen, "discharge"), ["R9A: Discharge summary"]);
        assert!(listed(&seen, "problems").contains(&"Y91001: Heart failure".to_owned()));
        for id in ["CW-H001", "CW-H002", "CW-H032"] {
            not_warned(&seen, id);
        }
        let table = printed("Y91001-gp", asked, "table").stdout;
        assert!(table.contains("CW-H031") && table.contains(&spaced(other.nhs_number)), "{table}");
    }
    // The twin: who has no tie to the person is told of neither, and a wrong birth date fits neither.
    let seen = see("R9C-rn", old, &[]);
    silent(&seen, "Y91001", "no-relationship");
    not_warned(&seen, "CW-H031");
    assert!(!seen.to_string().contains(new.nhs_number));
    for number in [old, new] {
        not_matched("Y91001-gp", Patient::from(number).born("1944-08-20"), "another birth date");
    }
    assert_clean(demo(), "R9C");
}

#[test]
fn an_invalidated_number_stops_at_the_own_node_and_at_any_holder_that_knows_it() {
    not_matched("Y91001-gp", hard::invalidated(), "the number was invalidated");
    // The hospital has not heard: its own record still opens, and the practice's answer does not tell why it is empty.
    let seen = see("R9A-hos", hard::invalidated(), &[]);
    assert_eq!(facts(&seen, "allergies"), ["Allergy to sulfonamide"]);
    silent(&seen, "Y91001", "not-matched: the number was invalidated");

    let seen = see("Y91002-gp", hard::invalidated_at_hospital(), &[]);
    let decided = silent(&seen, "R9A", "not-matched: the number was invalidated");
    assert_eq!(decided["detail"], "data-quality");
    assert!(facts(&seen, "allergies").is_empty(), "the hospital's aspirin allergy is not shown");
    not_matched("R9A-hos", hard::invalidated_at_hospital(), "the number was invalidated");
}

#[test]
fn nothing_leads_from_the_number_after_an_adoption_to_the_one_before_or_back() {
    let (before, after) = (hard::adoption_before(), hard::adoption_after());
    never_linked("Y91002-gp", after, before, "R9C");
    never_linked("R9A-hos", before, after, "Y91002");
    never_linked("R9A-hos", after, before, "R9C");
}

#[test]
fn nothing_leads_from_the_number_after_a_gender_recognition_to_the_one_before_or_back() {
    let (before, after) = (hard::recognition_before(), hard::recognition_after());
    never_linked("Y91001-gp", after, before, "R9M");
    never_linked("R9A-hos", before, after, "Y91001");
    never_linked("R9A-hos", after, before, "R9M");
}

/// Asks for one number, and finds nothing of the other: no row, no name, no number, no warning, and nothing in any form of output.
/// `only_other` holds something under the other number alone.
fn never_linked(profile: &str, asked: HardPerson, other: HardPerson, only_other: &str) {
    let seen = see(profile, asked, &[]);
    for id in ["CW-H002", "CW-H031", "CW-H032"] {
        not_warned(&seen, id);
    }
    assert!(!rows(&seen).is_empty());
    silent(&seen, only_other, "unknown-patient");
    if source(&seen, "R9A")["own"] == false {
        answered(&seen, "R9A");
    }
    let outputs = every_form(profile, &asked.into());
    nowhere(&outputs, &[other.nhs_number, &spaced(other.nhs_number), "replaced-by", "number-change"]);
    if other.family != asked.family {
        nowhere(&outputs, &[other.family]);
    }
    // `Daniel` begins `Danielle`; the longer name tells.
    if !asked.given.starts_with(other.given) {
        nowhere(&outputs, &[other.given]);
    }
}

#[test]
fn two_registrations_that_both_fit_release_nothing_and_leave_the_holder_something_to_correct() {
    let who = hard::duplicate_registration();
    let seen = see("Y91002-gp", who, &[]);
    let decided = silent(&seen, "R9A", "not-matched: more than one local record fits");
    assert_eq!(decided["detail"], "data-quality");
    assert!(facts(&seen, "allergies").is_empty());
    assert_eq!(listed(&seen, "problems"), ["Y91002: Hyperlipidaemia"]);
    not_matched("R9A-hos", who, "more than one local record fits");
}

#[test]
fn one_number_with_two_birth_dates_at_one_holder_releases_nothing_under_either() {
    let who = hard::duplicate_other_birth_date();
    let seen = see("Y91001-gp", who, &[]);
    let decided = silent(&seen, "R9C", "not-matched: the record under this number has another birth date");
    assert_eq!(decided["detail"], "data-quality");
    assert_eq!(listed(&seen, "problems"), ["Y91001: Eczema"]);
    for born in ["1971-01-08", "1981-01-08"] {
        not_matched("R9C-rn", Patient::from(who).born(born), "another birth date");
    }
    let query = query_id(&seen);
    assert!(decision(demo(), "R9C", &query)["counts"].as_object().unwrap().is_empty());
}
