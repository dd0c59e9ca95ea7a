//! Reviews: after break-glass, and after an emergency view on somebody's word, somebody else looks at what was done.
//!
//! A review opens in the same synced batch as the ALERT that tells of it, at the asker and at every holder that answered: one for each
//! grant, which further queries under the grant join. It is due after [`WORKING_DAYS`] working days, then escalated once. Its row says
//! no more than the log does: no patient.

pub mod calendar;
mod stored;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use careweave_protocol::audit::{AuditEntry, EntryKind};
use careweave_protocol::cbor;
use careweave_protocol::desk::review::Closed;
use careweave_protocol::desk::{Review, ReviewClosing};
use careweave_protocol::id::{Digest, OdsCode, QueryId};
use careweave_protocol::identity::StaffCredential;
use careweave_protocol::query::{BreakGlassGrant, Cause, Query};
use careweave_protocol::time::Timestamp;
use jiff::tz::TimeZone;
use ring::rand::SecureRandom;
use thiserror::Error;
use tokio::sync::MutexGuard;
use tokio::task::JoinError;

use self::stored::Stored;
use crate::audit::{Append, AppendError, AuditLog};
use crate::services::actor_of;
use crate::store::database::{Database, Family, Put, StoreError};

/// What keeps reviews whole while several things happen at once.
#[derive(Debug, Default)]
pub struct Reviews {
    /// Held from reading a review until its new state is durable, so that no query under a grant is lost to another. By id, so that
    /// emergencies do not wait for one another's writes.
    writing: [tokio::sync::Mutex<()>; TURNS],
    /// When overdue ones were last looked for.
    looked: Mutex<Option<Timestamp>>,
}

/// Why a review opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A grant was used.
    BreakGlass,
    /// An emergency view rested on the asker's word.
    SelfClaimed,
}

/// What is to be reviewed.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    /// The verified question.
    pub query: &'a Query,
    /// The person.
    pub credential: &'a StaffCredential,
    /// The verified grant, where there is one.
    pub grant: Option<&'a BreakGlassGrant>,
    /// Whose records were opened; `None` at the asker.
    pub holder: Option<&'a OdsCode>,
}

/// What came of closing a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closure {
    /// It is closed, durably.
    Closed,
    /// There is no such review.
    NoSuch,
    /// It was closed before.
    Already,
    /// Whoever wants to close it is the person it is about; that they tried is in the log.
    OwnConduct,
}

/// Why a review was not written or read.
#[derive(Debug, Error)]
pub enum ReviewError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log failed.
    #[error(transparent)]
    Audit(#[from] AppendError),
    /// No randomness.
    #[error("no randomness")]
    Randomness,
    /// A task ended early.
    #[error("an internal task ended early")]
    Task(#[from] JoinError),
}

impl Reviews {
    /// Appends the ALERT and, in the same batch, opens its review or joins the query to the open one of the same grant. `more` are further
    /// rows of that batch.
    ///
    /// # Errors
    /// See [`ReviewError`]; then neither is written, and nothing may be disclosed on the strength of it.
    pub async fn open(
        &self,
        (database, audit): (&Database, &AuditLog),
        zone: &str,
        opening: Opening<'_>,
        entry: AuditEntry,
        mut more: Vec<Put>,
    ) -> Result<(), ReviewError> {
        let fresh = stored::first(opening, zone, entry.at);
        let _one_at_a_time = self.turn(&fresh.turn()).await;
        let reading = database.clone();
        let placed = tokio::task::spawn_blocking(move || {
            let placed = stored::place(&reading, fresh)?;
            Ok::<_, ReviewError>(placed.put(&reading)?)
        });
        let row = placed.await??;
        more.push(row);
        audit.append(Append { entry, patient: None, replay: None, extra: more }).await?;
        Ok(())
    }

    /// Closes a review, with an ADMIN entry in the same batch. Whoever it is about is refused, and that is logged.
    ///
    /// # Errors
    /// See [`ReviewError`]; the review then is as it was.
    pub async fn close(
        &self,
        (database, audit): (&Database, &AuditLog),
        person: &StaffCredential,
        closing: ReviewClosing,
        now: Timestamp,
    ) -> Result<Closure, ReviewError> {
        let Some(found) = read(database, closing.id).await? else { return Ok(Closure::NoSuch) };
        let _one_at_a_time = self.turn(&found.turn()).await;
        let Some(mut stored) = read(database, closing.id).await? else { return Ok(Closure::NoSuch) };
        if stored.review.closed.is_some() {
            return Ok(Closure::Already);
        }
        let review = &stored.review;
        let own = stored.is_about(person);
        let outcome = if closing.justified { "justified" } else { "not-justified" };
        let event = if own { "review-close-refused" } else { "review-closed" };
        let mut entry = AuditEntry::new(EntryKind::Admin, now, person.ods.clone(), event);
        entry.actor = Some(actor_of(person));
        entry.query_id = review.queries.first().copied();
        entry.grant = stored.grant;
        entry.cause = own.then(|| Cause::OwnReview.to_string());
        entry.detail = Some(format!("{} {outcome}: {}", review.id, closing.note));
        let mut append = Append::new(entry);
        if !own {
            stored.review.closed =
                Some(Closed { at: now, by: actor_of(person), outcome: outcome.to_owned(), note: closing.note });
            append.extra.push(stored.put(database)?);
        }
        audit.append(append).await?;
        Ok(if own { Closure::OwnConduct } else { Closure::Closed })
    }

    /// Alerts once to each review that is open past its day. Looks at most every `LOOK_EVERY`.
    ///
    /// # Errors
    /// See [`ReviewError`]; the rest is looked at next time.
    pub async fn escalate(
        &self,
        (database, audit): (&Database, &AuditLog),
        log: &OdsCode,
        now: Timestamp,
    ) -> Result<(), ReviewError> {
        if !self.is_time(now) {
            return Ok(());
        }
        let reading = database.clone();
        let late = tokio::task::spawn_blocking(move || {
            let all = stored::all(&reading)?;
            Ok::<_, StoreError>(all.into_iter().filter(|s| s.is_overdue(now) && !s.escalated).collect::<Vec<_>>())
        });
        for found in late.await?? {
            let _one_at_a_time = self.turn(&found.turn()).await;
            // It may have been closed since.
            let held = read(database, found.review.id).await?;
            let Some(mut stored) = held.filter(|s| s.is_overdue(now) && !s.escalated) else { continue };
            let review = &stored.review;
            let mut entry = AuditEntry::new(EntryKind::Alert, now, log.clone(), "review-overdue");
            entry.actor = Some(review.about.clone());
            entry.purpose = Some(review.purpose);
            entry.query_id = review.queries.first().copied();
            entry.grant = stored.grant;
            entry.detail = Some(format!("{} was due {}", review.id, review.due.rfc3339()));
            stored.escalated = true;
            let mut append = Append::new(entry);
            append.extra.push(stored.put(database)?);
            audit.append(append).await?;
            tracing::warn!(event = "review-overdue", "alert");
        }
        Ok(())
    }

    /// Waits until nobody else writes reviews of this id. `None` cannot come.
    async fn turn(&self, id: &QueryId) -> Option<MutexGuard<'_, ()>> {
        let place = id.as_bytes().iter().fold(0, |sum, byte| sum ^ usize::from(*byte)) % TURNS;
        match self.writing.get(place) {
            Some(writing) => Some(writing.lock().await),
            None => None,
        }
    }

    fn is_time(&self, now: Timestamp) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let due = looked.is_none_or(|last| now.since(last) >= LOOK_EVERY);
        if due {
            *looked = Some(now);
        }
        due
    }
}

async fn read(database: &Database, id: QueryId) -> Result<Option<Stored>, ReviewError> {
    let database = database.clone();
    Ok(tokio::task::spawn_blocking(move || Stored::read(&database, &id)).await??)
}

/// The reviews, open ones first, the most urgent at the top; closed ones after them, newest first, when they are wanted too. At most
/// `LISTED_MAX`.
///
/// # Errors
/// When the store fails or a row does not open.
pub fn list(database: &Database, all: bool, now: Timestamp) -> Result<Vec<Review>, StoreError> {
    let mut found: Vec<Review> = stored::all(database)?.into_iter().map(|stored| stored.shown(now)).collect();
    found.retain(|review| all || review.closed.is_none());
    found.sort_by_key(|review| match &review.closed {
        None => (false, review.due.0),
        Some(closed) => (true, closed.at.0.saturating_neg()),
    });
    found.truncate(LISTED_MAX);
    Ok(found)
}

/// What `node status` warns of: how many reviews are open past their day.
#[must_use]
pub fn warning(database: &Database, now: Timestamp) -> Option<String> {
    match stored::all(database) {
        Ok(all) => {
            let late = all.iter().filter(|stored| stored.is_overdue(now)).count();
            (late > 0).then(|| format!("REVIEW_OVERDUE {late}"))
        }
        Err(error) => Some(format!("REVIEWS_UNREADABLE {error}")),
    }
}

/// Working days from the opening to the day it is due.
pub const WORKING_DAYS: u32 = 5;
/// How often overdue reviews are looked for: they become so once a day.
const LOOK_EVERY: Duration = Duration::from_secs(3600);
/// Reviews written at once: as many as are made durable together in a busy second.
const TURNS: usize = 32;
/// Reviews in one reply: at about 1 KiB each a quarter of the longest reply.
const LISTED_MAX: usize = 16_384;

#[cfg(test)]
mod tests;
