//! Certificate authorities: successors with an overlap, a compromised one, lists for other tools.

use careweave_certs::enrolment::Enrolment;

use super::office::{Ceremony, MEMBERS, OFFICE, text};
use super::{openssl, prefix};

/// Makes a successor in the office and announces it; gives its digest. Nobody has agreed yet.
fn successor(ceremony: &Ceremony, role: &str, more: &[&str]) -> String {
    let mut make = vec!["authority", role, "-o", "json"];
    make.extend(more);
    let made = ceremony.office(&make).json().unwrap();
    let file = text(&made["file"]);
    // An announcement under the wrong role is refused.
    let other = if role == "root" { "intermediate" } else { "root" };
    let refused = ceremony.try_office(&["propose", "--authority-in", &file, "--role", other]);
    assert_eq!(refused.status, 4, "{}", refused.everything());
    ceremony.office(&["propose", "--authority-in", &file, "--role", role]);
    text(&made["digest"])
}

fn assert_accepted(ceremony: &Ceremony, enrolments: &[&Enrolment]) {
    for enrolment in enrolments {
        assert!(ceremony.accepts(enrolment), "{}", enrolment.ods);
        openssl::verify(ceremony, enrolment);
    }
}

#[test]
fn the_intermediate_is_rotated_with_an_overlap_and_refused_once_it_is_retired() {
    let ceremony = Ceremony::begun();
    let old = ceremony.authority("intermediate", "active");
    let under_old = ceremony.issued("R9A", &[]);

    let new = successor(&ceremony, "intermediate", &[]);
    let early = ceremony.try_office(&["issue", "--request", "R9C.cbor", "--out", "x", "--under", prefix(&new, 8)]);
    assert_eq!(early.status, 2, "nobody has agreed to it: {}", early.everything());
    ceremony.agreed(&["ada", "ben"]);
    assert_eq!(ceremony.authority("intermediate", "next"), new);

    // Announced: accepted, and used by whoever names it.
    let still_old = ceremony.issued("R9C", &[]);
    let under_new = ceremony.issued("VL901", &["--under", prefix(&new, 8)]);
    assert_ne!(still_old.chain[1], under_new.chain[1]);
    assert_eq!(still_old.chain[1], under_old.chain[1]);
    assert_accepted(&ceremony, &[&under_old, &still_old, &under_new]);

    ceremony.office(&["propose", "--activate", prefix(&new, 12)]);
    ceremony.agreed(&["ben", "cy"]);
    let said =
        ceremony.try_office(&["issue", "--request", "R9C.cbor", "--out", "R9C.enrolment"]).expect_status(0).unwrap();
    assert!(said.stdout.contains(&new) && said.stderr.contains("overlap"), "{}", said.everything());
    assert_accepted(&ceremony, &[&under_old, &still_old, &under_new, &ceremony.issued("R9C", &[])]);

    // R9A still has only its certificate under the old one, and the office says so before anybody signs.
    let proposed = ceremony.office(&["propose", "--retire", prefix(&old, 8)]);
    assert!(proposed.stderr.contains("reissue before") && proposed.stderr.contains("R9A"), "{}", proposed.everything());
    assert!(!proposed.stderr.contains("R9C"), "R9C has one already: {}", proposed.everything());
    let renewed = ceremony.issued("R9A", &[]);
    let proposed = ceremony.office(&["propose"]);
    assert!(!proposed.stderr.contains("R9A"), "{}", proposed.everything());
    ceremony.agreed(&["ada", "cy"]);
    assert!(!ceremony.accepts(&under_old) && !ceremony.accepts(&still_old));
    assert_accepted(&ceremony, &[&under_new, &renewed]);

    let refused = ceremony.try_office(&["propose", "--retire", prefix(&new, 8)]);
    assert_eq!(refused.status, 4, "the only one stays: {}", refused.everything());
    assert!(refused.stderr.contains("intermediate"), "{}", refused.everything());
}

#[test]
fn the_root_is_rotated_with_an_overlap_and_refused_once_it_is_retired() {
    let ceremony = Ceremony::begun();
    let (old_root, old) = (ceremony.authority("root", "active"), ceremony.authority("intermediate", "active"));
    let under_old = ceremony.issued("R9A", &[]);
    for only in [&old_root, &old] {
        let refused = ceremony.try_office(&["propose", "--retire", prefix(only, 8)]);
        assert_eq!(refused.status, 4, "{}", refused.everything());
    }

    let new_root = successor(&ceremony, "root", &[]);
    let new = successor(&ceremony, "intermediate", &["--under", prefix(&new_root, 8)]);
    // A root alone carries nobody: the old intermediate is of the old root.
    let refused = ceremony.try_office(&["propose", "--retire", prefix(&old_root, 8), "--retire", prefix(&new, 8)]);
    assert_eq!(refused.status, 4, "{}", refused.everything());
    ceremony.agreed(&["ada", "ben"]);
    ceremony.office(&["propose", "--activate", prefix(&new_root, 8), "--activate", prefix(&new, 8)]);
    ceremony.agreed(&["ada", "ben"]);
    let under_new = ceremony.issued("R9C", &[]);
    assert_accepted(&ceremony, &[&under_old, &under_new]);

    ceremony.issued("R9A", &[]);
    ceremony.office(&["propose", "--retire", prefix(&old_root, 8), "--retire", prefix(&old, 8)]);
    ceremony.agreed(&["ada", "ben"]);
    assert!(!ceremony.accepts(&under_old));
    assert_accepted(&ceremony, &[&under_new]);
    let shown = ceremony.shown();
    assert_eq!(shown["authorities"].as_array().unwrap().len(), 2, "{shown}");

    // A node that follows the chain installs what is under the new root, and refuses what was under the old one.
    ceremony.people.carry((OFFICE, "R9C.enrolment"), (MEMBERS, "enrolment"));
    ceremony
        .people
        .ok(MEMBERS, &["cert", "install", "--node", "R9C", "--enrolment", "enrolment", "--pin", &ceremony.pin]);
    let stale = Enrolment { manifests: ceremony.trust().manifest_chain_after(0), ..under_old };
    ceremony.people.hand_over(&stale.to_bytes().unwrap(), (MEMBERS, "enrolment"));
    let refused = ceremony.people.run(MEMBERS, &["cert", "install", "--node", "R9A", "--enrolment", "enrolment"]);
    assert_eq!(refused.status, 4, "{}", refused.everything());
    assert!(refused.stderr.contains("CERT_INVALID"), "{}", refused.everything());
}

#[test]
fn a_tainted_intermediate_is_believed_nowhere_and_the_lists_of_other_tools_say_so() {
    let ceremony = Ceremony::begun();
    let old = ceremony.authority("intermediate", "active");
    let (r9a, r9c) = (ceremony.issued("R9A", &[]), ceremony.issued("R9C", &[]));
    let refused = ceremony.try_office(&["taint", prefix(&old, 8)]);
    assert_eq!(refused.status, 4, "the only one: {}", refused.everything());
    assert!(refused.stderr.contains("gov authority"), "{}", refused.everything());
    let unknown = ceremony.try_office(&["taint", "00000000"]);
    assert_eq!(unknown.status, 2, "{}", unknown.everything());

    let new = successor(&ceremony, "intermediate", &[]);
    ceremony.office(&["propose", "--activate", prefix(&new, 8)]);
    ceremony.agreed(&["ada", "ben"]);
    let renewed = ceremony.issued("R9A", &[]);
    let tainted = ceremony.office(&["taint", prefix(&old, 8)]);
    assert!(tainted.stdout.contains("active -> tainted"), "{}", tainted.everything());
    assert!(tainted.stderr.contains("R9C") && !tainted.stderr.contains("off: R9A"), "{}", tainted.everything());
    assert!(ceremony.accepts(&r9a), "a draft taints nobody");
    ceremony.agreed(&["ada", "cy"]);
    assert!(!ceremony.accepts(&r9a) && !ceremony.accepts(&r9c));
    assert_accepted(&ceremony, &[&renewed]);
    let refused = ceremony.try_office(&["issue", "--request", "R9C.cbor", "--out", "x", "--under", prefix(&old, 8)]);
    assert_eq!(refused.status, 2, "{}", refused.everything());
    let refused = ceremony.try_office(&["propose", "--activate", prefix(&old, 8)]);
    assert_eq!(refused.status, 4, "what is tainted stays so: {}", refused.everything());

    // R9C leaves; its certificate under the new one is listed there, the tainted intermediate on the root's list.
    let r9c = ceremony.issued("R9C", &[]);
    ceremony.office(&["propose", "--remove", "R9C"]);
    ceremony.agreed(&["ada", "ben"]);
    ceremony.office(&["crl", "--out", "lists"]);
    let listed = ceremony.office(&["crl", "--out", "lists", "-o", "json"]).json().unwrap();
    assert!(listed.as_array().unwrap().iter().all(|list| list["number"] == 2), "{listed}");
    let people = &ceremony.people;
    let of_root = openssl::list(people, "governance/authority/root.pem", "lists/root.crl.pem");
    assert!(of_root.contains(&openssl::serial(&r9a.chain[1], people)), "{of_root}");
    assert!(of_root.contains("CA Compromise"), "{of_root}");
    let of_new = openssl::list(people, "governance/authority/intermediate-2.pem", "lists/intermediate-2.crl.pem");
    assert!(of_new.contains(&openssl::serial(&r9c.chain[0], people)), "{of_new}");
    assert!(of_new.contains("Cessation Of Operation"), "{of_new}");
    assert!(!of_new.contains(&openssl::serial(&renewed.chain[0], people)), "R9A's runs: {of_new}");
}
