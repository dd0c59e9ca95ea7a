//! Files that nobody else may read: made with mode 0600 at open, refused when somebody loosened it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;
use zeroize::Zeroizing;

/// Why a private file was not read or written.
#[derive(Debug, Error)]
pub enum PrivateFileError {
    /// Group or others have a permission on it.
    #[error("{path} can be read by others (mode {mode:04o})")]
    ReadableByOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It holds more than anything of its kind.
    #[error("{path} is longer than {limit} bytes")]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Bytes allowed.
        limit: usize,
    },
    /// The file system said no.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// Reads a private file of at most `limit` bytes.
///
/// # Errors
/// [`PrivateFileError::ReadableByOthers`] when group or others have any permission; the mode is that of the open file, so
/// it cannot be exchanged between the check and the reading.
pub fn read(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, PrivateFileError> {
    let failed = |source| PrivateFileError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(PrivateFileError::ReadableByOthers { path: path.to_owned(), mode });
    }
    let bound = u64::try_from(limit).unwrap_or(u64::MAX);
    // The full capacity at once: a vector that grows leaves copies of the secret behind.
    let capacity = usize::try_from(metadata.len().min(bound)).unwrap_or(limit).saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    file.take(bound.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > limit {
        return Err(PrivateFileError::TooLong { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

/// Makes a new private file and syncs it; an existing file is left alone.
///
/// # Errors
/// When it exists, or cannot be written.
pub fn create(path: &Path, bytes: &[u8]) -> Result<(), PrivateFileError> {
    write_new(path, bytes)
        .and_then(|()| sync_parent(path))
        .map_err(|source| PrivateFileError::Io { path: path.to_owned(), source })
}

/// Replaces a private file, or makes it: readers see the old bytes or the new ones, never a mixture.
///
/// # Errors
/// When it cannot be written; the old file is then untouched.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), PrivateFileError> {
    // A name of its own for each writer: two programs that replace the same file must not rename each other's half of it.
    let number = REPLACEMENTS.fetch_add(1, Ordering::Relaxed);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}-{number}.new", std::process::id()));
    let fresh = path.with_file_name(name);
    let written = write_new(&fresh, bytes).and_then(|()| fs::rename(&fresh, path)).and_then(|()| sync_parent(path));
    if written.is_err() {
        // Whatever is left of it is of no use to anybody; the first error is the one to tell.
        drop(fs::remove_file(&fresh));
    }
    written.map_err(|source| PrivateFileError::Io { path: path.to_owned(), source })
}

/// Makes a directory that only its owner may enter, with its parents.
///
/// # Errors
/// When it cannot be made. An existing directory is no error.
pub fn create_dir(path: &Path) -> Result<(), PrivateFileError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| PrivateFileError::Io { path: path.to_owned(), source })
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

/// Tells replacements by one process apart.
static REPLACEMENTS: AtomicU64 = AtomicU64::new(0);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keystore::tests::Scratch;

    #[test]
    fn a_private_file_is_made_0600_and_refused_once_others_can_read_it() {
        let scratch = Scratch::new();
        let path = scratch.path("secret");
        create(&path, b"seven").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read(&path, 5).unwrap().as_slice(), b"seven");
        assert!(matches!(read(&path, 4), Err(PrivateFileError::TooLong { .. })));
        for mode in [0o640, 0o604, 0o660, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let refused = read(&path, 5);
            assert!(
                matches!(refused, Err(PrivateFileError::ReadableByOthers { mode: m, .. }) if m == mode),
                "{mode:o}"
            );
        }
    }

    #[test]
    fn create_never_overwrites_and_replace_keeps_the_mode() {
        let scratch = Scratch::new();
        let path = scratch.path("secret");
        create(&path, b"one").unwrap();
        assert!(create(&path, b"two").is_err());
        replace(&path, b"three").unwrap();
        assert_eq!(read(&path, 16).unwrap().as_slice(), b"three");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
