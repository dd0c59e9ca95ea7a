//! `gov propose` and `gov taint`: everything but admission that changes the draft of the next manifest. What was asked for is done on a
//! copy, checked, and kept only as a whole; what it means for members is said beside it.

mod authorities;
mod members;
mod officers;

use std::time::Duration;

use careweave_certs::manifest::{MANIFEST_LIFE, Manifest};
use careweave_certs::trust::Trust;

use super::difference::{self, difference};
use super::draft::{drafted, keep, renew};
use super::office::Office;
use crate::args::governance::{ProposeArgs, TaintArgs};
use crate::context::Context;
use crate::error::{CliError, exit};

/// `gov propose`.
///
/// # Errors
/// When something that is named is not there, or the draft would make no sense; the draft is then as it was.
pub(super) fn run(args: &ProposeArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let office = Office::open(&args.office)?;
    let life = args.valid_days.map(|days| Duration::from_secs(days.saturating_mul(24 * 3600)));
    edit(&office, life, ctx, |manifest, notes| {
        members::edit(&office, manifest, args, notes)?;
        officers::edit(&office, manifest, args, notes)?;
        authorities::edit(manifest, args)?;
        if let Some(status) = args.minimum_standard {
            manifest.minimum_standard = status;
        }
        if let Some(change) = args.staleness {
            manifest.staleness = change.applied(manifest.staleness);
        }
        Ok(())
    })
}

/// `gov taint`.
///
/// # Errors
/// When there is no such authority, or nothing else would be accepted.
pub(super) fn taint(args: &TaintArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let office = Office::open(&args.office)?;
    edit(&office, None, ctx, |manifest, _| authorities::taint(manifest, &args.authority))
}

/// Changes the draft, or makes one; shows it, and says what follows for members.
fn edit(
    office: &Office,
    life: Option<Duration>,
    ctx: &mut Context,
    change: impl FnOnce(&mut Manifest, &mut Vec<String>) -> Result<(), CliError>,
) -> Result<u8, CliError> {
    let now = ctx.now();
    let held = office.trust(now)?;
    let before = drafted(office, held.as_ref(), now)?;
    let (mut manifest, mut notes) = (before.clone(), Vec::new());
    change(&mut manifest, &mut notes)?;
    if manifest.authorities != before.authorities {
        authorities::must_issue(&manifest)?;
    }
    if life.is_some_and(|life| life > MANIFEST_LIFE) {
        return Err(CliError::usage("a manifest holds for 180 days at most"));
    }
    if manifest != before || life.is_some() || office.draft()?.is_none() {
        renew(&mut manifest, life, now);
        keep(office, &manifest)?;
    }
    let signed = office.draft()?.ok_or_else(|| CliError::failed("draft", "the draft is gone"))?;
    let lines = difference(held.as_ref().map(Trust::manifest), &manifest);
    difference::show(&lines, &manifest, &signed, held.as_ref(), ctx)?;
    if let Some(trust) = &held {
        notes.extend(authorities::consequences(office, trust.manifest(), &manifest)?);
    }
    for note in notes {
        ctx.note(&note);
    }
    Ok(exit::DONE)
}
