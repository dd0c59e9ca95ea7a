use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use jiff::civil::{Date, date};
use serde_json::Value;

use super::identity::modulus_11;
use super::terminology::{LOINC, SNOMED};
use super::*;

const AS_OF: Date = date(2026, 11, 2);
const BEFORE_THE_CROWD: usize = NAMED + hard::PEOPLE.len();

fn sample() -> &'static Population {
    static SAMPLE: LazyLock<Population> = LazyLock::new(|| Population::demo(7, 60, AS_OF));
    &SAMPLE
}

/// As large as the demonstration.
fn full() -> &'static Population {
    static FULL: LazyLock<Population> = LazyLock::new(|| Population::demo(7, 200, AS_OF));
    &FULL
}

/// Calls `look` on every object of a tree.
fn walk(value: &Value, look: &mut impl FnMut(&serde_json::Map<String, Value>)) {
    match value {
        Value::Object(fields) => {
            look(fields);
            fields.values().for_each(|value| walk(value, look));
        }
        Value::Array(items) => items.iter().for_each(|value| walk(value, look)),
        _ => {}
    }
}

fn resources(holding: &Holding) -> Vec<&Value> {
    let entries = holding.bundle["entry"].as_array().unwrap();
    entries.iter().map(|entry| &entry["resource"]).collect()
}

fn holding<'a>(population: &'a Population, ods: &str, nhs_number: &str) -> &'a Holding {
    population.holdings.iter().find(|holding| holding.ods == ods && holding.nhs_number == nhs_number).unwrap()
}

fn passes_modulus_11(number: &str) -> bool {
    let (body, check) = number.split_at(9);
    number.len() == 10 && modulus_11(body).map(|digit| digit.to_string()).as_deref() == Some(check)
}

/// Verhoeff's dihedral check, from the group's definition instead of printed tables.
fn passes_verhoeff(code: &str) -> bool {
    let compose = |a: u32, b: u32| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + (b - 5)) % 5 + 5,
        (false, true) => ((a - 5) + 5 - b) % 5 + 5,
        (false, false) => ((a - 5) + 5 - (b - 5)) % 5,
    };
    let permute =
        |digit: u32, times: usize| (0..times).fold(digit, |digit, _| [1, 5, 7, 6, 2, 8, 3, 0, 9, 4][digit as usize]);
    let digits = code.chars().rev().map(|digit| digit.to_digit(10).unwrap());
    let folded = digits.enumerate().fold(0, |state, (place, digit)| compose(state, permute(digit, place % 8)));
    folded == 0
}

/// LOINC's Modulus 10 check digit.
fn passes_loinc(code: &str) -> bool {
    let (body, check) = code.split_once('-').unwrap();
    let sum: u32 = body
        .chars()
        .rev()
        .map(|digit| digit.to_digit(10).unwrap())
        .enumerate()
        .map(|(place, digit)| match place % 2 {
            0 if digit > 4 => digit * 2 - 9,
            0 => digit * 2,
            _ => digit,
        })
        .sum();
    check == ((10 - sum % 10) % 10).to_string()
}

#[test]
fn the_same_arguments_give_the_same_bytes() {
    let render = |population: &Population| {
        let bundles = population.holdings.iter().map(|holding| holding.bundle.to_string());
        bundles.collect::<Vec<_>>()
    };
    assert_eq!(render(sample()), render(&Population::demo(7, 60, AS_OF)));
    assert_ne!(render(sample()), render(&Population::demo(8, 60, AS_OF)));
}

#[test]
fn a_larger_crowd_keeps_the_people_of_a_smaller_one() {
    let (small, large) = (Population::demo(7, 5, AS_OF), sample());
    assert_eq!(small.people[..], large.people[..BEFORE_THE_CROWD + 5]);
    for holding in &small.holdings {
        assert!(large.holdings.contains(holding));
    }
}

#[test]
fn every_nhs_number_passes_modulus_11_and_is_its_own() {
    let population = full();
    let numbers: BTreeSet<_> = population.people.iter().map(|person| &person.nhs_number).collect();
    assert_eq!(numbers.len(), BEFORE_THE_CROWD + 200);
    for number in ["9990010013", "9990133484", "9990256950", "9990380422"] {
        assert!(numbers.contains(&number.to_owned()));
    }
    for number in numbers {
        assert!(passes_modulus_11(number), "{number}");
    }
}

#[test]
fn generated_numbers_stay_clear_of_the_named_and_the_reserved_ones() {
    let mut seen = BTreeSet::new();
    let around_the_turns =
        [0, 89_998, 2 * 89_998, NHS_NUMBER_CAPACITY - 50].into_iter().flat_map(|start| start..start + 50);
    for index in around_the_turns.chain(39_950..40_050) {
        let number = nhs_number(index);
        assert!(number.starts_with("999") && passes_modulus_11(&number), "{index}: {number}");
        assert!(!number.starts_with("99950000") && number.as_str() > "9991", "{number}");
        assert!(seen.insert(number), "{index} repeats a number");
    }
}

#[test]
fn every_code_passes_its_check_digit() {
    let mut codes = BTreeSet::new();
    for holding in &sample().holdings {
        walk(&holding.bundle, &mut |fields| {
            if let (Some(system), Some(code)) = (fields.get("system"), fields.get("code")) {
                codes.insert((system.to_string(), code.as_str().unwrap().to_owned()));
            }
        });
    }
    let of = |system: &str| {
        codes.iter().filter(move |(of, _)| of.contains(system)).map(|(_, code)| code).collect::<Vec<_>>()
    };
    assert!(of(SNOMED).len() > 60 && of(LOINC).len() > 15);
    for code in of(SNOMED) {
        assert!(passes_verhoeff(code), "{code}");
    }
    for code in of(LOINC) {
        assert!(passes_loinc(code), "{code}");
    }
    assert!(!passes_verhoeff("84114008") && !passes_loinc("718-8"));
}

#[test]
fn every_reference_resolves_inside_its_bundle_and_every_record_is_about_its_patient() {
    for holding in &sample().holdings {
        let entries = holding.bundle["entry"].as_array().unwrap();
        let urls: BTreeSet<_> = entries.iter().map(|entry| entry["fullUrl"].as_str().unwrap()).collect();
        let registered = |entry: &&Value| entry["resource"]["resourceType"] == "Patient";
        let patients: Vec<_> =
            entries.iter().filter(registered).map(|entry| entry["fullUrl"].as_str().unwrap()).collect();
        assert_eq!(patients.first(), urls.get(entries[0]["fullUrl"].as_str().unwrap()));
        assert!(patients.len() == 1 || holding.nhs_number.starts_with("9990520"), "registered twice");
        walk(&holding.bundle, &mut |fields| {
            if let Some(reference) = fields.get("reference").and_then(Value::as_str) {
                assert!(urls.contains(reference), "{reference}");
            }
        });
        for entry in entries.iter().filter(|entry| !registered(entry)) {
            let resource = &entry["resource"];
            let about = ["subject", "patient", "for"]
                .iter()
                .find_map(|element| resource[*element]["reference"].as_str())
                .or_else(|| resource["participant"][0]["actor"]["reference"].as_str());
            assert!(about.is_some_and(|about| patients.contains(&about)), "{resource}");
        }
    }
}

#[test]
fn ids_are_shared_only_by_versions_of_one_resource() {
    let population = sample();
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut superseded = 0;
    for resource in population.holdings.iter().flat_map(resources) {
        let id = resource["id"].as_str().unwrap().to_owned();
        let version = resource["meta"]["versionId"].as_str().unwrap().to_owned();
        let known = versions.entry(id).or_default();
        superseded += usize::from(!known.is_empty());
        assert!(known.insert(version), "{resource}");
    }
    assert!(superseded > 3);
}

#[test]
fn nothing_is_recorded_after_the_day_before() {
    for resource in sample().holdings.iter().flat_map(resources) {
        let updated = resource["meta"]["lastUpdated"].as_str().unwrap();
        assert!(updated < "2026-11-02", "{resource}");
    }
}

#[test]
fn the_canary_stands_in_one_discharge_summary_only() {
    let population = full();
    let traces = base64_traces(CANARY);
    let (mut plain, mut encoded) = (Vec::new(), Vec::new());
    for holding in &population.holdings {
        for resource in resources(holding) {
            let text = resource.to_string();
            let kind = resource["resourceType"].as_str().unwrap().to_owned();
            let place = (holding.ods, holding.nhs_number.clone(), kind);
            plain.extend(text.matches(CANARY).map(|_| place.clone()));
            encoded.extend(traces.iter().filter(|trace| text.contains(*trace)).map(|_| place.clone()));
        }
    }
    let ada = |kind: &str| vec![("R9A", "9990010013".to_owned(), kind.to_owned())];
    assert_eq!(plain, ada("Composition"));
    assert_eq!(encoded, ada("DocumentReference"));
}

#[test]
fn the_restricted_address_stands_in_every_copy_of_one_patient_only() {
    let population = sample();
    for holding in &population.holdings {
        let text = holding.bundle.to_string();
        let patient = resources(holding)[0];
        let hers = holding.nhs_number == "9990256950";
        assert_eq!(text.to_lowercase().contains(&CARA_ADDRESS.to_lowercase()), hers);
        assert_eq!(text.contains(CARA_LOCALITY), hers);
        assert_eq!(patient["meta"]["security"][0]["code"] == "R", hers);
        if holding.ods == "Y91001" {
            assert_eq!(text.contains(CARA_TELEPHONE), hers);
        }
    }
    assert_eq!(population.holders("9990256950"), ["Y91001", "R9A", "R9X", "VL901", "901", "FZ901"]);
}

#[test]
fn every_record_holding_organisation_has_a_share() {
    let population = full();
    let mut shares: BTreeMap<&str, usize> = BTreeMap::new();
    for holding in &population.holdings {
        *shares.entry(holding.ods).or_default() += 1;
    }
    let holders: Vec<_> = shares.keys().copied().collect();
    assert_eq!(holders, ["901", "FZ901", "R9A", "R9C", "R9M", "R9X", "VL901", "Y91001", "Y91002"]);
    assert!(shares.values().all(|share| *share > 5), "{shares:?}");
    // Twelve residents, Cara's respite, and three of the hard people.
    assert_eq!(shares["VL901"], 16);
}

#[test]
fn a_person_of_the_crowd_has_15_to_120_entries_at_one_to_five_holders() {
    let population = full();
    for person in population.people.iter().skip(BEFORE_THE_CROWD) {
        let held = population.holdings.iter().filter(|holding| holding.nhs_number == person.nhs_number);
        let counts: Vec<_> = held.map(|holding| resources(holding).len()).collect();
        let total: usize = counts.iter().sum();
        assert!((1..=5).contains(&counts.len()), "{person:?}");
        assert!((15..=120).contains(&total), "{total}: {person:?}");
    }
}

#[test]
fn ada_has_the_conflict_the_copy_and_the_labels_the_demonstration_needs() {
    let population = sample();
    let at = |ods: &str| resources(holding(population, ods, "9990010013"));
    let apixaban = |ods: &str| {
        let found = at(ods).into_iter().find(|resource| {
            resource["resourceType"] == "MedicationRequest"
                && resource["medicationCodeableConcept"]["text"] == "Apixaban 5mg tablets"
        });
        found.unwrap()["status"].clone()
    };
    assert_eq!(apixaban("Y91001"), "active");
    assert_eq!(apixaban("R9A"), "on-hold");
    let penicillin = |ods: &str| {
        let found = at(ods).into_iter().find(|resource| resource["code"]["coding"][0]["code"] == "91936005");
        found.unwrap()["identifier"].clone()
    };
    assert_eq!(penicillin("Y91001"), penicillin("R9A"));
    let labels: BTreeSet<_> = at("Y91001")
        .iter()
        .filter_map(|resource| resource["meta"]["security"][0]["code"].as_str())
        .map(str::to_owned)
        .collect();
    assert_eq!(labels.into_iter().collect::<Vec<_>>(), ["PSY", "STD", "V"]);
    assert_eq!(population.holders("9990010013"), ["Y91001", "R9A", "R9C", "R9M", "R9X", "VL901", "901", "FZ901"]);
}

#[test]
fn the_files_carry_no_identity_in_their_names() {
    let population = Population::demo(7, 12, AS_OF);
    let dir = std::env::temp_dir().join(format!("careweave-population-{}", std::process::id()));
    population.write(&dir).unwrap();
    let table = std::fs::read_to_string(dir.join("people.tsv")).unwrap();
    let rows: Vec<_> = table.lines().map(|line| line.split('\t').count()).collect();
    assert_eq!(rows, [9; 1 + BEFORE_THE_CROWD + 12]);
    for holding in &population.holdings {
        assert!(holding.file_name.trim_end_matches(".json").chars().all(|letter| letter.is_ascii_digit()));
        let bytes = std::fs::read(dir.join(holding.ods).join(&holding.file_name)).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), holding.bundle);
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

fn options(observations_first: bool) -> NdjsonOptions {
    NdjsonOptions { seed: 3, as_of: AS_OF, ods: "Y91001", observations_first }
}

#[test]
fn a_stream_has_the_lines_asked_for_and_a_patient_for_every_subject() {
    for (count, first) in [(1, true), (26, true), (107, true), (107, false), (1000, true)] {
        let lines: Vec<Value> =
            ndjson(count, options(first)).map(|line| serde_json::from_str(&line).unwrap()).collect();
        let name =
            |value: &Value| format!("{}/{}", value["resourceType"].as_str().unwrap(), value["id"].as_str().unwrap());
        let names: BTreeSet<_> = lines.iter().map(name).collect();
        assert_eq!((lines.len(), names.len()), (count, count));
        for line in &lines {
            walk(line, &mut |fields| {
                if let Some(reference) = fields.get("reference").and_then(Value::as_str) {
                    assert!(names.contains(reference), "{reference}");
                }
            });
        }
    }
}

#[test]
fn a_stream_can_put_observations_before_their_patient() {
    let early = |first: bool| {
        let mut seen = BTreeSet::new();
        let mut early = 0;
        for line in ndjson(1000, options(first)) {
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["resourceType"] == "Patient" {
                seen.insert(format!("Patient/{}", line["id"].as_str().unwrap()));
            } else if line["resourceType"] == "Observation" {
                early += usize::from(!seen.contains(line["subject"]["reference"].as_str().unwrap()));
            }
        }
        early
    };
    assert_eq!(early(false), 0);
    assert_eq!(early(true), 3 * 40 + 20);
}
