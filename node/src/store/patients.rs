//! The patients of this organisation: a random key each, under which everything about them is filed, and a data key of their own.

use std::fmt;

use careweave_protocol::cbor;
use careweave_protocol::id::{NhsNumber, OdsCode};
use careweave_protocol::policy::Objection;
use careweave_protocol::time::{Date, Timestamp};
use rocksdb::WriteBatch;
use serde::{Deserialize, Serialize};

use super::database::{Database, Family, Put, StoreError};
use super::namesakes;
use super::numbers::{Link, linkers};
use super::registration::Registration;
use super::seal::{SealError, SealingKey, random_key};
use crate::view::matching::Demographics;

/// What a patient's rows are filed under: 16 random bytes, so that nothing about the person can be told from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PatientKey(pub [u8; 16]);

impl PatientKey {
    /// Under which resources of no patient are filed (Organization, Practitioner, Location …); no query finds it.
    pub const ORGANISATION: Self = Self([0xff; 16]);

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Code system of the marker on a `Consent` that objects even in an emergency: `even-in-emergency`, in `Consent.category`,
/// `Consent.provision.code`, `Consent.provision.purpose` or `meta.tag`.
pub const OBJECTION: &str = "https://careweave.example/fhir/CodeSystem/objection";

/// Code system of the marker on a `Patient` whose NHS number is of a new identity: `adoption` or `gender-recognition`, in `meta.tag` or
/// `meta.security`. No number is linked across it, and it is never taken back by a version that lacks it.
pub const NUMBER_CHANGE: &str = "https://careweave.example/fhir/CodeSystem/number-change";

/// The practice a patient is registered with (`Patient.generalPractitioner`, logical reference by ODS code).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Practice {
    /// The practice.
    pub ods: OdsCode,
    /// Since when this store knows it.
    pub since: Timestamp,
}

/// One patient, with the key to everything about them. `Debug` shows nothing.
#[derive(Clone)]
pub struct OpenPatient {
    /// What the rows are filed under.
    pub key: PatientKey,
    /// Opens them.
    pub data_key: SealingKey,
    /// Who the person is, from the newest Patient; family names of every version.
    pub demographics: Demographics,
    /// The practice the person is registered with.
    pub practice: Option<Practice>,
    pub(super) marks: Marks,
    /// The same person under other numbers, or registered twice; only in what [`super::numbers::search`] finds.
    pub(super) linked: Vec<OpenPatient>,
}

/// What single records say about the patient as a whole, by the record that says it, so that a newer version can take it back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Marks {
    /// Patient resources that restrict the address.
    pub(super) restrictions: Vec<[u8; 16]>,
    /// Consents that object, and whether they do so even in an emergency.
    pub(super) objections: Vec<([u8; 16], bool)>,
    /// Texts that give an address away: lines, postcodes, telephone numbers; for making stripped forms.
    pub(super) whereabouts: Vec<String>,
    /// The Patient resources.
    pub(super) registrations: Vec<Registration>,
    /// Which numbers they say replaced this person's, or were replaced by it.
    pub(super) links: Vec<Link>,
    /// Whether a [`NUMBER_CHANGE`] marker stands on one of them, or on one that they link to.
    pub(super) number_changed: bool,
}

impl OpenPatient {
    /// What the patient objected to, by an imported FHIR `Consent` of scope `patient-privacy` whose provision denies.
    #[must_use]
    pub fn objection(&self) -> Objection {
        match self
            .parts()
            .flat_map(|part| &part.marks.objections)
            .map(|(_, even_in_emergency)| *even_in_emergency)
            .max()
        {
            None => Objection::None,
            Some(false) => Objection::Network,
            Some(true) => Objection::EvenEmergency,
        }
    }

    /// This row of the patient, then those of the same person under other numbers.
    pub fn parts(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.linked)
    }

    /// Takes over what follows from the marks.
    pub(super) fn note_marks(&mut self) {
        let mut numbers: Vec<NhsNumber> = self.marks.links.iter().filter_map(|link| link.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        self.demographics.other_numbers = numbers;
        self.demographics.number_changed = self.marks.number_changed;
        let registrations = &self.marks.registrations;
        self.demographics.closed = !registrations.is_empty() && registrations.iter().all(|r| !r.active);
    }

    /// The first of the rows with what the others say about the person as a whole.
    pub(super) fn united(rows: Vec<Self>) -> Option<Self> {
        let mut rows = rows.into_iter();
        let mut first = rows.next()?;
        first.linked = rows.collect();
        let restricted = first.parts().any(|part| part.demographics.restricted);
        let deceased = first.parts().find_map(|part| part.demographics.deceased.clone());
        first.demographics.restricted = restricted;
        first.demographics.deceased = deceased;
        Some(first)
    }

    /// The row as it is stored.
    ///
    /// # Errors
    /// When it cannot be sealed.
    pub(super) fn sealed(&self) -> Result<Vec<u8>, StoreError> {
        let plain = cbor::to_vec(&Stored::of(self))?;
        Ok(self.data_key.seal(Family::Patients, self.key.as_bytes(), &plain)?)
    }
}

impl fmt::Debug for OpenPatient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenPatient({:?})", self.key)
    }
}

/// Where rows are read: the database, or the database with what an import is about to write.
pub(super) trait Rows {
    /// The database, for its keys.
    fn database(&self) -> &Database;

    /// One row of a family whose keys have 16 bytes.
    fn row(&self, family: Family, key: &[u8; 16]) -> Result<Option<Vec<u8>>, StoreError>;
}

impl Rows for Database {
    fn database(&self) -> &Database {
        self
    }

    fn row(&self, family: Family, key: &[u8; 16]) -> Result<Option<Vec<u8>>, StoreError> {
        self.get(family, key)
    }
}

/// Every patient held under a number: more than one where the feeds disagree about the birth date or one register has the person
/// twice. Where nobody is, those whose number it replaced or was replaced by.
///
/// # Errors
/// When the store fails or a row does not open.
pub fn find(database: &Database, number: &NhsNumber) -> Result<Vec<OpenPatient>, StoreError> {
    let blinded = database.keys().blind_number(number);
    let found = opened(database, under_number_in(database, &blinded)?)?;
    if !found.is_empty() {
        return Ok(found);
    }
    let mut linked = opened(database, linkers(database, &blinded)?)?;
    linked.retain(|patient| patient.demographics.other_numbers.contains(number));
    Ok(linked)
}

/// Every patient about whom the log may speak under a number, for whoever knows the number only as the store's keys hold it: those
/// held under it, and those who were linked to it.
///
/// # Errors
/// When the store fails or a row does not open.
pub fn find_blinded(database: &Database, number: &[u8; 16]) -> Result<Vec<OpenPatient>, StoreError> {
    let mut keys = under_number_in(database, number)?;
    for key in linkers(database, number)? {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    opened(database, keys)
}

fn opened(database: &Database, keys: Vec<PatientKey>) -> Result<Vec<OpenPatient>, StoreError> {
    keys.iter().filter_map(|key| open(database, key).transpose()).collect()
}

/// The patient under this key; `None` when there is none or they were erased.
///
/// # Errors
/// When the store fails or a row does not open.
pub fn open(database: &Database, key: &PatientKey) -> Result<Option<OpenPatient>, StoreError> {
    open_in(database, key)
}

/// A new patient of these demographics, durable when this returns. An import makes its own.
///
/// # Errors
/// When the store fails.
pub fn create(database: &Database, demographics: Demographics) -> Result<OpenPatient, StoreError> {
    let (patient, rows) = introduced(database, demographics)?;
    let mut batch = WriteBatch::default();
    for (family, key, value) in rows {
        database.put(&mut batch, family, &key, &value)?;
    }
    database.write_synced(batch)?;
    Ok(patient)
}

/// A new patient of these demographics, with the rows that make them known.
///
/// # Errors
/// When the store fails.
pub fn introduced(database: &Database, demographics: Demographics) -> Result<(OpenPatient, Vec<Put>), StoreError> {
    let (patient, wrapped) = fresh(database, demographics)?;
    let number = database.keys().blind_number(&patient.demographics.nhs_number);
    let mut keys = under_number_in(database, &number)?;
    keys.push(patient.key);
    let owner = patient.key.as_bytes().to_vec();
    let mut rows = vec![
        (Family::Keys, owner.clone(), wrapped),
        (Family::Patients, owner, patient.sealed()?),
        (Family::Numbers, number.to_vec(), seal_numbers(database, &number, &keys)?),
    ];
    for (key, value) in namesakes::rows(database, None, Some(&patient))? {
        rows.push((Family::Namesakes, key.to_vec(), value));
    }
    Ok((patient, rows))
}

/// Erases a patient: the wrapped data key first, durably, after which nothing about them opens; then the rows. Other rows of the same
/// person, under other numbers ([`OpenPatient::parts`]), are erased by a call each.
///
/// # Errors
/// When the store fails; the key is gone if the first write succeeded, and a second call removes the rest.
pub fn erase(database: &Database, key: &PatientKey) -> Result<(), StoreError> {
    let patient = open(database, key)?;
    let mut batch = WriteBatch::default();
    database.delete(&mut batch, Family::Keys, key.as_bytes())?;
    database.delete(&mut batch, Family::Patients, key.as_bytes())?;
    if let Some(patient) = &patient {
        let number = database.keys().blind_number(&patient.demographics.nhs_number);
        take_out(database, &mut batch, Family::Numbers, &number, key)?;
        for link in &patient.marks.links {
            for name in link.names(database.keys()) {
                take_out(database, &mut batch, Family::Links, &name, key)?;
            }
        }
        for (row, value) in namesakes::rows(database, Some(patient), None)? {
            database.put(&mut batch, Family::Namesakes, &row, &value)?;
        }
    }
    database.write_synced(batch)?;
    for family in [Family::Index, Family::Forms, Family::Residents, Family::Exceptions] {
        let mut batch = WriteBatch::default();
        for item in database.scan(family, key.as_bytes())? {
            let (row, _) = item?;
            database.delete(&mut batch, family, &row)?;
            if batch.len() >= ERASED_AT_ONCE {
                database.write_buffered(std::mem::take(&mut batch))?;
            }
        }
        database.write_synced(batch)?;
    }
    // Their keys do not tell whose they are; that they open does.
    if let Some(patient) = &patient {
        let mut batch = WriteBatch::default();
        for item in database.scan(Family::Sent, &[])? {
            let (row, sealed) = item?;
            if patient.data_key.open(Family::Sent, &row, sealed.into_vec()).is_ok() {
                database.delete(&mut batch, Family::Sent, &row)?;
            }
        }
        database.write_synced(batch)?;
    }
    Ok(())
}

fn take_out(
    database: &Database,
    batch: &mut WriteBatch,
    family: Family,
    row: &[u8; 16],
    key: &PatientKey,
) -> Result<(), StoreError> {
    let keys: Vec<PatientKey> = keys_in(database, family, row)?.into_iter().filter(|other| other != key).collect();
    database.put(batch, family, row, &seal_keys(database, family, row, &keys)?)
}

/// The patient keys under a blinded number ([`super::seal::StoreKeys::blind_number`]).
///
/// # Errors
/// When the store fails or the row does not open.
pub fn under_number(database: &Database, number: &[u8; 16]) -> Result<Vec<PatientKey>, StoreError> {
    under_number_in(database, number)
}

/// As [`open`], over what an import is about to write.
pub(super) fn open_in(rows: &impl Rows, key: &PatientKey) -> Result<Option<OpenPatient>, StoreError> {
    let Some(data_key) = data_key(rows, key)? else { return Ok(None) };
    let Some(sealed) = rows.row(Family::Patients, key.as_bytes())? else { return Ok(None) };
    let plain = data_key.open(Family::Patients, key.as_bytes(), sealed)?;
    Ok(Some(cbor::from_own::<Stored>(&plain)?.open(*key, data_key)))
}

/// The data key under a patient key, where it was not erased.
pub(super) fn data_key(rows: &impl Rows, key: &PatientKey) -> Result<Option<SealingKey>, StoreError> {
    let Some(wrapped) = rows.row(Family::Keys, key.as_bytes())? else { return Ok(None) };
    let plain = rows.database().keys().wrapping.open(Family::Keys, key.as_bytes(), wrapped)?;
    let plain = zeroize::Zeroizing::new(plain);
    let bytes: &[u8; 32] = plain.as_slice().try_into().map_err(|_| SealError::DoesNotOpen)?;
    Ok(Some(SealingKey::new(bytes)?))
}

/// A fresh data key for a patient key, with its wrapped form.
pub(super) fn fresh_data_key(database: &Database, key: &PatientKey) -> Result<(SealingKey, Vec<u8>), StoreError> {
    let bytes = random_key()?;
    let wrapped = database.keys().wrapping.seal(Family::Keys, key.as_bytes(), bytes.as_ref())?;
    Ok((SealingKey::new(&bytes)?, wrapped))
}

/// A new patient and the wrapped data key, not yet written.
pub(super) fn fresh(database: &Database, demographics: Demographics) -> Result<(OpenPatient, Vec<u8>), StoreError> {
    let random = random_key()?;
    let mut key = [0u8; 16];
    for (slot, byte) in key.iter_mut().zip(random.iter()) {
        *slot = *byte;
    }
    let key = PatientKey(key);
    let (data_key, wrapped) = fresh_data_key(database, &key)?;
    Ok((
        OpenPatient { key, data_key, demographics, practice: None, marks: Marks::default(), linked: Vec::new() },
        wrapped,
    ))
}

/// As [`under_number`], over what an import is about to write.
pub(super) fn under_number_in(rows: &impl Rows, number: &[u8; 16]) -> Result<Vec<PatientKey>, StoreError> {
    keys_in(rows, Family::Numbers, number)
}

/// The row of a blinded number.
pub(super) fn seal_numbers(database: &Database, number: &[u8; 16], keys: &[PatientKey]) -> Result<Vec<u8>, StoreError> {
    seal_keys(database, Family::Numbers, number, keys)
}

/// A row that lists patient keys.
pub(super) fn keys_in(rows: &impl Rows, family: Family, row: &[u8; 16]) -> Result<Vec<PatientKey>, StoreError> {
    let Some(sealed) = rows.row(family, row)? else { return Ok(Vec::new()) };
    let plain = rows.database().keys().log.open(family, row, sealed)?;
    let (keys, _) = plain.as_chunks::<16>();
    Ok(keys.iter().map(|key| PatientKey(*key)).collect())
}

/// A row that lists patient keys, as it is stored.
pub(super) fn seal_keys(
    database: &Database,
    family: Family,
    row: &[u8; 16],
    keys: &[PatientKey],
) -> Result<Vec<u8>, StoreError> {
    let plain: Vec<u8> = keys.iter().flat_map(|key| key.0).collect();
    Ok(database.keys().log.seal(family, row, &plain)?)
}

/// Rows removed in one batch when a patient is erased: bounds the batch to about a hundred kilobytes.
const ERASED_AT_ONCE: usize = 2_000;

/// The patient's row. A type of its own, so that the store's layout does not follow the matching code.
#[derive(Serialize, Deserialize)]
struct Stored {
    nhs_number: NhsNumber,
    birth_date: Option<Date>,
    families: Vec<String>,
    given: Vec<String>,
    gender: Option<String>,
    address_line: Option<String>,
    postcode: Option<String>,
    restricted: bool,
    deceased: Option<String>,
    invalidated: bool,
    practice: Option<Practice>,
    marks: Marks,
}

impl Stored {
    fn of(patient: &OpenPatient) -> Self {
        let d = patient.demographics.clone();
        Self {
            nhs_number: d.nhs_number,
            birth_date: d.birth_date,
            families: d.families,
            given: d.given,
            gender: d.gender,
            address_line: d.address_line,
            postcode: d.postcode,
            restricted: d.restricted,
            deceased: d.deceased,
            invalidated: d.invalidated,
            practice: patient.practice.clone(),
            marks: patient.marks.clone(),
        }
    }

    fn open(self, key: PatientKey, data_key: SealingKey) -> OpenPatient {
        let demographics = Demographics {
            nhs_number: self.nhs_number,
            birth_date: self.birth_date,
            families: self.families,
            given: self.given,
            gender: self.gender,
            address_line: self.address_line,
            postcode: self.postcode,
            restricted: self.restricted,
            deceased: self.deceased,
            other_numbers: Vec::new(),
            number_changed: false,
            closed: false,
            invalidated: self.invalidated,
        };
        let (practice, marks) = (self.practice, self.marks);
        let mut patient = OpenPatient { key, data_key, demographics, practice, marks, linked: Vec::new() };
        patient.note_marks();
        patient
    }
}
