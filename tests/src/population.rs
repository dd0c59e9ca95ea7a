//! A deterministic synthetic population for the demonstration network: FHIR R4 records, UK flavoured, one bundle per organisation and person.
//!
//! Every person is invented and has an NHS number of the 999 test range. Each organisation holds only its own records, with its own copy of
//! the Patient, spelled its own way. The same arguments give the same bytes on every machine; the clock is never read.
//!
//! What is *not* here: records of the voluntary settlement and the governance office (they hold none), named practitioners (authors are
//! neutral roles), and terminology beyond the codes used.

mod ada;
mod cara;
mod clinical;
mod crowd;
mod document;
pub mod hard;
mod identity;
mod medicine;
mod named;
mod observation;
mod organisation;
mod random;
mod record;
mod stream;
mod terminology;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use jiff::civil::Date;
use serde_json::Value;

pub use document::base64_traces;
pub use identity::{NHS_NUMBER_CAPACITY, Person, nhs_number};
pub use stream::{NdjsonOptions, ndjson};

use record::Record;

/// The people and what each organisation holds about them.
#[derive(Clone, Debug, PartialEq)]
pub struct Population {
    /// The four named patients first, then the [hard people](hard::PEOPLE), then the crowd.
    pub people: Vec<Person>,
    /// In the order of `people`; file names count up within each organisation.
    pub holdings: Vec<Holding>,
}

/// What one organisation holds about one person.
#[derive(Clone, Debug, PartialEq)]
pub struct Holding {
    /// ODS code of the holder.
    pub ods: &'static str,
    /// A number and `.json`: names and NHS numbers never appear in file names.
    pub file_name: String,
    /// Whose record it is.
    pub nhs_number: String,
    /// FHIR R4 Bundle: a `transaction` from the ambulance trust and the pharmacy, a `collection` from everyone else.
    pub bundle: Value,
}

impl Population {
    /// The named patients, the hard people and `crowd` further people, drawn from `seed`, with histories that end the day before `as_of` (appointments may lie
    /// ahead). A larger crowd keeps the people of a smaller one.
    pub fn demo(seed: u64, crowd: usize, as_of: Date) -> Self {
        let mut population =
            Self { people: Vec::with_capacity(crowd.saturating_add(NAMED + hard::PEOPLE.len())), holdings: Vec::new() };
        let mut files = BTreeMap::new();
        for (person, records) in named::everyone(seed, as_of).into_iter().chain(hard::everyone(seed, as_of)) {
            population.take(person, records, &mut files);
        }
        for index in 0..crowd {
            let (person, records) = crowd::member(seed, index, as_of);
            population.take(person, records, &mut files);
        }
        population
    }

    /// Writes `<dir>/<ODS>/0001.json` and so on, and `<dir>/people.tsv` (nhs_number, birth_date, family, given, gender,
    /// registered_practice, holders, note, case; the last is empty but for [hard people](hard::HardPerson::case)). Fails as the file system does.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        for holding in &self.holdings {
            let folder = dir.join(holding.ods);
            fs::create_dir_all(&folder)?;
            fs::write(folder.join(&holding.file_name), format!("{}\n", holding.bundle))?;
        }
        fs::create_dir_all(dir)?;
        fs::write(dir.join("people.tsv"), self.people_table())
    }

    /// The ODS codes of the organisations that hold something about this NHS number, in the order they were written.
    pub fn holders(&self, nhs_number: &str) -> Vec<&'static str> {
        self.holdings.iter().filter(|holding| holding.nhs_number == nhs_number).map(|holding| holding.ods).collect()
    }

    fn people_table(&self) -> String {
        let mut table =
            String::from("nhs_number\tbirth_date\tfamily\tgiven\tgender\tregistered_practice\tholders\tnote\tcase\n");
        for person in &self.people {
            let row = [
                person.nhs_number.clone(),
                person.birth_date.to_string(),
                person.family.clone(),
                person.given.clone(),
                person.gender.to_owned(),
                person.registered_practice.to_owned(),
                self.holders(&person.nhs_number).join(","),
                person.note.clone(),
                person.case.to_owned(),
            ];
            table.push_str(&row.join("\t"));
            table.push('\n');
        }
        table
    }

    fn take(&mut self, person: Person, records: Vec<Holding>, files: &mut BTreeMap<&'static str, u32>) {
        for mut holding in records {
            let number = files.entry(holding.ods).or_insert(0);
            *number += 1;
            holding.file_name = format!("{number:04}.json");
            self.holdings.push(holding);
        }
        self.people.push(person);
    }
}

/// Closes records into holdings; the file names are given when the population takes them.
fn close(records: Vec<Record<'_>>) -> Vec<Holding> {
    records.into_iter().map(|record| record.close(String::new())).collect()
}

/// A phrase that stands in one place of the whole population: the acute trust's discharge summary of Ada Okafor, in the narrative of the
/// Composition and, base64-encoded, in the DocumentReference of the same summary ([`base64_traces`] finds the latter).
pub const CANARY: &str = "heron kept watch beside bed nineteen until the tide turned";

/// The street of every address of the address-restricted patient (Cara Shah); nobody else lives there.
pub const CARA_ADDRESS: &str = "Quillfeather Mews";

/// Her telephone number, from the range that Ofcom keeps for drama.
pub const CARA_TELEPHONE: &str = "07700 900417";

/// The locality that stands in her addresses, in a letter and in the name of the place she is seen at.
pub const CARA_LOCALITY: &str = "Tanglewick Basin";

/// The clinic in whose name that locality stands.
pub const CARA_CLINIC: &str = "Quayside walk-in centre";

/// Ada, Ben, Cara and Ada's namesake.
const NAMED: usize = 4;

/// Identifier system of NHS numbers (UK Core).
pub const NHS_NUMBER_SYSTEM: &str = "https://fhir.nhs.uk/Id/nhs-number";

/// Identifier system of ODS codes (UK Core).
pub const ODS_SYSTEM: &str = "https://fhir.nhs.uk/Id/ods-organization-code";

/// The base of identifier systems: an organisation's own entries have `https://careweave.example/<ODS>/id`.
pub const IDENTIFIER_BASE: &str = "https://careweave.example/";
