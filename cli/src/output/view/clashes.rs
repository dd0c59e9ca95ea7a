//! Which rows take part in which conflict, so that a row never stands there as if nobody disagreed.

use std::collections::BTreeMap;

use careweave_protocol::desk::view::{Conflict, Row};

/// Conflicts by who holds a row, its type and its id.
pub(in crate::output) struct Clashes<'a>(BTreeMap<(&'a str, &'a str, &'a str), Vec<Clash<'a>>>);

/// One conflict, as a row refers to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::output) struct Clash<'a> {
    /// Its place among the conflicts of the view, from 0.
    pub(in crate::output) number: usize,
    /// Id of the warning that names it.
    pub(in crate::output) id: &'a str,
}

impl<'a> Clashes<'a> {
    /// The index of these conflicts. A row without an id cannot be told from another and is left out.
    pub(in crate::output) fn of(conflicts: &'a [Conflict]) -> Self {
        let mut index: BTreeMap<_, Vec<Clash<'a>>> = BTreeMap::new();
        for (number, conflict) in conflicts.iter().enumerate() {
            for entry in conflict.entries.iter().filter(|entry| !entry.id.is_empty()) {
                let key = (entry.source.ods.as_str(), entry.resource_type.as_str(), entry.id.as_str());
                index.entry(key).or_default().push(Clash { number, id: &conflict.id });
            }
        }
        Self(index)
    }

    /// The conflicts a row takes part in.
    pub(in crate::output) fn at<'b>(&'b self, row: &'b Row) -> &'b [Clash<'b>] {
        let key = (row.source.ods.as_str(), row.resource_type.as_str(), row.id.as_str());
        self.0.get(&key).map_or(&[], Vec::as_slice)
    }
}
