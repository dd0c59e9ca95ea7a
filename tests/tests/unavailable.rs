//! A source that does not reply is named, with whom to ring; and nothing is ever shown as absent because of it.

use std::time::{Duration, Instant};

use careweave_tests::network::Organisation;

use crate::scene::{ada, assert_clean, decision, entries, query_id, rows, small, source, view};

#[test]
fn a_stopped_hospital_is_named_with_its_duty_number_and_the_view_ends_in_time_with_exit_3() {
    let network = small(&["Y91001", "R9A", "VL901"]);
    let whole = view(&network, "Y91001-gp", &ada(), &[]).expect_status(0).unwrap().json().unwrap();
    assert_eq!(source(&whole, "R9A")["outcome"], "answered");
    assert_eq!(decision(&network, "R9A", &query_id(&whole))["outcome"], "answered");

    assert!(network.stop("R9A").unwrap(), "the hospital's node stops in order");
    let began = Instant::now();
    let output = view(&network, "Y91001-gp", &ada(), &[]).expect_status(3).unwrap();
    assert!(began.elapsed() < DEADLINE + MARGIN, "{:?}", began.elapsed());
    let partial = output.json().unwrap();
    assert_eq!(partial["all_replied"], false);
    let hospital = source(&partial, "R9A");
    assert!(matches!(hospital["outcome"].as_str(), Some("unreachable" | "timeout")), "{hospital}");
    assert_eq!(hospital["duty_contact"], Organisation::find("R9A").unwrap().duty_contact);
    assert!(rows(&partial).iter().all(|(_, row)| row["source"]["ods"] != "R9A"));
    let absences = partial["absences"].as_array().unwrap();
    assert!(!absences.is_empty());
    for absence in absences {
        assert_eq!(absence["kind"], "nothing-supplied", "{absence}");
    }
    let patient = ada();
    let shown = ["view", &patient.nhs_number, "--dob", &patient.birth_date, "--family", &patient.family];
    let table = network.cli("Y91001-gp", &shown).unwrap().expect_status(3).unwrap();
    assert!(!table.stdout.to_lowercase().contains("none recorded"), "{}", table.stdout);
    assert!(table.stdout.contains(Organisation::find("R9A").unwrap().duty_contact));
    // What was not received is in no log as received.
    let own = entries(&network, "Y91001", &query_id(&partial));
    assert!(own.iter().any(|entry| entry["kind"] == "INTENT"));
    assert!(!own.iter().any(|entry| entry["kind"] == "RECEIPT" && entry["holder"] == "R9A"));

    network.start("R9A").unwrap();
    network.wait_connected("R9A").unwrap();
    let again = view(&network, "Y91001-gp", &ada(), &[]).expect_status(0).unwrap().json().unwrap();
    assert_eq!(source(&again, "R9A")["outcome"], "answered");
    for ods in ["Y91001", "R9A", "VL901"] {
        assert_clean(&network, ods);
    }
}

/// What a view waits for its sources unless told otherwise.
const DEADLINE: Duration = Duration::from_secs(8);
/// Two programs starting and a key being unlocked on a busy machine.
const MARGIN: Duration = Duration::from_secs(7);
