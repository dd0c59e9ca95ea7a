//! What the governance office and each organisation's certificate team type for a rotation, and when it has arrived everywhere.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use careweave_certs::keystore::public_key_of;
use careweave_certs::layout;
use careweave_node::net::directory::peer_id;
use careweave_tests::network::{Network, Output, until};
use libp2p::{Multiaddr, PeerId};
use serde_json::Value;

/// The office of one network, and the teams of its members.
pub(super) struct Office<'a> {
    pub(super) network: &'a Network,
}

impl Office<'_> {
    /// `careweave gov …` in the office's directory, with its passphrase.
    pub(super) fn gov(&self, arguments: &[&str]) -> Output {
        let directory = self.network.layout().governance().to_string_lossy().into_owned();
        let passphrase = self.network.layout().passphrase().to_string_lossy().into_owned();
        let office = ["--dir", &directory, "--passphrase-file", &passphrase];
        let arguments: Vec<&str> = ["gov"].iter().chain(arguments).chain(&office).copied().collect();
        self.network.programs().run(None, &arguments).unwrap().expect_status(0).unwrap()
    }

    /// Two officers sign the draft, the governance office's node hears of it, and everybody learns it from there.
    pub(super) fn publish(&self) -> u64 {
        for officer in 1..=2 {
            self.network.commands().gov_sign(officer).unwrap().expect_status(0).unwrap();
        }
        self.network.commands().gov_publish(&self.post("manifest.cbor")).unwrap().expect_status(0).unwrap();
        self.network.commands().gov_publish_to("G9V-ra").unwrap().expect_status(0).unwrap();
        let version = self.network.commands().gov_show().unwrap().field("/version").unwrap().as_u64().unwrap();
        for organisation in self.network.organisations() {
            self.wait_status(organisation.ods, "/manifest_version", |held| held.as_u64() == Some(version));
        }
        version
    }

    /// A certificate authority of the office as the manifest has it now: the digest of the one active in this role.
    pub(super) fn active(&self, role: &str) -> String {
        let shown = self.network.commands().gov_show().unwrap().json().unwrap();
        let authorities = shown["authorities"].as_array().unwrap();
        let found = authorities.iter().find(|a| a["role"] == role && a["state"] == "active");
        found.unwrap_or_else(|| panic!("no active {role} in {authorities:#?}"))["digest"].as_str().unwrap().to_owned()
    }

    /// Makes an authority and gives its file and digest.
    pub(super) fn authority(&self, arguments: &[&str]) -> (String, String) {
        let made = self.gov(&[&["-o", "json", "authority"], arguments].concat());
        let text = |pointer: &str| made.field(pointer).unwrap().as_str().unwrap().to_owned();
        (text("/file"), text("/digest"))
    }

    /// `careweave cert rotate` as an organisation's IT.
    pub(super) fn rotate(&self, ods: &str, more: &[&str]) -> Output {
        let arguments: Vec<&str> = ["cert", "rotate", "-o", "json"].iter().chain(more).copied().collect();
        self.network.cli(&format!("{ods}-it"), &arguments).unwrap()
    }

    /// A certificate by hand: requested, issued, put beside the one in use.
    pub(super) fn certify(&self, ods: &str, purpose: &str) {
        let enrolment = self.post(&format!("{ods}.next"));
        let request = self.request(ods, purpose);
        self.network.commands().gov_issue(&request, &enrolment).unwrap().expect_status(0).unwrap();
        let node = self.network.layout().node(ods);
        let arguments =
            ["cert", "install", "--node", &text(&node), "--enrolment", &text(&enrolment), "--next"].map(str::to_owned);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.network.programs().run(None, &arguments).unwrap().expect_status(0).unwrap();
        assert!(node.join(layout::CHAIN_NEXT).is_file());
    }

    /// A fresh request of the node.
    pub(super) fn request(&self, ods: &str, purpose: &str) -> PathBuf {
        let out = self.post(&format!("{ods}.request"));
        drop(fs::remove_file(&out));
        let node = text(&self.network.layout().node(ods));
        let arguments = ["cert", "request", "--node", &node, "--for", purpose, "--out", &text(&out)].map(str::to_owned);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.network.programs().run(None, &arguments).unwrap().expect_status(0).unwrap();
        out
    }

    /// Where a node is reached now, whatever its key is.
    pub(super) fn address(&self, ods: &str) -> Multiaddr {
        let known: Multiaddr = self.network.addresses(ods).unwrap().peer.parse().unwrap();
        let bare = known.into_iter().filter(|part| !matches!(part, libp2p::multiaddr::Protocol::P2p(_)));
        bare.collect::<Multiaddr>().with(libp2p::multiaddr::Protocol::P2p(self.peer(ods)))
    }

    /// The PeerId of a node as its directory says.
    pub(super) fn peer(&self, ods: &str) -> PeerId {
        let key = public_key_of(&self.network.layout().node(ods).join(layout::PEER_KEY)).unwrap();
        peer_id(key.node_key().unwrap()).unwrap()
    }

    /// Waits until every other node that runs is connected to this one under its present key.
    pub(super) fn wait_known(&self, ods: &str) {
        let wanted = self.peer(ods).to_string();
        for other in self.network.organisations().iter().filter(|other| other.ods != ods) {
            let profile = format!("{}-it", other.ods);
            until(&format!("{} knows the key of {ods}", other.ods), LEARNED, || {
                let peers = self.network.cli(&profile, &["node", "peers", "-o", "json"]).unwrap().json().unwrap();
                let line = peers.as_array().unwrap().iter().find(|line| line["ods"] == ods).unwrap();
                if line["peer_id"] == *wanted && line["connected"] == true { Ok(()) } else { Err(format!("{line:#}")) }
            })
            .unwrap();
        }
    }

    /// Waits until what `node status` says at a pointer is right.
    pub(super) fn wait_status(&self, ods: &str, pointer: &str, right: impl Fn(&Value) -> bool) {
        until(&format!("{pointer} of {ods}"), LEARNED, || {
            let status = self.network.cli(&format!("{ods}-it"), &["node", "status", "-o", "json"]).unwrap();
            let value = status.field(pointer).map_err(|error| error.to_string())?;
            if right(&value) { Ok(()) } else { Err(format!("{value}\n{}", self.network.log(ods))) }
        })
        .unwrap();
    }

    fn post(&self, name: &str) -> PathBuf {
        self.network.layout().post().join(name)
    }
}

fn text(path: &std::path::Path) -> String {
    path.to_string_lossy().into_owned()
}

/// How long a connected node may take to learn of a change.
pub(super) const LEARNED: Duration = Duration::from_secs(60);
