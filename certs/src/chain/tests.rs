use careweave_protocol::key::Signer;
use ring::rand::SystemRandom;
use serde_bytes::ByteBuf;

use super::*;
use crate::authority::{Authority, BACK_DATING, CertificateRequest, ORGANISATION_LIFE, create_root, to_pem};
use crate::fixture::Network;
use crate::keystore::Algorithm;
use crate::keystore::tests::key;
use crate::manifest::{AuthorityCertificate, AuthorityState};

#[test]
fn a_certificate_is_accepted_within_its_life_and_each_end_is_named() {
    let network = Network::new(&["R9A", "R9C"]);
    let (manifest, r9a) = (network.manifest(1), &network.organisations[0]);
    let chain = [network.certificate(&r9a.ods, &r9a.key), network.intermediate.clone()];
    let minute = Duration::from_secs(60);
    for (now, wanted) in [
        (network.now, Ok(())),
        (network.now.before(BACK_DATING), Ok(())),
        (network.now.before(BACK_DATING + minute), Err(Cause::CertNotYetValid)),
        (network.now.after(ORGANISATION_LIFE), Ok(())),
        (network.now.after(ORGANISATION_LIFE + minute), Err(Cause::CertExpired)),
        (Timestamp(-1), Err(Cause::CertNotYetValid)),
    ] {
        assert_eq!(verify(&chain, &manifest, now).map(|_| ()), wanted, "{now:?}");
    }
    let certificate = verify(&chain, &manifest, network.now).unwrap();
    assert_eq!((certificate.ods(), certificate.key()), (&r9a.ods, &r9a.key.public_key()));
    assert_eq!(certificate.not_after(), network.now.after(ORGANISATION_LIFE));
    assert_eq!(from_pem(to_pem(&chain).as_bytes()).unwrap(), chain);
}

#[test]
fn a_stolen_intermediate_cannot_impersonate_a_member() {
    let network = Network::new(&["R9A"]);
    let (manifest, thief) = (network.manifest(1), key(Algorithm::P256));
    let minted = |ods: &str| network.certificate(&ods.parse().unwrap(), &thief);
    assert_eq!(verify(&[minted("R9A")], &manifest, network.now), Err(Cause::KeyNotPinned));
    assert_eq!(verify(&[minted("R9C")], &manifest, network.now), Err(Cause::NotAMember));
}

#[test]
fn an_announced_key_is_accepted_and_a_retired_one_is_not() {
    let network = Network::new(&["R9A"]);
    let (mut manifest, successor) = (network.manifest(1), key(Algorithm::P256));
    let r9a = &network.organisations[0];
    manifest.members[0].key.next = Some(successor.public_key().spki_hash());
    for holder in [&r9a.key, &successor] {
        assert!(verify(&[network.certificate(&r9a.ods, holder)], &manifest, network.now).is_ok());
    }
    manifest.members[0].key.active = successor.public_key().spki_hash();
    manifest.members[0].key.next = None;
    let retired = verify(&[network.certificate(&r9a.ods, &r9a.key)], &manifest, network.now);
    assert_eq!(retired, Err(Cause::KeyNotPinned));
}

#[test]
fn a_chain_through_a_tainted_unlisted_or_foreign_authority_is_invalid() {
    let network = Network::new(&["R9A"]);
    let (other, r9a) = (Network::new(&["R9A"]), &network.organisations[0]);
    let leaf = network.certificate(&r9a.ods, &r9a.key);
    let whole = [leaf.clone(), network.intermediate.clone(), network.root.clone()];
    assert!(verify(&whole, &network.manifest(1), network.now).is_ok());
    for tainted in 0..2 {
        let mut manifest = network.manifest(1);
        // A second root, so that there is one whatever is tainted.
        let root = create_root(&network.id, &key(Algorithm::P256), network.now, &SystemRandom::new()).unwrap();
        manifest.authorities.push(AuthorityCertificate {
            role: AuthorityRole::Root,
            state: AuthorityState::Active,
            certificate: ByteBuf::from(root.to_vec()),
        });
        manifest.authorities[tainted].state = AuthorityState::Tainted;
        assert_eq!(verify(&whole, &manifest, network.now), Err(Cause::AuthorityTainted));
        manifest.authorities.remove(tainted);
        assert_eq!(verify(&whole, &manifest, network.now), Err(Cause::CertInvalid));
    }
    assert_eq!(verify(&whole, &other.manifest(1), network.now), Err(Cause::CertInvalid));
}

#[test]
fn other_purposes_names_and_shapes_are_invalid() {
    let network = Network::new(&["R9A"]);
    let (manifest, now, r9a) = (network.manifest(1), network.now, &network.organisations[0]);
    let check = |certificate: CertificateDer<'_>, what: &str| {
        assert_eq!(verify(&[certificate], &manifest, now), Err(Cause::CertInvalid), "{what}");
    };
    check(network.intermediate.clone(), "an authority as a member");
    check(network.root.clone(), "a root as a member");
    let request = CertificateRequest::create(&network.id, &r9a.ods, "x", &r9a.key).unwrap();
    let request = CertificateRequest::from_pem(&request).unwrap();
    let issuer = Authority::new(network.intermediate.clone(), &network.intermediate_key).unwrap();
    let elsewhere = "elsewhere".parse().unwrap();
    let random = SystemRandom::new();
    check(issuer.issue_organisation(&elsewhere, &r9a.ods, "x", &request, now, &random).unwrap(), "another network");
    let whole = network.certificate(&r9a.ods, &r9a.key);
    let mut trailing = whole.to_vec();
    trailing.push(0);
    check(CertificateDer::from(trailing), "trailing bytes");
    for bit in (0..whole.len() * 8).step_by(7) {
        let mut flipped = whole.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(verify(&[flipped], &manifest, now).is_err(), "bit {bit}");
    }
    assert_eq!(verify::<Vec<u8>>(&[], &manifest, now), Err(Cause::CertInvalid));
    assert_eq!(verify(&vec![whole; 5], &manifest, now), Err(Cause::CertInvalid));
}

#[test]
fn a_certificate_without_our_purpose_is_invalid() {
    let network = Network::new(&["R9A"]);
    let r9a = &network.organisations[0];
    let general = crate::authority::tests::without_purpose(&network, &r9a.ods, &r9a.key);
    assert_eq!(verify(&[general], &network.manifest(1), network.now), Err(Cause::CertInvalid));
}
