//! A stream of single resources, one to a line, for import at scale.

use jiff::ToSpan;
use jiff::civil::Date;
use serde_json::{Value, json};

use super::NHS_NUMBER_SYSTEM;
use super::clinical::status_of;
use super::identity::somebody;
use super::medicine;
use super::organisation::{Style, practice};
use super::random::Random;
use super::record::{identifier_system, moment};
use super::terminology::measure::{self, Measure};
use super::terminology::{UCUM, event, problem};

/// How the stream is drawn.
#[derive(Clone, Copy, Debug)]
pub struct NdjsonOptions {
    /// Another seed, other people.
    pub seed: u64,
    /// Histories end the day before.
    pub as_of: Date,
    /// ODS code of the organisation whose export this is (the identifier system of its entries).
    pub ods: &'static str,
    /// Puts three Observations of each patient before their Patient, and every second block one Observation of the *next* block's patient.
    pub observations_first: bool,
}

/// Exactly `count` lines of FHIR R4 NDJSON (no line ends), in blocks of 25: a Patient and their resources, with `Type/id` references. Ids
/// depend on the line's place only. Every subject referred to has its Patient in the stream. NHS numbers start at index 20,000 of
/// [`nhs_number`](super::nhs_number) and so never meet those of [`Population::demo`](super::Population::demo) with a smaller crowd.
pub fn ndjson(count: usize, options: NdjsonOptions) -> impl Iterator<Item = String> {
    (0..count).map(move |line| {
        let (patient, slot) = plan(line, count, options.observations_first);
        resource(patient, slot, &options).to_string()
    })
}

/// Lines for each patient.
const BLOCK: usize = 25;

/// Which patient's which resource stands on a line. Slot 0 is the Patient, 1 to 14 are Observations.
fn plan(line: usize, count: usize, observations_first: bool) -> (usize, usize) {
    let (block, place) = (line / BLOCK, line % BLOCK);
    let whole = |block: usize| (block + 1) * BLOCK <= count;
    if !observations_first || !whole(block) {
        return (block, place);
    }
    let slot = match place {
        0..3 => place + 1,
        3 => 0,
        _ => place,
    };
    let partner = if block % 2 == 0 { block + 1 } else { block - 1 };
    if slot == SWAPPED && whole(partner) { (partner, slot) } else { (block, slot) }
}

fn resource(patient: usize, slot: usize, options: &NdjsonOptions) -> Value {
    let mut random = Random::new(options.seed, &format!("stream {patient} {slot}"));
    let date = options.as_of.saturating_sub(random.between(1, 900).days());
    let id = format!("stream-{patient:07}-{slot:02}");
    let subject = json!({"reference": format!("Patient/stream-{patient:07}-00")});
    let mut resource = match slot {
        0 => patient_resource(patient, options),
        1..=11 => {
            let measure = random.pick(MEASURES, measure::SODIUM);
            observation(&measure, super::observation::draw(&mut random, &measure), "laboratory", date)
        }
        12..=14 => {
            let value = super::observation::draw(&mut random, &measure::HEART_RATE);
            observation(&measure::HEART_RATE, value, "vital-signs", date)
        }
        15..=17 => {
            let problem = random.pick(PROBLEMS, problem::HYPERTENSION);
            json!({
                "resourceType": "Condition",
                "clinicalStatus": status_of("condition-clinical", "active"),
                "category": [status_of("condition-category", "problem-list-item")],
                "code": problem.concept(),
                "onsetDateTime": date.to_string(),
                "recordedDate": date.to_string()
            })
        }
        18..=20 => {
            let medicine = random.pick(MEDICINES, medicine::AMLODIPINE);
            json!({
                "resourceType": "MedicationRequest",
                "status": "active",
                "intent": "order",
                "medicationCodeableConcept": medicine.concept(),
                "authoredOn": date.to_string(),
                "dosageInstruction": [medicine.dosage()]
            })
        }
        21 | 22 => json!({
            "resourceType": "Immunization",
            "status": "completed",
            "vaccineCode": event::INFLUENZA_VACCINE.concept(),
            "occurrenceDateTime": date.to_string(),
            "patient": subject.clone()
        }),
        _ => json!({
            "resourceType": "Encounter",
            "status": "finished",
            "class": {"system": super::terminology::ACT_CODE, "code": "AMB"},
            "type": [event::CONSULTATION.concept()],
            "period": {"start": moment(date, 600), "end": moment(date, 615)}
        }),
    };
    if let Some(fields) = resource.as_object_mut() {
        if slot > 0 {
            if !fields.contains_key("patient") {
                fields.insert("subject".to_owned(), subject);
            }
            let identifier = json!([{"system": identifier_system(options.ods), "value": id}]);
            fields.insert("identifier".to_owned(), identifier);
        }
        let updated = moment(if slot == 0 { options.as_of.saturating_sub(1.days()) } else { date }, 700);
        let meta = json!({"versionId": "1", "lastUpdated": updated});
        fields.insert("meta".to_owned(), meta);
        fields.insert("id".to_owned(), json!(id));
    }
    resource
}

fn patient_resource(patient: usize, options: &NdjsonOptions) -> Value {
    let mut random = Random::new(options.seed, &format!("stream person {patient}"));
    let person = somebody(&mut random, FIRST_NUMBER + patient, (0, 95), options.as_of);
    json!({
        "resourceType": "Patient",
        "identifier": [{"system": NHS_NUMBER_SYSTEM, "value": person.nhs_number}],
        "active": true,
        "name": [person.name(Style::Full)],
        "gender": person.gender,
        "birthDate": person.birth_date.to_string(),
        "address": [person.address(Style::Full)],
        "generalPractitioner": [practice(person.registered_practice).reference()]
    })
}

fn observation(measure: &Measure, value: f64, category: &str, date: Date) -> Value {
    json!({
        "resourceType": "Observation",
        "status": "final",
        "category": [status_of("observation-category", category)],
        "code": measure.loinc.concept(),
        "effectiveDateTime": moment(date, 600),
        "valueQuantity": {"value": value, "unit": measure.unit, "system": UCUM, "code": measure.ucum}
    })
}

/// The Observation that changes places with the next block's.
const SWAPPED: usize = 5;

/// First index of [`super::nhs_number`] used here.
const FIRST_NUMBER: usize = 20_000;

const MEASURES: &[Measure] = &[
    measure::SODIUM,
    measure::POTASSIUM,
    measure::UREA,
    measure::CREATININE,
    measure::EGFR,
    measure::HBA1C,
    measure::HAEMOGLOBIN,
];

const PROBLEMS: &[super::terminology::Concept] =
    &[problem::HYPERTENSION, problem::TYPE_2_DIABETES, problem::ASTHMA, problem::OSTEOARTHRITIS, problem::ECZEMA];

const MEDICINES: &[medicine::Medicine] =
    &[medicine::AMLODIPINE, medicine::METFORMIN, medicine::SALBUTAMOL, medicine::ATORVASTATIN, medicine::OMEPRAZOLE];
