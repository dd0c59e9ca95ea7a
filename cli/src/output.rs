//! The only printer: data to stdout, errors and hints to stderr, as tables for people or JSON for programs.
//!
//! [`mod@plain`] (what may reach a terminal) · [`table`] (columns and wrapping) · [`view`] (the layout of a view) · [`json`] (JSON and
//! the shape of an error). What is *not* here: what a command shows, and progress bars, which belong to their commands.

pub mod fhir;
pub mod html;
pub mod json;
pub mod plain;
pub mod table;
pub mod view;

use std::io::{self, ErrorKind, Write};

use careweave_protocol::desk::View;
use careweave_protocol::desk::view::Identity;
use serde::Serialize;

use crate::args::Output;
use crate::error::{CliError, exit};
use plain::plain;
use table::{Style, grid};

/// Prints what commands find. Everything that is text goes through [`plain()`], so that nothing in a record can move the
/// cursor, change the colour or turn the direction of the reader's terminal.
pub struct Printer {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    output: Output,
    style: Style,
}

impl Printer {
    /// A printer to the process's own stdout and stderr, as wide as the terminal.
    #[must_use]
    pub fn new(output: Output, colour: bool) -> Self {
        let width = comfy_table::Table::new().width().map_or(UNBOUND_WIDTH, |width| width.max(NARROWEST));
        Self::to(Box::new(io::stdout()), Box::new(io::stderr()), output, Style { colour, width })
    }

    /// A printer to any two writers.
    #[must_use]
    pub fn to(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>, output: Output, style: Style) -> Self {
        Self { out, err, output, style }
    }

    /// One line of data.
    ///
    /// # Errors
    /// When stdout cannot be written; a reader that left early is no error.
    pub fn line(&mut self, text: &str) -> Result<(), CliError> {
        self.write(&format!("{}\n", plain(text)))
    }

    /// A document that is data as it is, such as a page of HTML.
    ///
    /// # Errors
    /// As [`Printer::line`].
    pub fn text(&mut self, document: &str) -> Result<(), CliError> {
        self.write(document)
    }

    /// A table; a row may be shorter than the headers.
    ///
    /// # Errors
    /// As [`Printer::line`].
    pub fn table(&mut self, headers: &[&str], rows: &[Vec<String>]) -> Result<(), CliError> {
        let text = grid(headers, rows, self.style);
        self.write(&text)
    }

    /// Any value as JSON, indented, on stdout.
    ///
    /// # Errors
    /// As [`Printer::line`], and when the value has no JSON form.
    pub fn json<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CliError> {
        let text = json::text(value).map_err(|error| CliError::failed("output", format!("no JSON form: {error}")))?;
        self.write(&text)
    }

    /// A view, in the form asked for.
    ///
    /// # Errors
    /// As [`Printer::json`].
    pub fn view(&mut self, view: &View) -> Result<(), CliError> {
        match self.output {
            Output::Json => self.json(view),
            Output::Table => self.write(&view::text(view, self.style)),
        }
    }

    /// An error: JSON on stdout where JSON was asked for, else a line and a hint on stderr.
    pub fn error(&mut self, error: &CliError) {
        // Where neither stream can be written the exit code still tells.
        match self.output {
            Output::Json => drop(self.json(&json::ErrorReport::from(error))),
            Output::Table => {
                let cause = error.cause.as_deref().filter(|cause| !error.message.contains(*cause));
                let cause = cause.map_or_else(String::new, |cause| format!(" ({cause})"));
                let line = |text: &str| plain(text).replace('\n', " ");
                drop(writeln!(self.err, "{}", line(&format!("error: {}{cause}", error.message))));
                if let Some(hint) = &error.hint {
                    drop(writeln!(self.err, "{}", line(&format!("hint: {hint}"))));
                }
            }
        }
    }

    fn write(&mut self, text: &str) -> Result<(), CliError> {
        match self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(CliError::failed("output", format!("output could not be written: {error}")))
            }
            _ => Ok(()),
        }
    }
}

/// What a view ends the program with: 6, 5, 4, 3, 0 in that order, where several apply.
#[must_use]
pub fn exit_code(view: &View) -> u8 {
    let asked = || view.sources.iter().filter(|source| source.asked);
    let gave = |outcome: &str| outcome == "answered" || outcome == "answered-partial";
    let closed = asked().any(|source| matches!(source.outcome.as_str(), "refused" | "nothing-shareable"));
    let anything = asked().any(|source| gave(&source.outcome) && (!source.own || source.records > 0));
    if asked().any(|source| source.ineligible) {
        exit::NOT_ELIGIBLE
    } else if view.patient.identity == Identity::NotSafelyMatched {
        exit::NOT_MATCHED
    } else if closed && !anything {
        exit::REFUSED
    } else if !view.all_replied {
        exit::PARTIAL
    } else {
        exit::DONE
    }
}

/// No terminal narrower than this is laid out for; it scrolls instead.
const NARROWEST: u16 = 80;
/// Width where stdout is no terminal.
const UNBOUND_WIDTH: u16 = 120;

#[cfg(test)]
mod tests;
