//! What the registered practice writes about one member of the crowd.

use jiff::ToSpan;
use jiff::civil::Date;

use super::history::{RENAL, Shared, Story, bounded};
use super::{Disease, Pattern};
use crate::population::Person;
use crate::population::clinical::status_of;
use crate::population::medicine;
use crate::population::observation::draw;
use crate::population::organisation::practice;
use crate::population::random::Random;
use crate::population::record::Record;
use crate::population::terminology::{Concept, allergy, event, kind, label, measure, problem};

pub(super) fn general_practice<'a>(
    person: &'a Person,
    pattern: &Pattern,
    story: &Story<'_>,
    random: &mut Random,
    as_of: Date,
) -> (Record<'a>, Shared) {
    let mut record = Record::open(person, practice(person.registered_practice), as_of, person.birth_date);
    let age = person.age(as_of);
    let mut shared = Shared::default();
    for disease in story.diseases {
        long_term(&mut record, disease, age, random);
    }
    minor_problems(&mut record, story, age, random);
    if let Some((allergen, reaction, severity)) = story.allergy {
        let onset = record.year_ago(bounded(random, 0, age));
        let entry = record.allergy(&allergen, &reaction, severity, &onset, record.ago(700));
        let entry = record.add(entry);
        shared.allergy = record.identifier(&entry);
    } else if random.chance(20) {
        let words = record.uncoded_allergy("Antibiotic, name not known, as a child", record.ago(1900));
        record.add(words);
    }
    for _ in 0..random.between(pattern.contacts.0, pattern.contacts.1) {
        if record.len() < MOST_BEFORE_VACCINES {
            contact(&mut record, age, random);
        }
    }
    vaccines(&mut record, age, random);
    if age >= 75 {
        let frailty = record.frailty_index(random.value(0.12, 0.48, 2), record.ago(random.between(30, 330)));
        record.add(frailty);
        let plan = record.care_plan(
            &kind::PERSONALISED_PLAN,
            "Personalised care and support plan",
            &["Annual review", "Medicines review", "Falls advice"],
            record.ago(random.between(20, 300)),
        );
        let plan = record.add(plan);
        shared.plan = record.identifier(&plan);
    }
    if random.chance(35) {
        referral(&mut record, random);
    }
    let target = random.between(16, 26);
    while i64::try_from(record.len()).unwrap_or(target) < target {
        contact(&mut record, age, random);
    }
    (record, shared)
}

fn long_term(record: &mut Record<'_>, disease: &Disease, age: i16, random: &mut Random) {
    let years = bounded(random, 0, (age - disease.from_age).min(25));
    let onset = record.year_ago(years);
    let recorded = record.ago(random.between(20, 700));
    let status = if random.chance(6) { "resolved" } else { "active" };
    let mut entry = record.problem(&disease.concept, status, &onset, recorded);
    if disease.mental_health {
        entry = entry.labelled(label::MENTAL_HEALTH);
    }
    if random.chance(4) {
        entry = entry.undated();
    }
    record.add(entry);
    if status == "resolved" {
        return;
    }
    for medicine in disease.medicines {
        let issued = record.ago(random.between(2, 27));
        let mut entry = record.prescription(medicine, "active", "community", issued);
        if disease.mental_health {
            entry = entry.labelled(label::MENTAL_HEALTH);
        }
        record.add(entry);
    }
    for measure in disease.measures {
        for round in 0..random.between(1, 3) {
            let date = record.ago(round * 170 + random.between(5, 60));
            let entry = record.result(measure, draw(random, measure), date);
            record.add(entry);
        }
    }
}

fn minor_problems(record: &mut Record<'_>, story: &Story<'_>, age: i16, random: &mut Random) {
    let illness = if age < 16 { problem::OTITIS_MEDIA } else { random.pick(MINOR, problem::ANKLE_SPRAIN) };
    if random.chance(60) {
        let date = record.ago(random.between(60, 1500).min(i64::from(age) * 365 + 20));
        let entry = record.problem(&illness, "resolved", &date.to_string(), date);
        record.add(entry);
        if let Some(medicine) = antibiotic(&illness, story, age) {
            let course = record.prescription(&medicine, "completed", "community", date);
            record.add(course);
        }
    }
    if random.chance(22) {
        let words = random.pick(WORDS, "Feeling tired all the time");
        let entry = record.uncoded_problem(words, record.ago(random.between(10, 900)));
        record.add(entry);
    }
    if random.chance(5) {
        let mistaken = record
            .problem(&problem::GOUT, "active", &record.year_ago(1), record.ago(400))
            .without(&["clinicalStatus"])
            .with("verificationStatus", status_of("condition-ver-status", "entered-in-error"));
        record.add(mistaken);
    }
}

/// What is given for an infection; never a penicillin to somebody allergic to it.
fn antibiotic(illness: &Concept, story: &Story<'_>, age: i16) -> Option<medicine::Medicine> {
    let penicillin = story.allergy.is_some_and(|(allergen, ..)| allergen.code == allergy::PENICILLIN.code);
    if age < 12 {
        None
    } else if illness.code == problem::URINARY_INFECTION.code {
        Some(medicine::TRIMETHOPRIM)
    } else if illness.code == problem::PNEUMONIA.code || illness.code == problem::OTITIS_MEDIA.code {
        (!penicillin).then_some(medicine::AMOXICILLIN)
    } else {
        None
    }
}

/// One consultation with what was measured in it.
fn contact(record: &mut Record<'_>, age: i16, random: &mut Random) {
    let date = record.ago(random.between(3, 1400).min(i64::from(age) * 365 + 3));
    let telephone = random.chance(30);
    let (class, kind) = if telephone { ("VR", event::TELEPHONE) } else { ("AMB", event::CONSULTATION) };
    let reason = random.pick(REASONS, "Review");
    let entry = record.encounter(class, &kind, reason, date, Some(date));
    record.add(entry);
    if telephone {
        return;
    }
    if age >= 16 {
        let (systolic, diastolic) = (random.between(108, 166), random.between(58, 96));
        let pressure = record.blood_pressure(systolic, diastolic, date, 600);
        record.add(pressure);
    }
    if age >= 16 && random.chance(40) {
        for measure in [measure::WEIGHT, measure::BODY_MASS_INDEX] {
            let entry = record.vital(&measure, draw(random, &measure), date, 602);
            record.add(entry);
        }
    }
    if age >= 16 && random.chance(18) {
        record.add_report(random, &measure::RENAL_PROFILE, RENAL, date);
    }
}

fn vaccines(record: &mut Record<'_>, age: i16, random: &mut Random) {
    if age < 16 {
        let date = record.person.birth_date.saturating_add(54.weeks());
        if date < record.as_of {
            let entry = record.immunisation(&event::MMR_VACCINE, date);
            record.add(entry);
        }
        return;
    }
    if age >= 65 || random.chance(30) {
        for years in 0..random.between(1, 3) {
            let date = record.ago(years * 365 + random.between(120, 200));
            let entry = record.immunisation(&event::INFLUENZA_VACCINE, date);
            record.add(entry);
        }
        let date = record.ago(random.between(150, 400));
        let entry = record.immunisation(&event::COVID_VACCINE, date);
        record.add(entry);
    }
    if random.chance(15) {
        let date = record.ago(random.between(400, 3000));
        let entry = record.immunisation(&event::TETANUS_VACCINE, date);
        record.add(entry);
    }
}

fn referral(record: &mut Record<'_>, random: &mut Random) {
    let date = record.ago(random.between(10, 380));
    if random.chance(40) {
        let entry =
            record.referral(kind::SOCIAL_PRESCRIBING.concept(), "Lonely since moving; would like a lunch club", date);
        record.add(entry);
    } else {
        let letter = record.document(
            &kind::REFERRAL_LETTER,
            "Referral to outpatients",
            "Thank you for seeing this patient. History and medicines are attached in summary.",
            date,
        );
        record.add(letter);
    }
}

/// Keeps one person's whole history near a hundred entries.
const MOST_BEFORE_VACCINES: usize = 36;

const MINOR: &[Concept] =
    &[problem::URINARY_INFECTION, problem::PNEUMONIA, problem::ANKLE_SPRAIN, problem::FRACTURED_HIP];

const WORDS: &[&str] = &[
    "Feeling tired all the time",
    "Worried about memory, daughter noticed first",
    "Dizzy on standing, worse in the morning",
    "Itchy scalp after new shampoo",
    "Knee gives way going downstairs",
];

const REASONS: &[&str] = &[
    "Long-term condition review",
    "Medicines review",
    "Cough",
    "Back pain",
    "Blood test",
    "Low mood",
    "Skin problem",
    "Vaccination advice",
];
