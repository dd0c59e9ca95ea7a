//! What the node runs on: disk, key files, policy, log, deliveries, the staff whose credentials it issued.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::{fs, io};

use careweave_certs::expiry::{self, EndingKind, Urgency};
use careweave_certs::layout;
use careweave_protocol::desk::DoctorLine;
use careweave_protocol::time::Timestamp;
use nix::sys::statvfs::statvfs;

use super::{failing, good, warning};
use crate::metrics;
use crate::services::Services;

/// Every line of this kind.
pub(super) fn lines(services: &Services, now: Timestamp) -> Vec<DoctorLine> {
    let keys = services.config.dir.join(layout::KEYS);
    vec![
        disk(&services.config.data_dir),
        key_files(&keys),
        policy(services),
        log(services),
        outbox(services),
        staff(services, now),
    ]
}

fn disk(dir: &Path) -> DoctorLine {
    match statvfs(dir) {
        Ok(disk) => room(disk.blocks_available() * disk.fragment_size(), disk.blocks() * disk.fragment_size()),
        Err(error) => {
            failing("disk", format!("{}: {error}", dir.display()), "the directory of the store must be there")
        }
    }
}

/// Whether the store still has room to grow: what RocksDB cannot write it cannot compact either.
fn room(free: u64, size: u64) -> DoctorLine {
    let percent = u128::from(free).saturating_mul(100).checked_div(u128::from(size)).unwrap_or(0);
    let said = format!("{} MiB free, {percent} %", free / MIB);
    let hint = "make room before the log cannot be written: a node that cannot log does not answer";
    if free < DISK_LEAST {
        failing("disk", said, hint)
    } else if free < DISK_LOW || percent < DISK_LOW_PERCENT {
        warning("disk", said, hint)
    } else {
        good("disk", said)
    }
}

fn key_files(keys: &Path) -> DoctorLine {
    let hint = "find out who may have read them, then `chmod 600` the files and `chmod 700` the directory";
    match open_to_others(keys) {
        Ok(open) if open.is_empty() => good("key files", "readable by this account alone".to_owned()),
        Ok(open) => failing("key files", format!("others may read {}", open.join(", ")), hint),
        Err(error) => failing("key files", error.to_string(), "the directory keys/ must be there and this account's"),
    }
}

/// What others than the owner may read, of a directory and the files in it.
fn open_to_others(dir: &Path) -> io::Result<Vec<String>> {
    let is_open = |path: &Path| fs::symlink_metadata(path).map(|found| found.permissions().mode() & OTHERS != 0);
    let mut open = Vec::new();
    if is_open(dir)? {
        open.push(dir.display().to_string());
    }
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if is_open(&entry.path())? {
            open.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    open.sort();
    Ok(open)
}

fn policy(services: &Services) -> DoctorLine {
    let (own, named) = (services.policy.digest(), services.trust().manifest().policy);
    match named {
        Some(named) if named != own => failing(
            "policy",
            format!("the manifest names {named}, this program has {own}"),
            "install the version of the program that carries the policy the manifest names",
        ),
        Some(_) => good("policy", format!("{own}, the one that the manifest names")),
        None => good("policy", format!("{own}, built in; the manifest names none")),
    }
}

fn log(services: &Services) -> DoctorLine {
    let (size, open) = {
        let published = services.audit.watch();
        let published = published.borrow();
        (published.head.size, published.open)
    };
    if open {
        good("audit log", format!("{size} entries, takes more"))
    } else {
        let hint = "the node answers nothing until it is started again; see its log, and the disk, first";
        failing("audit log", format!("{size} entries, and takes no more"), hint)
    }
}

fn outbox(services: &Services) -> DoctorLine {
    match crate::delivery::waiting(services) {
        Ok(waiting) if waiting > OUTBOX_MANY => warning(
            "outbox",
            format!("{waiting} deliveries wait for their recipients"),
            "`careweave node peers` shows who is not reached",
        ),
        Ok(waiting) => good("outbox", format!("{waiting} deliveries wait")),
        Err(error) => failing("outbox", error.to_string(), "the node's log says more"),
    }
}

fn staff(services: &Services, now: Timestamp) -> DoctorLine {
    let endings = match metrics::staff_endings(services, &mut metrics::HeldRegister::default(), now) {
        Ok(endings) => endings,
        Err(error) => {
            return failing(
                "staff",
                error.to_string(),
                "restore staff/ from a backup: what is not in it cannot be revoked",
            );
        }
    };
    let people = endings.iter().filter(|ending| ending.kind == EndingKind::Credential).count();
    let due: Vec<_> = endings.iter().filter(|ending| expiry::warning(ending, now) != Urgency::Later).collect();
    match due.first() {
        None => good("staff", format!("{people} people with a credential; none ends within days")),
        Some(first) => warning(
            "staff",
            format!("{} ends are near or past, the first {} on {}", due.len(), first.what, first.at.rfc3339()),
            "`careweave cert status` lists them; `careweave staff renew` renews credentials",
        ),
    }
}

const MIB: u64 = 1024 * 1024;
/// Less than this and the next compaction may fail.
const DISK_LEAST: u64 = 128 * MIB;
/// Below this somebody should look.
const DISK_LOW: u64 = 1024 * MIB;
const DISK_LOW_PERCENT: u128 = 2;
/// Bits of the mode by which group and others read, write or enter.
const OTHERS: u32 = 0o077;
/// Deliveries of a busy hour to a member that is down.
const OUTBOX_MANY: u64 = 1_000;

#[cfg(test)]
mod tests {
    use careweave_protocol::desk::Health;

    use super::*;

    #[test]
    fn a_disk_is_low_by_share_or_by_size() {
        for (free, size, health) in [
            (500 * 1024 * MIB, 1024 * 1024 * MIB, Health::Good),
            (50 * 1024 * MIB, 1024 * 1024 * MIB, Health::Good),
            (20 * 1024 * MIB, 1024 * 1024 * MIB, Health::Warning),
            (900 * MIB, 2048 * MIB, Health::Warning),
            (100 * MIB, 200 * MIB, Health::Failing),
            (0, 0, Health::Failing),
        ] {
            assert_eq!(room(free, size).health, health, "{free} of {size}");
        }
    }

    #[test]
    fn a_key_file_that_others_may_read_is_named() {
        let dir = std::env::temp_dir().join(format!("careweave-doctor-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        for (name, mode) in [("peer.key", 0o600), ("desk.key", 0o640)] {
            fs::write(dir.join(name), "x").unwrap();
            fs::set_permissions(dir.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(open_to_others(&dir).unwrap(), ["desk.key"]);
        fs::set_permissions(dir.join("desk.key"), fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(key_files(&dir).health, Health::Good);
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(key_files(&dir).health, Health::Failing);
    }
}
