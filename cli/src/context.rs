//! What a command is given from outside: the clock, the environment's choices, and who is at the keyboard. Only `main.rs`
//! makes one from the real process.

use std::io::{BufRead, Write};
use std::path::PathBuf;

use careweave_protocol::time::Timestamp;

use crate::args::{Output, OutputForm};
use crate::error::CliError;
use crate::output::Printer;

/// What a command is given from outside.
pub struct Context {
    /// The clock; asked again where a person may have taken their time.
    pub clock: fn() -> Timestamp,
    /// `--profile` or `CAREWEAVE_PROFILE`.
    pub profile: Option<PathBuf>,
    /// The person's home directory, for the default profile.
    pub home: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`, where the agent's socket may live.
    pub runtime: Option<PathBuf>,
    /// What prints.
    pub printer: Printer,
    /// The form of output asked for, as every command prints it.
    pub output: Output,
    /// The form asked for a view.
    pub form: OutputForm,
    /// Whether stdout is a terminal.
    pub terminal: bool,
    /// Whether somebody can be asked: stdin and stderr are terminals.
    pub interactive: bool,
    /// Whether progress may be shown: stderr is a terminal.
    pub progress: bool,
    /// `-v`.
    pub verbose: bool,
}

impl Context {
    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Says something on stderr that is not data.
    pub fn note(&self, text: &str) {
        // Nobody reads a closed stderr; the command goes on.
        drop(writeln!(std::io::stderr(), "{text}"));
    }

    /// Asks on the terminal and gives the line typed, without surrounding blanks.
    ///
    /// # Errors
    /// [`CliError::usage`] saying what is `missing`, with the hint, where nobody can be asked and when input has ended.
    pub fn ask(&self, question: &str, missing: &str, hint: &str) -> Result<String, CliError> {
        let unanswered = || CliError::usage(missing).hint(hint);
        if !self.interactive {
            return Err(unanswered());
        }
        let mut stderr = std::io::stderr();
        // A terminal that cannot show the question cannot be asked; reading then ends the command.
        drop(write!(stderr, "{question}: ").and_then(|()| stderr.flush()));
        let mut line = String::new();
        match std::io::stdin().lock().read_line(&mut line) {
            Ok(read) if read > 0 => Ok(line.trim().to_owned()),
            _ => Err(unanswered()),
        }
    }

    /// Asks until the answer can be read; says what is wrong in between, five times at most.
    ///
    /// # Errors
    /// As [`Context::ask`], and when no answer could be read.
    pub fn ask_for<T>(
        &self,
        question: &str,
        missing: &str,
        hint: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, CliError> {
        let mut wrong = missing.to_owned();
        for _ in 0..QUESTION_TRIES {
            match read(&self.ask(question, missing, hint)?) {
                Ok(answer) => return Ok(answer),
                Err(reason) => {
                    self.note(&reason);
                    wrong = reason;
                }
            }
        }
        Err(CliError::usage(wrong).hint(hint))
    }
}

/// Somebody who mistypes more often is helped better by the hint.
const QUESTION_TRIES: u8 = 5;
