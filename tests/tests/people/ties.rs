//! Who has a reason to ask? Referrals, caseloads and stays; what is over is no reason.

use careweave_tests::population::{NHS_NUMBER_SYSTEM, ODS_SYSTEM, hard};
use serde_json::{Value, json};

use super::{answered, listed, nowhere, see, silent};
use crate::scene::{Patient, ada, assert_clean, decision, demo, entries, query_id, rows, source, view};

#[test]
fn the_settlement_sees_what_was_sent_with_the_referral_and_nothing_else() {
    let network = demo();
    let who = hard::referred();
    let for_meeting = ["--for", "meeting"];
    // Before the referral has arrived, the settlement has no reason to ask.
    let early = view(network, "8Z901-vol", &who.into(), &for_meeting);
    assert_eq!(early.status, 4, "{}", early.everything());
    silent(&early.json().unwrap(), "Y91001", "no-relationship");

    network.import_value("8Z901", &arrived(&who.into())).unwrap();
    let seen = see("8Z901-vol", who, &for_meeting);
    let decided = answered(&seen, "Y91001");
    assert!(decided["evidence"].as_array().unwrap().contains(&json!("referral")), "{decided:#}");
    let from_practice = |category: &str| -> Vec<String> {
        listed(&seen, category).into_iter().filter(|row| row.starts_with("Y91001")).collect()
    };
    assert_eq!(from_practice("allergies"), ["Y91001: Allergy to peanut"]);
    assert_eq!(from_practice("careplan"), ["Y91001: Wellbeing plan"]);
    assert_eq!(from_practice("aboutme"), ["Y91001: About me"]);
    assert_eq!(from_practice("referrals").len(), 1, "{:?}", from_practice("referrals"));
    assert_eq!(from_practice("demographics").len(), 1, "the person it is about was sent with it");
    assert!(from_practice("problems").is_empty());
    let sent: Vec<&Value> = decided["cells"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|cell| cell["category"] == "allergies" && cell["access"] == "full")
        .collect();
    assert!(sent.len() == 1 && sent[0]["sent"] == true, "{:#}", decided["cells"]);
    let outputs = [("json", seen.to_string())];
    nowhere(&outputs, &["Latex", "Heart failure", "Weigh daily"]);
    silent(&seen, "R9A", "only-what-was-sent");

    // The twins: no other purpose, and nobody who was not referred.
    let refused = view(network, "8Z901-vol", &who.into(), &[]);
    assert_eq!((refused.status, refused.field("/error/cause").unwrap()), (4, json!("PURPOSE_NOT_GRANTED TREAT")));
    let other = view(network, "8Z901-vol", &ada(), &for_meeting);
    assert_eq!(other.status, 4, "{}", other.everything());
    let other = other.json().unwrap();
    assert!(rows(&other).is_empty());
    let refused = decision(network, "Y91001", &query_id(&other));
    assert_eq!((&refused["outcome"], &refused["cause"]), (&json!("nothing-shareable"), &json!("no-relationship")));
    assert_clean(network, "Y91001");
}

#[test]
fn a_care_team_is_a_reason_to_ask_and_an_ended_one_is_not() {
    let seen = see("R9C-rn", hard::caseload(), &[]);
    let decided = answered(&seen, "Y91002");
    assert_eq!(decided["evidence"], json!(["caseload"]));
    assert!(listed(&seen, "medications").contains(&"Y91002: Metformin 500mg tablets".to_owned()));

    let ended = see("R9C-rn", hard::caseload_ended(), &[]);
    let refused = silent(&ended, "Y91002", "no-relationship");
    assert_eq!(refused["evidence"], json!([]));
    assert!(rows(&ended).iter().all(|(_, row)| row["source"]["ods"] == "R9C"));
}

#[test]
fn respite_is_a_reason_to_ask_until_its_end_whatever_its_status_says() {
    let staying = see("VL901-chn", hard::respite(), &[]);
    assert_eq!(answered(&staying, "Y91001")["evidence"], json!(["residency"]));
    assert!(listed(&staying, "medications").contains(&"Y91001: Clopidogrel 75mg tablets".to_owned()));

    let over = see("VL901-chn", hard::respite_over(), &[]);
    let refused = silent(&over, "Y91001", "no-relationship");
    assert_eq!(refused["evidence"], json!([]));
    // In an emergency the nurse's word would count, but the table gives a home's nurse no such purpose.
    let urgent = view(demo(), "VL901-chn", &hard::respite_over().into(), &["--for", "emergency"]);
    assert_eq!((urgent.status, urgent.field("/error/cause").unwrap()), (4, json!("PURPOSE_NOT_GRANTED ETREAT")));
}

#[test]
fn a_resident_in_hospital_is_still_a_resident() {
    let who = hard::in_hospital();
    let home = see("VL901-chn", who, &[]);
    assert_eq!(answered(&home, "R9A")["evidence"], json!(["residency"]));
    assert!(listed(&home, "problems").contains(&"R9A: Fracture of neck of femur".to_owned()));
    // The stay gives the ward a reason of its own.
    let ward = see("R9A-hos", who, &[]);
    assert_eq!(answered(&ward, "VL901")["evidence"], json!(["open-episode"]));
    // The twin: a hospital in which nobody stays has none.
    let discharged = see("R9A-hos", hard::superseded_new(), &[]);
    silent(&discharged, "Y91001", "no-relationship");
    assert_eq!(source(&discharged, "Y91001")["asked"], true);
    assert!(!entries(demo(), "Y91001", &query_id(&discharged)).is_empty());
}

/// The referral as it stands in the settlement's own system.
fn arrived(who: &Patient) -> Value {
    let subject = json!({"reference": "urn:uuid:5d2b3a86-33ab-4a54-9c3f-6c1a7d3f6a01"});
    let person = json!({
        "resourceType": "Patient", "id": "referred-here",
        "identifier": [{"system": NHS_NUMBER_SYSTEM, "value": who.nhs_number}],
        "name": [{"use": "official", "family": who.family, "given": ["Pearl"]}], "birthDate": who.birth_date
    });
    let referral = json!({
        "resourceType": "ServiceRequest", "id": "referral-here", "status": "active", "intent": "order",
        "code": {"text": "Referral to the settlement"}, "subject": subject, "authoredOn": "2026-01-05",
        "performer": [{"type": "Organization", "identifier": {"system": ODS_SYSTEM, "value": "8Z901"}}]
    });
    json!({"resourceType": "Bundle", "type": "collection", "entry": [
        {"fullUrl": "urn:uuid:5d2b3a86-33ab-4a54-9c3f-6c1a7d3f6a01", "resource": person},
        {"fullUrl": "urn:uuid:0c9f7c1e-64fb-4b70-8f7b-1f2f5a1f9c02", "resource": referral}
    ]})
}
