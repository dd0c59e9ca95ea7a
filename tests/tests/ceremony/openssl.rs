//! Another tool's opinion of what the office makes.

use std::fs;
use std::process::Command;

use careweave_certs::authority::{is_issued_by, to_pem};
use careweave_certs::enrolment::Enrolment;
use careweave_certs::manifest::AuthorityRole;

use super::office::Ceremony;
use super::people::People;

/// `openssl verify` of root, intermediate and organisation, strictly.
pub(crate) fn verify(ceremony: &Ceremony, enrolment: &Enrolment) {
    let [leaf, intermediate] = enrolment.chain.as_slice() else { panic!("a chain is of two") };
    let trust = ceremony.trust();
    let mut roots = trust.manifest().authorities.iter().filter(|a| a.role == AuthorityRole::Root);
    let root = roots.find(|root| is_issued_by(intermediate, &root.certificate)).expect("a root of the manifest");
    let write = |name: &str, certificate: &[u8]| {
        let path = ceremony.people.path("", name);
        fs::write(&path, to_pem(&[certificate.into()])).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (root, intermediate, leaf) =
        (write("root.pem", &root.certificate), write("intermediate.pem", intermediate), write("leaf.pem", leaf));
    let said = run(&["verify", "-x509_strict", "-CAfile", &root, "-untrusted", &intermediate, &leaf]);
    assert!(said.ends_with(": OK\n"), "{said}");
}

/// A revocation list as openssl reads it, its signature verified under the authority's certificate.
pub(crate) fn list(people: &People, authority: &str, list: &str) -> String {
    let at = |file: &str| people.path(super::OFFICE, file).to_str().unwrap().to_owned();
    let (authority, list) = (at(authority), at(list));
    let said = run(&["crl", "-in", &list, "-noout", "-text", "-CAfile", &authority]);
    assert!(said.contains("verify OK"), "{said}");
    said
}

/// The serial number of a certificate as a list has it.
pub(crate) fn serial(certificate: &[u8], people: &People) -> String {
    let path = people.path("", "serial.pem");
    fs::write(&path, to_pem(&[certificate.into()])).unwrap();
    let said = run(&["x509", "-in", path.to_str().unwrap(), "-noout", "-serial"]);
    said.trim().strip_prefix("serial=").unwrap().to_owned()
}

fn run(arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "openssl {arguments:?}: {said}");
    said
}
