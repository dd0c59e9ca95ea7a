//! Who may see it? Labels, seals, objections, a child's confidences and a safeguarding concern; each grant with its refusal.

use careweave_tests::population::hard;
use serde_json::{Value, json};

use super::{answered, break_glass, every_form, facts, listed, not_warned, nowhere, row, see, silent, warned};
use crate::scene::{Patient, assert_clean, decision, demo, query_id, rows, source, view};

#[test]
fn what_a_competent_minor_or_an_informant_told_in_confidence_is_sensitive() {
    let who = hard::child();
    let seen = see("Y91001-gp", who, &[]);
    assert_eq!(listed(&seen, "problems"), ["Y91001: Asthma"], "the practice's own confidence is closed to it as well");
    assert!(!listed(&seen, "letters").iter().any(|letter| letter.starts_with("R9C")), "{:?}", listed(&seen, "letters"));
    assert!(warned(&seen, "CW-H029").contains("sensitive"));
    closed_cell(&answered(&seen, "R9C"), "letters");
    answered(&seen, "R9A");
    let secrets = ["Contraception", "her mother is not told", "grandmother"];
    nowhere(&every_form("Y91001-gp", &who.into()), &secrets);
    // An emergency does not open it either.
    let urgent = see("Y91001-gp", who, &["--for", "emergency"]);
    assert_eq!(listed(&urgent, "problems"), ["Y91001: Asthma"]);

    // The twin: under break-glass both are read, with every word, and the view says how.
    let opened = break_glass("Y91001-gp", who, "problems,letters").expect_status(0).unwrap().json().unwrap();
    warned(&opened, "CW-H039");
    assert_eq!(row(&opened, "problems", "Y91001", "Contraception")["form"], "full");
    assert!(opened.to_string().contains("grandmother"), "{:?}", listed(&opened, "letters"));
    assert_eq!(answered(&opened, "R9C")["purpose"], "BTG");
}

#[test]
fn mental_health_detail_is_codes_for_a_gp_everything_for_its_own_staff_and_nothing_for_a_nurse() {
    let who = hard::mental_health_detail();
    let words = ["Augmentation after two courses", "Voices that nothing else", "Voices quieter", "Sister visits"];
    let gp = see("Y91002-gp", who, &[]);
    assert_eq!(row(&gp, "problems", "R9M", "Schizophrenia")["form"], "summary");
    assert!(rows(&gp).iter().any(|(c, r)| *c == "letters" && r["source"]["ods"] == "R9M" && r["form"] == "summary"));
    warned(&gp, "CW-H025");
    warned(&gp, "CW-H026");
    nowhere(&every_form("Y91002-gp", &who.into()), &words);

    // The community nurse has a reason to ask, and is told that there may be something whether or not there is.
    let nurse = see("R9C-rn", who, &[]);
    assert!(rows(&nurse).iter().all(|(c, r)| r["source"]["ods"] != "R9M"
        || *c == "medications"
        || *c == "demographics"
        || *c == "encounters"));
    assert!(listed(&nurse, "problems").iter().all(|problem| !problem.contains("Schizophrenia")));
    assert!(warned(&nurse, "CW-H029").contains("mental-health detail"));
    let other = see("R9C-rn", hard::caseload(), &[]);
    assert_eq!(other["may_exist"], nurse["may_exist"], "said of every patient alike");
    closed_cell(&answered(&nurse, "R9M"), "problems");

    // Lithium and clozapine are shown to all three, with dose; why they are given is for their own staff.
    let own = see("R9M-mhn", who, &[]);
    for (view, form) in [(&gp, "essential"), (&nurse, "essential"), (&own, "full")] {
        for (medicine, dose) in
            [("Lithium carbonate 400mg", "Take two at night"), ("Clozapine 100mg tablets", "Take one twice a day")]
        {
            let shown = row(view, "medications", "R9M", medicine);
            assert_eq!((&shown["dose"], &shown["form"]), (&json!(dose), &json!(form)), "{medicine}");
        }
    }
    for word in words {
        assert!(own.to_string().contains(word), "{word}");
    }
    not_warned(&own, "CW-H026");
}

#[test]
fn what_hiv_and_sexual_health_labels_close_is_opened_by_break_glass_and_the_medicine_is_always_shown() {
    let who = hard::sensitive_detail();
    let secrets = ["Human immunodeficiency", "Undetectable since", "Sexual health clinic", "Partner notification"];
    for more in [[].as_slice(), &["--for", "emergency"]] {
        let seen = see("Y91001-gp", who, more);
        let text = seen.to_string();
        assert!(secrets.iter().all(|secret| !text.contains(secret)), "{more:?}");
        let medicine = row(&seen, "medications", "R9A", "Dolutegravir 50mg tablets");
        assert_eq!((&medicine["dose"], &medicine["form"]), (&json!("Take one daily"), &json!("essential")));
        warned(&seen, "CW-H026");
        assert!(warned(&seen, "CW-H029").contains("sensitive"));
        closed_cell(&answered(&seen, "R9A"), "problems");
        closed_cell(&answered(&seen, "R9C"), "encounters");
    }
    nowhere(&every_form("Y91001-gp", &who.into()), &secrets);
    let opened = break_glass("Y91001-gp", who, "problems,medications,letters,encounters").expect_status(0).unwrap();
    let opened = opened.json().unwrap();
    for secret in secrets {
        assert!(opened.to_string().contains(secret), "{secret}");
    }
    assert_clean(demo(), "R9C");
}

#[test]
fn what_the_patient_sealed_is_opened_by_break_glass_only_and_the_sealed_medicine_keeps_its_dose() {
    let who = hard::sealed();
    let secrets = ["Alcohol", "Drinking again"];
    for more in [[].as_slice(), &["--for", "emergency"]] {
        let seen = see("Y91001-gp", who, more);
        assert!(secrets.iter().all(|secret| !seen.to_string().contains(secret)), "{more:?}");
        let medicine = row(&seen, "medications", "R9A", "Thiamine 100mg tablets");
        assert_eq!(medicine["dose"], "Take one three times a day");
        assert!(warned(&seen, "CW-H029").contains("sealed"));
        closed_cell(&answered(&seen, "R9A"), "problems");
    }
    let opened = break_glass("Y91001-gp", who, "problems,medications").expect_status(0).unwrap().json().unwrap();
    for secret in secrets {
        assert!(opened.to_string().contains(secret), "{secret}");
    }
}

#[test]
fn what_is_sealed_even_in_an_emergency_or_withheld_by_law_is_opened_by_nothing_and_not_hinted_at() {
    let sealed = hard::sealed_in_emergency();
    let ordered = hard::legally_restricted();
    for (who, ods, secret, categories) in
        [(sealed, "R9A", "Anxiety", "problems"), (ordered, "R9C", "Order of the court", "letters")]
    {
        let opened = break_glass("Y91002-gp", who, categories).expect_status(0).unwrap();
        let outputs = [("break-glass", opened.everything())];
        nowhere(&outputs, &[secret, "Not to be disclosed", "legal"]);
        closed_cell(&decision(demo(), ods, &query_id(&opened.json().unwrap())), categories);
        for more in [[].as_slice(), &["--for", "emergency"]] {
            let seen = see("Y91002-gp", who, more);
            assert!(!seen.to_string().contains(secret), "{secret} by {more:?}");
            answered(&seen, ods);
        }
        nowhere(&every_form("Y91002-gp", &who.into()), &[secret]);
    }
    // The twins: what is beside it is given.
    assert_eq!(facts(&see("Y91002-gp", sealed, &[]), "allergies"), ["Latex allergy"]);
    let seen = see("Y91002-gp", ordered, &[]);
    assert!(listed(&seen, "encounters").contains(&"R9C: Home visit".to_owned()), "{:?}", listed(&seen, "encounters"));
}

#[test]
fn an_objection_blocks_direct_care_and_not_an_emergency_unless_the_patient_chose_that_too() {
    let who = hard::objecting();
    let seen = see("Y91001-gp", who, &[]);
    assert_eq!(silent(&seen, "R9A", "objection")["objection"], "network");
    assert!(facts(&seen, "allergies").is_empty());
    let urgent = see("Y91001-gp", who, &["--for", "emergency"]);
    assert_eq!(answered(&urgent, "R9A")["objection"], "network");
    assert_eq!(facts(&urgent, "allergies"), ["Allergy to aspirin"]);

    let who = hard::objecting_in_emergency();
    for more in [[].as_slice(), &["--for", "emergency"]] {
        let seen = see("Y91001-gp", who, more);
        assert_eq!(silent(&seen, "R9A", "objection")["objection"], "even-emergency");
    }
    let opened = break_glass("Y91001-gp", who, "problems").expect_status(0).unwrap().json().unwrap();
    assert_eq!(silent(&opened, "R9A", "objection")["objection"], "even-emergency");
    // The own organisation is not bound by an objection to sharing.
    assert_eq!(facts(&see("R9A-hos", who, &[]), "allergies"), ["Allergy to aspirin"]);
}

#[test]
fn safeguarding_is_read_by_a_social_worker_told_of_with_a_number_to_a_gp_and_kept_from_a_carer() {
    let who = hard::safeguarded();
    let words = ["Neighbour reports", "locked kitchen"];
    let gp = see("Y91002-gp", who, &[]);
    let concerns: Vec<&Value> =
        rows(&gp).into_iter().filter(|(category, _)| *category == "safeguarding").map(|(_, row)| row).collect();
    assert_eq!(concerns.len(), 1, "{concerns:#?}");
    assert_eq!(concerns[0]["form"], "summary");
    assert!(warned(&gp, "CW-H040").contains("020 7946 0108"), "{}", warned(&gp, "CW-H040"));
    nowhere(&every_form("Y91002-gp", &who.into()), &words);
    assert_eq!(answered(&gp, "901")["counts"]["safeguarding"], 1);

    let social_worker = see("901-sw", who, &[]);
    for word in words {
        assert!(social_worker.to_string().contains(word), "{word}");
    }
    not_warned(&social_worker, "CW-H040");

    let carer = see("Y91002-chc", who, &[]);
    assert!(listed(&carer, "safeguarding").is_empty());
    not_warned(&carer, "CW-H040");
    let closed = carer["role_cannot_see"].as_array().unwrap();
    assert!(closed.contains(&json!("safeguarding")), "{closed:?}");
    assert_eq!(decision(demo(), "901", &query_id(&carer))["counts"].get("safeguarding"), None);
}

#[test]
fn a_view_that_every_other_source_refuses_and_the_own_node_has_nothing_for_exits_with_4() {
    let who: Patient = hard::objecting_in_emergency().into();
    let refused = view(demo(), "R9X-par", &who, &["--for", "emergency"]);
    // The practice gives what an emergency opens; only the hospital is bound by the objection.
    assert_eq!(refused.status, 0, "{}", refused.everything());
    let refused = view(demo(), "R9X-par", &who, &[]);
    assert_eq!(refused.status, 4, "{}", refused.everything());
    let seen = refused.json().unwrap();
    assert!(rows(&seen).is_empty());
    assert_eq!(source(&seen, "Y91001")["outcome"], "nothing-shareable");
    assert!(warned(&seen, "CW-H033").contains("Y91001"));
}

/// The DECISION has a labelled cell of this category to which nothing was given.
fn closed_cell(decided: &Value, category: &str) {
    let cells = decided["cells"].as_array().unwrap();
    let closed = cells.iter().any(|cell| {
        let labelled = cell["labels"].as_array().is_some_and(|labels| !labels.is_empty());
        cell["category"] == category && labelled && cell["access"] == "none"
    });
    assert!(closed, "no closed cell of {category} in {cells:#?}");
}
