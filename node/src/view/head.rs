//! The head of a view: who it is about (rule 2), death (rule 14), and the key facts (rule 13).

use careweave_protocol::desk::view::{Conflict, Deceased, Fact, Identity, KeyFacts, PatientHeader, Source};
use careweave_protocol::record::Category;

use super::row::{Activity, Entry};
use super::{OwnIdentity, Request};
use super::{advance, allergies, dates};

/// Who the view is about: as typed, with name and address as the own node holds them, else as the first source does.
#[must_use]
pub fn patient(request: &Request<'_>, entries: &[Entry], own: Option<usize>, restricted: bool) -> PatientHeader {
    let asked = &request.query.patient;
    let persons = || entries.iter().filter(|e| e.person.is_some());
    let named = |entry: &&Entry| entry.person.as_ref().is_some_and(|p| p.name.is_some());
    let shown = persons().find(|e| Some(e.source) == own && named(e)).or_else(|| persons().find(named));
    let facts = shown.and_then(|entry| entry.person.as_ref());
    let address = facts
        .and_then(|facts| facts.address.clone())
        .or_else(|| persons().filter_map(|e| e.person.as_ref()).find_map(|facts| facts.address.clone()));
    let (identity, identity_reason) = match &request.own_identity {
        OwnIdentity::Confirmed => (Identity::Confirmed, None),
        OwnIdentity::NotHeld => (Identity::NotHeld, None),
        OwnIdentity::Doubtful(doubt) => (Identity::NotSafelyMatched, Some(doubt.to_string())),
    };
    PatientHeader {
        nhs_number: asked.nhs_number.digits(),
        nhs_number_shown: asked.nhs_number.spaced(),
        birth_date: asked.birth_date.to_string(),
        birth_date_shown: asked.birth_date.shown(),
        name: facts.and_then(|facts| facts.name.clone()).unwrap_or_else(|| asked.family.clone()),
        held_by: shown.map(|entry| entry.row.source.clone()),
        address: address.filter(|_| !restricted),
        address_restricted: restricted,
        identity,
        identity_reason,
        deceased: deceased(entries, request.zone),
    }
}

/// Death, when any source records it; disputed when another says the contrary or gives another date.
fn deceased(entries: &[Entry], zone: &str) -> Option<Deceased> {
    let persons = || entries.iter().filter_map(|e| Some((e, e.person.as_ref()?)));
    let dead: Vec<&Entry> = persons().filter(|(_, p)| p.deceased == Some(true)).map(|(e, _)| e).collect();
    let mut days: Vec<String> =
        persons().filter_map(|(_, p)| p.died.as_deref()).map(|d| d.get(..10).unwrap_or(d).to_owned()).collect();
    days.sort();
    days.dedup();
    let alive = persons().any(|(_, p)| p.deceased == Some(false));
    let date = persons().find_map(|(_, p)| p.died.clone());
    (!dead.is_empty()).then(|| Deceased {
        date_shown: date.as_deref().map_or_else(|| "date not recorded".to_owned(), |d| dates::shown(d, zone)),
        date,
        sources: sources_of(&dead),
        disputed: alive || days.len() > 1,
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
    current.sort_by_key(|e| dates::newest_first(&e.row));
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
    for fact in facts {
        match kept.iter_mut().find(|known| known.text.eq_ignore_ascii_case(&fact.text)) {
            Some(known) => {
                let new = fact.sources.into_iter().filter(|source| !known.sources.contains(source)).collect::<Vec<_>>();
                known.sources.extend(new);
            }
            None => kept.push(fact),
        }
    }
    kept
}
