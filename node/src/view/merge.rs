//! One record, many copies (rule 4): the same identifier, or the same id, becomes one entry at its custodian's highest version.
//! Copies become "also at". Nothing is dropped for being similar; what a copy says otherwise stands beside it.

use std::collections::{BTreeMap, HashMap};

use careweave_protocol::desk::view::{AlsoAt, Row};

use super::row::Entry;

/// What merging leaves.
pub struct Merged {
    /// One entry for each record.
    pub entries: Vec<Entry>,
    /// Records counted and not listed, because they were entered in error.
    pub in_error: u32,
}

/// Merges copies. `codes[i]` is the ODS code of source `i`, by which the custodian of an identifier is recognised.
#[must_use]
pub fn merge(entries: Vec<Entry>, codes: &[&str]) -> Merged {
    let groups = group(&entries);
    let mut places: BTreeMap<usize, Vec<Entry>> = BTreeMap::new();
    for (entry, place) in entries.into_iter().zip(groups) {
        places.entry(place).or_default().push(entry);
    }
    let mut merged = Merged { entries: Vec::new(), in_error: 0 };
    for copies in places.into_values() {
        resolve(newest_versions(copies), codes, &mut merged);
    }
    link(&mut merged.entries);
    merged
}

/// For each entry the index of the first entry of its group.
fn group(entries: &[Entry]) -> Vec<usize> {
    let mut parents: Vec<usize> = (0..entries.len()).collect();
    let mut seen: HashMap<(String, String), usize> = HashMap::new();
    for (index, entry) in entries.iter().enumerate() {
        for key in keys(entry) {
            let key = (entry.row.resource_type.clone(), key);
            match seen.get(&key) {
                Some(&other) if entries.get(other).is_some_and(|other| may_be_copies(entry, other)) => {
                    unite(&mut parents, index, other);
                }
                Some(_) => {}
                None => {
                    seen.insert(key, index);
                }
            }
        }
    }
    (0..entries.len()).map(|index| root(&parents, index)).collect()
}

/// What tells a record: its id at its source, its business identifiers, and an id that is unique everywhere. Patients are
/// each holder's own and are never folded into one another.
fn keys(entry: &Entry) -> Vec<String> {
    let row = &entry.row;
    let mut keys = Vec::new();
    if !row.id.is_empty() {
        keys.push(format!("id|{}|{}", entry.source, row.id));
    }
    if row.resource_type == "Patient" || !entry.readable {
        return keys;
    }
    if is_uuid(&row.id) {
        keys.push(format!("urn:uuid:{}", row.id.to_ascii_lowercase()));
    }
    keys.extend(row.identifiers.iter().map(|identifier| format!("{}|{}", identifier.system, identifier.value)));
    keys
}

/// The same identifier on two different things is a fault of a feed; then both are shown.
fn may_be_copies(a: &Entry, b: &Entry) -> bool {
    let (a_row, b_row) = (&a.row, &b.row);
    let same_id = a.source == b.source && a_row.id == b_row.id;
    let uncoded = a_row.codings.is_empty() || b_row.codings.is_empty();
    let shared =
        || a_row.codings.iter().any(|x| b_row.codings.iter().any(|y| x.system == y.system && x.code == y.code));
    same_id || uncoded || shared() || same_words(&a_row.text, &b_row.text)
}

/// Keeps the highest version of each (source, id), counting the older ones.
fn newest_versions(copies: Vec<Entry>) -> Vec<Entry> {
    let mut kept: Vec<Entry> = Vec::new();
    for mut copy in copies {
        let older =
            kept.iter_mut().find(|k| k.source == copy.source && !copy.row.id.is_empty() && k.row.id == copy.row.id);
        match older {
            Some(other) => {
                let versions = other.row.older_versions + 1;
                if rank(&copy) > rank(other) {
                    std::mem::swap(other, &mut copy);
                }
                other.row.older_versions = versions;
            }
            None => kept.push(copy),
        }
    }
    kept
}

fn resolve(copies: Vec<Entry>, codes: &[&str], merged: &mut Merged) {
    let custodian = custodian(&copies, codes);
    let chosen = copies
        .iter()
        .enumerate()
        .max_by_key(|(index, copy)| (custodian == Some(copy.source), rank(copy), std::cmp::Reverse(*index)))
        .map(|(index, _)| index);
    let Some(chosen) = chosen else { return };
    let mut rest = copies;
    let mut main = rest.remove(chosen);
    if main.in_error {
        merged.in_error += 1;
        // Withdrawn at its origin; a copy that still stands elsewhere is shown with that said.
        let still: Vec<Entry> = rest.into_iter().filter(|copy| !copy.in_error && copy.source != main.source).collect();
        if still.is_empty() {
            return;
        }
        let note = format!("{WITHDRAWN} {}", main.row.source);
        let before = merged.entries.len();
        resolve(still, &[], merged);
        for entry in merged.entries.iter_mut().skip(before) {
            entry.row.notes.push(note.clone());
        }
        return;
    }
    for copy in rest {
        adopt(&mut main, copy);
    }
    merged.entries.push(main);
}

/// Makes a copy part of the entry shown.
fn adopt(main: &mut Entry, copy: Entry) {
    let differs = difference(main, &copy);
    let row = &mut main.row;
    if row.details.is_empty() && !copy.row.details.is_empty() {
        row.notes.push(format!("details from the copy at {}", copy.row.source));
        row.details = copy.row.details;
    }
    row.also_at.push(AlsoAt {
        ods: copy.row.source.ods,
        name: copy.row.source.name,
        id: copy.row.id,
        version: copy.row.version,
        date_shown: copy.row.date_shown,
        differs,
    });
}

/// What the copy says otherwise, in words.
fn difference(main: &Entry, copy: &Entry) -> Option<String> {
    let (a, b) = (&main.row, &copy.row);
    let mut parts = Vec::new();
    if copy.in_error {
        parts.push("entered in error there".to_owned());
    }
    if !same_words(&a.text, &b.text) {
        parts.push(format!("called {}", b.text));
    }
    for (name, ours, theirs) in [
        ("status", &a.status, &b.status),
        ("verification", &a.verification, &b.verification),
        ("dose", &a.dose, &b.dose),
        ("value", &a.value, &b.value),
        ("unit", &a.unit, &b.unit),
        ("severity", &a.severity, &b.severity),
    ] {
        if let Some(theirs) = theirs
            && !ours.as_ref().is_some_and(|ours| same_words(ours, theirs))
        {
            parts.push(format!("{name} {theirs}"));
        }
    }
    let told = |row: &Row| row.details.iter().map(|detail| detail.value.as_str()).collect::<Vec<_>>().join("\n");
    let (ours, theirs) = (told(a), told(b));
    if a.form == b.form && !same_words(&ours, &theirs) && !theirs.is_empty() && !ours.is_empty() {
        parts.push(format!("says: {theirs}"));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// The source that answers for the original: the one whose code stands in the system of a shared identifier, else the one
/// that the resource itself names.
fn custodian(copies: &[Entry], codes: &[&str]) -> Option<usize> {
    let of_code = |code: &str| codes.iter().position(|known| *known == code);
    let systems = || copies.iter().flat_map(|copy| &copy.row.identifiers).map(|identifier| identifier.system.as_str());
    systems()
        .flat_map(|system| system.split(['/', ':']))
        .find_map(of_code)
        .or_else(|| copies.iter().filter_map(|copy| copy.custodian.as_deref()).find_map(of_code))
}

/// Version as a number, then when it was last updated; a version that is no number ranks by the update alone.
fn rank(entry: &Entry) -> (u64, i64) {
    let version = entry
        .row
        .version
        .as_deref()
        .and_then(|version| version.trim_start_matches("W/").trim_matches('"').parse().ok());
    (version.unwrap_or(0), entry.updated.map_or(i64::MIN, |at| at.0))
}

/// Links documents about one event that have different ids: a shared identifier, or kind, custodian, encounter and day.
fn link(entries: &mut [Entry]) {
    let mut events: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate().filter(|(_, e)| DOCUMENTS.contains(&e.row.resource_type.as_str()))
    {
        let row = &entry.row;
        for identifier in &row.identifiers {
            events.entry(format!("{}|{}", identifier.system, identifier.value)).or_default().push(index);
        }
        let day = row.date.as_deref().and_then(|date| date.get(..10));
        if let (Some(encounter), Some(day)) = (&entry.encounter, day) {
            for coding in &row.codings {
                let event = format!("{}|{}|{encounter}|{day}|{}", coding.system, coding.code, entry.source);
                events.entry(event).or_default().push(index);
            }
        }
    }
    let name = |entry: &Entry| format!("{}/{}", entry.row.resource_type, entry.row.id);
    for members in events.into_values().filter(|members| members.len() > 1) {
        let names: Vec<String> = members.iter().filter_map(|index| entries.get(*index)).map(name).collect();
        for index in members {
            if let Some(entry) = entries.get_mut(index) {
                let own = name(entry);
                for other in &names {
                    if *other != own && !entry.row.linked.contains(other) {
                        entry.row.linked.push(other.clone());
                    }
                }
            }
        }
    }
}

/// Whether two texts have the same words, whatever their case and spacing.
#[must_use]
pub fn same_words(a: &str, b: &str) -> bool {
    let words = |text: &str| text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>();
    a == b || words(a) == words(b)
}

fn unite(parents: &mut [usize], a: usize, b: usize) {
    let (a, b) = (root(parents, a), root(parents, b));
    if let Some(parent) = parents.get_mut(a.max(b)) {
        *parent = a.min(b);
    }
}

fn root(parents: &[usize], mut index: usize) -> usize {
    while let Some(&parent) = parents.get(index) {
        if parent == index {
            break;
        }
        index = parent;
    }
    index
}

/// A UUID that is not all zeros, which feeds send for "none".
fn is_uuid(id: &str) -> bool {
    let groups: Vec<usize> = id.split('-').map(str::len).collect();
    groups == [8, 4, 4, 4, 12]
        && id.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
        && id.bytes().any(|b| !matches!(b, b'-' | b'0'))
}

/// How the note on an entry withdrawn at its origin begins.
pub(super) const WITHDRAWN: &str = "entered in error at its origin:";

/// Types in which one event comes in more than one document.
const DOCUMENTS: [&str; 3] = ["Composition", "Bundle", "DocumentReference"];

#[cfg(test)]
mod tests;
