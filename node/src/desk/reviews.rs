//! Reviews of break-glass and self-claimed views: listed, and closed by somebody else than the person concerned.

use std::sync::Arc;

use careweave_protocol::desk::{DeskReply, ReviewClosing};
use careweave_protocol::identity::{Scope, StaffCredential};
use careweave_protocol::limits::TEXT_MAX;
use careweave_protocol::query::Cause;

use super::{blocking, failed, permitted};
use crate::review::{self, Closure};
use crate::services::Services;

/// The reviews.
pub(super) async fn list(
    services: &Arc<Services>,
    person: &StaffCredential,
    all: bool,
) -> Result<DeskReply, DeskReply> {
    permitted(person, Scope::Audit)?;
    let (services, now) = (Arc::clone(services), services.clock.now());
    blocking(move || review::list(&services.database, all, now)).await.map(DeskReply::Reviews)
}

/// Closes one.
pub(super) async fn close(
    services: &Arc<Services>,
    person: &StaffCredential,
    closing: ReviewClosing,
) -> Result<DeskReply, DeskReply> {
    permitted(person, Scope::Audit)?;
    if !(1..=TEXT_MAX).contains(&closing.note.trim().len()) {
        return Err(DeskReply::Refused(Cause::Malformed));
    }
    let store = (&services.database, &services.audit);
    match services.reviews.close(store, person, closing, services.clock.now()).await.map_err(failed)? {
        Closure::Closed => Ok(DeskReply::Done),
        Closure::OwnConduct => Err(DeskReply::Refused(Cause::OwnReview)),
        Closure::NoSuch => Err(DeskReply::Failed("there is no such review".to_owned())),
        Closure::Already => Err(DeskReply::Failed("the review is closed already".to_owned())),
    }
}
