//! Clocks that a test moves: programs run under libfaketime, which takes the offset from a file that the test rewrites while they run.
//!
//! Only what a clock on the wall shows is moved. The monotonic clock, by which the daemon's timers run, stays as it is, as on a machine
//! whose time is set.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{NetworkError, Programs};

/// The clock of each organisation: its node and its people's machines.
#[derive(Debug)]
pub(super) struct MovedClocks {
    folder: PathBuf,
    programs: BTreeMap<&'static str, Programs>,
}

impl MovedClocks {
    /// Clocks that are right, one for each organisation, with their files in this folder.
    ///
    /// # Errors
    /// [`NetworkError::NoFakeTime`] when the library is not installed.
    pub(super) fn new(
        folder: &Path,
        organisations: &[&'static str],
        programs: &Programs,
    ) -> Result<Self, NetworkError> {
        let library = library().ok_or(NetworkError::NoFakeTime)?;
        fs::create_dir_all(folder).map_err(NetworkError::file(folder))?;
        let of_one = |ods: &&'static str| {
            let environment = [
                ("LD_PRELOAD".into(), library.clone().into_os_string()),
                ("FAKETIME_TIMESTAMP_FILE".into(), folder.join(*ods).into_os_string()),
                // Every look at the clock reads the file.
                ("FAKETIME_NO_CACHE".into(), "1".into()),
                ("FAKETIME_DONT_FAKE_MONOTONIC".into(), "1".into()),
                ("NO_FAKE_STAT".into(), "1".into()),
            ];
            (*ods, programs.clone().with_environment(environment))
        };
        let clocks = Self { folder: folder.to_owned(), programs: organisations.iter().map(of_one).collect() };
        organisations.iter().try_for_each(|ods| clocks.set(ods, 0))?;
        Ok(clocks)
    }

    /// The programs as one organisation's machines run them.
    pub(super) fn programs(&self, ods: &str) -> Option<&Programs> {
        self.programs.get(ods)
    }

    /// Sets an organisation's clock to so many seconds ahead of the right time, or behind it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn set(&self, ods: &str, seconds: i64) -> Result<(), NetworkError> {
        // Whole or not at all: a program may look at any instant.
        let fresh = self.folder.join(format!("{ods}.{}", FILES.fetch_add(1, Ordering::Relaxed)));
        fs::write(&fresh, format!("{seconds:+}\n")).map_err(NetworkError::file(&fresh))?;
        fs::rename(&fresh, self.folder.join(ods)).map_err(NetworkError::file(&fresh))
    }
}

/// The form of the library for programs with threads, where Debian's package puts it.
fn library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.filter_map(Result::ok).map(|entry| entry.path());
    folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|path| path.is_file())
}

/// Files are told apart by number.
static FILES: AtomicU32 = AtomicU32::new(0);
