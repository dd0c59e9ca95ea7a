//! The enrolment service of a network: a node that the manifest names for it, and that holds the key of an intermediate authority, issues
//! organisation certificates.
//!
//! The first certificate takes a one-time code *and* the officers: whoever knows the code may file a request, and the certificate comes once
//! the manifest pins the key that was asked for. A member that is live and not suspended renews by itself. The service decides nothing about membership, so
//! a service in the wrong hands can at most issue for keys that M officers have pinned, or that their owners have endorsed.
//!
//! Reading order: here, then `enrolment/newcomer.rs` (a first certificate), `enrolment/renewal.rs` (the next one), `enrolment/issue.rs` (the one
//! place that signs), `enrolment/stored.rs` (what is kept), `enrolment/proof.rs` (the code) and `enrolment/strangers.rs` (what
//! guessing and asking in vain cost), `enrolment/office.rs` (what the governance office
//! hands over), `enrolment/client.rs` (a member that asks). What is *not* here: when a member renews, which is upkeep's.

mod client;
mod issue;
mod newcomer;
mod office;
mod proof;
mod renewal;
mod stored;
mod strangers;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use careweave_certs::authority::{Authority, AuthorityError};
use careweave_certs::keystore::{KeyStoreError, PrivateKey};
use careweave_certs::manifest::AuthorityRole;
use careweave_certs::{chain, layout};
use careweave_protocol::audit::{AuditEntry, EntryKind};
use careweave_protocol::cbor;
use careweave_protocol::directory::{RenewalReply, RenewalRequest};
use careweave_protocol::frame::split;
use careweave_protocol::identity::{EnrolHello, EnrolReply, StaffCredential};
use careweave_protocol::limits::{IDLE_TIMEOUT, REQUEST_MAX};
use careweave_protocol::query::Cause;
use careweave_protocol::time::Timestamp;
use thiserror::Error;
use tokio::time::{Instant, timeout};

use crate::answer::header::wait_for_tick;
use crate::audit::Append;
use crate::net::gate::NodeSession;
use crate::net::{ExchangeStream, FrameError, FramedStream};
use crate::services::{Services, actor_of};
use crate::store::database::Put;
use renewal::Renewals;
use strangers::{Guesses, MemberRefusals, REFUSALS_LOGGED, Refusals, Room};

pub use client::{RenewError, renew};
pub use office::{NotTaken, attest, invite, waiting};

/// The authority of this node, where it runs the service, and what it remembers between requests.
pub struct Service {
    key: PrivateKey,
    /// The intermediate's certificate, DER.
    certificate: Vec<u8>,
    guesses: Mutex<Guesses>,
    refusals: Mutex<Refusals>,
    /// Of renewals.
    refused: Mutex<MemberRefusals>,
    renewals: Mutex<Renewals>,
    /// Held from reading what is stored until its next state is durable, so that a code is used up once.
    turn: tokio::sync::Mutex<()>,
}

/// Why a node that holds the key of an authority cannot use it.
#[derive(Debug, Error)]
pub enum EnrolmentServiceError {
    /// The key file.
    #[error("the key of the enrolment service: {0}")]
    Key(#[from] KeyStoreError),
    /// The certificate beside it.
    #[error("{path} cannot be read: {source}")]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The certificate is none.
    #[error("{0} is not a certificate in PEM")]
    Certificate(PathBuf),
    /// Key and certificate are not a pair.
    #[error(transparent)]
    Pair(#[from] AuthorityError),
}

/// Why an exchange of `/careweave/enrol/1` ended early.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The stream failed.
    #[error(transparent)]
    Stream(#[from] FrameError),
    /// Nothing came, or nothing was taken.
    #[error("the member went quiet")]
    Idle,
    /// Not a request.
    #[error("the request does not follow the enrolment protocol")]
    Protocol,
}

impl Service {
    /// Reads key and certificate from a node directory; `None` where there is no key of an authority. A key in a token needs a
    /// `pin-source`, because nobody can be asked. Waits for the token.
    ///
    /// # Errors
    /// See [`EnrolmentServiceError`].
    pub fn load(dir: &Path) -> Result<Option<Self>, EnrolmentServiceError> {
        let path = dir.join(layout::AUTHORITY_KEY);
        if !path.exists() {
            return Ok(None);
        }
        let key = PrivateKey::read(&path, None)?;
        let path = dir.join(layout::AUTHORITY_CERTIFICATE);
        let pem =
            std::fs::read(&path).map_err(|source| EnrolmentServiceError::Missing { path: path.clone(), source })?;
        let chain = chain::from_pem(&pem).map_err(|_| EnrolmentServiceError::Certificate(path.clone()))?;
        let certificate = chain.first().map(|der| der.to_vec()).ok_or(EnrolmentServiceError::Certificate(path))?;
        Authority::new(certificate.as_slice().into(), &key)?;
        Ok(Some(Self {
            key,
            certificate,
            guesses: Mutex::default(),
            refusals: Mutex::default(),
            refused: Mutex::default(),
            renewals: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }))
    }
}

/// A newcomer's hello: judged, kept for the officers, or answered with the certificate. At most one certificate is signed for it, and nothing
/// but one HMAC is computed before the code has proved right. A refusal takes as long whether somebody was invited or not.
pub async fn newcomer(services: &Arc<Services>, hello: &EnrolHello) -> EnrolReply {
    let arrived = Instant::now();
    match newcomer::answer(services, hello).await {
        Ok(reply) => reply,
        Err(cause) => {
            wait_for_tick(arrived).await;
            EnrolReply::Refused(cause)
        }
    }
}

/// A member's request for its next certificate, on an admitted connection.
pub async fn renewal(services: &Arc<Services>, session: &NodeSession, request: &RenewalRequest) -> RenewalReply {
    renewal::answer(services, &session.identity, request).await
}

/// Serves one exchange of `/careweave/enrol/1`.
///
/// # Errors
/// See [`ServeError`].
pub async fn serve(services: &Arc<Services>, session: &NodeSession, stream: ExchangeStream) -> Result<(), ServeError> {
    let mut stream = FramedStream::new(stream);
    let frame = timeout(IDLE_TIMEOUT, stream.read_frame(REQUEST_MAX)).await.map_err(|_| ServeError::Idle)??;
    let Some(frame) = frame else { return Ok(()) };
    let request = cbor::from_slice(&frame, REQUEST_MAX).map_err(|_| ServeError::Protocol)?;
    let reply = cbor::to_vec(&renewal(services, session, &request).await).map_err(|_| ServeError::Protocol)?;
    let sending = async {
        for frame in split(&reply) {
            stream.write_frame(&frame).await?;
        }
        stream.close().await
    };
    Ok(timeout(IDLE_TIMEOUT, sending).await.map_err(|_| ServeError::Idle)??)
}

/// The service of this node, while the manifest names it for that and accepts its authority.
fn serving(services: &Services, now: Timestamp) -> Result<&Service, Cause> {
    let service = services.enrolment.as_ref().ok_or(Cause::NoEnrolmentService)?;
    let (trust, own) = (services.trust(), &services.config.ods);
    let accepted = trust.manifest().authorities.iter().any(|authority| {
        authority.role == AuthorityRole::Intermediate
            && authority.is_accepted()
            && authority.certificate.as_slice() == service.certificate
    });
    let named = trust.manifest().enrolment.contains(own) && !trust.is_suspended(own, None, now);
    if named && accepted { Ok(service) } else { Err(Cause::NoEnrolmentService) }
}

/// Writes an ADMIN entry and these rows in one synced batch.
///
/// # Errors
/// [`Cause::LogUnavailable`]; then nothing may be given.
async fn record(
    services: &Services,
    event: &str,
    actor: Option<&StaffCredential>,
    detail: String,
    extra: Vec<Put>,
) -> Result<(), Cause> {
    let now = services.clock.now();
    let mut entry = AuditEntry::new(EntryKind::Admin, now, services.config.ods.clone(), event);
    entry.actor = actor.map(actor_of);
    entry.detail = Some(detail);
    services.note_trust(&mut entry, now);
    let append = Append { extra, ..Append::new(entry) };
    services.audit.append(append).await.map(drop).map_err(|error| {
        tracing::error!(%error, event, "an entry could not be logged, so nothing was given");
        Cause::LogUnavailable
    })
}

/// Notes a refusal in the log, as far as there is room for those of this kind.
async fn log_refusal(services: &Services, room: Room, of: &str, detail: String, now: Timestamp) {
    match room {
        Room::Left => services.admin("enrolment-refused", None, detail).await,
        Room::Last => {
            services.admin("enrolment-refused", None, detail).await;
            let said = format!("{of}: {REFUSALS_LOGGED} in an hour; further ones are not in the log");
            services.alert("enrolment-refusals", None, Some(said), now).await;
        }
        Room::None => tracing::debug!(detail, "a request for a certificate was refused"),
    }
}

/// Runs what reads the store or signs on a thread that may wait.
///
/// # Errors
/// Those of `work`; [`Cause::LogUnavailable`] when the runtime stops.
async fn blocking<T: Send + 'static>(
    services: &Arc<Services>,
    work: impl FnOnce(&Services) -> Result<T, Cause> + Send + 'static,
) -> Result<T, Cause> {
    let services = Arc::clone(services);
    tokio::task::spawn_blocking(move || work(&services)).await.map_err(|_| Cause::LogUnavailable)?
}

/// The store does not read or write: nothing is issued without it.
fn store_failed(error: impl std::fmt::Display) -> Cause {
    tracing::error!(%error, "the enrolment service cannot use its store");
    Cause::LogUnavailable
}

#[cfg(test)]
mod tests;
