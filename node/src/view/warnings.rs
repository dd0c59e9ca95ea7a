//! What the reader must be told (rule 16): every warning once, with everything it is about. Their ids and words stand in
//! [`careweave_protocol::desk::warning`].

use std::collections::{BTreeMap, BTreeSet};

use careweave_protocol::desk::view::{Counts, Notice, PatientHeader, Row, Source, SourceView, shown_in};
use careweave_protocol::desk::warning::Warning;
use careweave_protocol::query::{Patient, Purpose, SourceOutcome};
use careweave_protocol::record::Category;

use super::completeness::named;
use super::row::Entry;
use super::{OwnIdentity, Request, SourceRecords};
use super::{advance, merge};

/// Warnings gathered.
#[derive(Default)]
pub struct Warnings(BTreeMap<Warning, Abouts>);

/// What one warning is about, in the order it was said, each once.
#[derive(Default)]
struct Abouts {
    said: Vec<String>,
    known: BTreeSet<String>,
}

impl Warnings {
    /// Adds what a warning is about; an empty text only raises it.
    pub fn add(&mut self, warning: Warning, about: &str) {
        let abouts = self.0.entry(warning).or_default();
        if !about.is_empty() && abouts.known.insert(about.to_owned()) {
            abouts.said.push(about.to_owned());
        }
    }

    /// As [`Warnings::add`], of the warning with this id.
    pub fn add_by_id(&mut self, id: &str, about: &str) {
        if let Some(warning) = Warning::ALL.iter().find(|warning| warning.id() == id) {
            self.add(*warning, about);
        }
    }

    /// In the order of their ids. Of what stands at its own rows as well, only the first `ROWS_NAMED` are named.
    #[must_use]
    pub fn into_notices(self) -> Vec<Notice> {
        let notices = self.0.into_iter().map(|(warning, abouts)| {
            let more = abouts.said.len().saturating_sub(ROWS_NAMED);
            if more > 0 && AT_ROWS.contains(&warning) {
                let named = abouts.said.into_iter().take(ROWS_NAMED).collect::<Vec<_>>().join("; ");
                Notice::new(warning, format!("{named}; and {more} more, each marked where it is listed"))
            } else {
                Notice::new(warning, abouts.said.join("; "))
            }
        });
        notices.collect()
    }

    /// What the merged entries say of themselves.
    pub fn of_entries(&mut self, entries: &[Entry]) {
        for entry in entries {
            let row = &entry.row;
            if row.also_at.iter().any(|copy| copy.differs.is_some()) {
                self.add(Warning::CopiesDiffer, &row.text);
            }
            if row.notes.iter().any(|note| note.starts_with(merge::WITHDRAWN)) {
                self.add(Warning::WithdrawnAtOrigin, &row.text);
            }
            if !entry.readable {
                self.add(Warning::Unreadable, &row.source.to_string());
            }
            match row.form.as_str() {
                "summary" => self.add(Warning::CodesOnly, &row.source.to_string()),
                "essential" => self.add(Warning::NarrativeWithheld, &row.source.to_string()),
                _ => {}
            }
        }
        let advance: Vec<&Entry> = entries.iter().filter(|e| e.category == Category::AdvanceCare).collect();
        for entry in advance::ended(&advance) {
            self.add(Warning::AdvanceCareEnded, &format!("{}, {}", entry.row.text, entry.row.source));
        }
    }

    /// Another number of the same person: asked for as well, or held by a source. Of somebody restricted no number is given.
    pub fn of_numbers(&mut self, entries: &[Entry], asked: &Patient, restricted: bool) {
        if !asked.other_numbers.is_empty() && restricted {
            self.add(Warning::NumberReplaced, "also asked for under another number");
        } else if !asked.other_numbers.is_empty() {
            let others: Vec<String> = asked.other_numbers.iter().map(|number| number.spaced()).collect();
            self.add(Warning::NumberReplaced, &format!("also asked for under {}", others.join(", ")));
        }
        for entry in entries {
            let Some(person) = &entry.person else { continue };
            // The former number of somebody restricted is nobody's to see.
            if !restricted && !person.restricted && person.numbers.iter().any(|number| *number != asked.nhs_number) {
                self.add(Warning::NumberReplaced, &format!("{} holds another number", entry.row.source));
            }
        }
    }

    /// On what grounds the view was asked for, and what is said of every patient.
    pub fn of_request(&mut self, request: &Request<'_>) {
        if !request.may_exist.is_empty() {
            self.add(Warning::MayExist, &request.may_exist.join(", "));
        }
        if request.namesake {
            self.add(Warning::Namesake, &format!("you asked for {}", request.query.patient.nhs_number.spaced()));
        }
        if request.self_claimed {
            self.add(Warning::SelfClaimed, "");
        }
        if request.query.purpose == Purpose::Btg {
            let reason = request.query.reason.as_ref().map(|reason| format!("reason {reason}")).unwrap_or_default();
            self.add(Warning::BreakGlass, &reason);
        }
    }

    /// What came of asking each source.
    pub fn of_lines(&mut self, lines: &[SourceView], finished: bool, all_replied: bool, request: &Request<'_>) {
        if !finished {
            self.add(Warning::FirstView, "");
        }
        for line in lines {
            let name = Source { ods: line.ods.clone(), name: line.name.clone() }.to_string();
            if finished && !all_replied && line.asked && !line.replied {
                self.add(Warning::Incomplete, &format!("{name} ({})", line.outcome));
            }
            if let (true, Some(data_to)) = (line.stale, line.data_to) {
                self.add(Warning::StaleData, &format!("{name}, data to {}", shown_in(data_to.0, request.zone)));
            }
            // The own organisation that knows nobody of that number withholds nothing.
            let own_without_patient = line.own && request.own_identity == OwnIdentity::NotHeld;
            match line.outcome.as_str() {
                "nothing-shareable" if line.asked && !own_without_patient => {
                    self.add(Warning::NothingShareable, &name);
                }
                "refused" => {
                    let reason = line.reason.as_deref().unwrap_or("no reason given");
                    self.add(Warning::NothingShareable, &format!("{name} (refused: {reason})"));
                }
                _ => {}
            }
            if matches!(line.outcome.as_str(), "answered" | "answered-partial") && line.data_to.is_none() {
                self.add(Warning::CurrencyUnknown, &name);
            }
        }
    }

    /// Answers that ended at the asker's budget. Asked of the sources, not of their lines: the one line for a restricted
    /// patient's local sources is partial as soon as one of them is silent.
    pub fn of_cut_answers(&mut self, sources: &[SourceRecords], restricted: bool) {
        for source in sources.iter().filter(|source| source.outcome == Some(SourceOutcome::AnsweredPartial)) {
            self.add(Warning::AnswerCut, &named(source, restricted).to_string());
        }
    }

    /// Medicines that a source hides by its guardian's signed exception, with whom to ring.
    pub fn of_hidden_medicines(&mut self, sources: &[SourceRecords], restricted: bool) {
        for source in sources.iter().filter(|source| source.medicines_not_shown > 0) {
            let count = source.medicines_not_shown;
            let what = if count == 1 { "1 medicine".to_owned() } else { format!("{count} medicines") };
            let whom = ring(source, restricted);
            self.add(Warning::MedicineNotShown, &format!("{}, {what}, {whom}", named(source, restricted)));
        }
    }

    /// What the head of the view says.
    pub fn of_patient(&mut self, patient: &PatientHeader) {
        if let Some(reason) = &patient.identity_reason {
            self.add(Warning::NotSafelyMatched, reason);
        }
        if let Some(deceased) = &patient.deceased {
            for source in &deceased.sources {
                self.add(Warning::Deceased, &format!("{source}: {}", deceased.date_shown));
            }
            if deceased.disputed {
                self.add(Warning::DeathDisputed, "");
            }
        }
        if patient.address_restricted {
            self.add(Warning::AddressRestricted, "");
        }
    }

    /// What is counted and not listed, and what is listed although its date is not known.
    pub fn of_counts(&mut self, counts: &Counts, request: &Request<'_>, categories: &BTreeMap<Category, Vec<Row>>) {
        let entries = |count: u32| if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") };
        if counts.entered_in_error > 0 {
            self.add(Warning::EnteredInError, &entries(counts.entered_in_error));
        }
        if counts.uncoded_not_shown > 0 {
            let noun = if counts.uncoded_not_shown == 1 { "entry" } else { "entries" };
            self.add(
                Warning::CodesOnly,
                &format!("{} uncoded {noun}, not shown to your role", counts.uncoded_not_shown),
            );
        }
        if counts.outside_period > 0 {
            self.add(Warning::OutsidePeriod, &entries(counts.outside_period));
        }
        let period = &request.query.period;
        let undated = categories.values().flatten().filter(|row| row.undated).count();
        if undated > 0 && (period.since.is_some() || period.until.is_some()) {
            self.add(Warning::Undated, &entries(u32::try_from(undated).unwrap_or(u32::MAX)));
        }
        if !request.role_cannot_see.is_empty() {
            let names: Vec<&str> = request.role_cannot_see.iter().map(|category| category.as_str()).collect();
            self.add(Warning::RoleCannotSee, &names.join(", "));
        }
    }
}

/// Whom to ring about what a source does not show. A restricted patient's local source is not to be told by its number.
#[must_use]
pub fn ring(source: &SourceRecords, restricted: bool) -> String {
    if restricted && source.local && !source.own {
        return "its number is withheld, ask your own privacy officer".to_owned();
    }
    match source.duty_contact.as_deref().map(str::trim).filter(|contact| !contact.is_empty()) {
        Some(contact) => format!("ring {contact}"),
        None => "ring it, no duty number is listed".to_owned(),
    }
}

/// Named in one warning before "and … more".
const ROWS_NAMED: usize = 20;
/// Warnings whose subjects are each marked where they are listed.
const AT_ROWS: [Warning; 6] = [
    Warning::CopiesDiffer,
    Warning::Uncoded,
    Warning::CodeAgainstWords,
    Warning::ImplausibleDate,
    Warning::RetiredCode,
    Warning::UnitsDiffer,
];

#[cfg(test)]
mod tests;
