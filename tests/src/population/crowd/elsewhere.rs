//! What the community, mental health and ambulance trusts, the care home, the council and the pharmacy write about one member of the crowd.

use jiff::ToSpan;
use jiff::civil::Date;

use super::history::{Shared, Story, bounded};
use crate::population::Person;
use crate::population::document::social_care;
use crate::population::medicine;
use crate::population::observation::draw;
use crate::population::organisation::{AMBULANCE, CARE_HOME, COMMUNITY, COUNCIL, MENTAL_HEALTH, PHARMACY};
use crate::population::random::Random;
use crate::population::record::Record;
use crate::population::terminology::{event, kind, label, measure};

pub(super) fn community<'a>(person: &'a Person, random: &mut Random, as_of: Date) -> Record<'a> {
    let mut record = Record::open(person, &COMMUNITY, as_of, person.birth_date);
    if person.age(as_of) < 16 {
        let date = record.ago(random.between(30, 300).min(i64::from(person.age(as_of)) * 365 + 10));
        let visit = record.encounter("HH", &event::HOME_VISIT, "Health visitor review", date, Some(date));
        record.add(visit);
        return record;
    }
    let since = random.between(20, 260);
    let ended = random.chance(35).then(|| record.ago(4));
    let episode = record.episode("district-nursing", "District nursing", record.ago(since), ended);
    record.add(episode);
    let plan = record.care_plan(
        &kind::CARE_PLAN,
        "District nursing care plan",
        &["Pressure area care", "Catheter or wound care as charted"],
        record.ago(since),
    );
    record.add(plan);
    for visit in 0..random.between(2, 3) {
        let date = record.ago(4 + visit * since / 5);
        let entry = record.encounter("HH", &event::HOME_VISIT, "District nurse visit", date, Some(date));
        record.add(entry);
        let dressing = record.procedure(&event::WOUND_CARE, &date.to_string(), date);
        record.add(dressing);
        let weight = record.vital(&measure::WEIGHT, draw(random, &measure::WEIGHT), date, 700);
        record.add(weight);
    }
    if ended.is_none() {
        let date = as_of.saturating_add(random.between(1, 6).days());
        let next = record.appointment(&event::HOME_VISIT, date, 540 + 30 * random.between(0, 12), record.ago(4));
        record.add(next);
    }
    record
}

pub(super) fn mental_health<'a>(person: &'a Person, story: &Story<'_>, random: &mut Random, as_of: Date) -> Record<'a> {
    let mut record = Record::open(person, &MENTAL_HEALTH, as_of, person.birth_date);
    let since = random.between(200, 1600);
    let episode =
        record.episode("community-mental-health", "Community mental health caseload", record.ago(since), None);
    record.add(episode);
    for disease in story.diseases.iter().filter(|disease| disease.mental_health) {
        let years = bounded(random, 1, 12);
        let entry = record
            .problem(&disease.concept, "active", &record.year_ago(years), record.ago(since))
            .labelled(label::MENTAL_HEALTH);
        record.add(entry);
        for medicine in disease.medicines {
            let entry = record
                .prescription(medicine, "active", "community", record.ago(random.between(10, 90)))
                .labelled(label::MENTAL_HEALTH);
            record.add(entry);
        }
    }
    for visit in 1..=random.between(2, 5) {
        let date = record.ago(visit * since / 6);
        let entry = record
            .encounter("AMB", &event::CONSULTATION, "Care coordinator review", date, Some(date))
            .labelled(label::MENTAL_HEALTH);
        record.add(entry);
        let note = record
            .document(&kind::LETTER, "Care coordinator note", random.pick(NOTES, "Mood steady. Plan unchanged."), date)
            .labelled(label::MENTAL_HEALTH);
        record.add(note);
    }
    let plan = record
        .care_plan(
            &kind::CARE_PLAN,
            "Wellbeing and crisis plan",
            &["Early warning signs agreed", "Crisis line number given"],
            record.ago(since / 2),
        )
        .labelled(label::MENTAL_HEALTH);
    record.add(plan);
    record
}

pub(super) fn ambulance<'a>(person: &'a Person, story: &Story<'_>, random: &mut Random, as_of: Date) -> Record<'a> {
    let mut record = Record::open(person, &AMBULANCE, as_of, person.birth_date);
    let date = record.ago(story.last_admission);
    let entry = record.encounter("EMER", &event::EMERGENCY_ADMISSION, "Fall at home", date, Some(date));
    record.add(entry);
    record.add_observation_round(random, date, 520);
    let handover = record.document(
        &kind::LETTER,
        "Ambulance clinical handover",
        "Found on the floor, orientated, no loss of consciousness.",
        date,
    );
    record.add(handover);
    record
}

pub(super) fn care_home<'a>(person: &'a Person, shared: &Shared, random: &mut Random, as_of: Date) -> Record<'a> {
    let mut record = Record::open(person, &CARE_HOME, as_of, person.birth_date);
    let moved_in = record.ago(random.between(60, 1500));
    let residency = record.episode("residency", "Care home residency", moved_in, person.deceased);
    record.add(residency);
    let about = record.document(
        &kind::ABOUT_ME,
        "About me",
        random.pick(ABOUT_ME, "I like the radio on low."),
        moved_in.saturating_add(7.days()),
    );
    record.add(about);
    for days in (1..=random.between(2, 3)).rev() {
        let date = record.ago(days);
        record.add_observation_round(random, date, 490);
    }
    let falls = record.flag("safety", kind::FALLS_RISK.concept(), moved_in);
    record.add(falls);
    let plan = record
        .care_plan(
            &kind::PERSONALISED_PLAN,
            "Personalised care and support plan (copy)",
            &["Annual review", "Medicines review", "Falls advice"],
            record.ago(20),
        )
        .copy_of(shared.plan.clone());
    record.add(plan);
    if random.chance(30) {
        let pack = record.document(
            &kind::TRANSFER_SUMMARY,
            "Hospital transfer pack",
            "Sent with: glasses, dentures (both), walking frame.",
            record.ago(random.between(30, 300)),
        );
        record.add(pack);
    }
    record
}

pub(super) fn council<'a>(person: &'a Person, random: &mut Random, as_of: Date) -> Record<'a> {
    let mut record = Record::open(person, &COUNCIL, as_of, person.birth_date);
    let since = random.between(30, 600);
    let package = record.care_plan(
        &social_care("care-package", "Home care package"),
        "Home care, two visits a day",
        &["Morning wash and breakfast", "Evening meal and medicines prompt"],
        record.ago(since),
    );
    record.add(package);
    if random.chance(55) {
        let request =
            record.social_request("home-environment", "Grab rails and a level-access shower", record.ago(since));
        let request = record.add(request);
        let task =
            record.social_task("home-environment", "Fit grab rails before discharge", &request, record.ago(since / 2));
        record.add(task);
    }
    if random.chance(9) {
        let concern = record
            .safeguarding_flag("Safeguarding enquiry open. Ring the duty social worker.", record.ago(since / 3))
            .labelled(label::RESTRICTED);
        record.add(concern);
    }
    let visit = record.appointment(
        &event::HOME_VISIT,
        as_of.saturating_add(random.between(1, 9).days()),
        540 + 30 * random.between(0, 12),
        record.ago(3),
    );
    record.add(visit);
    record
}

pub(super) fn pharmacy<'a>(person: &'a Person, story: &Story<'_>, random: &mut Random, as_of: Date) -> Record<'a> {
    let mut record = Record::open(person, &PHARMACY, as_of, person.birth_date);
    for medicine in story.diseases.iter().flat_map(|disease| disease.medicines) {
        for month in 0..random.between(1, 2) {
            let date = record.ago(month * 28 + random.between(2, 20));
            let entry = record.dispensed(medicine, date);
            record.add(entry);
        }
    }
    if record.len() == 1 {
        let bought = record.medicine_taken(&medicine::PARACETAMOL, "Bought over the counter", record.ago(30));
        record.add(bought);
    }
    record
}

const NOTES: &[&str] = &[
    "Mood steady. Plan unchanged.",
    "Hearing voices less often since the dose change. Sleeping better.",
    "Anxious about benefits letter; helped to ring the adviser.",
    "Missed last appointment; seen at home, well.",
];

const ABOUT_ME: &[&str] = &[
    "I like the radio on low and my curtains open. I was a bus driver.",
    "Please speak Punjabi with me when you can. I do not eat beef.",
    "I am a night owl: no breakfast before nine. My cat is called Biscuit.",
    "I sing when I am happy. If I shout, I am probably in pain.",
];
