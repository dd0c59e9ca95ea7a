//! Whether a manifest makes sense in itself, before anybody asks who signed it.

use std::collections::HashSet;

use careweave_protocol::limits::{MEMBERS_MAX, OFFICERS_MAX, TEXT_MAX};
use thiserror::Error;

use super::{AuthorityRole, MANIFEST_LIFE, Manifest, Member};

/// What is wrong with a manifest in itself.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ManifestError {
    /// Ends before it begins, or lives longer than 180 days.
    #[error("a manifest lives between one instant and 180 days")]
    Life,
    /// Version zero.
    #[error("versions begin at 1")]
    Version,
    /// No officers, too many, the same key twice, or a threshold that cannot be met or needs nobody.
    #[error("{keys} officers cannot have a threshold of {threshold}")]
    Governance {
        /// Different keys.
        keys: usize,
        /// Threshold.
        threshold: u32,
    },
    /// No accepted root.
    #[error("no root certificate is accepted")]
    NoRoot,
    /// An authority's certificate stands there more than once: one of its states would hide behind the other.
    #[error("the same authority certificate is listed twice")]
    SameCertificate,
    /// More members than the limit.
    #[error("{0} members are more than a manifest holds")]
    TooManyMembers(usize),
    /// Not ascending by ODS code, or the same code twice.
    #[error("members are not in ascending order of their ODS codes, each once")]
    MemberOrder,
    /// A text is empty or too long.
    #[error("{ods}: {field} is empty or longer than {TEXT_MAX} bytes")]
    Text {
        /// Whose.
        ods: String,
        /// Which.
        field: &'static str,
    },
    /// Two members share an organisation key.
    #[error("two members have the same organisation key")]
    SharedKey,
    /// A beacon, witness or witnessed log belongs to nobody in the manifest.
    #[error("a beacon or witness is not a member: {0}")]
    NotAMember(String),
    /// More of something than the limit.
    #[error("too many {0}")]
    TooMany(&'static str),
}

/// Authorities in one manifest: a few roots and intermediates, each with a successor and the tainted ones.
const AUTHORITIES_MAX: usize = 32;
/// Registrars in one manifest.
const REGISTRARS_MAX: usize = 32;
/// Beacon keys in one manifest: a handful of different members is enough for freshness.
const BEACONS_MAX: usize = 32;
/// Witnesses of one log.
const WITNESSES_MAX: usize = 16;
/// Confirmed and lifted suspensions in one manifest: more than this is another manifest's worth of exclusions.
const SUSPENSIONS_MAX: usize = 4_096;

impl Manifest {
    /// Whether the manifest makes sense in itself.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), ManifestError> {
        if self.version == 0 {
            return Err(ManifestError::Version);
        }
        if self.expires <= self.issued || self.expires > self.issued.after(MANIFEST_LIFE) {
            return Err(ManifestError::Life);
        }
        let keys: HashSet<_> = self.governance.keys.iter().collect();
        let reachable = usize::try_from(self.governance.threshold).is_ok_and(|t| (1..=keys.len()).contains(&t));
        if keys.len() != self.governance.keys.len() || keys.len() > OFFICERS_MAX || !reachable {
            return Err(ManifestError::Governance { keys: keys.len(), threshold: self.governance.threshold });
        }
        if !self.authorities.iter().any(|a| a.role == AuthorityRole::Root && a.is_accepted()) {
            return Err(ManifestError::NoRoot);
        }
        self.check_counts()?;
        let mut certificates = HashSet::new();
        if !self.authorities.iter().all(|a| certificates.insert(&a.certificate)) {
            return Err(ManifestError::SameCertificate);
        }
        self.check_members()
    }

    fn check_counts(&self) -> Result<(), ManifestError> {
        for (count, limit, what) in [
            (self.authorities.len(), AUTHORITIES_MAX, "authorities"),
            (self.registrars.len(), REGISTRARS_MAX, "registrars"),
            (self.beacons.len(), BEACONS_MAX, "beacon keys"),
            (self.enrolment.len(), BEACONS_MAX, "enrolment services"),
            (self.witnesses.len(), MEMBERS_MAX, "witness assignments"),
            (self.suspended.len(), SUSPENSIONS_MAX, "suspensions"),
            (self.lifted.len(), SUSPENSIONS_MAX, "lifted suspensions"),
        ] {
            if count > limit {
                return Err(ManifestError::TooMany(what));
            }
        }
        if self.witnesses.iter().any(|w| w.witnesses.len() > WITNESSES_MAX) {
            return Err(ManifestError::TooMany("witnesses of one log"));
        }
        Ok(())
    }

    fn check_members(&self) -> Result<(), ManifestError> {
        if self.members.len() > MEMBERS_MAX {
            return Err(ManifestError::TooManyMembers(self.members.len()));
        }
        if !self.members.is_sorted_by(|a, b| a.ods < b.ods) {
            return Err(ManifestError::MemberOrder);
        }
        let mut pins = HashSet::new();
        for member in &self.members {
            check_texts(member)?;
            let fresh = pins.insert(member.key.active) && member.key.next.is_none_or(|next| pins.insert(next));
            if !fresh {
                return Err(ManifestError::SharedKey);
            }
        }
        let named = self.beacons.iter().map(|b| &b.ods).chain(&self.enrolment);
        let witnessed = self.witnesses.iter().flat_map(|w| std::iter::once(&w.ods).chain(&w.witnesses));
        match named.chain(witnessed).find(|ods| self.member(ods).is_none()) {
            Some(stranger) => Err(ManifestError::NotAMember(stranger.to_string())),
            None => Ok(()),
        }
    }
}

fn check_texts(member: &Member) -> Result<(), ManifestError> {
    let neighbourhood = member.neighbourhood.as_deref().unwrap_or("-");
    for (field, text) in [
        ("name", member.name.as_str()),
        ("care setting", &member.care_setting),
        ("neighbourhood", neighbourhood),
        ("alert contact", &member.alert_contact),
        ("duty contact", &member.duty_contact),
    ] {
        if text.is_empty() || text.len() > TEXT_MAX {
            return Err(ManifestError::Text { ods: member.ods.to_string(), field });
        }
    }
    Ok(())
}
