//! Which warning of an end is due now and was not given yet: each threshold once, as it is crossed, and once when it is over.
//!
//! Pure: the upkeep round passes in what ends and the time, and logs what comes out. After a restart every threshold that holds is
//! said once more, which is what somebody who starts a node wants to read.

use std::collections::{BTreeMap, BTreeSet};

use careweave_certs::expiry::{self, Ending, EndingKind, Urgency};
use careweave_protocol::time::Timestamp;

/// What has been warned of.
#[derive(Debug, Clone, Default)]
pub struct ExpiryWatch {
    said: BTreeMap<(EndingKind, String), (Timestamp, Urgency)>,
}

/// One warning that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crossed {
    /// What ends.
    pub ending: Ending,
    /// The threshold that was crossed; never [`Urgency::Later`].
    pub urgency: Urgency,
}

/// Ends remembered: those of everything the network has and of a large trust's staff. What is beyond is warned of each time rather
/// than not at all.
const REMEMBERED: usize = 100_000;

impl ExpiryWatch {
    /// The warnings that have become due since the last time. What has another end than before, because it was renewed, begins anew;
    /// what is not named any more is forgotten.
    #[must_use]
    pub fn warn_once(&mut self, endings: &[Ending], now: Timestamp) -> Vec<Crossed> {
        let present: BTreeSet<(EndingKind, &str)> = endings.iter().map(|e| (e.kind, e.what.as_str())).collect();
        self.said.retain(|(kind, what), _| present.contains(&(*kind, what.as_str())));
        let mut crossed = Vec::new();
        for ending in endings {
            let urgency = expiry::warning(ending, now);
            let key = (ending.kind, ending.what.clone());
            let before = self.said.get(&key).filter(|(at, _)| *at == ending.at).map(|(_, urgency)| *urgency);
            // The more urgent is the smaller; a clock that went back says nothing new.
            if urgency != Urgency::Later && before.is_none_or(|before| urgency < before) {
                crossed.push(Crossed { ending: ending.clone(), urgency });
            }
            if self.said.len() < REMEMBERED || self.said.contains_key(&key) {
                let urgency = before.map_or(urgency, |before| before.min(urgency));
                self.said.insert(key, (ending.at, urgency));
            }
        }
        crossed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn ending(kind: EndingKind, day: i64) -> Ending {
        Ending { at: Timestamp(day * DAY), kind, what: kind.to_string() }
    }

    fn urgencies(crossed: &[Crossed]) -> Vec<Urgency> {
        crossed.iter().map(|crossed| crossed.urgency).collect()
    }

    #[test]
    fn each_threshold_is_said_once_on_the_way_to_the_end() {
        let mut watch = ExpiryWatch::default();
        let endings = [ending(EndingKind::Certificate, 90)];
        let mut said = Vec::new();
        // Every six hours from day 0 to day 100.
        for quarter in 0..400 {
            said.extend(urgencies(&watch.warn_once(&endings, Timestamp(quarter * DAY / 4))));
        }
        let within = |days| Urgency::Within(days);
        assert_eq!(said, [within(30), within(14), within(7), within(1), Urgency::Over]);
    }

    #[test]
    fn a_node_that_was_off_says_only_the_threshold_that_holds() {
        let mut watch = ExpiryWatch::default();
        let endings = [ending(EndingKind::Certificate, 90)];
        assert_eq!(urgencies(&watch.warn_once(&endings, Timestamp(85 * DAY))), [Urgency::Within(7)]);
        assert!(watch.warn_once(&endings, Timestamp(85 * DAY)).is_empty());
    }

    #[test]
    fn what_was_renewed_begins_anew_and_what_is_gone_is_forgotten() {
        let mut watch = ExpiryWatch::default();
        let first = [ending(EndingKind::Certificate, 90)];
        assert_eq!(watch.warn_once(&first, Timestamp(89 * DAY)).len(), 1);
        let renewed = [ending(EndingKind::Certificate, 180)];
        assert!(watch.warn_once(&renewed, Timestamp(89 * DAY)).is_empty());
        assert_eq!(urgencies(&watch.warn_once(&renewed, Timestamp(151 * DAY))), [Urgency::Within(30)]);
        assert!(watch.warn_once(&[], Timestamp(151 * DAY)).is_empty());
        assert_eq!(watch.warn_once(&renewed, Timestamp(151 * DAY)).len(), 1);
    }

    #[test]
    fn two_things_are_told_apart_and_a_clock_that_goes_back_says_nothing_again() {
        let mut watch = ExpiryWatch::default();
        let endings = [ending(EndingKind::Certificate, 90), ending(EndingKind::Manifest, 95)];
        assert_eq!(watch.warn_once(&endings, Timestamp(84 * DAY)).len(), 2);
        assert!(watch.warn_once(&endings, Timestamp(70 * DAY)).is_empty());
        assert!(watch.warn_once(&endings, Timestamp(84 * DAY)).is_empty());
        let crossed = watch.warn_once(&endings, Timestamp(89 * DAY));
        assert_eq!(urgencies(&crossed), [Urgency::Within(1), Urgency::Within(7)]);
    }

    #[test]
    fn a_credential_of_thirty_days_is_not_warned_of_from_its_first_hour() {
        let mut watch = ExpiryWatch::default();
        let endings = [ending(EndingKind::Credential, 30)];
        assert!(watch.warn_once(&endings, Timestamp(DAY / 2)).is_empty());
        assert_eq!(urgencies(&watch.warn_once(&endings, Timestamp(23 * DAY))), [Urgency::Within(7)]);
    }
}
