//! A PKCS#11 token in a directory of its own (SoftHSM), with the file that holds its PIN.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use careweave_tests::network::process::private_file;

/// One token and the scratch directory around it.
pub(super) struct SoftHsm {
    root: PathBuf,
    label: String,
}

/// User PIN of every token here.
const PIN: &str = "314159";
/// What SoftHSM reads to find its tokens.
pub(super) const CONFIGURATION: &str = "SOFTHSM2_CONF";

impl SoftHsm {
    /// A new token of this label.
    pub(super) fn new(label: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("careweave-token-{}-{count}", std::process::id()));
        let token = Self { root, label: label.to_owned() };
        fs::create_dir_all(token.directory()).unwrap();
        let directory = token.directory().display().to_string();
        let text = format!("directories.tokendir = {directory}\nobjectstore.backend = file\nlog.level = ERROR\n");
        fs::write(token.configuration(), text).unwrap();
        token.write_pin(PIN);
        let made = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", label, "--so-pin", "27182818", "--pin", PIN])
            .env(CONFIGURATION, token.configuration())
            .output();
        let made =
            made.expect("softhsm2-util does not start: install the Debian package softhsm2, as `make setup` does");
        assert!(made.status.success(), "softhsm2-util: {}", String::from_utf8_lossy(&made.stderr));
        token
    }

    /// The file for [`CONFIGURATION`].
    pub(super) fn configuration(&self) -> PathBuf {
        self.root.join("softhsm2.conf")
    }

    /// A path beside the token, for whatever belongs to its holder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The address of a key, with the file that holds the PIN.
    pub(super) fn address(&self, object: &str) -> String {
        let (label, pin) = (&self.label, self.path("pin"));
        format!("pkcs11:token={label};object={object}?module-path={}&pin-source=file:{}", module(), pin.display())
    }

    /// Puts another PIN into the file; the token keeps its own.
    pub(super) fn write_pin(&self, pin: &str) {
        writeln!(private_file(&self.path("pin")).unwrap(), "{pin}").unwrap();
    }

    /// Puts the right PIN back into the file.
    pub(super) fn right_pin(&self) {
        self.write_pin(PIN);
    }

    /// Takes the token away: its reader is there, and empty.
    pub(super) fn pull(&self) {
        fs::rename(self.directory(), self.path("in-a-drawer")).unwrap();
        fs::create_dir(self.directory()).unwrap();
    }

    /// Puts the token back.
    pub(super) fn put_back(&self) {
        drop(fs::remove_dir_all(self.directory()));
        fs::rename(self.path("in-a-drawer"), self.directory()).unwrap();
    }

    /// Takes the reader away as well.
    pub(super) fn unplug(&self) {
        fs::remove_dir(self.directory()).unwrap();
    }

    /// How often anybody has logged in or tried to: SoftHSM writes the token's flags anew each time, and counts that in the first eight
    /// bytes of the file.
    pub(super) fn logins(&self) -> u64 {
        let (token, _) = self.files().into_iter().find(|(path, _)| path.ends_with("token.object")).unwrap();
        u64::from_be_bytes(fs::read(token).unwrap()[..8].try_into().unwrap())
    }

    /// Private and public keys in the token.
    pub(super) fn objects(&self) -> usize {
        self.files().iter().filter(|(path, _)| is_object(path)).count()
    }

    /// Whether there is a public key of this label; those are not encrypted.
    pub(super) fn has(&self, object: &str) -> bool {
        let holds = |bytes: &[u8]| bytes.windows(object.len()).any(|window| window == object.as_bytes());
        self.files().iter().any(|(path, bytes)| is_object(path) && holds(bytes))
    }

    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        for slot in fs::read_dir(self.directory()).unwrap() {
            for entry in fs::read_dir(slot.unwrap().path()).unwrap() {
                let path = entry.unwrap().path();
                files.push((path.clone(), fs::read(path).unwrap()));
            }
        }
        files
    }

    fn directory(&self) -> PathBuf {
        self.path("tokens")
    }
}

impl Drop for SoftHsm {
    fn drop(&mut self) {
        if std::env::var_os("CAREWEAVE_KEEP").is_none() {
            drop(fs::remove_dir_all(&self.root));
        }
    }
}

fn is_object(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "object") && !path.ends_with("token.object")
}

fn module() -> &'static str {
    let places = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"];
    let found = places.into_iter().find(|path| Path::new(path).exists());
    found.expect("libsofthsm2.so is not there: install the Debian package softhsm2, as `make setup` does")
}
