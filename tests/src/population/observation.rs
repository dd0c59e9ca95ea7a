//! Results, reports, imaging and vital signs.

use jiff::civil::Date;
use serde_json::{Value, json};

use super::clinical::status_of;
use super::random::Random;
use super::record::{Entry, Record, moment};
use super::terminology::measure::{
    self, BLOOD_PRESSURE, DIASTOLIC, DIASTOLIC_SNOMED, Measure, NEWS2, SYSTOLIC, SYSTOLIC_SNOMED,
};
use super::terminology::{Concept, UCUM};

impl Record<'_> {
    /// Laboratory `Observation` with its reference range.
    pub(super) fn result(&self, measure: &Measure, value: f64, date: Date) -> Entry {
        let mut resource = json!({
            "resourceType": "Observation",
            "status": "final",
            "category": [status_of("observation-category", "laboratory")],
            "code": codes(measure),
            "subject": self.subject(),
            "effectiveDateTime": moment(date, 495),
            "issued": moment(date, 840),
            "performer": [{"display": "Pathology laboratory"}],
            "valueQuantity": quantity(value, measure)
        });
        if let (Some(fields), Some((low, high))) = (resource.as_object_mut(), measure.reference) {
            let interpretation = if value < low {
                "L"
            } else if value > high {
                "H"
            } else {
                "N"
            };
            fields.insert(
                "interpretation".to_owned(),
                json!([status_of("v3-ObservationInterpretation", interpretation)]),
            );
            fields.insert(
                "referenceRange".to_owned(),
                json!([{"low": quantity(low, measure), "high": quantity(high, measure)}]),
            );
        }
        Entry::new(resource, date)
    }

    /// Vital-signs `Observation` (FHIR R4 vital signs profile).
    pub(super) fn vital(&self, measure: &Measure, value: f64, date: Date, minute: i64) -> Entry {
        Entry::new(
            json!({
                "resourceType": "Observation",
                "status": "final",
                "category": [status_of("observation-category", "vital-signs")],
                "code": codes(measure),
                "subject": self.subject(),
                "effectiveDateTime": moment(date, minute),
                "performer": [self.author()],
                "valueQuantity": quantity(value, measure)
            }),
            date,
        )
    }

    /// Blood pressure `Observation` with its two components, in mm[Hg].
    pub(super) fn blood_pressure(&self, systolic: i64, diastolic: i64, date: Date, minute: i64) -> Entry {
        let component = |loinc: &Concept, snomed: &Concept, value: i64| {
            json!({
                "code": {"coding": [loinc.coding(), snomed.coding()], "text": loinc.display},
                "valueQuantity": {"value": value, "unit": "mmHg", "system": UCUM, "code": "mm[Hg]"}
            })
        };
        Entry::new(
            json!({
                "resourceType": "Observation",
                "status": "final",
                "category": [status_of("observation-category", "vital-signs")],
                "code": BLOOD_PRESSURE.concept(),
                "subject": self.subject(),
                "effectiveDateTime": moment(date, minute),
                "performer": [self.author()],
                "component": [
                    component(&SYSTOLIC, &SYSTOLIC_SNOMED, systolic),
                    component(&DIASTOLIC, &DIASTOLIC_SNOMED, diastolic)
                ]
            }),
            date,
        )
    }

    /// NEWS2 total score, 0 to 20 (Royal College of Physicians, 2017).
    pub(super) fn early_warning(&self, score: i64, date: Date, minute: i64) -> Entry {
        Entry::new(
            json!({
                "resourceType": "Observation",
                "status": "final",
                "category": [status_of("observation-category", "vital-signs")],
                "code": NEWS2.concept(),
                "subject": self.subject(),
                "effectiveDateTime": moment(date, minute),
                "performer": [self.author()],
                "valueInteger": score
            }),
            date,
        )
    }

    /// A full set of observations as a nurse takes them: six vital signs and NEWS2.
    pub(super) fn add_observation_round(&mut self, random: &mut Random, date: Date, minute: i64) {
        let pressure = self.blood_pressure(random.between(104, 168), random.between(56, 94), date, minute);
        self.add(pressure);
        for vital in ROUND {
            let entry = self.vital(vital, draw(random, vital), date, minute);
            self.add(entry);
        }
        let score = self.early_warning(random.between(0, 4), date, minute);
        self.add(score);
    }

    /// Results drawn from their plausible ranges with a `DiagnosticReport` over them; returns the report's `urn:uuid`.
    pub(super) fn add_report(
        &mut self,
        random: &mut Random,
        panel: &Concept,
        measures: &[Measure],
        date: Date,
    ) -> String {
        let mut results = Vec::new();
        for measure in measures {
            let entry = self.result(measure, draw(random, measure), date);
            results.push(json!({"reference": self.add(entry)}));
        }
        let report = self.report(panel, "final", date).with("result", Value::Array(results));
        self.add(report)
    }

    /// Laboratory `DiagnosticReport` without results.
    pub(super) fn report(&self, panel: &Concept, status: &str, date: Date) -> Entry {
        Entry::new(
            json!({
                "resourceType": "DiagnosticReport",
                "status": status,
                "category": [status_of("v2-0074", "LAB")],
                "code": panel.concept(),
                "subject": self.subject(),
                "effectiveDateTime": moment(date, 495),
                "issued": moment(date, 870),
                "performer": [{"display": "Pathology laboratory"}]
            }),
            date,
        )
    }

    /// `ImagingStudy` and its radiology `DiagnosticReport`; `modality` is a DICOM code (CR, CT, US).
    pub(super) fn add_imaging(&mut self, study: &Concept, modality: &str, conclusion: &str, date: Date) {
        let imaging = Entry::new(
            json!({
                "resourceType": "ImagingStudy",
                "status": "available",
                "modality": [{"system": "http://dicom.nema.org/resources/ontology/DCM", "code": modality}],
                "subject": self.subject(),
                "started": moment(date, 640),
                "numberOfSeries": 1,
                "numberOfInstances": 2,
                "procedureCode": [study.concept()],
                "description": study.display
            }),
            date,
        );
        let imaging = self.add(imaging);
        let report = self
            .report(study, "final", date)
            .with("category", json!([status_of("v2-0074", "RAD")]))
            .with("performer", json!([{"display": "Reporting radiologist"}]))
            .with("imagingStudy", json!([{"reference": imaging}]))
            .with("conclusion", json!(conclusion));
        self.add(report);
    }

    /// Electronic frailty index, 0 to 1, as an assessment.
    pub(super) fn frailty_index(&self, value: f64, date: Date) -> Entry {
        Entry::new(
            json!({
                "resourceType": "Observation",
                "status": "final",
                "category": [status_of("observation-category", "survey")],
                "code": super::terminology::kind::FRAILTY_INDEX.concept(),
                "subject": self.subject(),
                "effectiveDateTime": date.to_string(),
                "performer": [self.author()],
                "valueQuantity": {"value": value, "unit": "index", "system": UCUM, "code": "1"}
            }),
            date,
        )
    }
}

/// A value from the measure's plausible range.
pub(super) fn draw(random: &mut Random, measure: &Measure) -> f64 {
    random.value(measure.plausible.0, measure.plausible.1, measure.decimals)
}

fn codes(measure: &Measure) -> Value {
    let mut codings = vec![measure.loinc.coding()];
    codings.extend(measure.snomed.as_ref().map(Concept::coding));
    json!({"coding": codings, "text": measure.loinc.display})
}

/// FHIR `Quantity`; whole numbers are written without a decimal point.
fn quantity(value: f64, measure: &Measure) -> Value {
    let value = if measure.decimals == 0 { json!(value as i64) } else { json!(value) };
    json!({"value": value, "unit": measure.unit, "system": UCUM, "code": measure.ucum})
}

const ROUND: &[Measure] =
    &[measure::HEART_RATE, measure::RESPIRATORY_RATE, measure::TEMPERATURE, measure::OXYGEN_SATURATION];
