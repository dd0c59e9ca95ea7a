//! The governance office over years, by the programs that people use: officers on machines of their own, everything carried as files.
//!
//! Reading order: `ceremony/people.rs` (users and the courier), `ceremony/office.rs` (the steps), then the tests: here the first manifest
//! and the officers, in `ceremony/authorities.rs` certificate authorities, in `ceremony/rules.rs` everything else that a draft changes, in
//! `ceremony/tokens.rs` keys in tokens, in `ceremony/live.rs` a running network, in `ceremony/runbook.rs` the commands of the document.

mod authorities;
mod live;
mod office;
mod openssl;
mod people;
mod rules;
mod runbook;
mod tokens;

use std::fs;

use office::{Ceremony, MEMBERS, OFFICE, ORGANISATIONS, PASSPHRASE, text};

/// Every subset of these.
fn subsets<'a>(of: &[&'a str]) -> Vec<Vec<&'a str>> {
    let chosen =
        |bits: u32| of.iter().enumerate().filter(|(i, _)| bits & (1 << i) != 0).map(|(_, name)| *name).collect();
    (0..1u32 << of.len()).map(chosen).collect()
}

/// A copy of the office as it is, in which these officers' copies are collected and the draft is published: the exit code.
fn published_with(ceremony: &Ceremony, officers: &[&str]) -> i32 {
    let copy = format!("copy-{}", officers.join("-"));
    let copied = ceremony.people.command(OFFICE, "cp").args(["-r", "governance", &copy]).status().unwrap();
    assert!(copied.success());
    for officer in officers {
        let signed = format!("{officer}.signed");
        ceremony.people.ok(OFFICE, &["gov", "collect", &signed, "--dir", &copy]);
    }
    let published = ceremony.people.run(OFFICE, &["gov", "publish", "--out", "copy.cbor", "--dir", &copy]);
    if published.status != 0 {
        assert!(published.stderr.contains("hint:"), "{}", published.everything());
    }
    published.status
}

#[test]
fn officers_on_machines_of_their_own_make_a_network_and_every_subset_below_the_threshold_is_refused() {
    let ceremony = Ceremony::drafted();
    let people = &ceremony.people;
    let separate = people.are_separate();
    let note = if separate { "separate users" } else { "NOT RUN AS ROOT: one user stands for all of them" };
    if separate {
        let key = people.path("ben", "officer/officer.key");
        for stranger in ["ada", "cy", OFFICE, MEMBERS] {
            let read = people.command(stranger, "cat").arg(&key).output().unwrap();
            assert!(!read.status.success(), "{stranger} reads an officer's key");
        }
    }
    let in_office = people.command(OFFICE, "find").args([".", "-name", "officer*"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&in_office.stdout), "", "no officer's key is in the office ({note})");

    // Nobody signs a first manifest that they have not compared.
    people.carry((OFFICE, "governance/draft.cbor"), ("ada", "draft.cbor"));
    let sign = ["gov", "sign", "--draft", "draft.cbor", "--out", "x", "--yes", "--dir", "officer"];
    let refused = people.run("ada", &[&sign[..], &PASSPHRASE].concat());
    assert_eq!(refused.status, 2, "{}", refused.everything());
    assert!(refused.stderr.contains("--pin"), "{}", refused.everything());
    let wrong = "0".repeat(64);
    let refused = people.run("ada", &[&sign[..], &["--pin", &wrong], &PASSPHRASE].concat());
    assert_eq!(refused.status, 4, "{}", refused.everything());

    let all = ["ada", "ben", "cy"];
    for officer in all {
        let read = ceremony.signs(officer, &[]).expect_status(0).unwrap();
        assert!(read.stdout.contains("+ member R9A name Organisation R9A"), "{}", read.everything());
    }
    for officers in subsets(&all) {
        let expected = if officers.len() >= 2 { 0 } else { 4 };
        assert_eq!(published_with(&ceremony, &officers), expected, "{officers:?} ({note})");
    }

    let collected = ceremony.office(&["collect", "cy.signed", "-o", "json"]).json().unwrap();
    assert_eq!(collected["signatures"]["own"]["signed"].as_array().unwrap().len(), 1, "{collected}");
    assert_eq!(collected["signatures"]["own"]["missing"].as_array().unwrap().len(), 2, "{collected}");
    assert_eq!(collected["signatures"]["enough"], false);
    ceremony.office(&["collect", "ada.signed", "ada.signed"]);
    ceremony.office(&["publish", "--out", "manifest.cbor"]);

    // Anybody verifies it, offline, without an office.
    people.carry((OFFICE, "manifest.cbor"), (MEMBERS, "manifest.cbor"));
    people.ok(MEMBERS, &["gov", "verify", "--file", "manifest.cbor", "--pin", &ceremony.pin]);
    let refused = people.run(MEMBERS, &["gov", "verify", "--file", "manifest.cbor", "--pin", &wrong]);
    assert_eq!(refused.status, 4, "{}", refused.everything());
    for ods in ORGANISATIONS {
        let enrolment = ceremony.issued(ods, &[]);
        assert!(ceremony.accepts(&enrolment));
        openssl::verify(&ceremony, &enrolment);
        people.carry((OFFICE, &format!("{ods}.enrolment")), (MEMBERS, "enrolment"));
        people.ok(MEMBERS, &["cert", "install", "--node", ods, "--enrolment", "enrolment", "--pin", &ceremony.pin]);
    }
}

#[test]
fn an_officer_is_replaced_by_both_quorums_and_has_no_say_afterwards() {
    let mut ceremony = Ceremony::begun();
    ceremony.people.arrive("dee");
    ceremony.officer("dee");
    let cy = text(&ceremony.shown()["officers"][2]);
    // An officer too few: the threshold is not met by those who stay.
    let refused = ceremony.try_office(&["propose", "--officer-out", "1", "--officer-out", "2"]);
    assert_eq!(refused.status, 4, "{}", refused.everything());
    let proposed = ceremony.office(&["propose", "--officer-in", "dee.pub", "--officer-out", prefix(&cy, 8)]);
    assert!(proposed.stdout.contains(&format!("- officer {cy}")), "{}", proposed.everything());

    let everybody = ["ada", "ben", "cy", "dee"];
    for officer in everybody {
        ceremony.signs(officer, &[]).expect_status(0).unwrap();
    }
    for officers in subsets(&everybody) {
        let of = |quorum: [&str; 3]| officers.iter().filter(|officer| quorum.contains(officer)).count();
        let enough = of(["ada", "ben", "cy"]) >= 2 && of(["ada", "ben", "dee"]) >= 2;
        assert_eq!(published_with(&ceremony, &officers), if enough { 0 } else { 4 }, "{officers:?}");
    }
    // One of those who stay, the one who goes, the one who comes: two of the old and two of the new.
    ceremony.agreed(&["ada", "cy", "dee"]);

    // Whoever was away is told how to catch up, and does.
    ceremony.office(&["propose", "--staleness", "care=48"]);
    let behind = ceremony.signs("ben", &["--no-chain"]);
    assert_eq!(behind.status, 4, "{}", behind.everything());
    assert!(behind.stderr.contains("version 3") && behind.stderr.contains("--chain"), "{}", behind.everything());
    ceremony.signs("ben", &[]).expect_status(0).unwrap();

    let gone = ceremony.signs("cy", &[]);
    assert_eq!(gone.status, 4, "{}", gone.everything());
    assert!(gone.stderr.contains("no say"), "{}", gone.everything());
    let suspend =
        ["gov", "suspend", "--ods", "R9A", "--reason", "incident", "--out", "suspension.cbor", "--dir", "officer"];
    let refused = ceremony.people.run("cy", &[&suspend[..], &PASSPHRASE].concat());
    assert_eq!(refused.status, 4, "{}", refused.everything());
    assert!(!ceremony.people.path("cy", "suspension.cbor").exists());
    let suspended = ceremony.people.ok("ada", &[&suspend[..], &PASSPHRASE].concat());
    assert!(suspended.stdout.contains("member R9A"), "{}", suspended.everything());
    ceremony.people.carry(("ada", "suspension.cbor"), (OFFICE, "suspension.cbor"));
    ceremony.office(&["collect", "suspension.cbor"]);
    assert_eq!(ceremony.shown()["suspensions"].as_array().unwrap().len(), 1);
}

#[test]
fn an_officer_who_does_not_know_yet_that_they_left_suspends_nobody() {
    let mut ceremony = Ceremony::begun();
    ceremony.people.arrive("dee");
    ceremony.officer("dee");
    // Cy has seen the first manifest and nothing after it.
    ceremony.people.carry((OFFICE, "manifest.cbor"), ("cy", "manifest.cbor"));
    ceremony.office(&["propose", "--officer-in", "dee.pub", "--officer-out", "3"]);
    ceremony.agreed(&["ada", "ben"]);
    let suspend =
        ["gov", "suspend", "--ods", "R9A", "--reason", "spite", "--out", "suspension.cbor", "--dir", "officer"];
    let follow = ["--chain", "manifest.cbor", "--pin", &ceremony.pin];
    ceremony.people.ok("cy", &[&suspend[..], &follow, &PASSPHRASE].concat());
    ceremony.people.carry(("cy", "suspension.cbor"), (OFFICE, "suspension.cbor"));
    let refused = ceremony.try_office(&["collect", "suspension.cbor"]);
    assert_eq!(refused.status, 4, "{}", refused.everything());
    assert!(refused.stderr.contains("suspension.cbor"), "{}", refused.everything());
    assert_eq!(ceremony.shown()["suspensions"].as_array().unwrap().len(), 0);
}

#[test]
fn a_draft_that_was_altered_on_its_way_is_refused_by_name_and_nothing_is_lost() {
    let ceremony = Ceremony::begun();
    ceremony.office(&["propose", "--stage", "R9A=pilot"]);
    let draft = fs::read(ceremony.people.path(OFFICE, "governance/draft.cbor")).unwrap();
    let name = b"Organisation R9C";
    let at = draft.windows(name.len()).position(|window| window == name).unwrap();
    let mut altered = draft.clone();
    altered[at] = b'0';
    ceremony.people.hand_over(&altered, ("ben", "draft.cbor"));
    // It makes sense, so an officer who does not read may sign it; the diff shows it, and the office refuses it.
    let read = ceremony.signs_what_they_have("ben", &[]).expect_status(0).unwrap();
    assert!(read.stdout.contains("~ member R9C name: Organisation R9C -> 0rganisation R9C"), "{}", read.everything());
    ceremony.signs("ada", &[]).expect_status(0).unwrap();
    let refused = ceremony.try_office(&["collect", "ben.signed", "ada.signed"]);
    assert_eq!(refused.status, 4, "{}", refused.everything());
    assert!(refused.stderr.contains("ben.signed") && refused.stderr.contains("hint:"), "{}", refused.everything());
    let kept = ceremony.office(&["collect", "-o", "json"]).json().unwrap();
    assert_eq!(kept["signatures"]["own"]["signed"].as_array().unwrap().len(), 1, "what ada signed is not lost: {kept}");

    // A signature that was altered is none.
    let mut signed = fs::read(ceremony.people.path(OFFICE, "ada.signed")).unwrap();
    *signed.last_mut().unwrap() ^= 1;
    ceremony.people.hand_over(&signed, (OFFICE, "forged.signed"));
    let refused = ceremony.try_office(&["collect", "forged.signed"]);
    assert_eq!(refused.status, 4, "{}", refused.everything());
    for (what, bytes) in [("noise", b"noise".to_vec()), ("cut", draft[..draft.len() - 1].to_vec())] {
        ceremony.people.hand_over(&bytes, ("ben", "draft.cbor"));
        let refused = ceremony.signs_what_they_have("ben", &[]);
        assert_eq!(refused.status, 4, "{what}: {}", refused.everything());
        assert!(refused.stderr.contains("draft.cbor"), "{what}: {}", refused.everything());
    }
    // With what ben signs now, there is enough; he is told that he signed another draft of this version before.
    let again = ceremony.signs("ben", &[]).expect_status(0).unwrap();
    assert!(again.stderr.contains("another draft"), "{}", again.everything());
    ceremony.office(&["collect", "ben.signed"]);
    ceremony.office(&["publish", "--out", "manifest.cbor"]);
    // The draft is published: signing it again leads nowhere.
    ceremony.people.hand_over(&draft, ("cy", "draft.cbor"));
    let late = ceremony.signs_what_they_have("cy", &[]);
    assert_eq!(late.status, 4, "{}", late.everything());
    assert!(late.stderr.contains("published already"), "{}", late.everything());
}

#[test]
fn keys_and_drafts_of_another_network_are_refused() {
    let ceremony = Ceremony::drafted();
    let people = &ceremony.people;
    let other = ["gov", "officer", "elsewhere", "--network", "county"];
    people.ok("ada", &[&other[..], &PASSPHRASE].concat());
    people.carry(("ada", "elsewhere/officer.pub"), (OFFICE, "elsewhere.pub"));
    let refused = ceremony.try_office(&["propose", "--officer-in", "elsewhere.pub"]);
    assert_eq!(refused.status, 4, "{}", refused.everything());
    assert!(refused.stderr.contains("county"), "{}", refused.everything());
    // The key of another office, and what is no key at all.
    let registrar = ["gov", "registrar", "registrar", "--network", "borough"];
    people.ok("ada", &[&registrar[..], &PASSPHRASE].concat());
    people.carry(("ada", "registrar/registrar.pub"), (OFFICE, "registrar.pub"));
    for file in ["registrar.pub", "R9A.cbor", "passphrase"] {
        let refused = ceremony.try_office(&["propose", "--officer-in", file]);
        assert_eq!(refused.status, 4, "{file}: {}", refused.everything());
    }
    people.carry((OFFICE, "governance/draft.cbor"), ("ada", "draft.cbor"));
    let sign =
        ["gov", "sign", "--draft", "draft.cbor", "--out", "x", "--yes", "--dir", "elsewhere", "--pin", &ceremony.pin];
    let refused = people.run("ada", &[&sign[..], &PASSPHRASE].concat());
    assert_eq!(refused.status, 4, "{}", refused.everything());
    assert!(refused.stderr.contains("OTHER_NETWORK") || refused.stderr.contains("county"), "{}", refused.everything());
}

/// The beginning of a hash, as somebody types it.
fn prefix(hash: &str, characters: usize) -> &str {
    hash.get(..characters).unwrap()
}
