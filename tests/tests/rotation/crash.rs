//! Power fails in the middle: whatever has been moved by then, the node starts with the old set or the new one.

use std::fs;
use std::path::{Path, PathBuf};

use careweave_certs::keystore::{Algorithm, SoftwareKey, public_key_of};
use careweave_certs::rotation::{Rotations, Stage};
use careweave_certs::{layout, private_file};
use careweave_node::clock::Clock;
use careweave_protocol::cbor;
use careweave_protocol::desk::RotationPart;
use careweave_protocol::id::{NetworkId, OdsCode};
use careweave_protocol::key::PublicKey;
use careweave_protocol::time::Timestamp;
use careweave_tests::peer::Member;
use ring::rand::SystemRandom;
use serde::Serialize;

use super::office::Office;

#[test]
fn a_node_that_is_killed_while_keys_are_moved_starts_with_the_old_set_or_the_new_one() {
    let network = super::overlapping(&[OWN, OTHER]);
    let office = Office { network: &network };
    for profile in [format!("{OWN}-it"), format!("{OTHER}-it"), format!("{OWN}-hos")] {
        network.profile(&profile).unwrap();
    }
    // A list of revoked credentials has to come along under the new key.
    network.commands().staff_revoke(OWN, "hos").unwrap().expect_status(0).unwrap();
    office.rotate(OWN, &["--key", "organisation"]);
    office.certify(OWN, "organisation-key");
    network.stop(OWN).unwrap();
    let directory = network.layout().node(OWN);
    let next = SoftwareKey::generate(Algorithm::Ed25519, &SystemRandom::new()).unwrap();
    next.write_plain(&directory.join(layout::PEER_KEY_NEXT)).unwrap();
    let snapshot = Snapshot::take(&directory, &network.layout().root().join("snapshot"));

    for (part, files) in [(RotationPart::OrganisationKey, ORGANISATION), (RotationPart::NodeKey, NODE)] {
        let (current, next, _) = files[0];
        let (before, after) = (public(&directory, current), public(&directory, next));
        for done in 0..=3 + 2 * files.len() {
            snapshot.restore(&directory);
            let cut = Cut { directory: &directory, part, files };
            cut.at(done);
            network.start(OWN).unwrap();
            let expected = if done == 0 { &before } else { &after };
            assert_eq!(public(&directory, current), *expected, "{part:?} cut after {done}");
            assert!(!directory.join(layout::ACTIVATING).exists());
            for (current, next, old) in files.iter().filter(|_| done > 0) {
                assert!(!directory.join(next).exists() && directory.join(old).exists(), "{current} cut after {done}");
            }
            // What it would show is what every other node would believe.
            Member::load(&directory).unwrap();
            if done == 4 {
                network.wait_connected(OWN).unwrap();
            }
            network.kill(OWN).unwrap();
        }
    }

    // The same while the old key is destroyed: overwritten and not removed.
    let old = directory.join(layout::PEER_KEY_OLD);
    let length = fs::metadata(&old).unwrap().len();
    fs::write(&old, vec![0; usize::try_from(length).unwrap()]).unwrap();
    network.start(OWN).unwrap();
    office.rotate(OWN, &["--key", "node", "--force"]).expect_status(0).unwrap();
    assert!(!old.exists());
    network.wait_connected(OWN).unwrap();
}

/// One rotation as far as it had come.
struct Cut<'a> {
    directory: &'a Path,
    part: RotationPart,
    files: &'a [File],
}

impl Cut<'_> {
    /// 0: nothing. 1: the marker. 2: the public half of the old key is remembered. Then for each file the old one has its second name, the new
    /// one its place. Then the stage is written, and last the marker would go.
    fn at(&self, done: usize) {
        let steps = 2 * self.files.len();
        if done >= 1 {
            self.mark();
        }
        if done >= 2 {
            self.remember();
        }
        for moved in 0..steps.min(done.saturating_sub(2)) {
            let (current, next, old) = self.files[moved / 2];
            let [current, next, old] = [current, next, old].map(|name| self.directory.join(name));
            match moved % 2 {
                0 => fs::hard_link(current, old).unwrap(),
                _ => fs::rename(next, current).unwrap(),
            }
        }
        if done >= 3 + steps {
            let mut rotations = Rotations::default();
            rotations.0.insert(self.part, self.stage());
            self.write(layout::ROTATIONS, &cbor::to_vec(&rotations).unwrap());
        }
    }

    fn mark(&self) {
        let marker = Marker {
            part: self.part,
            stage: self.stage(),
            network: "demo".parse().unwrap(),
            ods: OWN.parse().unwrap(),
            at: Clock.now(),
        };
        self.write(layout::ACTIVATING, &cbor::to_vec(&marker).unwrap());
    }

    fn remember(&self) {
        let key = public(self.directory, self.files[0].0);
        match key.node_key() {
            Some(node) => self.write(layout::LOG_KEYS, &cbor::to_vec(&vec![node]).unwrap()),
            None => self.write(layout::EARLIER_KEYS, &cbor::to_vec(&vec![key]).unwrap()),
        }
    }

    fn stage(&self) -> Stage {
        let now = Clock.now();
        Stage::Overlap { since: now, until: now.after(std::time::Duration::from_secs(1800)) }
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        private_file::replace(&self.directory.join(name), bytes).unwrap();
    }
}

/// `trust/activating.cbor` as a node writes it.
#[derive(Serialize)]
struct Marker {
    part: RotationPart,
    stage: Stage,
    network: NetworkId,
    ods: OdsCode,
    at: Timestamp,
}

/// Keys and trust of a node as they were.
struct Snapshot(PathBuf);

impl Snapshot {
    fn take(directory: &Path, to: &Path) -> Self {
        for folder in [layout::KEYS, layout::TRUST] {
            copy(&directory.join(folder), &to.join(folder));
        }
        Self(to.to_owned())
    }

    fn restore(&self, directory: &Path) {
        for folder in [layout::KEYS, layout::TRUST] {
            for entry in fs::read_dir(directory.join(folder)).unwrap() {
                fs::remove_file(entry.unwrap().path()).unwrap();
            }
            copy(&self.0.join(folder), &directory.join(folder));
        }
    }
}

/// Files with their modes: a key that others can read is refused.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

fn public(directory: &Path, name: &str) -> PublicKey {
    public_key_of(&directory.join(name)).unwrap()
}

/// Current name, successor's, predecessor's.
type File = (&'static str, &'static str, &'static str);

const ORGANISATION: &[File] = &[
    (layout::ORGANISATION_KEY, layout::ORGANISATION_KEY_NEXT, layout::ORGANISATION_KEY_OLD),
    (layout::CHAIN, layout::CHAIN_NEXT, layout::CHAIN_OLD),
];
const NODE: &[File] = &[(layout::PEER_KEY, layout::PEER_KEY_NEXT, layout::PEER_KEY_OLD)];
const OWN: &str = "R9A";
const OTHER: &str = "Y91001";
