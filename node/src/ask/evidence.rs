//! On what grounds we ask: relationships read from our own records and registers, for which we answer with our signature.

use careweave_protocol::limits::EVIDENCE_MAX;
use careweave_protocol::query::{Evidence, Patient, Purpose, Query, Relationship};
use careweave_protocol::time::Timestamp;

use super::may_self_claim;
use crate::services::Services;
use crate::store::database::StoreError;
use crate::store::numbers::{self, Search};
use crate::store::{records, residents};

/// The evidence for one view.
#[derive(Debug, Clone, Default)]
pub struct Grounds {
    /// As it goes into the envelopes.
    pub items: Vec<Evidence>,
}

impl Grounds {
    /// The kinds, each once.
    #[must_use]
    pub fn kinds(&self) -> Vec<Relationship> {
        let mut kinds: Vec<_> = self.items.iter().map(|e| e.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    /// Whether there is nothing but the asker's word.
    #[must_use]
    pub fn is_self_claimed(&self) -> bool {
        self.items.iter().any(|e| e.kind == Relationship::SelfClaimed)
    }
}

/// What our own records say about this patient and us; in an emergency, the asker's word where they say nothing.
///
/// # Errors
/// When the store fails.
pub fn derive(services: &Services, query: &Query, now: Timestamp) -> Result<Grounds, StoreError> {
    let database = &services.database;
    let mut items = Vec::new();
    // Under other numbers only as far as our own records link them: one that merely stands in the question could be a namesake's.
    let asked = Patient { other_numbers: Vec::new(), ..query.patient.clone() };
    if let Search::One(patient) = numbers::search(database, &asked)? {
        items = records::relationships(database, &patient, &services.config.ods, now)?;
        // The register is kept by the people who see who lives there; an EpisodeOfCare that nobody closed must not keep the door open
        // after they wrote that somebody has left. So where the register has a line for the person, it alone speaks of residency.
        if let Some(stays) = residents::residency(database, &patient, now)? {
            items.retain(|item| item.kind != Relationship::Residency);
            items.extend(stays);
        }
    }
    items.retain(|e| e.holds(now));
    items.truncate(EVIDENCE_MAX);
    if items.is_empty() && may_self_claim(query.purpose) {
        let basis = "the asker's word in an emergency".to_owned();
        items.push(Evidence { kind: Relationship::SelfClaimed, since: now, until: None, basis });
    }
    Ok(Grounds { items })
}

/// Whether a question for this purpose is answered because of such a relationship, so that it ends with it. Direct care and coordination
/// need one; what an emergency, break-glass or a governance case opens, it opens without.
#[must_use]
pub fn rests_on(purpose: Purpose, kind: Relationship) -> bool {
    match purpose {
        Purpose::Treat => kind != Relationship::SelfClaimed,
        Purpose::Coc => matches!(kind, Relationship::Meeting | Relationship::Referral),
        _ => false,
    }
}
