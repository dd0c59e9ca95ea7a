//! Is a record about the person asked about? The asker checks every record that arrives before it is merged.

use std::borrow::Cow;

use careweave_protocol::id::NhsNumber;
use careweave_protocol::query::Patient;
use careweave_protocol::record::Category;
use careweave_protocol::record::code::NHS_NUMBER;
use serde_json::Value;

use super::SourceRecord;
use super::matching::same_family;
use super::row::element::{at, list, text};
use crate::store::number_change;

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

/// Who the records of one source are taken to be about: the person asked about, with the numbers that this source links to theirs,
/// unless the number asked is of a new identity. Then a number that a source links to it would tell the one of the other.
pub struct Subject<'a> {
    asked: Cow<'a, Patient>,
    number_changed: bool,
    /// Ids of the source's Patients under other numbers, where the number asked is of a new identity.
    others: Vec<String>,
}

/// Why a record is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unshown {
    /// It is about somebody else, and the reader is told that the source sent it.
    SomebodyElse,
    /// It stands under another number than one of a new identity. That there is such a record is not told.
    Untold,
}

impl<'a> Subject<'a> {
    /// From the records of one source; `number_changed` where the own record says that the number asked is of a new identity.
    #[must_use]
    pub fn of(asked: &'a Patient, records: &[SourceRecord], number_changed: bool) -> Self {
        let people = records.iter().filter(|record| record.category == Category::Demographics);
        let people: Vec<Value> = people.filter_map(|record| serde_json::from_slice(&record.body).ok()).collect();
        if !number_changed {
            return Self { asked: with_linked_numbers(asked, &people), number_changed, others: Vec::new() };
        }
        let people = people.iter().filter(|json| text(json, "/resourceType").as_deref() == Some("Patient"));
        let (theirs, others): (Vec<&Value>, Vec<&Value>) =
            people.partition(|json| json_about(json, asked) != Err(Contradiction::NhsNumber));
        let ids = |people: Vec<&Value>| people.iter().filter_map(|json| text(json, "/id")).collect::<Vec<String>>();
        let (theirs, mut others) = (ids(theirs), ids(others));
        others.retain(|id| !theirs.contains(id));
        Self { asked: Cow::Borrowed(asked), number_changed, others }
    }

    /// What may be read of a record (uncompressed FHIR JSON); nothing of one that is not JSON.
    ///
    /// # Errors
    /// The record must not be shown.
    pub fn read(&self, body: &[u8]) -> Result<Option<Value>, Unshown> {
        let Ok(mut json) = serde_json::from_slice::<Value>(body) else { return Ok(None) };
        match json_about(&json, &self.asked) {
            Err(Contradiction::NhsNumber) if self.number_changed => return Err(Unshown::Untold),
            Err(_) => return Err(Unshown::SomebodyElse),
            Ok(()) => {}
        }
        if self.number_changed {
            let other = |pointer: &str| {
                let reference = text(&json, &format!("{pointer}/reference"));
                reference.is_some_and(|to| self.others.iter().any(|id| to.rsplit(['/', ':']).next() == Some(id)))
            };
            if SUBJECTS.iter().any(|pointer| other(pointer)) {
                return Err(Unshown::Untold);
            }
            number_change::conceal(&mut json, self.asked.nhs_number);
        }
        Ok(Some(json))
    }

    /// What may be released of a record: its own bytes, or for a number of a new identity what is left of it. `None` where it must not
    /// be shown.
    #[must_use]
    pub fn release(&self, body: &[u8]) -> Option<Vec<u8>> {
        match self.read(body) {
            Err(_) => None,
            Ok(_) if !self.number_changed => Some(body.to_vec()),
            // What cannot be read cannot be known to be without traces.
            Ok(left) => left.and_then(|left| serde_json::to_vec(&left).ok()),
        }
    }
}

/// Checks a record (FHIR JSON) against the person asked about: a Patient in it, alone, contained or in a document
/// bundle, must not have another NHS number or birth date, and a logical reference to its subject must not name another number.
/// What says nothing about the person, and what cannot be read, contradicts nothing: it becomes a row that says so.
///
/// # Errors
/// The record is about somebody else and must not be shown.
fn json_about(json: &Value, asked: &Patient) -> Result<(), Contradiction> {
    resource(json, asked, DEEP)
}

/// Who is asked about, with the numbers that a source's own Patients say replaced one that was asked or were replaced by it
/// (`Patient.link`, replaced-by or replaces). A holder that knows of the link answers under either number, which the asker may not
/// have known of. Only a Patient of the same birth date and family name adds a number.
fn with_linked_numbers<'a>(asked: &'a Patient, records: &[Value]) -> Cow<'a, Patient> {
    let patients: Vec<&Value> =
        records.iter().filter(|json| text(json, "/resourceType").as_deref() == Some("Patient")).collect();
    let mut known = Cow::Borrowed(asked);
    // Each round follows one more link; there are no more numbers than Patients.
    for _ in &patients {
        let linked = patients.iter().filter(|json| same_person(json, asked)).flat_map(|json| {
            let own = current_numbers(json);
            let others: Vec<NhsNumber> =
                list(json, "/link").iter().flat_map(|link| linked_numbers(link, &patients)).collect();
            let met = own.iter().chain(&others).any(|number| known.numbers().any(|asked| asked == *number));
            if met { [own, others].concat() } else { Vec::new() }
        });
        let new: Vec<NhsNumber> = linked.filter(|number| known.numbers().all(|asked| asked != *number)).collect();
        if new.is_empty() {
            break;
        }
        known.to_mut().other_numbers.extend(new);
    }
    known
}

fn same_person(json: &Value, asked: &Patient) -> bool {
    text(json, "/birthDate").is_some_and(|born| born == asked.birth_date.to_string())
        && list(json, "/name").iter().filter_map(|name| text(name, "/family")).any(|f| same_family(&asked.family, &f))
}

/// NHS numbers of a Patient that are not marked as old.
fn current_numbers(json: &Value) -> Vec<NhsNumber> {
    let current = list(json, "/identifier").iter().filter(|i| text(i, "/use").as_deref() != Some("old"));
    let numbers = current.filter(|i| text(i, "/system").as_deref() == Some(NHS_NUMBER));
    numbers.filter_map(|i| text(i, "/value")?.parse().ok()).collect()
}

/// The numbers a link leads to: stated in it, or those of the Patient of the same source that it refers to.
fn linked_numbers(link: &Value, patients: &[&Value]) -> Vec<NhsNumber> {
    if !matches!(text(link, "/type").as_deref(), Some("replaced-by" | "replaces")) {
        return Vec::new();
    }
    let other = link.get("other").unwrap_or(&Value::Null);
    if let Some(stated) = text(other, "/identifier/value").and_then(|value| value.parse().ok()) {
        return vec![stated];
    }
    let Some(reference) = text(other, "/reference") else { return Vec::new() };
    let id = reference.rsplit(['/', ':']).next().unwrap_or(&reference);
    let target = patients.iter().find(|json| text(json, "/id").as_deref() == Some(id));
    target.map_or_else(|| id.parse().into_iter().collect(), |json| current_numbers(json))
}

fn resource(json: &Value, asked: &Patient, depth: usize) -> Result<(), Contradiction> {
    let Some(deeper) = depth.checked_sub(1) else { return Ok(()) };
    if text(json, "/resourceType").as_deref() == Some("Patient") {
        patient(json, asked)?;
    }
    for pointer in SUBJECTS {
        if let Some(subject) = at(json, pointer) {
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

/// One of the NHS numbers must be one of those asked for; others may stand beside it.
fn numbers(identifiers: &[Value], asked: &Patient) -> Result<(), Contradiction> {
    let mut numbers = identifiers
        .iter()
        .filter(|i| text(i, "/system").as_deref() == Some(NHS_NUMBER))
        .filter_map(|i| text(i, "/value"))
        .peekable();
    if numbers.peek().is_none()
        || numbers.any(|number| number.parse().is_ok_and(|number| asked.numbers().any(|a| a == number)))
    {
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

    fn asked() -> Patient {
        Patient {
            nhs_number: "9990010013".parse().unwrap(),
            birth_date: Date::new(1938, 3, 14).unwrap(),
            family: "Okafor".to_owned(),
            postcode: None,
            other_numbers: Vec::new(),
        }
    }

    fn check(body: &Value) -> Result<(), Contradiction> {
        let other_numbers = vec!["9990256950".parse().unwrap()];
        json_about(body, &Patient { other_numbers, ..asked() })
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
            (patient("9990256950", "1938-03-14"), Ok(())),
            (patient("9990256950", "1938-03-15"), Err(Contradiction::BirthDate)),
            (json!([1, 2]), Ok(())),
        ] {
            assert_eq!(check(&body), result, "{body}");
        }
    }

    #[test]
    fn a_source_adds_a_number_by_a_link_between_patients_of_the_same_name_and_birth_date() {
        let person = |id: &str, value: &str, family: &str, born: &str, link: Value| {
            json!({
            "resourceType": "Patient", "id": id, "identifier": number(value), "name": [{"family": family}], "birthDate": born, "link": link})
        };
        let to = |kind: &str, other: Value| json!([{"type": kind, "other": other}]);
        let by_number =
            |kind: &str, value: &str| to(kind, json!({"identifier": {"system": NHS_NUMBER, "value": value}}));
        let old = person("1", "9990010013", "Okafor", "1938-03-14", json!([]));
        for (records, added) in [
            (vec![person("2", "9990133484", "Okafor", "1938-03-14", by_number("replaces", "9990010013"))], 1),
            (
                vec![
                    person(
                        "2",
                        "9990133484",
                        "Okafor",
                        "1938-03-14",
                        to("replaces", json!({"reference": "Patient/1"})),
                    ),
                    old.clone(),
                ],
                1,
            ),
            (vec![person("1", "9990010013", "Okafor", "1938-03-14", by_number("replaced-by", "9990133484"))], 1),
            (vec![person("2", "9990133484", "Okafor", "1938-03-14", by_number("seealso", "9990010013"))], 0),
            (vec![person("2", "9990133484", "Okafor", "1938-03-15", by_number("replaces", "9990010013"))], 0),
            (vec![person("2", "9990133484", "Eze", "1938-03-14", by_number("replaces", "9990010013"))], 0),
            (vec![person("2", "9990133484", "Okafor", "1938-03-14", json!([])), old], 0),
        ] {
            let asked = asked();
            let known = with_linked_numbers(&asked, &records);
            assert_eq!(known.other_numbers.len(), added, "{records:?}");
        }
    }
}
