//! Who the record is about, and who belongs to the person.

use careweave_protocol::id::NhsNumber;
use careweave_protocol::record::code::{CONFIDENTIALITY, NHS_NUMBER};
use serde_json::Value;

use super::element::{concept_texts, concepts, first_text, joined, list, reference, text};
use super::{Activity, Entry};

/// What the head of a view takes from a Patient.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonFacts {
    /// Full name.
    pub name: Option<String>,
    /// Address line.
    pub address: Option<String>,
    /// Telephone numbers and other contacts, joined.
    pub telephone: Option<String>,
    /// Every valid NHS number in the Patient, its links included.
    pub numbers: Vec<NhsNumber>,
    /// Whether whereabouts are restricted.
    pub restricted: bool,
    /// `Some(true)`: dead; `Some(false)`: explicitly not; `None`: not said.
    pub deceased: Option<bool>,
    /// Date of death as recorded.
    pub died: Option<String>,
}

/// `Patient`.
pub(super) fn patient(entry: &mut Entry, json: &Value) {
    let name = official_name(json).and_then(name_text);
    let restricted = is_restricted(json);
    let address = (!restricted).then(|| address_line(json)).flatten();
    entry.row.text = name.clone().unwrap_or_else(|| "person without a name".to_owned());
    entry.row.recorded = text(json, "/meta/lastUpdated");
    entry.activity = Activity::Current;
    entry.detail("born", text(json, "/birthDate"));
    entry.detail("gender", text(json, "/gender"));
    entry.detail("address", address.clone());
    let telecom = list(json, "/telecom").iter().filter_map(|contact| text(contact, "/value"));
    let telephone = joined(telecom, ", ").filter(|_| !restricted);
    if !restricted {
        entry.detail("telephone", telephone.clone());
        entry.detail("practice", reference(json, "/generalPractitioner/0"));
    }
    let languages = list(json, "/communication").iter().filter_map(|item| super::element::concept(item, "/language"));
    let languages = joined(languages.map(|language| language.text), ", ");
    entry.detail("language", languages);
    let died = text(json, "/deceasedDateTime");
    entry.detail("died", died.clone());
    let said = json.get("deceasedBoolean").and_then(Value::as_bool);
    let numbers = numbers(json);
    let deceased = died.as_ref().map(|_| true).or(said);
    entry.person = Some(PersonFacts { name, address, telephone, numbers, restricted, deceased, died });
}

/// NHS numbers of a Patient and of those it links to.
fn numbers(json: &Value) -> Vec<NhsNumber> {
    let linked = list(json, "/link").iter().flat_map(|link| list(link, "/other/identifier"));
    let all = list(json, "/identifier").iter().chain(linked);
    let nhs = all.filter(|i| text(i, "/system").as_deref() == Some(NHS_NUMBER));
    nhs.filter_map(|i| text(i, "/value")?.parse().ok()).collect()
}

/// `RelatedPerson`.
pub(super) fn related(entry: &mut Entry, json: &Value) {
    let relationship = concept_texts(json, "/relationship");
    let name = list(json, "/name").first().and_then(name_text);
    entry.row.text =
        joined([relationship, name].into_iter().flatten(), ": ").unwrap_or_else(|| "related person".to_owned());
    entry.row.date = text(json, "/period/start");
    entry.row.date_end = text(json, "/period/end");
    entry.row.recorded = text(json, "/meta/lastUpdated");
    entry.activity = if json.get("active") == Some(&Value::Bool(false)) { Activity::Ended } else { Activity::Current };
    entry.ongoing = entry.activity == Activity::Current;
    let telecom = list(json, "/telecom").iter().filter_map(|contact| text(contact, "/value"));
    let telecom = joined(telecom, ", ");
    entry.detail("telephone", telecom);
}

/// `PractitionerRole`.
pub(super) fn role(entry: &mut Entry, json: &Value) {
    entry.describe(concepts(json, "/code").into_iter().next());
    entry.detail("who", reference(json, "/practitioner"));
    entry.detail("organisation", reference(json, "/organization"));
    entry.row.date = text(json, "/period/start");
    entry.row.date_end = text(json, "/period/end");
}

/// Whether `meta.security` restricts the Patient (R or V): the whereabouts are to be hidden.
#[must_use]
pub fn is_restricted(json: &Value) -> bool {
    list(json, "/meta/security").iter().any(|label| {
        text(label, "/system").as_deref() == Some(CONFIDENTIALITY)
            && matches!(text(label, "/code").as_deref(), Some("R" | "V"))
    })
}

fn official_name(json: &Value) -> Option<&Value> {
    let names = list(json, "/name");
    let used = |wanted: &str| names.iter().find(|name| text(name, "/use").as_deref() == Some(wanted));
    let former = |name: &&Value| matches!(text(name, "/use").as_deref(), Some("old" | "maiden"));
    used("official").or_else(|| used("usual")).or_else(|| names.iter().find(|n| !former(n))).or_else(|| names.first())
}

fn given_names(name: &Value) -> Vec<String> {
    let given = match name.get("given") {
        Some(Value::Array(given)) => given.as_slice(),
        Some(one @ Value::String(_)) => std::slice::from_ref(one),
        _ => &[],
    };
    given.iter().filter_map(Value::as_str).map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

fn name_text(name: &Value) -> Option<String> {
    let parts = given_names(name).into_iter().chain(text(name, "/family"));
    joined(parts, " ").or_else(|| text(name, "/text"))
}

fn address_line(json: &Value) -> Option<String> {
    let addresses = list(json, "/address");
    let former = |address: &&Value| text(address, "/use").as_deref() == Some("old");
    let address = addresses
        .iter()
        .find(|a| text(a, "/use").as_deref() == Some("home"))
        .or_else(|| addresses.iter().find(|a| !former(a)))?;
    let lines = match address.get("line") {
        Some(Value::Array(lines)) => lines.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let rest = ["/district", "/city", "/postalCode"].iter().filter_map(|part| text(address, part));
    first_text(address, &["/text"]).or_else(|| joined(lines.into_iter().chain(rest), ", "))
}
