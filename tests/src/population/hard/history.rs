//! Three thousand entries of one person: thirty years of check-ups, admissions, dressings and dispensed medicines.

use jiff::civil::{Date, date};

use super::{BOROUGH, HardPerson, MALE};
use crate::population::Person;
use crate::population::medicine;
use crate::population::observation::draw;
use crate::population::organisation::{ACUTE, AMBULANCE, COMMUNITY, PHARMACY, PRACTICE_BOROUGH};
use crate::population::random::Random;
use crate::population::record::Record;
use crate::population::terminology::measure::{self, Measure};
use crate::population::terminology::{allergy, event, kind, problem};

/// Exactly [`HISTORY_ENTRIES`] entries at five organisations. The one severe allergy stands in the oldest of them, the current medicines in the
/// newest, and a view must show both without cutting anything. Rules 5, 6 and 11.
#[must_use]
pub const fn long_history() -> HardPerson {
    HardPerson {
        case: "long-history",
        nhs_number: "9990520445",
        birth_date: date(1940, 11, 23),
        family: "Rutherglen",
        given: "Alistair",
        gender: MALE,
        registered_practice: BOROUGH,
        holders: &["Y91001", "R9A", "R9C", "R9X", "FZ901"],
        hard: "three thousand entries at five organisations",
        rules: &[5, 6, 11],
        records,
    }
}

/// Entries of [`long_history`], the five copies of the Patient among them.
pub const HISTORY_ENTRIES: usize = 3_000;

fn records(person: &Person, seed: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut random = Random::new(seed, "long history");
    let others = [
        hospital(person, &mut random, as_of),
        community(person, &mut random, as_of),
        ambulance(person, &mut random, as_of),
        pharmacy(person, as_of),
    ];
    let written: usize = others.iter().map(Record::len).sum();
    let practice = practice(person, &mut random, as_of, HISTORY_ENTRIES.saturating_sub(written));
    std::iter::once(practice).chain(others).collect()
}

/// Check-ups, newest first, until there are `entries`.
fn practice<'a>(person: &'a Person, random: &mut Random, as_of: Date, entries: usize) -> Record<'a> {
    let mut record = Record::of(person, &PRACTICE_BOROUGH, as_of);
    record.add(record.allergy(&allergy::PENICILLIN, &allergy::ANAPHYLAXIS, "severe", "1961", record.ago(10_900)));
    for (code, onset) in [
        (problem::TYPE_2_DIABETES, "1995"),
        (problem::HEART_FAILURE, "2011"),
        (problem::CHRONIC_KIDNEY_DISEASE, "2016"),
        (problem::COPD, "2004"),
    ] {
        record.add(record.problem(&code, "active", onset, record.ago(1000)));
    }
    for medicine in CURRENT {
        record.add(record.prescription(medicine, "active", "community", record.ago(11)));
    }
    let mut days = 20;
    while record.len() < entries {
        let date = record.ago(days);
        let check_up = CHECK_UP.iter().map(|measure| record.result(measure, draw(random, measure), date));
        let mut check_up: Vec<_> = check_up.collect();
        check_up.push(record.blood_pressure(random.between(104, 172), random.between(56, 96), date, 600));
        check_up.push(record.vital(&measure::WEIGHT, random.value(72.0, 91.0, 1), date, 605));
        check_up.push(record.encounter("AMB", &event::CONSULTATION, "Long-term conditions review", date, Some(date)));
        for entry in check_up.into_iter().take(entries - record.len()) {
            record.add(entry);
        }
        days += 48;
    }
    record
}

fn hospital<'a>(person: &'a Person, random: &mut Random, as_of: Date) -> Record<'a> {
    let mut record = Record::of(person, &ACUTE, as_of);
    for admission in 0..ADMISSIONS {
        let admitted = record.ago(70 + admission * 610);
        let left = record.ago(65 + admission * 610);
        let stay = record.encounter("IMP", &event::ADMISSION, "Breathless", admitted, Some(left));
        let stay = record.add(stay);
        for day in 0..5 {
            let date = record.ago(70 + admission * 610 - day);
            record.add_report(random, &measure::RENAL_PROFILE, RENAL, date);
            record.add_observation_round(random, date, 370);
        }
        record.add_imaging(&measure::CHEST_RADIOGRAPH, "CR", "Cardiomegaly. No consolidation.", admitted);
        let course = [("Hospital course", "Diuresed. Weight down. Home with community nursing.")];
        record.add(record.discharge_composition(&stay, &course, left));
    }
    record
}

fn community<'a>(person: &'a Person, random: &mut Random, as_of: Date) -> Record<'a> {
    let mut record = Record::of(person, &COMMUNITY, as_of);
    record.add(record.episode("district-nursing", "District nursing", record.ago(1500), None));
    for visit in 0..VISITS {
        let date = record.ago(2 + visit * 7);
        record.add(record.encounter("HH", &event::HOME_VISIT, "Leg ulcer dressing", date, Some(date)));
        record.add(record.procedure(&event::WOUND_CARE, &date.to_string(), date));
        record.add(record.vital(&measure::WEIGHT, random.value(72.0, 91.0, 1), date, 640));
    }
    record
}

fn ambulance<'a>(person: &'a Person, random: &mut Random, as_of: Date) -> Record<'a> {
    let mut record = Record::of(person, &AMBULANCE, as_of);
    for journey in 0..ADMISSIONS {
        let date = record.ago(70 + journey * 610);
        record.add(record.encounter("EMER", &event::EMERGENCY_ADMISSION, "Breathless at rest", date, Some(date)));
        record.add_observation_round(random, date, 300);
        record.add(record.document(&kind::LETTER, "Ambulance clinical handover", "Sitting up, oxygen given.", date));
    }
    record
}

fn pharmacy(person: &Person, as_of: Date) -> Record<'_> {
    let mut record = Record::of(person, &PHARMACY, as_of);
    for month in 0..MONTHS {
        for medicine in CURRENT {
            record.add(record.dispensed(medicine, record.ago(9 + month * 28)));
        }
    }
    record
}

/// One every twenty months or so.
const ADMISSIONS: i64 = 12;
/// Of the district nurses, one a week.
const VISITS: i64 = 150;
/// For which the pharmacy's system goes back.
const MONTHS: i64 = 96;

const CURRENT: &[medicine::Medicine] =
    &[medicine::FUROSEMIDE, medicine::BISOPROLOL, medicine::METFORMIN, medicine::SALBUTAMOL];
const CHECK_UP: &[Measure] = &[measure::EGFR, measure::HBA1C, measure::CHOLESTEROL, measure::POTASSIUM];
const RENAL: &[Measure] = &[measure::SODIUM, measure::POTASSIUM, measure::UREA, measure::CREATININE, measure::EGFR];
