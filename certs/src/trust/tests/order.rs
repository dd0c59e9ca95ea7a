use ring::rand::{SecureRandom, SystemRandom};

use super::*;

#[test]
fn a_node_that_was_away_catches_up_through_two_root_rotations_and_skipping_is_refused() {
    let mut network = Network::new(&["R9A"]);
    let mut current = trust(&network);
    let mut away = current.clone();
    for version in 2..=3 {
        let before = network.manifest(version - 1);
        let old: Vec<_> = std::mem::replace(&mut network.officers, (0..5).map(|_| key(Algorithm::P256)).collect());
        let next = network.manifest(version);
        assert_ne!(before.governance, next.governance);
        let signed = network.sign(&next, &[0, 1, 2]);
        let signed = old.iter().take(3).fold(signed, |s, k| s.add_signature(&network.id, k).unwrap());
        current.advance(signed, network.now).unwrap();
    }
    let chain = current.manifest_chain_after(1);
    assert_eq!(chain.len(), 2);
    let skipped = away.advance(chain[1].clone(), network.now);
    assert!(matches!(skipped, Err(TrustError::Quorum(QuorumError::Skipped { shown: 3, known: 1 }))));
    for link in chain {
        away.advance(link, network.now).unwrap();
    }
    assert_eq!(away.version(), 3);
    assert_eq!(current.manifest_chain_after(0).len(), 3);
    assert!(current.manifest_chain_after(3).is_empty());
    assert_eq!(away.pinned(), current.pinned());
}

#[test]
fn two_manifests_of_one_version_are_a_fork_when_both_are_signed() {
    let network = Network::new(&["R9A"]);
    let mut trust = trust(&network);
    let mut other = network.manifest(1);
    other.members[0].name = "Somebody else".to_owned();
    let forked = trust.advance(network.sign(&other, &[2, 3, 4]), network.now);
    assert!(matches!(forked, Err(TrustError::Forked { version: 1 })));
    let weak = trust.advance(network.sign(&other, &[3, 4]), network.now);
    assert!(matches!(weak, Err(TrustError::Quorum(QuorumError::OwnOfficers { .. }))));
    let same = trust.advance(network.sign(&network.manifest(1), &[3, 4]), network.now).unwrap();
    assert_eq!(same, Advanced::Unchanged);
}

#[test]
fn another_pin_or_a_broken_link_is_refused_when_loading() {
    let (network, other) = (Network::new(&["R9A"]), Network::new(&["R9A"]));
    let mut held = trust(&network);
    held.advance(network.sign(&network.manifest(2), &[0, 1, 2]), network.now).unwrap();
    let chain = held.manifest_chain_after(0);
    assert!(Trust::from_chain(chain.clone(), Some(held.pinned()), network.now).is_ok());
    let pinned = trust(&other).pinned();
    let refused = Trust::from_chain(chain.clone(), Some(pinned), network.now);
    assert!(matches!(refused, Err(TrustError::OtherPin { .. })));
    let broken = vec![chain[0].clone(), network.sign(&network.manifest(2), &[0, 1])];
    assert!(Trust::from_chain(broken, None, network.now).is_err());
    let bytes = held.to_bytes().unwrap();
    for at in (0..bytes.len()).step_by(13) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        let loaded = Trust::from_bytes(&flipped, network.now);
        // A flipped bit in a signature beyond the threshold leaves the same manifest; anything else is refused.
        assert!(loaded.is_err() || loaded.is_ok_and(|t| t.manifest() == held.manifest()), "byte {at}");
    }
}

#[test]
fn the_version_never_falls_whatever_the_order() {
    let network = Network::new(&["R9A", "R9C"]);
    let [r9a, _] = network.organisations.as_slice() else { unreachable!() };
    let manifests: Vec<_> = (1..=6)
        .map(|version| {
            let mut manifest = network.manifest(version);
            manifest.beacons = vec![BeaconKey { ods: r9a.ods.clone(), key: r9a.peer.public_key() }];
            network.sign(&manifest, &[0, 1, 2])
        })
        .collect();
    let mut told = Trust::from_pinned(manifests[0].clone()).unwrap();
    let mut beacons = Vec::new();
    let stops: Vec<_> = (0..6u32)
        .map(|hour| {
            let target = SuspensionTarget::Node(r9a.node());
            let stop = Suspension { target, reason: "test".to_owned(), from: network.now.after(HOUR * hour) };
            Signed::sign(&stop, Scope::network(&network.id), &network.officers[0]).unwrap().into_signed()
        })
        .collect();
    let end = network.now.after(HOUR * 6);
    for (manifest, stop) in manifests.iter().zip(&stops) {
        told.advance(manifest.clone(), end).unwrap();
        told.accept_suspension(stop.clone(), end).unwrap();
        let time = network.now.after(HOUR * u32::try_from(beacons.len()).unwrap());
        beacons.push(told.sign_beacon(&r9a.ods, &r9a.peer, time).unwrap().into_signed());
    }
    let random = SystemRandom::new();
    let mut reached = 0;
    for _ in 0..1_000 {
        let mut trust = Trust::from_pinned(manifests[0].clone()).unwrap();
        let mut order = [0u8; 24];
        random.fill(&mut order).unwrap();
        for step in order {
            let (before, as_of) = (trust.version(), trust.current_as_of());
            let which = usize::from(step / 4) % 6;
            match step % 4 {
                0 | 1 => drop(trust.advance(manifests[which].clone(), end)),
                2 => drop(trust.accept_suspension(stops[which].clone(), end)),
                _ => drop(trust.accept_beacon(&beacons[which], end)),
            }
            assert!(trust.version() >= before && trust.version() <= before + 1);
            assert!(trust.current_as_of() >= as_of);
        }
        reached = reached.max(trust.version());
    }
    assert!(reached >= 3, "the orders exercised rising versions too");
}
