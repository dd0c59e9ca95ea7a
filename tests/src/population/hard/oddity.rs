//! Entries that say odd things: every one of them has come out of a real system.

use jiff::ToSpan;
use jiff::civil::{Date, date};
use serde_json::{Value, json};

use super::{HardPerson, MALE, WALWORTH};
use crate::population::Person;
use crate::population::clinical::status_of;
use crate::population::medicine;
use crate::population::organisation::{ACUTE, PRACTICE_WALWORTH};
use crate::population::record::{Record, moment};
use crate::population::terminology::measure::{self, Measure};
use crate::population::terminology::{LOINC, SNOMED, allergy, event, kind, problem};

/// Codes out of use, a code and a display that disagree, no dates, dates to come and before birth, a year, a month, nothing but words, entries
/// in error, a category nobody knows, an empty display, one test in two units, and a document that goes on and on. Nothing of it may be lost,
/// and nothing of it may stop the rest. Rules 4, 6, 10 and 16.
///
/// Two entries are deliberately not valid FHIR R4: both have `Coding.display` as an empty string.
#[must_use]
pub const fn odd_entries() -> HardPerson {
    HardPerson {
        case: "odd-entries",
        nhs_number: "9990520437",
        birth_date: date(1968, 4, 1),
        family: "Pomfret",
        given: "Cosmo",
        gender: MALE,
        registered_practice: WALWORTH,
        holders: &["Y91002", "R9A"],
        hard: "retired codes, displays that disagree, no dates, odd dates, words only, errors, unknown category",
        rules: &[4, 6, 10, 16],
        records,
    }
}

fn records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut practice = Record::of(person, &PRACTICE_WALWORTH, as_of);
    dates(&mut practice, as_of);
    codes(&mut practice);
    words(&mut practice);
    errors(&mut practice);
    practice.add(practice.result(&measure::HAEMOGLOBIN, 121.0, practice.ago(90)));
    let mut hospital = Record::of(person, &ACUTE, as_of);
    elsewhere(&mut hospital);
    vec![practice, hospital]
}

fn dates(record: &mut Record<'_>, as_of: Date) {
    let recorded = record.ago(500);
    for onset in ["1987", "1999-06"] {
        let code = if onset.len() == 4 { problem::ECZEMA } else { problem::GOUT };
        record.add(record.problem(&code, "active", onset, recorded));
    }
    record.add(record.problem(&problem::OSTEOARTHRITIS, "active", "2010", recorded).undated());
    record.add(record.result(&measure::CHOLESTEROL, 5.2, recorded).undated());
    let no_date = record.prescription(&medicine::OMEPRAZOLE, "active", "community", recorded).undated();
    record.add(no_date);
    let ahead = as_of.saturating_add(3.years());
    record.add(record.problem(&problem::MIGRAINE, "active", &ahead.to_string(), recorded));
    let later = record.result(&measure::SODIUM, 139.0, recorded).with("effectiveDateTime", json!(moment(ahead, 495)));
    record.add(later);
    let before_birth =
        record.immunisation(&event::TETANUS_VACCINE, recorded).with("occurrenceDateTime", json!("1958-01-01"));
    record.add(before_birth);
}

fn codes(record: &mut Record<'_>) {
    let recorded = record.ago(480);
    record.add(record.problem(&problem::RETIRED, "active", "2001", recorded));
    let disagreeing =
        json!({"coding": [{"system": SNOMED, "code": problem::TYPE_2_DIABETES.code, "display": "Asthma"}]});
    record.add(record.problem(&problem::TYPE_2_DIABETES, "active", "2012", recorded).with("code", disagreeing));
    let against = json!({
        "coding": [{"system": SNOMED, "code": medicine::APIXABAN.code, "display": "Warfarin 3mg tablets"}],
        "text": "Warfarin 3mg tablets"
    });
    let against = record
        .prescription(&medicine::WARFARIN, "active", "community", record.ago(30))
        .with("medicationCodeableConcept", against);
    record.add(against);
    let empty = json!({"coding": [{"system": SNOMED, "code": problem::HYPERTENSION.code, "display": ""}]});
    record.add(record.problem(&problem::HYPERTENSION, "active", "2014", recorded).with("code", empty));
    let empty = json!({"coding": [{"system": SNOMED, "code": allergy::LATEX.code, "display": ""}]});
    let empty = record.allergy(&allergy::LATEX, &allergy::RASH, "mild", "2009", recorded).with("code", empty);
    record.add(empty);
    let unknown = status_of("observation-category", "activity");
    let unknown = record
        .result(&measure::TSH, 2.4, recorded)
        .with("category", json!([unknown, {"text": "Miscellaneous"}]))
        .with("code", json!({"coding": [{"system": LOINC, "code": "3016-3"}], "text": "Something measured"}));
    record.add(unknown);
}

fn words(record: &mut Record<'_>) {
    let recorded = record.ago(470);
    record.add(record.uncoded_problem("Funny turns since the accident", recorded));
    record.add(record.uncoded_allergy("The pink antibiotic, throat closed up", recorded));
    let words = record
        .prescription(&medicine::PARACETAMOL, "active", "community", record.ago(30))
        .with("medicationCodeableConcept", json!({"text": "Eye drops from the hospital, the yellow bottle"}))
        .with("dosageInstruction", json!([{"text": "Both eyes when sore"}]))
        .without(&["dispenseRequest"]);
    record.add(words);
    let long = format!("{}{LONG_NARRATIVE_END}", "He says much the same as last time. ".repeat(LONG_SENTENCES));
    record.add(record.document(&kind::LETTER, "A very long letter", &long, record.ago(460)));
}

fn errors(record: &mut Record<'_>) {
    let recorded = record.ago(450);
    let mistaken = record
        .problem(&problem::EPILEPSY, "active", "2018", recorded)
        .without(&["clinicalStatus"])
        .with("verificationStatus", status_of("condition-ver-status", "entered-in-error"));
    record.add(mistaken);
    let mistaken = record.result(&measure::POTASSIUM, 9.9, recorded).with("status", json!("entered-in-error"));
    record.add(mistaken);
}

/// The same test in the unit that the hospital's laboratory used to report in.
fn elsewhere(record: &mut Record<'_>) {
    let date = record.ago(60);
    let grams_a_decilitre =
        Measure { unit: "g/dL", ucum: "g/dL", reference: Some((11.5, 16.5)), decimals: 1, ..measure::HAEMOGLOBIN };
    record.add(record.result(&grams_a_decilitre, 12.3, date));
    let nothing_said: Value = json!({"text": "Patient says \u{201c}allergic to hospitals\u{201d}"});
    let said = record.uncoded_allergy("", date).with("code", nothing_said);
    record.add(said);
    record.add(record.encounter("AMB", &event::CONSULTATION, "Review", date, Some(date)));
}

/// The end of the long document: whoever shows it whole shows this.
pub const LONG_NARRATIVE_END: &str = "And that, he said, was the whole of it.";

/// About 72 kilobytes.
const LONG_SENTENCES: usize = 2_000;
