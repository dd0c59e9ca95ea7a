//! What strangers and members may cost: guesses at codes, and entries in a log that is kept for ever.
//!
//! Wrong codes are counted and told, and never shut out the right one. A code has 160 bits, so guessing finds none; but the organisation a hello
//! speaks of is public, and whoever could close the door by being wrong would keep any newcomer out.

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
    /// Counts a wrong one; `true` for the one of each hour that somebody is told of.
    pub(super) fn wrong(&mut self, ods: &OdsCode, now: Timestamp) -> bool {
        self.wrong.retain(|_, (_, since)| now.since(*since) < HOUR);
        let (count, _) = self.wrong.entry(ods.clone()).or_insert((0, now));
        *count = count.saturating_add(1);
        *count == GUESSES
    }
}

/// Refusals that were logged in this hour, of all strangers together or of one member: nobody must be able to fill a log that is kept for ever.
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

/// Refused renewals of each member; a session is of a member, so there are at most as many as members since the node started.
#[derive(Debug, Default)]
pub(super) struct MemberRefusals {
    members: HashMap<OdsCode, Refusals>,
}

impl MemberRefusals {
    pub(super) fn take(&mut self, ods: &OdsCode, now: Timestamp) -> Room {
        self.members.entry(ods.clone()).or_default().take(now)
    }
}

/// Wrong codes for one organisation in [`HOUR`] of which somebody is told: people mistype a few times.
const GUESSES: u32 = 10;
/// Refusals logged in [`HOUR`]: a few for each of many newcomers, and about 300 MiB of log if somebody never stopped for a year.
pub(super) const REFUSALS_LOGGED: u32 = 64;
/// How long wrong codes and refusals are counted.
const HOUR: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_793_628_600_000);

    #[test]
    fn ten_wrong_codes_are_told_once_an_hour_for_each_organisation() {
        let (ods, other): (OdsCode, OdsCode) = ("VL901".parse().unwrap(), "R9A".parse().unwrap());
        let mut guesses = Guesses::default();
        for n in 1..=3 * GUESSES {
            assert_eq!(guesses.wrong(&ods, NOW), n == GUESSES, "one alert, at the limit");
        }
        assert!((1..GUESSES).all(|_| !guesses.wrong(&other, NOW)), "each is counted alone");
        assert!(guesses.wrong(&other, NOW));
        assert!((1..GUESSES).all(|_| !guesses.wrong(&ods, NOW.after(HOUR))), "a new hour counts anew");
        assert!(guesses.wrong(&ods, NOW.after(HOUR)));
    }

    #[test]
    fn one_member_s_refusals_fill_a_bounded_part_of_the_log_and_leave_another_s_alone() {
        let (ods, other): (OdsCode, OdsCode) = ("R9C".parse().unwrap(), "R9A".parse().unwrap());
        let mut refusals = MemberRefusals::default();
        let taken: Vec<Room> = (0..3 * REFUSALS_LOGGED).map(|_| refusals.take(&ods, NOW)).collect();
        assert_eq!(taken.iter().filter(|room| **room != Room::None).count(), 64);
        assert_eq!(taken.iter().filter(|room| **room == Room::Last).count(), 1);
        assert_eq!(refusals.take(&other, NOW), Room::Left);
        assert_eq!(refusals.take(&ods, NOW.after(HOUR)), Room::Left);
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
