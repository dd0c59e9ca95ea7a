//! Documents, plans, questionnaires, referrals, tasks, flags and care teams.

use jiff::civil::Date;
use serde_json::{Value, json};

use super::clinical::status_of;
use super::record::{Entry, Record, moment};
use super::terminology::{Concept, FLAG_CATEGORY, SOCIAL_CARE, kind};

impl Record<'_> {
    /// `DocumentReference` with its plain text inside as a base64 attachment.
    pub(super) fn document(&self, kind: &Concept, title: &str, words: &str, date: Date) -> Entry {
        Entry::new(
            json!({
                "resourceType": "DocumentReference",
                "status": "current",
                "docStatus": "final",
                "type": kind.concept(),
                "subject": self.subject(),
                "date": moment(date, 700),
                "author": [self.author()],
                "custodian": self.organisation.reference(),
                "description": title,
                "content": [{"attachment": {
                    "contentType": "text/plain; charset=utf-8",
                    "language": "en-GB",
                    "data": base64(words.as_bytes()),
                    "title": title,
                    "creation": moment(date, 700)
                }}]
            }),
            date,
        )
    }

    /// `Composition` of a discharge summary: one section for each (title, words).
    pub(super) fn discharge_composition(&self, encounter: &str, sections: &[(&str, &str)], date: Date) -> Entry {
        let sections: Vec<Value> =
            sections.iter().map(|(title, words)| json!({"title": title, "text": narrative(words)})).collect();
        Entry::new(
            json!({
                "resourceType": "Composition",
                "status": "final",
                "type": {
                    "coding": [kind::DISCHARGE_SUMMARY.coding(), kind::DISCHARGE_SUMMARY_LOINC.coding()],
                    "text": kind::DISCHARGE_SUMMARY.display
                },
                "subject": self.subject(),
                "encounter": {"reference": encounter},
                "date": moment(date, 700),
                "author": [self.author()],
                "title": kind::DISCHARGE_SUMMARY.display,
                "custodian": self.organisation.reference(),
                "section": sections
            }),
            date,
        )
    }

    /// `CarePlan` with one activity for each line of `activities`.
    pub(super) fn care_plan(&self, category: &Concept, title: &str, activities: &[&str], started: Date) -> Entry {
        let activities: Vec<Value> =
            activities.iter().map(|words| json!({"detail": {"status": "in-progress", "description": words}})).collect();
        Entry::new(
            json!({
                "resourceType": "CarePlan",
                "text": narrative(title),
                "status": "active",
                "intent": "plan",
                "category": [category.concept()],
                "title": title,
                "subject": self.subject(),
                "period": {"start": started.to_string()},
                "created": started.to_string(),
                "author": self.author(),
                "activity": activities
            }),
            started,
        )
    }

    /// `Goal`, active, in the person's own words.
    pub(super) fn goal(&self, words: &str, date: Date) -> Entry {
        Entry::new(
            json!({
                "resourceType": "Goal",
                "lifecycleStatus": "active",
                "description": {"text": words},
                "subject": self.subject(),
                "startDate": date.to_string(),
                "expressedBy": self.subject()
            }),
            date,
        )
    }

    /// `QuestionnaireResponse`, completed: one item for each (question, answer).
    pub(super) fn answers(&self, questionnaire: &str, answers: &[(&str, &str)], date: Date) -> Entry {
        let items: Vec<Value> = answers
            .iter()
            .enumerate()
            .map(|(place, (question, answer))| {
                json!({"linkId": (place + 1).to_string(), "text": question, "answer": [{"valueString": answer}]})
            })
            .collect();
        Entry::new(
            json!({
                "resourceType": "QuestionnaireResponse",
                "questionnaire": format!("https://careweave.example/fhir/Questionnaire/{questionnaire}"),
                "status": "completed",
                "subject": self.subject(),
                "authored": moment(date, 660),
                "author": self.author(),
                "item": items
            }),
            date,
        )
    }

    /// `Flag`, active; `category` is an HL7 flag category (`clinical`, `safety`).
    pub(super) fn flag(&self, category: &str, code: Value, date: Date) -> Entry {
        Entry::new(
            json!({
                "resourceType": "Flag",
                "status": "active",
                "category": [status_of("flag-category", category)],
                "code": code,
                "subject": self.subject(),
                "period": {"start": date.to_string()},
                "author": self.author()
            }),
            date,
        )
    }

    /// `Flag` of the local category `safeguarding`.
    pub(super) fn safeguarding_flag(&self, words: &str, date: Date) -> Entry {
        let category = Concept { system: FLAG_CATEGORY, code: "safeguarding", display: "Safeguarding" };
        self.flag("safety", json!({"text": words}), date).with("category", json!([category.concept()]))
    }

    /// `ServiceRequest`, active.
    pub(super) fn referral(&self, code: Value, reason: &str, date: Date) -> Entry {
        Entry::new(
            json!({
                "resourceType": "ServiceRequest",
                "status": "active",
                "intent": "order",
                "code": code,
                "subject": self.subject(),
                "authoredOn": date.to_string(),
                "requester": self.author(),
                "reasonCode": [{"text": reason}]
            }),
            date,
        )
    }

    /// Social-care `ServiceRequest` of a local kind (`equipment`, `care-package`, `home-environment`).
    pub(super) fn social_request(&self, code: &'static str, words: &'static str, date: Date) -> Entry {
        let concept = social_care(code, words);
        self.referral(concept.concept(), words, date)
            .with("category", json!([social_care(code, "Social care").concept()]))
    }

    /// Social-care `Task` that carries out the request referred to.
    pub(super) fn social_task(&self, code: &'static str, words: &'static str, request: &str, date: Date) -> Entry {
        Entry::new(
            json!({
                "resourceType": "Task",
                "basedOn": [{"reference": request}],
                "status": "in-progress",
                "intent": "order",
                "code": social_care(code, words).concept(),
                "description": words,
                "focus": {"reference": request},
                "for": self.subject(),
                "authoredOn": moment(date, 600),
                "lastModified": moment(date, 900),
                "requester": self.author(),
                "owner": self.organisation.reference()
            }),
            date,
        )
    }

    /// `CareTeam` of neutral roles.
    pub(super) fn care_team(&self, name: &str, roles: &[&str], date: Date) -> Entry {
        let participants: Vec<Value> =
            roles.iter().map(|role| json!({"role": [{"text": role}], "member": {"display": role}})).collect();
        Entry::new(
            json!({
                "resourceType": "CareTeam",
                "status": "active",
                "name": name,
                "subject": self.subject(),
                "period": {"start": date.to_string()},
                "participant": participants,
                "managingOrganization": [self.organisation.reference()]
            }),
            date,
        )
    }
}

/// A code of the local social-care system.
pub(super) fn social_care(code: &'static str, display: &'static str) -> Concept {
    Concept { system: SOCIAL_CARE, code, display }
}

/// The three texts of which one occurs in any standard base64 encoding (RFC 4648 section 4) of a document containing `phrase`: one for each
/// alignment, without the characters that depend on what stands before and after.
pub fn base64_traces(phrase: &str) -> [String; 3] {
    [0, 1, 2].map(|shift: usize| {
        let mut bytes = vec![0u8; shift];
        bytes.extend_from_slice(phrase.as_bytes());
        let whole = bytes.len() * 8 / 6;
        let before = (shift * 8).div_ceil(6);
        let text = base64(&bytes);
        text.get(before..whole).unwrap_or_default().to_owned()
    })
}

/// Standard base64 with padding (RFC 4648 section 4).
fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0u32, |bits, place| (bits << 8) | u32::from(group.get(place).copied().unwrap_or(0)));
        for place in 0..4 {
            let sextet = (bits >> (18 - 6 * place)) & 0x3f;
            let letter = usize::try_from(sextet).ok().and_then(|at| BASE64.get(at));
            match letter {
                Some(letter) if place <= group.len() => text.push(char::from(*letter)),
                _ => text.push('='),
            }
        }
    }
    text
}

/// FHIR `Narrative` of plain words.
fn narrative(words: &str) -> Value {
    let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    json!({
        "status": "generated",
        "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>{words}</p></div>")
    })
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
