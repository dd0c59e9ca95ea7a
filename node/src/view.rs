//! How verified records of several sources become one view. Pure: no clock, no I/O, no tasks.
//!
//! [`matching`] and [`about`] (is this the person?) · [`row`] (one resource, one row) · [`merge`] (copies) · [`medicines`],
//! [`allergies`], [`problems`], [`advance`] (where sources disagree) · [`dates`] · [`completeness`] (what is missing) ·
//! [`head`] (who it is about, key facts). What is *not* here: asking, verifying signatures, deciding what a role may see.

pub mod about;
pub mod advance;
pub mod allergies;
pub mod completeness;
pub mod conflict;
pub mod dates;
pub mod head;
pub mod matching;
pub mod medicines;
pub mod merge;
pub mod problems;
pub mod row;

use std::collections::BTreeMap;
use std::time::Duration;

use careweave_protocol::desk::view::{Conflict, Counts, Moment, Notice, PatientHeader, Row, Source, SourceView, View};
use careweave_protocol::desk::warning::Warning;
use careweave_protocol::id::OdsCode;
use careweave_protocol::identity::StaffGroup;
use careweave_protocol::query::{Query, SourceOutcome};
use careweave_protocol::record::{Category, Form};
use careweave_protocol::time::Timestamp;
use serde_json::Value;

pub use about::{Contradiction, about_asked_patient};
pub use matching::{Demographics, Doubt, Located, Match, locate, match_patient};

use row::{Entry, Origin};

/// What one member contributed, verified.
#[derive(Debug, Clone)]
pub struct SourceRecords {
    /// The member.
    pub ods: OdsCode,
    /// Its name.
    pub name: String,
    /// Whether it is the asker's own organisation.
    pub own: bool,
    /// Whether naming it gives away where a person lives: practices, care homes, pharmacies, councils, community services.
    pub local: bool,
    /// What came of asking it; `None` while it is still awaited.
    pub outcome: Option<SourceOutcome>,
    /// Categories that it decided to open, whether or not it holds anything in them.
    pub open: Vec<Category>,
    /// Milliseconds from asking to the last verified byte.
    pub ms: u32,
    /// Up to when its data is complete.
    pub data_to: Option<Timestamp>,
    /// How often its feed should bring something, where it says so.
    pub feed_interval: Option<Duration>,
    /// Duty telephone from its advert.
    pub duty_contact: Option<String>,
    /// Its records.
    pub records: Vec<SourceRecord>,
}

/// One record as its holder decided to release it. `Debug` shows its size.
#[derive(Clone)]
pub struct SourceRecord {
    /// The category under which it was decided.
    pub category: Category,
    /// The form that was granted.
    pub form: Form,
    /// FHIR R4 JSON, uncompressed.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for SourceRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SourceRecord({}, {} bytes)", self.category, self.body.len())
    }
}

/// What the view is for.
pub struct Request<'a> {
    /// The question.
    pub query: &'a Query,
    /// The asker's staff group.
    pub group: StaffGroup,
    /// Categories closed to the role, from the access table alone.
    pub role_cannot_see: &'a [Category],
    /// When the view is put together.
    pub as_at: Timestamp,
    /// IANA name of the zone in which times are shown.
    pub zone: &'a str,
    /// What the own node's record says about who was asked about.
    pub own_identity: OwnIdentity,
    /// Whether the own node's Patient is address-restricted.
    pub own_restricted: bool,
}

/// What the own node's record says about the match; other nodes never tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnIdentity {
    /// Exactly one own record fits.
    Confirmed,
    /// Nobody is held under that number.
    NotHeld,
    /// The own record contradicts what was typed.
    Doubtful(Doubt),
}

impl OwnIdentity {
    /// From what [`locate`] found.
    #[must_use]
    pub fn of(located: Located) -> Self {
        match located {
            Located::One(_) => Self::Confirmed,
            Located::NotHeld => Self::NotHeld,
            Located::Doubtful(doubt) => Self::Doubtful(doubt),
        }
    }
}

/// Puts everything together. Also used for the first view, of the own records only, with the others still awaited.
#[must_use]
pub fn assemble(request: &Request<'_>, sources: &[SourceRecords]) -> View {
    let mut counts = Counts::default();
    let mut told = Warnings::default();
    let (mut entries, rejected) = read_all(request, sources);
    counts.about_somebody_else = u32::try_from(rejected.len()).unwrap_or(u32::MAX);
    let restricted = request.own_restricted
        || entries.iter().any(|e| e.stripped || e.person.as_ref().is_some_and(|person| person.restricted));
    if restricted {
        hide_whereabouts(&mut entries, sources);
    }
    for source in rejected.iter().filter_map(|index| sources.get(*index)) {
        told.add(Warning::SomebodyElse, &completeness::named(source, restricted).to_string());
    }
    let codes: Vec<&str> = sources.iter().map(|source| source.ods.as_str()).collect();
    let merged = merge::merge(entries, &codes);
    counts.entered_in_error = merged.in_error;
    let mut entries = merged.entries;
    for entry in &entries {
        counts.uncoded_not_shown += u32::from(entry.uncoded);
        counts.unreadable += u32::from(!entry.readable);
    }
    arrange(&mut entries);
    let conflicts = conflicts(&entries, request.as_at);
    let own = sources.iter().position(|source| source.own);
    let patient = head::patient(request, &entries, own, restricted);
    let key_facts = head::key_facts(&entries, &conflicts);
    tell_of_entries(&entries, &mut told);
    let wanted = |category: Category| {
        request.query.wants(category)
            && category != Category::Experience
            && !request.role_cannot_see.contains(&category)
    };
    let mut categories: BTreeMap<Category, Vec<Row>> = BTreeMap::new();
    for entry in entries {
        if !request.query.wants(entry.category) {
            continue;
        }
        if dates::in_window(entry.category, &entry.row, entry.ongoing, &request.query.period) {
            categories.entry(entry.category).or_default().push(entry.row);
        } else {
            counts.outside_period += 1;
        }
    }
    let listed = Category::ALL.iter().copied().filter(|c| wanted(*c) && *c != Category::Other);
    let absences = completeness::absences(listed, &categories, sources);
    let lines = completeness::lines(sources, restricted, request.as_at);
    let all_replied = completeness::all_replied(sources);
    let finished = sources.iter().all(|source| source.outcome.is_some());
    tell_of_sources(&lines, finished, all_replied, &mut told);
    tell_of_patient(&patient, &mut told);
    tell_of_counts(&counts, request, &categories, &mut told);
    for conflict in &conflicts {
        told.add_by_id(&conflict.id, &conflict.subject);
    }
    if absences.iter().any(|absence| absence.kind == "nothing-supplied") {
        told.add(Warning::NothingSupplied, "");
    }
    View {
        query_id: request.query.query_id,
        as_at: Moment(request.as_at),
        finished,
        asker: request.query.asker.clone(),
        group: request.group,
        purpose: request.query.purpose,
        zone: request.zone.to_owned(),
        patient,
        all_replied,
        sources: lines,
        key_facts,
        categories,
        conflicts,
        absences,
        role_cannot_see: request.role_cannot_see.to_vec(),
        warnings: told.into_notices(),
        counts,
    }
}

/// Reads every record that is about the person asked about, and gives the source of each that is not. Experience answers
/// are never part of a view, and what no category fits is shown to its own organisation only.
fn read_all(request: &Request<'_>, sources: &[SourceRecords]) -> (Vec<Entry>, Vec<usize>) {
    let mut rejected = Vec::new();
    let mut entries = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let name = completeness::named(source, false);
        let origin = Origin { index, source: &name, own: source.own, zone: request.zone, as_at: request.as_at };
        for record in &source.records {
            if record.category == Category::Experience || (record.category == Category::Other && !source.own) {
                continue;
            }
            let json: Option<Value> = serde_json::from_slice(&record.body).ok();
            if json.as_ref().is_some_and(|json| about::json_about(json, &request.query.patient).is_err()) {
                rejected.push(index);
                continue;
            }
            entries.push(row::read(record, json.as_ref(), &origin));
        }
    }
    (entries, rejected)
}

/// Rows of local organisations stop naming them, and copies of the Patient that are not restricted lose what gives the
/// whereabouts away.
fn hide_whereabouts(entries: &mut [Entry], sources: &[SourceRecords]) {
    for entry in entries {
        let Some(source) = sources.get(entry.source) else { continue };
        entry.row.source = completeness::named(source, true);
        if matches!(entry.row.resource_type.as_str(), "Patient" | "RelatedPerson") {
            entry.row.details.retain(|detail| !matches!(detail.name.as_str(), "address" | "telephone" | "practice"));
        }
    }
}

/// Puts each category in its own order and takes the systems of identifiers out where they would name a hidden source.
fn arrange(entries: &mut Vec<Entry>) {
    let mut by_category: BTreeMap<Category, Vec<Entry>> = BTreeMap::new();
    for mut entry in entries.drain(..) {
        if entry.row.source.ods == careweave_protocol::desk::view::WITHHELD {
            entry.row.identifiers.clear();
        }
        by_category.entry(entry.category).or_default().push(entry);
    }
    for (category, mut members) in by_category {
        // The original of several documents about one event comes first on its day.
        members.sort_by_key(|e| (dates::newest_first(&e.row), e.row.resource_type == "DocumentReference"));
        match category {
            Category::Medications => medicines::arrange(&mut members),
            Category::Problems => problems::arrange(&mut members),
            Category::Allergies => allergies::arrange(&mut members),
            _ => {}
        }
        entries.extend(members);
    }
}

fn conflicts(entries: &[Entry], as_at: Timestamp) -> Vec<Conflict> {
    let of = |category: Category| entries.iter().filter(|e| e.category == category).collect::<Vec<&Entry>>();
    let mut found = allergies::conflicts(&of(Category::Allergies));
    found.extend(medicines::conflicts(&of(Category::Medications), as_at));
    found.extend(advance::conflicts(&of(Category::AdvanceCare)));
    found.extend(problems::conflicts(&of(Category::Problems)));
    found
}

/// Warnings gathered, each once, with everything it is about.
#[derive(Default)]
struct Warnings(BTreeMap<Warning, Vec<String>>);

impl Warnings {
    fn add(&mut self, warning: Warning, about: &str) {
        let abouts = self.0.entry(warning).or_default();
        if !about.is_empty() && !abouts.iter().any(|known| known == about) {
            abouts.push(about.to_owned());
        }
    }

    fn add_by_id(&mut self, id: &str, about: &str) {
        if let Some(warning) = Warning::ALL.iter().find(|warning| warning.id() == id) {
            self.add(*warning, about);
        }
    }

    fn into_notices(self) -> Vec<Notice> {
        self.0.into_iter().map(|(warning, about)| Notice::new(warning, about.join("; "))).collect()
    }
}

fn tell_of_entries(entries: &[Entry], told: &mut Warnings) {
    for entry in entries {
        let row = &entry.row;
        if row.also_at.iter().any(|copy| copy.differs.is_some()) {
            told.add(Warning::CopiesDiffer, &row.text);
        }
        if row.notes.iter().any(|note| note.starts_with(merge::WITHDRAWN)) {
            told.add(Warning::WithdrawnAtOrigin, &row.text);
        }
        if !entry.readable {
            told.add(Warning::Unreadable, &row.source.to_string());
        }
        match row.form.as_str() {
            "summary" => told.add(Warning::CodesOnly, &row.source.to_string()),
            "essential" => told.add(Warning::NarrativeWithheld, &row.source.to_string()),
            _ => {}
        }
    }
    let advance: Vec<&Entry> = entries.iter().filter(|e| e.category == Category::AdvanceCare).collect();
    for entry in advance::ended(&advance) {
        told.add(Warning::AdvanceCareEnded, &format!("{}, {}", entry.row.text, entry.row.source));
    }
}

fn tell_of_sources(lines: &[SourceView], finished: bool, all_replied: bool, told: &mut Warnings) {
    if !finished {
        told.add(Warning::FirstView, "");
    }
    for line in lines {
        let name = Source { ods: line.ods.clone(), name: line.name.clone() }.to_string();
        if finished && !all_replied && line.asked && !line.replied {
            told.add(Warning::Incomplete, &format!("{name} ({})", line.outcome));
        }
        if line.stale {
            told.add(Warning::StaleData, &name);
        }
    }
}

fn tell_of_patient(patient: &PatientHeader, told: &mut Warnings) {
    if let Some(reason) = &patient.identity_reason {
        told.add(Warning::NotSafelyMatched, reason);
    }
    if let Some(deceased) = &patient.deceased {
        for source in &deceased.sources {
            told.add(Warning::Deceased, &format!("{source}: {}", deceased.date_shown));
        }
        if deceased.disputed {
            told.add(Warning::DeathDisputed, "");
        }
    }
    if patient.address_restricted {
        told.add(Warning::AddressRestricted, "");
    }
}

fn tell_of_counts(
    counts: &Counts,
    request: &Request<'_>,
    categories: &BTreeMap<Category, Vec<Row>>,
    told: &mut Warnings,
) {
    let entries = |count: u32| if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") };
    if counts.entered_in_error > 0 {
        told.add(Warning::EnteredInError, &entries(counts.entered_in_error));
    }
    if counts.uncoded_not_shown > 0 {
        let noun = if counts.uncoded_not_shown == 1 { "entry" } else { "entries" };
        told.add(Warning::CodesOnly, &format!("{} uncoded {noun}, not shown to your role", counts.uncoded_not_shown));
    }
    if counts.outside_period > 0 {
        told.add(Warning::OutsidePeriod, &entries(counts.outside_period));
    }
    let period = &request.query.period;
    let undated = categories.values().flatten().filter(|row| row.undated).count();
    if undated > 0 && (period.since.is_some() || period.until.is_some()) {
        told.add(Warning::Undated, &entries(u32::try_from(undated).unwrap_or(u32::MAX)));
    }
    if !request.role_cannot_see.is_empty() {
        let names: Vec<&str> = request.role_cannot_see.iter().map(|category| category.as_str()).collect();
        told.add(Warning::RoleCannotSee, &names.join(", "));
    }
}

#[cfg(test)]
mod tests;
