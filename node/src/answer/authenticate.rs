//! Who asks: the envelope, the person's credential, and the person's own signature over the question.

use careweave_protocol::audit::{Actor, AuditEntry};
use careweave_protocol::id::{Digest, NetworkId};
use careweave_protocol::identity::StaffCredential;
use careweave_protocol::limits::{CLOCK_SKEW, EVIDENCE_MAX, NONCE_MEMORY, OTHER_NUMBERS_MAX, QUERY_LIFE, TEXT_MAX};
use careweave_protocol::query::{BreakGlassGrant, Cause, Envelope, Evidence, Purpose, Query, Relationship};
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
    /// The break-glass grant, where the purpose is BTG.
    pub grant: Option<BreakGlassGrant>,
}

/// A request that was not believed.
#[derive(Debug)]
pub struct NotBelieved {
    /// Why; about the asker, so it may be told.
    pub cause: Cause,
    /// SHA-256 of what was received.
    pub envelope: Digest,
    /// Who asked what, where their own signature over it held.
    by: Option<Box<(Verified<Query>, Verified<StaffCredential>)>>,
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
            grant: self.grant.as_ref(),
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

impl NotBelieved {
    /// Says what is known of who asked what in an audit entry.
    pub fn describe(&self, entry: &mut AuditEntry) {
        entry.envelope = Some(self.envelope);
        if let Some((query, credential)) = self.by.as_deref() {
            describe(entry, query.get(), credential.get());
            entry.query = Some(query.signed().digest());
        }
    }
}

/// Says who asked what in an audit entry; of a break-glass grant what it claims, believed or not.
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
    entry.case_number.clone_from(&query.case_number);
    entry.query_id = Some(query.query_id);
    if let Some(grant) = query.grant.as_ref().and_then(|grant| grant.unverified().ok()) {
        entry.grant = Some(grant.id);
        // Longer ones are of our own people's making or nobody's, and would make the entry too long for the log.
        if grant.categories.len() <= Category::ALL.len() {
            entry.granted = grant.categories;
        }
    }
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
    let mut by = None;
    verify(services, session, envelope, &mut by, now).map_err(|cause| NotBelieved { cause, envelope: digest, by })
}

fn verify(
    services: &Services,
    session: &NodeSession,
    envelope: Vec<u8>,
    by: &mut Option<Box<(Verified<Query>, Verified<StaffCredential>)>>,
    now: Timestamp,
) -> Result<Asked, Cause> {
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
    *by = Some(Box::new((query.clone(), credential.clone())));
    fresh(question, now)?;
    // First, so that somebody whose group may never break glass is told that, and not that their grant is wrong.
    if question.purpose == Purpose::Btg && !services.role(person.group, Purpose::Btg).granted {
        return Err(Cause::PurposeNotGranted(Purpose::Btg));
    }
    let grant = grant(network, question, person, now)?;

    let mut relationships: Vec<Relationship> = sent.evidence.iter().filter(|e| holds(e, now)).map(|e| e.kind).collect();
    relationships.sort_unstable();
    relationships.dedup();
    Ok(Asked { query, credential, relationships, envelope, grant })
}

/// Whether evidence holds by our own clock. The asker's may be ahead when something has just begun; what has ended, has ended.
fn holds(evidence: &Evidence, now: Timestamp) -> bool {
    evidence.since <= now.after(CLOCK_SKEW) && evidence.until.is_none_or(|end| end > now)
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
        && short(query.case_number.as_ref())
        && query.patient.other_numbers.len() <= OTHER_NUMBERS_MAX
        && person.name.len() <= TEXT_MAX
}

/// The break-glass grant of a query: signed with the person's own step-up key, for this person and patient, and running.
///
/// # Errors
/// [`Cause::GrantInvalid`] when the purpose needs one that holds; [`Cause::Malformed`] when another purpose brings one.
pub fn grant(
    network: &NetworkId,
    query: &Query,
    person: &StaffCredential,
    now: Timestamp,
) -> Result<Option<BreakGlassGrant>, Cause> {
    let signed = match (query.purpose, &query.grant) {
        (Purpose::Btg, Some(signed)) => signed,
        (Purpose::Btg, None) => return Err(Cause::GrantInvalid),
        (_, Some(_)) => return Err(Cause::Malformed),
        (_, None) => return Ok(None),
    };
    let step_up = person.step_up.ok_or(Cause::GrantInvalid)?;
    let grant = signed.verify(Scope::network(network), &step_up.into()).map_err(|_| Cause::GrantInvalid)?.into_inner();
    let short = !grant.reason.is_empty()
        && grant.reason.len() <= TEXT_MAX
        && (1..=Category::ALL.len()).contains(&grant.categories.len());
    let same = grant.network == *network
        && grant.ods == person.ods
        && grant.person == person.person
        && grant.nhs_number == query.patient.nhs_number
        // What is reviewed later is what was signed with the step-up key, in code and in words.
        && query.reason.as_ref() == Some(&grant.reason)
        && query.reason_text == Some(grant.reason_text)
        && grant.reason_text != Digest::of(&[b""]);
    if short && same && grant.runs(now) { Ok(Some(grant)) } else { Err(Cause::GrantInvalid) }
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
