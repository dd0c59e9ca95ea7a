use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::Value;

use super::*;
use crate::population::Population;
use crate::population::terminology::{NUMBER_CHANGE, NUMBER_STATUS};

const AS_OF: Date = jiff::civil::date(2026, 11, 2);

fn population() -> &'static Population {
    static POPULATION: LazyLock<Population> = LazyLock::new(|| Population::demo(7, 0, AS_OF));
    &POPULATION
}

/// What one organisation holds about a hard person, without its copies of the Patient.
fn held(hard: &HardPerson, ods: &str) -> Vec<&'static Value> {
    let all = resources(hard, ods);
    all.into_iter().filter(|resource| resource["resourceType"] != "Patient").collect()
}

fn patients(hard: &HardPerson, ods: &str) -> Vec<&'static Value> {
    let all = resources(hard, ods);
    all.into_iter().filter(|resource| resource["resourceType"] == "Patient").collect()
}

fn resources(hard: &HardPerson, ods: &str) -> Vec<&'static Value> {
    let fits = |holding: &&Holding| holding.nhs_number == hard.nhs_number && holding.ods == ods;
    let holding = population().holdings.iter().find(fits).unwrap();
    holding.bundle["entry"].as_array().unwrap().iter().map(|entry| &entry["resource"]).collect()
}

#[test]
fn the_list_says_what_the_population_holds() {
    let cases: BTreeSet<_> = PEOPLE.iter().map(|hard| hard.case).collect();
    assert_eq!(cases.len(), PEOPLE.len());
    for hard in PEOPLE {
        let person = population().people.iter().find(|person| person.nhs_number == hard.nhs_number).unwrap();
        assert_eq!((person.case, person.birth_date, person.family.as_str()), (hard.case, hard.birth_date, hard.family));
        assert_eq!(population().holders(hard.nhs_number), hard.holders, "{}", hard.case);
        assert!(!hard.rules.is_empty() && hard.rules.iter().all(|rule| (1..=16).contains(rule)), "{}", hard.case);
        assert!(!hard.hard.contains('\t'), "a note is one cell of a table");
    }
    assert_eq!(population().people.iter().filter(|person| !person.case.is_empty()).count(), PEOPLE.len());
}

#[test]
fn twins_share_everything_but_the_number_and_the_given_name() {
    let about = |hard: &HardPerson, ods: &str| {
        let patient = patients(hard, ods)[0];
        let parts = ["birthDate", "address", "telecom", "gender", "generalPractitioner"];
        (patient["name"][0]["family"].clone(), parts.map(|part| patient[part].clone()))
    };
    for ods in ["Y91002", "R9A"] {
        assert_eq!(about(&twin_first(), ods), about(&twin_second(), ods));
    }
    assert_ne!(twin_first().given, twin_second().given);
    assert!(twin_first().nhs_number.starts_with("99905200") && twin_second().nhs_number.starts_with("99905200"));
}

#[test]
fn links_are_stated_and_marked_where_they_must_be_ignored() {
    for (hard, ods, kind, other, marker) in [
        (superseded_old(), "Y91001", "replaced-by", superseded_new(), None),
        (superseded_new(), "Y91001", "replaces", superseded_old(), None),
        (adoption_before(), "R9A", "replaced-by", adoption_after(), Some("adoption")),
        (adoption_after(), "Y91002", "replaces", adoption_before(), Some("adoption")),
        (adoption_after(), "R9A", "replaces", adoption_before(), Some("adoption")),
        (recognition_before(), "R9A", "replaced-by", recognition_after(), Some("gender-recognition")),
        (recognition_after(), "Y91001", "replaces", recognition_before(), Some("gender-recognition")),
    ] {
        let patient = patients(&hard, ods)[0];
        assert_eq!(patient["link"][0]["type"], kind, "{}", hard.case);
        assert_eq!(patient["link"][0]["other"]["identifier"]["value"], other.nhs_number, "{}", hard.case);
        let tag = &patient["meta"]["tag"][0];
        assert_eq!(tag["code"].as_str(), marker, "{}", hard.case);
        assert!(marker.is_none() || tag["system"] == NUMBER_CHANGE);
    }
    for (hard, ods) in [(superseded_old(), "R9C"), (superseded_new(), "R9A"), (adoption_before(), "R9C")] {
        assert!(patients(&hard, ods)[0]["link"].is_null(), "{} knows one number only", hard.case);
    }
    for (hard, ods, marked) in
        [(invalidated(), "Y91001", true), (invalidated(), "R9A", false), (invalidated_at_hospital(), "R9A", true)]
    {
        assert_eq!(patients(&hard, ods)[0]["meta"]["tag"][0]["system"] == NUMBER_STATUS, marked);
    }
}

#[test]
fn a_second_registration_has_its_own_id_and_its_own_entries() {
    for (hard, ods, same_day) in [(duplicate_registration(), "R9A", true), (duplicate_other_birth_date(), "R9C", false)]
    {
        let registered = patients(&hard, ods);
        assert_eq!(registered.len(), 2);
        assert_ne!(registered[0]["id"], registered[1]["id"]);
        assert_eq!(registered[0]["identifier"][0], registered[1]["identifier"][0]);
        assert_ne!(registered[0]["identifier"][1], registered[1]["identifier"][1]);
        assert_eq!(registered[0]["birthDate"] == registered[1]["birthDate"], same_day);
        let about = |resource: &&Value| {
            let subject = ["subject", "patient"].iter().find_map(|name| resource[*name]["reference"].as_str());
            subject.map(str::to_owned)
        };
        let subjects: BTreeSet<_> = held(&hard, ods).iter().map(about).collect();
        assert_eq!(subjects.len(), 2, "entries under each");
    }
}

#[test]
fn the_forty_medicines_are_forty_and_have_the_conflicts_of_their_table() {
    let hard = forty_medicines();
    let mut named = BTreeSet::new();
    let mut of: BTreeMap<(&str, String), Vec<&Value>> = BTreeMap::new();
    for ods in hard.holders {
        for resource in held(&hard, ods) {
            if let Some(product) = resource["medicationCodeableConcept"]["text"].as_str() {
                named.insert(product.to_owned());
                of.entry((ods, product.to_owned())).or_default().push(resource);
            }
        }
    }
    assert!(named.len() >= 40, "{} medicines", named.len());
    let one = |ods: &'static str, product: &str| of[&(ods, product.to_owned())][0];
    assert_eq!(one("R9A", "Ramipril 5mg capsules")["status"], "stopped");
    assert_eq!(one("Y91001", "Ramipril 5mg capsules")["status"], "active");
    assert_eq!(one("R9A", "Apixaban 5mg tablets")["status"], "on-hold");
    let dose = |resource: &Value| resource["dosageInstruction"][0]["text"].as_str().unwrap().to_owned();
    for product in ["Bisoprolol 2.5mg tablets", "Methotrexate 2.5mg tablets"] {
        assert_ne!(dose(one("Y91001", product)), dose(one("R9A", product)));
    }
    assert!(!of.contains_key(&("FZ901", "Amlodipine 5mg tablets".to_owned())));
    assert!(!of.contains_key(&("Y91001", "Lansoprazole 30mg gastro-resistant capsules".to_owned())));
    assert!(one("Y91001", "Levothyroxine sodium 50microgram tablets")["dosageInstruction"][0]["doseAndRate"].is_null());
}

#[test]
fn the_long_history_is_as_long_as_it_says() {
    let hard = long_history();
    let entries: Vec<usize> = hard.holders.iter().map(|ods| resources(&hard, ods).len()).collect();
    assert_eq!(entries.iter().sum::<usize>(), HISTORY_ENTRIES, "{entries:?}");
    assert!(entries.iter().all(|count| *count > 50), "{entries:?}");
}

#[test]
fn stays_end_when_they_should() {
    let end = |hard: &HardPerson| {
        let entries = held(hard, "VL901");
        let stay = entries.iter().find(|resource| resource["resourceType"] == "EpisodeOfCare").unwrap();
        assert_eq!(stay["status"], "active");
        stay["period"]["end"].as_str().map(str::to_owned)
    };
    assert!(end(&respite()).unwrap() > AS_OF.to_string());
    assert!(end(&respite_over()).unwrap() < AS_OF.to_string());
    assert_eq!(end(&in_hospital()), None);
}

#[test]
fn the_long_letter_is_whole() {
    let entries = held(&odd_entries(), "Y91002");
    let letter = entries.iter().find(|resource| resource["resourceType"] == "DocumentReference").unwrap();
    let data = letter["content"][0]["attachment"]["data"].as_str().unwrap();
    assert!(data.len() > 90_000, "{}", data.len());
    let traces = crate::population::base64_traces(LONG_NARRATIVE_END);
    assert!(traces.iter().any(|trace| data.contains(trace)));
}
