//! Problems (rule 7): entries of one concept stand together with every onset and source; different activity shows both.

use std::cmp::Reverse;

use careweave_protocol::desk::view::Conflict;
use careweave_protocol::desk::warning::Warning;
use careweave_protocol::record::Category;

use super::conflict::{Subject, by_concept, conflict};
use super::row::{Activity, Entry};

/// Names each problem's concept and puts the list in order: what is active first, one concept together, newest first.
pub fn arrange(entries: &mut Vec<Entry>) {
    let groups = {
        let all: Vec<&Entry> = entries.iter().collect();
        by_concept(&all, concept)
    };
    let mut order: Vec<(bool, usize)> = entries.iter().map(|_| (false, 0)).collect();
    for (place, group) in groups.iter().enumerate() {
        let active = group.iter().filter_map(|index| entries.get(*index)).any(|e| e.activity == Activity::Current);
        let name = group.first().and_then(|index| entries.get(*index)).map(|e| e.row.text.clone());
        for index in group {
            if let Some(slot) = order.get_mut(*index) {
                *slot = (active, place);
            }
            if let Some(entry) = entries.get_mut(*index) {
                entry.row.group.clone_from(&name);
            }
        }
    }
    let mut placed: Vec<((bool, usize), Entry)> = order.into_iter().zip(entries.drain(..)).collect();
    placed.sort_by_cached_key(|((active, place), entry)| {
        (Reverse(*active), *place, Reverse(entry.listed().map(|date| date.from)))
    });
    entries.extend(placed.into_iter().map(|(_, entry)| entry));
}

/// One concept active at one source and ended at another, each source taken at its newest entry.
#[must_use]
pub fn conflicts(entries: &[&Entry]) -> Vec<Conflict> {
    let mut found = Vec::new();
    for group in by_concept(entries, concept) {
        let mut members: Vec<&Entry> = group.iter().filter_map(|index| entries.get(*index).copied()).collect();
        members.retain(|e| e.activity != Activity::Unknown && e.row.verification.as_deref() != Some("refuted"));
        members.sort_by_key(|e| Reverse(e.asserted()));
        let mut newest: Vec<&Entry> = Vec::new();
        for member in members {
            if !newest.iter().any(|known| known.source == member.source) {
                newest.push(member);
            }
        }
        let ended = newest.iter().filter(|e| e.activity == Activity::Ended).count();
        if let Some(first) = newest.first()
            && ended > 0
            && ended < newest.len()
        {
            let name = first.row.text.clone();
            let subject = Subject {
                warning: Warning::ProblemActivity,
                category: Category::Problems,
                kind: "activity",
                name: &name,
            };
            found.push(conflict(&subject, &newest));
        }
    }
    found
}

fn concept(entry: &Entry) -> String {
    entry.row.text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}
