//! The enrolment service: a one-time code and the officers make a first certificate, good standing the next. Nothing less makes either.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use careweave_certs::authority::CertificateRequest;
use careweave_certs::keystore::{Algorithm, Passphrase, SoftwareKey};
use careweave_certs::trust::endorse;
use careweave_certs::{attest, layout};
use careweave_node::clock::Clock;
use careweave_node::net::Protocol;
use careweave_protocol::cbor;
use careweave_protocol::desk::{DeskReply, DeskRequest};
use careweave_protocol::directory::{RenewalReply, RenewalRequest};
use careweave_protocol::frame::Assembly;
use careweave_protocol::identity::{KeyEndorsement, Standard, StandardStatus};
use careweave_protocol::key::Signer;
use careweave_protocol::limits::REQUEST_MAX;
use careweave_protocol::query::Cause;
use careweave_protocol::signed::Signed;
use careweave_protocol::time::Date;
use careweave_tests::network::process::{Process, private_file};
use careweave_tests::network::{Network, Organisation, Output, Staff, until};
use careweave_tests::peer::{Member, Peer, PeerError, Person};
use libp2p::Multiaddr;
use ring::rand::SystemRandom;
use serde_json::Value;

use crate::scene::{ada, assert_clean, decision, list, population, query_id, source, view};

#[test]
fn a_newcomer_gets_its_first_certificate_with_the_code_and_two_officers_and_with_neither_alone() {
    let network = office(&["Y91001", "R9A"]);
    let newcomer = Newcomer::init(&network, NEWCOMER, "first");
    let first = first_manifest(&network);

    // A code for somebody else is no code: the same words before VL901 is invited and after.
    let others = newcomer.keep("others.code", &invite(&network, "R9X"));
    let before = newcomer.enrol(&others, &[]);
    let code = newcomer.keep("code", &invite(&network, NEWCOMER));
    let after = newcomer.enrol(&others, &[]);
    for refused in [&before, &after] {
        assert_eq!((refused.status, refused.field("/error/cause").unwrap()), (4, "INVITATION_INVALID".into()));
    }
    assert_eq!(before.stdout, after.stdout);
    assert_eq!(refusals(&network, NEWCOMER, "INVITATION_INVALID"), 2);

    // The right one files the request, and nothing more; again and again.
    for _ in 0..2 {
        let waits = newcomer.enrol(&code, &[]);
        assert_eq!((waits.status, waits.field("/state").unwrap()), (3, "awaiting-approval".into()), "{waits:?}");
    }
    assert!(!newcomer.directory.join("trust/chain.pem").exists());
    let filed = events(&network, "enrolment-requested");
    assert_eq!(filed.len(), 1, "asking again is no new request: {filed:#?}");
    let key = newcomer.key();
    assert!(detail(&filed[0]).contains(NEWCOMER) && detail(&filed[0]).contains(&key));

    // Under the same code another key replaces nothing, and somebody is told.
    let impostor = Newcomer::init(&network, NEWCOMER, "impostor");
    let refused = impostor.enrol(&code, &[]);
    assert_eq!((refused.status, refused.field("/error/cause").unwrap()), (4, "KEY_NOT_PINNED".into()));
    let alerts = list(&network, OFFICE, &["--kind", "alert"]);
    assert!(alerts.iter().any(|entry| entry["outcome"] == "enrolment-other-key"), "{alerts:#?}");

    // The officers see whose key it is, and admit that one.
    let post = network.layout().post().join("requests");
    let listed = ra(&network, &["gov", "requests", "--out", &text(&post), "-o", "json"]).expect_status(0).unwrap();
    let lines = listed.json().unwrap();
    assert_eq!(lines.as_array().unwrap().len(), 1);
    assert_eq!((&lines[0]["ods"], &lines[0]["key"]), (&NEWCOMER.into(), &key.into()), "{lines:#}");
    let nobody = network.cli(&format!("{OFFICE}-it"), &["gov", "requests", "-o", "json"]).unwrap();
    assert_eq!((nobody.status, nobody.field("/error/code").unwrap()), (4, "not-allowed".into()));
    let commands = network.commands();
    commands.gov_admit(&[post.join("VL901.cbor")], false).unwrap().expect_status(0).unwrap();
    commands.gov_sign(1).unwrap().expect_status(0).unwrap();
    commands.gov_publish_to(RA).unwrap();
    assert_eq!(newcomer.enrol(&code, &[]).status, 3, "one officer of two admits nobody");
    commands.gov_sign(2).unwrap().expect_status(0).unwrap();
    commands.gov_publish_to(RA).unwrap().expect_status(0).unwrap();
    for standard in ["dspt", "sharing-agreement"] {
        let said = ["gov", "attest", "--ods", NEWCOMER, "--standard", standard, "--expires", "2099-12-31", "--to-node"];
        ra(&network, &in_office(&network, &said)).expect_status(0).unwrap();
    }

    // Issued once; a reply that was lost, or not believed, is not the end.
    let wrong = newcomer.enrol(&code, &["--pin", &"0".repeat(64)]);
    assert_ne!(wrong.status, 0, "{}", wrong.everything());
    assert!(!newcomer.directory.join("trust/chain.pem").exists(), "nothing is installed that does not follow");
    newcomer.enrol(&code, &["--pin", &first]).expect_status(0).unwrap();
    let issued = events(&network, "enrolment-issued");
    assert_eq!(issued.len(), 2, "{issued:#?}");
    assert!(!detail(&issued[0]).contains("again") && detail(&issued[1]).contains("again"));
    let spent = impostor.enrol(&code, &[]);
    assert_eq!((spent.status, spent.field("/error/cause").unwrap()), (4, "INVITATION_INVALID".into()));
    let listed = ra(&network, &["gov", "requests", "-o", "json"]).expect_status(0).unwrap();
    assert_eq!(listed.json().unwrap(), serde_json::json!([]));

    // The newcomer is a member like any other.
    let _running = newcomer.start();
    let seen = until("the newcomer answers", LEARNED, || {
        let seen = view(&network, "Y91001-gp", &ada(), &[]).json().unwrap();
        let outcome = source(&seen, NEWCOMER)["outcome"].clone();
        if outcome == "answered" || outcome == "nothing-shareable" { Ok(seen) } else { Err(format!("{seen:#}")) }
    })
    .unwrap();
    assert_eq!(source(&seen, NEWCOMER)["asked"], true);
    let nurse = newcomer.hire("VL901-chn");
    let (patient, programs) = (ada(), network.programs());
    let who = [patient.nhs_number.as_str(), "--dob", &patient.birth_date, "--family", &patient.family, "-o", "json"];
    let run = |command: &[&str]| programs.run(Some(&nurse), &[command, &who[..]].concat()).unwrap();
    run(&["resident", "add"]).expect_status(0).unwrap();
    let asked = until("the newcomer asks", LEARNED, || {
        let asked = run(&["view"]);
        let answered = asked.json().is_ok_and(|view| source(&view, "R9A")["outcome"] == "answered");
        if answered { Ok(asked) } else { Err(asked.everything()) }
    })
    .unwrap();
    assert_eq!(decision(&network, "R9A", &query_id(&asked.json().unwrap()))["asker"], NEWCOMER);
    assert_clean(&network, OFFICE);
}

#[test]
fn a_code_is_taken_from_an_officer_alone_and_ten_wrong_ones_are_told_and_shut_nobody_out() {
    let network = office(&["Y91001"]);
    let newcomer = Newcomer::init(&network, NEWCOMER, "first");
    // Made where the officer's key is, carried by somebody else; a code is shown once and in no file.
    let carried = network.layout().post().join("VL901.invitation");
    let made = ["gov", "invite", "--ods", NEWCOMER, "--officer", "2", "--out", &text(&carried), "-o", "json"];
    let made = offline(&network, &made);
    let code = made.field("/code").unwrap().as_str().unwrap().to_owned();
    assert!(!String::from_utf8_lossy(&fs::read(&carried).unwrap()).contains(&code));
    let code = newcomer.keep("code", &code);
    assert_eq!(newcomer.enrol(&code, &[]).status, 4, "nobody has told the service yet");

    let altered = network.layout().post().join("altered.invitation");
    let mut bytes = fs::read(&carried).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    private_file(&altered).unwrap().write_all(&bytes).unwrap();
    let refused = ra(&network, &["gov", "invite", "--carry", &text(&altered), "-o", "json"]);
    assert_eq!((refused.status, refused.field("/error/code").unwrap()), (1, "not-done".into()));
    assert!(refused.stdout.contains("not signed by an officer"), "{}", refused.stdout);
    let nobody = network.cli(&format!("{OFFICE}-it"), &["gov", "invite", "--carry", &text(&carried), "-o", "json"]);
    assert_eq!(nobody.unwrap().field("/error/code").unwrap(), "not-allowed");
    assert!(events(&network, "invited").is_empty());
    ra(&network, &["gov", "invite", "--carry", &text(&carried)]).expect_status(0).unwrap();
    let invited = events(&network, "invited");
    assert!(invited.len() == 1 && invited[0]["actor"]["person"] == "ra", "{invited:#?}");

    // Somebody guesses. They hear the same each time, somebody is told, and whoever has the right code is heard all the same.
    let wrong = newcomer.keep("wrong.code", &invite(&network, "R9X"));
    let refused: Vec<String> = (0..10).map(|_| newcomer.enrol(&wrong, &[]).expect_status(4).unwrap().stdout).collect();
    assert!(refused.iter().all(|words| *words == refused[0]));
    newcomer.enrol(&code, &[]).expect_status(3).unwrap();
    assert_eq!(events(&network, "enrolment-requested").len(), 1);
    let alerts = list(&network, OFFICE, &["--kind", "alert"]);
    let guessing = alerts.iter().filter(|entry| entry["outcome"] == "enrolment-guessing").count();
    assert_eq!(guessing, 1, "{alerts:#?}");
    assert_eq!(refusals(&network, NEWCOMER, "INVITATION_INVALID"), 11);

    // A node that runs no service says so, and keeps nothing.
    let elsewhere = network.addresses("Y91001").unwrap().peer.clone();
    let refused = newcomer.enrol_at(&elsewhere, &code, &[]);
    assert_eq!(refused.field("/error/cause").unwrap(), "NO_ENROLMENT_SERVICE", "{}", refused.everything());
    let waiting = ra(&network, &["gov", "requests", "-o", "json"]).expect_status(0).unwrap();
    assert_eq!(waiting.json().unwrap().as_array().unwrap().len(), 1);
}

#[test]
fn a_member_in_good_standing_renews_over_the_wire_and_nobody_else_does() {
    let network = office(&["Y91001", "R9A"]);
    let member = Member::load(&network.layout().node(MEMBER)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    network.stop(MEMBER).unwrap();
    let to: Multiaddr = network.addresses(OFFICE).unwrap().peer.parse().unwrap();
    let connect = || runtime.block_on(Peer::connect(member.credentials().unwrap(), &to));
    let peer = connect().unwrap();
    let ask = |request: &RenewalRequest| {
        let frames = runtime.block_on(peer.exchange(Protocol::Enrol, &cbor::to_vec(request).unwrap())).unwrap();
        let mut assembly = Assembly::default();
        let whole = frames.iter().find_map(|frame| assembly.push(frame).unwrap()).unwrap();
        cbor::from_slice::<RenewalReply>(&whole, 4 * REQUEST_MAX).unwrap()
    };
    let (network_id, ods, name) = (&member.config.network, &member.config.ods, &member.config.name);
    let own = SoftwareKey::read_plain(&network.layout().node(MEMBER).join(layout::ORGANISATION_KEY)).unwrap();
    let request = |key: &SoftwareKey, endorsement: Option<Signed<KeyEndorsement>>| RenewalRequest {
        certificate_request: CertificateRequest::create(network_id, ods, name, key).unwrap(),
        endorsement,
    };

    // The pinned key: a chain that every member accepts, with what registrars say; the same one again.
    let RenewalReply::Issued { chain, attestations } = ask(&request(&own, None)) else { panic!("refused") };
    let certificate = member.trust.verify_chain(&chain, None, Clock.now()).unwrap();
    assert_eq!((certificate.ods(), certificate.key()), (ods, &own.public_key()));
    assert_eq!(attestations.len(), 2);
    let RenewalReply::Issued { chain: again, .. } = ask(&request(&own, None)) else { panic!("refused") };
    assert_eq!(again, chain);
    let renewed = events(&network, "certificate-renewed");
    assert_eq!(renewed.len(), 1, "{renewed:#?}");
    assert!(
        detail(&renewed[0]).contains(MEMBER) && detail(&renewed[0]).contains(&own.public_key().spki_hash().to_string())
    );

    // Another key: only with the word of the pinned one, and no other's.
    let random = SystemRandom::new();
    let [successor, stranger, third] = [(); 3].map(|()| SoftwareKey::generate(Algorithm::P256, &random).unwrap());
    let word =
        |of: &SoftwareKey| endorse(network_id, ods, &successor.public_key(), of, Clock.now()).unwrap().into_signed();
    assert_eq!(ask(&request(&successor, None)), RenewalReply::Refused(Cause::KeyNotPinned));
    assert_eq!(ask(&request(&successor, Some(word(&stranger)))), RenewalReply::Refused(Cause::KeyNotPinned));
    assert_eq!(ask(&request(&stranger, Some(word(&own)))), RenewalReply::Refused(Cause::KeyNotPinned));
    assert_eq!(refusals(&network, MEMBER, "KEY_NOT_PINNED"), 3);
    let endorsed = word(&own);
    let RenewalReply::Issued { chain, .. } = ask(&request(&successor, Some(endorsed.clone()))) else {
        panic!("refused")
    };
    let certificate = member.trust.verify_chain(&chain, Some(&endorsed), Clock.now()).unwrap();
    assert_eq!(certificate.key(), &successor.public_key());
    assert_eq!(events(&network, "certificate-renewed").len(), 2);

    // Another organisation's certificate is not to be had, whatever the key.
    let theirs = CertificateRequest::create(network_id, &"Y91001".parse().unwrap(), name, &own).unwrap();
    let theirs = RenewalRequest { certificate_request: theirs, endorsement: None };
    assert_eq!(ask(&theirs), RenewalReply::Refused(Cause::CertInvalid));

    // A log that is kept for ever takes a bounded number of one member's refusals, and somebody is told that there were more.
    for _ in 0..80 {
        assert_eq!(ask(&theirs), RenewalReply::Refused(Cause::CertInvalid));
    }
    assert_eq!(events(&network, "enrolment-refused").len(), 64);
    let alerts = list(&network, OFFICE, &["--kind", "alert"]);
    assert_eq!(alerts.iter().filter(|entry| entry["outcome"] == "enrolment-refusals").count(), 1, "{alerts:#?}");

    // The registrar's newest word is told, though the member shows an older one, and stops no renewal: that would end emergency care too.
    let lapsed = Date::from_iso("2026-01-31").unwrap();
    let registrar = network.layout().governance().join("registrar/registrar.key");
    let registrar = SoftwareKey::read_protected(&registrar, &passphrase(&network)).unwrap();
    let said = |until: Date| {
        let standard = (Standard::Dspt, Some(StandardStatus::Met));
        attest::issue(network_id, ods, standard, until, &registrar, Clock.now()).unwrap().into_signed()
    };
    assert!(matches!(handed(&runtime, &network, vec![said(lapsed)]), DeskReply::Published(_)));
    let word = endorse(network_id, ods, &third.public_key(), &own, Clock.now()).unwrap().into_signed();
    let RenewalReply::Issued { attestations, .. } = ask(&request(&third, Some(word))) else { panic!("refused") };
    assert!(attestations.iter().any(|shown| shown.unverified().unwrap().expires == lapsed));
    let renewed = events(&network, "certificate-renewed");
    let told = |entry: &&Value| detail(entry).ends_with("; in spite of ATTESTATION_EXPIRED dspt 2026-01-31");
    assert_eq!((renewed.len(), renewed.iter().filter(told).count()), (3, 1), "{renewed:#?}");
    // Nobody but a registrar has a word in it.
    let standard = (Standard::Dspt, Some(StandardStatus::Met));
    let until_then = Date::from_iso("2099-12-31").unwrap();
    let forged = attest::issue(network_id, ods, standard, until_then, &own, Clock.now()).unwrap().into_signed();
    assert!(matches!(handed(&runtime, &network, vec![forged]), DeskReply::NotDone { .. }));
    assert!(matches!(handed(&runtime, &network, vec![said(until_then)]), DeskReply::Published(_)));
    assert!(matches!(ask(&request(&own, None)), RenewalReply::Issued { .. }));

    // A member whose certificate has run out comes back with a code; a suspended one does not come back at all.
    let code = network.layout().post().join("member.code");
    private_file(&code).unwrap().write_all(invite(&network, MEMBER).as_bytes()).unwrap();
    let service = network.addresses(OFFICE).unwrap().peer.clone();
    let (node, code) = (text(&network.layout().node(MEMBER)), text(&code));
    let enrol = ["cert", "enrol", "--node", &node, "--service", &service, "--code-file", &code, "-o", "json"];
    let enrol = || network.programs().run(None, &enrol).unwrap();
    network.commands().gov_suspend(MEMBER, "incident 14").unwrap().expect_status(0).unwrap();
    network.commands().gov_publish_to(RA).unwrap().expect_status(0).unwrap();
    let refused = enrol();
    assert_eq!((refused.status, refused.field("/error/cause").unwrap()), (6, "SUSPENDED".into()), "{refused:?}");
    assert_eq!(refusals(&network, MEMBER, "SUSPENDED"), 1);
    let renewal = cbor::to_vec(&request(&own, None)).unwrap();
    until("its session is cut", CUT, || match runtime.block_on(peer.exchange(Protocol::Enrol, &renewal)) {
        Err(_) => Ok(()),
        Ok(frames) => Err(format!("{} frames", frames.len())),
    })
    .unwrap();
    assert!(matches!(connect(), Err(PeerError::Refused(Cause::Suspended))));
    assert_clean(&network, OFFICE);
}

#[test]
fn a_running_node_fetches_its_next_certificate_and_puts_it_in_use() {
    let network = office(&["Y91001", "R9A"]);
    let it = format!("{MEMBER}-it");
    let certificate = || fs::read(network.layout().node(MEMBER).join(layout::CHAIN)).unwrap();
    let before = certificate();
    for _ in 0..2 {
        let step = network.cli(&it, &["cert", "rotate", "--force", "-o", "json"]).unwrap();
        assert!(matches!(step.status, 0 | 3), "{}", step.everything());
    }
    assert_ne!(certificate(), before);
    let renewed = events(&network, "certificate-renewed");
    assert!(renewed.len() == 1 && detail(&renewed[0]).contains(MEMBER), "{renewed:#?}");
    let seen = view(&network, "Y91001-gp", &ada(), &[]).expect_status(0).unwrap().json().unwrap();
    assert_eq!(source(&seen, MEMBER)["outcome"], "answered");
}

/// An organisation that is no member yet, with a node directory.
struct Newcomer<'a> {
    network: &'a Network,
    organisation: &'static Organisation,
    directory: PathBuf,
    desk: String,
}

/// A node outside the network's own list; ended with the test.
struct Running(Option<Process>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(process) = self.0.take() {
            drop(process.kill());
        }
    }
}

impl<'a> Newcomer<'a> {
    /// `node init` in a directory of this name; the bootstrap address is the office's.
    fn init(network: &'a Network, ods: &str, name: &str) -> Self {
        let organisation = Organisation::find(ods).unwrap();
        let directory = network.layout().root().join(format!("newcomer-{name}"));
        let ports = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [peer, desk] =
            ports.each_ref().map(|port| format!("/ip4/127.0.0.1/tcp/{}", port.local_addr().unwrap().port()));
        let (dir, bootstrap) = (text(&directory), network.addresses(OFFICE).unwrap().peer.clone());
        let made = [
            "node",
            "init",
            &dir,
            "--network",
            network.commands().network(),
            "--ods",
            ods,
            "--name",
            organisation.name,
            "--kind",
            organisation.kind,
            "--care-setting",
            organisation.care_setting,
            "--duty-contact",
            organisation.duty_contact,
            "--listen",
            &peer,
            "--desk",
            &desk,
            "--bootstrap",
            &bootstrap,
            "-o",
            "json",
        ];
        let made = network.programs().run(None, &made).unwrap().expect_status(0).unwrap();
        let desk = format!("{desk}/p2p/{}", made.field("/desk_peer_id").unwrap().as_str().unwrap());
        Self { network, organisation, directory, desk }
    }

    /// Keeps a code as its people would: in a file that is theirs.
    fn keep(&self, name: &str, code: &str) -> PathBuf {
        let path = self.directory.join(name);
        private_file(&path).unwrap().write_all(code.as_bytes()).unwrap();
        path
    }

    fn enrol(&self, code: &Path, more: &[&str]) -> Output {
        self.enrol_at(&self.network.addresses(OFFICE).unwrap().peer, code, more)
    }

    fn enrol_at(&self, service: &str, code: &Path, more: &[&str]) -> Output {
        let (node, code) = (text(&self.directory), text(code));
        let arguments = ["cert", "enrol", "--node", &node, "--service", service, "--code-file", &code, "-o", "json"];
        self.network.programs().run(None, &[&arguments[..], more].concat()).unwrap()
    }

    /// The hash of its organisation key, as its people would read it out.
    fn key(&self) -> String {
        let key = SoftwareKey::read_plain(&self.directory.join(layout::ORGANISATION_KEY)).unwrap();
        key.public_key().spki_hash().to_string()
    }

    fn start(&self) -> Running {
        let mut running = Running(Some(Process::start(self.network.programs(), &self.directory).unwrap()));
        running.0.as_mut().unwrap().wait_serving().unwrap();
        running
    }

    /// One of its people, with a profile.
    fn hire(&self, profile: &str) -> PathBuf {
        let staff = Staff::named(profile).unwrap();
        assert_eq!(staff.ods, self.organisation.ods);
        // The commands look for the node where the network's own are.
        let place = self.network.layout().node(self.organisation.ods);
        std::os::unix::fs::symlink(&self.directory, &place).unwrap();
        let (commands, credential) =
            (self.network.commands(), self.network.layout().post().join("newcomer.credential"));
        commands.staff_request(&staff).unwrap().expect_status(0).unwrap();
        commands.staff_issue(&staff, &[], &credential).unwrap().expect_status(0).unwrap();
        commands.staff_install(&staff, &credential, &self.desk).unwrap().expect_status(0).unwrap();
        self.network.layout().profile(&staff.profile())
    }
}

/// A loaded network of these and of the governance office, whose node runs the service with the intermediate's key.
fn office(organisations: &[&str]) -> Network {
    let all: Vec<&str> = organisations.iter().copied().chain([OFFICE]).collect();
    let network = Network::builder().organisations(&all).establish().unwrap();
    offline(&network, &["gov", "propose", "--enrolment", OFFICE]);
    for officer in [1, 2] {
        network.commands().gov_sign(officer).unwrap().expect_status(0).unwrap();
    }
    // The manifest is published first, so that the office knows which authority counts.
    network.commands().gov_publish(&network.layout().post().join("named.cbor")).unwrap().expect_status(0).unwrap();
    let node = text(&network.layout().node(OFFICE));
    let given = offline(&network, &["gov", "delegate", "--node", &node, "-o", "json"]);
    assert_eq!((given.field("/ods").unwrap(), given.field("/named").unwrap()), (OFFICE.into(), true.into()));
    network.start_all().unwrap();
    network.load(population()).unwrap();
    network.profile(RA).unwrap();
    network.commands().gov_publish_to(RA).unwrap().expect_status(0).unwrap();
    network
}

/// Hands attestations to the service as somebody of the office.
fn handed(
    runtime: &tokio::runtime::Runtime,
    network: &Network,
    attestations: Vec<Signed<careweave_protocol::identity::Attestation>>,
) -> DeskReply {
    let person = Person::load(&network.profile(RA).unwrap(), &network.layout().passphrase()).unwrap();
    let desk: Multiaddr = network.addresses(OFFICE).unwrap().desk.parse().unwrap();
    let credentials = person.credentials(&network.commands().network().parse().unwrap()).unwrap();
    runtime.block_on(async {
        let peer = Peer::connect(credentials, &desk).await.unwrap();
        let (_, reply) = peer.desk(&DeskRequest::Attest(attestations)).await.unwrap().pop().unwrap();
        peer.close().await;
        reply
    })
}

/// A fresh code, handed to the service by the office.
fn invite(network: &Network, ods: &str) -> String {
    let arguments = in_office(network, &["gov", "invite", "--ods", ods, "-o", "json"]);
    let made = ra(network, &arguments).expect_status(0).unwrap();
    made.field("/code").unwrap().as_str().unwrap().to_owned()
}

fn ra(network: &Network, arguments: &[impl AsRef<str>]) -> Output {
    let arguments: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
    network.cli(RA, &arguments).unwrap()
}

/// A command with the place of the office and the passphrase of its keys.
fn in_office(network: &Network, arguments: &[&str]) -> Vec<String> {
    let (dir, passphrase) = (text(&network.layout().governance()), text(&network.layout().passphrase()));
    let more = ["--dir", &dir, "--passphrase-file", &passphrase];
    arguments.iter().chain(&more).map(|word| (*word).to_owned()).collect()
}

/// A command of the office that needs no node.
fn offline(network: &Network, arguments: &[&str]) -> Output {
    let arguments = in_office(network, arguments);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    network.programs().run(None, &arguments).unwrap().expect_status(0).unwrap()
}

fn passphrase(network: &Network) -> Passphrase {
    Passphrase::new(fs::read_to_string(network.layout().passphrase()).unwrap().trim_end().to_owned().into())
}

/// The digest of the first manifest.
fn first_manifest(network: &Network) -> String {
    let shown = network.commands().gov_verify().unwrap().expect_status(0).unwrap().stdout;
    let is_digest = |word: &&str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    shown.split_whitespace().find(is_digest).unwrap_or_else(|| panic!("no digest in {shown}")).to_owned()
}

/// ADMIN entries of this event in the office's log.
fn events(network: &Network, event: &str) -> Vec<Value> {
    list(network, OFFICE, &["--kind", "admin"]).into_iter().filter(|entry| entry["outcome"] == event).collect()
}

/// How often the office's log has a refusal of this organisation for this cause.
fn refusals(network: &Network, ods: &str, cause: &str) -> usize {
    let refused = events(network, "enrolment-refused");
    refused.iter().filter(|entry| detail(entry) == format!("{ods}: {cause}")).count()
}

fn detail(entry: &Value) -> &str {
    entry["detail"].as_str().unwrap_or_default()
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Runs the service.
const OFFICE: &str = "G9V";
/// Hands governance documents to the office's node.
const RA: &str = "G9V-ra";
/// Wants to join.
const NEWCOMER: &str = "VL901";
/// Is one already.
const MEMBER: &str = "R9A";
/// How long a session may outlive its member's standing.
const CUT: Duration = Duration::from_secs(5);
/// How long a node may take to learn of a new member.
const LEARNED: Duration = Duration::from_secs(60);
