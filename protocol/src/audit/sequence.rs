//! Is a patient's part of a log whole? Each entry about a patient carries a number that counts from 1 and the leaf hash of
//! the one before, so an entry left out of the patient's report leaves a hole.

use crate::audit::PatientPart;
use crate::id::Digest;

/// Takes one patient's entries in the order of the log.
#[derive(Debug, Clone)]
pub struct PatientSequence {
    last: u64,
    leaf: Digest,
    findings: Vec<SequenceFinding>,
}

/// What is wrong with the sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SequenceFinding {
    /// The entries with these numbers, both included, were left out.
    LeftOut {
        /// First number.
        first: u64,
        /// Last number.
        last: u64,
    },
    /// The entry with this number does not name the entry before it.
    Unlinked {
        /// The number.
        sequence: u64,
    },
    /// The entry with this number comes again, or after a later one.
    OutOfOrder {
        /// The number.
        sequence: u64,
    },
}

impl PatientSequence {
    /// Before the first entry.
    #[must_use]
    pub fn new() -> Self {
        Self { last: 0, leaf: NONE_BEFORE, findings: Vec::new() }
    }

    /// Takes the next entry: what it says about the patient, and its leaf hash.
    pub fn push(&mut self, part: &PatientPart, leaf: &Digest) {
        if part.sequence <= self.last {
            return self.findings.push(SequenceFinding::OutOfOrder { sequence: part.sequence });
        }
        if part.sequence > self.last + 1 {
            self.findings.push(SequenceFinding::LeftOut { first: self.last + 1, last: part.sequence - 1 });
        } else if part.previous != self.leaf {
            self.findings.push(SequenceFinding::Unlinked { sequence: part.sequence });
        }
        self.last = part.sequence;
        self.leaf = *leaf;
    }

    /// Ends the report. `expected` is the number of the patient's newest entry, when the reader knows it from elsewhere:
    /// entries left out at the end leave no hole of their own.
    #[must_use]
    pub fn finish(mut self, expected: Option<u64>) -> Vec<SequenceFinding> {
        if let Some(expected) = expected.filter(|expected| *expected > self.last) {
            self.findings.push(SequenceFinding::LeftOut { first: self.last + 1, last: expected });
        }
        self.findings
    }
}

impl Default for PatientSequence {
    fn default() -> Self {
        Self::new()
    }
}

/// What the first entry about a patient names as the one before it.
pub const NONE_BEFORE: Digest = Digest([0; 32]);

#[cfg(test)]
mod tests {
    use super::*;

    fn report(count: u64) -> Vec<(PatientPart, Digest)> {
        let mut previous = NONE_BEFORE;
        let entry = |sequence: u64| {
            let number = "9990010013".parse().unwrap();
            let part = PatientPart { nhs_number: number, sequence, previous, reason_text: None };
            previous = Digest::of(&[&sequence.to_be_bytes()]);
            (part, previous)
        };
        (1..=count).map(entry).collect()
    }

    fn check(entries: &[(PatientPart, Digest)], expected: Option<u64>) -> Vec<SequenceFinding> {
        let mut sequence = PatientSequence::new();
        for (part, leaf) in entries {
            sequence.push(part, leaf);
        }
        sequence.finish(expected)
    }

    #[test]
    fn a_whole_report_has_no_findings() {
        assert_eq!(check(&report(40), Some(40)), []);
        assert_eq!(check(&[], None), []);
    }

    #[test]
    fn every_run_left_out_is_named() {
        for first in 1..=40u64 {
            for last in first..=40 {
                let mut entries = report(40);
                entries.retain(|(part, _)| !(first..=last).contains(&part.sequence));
                assert_eq!(check(&entries, Some(40)), [SequenceFinding::LeftOut { first, last }]);
            }
        }
    }

    #[test]
    fn entries_renumbered_over_a_hole_no_longer_link() {
        for gone in 1..40usize {
            let mut entries = report(40);
            entries.remove(gone - 1);
            for (part, _) in &mut entries[gone - 1..] {
                part.sequence -= 1;
            }
            assert_eq!(check(&entries, Some(39)), [SequenceFinding::Unlinked { sequence: gone as u64 }]);
        }
    }

    #[test]
    fn an_entry_shown_twice_or_late_is_named() {
        let mut entries = report(5);
        entries.swap(2, 3);
        assert!(check(&entries, Some(5)).contains(&SequenceFinding::OutOfOrder { sequence: 3 }));
    }
}
