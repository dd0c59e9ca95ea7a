//! The records of one patient: headers to choose by, and the stored forms, which are read under a [`Permit`] only.

use std::ops::ControlFlow;

use careweave_protocol::cbor;
use careweave_protocol::id::{Digest, OdsCode};
use careweave_protocol::query::evidence::{Evidence, Relationship};
use careweave_protocol::record::code::ODS;
use careweave_protocol::record::{Category, Form, Header};
use careweave_protocol::time::Timestamp;
use thiserror::Error;

use super::database::{Database, Family, StoreError};
use super::extract::{EPISODE_KIND, reversed};
use super::patients::{OpenPatient, PatientKey};
use super::seal::SealingKey;
use crate::answer::permit::{Permit, Selected};

/// One record in the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indexed {
    /// Where its forms are.
    pub place: [u8; 16],
    /// What choosing needs.
    pub header: Header,
}

/// Why a permitted form was not given.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The permit is for another patient.
    #[error("the permit is for another patient")]
    OtherPatient,
    /// The form is not there: it was superseded or erased after the decision.
    #[error("a record changed after the decision; ask again")]
    Missing,
    /// The body is not the one the header describes.
    #[error("a stored record does not fit its header: {found} bytes instead of {stated}")]
    Length {
        /// Bytes in the header.
        stated: u32,
        /// Bytes found.
        found: usize,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Every header of a patient, under each of their numbers: by category, newest first, undated before all.
///
/// # Errors
/// When the store fails or a header does not open.
pub fn headers(database: &Database, patient: &OpenPatient) -> Result<Vec<Indexed>, StoreError> {
    let mut found = Vec::new();
    for part in patient.parts() {
        found.extend(headers_under(database, &part.data_key, part.key.as_bytes())?);
    }
    if !patient.linked.is_empty() {
        found.sort_by_key(|indexed| (indexed.header.category.code(), reversed(indexed.header.from)));
    }
    Ok(found)
}

/// As [`headers`], of one category and of this row only.
pub(super) fn headers_in(
    database: &Database,
    patient: &OpenPatient,
    category: Category,
) -> Result<Vec<Indexed>, StoreError> {
    let prefix = [patient.key.as_bytes().as_slice(), &[category.code()]].concat();
    headers_under(database, &patient.data_key, &prefix)
}

/// Reads what a permit allows, in its order, and hands each body (a zstd frame) on as it is stored; stops when told to.
///
/// # Errors
/// [`ReadError`]; nothing more is read after the first error.
pub fn read(
    database: &Database,
    permit: &Permit,
    patient: &OpenPatient,
    mut each: impl FnMut(&Selected, Vec<u8>) -> ControlFlow<()>,
) -> Result<(), ReadError> {
    if permit.patient() != &patient.key {
        return Err(ReadError::OtherPatient);
    }
    for selected in permit.selected() {
        let mut found = None;
        for part in patient.parts() {
            if found.is_none() {
                found = body(database, &part.key, &part.data_key, &selected.place, selected.form)?;
            }
        }
        let body = found.ok_or(ReadError::Missing)?;
        if u32::try_from(body.len()) != Ok(selected.bytes) {
            return Err(ReadError::Length { stated: selected.bytes, found: body.len() });
        }
        if each(selected, body).is_break() {
            break;
        }
    }
    Ok(())
}

/// Why this organisation may ask about the patient, from its own records (FHIR R4): registered practice, open Encounter or
/// EpisodeOfCare, residency, referral received, caseload of an own care team. What is over, or has not begun, is not listed.
///
/// # Errors
/// When the store fails or a header does not open.
pub fn relationships(
    database: &Database,
    patient: &OpenPatient,
    own: &OdsCode,
    now: Timestamp,
) -> Result<Vec<Evidence>, StoreError> {
    let mut found = Vec::new();
    for part in patient.parts() {
        if let Some(practice) = part.practice.as_ref().filter(|practice| practice.ods == *own) {
            let basis = "Patient.generalPractitioner".to_owned();
            found.push(Evidence { kind: Relationship::RegisteredPractice, since: practice.since, until: None, basis });
        }
        for category in [Category::Encounters, Category::Referrals, Category::SocialCare, Category::CareTeam] {
            let headers = headers_in(database, part, category)?;
            found.extend(headers.iter().filter_map(|indexed| relationship(&indexed.header, own)));
        }
    }
    found.retain(|evidence| evidence.holds(now));
    // One of each kind and basis is enough: the one that began first, since it has held longest.
    found.sort_by(|a, b| (a.kind, &a.basis, a.since).cmp(&(b.kind, &b.basis, b.since)));
    found.dedup_by(|later, earlier| later.kind == earlier.kind && later.basis == earlier.basis);
    Ok(found)
}

/// Up to when the records of this store are current: the time its newest feed stated (`Bundle.timestamp`), else the time of the
/// last completed import; `None` before the first.
///
/// # Errors
/// When the store fails.
pub fn data_to(database: &Database) -> Result<Option<Timestamp>, StoreError> {
    let row = database.get(Family::Meta, DATA_TO)?;
    Ok(row.and_then(|bytes| bytes.as_slice().try_into().ok()).map(|bytes| Timestamp(i64::from_be_bytes(bytes))))
}

/// Row of [`data_to`].
pub(super) const DATA_TO: &[u8] = b"data to";

/// What one header says about a relationship with this organisation. The ODS code among its codes is that of the organisation whose
/// stay, episode, referral or team it is: a copy of another organisation's record is no relationship of ours.
fn relationship(header: &Header, own: &OdsCode) -> Option<Evidence> {
    let status = header.status.as_deref().unwrap_or("");
    let resident = header.codes.iter().any(|c| c.system == EPISODE_KIND && c.code == "residency");
    let party = header.codes.iter().find(|c| c.system == ODS).map(|c| c.code.as_str());
    let provided = party.is_none_or(|code| is_own(code, own));
    let addressed = party.is_some_and(|code| is_own(code, own));
    let stay = if resident { Relationship::Residency } else { Relationship::OpenEpisode };
    let begins = header.from.unwrap_or(header.imported);
    let (kind, basis, since) = match header.resource_type.as_str() {
        "Encounter" if provided && matches!(status, "arrived" | "triaged" | "in-progress" | "onleave") => {
            (stay, "Encounter", begins)
        }
        "EpisodeOfCare" if provided && status == "active" => (stay, "EpisodeOfCare", begins),
        // A resident in hospital is a resident.
        "EpisodeOfCare" if provided && status == "onhold" && resident => (stay, "EpisodeOfCare", begins),
        // Asked to do something next month, one may look today.
        "ServiceRequest" if addressed && status == "active" => {
            (Relationship::Referral, "ServiceRequest.performer", begins.min(header.imported))
        }
        "CareTeam" if addressed && matches!(status, "active" | "") => (Relationship::Caseload, "CareTeam", begins),
        _ => return None,
    };
    Some(Evidence { kind, since, until: header.until, basis: basis.to_owned() })
}

/// Whether a code is this organisation's, or that of a site of it: a trust's sites have its three characters and two more.
fn is_own(code: &str, own: &OdsCode) -> bool {
    let own = own.as_str();
    code == own || (own.len() == 3 && code.len() == 5 && code.starts_with(own))
}

/// Key of a header: patient ‖ category ‖ reversed date ‖ place.
#[must_use]
pub(super) fn index_key(owner: &PatientKey, category: u8, reversed: u64, place: &[u8; 16]) -> Vec<u8> {
    [owner.as_bytes().as_slice(), &[category], &reversed.to_be_bytes(), place].concat()
}

/// Key of a form: patient ‖ place ‖ form.
#[must_use]
pub(super) fn form_key(owner: &PatientKey, place: &[u8; 16], form: Form) -> Vec<u8> {
    [owner.as_bytes().as_slice(), place, &[form.code()]].concat()
}

/// A stored body. Disclosure goes through [`read`]; an import uses this to make further forms of what is here.
pub(super) fn body(
    database: &Database,
    owner: &PatientKey,
    data_key: &SealingKey,
    place: &[u8; 16],
    form: Form,
) -> Result<Option<Vec<u8>>, StoreError> {
    let key = form_key(owner, place, form);
    let Some(sealed) = database.get(Family::Forms, &key)? else { return Ok(None) };
    Ok(Some(data_key.open(Family::Forms, &key, sealed)?))
}

/// The Merkle leaf of a body, as the header states it.
#[must_use]
pub(super) fn leaf(category: Category, form: Form, taken_in: Timestamp, body: &[u8]) -> Digest {
    careweave_protocol::record::merkle::leaf(category, form, taken_in, body)
}

fn headers_under(database: &Database, data_key: &SealingKey, prefix: &[u8]) -> Result<Vec<Indexed>, StoreError> {
    let mut found = Vec::new();
    for item in database.scan(Family::Index, prefix)? {
        let (key, sealed) = item?;
        let Some(place) = key.last_chunk::<16>().copied() else { continue };
        let plain = data_key.open(Family::Index, &key, sealed.into_vec())?;
        found.push(Indexed { place, header: cbor::from_own(&plain)? });
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
