//! A member's next certificate: for whoever is in good standing, for a key that the manifest pins or its owner has endorsed.
//!
//! Good standing is to be a member past the planned stage that is not suspended. A lapsed or missing attestation, an expired manifest and old news
//! do not stop a renewal, they are told in the log: each of them refuses direct care where the member asks for it, and lets emergency and
//! break-glass go on with an alert. Without a certificate those would end as well, a few weeks later, for want of training or of a form.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use careweave_certs::attest;
use careweave_certs::authority::CertificateRequest;
use careweave_certs::manifest::RolloutStage;
use careweave_certs::trust::{PeerIdentity, Trust};
use careweave_protocol::directory::{RenewalReply, RenewalRequest};
use careweave_protocol::id::{Digest, NodeKey, OdsCode};
use careweave_protocol::identity::{Attestation, KeyEndorsement};
use careweave_protocol::query::Cause;
use careweave_protocol::signed::{Signed, Verified};
use careweave_protocol::time::Timestamp;

use super::issue::Issued;
use super::{blocking, log_refusal, office, record, serving, store_failed, stored};
use crate::services::Services;

/// Answers a member's request.
pub(super) async fn answer(services: &Arc<Services>, member: &PeerIdentity, request: &RenewalRequest) -> RenewalReply {
    let (now, ods) = (services.clock.now(), member.ods().clone());
    match renew(services, member, request, now).await {
        Ok(reply) => reply,
        Err(cause) => {
            // Where nobody is served, nothing was refused that could have been had here.
            if let Some(service) = &services.enrolment {
                let room = service.refused.lock().unwrap_or_else(PoisonError::into_inner).take(&ods, now);
                log_refusal(services, room, ods.as_str(), format!("{ods}: {cause}"), now).await;
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
    /// What direct care is refused for meanwhile.
    lapses: Vec<Cause>,
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
    let Granted { issued, key, attestations, lapses, fresh } = granted;
    if fresh {
        let (ods, certificate) = (member.ods(), &issued.certificate);
        let lapsed: String = lapses.iter().map(|cause| format!("; in spite of {cause}")).collect();
        let detail = format!("{ods}: until {}, organisation key {key}{lapsed}", certificate.not_after().rfc3339());
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
    let lapses = standing(&services.trust(), (ods, member.node()), &attested, now)?;
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
    Ok(Granted { issued, key, attestations, lapses, fresh })
}

/// Whether a member may have its next certificate, and what that is in spite of.
///
/// # Errors
/// [`Cause::NotAMember`], [`Cause::Suspended`], [`Cause::NotLive`].
fn standing(
    trust: &Trust,
    (ods, node): (&OdsCode, NodeKey),
    attested: &[Verified<Attestation>],
    now: Timestamp,
) -> Result<Vec<Cause>, Cause> {
    let member = trust.member(ods).ok_or(Cause::NotAMember)?;
    if trust.is_suspended(ods, Some(node), now) {
        return Err(Cause::Suspended);
    }
    if member.stage == RolloutStage::Planned {
        return Err(Cause::NotLive(member.stage.as_str().to_owned()));
    }
    let mut lapses = attest::lapses(attested, trust.manifest().minimum_standard, now);
    if now >= trust.manifest().expires {
        lapses.push(Cause::ManifestExpired);
    }
    Ok(lapses)
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
    use careweave_certs::keystore::{Algorithm, SoftwareKey};
    use careweave_certs::manifest::{
        AuthorityCertificate, AuthorityRole, AuthorityState, Governance, KeyPin, Manifest, Member, MemberKind,
        StalenessLimits, Suspension, SuspensionTarget,
    };
    use careweave_protocol::identity::{Standard, StandardStatus};
    use careweave_protocol::key::Signer;
    use careweave_protocol::signed::MultiSigned;
    use careweave_protocol::time::Date;
    use ring::rand::SystemRandom;
    use serde_bytes::ByteBuf;

    use super::*;

    const NOW: Timestamp = Timestamp(1_793_628_600_000);
    const DAY: Duration = Duration::from_secs(24 * 3600);

    /// What is believed of one member, with a change to the manifest.
    fn trust(change: impl FnOnce(&mut Manifest)) -> Trust {
        let officer = SoftwareKey::generate(Algorithm::P256, &SystemRandom::new()).unwrap();
        let mut manifest = Manifest {
            network: "test".parse().unwrap(),
            version: 1,
            issued: NOW,
            expires: NOW.after(100 * DAY),
            governance: Governance { keys: vec![officer.public_key()], threshold: 1 },
            authorities: vec![AuthorityCertificate {
                role: AuthorityRole::Root,
                state: AuthorityState::Active,
                certificate: ByteBuf::from(b"root".to_vec()),
            }],
            members: vec![Member {
                ods: member(),
                name: "Trust".to_owned(),
                kind: MemberKind::Acute,
                care_setting: "acute".to_owned(),
                neighbourhood: None,
                stage: RolloutStage::Live,
                alert_contact: "alerts".to_owned(),
                duty_contact: "switchboard".to_owned(),
                key: KeyPin { active: Digest::of(&[b"key"]), next: None },
            }],
            registrars: Vec::new(),
            beacons: Vec::new(),
            enrolment: Vec::new(),
            minimum_standard: StandardStatus::Met,
            witnesses: Vec::new(),
            witness_quorum: 0,
            policy: None,
            protocol_min: 1,
            staleness: StalenessLimits::default(),
            suspended: Vec::new(),
            lifted: Vec::new(),
        };
        change(&mut manifest);
        let signed = MultiSigned::draft(&manifest).unwrap().add_signature(&manifest.network, &officer).unwrap();
        Trust::from_pinned(signed).unwrap()
    }

    fn member() -> OdsCode {
        "R9A".parse().unwrap()
    }

    fn asked(trust: &Trust, attested: &[Verified<Attestation>], now: Timestamp) -> Result<Vec<Cause>, Cause> {
        standing(trust, (&member(), NodeKey([7; 32])), attested, now)
    }

    /// Both standards, of which the first is over on this day.
    fn attested(last_day: Date) -> Vec<Verified<Attestation>> {
        let registrar = SoftwareKey::generate(Algorithm::P256, &SystemRandom::new()).unwrap();
        let later = Date::new(2099, 12, 31).unwrap();
        let issue = |standard, status, until| {
            let network = "test".parse().unwrap();
            attest::issue(&network, &member(), (standard, status), until, &registrar, NOW).unwrap()
        };
        vec![issue(Standard::Dspt, Some(StandardStatus::Met), last_day), issue(Standard::SharingAgreement, None, later)]
    }

    #[test]
    fn a_lapsed_standard_an_expired_manifest_and_old_news_are_told_and_stop_no_renewal() {
        let lapsed = Date::new(2026, 1, 31).unwrap();
        let over = Cause::AttestationExpired("dspt".to_owned(), lapsed);
        let believed = trust(|_| ());
        assert_eq!(asked(&believed, &attested(Date::new(2099, 12, 31).unwrap()), NOW), Ok(Vec::new()));
        assert_eq!(asked(&believed, &attested(lapsed), NOW), Ok(vec![over.clone()]));
        let missing = |name: &str| Cause::AttestationMissing(name.to_owned());
        assert_eq!(asked(&believed, &[], NOW), Ok(vec![missing("dspt"), missing("sharing-agreement")]));
        // No beacon for 99 days, and then not even a manifest.
        assert_eq!(asked(&believed, &attested(lapsed), NOW.after(99 * DAY)), Ok(vec![over.clone()]));
        assert_eq!(asked(&believed, &attested(lapsed), NOW.after(100 * DAY)), Ok(vec![over, Cause::ManifestExpired]));
    }

    #[test]
    fn nobody_who_is_no_member_planned_or_suspended_renews_whatever_registrars_say() {
        let held = attested(Date::new(2099, 12, 31).unwrap());
        let stranger = trust(|manifest| manifest.members.clear());
        assert_eq!(asked(&stranger, &held, NOW), Err(Cause::NotAMember));
        let stage = |stage| trust(|manifest| manifest.members.iter_mut().for_each(|member| member.stage = stage));
        assert_eq!(asked(&stage(RolloutStage::Planned), &held, NOW), Err(Cause::NotLive("planned".to_owned())));
        assert_eq!(asked(&stage(RolloutStage::Pilot), &held, NOW), Ok(Vec::new()));
        let stopped = |target| {
            let stop = Suspension { target, reason: "incident 1".to_owned(), from: NOW };
            trust(|manifest| manifest.suspended.push(stop))
        };
        for target in [SuspensionTarget::Member(member()), SuspensionTarget::Node(NodeKey([7; 32]))] {
            assert_eq!(asked(&stopped(target), &held, NOW), Err(Cause::Suspended));
        }
        let another = stopped(SuspensionTarget::Node(NodeKey([8; 32])));
        assert_eq!(asked(&another, &held, NOW), Ok(Vec::new()));
    }

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
