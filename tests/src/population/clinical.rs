//! Problems, allergies, medicines, procedures, immunisations, encounters and episodes, each with the elements FHIR R4 requires.

use jiff::civil::Date;
use serde_json::{Value, json};

use super::medicine::Medicine;
use super::record::{Entry, Record, moment};
use super::terminology::{Concept, EPISODE_KIND};

impl Record<'_> {
    /// `Condition`; `status` is `active`, `inactive`, `remission` or `resolved`, `onset` a full or partial date.
    pub(super) fn problem(&self, problem: &Concept, status: &str, onset: &str, recorded: Date) -> Entry {
        let ended = status == "resolved";
        let entry = Entry::new(
            json!({
                "resourceType": "Condition",
                "clinicalStatus": status_of("condition-clinical", status),
                "verificationStatus": status_of("condition-ver-status", "confirmed"),
                "category": [{"coding": [coding("condition-category", "problem-list-item")]}],
                "code": problem.concept(),
                "subject": self.subject(),
                "onsetDateTime": onset,
                "recordedDate": recorded.to_string(),
                "recorder": self.author()
            }),
            recorded,
        );
        if ended { entry.with("abatementDateTime", json!(recorded.to_string())) } else { entry }
    }

    /// `Condition` known only as typed words.
    pub(super) fn uncoded_problem(&self, words: &str, recorded: Date) -> Entry {
        Entry::new(
            json!({
                "resourceType": "Condition",
                "clinicalStatus": status_of("condition-clinical", "active"),
                "category": [{"coding": [coding("condition-category", "problem-list-item")]}],
                "code": {"text": words},
                "subject": self.subject(),
                "recordedDate": recorded.to_string(),
                "recorder": self.author()
            }),
            recorded,
        )
    }

    /// `AllergyIntolerance`, active and confirmed; `severity` is `mild`, `moderate` or `severe`.
    pub(super) fn allergy(
        &self,
        allergy: &Concept,
        reaction: &Concept,
        severity: &str,
        onset: &str,
        recorded: Date,
    ) -> Entry {
        let criticality = if severity == "severe" { "high" } else { "low" };
        Entry::new(
            json!({
                "resourceType": "AllergyIntolerance",
                "clinicalStatus": status_of("allergyintolerance-clinical", "active"),
                "verificationStatus": status_of("allergyintolerance-verification", "confirmed"),
                "type": "allergy",
                "criticality": criticality,
                "code": allergy.concept(),
                "patient": self.subject(),
                "onsetDateTime": onset,
                "recordedDate": recorded.to_string(),
                "recorder": self.author(),
                "reaction": [{"manifestation": [reaction.concept()], "severity": severity}]
            }),
            recorded,
        )
    }

    /// `AllergyIntolerance` known only as typed words.
    pub(super) fn uncoded_allergy(&self, words: &str, recorded: Date) -> Entry {
        Entry::new(
            json!({
                "resourceType": "AllergyIntolerance",
                "clinicalStatus": status_of("allergyintolerance-clinical", "active"),
                "verificationStatus": status_of("allergyintolerance-verification", "unconfirmed"),
                "code": {"text": words},
                "patient": self.subject(),
                "recordedDate": recorded.to_string(),
                "recorder": self.author()
            }),
            recorded,
        )
    }

    /// `AllergyIntolerance` that states there is none.
    pub(super) fn no_known_allergy(&self, recorded: Date) -> Entry {
        Entry::new(
            json!({
                "resourceType": "AllergyIntolerance",
                "clinicalStatus": status_of("allergyintolerance-clinical", "active"),
                "verificationStatus": status_of("allergyintolerance-verification", "confirmed"),
                "code": super::terminology::allergy::NONE_KNOWN.concept(),
                "patient": self.subject(),
                "recordedDate": recorded.to_string(),
                "recorder": self.author()
            }),
            recorded,
        )
    }

    /// `MedicationRequest`; `status` is an R4 medicationrequest-status, `category` `community`, `inpatient` or `discharge`.
    pub(super) fn prescription(&self, medicine: &Medicine, status: &str, category: &str, authored: Date) -> Entry {
        Entry::new(
            json!({
                "resourceType": "MedicationRequest",
                "status": status,
                "intent": "order",
                "category": [{"coding": [coding("medicationrequest-category", category)]}],
                "medicationCodeableConcept": medicine.concept(),
                "subject": self.subject(),
                "authoredOn": authored.to_string(),
                "requester": self.author(),
                "dosageInstruction": [medicine.dosage()],
                "dispenseRequest": {"quantity": medicine.quantity(28)}
            }),
            authored,
        )
    }

    /// `MedicationStatement`: what the person takes that nobody here prescribed.
    pub(super) fn medicine_taken(&self, medicine: &Medicine, note: &str, asserted: Date) -> Entry {
        Entry::new(
            json!({
                "resourceType": "MedicationStatement",
                "status": "active",
                "medicationCodeableConcept": medicine.concept(),
                "subject": self.subject(),
                "dateAsserted": asserted.to_string(),
                "informationSource": self.subject(),
                "note": [{"text": note}],
                "dosage": [medicine.dosage()]
            }),
            asserted,
        )
    }

    /// `MedicationDispense`, handed over.
    pub(super) fn dispensed(&self, medicine: &Medicine, handed_over: Date) -> Entry {
        Entry::new(
            json!({
                "resourceType": "MedicationDispense",
                "status": "completed",
                "medicationCodeableConcept": medicine.concept(),
                "subject": self.subject(),
                "performer": [{"actor": self.author()}],
                "quantity": medicine.quantity(28),
                "daysSupply": {"value": 28, "unit": "day", "system": super::terminology::UCUM, "code": "d"},
                "whenPrepared": moment(handed_over, 600),
                "whenHandedOver": moment(handed_over, 690),
                "dosageInstruction": [medicine.dosage()]
            }),
            handed_over,
        )
    }

    /// `MedicationAdministration` from a care home's or ward's chart.
    pub(super) fn administered(&self, medicine: &Medicine, date: Date, minute: i64) -> Entry {
        Entry::new(
            json!({
                "resourceType": "MedicationAdministration",
                "status": "completed",
                "medicationCodeableConcept": medicine.concept(),
                "subject": self.subject(),
                "effectiveDateTime": moment(date, minute),
                "performer": [{"actor": self.author()}],
                "dosage": {"text": medicine.dose, "dose": {"value": medicine.units, "unit": medicine.unit}}
            }),
            date,
        )
    }

    /// `Procedure`, completed.
    pub(super) fn procedure(&self, procedure: &Concept, performed: &str, recorded: Date) -> Entry {
        Entry::new(
            json!({
                "resourceType": "Procedure",
                "status": "completed",
                "code": procedure.concept(),
                "subject": self.subject(),
                "performedDateTime": performed,
                "performer": [{"actor": self.author()}]
            }),
            recorded,
        )
    }

    /// `Immunization`, completed.
    pub(super) fn immunisation(&self, vaccine: &Concept, date: Date) -> Entry {
        Entry::new(
            json!({
                "resourceType": "Immunization",
                "status": "completed",
                "vaccineCode": vaccine.concept(),
                "patient": self.subject(),
                "occurrenceDateTime": date.to_string(),
                "recorded": date.to_string(),
                "primarySource": true,
                "performer": [{"actor": self.author()}]
            }),
            date,
        )
    }

    /// `Encounter`; `class` is a v3-ActCode (AMB, EMER, HH, IMP, VR); open when there is no `end`.
    pub(super) fn encounter(&self, class: &str, kind: &Concept, reason: &str, start: Date, end: Option<Date>) -> Entry {
        let mut period = json!({"start": moment(start, 560)});
        if let (Some(fields), Some(end)) = (period.as_object_mut(), end) {
            fields.insert("end".to_owned(), json!(moment(end, 620)));
        }
        let status = if end.is_some() { "finished" } else { "in-progress" };
        Entry::new(
            json!({
                "resourceType": "Encounter",
                "status": status,
                "class": {"system": super::terminology::ACT_CODE, "code": class},
                "type": [kind.concept()],
                "subject": self.subject(),
                "participant": [{"individual": self.author()}],
                "period": period,
                "reasonCode": [{"text": reason}],
                "serviceProvider": self.organisation.reference()
            }),
            end.unwrap_or(start),
        )
    }

    /// `EpisodeOfCare`; `kind` is a local episode kind such as `residency` or `district-nursing`; active when there is no `end`.
    pub(super) fn episode(&self, kind: &'static str, display: &'static str, start: Date, end: Option<Date>) -> Entry {
        let mut period = json!({"start": start.to_string()});
        if let (Some(fields), Some(end)) = (period.as_object_mut(), end) {
            fields.insert("end".to_owned(), json!(end.to_string()));
        }
        let kind = Concept { system: EPISODE_KIND, code: kind, display };
        Entry::new(
            json!({
                "resourceType": "EpisodeOfCare",
                "status": if end.is_some() { "finished" } else { "active" },
                "type": [kind.concept()],
                "patient": self.subject(),
                "managingOrganization": self.organisation.reference(),
                "period": period,
                "careManager": self.author()
            }),
            end.unwrap_or(start),
        )
    }

    /// `Appointment`, booked, half an hour from `minute` after midnight.
    pub(super) fn appointment(&self, service: &Concept, date: Date, minute: i64, booked: Date) -> Entry {
        Entry::new(
            json!({
                "resourceType": "Appointment",
                "status": "booked",
                "serviceType": [service.concept()],
                "description": format!("{} by {}", service.display, self.organisation.name),
                "start": moment(date, minute),
                "end": moment(date, minute + 30),
                "created": booked.to_string(),
                "participant": [
                    {"actor": self.subject(), "status": "accepted"},
                    {"actor": self.author(), "status": "accepted"}
                ]
            }),
            booked,
        )
    }
}

/// A `CodeableConcept` with one code of an HL7 terminology system.
pub(super) fn status_of(system: &str, code: &str) -> Value {
    json!({"coding": [coding(system, code)]})
}

fn coding(system: &str, code: &str) -> Value {
    json!({"system": format!("http://terminology.hl7.org/CodeSystem/{system}"), "code": code})
}
