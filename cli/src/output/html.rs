//! A view as one self-contained page: to read on any screen, in light and dark, and to print on A4 with patient, requester,
//! completeness and page number on every sheet.
//!
//! `said` (text of records) · `words` (codes in words) · `page_margins` (what stands on every sheet) · `head` (who, completeness,
//! key facts, warnings) · `conflicts` · `rows` (categories) · `foot` (what is not in it, sources). The looks are in `html/style.css`.
//! What is *not* here: any fact. Everything shown stands in the [`View`].

mod conflicts;
mod foot;
mod head;
mod page_margins;
mod rows;
mod said;
mod words;

use careweave_protocol::desk::View;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::words::counted;
use super::view::account::Account;
use super::view::clashes::Clashes;
use super::view::in_reading_order;

/// The page, as a whole document. It loads nothing, runs nothing, and its title names nobody, because a title becomes the
/// name of the file that is printed to.
#[must_use]
pub fn page(view: &View) -> String {
    let account = Account::of(view);
    let clashes = Clashes::of(&view.conflicts);
    let page = html! {
        (DOCTYPE)
        html lang="en-GB" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                meta name="color-scheme" content="light dark";
                meta name="format-detection" content="telephone=no";
                title { "Record view as at " (view.shown(view.as_at)) ", query " (view.query_id) }
                style { (PreEscaped(STYLE)) (PreEscaped(page_margins::style(view, &account))) }
            }
            body {
                a.skip href="#record" { "Skip to the record" }
                (head::banner(view, &account))
                div.sheet {
                    (contents(view))
                    main #record tabindex="-1" {
                        (head::who(view))
                        (completeness(view, &account, "first"))
                        (head::key_facts(view))
                        (head::warnings(view))
                        (conflicts::section(view))
                        @for (category, entries) in in_reading_order(view) {
                            (rows::section(category, entries, view, &clashes))
                        }
                        (foot::not_in_this_view(view))
                        (foot::sources(view))
                        (completeness(view, &account, "last"))
                    }
                }
                (foot::legend(view))
            }
        }
    };
    page.into_string()
}

/// How complete the view is: at its beginning and at its end.
fn completeness(view: &View, account: &Account, place: &str) -> Markup {
    let id = format!("completeness-{place}");
    html! {
        section.account.whole[account.whole && !account.silent].lacking[!account.whole] aria-labelledby=(id) {
            h2 id=(id) { (head::sign(account.whole)) " " (said::Said(&account.brief)) }
            @if !account.lines.is_empty() {
                ul { @for line in &account.lines { li { (said::Said(line)) } } }
            }
            @for line in head::closed_to_role(view) { p { (said::Said(&line)) } }
        }
    }
}

/// Where everything stands, and how much of it there is.
fn contents(view: &View) -> Markup {
    html! {
        nav.contents aria-labelledby="contents" {
            h2 #contents { "In this view" }
            ul {
                li { a href="#key-facts" { "Key facts" } }
                @if !view.warnings.is_empty() { (link("warnings", "Warnings", view.warnings.len(), 0)) }
                @if !view.conflicts.is_empty() { (link("conflicts", "Conflicts", view.conflicts.len(), 0)) }
                @for (category, entries) in in_reading_order(view) {
                    (link(category.as_str(), category.title(), entries.len(), entries.iter().filter(|row| row.new).count()))
                }
                li { a href="#absent" { "Not in this view" } }
                (link("sources", "Sources", view.sources.len(), 0))
            }
        }
    }
}

fn link(id: &str, name: &str, count: usize, new: usize) -> Markup {
    html! {
        li {
            a href={ "#" (id) } {
                span { (name) } " "
                span.count { (count) @if new > 0 { ", " b { (counted(new, "NEW", "NEW")) } } }
            }
        }
    }
}

/// Nothing is loaded from anywhere, whatever a record says.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";
/// The looks; plain CSS without a single address.
const STYLE: &str = include_str!("html/style.css");

#[cfg(test)]
mod tests;
