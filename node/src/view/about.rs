//! Is a record about the person asked about? The asker checks every record that arrives before it is merged.

use careweave_protocol::query::Patient;
use careweave_protocol::record::code::NHS_NUMBER;
use serde_json::Value;

use super::row::element::{list, text};

/// Why a record is about somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// It names another NHS number.
    #[error("record names another NHS number")]
    NhsNumber,
    /// Its Patient has another birth date.
    #[error("record has another birth date")]
    BirthDate,
}

/// Checks a record (uncompressed FHIR JSON) against the person asked about: a Patient in it, alone, contained or in a document
/// bundle, must not have another NHS number or birth date, and a logical reference to its subject must not name another number.
/// What says nothing about the person, and what cannot be read, contradicts nothing: it becomes a row that says so.
///
/// # Errors
/// The record is about somebody else and must not be shown.
pub fn about_asked_patient(body: &[u8], asked: &Patient) -> Result<(), Contradiction> {
    match serde_json::from_slice::<Value>(body) {
        Ok(json) => json_about(&json, asked),
        Err(_) => Ok(()),
    }
}

/// As [`about_asked_patient`], of a body that is parsed already.
pub(super) fn json_about(json: &Value, asked: &Patient) -> Result<(), Contradiction> {
    resource(json, asked, DEEP)
}

fn resource(json: &Value, asked: &Patient, depth: usize) -> Result<(), Contradiction> {
    let Some(deeper) = depth.checked_sub(1) else { return Ok(()) };
    if text(json, "/resourceType").as_deref() == Some("Patient") {
        patient(json, asked)?;
    }
    for pointer in SUBJECTS {
        if let Some(subject) = json.pointer(pointer) {
            numbers(list(subject, "/identifier"), asked)?;
        }
    }
    for contained in list(json, "/contained") {
        resource(contained, asked, deeper)?;
    }
    for entry in list(json, "/entry") {
        if let Some(inner) = entry.get("resource") {
            resource(inner, asked, deeper)?;
        }
    }
    Ok(())
}

fn patient(json: &Value, asked: &Patient) -> Result<(), Contradiction> {
    numbers(list(json, "/identifier"), asked)?;
    let Some(born) = text(json, "/birthDate") else { return Ok(()) };
    // A birth date known only by its year or month agrees as far as it goes.
    if asked.birth_date.to_string().starts_with(&born) { Ok(()) } else { Err(Contradiction::BirthDate) }
}

/// One of the NHS numbers must be the one asked; old numbers may stand beside it.
fn numbers(identifiers: &[Value], asked: &Patient) -> Result<(), Contradiction> {
    let mut numbers = identifiers
        .iter()
        .filter(|i| text(i, "/system").as_deref() == Some(NHS_NUMBER))
        .filter_map(|i| text(i, "/value"))
        .peekable();
    if numbers.peek().is_none() || numbers.any(|number| number.parse() == Ok(asked.nhs_number)) {
        Ok(())
    } else {
        Err(Contradiction::NhsNumber)
    }
}

/// Where resources name the person they are about.
const SUBJECTS: [&str; 4] = ["/subject", "/patient", "/for", "/beneficiary"];
/// Bundles in bundles: documents have one level; a bound on recursion.
const DEEP: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use careweave_protocol::time::Date;
    use serde_json::json;

    fn check(body: &Value) -> Result<(), Contradiction> {
        let asked = Patient {
            nhs_number: "9990010013".parse().unwrap(),
            birth_date: Date::new(1938, 3, 14).unwrap(),
            family: "Okafor".to_owned(),
            postcode: None,
        };
        about_asked_patient(body.to_string().as_bytes(), &asked)
    }

    fn number(value: &str) -> Value {
        json!([{"system": NHS_NUMBER, "value": value}])
    }

    #[test]
    fn a_record_about_somebody_else_is_told_from_one_that_does_not_say() {
        let patient = |value: &str, born: &str| json!({"resourceType": "Patient", "identifier": number(value), "birthDate": born});
        let condition = |subject: Value| json!({"resourceType": "Condition", "subject": subject});
        for (body, result) in [
            (patient("9990010013", "1938-03-14"), Ok(())),
            (patient("999 001 0013", "1938"), Ok(())),
            (patient("9990380422", "1938-03-14"), Err(Contradiction::NhsNumber)),
            (patient("9990010013", "1938-03-15"), Err(Contradiction::BirthDate)),
            (patient("9990010013", "rubbish"), Err(Contradiction::BirthDate)),
            (patient("not a number", "1938-03-14"), Err(Contradiction::NhsNumber)),
            (json!({"resourceType": "Patient", "birthDate": 7}), Ok(())),
            (condition(json!({"reference": "Patient/1"})), Ok(())),
            (
                condition(json!({"identifier": {"system": NHS_NUMBER, "value": "9990380422"}})),
                Err(Contradiction::NhsNumber),
            ),
            (
                json!({"resourceType": "Task", "for": {"identifier": number("9990133484")}}),
                Err(Contradiction::NhsNumber),
            ),
            (
                json!({"resourceType": "X", "contained": [patient("9990133484", "1938-03-14")]}),
                Err(Contradiction::NhsNumber),
            ),
            (
                json!({"resourceType": "Bundle", "entry": [{"resource": patient("9990010013", "1951-07-02")}]}),
                Err(Contradiction::BirthDate),
            ),
            (json!([1, 2]), Ok(())),
        ] {
            assert_eq!(check(&body), result, "{body}");
        }
    }
}
