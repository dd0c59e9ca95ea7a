//! Who is it? Names and birth dates that are alike, or written differently by different organisations.

use jiff::civil::{Date, date};
use serde_json::json;

use super::{BOROUGH, FEMALE, HardPerson, MALE, WALWORTH};
use crate::population::Person;
use crate::population::medicine;
use crate::population::organisation::{ACUTE, AMBULANCE, COMMUNITY, PHARMACY, PRACTICE_BOROUGH, PRACTICE_WALWORTH};
use crate::population::record::Record;
use crate::population::terminology::{allergy, event, kind, problem};

/// The elder of twins: family name, birth date, address, practice and hospital are those of [`twin_second`], the numbers differ in the last
/// two digits, the given names in three letters. She has the anaphylaxis. Nothing of one may stand in a view of the other, and a node that
/// holds both says so. Rules 1 and 2.
#[must_use]
pub const fn twin_first() -> HardPerson {
    HardPerson {
        case: "twin-first",
        nhs_number: "9990520038",
        birth_date: date(1957, 6, 21),
        family: "Abernethy",
        given: "Marian",
        gender: FEMALE,
        registered_practice: WALWORTH,
        holders: &["Y91002", "R9A"],
        hard: "twin of 9990520046: same family name, birth date, address; penicillin anaphylaxis is hers",
        rules: &[1, 2],
        records: twin_first_records,
    }
}

/// The younger twin, who has no allergy and takes methotrexate; see [`twin_first`]. Rules 1 and 2.
#[must_use]
pub const fn twin_second() -> HardPerson {
    HardPerson {
        case: "twin-second",
        nhs_number: "9990520046",
        birth_date: date(1957, 6, 21),
        family: "Abernethy",
        given: "Miriam",
        gender: FEMALE,
        registered_practice: WALWORTH,
        holders: &["Y91002", "R9A"],
        hard: "twin of 9990520038: same family name, birth date, address; no known allergy, weekly methotrexate",
        rules: &[1, 2],
        records: twin_second_records,
    }
}

/// Born on 9 April by the practice, on 4 September by the hospital: day and month exchanged. The match is probable, so the hospital
/// releases nothing and has something to correct. Rule 2.
#[must_use]
pub const fn transposed() -> HardPerson {
    HardPerson {
        case: "transposed",
        nhs_number: "9990520054",
        birth_date: date(1962, 4, 9),
        family: "Tremelling",
        given: "Ivy",
        gender: FEMALE,
        registered_practice: WALWORTH,
        holders: &["Y91002", "R9A", "FZ901"],
        hard: "day and month of the birth date exchanged at R9A",
        rules: &[2],
        records: transposed_records,
    }
}

/// José Núñez-O'Brien at the practice, `NUNEZ OBRIEN` at the hospital, capitals with every mark at the ambulance trust: one name after
/// folding of marks, hyphens and apostrophes. Rule 2.
#[must_use]
pub const fn diacritics() -> HardPerson {
    HardPerson {
        case: "diacritics",
        nhs_number: "9990520062",
        birth_date: date(1969, 12, 1),
        family: "Núñez-O'Brien",
        given: "José",
        gender: MALE,
        registered_practice: BOROUGH,
        holders: &["Y91001", "R9A", "R9X"],
        hard: "diacritics, hyphen and apostrophe; NUNEZ OBRIEN at R9A",
        rules: &[2],
        records: diacritics_records,
    }
}

/// `van der Berg` at the practice, `Vanderberg` at the hospital, `Berg` at the pharmacy: a particle that a feed joins or leaves out.
/// Rule 2.
#[must_use]
pub const fn particle() -> HardPerson {
    HardPerson {
        case: "particle",
        nhs_number: "9990520070",
        birth_date: date(1948, 1, 30),
        family: "van der Berg",
        given: "Anneke",
        gender: FEMALE,
        registered_practice: WALWORTH,
        holders: &["Y91002", "R9A", "FZ901"],
        hard: "particle: van der Berg at Y91002, Vanderberg at R9A, Berg at FZ901",
        rules: &[2],
        records: particle_records,
    }
}

/// The hospital's system stores names in decomposed Unicode (NFD: letter, then mark), the practice's in composed: the same name in different
/// bytes. Rule 2.
#[must_use]
pub const fn decomposed() -> HardPerson {
    HardPerson {
        case: "decomposed",
        nhs_number: "9990520089",
        birth_date: date(1975, 3, 17),
        family: "Şükrüoğlu",
        given: "Gönül",
        gender: FEMALE,
        registered_practice: BOROUGH,
        holders: &["Y91001", "R9A"],
        hard: "name in decomposed Unicode at R9A",
        rules: &[2],
        records: decomposed_records,
    }
}

/// Married since: the practice and the hospital hold the new name and the previous one, the community trust was never told. Typed under the
/// new name the community trust does not match; typed under the previous one everybody does. Rule 2.
#[must_use]
pub const fn maiden_name() -> HardPerson {
    HardPerson {
        case: "maiden-name",
        nhs_number: "9990520100",
        birth_date: date(1983, 7, 26),
        family: "Castellane",
        given: "Bronwen",
        gender: FEMALE,
        registered_practice: BOROUGH,
        holders: &["Y91001", "R9A", "R9C"],
        hard: "previously Drummond-Hay; R9C holds the previous name only",
        rules: &[2],
        records: maiden_records,
    }
}

/// The family name that the holder's system has, instead of the practice's.
fn named(record: &mut Record<'_>, family: &str, given: &str) {
    record.amend_patient("name", json!([{"use": "official", "family": family, "given": [given]}]));
}

fn twin_first_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut practice = Record::of(person, &PRACTICE_WALWORTH, as_of);
    practice.add(practice.allergy(&allergy::PENICILLIN, &allergy::ANAPHYLAXIS, "severe", "1979", practice.ago(4000)));
    practice.add(practice.problem(&problem::HYPOTHYROIDISM, "active", "2009", practice.ago(3000)));
    practice.add(practice.prescription(&medicine::LEVOTHYROXINE, "active", "community", practice.ago(20)));
    let mut hospital = Record::of(person, &ACUTE, as_of);
    let date = hospital.ago(210);
    hospital.add(hospital.encounter("AMB", &event::CONSULTATION, "Thyroid clinic", date, Some(date)));
    hospital.add(hospital.document(&kind::LETTER, "Thyroid clinic letter", "Euthyroid. Repeat in a year.", date));
    vec![practice, hospital]
}

fn twin_second_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut practice = Record::of(person, &PRACTICE_WALWORTH, as_of);
    practice.add(practice.no_known_allergy(practice.ago(400)));
    practice.add(practice.problem(&problem::RHEUMATOID_ARTHRITIS, "active", "2012", practice.ago(2900)));
    practice.add(practice.prescription(&medicine::METHOTREXATE, "active", "community", practice.ago(16)));
    let mut hospital = Record::of(person, &ACUTE, as_of);
    let date = hospital.ago(140);
    hospital.add(hospital.encounter("AMB", &event::CONSULTATION, "Rheumatology clinic", date, Some(date)));
    hospital.add(hospital.document(
        &kind::LETTER,
        "Rheumatology clinic letter",
        "Disease quiet. Bloods monthly.",
        date,
    ));
    vec![practice, hospital]
}

fn transposed_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut practice = Record::of(person, &PRACTICE_WALWORTH, as_of);
    practice.add(practice.problem(&problem::HYPERTENSION, "active", "2010", practice.ago(2000)));
    practice.add(practice.prescription(&medicine::AMLODIPINE, "active", "community", practice.ago(21)));
    let exchanged = date(1962, 9, 4);
    let mut hospital = Record::open(person, &ACUTE, as_of, exchanged);
    hospital.add(hospital.allergy(&allergy::LATEX, &allergy::URTICARIA, "moderate", "2018", hospital.ago(600)));
    let mut pharmacy = Record::of(person, &PHARMACY, as_of);
    pharmacy.add(pharmacy.dispensed(&medicine::AMLODIPINE, pharmacy.ago(19)));
    vec![practice, hospital, pharmacy]
}

fn diacritics_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut practice = Record::of(person, &PRACTICE_BOROUGH, as_of);
    practice.add(practice.problem(&problem::ASTHMA, "active", "1981", practice.ago(3000)));
    let mut hospital = Record::of(person, &ACUTE, as_of);
    named(&mut hospital, "NUNEZ OBRIEN", "JOSE");
    hospital.add(hospital.allergy(&allergy::ASPIRIN, &allergy::URTICARIA, "moderate", "2004", hospital.ago(900)));
    let mut ambulance = Record::of(person, &AMBULANCE, as_of);
    let date = ambulance.ago(300);
    ambulance.add(ambulance.encounter("EMER", &event::EMERGENCY_ADMISSION, "Wheeze", date, Some(date)));
    vec![practice, hospital, ambulance]
}

fn particle_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut practice = Record::of(person, &PRACTICE_WALWORTH, as_of);
    practice.add(practice.prescription(&medicine::RAMIPRIL, "active", "community", practice.ago(30)));
    let mut hospital = Record::of(person, &ACUTE, as_of);
    named(&mut hospital, "Vanderberg", "Anneke");
    hospital.add(hospital.problem(&problem::GOUT, "active", "2020", hospital.ago(800)));
    let mut pharmacy = Record::of(person, &PHARMACY, as_of);
    named(&mut pharmacy, "Berg", "Anneke");
    pharmacy.add(pharmacy.dispensed(&medicine::RAMIPRIL, pharmacy.ago(28)));
    vec![practice, hospital, pharmacy]
}

fn decomposed_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut practice = Record::of(person, &PRACTICE_BOROUGH, as_of);
    practice.add(practice.problem(&problem::MIGRAINE, "active", "1999", practice.ago(3100)));
    let mut hospital = Record::of(person, &ACUTE, as_of);
    named(&mut hospital, "S\u{327}u\u{308}kru\u{308}og\u{306}lu", "Go\u{308}nu\u{308}l");
    hospital.add(hospital.allergy(&allergy::PEANUT, &allergy::ANAPHYLAXIS, "severe", "1985", hospital.ago(700)));
    vec![practice, hospital]
}

fn maiden_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let both = |former: &str| {
        json!([
            {"use": "official", "family": "Castellane", "given": ["Bronwen"]},
            {"use": former, "family": "Drummond-Hay", "given": ["Bronwen"]}
        ])
    };
    let mut practice = Record::of(person, &PRACTICE_BOROUGH, as_of);
    practice.amend_patient("name", both("maiden"));
    practice.add(practice.problem(&problem::EPILEPSY, "active", "1996", practice.ago(3000)));
    let mut hospital = Record::of(person, &ACUTE, as_of);
    hospital.amend_patient("name", both("old"));
    hospital.add(hospital.prescription(&medicine::LEVETIRACETAM, "active", "community", hospital.ago(60)));
    let mut community = Record::of(person, &COMMUNITY, as_of);
    named(&mut community, "Drummond-Hay", "Bronwen");
    community.add(community.allergy(&allergy::LATEX, &allergy::RASH, "mild", "2008", community.ago(2500)));
    vec![practice, hospital, community]
}
