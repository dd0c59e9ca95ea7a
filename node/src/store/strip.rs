//! Leaves out what gives an address-restricted patient's whereabouts away: addresses, telephone numbers, the practice, every
//! place and organisation, documents, narrative. What is left is checked against the patient's known addresses once more.

use careweave_protocol::record::code::{NHS_NUMBER, ODS};
use serde_json::{Map, Value};

use super::element::text;
use super::forms::is_narrative;

/// Texts that occur in a patient's address, folded; none may be left in a stripped form.
#[derive(Debug, Default)]
pub(super) struct Whereabouts {
    folded: Vec<String>,
}

/// What stands where a text gave whereabouts away.
const WITHHELD: &str = "[withheld]";
/// A folded text shorter than this would withhold half a language: a house number, a district.
const SHORTEST: usize = 5;

impl Whereabouts {
    /// From address lines, postcodes and telephone numbers as they were received.
    pub(super) fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let told = texts.into_iter().flat_map(|text| std::iter::once(text.to_owned()).chain(parts(text)));
        let mut folded: Vec<String> = told.map(|text| fold(&text)).filter(|t| t.chars().count() >= SHORTEST).collect();
        folded.sort();
        folded.dedup();
        Self { folded }
    }

    fn given_away_by(&self, words: &str) -> bool {
        if self.folded.is_empty() || words.len() < SHORTEST {
            return false;
        }
        let folded = fold(words);
        self.folded.iter().any(|text| folded.contains(text))
    }
}

/// What of an address on one line tells by itself: each part between commas, without its house number too, and the postcode. A part
/// of one word without a digit (`London`) is not told apart from the language.
fn parts(text: &str) -> Vec<String> {
    let digits = |word: &&str| word.bytes().any(|b| b.is_ascii_digit());
    let postcode = |pair: &&[&str]| match pair {
        [out, inward] => (2..=4).contains(&out.len()) && inward.len() == 3 && digits(out) && digits(inward),
        _ => false,
    };
    let mut found = Vec::new();
    for part in text.split([',', ';', '\n']) {
        let words: Vec<&str> = part.split_whitespace().collect();
        let street: Vec<&str> = words.iter().copied().filter(|word| !digits(word)).collect();
        found.extend(words.windows(2).filter(postcode).map(|pair| pair.join(" ")));
        found.extend([words, street].iter().filter(|words| words.len() > 1).map(|words| words.join(" ")));
    }
    found
}

/// Letters and digits only, in lower case, so that spacing and commas do not hide an address.
fn fold(words: &str) -> String {
    words.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The resource without whereabouts.
pub(super) fn strip(resource: &Value, whereabouts: &Whereabouts) -> Value {
    let mut out = resource.clone();
    let kind = text(resource, "resourceType").unwrap_or("").to_owned();
    if let Some(fields) = out.as_object_mut() {
        match kind.as_str() {
            // A document is withheld: what is left says that there is one, of which kind and from when.
            "Bundle" => {
                if let Some(Value::Array(entries)) = fields.get_mut("entry") {
                    entries.truncate(1);
                }
            }
            "Patient" => {
                if let Some(Value::Array(identifiers)) = fields.get_mut("identifier") {
                    identifiers.retain(|i| text(i, "system") == Some(NHS_NUMBER));
                }
                fields.remove("extension");
            }
            _ => {}
        }
        if !NOTES_KEPT.contains(&kind.as_str()) {
            withhold_notes(fields);
        }
    }
    walk(&mut out, whereabouts);
    out
}

/// Free words about a supply, a visit or a plan say where somebody is in ways that no list of addresses knows; that there are words is
/// still said.
fn withhold_notes(fields: &mut Map<String, Value>) {
    let notes = fields.get_mut("note").and_then(Value::as_array_mut).into_iter().flatten();
    for words in notes.filter_map(|note| note.get_mut("text")) {
        *words = Value::from(WITHHELD);
    }
    for name in ["comment", "patientInstruction", "description"] {
        if let Some(words) = fields.get_mut(name).filter(|words| words.is_string()) {
            *words = Value::from(WITHHELD);
        }
    }
}

fn walk(value: &mut Value, whereabouts: &Whereabouts) {
    match value {
        Value::String(words) if whereabouts.given_away_by(words) => WITHHELD.clone_into(words),
        Value::Array(list) => {
            list.retain(|item| !is_place(item));
            list.iter_mut().for_each(|item| walk(item, whereabouts));
        }
        Value::Object(fields) => {
            withhold_document(fields);
            fields.retain(|name, inner| {
                !(PLACES.contains(&name.trim_start_matches('_')) || is_narrative(inner) || is_place(inner))
            });
            if !names_a_person(fields) {
                fields.remove("display");
            }
            fields.values_mut().for_each(|inner| walk(inner, whereabouts));
        }
        _ => {}
    }
}

/// Documents and pictures keep their kind and date and lose their content.
fn withhold_document(fields: &mut Map<String, Value>) {
    let withheld: &[&str] = match fields.get("resourceType").and_then(Value::as_str) {
        Some("Composition") => &["section", "title"],
        Some("Binary" | "DocumentReference") => &["data", "description"],
        _ => &[],
    };
    fields.retain(|name, _| !withheld.contains(&name.as_str()));
    for name in ATTACHMENTS {
        match fields.get_mut(name) {
            Some(Value::Object(attachment)) => attachment.retain(|part, _| KEPT_OF_ATTACHMENT.contains(&part.as_str())),
            Some(Value::Array(list)) => list
                .iter_mut()
                .filter_map(Value::as_object_mut)
                .filter(|item| {
                    item.contains_key("contentType") || item.contains_key("data") || item.contains_key("url")
                })
                .for_each(|attachment| attachment.retain(|part, _| KEPT_OF_ATTACHMENT.contains(&part.as_str()))),
            _ => {}
        }
    }
}

/// A contained place, a reference to one, an extension that holds one, or anything with an ODS code.
fn is_place(value: &Value) -> bool {
    let Some(fields) = value.as_object() else { return false };
    let kind = fields.get("resourceType").and_then(Value::as_str);
    let kind = kind.or_else(|| fields.get("type").and_then(Value::as_str));
    let target = fields.get("reference").and_then(Value::as_str).map(|reference| {
        let path = reference.split('?').next().unwrap_or(reference);
        if reference.contains('?') { path.rsplit('/').next() } else { path.rsplit('/').nth(1) }.unwrap_or("")
    });
    let has_ods = |v: &Value| text(v, "system").is_some_and(|system| system == ODS || system.contains("ods-site-code"));
    let extends = fields.contains_key("url")
        && ["valueAddress", "valueReference", "valueContactPoint"].iter().any(|v| fields.contains_key(*v));
    kind.is_some_and(|k| PLACE_TYPES.contains(&k))
        || target.is_some_and(|t| PLACE_TYPES.contains(&t))
        || has_ods(value)
        || fields.get("identifier").is_some_and(|i| i.is_object() && has_ods(i))
        || extends
}

/// Whether `display` stands beside a code, or beside a reference to a person or a record; a reference that does not tell what
/// it points at may name a place.
fn names_a_person(fields: &Map<String, Value>) -> bool {
    if fields.contains_key("code") || fields.contains_key("system") {
        return true;
    }
    let kind = fields.get("type").and_then(Value::as_str);
    let target = fields.get("reference").and_then(Value::as_str).and_then(|r| r.split('/').next());
    [kind, target].into_iter().flatten().any(|name| DISPLAYED.contains(&name))
}

/// Types whose notes are part of what must not be missed (allergies, medicines as ordered and taken, problems, flags, decisions): known
/// addresses are taken out of them, and no more.
const NOTES_KEPT: [&str; 7] = [
    "AllergyIntolerance",
    "Condition",
    "Consent",
    "Flag",
    "MedicationAdministration",
    "MedicationRequest",
    "MedicationStatement",
];
/// Elements that say where, on any resource.
const PLACES: [&str; 23] = [
    "address",
    "telecom",
    "generalPractitioner",
    "managingOrganization",
    "location",
    "locationCode",
    "locationReference",
    "contact",
    "serviceProvider",
    "custodian",
    "organization",
    "hospitalization",
    "origin",
    "destination",
    "photo",
    "supplier",
    "facility",
    "source",
    "assigner",
    "sender",
    "receiver",
    "endpoint",
    "birthPlace",
];
/// Resource types that are places or lead to one.
const PLACE_TYPES: [&str; 6] =
    ["Organization", "Location", "HealthcareService", "PractitionerRole", "Endpoint", "OrganizationAffiliation"];
/// Types whose display names a person, a medicine or a record.
const DISPLAYED: [&str; 11] = [
    "Patient",
    "Practitioner",
    "RelatedPerson",
    "Medication",
    "Condition",
    "Observation",
    "AllergyIntolerance",
    "Procedure",
    "MedicationRequest",
    "ServiceRequest",
    "Substance",
];
/// Elements of type Attachment.
const ATTACHMENTS: [&str; 6] =
    ["attachment", "presentedForm", "valueAttachment", "contentAttachment", "sourceAttachment", "content"];
/// What is left of one.
const KEPT_OF_ATTACHMENT: [&str; 5] = ["contentType", "language", "creation", "size", "attachment"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_that_gives_whereabouts_away_is_left() {
        let ods = json!({"system": ODS, "value": "GIVEAWAY"});
        let away = json!({"line": ["GIVEAWAY"], "postalCode": "GIVEAWAY"});
        let place = json!({"reference": "Location/GIVEAWAY", "display": "GIVEAWAY"});
        let unsaid = json!({"reference": "urn:uuid:1", "display": "GIVEAWAY"});
        let known = Whereabouts::new(["Flat 2, 9 Larch Row", "SE5 9XX"]);
        for (resource, kept) in [
            (
                json!({"resourceType": "Patient", "id": "kept", "address": [away], "telecom": [{"value": "GIVEAWAY"}],
                       "generalPractitioner": [{"identifier": ods}], "managingOrganization": place, "contact": [{"address": away}],
                       "text": {"status": "generated", "div": "GIVEAWAY"}, "photo": [{"data": "GIVEAWAY"}],
                       "identifier": [{"system": "urn:GIVEAWAY", "value": "1"}, {"system": NHS_NUMBER, "value": "9990256950"}],
                       "extension": [{"url": "x", "valueAddress": away}], "name": [{"family": "kept"}]}),
                "9990256950",
            ),
            (
                json!({"resourceType": "Encounter", "serviceProvider": place, "location": [{"location": place}],
                       "participant": [{"individual": unsaid}, {"individual": {"reference": "Practitioner/1", "display": "kept"}}],
                       "hospitalization": {"origin": place}, "meta": {"source": "GIVEAWAY"}}),
                "kept",
            ),
            (
                json!({"resourceType": "DocumentReference", "custodian": place, "type": {"text": "kept"}, "description": "GIVEAWAY",
                       "content": [{"attachment": {"contentType": "text/plain", "data": "GIVEAWAY", "title": "GIVEAWAY"}}]}),
                "text/plain",
            ),
            (
                json!({"resourceType": "DiagnosticReport", "presentedForm": [{"contentType": "kept", "url": "GIVEAWAY"}],
                       "performer": [{"reference": "Organization?identifier=x|y", "display": "GIVEAWAY"}],
                       "contained": [{"resourceType": "Organization", "name": "GIVEAWAY"}]}),
                "kept",
            ),
            (
                json!({"resourceType": "MedicationRequest", "dispenseRequest": {"performer": place},
                       "extension": [{"url": "GIVEAWAY", "valueReference": place}], "note": [{"text": "Collected by her sister"}],
                       "dosageInstruction": [{"text": "kept"}]}),
                "sister",
            ),
            (
                json!({"resourceType": "MedicationDispense", "note": [{"text": "GIVEAWAY"}], "status": "kept"}),
                "[withheld]",
            ),
            (
                json!({"resourceType": "Observation", "valueString": "seen at flat 2 9 larch  row, SE59XX", "code": {"text": "kept"}}),
                "[withheld]",
            ),
            (
                json!({"resourceType": "Bundle", "type": "document", "entry": [
                    {"resource": {"resourceType": "Composition", "date": "kept", "title": "GIVEAWAY", "section": [{"title": "GIVEAWAY"}]}},
                    {"resource": {"resourceType": "Condition", "note": [{"text": "GIVEAWAY"}]}}]}),
                "kept",
            ),
        ] {
            let left = strip(&resource, &known).to_string();
            assert!(!left.contains("GIVEAWAY") && !left.to_lowercase().contains("larch"), "{left}");
            assert!(left.contains(kept), "{left}");
        }
    }

    #[test]
    fn part_of_an_address_on_one_line_gives_it_away_and_the_name_of_a_city_does_not() {
        let known = Whereabouts::new(["7 Larch Mews, Elder Basin, London SE1 6NM", "07700 900417"]);
        for telling in [
            "Taxi from 7 Larch Mews and back",
            "the side door of larch mews",
            "Elder Basin",
            "se16nm",
            "ring 07700900417",
        ] {
            assert!(known.given_away_by(telling), "{telling}");
        }
        for plain in ["Born in London", "Larch", "7 tablets", "SE1"] {
            assert!(!known.given_away_by(plain), "{plain}");
        }
    }
}
