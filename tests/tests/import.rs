//! Feeds: bad entries are listed and the good ones kept, twice is once, and memory does not grow with the file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use careweave_tests::network::Network;
use careweave_tests::population::{NdjsonOptions, ndjson};
use serde_json::Value;

use crate::scene::{assert_clean, list, long, today};

#[test]
fn of_a_thousand_lines_with_three_bad_ones_997_are_kept_and_three_listed_and_twice_is_once() {
    let network = Network::builder().organisations(&["Y91001"]).start().unwrap();
    let mut lines = stream(1_000, false);
    let bad =
        [(104, "{\"resourceType\":\"Observation\","), (511, "[]"), (903, "{\"resourceType\":\"Gossip\",\"id\":\"1\"}")];
    for (number, text) in bad {
        lines[number - 1] = text.to_owned();
    }
    let file = write(&network, "thousand.ndjson", &lines);

    let first = network.import("Y91001", &file).unwrap().expect_status(3).unwrap().json().unwrap();
    let report = &first["files"][0];
    assert_eq!((&first["imported"], &first["parked"], &first["bad"]), (&997.into(), &0.into(), &3.into()), "{first:#}");
    let listed: Vec<u64> =
        report["bad"].as_array().unwrap().iter().map(|entry| entry["line"].as_u64().unwrap()).collect();
    assert_eq!(listed, bad.map(|(number, _)| number as u64));
    assert!(
        report["bad"].as_array().unwrap().iter().all(|entry| entry["reason"].as_str().is_some_and(|r| !r.is_empty()))
    );

    let second = network.import("Y91001", &file).unwrap().expect_status(3).unwrap().json().unwrap();
    assert_eq!(second["imported"], 0, "{second:#}");
    assert_eq!(second["files"][0]["unchanged"], 997);
    assert_eq!(second["files"][0]["bad"], report["bad"]);

    for (number, _) in bad {
        lines[number - 1] = stream(1_000, false)[number - 1].clone();
    }
    let mended = write(&network, "mended.ndjson", &lines);
    let third = network.import("Y91001", &mended).unwrap().expect_status(0).unwrap().json().unwrap();
    assert_eq!((&third["imported"], &third["files"][0]["unchanged"]), (&3.into(), &997.into()), "{third:#}");

    let logged = list(&network, "Y91001", &["--kind", "admin"]);
    let imports = logged.iter().filter(|entry| entry["outcome"].as_str().is_some_and(|o| o.contains("import"))).count();
    assert_eq!(imports, 3, "{logged:#?}");
    assert_clean(&network, "Y91001");

    // Somebody who does not run the node cannot feed it, and nothing is taken in.
    let refused = network.cli("Y91001-gp", &["import", &mended.to_string_lossy(), "-o", "json"]).unwrap();
    assert_eq!(refused.status, 4, "{}", refused.everything());
    assert_eq!(refused.field("/error/code").unwrap(), "not-allowed");
    assert!(
        !network
            .cli("Y91001-gp", &["import", "-o", "json", "missing.json"])
            .unwrap()
            .everything()
            .contains("imported\":")
    );
}

#[test]
fn a_large_feed_whose_observations_come_before_their_patients_is_taken_in_bounded_memory() {
    let network = Network::builder().organisations(&["Y91001"]).start().unwrap();
    let count = if long() { 100_000 } else { 10_000 };
    let lines = stream(count, true);
    let file = write(&network, "large.ndjson", &lines);
    let report = network.import("Y91001", &file).unwrap().expect_status(0).unwrap().json().unwrap();
    assert_eq!(report["parked"], 0, "{report:#}");
    assert_eq!(report["imported"], count);
    let peak = network.peak_memory_kib("Y91001").unwrap();
    assert!(peak < MEMORY_KIB, "{peak} KiB at the most");
}

fn stream(count: usize, observations_first: bool) -> Vec<String> {
    let options = NdjsonOptions { seed: 11, as_of: today(), ods: "Y91001", observations_first };
    ndjson(count, options).collect()
}

fn write(network: &Network, name: &str, lines: &[String]) -> PathBuf {
    let path = network.layout().root().join(Path::new(name));
    let mut file = BufWriter::new(File::create(&path).unwrap());
    for line in lines {
        writeln!(file, "{line}").unwrap();
    }
    file.flush().unwrap();
    // What is written is what was meant: NDJSON has one resource to a line.
    assert!(lines.iter().all(|line| !line.contains('\n')));
    assert!(serde_json::from_str::<Value>(&lines[0]).is_ok());
    path
}

/// The bound for an import of any size.
const MEMORY_KIB: u64 = 256 * 1024;
