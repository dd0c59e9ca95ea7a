//! One record, many copies (rule 4): the same identifier, or the same id, becomes one entry at its custodian's highest version.
//! Copies become "also at". Nothing is dropped for being similar; what a copy says otherwise stands beside it. Different documents
//! about one event are linked ([`link`]), never folded.

pub mod link;

use std::collections::HashMap;

use careweave_protocol::desk::view::{AlsoAt, Row};

use super::row::Entry;

pub use link::originals_first;

/// What merging leaves.
pub struct Merged {
    /// One entry for each record.
    pub entries: Vec<Entry>,
    /// Records counted and not listed, because they were entered in error.
    pub in_error: u32,
}

/// Merges copies. `codes[i]` is the ODS code of source `i`, by which the custodian of an identifier is recognised.
#[must_use]
pub fn merge(mut entries: Vec<Entry>, codes: &[&str]) -> Merged {
    for entry in &mut entries {
        entry.original = entry.custodian.as_deref().is_some_and(|code| codes.get(entry.source) == Some(&code));
    }
    let groups = group(&entries);
    let mut sizes: Vec<usize> = vec![0; entries.len()];
    for place in &groups {
        if let Some(size) = sizes.get_mut(*place) {
            *size += 1;
        }
    }
    let mut merged = Merged { entries: Vec::with_capacity(entries.len()), in_error: 0 };
    let mut places: HashMap<usize, Vec<Entry>> = HashMap::new();
    for (entry, place) in entries.into_iter().zip(groups) {
        let size = sizes.get(place).copied().unwrap_or(1);
        // Most entries have no copy.
        if size == 1 {
            match entry.in_error {
                true => merged.in_error += 1,
                false => merged.entries.push(entry),
            }
            continue;
        }
        let copies = places.entry(place).or_default();
        copies.push(entry);
        if copies.len() == size {
            resolve(newest_versions(std::mem::take(copies)), codes, &mut merged);
        }
    }
    link::link(&mut merged.entries, codes);
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
        let withdrawn_since = main.row.new;
        let before = merged.entries.len();
        resolve(still, &[], merged);
        for entry in merged.entries.iter_mut().skip(before) {
            entry.row.notes.push(note.clone());
            entry.row.new |= withdrawn_since;
        }
        return;
    }
    for copy in rest {
        adopt(&mut main, copy);
    }
    merged.entries.push(main);
}

/// Makes a copy part of the entry shown. A copy that came since the last look makes the entry new only where it says something
/// that the entry does not: the same words from one more holder are no news.
fn adopt(main: &mut Entry, copy: Entry) {
    let differs = difference(main, &copy);
    let row = &mut main.row;
    row.new |= copy.row.new && (differs.is_some() || (row.details.is_empty() && !copy.row.details.is_empty()));
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

/// Whether two texts have the same words, whatever their case and spacing.
#[must_use]
pub fn same_words(a: &str, b: &str) -> bool {
    let words = |text: &str| text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>();
    a == b || words(a) == words(b)
}

/// Makes two groups one; the first index stands for it.
pub(super) fn unite(parents: &mut [usize], a: usize, b: usize) {
    let (a, b) = (root(parents, a), root(parents, b));
    if let Some(parent) = parents.get_mut(a.max(b)) {
        *parent = a.min(b);
    }
}

/// The index that stands for a group.
pub(super) fn root(parents: &[usize], mut index: usize) -> usize {
    while let Some(&parent) = parents.get(index) {
        if parent == index {
            break;
        }
        index = parent;
    }
    index
}

/// A UUID that is not all zeros, which feeds send for "none".
pub(super) fn is_uuid(id: &str) -> bool {
    let groups: Vec<usize> = id.split('-').map(str::len).collect();
    groups == [8, 4, 4, 4, 12]
        && id.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
        && id.bytes().any(|b| !matches!(b, b'-' | b'0'))
}

/// How the note on an entry withdrawn at its origin begins.
pub(super) const WITHDRAWN: &str = "entered in error at its origin:";

#[cfg(test)]
mod tests;
