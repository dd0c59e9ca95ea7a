//! What this person saw of the own node's log when they last verified it: kept in the profile, so that a log that was written
//! anew and signed again is found out.

use std::path::Path;

use careweave_certs::private_file::{self, PrivateFileError};
use careweave_protocol::cbor;
use careweave_protocol::id::NodeKey;
use serde::{Deserialize, Serialize};

use crate::error::CliError;

/// The newest checkpoint that verified, and every key that has signed for the log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenLog {
    /// Keys of the log, oldest first.
    pub keys: Vec<NodeKey>,
    /// A C2SP signed note.
    pub checkpoint: Option<String>,
}

impl SeenLog {
    /// Adds keys that are new, and forgets the oldest past `KEYS_MAX`.
    pub fn learn(&mut self, keys: Vec<NodeKey>) {
        for key in keys {
            if !self.keys.contains(&key) {
                self.keys.push(key);
            }
        }
        let surplus = self.keys.len().saturating_sub(KEYS_MAX);
        self.keys.drain(..surplus);
    }

    /// Reads it; nothing was seen when there is no file.
    ///
    /// # Errors
    /// When there is a file that cannot be read: ignoring it would let a rewritten log pass.
    pub(super) fn read(path: &Path) -> Result<Self, CliError> {
        let unusable = |reason: String| {
            CliError::failed("profile", format!("{} cannot be used: {reason}", path.display()))
                .hint("it says what you last saw of the log; remove it only if you know why it is damaged")
        };
        match private_file::read(path, SEEN_MAX) {
            Ok(bytes) => cbor::from_slice(&bytes, SEEN_MAX).map_err(|error| unusable(error.to_string())),
            Err(PrivateFileError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Ok(Self::default())
            }
            Err(error) => Err(unusable(error.to_string())),
        }
    }

    /// Writes it whole or not at all.
    ///
    /// # Errors
    /// When the profile cannot be written.
    pub(super) fn write(&self, path: &Path) -> Result<(), CliError> {
        let failed =
            |reason: String| CliError::failed("profile", format!("{} was not written: {reason}", path.display()));
        let bytes = cbor::to_vec(self).map_err(|error| failed(error.to_string()))?;
        private_file::replace(path, &bytes).map_err(|error| failed(error.to_string()))
    }
}

/// Keys remembered: node keys change a few times a year.
const KEYS_MAX: usize = 64;
/// Keys of 34 bytes each and one checkpoint.
const SEEN_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_read_back_and_a_damaged_file_is_not_taken_for_none() {
        let path = std::env::temp_dir().join(format!("careweave-seen-{}.cbor", std::process::id()));
        drop(std::fs::remove_file(&path));
        assert_eq!(SeenLog::read(&path).unwrap(), SeenLog::default());
        let mut seen = SeenLog { keys: Vec::new(), checkpoint: Some("note".into()) };
        seen.learn(vec![NodeKey([1; 32]), NodeKey([1; 32]), NodeKey([2; 32])]);
        assert_eq!(seen.keys.len(), 2);
        seen.write(&path).unwrap();
        assert_eq!(SeenLog::read(&path).unwrap(), seen);
        private_file::replace(&path, b"damaged").unwrap();
        assert_eq!(SeenLog::read(&path).unwrap_err().code, "profile");
        std::fs::remove_file(&path).unwrap();
    }
}
