//! What the Borough practice holds.

use jiff::civil::Date;
use serde_json::json;

use super::{RESPECT, Shared};
use crate::population::Person;
use crate::population::clinical::status_of;
use crate::population::medicine;
use crate::population::organisation::PRACTICE_BOROUGH;
use crate::population::random::Random;
use crate::population::record::Record;
use crate::population::terminology::{allergy, event, kind, label, measure, problem};

/// The practice's record, and the identifiers that copies elsewhere repeat.
pub(super) fn record<'a>(person: &'a Person, random: &mut Random, as_of: Date) -> (Record<'a>, Shared) {
    let mut record = Record::open(person, &PRACTICE_BOROUGH, as_of, person.birth_date);
    problems(&mut record);
    labelled(&mut record);
    let penicillin = allergies(&mut record);
    medicines(&mut record);
    results(&mut record, random);
    contacts(&mut record);
    let respect = plans(&mut record);
    let shared = Shared { penicillin: record.identifier(&penicillin), respect: record.identifier(&respect) };
    (record, shared)
}

fn problems(record: &mut Record<'_>) {
    let day = record.ago(380);
    for (code, onset) in [
        (problem::HYPERTENSION, "1996"),
        (problem::TYPE_2_DIABETES, "2004-05"),
        (problem::ATRIAL_FIBRILLATION, "2014-11-20"),
        (problem::HEART_FAILURE, "2016-02-08"),
        (problem::CHRONIC_KIDNEY_DISEASE, "2018-09"),
        (problem::DEMENTIA, "2023-01-17"),
    ] {
        let entry = record.problem(&code, "active", onset, day);
        record.add(entry);
    }
    let pneumonia = record.problem(&problem::PNEUMONIA, "resolved", "2019-12-03", record.ago(2300));
    record.add(pneumonia);
    let undated = record.problem(&problem::OSTEOARTHRITIS, "active", "2010", day).undated();
    record.add(undated);
    let words = record.uncoded_problem("Unsteady on stairs, holds the rail with both hands", day);
    record.add(words);
    // Entered for the wrong patient: counted by a view, never listed.
    let mistaken = record
        .problem(&problem::ASTHMA, "active", "2021", record.ago(1500))
        .without(&["clinicalStatus"])
        .with("verificationStatus", status_of("condition-ver-status", "entered-in-error"));
    record.add(mistaken);
}

fn labelled(record: &mut Record<'_>) {
    let day = record.ago(900);
    let syphilis = record.problem(&problem::SYPHILIS, "resolved", "1961", day).labelled(label::SEXUALLY_TRANSMITTED);
    record.add(syphilis);
    let anxiety = record.problem(&problem::ANXIETY, "active", "2020-04", day).labelled(label::MENTAL_HEALTH);
    record.add(anxiety);
    let sealed = record.problem(&problem::ALCOHOL_MISUSE, "resolved", "1974", day).labelled(label::VERY_RESTRICTED);
    record.add(sealed);
}

/// Returns the penicillin allergy's `urn:uuid`.
fn allergies(record: &mut Record<'_>) -> String {
    let penicillin = record.allergy(&allergy::PENICILLIN, &allergy::ANAPHYLAXIS, "severe", "1998", record.ago(9800));
    let penicillin = record.add(penicillin);
    let plaster = record.uncoded_allergy("Elastoplast, skin goes red", record.ago(2100));
    record.add(plaster);
    penicillin
}

fn medicines(record: &mut Record<'_>) {
    let issued = record.ago(9);
    for medicine in [
        medicine::APIXABAN,
        medicine::BISOPROLOL,
        medicine::FUROSEMIDE,
        medicine::RAMIPRIL,
        medicine::METFORMIN,
        medicine::ATORVASTATIN,
        medicine::DONEPEZIL,
        medicine::PARACETAMOL,
    ] {
        let entry = record.prescription(&medicine, "active", "community", issued);
        record.add(entry);
    }
    let stopped = record
        .prescription(&medicine::NAPROXEN, "stopped", "community", record.ago(1460))
        .with("statusReason", json!({"text": "Kidney function and anticoagulation"}));
    record.add(stopped);
    let finished = record.prescription(&medicine::TRIMETHOPRIM, "completed", "community", record.ago(210));
    record.add(finished);
}

fn results(record: &mut Record<'_>, random: &mut Random) {
    for (days, egfr, hba1c, sodium) in [
        (740, 47.0, 58.0, 138.0),
        (560, 45.0, 61.0, 139.0),
        (375, 42.0, 57.0, 136.0),
        (190, 40.0, 55.0, 134.0),
        (12, 36.0, 53.0, 131.0),
    ] {
        let date = record.ago(days);
        let mut results = Vec::new();
        for (measure, value) in [(measure::EGFR, egfr), (measure::HBA1C, hba1c), (measure::SODIUM, sodium)] {
            let entry = record.result(&measure, value, date);
            results.push(json!({"reference": record.add(entry)}));
        }
        let report = record.report(&measure::RENAL_PROFILE, "final", date).with("result", json!(results));
        record.add(report);
        let pressure = record.blood_pressure(random.between(118, 156), random.between(62, 84), date, 610);
        record.add(pressure);
        let weight = record.vital(&measure::WEIGHT, random.value(57.0, 61.5, 1), date, 611);
        record.add(weight);
    }
    let undated = record.result(&measure::CHOLESTEROL, 4.1, record.ago(1100)).undated();
    record.add(undated);
    let frailty = record.frailty_index(0.39, record.ago(190));
    record.add(frailty);
}

fn contacts(record: &mut Record<'_>) {
    for (vaccine, days) in
        [(event::INFLUENZA_VACCINE, 230), (event::COVID_VACCINE, 225), (event::PNEUMOCOCCAL_VACCINE, 4200)]
    {
        let entry = record.immunisation(&vaccine, record.ago(days));
        record.add(entry);
    }
    for (class, kind, reason, days) in [
        ("AMB", event::CONSULTATION, "Long-term conditions review", 190),
        ("VR", event::TELEPHONE, "Care home round: ankle swelling", 47),
        ("HH", event::HOME_VISIT, "Care home round after discharge", 12),
    ] {
        let entry = record.encounter(class, &kind, reason, record.ago(days), Some(record.ago(days)));
        record.add(entry);
    }
    for (code, title, words, days) in [
        (
            kind::LETTER,
            "Cardiology clinic letter",
            "Ejection fraction 38 per cent. Continue beta blocker and ACE inhibitor. Weigh weekly.",
            420,
        ),
        (kind::LETTER, "Diabetic eye screening result", "Background changes only. Rescreen in one year.", 250),
        (kind::REFERRAL_LETTER, "Referral to district nursing", "Left leg ulcer, venous. Please assess and dress.", 66),
    ] {
        let letter = record.document(&code, title, words, record.ago(days));
        record.add(letter);
    }
}

/// Returns the ReSPECT document's `urn:uuid`.
fn plans(record: &mut Record<'_>) -> String {
    let goal = record.goal("To sit in the garden with my daughter on Sundays", record.ago(160));
    let goal = record.add(goal);
    let plan = record
        .care_plan(
            &kind::PERSONALISED_PLAN,
            "Personalised care and support plan",
            &[
                "Weigh every Monday; ring the practice if up 2 kg in a week",
                "Medicines given by the home; review every three months",
                "Memory: same carer in the mornings where possible",
            ],
            record.ago(160),
        )
        .with("goal", json!([{"reference": goal}]));
    record.add(plan);
    let team = record.care_team(
        "Coordinated care team",
        &["Named GP", "Care home nurse", "District nurse", "Practice pharmacist"],
        record.ago(160),
    );
    record.add(team);
    let about_me = record.document(
        &kind::ABOUT_ME,
        "About me",
        "Call me Mrs Okafor until we have met twice. I taught sewing for thirty years. I like the window open and tea without milk. I speak Igbo \
when I am tired.",
        record.ago(400),
    );
    record.add(about_me);
    let flag = record.flag("safety", kind::FALLS_RISK.concept(), record.ago(330));
    record.add(flag);
    let decision = record.flag("clinical", kind::DNACPR.concept(), record.ago(140));
    record.add(decision);
    let respect = record.document(&kind::RESPECT, "ReSPECT plan", RESPECT, record.ago(140));
    record.add(respect)
}
