//! Which records: match the patient, decide per category and label, select from the header index. Reads no record.

use std::collections::{BTreeMap, HashMap, HashSet};

use careweave_protocol::audit::{AuditEntry, CellDecision, EntryKind};
use careweave_protocol::id::NhsNumber;
use careweave_protocol::identity::StaffCredential;
use careweave_protocol::limits::RECORDS_MAX;
use careweave_protocol::policy::{Access, Asker, Basis, Cell, Decision, Objection, Situation};
use careweave_protocol::query::{BreakGlassGrant, Query, Relationship};
use careweave_protocol::record::{Category, Form, Header, Labels, merkle};
use careweave_protocol::time::Timestamp;

use super::authenticate::{Asked, describe};
use super::header::Verdict;
use super::permit::{Grant, Selected};
use crate::audit::PatientAppend;
use crate::services::Services;
use crate::store::database::StoreError;
use crate::store::numbers::{self, Search};
use crate::store::patients::OpenPatient;
use crate::store::seal::SealingKey;
use crate::store::{exceptions, records};
use crate::view::matching::Doubt;

/// What is asked, by whom, on what grounds.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The person's question.
    pub query: &'a Query,
    /// The person.
    pub credential: &'a StaffCredential,
    /// Relationships that hold now.
    pub relationships: &'a [Relationship],
    /// Whether the person asks their own organisation.
    pub own: bool,
    /// The verified break-glass grant, where the query carries one.
    pub grant: Option<&'a BreakGlassGrant>,
}

/// Why nothing is given. Stays in the holder's own log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Withheld {
    /// Nobody with this number here.
    UnknownPatient,
    /// The number is held, but not safely by the person asked about.
    Doubtful(Doubt),
    /// The policy gives nothing of what is held.
    Policy(Basis),
    /// Allowed, but nothing is held of what was asked for.
    NothingHeld,
    /// Something of the patient does not open: cannot tell, so no.
    Unreadable,
}

/// How a patient stands with the holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// What they said about sharing.
    pub objection: Objection,
    /// Whether their death is recorded.
    pub deceased: bool,
    /// Whether their whereabouts are restricted.
    pub restricted: bool,
}

/// What was found and decided.
pub struct Judged {
    /// The patient and what may be read, when anything may.
    pub grant: Option<(OpenPatient, Grant)>,
    /// Why nothing is given, when nothing is.
    pub withheld: Option<Withheld>,
    /// Every decision, cell by cell.
    pub cells: Vec<CellDecision>,
    /// Policies that determined them.
    pub policies: Vec<String>,
    /// Categories asked for that the policy opens, whether or not anything is held.
    pub open: Vec<Category>,
    /// Records of each category.
    pub counts: BTreeMap<Category, u32>,
    /// Bytes of all bodies.
    pub bytes: u64,
    /// Whether the asker's budget ended before the records did.
    pub partial: bool,
    /// Whether somebody should look at this access.
    pub alert: bool,
    /// Up to when the feed is complete.
    pub data_to: Option<Timestamp>,
    /// Medicines that the guardian's signed exception hides from this asker.
    pub medicines_not_shown: u32,
    /// Open records left out because of the dates asked for.
    pub outside_period: u32,
    /// How the patient stands, where one was found: objection, death, restricted whereabouts.
    pub standing: Option<Standing>,
    patient_key: Option<SealingKey>,
    /// Under which numbers the one found is held, the row whose key that is first; none where nobody was found.
    served: Vec<NhsNumber>,
}

/// As [`judge`], for another organisation: a row that does not open is one more reason to give nothing. An error would tell that
/// there is such a patient.
///
/// # Errors
/// When the store fails altogether.
pub fn judge_for_another(services: &Services, question: &Question<'_>, budget: u64) -> Result<Judged, StoreError> {
    let data_to = records::data_to(&services.database)?;
    Ok(judge(services, question, budget).unwrap_or_else(|error| {
        tracing::error!(%error, "a query was refused because something held does not open");
        Judged { withheld: Some(Withheld::Unreadable), ..Judged::nothing(data_to) }
    }))
}

/// Matches, decides and selects.
///
/// # Errors
/// When the store fails. A refusal is not an error.
pub fn judge(services: &Services, question: &Question<'_>, budget: u64) -> Result<Judged, StoreError> {
    let mut judged = Judged::nothing(records::data_to(&services.database)?);
    let patient = match find(services, question)? {
        Ok(patient) => patient,
        Err(withheld) => {
            judged.withheld = Some(withheld);
            return Ok(judged);
        }
    };
    judged.patient_key = Some(patient.data_key.clone());
    judged.served = patient.parts().map(|part| part.demographics.nhs_number).collect();
    judged.standing = Some(Standing {
        objection: patient.objection(),
        deceased: patient.demographics.deceased.is_some(),
        restricted: patient.demographics.restricted,
    });

    let asker = Asker {
        group: question.credential.group,
        ods: question.credential.ods.clone(),
        own_organisation: question.own,
    };
    let situation = Situation {
        purpose: question.query.purpose,
        relationships: question.relationships.to_vec(),
        objection: patient.objection(),
        deceased: patient.demographics.deceased.is_some(),
        last_treating: last_treating(question.own, question.relationships),
        break_glass: question.grant.map(|grant| grant.categories.iter().copied().collect()),
        case_number: question.query.case_number.is_some(),
    };
    let mut decided: HashMap<(Category, Labels, bool), Decision> = HashMap::new();
    let mut selected = Vec::new();
    let mut refused = None;
    let headers = records::headers(&services.database, &patient)?;
    // What the guardian hides, the own people still see.
    let hidden = match question.own {
        true => HashSet::new(),
        false => exceptions::hidden(&services.database, &patient, &headers, services.clock.now())?,
    };
    for indexed in headers {
        let header = &indexed.header;
        if !question.query.wants(header.category) {
            continue;
        }
        let sent = header.sent_to.contains(&asker.ods);
        let decision = decided.entry((header.category, header.labels, sent)).or_insert_with(|| {
            let cell = Cell { sent_to_asker: sent, ..Cell::new(header.category, header.labels) };
            services.decisions.decide(&services.policy, &asker, &situation, &cell)
        });
        let Some(form) = form_for(decision.access, header, patient.demographics.restricted) else {
            refused.get_or_insert(decision.basis);
            continue;
        };
        let Some(hash) = header.form(form) else { continue };
        if !in_period(question, header) {
            judged.outside_period = judged.outside_period.saturating_add(1);
            continue;
        }
        if header.category == Category::Medications && hidden.contains(&indexed.place) {
            judged.medicines_not_shown = judged.medicines_not_shown.saturating_add(1);
            continue;
        }
        if judged.bytes.saturating_add(u64::from(hash.bytes)) > budget || selected.len() >= RECORDS_MAX as usize {
            judged.partial = true;
            break;
        }
        judged.bytes = judged.bytes.saturating_add(u64::from(hash.bytes));
        *judged.counts.entry(header.category).or_insert(0) += 1;
        let category = header.category;
        let taken_in = header.imported;
        selected.push(Selected { place: indexed.place, category, form, taken_in, leaf: hash.leaf, bytes: hash.bytes });
    }
    judged.open = open(services, &asker, &situation, question.query);
    judged.note(decided);
    // Where all that is open is hidden, the asker is still told so: an answer of no records that says how many medicines are not shown.
    // Nothing shareable would hide that something may interact.
    if selected.is_empty() && judged.medicines_not_shown == 0 {
        judged.withheld = Some(refused.map_or(Withheld::NothingHeld, Withheld::Policy));
        judged.alert = false;
    } else {
        let leaves: Vec<_> = selected.iter().map(|s| s.leaf).collect();
        let root = merkle::root(&leaves);
        judged.grant = Some((patient.clone(), Grant { patient: patient.key, selected, root }));
    }
    Ok(judged)
}

/// The one patient here who is certainly the one asked about.
fn find(services: &Services, question: &Question<'_>) -> Result<Result<OpenPatient, Withheld>, StoreError> {
    let mut asked = question.query.patient.clone();
    if question.grant.is_some() {
        // A grant is signed for one number. Whoever else that is, the own records must say.
        asked.other_numbers.clear();
    }
    Ok(match numbers::search(&services.database, &asked)? {
        Search::One(patient) => Ok(*patient),
        Search::NotHeld => Err(Withheld::UnknownPatient),
        Search::Doubtful(doubt) => Err(Withheld::Doubtful(doubt)),
    })
}

/// Whether the asking organisation counts as one of those that treated the patient last, which matters after death: the holder
/// itself, and whoever the patient was registered with, staying with or in the open care of.
#[must_use]
pub fn last_treating(own: bool, relationships: &[Relationship]) -> bool {
    let treats = |r: &Relationship| {
        matches!(r, Relationship::RegisteredPractice | Relationship::OpenEpisode | Relationship::Residency)
    };
    own || relationships.iter().any(treats)
}

/// Categories asked for in which an unlabelled record would be given.
fn open(services: &Services, asker: &Asker, situation: &Situation, query: &Query) -> Vec<Category> {
    let opened = |category: &Category| {
        let cell = Cell::new(*category, Labels::NONE);
        services.decisions.decide(&services.policy, asker, situation, &cell).access > Access::None
    };
    Category::ALL.iter().copied().filter(|c| query.wants(*c)).filter(opened).collect()
}

fn in_period(question: &Question<'_>, header: &Header) -> bool {
    let period = &question.query.period;
    Category::SAFETY.contains(&header.category) || header.overlaps(period.since, period.until)
}

/// The stored form for what was decided; whereabouts of a restricted patient leave in no form.
fn form_for(access: Access, header: &Header, restricted: bool) -> Option<Form> {
    let form = match access {
        Access::None => return None,
        Access::Summary => Form::Summary,
        Access::Full => Form::Full,
        Access::Essential if header.form(Form::Essential).is_some() => Form::Essential,
        Access::Essential => Form::Summary,
    };
    Some(if restricted { form.stripped() } else { form })
}

impl Judged {
    fn nothing(data_to: Option<Timestamp>) -> Self {
        Self {
            grant: None,
            withheld: None,
            cells: Vec::new(),
            policies: Vec::new(),
            open: Vec::new(),
            counts: BTreeMap::new(),
            bytes: 0,
            partial: false,
            alert: false,
            data_to,
            medicines_not_shown: 0,
            outside_period: 0,
            standing: None,
            patient_key: None,
            served: Vec::new(),
        }
    }

    fn note(&mut self, decided: HashMap<(Category, Labels, bool), Decision>) {
        for ((category, labels, sent), decision) in decided {
            self.alert |= decision.alert && decision.access > Access::None;
            self.policies.extend(decision.policies.iter().cloned());
            self.cells.push(CellDecision { category, labels, sent, access: decision.access.as_str().to_owned() });
        }
        self.cells.sort_by_key(|c| (c.category, c.labels, c.sent));
        self.policies.sort();
        self.policies.dedup();
    }

    /// Whether the patient's whereabouts are restricted.
    #[must_use]
    pub fn restricted(&self) -> bool {
        self.standing.is_some_and(|s| s.restricted)
    }

    /// Whether the holder's own records need somebody's attention.
    #[must_use]
    pub fn data_quality(&self) -> bool {
        matches!(self.withheld, Some(Withheld::Doubtful(_) | Withheld::Unreadable))
    }

    /// The true cause, for the own log.
    #[must_use]
    pub fn cause_name(&self) -> Option<String> {
        self.withheld.as_ref().map(|withheld| match withheld {
            Withheld::UnknownPatient => "unknown-patient".to_owned(),
            Withheld::Doubtful(doubt) => format!("not-matched: {doubt}"),
            Withheld::Policy(basis) => basis.as_str().to_owned(),
            Withheld::NothingHeld => "nothing-held".to_owned(),
            Withheld::Unreadable => "unreadable".to_owned(),
        })
    }

    /// The DECISION as it will stand in the log.
    #[must_use]
    pub fn entry(&self, services: &Services, question: &Question<'_>, verdict: &Verdict, now: Timestamp) -> AuditEntry {
        let outcome = super::outcome_name(&verdict.outcome);
        let mut entry = AuditEntry::new(EntryKind::Decision, now, services.config.ods.clone(), outcome);
        describe(&mut entry, question.query, question.credential);
        entry.holder = Some(services.config.ods.clone());
        entry.evidence = question.relationships.to_vec();
        entry.cause = self.cause_name();
        // Here and not as an ALERT of its own: the asker sees in its receipts how the log grows, and two entries would tell a near
        // miss from a stranger.
        let hidden = self.medicines_not_shown;
        entry.detail = match self.data_quality() {
            true => Some("data-quality".to_owned()),
            false => (hidden > 0).then(|| format!("medicines not shown: {hidden}")),
        };
        entry.policy = Some(services.policy.digest());
        entry.policy_ids.clone_from(&self.policies);
        entry.cells.clone_from(&self.cells);
        entry.objection = self.standing.map(|s| s.objection.as_str().to_owned());
        entry.deceased = self.standing.is_some_and(|s| s.deceased);
        entry.grant = question.grant.map(|grant| grant.id);
        entry.granted = question.grant.map(|grant| grant.categories.clone()).unwrap_or_default();
        entry.root = Some(verdict.root);
        entry.counts.clone_from(&self.counts);
        entry.bytes = self.bytes;
        entry.commitment_salt = Some(verdict.salt);
        services.note_trust(&mut entry, now);
        entry
    }

    /// The part of the entry that is about the patient, under the patient's own key where there is one.
    #[must_use]
    pub fn patient_append(&self, asked: &Asked) -> Option<PatientAppend> {
        Some(self.patient_part(asked.query.get(), None))
    }

    /// As [`Judged::patient_append`], with the free-text reason that only the asker's own log keeps.
    #[must_use]
    pub fn patient_part(&self, query: &Query, reason_text: Option<String>) -> PatientAppend {
        let (number, also) = trails(&self.served, query.patient.nhs_number);
        PatientAppend { number, also, key: self.patient_key.clone(), reason_text }
    }
}

/// Under which number an entry stands, and under which others it is found: those that were served, and not only the one asked about, so
/// that each of the person's trails shows it.
fn trails(served: &[NhsNumber], asked: NhsNumber) -> (NhsNumber, Vec<NhsNumber>) {
    let number = served.first().copied().unwrap_or(asked);
    let mut also: Vec<NhsNumber> = served.iter().copied().chain([asked]).filter(|other| *other != number).collect();
    also.sort_unstable();
    also.dedup();
    (number, also)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_stands_under_the_number_that_was_served_and_is_found_under_every_other() {
        let [ada, ben]: [NhsNumber; 2] = ["9990010013", "9990133484"].map(|number| number.parse().unwrap());
        assert_eq!(trails(&[], ada), (ada, vec![]));
        assert_eq!(trails(&[ada, ada], ada), (ada, vec![]), "two rows under one number");
        assert_eq!(trails(&[ben], ada), (ben, vec![ada]), "another number's patient was served");
        assert_eq!(trails(&[ada, ben, ben], ada), (ada, vec![ben]));
    }
}
