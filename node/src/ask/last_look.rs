//! When a person last looked at a patient: from the own log alone, because nothing clinical is kept of what they saw.

use careweave_protocol::audit::EntryKind;
use careweave_protocol::id::{NhsNumber, PersonId, QueryId};
use careweave_protocol::time::Timestamp;

use super::live::VIEW_STOPPED;
use crate::audit::AuditError;
use crate::services::Services;

/// When this person's newest earlier INTENT about this patient was logged whose view was not stopped; `None` when there is none. What a
/// stopped view would have shown was not seen.
///
/// # Errors
/// When the log cannot be read.
pub(super) fn last_look(
    services: &Services,
    number: &NhsNumber,
    person: &PersonId,
) -> Result<Option<Timestamp>, AuditError> {
    let mut positions = Vec::new();
    let mut from = 0;
    loop {
        let more = services.audit.by_patient(number, from)?;
        let Some(last) = more.last() else { break };
        from = last.saturating_add(1);
        positions.extend(more);
    }
    for index in positions.into_iter().rev() {
        let entry = services.audit.entry(index, None)?.entry;
        let own = entry.actor.is_some_and(|actor| actor.ods == services.config.ods && actor.person == *person);
        if own && entry.kind == EntryKind::Intent && !stopped(services, entry.query_id.as_ref())? {
            return Ok(Some(entry.at));
        }
    }
    Ok(None)
}

/// Whether the view of this question was stopped on the way.
fn stopped(services: &Services, query: Option<&QueryId>) -> Result<bool, AuditError> {
    let Some(query) = query else { return Ok(false) };
    for index in services.audit.by_query(query)? {
        if services.audit.entry(index, None)?.entry.outcome == VIEW_STOPPED {
            return Ok(true);
        }
    }
    Ok(false)
}
