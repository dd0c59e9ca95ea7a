//! `gov suspend`: one officer stops a member, an endpoint or a credential.

use careweave_certs::manifest::{SUSPENSION_LIFE, Suspension, SuspensionTarget};
use careweave_certs::private_file;
use careweave_protocol::limits::TEXT_MAX;
use careweave_protocol::query::Cause;
use careweave_protocol::signed::{Scope, Signed};
use serde_json::json;

use super::difference;
use super::follow;
use super::office::Office;
use crate::args::Output;
use crate::args::governance::SuspendArgs;
use crate::context::Context;
use crate::error::{CliError, exit};

/// Signs a suspension and keeps it in the office; `gov publish` makes it known.
///
/// # Errors
/// When the target is no member, or the key is not an officer's.
pub(super) fn run(args: &SuspendArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let (office, now) = (Office::open(&args.office)?, ctx.now());
    follow::follow(&office, &args.chain, None, false, ctx)?;
    let mut trust = office.published(now)?;
    if args.reason.is_empty() || args.reason.len() > TEXT_MAX {
        return Err(CliError::usage(format!("--reason is empty or longer than {TEXT_MAX} bytes"))
            .hint("say why in a few words; everybody will read it"));
    }
    let target = match (&args.ods, args.node, args.credential) {
        (Some(ods), _, _) if trust.member(ods).is_none() => {
            return Err(CliError::refused(&Cause::NotAMember, format!("{ods} is not a member"))
                .hint("`careweave gov show` lists the members"));
        }
        (Some(ods), _, _) => SuspensionTarget::Member(ods.clone()),
        (None, Some(node), _) => SuspensionTarget::Node(node),
        (None, None, Some(credential)) => SuspensionTarget::Credential(credential),
        (None, None, None) => {
            return Err(CliError::usage("nobody is named").hint("say who: --ods, --node or --credential"));
        }
    };
    let key = office.officer_key(args.officer, ctx)?;
    let suspension = Suspension { target, reason: args.reason.clone(), from: now };
    let signed = Signed::sign(&suspension, Scope::network(trust.network()), &key)?.into_signed();
    // As every node will: a suspension that nobody would believe is not written.
    trust.accept_suspension(signed.clone(), now)?;
    let digest = suspension.digest()?;
    office.keep_suspension(&signed)?;
    if let Some(path) = &args.out {
        private_file::replace(path, signed.as_bytes())?;
    }
    let until = now.after(SUSPENSION_LIFE).rfc3339();
    match ctx.output {
        Output::Json => ctx.printer.json(&json!({
            "suspension": digest.to_string(),
            "what": difference::suspension(&suspension),
            "until": until,
        }))?,
        Output::Table => {
            ctx.printer.line(&format!("{:<12}{}", "suspended", difference::suspension(&suspension)))?;
            ctx.printer.line(&format!("{:<12}{digest}", "digest"))?;
            ctx.printer.line(&format!("{:<12}{until}", "until"))?;
            ctx.note(
                "nobody knows yet; next: `gov publish` with a profile of scope govern makes it known within a minute",
            );
        }
    }
    Ok(exit::DONE)
}
