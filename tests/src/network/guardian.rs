//! Nothing outlives the tests: a small shell holds the other end of a pipe, and when this program ends, however it ends, the shell
//! kills the daemons that are left and removes the directory.

use std::io::Write;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::NetworkError;

/// The shell at the other end.
#[derive(Debug)]
pub(super) struct Guardian {
    shell: Child,
    pipe: Mutex<Option<ChildStdin>>,
}

impl Guardian {
    /// Starts watching over a directory; `keep` leaves it where it is.
    ///
    /// # Errors
    /// When there is no shell.
    pub(super) fn start(directory: &Path, keep: bool) -> Result<Self, NetworkError> {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "guardian", if keep { "" } else { "remove" }])
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| NetworkError::Run { command: "sh".to_owned(), source })?;
        let pipe = Mutex::new(shell.stdin.take());
        Ok(Self { shell, pipe })
    }

    /// A daemon has been started.
    pub(super) fn started(&self, pid: u32) {
        self.tell("started", pid);
    }

    /// A daemon has ended, and its pid may be somebody else's soon.
    pub(super) fn ended(&self, pid: u32) {
        self.tell("ended", pid);
    }

    fn tell(&self, what: &str, pid: u32) {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipe) = pipe.as_mut() {
            // Without the shell the daemons are still stopped when the network is dropped.
            drop(writeln!(pipe, "{what} {pid}"));
        }
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        drop(self.pipe.lock().unwrap_or_else(PoisonError::into_inner).take());
        drop(self.shell.wait());
    }
}

/// Reads what is started and ended until the pipe closes. An interrupt of the whole group must not end it before its work.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
left=''
while read -r what pid; do
  case $what in
    started) left="$left $pid" ;;
    ended)
      rest=''
      for other in $left; do [ "$other" = "$pid" ] || rest="$rest $other"; done
      left=$rest ;;
  esac
done
[ -z "$left" ] || kill -KILL $left
[ "$1" != remove ] || rm -rf -- "$2"
"#;
