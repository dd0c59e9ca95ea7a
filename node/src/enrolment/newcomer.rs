//! A first certificate: who knows the code may file a request, and gets the certificate once the manifest pins the key.

use std::sync::{Arc, PoisonError};

use careweave_certs::enrolment::{Enrolment, EnrolmentRequest};
use careweave_protocol::id::{Digest, OdsCode};
use careweave_protocol::identity::{EnrolHello, EnrolReply};
use careweave_protocol::limits::{CLOCK_SKEW, REPLY_MAX};
use careweave_protocol::query::Cause;
use careweave_protocol::signed::Signed;
use careweave_protocol::time::Timestamp;
use serde_bytes::ByteBuf;

use super::issue::Issued;
use super::stored::{self, Stored, Used, Waiting};
use super::{Service, blocking, log_refusal, office, proof, record, serving, store_failed};
use crate::services::Services;
use crate::store::database::Put;

/// Answers a hello.
///
/// # Errors
/// The cause, which may be told; what is logged beside it is not.
pub(super) async fn answer(services: &Arc<Services>, hello: &EnrolHello) -> Result<EnrolReply, Cause> {
    let now = services.clock.now();
    let service = serving(services, now)?;
    match judge(services, service, hello, now).await {
        Ok(reply) => Ok(reply),
        Err(refused) => {
            refused.log(services, service, now).await;
            Err(refused.cause)
        }
    }
}

/// What a stranger says, not believed yet.
#[derive(Clone)]
struct Claim {
    ods: OdsCode,
    request: Signed<EnrolmentRequest>,
}

/// Somebody who gets nothing.
struct Refused {
    ods: Option<OdsCode>,
    cause: Cause,
    /// Somebody should look at it: the event's name.
    alert: Option<&'static str>,
}

/// What comes of a right code.
enum Step {
    /// The request waits already.
    Awaiting,
    /// It is to be kept for the officers.
    Keep { row: Put, detail: String },
    /// Another key waits under the same code: one of the two is not the organisation's.
    OtherKey,
    /// The same certificate again, because the reply may have been lost.
    Again { reply: EnrolReply, detail: String },
    /// The certificate; the code is used up.
    Issue { row: Put, reply: EnrolReply, detail: String },
}

async fn judge(
    services: &Arc<Services>,
    service: &Service,
    hello: &EnrolHello,
    now: Timestamp,
) -> Result<EnrolReply, Refused> {
    let claim = Claim::read(services, hello, now)?;
    let code = claim.prove(services, service, hello, now).await?;

    let _turn = service.turn.lock().await;
    let step = {
        let claim = claim.clone();
        blocking(services, move |services| claim.decide(services, &code, now)).await
    };
    let refused = |cause| claim.refused(cause);
    match step.map_err(refused)? {
        Step::Awaiting => Ok(EnrolReply::AwaitingApproval),
        Step::Keep { row, detail } => {
            record(services, "enrolment-requested", None, detail, vec![row]).await.map_err(refused)?;
            Ok(EnrolReply::AwaitingApproval)
        }
        Step::OtherKey => Err(Refused { alert: Some("enrolment-other-key"), ..refused(Cause::KeyNotPinned) }),
        Step::Again { reply, detail } => {
            record(services, "enrolment-issued", None, detail, Vec::new()).await.map_err(refused)?;
            Ok(reply)
        }
        Step::Issue { row, reply, detail } => {
            record(services, "enrolment-issued", None, detail, vec![row]).await.map_err(refused)?;
            Ok(reply)
        }
    }
}

impl Claim {
    /// Reads a hello. Costs no signature check.
    fn read(services: &Services, hello: &EnrolHello, now: Timestamp) -> Result<Self, Refused> {
        let refused = |cause| Refused { ods: None, cause, alert: None };
        if hello.network != services.config.network {
            return Err(refused(Cause::OtherNetwork));
        }
        let ahead = hello.clock.0.saturating_sub(now.0);
        if ahead.unsigned_abs() > u64::try_from(CLOCK_SKEW.as_millis()).unwrap_or(u64::MAX) {
            return Err(refused(Cause::ClockSkew(ahead / 1000)));
        }
        if hello.request.len() > REQUEST_MAX {
            return Err(refused(Cause::Malformed));
        }
        let request = Signed::<EnrolmentRequest>::from_bytes(hello.request.to_vec());
        let request = request.map_err(|_| refused(Cause::Malformed))?;
        let said = request.unverified().map_err(|_| refused(Cause::Malformed))?;
        if said.network != hello.network {
            return Err(refused(Cause::OtherNetwork));
        }
        Ok(Self { ods: said.ods, request })
    }

    /// The digest of the code that was proved. Whoever was not invited or has the wrong code hears the same; a right one is never refused here,
    /// however many wrong ones came before.
    async fn prove(
        &self,
        services: &Arc<Services>,
        service: &Service,
        hello: &EnrolHello,
        now: Timestamp,
    ) -> Result<Digest, Refused> {
        let ods = self.ods.clone();
        let read = move |services: &Services| Stored::read(&services.database, &ods).map_err(store_failed);
        let stored = blocking(services, read).await.map_err(|cause| self.refused(cause))?;
        let code = stored.filter(|stored| stored.counts(now)).map(|stored| stored.invitation.code);
        let right = proof::holds(code.as_ref(), self.request.as_bytes(), &hello.proof);
        let mut guesses = service.guesses.lock().unwrap_or_else(PoisonError::into_inner);
        match code {
            Some(code) if right => Ok(code),
            Some(_) if guesses.wrong(&self.ods, now) => {
                Err(Refused { alert: Some("enrolment-guessing"), ..self.refused(Cause::InvitationInvalid) })
            }
            _ => Err(self.refused(Cause::InvitationInvalid)),
        }
    }

    /// What a right code comes to.
    fn decide(&self, services: &Services, code: &Digest, now: Timestamp) -> Result<Step, Cause> {
        let (service, ods) = (serving(services, now)?, &self.ods);
        let stored = Stored::read(&services.database, ods).map_err(store_failed)?;
        let stored = stored.filter(|stored| stored.counts(now) && stored.invitation.code == *code);
        let mut stored = stored.ok_or(Cause::InvitationInvalid)?;
        // Whoever signed it may be no officer any more.
        office::by_an_officer(&services.trust(), &stored.signed).ok_or(Cause::InvitationInvalid)?;
        if let Some(used) = &stored.used {
            if used.request != self.request.digest() {
                return Err(Cause::InvitationInvalid);
            }
            standing(services, ods, now)?;
            let issued = service.chain_of(services, used.leaf.to_vec(), None, now)?;
            let detail = format!("{} (again)", described(ods, &issued));
            return Ok(Step::Again { reply: enrolled(services, ods, &issued)?, detail });
        }

        let request = EnrolmentRequest::verify(&self.request).map_err(|_| Cause::SignatureInvalid)?.into_inner();
        let asked = request.certificate_request().map_err(|_| Cause::SignatureInvalid)?;
        let key = asked.key().spki_hash();
        if stored.waiting.as_ref().is_some_and(|waiting| waiting.key != key) {
            return Ok(Step::OtherKey);
        }
        let pinned = services.trust().member(ods).is_some_and(|member| member.key.accepts(&key));
        if !pinned {
            return self.keep(services, stored, key, now);
        }
        standing(services, ods, now)?;
        let issued = service.issue(services, ods, &asked, None, now)?;
        let reply = enrolled(services, ods, &issued)?;
        let leaf = ByteBuf::from(issued.certificate.der().to_vec());
        stored.used = Some(Used { at: now, request: self.request.digest(), leaf });
        stored.waiting = None;
        let row = stored.put(&services.database).map_err(store_failed)?;
        Ok(Step::Issue { row, reply, detail: described(ods, &issued) })
    }

    /// Keeps the request for the officers: one for each organisation, the newest of the same key.
    fn keep(&self, services: &Services, mut stored: Stored, key: Digest, now: Timestamp) -> Result<Step, Cause> {
        let request = ByteBuf::from(self.request.as_bytes().to_vec());
        if stored.waiting.as_ref().is_some_and(|waiting| waiting.request == request) {
            return Ok(Step::Awaiting);
        }
        let all = Stored::all(&services.database).map_err(store_failed)?;
        let others = all.iter().filter(|(_, other)| other.invitation.ods != self.ods && other.waits(now).is_some());
        if others.count() >= WAITING_MAX {
            return Err(Cause::QuotaExceeded);
        }
        let detail = format!("{}: organisation key {key}", self.ods);
        stored.waiting = Some(Waiting { request, key });
        Ok(Step::Keep { row: stored.put(&services.database).map_err(store_failed)?, detail })
    }

    fn refused(&self, cause: Cause) -> Refused {
        Refused { ods: Some(self.ods.clone()), cause, alert: None }
    }
}

impl Refused {
    /// Notes it in the log, as far as strangers may fill that.
    async fn log(&self, services: &Services, service: &Service, now: Timestamp) {
        let who = self.ods.as_ref().map_or("somebody", OdsCode::as_str);
        let detail = format!("{who}: {}", self.cause);
        if let Some(event) = self.alert {
            services.alert(event, None, Some(detail.clone()), now).await;
        }
        let room = service.refusals.lock().unwrap_or_else(PoisonError::into_inner).take(now);
        log_refusal(services, room, "strangers", detail, now).await;
    }
}

/// Whether a member may have a certificate at all.
fn standing(services: &Services, ods: &OdsCode, now: Timestamp) -> Result<(), Cause> {
    let trust = services.trust();
    if trust.is_suspended(ods, None, now) {
        return Err(Cause::Suspended);
    }
    if now >= trust.manifest().expires { Err(Cause::ManifestExpired) } else { Ok(()) }
}

/// The chain, what registrars say, and every manifest: nothing in it need be believed because it comes from here.
fn enrolled(services: &Services, ods: &OdsCode, issued: &Issued) -> Result<EnrolReply, Cause> {
    let attestations = stored::attestations(&services.database, ods).map_err(store_failed)?;
    let manifests = services.trust().manifest_chain_after(0);
    let network = services.config.network.clone();
    let enrolment = Enrolment { network, ods: ods.clone(), chain: issued.chain.clone(), attestations, manifests };
    match enrolment.to_bytes() {
        Ok(bytes) if bytes.len() <= ENROLMENT_MAX => Ok(EnrolReply::Enrolled(ByteBuf::from(bytes))),
        _ => {
            tracing::error!("the chain of manifests is too long for one reply: enrol by files");
            Err(Cause::NoEnrolmentService)
        }
    }
}

fn described(ods: &OdsCode, issued: &Issued) -> String {
    let certificate = &issued.certificate;
    format!("{ods}: until {}, organisation key {}", certificate.not_after().rfc3339(), certificate.key().spki_hash())
}

/// An enrolment request is about 1.5 KiB; with long names and an endorsement still under this.
const REQUEST_MAX: usize = 16 * 1024;
/// What fits into one reply beside its own framing.
const ENROLMENT_MAX: usize = REPLY_MAX - 1024;
/// Requests that wait for the officers at once: more than anybody compares by telephone in the two weeks of a code.
pub(super) const WAITING_MAX: usize = 256;
