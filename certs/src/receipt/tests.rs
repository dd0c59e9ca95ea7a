use std::collections::BTreeMap;
use std::time::Duration;

use careweave_protocol::audit::{Frontier, Origin, checkpoint, tree};
use careweave_protocol::id::QueryId;
use careweave_protocol::key::Signer;
use careweave_protocol::limits::BINDING_LIFE;
use careweave_protocol::query::AnswerOutcome;
use serde_bytes::ByteBuf;

use super::*;
use crate::authority::ORGANISATION_LIFE;
use crate::fixture::{Network, Organisation};
use crate::keystore::tests::key;
use crate::keystore::{Algorithm, SoftwareKey};
use crate::manifest::AuthorityState;
use crate::trust;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// R9A holds and answers; R9C asks.
const HOLDER: usize = 0;
const ASKER: usize = 1;

/// A network that has moved on: other authorities, another organisation key, another node key, another asker's key.
struct Old {
    network: Network,
    trust: Trust,
    asker: OdsCode,
    holder: OdsCode,
    at: Timestamp,
    /// The holder's keys of then.
    node: SoftwareKey,
    organisation: SoftwareKey,
    header: Signed<AnswerHeader>,
    evidence: PeerEvidence,
}

impl Old {
    fn new() -> Self {
        let mut network = Network::new(&["R9A", "R9C"]);
        let mut trust = Trust::from_pinned(network.sign(&network.manifest(1), &[0, 1, 2])).unwrap();
        let (holder, asker) = (network.organisations[HOLDER].ods.clone(), network.organisations[ASKER].ods.clone());
        let at = network.now;
        let evidence = shown(&network, &trust, &network.organisations[HOLDER]);
        let header = answer(&network, &claim(&network, at), &network.organisations[HOLDER].peer);

        // Old authorities tainted, then gone; the pin moves over.
        let tainted = network.manifest(1).authorities.into_iter().map(|mut authority| {
            authority.state = AuthorityState::Tainted;
            authority
        });
        let tainted: Vec<_> = tainted.collect();
        network.rotate_authorities();
        let holding = &mut network.organisations[HOLDER];
        let organisation = std::mem::replace(&mut holding.key, key(Algorithm::P256));
        let node = std::mem::replace(&mut holding.peer, key(Algorithm::Ed25519));
        network.organisations[ASKER].key = key(Algorithm::P256);
        let mut second = network.manifest(2);
        second.authorities.extend(tainted);
        trust.advance(network.sign(&second, &[0, 1, 2]), at).unwrap();
        trust.advance(network.sign(&network.manifest(3), &[0, 1, 2]), at).unwrap();
        Self { network, trust, asker, holder, at, node, organisation, header, evidence }
    }

    fn verify(&self, header: &Signed<AnswerHeader>, evidence: &PeerEvidence) -> Result<(), ReceiptError> {
        verify(&self.trust, &self.asker, &self.holder, header, evidence).map(|_| ())
    }

    /// The header with a change, signed as the holder did.
    fn header_with(&self, change: impl FnOnce(&mut AnswerHeader)) -> Signed<AnswerHeader> {
        let mut claim = self.header.unverified().unwrap();
        change(&mut claim);
        answer(&self.network, &claim, &self.node)
    }

    fn evidence_with(&self, change: impl FnOnce(&mut PeerEvidence)) -> PeerEvidence {
        let mut evidence = self.evidence.clone();
        change(&mut evidence);
        evidence
    }
}

/// What the asker keeps of a node that has just shown itself.
fn shown(network: &Network, trust: &Trust, organisation: &Organisation) -> PeerEvidence {
    let hello = network.hello(organisation);
    let peer = trust.check_node(&hello, organisation.node(), EndpointRole::Peer, network.now).unwrap();
    PeerEvidence {
        chain: peer.chain().to_vec(),
        endorsement: peer.endorsement().map(|e| e.signed().clone()),
        binding: peer.binding().signed().clone(),
    }
}

/// An answer of R9A to R9C whose DECISION is the third of five entries in its log.
fn claim(network: &Network, at: Timestamp) -> AnswerHeader {
    let (mut log, mut stored) = (Frontier::default(), BTreeMap::new());
    let leaves: Vec<Digest> = (0u8..5).map(|entry| Digest::of(&[&[entry]])).collect();
    for leaf in &leaves {
        log.push(leaf, |hash| {
            stored.insert(hash.index, hash.hash);
        });
    }
    let holder = &network.organisations[HOLDER];
    let origin = Origin::new(&network.id, &holder.ods);
    AnswerHeader {
        query_id: QueryId([3; 16]),
        asker: network.organisations[ASKER].ods.clone(),
        holder: holder.ods.clone(),
        envelope: Digest([1; 32]),
        outcome: AnswerOutcome::NothingShareable,
        records: 0,
        bytes: 0,
        counts: BTreeMap::new(),
        open: Vec::new(),
        root: Digest([2; 32]),
        leaf: leaves[2],
        proof: tree::prove_inclusion(2, 5, |number| stored.get(&number).copied()).unwrap(),
        checkpoint: checkpoint::sign(&origin, &log.head(), &holder.peer).unwrap(),
        commitment: Digest([4; 32]),
        data_to: None,
        feed_interval: None,
        medicines_not_shown: 0,
        outside_period: 0,
        manifest_version: 1,
        beacon_age: None,
        policy: Digest([5; 32]),
        decided_at: at,
        padding: ByteBuf::new(),
    }
}

fn answer(network: &Network, claim: &AnswerHeader, node: &SoftwareKey) -> Signed<AnswerHeader> {
    let asker = &network.organisations[ASKER].ods;
    Signed::sign(claim, Scope::to(&network.id, asker), node).unwrap().into_signed()
}

#[test]
fn a_receipt_of_before_verifies_after_every_key_and_certificate_has_changed() {
    let old = Old::new();
    let then = verify(&old.trust, &old.asker, &old.holder, &old.header, &old.evidence).unwrap();
    assert_eq!((then.get().leaf, then.get().decided_at), (Digest::of(&[&[2]]), old.at));
    // Under the manifest of today the same chain is nobody's, and the same holder is somebody else.
    let today = old.trust.verify_chain(&old.evidence.chain, None, old.at);
    assert_eq!(today, Err(Cause::CertInvalid));
    let now = old.network.organisations[HOLDER].key.public_key().spki_hash();
    assert!(old.trust.accepts_key(&old.holder, &now, old.at));
    assert!(!old.trust.accepts_key(&old.holder, &old.organisation.public_key().spki_hash(), old.at));

    // Years later, from the saved file; and for many at once.
    let years = old.at.after(3_000 * DAY);
    let saved = Trust::from_bytes(&old.trust.to_bytes().unwrap(), years).unwrap();
    assert!(verify(&saved, &old.asker, &old.holder, &old.header, &old.evidence).is_ok());
    let manifest = saved.manifest_of(1).unwrap();
    assert!(verify_under(&manifest, &old.asker, &old.holder, &old.header, &old.evidence).is_ok());
    let manifest = saved.manifest_of(2).unwrap();
    let refused = verify_under(&manifest, &old.asker, &old.holder, &old.header, &old.evidence);
    assert!(matches!(refused, Err(ReceiptError::UnknownManifest(1))));

    // An answer of today stands under the manifest of today.
    let mut claim = claim(&old.network, old.at);
    claim.manifest_version = 3;
    let header = answer(&old.network, &claim, &old.network.organisations[HOLDER].peer);
    let evidence = shown(&old.network, &saved, &old.network.organisations[HOLDER]);
    assert!(old.verify(&header, &evidence).is_ok());
    assert!(matches!(old.verify(&header, &old.evidence), Err(ReceiptError::Certificate(Cause::CertInvalid))));
}

#[test]
fn a_receipt_for_others_or_of_an_unknown_manifest_is_refused_by_name() {
    let old = Old::new();
    let (holder, asker) = (&old.holder, &old.asker);
    let swapped = verify(&old.trust, asker, asker, &old.header, &old.evidence);
    assert!(
        matches!(swapped, Err(ReceiptError::OtherHolder { shown, expected }) if shown == *holder && expected == *asker)
    );
    let swapped = verify(&old.trust, holder, holder, &old.header, &old.evidence);
    assert!(
        matches!(swapped, Err(ReceiptError::OtherAsker { shown, expected }) if shown == *asker && expected == *holder)
    );
    for version in [0, 4, u64::MAX] {
        let refused = old.verify(&old.header_with(|h| h.manifest_version = version), &old.evidence);
        assert!(matches!(refused, Err(ReceiptError::UnknownManifest(shown)) if shown == version));
    }
    // Known, and not the one under which that certificate stood.
    for (version, cause) in [(2, Cause::AuthorityTainted), (3, Cause::CertInvalid)] {
        let refused = old.verify(&old.header_with(|h| h.manifest_version = version), &old.evidence);
        assert!(matches!(refused, Err(ReceiptError::Certificate(shown)) if shown == cause));
    }
    let garbage = Signed::from_bytes(b"no receipt".to_vec()).unwrap();
    assert!(matches!(old.verify(&garbage, &old.evidence), Err(ReceiptError::Unreadable(_))));
    // Named to this asker, signed to another.
    let claim = old.header.unverified().unwrap();
    let other = Signed::sign(&claim, Scope::to(&old.network.id, holder), &old.node).unwrap();
    assert!(matches!(old.verify(other.signed(), &old.evidence), Err(ReceiptError::Signature(_))));
}

#[test]
fn certificate_and_binding_must_have_held_when_it_was_decided() {
    let old = Old::new();
    let decided = |at| old.verify(&old.header_with(|h| h.decided_at = at), &old.evidence);
    assert!(decided(old.at.after(BINDING_LIFE).before(Duration::from_millis(1))).is_ok());
    let before = decided(old.at.before(2 * DAY));
    assert!(matches!(before, Err(ReceiptError::Certificate(Cause::CertNotYetValid))));
    let after = decided(old.at.after(BINDING_LIFE));
    assert!(matches!(after, Err(ReceiptError::Binding(Cause::BindingExpired))));
    let long_after = decided(old.at.after(ORGANISATION_LIFE + DAY));
    assert!(matches!(long_after, Err(ReceiptError::Certificate(Cause::CertExpired))));
}

#[test]
fn each_altered_part_of_the_evidence_is_refused_by_name() {
    let old = Old::new();
    let elsewhere = Network::new(&["R9A"]);
    let certificate = |evidence| old.verify(&old.header, &evidence);
    for evidence in [
        old.evidence_with(|e| e.chain.clear()),
        old.evidence_with(|e| e.chain[0][40] ^= 1),
        old.evidence_with(|e| {
            e.chain[0] = ByteBuf::from(elsewhere.certificate(&old.holder, &old.organisation).to_vec())
        }),
    ] {
        assert!(matches!(certificate(evidence), Err(ReceiptError::Certificate(Cause::CertInvalid))));
    }
    let node = old.node.public_key().node_key().unwrap();
    let bound = |organisation: &SoftwareKey, ods: &OdsCode, node, role| {
        let life = (old.at, BINDING_LIFE);
        binding::issue(&old.network.id, ods, (node, role), None, organisation, life).unwrap().into_signed()
    };
    let stranger = key(Algorithm::P256);
    for signed in [
        bound(&stranger, &old.holder, node, EndpointRole::Peer),
        bound(&old.organisation, &old.asker, node, EndpointRole::Peer),
        bound(&old.organisation, &old.holder, node, EndpointRole::Desk),
    ] {
        let refused = old.verify(&old.header, &old.evidence_with(|e| e.binding = signed));
        assert!(matches!(refused, Err(ReceiptError::Binding(Cause::BindingInvalid))));
    }
    let refused = old.verify(&old.header, &old.evidence_with(|e| e.binding = Signed::from_bytes(vec![0]).unwrap()));
    assert!(matches!(refused, Err(ReceiptError::Unreadable(_))));
    // Another node of the holder's did not sign this.
    let other = key(Algorithm::Ed25519).public_key().node_key().unwrap();
    let signed = bound(&old.organisation, &old.holder, other, EndpointRole::Peer);
    let refused = old.verify(&old.header, &old.evidence_with(|e| e.binding = signed));
    assert!(matches!(refused, Err(ReceiptError::Signature(_))));
}

#[test]
fn another_members_evidence_and_an_unpinned_key_are_refused_by_name() {
    let network = Network::new(&["R9A", "R9C"]);
    let trust = Trust::from_pinned(network.sign(&network.manifest(1), &[0, 1, 2])).unwrap();
    let [r9a, r9c] = network.organisations.as_slice() else { unreachable!() };
    let header = answer(&network, &claim(&network, network.now), &r9a.peer);
    let check = |evidence: &PeerEvidence| verify(&trust, &r9c.ods, &r9a.ods, &header, evidence).map(|_| ());
    assert!(check(&shown(&network, &trust, r9a)).is_ok());
    let theirs = check(&shown(&network, &trust, r9c));
    assert!(matches!(theirs, Err(ReceiptError::OtherOrganisation(ods)) if ods == r9c.ods));

    // The authority alone, with a key of its own choice.
    let rogue = key(Algorithm::P256);
    let hello = network.hello_under(r9a, &rogue);
    let mut evidence = PeerEvidence { chain: hello.chain, endorsement: None, binding: hello.binding };
    assert!(matches!(check(&evidence), Err(ReceiptError::Certificate(Cause::KeyNotPinned))));
    let endorse = |by: &SoftwareKey, ods, at| {
        let said = trust::endorse(&network.id, ods, &rogue.public_key(), by, at).unwrap();
        Some(said.into_signed())
    };
    let now = network.now;
    for (endorsement, wanted) in [
        (endorse(&key(Algorithm::P256), &r9a.ods, now), "not pinned"),
        (endorse(&rogue, &r9a.ods, now), "not pinned"),
        (endorse(&r9c.key, &r9a.ods, now), "not pinned"),
        (endorse(&r9a.key, &r9a.ods, now.before(180 * DAY)), "over"),
        (endorse(&r9a.key, &r9a.ods, now.after(DAY)), "future"),
    ] {
        evidence.endorsement = endorsement;
        let refused = check(&evidence);
        let named = matches!(&refused, Err(ReceiptError::Endorsement(error)) if error.to_string().contains(wanted));
        assert!(named, "{wanted}: {refused:?}");
    }
    // Good, and about another member's next key.
    evidence.endorsement = endorse(&r9c.key, &r9c.ods, now);
    assert!(matches!(check(&evidence), Err(ReceiptError::Certificate(Cause::KeyNotPinned))));
    evidence.endorsement = endorse(&r9a.key, &r9a.ods, now.before(179 * DAY));
    assert!(check(&evidence).is_ok(), "the pinned key's word, in its life then");
}

#[test]
fn an_endorsed_keys_receipt_outlives_its_endorser() {
    let mut network = Network::new(&["R9A", "R9C"]);
    let mut trust = Trust::from_pinned(network.sign(&network.manifest(1), &[0, 1, 2])).unwrap();
    let (successor, now) = (key(Algorithm::P256), network.now);
    let [r9a, r9c] = network.organisations.as_slice() else { unreachable!() };
    let (holder, asker) = (r9a.ods.clone(), r9c.ods.clone());
    let mut hello = network.hello_under(r9a, &successor);
    let said = trust::endorse(&network.id, &holder, &successor.public_key(), &r9a.key, now).unwrap();
    hello.endorsement = Some(said.into_signed());
    let peer = trust.check_node(&hello, r9a.node(), EndpointRole::Peer, now).unwrap();
    let evidence = PeerEvidence {
        chain: peer.chain().to_vec(),
        endorsement: peer.endorsement().map(|e| e.signed().clone()),
        binding: peer.binding().signed().clone(),
    };
    let header = answer(&network, &claim(&network, now), &r9a.peer);
    for version in 2..=3 {
        network.organisations[HOLDER].key = key(Algorithm::P256);
        trust.advance(network.sign(&network.manifest(version), &[0, 1, 2]), now).unwrap();
    }
    assert!(trust.endorsement(&holder).is_none());
    assert!(verify(&trust, &asker, &holder, &header, &evidence).is_ok());
    let without = PeerEvidence { endorsement: None, ..evidence };
    let refused = verify(&trust, &asker, &holder, &header, &without);
    assert!(matches!(refused, Err(ReceiptError::Certificate(Cause::KeyNotPinned))));
}

#[test]
fn each_altered_part_of_the_receipt_is_refused_by_name() {
    let old = Old::new();
    let stranger = key(Algorithm::Ed25519);
    let claim = old.header.unverified().unwrap();
    let forged = answer(&old.network, &claim, &stranger);
    assert!(matches!(old.verify(&forged, &old.evidence), Err(ReceiptError::Signature(_))));
    let head = checkpoint::claim(&claim.checkpoint, &Origin::new(&old.network.id, &old.holder)).unwrap();
    let origin = |ods| Origin::new(&old.network.id, ods);
    type Change<'a> = (&'a str, Box<dyn FnOnce(&mut AnswerHeader) + 'a>);
    let changes: [Change<'_>; 7] = [
        ("another leaf", Box::new(|h| h.leaf = Digest([0; 32]))),
        ("another place", Box::new(|h| h.proof.index = 1)),
        ("another size", Box::new(|h| h.proof.size = 4)),
        ("another sibling", Box::new(|h| h.proof.path[0] = Digest([0; 32]))),
        (
            "a stranger's checkpoint",
            Box::new(|h| h.checkpoint = checkpoint::sign(&origin(&old.holder), &head, &stranger).unwrap()),
        ),
        ("another log", Box::new(|h| h.checkpoint = checkpoint::sign(&origin(&old.asker), &head, &old.node).unwrap())),
        ("no checkpoint", Box::new(|h| h.checkpoint.clear())),
    ];
    for (what, change) in changes {
        let refused = old.verify(&old.header_with(change), &old.evidence);
        assert!(matches!(refused, Err(ReceiptError::Log(_))), "{what}: {refused:?}");
    }
    assert!(old.verify(&old.header_with(|_| ()), &old.evidence).is_ok());
    let bytes = old.header.as_bytes();
    for bit in (0..bytes.len() * 8).step_by(11) {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(old.verify(&Signed::from_bytes(flipped).unwrap(), &old.evidence).is_err(), "bit {bit}");
    }
}
