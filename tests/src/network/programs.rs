//! The programs under test, run as a user runs them, and what came of it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::NetworkError;

/// Where `careweave` and `careweaved` are, and the home they run in.
#[derive(Debug, Clone)]
pub struct Programs {
    careweave: PathBuf,
    careweaved: PathBuf,
    home: PathBuf,
    environment: Vec<(OsString, OsString)>,
}

/// What came of one command.
#[derive(Debug, Clone)]
pub struct Output {
    /// As a person would type it.
    pub command: String,
    /// Exit code; -1 when a signal ended it.
    pub status: i32,
    /// The data.
    pub stdout: String,
    /// Everything else.
    pub stderr: String,
}

impl Programs {
    /// Finds the programs where cargo puts them: beside this program, or one folder up where this is a test. Whatever they
    /// write into a home directory goes into `home`.
    ///
    /// # Errors
    /// [`NetworkError::NotBuilt`] when they are not there.
    pub fn find(home: &Path) -> Result<Self, NetworkError> {
        let own = std::env::current_exe().map_err(NetworkError::file("the path of this program"))?;
        let beside = own.parent().unwrap_or(&own);
        let folder = if beside.ends_with("deps") { beside.parent().unwrap_or(beside) } else { beside };
        let program = |name: &str| {
            let path = folder.join(name);
            if path.is_file() { Ok(path) } else { Err(NetworkError::NotBuilt(path)) }
        };
        let (careweave, careweaved) = (program("careweave")?, program("careweaved")?);
        Ok(Self { careweave, careweaved, home: home.to_owned(), environment: Vec::new() })
    }

    /// The same programs with more in their environment.
    #[must_use]
    pub fn with_environment(mut self, more: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        self.environment.extend(more);
        self
    }

    /// The program people type.
    #[must_use]
    pub fn careweave(&self) -> &Path {
        &self.careweave
    }

    /// The daemon.
    #[must_use]
    pub fn careweaved(&self) -> &Path {
        &self.careweaved
    }

    /// `careweave`, not yet run, cut off from whoever runs the tests: no terminal, no profile, no home of theirs.
    #[must_use]
    pub fn command(&self, profile: Option<&Path>) -> Command {
        let mut command = self.isolated(&self.careweave);
        if let Some(profile) = profile {
            command.env(PROFILE, profile);
        }
        command
    }

    /// `careweaved`, not yet run.
    #[must_use]
    pub fn daemon(&self) -> Command {
        self.isolated(&self.careweaved)
    }

    /// Runs `careweave` to its end.
    ///
    /// # Errors
    /// When it cannot be run; an exit code is no error here.
    pub fn run(&self, profile: Option<&Path>, arguments: &[&str]) -> Result<Output, NetworkError> {
        let mut command = self.command(profile);
        command.args(arguments);
        let typed = typed("careweave", profile, arguments);
        let output = command.output().map_err(|source| NetworkError::Run { command: typed.clone(), source })?;
        Ok(Output {
            command: typed,
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    fn isolated(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).env("HOME", &self.home).env("NO_COLOR", "1");
        for name in [PROFILE, "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "RUST_LOG"] {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl Output {
    /// This, if the command ended with this exit code.
    ///
    /// # Errors
    /// [`NetworkError::Exit`] with everything it printed.
    pub fn expect_status(self, expected: i32) -> Result<Self, NetworkError> {
        if self.status == expected {
            return Ok(self);
        }
        let Self { command, status, stdout, stderr } = self;
        Err(NetworkError::Exit { command, status, expected, stdout, stderr })
    }

    /// What it printed, as JSON.
    ///
    /// # Errors
    /// [`NetworkError::Printed`] when it is none.
    pub fn json(&self) -> Result<Value, NetworkError> {
        serde_json::from_str(&self.stdout).map_err(|error| self.unlike(&format!("JSON ({error})")))
    }

    /// One field of the JSON it printed, by JSON pointer (RFC 6901).
    ///
    /// # Errors
    /// [`NetworkError::Printed`] when it is not there.
    pub fn field(&self, pointer: &str) -> Result<Value, NetworkError> {
        self.json()?.pointer(pointer).cloned().ok_or_else(|| self.unlike(pointer))
    }

    /// Stdout and stderr, for whoever looks for what must not be there.
    #[must_use]
    pub fn everything(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }

    /// The error for a command that printed something else.
    #[must_use]
    pub fn unlike(&self, expected: &str) -> NetworkError {
        let stdout = self.everything();
        NetworkError::Printed { command: self.command.clone(), expected: expected.to_owned(), stdout }
    }
}

/// A command line as a person would type it.
#[must_use]
pub fn typed(program: &str, profile: Option<&Path>, arguments: &[impl AsRef<OsStr>]) -> String {
    let mut words = Vec::new();
    if let Some(profile) = profile {
        words.push(format!("{PROFILE}={}", profile.display()));
    }
    words.push(program.to_owned());
    words.extend(arguments.iter().map(|argument| {
        let text = argument.as_ref().to_string_lossy().into_owned();
        if text.is_empty() || text.contains(|c: char| c.is_whitespace() || "'\"$&;|<>*?()".contains(c)) {
            format!("'{}'", text.replace('\'', "'\\''"))
        } else {
            text
        }
    }));
    words.join(" ")
}

/// Where `careweave` looks for its profile.
const PROFILE: &str = "CAREWEAVE_PROFILE";
