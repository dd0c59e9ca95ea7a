//! Keys, certificates and authorities are changed under people who go on asking, and nobody notices; what is old is refused, destroyed,
//! and still proves what it signed.

mod crash;
mod load;
mod office;
mod receipts;
mod rehearsal;
mod secrets;

use std::fs;

use careweave_certs::layout;
use careweave_node::clock::Clock;
use careweave_protocol::query::Cause;
use careweave_protocol::time::Timestamp;
use careweave_tests::network::Network;
use careweave_tests::peer::{Credentials, Member, Peer, PeerError};
use serde_json::Value;
use tokio::runtime::Runtime;

use self::load::{Load, Outcome};
use self::office::Office;
use self::secrets::Secret;
use crate::scene::{assert_clean, list, long, population};

#[test]
fn every_key_certificate_and_authority_is_rotated_under_load_and_no_query_fails() {
    let network = overlapping(&ALL);
    network.load(population()).unwrap();
    for ods in ALL {
        network.profile(&format!("{ods}-it")).unwrap();
        network.profile(&format!("{ods}-ig")).unwrap();
    }
    network.profile(&format!("{GOVERNANCE}-ra")).unwrap();
    let office = Office { network: &network };
    let changed = if long() { ALL.as_slice() } else { &ALL[..2] };

    let load = Load::start(&network, &PEOPLE.map(str::to_owned), if long() { 50 } else { 10 });
    load.wait_for(SOME);
    let begun = Clock.now();
    let mut secrets: Vec<(&str, Secret)> = Vec::new();
    for ods in changed {
        load.phase(&format!("node key of {ods}"));
        secrets.push((ods, node_key(&office, &load, ods)));
    }
    let mut former = Vec::new();
    for ods in changed {
        load.phase(&format!("organisation key of {ods}"));
        former.push((*ods, Member::load(&network.layout().node(ods)).unwrap()));
        secrets.push((ods, organisation_key(&office, &load, ods)));
    }
    load.phase("the manifest pins the new organisation keys");
    pin(&office, &former);
    for ods in changed {
        office.rotate(ods, &["--key", "organisation", "--force"]).expect_status(0).unwrap();
    }
    for ods in changed.iter().filter(|_| long()) {
        load.phase(&format!("certificate of {ods}"));
        certificate(&office, ods);
    }
    load.phase("intermediate");
    intermediate(&office, &load);
    load.phase("root");
    root(&office, &load);
    load.wait_for(SOME);
    let outcome = load.end();

    for (ods, secret) in &secrets {
        secret.assert_gone(&network.layout().node(ods));
    }
    for ods in ALL {
        logged(&network, ods, changed.contains(&ods));
    }
    proven(&network, &outcome, begun);
    // Nothing of it holds only because somebody remembers it.
    for ods in changed {
        network.stop(ods).unwrap();
        network.start(ods).unwrap();
        assert_clean(&network, ods);
    }
}

/// Exchanged while both are accepted; then the old one is refused everywhere and gone.
fn node_key(office: &Office<'_>, load: &Load, ods: &str) -> Secret {
    let directory = office.network.layout().node(ods);
    let secret = Secret::read(&directory.join(layout::PEER_KEY));
    assert_eq!(secret.found_under(&directory).len(), 1, "the search finds what is there");
    let former = Member::load(&directory).unwrap();
    let before = office.peer(ods);
    let put = office.rotate(ods, &["--key", "node"]).expect_status(0).unwrap();
    assert_eq!(put.field("/now").unwrap(), "overlap", "{}", put.everything());
    assert_ne!(office.peer(ods), before);
    office.wait_known(ods);
    load.wait_for(SOME);
    let ended = office.rotate(ods, &["--key", "node", "--force"]).expect_status(0).unwrap();
    assert_eq!(ended.field("/now").unwrap(), "active", "{}", ended.everything());
    for other in ALL.iter().filter(|other| **other != ods) {
        assert_eq!(refused(office, former.credentials().unwrap(), other), Some(Cause::KeyRetired), "{ods} at {other}");
    }
    secret
}

/// Its certificate comes by hand; credentials stand under the old key until they are renewed.
fn organisation_key(office: &Office<'_>, load: &Load, ods: &str) -> Secret {
    let directory = office.network.layout().node(ods);
    let secret = Secret::read(&directory.join(layout::ORGANISATION_KEY));
    assert_eq!(secret.found_under(&directory).len(), 1, "the search finds what is there");
    let prepared = office.rotate(ods, &["--key", "organisation"]);
    assert_eq!(prepared.status, 1, "{}", prepared.everything());
    assert!(prepared.everything().contains("no certificate yet"), "{}", prepared.everything());
    office.certify(ods, "organisation-key");
    let put = office.rotate(ods, &["--key", "organisation"]).expect_status(0).unwrap();
    assert_eq!(put.field("/now").unwrap(), "overlap", "{}", put.everything());
    load.wait_for(SOME);
    office.network.commands().staff_renew(ods, &["--all"]).unwrap().expect_status(0).unwrap();
    load.renew(ods);
    for role in ["it", "ig", "ra"].iter().filter(|role| **role != "ra" || ods == GOVERNANCE) {
        // Whoever connects takes their renewed credential up; what they may ask is another matter.
        office.network.cli(&format!("{ods}-{role}"), &["node", "status"]).unwrap();
    }
    load.wait_for(SOME);
    secret
}

/// The same request twice: announced, and in the place of the old one. What stood under the old one is refused from then on.
fn pin(office: &Office<'_>, former: &[(&str, Member)]) {
    let requests: Vec<_> = former.iter().map(|(ods, _)| office.request(ods, "certificate")).collect();
    for _ in 0..2 {
        for (ods, member) in former {
            let elsewhere = elsewhere(ods);
            assert_eq!(refused(office, member.another_endpoint().unwrap(), elsewhere), None, "{ods} at {elsewhere}");
        }
        office.network.commands().gov_admit(&requests, false).unwrap().expect_status(0).unwrap();
        office.publish();
    }
    for (ods, member) in former {
        for other in ALL.iter().filter(|other| *other != ods) {
            let cause = refused(office, member.another_endpoint().unwrap(), other);
            assert_eq!(cause, Some(Cause::KeyNotPinned), "{ods} at {other}");
        }
    }
}

fn certificate(office: &Office<'_>, ods: &str) {
    office.certify(ods, "certificate");
    if ods == ALL[0] {
        let rehearsed = office.rotate(ods, &["--rehearse"]).expect_status(0).unwrap();
        assert_eq!(rehearsed.field("/done").unwrap(), true);
    }
    office.rotate(ods, &[]).expect_status(0).unwrap();
    let ended = office.rotate(ods, &["--force"]).expect_status(0).unwrap();
    assert_eq!(ended.field("/now").unwrap(), "active", "{}", ended.everything());
}

/// Announced, put in use, everybody reissued, the old one out of the manifest.
fn intermediate(office: &Office<'_>, load: &Load) {
    let old = office.active("intermediate");
    let (file, next) = office.authority(&["intermediate"]);
    office.gov(&["propose", "--authority-in", &file, "--role", "intermediate"]);
    office.publish();
    office.gov(&["propose", "--activate", &next]);
    office.publish();
    reissue(office, load, &["propose", "--retire", &old]);
}

/// A new root, and an intermediate under it, for which the old one is not needed.
fn root(office: &Office<'_>, load: &Load) {
    let (old_root, old_intermediate) = (office.active("root"), office.active("intermediate"));
    let (file, next) = office.authority(&["root"]);
    office.gov(&["propose", "--authority-in", &file, "--role", "root"]);
    office.publish();
    let (file, under_it) = office.authority(&["intermediate", "--under", &next]);
    let activate = ["--activate", &next, "--activate", &under_it];
    office.gov(&[&["propose", "--authority-in", &file, "--role", "intermediate"], activate.as_slice()].concat());
    office.publish();
    reissue(office, load, &["propose", "--retire", &old_root, "--retire", &old_intermediate]);
}

fn reissue(office: &Office<'_>, load: &Load, retire: &[&str]) {
    let former = ALL.map(|ods| (ods, Member::load(&office.network.layout().node(ods)).unwrap()));
    for ods in ALL {
        certificate(office, ods);
    }
    load.wait_for(SOME);
    for (ods, member) in &former {
        let elsewhere = elsewhere(ods);
        assert_eq!(refused(office, member.another_endpoint().unwrap(), elsewhere), None, "{ods} at {elsewhere}");
    }
    office.gov(retire);
    office.publish();
    for (ods, member) in &former {
        let elsewhere = elsewhere(ods);
        let cause = refused(office, member.another_endpoint().unwrap(), elsewhere);
        assert_eq!(cause, Some(Cause::CertInvalid), "{ods} at {elsewhere}");
    }
}

/// Why a node does not admit somebody, or that it does.
fn refused(office: &Office<'_>, who: Credentials, at: &str) -> Option<Cause> {
    Runtime::new().unwrap().block_on(async {
        match Peer::connect(who, &office.address(at)).await {
            Ok(peer) => {
                peer.close().await;
                None
            }
            Err(PeerError::Refused(cause)) => Some(cause),
            Err(error) => panic!("{at}: {error}"),
        }
    })
}

fn elsewhere(ods: &str) -> &'static str {
    ALL.into_iter().find(|other| *other != ods).unwrap()
}

/// Every step of every rotation is in the log, in order, with who ordered it.
fn logged(network: &Network, ods: &str, keys: bool) {
    let admin = list(network, ods, &["--kind", "admin"]);
    let steps = |part: &str| -> Vec<String> {
        let of_part = |entry: &&Value| {
            let outcome = entry["outcome"].as_str().unwrap_or_default();
            outcome.starts_with("rotation-") && entry["detail"].as_str().is_some_and(|detail| detail.starts_with(part))
        };
        let found: Vec<&Value> = admin.iter().filter(of_part).collect();
        assert!(found.iter().all(|entry| entry["actor"]["person"] == "it"), "{found:#?}");
        found.iter().map(|entry| entry["outcome"].as_str().unwrap().to_owned()).collect()
    };
    let whole = ["rotation-prepared", "rotation-activated", "rotation-retired"].map(str::to_owned);
    for part in ["node-key", "organisation-key"] {
        let expected = if keys { whole.to_vec() } else { Vec::new() };
        assert_eq!(steps(part), expected, "{part} of {ods}");
    }
    let certificates = if long() { 3 } else { 2 };
    let expected: Vec<String> = std::iter::repeat_n(whole, certificates).flatten().collect();
    assert_eq!(steps("certificate"), expected, "certificates of {ods}");
}

/// No question failed, and everything that was ever answered is still proven.
fn proven(network: &Network, outcome: &Outcome, begun: Timestamp) {
    let Outcome { made, answers, nothing_shareable, slowest, failed } = outcome;
    let (mut all, mut before) = (0, 0);
    for ods in HOLDERS {
        let verified = receipts::verify_all(network, ods, begun);
        eprintln!("receipts of {ods}: {verified:?}");
        assert!(verified.versions.len() > 3 && verified.before > 0, "{verified:?}");
        all += verified.all;
        before += verified.before;
        assert_clean(network, ods);
    }
    eprintln!(
        "{made} questions, {} failed, {answers} answers and {nothing_shareable} times nothing shareable, slowest {slowest:?}; \
         {all} receipts verified, {before} of them from before the first rotation",
        failed.len()
    );
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(*answers > 0 && u64::try_from(all).unwrap() == answers + nothing_shareable, "{all} receipts");
}

/// A running network whose overlaps last until they are ended: half an hour is longer than any test.
fn overlapping(organisations: &[&str]) -> Network {
    let network = Network::builder().organisations(organisations).establish().unwrap();
    for organisation in network.organisations() {
        let path = network.layout().node(organisation.ods).join(layout::NODE_CONFIG);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("rotation_overlap_minutes = 30\n{text}")).unwrap();
    }
    network.start_all().unwrap();
    network
}

/// Four who hold records and ask each other, and the office.
const ALL: [&str; 5] = ["Y91001", "R9A", "Y91002", "R9C", GOVERNANCE];
const HOLDERS: [&str; 4] = ["Y91001", "R9A", "Y91002", "R9C"];
const GOVERNANCE: &str = "G9V";
/// Who asks.
const PEOPLE: [&str; 4] = ["Y91001-gp", "R9A-hos", "Y91002-gp", "R9C-rn"];
/// Questions between two steps.
const SOME: u64 = 20;
