//! Keys in PKCS#11 tokens, by the programs that people use: here an organisation's, in `tokens/office.rs` those of the governance office.
//!
//! The tokens are SoftHSM's, `tokens/softhsm.rs`; without it these tests fail and say what to install.

mod office;
mod softhsm;

use std::fs;
use std::path::Path;
use std::time::Duration;

use careweave_certs::keystore::{KeyForm, form_of, public_key_of};
use careweave_certs::layout;
use careweave_protocol::key::PublicKey;
use careweave_tests::network::{Network, Output, until};

use crate::scene;
use softhsm::{CONFIGURATION, SoftHsm};

/// A practice with its key in a file and a hospital with its key in the token, both with the records of the people of the demonstration.
fn network(token: &SoftHsm) -> Network {
    let builder = Network::builder().organisations(&["Y91001", "R9A"]).moved_clocks();
    let builder = builder.environment(CONFIGURATION, token.configuration());
    let network = builder.organisation_key_in("R9A", &token.address("first")).start().unwrap();
    network.load(scene::population()).unwrap();
    network
}

/// People of both organisations see what the other holds.
fn assert_views(network: &Network) {
    // Nobody is in hospital just now, so its doctor asks in an emergency.
    for (profile, other, purpose) in [("Y91001-gp", "R9A", &[][..]), ("R9A-hos", "Y91001", &["--for", "emergency"])] {
        let view = scene::view(network, profile, &scene::ada(), purpose);
        let json = view.json().unwrap();
        let line = scene::source(&json, other);
        let entries = || scene::entries(network, other, &scene::query_id(&json));
        assert_eq!(
            line["outcome"],
            "answered",
            "{line:#}\n{:#?}\n{}\n{}",
            entries(),
            network.log("R9A"),
            network.log("Y91001")
        );
    }
}

/// Private keys that lie in files under a directory: as key files, and in DER anywhere.
fn private_keys(directory: &Path) -> (Vec<PublicKey>, usize) {
    let (mut keys, mut in_der) = (Vec::new(), 0);
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let (more, further) = private_keys(&path);
            keys.extend(more);
            in_der += further;
            continue;
        }
        // What a running store has just removed is no longer there to be read.
        let Ok(bytes) = fs::read(&path) else { continue };
        in_der += bytes.windows(EC_PRIVATE_KEY.len()).filter(|window| *window == EC_PRIVATE_KEY).count();
        if form_of(&path).is_ok_and(|form| form == KeyForm::Plain) {
            keys.push(public_key_of(&path).unwrap());
        }
    }
    (keys, in_der)
}

fn cert_status(network: &Network) -> Output {
    let node = network.layout().node("R9A").to_string_lossy().into_owned();
    network.programs().run(None, &["cert", "status", "--node", &node, "-o", "json"]).unwrap()
}

fn binding_expires(network: &Network) -> String {
    let status = network.cli("R9A-it", &["node", "status", "-o", "json"]).unwrap().expect_status(0).unwrap();
    status.field("/binding_expires").unwrap().as_str().unwrap().to_owned()
}

#[test]
fn a_node_with_its_organisation_key_in_a_token_goes_on_while_the_token_is_away_and_does_not_start_without_it() {
    let token = SoftHsm::new("R9A");
    let network = network(&token);
    assert_views(&network);
    cert_status(&network).expect_status(0).unwrap();

    // The key is in the token and in no file; that a file would have been found, the other node shows.
    let key = |ods: &str| public_key_of(&network.layout().node(ods).join(layout::ORGANISATION_KEY)).unwrap();
    let (keys, in_der) = private_keys(&network.layout().node("R9A"));
    assert!(!keys.contains(&key("R9A")) && keys.len() >= 3 && in_der == 0, "{keys:?}");
    assert!(private_keys(&network.layout().node("Y91001")).0.contains(&key("Y91001")));
    assert_eq!((token.objects(), token.has("first")), (2, true));

    network.stop("R9A").unwrap();
    network.start("R9A").unwrap();
    network.wait_connected("R9A").unwrap();
    assert_views(&network);

    // Away: nothing new is signed, everything else goes on.
    token.pull();
    assert_views(&network);
    cert_status(&network).expect_status(0).unwrap();
    let refused = network.profile("R9A-rn").unwrap_err().to_string();
    assert!(refused.contains("no token labelled R9A") && refused.contains("hint: plug the token in"), "{refused}");
    let before = binding_expires(&network);
    network.move_clocks(HALF_A_DAY).unwrap();
    until("why the binding is not renewed", ROUNDS, || {
        let log = network.log("R9A");
        let line = log.lines().find(|line| line.contains("could not be renewed"));
        match line {
            Some(line) if line.contains("no token labelled R9A") && line.contains("plug the token in") => Ok(()),
            _ => Err(log),
        }
    })
    .unwrap();
    assert_eq!(binding_expires(&network), before);
    assert_views(&network);

    // Back: no restart is needed.
    token.put_back();
    until("the binding is renewed", ROUNDS, || {
        let expires = binding_expires(&network);
        if expires > before { Ok(()) } else { Err(format!("{expires}\n{}", network.log("R9A"))) }
    })
    .unwrap();
    assert_views(&network);

    token.pull();
    network.stop("R9A").unwrap();
    let refused = network.start("R9A").unwrap_err().to_string();
    assert!(refused.contains("error: the PKCS#11 module sees no token labelled R9A"), "{refused}");
    assert!(refused.contains("hint: plug the token in"), "{refused}");
    token.unplug();
    let refused = network.start("R9A").unwrap_err().to_string();
    assert!(refused.contains("cannot be used: C_Initialize") && refused.contains("SOFTHSM2_CONF"), "{refused}");
    token.put_back();
    network.start("R9A").unwrap();
    network.wait_connected("R9A").unwrap();
    assert_views(&network);
    scene::assert_clean(&network, "R9A");
}

#[test]
fn an_organisation_key_is_rotated_to_another_key_of_the_token_and_the_old_one_is_gone_from_it() {
    let token = SoftHsm::new("R9A");
    let network = network(&token);
    assert_views(&network);
    let node = network.layout().node("R9A");
    let post = |name: &str| network.layout().post().join(name).to_string_lossy().into_owned();
    let directory = node.to_string_lossy().into_owned();
    let old = public_key_of(&node.join(layout::ORGANISATION_KEY)).unwrap();
    // A copy of the directory as it is: whoever has it can use the key for as long as the token has it.
    let copy = network.layout().root().join("copy");
    fs::create_dir_all(copy.join("keys")).unwrap();
    for name in ["node.toml", "keys/organisation.key", "keys/peer.key", "keys/desk.key", "keys/beacon.key"] {
        fs::copy(node.join(name), copy.join(name)).unwrap();
    }
    let copy = copy.to_string_lossy().into_owned();
    let request_of_copy =
        |out: &str| network.programs().run(None, &["cert", "request", "--node", &copy, "--out", &post(out)]).unwrap();
    request_of_copy("copy-before.request").expect_status(0).unwrap();

    // The node does not know which label is wanted.
    let rotate = |more: &[&str]| {
        let order = ["cert", "rotate", "--key", "organisation", "-o", "json"];
        network.cli("R9A-it", &[&order[..], more].concat()).unwrap()
    };
    let refused = rotate(&[]).expect_status(1).unwrap();
    assert!(refused.everything().contains("--pkcs11"), "{}", refused.everything());

    let request = ["cert", "request", "--node", &directory, "--for", "organisation-key", "--out", &post("R9A.request")];
    let taken = network.programs().run(None, &[&request[..], &["--pkcs11", &token.address("first")]].concat()).unwrap();
    let taken = taken.expect_status(1).unwrap();
    assert!(
        taken.stderr.contains("already") && taken.stderr.contains("hint: choose another label"),
        "{}",
        taken.stderr
    );
    let made = network.programs().run(None, &[&request[..], &["--pkcs11", &token.address("second")]].concat()).unwrap();
    made.expect_status(0).unwrap();
    assert_eq!((token.objects(), token.has("second")), (4, true));
    let (request, enrolment) = (network.layout().post().join("R9A.request"), network.layout().post().join("R9A.next"));
    network.commands().gov_issue(&request, &enrolment).unwrap().expect_status(0).unwrap();
    network.commands().cert_install(&node, &enrolment).unwrap().expect_status(0).unwrap();
    rotate(&["--rehearse"]).expect_status(0).unwrap();
    let put = rotate(&[]).expect_status(0).unwrap();
    assert_eq!(put.field("/now").unwrap(), "overlap", "{}", put.everything());
    assert_ne!(public_key_of(&node.join(layout::ORGANISATION_KEY)).unwrap(), old);
    assert_views(&network);
    network.commands().staff_renew("R9A", &["--all"]).unwrap().expect_status(0).unwrap();
    assert_views(&network);
    request_of_copy("copy-during.request").expect_status(0).unwrap();

    rotate(&[]).expect_status(4).unwrap();
    let over = rotate(&["--force"]).expect_status(0).unwrap();
    assert_eq!(over.field("/now").unwrap(), "active", "{}", over.everything());
    assert_eq!((token.objects(), token.has("first"), token.has("second")), (2, false, true));
    assert!(!node.join(layout::ORGANISATION_KEY_OLD).exists());
    let gone = request_of_copy("copy-after.request").expect_status(1).unwrap();
    assert!(gone.stderr.contains("labelled first") && gone.stderr.contains("hint:"), "{}", gone.stderr);
    assert_views(&network);

    network.stop("R9A").unwrap();
    network.start("R9A").unwrap();
    network.wait_connected("R9A").unwrap();
    assert_views(&network);
    scene::assert_clean(&network, "R9A");
}

/// How an EC private key begins in DER, behind its length: version 1, then an OCTET STRING of 32 bytes (RFC 5915 §3).
const EC_PRIVATE_KEY: [u8; 5] = [0x02, 0x01, 0x01, 0x04, 0x20];
/// Past the point where bindings are renewed, far before they end, in seconds.
const HALF_A_DAY: i64 = 13 * 3600;
/// A few of the rounds in which a node looks at what is due.
const ROUNDS: Duration = Duration::from_secs(90);
