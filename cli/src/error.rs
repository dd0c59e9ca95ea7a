//! What a command ends with when it does not succeed: an exit code, one line saying what failed, one saying what to do.

use std::fmt;

use careweave_protocol::query::Cause;
use clap::error::{ContextKind, ContextValue, ErrorKind};

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
        let (exit, code) =
            if cause.is_eligibility() { (exit::NOT_ELIGIBLE, "not-eligible") } else { (exit::REFUSED, "refused") };
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

impl From<&clap::Error> for CliError {
    /// The first line of what clap says, without its usage text, which `--help` gives in full.
    fn from(error: &clap::Error) -> Self {
        // Clap would repeat the value, and that may be an NHS number.
        if let (ErrorKind::ValueValidation, Some(ContextValue::String(argument)), Some(reason)) =
            (error.kind(), error.get(ContextKind::InvalidArg), std::error::Error::source(error))
        {
            let argument = argument.trim_matches(['[', ']']);
            return Self::usage(format!("{argument}: {reason}")).hint(USAGE_HINT);
        }
        let text = error.render().to_string();
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let first = lines.next().unwrap_or("the command line makes no sense");
        let mut message = first.strip_prefix("error: ").unwrap_or(first).to_owned();
        // "the following arguments were not provided:" goes on in the lines below it.
        if message.ends_with(':') {
            let rest: Vec<&str> = lines.clone().take_while(|line| !line.starts_with("Usage:")).collect();
            message = format!("{message} {}", rest.join(", "));
        }
        let hint = lines.find_map(|line| match line.strip_prefix("[possible values: ") {
            Some(values) => Some(format!("it is one of: {}", values.trim_end_matches(']'))),
            // What begins with two hyphens was meant as a flag, so how to pass it as a value is no help.
            None => line.strip_prefix("tip: ").filter(|tip| !tip.starts_with("to pass ")).map(str::to_owned),
        });
        Self::usage(message).hint(hint.unwrap_or_else(|| USAGE_HINT.to_owned()))
    }
}

const USAGE_HINT: &str = "`careweave --help`, or `--help` after the command, shows what there is";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::Parser;

    fn refused(arguments: &[&str]) -> CliError {
        CliError::from(&Cli::try_parse_from(arguments).unwrap_err())
    }

    #[test]
    fn what_clap_refuses_becomes_one_line_and_a_hint() {
        for arguments in [
            &["careweave", "import"][..],
            &["careweave", "view", "--nonsense"],
            &["careweave", "veiw"],
            &["careweave", "view", "9990010014"],
            &["careweave", "view", "--category", "gossip"],
        ] {
            let error = refused(arguments);
            assert_eq!((error.exit, error.code), (exit::USAGE, "usage"), "{arguments:?}");
            assert!(!error.message.contains('\n') && !error.message.is_empty());
            assert!(error.hint.is_some());
        }
        assert!(refused(&["careweave", "import"]).message.contains("FILE"));
        assert!(!refused(&["careweave", "view", "9990010014"]).message.contains("999"));
        assert!(refused(&["careweave", "veiw"]).hint.unwrap().contains("view"));
        assert!(refused(&["careweave", "-o", "xml", "view"]).hint.unwrap().contains("table, json"));
        assert!(!refused(&["careweave", "view", "--nonsense"]).hint.unwrap().contains("-- --"));
        assert!(refused(&["careweave", "view", "9990010014"]).message.starts_with("NHS:"));
    }

    #[test]
    fn eligibility_decides_between_the_two_kinds_of_refusal() {
        for (cause, code) in [
            (Cause::Suspended, exit::NOT_ELIGIBLE),
            (Cause::CredentialExpired, exit::NOT_ELIGIBLE),
            (Cause::QuotaExceeded, exit::REFUSED),
            (Cause::PurposeNotGranted(careweave_protocol::query::Purpose::Hresch), exit::REFUSED),
        ] {
            assert_eq!(CliError::refused(&cause, "refused").exit, code, "{cause}");
        }
    }
}
