//! When a key or certificate changes: `Prepared → Active → Retired`, pure over times. The node's timer only calls it, and a person's order only
//! brings the next step forward.
//!
//! A successor is prepared at half of the life of what is in use, announced at once, put in use when a sixth of that life is left, and
//! the predecessor is accepted until the overlap is over; then its private key is destroyed. `Tainted` is a state of authorities alone
//! ([`crate::manifest::AuthorityState`]): what is tainted is not rotated but refused.

use std::collections::BTreeMap;
use std::time::Duration;

use careweave_protocol::desk::{RotationPart, RotationState};
use careweave_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

/// From when to when something holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// When it was made.
    pub issued_at: Timestamp,
    /// When it ends; `None` for a key that has no end of its own.
    pub not_after: Option<Timestamp>,
}

/// Where one part stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// A successor is made; its predecessor signs.
    Prepared {
        /// When it was.
        since: Timestamp,
    },
    /// The successor signs; its predecessor is accepted until the overlap is over.
    Overlap {
        /// When the successor was put in use.
        since: Timestamp,
        /// When the predecessor may be retired at the earliest.
        until: Timestamp,
    },
}

/// Where every part stands that is being changed; a part that is not named is simply active.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotations(pub BTreeMap<RotationPart, Stage>);

/// The next step that time alone asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// None yet.
    Nothing,
    /// Make a successor and announce it.
    Prepare,
    /// Put the successor in use.
    Activate,
    /// End the overlap and destroy the predecessor.
    Retire,
}

/// The longest file of [`Rotations`].
pub const ROTATIONS_MAX: usize = 4_096;

impl Life {
    /// When a successor is to be prepared: half of the life.
    #[must_use]
    pub fn prepare_at(&self) -> Option<Timestamp> {
        Some(self.issued_at.after(self.span()? / 2))
    }

    /// When the successor is to be put in use: a sixth of the life before its end.
    #[must_use]
    pub fn activate_at(&self) -> Option<Timestamp> {
        Some(self.not_after?.before(self.span()? / 6))
    }

    fn span(&self) -> Option<Duration> {
        Some(self.not_after?.since(self.issued_at))
    }
}

impl Stage {
    /// The step that time asks for, given the life of what was in use when the rotation began.
    #[must_use]
    pub fn due(stage: Option<&Self>, active: Life, now: Timestamp) -> Due {
        let reached = |at: Option<Timestamp>| at.is_some_and(|at| now >= at);
        match stage {
            None if reached(active.prepare_at()) => Due::Prepare,
            Some(Self::Prepared { .. }) if reached(active.activate_at()) => Due::Activate,
            Some(Self::Overlap { until, .. }) if now >= *until => Due::Retire,
            _ => Due::Nothing,
        }
    }

    /// When [`Stage::due`] will ask for something, where that is known.
    #[must_use]
    pub fn next_step(stage: Option<&Self>, active: Life) -> Option<Timestamp> {
        match stage {
            None => active.prepare_at(),
            Some(Self::Prepared { .. }) => active.activate_at(),
            Some(Self::Overlap { until, .. }) => Some(*until),
        }
    }

    /// As the desk says it.
    #[must_use]
    pub fn state(stage: Option<&Self>) -> RotationState {
        match stage {
            None => RotationState::Active,
            Some(Self::Prepared { .. }) => RotationState::Prepared,
            Some(Self::Overlap { .. }) => RotationState::Overlap,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn day(number: i64) -> Timestamp {
        Timestamp(number * DAY)
    }

    #[test]
    fn a_certificate_of_ninety_days_is_prepared_at_45_activated_at_75_and_retired_when_the_overlap_is_over() {
        let life = Life { issued_at: day(0), not_after: Some(day(90)) };
        let prepared = Stage::Prepared { since: day(45) };
        let overlap = Stage::Overlap { since: day(75), until: day(76) };
        for (stage, at, expected) in [
            (None, Timestamp(45 * DAY - 1), Due::Nothing),
            (None, day(45), Due::Prepare),
            // However late: what was missed is done in order, one step at a time.
            (None, day(89), Due::Prepare),
            (Some(&prepared), Timestamp(75 * DAY - 1), Due::Nothing),
            (Some(&prepared), day(75), Due::Activate),
            (Some(&prepared), day(400), Due::Activate),
            (Some(&overlap), Timestamp(76 * DAY - 1), Due::Nothing),
            (Some(&overlap), day(76), Due::Retire),
        ] {
            assert_eq!(Stage::due(stage, life, at), expected, "{stage:?} at {at:?}");
        }
    }

    #[test]
    fn a_key_without_an_end_changes_only_when_somebody_says_so_and_its_overlap_ends_by_itself() {
        let life = Life { issued_at: day(0), not_after: None };
        assert_eq!(Stage::due(None, life, day(10_000)), Due::Nothing);
        assert_eq!(Stage::due(Some(&Stage::Prepared { since: day(0) }), life, day(10_000)), Due::Nothing);
        let overlap = Stage::Overlap { since: day(0), until: day(1) };
        assert_eq!(Stage::due(Some(&overlap), life, day(1)), Due::Retire);
        assert_eq!(Stage::next_step(Some(&overlap), life), Some(day(1)));
    }
}
