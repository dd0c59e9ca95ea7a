use careweave_protocol::identity::Attestation;

use super::*;
use crate::attest;
use crate::manifest::RolloutStage;

/// An attestation of the registrar about R9A, looked at so long ago.
fn dspt(network: &Network, status: Option<StandardStatus>, last: Date, ago: Duration) -> Signed<Attestation> {
    let (ods, at) = (&network.organisations[0].ods, network.now.before(ago));
    attest::issue(&network.id, ods, (Standard::Dspt, status), last, &network.registrar, at).unwrap().into_signed()
}

/// R9A's node with the agreement signed and these attestations beside it.
fn with(network: &Network, trust: &Trust, shown: Vec<Signed<Attestation>>) -> PeerIdentity {
    let mut hello = network.hello(&network.organisations[0]);
    hello.attestations.remove(0);
    hello.attestations.extend(shown);
    trust.check_node(&hello, network.organisations[0].node(), EndpointRole::Peer, network.now).unwrap()
}

/// What each purpose comes to: refused for the cause, but for the urgent ones, which go on and alert it.
fn assert_lapses(trust: &Trust, peer: &PeerIdentity, person: &StaffCredential, now: Timestamp, cause: Option<Cause>) {
    for purpose in Purpose::ALL {
        let verdict = trust.check_eligibility(peer, person, purpose, now);
        let alerts = cause.iter().filter(|_| purpose.is_urgent()).cloned().collect::<Vec<_>>();
        let refused = cause.clone().filter(|_| !purpose.is_urgent());
        assert_eq!(verdict, Eligibility { refused, alerts }, "{purpose}");
    }
}

#[test]
fn a_planned_member_is_answered_for_no_purpose_and_a_pilot_for_every_one() {
    let network = Network::new(&["R9A", "R9C"]);
    let (now, r9a) = (network.now, &network.organisations[0]);
    let person = credential(&network, r9a, far());
    for (stage, refused) in [
        (RolloutStage::Planned, Some(Cause::NotLive("planned".to_owned()))),
        (RolloutStage::Pilot, None),
        (RolloutStage::Live, None),
    ] {
        let mut manifest = network.manifest(1);
        manifest.members[0].stage = stage;
        let trust = Trust::from_pinned(network.sign(&manifest, &[0, 1, 2])).unwrap();
        // It connects all the same: it has to hear of the manifest that makes it live.
        let peer = peer(&network, &trust, r9a);
        for purpose in Purpose::ALL {
            let verdict = trust.check_eligibility(&peer, person.get(), purpose, now);
            assert_eq!((verdict.refused, verdict.alerts), (refused.clone(), Vec::new()), "{purpose}");
            // At home too.
            let own = trust.check_standing((&r9a.ods, None), peer.attestations(), Some(person.get()), purpose, now);
            assert_eq!(own.refused, refused, "{purpose}");
        }
        let other = super::peer(&network, &trust, &network.organisations[1]);
        let theirs = credential(&network, &network.organisations[1], far());
        assert!(trust.check_eligibility(&other, theirs.get(), Purpose::Treat, now).is_eligible());
    }
}

#[test]
fn a_status_below_the_minimum_refuses_care_and_alerts_in_an_emergency() {
    let network = Network::new(&["R9A"]);
    let (now, r9a) = (network.now, &network.organisations[0]);
    let person = credential(&network, r9a, far());
    let mut below = 0;
    for minimum in StandardStatus::ALL {
        let mut manifest = network.manifest(1);
        manifest.minimum_standard = minimum;
        let trust = Trust::from_pinned(network.sign(&manifest, &[0, 1, 2])).unwrap();
        for status in StandardStatus::ALL.map(Some).into_iter().chain([None]) {
            let peer = with(&network, &trust, vec![dspt(&network, status, far(), Duration::ZERO)]);
            // One that states no status says no more than that somebody looked.
            let held = status.unwrap_or(StandardStatus::NotMet);
            let cause = (held < minimum).then(|| Cause::AttestationBelow("dspt".to_owned(), held, minimum));
            below += usize::from(cause.is_some());
            assert_lapses(&trust, &peer, person.get(), now, cause);
        }
    }
    // Six pairs of statuses, and no status below every minimum but the lowest.
    assert_eq!(below, 6 + 3);
}

#[test]
fn the_newest_attestation_counts_for_better_and_for_worse() {
    let network = Network::new(&["R9A"]);
    let (trust, now, r9a) = (trust(&network), network.now, &network.organisations[0]);
    let person = credential(&network, r9a, far());
    let (met, not) = (Some(StandardStatus::Met), Some(StandardStatus::NotMet));
    let over = Date::new(2026, 5, 31).unwrap();
    let below = Cause::AttestationBelow("dspt".to_owned(), StandardStatus::NotMet, StandardStatus::Met);
    let expired = Cause::AttestationExpired("dspt".to_owned(), over);
    for (newer, older, cause) in [
        ((met, far()), (not, far()), None),
        ((not, far()), (met, far()), Some(below.clone())),
        ((met, far()), (met, over), None),
        ((met, over), (met, far()), Some(expired.clone())),
        // Over, and below as well: the end is named.
        ((not, over), (met, far()), Some(expired)),
    ] {
        let newer = dspt(&network, newer.0, newer.1, Duration::ZERO);
        let older = dspt(&network, older.0, older.1, DAY);
        for shown in [vec![newer.clone(), older.clone()], vec![older, newer]] {
            assert_lapses(&trust, &with(&network, &trust, shown), person.get(), now, cause.clone());
        }
    }
    // A stranger's newer word takes nothing back, and adds nothing.
    let stranger = key(Algorithm::P256);
    let forged = attest::issue(&network.id, &r9a.ods, (Standard::Dspt, not), far(), &stranger, now).unwrap();
    let shown = vec![dspt(&network, met, far(), DAY), forged.into_signed()];
    assert_lapses(&trust, &with(&network, &trust, shown), person.get(), now, None);
}
