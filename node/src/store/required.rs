//! Every form is FHIR R4 like its original: an element that R4 requires and a form leaves out says that it is masked (extension
//! data-absent-reason), and nothing is left empty.
//!
//! What the original itself lacks is not made up here.

use serde_json::{Map, Value, json};

use super::element::{items, text};

/// Makes a form of a resource valid again.
pub(super) fn complete(mut form: Value, original: &Value) -> Value {
    prune(&mut form);
    fill(&mut form, original);
    form
}

/// Takes out what lost its contents: R4 knows no empty array, object or null.
fn prune(value: &mut Value) {
    let empty = |inner: &Value| match inner {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    match value {
        Value::Array(list) => {
            list.iter_mut().for_each(prune);
            list.retain(|inner| !empty(inner));
        }
        Value::Object(fields) => {
            fields.values_mut().for_each(prune);
            fields.retain(|_, inner| !empty(inner));
        }
        _ => {}
    }
}

fn fill(form: &mut Value, original: &Value) {
    let kind = text(original, "resourceType").unwrap_or("");
    let Some(fields) = form.as_object_mut() else { return };
    if kind == "Bundle" {
        let entries = fields.get_mut("entry").and_then(Value::as_array_mut);
        for (entry, whole) in entries.into_iter().flatten().zip(items(original, "entry")) {
            if let (Some(resource), Some(whole)) = (entry.get_mut("resource"), whole.get("resource")) {
                fill(resource, whole);
            }
        }
        return;
    }
    let of_kind = |(kinds, _): &&(&[&str], Required)| kinds.contains(&kind);
    for (_, required) in REQUIRED.iter().filter(of_kind) {
        let names = required.names();
        let has = |fields: &Map<String, Value>| names.iter().any(|name| fields.contains_key(*name));
        if original.as_object().is_some_and(has) && !has(fields) {
            required.mask(fields, original);
        }
    }
    for name in ["participant", "performer"] {
        parts(kind, name, fields);
    }
}

/// Who took part: an Appointment wants a type or an actor of each, other resources an actor.
fn parts(kind: &str, name: &str, fields: &mut Map<String, Value>) {
    if !ACTED.contains(&(kind, name)) {
        return;
    }
    let parts = fields.get_mut(name).and_then(Value::as_array_mut);
    for part in parts.into_iter().flatten().filter_map(Value::as_object_mut) {
        let typed = kind == "Appointment" && part.contains_key("type");
        if !typed && !part.contains_key("actor") {
            part.insert("actor".to_owned(), masked());
        }
    }
}

/// An element that R4 requires.
#[derive(Debug, Clone, Copy)]
enum Required {
    /// One of a type with elements.
    One(&'static str),
    /// One or more of such.
    Many(&'static str),
    /// A primitive, whose extension stands beside it.
    Primitive(&'static str),
    /// One of several types: the names it may have, of which the first is masked.
    Choice(&'static [&'static str]),
    /// As [`Required::Choice`], of a primitive.
    PrimitiveChoice(&'static [&'static str]),
    /// `DocumentReference.content`, whose attachment is required too.
    Content,
    /// `Appointment.participant`, which keeps each status.
    Participant,
}

impl Required {
    fn names(&self) -> &[&'static str] {
        match self {
            Self::One(name) | Self::Many(name) | Self::Primitive(name) => std::slice::from_ref(name),
            Self::Choice(names) | Self::PrimitiveChoice(names) => names,
            Self::Content => &["content"],
            Self::Participant => &["participant"],
        }
    }

    fn mask(&self, fields: &mut Map<String, Value>, original: &Value) {
        let Some(name) = self.names().first() else { return };
        let (name, value) = match self {
            Self::One(_) | Self::Choice(_) => ((*name).to_owned(), masked()),
            Self::Many(_) => ((*name).to_owned(), json!([masked()])),
            Self::Primitive(_) | Self::PrimitiveChoice(_) => (format!("_{name}"), masked()),
            Self::Content => ((*name).to_owned(), json!([{"attachment": masked()}])),
            Self::Participant => {
                let status = items(original, name).map(|part| json!({"status": part.get("status")}));
                let mut parts: Vec<Value> = status.collect();
                parts.iter_mut().for_each(prune);
                ((*name).to_owned(), Value::Array(parts))
            }
        };
        fields.insert(name, value);
    }
}

/// Stands where something was left out (FHIR R4, data-absent-reason: `masked`).
fn masked() -> Value {
    json!({"extension": [{"url": DATA_ABSENT_REASON, "valueCode": "masked"}]})
}

const DATA_ABSENT_REASON: &str = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";

/// Elements with a minimum of one in R4 that a form may leave out; statuses, intents and subjects stay in all of them.
const REQUIRED: &[(&[&str], Required)] = &[
    (&["Composition", "Consent"], Required::Primitive("title")),
    (&["Composition"], Required::Many("author")),
    (&["Composition"], Required::One("type")),
    (&["Composition"], Required::Primitive("date")),
    (&["Observation", "DiagnosticReport", "Flag", "Basic"], Required::One("code")),
    (&["Encounter"], Required::One("class")),
    (&["Goal"], Required::One("description")),
    (&["Immunization"], Required::One("vaccineCode")),
    (&["Immunization"], Required::PrimitiveChoice(&["occurrenceDateTime", "occurrenceString"])),
    (&["Consent"], Required::One("scope")),
    (&["Consent"], Required::Many("category")),
    (&["Consent"], Required::Choice(&["policyRule", "policy"])),
    (&["FamilyMemberHistory"], Required::One("relationship")),
    (&["DocumentReference"], Required::Content),
    (&["Appointment"], Required::Participant),
    (
        &["MedicationRequest", "MedicationStatement", "MedicationDispense", "MedicationAdministration"],
        Required::Choice(&["medicationCodeableConcept", "medicationReference"]),
    ),
    (&["MedicationAdministration"], Required::PrimitiveChoice(&["effectiveDateTime", "effectivePeriod"])),
    (&["DeviceUseStatement"], Required::One("device")),
    (&["NutritionOrder"], Required::Primitive("dateTime")),
];

/// Resource types and their elements that say who took part.
const ACTED: [(&str, &str); 6] = [
    ("Appointment", "participant"),
    ("Immunization", "performer"),
    ("MedicationAdministration", "performer"),
    ("MedicationDispense", "performer"),
    ("Procedure", "performer"),
    ("ImagingStudy", "performer"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_required_and_left_out_is_masked_and_what_was_never_there_is_not_made_up() {
        let original = json!({"resourceType": "Composition", "status": "final", "title": "secret", "author": [{"display": "secret"}]});
        let form = json!({"resourceType": "Composition", "status": "final"});
        let made = complete(form, &original);
        assert_eq!(made["_title"]["extension"][0]["valueCode"], "masked");
        assert_eq!(made["author"][0], masked());
        assert!(made.get("type").is_none() && made.get("date").is_none(), "{made}");
        assert!(!made.to_string().contains("secret"));
    }

    #[test]
    fn a_document_in_a_bundle_is_completed_like_one_that_stands_alone() {
        let original =
            json!({"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Composition", "title": "x"}}]});
        let form =
            json!({"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Composition", "id": "1"}}]});
        assert_eq!(complete(form, &original)["entry"][0]["resource"]["_title"], masked());
    }

    #[test]
    fn nothing_is_left_empty_and_everybody_who_took_part_has_an_actor() {
        let original = json!({"resourceType": "Appointment", "status": "booked", "participant": [
            {"actor": {"reference": "Location/1"}, "status": "accepted"}, {"actor": {"display": "x"}, "status": "tentative"}]});
        let summary = complete(json!({"resourceType": "Appointment", "status": "booked"}), &original);
        assert_eq!(summary["participant"][1], json!({"status": "tentative", "actor": masked()}));
        let stripped = json!({"resourceType": "Procedure", "performer": [{"function": {"text": "x"}}], "note": [], "bodySite": [{}]});
        let original = json!({"resourceType": "Procedure", "performer": [{"function": {"text": "x"}, "actor": {}}]});
        assert_eq!(
            complete(stripped, &original),
            json!({"resourceType": "Procedure", "performer": [{"function": {"text": "x"}, "actor": masked()}]})
        );
    }

    #[test]
    fn a_choice_is_masked_only_where_none_of_its_types_is_left() {
        let original = json!({"resourceType": "MedicationStatement", "medicationReference": {"reference": "#m"}});
        let made = complete(json!({"resourceType": "MedicationStatement"}), &original);
        assert_eq!(made["medicationCodeableConcept"], masked());
        let whole = complete(original.clone(), &original);
        assert_eq!(whole, original);
    }
}
