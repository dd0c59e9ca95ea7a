//! Advance decisions (rule 14): differing ones are "CONFLICT: check the original"; what was revoked, replaced or has ended never
//! stands among the key facts.

use careweave_protocol::desk::view::{Conflict, Fact};
use careweave_protocol::desk::warning::Warning;
use careweave_protocol::record::Category;

use super::conflict::{Subject, by_concept, conflict};
use super::dates;
use super::merge::same_words;
use super::row::{Activity, Entry};

/// Decisions of one kind, in force, that do not say the same: by their words, or by their date where one has no words; and a
/// copy that differs from its original.
#[must_use]
pub fn conflicts(entries: &[&Entry]) -> Vec<Conflict> {
    let in_force: Vec<&Entry> = entries.iter().copied().filter(|e| in_force(e)).collect();
    let mut found = Vec::new();
    for group in by_concept(&in_force, kind) {
        let members: Vec<&Entry> = group.iter().filter_map(|index| in_force.get(*index).copied()).collect();
        let Some((first, rest)) = members.split_first() else { continue };
        let copies_differ =
            members.iter().any(|e| e.row.also_at.iter().any(|copy| says_otherwise(copy.differs.as_deref())));
        if copies_differ || rest.iter().any(|other| !agree(first, other)) {
            let name = kind(first);
            let subject = Subject {
                warning: Warning::AdvanceCare,
                category: Category::AdvanceCare,
                kind: "advance-care",
                name: &name,
            };
            found.push(conflict(&subject, &members));
        }
    }
    found
}

/// Decisions in force, newest first, marked where they are part of a conflict.
#[must_use]
pub fn key_facts(entries: &[&Entry], conflicts: &[Conflict]) -> Vec<Fact> {
    let mut shown: Vec<&Entry> = entries.iter().copied().filter(|e| in_force(e)).collect();
    shown.sort_by_key(|e| dates::newest_first(&e.row));
    let disputed = |entry: &Entry| {
        conflicts.iter().filter(|c| c.category == Category::AdvanceCare).flat_map(|c| &c.entries).any(|side| {
            side.id == entry.row.id && side.source == entry.row.source && side.resource_type == entry.row.resource_type
        })
    };
    shown.into_iter().map(|entry| super::head::fact(entry, disputed(entry))).collect()
}

/// Decisions in the record that do not hold any more.
#[must_use]
pub fn ended<'a>(entries: &[&'a Entry]) -> Vec<&'a Entry> {
    entries.iter().copied().filter(|e| e.activity == Activity::Ended).collect()
}

/// Not ended. A decision whose status says nothing is shown: the reader has to check it either way.
fn in_force(entry: &Entry) -> bool {
    entry.activity != Activity::Ended
}

/// What kind of decision: its first code's display, else its own words.
fn kind(entry: &Entry) -> String {
    entry.row.codings.iter().find_map(|coding| coding.display.clone()).unwrap_or_else(|| entry.row.text.clone())
}

fn agree(a: &Entry, b: &Entry) -> bool {
    let words = |entry: &Entry| entry.row.details.iter().map(|d| d.value.as_str()).collect::<Vec<_>>().join(" ");
    let (a_words, b_words) = (words(a), words(b));
    if a.row.resource_type != b.row.resource_type || a_words.is_empty() || b_words.is_empty() {
        // A flag beside the document it points to says nothing else; two documents without words may.
        return a.row.resource_type != b.row.resource_type || a.row.date == b.row.date;
    }
    same_words(&a_words, &b_words)
}

/// Whether a copy differs in more than its name.
fn says_otherwise(differs: Option<&str>) -> bool {
    differs.is_some_and(|differs| differs.split("; ").any(|part| !part.starts_with("called ")))
}
