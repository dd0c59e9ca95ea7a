//! What changes the draft of the next manifest.

use std::path::PathBuf;

use careweave_certs::manifest::{AuthorityRole, MANIFEST_LIFE, RolloutStage, StalenessLimits};
use careweave_protocol::id::OdsCode;
use careweave_protocol::identity::StandardStatus;
use clap::Args;

use super::{HashPrefix, OfficeArgs, OfficerName};

/// `careweave gov admit`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave gov admit --request R9A.cbor --request R9C.cbor --dir governance
  careweave gov admit --request Y91001.cbor --beacon --dir governance

A request of somebody who is a member already brings their entry up to date; a new key is announced beside the one in use, and the
same request again puts it in use. Signatures that the draft had are void once it changes.")]
pub struct AdmitArgs {
    /// Enrolment request, as `node init` leaves it; may be given several times
    #[arg(long = "request", required = true, value_name = "FILE", num_args = 1..)]
    pub requests: Vec<PathBuf>,
    /// They also sign beacons, with the beacon key in the request
    #[arg(long)]
    pub beacon: bool,
    /// How far their activation has come: planned, pilot, live; live for somebody new unless told
    #[arg(long, value_name = "STAGE")]
    pub stage: Option<RolloutStage>,
    /// Where the office is
    #[command(flatten)]
    pub office: OfficeArgs,
}

/// `careweave gov propose`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave gov propose --dir governance
  careweave gov propose --remove 8Z901 --dir governance
  careweave gov propose --lift 4c1e93ab --dir governance
  careweave gov propose --officer-in officer4.pub --officer-out 5f0c77d2 --threshold 2 --dir governance
  careweave gov propose --authority-in authority/intermediate-2.pem --role intermediate --dir governance
  careweave gov propose --activate 91d3c04e --dir governance

Everything can be given at once, and again: each call changes the draft as it stands, and voids the signatures it had. Keys and
certificates are named by the first 8 or more digits of their hash, as `gov show` prints it.")]
pub struct ProposeArgs {
    /// Leave this member out
    #[arg(long = "remove", value_name = "ODS", help_heading = "Members")]
    pub removed: Vec<OdsCode>,
    /// How far a member's activation has come: planned, pilot, live
    #[arg(long = "stage", value_name = "ODS=STAGE", value_parser = pair::<RolloutStage>, help_heading = "Members")]
    pub stages: Vec<(OdsCode, RolloutStage)>,
    /// A member signs beacons: with the beacon key of its enrolment request, or with the key of this PeerId
    #[arg(long = "beacon", value_name = "ODS=FILE|PEERID", value_parser = pair::<String>, help_heading = "Members")]
    pub beacons: Vec<(OdsCode, String)>,
    /// A member signs beacons no longer
    #[arg(long = "beacon-out", value_name = "ODS", help_heading = "Members")]
    pub beacons_out: Vec<OdsCode>,
    /// A member's node runs the enrolment service
    #[arg(long = "enrolment", value_name = "ODS", help_heading = "Members")]
    pub enrolment: Vec<OdsCode>,
    /// A member's node runs the enrolment service no longer
    #[arg(long = "enrolment-out", value_name = "ODS", help_heading = "Members")]
    pub enrolment_out: Vec<OdsCode>,
    /// Make this suspension last until a later manifest leaves it out; `gov suspend` prints its digest
    #[arg(long = "confirm", value_name = "HASH", help_heading = "Suspensions")]
    pub confirmed: Vec<HashPrefix>,
    /// End this suspension before its seven days are over
    #[arg(long = "lift", value_name = "HASH", help_heading = "Suspensions")]
    pub lifted: Vec<HashPrefix>,
    /// A new officer's public key, as `gov officer` wrote it
    #[arg(long = "officer-in", value_name = "FILE", help_heading = "Officers and registrars")]
    pub officers_in: Vec<PathBuf>,
    /// An officer who leaves, by the hash of their key or their number in `gov show`
    #[arg(long = "officer-out", value_name = "HASH|N", help_heading = "Officers and registrars")]
    pub officers_out: Vec<OfficerName>,
    /// How many officers must sign from then on
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u32).range(1..=32), help_heading = "Officers and registrars")]
    pub threshold: Option<u32>,
    /// A new registrar's public key, as `gov registrar` wrote it
    #[arg(long = "registrar-in", value_name = "FILE", help_heading = "Officers and registrars")]
    pub registrars_in: Vec<PathBuf>,
    /// A registrar who leaves: nothing they attested is believed any more
    #[arg(long = "registrar-out", value_name = "HASH", help_heading = "Officers and registrars")]
    pub registrars_out: Vec<HashPrefix>,
    /// Announce a certificate authority, as `gov authority` made it: accepted from then on
    #[arg(long = "authority-in", value_name = "PEM", requires = "role", help_heading = "Certificate authorities")]
    pub authorities_in: Vec<PathBuf>,
    /// What the announced authority is: root, intermediate
    #[arg(long, value_name = "ROLE", value_parser = role, requires = "authorities_in", help_heading = "Certificate authorities")]
    pub role: Option<AuthorityRole>,
    /// Put an announced authority in use
    #[arg(long = "activate", value_name = "HASH", help_heading = "Certificate authorities")]
    pub activated: Vec<HashPrefix>,
    /// An authority leaves the manifest: nothing issued under it is accepted any more
    #[arg(long = "retire", value_name = "HASH", help_heading = "Certificate authorities")]
    pub retired: Vec<HashPrefix>,
    /// Lowest status in the Data Security and Protection Toolkit that is answered: not-met, approaching, met, exceeded
    #[arg(long, value_name = "STATUS", help_heading = "Rules")]
    pub minimum_standard: Option<StandardStatus>,
    /// How old what a node knows may be, in hours, as care=168,urgent=720,other=24; what is not named stays
    #[arg(long, value_name = "CLASS=HOURS,…", value_parser = staleness, help_heading = "Rules")]
    pub staleness: Option<StalenessChange>,
    /// Days for which the manifest holds, counted from the last change of the draft
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=DAYS_MAX), help_heading = "Rules")]
    pub valid_days: Option<u64>,
    /// Where the office is
    #[command(flatten)]
    pub office: OfficeArgs,
}

/// `careweave gov taint`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave gov taint 91d3c04e --dir governance

Marks it in the draft: once that is signed and published, no chain through it is believed anywhere. It says which members need another
certificate first; it is refused while nothing else would be accepted.")]
pub struct TaintArgs {
    /// The authority, by the first 8 or more digits of its digest
    #[arg(value_name = "HASH")]
    pub authority: HashPrefix,
    /// Where the office is
    #[command(flatten)]
    pub office: OfficeArgs,
}

/// Limits that change; what is `None` stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StalenessChange {
    care: Option<u32>,
    urgent: Option<u32>,
    other: Option<u32>,
}

impl StalenessChange {
    /// The limits after the change.
    #[must_use]
    pub fn applied(self, to: StalenessLimits) -> StalenessLimits {
        StalenessLimits {
            care_hours: self.care.unwrap_or(to.care_hours),
            urgent_hours: self.urgent.unwrap_or(to.urgent_hours),
            other_hours: self.other.unwrap_or(to.other_hours),
        }
    }
}

/// The life of a manifest in days.
const DAYS_MAX: u64 = MANIFEST_LIFE.as_secs() / (24 * 3600);
/// A year: what is older says nothing about now.
const STALENESS_MAX: u32 = 366 * 24;

fn pair<T: std::str::FromStr>(text: &str) -> Result<(OdsCode, T), String>
where
    T::Err: std::fmt::Display,
{
    let (ods, value) = text.split_once('=').ok_or("write it as ODS=VALUE")?;
    Ok((ods.parse().map_err(|e| format!("{e}"))?, value.parse().map_err(|e| format!("{e}"))?))
}

fn role(text: &str) -> Result<AuthorityRole, String> {
    match text {
        "root" => Ok(AuthorityRole::Root),
        "intermediate" => Ok(AuthorityRole::Intermediate),
        _ => Err("not a role; one of root intermediate".to_owned()),
    }
}

fn staleness(text: &str) -> Result<StalenessChange, String> {
    let mut change = StalenessChange::default();
    for part in text.split(',') {
        let (class, hours) = part.split_once('=').ok_or("write it as care=168,urgent=720,other=24")?;
        let slot = match class {
            "care" => &mut change.care,
            "urgent" => &mut change.urgent,
            "other" => &mut change.other,
            _ => return Err("not a class of purposes; one of care urgent other".to_owned()),
        };
        let hours = hours.parse().ok().filter(|hours| (1..=STALENESS_MAX).contains(hours));
        *slot = Some(hours.ok_or_else(|| format!("hours are a number from 1 to {STALENESS_MAX}"))?);
    }
    Ok(change)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staleness_changes_what_is_named_and_nothing_else() {
        let limits = staleness("care=48,other=12").unwrap().applied(StalenessLimits::default());
        assert_eq!((limits.care_hours, limits.urgent_hours, limits.other_hours), (48, 720, 12));
        for wrong in ["", "care", "care=0", "care=x", "night=3", "care=1,"] {
            assert!(staleness(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_member_is_named_before_the_equals_sign() {
        assert_eq!(pair::<RolloutStage>("R9A=pilot").unwrap(), ("R9A".parse().unwrap(), RolloutStage::Pilot));
        for wrong in ["R9A", "=pilot", "r9a=pilot", "R9A=soon"] {
            assert!(pair::<RolloutStage>(wrong).is_err(), "{wrong}");
        }
    }
}
