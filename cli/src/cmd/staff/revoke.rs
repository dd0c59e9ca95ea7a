//! `careweave staff revoke`: the employer stops one person or one credential, alone and at once.

use std::fs;

use careweave_certs::staff::{IssuedCredential, renewed_name};
use careweave_certs::{layout, private_file, revocation};
use careweave_protocol::identity::StaffCredential;
use careweave_protocol::limits::SIGNED_MAX;
use careweave_protocol::signed::Signed;
use serde_json::json;

use super::{keep_register, organisation_keys, register, revocations};
use crate::args::Output;
use crate::args::staff::StaffRevokeArgs;
use crate::cmd::node_init::directory::NodeDirectory;
use crate::context::Context;
use crate::error::{CliError, exit};
use crate::profile::read_file;

/// Signs the next list of revoked credentials with the organisation's present key. The list before may stand under an earlier key.
///
/// # Errors
/// When nothing fits, or the list before stands under no key of the organisation.
pub(super) fn run(args: &StaffRevokeArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let (node, now) = (NodeDirectory::open(&args.node)?, ctx.now());
    let key = node.organisation_key(ctx)?;
    let lock = node.lock_register()?;
    let mut register = register(&node)?;
    let chosen: Vec<IssuedCredential> = match (&args.person, &args.credential) {
        (Some(person), _) => revocation::running(&register.issued, person, now).into_iter().cloned().collect(),
        (None, Some(digest)) => register.running(now).filter(|c| c.digest == *digest).cloned().collect(),
        (None, None) => Vec::new(),
    };
    if chosen.is_empty() {
        return Err(CliError::failed("nothing-to-revoke", "no running credential fits")
            .hint("`careweave staff list` shows those that are issued and not yet expired"));
    }
    let previous = revocations(&node, &organisation_keys(&node, now)?)?;
    let before = previous.as_ref().map(|(held, _)| held.get());
    let ended: Vec<&IssuedCredential> = chosen.iter().collect();
    let list = revocation::issue(&node.network, &node.ods, before, &ended, &key, now)?;
    private_file::replace(&node.file(layout::REVOCATION), list.signed().as_bytes())?;
    // The list first, because it stops them; it forgets them when their credentials would have ended, and the register for longer.
    for credential in &chosen {
        register.note_revoked(&credential.person, now);
    }
    keep_register(&node, &register)?;
    drop(lock);
    for credential in &chosen {
        withdraw(&node, credential)?;
    }
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

/// Removes the person's renewed credential where it is this one: it is of no use any more. After the list, which is what stops it.
fn withdraw(node: &NodeDirectory, revoked: &IssuedCredential) -> Result<(), CliError> {
    let path = node.file(layout::RENEWED).join(renewed_name(&revoked.person));
    if !path.exists() {
        return Ok(());
    }
    let waiting = Signed::<StaffCredential>::from_bytes(read_file(&path, SIGNED_MAX)?)?;
    if waiting != revoked.credential {
        return Ok(());
    }
    fs::remove_file(&path).map_err(|error| CliError::failed("file", format!("{}: {error}", path.display())))
}
