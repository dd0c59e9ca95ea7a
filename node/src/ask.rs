//! The outbound path: one view for one of the organisation's own people, read top to bottom in [`fn@view`].
//!
//! No envelope leaves before INTENT is durable; nothing that is not verified is merged; nothing clinical is kept.

pub mod evidence;
pub mod fetch;
pub mod locate;
pub mod receive;

use std::sync::Arc;
use std::time::Duration;

use careweave_protocol::audit::{AuditEntry, EntryKind};
use careweave_protocol::desk::{DeskReply, View, ViewReply, ViewRequest};
use careweave_protocol::id::{Digest, Nonce, OdsCode};
use careweave_protocol::identity::StaffCredential;
use careweave_protocol::limits::{ANSWER_BUDGET, CREDIT_WINDOW};
use careweave_protocol::query::{
    Acknowledgement, AnswerHeader, AnswerOutcome, Cause, Completeness, Envelope, Evidence, Purpose, Query,
    Relationship, SourceLine, SourceOutcome,
};
use careweave_protocol::signed::{Scope, Signed, Verified};
use careweave_protocol::time::Timestamp;
use ring::rand::SecureRandom;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use self::fetch::FetchError;
use self::receive::Answer;
use crate::answer::authenticate::{fits, fresh};
use crate::answer::header::Verdict;
use crate::answer::judge::{self, Judged, Question, Withheld};
use crate::answer::permit::Permit;
use crate::audit::Append;
use crate::delivery;
use crate::net::directory::Known;
use crate::net::gate::StaffSession;
use crate::services::Services;
use crate::store::records;
use crate::view::{self, OwnIdentity, SourceRecord, SourceRecords};

/// One holder's part, whatever came of it.
struct Part {
    ods: OdsCode,
    outcome: SourceOutcome,
    ms: u32,
    answer: Option<Answer>,
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
    let query = match authorise(services, &credential, &request, now) {
        Ok(query) => query,
        Err(cause) => return Err(refuse_own(services, &credential, &request, cause, now).await),
    };
    let question = Arc::new(Own { query, credential });

    // What do we hold ourselves, and on what grounds do we ask others?
    let (judged, evidence) = {
        let (services, question) = (Arc::clone(services), Arc::clone(&question));
        tokio::task::spawn_blocking(move || own(&services, &question, now)).await.map_err(failed)?.map_err(failed)?
    };
    let mut judged = judged;
    if let Some(Withheld::Doubtful(doubt)) = &judged.withheld {
        refuse_unsafe_match(services, &question, &judged, doubt.to_string(), now).await?;
        return Ok(DeskReply::NotMatched(doubt.to_string()));
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
    if evidence.is_self_claimed() {
        services.alert_own("self-claimed", &question.query, &question.credential, now).await;
    }

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
    let gathered = Gathered::new(services, &plan, &judged, own_records, started);
    let (first, mut gathered) = gathered.show(services, &question, now).await?;
    tell(events, DeskReply::Own(Box::new(first))).await;
    tell(events, DeskReply::Asking(plan.asked.iter().map(|(ods, _)| ods.clone()).collect())).await;

    while let Some(part) = asking.join_next().await {
        let Ok(part) = part else { continue };
        let line = part.line();
        gathered.take(part);
        if gathered.may_name(&line.ods) {
            tell(events, DeskReply::Source(line)).await;
        }
    }

    gathered.close(started);
    let as_at = services.clock.now();
    let (view, gathered) = gathered.show(services, &question, as_at).await?;
    let completeness = Completeness {
        network: services.config.network.clone(),
        query_id: question.query.get().query_id,
        asker: services.config.ods.clone(),
        as_at,
        manifest_version: plan.manifest_version,
        sources: gathered.lines.clone(),
    };
    let scope = Scope::network(&services.config.network);
    let completeness = Signed::sign(&completeness, scope, services.node_signer()).map_err(failed)?.into_signed();
    gathered.log_receipts(services, &question, as_at);
    Ok(DeskReply::View(Box::new(ViewReply { view, completeness, binding: services.peer_binding() })))
}

/// The person's question with the proof that it is theirs.
pub struct Own {
    /// The question.
    pub query: Verified<Query>,
    /// The person.
    pub credential: Verified<StaffCredential>,
}

impl Own {
    fn as_question<'a>(&'a self, relationships: &'a [Relationship]) -> Question<'a> {
        Question { query: self.query.get(), credential: self.credential.get(), relationships, own: true }
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
) -> Result<Verified<Query>, Cause> {
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
    if services.role(person.group, asked.purpose).granted {
        Ok(query)
    } else {
        Err(Cause::PurposeNotGranted(asked.purpose))
    }
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
    if let Ok(query) = request.query.unverified() {
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
    now: Timestamp,
) -> Result<(Judged, evidence::Grounds), crate::store::database::StoreError> {
    let grounds = evidence::derive(services, question.query.get(), now)?;
    let judged = judge::judge(services, &question.as_question(&grounds.kinds()), ANSWER_BUDGET)?;
    Ok((judged, grounds))
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
            records.push(SourceRecord { category: selected.category, form: selected.form, body });
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
    fn envelope(&self, services: &Services, holder: &OdsCode, known: &Known) -> Result<Verified<Envelope>, FetchError> {
        let mut nonce = [0u8; Nonce::LEN];
        ring::rand::SystemRandom::new().fill(&mut nonce).map_err(|_| FetchError::Signing)?;
        let envelope = Envelope {
            query: self.question.query.signed().clone(),
            credential: self.question.credential.signed().clone(),
            asker: services.config.ods.clone(),
            asker_node: services.node_key(),
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
        Signed::sign(&envelope, scope, services.node_signer()).map_err(|_| FetchError::Signing)
    }
}

async fn ask_one(services: &Services, addressing: &Addressing, ods: &OdsCode, known: Option<Known>) -> Part {
    let started = Instant::now();
    let make = |known: &Known| addressing.envelope(services, ods, known);
    match fetch::fetch(services, ods, known, make).await {
        Ok(answer) => {
            let outcome = match &answer.header.get().outcome {
                AnswerOutcome::Answered => SourceOutcome::Answered,
                AnswerOutcome::Partial => SourceOutcome::AnsweredPartial,
                AnswerOutcome::NothingShareable => SourceOutcome::NothingShareable,
                AnswerOutcome::Refused(cause) => SourceOutcome::Refused(cause.clone()),
            };
            Part { ods: ods.clone(), outcome, ms: elapsed(started), answer: Some(answer) }
        }
        Err(error) => {
            tracing::info!(holder = %ods, %error, "source did not answer");
            Part::without(ods, error.outcome(), started)
        }
    }
}

impl Part {
    fn without(ods: &OdsCode, outcome: SourceOutcome, started: Instant) -> Self {
        Self { ods: ods.clone(), outcome, ms: elapsed(started), answer: None }
    }

    fn header(&self) -> Option<&AnswerHeader> {
        self.answer.as_ref().map(|a| a.header.get())
    }

    fn line(&self) -> SourceLine {
        SourceLine {
            ods: self.ods.clone(),
            outcome: self.outcome.clone(),
            records: self.header().map_or(0, |h| h.records),
            ms: self.ms,
            data_to: self.header().and_then(|h| h.data_to),
            receipt: self.answer.as_ref().map(|a| a.header.signed().digest()),
        }
    }
}

/// What has come in so far.
struct Gathered {
    lines: Vec<SourceLine>,
    sources: Vec<SourceRecords>,
    receipts: Vec<(OdsCode, Verified<AnswerHeader>, u32)>,
    identity: OwnIdentity,
    restricted: bool,
    /// Whether the whereabouts of the patient are restricted here or at any source so far.
    withheld: bool,
}

/// What a RECEIPT says when local organisations are not to be named for this patient.
pub const WHEREABOUTS_RESTRICTED: &str = "whereabouts restricted";

impl Gathered {
    fn new(
        services: &Services,
        plan: &locate::Plan,
        judged: &Judged,
        mut own_records: Vec<SourceRecord>,
        started: Instant,
    ) -> Self {
        let own = &services.config.ods;
        let identity = if judged.standing.is_some() { OwnIdentity::Confirmed } else { OwnIdentity::NotHeld };
        let mut gathered = Self {
            lines: Vec::new(),
            sources: Vec::new(),
            receipts: Vec::new(),
            identity,
            restricted: judged.restricted(),
            withheld: judged.restricted(),
        };
        for member in &plan.members {
            let is_own = member.ods == *own;
            let records = if is_own { std::mem::take(&mut own_records) } else { Vec::new() };
            let outcome = match (is_own, records.is_empty(), member.not_asked) {
                (true, true, _) => Some(SourceOutcome::NothingShareable),
                (true, false, _) => Some(SourceOutcome::Answered),
                (false, _, not_asked) => not_asked.map(SourceOutcome::NotAsked),
            };
            let ms = if is_own { elapsed(started) } else { 0 };
            let data_to = judged.data_to.filter(|_| is_own);
            gathered.lines.push(SourceLine {
                ods: member.ods.clone(),
                // Whoever is still awaited when the view ends was not reached in time.
                outcome: outcome.clone().unwrap_or(SourceOutcome::Timeout),
                records: u32::try_from(records.len()).unwrap_or(u32::MAX),
                ms,
                data_to,
                receipt: None,
            });
            gathered.sources.push(SourceRecords {
                ods: member.ods.clone(),
                name: member.name.clone(),
                own: is_own,
                local: member.local,
                outcome,
                open: if is_own { judged.open.clone() } else { Vec::new() },
                ms,
                data_to,
                feed_interval: None,
                duty_contact: member.duty_contact.clone(),
                records,
            });
        }
        gathered
    }

    /// Whoever has not come to an end by now has not replied in time.
    fn close(&mut self, started: Instant) {
        for source in self.sources.iter_mut().filter(|s| s.outcome.is_none()) {
            source.outcome = Some(SourceOutcome::Timeout);
            source.ms = elapsed(started);
            if let Some(line) = self.lines.iter_mut().find(|l| l.ods == source.ods) {
                line.ms = source.ms;
            }
        }
    }

    /// Whether what came of this source may be told before the view is made, which hides what must be hidden.
    fn may_name(&self, ods: &OdsCode) -> bool {
        !self.withheld || !self.sources.iter().any(|s| s.ods == *ods && s.local && !s.own)
    }

    fn take(&mut self, part: Part) {
        let records = part.answer.iter().flat_map(|answer| &answer.records);
        self.withheld |= records.into_iter().any(|record| record.form == record.form.stripped());
        let line = part.line();
        if let Some(slot) = self.lines.iter_mut().find(|l| l.ods == part.ods) {
            *slot = line.clone();
        }
        if let Some(source) = self.sources.iter_mut().find(|s| s.ods == part.ods) {
            source.outcome = Some(part.outcome.clone());
            source.ms = part.ms;
            source.data_to = line.data_to;
            if let Some(answer) = part.answer {
                let records = u32::try_from(answer.records.len()).unwrap_or(u32::MAX);
                source.open.clone_from(&answer.header.get().open);
                source.records = answer
                    .records
                    .into_iter()
                    .map(|r| SourceRecord { category: r.category, form: r.form, body: r.body })
                    .collect();
                self.receipts.push((part.ods, answer.header, records));
            }
        }
    }

    /// Merges what there is, off the async threads: thousands of resources are parsed here.
    async fn show(
        self,
        services: &Arc<Services>,
        question: &Arc<Own>,
        as_at: Timestamp,
    ) -> Result<(View, Self), DeskReply> {
        let (services, question) = (Arc::clone(services), Arc::clone(question));
        let merged = tokio::task::spawn_blocking(move || {
            let (query, group) = (question.query.get(), question.credential.get().group);
            let role = services.role(group, query.purpose);
            let request = view::Request {
                query,
                group,
                role_cannot_see: &role.cannot_see,
                as_at,
                zone: &services.zone,
                own_identity: self.identity,
                own_restricted: self.restricted,
            };
            (view::assemble(&request, &self.sources), self)
        });
        merged.await.map_err(failed)
    }

    /// RECEIPT entries and acknowledgements: durable together, off the path of the view.
    fn log_receipts(self, services: &Arc<Services>, question: &Arc<Own>, now: Timestamp) {
        let (services, question) = (Arc::clone(services), Arc::clone(question));
        let withheld = self.withheld.then(|| WHEREABOUTS_RESTRICTED.to_owned());
        tokio::spawn(async move {
            let appends = self.receipts.into_iter().map(|(ods, header, records)| {
                let said = header.get();
                let outcome = crate::answer::outcome_name(&said.outcome);
                let mut entry = AuditEntry::new(EntryKind::Receipt, now, services.config.ods.clone(), outcome);
                crate::answer::authenticate::describe(&mut entry, question.query.get(), question.credential.get());
                entry.holder = Some(ods.clone());
                entry.receipt = Some(header.signed().digest());
                entry.root = Some(said.root);
                entry.counts.clone_from(&said.counts);
                entry.bytes = said.bytes;
                entry.policy = Some(said.policy);
                entry.detail.clone_from(&withheld);
                let item = Acknowledgement {
                    query_id: said.query_id,
                    header: header.signed().digest(),
                    records,
                    received_at: now,
                };
                let kept = delivery::keep(&services, &ods, &item, &header);
                let audit = services.audit.clone();
                async move {
                    match kept {
                        Ok(extra) => audit.append(Append { entry, patient: None, replay: None, extra }).await.map(drop),
                        Err(_) => Err(crate::audit::AppendError::Unavailable),
                    }
                }
            });
            for result in futures::future::join_all(appends).await {
                if let Err(error) = result {
                    tracing::error!(%error, "a receipt could not be logged");
                }
            }
            services.outbox.wake();
        });
    }
}

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
