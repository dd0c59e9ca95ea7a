//! A node that is killed while it answers: it comes back, its log is whole, and nothing was disclosed without its entry.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use careweave_tests::network::Network;

use crate::scene::{ada, assert_clean, list, long, small, source, view};

#[test]
fn a_holder_killed_at_random_under_load_is_back_in_seconds_and_every_receipt_has_its_decision() {
    let network = small(&["Y91001", "R9A"]);
    // Profiles are made before the load, which is then nothing but views.
    view(&network, "Y91001-gp", &ada(), &[]).expect_status(0).unwrap();
    let rounds = if long() { 20 } else { 3 };
    let (told, heard) = mpsc::channel();
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..ASKERS {
            let (told, network, ended) = (told.clone(), &network, &ended);
            scope.spawn(move || {
                while !ended.load(Ordering::Relaxed) {
                    // Nobody listens any more once the last round is over.
                    told.send(()).ok();
                    let asked = view(network, "Y91001-gp", &ada(), &[]);
                    assert!(matches!(asked.status, 0 | 3), "{}", asked.everything());
                }
            });
        }
        let ending = Ending(&ended);
        for round in 0..rounds {
            moment(&heard, round);
            network.kill("R9A").unwrap();
            let killed = Instant::now();
            network.start("R9A").unwrap();
            assert!(killed.elapsed() < BACK, "round {round}: back after {:?}", killed.elapsed());
            assert_clean(&network, "R9A");
        }
        drop(ending);
    });

    network.wait_connected("R9A").unwrap();
    let seen = view(&network, "Y91001-gp", &ada(), &[]).expect_status(0).unwrap().json().unwrap();
    assert_eq!(source(&seen, "R9A")["outcome"], "answered");
    assert_clean(&network, "Y91001");
    assert_every_receipt_has_its_decision(&network);
}

fn assert_every_receipt_has_its_decision(network: &Network) {
    let decisions: BTreeMap<String, (String, String)> = list(network, "R9A", &["--kind", "decision"])
        .iter()
        .filter(|entry| entry["asker"] == "Y91001")
        .map(|entry| (entry["query_id"].to_string(), (entry["outcome"].to_string(), entry["root"].to_string())))
        .collect();
    let receipts = list(network, "Y91001", &["--kind", "receipt"]);
    assert!(!receipts.is_empty());
    for receipt in &receipts {
        let decision = decisions.get(&receipt["query_id"].to_string());
        let received = (receipt["outcome"].to_string(), receipt["root"].to_string());
        assert_eq!(decision, Some(&received), "a receipt without its decision: {receipt:#}");
    }
}

/// Waits for some questions to be on their way, and then for a part of one: another part in each round.
fn moment(heard: &Receiver<()>, round: u32) {
    while heard.try_recv().is_ok() {}
    for _ in 0..=(round % 3) {
        heard.recv_timeout(PATIENCE).unwrap();
    }
    // The next question ends the wait early; the rest is somewhere between its start and its answer.
    heard.recv_timeout(Duration::from_millis(u64::from(round * 37 % 160))).ok();
}

/// Ends the load also when an assertion fails; otherwise the scope would wait for ever.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// People who ask at the same time.
const ASKERS: usize = 2;
/// From being killed to serving again.
const BACK: Duration = Duration::from_secs(10);
/// For one view to start.
const PATIENCE: Duration = Duration::from_secs(30);
