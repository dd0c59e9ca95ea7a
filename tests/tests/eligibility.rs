//! Who is answered at all: members whose key is pinned, not suspended, with people whose training and credential hold.

use std::fs;
use std::time::Duration;

use careweave_tests::network::{Network, Organisation, Staff, until};
use serde_json::Value;

use crate::scene::{ada, assert_clean, ben, decision, demo, entry, list, query_id, small, source, view};

#[test]
fn lapsed_training_stops_that_person_in_care_and_not_in_an_emergency_which_alerts() {
    let network = demo();
    let lapsed = Staff::named("Y91001-gp.lapsed").unwrap().trained_until("2026-01-31");
    network.hire(&lapsed).unwrap();
    let refused = view(network, &lapsed.profile(), &ada(), &[]);
    assert_eq!(refused.status, 6, "{}", refused.everything());
    assert_eq!(refused.field("/error/code").unwrap(), "not-eligible");
    assert_eq!(refused.field("/error/cause").unwrap(), "TRAINING_LAPSED 2026-01-31");
    let own = list(network, "Y91001", &[]);
    let about = |entry: &&Value| entry["cause"].as_str().is_some_and(|cause| cause.contains("TRAINING_LAPSED"));
    let logged = own.iter().find(about).unwrap_or_else(|| panic!("the refusal is not in the log"));
    assert_eq!(logged["actor"]["person"], lapsed.person());

    let urgent = view(network, &lapsed.profile(), &ada(), &["--for", "emergency"]).expect_status(0).unwrap();
    let query = query_id(&urgent.json().unwrap());
    assert_eq!(decision(network, "R9A", &query)["outcome"], "answered");
    let alerted = |entry: &Value| entry["kind"] == "ALERT" && entry.to_string().contains("TRAINING_LAPSED");
    entry(network, "R9A", &query, alerted);

    // A colleague with training is not held up.
    view(network, "Y91001-gp", &ada(), &[]).expect_status(0).unwrap();
}

#[test]
fn a_suspended_member_is_cut_within_a_minute_and_neither_asks_nor_is_asked() {
    let network = small(&["Y91001", "R9A", "R9X", "G9V"]);
    let before = view(&network, "R9X-par", &ben(), &["--for", "emergency"]).expect_status(0).unwrap().json().unwrap();
    assert_eq!(source(&before, "R9A")["outcome"], "answered");
    let seen = view(&network, "Y91001-gp", &ada(), &[]).expect_status(0).unwrap().json().unwrap();
    assert_eq!(source(&seen, "R9X")["asked"], true);

    network.commands().gov_suspend("R9X", "incident 12").unwrap().expect_status(0).unwrap();
    network.profile("G9V-ra").unwrap();
    network.commands().gov_publish_to("G9V-ra").unwrap().expect_status(0).unwrap();
    let cut = |entry: &Value| {
        let detail = entry["detail"].as_str().unwrap_or_default();
        entry["outcome"] == "connection-cut" && detail.contains("R9X") && detail.contains("SUSPENDED")
    };
    for ods in ["Y91001", "R9A"] {
        until(&format!("{ods} cuts R9X"), LEARNED, || {
            let admin = list(&network, ods, &["--kind", "admin"]);
            if admin.iter().any(cut) { Ok(()) } else { Err(format!("{admin:#?}")) }
        })
        .unwrap();
    }

    let answered = |entries: Vec<Value>| entries.iter().filter(|entry| entry["asker"] == "R9X").count();
    let decisions = answered(list(&network, "R9A", &["--kind", "decision"]));
    let refused = view(&network, "R9X-par", &ben(), &["--for", "emergency"]);
    assert_eq!(refused.status, 6, "{}", refused.everything());
    assert!(refused.stdout.contains("SUSPENDED"), "{}", refused.everything());
    assert_eq!(answered(list(&network, "R9A", &["--kind", "decision"])), decisions);

    // The others go on without it, and the view says so.
    let after = view(&network, "Y91001-gp", &ada(), &[]).expect_status(0).unwrap().json().unwrap();
    let line = source(&after, "R9X");
    assert_eq!((&line["outcome"], &line["asked"]), (&"not-asked".into(), &false.into()), "{line}");
    assert!(line["reason"].as_str().is_some_and(|reason| reason.contains("suspended")), "{line}");
    assert_eq!(source(&after, "R9A")["outcome"], "answered");
    for ods in ["Y91001", "R9A", "R9X"] {
        assert_clean(&network, ods);
    }
}

#[test]
fn an_employer_revokes_a_credential_alone_and_a_colleague_goes_on() {
    let network = small(&["Y91001", "R9A"]);
    view(&network, "Y91001-gp.leaver", &ada(), &[]).expect_status(0).unwrap();
    view(&network, "Y91001-gp", &ada(), &[]).expect_status(0).unwrap();
    network.commands().staff_revoke("Y91001", "gp-leaver").unwrap().expect_status(0).unwrap();
    network.reload("Y91001").unwrap();
    let refused = until("the leaver is refused", LEARNED, || {
        let asked = view(&network, "Y91001-gp.leaver", &ada(), &[]);
        if asked.status == 6 { Ok(asked) } else { Err(asked.everything()) }
    })
    .unwrap();
    assert!(refused.stdout.contains("CREDENTIAL_REVOKED"), "{}", refused.everything());
    view(&network, "Y91001-gp", &ada(), &[]).expect_status(0).unwrap();
}

#[test]
fn fewer_officers_than_the_threshold_admit_nobody_however_often_one_of_them_signs() {
    let network = Network::builder().organisations(&["Y91001", "R9A"]).establish().unwrap();
    let commands = network.commands();
    let newcomer = Organisation::find("VL901").unwrap();
    commands.node_init(newcomer, (4101, 4201), &[]).unwrap();
    let request = network.layout().node("VL901").join("enrolment-request.cbor");
    commands.gov_admit(std::slice::from_ref(&request), false).unwrap().expect_status(0).unwrap();
    let out = network.layout().post().join("next.cbor");
    let members = || commands.gov_show().unwrap().expect_status(0).unwrap().json().unwrap().to_string();
    for _ in 0..2 {
        commands.gov_sign(1).unwrap();
        let refused = commands.gov_publish(&out).unwrap();
        assert_ne!(refused.status, 0, "{}", refused.everything());
        assert!(refused.stderr.contains("hint:"), "{}", refused.everything());
        assert!(!out.exists());
        assert!(!members().contains("VL901"));
    }
    let refused = commands.gov_issue(&request, &network.layout().post().join("early.enrolment")).unwrap();
    assert_ne!(refused.status, 0, "no certificate for somebody who is no member: {}", refused.everything());

    commands.gov_sign(3).unwrap().expect_status(0).unwrap();
    commands.gov_publish(&out).unwrap().expect_status(0).unwrap();
    assert!(members().contains("VL901"));
    commands.gov_verify().unwrap().expect_status(0).unwrap();
}

#[test]
fn another_organisation_s_enrolment_is_not_installed() {
    let network = Network::builder().organisations(&["Y91001", "R9A"]).establish().unwrap();
    let node = network.layout().node("R9A");
    let chain = fs::read(node.join("trust/chain.pem")).unwrap();
    let foreign = network.layout().post().join("Y91001.enrolment");
    let refused = network.commands().cert_install(&node, &foreign).unwrap();
    assert_ne!(refused.status, 0, "{}", refused.everything());
    assert!(refused.stderr.contains("hint:"), "{}", refused.everything());
    assert_eq!(fs::read(node.join("trust/chain.pem")).unwrap(), chain, "what was installed before stays");
    let own = network.layout().post().join("R9A.enrolment");
    network.commands().cert_install(&node, &own).unwrap().expect_status(0).unwrap();
}

#[test]
fn a_node_whose_key_the_manifest_does_not_pin_gets_nothing_though_its_own_office_enrolled_it() {
    let network = small(&["Y91001", "R9A"]);
    // The same network name and the same codes, other officers, other keys.
    let other = Network::builder().organisations(&["R9X", "R9M"]).establish().unwrap();
    let address = &network.addresses("R9A").unwrap().peer;
    other.bootstrap("R9X", address).unwrap();
    other.start("R9X").unwrap();
    until("R9A refuses the stranger", LEARNED, || {
        let log = network.log("R9A");
        if log.contains("connection refused") { Ok(()) } else { Err(log) }
    })
    .unwrap();
    let seen = view(&other, "R9X-par", &ben(), &["--for", "emergency"]);
    assert_ne!(seen.status, 0, "{}", seen.everything());
    assert!(!seen.stdout.contains("Ellis, Ben") && !seen.stdout.contains("Sulfonamide"), "{}", seen.stdout);
    assert!(!list(&network, "R9A", &[]).iter().any(|entry| entry["asker"] == "R9X"));
    // Members go on as before.
    let own = view(&network, "Y91001-gp", &ada(), &[]).expect_status(0).unwrap().json().unwrap();
    assert_eq!(source(&own, "R9A")["outcome"], "answered");
}

/// How long a connected node may take to learn of a notice.
const LEARNED: Duration = Duration::from_secs(60);
