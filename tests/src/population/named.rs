//! The four named patients.

use jiff::civil::{Date, date};
use serde_json::json;

use super::identity::{Address, Person};
use super::medicine;
use super::organisation::{ACUTE, MENTAL_HEALTH, PHARMACY, PRACTICE_BOROUGH, PRACTICE_WALWORTH};
use super::random::Random;
use super::record::Record;
use super::terminology::{allergy, event, kind, label, measure, problem};
use super::{Holding, ada, cara, close};

/// The named patients with their holdings, always in the same order.
pub(super) fn everyone(seed: u64, as_of: Date) -> Vec<(Person, Vec<Holding>)> {
    let ada = ada_okafor();
    let ben = ben_ellis();
    let cara = cara::shah();
    let namesake = namesake();
    let holdings = [
        ada::records(&ada, seed, as_of),
        ben_records(&ben, seed, as_of),
        cara::records(&cara, seed, as_of),
        namesake_records(&namesake, seed, as_of),
    ];
    [ada, ben, cara, namesake].into_iter().zip(holdings).collect()
}

fn ada_okafor() -> Person {
    Person {
        nhs_number: "9990010013".to_owned(),
        birth_date: date(1938, 3, 14),
        family: "Okafor".to_owned(),
        given: "Ada".to_owned(),
        gender: "female",
        registered_practice: PRACTICE_BOROUGH.ods,
        note: "lives at VL901; apixaban on hold at R9A and active at Y91001; no known allergy at R9X; canary in R9A discharge summary"
            .to_owned(),
        case: "",
        middle: Some("Ngozi".to_owned()),
        address: Address {
            first_line: "Room 14, 12 Lavender Quay Road".to_owned(),
            locality: "Bermondsey".to_owned(),
            postcode: "SE16 4AV".to_owned(),
        },
        telephone: "020 7946 0114".to_owned(),
        restricted: false,
        deceased: None,
    }
}

fn ben_ellis() -> Person {
    Person {
        nhs_number: "9990133484".to_owned(),
        birth_date: date(1951, 7, 2),
        family: "Ellis".to_owned(),
        given: "Ben".to_owned(),
        gender: "male",
        registered_practice: PRACTICE_WALWORTH.ods,
        note: "no known allergy at R9A beside an active one at Y91002; lithium under a PSY label".to_owned(),
        case: "",
        middle: None,
        address: Address {
            first_line: "Flat 3, 41 Bellfounder Street".to_owned(),
            locality: "Walworth".to_owned(),
            postcode: "SE17 2BK".to_owned(),
        },
        telephone: "020 7946 0348".to_owned(),
        restricted: false,
        deceased: None,
    }
}

fn namesake() -> Person {
    Person {
        nhs_number: "9990380422".to_owned(),
        birth_date: date(1938, 3, 14),
        family: "Okafor".to_owned(),
        given: "Ada".to_owned(),
        gender: "female",
        registered_practice: PRACTICE_WALWORTH.ods,
        note: "same name and birth date as 9990010013, another person".to_owned(),
        case: "",
        middle: Some("Chidinma".to_owned()),
        address: Address {
            first_line: "88 Hopgarden Terrace".to_owned(),
            locality: "Walworth".to_owned(),
            postcode: "SE17 5HC".to_owned(),
        },
        telephone: "020 7946 0422".to_owned(),
        restricted: false,
        deceased: None,
    }
}

fn ben_records(person: &Person, seed: u64, as_of: Date) -> Vec<Holding> {
    let mut random = Random::new(seed, "ben");
    let born = person.birth_date;

    let mut practice = Record::open(person, &PRACTICE_WALWORTH, as_of, born);
    let day = practice.ago(420);
    for (code, years) in [(problem::COPD, 11), (problem::HYPERTENSION, 16)] {
        let entry = practice.problem(&code, "active", &practice.year_ago(years), day);
        practice.add(entry);
    }
    let depression =
        practice.problem(&problem::DEPRESSION, "active", &practice.year_ago(19), day).labelled(label::MENTAL_HEALTH);
    practice.add(depression);
    let sulfonamide =
        practice.allergy(&allergy::SULFONAMIDE, &allergy::RASH, "moderate", "2007-10", practice.ago(6800));
    practice.add(sulfonamide);
    for medicine in [medicine::SALBUTAMOL, medicine::AMLODIPINE] {
        let entry = practice.prescription(&medicine, "active", "community", practice.ago(24));
        practice.add(entry);
    }
    // The indication is mental-health detail; the medicine itself must still be shown to everyone who may see medicines.
    let lithium = practice
        .prescription(&medicine::LITHIUM, "active", "community", practice.ago(24))
        .with("reasonCode", json!([{"text": "Augmentation in recurrent depression"}]))
        .labelled(label::MENTAL_HEALTH);
    practice.add(lithium);
    for (months, level) in [(13, 0.52), (10, 0.61), (7, 0.58), (4, 0.66), (1, 0.71)] {
        let date = practice.ago(months * 30);
        let lithium = practice.result(&measure::LITHIUM, level, date);
        practice.add(lithium);
        practice.add_report(&mut random, &measure::RENAL_PROFILE, RENAL, date);
    }
    let vaccine = practice.immunisation(&event::INFLUENZA_VACCINE, practice.ago(210));
    practice.add(vaccine);
    let letter = practice.document(
        &kind::REFERRAL_LETTER,
        "Referral to pulmonary rehabilitation",
        "Breathless on one flight of stairs. Please assess for rehabilitation.",
        practice.ago(75),
    );
    practice.add(letter);

    let mut hospital = Record::open(person, &ACUTE, as_of, born);
    let admitted = hospital.ago(160);
    let left = hospital.ago(155);
    let stay = hospital.encounter("IMP", &event::ADMISSION, "Acute exacerbation of COPD", admitted, Some(left));
    let stay = hospital.add(stay);
    let exacerbation = hospital.problem(&problem::COPD_EXACERBATION, "resolved", &admitted.to_string(), left);
    hospital.add(exacerbation);
    let none_known = hospital.no_known_allergy(admitted);
    hospital.add(none_known);
    hospital.add_imaging(&measure::CHEST_RADIOGRAPH, "CR", "Hyperinflated lungs. No consolidation.", admitted);
    hospital.add_report(&mut random, &measure::BLOOD_COUNT, BLOODS, admitted);
    let summary = hospital.discharge_composition(
        &stay,
        &[
            ("Reason for admission", "Acute exacerbation of COPD."),
            ("Medicines", "Prednisolone for five days. Lithium continued unchanged."),
        ],
        left,
    );
    hospital.add(summary);

    let mut mental_health = Record::open(person, &MENTAL_HEALTH, as_of, born);
    let caseload = mental_health.episode(
        "community-mental-health",
        "Community mental health caseload",
        mental_health.ago(700),
        None,
    );
    mental_health.add(caseload);
    let lithium = mental_health
        .prescription(&medicine::LITHIUM, "active", "community", mental_health.ago(60))
        .labelled(label::MENTAL_HEALTH);
    mental_health.add(lithium);
    for days in [240, 150, 60] {
        let note = mental_health
            .document(
                &kind::LETTER,
                "Outpatient review",
                "Mood stable on lithium. Sleep reasonable. Next review in three months.",
                mental_health.ago(days),
            )
            .labelled(label::MENTAL_HEALTH);
        mental_health.add(note);
    }

    let mut pharmacy = Record::open(person, &PHARMACY, as_of, born);
    for medicine in [medicine::LITHIUM, medicine::AMLODIPINE, medicine::SALBUTAMOL] {
        let entry = pharmacy.dispensed(&medicine, pharmacy.ago(20));
        pharmacy.add(entry);
    }
    let bought = pharmacy.medicine_taken(
        &medicine::NAPROXEN,
        "Says he takes it for his knee, from an old supply. Advised against with lithium; practice told.",
        pharmacy.ago(20),
    );
    pharmacy.add(bought);

    close(vec![practice, hospital, mental_health, pharmacy])
}

fn namesake_records(person: &Person, seed: u64, as_of: Date) -> Vec<Holding> {
    let mut random = Random::new(seed, "namesake");
    let born = person.birth_date;

    let mut practice = Record::open(person, &PRACTICE_WALWORTH, as_of, born);
    let day = practice.ago(500);
    for (code, years) in [(problem::STROKE, 9), (problem::OSTEOPOROSIS, 6), (problem::HYPOTHYROIDISM, 21)] {
        let entry = practice.problem(&code, "active", &practice.year_ago(years), day);
        practice.add(entry);
    }
    let latex = practice.allergy(&allergy::LATEX, &allergy::RASH, "mild", "2011", practice.ago(5000));
    practice.add(latex);
    for medicine in [medicine::WARFARIN, medicine::LEVOTHYROXINE, medicine::ALENDRONIC_ACID] {
        let entry = practice.prescription(&medicine, "active", "community", practice.ago(18));
        practice.add(entry);
    }
    practice.add_report(&mut random, &measure::RENAL_PROFILE, RENAL, practice.ago(90));
    practice.add_observation_round(&mut random, practice.ago(90), 610);

    let mut hospital = Record::open(person, &ACUTE, as_of, born);
    let stay = hospital.encounter(
        "IMP",
        &event::ADMISSION,
        "Left hip replacement",
        hospital.ago(800),
        Some(hospital.ago(795)),
    );
    hospital.add(stay);
    let hip = hospital.procedure(&event::HIP_REPLACEMENT, &hospital.ago(799).to_string(), hospital.ago(799));
    hospital.add(hip);
    let letter = hospital.document(
        &kind::LETTER,
        "Orthopaedic clinic letter",
        "Walking with one stick. Discharged from clinic.",
        hospital.ago(700),
    );
    hospital.add(letter);

    close(vec![practice, hospital])
}

const RENAL: &[measure::Measure] =
    &[measure::SODIUM, measure::POTASSIUM, measure::UREA, measure::CREATININE, measure::EGFR];

pub(super) const BLOODS: &[measure::Measure] =
    &[measure::HAEMOGLOBIN, measure::WHITE_CELLS, measure::C_REACTIVE_PROTEIN];
