//! Forty medicines of one person, with every way in which lists of medicines contradict one another.

use jiff::civil::{Date, date};
use serde_json::{Value, json};

use super::{BOROUGH, FEMALE, HardPerson};
use crate::population::Person;
use crate::population::medicine::{self, Medicine, further};
use crate::population::organisation::{ACUTE, COMMUNITY, MENTAL_HEALTH, PHARMACY, PRACTICE_BOROUGH};
use crate::population::record::Record;
use crate::population::terminology::{SNOMED, label, problem};

/// More than forty medicines at five organisations, discharged ten days ago. In the list, by what must be named:
///
/// | conflict | medicine |
/// |---|---|
/// | dose, and discharge change not yet at the practice | bisoprolol: one at Y91001, two at R9A |
/// | dose | insulin glargine: 18 units at Y91001, 22 at R9C; methotrexate: weekly at Y91001, **daily** at R9A |
/// | active against stopped | ramipril: active at Y91001, stopped at R9A |
/// | active against on hold | apixaban: active at Y91001, on hold at R9A |
/// | duplicate ingredient | atorvastatin and Lipitor; paracetamol in paracetamol and in co-codamol |
/// | new at discharge, not at the practice | lansoprazole |
/// | prescribed, not dispensed | amlodipine |
/// | free text only | a sleeping remedy from the market; co-proxamol, which was withdrawn long ago |
/// | code no longer in use | the angina for which the spray is (of medicines only a deployer's dm+d knows) |
/// | code against display | mirtazapine under the code of olanzapine, the next line of a pick list |
/// | dose in words | levothyroxine, insulin aspart |
///
/// Beside them: when required, weekly, twelve-weekly, a label on quetiapine, finished courses, stopped ones. Rule 5.
#[must_use]
pub const fn forty_medicines() -> HardPerson {
    HardPerson {
        case: "forty-medicines",
        nhs_number: "9990520429",
        birth_date: date(1943, 9, 9),
        family: "Osgoodby",
        given: "Hilda",
        gender: FEMALE,
        registered_practice: BOROUGH,
        holders: &["Y91001", "R9A", "R9C", "R9M", "FZ901"],
        hard: "more than forty medicines with every kind of conflict",
        rules: &[5, 6],
        records,
    }
}

fn records(person: &Person, _: u64, as_of: Date) -> Vec<Record<'_>> {
    vec![
        practice(person, as_of),
        hospital(person, as_of),
        community(person, as_of),
        mental_health(person, as_of),
        pharmacy(person, as_of),
    ]
}

fn practice(person: &Person, as_of: Date) -> Record<'_> {
    let mut record = Record::of(person, &PRACTICE_BOROUGH, as_of);
    let issued = record.ago(14);
    for medicine in REPEATS {
        record.add(record.prescription(medicine, "active", "community", issued));
    }
    for (medicine, status, days) in [
        (further::ASPIRIN, "stopped", 700),
        (further::SIMVASTATIN, "stopped", 1900),
        (medicine::NAPROXEN, "stopped", 1200),
        (medicine::AMOXICILLIN, "completed", 90),
        (medicine::TRIMETHOPRIM, "completed", 160),
        (further::PREDNISOLONE, "completed", 60),
    ] {
        record.add(record.prescription(&medicine, status, "community", record.ago(days)));
    }
    in_other_words(&mut record, issued);
    record.add(record.problem(&problem::ATRIAL_FIBRILLATION, "active", "2015", record.ago(900)));
    record.add(record.problem(&problem::RHEUMATOID_ARTHRITIS, "active", "2008", record.ago(900)));
    record
}

/// Entries that no list of codes can compare: only words, a code out of use, a code beside other words, a dose without numbers.
fn in_other_words(record: &mut Record<'_>, issued: Date) {
    for (words, dose, day) in [
        (FREE_TEXT, "One sachet at night", issued),
        ("Co-proxamol 32.5mg/325mg tablets", "Take two when required", record.ago(4300)),
    ] {
        let words = record
            .prescription(&further::MELATONIN, "active", "community", day)
            .with("medicationCodeableConcept", json!({"text": words}))
            .with("dosageInstruction", json!([{"text": dose}]))
            .without(&["dispenseRequest"]);
        record.add(words);
    }
    record.add(record.problem(&problem::RETIRED, "active", "2013", record.ago(900)));
    let mirtazapine = medicine::MIRTAZAPINE.product;
    let against = record
        .prescription(&medicine::MIRTAZAPINE, "active", "community", issued)
        .with("medicationCodeableConcept", coded(medicine::OLANZAPINE.code, mirtazapine, mirtazapine));
    record.add(against);
    for (medicine, dose) in [
        (medicine::LEVOTHYROXINE, "Take one hundred micrograms each morning before breakfast"),
        (further::INSULIN_ASPART, "Inject four to eight units with each meal"),
    ] {
        let entry = record
            .prescription(&medicine, "active", "community", issued)
            .with("dosageInstruction", json!([{"text": dose}]));
        record.add(entry);
    }
}

fn hospital(person: &Person, as_of: Date) -> Record<'_> {
    let mut record = Record::of(person, &ACUTE, as_of);
    let left = record.ago(10);
    let doubled = medicine::BISOPROLOL.at_dose("Take two in the morning", 2.0);
    let daily = medicine::METHOTREXATE.taken("Take four once a DAY", 4.0, medicine::Every::Day(1));
    for medicine in [doubled, daily, further::LANSOPRAZOLE, medicine::FUROSEMIDE] {
        record.add(record.prescription(&medicine, "active", "discharge", left));
    }
    for (medicine, status, reason) in [
        (medicine::RAMIPRIL, "stopped", "Acute kidney injury"),
        (medicine::APIXABAN, "on-hold", "Nosebleeds; practice to review within a week"),
    ] {
        let entry =
            record.prescription(&medicine, status, "discharge", left).with("statusReason", json!({"text": reason}));
        record.add(entry);
    }
    record
}

/// District nurses give the insulin, by their own chart.
fn community(person: &Person, as_of: Date) -> Record<'_> {
    let mut record = Record::of(person, &COMMUNITY, as_of);
    let more = medicine::INSULIN_GLARGINE.at_dose("Inject 22 units at bedtime", 22.0);
    record.add(record.prescription(&more, "active", "community", record.ago(6)));
    for days in [3, 2, 1] {
        record.add(record.administered(&more, record.ago(days), 1290));
    }
    record
}

fn mental_health(person: &Person, as_of: Date) -> Record<'_> {
    let mut record = Record::of(person, &MENTAL_HEALTH, as_of);
    let quetiapine = record
        .prescription(&further::QUETIAPINE, "active", "community", record.ago(40))
        .with("reasonCode", json!([{"text": "Evening agitation"}]))
        .labelled(label::MENTAL_HEALTH);
    record.add(quetiapine);
    record
}

/// Everything that the practice repeats but amlodipine, which nobody collected.
fn pharmacy(person: &Person, as_of: Date) -> Record<'_> {
    let mut record = Record::of(person, &PHARMACY, as_of);
    for medicine in REPEATS.iter().filter(|medicine| medicine.code != medicine::AMLODIPINE.code) {
        record.add(record.dispensed(medicine, record.ago(13)));
    }
    record.add(record.medicine_taken(
        &medicine::NAPROXEN,
        "Says she still takes it from an old supply.",
        record.ago(13),
    ));
    record
}

fn coded(code: &str, display: &str, text: &str) -> Value {
    json!({"coding": [{"system": SNOMED, "code": code, "display": display}], "text": text})
}

/// What stands for a medicine that no list of codes has.
const FREE_TEXT: &str = "Sleeping remedy from the market, valerian and something else";

const REPEATS: &[Medicine] = &[
    medicine::BISOPROLOL,
    medicine::RAMIPRIL,
    medicine::APIXABAN,
    medicine::ATORVASTATIN,
    further::LIPITOR,
    medicine::PARACETAMOL,
    further::CO_CODAMOL,
    medicine::AMLODIPINE,
    medicine::INSULIN_GLARGINE,
    medicine::METHOTREXATE,
    further::FOLIC_ACID,
    medicine::METFORMIN,
    medicine::FUROSEMIDE,
    further::SPIRONOLACTONE,
    further::DIGOXIN,
    further::BENDROFLUMETHIAZIDE,
    further::GLYCERYL_TRINITRATE,
    medicine::SALBUTAMOL,
    further::CARBOCISTEINE,
    medicine::FERROUS_FUMARATE,
    further::COLECALCIFEROL,
    medicine::ALENDRONIC_ACID,
    further::LACTULOSE,
    further::GABAPENTIN,
    further::CITALOPRAM,
    medicine::DONEPEZIL,
    further::ALLOPURINOL,
    further::HYDROXOCOBALAMIN,
    further::LOSARTAN,
    further::FINASTERIDE,
    medicine::LEVETIRACETAM,
    further::THIAMINE,
];
