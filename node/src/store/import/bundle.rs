//! Takes a Bundle apart: first its Patients, Organizations and PractitionerRoles, then the rest, then what is about other entries. A document
//! stays whole.

use std::borrow::Cow;
use std::collections::HashMap;

use careweave_protocol::id::OdsCode;
use careweave_protocol::record::code::ODS;
use careweave_protocol::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Importer;
use super::reason::{Outcome, Reason};
use super::scope::{Position, Scope};
use crate::store::database::StoreError;
use crate::store::element::identifiers;
use crate::store::patients::PatientKey;

/// The outside of any resource.
#[derive(Deserialize)]
pub(super) struct Outside<'a> {
    #[serde(rename = "resourceType", borrow, default)]
    pub(super) kind: Option<Cow<'a, str>>,
    #[serde(rename = "type", borrow, default)]
    bundle_type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow, default)]
    entry: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(rename = "fullUrl", borrow, default)]
    full_url: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    resource: Option<&'a RawValue>,
}

/// One entry to file, in the Bundle's order within its rank.
struct Part<'a> {
    number: u64,
    full_url: Option<Cow<'a, str>>,
    raw: &'a str,
    rank: Rank,
}

/// What is filed first: whom others refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    People,
    Organisations,
    Roles,
    Records,
    AboutRecords,
}

impl Importer {
    /// One JSON value: a Bundle, or a single resource. `position` is the line's or the file's.
    pub(super) fn json(&mut self, text: &str, position: Position, lines: bool) -> Result<(), StoreError> {
        let outside: Outside<'_> = match serde_json::from_str(text) {
            Ok(outside) => outside,
            Err(error) => {
                let whole = serde_json::from_str::<&RawValue>(text);
                let reason = if whole.is_ok() { Reason::NotAnObject } else { Reason::json(&error) };
                let line = if lines { position.line } else { Some(u64::try_from(error.line()).unwrap_or(0)) };
                self.bad(Position { line, ..position }, &reason);
                return Ok(());
            }
        };
        if outside.kind.as_deref() == Some("Bundle") && !outside.is_document() {
            return self.bundle(text, &outside, position, lines);
        }
        let (owners, organisations) = (HashMap::new(), HashMap::new());
        let scope =
            Scope { position, full_url: None, owners: &owners, organisations: &organisations, sole_patient: None };
        // What surrounds the value is the file's, not the resource's.
        self.resource(text.trim(), &scope)?;
        Ok(())
    }

    fn bundle<'a>(
        &mut self,
        text: &'a str,
        outside: &Outside<'a>,
        position: Position,
        lines: bool,
    ) -> Result<(), StoreError> {
        match outside.bundle_type() {
            Some(kind) if BUNDLE_TYPES.contains(&kind.as_ref()) => {}
            other => {
                let reason = if other.is_none() { Reason::NoBundleType } else { Reason::UnknownBundleType };
                self.bad(position, &reason);
                return Ok(());
            }
        }
        self.note_currency(outside.stated());
        let entries: Vec<&RawValue> = match outside.entry.map(|raw| serde_json::from_str(raw.get())) {
            None => Vec::new(),
            Some(Ok(entries)) => entries,
            Some(Err(_)) => {
                self.bad(position, &Reason::NotAnObject);
                return Ok(());
            }
        };
        let at = |number: u64| Position { entry: if lines { position.entry } else { number }, ..position };
        let mut parts = Vec::with_capacity(entries.len());
        for (number, raw) in (1u64..).zip(entries) {
            match part(number, raw) {
                Ok(part) => parts.push(part),
                Err(reason) => self.bad_within(at(number), &reason, text, raw.get(), lines),
            }
        }
        parts.sort_by_key(|part| (part.rank, part.number));
        let linked = parts.last().is_some_and(|part| part.rank == Rank::AboutRecords);

        let mut owners: HashMap<Cow<'_, str>, PatientKey> = HashMap::new();
        let mut organisations: HashMap<Cow<'_, str>, OdsCode> = HashMap::new();
        let mut people: Vec<PatientKey> = Vec::new();
        for part in &parts {
            let sole_patient = match people.as_slice() {
                [one] => Some(*one),
                _ => None,
            };
            let full_url = part.full_url.as_deref();
            let scope = Scope {
                position: at(part.number),
                full_url,
                owners: &owners,
                organisations: &organisations,
                sole_patient,
            };
            let filed = self.part(part.raw, &scope, text, lines)?;
            let Some((resource, outcome, owner)) = filed else { continue };
            if part.rank == Rank::Organisations
                && let Some(url) = &part.full_url
                && let Some(ods) =
                    identifiers(&resource).find(|(system, _)| *system == ODS).and_then(|(_, v)| v.parse().ok())
            {
                organisations.insert(url.clone(), ods);
            }
            if outcome == Outcome::Parked {
                continue;
            }
            if part.rank == Rank::People && !people.contains(&owner) && people.len() < 2 {
                people.push(owner);
            }
            if let (true, Some(url)) = (part.rank == Rank::People || linked, &part.full_url) {
                owners.insert(url.clone(), owner);
            }
        }
        Ok(())
    }

    /// One entry; `None` when it was bad.
    fn part(
        &mut self,
        raw: &str,
        scope: &Scope<'_>,
        text: &str,
        lines: bool,
    ) -> Result<Option<(Value, Outcome, PatientKey)>, StoreError> {
        let resource: Value = match serde_json::from_str(raw) {
            Ok(resource) => resource,
            Err(error) => {
                self.bad_within(scope.position, &Reason::json(&error), text, raw, lines);
                return Ok(None);
            }
        };
        match self.file_one(raw, &resource, scope)? {
            Ok((outcome, owner)) => Ok(Some((resource, outcome, owner))),
            Err(reason) => {
                self.bad_within(scope.position, &reason, text, raw, lines);
                Ok(None)
            }
        }
    }

    /// A bad entry of a Bundle, with the line at which it begins.
    fn bad_within(&mut self, position: Position, reason: &Reason, text: &str, part: &str, lines: bool) {
        let line = if lines || !self.lists_more_bad() { position.line } else { line_of(text, part) };
        self.bad(Position { line, ..position }, reason);
    }
}

impl<'a> Outside<'a> {
    fn bundle_type(&self) -> Option<Cow<'a, str>> {
        self.bundle_type.and_then(|raw| serde_json::from_str(raw.get()).ok())
    }

    fn is_document(&self) -> bool {
        self.bundle_type().as_deref() == Some("document")
    }

    /// `Bundle.timestamp`.
    fn stated(&self) -> Option<Timestamp> {
        let text: Cow<'_, str> = serde_json::from_str(self.timestamp?.get()).ok()?;
        Timestamp::from_rfc3339(&text)
    }
}

fn part<'a>(number: u64, raw: &'a RawValue) -> Result<Part<'a>, Reason> {
    let entry: Entry<'a> = serde_json::from_str(raw.get()).map_err(|_| Reason::NotAnObject)?;
    let resource = entry.resource.ok_or(Reason::NoResource)?;
    let outside: Outside<'_> = serde_json::from_str(resource.get()).map_err(|_| Reason::NotAnObject)?;
    let rank = match outside.kind.as_deref().ok_or(Reason::NoResourceType)? {
        "Bundle" if !outside.is_document() => return Err(Reason::NestedBundle),
        "Patient" => Rank::People,
        "Organization" => Rank::Organisations,
        "PractitionerRole" => Rank::Roles,
        "Provenance" | "AuditEvent" => Rank::AboutRecords,
        _ => Rank::Records,
    };
    Ok(Part { number, full_url: entry.full_url, raw: resource.get(), rank })
}

/// The line of `text` at which `part`, a slice of it, begins.
fn line_of(text: &str, part: &str) -> Option<u64> {
    let offset = part.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let before = text.as_bytes().get(..offset)?;
    u64::try_from(before.iter().filter(|b| **b == b'\n').count()).ok().map(|lines| lines + 1)
}

/// Bundle types whose entries are taken one by one (FHIR R4 `bundle-type` but `document`).
const BUNDLE_TYPES: [&str; 8] =
    ["transaction", "batch", "collection", "searchset", "history", "message", "transaction-response", "batch-response"];
