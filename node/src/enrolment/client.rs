//! A member that asks for its next certificate.

use std::sync::Arc;
use std::time::Duration;

use careweave_certs::authority::{AuthorityError, CertificateRequest};
use careweave_protocol::cbor;
use careweave_protocol::directory::{RenewalReply, RenewalRequest};
use careweave_protocol::frame::{Assembly, retry_after};
use careweave_protocol::id::OdsCode;
use careweave_protocol::identity::KeyEndorsement;
use careweave_protocol::limits::{FRAME_MAX, REQUEST_MAX};
use careweave_protocol::query::Cause;
use careweave_protocol::signed::Signed;
use thiserror::Error;
use tokio::time::timeout;

use super::renewal;
use crate::net::{ConnectError, FrameError, FramedStream, OpenError, Protocol};
use crate::services::Services;

/// Why there is no next certificate, and no refusal that could be mended either.
#[derive(Debug, Error)]
pub enum RenewError {
    /// The manifest names nobody.
    #[error("no member runs the enrolment service; renew by files")]
    NoService,
    /// The own request cannot be read.
    #[error(transparent)]
    Request(#[from] AuthorityError),
    /// Where it is, nobody knows.
    #[error("no address of {0} is known")]
    NoAddress(OdsCode),
    /// Not connected.
    #[error("{0} is not reached: {1}")]
    Unreachable(OdsCode, ConnectError),
    /// Not admitted, or the protocol is not offered.
    #[error("no stream to {0}: {1}")]
    Open(OdsCode, OpenError),
    /// The stream failed.
    #[error("the exchange with {0} failed: {1}")]
    Stream(OdsCode, FrameError),
    /// It did not answer in time.
    #[error("{0} did not answer in time")]
    Timeout(OdsCode),
    /// What it said is no reply.
    #[error("{0} does not follow the enrolment protocol")]
    Protocol(OdsCode),
    /// What it issued, members would refuse.
    #[error("the certificate from {0} would be refused by members: {1}")]
    NotBelieved(OdsCode, Cause),
}

/// Asks the members that run the service, one after the other, for the next certificate for the key of this request; the first that issues
/// one that members would accept wins. A refusal is given when nobody issues: the first that says more than that a node runs no service.
///
/// # Errors
/// [`RenewError`] of the last one asked, when none of them gave an answer.
pub async fn renew(
    services: &Arc<Services>,
    certificate_request: String,
    endorsement: Option<Signed<KeyEndorsement>>,
) -> Result<RenewalReply, RenewError> {
    let wanted = CertificateRequest::from_pem(&certificate_request)?;
    let request = RenewalRequest { certificate_request, endorsement };
    let named = services.trust().manifest().enrolment.clone();
    let mut refusal = None;
    let mut last = RenewError::NoService;
    for ods in named {
        let reply = if ods != services.config.ods {
            ask(services, &ods, &request).await
        } else if services.enrolment.is_some() {
            let own = services.own().identity().clone();
            Ok(renewal::answer(services, &own, &request).await)
        } else {
            continue;
        };
        match reply {
            Ok(reply @ RenewalReply::Issued { .. }) => match believed(services, &wanted, &request, &reply) {
                Ok(()) => return Ok(reply),
                Err(cause) => last = RenewError::NotBelieved(ods, cause),
            },
            Ok(RenewalReply::Refused(cause)) => {
                if refusal.as_ref().is_none_or(|held| *held == Cause::NoEnrolmentService) {
                    refusal = Some(cause);
                }
            }
            Err(error) => {
                tracing::info!(%error, "no certificate from this member");
                last = error;
            }
        }
    }
    refusal.map(RenewalReply::Refused).ok_or(last)
}

/// Whether members would accept the chain, for this organisation and this key.
fn believed(
    services: &Services,
    wanted: &CertificateRequest,
    request: &RenewalRequest,
    reply: &RenewalReply,
) -> Result<(), Cause> {
    let RenewalReply::Issued { chain, .. } = reply else { return Err(Cause::Malformed) };
    let now = services.clock.now();
    let certificate = services.trust().verify_chain(chain, request.endorsement.as_ref(), now)?;
    let ours = certificate.ods() == &services.config.ods && certificate.key() == wanted.key();
    if ours { Ok(()) } else { Err(Cause::CertInvalid) }
}

async fn ask(services: &Services, ods: &OdsCode, request: &RenewalRequest) -> Result<RenewalReply, RenewError> {
    let named = || ods.clone();
    let known = services.directory.get(ods, services.clock.now()).ok_or_else(|| RenewError::NoAddress(named()))?;
    let end = services.peers.current();
    let handle = &end.gate.handle;
    let failed = |error: FrameError| RenewError::Stream(named(), error);
    let exchange = async {
        if !handle.is_admitted(known.peer) {
            let dialled = handle.dial(known.peer, known.addresses.clone(), CONNECT).await;
            dialled.map_err(|error| RenewError::Unreachable(named(), error))?;
            handle.wait_admitted(known.peer, CONNECT).await.map_err(|error| RenewError::Open(named(), error))?;
        }
        let stream = handle.open(known.peer, Protocol::Enrol, CONNECT).await;
        let mut stream = FramedStream::new(stream.map_err(|error| RenewError::Open(named(), error))?);
        let bytes = cbor::to_vec(request).map_err(|_| RenewError::Protocol(named()))?;
        stream.write_frame(&bytes).await.map_err(failed)?;
        stream.close().await.map_err(failed)?;
        let mut assembly = Assembly::default();
        loop {
            let frame = stream.read_frame(FRAME_MAX).await.map_err(failed)?;
            let frame = frame.ok_or_else(|| RenewError::Protocol(named()))?;
            if retry_after(&frame).is_some() {
                return Err(RenewError::Timeout(named()));
            }
            if let Some(reply) = assembly.push(&frame).map_err(|_| RenewError::Protocol(named()))? {
                return cbor::from_slice(&reply, REPLY_MAX).map_err(|_| RenewError::Protocol(named()));
            }
        }
    };
    timeout(DEADLINE, exchange).await.map_err(|_| RenewError::Timeout(named()))?
}

/// How long one attempt to connect may take.
const CONNECT: Duration = Duration::from_secs(5);
/// One member's time to answer, with a token that signs over a network.
const DEADLINE: Duration = Duration::from_secs(30);
/// A chain of a few KiB and a handful of attestations.
const REPLY_MAX: usize = 4 * REQUEST_MAX;
