//! Who would not follow is named before anything is changed: a clock that is wrong, a manifest that is old, a node that is off.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::{Child, Command, Stdio};

use careweave_certs::layout;
use careweave_node::clock::Clock;
use careweave_node::net::{ExchangeStream, FramedStream, Inbound, Protocol};
use careweave_protocol::cbor;
use careweave_protocol::directory::{ManifestReply, ManifestRequest, Verdict};
use careweave_protocol::frame::split;
use careweave_protocol::identity::{EndpointRole, NodeHello};
use careweave_protocol::limits::FRAME_MAX;
use careweave_tests::network::{Network, Output, until};
use careweave_tests::peer::{Member, Peer};
use serde_json::Value;
use tokio::runtime::Runtime;

use super::office::Office;
use crate::scene::list;

#[test]
fn a_rehearsal_names_who_would_be_left_behind_and_only_force_goes_on_without_them() {
    let network = super::overlapping(&[OWN, WELL, AHEAD, BEHIND, OFF, super::GOVERNANCE]);
    let office = Office { network: &network };
    for profile in ["it", "ig", "gp"].map(|role| format!("{OWN}-{role}")) {
        network.profile(&profile).unwrap();
    }
    network.profile(&format!("{}-ra", super::GOVERNANCE)).unwrap();
    let directory = network.layout().node(OWN);
    let before = state(&directory);

    // Everybody is well, and says so; asking has changed nothing.
    let well = office.rotate(OWN, &["--key", "node", "--rehearse"]).expect_status(0).unwrap();
    assert_eq!(verdicts(&well).len(), 5);
    assert!(verdicts(&well).values().all(|verdict| verdict["reached"] == true && verdict["refused"].is_null()));
    // Whoever may not operate the node is not even told.
    let other = network.cli(&format!("{OWN}-gp"), &["cert", "rotate", "--key", "node", "--rehearse"]).unwrap();
    assert_eq!(other.status, 4, "{}", other.everything());
    assert!(other.stderr.contains("operate") && !other.everything().contains(WELL), "{}", other.everything());
    let other = network.cli(&format!("{OWN}-gp"), &["cert", "rotate", "--key", "node", "--force"]).unwrap();
    assert_eq!(other.status, 4, "{}", other.everything());
    assert_eq!(state(&directory), before);
    assert!(steps(&network).is_empty());

    // One is switched off; in the place of one a peer answers who never heard of the next manifest; one has another clock.
    network.stop(OFF).unwrap();
    network.stop(BEHIND).unwrap();
    let version = next_manifest(&network, &office);
    let runtime = Runtime::new().unwrap();
    let member = Member::load(&network.layout().node(BEHIND)).unwrap();
    assert_eq!(member.trust.version() + 1, version);
    let credentials = member.credentials().unwrap();
    let behind = runtime.block_on(Peer::connect_offering(credentials, &office.address(OWN), vec![Protocol::Manifest]));
    let answering = runtime.spawn(answer(member, behind.unwrap()));
    network.stop(AHEAD).unwrap();
    let _ahead = Ahead::start(&network);

    let rehearsed = office.rotate(OWN, &["--key", "node", "--rehearse"]);
    assert_eq!(rehearsed.status, 3, "{}", rehearsed.everything());
    named(&rehearsed, version);
    assert_eq!(rehearsed.field("/done").unwrap(), false);
    assert_eq!(state(&directory), before);

    let refused = office.rotate(OWN, &["--key", "node"]);
    assert_eq!(refused.status, 4, "{}", refused.everything());
    named(&refused, version);
    assert!(refused.field("/said").unwrap().as_str().unwrap().contains("not put in use"), "{}", refused.everything());
    assert_eq!(state(&directory)[layout::PEER_KEY], before[layout::PEER_KEY]);
    assert_eq!(steps(&network), [("rotation-prepared".to_owned(), "node-key".to_owned())]);

    let forced = office.rotate(OWN, &["--key", "node", "--force"]);
    assert_eq!(forced.status, 3, "{}", forced.everything());
    named(&forced, version);
    assert_ne!(state(&directory)[layout::PEER_KEY], before[layout::PEER_KEY]);
    let left = format!("node-key without {}", in_order().join(" "));
    assert_eq!(steps(&network).last().unwrap(), &("rotation-activated".to_owned(), left));

    // Whoever was off learns it when they come back.
    network.start(OFF).unwrap();
    let wanted = office.peer(OWN).to_string();
    until("who was off is back", super::office::LEARNED, || {
        let peers = network.cli(&format!("{OFF}-it"), &["node", "peers", "-o", "json"]).unwrap().json().unwrap();
        let line = peers.as_array().unwrap().iter().find(|line| line["ods"] == OWN).unwrap();
        if line["peer_id"] == *wanted && line["connected"] == true { Ok(()) } else { Err(format!("{line:#}")) }
    })
    .unwrap();
    answering.abort();
}

/// Each of the three by name, with what is the matter; the one that is well accepts.
fn named(output: &Output, version: u64) {
    let said = output.field("/said").unwrap();
    let verdicts = verdicts(output);
    for ods in in_order() {
        assert!(said.as_str().unwrap().contains(ods), "{}", output.everything());
    }
    let clock = verdicts[AHEAD]["refused"].as_str().unwrap_or_default();
    assert!(clock.starts_with("CLOCK_SKEW"), "{}", output.everything());
    assert!(verdicts[AHEAD]["skew"].as_i64().is_some_and(|skew| (590..=610).contains(&skew)), "{verdicts:#?}");
    let remarks = verdicts[BEHIND]["remarks"].to_string();
    assert!(remarks.contains(&format!("MANIFEST_OLD {}<{version}", version - 1)), "{}", output.everything());
    assert_eq!(verdicts[OFF]["reached"], false);
    assert!(verdicts[OFF]["remarks"].to_string().contains("not reached"), "{}", output.everything());
    assert_eq!((&verdicts[WELL]["reached"], &verdicts[WELL]["refused"]), (&true.into(), &Value::Null));
}

fn in_order() -> [&'static str; 3] {
    let mut codes = [AHEAD, BEHIND, OFF];
    codes.sort_unstable();
    codes
}

/// What each member said.
fn verdicts(output: &Output) -> BTreeMap<String, Value> {
    let members = output.field("/members").unwrap();
    let members = members.as_array().unwrap().iter();
    members.map(|verdict| (verdict["ods"].as_str().unwrap().to_owned(), verdict.clone())).collect()
}

/// Keys and what the node shows of itself, byte by byte; not what it learns of others.
fn state(directory: &std::path::Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for folder in [layout::KEYS, layout::TRUST] {
        for entry in fs::read_dir(directory.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{folder}/{}", path.file_name().unwrap().to_string_lossy());
            if name != layout::MANIFEST && name != layout::ADVERTS {
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// Steps of rotations in the log, with their details.
fn steps(network: &Network) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let admin = list(network, OWN, &["--kind", "admin"]);
    let steps = admin.iter().map(|entry| (text(&entry["outcome"]), text(&entry["detail"])));
    steps.filter(|(outcome, _)| outcome.starts_with("rotation-")).collect()
}

/// A manifest that changes next to nothing, at those who run.
fn next_manifest(network: &Network, office: &Office<'_>) -> u64 {
    office.gov(&["propose", "--valid-days", "100"]);
    for officer in 1..=2 {
        network.commands().gov_sign(officer).unwrap().expect_status(0).unwrap();
    }
    let out = network.layout().post().join("manifest.cbor");
    network.commands().gov_publish(&out).unwrap().expect_status(0).unwrap();
    let profile = format!("{}-ra", super::GOVERNANCE);
    network.commands().gov_publish_to(&profile).unwrap().expect_status(0).unwrap();
    let version = network.commands().gov_show().unwrap().field("/version").unwrap().as_u64().unwrap();
    for ods in [OWN, WELL, AHEAD] {
        office.wait_status(ods, "/manifest_version", |held| held.as_u64() == Some(version));
    }
    version
}

/// Answers `/careweave/manifest/1` as a member does who holds what this one held, and learns nothing.
async fn answer(member: Member, mut peer: Peer) {
    while let Some(event) = peer.next().await {
        if let Inbound::Exchange { protocol: Protocol::Manifest, stream, .. } = event {
            // Whoever hangs up in the middle is no concern of the others.
            let _ = reply(&member, FramedStream::new(stream)).await;
        }
    }
}

async fn reply(member: &Member, mut stream: FramedStream<ExchangeStream>) -> Option<()> {
    let request = stream.read_frame(FRAME_MAX).await.ok()??;
    let frames: Vec<Vec<u8>> = match cbor::from_slice(&request, FRAME_MAX).ok()? {
        ManifestRequest::Pull { .. } => {
            let reply = cbor::to_vec(&ManifestReply { documents: Vec::new(), adverts: Vec::new() }).ok()?;
            split(&reply).map(|frame| frame.to_vec()).collect()
        }
        ManifestRequest::Introduce(hello) | ManifestRequest::Rehearse(hello) => {
            vec![cbor::to_vec(&verdict(member, &hello)).ok()?]
        }
        ManifestRequest::Notice => Vec::new(),
    };
    for frame in frames {
        stream.write_frame(&frame).await.ok()?;
    }
    stream.close().await.ok()
}

fn verdict(member: &Member, hello: &NodeHello) -> Verdict {
    let (now, node) = (Clock.now(), hello.binding.unverified().unwrap().node);
    Verdict {
        refused: member.trust.check_node(hello, node, EndpointRole::Peer, now).err(),
        lapses: Vec::new(),
        clock: now,
        manifest_version: member.trust.version(),
        current_as_of: member.trust.current_as_of(),
    }
}

/// A node whose clock is ten minutes ahead, until this is dropped.
struct Ahead(Child);

impl Ahead {
    fn start(network: &Network) -> Self {
        let directory = network.layout().node(AHEAD);
        let log = directory.join("ahead.log");
        let output = File::create(&log).unwrap();
        let child = Command::new("faketime")
            .env("DONT_FAKE_MONOTONIC", "1")
            .args(["-m", "-f", "+600s"])
            .arg(network.programs().careweaved())
            .args(["run", "-c"])
            .arg(directory.join(layout::NODE_CONFIG))
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let ahead = Self(child);
        until("the node with the other clock serves", super::office::LEARNED, || {
            let log = fs::read_to_string(&log).unwrap_or_default();
            if log.contains(" serving") { Ok(()) } else { Err(log) }
        })
        .unwrap();
        ahead
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Who rotates.
const OWN: &str = "Y91001";
const WELL: &str = "Y91002";
const AHEAD: &str = "R9A";
const BEHIND: &str = "R9C";
const OFF: &str = "R9X";
