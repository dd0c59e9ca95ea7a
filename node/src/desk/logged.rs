//! Entries about what people do at the desk with a register of their own organisation: looks, changes, and what was refused of them.

use careweave_protocol::audit::{AuditEntry, EntryKind};
use careweave_protocol::desk::DeskReply;
use careweave_protocol::identity::StaffCredential;

use super::failed;
use crate::audit::{Append, PatientAppend};
use crate::services::{Services, actor_of};

/// An entry about this person and the own organisation.
pub(super) fn entry(services: &Services, kind: EntryKind, person: &StaffCredential, outcome: &str) -> AuditEntry {
    let own = &services.config.ods;
    AuditEntry {
        asker: Some(own.clone()),
        holder: Some(own.clone()),
        actor: Some(actor_of(person)),
        ..AuditEntry::new(kind, services.clock.now(), own.clone(), outcome)
    }
}

/// The entry about something that was not done, with the cause.
pub(super) fn refused(services: &Services, person: &StaffCredential, cause: &str) -> AuditEntry {
    AuditEntry { cause: Some(cause.to_owned()), ..entry(services, EntryKind::Decision, person, "refused") }
}

/// Makes an entry durable. What it is about must not be done, nor told, before.
///
/// # Errors
/// As the last reply, when the log takes no entry.
pub(super) async fn log(
    services: &Services,
    entry: AuditEntry,
    patient: Option<PatientAppend>,
) -> Result<(), DeskReply> {
    let append = Append { patient, ..Append::new(entry) };
    services.audit.append(append).await.map(drop).map_err(failed)
}
