//! One FHIR R4 resource becomes one row. Nothing a source sends can make this fail: what cannot be read becomes a row that
//! says so with its type.
//!
//! [`element`] reads JSON · [`clinical`], [`medicine`], [`observation`], [`document`], [`care`], [`person`] know the types.

pub mod care;
pub mod clinical;
pub mod document;
pub mod element;
pub mod medicine;
pub mod observation;
pub mod person;

use careweave_protocol::desk::view::{Detail, Moment, Row, Source, form_name};
use careweave_protocol::record::{Category, Form};
use careweave_protocol::time::Timestamp;
use serde_json::Value;

use self::element::{Concept, first_text, identifiers, text, words_of_html};
use self::medicine::MedicineFacts;
use self::person::PersonFacts;
use super::SourceRecord;
use super::dates::{self, Span};

/// A row with what merging needs and nobody is shown.
pub struct Entry {
    /// The row; in a box, because entries are moved often and it is large.
    pub row: Box<Row>,
    /// Where it belongs.
    pub category: Category,
    /// Index of its source.
    pub source: usize,
    /// Whether it holds now.
    pub activity: Activity,
    /// Whether it is marked as entered in error.
    pub in_error: bool,
    /// Whether a period without an end goes on.
    pub ongoing: bool,
    /// Whether it is a summary of an entry without a code.
    pub uncoded: bool,
    /// Whether its holder took whereabouts out of it.
    pub stripped: bool,
    /// Whether it could be read.
    pub readable: bool,
    /// ODS code of the organisation that answers for the original, where the resource names one.
    pub custodian: Option<String>,
    /// Whether its own source answers for it, by what the resource or its identifier says.
    pub original: bool,
    /// The encounter it belongs to.
    pub encounter: Option<String>,
    /// SHA-1 of each attachment, base64, as FHIR `Attachment.hash` has it.
    pub hashes: Vec<String>,
    /// What it replaces: logical ids and `system|value`, from `relatesTo`.
    pub replaces: Vec<String>,
    /// The clinical date as an interval, where it can be read.
    pub clinical: Option<Span>,
    /// The recorded date as an interval, where it can be read.
    pub recorded: Option<Span>,
    /// Number of the event that several documents are about.
    pub event: Option<usize>,
    /// When it is to be reviewed, where it says so (FHIR text).
    pub review: Option<String>,
    /// Whether the original must be looked up: its review is overdue, or its words contradict one another.
    pub check_original: bool,
    /// Whether it records that the person has died, other than in the Patient.
    pub death: bool,
    /// `meta.lastUpdated`.
    pub updated: Option<Timestamp>,
    /// What comparing medicines needs.
    pub medicine: Option<MedicineFacts>,
    /// What the head of the view needs.
    pub person: Option<PersonFacts>,
}

/// Whether an entry holds now, as far as its status says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Active, current, in force.
    Current,
    /// Resolved, stopped, on hold, revoked, superseded.
    Ended,
    /// Completed, or not said.
    Unknown,
}

/// Where a record came from.
pub struct Origin<'a> {
    /// Index of the source.
    pub index: usize,
    /// As shown.
    pub source: &'a Source,
    /// Whether it is the own organisation.
    pub own: bool,
    /// IANA zone in which times are shown.
    pub zone: &'a str,
    /// When the view is put together.
    pub as_at: Timestamp,
    /// When the person last looked, where what came since is to be marked.
    pub last_look: Option<Timestamp>,
}

/// Reads one record whose body was parsed to `json`; `None` stands for one that is not JSON.
#[must_use]
pub fn read(record: &SourceRecord, json: Option<&Value>, origin: &Origin<'_>) -> Entry {
    let mut entry = blank_entry(record, origin);
    match json {
        Some(json @ Value::Object(_)) => fill(&mut entry, json, origin),
        _ => {
            entry.readable = false;
            entry.row.resource_type = "unknown".to_owned();
            entry.row.text = "entry that could not be read".to_owned();
        }
    }
    finish(&mut entry, origin);
    entry
}

impl Entry {
    /// The clinical date, else the recorded date.
    #[must_use]
    pub fn listed(&self) -> Option<Span> {
        self.clinical.or(self.recorded)
    }

    /// When somebody last said so: the recorded date, else the clinical one. An onset long ago can be said yesterday.
    #[must_use]
    pub fn asserted(&self) -> Option<Timestamp> {
        self.recorded.or(self.clinical).map(|date| date.from)
    }

    /// Adds a named part when there is something to say.
    fn detail(&mut self, name: &str, value: Option<String>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.row.details.push(Detail { name: name.to_owned(), value });
        }
    }

    /// Sets text and codes from a concept; keeps the text that is there when the concept has none.
    fn describe(&mut self, concept: Option<Concept>) {
        if let Some(concept) = concept {
            self.row.text = concept.text;
            self.row.code = concept.codings.first().map(|coding| coding.code.clone());
            self.row.codings = concept.codings;
        }
    }

    /// Adds the annotations.
    fn annotations(&mut self, json: &Value) {
        for note in element::list(json, "/note") {
            self.detail("note", text(note, "/text"));
        }
    }
}

fn fill(entry: &mut Entry, json: &Value, origin: &Origin<'_>) {
    let kind = text(json, "/resourceType").unwrap_or_else(|| "unknown".to_owned());
    let row = &mut entry.row;
    row.resource_type = kind.clone();
    row.id = text(json, "/id").unwrap_or_default();
    row.version = text(json, "/meta/versionId");
    row.identifiers = identifiers(json);
    row.status = first_text(json, &["/status", "/lifecycleStatus"]);
    entry.updated = text(json, "/meta/lastUpdated").and_then(|at| Timestamp::from_rfc3339(&at));
    entry.custodian = first_text(json, CUSTODIANS);
    entry.review = review(json);
    entry.encounter = first_text(json, ENCOUNTERS);
    match kind.as_str() {
        "Condition" => clinical::condition(entry, json),
        "AllergyIntolerance" => clinical::allergy(entry, json),
        "Procedure" => clinical::procedure(entry, json),
        "Immunization" => clinical::immunisation(entry, json),
        "Encounter" => clinical::encounter(entry, json),
        "EpisodeOfCare" => clinical::episode(entry, json),
        "Appointment" => clinical::appointment(entry, json),
        "MedicationRequest"
        | "MedicationStatement"
        | "MedicationDispense"
        | "MedicationAdministration"
        | "Medication" => {
            medicine::read(entry, json, &kind);
        }
        "Observation" => observation::observation(entry, json),
        "DiagnosticReport" => observation::report(entry, json),
        "ImagingStudy" => observation::imaging(entry, json),
        "DocumentReference" => document::reference(entry, json),
        "Composition" => document::composition(entry, json),
        "Bundle" => document::bundle(entry, json),
        "QuestionnaireResponse" => document::answers(entry, json),
        "Consent" => care::consent(entry, json, origin.as_at),
        "Flag" => care::flag(entry, json, origin.as_at),
        "CarePlan" => care::plan(entry, json),
        "Goal" => care::goal(entry, json),
        "CareTeam" => care::team(entry, json),
        "ServiceRequest" => care::request(entry, json),
        "Task" => care::task(entry, json),
        "Patient" => person::patient(entry, json),
        "RelatedPerson" => person::related(entry, json),
        "PractitionerRole" => person::role(entry, json),
        _ => other(entry, json),
    }
    entry.death |= entry.row.codings.iter().any(|coding| DEATH.contains(&coding.code.as_str()));
    entry.in_error =
        [&entry.row.status, &entry.row.verification].into_iter().flatten().any(|s| s == "entered-in-error");
    if entry.row.text.is_empty() {
        describe_without_words(entry, json);
    }
}

/// When the entry is to be reviewed, where an extension says so.
fn review(json: &Value) -> Option<String> {
    let extensions = element::list(json, "/extension").iter();
    let mut named = extensions.filter(|e| text(e, "/url").is_some_and(|url| url.to_lowercase().contains("review")));
    named.find_map(|extension| first_text(extension, &["/valueDate", "/valueDateTime", "/valuePeriod/end"]))
}

/// A resource type without a reader of its own: what most types have in common.
fn other(entry: &mut Entry, json: &Value) {
    entry.describe(element::concept(json, "/code").or_else(|| element::concept(json, "/type")));
    if entry.row.text.is_empty() {
        entry.row.text = first_text(json, &["/title", "/name", "/description"]).unwrap_or_default();
    }
    entry.row.date =
        first_text(json, &["/effectiveDateTime", "/occurrenceDateTime", "/period/start", "/date", "/created"]);
    entry.row.recorded = first_text(json, &["/recorded", "/issued", "/authoredOn"]);
    entry.annotations(json);
}

/// What stands there for an entry that names nothing: its narrative, or that the role may not see more, or that there is none.
fn describe_without_words(entry: &mut Entry, json: &Value) {
    let narrative = text(json, "/text/div").map(|div| words_of_html(&div)).filter(|words| !words.is_empty());
    entry.uncoded = narrative.is_none() && entry.row.form == form_name(Form::Summary);
    entry.row.text = match narrative {
        Some(words) => words,
        None if entry.uncoded => "1 uncoded entry, not shown to your role".to_owned(),
        None => format!("{} without a description", entry.row.resource_type),
    };
}

/// Reads the dates once for everything that compares entries later.
fn finish(entry: &mut Entry, origin: &Origin<'_>) {
    let read = |text: &Option<String>| text.as_deref().and_then(dates::parse);
    let (clinical, recorded) = (read(&entry.row.date), read(&entry.row.recorded));
    entry.row.date_shown = dates::row_shown(&entry.row, clinical.as_ref(), recorded.as_ref(), origin.zone);
    entry.clinical = clinical.map(Span::from);
    entry.recorded = recorded.map(Span::from);
    entry.row.undated = entry.listed().is_none();
}

fn blank_entry(record: &SourceRecord, origin: &Origin<'_>) -> Entry {
    Entry {
        row: Box::new(Row {
            resource_type: String::new(),
            id: String::new(),
            text: String::new(),
            code: None,
            codings: Vec::new(),
            status: None,
            status_reason: None,
            verification: None,
            date: None,
            date_end: None,
            recorded: None,
            date_shown: String::new(),
            undated: true,
            source: origin.source.clone(),
            also_at: Vec::new(),
            older_versions: 0,
            author: None,
            dose: None,
            route: None,
            group: None,
            newest: false,
            value: None,
            unit: None,
            interpretation: None,
            reference_range: None,
            severity: None,
            negated: false,
            details: Vec::new(),
            form: form_name(record.form).to_owned(),
            identifiers: Vec::new(),
            version: None,
            linked: Vec::new(),
            signature: if origin.own { "own" } else { "verified" }.to_owned(),
            retrieved_at: Moment(origin.as_at),
            taken_in: Moment(record.taken_in),
            new: origin.last_look.is_some_and(|looked| record.taken_in > looked),
            notes: Vec::new(),
        }),
        category: record.category,
        source: origin.index,
        activity: Activity::Unknown,
        in_error: false,
        ongoing: false,
        uncoded: false,
        stripped: record.form == record.form.stripped(),
        readable: true,
        custodian: None,
        original: false,
        encounter: None,
        hashes: Vec::new(),
        replaces: Vec::new(),
        clinical: None,
        recorded: None,
        event: None,
        review: None,
        check_original: false,
        death: false,
        updated: None,
        medicine: None,
        person: None,
    }
}

const CUSTODIANS: &[&str] = &[
    "/custodian/identifier/value",
    "/managingOrganization/identifier/value",
    "/managingOrganization/0/identifier/value",
    "/serviceProvider/identifier/value",
];
/// SNOMED CT: dead, death, patient died.
const DEATH: [&str; 3] = ["419099009", "419620001", "397709008"];
const ENCOUNTERS: &[&str] = &["/encounter/reference", "/context/encounter/0/reference", "/context/reference"];

/// A row with nothing in it, for tests of what works on rows.
#[cfg(test)]
pub(crate) mod tests_support {
    use super::*;

    /// The blank row.
    pub(crate) fn blank() -> Row {
        let source = Source { ods: "R9A".to_owned(), name: "Acute hospital trust".to_owned() };
        *blank_entry(&record(Category::Other, Form::Full), &origin(&source, Timestamp(0))).row
    }

    /// Reads one resource as if the hospital had sent it.
    pub(crate) fn read_json(category: Category, form: Form, json: &Value) -> Entry {
        let source = Source { ods: "R9A".to_owned(), name: "Acute hospital trust".to_owned() };
        let as_at = Timestamp::from_rfc3339("2026-11-02T14:10:00Z").unwrap();
        read(&record(category, form), Some(json), &origin(&source, as_at))
    }

    fn record(category: Category, form: Form) -> SourceRecord {
        SourceRecord { category, form, taken_in: Timestamp(0), body: Vec::new() }
    }

    fn origin(source: &Source, as_at: Timestamp) -> Origin<'_> {
        Origin { index: 0, source, own: false, zone: "Europe/London", as_at, last_look: None }
    }
}

#[cfg(test)]
mod tests;
