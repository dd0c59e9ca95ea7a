use careweave_protocol::identity::{Approval, Scope as DeskScope, StaffApproval, StaffGroup, StandardStatus};
use careweave_protocol::key::Signer;
use careweave_protocol::limits::{CREDENTIAL_LIFE, ENDORSEMENT_LIFE, INVITATION_LIFE};
use careweave_protocol::query::Cause;
use careweave_protocol::signed::{Scope, Signed};
use careweave_protocol::time::Date;

use super::*;
use crate::authority::{INTERMEDIATE_LIFE, ORGANISATION_LIFE, ROOT_LIFE};
use crate::fixture::Network;
use crate::keystore::tests::key;
use crate::keystore::{Algorithm, SoftwareKey};
use crate::manifest::{AuthorityState, MANIFEST_LIFE};
use crate::staff::{StaffGrant, StaffRequest};
use crate::{attest, chain, staff, trust};

const SECOND: Duration = Duration::from_secs(1);

fn days(count: u32) -> Duration {
    DAY * count
}

#[test]
fn urgency_is_by_whole_days_left_and_what_is_over_is_over() {
    let now = Timestamp(1_793_628_600_000);
    let just_before = |count| now.after(days(count)).before(Duration::from_millis(1));
    for (at, left, wanted) in [
        (now.before(days(400)), 0, Urgency::Over),
        (now, 0, Urgency::Over),
        (Timestamp(now.0 + 1), 0, Urgency::Within(1)),
        (now.after(days(1)), 1, Urgency::Within(1)),
        (just_before(2), 1, Urgency::Within(1)),
        (now.after(days(2)), 2, Urgency::Within(7)),
        (just_before(8), 7, Urgency::Within(7)),
        (now.after(days(8)), 8, Urgency::Within(14)),
        (just_before(15), 14, Urgency::Within(14)),
        (now.after(days(15)), 15, Urgency::Within(30)),
        (just_before(31), 30, Urgency::Within(30)),
        (now.after(days(31)), 31, Urgency::Later),
        (now.after(days(10_000)), 10_000, Urgency::Later),
    ] {
        assert_eq!((days_left(at, now), urgency(at, now)), (left, wanted), "{at:?}");
    }
    assert!(Urgency::Over < Urgency::Within(1) && Urgency::Within(7) < Urgency::Within(30));
    assert!(Urgency::Within(30) < Urgency::Later);
}

#[test]
fn what_lives_for_a_month_is_warned_of_in_its_last_week_and_all_else_from_thirty_days_on() {
    let now = Timestamp(1_793_628_600_000);
    for kind in EndingKind::ALL {
        let short_lived = matches!(kind, EndingKind::Credential | EndingKind::Invitation);
        for (left, wanted) in [
            (0, Urgency::Over),
            (1, Urgency::Within(1)),
            (7, Urgency::Within(7)),
            (14, if short_lived { Urgency::Later } else { Urgency::Within(14) }),
            (30, if short_lived { Urgency::Later } else { Urgency::Within(30) }),
            (31, Urgency::Later),
        ] {
            let ending = Ending { at: now.after(days(left)), kind, what: "it".to_owned() };
            assert_eq!(warning(&ending, now), wanted, "{kind} in {left} days");
        }
    }
}

#[test]
fn a_manifest_ends_and_so_does_each_authority_that_it_believes() {
    let mut network = Network::new(&["R9A"]);
    let mut manifest = network.manifest(3);
    let (old, now) = (network.root.clone(), network.now);
    let name = |certificate: &[u8]| format!("{}", Digest::of(&[certificate])).chars().take(8).collect::<String>();
    network.rotate_authorities();
    let mut announced = network.manifest(3).authorities;
    announced.iter_mut().for_each(|authority| authority.state = AuthorityState::Next);
    manifest.authorities.extend(announced);
    let (root, intermediate) = (name(&network.root), name(&network.intermediate));
    let endings = manifest_endings(&manifest);
    assert_eq!(endings.len(), 5);
    assert!(endings.is_sorted_by_key(|ending| ending.at));
    let first = Ending { at: now.after(MANIFEST_LIFE), kind: EndingKind::Manifest, what: "manifest 3".to_owned() };
    assert_eq!(endings.first(), Some(&first));
    for (what, life, kind) in [
        (format!("root {}", name(&old)), ROOT_LIFE, EndingKind::Root),
        (format!("root {root}"), ROOT_LIFE, EndingKind::Root),
        (format!("intermediate {intermediate}"), INTERMEDIATE_LIFE, EndingKind::Intermediate),
    ] {
        // The last second named is the last one that verifies.
        let ending = Ending { at: now.after(life).after(SECOND), kind, what };
        assert!(endings.contains(&ending), "{ending:?} is not in {endings:?}");
    }
    for authority in &mut manifest.authorities[..2] {
        authority.state = AuthorityState::Tainted;
    }
    manifest.authorities[2].certificate.truncate(20);
    let left: Vec<_> = manifest_endings(&manifest).into_iter().map(|ending| ending.what).collect();
    assert_eq!(left, ["manifest 3".to_owned(), format!("intermediate {intermediate}")]);
}

#[test]
fn a_chain_ends_in_the_instant_in_which_it_no_longer_verifies() {
    let network = Network::new(&["R9A"]);
    let (manifest, r9a) = (network.manifest(1), &network.organisations[0]);
    let whole = [network.certificate(&r9a.ods, &r9a.key), network.intermediate.clone()];
    let [ending] = &chain_endings(&whole, EndingKind::NextCertificate)[..] else { panic!("one leaf, one end") };
    assert_eq!(
        (ending.at, ending.kind),
        (network.now.after(ORGANISATION_LIFE).after(SECOND), EndingKind::NextCertificate)
    );
    assert!(ending.what.ends_with(" of careweave://orchard/R9A"), "{}", ending.what);
    assert!(chain::verify(&whole, &manifest, Timestamp(ending.at.0 - 1)).is_ok());
    assert_eq!(chain::verify(&whole, &manifest, ending.at), Err(Cause::CertExpired));
    assert!(chain_endings::<Vec<u8>>(&[], EndingKind::Certificate).is_empty());
    assert!(chain_endings(&[b"no".to_vec()], EndingKind::Certificate).is_empty());
}

#[test]
fn the_newest_attestation_of_each_standard_ends_with_its_last_day() {
    let network = Network::new(&["R9A"]);
    let (ods, now) = (&network.organisations[0].ods, network.now);
    let day = |month| Date::new(2026, month, 30).unwrap();
    let issue = |standard, last, at| {
        let status = Some(StandardStatus::Met);
        attest::issue(&network.id, ods, (standard, status), last, &network.registrar, at).unwrap()
    };
    let held = [
        issue(Standard::Dspt, day(6), now),
        issue(Standard::Dspt, day(9), now.before(DAY)),
        issue(Standard::SharingAgreement, day(8), now),
    ];
    let endings = attestation_endings(&held);
    let shown: Vec<_> = endings.iter().map(|ending| (ending.what.as_str(), ending.at.rfc3339())).collect();
    let wanted = [
        ("attestation dspt", "2026-07-01T00:00:00.000Z".to_owned()),
        ("attestation sharing-agreement", "2026-08-31T00:00:00.000Z".to_owned()),
    ];
    assert_eq!(shown, wanted);
    let minimum = StandardStatus::Met;
    assert!(attest::lapses(&held, minimum, Timestamp(endings[0].at.0 - 1)).is_empty());
    assert_eq!(attest::lapses(&held, minimum, endings[0].at).len(), 1);
}

#[test]
fn endorsements_and_invitations_end_when_they_say() {
    let network = Network::new(&["R9A"]);
    let (r9a, now) = (&network.organisations[0], network.now);
    let successor = key(Algorithm::P256).public_key();
    let endorsement = trust::endorse(&network.id, &r9a.ods, &successor, &r9a.key, now).unwrap();
    let ending = endorsement_endings(endorsement.get()).remove(0);
    assert_eq!((ending.at, ending.kind), (now.after(ENDORSEMENT_LIFE), EndingKind::Endorsement));
    let hash: String = successor.spki_hash().to_string().chars().take(8).collect();
    assert_eq!(ending.what, format!("endorsement of key {hash} of R9A"));
    let expires = now.after(INVITATION_LIFE);
    let invitation = Invitation { ods: r9a.ods.clone(), code: Digest([1; 32]), expires };
    let ending = Ending { at: expires, kind: EndingKind::Invitation, what: "invitation of R9A".to_owned() };
    assert_eq!(invitation_endings(&invitation), [ending]);
}

/// A credential of this person, issued now.
fn credential(
    network: &Network,
    person: &str,
    grant: StaffGrant,
    key: &SoftwareKey,
    now: Timestamp,
) -> Verified<StaffCredential> {
    let request = StaffRequest::create(person.parse().unwrap(), "Somebody", key, None).unwrap();
    let (request, r9a) = (StaffRequest::verify(&request).unwrap(), &network.organisations[0]);
    staff::issue(&network.id, &r9a.ods, &request, &grant, &r9a.key, now).unwrap()
}

fn grant(training_expires: Date) -> StaffGrant {
    StaffGrant {
        group: StaffGroup::Hos,
        sds_role: "R0050".to_owned(),
        registration: None,
        training_expires,
        scopes: Vec::new(),
        break_glass: false,
        approvals: Vec::new(),
        life: CREDENTIAL_LIFE,
    }
}

#[test]
fn of_each_person_on_the_register_the_newest_credential_and_its_training_end() {
    let network = Network::new(&["R9A"]);
    let (now, organisation) = (network.now, network.organisations[0].key.public_key());
    let mut register = Register::default();
    let training = Date::new(2026, 6, 20).unwrap();
    let (one, two) = (key(Algorithm::Ed25519), key(Algorithm::Ed25519));
    let later = now.after(DAY);
    let (first, renewed, other) = (
        credential(&network, "p1", grant(training), &one, now),
        credential(&network, "p1", grant(training), &one, later),
        credential(&network, "p2", grant(training), &two, now),
    );
    for held in [&first, &renewed, &other] {
        register.enter(held, &organisation, now);
    }
    let shown = |is_revoked: &dyn Fn(&Digest) -> bool| {
        let endings = staff_endings(&register, is_revoked, later);
        endings.into_iter().map(|ending| (ending.what, ending.at)).collect::<Vec<_>>()
    };
    let last_day_over = training.plus_days(1).start();
    let wanted = [
        ("training of p1".to_owned(), last_day_over),
        ("training of p2".to_owned(), last_day_over),
        ("credential of p2".to_owned(), now.after(CREDENTIAL_LIFE)),
        ("credential of p1".to_owned(), later.after(CREDENTIAL_LIFE)),
    ];
    assert_eq!(shown(&|_| false), wanted);
    let gone = other.statement_digest();
    assert_eq!(shown(&|digest| *digest == gone), [wanted[0].clone(), wanted[3].clone()], "nobody waits for a leaver");

    register.issued[1].credential = Signed::from_bytes(b"altered".to_vec()).unwrap();
    let endings = staff_endings(&register, |_| false, later);
    assert!(
        endings.iter().any(|ending| ending.what == "credential of p1" && ending.at == later.after(CREDENTIAL_LIFE))
    );
}

#[test]
fn approvals_end_when_there_are_no_longer_two_peoples() {
    let network = Network::new(&["R9A"]);
    let (now, person) = (network.now, key(Algorithm::Ed25519));
    let far = Date::new(2030, 1, 1).unwrap();
    let approval = |who: &str, at| {
        let approver = key(Algorithm::Ed25519);
        let given = StaffApproval {
            ods: network.organisations[0].ods.clone(),
            approver: who.parse().unwrap(),
            person: "p1".parse().unwrap(),
            key: person.public_key().node_key().unwrap(),
            scopes: vec![DeskScope::Audit],
            at,
        };
        Approval {
            credential: credential(&network, who, grant(far), &approver, at).into_signed(),
            approval: Signed::sign(&given, Scope::network(&network.id), &approver).unwrap().into_signed(),
        }
    };
    let ends = |approvals: Vec<Approval>, scope| {
        let grant = StaffGrant { scopes: vec![scope], approvals, ..grant(far) };
        let held = credential(&network, "p1", grant, &person, now);
        let endings = credential_endings(held.get()).into_iter();
        endings.filter(|ending| ending.kind == EndingKind::Approval).map(|ending| ending.at).collect::<Vec<_>>()
    };
    let given = |who: &str, ago: u32| approval(who, now.before(days(ago)));
    let until = |ago| vec![now.before(days(ago)).after(APPROVAL_LIFE)];
    assert_eq!(ends(vec![given("p2", 10), given("p3", 300)], DeskScope::Audit), until(300));
    assert_eq!(
        ends(vec![given("p2", 10), given("p2", 5), given("p3", 300), given("p4", 20)], DeskScope::Audit),
        until(20)
    );
    assert!(ends(vec![given("p2", 10), given("p2", 5)], DeskScope::Audit).is_empty());
    assert!(ends(vec![given("p2", 10), given("p3", 5)], DeskScope::Operate).is_empty());
}

#[test]
fn lists_come_together_soonest_first_and_nothing_is_named_twice() {
    let ending = |at, what: &str| Ending { at: Timestamp(at), kind: EndingKind::Root, what: what.to_owned() };
    let lists = [vec![ending(5, "b"), ending(1, "z")], vec![ending(5, "a"), ending(1, "z")]];
    assert_eq!(soonest_first(lists), [ending(1, "z"), ending(5, "a"), ending(5, "b")]);
    let mut names: Vec<_> = EndingKind::ALL.iter().map(ToString::to_string).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), EndingKind::ALL.len());
}
