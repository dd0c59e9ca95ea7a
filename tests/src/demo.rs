//! The demonstration: a network of eleven organisations on this machine, loaded, told as a story, and left running.
//!
//! Reading order: here (what is built and ended), `demo/story.rs` (what is shown), `demo/teller.rs` (how it is printed). Where
//! everything lies is written in `docs/cli.md`, because scripts rely on it.

mod story;
mod teller;

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Instant;

use thiserror::Error;

use crate::network::process::{running, stop_running};
use crate::network::{Layout, Network, NetworkError, ORGANISATIONS, Staff, in_parallel};
use crate::population::Population;
use teller::Teller;

/// The demonstration in one directory.
#[derive(Debug, Clone)]
pub struct Demo {
    /// As the user gave it, for what is printed.
    shown: PathBuf,
    verbose: bool,
}

/// Why the demonstration did not go on.
#[derive(Debug, Error)]
pub enum DemoError {
    /// The network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The directory holds something that is not ours to remove.
    #[error("{0} is there and was not made by careweave-demo; name another directory in CAREWEAVE_DEMO")]
    NotOurs(PathBuf),
    /// Stdout cannot be written.
    #[error("cannot print: {0}")]
    Print(#[from] io::Error),
}

/// How one node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeState {
    /// The organisation.
    pub ods: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The process, where it runs.
    pub pid: Option<u32>,
}

impl Demo {
    /// The demonstration in `directory`; `verbose` prints how long each phase took.
    #[must_use]
    pub fn new(directory: &Path, verbose: bool) -> Self {
        Self { shown: directory.to_owned(), verbose }
    }

    /// Ends what is left of an earlier run, sets everything up anew, tells the story on `out`, and leaves the network running.
    ///
    /// # Errors
    /// When a step does not come out as it should; the network then stays as it is, to be looked at.
    pub fn run(&self, today: jiff::civil::Date, out: &mut dyn io::Write) -> Result<(), DemoError> {
        let mut teller = Teller::new(&self.shown, out);
        let mut phases = Phases::start(self.verbose);
        self.clear()?;
        fs::create_dir_all(&self.shown).map_err(NetworkError::file(&self.shown))?;
        let marker = self.shown.join(MARKER);
        fs::write(&marker, MARKER_TEXT).map_err(NetworkError::file(&marker))?;

        teller
            .say("Setting up eleven organisations: keys, certificates, a manifest signed by two of three officers.")?;
        let network = Network::builder().lasting(&self.shown).establish()?;
        phases.ended("governance and nodes", &mut teller)?;
        in_parallel(network.organisations(), |organisation| {
            Staff::of(organisation).iter().try_for_each(|staff| network.hire(staff))
        })?;
        self.link(&network)?;
        phases.ended("staff", &mut teller)?;

        teller
            .say("Starting eleven nodes, each a process of its own, and waiting until every one sees every other.")?;
        network.start_all()?;
        phases.ended("starting", &mut teller)?;

        teller.say("Loading each node with its own patients' records, and no other's.")?;
        let population = Population::demo(SEED, CROWD, today);
        network.load(&population)?;
        let people = network.layout().feed().join(PEOPLE);
        fs::copy(&people, self.shown.join(PEOPLE)).map_err(NetworkError::file(&people))?;
        phases.ended("loading", &mut teller)?;

        story::tell(&network, &mut teller)?;
        phases.ended("story", &mut teller)?;
        phases.total(&mut teller)?;
        story::commands_to_try(&mut teller)
    }

    /// Ends the network by its pid files; gives how many nodes were running.
    ///
    /// # Errors
    /// When a process cannot be ended.
    pub fn stop(&self) -> Result<usize, DemoError> {
        let running = self.status().iter().filter(|node| node.pid.is_some()).count();
        in_parallel(&self.directories(), |directory| stop_running(directory).map(drop))?;
        Ok(running)
    }

    /// How every node is.
    #[must_use]
    pub fn status(&self) -> Vec<NodeState> {
        ORGANISATIONS
            .iter()
            .zip(self.directories())
            .map(|(organisation, directory)| NodeState {
                ods: organisation.ods,
                name: organisation.name,
                pid: running(&directory),
            })
            .collect()
    }

    fn directories(&self) -> Vec<PathBuf> {
        // The daemons were given the whole path, and are known by it.
        let root = fs::canonicalize(&self.shown).unwrap_or_else(|_| self.shown.clone());
        let layout = Layout::new(root);
        ORGANISATIONS.iter().map(|organisation| layout.node(organisation.ods)).collect()
    }

    fn clear(&self) -> Result<(), DemoError> {
        let Ok(mut entries) = fs::read_dir(&self.shown) else { return Ok(()) };
        if entries.next().is_none() {
            return Ok(());
        }
        if !self.shown.join(MARKER).is_file() {
            return Err(DemoError::NotOurs(self.shown.clone()));
        }
        self.stop()?;
        Ok(fs::remove_dir_all(&self.shown).map_err(NetworkError::file(&self.shown))?)
    }

    fn link(&self, network: &Network) -> Result<(), NetworkError> {
        let bin = self.shown.join("bin");
        fs::create_dir_all(&bin).map_err(NetworkError::file(&bin))?;
        for program in [network.programs().careweave(), network.programs().careweaved()] {
            let link = bin.join(program.file_name().unwrap_or_default());
            symlink(program, &link).map_err(NetworkError::file(&link))?;
        }
        Ok(())
    }
}

/// How long each phase took.
struct Phases {
    verbose: bool,
    began: Instant,
    phase: Instant,
}

impl Phases {
    fn start(verbose: bool) -> Self {
        Self { verbose, began: Instant::now(), phase: Instant::now() }
    }

    fn ended(&mut self, phase: &str, teller: &mut Teller<'_>) -> Result<(), DemoError> {
        let took = self.phase.elapsed();
        self.phase = Instant::now();
        if self.verbose {
            teller.say(&format!("[{phase}: {:.1} s]", took.as_secs_f64()))?;
        }
        Ok(())
    }

    fn total(&self, teller: &mut Teller<'_>) -> Result<(), DemoError> {
        if self.verbose {
            teller.say(&format!("[all: {:.1} s]", self.began.elapsed().as_secs_f64()))?;
        }
        Ok(())
    }
}

/// The same people on every machine.
const SEED: u64 = 7;
/// People beside the four named ones.
const CROWD: usize = 200;
/// Who they are, one a line.
const PEOPLE: &str = "people.tsv";
/// Says that the directory may be removed.
const MARKER: &str = "careweave-demo";
const MARKER_TEXT: &str = "Made by careweave-demo, which removes this directory when it runs again.\n";
