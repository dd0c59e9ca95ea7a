//! The register of residents at the desk of a care home: who lives here, who moves in, who has left.
//!
//! Every look and every change is logged, refused ones too. Whoever leaves takes the views under way with them.

use std::sync::Arc;

use careweave_protocol::audit::EntryKind;
use careweave_protocol::desk::{DeskReply, ResidentAdd, ResidentLeave};
use careweave_protocol::id::NhsNumber;
use careweave_protocol::identity::{Scope, StaffCredential, StaffGroup};
use careweave_protocol::limits::TEXT_MAX;
use careweave_protocol::query::{Cause, Purpose};
use tokio::sync::Mutex;

use super::logged::{entry, log, refused};
use super::{blocking, failed};
use crate::audit::{Append, PatientAppend};
use crate::services::Services;
use crate::store::residents::{self, Change, Unfit};

/// One change at a time: each reads the register and writes what follows from it.
static CHANGING: Mutex<()> = Mutex::const_new(());

/// The residents, for people who may ask for direct care here at all.
pub(super) async fn list(
    services: &Arc<Services>,
    person: &StaffCredential,
    all: bool,
) -> Result<DeskReply, DeskReply> {
    if !services.role(person.group, Purpose::Treat).granted {
        log(services, refused(services, person, "not-allowed: residents"), None).await?;
        return Err(DeskReply::NotAllowed("clinical".to_owned()));
    }
    let found = {
        let (services, now) = (Arc::clone(services), services.clock.now());
        blocking(move || residents::everybody(&services.database, all, now)).await?
    };
    let mut entry = entry(services, EntryKind::Decision, person, "residents-listed");
    entry.detail = Some(format!("{} listed", found.len()));
    log(services, entry, None).await?;
    Ok(DeskReply::Residents(found))
}

/// Somebody moves in.
pub(super) async fn add(
    services: &Arc<Services>,
    person: &StaffCredential,
    add: ResidentAdd,
) -> Result<DeskReply, DeskReply> {
    may_change(services, person).await?;
    let short = |text: &str| !text.trim().is_empty() && text.len() <= TEXT_MAX;
    if !short(&add.family) || !add.room.as_deref().is_none_or(short) {
        return Err(DeskReply::Refused(Cause::Malformed));
    }
    let number = add.nhs_number;
    let _one = CHANGING.lock().await;
    let change = {
        let services = Arc::clone(services);
        blocking(move || residents::add(&services.database, &add)).await?
    };
    keep(services, person, "resident-added", number, change).await
}

/// Somebody has left, or the stay under way gets another end.
pub(super) async fn leave(
    services: &Arc<Services>,
    person: &StaffCredential,
    leave: ResidentLeave,
) -> Result<DeskReply, DeskReply> {
    may_change(services, person).await?;
    let number = leave.nhs_number;
    let _one = CHANGING.lock().await;
    let change = {
        let (services, now) = (Arc::clone(services), services.clock.now());
        blocking(move || residents::leave(&services.database, &leave, now)).await?
    };
    keep(services, person, "resident-left", number, change).await
}

/// Makes a change durable together with its entry, or logs why there is none.
async fn keep(
    services: &Arc<Services>,
    person: &StaffCredential,
    event: &str,
    number: NhsNumber,
    change: Result<Change, Unfit>,
) -> Result<DeskReply, DeskReply> {
    let change = match change {
        Ok(change) => change,
        Err(unfit) => {
            let part = PatientAppend { number, key: None, reason_text: None };
            log(services, refused(services, person, &format!("{event}: {}", unfit.cause())), Some(part)).await?;
            return Err(match unfit {
                Unfit::Doubtful(doubt) => DeskReply::NotMatched(doubt.to_string()),
                _ => DeskReply::NotDone { why: unfit.to_string(), hint: unfit.hint().to_owned() },
            });
        }
    };
    let mut entry = entry(services, EntryKind::Admin, person, event);
    let until = change.stay.until.map_or_else(|| "no end known".to_owned(), |end| format!("until {}", end.rfc3339()));
    entry.detail = Some(format!("since {}, {until}", change.stay.since.rfc3339()));
    let part = PatientAppend { number, key: Some(change.data_key), reason_text: None };
    let append = Append { entry, patient: Some(part), replay: None, extra: change.rows };
    services.audit.append(append).await.map_err(failed)?;
    services.relationships.changed();
    Ok(DeskReply::Done)
}

/// Registered nurses and senior carers of homes, and whoever operates the node.
async fn may_change(services: &Services, person: &StaffCredential) -> Result<(), DeskReply> {
    let group = matches!(person.group, StaffGroup::Chn | StaffGroup::Chs);
    if group || person.scopes.contains(&Scope::Operate) {
        return Ok(());
    }
    log(services, refused(services, person, "not-allowed: residents"), None).await?;
    Err(DeskReply::NotAllowed("staff group CHN or CHS, or the scope operate".to_owned()))
}
