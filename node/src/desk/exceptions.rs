//! Medicines that the Caldicott guardian hides from other organisations, by a signed exception that ends by itself.

use std::sync::Arc;

use careweave_protocol::audit::EntryKind;
use careweave_protocol::desk::{DeskReply, MedicineException};
use careweave_protocol::identity::{StaffCredential, StaffGroup};
use careweave_protocol::limits::{CLOCK_SKEW, HIDDEN_MEDICINE_LIFE, TEXT_MAX};
use careweave_protocol::query::Cause;
use careweave_protocol::signed::{Scope, Signed, Verified};
use careweave_protocol::time::Timestamp;
use tokio::sync::Mutex;

use super::logged::{entry, log, refused};
use super::{blocking, failed};
use crate::audit::{Append, PatientAppend};
use crate::net::gate::StaffSession;
use crate::services::Services;
use crate::store::exceptions;

/// One change at a time: each reads what is hidden and writes what follows from it.
static CHANGING: Mutex<()> = Mutex::const_new(());

/// Hides a medicine, or shows it again.
pub(super) async fn hide(
    services: &Arc<Services>,
    session: &Arc<StaffSession>,
    exception: Signed<MedicineException>,
) -> Result<DeskReply, DeskReply> {
    let person = session.credential.get();
    guardian(services, person).await?;
    let exception = match verify(services, session, &exception, services.clock.now()) {
        Ok(exception) => exception,
        Err(cause) => {
            log(services, refused(services, person, &cause.to_string()), None).await?;
            return Err(DeskReply::Refused(cause));
        }
    };
    let _one = CHANGING.lock().await;
    let kept = {
        let (services, session, exception) = (Arc::clone(services), Arc::clone(session), exception.clone());
        blocking(move || exceptions::keep(&services.database, &exception, session.credential.signed())).await?
    };
    let wanted = exception.get();
    let part = |key| PatientAppend { number: wanted.nhs_number, also: Vec::new(), key, reason_text: None };
    let change = match kept {
        Ok(change) => change,
        Err(unfit) => {
            log(services, refused(services, person, unfit.cause()), Some(part(None))).await?;
            return Err(DeskReply::NotDone { why: unfit.to_string(), hint: unfit.hint().to_owned() });
        }
    };
    let event = if wanted.hidden { "medicine-hidden" } else { "medicine-shown" };
    let mut entry = entry(services, EntryKind::Admin, person, event);
    entry.reason = Some(wanted.reason.clone());
    // The record's own id may tell the patient; the digest is that of the signed exception, which is kept.
    let digest = exception.signed().digest();
    entry.detail = Some(match wanted.hidden {
        true => format!("exception {digest} until {}", wanted.expires_at.rfc3339()),
        false => format!("end of exception {digest}"),
    });
    let append = Append { entry, patient: Some(part(Some(change.data_key))), replay: None, extra: change.rows };
    services.audit.append(append).await.map_err(failed)?;
    Ok(DeskReply::Done)
}

/// What is hidden now.
pub(super) async fn list(services: &Arc<Services>, person: &StaffCredential) -> Result<DeskReply, DeskReply> {
    guardian(services, person).await?;
    let found = {
        let (services, now) = (Arc::clone(services), services.clock.now());
        blocking(move || exceptions::list(&services.database, now)).await?
    };
    let mut entry = entry(services, EntryKind::Decision, person, "exceptions-listed");
    entry.detail = Some(format!("{} listed", found.len()));
    log(services, entry, None).await?;
    Ok(DeskReply::HiddenMedicines(found))
}

/// The guardian's own signature, over an exception of their own organisation that was signed just now and lasts no longer than it may.
fn verify(
    services: &Services,
    session: &StaffSession,
    exception: &Signed<MedicineException>,
    now: Timestamp,
) -> Result<Verified<MedicineException>, Cause> {
    let person = session.credential.get();
    let network = &services.config.network;
    let verified =
        exception.verify(Scope::network(network), &person.key.into()).map_err(|_| Cause::SignatureInvalid)?;
    let said = verified.get();
    let own = said.network == *network && said.ods == services.config.ods && said.guardian == person.person;
    if !own {
        return Err(Cause::SignatureInvalid);
    }
    let short = |text: &str| !text.trim().is_empty() && text.len() <= TEXT_MAX;
    let fits = short(&said.resource_type) && short(&said.id) && short(&said.reason);
    let lasts =
        said.expires_at > said.issued_at.max(now) && said.expires_at.since(said.issued_at) <= HIDDEN_MEDICINE_LIFE;
    let signed_now = said.issued_at <= now.after(CLOCK_SKEW) && now <= said.issued_at.after(CLOCK_SKEW);
    if !fits || !lasts {
        return Err(Cause::Malformed);
    }
    if signed_now { Ok(verified) } else { Err(Cause::QueryStale) }
}

async fn guardian(services: &Services, person: &StaffCredential) -> Result<(), DeskReply> {
    if person.group == StaffGroup::Ig {
        return Ok(());
    }
    log(services, refused(services, person, "not-allowed: exceptions"), None).await?;
    Err(DeskReply::NotAllowed("staff group IG".to_owned()))
}
