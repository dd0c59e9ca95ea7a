//! Different documents about one event (rule 4): linked by document identifier, by attachment hash, or by type, custodian,
//! encounter and day; the original stands first, and every one of them is shown.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::super::row::Entry;
use super::{root, unite};

/// Links documents about one event, and numbers the event.
pub(super) fn link(entries: &mut [Entry], codes: &[&str]) {
    let mut parents: Vec<usize> = (0..entries.len()).collect();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (index, entry) in entries.iter().enumerate() {
        if !DOCUMENTS.contains(&entry.row.resource_type.as_str()) {
            continue;
        }
        for key in keys(entry, codes) {
            match seen.get(&key) {
                Some(&other) => unite(&mut parents, index, other),
                None => {
                    seen.insert(key, index);
                }
            }
        }
    }
    let mut events: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for index in 0..entries.len() {
        events.entry(root(&parents, index)).or_default().push(index);
    }
    let name = |entry: &Entry| format!("{}/{}", entry.row.resource_type, entry.row.id);
    for (event, members) in events.into_iter().filter(|(_, members)| members.len() > 1) {
        let names: Vec<(usize, String)> =
            members.iter().filter_map(|index| Some((*index, name(entries.get(*index)?)))).collect();
        for index in members {
            if let Some(entry) = entries.get_mut(index) {
                let others = names.iter().filter(|(other, _)| *other != index).take(LINKS_MAX);
                entry.row.linked = others.map(|(_, name)| name.clone()).collect();
                entry.event = Some(event);
            }
        }
    }
}

/// Puts entries newest first, documents about one event together at the date of their original, the original before the others.
pub fn originals_first(entries: &mut [Entry]) {
    let mut originals: HashMap<usize, Rank> = HashMap::new();
    for entry in entries.iter() {
        if let Some(event) = entry.event {
            let best = originals.entry(event).or_insert_with(|| rank(entry));
            *best = rank(entry).min(*best);
        }
    }
    entries.sort_by_cached_key(|entry| {
        let own = rank(entry);
        let original = entry.event.and_then(|event| originals.get(&event)).unwrap_or(&own);
        (Reverse(original.dated()), entry.event, own)
    });
}

/// What tells the event: document identifiers, hashes, and type, custodian, encounter and day together.
fn keys(entry: &Entry, codes: &[&str]) -> Vec<String> {
    let row = &entry.row;
    let mut keys: Vec<String> = row.identifiers.iter().map(|i| format!("id|{}|{}", i.system, i.value)).collect();
    keys.extend(entry.hashes.iter().map(|hash| format!("hash|{hash}")));
    let day = row.date.as_deref().and_then(|date| date.get(..10));
    if let (Some(encounter), Some(day)) = (&entry.encounter, day) {
        // Who answers for a document is who sent it, unless it says otherwise.
        let custodian = entry.custodian.as_deref().or_else(|| codes.get(entry.source).copied()).unwrap_or_default();
        keys.extend(row.codings.iter().map(|c| format!("event|{}|{}|{custodian}|{encounter}|{day}", c.system, c.code)));
    }
    keys
}

/// The original is held by who answers for it, else it is a composition rather than a reference to one, else it is the oldest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    elsewhere: bool,
    reference: bool,
    undated: bool,
    date: i64,
}

fn rank(entry: &Entry) -> Rank {
    let date = entry.listed().map(|date| date.from.0);
    Rank {
        elsewhere: !entry.original,
        reference: entry.row.resource_type == "DocumentReference",
        undated: date.is_none(),
        date: date.unwrap_or_default(),
    }
}

impl Rank {
    fn dated(&self) -> Option<i64> {
        (!self.undated).then_some(self.date)
    }
}

/// Types in which one event comes in more than one document.
const DOCUMENTS: [&str; 3] = ["Composition", "Bundle", "DocumentReference"];
/// Others named at one entry. Forty copies of one leaflet are not forty things to look up.
const LINKS_MAX: usize = 8;
