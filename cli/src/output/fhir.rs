//! A view as an HL7 FHIR R4 `Bundle` of type `collection`: the records byte for byte as their holders released them, with an
//! `OperationOutcome` that says what the view is made from, and a `Provenance` for each source that gave something.
//!
//! `address` (where each entry stands, so that references resolve within their own source) · `outcome` (completeness) ·
//! `provenance` (who gave what to whom). What is *not* here: merging and its rows; conflicts point at the records they are about.

mod address;
mod outcome;
mod provenance;

use std::collections::{BTreeMap, BTreeSet};

use careweave_protocol::desk::view::{Moment, WITHHELD};
use careweave_protocol::desk::{SourceResource, View};
use careweave_protocol::id::Digest;
use careweave_protocol::query::Completeness;
use careweave_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use address::{Host, is_id, urn};

/// The Bundle. It has no `Debug`, because it is the record; it serialises without copying the bodies.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bundle<'a> {
    resource_type: &'static str,
    id: String,
    identifier: Value,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    entry: Vec<Entry<'a>>,
}

/// The Bundle of a view whose completeness statement was verified, with the records that came beside it.
///
/// Each record stands at a full URL of its own source, so that a relative reference in it resolves among that source's records
/// and nowhere else (FHIR R4, 2.36.4.1). A local organisation of an address-restricted patient is named nowhere. What is not a FHIR
/// resource is left out, and the `OperationOutcome` says so.
#[must_use]
pub fn bundle<'a>(view: &View, completeness: &Completeness, resources: &'a [SourceResource]) -> Bundle<'a> {
    let mut released = Released::default();
    let mut unnamed = 0;
    for source in by_source(resources) {
        unnamed += usize::from(source.first().is_some_and(|first| first.source.ods == WITHHELD));
        released.take(&source, unnamed, completeness);
    }
    let outcome = Entry {
        full_url: urn(&[b"OperationOutcome", view.query_id.as_bytes()]),
        resource: Resource::Made(outcome::outcome(view, completeness, &released)),
    };
    let mut entry = vec![outcome];
    let organisations = provenance::organisations(view, completeness);
    let provenance = provenance::provenance(view, completeness, &released);
    entry.extend(released.entries);
    entry.extend(organisations);
    entry.extend(provenance);
    let id = view.query_id.to_string();
    Bundle {
        resource_type: "Bundle",
        identifier: json!({"system": QUERY, "value": id}),
        id,
        kind: "collection",
        timestamp: instant(view.as_at),
        entry,
    }
}

/// One entry of the Bundle.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    full_url: String,
    resource: Resource<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Resource<'a> {
    /// As its holder released it: decimals keep their digits, and hashes their preimage.
    Released(&'a RawValue),
    /// Made here.
    Made(Value),
}

/// The released records as entries, and where each source's stand. The `OperationOutcome` is entry 0, they begin at 1.
#[derive(Default)]
struct Released<'a> {
    entries: Vec<Entry<'a>>,
    /// Positions in the Bundle by source and `Type/id`.
    positions: BTreeMap<(String, String), Vec<usize>>,
    /// Full URLs of each source's entries.
    targets: BTreeMap<String, Vec<String>>,
    /// Records of each source that are no FHIR resources.
    left_out: BTreeMap<String, u32>,
}

impl<'a> Released<'a> {
    fn take(&mut self, source: &[&'a SourceResource], number: usize, completeness: &Completeness) {
        let Some(ods) = source.first().map(|first| first.source.ods.as_str()) else { return };
        let host = Host::of(ods, number, &completeness.network);
        let mut seen: BTreeMap<(String, Option<String>), Digest> = BTreeMap::new();
        for resource in source {
            let digest = Digest::of(&[&resource.body]);
            let Some((raw, head)) = read(&resource.body) else {
                *self.left_out.entry(ods.to_owned()).or_default() += 1;
                continue;
            };
            let named = head.id.as_deref().filter(|id| is_id(id));
            let mut full_url = match named {
                Some(id) => host.full_url(&head.resource_type, id),
                None => urn(&[host.as_bytes(), digest.as_bytes()]),
            };
            let version = head.meta.and_then(|meta| meta.version_id);
            match seen.get(&(full_url.clone(), version.clone())) {
                // The same bytes twice are one entry. Other bytes under one id and version stand apart, so that nothing is lost
                // and full URLs stay unique (bdl-7).
                Some(known) if *known == digest => continue,
                Some(_) => full_url = urn(&[host.as_bytes(), digest.as_bytes()]),
                None => {}
            }
            if seen.insert((full_url.clone(), version), digest).is_some() {
                continue;
            }
            self.entries.push(Entry { full_url: full_url.clone(), resource: Resource::Released(raw) });
            let key = (ods.to_owned(), format!("{}/{}", head.resource_type, head.id.unwrap_or_default()));
            self.positions.entry(key).or_default().push(self.entries.len());
            let targets = self.targets.entry(ods.to_owned()).or_default();
            targets.push(full_url);
        }
    }

    /// FHIRPath of every entry that is this record of this source.
    fn paths(&self, ods: &str, kind: &str, id: &str) -> Vec<String> {
        let positions = self.positions.get(&(ods.to_owned(), format!("{kind}/{id}")));
        positions.into_iter().flatten().map(|position| format!("Bundle.entry[{position}].resource")).collect()
    }

    /// References to everything that a source gave; versions of one record share theirs.
    fn references(&self, ods: &str) -> Vec<Value> {
        let targets: BTreeSet<&String> = self.targets.get(ods).into_iter().flatten().collect();
        targets.into_iter().map(|target| json!({"reference": target})).collect()
    }
}

/// The records of each source together, in the order in which they came. Local organisations that may not be named come last, in
/// the order of their records' hashes, because the order of their codes would be a hint.
fn by_source(resources: &[SourceResource]) -> Vec<Vec<&SourceResource>> {
    let mut sources: Vec<((&str, u32), Vec<&SourceResource>)> = Vec::new();
    for resource in resources {
        let key = (resource.source.ods.as_str(), resource.origin);
        match sources.iter_mut().find(|(known, _)| *known == key) {
            Some((_, records)) => records.push(resource),
            None => sources.push((key, vec![resource])),
        }
    }
    let unnamed = |records: &[&SourceResource]| {
        let first = records.first().filter(|first| first.source.ods == WITHHELD);
        first.map(|first| Digest::of(&[&first.body]).0)
    };
    let mut sources: Vec<Vec<&SourceResource>> = sources.into_iter().map(|(_, records)| records).collect();
    sources.sort_by_cached_key(|records| unnamed(records));
    sources
}

/// The text of a FHIR resource and what its entry needs to know of it; `None` of anything else.
fn read(body: &[u8]) -> Option<(&RawValue, Head)> {
    let raw: &RawValue = serde_json::from_slice(body).ok()?;
    let head: Head = serde_json::from_str(raw.get()).ok()?;
    let typed = head.resource_type.starts_with(|c: char| c.is_ascii_uppercase())
        && head.resource_type.chars().all(|c| c.is_ascii_alphabetic());
    typed.then_some((raw, head))
}

/// What an entry needs to know of its resource.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    resource_type: String,
    id: Option<String>,
    meta: Option<Meta>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    version_id: Option<String>,
}

/// A FHIR `instant`; `None` beyond the calendar.
fn instant(moment: Moment) -> Option<String> {
    let text = moment.0.rfc3339();
    Timestamp::from_rfc3339(&text).map(|_| text)
}

/// Identifier system of query ids, which are the same on every log.
const QUERY: &str = "https://careweave.example/fhir/query-id";

#[cfg(test)]
mod tests;
