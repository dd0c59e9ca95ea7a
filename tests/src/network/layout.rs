//! Where everything of one network lies, under one root.

use std::path::{Path, PathBuf};

/// Paths of one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Everything under this directory.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The officers' directories.
    #[must_use]
    pub fn governance(&self) -> PathBuf {
        self.root.join("governance")
    }

    /// Every node directory.
    #[must_use]
    pub fn nodes(&self) -> PathBuf {
        self.root.join("nodes")
    }

    /// One node's directory.
    #[must_use]
    pub fn node(&self, ods: &str) -> PathBuf {
        self.nodes().join(ods)
    }

    /// Every staff profile.
    #[must_use]
    pub fn profiles(&self) -> PathBuf {
        self.root.join("staff")
    }

    /// One staff profile, such as `Y91001-gp`.
    #[must_use]
    pub fn profile(&self, name: &str) -> PathBuf {
        self.profiles().join(name)
    }

    /// Files to be imported.
    #[must_use]
    pub fn feed(&self) -> PathBuf {
        self.root.join("feed")
    }

    /// The file with the passphrase of every key here; nothing that it protects is worth one of its own.
    #[must_use]
    pub fn passphrase(&self) -> PathBuf {
        self.root.join("passphrase")
    }

    /// The file with the passphrase of every step-up key here: another than the first, as it must be.
    #[must_use]
    pub fn step_up_passphrase(&self) -> PathBuf {
        self.root.join("step-up-passphrase")
    }

    /// What passes from one office to another: requests, enrolments, credentials, manifests.
    #[must_use]
    pub fn post(&self) -> PathBuf {
        self.root.join("post")
    }
}
