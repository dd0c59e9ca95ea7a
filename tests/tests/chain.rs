//! The chain of manifests: a node that was away catches up by itself, and none is moved to believe less than it did, or something that
//! does not follow.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use careweave_certs::enrolment::Enrolment;
use careweave_certs::keystore::{Passphrase, SoftwareKey};
use careweave_certs::manifest::Manifest;
use careweave_node::clock::Clock;
use careweave_protocol::desk::{DeskReply, DeskRequest, GovernanceDocument};
use careweave_protocol::signed::MultiSigned;
use careweave_tests::network::{Network, until};
use careweave_tests::peer::{Peer, Person};
use libp2p::Multiaddr;
use serde_bytes::ByteBuf;
use serde_json::Value;

use crate::scene::{ada, assert_clean, decision, list, query_id, small, source, view};

#[test]
fn a_node_that_was_away_during_two_changes_of_root_catches_up_by_itself_and_then_serves() {
    let office = Office::new(small(&[PRACTICE, HOSPITAL, AMBULANCE]));
    let network = &office.network;
    office.seen(&[HOSPITAL, AMBULANCE]);
    network.stop(AMBULANCE).unwrap();
    let begun = office.version();
    let (mut root, mut intermediate) = (office.active("root"), office.active("intermediate"));
    for _ in 0..2 {
        // Announced, then in use: the former root and what it issued leave.
        let (next_root, root_file) = office.authority(&["root"]);
        let (next, file) = office.authority(&["intermediate", "--under", &next_root]);
        office.gov(&["propose", "--authority-in", &root_file, "--role", "root"]);
        office.gov(&["propose", "--authority-in", &file, "--role", "intermediate"]);
        office.publish(&[PRACTICE, HOSPITAL]);
        // People learn of it as their nodes did, the next time they look.
        office.seen(&[HOSPITAL]);
        office.network.cli(CLERK, &["node", "status"]).unwrap();
        for ods in [PRACTICE, HOSPITAL] {
            office.certify(ods, &next);
        }
        let activate = ["propose", "--activate", &next_root, "--activate", &next];
        office.gov(&[&activate[..], &["--retire", &root, "--retire", &intermediate]].concat());
        office.publish(&[PRACTICE, HOSPITAL]);
        (root, intermediate) = (next_root, next);
    }
    let newest = office.version();
    assert_eq!(newest, begun + 4);
    office.seen(&[HOSPITAL]);

    // It holds no root that anybody else still has, and they hold none of its own: all it can be given is the manifests, and it takes them.
    network.start(AMBULANCE).unwrap();
    let pid = network.pid(AMBULANCE).unwrap();
    until("the node has caught up", LEARNED, || {
        let log = network.log(AMBULANCE);
        if log.contains("caught up with the network") && log.contains(&format!("version={newest}")) {
            return Ok(());
        }
        Err(log)
    })
    .unwrap();
    let kept = network.layout().node(AMBULANCE).join("trust/manifest.cbor");
    let kept = careweave_certs::trust::Trust::from_bytes(&fs::read(kept).unwrap(), Clock.now()).unwrap();
    assert_eq!(kept.version(), newest);
    // Nobody answers it before the office has certified it anew.
    let partial = view(network, GP, &ada(), &[]).expect_status(3).unwrap().json().unwrap();
    assert_ne!(source(&partial, AMBULANCE)["outcome"], "answered");
    office.certify(AMBULANCE, &intermediate);
    office.seen(&[HOSPITAL, AMBULANCE]);
    assert_eq!(network.pid(AMBULANCE).unwrap(), pid, "the new certificate is taken in without a restart");
    for ods in [PRACTICE, HOSPITAL] {
        assert_clean(network, ods);
    }
}

#[test]
fn a_chain_with_a_hole_an_older_manifest_and_a_fork_are_refused_by_name_and_the_version_stays() {
    let office = Office::new(small(&[PRACTICE, HOSPITAL]));
    let network = &office.network;
    office.gov(&["propose", "--valid-days", "90"]);
    office.publish(&[PRACTICE, HOSPITAL]);
    let held = office.version();
    let chain = office.chain();
    let current = chain.last().unwrap().unverified().unwrap();

    // Two versions on, with the one between kept back.
    let skipped = Manifest { version: held + 2, ..current.clone() };
    let older = &chain[chain.len() - 2];
    let fork = Manifest { minimum_standard: careweave_protocol::identity::StandardStatus::Exceeded, ..current.clone() };
    let forged = |manifest: &Manifest| office.sign(manifest);
    let first = chain.first().unwrap();
    let cases = [
        ("a hole", forged(&skipped), "MANIFEST_SKIPPED"),
        ("a fork", forged(&fork), "MANIFEST_FORKED"),
        ("an older one", older.clone(), "MANIFEST_ROLLBACK"),
        ("the first one", first.clone(), "MANIFEST_ROLLBACK"),
    ];
    let unmoved = |when: &str| {
        for ods in [PRACTICE, HOSPITAL] {
            assert_eq!(office.held(ods), held, "{ods}, {when}");
        }
    };
    for round in ["as it runs", "after a restart"] {
        for (what, manifest, cause) in &cases {
            let why = office.hand_over(manifest).unwrap_err();
            assert!(why.contains(cause), "{what}, {round}: {why}");
        }
        unmoved(round);
        office.seen(&[HOSPITAL]);
        network.kill(HOSPITAL).unwrap();
        network.start(HOSPITAL).unwrap();
        network.wait_connected(HOSPITAL).unwrap();
        unmoved("restarted");
    }
    let logged = list(network, HOSPITAL, &["--kind", "admin"]);
    let refused = logged.iter().filter(|e| e["outcome"] == "publish-refused").count();
    assert_eq!(refused, 2 * cases.len(), "{logged:#?}");

    // The twin: the one that follows is taken in, here and from here everywhere.
    let next = Manifest { version: held + 1, ..current };
    office.hand_over(&office.sign(&next)).unwrap();
    for ods in [PRACTICE, HOSPITAL] {
        office.wait_version(ods, held + 1);
    }
    office.seen(&[HOSPITAL]);
}

/// The governance office, and each organisation's certificate team.
struct Office {
    network: Network,
}

impl Office {
    fn new(network: Network) -> Self {
        for organisation in network.organisations() {
            network.profile(&format!("{}-it", organisation.ods)).unwrap();
        }
        for profile in [GP, "R9A-ig", CLERK] {
            network.profile(profile).unwrap();
        }
        Self { network }
    }

    /// A view to which these answer.
    fn seen(&self, answering: &[&str]) {
        let seen = until("the view", LEARNED, || {
            let seen = view(&self.network, GP, &ada(), &[]);
            let json = seen.json().map_err(|error| error.to_string())?;
            let answered = |ods: &&str| json["sources"].is_array() && source(&json, ods)["outcome"] == "answered";
            if answering.iter().all(answered) { Ok(json) } else { Err(seen.everything()) }
        })
        .unwrap();
        for ods in answering.iter().filter(|ods| **ods == HOSPITAL) {
            assert_eq!(decision(&self.network, ods, &query_id(&seen))["outcome"], "answered");
        }
    }

    fn gov(&self, arguments: &[&str]) -> Value {
        let layout = self.network.layout();
        let (office, passphrase) = (layout.governance(), layout.passphrase());
        let place = ["--dir", office.to_str().unwrap(), "--passphrase-file", passphrase.to_str().unwrap()];
        let all: Vec<&str> = ["-o", "json", "gov"].into_iter().chain(arguments.iter().copied()).chain(place).collect();
        self.network.programs().run(None, &all).unwrap().expect_status(0).unwrap().json().unwrap_or_default()
    }

    fn active(&self, role: &str) -> String {
        let shown = self.network.commands().gov_show().unwrap().json().unwrap();
        let mut authorities = shown["authorities"].as_array().unwrap().iter();
        let found = authorities.find(|a| a["role"] == role && a["state"] == "active").unwrap();
        found["digest"].as_str().unwrap().to_owned()
    }

    /// Makes an authority; gives its digest and file.
    fn authority(&self, arguments: &[&str]) -> (String, String) {
        let made = self.gov(&[&["authority"], arguments].concat());
        (made["digest"].as_str().unwrap().to_owned(), made["file"].as_str().unwrap().to_owned())
    }

    fn publish(&self, learning: &[&str]) {
        for officer in 1..=2 {
            self.network.commands().gov_sign(officer).unwrap().expect_status(0).unwrap();
        }
        self.network.commands().gov_publish(&self.published()).unwrap().expect_status(0).unwrap();
        self.network.commands().gov_publish_to(CLERK).unwrap().expect_status(0).unwrap();
        for ods in learning {
            self.wait_version(ods, self.version());
        }
    }

    /// A certificate under this intermediate, carried to the node's directory.
    fn certify(&self, ods: &str, intermediate: &str) {
        let layout = self.network.layout();
        let request = layout.node(ods).join("enrolment-request.cbor");
        let out = layout.post().join(format!("{ods}.next"));
        let paths = ["--request", request.to_str().unwrap(), "--out", out.to_str().unwrap()];
        self.gov(&[&["issue", "--under", intermediate], &paths[..]].concat());
        // The manifests reach the node over the network: what is carried is the certificate.
        let enrolment = Enrolment::from_bytes(&fs::read(&out).unwrap()).unwrap();
        assert!(!enrolment.manifests.is_empty());
        self.network.commands().cert_install(&layout.node(ods), &out).unwrap().expect_status(0).unwrap();
        self.network.reload(ods).unwrap();
    }

    fn published(&self) -> PathBuf {
        self.network.layout().post().join("manifest.cbor")
    }

    /// Every manifest that the office has published.
    fn chain(&self) -> Vec<MultiSigned<Manifest>> {
        let trust = fs::read(self.network.layout().node(HOSPITAL).join("trust/manifest.cbor")).unwrap();
        careweave_certs::trust::Trust::from_bytes(&trust, Clock.now()).unwrap().manifest_chain_after(0)
    }

    fn version(&self) -> u64 {
        self.network.commands().gov_show().unwrap().field("/version").unwrap().as_u64().unwrap()
    }

    /// The version that a running node holds.
    fn held(&self, ods: &str) -> u64 {
        let status = self.network.cli(&format!("{ods}-it"), &["node", "status", "-o", "json"]).unwrap();
        status.field("/manifest_version").unwrap().as_u64().unwrap()
    }

    fn wait_version(&self, ods: &str, version: u64) {
        until(&format!("{ods} holds version {version}"), LEARNED, || match self.held(ods) {
            held if held == version => Ok(()),
            held => Err(held.to_string()),
        })
        .unwrap();
    }

    /// A manifest signed by as many officers as it takes.
    fn sign(&self, manifest: &Manifest) -> MultiSigned<Manifest> {
        let layout = self.network.layout();
        let words = fs::read_to_string(layout.passphrase()).unwrap();
        let mut signed = MultiSigned::draft(manifest).unwrap();
        for officer in 1..=2 {
            let passphrase = Passphrase::new(words.trim_end().to_owned().into());
            let key = layout.governance().join(format!("officers/{officer}/officer.key"));
            let key = SoftwareKey::read_protected(&key, &passphrase).unwrap();
            signed = signed.add_signature(&manifest.network, &key).unwrap();
        }
        signed
    }

    /// Hands the hospital's node a manifest at its desk.
    fn hand_over(&self, manifest: &MultiSigned<Manifest>) -> Result<String, String> {
        let layout = self.network.layout();
        let clerk = Person::load(&layout.profile(CLERK), &layout.passphrase()).unwrap();
        let desk: Multiaddr = self.network.addresses(HOSPITAL).unwrap().desk.parse().unwrap();
        let document = GovernanceDocument::Manifest(ByteBuf::from(manifest.as_bytes().to_vec()));
        let network = self.network.commands().network().parse().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let replies = runtime.block_on(async {
            let peer = Peer::connect(clerk.credentials(&network).unwrap(), &desk).await.unwrap();
            let replies = peer.desk(&DeskRequest::Publish(document)).await.unwrap();
            peer.close().await;
            replies
        });
        match replies.into_iter().next_back() {
            Some((_, DeskReply::Published(said))) => Ok(said),
            Some((_, DeskReply::Failed(why))) => Err(why),
            other => panic!("{other:?}"),
        }
    }
}

const PRACTICE: &str = "Y91001";
const HOSPITAL: &str = "R9A";
const AMBULANCE: &str = "R9X";
const GP: &str = "Y91001-gp";
/// Has the scope govern at the hospital.
const CLERK: &str = "R9A-ra";
/// How long a connected node may take to learn of a change.
const LEARNED: Duration = Duration::from_secs(60);
