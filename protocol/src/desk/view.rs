//! One view of one person, as it travels from the node to the command line and as it is printed in JSON.
//!
//! The field names are those of `docs/cli.md` and are stable. Every field is always present; what is not known is `null` or
//! empty. What is *not* here: how a view is made (`careweave-node`, `view`) and how it is laid out (`careweave-cli`, `output`).

use std::collections::BTreeMap;
use std::fmt;

use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::desk::warning::Warning;
use crate::id::{OdsCode, QueryId};
use crate::identity::StaffGroup;
use crate::query::Purpose;
use crate::record::{Category, Coding, Form};
use crate::time::Timestamp;

/// Everything one question brought together. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The query, the same on every log.
    pub query_id: QueryId,
    /// When it was put together; every row was retrieved by then.
    pub as_at: Moment,
    /// Whether nothing more is awaited; the first view of the own records is not finished.
    pub finished: bool,
    /// Whose desk asked.
    pub asker: OdsCode,
    /// That organisation's name.
    pub asker_name: String,
    /// Name of the person who asked, as in their credential.
    pub requester: String,
    /// The asker's staff group.
    pub group: StaffGroup,
    /// Why it was asked.
    pub purpose: Purpose,
    /// IANA name of the zone in which times are shown.
    pub zone: String,
    /// Who it is about: to be confirmed before anything is done.
    pub patient: PatientHeader,
    /// Whether every asked source replied.
    pub all_replied: bool,
    /// Every member with what came of asking it, the own organisation first.
    pub sources: Vec<SourceView>,
    /// What heads every view.
    pub key_facts: KeyFacts,
    /// The rows; a category without rows is absent here and explained in `absences`.
    pub categories: BTreeMap<Category, Vec<Row>>,
    /// Where sources disagree. No winner is picked.
    pub conflicts: Vec<Conflict>,
    /// What an empty category means: never that there is none.
    pub absences: Vec<Absence>,
    /// Categories closed to the asker's role, from the access table alone, so it tells nothing about the patient.
    pub role_cannot_see: Vec<Category>,
    /// Kinds of record that only break-glass would open to the role (`mental-health detail`, `sensitive`, `sealed by the
    /// patient`), from the access table alone: said whether or not anything exists.
    pub may_exist: Vec<String>,
    /// When this person last looked at this patient, by the own node's log; only where `--new` asked for it.
    pub last_look: Option<Moment>,
    /// What the reader must be told.
    pub warnings: Vec<Notice>,
    /// Counts of what is not listed.
    pub counts: Counts,
}

/// Who the view is about, as asked and as the sources hold it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatientHeader {
    /// Ten digits.
    pub nhs_number: String,
    /// As people read it: `999 001 0013`.
    pub nhs_number_shown: String,
    /// `YYYY-MM-DD`.
    pub birth_date: String,
    /// `14-Mar-1938`.
    pub birth_date_shown: String,
    /// Full name as held; the family name as typed when no source supplied one.
    pub name: String,
    /// Who holds the name and address shown; `null` when they are as typed.
    pub held_by: Option<Source>,
    /// Address line; `null` when withheld or not supplied.
    pub address: Option<String>,
    /// Whether whereabouts are restricted: then no address and no local organisation is shown.
    pub address_restricted: bool,
    /// What the own node's record says about the match.
    pub identity: Identity,
    /// Why the match is not safe, where it is not.
    pub identity_reason: Option<String>,
    /// Death, when any source records it.
    pub deceased: Option<Deceased>,
}

/// How the person asked about stands to the own node's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Identity {
    /// Number, birth date and family name fit the own record.
    Confirmed,
    /// The own node holds nobody under that number; what the sources sent fits the number and birth date.
    NotHeld,
    /// The own record contradicts what was typed: exit code 5.
    NotSafelyMatched,
}

/// Death as recorded.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deceased {
    /// FHIR date as recorded, where one is.
    pub date: Option<String>,
    /// As shown to people; `date not recorded` without one.
    pub date_shown: String,
    /// Every source that records it.
    pub sources: Vec<Source>,
    /// Whether another source records the contrary or another date.
    pub disputed: bool,
}

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Source {
    /// ODS code, or [`WITHHELD`] for a local organisation of an address-restricted patient.
    pub ods: String,
    /// Name.
    pub name: String,
}

/// What one member contributed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceView {
    /// ODS code, or [`WITHHELD`].
    pub ods: String,
    /// Name.
    pub name: String,
    /// Whether it is the asker's own organisation.
    pub own: bool,
    /// Stable name of the outcome ([`crate::query::SourceOutcome::as_str`]), or `awaited`.
    pub outcome: String,
    /// Records received and verified.
    pub records: u32,
    /// Milliseconds from asking to the last verified byte.
    pub ms: u32,
    /// Up to when its data is complete.
    pub data_to: Option<Moment>,
    /// Why, for an outcome that has a reason.
    pub reason: Option<String>,
    /// Whether it was asked at all.
    pub asked: bool,
    /// Whether it replied.
    pub replied: bool,
    /// Whether it refused because the organisation or the person is not eligible: exit code 6.
    pub ineligible: bool,
    /// Whether its data is older than its own feed interval.
    pub stale: bool,
    /// Duty telephone, given only where it was asked and did not reply.
    pub duty_contact: Option<String>,
}

/// What stands at the head of every view.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KeyFacts {
    /// Active allergies, highest severity first.
    pub allergies: Vec<Fact>,
    /// Advance decisions that are in force.
    pub advance_care: Vec<Fact>,
    /// Active flags.
    pub flags: Vec<Fact>,
    /// Who is named as the professional in charge.
    pub named_professional: Vec<Fact>,
    /// What matters to the person: the current version.
    pub about_me: Vec<Fact>,
}

/// One key fact; the rows it was taken from stand in their category.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What.
    pub text: String,
    /// More of it: reaction, words of the person.
    pub detail: Option<String>,
    /// Highest severity recorded, with its source in `severity_source`.
    pub severity: Option<String>,
    /// Who recorded that severity.
    pub severity_source: Option<Source>,
    /// Date as shown.
    pub date_shown: String,
    /// Everybody who records it.
    pub sources: Vec<Source>,
    /// Whether it is part of a conflict, so the original must be checked.
    pub conflict: bool,
}

/// One entry of the record.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// FHIR resource type.
    pub resource_type: String,
    /// Logical id at the source; empty when it gave none.
    pub id: String,
    /// What it is, as the holder wrote it.
    pub text: String,
    /// First code.
    pub code: Option<String>,
    /// Every code with its system.
    pub codings: Vec<Coding>,
    /// FHIR status or clinical status.
    pub status: Option<String>,
    /// Reason of that status.
    pub status_reason: Option<String>,
    /// Verification status, where the type has one.
    pub verification: Option<String>,
    /// Clinical date (FHIR text), else `null`.
    pub date: Option<String>,
    /// End of the clinical period (FHIR text).
    pub date_end: Option<String>,
    /// Recorded date (FHIR text).
    pub recorded: Option<String>,
    /// The date by which it is listed, in words.
    pub date_shown: String,
    /// Whether it has neither date; then it is included whatever dates were asked for.
    pub undated: bool,
    /// Who holds it.
    pub source: Source,
    /// Copies held by others.
    pub also_at: Vec<AlsoAt>,
    /// Older versions that the source sent as well.
    pub older_versions: u32,
    /// Role of the author.
    pub author: Option<String>,
    /// Dose, in full.
    pub dose: Option<String>,
    /// Route of a medicine.
    pub route: Option<String>,
    /// Substance, allergen or problem by which entries are shown together.
    pub group: Option<String>,
    /// Whether it is the newest assertion of its group.
    pub newest: bool,
    /// Value of an observation, with its unit in `unit`.
    pub value: Option<String>,
    /// Unit of the value.
    pub unit: Option<String>,
    /// How the laboratory interprets it (`H`, `L`, …).
    pub interpretation: Option<String>,
    /// Reference range.
    pub reference_range: Option<String>,
    /// Severity or criticality of an allergy; severity of a problem.
    pub severity: Option<String>,
    /// Whether it says that there is none (no known allergy).
    pub negated: bool,
    /// What else it says, in reading order.
    pub details: Vec<Detail>,
    /// `full`, `summary` (codes and dates only) or `essential` (indication and narrative withheld).
    pub form: String,
    /// Business identifiers.
    pub identifiers: Vec<Identifier>,
    /// `meta.versionId`.
    pub version: Option<String>,
    /// Ids (`Type/id`) of other entries about the same event.
    pub linked: Vec<String>,
    /// `verified`: its hash is under the root its holder signed; `own`: read from the own store.
    pub signature: String,
    /// When it was retrieved.
    pub retrieved_at: Moment,
    /// When its holder took it in.
    pub taken_in: Moment,
    /// Whether its holder took it in after the person's last look; `false` unless `--new` asked for it.
    pub new: bool,
    /// What the reader must know about this row.
    pub notes: Vec<String>,
}

/// A named part of a row.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// What it is (`reaction`, `hospital course`).
    pub name: String,
    /// What it says.
    pub value: String,
}

/// FHIR `Identifier` as far as it tells copies.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identifier {
    /// Its system's URI.
    pub system: String,
    /// The identifier.
    pub value: String,
}

/// The same record held by somebody else.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlsoAt {
    /// ODS code of who holds it.
    pub ods: String,
    /// Name of who holds it.
    pub name: String,
    /// Logical id there.
    pub id: String,
    /// Version there.
    pub version: Option<String>,
    /// Date there, as shown.
    pub date_shown: String,
    /// What the copy says otherwise (status, dose, words); `null` when nothing.
    pub differs: Option<String>,
}

/// Entries that do not agree.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// Id of the warning that names it.
    pub id: String,
    /// Where.
    pub category: Category,
    /// `status`, `dose`, `duplicate`, `discharge-change`, `not-dispensed`, `no-known-allergy`, `severity`, `activity`,
    /// `advance-care`.
    pub kind: String,
    /// Substance, allergen, problem or document it is about.
    pub subject: String,
    /// What to know.
    pub text: String,
    /// What each source says, newest first.
    pub entries: Vec<ConflictEntry>,
}

/// One side of a conflict.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictEntry {
    /// Who says it.
    pub source: Source,
    /// FHIR resource type.
    pub resource_type: String,
    /// Logical id at the source.
    pub id: String,
    /// What.
    pub text: String,
    /// Status.
    pub status: Option<String>,
    /// Dose.
    pub dose: Option<String>,
    /// Severity.
    pub severity: Option<String>,
    /// Date (FHIR text).
    pub date: Option<String>,
    /// Date as shown.
    pub date_shown: String,
    /// Whether it is the newest; which is not the same as right.
    pub newest: bool,
}

/// What it means that a category has no rows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absence {
    /// The category.
    pub category: Category,
    /// `nothing-supplied` or `none-recorded`.
    pub kind: String,
    /// The sentence to show.
    pub text: String,
}

/// A warning with what it is about.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// `CW-H001`…, see [`Warning`].
    pub id: String,
    /// Its fixed text.
    pub text: String,
    /// What it is about here: sources, subjects; may be empty.
    pub about: String,
}

/// What is counted and not listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Entries marked as entered in error.
    pub entered_in_error: u32,
    /// Entries without a code, of which the role sees that they exist and no more.
    pub uncoded_not_shown: u32,
    /// Entries that could not be read.
    pub unreadable: u32,
    /// Entries outside the dates asked for.
    pub outside_period: u32,
    /// Entries about somebody else, rejected.
    pub about_somebody_else: u32,
}

/// An instant, written as RFC 3339 in UTC wherever it is serialised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub Timestamp);

/// Stands for the code of an organisation that would give a restricted patient's whereabouts away.
pub const WITHHELD: &str = "withheld";

impl View {
    /// The instant as shown to people in the view's zone: `02-Nov-2026 14:10 GMT`.
    #[must_use]
    pub fn shown(&self, moment: Moment) -> String {
        shown_in(moment.0, &self.zone)
    }

    /// Rows of a category, none when it has none.
    #[must_use]
    pub fn rows(&self, category: Category) -> &[Row] {
        self.categories.get(&category).map_or(&[], Vec::as_slice)
    }
}

impl Notice {
    /// The warning about this.
    #[must_use]
    pub fn new(warning: Warning, about: impl Into<String>) -> Self {
        Self { id: warning.id().to_owned(), text: warning.text().to_owned(), about: about.into() }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ods == WITHHELD { f.write_str(&self.name) } else { write!(f, "{} {}", self.ods, self.name) }
    }
}

/// An instant in a zone as people read it, `02-Nov-2026 14:10 GMT`; in UTC when the zone is not known.
#[must_use]
pub fn shown_in(at: Timestamp, zone: &str) -> String {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    jiff::Timestamp::from_millisecond(at.0)
        .map_or_else(|_| at.rfc3339(), |stamp| stamp.to_zoned(zone).strftime("%d-%b-%Y %H:%M %Z").to_string())
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0.rfc3339())
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        // An instant beyond the calendar is written as a count; it can only come from a source's false clock.
        let beyond = || text.strip_suffix(" ms")?.parse().ok().map(Timestamp);
        Timestamp::from_rfc3339(&text)
            .or_else(beyond)
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("expected an RFC 3339 instant"))
    }
}

macro_rules! hidden {
    ($($name:ident),+) => {
        $(impl fmt::Debug for $name {
            /// Record contents must not reach a log.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(hidden)"))
            }
        })+
    };
}
hidden!(
    View,
    PatientHeader,
    Deceased,
    KeyFacts,
    Fact,
    Row,
    Detail,
    Identifier,
    AlsoAt,
    Conflict,
    ConflictEntry,
    Absence,
    Notice
);

/// Name of a form as a row carries it.
#[must_use]
pub fn form_name(form: Form) -> &'static str {
    match form {
        Form::Full | Form::FullStripped => "full",
        Form::Summary | Form::SummaryStripped => "summary",
        Form::Essential | Form::EssentialStripped => "essential",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor;

    #[test]
    fn times_are_shown_in_the_local_zone_with_its_name() {
        for (text, zone, shown) in [
            ("2026-11-02T14:10:00Z", "Europe/London", "02-Nov-2026 14:10 GMT"),
            ("2026-07-02T14:10:00Z", "Europe/London", "02-Jul-2026 15:10 BST"),
            ("2026-07-02T14:10:00Z", "Nowhere/Atall", "02-Jul-2026 14:10 UTC"),
        ] {
            assert_eq!(shown_in(Timestamp::from_rfc3339(text).unwrap(), zone), shown);
        }
    }

    #[test]
    fn a_moment_keeps_its_value_through_the_wire_even_beyond_the_calendar() {
        for millis in [0, 1_793_628_600_123, -5, i64::MAX, i64::MIN] {
            let bytes = cbor::to_vec(&Moment(Timestamp(millis))).unwrap();
            assert_eq!(cbor::from_slice::<Moment>(&bytes, 64).unwrap(), Moment(Timestamp(millis)));
        }
    }

    #[test]
    fn debug_of_a_row_shows_nothing() {
        let detail = Detail { name: "diagnosis".into(), value: "secret".into() };
        assert_eq!(format!("{detail:?}"), "Detail(hidden)");
    }
}
