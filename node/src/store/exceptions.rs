//! Medicines that an organisation hides from others: the signed exceptions of its Caldicott guardian, each for one record of one patient,
//! each with an end. They hide nothing from the organisation itself.
//!
//! What is hidden is the drug: a dispensing, a statement or an administration of the same coded medicine tells of it as the prescription
//! does, and so does the Medication resource that it refers to.

use std::collections::HashSet;

use careweave_protocol::cbor;
use careweave_protocol::desk::{HiddenMedicine, MedicineException};
use careweave_protocol::identity::StaffCredential;
use careweave_protocol::record::{Category, Form};
use careweave_protocol::signed::{Signed, Verified};
use careweave_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use serde_json::Value;
use thiserror::Error;

use super::database::{Database, Family, Put, StoreError};
use super::element::{codings, items, text};
use super::forms::unpack;
use super::patients::{self, OpenPatient, PatientKey};
use super::records::{self, Indexed};
use super::references::{Alias, Known, Literal, Pointer};
use super::seal::SealingKey;

/// What an exception is to write, and under whose key the log speaks of it.
pub struct Change {
    /// Seals the patient part of the entry about it.
    pub data_key: SealingKey,
    /// Rows that must become durable together with that entry.
    pub rows: Vec<Put>,
}

/// Why an exception was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unfit {
    /// No such record among this patient's medicines here.
    #[error("your own record has no such medicine of this patient")]
    NoSuchMedicine,
    /// Nothing hides it.
    #[error("this medicine is not hidden")]
    NotHidden,
    /// A later one is there.
    #[error("a later exception for this medicine is there already")]
    Older,
    /// The patient has `EXCEPTIONS` exceptions.
    #[error("this patient has as many hidden medicines as there may be")]
    Full,
}

impl Unfit {
    /// What somebody can do about it.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::NoSuchMedicine => {
                "type and id stand in `careweave view -o json` of your own organisation: resource_type and id of the row"
            }
            Self::NotHidden | Self::Older => "`careweave exception list` shows what is hidden now",
            Self::Full => "end what need not be hidden any more: a view that hides everything helps nobody",
        }
    }

    /// Name in the log.
    #[must_use]
    pub fn cause(self) -> &'static str {
        match self {
            Self::NoSuchMedicine => "no-such-medicine",
            Self::NotHidden => "not-hidden",
            Self::Older => "older-exception",
            Self::Full => "too-many-exceptions",
        }
    }
}

/// Makes the row for a verified exception, or for its end. The signed bytes are kept, with the credential that proves the guardian, so that
/// whoever reviews them need not believe this store.
///
/// # Errors
/// When the store fails or a row does not open.
pub fn keep(
    database: &Database,
    exception: &Verified<MedicineException>,
    credential: &Signed<StaffCredential>,
) -> Result<Result<Change, Unfit>, StoreError> {
    let wanted = exception.get();
    for patient in patients::find(database, &wanted.nhs_number)? {
        let Some(place) = place_of(database, &patient, wanted)? else { continue };
        let there = all(database, &patient)?;
        let before = there.iter().find(|(known, _)| *known == place).map(|(_, exception)| exception);
        if before.is_some_and(|before| before.issued_at >= wanted.issued_at) {
            return Ok(Err(Unfit::Older));
        }
        if !wanted.hidden && !before.is_some_and(|before| holds(before, wanted.issued_at)) {
            return Ok(Err(Unfit::NotHidden));
        }
        if before.is_none() && there.len() >= EXCEPTIONS {
            return Ok(Err(Unfit::Full));
        }
        let key = key(&patient.key, &place);
        let stored = Stored {
            exception: ByteBuf::from(exception.signed().as_bytes().to_vec()),
            credential: ByteBuf::from(credential.as_bytes().to_vec()),
        };
        let row = patient.data_key.seal(Family::Exceptions, &key, &cbor::to_vec(&stored)?)?;
        return Ok(Ok(Change { data_key: patient.data_key, rows: vec![(Family::Exceptions, key, row)] }));
    }
    Ok(Err(Unfit::NoSuchMedicine))
}

/// Places of the patient's records ([`records::Indexed::place`]) that are hidden from other organisations at this instant: those that an
/// exception names, and every other medicine among `headers` with a coding of the same drug, or that refers to the same Medication. One
/// that says its drug in words only is hidden where an exception names it.
///
/// # Errors
/// When the store fails or a row does not open: then nobody can tell what must be hidden.
pub fn hidden(
    database: &Database,
    patient: &OpenPatient,
    headers: &[Indexed],
    now: Timestamp,
) -> Result<HashSet<[u8; 16]>, StoreError> {
    let mut found = named(database, patient, now)?;
    if found.is_empty() {
        return Ok(found);
    }
    let mut medicines = Vec::new();
    for indexed in headers.iter().filter(|indexed| indexed.header.category == Category::Medications) {
        medicines.push((
            indexed.place,
            indexed.header.resource_type == "Medication",
            drugs(database, patient, indexed)?,
        ));
    }
    let mut said: HashSet<Drug> = HashSet::new();
    for (_, _, drugs) in medicines.iter().filter(|(place, _, _)| found.contains(place)) {
        said.extend(drugs.iter().cloned());
    }
    // A prescription refers to a Medication, which has the coding by which a statement names the drug.
    for (_, _, drugs) in medicines.iter().filter(|(_, is_drug, _)| *is_drug) {
        if drugs.iter().any(|drug| said.contains(drug)) {
            said.extend(drugs.iter().cloned());
        }
    }
    let same = medicines.into_iter().filter(|(_, _, drugs)| drugs.iter().any(|drug| said.contains(drug)));
    found.extend(same.map(|(place, _, _)| place));
    Ok(found)
}

/// Places of the records that exceptions name.
fn named(database: &Database, patient: &OpenPatient, now: Timestamp) -> Result<HashSet<[u8; 16]>, StoreError> {
    let mut found = HashSet::new();
    for part in patient.parts() {
        let there = all(database, part)?;
        found.extend(there.into_iter().filter(|(_, exception)| holds(exception, now)).map(|(place, _)| place));
    }
    Ok(found)
}

/// Every exception that holds at this instant, those that end soonest first.
///
/// # Errors
/// When the store fails or a row does not open.
pub fn list(database: &Database, now: Timestamp) -> Result<Vec<HiddenMedicine>, StoreError> {
    let mut found = Vec::new();
    let mut open: Option<OpenPatient> = None;
    for item in database.scan(Family::Exceptions, &[])?.take(LISTED) {
        let (key, row) = item?;
        let Some(owner) = key.first_chunk::<16>().map(|owner| PatientKey(*owner)) else { continue };
        if open.as_ref().is_none_or(|patient| patient.key != owner) {
            open = patients::open(database, &owner)?;
        }
        // Nobody: erased, and the rows are about to go too.
        let Some(patient) = open.as_ref() else { continue };
        let exception = read(patient, &key, row.into_vec())?;
        if holds(&exception, now) {
            found.push(HiddenMedicine {
                nhs_number: exception.nhs_number,
                record: format!("{}/{}", exception.resource_type, exception.id),
                guardian: exception.guardian,
                reason: exception.reason,
                issued_at: exception.issued_at,
                expires_at: exception.expires_at,
            });
        }
    }
    found.sort_by(|a, b| (a.expires_at, &a.record).cmp(&(b.expires_at, &b.record)));
    Ok(found)
}

/// Signed bytes as they were taken.
#[derive(Serialize, Deserialize)]
struct Stored {
    exception: ByteBuf,
    credential: ByteBuf,
}

fn holds(exception: &MedicineException, now: Timestamp) -> bool {
    exception.hidden && exception.expires_at > now
}

/// Where the record is, if this patient has it among the medicines.
fn place_of(
    database: &Database,
    patient: &OpenPatient,
    wanted: &MedicineException,
) -> Result<Option<[u8; 16]>, StoreError> {
    let is_it = |found: &records::Indexed| {
        let header = &found.header;
        header.category == Category::Medications
            && header.resource_type == wanted.resource_type
            && header.id == wanted.id
    };
    Ok(records::headers(database, patient)?.into_iter().find(is_it).map(|found| found.place))
}

/// A drug as a record names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Drug {
    /// Code system and code.
    Coded(String, String),
    /// Place of the Medication resource.
    Filed([u8; 16]),
}

/// The drugs that a medicine names. The header's codes are not enough: among them are the kind of a prescription, which every other one
/// has too, and no reference.
fn drugs(database: &Database, patient: &OpenPatient, indexed: &Indexed) -> Result<HashSet<Drug>, StoreError> {
    let mut body = None;
    for part in patient.parts() {
        if body.is_none() {
            body = records::body(database, &part.key, &part.data_key, &indexed.place, Form::Full)?;
        }
    }
    let Some(body) = body else { return Ok(HashSet::new()) };
    let resource: Value = serde_json::from_slice(&unpack(&body)?).map_err(std::io::Error::from)?;
    let own = if indexed.header.resource_type == "Medication" { Some(&resource) } else { None };
    let inside = items(&resource, "contained").filter(|inside| text(inside, "resourceType") == Some("Medication"));
    let coded = own.into_iter().chain(inside).flat_map(|medication| codings(medication, "code"));
    let coded = coded.chain(codings(&resource, "medicationCodeableConcept"));
    let mut found: HashSet<Drug> =
        coded.map(|(system, code, _)| Drug::Coded(system.to_owned(), code.to_owned())).collect();
    for literal in items(&resource, "medicationReference").filter_map(|to| Pointer::read(to, &resource).literal) {
        let name = match literal {
            Literal::Relative(kind, id) | Literal::Absolute(_, kind, id) => Alias::Record { kind, id },
            Literal::Urn(url) => Alias::Url(url),
        };
        let name = name.key(database.keys());
        let known = Known::read(database, &name)?.map(|known| known.base);
        // The name of an entry leads to the record; that of a record is where it is.
        let entry = known.filter(|place| matches!(literal, Literal::Urn(_)) && *place != [0; 16]);
        found.insert(Drug::Filed(entry.unwrap_or(name)));
    }
    found.extend(own.map(|_| Drug::Filed(indexed.place)));
    Ok(found)
}

/// The newest exception for each record of a patient, whether it holds or not.
fn all(database: &Database, patient: &OpenPatient) -> Result<Vec<([u8; 16], MedicineException)>, StoreError> {
    let mut found = Vec::new();
    for item in database.scan(Family::Exceptions, patient.key.as_bytes())? {
        let (key, row) = item?;
        let Some(place) = key.last_chunk::<16>().copied() else { continue };
        found.push((place, read(patient, &key, row.into_vec())?));
    }
    Ok(found)
}

/// The signature was verified when it was taken; since then the seal keeps it.
fn read(patient: &OpenPatient, key: &[u8], row: Vec<u8>) -> Result<MedicineException, StoreError> {
    let plain = patient.data_key.open(Family::Exceptions, key, row)?;
    let stored: Stored = cbor::from_own(&plain)?;
    let signed = Signed::<MedicineException>::from_bytes(stored.exception.into_vec());
    Ok(signed.and_then(|signed| signed.unverified()).map_err(|_| super::seal::SealError::DoesNotOpen)?)
}

fn key(owner: &PatientKey, place: &[u8; 16]) -> Vec<u8> {
    [owner.as_bytes().as_slice(), place].concat()
}

/// Exceptions of one patient: nobody takes as many medicines that must be hidden.
const EXCEPTIONS: usize = 64;
/// Exceptions read for one list: far more than a guardian signs in ninety days.
const LISTED: usize = 10_000;

#[cfg(test)]
mod tests;
