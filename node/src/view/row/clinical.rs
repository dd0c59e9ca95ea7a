//! Problems, allergies, procedures, immunisations and contacts.

use serde_json::Value;

use super::element::{code, concept, concept_texts, concepts, first_text, joined, list, reference, text};
use super::{Activity, Entry};

/// `Condition`.
pub(super) fn condition(entry: &mut Entry, json: &Value) {
    entry.describe(concept(json, "/code"));
    let status = code(json, "/clinicalStatus");
    entry.activity = match status.as_deref() {
        Some("active" | "recurrence" | "relapse") => Activity::Current,
        Some(_) => Activity::Ended,
        None => Activity::Unknown,
    };
    entry.ongoing = entry.activity != Activity::Ended;
    let row = &mut entry.row;
    row.status = status;
    row.verification = code(json, "/verificationStatus");
    row.date = first_text(json, &["/onsetDateTime", "/onsetPeriod/start"]);
    row.date_end = first_text(json, &["/abatementDateTime", "/abatementPeriod/start"]);
    row.recorded = text(json, "/recordedDate");
    row.severity = concept(json, "/severity").map(|severity| severity.text);
    row.author = reference(json, "/recorder").or_else(|| reference(json, "/asserter"));
    entry.detail("onset", first_text(json, &["/onsetString", "/onsetAge/value"]));
    entry.detail("body site", concept_texts(json, "/bodySite"));
    entry.detail("stage", concept_texts(json, "/stage/0/summary"));
    entry.annotations(json);
}

/// `AllergyIntolerance`. Without a clinical status it counts as active: taking it for none could kill.
pub(super) fn allergy(entry: &mut Entry, json: &Value) {
    entry.describe(concept(json, "/code"));
    let status = code(json, "/clinicalStatus");
    entry.activity = match status.as_deref() {
        Some("inactive" | "resolved") => Activity::Ended,
        _ => Activity::Current,
    };
    entry.ongoing = entry.activity == Activity::Current;
    let row = &mut entry.row;
    row.status = status;
    row.verification = code(json, "/verificationStatus");
    row.date = first_text(json, &["/onsetDateTime", "/onsetPeriod/start"]);
    row.recorded = text(json, "/recordedDate");
    row.author = reference(json, "/recorder").or_else(|| reference(json, "/asserter"));
    let reactions = list(json, "/reaction");
    let severities = reactions.iter().filter_map(|reaction| text(reaction, "/severity"));
    row.severity = severities
        .max_by_key(|severity| severity_rank(severity))
        .or_else(|| text(json, "/criticality").map(|criticality| format!("criticality {criticality}")));
    for reaction in reactions {
        let what = concept_texts(reaction, "/manifestation");
        let said = joined(
            [what, text(reaction, "/description"), concept(reaction, "/substance").map(|c| format!("to {}", c.text))]
                .into_iter()
                .flatten(),
            "; ",
        );
        let severity = text(reaction, "/severity");
        let shown = match (said, severity) {
            (Some(said), Some(severity)) => Some(format!("{said} ({severity})")),
            (said, severity) => said.or(severity),
        };
        entry.detail("reaction", shown);
    }
    entry.detail("criticality", text(json, "/criticality"));
    entry.detail("kind", text(json, "/type"));
    entry.annotations(json);
}

/// How bad a severity is; unknown words rank above "mild", so that they are not hidden by it.
pub fn severity_rank(severity: &str) -> u8 {
    match severity {
        "severe" => 5,
        "criticality high" => 4,
        "moderate" => 3,
        "mild" | "criticality low" => 1,
        _ => 2,
    }
}

/// `Procedure`.
pub(super) fn procedure(entry: &mut Entry, json: &Value) {
    entry.describe(concept(json, "/code"));
    let row = &mut entry.row;
    row.date = first_text(json, &["/performedDateTime", "/performedPeriod/start"]);
    row.date_end = text(json, "/performedPeriod/end");
    row.author = reference(json, "/performer/0/actor").or_else(|| reference(json, "/recorder"));
    row.status_reason = concept(json, "/statusReason").map(|reason| reason.text);
    entry.detail("performed", text(json, "/performedString"));
    entry.detail("reason", concept_texts(json, "/reasonCode"));
    entry.detail("body site", concept_texts(json, "/bodySite"));
    entry.detail("outcome", concept(json, "/outcome").map(|outcome| outcome.text));
    entry.detail("complication", concept_texts(json, "/complication"));
    entry.annotations(json);
}

/// `Immunization`. `not-done` is said in the text, because a list of vaccines reads as a list of vaccines given.
pub(super) fn immunisation(entry: &mut Entry, json: &Value) {
    entry.describe(concept(json, "/vaccineCode"));
    if entry.row.status.as_deref() == Some("not-done") {
        entry.row.text = format!("NOT GIVEN: {}", entry.row.text);
    }
    let row = &mut entry.row;
    row.date = text(json, "/occurrenceDateTime");
    row.recorded = text(json, "/recorded");
    row.author = reference(json, "/performer/0/actor");
    row.route = concept(json, "/route").map(|route| route.text);
    row.status_reason = concept(json, "/statusReason").map(|reason| reason.text);
    entry.detail("given", text(json, "/occurrenceString"));
    entry.detail("batch", text(json, "/lotNumber"));
    entry.detail("site", concept(json, "/site").map(|site| site.text));
    let reactions = list(json, "/reaction").iter().map(|reaction| {
        let what = reference(reaction, "/detail").unwrap_or_else(|| "reaction recorded".to_owned());
        text(reaction, "/date").map_or_else(|| what.clone(), |date| format!("{what} {date}"))
    });
    let reactions = joined(reactions, ", ");
    entry.detail("reaction", reactions);
    entry.annotations(json);
}

/// `Encounter`.
pub(super) fn encounter(entry: &mut Entry, json: &Value) {
    entry.describe(concepts(json, "/type").into_iter().next().or_else(|| concept(json, "/class")));
    entry.ongoing = matches!(entry.row.status.as_deref(), Some("in-progress" | "arrived" | "triaged" | "onleave"));
    entry.activity = if entry.ongoing { Activity::Current } else { Activity::Unknown };
    period(entry, json);
    entry.row.author = reference(json, "/participant/0/individual");
    entry.detail("class", concept(json, "/class").map(|class| class_words(&class.text)));
    entry.detail("reason", concept_texts(json, "/reasonCode"));
    entry.detail("place", reference(json, "/location/0/location"));
    let disposition = concept(json, "/hospitalization/dischargeDisposition");
    entry.death = disposition.as_ref().is_some_and(|to| to.codings.iter().any(|coding| coding.code == "exp"));
    entry.detail("discharged to", disposition.map(|to| to.text));
}

/// `EpisodeOfCare`.
pub(super) fn episode(entry: &mut Entry, json: &Value) {
    entry.describe(concepts(json, "/type").into_iter().next());
    if entry.row.text.is_empty() {
        "episode of care".clone_into(&mut entry.row.text);
    }
    entry.ongoing = matches!(entry.row.status.as_deref(), Some("active" | "waitlist" | "onhold" | "planned"));
    entry.activity = if entry.ongoing { Activity::Current } else { Activity::Ended };
    period(entry, json);
    entry.row.author = reference(json, "/careManager");
    entry.detail("team", reference(json, "/team/0"));
}

/// `Appointment`.
pub(super) fn appointment(entry: &mut Entry, json: &Value) {
    let what = concepts(json, "/serviceType").into_iter().next().or_else(|| concept(json, "/appointmentType"));
    entry.describe(what);
    if let Some(words) = text(json, "/description") {
        if entry.row.text.is_empty() {
            entry.row.text = words;
        } else if words != entry.row.text {
            entry.detail("what", Some(words));
        }
    }
    let row = &mut entry.row;
    row.date = text(json, "/start");
    row.date_end = text(json, "/end");
    row.recorded = text(json, "/created");
    let with: Vec<String> =
        list(json, "/participant").iter().filter_map(|participant| reference(participant, "/actor")).collect();
    row.author = with.first().cloned();
    entry.detail("with", joined(with, ", "));
    entry.detail("reason", concept_texts(json, "/reasonCode"));
    entry.detail("cancelled because", concept(json, "/cancelationReason").map(|reason| reason.text));
    entry.detail("comment", text(json, "/comment"));
    entry.detail("instruction", text(json, "/patientInstruction"));
}

fn period(entry: &mut Entry, json: &Value) {
    entry.row.date = text(json, "/period/start");
    entry.row.date_end = text(json, "/period/end");
}

/// Words for the encounter classes of v3-ActCode.
fn class_words(class: &str) -> String {
    match class.trim_start_matches("code ") {
        "AMB" => "clinic",
        "EMER" => "emergency",
        "HH" => "at home",
        "IMP" | "ACUTE" | "NONAC" => "inpatient",
        "SS" => "day case",
        "VR" => "telephone or video",
        _ => class,
    }
    .to_owned()
}
