//! The layout of a view for people: who it is about, how complete it is, warnings, key facts, conflicts, the rows of each
//! category, what is not in it, sources, and once more how complete it is.

pub(super) mod account;
pub(super) mod clashes;
pub(super) mod rows;

use careweave_protocol::desk::View;
use careweave_protocol::desk::view::{Conflict, Fact, Identity, Row, Source};
use careweave_protocol::record::Category;

use self::account::{AWAITED, Account, closed_to_role};
use self::clashes::Clashes;

use super::plain::plain;
use super::table::{Style, columns, grid, wrapped};

/// The view as text.
#[must_use]
pub fn text(view: &View, style: Style) -> String {
    let mut page = Page { text: String::new(), style };
    let account = Account::of(view);
    let clashes = Clashes::of(&view.conflicts);
    header(view, &mut page);
    completeness(view, &account, &mut page);
    warnings(view, &mut page);
    key_facts(view, &mut page);
    conflicts(view, &mut page);
    for (category, rows) in in_reading_order(view) {
        page.heading(&format!("{} ({})", category.as_str().to_uppercase(), rows.len()));
        rows::category(category, rows, &clashes, &mut page);
    }
    not_in_this_view(view, &mut page);
    sources(view, &mut page);
    completeness(view, &account, &mut page);
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

    /// A short word, and beside it the text, so that its later lines do not hide the next word.
    fn hanging(&mut self, word: &str, text: &str) {
        let word = plain(word).replace('\n', " ");
        let indent = columns(&word) + 1;
        let text = wrapped(text, indent, usize::from(self.style.width));
        self.text.push_str(&format!("{word} {}", text.trim_start()));
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
        "As at {}, asked by {} ({}), {} {}, for {}",
        view.shown(view.as_at),
        view.requester,
        view.group,
        view.asker,
        view.asker_name,
        view.purpose,
    ));
    page.line(&format!("Query {}", view.query_id));
    if let Some(last) = view.last_look {
        let new = view.categories.values().flatten().filter(|row| row.new).count();
        let entries = if new == 1 { "entry" } else { "entries" };
        page.strong(&format!("{new} {entries} marked NEW: new since {}, when you last looked", view.shown(last)));
    }
}

/// First and last: how many of the asked sources replied, and how to reach those that did not.
fn completeness(view: &View, account: &Account, page: &mut Page) {
    page.text.push('\n');
    page.strong(&account.headline);
    for line in &account.lines {
        page.indented(line, 2);
    }
    for line in closed_to_role(view) {
        page.line(&line);
    }
}

fn warnings(view: &View, page: &mut Page) {
    if view.warnings.is_empty() {
        return;
    }
    page.heading("WARNINGS");
    for notice in &view.warnings {
        let about = if notice.about.is_empty() { String::new() } else { format!(" [{}]", notice.about) };
        page.hanging(&notice.id, &format!("{}{about}", notice.text));
    }
}

fn key_facts(view: &View, page: &mut Page) {
    let facts = &view.key_facts;
    let groups = [
        ("ABOUT ME", Category::AboutMe, &facts.about_me),
        ("ALLERGIES", Category::Allergies, &facts.allergies),
        ("ADVANCE CARE", Category::AdvanceCare, &facts.advance_care),
        ("FLAGS", Category::Flags, &facts.flags),
        ("NAMED PROFESSIONAL", Category::CareTeam, &facts.named_professional),
    ];
    page.heading("KEY FACTS");
    for (title, category, facts) in groups {
        if facts.is_empty() {
            page.line(&format!("{title}: {}", without_facts(category, view)));
            continue;
        }
        page.line(title);
        for fact in facts {
            self::fact(fact, page);
        }
    }
}

/// Why a kind of key fact is empty. It never says that there is none.
pub(super) fn without_facts(category: Category, view: &View) -> String {
    if view.role_cannot_see.contains(&category) {
        return "your role cannot see this. This does NOT mean none.".to_owned();
    }
    match view.rows(category).len() {
        0 => "nothing supplied. This does NOT mean none.".to_owned(),
        1 => "nothing in force by the 1 entry listed below. This does NOT mean none.".to_owned(),
        count => format!("nothing in force by the {count} entries listed below. This does NOT mean none."),
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
    page.heading(&format!(
        "CONFLICTS ({}): no source is assumed to be right; the newest is marked",
        view.conflicts.len()
    ));
    for (number, conflict) in view.conflicts.iter().enumerate() {
        if number > 0 {
            page.text.push('\n');
        }
        self::conflict(conflict, page);
    }
}

fn conflict(conflict: &Conflict, page: &mut Page) {
    page.hanging(
        &conflict.id,
        &format!("{}: {} ({})", conflict.subject.to_uppercase(), conflict.text, conflict.category),
    );
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
    let counted = not_listed(view);
    if view.absences.is_empty() && counted.is_empty() {
        return;
    }
    page.heading("NOT IN THIS VIEW");
    for text in view.absences.iter().map(|absence| &absence.text).chain(&counted) {
        page.line(text);
    }
}

/// What is counted and not listed, a sentence for each kind there is.
pub(super) fn not_listed(view: &View) -> Vec<String> {
    let counts = &view.counts;
    let counted = [
        (counts.entered_in_error, "marked as entered in error"),
        (counts.uncoded_not_shown, "uncoded, not shown to your role"),
        (counts.outside_period, "outside the dates asked for"),
        (counts.unreadable, "that could not be read"),
        (counts.about_somebody_else, "about somebody else, rejected"),
    ];
    let sentence = |(count, what): (u32, &str)| {
        let noun = if count == 1 { "entry" } else { "entries" };
        format!("{count} {noun} {what}.")
    };
    counted.into_iter().filter(|(count, _)| *count > 0).map(sentence).collect()
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
pub(super) fn in_reading_order(view: &View) -> impl Iterator<Item = (Category, &[Row])> {
    let rest = view.categories.keys().copied().filter(|category| !FIRST.contains(category));
    FIRST.into_iter().chain(rest).map(|category| (category, view.rows(category))).filter(|(_, rows)| !rows.is_empty())
}

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
