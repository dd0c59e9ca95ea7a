//! How complete a view is, in sentences that are the same in every layout.

use careweave_protocol::desk::View;
use careweave_protocol::desk::view::{Source, SourceView, WITHHELD};

/// What came of asking, in sentences.
pub(in crate::output) struct Account {
    /// Whether nothing is known to be missing: finished, and every asked source replied and none refused.
    pub(in crate::output) whole: bool,
    /// Whether a source replied and shared nothing, so that nobody may take a whole view for a full record.
    pub(in crate::output) silent: bool,
    /// One sentence in full, without naming anybody.
    pub(in crate::output) headline: String,
    /// One line that can stand on every page: who is missing, by code.
    pub(in crate::output) brief: String,
    /// What else is to be known, a sentence each.
    pub(in crate::output) lines: Vec<String>,
}

impl Account {
    /// The account of a view.
    pub(in crate::output) fn of(view: &View) -> Self {
        let asked = view.sources.iter().filter(|source| source.asked).count();
        let missing: Vec<&SourceView> = view.sources.iter().filter(|source| source.asked && !source.replied).collect();
        let refused: Vec<&SourceView> = with_outcome(view, "refused").collect();
        let left_out: Vec<&SourceView> = with_outcome(view, "not-asked").filter(not_known_to_hold_none).collect();
        let mut lines = Vec::new();
        let awaited = with_outcome(view, AWAITED).count();
        let (headline, brief) = if !view.finished {
            (
                format!("FIRST VIEW of your own records: {awaited} sources are still being asked."),
                format!("FIRST VIEW: {awaited} of {asked} sources are still being asked"),
            )
        } else if view.all_replied {
            let (sentence, brief) = match refused.len() {
                0 => (String::new(), format!("All {asked} asked sources replied")),
                count => (
                    format!(" {count} REFUSED: THIS VIEW IS INCOMPLETE."),
                    format!("INCOMPLETE: all {asked} asked sources replied, {count} refused: {}", codes(&refused)),
                ),
            };
            (format!("COMPLETENESS: all {asked} asked sources replied.{sentence}"), brief)
        } else {
            lines.extend(missing.iter().map(|source| format!("no full reply: {}", said_of(source))));
            let (replied, absent) = (asked - missing.len(), missing.len());
            let verb = if refused.is_empty() {
                String::new()
            } else {
                format!("; {} refused: {}", refused.len(), codes(&refused))
            };
            (
                format!("COMPLETENESS: {replied} of {asked} asked sources replied. THIS VIEW IS INCOMPLETE."),
                format!(
                    "INCOMPLETE: {absent} of {asked} asked sources did not reply in full: {}{verb}",
                    codes(&missing)
                ),
            )
        };
        let brief = if left_out.is_empty() { brief } else { format!("{brief}; not asked: {}", codes(&left_out)) };
        if view.finished {
            lines.extend(refused.iter().map(|source| format!("refused: {}", said_of(source))));
            lines.extend(left_out.iter().map(|source| format!("NOT ASKED: {}", said_of(source))));
            lines.extend(gave_nothing(view));
        }
        let silent = with_outcome(view, "nothing-shareable").count();
        let brief = if silent == 0 { brief } else { format!("{brief}; {silent} shared nothing") };
        Self {
            silent: silent > 0,
            whole: view.finished && view.all_replied && refused.is_empty(),
            headline,
            brief,
            lines,
        }
    }
}

/// Kinds closed to the role, and kinds that only break-glass opens: said of every patient alike.
pub(in crate::output) fn closed_to_role(view: &View) -> Vec<String> {
    let mut lines = Vec::new();
    if !view.role_cannot_see.is_empty() {
        let closed: Vec<&str> = view.role_cannot_see.iter().map(|category| category.as_str()).collect();
        lines.push(format!("Your role cannot see: {}.", closed.join(", ")));
    }
    if !view.may_exist.is_empty() {
        lines.push(format!("May exist, opened by break-glass only: {}.", view.may_exist.join(", ")));
    }
    lines
}

/// That a source replied does not mean that it holds nothing else.
fn gave_nothing(view: &View) -> Vec<String> {
    let mut lines = Vec::new();
    let silent = with_outcome(view, "nothing-shareable").count();
    if silent > 0 {
        let sources = if silent == 1 { "source" } else { "sources" };
        lines.push(format!("{silent} {sources} shared nothing: this does NOT mean that nothing is held there."));
    }
    if view.sources.iter().any(|source| source.ods == WITHHELD) {
        lines.push("Local organisations are counted as one source and not named.".to_owned());
    }
    lines
}

/// Name, what came of asking it, and whom to ring.
fn said_of(source: &SourceView) -> String {
    let name = Source { ods: source.ods.clone(), name: source.name.clone() };
    let ring = source.duty_contact.as_ref().map_or_else(String::new, |number| format!(", ring {number}"));
    let what = match (&source.reason, source.outcome.as_str()) {
        (Some(reason), "refused" | "not-asked") => reason.clone(),
        (Some(reason), outcome) => format!("{outcome} {reason}"),
        (None, outcome) => outcome.to_owned(),
    };
    format!("{name}: {what}{ring}")
}

/// Codes of sources, a few by name; local organisations of a restricted patient by no code.
fn codes(sources: &[&SourceView]) -> String {
    let code = |source: &&SourceView| match source.ods.as_str() {
        WITHHELD => "local organisations".to_owned(),
        ods => ods.to_owned(),
    };
    let named = sources.iter().take(NAMED).map(code).collect::<Vec<_>>().join(", ");
    match sources.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn with_outcome<'a>(view: &'a View, outcome: &'a str) -> impl Iterator<Item = &'a SourceView> {
    view.sources.iter().filter(move |source| source.outcome == outcome)
}

fn not_known_to_hold_none(source: &&SourceView) -> bool {
    source.reason.as_deref() != Some(HOLDS_NO_RECORDS)
}

/// Outcome of a source that is still being asked.
pub(in crate::output) const AWAITED: &str = "awaited";
/// Why a member is not asked that has nothing to ask for. Any other reason is worth a line of its own.
const HOLDS_NO_RECORDS: &str = "holds no records";
/// Sources named in one line; more would push the line off the margin of a printed page.
const NAMED: usize = 8;
