//! Allergies (rule 6): the union of what every source records. No entry is left out, the highest severity is shown with its
//! source, and "no known allergy" beside an active allergy is a conflict.

use std::cmp::Reverse;

use careweave_protocol::desk::view::{Conflict, Fact};
use careweave_protocol::desk::warning::Warning;
use careweave_protocol::record::Category;

use super::conflict::{Subject, by_concept, conflict};
use super::row::clinical::severity_rank;
use super::row::{Activity, Entry};

/// Marks entries that say there is none, names each entry's allergen, and puts what holds first, worst first.
pub fn arrange(entries: &mut [Entry]) {
    for entry in entries.iter_mut().filter(|e| e.row.resource_type == "AllergyIntolerance") {
        entry.row.negated = says_none(entry);
        entry.row.group = Some(if entry.row.negated { "no known allergy".to_owned() } else { allergen(entry) });
    }
    entries.sort_by_key(|entry| Reverse((stands(entry), rank(entry))));
}

/// Where sources disagree.
#[must_use]
pub fn conflicts(entries: &[&Entry]) -> Vec<Conflict> {
    let mut found = Vec::new();
    let active: Vec<&Entry> = entries.iter().copied().filter(|e| !e.row.negated && stands(e)).collect();
    let denied: Vec<&Entry> = entries.iter().copied().filter(|e| e.row.negated && stands(e)).collect();
    if !active.is_empty() && !denied.is_empty() {
        let sides: Vec<&Entry> = denied.iter().chain(&active).copied().collect();
        found.push(conflict(&subject(Warning::AllergyDenied, "no-known-allergy", "no known allergy"), &sides));
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
    let text = entry.row.text.trim().to_lowercase();
    let text = ["allergy to ", "allergic to ", "intolerance to ", "adverse reaction to "]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))
        .unwrap_or(&text);
    [" allergy", " intolerance"].iter().find_map(|suffix| text.strip_suffix(suffix)).unwrap_or(text).to_owned()
}

fn says_none(entry: &Entry) -> bool {
    let coded = entry.row.codings.iter().any(|coding| NONE_KNOWN.contains(&coding.code.as_str()));
    let words = entry.row.text.trim().to_lowercase();
    coded
        || words == "nkda"
        || words == "nka"
        || words.starts_with("no known allerg")
        || words.starts_with("no known drug allerg")
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
