//! What the governance office hands to the service and takes from it, at the desk of its node: invitations, attestations, requests that wait.

use std::sync::Arc;

use careweave_certs::attest as attestation;
use careweave_certs::enrolment::Invitation;
use careweave_certs::trust::Trust;
use careweave_protocol::id::OdsCode;
use careweave_protocol::identity::{Attestation, StaffCredential};
use careweave_protocol::limits::{CLOCK_SKEW, INVITATION_LIFE};
use careweave_protocol::query::Cause;
use careweave_protocol::signed::{Scope, Signed, SignedError, Verified};
use careweave_protocol::time::Timestamp;
use rocksdb::WriteBatch;
use serde_bytes::ByteBuf;
use thiserror::Error;
use tokio::task::JoinError;

use super::stored::{self, Stored};
use super::{Service, record, serving};
use crate::services::Services;
use crate::store::database::{Database, Family, Put, StoreError};

/// Why the service did not take what the office handed over.
#[derive(Debug, Error)]
pub enum NotTaken {
    /// Not this node.
    #[error(
        "this node does not run the enrolment service: its manifest does not name it, or it has no accepted authority"
    )]
    NoService,
    /// Not a signed statement.
    #[error(transparent)]
    Form(#[from] SignedError),
    /// Signed by nobody who may.
    #[error("the invitation is not signed by an officer of the manifest that holds")]
    NotAnOfficer,
    /// Its time has passed.
    #[error("the invitation is over")]
    Over,
    /// It lasts too long.
    #[error("the invitation lasts longer than {} days", INVITATION_LIFE.as_secs() / 86_400)]
    TooLong,
    /// The organisation was invited again since.
    #[error("{0} has a later invitation")]
    Later(OdsCode),
    /// There is no room for another.
    #[error("{INVITATIONS_MAX} invitations are open already")]
    TooMany,
    /// About nobody in particular.
    #[error("{0} is not a member")]
    NotAMember(OdsCode),
    /// Signed by nobody who may.
    #[error("the attestation about {0} is not signed by a registrar of the manifest that holds")]
    NotARegistrar(OdsCode),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It could not be logged, so it was not taken.
    #[error("not logged, so not taken: {0}")]
    Log(Cause),
    /// The runtime stops.
    #[error(transparent)]
    Task(#[from] JoinError),
}

/// Takes an invitation that an officer has signed. The same one again changes nothing; a later one takes the place of an earlier one, with
/// whatever was filed under that.
///
/// # Errors
/// See [`NotTaken`].
pub async fn invite(services: &Arc<Services>, person: &StaffCredential, bytes: &[u8]) -> Result<String, NotTaken> {
    let now = services.clock.now();
    let service = runs(services, now)?;
    let signed = Signed::from_bytes(bytes.to_vec())?;
    let verified = by_an_officer(&services.trust(), &signed).ok_or(NotTaken::NotAnOfficer)?;
    let invitation = verified.into_inner();
    if now >= invitation.expires {
        return Err(NotTaken::Over);
    }
    if invitation.expires > now.after(INVITATION_LIFE).after(CLOCK_SKEW) {
        return Err(NotTaken::TooLong);
    }
    let said = format!("{} until {}", invitation.ods, invitation.expires.rfc3339());

    let _turn = service.turn.lock().await;
    let placed = {
        let services = Arc::clone(services);
        tokio::task::spawn_blocking(move || place(&services.database, invitation, signed, now)).await??
    };
    let Some(row) = placed else { return Ok(format!("{said}: already known")) };
    record(services, "invited", Some(person), said.clone(), vec![row]).await.map_err(NotTaken::Log)?;
    Ok(said)
}

/// Takes attestations that a registrar has signed, to be handed out with renewals. Of several about one standard the newest stays.
///
/// # Errors
/// See [`NotTaken`]; then none is taken.
pub async fn attest(
    services: &Arc<Services>,
    person: &StaffCredential,
    attestations: Vec<Signed<Attestation>>,
) -> Result<String, NotTaken> {
    let service = runs(services, services.clock.now())?;
    let mut verified = Vec::new();
    for signed in attestations {
        let claim = signed.unverified()?;
        let trust = services.trust();
        if trust.member(&claim.ods).is_none() {
            return Err(NotTaken::NotAMember(claim.ods));
        }
        let registrars = &trust.manifest().registrars;
        let one = attestation::verify_all(&[signed], &services.config.network, &claim.ods, registrars);
        verified.push(one.into_iter().next().ok_or(NotTaken::NotARegistrar(claim.ods))?);
    }
    let said: Vec<String> = verified.iter().map(|a| described(a.get())).collect();
    let said = said.join(", ");

    let _turn = service.turn.lock().await;
    let rows = {
        let services = Arc::clone(services);
        tokio::task::spawn_blocking(move || merged(&services, verified)).await??
    };
    record(services, "attested", Some(person), said.clone(), rows).await.map_err(NotTaken::Log)?;
    Ok(said)
}

/// Requests that wait for the officers: COSE_Sign1 by the organisation key each, at most 256.
///
/// # Errors
/// When the store does not read.
pub fn waiting(services: &Services) -> Result<Vec<ByteBuf>, StoreError> {
    let now = services.clock.now();
    let all = Stored::all(&services.database)?;
    let trust = services.trust();
    let waits = |stored: &Stored| {
        let waiting = stored.waits(now)?;
        // What the manifest pins already waits for its owner, not for the officers.
        let pinned = trust.member(&stored.invitation.ods).is_some_and(|member| member.key.accepts(&waiting.key));
        (!pinned).then(|| waiting.request.clone())
    };
    Ok(all.iter().filter_map(|(_, stored)| waits(stored)).collect())
}

/// The invitation, when an officer of the manifest that holds has signed it.
pub(super) fn by_an_officer(trust: &Trust, signed: &Signed<Invitation>) -> Option<Verified<Invitation>> {
    let scope = Scope::network(trust.network());
    trust.manifest().governance.keys.iter().find_map(|officer| signed.verify(scope, officer).ok())
}

/// Of several attestations about one standard the newest.
pub(super) fn newest(all: impl Iterator<Item = Verified<Attestation>>) -> Vec<Verified<Attestation>> {
    let mut kept: Vec<Verified<Attestation>> = Vec::new();
    for next in all {
        let age = |a: &Verified<Attestation>| (a.get().issued, a.get().expires);
        match kept.iter_mut().find(|held| held.get().standard == next.get().standard) {
            Some(held) if age(held) < age(&next) => *held = next,
            Some(_) => {}
            None => kept.push(next),
        }
    }
    kept
}

fn runs(services: &Services, now: Timestamp) -> Result<&Service, NotTaken> {
    serving(services, now).map_err(|_| NotTaken::NoService)
}

/// The row of an invitation; `None` for one that is there already.
fn place(
    database: &Database,
    invitation: Invitation,
    signed: Signed<Invitation>,
    now: Timestamp,
) -> Result<Option<Put>, NotTaken> {
    match Stored::read(database, &invitation.ods)? {
        Some(held) if held.invitation == invitation => return Ok(None),
        Some(held) if held.invitation.expires >= invitation.expires => return Err(NotTaken::Later(invitation.ods)),
        _ => {}
    }
    let mut remembered = 0_usize;
    let mut over = WriteBatch::default();
    for (key, stored) in Stored::all(database)? {
        if stored.is_over(now) {
            database.delete(&mut over, Family::Meta, &key)?;
        } else if stored.invitation.ods != invitation.ods {
            remembered = remembered.saturating_add(1);
        }
    }
    // The entry that follows is synced, and that covers this.
    database.write_buffered(over)?;
    if remembered >= INVITATIONS_MAX {
        return Err(NotTaken::TooMany);
    }
    Ok(Some(Stored::new(invitation, signed).put(database)?))
}

/// The rows of every member that the attestations are about, with those held before.
fn merged(services: &Services, fresh: Vec<Verified<Attestation>>) -> Result<Vec<Put>, NotTaken> {
    let mut members: Vec<OdsCode> = fresh.iter().map(|a| a.get().ods.clone()).collect();
    members.sort();
    members.dedup();
    let rows = members.iter().map(|ods| {
        let held = stored::attestations(&services.database, ods)?;
        let held = {
            let trust = services.trust();
            attestation::verify_all(&held, &services.config.network, ods, &trust.manifest().registrars)
        };
        let about = fresh.iter().filter(|a| a.get().ods == *ods).cloned();
        let all: Vec<_> = newest(held.into_iter().chain(about)).into_iter().map(Verified::into_signed).collect();
        Ok(stored::put_attestations(&services.database, ods, &all)?)
    });
    rows.collect()
}

fn described(attestation: &Attestation) -> String {
    let status = attestation.status.map(|status| format!(" {status}")).unwrap_or_default();
    format!("{} {}{status} until {}", attestation.ods, attestation.standard.as_str(), attestation.expires)
}

/// Invitations remembered at once: a network of a thousand members could be built in one fortnight.
const INVITATIONS_MAX: usize = 1_024;

#[cfg(test)]
mod tests;
