//! The one place that polls: everything else waits through it, with a deadline.

use std::thread;
use std::time::{Duration, Instant};

use super::NetworkError;

/// Asks again and again until `check` gives something, for at most `deadline`. What `check` saw last is told when it never does.
///
/// # Errors
/// [`NetworkError::Deadline`] when time is up.
pub fn until<T>(
    what: &str,
    deadline: Duration,
    mut check: impl FnMut() -> Result<T, String>,
) -> Result<T, NetworkError> {
    let end = Instant::now() + deadline;
    loop {
        match check() {
            Ok(found) => return Ok(found),
            Err(detail) if Instant::now() >= end => {
                return Err(NetworkError::Deadline { what: what.to_owned(), seconds: deadline.as_secs(), detail });
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// Between two looks: short against what a person notices, long against what a look costs.
const PAUSE: Duration = Duration::from_millis(50);
