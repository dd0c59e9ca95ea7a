//! The rows of one category: medicines and other entries as tables, documents as articles. Provenance stands on every row.

use careweave_protocol::desk::View;
use careweave_protocol::desk::view::{Detail, Row};
use careweave_protocol::record::Category;
use maud::{Markup, html};

use super::super::view::clashes::Clashes;
use super::super::view::rows::{DOCUMENTS, MEASURED, and_more, dates_listed, recorded, repeated, status_words};
use super::conflicts::anchor;
use super::head;
use super::said::{Said, dated};
use super::words::{counted, interpretation};

/// A category with its heading.
pub(super) fn section(category: Category, rows: &[Row], view: &View, clashes: &Clashes<'_>) -> Markup {
    let laid_out = Rows { view, clashes };
    let new = rows.iter().filter(|row| row.new).count();
    html! {
        section.category aria-labelledby=(category) {
            h2 id=(category) {
                (category.title()) " " span.count { (rows.len()) }
                @if new > 0 { " " span.mark.new { (new) " NEW" } }
            }
            @if DOCUMENTS.contains(&category) {
                @for row in rows { (laid_out.document(row)) }
            } @else {
                (laid_out.table(category, rows))
            }
        }
    }
}

/// A status in a frame.
pub(super) fn badge(status: &str) -> Markup {
    let halted = HALTED.iter().any(|word| status.contains(word));
    let live = !halted && LIVE.contains(&status);
    if FINISHED.contains(&status) {
        return html! { span.fine { (Said(status)) } };
    }
    html! { span.mark.halt[halted].live[live] { (Said(status)) } }
}

/// What laying out rows needs beside them.
struct Rows<'a> {
    view: &'a View,
    clashes: &'a Clashes<'a>,
}

impl Rows<'_> {
    fn table(&self, category: Category, rows: &[Row]) -> Markup {
        let measured = MEASURED.contains(&category);
        let (what, second) = match category {
            Category::Medications => ("Medicine and dose", "Status"),
            _ if measured => ("What", "Result"),
            _ => ("What", "Status"),
        };
        html! {
            table.entries.measured[measured] {
                thead { tr { th scope="col" { (what) } th scope="col" { (second) } th scope="col" { "Date" } th scope="col" { "Source" } } }
                @if measured {
                    tbody { @for row in rows { (self.measurement(row)) } }
                } @else {
                    @for group in rows.chunk_by(|a, b| a.group == b.group) { (self.group(category, group)) }
                }
            }
        }
    }

    /// A number with its unit, or a report: most are final, so that stands in small print.
    fn measurement(&self, row: &Row) -> Markup {
        html! {
            tr.new[row.new] {
                th scope="row" { span.what { (Said(&row.text)) } (new_mark(row)) (status(row)) (self.conflicts(row)) }
                td {
                    (result(row))
                    @if let Some(severity) = &row.severity { span.mark.stop { (Said(&severity.to_uppercase())) } }
                    @if let Some(dose) = &row.dose { span.dose { (Said(dose)) } }
                    (reason(row))
                    (findings(row, true))
                }
                td { (dates(row)) }
                td { (self.provenance(row)) }
            }
        }
    }

    /// Entries of one substance, allergen or problem. More than one has a line of its own that says how many.
    fn group(&self, category: Category, rows: &[Row]) -> Markup {
        let name =
            rows.first().and_then(|row| row.group.as_deref()).filter(|_| GROUPED.contains(&category) && rows.len() > 1);
        let lines = repeated(rows);
        html! {
            tbody {
                @if let Some(name) = name {
                    tr.group { th colspan="4" scope="rowgroup" { (Said(name)) " " span.count { (counted(rows.len(), "entry", "entries")) } } }
                }
                @for (row, others) in lines { (self.line(category, row, &others)) }
            }
        }
    }

    fn line(&self, category: Category, row: &Row, others: &[&Row]) -> Markup {
        let medicine = category == Category::Medications;
        html! {
            tr.new[row.new] {
                th scope="row" {
                    span.drug[medicine].what[!medicine] { (Said(&row.text)) }
                    (new_mark(row))
                    @if let Some(severity) = &row.severity { " " span.mark.stop { (Said(&severity.to_uppercase())) } }
                    @if let Some(dose) = &row.dose { span.dose { (Said(dose)) } }
                    (reason(row))
                    (result(row))
                    (self.conflicts(row))
                    (findings(row, true))
                    (repeats(others))
                }
                td { (status(row)) }
                td { (dates(row)) }
                td { (self.provenance(row)) }
            }
        }
    }

    /// A document: its heading, where it is from, then its words.
    fn document(&self, row: &Row) -> Markup {
        html! {
            article.document.new[row.new].brief[is_brief(row)] {
                h3 { (Said(&row.text)) (new_mark(row)) }
                (self.conflicts(row))
                div.meta { (status(row)) " " (dates(row)) " " (self.provenance(row)) }
                @if let Some(dose) = &row.dose { p.dose { (Said(dose)) } }
                (reason(row))
                (result(row))
                @if let Some(severity) = &row.severity { p { span.mark.stop { (Said(&severity.to_uppercase())) } } }
                (findings(row, false))
            }
        }
    }

    /// The conflicts a row takes part in, each with the way there.
    fn conflicts(&self, row: &Row) -> Markup {
        let clashes = self.clashes.at(row);
        html! {
            @if !clashes.is_empty() {
                p.clash {
                    @for clash in clashes {
                        a.mark.stop href={ "#" (anchor(clash.number)) } { "▲ CONFLICT " (Said(clash.id)) } " "
                    }
                }
            }
        }
    }

    /// Organisation with its code, author, signature, and who else holds it.
    fn provenance(&self, row: &Row) -> Markup {
        let retrieved = self.view.shown(row.retrieved_at);
        html! {
            div.from {
                (head::source(&row.source))
                @if let Some(author) = &row.author { ", " (Said(author)) }
                span.fine { " · " (signature(&row.signature)) }
                @for copy in &row.also_at {
                    p.copy {
                        "also at " (head::organisation(&copy.ods, &copy.name)) " (" (Said(&copy.date_shown)) ")"
                        @if let Some(differs) = &copy.differs { " " b.differs { "▲ DIFFERS: " (Said(differs)) } }
                    }
                }
                @if row.older_versions > 0 {
                    p.fine {
                        "version " (Said(row.version.as_deref().unwrap_or("newest"))) "; "
                        (row.older_versions) " older sent as well"
                    }
                }
                @if row.new { p.fine { "taken in " (self.view.shown(row.taken_in)) } }
                @if retrieved != self.view.shown(self.view.as_at) { p.fine { "retrieved " (retrieved) } }
            }
        }
    }
}

fn new_mark(row: &Row) -> Markup {
    html! { @if row.new { " " span.mark.new { "NEW" } } }
}

fn signature(state: &str) -> Markup {
    html! {
        @match state {
            "verified" => "signature verified",
            "own" => "own record",
            other => { "signature: " (Said(other)) },
        }
    }
}

fn status(row: &Row) -> Markup {
    let said = status_words(&row.resource_type, row.status.as_deref().unwrap_or_default());
    html! {
        div.status {
            @if !said.is_empty() { (badge(&said)) }
            @if let Some(verification) = row.verification.as_deref().filter(|state| *state != "confirmed") { " " (badge(verification)) }
        }
    }
}

/// Why the status is what it is: in the widest column, beside what it is about.
fn reason(row: &Row) -> Markup {
    html! {
        @if let Some(reason) = &row.status_reason {
            p.reason { b { (Said(row.status.as_deref().unwrap_or("status"))) ": " } (Said(reason)) }
        }
    }
}

fn dates(row: &Row) -> Markup {
    html! {
        div.dates {
            span.date { (dated(&row.date_shown)) }
            @if row.newest { span.mark { "newest" } }
            @if let Some(recorded) = recorded(row) { span.fine { (dated(&recorded)) } }
        }
    }
}

/// The other dates of a supply or a dose that share this row.
fn repeats(others: &[&Row]) -> Markup {
    html! {
        @if !others.is_empty() {
            p.repeats {
                b { (counted(others.len() + 1, "time", "times")) } ", also on "
                @let listed = dates_listed(others.len());
                @for (index, other) in others.iter().take(listed).enumerate() {
                    @if index > 0 { ", " }
                    span.date { (Said(&other.date_shown)) }
                }
                @if let Some(first) = others.last() && listed < others.len() {
                    (Said(&and_more(others.len() - listed, &first.date_shown)))
                }
            }
        }
    }
}

/// The value of a measurement with its unit, mark and range.
fn result(row: &Row) -> Markup {
    html! {
        @if let Some(value) = &row.value {
            span.result {
                b { (Said(value)) @if let Some(unit) = &row.unit { " " (Said(unit)) } }
                @if let Some(mark) = &row.interpretation {
                    @let meaning = interpretation(mark);
                    " " span.mark.stop[meaning != Some("normal")] { (Said(mark)) @if let Some(meaning) = meaning { " " (meaning) } }
                }
            }
        }
        @if let Some(range) = &row.reference_range { span.fine.range { "range " (Said(range)) } }
    }
}

/// What a row says beside its name: route, named parts, notes, form. In a table short parts share a line.
fn findings(row: &Row, dense: bool) -> Markup {
    let (short, long): (Vec<&Detail>, Vec<&Detail>) = row.details.iter().partition(|detail| dense && is_short(detail));
    let narrowed = match row.form.as_str() {
        "summary" => Some("codes and dates only"),
        "essential" => Some("indication and narrative withheld"),
        _ => None,
    };
    html! {
        @if row.route.is_some() || !short.is_empty() {
            p.parts {
                @if let Some(route) = &row.route { span { i { "route" } " " (Said(route)) } " " }
                @for detail in short { span { i { (Said(&detail.name)) } " " (Said(&detail.value)) } " " }
            }
        }
        @for detail in long {
            p.part { @if !UNNAMED.contains(&detail.name.as_str()) { i { (Said(&detail.name)) } " " } (Said(&detail.value)) }
        }
        @for note in &row.notes { p.notice { b { "NOTE " } (Said(note)) } }
        @if let Some(narrowed) = narrowed {
            p.form { "(" (narrowed) ")" @if let Some(code) = &row.code { " " span.code { "code " (Said(code)) } } }
        }
        @if !row.linked.is_empty() { p.fine { "about the same event: " (Said(&row.linked.join(", "))) } }
    }
}

/// Short parts share a line.
fn is_short(detail: &Detail) -> bool {
    detail.value.len() <= SHORT && !detail.value.contains('\n') && !UNNAMED.contains(&detail.name.as_str())
}

/// A document that fits on a third of a sheet is not divided between two.
fn is_brief(row: &Row) -> bool {
    let parts = row.details.iter().map(|detail| detail.value.len()).chain(row.notes.iter().map(String::len));
    parts.sum::<usize>() <= BRIEF
}

/// Bytes of a document that stays on one sheet.
const BRIEF: usize = 1_500;
/// Bytes of a part that shares a line with others.
const SHORT: usize = 60;
/// Parts whose name says nothing beside the document they are in.
const UNNAMED: [&str; 2] = ["text", "report"];
/// Words in a status that say: not to be followed.
const HALTED: [&str; 16] = [
    "on-hold",
    "stopped",
    "cancelled",
    "revoked",
    "refuted",
    "unconfirmed",
    "suspended",
    "declined",
    "not-done",
    "rejected",
    "superseded",
    "error",
    "inactive",
    "draft",
    "preliminary",
    "amended",
];
/// Statuses of results that say no more than that there is one.
const FINISHED: [&str; 1] = ["final"];
/// Statuses that say: goes on.
const LIVE: [&str; 4] = ["active", "current", "stated active", "in-progress"];
/// Categories whose groups have a line of their own.
const GROUPED: [Category; 3] = [Category::Medications, Category::Allergies, Category::Problems];
