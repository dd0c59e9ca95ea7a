//! Where sources disagree about a medicine (rule 5): status, dose, one ingredient twice, a discharge change that was not taken
//! over, an order that nobody dispensed. Each is compared among what every source says newest.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use careweave_protocol::desk::view::Conflict;
use careweave_protocol::desk::warning::Warning;
use careweave_protocol::record::Category;
use careweave_protocol::time::Timestamp;

use super::super::conflict::{Subject, conflict};
use super::super::merge::same_words;
use super::super::row::medicine::Kind;
use super::super::row::{Activity, Entry};
use super::substance::strength;
use super::{is_order, kind, product};

/// Where sources disagree about a medicine. Entries must have been [arranged](super::arrange), which names their substances.
#[must_use]
pub fn conflicts(entries: &[&Entry], as_at: Timestamp) -> Vec<Conflict> {
    let mut groups: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    let mut lists: BTreeSet<usize> = BTreeSet::new();
    let mut dispensers = false;
    for entry in entries.iter().copied().filter(|e| kind(e) != Some(Kind::Product)) {
        for substance in entry.medicine.iter().flat_map(|facts| &facts.substances) {
            groups.entry(substance).or_default().push(entry);
        }
        if is_order(entry) && setting(entry) != Some("discharge") {
            lists.insert(entry.source);
        }
        dispensers |= kind(entry) == Some(Kind::Supply);
    }
    let mut found = Vec::new();
    for (name, members) in groups {
        let group = Group { name, orders: newest_orders(&members), members };
        found.extend(group.status());
        found.extend(group.dose());
        found.extend(group.duplicate());
        found.extend(group.discharge_change(as_at, &lists));
        if dispensers {
            found.extend(group.not_dispensed());
        }
    }
    found
}

/// Everything about one substance.
struct Group<'a> {
    name: &'a str,
    members: Vec<&'a Entry>,
    /// What each source says newest of each product.
    orders: Vec<&'a Entry>,
}

impl<'a> Group<'a> {
    /// Active at one source, stopped or on hold at another. A supply or a dose given after the newest stop counts as taking it.
    fn status(&self) -> Option<Conflict> {
        let ended: Vec<&Entry> = self.orders.iter().copied().filter(|e| e.activity == Activity::Ended).collect();
        let stopped_on = ended.iter().filter_map(|e| e.listed()).map(|date| date.from).max();
        let since_stop = |entry: &Entry| match (entry.listed(), stopped_on) {
            (Some(date), Some(stop)) => date.until > stop,
            _ => true,
        };
        // A source that stopped one product and goes on with another has changed it, not stopped it.
        let going_on: BTreeSet<usize> = self.current().map(|e| e.source).collect();
        let ended: Vec<&Entry> = ended.into_iter().filter(|e| !going_on.contains(&e.source)).collect();
        let mut taking: Vec<&Entry> = self.current().collect();
        for event in newest_of(&self.members, |e| matches!(kind(e), Some(Kind::Supply | Kind::Given))) {
            let elsewhere = !ended.iter().any(|e| e.source == event.source);
            if event.activity == Activity::Current && since_stop(event) && elsewhere {
                taking.push(event);
            }
        }
        let sides = || ended.iter().chain(&taking).copied().collect::<Vec<_>>();
        (!ended.is_empty() && !taking.is_empty()).then(|| self.named(Warning::MedicineStatus, "status", &sides()))
    }

    /// Different doses by one route, among what each source has current, and what each supplied last: a dose to which another
    /// source has none equal, with everything that source has.
    fn dose(&self) -> Option<Conflict> {
        let supplies = newest_of(&self.members, |e| kind(e) == Some(Kind::Supply) && e.activity == Activity::Current);
        let mut sources: BTreeMap<usize, Vec<Side<'_>>> = BTreeMap::new();
        for entry in self.current().chain(supplies) {
            sources.entry(entry.source).or_default().push((entry, amount_a_day(entry)));
        }
        let differ = |a: &Side<'_>, b: &Side<'_>| same_route(a.0, b.0) && doses_differ(*a, *b);
        let mut disagreeing: BTreeMap<(usize, usize), &Entry> = BTreeMap::new();
        for (source, sides) in &sources {
            for (other, theirs) in sources.iter().filter(|(other, _)| *other != source) {
                for (place, side) in sides.iter().enumerate() {
                    let differing =
                        theirs.iter().enumerate().filter(|(_, their)| differ(side, their)).collect::<Vec<_>>();
                    if !differing.is_empty() && differing.len() == theirs.len() {
                        disagreeing.insert((*source, place), side.0);
                        disagreeing.extend(differing.iter().map(|(at, their)| ((*other, *at), their.0)));
                    }
                }
            }
        }
        let sides: Vec<&Entry> = disagreeing.into_values().collect();
        (!sides.is_empty()).then(|| self.named(Warning::MedicineDose, "dose", &sides))
    }

    /// One ingredient in two current orders of one source, or in products of different composition.
    fn duplicate(&self) -> Option<Conflict> {
        let current: Vec<&Entry> = self.current().collect();
        let sides: Vec<&Entry> = current
            .iter()
            .enumerate()
            .filter(|(i, a)| current.iter().enumerate().any(|(j, b)| *i != j && twice(a, b)))
            .map(|(_, entry)| *entry)
            .collect();
        (!sides.is_empty()).then(|| self.named(Warning::MedicineDuplicate, "duplicate", &sides))
    }

    /// What a recent discharge set, and no other list has so, though another source that keeps a list replied.
    fn discharge_change(&self, as_at: Timestamp, lists: &BTreeSet<usize>) -> Option<Conflict> {
        let since = as_at.before(DISCHARGE_RECENT);
        let recent = |e: &Entry| e.listed().is_none_or(|date| date.until > since);
        let compared = |e: &Entry| lists.iter().any(|source| *source != e.source);
        let (at_discharge, others): (Vec<&Entry>, Vec<&Entry>) =
            self.orders.iter().copied().partition(|e| setting(e) == Some("discharge"));
        let elsewhere =
            |changed: &Entry| others.iter().copied().filter(|e| e.source != changed.source).collect::<Vec<_>>();
        let taken_over = |changed: &Entry| {
            let others = elsewhere(changed);
            let nothing_to_stop = others.is_empty() && changed.activity == Activity::Ended;
            let same = |e: &Entry| {
                e.activity == changed.activity && !doses_differ((e, amount_a_day(e)), (changed, amount_a_day(changed)))
            };
            nothing_to_stop || others.iter().any(|e| same(e))
        };
        // A finished course asks nothing of anybody.
        let changed: Vec<&Entry> = at_discharge
            .into_iter()
            .filter(|e| e.activity != Activity::Unknown && recent(e) && compared(e) && !taken_over(e))
            .collect();
        let first = changed.first().copied()?;
        let sides: Vec<&Entry> = changed.into_iter().chain(elsewhere(first)).collect();
        Some(self.named(Warning::DischargeChange, "discharge-change", &sides))
    }

    /// A current community order that no source supplied near or after its date, though sources that supply replied.
    fn not_dispensed(&self) -> Option<Conflict> {
        let supplied: Vec<_> = self
            .members
            .iter()
            .filter(|e| kind(e) == Some(Kind::Supply) && e.activity == Activity::Current)
            .map(|e| e.listed().map(|date| date.until))
            .collect();
        let supplied_since = |order: &Entry| {
            let from = order.listed().map(|date| date.from.before(SUPPLY_LASTS));
            supplied.iter().any(|until| match (until, from) {
                (Some(until), Some(from)) => *until > from,
                _ => true,
            })
        };
        let waiting: Vec<&Entry> = self
            .current()
            .filter(|e| kind(e) == Some(Kind::Order) && !is_plan(e))
            .filter(|e| matches!(setting(e), None | Some("community")) && !supplied_since(e))
            .collect();
        (!waiting.is_empty()).then(|| self.named(Warning::NotDispensed, "not-dispensed", &waiting))
    }

    fn current(&self) -> impl Iterator<Item = &'a Entry> {
        self.orders.iter().copied().filter(|e| e.activity == Activity::Current)
    }

    fn named(&self, warning: Warning, kind: &str, sides: &[&Entry]) -> Conflict {
        conflict(&Subject { warning, category: Category::Medications, kind, name: self.name }, sides)
    }
}

/// Whether two current entries mean that an ingredient is taken twice. A statement beside the order it tells of, and the plan to
/// prescribe beside what was issued under it, are one medicine.
fn twice(a: &Entry, b: &Entry) -> bool {
    let composition = a.row.group != b.row.group;
    let one_medicine = product(a) == product(b) && (kind(a) != kind(b) || is_plan(a) != is_plan(b));
    let within = a.source == b.source && same_route(a, b) && (a.row.id != b.row.id || product(a) != product(b));
    composition || (within && !one_medicine)
}

/// For each source and product the newest order or statement; every one of that day when there are several.
fn newest_orders<'a>(members: &[&'a Entry]) -> Vec<&'a Entry> {
    newest_by(members, is_order, |entry| (entry.source, product(entry)))
}

/// For each source the newest entries of a kind, every one of that time when there are several.
fn newest_of<'a>(members: &[&'a Entry], wanted: impl Fn(&Entry) -> bool) -> Vec<&'a Entry> {
    newest_by(members, wanted, |entry| entry.source)
}

fn newest_by<'a, K: Ord>(
    members: &[&'a Entry],
    wanted: impl Fn(&Entry) -> bool,
    key: impl Fn(&'a Entry) -> K,
) -> Vec<&'a Entry> {
    let mut newest: BTreeMap<K, (Option<Timestamp>, Vec<&Entry>)> = BTreeMap::new();
    for entry in members.iter().copied().filter(|e| wanted(e)) {
        let date = entry.listed().map(|date| date.from);
        let (newest, kept) = newest.entry(key(entry)).or_insert_with(|| (date, Vec::new()));
        if date > *newest {
            *newest = date;
            kept.clear();
        }
        if date == *newest {
            kept.push(entry);
        }
    }
    newest.into_values().flat_map(|(_, kept)| kept).collect()
}

/// An entry with its amount a day, where that can be worked out.
type Side<'a> = (&'a Entry, Option<f64>);

/// Whether two doses are not the same: as amounts a day where both can be worked out, else by their words and strength.
fn doses_differ((a, x): Side<'_>, (b, y): Side<'_>) -> bool {
    let (Some(a_dose), Some(b_dose)) = (&a.row.dose, &b.row.dose) else { return false };
    if let (Some(x), Some(y)) = (x, y) {
        return (x - y).abs() > x.abs().max(y.abs()) * 1e-6;
    }
    let same_strength = || strength(&a.row.text).is_some_and(|one| strength(&b.row.text) == Some(one));
    !same_words(a_dose, b_dose) || !(product(a) == product(b) || same_strength())
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
        // A volume needs a concentration, which is not read.
        "ml" | "millilitre" | "millilitres" | "l" => return None,
        _ => each * strength(&entry.row.text)?,
    };
    Some(each * facts.per_day?)
}

fn same_route(a: &Entry, b: &Entry) -> bool {
    match (&a.row.route, &b.row.route) {
        (Some(a), Some(b)) => same_words(a, b),
        _ => true,
    }
}

fn setting(entry: &Entry) -> Option<&str> {
    entry.medicine.as_ref().and_then(|facts| facts.setting.as_deref())
}

/// Whether it is what may be prescribed, and not a prescription.
fn is_plan(entry: &Entry) -> bool {
    let intent = entry.medicine.as_ref().and_then(|facts| facts.intent.as_deref());
    matches!(intent, Some("plan" | "proposal" | "option"))
}

/// A discharge older than this has been reviewed or overtaken; a warning for ever would not be read.
const DISCHARGE_RECENT: Duration = Duration::from_secs(90 * 24 * 3600);
/// A supply this long before the order still counts: two months' supply is the longest usual one.
const SUPPLY_LASTS: Duration = Duration::from_secs(60 * 24 * 3600);
