//! Is this log whole? Recomputes it from what the store holds, believing nothing but the log's signatures.
//!
//! An edit shows at its own entry when the leaf hash kept in the tree still tells; when that was changed as well, it shows as a
//! root that no longer fits, between the last checkpoint that did and the first that does not. Against an owner who signs
//! everything again, give [`LogVerifier::checkpoint`] a checkpoint kept elsewhere: by a witness, or in an answer's receipt.

use std::collections::{BTreeMap, HashMap};

use thiserror::Error;

use crate::audit::checkpoint::{self, CheckpointError, Origin};
use crate::audit::page::{EntryContent, LogEntry, LogPage};
use crate::audit::tree::{self, Frontier, TreeError, TreeHead};
use crate::id::{Digest, NetworkId, NodeKey};
use crate::query::AnswerHeader;

/// Recomputes a log, entry by entry; memory grows with the logarithm of the log, and with what is wrong in it up to a bound.
#[derive(Debug)]
pub struct LogVerifier {
    origin: Origin,
    keys: Vec<NodeKey>,
    /// Position of the next entry.
    next: u64,
    edge: Frontier,
    /// Checkpoints ahead: size and root.
    ahead: BTreeMap<u64, Digest>,
    /// Size under the newest checkpoint whose signature verified.
    newest: u64,
    /// Size under the newest checkpoint whose root came out.
    verified: u64,
    /// The newest root that came out or should have.
    latest: Option<TreeHead>,
    /// Why roots no longer say anything, once they do not, and from which entry on.
    lost: Option<(Lost, u64)>,
    /// Entries that do not hash to the leaf kept for them.
    suspects: Vec<Suspect>,
    findings: Vec<Finding>,
    unlisted: u64,
}

/// Something wrong with a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// First entry it can be in.
    pub first: u64,
    /// Last entry it can be in.
    pub last: u64,
    /// What is wrong.
    pub kind: FindingKind,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// The entry does not hash to its leaf, or does not open.
    EntryAltered,
    /// There is no such entry.
    EntryMissing,
    /// The entry stands where another belongs, or comes twice.
    Reordered,
    /// The leaf hash kept for the entry is gone; the entry itself was used in its stead.
    LeafHashMissing,
    /// The entries up to here do not give the root that was signed: one in this range was changed, added or removed.
    RootMismatch,
    /// A checkpoint covers these entries, and they are not there.
    Truncated,
    /// No checkpoint covers these entries.
    Uncovered,
    /// Two checkpoints of one size have different roots: the log has two faces.
    Forked,
    /// A checkpoint that claims to end with the last of these entries is not signed by the log.
    CheckpointSignature,
    /// The root over these entries could not be checked: leaves before it are gone, or its checkpoint came after them.
    Unchecked,
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogReport {
    /// Entries seen, counting those found missing between others.
    pub size: u64,
    /// The first this many entries are proven to be what was signed.
    pub verified: u64,
    /// The newest checkpoint that was reached.
    pub latest: Option<TreeHead>,
    /// What is wrong, in order of position.
    pub findings: Vec<Finding>,
    /// Further findings that were not listed.
    pub unlisted: u64,
}

/// Why an answer's receipt proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReceiptError {
    /// Its checkpoint is not the holder's.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Its leaf is not under the checkpoint.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// A root did not come out, so no later one will.
    Mismatch,
    /// A leaf is gone, so no later root can be computed.
    Gap,
}

#[derive(Debug)]
struct Suspect {
    index: u64,
    kept: Digest,
    computed: Digest,
}

/// Checks that an answer's receipt commits its holder: the checkpoint is signed by the holder's log, and the DECISION's leaf is
/// under it. Returns what the checkpoint states.
///
/// # Errors
/// [`ReceiptError`]. Whether the header itself is signed is for [`crate::signed`].
pub fn verify_receipt(header: &AnswerHeader, network: &NetworkId, keys: &[NodeKey]) -> Result<TreeHead, ReceiptError> {
    let head = checkpoint::verify(&header.checkpoint, &Origin::new(network, &header.holder), keys)?;
    tree::verify_inclusion(&header.proof, &header.leaf, &head)?;
    Ok(head)
}

impl LogVerifier {
    /// Begins with an empty log of this origin, signed by any of these keys over its life.
    #[must_use]
    pub fn new(origin: Origin, keys: Vec<NodeKey>) -> Self {
        Self {
            origin,
            keys,
            next: 0,
            edge: Frontier::default(),
            ahead: BTreeMap::new(),
            newest: 0,
            verified: 0,
            latest: None,
            lost: None,
            suspects: Vec::new(),
            findings: Vec::new(),
            unlisted: 0,
        }
    }

    /// Takes a checkpoint, from the store or kept elsewhere: before the last entry that it covers.
    pub fn checkpoint(&mut self, note: &str) {
        let Ok(head) = checkpoint::verify(note, &self.origin, &self.keys) else {
            let claimed = checkpoint::claim(note, &self.origin).map_or(self.next, |head| head.size);
            return self.find(claimed.saturating_sub(1), claimed.saturating_sub(1), FindingKind::CheckpointSignature);
        };
        self.newest = self.newest.max(head.size);
        let last = head.size.saturating_sub(1);
        if head.size < self.next || self.ahead.len() >= AHEAD_MAX {
            // The newest one reached can still be compared: witnesses sign those that the log has stored too.
            if self.latest != Some(head) {
                self.find(0, last, FindingKind::Unchecked);
            }
        } else if self.ahead.insert(head.size, head.root).is_some_and(|other| other != head.root) {
            self.find(0, last, FindingKind::Forked);
        } else if head.size == self.next {
            self.compare();
        }
    }

    /// Takes the next entry.
    pub fn entry(&mut self, entry: &LogEntry) {
        if entry.index < self.next {
            return self.find(entry.index, entry.index, FindingKind::Reordered);
        }
        if entry.index > self.next {
            self.gap(self.next, entry.index - 1);
            self.next = entry.index;
        }
        let computed = entry.parts().map(|parts| parts.leaf());
        let leaf = match (entry.leaf, computed) {
            (Some(kept), Some(computed)) => {
                if kept != computed {
                    self.suspect(Suspect { index: entry.index, kept, computed });
                }
                Some(kept)
            }
            (None, Some(computed)) => {
                self.find(entry.index, entry.index, FindingKind::LeafHashMissing);
                Some(computed)
            }
            (kept, None) => {
                let kind = match entry.content {
                    EntryContent::Missing => FindingKind::EntryMissing,
                    _ => FindingKind::EntryAltered,
                };
                self.find(entry.index, entry.index, kind);
                kept
            }
        };
        match leaf {
            Some(leaf) if !self.has_gap() => self.edge.push(&leaf, drop),
            Some(_) => {}
            None => self.lose(Lost::Gap, self.next),
        }
        self.next += 1;
        self.compare();
    }

    /// Takes a page: its checkpoints, then its entries.
    pub fn page(&mut self, page: &LogPage) {
        for note in &page.checkpoints {
            self.checkpoint(note);
        }
        for entry in &page.entries {
            self.entry(entry);
        }
    }

    /// Entries taken so far: where the next page begins.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next
    }

    /// Ends the log.
    #[must_use]
    pub fn finish(mut self) -> LogReport {
        if self.newest > self.next {
            self.find(self.next, self.newest - 1, FindingKind::Truncated);
        }
        if self.next > self.newest {
            self.find(self.newest, self.next - 1, FindingKind::Uncovered);
        }
        if let Some((_, from)) = self.lost
            && from < self.next
        {
            self.find(from, self.next - 1, FindingKind::Unchecked);
        }
        self.name_suspects();
        self.findings.sort_unstable();
        LogReport {
            size: self.next,
            verified: self.verified,
            latest: self.latest,
            findings: merge(self.findings),
            unlisted: self.unlisted,
        }
    }

    /// Compares the root with the checkpoint that ends here, if one does.
    fn compare(&mut self) {
        let Some(root) = self.ahead.remove(&self.next) else { return };
        let signed = TreeHead { size: self.next, root };
        self.latest = Some(signed);
        if self.lost.is_some() {
            return;
        }
        if self.edge.head() == signed {
            self.verified = self.next;
        } else if self.verified == self.next {
            // This root came out before, under another signature.
            self.find(0, self.next.saturating_sub(1), FindingKind::Forked);
        } else {
            self.lose(Lost::Mismatch, self.next);
            self.find(self.verified, self.next.saturating_sub(1), FindingKind::RootMismatch);
        }
    }

    fn gap(&mut self, first: u64, last: u64) {
        self.lose(Lost::Gap, first);
        self.find(first, last, FindingKind::EntryMissing);
        // Their roots cannot come out, and they are not ahead any more.
        self.ahead = self.ahead.split_off(&last.saturating_add(2));
    }

    /// A gap outweighs a mismatch, but what was lost first stays where it was.
    fn lose(&mut self, what: Lost, from: u64) {
        let from = self.lost.map_or(from, |(_, earlier)| earlier);
        self.lost = Some((what, from));
    }

    fn has_gap(&self) -> bool {
        matches!(self.lost, Some((Lost::Gap, _)))
    }

    fn suspect(&mut self, suspect: Suspect) {
        if self.suspects.len() < SUSPECTS_MAX {
            self.suspects.push(suspect);
        } else {
            self.find(suspect.index, suspect.index, FindingKind::EntryAltered);
        }
    }

    /// An entry that hashes to the leaf of another suspect was moved; any other was altered.
    fn name_suspects(&mut self) {
        let suspects = std::mem::take(&mut self.suspects);
        let places: HashMap<Digest, u64> = suspects.iter().map(|s| (s.kept, s.index)).collect();
        for suspect in &suspects {
            let moved = places.get(&suspect.computed).is_some_and(|place| *place != suspect.index);
            let kind = if moved { FindingKind::Reordered } else { FindingKind::EntryAltered };
            self.find(suspect.index, suspect.index, kind);
        }
    }

    fn find(&mut self, first: u64, last: u64, kind: FindingKind) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { first, last, kind });
        } else {
            self.unlisted += 1;
        }
    }
}

impl LogReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Joins findings of one kind about neighbouring entries.
fn merge(findings: Vec<Finding>) -> Vec<Finding> {
    let mut merged: Vec<Finding> = Vec::with_capacity(findings.len());
    for finding in findings {
        match merged.last_mut() {
            Some(last) if last.kind == finding.kind && finding.first <= last.last.saturating_add(1) => {
                last.last = last.last.max(finding.last);
            }
            _ => merged.push(finding),
        }
    }
    merged
}

/// Findings listed: more than anyone reads; what is over is counted.
const FINDINGS_MAX: usize = 65_536;
/// Entries remembered to tell moved from altered ones: 5 MiB.
const SUSPECTS_MAX: usize = 65_536;
/// Checkpoints taken ahead of their entries: those of a page, and those kept elsewhere.
const AHEAD_MAX: usize = 65_536;

#[cfg(test)]
mod tests;
