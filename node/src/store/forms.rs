//! The forms of a record, made at import: `full` is the original bytes; `summary` codes, dates and status; `essential` leaves
//! indication and narrative out; for address-restricted patients each again without whereabouts. Bodies are zstd frames.

use std::io::{self, Read};

use careweave_protocol::limits::RECORD_MAX;
use careweave_protocol::record::Form;
use serde_json::{Map, Value, json};

use super::classify::Class;
use super::element::{codings, each, items, text};
use super::required::complete;
use super::strip::{Whereabouts, strip};

/// Extension on a summary whose original has no code: `valueBoolean` true. The text that stands there instead is not shown to
/// a role that sees codes only, but it is counted.
pub const UNCODED: &str = "https://careweave.example/fhir/StructureDefinition/uncoded";

/// zstd level of stored bodies: about a fifth of the size at a tenth of a millisecond for a large record.
const LEVEL: i32 = 3;

/// Compresses bodies, reusing one context.
#[derive(Default)]
pub(super) struct Packer {
    compressor: Option<zstd::bulk::Compressor<'static>>,
}

impl Packer {
    /// One frame.
    pub(super) fn pack(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut compressor = match self.compressor.take() {
            Some(compressor) => compressor,
            None => zstd::bulk::Compressor::new(LEVEL)?,
        };
        let packed = compressor.compress(bytes);
        self.compressor = Some(compressor);
        packed
    }
}

/// The bytes of a frame, at most [`RECORD_MAX`].
pub(super) fn unpack(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let limit = u64::try_from(RECORD_MAX).unwrap_or(u64::MAX);
    zstd::stream::Decoder::with_buffer(body)?.take(limit + 1).read_to_end(&mut out)?;
    if out.len() > RECORD_MAX { Err(io::Error::from(io::ErrorKind::FileTooLarge)) } else { Ok(out) }
}

/// The forms that can be asked for of an unrestricted record: full, summary, and essential where a label is outranked.
pub(super) fn plain(
    packer: &mut Packer,
    raw: &str,
    resource: &Value,
    class: &Class,
) -> io::Result<Vec<(Form, Vec<u8>)>> {
    let mut made = vec![(Form::Full, packer.pack(raw.as_bytes())?)];
    let mut pack = |form: Value| packer.pack(&written(&complete(form, resource))?);
    made.push((Form::Summary, pack(summary(resource))?));
    if needs_essential(class) {
        made.push((Form::Essential, pack(essential(resource))?));
    }
    Ok(made)
}

/// The same again without whereabouts.
pub(super) fn stripped(
    packer: &mut Packer,
    resource: &Value,
    class: &Class,
    whereabouts: &Whereabouts,
) -> io::Result<Vec<(Form, Vec<u8>)>> {
    let mut pack = |form: &Value| packer.pack(&written(&complete(strip(form, whereabouts), resource))?);
    let mut made = vec![(Form::FullStripped, pack(resource)?)];
    made.push((Form::SummaryStripped, pack(&summary(resource))?));
    if needs_essential(class) {
        made.push((Form::EssentialStripped, pack(&essential(resource))?));
    }
    Ok(made)
}

/// Every text of a Patient or RelatedPerson that says where somebody is; none of other resources.
#[must_use]
pub fn whereabouts(resource: &Value) -> Vec<String> {
    match text(resource, "resourceType") {
        Some("Patient" | "RelatedPerson") => super::import::whereabouts(resource),
        _ => Vec::new(),
    }
}

/// A record as the store would make it for an address-restricted patient whose address and telephone numbers are `known`: for what
/// comes from a holder that does not know of the restriction.
#[must_use]
pub fn without_whereabouts(resource: &Value, known: &[String]) -> Value {
    complete(strip(resource, &Whereabouts::new(known.iter().map(String::as_str))), resource)
}

fn needs_essential(class: &Class) -> bool {
    class.category.outranks_labels() && !class.labels.is_empty()
}

fn written(value: &Value) -> io::Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(io::Error::from)
}

/// Codes, dates and status. Of a document, its Composition's.
pub(super) fn summary(resource: &Value) -> Value {
    let Some(fields) = resource.as_object() else { return Value::Null };
    let mut out = Map::new();
    for name in ["resourceType", "id"] {
        if let Some(value) = fields.get(name) {
            out.insert(name.to_owned(), value.clone());
        }
    }
    out.insert("meta".to_owned(), subsetted(fields.get("meta")));
    let mut coded = false;
    for (name, value) in fields {
        match name.as_str() {
            "identifier" | "timestamp" => {
                out.insert(name.clone(), value.clone());
            }
            name if STATUS.contains(&name) => {
                out.insert(name.to_owned(), value.clone());
            }
            name if CODED.contains(&name) => {
                if let Some(value) = coding_only(resource, name) {
                    coded |= !STATUS_CODED.contains(&name);
                    out.insert(name.to_owned(), value);
                }
            }
            name if DATED.contains(&name) => {
                if let Some(value) = date_only(value) {
                    out.insert(name.to_owned(), value);
                }
            }
            name if SUBJECT.contains(&name) => {
                out.insert(name.to_owned(), bare_reference(value));
            }
            _ => {}
        }
    }
    if text(resource, "resourceType") == Some("Bundle") {
        out.insert("type".to_owned(), fields.get("type").cloned().unwrap_or(Value::Null));
        let composition = items(resource, "entry").next().and_then(|entry| entry.get("resource"));
        out.insert("entry".to_owned(), json!(composition.map(|c| json!({"resource": summary(c)})).as_slice()));
    } else if !coded {
        out.insert("extension".to_owned(), json!([{"url": UNCODED, "valueBoolean": true}]));
    }
    Value::Object(out)
}

/// Everything but indication and narrative: the drug, the dose, the allergy, the decision stay, coded or in words.
pub(super) fn essential(resource: &Value) -> Value {
    let mut out = resource.clone();
    let document = matches!(text(resource, "resourceType"), Some("Bundle" | "Composition" | "DocumentReference"));
    without_indication(&mut out, document);
    if let Some(fields) = out.as_object_mut() {
        let mut meta = subsetted(fields.get("meta"));
        std::mem::swap(fields.entry("meta").or_insert(Value::Null), &mut meta);
    }
    out
}

fn without_indication(value: &mut Value, document: bool) {
    match value {
        Value::Array(list) => {
            list.retain(|item| !indicates(item));
            list.iter_mut().for_each(|item| without_indication(item, document));
        }
        Value::Object(fields) => {
            if fields.get("asNeededCodeableConcept").is_some() {
                fields.insert("asNeededBoolean".to_owned(), Value::Bool(true));
            }
            // The words of an advance decision are the decision: a document keeps its sections' text.
            fields.retain(|name, value| {
                !(INDICATION.contains(&name.as_str()) || name == "text" && is_narrative(value) && !document)
            });
            fields.values_mut().for_each(|inner| without_indication(inner, document));
        }
        _ => {}
    }
}

/// A contained resource or extension that is there for the reason's sake.
fn indicates(item: &Value) -> bool {
    let kind = text(item, "resourceType");
    let url = text(item, "url").unwrap_or("").to_ascii_lowercase();
    matches!(
        kind,
        Some("Condition" | "Observation" | "DiagnosticReport" | "ClinicalImpression" | "QuestionnaireResponse")
    ) && item.get("id").is_some()
        || url.contains("reason")
        || url.contains("indication")
}

pub(super) fn is_narrative(value: &Value) -> bool {
    value.get("div").is_some()
}

/// `meta` without profiles and source, tagged as a part of the original.
fn subsetted(meta: Option<&Value>) -> Value {
    let mut out = Map::new();
    for name in ["versionId", "lastUpdated", "security"] {
        if let Some(value) = meta.and_then(|m| m.get(name)) {
            out.insert(name.to_owned(), value.clone());
        }
    }
    let mut tags: Vec<Value> = each(meta.and_then(|m| m.get("tag"))).cloned().collect();
    tags.push(json!({"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}));
    out.insert("tag".to_owned(), Value::Array(tags));
    Value::Object(out)
}

/// The codings of an element in the element's own shape, without texts; `None` where there is none.
fn coding_only(resource: &Value, name: &str) -> Option<Value> {
    let value = resource.get(name)?;
    if value.is_string() {
        return Some(value.clone());
    }
    codings(resource, name).next()?;
    let one = |concept: &Value| -> Value {
        let bare = |coding: &Value| {
            let fields = ["system", "version", "code", "display"];
            let kept = fields.iter().filter_map(|f| Some(((*f).to_owned(), coding.get(f)?.clone())));
            Value::Object(kept.collect())
        };
        match concept.get("coding") {
            Some(list) => json!({"coding": each(Some(list)).map(bare).collect::<Vec<_>>()}),
            None if concept.get("code").is_some() => bare(concept),
            // A concept in words only: it is counted, not shown.
            None => json!({}),
        }
    };
    match value {
        Value::Array(list) => {
            let kept: Vec<Value> =
                list.iter().map(one).filter(|v| v.as_object().is_some_and(|o| !o.is_empty())).collect();
            Some(Value::Array(kept))
        }
        other => Some(one(other)),
    }
}

/// A date, a period, or a timing's bounds; never a string such as "as a child".
fn date_only(value: &Value) -> Option<Value> {
    match value {
        Value::String(written) if written.starts_with(|c: char| c.is_ascii_digit()) => Some(value.clone()),
        Value::Bool(_) => Some(value.clone()),
        Value::Object(fields) => {
            let bound = |name: &str| Some((name.to_owned(), date_only(fields.get(name)?)?));
            let kept: Map<String, Value> = ["start", "end", "boundsPeriod"].into_iter().filter_map(bound).collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        _ => None,
    }
}

/// A reference without its display text.
fn bare_reference(value: &Value) -> Value {
    let fields = ["reference", "type", "identifier"];
    let one =
        |r: &Value| Value::Object(fields.iter().filter_map(|f| Some(((*f).to_owned(), r.get(f)?.clone()))).collect());
    match value {
        Value::Array(list) => Value::Array(list.iter().map(one).collect()),
        other => one(other),
    }
}

/// Elements that hold a status or an intent as a bare code.
const STATUS: [&str; 13] = [
    "status",
    "docStatus",
    "intent",
    "priority",
    "criticality",
    "lifecycleStatus",
    "active",
    "gender",
    "language",
    "doNotPerform",
    "wasNotGiven",
    "primarySource",
    "deceasedBoolean",
];
/// Coded elements that say in which state a record is, not what it is about.
const STATUS_CODED: [&str; 4] = ["clinicalStatus", "verificationStatus", "achievementStatus", "category"];
/// Elements whose codings are kept. Reasons and results are not among them: a summary says that there was a test, not its value.
const CODED: [&str; 22] = [
    "clinicalStatus",
    "verificationStatus",
    "achievementStatus",
    "category",
    "code",
    "type",
    "class",
    "vaccineCode",
    "medicationCodeableConcept",
    "productCodeableConcept",
    "severity",
    "bodySite",
    "serviceType",
    "serviceCategory",
    "specialty",
    "modality",
    "appointmentType",
    "scope",
    "description",
    "relationship",
    "format",
    "businessStatus",
];
/// Elements that hold dates.
const DATED: [&str; 42] = [
    "effectiveDateTime",
    "effectivePeriod",
    "effectiveInstant",
    "performedDateTime",
    "performedPeriod",
    "occurrenceDateTime",
    "occurrencePeriod",
    "onsetDateTime",
    "onsetPeriod",
    "abatementDateTime",
    "abatementPeriod",
    "abatementBoolean",
    "period",
    "actualPeriod",
    "started",
    "start",
    "end",
    "startDate",
    "statusDate",
    "whenHandedOver",
    "whenPrepared",
    "executionPeriod",
    "identifiedDateTime",
    "servicedDate",
    "billablePeriod",
    "authoredOn",
    "lastModified",
    "recordedDate",
    "lastOccurrence",
    "dateTime",
    "dateAsserted",
    "date",
    "issued",
    "authored",
    "created",
    "recorded",
    "sent",
    "received",
    "birthDate",
    "deceasedDateTime",
    "expirationDate",
    "validityPeriod",
];
/// Elements that say whom a record is about.
const SUBJECT: [&str; 4] = ["subject", "patient", "for", "beneficiary"];
/// Elements that say why, or say it in prose.
const INDICATION: [&str; 8] = [
    "note",
    "reasonCode",
    "reasonReference",
    "reason",
    "indication",
    "supportingInformation",
    "supportingInfo",
    "asNeededCodeableConcept",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_has_codes_dates_and_status_and_no_words() {
        let made = summary(&json!({
            "resourceType": "Observation", "id": "1", "status": "final", "text": {"div": "<div>secret</div>"},
            "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6", "display": "Systolic"}], "text": "secret"},
            "subject": {"reference": "Patient/1", "display": "secret"},
            "effectiveDateTime": "2026-01-01", "valueString": "secret", "note": [{"text": "secret"}],
            "reasonCode": [{"coding": [{"code": "secret"}]}]
        }));
        assert!(!made.to_string().contains("secret"), "{made}");
        assert_eq!(made["code"]["coding"][0]["code"], "8480-6");
        assert_eq!(made["effectiveDateTime"], "2026-01-01");
        assert_eq!(made["meta"]["tag"][0]["code"], "SUBSETTED");
        assert!(made.get("extension").is_none());
    }

    #[test]
    fn an_uncoded_entry_is_marked_so_that_it_can_be_counted() {
        let made = summary(&json!({
            "resourceType": "Condition", "code": {"text": "secret"}, "onsetString": "secret",
            "clinicalStatus": {"coding": [{"system": "s", "code": "active"}]}
        }));
        assert_eq!(made["extension"][0], json!({"url": UNCODED, "valueBoolean": true}));
        assert_eq!(made["clinicalStatus"]["coding"][0]["code"], "active");
        assert!(!made.to_string().contains("secret"));
    }

    #[test]
    fn the_essential_form_keeps_drug_and_dose_and_drops_why() {
        let made = essential(&json!({
            "resourceType": "MedicationRequest", "text": {"div": "secret"},
            "contained": [{"resourceType": "Condition", "id": "c", "code": {"text": "secret"}},
                          {"resourceType": "Medication", "id": "m", "code": {"text": "Lithium"}}],
            "medicationCodeableConcept": {"text": "Lithium carbonate 400 mg"},
            "dosageInstruction": [{"text": "one at night", "asNeededCodeableConcept": {"text": "secret"}}],
            "reasonCode": [{"text": "secret"}], "reasonReference": [{"display": "secret"}], "note": [{"text": "secret"}],
            "extension": [{"url": "https://x/indication", "valueString": "secret"}]
        }));
        let written = made.to_string();
        assert!(!written.contains("secret"), "{written}");
        assert!(written.contains("Lithium carbonate 400 mg") && written.contains("one at night"));
        assert!(written.contains(r#""code":{"text":"Lithium"}"#));
        assert_eq!(made["dosageInstruction"][0]["asNeededBoolean"], true);
    }

    #[test]
    fn a_frame_comes_back_and_a_bomb_does_not() {
        let mut packer = Packer::default();
        assert_eq!(unpack(&packer.pack(b"{}").unwrap()).unwrap(), b"{}");
        let bomb = packer.pack(&vec![b' '; RECORD_MAX + 1]).unwrap();
        assert!(unpack(&bomb).is_err());
    }
}
