//! The foot: what is not in the view and why, every source with what came of asking it, and how to read the page.

use careweave_protocol::desk::View;
use careweave_protocol::desk::view::SourceView;
use maud::{Markup, html};

use super::super::view::account::AWAITED;
use super::super::view::not_listed;
use super::head;
use super::said::Said;

/// Empty categories with what that means, and what is counted but not listed.
pub(super) fn not_in_this_view(view: &View) -> Markup {
    let counted = not_listed(view);
    let closed = head::closed_to_role(view);
    html! {
        section aria-labelledby="absent" {
            h2 #absent { "Not in this view" }
            ul.plain {
                @for absence in &view.absences { li { (Said(&absence.text)) } }
                @for line in closed.iter().chain(&counted) { li { (Said(line)) } }
                @if view.absences.is_empty() && closed.is_empty() && counted.is_empty() {
                    li { "Every category that was asked for has entries, and none was left out of the list." }
                }
            }
        }
    }
}

/// Every member, asked or not.
pub(super) fn sources(view: &View) -> Markup {
    html! {
        section aria-labelledby="sources" {
            h2 #sources { "Sources " span.count { (view.sources.len()) } }
            table.sources {
                thead {
                    tr {
                        th scope="col" { "Source" }
                        th scope="col" { "What came of asking" }
                        th.number scope="col" { "Records" }
                        th scope="col" { "Data to" }
                    }
                }
                tbody { @for source in &view.sources { (line(source, view)) } }
            }
        }
    }
}

/// What the words and marks on the page mean.
pub(super) fn legend(view: &View) -> Markup {
    html! {
        footer {
            h2 { "How to read this page" }
            p {
                "Every entry stands with who holds it (organisation and ODS code), the author's role, its clinical date, and the date it was recorded where that is another. "
                b { "signature verified" } ": the entry is what its holder signed. "
                b { "own record" } ": read from your own organisation's store. "
                "Entries are complete unless they say " b { "codes and dates only" } " or " b { "indication and narrative withheld" } ". "
                "Identical supplies and doses given share a row with every date on it. "
                "Each warning's number (CW-H…) stands in the hazard log. "
                "Everything was retrieved by " (view.shown(view.as_at)) "; what came to a source later is not here."
            }
        }
    }
}

fn line(source: &SourceView, view: &View) -> Markup {
    // Nobody needs to be rung, and nothing counted, while the reply may still come.
    let ended = source.outcome != AWAITED;
    let bad = source.asked && ended && (!source.replied || source.outcome == "refused");
    html! {
        tr {
            th scope="row" { (head::organisation(&source.ods, &source.name)) @if source.own { " (own)" } }
            td {
                span.mark.stop[bad] { @if bad { "▲ " } (Said(&source.outcome)) }
                @if let Some(reason) = &source.reason { " " (Said(reason)) }
                @if let Some(number) = source.duty_contact.as_ref().filter(|_| ended) { " " b { "ring " (Said(number)) } }
            }
            td.number { @if source.asked && ended { (source.records) } @else { span.fine { "–" } } }
            td {
                @match source.data_to {
                    Some(to) => (view.shown(to)),
                    None => span.fine { @if source.asked { "not said" } @else { "–" } },
                }
                @if source.stale { " " span.mark.stop { "▲ OLDER THAN ITS FEED" } }
            }
        }
    }
}
