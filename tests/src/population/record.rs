//! One organisation's record of one person while it is being written: ids, versions, labels and dates in one place, so that the templates
//! only say what happened.

use jiff::ToSpan;
use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::organisation::Organisation;
use super::random::stable_uuid;
use super::terminology::{Concept, label};
use super::{Holding, IDENTIFIER_BASE, NHS_NUMBER_SYSTEM, ODS_SYSTEM, Person};

/// A holding in the making. The Patient is its first entry.
pub(super) struct Record<'a> {
    pub(super) person: &'a Person,
    pub(super) organisation: &'static Organisation,
    pub(super) as_of: Date,
    patient: String,
    entries: Vec<Value>,
}

impl<'a> Record<'a> {
    /// Opens the record with this organisation's own copy of the Patient, born on the right day.
    pub(super) fn of(person: &'a Person, organisation: &'static Organisation, as_of: Date) -> Self {
        Self::open(person, organisation, as_of, person.birth_date)
    }

    /// Opens the record with this organisation's own copy of the Patient. `birth_date` differs from the person's only where a copy is
    /// deliberately wrong.
    pub(super) fn open(person: &'a Person, organisation: &'static Organisation, as_of: Date, birth_date: Date) -> Self {
        let mut record = Self { person, organisation, as_of, patient: String::new(), entries: Vec::new() };
        let patient = record.patient(birth_date, "");
        record.patient = record.add(patient);
        record
    }

    /// Adds an entry and returns the `urn:uuid` by which others of the same record refer to it.
    pub(super) fn add(&mut self, entry: Entry) -> String {
        let kind = entry.resource_type();
        let serial = self.entries.len() + 1;
        let id = entry.id.unwrap_or_else(|| {
            let Organisation { ods, .. } = self.organisation;
            stable_uuid(&format!("{ods}|{}|{kind}|{serial}", self.person.nhs_number))
        });
        let (system, value) = entry.identifier.unwrap_or_else(|| {
            let value = id.get(..13).unwrap_or(&id).to_owned();
            (identifier_system(self.organisation.ods), value)
        });
        let day = entry.recorded.min(self.as_of.saturating_sub(1.days()));
        let minute = 480 + i64::try_from(serial * 7 % 600).unwrap_or(0);
        let mut meta = json!({
            "versionId": entry.version.to_string(),
            "lastUpdated": moment(day, minute),
            "source": format!("{IDENTIFIER_BASE}{}", self.organisation.ods)
        });
        let mut labels = entry.labels;
        if self.person.restricted && kind == "Patient" {
            labels.push(label::RESTRICTED);
        }
        if let Some(fields) = meta.as_object_mut() {
            if !labels.is_empty() {
                let codings: Vec<Value> = labels.iter().map(Concept::coding).collect();
                fields.insert("security".to_owned(), json!(codings));
            }
            if let Some(tag) = entry.tag {
                fields.insert("tag".to_owned(), json!([tag.coding()]));
            }
        }
        let identifier = json!({"system": system, "value": value});
        let identifier = match entry.resource.get("identifier") {
            Some(own) => own.clone(),
            None if SINGLE_IDENTIFIER.contains(&kind.as_str()) => identifier,
            None => json!([identifier]),
        };
        let mut resource = Map::new();
        resource.insert("resourceType".to_owned(), json!(kind));
        resource.insert("id".to_owned(), json!(id));
        resource.insert("meta".to_owned(), meta);
        if let Some(text) = entry.resource.get("text") {
            resource.insert("text".to_owned(), text.clone());
        }
        resource.insert("identifier".to_owned(), identifier);
        if let Value::Object(fields) = entry.resource {
            for (name, value) in fields {
                if !resource.contains_key(&name) {
                    resource.insert(name, value);
                }
            }
        }
        let reference = format!("urn:uuid:{id}");
        let mut bundled = json!({"fullUrl": reference, "resource": resource});
        if self.sends_transactions()
            && let Some(fields) = bundled.as_object_mut()
        {
            let request = json!({"method": "PUT", "url": format!("{kind}/{id}")});
            fields.insert("request".to_owned(), request);
        }
        self.entries.push(bundled);
        reference
    }

    /// Sets one element of the Patient that new entries are about, replacing it if it is there.
    pub(super) fn amend_patient(&mut self, element: &str, value: Value) {
        if let Some(fields) = self.patient_fields() {
            fields.insert(element.to_owned(), value);
        }
    }

    /// Adds a code of a system to the Patient's `meta.tag`.
    pub(super) fn tag_patient(&mut self, system: &str, code: &str) {
        let meta = self.patient_fields().and_then(|fields| fields.get_mut("meta")).and_then(Value::as_object_mut);
        if let Some(meta) = meta {
            meta.insert("tag".to_owned(), json!([{"system": system, "code": code}]));
        }
    }

    /// Opens a second registration of the same person here, with an id and a local number of its own; what is added from now on is filed under it.
    pub(super) fn register_again(&mut self, birth_date: Date) {
        let patient = self.patient(birth_date, "|again");
        self.patient = self.add(patient);
    }

    fn patient_fields(&mut self) -> Option<&mut Map<String, Value>> {
        let url = self.patient.as_str();
        let entry = self.entries.iter_mut().find(|entry| entry.get("fullUrl").and_then(Value::as_str) == Some(url))?;
        entry.get_mut("resource")?.as_object_mut()
    }

    /// The identifier (system and value) of the entry with this `urn:uuid`, for copies held elsewhere.
    pub(super) fn identifier(&self, reference: &str) -> Option<(String, String)> {
        let entry =
            self.entries.iter().find(|entry| entry.get("fullUrl").and_then(Value::as_str) == Some(reference))?;
        let identifier = entry.pointer("/resource/identifier/0")?;
        let part = |name| Some(identifier.get(name)?.as_str()?.to_owned());
        Some((part("system")?, part("value")?))
    }

    /// Reference to this record's Patient.
    pub(super) fn subject(&self) -> Value {
        json!({"reference": self.patient})
    }

    /// The role that signs entries here.
    pub(super) fn author(&self) -> Value {
        json!({"display": self.organisation.author})
    }

    /// `days` before the date this population is drawn at, but never before birth.
    pub(super) fn ago(&self, days: i64) -> Date {
        self.as_of.saturating_sub(days.days()).max(self.person.birth_date)
    }

    /// A year, `years` before the date this population is drawn at, as a partial FHIR date.
    pub(super) fn year_ago(&self, years: i16) -> String {
        format!("{:04}", self.as_of.year() - years)
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Closes the record as the holding's bundle.
    pub(super) fn close(self, file_name: String) -> Holding {
        let kind = if self.sends_transactions() { "transaction" } else { "collection" };
        let mut bundle = json!({"resourceType": "Bundle", "type": kind});
        if let Some(fields) = bundle.as_object_mut() {
            if kind == "collection" {
                fields.insert("timestamp".to_owned(), json!(moment(self.as_of, 0)));
            }
            fields.insert("entry".to_owned(), Value::Array(self.entries));
        }
        Holding { ods: self.organisation.ods, file_name, nhs_number: self.person.nhs_number.clone(), bundle }
    }

    /// Ambulance and pharmacy systems send transactions, the others collections, so that an importer meets both.
    fn sends_transactions(&self) -> bool {
        ["R9X", "FZ901"].contains(&self.organisation.ods)
    }

    /// The Patient; `registration` tells a second one's local number from the first's.
    fn patient(&self, birth_date: Date, registration: &str) -> Entry {
        let person = self.person;
        let style = self.organisation.style;
        let local = stable_uuid(&format!("{}|{}{registration}", self.organisation.ods, person.nhs_number));
        let mut resource = json!({
            "resourceType": "Patient",
            "identifier": [
                {"system": NHS_NUMBER_SYSTEM, "value": person.nhs_number},
                {"system": identifier_system(self.organisation.ods), "value": local.get(..8)}
            ],
            "active": person.deceased.is_none(),
            "name": [person.name(style)],
            "gender": person.gender,
            "birthDate": birth_date.to_string(),
            "address": [person.address(style)],
            "generalPractitioner": [{
                "type": "Organization",
                "identifier": {"system": ODS_SYSTEM, "value": person.registered_practice}
            }],
            "managingOrganization": self.organisation.reference()
        });
        if let Some(fields) = resource.as_object_mut() {
            if let Some(telecom) = person.telecom(self.organisation) {
                fields.insert("telecom".to_owned(), telecom);
            }
            if let Some(date) = person.deceased {
                fields.insert("deceasedDateTime".to_owned(), json!(date.to_string()));
            }
        }
        Entry::new(resource, self.ago(90))
    }
}

/// One resource on its way into a record.
pub(super) struct Entry {
    resource: Value,
    recorded: Date,
    labels: Vec<Concept>,
    tag: Option<Concept>,
    identifier: Option<(String, String)>,
    id: Option<String>,
    version: u32,
}

impl Entry {
    /// A resource as recorded on `recorded` (never later than the day before the population's date).
    pub(super) fn new(resource: Value, recorded: Date) -> Self {
        Self { resource, recorded, labels: Vec::new(), tag: None, identifier: None, id: None, version: 1 }
    }

    /// Adds a security label.
    pub(super) fn labelled(mut self, label: Concept) -> Self {
        self.labels.push(label);
        self
    }

    /// Adds a tag that says what kind of entry this is, for resource types that have no code of their own.
    pub(super) fn tagged(mut self, tag: Concept) -> Self {
        self.tag = Some(tag);
        self
    }

    /// Makes this a copy of another organisation's entry: same identifier, own id.
    pub(super) fn copy_of(mut self, identifier: Option<(String, String)>) -> Self {
        self.identifier = identifier;
        self
    }

    /// Makes this one of several versions of one resource: same id and identifier, higher version wins.
    pub(super) fn version_of(mut self, name: &str, version: u32) -> Self {
        self.id = Some(stable_uuid(name));
        self.version = version;
        self
    }

    /// Sets one element, replacing it if it is there.
    pub(super) fn with(mut self, element: &str, value: Value) -> Self {
        if let Some(fields) = self.resource.as_object_mut() {
            fields.insert(element.to_owned(), value);
        }
        self
    }

    /// Removes these elements.
    pub(super) fn without(mut self, elements: &[&str]) -> Self {
        if let Some(fields) = self.resource.as_object_mut() {
            fields.retain(|name, _| !elements.contains(&name.as_str()));
        }
        self
    }

    /// Removes every clinical and recorded date.
    pub(super) fn undated(self) -> Self {
        self.without(&[
            "onsetDateTime",
            "abatementDateTime",
            "recordedDate",
            "effectiveDateTime",
            "issued",
            "authoredOn",
            "date",
        ])
    }

    fn resource_type(&self) -> String {
        let kind = self.resource.get("resourceType").and_then(Value::as_str);
        kind.unwrap_or_default().to_owned()
    }
}

/// The identifier system of an organisation's own entries.
pub(super) fn identifier_system(ods: &str) -> String {
    format!("{IDENTIFIER_BASE}{ods}/id")
}

/// FHIR `instant` (and `dateTime`) `minute` minutes after midnight, UTC.
pub(super) fn moment(date: Date, minute: i64) -> String {
    format!("{date}T{:02}:{:02}:00Z", (minute / 60) % 24, minute % 60)
}

/// Resource types whose `identifier` is not a list (FHIR R4).
const SINGLE_IDENTIFIER: &[&str] = &["QuestionnaireResponse", "Composition"];
