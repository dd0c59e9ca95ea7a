//! One person under several NHS numbers: those that the own records say replaced one another (FHIR `Patient.link`, replaced-by and
//! replaces). Each number keeps rows of its own; they are put together when somebody is looked for, so that a link can be taken back, and
//! a marker against it ([`super::patients::NUMBER_CHANGE`]) counts from the moment it is known.

use careweave_protocol::id::NhsNumber;
use careweave_protocol::limits::OTHER_NUMBERS_MAX;
use careweave_protocol::query::Patient;
use serde::{Deserialize, Serialize};

use super::database::{Database, Family, StoreError};
use super::patients::{OpenPatient, PatientKey, Rows, keys_in, open_in, under_number_in};
use super::seal::StoreKeys;
use crate::view::matching::{self, Demographics, Doubt};

/// Who is held of the person asked about.
#[derive(Debug, Clone)]
pub enum Search {
    /// Certainly this person, with everything held of them under any of their numbers.
    One(Box<OpenPatient>),
    /// Nobody under any of the numbers.
    NotHeld,
    /// Somebody, but not safely the person asked about.
    Doubtful(Doubt),
}

/// Looks for the person asked about, under the number asked, those asked with it, and those that the own records link to them.
///
/// # Errors
/// When the store fails or a row does not open.
pub fn search(database: &Database, asked: &Patient) -> Result<Search, StoreError> {
    let mut candidates: Vec<Option<OpenPatient>> =
        candidates(database, asked.numbers())?.into_iter().map(Some).collect();
    let demographics: Vec<Demographics> = candidates.iter().flatten().map(|c| c.demographics.clone()).collect();
    let found = match matching::held(asked, &demographics) {
        Ok(found) => found,
        Err(doubt) => return Ok(Search::Doubtful(doubt)),
    };
    let rows = found.into_iter().filter_map(|index| candidates.get_mut(index)?.take()).collect();
    Ok(OpenPatient::united(rows).map_or(Search::NotHeld, |patient| Search::One(Box::new(patient))))
}

/// The numbers that the own records say replaced this one or were replaced by it, in either direction and over others in between, at
/// most [`OTHER_NUMBERS_MAX`]. None across a marker, none that was invalidated, and none where the own records are not sure of one
/// person under the number.
///
/// # Errors
/// When the store fails or a row does not open.
pub fn other_numbers(database: &Database, number: NhsNumber) -> Result<Vec<NhsNumber>, StoreError> {
    let candidates = candidates(database, std::iter::once(number))?;
    let demographics: Vec<Demographics> = candidates.into_iter().map(|c| c.demographics).collect();
    let under = |number: NhsNumber| demographics.iter().filter(move |c| c.nhs_number == number);
    let dates: Vec<_> = under(number).map(|c| c.birth_date).collect();
    if under(number).any(|c| c.invalidated) || dates.windows(2).any(|pair| pair.first() != pair.last()) {
        return Ok(Vec::new());
    }
    let mut others = matching::linked_numbers(number, std::iter::once(number), &demographics);
    others.retain(|other| *other != number && !under(*other).any(|c| c.invalidated));
    others.sort_unstable();
    others.truncate(OTHER_NUMBERS_MAX);
    Ok(others)
}

/// What one Patient resource says replaced the person's number, or was replaced by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Link {
    /// The blinded id of the Patient resource that says so.
    pub(super) by: [u8; 16],
    /// The other number, once it is known.
    pub(super) number: Option<NhsNumber>,
    /// The blinded name of the other Patient, while only that is known.
    pub(super) name: Option<[u8; 16]>,
}

impl Link {
    /// The rows of [`Family::Links`] in which whoever has this link stands.
    pub(super) fn names(&self, keys: &StoreKeys) -> impl Iterator<Item = [u8; 16]> {
        self.number.map(|number| keys.blind_number(&number)).into_iter().chain(self.name)
    }
}

/// Patients whose records link, or once linked, to a blinded number or Patient.
pub(super) fn linkers(rows: &impl Rows, name: &[u8; 16]) -> Result<Vec<PatientKey>, StoreError> {
    keys_in(rows, Family::Links, name)
}

/// Everybody held under the numbers, and under every number that their records link to them.
pub(super) fn candidates(
    rows: &impl Rows,
    numbers: impl Iterator<Item = NhsNumber>,
) -> Result<Vec<OpenPatient>, StoreError> {
    let mut ahead: Vec<NhsNumber> = numbers.collect();
    let mut seen: Vec<NhsNumber> = Vec::new();
    let mut found: Vec<OpenPatient> = Vec::new();
    while let Some(number) = ahead.pop() {
        if seen.len() >= NUMBERS_SEARCHED || seen.contains(&number) {
            continue;
        }
        seen.push(number);
        let blinded = rows.database().keys().blind_number(&number);
        for key in under_number_in(rows, &blinded)?.into_iter().chain(linkers(rows, &blinded)?) {
            if found.iter().any(|there| there.key == key) {
                continue;
            }
            let Some(patient) = open_in(rows, &key)? else { continue };
            if !patient.demographics.number_changed {
                ahead.extend(&patient.demographics.other_numbers);
                ahead.push(patient.demographics.nhs_number);
            }
            found.push(patient);
        }
    }
    Ok(found)
}

/// Numbers looked at in one search: those asked, and as many again that only the own records know of.
const NUMBERS_SEARCHED: usize = 2 * (1 + OTHER_NUMBERS_MAX);

#[cfg(test)]
mod tests;
