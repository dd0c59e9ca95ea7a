//! A patient whose whereabouts are restricted (rule 3): nothing in a view names a local organisation, a place or an address.
//! Holders send stripped forms; this is for what comes from holders that do not know of the restriction, and for the own record.

mod release;

use careweave_protocol::desk::view::WITHHELD as WITHHELD_SOURCE;

use super::SourceRecords;
use super::completeness::named;
use super::row::Entry;

pub use release::Release;

/// Takes out of every entry, before entries are compared, what would tell where the person is: the names, codes and telephone
/// numbers of local organisations, the addresses any source holds, and what local organisations say about places.
pub fn hide(entries: &mut [Entry], sources: &[SourceRecords]) {
    let telling = Telling::new(entries, sources);
    for entry in entries {
        let Some(source) = sources.get(entry.source) else { continue };
        entry.row.source = named(source, true);
        if matches!(entry.row.resource_type.as_str(), "Patient" | "RelatedPerson") {
            entry.row.details.retain(|detail| !matches!(detail.name.as_str(), "address" | "telephone" | "practice"));
        }
        if let Some(person) = &mut entry.person {
            person.address = None;
            person.telephone = None;
        }
        if entry.row.source.ods == WITHHELD_SOURCE {
            entry.row.author = None;
            entry.row.details.retain(|detail| !PLACES.contains(&detail.name.as_str()));
        }
        for words in texts(entry) {
            telling.withhold(words);
        }
    }
}

/// Takes out what entries were told apart by: identifiers, and systems of codes that are a local organisation's own.
pub fn hide_codes(entries: &mut [Entry], sources: &[SourceRecords]) {
    let codes: Vec<&str> = local(sources).map(|source| source.ods.as_str()).collect();
    let tells = |uri: &str| uri.split(['/', ':', '|', '-', '.', '#']).any(|part| codes.contains(&part));
    for entry in entries {
        entry.row.identifiers.retain(|identifier| !tells(&identifier.system) && !tells(&identifier.value));
        for coding in &mut entry.row.codings {
            if tells(&coding.system) {
                WITHHELD.clone_into(&mut coding.system);
            }
        }
    }
}

/// What must not be read.
struct Telling {
    /// Each as lower-case words, to be found whatever stands between them.
    phrases: Vec<Vec<String>>,
}

impl Telling {
    fn new(entries: &[Entry], sources: &[SourceRecords]) -> Self {
        let mut phrases: Vec<String> = Vec::new();
        for source in local(sources) {
            phrases.push(source.name.clone());
            // A code of digits only is a number like any other.
            if source.ods.as_str().bytes().any(|b| b.is_ascii_alphabetic()) {
                phrases.push(source.ods.as_str().to_owned());
            }
            phrases.extend(source.duty_contact.as_deref().map(numbers).unwrap_or_default());
        }
        for person in entries.iter().filter_map(|entry| entry.person.as_ref()) {
            let lines = person.address.iter().flat_map(|address| address.split(','));
            phrases.extend(lines.filter(|line| line.bytes().any(|b| b.is_ascii_digit())).map(str::to_owned));
            phrases.extend(person.telephone.as_deref().map(numbers).unwrap_or_default());
        }
        let mut phrases: Vec<Vec<String>> = phrases
            .iter()
            .map(|phrase| phrase.split_whitespace().map(str::to_ascii_lowercase).collect::<Vec<String>>())
            .filter(|words| words.iter().map(String::len).sum::<usize>() >= SHORTEST)
            .collect();
        phrases.sort();
        phrases.dedup();
        Self { phrases }
    }

    fn withhold(&self, text: &mut String) {
        for phrase in &self.phrases {
            let mut from = 0;
            while let Some((start, end)) = find(text, phrase, from) {
                text.replace_range(start..end, WITHHELD);
                from = start + WITHHELD.len();
            }
        }
    }
}

/// Where the words stand next to one another, at or after a place, not as part of longer words.
fn find(text: &str, words: &[String], from: usize) -> Option<(usize, usize)> {
    let (first, rest) = words.split_first()?;
    // Lower case of ASCII letters only, so that places are the same in both.
    let lower = text.to_ascii_lowercase();
    let mut at = from;
    loop {
        let start = at + lower.get(at..)?.find(first.as_str())?;
        let mut end = start + first.len();
        let follows = rest.iter().all(|word| {
            let after = lower.get(end..).unwrap_or_default();
            let gap = after.len() - after.trim_start().len();
            let fits = gap > 0 && after.trim_start().starts_with(word.as_str());
            end += gap + word.len();
            fits
        });
        let before = lower.get(..start).and_then(|before| before.chars().next_back());
        let after = lower.get(end..).and_then(|after| after.chars().next());
        let part_of_word = [before, after].into_iter().flatten().any(char::is_alphanumeric);
        if follows && !part_of_word {
            return Some((start, end));
        }
        at = start + first.len();
    }
}

/// Every text of a row that a source wrote.
fn texts(entry: &mut Entry) -> impl Iterator<Item = &mut String> {
    let row = &mut entry.row;
    let single = [
        &mut row.status_reason,
        &mut row.author,
        &mut row.dose,
        &mut row.route,
        &mut row.value,
        &mut row.reference_range,
        &mut row.severity,
    ];
    let displays = row.codings.iter_mut().filter_map(|coding| coding.display.as_mut());
    let details = row.details.iter_mut().flat_map(|detail| [&mut detail.name, &mut detail.value]);
    let named = entry.person.as_mut().and_then(|person| person.name.as_mut());
    [&mut row.text, &mut row.id]
        .into_iter()
        .chain(single.into_iter().flatten())
        .chain(displays)
        .chain(details)
        .chain(row.notes.iter_mut())
        .chain(named)
}

/// Telephone numbers in a text: runs of at least seven digits, with what people write between them.
fn numbers(text: &str) -> Vec<String> {
    let runs = text.split(|c: char| !(c.is_ascii_digit() || matches!(c, ' ' | '+' | '(' | ')' | '-')));
    let long = runs.map(str::trim).filter(|run| run.bytes().filter(u8::is_ascii_digit).count() >= 7);
    long.flat_map(|run| [run.to_owned(), run.chars().filter(char::is_ascii_digit).collect()]).collect()
}

fn local(sources: &[SourceRecords]) -> impl Iterator<Item = &SourceRecords> {
    sources.iter().filter(|source| source.local && !source.own)
}

/// What stands where a text gave whereabouts away, as holders write it.
const WITHHELD: &str = "[withheld]";
/// A phrase with fewer letters would withhold half a language.
const SHORTEST: usize = 4;
/// Parts of an entry that name places and teams; a local organisation's are local.
const PLACES: [&str; 8] = ["place", "discharged to", "organisation", "team", "with", "to", "owner", "practice"];

#[cfg(test)]
mod tests;
