//! Allergies (rule 6): the union of what every source records. No entry is left out, the highest severity is shown with its
//! source, and "no known allergy" beside an active allergy is a conflict.

use std::cmp::Reverse;

use careweave_protocol::desk::view::{Conflict, Detail, Fact};
use careweave_protocol::desk::warning::Warning;
use careweave_protocol::record::Category;

use super::conflict::{Subject, by_concept, conflict};
use super::merge::same_words;
use super::row::clinical::severity_rank;
use super::row::{Activity, Entry};

/// Marks entries that say there is none, names each entry's allergen, and puts what holds first, worst first.
pub fn arrange(entries: &mut [Entry]) {
    for entry in entries.iter_mut().filter(|e| e.row.resource_type == "AllergyIntolerance") {
        let denied = denial(entry);
        entry.row.negated = denied.is_some();
        entry.row.group = Some(match denied {
            Some(Denial::Everything) => "no known allergy".to_owned(),
            Some(Denial::Something) | None => allergen(entry),
        });
        keep_display(entry);
    }
    entries.sort_by_key(|entry| Reverse((stands(entry), rank(entry))));
}

/// Where sources disagree.
#[must_use]
pub fn conflicts(entries: &[&Entry]) -> Vec<Conflict> {
    let mut found = Vec::new();
    let active: Vec<&Entry> = entries.iter().copied().filter(|e| !e.row.negated && stands(e)).collect();
    let (denied, partly): (Vec<&Entry>, Vec<&Entry>) = entries
        .iter()
        .copied()
        .filter(|e| e.row.negated && stands(e))
        .partition(|e| denial(e) == Some(Denial::Everything));
    if !active.is_empty() && !denied.is_empty() {
        let sides: Vec<&Entry> = denied.iter().chain(&active).copied().collect();
        found.push(conflict(&subject(Warning::AllergyDenied, "no-known-allergy", "no known allergy"), &sides));
    }
    for entry in partly {
        let words = entry.row.text.to_lowercase();
        let against = active.iter().copied().filter(|e| words.contains(&allergen(e)));
        let sides: Vec<&Entry> = std::iter::once(entry).chain(against).collect();
        if sides.len() > 1 {
            found.push(conflict(&subject(Warning::AllergyDenied, "no-known-allergy", &words), &sides));
        }
    }
    let named: Vec<&Entry> = entries.iter().copied().filter(|e| !e.row.negated).collect();
    for group in by_concept(&named, allergen) {
        let members: Vec<&Entry> = group.iter().filter_map(|index| named.get(*index).copied()).collect();
        let Some(first) = members.first() else { continue };
        let name = allergen(first);
        let standing: Vec<&Entry> = members.iter().copied().filter(|e| stands(e)).collect();
        if standing.len() < members.len() && !standing.is_empty() {
            found.push(conflict(&subject(Warning::AllergyDiffers, "activity", &name), &members));
        }
        let mut severities: Vec<&str> = standing.iter().filter_map(|e| e.row.severity.as_deref()).collect();
        severities.sort_unstable();
        severities.dedup();
        if severities.len() > 1 {
            found.push(conflict(&subject(Warning::AllergyDiffers, "severity", &name), &standing));
        }
    }
    found
}

/// Active allergies as key facts, one for each allergen, worst first; "no known allergy" only when nothing contradicts it.
#[must_use]
pub fn key_facts(entries: &[&Entry]) -> Vec<Fact> {
    let standing: Vec<&Entry> = entries.iter().copied().filter(|e| stands(e)).collect();
    let denied = standing.iter().any(|e| e.row.negated);
    let affirmed = standing.iter().any(|e| !e.row.negated);
    let shown: Vec<&Entry> = standing.into_iter().filter(|e| !affirmed || !e.row.negated).collect();
    let mut facts: Vec<(u8, Fact)> = by_concept(&shown, allergen)
        .into_iter()
        .filter_map(|group| {
            let members: Vec<&Entry> = group.iter().filter_map(|index| shown.get(*index).copied()).collect();
            let worst = *members.iter().max_by_key(|e| rank(e))?;
            let mut reactions: Vec<&str> = Vec::new();
            for detail in
                members.iter().flat_map(|e| &e.row.details).filter(|d| d.name == "reaction" || d.name == "note")
            {
                if !reactions.contains(&detail.value.as_str()) {
                    reactions.push(&detail.value);
                }
            }
            let fact = Fact {
                text: worst.row.text.clone(),
                detail: (!reactions.is_empty()).then(|| reactions.join("; ")),
                severity: worst.row.severity.clone(),
                severity_source: worst.row.severity.as_ref().map(|_| worst.row.source.clone()),
                date_shown: worst.row.date_shown.clone(),
                sources: super::head::sources_of(&members),
                conflict: denied && affirmed,
            };
            Some((rank(worst), fact))
        })
        .collect();
    facts.sort_by_key(|(rank, _)| Reverse(*rank));
    facts.into_iter().map(|(_, fact)| fact).collect()
}

/// The allergen's name: "Allergy to penicillin", "Penicillin allergy" and "Penicillin" are one.
#[must_use]
pub fn allergen(entry: &Entry) -> String {
    allergen_of(&entry.row.text)
}

fn allergen_of(text: &str) -> String {
    let text = text.trim().to_lowercase();
    let text = ["allergy to ", "allergic to ", "intolerance to ", "adverse reaction to "]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))
        .unwrap_or(&text);
    [" allergy", " intolerance"].iter().find_map(|suffix| text.strip_suffix(suffix)).unwrap_or(text).to_owned()
}

/// What a display says beside other words of the writer is kept as well: neither is dropped for the other.
fn keep_display(entry: &mut Entry) {
    let row = &entry.row;
    let other = |display: &&str| !same_words(display, &row.text) && allergen_of(display) != allergen_of(&row.text);
    let displays: Vec<&str> = row.codings.iter().filter_map(|coding| coding.display.as_deref()).filter(other).collect();
    let value = displays.join(", ");
    if !value.is_empty() {
        entry.row.details.push(Detail { name: "coded as".to_owned(), value });
    }
}

/// What an entry that names an absence denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Denial {
    /// Any allergy, or any to medicines.
    Everything,
    /// One kind of allergy: to food, to latex.
    Something,
}

fn denial(entry: &Entry) -> Option<Denial> {
    let coded = |codes: &[&str]| entry.row.codings.iter().any(|coding| codes.contains(&coding.code.as_str()));
    let words = entry.row.text.trim().trim_end_matches('.').to_lowercase();
    let begins = |beginnings: &[&str]| beginnings.iter().any(|beginning| words.starts_with(beginning));
    let one_kind = || words.contains(" to ") || begins(&["no known food", "no known latex", "no known environmental"]);
    if coded(&NONE_OF_KIND) || (begins(&["no known"]) && one_kind()) {
        return Some(Denial::Something);
    }
    let everything = coded(&NONE_KNOWN) || NOTHING.contains(&words.as_str()) || begins(&NOTHING_BEGINS);
    everything.then_some(Denial::Everything)
}

/// Whether it holds: not ended, and not refuted.
fn stands(entry: &Entry) -> bool {
    entry.row.resource_type == "AllergyIntolerance"
        && entry.activity == Activity::Current
        && entry.row.verification.as_deref() != Some("refuted")
}

fn rank(entry: &Entry) -> u8 {
    entry.row.severity.as_deref().map_or(0, severity_rank)
}

fn subject<'a>(warning: Warning, kind: &'a str, name: &'a str) -> Subject<'a> {
    Subject { warning, category: Category::Allergies, kind, name }
}

/// SNOMED CT: no known allergy, no known drug allergy.
const NONE_KNOWN: [&str; 2] = ["716186003", "409137002"];
/// SNOMED CT: no known allergy to latex, to food, to something in the environment.
const NONE_OF_KIND: [&str; 3] = ["716184000", "429625007", "428607008"];
/// What people write for "no known allergy".
const NOTHING: [&str; 8] =
    ["nkda", "nka", "none known", "nil known", "no allergies", "no drug allergies", "none", "nil"];
/// How what people write for it begins.
const NOTHING_BEGINS: [&str; 4] =
    ["no known allerg", "no known drug allerg", "no known medication allerg", "no known medicine allerg"];

#[cfg(test)]
mod tests;
