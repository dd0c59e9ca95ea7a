//! What this organisation shows to others and believes itself: certificate, keys, manifest, beacon, attestations, rotations.

use std::time::Duration;

use careweave_certs::manifest::StalenessLimits;
use careweave_certs::rotation::Stage;
use careweave_certs::{attest, chain, layout};
use careweave_protocol::desk::{DoctorLine, RotationPart};
use careweave_protocol::key::Signer;
use careweave_protocol::limits::{BINDING_LIFE, SIGNED_MAX};
use careweave_protocol::query::{Cause, Purpose};
use careweave_protocol::signed::Verified;
use careweave_protocol::time::Timestamp;

use super::{SOON, ending, failing, good, in_words, warning};
use crate::own;
use crate::services::Services;

/// Every line of this kind.
pub(super) fn lines(services: &Services, now: Timestamp) -> Vec<DoctorLine> {
    let mut lines = vec![certificate(services, now)];
    lines.extend(next_certificate(services, now));
    lines.push(organisation_key(services, now));
    lines.push(binding(services, now));
    lines.push(manifest(services, now));
    lines.push(beacon(services, now));
    lines.extend(attestations(services, now));
    lines.push(rotations(services));
    lines
}

fn certificate(services: &Services, now: Timestamp) -> DoctorLine {
    let own = services.own();
    let hint =
        "`careweave cert rotate` brings the next one forward; by files: `careweave cert request`, `cert install`";
    let shown = own.identity().endorsement().map(Verified::signed);
    if let Err(cause) = services.trust().verify_chain(own.identity().chain(), shown, now) {
        return failing("certificate", format!("every other node would refuse it: {cause}"), hint);
    }
    ending("certificate", "in use", (own.certificate_expires(), SOON), now, hint)
}

/// The successor, where one is prepared.
fn next_certificate(services: &Services, now: Timestamp) -> Option<DoctorLine> {
    let path = services.config.dir.join(layout::CHAIN_NEXT);
    let text = std::fs::read(&path).ok()?;
    let hint = "install the enrolment again, or let `careweave cert rotate` fetch another";
    let what = "next certificate";
    let verified = match chain::from_pem(text.get(..SIGNED_MAX.min(text.len())).unwrap_or_default()) {
        Ok(chain) => {
            let own = services.own();
            let endorsement = own.identity().endorsement().map(Verified::signed);
            let on_disk = endorsement_on_disk(services);
            services.trust().verify_chain(&chain, endorsement.or(on_disk.as_ref()), now)
        }
        Err(error) => return Some(failing(what, error.to_string(), hint)),
    };
    Some(match verified {
        Ok(certificate) => ending(what, "prepared", (certificate.not_after(), SOON), now, hint),
        Err(cause) => failing(what, format!("every other node would refuse it: {cause}"), hint),
    })
}

fn endorsement_on_disk(
    services: &Services,
) -> Option<careweave_protocol::signed::Signed<careweave_protocol::identity::KeyEndorsement>> {
    let bytes = std::fs::read(services.config.dir.join(layout::ENDORSEMENT)).ok()?;
    careweave_protocol::signed::Signed::from_bytes(bytes).ok()
}

fn organisation_key(services: &Services, now: Timestamp) -> DoctorLine {
    let what = "organisation key";
    let own = services.own();
    let spki = own.organisation().public_key().spki_hash();
    let trust = services.trust();
    let Some(member) = trust.member(&services.config.ods) else {
        return failing(what, Cause::NotAMember.to_string(), "ask the governance office");
    };
    if member.key.active == spki {
        return good(what, "the one that the manifest pins".to_owned());
    }
    if member.key.next == Some(spki) {
        let hint = "the governance office makes it the pinned key in the next manifest";
        return warning(what, "pinned as the successor".to_owned(), hint);
    }
    let hint = "send the governance office `careweave cert request`; the next manifest pins the key itself";
    let shown = own.identity().endorsement().or_else(|| trust.endorsement(&services.config.ods)).map(Verified::get);
    match shown.filter(|endorsement| endorsement.successor.spki_hash() == spki) {
        Some(endorsement) => {
            let line = ending(what, "endorsed by the pinned key", (endorsement.expires, SOON), now, hint);
            // Until the manifest pins it there is something to do, however long the endorsement runs.
            DoctorLine {
                health: line.health.max(careweave_protocol::desk::Health::Warning),
                hint: Some(hint.to_owned()),
                ..line
            }
        }
        None => failing(what, format!("neither pinned nor endorsed: {}", Cause::KeyNotPinned), hint),
    }
}

fn binding(services: &Services, now: Timestamp) -> DoctorLine {
    // It is renewed every half day; one that has run half of its life says that renewing fails.
    let ends = (services.own().binding_expires(), BINDING_LIFE / 2);
    ending("binding", "of the peer endpoint", ends, now, "the node's log says why it is not renewed")
}

fn manifest(services: &Services, now: Timestamp) -> DoctorLine {
    let (version, expires) = {
        let trust = services.trust();
        (trust.version(), trust.manifest().expires)
    };
    let hint = "the governance office publishes the next one; past its end everything but emergencies is refused";
    ending("manifest", &format!("version {version}"), (expires, SOON), now, hint)
}

fn beacon(services: &Services, now: Timestamp) -> DoctorLine {
    let (as_of, limits) = {
        let trust = services.trust();
        (trust.current_as_of(), trust.manifest().staleness)
    };
    freshness(now.since(as_of), &limits, as_of)
}

/// What the age of the newest beacon means for each class of purposes.
fn freshness(age: Duration, limits: &StalenessLimits, as_of: Timestamp) -> DoctorLine {
    let classes = [
        ("everything but care", Purpose::Hresch),
        ("direct care", Purpose::Treat),
        ("emergencies and break-glass", Purpose::Etreat),
    ];
    let over: Vec<&str> =
        classes.iter().filter(|(_, purpose)| age > limits.for_purpose(*purpose)).map(|(name, _)| *name).collect();
    let next = classes
        .iter()
        .map(|(name, purpose)| (*name, limits.for_purpose(*purpose)))
        .filter(|(_, limit)| age <= *limit)
        .min_by_key(|(_, limit)| *limit)
        .map_or_else(String::new, |(name, limit)| {
            format!("; {name} would be refused in {}", in_words(limit.saturating_sub(age)))
        });
    let hint =
        "no node that signs beacons is reached: `careweave node peers`, then the network and the governance office";
    let old = format!("the newest is {} old", in_words(age));
    if over.is_empty() {
        let said = format!("{old}{next}");
        return if age > BEACON_LATE { warning("beacon", said, hint) } else { good("beacon", said) };
    }
    let cause = Cause::BeaconStale(Some(as_of));
    failing("beacon", format!("{cause}: refused for {}{next}", over.join(", ")), hint)
}

fn attestations(services: &Services, now: Timestamp) -> Vec<DoctorLine> {
    let own = services.own();
    let held = own.identity().attestations();
    let minimum = services.trust().manifest().minimum_standard;
    let hint = "the registrar attests it anew, then `careweave cert install`; emergencies go on meanwhile";
    let lapses = attest::lapses(held, minimum, now);
    if !lapses.is_empty() {
        return lapses.iter().map(|lapse| failing("attestation", lapse.to_string(), hint)).collect();
    }
    let line = |a: &Verified<careweave_protocol::identity::Attestation>| {
        let (standard, expires) = (a.get().standard.as_str(), a.get().expires);
        ending(&format!("attestation {standard}"), "held", (expires.plus_days(1).start(), SOON), now, hint)
    };
    held.iter().map(line).collect()
}

fn rotations(services: &Services) -> DoctorLine {
    let rotations = match own::rotations(&services.config.dir) {
        Ok(rotations) => rotations,
        Err(error) => return failing("rotations", error.to_string(), "restore the file from a backup of trust/"),
    };
    let said: Vec<String> = RotationPart::ALL
        .iter()
        .filter_map(|part| rotations.0.get(part).map(|stage| (part.as_str(), stage)))
        .map(|(part, stage)| match stage {
            Stage::Prepared { since } => format!("{part} prepared since {}", since.rfc3339()),
            Stage::Overlap { until, .. } => format!("{part} in overlap until {}", until.rfc3339()),
        })
        .collect();
    good("rotations", if said.is_empty() { "none under way".to_owned() } else { said.join("; ") })
}

/// Without a beacon for this long two that should have come did not (as in `upkeep`).
const BEACON_LATE: Duration = Duration::from_secs(2 * 3600);

#[cfg(test)]
mod tests {
    use careweave_protocol::desk::Health;

    use super::*;

    #[test]
    fn an_old_beacon_says_what_it_closes_and_what_it_closes_next() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let limits = StalenessLimits { care_hours: 7 * 24, urgent_hours: 30 * 24, other_hours: 24 };
        let line = |age| freshness(age, &limits, Timestamp(0));
        assert_eq!(line(hours(1)).health, Health::Good);
        let late = line(hours(3));
        assert_eq!(late.health, Health::Warning);
        assert!(late.said.contains("everything but care would be refused in 21 hours"), "{}", late.said);
        let stale = line(hours(25));
        assert_eq!(stale.health, Health::Failing);
        assert!(stale.said.contains("BEACON_STALE") && stale.said.contains("direct care would be refused in 5 days"));
        let all = line(hours(31 * 24));
        assert!(all.said.contains("direct care, emergencies and break-glass"), "{}", all.said);
    }
}
