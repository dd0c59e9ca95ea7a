//! Free ports on loopback.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use super::NetworkError;

/// Finds `count` ports that nobody listens on and that this program has not handed out before.
///
/// They lie below the range from which the system takes the near end of outgoing connections: otherwise a connection of some
/// node could take the port of another that is being restarted.
///
/// # Errors
/// When there are not enough.
pub(super) fn free(count: usize) -> Result<Vec<u16>, NetworkError> {
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let span = u64::from(LAST - FIRST);
    // Tests in other processes look at the same time, so everybody begins elsewhere.
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| u64::from(passed.subsec_nanos()));
    let start = (u64::from(std::process::id()).wrapping_mul(7919) ^ nanos) % span;
    let mut found = Vec::new();
    for step in 0..span {
        if found.len() == count {
            break;
        }
        let port = FIRST.saturating_add(u16::try_from((start + step) % span).unwrap_or(0));
        if !given.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            given.insert(port);
            found.push(port);
        }
    }
    if found.len() < count {
        return Err(NetworkError::NoSuch("free port".to_owned()));
    }
    Ok(found)
}

/// Ports handed out.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
/// Above the ports of well-known services.
const FIRST: u16 = 15_000;
/// Below the lowest port that Linux gives to outgoing connections by default (`ip_local_port_range`).
const LAST: u16 = 32_000;
