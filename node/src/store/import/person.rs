//! Files a Patient: finds or makes the person it is about, notes every name they go by, and keeps their row up to date.

use std::collections::BTreeSet;

use careweave_protocol::record::{Category, Form};
use serde_json::Value;

use super::demographics::{FAMILIES, current_families, number_of, read, whereabouts};
use super::filing::{Filing, Item, form_hash};
use super::links::{connect, links};
use super::reason::{Failure, Outcome, Reason};
use super::scope::Scope;
use super::subject::first_organisation;
use crate::store::classify::{Class, restricts_address};
use crate::store::database::{Family, StoreError};
use crate::store::element::identifiers;
use crate::store::extract;
use crate::store::forms::{self, unpack};
use crate::store::number_change::{has_traces, is_marked, without_trace};
use crate::store::patients::{OpenPatient, PatientKey, Practice, Rows as _, fresh, seal_numbers, under_number_in};
use crate::store::records::{Indexed, body, form_key, headers, headers_in};
use crate::store::references::{AMBIGUOUS, Alias, Known, base_of};
use crate::store::registration::{REGISTRATIONS, Registration};
use crate::store::strip::Whereabouts;
use crate::view::matching::Demographics;

/// Texts that give an address away, remembered for one person under all their numbers: sixty or so addresses, each with a telephone
/// number. Past them the oldest go.
const WHEREABOUTS: usize = 256;

/// Files a Patient resource.
pub(super) fn file(
    filing: &mut Filing,
    raw: &str,
    resource: &Value,
    scope: &Scope<'_>,
) -> Result<(Outcome, PatientKey), Failure> {
    let id = extract::identity(resource, raw, scope.full_url);
    let place = Alias::Record { kind: "Patient", id: &id }.key(filing.keys());
    let number = number_of(resource)?;
    let there = match filing.known(&place)? {
        Some(known) => filing.patient(&known.owner)?,
        None => None,
    };
    let known_number = there.as_ref().map(|p| p.demographics.nhs_number);
    let number = match (number, known_number) {
        (Some(stated), Some(held)) if stated != held => return Err(Reason::OtherNumber.into()),
        (Some(number), _) | (None, Some(number)) => number,
        (None, None) => return Err(Reason::NoNhsNumber.into()),
    };
    let mut demographics = read(resource, number)?;
    if is_marked(resource) {
        without_previous_names(&mut demographics, resource)?;
    }
    let server = scope.full_url.and_then(base_of).map(|base| filing.base_key(base));
    let registration = Registration::of(resource, place, server, filing.keys());
    let held = match there {
        Some(patient) => patient.as_ref().clone(),
        None => find_or_make(filing, &demographics, &registration)?,
    };
    let mut names: Vec<Alias<'_>> = identifiers(resource)
        .map(|(system, value)| Alias::of_identifier(system, value))
        .filter(|alias| matches!(alias, Alias::Identifier { .. }))
        .collect();
    names.extend(scope.full_url.map(Alias::Url));

    let key = held.key;
    let outcome = if filing.arrival(raw, resource, &place, key)?.is_some() {
        let mut patient = updated(filing, &held, demographics, resource, registration, scope)?;
        let goes_by: Vec<_> = names.iter().map(|name| name.key(filing.keys())).chain([place]).collect();
        connect(filing, &mut patient, &place, &goes_by)?;
        take(filing, &held, patient, raw, resource, scope)?
    } else {
        Outcome::Unchanged
    };
    note_names(filing, key, &names)?;
    if filing.awaits() {
        names.push(Alias::Number(number));
        names.push(Alias::Record { kind: "Patient", id: &id });
        for name in names {
            filing.arrives(name.key(filing.keys()));
        }
    }
    Ok((outcome, key))
}

/// Writes the Patient resource and the person's row; what is here already gets the forms that are needed from now on.
fn take(
    filing: &mut Filing,
    held: &OpenPatient,
    mut patient: OpenPatient,
    raw: &str,
    resource: &Value,
    scope: &Scope<'_>,
) -> Result<Outcome, Failure> {
    if patient.marks.number_changed && !held.marks.number_changed {
        let current = current_families(resource);
        if !current.is_empty() {
            patient.demographics.families = current;
        }
        if !held.marks.registrations.is_empty() {
            conceal_what_is_here(filing, &mut patient.clone())?;
        }
    }
    restrip(filing, held, &patient)?;
    let untraced = patient.marks.number_changed.then(|| without_trace(resource, patient.demographics.nhs_number));
    let item = Item {
        raw,
        resource,
        kind: "Patient",
        owner: patient.key,
        data_key: &patient.data_key,
        patient: Some(&patient),
        instead: untraced.as_ref(),
    };
    let outcome = filing.store(&item, scope)?;
    filing.put_patient(patient)?;
    Ok(outcome)
}

/// The patient a document carries inside, made known where they are not; `None` where the Patient inside does not say who it is.
pub(super) fn introduce(filing: &mut Filing, resource: &Value) -> Result<Option<PatientKey>, Failure> {
    let Ok(Some(number)) = number_of(resource) else { return Ok(None) };
    let Ok(demographics) = read(resource, number) else { return Ok(None) };
    let registration = Registration::of(resource, [0; 16], None, filing.keys());
    let same = of_birth_date(filing, &demographics)?;
    let (open, copies): (Vec<_>, Vec<_>) = same.iter().partition(|p| !p.demographics.is_copy());
    let mut patient = match (same.iter().find(|p| has_identifier(p, &registration)), open.as_slice(), copies.as_slice())
    {
        (Some(known), _, _) => known.clone(),
        (None, [one], _) | (None, [], [one, ..]) => OpenPatient::clone(one),
        (None, [], []) => make(filing, &demographics)?,
        (None, _, _) => return Err(Reason::AmbiguousSubject.into()),
    };
    let marked = is_marked(resource);
    if (marked || patient.marks.number_changed) && has_traces(resource, number) {
        return Err(Reason::TracesInDocument.into());
    }
    let key = patient.key;
    if patient.marks.whereabouts.is_empty() || (marked && !patient.marks.number_changed) {
        if marked && !std::mem::replace(&mut patient.marks.number_changed, true) {
            patient.note_marks();
            conceal_what_is_here(filing, &mut patient)?;
        }
        let held = patient.clone();
        patient.marks.whereabouts.clear();
        remember(&mut patient.marks.whereabouts, whereabouts(resource));
        restrip(filing, &held, &patient)?;
        filing.put_patient(patient)?;
    }
    filing.arrives(filing.keys().blind_number(&number));
    Ok(Some(key))
}

/// The person under the number with the same birth date; a new one where there is none. The same number with another birth date is
/// another person until somebody has looked, and so is a second entry in one register.
fn find_or_make(
    filing: &mut Filing,
    demographics: &Demographics,
    registration: &Registration,
) -> Result<OpenPatient, StoreError> {
    let mut same = of_birth_date(filing, demographics)?;
    let known = same.iter().position(|held| has_identifier(held, registration));
    let another = |held: &OpenPatient| held.marks.registrations.iter().any(|r| registration.is_another_than(r));
    match known.or_else(|| same.iter().position(|held| !another(held))) {
        Some(index) => Ok(same.swap_remove(index)),
        None => make(filing, demographics),
    }
}

fn has_identifier(held: &OpenPatient, registration: &Registration) -> bool {
    held.marks.registrations.iter().any(|r| registration.shares_identifier(r))
}

fn of_birth_date(filing: &mut Filing, demographics: &Demographics) -> Result<Vec<OpenPatient>, StoreError> {
    let number = filing.keys().blind_number(&demographics.nhs_number);
    let mut found = Vec::new();
    for key in under_number_in(filing.rows(), &number)? {
        let held = filing.patient(&key)?.filter(|p| p.demographics.birth_date == demographics.birth_date);
        found.extend(held.map(|held| held.as_ref().clone()));
    }
    Ok(found)
}

fn make(filing: &mut Filing, demographics: &Demographics) -> Result<OpenPatient, StoreError> {
    let number = filing.keys().blind_number(&demographics.nhs_number);
    let mut keys = under_number_in(filing.rows(), &number)?;
    let (patient, wrapped) = fresh(filing.rows().database(), demographics.clone())?;
    keys.push(patient.key);
    let numbers = seal_numbers(filing.rows().database(), &number, &keys)?;
    filing.writer.put(Family::Keys, patient.key.as_bytes(), wrapped)?;
    filing.writer.put(Family::Numbers, &number, numbers)?;
    filing.put_patient(patient.clone())?;
    Ok(patient)
}

/// The person's row after this Patient.
fn updated(
    filing: &mut Filing,
    held: &OpenPatient,
    new: Demographics,
    resource: &Value,
    registration: Registration,
    scope: &Scope<'_>,
) -> Result<OpenPatient, Failure> {
    let mut patient = held.clone();
    let place = registration.place;
    patient.demographics = new;
    patient.marks.number_changed |= is_marked(resource);
    if patient.marks.number_changed {
        without_previous_names(&mut patient.demographics, resource)?;
    } else {
        let families = &mut patient.demographics.families;
        let earlier: Vec<_> = held.demographics.families.iter().filter(|f| !families.contains(f)).cloned().collect();
        families.extend(earlier);
        families.truncate(FAMILIES);
    }
    // A death that another copy records is not undone by one that says nothing.
    if resource.get("deceasedBoolean").is_none() && patient.demographics.deceased.is_none() {
        patient.demographics.deceased.clone_from(&held.demographics.deceased);
    }
    patient.marks.restrictions.retain(|by| *by != place);
    if restricts_address(resource) {
        patient.marks.restrictions.push(place);
    }
    patient.demographics.restricted = !patient.marks.restrictions.is_empty();
    remember(&mut patient.marks.whereabouts, whereabouts(resource));
    patient.marks.registrations.retain(|there| there.place != place);
    if patient.marks.registrations.len() >= REGISTRATIONS {
        patient.marks.registrations.remove(0);
    }
    patient.marks.registrations.push(registration);
    patient.marks.links.retain(|link| link.by != place);
    patient.marks.links.extend(links(filing, resource, place)?);
    patient.note_marks();
    let practice = first_organisation(filing, resource, "generalPractitioner", scope, |_| true)?;
    patient.practice = practice.map(|ods| match &held.practice {
        Some(same) if same.ods == ods => same.clone(),
        _ => Practice { ods, since: filing.now },
    });
    Ok(patient)
}

/// A previous name belongs to the previous number.
fn without_previous_names(demographics: &mut Demographics, resource: &Value) -> Result<(), Reason> {
    demographics.families = current_families(resource);
    if demographics.families.is_empty() { Err(Reason::NoFamilyName) } else { Ok(()) }
}

/// Makes the forms of the Patients that are here anew, of what may stand in them after a number change, and forgets previous names; before
/// the person's row says so.
pub(super) fn conceal_what_is_here(filing: &mut Filing, patient: &mut OpenPatient) -> Result<(), Failure> {
    filing.writer.commit()?;
    let mut current: Vec<String> = Vec::new();
    let database = filing.rows().database().clone();
    let known = Whereabouts::new(patient.marks.whereabouts.iter().map(String::as_str));
    for mut indexed in headers_in(&database, patient, Category::Demographics)? {
        if indexed.header.resource_type != "Patient" {
            continue;
        }
        let Some(resource) = original(filing, patient, &indexed)? else { continue };
        let left = without_trace(&resource, patient.demographics.nhs_number);
        let more = current_families(&left);
        current.extend(more.into_iter().filter(|family| !current.contains(family)).collect::<Vec<_>>());
        let class = Class { category: indexed.header.category, labels: indexed.header.labels };
        let mut made = forms::plain(&mut filing.packer, &left.to_string(), &left, &class)?;
        if patient.demographics.restricted {
            made.extend(forms::stripped(&mut filing.packer, &left, &class, &known)?);
        }
        indexed.header.forms.clear();
        write_forms(filing, patient, &mut indexed, &class, made)?;
    }
    if !current.is_empty() {
        current.truncate(FAMILIES);
        patient.demographics.families = current;
    }
    Ok(())
}

/// Keeps texts in mind, the newest last; what is said again is new again.
pub(super) fn remember(known: &mut Vec<String>, texts: impl IntoIterator<Item = String>) {
    for text in texts {
        known.retain(|there| *there != text);
        known.push(text);
    }
    known.drain(..known.len().saturating_sub(WHEREABOUTS));
}

/// Gives what is here the forms that a row needs from now on: stripped ones where the restriction is new or other texts than before give
/// the whereabouts away, none where it has ended.
pub(super) fn restrip(filing: &mut Filing, held: &OpenPatient, patient: &OpenPatient) -> Result<(), Failure> {
    let texts = |patient: &OpenPatient| patient.marks.whereabouts.iter().cloned().collect::<BTreeSet<String>>();
    match (held.demographics.restricted, patient.demographics.restricted) {
        (true, true) if texts(held) != texts(patient) => strip_what_is_here(filing, patient),
        (false, true) => strip_what_is_here(filing, patient),
        (true, false) => forget_stripped(filing, patient),
        _ => Ok(()),
    }
}

/// Makes the stripped forms of everything that is here, those that are there anew: before the patient's row says that they are needed, so
/// that a crash in between repeats the work and never serves a record unstripped.
fn strip_what_is_here(filing: &mut Filing, patient: &OpenPatient) -> Result<(), Failure> {
    filing.writer.commit()?;
    let database = filing.rows().database().clone();
    let known = Whereabouts::new(patient.marks.whereabouts.iter().map(String::as_str));
    for mut indexed in headers(&database, patient)? {
        let Some(resource) = original(filing, patient, &indexed)? else { continue };
        let class = Class { category: indexed.header.category, labels: indexed.header.labels };
        let made = forms::stripped(&mut filing.packer, &resource, &class, &known)?;
        indexed.header.forms.retain(|there| there.form.stripped() != there.form);
        write_forms(filing, patient, &mut indexed, &class, made)?;
    }
    Ok(())
}

/// Removes the stripped forms: they would be as old as the restriction that has ended if another began.
fn forget_stripped(filing: &mut Filing, patient: &OpenPatient) -> Result<(), Failure> {
    filing.writer.commit()?;
    let database = filing.rows().database().clone();
    for mut indexed in headers(&database, patient)? {
        for form in Form::ALL.into_iter().filter(|form| form.stripped() == *form) {
            filing.writer.delete(Family::Forms, &form_key(&patient.key, &indexed.place, form))?;
        }
        indexed.header.forms.retain(|there| there.form.stripped() != there.form);
        filing.put_header(&patient.key, &patient.data_key, &indexed.place, &indexed.header)?;
        filing.writer.settle()?;
    }
    Ok(())
}

/// The resource of which a record's forms were made.
fn original(filing: &Filing, patient: &OpenPatient, indexed: &Indexed) -> Result<Option<Value>, Failure> {
    let database = filing.rows().database();
    let full = body(database, &patient.key, &patient.data_key, &indexed.place, Form::Full)?;
    Ok(match full {
        Some(full) => Some(serde_json::from_slice(&unpack(&full)?).map_err(std::io::Error::from)?),
        None => None,
    })
}

/// Writes further forms of a record, and its header with them.
fn write_forms(
    filing: &mut Filing,
    patient: &OpenPatient,
    indexed: &mut Indexed,
    class: &Class,
    made: Vec<(Form, Vec<u8>)>,
) -> Result<(), Failure> {
    for (form, packed) in made {
        let key = form_key(&patient.key, &indexed.place, form);
        let sealed = patient.data_key.seal(Family::Forms, &key, &packed).map_err(StoreError::from)?;
        filing.writer.put(Family::Forms, &key, sealed)?;
        indexed.header.forms.push(form_hash(class, form, indexed.header.imported, &packed));
    }
    filing.put_header(&patient.key, &patient.data_key, &indexed.place, &indexed.header)?;
    Ok(filing.writer.settle()?)
}

/// Every name leads to the person; one that led to somebody else leads to nobody from now on, unless that is the same person under
/// another number.
fn note_names(filing: &mut Filing, owner: PatientKey, names: &[Alias<'_>]) -> Result<(), StoreError> {
    for name in names {
        let key = name.key(filing.keys());
        match filing.known(&key)? {
            Some(known) if known.owner == owner || known.owner == AMBIGUOUS => {}
            Some(known) if same_person(filing, &known.owner, &owner)? => {}
            Some(_) => filing.put_known(key, Known::name_of(AMBIGUOUS))?,
            None => filing.put_known(key, Known::name_of(owner))?,
        }
    }
    Ok(())
}

/// Whether the own records link the numbers of two rows.
fn same_person(filing: &mut Filing, one: &PatientKey, other: &PatientKey) -> Result<bool, StoreError> {
    let (Some(one), Some(other)) = (filing.patient(one)?, filing.patient(other)?) else { return Ok(false) };
    let (one, other) = (&one.demographics, &other.demographics);
    let changed = one.number_changed || other.number_changed;
    Ok(!changed && (one.other_numbers.contains(&other.nhs_number) || other.other_numbers.contains(&one.nhs_number)))
}
