//! Who may see it? Sensitivity labels, seals, objections, a child's confidences, and a safeguarding concern.

use jiff::civil::{Date, date};
use serde_json::{Value, json};

use super::{BOROUGH, FEMALE, HardPerson, MALE, WALWORTH};
use crate::population::Person;
use crate::population::clinical::status_of;
use crate::population::medicine::{self, further};
use crate::population::organisation::{ACUTE, COMMUNITY, COUNCIL, MENTAL_HEALTH, PRACTICE_BOROUGH, PRACTICE_WALWORTH};
use crate::population::record::{Entry, Record};
use crate::population::terminology::{Concept, OBJECTION, allergy, event, kind, label, problem};

/// A girl born in June 2012, competent to decide for herself: what she told the practice and what her grandmother told the school nurse is
/// marked as told in confidence, which makes it `sensitive`; the rest of her record is like anybody's. Access table, Children.
#[must_use]
pub const fn child() -> HardPerson {
    HardPerson {
        case: "child",
        nhs_number: "9990520267",
        birth_date: date(2012, 6, 11),
        family: "Farthingale",
        given: "Lola",
        gender: FEMALE,
        registered_practice: BOROUGH,
        holders: &["Y91001", "R9C", "R9A"],
        hard: "competent minor: told in confidence at Y91001, by an informant at R9C",
        rules: &[8, 9],
        records: child_records,
    }
}

/// Mental-health detail under the PSY label: codes and dates for a GP, all of it for mental-health staff, nothing for a nurse without
/// break-glass; lithium and clozapine with their doses for everybody who reads medicines, their indications for nobody else. Rule 5.
#[must_use]
pub const fn mental_health_detail() -> HardPerson {
    HardPerson {
        case: "mental-health-detail",
        nhs_number: "9990520275",
        birth_date: date(1978, 8, 8),
        family: "Lindqvist",
        given: "Erik",
        gender: MALE,
        registered_practice: WALWORTH,
        holders: &["Y91002", "R9M", "R9A", "R9C"],
        hard: "PSY label at R9M on detail, lithium and clozapine",
        rules: &[5, 9],
        records: mental_health_records,
    }
}

/// HIV and sexual health: the labelled condition, visit and letter open under break-glass only; the antiretroviral is shown with its dose and
/// without its indication. Rule 5.
#[must_use]
pub const fn sensitive_detail() -> HardPerson {
    HardPerson {
        case: "sensitive-detail",
        nhs_number: "9990520283",
        birth_date: date(1985, 1, 27),
        family: "Nakamura",
        given: "Kenji",
        gender: MALE,
        registered_practice: BOROUGH,
        holders: &["Y91001", "R9A", "R9C"],
        hard: "HIV label at R9A with an antiretroviral, SEX label at R9C",
        rules: &[5, 9],
        records: sensitive_records,
    }
}

/// Sealed by the patient (confidentiality V with a seal): break-glass only. The sealed medicine is shown with its dose all the same.
/// Access table, sealed by the patient.
#[must_use]
pub const fn sealed() -> HardPerson {
    HardPerson {
        case: "sealed",
        nhs_number: "9990520291",
        birth_date: date(1964, 3, 3),
        family: "Pettigrew",
        given: "Maud",
        gender: FEMALE,
        registered_practice: BOROUGH,
        holders: &["Y91001", "R9A"],
        hard: "sealed by the patient at R9A, a medicine among it",
        rules: &[5, 9],
        records: sealed_records,
    }
}

/// Sealed even in an emergency: nobody opens it, not by break-glass either. Access table, last row of the labels.
#[must_use]
pub const fn sealed_in_emergency() -> HardPerson {
    HardPerson {
        case: "sealed-in-emergency",
        nhs_number: "9990520305",
        birth_date: date(1990, 9, 16),
        family: "Summerhayes",
        given: "Tess",
        gender: FEMALE,
        registered_practice: WALWORTH,
        holders: &["Y91002", "R9A"],
        hard: "sealed even in an emergency at R9A",
        rules: &[9],
        records: sealed_in_emergency_records,
    }
}

/// A document that a court withholds: nobody reads it by any purpose, and nobody is told that there is one. Access table, legally restricted.
#[must_use]
pub const fn legally_restricted() -> HardPerson {
    HardPerson {
        case: "legally-restricted",
        nhs_number: "9990520313",
        birth_date: date(1972, 7, 19),
        family: "Wetherby",
        given: "Ruth",
        gender: FEMALE,
        registered_practice: WALWORTH,
        holders: &["Y91002", "R9C"],
        hard: "a letter withheld by law at R9C",
        rules: &[9],
        records: legal_records,
    }
}

/// Objects to sharing, at the hospital: nothing in direct care, everything that the table gives in an emergency. Purpose overlay.
#[must_use]
pub const fn objecting() -> HardPerson {
    HardPerson {
        case: "objecting",
        nhs_number: "9990520321",
        birth_date: date(1955, 5, 5),
        family: "Yellowlees",
        given: "Bernard",
        gender: MALE,
        registered_practice: BOROUGH,
        holders: &["Y91001", "R9A"],
        hard: "objects to sharing at R9A",
        rules: &[9],
        records: objecting_records,
    }
}

/// Objects even in an emergency, at the hospital: nothing in an emergency and nothing by break-glass. Purpose overlay.
#[must_use]
pub const fn objecting_in_emergency() -> HardPerson {
    HardPerson {
        case: "objecting-in-emergency",
        nhs_number: "9990520348",
        birth_date: date(1960, 10, 31),
        family: "Zielinska",
        given: "Halina",
        gender: FEMALE,
        registered_practice: BOROUGH,
        holders: &["Y91001", "R9A"],
        hard: "objects to sharing at R9A even in an emergency",
        rules: &[9],
        records: objecting_in_emergency_records,
    }
}

/// A safeguarding enquiry at the council: the social worker reads it, a GP and a home's nurse see that there is one and whom to ring, a carer
/// sees nothing. Access table, safeguarding.
#[must_use]
pub const fn safeguarded() -> HardPerson {
    HardPerson {
        case: "safeguarded",
        nhs_number: "9990520356",
        birth_date: date(1937, 1, 12),
        family: "Hartshorne",
        given: "Vera",
        gender: FEMALE,
        registered_practice: WALWORTH,
        holders: &["Y91002", "901"],
        hard: "safeguarding enquiry open at 901",
        rules: &[9, 16],
        records: safeguarded_records,
    }
}

/// `Consent` of scope patient-privacy that denies sharing; `even_in_emergency` adds the marker.
fn objection(record: &Record<'_>, even_in_emergency: bool, dated: Date) -> Entry {
    let mut categories: Vec<Value> =
        vec![json!({"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "INFA"}]})];
    if even_in_emergency {
        let marker = Concept { system: OBJECTION, code: "even-in-emergency", display: "Even in an emergency" };
        categories.push(marker.concept());
    }
    Entry::new(
        json!({
            "resourceType": "Consent",
            "status": "active",
            "scope": status_of("consentscope", "patient-privacy"),
            "category": categories,
            "patient": record.subject(),
            "dateTime": dated.to_string(),
            "policy": [{"uri": "https://careweave.example/fhir/policy/objection"}],
            "provision": {"type": "deny"}
        }),
        dated,
    )
}

fn because(words: &str) -> Value {
    json!([{"text": words}])
}

fn child_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut practice = Record::of(person, &PRACTICE_BOROUGH, as_of);
    practice.add(practice.problem(&problem::ASTHMA, "active", "2017", practice.ago(1500)));
    practice.add(practice.prescription(&medicine::SALBUTAMOL, "active", "community", practice.ago(40)));
    let told = practice
        .problem(&problem::CONTRACEPTION, "active", &practice.ago(45).to_string(), practice.ago(45))
        .with("note", because("Asked that her mother is not told. Understands fully."))
        .labelled(label::COMPETENT_MINOR);
    practice.add(told);
    let mut community = Record::of(person, &COMMUNITY, as_of);
    let visit = community.ago(100);
    community.add(community.encounter("AMB", &event::CONSULTATION, "School nurse drop-in", visit, Some(visit)));
    let confided = community
        .document(
            &kind::LETTER,
            "School nurse note",
            "Her grandmother rang, worried, and asked not to be named.",
            visit,
        )
        .labelled(label::INFORMANT);
    community.add(confided);
    let mut hospital = Record::of(person, &ACUTE, as_of);
    let visit = hospital.ago(400);
    hospital.add(hospital.encounter("EMER", &event::EMERGENCY_ADMISSION, "Asthma attack", visit, Some(visit)));
    vec![practice, community, hospital]
}

fn mental_health_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut practice = Record::of(person, &PRACTICE_WALWORTH, as_of);
    practice.add(practice.problem(&problem::ASTHMA, "active", "1986", practice.ago(1500)));
    let mut trust = Record::of(person, &MENTAL_HEALTH, as_of);
    trust.add(trust.episode("community-mental-health", "Community mental health caseload", trust.ago(900), None));
    trust.add(trust.problem(&problem::SCHIZOPHRENIA, "active", "2001", trust.ago(900)).labelled(label::MENTAL_HEALTH));
    let note = trust.document(
        &kind::LETTER,
        "Care coordinator note",
        "Voices quieter since the change of dose. Sister visits on Fridays.",
        trust.ago(70),
    );
    trust.add(note.labelled(label::MENTAL_HEALTH));
    for (medicine, reason) in [
        (medicine::LITHIUM, "Augmentation after two courses failed"),
        (further::CLOZAPINE, "Voices that nothing else quietened"),
    ] {
        let order = trust
            .prescription(&medicine, "active", "community", trust.ago(15))
            .with("reasonCode", because(reason))
            .labelled(label::MENTAL_HEALTH);
        trust.add(order);
    }
    let mut hospital = Record::of(person, &ACUTE, as_of);
    hospital.add(hospital.allergy(&allergy::SULFONAMIDE, &allergy::RASH, "mild", "2003", hospital.ago(1200)));
    // An open episode, so that a nurse of the community trust has a reason to ask.
    let mut community = Record::of(person, &COMMUNITY, as_of);
    community.add(community.episode("district-nursing", "District nursing", community.ago(30), None));
    vec![practice, trust, hospital, community]
}

fn sensitive_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut practice = Record::of(person, &PRACTICE_BOROUGH, as_of);
    practice.add(practice.problem(&problem::ECZEMA, "active", "1992", practice.ago(1500)));
    let mut hospital = Record::of(person, &ACUTE, as_of);
    hospital.add(hospital.problem(&problem::HIV_INFECTION, "active", "2013", hospital.ago(3000)).labelled(label::HIV));
    let order = hospital
        .prescription(&further::DOLUTEGRAVIR, "active", "community", hospital.ago(50))
        .with("reasonCode", because("Undetectable since 2014"))
        .labelled(label::HIV);
    hospital.add(order);
    let mut community = Record::of(person, &COMMUNITY, as_of);
    let visit = community.ago(80);
    let contact = community.encounter("AMB", &event::CONSULTATION, "Sexual health clinic", visit, Some(visit));
    community.add(contact.labelled(label::SEXUALITY));
    let letter = community.document(&kind::LETTER, "Clinic letter", "Partner notification agreed.", visit);
    community.add(letter.labelled(label::SEXUALITY));
    vec![practice, hospital, community]
}

fn sealed_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut practice = Record::of(person, &PRACTICE_BOROUGH, as_of);
    practice.add(practice.problem(&problem::HYPOTHYROIDISM, "active", "2005", practice.ago(1500)));
    let mut hospital = Record::of(person, &ACUTE, as_of);
    let misuse = hospital.problem(&problem::ALCOHOL_MISUSE, "active", "2016", hospital.ago(600));
    hospital.add(misuse.labelled(label::VERY_RESTRICTED).labelled(label::SEALED));
    let order = hospital
        .prescription(&further::THIAMINE, "active", "community", hospital.ago(30))
        .with("reasonCode", because("Drinking again since the spring"))
        .labelled(label::VERY_RESTRICTED)
        .labelled(label::SEALED);
    hospital.add(order);
    let visit = hospital.ago(600);
    hospital.add(hospital.encounter("AMB", &event::CONSULTATION, "Thyroid clinic", visit, Some(visit)));
    vec![practice, hospital]
}

fn sealed_in_emergency_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut practice = Record::of(person, &PRACTICE_WALWORTH, as_of);
    practice.add(practice.problem(&problem::MIGRAINE, "active", "2008", practice.ago(1500)));
    let mut hospital = Record::of(person, &ACUTE, as_of);
    let closed = hospital.problem(&problem::ANXIETY, "active", "2011", hospital.ago(900));
    hospital.add(closed.labelled(label::VERY_RESTRICTED).labelled(label::SEALED_IN_EMERGENCY));
    hospital.add(hospital.allergy(&allergy::LATEX, &allergy::RASH, "mild", "2010", hospital.ago(900)));
    vec![practice, hospital]
}

fn legal_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut practice = Record::of(person, &PRACTICE_WALWORTH, as_of);
    practice.add(practice.problem(&problem::GOUT, "active", "2015", practice.ago(1500)));
    let mut community = Record::of(person, &COMMUNITY, as_of);
    let order = community.document(&kind::LETTER, "Order of the court", "Not to be disclosed.", community.ago(200));
    community.add(order.labelled(label::LEGAL));
    let visit = community.ago(150);
    community.add(community.encounter("HH", &event::HOME_VISIT, "Podiatry at home", visit, Some(visit)));
    vec![practice, community]
}

fn objecting_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let (practice, mut hospital) = practice_and_hospital(person, as_of);
    hospital.add(objection(&hospital, false, hospital.ago(100)));
    vec![practice, hospital]
}

fn objecting_in_emergency_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let (practice, mut hospital) = practice_and_hospital(person, as_of);
    hospital.add(objection(&hospital, true, hospital.ago(100)));
    vec![practice, hospital]
}

fn practice_and_hospital(person: &Person, as_of: Date) -> (Record<'_>, Record<'_>) {
    let mut practice = Record::of(person, &PRACTICE_BOROUGH, as_of);
    practice.add(practice.problem(&problem::HYPERTENSION, "active", "2007", practice.ago(1500)));
    let mut hospital = Record::of(person, &ACUTE, as_of);
    hospital.add(hospital.allergy(&allergy::ASPIRIN, &allergy::ANAPHYLAXIS, "severe", "2012", hospital.ago(700)));
    (practice, hospital)
}

fn safeguarded_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut practice = Record::of(person, &PRACTICE_WALWORTH, as_of);
    practice.add(practice.problem(&problem::DEMENTIA, "active", "2021", practice.ago(900)));
    let mut council = Record::of(person, &COUNCIL, as_of);
    let words = "Neighbour reports shouting and a locked kitchen. Enquiry open; visit in pairs.";
    council.add(council.safeguarding_flag(words, council.ago(15)).labelled(label::RESTRICTED));
    vec![practice, council]
}
