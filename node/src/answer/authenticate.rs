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
        && sent.audience_node == session.local.node;
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
        && query.case_number.as_ref().is_none_or(|number| is_case(query.purpose, number))
        && query.patient.other_numbers.len() <= OTHER_NUMBERS_MAX
        && person.name.len() <= TEXT_MAX
}

/// Whether a query of this purpose may bear this case number: only what is done for a case has one, and a blank one is none.
fn is_case(purpose: Purpose, number: &str) -> bool {
    matches!(purpose, Purpose::Patrqt | Purpose::Hcompl) && !number.trim().is_empty() && number.len() <= TEXT_MAX
}

/// The break-glass grant of a query: signed with the person's own step-up key, for this person and patient, covering every
/// category asked for by name, and running.
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
    // One key for both would be opened by one passphrase.
    let step_up = person.step_up.filter(|key| *key != person.key).ok_or(Cause::GrantInvalid)?;
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
    // An empty list asks for everything, which no grant says in so many words.
    let covered = !query.categories.is_empty() && query.categories.iter().all(|asked| grant.categories.contains(asked));
    if short && same && covered && grant.runs(now) { Ok(Some(grant)) } else { Err(Cause::GrantInvalid) }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use careweave_protocol::id::{NodeKey, QueryId};
    use careweave_protocol::identity::StaffGroup;
    use careweave_protocol::key::{KeyError, PublicKey, Signer};
    use careweave_protocol::query::{Patient, Period};
    use careweave_protocol::time::Date;
    use ring::signature::{Ed25519KeyPair, KeyPair};

    use super::*;

    struct Key(Ed25519KeyPair);

    impl Signer for Key {
        fn public_key(&self) -> PublicKey {
            PublicKey::Ed25519(self.0.public_key().as_ref().try_into().unwrap())
        }
        fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
            Ok(self.0.sign(message).as_ref().to_vec())
        }
    }

    const NOW: Timestamp = Timestamp(1_793_628_600_000);

    /// A nurse with a step-up key, and her question about problems under a grant for problems and assessments.
    fn break_glass() -> (NetworkId, StaffCredential, Query) {
        let key = Key(Ed25519KeyPair::from_seed_unchecked(&[3; 32]).unwrap());
        let network: NetworkId = "test-net".parse().unwrap();
        let person = StaffCredential {
            ods: "R9C".parse().unwrap(),
            person: "rn".parse().unwrap(),
            name: "R. Nurse".to_owned(),
            group: StaffGroup::Rn,
            sds_role: "R0620".to_owned(),
            registration: None,
            training_expires: Date::new(2027, 3, 31).unwrap(),
            scopes: Vec::new(),
            key: NodeKey([7; 32]),
            step_up: key.public_key().node_key(),
            approvals: Vec::new(),
            not_before: NOW,
            not_after: NOW.after(Duration::from_secs(3600)),
        };
        let grant = BreakGlassGrant {
            network: network.clone(),
            id: QueryId([6; 16]),
            ods: person.ods.clone(),
            person: person.person.clone(),
            nhs_number: "9990010013".parse().unwrap(),
            categories: vec![Category::Problems, Category::Assessments],
            reason: "acute-confusion".to_owned(),
            reason_text: Digest([4; 32]),
            issued_at: NOW,
            expires_at: NOW.after(Duration::from_secs(3600)),
        };
        let query = Query {
            network: network.clone(),
            query_id: QueryId([1; 16]),
            asker: person.ods.clone(),
            credential: Digest([9; 32]),
            patient: Patient {
                nhs_number: grant.nhs_number,
                birth_date: Date::new(1938, 3, 14).unwrap(),
                family: "Okafor".to_owned(),
                postcode: None,
                other_numbers: Vec::new(),
            },
            categories: vec![Category::Problems],
            period: Period::default(),
            purpose: Purpose::Btg,
            reason: Some(grant.reason.clone()),
            reason_text: Some(grant.reason_text),
            case_number: None,
            grant: Some(Signed::sign(&grant, Scope::network(&network), &key).unwrap().into_signed()),
            asked_at: NOW,
            expires_at: NOW.after(Duration::from_secs(60)),
        };
        (network, person, query)
    }

    #[test]
    fn a_grant_covers_every_category_asked_for_or_none() {
        let (network, person, query) = break_glass();
        let ask = |categories: &[Category]| {
            let query = Query { categories: categories.to_vec(), ..query.clone() };
            grant(&network, &query, &person, NOW).map(|grant| grant.is_some())
        };
        assert_eq!(ask(&[Category::Problems]), Ok(true));
        assert_eq!(ask(&[Category::Assessments, Category::Problems]), Ok(true));
        assert_eq!(ask(&[]), Err(Cause::GrantInvalid), "everything");
        assert_eq!(ask(&[Category::Problems, Category::Encounters]), Err(Cause::GrantInvalid));
    }

    #[test]
    fn a_step_up_key_that_is_the_ordinary_key_signs_no_grant() {
        let (network, person, query) = break_glass();
        assert!(grant(&network, &query, &person, NOW).is_ok());
        let one_key = StaffCredential { key: person.step_up.unwrap(), ..person };
        assert_eq!(grant(&network, &query, &one_key, NOW), Err(Cause::GrantInvalid));
    }

    #[test]
    fn a_case_number_is_not_blank_and_belongs_to_a_case() {
        let (_, person, query) = break_glass();
        let bears = |purpose: Purpose, number: &str| {
            fits(&Query { purpose, case_number: Some(number.to_owned()), ..query.clone() }, &person)
        };
        for purpose in Purpose::ALL {
            let case = matches!(purpose, Purpose::Patrqt | Purpose::Hcompl);
            assert_eq!(bears(purpose, "SAR-2026-17"), case, "{purpose:?}");
            assert!(!bears(purpose, "") && !bears(purpose, " \t"), "{purpose:?}");
            assert!(!bears(purpose, &"9".repeat(TEXT_MAX + 1)), "{purpose:?}");
            assert!(fits(&Query { purpose, ..query.clone() }, &person), "{purpose:?}");
        }
    }
}
