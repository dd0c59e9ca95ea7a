//! What was asked of whom and what came of it, and what an empty category means (rule 9): never that there is none.

use std::collections::BTreeMap;

use careweave_protocol::desk::view::{Absence, Moment, Row, Source, SourceView, WITHHELD};
use careweave_protocol::query::completeness::NotAsked;
use careweave_protocol::query::{Period, SourceOutcome};
use careweave_protocol::record::Category;
use careweave_protocol::time::Timestamp;

use super::SourceRecords;

/// How a source is named in this view: not at all when it is local and the patient's whereabouts are restricted.
#[must_use]
pub fn named(source: &SourceRecords, restricted: bool) -> Source {
    if restricted && source.local && !source.own {
        Source { ods: WITHHELD.to_owned(), name: "local organisation, name withheld".to_owned() }
    } else {
        Source { ods: source.ods.as_str().to_owned(), name: source.name.clone() }
    }
}

/// One line for each member, the own organisation first, then by code. Local organisations of a restricted patient become
/// one line, because which of them answered would say where the person lives.
#[must_use]
pub fn lines(sources: &[SourceRecords], restricted: bool, as_at: Timestamp) -> Vec<SourceView> {
    let withheld = |s: &&SourceRecords| restricted && s.local && !s.own;
    let mut lines: Vec<SourceView> =
        sources.iter().filter(|s| !withheld(s)).map(|source| line(source, as_at)).collect();
    lines.sort_by(|a, b| b.own.cmp(&a.own).then_with(|| a.ods.cmp(&b.ods)));
    let hidden: Vec<SourceView> = sources.iter().filter(withheld).map(|source| line(source, as_at)).collect();
    lines.extend(fold(&hidden));
    lines
}

/// Whether every asked source replied.
#[must_use]
pub fn all_replied(sources: &[SourceRecords]) -> bool {
    sources.iter().all(|source| source.outcome.as_ref().is_some_and(|outcome| !outcome.asked() || outcome.replied()))
}

/// The sentence for each category asked for that has no rows. `rejected` are the sources and categories of records that were
/// left out because they are about somebody else.
#[must_use]
pub fn absences(
    wanted: impl Iterator<Item = Category>,
    rows: &BTreeMap<Category, Vec<Row>>,
    rejected: &[(usize, Category)],
    sources: &[SourceRecords],
    period: &Period,
) -> Vec<Absence> {
    let asked: Vec<(usize, &SourceRecords)> =
        sources.iter().enumerate().filter(|(_, s)| s.outcome.as_ref().is_none_or(SourceOutcome::asked)).collect();
    let mut not_reached = 0;
    let mut awaited = 0;
    for (_, source) in &asked {
        match &source.outcome {
            None => awaited += 1,
            Some(outcome) if !outcome.replied() && *outcome != SourceOutcome::AnsweredPartial => not_reached += 1,
            Some(_) => {}
        }
    }
    let dated = period.since.is_some() || period.until.is_some();
    let whole = asked.iter().all(|(_, s)| s.outcome.as_ref().is_some_and(SourceOutcome::replied));
    let empty = wanted.filter(|category| rows.get(category).is_none_or(Vec::is_empty));
    let asked = Asked { sources: asked, whole, not_reached, awaited, dated, rejected };
    empty.map(|category| asked.absence(category)).collect()
}

/// Those that were asked, and how far they replied.
struct Asked<'a> {
    sources: Vec<(usize, &'a SourceRecords)>,
    /// Whether every one of them replied in whole.
    whole: bool,
    not_reached: usize,
    awaited: usize,
    /// Whether only some dates were asked for.
    dated: bool,
    rejected: &'a [(usize, Category)],
}

impl Asked<'_> {
    /// "None recorded" counts only sources that answered in full with the category open, and is said only when every asked
    /// source replied; a source with nothing shareable never counts, nor one that hides a medicine or sent somebody else's record.
    fn absence(&self, category: Category) -> Absence {
        let total = self.sources.len();
        let open = self
            .sources
            .iter()
            .filter(|(index, s)| {
                let hidden = category == Category::Medications && s.medicines_not_shown > 0;
                let somebody_else = self.rejected.contains(&(*index, category));
                s.outcome == Some(SourceOutcome::Answered) && s.open.contains(&category) && !hidden && !somebody_else
            })
            .count();
        let title = category.title();
        let sources = if total == 1 { "source" } else { "sources" };
        let (kind, mut text) = if self.whole && open > 0 {
            let dates =
                if self.dated && !Category::SAFETY.contains(&category) { " for the dates asked for" } else { "" };
            let elsewhere = if open < total { " This does NOT mean none elsewhere." } else { "" };
            ("none-recorded", format!("{title}: none recorded at {open} of {total} {sources}{dates}.{elsewhere}"))
        } else {
            ("nothing-supplied", format!("{title}: nothing supplied by {total} {sources}. This does NOT mean none."))
        };
        for (count, one, several) in [
            (self.not_reached, "was not reached", "were not reached"),
            (self.awaited, "is still being asked", "are still being asked"),
        ] {
            match count {
                0 => {}
                1 => text.push_str(&format!(" 1 of them {one}.")),
                _ => text.push_str(&format!(" {count} of them {several}.")),
            }
        }
        Absence { category, kind: kind.to_owned(), text }
    }
}

fn line(source: &SourceRecords, as_at: Timestamp) -> SourceView {
    let outcome = source.outcome.as_ref();
    let asked = outcome.is_none_or(SourceOutcome::asked);
    let replied = outcome.is_some_and(SourceOutcome::replied) && asked;
    let reason = match outcome {
        Some(SourceOutcome::Refused(cause) | SourceOutcome::Untrusted(cause)) => Some(cause.to_string()),
        Some(SourceOutcome::Busy(ms)) => Some(format!("retry after {ms} ms")),
        Some(SourceOutcome::NotAsked(why)) => Some(not_asked(*why).to_owned()),
        _ => None,
    };
    let ineligible = matches!(outcome, Some(SourceOutcome::Refused(cause)) if cause.is_eligibility());
    let stale = match (source.data_to, source.feed_interval) {
        (Some(data_to), Some(interval)) => as_at.since(data_to) > interval,
        _ => false,
    };
    SourceView {
        ods: source.ods.as_str().to_owned(),
        name: source.name.clone(),
        own: source.own,
        outcome: outcome.map_or("awaited", SourceOutcome::as_str).to_owned(),
        records: u32::try_from(source.records.len()).unwrap_or(u32::MAX),
        ms: source.ms,
        data_to: source.data_to.map(Moment),
        reason,
        asked,
        replied,
        ineligible,
        stale,
        duty_contact: source.duty_contact.clone().filter(|_| asked && !replied),
    }
}

/// Local organisations as one line that says whether all of them replied and no more.
fn fold(hidden: &[SourceView]) -> Option<SourceView> {
    let asked: Vec<&SourceView> = hidden.iter().filter(|line| line.asked).collect();
    let stale = asked.iter().any(|line| line.stale);
    let replied = asked.iter().all(|line| line.replied);
    let answered = asked.iter().any(|line| line.outcome == "answered" || line.outcome == "answered-partial");
    let outcome = match (asked.is_empty(), replied, answered) {
        (true, ..) => "not-asked",
        (_, true, true) => "answered",
        (_, true, false) => "nothing-shareable",
        (_, false, _) if asked.iter().any(|line| line.outcome == "awaited") => "awaited",
        (_, false, true) => "answered-partial",
        (_, false, false) => "timeout",
    };
    (!hidden.is_empty()).then(|| SourceView {
        ods: WITHHELD.to_owned(),
        name: "local organisations, names withheld".to_owned(),
        own: false,
        outcome: outcome.to_owned(),
        records: hidden.iter().map(|line| line.records).fold(0, u32::saturating_add),
        ms: hidden.iter().map(|line| line.ms).max().unwrap_or(0),
        data_to: oldest(&asked),
        reason: None,
        asked: !asked.is_empty(),
        replied: !asked.is_empty() && replied,
        ineligible: hidden.iter().any(|line| line.ineligible),
        stale,
        duty_contact: None,
    })
}

/// Up to when the data of all that answered is complete; not known when one of them does not say.
fn oldest(lines: &[&SourceView]) -> Option<Moment> {
    let answered = lines.iter().filter(|line| line.outcome.starts_with("answered"));
    answered.map(|line| line.data_to).min().flatten()
}

fn not_asked(why: NotAsked) -> &'static str {
    match why {
        NotAsked::HoldsNoRecords => "holds no records",
        NotAsked::Suspended => "suspended from the network",
        NotAsked::NotLive => "not in use yet",
        NotAsked::FanOutLimit => "more members than one view asks",
        NotAsked::RoleSeesNothing => "your role and purpose see nothing there",
        NotAsked::Restricted => "whereabouts of this patient are restricted",
    }
}

#[cfg(test)]
mod tests;
