//! Results, vital signs, reports and imaging.

use serde_json::Value;

use super::element::{
    any_value, concept, concept_texts, concepts, first_text, joined, list, range_text, reference, text, words_of_html,
};
use super::{Activity, Entry};

/// `Observation` with its components. Two components in one unit, systolic and diastolic, read as `128/76 mmHg`.
pub(super) fn observation(entry: &mut Entry, json: &Value) {
    entry.describe(concept(json, "/code"));
    dates(entry, json);
    let row = &mut entry.row;
    row.author = reference(json, "/performer/0");
    row.interpretation = interpretation(json);
    row.reference_range = joined(list(json, "/referenceRange").iter().filter_map(|range| range_text(range, "")), "; ");
    if let Some((value, unit)) = any_value(json) {
        row.value = Some(value);
        row.unit = unit;
    }
    let components = list(json, "/component");
    if let Some((value, unit)) = blood_pressure(components).filter(|_| row.value.is_none()) {
        row.value = Some(value);
        row.unit = unit;
    } else {
        for component in components {
            let name = concept(component, "/code").map_or_else(|| "component".to_owned(), |code| code.text);
            let value = any_value(component).map(|(value, unit)| with_unit(value, unit));
            let value = match (value, interpretation(component)) {
                (Some(value), Some(mark)) => Some(format!("{value} ({mark})")),
                (value, mark) => value.or(mark),
            };
            entry.detail(&name, value);
        }
    }
    entry.detail("method", concept(json, "/method").map(|method| method.text));
    entry.detail("body site", concept(json, "/bodySite").map(|site| site.text));
    entry.annotations(json);
    entry.detail("comment", text(json, "/comment"));
}

/// `DiagnosticReport`.
pub(super) fn report(entry: &mut Entry, json: &Value) {
    entry.describe(concept(json, "/code"));
    dates(entry, json);
    entry.row.author = reference(json, "/performer/0").or_else(|| reference(json, "/resultsInterpreter/0"));
    entry.detail("conclusion", text(json, "/conclusion"));
    entry.detail("conclusion code", concept_texts(json, "/conclusionCode"));
    let results = list(json, "/result").len();
    if results > 0 {
        entry.detail("results", Some(format!("{results}, listed as entries of their own")));
    }
    if entry.row.details.is_empty() {
        entry.detail("report", text(json, "/text/div").map(|div| words_of_html(&div)));
    }
    for form in list(json, "/presentedForm") {
        super::document::attachment(entry, form);
    }
}

/// `ImagingStudy`.
pub(super) fn imaging(entry: &mut Entry, json: &Value) {
    entry.describe(concepts(json, "/procedureCode").into_iter().next());
    let description = text(json, "/description");
    if entry.row.text.is_empty() {
        entry.row.text = description.unwrap_or_else(|| "imaging study".to_owned());
    } else if description.as_ref() != Some(&entry.row.text) {
        entry.detail("description", description);
    }
    entry.row.date = text(json, "/started");
    entry.row.author = reference(json, "/interpreter/0").or_else(|| reference(json, "/referrer"));
    let modality: Vec<String> =
        concepts(json, "/modality").into_iter().flat_map(|c| c.codings).map(|c| c.display.unwrap_or(c.code)).collect();
    entry.detail("modality", joined(modality, ", "));
    entry.detail("reason", concept_texts(json, "/reasonCode"));
    entry.annotations(json);
}

fn dates(entry: &mut Entry, json: &Value) {
    let row = &mut entry.row;
    row.date = first_text(json, &["/effectiveDateTime", "/effectivePeriod/start", "/effectiveInstant"]);
    row.date_end = text(json, "/effectivePeriod/end");
    row.recorded = text(json, "/issued");
    entry.activity = match row.status.as_deref() {
        Some("cancelled") => Activity::Ended,
        _ => Activity::Unknown,
    };
}

fn interpretation(json: &Value) -> Option<String> {
    let marks = concepts(json, "/interpretation").into_iter();
    joined(marks.map(|mark| mark.codings.into_iter().next().map_or(mark.text, |coding| coding.code)), ", ")
}

fn with_unit(value: String, unit: Option<String>) -> String {
    match unit {
        Some(unit) => format!("{value} {unit}"),
        None => value,
    }
}

fn blood_pressure(components: &[Value]) -> Option<(String, Option<String>)> {
    let [_, _] = components else { return None };
    let part = |codes: [&str; 2]| {
        let component = components.iter().find(|component| {
            concept(component, "/code").is_some_and(|c| c.codings.iter().any(|k| codes.contains(&k.code.as_str())))
        })?;
        any_value(component)
    };
    let (systolic, unit) = part(["8480-6", "271649006"])?;
    let (diastolic, other) = part(["8462-4", "271650006"])?;
    (unit == other).then(|| (format!("{systolic}/{diastolic}"), unit))
}
