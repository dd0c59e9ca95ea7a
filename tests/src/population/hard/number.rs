//! Under which number? Numbers that were replaced or withdrawn, numbers that must never be linked, and registrations made twice.

use jiff::civil::{Date, date};
use serde_json::{Value, json};

use super::{BOROUGH, FEMALE, HardPerson, MALE, WALWORTH};
use crate::population::medicine;
use crate::population::organisation::{ACUTE, COMMUNITY, MENTAL_HEALTH, PRACTICE_BOROUGH, PRACTICE_WALWORTH};
use crate::population::record::Record;
use crate::population::terminology::{NUMBER_CHANGE, NUMBER_STATUS, allergy, event, kind, label, problem};
use crate::population::{NHS_NUMBER_SYSTEM, Person};

/// The number of [`superseded_new`] before two numbers were found to be one person's. The practice knows that it was replaced; the community
/// trust has only this one and with it the latex allergy. Whoever asks under either number must see both. Rule 3.
#[must_use]
pub const fn superseded_old() -> HardPerson {
    HardPerson {
        case: "superseded-old",
        nhs_number: "9990520119",
        birth_date: date(1944, 8, 19),
        family: "Pemberwick",
        given: "Nora",
        gender: FEMALE,
        registered_practice: BOROUGH,
        holders: &["Y91001", "R9C"],
        hard: "replaced by 9990520127; R9C knows this number only, latex anaphylaxis there",
        rules: &[3],
        records: superseded_old_records,
    }
}

/// The number that replaced [`superseded_old`]: the practice holds the link, the hospital this number only. Rule 3.
#[must_use]
pub const fn superseded_new() -> HardPerson {
    HardPerson {
        case: "superseded-new",
        nhs_number: "9990520127",
        birth_date: date(1944, 8, 19),
        family: "Pemberwick",
        given: "Nora",
        gender: FEMALE,
        registered_practice: BOROUGH,
        holders: &["Y91001", "R9A"],
        hard: "replaces 9990520119; R9A knows this number only",
        rules: &[3],
        records: superseded_new_records,
    }
}

/// The practice's own record says that the number was invalidated; the hospital has not heard. Asked from the practice nothing leaves the
/// node and the exit code is 5. Rule 3.
#[must_use]
pub const fn invalidated() -> HardPerson {
    HardPerson {
        case: "invalidated",
        nhs_number: "9990520135",
        birth_date: date(1952, 11, 5),
        family: "Quarrington",
        given: "Hugh",
        gender: MALE,
        registered_practice: BOROUGH,
        holders: &["Y91001", "R9A"],
        hard: "number invalidated at Y91001, still in use at R9A",
        rules: &[3],
        records: invalidated_records,
    }
}

/// The hospital knows that the number was invalidated, the practice does not: the hospital stops, and its answer looks like any other that
/// has nothing to share. Rules 2 and 3.
#[must_use]
pub const fn invalidated_at_hospital() -> HardPerson {
    HardPerson {
        case: "invalidated-at-hospital",
        nhs_number: "9990520143",
        birth_date: date(1966, 2, 14),
        family: "Ravensworth",
        given: "Celia",
        gender: FEMALE,
        registered_practice: WALWORTH,
        holders: &["Y91002", "R9A"],
        hard: "number invalidated at R9A, still in use at Y91002",
        rules: &[2, 3],
        records: invalidated_at_hospital_records,
    }
}

/// The number before an adoption: birth name, hospital and community records. A feed marks the change **and** states a replaced-by link to
/// [`adoption_after`]. The link must be ignored: nothing may ever lead from one number to the other. Rule 2.
#[must_use]
pub const fn adoption_before() -> HardPerson {
    HardPerson {
        case: "adoption-before",
        nhs_number: "9990520151",
        birth_date: date(2018, 9, 3),
        family: "Selwyn-Marsh",
        given: "Poppy",
        gender: FEMALE,
        registered_practice: WALWORTH,
        holders: &["R9A", "R9C"],
        hard: "before an adoption: never linked with 9990520178, though R9A's feed states a link",
        rules: &[2],
        records: adoption_before_records,
    }
}

/// The number after the adoption: another name, the same birth date, and a link that must be ignored; see [`adoption_before`]. Rule 2.
#[must_use]
pub const fn adoption_after() -> HardPerson {
    HardPerson {
        case: "adoption-after",
        nhs_number: "9990520178",
        birth_date: date(2018, 9, 3),
        family: "Hollowell",
        given: "Rosie",
        gender: FEMALE,
        registered_practice: WALWORTH,
        holders: &["Y91002", "R9A"],
        hard: "after an adoption: never linked with 9990520151, though Y91002's and R9A's feeds state a link",
        rules: &[2],
        records: adoption_after_records,
    }
}

/// The number before a gender recognition: family name and birth date stay the same, and the hospital holds both numbers with a marker and
/// a link. Nothing may lead from one to the other, not even a warning about namesakes. Rule 2.
#[must_use]
pub const fn recognition_before() -> HardPerson {
    HardPerson {
        case: "recognition-before",
        nhs_number: "9990520186",
        birth_date: date(1988, 10, 12),
        family: "Ashgrove",
        given: "Daniel",
        gender: MALE,
        registered_practice: BOROUGH,
        holders: &["R9A", "R9M"],
        hard: "before a gender recognition: never linked with 9990520194, though R9A's feed states a link",
        rules: &[2],
        records: recognition_before_records,
    }
}

/// The number after the gender recognition; see [`recognition_before`]. Rule 2.
#[must_use]
pub const fn recognition_after() -> HardPerson {
    HardPerson {
        case: "recognition-after",
        nhs_number: "9990520194",
        birth_date: date(1988, 10, 12),
        family: "Ashgrove",
        given: "Danielle",
        gender: FEMALE,
        registered_practice: BOROUGH,
        holders: &["Y91001", "R9A"],
        hard: "after a gender recognition: never linked with 9990520186, though Y91001's and R9A's feeds state a link",
        rules: &[2],
        records: recognition_after_records,
    }
}

/// Registered twice at the hospital: two Patient resources with different ids, the same number, birth date and name, and entries under each.
/// Rule 2.
#[must_use]
pub const fn duplicate_registration() -> HardPerson {
    HardPerson {
        case: "duplicate-registration",
        nhs_number: "9990520208",
        birth_date: date(1959, 5, 30),
        family: "Thackwray",
        given: "Owen",
        gender: MALE,
        registered_practice: WALWORTH,
        holders: &["Y91002", "R9A"],
        hard: "two registrations at R9A with the same number, birth date and name",
        rules: &[2],
        records: duplicate_records,
    }
}

/// Two registrations under one number at the community trust with birth dates ten years apart: one of them is somebody else. Nothing is
/// released, and the trust has something to correct. Rule 2.
#[must_use]
pub const fn duplicate_other_birth_date() -> HardPerson {
    HardPerson {
        case: "duplicate-other-birth-date",
        nhs_number: "9990520216",
        birth_date: date(1971, 1, 8),
        family: "Winstanley",
        given: "Grace",
        gender: FEMALE,
        registered_practice: BOROUGH,
        holders: &["Y91001", "R9C"],
        hard: "two registrations at R9C under one number with different birth dates",
        rules: &[2],
        records: duplicate_other_birth_date_records,
    }
}

/// FHIR `Patient.link` to the person under another number; `kind` is `replaced-by` or `replaces`.
fn link(kind: &str, number: &str) -> Value {
    json!([{"other": {"type": "Patient", "identifier": {"system": NHS_NUMBER_SYSTEM, "value": number}}, "type": kind}])
}

/// Marks a change of number that is to be forgotten, and states the link all the same, as feeds do.
fn marked(record: &mut Record<'_>, change: &'static str, link_kind: &str, number: &str) {
    record.tag_patient(NUMBER_CHANGE, change);
    record.amend_patient("link", link(link_kind, number));
}

fn superseded_old_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut practice = Record::of(person, &PRACTICE_BOROUGH, as_of);
    practice.amend_patient("active", json!(false));
    practice.amend_patient("link", link("replaced-by", superseded_new().nhs_number));
    let mut community = Record::of(person, &COMMUNITY, as_of);
    community.add(community.allergy(&allergy::LATEX, &allergy::ANAPHYLAXIS, "severe", "2015", community.ago(2600)));
    let date = community.ago(500);
    community.add(community.encounter("HH", &event::HOME_VISIT, "Wound review", date, Some(date)));
    vec![practice, community]
}

fn superseded_new_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let old = superseded_old().nhs_number;
    let mut practice = Record::of(person, &PRACTICE_BOROUGH, as_of);
    practice.amend_patient("link", link("replaces", old));
    practice.amend_patient(
        "identifier",
        json!([
            {"use": "official", "system": NHS_NUMBER_SYSTEM, "value": person.nhs_number},
            {"use": "old", "system": NHS_NUMBER_SYSTEM, "value": old}
        ]),
    );
    practice.add(practice.problem(&problem::HEART_FAILURE, "active", "2019", practice.ago(1200)));
    practice.add(practice.prescription(&medicine::FUROSEMIDE, "active", "community", practice.ago(14)));
    let mut hospital = Record::of(person, &ACUTE, as_of);
    let date = hospital.ago(180);
    let stay = hospital.encounter("IMP", &event::ADMISSION, "Breathlessness", date, Some(hospital.ago(176)));
    let stay = hospital.add(stay);
    let course = [("Hospital course", "Diuresed. Home on furosemide.")];
    hospital.add(hospital.discharge_composition(&stay, &course, hospital.ago(176)));
    vec![practice, hospital]
}

fn invalidated_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut practice = Record::of(person, &PRACTICE_BOROUGH, as_of);
    practice.tag_patient(NUMBER_STATUS, "invalidated");
    practice.add(practice.problem(&problem::ASTHMA, "active", "1970", practice.ago(900)));
    let mut hospital = Record::of(person, &ACUTE, as_of);
    hospital.add(hospital.allergy(&allergy::SULFONAMIDE, &allergy::RASH, "mild", "2001", hospital.ago(900)));
    vec![practice, hospital]
}

fn invalidated_at_hospital_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut practice = Record::of(person, &PRACTICE_WALWORTH, as_of);
    practice.add(practice.problem(&problem::MIGRAINE, "active", "1984", practice.ago(900)));
    let mut hospital = Record::of(person, &ACUTE, as_of);
    hospital.tag_patient(NUMBER_STATUS, "invalidated");
    hospital.add(hospital.allergy(&allergy::ASPIRIN, &allergy::ANAPHYLAXIS, "severe", "2011", hospital.ago(900)));
    vec![practice, hospital]
}

fn adoption_before_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut hospital = Record::of(person, &ACUTE, as_of);
    marked(&mut hospital, "adoption", "replaced-by", adoption_after().nhs_number);
    hospital.add(hospital.problem(&problem::OTITIS_MEDIA, "resolved", "2020", hospital.ago(1900)));
    let mut community = Record::of(person, &COMMUNITY, as_of);
    let date = community.ago(2000);
    community.add(community.encounter("HH", &event::HOME_VISIT, "Health visitor review", date, Some(date)));
    vec![hospital, community]
}

fn adoption_after_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let before = adoption_before().nhs_number;
    let mut practice = Record::of(person, &PRACTICE_WALWORTH, as_of);
    marked(&mut practice, "adoption", "replaces", before);
    practice.add(practice.problem(&problem::ASTHMA, "active", "2023", practice.ago(700)));
    practice.add(practice.prescription(&medicine::SALBUTAMOL, "active", "community", practice.ago(35)));
    let mut hospital = Record::of(person, &ACUTE, as_of);
    marked(&mut hospital, "adoption", "replaces", before);
    let date = hospital.ago(250);
    hospital.add(hospital.encounter("EMER", &event::EMERGENCY_ADMISSION, "Wheeze", date, Some(date)));
    vec![practice, hospital]
}

fn recognition_before_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut hospital = Record::of(person, &ACUTE, as_of);
    marked(&mut hospital, "gender-recognition", "replaced-by", recognition_after().nhs_number);
    hospital.add(hospital.problem(&problem::ANKLE_SPRAIN, "resolved", "2014", hospital.ago(4300)));
    let mut mental_health = Record::of(person, &MENTAL_HEALTH, as_of);
    let note = mental_health
        .document(
            &kind::LETTER,
            "Assessment",
            "Seen twice in clinic, discharged to the practice.",
            mental_health.ago(3000),
        )
        .labelled(label::MENTAL_HEALTH);
    mental_health.add(note);
    vec![hospital, mental_health]
}

fn recognition_after_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let before = recognition_before().nhs_number;
    let mut practice = Record::of(person, &PRACTICE_BOROUGH, as_of);
    marked(&mut practice, "gender-recognition", "replaces", before);
    practice.add(practice.problem(&problem::HYPOTHYROIDISM, "active", "2021", practice.ago(800)));
    let mut hospital = Record::of(person, &ACUTE, as_of);
    marked(&mut hospital, "gender-recognition", "replaces", before);
    hospital.add(hospital.allergy(&allergy::PEANUT, &allergy::URTICARIA, "mild", "1995", hospital.ago(600)));
    vec![practice, hospital]
}

fn duplicate_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut practice = Record::of(person, &PRACTICE_WALWORTH, as_of);
    practice.add(practice.problem(&problem::HYPERLIPIDAEMIA, "active", "2013", practice.ago(900)));
    let mut hospital = Record::of(person, &ACUTE, as_of);
    hospital.add(hospital.problem(&problem::CORONARY_DISEASE, "active", "2017", hospital.ago(800)));
    hospital.register_again(person.birth_date);
    hospital.add(hospital.allergy(&allergy::PENICILLIN, &allergy::RASH, "moderate", "1990", hospital.ago(300)));
    vec![practice, hospital]
}

fn duplicate_other_birth_date_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut practice = Record::of(person, &PRACTICE_BOROUGH, as_of);
    practice.add(practice.problem(&problem::ECZEMA, "active", "1999", practice.ago(900)));
    let mut community = Record::of(person, &COMMUNITY, as_of);
    community.add(community.allergy(&allergy::LATEX, &allergy::RASH, "mild", "2012", community.ago(800)));
    community.register_again(date(1981, 1, 8));
    community.add(community.problem(&problem::EPILEPSY, "active", "1990", community.ago(300)));
    vec![practice, community]
}
