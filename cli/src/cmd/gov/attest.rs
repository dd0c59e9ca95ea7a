//! `gov attest`: a registrar's word about a member.

use careweave_certs::attest as attestation;
use careweave_protocol::identity::{Standard, StandardStatus};
use careweave_protocol::key::Signer;
use careweave_protocol::query::Cause;
use serde_json::json;

use super::keys;
use super::office::{Office, REGISTRAR};
use super::requests::hand_over;
use crate::args::Output;
use crate::args::governance::AttestArgs;
use crate::context::Context;
use crate::error::{CliError, exit};

/// `gov attest`.
///
/// # Errors
/// When it is about no member, or over already.
pub(super) async fn run(args: &AttestArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let (office, now) = (Office::open(&args.office)?, ctx.now());
    let trust = office.published(now)?;
    if trust.member(&args.ods).is_none() {
        return Err(CliError::refused(&Cause::NotAMember, format!("{} is not a member", args.ods))
            .hint("`gov admit` its request and publish the manifest first"));
    }
    if now >= args.expires.plus_days(1).start() {
        return Err(CliError::usage(format!("{} is over", args.expires)).hint("give the last day on which it holds"));
    }
    let status = match (args.standard, args.status) {
        (Standard::Dspt, status) => Some(status.unwrap_or(StandardStatus::Met)),
        (Standard::SharingAgreement, None) => None,
        (Standard::SharingAgreement, Some(_)) => {
            return Err(
                CliError::usage("an agreement has no status: it is signed or it is not").hint("leave --status out")
            );
        }
    };
    let key = match &args.key {
        Some(path) => keys::unlock(path, "the registrar", office.passphrase_file(), ctx)?,
        None => office.key(REGISTRAR, "the registrar", ctx)?,
    };
    if !trust.manifest().registrars.contains(&key.public_key()) {
        return Err(CliError::new(
            exit::REFUSED,
            "not-a-registrar",
            "the manifest names this registrar's key not, or no longer",
        )
        .hint("`gov show` lists the registrars; --key names the key file of one of them"));
    }
    let made = attestation::issue(trust.network(), &args.ods, (args.standard, status), args.expires, &key, now)?;
    let mut all = Vec::new();
    for held in office.attestations(&args.ods)? {
        if held.unverified()?.standard != args.standard {
            all.push(held);
        }
    }
    all.push(made.into_signed());
    office.keep_attestations(&args.ods, &all)?;
    if args.to_node {
        let said = hand_over(ctx, &all).await?;
        ctx.note(&format!("the enrolment service says: {said}"));
    }
    match ctx.output {
        Output::Json => ctx.printer.json(&json!({
            "ods": args.ods.as_str(),
            "standard": args.standard.as_str(),
            "status": status.map(StandardStatus::as_str),
            "expires": args.expires.to_string(),
        }))?,
        Output::Table => {
            let held = status.map(|status| format!(" {status}")).unwrap_or_default();
            ctx.printer.line(&format!("{} {}{held} until {}", args.ods, args.standard.as_str(), args.expires))?;
            if status.is_some_and(|status| status < trust.manifest().minimum_standard) {
                let asked = trust.manifest().minimum_standard;
                ctx.note(&format!(
                    "warning: {asked} is asked for; the member will not be answered (emergency care goes on)"
                ));
            }
            ctx.note("next: `gov issue` puts it into the member's enrolment");
        }
    }
    Ok(exit::DONE)
}
