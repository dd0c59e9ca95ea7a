use std::time::Duration;

use careweave_protocol::identity::{EndpointRole, StaffCredential, StaffGroup, Standard, StandardStatus};
use careweave_protocol::key::Signer;
use careweave_protocol::limits::{BINDING_LIFE, CREDENTIAL_LIFE};
use careweave_protocol::query::{Cause, Purpose};
use careweave_protocol::signed::{Scope, Signed};
use careweave_protocol::time::Date;

use super::*;
use crate::fixture::{Network, Organisation};
use crate::keystore::Algorithm;
use crate::keystore::tests::key;
use crate::manifest::{BeaconKey, SUSPENSION_LIFE, Suspension, SuspensionTarget};
use crate::staff::{Register, StaffError, StaffGrant, StaffRequest, StepUpRequest};
use crate::{binding, revocation, staff};

mod approvals;
mod behind;
mod keys;
mod notices;
mod order;
mod standing;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn trust(network: &Network) -> Trust {
    Trust::from_pinned(network.sign(&network.manifest(1), &[0, 1, 2])).unwrap()
}

fn grant(training_expires: Date) -> StaffGrant {
    StaffGrant {
        group: StaffGroup::Hos,
        sds_role: "R0050".to_owned(),
        registration: Some("GMC 0000000".to_owned()),
        training_expires,
        scopes: Vec::new(),
        break_glass: true,
        approvals: Vec::new(),
        life: CREDENTIAL_LIFE,
    }
}

fn credential(
    network: &Network,
    organisation: &Organisation,
    training: Date,
) -> Verified<careweave_protocol::identity::StaffCredential> {
    let person = key(Algorithm::Ed25519);
    let request = StaffRequest::create("p1".parse().unwrap(), "Dr One", &person, None).unwrap();
    let request = StaffRequest::verify(&request).unwrap();
    staff::issue(&network.id, &organisation.ods, &request, &grant(training), &organisation.key, network.now).unwrap()
}

/// The organisation's node as it has just shown itself.
fn peer(network: &Network, trust: &Trust, organisation: &Organisation) -> PeerIdentity {
    trust.check_node(&network.hello(organisation), organisation.node(), EndpointRole::Peer, network.now).unwrap()
}

fn far() -> Date {
    Date::new(2027, 1, 1).unwrap()
}

#[test]
fn a_member_passes_and_each_flaw_of_its_hello_has_its_cause() {
    let network = Network::new(&["R9A", "R9C"]);
    let (trust, now) = (trust(&network), network.now);
    let [r9a, r9c] = network.organisations.as_slice() else { unreachable!() };
    let whole = network.hello(r9a);
    let check = |hello: &careweave_protocol::identity::NodeHello| {
        trust.check_node(hello, r9a.node(), EndpointRole::Peer, now).map(|_| ())
    };
    let passed = trust.check_node(&whole, r9a.node(), EndpointRole::Peer, now).unwrap();
    assert_eq!((passed.ods(), passed.node(), passed.attestations().len()), (&r9a.ods, r9a.node(), 2));
    assert_eq!(trust.recheck(&passed, now), Ok(()));
    assert_eq!(trust.recheck(&passed, now.after(BINDING_LIFE)), Err(Cause::BindingExpired));
    assert_eq!(trust.recheck(&passed, now.after(91 * DAY)), Err(Cause::CertExpired));

    let with = |change: &dyn Fn(&mut careweave_protocol::identity::NodeHello)| {
        let mut hello = whole.clone();
        change(&mut hello);
        check(&hello)
    };
    let bound = |organisation: &Organisation, node, role, issued: Timestamp| {
        let life = (issued, BINDING_LIFE);
        let issued = binding::issue(&network.id, &organisation.ods, (node, role), None, &organisation.key, life);
        issued.unwrap().into_signed()
    };
    let desk = r9a.desk.public_key().node_key().unwrap();
    for (wanted, outcome) in [
        (Cause::OtherNetwork, with(&|h| h.network = "elsewhere".parse().unwrap())),
        (Cause::Incompatible, with(&|h| h.protocol = 0)),
        (Cause::ClockSkew(412), with(&|h| h.clock = now.after(Duration::from_secs(412)))),
        (Cause::ClockSkew(-301), with(&|h| h.clock = now.before(Duration::from_secs(301)))),
        (Cause::CertInvalid, with(&|h| h.chain.clear())),
        (Cause::BindingInvalid, with(&|h| h.binding = bound(r9c, r9a.node(), EndpointRole::Peer, now))),
        (Cause::BindingInvalid, with(&|h| h.binding = bound(r9a, r9c.node(), EndpointRole::Peer, now))),
        (Cause::BindingInvalid, with(&|h| h.binding = bound(r9a, r9a.node(), EndpointRole::Desk, now))),
        (Cause::BindingInvalid, with(&|h| h.binding = bound(r9a, desk, EndpointRole::Desk, now))),
        (Cause::BindingExpired, with(&|h| h.binding = bound(r9a, r9a.node(), EndpointRole::Peer, now.before(7 * DAY)))),
        (Cause::BindingExpired, with(&|h| h.binding = bound(r9a, r9a.node(), EndpointRole::Peer, now.after(2 * HOUR)))),
    ] {
        assert_eq!(outcome, Err(wanted));
    }
    for clock in [now.after(Duration::from_secs(300)), now.before(Duration::from_secs(300))] {
        assert_eq!(with(&|h| h.clock = clock), Ok(()));
    }
    // Somebody else's connection with R9A's genuine hello.
    let stolen = trust.check_node(&whole, r9c.node(), EndpointRole::Peer, now);
    assert_eq!(stolen.map(|_| ()), Err(Cause::BindingInvalid));
}

#[test]
fn a_binding_over_seven_days_is_invalid_whoever_signed_it() {
    let network = Network::new(&["R9A"]);
    let r9a = &network.organisations[0];
    let mut hello = network.hello(r9a);
    let mut claim = hello.binding.unverified().unwrap();
    claim.not_after.0 += 1;
    hello.binding = Signed::sign(&claim, Scope::network(&network.id), &r9a.key).unwrap().into_signed();
    let refused = trust(&network).check_node(&hello, r9a.node(), EndpointRole::Peer, network.now);
    assert_eq!(refused.map(|_| ()), Err(Cause::BindingInvalid));
}

#[test]
fn a_credential_is_checked_against_its_employer_and_its_life() {
    let network = Network::new(&["R9A", "R9C"]);
    let (mut trust, now) = (trust(&network), network.now);
    let [r9a, r9c] = network.organisations.as_slice() else { unreachable!() };
    let held = credential(&network, r9a, far());
    let (employer, other) = (peer(&network, &trust, r9a), peer(&network, &trust, r9c));
    let check = |trust: &Trust, employer: &PeerIdentity, now| {
        trust.check_credential(held.signed(), employer, now).map(|(verified, key)| {
            assert_eq!((&verified, key), (&held, r9a.key.public_key()));
        })
    };
    assert_eq!(check(&trust, &employer, now), Ok(()));
    assert_eq!(check(&trust, &other, now), Err(Cause::CredentialInvalid));
    assert_eq!(check(&trust, &employer, now.after(CREDENTIAL_LIFE)), Err(Cause::CredentialExpired));
    assert_eq!(check(&trust, &employer, now.before(2 * HOUR)), Err(Cause::CredentialExpired));

    let mut claim = held.get().clone();
    claim.ods = r9c.ods.clone();
    let foreign = Signed::sign(&claim, Scope::network(&network.id), &r9a.key).unwrap();
    let refused = trust.check_credential(foreign.signed(), &employer, now);
    assert_eq!(refused, Err(Cause::CredentialInvalid), "one employer's key cannot name another's staff");
    claim = held.get().clone();
    claim.not_after.0 += 1;
    let long = Signed::sign(&claim, Scope::network(&network.id), &r9a.key).unwrap();
    assert_eq!(trust.check_credential(long.signed(), &employer, now), Err(Cause::CredentialInvalid));

    let mut register = Register::default();
    register.enter(&held, &r9a.key.public_key(), now);
    let listed = revocation::running(&register.issued, &"p1".parse().unwrap(), now);
    let list = revocation::issue(&network.id, &r9a.ods, None, &listed, &r9a.key, now).unwrap();
    let (mine, theirs) = (r9a.key.public_key(), r9c.key.public_key());
    assert!(trust.accept_revocation(list.signed(), &theirs, now).is_err());
    trust.accept_revocation(list.signed(), &mine, now).unwrap();
    assert_eq!(check(&trust, &employer, now), Err(Cause::CredentialRevoked));
    let again = trust.accept_revocation(list.signed(), &mine, now);
    assert!(matches!(again, Err(NoticeError::Older { shown: 1, known: 1 })));
    let emptied = revocation::issue(&network.id, &r9a.ods, Some(list.get()), &[], &r9a.key, now).unwrap();
    trust.accept_revocation(emptied.signed(), &mine, now).unwrap();
    assert_eq!(check(&trust, &employer, now), Err(Cause::CredentialRevoked), "a later list keeps what still runs");
}

/// The other signature that verifies beside an ES256 one, which anybody can work out: `n - s` for `s`.
fn twin(credential: &Signed<StaffCredential>) -> Signed<StaffCredential> {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad,
        0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let mut bytes = credential.as_bytes().to_vec();
    // The signature is the last field of a COSE_Sign1, and `s` its second half.
    let start = bytes.len() - 32;
    let mut borrow = 0;
    for (byte, order) in bytes[start..].iter_mut().zip(ORDER).rev() {
        let difference = i16::from(order) - i16::from(*byte) - borrow;
        borrow = i16::from(difference < 0);
        *byte = difference.rem_euclid(256) as u8;
    }
    Signed::from_bytes(bytes).unwrap()
}

#[test]
fn a_revoked_credential_stays_revoked_under_the_twin_of_its_signature() {
    let network = Network::new(&["R9A"]);
    let (mut trust, now) = (trust(&network), network.now);
    let r9a = &network.organisations[0];
    let (held, mine) = (credential(&network, r9a, far()), r9a.key.public_key());
    let twin = twin(held.signed());
    assert_ne!(twin.digest(), held.signed().digest());
    let employer = peer(&network, &trust, r9a);
    let (verified, _) = trust.check_credential(&twin, &employer, now).expect("ES256 knows both");
    assert_eq!(verified.statement_digest(), held.statement_digest());

    let mut register = Register::default();
    register.enter(&held, &r9a.key.public_key(), now);
    let issued: Vec<_> = register.issued.iter().collect();
    let list = revocation::issue(&network.id, &r9a.ods, None, &issued, &r9a.key, now).unwrap();
    trust.accept_revocation(list.signed(), &mine, now).unwrap();
    assert_eq!(trust.check_credential(&twin, &employer, now).map(|_| ()), Err(Cause::CredentialRevoked));
}

#[test]
fn a_request_proves_its_key() {
    let (person, other) = (key(Algorithm::Ed25519), key(Algorithm::Ed25519));
    let request = StaffRequest::create("p1".parse().unwrap(), "Dr One", &person, None).unwrap();
    let mut claim = StaffRequest::verify(&request).unwrap().into_inner();
    claim.key = other.public_key().node_key().unwrap();
    let forged = Signed::sign(&claim, Scope::network(&"staff-request".parse().unwrap()), &person).unwrap();
    assert!(StaffRequest::verify(forged.signed()).is_err());
    assert!(StaffRequest::create("p1".parse().unwrap(), "x", &key(Algorithm::P256), None).is_err());
}

#[test]
fn a_step_up_key_is_proved_in_the_request_and_named_only_where_the_group_may_break_glass() {
    let network = Network::new(&["R9A"]);
    let r9a = &network.organisations[0];
    let (person, second, other) = (key(Algorithm::Ed25519), key(Algorithm::Ed25519), key(Algorithm::Ed25519));
    let id = || "p1".parse().unwrap();
    let request = StaffRequest::create(id(), "Dr One", &person, Some(&second)).unwrap();
    let request = StaffRequest::verify(&request).unwrap();
    let issued = |break_glass| {
        let grant = StaffGrant { break_glass, ..grant(far()) };
        staff::issue(&network.id, &r9a.ods, &request, &grant, &r9a.key, network.now).unwrap().into_inner().step_up
    };
    assert_eq!(issued(true), second.public_key().node_key());
    assert_eq!(issued(true), issued(true), "issued again it stays");
    assert_eq!(issued(false), None);

    // Proved for another person's key; no second key at all; a key that nobody proved.
    let lifted = StaffRequest::create(id(), "Dr Two", &other, None).unwrap();
    let mut claim = StaffRequest::verify(&lifted).unwrap().into_inner();
    claim.step_up.clone_from(&request.get().step_up);
    let scope = "staff-request".parse().unwrap();
    let forged = Signed::sign(&claim, Scope::network(&scope), &other).unwrap();
    assert!(matches!(StaffRequest::verify(forged.signed()), Err(StaffError::StepUp)));
    let same = StaffRequest::create(id(), "Dr One", &person, Some(&person)).unwrap();
    assert!(matches!(StaffRequest::verify(&same), Err(StaffError::StepUp)));
    let unheld = StepUpRequest { key: claim.key, step_up: second.public_key().node_key().unwrap() };
    claim.step_up = Some(Signed::sign(&unheld, Scope::network(&scope), &other).unwrap().into_signed());
    let forged = Signed::sign(&claim, Scope::network(&scope), &other).unwrap();
    assert!(matches!(StaffRequest::verify(forged.signed()), Err(StaffError::Signed(_))));
}

#[test]
fn lapses_refuse_care_and_alert_in_an_emergency_and_a_suspension_refuses_both() {
    let network = Network::new(&["R9A"]);
    let (mut trust, now, r9a) = (trust(&network), network.now, &network.organisations[0]);
    let yesterday = Date::new(2026, 5, 31).unwrap();
    let today = Date::new(2026, 6, 1).unwrap();
    let (trained, lapsed) = (credential(&network, r9a, today), credential(&network, r9a, yesterday));
    let mut hello = network.hello(r9a);
    let standing = trust.check_node(&hello, r9a.node(), EndpointRole::Peer, now).unwrap();
    hello.attestations = network.attestations(&r9a.ods, yesterday);
    let expired = trust.check_node(&hello, r9a.node(), EndpointRole::Peer, now).unwrap();
    hello.attestations.clear();
    let missing = trust.check_node(&hello, r9a.node(), EndpointRole::Peer, now).unwrap();

    let training = Cause::TrainingLapsed(yesterday);
    let dspt = Cause::AttestationExpired("dspt".to_owned(), yesterday);
    let none = Cause::AttestationMissing("dspt".to_owned());
    for (peer, person, cause) in [
        (&standing, &trained, None),
        (&standing, &lapsed, Some(training)),
        (&expired, &trained, Some(dspt)),
        (&missing, &trained, Some(none)),
    ] {
        for purpose in Purpose::ALL {
            let verdict = trust.check_eligibility(peer, person.get(), purpose, now);
            if purpose.is_urgent() {
                assert!(verdict.is_eligible(), "{purpose} {cause:?}");
                assert_eq!(verdict.alerts.first(), cause.as_ref(), "{purpose}");
            } else {
                assert_eq!(verdict.refused, cause, "{purpose}");
            }
        }
    }
    let stop = Suspension { target: SuspensionTarget::Member(r9a.ods.clone()), reason: "test".to_owned(), from: now };
    let stop = Signed::sign(&stop, Scope::network(&network.id), &network.officers[4]).unwrap();
    assert!(trust.accept_suspension(stop.into_signed(), now).unwrap());
    for purpose in Purpose::ALL {
        let verdict = trust.check_eligibility(&standing, trained.get(), purpose, now);
        assert_eq!(verdict.refused, Some(Cause::Suspended), "{purpose}");
    }
    assert_eq!(trust.recheck(&standing, now), Err(Cause::Suspended));
    let refused = trust.check_credential(trained.signed(), &standing, now);
    assert_eq!(refused, Err(Cause::Suspended));
    let refused = trust.check_node(&network.hello(r9a), r9a.node(), EndpointRole::Peer, now);
    assert_eq!(refused.map(|_| ()), Err(Cause::Suspended));
}

#[test]
fn attestations_of_strangers_and_about_others_do_not_count() {
    let network = Network::new(&["R9A", "R9C"]);
    let (trust, r9a, r9c) = (trust(&network), &network.organisations[0], &network.organisations[1]);
    let stranger = key(Algorithm::P256);
    let mut hello = network.hello(r9a);
    hello.attestations = network.attestations(&r9c.ods, far());
    let dspt = (Standard::Dspt, Some(StandardStatus::Exceeded));
    let forged = crate::attest::issue(&network.id, &r9a.ods, dspt, far(), &stranger, network.now).unwrap();
    hello.attestations.push(forged.into_signed());
    let peer = trust.check_node(&hello, r9a.node(), EndpointRole::Peer, network.now).unwrap();
    assert!(peer.attestations().is_empty());
}

#[test]
fn staleness_is_graded_by_purpose() {
    let network = Network::new(&["R9A"]);
    let (trust, r9a, now) = (trust(&network), &network.organisations[0], network.now);
    let peer = trust.check_node(&network.hello(r9a), r9a.node(), EndpointRole::Peer, now).unwrap();
    let person = credential(&network, r9a, far());
    let verdict = |purpose, age| trust.check_eligibility(&peer, person.get(), purpose, now.after(age));
    let stale = Some(Cause::BeaconStale(Some(now)));
    for (purpose, limit) in
        [(Purpose::Treat, 7 * DAY), (Purpose::Coc, 7 * DAY), (Purpose::Hcompl, DAY), (Purpose::Etreat, 30 * DAY)]
    {
        assert!(verdict(purpose, limit).is_eligible(), "{purpose}");
        assert_eq!(verdict(purpose, limit + Duration::from_millis(1)).refused, stale, "{purpose}");
    }
    assert!(verdict(Purpose::Btg, 7 * DAY).alerts.is_empty());
    assert_eq!(verdict(Purpose::Btg, 8 * DAY).alerts.first(), stale.as_ref());
}
