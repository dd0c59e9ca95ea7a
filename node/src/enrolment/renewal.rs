//! A member's next certificate: for whoever is in good standing, for a key that the manifest pins or its owner has endorsed.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use careweave_certs::attest;
use careweave_certs::authority::CertificateRequest;
use careweave_certs::trust::{PeerIdentity, Trust};
use careweave_protocol::directory::{RenewalReply, RenewalRequest};
use careweave_protocol::id::{Digest, OdsCode};
use careweave_protocol::identity::{Attestation, KeyEndorsement};
use careweave_protocol::query::{Cause, Purpose};
use careweave_protocol::signed::{Signed, Verified};
use careweave_protocol::time::Timestamp;

use super::issue::Issued;
use super::{blocking, office, record, serving, store_failed, stored};
use crate::services::Services;

/// Answers a member's request.
pub(super) async fn answer(services: &Arc<Services>, member: &PeerIdentity, request: &RenewalRequest) -> RenewalReply {
    let (now, ods) = (services.clock.now(), member.ods().clone());
    match renew(services, member, request, now).await {
        Ok(reply) => reply,
        Err(cause) => {
            // Where nobody is served, nothing was refused that could have been had here.
            if services.enrolment.is_some() {
                services.admin("enrolment-refused", None, format!("{ods}: {cause}")).await;
            }
            RenewalReply::Refused(cause)
        }
    }
}

/// A member that may have a certificate for a key.
struct Granted {
    issued: Issued,
    key: Digest,
    attestations: Vec<Signed<Attestation>>,
    /// Whether it was signed for this request, and not for one shortly before.
    fresh: bool,
}

async fn renew(
    services: &Arc<Services>,
    member: &PeerIdentity,
    request: &RenewalRequest,
    now: Timestamp,
) -> Result<RenewalReply, Cause> {
    let granted = {
        let (member, request) = (member.clone(), request.clone());
        blocking(services, move |services| judge(services, &member, &request, now)).await?
    };
    let Granted { issued, key, attestations, fresh } = granted;
    if fresh {
        let (ods, certificate) = (member.ods(), &issued.certificate);
        let detail = format!("{ods}: until {}, organisation key {key}", certificate.not_after().rfc3339());
        record(services, "certificate-renewed", None, detail, Vec::new()).await?;
        // Only now: what is not in the log is not handed out by the next request either.
        if let Some(service) = &services.enrolment {
            let mut renewals = service.renewals.lock().unwrap_or_else(PoisonError::into_inner);
            renewals.keep(ods, key, certificate.der().to_vec());
        }
    }
    Ok(RenewalReply::Issued { chain: issued.chain, attestations })
}

fn judge(
    services: &Services,
    member: &PeerIdentity,
    request: &RenewalRequest,
    now: Timestamp,
) -> Result<Granted, Cause> {
    let (service, ods) = (serving(services, now)?, member.ods());
    let attested = attested(services, member)?;
    // What a query for direct care would be refused for, a certificate is refused for.
    let standing =
        services.trust().check_standing((ods, Some(member.node())), &attested, None, Purpose::Treat, now).refused;
    if let Some(cause) = standing {
        return Err(cause);
    }
    let asked = CertificateRequest::from_pem(&request.certificate_request).map_err(|_| Cause::Malformed)?;
    if !asked.is_for(&services.config.network, ods) {
        return Err(Cause::CertInvalid);
    }
    let (key, endorsement) = (asked.key().spki_hash(), request.endorsement.as_ref());
    if !accepts(&services.trust(), ods, &key, endorsement, now) {
        return Err(Cause::KeyNotPinned);
    }
    let begun = service.renewals.lock().unwrap_or_else(PoisonError::into_inner).begin(ods, &key, now);
    let (issued, fresh) = match begun {
        Begun::Recent(leaf) => (service.chain_of(services, leaf, endorsement, now)?, false),
        Begun::TooMany => return Err(Cause::QuotaExceeded),
        Begun::Fresh => (service.issue(services, ods, &asked, endorsement, now)?, true),
    };
    let attestations = attested.into_iter().map(Verified::into_signed).collect();
    Ok(Granted { issued, key, attestations, fresh })
}

/// The newest word of the registrars on each standard, of what was handed over here and what the member shows.
fn attested(services: &Services, member: &PeerIdentity) -> Result<Vec<Verified<Attestation>>, Cause> {
    let ods = member.ods();
    let held = stored::attestations(&services.database, ods).map_err(store_failed)?;
    let shown: Vec<Signed<Attestation>> = member.attestations().iter().map(|a| a.signed().clone()).collect();
    let trust = services.trust();
    let verify = |all: &[Signed<Attestation>]| {
        attest::verify_all(all, &services.config.network, ods, &trust.manifest().registrars)
    };
    Ok(office::newest(verify(&held).into_iter().chain(verify(&shown))))
}

/// Whether a certificate for this key would be believed: asked before anything is signed, and asked again of the chain that comes of it.
fn accepts(
    trust: &Trust,
    ods: &OdsCode,
    key: &Digest,
    endorsement: Option<&Signed<KeyEndorsement>>,
    now: Timestamp,
) -> bool {
    let endorsed = |signed: &Signed<KeyEndorsement>| {
        let endorsement = trust.verify_endorsement(signed, now).map(Verified::into_inner);
        endorsement.is_ok_and(|e| e.ods == *ods && e.successor.spki_hash() == *key)
    };
    trust.accepts_key(ods, key, now) || endorsement.is_some_and(endorsed)
}

/// Certificates issued lately: one entry for each member, forgotten after [`RECENT`].
#[derive(Debug, Default)]
pub(super) struct Renewals {
    members: HashMap<OdsCode, Recent>,
}

#[derive(Debug)]
struct Recent {
    since: Timestamp,
    begun: u8,
    /// Key and certificate.
    leaves: Vec<(Digest, Vec<u8>)>,
}

/// What a request for a certificate finds.
#[derive(Debug, PartialEq, Eq)]
enum Begun {
    /// The certificate that was issued for the key a moment ago.
    Recent(Vec<u8>),
    /// None, and one may be signed.
    Fresh,
    /// The member has had enough signed.
    TooMany,
}

impl Renewals {
    fn begin(&mut self, ods: &OdsCode, key: &Digest, now: Timestamp) -> Begun {
        self.members.retain(|_, recent| now.since(recent.since) < RECENT);
        let fresh = || Recent { since: now, begun: 0, leaves: Vec::new() };
        let recent = self.members.entry(ods.clone()).or_insert_with(fresh);
        if let Some((_, leaf)) = recent.leaves.iter().find(|(of, _)| of == key) {
            return Begun::Recent(leaf.clone());
        }
        if recent.begun >= KEYS_MAX {
            return Begun::TooMany;
        }
        recent.begun = recent.begun.saturating_add(1);
        Begun::Fresh
    }

    fn keep(&mut self, ods: &OdsCode, key: Digest, leaf: Vec<u8>) {
        if let Some(recent) = self.members.get_mut(ods) {
            recent.leaves.retain(|(of, _)| *of != key);
            recent.leaves.push((key, leaf));
        }
    }
}

/// A certificate issued less than this ago is handed out again in place of another: nobody needs two.
const RECENT: Duration = Duration::from_secs(10 * 60);
/// Certificates signed for one member in [`RECENT`]: the key in use, its successor, and one more try of each.
const KEYS_MAX: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_793_628_600_000);

    #[test]
    fn a_member_gets_one_certificate_for_a_key_in_ten_minutes_and_then_another() {
        let ods: OdsCode = "R9A".parse().unwrap();
        let key = Digest::of(&[b"key"]);
        let mut renewals = Renewals::default();
        assert_eq!(renewals.begin(&ods, &key, NOW), Begun::Fresh);
        renewals.keep(&ods, key, vec![1]);
        assert_eq!(renewals.begin(&ods, &key, NOW), Begun::Recent(vec![1]));
        assert_eq!(renewals.begin(&"R9C".parse().unwrap(), &key, NOW), Begun::Fresh, "no other member's");
        assert_eq!(renewals.begin(&ods, &key, NOW.after(RECENT)), Begun::Fresh);
    }

    #[test]
    fn endless_successors_do_not_make_endless_signatures() {
        let ods: OdsCode = "R9A".parse().unwrap();
        let mut renewals = Renewals::default();
        for n in 0..KEYS_MAX {
            assert_eq!(renewals.begin(&ods, &Digest::of(&[&[n]]), NOW), Begun::Fresh);
        }
        assert_eq!(renewals.begin(&ods, &Digest::of(&[b"more"]), NOW), Begun::TooMany);
        assert_eq!(renewals.begin(&ods, &Digest::of(&[b"more"]), NOW.after(RECENT)), Begun::Fresh);
    }

    #[test]
    fn what_failed_to_be_logged_is_signed_anew_and_not_handed_out() {
        let (ods, key): (OdsCode, _) = ("R9A".parse().unwrap(), Digest::of(&[b"key"]));
        let mut renewals = Renewals::default();
        assert_eq!(renewals.begin(&ods, &key, NOW), Begun::Fresh);
        assert_eq!(renewals.begin(&ods, &key, NOW), Begun::Fresh);
    }
}
