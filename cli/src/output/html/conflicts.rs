//! Where sources disagree: every side, none picked.

use careweave_protocol::desk::View;
use careweave_protocol::desk::view::{Conflict, ConflictEntry};
use maud::{Markup, html};

use super::super::view::rows::status_words;
use super::head;
use super::said::{Said, dated};

/// Every conflict with every side.
pub(super) fn section(view: &View) -> Markup {
    html! {
        @if !view.conflicts.is_empty() {
            section.conflicts aria-labelledby="conflicts" {
                h2 #conflicts { "Conflicts " span.count { (view.conflicts.len()) } }
                p.note { "No source is assumed to be right. The newest is marked, which is not the same as right." }
                @for (number, conflict) in view.conflicts.iter().enumerate() { (self::conflict(number, conflict)) }
            }
        }
    }
}

/// Where a conflict stands in the page.
pub(super) fn anchor(number: usize) -> String {
    format!("conflict-{}", number.saturating_add(1))
}

fn conflict(number: usize, conflict: &Conflict) -> Markup {
    html! {
        article.conflict id=(anchor(number)) {
            h3 {
                span.subject { (Said(&conflict.subject)) } " "
                span.mark.stop { "▲ " (Said(&conflict.id)) } " "
                span.fine { (conflict.category.title()) }
            }
            p.words { (Said(&conflict.text)) }
            table.sides {
                thead { tr { th scope="col" { "Source" } th scope="col" { "What it says" } th scope="col" { "Status" } th scope="col" { "Date" } } }
                tbody { @for entry in &conflict.entries { (side(entry)) } }
            }
        }
    }
}

fn side(entry: &ConflictEntry) -> Markup {
    let status = status_words(&entry.resource_type, entry.status.as_deref().unwrap_or_default());
    html! {
        tr {
            th scope="row" { (head::source(&entry.source)) }
            td {
                span.drug { (Said(&entry.text)) }
                @if let Some(dose) = &entry.dose { span.dose { (Said(dose)) } }
            }
            td {
                @if !status.is_empty() { (super::rows::badge(&status)) }
                @if let Some(severity) = &entry.severity { " " span.mark.stop { (Said(severity)) } }
            }
            td { (dated(&entry.date_shown)) @if entry.newest { " " span.mark { "newest" } } }
        }
    }
}
