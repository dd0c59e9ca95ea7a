//! `careweave staff approve`: a colleague's word that somebody may get a scope that watches everybody else.

use careweave_certs::private_file;
use careweave_certs::staff::StaffRequest;
use careweave_protocol::cbor;
use careweave_protocol::identity::{Approval, Scope, StaffApproval, StaffCredential};
use careweave_protocol::key::PublicKey;
use careweave_protocol::limits::{APPROVAL_LIFE, SIGNED_MAX};
use careweave_protocol::query::Cause;
use careweave_protocol::signed::{Scope as SignedScope, Signed};
use careweave_protocol::time::Timestamp;
use serde_json::json;

use super::scope_names;
use crate::args::Output;
use crate::args::staff::StaffApproveArgs;
use crate::context::Context;
use crate::error::{CliError, exit};
use crate::profile::{Profile, read_file};

/// Signs an approval with the key of the profile in use.
///
/// The approval is embedded in the credential, and every organisation that is shown the credential checks it. So nobody can do it alone with
/// the key of their own, and everybody can see who agreed. It does not hold against whoever has the organisation key, which can sign invented
/// approvers. An approver needs only an ordinary credential, so the first two people of an organisation can begin.
///
/// # Errors
/// When the profile's person may not approve this, or does not confirm it.
pub(super) fn run(args: &StaffApproveArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let now = ctx.now();
    let profile = Profile::open(ctx)?;
    let approver = profile.credential.unverified()?;
    let request = StaffRequest::verify(&Signed::from_bytes(read_file(&args.request, SIGNED_MAX)?)?)?.into_inner();
    let scopes = scopes(&args.scopes)?;
    may_approve(&approver, &request, now)?;

    let key = PublicKey::from(request.key).spki_hash().to_string();
    let names = scope_names(&scopes).join(", ");
    if !args.yes {
        for (name, value) in [
            ("organisation", approver.ods.as_str()),
            ("person", request.person.as_str()),
            ("name", &request.name),
            ("key", &key),
            ("may", &names),
        ] {
            ctx.note(&crate::output::plain::plain(&format!("{name:<13}{value}")));
        }
        let answer = ctx.ask(
            "Approve this credential? Type yes",
            "nobody has approved it",
            "read who and what above, compare the key with the person; --yes approves without asking",
        )?;
        if answer != "yes" {
            return Err(CliError::failed("not-approved", "not approved").hint("nothing was written"));
        }
    }
    let signer = profile.unlock(ctx)?;
    let statement = StaffApproval {
        ods: approver.ods.clone(),
        approver: approver.person.clone(),
        person: request.person.clone(),
        key: request.key,
        scopes: scopes.clone(),
        at: now,
    };
    let approval = Signed::sign(&statement, SignedScope::network(&profile.network), &signer)?.into_signed();
    let approval = Approval { credential: profile.credential, approval };
    private_file::replace(&args.out, &cbor::to_vec(&approval)?)?;

    let until = now.after(APPROVAL_LIFE).rfc3339();
    match ctx.output {
        Output::Json => ctx.printer.json(&json!({
            "approver": approver.person.as_str(),
            "person": request.person.as_str(),
            "key": key,
            "scopes": scope_names(&scopes),
            "until": until,
            "file": args.out,
        }))?,
        Output::Table => {
            ctx.printer.line(&format!("{:<12}{}", "approval", args.out.display()))?;
            ctx.printer.line(&format!("{:<12}{} may {names}", "says", request.person))?;
            ctx.printer.line(&format!("{:<12}{until}", "counts until"))?;
            ctx.note("next: hand it to whoever issues the credential; they need two, by two people");
        }
    }
    Ok(exit::DONE)
}

/// The scopes once each, ascending, as the credential will have them.
fn scopes(typed: &[Scope]) -> Result<Vec<Scope>, CliError> {
    let mut scopes = typed.to_vec();
    scopes.sort_unstable();
    scopes.dedup();
    if scopes.iter().all(|scope| scope.needs_two_people()) {
        return Ok(scopes);
    }
    Err(CliError::usage("the scope operate needs nobody's approval").hint("name audit, govern or both"))
}

/// What every verifier will ask of the approver, so that a file that counts for nothing is not written.
fn may_approve(approver: &StaffCredential, request: &StaffRequest, now: Timestamp) -> Result<(), CliError> {
    let refused = |message: &str, hint: &str| Err(CliError::refused(&Cause::ApprovalMissing, message).hint(hint));
    if approver.person == request.person || approver.key == request.key {
        return refused("nobody approves their own credential", "two other people of the organisation have to");
    }
    if approver.scopes.iter().any(|scope| scope.needs_two_people()) {
        return refused(
            "whoever has the scope audit or govern cannot approve it for others",
            "ask two colleagues who have neither, such as IT and a clinician",
        );
    }
    if now >= approver.not_after {
        return Err(CliError::refused(&Cause::CredentialExpired, "your own credential has expired")
            .hint("have it renewed first"));
    }
    Ok(())
}
