//! Who asks: the envelope, the person's credential, and the person's own signature over the question.

use careweave_protocol::audit::{Actor, AuditEntry};
use careweave_protocol::id::Digest;
use careweave_protocol::identity::StaffCredential;
use careweave_protocol::limits::{CLOCK_SKEW, EVIDENCE_MAX, NONCE_MEMORY, QUERY_LIFE, TEXT_MAX};
use careweave_protocol::query::{Cause, Envelope, Query, Relationship};
use careweave_protocol::record::Category;
use careweave_protocol::signed::{Scope, Signed, Verified};
use careweave_protocol::time::Timestamp;

use super::judge::Question;
use crate::audit::Replay;
use crate::net::gate::NodeSession;
use crate::services::Services;

/// A question whose every signature has verified.
#[derive(Debug)]
pub struct Asked {
    /// The asking node's envelope.
    pub envelope: Verified<Envelope>,
    /// The person's question.
    pub query: Verified<Query>,
    /// The person's credential.
    pub credential: Verified<StaffCredential>,
    /// Relationships that hold now, each once.
    pub relationships: Vec<Relationship>,
}

/// A request that was not believed.
#[derive(Debug)]
pub struct NotBelieved {
    /// Why; about the asker, so it may be told.
    pub cause: Cause,
    /// SHA-256 of what was received.
    pub envelope: Digest,
}

impl Asked {
    /// The question as the judge needs it.
    #[must_use]
    pub fn question(&self) -> Question<'_> {
        Question {
            query: self.query.get(),
            credential: self.credential.get(),
            relationships: &self.relationships,
            own: false,
        }
    }

    /// What must never come a second time.
    #[must_use]
    pub fn replay(&self, now: Timestamp) -> Replay {
        let query = self.query.get();
        Replay {
            nonce: self.envelope.get().nonce,
            keep_until: query.expires_at.max(now).after(NONCE_MEMORY),
            asker: query.asker.clone(),
            query_id: query.query_id,
        }
    }

    /// Says who asked what in an audit entry.
    pub fn describe(&self, entry: &mut AuditEntry) {
        describe(entry, self.query.get(), self.credential.get());
        entry.query = Some(self.query.signed().digest());
        entry.envelope = Some(self.envelope.signed().digest());
        entry.evidence.clone_from(&self.relationships);
    }
}

/// Says who asked what in an audit entry.
pub fn describe(entry: &mut AuditEntry, query: &Query, credential: &StaffCredential) {
    entry.asker = Some(query.asker.clone());
    entry.actor = Some(Actor {
        ods: credential.ods.clone(),
        person: credential.person.clone(),
        name: credential.name.clone(),
        group: credential.group,
    });
    entry.purpose = Some(query.purpose);
    entry.reason.clone_from(&query.reason);
    entry.query_id = Some(query.query_id);
}

/// Verifies everything that was signed, and that each part speaks of the same asker, person and recipient.
///
/// # Errors
/// The first thing that does not hold.
pub fn authenticate(
    services: &Services,
    session: &NodeSession,
    envelope: Vec<u8>,
    now: Timestamp,
) -> Result<Asked, NotBelieved> {
    let digest = Digest::of(&[&envelope]);
    verify(services, session, envelope, now).map_err(|cause| NotBelieved { cause, envelope: digest })
}

fn verify(services: &Services, session: &NodeSession, envelope: Vec<u8>, now: Timestamp) -> Result<Asked, Cause> {
    let network = &services.config.network;
    let own = &services.config.ods;
    let asker = &session.identity;

    let signed = Signed::<Envelope>::from_bytes(envelope).map_err(|_| Cause::Malformed)?;
    let envelope = signed.verify(Scope::to(network, own), &asker.node().into()).map_err(|_| Cause::SignatureInvalid)?;
    let sent = envelope.get();
    let addressed = sent.asker == *asker.ods()
        && sent.asker_node == asker.node()
        && sent.audience == *own
        && sent.audience_node == services.node_key();
    let short = sent.evidence.len() <= EVIDENCE_MAX && sent.evidence.iter().all(|e| e.basis.len() <= TEXT_MAX);
    if !addressed || !short {
        return Err(Cause::Malformed);
    }

    // The credential must come from the organisation whose node signed the envelope, never from another.
    let credential = services.check_staff(&sent.credential, asker, now)?;
    let person = credential.get();
    let query = sent.query.verify(Scope::network(network), &person.key.into()).map_err(|_| Cause::SignatureInvalid)?;
    let question = query.get();
    let same = question.network == *network
        && question.asker == *asker.ods()
        && person.ods == *asker.ods()
        && question.credential == credential.signed().digest();
    if !same {
        return Err(Cause::SignatureInvalid);
    }
    if !fits(question, person) {
        return Err(Cause::Malformed);
    }
    fresh(question, now)?;

    let mut relationships: Vec<Relationship> =
        sent.evidence.iter().filter(|e| e.holds(now.after(CLOCK_SKEW))).map(|e| e.kind).collect();
    relationships.sort_unstable();
    relationships.dedup();
    Ok(Asked { query, credential, relationships, envelope })
}

/// Whether every list and text of a query is of the length that people and this program make. Longer ones would make the work for a
/// patient who is held last long enough to be seen from outside, or the entry about it too long for the log.
#[must_use]
pub fn fits(query: &Query, person: &StaffCredential) -> bool {
    let short = |text: Option<&String>| text.is_none_or(|text| text.len() <= TEXT_MAX);
    query.categories.len() <= Category::ALL.len()
        && query.patient.family.len() <= TEXT_MAX
        && short(query.patient.postcode.as_ref())
        && short(query.reason.as_ref())
        && person.name.len() <= TEXT_MAX
}

/// Whether a query is inside its own life, with the clocks allowed to differ.
///
/// # Errors
/// [`Cause::QueryStale`].
pub fn fresh(query: &Query, now: Timestamp) -> Result<(), Cause> {
    let short = query.expires_at > query.asked_at && query.expires_at.since(query.asked_at) <= QUERY_LIFE;
    let begun = query.asked_at <= now.after(CLOCK_SKEW);
    let alive = query.expires_at.after(CLOCK_SKEW) > now;
    if short && begun && alive { Ok(()) } else { Err(Cause::QueryStale) }
}
