//! Decisions, flags, plans, teams, referrals and tasks.

use careweave_protocol::time::Timestamp;
use serde_json::Value;

use super::element::{concept, concept_texts, concepts, first_text, joined, list, quantity_text, reference, text};
use super::{Activity, Entry};
use crate::view::dates;

/// `Consent`: an advance decision. One whose time is over is not in force.
pub(super) fn consent(entry: &mut Entry, json: &Value, as_at: Timestamp) {
    entry.describe(concepts(json, "/category").into_iter().next().or_else(|| concept(json, "/scope")));
    entry.row.date = first_text(json, &["/provision/period/start", "/dateTime"]);
    entry.row.date_end = text(json, "/provision/period/end");
    entry.row.recorded = text(json, "/dateTime");
    entry.row.author = reference(json, "/performer/0").or_else(|| reference(json, "/organization/0"));
    entry.activity = match entry.row.status.as_deref() {
        Some("active") if !over(entry, as_at) => Activity::Current,
        Some("draft" | "proposed") => Activity::Unknown,
        _ => Activity::Ended,
    };
    entry.ongoing = entry.activity == Activity::Current;
    let provision =
        joined([text(json, "/provision/type"), concept_texts(json, "/provision/code")].into_iter().flatten(), ": ");
    entry.detail("decision", provision);
    entry.detail("policy", concept(json, "/policyRule").map(|rule| rule.text));
    if let Some(source) = json.get("sourceAttachment") {
        super::document::attachment(entry, source);
    }
}

/// `Flag`.
pub(super) fn flag(entry: &mut Entry, json: &Value, as_at: Timestamp) {
    entry.describe(concept(json, "/code"));
    entry.row.date = text(json, "/period/start");
    entry.row.date_end = text(json, "/period/end");
    entry.row.author = reference(json, "/author");
    // A flag without a status is shown: hiding one could hurt somebody.
    entry.activity = match entry.row.status.as_deref() {
        Some("active") | None if !over(entry, as_at) => Activity::Current,
        _ => Activity::Ended,
    };
    entry.ongoing = entry.activity == Activity::Current;
    entry.detail("kind", concept_texts(json, "/category"));
}

/// `CarePlan`.
pub(super) fn plan(entry: &mut Entry, json: &Value) {
    entry.describe(concepts(json, "/category").into_iter().next());
    if let Some(title) = text(json, "/title") {
        entry.row.text = title;
    }
    entry.row.date = first_text(json, &["/period/start", "/created"]);
    entry.row.date_end = text(json, "/period/end");
    entry.row.recorded = text(json, "/created");
    entry.row.author = reference(json, "/author").or_else(|| reference(json, "/contributor/0"));
    entry.activity = lifecycle(entry);
    entry.ongoing = entry.activity == Activity::Current;
    entry.detail("description", text(json, "/description"));
    for activity in list(json, "/activity") {
        let detail = activity.get("detail").unwrap_or(activity);
        let what = text(detail, "/description")
            .or_else(|| concept(detail, "/code").map(|code| code.text))
            .or_else(|| reference(activity, "/reference"));
        let status = text(detail, "/status").filter(|status| status != "in-progress");
        let line = match (what, status) {
            (Some(what), Some(status)) => Some(format!("{what} ({status})")),
            (what, _) => what,
        };
        entry.detail("activity", line);
    }
    entry.annotations(json);
}

/// `Goal`.
pub(super) fn goal(entry: &mut Entry, json: &Value) {
    entry.describe(concept(json, "/description"));
    entry.row.date = text(json, "/startDate");
    entry.row.recorded = text(json, "/statusDate");
    entry.row.author = reference(json, "/expressedBy");
    entry.activity = lifecycle(entry);
    entry.ongoing = entry.activity == Activity::Current;
    entry.detail("achievement", concept(json, "/achievementStatus").map(|status| status.text));
    for target in list(json, "/target") {
        let what = concept(target, "/measure").map(|measure| measure.text);
        let by = text(target, "/dueDate").map(|due| format!("by {due}"));
        let line = joined([what, quantity_text(target, "/detailQuantity"), by].into_iter().flatten(), " ");
        entry.detail("target", line);
    }
    entry.annotations(json);
}

/// `CareTeam`: one part for each participant.
pub(super) fn team(entry: &mut Entry, json: &Value) {
    entry.describe(concepts(json, "/category").into_iter().next());
    if let Some(name) = text(json, "/name") {
        entry.row.text = name;
    }
    if entry.row.text.is_empty() {
        "care team".clone_into(&mut entry.row.text);
    }
    entry.row.date = text(json, "/period/start");
    entry.row.date_end = text(json, "/period/end");
    // Without a status a team is taken as the current one.
    entry.activity = match entry.row.status.as_deref() {
        Some("active") | None => Activity::Current,
        Some(_) => Activity::Ended,
    };
    entry.ongoing = entry.activity == Activity::Current;
    for participant in list(json, "/participant") {
        let role = concept_texts(participant, "/role");
        let who = reference(participant, "/member").filter(|who| Some(who) != role.as_ref());
        let line = joined([role, who].into_iter().flatten(), ": ");
        entry.detail("member", line);
    }
    entry.annotations(json);
}

/// `ServiceRequest`.
pub(super) fn request(entry: &mut Entry, json: &Value) {
    entry.describe(concept(json, "/code"));
    entry.row.date = first_text(json, &["/occurrenceDateTime", "/occurrencePeriod/start", "/authoredOn"]);
    entry.row.date_end = text(json, "/occurrencePeriod/end");
    entry.row.recorded = text(json, "/authoredOn");
    entry.row.author = reference(json, "/requester");
    entry.activity = lifecycle(entry);
    entry.ongoing = entry.activity == Activity::Current;
    entry.detail("priority", text(json, "/priority").filter(|priority| priority != "routine"));
    entry.detail("reason", concept_texts(json, "/reasonCode"));
    entry.detail("to", reference(json, "/performer/0"));
    entry.annotations(json);
}

/// `Task`.
pub(super) fn task(entry: &mut Entry, json: &Value) {
    entry.describe(concept(json, "/code"));
    let description = text(json, "/description").filter(|words| *words != entry.row.text);
    if entry.row.text.is_empty() {
        entry.row.text = description.unwrap_or_default();
    } else {
        entry.detail("what", description);
    }
    entry.row.date = first_text(json, &["/executionPeriod/start", "/authoredOn"]);
    entry.row.date_end = text(json, "/executionPeriod/end");
    entry.row.recorded = first_text(json, &["/lastModified", "/authoredOn"]);
    entry.row.author = reference(json, "/requester");
    entry.row.status_reason = concept(json, "/statusReason").map(|reason| reason.text);
    entry.activity = match entry.row.status.as_deref() {
        Some("completed" | "cancelled" | "rejected" | "failed") => Activity::Ended,
        Some(_) => Activity::Current,
        None => Activity::Unknown,
    };
    entry.ongoing = entry.activity == Activity::Current;
    entry.detail("owner", reference(json, "/owner"));
    entry.detail("due", text(json, "/restriction/period/end"));
    entry.detail("business status", concept(json, "/businessStatus").map(|status| status.text));
    entry.annotations(json);
}

fn lifecycle(entry: &Entry) -> Activity {
    match entry.row.status.as_deref() {
        Some("active" | "on-hold" | "accepted" | "planned" | "proposed" | "draft") => Activity::Current,
        Some("revoked" | "cancelled" | "rejected") => Activity::Ended,
        _ => Activity::Unknown,
    }
}

/// Whether the period of an entry ended before the view was made.
fn over(entry: &Entry, as_at: Timestamp) -> bool {
    entry.row.date_end.as_deref().and_then(dates::parse).is_some_and(|end| end.until <= as_at)
}
