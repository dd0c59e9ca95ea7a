//! A running network whose officers change: what an officer signs on a machine of their own reaches every node.

use std::fs;
use std::time::Duration;

use careweave_tests::network::{Network, Output, until};

/// By when every connected node knows what one node was told.
const LEARNED: Duration = Duration::from_secs(60);

#[test]
fn a_new_officer_stops_a_member_from_their_own_machine_and_a_removed_one_does_not() {
    let network = Network::builder().organisations(&["Y91001", "R9A", "G9V"]).start().unwrap();
    let (commands, layout) = (network.commands(), network.layout());
    let text = |path: std::path::PathBuf| path.to_str().unwrap().to_owned();
    let (governance, passphrase) = (text(layout.governance()), text(layout.passphrase()));
    let own = |name: &str| text(layout.root().join(name));
    let run = |arguments: &[&str]| -> Output { network.programs().run(None, arguments).unwrap() };
    let key = ["--passphrase-file", passphrase.as_str()];
    let office = |arguments: &[&str]| run(&[&["gov"], arguments, &["--dir", &governance], &key].concat());

    // The third officer leaves; somebody comes whose key was never here.
    let (dee, cy) = (own("dee"), own("cy"));
    run(&[&["gov", "officer", &dee, "--network", commands.network()][..], &key].concat()).expect_status(0).unwrap();
    let public = format!("{dee}/officer.pub");
    office(&["propose", "--officer-in", &public, "--officer-out", "3"]).expect_status(0).unwrap();
    for officer in [1, 2] {
        commands.gov_sign(officer).unwrap().expect_status(0).unwrap();
    }
    let chain = own("chain.cbor");
    office(&["publish", "--out", &chain]).expect_status(0).unwrap();
    network.profile("G9V-ra").unwrap();
    commands.gov_publish_to("G9V-ra").unwrap().expect_status(0).unwrap();

    // Whoever left has taken their directory along, in which the manifest that removed them is not.
    let copied = std::process::Command::new("cp").args(["-r", &governance, &cy]).status().unwrap();
    assert!(copied.success());
    fs::remove_file(format!("{cy}/manifests/000002.cbor")).unwrap();
    let stop = ["gov", "suspend", "--ods", "R9A", "--officer", "3", "--passphrase-file", &passphrase, "--reason"];
    run(&[&stop[..], &["spite", "--dir", &cy]].concat()).expect_status(0).unwrap();
    let profile = network.profile("G9V-ra").unwrap();
    let told = network.programs().run(Some(&profile), &["gov", "publish", "--dir", &cy]).unwrap();
    assert_ne!(told.status, 0, "the node believes no officer who left: {}", told.everything());
    assert!(told.everything().contains("signed by nobody who may"), "{}", told.everything());

    let pin = run(&["gov", "verify", "--file", &chain, "-o", "json"]).field("/first_manifest").unwrap();
    let follow = ["--chain", &chain, "--pin", pin.as_str().unwrap()];
    run(&[&stop[..], &["incident 31", "--dir", &dee], &follow].concat()).expect_status(0).unwrap();
    network.programs().run(Some(&profile), &["gov", "publish", "--dir", &dee]).unwrap().expect_status(0).unwrap();
    until("Y91001 knows that R9A is suspended", LEARNED, || {
        let peers = network.cli("Y91001-it", &["node", "peers", "-o", "json"]).unwrap();
        if peers.stdout.contains("SUSPENDED") { Ok(()) } else { Err(peers.everything()) }
    })
    .unwrap();
}
