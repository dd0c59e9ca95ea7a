//! Why a network could not be set up, started or asked: always with what was typed or read.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a network could not be set up, started or asked.
#[derive(Debug, Error)]
pub enum NetworkError {
    /// A program is not where cargo puts it.
    #[error("{0} is not there; run `cargo build --workspace --bins` first")]
    NotBuilt(PathBuf),
    /// The file system.
    #[error("{path}: {source}")]
    File {
        /// Where.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A program could not be run at all.
    #[error("{command} could not be run: {source}")]
    Run {
        /// As typed.
        command: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A command ended with another exit code than it should.
    #[error("{command}\nended with {status} and not with {expected}\n{stdout}\n{stderr}")]
    Exit {
        /// As typed.
        command: String,
        /// Its exit code; -1 when a signal ended it.
        status: i32,
        /// What was expected.
        expected: i32,
        /// What it printed.
        stdout: String,
        /// What it said.
        stderr: String,
    },
    /// A command printed no JSON, or other JSON than it should.
    #[error("{command}\nprinted something else than {expected}\n{stdout}")]
    Printed {
        /// As typed.
        command: String,
        /// What was looked for.
        expected: String,
        /// What it printed.
        stdout: String,
    },
    /// Something did not happen in time.
    #[error("{what} did not happen within {seconds} s\n{detail}")]
    Deadline {
        /// What was waited for.
        what: String,
        /// For how long.
        seconds: u64,
        /// What could be seen instead.
        detail: String,
    },
    /// The library that moves clocks.
    #[error("libfaketimeMT.so.1 is not there; install the Debian package faketime (`make setup` does)")]
    NoFakeTime,
    /// No such organisation in this network.
    #[error("there is no {0} in this network")]
    NoSuch(String),
}

impl NetworkError {
    /// Names the path in an I/O error.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
