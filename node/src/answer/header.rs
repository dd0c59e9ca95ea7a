//! The signed answer header, which is the receipt, and the one face of every refusal that must not tell.

use std::collections::BTreeMap;
use std::time::Duration;

use careweave_protocol::id::{Digest, QueryId, Salt};
use careweave_protocol::limits::{REFUSAL_BUCKET, REFUSAL_TICK};
use careweave_protocol::query::{AnswerFrame, AnswerHeader, AnswerOutcome, Cause, InclusionProof};
use careweave_protocol::record::{Category, merkle};
use careweave_protocol::signed::{Scope, Signed, SignedError};
use careweave_protocol::time::Timestamp;
use serde_bytes::ByteBuf;
use tokio::time::Instant;

use super::AnswerError;
use super::authenticate::Asked;
use super::judge::Judged;
use crate::audit::AppendReceipt;
use crate::net::gate::NodeSession;
use crate::services::Services;
use crate::store::database::StoreError;

/// Padding is at least this long, so that its own length always takes the same bytes and one look is enough.
const PADDING_MIN: usize = 256;
/// What the header grows by when the padding's length is written in three bytes instead of one (RFC 8949 §3).
const LENGTH_FIELD: usize = 2;

/// What the header says was decided.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The outcome on the wire.
    pub outcome: AnswerOutcome,
    /// Records that follow.
    pub records: u32,
    /// Bytes that follow.
    pub bytes: u64,
    /// Records of each category.
    pub counts: BTreeMap<Category, u32>,
    /// Merkle root over their leaves.
    pub root: Digest,
    /// Up to when the feed is complete.
    pub data_to: Option<Timestamp>,
    /// Categories that the policy opens to the asker.
    pub open: Vec<Category>,
    /// Medicines that the guardian's exception hides from the asker.
    pub medicines_not_shown: u32,
    /// Open records left out because of the dates asked for.
    pub outside_period: u32,
    /// Salt of the commitment to the true cause.
    pub salt: Salt,
    cause: String,
    padded: bool,
}

impl Verdict {
    /// What was judged, as far as the asker may know.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn of(judged: &Judged) -> Result<Self, StoreError> {
        let selected = judged.grant.as_ref().map_or(&[][..], |(_, grant)| &grant.selected);
        let outcome = match (judged.grant.is_none(), judged.partial) {
            (true, _) => AnswerOutcome::NothingShareable,
            (false, true) => AnswerOutcome::Partial,
            (false, false) => AnswerOutcome::Answered,
        };
        let given = outcome != AnswerOutcome::NothingShareable;
        Ok(Self {
            outcome,
            records: u32::try_from(selected.len()).unwrap_or(u32::MAX),
            bytes: if given { judged.bytes } else { 0 },
            counts: if given { judged.counts.clone() } else { BTreeMap::new() },
            root: judged.grant.as_ref().map_or_else(|| merkle::root(&[]), |(_, grant)| grant.root),
            data_to: judged.data_to,
            open: if given { judged.open.clone() } else { Vec::new() },
            medicines_not_shown: if given { judged.medicines_not_shown } else { 0 },
            outside_period: if given { judged.outside_period } else { 0 },
            salt: crate::audit::fresh_salt()?,
            cause: judged.cause_name().unwrap_or_default(),
            padded: false,
        })
    }

    /// A refusal whose cause is about the asker, and told.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn refused(cause: Cause) -> Result<Self, StoreError> {
        Ok(Self {
            cause: cause.to_string(),
            outcome: AnswerOutcome::Refused(cause),
            records: 0,
            bytes: 0,
            counts: BTreeMap::new(),
            root: merkle::root(&[]),
            data_to: None,
            open: Vec::new(),
            medicines_not_shown: 0,
            outside_period: 0,
            salt: crate::audit::fresh_salt()?,
            padded: false,
        })
    }

    /// Asks for padding up to a multiple of [`REFUSAL_BUCKET`].
    pub fn fill_refusal_bucket(&mut self) {
        self.padded = true;
    }

    /// SHA-256 of salt and true cause: what governance opens with the log in hand.
    #[must_use]
    pub fn commitment(&self) -> Digest {
        Digest::of(&[self.salt.as_bytes(), self.cause.as_bytes()])
    }
}

/// The header frame for a question that verified.
///
/// # Errors
/// When the node key cannot sign.
pub fn frame(
    services: &Services,
    session: &NodeSession,
    asked: &Asked,
    verdict: &Verdict,
    receipt: &AppendReceipt,
    now: Timestamp,
) -> Result<Vec<u8>, SignedError> {
    let query_id = Some(asked.query.get().query_id);
    frame_for(services, session, asked.envelope.signed().digest(), query_id, verdict, receipt, now)
}

/// The header frame for an envelope that may not have been believed.
///
/// # Errors
/// When the node key cannot sign.
pub fn frame_for(
    services: &Services,
    session: &NodeSession,
    envelope: Digest,
    query_id: Option<QueryId>,
    verdict: &Verdict,
    receipt: &AppendReceipt,
    now: Timestamp,
) -> Result<Vec<u8>, SignedError> {
    let log = (receipt.leaf(), receipt.proof().clone(), receipt.checkpoint().to_owned());
    build(services, session, (envelope, query_id), verdict, log, now)
}

/// The header frame when the log cannot be written: it says just that, and proves nothing.
///
/// # Errors
/// When the node key cannot sign.
pub fn unlogged(
    services: &Services,
    session: &NodeSession,
    cause: Cause,
    now: Timestamp,
) -> Result<Vec<u8>, AnswerError> {
    let none = InclusionProof { index: 0, size: 0, path: Vec::new() };
    let nothing = Digest([0; 32]);
    let verdict = Verdict::refused(cause)?;
    Ok(build(services, session, (nothing, None), &verdict, (nothing, none, String::new()), now)?)
}

fn build(
    services: &Services,
    session: &NodeSession,
    (envelope, query_id): (Digest, Option<QueryId>),
    verdict: &Verdict,
    (leaf, proof, checkpoint): (Digest, InclusionProof, String),
    now: Timestamp,
) -> Result<Vec<u8>, SignedError> {
    let (manifest_version, beacon_age) = services.trust_age(now);
    let mut header = AnswerHeader {
        query_id: query_id.unwrap_or(QueryId([0; 16])),
        asker: session.identity.ods().clone(),
        holder: services.config.ods.clone(),
        envelope,
        outcome: verdict.outcome.clone(),
        records: verdict.records,
        bytes: verdict.bytes,
        counts: verdict.counts.clone(),
        open: verdict.open.clone(),
        root: verdict.root,
        leaf,
        proof,
        checkpoint,
        commitment: verdict.commitment(),
        data_to: verdict.data_to,
        feed_interval: services
            .config
            .feed_interval
            .map(|interval| u32::try_from(interval.as_secs()).unwrap_or(u32::MAX)),
        medicines_not_shown: verdict.medicines_not_shown,
        outside_period: verdict.outside_period,
        manifest_version,
        beacon_age,
        policy: services.policy.digest(),
        decided_at: now,
        padding: ByteBuf::new(),
    };
    let scope = Scope::to(&services.config.network, session.identity.ods());
    let mut signed = Signed::sign(&header, scope, session.local.signer.as_ref())?.into_signed();
    if verdict.padded {
        header.padding = ByteBuf::from(vec![0; padding_after(signed.as_bytes().len())]);
        signed = Signed::sign(&header, scope, session.local.signer.as_ref())?.into_signed();
    }
    let mut frame = Vec::with_capacity(signed.as_bytes().len() + 1);
    frame.push(AnswerFrame::HEADER);
    frame.extend_from_slice(signed.as_bytes());
    Ok(frame)
}

/// Bytes of padding that bring a signed header of this length without any to a multiple of [`REFUSAL_BUCKET`].
fn padding_after(bare: usize) -> usize {
    let bare = bare.saturating_add(LENGTH_FIELD);
    bare.saturating_add(PADDING_MIN).next_multiple_of(REFUSAL_BUCKET).saturating_sub(bare)
}

/// Waits for the next multiple of [`REFUSAL_TICK`] after the request arrived, so that how long a refusal took tells nothing.
pub async fn wait_for_tick(arrived: Instant) {
    let tick = u64::try_from(REFUSAL_TICK.as_millis()).unwrap_or(u64::MAX);
    let passed = u64::try_from(arrived.elapsed().as_millis()).unwrap_or(u64::MAX);
    let ticks = passed / tick + 1;
    tokio::time::sleep_until(arrived + Duration::from_millis(ticks.saturating_mul(tick))).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_fills_a_bucket_exactly_whatever_the_header_was() {
        // As CBOR writes the header without padding (one byte of length 0) and with it.
        let empty = careweave_protocol::cbor::to_vec(&ByteBuf::new()).unwrap().len();
        for bare in 700..700 + 2 * REFUSAL_BUCKET {
            let padding = padding_after(bare);
            let written = careweave_protocol::cbor::to_vec(&ByteBuf::from(vec![0; padding])).unwrap().len();
            assert_eq!((bare - empty + written) % REFUSAL_BUCKET, 0, "{bare}");
            assert!(padding < REFUSAL_BUCKET + PADDING_MIN);
        }
    }
}
