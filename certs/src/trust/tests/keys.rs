use careweave_protocol::identity::{KeyEndorsement, NodeBinding, NodeHello, RetiredEndpoint};
use careweave_protocol::limits::{CLOCK_SKEW, EARLIER_KEYS_MAX, ENDORSEMENT_LIFE};

use super::*;
use crate::authority::BACK_DATING;
use crate::keystore::SoftwareKey;
use crate::manifest::KeyPin;

const MOMENT: Duration = Duration::from_millis(1);

/// R9A's word that this key is its own as well, signed by `by` in the name of `endorser`.
struct Word<'a> {
    network: &'a Network,
    ods: &'a OdsCode,
    endorser: PublicKey,
    by: &'a SoftwareKey,
    successor: PublicKey,
    life: (Timestamp, Timestamp),
}

impl<'a> Word<'a> {
    fn new(network: &'a Network, by: &'a SoftwareKey, successor: &SoftwareKey) -> Self {
        let life = (network.now, network.now.after(ENDORSEMENT_LIFE));
        let (endorser, successor) = (by.public_key(), successor.public_key());
        Self { network, ods: &network.organisations[0].ods, endorser, by, successor, life }
    }

    fn sign(self) -> Signed<KeyEndorsement> {
        let endorsement = KeyEndorsement {
            ods: self.ods.clone(),
            endorser: self.endorser,
            successor: self.successor,
            issued: self.life.0,
            expires: self.life.1,
        };
        Signed::sign(&endorsement, Scope::network(&self.network.id), self.by).unwrap().into_signed()
    }
}

fn spki(key: &SoftwareKey) -> Digest {
    key.public_key().spki_hash()
}

fn p256() -> SoftwareKey {
    key(Algorithm::P256)
}

fn check(trust: &Trust, network: &Network, hello: &NodeHello) -> Result<PeerIdentity, Cause> {
    trust.check_node(hello, network.organisations[0].node(), EndpointRole::Peer, network.now)
}

/// The next manifest, in which R9A has this pin.
fn repinned(
    network: &Network,
    version: u64,
    active: &SoftwareKey,
    next: Option<&SoftwareKey>,
) -> MultiSigned<Manifest> {
    let mut manifest = network.manifest(version);
    manifest.members[0].key = KeyPin { active: spki(active), next: next.map(spki) };
    network.sign(&manifest, &[0, 1, 2])
}

/// A credential that this organisation key of R9A has signed.
fn credential_by(network: &Network, organisation: &SoftwareKey) -> Verified<StaffCredential> {
    let request = StaffRequest::create("p1".parse().unwrap(), "Dr One", &key(Algorithm::Ed25519), None).unwrap();
    let (request, ods) = (StaffRequest::verify(&request).unwrap(), &network.organisations[0].ods);
    staff::issue(&network.id, ods, &request, &grant(far()), organisation, network.now).unwrap()
}

#[test]
fn a_successor_endorsed_by_the_pinned_key_passes_wherever_the_pinned_key_does() {
    let network = Network::new(&["R9A", "R9C"]);
    let (mut trust, now, successor) = (trust(&network), network.now, p256());
    let [r9a, r9c] = network.organisations.as_slice() else { unreachable!() };
    let mut hello = network.hello_under(r9a, &successor);
    let held = credential_by(&network, &successor);
    let list = revocation::issue(&network.id, &r9a.ods, None, &[], &successor, now).unwrap();

    assert_eq!(check(&trust, &network, &hello).map(|_| ()), Err(Cause::KeyNotPinned));
    assert_eq!(trust.verify_chain(&hello.chain, None, now), Err(Cause::KeyNotPinned));
    assert!(!trust.accepts_key(&r9a.ods, &spki(&successor), now));
    let refused = trust.accept_revocation(list.signed(), &successor.public_key(), now);
    assert!(matches!(refused, Err(NoticeError::KeyNotPinned)));

    // Shown in the hello, it counts there and nowhere else.
    let word = endorse(&network.id, &r9a.ods, &successor.public_key(), &r9a.key, now).unwrap();
    hello.endorsement = Some(word.signed().clone());
    let shown = check(&trust, &network, &hello).unwrap();
    assert_eq!((shown.organisation_key(), shown.endorsement()), (&successor.public_key(), Some(&word)));
    assert_eq!(trust.recheck(&shown, now), Ok(()));
    let (_, key) = trust.check_credential(held.signed(), &shown, now).unwrap();
    assert_eq!(key, successor.public_key());
    assert!(trust.verify_chain(&hello.chain, Some(word.signed()), now).is_ok());
    assert!(!trust.accepts_key(&r9a.ods, &spki(&successor), now));
    hello.endorsement = None;
    assert_eq!(check(&trust, &network, &hello).map(|_| ()), Err(Cause::KeyNotPinned));

    // Taken in, it counts everywhere.
    assert!(trust.accept_endorsement(word.signed(), now).unwrap());
    assert!(!trust.accept_endorsement(word.signed(), now).unwrap(), "the same again is nothing new");
    assert_eq!(trust.endorsement(&r9a.ods), Some(&word));
    assert!(check(&trust, &network, &hello).is_ok());
    assert!(trust.verify_chain(&hello.chain, None, now).is_ok());
    assert!(trust.accepts_key(&r9a.ods, &spki(&successor), now));
    trust.accept_revocation(list.signed(), &successor.public_key(), now).unwrap();
    assert!(trust.accepts_key(&r9a.ods, &spki(&r9a.key), now), "and the pinned one as before");
    assert!(!trust.accepts_key(&r9c.ods, &spki(&successor), now));
    let over = now.after(ENDORSEMENT_LIFE);
    assert!(trust.accepts_key(&r9a.ods, &spki(&successor), over.before(MOMENT)));
    assert!(!trust.accepts_key(&r9a.ods, &spki(&successor), over));
}

#[test]
fn an_endorsement_by_anybody_else_or_outside_its_life_is_refused_everywhere() {
    let network = Network::new(&["R9A", "R9C"]);
    let (now, successor, stranger) = (network.now, p256(), p256());
    let [r9a, r9c] = network.organisations.as_slice() else { unreachable!() };
    let hello = network.hello_under(r9a, &successor);
    let list = revocation::issue(&network.id, &r9a.ods, None, &[], &successor, now).unwrap();
    let word = |by| Word::new(&network, by, &successor);
    let outsider: OdsCode = "X1".parse().unwrap();
    let mut endorsed = trust(&network);
    endorsed.accept_endorsement(&Word::new(&network, &r9a.key, &stranger).sign(), now).unwrap();
    let plain = trust(&network);
    let elsewhere = "elsewhere".parse().unwrap();
    let foreign = endorse(&elsewhere, &r9a.ods, &successor.public_key(), &r9a.key, now).unwrap().into_signed();
    let lives = |from, until| Word { life: (from, until), ..word(&r9a.key) }.sign();

    for (what, trust, signed, wanted) in [
        ("a stranger", &plain, word(&stranger).sign(), "not pinned"),
        ("a stranger in the pinned key's name", &plain, Word { by: &stranger, ..word(&r9a.key) }.sign(), "verify"),
        ("itself", &plain, word(&successor).sign(), "not pinned"),
        // `stranger` is endorsed there, so its certificate would pass: but it endorses nobody.
        ("an endorsed key", &endorsed, word(&stranger).sign(), "not pinned"),
        ("another member", &plain, word(&r9c.key).sign(), "not pinned"),
        ("the key of a member about nobody", &plain, Word { ods: &outsider, ..word(&r9a.key) }.sign(), "not pinned"),
        ("of another network", &plain, foreign, "verify"),
        ("over", &plain, lives(now.before(DAY), now), "over"),
        ("from the future", &plain, lives(now.after(CLOCK_SKEW + MOMENT), now.after(DAY)), "future"),
        ("too long a life", &plain, lives(now, now.after(ENDORSEMENT_LIFE + MOMENT)), "future"),
    ] {
        let mut taking = trust.clone();
        let refused = taking.accept_endorsement(&signed, now).unwrap_err();
        assert!(refused.to_string().contains(wanted), "{what}: {refused}");
        let shown = NodeHello { endorsement: Some(signed.clone()), ..hello.clone() };
        for trust in [trust, &taking] {
            assert_eq!(check(trust, &network, &shown).map(|_| ()), Err(Cause::KeyNotPinned), "{what}");
            assert_eq!(trust.verify_chain(&hello.chain, Some(&signed), now), Err(Cause::KeyNotPinned), "{what}");
            assert!(!trust.accepts_key(&r9a.ods, &spki(&successor), now), "{what}");
        }
        let refused = taking.accept_revocation(list.signed(), &successor.public_key(), now);
        assert!(matches!(refused, Err(NoticeError::KeyNotPinned)), "{what}");
    }
    assert!(endorsed.accepts_key(&r9a.ods, &spki(&stranger), now), "so that the refusal above says something");
    // As late and as long as it may be.
    for signed in [lives(now.after(CLOCK_SKEW), now.after(DAY)), lives(now, now.after(ENDORSEMENT_LIFE))] {
        assert!(plain.clone().accept_endorsement(&signed, now).unwrap());
    }
    // R9C's word about the same key is R9C's, and lets R9A's certificate for it pass no better.
    let theirs = Word { ods: &r9c.ods, ..word(&r9c.key) }.sign();
    let mut taking = plain.clone();
    assert!(taking.accept_endorsement(&theirs, now).unwrap());
    let shown = NodeHello { endorsement: Some(theirs), ..hello };
    assert_eq!(check(&taking, &network, &shown).map(|_| ()), Err(Cause::KeyNotPinned));
    assert!(!taking.accepts_key(&r9a.ods, &spki(&successor), now));
}

#[test]
fn an_older_endorsement_does_not_replace_a_newer_one_and_of_two_of_one_instant_the_order_decides_nothing() {
    let network = Network::new(&["R9A"]);
    let (now, r9a) = (network.now, &network.organisations[0]);
    let (first, second) = (p256(), p256());
    let dated = |successor, issued: Timestamp| {
        let life = (issued, issued.after(ENDORSEMENT_LIFE));
        Word { life, ..Word::new(&network, &r9a.key, successor) }.sign()
    };
    let (older, newer) = (dated(&first, now.before(MOMENT)), dated(&second, now));
    let accepted = |trust: &Trust| [&first, &second].map(|key| trust.accepts_key(&r9a.ods, &spki(key), now));
    let mut trust = trust(&network);
    assert!(trust.accept_endorsement(&older, now).unwrap());
    assert_eq!(accepted(&trust), [true, false]);
    // A newer one in a hello counts before the older one that is held.
    let shown = NodeHello { endorsement: Some(newer.clone()), ..network.hello_under(r9a, &second) };
    assert!(check(&trust, &network, &shown).is_ok());
    assert!(trust.accept_endorsement(&newer, now).unwrap());
    assert_eq!(accepted(&trust), [false, true]);
    assert!(matches!(trust.accept_endorsement(&older, now), Err(NoticeError::Older { shown, known }) if shown < known));
    assert_eq!(accepted(&trust), [false, true]);
    let stale = NodeHello { endorsement: Some(older), ..network.hello_under(r9a, &first) };
    assert_eq!(check(&trust, &network, &stale).map(|_| ()), Err(Cause::KeyNotPinned));

    let both = [dated(&first, now), newer];
    let believed = [[0, 1], [1, 0]].map(|order| {
        let mut trust = super::trust(&network);
        order.iter().for_each(|which| drop(trust.accept_endorsement(&both[*which], now)));
        accepted(&trust)
    });
    assert_eq!(believed[0], believed[1]);
    assert_eq!(believed[0].iter().filter(|accepted| **accepted).count(), 1);
}

#[test]
fn an_endorsement_goes_when_the_pin_moves_away_from_its_endorser_and_survives_being_saved() {
    let network = Network::new(&["R9A"]);
    let (now, r9a) = (network.now, &network.organisations[0]);
    let (successor, third) = (p256(), p256());
    let word = Word::new(&network, &r9a.key, &successor).sign();
    let mut held = trust(&network);
    held.accept_endorsement(&word, now).unwrap();
    let shown = NodeHello { endorsement: Some(word.clone()), ..network.hello_under(r9a, &successor) };
    let peer = check(&held, &network, &shown).unwrap();
    let staff = credential_by(&network, &successor);

    let bytes = held.to_bytes().unwrap();
    let loaded = Trust::from_bytes(&bytes, now).unwrap();
    assert_eq!(loaded.endorsements().collect::<Vec<_>>(), [&word]);
    assert!(loaded.accepts_key(&r9a.ods, &spki(&successor), now));
    let late = Trust::from_bytes(&bytes, now.after(ENDORSEMENT_LIFE)).unwrap();
    assert_eq!(late.endorsements().count(), 0);

    let after = |manifest| {
        let mut trust = loaded.clone();
        trust.advance(manifest, now).unwrap();
        let accepted = [&r9a.key, &successor, &third].map(|key| trust.accepts_key(&r9a.ods, &spki(key), now));
        let credential = trust.check_credential(staff.signed(), &peer, now).map(|_| ());
        (accepted, trust.endorsements().count(), trust.recheck(&peer, now), credential)
    };
    // The endorser stays pinned; the pin moves to the successor; to another key altogether; the member leaves.
    let stays = after(repinned(&network, 2, &r9a.key, Some(&successor)));
    assert_eq!(stays, ([true, true, false], 1, Ok(()), Ok(())));
    let moved = after(repinned(&network, 2, &successor, None));
    assert_eq!(moved, ([false, true, false], 0, Ok(()), Ok(())));
    let elsewhere = after(repinned(&network, 2, &third, None));
    let refused = (Err(Cause::KeyNotPinned), Err(Cause::CredentialInvalid));
    assert_eq!(elsewhere, ([false, false, true], 0, refused.0, refused.1));
    let mut without = network.manifest(2);
    without.members.clear();
    let left = after(network.sign(&without, &[0, 1, 2]));
    assert_eq!(left, ([false; 3], 0, Err(Cause::NotAMember), Err(Cause::NotAMember)));
}

#[test]
fn a_credential_under_an_earlier_key_counts_while_that_key_is_pinned() {
    let network = Network::new(&["R9A"]);
    let (now, r9a, successor) = (network.now, &network.organisations[0], p256());
    let mut trust = trust(&network);
    trust.advance(repinned(&network, 2, &r9a.key, Some(&successor)), now).unwrap();
    let (old, new) = (credential_by(&network, &r9a.key), credential_by(&network, &successor));
    let mut hello = network.hello_under(r9a, &successor);
    let silent = check(&trust, &network, &hello).unwrap();
    let refused = trust.check_credential(old.signed(), &silent, now).map(|_| ());
    assert_eq!(refused, Err(Cause::CredentialInvalid), "a key that was not shown is not tried");

    hello.earlier_keys = vec![r9a.key.public_key()];
    let peer = check(&trust, &network, &hello).unwrap();
    assert_eq!(peer.organisation_keys().collect::<Vec<_>>(), [&successor.public_key(), &r9a.key.public_key()]);
    for (held, key) in [(&old, &r9a.key), (&new, &successor)] {
        assert_eq!(trust.check_credential(held.signed(), &peer, now), Ok((held.clone(), key.public_key())));
    }
    let expired = trust.check_credential(old.signed(), &peer, now.after(CREDENTIAL_LIFE)).map(|_| ());
    assert_eq!(expired, Err(Cause::CredentialExpired));

    trust.advance(repinned(&network, 3, &successor, None), now).unwrap();
    for peer in [&peer, &check(&trust, &network, &hello).unwrap()] {
        let refused = trust.check_credential(old.signed(), peer, now).map(|_| ());
        assert_eq!(refused, Err(Cause::CredentialInvalid));
        assert!(trust.check_credential(new.signed(), peer, now).is_ok());
    }
    assert_eq!(check(&trust, &network, &hello).unwrap().organisation_keys().count(), 1);
}

#[test]
fn a_key_that_is_not_accepted_is_ignored_among_the_earlier_ones() {
    let network = Network::new(&["R9A", "R9C"]);
    let (now, stranger, successor) = (network.now, p256(), p256());
    let [r9a, r9c] = network.organisations.as_slice() else { unreachable!() };
    let mut trust = trust(&network);
    trust.accept_endorsement(&Word::new(&network, &r9a.key, &successor).sign(), now).unwrap();
    let forged = credential_by(&network, &stranger);
    let mut hello = network.hello(r9a);
    for ignored in [stranger.public_key(), r9c.key.public_key(), r9a.key.public_key()] {
        hello.earlier_keys = vec![ignored, successor.public_key()];
        let peer = check(&trust, &network, &hello).unwrap();
        assert_eq!(peer.organisation_keys().collect::<Vec<_>>(), [&r9a.key.public_key(), &successor.public_key()]);
        let refused = trust.check_credential(forged.signed(), &peer, now).map(|_| ());
        assert_eq!(refused, Err(Cause::CredentialInvalid));
    }
    // No more are looked at than a rotation needs.
    hello.earlier_keys = vec![stranger.public_key(); EARLIER_KEYS_MAX];
    hello.earlier_keys.push(successor.public_key());
    assert_eq!(check(&trust, &network, &hello).unwrap().organisation_keys().count(), 1);

    // A list of revoked credentials may stand under any key that is accepted, and under no other.
    let mut last = None;
    for (by, accepted) in [(&r9a.key, true), (&stranger, false), (&successor, true)] {
        let list = revocation::issue(&network.id, &r9a.ods, last.as_ref(), &[], by, now).unwrap();
        let outcome = trust.accept_revocation(list.signed(), &by.public_key(), now);
        assert_eq!(outcome.is_ok(), accepted, "{outcome:?}");
        last = Some(list.into_inner());
    }
}

/// A binding of this organisation for a fresh endpoint, which retires another from that instant on.
fn retiring(network: &Network, by: &Organisation, node: NodeKey, from: Timestamp) -> Verified<NodeBinding> {
    let fresh = key(Algorithm::Ed25519).public_key().node_key().unwrap();
    let (endpoint, retires) = ((fresh, EndpointRole::Peer), Some(RetiredEndpoint { node, from }));
    binding::issue(&network.id, &by.ods, endpoint, retires, &by.key, (network.now, BINDING_LIFE)).unwrap()
}

#[test]
fn a_replaced_endpoint_is_refused_from_the_stated_instant_and_only_by_its_own_organisation() {
    let network = Network::new(&["R9A", "R9C"]);
    let (mut trust, now, from) = (trust(&network), network.now, network.now.after(HOUR));
    let [r9a, r9c] = network.organisations.as_slice() else { unreachable!() };
    let peer = peer(&network, &trust, r9a);
    let outcome = |trust: &Trust, at| {
        let hello = NodeHello { clock: at, ..network.hello(r9a) };
        let shown = trust.check_node(&hello, r9a.node(), EndpointRole::Peer, at).map(|_| ());
        assert_eq!(shown, trust.recheck(&peer, at), "at first and again");
        shown
    };
    let noted = |trust: &mut Trust, by: &Organisation, node, from| {
        trust.note_retired(retiring(&network, by, node, from).get(), spki(&by.key), now)
    };
    // R9C says so, the binding says so of itself, a binding says nothing.
    assert!(noted(&mut trust, r9c, r9a.node(), now));
    let mut own = retiring(&network, r9a, r9a.node(), now).into_inner();
    own.node = r9a.node();
    assert!(!trust.note_retired(&own, spki(&r9a.key), now));
    assert!(!trust.note_retired(peer.binding().get(), spki(&r9a.key), now));
    assert_eq!(outcome(&trust, from), Ok(()));
    assert!(trust.is_retired(&r9c.ods, r9a.node(), now) && !trust.is_retired(&r9a.ods, r9a.node(), now));

    assert!(noted(&mut trust, r9a, r9a.node(), from));
    assert!(!noted(&mut trust, r9a, r9a.node(), from), "said already");
    assert!(!noted(&mut trust, r9a, r9a.node(), from.after(HOUR)), "not put off");
    let saved = Trust::from_bytes(&trust.to_bytes().unwrap(), now).unwrap();
    for trust in [&trust, &saved] {
        assert_eq!(outcome(trust, now), Ok(()));
        assert_eq!(outcome(trust, from.before(MOMENT)), Ok(()));
        assert_eq!(outcome(trust, from), Err(Cause::KeyRetired));
        assert_eq!(outcome(trust, from.after(5 * DAY)), Err(Cause::KeyRetired));
    }
    // A stolen key: the end is brought forward.
    assert!(noted(&mut trust, r9a, r9a.node(), now));
    assert_eq!(outcome(&trust, now), Err(Cause::KeyRetired));
}

#[test]
fn a_replaced_endpoint_is_forgotten_when_its_last_binding_is_over() {
    let network = Network::new(&["R9A", "R9C"]);
    let (mut trust, now) = (trust(&network), network.now);
    let [r9a, r9c] = network.organisations.as_slice() else { unreachable!() };
    let node = |seed| NodeKey([seed; 32]);
    assert!(trust.note_retired(retiring(&network, r9a, node(1), now).get(), spki(&r9a.key), now));
    let (last, over) = (now.after(BINDING_LIFE + BACK_DATING).before(MOMENT), now.after(BINDING_LIFE + BACK_DATING));
    let bytes = trust.to_bytes().unwrap();
    for (at, remembered) in [(last, true), (over, false)] {
        // At the next one, and when it is read back.
        let mut later = trust.clone();
        assert!(later.note_retired(retiring(&network, r9c, node(2), now).get(), spki(&r9c.key), at));
        assert_eq!(later.is_retired(&r9a.ods, node(1), at), remembered);
        assert_eq!(Trust::from_bytes(&bytes, at).unwrap().is_retired(&r9a.ods, node(1), at), remembered);
    }
    // One member cannot crowd out another's, and of its own the one goes that would be forgotten soonest.
    assert!(trust.note_retired(retiring(&network, r9c, node(1), now).get(), spki(&r9c.key), now));
    let later = |seed: u8| now.after(HOUR * u32::from(seed));
    for seed in 2..=40 {
        assert!(trust.note_retired(retiring(&network, r9a, node(seed), later(seed)).get(), spki(&r9a.key), now));
    }
    let end = later(41);
    let kept: Vec<u8> = (1..=40).filter(|seed| trust.is_retired(&r9a.ods, node(*seed), end)).collect();
    assert_eq!(kept, (25..=40).collect::<Vec<u8>>());
    assert!(trust.is_retired(&r9c.ods, node(1), now));
}

#[test]
fn what_a_key_said_of_endpoints_goes_with_the_key_and_what_another_key_said_stays() {
    let network = Network::new(&["R9A"]);
    let (mut trust, now, r9a, successor) = (trust(&network), network.now, &network.organisations[0], p256());
    trust.advance(repinned(&network, 2, &r9a.key, Some(&successor)), now).unwrap();
    let node = |seed| NodeKey([seed; 32]);
    // The stolen key retires an endpoint that is in use, and brings the end of another forward.
    let later = now.after(HOUR);
    for (seed, by, from) in [(1, &r9a.key, now), (2, &r9a.key, now), (2, &successor, later)] {
        assert!(trust.note_retired(retiring(&network, r9a, node(seed), from).get(), spki(by), now));
    }
    let retired = |trust: &Trust, at| [1, 2].map(|seed| trust.is_retired(&r9a.ods, node(seed), at));
    assert_eq!(retired(&trust, now), [true, true]);
    trust.advance(repinned(&network, 3, &successor, None), now).unwrap();
    for trust in [&trust, &Trust::from_bytes(&trust.to_bytes().unwrap(), now).unwrap()] {
        assert_eq!(retired(trust, now), [false, false]);
        assert_eq!(retired(trust, later), [false, true]);
    }
}

#[test]
fn the_same_word_again_within_a_minute_is_nothing_new() {
    let network = Network::new(&["R9A"]);
    let (mut trust, now, r9a) = (trust(&network), network.now, &network.organisations[0]);
    let (successor, other) = (p256(), p256());
    let minute = Duration::from_secs(60);
    let start = now.before(HOUR);
    let word = |successor: &SoftwareKey, issued: Timestamp| {
        Word { life: (issued, issued.after(DAY)), ..Word::new(&network, &r9a.key, successor) }.sign()
    };
    assert!(trust.accept_endorsement(&word(&successor, start), now).unwrap());
    for (successor, later, new) in [
        (&successor, MOMENT, false),
        (&successor, minute.saturating_sub(MOMENT), false),
        (&successor, minute, true),
        // Another successor is another word.
        (&other, minute + MOMENT, true),
    ] {
        assert_eq!(trust.accept_endorsement(&word(successor, start.after(later)), now).unwrap(), new, "{later:?}");
    }
    let node = NodeKey([1; 32]);
    let mut noted = |from| trust.note_retired(retiring(&network, r9a, node, from).get(), spki(&r9a.key), now);
    assert!(noted(now.after(HOUR)));
    assert!(!noted(now.after(HOUR).before(MOMENT)));
    assert!(!noted(now.after(HOUR).before(minute).after(MOMENT)));
    assert!(noted(now.after(HOUR).before(minute)));
}
