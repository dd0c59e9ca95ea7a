use std::fs;
use std::process::Command;
use std::time::Duration;

use careweave_protocol::key::Signer;
use ring::rand::SystemRandom;

use super::*;
use crate::fixture::Network;
use crate::keystore::Algorithm;
use crate::keystore::tests::{Scratch, key};

fn openssl(arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "openssl {arguments:?}: {text}");
    text
}

#[test]
fn openssl_verifies_the_chain_and_reads_what_was_meant() {
    let network = Network::new(&["R9A"]);
    let (scratch, r9a) = (Scratch::new(), &network.organisations[0]);
    let leaf = network.certificate(&r9a.ods, &r9a.key);
    let write = |name: &str, certificate: &CertificateDer<'_>| {
        let path = scratch.path(name);
        fs::write(&path, to_pem(std::slice::from_ref(certificate))).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (root, intermediate, leaf) =
        (write("root", &network.root), write("intermediate", &network.intermediate), write("leaf", &leaf));
    let at = (network.now.0 / 1000).to_string();
    let verified =
        openssl(&["verify", "-x509_strict", "-attime", &at, "-CAfile", &root, "-untrusted", &intermediate, &leaf]);
    assert!(verified.ends_with(": OK\n"), "{verified}");

    let text = openssl(&["x509", "-in", &leaf, "-noout", "-text"]);
    for wanted in [
        "URI:careweave://orchard/R9A",
        "Public-Key: (256 bit)",
        "NIST CURVE: P-256",
        "ecdsa-with-SHA256",
        "Not Before: Jun  1 11:00:00 2026 GMT",
        "Not After : Aug 30 12:00:00 2026 GMT",
        "X509v3 Key Usage: critical\n                Digital Signature\n",
        "CA:FALSE",
        KEY_PURPOSE_TEXT,
    ] {
        assert!(text.contains(wanted), "{wanted} is not in {text}");
    }
    for (file, wanted) in [(&root, "CA:TRUE, pathlen:1"), (&intermediate, "CA:TRUE, pathlen:0")] {
        let text = openssl(&["x509", "-in", file, "-noout", "-text"]);
        assert!(text.contains(wanted) && text.contains("Certificate Sign, CRL Sign"), "{text}");
    }
}

#[test]
fn openssl_accepts_the_request_and_its_names_are_not_what_is_issued() {
    let (network, scratch) = (Network::new(&[]), Scratch::new());
    let (ods, other): (OdsCode, OdsCode) = ("R9A".parse().unwrap(), "R9C".parse().unwrap());
    let organisation = key(Algorithm::P256);
    let pem = CertificateRequest::create(&network.id, &ods, "Trust, with \"marks\" & é", &organisation).unwrap();
    let path = scratch.path("request");
    fs::write(&path, &pem).unwrap();
    let shown = openssl(&["req", "-in", path.to_str().unwrap(), "-noout", "-verify", "-text"]);
    assert!(shown.contains("verify OK") && shown.contains("careweave://orchard/R9A"), "{shown}");

    let request = CertificateRequest::from_pem(&pem).unwrap();
    assert_eq!(*request.key(), organisation.public_key());
    assert!(request.is_for(&network.id, &ods) && !request.is_for(&network.id, &other));
    let altered = pem.replacen("MI", "MJ", 1);
    assert!(CertificateRequest::from_pem(&altered).is_err());
    assert!(CertificateRequest::from_pem("nothing").is_err());
}

#[test]
fn an_authority_needs_its_own_key_certifies_p256_only_and_is_never_outlived() {
    let network = Network::new(&["R9A"]);
    let random = SystemRandom::new();
    let stranger = key(Algorithm::P256);
    assert!(matches!(Authority::new(network.root.clone(), &stranger), Err(AuthorityError::IssuerKey)));
    let root = Authority::new(network.root.clone(), &network.root_key).unwrap();
    let ed25519 = key(Algorithm::Ed25519).public_key();
    let refused = root.issue_intermediate(&network.id, &ed25519, network.now, &random);
    assert!(matches!(refused, Err(AuthorityError::Algorithm)));
    let late = network.now.after(ROOT_LIFE - INTERMEDIATE_LIFE + Duration::from_secs(60));
    let refused = root.issue_intermediate(&network.id, &stranger.public_key(), late, &random);
    assert!(matches!(refused, Err(AuthorityError::Outlives(_))));
    let refused = CertificateRequest::create(&network.id, &"R9A".parse().unwrap(), "x", &key(Algorithm::Ed25519));
    assert!(matches!(refused, Err(AuthorityError::Algorithm)));
}

/// What the network's intermediate would issue to a web server: our name, another purpose.
pub(crate) fn without_purpose(network: &Network, ods: &OdsCode, holder: &dyn Signer) -> CertificateDer<'static> {
    let mut params = params(network.now, ORGANISATION_LIFE, &SystemRandom::new()).unwrap();
    params.subject_alt_names = vec![SanType::URI(organisation_uri(&network.id, ods).try_into().unwrap())];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let issuer = Authority::new(network.intermediate.clone(), &network.intermediate_key).unwrap();
    issuer.issue(&params, &holder.public_key(), network.now.after(ORGANISATION_LIFE)).unwrap()
}
