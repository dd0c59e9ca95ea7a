//! The inbound path: one query of another organisation, from envelope to last byte, read top to bottom in [`answer`].
//!
//! Nothing of a record is read before its DECISION is durable (see [`permit`]), and a refusal about the patient looks the
//! same whatever its reason (see [`header`]).

pub mod authenticate;
pub mod decisions;
pub mod guard;
pub mod header;
pub mod judge;
pub mod permit;
pub mod stream;

use std::sync::Arc;

use careweave_protocol::audit::{AuditEntry, EntryKind};
use careweave_protocol::frame;
use careweave_protocol::limits::{ANSWER_BUDGET, IDLE_TIMEOUT, REQUEST_MAX};
use careweave_protocol::query::{AnswerFrame, AnswerOutcome, Cause};
use careweave_protocol::signed::SignedError;
use careweave_protocol::time::Timestamp;
use thiserror::Error;
use tokio::task::JoinError;
use tokio::time::{Instant, timeout};

use self::authenticate::{Asked, NotBelieved};
use self::guard::Admission;
use self::header::Verdict;
use self::permit::Permit;
use crate::audit::{Append, AppendError, AppendReceipt};
use crate::net::gate::NodeSession;
use crate::net::{ExchangeStream, FrameError, FramedStream};
use crate::review::ReviewError;
use crate::services::Services;
use crate::store::database::StoreError;
use crate::store::records::ReadError;

/// Why an exchange ended without a whole answer. The peer has been told what it may know.
#[derive(Debug, Error)]
pub enum AnswerError {
    /// The stream failed, or the asker stopped reading.
    #[error(transparent)]
    Stream(#[from] FrameError),
    /// Nothing came for [`IDLE_TIMEOUT`].
    #[error("the asker went quiet")]
    Idle,
    /// What the answer rested on ended while it was sent.
    #[error("cut: {0}")]
    Ended(Cause),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A permitted record could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The decision could not be made durable, so nothing was disclosed.
    #[error(transparent)]
    Audit(#[from] AppendError),
    /// The alert and its review could not be made durable, so nothing was disclosed.
    #[error(transparent)]
    Review(#[from] ReviewError),
    /// The header could not be signed.
    #[error(transparent)]
    Signing(#[from] SignedError),
    /// What was decided is not what was made durable. Cannot happen; nothing is disclosed if it does.
    #[error("the durable entry commits to another selection")]
    NotPermitted,
    /// A task of ours was cancelled or panicked.
    #[error("an internal task ended early")]
    Task(#[from] JoinError),
}

/// Answers one query.
///
/// # Errors
/// See [`AnswerError`].
pub async fn answer(
    services: &Arc<Services>,
    session: &NodeSession,
    stream: ExchangeStream,
) -> Result<(), AnswerError> {
    let mut stream = FramedStream::new(stream);
    let Some(envelope) = within(stream.read_frame(REQUEST_MAX)).await? else { return Ok(()) };
    // Not before: whoever sends slowly would choose how close to a tick the work ends, and so measure it.
    let arrived = Instant::now();
    let now = services.clock.now();

    // Who asks? A cause from here to `guard` is about the asker, and is named.
    let asked = match authenticate::authenticate(services, session, envelope, now) {
        Ok(asked) => asked,
        Err(refused) => {
            let cause = refused.cause.clone();
            return refuse(services, session, &mut stream, Err(&refused), cause, now).await;
        }
    };
    let (alerts, new_today) = match guard::check(services, session, &asked, now) {
        Admission::Welcome { alerts, new_today } => (alerts, new_today),
        Admission::Busy { retry_ms } => return within(stream.write_frame(&frame::busy(retry_ms))).await,
        Admission::Refused(cause) => return refuse(services, session, &mut stream, Ok(&asked), cause, now).await,
        Admission::OverQuota { first } => {
            if first {
                services.alert("quota", Some(&asked), None, now).await;
            }
            return refuse(services, session, &mut stream, Ok(&asked), Cause::QuotaExceeded, now).await;
        }
    };

    // Which records? A cause from here on is about the patient, and stays in our own log.
    let (asked, judged) = {
        let services = Arc::clone(services);
        tokio::task::spawn_blocking(move || {
            let budget = asked.envelope.get().budget.min(ANSWER_BUDGET);
            let judged = judge::judge_for_another(&services, &asked.question(), budget);
            (asked, judged)
        })
        .await?
    };
    let mut judged = judged?;

    // The decision is durable before a byte leaves.
    let mut verdict = Verdict::of(&judged)?;
    let entry = judged.entry(services, &asked.question(), &verdict, now);
    let extra = if new_today { guard::mark(services, &asked, now) } else { Vec::new() };
    let append = Append { entry, patient: judged.patient_append(&asked), replay: Some(asked.replay(now)), extra };
    let receipt = match services.audit.append(append).await {
        Ok(receipt) => receipt,
        Err(AppendError::Replayed) => {
            services.alert("replay", Some(&asked), None, now).await;
            return refuse(services, session, &mut stream, Ok(&asked), Cause::Replayed, now).await;
        }
        Err(error) => {
            unlogged(services, session, &mut stream, arrived, now).await?;
            return Err(error.into());
        }
    };
    for cause in alerts {
        services.alert("eligibility", Some(&asked), Some(cause.to_string()), now).await;
    }

    match judged.grant.take() {
        None => {
            verdict.fill_refusal_bucket();
            let head = header::frame(services, session, &asked, &verdict, &receipt, now)?;
            header::wait_for_tick(arrived).await;
            within(stream.write_frames(&[&head, &[AnswerFrame::END]])).await?;
        }
        Some((patient, grant)) => {
            // Only where something is given: an entry more for a near miss would tell it from a stranger.
            if judged.alert
                && let Err(error) = services.alert_access(&asked, now).await
            {
                unlogged(services, session, &mut stream, arrived, now).await?;
                return Err(error.into());
            }
            let permit = Permit::new(grant, &receipt).ok_or(AnswerError::NotPermitted)?;
            let head = header::frame(services, session, &asked, &verdict, &receipt, now)?;
            stream::send(services, session, &asked, &mut stream, &head, permit, patient).await?;
        }
    }
    within(stream.close()).await
}

/// Says that nothing is given because it could not be logged.
async fn unlogged(
    services: &Services,
    session: &NodeSession,
    stream: &mut FramedStream<ExchangeStream>,
    arrived: Instant,
    now: Timestamp,
) -> Result<(), AnswerError> {
    let head = header::unlogged(services, session, Cause::LogUnavailable, now)?;
    header::wait_for_tick(arrived).await;
    within(stream.write_frames(&[&head, &[AnswerFrame::END]])).await
}

/// Logs and sends a refusal whose cause is about the asker.
async fn refuse(
    services: &Arc<Services>,
    session: &NodeSession,
    stream: &mut FramedStream<ExchangeStream>,
    asked: Result<&Asked, &NotBelieved>,
    cause: Cause,
    now: Timestamp,
) -> Result<(), AnswerError> {
    tracing::info!(asker = %session.identity.ods(), %cause, "query refused");
    let verdict = Verdict::refused(cause.clone())?;
    let mut entry = AuditEntry::new(EntryKind::Decision, now, services.config.ods.clone(), "refused");
    entry.asker = Some(session.identity.ods().clone());
    entry.holder = Some(services.config.ods.clone());
    entry.cause = Some(cause.to_string());
    entry.commitment_salt = Some(verdict.salt);
    services.note_trust(&mut entry, now);
    match asked {
        Ok(asked) => asked.describe(&mut entry),
        Err(refused) => refused.describe(&mut entry),
    }
    let append = Append { entry, patient: None, replay: None, extra: Vec::new() };
    let receipt: AppendReceipt = services.audit.append(append).await?;
    let head = match asked {
        Ok(asked) => header::frame(services, session, asked, &verdict, &receipt, now)?,
        Err(refused) => header::frame_for(services, session, refused.envelope, None, &verdict, &receipt, now)?,
    };
    within(stream.write_frames(&[&head, &[AnswerFrame::END]])).await?;
    within(stream.close()).await
}

/// A step on the stream: an asker that neither writes nor reads keeps no place for longer than [`IDLE_TIMEOUT`].
async fn within<T>(step: impl Future<Output = Result<T, FrameError>>) -> Result<T, AnswerError> {
    Ok(timeout(IDLE_TIMEOUT, step).await.map_err(|_| AnswerError::Idle)??)
}

/// The outcome as the log names it.
#[must_use]
pub fn outcome_name(outcome: &AnswerOutcome) -> &'static str {
    match outcome {
        AnswerOutcome::Answered => "answered",
        AnswerOutcome::Partial => "answered-partial",
        AnswerOutcome::NothingShareable => "nothing-shareable",
        AnswerOutcome::Refused(_) => "refused",
    }
}
