//! Decisions remembered: one depends only on the policy, the asker's column and the situation, never on a record or a patient,
//! so the same cell need not be asked of Cedar for every query.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use careweave_protocol::policy::{Asker, Cell, Decision, DecisionKey, PolicyBundle, Situation};

/// Decisions kept: every cell of the table for a dozen situations; past it, all are forgotten and learnt again.
const KEPT: usize = 8_192;

/// Decisions of the one policy bundle a node runs.
#[derive(Debug, Default)]
pub struct Decisions {
    known: Mutex<HashMap<DecisionKey, Decision>>,
}

impl Decisions {
    /// The decision for one cell.
    #[must_use]
    pub fn decide(&self, policy: &PolicyBundle, asker: &Asker, situation: &Situation, cell: &Cell) -> Decision {
        let key = policy.key(asker, situation, cell);
        if let Some(decision) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return decision.clone();
        }
        let decision = policy.decide(asker, situation, cell);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(key, decision.clone());
        decision
    }
}
