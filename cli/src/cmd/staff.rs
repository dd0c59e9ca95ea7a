//! `careweave staff`: a person's credential, from the request on their own machine to its revocation by the employer.

use std::time::Duration;

use careweave_certs::staff::{self, IssuedCredential, Register, StaffGrant, StaffRequest};
use careweave_certs::{layout, private_file, revocation};
use careweave_protocol::identity::{StaffGroup, StaffRevocation};
use careweave_protocol::key::Signer;
use careweave_protocol::limits::SIGNED_MAX;
use careweave_protocol::policy::PolicyBundle;
use careweave_protocol::query::Purpose;
use careweave_protocol::signed::Signed;
use serde_json::json;

use crate::args::Output;
use crate::args::staff::{StaffCommand, StaffIssueArgs, StaffListArgs, StaffRevokeArgs};
use crate::cmd::node_init::directory::NodeDirectory;
use crate::context::Context;
use crate::error::{CliError, exit};
use crate::profile::read_file;

mod install;
mod request;

/// `careweave staff`.
///
/// # Errors
/// Whatever the command ends with.
pub fn run(command: &StaffCommand, ctx: &mut Context) -> Result<u8, CliError> {
    match command {
        StaffCommand::Request(args) => request::run(args, ctx),
        StaffCommand::Issue(args) => issue(args, ctx),
        StaffCommand::Install(args) => install::run(args, ctx),
        StaffCommand::Revoke(args) => revoke(args, ctx),
        StaffCommand::List(args) => list(args, ctx),
    }
}

fn issue(args: &StaffIssueArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let (node, now) = (NodeDirectory::open(&args.node)?, ctx.now());
    let request = Signed::from_bytes(read_file(&args.request, SIGNED_MAX)?)?;
    let request = StaffRequest::verify(&request)?;
    let grant = StaffGrant {
        group: args.group,
        sds_role: args.sds_role.clone(),
        registration: args.registration.clone(),
        training_expires: args.training_expires,
        scopes: args.scopes.clone(),
        break_glass: may_break_glass(args.group)?,
        life: Duration::from_secs(args.days.saturating_mul(24 * 3600)),
    };
    let key = node.organisation_key()?;
    let lock = node.lock_register()?;
    let mut register = register(&node)?;
    let credential = staff::issue(&node.network, &node.ods, &request, &grant, &key, now)?;
    register.enter(&credential, now);
    // Entered before it is handed out: what is not in the register cannot be revoked.
    private_file::replace(&node.file(layout::ISSUED), &register.to_bytes()?)?;
    drop(lock);
    private_file::replace(&args.out, credential.signed().as_bytes())?;

    let (claim, digest) = (credential.get(), credential.statement_digest().to_string());
    match ctx.output {
        Output::Json => ctx.printer.json(&json!({
            "person": claim.person.as_str(),
            "group": claim.group.as_str(),
            "credential": digest,
            "until": claim.not_after.rfc3339(),
            "step_up": claim.step_up.is_some(),
            "file": args.out,
        }))?,
        Output::Table => {
            ctx.printer.line(&format!("{:<12}{}", "credential", args.out.display()))?;
            ctx.printer.line(&format!("{:<12}{digest}", "digest"))?;
            ctx.printer.line(&format!("{:<12}{}", "until", claim.not_after.rfc3339()))?;
            let may = if claim.step_up.is_some() { "yes" } else { "no" };
            ctx.printer.line(&format!("{:<12}{may}", "break-glass"))?;
        }
    }
    if grant.break_glass && claim.step_up.is_none() {
        ctx.note("the request brings no step-up key, so this person cannot break glass although their group may");
    }
    Ok(exit::DONE)
}

/// Whether the access table lets the group break glass.
///
/// # Errors
/// When the bundle of this program cannot be read, which no input causes.
fn may_break_glass(group: StaffGroup) -> Result<bool, CliError> {
    let policy = PolicyBundle::baseline().map_err(|error| CliError::failed("policy", error.to_string()))?;
    Ok(policy.purpose_granted(group, Purpose::Btg))
}

fn revoke(args: &StaffRevokeArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let (node, now) = (NodeDirectory::open(&args.node)?, ctx.now());
    let key = node.organisation_key()?;
    let lock = node.lock_register()?;
    let issued = register(&node)?.issued;
    let chosen: Vec<&IssuedCredential> = match (&args.person, &args.credential) {
        (Some(person), _) => revocation::running(&issued, person, now),
        (None, Some(digest)) => issued.iter().filter(|c| c.digest == *digest && c.not_after > now).collect(),
        (None, None) => Vec::new(),
    };
    if chosen.is_empty() {
        return Err(CliError::failed("nothing-to-revoke", "no running credential fits")
            .hint("`careweave staff list` shows those that are issued and not yet expired"));
    }
    let path = node.file(layout::REVOCATION);
    let previous = match path.exists() {
        true => {
            let held = Signed::<StaffRevocation>::from_bytes(read_file(&path, SIGNED_MAX)?)?;
            Some(revocation::verify(&held, &node.network, &node.ods, &key.public_key())?)
        }
        false => None,
    };
    let before = previous.as_ref().map(|held| held.get());
    let list = revocation::issue(&node.network, &node.ods, before, &chosen, &key, now)?;
    private_file::replace(&path, list.signed().as_bytes())?;
    drop(lock);
    match ctx.output {
        Output::Json => ctx.printer.json(&json!({
            "version": list.get().version,
            "revoked": chosen.iter().map(|c| c.digest.to_string()).collect::<Vec<_>>(),
        }))?,
        Output::Table => {
            for credential in &chosen {
                ctx.printer.line(&format!("revoked {} {}", credential.person, credential.digest))?;
            }
        }
    }
    ctx.note("the running node takes it in and tells its peers within a minute; at once when it is sent SIGHUP");
    Ok(exit::DONE)
}

fn list(args: &StaffListArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let (node, now) = (NodeDirectory::open(&args.node)?, ctx.now());
    let path = node.file(layout::REVOCATION);
    let revoked = match path.exists() {
        true => {
            let held = Signed::<StaffRevocation>::from_bytes(read_file(&path, SIGNED_MAX)?)?;
            let key = node.organisation_key()?.public_key();
            revocation::verify(&held, &node.network, &node.ods, &key)?.into_inner().revoked
        }
        false => Vec::new(),
    };
    let state = |c: &IssuedCredential| {
        if revoked.iter().any(|r| r.credential == c.digest) { "revoked" } else { "valid" }
    };
    let running: Vec<IssuedCredential> = register(&node)?.issued.into_iter().filter(|c| c.not_after > now).collect();
    match ctx.output {
        Output::Json => {
            let lines: Vec<_> = running
                .iter()
                .map(|c| {
                    json!({
                        "person": c.person.as_str(),
                        "name": c.name,
                        "group": c.group.as_str(),
                        "issued": c.issued.rfc3339(),
                        "until": c.not_after.rfc3339(),
                        "credential": c.digest.to_string(),
                        "state": state(c),
                    })
                })
                .collect();
            ctx.printer.json(&lines)?;
        }
        Output::Table => {
            let rows: Vec<Vec<String>> = running
                .iter()
                .map(|c| {
                    let (until, digest) = (c.not_after.rfc3339(), c.digest.to_string());
                    vec![c.person.to_string(), c.name.clone(), c.group.to_string(), until, state(c).to_owned(), digest]
                })
                .collect();
            ctx.printer.table(&["PERSON", "NAME", "GROUP", "UNTIL", "STATE", "DIGEST"], &rows)?;
        }
    }
    Ok(exit::DONE)
}

fn register(node: &NodeDirectory) -> Result<Register, CliError> {
    let path = node.file(layout::ISSUED);
    if path.exists() {
        Ok(Register::from_bytes(&read_file(&path, staff::REGISTER_MAX)?)?)
    } else {
        Ok(Register::default())
    }
}
