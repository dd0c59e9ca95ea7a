//! How the command line behaves towards people and scripts: exit codes, errors as JSON, hints, and silence about patients.

use careweave_tests::network::Output;
use serde_json::Value;

use crate::scene::{ada, demo, small, view};

#[test]
fn a_command_that_makes_no_sense_ends_with_2_and_says_what_does() {
    let network = demo();
    for arguments in [
        &["veiw"][..],
        &["view", "9990010014"],
        &["view", "9990010013", "--dob", "31/02/1938", "--family", "Okafor"],
        &["view", "9990010013", "--category", "gossip"],
        &["import"],
        &["audit", "list", "--kind", "rumour"],
        // Nobody can be asked for what is left out: there is no terminal.
        &["view", "9990010013", "--dob", "1938-03-14"],
    ] {
        let plain = network.cli("Y91002-gp", arguments).unwrap();
        assert_eq!(plain.status, 2, "{arguments:?} {}", plain.everything());
        assert_eq!(plain.stdout, "");
        let lines: Vec<&str> = plain.stderr.lines().collect();
        assert!(
            matches!(lines[..], [error, hint] if error.starts_with("error: ") && hint.starts_with("hint: ")),
            "{lines:?}"
        );
        assert!(!plain.stderr.contains("9990010014"), "an error repeats what may be an NHS number");
        let json: Vec<&str> = arguments.iter().copied().chain(["-o", "json"]).collect();
        let error = error(&network.cli("Y91002-gp", &json).unwrap(), 2);
        assert_eq!(error["code"], "usage", "{arguments:?}");
    }
}

#[test]
fn a_node_that_is_not_running_is_exit_1_with_a_hint_and_no_data() {
    let network = small(&["Y91001", "R9A"]);
    network.stop("Y91001").unwrap();
    let refused = view(&network, "Y91001-gp", &ada(), &[]);
    let error = error(&refused, 1);
    assert_eq!(error["code"], "not-reachable");
    assert!(error["hint"].as_str().unwrap().contains("careweaved"));
    network.start("Y91001").unwrap();
    network.wait_connected("Y91001").unwrap();
    view(&network, "Y91001-gp", &ada(), &[]).expect_status(0).unwrap();
}

#[test]
fn what_a_credential_does_not_allow_is_exit_4_and_names_the_scope() {
    let network = demo();
    for (profile, arguments, scope) in [
        ("Y91001-gp", &["node", "peers"][..], "operate"),
        ("Y91001-gp", &["audit", "list"], "audit"),
        ("Y91001-it", &["audit", "verify"], "audit"),
        ("Y91001-ig", &["node", "peers"], "operate"),
    ] {
        let json: Vec<&str> = arguments.iter().copied().chain(["-o", "json"]).collect();
        let error = error(&network.cli(profile, &json).unwrap(), 4);
        assert_eq!(error["code"], "not-allowed", "{profile} {arguments:?}");
        assert!(error["message"].as_str().unwrap().contains(scope), "{profile} {arguments:?} {error:#}");
    }
    // Whoever runs the node sees no patient, for whatever purpose.
    for purpose in ["care", "emergency"] {
        let refused = view(demo(), "Y91001-it", &ada(), &["--for", purpose]);
        assert_eq!(refused.status, 4, "{}", refused.everything());
        assert!(refused.field("/error/cause").unwrap().as_str().unwrap().starts_with("PURPOSE_NOT_GRANTED"));
    }
}

#[test]
fn the_directory_lists_members_by_kind_and_neighbourhood() {
    let network = demo();
    let all = network.cli("Y91001-gp", &["directory", "-o", "json"]).unwrap().expect_status(0).unwrap().json().unwrap();
    assert_eq!(all.as_array().unwrap().len(), network.organisations().len());
    let filter = ["directory", "--neighbourhood", "walworth", "--type", "voluntary", "-o", "json"];
    let found = network.cli("Y91001-gp", &filter).unwrap().expect_status(0).unwrap().json().unwrap();
    let codes: Vec<&Value> = found.as_array().unwrap().iter().map(|member| &member["ods"]).collect();
    assert_eq!(codes, ["8Z901"]);
}

#[test]
fn a_node_says_how_it_is_and_whom_it_reaches() {
    let network = demo();
    let status = network.cli("Y91001-it", &["node", "status", "-o", "json"]).unwrap().expect_status(0).unwrap();
    let status = status.json().unwrap();
    let members = network.organisations().len();
    assert_eq!((&status["ods"], &status["members"]), (&"Y91001".into(), &members.into()));
    assert_eq!(status["connected"], members - 1);
    assert!(status["beacon_age"].is_u64(), "no beacon was seen: {status:#}");
    let peers = network.cli("Y91001-it", &["node", "peers", "-o", "json"]).unwrap().expect_status(0).unwrap();
    assert_eq!(peers.json().unwrap().as_array().unwrap().len(), members - 1);
}

#[test]
fn the_own_record_fills_in_birth_date_and_family_name_only_for_whoever_confirms() {
    let network = demo();
    let patient = ada();
    let confirmed = network.cli("Y91001-gp", &["view", &patient.nhs_number, "--yes", "-o", "json"]).unwrap();
    assert_eq!(confirmed.status, 0, "{}", confirmed.everything());
    let unconfirmed = network.cli("Y91001-gp", &["view", &patient.nhs_number, "-o", "json"]).unwrap();
    assert_eq!(unconfirmed.status, 2, "{}", unconfirmed.everything());
    assert!(!unconfirmed.everything().contains("1938-03-14"), "shown to somebody who cannot confirm it");
}

/// The error in what a command printed as JSON.
fn error(output: &Output, status: i32) -> Value {
    assert_eq!(output.status, status, "{} {}", output.command, output.everything());
    let error = output.field("/error").unwrap();
    for field in ["code", "cause", "message", "hint"] {
        assert!(error.get(field).is_some(), "{field} is missing in {error:#}");
    }
    assert!(error["hint"].is_string(), "{error:#}");
    error
}
