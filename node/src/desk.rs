//! The desk: what the organisation's own people ask of their node, each request on a stream of its own.

mod exceptions;
mod import;
mod logged;
mod network;
mod residents;
mod reviews;

use std::sync::Arc;

use careweave_protocol::audit::page::{EntryContent, LogEntry, LogPage};
use careweave_protocol::audit::{AuditEntry, EntryKind};
use careweave_protocol::cbor;
use careweave_protocol::desk::{DeskReply, DeskRequest, Explanation, PAGE_MAX, PatientIdentity};
use careweave_protocol::frame::split;
use careweave_protocol::id::{NhsNumber, QueryId};
use careweave_protocol::identity::{Scope, StaffCredential};
use careweave_protocol::limits::{IDLE_TIMEOUT, REQUEST_MAX};
use careweave_protocol::policy::{Asker, Cell, Objection, Situation};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::answer::judge::last_treating;
use crate::ask;
use crate::net::gate::StaffSession;
use crate::net::{ExchangeStream, FrameError, FramedStream};
use crate::services::{Keyring, Services};
use crate::store::namesakes::has_namesake;
use crate::store::patients;
use crate::{doctor, enrolment};

/// Replies on their way to a person who reads slowly: progress of a view over 64 holders.
const EVENTS: usize = 64;

/// Why an exchange at the desk ended early.
#[derive(Debug, Error)]
pub enum DeskError {
    /// The stream failed, or the person hung up.
    #[error(transparent)]
    Stream(#[from] FrameError),
    /// Nothing came.
    #[error("the person went quiet")]
    Idle,
    /// Not a request of the desk protocol.
    #[error("the request does not follow the desk protocol")]
    Protocol,
    /// A task ended early.
    #[error("an internal task ended early")]
    Task(#[from] tokio::task::JoinError),
}

/// Serves one request.
///
/// # Errors
/// See [`DeskError`].
pub async fn serve(
    services: &Arc<Services>,
    session: &Arc<StaffSession>,
    stream: ExchangeStream,
) -> Result<(), DeskError> {
    let mut stream = FramedStream::new(stream);
    let frame = timeout(IDLE_TIMEOUT, stream.read_frame(REQUEST_MAX)).await.map_err(|_| DeskError::Idle)??;
    let Some(frame) = frame else { return Ok(()) };
    let request: DeskRequest = cbor::from_slice(&frame, REQUEST_MAX).map_err(|_| DeskError::Protocol)?;
    let person = session.credential.get();
    let now = services.clock.now();

    // A credential can end, or be revoked, while its connection is open.
    if let Err(cause) = services.check_own_staff(session.credential.signed(), now) {
        return finish(stream, DeskReply::Refused(cause)).await;
    }
    let reply = match request {
        DeskRequest::View(request) => return view(services, session, *request, stream).await,
        DeskRequest::Identify(number) => identify(services, person, number).await,
        DeskRequest::Trust { version } => network::trust(services, session, version).await,
        DeskRequest::Explain(query) => explain(services, person, query).await,
        // Whoever verifies the log needs to know which key signs it.
        DeskRequest::Status => match permitted(person, Scope::Audit).or_else(|_| permitted(person, Scope::Operate)) {
            Ok(()) => {
                let services = Arc::clone(services);
                tokio::task::spawn_blocking(move || network::status(&services, now)).await?
            }
            Err(reply) => Err(reply),
        },
        DeskRequest::Peers => allowed(person, Scope::Operate, || network::peers(services, now)),
        DeskRequest::Log { from, count } => match permitted(person, Scope::Audit) {
            Ok(()) => log_page(services, from, count).await,
            Err(reply) => Err(reply),
        },
        DeskRequest::Publish(document) => match permitted(person, Scope::Govern) {
            Ok(()) => network::publish(services, person, document).await,
            Err(reply) => Err(reply),
        },
        DeskRequest::Rotate(order) => match permitted(person, Scope::Operate) {
            Ok(()) => network::rotate(services, person, order).await,
            Err(reply) => Err(reply),
        },
        DeskRequest::Doctor => match permitted(person, Scope::Operate) {
            Ok(()) => Ok(DeskReply::Doctor(doctor::examine(services).await)),
            Err(reply) => Err(reply),
        },
        DeskRequest::Receipts { from } => match permitted(person, Scope::Audit) {
            Ok(()) => network::receipts(services, from).await,
            Err(reply) => Err(reply),
        },
        DeskRequest::Invite(bytes) => match permitted(person, Scope::Govern) {
            Ok(()) => network::handed(enrolment::invite(services, person, &bytes).await),
            Err(reply) => Err(reply),
        },
        DeskRequest::Attest(attestations) => match permitted(person, Scope::Govern) {
            Ok(()) => network::handed(enrolment::attest(services, person, attestations).await),
            Err(reply) => Err(reply),
        },
        DeskRequest::EnrolmentRequests => match permitted(person, Scope::Govern) {
            Ok(()) => {
                let services = Arc::clone(services);
                blocking(move || enrolment::waiting(&services)).await.map(DeskReply::EnrolmentRequests)
            }
            Err(reply) => Err(reply),
        },
        DeskRequest::Residents { all } => residents::list(services, person, all).await,
        DeskRequest::ResidentAdd(add) => residents::add(services, person, add).await,
        DeskRequest::ResidentLeave(leave) => residents::leave(services, person, leave).await,
        DeskRequest::Reviews { all } => reviews::list(services, person, all).await,
        DeskRequest::ReviewClose(closing) => reviews::close(services, person, closing).await,
        DeskRequest::HideMedicine(exception) => exceptions::hide(services, session, exception).await,
        DeskRequest::HiddenMedicines => exceptions::list(services, person).await,
        DeskRequest::Import => match permitted(person, Scope::Operate) {
            Ok(()) => return import::serve(services, person, stream).await,
            Err(reply) => Err(reply),
        },
    };
    let (Ok(reply) | Err(reply)) = reply;
    finish(stream, reply).await
}

async fn view(
    services: &Arc<Services>,
    session: &Arc<StaffSession>,
    request: careweave_protocol::desk::ViewRequest,
    mut stream: FramedStream<ExchangeStream>,
) -> Result<(), DeskError> {
    let (sender, mut events) = mpsc::channel(EVENTS);
    let task = {
        let (services, session) = (Arc::clone(services), Arc::clone(session));
        tokio::spawn(async move { ask::view(&services, &session, request, &sender).await })
    };
    let mut sent = Ok(());
    while let Some(event) = events.recv().await {
        if sent.is_ok() {
            sent = send(&mut stream, &event).await;
        }
    }
    // A view goes on when its person hangs up, so it keeps its place until it has ended: places bound how many there are.
    let reply = task.await?;
    sent?;
    finish(stream, reply).await
}

/// Sends a reply, in as many frames as it takes.
pub(crate) async fn send(stream: &mut FramedStream<ExchangeStream>, reply: &DeskReply) -> Result<(), DeskError> {
    let bytes = cbor::to_vec(reply).map_err(|_| DeskError::Protocol)?;
    for frame in split(&bytes) {
        timeout(IDLE_TIMEOUT, stream.write_frame(&frame)).await.map_err(|_| DeskError::Idle)??;
    }
    Ok(())
}

async fn finish(mut stream: FramedStream<ExchangeStream>, reply: DeskReply) -> Result<(), DeskError> {
    send(&mut stream, &reply).await?;
    Ok(stream.close().await?)
}

fn permitted(person: &StaffCredential, scope: Scope) -> Result<(), DeskReply> {
    if person.scopes.contains(&scope) {
        return Ok(());
    }
    let name = match scope {
        Scope::Operate => "operate",
        Scope::Audit => "audit",
        Scope::Govern => "govern",
    };
    Err(DeskReply::NotAllowed(name.to_owned()))
}

fn allowed(
    person: &StaffCredential,
    scope: Scope,
    work: impl FnOnce() -> Result<DeskReply, DeskReply>,
) -> Result<DeskReply, DeskReply> {
    permitted(person, scope)?;
    work()
}

/// Who the own record holds, for people who may ask about patients at all. Looking somebody up is logged.
async fn identify(
    services: &Arc<Services>,
    person: &StaffCredential,
    number: NhsNumber,
) -> Result<DeskReply, DeskReply> {
    let purposes = [careweave_protocol::query::Purpose::Treat, careweave_protocol::query::Purpose::Etreat];
    if !purposes.iter().any(|p| services.role(person.group, *p).granted) {
        return Err(DeskReply::NotAllowed("clinical".to_owned()));
    }
    let held = {
        let services = Arc::clone(services);
        blocking(move || patients::find(&services.database, &number)).await?
    };
    let mut entry =
        AuditEntry::new(EntryKind::Decision, services.clock.now(), services.config.ods.clone(), "identified");
    entry.asker = Some(services.config.ods.clone());
    entry.holder = Some(services.config.ods.clone());
    entry.actor = Some(crate::services::actor_of(person));
    // That somebody is not held here is an answer too, so every look is logged.
    // A registration that was closed in favour of another is no second person.
    let current: Vec<_> = held.iter().filter(|patient| !patient.demographics.is_copy()).collect();
    let found = match current.as_slice() {
        [patient] => Some(*patient),
        [] => {
            entry.cause = Some("unknown-patient".to_owned());
            None
        }
        _ => {
            entry.cause = Some("ambiguous".to_owned());
            None
        }
    };
    let key = found.map(|patient| patient.data_key.clone());
    let part = crate::audit::PatientAppend { number, also: Vec::new(), key, reason_text: None };
    let append = crate::audit::Append { entry, patient: Some(part), replay: None, extra: Vec::new() };
    services.audit.append(append).await.map_err(failed)?;
    let Some(patient) = found else { return Ok(DeskReply::Identity(None)) };
    let who = &patient.demographics;
    let (Some(family), Some(birth_date)) = (who.families.first(), who.birth_date) else {
        return Ok(DeskReply::Identity(None));
    };
    let namesake = {
        let (services, patient) = (Arc::clone(services), patient.clone());
        blocking(move || has_namesake(&services.database, &patient)).await?
    };
    Ok(DeskReply::Identity(Some(PatientIdentity {
        name: format!("{} {family}", who.given.join(" ")).trim().to_owned(),
        family: family.clone(),
        birth_date,
        address: who.address_line.clone().filter(|_| !who.restricted),
        namesake,
    })))
}

async fn log_page(services: &Arc<Services>, from: u64, count: u32) -> Result<DeskReply, DeskReply> {
    let audit = services.audit.clone();
    let keyring = Keyring(services.database.clone());
    blocking(move || audit.page(from, u64::from(count.min(PAGE_MAX)), Some(&keyring))).await.map(DeskReply::Log)
}

/// What the log says about one query: to its own asker what they did, to an auditor everything.
async fn explain(services: &Arc<Services>, person: &StaffCredential, query: QueryId) -> Result<DeskReply, DeskReply> {
    let auditor = permitted(person, Scope::Audit).is_ok();
    let (person, services) = (person.clone(), Arc::clone(services));
    blocking(move || {
        let mut entries: Vec<LogEntry> = Vec::new();
        let mut replayed = None;
        for index in services.audit.by_query(&query)? {
            let LogPage { entries: found, .. } =
                services.audit.page(index, 1, Some(&Keyring(services.database.clone())))?;
            for mut entry in found {
                let EntryContent::Present { details, patient, .. } = &mut entry.content else { continue };
                let Ok(details) = cbor::from_own::<AuditEntry>(details) else { continue };
                let own = details.actor.as_ref().is_some_and(|a| a.ods == person.ods && a.person == person.person);
                if !(auditor || own) {
                    continue;
                }
                // Which local organisation had something would say where the person lives.
                let receipt = details.kind == EntryKind::Receipt
                    && details.detail.as_deref() == Some(ask::WHEREABOUTS_RESTRICTED);
                let local =
                    |holder| services.trust().member(holder).is_none_or(|member| ask::locate::is_local(member.kind));
                if !auditor && receipt && details.holder.as_ref().is_none_or(local) {
                    continue;
                }
                replayed = replay(&services, &details).or(replayed);
                // Cell by cell it says which labels the own records of this patient carry, also to people whose role is not to know.
                if !auditor && details.kind == EntryKind::Decision && !details.cells.is_empty() {
                    continue;
                }
                // The number is known to whoever asked; nobody else needs it to understand the decision.
                if !auditor {
                    *patient = None;
                }
                entries.push(entry);
            }
        }
        Ok::<_, crate::audit::AuditError>(DeskReply::Explanation(Explanation { entries, replayed }))
    })
    .await
}

/// Decides again what an entry says was decided, cell by cell. `None` where there is nothing to decide again or the policy
/// bundle has changed since.
fn replay(services: &Services, entry: &AuditEntry) -> Option<bool> {
    let (actor, purpose) = (entry.actor.as_ref()?, entry.purpose?);
    if entry.kind != EntryKind::Decision || entry.cells.is_empty() || entry.policy != Some(services.policy.digest()) {
        return None;
    }
    let own = entry.asker.as_ref() == Some(&services.config.ods);
    let asker = Asker { group: actor.group, ods: actor.ods.clone(), own_organisation: own };
    let objection = Objection::ALL.into_iter().find(|o| entry.objection.as_deref() == Some(o.as_str()));
    let situation = Situation {
        relationships: entry.evidence.clone(),
        objection: objection.unwrap_or_default(),
        deceased: entry.deceased,
        last_treating: last_treating(own, &entry.evidence),
        break_glass: entry.grant.map(|_| entry.granted.iter().copied().collect()),
        case_number: entry.case_number.is_some(),
        ..Situation::new(purpose)
    };
    let same = |cell: &careweave_protocol::audit::CellDecision| {
        let again = services.policy.decide(
            &asker,
            &situation,
            &Cell { sent_to_asker: cell.sent, ..Cell::new(cell.category, cell.labels) },
        );
        again.access.as_str() == cell.access
    };
    Some(entry.cells.iter().all(same))
}

async fn blocking<T: Send + 'static, E: std::fmt::Display + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, DeskReply> {
    tokio::task::spawn_blocking(work).await.map_err(failed)?.map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> DeskReply {
    DeskReply::Failed(error.to_string())
}
