//! Medicines (rule 5): grouped by substance, then product, then route; every assertion stays. Disagreements are named, and no
//! winner is picked: the newest is marked newest, which is not the same as right.

pub mod substance;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use careweave_protocol::desk::view::Conflict;
use careweave_protocol::desk::warning::Warning;
use careweave_protocol::record::Category;
use careweave_protocol::time::Timestamp;

use self::substance::{strength, substances};
use super::conflict::{Subject, conflict, mark_newest};
use super::dates;
use super::merge::same_words;
use super::row::medicine::Kind;
use super::row::{Activity, Entry};

/// Names the substances of each entry, resolves references to `Medication` entries of the same source, marks the newest of each
/// substance, and puts the list in order: what somebody takes first, then by substance, product and route, newest first.
pub fn arrange(entries: &mut [Entry]) {
    resolve_references(entries);
    for entry in entries.iter_mut() {
        entry.row.group = Some(ingredients(entry).join(" + "));
    }
    let mut groups: BTreeMap<String, Vec<&mut Entry>> = BTreeMap::new();
    for entry in entries.iter_mut() {
        groups.entry(entry.row.group.clone().unwrap_or_default()).or_default().push(entry);
    }
    let mut taken: BTreeMap<String, bool> = BTreeMap::new();
    for (name, members) in &mut groups {
        taken.insert(name.clone(), members.iter().any(|e| e.activity == Activity::Current));
        mark_newest(members);
    }
    entries.sort_by_cached_key(|entry| {
        let group = entry.row.group.clone().unwrap_or_default();
        let taken = taken.get(&group).copied().unwrap_or(false);
        let route = entry.row.route.clone().unwrap_or_default();
        (Reverse(taken), group, product(entry), route, dates::newest_first(&entry.row))
    });
}

/// Where sources disagree about a medicine.
#[must_use]
pub fn conflicts(entries: &[&Entry], as_at: Timestamp) -> Vec<Conflict> {
    let mut found = Vec::new();
    let mut groups: BTreeMap<String, Vec<&Entry>> = BTreeMap::new();
    for entry in entries.iter().filter(|e| e.medicine.as_ref().is_some_and(|m| m.kind != Kind::Product)) {
        for ingredient in ingredients(entry) {
            groups.entry(ingredient).or_default().push(entry);
        }
    }
    let dispensers = entries.iter().any(|e| kind(e) == Some(Kind::Supply));
    let lists =
        |source: usize| entries.iter().any(|e| e.source != source && is_order(e) && setting(e) != Some("discharge"));
    for (name, members) in &groups {
        found.extend(status(name, members));
        found.extend(dose(name, members));
        found.extend(duplicate(name, members));
        found.extend(discharge_change(name, members, as_at, &lists));
        if dispensers {
            found.extend(not_dispensed(name, members));
        }
    }
    found
}

/// Active at one source, stopped or on hold at another. A supply or a dose given after the newest stop counts as taking it.
fn status(name: &str, members: &[&Entry]) -> Option<Conflict> {
    let orders = newest_orders(members);
    let ended: Vec<&Entry> = orders.iter().copied().filter(|e| e.activity == Activity::Ended).collect();
    let stopped_on = ended.iter().filter_map(|e| dates::listed_by(&e.row)).map(|date| date.from).max();
    let since_stop = |entry: &Entry| match (dates::listed_by(&entry.row), stopped_on) {
        (Some(date), Some(stop)) => date.until > stop,
        _ => true,
    };
    // A source that stopped one product and goes on with another has changed it, not stopped it.
    let going_on = |source: usize| orders.iter().any(|e| e.source == source && e.activity == Activity::Current);
    let ended: Vec<&Entry> = ended.into_iter().filter(|e| !going_on(e.source)).collect();
    let mut taking: Vec<&Entry> = orders.iter().copied().filter(|e| e.activity == Activity::Current).collect();
    for event in newest_of(members, |e| matches!(kind(e), Some(Kind::Supply | Kind::Given))) {
        if event.activity == Activity::Current && since_stop(event) && !ended.iter().any(|e| e.source == event.source) {
            taking.push(event);
        }
    }
    (!ended.is_empty() && !taking.is_empty()).then(|| {
        let sides: Vec<&Entry> = ended.into_iter().chain(taking).collect();
        conflict(&subject(Warning::MedicineStatus, "status", name), &sides)
    })
}

/// Different doses of one substance by one route, among what each source has current, and what was supplied last.
fn dose(name: &str, members: &[&Entry]) -> Option<Conflict> {
    let mut sides: Vec<&Entry> =
        newest_orders(members).into_iter().filter(|e| e.activity == Activity::Current).collect();
    sides.extend(newest_of(members, |e| kind(e) == Some(Kind::Supply)));
    let differ = |a: &Entry, b: &Entry| a.source != b.source && same_route(a, b) && doses_differ(a, b);
    let disagreeing: Vec<&Entry> = sides.iter().copied().filter(|a| sides.iter().any(|b| differ(a, b))).collect();
    (!disagreeing.is_empty()).then(|| conflict(&subject(Warning::MedicineDose, "dose", name), &disagreeing))
}

/// One ingredient in two current orders of one source, or in products of different composition.
fn duplicate(name: &str, members: &[&Entry]) -> Option<Conflict> {
    let current: Vec<&Entry> = newest_orders(members).into_iter().filter(|e| e.activity == Activity::Current).collect();
    let twice = |a: &Entry, b: &Entry| {
        let composition = a.row.group != b.row.group;
        let within = a.source == b.source && same_route(a, b) && (a.row.id != b.row.id || product(a) != product(b));
        composition || within
    };
    let sides: Vec<&Entry> = current
        .iter()
        .enumerate()
        .filter(|(i, a)| current.iter().enumerate().any(|(j, b)| *i != j && twice(a, b)))
        .map(|(_, entry)| *entry)
        .collect();
    (!sides.is_empty()).then(|| conflict(&subject(Warning::MedicineDuplicate, "duplicate", name), &sides))
}

/// What a recent discharge set, and no other list has so, though another source that keeps a list replied.
fn discharge_change(
    name: &str,
    members: &[&Entry],
    as_at: Timestamp,
    lists: &impl Fn(usize) -> bool,
) -> Option<Conflict> {
    let recent = |e: &Entry| dates::listed_by(&e.row).is_none_or(|date| date.until > as_at.before(DISCHARGE_RECENT));
    let orders = newest_orders(members);
    let changed = orders.iter().copied().find(|e| setting(e) == Some("discharge") && recent(e) && lists(e.source))?;
    let elsewhere: Vec<&Entry> =
        orders.into_iter().filter(|e| e.source != changed.source && setting(e) != Some("discharge")).collect();
    let same = |e: &Entry| e.activity == changed.activity && !doses_differ(e, changed);
    if elsewhere.iter().any(|e| same(e)) || (elsewhere.is_empty() && changed.activity != Activity::Current) {
        return None;
    }
    let sides: Vec<&Entry> = std::iter::once(changed).chain(elsewhere).collect();
    Some(conflict(&subject(Warning::DischargeChange, "discharge-change", name), &sides))
}

/// A current community order that no source supplied near or after its date, though sources that supply replied.
fn not_dispensed(name: &str, members: &[&Entry]) -> Option<Conflict> {
    let supplied_since = |order: &Entry| {
        members.iter().filter(|e| kind(e) == Some(Kind::Supply)).any(|supply| {
            match (dates::listed_by(&supply.row), dates::listed_by(&order.row)) {
                (Some(supply), Some(order)) => supply.until > order.from.before(SUPPLY_LASTS),
                _ => true,
            }
        })
    };
    let current =
        newest_orders(members).into_iter().filter(|e| e.activity == Activity::Current && kind(e) == Some(Kind::Order));
    let waiting: Vec<&Entry> =
        current.filter(|e| matches!(setting(e), None | Some("community")) && !supplied_since(e)).collect();
    (!waiting.is_empty()).then(|| conflict(&subject(Warning::NotDispensed, "not-dispensed", name), &waiting))
}

/// For each source and product the newest order or statement; every one of that day when there are several.
fn newest_orders<'a>(members: &[&'a Entry]) -> Vec<&'a Entry> {
    let mut newest: BTreeMap<(usize, String), Vec<&Entry>> = BTreeMap::new();
    for entry in members.iter().copied().filter(|e| is_order(e)) {
        let kept = newest.entry((entry.source, product(entry))).or_default();
        let date = |e: &Entry| dates::listed_by(&e.row).map(|date| date.from);
        match kept.first().map(|first| date(first).cmp(&date(entry))) {
            Some(std::cmp::Ordering::Greater) => {}
            Some(std::cmp::Ordering::Less) => *kept = vec![entry],
            Some(std::cmp::Ordering::Equal) | None => kept.push(entry),
        }
    }
    newest.into_values().flatten().collect()
}

/// For each source the newest entry of a kind.
fn newest_of<'a>(members: &[&'a Entry], wanted: impl Fn(&Entry) -> bool) -> Vec<&'a Entry> {
    let mut newest: BTreeMap<usize, &Entry> = BTreeMap::new();
    for entry in members.iter().copied().filter(|e| wanted(e)) {
        let date = |e: &Entry| dates::listed_by(&e.row).map(|date| date.from);
        let kept = newest.entry(entry.source).or_insert(entry);
        if date(entry) > date(kept) {
            *kept = entry;
        }
    }
    newest.into_values().collect()
}

/// Whether two doses are not the same: as amounts a day where both can be worked out, else by their words and product.
fn doses_differ(a: &Entry, b: &Entry) -> bool {
    let (Some(a_dose), Some(b_dose)) = (&a.row.dose, &b.row.dose) else { return false };
    match (amount_a_day(a), amount_a_day(b)) {
        (Some(x), Some(y)) => (x - y).abs() > x.abs().max(y.abs()) * 1e-6,
        _ => !same_words(a_dose, b_dose) || product(a) != product(b),
    }
}

/// Micrograms (or units) a day, for a regular dose of a product of one plain strength.
fn amount_a_day(entry: &Entry) -> Option<f64> {
    let facts = entry.medicine.as_ref().filter(|facts| !facts.as_needed)?;
    let (each, unit) = facts.each.as_ref()?;
    // "2 tablets" multiplies the strength; "80 mg" is the amount itself.
    let each = match unit.as_str() {
        "mg" => each * 1e3,
        "g" => each * 1e6,
        "microgram" | "micrograms" | "mcg" | "ug" => *each,
        "unit" | "units" => *each,
        _ => each * strength(&entry.row.text)?,
    };
    Some(each * facts.per_day?)
}

/// Gives an entry that names its medicine by reference the name of that `Medication`, when its source sent it.
fn resolve_references(entries: &mut [Entry]) {
    let products: BTreeMap<(usize, String), (String, Vec<careweave_protocol::record::Coding>)> = entries
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

fn ingredients(entry: &Entry) -> Vec<String> {
    let codes: Vec<&str> = entry.row.codings.iter().map(|coding| coding.code.as_str()).collect();
    substances(&codes, &entry.row.text)
}

fn product(entry: &Entry) -> String {
    entry.row.text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

fn same_route(a: &Entry, b: &Entry) -> bool {
    match (&a.row.route, &b.row.route) {
        (Some(a), Some(b)) => same_words(a, b),
        _ => true,
    }
}

fn kind(entry: &Entry) -> Option<Kind> {
    entry.medicine.as_ref().map(|facts| facts.kind)
}

fn setting(entry: &Entry) -> Option<&str> {
    entry.medicine.as_ref().and_then(|facts| facts.setting.as_deref())
}

fn is_order(entry: &Entry) -> bool {
    matches!(kind(entry), Some(Kind::Order | Kind::Statement))
}

fn subject<'a>(warning: Warning, kind: &'a str, name: &'a str) -> Subject<'a> {
    Subject { warning, category: Category::Medications, kind, name }
}

/// A discharge older than this has been reviewed or overtaken; a warning for ever would not be read.
const DISCHARGE_RECENT: Duration = Duration::from_secs(90 * 24 * 3600);
/// A supply this long before the order still counts: two months' supply is the longest usual one.
const SUPPLY_LASTS: Duration = Duration::from_secs(60 * 24 * 3600);

#[cfg(test)]
mod tests;
