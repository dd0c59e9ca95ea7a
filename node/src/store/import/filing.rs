//! Files one resource: finds whose it is, compares it with what is there, makes its forms and header, writes its rows.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use careweave_protocol::cbor;
use careweave_protocol::id::OdsCode;
use careweave_protocol::limits::RECORD_MAX;
use careweave_protocol::record::{Form, FormHash, Header};
use careweave_protocol::time::Timestamp;
use serde_json::Value;

use super::reason::{Failure, Outcome, Reason};
use super::scope::Scope;
use super::subject::{Whose, first_organisation, whose};
use super::writer::Writer;
use super::{consent, person, sent};
use crate::store::classify::{Class, classify};
use crate::store::database::{Database, Family, StoreError};
use crate::store::element::{identifiers, is_resource_type, items, text};
use crate::store::extract;
use crate::store::forms::{self, Packer};
use crate::store::namesakes;
use crate::store::parked::{self, Parked};
use crate::store::patients::{OpenPatient, PatientKey, Rows, data_key, fresh_data_key, open_in};
use crate::store::records::{form_key, index_key, leaf};
use crate::store::references::{AMBIGUOUS, Alias, Known, base_of};
use crate::store::seal::{SealingKey, StoreKeys};
use crate::store::strip::Whereabouts;

/// Patients kept open during an import, about a kilobyte each; a feed comes patient by patient or reuses a few thousand.
const OPEN_PATIENTS: usize = 4_096;
/// Names kept resolved, about a hundred bytes each.
const KNOWN_NAMES: usize = 16_384;

/// Names waited for that are kept in mind, about forty bytes each; past them every arrival is looked up on disk.
const AWAITED_NAMES: usize = 262_144;

/// The state of one import.
pub(in crate::store) struct Filing {
    pub(super) writer: Writer,
    pub(super) packer: Packer,
    pub(super) own: OdsCode,
    pub(super) now: Timestamp,
    /// Name of the file being read, for the list of what waits.
    pub(super) file_name: Arc<str>,
    /// Names that arrived and may be waited for.
    arrived: Vec<[u8; 16]>,
    /// Names that something parked waits for; those over [`AWAITED_NAMES`] are not here, and `crowded` says so.
    awaited: HashSet<[u8; 16]>,
    crowded: bool,
    /// Whether any Patient links to another number.
    linked: bool,
    /// Whether anything was sent to anybody.
    sent: bool,
    patients: HashMap<PatientKey, Arc<OpenPatient>>,
    names: HashMap<[u8; 16], Known>,
    organisation: Option<SealingKey>,
}

impl Filing {
    pub(super) fn new(database: &Database, own: &OdsCode, now: Timestamp) -> Self {
        Self {
            writer: Writer::new(database.clone()),
            packer: Packer::default(),
            own: own.clone(),
            now,
            file_name: Arc::from(""),
            arrived: Vec::new(),
            awaited: HashSet::new(),
            crowded: false,
            linked: false,
            sent: false,
            patients: HashMap::new(),
            names: HashMap::new(),
            organisation: None,
        }
    }

    /// Learns what earlier imports left behind.
    pub(super) fn begin(&mut self) -> Result<(), StoreError> {
        let database = self.writer.database().clone();
        self.linked = database.scan(Family::Links, &[])?.next().is_some();
        self.sent = database.scan(Family::Sent, &[])?.next().is_some();
        parked::names(&database, |name| {
            self.expect(name);
            !self.crowded
        })
    }

    /// A record goes by this name from now on: what waits for it can be filed.
    pub(super) fn arrives(&mut self, name: [u8; 16]) {
        if self.crowded || self.awaited.contains(&name) {
            self.arrived.push(name);
        }
    }

    /// Whether anything at all is waited for.
    pub(super) fn awaits(&self) -> bool {
        self.crowded || !self.awaited.is_empty()
    }

    /// The next name that arrived.
    pub(super) fn next_arrived(&mut self) -> Option<[u8; 16]> {
        let name = self.arrived.pop()?;
        self.awaited.remove(&name);
        Some(name)
    }

    /// Whether any Patient links to another number: before the first does, no arrival is looked up.
    pub(super) fn has_links(&self) -> bool {
        self.linked
    }

    pub(super) fn note_links(&mut self) {
        self.linked = true;
    }

    /// Whether anything was sent to anybody: before the first is, no record is looked up.
    pub(super) fn carries(&self) -> bool {
        self.sent
    }

    pub(super) fn note_carrier(&mut self) {
        self.sent = true;
    }

    fn expect(&mut self, name: [u8; 16]) {
        if self.awaited.len() < AWAITED_NAMES {
            self.awaited.insert(name);
        } else if !self.awaited.contains(&name) {
            self.crowded = true;
        }
    }

    /// Files a resource; a Bundle is a document here.
    pub(super) fn file(
        &mut self,
        raw: &str,
        resource: &Value,
        scope: &Scope<'_>,
    ) -> Result<(Outcome, PatientKey), Failure> {
        if !resource.is_object() {
            return Err(Reason::NotAnObject.into());
        }
        if raw.len() > RECORD_MAX {
            return Err(Reason::RecordTooLong.into());
        }
        let kind = text(resource, "resourceType").ok_or(Reason::NoResourceType)?;
        if !is_resource_type(kind) {
            return Err(Reason::UnknownResourceType.into());
        }
        let whose = match kind {
            "Patient" => return person::file(self, raw, resource, scope),
            "Bundle" => self.whose_document(resource, scope)?,
            _ => whose(self, resource, kind, scope)?,
        };
        match whose {
            Whose::Awaited(name) => {
                self.park(name, raw, kind, scope)?;
                Ok((Outcome::Parked, AMBIGUOUS))
            }
            Whose::Organisation => {
                let key = self.organisation_key()?;
                let item = Item {
                    raw,
                    resource,
                    kind,
                    owner: PatientKey::ORGANISATION,
                    data_key: &key,
                    patient: None,
                    instead: None,
                };
                Ok((self.store(&item, scope)?, PatientKey::ORGANISATION))
            }
            Whose::Patient(owner) => {
                let patient = self.patient(&owner)?.ok_or(Reason::AmbiguousSubject)?;
                let (data_key, patient) = (&patient.data_key, Some(patient.as_ref()));
                let item = Item { raw, resource, kind, owner, data_key, patient, instead: None };
                let outcome = self.store(&item, scope)?;
                if kind == "Consent" && outcome != Outcome::Unchanged {
                    let place = self.place(resource, raw, kind, scope);
                    consent::note(self, &owner, resource, place)?;
                }
                Ok((outcome, owner))
            }
        }
    }

    /// Writes a record under its owner, unless it, or a newer one, is there.
    pub(super) fn store(&mut self, item: &Item<'_>, scope: &Scope<'_>) -> Result<Outcome, Failure> {
        let id = extract::identity(item.resource, item.raw, scope.full_url);
        let place = Alias::Record { kind: item.kind, id: &id }.key(self.keys());
        let Some(Arrival { content, version, updated, there }) =
            self.arrival(item.raw, item.resource, &place, item.owner)?
        else {
            return Ok(Outcome::Unchanged);
        };
        if let Some(moved) = there.as_ref().filter(|there| there.owner != item.owner) {
            sent::withdraw(self, &moved.owner, &place)?;
        }

        let class = classify(item.resource);
        let written = item.instead.map(Value::to_string);
        let (shown, resource) = (written.as_deref().unwrap_or(item.raw), item.instead.unwrap_or(item.resource));
        let mut made = forms::plain(&mut self.packer, shown, resource, &class)?;
        if let Some(patient) = item.patient.filter(|p| p.demographics.restricted) {
            let whereabouts = Whereabouts::new(patient.marks.whereabouts.iter().map(String::as_str));
            made.extend(forms::stripped(&mut self.packer, resource, &class, &whereabouts)?);
        }
        let mut header = self.header(item, scope, id, version.clone(), updated, class, &made)?;
        header.sent_to = sent::sent_to(self, item, scope, &place)?;
        let reversed = extract::reversed(header.from);
        if let Some(there) = &there {
            self.remove(there, &place, item.owner, &made)?;
        }
        for (form, body) in made {
            let key = form_key(&item.owner, &place, form);
            let sealed = item.data_key.seal(Family::Forms, &key, &body).map_err(StoreError::from)?;
            self.writer.put(Family::Forms, &key, sealed)?;
        }
        self.put_header(&item.owner, item.data_key, &place, &header)?;
        let base = scope.full_url.and_then(base_of).map(|base| self.base_key(base));
        let ods = self.ods_of(item, scope)?;
        if let Some(url) = scope.full_url.filter(|url| url.starts_with("urn:") && item.kind != "Patient") {
            self.note_url(url, item.owner, place, ods.clone())?;
        }
        let known = Known {
            category: header.category.code(),
            reversed,
            content,
            updated,
            version,
            ods,
            base: base.unwrap_or_default(),
            ..Known::name_of(item.owner)
        };
        self.put_known(place, known)?;
        if self.awaits() {
            self.arrives(place);
            if let Some(url) = scope.full_url {
                self.arrives(Alias::Url(url).key(self.keys()));
            }
        }
        Ok(if there.is_some() { Outcome::Superseded } else { Outcome::Imported })
    }

    /// What of a resource is needed to tell it from what is there; `None` where it, or a newer version, is there already.
    pub(super) fn arrival(
        &mut self,
        raw: &str,
        resource: &Value,
        place: &[u8; 16],
        owner: PatientKey,
    ) -> Result<Option<Arrival>, Failure> {
        let content = self.keys().blind("content", &[raw.as_bytes()]);
        let (version, updated) = extract::version(resource);
        let there = self.known(place)?;
        if let Some(there) = &there {
            let newer = newer(there, version.as_deref(), updated);
            if (there.content == content && there.owner == owner) || newer == Some(false) {
                return Ok(None);
            }
            if there.owner != owner && newer.is_none() {
                return Err(Reason::OtherPatient.into());
            }
        }
        Ok(Some(Arrival { content, version, updated, there }))
    }

    /// Notes where the entry of a `urn:` is filed. The first keeps it: a feed that uses one twice is not believed the second time.
    fn note_url(
        &mut self,
        url: &str,
        owner: PatientKey,
        place: [u8; 16],
        ods: Option<OdsCode>,
    ) -> Result<(), StoreError> {
        let key = Alias::Url(url).key(self.keys());
        if self.known(&key)?.is_none() {
            self.put_known(key, Known { ods, base: place, ..Known::name_of(owner) })?;
        }
        Ok(())
    }

    /// Where the record of this name is filed; the name itself where that is not known to be another.
    pub(super) fn place_of(&mut self, name: &[u8; 16]) -> Result<[u8; 16], StoreError> {
        let known = self.known(name)?.filter(|known| known.content == [0; 16] && known.base != [0; 16]);
        Ok(known.map_or(*name, |known| known.base))
    }

    /// The ODS code of an Organization, or of the one that a PractitionerRole works for.
    fn ods_of(&mut self, item: &Item<'_>, scope: &Scope<'_>) -> Result<Option<OdsCode>, StoreError> {
        match item.kind {
            "Organization" => Ok(ods_of(item.resource)),
            "PractitionerRole" => first_organisation(self, item.resource, "organization", scope, |_| true),
            _ => Ok(None),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one header, used once")]
    fn header(
        &mut self,
        item: &Item<'_>,
        scope: &Scope<'_>,
        id: String,
        version: Option<String>,
        updated: Option<Timestamp>,
        class: Class,
        made: &[(Form, Vec<u8>)],
    ) -> Result<Header, StoreError> {
        let own = self.own.clone();
        let party = match item.kind {
            "ServiceRequest" => first_organisation(self, item.resource, "performer", scope, |ods| *ods == own)?,
            "CareTeam" => sent::names_own(self, item, scope)?.then_some(own),
            "Encounter" => first_organisation(self, item.resource, "serviceProvider", scope, |_| true)?,
            "EpisodeOfCare" => first_organisation(self, item.resource, "managingOrganization", scope, |_| true)?,
            _ => None,
        };
        let status = extract::status(item.resource);
        let (from, until) = match item.kind {
            // Who somebody is has no date.
            "Patient" | "RelatedPerson" => (None, None),
            _ => extract::dates(item.resource, status.as_deref()),
        };
        Ok(Header {
            resource_type: item.kind.to_owned(),
            id,
            version,
            updated,
            category: class.category,
            labels: class.labels,
            status,
            from,
            until,
            codes: extract::codes(item.resource, party.as_ref()),
            sent_to: Vec::new(),
            imported: self.now,
            forms: made.iter().map(|(form, body)| form_hash(&class, *form, self.now, body)).collect(),
        })
    }

    /// Writes an index row.
    pub(super) fn put_header(
        &mut self,
        owner: &PatientKey,
        data_key: &SealingKey,
        place: &[u8; 16],
        header: &Header,
    ) -> Result<(), StoreError> {
        let key = index_key(owner, header.category.code(), extract::reversed(header.from), place);
        let sealed = data_key.seal(Family::Index, &key, &cbor::to_vec(header)?)?;
        self.writer.put(Family::Index, &key, sealed)
    }

    /// Removes what an older version leaves behind: its index row, and the forms the new one does not overwrite.
    fn remove(
        &mut self,
        there: &Known,
        place: &[u8; 16],
        owner: PatientKey,
        made: &[(Form, Vec<u8>)],
    ) -> Result<(), StoreError> {
        self.writer.delete(Family::Index, &index_key(&there.owner, there.category, there.reversed, place))?;
        for form in Form::ALL {
            if there.owner != owner || made.iter().all(|(kept, _)| *kept != form) {
                self.writer.delete(Family::Forms, &form_key(&there.owner, place, form))?;
            }
        }
        Ok(())
    }

    fn park(&mut self, name: [u8; 16], raw: &str, kind: &str, scope: &Scope<'_>) -> Result<(), StoreError> {
        let position = scope.position;
        let parked = Parked {
            import: position.import,
            file: position.file,
            entry: position.entry,
            line: position.line,
            file_name: self.file_name.to_string(),
            resource_type: kind.to_owned(),
            full_url: scope.full_url.map(str::to_owned),
            raw: raw.to_owned(),
        };
        let key = Parked::key(self.writer.database(), &name, raw);
        let sealed = parked.sealed(self.writer.database(), &key)?;
        self.writer.put(Family::Parked, &key, sealed)?;
        self.expect(name);
        Ok(())
    }

    /// A document is its Composition's subject's; where the patient inside is not known yet, the document introduces them.
    fn whose_document(&mut self, document: &Value, scope: &Scope<'_>) -> Result<Whose, Failure> {
        let inside =
            || items(document, "entry").filter_map(|entry| Some((text(entry, "fullUrl"), entry.get("resource")?)));
        let mut patients = inside().filter(|(_, r)| text(r, "resourceType") == Some("Patient"));
        let composition = inside().map(|(_, r)| r).find(|r| text(r, "resourceType") == Some("Composition"));
        if let (Some((_, patient)), None) = (patients.next(), patients.next())
            && let Some(owner) = person::introduce(self, patient)?
        {
            return Ok(Whose::Patient(owner));
        }
        let composition = composition.ok_or(Reason::DocumentOfNobody)?;
        match whose(self, composition, "Composition", scope)? {
            Whose::Organisation => Err(Reason::DocumentOfNobody.into()),
            known => Ok(known),
        }
    }

    /// Where a resource is filed.
    pub(super) fn place(&self, resource: &Value, raw: &str, kind: &str, scope: &Scope<'_>) -> [u8; 16] {
        Alias::Record { kind, id: &extract::identity(resource, raw, scope.full_url) }.key(self.keys())
    }

    /// A patient who was not erased.
    pub(super) fn patient(&mut self, key: &PatientKey) -> Result<Option<Arc<OpenPatient>>, StoreError> {
        if let Some(open) = self.patients.get(key) {
            return Ok(Some(Arc::clone(open)));
        }
        let Some(open) = open_in(&self.writer, key)?.map(Arc::new) else { return Ok(None) };
        self.keep(Arc::clone(&open));
        Ok(Some(open))
    }

    /// Writes a patient's row.
    pub(super) fn put_patient(&mut self, patient: OpenPatient) -> Result<Arc<OpenPatient>, StoreError> {
        let before = self.patient(&patient.key)?;
        for (row, value) in namesakes::rows(&self.writer, before.as_deref(), Some(&patient))? {
            self.writer.put(Family::Namesakes, &row, value)?;
        }
        self.writer.put(Family::Patients, patient.key.as_bytes(), patient.sealed()?)?;
        let patient = Arc::new(patient);
        self.keep(Arc::clone(&patient));
        Ok(patient)
    }

    fn keep(&mut self, patient: Arc<OpenPatient>) {
        if self.patients.len() >= OPEN_PATIENTS {
            self.patients.clear();
        }
        self.patients.insert(patient.key, patient);
    }

    /// What a name leads to, where its owner was not erased.
    pub(super) fn known(&mut self, name: &[u8; 16]) -> Result<Option<Known>, StoreError> {
        if let Some(known) = self.names.get(name) {
            return Ok(Some(known.clone()));
        }
        let Some(known) = Known::read(&self.writer, name)? else { return Ok(None) };
        let alive = match known.owner {
            AMBIGUOUS | PatientKey::ORGANISATION => true,
            owner => self.patient(&owner)?.is_some(),
        };
        // A row with content is a record, looked at once; one without is a name, looked at again and again.
        if alive && (known.content == [0; 16] || known.category == PATIENT) {
            if self.names.len() >= KNOWN_NAMES {
                self.names.clear();
            }
            self.names.insert(*name, known.clone());
        }
        Ok(alive.then_some(known))
    }

    /// Writes what a name leads to.
    pub(super) fn put_known(&mut self, name: [u8; 16], known: Known) -> Result<(), StoreError> {
        let sealed = known.sealed(self.keys(), &name)?;
        self.names.remove(&name);
        self.writer.put(Family::References, &name, sealed)
    }

    pub(super) fn keys(&self) -> &StoreKeys {
        self.writer.database().keys()
    }

    pub(super) fn rows(&self) -> &Writer {
        &self.writer
    }

    /// What stands for a server's address.
    pub(super) fn base_key(&self, base: &str) -> [u8; 16] {
        self.keys().blind("server", &[base.as_bytes()])
    }

    fn organisation_key(&mut self) -> Result<SealingKey, StoreError> {
        if let Some(key) = &self.organisation {
            return Ok(key.clone());
        }
        let key = match data_key(&self.writer, &PatientKey::ORGANISATION)? {
            Some(key) => key,
            None => {
                let (key, wrapped) = fresh_data_key(self.writer.database(), &PatientKey::ORGANISATION)?;
                self.writer.put(Family::Keys, PatientKey::ORGANISATION.as_bytes(), wrapped)?;
                key
            }
        };
        self.organisation = Some(key.clone());
        Ok(key)
    }
}

/// A resource that is new here, or another version of what is.
pub(super) struct Arrival {
    content: [u8; 16],
    version: Option<String>,
    updated: Option<Timestamp>,
    there: Option<Known>,
}

/// A resource and whose it is.
pub(super) struct Item<'a> {
    pub(super) raw: &'a str,
    pub(super) resource: &'a Value,
    pub(super) kind: &'a str,
    pub(super) owner: PatientKey,
    pub(super) data_key: &'a SealingKey,
    pub(super) patient: Option<&'a OpenPatient>,
    /// Of what the forms are made, where the original must not be kept.
    pub(super) instead: Option<&'a Value>,
}

/// Category code of Patient records.
const PATIENT: u8 = careweave_protocol::record::Category::Demographics as u8;

/// The header's line for a form.
pub(super) fn form_hash(class: &Class, form: Form, taken_in: Timestamp, body: &[u8]) -> FormHash {
    let bytes = u32::try_from(body.len()).unwrap_or(u32::MAX);
    FormHash { form, leaf: leaf(class.category, form, taken_in, body), bytes }
}

/// Whether a version follows what is there: by `lastUpdated`, then by a numeric `versionId`; `None` where neither tells, and
/// then what arrives last counts.
fn newer(there: &Known, version: Option<&str>, updated: Option<Timestamp>) -> Option<bool> {
    if let (Some(old), Some(new)) = (there.updated, updated)
        && old != new
    {
        return Some(new > old);
    }
    let number = |text: Option<&str>| text.and_then(|t| t.parse::<u64>().ok());
    match (number(there.version.as_deref()), number(version)) {
        (Some(old), Some(new)) if old != new => Some(new > old),
        _ => None,
    }
}

fn ods_of(organisation: &Value) -> Option<OdsCode> {
    use careweave_protocol::record::code::ODS;
    identifiers(organisation).find(|(system, _)| *system == ODS).and_then(|(_, value)| value.parse().ok())
}
