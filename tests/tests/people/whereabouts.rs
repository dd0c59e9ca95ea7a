//! Cara, whose whereabouts are in letters, places, plans, notes and other people's addresses, and in no view.

use careweave_tests::population::{CARA_ADDRESS, CARA_CLINIC, CARA_LOCALITY, CARA_TELEPHONE};
use serde_json::json;

use super::{answered, every_form, listed, nowhere, see, warned};
use crate::scene::{ada, cara, decision, demo, query_id, rows};

#[test]
fn no_form_of_a_view_tells_where_an_address_restricted_person_lives_or_is_seen() {
    for profile in ["Y91001-gp", "R9A-hos"] {
        let outputs = every_form(profile, &cara());
        nowhere(&outputs, &[CARA_ADDRESS, CARA_LOCALITY, CARA_TELEPHONE, CARA_CLINIC, "SE1 6NM", "SE16NM", "Lounge"]);
        // Nobody local is named, by code or by name.
        let local = ["Y91002", "VL901", "FZ901", "Bermondsey", "Rotherhithe", "Walworth", "Council adult social care"];
        nowhere(&outputs, &local);
        let seen = see(profile, cara(), &[]);
        warned(&seen, "CW-H020");
        assert_eq!((&seen["patient"]["address"], &seen["patient"]["address_restricted"]), (&json!(null), &json!(true)));
    }
}

#[test]
fn what_is_not_about_whereabouts_is_shown_of_a_restricted_person_and_the_locals_answer_all_the_same() {
    let seen = see("Y91001-gp", cara(), &[]);
    for ods in ["R9A", "R9X"] {
        answered(&seen, ods);
    }
    assert!(listed(&seen, "allergies").iter().any(|allergy| allergy.contains("Allergy to peanut")));
    assert!(listed(&seen, "encounters").iter().any(|contact| contact.starts_with("R9X")));
    // The pharmacy's supply stands there without its name.
    let supplied = rows(&seen).into_iter().find(|(_, row)| row["resource_type"] == "MedicationDispense").unwrap().1;
    assert_eq!(supplied["source"]["ods"], "withheld");
    assert_eq!(supplied["dose"], "Inhale two puffs when required");
    let query = query_id(&seen);
    for ods in ["FZ901", "901", "VL901"] {
        assert_eq!(decision(demo(), ods, &query)["outcome"], "answered", "{ods}");
    }
    // A document is there, and nothing of what it says.
    let letters: Vec<_> = rows(&seen).into_iter().filter(|(category, _)| *category == "letters").collect();
    assert!(!letters.is_empty());
    assert!(letters.iter().all(|(_, row)| !row.to_string().contains("Nebuliser")), "{letters:#?}");

    // The unrestricted twin is shown with address, telephone and every local source.
    let open = see("Y91001-gp", ada(), &[]);
    assert!(open["patient"]["address"].is_string());
    assert!(open["sources"].as_array().unwrap().iter().any(|line| line["ods"] == "VL901"));
}
