use std::time::Duration;

use careweave_certs::keystore::{Algorithm, SoftwareKey};
use careweave_protocol::id::Digest;
use ring::rand::SystemRandom;
use zeroize::Zeroizing;

use super::super::stored::{REPEATED, Used, Waiting};
use super::*;
use crate::store::seal::KeyEncryptionKey;

const NOW: Timestamp = Timestamp(1_793_628_600_000);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A store of this test's own, removed when it is dropped.
struct Store {
    database: Database,
    dir: std::path::PathBuf,
    officer: SoftwareKey,
}

impl Store {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("careweave-invitations-{name}-{}", std::process::id()));
        let database = Database::open(&dir, &KeyEncryptionKey::new(Zeroizing::new([7; 32]))).unwrap();
        Self { database, dir, officer: SoftwareKey::generate(Algorithm::P256, &SystemRandom::new()).unwrap() }
    }

    fn invitation(&self, ods: &str, code: &[u8], expires: Timestamp) -> (Invitation, Signed<Invitation>) {
        let invitation = Invitation { ods: ods.parse().unwrap(), code: Digest::of(&[code]), expires };
        let network = "test".parse().unwrap();
        let signed = Signed::sign(&invitation, Scope::network(&network), &self.officer).unwrap().into_signed();
        (invitation, signed)
    }

    fn place(&self, ods: &str, code: &[u8], expires: Timestamp, now: Timestamp) -> Result<bool, NotTaken> {
        let (invitation, signed) = self.invitation(ods, code, expires);
        let row = place(&self.database, invitation, signed, now)?;
        let placed = row.is_some();
        self.write(row);
        Ok(placed)
    }

    fn write(&self, rows: impl IntoIterator<Item = Put>) {
        let mut batch = WriteBatch::default();
        for (family, key, value) in rows {
            self.database.put(&mut batch, family, &key, &value).unwrap();
        }
        self.database.write_synced(batch).unwrap();
    }

    fn read(&self, ods: &str) -> Option<Stored> {
        Stored::read(&self.database, &ods.parse().unwrap()).unwrap()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

#[test]
fn a_later_invitation_takes_an_earlier_one_s_place_and_an_earlier_one_does_not_come_back() {
    let store = Store::new("later");
    assert!(store.place("VL901", b"one", NOW.after(DAY), NOW).unwrap());
    assert!(!store.place("VL901", b"one", NOW.after(DAY), NOW).unwrap(), "the same again is known");
    let mut held = store.read("VL901").unwrap();
    held.waiting = Some(Waiting { request: ByteBuf::from(vec![1]), key: Digest::of(&[b"key"]) });
    store.write([held.put(&store.database).unwrap()]);

    assert!(store.place("VL901", b"two", NOW.after(2 * DAY), NOW).unwrap());
    let held = store.read("VL901").unwrap();
    assert_eq!((held.invitation.code, held.waiting), (Digest::of(&[b"two"]), None), "what was filed under it is gone");
    assert!(matches!(store.place("VL901", b"one", NOW.after(DAY), NOW), Err(NotTaken::Later(_))));
    assert!(store.read("R9A").is_none());
}

#[test]
fn a_used_code_is_good_for_one_more_hour_and_its_paper_never_invites_again() {
    let store = Store::new("used");
    let expires = NOW.after(DAY);
    store.place("VL901", b"one", expires, NOW).unwrap();
    let mut held = store.read("VL901").unwrap();
    assert!(held.counts(NOW) && !held.counts(expires) && held.is_over(expires));
    held.used = Some(Used { at: NOW, request: Digest::of(&[b"request"]), leaf: ByteBuf::from(vec![1]) });
    assert!(held.counts(NOW.after(REPEATED)));
    assert!(!held.counts(NOW.after(REPEATED + Duration::from_millis(1))));
    assert!(held.waits(NOW).is_none());
    assert!(!held.is_over(NOW.after(2 * REPEATED)), "remembered as long as its paper could be carried here again");
    store.write([held.put(&store.database).unwrap()]);
    assert!(!store.place("VL901", b"one", expires, NOW.after(2 * REPEATED)).unwrap());
    assert!(store.read("VL901").unwrap().used.is_some());
}

#[test]
fn there_is_room_for_so_many_invitations_and_those_that_are_over_make_room() {
    let store = Store::new("room");
    let (invitation, signed) = store.invitation("A1", b"one", NOW.after(DAY));
    let numbered = |n: usize| {
        let invitation = Invitation { ods: format!("A{n}").parse().unwrap(), ..invitation.clone() };
        Stored::new(invitation, signed.clone()).put(&store.database).unwrap()
    };
    store.write((0..INVITATIONS_MAX).map(numbered));
    assert!(matches!(store.place("VL901", b"one", NOW.after(DAY), NOW), Err(NotTaken::TooMany)));
    assert!(store.place("A7", b"two", NOW.after(2 * DAY), NOW).unwrap(), "in the place of its own earlier one");
    assert!(store.place("VL901", b"one", NOW.after(3 * DAY), NOW.after(DAY)).unwrap());
    assert!(store.read("A1").is_none() && store.read("A7").is_some());
}

#[test]
fn of_several_attestations_the_newest_word_on_each_standard_stays() {
    use careweave_certs::attest;
    use careweave_protocol::identity::{Standard, StandardStatus};
    use careweave_protocol::time::Date;

    let registrar = SoftwareKey::generate(Algorithm::P256, &SystemRandom::new()).unwrap();
    let (network, ods) = ("test".parse().unwrap(), "R9A".parse().unwrap());
    let said = |status: StandardStatus, at: Timestamp| {
        let last = Date::new(2027, 6, 30).unwrap();
        attest::issue(&network, &ods, (Standard::Dspt, Some(status)), last, &registrar, at).unwrap()
    };
    let agreed = attest::issue(
        &network,
        &ods,
        (Standard::SharingAgreement, None),
        Date::new(2027, 6, 30).unwrap(),
        &registrar,
        NOW,
    );
    let (met, below) = (said(StandardStatus::Met, NOW), said(StandardStatus::NotMet, NOW.after(DAY)));
    for order in [vec![met.clone(), below.clone()], vec![below.clone(), met]] {
        let kept = newest(order.into_iter().chain([agreed.as_ref().unwrap().clone()]));
        assert_eq!(kept.len(), 2);
        assert!(kept.contains(&below), "taken back, though the earlier word says more");
    }
}
