//! What a node finds when it looks at itself, and what the members say of it.

use serde::{Deserialize, Serialize};

/// One line of `node doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoctorLine {
    /// What was looked at: `clock`, `certificate`, `manifest`, `member R9A`, `disk`, `policy` …
    pub what: String,
    /// How it is.
    pub health: Health,
    /// In words, with the named cause where there is one.
    pub said: String,
    /// What to do about it, where something is to be done.
    pub hint: Option<String>,
}

/// How something is, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// Nothing to do.
    Good,
    /// Somebody should see to it.
    Warning,
    /// Something does not work, or somebody would refuse us.
    Failing,
}

impl Health {
    /// As shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Warning => "WARN",
            Self::Failing => "FAIL",
        }
    }
}
