//! One person seen whole: what a view shows, from whom, and what both logs say about it afterwards.

use std::collections::BTreeSet;

use careweave_tests::network::ORGANISATIONS;
use careweave_tests::population::{CARA_ADDRESS, CARA_LOCALITY, CARA_TELEPHONE};
use serde_json::Value;

use crate::scene::{
    Patient, ada, assert_clean, cara, decision, demo, entries, entry, namesake, query_id, rows, small, source, view,
};

#[test]
fn a_gp_sees_own_problems_and_the_hospital_s_discharge_summary_each_row_with_source_and_date() {
    let view = view(demo(), "Y91001-gp", &ada(), &[]).expect_status(0).unwrap().json().unwrap();
    let rows = rows(&view);
    let from =
        |category: &str, ods: &str| rows.iter().any(|(name, row)| *name == category && row["source"]["ods"] == ods);
    assert!(from("problems", "Y91001"), "own problems");
    assert!(from("discharge", "R9A"), "the hospital's discharge summary");
    let members: BTreeSet<&str> = ORGANISATIONS.iter().map(|organisation| organisation.ods).collect();
    for (category, row) in &rows {
        let ods = row["source"]["ods"].as_str().unwrap();
        assert!(members.contains(ods), "{category} from {ods}");
        assert!(!row["source"]["name"].as_str().unwrap().is_empty());
        let dated = row["date"].is_string() || row["recorded"].is_string() || row["undated"] == true;
        assert!(dated, "{category} of {ods} {} {} has no date and does not say so", row["resource_type"], row["id"]);
    }
}

#[test]
fn every_member_of_the_network_stands_among_the_sources_with_what_came_of_asking_it() {
    let view = view(demo(), "Y91001-gp", &ada(), &[]).expect_status(0).unwrap().json().unwrap();
    assert_eq!(view["all_replied"], true);
    let listed: BTreeSet<&str> =
        view["sources"].as_array().unwrap().iter().map(|s| s["ods"].as_str().unwrap()).collect();
    assert_eq!(listed, ORGANISATIONS.iter().map(|organisation| organisation.ods).collect());
    for organisation in ORGANISATIONS {
        let line = source(&view, organisation.ods);
        let outcome = line["outcome"].as_str().unwrap();
        if organisation.holds_records() {
            assert!(matches!(outcome, "answered" | "nothing-shareable"), "{} {outcome}", organisation.ods);
            assert!(line["ms"].is_u64(), "{line}");
            assert!(line["data_to"].is_string(), "{} does not say how fresh its data is: {line}", organisation.ods);
        } else {
            assert_eq!((outcome, &line["asked"]), ("not-asked", &Value::Bool(false)));
            assert!(line["reason"].is_string(), "{line}");
        }
    }
    assert!(source(&view, "R9A")["records"].as_u64().unwrap() > 0);
}

#[test]
fn both_logs_hold_the_same_query_with_intent_and_receipt_here_and_decision_and_acknowledgement_there() {
    let network = demo();
    let query = query_id(&view(network, "Y91001-gp", &ada(), &[]).expect_status(0).unwrap().json().unwrap());
    let granted = decision(network, "R9A", &query);
    assert_eq!(granted["outcome"], "answered");
    assert_eq!(granted["asker"], "Y91001");
    assert_eq!(granted["holder"], "R9A");
    assert_eq!(granted["actor"]["group"], "GP");
    assert_eq!(granted["purpose"], "TREAT");
    assert!(granted["counts"].as_object().unwrap().contains_key("discharge"), "{granted:#}");
    assert!(!granted["policy_ids"].as_array().unwrap().is_empty());

    let intent = entry(network, "Y91001", &query, |entry| entry["kind"] == "INTENT");
    assert_eq!(intent["actor"]["ods"], "Y91001");
    let receipt = entry(network, "Y91001", &query, |entry| entry["kind"] == "RECEIPT" && entry["holder"] == "R9A");
    assert_eq!(receipt["root"], granted["root"], "what was received is what was decided");
    assert_eq!(receipt["counts"], granted["counts"]);
    let acknowledged = entry(network, "R9A", &query, |entry| entry["kind"] == "ACK");
    assert_eq!(acknowledged["receipt"], receipt["receipt"]);
    for ods in ["Y91001", "R9A"] {
        assert_clean(network, ods);
    }
}

#[test]
fn a_voluntary_worker_has_no_purpose_for_a_view_and_nobody_is_asked() {
    let network = demo();
    let refused = view(network, "8Z901-vol", &ada(), &[]);
    assert_eq!(refused.status, 4, "{}", refused.everything());
    let error = refused.json().unwrap();
    assert_eq!(error["error"]["cause"], "PURPOSE_NOT_GRANTED TREAT");
    assert!(error["error"]["hint"].is_string());
    // It never left the own node, whose log has the refusal.
    let own = crate::scene::list(network, "8Z901", &[]);
    let logged = |entry: &&Value| entry["cause"].as_str().is_some_and(|cause| cause.contains("PURPOSE_NOT_GRANTED"));
    let logged = own.iter().find(logged).unwrap_or_else(|| panic!("the refusal is not in the log: {own:#?}"));
    assert_eq!(logged["actor"]["group"], "VOL");
    let query = logged["query_id"].as_str().unwrap();
    assert!(entries(network, "R9A", query).is_empty());
}

#[test]
fn what_was_decided_can_be_explained_and_decided_again_with_the_same_result() {
    let network = demo();
    let query = query_id(&view(network, "Y91001-gp", &ada(), &[]).expect_status(0).unwrap().json().unwrap());
    let here = network.cli("Y91001-gp", &["explain", &query, "-o", "json"]).unwrap().expect_status(0).unwrap();
    assert_eq!(here.field("/query_id").unwrap(), query.as_str());
    let there = network.cli("R9A-ig", &["explain", &query, "-o", "json"]).unwrap().expect_status(0).unwrap();
    assert_eq!(there.field("/replayed_same").unwrap(), true);
    // Somebody else's query is none of a hospital doctor's business.
    let other = network.cli("R9A-hos", &["explain", &query, "-o", "json"]).unwrap();
    assert_eq!(other.status, 1, "{}", other.everything());
    assert_eq!(other.field("/error/code").unwrap(), "not-found");
}

#[test]
fn two_people_of_one_name_and_birth_date_are_never_mixed() {
    let network = demo();
    let first = view(network, "Y91001-gp", &ada(), &[]).expect_status(0).unwrap();
    let second = view(network, "Y91002-gp", &namesake(), &[]).expect_status(0).unwrap();
    assert!(!first.everything().contains(&namesake().nhs_number));
    assert!(!second.everything().contains(&ada().nhs_number));
    let identities = |view: &Value| -> BTreeSet<(String, String)> {
        let rows = rows(view);
        rows.iter().map(|(_, row)| (row["source"]["ods"].to_string(), row["id"].to_string())).collect()
    };
    let (first, second) = (identities(&first.json().unwrap()), identities(&second.json().unwrap()));
    assert!(!first.is_empty() && !second.is_empty());
    assert_eq!(first.intersection(&second).collect::<Vec<_>>(), Vec::<&(String, String)>::new());
}

#[test]
fn the_whereabouts_of_an_address_restricted_patient_are_in_no_output() {
    let network = demo();
    let patient = cara();
    let json = view(network, "Y91001-gp", &patient, &[]).expect_status(0).unwrap();
    let shown = ["view", &patient.nhs_number, "--dob", &patient.birth_date, "--family", &patient.family];
    let table = network.cli("Y91001-gp", &shown).unwrap().expect_status(0).unwrap();
    let parsed = json.json().unwrap();
    assert!(!rows(&parsed).is_empty());
    assert_eq!(parsed["patient"]["address_restricted"], true);
    for output in [&json, &table] {
        let text = output.everything().to_lowercase();
        for secret in [CARA_ADDRESS, CARA_TELEPHONE, CARA_LOCALITY, "SE1 6NM"] {
            assert!(!text.contains(&secret.to_lowercase()), "{secret} in the output of {}", output.command);
        }
    }
    // Nobody's name among the sources says in which part of the town she is seen.
    for ods in ["Y91002", "VL901", "901", "FZ901"] {
        let lines = parsed["sources"].as_array().unwrap();
        assert!(lines.iter().all(|line| line["ods"] != ods), "{ods} is named");
    }
    // The unrestricted twin is shown with address and every source.
    let open = view(network, "Y91001-gp", &ada(), &[]).expect_status(0).unwrap().json().unwrap();
    assert!(open["patient"]["address"].is_string());
    assert_eq!(source(&open, "VL901")["ods"], "VL901");
}

#[test]
fn a_person_who_has_died_is_still_seen_where_they_were_treated_and_nowhere_else() {
    let network = small(&["Y91001", "R9A"]);
    let patient = Patient {
        nhs_number: careweave_tests::population::nhs_number(15_090),
        birth_date: "1931-02-03".to_owned(),
        family: "Departed".to_owned(),
    };
    let held = serde_json::json!({"resourceType": "Patient", "id": "departed",
        "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": patient.nhs_number}],
        "name": [{"family": patient.family, "given": ["Test"]}], "birthDate": patient.birth_date,
        "deceasedDateTime": "2026-10-30",
        "generalPractitioner": [{"identifier":
            {"system": "https://fhir.nhs.uk/Id/ods-organization-code", "value": "Y91001"}}]});
    network.import_value("Y91001", &held).unwrap();
    network.import_value("R9A", &held).unwrap();

    let seen = view(&network, "Y91001-gp", &patient, &[]).expect_status(0).unwrap().json().unwrap();
    assert!(seen["patient"]["deceased"].is_object(), "{:#}", seen["patient"]);
    assert_eq!(source(&seen, "R9A")["outcome"], "answered");
    // The twin: the hospital reads its own record, and the practice, which it has no tie to, tells it nothing.
    let own = view(&network, "R9A-hos", &patient, &[]).expect_status(0).unwrap().json().unwrap();
    assert_eq!(source(&own, "R9A")["outcome"], "answered");
    assert_eq!(source(&own, "Y91001")["outcome"], "nothing-shareable");
    let refused = entries(&network, "Y91001", &query_id(&own));
    assert!(refused.iter().any(|e| e["kind"] == "DECISION" && e["cause"] == "deceased"), "{refused:#?}");
}
