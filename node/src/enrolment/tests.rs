use std::path::PathBuf;

use careweave_certs::authority::{create_root, to_pem};
use careweave_certs::keystore::{Algorithm, SoftwareKey};
use careweave_certs::private_file;
use careweave_protocol::key::Signer;
use ring::rand::SystemRandom;

use super::*;

const NOW: Timestamp = Timestamp(1_793_628_600_000);

/// A node directory of this test's own, removed when it is dropped.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("careweave-enrolment-{name}-{}", std::process::id()));
        for folder in [layout::KEYS, layout::TRUST] {
            private_file::create_dir(&path.join(folder)).unwrap();
        }
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// The key of an intermediate, and its certificate in PEM.
fn authority() -> (SoftwareKey, String) {
    let (random, network) = (SystemRandom::new(), "test".parse().unwrap());
    let [root_key, key] = [(); 2].map(|()| SoftwareKey::generate(Algorithm::P256, &random).unwrap());
    let root = create_root(&network, &root_key, NOW, &random).unwrap();
    let above = Authority::new(root, &root_key).unwrap();
    let certificate = above.issue_intermediate(&network, &key.public_key(), NOW, &random).unwrap();
    let pem = to_pem(&[certificate]);
    (key, pem)
}

#[test]
fn a_node_without_the_key_of_an_authority_runs_no_service() {
    let dir = Directory::new("none");
    assert!(Service::load(&dir.0).unwrap().is_none());
}

#[test]
fn a_node_with_key_and_certificate_of_an_authority_is_ready_and_with_a_stranger_s_certificate_does_not_start() {
    let dir = Directory::new("pair");
    let (key, pem) = authority();
    key.write_plain(&dir.0.join(layout::AUTHORITY_KEY)).unwrap();
    assert!(matches!(Service::load(&dir.0), Err(EnrolmentServiceError::Missing { .. })));
    let path = dir.0.join(layout::AUTHORITY_CERTIFICATE);
    private_file::replace(&path, b"no certificate").unwrap();
    assert!(matches!(Service::load(&dir.0), Err(EnrolmentServiceError::Certificate(_))));
    private_file::replace(&path, authority().1.as_bytes()).unwrap();
    assert!(matches!(Service::load(&dir.0), Err(EnrolmentServiceError::Pair(AuthorityError::IssuerKey))));
    private_file::replace(&path, pem.as_bytes()).unwrap();
    assert!(Service::load(&dir.0).unwrap().is_some());
}
