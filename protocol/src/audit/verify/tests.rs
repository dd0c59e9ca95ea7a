use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_bytes::ByteBuf;

use super::*;
use crate::audit::leaf::NO_PATIENT;
use crate::id::Salt;
use crate::key::{KeyError, PublicKey, Signer};

struct Key(Ed25519KeyPair);

impl Signer for Key {
    fn public_key(&self) -> PublicKey {
        PublicKey::Ed25519(self.0.public_key().as_ref().try_into().unwrap())
    }
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

fn key(seed: u8) -> Key {
    Key(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
}

fn keys() -> Vec<NodeKey> {
    vec![key(1).public_key().node_key().unwrap()]
}

fn origin() -> Origin {
    Origin::new(&"test-net".parse().unwrap(), &"R9A".parse().unwrap())
}

/// SplitMix64: the same numbers in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
    fn at(&mut self, len: usize) -> usize {
        usize::try_from(self.roll(len as u64)).unwrap()
    }
    fn salt(&mut self) -> Salt {
        Salt(std::array::from_fn(|_| u8::try_from(self.roll(256)).unwrap()))
    }
}

#[derive(Clone)]
struct Log {
    entries: Vec<LogEntry>,
    checkpoints: Vec<(u64, String)>,
}

fn entry(index: u64, dice: &mut Dice) -> LogEntry {
    let patient = (dice.roll(3) > 0).then(|| ByteBuf::from(dice.salt().0.to_vec()));
    let patient_digest = patient.as_ref().map_or(NO_PATIENT, |bytes| Digest::of(&[bytes]));
    let shown = if dice.roll(4) == 0 { None } else { patient };
    let details = ByteBuf::from(format!("entry {index} {}", dice.roll(1 << 40)).into_bytes());
    let content = EntryContent::Present { salt: dice.salt(), details, patient: shown, patient_digest };
    let mut entry = LogEntry { index, leaf: None, content };
    entry.leaf = entry.parts().map(|parts| parts.leaf());
    entry
}

fn log(size: u64, dice: &mut Dice) -> Log {
    let mut log = Log { entries: Vec::new(), checkpoints: Vec::new() };
    let mut edge = Frontier::default();
    while edge.size() < size {
        for _ in 0..(1 + dice.roll(28)).min(size - edge.size()) {
            let entry = entry(edge.size(), dice);
            edge.push(&entry.leaf.unwrap(), drop);
            log.entries.push(entry);
        }
        log.checkpoints.push((edge.size(), checkpoint::sign(&origin(), &edge.head(), &key(1)).unwrap()));
    }
    log
}

/// Reads the log in pages, as the cli does, with one checkpoint kept elsewhere.
fn verify(log: &Log, kept: &str) -> LogReport {
    let mut verifier = LogVerifier::new(origin(), keys());
    verifier.checkpoint(kept);
    let mut notes = log.checkpoints.iter().peekable();
    let mut pages = log.entries.chunks(37).peekable();
    while let Some(entries) = pages.next() {
        let end = verifier.position() + entries.len() as u64;
        let last = pages.peek().is_none();
        let mut checkpoints = Vec::new();
        while let Some((_, note)) = notes.next_if(|(size, _)| last || *size <= end) {
            checkpoints.push(note.clone());
        }
        verifier.page(&LogPage { entries: entries.to_vec(), size: log.entries.len() as u64, checkpoints });
    }
    verifier.finish()
}

fn renumber(entries: &mut [LogEntry]) {
    for (index, entry) in entries.iter_mut().enumerate() {
        entry.index = index as u64;
    }
}

fn rehash(entry: &mut LogEntry) {
    entry.leaf = entry.parts().map(|parts| parts.leaf());
}

/// Changes one thing about an entry's content.
fn edit(entry: &mut LogEntry, dice: &mut Dice) {
    let EntryContent::Present { salt, details, patient, patient_digest } = &mut entry.content else { return };
    match dice.roll(3) {
        0 => salt.0[dice.at(32)] ^= 1 << dice.roll(8),
        1 => {
            let at = dice.at(details.len());
            details[at] ^= 1 << dice.roll(8);
        }
        _ => match patient {
            Some(bytes) => {
                let at = dice.at(bytes.len());
                bytes[at] ^= 1 << dice.roll(8);
            }
            None => patient_digest.0[dice.at(32)] ^= 1 << dice.roll(8),
        },
    }
}

fn has(report: &LogReport, kind: FindingKind, at: u64) -> bool {
    report.findings.iter().any(|f| f.kind == kind && (f.first..=f.last).contains(&at))
}

fn has_exactly(report: &LogReport, kind: FindingKind, at: u64) -> bool {
    report.findings.contains(&Finding { first: at, last: at, kind })
}

/// The entries between the checkpoints around `at`: what a change that hides its leaf is narrowed down to.
fn between(checkpoints: &[(u64, String)], at: u64) -> Finding {
    let first = checkpoints.iter().map(|(size, _)| *size).filter(|size| *size <= at).max().unwrap_or(0);
    let last = checkpoints.iter().map(|(size, _)| *size).filter(|size| *size > at).min().unwrap() - 1;
    Finding { first, last, kind: FindingKind::RootMismatch }
}

#[test]
fn a_whole_log_has_no_findings_at_any_size() {
    let mut dice = Dice(1);
    for size in [1, 2, 3, 36, 37, 38, 64, 100, 311] {
        let log = log(size, &mut dice);
        let report = verify(&log, &log.checkpoints.last().unwrap().1);
        assert_eq!(report.findings, [], "{size}");
        assert!(report.is_whole());
        assert_eq!((report.size, report.verified), (size, size));
        assert_eq!(report.latest.map(|head| head.size), Some(size));
    }
    let empty = LogVerifier::new(origin(), keys()).finish();
    assert!(empty.is_whole());
}

#[test]
fn a_thousand_edits_deletions_reorderings_and_truncations_are_found_and_located() {
    let mut dice = Dice(2);
    let logs: Vec<Log> = (0..20).map(|_| log(200 + dice.roll(120), &mut dice)).collect();
    let mut counts = [0u32; 14];
    for round in 0..1_000u64 {
        let whole = &logs[dice.at(logs.len())];
        let kept = whole.checkpoints.last().unwrap().1.clone();
        let size = whole.entries.len();
        let (i, mut j) = (dice.at(size), dice.at(size));
        if i == j {
            j = (i + 1) % size;
        }
        let at = i as u64;
        let mut log = whole.clone();
        let way = usize::try_from(round % 14).unwrap();
        counts[way] += 1;
        let located = match way {
            0 => {
                edit(&mut log.entries[i], &mut dice);
                let report = verify(&log, &kept);
                // The leaf was left alone, so everything but this entry still verifies.
                report.findings.len() == 1
                    && has_exactly(&report, FindingKind::EntryAltered, at)
                    && report.verified == size as u64
            }
            1 => {
                edit(&mut log.entries[i], &mut dice);
                rehash(&mut log.entries[i]);
                verify(&log, &kept).findings.contains(&between(&log.checkpoints, at))
            }
            2 => {
                log.entries[i].leaf.as_mut().unwrap().0[dice.at(32)] ^= 1;
                let report = verify(&log, &kept);
                has_exactly(&report, FindingKind::EntryAltered, at)
                    && report.findings.contains(&between(&log.checkpoints, at))
            }
            3 => {
                log.entries.remove(i);
                let report = verify(&log, &kept);
                if i + 1 == size {
                    has_exactly(&report, FindingKind::Truncated, at)
                } else {
                    has_exactly(&report, FindingKind::EntryMissing, at)
                }
            }
            4 => {
                log.entries[i].content = EntryContent::Missing;
                let report = verify(&log, &kept);
                has_exactly(&report, FindingKind::EntryMissing, at) && report.verified == size as u64
            }
            5 => {
                log.entries[i].content = EntryContent::Unreadable;
                let report = verify(&log, &kept);
                has_exactly(&report, FindingKind::EntryAltered, at) && report.verified == size as u64
            }
            6 => {
                log.entries.remove(i);
                renumber(&mut log.entries);
                let report = verify(&log, &kept);
                let narrow = between(&log.checkpoints, at);
                has(&report, FindingKind::Truncated, size as u64 - 1)
                    && (narrow.last + 1 == size as u64 || report.findings.contains(&narrow))
            }
            7 => {
                let content = log.entries[i].content.clone();
                log.entries[i].content = std::mem::replace(&mut log.entries[j].content, content);
                let report = verify(&log, &kept);
                has(&report, FindingKind::Reordered, at) && has(&report, FindingKind::Reordered, j as u64)
            }
            8 => {
                log.entries.swap(i, j);
                renumber(&mut log.entries);
                verify(&log, &kept).findings.contains(&between(&log.checkpoints, at.min(j as u64)))
            }
            9 => {
                log.entries.swap(i, j);
                let report = verify(&log, &kept);
                has(&report, FindingKind::Reordered, at) || has(&report, FindingKind::Reordered, j as u64)
            }
            10 => {
                log.entries.truncate(i);
                let report = verify(&log, &kept);
                report.findings.contains(&Finding { first: at, last: size as u64 - 1, kind: FindingKind::Truncated })
            }
            11 => {
                // The owner hides the checkpoints as well; the one kept elsewhere still tells.
                log.entries.truncate(i);
                log.checkpoints.retain(|(size, _)| *size <= at);
                has(&verify(&log, &kept), FindingKind::Truncated, at)
            }
            12 => {
                let mut forged = entry(at, &mut dice);
                rehash(&mut forged);
                log.entries.insert(i, forged);
                renumber(&mut log.entries);
                let report = verify(&log, &kept);
                report.findings.contains(&between(&log.checkpoints, at))
                    && report.findings.iter().any(|f| f.last == size as u64)
            }
            _ => {
                // The whole log from `i` on is written again, and signed again by somebody who is not the log.
                edit(&mut log.entries[i], &mut dice);
                rehash(&mut log.entries[i]);
                let mut edge = Frontier::default();
                for (entry, n) in log.entries.iter().zip(1u64..) {
                    edge.push(&entry.leaf.unwrap(), drop);
                    if let Some((_, note)) = log.checkpoints.iter_mut().find(|(size, _)| *size == n && n > at) {
                        *note = checkpoint::sign(&origin(), &edge.head(), &key(2)).unwrap();
                    }
                }
                let report = verify(&log, &kept);
                let last = between(&whole.checkpoints, at).last;
                has(&report, FindingKind::CheckpointSignature, last) && has(&report, FindingKind::RootMismatch, at)
            }
        };
        assert!(located, "way {way}, round {round}, entry {i}: {:?}", verify(&log, &kept));
    }
    assert!(counts.iter().all(|count| *count >= 71));
}

#[test]
fn a_log_signed_again_by_its_own_key_is_a_fork_of_what_was_kept_elsewhere() {
    let mut dice = Dice(3);
    let whole = log(90, &mut dice);
    let kept = &whole.checkpoints.last().unwrap().1;
    let mut forged = whole.clone();
    edit(&mut forged.entries[40], &mut dice);
    rehash(&mut forged.entries[40]);
    let mut edge = Frontier::default();
    for (entry, n) in forged.entries.iter().zip(1u64..) {
        edge.push(&entry.leaf.unwrap(), drop);
        if let Some((_, note)) = forged.checkpoints.iter_mut().find(|(size, _)| *size == n) {
            *note = checkpoint::sign(&origin(), &edge.head(), &key(1)).unwrap();
        }
    }
    assert!(has(&verify(&forged, kept), FindingKind::Forked, 40));
}

#[test]
fn entries_without_checkpoint_leaf_or_in_time_are_told() {
    let mut dice = Dice(4);
    let mut log = log(90, &mut dice);
    let kept = log.checkpoints[0].1.clone();
    let late = log.checkpoints.pop().unwrap().1;
    let covered = log.checkpoints.last().unwrap().0;
    let report = verify(&log, &kept);
    assert_eq!(report.findings, [Finding { first: covered, last: 89, kind: FindingKind::Uncovered }]);
    log.entries[7].leaf = None;
    assert!(has_exactly(&verify(&log, &kept), FindingKind::LeafHashMissing, 7));
    let mut verifier = LogVerifier::new(origin(), keys());
    verifier.page(&LogPage { entries: log.entries.clone(), size: 90, checkpoints: Vec::new() });
    verifier.checkpoint(&kept);
    verifier.checkpoint(&late);
    verifier.checkpoint(&late);
    let report = verifier.finish();
    assert!(has(&report, FindingKind::Unchecked, 0));
    assert_eq!(report.verified, 90);
}
