//! Advance decisions (rule 14): differing or out-of-date ones are "CONFLICT: check the original"; what was revoked, replaced or has
//! ended never stands among the key facts.

pub mod stance;

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use careweave_protocol::desk::view::{Conflict, Fact, Source};
use careweave_protocol::desk::warning::Warning;
use careweave_protocol::record::Category;
use careweave_protocol::time::{Date, Timestamp};

use self::stance::{Stance, stance};
use super::conflict::{Subject, by_concept, conflict};
use super::dates;
use super::merge::same_words;
use super::row::{Activity, Entry};

/// Marks decisions that another one replaces, whose own title says that they no longer hold, whose review is overdue, and whose
/// words say both yes and no.
pub fn arrange(entries: &mut [Entry], as_at: Timestamp) {
    end_replaced(entries);
    for entry in entries.iter_mut() {
        if in_force(entry) && title_says_ended(&entry.row.text) {
            entry.activity = Activity::Ended;
            entry.row.notes.push("its title says that it no longer holds".to_owned());
        }
        if entry.review.is_none() {
            entry.review = review_in_words(entry);
        }
        if !in_force(entry) {
            continue;
        }
        if let Some(review) = overdue(entry, as_at) {
            entry.check_original = true;
            entry.row.notes.push(format!("{CHECK}: its review was due on {review}"));
        }
        if stance(entry) == Some(Stance::Both) {
            entry.check_original = true;
            entry.row.notes.push(format!("{CHECK}: its words speak both for and against resuscitation"));
        }
    }
}

/// Decisions of one kind, in force, that do not say the same: by their words, or by their date where one has no words; a copy
/// that differs from its original; decisions of any kind of which one is for and one against resuscitation; and one whose review
/// is overdue or whose own words contradict one another.
#[must_use]
pub fn conflicts(entries: &[&Entry]) -> Vec<Conflict> {
    let in_force: Vec<&Entry> = entries.iter().copied().filter(|e| in_force(e)).collect();
    let mut disputes: Vec<(String, BTreeSet<usize>)> = Vec::new();
    if let Some(sides) = opposed(&in_force) {
        disputes.push(("resuscitation".to_owned(), sides));
    }
    for group in by_concept(&in_force, kind) {
        let members: Vec<&Entry> = group.iter().filter_map(|index| in_force.get(*index).copied()).collect();
        let Some((first, rest)) = members.split_first() else { continue };
        let copies_differ =
            members.iter().any(|e| e.row.also_at.iter().any(|copy| says_otherwise(copy.differs.as_deref())));
        let doubtful = members.iter().any(|e| e.check_original);
        if copies_differ || doubtful || rest.iter().any(|other| !agree(first, other)) {
            disputes.push((kind(first), group.into_iter().collect()));
        }
    }
    let mut found: Vec<Conflict> = Vec::new();
    for (place, (name, sides)) in disputes.iter().enumerate() {
        // What a wider dispute names already is not named twice.
        let wider = disputes
            .iter()
            .enumerate()
            .any(|(other, (_, all))| other != place && sides.is_subset(all) && (sides != all || other < place));
        if wider {
            continue;
        }
        let sides: Vec<&Entry> = sides.iter().filter_map(|index| in_force.get(*index).copied()).collect();
        let (warning, category) = (Warning::AdvanceCare, Category::AdvanceCare);
        let subject = Subject { warning, category, kind: "advance-care", name };
        found.push(conflict(&subject, &sides));
    }
    found
}

/// Decisions in force, newest first, marked where they are part of a conflict.
#[must_use]
pub fn key_facts(entries: &[&Entry], conflicts: &[Conflict]) -> Vec<Fact> {
    let mut shown: Vec<&Entry> = entries.iter().copied().filter(|e| in_force(e)).collect();
    shown.sort_by_key(|e| Reverse(e.listed().map(|date| date.from)));
    let sides: BTreeSet<(&Source, &str, &str)> = conflicts
        .iter()
        .filter(|conflict| conflict.category == Category::AdvanceCare)
        .flat_map(|conflict| &conflict.entries)
        .map(|side| (&side.source, side.resource_type.as_str(), side.id.as_str()))
        .collect();
    let disputed =
        |entry: &Entry| sides.contains(&(&entry.row.source, entry.row.resource_type.as_str(), entry.row.id.as_str()));
    shown.into_iter().map(|entry| super::head::fact(entry, disputed(entry))).collect()
}

/// Decisions in the record that do not hold any more.
#[must_use]
pub fn ended<'a>(entries: &[&'a Entry]) -> Vec<&'a Entry> {
    entries.iter().copied().filter(|e| e.activity == Activity::Ended).collect()
}

/// Not ended, and more than a draft. A decision whose status says nothing is shown: the reader has to check it either way.
fn in_force(entry: &Entry) -> bool {
    let draft = matches!(entry.row.status.as_deref(), Some("draft" | "proposed" | "preliminary"))
        || entry.row.status_reason.as_deref() == Some("draft");
    entry.activity != Activity::Ended && !draft
}

/// Those for and those against resuscitation, where there are both.
fn opposed(entries: &[&Entry]) -> Option<BTreeSet<usize>> {
    let stances: Vec<(usize, Stance)> =
        entries.iter().enumerate().filter_map(|(index, entry)| Some((index, stance(entry)?))).collect();
    let says = |wanted: Stance| stances.iter().any(|(_, stance)| *stance == wanted);
    (says(Stance::For) && says(Stance::Against)).then(|| stances.iter().map(|(index, _)| *index).collect())
}

/// Ends what a later document of the record says it replaces (`relatesTo`), found by its id at the same source, by a UUID, or
/// by an identifier.
fn end_replaced(entries: &mut [Entry]) {
    let mut replaced: HashMap<String, String> = HashMap::new();
    for entry in entries.iter().filter(|e| e.activity != Activity::Unknown || e.row.status.is_none()) {
        let by = format!("replaced by {}, {}, {}", entry.row.text, entry.row.date_shown, entry.row.source);
        for target in &entry.replaces {
            let unique = target.contains('|') || super::merge::is_uuid(target);
            let key = if unique { target.to_ascii_lowercase() } else { format!("{}|{target}", entry.source) };
            replaced.entry(key).or_insert_with(|| by.clone());
        }
    }
    for entry in entries {
        let row = &entry.row;
        let identifiers = row.identifiers.iter().map(|i| format!("{}|{}", i.system, i.value).to_ascii_lowercase());
        let ids = [format!("{}|{}", entry.source, row.id), row.id.to_ascii_lowercase()];
        let by = ids.into_iter().chain(identifiers).find_map(|key| replaced.get(&key));
        if let Some(by) = by {
            entry.activity = Activity::Ended;
            entry.row.notes.push(by.clone());
        }
    }
}

/// `DNACPR form (revoked)` filed as current.
fn title_says_ended(title: &str) -> bool {
    let words = title.to_lowercase();
    ["revoked", "cancelled", "rescinded", "superseded", "no longer valid", "withdrawn"]
        .iter()
        .any(|w| words.contains(w))
}

/// The day by which it was to be reviewed, when that is past.
fn overdue(entry: &Entry, as_at: Timestamp) -> Option<String> {
    let review = entry.review.as_deref().and_then(dates::parse)?;
    (review.until <= as_at).then(|| review.shown())
}

/// A date that stands within a few words after "review": `Review date: 01-Mar-2026`, `Review by 1 March 2026`.
fn review_in_words(entry: &Entry) -> Option<String> {
    entry.row.details.iter().find_map(|detail| {
        let lower = detail.value.to_ascii_lowercase();
        lower.match_indices("review").find_map(|(at, word)| {
            let after = detail.value.get(at + word.len()..)?;
            let words: Vec<&str> = after
                .split(|c: char| c.is_whitespace() || matches!(c, ':' | ',' | ';' | '(' | ')'))
                .filter(|word| !word.is_empty())
                .take(REVIEW_WORDS)
                .map(|word| word.trim_end_matches('.'))
                .collect();
            let found = |start: usize| {
                let rest = words.get(start..).unwrap_or_default();
                let one = rest.first().and_then(|word| Date::from_human(word));
                one.or_else(|| Date::from_human(&rest.get(..3)?.join(" ")))
            };
            (0..words.len()).find_map(found).map(|date| date.to_string())
        })
    })
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

/// How a note on a decision that must be looked up begins.
const CHECK: &str = "CONFLICT, check the original";
/// Words after "review" among which its date is looked for.
const REVIEW_WORDS: usize = 6;

#[cfg(test)]
mod tests;
