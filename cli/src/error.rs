//! What a command ends with when it does not succeed: an exit code, one line saying what failed, one saying what to do.

use std::fmt;

use careweave_protocol::query::Cause;

/// A command that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CliError {
    /// Exit code of the process; see the constants of [`exit`].
    pub exit: u8,
    /// Stable name for programs, such as `not-reachable`.
    pub code: &'static str,
    /// The named cause, such as `TRAINING_LAPSED 2026-11-01`, where one was given.
    pub cause: Option<String>,
    /// What failed: one line, lower case, no full stop.
    pub message: String,
    /// What to do about it: one line.
    pub hint: Option<String>,
}

/// Exit codes. Where several apply: 2, 1, 6, 5, 4, 3, 0 in that order.
pub mod exit {
    /// Done; for a view: every asked source replied.
    pub const DONE: u8 = 0;
    /// A local fault, or the node is not reachable.
    pub const FAILED: u8 = 1;
    /// The command line makes no sense.
    pub const USAGE: u8 = 2;
    /// A source did not reply; or an import with bad entries.
    pub const PARTIAL: u8 = 3;
    /// Refused, or nothing shareable from anyone.
    pub const REFUSED: u8 = 4;
    /// The patient is not safely matched.
    pub const NOT_MATCHED: u8 = 5;
    /// The organisation or person is not eligible.
    pub const NOT_ELIGIBLE: u8 = 6;
}

impl CliError {
    /// Any error.
    #[must_use]
    pub fn new(exit: u8, code: &'static str, message: impl Into<String>) -> Self {
        Self { exit, code, cause: None, message: message.into(), hint: None }
    }

    /// The person has to type something else.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(exit::USAGE, "usage", message)
    }

    /// Something here, or on the way to the node, does not work.
    #[must_use]
    pub fn failed(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(exit::FAILED, code, message)
    }

    /// A refusal for a named cause: eligibility or not decides the exit code.
    #[must_use]
    pub fn refused(cause: &Cause, message: impl Into<String>) -> Self {
        let (exit, code) = if cause.is_eligibility() {
            (exit::NOT_ELIGIBLE, "not-eligible")
        } else {
            (exit::REFUSED, "refused")
        };
        Self { cause: Some(cause.to_string()), ..Self::new(exit, code, message) }
    }

    /// With a line saying what to do.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// With a named cause.
    #[must_use]
    pub fn cause(self, cause: impl fmt::Display) -> Self {
        Self { cause: Some(cause.to_string()), ..self }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CliError {}
