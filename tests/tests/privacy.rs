//! What lies on disk after people have looked: nothing clinical at the asker, and nobody's number or name anywhere.

use std::fs;
use std::path::{Path, PathBuf};

use careweave_tests::network::ORGANISATIONS;
use careweave_tests::population::{CANARY, NHS_NUMBER_SYSTEM, base64_traces};
use serde_json::json;

use crate::residents::{add, held, stranger};
use crate::scene::{ada, decision, demo, population, query_id, rows, small, source, view};

#[test]
fn nothing_of_the_hospital_s_summary_is_in_any_file_of_the_asker_after_the_view() {
    let network = demo();
    let output = view(network, "Y91001-gp", &ada(), &[]).expect_status(0).unwrap();
    assert!(output.stdout.contains(CANARY), "the summary was not shown");
    let seen = output.json().unwrap();
    assert_eq!(source(&seen, "R9A")["outcome"], "answered");
    assert_eq!(decision(network, "R9A", &query_id(&seen))["outcome"], "answered");

    let traces: Vec<Vec<u8>> =
        std::iter::once(CANARY.to_owned()).chain(base64_traces(CANARY)).map(String::into_bytes).collect();
    let layout = network.layout();
    // The search finds what is there.
    let found: Vec<usize> = (0..traces.len())
        .filter(|index| !holding(&layout.feed().join("R9A"), &traces[*index..=*index]).is_empty())
        .collect();
    assert!(found.contains(&0) && found.len() > 1, "in plain text and in base64: {found:?}");
    for directory in [layout.node("Y91001"), layout.profile("Y91001-gp")] {
        assert_eq!(holding(&directory, &traces), Vec::<PathBuf>::new());
    }
}

#[test]
fn the_asker_s_own_number_change_marker_counts_for_what_a_holder_that_does_not_know_it_answers() {
    let network = small(&["VL901", "R9A"]);
    let nurse = "VL901-chn";
    for (index, marked) in [(41, true), (42, false)] {
        let new = stranger(index);
        let old = crate::scene::Patient { family: new.family.clone(), ..stranger(index + 10) };
        let numbered = |number: &str| json!({"system": NHS_NUMBER_SYSTEM, "value": number});
        // The hospital knows both numbers and their link, and of no marker.
        let (mut known, mut former) = (held(&new), held(&old));
        known["entry"][0]["resource"]["link"] =
            json!([{"type": "replaces", "other": {"identifier": numbered(&old.nhs_number)}}]);
        former["entry"][0]["resource"]["name"][0]["given"] = json!(["Formerly"]);
        former["entry"][1]["resource"]["code"] = json!({"text": "Gout"});
        network.import_value("R9A", &former).unwrap();
        network.import_value("R9A", &known).unwrap();
        // The home has the Patient of the new number alone, with or without the marker.
        let mut own = held(&new);
        if marked {
            own["entry"][0]["resource"]["meta"] = json!({"tag": [{"system": "https://careweave.example/fhir/CodeSystem/number-change", "code": "adoption"}]});
        }
        network.import_value("VL901", &own).unwrap();
        add(&network, nurse, &new, &[]).expect_status(0).unwrap();

        let seen = view(&network, nurse, &new, &[]).json().unwrap();
        let of =
            |ods: &str| rows(&seen).iter().any(|(_, row)| row["source"]["ods"] == ods || row["also_at"] != json!([]));
        assert!(of("R9A"), "{seen:#}");
        let traces = [old.nhs_number.clone(), "Formerly".to_owned(), "Gout".to_owned(), "CW-H031".to_owned()];
        for form in ["json", "table", "html", "fhir"] {
            let asked = [&new.nhs_number, "--dob", &new.birth_date, "--family", &new.family, "-o", form];
            let printed = network.cli(nurse, &[&["view"], asked.as_slice()].concat()).unwrap().everything();
            assert!(printed.contains("Asthma"), "{printed}");
            let found: Vec<&String> = traces.iter().filter(|trace| printed.contains(trace.as_str())).collect();
            assert_eq!(found.is_empty(), marked, "{form}: {found:?}");
        }
    }
}

#[test]
fn no_patient_s_number_or_family_name_is_in_any_file_of_any_node_or_profile() {
    let network = demo();
    view(network, "Y91001-gp", &ada(), &[]).expect_status(0).unwrap();
    let mut secrets = Vec::new();
    for person in &population().people {
        let number = &person.nhs_number;
        let (first, rest) = number.split_at(3);
        let (second, third) = rest.split_at(3);
        secrets.extend([number.clone(), format!("{first} {second} {third}")]);
        // A shorter name turns up by chance in encrypted bytes.
        if person.family.len() >= LONG_ENOUGH {
            secrets.extend([person.family.clone(), person.family.to_uppercase()]);
        }
    }
    let secrets: Vec<Vec<u8>> = secrets.into_iter().map(String::into_bytes).collect();
    let layout = network.layout();
    assert!(!holding(&layout.feed(), &secrets).is_empty(), "the search finds what is there");
    assert_eq!(holding(&layout.nodes(), &secrets), Vec::<PathBuf>::new());
    assert_eq!(holding(&layout.profiles(), &secrets), Vec::<PathBuf>::new());
    for organisation in ORGANISATIONS {
        assert!(!files(&layout.node(organisation.ods).join("data")).is_empty(), "no data at {}", organisation.ods);
    }
}

/// Files below a directory whose bytes or whose name hold one of these.
fn holding(directory: &Path, secrets: &[Vec<u8>]) -> Vec<PathBuf> {
    let finders: Vec<_> = secrets.iter().map(Vec::as_slice).collect();
    let holds = |path: &PathBuf| {
        // The database may have dropped a file since it was listed.
        let bytes = fs::read(path).unwrap_or_default();
        contains_any(&bytes, &finders) || contains_any(path.as_os_str().as_encoded_bytes(), &finders)
    };
    files(directory).into_iter().filter(holds).collect()
}

/// Looks for many needles in one pass: by their first two bytes, then in full.
fn contains_any(bytes: &[u8], needles: &[&[u8]]) -> bool {
    let mut by_start: Vec<Vec<&[u8]>> = vec![Vec::new(); 1 << 16];
    for needle in needles {
        by_start[usize::from(u16::from_be_bytes([needle[0], needle[1]]))].push(needle);
    }
    (0..bytes.len().saturating_sub(1)).any(|at| {
        let candidates = &by_start[usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]))];
        candidates.iter().any(|needle| bytes[at..].starts_with(needle))
    })
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut ahead = vec![directory.to_owned()];
    while let Some(directory) = ahead.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() { ahead.push(entry.path()) } else { found.push(entry.path()) }
        }
    }
    found
}

/// Six bytes meet by chance once in 2^48 places.
const LONG_ENOUGH: usize = 6;
