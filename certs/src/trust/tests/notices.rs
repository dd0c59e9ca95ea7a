use careweave_protocol::identity::{RevokedCredential, StaffRevocation};

use super::*;
use crate::keystore::SoftwareKey;
use crate::manifest::KeyPin;

fn suspend(network: &Network, officer: &dyn Signer, target: SuspensionTarget, from: Timestamp) -> Signed<Suspension> {
    let stop = Suspension { target, reason: "incident".to_owned(), from };
    Signed::sign(&stop, Scope::network(&network.id), officer).unwrap().into_signed()
}

fn beacons(network: &Network, version: u64) -> crate::manifest::Manifest {
    let mut manifest = network.manifest(version);
    manifest.beacons =
        network.organisations.iter().map(|o| BeaconKey { ods: o.ods.clone(), key: o.peer.public_key() }).collect();
    manifest
}

#[test]
fn one_officer_suspends_for_seven_days_and_nobody_else_does() {
    let network = Network::new(&["R9A", "R9C"]);
    let (mut trust, now) = (trust(&network), network.now);
    let [r9a, r9c] = network.organisations.as_slice() else { unreachable!() };
    let member = || SuspensionTarget::Member(r9a.ods.clone());
    let stranger = key(Algorithm::P256);
    let refused = trust.accept_suspension(suspend(&network, &stranger, member(), now), now);
    assert!(matches!(refused, Err(NoticeError::NotEntitled)));
    let early = suspend(&network, &network.officers[0], member(), now.after(HOUR));
    assert!(matches!(trust.accept_suspension(early, now), Err(NoticeError::FromTheFuture)));
    let over = suspend(&network, &network.officers[0], member(), now.before(SUSPENSION_LIFE));
    assert!(matches!(trust.accept_suspension(over, now), Err(NoticeError::Over)));

    let stop = suspend(&network, &network.officers[3], member(), now);
    assert!(trust.accept_suspension(stop.clone(), now).unwrap());
    assert!(!trust.accept_suspension(stop, now).unwrap());
    let last = Timestamp(now.after(SUSPENSION_LIFE).0 - 1);
    assert!(trust.is_suspended(&r9a.ods, None, now) && trust.is_suspended(&r9a.ods, None, last));
    assert!(!trust.is_suspended(&r9a.ods, None, now.after(SUSPENSION_LIFE)));
    assert!(!trust.is_suspended(&r9c.ods, Some(r9c.node()), now));

    let node = suspend(&network, &network.officers[1], SuspensionTarget::Node(r9c.node()), now);
    trust.accept_suspension(node, now).unwrap();
    assert!(trust.is_suspended(&r9c.ods, Some(r9c.node()), now) && !trust.is_suspended(&r9c.ods, None, now));

    let held = credential(&network, r9c, far());
    let employer = peer(&network, &super::trust(&network), r9c);
    let person = suspend(&network, &network.officers[1], SuspensionTarget::Credential(held.statement_digest()), now);
    trust.accept_suspension(person, now).unwrap();
    let refused = trust.check_credential(held.signed(), &employer, now);
    assert_eq!(refused, Err(Cause::Suspended));
}

#[test]
fn a_manifest_confirms_or_lifts_a_suspension_and_survives_being_saved() {
    let network = Network::new(&["R9A", "R9C"]);
    let (mut trust, now) = (trust(&network), network.now);
    let [r9a, r9c] = network.organisations.as_slice() else { unreachable!() };
    for organisation in [r9a, r9c] {
        let target = SuspensionTarget::Member(organisation.ods.clone());
        trust.accept_suspension(suspend(&network, &network.officers[0], target, now), now).unwrap();
    }
    let stop = |organisation: &Organisation| Suspension {
        target: SuspensionTarget::Member(organisation.ods.clone()),
        reason: "incident".to_owned(),
        from: now,
    };
    let mut next = network.manifest(2);
    next.suspended = vec![stop(r9a)];
    next.lifted = vec![stop(r9c).digest().unwrap()];
    trust.advance(network.sign(&next, &[0, 1, 2]), now).unwrap();
    for trust in [&trust, &Trust::from_bytes(&trust.to_bytes().unwrap(), now).unwrap()] {
        assert!(trust.is_suspended(&r9a.ods, None, now.after(20 * DAY)));
        assert!(!trust.is_suspended(&r9c.ods, None, now));
        assert_eq!(trust.version(), 2);
    }
}

#[test]
fn a_removed_officers_last_suspensions_run_out_and_later_ones_are_refused() {
    let network = Network::new(&["R9A"]);
    let (mut trust, r9a) = (trust(&network), &network.organisations[0]);
    let (removed_at, rogue) = (network.now.after(HOUR), &network.officers[4]);
    let mut next = network.manifest(2);
    next.governance.keys.pop();
    next.issued = removed_at;
    next.expires = removed_at.after(DAY);
    let target = || SuspensionTarget::Member(r9a.ods.clone());
    let before = suspend(&network, rogue, target(), network.now);
    trust.accept_suspension(before, network.now).unwrap();
    trust.advance(network.sign(&next, &[0, 1, 2]), removed_at).unwrap();
    assert!(trust.is_suspended(&r9a.ods, None, removed_at));
    let now = removed_at.after(HOUR);
    let after = suspend(&network, rogue, target(), removed_at.after(Duration::from_secs(1)));
    assert!(matches!(trust.accept_suspension(after, now), Err(NoticeError::NotEntitled)));
}

#[test]
fn a_beacon_counts_only_when_it_agrees_and_says_what_is_missing() {
    let network = Network::new(&["R9A", "R9C"]);
    let [r9a, r9c] = network.organisations.as_slice() else { unreachable!() };
    let first = network.sign(&beacons(&network, 1), &[0, 1, 2]);
    let (mut here, mut there) = (Trust::from_pinned(first.clone()).unwrap(), Trust::from_pinned(first).unwrap());
    let at = |hours: u32| network.now.after(HOUR * hours);
    let beacon =
        |trust: &Trust, o: &Organisation, time| trust.sign_beacon(&o.ods, &o.peer, time).unwrap().into_signed();

    let news = here.accept_beacon(&beacon(&there, r9c, at(1)), at(1)).unwrap();
    assert_eq!(news, BeaconNews { is_newer: true, manifest_behind: false, suspensions_differ: false });
    assert_eq!(here.current_as_of(), at(1));
    assert!(here.runs_beacon(&r9a.ods, r9a.node()) && !here.runs_beacon(&r9a.ods, r9c.node()));

    let stop = suspend(&network, &network.officers[0], SuspensionTarget::Node(r9a.node()), at(1));
    there.accept_suspension(stop.clone(), at(1)).unwrap();
    let news = here.accept_beacon(&beacon(&there, r9c, at(2)), at(2)).unwrap();
    assert!(news.suspensions_differ && !news.manifest_behind);
    assert_eq!(here.current_as_of(), at(1), "a beacon that knows more proves nothing current");
    here.accept_suspension(stop, at(2)).unwrap();
    assert_eq!(here.current_as_of(), at(2), "with the suspension, the same beacon agrees");

    there.advance(network.sign(&beacons(&network, 2), &[0, 1, 2]), at(3)).unwrap();
    let news = here.accept_beacon(&beacon(&there, r9c, at(3)), at(3)).unwrap();
    assert!(news.manifest_behind);
    assert_eq!(here.current_as_of(), at(2));
    for link in there.manifest_chain_after(here.version()) {
        here.advance(link, at(3)).unwrap();
    }
    assert_eq!((here.version(), here.current_as_of()), (2, at(3)));

    let forged = there.sign_beacon(&r9a.ods, &r9c.peer, at(4)).unwrap();
    assert!(matches!(here.accept_beacon(forged.signed(), at(4)), Err(NoticeError::NotEntitled)));
    let early = beacon(&there, r9a, at(6));
    assert!(matches!(here.accept_beacon(&early, at(4)), Err(NoticeError::FromTheFuture)));
    let again = Trust::from_bytes(&here.to_bytes().unwrap(), at(3)).unwrap();
    assert_eq!((again.current_as_of(), again.beacons().count()), (at(3), 1));
}

/// A list of this version with nothing in it.
fn list(network: &Network, by: &dyn Signer, version: u64) -> Signed<StaffRevocation> {
    let ods = network.organisations[0].ods.clone();
    let list = StaffRevocation { ods, version, issued: network.now, revoked: Vec::new() };
    Signed::sign(&list, Scope::network(&network.id), by).unwrap().into_signed()
}

/// The next manifest, in which the first member has this pin.
fn repin(network: &Network, version: u64, active: &dyn Signer, next: Option<&dyn Signer>) -> MultiSigned<Manifest> {
    let pin = |key: &dyn Signer| key.public_key().spki_hash();
    let mut manifest = network.manifest(version);
    manifest.members[0].key = KeyPin { active: pin(active), next: next.map(pin) };
    network.sign(&manifest, &[0, 1, 2])
}

#[test]
fn a_list_under_a_key_that_is_accepted_replaces_one_of_a_key_that_is_not_whatever_their_versions() {
    let network = Network::new(&["R9A"]);
    let (mut trust, now, stolen) = (trust(&network), network.now, &network.organisations[0].key);
    let successor = key(Algorithm::P256);
    let held = |trust: &Trust| trust.revocations().next().map(|(list, key)| (list.clone(), key.clone())).unwrap();
    trust.advance(repin(&network, 2, stolen, Some(&successor)), now).unwrap();
    let high = list(&network, stolen, 1_000);
    trust.accept_revocation(&high, &stolen.public_key(), now).unwrap();
    let low = list(&network, &successor, 7);
    let refused = trust.accept_revocation(&low, &successor.public_key(), now);
    assert!(matches!(refused, Err(NoticeError::Older { shown: 7, known: 1_000 })), "both keys are accepted");
    assert_eq!(trust.accepted_revocations(now).count(), 1);

    trust.advance(repin(&network, 3, &successor, None), now).unwrap();
    assert_eq!(held(&trust), (high.clone(), stolen.public_key()), "it stays in force here");
    assert_eq!(trust.accepted_revocations(now).count(), 0, "and is not handed on");
    trust.accept_revocation(&low, &successor.public_key(), now).unwrap();
    assert_eq!(held(&trust), (low.clone(), successor.public_key()));
    assert_eq!(trust.accepted_revocations(now).collect::<Vec<_>>(), [(&low, &successor.public_key())]);
    let refused = trust.accept_revocation(&high, &stolen.public_key(), now);
    assert!(matches!(refused, Err(NoticeError::KeyNotPinned)));
    let refused = trust.accept_revocation(&low, &successor.public_key(), now);
    assert!(matches!(refused, Err(NoticeError::Older { shown: 7, known: 7 })));
}

#[test]
fn a_list_far_above_the_one_held_is_refused() {
    const STEP: u64 = 1 << 20;
    let network = Network::new(&["R9A"]);
    let (mut trust, now, own) = (trust(&network), network.now, &network.organisations[0].key);
    let mut take = |version| trust.accept_revocation(&list(&network, own, version), &own.public_key(), now);
    for (version, known) in [(STEP + 1, 0), (u64::MAX, 0)] {
        let refused = take(version);
        assert!(matches!(refused, Err(NoticeError::TooFarAhead { shown, known: k }) if shown == version && k == known));
    }
    take(STEP).unwrap();
    assert!(matches!(take(2 * STEP + 1), Err(NoticeError::TooFarAhead { known: STEP, .. })));
    take(2 * STEP).unwrap();
    assert_eq!(
        take(u64::MAX).unwrap_err().to_string(),
        format!("version {} is more than 1048576 above 2097152", u64::MAX)
    );
}

#[test]
fn a_list_of_a_large_trusts_leavers_is_taken_in() {
    let network = Network::new(&["R9A"]);
    let (mut trust, now, r9a) = (trust(&network), network.now, &network.organisations[0]);
    let entry = |number: u32| RevokedCredential {
        credential: Digest::of(&[&number.to_be_bytes()]),
        person: format!("person-{number}").parse().unwrap(),
        at: now,
        until: now.after(CREDENTIAL_LIFE),
    };
    let revoked: Vec<_> = (0..5_000).map(entry).collect();
    let all = StaffRevocation { ods: r9a.ods.clone(), version: 1, issued: now, revoked };
    let signed = Signed::sign(&all, Scope::network(&network.id), &r9a.key).unwrap();
    trust.accept_revocation(signed.signed(), &r9a.key.public_key(), now).unwrap();
    let saved = Trust::from_bytes(&trust.to_bytes().unwrap(), now).unwrap();
    assert!(saved.is_credential_revoked(&r9a.ods, &Digest::of(&[&4_999u32.to_be_bytes()])));
}

#[test]
fn a_beacon_node_that_is_cut_off_does_not_confirm_itself_when_it_starts_again() {
    let network = Network::new(&["R9A"]);
    let [r9a] = network.organisations.as_slice() else { unreachable!() };
    let first = network.sign(&beacons(&network, 1), &[0, 1, 2]);
    let mut trust = Trust::from_pinned(first).unwrap().of(r9a.ods.clone());
    let later = network.now.after(8 * DAY);
    let own = trust.sign_beacon(&r9a.ods, &r9a.peer, later).unwrap();
    assert!(trust.accept_beacon(own.signed(), later).unwrap().is_newer);
    assert_eq!(trust.current_as_of(), network.now);
    let again = Trust::from_bytes(&trust.to_bytes().unwrap(), later).unwrap().of(r9a.ods.clone());
    assert_eq!((again.current_as_of(), again.beacons().count()), (network.now, 1));
    let stale = |trust: &Trust| trust.check_standing((&r9a.ods, None), &[], None, Purpose::Treat, later).refused;
    assert_eq!(stale(&again), Some(Cause::BeaconStale(Some(network.now))));
    assert_eq!(stale(&again), stale(&trust));
}

#[test]
fn a_person_whose_key_is_suspended_is_stopped_whichever_credential_they_show() {
    let network = Network::new(&["R9A"]);
    let (mut trust, now, r9a) = (trust(&network), network.now, &network.organisations[0]);
    let (person, colleague) = (key(Algorithm::Ed25519), key(Algorithm::Ed25519));
    let issue = |person: &SoftwareKey, at| {
        let request = StaffRequest::create("p1".parse().unwrap(), "Dr One", person, None).unwrap();
        let request = StaffRequest::verify(&request).unwrap();
        staff::issue(&network.id, &r9a.ods, &request, &grant(far()), &r9a.key, at).unwrap()
    };
    let (held, renewed) = (issue(&person, now), issue(&person, now.after(Duration::from_secs(1))));
    let other = issue(&colleague, now);
    let employer = peer(&network, &trust, r9a);
    let check = |trust: &Trust, credential: &Verified<StaffCredential>| {
        trust.check_credential(credential.signed(), &employer, now).map(|_| ())
    };
    let by_digest = SuspensionTarget::Credential(held.statement_digest());
    trust.accept_suspension(suspend(&network, &network.officers[0], by_digest, now), now).unwrap();
    assert_eq!(check(&trust, &held), Err(Cause::Suspended));
    assert_eq!(check(&trust, &renewed), Ok(()), "a renewed one is another");

    let node = person.public_key().node_key().unwrap();
    trust.accept_suspension(suspend(&network, &network.officers[0], SuspensionTarget::Node(node), now), now).unwrap();
    assert_eq!(check(&trust, &renewed), Err(Cause::Suspended));
    assert_eq!(check(&trust, &other), Ok(()));
    assert!(trust.is_key_suspended(&node, now) && !trust.is_key_suspended(&node, now.after(SUSPENSION_LIFE)));
    assert!(!trust.is_key_suspended(&colleague.public_key().node_key().unwrap(), now));
}
