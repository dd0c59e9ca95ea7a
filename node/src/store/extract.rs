//! What the index header says of a resource: identity, version, status, dates and codes.

use careweave_protocol::id::{Digest, OdsCode};
use careweave_protocol::limits::{CODES_MAX, TEXT_MAX};
use careweave_protocol::record::Coding;
use careweave_protocol::record::code::ODS;
use careweave_protocol::time::{PartialDate, Timestamp};
use serde_json::Value;

use super::element::{codings, identifiers, items, text};

/// Code system of the kind of an episode: `residency` in `EpisodeOfCare.type` or `Encounter.type` means the patient lives there, `meeting`
/// in `Encounter.type` that it was a meeting about the patient.
pub const EPISODE_KIND: &str = "https://careweave.example/fhir/CodeSystem/episode-kind";

/// The id under which this holder knows the resource: its own, else its first identifier's hash, else the `urn:uuid` of its
/// entry, else its content's hash.
#[must_use]
pub(super) fn identity(resource: &Value, raw: &str, full_url: Option<&str>) -> String {
    if let Some(id) = text(resource, "id") {
        return id.to_owned();
    }
    if let Some((system, value)) = identifiers(resource).next() {
        return short_hash(&[b"identifier", system.as_bytes(), &[0], value.as_bytes()]);
    }
    if let Some(uuid) = full_url.and_then(|url| url.strip_prefix("urn:uuid:")) {
        return uuid.to_owned();
    }
    short_hash(&[b"content", raw.as_bytes()])
}

fn short_hash(parts: &[&[u8]]) -> String {
    let mut text = Digest::of(parts).to_string();
    text.truncate(32);
    text
}

/// `meta.versionId` and `meta.lastUpdated`.
#[must_use]
pub(super) fn version(resource: &Value) -> (Option<String>, Option<Timestamp>) {
    let Some(meta) = resource.get("meta") else { return (None, None) };
    let version = text(meta, "versionId").filter(|v| v.len() <= usize::from(u8::MAX)).map(str::to_owned);
    (version, text(meta, "lastUpdated").and_then(Timestamp::from_rfc3339))
}

/// FHIR status, else clinical status; `entered-in-error` wins over both.
#[must_use]
pub(super) fn status(resource: &Value) -> Option<String> {
    let first = |name| codings(resource, name).next().map(|(_, code, _)| code);
    let verification = first("verificationStatus").filter(|code| matches!(*code, "entered-in-error" | "refuted"));
    verification
        .or_else(|| text(resource, "status"))
        .or_else(|| first("clinicalStatus"))
        .map(|status| status.chars().take(TEXT_MAX).collect())
}

/// First instant the clinical date can mean and the first it can no longer mean; the recorded date where there is no clinical
/// one. An end is missing while something is still going on.
#[must_use]
pub(super) fn dates(resource: &Value, status: Option<&str>) -> (Option<Timestamp>, Option<Timestamp>) {
    let (from, until) = STARTS
        .iter()
        .find_map(|name| resource.get(name).and_then(interval))
        .or_else(|| RECORDED.iter().find_map(|name| resource.get(name).and_then(interval)))
        .unwrap_or((None, None));
    let end = ENDS.iter().find_map(|name| resource.get(name).and_then(interval));
    if let Some((_, Some(end))) = end {
        return (from, Some(end));
    }
    let kind = text(resource, "resourceType").unwrap_or("");
    if CONTINUING.contains(&kind) && status.is_none_or(|s| GOING_ON.contains(&s)) {
        // A date of a condition or prescription is its beginning; only a period can state its end.
        let period = STARTS.iter().find_map(|name| resource.get(name)).filter(|v| v.is_object());
        return (from, period.and(until));
    }
    (from, until)
}

/// Where a record is in the index: newest first, undated before all, so that a scan never leaves it behind.
#[must_use]
pub(super) fn reversed(from: Option<Timestamp>) -> u64 {
    from.map_or(0, |t| !(t.0.cast_unsigned() ^ (1 << 63)))
}

/// The codes choosing needs: the organisation whose stay, episode, referral or team it is and the kind of an episode first, then what the
/// resource says it is.
#[must_use]
pub(super) fn codes(resource: &Value, party: Option<&OdsCode>) -> Vec<Coding> {
    let mut found: Vec<Coding> = Vec::new();
    found.extend(party.map(|ods| Coding { system: ODS.to_owned(), code: ods.as_str().to_owned(), display: None }));
    let said = || CODED.iter().flat_map(|name| codings(resource, name)).chain(medication(resource));
    let (kinds, others): (Vec<_>, Vec<_>) = said().partition(|(system, _, _)| *system == EPISODE_KIND);
    for (system, code, display) in kinds.into_iter().chain(others) {
        let short = |text: &str| -> String { text.chars().take(TEXT_MAX).collect() };
        let coding = Coding { system: short(system), code: short(code), display: display.map(short) };
        if found.len() < CODES_MAX && !found.contains(&coding) {
            found.push(coding);
        }
    }
    found
}

/// The codings of a contained Medication.
fn medication(resource: &Value) -> impl Iterator<Item = (&str, &str, Option<&str>)> {
    items(resource, "contained")
        .filter(|inside| text(inside, "resourceType") == Some("Medication"))
        .flat_map(|inside| codings(inside, "code"))
}

/// A `date`, `dateTime`, `instant`, `Period` or `Timing` as an interval.
fn interval(value: &Value) -> Option<(Option<Timestamp>, Option<Timestamp>)> {
    if let Some(written) = value.as_str() {
        let date = PartialDate::parse(written)?;
        return Some((Some(date.from), Some(date.until)));
    }
    if let Some(first) = value.get("event").and_then(|events| events.get(0)) {
        return interval(first);
    }
    let bound = |name| text(value, name).and_then(PartialDate::parse);
    match (bound("start"), bound("end")) {
        (None, None) => None,
        (start, end) => {
            let from = start.as_ref().or(end.as_ref()).map(|d| d.from);
            Some((from, end.map(|d| d.until)))
        }
    }
}

/// Elements that state when something was so, the most clinical first.
const STARTS: [&str; 24] = [
    "effectiveDateTime",
    "effectivePeriod",
    "effectiveInstant",
    "effectiveTiming",
    "performedDateTime",
    "performedPeriod",
    "occurrenceDateTime",
    "occurrencePeriod",
    "occurrenceTiming",
    "onsetDateTime",
    "onsetPeriod",
    "period",
    "actualPeriod",
    "started",
    "start",
    "startDate",
    "whenHandedOver",
    "whenPrepared",
    "executionPeriod",
    "identifiedDateTime",
    "collectedDateTime",
    "servicedDate",
    "billablePeriod",
    "authoredOn",
];
/// Elements that state when it was written down.
const RECORDED: [&str; 14] = [
    "recordedDate",
    "dateTime",
    "date",
    "dateAsserted",
    "assertedDate",
    "issued",
    "authored",
    "created",
    "recorded",
    "sent",
    "received",
    "statusDate",
    "timestamp",
    "createdOn",
];
/// Elements that state when it ended.
const ENDS: [&str; 3] = ["abatementDateTime", "abatementPeriod", "end"];
/// Types whose records go on until they say otherwise.
const CONTINUING: [&str; 13] = [
    "AllergyIntolerance",
    "CarePlan",
    "CareTeam",
    "Condition",
    "Consent",
    "Encounter",
    "EpisodeOfCare",
    "Flag",
    "Goal",
    "MedicationRequest",
    "MedicationStatement",
    "ServiceRequest",
    "Task",
];
/// Statuses in which they do.
const GOING_ON: [&str; 16] = [
    "active",
    "recurrence",
    "relapse",
    "in-progress",
    "arrived",
    "triaged",
    "onleave",
    "on-hold",
    "intended",
    "draft",
    "requested",
    "received",
    "accepted",
    "ready",
    "proposed",
    "planned",
];
/// Elements whose codes say what a record is.
const CODED: [&str; 12] = [
    "code",
    "type",
    "class",
    "vaccineCode",
    "medicationCodeableConcept",
    "productCodeableConcept",
    "category",
    "serviceType",
    "modality",
    "scope",
    "relationship",
    "specialty",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn instant(text: &str) -> Option<Timestamp> {
        PartialDate::parse(text).map(|d| d.from)
    }

    #[test]
    fn what_goes_on_has_no_end_and_what_ended_has_one() {
        for (resource, from, until) in [
            (json!({"resourceType": "Condition", "onsetDateTime": "2019"}), "2019", None),
            (
                json!({"resourceType": "Condition", "onsetDateTime": "2019", "abatementDateTime": "2020-03-01"}),
                "2019",
                Some("2020-03-02"),
            ),
            (
                json!({"resourceType": "Observation", "effectiveDateTime": "2019-06-01"}),
                "2019-06-01",
                Some("2019-06-02"),
            ),
            (
                json!({"resourceType": "Encounter", "status": "in-progress", "period": {"start": "2026-01-01"}}),
                "2026-01-01",
                None,
            ),
            (
                json!({"resourceType": "Encounter", "status": "finished", "period": {"start": "2026-01-01", "end": "2026-01-03"}}),
                "2026-01-01",
                Some("2026-01-04"),
            ),
            (
                json!({"resourceType": "MedicationRequest", "status": "active", "authoredOn": "2026-01-01"}),
                "2026-01-01",
                None,
            ),
            (
                json!({"resourceType": "MedicationRequest", "status": "stopped", "authoredOn": "2026-01-01"}),
                "2026-01-01",
                Some("2026-01-02"),
            ),
        ] {
            let status = status(&resource);
            assert_eq!(dates(&resource, status.as_deref()), (instant(from), until.and_then(instant)), "{resource}");
        }
    }

    #[test]
    fn newer_records_sort_first_and_undated_ones_before_all() {
        let order = [None, Some(Timestamp(10)), Some(Timestamp(-10)), Some(Timestamp(i64::MIN + 1))];
        assert!(order.map(reversed).is_sorted());
    }
}
