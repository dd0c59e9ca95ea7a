//! What a view gives to programs: the FHIR Bundle, held to R4 by validators of other people, and the JSON, held to its schema.

mod bundle;
mod schema;
mod validator;

use careweave_tests::network::{Network, Output};
use serde_json::Value;

use crate::scene::Patient;

/// `careweave view -o fhir`, whatever its exit code.
fn fhir(network: &Network, profile: &str, patient: &Patient, more: &[&str]) -> Output {
    let asked = [patient.nhs_number.as_str(), "--dob", &patient.birth_date, "--family", &patient.family, "-o", "fhir"];
    let arguments: Vec<&str> = ["view"].into_iter().chain(asked).chain(more.iter().copied()).collect();
    network.cli(profile, &arguments).unwrap()
}

/// The Bundle of an output, if it is valid R4; the program fails with what is not.
fn valid(output: &Output) -> Value {
    let errors = crate::r4::errors(&output.stdout);
    assert!(errors.is_empty(), "{}: {} errors\n{}", output.command, errors.len(), errors.join("\n"));
    output.json().unwrap()
}

/// Entries of a Bundle that hold a resource of one of these types.
fn of_type<'a>(bundle: &'a Value, kinds: &[&str]) -> Vec<&'a Value> {
    let entries = bundle["entry"].as_array().unwrap().iter();
    entries
        .filter(|entry| entry["resource"]["resourceType"].as_str().is_some_and(|kind| kinds.contains(&kind)))
        .collect()
}

/// The records: every entry that the program did not make itself.
fn records(bundle: &Value) -> Vec<&Value> {
    let entries = bundle["entry"].as_array().unwrap().iter();
    let made = |entry: &&Value| MADE.iter().any(|kind| entry["resource"]["resourceType"] == *kind);
    entries.filter(|entry| !made(entry)).collect()
}

/// Issues of the `OperationOutcome`, which is the first entry.
fn issues(bundle: &Value) -> &Vec<Value> {
    let first = &bundle["entry"][0]["resource"];
    assert_eq!(first["resourceType"], "OperationOutcome");
    first["issue"].as_array().unwrap()
}

/// The issue about a source.
fn issue<'a>(bundle: &'a Value, ods: &str) -> &'a Value {
    let about = |issue: &&Value| issue["details"]["text"].as_str().unwrap().starts_with(&format!("{ods} "));
    issues(bundle).iter().find(about).unwrap_or_else(|| panic!("nothing about {ods} in {:#?}", issues(bundle)))
}

/// Types that no organisation of the demonstration releases.
const MADE: [&str; 3] = ["OperationOutcome", "Organization", "Provenance"];
