use std::fs;
use std::process::Command;

use careweave_protocol::key::{KeyError, PublicKey, Signer};
use ring::rand::SystemRandom;
use rustls_pki_types::CertificateDer;

use super::*;
use crate::authority::to_pem;
use crate::fixture::Network;
use crate::keystore::tests::{Scratch, key};
use crate::keystore::{Algorithm, SoftwareKey};

const HOUR: Duration = Duration::from_secs(3600);

/// A signer that is no file.
struct Elsewhere<'a>(&'a SoftwareKey);

impl Signer for Elsewhere<'_> {
    fn public_key(&self) -> PublicKey {
        self.0.public_key()
    }
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.0.sign(message)
    }
}

/// Whether openssl was content, and what it said.
fn openssl(arguments: &[&str]) -> (bool, String) {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

struct Files {
    scratch: Scratch,
    at: String,
}

impl Files {
    fn new(network: &Network) -> Self {
        let at = (network.now.after(2 * HOUR).0 / 1000).to_string();
        let files = Self { scratch: Scratch::new(), at };
        files.write("root", &to_pem(std::slice::from_ref(&network.root)));
        files.write("intermediate", &to_pem(std::slice::from_ref(&network.intermediate)));
        files
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.scratch.path(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> String {
        self.scratch.path(name).to_str().unwrap().to_owned()
    }

    /// Whether a certificate passes with these lists, and what openssl said.
    fn verify(&self, certificate: &CertificateDer<'_>, check: &str, lists: &[&str]) -> (bool, String) {
        let certificate = self.write("certificate", &to_pem(std::slice::from_ref(certificate)));
        let (root, intermediate) = (self.path("root"), self.path("intermediate"));
        let mut arguments = vec!["verify", "-x509_strict", "-attime", &self.at, check];
        arguments.extend(["-CAfile", &root, "-untrusted", &intermediate]);
        lists.iter().for_each(|list| arguments.extend(["-CRLfile", list]));
        arguments.push(&certificate);
        openssl(&arguments)
    }
}

#[test]
fn openssl_accepts_the_list_and_refuses_only_what_it_names() {
    let network = Network::new(&["R9A", "R9C"]);
    let (files, now) = (Files::new(&network), network.now);
    let [r9a, r9c] = network.organisations.as_slice() else { unreachable!() };
    let (gone, kept) = (network.certificate(&r9a.ods, &r9a.key), network.certificate(&r9c.ods, &r9c.key));
    let elsewhere = Elsewhere(&network.intermediate_key);
    let authority = Authority::new(network.intermediate.clone(), &elsewhere).unwrap();
    let revoked = |reason, at| RevokedCertificate::certificate(&gone, reason, at).unwrap();
    let list = issue(
        &authority,
        &[
            revoked(RevocationReason::Superseded, now.after(HOUR)),
            revoked(RevocationReason::KeyCompromise, now),
            RevokedCertificate::serial(&[0x00, 0xab, 0xcd], RevocationReason::Unspecified, now).unwrap(),
        ],
        7,
        now,
    )
    .unwrap();
    let path = files.write("list", list.pem());

    let (passed, text) = openssl(&["crl", "-verify", "-in", &path, "-CAfile", &files.path("intermediate"), "-text"]);
    assert!(passed && text.contains("verify OK"), "{text}");
    let (_, gone_parsed) = parse_x509_certificate(&gone).unwrap();
    for wanted in [
        "Last Update: Jun  1 12:00:00 2026 GMT",
        "Next Update: Jul  1 12:00:00 2026 GMT",
        "X509v3 CRL Number: \n                7\n",
        &format!(
            "Serial Number: {}\n        Revocation Date: Jun  1 12:00:00 2026 GMT",
            hex(gone_parsed.raw_serial()).to_uppercase()
        ),
        "Key Compromise",
        "Serial Number: ABCD\n",
        "ecdsa-with-SHA256",
    ] {
        assert!(text.contains(wanted), "{wanted} is not in {text}");
    }
    assert_eq!(text.matches("Serial Number:").count(), 2, "named twice, listed once");
    assert!(!text.contains("Superseded"), "since the earlier instant: {text}");

    let (passed, text) = files.verify(&gone, "-crl_check", &[&path]);
    assert!(!passed && text.contains("certificate revoked"), "{text}");
    let (passed, text) = files.verify(&kept, "-crl_check", &[&path]);
    assert!(passed && text.ends_with(": OK\n"), "{text}");
}

#[test]
fn a_root_names_an_intermediate_and_an_empty_list_names_nobody() {
    let network = Network::new(&["R9A"]);
    let (files, now, r9a) = (Files::new(&network), network.now, &network.organisations[0]);
    let leaf = network.certificate(&r9a.ods, &r9a.key);
    let root = Authority::new(network.root.clone(), &network.root_key).unwrap();
    let intermediate = Authority::new(network.intermediate.clone(), &network.intermediate_key).unwrap();
    let of_leaves = files.write("leaves", issue(&intermediate, &[], 1, now).unwrap().pem());
    let nobody = files.write("nobody", issue(&root, &[], 1, now).unwrap().pem());
    let (passed, text) = files.verify(&leaf, "-crl_check_all", &[&nobody, &of_leaves]);
    assert!(passed, "{text}");
    let entry = RevokedCertificate::certificate(&network.intermediate, RevocationReason::CaCompromise, now.after(HOUR))
        .unwrap();
    let tainted = files.write("tainted", issue(&root, &[entry], 2, now.after(HOUR)).unwrap().pem());
    let (passed, text) = files.verify(&leaf, "-crl_check_all", &[&tainted, &of_leaves]);
    assert!(!passed && text.contains("certificate revoked"), "{text}");
}

#[test]
fn a_tampered_list_and_one_of_another_authority_are_refused() {
    let network = Network::new(&["R9A"]);
    let (files, now, r9a) = (Files::new(&network), network.now, &network.organisations[0]);
    let leaf = network.certificate(&r9a.ods, &r9a.key);
    let authority = Authority::new(network.intermediate.clone(), &network.intermediate_key).unwrap();
    let entry = RevokedCertificate::certificate(&leaf, RevocationReason::Superseded, now).unwrap();
    let list = issue(&authority, std::slice::from_ref(&entry), 1, now).unwrap();
    let (_, parsed) = parse_x509_certificate(&leaf).unwrap();
    let serial = list.der().windows(16).position(|window| window == parsed.raw_serial()).unwrap();
    // Another serial number in the entry, another list number, another signature: each still parses.
    for at in [serial + 15, list.der().len() - 1] {
        let mut bytes = list.der().to_vec();
        bytes[at] ^= 1;
        let path = files.scratch.path("tampered");
        fs::write(&path, bytes).unwrap();
        let path = path.to_str().unwrap();
        let intermediate = files.path("intermediate");
        let (_, text) = openssl(&["crl", "-verify", "-inform", "DER", "-in", path, "-CAfile", &intermediate, "-noout"]);
        assert!(text.contains("verify failure"), "byte {at}: {text}");
    }

    let (other_key, random) = (key(Algorithm::P256), SystemRandom::new());
    let root = Authority::new(network.root.clone(), &network.root_key).unwrap();
    let other = root.issue_intermediate(&network.id, &other_key.public_key(), now, &random).unwrap();
    let other = Authority::new(other, &other_key).unwrap();
    let refused = issue(&other, &[entry], 1, now);
    assert!(matches!(refused, Err(RevocationListError::OtherIssuer(serial)) if serial == hex(parsed.raw_serial())));
    let theirs = files.write("theirs", issue(&other, &[], 1, now).unwrap().pem());
    let (passed, text) = files.verify(&leaf, "-crl_check", &[&theirs]);
    assert!(!passed && text.contains("unable to get certificate CRL"), "{text}");
}

#[test]
fn what_is_no_certificate_serial_or_authority_is_refused() {
    let network = Network::new(&["R9A"]);
    let (now, r9a) = (network.now, &network.organisations[0]);
    let reason = RevocationReason::Unspecified;
    assert!(matches!(RevokedCertificate::certificate(b"no", reason, now), Err(RevocationListError::Certificate)));
    for serial in [[].as_slice(), &[0, 0], &[1; 21]] {
        assert!(matches!(RevokedCertificate::serial(serial, reason, now), Err(RevocationListError::Serial)));
    }
    assert!(RevokedCertificate::serial(&[1; 20], reason, now).is_ok());
    // A member's certificate may sign no list.
    let member = Authority::new(network.certificate(&r9a.ods, &r9a.key), &r9a.key).unwrap();
    assert!(matches!(issue(&member, &[], 1, now), Err(RevocationListError::Authority(_))));
    for reason in RevocationReason::ALL {
        assert_eq!(reason.as_str().parse::<RevocationReason>(), Ok(reason));
    }
    assert_eq!("because".parse::<RevocationReason>(), Err(UnknownReason));
}
