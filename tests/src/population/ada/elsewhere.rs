//! What the community, mental health and ambulance trusts, the care home, the council and the pharmacy hold.

use jiff::ToSpan;
use jiff::civil::Date;
use serde_json::json;

use super::{RESPECT, Shared};
use crate::population::Person;
use crate::population::document::social_care;
use crate::population::medicine;
use crate::population::organisation::{AMBULANCE, CARE_HOME, COMMUNITY, COUNCIL, MENTAL_HEALTH, PHARMACY};
use crate::population::random::Random;
use crate::population::record::Record;
use crate::population::terminology::{event, kind, label, measure, problem};

/// District nursing: an open episode, a dressing plan, and a visit that clashes with the council's.
pub(super) fn community<'a>(person: &'a Person, random: &mut Random, as_of: Date) -> Record<'a> {
    let mut record = Record::open(person, &COMMUNITY, as_of, person.birth_date);
    let episode = record.episode("district-nursing", "District nursing", record.ago(62), None);
    record.add(episode);
    let plan = record.care_plan(
        &kind::CARE_PLAN,
        "Leg ulcer care plan",
        &["Dress the left leg twice a week, two-layer compression", "Measure the wound every fortnight"],
        record.ago(60),
    );
    record.add(plan);
    for days in [58, 44, 30, 16, 5] {
        let date = record.ago(days);
        let visit = record.encounter("HH", &event::HOME_VISIT, "Leg ulcer dressing", date, Some(date));
        record.add(visit);
        let dressing = record.procedure(&event::WOUND_CARE, &date.to_string(), date);
        record.add(dressing);
        let pressure = record.blood_pressure(random.between(116, 150), random.between(60, 82), date, 640);
        record.add(pressure);
        let weight = record.vital(&measure::WEIGHT, random.value(56.0, 62.0, 1), date, 642);
        record.add(weight);
    }
    let team = record.care_team("District nursing team", &["District nurse team lead"], record.ago(60));
    record.add(team);
    let visit = record.appointment(&event::HOME_VISIT, as_of.saturating_add(2.days()), 600, record.ago(5));
    record.add(visit);
    record
}

/// Memory clinic: notes under a PSY label; no lithium.
pub(super) fn mental_health<'a>(person: &'a Person, random: &mut Random, as_of: Date) -> Record<'a> {
    let mut record = Record::open(person, &MENTAL_HEALTH, as_of, person.birth_date);
    let clinic = record.episode("memory-clinic", "Memory clinic", record.ago(640), None);
    record.add(clinic);
    let diagnosis = record.problem(&problem::ALZHEIMERS, "active", "2023-01", record.ago(620));
    record.add(diagnosis);
    for (days, words) in [
        (
            620,
            "Orientated to person and place. Word finding slow. Daughter reports two years of change. Low mood explored; no active plans.",
        ),
        (410, "Settled in the home. Some evening distress. Spoke about her late husband; bereavement work offered."),
        (120, "Mood brighter. Donepezil tolerated, pulse 62. Discharge to the practice planned at next review."),
    ] {
        let date = record.ago(days);
        let visit = record
            .encounter("AMB", &event::CONSULTATION, "Memory clinic review", date, Some(date))
            .labelled(label::MENTAL_HEALTH);
        record.add(visit);
        let note = record.document(&kind::LETTER, "Memory clinic note", words, date).labelled(label::MENTAL_HEALTH);
        record.add(note);
        let pulse = record.vital(&measure::HEART_RATE, random.value(58.0, 72.0, 0), date, 650);
        record.add(pulse);
    }
    let donepezil = record.prescription(&medicine::DONEPEZIL, "active", "community", record.ago(120));
    record.add(donepezil);
    let answers = record
        .answers(
            "memory-clinic-review",
            &[("What day is it?", "Gave the month"), ("Sleep", "Wakes once")],
            record.ago(120),
        )
        .labelled(label::MENTAL_HEALTH);
    record.add(answers);
    record
}

/// The journey to hospital.
pub(super) fn ambulance<'a>(person: &'a Person, random: &mut Random, as_of: Date) -> Record<'a> {
    let mut record = Record::open(person, &AMBULANCE, as_of, person.birth_date);
    let date = record.ago(28);
    let journey = record.encounter("EMER", &event::EMERGENCY_ADMISSION, "Breathless at rest, pale", date, Some(date));
    record.add(journey);
    // Asked of somebody short of breath; the practice and the hospital know better.
    record.add(record.no_known_allergy(date));
    record.add_observation_round(random, date, 575);
    record.add_observation_round(random, date, 590);
    let handover = record.document(
        &kind::LETTER,
        "Ambulance clinical handover",
        "Found sitting upright, speaking in short sentences. Oxygen 2 litres. Black stools reported by staff since yesterday.",
        date,
    );
    record.add(handover);
    record
}

/// Residency, about me, ten days of observations, the transfer pack of the admission.
pub(super) fn care_home<'a>(person: &'a Person, random: &mut Random, as_of: Date, shared: &Shared) -> Record<'a> {
    let mut record = Record::open(person, &CARE_HOME, as_of, person.birth_date);
    let residency = record.episode("residency", "Care home residency", record.ago(980), None);
    record.add(residency);
    let daughter = crate::population::record::Entry::new(
        json!({
            "resourceType": "RelatedPerson",
            "active": true,
            "patient": record.subject(),
            "relationship": [{
                "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "DAUC", "display": "daughter"}],
                "text": "Daughter, visits on Sundays"
            }]
        }),
        record.ago(980),
    );
    record.add(daughter);
    about_me(&mut record);
    for days in (1..=10).rev() {
        let date = record.ago(days);
        record.add_observation_round(random, date, 500);
        let morning = record.administered(&medicine::BISOPROLOL, date, 490);
        record.add(morning);
    }
    let given = record.administered(&medicine::APIXABAN, record.ago(1), 492);
    record.add(given);
    let weight = record.vital(&measure::WEIGHT, 58.4, record.ago(3), 505);
    record.add(weight);
    let respect = record
        .document(&kind::RESPECT, "ReSPECT plan (copy)", RESPECT, record.ago(138))
        .copy_of(shared.respect.clone());
    record.add(respect);
    let falls = record.flag("safety", kind::FALLS_RISK.concept(), record.ago(300));
    record.add(falls);
    let plan = record.care_plan(
        &kind::CARE_PLAN,
        "Care home plan",
        &["Two carers to stand", "Thickened fluids are NOT needed", "Hearing aid left ear"],
        record.ago(90),
    );
    record.add(plan);
    let pack = record.document(
        &kind::TRANSFER_SUMMARY,
        "Hospital transfer pack",
        "Sent with: glasses, hearing aid (left), blue cardigan, own walking frame. Medicines chart copied. Daughter told at 09:20.",
        record.ago(28),
    );
    record.add(pack);
    record
}

fn about_me(record: &mut Record<'_>) {
    for (version, days, words) in [
        (1, 700, "I like company at breakfast. I take two sugars."),
        (
            2,
            35,
            "I like company at breakfast. No sugar now. If I am upset, ask me about sewing. My hearing aid goes in the left ear. Please do not \
call me dear.",
        ),
    ] {
        let about = record
            .document(&kind::ABOUT_ME, "About me", words, record.ago(days))
            .version_of("VL901|9990010013|about-me", version);
        record.add(about);
    }
    let answers = record
        .answers(
            "about-me",
            &[
                ("What is most important to me", "My daughter, the garden, being asked first"),
                ("How best to support me", "Slowly, from the right side, one question at a time"),
                ("Please do", "Leave the door ajar at night"),
            ],
            record.ago(35),
        )
        .tagged(kind::ABOUT_ME);
    record.add(answers);
}

/// Social care: a package, equipment, a task still open, a safeguarding concern, a visit.
pub(super) fn council(person: &Person, as_of: Date) -> Record<'_> {
    let mut record = Record::open(person, &COUNCIL, as_of, person.birth_date);
    let chair = record.social_request("equipment", "Riser recliner chair for her room", record.ago(52));
    let chair = record.add(chair);
    let deliver = record.social_task("equipment", "Deliver and fit riser recliner", &chair, record.ago(50));
    record.add(deliver);
    let package = record.care_plan(
        &social_care("care-package", "Funded nursing care package"),
        "Funded nursing care, reviewed yearly",
        &["Placement review with the family", "Contribution assessed"],
        record.ago(310),
    );
    record.add(package);
    let concern = record
        .safeguarding_flag(
            "Safeguarding enquiry open: unexplained bruising, forearm. Ring the duty social worker.",
            record.ago(26),
        )
        .labelled(label::RESTRICTED);
    record.add(concern);
    let visit = record.appointment(&event::HOME_VISIT, as_of.saturating_add(2.days()), 615, record.ago(12));
    record.add(visit);
    record
}

/// What was dispensed: everything the practice issues but donepezil.
pub(super) fn pharmacy(person: &Person, as_of: Date) -> Record<'_> {
    let mut record = Record::open(person, &PHARMACY, as_of, person.birth_date);
    for days in [64, 36, 8] {
        for medicine in [
            medicine::APIXABAN,
            medicine::BISOPROLOL,
            medicine::FUROSEMIDE,
            medicine::RAMIPRIL,
            medicine::METFORMIN,
            medicine::ATORVASTATIN,
            medicine::PARACETAMOL,
        ] {
            let entry = record.dispensed(&medicine, record.ago(days));
            record.add(entry);
        }
    }
    record
}
