//! Medicines (rule 5): grouped by substance, then product, then route; every assertion stays. Disagreements are named
//! ([`conflicts`]), and no winner is picked: the newest is marked newest, which is not the same as right.

pub mod conflicts;
pub mod dmd;
pub mod substance;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use careweave_protocol::desk::view::Detail;
use careweave_protocol::record::Coding;

use self::dmd::Dmd;
use self::substance::substances;
use super::conflict::mark_newest;
use super::row::medicine::Kind;
use super::row::{Activity, Entry};

/// Names the substances of each entry, resolves references to `Medication` entries of the same source, says at each order when
/// its substance was last dispensed, marks the newest of each substance, and puts the list in order: what somebody takes first,
/// then by substance, product and route, newest first.
pub fn arrange(entries: &mut [Entry], dmd: Option<&Dmd>) {
    resolve_references(entries);
    for entry in entries.iter_mut() {
        let found = substances(&entry.row.codings, &entry.row.text, dmd);
        entry.row.group = Some(found.join(" + "));
        let product = entry.row.text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        if let Some(facts) = &mut entry.medicine {
            facts.substances = found;
            facts.product = product;
        }
    }
    let mut groups: BTreeMap<String, Vec<&mut Entry>> = BTreeMap::new();
    for entry in entries.iter_mut() {
        groups.entry(entry.row.group.clone().unwrap_or_default()).or_default().push(entry);
    }
    let mut taken: BTreeMap<String, bool> = BTreeMap::new();
    for (name, members) in &mut groups {
        taken.insert(name.clone(), members.iter().any(|e| e.activity == Activity::Current));
        mark_newest(members);
        tell_last_supply(members);
    }
    entries.sort_by_cached_key(|entry| {
        let group = entry.row.group.clone().unwrap_or_default();
        let taken = taken.get(&group).copied().unwrap_or(false);
        let route = entry.row.route.clone().unwrap_or_default();
        (Reverse(taken), group, product(entry).to_owned(), route, Reverse(entry.listed().map(|date| date.from)))
    });
}

/// Says at each order and statement of a group when and where the substance was last handed over.
fn tell_last_supply(members: &mut [&mut Entry]) {
    let supplies = members.iter().filter(|e| kind(e) == Some(Kind::Supply) && e.activity == Activity::Current);
    let Some(last) = supplies.max_by_key(|e| e.listed().map(|date| date.from)) else { return };
    let said = format!("{}, {}, {}", last.row.date_shown, last.row.text, last.row.source);
    for entry in members.iter_mut().filter(|e| is_order(e)) {
        entry.row.details.push(Detail { name: "last dispensed".to_owned(), value: said.clone() });
    }
}

/// Gives an entry that names its medicine by reference the name of that `Medication`, when its source sent it.
fn resolve_references(entries: &mut [Entry]) {
    let products: BTreeMap<(usize, String), (String, Vec<Coding>)> = entries
        .iter()
        .filter(|e| e.row.resource_type == "Medication" && !e.row.id.is_empty())
        .map(|e| ((e.source, e.row.id.clone()), (e.row.text.clone(), e.row.codings.clone())))
        .collect();
    for entry in entries {
        let Some(reference) = entry.medicine.as_ref().and_then(|facts| facts.reference.clone()) else { continue };
        let id = reference.rsplit(['/', ':']).next().unwrap_or(&reference).to_owned();
        match products.get(&(entry.source, id)) {
            Some((text, codings)) => {
                entry.row.text.clone_from(text);
                entry.row.code = codings.first().map(|coding| coding.code.clone());
                entry.row.codings.clone_from(codings);
            }
            None if entry.row.text.ends_with("without a description") => {
                "medicine not named in this entry, ask its source".clone_into(&mut entry.row.text);
            }
            None => {}
        }
    }
}

/// The product's name, as far as case and spacing make no difference.
fn product(entry: &Entry) -> &str {
    entry.medicine.as_ref().map_or("", |facts| facts.product.as_str())
}

fn kind(entry: &Entry) -> Option<Kind> {
    entry.medicine.as_ref().map(|facts| facts.kind)
}

fn is_order(entry: &Entry) -> bool {
    matches!(kind(entry), Some(Kind::Order | Kind::Statement))
}

#[cfg(test)]
mod tests;
