//! What the tests share: the people, one network for those that only read, and the questions they ask of outputs and logs.

use std::sync::OnceLock;
use std::time::Duration;

use careweave_tests::network::{Network, Output, until};
use careweave_tests::population::{Person, Population};
use serde_json::Value;

/// Somebody who is asked about.
#[derive(Debug, Clone)]
pub(crate) struct Patient {
    pub(crate) nhs_number: String,
    pub(crate) birth_date: String,
    pub(crate) family: String,
}

impl Patient {
    fn named(nhs_number: &str, birth_date: &str, family: &str) -> Self {
        let [nhs_number, birth_date, family] = [nhs_number, birth_date, family].map(str::to_owned);
        Self { nhs_number, birth_date, family }
    }

    pub(crate) fn born(self, birth_date: &str) -> Self {
        Self { birth_date: birth_date.to_owned(), ..self }
    }
}

impl From<&Person> for Patient {
    fn from(person: &Person) -> Self {
        Self::named(&person.nhs_number, &person.birth_date.to_string(), &person.family)
    }
}

pub(crate) fn ada() -> Patient {
    Patient::named("9990010013", "1938-03-14", "Okafor")
}

pub(crate) fn ben() -> Patient {
    Patient::named("9990133484", "1951-07-02", "Ellis")
}

pub(crate) fn cara() -> Patient {
    Patient::named("9990256950", "1979-05-23", "Shah")
}

/// Ada's name and birth date, another number, another person.
pub(crate) fn namesake() -> Patient {
    Patient::named("9990380422", "1938-03-14", "Okafor")
}

/// The named patients and a small crowd.
pub(crate) fn population() -> &'static Population {
    static POPULATION: OnceLock<Population> = OnceLock::new();
    POPULATION.get_or_init(|| Population::demo(7, CROWD, today()))
}

pub(crate) fn today() -> jiff::civil::Date {
    jiff::Zoned::now().date()
}

/// The network of all eleven organisations, loaded, for tests that stop and change nothing others look at.
pub(crate) fn demo() -> &'static Network {
    static DEMO: OnceLock<Network> = OnceLock::new();
    DEMO.get_or_init(|| loaded(Network::builder().start().unwrap()))
}

/// A network of a test's own, with the same people's records.
pub(crate) fn small(organisations: &[&str]) -> Network {
    loaded(Network::builder().organisations(organisations).start().unwrap())
}

fn loaded(network: Network) -> Network {
    network.load(population()).unwrap();
    network
}

/// `careweave view` in JSON, whatever its exit code.
pub(crate) fn view(network: &Network, profile: &str, patient: &Patient, more: &[&str]) -> Output {
    let asked = [patient.nhs_number.as_str(), "--dob", &patient.birth_date, "--family", &patient.family, "-o", "json"];
    let arguments: Vec<&str> = ["view"].into_iter().chain(asked).chain(more.iter().copied()).collect();
    network.cli(profile, &arguments).unwrap()
}

/// The id of the query a view was made from.
pub(crate) fn query_id(view: &Value) -> String {
    view["query_id"].as_str().unwrap().to_owned()
}

/// One source's line.
pub(crate) fn source<'a>(view: &'a Value, ods: &str) -> &'a Value {
    let lines = view["sources"].as_array().unwrap();
    lines.iter().find(|line| line["ods"] == ods).unwrap_or_else(|| panic!("no {ods} in {lines:#?}"))
}

/// Every row with its category.
pub(crate) fn rows<'a>(view: &'a Value) -> Vec<(&'a str, &'a Value)> {
    let categories = view["categories"].as_object().unwrap();
    let of_one = |(name, rows): (&'a String, &'a Value)| {
        let rows = rows.as_array().unwrap();
        rows.iter().map(|row| (name.as_str(), row)).collect::<Vec<_>>()
    };
    categories.iter().flat_map(of_one).collect()
}

/// Entries of an organisation's log about one query, as its privacy officer lists them.
pub(crate) fn entries(network: &Network, ods: &str, query: &str) -> Vec<Value> {
    list(network, ods, &["--query", query])
}

/// `careweave audit list` as an organisation's privacy officer.
pub(crate) fn list(network: &Network, ods: &str, filter: &[&str]) -> Vec<Value> {
    let arguments: Vec<&str> =
        ["audit", "list", "-o", "json", "--last", "100000"].into_iter().chain(filter.iter().copied()).collect();
    let output = network.cli(&format!("{ods}-ig"), &arguments).unwrap().expect_status(0).unwrap();
    output.json().unwrap().as_array().unwrap().clone()
}

/// Waits for an entry about a query that is written off the view's path, such as a RECEIPT or an ACK.
pub(crate) fn entry(network: &Network, ods: &str, query: &str, fits: impl Fn(&Value) -> bool) -> Value {
    until(&format!("entry about {query} in the log of {ods}"), OFF_THE_PATH, || {
        let entries = entries(network, ods, query);
        entries.iter().find(|entry| fits(entry)).cloned().ok_or_else(|| format!("{entries:#?}"))
    })
    .unwrap()
}

/// The one DECISION about a query in a holder's log.
pub(crate) fn decision(network: &Network, ods: &str, query: &str) -> Value {
    let found: Vec<Value> =
        entries(network, ods, query).into_iter().filter(|entry| entry["kind"] == "DECISION").collect();
    assert_eq!(found.len(), 1, "one DECISION of {ods} about {query}: {found:#?}");
    found[0].clone()
}

/// The log recomputes.
pub(crate) fn assert_clean(network: &Network, ods: &str) {
    let output = network.cli(&format!("{ods}-ig"), &["audit", "verify", "-o", "json"]).unwrap();
    assert_eq!(output.status, 0, "{}", output.everything());
    assert_eq!(output.json().unwrap()["clean"], true, "{}", output.everything());
}

/// Whether the long forms are asked for.
pub(crate) fn long() -> bool {
    std::env::var_os("CAREWEAVE_LONG").is_some_and(|value| value == "1")
}

/// People beside the named ones.
const CROWD: usize = 12;
/// Receipts gather for half a second, and a delivery that fails is tried again after fifteen.
const OFF_THE_PATH: Duration = Duration::from_secs(40);
