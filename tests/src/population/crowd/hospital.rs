//! What the acute trust writes about one member of the crowd.

use jiff::ToSpan;
use jiff::civil::Date;

use super::history::{BLOODS, RENAL, Shared, Story};
use crate::population::Person;
use crate::population::organisation::ACUTE;
use crate::population::random::Random;
use crate::population::record::Record;
use crate::population::terminology::{Concept, event, kind, measure};

pub(super) fn acute<'a>(
    person: &'a Person,
    story: &Story<'_>,
    shared: &Shared,
    born: Date,
    random: &mut Random,
    as_of: Date,
) -> Record<'a> {
    let mut record = Record::open(person, &ACUTE, as_of, born);
    let age = person.age(as_of);
    let admitted = record.ago(story.last_admission.min(i64::from(age) * 365 + 8));
    let left = admitted.saturating_add(random.between(1, 6).days());
    let reason = random.pick(ADMISSIONS, "Abdominal pain");
    let stay = record.encounter("IMP", &event::ADMISSION, reason, admitted, Some(left));
    let stay = record.add(stay);
    for day in 0..random.between(1, 2) {
        let date = admitted.saturating_add(day.days());
        record.add_report(random, &measure::RENAL_PROFILE, RENAL, date);
        record.add_observation_round(random, date, 380);
    }
    record.add_report(random, &measure::BLOOD_COUNT, BLOODS, admitted);
    if let (Some((allergen, reaction, severity)), Some(identifier)) = (story.allergy, &shared.allergy) {
        let copy = record
            .allergy(&allergen, &reaction, severity, &admitted.year().to_string(), admitted)
            .without(&["onsetDateTime"])
            .copy_of(Some(identifier.clone()));
        record.add(copy);
    } else if random.chance(30) {
        let none = record.no_known_allergy(admitted);
        record.add(none);
    }
    if random.chance(45) {
        let (study, modality) = if age > 60 && random.chance(40) {
            (measure::HEAD_TOMOGRAPHY, "CT")
        } else {
            (measure::CHEST_RADIOGRAPH, "CR")
        };
        record.add_imaging(&study, modality, "No acute abnormality.", admitted);
    }
    if age >= 40 && random.chance(40) {
        let operation = random.pick(OPERATIONS, event::COLONOSCOPY);
        let date = admitted.saturating_add(1.days());
        let entry = record.procedure(&operation, &date.to_string(), date);
        record.add(entry);
    } else if age < 40 && random.chance(12) {
        let entry = record.procedure(&event::APPENDICECTOMY, &admitted.to_string(), admitted);
        record.add(entry);
    }
    for disease in story.diseases.iter().filter(|disease| !disease.mental_health) {
        for medicine in disease.medicines {
            let status = if random.chance(8) { "on-hold" } else { "active" };
            let entry = record.prescription(medicine, status, "discharge", left);
            record.add(entry);
        }
    }
    discharge(&mut record, &stay, reason, left, random);
    if random.chance(25) {
        let clinic = record.appointment(
            &event::CONSULTATION,
            as_of.saturating_add(random.between(3, 60).days()),
            random.between(540, 960),
            left,
        );
        record.add(clinic);
    }
    record
}

fn discharge(record: &mut Record<'_>, stay: &str, reason: &str, left: Date, random: &mut Random) {
    let course = format!("Admitted with: {reason}. Improved with treatment and was discharged.");
    let composition = record.discharge_composition(
        stay,
        &[("Hospital course", &course), ("Plan", "Practice to review in two weeks.")],
        left,
    );
    record.add(composition);
    // One summary in four was sent twice: the second version replaces the first.
    let versions = if random.chance(25) { 2 } else { 1 };
    let name = format!("R9A|{}|discharge summary", record.person.nhs_number);
    for version in 1..=versions {
        let note = if version == 1 { "" } else { " Medicines list corrected." };
        let document = record
            .document(
                &kind::DISCHARGE_SUMMARY,
                "Discharge summary",
                &format!("{course}{note}"),
                left.saturating_add(i64::from(version - 1).days()),
            )
            .version_of(&name, version);
        record.add(document);
    }
}

const OPERATIONS: &[Concept] = &[
    event::COLONOSCOPY,
    event::CATARACT_EXTRACTION,
    event::HIP_REPLACEMENT,
    event::ECHOCARDIOGRAPHY,
    event::ELECTROCARDIOGRAM,
];

const ADMISSIONS: &[&str] = &[
    "Fall with head injury",
    "Chest pain",
    "Breathlessness",
    "Abdominal pain",
    "Fever and confusion",
    "Planned procedure",
];
