//! What cannot be right, or cannot be compared, said at its row and once for the whole view: dates in the future or before birth,
//! codes against words, retired codes, no code at all, one test in two units. Nothing is corrected and nothing is dropped.

use std::collections::BTreeMap;
use std::time::Duration;

use careweave_protocol::desk::warning::Warning;
use careweave_protocol::record::Category;
use careweave_protocol::time::Timestamp;

use super::row::medicine::Kind;
use super::row::{Activity, Entry};
use super::warnings::{Warnings, ring};
use super::{Request, SourceRecords};
use super::{dates, terminology};

/// Checks every entry, after they were merged and put in order.
pub fn check(entries: &mut [Entry], request: &Request<'_>, told: &mut Warnings) {
    let born = request.query.patient.birth_date.start();
    let bounds = Bounds { born, from_now: request.as_at.after(TOLERANCE) };
    for entry in entries.iter_mut() {
        let mut notes = Vec::new();
        if let Some(note) = implausible(entry, bounds) {
            notes.push((Warning::ImplausibleDate, note));
        }
        if let Some(contradiction) = terminology::contradiction(entry, request.dmd) {
            notes.push((Warning::CodeAgainstWords, format!("check with the source: {contradiction}")));
        }
        let retired: Vec<&str> = entry
            .row
            .codings
            .iter()
            .filter(|coding| terminology::is_retired(coding, request.dmd))
            .map(|coding| coding.code.as_str())
            .collect();
        if !retired.is_empty() {
            let codes = retired.join(", ");
            notes.push((Warning::RetiredCode, format!("code {codes} is no longer in use: read the words")));
        }
        if is_uncoded(entry) {
            notes.push((Warning::Uncoded, "no code: compared by its words only".to_owned()));
        }
        for (warning, note) in notes {
            told.add(warning, &format!("{}, {}", entry.row.text, entry.row.source));
            entry.row.notes.push(note);
        }
    }
    units(entries, told);
}

/// Safeguarding of which the role reads codes and dates only: whom to ring stands at the row.
pub fn safeguarding(entries: &mut [Entry], sources: &[SourceRecords], restricted: bool, told: &mut Warnings) {
    let summary = |e: &&mut Entry| e.category == Category::Safeguarding && e.row.form == "summary";
    for entry in entries.iter_mut().filter(summary) {
        let Some(source) = sources.get(entry.source) else { continue };
        let whom = ring(source, restricted);
        told.add(Warning::Safeguarding, &format!("{}, {whom}", entry.row.source));
        entry.row.notes.push(format!("safeguarding is recorded here: {whom}"));
    }
}

/// Between which instants a date of this person can lie.
#[derive(Clone, Copy)]
struct Bounds {
    born: Timestamp,
    from_now: Timestamp,
}

/// What is wrong with a date of the entry. When it was recorded is never in the future; when it is to happen may be.
fn implausible(entry: &Entry, bounds: Bounds) -> Option<String> {
    let row = &entry.row;
    if matches!(row.resource_type.as_str(), "Patient" | "RelatedPerson" | "Practitioner" | "PractitionerRole") {
        return None;
    }
    let planned = PLANS.contains(&row.resource_type.as_str())
        || row.status.as_deref().is_some_and(|status| PLANNED.contains(&status));
    let dates = [("date", entry.clinical, &row.date, planned), ("recorded date", entry.recorded, &row.recorded, false)];
    dates.into_iter().find_map(|(name, span, text, may_be_future)| {
        let span = span?;
        let why = match (span.from >= bounds.from_now && !may_be_future, span.until <= bounds.born) {
            (true, _) => "is in the future",
            (_, true) => "is before the person was born",
            (false, false) => return None,
        };
        let shown = text.as_deref().and_then(dates::parse).map(|date| date.shown()).unwrap_or_default();
        Some(format!("{name} {shown} {why}: check with the source"))
    })
}

/// A medicine or allergy that holds and has no code. One whose words the role does not read is counted elsewhere.
fn is_uncoded(entry: &Entry) -> bool {
    let safety = match entry.category {
        Category::Medications => entry.medicine.as_ref().is_some_and(|facts| facts.kind != Kind::Product),
        Category::Allergies => entry.row.resource_type == "AllergyIntolerance",
        _ => false,
    };
    let standing = entry.activity == Activity::Current && entry.row.verification.as_deref() != Some("refuted");
    safety && standing && entry.row.codings.is_empty() && !entry.uncoded && entry.readable
}

/// One test in different units, across results and vital signs of all sources.
fn units(entries: &mut [Entry], told: &mut Warnings) {
    let mut tests: BTreeMap<(String, String), Test> = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let (true, Some(unit), Some(_)) = (MEASURED.contains(&entry.category), &entry.row.unit, &entry.row.value)
        else {
            continue;
        };
        for coding in &entry.row.codings {
            let test = tests.entry((coding.system.clone(), coding.code.clone())).or_default();
            test.units.entry(same_unit(unit)).or_insert_with(|| unit.clone());
            test.rows.push(index);
        }
    }
    let mut differing: BTreeMap<usize, String> = BTreeMap::new();
    for test in tests.into_values().filter(|test| test.units.len() > 1) {
        let units = test.units.into_values().collect::<Vec<_>>().join(", ");
        for index in test.rows {
            differing.entry(index).or_insert_with(|| units.clone());
        }
    }
    for (index, units) in differing {
        if let Some(entry) = entries.get_mut(index) {
            told.add(Warning::UnitsDiffer, &format!("{}: {units}", entry.row.text));
            entry.row.notes.push(format!("this test is given in different units: {units}"));
        }
    }
}

/// One test by one code.
#[derive(Default)]
struct Test {
    /// Each unit, by what it is the same as, as first written.
    units: BTreeMap<String, String>,
    rows: Vec<usize>,
}

/// A unit without what people and UCUM write differently for the same thing.
fn same_unit(unit: &str) -> String {
    let plain: String = unit
        .to_lowercase()
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '{' | '}' | '_' | '[' | ']' | '(' | ')'))
        .map(|c| match c {
            'µ' | 'μ' => 'u',
            '^' => '*',
            '×' => 'x',
            c => c,
        })
        .collect();
    let plain = plain.trim_start_matches('x');
    let known = SAME_UNITS.iter().find(|names| names.contains(&plain)).and_then(|names| names.first());
    known.map_or_else(|| plain.to_owned(), |name| (*name).to_owned())
}

/// What is recorded a little ahead of this node's clock, or today in another zone, is not in the future.
const TOLERANCE: Duration = Duration::from_secs(24 * 3600);
/// Types whose clinical date is when something is to be, or may become valid.
const PLANS: [&str; 8] =
    ["Appointment", "CarePlan", "Goal", "ServiceRequest", "Task", "Consent", "EpisodeOfCare", "NutritionOrder"];
/// Statuses of what has not happened yet.
const PLANNED: [&str; 10] = [
    "planned",
    "intended",
    "booked",
    "proposed",
    "pending",
    "waitlist",
    "draft",
    "preparation",
    "requested",
    "registered",
];
/// Where tests are compared.
const MEASURED: [Category; 2] = [Category::Results, Category::Vitals];
/// Units with more than one name; the first stands for all of them.
const SAME_UNITS: [&[&str]; 8] = [
    &["cel", "degreesc", "degc", "°c", "c", "degreescelsius"],
    &["/min", "beats/min", "bpm", "breaths/min", "permin", "/minute", "perminute"],
    &["umol/l", "micromol/l", "mcmol/l"],
    &["ug/l", "mcg/l", "microg/l", "microgram/l", "micrograms/l"],
    &["miu/l", "mu/l", "mi.u./l"],
    &["iu/l", "u/l", "units/l"],
    &["10*9/l", "10e9/l", "109/l"],
    &["%", "percent", "percentage"],
];

#[cfg(test)]
mod tests;
