//! `careweave staff issue`: the employer's credential for a person's request.

use std::path::Path;
use std::time::Duration;

use careweave_certs::private_file;
use careweave_certs::staff::{self, APPROVALS_MAX, StaffGrant, StaffRequest, Word};
use careweave_protocol::cbor;
use careweave_protocol::identity::{Approval, Scope, StaffCredential, StaffGroup};
use careweave_protocol::key::{PublicKey, Signer};
use careweave_protocol::limits::SIGNED_MAX;
use careweave_protocol::policy::PolicyBundle;
use careweave_protocol::query::{Cause, Purpose};
use careweave_protocol::signed::{Signed, Verified};
use serde_json::json;

use super::{Stops, keep_register, organisation_keys, register, revocations, scope_names};
use crate::args::Output;
use crate::args::staff::StaffIssueArgs;
use crate::cmd::node_init::directory::NodeDirectory;
use crate::context::Context;
use crate::error::{CliError, exit};
use crate::profile::read_file;

/// Issues a credential, enters it into the register and writes it.
///
/// # Errors
/// When the request does not verify or its key is suspended, a scope lacks approvals, or something cannot be written.
pub(super) fn run(args: &StaffIssueArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let (node, now) = (NodeDirectory::open(&args.node)?, ctx.now());
    let request = Signed::from_bytes(read_file(&args.request, SIGNED_MAX)?)?;
    let request = StaffRequest::verify(&request)?;
    let given = approvals(args)?;
    let key = node.organisation_key(ctx)?;
    let lock = node.lock_register()?;
    let mut register = register(&node)?;
    let keys = organisation_keys(&node, now)?;
    let revoked = revocations(&node, &keys)?.map(|(list, _)| list.into_inner());
    let stops = Stops::read(&node, &register, revoked.as_ref(), now)?;
    if stops.suspended.contains(&request.get().key) {
        return Err(CliError::refused(
            &Cause::Suspended,
            "governance has suspended a credential of this key, or the key",
        )
        .hint("speak with the officers of the network: they lift a suspension, or it ends by itself"));
    }
    let keeps_word = |given: &Approval| register.keeps_word(given, Word::Given, |held| stops.is_stopped(held), now);
    let grant = StaffGrant {
        group: args.group,
        sds_role: args.sds_role.clone(),
        registration: args.registration.clone(),
        training_expires: args.training_expires,
        scopes: args.scopes.clone(),
        break_glass: may_break_glass(args.group)?,
        approvals: given.into_iter().filter(keeps_word).collect(),
        life: Duration::from_secs(args.days.saturating_mul(24 * 3600)),
    };
    let credential = staff::issue(&node.network, &node.ods, &request, &grant, &key, now)?;
    let keys: Vec<&PublicKey> = keys.iter().collect();
    // What everybody else would refuse is not handed out.
    staff::check_approvals(credential.get(), &node.network, &keys, now)
        .map_err(|cause| CliError::refused(&cause, unapproved(&credential)).hint(APPROVE_HINT))?;
    register.enter(&credential, &key.public_key(), now);
    keep_register(&node, &register)?;
    drop(lock);
    private_file::replace(&args.out, credential.signed().as_bytes())?;
    show(&credential, args, ctx)?;
    if grant.break_glass && credential.get().step_up.is_none() {
        ctx.note("the request brings no step-up key, so this person cannot break glass although their group may");
    }
    Ok(exit::DONE)
}

fn show(credential: &Verified<StaffCredential>, args: &StaffIssueArgs, ctx: &mut Context) -> Result<(), CliError> {
    let (claim, digest) = (credential.get(), credential.statement_digest().to_string());
    match ctx.output {
        Output::Json => ctx.printer.json(&json!({
            "person": claim.person.as_str(),
            "group": claim.group.as_str(),
            "scopes": scope_names(&claim.scopes),
            "credential": digest,
            "until": claim.not_after.rfc3339(),
            "step_up": claim.step_up.is_some(),
            "file": args.out,
        })),
        Output::Table => {
            ctx.printer.line(&format!("{:<12}{}", "credential", args.out.display()))?;
            ctx.printer.line(&format!("{:<12}{digest}", "digest"))?;
            ctx.printer.line(&format!("{:<12}{}", "until", claim.not_after.rfc3339()))?;
            let may = if claim.step_up.is_some() { "yes" } else { "no" };
            ctx.printer.line(&format!("{:<12}{may}", "break-glass"))
        }
    }
}

/// The approvals that were given, where a scope asks for any.
fn approvals(args: &StaffIssueArgs) -> Result<Vec<Approval>, CliError> {
    if args.approvals.is_empty() {
        return Ok(Vec::new());
    }
    if !args.scopes.iter().any(|scope| scope.needs_two_people()) {
        return Err(CliError::usage("no scope that was named needs an approval")
            .hint("leave --approval out, or name the scope that was approved: --scope audit, --scope govern"));
    }
    if args.approvals.len() > APPROVALS_MAX {
        return Err(CliError::usage(format!("more than {APPROVALS_MAX} approvals")).hint("two are enough"));
    }
    args.approvals.iter().map(|path| approval(path)).collect()
}

fn approval(path: &Path) -> Result<Approval, CliError> {
    cbor::from_slice(&read_file(path, APPROVAL_MAX)?, APPROVAL_MAX).map_err(|error| {
        CliError::failed("file", format!("{} is no approval: {error}", path.display()))
            .hint("`careweave staff approve` writes one")
    })
}

fn unapproved(credential: &Verified<StaffCredential>) -> String {
    let claim = credential.get();
    let scopes: Vec<Scope> = claim.scopes.iter().copied().filter(|scope| scope.needs_two_people()).collect();
    format!(
        "{} for {} needs the approval of two other people of {}, and those given do not make two",
        scope_names(&scopes).join(" and "),
        claim.person,
        claim.ods
    )
}

/// Whether the access table lets the group break glass.
///
/// # Errors
/// When the bundle of this program cannot be read, which no input causes.
fn may_break_glass(group: StaffGroup) -> Result<bool, CliError> {
    let policy = PolicyBundle::baseline().map_err(|error| CliError::failed("policy", error.to_string()))?;
    Ok(policy.purpose_granted(group, Purpose::Btg))
}

const APPROVE_HINT: &str = "two colleagues who have neither audit nor govern each run `careweave staff approve` for this request \
                            and exactly these scopes; give both files with --approval. Their credentials must run, and nobody \
                            concerned have been revoked since they approved";
/// A credential and an approval, each a signed document.
const APPROVAL_MAX: usize = 2 * SIGNED_MAX;
