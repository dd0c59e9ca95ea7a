use careweave_protocol::id::NodeKey;
use careweave_protocol::identity::KeyEndorsement;
use ring::rand::{SecureRandom, SystemRandom};

use super::*;
use crate::keystore::SoftwareKey;
use crate::manifest::{AuthorityState, ManifestError};

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
fn a_manifest_from_the_future_is_refused_by_its_date_until_it_has_come() {
    let network = Network::new(&["R9A"]);
    let (mut held, now) = (trust(&network), network.now);
    let dated = |issued: Timestamp| {
        let manifest = Manifest { issued, expires: issued.after(DAY), ..network.manifest(2) };
        network.sign(&manifest, &[0, 1, 2])
    };
    let latest = now.after(careweave_protocol::limits::CLOCK_SKEW);
    let early = dated(latest.after(Duration::from_millis(1)));
    let refused = held.advance(early.clone(), now).unwrap_err();
    assert!(matches!(refused, TrustError::FromTheFuture { version: 2, .. }));
    assert!(refused.to_string().starts_with("MANIFEST_FROM_THE_FUTURE 2: this version is dated 2026-06-01T12:05:00"));
    assert_eq!((held.version(), held.current_as_of()), (1, now));
    let chain = vec![held.manifest_chain_after(0)[0].clone(), early.clone()];
    assert!(matches!(Trust::from_chain(chain.clone(), None, now), Err(TrustError::FromTheFuture { .. })));
    assert_eq!(Trust::from_chain(chain, None, now.after(HOUR)).unwrap().version(), 2);
    held.clone().advance(dated(latest), now).unwrap();

    // What was believed stays believed when the clock is put back.
    held.advance(early, now.after(HOUR)).unwrap();
    assert_eq!(Trust::from_bytes(&held.to_bytes().unwrap(), now).unwrap().version(), 2);
}

#[test]
fn a_manifest_that_lists_one_certificate_twice_is_refused() {
    let network = Network::new(&["R9A"]);
    let mut manifest = network.manifest(1);
    assert_eq!(manifest.check(), Ok(()));
    let mut again = manifest.authorities[0].clone();
    again.state = AuthorityState::Tainted;
    manifest.authorities.push(again);
    assert_eq!(manifest.check(), Err(ManifestError::SameCertificate));
    assert!(Trust::from_pinned(network.sign(&manifest, &[0, 1, 2])).is_err());
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

/// What one node may be offered, from its first manifest to its sixth: the officers, a pin, the suspensions change on the way.
struct History {
    network: Network,
    first: MultiSigned<Manifest>,
    offers: Vec<Offer>,
    end: Timestamp,
}

#[derive(Clone)]
enum Offer {
    /// One manifest, of whichever version.
    One(MultiSigned<Manifest>),
    /// The chain, as a peer hands it over to somebody who is behind.
    Chain(Vec<MultiSigned<Manifest>>),
    Suspension(Signed<Suspension>),
    Beacon(Signed<Beacon>),
    Endorsement(Signed<KeyEndorsement>),
}

const VERSIONS: u64 = 6;

impl History {
    fn new() -> Self {
        let mut network = Network::new(&["R9A", "R9C"]);
        // Two of three: each officer costs two checks per manifest, and there are many.
        network.officers.truncate(3);
        let at = |hour: u32| network.now.after(HOUR * hour);
        let (start, end) = (network.now, at(10));
        let keys: Vec<_> = (0..4).map(|_| key(Algorithm::P256)).collect();
        let stop = |officer: &SoftwareKey, node: u8, hour: u32| {
            let target = SuspensionTarget::Node(NodeKey([node; 32]));
            let stop = Suspension { target, reason: "test".to_owned(), from: start.after(HOUR * hour) };
            (stop.clone(), Signed::sign(&stop, Scope::network(&network.id), officer).unwrap().into_signed())
        };
        let mut stops: Vec<_> = (0..5u8).map(|hour| stop(&network.officers[0], hour, hour.into())).collect();
        // Removed at three: one from before counts to its end, one from after does not.
        stops.extend([stop(&network.officers[2], 5, 1), stop(&network.officers[2], 6, 5)]);
        let word = |by: &SoftwareKey, successor: &SoftwareKey, hour: u32| {
            let (ods, at) = (&network.organisations[0].ods, start.after(HOUR * hour));
            endorse(&network.id, ods, &successor.public_key(), by, at).unwrap().into_signed()
        };
        // Two by the key pinned first, two by the one pinned from the fourth manifest on.
        let first_pin = &network.organisations[0].key;
        let endorsements = [
            word(first_pin, &keys[0], 0),
            word(first_pin, &keys[1], 1),
            word(&keys[0], &keys[2], 0),
            word(&keys[0], &keys[3], 2),
        ];
        let manifests: Vec<_> = (1..=VERSIONS)
            .map(|version| {
                let mut manifest = network.manifest(version);
                manifest.governance.threshold = 2;
                manifest.issued = start.after(HOUR * u32::try_from(version - 1).unwrap());
                manifest.beacons = network
                    .organisations
                    .iter()
                    .map(|o| BeaconKey { ods: o.ods.clone(), key: o.peer.public_key() })
                    .collect();
                if version >= 4 {
                    manifest.governance.keys.pop();
                    manifest.members[0].key.active = keys[0].public_key().spki_hash();
                }
                if version >= 5 {
                    manifest.suspended = vec![stops[1].0.clone()];
                    manifest.lifted = vec![stops[2].0.digest().unwrap()];
                }
                network.sign(&manifest, &[0, 1])
            })
            .collect();
        network.now = start;

        let mut offers: Vec<Offer> = Vec::new();
        // Somebody who always knew everything first says so in beacons, the last of which speak of the end.
        let mut told = Trust::from_pinned(manifests[0].clone()).unwrap();
        for (hour, manifest) in (0u32..).zip(&manifests) {
            told.advance(manifest.clone(), end).unwrap();
            for suspension in stops.iter().filter(|(stop, _)| stop.from <= start.after(HOUR * hour)) {
                drop(told.accept_suspension(suspension.1.clone(), end));
            }
            for organisation in &network.organisations {
                let beacon = told.sign_beacon(&organisation.ods, &organisation.peer, start.after(HOUR * (hour + 2)));
                offers.push(Offer::Beacon(beacon.unwrap().into_signed()));
            }
        }
        offers.extend(stops.into_iter().map(|(_, signed)| Offer::Suspension(signed)));
        offers.extend(endorsements.into_iter().map(Offer::Endorsement));
        offers.push(Offer::Chain(manifests.clone()));
        offers.extend(manifests.iter().cloned().map(Offer::One));
        let first = manifests.into_iter().next().unwrap();
        Self { network, first, offers, end }
    }

    /// Offers one thing; a manifest must be taken, known or refused by its version alone.
    fn offer(&self, trust: &mut Trust, offer: &Offer, seen: &mut Seen) {
        let (held, now) = (trust.version(), self.end);
        match offer {
            Offer::One(manifest) => {
                let version = manifest.unverified().unwrap().version;
                match trust.advance(manifest.clone(), now) {
                    Ok(Advanced::To { from, version: to }) => assert!(from == held && to == held + 1 && to == version),
                    Ok(Advanced::Unchanged) => assert_eq!(version, held),
                    Err(TrustError::Quorum(QuorumError::Skipped { shown, known })) => {
                        assert!(shown == version && known == held && shown > held + 1);
                        seen.skipped += 1;
                    }
                    Err(TrustError::Quorum(QuorumError::Rollback { shown, known })) => {
                        assert!(shown == version && known == held && shown < held);
                        seen.old += 1;
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            Offer::Chain(chain) => {
                // With a hole it stops before the hole.
                let hole = usize::try_from(held).unwrap();
                if chain.len() > hole + 1 {
                    let mut broken = trust.clone();
                    let (_, rest) = chain.split_at(hole + 1);
                    assert!(rest.iter().all(|link| broken.advance(link.clone(), now).is_err()));
                    assert_eq!(broken.version(), held);
                    seen.holes += 1;
                }
                for link in chain.iter().skip(hole) {
                    trust.advance(link.clone(), now).unwrap();
                }
                assert_eq!(trust.version(), VERSIONS);
            }
            Offer::Suspension(signed) => drop(trust.accept_suspension(signed.clone(), now)),
            Offer::Beacon(signed) => drop(trust.accept_beacon(signed, now)),
            Offer::Endorsement(signed) => drop(trust.accept_endorsement(signed, now)),
        }
    }
}

#[derive(Debug, Default)]
struct Seen {
    skipped: usize,
    old: usize,
    holes: usize,
}

/// Any order, each as likely (Fisher and Yates); one byte is enough to choose among these few.
fn shuffled<T: Clone>(things: &[T], random: &SystemRandom) -> Vec<T> {
    let mut things = things.to_vec();
    for last in (1..things.len()).rev() {
        let mut byte = [0u8; 8];
        random.fill(&mut byte).unwrap();
        let among = u64::try_from(last + 1).unwrap();
        things.swap(last, usize::try_from(u64::from_be_bytes(byte) % among).unwrap());
    }
    things
}

#[test]
fn whatever_the_order_nothing_falls_holes_are_refused_and_in_the_end_the_same_is_believed() {
    let (history, random) = (History::new(), SystemRandom::new());
    let (mut seen, mut believed) = (Seen::default(), None);
    for _ in 0..1_000 {
        let mut trust = Trust::from_pinned(history.first.clone()).unwrap();
        for _ in 0..2 {
            for offer in shuffled(&history.offers, &random) {
                let before = (trust.version(), trust.confirmed, trust.current_as_of());
                history.offer(&mut trust, &offer, &mut seen);
                assert!(trust.version() >= before.0, "the version fell");
                assert!(trust.confirmed >= before.1 && trust.current_as_of() >= before.2, "what was confirmed fell");
            }
        }
        let bytes = trust.to_bytes().unwrap();
        assert!(*believed.get_or_insert_with(|| bytes.clone()) == bytes, "another end");
    }
    assert!(seen.skipped > 1_000 && seen.old > 1_000 && seen.holes > 100, "the orders exercised it all: {seen:?}");

    // And that end is the one that was meant.
    let (network, end) = (&history.network, history.end);
    let trust = Trust::from_bytes(&believed.unwrap(), end).unwrap();
    assert_eq!((trust.version(), trust.confirmed), (VERSIONS, Some(network.now.after(HOUR * 7))));
    let stopped = |node: u8| trust.is_suspended(&network.organisations[0].ods, Some(NodeKey([node; 32])), end);
    assert_eq!([0, 1, 2, 3, 4, 5, 6].map(stopped), [true, true, false, true, true, true, false]);
    let endorsed: Vec<_> = trust.endorsements().map(|signed| signed.unverified().unwrap().issued).collect();
    assert_eq!(endorsed, [network.now.after(HOUR * 2)], "the newer word of the key that is pinned now");
    assert_eq!((trust.suspensions().count(), trust.beacons().count()), (6, 2));
}
