//! `careweave staff list`: what was issued and has not expired.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use careweave_certs::staff::{self, IssuedCredential};
use careweave_protocol::id::Digest;
use careweave_protocol::identity::{StaffCredential, StaffRevocation};
use careweave_protocol::time::Timestamp;
use serde_json::json;

use super::{organisation_keys, register, revocations, scope_names};
use crate::args::Output;
use crate::args::staff::StaffListArgs;
use crate::cmd::node_init::directory::NodeDirectory;
use crate::context::Context;
use crate::error::{CliError, exit};

/// How a credential stands, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Revoked,
    TrainingLapsed,
    /// A later one of the same key is there.
    Renewed,
    /// Ends soon, in so many whole days.
    Expiring(u64),
    Valid,
}

/// Lists the register. What ends soon is `cert status`'s to warn about, so the exit code is 0.
///
/// # Errors
/// When the register or the list of revoked credentials cannot be read.
pub(super) fn run(args: &StaffListArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let (node, now) = (NodeDirectory::open(&args.node)?, ctx.now());
    let revoked = revocations(&node, &organisation_keys(&node, now)?)?.map(|(list, _)| list.into_inner());
    let register = register(&node)?;
    let replaced = register.replaced();
    let mut lines = Vec::new();
    for issued in register.running(now) {
        let claim = issued.claims()?;
        let state = State::of(issued, &claim, &replaced, revoked.as_ref(), now);
        lines.push((issued, claim, state));
    }
    match ctx.output {
        Output::Json => {
            let line = |(issued, claim, state): &(&IssuedCredential, StaffCredential, State)| {
                json!({
                    "person": claim.person.as_str(),
                    "name": claim.name,
                    "group": claim.group.as_str(),
                    "sds_role": claim.sds_role,
                    "registration": claim.registration,
                    "scopes": scope_names(&claim.scopes),
                    "training_expires": claim.training_expires.to_string(),
                    "issued": issued.issued.rfc3339(),
                    "until": issued.not_after.rfc3339(),
                    "days_left": days(issued, now),
                    "signed_by": issued.signed_by.to_string(),
                    "credential": issued.digest.to_string(),
                    "state": state.token(),
                })
            };
            ctx.printer.json(&lines.iter().map(line).collect::<Vec<_>>())?;
        }
        Output::Table => {
            let row = |(issued, claim, state): &(&IssuedCredential, StaffCredential, State)| {
                vec![
                    claim.person.to_string(),
                    claim.name.clone(),
                    claim.group.to_string(),
                    claim.sds_role.clone(),
                    scope_names(&claim.scopes).join(" "),
                    claim.training_expires.to_string(),
                    issued.not_after.date().map(|day| day.to_string()).unwrap_or_default(),
                    state.to_string(),
                    issued.digest.to_string(),
                ]
            };
            ctx.printer.table(&COLUMNS, &lines.iter().map(row).collect::<Vec<_>>())?;
        }
    }
    Ok(exit::DONE)
}

impl State {
    fn of(
        issued: &IssuedCredential,
        claim: &StaffCredential,
        replaced: &BTreeSet<Digest>,
        revoked: Option<&StaffRevocation>,
        now: Timestamp,
    ) -> Self {
        let left = days(issued, now);
        if revoked.is_some_and(|list| list.revoked.iter().any(|r| r.credential == issued.digest)) {
            Self::Revoked
        } else if replaced.contains(&issued.digest) {
            Self::Renewed
        } else if staff::training_lapse(claim, now).is_some() {
            Self::TrainingLapsed
        } else if left < SOON_DAYS {
            Self::Expiring(left)
        } else {
            Self::Valid
        }
    }

    /// The state as programs read it.
    fn token(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::TrainingLapsed => "training-lapsed",
            Self::Renewed => "renewed",
            Self::Expiring(_) => "expiring",
            Self::Valid => "valid",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TrainingLapsed => f.write_str("training lapsed"),
            Self::Expiring(days) => write!(f, "expires in {days} d"),
            other => f.write_str(other.token()),
        }
    }
}

fn days(issued: &IssuedCredential, now: Timestamp) -> u64 {
    issued.not_after.since(now).as_secs() / DAY.as_secs()
}

const COLUMNS: [&str; 9] = ["PERSON", "NAME", "GROUP", "ROLE", "SCOPES", "TRAINING", "UNTIL", "STATE", "DIGEST"];
const DAY: Duration = Duration::from_secs(24 * 3600);
/// A credential runs for 30 days at most, so the last week is when somebody should look.
const SOON_DAYS: u64 = 7;
