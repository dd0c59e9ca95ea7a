//! Break-glass: what a person signs with their step-up key to open one patient's B cells for a short while.

use serde::{Deserialize, Serialize};

use crate::id::{Digest, NetworkId, NhsNumber, OdsCode, PersonId, QueryId};
use crate::limits::BREAK_GLASS_LIFE;
use crate::record::Category;
use crate::signed::Document;
use crate::time::Timestamp;

/// COSE_Sign1 by the step-up key in the person's staff credential ([`crate::identity::StaffCredential::step_up`]).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakGlassGrant {
    /// The network.
    pub network: NetworkId,
    /// Its own id: one grant may serve several queries, and is one review.
    pub id: QueryId,
    /// The person's organisation.
    pub ods: OdsCode,
    /// The person.
    pub person: PersonId,
    /// The one patient.
    pub nhs_number: NhsNumber,
    /// Categories it opens; at least one.
    pub categories: Vec<Category>,
    /// Coded reason.
    pub reason: String,
    /// SHA-256 of the free text, which stays in the asker's own log.
    pub reason_text: Digest,
    /// From when.
    pub issued_at: Timestamp,
    /// Until when; at most [`BREAK_GLASS_LIFE`] later.
    pub expires_at: Timestamp,
}

impl Document for BreakGlassGrant {
    const CONTEXT: &'static str = "careweave break-glass grant 1";
}

impl std::fmt::Debug for BreakGlassGrant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BreakGlassGrant({}, patient hidden)", self.id)
    }
}

impl BreakGlassGrant {
    /// Whether it runs at this instant: begun, not over, and not longer than a grant may be.
    #[must_use]
    pub fn runs(&self, now: Timestamp) -> bool {
        self.issued_at <= now.after(crate::limits::CLOCK_SKEW)
            && now < self.expires_at
            && self.expires_at <= self.issued_at.after(BREAK_GLASS_LIFE)
    }
}
