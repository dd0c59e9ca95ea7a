use careweave_protocol::record::Form;
use serde_json::{Value, json};

use super::super::row::tests_support::read_json;
use super::*;

fn concept(codes: &[(&str, Option<&str>)], words: &str) -> Value {
    let codings: Vec<Value> =
        codes.iter().map(|(code, display)| json!({"system": SNOMED, "code": code, "display": display})).collect();
    json!({"coding": codings, "text": words})
}

fn said(category: Category, codes: &[(&str, Option<&str>)], words: &str) -> Option<String> {
    let concept = concept(codes, words);
    let json = match category {
        Category::Medications => json!({"resourceType": "MedicationRequest", "medicationCodeableConcept": concept}),
        Category::Allergies => json!({"resourceType": "AllergyIntolerance", "code": concept}),
        _ => json!({"resourceType": "Condition", "code": concept}),
    };
    contradiction(&read_json(category, Form::Full, &json), None)
}

const APIXABAN: &str = "42206511000001102";

#[test]
fn a_code_that_contradicts_its_words_is_told() {
    for (category, codes, words, expected) in [
        (
            Category::Medications,
            vec![(APIXABAN, None)],
            "Warfarin 3mg tablets",
            "code 42206511000001102 means apixaban, \"Warfarin 3mg tablets\" means warfarin",
        ),
        (
            Category::Medications,
            vec![("1", Some("Apixaban 5mg tablets"))],
            "Warfarin 3mg tablets",
            "its display \"Apixaban 5mg tablets\" means apixaban, \"Warfarin 3mg tablets\" means warfarin",
        ),
        (
            Category::Medications,
            vec![(APIXABAN, None), ("42217611000001104", None)],
            "Blood thinner",
            "code 42206511000001102 means apixaban, code 42217611000001104 means warfarin",
        ),
        (
            Category::Medications,
            vec![("322236009", None)],
            "Co-codamol 30mg/500mg tablets",
            "code 322236009 means paracetamol, \"Co-codamol 30mg/500mg tablets\" means codeine + paracetamol",
        ),
        (
            Category::Medications,
            vec![(APIXABAN, None)],
            "Blood thinner (warfarin)",
            "code 42206511000001102 means apixaban, \"Blood thinner (warfarin)\" means warfarin",
        ),
        (
            Category::Problems,
            vec![("44054006", Some("Type 2 diabetes mellitus"))],
            "Type 1 diabetes",
            "code 44054006 means type 2 diabetes, \"Type 1 diabetes\" means type 1 diabetes",
        ),
        (
            Category::Allergies,
            vec![("91936005", None)],
            "Latex gloves",
            "code 91936005 means allergy to penicillin, \"Latex gloves\" means latex allergy",
        ),
    ] {
        assert_eq!(said(category, &codes, words).as_deref(), Some(expected));
    }
}

#[test]
fn what_agrees_or_is_not_known_is_not_told() {
    for (category, codes, words) in [
        (Category::Medications, vec![(APIXABAN, Some("Apixaban 5mg tablets"))], "Eliquis 5mg tablets"),
        (Category::Medications, vec![(APIXABAN, None)], "Blood thinner"),
        (Category::Medications, vec![("5", Some("Oddicine"))], "Warfarin 3mg tablets"),
        (Category::Medications, vec![], "Warfarin 3mg tablets"),
        (Category::Medications, vec![(APIXABAN, None)], "Apixaban 5mg tablets (changed from warfarin)"),
        (Category::Problems, vec![("38341003", Some("Hypertensive disorder"))], "High blood pressure"),
        (Category::Problems, vec![("13645005", None)], "Asthma and COPD overlap"),
        (Category::Problems, vec![("84114007", None)], "Known to the clinic, reviewed after discharge"),
        (Category::Problems, vec![("49436004", None)], "Warfarin therapy"),
        (Category::Problems, vec![("52448006", None)], "Alzheimer's disease"),
        (Category::Allergies, vec![("91936005", None)], "Amoxicillin: rash"),
        (Category::Letters, vec![("44054006", None)], "Type 1 diabetes"),
    ] {
        assert_eq!(said(category, &codes, words), None, "{words}");
    }
}

#[test]
fn retired_codes_are_those_of_snomed_ct_that_were_retired() {
    let coding = |system: &str, code: &str| Coding { system: system.to_owned(), code: code.to_owned(), display: None };
    assert!(is_retired(&coding(SNOMED, "367416001"), None));
    assert!(!is_retired(&coding("urn:local", "367416001"), None));
    assert!(!is_retired(&coding(SNOMED, "194828000"), None));
}

#[test]
fn short_names_are_whole_words() {
    assert!(mentions("known af, rate controlled", "af"));
    assert!(!mentions("after surgery", "af"));
    assert!(mentions("osteoporosis of hip", "osteoporo"));
    assert!(!mentions("unaf", "af"));
}

#[test]
fn every_concept_agrees_with_its_own_name() {
    for (code, display) in [
        ("84114007", "Heart failure"),
        ("49436004", "Atrial fibrillation"),
        ("709044004", "Chronic kidney disease"),
        ("38341003", "Hypertensive disorder"),
        ("44054006", "Type 2 diabetes mellitus"),
        ("46635009", "Diabetes mellitus type 1"),
        ("52448006", "Dementia"),
        ("26929004", "Alzheimer's disease"),
        ("13645005", "Chronic obstructive pulmonary disease"),
        ("195951007", "Acute exacerbation of chronic obstructive airways disease"),
        ("195967001", "Asthma"),
        ("53741008", "Coronary arteriosclerosis"),
        ("230690007", "Cerebrovascular accident"),
        ("35489007", "Depressive disorder"),
        ("84757009", "Epilepsy"),
        ("64859006", "Osteoporosis"),
        ("69896004", "Rheumatoid arthritis"),
        ("58214004", "Schizophrenia"),
        ("13746004", "Bipolar disorder"),
        ("396275006", "Osteoarthritis"),
        ("197480006", "Anxiety disorder"),
        ("40930008", "Hypothyroidism"),
        ("34486009", "Hyperthyroidism"),
        ("233604007", "Pneumonia"),
        ("68566005", "Urinary tract infection"),
        ("14669001", "Acute kidney injury"),
        ("5913000", "Fracture of neck of femur"),
        ("76272004", "Syphilis"),
        ("43116000", "Eczema"),
        ("37796009", "Migraine"),
        ("65363002", "Otitis media"),
        ("44465007", "Sprain of ankle"),
        ("90560007", "Gout"),
        ("91936005", "Allergy to penicillin"),
        ("91939003", "Allergy to sulfonamide"),
        ("300916003", "Latex allergy"),
        ("91935009", "Allergy to peanut"),
        ("293586001", "Allergy to aspirin"),
        ("716186003", "No known allergy"),
    ] {
        assert!(concept_of(Said::Code(code), None).is_some(), "{code}");
        assert_eq!(said(Category::Problems, &[(code, Some(display))], display), None, "{display}");
        assert_eq!(said(Category::Problems, &[(code, None)], &display.to_uppercase()), None, "{display}");
    }
}
