//! On what grounds we ask: relationships read from our own records, for which we answer with our signature.

use careweave_protocol::limits::EVIDENCE_MAX;
use careweave_protocol::query::{Evidence, Query, Relationship};
use careweave_protocol::time::Timestamp;

use super::may_self_claim;
use crate::services::Services;
use crate::store::database::StoreError;
use crate::store::{patients, records};
use crate::view::matching::{Located, locate};

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
    let candidates = patients::find(&services.database, &query.patient.nhs_number)?;
    let demographics: Vec<_> = candidates.iter().map(|c| c.demographics.clone()).collect();
    let mut items = Vec::new();
    if let Located::One(index) = locate(&query.patient, &demographics)
        && let Some(patient) = candidates.get(index)
    {
        items = records::relationships(&services.database, patient, &services.config.ods, now)?;
        items.retain(|e| e.holds(now));
        items.truncate(EVIDENCE_MAX);
    }
    if items.is_empty() && may_self_claim(query.purpose) {
        let basis = "the asker's word in an emergency".to_owned();
        items.push(Evidence { kind: Relationship::SelfClaimed, since: now, until: None, basis });
    }
    Ok(Grounds { items })
}
