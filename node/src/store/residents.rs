//! The register of residents: who lives here, since when and until when. Residency as evidence begins and ends with it.
//!
//! A resident need not have records here: the register makes the patient known by number, birth date and family name, so that its rows
//! are sealed under a key of the person's own and go when the person is erased.

use careweave_protocol::cbor;
use careweave_protocol::desk::{Resident, ResidentAdd, ResidentLeave};
use careweave_protocol::query::{Evidence, Patient, Relationship};
use careweave_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::database::{Database, Family, Put, StoreError};
use super::numbers::{self, Search};
use super::patients::{self, OpenPatient, PatientKey};
use super::seal::SealingKey;
use crate::view::matching::{Demographics, Doubt};

/// One stay of one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stay {
    /// When it began.
    pub since: Timestamp,
    /// First instant at which it is over: known from the start for respite, otherwise set when the person leaves.
    pub until: Option<Timestamp>,
    /// Room or unit.
    pub room: Option<String>,
}

/// What a change of the register is to write, and under whose key the log speaks of it.
pub struct Change {
    /// Seals the patient part of the entry about it.
    pub data_key: SealingKey,
    /// The stay as it will stand.
    pub stay: Stay,
    /// Rows that must become durable together with that entry.
    pub rows: Vec<Put>,
}

/// Why the register was not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unfit {
    /// The number is held here for somebody whom birth date or name do not fit.
    #[error("not safely matched: {0}")]
    Doubtful(#[from] Doubt),
    /// The stay overlaps one that is there.
    #[error("this person is a resident in that time already")]
    AlreadyResident,
    /// No stay is under way.
    #[error("this person is not a resident now")]
    NotResident,
    /// The stay would end before it begins.
    #[error("the stay would end before it begins")]
    DatesReversed,
    /// The stay would begin before the person was born.
    #[error("the stay would begin before the birth date")]
    BeforeBirth,
    /// One person has `STAYS` stays, or the register `REGISTER` lines.
    #[error("the register has no room for another stay")]
    Full,
}

impl Unfit {
    /// What somebody can do about it.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::Doubtful(_) => "compare number, birth date and family name with the person",
            Self::AlreadyResident => {
                "`careweave residents --all` shows the stay; `careweave resident leave` ends it, or gives it another end"
            }
            Self::NotResident => "`careweave residents` shows who lives here now, `--all` everybody who did or will",
            Self::DatesReversed => "check --since, --until and --on",
            Self::BeforeBirth => "check --since and --dob",
            Self::Full => {
                "ask whoever looks after the node: one person's stays, or all of them, have reached their bound"
            }
        }
    }

    /// Name in the log.
    #[must_use]
    pub fn cause(self) -> String {
        match self {
            Self::Doubtful(doubt) => format!("not-matched: {doubt}"),
            Self::AlreadyResident => "already-resident".to_owned(),
            Self::NotResident => "not-resident".to_owned(),
            Self::DatesReversed | Self::BeforeBirth => "dates-reversed".to_owned(),
            Self::Full => "register-full".to_owned(),
        }
    }
}

impl Stay {
    /// Whether it is under way at this instant.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.since <= now && self.until.is_none_or(|end| end > now)
    }

    fn overlaps(&self, other: &Self) -> bool {
        let begins_in = |a: &Self, b: &Self| a.since <= b.since && a.until.is_none_or(|end| end > b.since);
        begins_in(self, other) || begins_in(other, self)
    }
}

/// Makes the rows for somebody who moves in. A person not held here becomes known by what is given.
///
/// # Errors
/// When the store fails or a row does not open.
pub fn add(database: &Database, add: &ResidentAdd) -> Result<Result<Change, Unfit>, StoreError> {
    let stay = Stay { since: add.since, until: add.until, room: add.room.clone() };
    if stay.until.is_some_and(|end| end <= stay.since) {
        return Ok(Err(Unfit::DatesReversed));
    }
    if stay.since < add.birth_date.start() {
        return Ok(Err(Unfit::BeforeBirth));
    }
    let asked = Patient {
        nhs_number: add.nhs_number,
        birth_date: add.birth_date,
        family: add.family.clone(),
        postcode: None,
        other_numbers: Vec::new(),
    };
    let (patient, mut rows) = match numbers::search(database, &asked)? {
        Search::One(patient) => (*patient, Vec::new()),
        Search::NotHeld => patients::introduced(database, nothing_but(add))?,
        Search::Doubtful(doubt) => return Ok(Err(doubt.into())),
    };
    if stays(database, &patient)?.iter().any(|(_, there)| there.overlaps(&stay)) {
        return Ok(Err(Unfit::AlreadyResident));
    }
    let before = database.scan(Family::Residents, patient.key.as_bytes())?.take(STAYS).count();
    let number = u32::try_from(before).unwrap_or(u32::MAX);
    if before >= STAYS || database.scan(Family::Residents, &[])?.take(REGISTER).count() >= REGISTER {
        return Ok(Err(Unfit::Full));
    }
    let key = key(&patient.key, number);
    rows.push((Family::Residents, key.clone(), sealed(&patient, &key, &stay)?));
    Ok(Ok(Change { data_key: patient.data_key, stay, rows }))
}

/// Makes the row for somebody who has left, or whose stay gets another end: the stay under way at `now`.
///
/// # Errors
/// When the store fails or a row does not open.
pub fn leave(database: &Database, leave: &ResidentLeave, now: Timestamp) -> Result<Result<Change, Unfit>, StoreError> {
    let mut under_way = Vec::new();
    for patient in patients::find(database, &leave.nhs_number)? {
        let current = stays(database, &patient)?.into_iter().find(|(_, stay)| stay.holds(now));
        under_way.extend(current.map(|found| (patient, found)));
    }
    let Some((patient, (key, stay))) = under_way.pop() else { return Ok(Err(Unfit::NotResident)) };
    if !under_way.is_empty() {
        return Ok(Err(Doubt::Ambiguous.into()));
    }
    let stay = Stay { until: Some(leave.at), ..stay };
    if leave.at <= stay.since {
        return Ok(Err(Unfit::DatesReversed));
    }
    // With a later end than before it may run into a stay that is entered already.
    if stays(database, &patient)?.iter().any(|(other, there)| *other != key && there.overlaps(&stay)) {
        return Ok(Err(Unfit::AlreadyResident));
    }
    let row = sealed(&patient, &key, &stay)?;
    Ok(Ok(Change { data_key: patient.data_key, stay, rows: vec![(Family::Residents, key, row)] }))
}

/// Everybody in the register, by name: those who live here now, or with `all` also those who left and those to come.
///
/// # Errors
/// When the store fails or a row does not open.
pub fn everybody(database: &Database, all: bool, now: Timestamp) -> Result<Vec<Resident>, StoreError> {
    let mut found = Vec::new();
    let mut open: Option<OpenPatient> = None;
    for item in database.scan(Family::Residents, &[])?.take(REGISTER) {
        let (key, row) = item?;
        let Some(owner) = key.first_chunk::<16>().map(|owner| PatientKey(*owner)) else { continue };
        if open.as_ref().is_none_or(|patient| patient.key != owner) {
            open = patients::open(database, &owner)?;
        }
        // Nobody: erased, and the rows are about to go too.
        let Some(patient) = open.as_ref() else { continue };
        let plain = patient.data_key.open(Family::Residents, &key, row.into_vec())?;
        let stay: Stay = cbor::from_own(&plain)?;
        let Some(birth_date) = patient.demographics.birth_date else { continue };
        if all || stay.holds(now) {
            found.push(Resident {
                nhs_number: patient.demographics.nhs_number,
                name: full_name(&patient.demographics),
                birth_date,
                since: stay.since,
                until: stay.until,
                room: stay.room,
            });
        }
    }
    found.sort_by_key(|resident| (resident.name.to_lowercase(), resident.since));
    Ok(found)
}

/// Residency as the register has it, where it has a line for the person at all; then nothing else counts as residency.
///
/// # Errors
/// When the store fails or a row does not open.
pub fn residency(
    database: &Database,
    patient: &OpenPatient,
    now: Timestamp,
) -> Result<Option<Vec<Evidence>>, StoreError> {
    let stays = stays(database, patient)?;
    if stays.is_empty() {
        return Ok(None);
    }
    let evidence = |stay: Stay| Evidence {
        kind: Relationship::Residency,
        since: stay.since,
        until: stay.until,
        basis: BASIS.to_owned(),
    };
    Ok(Some(stays.into_iter().map(|(_, stay)| stay).filter(|stay| stay.holds(now)).map(evidence).collect()))
}

/// Every stay of one person, with its row's key.
fn stays(database: &Database, patient: &OpenPatient) -> Result<Vec<(Vec<u8>, Stay)>, StoreError> {
    let mut found = Vec::new();
    for part in patient.parts() {
        for item in database.scan(Family::Residents, part.key.as_bytes())? {
            let (key, row) = item?;
            let plain = part.data_key.open(Family::Residents, &key, row.into_vec())?;
            found.push((key.into_vec(), cbor::from_own(&plain)?));
        }
    }
    Ok(found)
}

/// A patient of whom nothing is known but what the register is told.
fn nothing_but(add: &ResidentAdd) -> Demographics {
    Demographics {
        nhs_number: add.nhs_number,
        birth_date: Some(add.birth_date),
        families: vec![add.family.clone()],
        given: Vec::new(),
        gender: None,
        address_line: None,
        postcode: None,
        restricted: false,
        deceased: None,
        other_numbers: Vec::new(),
        number_changed: false,
        closed: false,
        invalidated: false,
    }
}

fn sealed(patient: &OpenPatient, key: &[u8], stay: &Stay) -> Result<Vec<u8>, StoreError> {
    Ok(patient.data_key.seal(Family::Residents, key, &cbor::to_vec(stay)?)?)
}

fn key(owner: &PatientKey, number: u32) -> Vec<u8> {
    [owner.as_bytes().as_slice(), &number.to_be_bytes()].concat()
}

fn full_name(who: &Demographics) -> String {
    let family = who.families.first().map_or("", String::as_str);
    format!("{} {family}", who.given.join(" ")).trim().to_owned()
}

/// What the evidence rests on, as it stands in envelopes.
const BASIS: &str = "residency register";
/// Stays of one person: somebody who comes for respite every month fills it in five years.
const STAYS: usize = 64;
/// Lines of one register: a large home has two hundred places, each of which may be taken anew every year for fifty years. At about
/// 200 bytes a line, the list of all of them stays far below what one reply may have.
const REGISTER: usize = 10_000;

#[cfg(test)]
mod tests;
