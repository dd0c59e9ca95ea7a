//! What has come in for one view so far: merged twice, for the first view of the own records and for the whole.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use careweave_protocol::audit::{AuditEntry, EntryKind};
use careweave_protocol::desk::{DeskReply, SourceResource, View};
use careweave_protocol::id::{Digest, NhsNumber, OdsCode};
use careweave_protocol::query::{Acknowledgement, AnswerHeader, SourceLine, SourceOutcome};
use careweave_protocol::record::Category;
use careweave_protocol::signed::Verified;
use careweave_protocol::time::Timestamp;
use serde_bytes::ByteBuf;
use tokio::time::Instant;

use super::{Own, Part, WHEREABOUTS_RESTRICTED, elapsed, failed, locate};
use crate::answer::judge::Judged;
use crate::audit::Append;
use crate::delivery;
use crate::services::Services;
use crate::view::whereabouts::Release;
use crate::view::{self, OwnIdentity, SourceRecord, SourceRecords, Subject};

/// What the own node knows about the question that its records do not say.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// Whether it is asked on the asker's word alone.
    pub(super) self_claimed: bool,
    /// Whether the own node holds another person of the same family name and birth date.
    pub(super) namesake: bool,
    /// Whether the own record says that the number asked is of a new identity.
    pub(super) number_changed: bool,
    /// Further numbers of the person, by the own record.
    pub(super) other_numbers: Vec<NhsNumber>,
    /// When the person last looked, where what came since is to be marked.
    pub(super) last_look: Option<Timestamp>,
}

/// What ties a holder's node key to the holder, and its digest.
type Evidence = Arc<(Digest, Vec<u8>)>;

/// What has come in so far.
pub(super) struct Gathered {
    pub(super) lines: Vec<SourceLine>,
    sources: Vec<SourceRecords>,
    receipts: Vec<(OdsCode, Verified<AnswerHeader>, Evidence, u32)>,
    identity: OwnIdentity,
    restricted: bool,
    /// Whether the whereabouts of the patient are restricted here or at any source so far.
    withheld: bool,
    known: Known,
}

impl Gathered {
    pub(super) fn new(
        services: &Services,
        plan: &locate::Plan,
        judged: &Judged,
        mut own_records: Vec<SourceRecord>,
        known: Known,
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
            known,
        };
        for member in &plan.members {
            let is_own = member.ods == *own;
            let records = if is_own { std::mem::take(&mut own_records) } else { Vec::new() };
            let outcome = match (is_own, member.not_asked) {
                (true, _) => Some(own_outcome(&judged.counts, judged.partial, records.len())),
                (false, not_asked) => not_asked.map(SourceOutcome::NotAsked),
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
                feed_interval: services.config.feed_interval.filter(|_| is_own),
                medicines_not_shown: if is_own { judged.medicines_not_shown } else { 0 },
                outside_period: if is_own { judged.outside_period } else { 0 },
                duty_contact: member.duty_contact.clone(),
                records,
            });
        }
        gathered
    }

    /// Whoever has not come to an end by now has not replied in time.
    pub(super) fn close(&mut self, started: Instant) {
        for source in self.sources.iter_mut().filter(|s| s.outcome.is_none()) {
            source.outcome = Some(SourceOutcome::Timeout);
            source.ms = elapsed(started);
            if let Some(line) = self.lines.iter_mut().find(|l| l.ods == source.ods) {
                line.ms = source.ms;
            }
        }
    }

    /// Whether what came of this source may be told before the view is made, which hides what must be hidden.
    pub(super) fn may_name(&self, ods: &OdsCode) -> bool {
        !self.withheld || !self.sources.iter().any(|s| s.ods == *ods && s.local && !s.own)
    }

    pub(super) fn take(&mut self, part: Part) {
        let records = part.answer.iter().flat_map(|(answer, _)| &answer.records);
        self.withheld |= records.into_iter().any(|record| record.form == record.form.stripped());
        let line = part.line();
        if let Some(slot) = self.lines.iter_mut().find(|l| l.ods == part.ods) {
            *slot = line.clone();
        }
        if let Some(source) = self.sources.iter_mut().find(|s| s.ods == part.ods) {
            source.outcome = Some(part.outcome.clone());
            source.ms = part.ms;
            source.data_to = line.data_to;
            if let Some((answer, evidence)) = part.answer {
                let records = u32::try_from(answer.records.len()).unwrap_or(u32::MAX);
                let said = answer.header.get();
                source.open.clone_from(&said.open);
                source.feed_interval = said.feed_interval.map(|seconds| Duration::from_secs(u64::from(seconds)));
                source.medicines_not_shown = said.medicines_not_shown;
                source.outside_period = said.outside_period;
                source.records = answer
                    .records
                    .into_iter()
                    .map(|r| SourceRecord { category: r.category, form: r.form, taken_in: r.taken_in, body: r.body })
                    .collect();
                self.receipts.push((part.ods, answer.header, evidence, records));
            }
        }
    }

    /// Merges what there is, off the async threads: thousands of resources are parsed here.
    pub(super) async fn show(
        mut self,
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
                asker_name: &services.config.name,
                requester: &question.credential.get().name,
                role_cannot_see: &role.cannot_see,
                may_exist: &role.may_exist,
                last_look: self.known.last_look,
                self_claimed: self.known.self_claimed,
                namesake: self.known.namesake,
                number_changed: self.known.number_changed,
                as_at,
                zone: &services.zone,
                own_identity: self.identity,
                own_restricted: self.restricted,
                dmd: services.dmd.as_ref(),
            };
            let view = view::assemble(&request, &self.sources);
            // A holder may say so in the Patient alone, and not by the form.
            self.withheld |= view.patient.address_restricted;
            (view, self)
        });
        merged.await.map_err(failed)
    }

    /// The records of the view as their holders released them, in parts of about [`PART_BYTES`]; what is about somebody else, or is
    /// never part of a view, is left out. Where whereabouts are restricted, nothing in them tells either.
    pub(super) async fn resources(
        self,
        question: &Arc<Own>,
        restricted: bool,
    ) -> Result<(Vec<Vec<SourceResource>>, Self), DeskReply> {
        let question = Arc::clone(question);
        let work = move || {
            let asked = &question.query.get().patient;
            let mut parts = vec![Vec::new()];
            let mut bytes = 0;
            let release = restricted.then(|| Release::new(&self.sources));
            for (origin, source) in (0..).zip(&self.sources) {
                let name = view::completeness::named(source, restricted);
                let subject = Subject::of(asked, &source.records, self.known.number_changed);
                for record in &source.records {
                    let shown = match record.category {
                        Category::Experience => false,
                        Category::Other => source.own,
                        _ => true,
                    };
                    if !shown {
                        continue;
                    }
                    let Some(body) = subject.release(&record.body) else { continue };
                    let (form, body) = match &release {
                        Some(release) => (record.form.stripped(), release.of(&body)),
                        None => (record.form, body),
                    };
                    bytes += body.len();
                    if bytes > PART_BYTES {
                        parts.push(Vec::new());
                        bytes = body.len();
                    }
                    let resource = SourceResource {
                        source: name.clone(),
                        origin,
                        category: record.category,
                        form,
                        taken_in: record.taken_in,
                        body: ByteBuf::from(body),
                    };
                    if let Some(part) = parts.last_mut() {
                        part.push(resource);
                    }
                }
            }
            (parts, self)
        };
        tokio::task::spawn_blocking(work).await.map_err(failed)
    }

    /// RECEIPT entries and acknowledgements: durable together, off the path of the view.
    pub(super) fn log_receipts(self, services: &Arc<Services>, question: &Arc<Own>, now: Timestamp) {
        let (services, question) = (Arc::clone(services), Arc::clone(question));
        let withheld = self.withheld.then(|| WHEREABOUTS_RESTRICTED.to_owned());
        tokio::spawn(async move {
            let appends = self.receipts.into_iter().map(|(ods, header, evidence, records)| {
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
                let kept = delivery::keep(&services, &ods, &item, (&header, &evidence));
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

/// What came of the own records: a part as well where the budget ended, or one of them could not be unpacked.
fn own_outcome(counts: &BTreeMap<Category, u32>, partial: bool, read: usize) -> SourceOutcome {
    let selected = counts.values().copied().fold(0, u32::saturating_add);
    match (selected, u32::try_from(read)) {
        (0, _) => SourceOutcome::NothingShareable,
        (selected, Ok(read)) if read == selected && !partial => SourceOutcome::Answered,
        _ => SourceOutcome::AnsweredPartial,
    }
}

/// Bodies in one reply of records: a few dozen frames, so that the person's end can begin to read.
const PART_BYTES: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_organisation_has_answered_in_whole_only_when_everything_selected_was_read() {
        let counts = |count: u32| [(Category::Allergies, count)].into_iter().collect::<BTreeMap<_, _>>();
        for (selected, partial, read, outcome) in [
            (2, false, 2, SourceOutcome::Answered),
            (2, true, 2, SourceOutcome::AnsweredPartial),
            (2, false, 1, SourceOutcome::AnsweredPartial),
            (2, false, 0, SourceOutcome::AnsweredPartial),
        ] {
            assert_eq!(own_outcome(&counts(selected), partial, read), outcome);
        }
        assert_eq!(own_outcome(&BTreeMap::new(), false, 0), SourceOutcome::NothingShareable);
    }
}
