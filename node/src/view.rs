//! How verified records of several sources become one view. Pure: no clock, no I/O, no tasks.
//!
//! [`matching`] and [`about`] (is this the person?) · [`row`] (one resource, one row) · [`merge`] (copies) · [`medicines`],
//! [`allergies`], [`problems`], [`advance`] (where sources disagree) · [`dates`] · [`quality`] and [`terminology`] (what cannot be
//! right) · [`whereabouts`] (restricted patients) · [`completeness`] (what is missing) · [`head`] (who it is about, key facts) ·
//! [`warnings`]. What is *not* here: asking, verifying signatures, deciding what a role may see.

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
pub mod quality;
pub mod row;
pub mod terminology;
pub mod warnings;
pub mod whereabouts;

use std::collections::BTreeMap;
use std::time::Duration;

use careweave_protocol::desk::view::{Conflict, Counts, Moment, Row, View, WITHHELD};
use careweave_protocol::desk::warning::Warning;
use careweave_protocol::id::OdsCode;
use careweave_protocol::identity::StaffGroup;
use careweave_protocol::query::{Query, SourceOutcome};
use careweave_protocol::record::{Category, Form};
use careweave_protocol::time::Timestamp;

pub use about::{Subject, Unshown};
pub use matching::{Demographics, Doubt, Located, Match, locate, match_patient};

use medicines::dmd::Dmd;
use row::{Entry, Origin};
use warnings::Warnings;

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
    /// Medicines that it hides by its guardian's signed exception.
    pub medicines_not_shown: u32,
    /// Records that it left out because of the dates asked for.
    pub outside_period: u32,
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
    /// When its holder took it in.
    pub taken_in: Timestamp,
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
    /// The organisation's name.
    pub asker_name: &'a str,
    /// The person's name, as in their credential.
    pub requester: &'a str,
    /// Categories closed to the role, from the access table alone.
    pub role_cannot_see: &'a [Category],
    /// Kinds of record that only break-glass opens to the role, from the access table alone.
    pub may_exist: &'a [&'static str],
    /// When this person last looked at this patient, where what came since is to be marked.
    pub last_look: Option<Timestamp>,
    /// Whether the view rests on the asker's word alone.
    pub self_claimed: bool,
    /// Whether the own node holds another person of the same family name and birth date.
    pub namesake: bool,
    /// Whether the own record says that the number asked is of a new identity: nothing may lead to or from another number then.
    pub number_changed: bool,
    /// When the view is put together.
    pub as_at: Timestamp,
    /// IANA name of the zone in which times are shown.
    pub zone: &'a str,
    /// What the own node's record says about who was asked about.
    pub own_identity: OwnIdentity,
    /// Whether the own node's Patient is address-restricted.
    pub own_restricted: bool,
    /// The deployer's dm+d release, where one is loaded; without it only the built-in substances are known.
    pub dmd: Option<&'a Dmd>,
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
    let (mut entries, rejected, untold) = read_all(request, sources);
    counts.about_somebody_else = u32::try_from(rejected.len()).unwrap_or(u32::MAX);
    let restricted = request.own_restricted
        || entries.iter().any(|e| e.stripped || e.person.as_ref().is_some_and(|person| person.restricted));
    if restricted {
        whereabouts::hide(&mut entries, sources);
    }
    for (index, _) in &rejected {
        if let Some(source) = sources.get(*index) {
            told.add(Warning::SomebodyElse, &completeness::named(source, restricted).to_string());
        }
    }
    let codes: Vec<&str> = sources.iter().map(|source| source.ods.as_str()).collect();
    let merged = merge::merge(entries, &codes);
    counts.entered_in_error = merged.in_error;
    counts.outside_period = sources.iter().map(|source| source.outside_period).fold(0, u32::saturating_add);
    let mut entries = merged.entries;
    for entry in &entries {
        counts.uncoded_not_shown += u32::from(entry.uncoded);
        counts.unreadable += u32::from(!entry.readable);
    }
    arrange(&mut entries, request);
    let conflicts = conflicts(&entries, request.as_at);
    let own = sources.iter().position(|source| source.own);
    let patient = head::patient(request, &mut entries, own, restricted);
    quality::check(&mut entries, request, &mut told);
    quality::safeguarding(&mut entries, sources, restricted, &mut told);
    let key_facts = head::key_facts(&entries, &conflicts);
    told.of_entries(&entries);
    if !request.number_changed {
        told.of_numbers(&entries, &request.query.patient, restricted);
    }
    if restricted {
        whereabouts::hide_codes(&mut entries, sources);
    }
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
            categories.entry(entry.category).or_default().push(*entry.row);
        } else {
            counts.outside_period += 1;
        }
    }
    let listed = Category::ALL.iter().copied().filter(|c| wanted(*c) && *c != Category::Other);
    // What is not told of is missing all the same.
    let left_out = [rejected, untold].concat();
    let absences = completeness::absences(listed, &categories, &left_out, sources, &request.query.period);
    let lines = completeness::lines(sources, restricted, request.as_at);
    let all_replied = completeness::all_replied(sources);
    let finished = sources.iter().all(|source| source.outcome.is_some());
    told.of_request(request);
    told.of_lines(&lines, finished, all_replied, request);
    told.of_cut_answers(sources, restricted);
    told.of_hidden_medicines(sources, restricted);
    told.of_patient(&patient);
    told.of_counts(&counts, request, &categories);
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
        asker_name: request.asker_name.to_owned(),
        requester: request.requester.to_owned(),
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
        may_exist: request.may_exist.iter().map(|kind| (*kind).to_owned()).collect(),
        last_look: request.last_look.map(Moment),
        warnings: told.into_notices(),
        counts,
    }
}

/// Source and category of records that are left out.
type LeftOut = Vec<(usize, Category)>;

/// Reads every record that is about the person asked about, and gives source and category of each that is not, and of each of which
/// nothing may be told. Experience answers are never part of a view, and what no category fits is shown to its own organisation only.
fn read_all(request: &Request<'_>, sources: &[SourceRecords]) -> (Vec<Entry>, LeftOut, LeftOut) {
    let (mut rejected, mut untold) = (Vec::new(), Vec::new());
    let mut entries = Vec::with_capacity(sources.iter().map(|source| source.records.len()).sum());
    for (index, source) in sources.iter().enumerate() {
        let name = completeness::named(source, false);
        let origin = Origin {
            index,
            source: &name,
            own: source.own,
            zone: request.zone,
            as_at: request.as_at,
            last_look: request.last_look,
        };
        let subject = Subject::of(&request.query.patient, &source.records, request.number_changed);
        for record in &source.records {
            if record.category == Category::Experience || (record.category == Category::Other && !source.own) {
                continue;
            }
            match subject.read(&record.body) {
                Ok(json) => entries.push(row::read(record, json.as_ref(), &origin)),
                Err(Unshown::SomebodyElse) => rejected.push((index, record.category)),
                Err(Unshown::Untold) => untold.push((index, record.category)),
            }
        }
    }
    (entries, rejected, untold)
}

/// Puts each category in its own order and takes the identifiers out where they would name a hidden source.
fn arrange(entries: &mut Vec<Entry>, request: &Request<'_>) {
    let mut by_category: BTreeMap<Category, Vec<Entry>> = BTreeMap::new();
    for mut entry in entries.drain(..) {
        if entry.row.source.ods == WITHHELD {
            entry.row.identifiers.clear();
        }
        by_category.entry(entry.category).or_default().push(entry);
    }
    for (category, mut members) in by_category {
        merge::originals_first(&mut members);
        match category {
            Category::Medications => medicines::arrange(&mut members, request.dmd),
            Category::Problems => problems::arrange(&mut members),
            Category::Allergies => allergies::arrange(&mut members),
            Category::AdvanceCare => advance::arrange(&mut members, request.as_at),
            _ => {}
        }
        entries.extend(members);
    }
}

fn conflicts(entries: &[Entry], as_at: Timestamp) -> Vec<Conflict> {
    let of = |category: Category| entries.iter().filter(|e| e.category == category).collect::<Vec<&Entry>>();
    let mut found = allergies::conflicts(&of(Category::Allergies));
    found.extend(medicines::conflicts::conflicts(&of(Category::Medications), as_at));
    found.extend(advance::conflicts(&of(Category::AdvanceCare)));
    found.extend(problems::conflicts(&of(Category::Problems)));
    found
}

#[cfg(test)]
mod tests;
