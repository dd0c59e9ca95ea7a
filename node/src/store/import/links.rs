//! What a Patient that arrives changes about others: who is the same person under another number, who must never be, and whose
//! whereabouts are restricted because another row of the same person restricts them.

use careweave_protocol::limits::OTHER_NUMBERS_MAX;
use serde_json::Value;

use super::filing::Filing;
use super::person::{conceal_what_is_here, remember, restrip};
use super::reason::Failure;
use crate::store::database::{Family, StoreError};
use crate::store::element::{items, text};
use crate::store::numbers::{Link, linkers};
use crate::store::patients::{OpenPatient, PatientKey, Rows as _, keys_in, seal_keys, under_number_in};
use crate::store::references::{AMBIGUOUS, Alias, Literal, Pointer};

/// The links of a Patient resource (FHIR R4 `Patient.link`): replaced-by and replaces. Where only the other Patient's name is known, the
/// number is filled in when that Patient arrives.
pub(super) fn links(filing: &mut Filing, resource: &Value, place: [u8; 16]) -> Result<Vec<Link>, StoreError> {
    let mut found: Vec<Link> = Vec::new();
    let followed = items(resource, "link").filter(|l| matches!(text(l, "type"), Some("replaced-by" | "replaces")));
    for other in followed.filter_map(|link| link.get("other")) {
        let pointer = Pointer::read(other, resource);
        let alias = match (pointer.literal, pointer.logical) {
            (_, Some(alias @ Alias::Number(_))) => alias,
            (Some(Literal::Relative(_, id) | Literal::Absolute(_, _, id)), _) => Alias::Record { kind: "Patient", id },
            (Some(Literal::Urn(url)), _) => Alias::Url(url),
            (None, Some(alias)) => alias,
            (None, None) => continue,
        };
        let name = alias.key(filing.keys());
        if name == place {
            continue;
        }
        let number = match alias {
            Alias::Number(number) => Some(number),
            _ => match filing.known(&name)? {
                Some(known) if known.owner != AMBIGUOUS => {
                    filing.patient(&known.owner)?.map(|patient| patient.demographics.nhs_number)
                }
                // A PDS Patient's id is its number.
                _ => match alias {
                    Alias::Record { id, .. } => id.parse().ok(),
                    _ => None,
                },
            },
        };
        let link = Link { by: place, number, name: number.is_none().then_some(name) };
        if found.len() < LINKS && !found.contains(&link) {
            found.push(link);
        }
    }
    Ok(found)
}

/// Makes what a Patient says count for the rows of others, and what others said before count for it. `names` are what the Patient goes by.
pub(super) fn connect(
    filing: &mut Filing,
    patient: &mut OpenPatient,
    place: &[u8; 16],
    names: &[[u8; 16]],
) -> Result<(), Failure> {
    if filing.has_links() {
        for name in names {
            for key in linkers(filing.rows(), name)? {
                learn_number(filing, &key, name, patient)?;
            }
        }
    }
    let others = neighbours(filing, patient)?;
    if patient.marks.number_changed || others.iter().any(|other| other.marks.number_changed) {
        part(filing, patient, others)?;
    } else {
        share_restrictions(filing, patient, place, others)?;
    }
    for link in patient.marks.links.clone() {
        let rows: Vec<[u8; 16]> = link.names(filing.keys()).collect();
        for row in rows {
            add_linker(filing, &row, patient.key)?;
        }
    }
    patient.note_marks();
    Ok(())
}

/// Whoever waits to learn the number of a Patient by this name learns it.
fn learn_number(
    filing: &mut Filing,
    waiting: &PatientKey,
    name: &[u8; 16],
    patient: &OpenPatient,
) -> Result<(), StoreError> {
    let Some(held) = filing.patient(waiting)?.filter(|held| held.key != patient.key) else { return Ok(()) };
    let mut changed = held.as_ref().clone();
    let number = patient.demographics.nhs_number;
    let waits = changed.marks.links.iter_mut().filter(|link| link.name.as_ref() == Some(name));
    let mut learnt = false;
    for link in waits {
        (link.number, link.name) = (Some(number), None);
        learnt = true;
    }
    if learnt {
        let row = filing.keys().blind_number(&number);
        add_linker(filing, &row, *waiting)?;
        changed.note_marks();
        filing.put_patient(changed)?;
    }
    Ok(())
}

fn add_linker(filing: &mut Filing, row: &[u8; 16], key: PatientKey) -> Result<(), StoreError> {
    let mut keys = keys_in(filing.rows(), Family::Links, row)?;
    if !keys.contains(&key) {
        keys.push(key);
        let sealed = seal_keys(filing.rows().database(), Family::Links, row, &keys)?;
        filing.writer.put(Family::Links, row, sealed)?;
        filing.note_links();
    }
    Ok(())
}

/// Everybody whose number the patient links to, everybody who links to the patient's, and every other row under the same number.
fn neighbours(filing: &mut Filing, patient: &OpenPatient) -> Result<Vec<OpenPatient>, StoreError> {
    let number = patient.demographics.nhs_number;
    let own = filing.keys().blind_number(&number);
    let mut keys = under_number_in(filing.rows(), &own)?;
    if filing.has_links() {
        keys.extend(linkers(filing.rows(), &own)?);
    }
    for number in patient.marks.links.iter().filter_map(|link| link.number) {
        let row = filing.keys().blind_number(&number);
        keys.extend(under_number_in(filing.rows(), &row)?);
    }
    keys.retain(|key| *key != patient.key);
    keys.sort_unstable();
    keys.dedup();
    let mut found = Vec::new();
    for key in keys {
        let Some(held) = filing.patient(&key)? else { continue };
        let theirs = held.demographics.nhs_number;
        let says = |patient: &OpenPatient, other| patient.marks.links.iter().any(|link| link.number == Some(other));
        if theirs == number || says(patient, theirs) || says(&held, number) {
            found.push(held.as_ref().clone());
        }
    }
    Ok(found)
}

/// A marker on either side: the numbers stay two people, and nothing on either side tells of the other.
fn part(filing: &mut Filing, patient: &mut OpenPatient, others: Vec<OpenPatient>) -> Result<(), Failure> {
    let within = |patient: &mut OpenPatient| {
        // That two entries under one number are one person's stays true.
        let own = patient.demographics.nhs_number;
        patient.marks.links.retain(|link| link.number == Some(own));
    };
    patient.marks.number_changed = true;
    within(patient);
    for mut other in others {
        within(&mut other);
        if !std::mem::replace(&mut other.marks.number_changed, true) {
            conceal_what_is_here(filing, &mut other)?;
        }
        other.note_marks();
        filing.put_patient(other)?;
    }
    Ok(())
}

/// What restricts the whereabouts of one row of a person restricts those of every row.
fn share_restrictions(
    filing: &mut Filing,
    patient: &mut OpenPatient,
    place: &[u8; 16],
    others: Vec<OpenPatient>,
) -> Result<(), Failure> {
    let restricts = patient.marks.restrictions.contains(place);
    for other in &others {
        let theirs = other.marks.restrictions.iter().filter(|by| *by != place);
        extend(&mut patient.marks.restrictions, theirs);
        // What this Patient says is the newest.
        let mine = std::mem::replace(&mut patient.marks.whereabouts, other.marks.whereabouts.clone());
        remember(&mut patient.marks.whereabouts, mine);
    }
    patient.demographics.restricted = !patient.marks.restrictions.is_empty();
    for mut other in others {
        let before = other.clone();
        if !restricts {
            other.marks.restrictions.retain(|by| by != place);
        }
        extend(&mut other.marks.restrictions, &patient.marks.restrictions);
        remember(&mut other.marks.whereabouts, patient.marks.whereabouts.iter().cloned());
        if other.marks == before.marks {
            continue;
        }
        other.demographics.restricted = !other.marks.restrictions.is_empty();
        restrip(filing, &before, &other)?;
        filing.put_patient(other)?;
    }
    Ok(())
}

fn extend<'a, T: Clone + PartialEq + 'a>(list: &mut Vec<T>, more: impl IntoIterator<Item = &'a T>) {
    for item in more {
        if list.len() < SHARED && !list.contains(item) {
            list.push(item.clone());
        }
    }
}

/// Links of one Patient resource: each number asked about may have been written in both directions.
const LINKS: usize = 2 * OTHER_NUMBERS_MAX;
/// Restrictions that rows of one person share: far more Patients than anybody has.
const SHARED: usize = 256;
