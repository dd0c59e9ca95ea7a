//! One daemon as a process of its own: started, watched, stopped and killed by its pid.

use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{NetworkError, Programs, until};

/// A running daemon. Dropping it leaves it running.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
    /// Where in the log this run begins.
    begins: usize,
}

impl Process {
    /// Starts `careweaved` on a node directory, with its output appended to `careweaved.log` and its pid in `careweaved.pid` there.
    ///
    /// # Errors
    /// When a file cannot be written or the program not run.
    pub fn start(programs: &Programs, dir: &Path) -> Result<Self, NetworkError> {
        let path = dir.join(LOG);
        let log = OpenOptions::new().create(true).append(true).open(&path).map_err(NetworkError::file(&path))?;
        let begins = usize::try_from(log.metadata().map_err(NetworkError::file(&path))?.len()).unwrap_or(0);
        let errors = log.try_clone().map_err(NetworkError::file(&path))?;
        let mut command = programs.daemon();
        command.args(["run", "-c"]).arg(dir.join("node.toml")).stdout(log).stderr(errors);
        // A group of its own: whoever interrupts this program decides about the nodes elsewhere.
        command.process_group(0);
        let child = command
            .spawn()
            .map_err(|source| NetworkError::Run { command: format!("careweaved run -c {}", dir.display()), source })?;
        let pid = dir.join(PID);
        fs::write(&pid, format!("{}\n", child.id())).map_err(NetworkError::file(&pid))?;
        Ok(Self { child, log: path, begins })
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What this run has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(bytes.get(self.begins..).unwrap_or_default()).into_owned()
    }

    /// Waits until the daemon serves.
    ///
    /// # Errors
    /// When it ends instead, or takes longer than `SERVING`; with its log.
    pub fn wait_serving(&mut self) -> Result<(), NetworkError> {
        let what = format!("{} serving", self.log.display());
        let ended = until(&what, SERVING, || {
            let log = self.log();
            if log.lines().any(|line| line.contains(" serving")) {
                return Ok(false);
            }
            // Once the process is gone, nothing more will come.
            if self.child.try_wait().is_ok_and(|status| status.is_some()) { Ok(true) } else { Err(log) }
        })?;
        if ended {
            return Err(NetworkError::Deadline { what, seconds: 0, detail: self.log() });
        }
        Ok(())
    }

    /// Asks it to stop in order, and kills it where it does not. Gives whether it stopped in order.
    ///
    /// # Errors
    /// When it cannot be signalled at all.
    pub fn stop(mut self) -> Result<bool, NetworkError> {
        signal("TERM", self.pid())?;
        let stopped = until("stopping", STOPPING, || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status.success()),
            Ok(None) => Err("still running".to_owned()),
            Err(error) => Err(error.to_string()),
        });
        match stopped {
            Ok(in_order) => Ok(in_order),
            Err(_) => self.kill().map(|()| false),
        }
    }

    /// Kills it at once (SIGKILL) and waits for its end.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub fn kill(mut self) -> Result<(), NetworkError> {
        let named = || NetworkError::file(format!("process {}", self.child.id()));
        let (killing, waiting) = (named(), named());
        self.child.kill().map_err(killing)?;
        self.child.wait().map_err(waiting)?;
        Ok(())
    }

    /// Largest resident set so far in KiB: `VmHWM` of proc(5).
    #[must_use]
    pub fn peak_memory_kib(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.split_whitespace().next()?.parse().ok()
    }
}

/// The daemon named in a node directory's pid file, if it is running now and is ours.
#[must_use]
pub fn running(dir: &Path) -> Option<u32> {
    let pid: u32 = fs::read_to_string(dir.join(PID)).ok()?.trim().parse().ok()?;
    // A pid is used again by others: only a process that was started on this very directory counts.
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let config = dir.join("node.toml");
    let ours = arguments.split(|byte| *byte == 0).any(|argument| argument == config.as_os_str().as_encoded_bytes());
    // A zombie has no command line any more, so it does not get here.
    ours.then_some(pid)
}

/// Stops the daemon of a node directory, whoever started it.
///
/// # Errors
/// When it cannot be signalled, or is still there after being killed.
pub fn stop_running(dir: &Path) -> Result<bool, NetworkError> {
    let Some(pid) = running(dir) else { return Ok(false) };
    let gone = || if running(dir).is_none() { Ok(()) } else { Err(format!("process {pid} is still running")) };
    signal("TERM", pid)?;
    if until("stopping", STOPPING, gone).is_err() {
        signal("KILL", pid)?;
        until("ending", STOPPING, gone)?;
    }
    let path = dir.join(PID);
    fs::remove_file(&path).map_err(NetworkError::file(&path))?;
    Ok(true)
}

/// Sends a signal by its name.
///
/// # Errors
/// When there is no such process.
pub fn signal(name: &str, pid: u32) -> Result<(), NetworkError> {
    let (signal, pid) = (format!("-{name}"), pid.to_string());
    let command = super::programs::typed("kill", None, &[&signal, &pid]);
    let output = Command::new("kill")
        .args([&signal, &pid])
        .stdin(Stdio::null())
        .output()
        .map_err(|source| NetworkError::Run { command: command.clone(), source })?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(NetworkError::Exit {
        command,
        status: output.status.code().unwrap_or(-1),
        expected: 0,
        stdout: String::new(),
        stderr,
    })
}

/// Makes a file that only its owner can read.
///
/// # Errors
/// As the file system does.
pub fn private_file(path: &Path) -> Result<File, NetworkError> {
    use std::os::unix::fs::OpenOptionsExt;
    let opened = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path);
    opened.map_err(NetworkError::file(path))
}

/// What a daemon says.
pub const LOG: &str = "careweaved.log";
/// Which process it is.
pub const PID: &str = "careweaved.pid";
/// From start to serving: half a second on a quiet machine; this one may be running several networks.
const SERVING: Duration = Duration::from_secs(60);
/// From SIGTERM to the end: the daemon gives itself ten seconds.
const STOPPING: Duration = Duration::from_secs(20);
