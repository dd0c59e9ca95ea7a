//! The register of residents at the desk of a care home: who lives here, who moves in, who has left.
//!
//! Every look and every change is logged, refused ones too. Whoever leaves takes the views under way with them.

use std::sync::Arc;

use careweave_certs::manifest::MemberKind;
use careweave_protocol::audit::EntryKind;
use careweave_protocol::desk::{DeskReply, ResidentAdd, ResidentLeave};
use careweave_protocol::id::NhsNumber;
use careweave_protocol::identity::{StaffCredential, StaffGroup};
use careweave_protocol::limits::TEXT_MAX;
use careweave_protocol::query::{Cause, Purpose};

use super::logged::{entry, log, refused};
use super::{blocking, failed};
use crate::audit::{Append, PatientAppend};
use crate::services::Services;
use crate::store::residents::{self, Change, Unfit};

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
    // Until it is durable: it reads the register, and who is under a number, and writes what follows from that.
    let _one = services.database.introducing().lock().await;
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
    let _one = services.database.introducing().lock().await;
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
            let part = PatientAppend { number, also: Vec::new(), key: None, reason_text: None };
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
    let part = PatientAppend { number, also: Vec::new(), key: Some(change.data_key), reason_text: None };
    let append = Append { entry, patient: Some(part), replay: None, extra: change.rows };
    services.audit.append(append).await.map_err(failed)?;
    services.relationships.changed();
    Ok(DeskReply::Done)
}

/// Registered nurses and senior carers, and only where the network's manifest says that this is a home: a line in the register is a reason
/// to ask others. Whoever operates the node is no clinician and has no such reason to give.
async fn may_change(services: &Services, person: &StaffCredential) -> Result<(), DeskReply> {
    if !matches!(person.group, StaffGroup::Chn | StaffGroup::Chs) {
        log(services, refused(services, person, "not-allowed: residents"), None).await?;
        return Err(DeskReply::NotAllowed("staff group CHN or CHS".to_owned()));
    }
    let home = services.trust().member(&services.config.ods).is_some_and(|own| own.kind == MemberKind::CareHome);
    if home {
        return Ok(());
    }
    log(services, refused(services, person, "not-a-care-home: residents"), None).await?;
    Err(DeskReply::NotDone {
        why: "only a care home keeps a register of residents".to_owned(),
        hint: "`careweave directory` shows as what your organisation is a member of the network".to_owned(),
    })
}
