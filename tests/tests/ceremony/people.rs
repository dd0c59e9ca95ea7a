//! People on machines of their own: each a directory that only they can enter and, where the test may, a user of their own. Files pass
//! between them by a courier, and in no other way.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use careweave_tests::network::programs::typed;
use careweave_tests::network::{Output, Programs};

/// The people of one ceremony.
pub(crate) struct People {
    root: PathBuf,
    careweave: PathBuf,
    users: Vec<(String, Option<u32>)>,
}

/// The first of the users; whether the system knows them by a name does not matter.
const FIRST_USER: u32 = 61_000;
/// Of every key here; nothing that it protects is worth one of its own.
const PASSPHRASE: &str = "a passphrase of some length";

impl People {
    pub(crate) fn new(names: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("careweave-ceremony-{}-{count}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
        // A program that every user can reach, wherever the build keeps its own.
        let built = Programs::find(&root).unwrap().careweave().to_owned();
        let careweave = root.join("careweave");
        fs::hard_link(&built, &careweave).or_else(|_| fs::copy(&built, &careweave).map(|_| ())).unwrap();
        let mut people = Self { root, careweave, users: Vec::new() };
        for name in names {
            people.arrive(name);
        }
        people
    }

    /// Somebody new, with a directory that nobody else can enter.
    pub(crate) fn arrive(&mut self, name: &str) {
        let number = FIRST_USER + u32::try_from(self.users.len()).unwrap();
        let user = may_change_users().then_some(number);
        let home = self.root.join(name);
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        self.users.push((name.to_owned(), user));
        self.give(&home, user);
        let passphrase = home.join("passphrase");
        fs::write(&passphrase, PASSPHRASE).unwrap();
        fs::set_permissions(&passphrase, fs::Permissions::from_mode(0o600)).unwrap();
        self.give(&passphrase, user);
    }

    /// Whether they are users of their own. Where not, say so beside what is asserted.
    pub(crate) fn are_separate(&self) -> bool {
        self.users.iter().all(|(_, user)| user.is_some())
    }

    /// A path in somebody's directory.
    pub(crate) fn path(&self, who: &str, file: &str) -> PathBuf {
        self.root.join(who).join(file)
    }

    /// `careweave` as somebody, in their directory, with their passphrase where a key is used.
    pub(crate) fn run(&self, who: &str, arguments: &[&str]) -> Output {
        self.run_with(who, arguments, &[])
    }

    /// As [`People::run`], with more in the environment.
    pub(crate) fn run_with(&self, who: &str, arguments: &[&str], environment: &[(&str, &Path)]) -> Output {
        let program = self.careweave.to_str().unwrap();
        let mut command = self.command(who, program);
        command.args(arguments).envs(environment.iter().copied());
        let output = command.output().unwrap();
        Output {
            command: format!("{who}: {}", typed("careweave", None, arguments)),
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// As [`People::run`], where it must succeed.
    pub(crate) fn ok(&self, who: &str, arguments: &[&str]) -> Output {
        self.run(who, arguments).expect_status(0).unwrap()
    }

    /// Any program as somebody, not yet run.
    pub(crate) fn command(&self, who: &str, program: &str) -> Command {
        let home = self.root.join(who);
        let mut command = match self.user(who) {
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups", program]);
                command
            }
            None => Command::new(program),
        };
        command.current_dir(&home).stdin(Stdio::null()).env("HOME", &home).env("NO_COLOR", "1");
        command.env_remove("CAREWEAVE_PROFILE");
        command
    }

    /// Carries a file from one person to another, who owns the copy.
    pub(crate) fn carry(&self, from: (&str, &str), to: (&str, &str)) {
        let bytes = fs::read(self.path(from.0, from.1)).unwrap_or_else(|error| panic!("{from:?}: {error}"));
        self.hand_over(&bytes, to);
    }

    /// Gives somebody a file.
    pub(crate) fn hand_over(&self, bytes: &[u8], to: (&str, &str)) {
        let path = self.path(to.0, to.1);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        self.give(&path, self.user(to.0));
    }

    fn user(&self, who: &str) -> Option<u32> {
        self.users.iter().find(|(name, _)| name == who).unwrap_or_else(|| panic!("nobody is called {who}")).1
    }

    fn give(&self, path: &Path, user: Option<u32>) {
        if user.is_some() {
            chown(path, user, user).unwrap();
        }
    }
}

impl Drop for People {
    fn drop(&mut self) {
        if std::env::var_os("CAREWEAVE_KEEP").is_none() {
            drop(fs::remove_dir_all(&self.root));
        }
    }
}

/// Root may run a program as somebody else.
fn may_change_users() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.trim_ascii() == b"0"
}
