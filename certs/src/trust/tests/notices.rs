use super::*;

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
