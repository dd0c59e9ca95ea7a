//! People who ask all the time, at their own desks, while keys are changed under their nodes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use careweave_protocol::desk::{DeskReply, DeskRequest};
use careweave_protocol::id::NetworkId;
use careweave_protocol::query::Patient;
use careweave_protocol::time::Date;
use careweave_tests::network::Network;
use careweave_tests::peer::{Peer, Person};
use libp2p::Multiaddr;
use tokio::runtime::Runtime;
use tokio::sync::{RwLock, Semaphore};
use tokio::task::{JoinHandle, JoinSet};

use crate::scene::{self, population};

/// A load that runs until it is ended.
pub(super) struct Load {
    runtime: Runtime,
    network: NetworkId,
    seats: BTreeMap<String, Arc<Seat>>,
    asking: Vec<JoinHandle<()>>,
    tally: Arc<Tally>,
    begun: Instant,
}

/// One person at their desk. They take up a renewed credential between two questions, as their program does.
struct Seat {
    desk: Multiaddr,
    /// How many other organisations hold records, and so must say something.
    holders: usize,
    patients: Vec<Patient>,
    at: RwLock<(Person, Peer)>,
}

/// What has come of the questions so far.
#[derive(Default)]
struct Tally {
    stop: AtomicBool,
    made: AtomicU64,
    answers: AtomicU64,
    nothing_shareable: AtomicU64,
    slowest_ms: AtomicU64,
    failed: Mutex<Vec<String>>,
    /// What is being done to the network, for the list of what failed.
    phase: Mutex<String>,
}

/// What came of all of it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) made: u64,
    pub(super) answers: u64,
    pub(super) nothing_shareable: u64,
    pub(super) slowest: Duration,
    pub(super) failed: Vec<String>,
}

impl Load {
    /// Begins to ask: these people in turn, so many questions a second in all.
    pub(super) fn start(network: &Network, people: &[String], per_second: u32) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (name, tally) = (network.commands().network().parse::<NetworkId>().unwrap(), Arc::new(Tally::default()));
        let holders = network.organisations().iter().filter(|o| o.holds_records()).count() - 1;
        let (mut seats, mut asking) = (BTreeMap::new(), Vec::new());
        let every = Duration::from_secs(1) * u32::try_from(people.len()).unwrap() / per_second;
        for profile in people {
            let (ods, _) = profile.split_once('-').unwrap();
            let path = network.profile(profile).unwrap();
            let person = Person::load(&path, &network.layout().passphrase()).unwrap();
            let desk: Multiaddr = network.addresses(ods).unwrap().desk.parse().unwrap();
            let peer = runtime.block_on(Peer::connect(person.credentials(&name).unwrap(), &desk)).unwrap();
            let at = RwLock::new((person, peer));
            let seat = Arc::new(Seat { desk, holders, patients: known_at(ods), at });
            seats.insert(profile.clone(), Arc::clone(&seat));
            asking.push(runtime.spawn(ask(seat, name.clone(), Arc::clone(&tally), every)));
        }
        Self { runtime, network: name, seats, asking, tally, begun: Instant::now() }
    }

    /// Says what is being done from here on.
    pub(super) fn phase(&self, what: &str) {
        let failed = self.tally.failed.lock().unwrap();
        let made = self.tally.made.load(Ordering::Relaxed);
        eprintln!("{:>7.1?} {what}: after {made} questions, failed: {failed:#?}", self.begun.elapsed());
        what.clone_into(&mut self.tally.phase.lock().unwrap());
    }

    /// Everybody of an organisation takes up the credential that their employer has renewed.
    pub(super) fn renew(&self, ods: &str) {
        let own = format!("{ods}-");
        for (profile, seat) in self.seats.iter().filter(|(profile, _)| profile.starts_with(&own)) {
            self.runtime.block_on(async {
                let mut at = seat.at.write().await;
                let person = at.0.renewed(&at.1).await.unwrap();
                let person = person.unwrap_or_else(|| panic!("{profile} has no renewed credential"));
                let peer = Peer::connect(person.credentials(&self.network).unwrap(), &seat.desk).await.unwrap();
                *at = (person, peer);
            });
        }
    }

    /// Waits until so many more questions have been asked: that something was changed is shown by those that come after.
    pub(super) fn wait_for(&self, more: u64) {
        let wanted = self.tally.made.load(Ordering::Relaxed) + more;
        careweave_tests::network::until("the load goes on", PATIENCE, || {
            let made = self.tally.made.load(Ordering::Relaxed);
            if made >= wanted { Ok(()) } else { Err(format!("{made} of {wanted}")) }
        })
        .unwrap();
    }

    /// Asks nothing more, and waits for what is under way.
    pub(super) fn end(self) -> Outcome {
        self.tally.stop.store(true, Ordering::Relaxed);
        self.runtime.block_on(async {
            for task in self.asking {
                task.await.unwrap();
            }
        });
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Outcome {
            made: count(&self.tally.made),
            answers: count(&self.tally.answers),
            nothing_shareable: count(&self.tally.nothing_shareable),
            slowest: Duration::from_millis(count(&self.tally.slowest_ms)),
            failed: std::mem::take(&mut self.tally.failed.lock().unwrap()),
        }
    }
}

/// A question at every tick, without waiting for the one before.
async fn ask(seat: Arc<Seat>, network: NetworkId, tally: Arc<Tally>, every: Duration) {
    let places = Arc::new(Semaphore::new(UNDER_WAY));
    let mut ticks = tokio::time::interval(every);
    let mut views = JoinSet::new();
    let mut turn = 0;
    while !tally.stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        let place = Arc::clone(&places).acquire_owned().await.unwrap();
        let (seat, network, tally) = (Arc::clone(&seat), network.clone(), Arc::clone(&tally));
        views.spawn(async move {
            view(&seat, &network, &tally, turn).await;
            drop(place);
        });
        turn += 1;
        while views.try_join_next().is_some() {}
    }
    while let Some(done) = views.join_next().await {
        done.unwrap();
    }
}

async fn view(seat: &Seat, network: &NetworkId, tally: &Tally, turn: usize) {
    let at = seat.at.read().await;
    let begun = Instant::now();
    let request = at.0.view(network, &seat.patients[turn % seat.patients.len()], WAIT).unwrap();
    let replies = at.1.desk(&DeskRequest::View(Box::new(request))).await;
    let took = u64::try_from(begun.elapsed().as_millis()).unwrap();
    tally.slowest_ms.fetch_max(took, Ordering::Relaxed);
    let wrong = match replies.as_ref().map(|replies| replies.last()) {
        Ok(Some((_, DeskReply::View(reply)))) => {
            let said = |wanted: &str| {
                let sources = reply.view.sources.iter().filter(|s| !s.own && s.outcome == wanted);
                sources.count()
            };
            let (answered, nothing) = (said("answered"), said("nothing-shareable"));
            tally.answers.fetch_add(u64::try_from(answered).unwrap(), Ordering::Relaxed);
            tally.nothing_shareable.fetch_add(u64::try_from(nothing).unwrap(), Ordering::Relaxed);
            let lines = || reply.view.sources.iter().map(|s| format!("{}={} {:?}", s.ods, s.outcome, s.reason));
            (answered + nothing != seat.holders).then(|| lines().collect::<Vec<_>>().join(" "))
        }
        Ok(other) => Some(format!("{other:?}")),
        Err(error) => Some(error.to_string()),
    };
    if let Some(wrong) = wrong {
        let phase = tally.phase.lock().unwrap().clone();
        tally.failed.lock().unwrap().push(format!("{phase}, {} after {took} ms: {wrong}", seat.desk));
    }
    tally.made.fetch_add(1, Ordering::Relaxed);
}

/// People whom this organisation and others hold, of whom nothing is hard.
fn known_at(ods: &str) -> Vec<Patient> {
    let people = population().people.iter().filter(|person| {
        person.case.is_empty() && person.note.is_empty() && population().holders(&person.nhs_number).contains(&ods)
    });
    let patients: Vec<Patient> = people.map(|person| patient(&scene::Patient::from(person))).take(PATIENTS).collect();
    assert!(!patients.is_empty(), "nobody is known at {ods}");
    patients
}

fn patient(who: &scene::Patient) -> Patient {
    Patient {
        nhs_number: who.nhs_number.parse().unwrap(),
        birth_date: Date::from_iso(&who.birth_date).unwrap(),
        family: who.family.clone(),
        postcode: None,
        other_numbers: Vec::new(),
    }
}

/// Questions of one person under way at once: a connection has places for 32, and some are left for other things.
const UNDER_WAY: usize = 24;
/// How long a view waits for sources: what every view waits when nobody says otherwise.
const WAIT: Duration = Duration::from_secs(8);
/// Different people asked about by each asker, far below what a day allows.
const PATIENTS: usize = 6;
/// Until some questions have been asked on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
