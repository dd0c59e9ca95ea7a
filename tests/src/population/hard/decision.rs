//! Death that is disputed, and advance decisions that contradict one another, were taken back or are overdue for review.

use jiff::civil::{Date, date};
use serde_json::{Value, json};

use super::{BOROUGH, FEMALE, HardPerson, MALE, WALWORTH};
use crate::population::Person;
use crate::population::organisation::{ACUTE, COMMUNITY, PRACTICE_BOROUGH, PRACTICE_WALWORTH};
use crate::population::record::{Entry, Record};
use crate::population::terminology::{event, kind, problem};

/// Dead on one day by the practice and on another by the community trust; alive by the hospital, which saw them since. A banner with every
/// source, and that it is disputed; access after death is each holder's own question. Rule 14.
#[must_use]
pub const fn death_disputed() -> HardPerson {
    HardPerson {
        case: "death-disputed",
        nhs_number: "9990520224",
        birth_date: date(1941, 10, 2),
        family: "Ollerenshaw",
        given: "Percy",
        gender: MALE,
        registered_practice: WALWORTH,
        holders: &["Y91002", "R9A", "R9C"],
        hard: "dead at Y91002 and, on another day, at R9C; deceasedBoolean false and a later contact at R9A",
        rules: &[14],
        records: death_records,
    }
}

/// A DNACPR flag at the practice, and a later ReSPECT document at the hospital that says to attempt resuscitation. Nobody may pick one for
/// the reader: `CONFLICT: check the original`. Rule 14.
#[must_use]
pub const fn dnacpr_conflict() -> HardPerson {
    HardPerson {
        case: "dnacpr-conflict",
        nhs_number: "9990520232",
        birth_date: date(1939, 4, 25),
        family: "Braithwaite",
        given: "Edith",
        gender: FEMALE,
        registered_practice: BOROUGH,
        holders: &["Y91001", "R9A"],
        hard: "DNACPR flag active at Y91001, ReSPECT for attempted resuscitation at R9A",
        rules: &[13, 14],
        records: conflict_records,
    }
}

/// Every way in which a decision ends: a Consent made inactive, a flag whose status is inactive, a document superseded, and a flag entered in
/// error. None of them may stand among the key facts. Rules 4 and 14.
#[must_use]
pub const fn dnacpr_revoked() -> HardPerson {
    HardPerson {
        case: "dnacpr-revoked",
        nhs_number: "9990520240",
        birth_date: date(1946, 12, 19),
        family: "Carmichael",
        given: "Agnes",
        gender: FEMALE,
        registered_practice: WALWORTH,
        holders: &["Y91002", "R9A", "R9C"],
        hard: "DNACPR revoked: inactive Consent at R9A, inactive flag and superseded document at Y91002, flag in error at R9C",
        rules: &[4, 13, 14],
        records: revoked_records,
    }
}

/// Out of date in two ways, and nobody ended either: a ReSPECT document whose own words say that its review was due last year, and a
/// Consent still marked active whose time is over. Rule 14.
#[must_use]
pub const fn dnacpr_review_overdue() -> HardPerson {
    HardPerson {
        case: "dnacpr-review-overdue",
        nhs_number: "9990520259",
        birth_date: date(1935, 2, 7),
        family: "Duckworth",
        given: "Walter",
        gender: MALE,
        registered_practice: BOROUGH,
        holders: &["Y91001", "R9A"],
        hard: "ReSPECT at Y91001 with its review a year overdue; DNACPR Consent at R9A marked active after its end",
        rules: &[13, 14],
        records: overdue_records,
    }
}

/// `Consent` not to attempt cardiopulmonary resuscitation (consent category `dnr`), in force for `period`.
fn do_not_resuscitate(record: &Record<'_>, status: &str, period: Value, dated: Date) -> Entry {
    let coding = |system: &str, code: &str| json!({"coding": [{"system": format!("http://terminology.hl7.org/CodeSystem/{system}"), "code": code}]});
    Entry::new(
        json!({
            "resourceType": "Consent",
            "status": status,
            "scope": coding("consentscope", "adr"),
            "category": [kind::DNACPR.concept(), coding("consentcategorycodes", "dnr")],
            "patient": record.subject(),
            "dateTime": dated.to_string(),
            "performer": [record.author()],
            "policyRule": coding("consentpolicycodes", "ga-dnar"),
            "provision": {"type": "deny", "period": period}
        }),
        dated,
    )
}

fn death_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut practice = Record::of(person, &PRACTICE_WALWORTH, as_of);
    practice.amend_patient("deceasedDateTime", json!(practice.ago(50).to_string()));
    practice.add(practice.problem(&problem::COPD, "active", "2006", practice.ago(2000)));
    let mut hospital = Record::of(person, &ACUTE, as_of);
    hospital.amend_patient("deceasedBoolean", json!(false));
    let seen = hospital.ago(20);
    hospital.add(hospital.encounter("AMB", &event::CONSULTATION, "Chest clinic, attended", seen, Some(seen)));
    let mut community = Record::of(person, &COMMUNITY, as_of);
    community.amend_patient("deceasedDateTime", json!(community.ago(47).to_string()));
    let visit = community.ago(60);
    community.add(community.encounter("HH", &event::HOME_VISIT, "Oxygen review", visit, Some(visit)));
    vec![practice, hospital, community]
}

fn conflict_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut practice = Record::of(person, &PRACTICE_BOROUGH, as_of);
    practice.add(practice.flag("clinical", kind::DNACPR.concept(), practice.ago(220)));
    let mut hospital = Record::of(person, &ACUTE, as_of);
    hospital.add(hospital.document(
        &kind::RESPECT,
        "ReSPECT plan",
        "ReSPECT. For full treatment. FOR attempted cardiopulmonary resuscitation. Discussed with Edith on the ward.",
        hospital.ago(30),
    ));
    vec![practice, hospital]
}

fn revoked_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut practice = Record::of(person, &PRACTICE_WALWORTH, as_of);
    let (made, ended) = (practice.ago(700), practice.ago(90));
    let flag = practice
        .flag("clinical", kind::DNACPR.concept(), made)
        .with("status", json!("inactive"))
        .with("period", json!({"start": made.to_string(), "end": ended.to_string()}));
    practice.add(flag);
    let document = practice
        .document(&kind::RESPECT, "ReSPECT plan", "ReSPECT. Not for attempted cardiopulmonary resuscitation.", made)
        .with("status", json!("superseded"));
    practice.add(document);
    let mut hospital = Record::of(person, &ACUTE, as_of);
    let period = json!({"start": made.to_string(), "end": ended.to_string()});
    hospital.add(do_not_resuscitate(&hospital, "inactive", period, made));
    let mut community = Record::of(person, &COMMUNITY, as_of);
    let mistaken = community
        .flag("clinical", kind::DNACPR.concept(), community.ago(400))
        .with("status", json!("entered-in-error"));
    community.add(mistaken);
    vec![practice, hospital, community]
}

fn overdue_records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    let mut practice = Record::of(person, &PRACTICE_BOROUGH, as_of);
    let (made, due) = (practice.ago(760), practice.ago(395));
    let words = format!("ReSPECT. Not for attempted cardiopulmonary resuscitation. Review date: {due}");
    practice.add(practice.document(&kind::RESPECT, "ReSPECT plan", &words, made));
    practice.add(practice.problem(&problem::DEMENTIA, "active", "2018", practice.ago(1500)));
    let mut hospital = Record::of(person, &ACUTE, as_of);
    let period = json!({"start": made.to_string(), "end": due.to_string()});
    hospital.add(do_not_resuscitate(&hospital, "active", period, made));
    vec![practice, hospital]
}
