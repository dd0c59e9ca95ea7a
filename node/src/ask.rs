//! The outbound path: one view for one of the organisation's own people, read top to bottom in [`fn@view`].
//!
//! No envelope leaves before INTENT is durable; nothing that is not verified is merged; nothing clinical is kept.

pub mod evidence;
pub mod fetch;
mod gathered;
mod last_look;
pub mod live;
pub mod locate;
pub mod receive;

use std::sync::Arc;
use std::time::Duration;

use careweave_protocol::audit::{AuditEntry, EntryKind};
use careweave_protocol::desk::{DeskReply, ViewReply, ViewRequest};
use careweave_protocol::id::{Digest, Nonce, OdsCode};
use careweave_protocol::identity::StaffCredential;
use careweave_protocol::limits::{ANSWER_BUDGET, CREDIT_WINDOW};
use careweave_protocol::query::{
    AnswerHeader, AnswerOutcome, BreakGlassGrant, Cause, Completeness, Envelope, Evidence, Purpose, Query,
    Relationship, SourceLine, SourceOutcome,
};
use careweave_protocol::signed::{Scope, Signed, Verified};
use careweave_protocol::time::Timestamp;
use ring::rand::SecureRandom;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use self::fetch::FetchError;
use self::gathered::Gathered;
use self::last_look::last_look;
use self::live::{Came, Live};
use self::receive::Answer;
use crate::answer::authenticate::{fits, fresh, grant};
use crate::answer::header::Verdict;
use crate::answer::judge::{self, Judged, Question, Withheld};
use crate::answer::permit::Permit;
use crate::audit::{Append, AuditError};
use crate::net::directory::Known;
use crate::net::gate::StaffSession;
use crate::net::peers::EndpointKey;
use crate::services::Services;
use crate::store::namesakes::has_namesake;
use crate::store::numbers::{self, Search, other_numbers};
use crate::store::records;
use crate::view::SourceRecord;

/// The answer, and what its receipt is kept with.
type Answered = (Answer, Arc<(Digest, Vec<u8>)>);

/// The person's question, the break-glass grant where they have one, and what an urgent purpose goes on in spite of.
type Authorised = (Verified<Query>, Option<BreakGlassGrant>, Vec<Cause>);

/// One holder's part, whatever came of it.
struct Part {
    ods: OdsCode,
    outcome: SourceOutcome,
    ms: u32,
    answer: Option<Answered>,
}

/// Puts one view together and reports on the way. What it returns is the last reply.
pub async fn view(
    services: &Arc<Services>,
    session: &StaffSession,
    request: ViewRequest,
    events: &mpsc::Sender<DeskReply>,
) -> DeskReply {
    match assemble(services, session, request, events).await {
        Ok(reply) | Err(reply) => reply,
    }
}

async fn assemble(
    services: &Arc<Services>,
    session: &StaffSession,
    request: ViewRequest,
    events: &mpsc::Sender<DeskReply>,
) -> Result<DeskReply, DeskReply> {
    let now = services.clock.now();
    let started = Instant::now();
    let deadline = started + Duration::from_millis(u64::from(request.deadline_ms)).min(locate::LONGEST_DEADLINE);

    // Is it this person's own question, and may they ask it? Our own people are held to what others would hold them to.
    let credential = services.check_own_staff(session.credential.signed(), now).map_err(DeskReply::Refused)?;
    let (query, grant, alerts) = match authorise(services, &credential, &request, now) {
        Ok(authorised) => authorised,
        Err(cause) => return Err(refuse_own(services, &credential, &request, cause, now).await),
    };
    let question = Arc::new(Own { query, credential, grant });

    // What do we hold ourselves, and on what grounds do we ask others?
    let following = services.relationships.follow();
    let (judged, evidence, known) = {
        let (services, question, mark_new) = (Arc::clone(services), Arc::clone(&question), request.mark_new);
        tokio::task::spawn_blocking(move || own(&services, &question, mark_new, now))
            .await
            .map_err(failed)?
            .map_err(failed)?
    };
    let mut judged = judged;
    if let Some(Withheld::Doubtful(doubt)) = &judged.withheld {
        refuse_unsafe_match(services, &question, &judged, doubt.to_string(), now).await?;
        return Ok(DeskReply::NotMatched(doubt.to_string()));
    }

    // Further numbers are believed only from our own record: another's number beside the patient's would open another's record.
    let asked_with = &question.query.get().patient.other_numbers;
    if asked_with.iter().any(|number| !known.other_numbers.contains(number)) {
        return Err(refuse_own(services, &question.credential, &request, Cause::Malformed, now).await);
    }
    // The person signs what is asked about: where our own record knows further numbers, they sign again with all of them.
    if known.other_numbers.iter().any(|number| !question.query.get().patient.other_numbers.contains(number)) {
        tell_other_numbers(services, &question, &judged, now).await?;
        return Ok(DeskReply::OtherNumbers(known.other_numbers));
    }

    // INTENT, and the DECISION on our own records, are durable before anything is sent or shown.
    let plan = locate::plan(services, &question, now);
    let verdict = Verdict::of(&judged).map_err(failed)?;
    let decision = Append {
        entry: judged.entry(services, &question.as_question(&evidence.kinds()), &verdict, now),
        patient: Some(judged.patient_part(question.query.get(), None)),
        replay: None,
        extra: Vec::new(),
    };
    let intent = Append {
        entry: question.intent(services, &evidence, &plan, now),
        patient: Some(judged.patient_part(question.query.get(), request.reason_text.clone())),
        replay: Some(question.replay(now)),
        extra: Vec::new(),
    };
    let (intended, decided) = tokio::join!(services.audit.append(intent), services.audit.append(decision));
    match intended {
        Ok(_) => {}
        Err(crate::audit::AppendError::Replayed) => return Err(DeskReply::Refused(Cause::Replayed)),
        Err(error) => return Err(failed(error)),
    }
    let decided = decided.map_err(failed)?;
    for cause in &alerts {
        services.audit.append(Append::new(question.lapse(services, cause, now))).await.map_err(failed)?;
    }
    services
        .alert_own_access(
            &question.query,
            &question.credential,
            question.grant.as_ref(),
            evidence.is_self_claimed(),
            now,
        )
        .await
        .map_err(failed)?;

    let mut live = Live::begin(services, &question, &evidence, following);

    // Everybody is asked at once, while our own records are read and shown.
    let mut asking = JoinSet::new();
    let envelope = Arc::new(Addressing { evidence: evidence.items.clone(), question: Arc::clone(&question), now });
    for (ods, known) in plan.asked.clone() {
        let (services, envelope) = (Arc::clone(services), Arc::clone(&envelope));
        asking.spawn(async move {
            let part = timeout_at(deadline, ask_one(&services, &envelope, &ods, known)).await;
            part.unwrap_or_else(|_| Part::without(&ods, SourceOutcome::Timeout, started))
        });
    }
    let own_records = match judged.grant.take() {
        None => Vec::new(),
        Some((patient, grant)) => {
            let permit = Permit::new(grant, &decided).ok_or_else(|| failed("the durable entry commits otherwise"))?;
            let services = Arc::clone(services);
            tokio::task::spawn_blocking(move || read_own(&services, &permit, &patient))
                .await
                .map_err(failed)?
                .map_err(failed)?
        }
    };
    let gathered = Gathered::new(services, &plan, &judged, own_records, known, started);
    let (first, mut gathered) = gathered.show(services, &question, now).await?;
    tell(events, DeskReply::Own(Box::new(first))).await;
    tell(events, DeskReply::Asking(plan.asked.iter().map(|(ods, _)| ods.clone()).collect())).await;

    // Until all have come to an end, or what the view rests on has: then nothing more is shown, and those still sending are hung up on.
    let mut came = Came { asked: plan.asked.len(), ended: 0, bytes: 0 };
    loop {
        let part = tokio::select! {
            part = asking.join_next() => part,
            cause = live.ended() => return Err(stop(services, &question, &live, cause, came, gathered).await),
        };
        let Some(part) = part else { break };
        let Ok(part) = part else { continue };
        let line = part.line();
        came.note(part.header());
        gathered.take(part);
        if gathered.may_name(&line.ods) {
            tell(events, DeskReply::Source(line)).await;
        }
    }

    gathered.close(started);
    let as_at = services.clock.now();
    let (view, mut gathered) = gathered.show(services, &question, as_at).await?;
    if let Some(cause) = live.check().await {
        return Err(stop(services, &question, &live, cause, came, gathered).await);
    }
    if request.resources {
        let parts;
        (parts, gathered) = gathered.resources(&question, view.patient.address_restricted).await?;
        for part in parts {
            tell(events, DeskReply::Resources(part)).await;
        }
    }
    let completeness = Completeness {
        network: services.config.network.clone(),
        query_id: question.query.get().query_id,
        asker: services.config.ods.clone(),
        as_at,
        manifest_version: plan.manifest_version,
        sources: gathered.lines.clone(),
    };
    let scope = Scope::network(&services.config.network);
    let key = services.endpoint_key();
    let completeness = Signed::sign(&completeness, scope, key.signer.as_ref()).map_err(failed)?.into_signed();
    gathered.log_receipts(services, &question, as_at);
    let binding = services.own().binding(key.node).ok_or_else(|| failed("the endpoint is not bound"))?;
    Ok(DeskReply::View(Box::new(ViewReply { view, completeness, binding })))
}

/// Ends a view that must not go on: what had come is logged as received, and not shown.
async fn stop(
    services: &Arc<Services>,
    question: &Arc<Own>,
    live: &Live,
    cause: Cause,
    came: Came,
    gathered: Gathered,
) -> DeskReply {
    live.log(&cause, came).await;
    gathered.log_receipts(services, question, services.clock.now());
    DeskReply::Refused(cause)
}

/// The person's question with the proof that it is theirs.
pub struct Own {
    /// The question.
    pub query: Verified<Query>,
    /// The person.
    pub credential: Verified<StaffCredential>,
    /// The break-glass grant, where the purpose is BTG.
    pub grant: Option<BreakGlassGrant>,
}

impl Own {
    fn as_question<'a>(&'a self, relationships: &'a [Relationship]) -> Question<'a> {
        let (query, credential) = (self.query.get(), self.credential.get());
        Question { query, credential, relationships, own: true, grant: self.grant.as_ref() }
    }

    fn replay(&self, now: Timestamp) -> crate::audit::Replay {
        let query = self.query.get();
        crate::audit::Replay {
            nonce: Nonce(query.query_id.0),
            keep_until: query.expires_at.max(now).after(careweave_protocol::limits::NONCE_MEMORY),
            asker: query.asker.clone(),
            query_id: query.query_id,
        }
    }

    /// What an urgent view goes on in spite of: an ALERT here, as every holder writes one.
    fn lapse(&self, services: &Services, cause: &Cause, now: Timestamp) -> AuditEntry {
        tracing::warn!(%cause, "an urgent view goes on");
        let mut entry = AuditEntry::new(EntryKind::Alert, now, services.config.ods.clone(), "eligibility");
        crate::answer::authenticate::describe(&mut entry, self.query.get(), self.credential.get());
        entry.query = Some(self.query.signed().digest());
        entry.cause = Some(cause.to_string());
        entry
    }

    fn intent(
        &self,
        services: &Services,
        evidence: &evidence::Grounds,
        plan: &locate::Plan,
        now: Timestamp,
    ) -> AuditEntry {
        let mut entry = AuditEntry::new(EntryKind::Intent, now, services.config.ods.clone(), "asking");
        crate::answer::authenticate::describe(&mut entry, self.query.get(), self.credential.get());
        entry.query = Some(self.query.signed().digest());
        entry.evidence = evidence.kinds();
        let asked: Vec<&str> = plan.asked.iter().map(|(ods, _)| ods.as_str()).collect();
        entry.detail = Some(asked.join(" "));
        services.note_trust(&mut entry, now);
        entry
    }
}

/// Checks signature, ownership, freshness and purpose of a person's question.
fn authorise(
    services: &Services,
    credential: &Verified<StaffCredential>,
    request: &ViewRequest,
    now: Timestamp,
) -> Result<Authorised, Cause> {
    let person = credential.get();
    let scope = Scope::network(&services.config.network);
    let query = request.query.verify(scope, &person.key.into()).map_err(|_| Cause::SignatureInvalid)?;
    let asked = query.get();
    let text_fits = asked.reason_text == request.reason_text.as_ref().map(|t| Digest::of(&[t.as_bytes()]));
    let own = asked.network == services.config.network
        && asked.asker == services.config.ods
        && asked.credential == credential.signed().digest();
    if !own || !text_fits {
        return Err(Cause::SignatureInvalid);
    }
    if !fits(asked, person) {
        return Err(Cause::Malformed);
    }
    fresh(asked, now)?;
    let eligibility = services.own_eligibility(person, asked.purpose, now);
    if let Some(cause) = eligibility.refused {
        return Err(cause);
    }
    if !services.role(person.group, asked.purpose).granted {
        return Err(Cause::PurposeNotGranted(asked.purpose));
    }
    let grant = grant(&services.config.network, asked, person, now)?;
    Ok((query, grant, eligibility.alerts))
}

/// A view that our own person may not have is refused here already; that they tried is logged like any other refusal.
async fn refuse_own(
    services: &Services,
    credential: &Verified<StaffCredential>,
    request: &ViewRequest,
    cause: Cause,
    now: Timestamp,
) -> DeskReply {
    let mut entry = AuditEntry::new(EntryKind::Decision, now, services.config.ods.clone(), "refused");
    // What does not fit may be too long for the log, and would not be logged at all.
    if let Ok(query) = request.query.unverified()
        && fits(&query, credential.get())
    {
        crate::answer::authenticate::describe(&mut entry, &query, credential.get());
    }
    entry.asker = Some(services.config.ods.clone());
    entry.holder = Some(services.config.ods.clone());
    entry.actor = Some(crate::services::actor_of(credential.get()));
    entry.query = Some(request.query.digest());
    entry.cause = Some(cause.to_string());
    services.note_trust(&mut entry, now);
    match services.audit.append(Append::new(entry)).await {
        Ok(_) => DeskReply::Refused(cause),
        Err(error) => failed(error),
    }
}

fn own(
    services: &Services,
    question: &Own,
    mark_new: bool,
    now: Timestamp,
) -> Result<(Judged, evidence::Grounds, gathered::Known), AuditError> {
    let query = question.query.get();
    let grounds = evidence::derive(services, query, now)?;
    let judged = judge::judge(services, &question.as_question(&grounds.kinds()), ANSWER_BUDGET)?;
    let person = &question.credential.get().person;
    let patient = match &judged.grant {
        Some((patient, _)) => Some(patient.clone()),
        None => match numbers::search(&services.database, &query.patient)? {
            Search::One(patient) => Some(*patient),
            Search::NotHeld | Search::Doubtful(_) => None,
        },
    };
    let known = gathered::Known {
        self_claimed: grounds.is_self_claimed(),
        namesake: match &patient {
            Some(patient) => has_namesake(&services.database, patient)?,
            None => false,
        },
        number_changed: patient.iter().flat_map(|p| p.parts()).any(|part| part.demographics.number_changed),
        other_numbers: match &patient {
            Some(_) => other_numbers(&services.database, query.patient.nhs_number)?,
            None => Vec::new(),
        },
        last_look: if mark_new { last_look(services, &query.patient.nhs_number, person)? } else { None },
    };
    Ok((judged, grounds, known))
}

/// That a person was told of further numbers is logged; nothing else was given and nobody asked.
async fn tell_other_numbers(
    services: &Services,
    question: &Own,
    judged: &Judged,
    now: Timestamp,
) -> Result<(), DeskReply> {
    let mut entry = AuditEntry::new(EntryKind::Decision, now, services.config.ods.clone(), "other-numbers");
    crate::answer::authenticate::describe(&mut entry, question.query.get(), question.credential.get());
    entry.holder = Some(services.config.ods.clone());
    services.note_trust(&mut entry, now);
    let patient = Some(judged.patient_part(question.query.get(), None));
    let append = Append { entry, patient, replay: None, extra: Vec::new() };
    services.audit.append(append).await.map(drop).map_err(failed)
}

/// A view that our own record contradicts is not asked of anybody; that it was tried is logged.
async fn refuse_unsafe_match(
    services: &Services,
    question: &Own,
    judged: &Judged,
    why: String,
    now: Timestamp,
) -> Result<(), DeskReply> {
    let verdict = Verdict::of(judged).map_err(failed)?;
    let mut entry = judged.entry(services, &question.as_question(&[]), &verdict, now);
    entry.detail = Some(why);
    let patient = Some(judged.patient_part(question.query.get(), None));
    let append = Append { entry, patient, replay: None, extra: Vec::new() };
    services.audit.append(append).await.map(drop).map_err(failed)
}

fn read_own(
    services: &Services,
    permit: &Permit,
    patient: &crate::store::patients::OpenPatient,
) -> Result<Vec<SourceRecord>, records::ReadError> {
    let mut unpacker = receive::Unpacker::default();
    let mut records = Vec::with_capacity(permit.selected().len());
    records::read(&services.database, permit, patient, |selected, body| {
        if let Some(body) = unpacker.unpack(&body) {
            records.push(SourceRecord {
                category: selected.category,
                form: selected.form,
                taken_in: selected.taken_in,
                body,
            });
        }
        std::ops::ControlFlow::Continue(())
    })?;
    Ok(records)
}

/// What every envelope of one view has in common.
struct Addressing {
    evidence: Vec<Evidence>,
    question: Arc<Own>,
    now: Timestamp,
}

impl Addressing {
    fn envelope(
        &self,
        services: &Services,
        holder: &OdsCode,
        (own, known): (&EndpointKey, &Known),
    ) -> Result<Verified<Envelope>, FetchError> {
        let mut nonce = [0u8; Nonce::LEN];
        ring::rand::SystemRandom::new().fill(&mut nonce).map_err(|_| FetchError::Signing)?;
        let envelope = Envelope {
            query: self.question.query.signed().clone(),
            credential: self.question.credential.signed().clone(),
            asker: services.config.ods.clone(),
            asker_node: own.node,
            audience: holder.clone(),
            audience_node: known.node,
            nonce: Nonce(nonce),
            evidence: self.evidence.clone(),
            manifest_version: services.trust_age(self.now).0,
            sent_at: self.now,
            budget: ANSWER_BUDGET,
            window: CREDIT_WINDOW,
        };
        let scope = Scope::to(&services.config.network, holder);
        Signed::sign(&envelope, scope, own.signer.as_ref()).map_err(|_| FetchError::Signing)
    }

    /// The holder's log says how far an answer got that was cut; so does ours.
    async fn log_ended_early(&self, services: &Services, holder: &OdsCode, error: &FetchError, received: u64) {
        let now = services.clock.now();
        let mut entry = AuditEntry::new(EntryKind::Admin, now, services.config.ods.clone(), "answer-ended-early");
        crate::answer::authenticate::describe(&mut entry, self.question.query.get(), self.question.credential.get());
        entry.query = Some(self.question.query.signed().digest());
        entry.holder = Some(holder.clone());
        entry.cause = Some(error.to_string());
        entry.bytes = received;
        if let Err(error) = services.audit.append(Append::new(entry)).await {
            tracing::error!(%error, "that an answer ended early could not be logged");
        }
    }
}

async fn ask_one(services: &Arc<Services>, addressing: &Addressing, ods: &OdsCode, known: Option<Known>) -> Part {
    let started = Instant::now();
    let make = |own: &EndpointKey, known: &Known| addressing.envelope(services, ods, (own, known));
    let mut received = None;
    match fetch::fetch(services, ods, known, make, &mut received).await {
        Ok((answer, evidence)) => {
            let outcome = match &answer.header.get().outcome {
                AnswerOutcome::Answered => SourceOutcome::Answered,
                AnswerOutcome::Partial => SourceOutcome::AnsweredPartial,
                AnswerOutcome::NothingShareable => SourceOutcome::NothingShareable,
                AnswerOutcome::Refused(cause) => SourceOutcome::Refused(cause.clone()),
            };
            Part { ods: ods.clone(), outcome, ms: elapsed(started), answer: Some((answer, evidence)) }
        }
        Err(error) => {
            tracing::info!(holder = %ods, %error, "source did not answer");
            // Who is busy, or does not speak the protocol, has not begun to answer.
            if let Some(received) = received.filter(|_| error.is_early_end()) {
                addressing.log_ended_early(services, ods, &error, received).await;
            }
            Part::without(ods, error.outcome(), started)
        }
    }
}

impl Part {
    fn without(ods: &OdsCode, outcome: SourceOutcome, started: Instant) -> Self {
        Self { ods: ods.clone(), outcome, ms: elapsed(started), answer: None }
    }

    fn header(&self) -> Option<&AnswerHeader> {
        self.answer.as_ref().map(|(a, _)| a.header.get())
    }

    fn line(&self) -> SourceLine {
        SourceLine {
            ods: self.ods.clone(),
            outcome: self.outcome.clone(),
            records: self.header().map_or(0, |h| h.records),
            ms: self.ms,
            data_to: self.header().and_then(|h| h.data_to),
            receipt: self.answer.as_ref().map(|(a, _)| a.header.signed().digest()),
        }
    }
}

/// What a RECEIPT says when local organisations are not to be named for this patient.
pub const WHEREABOUTS_RESTRICTED: &str = "whereabouts restricted";

async fn tell(events: &mpsc::Sender<DeskReply>, reply: DeskReply) {
    // An error means that the person hung up; the view goes on to its end so that both logs agree.
    drop(events.send(reply).await);
}

fn elapsed(started: Instant) -> u32 {
    u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX)
}

fn failed(error: impl std::fmt::Display) -> DeskReply {
    DeskReply::Failed(error.to_string())
}

/// Whether the purpose may go on with nothing but the asker's word.
#[must_use]
pub fn may_self_claim(purpose: Purpose) -> bool {
    purpose == Purpose::Etreat
}
