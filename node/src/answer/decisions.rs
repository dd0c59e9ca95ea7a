//! Decisions remembered: one depends only on the policy, the asker's column and the situation, never on a record or a patient,
//! so the same cell need not be asked of Cedar for every query.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use careweave_protocol::identity::StaffGroup;
use careweave_protocol::policy::{Access, Asker, Cell, Decision, DecisionKey, PolicyBundle, Situation};
use careweave_protocol::query::Purpose;
use careweave_protocol::record::Category;

/// Decisions kept: every cell of the table for a dozen situations; past it, all are forgotten and learnt again.
const KEPT: usize = 8_192;

/// Decisions of the one policy bundle a node runs.
#[derive(Debug, Default)]
pub struct Decisions {
    known: Mutex<HashMap<DecisionKey, Decision>>,
    /// At most one for each staff group and purpose.
    roles: Mutex<HashMap<(StaffGroup, Purpose), Arc<Role>>>,
}

/// What a staff group may do for a purpose, from the table alone.
#[derive(Debug)]
pub struct Role {
    /// Whether the purpose is granted at all.
    pub granted: bool,
    /// Categories closed to it, of those a view can show.
    pub cannot_see: Vec<Category>,
    /// Kinds of labelled record that break-glass would open to it and nothing else does.
    pub may_exist: Vec<&'static str>,
    /// Whether it sees nothing whatever.
    pub sees_nothing: bool,
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

    /// What a staff group may do for a purpose.
    #[must_use]
    pub fn role(&self, policy: &PolicyBundle, group: StaffGroup, purpose: Purpose) -> Arc<Role> {
        let mut roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        let role = roles.entry((group, purpose)).or_insert_with(|| {
            // What only a record that was sent opens is not closed: the reader would be told that they cannot see what is before them.
            let closed = |c: &Category| policy.may_see_when_sent(group, purpose, *c) == Access::None;
            let shown = |c: &Category| !matches!(c, Category::Other | Category::Experience);
            Arc::new(Role {
                granted: policy.purpose_granted(group, purpose),
                cannot_see: Category::ALL.iter().copied().filter(shown).filter(closed).collect(),
                may_exist: policy.may_exist(group, purpose),
                sees_nothing: Category::ALL.iter().all(closed),
            })
        });
        Arc::clone(role)
    }
}
