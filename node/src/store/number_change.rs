//! What is left of a Patient whose NHS number is of a new identity: nothing by which the old one could be found.
//!
//! After an adoption or a gender recognition a person has a new number and a record that begins anew. That there was another number,
//! another name, or a change at all must not be told (Gender Recognition Act 2004 s.22; Adoption and Children Act 2002 s.57). So the stored
//! forms of a marked Patient are made from a list of what may stand in them, and the original is not kept; see
//! `docs/decisions/0005-number-change-markers.md`.

use careweave_protocol::id::NhsNumber;
use careweave_protocol::record::code::NHS_NUMBER;
use serde_json::{Map, Value, json};

use super::element::{codings, each, text};
use super::patients::NUMBER_CHANGE;

/// Whether the Patient carries a marker.
pub(super) fn is_marked(patient: &Value) -> bool {
    let Some(meta) = patient.get("meta") else { return false };
    ["tag", "security"]
        .into_iter()
        .flat_map(|name| codings(meta, name))
        .any(|(system, code, _)| system == NUMBER_CHANGE && MARKERS.contains(&code))
}

/// Takes the traces out of every Patient in a resource: the resource itself, what it contains, and the entries of a bundle.
pub(crate) fn conceal(resource: &mut Value, number: NhsNumber) {
    conceal_in(resource, number, DEEP);
}

fn conceal_in(resource: &mut Value, number: NhsNumber, depth: usize) {
    // What lies deeper than any document is not shown, and is not released either.
    let Some(deeper) = depth.checked_sub(1) else {
        *resource = Value::Null;
        return;
    };
    if text(resource, "resourceType") == Some("Patient") {
        *resource = without_trace(resource, number);
    }
    if let Some(Value::Array(contained)) = resource.get_mut("contained") {
        contained.iter_mut().for_each(|inner| conceal_in(inner, number, deeper));
    }
    if let Some(Value::Array(entries)) = resource.get_mut("entry") {
        let inner = entries.iter_mut().filter_map(|entry| entry.get_mut("resource"));
        inner.for_each(|inner| conceal_in(inner, number, deeper));
    }
}

/// The Patient under this number, without its links, identifiers of another number, previous names and addresses, extensions, narrative,
/// and the marker itself.
pub(super) fn without_trace(patient: &Value, number: NhsNumber) -> Value {
    let mut out = Map::new();
    for (name, value) in patient.as_object().into_iter().flatten() {
        let kept = match name.as_str() {
            "meta" => Some(unmarked(value)),
            "identifier" => Some(Value::Array(each(Some(value)).filter(|i| is_number(i, number)).cloned().collect())),
            "name" | "address" | "telecom" => {
                Some(Value::Array(each(Some(value)).filter(|item| is_current(item)).cloned().collect()))
            }
            name if KEPT.contains(&name) => Some(value.clone()),
            _ => None,
        };
        if let Some(mut kept) = kept {
            without_extensions(&mut kept);
            out.insert(name.clone(), kept);
        }
    }
    Value::Object(out)
}

/// Whether the Patient tells of another number or a previous name.
pub(super) fn has_traces(patient: &Value, number: NhsNumber) -> bool {
    let other = |i: &Value| text(i, "system") == Some(NHS_NUMBER) && !is_number(i, number);
    patient.get("link").is_some()
        || each(patient.get("identifier")).any(other)
        || each(patient.get("name")).any(|name| !is_current(name))
}

/// Whether a name, an address or a telephone number is not a former one.
pub(super) fn is_current(item: &Value) -> bool {
    !matches!(text(item, "use"), Some("old" | "maiden")) && item.get("period").is_none_or(|p| p.get("end").is_none())
}

fn is_number(identifier: &Value, number: NhsNumber) -> bool {
    text(identifier, "system") == Some(NHS_NUMBER)
        && text(identifier, "use") != Some("old")
        && text(identifier, "value").and_then(|value| value.parse().ok()) == Some(number)
}

/// `meta` without the marker, tagged as a part of the original.
fn unmarked(meta: &Value) -> Value {
    let mut out = Map::new();
    for name in ["versionId", "lastUpdated"] {
        if let Some(value) = meta.get(name) {
            out.insert(name.to_owned(), value.clone());
        }
    }
    let others =
        |name: &str| each(meta.get(name)).filter(|c| text(c, "system") != Some(NUMBER_CHANGE)).cloned().collect();
    let (mut tags, security): (Vec<Value>, Vec<Value>) = (others("tag"), others("security"));
    tags.push(json!({"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}));
    out.insert("tag".to_owned(), Value::Array(tags));
    if !security.is_empty() {
        out.insert("security".to_owned(), Value::Array(security));
    }
    Value::Object(out)
}

fn without_extensions(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(without_extensions),
        Value::Object(fields) => {
            fields.retain(|name, _| {
                !name.starts_with('_') && !matches!(name.as_str(), "extension" | "modifierExtension")
            });
            fields.values_mut().for_each(without_extensions);
        }
        _ => {}
    }
}

/// Bundles in bundles: documents have one level; a bound on recursion.
const DEEP: usize = 8;
/// Codes of the marker.
const MARKERS: [&str; 2] = ["adoption", "gender-recognition"];
/// Elements that say who the person is now. `contact` is not among them: it may name a parent of birth.
const KEPT: [&str; 13] = [
    "resourceType",
    "id",
    "active",
    "gender",
    "birthDate",
    "deceasedBoolean",
    "deceasedDateTime",
    "maritalStatus",
    "multipleBirthBoolean",
    "multipleBirthInteger",
    "communication",
    "generalPractitioner",
    "managingOrganization",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_patient_in_a_resource_loses_its_traces_and_nothing_else_changes() {
        let number: NhsNumber = "9990010013".parse().unwrap();
        let patient = json!({"resourceType": "Patient", "id": "n", "birthDate": "1938-03-14",
            "identifier": [{"system": NHS_NUMBER, "value": "9990010013"}, {"system": NHS_NUMBER, "value": "9990380422", "use": "old"}],
            "name": [{"family": "Okafor"}, {"use": "old", "family": "Formerly"}],
            "link": [{"type": "replaces", "other": {"identifier": {"system": NHS_NUMBER, "value": "9990380422"}}}]});
        let code = json!({"text": "Asthma"});
        for mut resource in [
            patient.clone(),
            json!({"resourceType": "Condition", "code": code, "contained": [patient]}),
            json!({"resourceType": "Bundle", "code": code, "entry": [{"fullUrl": "urn:1"}, {"resource": patient}]}),
        ] {
            conceal(&mut resource, number);
            let printed = resource.to_string();
            assert!(printed.contains("9990010013") && printed.contains("Okafor"), "{printed}");
            assert!(!printed.contains("9990380422") && !printed.contains("Formerly"), "{printed}");
            assert!(printed.contains("Asthma") || resource["resourceType"] == "Patient", "{printed}");
        }
        let mut plain = json!({"resourceType": "Condition", "code": code, "link": 1});
        let before = plain.clone();
        conceal(&mut plain, number);
        assert_eq!(plain, before);
    }
}
