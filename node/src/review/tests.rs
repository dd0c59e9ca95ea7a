use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use careweave_protocol::audit::EntryKind;
use careweave_protocol::id::NetworkId;
use careweave_protocol::identity::StaffGroup;
use careweave_protocol::key::{KeyError, PublicKey, Signer};
use careweave_protocol::query::{Patient, Period, Purpose};
use careweave_protocol::record::Category;
use careweave_protocol::signed::{Scope, Signed};
use careweave_protocol::time::Date;
use ring::signature::{Ed25519KeyPair, KeyPair};
use zeroize::Zeroizing;

use super::*;
use crate::store::seal::KeyEncryptionKey;

struct Key(Ed25519KeyPair);

impl Signer for Key {
    fn public_key(&self) -> PublicKey {
        PublicKey::Ed25519(self.0.public_key().as_ref().try_into().unwrap())
    }
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

/// A store with a log, in a directory that goes with the test.
struct Store {
    dir: PathBuf,
    database: Database,
    audit: AuditLog,
    reviews: Reviews,
    key: Arc<Key>,
}

impl Store {
    fn new() -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("careweave-review-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        let database = Database::open(&dir, &KeyEncryptionKey::new(Zeroizing::new([1; 32]))).unwrap();
        let key = Arc::new(Key(Ed25519KeyPair::from_seed_unchecked(&[3; 32]).unwrap()));
        let audit = AuditLog::open(database.clone(), &network(), &ods("R9A"), key.clone(), &[]).unwrap();
        Self { dir, database, audit, reviews: Reviews::default(), key }
    }

    async fn open(&self, query: &Query, person: &StaffCredential, grant: Option<&BreakGlassGrant>, at: Timestamp) {
        let opening = Opening { query, credential: person, grant, holder: Some(&person.ods) };
        let mut entry = AuditEntry::new(EntryKind::Alert, at, ods("R9A"), Kind::of(opening).as_str());
        entry.query_id = Some(query.query_id);
        let store = (&self.database, &self.audit);
        self.reviews.open(store, "Europe/London", opening, entry, Vec::new()).await.unwrap();
    }

    async fn close(&self, person: &StaffCredential, id: QueryId, at: Timestamp) -> Closure {
        let closing = ReviewClosing { id, justified: true, note: "sheet seen".to_owned() };
        self.reviews.close((&self.database, &self.audit), person, closing, at).await.unwrap()
    }

    async fn escalate(&self, at: Timestamp) {
        self.reviews.escalate((&self.database, &self.audit), &ods("R9A"), at).await.unwrap();
    }

    fn list(&self, all: bool, at: Timestamp) -> Vec<Review> {
        list(&self.database, all, at).unwrap()
    }

    fn newest(&self) -> AuditEntry {
        self.audit.entry(self.audit.size() - 1, None).unwrap().entry
    }

    fn grant(&self, id: u8, patient: &str, person: &StaffCredential) -> (BreakGlassGrant, Signed<BreakGlassGrant>) {
        let grant = BreakGlassGrant {
            network: network(),
            id: QueryId([id; 16]),
            ods: person.ods.clone(),
            person: person.person.clone(),
            nhs_number: patient.parse().unwrap(),
            categories: vec![Category::Problems],
            reason: "acute-confusion".to_owned(),
            reason_text: Digest([4; 32]),
            issued_at: NOW,
            expires_at: NOW.after(Duration::from_secs(3600)),
        };
        let signed = Signed::sign(&grant, Scope::network(&network()), self.key.as_ref()).unwrap().into_signed();
        (grant, signed)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Monday 2 November 2026, 14:10 in London.
const NOW: Timestamp = Timestamp(1_793_628_600_000);
const ADA: &str = "9990010013";
const BEN: &str = "9990133484";

fn network() -> NetworkId {
    "test-net".parse().unwrap()
}

fn ods(code: &str) -> OdsCode {
    code.parse().unwrap()
}

fn person(code: &str, id: &str) -> StaffCredential {
    StaffCredential {
        ods: ods(code),
        person: id.parse().unwrap(),
        name: format!("{id} of {code}"),
        group: StaffGroup::Rn,
        sds_role: "R0620".to_owned(),
        registration: None,
        training_expires: Date::new(2027, 3, 31).unwrap(),
        scopes: Vec::new(),
        key: careweave_protocol::id::NodeKey(*Digest::of(&[code.as_bytes(), id.as_bytes()]).as_bytes()),
        step_up: None,
        approvals: Vec::new(),
        not_before: NOW,
        not_after: NOW.after(Duration::from_secs(3600)),
    }
}

fn query(id: u8, person: &StaffCredential, grant: Option<&Signed<BreakGlassGrant>>) -> Query {
    Query {
        network: network(),
        query_id: QueryId([id; 16]),
        asker: person.ods.clone(),
        credential: Digest([9; 32]),
        patient: Patient {
            nhs_number: ADA.parse().unwrap(),
            birth_date: Date::new(1938, 3, 14).unwrap(),
            family: "Okafor".to_owned(),
            postcode: None,
            other_numbers: Vec::new(),
        },
        categories: Vec::new(),
        period: Period::default(),
        purpose: if grant.is_some() { Purpose::Btg } else { Purpose::Etreat },
        reason: Some("acute-confusion".to_owned()),
        reason_text: None,
        case_number: None,
        grant: grant.cloned(),
        asked_at: NOW,
        expires_at: NOW.after(Duration::from_secs(60)),
    }
}

#[tokio::test]
async fn queries_under_one_grant_are_one_review_due_in_five_working_days() {
    let store = Store::new();
    let nurse = person("R9M", "rn");
    let (grant, signed) = store.grant(1, ADA, &nurse);
    for id in [10, 11, 11] {
        store.open(&query(id, &nurse, Some(&signed)), &nurse, Some(&grant), NOW).await;
    }
    let found = store.list(false, NOW);
    let [review] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!((review.id, review.kind.as_str(), review.purpose), (grant.id, "break-glass", Purpose::Btg));
    assert_eq!(review.queries, [QueryId([10; 16]), QueryId([11; 16])]);
    assert_eq!((review.due.rfc3339().as_str(), review.overdue), ("2026-11-09T23:59:59.999Z", false));
    assert_eq!(review.categories, [Category::Problems]);
    // The row in the store tells nobody anything.
    let (_, sealed) = store.database.scan(Family::Reviews, &[]).unwrap().next().unwrap().unwrap();
    assert!(!sealed.windows(15).any(|bytes| bytes == b"acute-confusion"));

    // On their word alone: a review of its own, under the query's id.
    let urgent = query(12, &nurse, None);
    store.open(&urgent, &nurse, None, NOW.after(Duration::from_secs(1))).await;
    let kinds: Vec<_> = store.list(false, NOW).into_iter().map(|r| (r.id, r.kind)).collect();
    assert_eq!(kinds, [(grant.id, "break-glass".to_owned()), (urgent.query_id, "self-claimed".to_owned())]);
}

#[tokio::test]
async fn queries_that_come_together_under_one_grant_are_all_in_its_review() {
    let store = Store::new();
    let nurse = person("R9M", "rn");
    let (grant, signed) = store.grant(1, ADA, &nurse);
    let queries: Vec<Query> = (10..26).map(|id| query(id, &nurse, Some(&signed))).collect();
    let opened = queries.iter().map(|query| store.open(query, &nurse, Some(&grant), NOW));
    futures::future::join_all(opened).await;
    let found = store.list(false, NOW);
    let [review] = found.as_slice() else { panic!("{found:#?}") };
    let mut joined = review.queries.clone();
    joined.sort_unstable();
    assert_eq!(joined, queries.iter().map(|query| query.query_id).collect::<Vec<_>>());
}

#[tokio::test]
async fn nobody_hides_behind_a_review_that_bears_the_same_id() {
    let store = Store::new();
    let (nurse, other) = (person("R9M", "rn"), person("R9X", "par"));
    let (grant, signed) = store.grant(1, ADA, &nurse);
    store.open(&query(10, &nurse, Some(&signed)), &nurse, Some(&grant), NOW).await;
    // Another patient under the same id, and another organisation's person.
    let (about_ben, signed_ben) = store.grant(1, BEN, &nurse);
    store.open(&query(11, &nurse, Some(&signed_ben)), &nurse, Some(&about_ben), NOW).await;
    let (theirs, signed_theirs) = store.grant(1, ADA, &other);
    store.open(&query(12, &other, Some(&signed_theirs)), &other, Some(&theirs), NOW).await;
    let open = store.list(false, NOW);
    assert_eq!(open.len(), 3, "{open:#?}");
    assert!(open.iter().all(|review| review.queries.len() == 1));

    // What comes after a review was closed was not looked at by whoever closed it.
    assert_eq!(store.close(&person("R9A", "ig"), grant.id, NOW).await, Closure::Closed);
    store.open(&query(13, &nurse, Some(&signed)), &nurse, Some(&grant), NOW).await;
    let open = store.list(false, NOW);
    assert!(open.iter().any(|review| review.queries == [QueryId([13; 16])] && review.id != grant.id), "{open:#?}");
    // Further queries join the review of their own grant, whoever had the id before.
    store.open(&query(14, &nurse, Some(&signed)), &nurse, Some(&grant), NOW).await;
    store.open(&query(15, &other, Some(&signed_theirs)), &other, Some(&theirs), NOW).await;
    let open = store.list(false, NOW);
    assert_eq!(open.len(), 3, "{open:#?}");
    for pair in [[13, 14], [12, 15]] {
        assert!(open.iter().any(|review| review.queries == pair.map(|id| QueryId([id; 16]))), "{open:#?}");
    }
}

#[tokio::test]
async fn nobody_closes_their_own_review_under_another_identity() {
    let store = Store::new();
    let nurse = StaffCredential { registration: Some("NMC 98I1234E".to_owned()), ..person("R9A", "rn") };
    let (grant, signed) = store.grant(1, ADA, &nurse);
    store.open(&query(10, &nurse, Some(&signed)), &nurse, Some(&grant), NOW).await;

    let elsewhere = person("R9M", "auditor");
    let bearing = |text: &str| StaffCredential { registration: Some(text.to_owned()), ..elsewhere.clone() };
    for same in [
        person("R9A", "RN"),
        StaffCredential { key: nurse.key, ..elsewhere.clone() },
        bearing("NMC 98I1234E"),
        bearing(" nmc 98i1234e\n"),
    ] {
        assert_eq!(store.close(&same, grant.id, NOW).await, Closure::OwnConduct, "{same:?}");
        assert_eq!(store.newest().outcome, "review-close-refused");
    }
    assert_eq!(store.close(&bearing("NMC 98I1234F"), grant.id, NOW).await, Closure::Closed);
    // No registration is nobody's.
    let blank = StaffCredential { registration: Some(" ".to_owned()), ..person("R9A", "hca") };
    let (grant, signed) = store.grant(2, ADA, &blank);
    store.open(&query(20, &blank, Some(&signed)), &blank, Some(&grant), NOW).await;
    assert_eq!(store.close(&bearing(""), grant.id, NOW).await, Closure::Closed);
}

#[tokio::test]
async fn somebody_else_closes_a_review_once_and_the_person_it_is_about_never() {
    let store = Store::new();
    let nurse = person("R9A", "rn");
    let (grant, signed) = store.grant(1, ADA, &nurse);
    store.open(&query(10, &nurse, Some(&signed)), &nurse, Some(&grant), NOW).await;

    assert_eq!(store.close(&nurse, grant.id, NOW).await, Closure::OwnConduct);
    let entry = store.newest();
    assert_eq!((entry.kind, entry.outcome.as_str()), (EntryKind::Admin, "review-close-refused"));
    assert_eq!(entry.cause.as_deref(), Some("OWN_REVIEW"));
    assert!(store.list(false, NOW)[0].closed.is_none());

    // The same id elsewhere is another person.
    assert_eq!(store.close(&person("R9M", "rn"), grant.id, NOW).await, Closure::Closed);
    let entry = store.newest();
    assert_eq!((entry.kind, entry.outcome.as_str()), (EntryKind::Admin, "review-closed"));
    assert_eq!((entry.grant, entry.query_id), (Some(grant.id), Some(QueryId([10; 16]))));
    assert!(entry.detail.unwrap().ends_with("justified: sheet seen"));
    assert_eq!(store.close(&person("R9A", "ig"), grant.id, NOW).await, Closure::Already);
    assert_eq!(store.close(&person("R9A", "ig"), QueryId([99; 16]), NOW).await, Closure::NoSuch);
    assert!(store.list(false, NOW).is_empty());
    let closed = store.list(true, NOW).remove(0).closed.unwrap();
    assert_eq!((closed.outcome.as_str(), closed.by.ods.as_str()), ("justified", "R9M"));
}

#[tokio::test]
async fn a_review_past_its_day_is_overdue_and_alerted_to_once() {
    let store = Store::new();
    let nurse = person("R9M", "rn");
    for id in [1, 2] {
        let (grant, signed) = store.grant(id, ADA, &nurse);
        store.open(&query(id + 10, &nurse, Some(&signed)), &nurse, Some(&grant), NOW).await;
    }
    store.close(&person("R9A", "ig"), QueryId([2; 16]), NOW).await;
    let due = store.list(false, NOW)[0].due;
    let size = store.audit.size();

    store.escalate(due).await;
    assert_eq!(store.audit.size(), size, "not on its last day");
    let late = due.after(LOOK_EVERY);
    assert!(!store.list(false, due)[0].overdue && store.list(false, late)[0].overdue);
    assert_eq!(warning(&store.database, due), None);
    assert_eq!(warning(&store.database, late).as_deref(), Some("REVIEW_OVERDUE 1"));
    for hours in 0..3 {
        store.escalate(late.after(LOOK_EVERY * hours)).await;
    }
    assert_eq!(store.audit.size(), size + 1, "once, and only for the one that is open");
    let entry = store.newest();
    assert_eq!((entry.kind, entry.outcome.as_str()), (EntryKind::Alert, "review-overdue"));
    assert_eq!((entry.grant, entry.actor.unwrap().person.as_str()), (Some(QueryId([1; 16])), "rn"));
    // Late is not too late.
    assert_eq!(store.close(&person("R9A", "ig"), QueryId([1; 16]), late).await, Closure::Closed);
    assert!(store.list(true, late).iter().all(|review| !review.overdue));
    assert_eq!(warning(&store.database, late), None);
}
