//! The head of a view: who it is about (rule 2), death (rule 14), and the key facts (rule 13).

use std::cmp::Reverse;
use std::collections::HashMap;

use careweave_protocol::desk::view::{Conflict, Deceased, Fact, Identity, KeyFacts, PatientHeader, Source};
use careweave_protocol::record::Category;
use careweave_protocol::time::PartialDate;

use super::row::person::PersonFacts;
use super::row::{Activity, Entry};
use super::{OwnIdentity, Request};
use super::{advance, allergies, dates};

/// Who the view is about: as typed, with name and address as the own node holds them, else as the first source that has both
/// does, else as the first that has a name. Nothing is picked silently: every other Patient says what it has otherwise.
#[must_use]
pub fn patient(request: &Request<'_>, entries: &mut [Entry], own: Option<usize>, restricted: bool) -> PatientHeader {
    let asked = &request.query.patient;
    let facts = |entry: &Entry| entry.person.as_ref().map(|p| (p.name.is_some(), p.address.is_some()));
    let place = |wanted: &dyn Fn(&Entry) -> bool| entries.iter().position(wanted);
    let shown = place(&|e| Some(e.source) == own && facts(e).is_some_and(|(named, _)| named))
        .or_else(|| place(&|e| facts(e) == Some((true, true))))
        .or_else(|| place(&|e| facts(e).is_some_and(|(named, _)| named)));
    let (identity, identity_reason) = match &request.own_identity {
        OwnIdentity::Confirmed => (Identity::Confirmed, None),
        OwnIdentity::NotHeld => (Identity::NotHeld, None),
        OwnIdentity::Doubtful(doubt) => (Identity::NotSafelyMatched, Some(doubt.to_string())),
    };
    let head = shown.and_then(|place| entries.get(place));
    let person = head.and_then(|entry| entry.person.clone());
    let held_by = head.map(|entry| entry.row.source.clone());
    if let (Some(place), Some(person), Some(source)) = (shown, &person, &held_by) {
        for (_, entry) in entries.iter_mut().enumerate().filter(|(other, _)| *other != place) {
            tell_differences(entry, person, source, restricted);
        }
    }
    let (name, address) = person.map(|person| (person.name, person.address)).unwrap_or_default();
    PatientHeader {
        nhs_number: asked.nhs_number.digits(),
        nhs_number_shown: asked.nhs_number.spaced(),
        birth_date: asked.birth_date.to_string(),
        birth_date_shown: asked.birth_date.shown(),
        name: name.unwrap_or_else(|| asked.family.clone()),
        held_by,
        address: address.filter(|_| !restricted),
        address_restricted: restricted,
        identity,
        identity_reason,
        deceased: deceased(entries, request.zone),
    }
}

/// Notes at a Patient what it says otherwise than the one at the head of the view.
fn tell_differences(entry: &mut Entry, head: &PersonFacts, at: &Source, restricted: bool) {
    let Some(person) = &entry.person else { return };
    let whereabouts = !restricted;
    for (what, ours, theirs, compared) in [
        ("name", &head.name, &person.name, true),
        ("address", &head.address, &person.address, whereabouts),
        ("telephone", &head.telephone, &person.telephone, whereabouts),
    ] {
        if let (true, Some(theirs)) = (compared, theirs)
            && !ours.as_ref().is_some_and(|ours| same_letters(ours, theirs))
        {
            let said = ours.as_ref().map_or_else(|| "nothing".to_owned(), |ours| format!("\"{ours}\""));
            entry.row.notes.push(format!("{what} differs: {at} has {said}"));
        }
    }
}

/// Whether two texts have the same letters and digits: `12, Quay Road` and `12 Quay Road` are one address.
fn same_letters(a: &str, b: &str) -> bool {
    let letters =
        |text: &str| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
    letters(a) == letters(b)
}

/// Death, when any source records it, in the Patient or as an event; disputed when another says the contrary, or gives a date
/// that cannot be the same.
fn deceased(entries: &[Entry], zone: &str) -> Option<Deceased> {
    let mut sources: Vec<&Entry> = Vec::new();
    let mut died: Vec<String> = Vec::new();
    let mut alive = false;
    for entry in entries {
        let stands = entry.row.verification.as_deref().is_none_or(|v| v != "refuted");
        let (dead, date) = match &entry.person {
            Some(person) => {
                alive |= person.deceased == Some(false);
                (person.deceased == Some(true), person.died.clone())
            }
            None => (entry.death && stands, entry.row.date_end.clone().or_else(|| entry.row.date.clone())),
        };
        if dead {
            sources.push(entry);
            died.extend(date);
        }
    }
    let days: Vec<PartialDate> = died.iter().filter_map(|date| dates::parse(date.get(..10).unwrap_or(date))).collect();
    let apart = |a: &PartialDate, b: &PartialDate| a.until <= b.from || b.until <= a.from;
    // Days apart are found at the ends of the list.
    let earliest = days.iter().min_by_key(|day| day.until);
    let latest = days.iter().max_by_key(|day| day.from);
    let dates_differ = earliest.zip(latest).is_some_and(|(a, b)| apart(a, b));
    let date = died.first().cloned();
    (!sources.is_empty()).then(|| Deceased {
        date_shown: date.as_deref().map_or_else(|| "date not recorded".to_owned(), |d| dates::shown(d, zone)),
        date,
        sources: sources_of(&sources),
        disputed: alive || dates_differ,
    })
}

/// What heads every view, from everything received, whatever categories and dates were asked for.
#[must_use]
pub fn key_facts(entries: &[Entry], conflicts: &[Conflict]) -> KeyFacts {
    let of = |category: Category| entries.iter().filter(|e| e.category == category).collect::<Vec<&Entry>>();
    let flags = of(Category::Flags).into_iter().filter(|e| e.activity == Activity::Current);
    KeyFacts {
        allergies: allergies::key_facts(&of(Category::Allergies)),
        advance_care: advance::key_facts(&of(Category::AdvanceCare), conflicts),
        flags: unique(flags.map(|e| fact(e, false))),
        named_professional: named_professional(&of(Category::CareTeam)),
        about_me: about_me(&of(Category::AboutMe)),
    }
}

/// One fact out of one entry.
#[must_use]
pub fn fact(entry: &Entry, conflict: bool) -> Fact {
    let row = &entry.row;
    let words: Vec<&str> = row
        .details
        .iter()
        .filter(|detail| !matches!(detail.name.as_str(), "kind" | "description"))
        .map(|detail| detail.value.as_str())
        .collect();
    let mut sources = vec![row.source.clone()];
    sources.extend(row.also_at.iter().map(|copy| Source { ods: copy.ods.clone(), name: copy.name.clone() }));
    Fact {
        text: row.text.clone(),
        detail: (!words.is_empty()).then(|| words.join("\n")),
        severity: row.severity.clone(),
        severity_source: row.severity.as_ref().map(|_| row.source.clone()),
        date_shown: row.date_shown.clone(),
        sources,
        conflict,
    }
}

/// Every source of the entries and of their copies, each once.
#[must_use]
pub fn sources_of(entries: &[&Entry]) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::new();
    for entry in entries {
        let copies = entry.row.also_at.iter().map(|copy| Source { ods: copy.ods.clone(), name: copy.name.clone() });
        for source in std::iter::once(entry.row.source.clone()).chain(copies) {
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
    }
    sources
}

/// Members of current care teams whose role names them as the one in charge.
fn named_professional(teams: &[&Entry]) -> Vec<Fact> {
    let current = teams.iter().filter(|e| e.activity == Activity::Current && e.row.resource_type == "CareTeam");
    let members = current.flat_map(|team| {
        let named = team.row.details.iter().filter(|d| d.name == "member" && d.value.to_lowercase().contains("named"));
        named.map(|member| Fact {
            text: member.value.clone(),
            detail: Some(team.row.text.clone()),
            ..fact(team, false)
        })
    });
    unique(members)
}

/// The current version: what the newest source wrote on its newest day, document and answers alike.
fn about_me(entries: &[&Entry]) -> Vec<Fact> {
    let mut current: Vec<&Entry> = entries.iter().copied().filter(|e| e.activity != Activity::Ended).collect();
    current.sort_by_key(|e| Reverse(e.listed().map(|date| date.from)));
    let day =
        |entry: &Entry| dates::listed_by(&entry.row).map(|date| date.text.get(..10).unwrap_or(&date.text).to_owned());
    let Some(newest) = current.first().copied() else { return Vec::new() };
    let (source, date) = (newest.source, day(newest));
    let shown = current.into_iter().filter(|e| e.source == source && day(e) == date);
    shown
        .map(|entry| {
            let said = entry.row.details.iter().filter(|d| d.name != "kind" && d.name != "description");
            let said: Vec<String> = said
                .map(|d| if d.name == "text" { d.value.clone() } else { format!("{}: {}", d.name, d.value) })
                .collect();
            Fact { detail: (!said.is_empty()).then(|| said.join("\n")), ..fact(entry, false) }
        })
        .collect()
}

/// Facts with the same words become one with every source.
fn unique(facts: impl Iterator<Item = Fact>) -> Vec<Fact> {
    let mut kept: Vec<Fact> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for fact in facts {
        let place = *places.entry(fact.text.to_ascii_lowercase()).or_insert(kept.len());
        match kept.get_mut(place) {
            Some(known) => {
                let new = fact.sources.into_iter().filter(|source| !known.sources.contains(source)).collect::<Vec<_>>();
                known.sources.extend(new);
            }
            None => kept.push(fact),
        }
    }
    kept
}
