//! Cara Shah, whose whereabouts nobody may learn from a view: six organisations hold them in every place where records hold such things.
//! Rule 3 of the view.

use jiff::civil::{Date, date};
use serde_json::{Value, json};

use super::identity::{Address, Person};
use super::medicine;
use super::named::BLOODS;
use super::organisation::{ACUTE, AMBULANCE, CARE_HOME, COUNCIL, PHARMACY, PRACTICE_BOROUGH};
use super::random::Random;
use super::record::{Entry, Record};
use super::terminology::{allergy, event, kind, label, measure, problem};
use super::{CARA_ADDRESS, CARA_CLINIC, CARA_LOCALITY, CARA_TELEPHONE, Holding, close};

/// Who she is.
pub(super) fn shah() -> Person {
    Person {
        nhs_number: "9990256950".to_owned(),
        birth_date: date(1979, 5, 23),
        family: "Shah".to_owned(),
        given: "Cara".to_owned(),
        gender: "female",
        registered_practice: PRACTICE_BOROUGH.ods,
        note: "address-restricted (meta.security R on every copy of the Patient); whereabouts in letters, places and notes".to_owned(),
        case: "",
        middle: Some("Meera".to_owned()),
        address: Address {
            first_line: format!("7 {CARA_ADDRESS}"),
            locality: CARA_LOCALITY.to_owned(),
            postcode: "SE1 6NM".to_owned(),
        },
        telephone: CARA_TELEPHONE.to_owned(),
        restricted: true,
        deceased: None,
    }
}

/// What six organisations hold about her.
pub(super) fn records(person: &Person, seed: u64, as_of: Date) -> Vec<Holding> {
    let mut random = Random::new(seed, "cara");

    let mut practice = Record::of(person, &PRACTICE_BOROUGH, as_of);
    let day = practice.ago(300);
    let asthma = practice.problem(&problem::ASTHMA, "active", "1990", day);
    practice.add(asthma);
    let disclosure =
        practice.uncoded_problem("Disclosed past abuse; see safety plan", day).labelled(label::DOMESTIC_ABUSE);
    practice.add(disclosure);
    let peanut = practice.allergy(&allergy::PEANUT, &allergy::URTICARIA, "severe", "1988", practice.ago(5200));
    practice.add(peanut);
    let inhaler = practice.prescription(&medicine::SALBUTAMOL, "active", "community", practice.ago(40));
    practice.add(inhaler);
    let visit = practice
        .encounter("AMB", &event::CONSULTATION, "Asthma review", practice.ago(40), Some(practice.ago(40)))
        .with("location", json!([{"location": {"display": format!("Branch surgery, {CARA_LOCALITY}")}}]));
    practice.add(visit);
    let letter = practice.document(
        &kind::LETTER,
        "Letter to the patient",
        &format!(
            "7 {CARA_ADDRESS}, {CARA_LOCALITY}, London SE1 6NM. Telephone {CARA_TELEPHONE}. Please book your asthma review."
        ),
        practice.ago(70),
    );
    practice.add(letter);
    practice.add_report(&mut random, &measure::BLOOD_COUNT, BLOODS, practice.ago(70));

    let mut hospital = Record::of(person, &ACUTE, as_of);
    let visit =
        hospital.encounter("EMER", &event::EMERGENCY_ADMISSION, "Wheeze", hospital.ago(120), Some(hospital.ago(120)));
    hospital.add(visit);
    hospital.add_imaging(&measure::CHEST_RADIOGRAPH, "CR", "Normal appearances.", hospital.ago(120));
    let peanut = hospital.allergy(&allergy::PEANUT, &allergy::URTICARIA, "moderate", "1988", hospital.ago(120));
    hospital.add(peanut);

    let origin = json!({"display": home()});
    let stay = hospital
        .encounter("IMP", &event::ADMISSION, "Asthma, overnight", hospital.ago(119), Some(hospital.ago(118)))
        .with(
            "hospitalization",
            json!({"origin": origin, "dischargeDisposition": {"text": "Usual place of residence"}}),
        )
        .with("location", place(&format!("{CARA_CLINIC}, {CARA_LOCALITY}")));
    let stay = hospital.add(stay);
    let course = format!("Seen at home, {}, and brought in. Ring {CARA_TELEPHONE} with the results.", home());
    hospital.add(hospital.discharge_composition(&stay, &[("Hospital course", &course)], hospital.ago(118)));
    hospital.add(hospital.document(&kind::LETTER, "Asthma clinic letter", &course, hospital.ago(100)));

    close(vec![
        practice,
        hospital,
        ambulance(person, as_of),
        care_home(person, as_of),
        council(person, as_of),
        pharmacy(person, as_of),
    ])
}

/// Fetched from her door: the address is where the crew met her.
fn ambulance(person: &Person, as_of: Date) -> Record<'_> {
    let mut record = Record::of(person, &AMBULANCE, as_of);
    let day = record.ago(119);
    let journey = record
        .encounter("EMER", &event::EMERGENCY_ADMISSION, "Wheeze", day, Some(day))
        .with("location", place(&home()));
    record.add(journey);
    let words = format!("Met outside {}. Nebuliser given.", home());
    record.add(record.document(&kind::LETTER, "Ambulance clinical handover", &words, day));
    record
}

/// A fortnight of respite last year, which names the part of the town.
fn care_home(person: &Person, as_of: Date) -> Record<'_> {
    let mut record = Record::of(person, &CARE_HOME, as_of);
    record.add(record.episode("residency", "Respite stay", record.ago(420), Some(record.ago(406))));
    let visit = record
        .encounter("AMB", &event::CONSULTATION, "Seen by the visiting doctor", record.ago(410), Some(record.ago(410)))
        .with("location", place(&format!("Lounge, twelve minutes from {CARA_LOCALITY}")));
    record.add(visit);
    // Part of an address that this home keeps on one line.
    let taxi = format!("Taxi from 7 {CARA_ADDRESS} and back");
    record.add(record.care_plan(&kind::CARE_PLAN, "Respite plan", &[&taxi], record.ago(419)));
    record
}

/// Her sister's address is her own, and her care plan says how to get in.
fn council(person: &Person, as_of: Date) -> Record<'_> {
    let mut record = Record::of(person, &COUNCIL, as_of);
    let sister = Entry::new(
        json!({
            "resourceType": "RelatedPerson",
            "active": true,
            "patient": record.subject(),
            "relationship": [{
                "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "SIS", "display": "sister"}]
            }],
            "telecom": [{"system": "phone", "value": CARA_TELEPHONE, "use": "home"}],
            "address": [{"use": "home", "line": [format!("7 {CARA_ADDRESS}")], "postalCode": "SE1 6NM"}]
        }),
        record.ago(300),
    );
    record.add(sister);
    let plan = record.care_plan(
        &super::document::social_care("care-package", "Home care package"),
        "Home care",
        &[&format!("Go in by the side door of 7 {CARA_ADDRESS}")],
        record.ago(200),
    );
    record.add(plan);
    record
}

/// Delivered to the door.
fn pharmacy(person: &Person, as_of: Date) -> Record<'_> {
    let mut record = Record::of(person, &PHARMACY, as_of);
    let delivered = record
        .dispensed(&medicine::SALBUTAMOL, record.ago(38))
        .with("destination", json!({"display": home()}))
        .with("note", json!([{"text": format!("Left with the neighbour, {CARA_LOCALITY}")}]));
    record.add(delivered);
    record
}

fn home() -> String {
    format!("7 {CARA_ADDRESS}, {CARA_LOCALITY}, London SE1 6NM")
}

/// `Encounter.location` of one place known by its words.
fn place(words: &str) -> Value {
    json!([{"location": {"display": words}}])
}
