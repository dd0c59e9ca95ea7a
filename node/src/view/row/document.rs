//! Documents: references with their text inside, compositions, document bundles, answered questionnaires.

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::Value;

use super::element::{any_value, concept, concept_texts, concepts, first_text, joined, list, text, words_of_html};
use super::{Activity, Entry};

/// `DocumentReference`: the title is what it is called, a plain-text or HTML attachment is shown in full.
pub(super) fn reference(entry: &mut Entry, json: &Value) {
    let kind = concept(json, "/type").or_else(|| concepts(json, "/category").into_iter().next());
    let kind_text = kind.as_ref().map(|kind| kind.text.clone());
    entry.describe(kind);
    let title = first_text(json, &["/content/0/attachment/title", "/description"]);
    if let Some(title) = title {
        let kind_text = kind_text.filter(|kind| !same_words(kind, &title));
        entry.detail("kind", kind_text);
        entry.row.text = title;
    }
    entry.activity = match entry.row.status.as_deref() {
        Some("superseded") => Activity::Ended,
        Some("current") => Activity::Current,
        _ => Activity::Unknown,
    };
    match text(json, "/docStatus").as_deref() {
        Some("entered-in-error") => entry.row.status = Some("entered-in-error".to_owned()),
        Some("preliminary") => {
            entry.activity = Activity::Unknown;
            entry.row.status_reason = Some("draft".to_owned());
        }
        _ => {}
    }
    replaces(entry, json);
    let row = &mut entry.row;
    row.date = first_text(json, &["/context/period/start", "/date"]);
    row.recorded = text(json, "/date");
    row.author = reference_of(json, "/author/0");
    let description = text(json, "/description").filter(|words| *words != entry.row.text);
    entry.detail("description", description);
    for content in list(json, "/content") {
        if let Some(inner) = content.get("attachment") {
            attachment(entry, inner);
        }
    }
    entry.detail("event", concept_texts(json, "/context/event"));
}

/// An `Attachment`: its words when it is text, else what it is, so that nobody takes it for empty.
pub(super) fn attachment(entry: &mut Entry, json: &Value) {
    let kind = text(json, "/contentType").unwrap_or_default().to_lowercase();
    let bytes = text(json, "/data").and_then(|data| decode(&data)).filter(|bytes| !bytes.is_empty());
    let declared = text(json, "/hash").map(|hash| canonical_hash(&hash));
    let found = bytes.as_ref().map(|bytes| BASE64.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref()));
    for hash in [declared, found].into_iter().flatten() {
        if !entry.hashes.contains(&hash) {
            entry.hashes.push(hash);
        }
    }
    let words = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let value = match words {
        Some(words) if kind.starts_with("text/html") || kind.starts_with("application/xhtml") => {
            Some(words_of_html(&words))
        }
        Some(words) if kind.is_empty() || kind.starts_with("text/") => Some(words.trim().to_owned()),
        _ => {
            let named =
                joined([text(json, "/title"), Some(kind).filter(|k| !k.is_empty())].into_iter().flatten(), ", ");
            named.map(|named| format!("attachment not shown here: {named}"))
        }
    };
    entry.detail("text", value);
}

/// `Composition`: every section in reading order.
pub(super) fn composition(entry: &mut Entry, json: &Value) {
    entry.describe(concept(json, "/type"));
    if let Some(title) = text(json, "/title") {
        entry.row.text = title;
    }
    entry.row.date = first_text(json, &["/event/0/period/start", "/date"]);
    entry.row.recorded = text(json, "/date");
    entry.row.author = reference_of(json, "/author/0");
    entry.activity = match text(json, "/status").as_deref() {
        Some("preliminary") => Activity::Unknown,
        _ => Activity::Current,
    };
    replaces(entry, json);
    sections(entry, list(json, "/section"), SECTIONS_DEEP);
}

/// A document `Bundle`: its Composition, then one line for each entry that has a description.
pub(super) fn bundle(entry: &mut Entry, json: &Value) {
    let resources: Vec<&Value> = list(json, "/entry").iter().filter_map(|item| item.get("resource")).collect();
    let is = |resource: &Value, kind: &str| resource.get("resourceType").and_then(Value::as_str) == Some(kind);
    if let Some(first) = resources.iter().find(|resource| is(resource, "Composition")) {
        entry.row.status = text(first, "/status");
        entry.custodian = entry.custodian.take().or_else(|| text(first, "/custodian/identifier/value"));
        entry.encounter = text(first, "/encounter/reference");
        composition(entry, first);
    } else {
        "document bundle".clone_into(&mut entry.row.text);
        entry.row.date = text(json, "/timestamp");
    }
    for resource in resources {
        let kind = text(resource, "/resourceType").unwrap_or_else(|| "entry".to_owned());
        if matches!(kind.as_str(), "Composition" | "Patient" | "Organization" | "Practitioner" | "PractitionerRole") {
            continue;
        }
        let what = ["/code", "/medicationCodeableConcept", "/vaccineCode", "/type"]
            .iter()
            .find_map(|pointer| concept(resource, pointer))
            .map(|concept| concept.text)
            .or_else(|| first_text(resource, &["/title", "/description", "/name"]));
        let dose = first_text(resource, &["/dosageInstruction/0/text", "/dosage/0/text"]);
        let value = any_value(resource).map(|(value, unit)| joined([Some(value), unit].into_iter().flatten(), " "));
        let status = text(resource, "/status").or_else(|| super::element::code(resource, "/clinicalStatus"));
        let line = joined([what, dose, value.flatten(), status].into_iter().flatten(), "; ");
        entry.detail(&kind, line);
    }
}

/// `QuestionnaireResponse`: each question with its answers.
pub(super) fn answers(entry: &mut Entry, json: &Value) {
    let name = list(json, "/meta/tag").iter().find_map(|tag| text(tag, "/display"));
    let questionnaire = text(json, "/questionnaire").map(|url| questionnaire_name(&url));
    entry.row.text = name.or(questionnaire).unwrap_or_else(|| "questionnaire".to_owned());
    entry.row.date = text(json, "/authored");
    entry.row.author = reference_of(json, "/author").or_else(|| reference_of(json, "/source"));
    entry.activity = match entry.row.status.as_deref() {
        Some("completed" | "amended") => Activity::Current,
        Some("stopped") => Activity::Ended,
        _ => Activity::Unknown,
    };
    questions(entry, list(json, "/item"), SECTIONS_DEEP);
}

fn questions(entry: &mut Entry, items: &[Value], depth: usize) {
    let Some(deeper) = depth.checked_sub(1) else { return };
    for item in items {
        let question = first_text(item, &["/text", "/linkId"]).unwrap_or_else(|| "question".to_owned());
        let given = list(item, "/answer");
        let values = given.iter().filter_map(any_value).map(|(value, unit)| match unit {
            Some(unit) => format!("{value} {unit}"),
            None => value,
        });
        let values = joined(values, "; ");
        entry.detail(&question, values);
        for answer in given {
            questions(entry, list(answer, "/item"), deeper);
        }
        questions(entry, list(item, "/item"), deeper);
    }
}

fn sections(entry: &mut Entry, items: &[Value], depth: usize) {
    let Some(deeper) = depth.checked_sub(1) else { return };
    for section in items {
        let title = text(section, "/title").or_else(|| concept(section, "/code").map(|code| code.text));
        let words = text(section, "/text/div").map(|div| words_of_html(&div));
        let empty = concept(section, "/emptyReason").map(|reason| format!("empty: {}", reason.text));
        entry.detail(title.as_deref().unwrap_or("section"), words.or(empty));
        sections(entry, list(section, "/section"), deeper);
    }
}

/// What the document replaces (`relatesTo`): by logical id, and by identifier.
fn replaces(entry: &mut Entry, json: &Value) {
    let related = list(json, "/relatesTo").iter().filter(|r| text(r, "/code").as_deref() == Some("replaces"));
    for related in related {
        for reference in ["/target/reference", "/targetReference/reference"] {
            let id = text(related, reference).and_then(|r| r.rsplit(['/', ':']).next().map(str::to_owned));
            entry.replaces.extend(id);
        }
        for identifier in ["/target/identifier", "/targetReference/identifier", "/targetIdentifier"] {
            if let (Some(system), Some(value)) =
                (text(related, &format!("{identifier}/system")), text(related, &format!("{identifier}/value")))
            {
                entry.replaces.push(format!("{system}|{value}"));
            }
        }
    }
}

/// A hash as FHIR writes it, base64; feeds that write it in hexadecimal mean the same.
fn canonical_hash(hash: &str) -> String {
    let hexadecimal = (hash.len() == 40).then(|| HEXLOWER_PERMISSIVE.decode(hash.as_bytes()).ok()).flatten();
    hexadecimal.map_or_else(|| hash.to_owned(), |bytes| BASE64.encode(&bytes))
}

fn reference_of(json: &Value, pointer: &str) -> Option<String> {
    super::element::reference(json, pointer)
}

/// The last part of a questionnaire's address, in words.
fn questionnaire_name(url: &str) -> String {
    let last = url.rsplit('/').find(|part| !part.is_empty()).unwrap_or(url);
    last.split('|').next().unwrap_or(last).replace(['-', '_'], " ")
}

fn same_words(a: &str, b: &str) -> bool {
    a.trim().eq_ignore_ascii_case(b.trim())
}

/// Base64 as FHIR allows it, with white space inside (`base64Binary`).
fn decode(data: &str) -> Option<Vec<u8>> {
    let compact: String = data.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    BASE64.decode(compact.as_bytes()).ok()
}

/// Sections and questions inside one another: more than any real document has, and a bound on recursion.
const SECTIONS_DEEP: usize = 16;
