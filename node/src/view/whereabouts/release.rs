//! The records of a restricted patient as they leave beside a view: each without what would tell where the person is, whatever
//! its holder knew of the restriction.

use serde_json::Value;

use super::{Telling, WITHHELD, local};
use crate::store::forms;
use crate::view::SourceRecords;

/// What must not be read in any record of one view.
pub struct Release {
    telling: Telling,
    /// Codes of the local organisations.
    codes: Vec<String>,
    /// Addresses and telephone numbers that any source gave.
    known: Vec<String>,
}

impl Release {
    /// From everything that came in for one view.
    #[must_use]
    pub fn new(sources: &[SourceRecords]) -> Self {
        let bodies = sources.iter().flat_map(|source| &source.records).map(|record| record.body.as_slice());
        let parsed = bodies.filter_map(|body| serde_json::from_slice::<Value>(body).ok());
        Self {
            telling: Telling::new(&[], sources),
            codes: local(sources).map(|source| source.ods.as_str().to_owned()).collect(),
            known: parsed.flat_map(|resource| forms::whereabouts(&resource)).collect(),
        }
    }

    /// One record; its own bytes where nothing in it tells, and none at all where it cannot be read.
    #[must_use]
    pub fn of(&self, body: &[u8]) -> Vec<u8> {
        let Ok(resource) = serde_json::from_slice::<Value>(body) else { return Vec::new() };
        let mut left = forms::without_whereabouts(&resource, &self.known);
        self.withhold(&mut left);
        if left == resource { body.to_vec() } else { serde_json::to_vec(&left).unwrap_or_default() }
    }

    fn withhold(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                // A system of a local organisation's own names it, also by a code of digits only.
                let names = |part: &str| self.codes.iter().any(|code| code.eq_ignore_ascii_case(part));
                if text.contains(':') && !text.contains(' ') && text.split(URI_ENDS).any(names) {
                    WITHHELD.clone_into(text);
                }
                self.telling.withhold(text);
            }
            Value::Array(list) => list.iter_mut().for_each(|inner| self.withhold(inner)),
            Value::Object(fields) => fields.values_mut().for_each(|inner| self.withhold(inner)),
            _ => {}
        }
    }
}

/// What stands between the parts of a URI.
const URI_ENDS: [char; 7] = ['/', ':', '|', '-', '.', '#', '?'];

#[cfg(test)]
mod tests {
    use careweave_protocol::query::SourceOutcome;
    use careweave_protocol::record::{Category, Form};
    use careweave_protocol::time::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::view::SourceRecord;

    fn source(ods: &str, name: &str, local: bool, bodies: &[Value]) -> SourceRecords {
        let record = |body: &Value| SourceRecord {
            category: Category::Problems,
            form: Form::Full,
            taken_in: Timestamp(0),
            body: body.to_string().into_bytes(),
        };
        SourceRecords {
            ods: ods.parse().unwrap(),
            name: name.to_owned(),
            own: false,
            local,
            outcome: Some(SourceOutcome::Answered),
            open: Vec::new(),
            ms: 0,
            data_to: None,
            feed_interval: None,
            medicines_not_shown: 0,
            outside_period: 0,
            duty_contact: Some("020 7946 0901".to_owned()),
            records: bodies.iter().map(record).collect(),
        }
    }

    #[test]
    fn a_record_leaves_without_addresses_and_without_the_names_and_codes_of_local_organisations() {
        let patient = json!({"resourceType": "Patient", "id": "1", "name": [{"family": "Kept"}],
            "address": [{"line": ["7 Larch Row"], "city": "Kept", "postalCode": "SE5 9XX"}]});
        let plan = json!({"resourceType": "CarePlan", "id": "2", "status": "active", "intent": "plan",
            "identifier": [{"system": "https://careweave.example/901/id", "value": "kept"}],
            "subject": {"reference": "Patient/1"}, "title": "Go in by 7 Larch Row"});
        let note = json!({"resourceType": "Condition", "id": "3", "subject": {"reference": "Patient/1"},
            "note": [{"text": "Reviewed at Lavender Court (VL901), ring 020 7946 0901"}]});
        let plain = json!({"resourceType": "Flag",  "id": "4", "status": "active", "code": {"text": "Hearing aid"}});
        let sources = [
            source("VL901", "Lavender Court", true, &[patient.clone(), note.clone()]),
            source("901", "Council", true, std::slice::from_ref(&plan)),
            source("R9A", "Hospital", false, std::slice::from_ref(&plain)),
        ];
        let release = Release::new(&sources);
        let of = |body: &Value| String::from_utf8(release.of(body.to_string().as_bytes())).unwrap();
        for body in [&patient, &plan, &note] {
            let left = of(body);
            for secret in ["Larch", "SE5 9XX", "Lavender", "VL901", "/901/", "7946"] {
                assert!(!left.contains(secret), "{secret} in {left}");
            }
        }
        assert!(of(&patient).contains("Kept") && of(&plan).contains(r#""value":"kept""#));
        assert_eq!(of(&plain), plain.to_string(), "what does not tell leaves byte for byte");
        assert_eq!(release.of(b"7 Larch Row"), Vec::<u8>::new(), "what cannot be read cannot be told to be safe");
    }
}
