//! The completeness of a view as an `OperationOutcome`: what came of asking each source, every warning with its id in the hazard log,
//! every conflict with the entries it is about, and what an empty category means.

use careweave_protocol::desk::View;
use careweave_protocol::desk::view::{Absence, Conflict, Notice, Source, SourceView, WITHHELD};
use careweave_protocol::desk::warning::Warning;
use careweave_protocol::query::completeness::NotAsked;
use careweave_protocol::query::{Completeness, SourceOutcome};
use serde_json::{Value, json};

use super::Released;

/// The resource; its first issue says whose view it is, and when and for whom it was made.
pub(super) fn outcome(view: &View, completeness: &Completeness, released: &Released<'_>) -> Value {
    let mut issues = vec![heading(view, completeness)];
    issues.extend(view.sources.iter().map(|source| of_source(source, view, completeness)));
    issues.extend(view.warnings.iter().map(of_notice));
    issues.extend(view.conflicts.iter().map(|conflict| of_conflict(conflict, released)));
    issues.extend(view.absences.iter().map(of_absence));
    issues.extend(left_out(view, released));
    json!({"resourceType": "OperationOutcome", "issue": issues})
}

/// How bad an issue is (IssueSeverity) and of which kind (IssueType).
type Kind = (&'static str, &'static str);

const INFORMATIONAL: Kind = ("information", "informational");
const CONFLICT: Kind = ("warning", "conflict");
const INCOMPLETE: Kind = ("warning", "incomplete");
const SUPPRESSED: Kind = ("warning", "suppressed");

fn issue(kind: Kind, text: &str, diagnostics: Option<String>) -> Value {
    let (severity, code) = kind;
    let mut issue = json!({"severity": severity, "code": code, "details": {"text": text}});
    if let (Some(fields), Some(diagnostics)) = (issue.as_object_mut(), diagnostics.filter(|text| !text.is_empty())) {
        fields.insert("diagnostics".to_owned(), json!(diagnostics));
    }
    issue
}

/// With the id of the hazard log.
fn hazard(mut issue: Value, id: &str) -> Value {
    if let Some(details) = issue.get_mut("details").and_then(Value::as_object_mut) {
        details.insert("coding".to_owned(), json!([{"system": HAZARD, "code": id}]));
    }
    issue
}

fn heading(view: &View, completeness: &Completeness) -> Value {
    let patient = &view.patient;
    let asker = Source { ods: view.asker.as_str().to_owned(), name: view.asker_name.clone() };
    let asked = view.sources.iter().filter(|source| source.asked).count();
    let replied = view.sources.iter().filter(|source| source.replied).count();
    let text = format!(
        "Records about {}, born {}, NHS number {}, as at {}. Asked by {} ({}) of {asker} for {}. {replied} of {asked} asked sources \
         replied.",
        patient.name,
        patient.birth_date_shown,
        patient.nhs_number_shown,
        view.shown(view.as_at),
        view.requester,
        view.group.as_str(),
        view.purpose,
    );
    let diagnostics = format!("query {}, manifest {}", view.query_id, completeness.manifest_version);
    let kind = if view.all_replied { INFORMATIONAL } else { ("error", "incomplete") };
    issue(kind, &text, Some(diagnostics))
}

fn of_source(source: &SourceView, view: &View, completeness: &Completeness) -> Value {
    let name = Source { ods: source.ods.clone(), name: source.name.clone() };
    let reason = source.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let records = if source.records == 1 { "1 record".to_owned() } else { format!("{} records", source.records) };
    let words = match source.outcome.as_str() {
        "answered" => format!("answered, {records}"),
        "answered-partial" => format!("answered in part, {records}"),
        "nothing-shareable" => "shared nothing. That does NOT mean that it holds nothing".to_owned(),
        "refused" => format!("refused{reason}"),
        "not-asked" => format!("not asked{reason}"),
        outcome => format!("did NOT reply ({outcome}){reason}"),
    };
    let fresh = source.data_to.map(|to| format!(", data to {}", view.shown(to))).unwrap_or_default();
    let stale = if source.stale { ", older than its feed should be" } else { "" };
    let duty = source.duty_contact.as_ref().map(|contact| format!(". Ring {contact}")).unwrap_or_default();
    let text = format!("{name}: {words}{fresh}{stale}{duty}.");
    issue(kind_of_source(source, completeness), &text, Some(format!("{} ms", source.ms)))
}

fn kind_of_source(source: &SourceView, completeness: &Completeness) -> Kind {
    let line = completeness.sources.iter().find(|line| line.ods.as_str() == source.ods);
    match (source.outcome.as_str(), line.map(|line| &line.outcome)) {
        ("answered", _) => INFORMATIONAL,
        ("answered-partial", _) => INCOMPLETE,
        ("nothing-shareable", _) => SUPPRESSED,
        ("refused", _) => ("error", "forbidden"),
        ("timeout" | "awaited", _) => ("error", "timeout"),
        ("unreachable" | "busy", _) => ("error", "transient"),
        ("untrusted", _) => ("error", "security"),
        ("not-asked", Some(SourceOutcome::NotAsked(why))) => match why {
            NotAsked::HoldsNoRecords => INFORMATIONAL,
            NotAsked::RoleSeesNothing => ("information", "forbidden"),
            NotAsked::Restricted => ("information", "suppressed"),
            // It may hold something.
            NotAsked::Suspended => ("warning", "security"),
            NotAsked::NotLive => INFORMATIONAL,
            NotAsked::FanOutLimit => INCOMPLETE,
        },
        ("not-asked", _) if source.ods == WITHHELD => ("information", "suppressed"),
        ("not-asked", _) => INFORMATIONAL,
        // Speaks no common version, or is of a kind that this program does not know: nothing came.
        _ => ("error", "incomplete"),
    }
}

fn of_notice(notice: &Notice) -> Value {
    let known = Warning::ALL.iter().find(|warning| warning.id() == notice.id);
    let kind = known.map_or(INCOMPLETE, |warning| kind_of_warning(*warning));
    let text = if notice.about.is_empty() { notice.text.clone() } else { format!("{} {}", notice.text, notice.about) };
    hazard(issue(kind, &text, None), &notice.id)
}

/// Every warning has its kind here; a new one does not compile until it has.
fn kind_of_warning(warning: Warning) -> Kind {
    match warning {
        Warning::NotSafelyMatched => ("error", "multiple-matches"),
        Warning::Namesake => ("warning", "multiple-matches"),
        Warning::Incomplete | Warning::FirstView => ("error", "incomplete"),
        Warning::NothingSupplied
        | Warning::StaleData
        | Warning::CurrencyUnknown
        | Warning::Unreadable
        | Warning::AnswerCut
        | Warning::OutsidePeriod => INCOMPLETE,
        Warning::DeathDisputed
        | Warning::MedicineStatus
        | Warning::MedicineDose
        | Warning::MedicineDuplicate
        | Warning::DischargeChange
        | Warning::NotDispensed
        | Warning::AllergyDenied
        | Warning::AllergyDiffers
        | Warning::ProblemActivity
        | Warning::AdvanceCare
        | Warning::CopiesDiffer
        | Warning::WithdrawnAtOrigin
        | Warning::CodeAgainstWords
        | Warning::UnitsDiffer => CONFLICT,
        Warning::MedicineNotShown => ("error", "suppressed"),
        Warning::AddressRestricted
        | Warning::CodesOnly
        | Warning::NarrativeWithheld
        | Warning::NothingShareable
        | Warning::Safeguarding => SUPPRESSED,
        Warning::RoleCannotSee | Warning::MayExist => ("information", "suppressed"),
        Warning::SomebodyElse | Warning::SelfClaimed | Warning::BreakGlass => ("warning", "security"),
        Warning::Deceased
        | Warning::AdvanceCareEnded
        | Warning::EnteredInError
        | Warning::Undated
        | Warning::NumberReplaced
        | Warning::Uncoded
        | Warning::ImplausibleDate
        | Warning::RetiredCode => INFORMATIONAL,
    }
}

fn of_conflict(conflict: &Conflict, released: &Released<'_>) -> Value {
    let sides = conflict.entries.iter().map(|side| {
        let said = [Some(&side.text), side.status.as_ref(), side.dose.as_ref(), side.severity.as_ref()];
        let said: Vec<&str> = said.into_iter().flatten().map(String::as_str).filter(|text| !text.is_empty()).collect();
        let newest = if side.newest { ", newest" } else { "" };
        format!("{}: {} ({}{newest})", side.source, said.join(", "), side.date_shown)
    });
    let sides: Vec<String> = sides.collect();
    let text = format!("{}: {} {}", conflict.subject, conflict.text, sides.join("; "));
    let diagnostics = format!("{} in {}", conflict.kind, conflict.category);
    let mut issue = hazard(issue(CONFLICT, &text, Some(diagnostics)), &conflict.id);
    let side = |side: &careweave_protocol::desk::view::ConflictEntry| {
        released.paths(&side.source.ods, &side.resource_type, &side.id)
    };
    let mut expression: Vec<String> = conflict.entries.iter().flat_map(side).collect();
    expression.dedup();
    if let (Some(fields), false) = (issue.as_object_mut(), expression.is_empty()) {
        fields.insert("expression".to_owned(), json!(expression));
    }
    issue
}

fn of_absence(absence: &Absence) -> Value {
    let kind = if absence.kind == "none-recorded" { INFORMATIONAL } else { INCOMPLETE };
    issue(kind, &absence.text, None)
}

/// Records that could not become entries, for each source.
fn left_out(view: &View, released: &Released<'_>) -> Vec<Value> {
    let of_one = |(ods, count): (&String, &u32)| {
        let name = view.sources.iter().find(|source| source.ods == *ods).map_or("", |source| source.name.as_str());
        let source = Source { ods: ods.clone(), name: name.to_owned() };
        let records = if *count == 1 {
            "1 record is no FHIR resource".to_owned()
        } else {
            format!("{count} records are no FHIR resources")
        };
        issue(INCOMPLETE, &format!("{source}: {records} and not in this Bundle. Ask the source."), None)
    };
    released.left_out.iter().map(of_one).collect()
}

/// Code system of the warnings, whose codes are the ids in the hazard log.
const HAZARD: &str = "https://careweave.example/fhir/CodeSystem/hazard";
