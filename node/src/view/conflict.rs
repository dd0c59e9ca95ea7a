//! Building a conflict: every side with its source, the newest marked as newest, no winner picked.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use careweave_protocol::desk::view::{Conflict, ConflictEntry};
use careweave_protocol::desk::warning::Warning;
use careweave_protocol::record::Category;

use super::dates;
use super::merge::{root, unite};
use super::row::Entry;

/// What a conflict is about.
pub struct Subject<'a> {
    /// The warning that names it.
    pub warning: Warning,
    /// Where.
    pub category: Category,
    /// Its stable kind.
    pub kind: &'a str,
    /// Substance, allergen, problem or document.
    pub name: &'a str,
}

/// Puts a conflict together.
#[must_use]
pub fn conflict(subject: &Subject<'_>, sides: &[&Entry]) -> Conflict {
    let mut sides = sides.to_vec();
    sides.sort_by_key(|entry| Reverse(entry.asserted()));
    let newest = sides.first().and_then(|entry| entry.asserted());
    let entries = sides.iter().map(|entry| {
        let row = &entry.row;
        ConflictEntry {
            source: row.source.clone(),
            resource_type: row.resource_type.clone(),
            id: row.id.clone(),
            text: row.text.clone(),
            status: row.status.clone(),
            dose: row.dose.clone(),
            severity: row.severity.clone(),
            date: row.date.clone().or_else(|| row.recorded.clone()),
            date_shown: said(entry),
            newest: sides.len() > 1 && newest.is_some() && entry.asserted() == newest,
        }
    });
    Conflict {
        id: subject.warning.id().to_owned(),
        category: subject.category,
        kind: subject.kind.to_owned(),
        subject: subject.name.to_owned(),
        text: subject.warning.text().to_owned(),
        entries: entries.collect(),
    }
}

/// The date of one side, with the day on which it was recorded where that is another one.
fn said(entry: &Entry) -> String {
    let row = &entry.row;
    let recorded = row.recorded.as_deref().and_then(dates::parse).filter(|_| row.date.is_some());
    match recorded.map(|date| date.shown()).filter(|recorded| !row.date_shown.contains(recorded.as_str())) {
        Some(recorded) => format!("{}, recorded {recorded}", row.date_shown),
        None => row.date_shown.clone(),
    }
}

/// Groups entries of one concept: those that share a code, or whose `name` is the same. Gives the indices of each group.
#[must_use]
pub fn by_concept(entries: &[&Entry], name: impl Fn(&Entry) -> String) -> Vec<Vec<usize>> {
    let mut parents: Vec<usize> = (0..entries.len()).collect();
    let mut codes: HashMap<(&str, &str), usize> = HashMap::new();
    let mut names: HashMap<String, usize> = HashMap::new();
    for (index, entry) in entries.iter().enumerate() {
        // One entry can tie several groups together.
        for coding in &entry.row.codings {
            let first = *codes.entry((&coding.system, &coding.code)).or_insert(index);
            unite(&mut parents, index, first);
        }
        let name = name(entry);
        if !name.is_empty() {
            let first = *names.entry(name).or_insert(index);
            unite(&mut parents, index, first);
        }
    }
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for index in 0..entries.len() {
        groups.entry(root(&parents, index)).or_default().push(index);
    }
    groups.into_values().collect()
}

/// Marks the newest dated row of each group of two or more.
pub fn mark_newest(entries: &mut [&mut Entry]) {
    let newest = entries.iter().filter_map(|entry| entry.listed()).map(|date| date.from).max();
    if newest.is_some() && entries.len() > 1 {
        for entry in entries {
            entry.row.newest = entry.listed().map(|date| date.from) == newest;
        }
    }
}
