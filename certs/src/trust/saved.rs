//! Trust at rest: one CBOR file. Reading it verifies the chain again from its first manifest, and every notice.

use careweave_protocol::cbor;
use careweave_protocol::id::{Digest, NodeKey, OdsCode};
use careweave_protocol::identity::{KeyEndorsement, StaffRevocation};
use careweave_protocol::key::PublicKey;
use careweave_protocol::limits::CLOCK_SKEW;
use careweave_protocol::signed::{MultiSigned, Signed};
use careweave_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Trust, TrustError};
use crate::manifest::{Beacon, Manifest, Suspension};
use crate::revocation;

#[derive(Serialize, Deserialize)]
struct Saved {
    chain: Vec<MultiSigned<Manifest>>,
    suspensions: Vec<Signed<Suspension>>,
    revocations: Vec<(Signed<StaffRevocation>, PublicKey)>,
    beacons: Vec<Signed<Beacon>>,
    endorsements: Vec<Signed<KeyEndorsement>>,
    retired: Vec<SavedRetirement>,
    confirmed: Option<Timestamp>,
}

/// Whose endpoint, which, under which organisation key it was said, from when it is refused, and when that may be forgotten.
type SavedRetirement = (OdsCode, NodeKey, Digest, Timestamp, Timestamp);

/// Longest saved trust: as long as an enrolment, and the notices.
pub const TRUST_MAX: usize = crate::enrolment::ENROLMENT_MAX + 64 * 1024 * 1024;

impl Trust {
    /// The saved form.
    ///
    /// # Errors
    /// When it cannot be encoded, which no trust causes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, TrustError> {
        let saved = Saved {
            chain: self.chain.clone(),
            suspensions: self.suspensions().cloned().collect(),
            revocations: self.revocations().map(|(list, key)| (list.clone(), key.clone())).collect(),
            beacons: self.beacons().cloned().collect(),
            endorsements: self.endorsements().cloned().collect(),
            retired: self
                .retired
                .iter()
                .flat_map(|((ods, node), by)| {
                    by.iter().map(|(signer, (from, forget))| (ods.clone(), *node, *signer, *from, *forget))
                })
                .collect(),
            confirmed: self.confirmed,
        };
        Ok(cbor::to_vec(&saved)?)
    }

    /// Reads the saved form. Notices that no longer count (over, their signer gone) are left out.
    ///
    /// # Errors
    /// When the chain does not verify from its first manifest on, or a revocation list does not under the key beside it.
    pub fn from_bytes(bytes: &[u8], now: Timestamp) -> Result<Self, TrustError> {
        let saved: Saved = cbor::from_slice(bytes, TRUST_MAX)?;
        // What was believed once stays believed, by a clock that was put back as well.
        let mut trust = Self::follow(saved.chain, None, now, Timestamp(i64::MAX))?;
        for suspension in saved.suspensions {
            // Refused only when its life is over; then it has no effect either way.
            drop(trust.accept_suspension(suspension, now));
        }
        for (list, key) in saved.revocations {
            let ods = list.unverified()?.ods;
            let verified = revocation::verify(&list, trust.network(), &ods, &key)?;
            trust.revocations.insert(ods, (verified, key));
        }
        for beacon in saved.beacons {
            // Not reviewed: whose trust this is, and so which beacon is its own, is said later. What they confirmed is saved beside them.
            if let Ok(verified) = trust.verify_beacon(&beacon)
                && verified.get().time <= now.after(CLOCK_SKEW)
            {
                trust.beacons.insert(verified.get().ods.clone(), verified);
            }
        }
        for endorsement in saved.endorsements {
            // Refused when its life is over or its signer no longer pinned; then it has no effect either way.
            drop(trust.accept_endorsement(&endorsement, now));
        }
        for (ods, node, signer, from, forget) in saved.retired.into_iter().filter(|saved| saved.4 > now) {
            trust.retired.entry((ods, node)).or_default().insert(signer, (from, forget));
        }
        trust.confirmed = trust.confirmed.max(saved.confirmed);
        Ok(trust)
    }
}
