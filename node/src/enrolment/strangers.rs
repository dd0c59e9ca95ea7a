//! What strangers may cost: guesses at codes, and entries in a log that is kept for ever.

use std::collections::HashMap;
use std::time::Duration;

use careweave_protocol::id::OdsCode;
use careweave_protocol::time::Timestamp;

/// Wrong codes for organisations that are invited; for others nothing is counted, so there are at most as many as invitations.
#[derive(Debug, Default)]
pub(super) struct Guesses {
    wrong: HashMap<OdsCode, (u32, Timestamp)>,
}

impl Guesses {
    /// Whether so many were wrong within the hour that even the right one is refused.
    pub(super) fn is_over(&self, ods: &OdsCode, now: Timestamp) -> bool {
        self.wrong.get(ods).is_some_and(|(count, since)| *count >= GUESSES && now.since(*since) < HOUR)
    }

    /// Counts a wrong one; `true` for the one that reaches the limit.
    pub(super) fn wrong(&mut self, ods: &OdsCode, now: Timestamp) -> bool {
        self.wrong.retain(|_, (_, since)| now.since(*since) < HOUR);
        let (count, _) = self.wrong.entry(ods.clone()).or_insert((0, now));
        *count = count.saturating_add(1);
        *count == GUESSES
    }
}

/// Refusals of strangers that were logged in this hour: they must not be able to fill a log that is kept for ever.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    logged: u32,
    since: Option<Timestamp>,
}

/// Whether a refusal goes into the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    Left,
    Last,
    None,
}

impl Refusals {
    pub(super) fn take(&mut self, now: Timestamp) -> Room {
        if self.since.is_none_or(|since| now.since(since) >= HOUR) {
            *self = Self { logged: 0, since: Some(now) };
        }
        self.logged = self.logged.saturating_add(1);
        match self.logged {
            n if n < REFUSALS_LOGGED => Room::Left,
            REFUSALS_LOGGED => Room::Last,
            _ => Room::None,
        }
    }
}

/// Wrong codes for one organisation in [`HOUR`]: people mistype a few times; nobody guesses 160 bits.
const GUESSES: u32 = 10;
/// Refusals of strangers logged in [`HOUR`]: a few for each of many newcomers, and about 300 MiB of log if somebody never stopped for a year.
pub(super) const REFUSALS_LOGGED: u32 = 64;
/// How long wrong codes and refusals are counted.
const HOUR: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_793_628_600_000);

    #[test]
    fn ten_wrong_codes_close_an_organisation_for_the_hour_and_no_other() {
        let (ods, other): (OdsCode, OdsCode) = ("VL901".parse().unwrap(), "R9A".parse().unwrap());
        let mut guesses = Guesses::default();
        for n in 1..=GUESSES {
            assert!(!guesses.is_over(&ods, NOW));
            assert_eq!(guesses.wrong(&ods, NOW), n == GUESSES, "one alert, at the limit");
        }
        assert!(guesses.is_over(&ods, NOW) && !guesses.is_over(&other, NOW));
        assert!(!guesses.wrong(&ods, NOW), "no alert for each further one");
        assert!(guesses.is_over(&ods, NOW.after(HOUR - Duration::from_secs(1))));
        assert!(!guesses.is_over(&ods, NOW.after(HOUR)));
        assert!(!guesses.wrong(&ods, NOW.after(HOUR)));
        assert!(!guesses.is_over(&ods, NOW.after(HOUR)), "a new hour counts anew");
    }

    #[test]
    fn strangers_fill_a_bounded_part_of_the_log_in_an_hour() {
        let mut refusals = Refusals::default();
        let taken: Vec<Room> = (0..2 * REFUSALS_LOGGED).map(|_| refusals.take(NOW)).collect();
        assert_eq!(taken.iter().filter(|room| **room == Room::Left).count(), 63);
        assert_eq!(taken.iter().filter(|room| **room == Room::Last).count(), 1);
        assert_eq!(taken.last(), Some(&Room::None));
        assert_eq!(refusals.take(NOW.after(HOUR)), Room::Left);
    }
}
