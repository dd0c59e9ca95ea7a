//! Prints the story: words, the commands as a person would type them, and what they printed.

use std::io::Write;
use std::path::Path;

use super::DemoError;
use crate::network::Output;

/// Prints the story.
pub(super) struct Teller<'a> {
    shown: String,
    out: &'a mut dyn Write,
}

impl<'a> Teller<'a> {
    /// Prints on `out`; the demonstration's directory is printed as the user gave it.
    pub(super) fn new(shown: &Path, out: &'a mut dyn Write) -> Self {
        Self { shown: shown.display().to_string(), out }
    }

    /// The directory as the user gave it.
    pub(super) fn directory(&self) -> &str {
        &self.shown
    }

    /// A heading.
    pub(super) fn chapter(&mut self, title: &str) -> Result<(), DemoError> {
        Ok(writeln!(self.out, "\n== {title} ==")?)
    }

    /// A line of text.
    pub(super) fn say(&mut self, text: &str) -> Result<(), DemoError> {
        writeln!(self.out, "{text}")?;
        Ok(self.out.flush()?)
    }

    /// A command with the first lines of what it printed, and how it ended.
    pub(super) fn command(
        &mut self,
        profile: &str,
        arguments: &[&str],
        output: &Output,
        lines: usize,
    ) -> Result<(), DemoError> {
        let typed = crate::network::programs::typed("careweave", None, arguments);
        writeln!(self.out, "\n$ CAREWEAVE_PROFILE={}/staff/{profile} {}/bin/{typed}", self.shown, self.shown)?;
        let text: Vec<&str> = output.stdout.lines().chain(output.stderr.lines()).collect();
        for line in text.iter().take(lines) {
            writeln!(self.out, "  {line}")?;
        }
        let more = text.len().saturating_sub(lines);
        if more > 0 {
            writeln!(self.out, "  … {more} more lines")?;
        }
        writeln!(self.out, "  (exit {})", output.status)?;
        Ok(self.out.flush()?)
    }
}
