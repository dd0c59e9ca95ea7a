//! Who has a reason to ask? Referrals, caseloads and stays, running and over.

use jiff::ToSpan;
use jiff::civil::{Date, date};
use serde_json::json;

use super::{BOROUGH, FEMALE, HardPerson, MALE, WALWORTH};
use crate::population::medicine;
use crate::population::organisation::{ACUTE, CARE_HOME, COMMUNITY, PRACTICE_BOROUGH, PRACTICE_WALWORTH};
use crate::population::record::Record;
use crate::population::terminology::{allergy, event, kind, problem};
use crate::population::{ODS_SYSTEM, Person};

/// Referred to the voluntary settlement with one allergy, one plan and an about-me: the settlement sees what was sent with the referral and
/// nothing else, though the practice and the hospital hold more of each kind. Access table, O cells.
#[must_use]
pub const fn referred() -> HardPerson {
    HardPerson {
        case: "referred",
        nhs_number: "9990520364",
        birth_date: date(1950, 6, 6),
        family: "Goldsworthy",
        given: "Pearl",
        gender: FEMALE,
        registered_practice: BOROUGH,
        holders: &["Y91001", "R9A"],
        hard: "referred to 8Z901 with one allergy, one plan and an about-me",
        rules: &[9],
        records: referred_records,
    }
}

/// On the community trust's caseload by a care team it manages, with no episode of care: that is reason enough to ask. Relationships.
#[must_use]
pub const fn caseload() -> HardPerson {
    HardPerson {
        case: "caseload",
        nhs_number: "9990520372",
        birth_date: date(1947, 2, 22),
        family: "Inglethorpe",
        given: "Basil",
        gender: MALE,
        registered_practice: WALWORTH,
        holders: &["Y91002", "R9C"],
        hard: "on the caseload of R9C by an active care team",
        rules: &[9],
        records: caseload_records,
    }
}

/// No longer on it: the care team is inactive and the episode of care finished. What is over is no reason to ask. Relationships.
#[must_use]
pub const fn caseload_ended() -> HardPerson {
    HardPerson {
        case: "caseload-ended",
        nhs_number: "9990520380",
        birth_date: date(1949, 11, 13),
        family: "Jessamine",
        given: "Ursula",
        gender: FEMALE,
        registered_practice: WALWORTH,
        holders: &["Y91002", "R9C"],
        hard: "care team and episode of care at R9C ended",
        rules: &[9],
        records: caseload_ended_records,
    }
}

/// In the care home for respite until ten days from now: a resident like any other until then. Relationships.
#[must_use]
pub const fn respite() -> HardPerson {
    HardPerson {
        case: "respite",
        nhs_number: "9990520399",
        birth_date: date(1933, 3, 28),
        family: "Kettlewell",
        given: "Dora",
        gender: FEMALE,
        registered_practice: BOROUGH,
        holders: &["Y91001", "VL901"],
        hard: "respite at VL901 with an end date ahead",
        rules: &[9],
        records: respite_records,
    }
}

/// Respite that ended five days ago; nobody closed the episode, so its status still says active. The end date counts. Relationships.
#[must_use]
pub const fn respite_over() -> HardPerson {
    HardPerson {
        case: "respite-over",
        nhs_number: "9990520402",
        birth_date: date(1936, 8, 17),
        family: "Longbottom",
        given: "Cyril",
        gender: MALE,
        registered_practice: BOROUGH,
        holders: &["Y91001", "VL901"],
        hard: "respite at VL901 ended, its episode still marked active",
        rules: &[9],
        records: respite_over_records,
    }
}

/// A resident who is in hospital today: the stay does not end the residency, so the home still has a reason to ask. Relationships.
#[must_use]
pub const fn in_hospital() -> HardPerson {
    HardPerson {
        case: "in-hospital",
        nhs_number: "9990520410",
        birth_date: date(1931, 12, 24),
        family: "Mortlake",
        given: "Olive",
        gender: FEMALE,
        registered_practice: BOROUGH,
        holders: &["Y91001", "R9A", "VL901"],
        hard: "lives at VL901, an inpatient at R9A since three days",
        rules: &[9],
        records: in_hospital_records,
    }
}

fn referred_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut practice = Record::of(person, &PRACTICE_BOROUGH, as_of);
    let day = practice.ago(12);
    let sent = practice.allergy(&allergy::PEANUT, &allergy::ANAPHYLAXIS, "severe", "1970", practice.ago(4000));
    let sent = practice.add(sent);
    practice.add(practice.allergy(&allergy::LATEX, &allergy::RASH, "mild", "2011", practice.ago(3000)));
    let plan = practice.care_plan(&kind::PERSONALISED_PLAN, "Wellbeing plan", &["Walking group on Tuesdays"], day);
    let plan = practice.add(plan);
    practice.add(practice.care_plan(&kind::CARE_PLAN, "Heart failure plan", &["Weigh daily"], practice.ago(90)));
    let about = practice.document(&kind::ABOUT_ME, "About me", "I was a florist. I miss company.", day);
    let about = practice.add(about);
    let supporting: Vec<_> = [sent, plan, about].iter().map(|entry| json!({"reference": entry})).collect();
    let settlement = json!({
        "type": "Organization",
        "identifier": {"system": ODS_SYSTEM, "value": "8Z901"},
        "display": "Walworth settlement"
    });
    let referral = practice
        .referral(kind::SOCIAL_PRESCRIBING.concept(), "Lonely since her sister died; would like company", day)
        .with("performer", json!([settlement]))
        .with("supportingInfo", json!(supporting));
    practice.add(referral);
    practice.add(practice.problem(&problem::HEART_FAILURE, "active", "2020", practice.ago(1000)));
    let mut hospital = Record::of(person, &ACUTE, as_of);
    hospital.add(hospital.allergy(&allergy::ASPIRIN, &allergy::URTICARIA, "moderate", "2014", hospital.ago(800)));
    vec![practice, hospital]
}

fn caseload_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut practice = Record::of(person, &PRACTICE_WALWORTH, as_of);
    practice.add(practice.problem(&problem::TYPE_2_DIABETES, "active", "2009", practice.ago(900)));
    practice.add(practice.prescription(&medicine::METFORMIN, "active", "community", practice.ago(22)));
    let mut community = Record::of(person, &COMMUNITY, as_of);
    community.add(community.care_team("Diabetes nursing team", &["Named diabetes nurse"], community.ago(200)));
    vec![practice, community]
}

fn caseload_ended_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut practice = Record::of(person, &PRACTICE_WALWORTH, as_of);
    practice.add(practice.problem(&problem::CHRONIC_KIDNEY_DISEASE, "active", "2014", practice.ago(900)));
    let mut community = Record::of(person, &COMMUNITY, as_of);
    let (since, ended) = (community.ago(400), community.ago(60));
    let team = community
        .care_team("Renal nursing team", &["Renal nurse"], since)
        .with("status", json!("inactive"))
        .with("period", json!({"start": since.to_string(), "end": ended.to_string()}));
    community.add(team);
    community.add(community.episode("renal-nursing", "Renal nursing", since, Some(ended)));
    vec![practice, community]
}

/// The practice's record and the home's, with a stay that began and ends on these days.
fn resident(person: &Person, as_of: Date, since: Date, until: Date) -> Vec<Record<'_>> {
    let mut practice = Record::of(person, &PRACTICE_BOROUGH, as_of);
    practice.add(practice.problem(&problem::STROKE, "active", "2015", practice.ago(900)));
    practice.add(practice.prescription(&medicine::CLOPIDOGREL, "active", "community", practice.ago(17)));
    let mut home = Record::of(person, &CARE_HOME, as_of);
    let stay = home
        .episode("residency", "Respite stay", since, None)
        .with("period", json!({"start": since.to_string(), "end": until.to_string()}));
    home.add(stay);
    home.add(home.document(&kind::ABOUT_ME, "About me", "I like the door ajar.", since));
    vec![practice, home]
}

fn respite_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    resident(person, as_of, as_of.saturating_sub(4.days()), as_of.saturating_add(10.days()))
}

fn respite_over_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    resident(person, as_of, as_of.saturating_sub(19.days()), as_of.saturating_sub(5.days()))
}

fn in_hospital_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut practice = Record::of(person, &PRACTICE_BOROUGH, as_of);
    practice.add(practice.problem(&problem::OSTEOPOROSIS, "active", "2016", practice.ago(900)));
    let mut hospital = Record::of(person, &ACUTE, as_of);
    hospital.add(hospital.encounter("IMP", &event::ADMISSION, "Fall, left hip", hospital.ago(3), None));
    hospital.add(hospital.problem(&problem::FRACTURED_HIP, "active", &hospital.ago(3).to_string(), hospital.ago(3)));
    let mut home = Record::of(person, &CARE_HOME, as_of);
    home.add(home.episode("residency", "Care home residency", home.ago(1100), None));
    home.add(home.flag("safety", kind::FALLS_RISK.concept(), home.ago(1000)));
    vec![practice, hospital, home]
}
