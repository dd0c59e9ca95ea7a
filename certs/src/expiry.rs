//! Everything that is going to end: certificates, the manifest, attestations, endorsements, credentials, training.
//!
//! Pure lists of what is coming, for whoever warns: `careweave cert status`, the daemon's log and its metrics. Node bindings are
//! left out: they run for a week, and the daemon renews them by itself.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use careweave_protocol::id::{Digest, PersonId};
use careweave_protocol::identity::{Attestation, KeyEndorsement, StaffCredential, Standard};
use careweave_protocol::limits::APPROVAL_LIFE;
use careweave_protocol::signed::Verified;
use careweave_protocol::time::Timestamp;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use crate::enrolment::Invitation;
use crate::manifest::{AuthorityRole, Manifest};
use crate::staff::{APPROVERS, Register};

/// One end that is coming, or has come.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ending {
    /// First instant at which it no longer holds.
    pub at: Timestamp,
    /// What kind of thing it is.
    pub kind: EndingKind,
    /// Which one, as told to people: `root 1a2b3c4d`, `attestation dspt`.
    pub what: String,
}

/// What ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndingKind {
    /// The manifest: urgent purposes alone go on after it.
    Manifest,
    /// A root certificate of the network.
    Root,
    /// An intermediate certificate of the network.
    Intermediate,
    /// The organisation's certificate in use.
    Certificate,
    /// The organisation's certificate that follows.
    NextCertificate,
    /// What a registrar says about the organisation.
    Attestation,
    /// The pinned key's word on its successor: after it, only the manifest's pin counts.
    Endorsement,
    /// A staff credential.
    Credential,
    /// Two people's word on a credential with a scope that needs it.
    Approval,
    /// A person's data-security training.
    Training,
    /// A one-time code for a first certificate.
    Invitation,
}

/// How much somebody has to hurry; the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// It is over.
    Over,
    /// At most this many whole days are left: one of [`WARNING_DAYS`].
    Within(u64),
    /// More than the first warning.
    Later,
}

/// Days before an end at which people are warned, the first warning first (`trust.md`, "Warnings at 30, 14, 7 and 1 days before
/// any expiry").
pub const WARNING_DAYS: [u64; 4] = [30, 14, 7, 1];

const LAST_WEEK: u64 = 7;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// How urgent an end is.
#[must_use]
pub fn urgency(at: Timestamp, now: Timestamp) -> Urgency {
    if now >= at {
        return Urgency::Over;
    }
    let left = days_left(at, now);
    let narrowest = WARNING_DAYS.into_iter().filter(|days| left <= *days).min();
    narrowest.map_or(Urgency::Later, Urgency::Within)
}

/// How urgent somebody should find this one. What lives no longer than the first warning is warned of from the last week on: a staff
/// credential of thirty days would else be warned of from its first hour, and people stop reading what always warns.
#[must_use]
pub fn warning(ending: &Ending, now: Timestamp) -> Urgency {
    let short_lived = matches!(ending.kind, EndingKind::Credential | EndingKind::Invitation);
    match urgency(ending.at, now) {
        Urgency::Within(days) if short_lived && days > LAST_WEEK => Urgency::Later,
        urgency => urgency,
    }
}

/// Whole days that are left, rounded down; none when it is over.
#[must_use]
pub fn days_left(at: Timestamp, now: Timestamp) -> u64 {
    at.since(now).as_secs() / DAY.as_secs()
}

/// Puts several lists together, soonest first; what two of them name is named once.
#[must_use]
pub fn soonest_first(lists: impl IntoIterator<Item = Vec<Ending>>) -> Vec<Ending> {
    let mut all: Vec<Ending> = lists.into_iter().flatten().collect();
    all.sort();
    all.dedup();
    all
}

/// The manifest's own end, and that of each authority that it believes, those announced included. A tainted authority has ended
/// already, and one whose certificate cannot be read is never believed.
#[must_use]
pub fn manifest_endings(manifest: &Manifest) -> Vec<Ending> {
    let own =
        Ending { what: format!("manifest {}", manifest.version), at: manifest.expires, kind: EndingKind::Manifest };
    let authorities = manifest.authorities.iter().filter(|a| a.is_accepted()).filter_map(|authority| {
        let (kind, role) = match authority.role {
            AuthorityRole::Root => (EndingKind::Root, "root"),
            AuthorityRole::Intermediate => (EndingKind::Intermediate, "intermediate"),
        };
        let (_, certificate) = parse_x509_certificate(&authority.certificate).ok()?;
        let at = first_instant_after(certificate.validity().not_after.timestamp());
        Some(Ending { what: format!("{role} {}", short(&authority.certificate)), at, kind })
    });
    soonest_first([authorities.chain([own]).collect()])
}

/// The end of an organisation's chain as it is shown, DER, leaf first: that of its leaf, because those above it are the manifest's.
/// `kind` says whether it is in use or follows. Nothing when it holds no certificate that can be read.
#[must_use]
pub fn chain_endings<C: AsRef<[u8]>>(chain: &[C], kind: EndingKind) -> Vec<Ending> {
    let ending = |leaf: &C| {
        let (_, certificate) = parse_x509_certificate(leaf.as_ref()).ok()?;
        let name = certificate.subject_alternative_name().ok().flatten();
        let uri = name.and_then(|name| name.value.general_names.iter().find_map(uri)).unwrap_or("careweave:?");
        let at = first_instant_after(certificate.validity().not_after.timestamp());
        let what = format!("certificate {} of {uri}", short(leaf.as_ref()));
        Some(Ending { what, at, kind })
    };
    chain.first().and_then(ending).into_iter().collect()
}

/// The end of the newest attestation of each standard, which is the one that counts ([`crate::attest::lapses`]); it holds through
/// its last day.
#[must_use]
pub fn attestation_endings(held: &[Verified<Attestation>]) -> Vec<Ending> {
    let mut newest: BTreeMap<Standard, &Attestation> = BTreeMap::new();
    for attestation in held.iter().map(Verified::get) {
        let counts = newest.entry(attestation.standard).or_insert(attestation);
        if (attestation.issued, attestation.expires) > (counts.issued, counts.expires) {
            *counts = attestation;
        }
    }
    let ending = |attestation: &Attestation| Ending {
        what: format!("attestation {}", attestation.standard.as_str()),
        at: attestation.expires.plus_days(1).start(),
        kind: EndingKind::Attestation,
    };
    soonest_first([newest.into_values().map(ending).collect()])
}

/// The end of an endorsement. It matters only while the manifest does not pin the successor itself.
#[must_use]
pub fn endorsement_endings(endorsement: &KeyEndorsement) -> Vec<Ending> {
    let successor: String = endorsement.successor.spki_hash().to_string().chars().take(SHORT).collect();
    let what = format!("endorsement of key {successor} of {}", endorsement.ods);
    vec![Ending { what, at: endorsement.expires, kind: EndingKind::Endorsement }]
}

/// What ends for one person: the credential, its training, and the approvals behind it.
#[must_use]
pub fn credential_endings(credential: &StaffCredential) -> Vec<Ending> {
    let of = |what: &str, at, kind| Ending { what: format!("{what} of {}", credential.person), at, kind };
    let training = credential.training_expires.plus_days(1).start();
    let mut endings = vec![
        of("credential", credential.not_after, EndingKind::Credential),
        of("training", training, EndingKind::Training),
    ];
    if credential.scopes.iter().any(|scope| scope.needs_two_people()) {
        endings.extend(approvals_end(credential).map(|at| of("approval", at, EndingKind::Approval)));
    }
    soonest_first([endings])
}

/// What ends for the staff: of each person, what belongs to the credential that a renewal would follow ([`Register::renewable`]).
/// A line of the register that cannot be read still has its own end.
#[must_use]
pub fn staff_endings(register: &Register, is_revoked: impl Fn(&Digest) -> bool, now: Timestamp) -> Vec<Ending> {
    let running = register.renewable(is_revoked, now).into_values().flatten();
    let endings = running.map(|issued| match issued.claims() {
        Ok(credential) => credential_endings(&credential),
        Err(_) => vec![Ending {
            what: format!("credential of {}", issued.person),
            at: issued.not_after,
            kind: EndingKind::Credential,
        }],
    });
    soonest_first(endings)
}

/// The end of a one-time code.
#[must_use]
pub fn invitation_endings(invitation: &Invitation) -> Vec<Ending> {
    vec![Ending {
        what: format!("invitation of {}", invitation.ods),
        at: invitation.expires,
        kind: EndingKind::Invitation,
    }]
}

impl EndingKind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Manifest,
        Self::Root,
        Self::Intermediate,
        Self::Certificate,
        Self::NextCertificate,
        Self::Attestation,
        Self::Endorsement,
        Self::Credential,
        Self::Approval,
        Self::Training,
        Self::Invitation,
    ];

    /// The kind's name, as shown and as the label of a metric.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Root => "root",
            Self::Intermediate => "intermediate",
            Self::Certificate => "certificate",
            Self::NextCertificate => "next-certificate",
            Self::Attestation => "attestation",
            Self::Endorsement => "endorsement",
            Self::Credential => "credential",
            Self::Approval => "approval",
            Self::Training => "training",
            Self::Invitation => "invitation",
        }
    }
}

impl fmt::Display for EndingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Hexadecimal digits by which a certificate or key is told apart.
const SHORT: usize = 8;

/// When there are no longer enough different people whose word counts; `None` when there never were.
fn approvals_end(credential: &StaffCredential) -> Option<Timestamp> {
    let mut given: BTreeMap<PersonId, Timestamp> = BTreeMap::new();
    for approval in credential.approvals.iter().filter_map(|a| a.approval.unverified().ok()) {
        let at = given.entry(approval.approver).or_insert(approval.at);
        *at = approval.at.max(*at);
    }
    let mut newest: Vec<Timestamp> = given.into_values().collect();
    newest.sort_unstable_by(|a, b| b.cmp(a));
    newest.get(APPROVERS.checked_sub(1)?).map(|at| at.after(APPROVAL_LIFE))
}

/// X.509 names the last second of a life (RFC 5280 §4.1.2.5); everything here ends with the first instant after it.
fn first_instant_after(last_second: i64) -> Timestamp {
    Timestamp(last_second.saturating_add(1).saturating_mul(1000))
}

fn short(certificate: &[u8]) -> String {
    Digest::of(&[certificate]).to_string().chars().take(SHORT).collect()
}

fn uri<'a>(name: &GeneralName<'a>) -> Option<&'a str> {
    match name {
        GeneralName::URI(uri) => Some(uri),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
