//! Who gave what, to whom, why and when: one `Provenance` for each source that replied, and the `Organization`s they name.

use careweave_protocol::desk::View;
use careweave_protocol::desk::view::{Source, SourceView, WITHHELD};
use careweave_protocol::query::Completeness;
use careweave_protocol::record::code::ODS;
use serde_json::{Value, json};

use super::address::{Host, urn};
use super::{Entry, Released, Resource, instant};

/// An `Organization` for each source that is named.
pub(super) fn organisations<'a>(view: &View, completeness: &Completeness) -> Vec<Entry<'a>> {
    let network = Host::network(&completeness.network);
    let named = view.sources.iter().filter(|source| source.ods != WITHHELD);
    let organisation = |source: &SourceView| {
        let mut resource = json!({
            "resourceType": "Organization",
            "id": source.ods,
            "identifier": [{"system": ODS, "value": source.ods}],
        });
        if let (Some(fields), false) = (resource.as_object_mut(), source.name.is_empty()) {
            fields.insert("name".to_owned(), json!(source.name));
        }
        Entry { full_url: network.full_url("Organization", &source.ods), resource: Resource::Made(resource) }
    };
    named.map(organisation).collect()
}

/// A `Provenance` for each source that gave something: records, or a signed answer that there is nothing to share. It is about that
/// source's records; without any, about the statement of what was received.
pub(super) fn provenance<'a>(view: &View, completeness: &Completeness, released: &Released<'_>) -> Vec<Entry<'a>> {
    let Some(recorded) = instant(view.as_at) else { return Vec::new() };
    let statement = json!({"reference": urn(&[b"OperationOutcome", view.query_id.as_bytes()])});
    let mut made = Vec::new();
    for source in &view.sources {
        let mut target = released.references(&source.ods);
        let receipt = receipt(source, completeness);
        if target.is_empty() && receipt.is_none() {
            continue;
        }
        if target.is_empty() {
            target.push(statement.clone());
        }
        let mut resource = json!({
            "resourceType": "Provenance",
            "target": target,
            "recorded": recorded,
            "reason": [{"coding": [{"system": ACT_REASON, "code": view.purpose.as_str()}]}],
            "activity": {"coding": [{"system": LIFECYCLE, "code": "disclose"}]},
            "agent": agents(view, source, completeness),
        });
        if let (Some(fields), Some(receipt)) = (resource.as_object_mut(), receipt) {
            let what = json!({
                "identifier": {"system": RECEIPT, "value": receipt},
                "display": "SHA-256 of the signed answer header",
            });
            fields.insert("entity".to_owned(), json!([{"role": "source", "what": what}]));
        }
        let full_url = urn(&[b"Provenance", view.query_id.as_bytes(), source.ods.as_bytes()]);
        made.push(Entry { full_url, resource: Resource::Made(resource) });
    }
    made
}

/// The holder, the organisation whose node put the view together, and the person who asked, by name only.
fn agents(view: &View, source: &SourceView, completeness: &Completeness) -> Value {
    let holder = Source { ods: source.ods.clone(), name: source.name.clone() };
    let asker = Source { ods: view.asker.as_str().to_owned(), name: view.asker_name.clone() };
    let asker = organisation(&asker, completeness);
    let participant = |code: &str| json!({"coding": [{"system": PARTICIPANT, "code": code}]});
    let person = if view.requester.is_empty() { "name not given" } else { &view.requester };
    json!([
        {"type": participant("custodian"), "who": organisation(&holder, completeness)},
        {"type": participant("assembler"), "who": asker},
        {
            "type": {"coding": [{"system": PARTICIPATION, "code": "IRCP", "display": "information recipient"}]},
            "who": {"display": format!("{person} ({})", view.group.as_str())},
            "onBehalfOf": asker,
        },
    ])
}

/// A reference to an organisation; by its description only where it may not be named.
fn organisation(source: &Source, completeness: &Completeness) -> Value {
    if source.ods == WITHHELD {
        return json!({"display": source.name});
    }
    json!({
        "reference": Host::network(&completeness.network).full_url("Organization", &source.ods),
        "identifier": {"system": ODS, "value": source.ods},
        "display": source.to_string(),
    })
}

/// Hash of the signed answer; of a local organisation that may not be named it is not said, because whoever keeps the answers
/// could tell by it which one it was.
fn receipt(source: &SourceView, completeness: &Completeness) -> Option<String> {
    let line = completeness.sources.iter().find(|line| line.ods.as_str() == source.ods)?;
    line.receipt.map(|receipt| receipt.to_string())
}

/// Purposes of use.
const ACT_REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
/// Events in the life of a record (ISO 21089).
const LIFECYCLE: &str = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle";
/// Parts that agents play in provenance.
const PARTICIPANT: &str = "http://terminology.hl7.org/CodeSystem/provenance-participant-type";
/// Parts that people play in an act.
const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
/// Identifier system of answers: SHA-256 of the signed header, in hexadecimal, as in the RECEIPT of the asker's log.
const RECEIPT: &str = "https://careweave.example/fhir/answer-header-sha256";
