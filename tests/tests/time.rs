//! Clocks: governance that falls silent for days and for a year, one organisation whose clock is wrong, a clock that goes back. Nodes run
//! under libfaketime and their clocks are moved while they run; nothing here restarts a node but the tests of restarting.

mod replay;

use std::time::Duration;

use careweave_tests::network::{Network, Output, process, until};
use serde_json::Value;

use crate::scene::{ada, assert_clean, decision, entries, entry, list, population, query_id, source, view};

#[test]
fn governance_that_falls_silent_closes_each_purpose_by_name_in_its_turn_and_opens_it_without_a_restart() {
    let network = start(&[OFFICE, SECOND, PRACTICE, HOSPITAL, AMBULANCE]);
    let members = [PRACTICE, HOSPITAL, AMBULANCE];
    for profile in [GP, IG, IT, "R9A-ig", "R9A-it"] {
        network.profile(profile).unwrap();
    }
    let pids = members.map(|ods| network.pid(ods).unwrap());
    let fresh = seen(&network, &[]);
    assert!(age(&network, HOSPITAL, &fresh) < 3_600, "a beacon was seen at the start");
    view(&network, IG, &ada(), AUDIT).expect_status(0).unwrap();
    assert_eq!(stale_warning(&network), None);

    // The two members that sign beacons fall silent. A few hours later somebody is warned, and nothing is refused.
    for ods in [OFFICE, SECOND] {
        network.stop(ods).unwrap();
    }
    network.move_clocks(3 * HOUR).unwrap();
    assert!(stale_warning(&network).is_some());
    let warned = seen(&network, &[]);
    assert!((3 * HOUR..4 * HOUR).contains(&age(&network, HOSPITAL, &warned)));
    view(&network, IG, &ada(), AUDIT).expect_status(0).unwrap();

    // After a day: governance's own purposes stop, by name, and care goes on. The age is in every receipt.
    network.move_clocks(25 * HOUR).unwrap();
    let day = eventually("care after a day", || view(&network, GP, &ada(), &[]), 0);
    let query = query_id(&day.json().unwrap());
    let ages: Vec<i64> = [PRACTICE, HOSPITAL].map(|ods| age(&network, ods, &query)).into();
    assert!(ages.iter().all(|age| (25 * HOUR..26 * HOUR).contains(age)), "{ages:?}");
    refused(&network, IG, AUDIT, 4, "BEACON_STALE since ");
    let logged = list(&network, PRACTICE, &["--kind", "decision"]);
    assert!(logged.iter().any(|e| e["actor"]["person"] == "ig" && says(e, "BEACON_STALE since ")), "{logged:#?}");

    // After eight days: care stops; an emergency goes on, and alerts at both ends.
    network.move_clocks(8 * DAY).unwrap();
    refused(&network, GP, &[], 4, "BEACON_STALE since ");
    let urgent = eventually("an emergency after eight days", || view(&network, GP, &ada(), EMERGENCY), 0);
    let urgent = urgent.json().unwrap();
    for ods in [HOSPITAL, AMBULANCE] {
        assert_eq!(source(&urgent, ods)["outcome"], "answered", "{urgent:#}");
    }
    let query = query_id(&urgent);
    for ods in [PRACTICE, HOSPITAL] {
        let alerted = |e: &Value| e["kind"] == "ALERT" && says(e, "BEACON_STALE since ");
        entry(&network, ods, &query, alerted);
    }
    assert_eq!(decision(&network, HOSPITAL, &query)["outcome"], "answered");
    assert!(stale_warning(&network).is_some_and(|warning| warning.starts_with("BEACON_STALE since ")));

    // One of the two is back, with the same clock as everybody: nothing else is needed.
    network.start(OFFICE).unwrap();
    let back = eventually("care when governance is back", || view(&network, GP, &ada(), &[]), 0);
    let query = query_id(&back.json().unwrap());
    assert!(age(&network, HOSPITAL, &query) < HOUR);
    view(&network, IG, &ada(), AUDIT).expect_status(0).unwrap();
    eventually("no warning any more", || status(&network), 0);
    assert_eq!(stale_warning(&network), None);

    // After more than a year everything has run out. Everybody is refused, by name, and nobody falls over.
    network.move_clocks(400 * DAY).unwrap();
    // First of all the own node's certificate: a person at the desk has nobody to talk to, which is a fault here and not a refusal.
    for arguments in [&[][..], EMERGENCY] {
        refused(&network, GP, arguments, 1, "CERT_EXPIRED");
    }
    until("connections are cut by name", PATIENCE, || {
        let log = network.log(HOSPITAL);
        if log.contains("CERT_EXPIRED") { Ok(()) } else { Err(log) }
    })
    .unwrap();
    for (ods, pid) in members.into_iter().zip(pids) {
        assert_eq!(process::running(&network.layout().node(ods)), Some(pid), "{ods} runs on");
    }

    // The clocks are put right: everything is as before, by itself.
    network.move_clocks(8 * DAY + HOUR).unwrap();
    let right = eventually("care when the clocks are right", || view(&network, GP, &ada(), &[]), 0);
    let query = query_id(&right.json().unwrap());
    assert_eq!(decision(&network, HOSPITAL, &query)["outcome"], "answered");
    for (ods, pid) in members.into_iter().zip(pids) {
        assert_eq!(network.pid(ods).unwrap(), pid, "{ods} was never restarted");
        assert!(!network.log(ods).contains("panicked"), "{}", network.log(ods));
    }
    for ods in [PRACTICE, HOSPITAL] {
        assert_clean(&network, ods);
    }

    // What was believed of a year that has not come yet does not hide the next silence.
    network.stop(OFFICE).unwrap();
    network.move_clocks(17 * DAY).unwrap();
    until("silence is noticed again", PATIENCE, || {
        let seen = view(&network, GP, &ada(), &[]);
        if seen.status == 4 && seen.stdout.contains("BEACON_STALE since ") { Ok(()) } else { Err(seen.everything()) }
    })
    .unwrap();
}

#[test]
fn an_organisation_whose_clock_is_wrong_is_named_at_both_ends_and_the_others_go_on() {
    let network = start(&[PRACTICE, HOSPITAL, AMBULANCE]);
    for profile in [GP, IT, "R9A-it", "R9X-it"] {
        network.profile(profile).unwrap();
    }
    seen(&network, &[]);
    network.move_clock(HOSPITAL, -600).unwrap();
    let skew = |profile: &str, ods: &str| {
        until(&format!("{profile} sees the clock of {ods}"), PATIENCE, || {
            let line = peer(&network, profile, ods);
            let named = line["cause"].as_str().is_some_and(|cause| cause.contains("CLOCK_SKEW"));
            if named && line["connected"] == false { Ok(line) } else { Err(format!("{line:#}")) }
        })
        .unwrap()
    };
    for (profile, ods) in [(IT, HOSPITAL), ("R9X-it", HOSPITAL), ("R9A-it", PRACTICE), ("R9A-it", AMBULANCE)] {
        let cause = skew(profile, ods)["cause"].as_str().unwrap().to_owned();
        let seconds: i64 = cause.rsplit(' ').nth(1).unwrap().parse().unwrap();
        assert!((590..=610).contains(&seconds.abs()), "{cause}");
    }
    let cut = list(&network, PRACTICE, &["--kind", "admin"]);
    let said = |e: &&Value| e["outcome"] == "connection-cut" && e["detail"].as_str().unwrap().contains("CLOCK_SKEW");
    assert!(cut.iter().any(|e| said(&e) && e["detail"].as_str().unwrap().contains(HOSPITAL)), "{cut:#?}");

    // The view says whose clock it is about, and shows what the others have.
    let partial = view(&network, GP, &ada(), &[]).expect_status(3).unwrap().json().unwrap();
    let line = source(&partial, HOSPITAL);
    assert!(line["reason"].as_str().is_some_and(|reason| reason.contains("CLOCK_SKEW")), "{line}");
    assert_eq!(source(&partial, AMBULANCE)["outcome"], "answered");
    assert_eq!(peer(&network, IT, AMBULANCE)["connected"], true);

    network.move_clock(HOSPITAL, 0).unwrap();
    eventually("care when the clock is right", || view(&network, GP, &ada(), &[]), 0);
    assert_eq!(peer(&network, IT, HOSPITAL)["cause"], Value::Null);
}

/// A network whose clocks can be moved, with everybody's records.
fn start(organisations: &[&str]) -> Network {
    let network = Network::builder().organisations(organisations).moved_clocks().start().unwrap();
    network.load(population()).unwrap();
    network
}

/// A view that must succeed; gives its query.
fn seen(network: &Network, more: &[&str]) -> String {
    query_id(&view(network, GP, &ada(), more).expect_status(0).unwrap().json().unwrap())
}

/// Asks until the command ends with this exit code.
fn eventually(what: &str, ask: impl Fn() -> Output, status: i32) -> Output {
    until(what, PATIENCE, || {
        let output = ask();
        if output.status == status { Ok(output) } else { Err(output.everything()) }
    })
    .unwrap()
}

fn refused(network: &Network, profile: &str, more: &[&str], status: i32, cause: &str) {
    let output = view(network, profile, &ada(), more);
    assert_eq!(output.status, status, "{}", output.everything());
    let said = output.field("/error/cause").unwrap();
    assert!(said.as_str().unwrap().starts_with(cause), "{said}");
}

/// The age of the newest beacon that an organisation noted beside its decision about a query.
fn age(network: &Network, ods: &str, query: &str) -> i64 {
    let decided = entries(network, ods, query).into_iter().find(|e| e["kind"] == "DECISION").unwrap();
    decided["beacon_age"].as_i64().unwrap_or_else(|| panic!("{decided:#}"))
}

fn says(entry: &Value, cause: &str) -> bool {
    entry["cause"].as_str().is_some_and(|said| said.starts_with(cause))
}

fn status(network: &Network) -> Output {
    network.cli(IT, &["node", "status", "-o", "json"]).unwrap()
}

fn stale_warning(network: &Network) -> Option<String> {
    let warnings = status(network).expect_status(0).unwrap().field("/warnings").unwrap();
    let warnings = warnings.as_array().unwrap().iter().filter_map(Value::as_str);
    warnings.filter(|warning| warning.contains("BEACON_STALE")).map(str::to_owned).next()
}

fn peer(network: &Network, profile: &str, ods: &str) -> Value {
    let peers = network.cli(profile, &["node", "peers", "-o", "json"]).unwrap().expect_status(0).unwrap();
    let peers = peers.json().unwrap();
    peers.as_array().unwrap().iter().find(|line| line["ods"] == ods).unwrap().clone()
}

/// These two sign beacons, and nobody asks them for records.
const OFFICE: &str = "G9V";
const SECOND: &str = "8Z901";
const PRACTICE: &str = "Y91001";
const HOSPITAL: &str = "R9A";
const AMBULANCE: &str = "R9X";
const GP: &str = "Y91001-gp";
const IG: &str = "Y91001-ig";
const IT: &str = "Y91001-it";
const AUDIT: &[&str] = &["--for", "audit", "--case", "AUD-3"];
const EMERGENCY: &[&str] = &["--for", "emergency"];
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// A change reaches every node within a minute.
const PATIENCE: Duration = Duration::from_secs(60);
