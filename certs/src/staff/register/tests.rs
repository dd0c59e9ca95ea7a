use std::time::Duration;

use careweave_protocol::id::NetworkId;
use careweave_protocol::identity::{Scope as DeskScope, StaffApproval, StaffGroup};
use careweave_protocol::key::Signer;
use careweave_protocol::limits::CREDENTIAL_LIFE;
use careweave_protocol::signed::Scope;
use careweave_protocol::time::Date;

use super::*;
use crate::keystore::tests::key;
use crate::keystore::{Algorithm, SoftwareKey};
use crate::staff::{self, StaffGrant, StaffRequest};

const NOW: Timestamp = Timestamp(1_793_628_600_000);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn network() -> NetworkId {
    "test".parse().unwrap()
}

fn grant() -> StaffGrant {
    StaffGrant {
        group: StaffGroup::Hos,
        sds_role: "R0050".to_owned(),
        registration: Some("GMC 0000000".to_owned()),
        training_expires: Date::new(2026, 12, 31).unwrap(),
        scopes: Vec::new(),
        break_glass: true,
        approvals: Vec::new(),
        life: CREDENTIAL_LIFE,
    }
}

/// A person with a key of their own, as the organisation enters them.
struct Office {
    key: SoftwareKey,
    register: Register,
}

impl Office {
    fn new() -> Self {
        Self { key: key(Algorithm::P256), register: Register::default() }
    }

    fn hire(&mut self, person: &str, own: &SoftwareKey, now: Timestamp) -> Verified<StaffCredential> {
        let step_up = key(Algorithm::Ed25519);
        let request =
            StaffRequest::create(person.parse().unwrap(), "Somebody of the trust", own, Some(&step_up)).unwrap();
        let request = StaffRequest::verify(&request).unwrap();
        let issued = staff::issue(&network(), &"R9A".parse().unwrap(), &request, &grant(), &self.key, now).unwrap();
        self.register.enter(&issued, &self.key.public_key(), now);
        issued
    }
}

#[test]
fn a_renewal_keeps_every_claim_but_the_times_and_never_shortens_training() {
    let mut office = Office::new();
    let held = office.hire("hos", &key(Algorithm::Ed25519), NOW);
    let later = NOW.after(20 * DAY);
    let renew =
        |training| staff::renew(&network(), &held, training, &office.key, (later, 60 * DAY)).unwrap().into_inner();
    let same = renew(None);
    assert_eq!(same.not_after, later.after(CREDENTIAL_LIFE), "never over the limit");
    assert!(same.not_before > held.get().not_before);
    let times = StaffCredential { not_before: held.get().not_before, not_after: held.get().not_after, ..same };
    assert_eq!(times, *held.get());
    assert_eq!(renew(Date::new(2027, 12, 31)).training_expires, Date::new(2027, 12, 31).unwrap());
    assert_eq!(renew(Date::new(2020, 1, 1)).training_expires, held.get().training_expires);
}

#[test]
fn of_each_person_the_newest_credential_of_the_newest_key_that_is_not_revoked_is_renewed() {
    let mut office = Office::new();
    let [old, new, lost] = [(); 3].map(|()| key(Algorithm::Ed25519));
    office.hire("gone", &key(Algorithm::Ed25519), NOW.before(40 * DAY));
    office.hire("moved", &old, NOW);
    let moved = office.hire("moved", &new, NOW.after(DAY));
    let kept = office.hire("robbed", &old, NOW);
    office.hire("robbed", &lost, NOW.after(DAY));
    let stolen = office.hire("robbed", &lost, NOW.after(2 * DAY));
    let leaver = office.hire("leaver", &lost, NOW);

    let revoked = [stolen.statement_digest(), leaver.statement_digest()];
    let chosen = office.register.renewable(|digest| revoked.contains(digest), NOW.after(3 * DAY));
    let chosen: Vec<_> = chosen.iter().map(|(person, c)| (person.as_str(), c.map(|c| c.digest))).collect();
    assert_eq!(
        chosen,
        [
            ("leaver", None),
            ("moved", Some(moved.statement_digest())),
            // The key of the stolen machine has an earlier credential; that is not renewed either.
            ("robbed", Some(kept.statement_digest())),
        ]
    );
}

#[test]
fn what_a_later_credential_of_the_same_key_replaces_is_known() {
    let mut office = Office::new();
    let own = key(Algorithm::Ed25519);
    office.hire("gp", &own, NOW);
    office.hire("gp", &own, NOW.after(DAY));
    office.hire("gp", &key(Algorithm::Ed25519), NOW.after(DAY));
    let replaced = office.register.replaced();
    let replaced: Vec<bool> = office.register.issued.iter().map(|c| replaced.contains(&c.digest)).collect();
    assert_eq!(replaced, [true, false, false]);
}

#[test]
fn twenty_thousand_staff_renewed_every_week_fit_and_the_register_reads_back() {
    let mut office = Office::new();
    office.hire(&"p".repeat(24), &key(Algorithm::Ed25519), NOW);
    let bytes = office.register.to_bytes().unwrap();
    assert!(bytes.len() * 20_000 * 5 <= REGISTER_MAX, "{} bytes each", bytes.len());
    assert_eq!(Register::from_bytes(&bytes).unwrap(), office.register);
    let first = office.register.issued.first().unwrap();
    assert_eq!(first.signed_by, office.key.public_key().spki_hash());
    assert_eq!(first.claims().unwrap().sds_role, "R0050");
}

#[test]
fn a_renewed_credential_s_file_name_does_not_say_whose_it_is() {
    let [one, other]: [PersonId; 2] = ["gp1", "gp2"].map(|id| id.parse().unwrap());
    assert_ne!(renewed_name(&one), renewed_name(&other));
    assert!(!renewed_name(&one).contains("gp1") && renewed_name(&one).ends_with(".cbor"));
}

#[test]
fn a_word_counts_while_its_giver_works_here_under_the_same_key_and_nobody_was_revoked_since() {
    let mut office = Office::new();
    let own = key(Algorithm::Ed25519);
    let held = office.hire("it", &own, NOW);
    let approval = |credential: &Verified<StaffCredential>, at| {
        let said = StaffApproval {
            ods: "R9A".parse().unwrap(),
            approver: "it".parse().unwrap(),
            person: "auditor".parse().unwrap(),
            key: NodeKey([9; 32]),
            scopes: vec![DeskScope::Audit],
            at,
        };
        let approval = Signed::sign(&said, Scope::network(&network()), &own).unwrap().into_signed();
        Approval { credential: credential.signed().clone(), approval }
    };
    let word = approval(&held, NOW.after(DAY));
    let both = |office: &Office, word: &Approval, now| {
        [Word::Given, Word::Carried].map(|how| office.register.keeps_word(word, how, |_| false, now))
    };
    assert_eq!(both(&office, &word, NOW.after(DAY)), [true, true]);

    // A credential that the organisation's key has signed past the register is nobody's, and so is one for a key that is not theirs.
    let mut elsewhere = Office { key: key(Algorithm::P256), register: Register::default() };
    let invented = elsewhere.hire("it", &key(Algorithm::Ed25519), NOW);
    assert_eq!(both(&office, &approval(&invented, NOW), NOW), [false, false]);
    let unregistered = elsewhere.hire("it", &own, NOW.before(DAY));
    assert_eq!(both(&office, &approval(&unregistered, NOW), NOW), [false, true], "their key, another statement");
    let stopped = |c: &IssuedCredential| c.digest == held.statement_digest();
    for how in [Word::Given, Word::Carried] {
        assert!(!office.register.keeps_word(&word, how, stopped, NOW.after(DAY)), "revoked or suspended");
    }

    // Renewed, the word is carried along; when nothing of theirs runs, it is not.
    let renewed = office.hire("it", &own, NOW.after(20 * DAY));
    assert_eq!(both(&office, &word, NOW.after(40 * DAY)), [false, true]);
    assert_eq!(both(&office, &word, renewed.get().not_after), [false, false]);

    // Whoever was revoked since is asked about again, and so is whoever had said it.
    for person in ["auditor", "it"] {
        let mut register = office.register.clone();
        register.note_revoked(&person.parse().unwrap(), NOW.after(2 * DAY));
        let again = approval(&renewed, NOW.after(21 * DAY));
        assert!(!register.keeps_word(&word, Word::Carried, |_| false, NOW.after(25 * DAY)), "{person}");
        assert!(register.keeps_word(&again, Word::Given, |_| false, NOW.after(25 * DAY)), "{person}");
        register.note_revoked(&"other".parse().unwrap(), NOW.after(368 * DAY));
        assert_eq!(register.revoked.len(), 1, "what no word is left of is forgotten");
        assert_eq!(Register::from_bytes(&register.to_bytes().unwrap()).unwrap(), register);
    }
}
