//! Files a Patient: finds or makes the person it is about, notes every name they go by, and keeps their row up to date.

use careweave_protocol::id::NhsNumber;
use careweave_protocol::record::Form;
use careweave_protocol::record::code::NHS_NUMBER;
use careweave_protocol::time::{Date, PartialDate};
use serde_json::Value;

use super::filing::{Filing, Item, form_hash};
use super::reason::{Failure, Outcome, Reason};
use super::scope::Scope;
use super::subject::first_organisation;
use crate::store::classify::{Class, restricts_address};
use crate::store::database::{Family, StoreError};
use crate::store::element::{codings, identifiers, items, text};
use crate::store::extract;
use crate::store::forms::{self, unpack};
use crate::store::patients::{OpenPatient, PatientKey, Practice, Rows as _, fresh, seal_numbers, under_number_in};
use crate::store::records::{body, form_key, headers};
use crate::store::references::{AMBIGUOUS, Alias, Known, Literal, Pointer};
use crate::store::strip::Whereabouts;
use crate::view::matching::Demographics;

/// Code system of a `meta.tag` on a Patient: `invalidated` when the NHS number was invalidated, after which nothing is
/// released under it.
pub(super) const NUMBER_STATUS: &str = "https://careweave.example/fhir/CodeSystem/nhs-number-status";

/// Family names remembered for one person: more are not names but a feed gone wrong.
const FAMILIES: usize = 16;
/// Texts that give an address away, remembered for one person.
const WHEREABOUTS: usize = 64;

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
    let demographics = demographics(filing, resource, number)?;
    let patient = match there {
        Some(patient) => patient.as_ref().clone(),
        None => find_or_make(filing, &demographics)?,
    };

    let patient = updated(filing, &patient, demographics, resource, place, scope)?;
    if patient.demographics.restricted && !was_restricted(filing, &patient.key)? {
        strip_what_is_here(filing, &patient)?;
    }
    let item = Item {
        raw,
        resource,
        kind: "Patient",
        owner: patient.key,
        data_key: &patient.data_key,
        patient: Some(&patient),
    };
    let outcome = filing.store(&item, scope)?;
    let key = patient.key;
    if outcome != Outcome::Unchanged {
        filing.put_patient(patient)?;
    }
    let mut names: Vec<Alias<'_>> = identifiers(resource)
        .map(|(system, value)| Alias::of_identifier(system, value))
        .filter(|alias| matches!(alias, Alias::Identifier { .. }))
        .collect();
    names.extend(scope.full_url.map(Alias::Url));
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

/// The patient a document carries inside, made known where they are not; `None` where the Patient inside does not say who it is.
pub(super) fn introduce(filing: &mut Filing, resource: &Value) -> Result<Option<PatientKey>, Failure> {
    let Ok(Some(number)) = number_of(resource) else { return Ok(None) };
    let Ok(demographics) = demographics(filing, resource, number) else { return Ok(None) };
    let mut patient = find_or_make(filing, &demographics)?;
    let key = patient.key;
    if patient.marks.whereabouts.is_empty() {
        patient.marks.whereabouts = whereabouts(resource);
        patient.marks.whereabouts.truncate(WHEREABOUTS);
        filing.put_patient(patient)?;
    }
    filing.arrives(filing.keys().blind_number(&number));
    Ok(Some(key))
}

/// The person under the number with the same birth date; a new one where there is none. The same number with another birth date is
/// another person until somebody has looked.
fn find_or_make(filing: &mut Filing, demographics: &Demographics) -> Result<OpenPatient, StoreError> {
    let number = filing.keys().blind_number(&demographics.nhs_number);
    let mut keys = under_number_in(filing.rows(), &number)?;
    for key in &keys {
        if let Some(held) = filing.patient(key)?.filter(|p| p.demographics.birth_date == demographics.birth_date) {
            return Ok(held.as_ref().clone());
        }
    }
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
    place: [u8; 16],
    scope: &Scope<'_>,
) -> Result<OpenPatient, StoreError> {
    let mut patient = held.clone();
    let mut families = new.families.clone();
    families.extend(held.demographics.families.iter().filter(|f| !new.families.contains(f)).cloned());
    families.truncate(FAMILIES);
    patient.demographics = Demographics { families, ..new };
    // A death that another copy records is not undone by one that says nothing.
    if resource.get("deceasedBoolean").is_none() && patient.demographics.deceased.is_none() {
        patient.demographics.deceased.clone_from(&held.demographics.deceased);
    }
    patient.marks.restrictions.retain(|by| *by != place);
    if restricts_address(resource) {
        patient.marks.restrictions.push(place);
    }
    patient.demographics.restricted = !patient.marks.restrictions.is_empty();
    for text in whereabouts(resource) {
        if patient.marks.whereabouts.len() < WHEREABOUTS && !patient.marks.whereabouts.contains(&text) {
            patient.marks.whereabouts.push(text);
        }
    }
    let practice = first_organisation(filing, resource, "generalPractitioner", scope, |_| true)?;
    patient.practice = practice.map(|ods| match &held.practice {
        Some(same) if same.ods == ods => same.clone(),
        _ => Practice { ods, since: filing.now },
    });
    Ok(patient)
}

/// Whether the row on disk or about to be written restricts the address already.
fn was_restricted(filing: &mut Filing, key: &PatientKey) -> Result<bool, StoreError> {
    Ok(filing.patient(key)?.is_some_and(|held| held.demographics.restricted))
}

/// Makes the stripped forms of everything that is here: before the patient's row says that they are needed, so that a crash
/// in between repeats the work and never serves a record unstripped.
fn strip_what_is_here(filing: &mut Filing, patient: &OpenPatient) -> Result<(), Failure> {
    filing.writer.commit()?;
    let database = filing.rows().database().clone();
    let known = Whereabouts::new(patient.marks.whereabouts.iter().map(String::as_str));
    for mut indexed in headers(&database, patient)? {
        if indexed.header.form(Form::FullStripped).is_some() {
            continue;
        }
        let Some(full) = body(&database, &patient.key, &patient.data_key, &indexed.place, Form::Full)? else {
            continue;
        };
        let resource: Value = serde_json::from_slice(&unpack(&full)?).map_err(std::io::Error::from)?;
        let class = Class { category: indexed.header.category, labels: indexed.header.labels };
        for (form, packed) in forms::stripped(&mut filing.packer, &resource, &class, &known)? {
            let key = form_key(&patient.key, &indexed.place, form);
            let sealed = patient.data_key.seal(Family::Forms, &key, &packed).map_err(StoreError::from)?;
            filing.writer.put(Family::Forms, &key, sealed)?;
            indexed.header.forms.push(form_hash(&class, form, &packed));
        }
        filing.put_header(&patient.key, &patient.data_key, &indexed.place, &indexed.header)?;
        filing.writer.settle()?;
    }
    Ok(())
}

/// Every name leads to the person; one that led to somebody else leads to nobody from now on.
fn note_names(filing: &mut Filing, owner: PatientKey, names: &[Alias<'_>]) -> Result<(), StoreError> {
    for name in names {
        let key = name.key(filing.keys());
        match filing.known(&key)? {
            Some(known) if known.owner == owner || known.owner == AMBIGUOUS => {}
            Some(_) => filing.put_known(key, Known::name_of(AMBIGUOUS))?,
            None => filing.put_known(key, Known::name_of(owner))?,
        }
    }
    Ok(())
}

/// The NHS number: an identifier of its system that is not marked as old.
fn number_of(resource: &Value) -> Result<Option<NhsNumber>, Failure> {
    let stated = items(resource, "identifier")
        .filter(|i| text(i, "system") == Some(NHS_NUMBER) && text(i, "use") != Some("old"))
        .find_map(|i| text(i, "value"));
    match stated {
        Some(value) => Ok(Some(value.parse().map_err(Reason::BadNhsNumber)?)),
        None => Ok(None),
    }
}

fn demographics(filing: &mut Filing, resource: &Value, nhs_number: NhsNumber) -> Result<Demographics, Failure> {
    let written = text(resource, "birthDate").ok_or(Reason::NoBirthDate)?;
    if PartialDate::parse(written).is_none() {
        return Err(Reason::BadBirthDate.into());
    }
    // The name in use first, then every other one.
    let mut names: Vec<&Value> = items(resource, "name").collect();
    names.sort_by_key(|name| match text(name, "use") {
        Some("official") => 0,
        Some("usual") => 1,
        Some("old" | "maiden") => 3,
        _ => 2,
    });
    let mut families: Vec<String> = Vec::new();
    for family in names.iter().filter_map(|name| text(name, "family")) {
        if families.len() < FAMILIES && !families.iter().any(|known| known == family) {
            families.push(family.to_owned());
        }
    }
    if families.is_empty() {
        return Err(Reason::NoFamilyName.into());
    }
    let given = names.first().into_iter().flat_map(|name| items(name, "given"));
    let address = current_address(resource);
    Ok(Demographics {
        nhs_number,
        birth_date: Date::from_iso(written),
        families,
        given: given.filter_map(Value::as_str).map(str::to_owned).collect(),
        gender: text(resource, "gender").map(str::to_owned),
        address_line: address.and_then(one_line),
        postcode: address.and_then(|a| text(a, "postalCode")).map(str::to_owned),
        restricted: restricts_address(resource),
        deceased: match resource.get("deceasedBoolean").and_then(Value::as_bool) {
            Some(true) => Some(String::new()),
            _ => text(resource, "deceasedDateTime").map(str::to_owned),
        },
        superseded_by: superseded_by(filing, resource)?,
        invalidated: resource.get("meta").is_some_and(|meta| {
            codings(meta, "tag").any(|(system, code, _)| system == NUMBER_STATUS && code == "invalidated")
        }),
    })
}

fn current_address(resource: &Value) -> Option<&Value> {
    let all = || items(resource, "address").filter(|a| text(a, "use") != Some("old"));
    all().find(|a| text(a, "use") == Some("home")).or_else(|| all().next())
}

fn one_line(address: &Value) -> Option<String> {
    if let Some(line) = text(address, "text") {
        return Some(line.to_owned());
    }
    let parts: Vec<&str> = items(address, "line")
        .filter_map(Value::as_str)
        .chain(text(address, "city"))
        .filter(|p| !p.is_empty())
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// `Patient.link` of type `replaced-by`: its NHS number, or that of the Patient it leads to (a PDS Patient's id is its number).
fn superseded_by(filing: &mut Filing, resource: &Value) -> Result<Option<NhsNumber>, StoreError> {
    let Some(other) =
        items(resource, "link").find(|l| text(l, "type") == Some("replaced-by")).and_then(|l| l.get("other"))
    else {
        return Ok(None);
    };
    let pointer = Pointer::read(other, resource);
    if let Some(number) = pointer.number() {
        return Ok(Some(number));
    }
    let (Some(Literal::Relative(_, id)) | Some(Literal::Absolute(_, _, id))) = pointer.literal else { return Ok(None) };
    let key = Alias::Record { kind: "Patient", id }.key(filing.keys());
    if let Some(known) = filing.known(&key)?
        && let Some(patient) = filing.patient(&known.owner)?
    {
        return Ok(Some(patient.demographics.nhs_number));
    }
    Ok(id.parse().ok())
}

/// Every text of a Patient that says where they are.
fn whereabouts(resource: &Value) -> Vec<String> {
    let addresses = items(resource, "address").flat_map(|a| {
        let lines = items(a, "line").filter_map(Value::as_str);
        lines.chain(["text", "postalCode"].into_iter().filter_map(|name| text(a, name)))
    });
    let telecom = items(resource, "telecom").filter_map(|t| text(t, "value"));
    addresses.chain(telecom).map(str::to_owned).collect()
}
