//! Who is held with the same family name and birth date as somebody else: an index of blinded names, so that a view can warn that there
//! is another person whom the one asked about could be taken for.

use super::database::{Database, Family, StoreError};
use super::patients::{OpenPatient, PatientKey, Rows, keys_in, open, seal_keys};
use super::seal::StoreKeys;
use crate::view::matching::{Demographics, folded_family};

/// Whether another person of the same birth date and a same family name, current or previous, is held: living or dead, and under the same
/// number too where the register has it twice. The same person under another number is no namesake.
///
/// # Errors
/// When the store fails or a row does not open.
pub fn has_namesake(database: &Database, patient: &OpenPatient) -> Result<bool, StoreError> {
    let who = &patient.demographics;
    let own = names(database.keys(), who);
    for name in &own {
        for key in keys_in(database, Family::Namesakes, name)? {
            if patient.parts().any(|part| part.key == key) {
                continue;
            }
            let Some(other) = open(database, &key)? else { continue };
            let there = &other.demographics;
            let linked = who.other_numbers.contains(&there.nhs_number) || there.other_numbers.contains(&who.nhs_number);
            // On both sides of a marker may stand one person, and a warning would say so. The other side may not be marked yet: its
            // Patient may have come later and without a link. So for marked people the warning itself would be a link.
            let marked = who.number_changed || there.number_changed;
            if !linked && !marked && names(database.keys(), there).contains(name) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// A row of the index and its sealed value.
pub(super) type NameRow = ([u8; 16], Vec<u8>);

/// The rows that change when a patient's row does: made (`None` before), changed, or erased (`None` after).
pub(super) fn rows(
    rows: &impl Rows,
    before: Option<&OpenPatient>,
    after: Option<&OpenPatient>,
) -> Result<Vec<NameRow>, StoreError> {
    let database = rows.database();
    let named = |patient: Option<&OpenPatient>| {
        patient.map_or_else(Vec::new, |patient| names(database.keys(), &patient.demographics))
    };
    let (old, new) = (named(before), named(after));
    let Some(PatientKey(key)) = after.or(before).map(|patient| patient.key) else { return Ok(Vec::new()) };
    let mut changed = Vec::new();
    for name in old.iter().filter(|name| !new.contains(name)).chain(new.iter().filter(|name| !old.contains(name))) {
        let mut keys = keys_in(rows, Family::Namesakes, name)?;
        keys.retain(|other| other.0 != key);
        if new.contains(name) {
            keys.push(PatientKey(key));
        }
        changed.push((*name, seal_keys(database, Family::Namesakes, name, &keys)?));
    }
    Ok(changed)
}

/// What stands in keys for each family name with the birth date; nothing without a full birth date.
fn names(keys: &StoreKeys, who: &Demographics) -> Vec<[u8; 16]> {
    let Some(born) = who.birth_date else { return Vec::new() };
    let born = born.to_string();
    let folded = who.families.iter().map(|family| folded_family(family)).filter(|family| !family.is_empty());
    let mut names: Vec<[u8; 16]> =
        folded.map(|family| keys.blind("namesake", &[family.as_bytes(), born.as_bytes()])).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests;
