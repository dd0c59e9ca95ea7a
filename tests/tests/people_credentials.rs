//! What an employer does with credentials while everybody works: renews them, lets two colleagues approve what watches the others, takes
//! them back across a change of its key.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use careweave_certs::keystore::{Algorithm, PrivateKey, SoftwareKey};
use careweave_certs::staff::{self, StaffGrant, StaffRequest, renewed_name};
use careweave_certs::trust::Trust;
use careweave_certs::{layout, private_file, revocation};
use careweave_node::clock::Clock;
use careweave_protocol::cbor;
use careweave_protocol::identity::{Approval, Scope as DeskScope, StaffCredential, StaffGroup, StaffRevocation};
use careweave_protocol::key::Signer;
use careweave_protocol::limits::{CREDENTIAL_LIFE, SIGNED_MAX};
use careweave_protocol::signed::{Signed, Verified};
use careweave_protocol::time::Date;
use careweave_tests::network::{Network, Output, Staff, until};
use ring::rand::SystemRandom;
use serde_json::{Value, json};

use crate::scene::{ada, assert_clean, decision, entry, list, query_id, small, source, view};
use crate::sessions::Paused;

#[test]
fn lapsed_training_stops_one_nurse_until_a_renewal_that_their_profile_takes_in_by_itself() {
    let network = small(&[HOME, HOSPITAL]);
    let lapsed = Staff::named("Y91001-rn.lapsed").unwrap().trained_until(LAPSED);
    network.hire(&lapsed).unwrap();
    let nurse = lapsed.profile();
    let refused = view(&network, &nurse, &ada(), &[]);
    assert_eq!(refused.status, 6, "{}", refused.everything());
    assert_eq!(refused.field("/error/cause").unwrap(), format!("TRAINING_LAPSED {LAPSED}"));
    let own = list(&network, HOME, &["--kind", "decision"]);
    let about = |e: &&Value| e["outcome"] == "refused" && e["cause"].to_string().contains("TRAINING_LAPSED");
    assert_eq!(own.iter().find(about).unwrap()["actor"]["person"], "rn-lapsed");
    assert!(!list(&network, HOSPITAL, &[]).iter().any(|e| e["actor"]["person"] == "rn-lapsed"), "nobody was asked");

    // A colleague goes on, and so does the nurse in an emergency: both sides are alerted.
    let seen = view(&network, "Y91001-rn", &ada(), &[]).expect_status(0).unwrap().json().unwrap();
    assert_eq!(source(&seen, HOSPITAL)["outcome"], "answered");
    let urgent = view(&network, &nurse, &ada(), &["--for", "emergency"]).expect_status(0).unwrap();
    let query = query_id(&urgent.json().unwrap());
    assert_eq!(decision(&network, HOSPITAL, &query)["outcome"], "answered");
    for ods in [HOME, HOSPITAL] {
        entry(&network, ods, &query, |e| e["kind"] == "ALERT" && e["cause"] == format!("TRAINING_LAPSED {LAPSED}"));
    }

    // A renewal alone vouches for no training; with the day it ends, the next command works, and nothing was carried or restarted.
    let without = network.commands().staff_renew(HOME, &["--person", "rn-lapsed"]).unwrap().expect_status(3).unwrap();
    assert_eq!(without.field("/left_out/0/cause").unwrap(), format!("TRAINING_LAPSED {LAPSED}"));
    assert_eq!(view(&network, &nurse, &ada(), &[]).status, 6);
    let with = ["--person", "rn-lapsed", "--training-expires", "2099-12-31"];
    let renewed = network.commands().staff_renew(HOME, &with).unwrap().expect_status(0).unwrap();
    assert_eq!(renewed.field("/renewed/0/training_expires").unwrap(), "2099-12-31");
    let granted = view(&network, &nurse, &ada(), &[]).expect_status(0).unwrap();
    assert!(granted.stderr.contains("credential renewed until"), "{}", granted.stderr);
    assert_eq!(decision(&network, HOSPITAL, &query_id(&granted.json().unwrap()))["outcome"], "answered");
    let again = view(&network, &nurse, &ada(), &[]).expect_status(0).unwrap();
    assert!(!again.stderr.contains("credential"), "{}", again.stderr);
    for ods in [HOME, HOSPITAL] {
        assert_clean(&network, ods);
    }
}

#[test]
fn a_view_under_way_stops_when_the_credential_it_was_begun_with_ends_and_a_colleague_s_goes_on() {
    let network = small(&[HOME, HOSPITAL, SILENT]);
    for profile in ["Y91001-rn.leaving", "Y91001-rn"] {
        network.profile(profile).unwrap();
    }
    // Shorter than what a silent source is waited for (`IDLE_TIMEOUT`, 15 s): the view must not end by itself first.
    let short = StaffGrant { life: Duration::from_secs(12), ..grant() };
    let paused = Paused::new(&network, SILENT);
    let credential = issue(&network, "Y91001-rn.leaving", &short);
    hold(&network, "Y91001-rn.leaving", credential.signed());
    let ends = credential.get().not_after;
    let under_way = |profile: &'static str| view(&network, profile, &ada(), &["--deadline", "45s"]);
    let (stopped, other) = std::thread::scope(|scope| {
        let colleague = scope.spawn(|| under_way("Y91001-rn"));
        let stopped = under_way("Y91001-rn.leaving");
        let over = Clock.now().since(ends);
        assert!(Clock.now() >= ends && over < SOON, "{over:?} {}", stopped.everything());
        drop(paused);
        (stopped, colleague.join().unwrap())
    });
    // The desk hangs up on whoever's credential has ended; where its word came first, it is named.
    assert!(matches!(stopped.status, 1 | 6), "{}", stopped.everything());
    assert!(matches!(other.status, 0 | 3), "{}", other.everything());
    assert_eq!(source(&other.json().unwrap(), HOSPITAL)["outcome"], "answered");
    until("the stopped view is logged", SOON, || {
        let admin = list(&network, HOME, &["--kind", "admin"]);
        let fits = |e: &Value| {
            (&e["outcome"], &e["cause"], &e["actor"]["person"])
                == (&json!("view-stopped"), &json!("CREDENTIAL_EXPIRED"), &json!("rn-leaving"))
        };
        if admin.iter().any(fits) { Ok(()) } else { Err(format!("{admin:#?}")) }
    })
    .unwrap();
}

#[test]
fn a_scope_that_watches_others_is_not_issued_without_the_word_of_two_other_people() {
    let network = Network::builder().organisations(&[HOME, HOSPITAL]).establish().unwrap();
    let auditor = Staff { scope: Some("audit"), ..Staff::named("Y91001-rn.auditor").unwrap() };
    let post = network.layout().post();
    let [it, gp, ig] = ["Y91001-it", "Y91001-gp", "Y91001-ig"].map(|name| Staff::named(name).unwrap());
    for person in [&it, &gp, &ig] {
        network.hire(person).unwrap();
    }
    network.commands().staff_request(&auditor).unwrap().expect_status(0).unwrap();
    let approve = |about: &Staff, by: &Staff, file: &str| {
        let path = post.join(file);
        network.commands().staff_approve(about, by, &path).unwrap().expect_status(0).unwrap();
        path
    };
    let other = Staff { scope: Some("govern"), ..auditor.clone() };
    let [by_it, again, by_gp, wider, for_gp] = [
        approve(&auditor, &it, "it.approval"),
        approve(&auditor, &it, "it-again.approval"),
        approve(&auditor, &gp, "gp.approval"),
        approve(&other, &gp, "gp-govern.approval"),
        approve(&Staff { scope: Some("audit"), ..it.clone() }, &gp, "gp-about-it.approval"),
    ];
    let registered = || {
        let node = network.layout().node(HOME);
        let listed = network.programs().run(None, &["-o", "json", "staff", "list", "--node", &node.to_string_lossy()]);
        listed.unwrap().expect_status(0).unwrap().json().unwrap().as_array().unwrap().len()
    };
    let (out, before) = (post.join("auditor.credential"), registered());
    let refused: [&[&PathBuf]; 6] =
        [&[], &[&by_it], &[&by_it, &by_it], &[&by_it, &again], &[&by_it, &wider], &[&by_it, &for_gp]];
    for approvals in refused {
        let approvals: Vec<PathBuf> = approvals.iter().map(|path| (*path).clone()).collect();
        let refused = network.commands().staff_issue(&auditor, &approvals, &out).unwrap();
        assert_eq!(refused.status, 6, "{approvals:?} {}", refused.everything());
        assert!(refused.stderr.contains("APPROVAL_MISSING") && refused.stderr.contains("hint:"), "{}", refused.stderr);
        assert!(!out.exists() && registered() == before, "nothing is written: {approvals:?}");
    }

    // Nobody approves their own, nor does whoever watches already, nor somebody who was not asked whether they agree.
    let own = network.commands().staff_approve(&Staff { scope: Some("audit"), ..gp.clone() }, &gp, &out).unwrap();
    assert_eq!(own.status, 6, "{}", own.everything());
    let watcher = network.commands().staff_approve(&auditor, &ig, &out).unwrap();
    assert_eq!(watcher.status, 6, "{}", watcher.everything());
    let request = network.layout().profile(&auditor.profile()).join(layout::STAFF_REQUEST);
    let paths = [request.to_string_lossy().into_owned(), out.to_string_lossy().into_owned()];
    let unasked = ["staff", "approve", "--request", &paths[0], "--scope", "audit", "--out", &paths[1]];
    assert_eq!(network.cli("Y91001-gp", &unasked).unwrap().status, 2);
    let needless = ["staff", "approve", "--request", &paths[0], "--scope", "operate", "--out", &paths[1], "--yes"];
    assert_eq!(network.cli("Y91001-gp", &needless).unwrap().status, 2);
    assert!(!out.exists());

    network.commands().staff_issue(&auditor, &[by_it, by_gp], &out).unwrap().expect_status(0).unwrap();
    assert_eq!(registered(), before + 1);
    // The approvals are good for the renewal as well.
    network.commands().staff_renew(HOME, &["--person", "rn-auditor"]).unwrap().expect_status(0).unwrap();
}

#[test]
fn the_desk_refuses_a_credential_with_such_a_scope_that_two_people_did_not_approve() {
    let network = Network::builder().organisations(&[HOME, HOSPITAL]).start().unwrap();
    let profile = "Y91001-rn.curious";
    let curious = Staff { scope: Some("audit"), ..Staff::named(profile).unwrap() };
    // Hired without the scope: the employer's key is then misused, past `staff issue`.
    network.hire(&Staff { scope: None, ..curious.clone() }).unwrap();
    let approval = |by: &str| {
        let by = Staff::named(by).unwrap();
        network.hire(&by).unwrap();
        let path = network.layout().post().join(format!("{}.approval", by.ending));
        network.commands().staff_approve(&curious, &by, &path).unwrap().expect_status(0).unwrap();
        cbor::from_slice::<Approval>(&fs::read(path).unwrap(), 2 * SIGNED_MAX).unwrap()
    };
    let (it, again, gp) = (approval("Y91001-it"), approval("Y91001-it"), approval("Y91001-gp"));
    let audit = || network.cli(profile, &["-o", "json", "audit", "list"]).unwrap();
    for approvals in [vec![], vec![it.clone()], vec![it.clone(), again]] {
        hold(&network, profile, issue(&network, profile, &watching(approvals)).signed());
        let refused = audit();
        assert_eq!(refused.status, 6, "{}", refused.everything());
        assert_eq!(refused.field("/error/cause").unwrap(), "APPROVAL_MISSING");
        assert!(refused.field("/error/hint").unwrap().as_str().unwrap().contains("staff approve"));
    }
    assert!(network.log(HOME).contains("APPROVAL_MISSING"), "{}", network.log(HOME));
    hold(&network, profile, issue(&network, profile, &watching(vec![it, gp])).signed());
    audit().expect_status(0).unwrap();
}

#[test]
fn renewing_everybody_leaves_out_the_revoked_and_the_lapsed_and_names_them() {
    let network = Network::builder().organisations(&[HOME, HOSPITAL]).establish().unwrap();
    network.profile("Y91001-gp").unwrap();
    network.profile("Y91001-rn").unwrap();
    network.hire(&Staff::named("Y91001-pha").unwrap().trained_until(LAPSED)).unwrap();
    network.commands().staff_revoke(HOME, "rn").unwrap().expect_status(0).unwrap();
    let renewed = network.commands().staff_renew(HOME, &["--all"]).unwrap().expect_status(3).unwrap();
    assert_eq!(people(&renewed, "renewed"), ["gp"]);
    assert_eq!(people(&renewed, "left_out"), ["pha", "rn"]);
    let causes = ["/left_out/0/cause", "/left_out/1/cause"].map(|pointer| renewed.field(pointer).unwrap());
    assert_eq!(causes, [json!(format!("TRAINING_LAPSED {LAPSED}")), json!("CREDENTIAL_REVOKED")]);

    let waiting: Vec<PathBuf> = fs::read_dir(network.layout().node(HOME).join(layout::RENEWED))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(waiting, [renewed_file(&network, HOME, "gp")]);
    assert_eq!(fs::metadata(&waiting[0]).unwrap().permissions().mode() & 0o777, 0o600);
    let listed = listed(&network, HOME);
    assert_eq!(states(&listed), [("gp", "renewed"), ("rn", "revoked"), ("pha", "training-lapsed"), ("gp", "valid")]);
    let newest = listed.last().unwrap();
    assert_eq!((&newest["sds_role"], &newest["scopes"]), (&json!("R0260"), &json!([])));

    // Whoever is revoked after the renewal has nothing waiting for them; who was never there is an error, not an empty success.
    network.commands().staff_revoke(HOME, "gp").unwrap().expect_status(0).unwrap();
    assert!(!waiting[0].exists());
    let nobody = network.commands().staff_renew(HOME, &["--person", "nobody"]).unwrap();
    assert_eq!((nobody.status, nobody.field("/error/code").unwrap()), (1, json!("nothing-to-renew")));
}

#[test]
fn a_profile_takes_no_renewal_for_another_key_or_by_another_hand() {
    let network = Network::builder().organisations(&[HOME, HOSPITAL]).start().unwrap();
    let profile = "Y91001-gp";
    let held = network.profile(profile).unwrap().join(layout::STAFF_CREDENTIAL);
    let before = fs::read(&held).unwrap();
    let renewed = renewed_file(&network, HOME, "gp");
    private_file::create_dir(renewed.parent().unwrap()).unwrap();
    let (own, stranger) = (organisation_key(&network, HOME), organisation_key(&network, HOSPITAL));
    let random = SystemRandom::new();
    let [key, step_up] = [(); 2].map(|()| SoftwareKey::generate(Algorithm::Ed25519, &random).unwrap());
    let directory = || network.cli(profile, &["directory", "-o", "json"]).unwrap().expect_status(0).unwrap();

    let next = |change: &dyn Fn(&mut StaffCredential), by: &dyn Signer| {
        let mut claim = issue(&network, profile, &gp_grant()).into_inner();
        change(&mut claim);
        let network = NETWORK.parse().unwrap();
        Signed::sign(&claim, careweave_protocol::signed::Scope::network(&network), by).unwrap().into_signed()
    };
    let another_key = next(&|claim| claim.key = key.public_key().node_key().unwrap(), &own);
    let another_step_up = next(&|claim| claim.step_up = step_up.public_key().node_key(), &own);
    let another_hand = next(&|_| {}, &stranger);
    for (offered, said) in
        [(another_key, None), (another_step_up, Some("another key")), (another_hand, Some("CREDENTIAL_INVALID"))]
    {
        private_file::replace(&renewed, offered.as_bytes()).unwrap();
        let output = directory();
        assert_eq!(fs::read(&held).unwrap(), before, "{}", output.everything());
        assert!(!output.stderr.contains("credential renewed"), "{}", output.stderr);
        if let Some(said) = said {
            assert!(output.stderr.contains("warning:") && output.stderr.contains(said), "{}", output.stderr);
        }
    }
    // The twin: the employer's own renewal is taken, with what the person had asked for in the same command.
    network.commands().staff_renew(HOME, &["--person", "gp"]).unwrap().expect_status(0).unwrap();
    let output = directory();
    assert!(output.stderr.contains("credential renewed until"), "{}", output.everything());
    assert_eq!(fs::read(&held).unwrap(), fs::read(&renewed).unwrap());
}

#[test]
fn people_are_revoked_and_renewed_across_a_change_of_the_organisation_s_key() {
    let network = Network::builder().organisations(&[HOME, HOSPITAL]).establish().unwrap();
    for profile in ["Y91001-gp", "Y91001-rn", "Y91001-pha"] {
        network.profile(profile).unwrap();
    }
    network.commands().staff_revoke(HOME, "rn").unwrap().expect_status(0).unwrap();
    // The key is changed: its successor signs, and the predecessor is still accepted.
    let node = network.layout().node(HOME);
    let old = node.join(layout::ORGANISATION_KEY_OLD);
    fs::rename(node.join(layout::ORGANISATION_KEY), &old).unwrap();
    let successor = SoftwareKey::generate(Algorithm::P256, &SystemRandom::new()).unwrap();
    successor.write_plain(&node.join(layout::ORGANISATION_KEY)).unwrap();

    network.commands().staff_revoke(HOME, "pha").unwrap().expect_status(0).unwrap();
    let list = Signed::<StaffRevocation>::from_bytes(fs::read(node.join(layout::REVOCATION)).unwrap()).unwrap();
    let (name, ods) = (NETWORK.parse().unwrap(), HOME.parse().unwrap());
    let list = revocation::verify(&list, &name, &ods, &successor.public_key()).expect("by the present key");
    let people: Vec<&str> = list.get().revoked.iter().map(|revoked| revoked.person.as_str()).collect();
    assert_eq!((list.get().version, people), (2, vec!["rn", "pha"]));

    let renewed = network.commands().staff_renew(HOME, &["--person", "gp"]).unwrap().expect_status(0).unwrap();
    assert_eq!(self::people(&renewed, "renewed"), ["gp"]);
    let listed = listed(&network, HOME);
    assert_eq!(states(&listed), [("gp", "renewed"), ("rn", "revoked"), ("pha", "revoked"), ("gp", "valid")]);
    assert_eq!(listed.last().unwrap()["signed_by"], successor.public_key().spki_hash().to_string());

    // What stands under a key that is gone is not renewed, because nobody can tell any more that it was issued here.
    fs::remove_file(&old).unwrap();
    network.commands().staff_renew(HOME, &["--person", "gp"]).unwrap().expect_status(0).unwrap();
    fs::remove_file(node.join(layout::ORGANISATION_KEY)).unwrap();
    let other = SoftwareKey::generate(Algorithm::P256, &SystemRandom::new()).unwrap();
    other.write_plain(&node.join(layout::ORGANISATION_KEY)).unwrap();
    let foreign = network.commands().staff_revoke(HOME, "gp").unwrap();
    assert_eq!(foreign.status, 4, "{}", foreign.everything());
    assert!(foreign.stderr.contains("stands under no key"), "{}", foreign.stderr);
}

#[test]
fn whom_governance_has_suspended_the_employer_neither_renews_nor_issues_again() {
    let network = Network::builder().organisations(&[HOME, HOSPITAL]).establish().unwrap();
    for profile in ["Y91001-gp", "Y91001-rn", "Y91001-pha"] {
        network.profile(profile).unwrap();
    }
    // One by a credential that was renewed since, one by their key; and the nurse not at all.
    let first = listed(&network, HOME);
    let by_digest =
        first.iter().find(|line| line["person"] == "gp").unwrap()["credential"].as_str().unwrap().to_owned();
    network.commands().staff_renew(HOME, &["--person", "gp"]).unwrap().expect_status(0).unwrap();
    let key = issue(&network, "Y91001-pha", &grant()).into_inner().key;
    let key = careweave_node::net::directory::peer_id(key).unwrap();
    suspend(&network, HOME, &["--credential", &by_digest]);
    suspend(&network, HOME, &["--node", &key.to_string()]);
    let renewed = network.commands().staff_renew(HOME, &["--all"]).unwrap().expect_status(3).unwrap();
    assert_eq!(people(&renewed, "renewed"), ["rn"]);
    assert_eq!(people(&renewed, "left_out"), ["gp", "pha"]);
    for at in ["/left_out/0/cause", "/left_out/1/cause"] {
        assert_eq!(renewed.field(at).unwrap(), "SUSPENDED");
    }
    let out = network.layout().post().join("again.credential");
    for profile in ["Y91001-gp", "Y91001-pha"] {
        let again = network.commands().staff_issue(&Staff::named(profile).unwrap(), &[], &out).unwrap();
        assert_eq!(again.status, 6, "{}", again.everything());
        assert!(again.stderr.contains("SUSPENDED") && !out.exists(), "{}", again.stderr);
    }
    network.commands().staff_issue(&Staff::named("Y91001-rn").unwrap(), &[], &out).unwrap().expect_status(0).unwrap();
}

#[test]
fn the_word_of_whoever_was_revoked_suspended_or_never_hired_counts_for_nothing_and_no_word_outlives_a_revocation() {
    let network = Network::builder().organisations(&[HOME, HOSPITAL]).establish().unwrap();
    let auditor = Staff { scope: Some("audit"), ..Staff::named("Y91001-rn.auditor").unwrap() };
    let [it, gp, rn, pha] =
        ["Y91001-it", "Y91001-gp", "Y91001-rn", "Y91001-pha"].map(|name| Staff::named(name).unwrap());
    network.commands().staff_request(&auditor).unwrap().expect_status(0).unwrap();
    let approve = |by: &Staff, name: &str| {
        let path = network.layout().post().join(name);
        network.commands().staff_approve(&auditor, by, &path).unwrap().expect_status(0).unwrap();
        path
    };
    let [by_it, by_gp, by_rn, by_pha] = [&it, &gp, &rn, &pha].map(|person| {
        network.hire(person).unwrap();
        approve(person, &format!("{}.approval", person.ending))
    });
    // Signed with the organisation's key and entered nowhere: real to every peer, and known here to be nobody's.
    let invented = Staff::named("Y91001-rn.invented").unwrap();
    network.hire(&invented).unwrap();
    hold(&network, "Y91001-rn.invented", issue(&network, "Y91001-rn.invented", &grant()).signed());
    let by_invented = approve(&invented, "invented.approval");
    network.commands().staff_revoke(HOME, "rn").unwrap().expect_status(0).unwrap();
    let theirs = listed(&network, HOME).into_iter().find(|line| line["person"] == "pha").unwrap();
    suspend(&network, HOME, &["--credential", theirs["credential"].as_str().unwrap()]);

    let out = network.layout().post().join("auditor.credential");
    for second in [&by_rn, &by_pha, &by_invented] {
        let refused = network.commands().staff_issue(&auditor, &[by_it.clone(), second.clone()], &out).unwrap();
        assert_eq!(refused.status, 6, "{second:?} {}", refused.everything());
        assert!(refused.stderr.contains("APPROVAL_MISSING") && !out.exists(), "{}", refused.stderr);
    }
    let both = [by_it, by_gp];
    network.commands().staff_issue(&auditor, &both, &out).unwrap().expect_status(0).unwrap();

    // Without one of the two it is not renewed; whoever comes back after a revocation is approved anew.
    network.commands().staff_revoke(HOME, "gp").unwrap().expect_status(0).unwrap();
    let renewed = network.commands().staff_renew(HOME, &["--person", "rn-auditor"]).unwrap().expect_status(3).unwrap();
    assert_eq!(renewed.field("/left_out/0/cause").unwrap(), "APPROVAL_MISSING");
    let back = network.layout().post().join("gp.credential");
    network.commands().staff_issue(&gp, &[], &back).unwrap().expect_status(0).unwrap();
    fs::remove_file(&out).unwrap();
    let before = network.commands().staff_issue(&auditor, &both, &out).unwrap();
    assert_eq!((before.status, out.exists()), (6, false), "{}", before.everything());
    network.commands().staff_revoke(HOME, "rn-auditor").unwrap().expect_status(0).unwrap();
    private_file::replace(
        &network.layout().profile("Y91001-gp").join(layout::STAFF_CREDENTIAL),
        &fs::read(&back).unwrap(),
    )
    .unwrap();
    let again = [approve(&it, "it-again.approval"), approve(&gp, "gp-again.approval")];
    network.commands().staff_issue(&auditor, &again, &out).unwrap().expect_status(0).unwrap();
}

/// An officer's suspension, as the node of this organisation has taken it in.
fn suspend(network: &Network, ods: &str, target: &[&str]) {
    let [dir, passphrase] = [network.layout().governance(), network.layout().passphrase()];
    let out = network.layout().post().join("suspension.cbor");
    let [dir, passphrase, file] = [&dir, &passphrase, &out].map(|path| path.to_string_lossy().into_owned());
    let how = ["--reason", "incident 7", "--dir", &dir, "--passphrase-file", &passphrase, "--out", &file];
    network.programs().run(None, &[&["gov", "suspend"], target, &how].concat()).unwrap().expect_status(0).unwrap();
    let (held, now) = (network.layout().node(ods).join(layout::MANIFEST), Clock.now());
    let mut trust = Trust::from_bytes(&fs::read(&held).unwrap(), now).unwrap();
    assert!(trust.accept_suspension(Signed::from_bytes(fs::read(&out).unwrap()).unwrap(), now).unwrap());
    private_file::replace(&held, &trust.to_bytes().unwrap()).unwrap();
    fs::remove_file(&out).unwrap();
}

/// Lines of `staff list -o json`.
fn listed(network: &Network, ods: &str) -> Vec<Value> {
    let node = network.layout().node(ods).to_string_lossy().into_owned();
    let output = network.programs().run(None, &["-o", "json", "staff", "list", "--node", &node]).unwrap();
    output.expect_status(0).unwrap().json().unwrap().as_array().unwrap().clone()
}

fn states(listed: &[Value]) -> Vec<(&str, &str)> {
    listed.iter().map(|line| (line["person"].as_str().unwrap(), line["state"].as_str().unwrap())).collect()
}

/// The people under one heading of `staff renew -o json`.
fn people(output: &Output, heading: &str) -> Vec<String> {
    let lines = output.json().unwrap()[heading].as_array().unwrap().clone();
    lines.iter().map(|line| line["person"].as_str().unwrap().to_owned()).collect()
}

fn renewed_file(network: &Network, ods: &str, person: &str) -> PathBuf {
    network.layout().node(ods).join(layout::RENEWED).join(renewed_name(&person.parse().unwrap()))
}

fn organisation_key(network: &Network, ods: &str) -> PrivateKey {
    PrivateKey::read(&network.layout().node(ods).join(layout::ORGANISATION_KEY), None).unwrap()
}

/// What somebody with the employer's key can make for a person's request, past every check of `staff issue`.
fn issue(network: &Network, profile: &str, grant: &StaffGrant) -> Verified<StaffCredential> {
    let ods = Staff::named(profile).unwrap().ods;
    let request = fs::read(network.layout().profile(profile).join(layout::STAFF_REQUEST)).unwrap();
    let request = StaffRequest::verify(&Signed::from_bytes(request).unwrap()).unwrap();
    let key = organisation_key(network, &ods);
    staff::issue(&NETWORK.parse().unwrap(), &ods.parse().unwrap(), &request, grant, &key, Clock.now()).unwrap()
}

/// Puts a credential into a profile, as a file that was carried.
fn hold(network: &Network, profile: &str, credential: &Signed<StaffCredential>) {
    let path: &Path = &network.layout().profile(profile).join(layout::STAFF_CREDENTIAL);
    private_file::replace(path, credential.as_bytes()).unwrap();
}

fn grant() -> StaffGrant {
    StaffGrant {
        group: StaffGroup::Rn,
        sds_role: "R0620".to_owned(),
        registration: None,
        training_expires: Date::new(2099, 12, 31).unwrap(),
        scopes: Vec::new(),
        break_glass: true,
        approvals: Vec::new(),
        life: CREDENTIAL_LIFE,
    }
}

fn gp_grant() -> StaffGrant {
    StaffGrant { group: StaffGroup::Gp, sds_role: "R0260".to_owned(), ..grant() }
}

fn watching(approvals: Vec<Approval>) -> StaffGrant {
    StaffGrant { scopes: vec![DeskScope::Audit], approvals, ..grant() }
}

const HOME: &str = "Y91001";
const HOSPITAL: &str = "R9A";
const SILENT: &str = "R9C";
/// Name of every network of the tests.
const NETWORK: &str = "demo";
/// A day on which training was over.
const LAPSED: &str = "2026-01-31";
/// What may pass from the end of a credential to the end of what rests on it, with a busy machine's margin.
const SOON: Duration = Duration::from_secs(8);
