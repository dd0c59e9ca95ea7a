use careweave_protocol::identity::{Approval, Scope as DeskScope, StaffApproval};
use careweave_protocol::limits::{APPROVAL_LIFE, CLOCK_SKEW};

use super::*;
use crate::authority::BACK_DATING;
use crate::keystore::SoftwareKey;

const MOMENT: Duration = Duration::from_millis(1);

/// Somebody on the staff.
struct Person {
    name: &'static str,
    key: SoftwareKey,
}

impl Person {
    fn new(name: &'static str) -> Self {
        Self { name, key: key(Algorithm::Ed25519) }
    }

    fn node(&self) -> NodeKey {
        self.key.public_key().node_key().unwrap()
    }
}

struct Office {
    network: Network,
    trust: Trust,
    subject: Person,
    /// What each approval says unless a test changes it.
    said: StaffApproval,
}

impl Office {
    fn new() -> Self {
        let network = Network::new(&["R9A", "R9C"]);
        let (trust, subject) = (trust(&network), Person::new("auditor"));
        let said = StaffApproval {
            ods: network.organisations[0].ods.clone(),
            approver: "nobody".parse().unwrap(),
            person: subject.name.parse().unwrap(),
            key: subject.node(),
            scopes: vec![DeskScope::Audit],
            at: network.now,
        };
        Self { network, trust, subject, said }
    }

    /// A person's credential of R9A's or another's, signed with this key, from that instant on.
    fn credential(
        &self,
        person: &Person,
        (ods, organisation): (&OdsCode, &SoftwareKey),
        (scopes, approvals): (&[DeskScope], Vec<Approval>),
        at: Timestamp,
    ) -> Signed<StaffCredential> {
        let request = StaffRequest::create(person.name.parse().unwrap(), "Somebody", &person.key, None).unwrap();
        let request = StaffRequest::verify(&request).unwrap();
        let grant = StaffGrant { scopes: scopes.to_vec(), approvals, break_glass: false, ..grant(far()) };
        staff::issue(&self.network.id, ods, &request, &grant, organisation, at).unwrap().into_signed()
    }

    fn home(&self) -> (&OdsCode, &SoftwareKey) {
        let r9a = &self.network.organisations[0];
        (&r9a.ods, &r9a.key)
    }

    /// This approver's word, with a change, and their credential issued at the time.
    fn approval_with(&self, approver: &Person, change: impl FnOnce(&mut StaffApproval)) -> Approval {
        let mut said = StaffApproval { approver: approver.name.parse().unwrap(), ..self.said.clone() };
        change(&mut said);
        Approval {
            credential: self.credential(approver, self.home(), (&[], Vec::new()), said.at),
            approval: self.sign(&said, approver),
        }
    }

    fn approval(&self, approver: &Person) -> Approval {
        self.approval_with(approver, |_| ())
    }

    fn sign(&self, said: &StaffApproval, by: &Person) -> Signed<StaffApproval> {
        Signed::sign(said, Scope::network(&self.network.id), &by.key).unwrap().into_signed()
    }

    /// Whether the subject's credential with these scopes and approvals passes at R9A's peers.
    fn check(&self, scopes: &[DeskScope], approvals: Vec<Approval>) -> Result<(), Cause> {
        let held = self.credential(&self.subject, self.home(), (scopes, approvals), self.network.now);
        let employer = peer(&self.network, &self.trust, &self.network.organisations[0]);
        self.trust.check_credential(&held, &employer, self.network.now).map(|_| ())
    }
}

#[test]
fn a_scope_that_watches_others_needs_two_people_and_other_scopes_need_nobody() {
    let office = Office::new();
    let (one, two, three) = (Person::new("one"), Person::new("two"), Person::new("three"));
    let audit = |approvals| office.check(&[DeskScope::Audit], approvals);
    let refused = Err(Cause::ApprovalMissing);
    assert_eq!(audit(vec![office.approval(&one), office.approval(&two)]), Ok(()));
    assert_eq!(audit(vec![office.approval(&one), office.approval(&two), office.approval(&three)]), Ok(()));
    assert_eq!(audit(Vec::new()), refused);
    assert_eq!(audit(vec![office.approval(&one)]), refused);
    assert_eq!(audit(vec![office.approval(&one), office.approval(&one)]), refused, "the same twice");
    let again = Person { name: one.name, key: key(Algorithm::Ed25519) };
    assert_eq!(audit(vec![office.approval(&one), office.approval(&again)]), refused, "one person with two keys");
    let seed = one.key.ed25519_seed().unwrap();
    let invented = Person { name: "invented", key: SoftwareKey::from_ed25519_seed(&seed).unwrap() };
    assert_eq!(audit(vec![office.approval(&one), office.approval(&invented)]), refused, "one key with two names");
    assert_eq!(office.check(&[DeskScope::Operate], Vec::new()), Ok(()));
    assert_eq!(office.check(&[], Vec::new()), Ok(()));

    // Both scopes need both to be named.
    let both = [DeskScope::Audit, DeskScope::Govern];
    let two_of = |scopes: &[DeskScope]| {
        [&one, &two].map(|person| office.approval_with(person, |said| said.scopes = scopes.to_vec())).to_vec()
    };
    assert_eq!(office.check(&both, two_of(&both)), Ok(()));
    assert_eq!(office.check(&both, two_of(&[DeskScope::Audit])), refused);
    assert_eq!(audit(two_of(&both)), refused, "what was approved is this, and not more");
    assert_eq!(office.check(&[DeskScope::Govern], two_of(&[DeskScope::Audit])), refused);
    assert_eq!(office.check(&[DeskScope::Audit, DeskScope::Operate], two_of(&[DeskScope::Audit])), Ok(()));
}

#[test]
fn a_word_that_does_not_count_leaves_one_too_few() {
    let office = Office::new();
    let (good, other) = (Person::new("good"), Person::new("other"));
    let (network, now) = (&office.network, office.network.now);
    let (r9a, r9c) = (&network.organisations[0], &network.organisations[1]);
    let with = |change: &dyn Fn(&mut StaffApproval)| office.approval_with(&other, change);
    let by = |credential| Approval { credential, ..office.approval(&other) };
    let issued = |employer, scopes: &[DeskScope], at| office.credential(&other, employer, (scopes, Vec::new()), at);
    let home = office.home();
    let stranger = key(Algorithm::P256);
    let seed = office.subject.key.ed25519_seed().unwrap();
    let alias = Person { name: "alias", key: SoftwareKey::from_ed25519_seed(&seed).unwrap() };
    for (what, second) in [
        ("the subject", office.approval(&office.subject)),
        ("the subject's key under another name", office.approval(&alias)),
        ("somebody with the audit scope", by(issued(home, &[DeskScope::Audit], now))),
        ("somebody who carries governance documents", by(issued(home, &[DeskScope::Govern], now))),
        ("somebody of another organisation", by(issued((&r9c.ods, &r9c.key), &[], now))),
        ("somebody whom this organisation calls another's", by(issued((&r9c.ods, &r9a.key), &[], now))),
        ("somebody whom a stranger employs", by(issued((&r9a.ods, &stranger), &[], now))),
        ("somebody else's credential", by(office.approval(&good).credential)),
        (
            "somebody else's signature",
            Approval { approval: office.approval(&good).approval, ..office.approval(&other) },
        ),
        ("a name that is not the signer's", with(&|said| said.approver = "third".parse().unwrap())),
        ("about another organisation", with(&|said| said.ods = r9c.ods.clone())),
        ("about another person", with(&|said| said.person = "third".parse().unwrap())),
        ("about another key", with(&|said| said.key = good.node())),
        ("about no scope", with(&|said| said.scopes.clear())),
        ("over a year old", with(&|said| said.at = now.before(APPROVAL_LIFE))),
        ("from the future", with(&|said| said.at = now.after(CLOCK_SKEW + MOMENT))),
        ("before their credential", by(issued(home, &[], now.after(BACK_DATING + CLOCK_SKEW + MOMENT)))),
        ("after their credential", by(issued(home, &[], now.before(CREDENTIAL_LIFE)))),
    ] {
        for approvals in [vec![office.approval(&good), second.clone()], vec![second, office.approval(&good)]] {
            assert_eq!(office.check(&[DeskScope::Audit], approvals), Err(Cause::ApprovalMissing), "{what}");
        }
    }
    for (what, second) in [
        ("nothing amiss", office.approval(&other)),
        ("just under a year old", with(&|said| said.at = now.before(APPROVAL_LIFE).after(MOMENT))),
        ("a clock that is ahead", with(&|said| said.at = now.after(CLOCK_SKEW))),
        ("as their credential begins", by(issued(home, &[], now.after(BACK_DATING + CLOCK_SKEW)))),
        ("as their credential ends", by(issued(home, &[], now.before(CREDENTIAL_LIFE).after(MOMENT)))),
        ("somebody who operates the node", by(issued(home, &[DeskScope::Operate], now))),
    ] {
        let approvals = vec![office.approval(&good), second];
        assert_eq!(office.check(&[DeskScope::Audit], approvals), Ok(()), "{what}");
    }
}

#[test]
fn no_more_words_are_looked_at_than_a_few_and_an_earlier_keys_staff_may_give_theirs() {
    let mut office = Office::new();
    let (one, two) = (Person::new("one"), Person::new("two"));
    let good = vec![office.approval(&one), office.approval(&two)];
    let bad = office.approval_with(&one, |said| said.scopes.clear());
    let padded = |count| std::iter::repeat_n(bad.clone(), count).chain(good.clone()).collect::<Vec<_>>();
    assert_eq!(office.check(&[DeskScope::Audit], padded(2)), Ok(()));
    assert_eq!(office.check(&[DeskScope::Audit], padded(3)), Err(Cause::ApprovalMissing));

    // The organisation key changes; those who approved have credentials under the key of before.
    let before = std::mem::replace(&mut office.network.organisations[0].key, key(Algorithm::P256));
    let mut manifest = office.network.manifest(2);
    manifest.members[0].key.next = Some(before.public_key().spki_hash());
    office.trust.advance(office.network.sign(&manifest, &[0, 1, 2]), office.network.now).unwrap();
    let held = office.credential(&office.subject, office.home(), (&[DeskScope::Audit], good), office.network.now);
    let check = |earlier_keys| {
        let r9a = &office.network.organisations[0];
        let hello = careweave_protocol::identity::NodeHello { earlier_keys, ..office.network.hello(r9a) };
        let employer = office.trust.check_node(&hello, r9a.node(), EndpointRole::Peer, office.network.now).unwrap();
        office.trust.check_credential(&held, &employer, office.network.now).map(|_| ())
    };
    assert_eq!(check(vec![before.public_key()]), Ok(()));
    assert_eq!(check(Vec::new()), Err(Cause::ApprovalMissing));
}
