//! The only real time in the daemon. Everything else is handed an instant.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use careweave_protocol::time::Timestamp;

/// How far behind the highest time it has ever seen a node may wake before it refuses to run.
pub const MAX_BACKWARDS: Duration = Duration::from_secs(5 * 60);

/// Gives the time of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock;

impl Clock {
    /// Now, in UTC. Before 1970 counts as 1970.
    #[must_use]
    pub fn now(self) -> Timestamp {
        timestamp(SystemTime::now())
    }
}

/// A system time as a timestamp.
#[must_use]
pub fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Whether the clock may be believed, given the highest time seen before; the error is how far it is behind.
///
/// # Errors
/// The seconds it is behind, when they are more than [`MAX_BACKWARDS`].
pub fn check_forward(now: Timestamp, highest_seen: Option<Timestamp>) -> Result<(), u64> {
    let behind = highest_seen.map_or(Duration::ZERO, |seen| seen.since(now));
    if behind > MAX_BACKWARDS { Err(behind.as_secs()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_woke_far_behind_is_not_believed() {
        let seen = Timestamp(1_000_000_000);
        assert_eq!(check_forward(seen, None), Ok(()));
        assert_eq!(check_forward(seen.before(MAX_BACKWARDS), Some(seen)), Ok(()));
        assert_eq!(check_forward(seen.before(MAX_BACKWARDS + Duration::from_secs(1)), Some(seen)), Err(301));
    }
}
