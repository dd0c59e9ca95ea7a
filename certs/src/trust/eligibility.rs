//! Whether an organisation and a person may be answered for a purpose now, as far as standing goes. What they may then see is
//! policy, and not here.

use careweave_protocol::id::{NodeKey, OdsCode};
use careweave_protocol::identity::{Attestation, StaffCredential};
use careweave_protocol::query::{Cause, Purpose};
use careweave_protocol::signed::Verified;
use careweave_protocol::time::Timestamp;

use super::{PeerIdentity, Trust};
use crate::manifest::RolloutStage;
use crate::{attest, staff};

/// A verdict on standing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eligibility {
    /// Why not, when not.
    pub refused: Option<Cause>,
    /// What an urgent purpose went on in spite of: each is an alert.
    pub alerts: Vec<Cause>,
}

impl Eligibility {
    /// Whether nothing stands in the way.
    #[must_use]
    pub fn is_eligible(&self) -> bool {
        self.refused.is_none()
    }

    fn refused(cause: Cause) -> Self {
        Self { refused: Some(cause), alerts: Vec::new() }
    }
}

impl Trust {
    /// Checks another organisation's node and the person who asks through it.
    #[must_use]
    pub fn check_eligibility(
        &self,
        peer: &PeerIdentity,
        credential: &StaffCredential,
        purpose: Purpose,
        now: Timestamp,
    ) -> Eligibility {
        self.check_standing((peer.ods(), Some(peer.node())), peer.attestations(), Some(credential), purpose, now)
    }

    /// Checks an organisation, perhaps the own one, and a person where there is one.
    ///
    /// A suspension, and anything that knows of no end, refuses every purpose. A lapsed standard, agreement or training and an
    /// expired manifest refuse all but emergency and break-glass, which go on with an alert. What is held here being too old
    /// refuses each purpose past its own limit; urgent ones alert once care would be refused.
    #[must_use]
    pub fn check_standing(
        &self,
        organisation: (&OdsCode, Option<NodeKey>),
        attestations: &[Verified<Attestation>],
        credential: Option<&StaffCredential>,
        purpose: Purpose,
        now: Timestamp,
    ) -> Eligibility {
        let (ods, node) = organisation;
        if self.member(ods).is_none() {
            return Eligibility::refused(Cause::NotAMember);
        }
        if self.is_suspended(ods, node, now) {
            return Eligibility::refused(Cause::Suspended);
        }
        let stage = self.member(ods).map(|m| m.stage);
        if let Some(stage @ RolloutStage::Planned) = stage {
            return Eligibility::refused(Cause::NotLive(stage.as_str().to_owned()));
        }
        let limits = &self.manifest().staleness;
        let (as_of, age) = (self.current_as_of(), now.since(self.current_as_of()));
        let stale = Cause::BeaconStale(Some(as_of));
        if age > limits.for_purpose(purpose) {
            return Eligibility::refused(stale);
        }
        let mut lapses = Vec::new();
        if now >= self.manifest().expires {
            lapses.push(Cause::ManifestExpired);
        }
        if purpose.is_urgent() && age > limits.for_purpose(Purpose::Treat) {
            lapses.push(stale);
        }
        lapses.extend(attest::lapses(attestations, self.manifest().minimum_standard, now));
        lapses.extend(credential.and_then(|c| staff::training_lapse(c, now)));
        if purpose.is_urgent() {
            Eligibility { refused: None, alerts: lapses }
        } else {
            Eligibility { refused: lapses.into_iter().next(), alerts: Vec::new() }
        }
    }
}
