//! The layout of a view for people: who it is about, how complete it is, warnings, key facts, conflicts, the rows of each
//! category, what is not in it, sources, and once more how complete it is.

mod rows;

use careweave_protocol::desk::View;
use careweave_protocol::desk::view::{Conflict, Fact, Identity, Source, SourceView, WITHHELD};
use careweave_protocol::record::Category;

use super::plain::plain;
use super::table::{Style, grid, wrapped};

/// The view as text.
#[must_use]
pub fn text(view: &View, style: Style) -> String {
    let mut page = Page { text: String::new(), style };
    header(view, &mut page);
    completeness(view, &mut page);
    warnings(view, &mut page);
    key_facts(view, &mut page);
    conflicts(view, &mut page);
    for (category, rows) in in_reading_order(view) {
        page.heading(&format!("{} ({})", category.as_str().to_uppercase(), rows.len()));
        rows::category(category, rows, &mut page);
    }
    not_in_this_view(view, &mut page);
    sources(view, &mut page);
    completeness(view, &mut page);
    page.text
}

/// Text in the making.
struct Page {
    text: String,
    style: Style,
}

impl Page {
    fn line(&mut self, text: &str) {
        self.indented(text, 0);
    }

    fn indented(&mut self, text: &str, indent: usize) {
        self.text.push_str(&wrapped(text, indent, usize::from(self.style.width)));
    }

    fn heading(&mut self, text: &str) {
        self.text.push('\n');
        self.strong(text);
    }

    /// A line in bold; where there is no colour it stands in capitals or on its own anyway.
    fn strong(&mut self, text: &str) {
        let text = wrapped(text, 0, usize::from(self.style.width));
        if self.style.colour {
            for line in text.lines() {
                self.text.push_str(&format!("\u{1b}[1m{line}\u{1b}[0m\n"));
            }
        } else {
            self.text.push_str(&text);
        }
    }

    fn grid(&mut self, headers: &[&str], rows: &[Vec<String>]) {
        self.text.push_str(&grid(headers, rows, self.style));
    }
}

/// Who, in the form in which it is to be confirmed, and who asked, when and why.
fn header(view: &View, page: &mut Page) {
    let patient = &view.patient;
    let name = plain(&patient.name).to_uppercase();
    page.strong(&format!("{name}, born {}, NHS number {}", patient.birth_date_shown, patient.nhs_number_shown));
    match (&patient.address, patient.address_restricted) {
        (_, true) => page.line("ADDRESS RESTRICTED: do not reveal any address, contact or local organisation"),
        (Some(address), false) => page.line(address),
        (None, false) => page.line("address not supplied"),
    }
    match &patient.held_by {
        Some(source) => {
            page.line(&format!("Name and address as held by {source}. Confirm name, birth date, address and number."))
        }
        None => page.line("Name as typed: no source supplied one. Confirm name, birth date, address and number."),
    }
    match patient.identity {
        Identity::Confirmed => {}
        Identity::NotHeld => page.line("Your organisation holds nobody under this number."),
        Identity::NotSafelyMatched => {
            let reason = patient.identity_reason.as_deref().unwrap_or("the own record differs");
            page.strong(&format!("NOT SAFELY MATCHED: {reason}"));
        }
    }
    if let Some(deceased) = &patient.deceased {
        let disputed = if deceased.disputed { " DISPUTED: sources disagree." } else { "" };
        page.strong(&format!(
            "*** DECEASED: {} according to {}.{disputed} ***",
            deceased.date_shown,
            names(&deceased.sources)
        ));
    }
    page.line(&format!(
        "As at {}, asked by {} ({}) for {}, query {}",
        view.shown(view.as_at),
        view.asker,
        view.group,
        view.purpose,
        view.query_id
    ));
}

/// First and last: how many of the asked sources replied, and how to reach those that did not.
fn completeness(view: &View, page: &mut Page) {
    let asked = view.sources.iter().filter(|source| source.asked).count();
    let replied = view.sources.iter().filter(|source| source.asked && source.replied).count();
    page.text.push('\n');
    if !view.finished {
        let awaited = view.sources.iter().filter(|source| source.outcome == AWAITED).count();
        page.strong(&format!("FIRST VIEW of your own records: {awaited} sources are still being asked."));
    } else if view.all_replied {
        let refused = view.sources.iter().filter(|source| source.outcome == "refused").count();
        let refused = match refused {
            0 => String::new(),
            refused => format!(" {refused} REFUSED: THIS VIEW IS INCOMPLETE."),
        };
        page.strong(&format!("COMPLETENESS: all {asked} asked sources replied.{refused}"));
    } else {
        page.strong(&format!("COMPLETENESS: {replied} of {asked} asked sources replied. THIS VIEW IS INCOMPLETE."));
        for source in view.sources.iter().filter(|source| source.asked && !source.replied) {
            page.indented(&format!("no full reply: {}", missing(source)), 2);
        }
    }
    if view.finished {
        gave_nothing(view, page);
    }
    if !view.role_cannot_see.is_empty() {
        let closed: Vec<&str> = view.role_cannot_see.iter().map(|category| category.as_str()).collect();
        page.line(&format!("Your role cannot see: {}.", closed.join(", ")));
    }
}

/// That a source replied, or was left out, does not mean that it holds nothing.
fn gave_nothing(view: &View, page: &mut Page) {
    let of = |outcome: &'static str| view.sources.iter().filter(move |source| source.outcome == outcome);
    for source in of("refused") {
        page.indented(&format!("refused: {}", missing(source)), 2);
    }
    let known_to_hold_none = |source: &&SourceView| source.reason.as_deref() != Some(HOLDS_NO_RECORDS);
    for source in of("not-asked").filter(known_to_hold_none) {
        page.indented(&format!("NOT ASKED: {}", missing(source)), 2);
    }
    let silent = of("nothing-shareable").count();
    if silent > 0 {
        let sources = if silent == 1 { "source" } else { "sources" };
        page.indented(&format!("{silent} {sources} shared nothing: this does NOT mean that nothing is held there."), 2);
    }
    if view.sources.iter().any(|source| source.ods == WITHHELD) {
        page.indented("Local organisations are counted as one source and not named.", 2);
    }
}

fn missing(source: &SourceView) -> String {
    let name = Source { ods: source.ods.clone(), name: source.name.clone() };
    let ring = source.duty_contact.as_ref().map_or_else(String::new, |number| format!(", ring {number}"));
    let what = match (&source.reason, source.outcome.as_str()) {
        (Some(reason), "refused" | "not-asked") => reason.clone(),
        (Some(reason), outcome) => format!("{outcome} {reason}"),
        (None, outcome) => outcome.to_owned(),
    };
    format!("{name}: {what}{ring}")
}

fn warnings(view: &View, page: &mut Page) {
    if view.warnings.is_empty() {
        return;
    }
    page.heading("WARNINGS");
    for notice in &view.warnings {
        let about = if notice.about.is_empty() { String::new() } else { format!(" [{}]", notice.about) };
        page.line(&format!("{} {}{about}", notice.id, notice.text));
    }
}

fn key_facts(view: &View, page: &mut Page) {
    let facts = &view.key_facts;
    let groups = [
        ("ABOUT ME", &facts.about_me),
        ("ALLERGIES", &facts.allergies),
        ("ADVANCE CARE", &facts.advance_care),
        ("FLAGS", &facts.flags),
        ("NAMED PROFESSIONAL", &facts.named_professional),
    ];
    page.heading("KEY FACTS");
    for (title, facts) in groups {
        if facts.is_empty() {
            page.line(&format!("{title}: nothing supplied. This does NOT mean none."));
            continue;
        }
        page.line(title);
        for fact in facts {
            self::fact(fact, page);
        }
    }
}

fn fact(fact: &Fact, page: &mut Page) {
    let conflict = if fact.conflict { "CONFLICT, check the original: " } else { "" };
    let severity = match (&fact.severity, &fact.severity_source) {
        (Some(severity), Some(source)) => format!(", {severity} ({})", source.ods),
        (Some(severity), None) => format!(", {severity}"),
        (None, _) => String::new(),
    };
    let sources = names(&fact.sources);
    page.indented(&format!("{conflict}{}{severity}, {}, {sources}", fact.text, fact.date_shown), 2);
    if let Some(detail) = &fact.detail {
        page.indented(detail, 4);
    }
}

fn conflicts(view: &View, page: &mut Page) {
    if view.conflicts.is_empty() {
        return;
    }
    page.heading(&format!("CONFLICTS ({}): no source is taken for right; the newest is marked", view.conflicts.len()));
    for conflict in &view.conflicts {
        self::conflict(conflict, page);
    }
}

fn conflict(conflict: &Conflict, page: &mut Page) {
    page.line(&format!("{} {} {}: {}", conflict.id, conflict.category, conflict.subject.to_uppercase(), conflict.text));
    let rows: Vec<Vec<String>> = conflict
        .entries
        .iter()
        .map(|entry| {
            let status = rows::status_words(&entry.resource_type, entry.status.as_deref().unwrap_or_default());
            let said = [Some(status).filter(|status| !status.is_empty()), entry.severity.clone(), entry.dose.clone()];
            let newest = if entry.newest { "\nnewest" } else { "" };
            vec![
                entry.source.to_string(),
                entry.text.clone(),
                said.into_iter().flatten().collect::<Vec<_>>().join(", "),
                format!("{}{newest}", entry.date_shown),
            ]
        })
        .collect();
    page.grid(&["SOURCE", "WHAT", "SAYS", "DATE"], &rows);
}

fn not_in_this_view(view: &View, page: &mut Page) {
    let counts = &view.counts;
    let counted = [
        (counts.entered_in_error, "marked as entered in error"),
        (counts.uncoded_not_shown, "uncoded, not shown to your role"),
        (counts.outside_period, "outside the dates asked for"),
        (counts.unreadable, "that could not be read"),
        (counts.about_somebody_else, "about somebody else, rejected"),
    ];
    if view.absences.is_empty() && counted.iter().all(|(count, _)| *count == 0) {
        return;
    }
    page.heading("NOT IN THIS VIEW");
    for absence in &view.absences {
        page.line(&absence.text);
    }
    for (count, what) in counted.into_iter().filter(|(count, _)| *count > 0) {
        let noun = if count == 1 { "entry" } else { "entries" };
        page.line(&format!("{count} {noun} {what}."));
    }
}

/// Every member with what came of asking it.
fn sources(view: &View, page: &mut Page) {
    page.heading("SOURCES");
    let rows: Vec<Vec<String>> = view
        .sources
        .iter()
        .map(|source| {
            let reason = source.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
            // Nobody needs to be rung, and nothing counted, while the reply may still come.
            let ended = source.outcome != AWAITED;
            let ring = source.duty_contact.as_ref().filter(|_| ended);
            let ring = ring.map_or_else(String::new, |number| format!("\nring {number}"));
            let stale = if source.stale { "\nOLDER THAN ITS FEED" } else { "" };
            let number = |number: u32| if source.asked && ended { number.to_string() } else { String::new() };
            vec![
                source.ods.clone(),
                if source.own { format!("{} (own)", source.name) } else { source.name.clone() },
                format!("{}{reason}{ring}", source.outcome),
                number(source.records),
                number(source.ms),
                source.data_to.map_or_else(String::new, |to| format!("{}{stale}", view.shown(to))),
            ]
        })
        .collect();
    page.grid(&["ODS", "NAME", "OUTCOME", "RECORDS", "MS", "DATA TO"], &rows);
}

fn names(sources: &[Source]) -> String {
    sources.iter().map(Source::to_string).collect::<Vec<_>>().join(", ")
}

/// Categories in the order in which a clinician reads, then the rest.
fn in_reading_order(view: &View) -> impl Iterator<Item = (Category, &[careweave_protocol::desk::view::Row])> {
    let rest = view.categories.keys().copied().filter(|category| !FIRST.contains(category));
    FIRST.into_iter().chain(rest).map(|category| (category, view.rows(category))).filter(|(_, rows)| !rows.is_empty())
}

/// Outcome of a source that is still being asked.
const AWAITED: &str = "awaited";
/// Why a member is not asked that has nothing to ask for. Any other reason is worth a line of its own.
const HOLDS_NO_RECORDS: &str = "holds no records";

const FIRST: [Category; 9] = [
    Category::Allergies,
    Category::Medications,
    Category::Problems,
    Category::AdvanceCare,
    Category::Flags,
    Category::Safeguarding,
    Category::Discharge,
    Category::Results,
    Category::Vitals,
];
