//! What the acute trust holds: one admission, its results and its discharge summary.

use jiff::ToSpan;
use jiff::civil::Date;
use serde_json::json;

use super::Shared;
use crate::population::medicine;
use crate::population::organisation::ACUTE;
use crate::population::random::Random;
use crate::population::record::Record;
use crate::population::terminology::{allergy, event, kind, measure, problem};
use crate::population::{CANARY, Person};

/// The hospital's record.
pub(super) fn record<'a>(person: &'a Person, random: &mut Random, as_of: Date, shared: &Shared) -> Record<'a> {
    let mut record = Record::open(person, &ACUTE, as_of, person.birth_date);
    let admitted = record.ago(28);
    let left = record.ago(21);
    let stay = record
        .encounter("IMP", &event::ADMISSION, "Breathless, swollen legs, black stools", admitted, Some(left))
        .with("hospitalization", json!({"dischargeDisposition": {"text": "Usual place of residence, care home"}}));
    let stay = record.add(stay);
    findings(&mut record, admitted, left, shared);
    investigations(&mut record, random, admitted);
    medicines(&mut record, left);
    summary(&mut record, &stay, left);

    // An older plan than the practice's, still marked current here: the view must say so instead of choosing.
    let respect = record.document(
        &kind::RESPECT,
        "ReSPECT plan",
        "ReSPECT. For full treatment including intensive care. For attempted resuscitation.",
        record.ago(1190),
    );
    record.add(respect);
    let clinic = record.appointment(&event::CONSULTATION, as_of.saturating_add(13.days()), 630, left);
    record.add(clinic);
    record
}

fn findings(record: &mut Record<'_>, admitted: Date, left: Date, shared: &Shared) {
    let failure = record.problem(&problem::HEART_FAILURE, "active", "2016", admitted);
    record.add(failure);
    let kidneys = record.problem(&problem::ACUTE_KIDNEY_INJURY, "resolved", &admitted.to_string(), left);
    record.add(kidneys);
    let penicillin = record
        .allergy(&allergy::PENICILLIN, &allergy::ANAPHYLAXIS, "severe", "1998", admitted)
        .copy_of(shared.penicillin.clone());
    record.add(penicillin);
}

fn investigations(record: &mut Record<'_>, random: &mut Random, admitted: Date) {
    for day in [0, 1, 2, 4, 6] {
        let date = admitted.saturating_add(day.days());
        record.add_report(
            random,
            &measure::RENAL_PROFILE,
            &[measure::SODIUM, measure::POTASSIUM, measure::UREA, measure::CREATININE, measure::EGFR],
            date,
        );
        record.add_observation_round(random, date, 370);
    }
    // The newer version stands first in the file: versions decide, not order.
    for (version, status, conclusion) in [
        (2, "amended", "Haemoglobin 96 g/L, checked on a second sample."),
        (1, "preliminary", "Haemoglobin 69 g/L, to be repeated."),
    ] {
        let report = record
            .report(&measure::BLOOD_COUNT, status, admitted.saturating_add(i64::from(version - 1).days()))
            .with("conclusion", json!(conclusion))
            .version_of("R9A|9990010013|blood-count-on-admission", version);
        record.add(report);
    }
    record.add_imaging(
        &measure::CHEST_RADIOGRAPH,
        "CR",
        "Cardiomegaly, small bilateral effusions, upper lobe diversion.",
        admitted,
    );
    let echo_day = admitted.saturating_add(3.days());
    let echo = record.procedure(&event::ECHOCARDIOGRAPHY, &echo_day.to_string(), echo_day);
    record.add(echo);
    let trace = record.procedure(&event::ELECTROCARDIOGRAM, &admitted.to_string(), admitted);
    record.add(trace);
}

fn medicines(record: &mut Record<'_>, left: Date) {
    let apixaban = record.prescription(&medicine::APIXABAN, "on-hold", "discharge", left).with(
        "statusReason",
        json!({"text": "Gastrointestinal bleeding; to be reviewed by the practice within two weeks"}),
    );
    record.add(apixaban);
    let furosemide = medicine::FUROSEMIDE.at_dose("Take two in the morning", 2.0);
    for medicine in [furosemide, medicine::BISOPROLOL, medicine::OMEPRAZOLE] {
        let entry = record.prescription(&medicine, "active", "discharge", left);
        record.add(entry);
    }
}

fn summary(record: &mut Record<'_>, stay: &str, left: Date) {
    let course = format!(
        "Admitted from the care home with heart failure and a gastrointestinal bleed. Diuresed 4 kg. The ward's {CANARY}."
    );
    let changes =
        "Apixaban ON HOLD because of bleeding. Furosemide increased to 80 mg in the morning. Omeprazole 20 mg started.";
    let plan =
        "Practice: kidney function within one week, decide about apixaban within two. Home: weigh daily for two weeks.";
    let composition = record.discharge_composition(
        stay,
        &[("Hospital course", &course), ("Medicines changed", changes), ("Plan and requested actions", plan)],
        left,
    );
    record.add(composition);
    let document = record
        .document(&kind::DISCHARGE_SUMMARY, "Discharge summary", &format!("{course}\n\n{changes}\n\n{plan}\n"), left)
        .with("context", json!({"encounter": [{"reference": stay}]}));
    record.add(document);
}
