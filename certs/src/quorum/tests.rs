use super::*;
use crate::fixture::Network;
use crate::keystore::tests::key;
use crate::keystore::{Algorithm, SoftwareKey};
use careweave_protocol::key::Signer;

/// Every subset of five officers.
fn subsets() -> impl Iterator<Item = Vec<usize>> {
    (0u32..32).map(|bits| (0..5).filter(|officer| bits & (1 << officer) != 0).collect())
}

#[test]
fn every_subset_below_the_threshold_is_refused_and_every_other_accepted() {
    let network = Network::new(&["R9A"]);
    let first = VerifiedManifest::first(network.sign(&network.manifest(1), &[0, 1, 2])).unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for officers in subsets() {
        let enough = officers.len() >= 3;
        let alone = VerifiedManifest::first(network.sign(&network.manifest(1), &officers));
        assert_eq!(alone.is_ok(), enough, "{officers:?}");
        let next = first.next(network.sign(&network.manifest(2), &officers));
        assert_eq!(next.is_ok(), enough, "{officers:?}");
        *(if enough { &mut accepted } else { &mut refused }) += 1;
    }
    // C(5,3) + C(5,4) + C(5,5) of 2^5.
    assert_eq!((accepted, refused), (16, 16));
}

/// Offers a manifest of these new officers, who need three of them, with every subset of old and new officers, and counts what
/// was accepted and refused; each that lacks three of either is refused.
fn offer_every_subset(network: &Network, fresh: &[&SoftwareKey], others: &[&SoftwareKey]) -> (usize, usize) {
    let first = VerifiedManifest::first(network.sign(&network.manifest(1), &[0, 1, 2])).unwrap();
    let mut next = network.manifest(2);
    next.governance = Governance { keys: fresh.iter().map(|k| k.public_key()).collect(), threshold: 3 };
    let (mut accepted, mut refused) = (0, 0);
    for old in subsets() {
        let by_old = network.sign(&next, &old);
        for added in 0u32..1 << others.len() {
            let added = others.iter().enumerate().filter(|(at, _)| added & (1 << at) != 0).map(|(_, key)| *key);
            let signed = added.fold(by_old.clone(), |s, key| s.add_signature(&network.id, key).unwrap());
            let own = signed.signers(&network.id, &next.governance.keys).unwrap().len();
            match first.next(signed) {
                Ok(_) => {
                    assert!(old.len() >= 3 && own >= 3, "{old:?} and {own} of the new");
                    accepted += 1;
                }
                Err(QuorumError::PreviousOfficers { signed, needed: 3 }) => {
                    assert!(signed == old.len() && signed < 3);
                    refused += 1;
                }
                Err(QuorumError::OwnOfficers { signed, needed: 3 }) => {
                    assert!(old.len() >= 3 && signed == own && own < 3);
                    refused += 1;
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
    (accepted, refused)
}

#[test]
fn when_all_officers_change_every_pair_of_subsets_below_the_threshold_of_either_is_refused() {
    let network = Network::new(&[]);
    let fresh: Vec<_> = (0..5).map(|_| key(Algorithm::P256)).collect();
    let fresh: Vec<_> = fresh.iter().collect();
    // 16 good subsets of the old times 16 good ones of the new, of 32 * 32.
    assert_eq!(offer_every_subset(&network, &fresh, &fresh), (256, 768));
}

#[test]
fn when_two_officers_change_those_who_stay_count_on_both_sides_and_no_fewer_suffice() {
    let network = Network::new(&[]);
    let added: Vec<_> = (0..2).map(|_| key(Algorithm::P256)).collect();
    let others: Vec<_> = added.iter().collect();
    let fresh: Vec<_> = network.officers.iter().skip(2).chain(&added).collect();
    // Of those three who stay: three and anybody (1 * 4 * 4), two with one of each side (3 * 3 * 3), one with all (3 * 1 * 1).
    assert_eq!(offer_every_subset(&network, &fresh, &others), (46, 82));
}

#[test]
fn an_officer_who_signs_often_counts_once_and_strangers_do_not_count() {
    let network = Network::new(&[]);
    let stranger = key(Algorithm::P256);
    let mut signed = network.sign(&network.manifest(1), &[0, 0, 1]);
    for _ in 0..3 {
        signed = signed.add_signature(&network.id, &stranger).unwrap();
    }
    let refused = VerifiedManifest::first(signed);
    assert!(matches!(refused, Err(QuorumError::OwnOfficers { signed: 2, needed: 3 })));
    let mut twice = network.manifest(1);
    twice.governance.keys[1] = network.officers[0].public_key();
    let refused = VerifiedManifest::first(network.sign(&twice, &[0, 2, 3]));
    assert!(matches!(refused, Err(QuorumError::Manifest(ManifestError::Governance { keys: 4, .. }))));
}

#[test]
fn new_officers_need_the_consent_of_the_old_ones_and_their_own() {
    let network = Network::new(&[]);
    let first = VerifiedManifest::first(network.sign(&network.manifest(1), &[0, 1, 2])).unwrap();
    let fresh: Vec<_> = (0..3).map(|_| key(Algorithm::P256)).collect();
    let mut next = network.manifest(2);
    next.governance = Governance { keys: fresh.iter().map(Signer::public_key).collect(), threshold: 2 };
    let by_new = |signed: MultiSigned<Manifest>, count: usize| {
        fresh.iter().take(count).fold(signed, |s, k| s.add_signature(&network.id, k).unwrap())
    };
    for (old, new, wanted) in [(3, 2, true), (2, 3, false), (0, 3, false), (5, 1, false), (5, 0, false)] {
        let officers: Vec<usize> = (0..old).collect();
        let accepted = first.next(by_new(network.sign(&next, &officers), new)).is_ok();
        assert_eq!(accepted, wanted, "{old} old and {new} new officers");
    }
}

#[test]
fn versions_go_up_by_one_within_one_network() {
    let network = Network::new(&[]);
    let first = VerifiedManifest::first(network.sign(&network.manifest(7), &[0, 1, 2])).unwrap();
    let offer = |version| first.next(network.sign(&network.manifest(version), &[0, 1, 2]));
    assert!(offer(8).is_ok());
    assert!(matches!(offer(9), Err(QuorumError::Skipped { shown: 9, known: 7 })));
    for version in [6, 7] {
        assert!(matches!(offer(version), Err(QuorumError::Rollback { known: 7, .. })));
    }
    let mut elsewhere = network.manifest(8);
    elsewhere.network = "elsewhere".parse().unwrap();
    let refused = first.next(network.sign(&elsewhere, &[0, 1, 2]));
    assert!(matches!(refused, Err(QuorumError::OtherNetwork { .. })));
}

#[test]
fn nonsense_is_refused_even_when_everybody_signed_it() {
    let network = Network::new(&["R9A", "R9C"]);
    let everybody = [0, 1, 2, 3, 4];
    let refused = |change: fn(&mut Manifest)| {
        let mut manifest = network.manifest(1);
        change(&mut manifest);
        VerifiedManifest::first(network.sign(&manifest, &everybody)).is_err()
    };
    assert!(!refused(|_| ()));
    assert!(refused(|m| m.version = 0));
    assert!(refused(|m| m.expires = m.issued));
    assert!(refused(|m| m.expires.0 += 1));
    assert!(refused(|m| m.governance.threshold = 0));
    assert!(refused(|m| m.governance.threshold = 6));
    assert!(refused(|m| m.authorities.clear()));
    assert!(refused(|m| m.members.reverse()));
    assert!(refused(|m| m.members[1].ods = m.members[0].ods.clone()));
    assert!(refused(|m| m.members[1].key = m.members[0].key.clone()));
    assert!(refused(|m| m.members[0].name.clear()));
    assert!(refused(|m| m.members[0].duty_contact = "x".repeat(257)));
    assert!(refused(|m| m.witnesses.push(crate::manifest::WitnessAssignment {
        ods: "R9A".parse().unwrap(),
        witnesses: vec!["X".parse().unwrap()],
    })));
}
