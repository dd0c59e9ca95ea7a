//! Real networks for tests and the demonstration: every node a `careweaved` process on loopback, everything set up and asked
//! through `careweave` as its users do it.
//!
//! Reading order: here, then `network/setup.rs` (what is done in which order), `network/commands.rs` (how it is typed),
//! `network/process.rs` (a daemon as a process). What is *not* here: shortcuts past the programs.

mod commands;
mod error;
mod guardian;
mod layout;
mod moved_clock;
mod organisation;
mod ports;
pub mod process;
pub mod programs;
mod setup;
mod staff;
mod wait;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{env, fs};

use serde_json::Value;

pub use commands::{Addresses, Commands};
pub use error::NetworkError;
pub use layout::Layout;
pub use organisation::{FURTHER, ORGANISATIONS, Organisation};
pub use programs::{Output, Programs};
pub use setup::in_parallel;
pub use staff::Staff;
pub use wait::until;

use crate::population::Population;
use guardian::Guardian;
use moved_clock::MovedClocks;
use process::Process;

/// A running network.
#[derive(Debug)]
pub struct Network {
    programs: Programs,
    layout: Layout,
    commands: Commands,
    organisations: Vec<&'static Organisation>,
    addresses: BTreeMap<&'static str, Addresses>,
    processes: Mutex<BTreeMap<&'static str, Process>>,
    /// One at a time at each organisation, whose register of credentials is one file.
    hiring: BTreeMap<&'static str, Mutex<()>>,
    /// Where the test moves the time.
    clocks: Option<MovedClocks>,
    /// `None` for a network that outlives this program.
    guardian: Option<Guardian>,
}

/// How a network is to be.
#[derive(Debug, Clone)]
pub struct Builder {
    root: Option<PathBuf>,
    organisations: Vec<&'static Organisation>,
    name: String,
    moved_clocks: bool,
    environment: Vec<(OsString, OsString)>,
    tokens: BTreeMap<String, String>,
}

impl Network {
    /// A network of every organisation, in a temporary directory that is removed with it (unless `CAREWEAVE_KEEP` is set).
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            root: None,
            organisations: ORGANISATIONS.iter().collect(),
            name: NETWORK.to_owned(),
            moved_clocks: false,
            environment: Vec::new(),
            tokens: BTreeMap::new(),
        }
    }

    /// Where everything lies.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The programs.
    #[must_use]
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// The commands of the offices.
    #[must_use]
    pub fn commands(&self) -> &Commands {
        &self.commands
    }

    /// Its organisations.
    #[must_use]
    pub fn organisations(&self) -> &[&'static Organisation] {
        &self.organisations
    }

    /// Where a node is reached.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn addresses(&self, ods: &str) -> Result<&Addresses, NetworkError> {
        self.addresses.get(ods).ok_or_else(|| NetworkError::NoSuch(ods.to_owned()))
    }

    /// Runs `careweave` as one of the staff, whose profile is made when it is not there yet.
    ///
    /// # Errors
    /// When the profile cannot be made or the program not run; an exit code is no error here.
    pub fn cli(&self, profile: &str, arguments: &[&str]) -> Result<Output, NetworkError> {
        let directory = self.profile(profile)?;
        self.programs_of(profile.split_once('-').map_or(profile, |(ods, _)| ods)).run(Some(&directory), arguments)
    }

    /// Sets the clock of an organisation, its node's while that runs and its people's, to so many seconds ahead of the right time, or behind
    /// it. Offices and `cert`, `staff` and `node` commands on directories keep the right time.
    ///
    /// # Errors
    /// When the network was not made for it ([`Builder::moved_clocks`]).
    pub fn move_clock(&self, ods: &str, seconds: i64) -> Result<(), NetworkError> {
        let clocks = self.clocks.as_ref().ok_or_else(|| NetworkError::NoSuch("clock to be moved".to_owned()))?;
        clocks.set(self.organisation(ods)?.ods, seconds)
    }

    /// Sets the clock of every organisation.
    ///
    /// # Errors
    /// As [`Network::move_clock`].
    pub fn move_clocks(&self, seconds: i64) -> Result<(), NetworkError> {
        self.organisations.iter().try_for_each(|organisation| self.move_clock(organisation.ods, seconds))
    }

    /// The process id of a running node.
    ///
    /// # Errors
    /// When it is not running.
    pub fn pid(&self, ods: &str) -> Result<u32, NetworkError> {
        let pid = self.processes().get(ods).map(Process::pid);
        pid.ok_or_else(|| NetworkError::NoSuch(format!("running {ods}")))
    }

    /// The directory of a staff profile such as `Y91001-gp`, made when it is not there yet.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn profile(&self, name: &str) -> Result<PathBuf, NetworkError> {
        let directory = self.layout.profile(name);
        if !directory.join(INSTALLED).is_file() {
            let staff = Staff::named(name).ok_or_else(|| NetworkError::NoSuch(name.to_owned()))?;
            self.hire(&staff)?;
        }
        Ok(directory)
    }

    /// Makes somebody's profile, unless it is there.
    ///
    /// # Errors
    /// As the commands do.
    pub fn hire(&self, staff: &Staff) -> Result<(), NetworkError> {
        let addresses = self.addresses(&staff.ods)?;
        let hiring = self.hiring.get(staff.ods.as_str()).ok_or_else(|| NetworkError::NoSuch(staff.ods.clone()))?;
        let hiring = hiring.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the same lock: whoever approves is hired first.
        for person in staff.approvers().iter().chain([staff]) {
            if !self.layout.profile(&person.profile()).join(INSTALLED).is_file() {
                setup::staff(&self.commands, &self.layout, person, addresses)?;
            }
        }
        drop(hiring);
        Ok(())
    }

    /// Starts a node that is not running and waits until it serves.
    ///
    /// # Errors
    /// When it does not.
    pub fn start(&self, ods: &str) -> Result<(), NetworkError> {
        let organisation = self.organisation(ods)?;
        let mut process = Process::start(self.programs_of(ods), &self.layout.node(ods))?;
        if let Some(guardian) = &self.guardian {
            guardian.started(process.pid());
        }
        let serving = process.wait_serving();
        self.processes().insert(organisation.ods, process);
        serving
    }

    /// Stops a node in order; gives whether it did so by itself.
    ///
    /// # Errors
    /// When it is not running.
    pub fn stop(&self, ods: &str) -> Result<bool, NetworkError> {
        self.end(ods, Process::stop)
    }

    /// Kills a node at once.
    ///
    /// # Errors
    /// When it is not running.
    pub fn kill(&self, ods: &str) -> Result<(), NetworkError> {
        self.end(ods, Process::kill)
    }

    /// Has a running node read again what can change while it runs (SIGHUP).
    ///
    /// # Errors
    /// When it is not running.
    pub fn reload(&self, ods: &str) -> Result<(), NetworkError> {
        process::signal("HUP", self.pid(ods)?)
    }

    /// Gives a node that is not running another member to ask first.
    ///
    /// # Errors
    /// When its configuration cannot be written.
    pub fn bootstrap(&self, ods: &str, address: &str) -> Result<(), NetworkError> {
        setup::edit_bootstrap(&self.layout.node(ods).join("node.toml"), address)
    }

    /// What a node has logged since it was last started.
    #[must_use]
    pub fn log(&self, ods: &str) -> String {
        self.processes().get(ods).map(Process::log).unwrap_or_default()
    }

    /// A node's largest resident set so far, in KiB.
    #[must_use]
    pub fn peak_memory_kib(&self, ods: &str) -> Option<u64> {
        self.processes().get(ods).and_then(Process::peak_memory_kib)
    }

    /// Waits until a node is connected to every other one that runs.
    ///
    /// # Errors
    /// When it is not in time.
    pub fn wait_connected(&self, ods: &str) -> Result<(), NetworkError> {
        let others: Vec<&str> = self.processes().keys().copied().filter(|other| *other != ods).collect();
        until(&format!("{ods} connected to {}", others.join(" ")), CONNECTING, || {
            let peers = self.cli(&format!("{ods}-it"), &["node", "peers", "-o", "json"]);
            let peers = peers.and_then(|output| output.expect_status(0)?.json()).map_err(|error| error.to_string())?;
            let lines = peers.as_array().map(Vec::as_slice).unwrap_or_default();
            let connected = |other: &&str| lines.iter().any(|line| is_connected(line, other));
            if others.iter().all(connected) { Ok(()) } else { Err(format!("{peers:#}\n{}", self.log(ods))) }
        })
    }

    /// Writes a population's records out and has each organisation's IT import its own.
    ///
    /// # Errors
    /// When something is not imported.
    pub fn load(&self, population: &Population) -> Result<(), NetworkError> {
        population.write(&self.layout.feed()).map_err(NetworkError::file(self.layout.feed()))?;
        in_parallel(&self.organisations, |organisation| {
            let feed = self.layout.feed().join(organisation.ods);
            if !organisation.holds_records() || !feed.is_dir() {
                return Ok(());
            }
            let feed = feed.to_string_lossy().into_owned();
            self.cli(&format!("{}-it", organisation.ods), &["import", &feed, "-o", "json"])?.expect_status(0)?;
            Ok(())
        })
    }

    /// Imports one file or directory as an organisation's IT.
    ///
    /// # Errors
    /// When the command cannot be run; bad entries are no error here.
    pub fn import(&self, ods: &str, path: &Path) -> Result<Output, NetworkError> {
        self.cli(&format!("{ods}-it"), &["import", &path.to_string_lossy(), "-o", "json"])
    }

    /// Imports resources written to a file of its own for this purpose.
    ///
    /// # Errors
    /// When it cannot be written, or anything in it is not taken.
    pub fn import_value(&self, ods: &str, resource: &Value) -> Result<(), NetworkError> {
        let folder = self.layout.feed().join("single");
        fs::create_dir_all(&folder).map_err(NetworkError::file(&folder))?;
        let path = folder.join(format!("{ods}-{}.json", COUNTER.fetch_add(1, Ordering::Relaxed)));
        fs::write(&path, resource.to_string()).map_err(NetworkError::file(&path))?;
        self.import(ods, &path)?.expect_status(0)?;
        Ok(())
    }

    fn programs_of(&self, ods: &str) -> &Programs {
        self.clocks.as_ref().and_then(|clocks| clocks.programs(ods)).unwrap_or(&self.programs)
    }

    fn organisation(&self, ods: &str) -> Result<&'static Organisation, NetworkError> {
        let found = self.organisations.iter().find(|organisation| organisation.ods == ods);
        found.copied().ok_or_else(|| NetworkError::NoSuch(ods.to_owned()))
    }

    fn end<T>(&self, ods: &str, how: impl FnOnce(Process) -> Result<T, NetworkError>) -> Result<T, NetworkError> {
        let process = self.processes().remove(ods).ok_or_else(|| NetworkError::NoSuch(format!("running {ods}")))?;
        let pid = process.pid();
        let ended = how(process)?;
        if let Some(guardian) = &self.guardian {
            guardian.ended(pid);
        }
        let file = self.layout.node(ods).join(process::PID);
        fs::remove_file(&file).map_err(NetworkError::file(&file))?;
        Ok(ended)
    }

    fn processes(&self) -> MutexGuard<'_, BTreeMap<&'static str, Process>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Builder {
    /// Only these organisations, in this order; the first two run beacons. Codes that are not of the demonstration are left out.
    #[must_use]
    pub fn organisations(mut self, codes: &[&str]) -> Self {
        self.organisations = codes.iter().filter_map(|code| Organisation::find(code)).collect();
        self
    }

    /// Another name for the network.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// With a clock for each organisation that the test moves ([`Network::move_clock`]); all are right at first.
    #[must_use]
    pub fn moved_clocks(mut self) -> Self {
        self.moved_clocks = true;
        self
    }

    /// With this in the environment of every program of the network.
    #[must_use]
    pub fn environment(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// With an organisation's key in a token, at this address (RFC 7512).
    #[must_use]
    pub fn organisation_key_in(mut self, ods: &str, uri: &str) -> Self {
        self.tokens.insert(ods.to_owned(), uri.to_owned());
        self
    }

    /// In this directory, and left there, running, when this program ends.
    #[must_use]
    pub fn lasting(mut self, root: &Path) -> Self {
        self.root = Some(root.to_owned());
        self
    }

    /// Sets everything up and starts nothing.
    ///
    /// # Errors
    /// As the commands do.
    pub fn establish(self) -> Result<Network, NetworkError> {
        let lasting = self.root.is_some();
        let root = self.root.unwrap_or_else(|| {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            env::temp_dir().join(format!("careweave-{}-{number}", std::process::id()))
        });
        fs::create_dir_all(&root).map_err(NetworkError::file(&root))?;
        let root = fs::canonicalize(&root).map_err(NetworkError::file(&root))?;
        let keep = env::var_os("CAREWEAVE_KEEP").is_some();
        let guardian = if lasting { None } else { Some(Guardian::start(&root, keep)?) };
        let programs = Programs::find(&root)?.with_environment(self.environment);
        let codes: Vec<&'static str> = self.organisations.iter().map(|organisation| organisation.ods).collect();
        let clocks =
            self.moved_clocks.then(|| MovedClocks::new(&root.join("clocks"), &codes, &programs)).transpose()?;
        let layout = Layout::new(root);
        let commands = Commands::new(programs.clone(), layout.clone(), &self.name).with_tokens(self.tokens);
        let addresses = setup::establish(&commands, &layout, &self.organisations)?;
        Ok(Network {
            programs,
            layout,
            commands,
            hiring: self.organisations.iter().map(|organisation| (organisation.ods, Mutex::default())).collect(),
            organisations: self.organisations,
            addresses,
            processes: Mutex::default(),
            clocks,
            guardian,
        })
    }

    /// Sets everything up, starts every node, and waits until all of them see each other.
    ///
    /// # Errors
    /// As the commands do, or when a node does not come up.
    pub fn start(self) -> Result<Network, NetworkError> {
        let network = self.establish()?;
        network.start_all()?;
        Ok(network)
    }
}

impl Network {
    /// Starts every node and waits until all of them see each other.
    ///
    /// # Errors
    /// When one does not come up.
    pub fn start_all(&self) -> Result<(), NetworkError> {
        in_parallel(&self.organisations, |organisation| self.start(organisation.ods))?;
        in_parallel(&self.organisations, |organisation| self.wait_connected(organisation.ods))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if self.guardian.is_none() {
            return;
        }
        let processes = std::mem::take(&mut *self.processes());
        for process in processes.into_values() {
            // What cannot be stopped is left to the guardian.
            let pid = process.pid();
            if let (Ok(()), Some(guardian)) = (process.kill(), &self.guardian) {
                guardian.ended(pid);
            }
        }
    }
}

fn is_connected(line: &Value, ods: &str) -> bool {
    let text = line.get("ods").and_then(Value::as_str);
    text == Some(ods) && line.get("connected").and_then(Value::as_bool) == Some(true)
}

/// Networks, and files to be imported, are told apart by number.
static COUNTER: AtomicU32 = AtomicU32::new(0);
/// Name of every network that is not given another.
const NETWORK: &str = "demo";
/// A profile is complete when its credential is there.
const INSTALLED: &str = "credential.cbor";
/// From the last node's start until all see each other.
const CONNECTING: Duration = Duration::from_secs(60);
