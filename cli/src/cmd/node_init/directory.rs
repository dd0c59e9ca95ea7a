//! A node directory as the offline commands use it: who it is for, and the organisation's key.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use careweave_certs::keystore::SoftwareKey;
use careweave_certs::layout;
use careweave_certs::trust::{TRUST_MAX, Trust};
use careweave_protocol::id::{NetworkId, OdsCode};
use careweave_protocol::time::Timestamp;
use serde::Deserialize;

use crate::error::CliError;
use crate::profile::read_file;

/// A node directory.
#[derive(Debug, Clone)]
pub struct NodeDirectory {
    path: PathBuf,
    /// The organisation.
    pub ods: OdsCode,
    /// The network.
    pub network: NetworkId,
}

/// What is wanted of `node.toml` here; all of it is the daemon's to check.
#[derive(Deserialize)]
struct Named {
    ods: OdsCode,
    network: NetworkId,
}

impl NodeDirectory {
    /// Opens a node directory.
    ///
    /// # Errors
    /// When there is no node configuration in it.
    pub fn open(path: &Path) -> Result<Self, CliError> {
        let config = path.join(layout::NODE_CONFIG);
        let hint = "name a directory that `careweave node init` made";
        let text = fs::read_to_string(&config)
            .map_err(|error| CliError::failed("node", format!("{}: {error}", config.display())).hint(hint))?;
        let named: Named = toml::from_str(&text).map_err(|error| {
            let reason = error.message().to_owned();
            CliError::failed("node", format!("{} is not a node configuration: {reason}", config.display())).hint(hint)
        })?;
        Ok(Self { path: path.to_owned(), ods: named.ods, network: named.network })
    }

    /// A path in it, by its name in [`layout`].
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The organisation's key.
    ///
    /// # Errors
    /// When it is missing or others can read it.
    pub fn organisation_key(&self) -> Result<SoftwareKey, CliError> {
        Ok(SoftwareKey::read_plain(&self.file(layout::ORGANISATION_KEY))?)
    }

    /// What the node believes; `None` until an enrolment was installed.
    ///
    /// # Errors
    /// When it does not verify.
    pub fn trust(&self, now: Timestamp) -> Result<Option<Trust>, CliError> {
        let path = self.file(layout::MANIFEST);
        if !path.exists() {
            return Ok(None);
        }
        Ok(Some(Trust::from_bytes(&read_file(&path, TRUST_MAX)?, now)?))
    }

    /// Holds others off the register of credentials until it is dropped.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn lock_register(&self) -> Result<File, CliError> {
        let path = self.file(REGISTER_LOCK);
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(&path).and_then(|file| {
            file.lock()?;
            Ok(file)
        });
        lock.map_err(|error| CliError::failed("file", format!("{}: {error}", path.display())))
    }
}

/// Two commands must not write the register at once: one entry would be lost, and with it the way to revoke it.
const REGISTER_LOCK: &str = "staff/issued.lock";
