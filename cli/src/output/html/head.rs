//! The head: who it is about, who asked, warnings, and the key facts that everybody must see.

use careweave_protocol::desk::View;
use careweave_protocol::desk::view::{Fact, Identity, Source};
use careweave_protocol::desk::warning::Warning;
use careweave_protocol::record::Category;
use maud::{Markup, html};

use super::super::view::account::Account;
use super::super::view::without_facts;
use super::said::{Said, dated};
use super::words::{self, counted};

/// Who it is about, in sight at any time on a screen.
pub(super) fn banner(view: &View, account: &Account) -> Markup {
    let patient = &view.patient;
    html! {
        header.banner {
            div {
                h1 { (Said(&patient.name)) }
                p.ids {
                    span { "Born " b { (Said(&patient.birth_date_shown)) } } " "
                    span { "NHS number " b { (Said(&patient.nhs_number_shown)) } }
                }
                p.marks {
                    @if patient.deceased.is_some() { span.mark.stop { "DECEASED" } " " }
                    @if patient.address_restricted { span.mark.stop { "ADDRESS RESTRICTED" } " " }
                    @if patient.identity == Identity::NotSafelyMatched { span.mark.stop { "NOT SAFELY MATCHED" } " " }
                    a.mark.stop[!account.whole] href="#completeness-first" { (sign(account.whole)) " " (Said(&account.brief)) }
                }
            }
        }
    }
}

/// What is to be confirmed before anything is done, and who asked, when and why.
pub(super) fn who(view: &View) -> Markup {
    let patient = &view.patient;
    html! {
        section.who aria-label="Patient and request" {
            @if patient.identity == Identity::NotSafelyMatched {
                p.alarm { b { "NOT SAFELY MATCHED: " } (Said(patient.identity_reason.as_deref().unwrap_or("the own record differs"))) }
            }
            @if let Some(deceased) = &patient.deceased {
                p.alarm {
                    b { "DECEASED: " } (Said(&deceased.date_shown)) ", according to " (sources(&deceased.sources)) "."
                    @if deceased.disputed { b { " DISPUTED: sources disagree." } }
                }
            }
            @if patient.address_restricted {
                p.alarm { b { "ADDRESS RESTRICTED: " } "do not reveal any address, contact or local organisation" }
            }
            dl {
                @if !patient.address_restricted {
                    (pair("Address", html! { @match &patient.address {
                        Some(address) => (Said(address)),
                        None => "not supplied",
                    } }))
                }
                (pair("Name and address held by", html! { @match &patient.held_by {
                    Some(source) => (self::source(source)),
                    None => "nobody: the name is as typed, no source supplied one",
                } }))
                (pair("As at", html! { (view.shown(view.as_at)) }))
                (pair("Asked by", html! { (Said(&view.requester)) ", " (words::group(view.group)) " (" (view.group) ")" }))
                (pair("Organisation", html! { b { (view.asker) } " " (Said(&view.asker_name)) }))
                (pair("Purpose", html! { (words::purpose(view.purpose)) " (" (view.purpose) ")" }))
                (pair("Query", html! { span.code { (view.query_id) } }))
            }
            @if let Some(told) = marked_new(view) { p.told-new { span.mark.new { "NEW" } " " (told) } }
            p.confirm {
                b { "Confirm name, birth date, address and number before acting." }
                @if patient.identity == Identity::NotHeld { " Your organisation holds nobody under this number." }
            }
        }
    }
}

/// Every warning with its id in the hazard log.
pub(super) fn warnings(view: &View) -> Markup {
    html! {
        @if !view.warnings.is_empty() {
            section.warnings aria-labelledby="warnings" {
                h2 #warnings { "Warnings " span.count { (view.warnings.len()) } }
                ul {
                    @for notice in &view.warnings {
                        li.grave[is_grave(&notice.id)] {
                            span.code { (Said(&notice.id)) } " "
                            span {
                                span.words { (Said(&notice.text)) }
                                @if !notice.about.is_empty() { " " span.about { (Said(&notice.about)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Allergies, advance decisions, flags, named professional, and what matters to the person.
pub(super) fn key_facts(view: &View) -> Markup {
    let facts = &view.key_facts;
    html! {
        section.key aria-labelledby="key-facts" {
            h2 #key-facts { "Key facts" }
            div.facts {
                (group("Allergies", "allergies", Category::Allergies, &facts.allergies, view))
                (group("Advance decisions", "advance", Category::AdvanceCare, &facts.advance_care, view))
                (group("About me", "me", Category::AboutMe, &facts.about_me, view))
                (group("Flags", "", Category::Flags, &facts.flags, view))
                (group("Named professional", "", Category::CareTeam, &facts.named_professional, view))
            }
        }
    }
}

/// What the role is closed to, in the words of the headings.
pub(super) fn closed_to_role(view: &View) -> Vec<String> {
    let mut lines = Vec::new();
    if !view.role_cannot_see.is_empty() {
        let closed: Vec<&str> = view.role_cannot_see.iter().map(|category| category.title()).collect();
        lines.push(format!("Your role cannot see: {}.", closed.join(", ")));
    }
    if !view.may_exist.is_empty() {
        lines.push(format!("May exist, opened by break-glass only: {}.", view.may_exist.join(", ")));
    }
    lines
}

/// A sign beside the words, so that colour is not needed.
pub(super) fn sign(good: bool) -> Markup {
    html! { span.sign aria-hidden="true" { @if good { "✓" } @else { "▲" } } }
}

/// An organisation with its code; one that is withheld has no code.
pub(super) fn source(source: &Source) -> Markup {
    organisation(&source.ods, &source.name)
}

/// As [`source`], of a code and a name.
pub(super) fn organisation(ods: &str, name: &str) -> Markup {
    html! {
        @if ods != careweave_protocol::desk::view::WITHHELD { b.ods { (Said(ods)) } " " }
        (Said(name))
    }
}

fn sources(sources: &[Source]) -> Markup {
    html! { @for (index, source) in sources.iter().enumerate() { @if index > 0 { ", " } (self::source(source)) } }
}

fn pair(name: &str, value: Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn group(name: &str, class: &str, category: Category, facts: &[Fact], view: &View) -> Markup {
    html! {
        div class={ "fact-group " (class) } {
            h3 { (name) @if !facts.is_empty() { " " span.count { (facts.len()) } } }
            @if facts.is_empty() {
                @let told = nothing(name, category, view);
                p.none { (Said(&told)) @if !told.contains(NOT_NONE) { " " (NOT_NONE) "." } }
            } @else {
                ul { @for fact in facts { (self::fact(fact, name)) } }
            }
        }
    }
}

/// Why a kind of key fact is empty: the exact sentence of its category where it has one.
fn nothing(name: &str, category: Category, view: &View) -> String {
    let absence = view.absences.iter().find(|absence| absence.category == category);
    absence.map_or_else(|| format!("{name}: {}", without_facts(category, view)), |absence| absence.text.clone())
}

fn fact(fact: &Fact, group: &str) -> Markup {
    // "About me" under "About me" would only keep the person's own words waiting.
    let named = fact.text != group || fact.detail.is_none();
    html! {
        li {
            @if fact.conflict { p { span.mark.stop { "▲ CONFLICT: check the original" } } }
            @if named {
                p.what {
                    b { (Said(&fact.text)) }
                    @if let Some(severity) = &fact.severity {
                        " " span.mark.stop { (Said(&severity.to_uppercase())) }
                        @if let Some(by) = &fact.severity_source { " " span.fine { "severity by " (source(by)) } }
                    }
                }
            }
            @if let Some(detail) = &fact.detail { p.detail { (Said(detail)) } }
            p.fine { (dated(&fact.date_shown)) " · " (sources(&fact.sources)) }
        }
    }
}

/// What is said of marks for what is new, where they were asked for.
fn marked_new(view: &View) -> Option<String> {
    let new = view.categories.values().flatten().filter(|row| row.new).count();
    let entries = counted(new, "entry", "entries");
    match view.last_look {
        Some(last) => {
            Some(format!("{entries} marked NEW: new since {}, when you last looked at this person", view.shown(last)))
        }
        None if new > 0 => Some(format!("{entries} marked NEW")),
        None => None,
    }
}

/// Warnings about the wrong person, death, what is missing and what could be done wrong at once: they stand in bold.
fn is_grave(id: &str) -> bool {
    GRAVE.iter().any(|warning| warning.id() == id)
}

/// What an empty box must never leave open.
const NOT_NONE: &str = "This does NOT mean none";

const GRAVE: [Warning; 21] = [
    Warning::NotSafelyMatched,
    Warning::SomebodyElse,
    Warning::Deceased,
    Warning::DeathDisputed,
    Warning::Incomplete,
    Warning::FirstView,
    Warning::MedicineStatus,
    Warning::MedicineDose,
    Warning::MedicineDuplicate,
    Warning::DischargeChange,
    Warning::AllergyDenied,
    Warning::AllergyDiffers,
    Warning::AdvanceCare,
    Warning::AddressRestricted,
    Warning::WithdrawnAtOrigin,
    Warning::MedicineNotShown,
    Warning::Namesake,
    Warning::AnswerCut,
    Warning::SelfClaimed,
    Warning::BreakGlass,
    Warning::Safeguarding,
];
