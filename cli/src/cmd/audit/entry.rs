//! One entry of the log, as a row, in full, and for programs. Its leaf is recomputed: what the node says an entry says is
//! shown as false when it is not what the leaf commits to.

use careweave_protocol::audit::{AuditEntry, EntryContent, EntryKind, LogEntry, PatientDetails};
use careweave_protocol::cbor;
use careweave_protocol::id::QueryId;
use careweave_protocol::limits::SIGNED_MAX;
use careweave_protocol::query::Relationship;
use serde_json::{Map, Value, json};

/// An entry as far as it can be read.
pub(crate) struct Opened {
    index: u64,
    /// What it says.
    entry: Option<AuditEntry>,
    /// What it says about the patient, where that is kept and the reader may see it.
    patient: Option<PatientDetails>,
    /// Whether it hashes to the leaf kept for it.
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Fits,
    Altered,
    Missing,
    Unreadable,
}

impl Opened {
    pub(crate) fn of(logged: &LogEntry) -> Self {
        let opened = |entry, patient, state| Self { index: logged.index, entry, patient, state };
        match &logged.content {
            EntryContent::Missing => opened(None, None, State::Missing),
            EntryContent::Unreadable => opened(None, None, State::Unreadable),
            EntryContent::Present { details, patient, .. } => {
                let fits = logged.leaf.is_some() && logged.parts().map(|parts| parts.leaf()) == logged.leaf;
                let entry = cbor::from_slice(details, SIGNED_MAX).ok();
                let patient = patient.as_ref().and_then(|bytes| PatientDetails::from_bytes(bytes).ok());
                let state = match (&entry, fits) {
                    (None, _) => State::Unreadable,
                    (Some(_), true) => State::Fits,
                    (Some(_), false) => State::Altered,
                };
                opened(entry, patient, state)
            }
        }
    }

    /// Whether it is of this kind and about this query; damaged ones fit everything, so that no filter hides them.
    pub(super) fn fits(&self, kind: Option<EntryKind>, query: Option<QueryId>) -> bool {
        self.entry.as_ref().is_none_or(|entry| {
            kind.is_none_or(|kind| entry.kind == kind) && query.is_none_or(|query| entry.query_id == Some(query))
        })
    }

    /// A row under [`COLUMNS`].
    pub(super) fn row(&self) -> Vec<String> {
        let Some(entry) = &self.entry else {
            return vec![self.index.to_string(), String::new(), self.state.as_str().to_uppercase()];
        };
        let altered = if self.state == State::Fits { "" } else { " ALTERED" };
        vec![
            self.index.to_string(),
            entry.at.rfc3339(),
            format!("{}{altered}", entry.kind.as_str()),
            entry.outcome.clone(),
            text(entry.asker.as_ref()),
            text(entry.holder.as_ref()),
            entry.actor.as_ref().map_or_else(String::new, |actor| format!("{} {}", actor.name, actor.group)),
            text(entry.purpose),
            entry.counts.values().map(|count| u64::from(*count)).sum::<u64>().to_string(),
            text(entry.query_id),
        ]
    }

    /// In full, for people: one line for each thing that it says.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut say = |name: &str, value: String| {
            if !value.is_empty() {
                lines.push(format!("{name:<18}{value}"));
            }
        };
        say("entry", format!("{} ({})", self.index, self.state.as_str()));
        if let Some(entry) = &self.entry {
            say("kind", entry.kind.as_str().to_owned());
            say("at", entry.at.rfc3339());
            say("outcome", entry.outcome.clone());
            say("cause", entry.cause.clone().unwrap_or_default());
            say("detail", entry.detail.clone().unwrap_or_default());
            say("asker", text(entry.asker.as_ref()));
            say("holder", text(entry.holder.as_ref()));
            if let Some(actor) = &entry.actor {
                say("person", format!("{} ({}, {}, {})", actor.name, actor.person, actor.group, actor.ods));
            }
            say("purpose", text(entry.purpose));
            say("reason", entry.reason.clone().unwrap_or_default());
            say("case number", entry.case_number.clone().unwrap_or_default());
            say("grant", text(entry.grant));
            say("grant opens", joined(entry.granted.iter().map(|category| category.as_str().to_owned())));
            say("evidence", joined(entry.evidence.iter().map(|kind| Relationship::as_str(*kind).to_owned())));
            say("policies", joined(entry.policy_ids.iter().cloned()));
            say("policy bundle", text(entry.policy));
            say("manifest", text(entry.manifest_version));
            say("beacon age", entry.beacon_age.map_or_else(String::new, |age| format!("{age} s")));
            for cell in &entry.cells {
                let labels = joined(cell.labels.iter().map(|label| format!("{label:?}").to_lowercase()));
                let labelled = if labels.is_empty() { labels } else { format!(" labelled {labels}") };
                say("decided", format!("{}{labelled}: {}", cell.category, cell.access));
            }
            say("records", joined(entry.counts.iter().map(|(category, count)| format!("{category} {count}"))));
            say("bytes", if entry.bytes > 0 { entry.bytes.to_string() } else { String::new() });
            say("query id", text(entry.query_id));
            say("signed query", text(entry.query));
            say("signed envelope", text(entry.envelope));
            say("signed header", text(entry.receipt));
            say("merkle root", text(entry.root));
        }
        if let Some(patient) = &self.patient {
            say("nhs number", patient.part.nhs_number.spaced());
            say("of this patient", format!("entry {}", patient.part.sequence));
            say("reason in words", patient.part.reason_text.clone().unwrap_or_default());
        }
        lines
    }

    /// For programs: the fields of the entry under their own names, times as RFC 3339.
    pub(crate) fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("index".into(), json!(self.index));
        object.insert("state".into(), json!(self.state.as_str()));
        if let Some(Ok(Value::Object(fields))) = self.entry.as_ref().map(serde_json::to_value) {
            object.extend(fields);
        }
        if let Some(entry) = &self.entry {
            object.insert("at".into(), json!(entry.at.rfc3339()));
            let cells = entry.cells.iter().map(|cell| {
                let labels: Vec<String> = cell.labels.iter().map(|label| format!("{label:?}").to_lowercase()).collect();
                json!({ "category": cell.category, "labels": labels, "sent": cell.sent, "access": cell.access })
            });
            object.insert("cells".into(), cells.collect());
        }
        let patient = self.patient.as_ref().map(|patient| {
            json!({
                "nhs_number": patient.part.nhs_number.digits(),
                "sequence": patient.part.sequence,
                "reason_text": patient.part.reason_text,
            })
        });
        object.insert("patient".into(), json!(patient));
        Value::Object(object)
    }
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Fits => "fits its leaf",
            Self::Altered => "altered",
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
        }
    }
}

fn text(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

/// Headings of [`Opened::row`].
pub(super) const COLUMNS: [&str; 10] =
    ["INDEX", "AT", "KIND", "OUTCOME", "ASKER", "HOLDER", "PERSON", "PURPOSE", "RECORDS", "QUERY"];

#[cfg(test)]
mod tests {
    use super::*;
    use careweave_protocol::audit::LeafParts;
    use careweave_protocol::audit::PatientCommitment;
    use careweave_protocol::id::{Digest, Salt};
    use careweave_protocol::time::Timestamp;
    use serde_bytes::ByteBuf;

    fn logged(outcome: &str, leaf_of: &str) -> LogEntry {
        let details = |outcome: &str| {
            let entry =
                AuditEntry::new(EntryKind::Decision, Timestamp(1_793_628_600_000), "R9A".parse().unwrap(), outcome);
            cbor::to_vec(&entry).unwrap()
        };
        let parts = LeafParts { salt: Salt([1; 32]), details: details(leaf_of), patient: PatientCommitment::Absent };
        LogEntry {
            index: 7,
            leaf: Some(parts.leaf()),
            content: EntryContent::Present {
                salt: Salt([1; 32]),
                details: ByteBuf::from(details(outcome)),
                patient: None,
                patient_digest: Digest([0; 32]),
            },
        }
    }

    #[test]
    fn an_entry_is_shown_with_its_kind_time_and_outcome() {
        let opened = Opened::of(&logged("answered", "answered"));
        assert_eq!(opened.state, State::Fits);
        assert!(opened.lines().iter().any(|line| line.contains("DECISION")));
        let json = opened.json();
        assert_eq!(json.get("at"), Some(&json!("2026-11-02T14:10:00.000Z")));
        assert_eq!(json.get("outcome"), Some(&json!("answered")));
        assert_eq!(opened.row().len(), COLUMNS.len());
    }

    #[test]
    fn an_entry_that_does_not_hash_to_its_leaf_is_shown_as_altered() {
        let opened = Opened::of(&logged("answered", "refused"));
        assert_eq!(opened.state, State::Altered);
        assert!(opened.row().iter().any(|cell| cell.contains("ALTERED")));
    }

    #[test]
    fn a_filter_never_hides_a_damaged_entry() {
        let missing = LogEntry { index: 1, leaf: None, content: EntryContent::Missing };
        assert!(Opened::of(&missing).fits(Some(EntryKind::Alert), Some(QueryId([0; 16]))));
        assert!(!Opened::of(&logged("answered", "answered")).fits(Some(EntryKind::Alert), None));
    }
}
