use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc as gate;
use std::time::{Duration, Instant};

use careweave_protocol::audit::sequence::PatientSequence;
use careweave_protocol::audit::{
    AuditEntry, EntryContent, EntryKind, FindingKind, LogReport, LogVerifier, checkpoint, tree,
};
use careweave_protocol::id::{Digest, NhsNumber, Nonce, QueryId};
use careweave_protocol::key::{KeyError, PublicKey};
use careweave_protocol::time::Timestamp;
use ring::signature::{Ed25519KeyPair, KeyPair};
use rocksdb::WriteBatch;
use zeroize::Zeroizing;

use super::stored::index_key;
use super::*;
use crate::store::database::Family;
use crate::store::seal::{KeyEncryptionKey, SealError, SealingKey};

struct Key(Ed25519KeyPair, AtomicBool);

impl Signer for Key {
    fn public_key(&self) -> PublicKey {
        PublicKey::Ed25519(self.0.public_key().as_ref().try_into().unwrap())
    }
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        if self.1.load(Ordering::SeqCst) {
            Ok(self.0.sign(message).as_ref().to_vec())
        } else {
            Err(KeyError::CannotSign)
        }
    }
}

fn key(seed: u8) -> Arc<Key> {
    Arc::new(Key(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap(), AtomicBool::new(true)))
}

fn node_key(seed: u8) -> NodeKey {
    key(seed).public_key().node_key().unwrap()
}

/// A directory that goes with the test.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("careweave-audit-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        Self(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn database(dir: &Path) -> Database {
    Database::open(dir, &KeyEncryptionKey::new(Zeroizing::new([1; 32]))).unwrap()
}

fn network() -> NetworkId {
    "test-net".parse().unwrap()
}

fn ods() -> OdsCode {
    "R9A".parse().unwrap()
}

fn open(db: &Database) -> Result<AuditLog, AuditError> {
    AuditLog::open(db.clone(), &network(), &ods(), key(1), &[])
}

fn open_writing(db: &Database, write: Write) -> AuditLog {
    AuditLog::open_writing(db.clone(), &network(), &ods(), key(1), &[], write).unwrap()
}

fn entry(n: u64) -> AuditEntry {
    let mut entry = AuditEntry::new(EntryKind::Decision, Timestamp(i64::try_from(n).unwrap()), ods(), "answered");
    entry.query_id = Some(query(n));
    entry.root = Some(Digest::of(&[&n.to_be_bytes()]));
    entry
}

fn query(n: u64) -> QueryId {
    QueryId(u128::from(n).to_be_bytes())
}

fn replay(nonce: u64, query_number: u64, keep_until: i64) -> Option<Replay> {
    let nonce = Nonce(u128::from(nonce).to_be_bytes());
    let asker = "RXX".parse().unwrap();
    Some(Replay { nonce, keep_until: Timestamp(keep_until), asker, query_id: query(query_number) })
}

fn about(number: NhsNumber, key: Option<SealingKey>) -> Option<PatientAppend> {
    Some(PatientAppend { number, also: Vec::new(), key, reason_text: Some("seen in clinic".into()) })
}

fn grace() -> NhsNumber {
    "9990133484".parse().unwrap()
}

fn ada() -> NhsNumber {
    "9990010013".parse().unwrap()
}

struct Keyring(Vec<SealingKey>);

impl PatientKeyring for Keyring {
    fn keys(&self, _: &[u8; 16]) -> Result<Vec<SealingKey>, StoreError> {
        Ok(self.0.clone())
    }
}

fn verify(log: &AuditLog, patients: Option<&dyn PatientKeyring>) -> LogReport {
    let mut verifier = LogVerifier::new(log.origin().clone(), vec![node_key(1), node_key(2)]);
    while verifier.position() < log.size() {
        verifier.page(&log.page(verifier.position(), u64::MAX, patients).unwrap());
    }
    verifier.finish()
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not come about");
        tokio::task::yield_now().await;
    }
}

fn change(db: &Database, change: impl FnOnce(&mut WriteBatch)) {
    let mut batch = WriteBatch::default();
    change(&mut batch);
    db.write_synced(batch).unwrap();
}

#[tokio::test]
async fn appends_survive_a_restart_and_every_receipt_verifies() {
    let dir = Dir::new("restart");
    let mut receipts = Vec::new();
    for round in 0..3 {
        let db = database(&dir.0);
        let log = open(&db).unwrap();
        assert_eq!(log.size(), round * 40);
        for n in round * 40..(round + 1) * 40 {
            let receipt = log.append(Append::new(entry(n))).await.unwrap();
            assert_eq!(receipt.index(), n);
            assert_eq!(receipt.root(), entry(n).root);
            let head = checkpoint::verify(receipt.checkpoint(), log.origin(), &[node_key(1)]).unwrap();
            tree::verify_inclusion(receipt.proof(), &receipt.leaf(), &head).unwrap();
            receipts.push((receipt, head));
        }
        for (receipt, head) in &receipts {
            let proof = log.prove(receipt.index(), log.size()).unwrap();
            tree::verify_inclusion(&proof, &receipt.leaf(), &log.head()).unwrap();
            let proof = log.prove_consistency(head.size, log.size()).unwrap();
            tree::verify_consistency(head, &log.head(), &proof).unwrap();
            log.extends(head).unwrap();
            assert_eq!(log.entry(receipt.index(), None).unwrap().entry, entry(receipt.index()));
        }
        assert!(log.prove(0, log.size() + 1).is_err());
        assert!(matches!(log.entry(log.size(), None), Err(AuditError::NoSuchEntry(_))));
        assert_eq!(log.range(5, 3, None).unwrap().len(), 3);
        assert_eq!(log.checkpoints(0, 1_000).unwrap().len(), receipts.len());
        assert_eq!(log.latest_checkpoint().as_deref(), Some(receipts.last().unwrap().0.checkpoint()));
        assert!(verify(&log, None).is_whole());
        log.shutdown().await;
    }
}

#[tokio::test]
async fn a_nonce_or_query_seen_before_is_refused_also_after_a_restart_and_within_one_batch() {
    let dir = Dir::new("replay");
    for round in 0..2 {
        let db = database(&dir.0);
        let log = open(&db).unwrap();
        let append = |replay| log.append(Append { replay, ..Append::new(entry(100)) });
        if round == 0 {
            append(replay(1, 1, 200)).await.unwrap();
        }
        assert!(matches!(append(replay(1, 2, 200)).await, Err(AppendError::Replayed)), "the nonce");
        assert!(matches!(append(replay(2, 1, 200)).await, Err(AppendError::Replayed)), "the query");
        let size = log.size();
        let both =
            tokio::join!(append(replay(10 + round, 10 + round, 200)), append(replay(10 + round, 20 + round, 200)));
        assert!(matches!(both, (Ok(_), Err(AppendError::Replayed))));
        assert_eq!(log.size(), size + 1, "what was refused left nothing");
        let other = Replay { asker: "RYY".parse().unwrap(), ..replay(30 + round, 1, 200).unwrap() };
        if round == 0 {
            append(Some(other)).await.unwrap();
        } else {
            assert!(matches!(append(Some(other)).await, Err(AppendError::Replayed)), "the other organisation's query");
        }
        log.shutdown().await;
    }
}

#[tokio::test]
async fn nonces_are_forgotten_when_they_expire_and_queries_never() {
    let dir = Dir::new("nonces");
    let db = database(&dir.0);
    let log = open(&db).unwrap();
    for n in 0..300 {
        let until = i64::try_from(n).unwrap() + 20;
        log.append(Append { replay: replay(n, n, until), ..Append::new(entry(n)) }).await.unwrap();
    }
    let kept = db.scan(Family::Nonces, b"").unwrap().count();
    assert!(kept < 100, "{kept} nonces kept of 20 that are alive");
    log.append(Append { replay: replay(3, 1_000, 2_000), ..Append::new(entry(1_000)) }).await.unwrap();
    let again = log.append(Append { replay: replay(2_000, 3, 2_000), ..Append::new(entry(1_000)) }).await;
    assert!(matches!(again, Err(AppendError::Replayed)));
    log.shutdown().await;
}

#[tokio::test]
async fn a_log_that_was_cut_put_back_or_altered_is_refused_at_the_start() {
    let dir = Dir::new("rollback");
    let db = database(&dir.0);
    let log = open(&db).unwrap();
    for n in 0..21 {
        log.append(Append::new(entry(n))).await.unwrap();
    }
    let (head, origin) = (log.head(), log.origin().clone());
    log.shutdown().await;
    let get = |family, index| db.get(family, &index_key(index)).unwrap().unwrap();
    let last_hash = tree::stored_count(21) - 1;
    let note = get(Family::Checkpoints, 21);
    let forged = checkpoint::sign(&origin, &TreeHead { size: 21, root: Digest([9; 32]) }, &*key(1)).unwrap();
    let stranger = checkpoint::sign(&origin, &head, &*key(7)).unwrap();
    let cases: [(&str, Family, u64, Option<Vec<u8>>); 8] = [
        ("the newest checkpoint is gone", Family::Checkpoints, 21, None),
        ("an older checkpoint stands in its place", Family::Checkpoints, 21, Some(get(Family::Checkpoints, 20))),
        ("a checkpoint over more", Family::Checkpoints, 22, Some(note)),
        ("the tree is cut", Family::AuditTree, last_hash, None),
        ("the last entry is gone", Family::Audit, 20, None),
        ("a hash of the edge is altered", Family::AuditTree, last_hash, Some(vec![5; 32])),
        ("another root was signed", Family::Checkpoints, 21, Some(forged.into_bytes())),
        ("a stranger signed", Family::Checkpoints, 21, Some(stranger.into_bytes())),
    ];
    for (what, family, index, value) in cases {
        let before = db.get(family, &index_key(index)).unwrap();
        let write = |value: &Option<Vec<u8>>| {
            change(&db, |batch| match value {
                Some(value) => db.put(batch, family, &index_key(index), value).unwrap(),
                None => db.delete(batch, family, &index_key(index)).unwrap(),
            });
        };
        write(&value);
        match open(&db) {
            Err(AuditError::LogRollback { .. }) => assert_ne!(what, "a stranger signed"),
            Err(AuditError::Checkpoint(CheckpointError::UnknownKey)) => assert_eq!(what, "a stranger signed"),
            other => panic!("{what}: {:?}", other.map(|log| log.size())),
        }
        write(&before);
        let log = open(&db).expect(what);
        log.shutdown().await;
    }
    // A copy of the whole store from the day before is whole in itself; what a witness remembers tells.
    let log = open(&db).unwrap();
    log.extends(&head).unwrap();
    let ahead = TreeHead { size: 22, root: head.root };
    assert!(matches!(log.extends(&ahead), Err(AuditError::LogRollback { signed: 22, stored: 21 })));
    assert!(log.extends(&TreeHead { size: 20, root: head.root }).is_err());
    log.shutdown().await;
}

#[tokio::test]
async fn appends_that_wait_share_one_sync_and_one_checkpoint() {
    let dir = Dir::new("group");
    let db = database(&dir.0);
    let (go, gate) = gate::channel::<()>();
    let batches = Arc::new(AtomicUsize::new(0));
    let (to, counted) = (db.clone(), Arc::clone(&batches));
    let log = open_writing(
        &db,
        Box::new(move |batch| {
            counted.fetch_add(1, Ordering::SeqCst);
            gate.recv().unwrap();
            to.write_synced(batch)
        }),
    );
    let first = tokio::spawn({
        let log = log.clone();
        async move { log.append(Append::new(entry(0))).await }
    });
    until("the first batch", || batches.load(Ordering::SeqCst) == 1).await;
    let waiting: Vec<_> = (1..=400)
        .map(|n| {
            let log = log.clone();
            tokio::spawn(async move { log.append(Append::new(entry(n))).await })
        })
        .collect();
    until("the queue", || log.inner.queue.capacity() == QUEUE - 400).await;
    assert_eq!(log.size(), 0, "nothing is shown before it is on disk");
    go.send(()).unwrap();
    go.send(()).unwrap();
    assert_eq!(first.await.unwrap().unwrap().index(), 0);
    for waiting in waiting {
        let receipt = waiting.await.unwrap().unwrap();
        assert_eq!(receipt.proof().size, 401);
        tree::verify_inclusion(receipt.proof(), &receipt.leaf(), &log.head()).unwrap();
    }
    assert_eq!(batches.load(Ordering::SeqCst), 2);
    assert_eq!(log.checkpoints(0, 10).unwrap().len(), 2);
    assert!(verify(&log, None).is_whole());
    drop(go);
    log.shutdown().await;
}

#[tokio::test]
async fn a_failed_write_refuses_everybody_and_closes_the_log() {
    let dir = Dir::new("failed");
    let db = database(&dir.0);
    let (to, mut writes) = (db.clone(), 0);
    let log = open_writing(
        &db,
        Box::new(move |batch| {
            writes += 1;
            if writes == 2 { Err(StoreError::from(SealError::CannotSeal)) } else { to.write_synced(batch) }
        }),
    );
    log.append(Append::new(entry(0))).await.unwrap();
    let results = futures::future::join_all((1..100).map(|n| log.append(Append::new(entry(n))))).await;
    assert!(results.iter().all(|result| matches!(result, Err(AppendError::Unavailable))));
    assert!(matches!(log.append(Append::new(entry(5))).await, Err(AppendError::Unavailable)));
    assert!(!log.watch().borrow().open);
    assert_eq!(log.size(), 1);
    log.shutdown().await;
    let log = open(&db).unwrap();
    assert_eq!(log.size(), 1, "nothing was retried");
    assert!(verify(&log, None).is_whole());
    log.shutdown().await;
}

#[tokio::test]
async fn a_key_that_cannot_sign_refuses_and_may_come_back_or_be_replaced() {
    let dir = Dir::new("signer");
    let db = database(&dir.0);
    let signer = key(1);
    let log = AuditLog::open(db.clone(), &network(), &ods(), signer.clone(), &[]).unwrap();
    signer.1.store(false, Ordering::SeqCst);
    assert!(matches!(log.append(Append::new(entry(0))).await, Err(AppendError::Unavailable)));
    signer.1.store(true, Ordering::SeqCst);
    log.append(Append::new(entry(1))).await.unwrap();
    log.sign_with(vec![key(2)]).await.unwrap();
    let receipt = log.append(Append::new(entry(2))).await.unwrap();
    assert!(checkpoint::verify(receipt.checkpoint(), log.origin(), &[node_key(2)]).is_ok());
    assert_eq!(log.size(), 2);
    assert!(verify(&log, None).is_whole());
    log.shutdown().await;
    assert!(matches!(open(&db), Err(AuditError::Checkpoint(CheckpointError::UnknownKey))));
    let log = AuditLog::open(db.clone(), &network(), &ods(), key(3), &[node_key(2)]).unwrap();
    log.shutdown().await;
}

#[tokio::test]
async fn an_entry_is_found_under_every_number_of_the_person_and_counted_under_one() {
    let dir = Dir::new("numbers");
    let log = open(&database(&dir.0)).unwrap();
    let both = about(ada(), None).map(|part| PatientAppend { also: vec![grace()], ..part });
    for (n, patient) in [both, about(grace(), None), about(ada(), None)].into_iter().enumerate() {
        log.append(Append { patient, ..Append::new(entry(n as u64)) }).await.unwrap();
    }
    assert_eq!((log.by_patient(&ada(), 0).unwrap(), log.count_of_patient(&ada()).unwrap()), (vec![0, 2], 2));
    assert_eq!((log.by_patient(&grace(), 0).unwrap(), log.count_of_patient(&grace()).unwrap()), (vec![0, 1], 1));
    assert_eq!(log.size(), 3);
}

#[tokio::test]
async fn entries_about_a_patient_count_on_and_outlive_the_patients_key() {
    let dir = Dir::new("patient");
    let db = database(&dir.0);
    let log = open(&db).unwrap();
    let own = SealingKey::new(&[6; 32]).unwrap();
    let appends = (0..90u64).map(|n| {
        let patient = match n % 3 {
            0 => about(ada(), Some(own.clone())),
            1 => about(grace(), None),
            _ => None,
        };
        log.append(Append { patient, ..Append::new(entry(n / 2)) })
    });
    for result in futures::future::join_all(appends).await {
        result.unwrap();
    }
    let keyring = Keyring(vec![SealingKey::new(&[5; 32]).unwrap(), own]);
    let positions = log.by_patient(&ada(), 0).unwrap();
    assert_eq!(positions, (0..30).map(|n| n * 3).collect::<Vec<_>>());
    assert_eq!(log.by_patient(&ada(), 60).unwrap().len(), 10);
    let mut sequence = PatientSequence::new();
    for index in &positions {
        let stored = log.entry(*index, Some(&keyring)).unwrap();
        sequence.push(&stored.patient.unwrap(), &stored.raw.leaf.unwrap());
        assert!(log.entry(*index, None).unwrap().patient.is_none());
    }
    assert_eq!(sequence.finish(Some(log.count_of_patient(&ada()).unwrap())), []);
    assert_eq!(log.by_query(&query(4)).unwrap(), [8, 9]);
    assert_eq!(log.by_query(&query(999)).unwrap(), [0u64; 0]);
    assert!(verify(&log, Some(&keyring)).is_whole());
    // The key is gone: the number cannot be read, and the log still verifies to the last entry.
    let erased = Keyring(Vec::new());
    assert!(log.entry(0, Some(&erased)).unwrap().patient.is_none());
    assert_eq!(log.entry(1, Some(&erased)).unwrap().patient.unwrap().nhs_number, grace());
    let report = verify(&log, Some(&erased));
    assert!(report.is_whole());
    assert_eq!(report.verified, 90);
    // Another run counts on where this one ended.
    log.shutdown().await;
    let log = open(&db).unwrap();
    log.append(Append { patient: about(ada(), None), ..Append::new(entry(90)) }).await.unwrap();
    let part = log.entry(90, Some(&erased)).unwrap().patient.unwrap();
    assert_eq!(part.sequence, 31);
    assert_eq!(Some(part.previous), log.entry(87, None).unwrap().raw.leaf);
    log.shutdown().await;
}

#[tokio::test]
async fn what_is_changed_in_the_store_is_found_at_its_entry() {
    let dir = Dir::new("tamper");
    let db = database(&dir.0);
    let log = open(&db).unwrap();
    for n in 0..60 {
        log.append(Append { patient: about(ada(), None), ..Append::new(entry(n)) }).await.unwrap();
    }
    let get = |family, index| db.get(family, &index_key(index)).unwrap().unwrap();
    let mut flipped = get(Family::Audit, 30);
    flipped[40] ^= 1;
    let leaf = tree::leaf_number(30);
    let cases = [
        ("altered", Family::Audit, 30, Some(flipped), FindingKind::EntryAltered),
        ("moved", Family::Audit, 30, Some(get(Family::Audit, 31)), FindingKind::EntryAltered),
        ("removed", Family::Audit, 30, None, FindingKind::EntryMissing),
        ("its leaf altered", Family::AuditTree, leaf, Some(vec![1; 32]), FindingKind::EntryAltered),
        ("its leaf removed", Family::AuditTree, leaf, None, FindingKind::LeafHashMissing),
        ("a checkpoint altered", Family::Checkpoints, 31, Some(b"note".to_vec()), FindingKind::CheckpointSignature),
    ];
    for (what, family, index, value, kind) in cases {
        let before = db.get(family, &index_key(index)).unwrap().unwrap();
        change(&db, |batch| match &value {
            Some(value) => db.put(batch, family, &index_key(index), value).unwrap(),
            None => db.delete(batch, family, &index_key(index)).unwrap(),
        });
        let report = verify(&log, None);
        let found = report.findings.iter().any(|f| f.kind == kind && (f.first, f.last) == (30, 30));
        assert!(found || kind == FindingKind::CheckpointSignature && !report.is_whole(), "{what}: {report:?}");
        if family == Family::Audit {
            assert!(matches!(log.entry(30, None), Err(AuditError::Altered(30))), "{what}");
            assert_eq!(report.verified, 60, "{what}: the tree is whole");
        }
        change(&db, |batch| db.put(batch, family, &index_key(index), &before).unwrap());
    }
    assert!(verify(&log, None).is_whole());
    log.shutdown().await;
}

#[tokio::test]
async fn a_page_fits_its_frame_and_pages_make_the_whole_log() {
    let dir = Dir::new("pages");
    let db = database(&dir.0);
    let log = open(&db).unwrap();
    for n in 0..40 {
        let mut long = entry(n);
        long.detail = Some("x".repeat(9_000));
        log.append(Append::new(long)).await.unwrap();
    }
    let (mut from, mut pages) = (0, 0);
    while from < log.size() {
        let page = log.page(from, 1_000, None).unwrap();
        let bytes = careweave_protocol::cbor::to_vec(&page).unwrap().len();
        assert!(bytes <= careweave_protocol::audit::page::PAGE_BYTES + 8 * 1024, "{bytes}");
        assert_eq!(page.checkpoints.len(), page.entries.len());
        assert!(page.entries.iter().all(|entry| matches!(entry.content, EntryContent::Present { .. })));
        from += page.entries.len() as u64;
        pages += 1;
    }
    // An entry with its checkpoint is about 10 kB here: 13 to a page.
    assert_eq!(pages, 4);
    let mut huge = entry(41);
    huge.detail = Some("x".repeat(append::ENTRY_MAX));
    assert!(matches!(log.append(Append::new(huge)).await, Err(AppendError::Entry(_))));
    assert!(verify(&log, None).is_whole());
    log.shutdown().await;
}

#[tokio::test]
async fn who_hangs_up_is_in_the_log_all_the_same_and_a_shutdown_finishes_what_waits() {
    let dir = Dir::new("shutdown");
    let db = database(&dir.0);
    let (go, gate) = gate::channel::<()>();
    let to = db.clone();
    let log = open_writing(
        &db,
        Box::new(move |batch| {
            gate.recv().unwrap();
            to.write_synced(batch)
        }),
    );
    let gone = tokio::time::timeout(Duration::from_millis(1), log.append(Append::new(entry(0)))).await;
    assert!(gone.is_err());
    let waiting = tokio::spawn({
        let log = log.clone();
        async move { log.append(Append::new(entry(1))).await }
    });
    until("the queue", || log.inner.queue.capacity() < QUEUE).await;
    for _ in 0..3 {
        go.send(()).unwrap();
    }
    log.shutdown().await;
    assert_eq!(waiting.await.unwrap().unwrap().index(), 1);
    assert_eq!(log.size(), 2);
    assert!(matches!(log.append(Append::new(entry(2))).await, Err(AppendError::Unavailable)));
    let blocking = std::thread::spawn(move || log.append_blocking(Append::new(entry(3))));
    assert!(matches!(blocking.join().unwrap(), Err(AppendError::Unavailable)));
    drop(open(&db).unwrap());
}
