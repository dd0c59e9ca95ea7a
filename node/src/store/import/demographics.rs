//! Who a Patient resource says the person is.

use careweave_protocol::id::NhsNumber;
use careweave_protocol::record::code::NHS_NUMBER;
use careweave_protocol::time::{Date, PartialDate};
use serde_json::Value;

use super::reason::Reason;
use crate::store::classify::restricts_address;
use crate::store::element::{codings, items, text};
use crate::store::number_change::is_current;
use crate::view::matching::Demographics;

/// Code system of a `meta.tag` on a Patient: `invalidated` when the NHS number was invalidated, after which nothing is
/// released under it.
pub(super) const NUMBER_STATUS: &str = "https://careweave.example/fhir/CodeSystem/nhs-number-status";

/// Family names remembered for one person: more are not names but a feed gone wrong.
pub(super) const FAMILIES: usize = 16;

/// The NHS number: an identifier of its system that is not marked as old.
pub(super) fn number_of(patient: &Value) -> Result<Option<NhsNumber>, Reason> {
    let stated = items(patient, "identifier")
        .filter(|i| text(i, "system") == Some(NHS_NUMBER) && text(i, "use") != Some("old"))
        .find_map(|i| text(i, "value"));
    match stated {
        Some(value) => Ok(Some(value.parse().map_err(Reason::BadNhsNumber)?)),
        None => Ok(None),
    }
}

/// What matching needs of a Patient under this number, with previous family names.
pub(super) fn read(patient: &Value, nhs_number: NhsNumber) -> Result<Demographics, Reason> {
    let written = text(patient, "birthDate").ok_or(Reason::NoBirthDate)?;
    if PartialDate::parse(written).is_none() {
        return Err(Reason::BadBirthDate);
    }
    // The name in use first, then every other one.
    let mut names: Vec<&Value> = items(patient, "name").collect();
    names.sort_by_key(|name| match text(name, "use") {
        Some("official") => 0,
        Some("usual") => 1,
        Some("old" | "maiden") => 3,
        _ => 2,
    });
    let families = families(names.iter().copied());
    if families.is_empty() {
        return Err(Reason::NoFamilyName);
    }
    let given = names.first().into_iter().flat_map(|name| items(name, "given"));
    let address = current_address(patient);
    Ok(Demographics {
        nhs_number,
        birth_date: Date::from_iso(written),
        families,
        given: given.filter_map(Value::as_str).map(str::to_owned).collect(),
        gender: text(patient, "gender").map(str::to_owned),
        address_line: address.and_then(one_line),
        postcode: address.and_then(|a| text(a, "postalCode")).map(str::to_owned),
        restricted: restricts_address(patient),
        deceased: match patient.get("deceasedBoolean").and_then(Value::as_bool) {
            Some(true) => Some(String::new()),
            _ => text(patient, "deceasedDateTime").map(str::to_owned),
        },
        other_numbers: Vec::new(),
        number_changed: false,
        closed: false,
        invalidated: patient.get("meta").is_some_and(|meta| {
            codings(meta, "tag").any(|(system, code, _)| system == NUMBER_STATUS && code == "invalidated")
        }),
    })
}

/// Family names without previous ones.
pub(super) fn current_families(patient: &Value) -> Vec<String> {
    families(items(patient, "name").filter(|name| is_current(name)))
}

/// Every text of a Patient that says where they are.
pub(in crate::store) fn whereabouts(patient: &Value) -> Vec<String> {
    let addresses = items(patient, "address").flat_map(|a| {
        let lines = items(a, "line").filter_map(Value::as_str);
        // A district of one word is not told apart from the language.
        let district = text(a, "district").filter(|district| district.contains(' '));
        lines.chain(["text", "postalCode"].into_iter().filter_map(|name| text(a, name))).chain(district)
    });
    let telecom = items(patient, "telecom").filter_map(|t| text(t, "value"));
    addresses.chain(telecom).map(str::to_owned).collect()
}

fn families<'a>(names: impl Iterator<Item = &'a Value>) -> Vec<String> {
    let mut families: Vec<String> = Vec::new();
    for family in names.filter_map(|name| text(name, "family")) {
        if families.len() < FAMILIES && !families.iter().any(|known| known == family) {
            families.push(family.to_owned());
        }
    }
    families
}

fn current_address(patient: &Value) -> Option<&Value> {
    let all = || items(patient, "address").filter(|a| text(a, "use") != Some("old"));
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
