//! What ends a view that is under way: the relationship or the grant it rests on, the person's standing, or the organisation's.
//!
//! A view lasts seconds, but a resident may leave or a credential be revoked within them. Then nothing more is shown. What comes after
//! is asked anew, with evidence derived anew.

use std::sync::Arc;
use std::time::Duration;

use careweave_protocol::audit::{AuditEntry, EntryKind};
use careweave_protocol::query::{AnswerHeader, Cause, Evidence};
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::Own;
use super::evidence::{self, Grounds, rests_on};
use crate::audit::Append;
use crate::services::Services;

/// Where it is announced that relationships may have changed.
#[derive(Debug)]
pub struct Relationships {
    changes: watch::Sender<u64>,
}

impl Default for Relationships {
    fn default() -> Self {
        Self { changes: watch::Sender::new(0) }
    }
}

impl Relationships {
    /// Somebody moved in or left, or records came in: every view under way looks again at what it rests on.
    pub fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Changes from here on. Taken before the evidence is derived, so that none falls in between.
    #[must_use]
    pub fn follow(&self) -> Following {
        Following(self.changes.subscribe())
    }
}

/// Changes since [`Relationships::follow`].
#[derive(Debug)]
pub struct Following(watch::Receiver<u64>);

/// One view under way.
pub struct Live {
    services: Arc<Services>,
    question: Arc<Own>,
    /// What it rests on, of what was sent in its envelopes; empty where it rests on no relationship.
    sent: Vec<Evidence>,
    /// Of that, what was still there when it was last looked at.
    held: Vec<Evidence>,
    changes: watch::Receiver<u64>,
    /// Whether relationships have changed since they were last looked at.
    stale: bool,
    ticks: Interval,
}

impl Live {
    /// The view of this question, asked on these grounds.
    #[must_use]
    pub fn begin(services: &Arc<Services>, question: &Arc<Own>, grounds: &Grounds, following: Following) -> Self {
        let purpose = question.query.get().purpose;
        let mut ticks = interval(CHECKED_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let sent: Vec<Evidence> = grounds.items.iter().filter(|item| rests_on(purpose, item.kind)).cloned().collect();
        Self {
            services: Arc::clone(services),
            question: Arc::clone(question),
            held: sent.clone(),
            sent,
            changes: following.0,
            stale: false,
            ticks,
        }
    }

    /// Returns when the view must stop, with the reason. Nothing is lost when the future is dropped and made again.
    pub async fn ended(&mut self) -> Cause {
        loop {
            tokio::select! {
                _ = self.ticks.tick() => {}
                // The sender lives as long as the services, which this holds.
                _ = self.changes.changed() => self.stale = true,
            }
            if let Some(cause) = self.check().await {
                return cause;
            }
        }
    }

    /// Why the view must stop, if it must: for whoever is about to show something.
    pub async fn check(&mut self) -> Option<Cause> {
        let now = self.services.clock.now();
        let (person, purpose) = (&self.question.credential, self.question.query.get().purpose);
        if let Err(cause) = self.services.check_own_staff(person.signed(), now) {
            return Some(cause);
        }
        if let Some(cause) = self.services.own_eligibility(person.get(), purpose, now).refused {
            return Some(cause);
        }
        if self.question.grant.as_ref().is_some_and(|grant| !grant.runs(now)) {
            return Some(Cause::GrantInvalid);
        }
        if self.sent.is_empty() {
            return None;
        }
        self.stale |= self.changes.has_changed().unwrap_or(false);
        if self.stale {
            self.changes.borrow_and_update();
            let (services, question) = (Arc::clone(&self.services), Arc::clone(&self.question));
            let again = tokio::task::spawn_blocking(move || evidence::derive(&services, question.query.get(), now));
            match again.await {
                Ok(Ok(grounds)) => self.still(grounds),
                // Cannot tell, so no.
                Ok(Err(error)) => {
                    tracing::error!(%error, "what a view rests on could not be looked at again");
                    return Some(Cause::RelationshipEnded);
                }
                Err(_) => return Some(Cause::RelationshipEnded),
            }
            self.stale = false;
        }
        // Without anything new in the store, an end that was known from the start may have passed.
        let holds = self.held.iter().any(|item| item.until.is_none_or(|end| end > now));
        (!holds).then_some(Cause::RelationshipEnded)
    }

    /// Logs that the view was stopped, and how far it had got.
    pub async fn log(&self, cause: &Cause, came: Came) {
        let (services, question) = (&self.services, &self.question);
        let mut entry =
            AuditEntry::new(EntryKind::Admin, services.clock.now(), services.config.ods.clone(), VIEW_STOPPED);
        crate::answer::authenticate::describe(&mut entry, question.query.get(), question.credential.get());
        entry.query = Some(question.query.signed().digest());
        entry.evidence = self.sent.iter().map(|item| item.kind).collect();
        entry.cause = Some(cause.to_string());
        entry.bytes = came.bytes;
        entry.detail = Some(format!("{} of {} sources had come to an end", came.ended, came.asked));
        if let Err(error) = services.audit.append(Append::new(entry)).await {
            tracing::error!(%error, "that a view was stopped could not be logged");
        }
    }

    /// Keeps what is still among the evidence, with its end as it stands now. Another relationship than those that were sent is for the
    /// next question: the holders were not told of it.
    fn still(&mut self, again: Grounds) {
        let same = |item: &Evidence| self.sent.iter().any(|known| known.kind == item.kind && known.basis == item.basis);
        self.held = again.items.into_iter().filter(same).collect();
    }
}

/// How far a view had got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Came {
    /// Sources asked.
    pub asked: usize,
    /// Of them, those that had come to an end.
    pub ended: usize,
    /// Bytes of records received and verified.
    pub bytes: u64,
}

impl Came {
    /// A source came to an end, with this answer if there was one.
    pub(super) fn note(&mut self, answer: Option<&AnswerHeader>) {
        self.ended = self.ended.saturating_add(1);
        self.bytes = self.bytes.saturating_add(answer.map_or(0, |header| header.bytes));
    }
}

/// What the log says of a view that was stopped.
pub(super) const VIEW_STOPPED: &str = "view-stopped";
/// How often standing and known ends are looked at while sources are awaited: they are in memory, and five seconds is what an ended
/// relationship may take to be noticed.
const CHECKED_EVERY: Duration = Duration::from_secs(1);
