//! `careweave staff`: a person's credential, from the request on their own machine to its revocation by the employer.
//!
//! Reading order: `request` (the person), `approve` (two colleagues, for some scopes), `issue` (the employer), `install` (the person),
//! `renew`, `revoke`, `list` (the employer). Here: what the employer's commands share.

use std::collections::BTreeSet;

use careweave_certs::manifest::SuspensionTarget;
use careweave_certs::staff::{self, IssuedCredential, Register};
use careweave_certs::{keystore, layout, private_file, revocation};
use careweave_protocol::cbor;
use careweave_protocol::id::{Digest, NodeKey};
use careweave_protocol::identity::{Scope, StaffRevocation};
use careweave_protocol::key::PublicKey;
use careweave_protocol::limits::SIGNED_MAX;
use careweave_protocol::signed::{Document, Signed, Verified};
use careweave_protocol::time::Timestamp;

use crate::args::staff::StaffCommand;
use crate::cmd::node_init::directory::NodeDirectory;
use crate::context::Context;
use crate::error::{CliError, exit};
use crate::profile::read_file;

mod approve;
mod install;
mod issue;
mod list;
mod renew;
mod request;
mod revoke;

/// `careweave staff`.
///
/// # Errors
/// Whatever the command ends with.
pub fn run(command: &StaffCommand, ctx: &mut Context) -> Result<u8, CliError> {
    match command {
        StaffCommand::Request(args) => request::run(args, ctx),
        StaffCommand::Approve(args) => approve::run(args, ctx),
        StaffCommand::Issue(args) => issue::run(args, ctx),
        StaffCommand::Install(args) => install::run(args, ctx),
        StaffCommand::Renew(args) => renew::run(args, ctx),
        StaffCommand::Revoke(args) => revoke::run(args, ctx),
        StaffCommand::List(args) => list::run(args, ctx),
    }
}

/// The register of credentials; an empty one where nothing was issued yet.
fn register(node: &NodeDirectory) -> Result<Register, CliError> {
    let path = node.file(layout::ISSUED);
    if path.exists() {
        Ok(Register::from_bytes(&read_file(&path, staff::REGISTER_MAX)?)?)
    } else {
        Ok(Register::default())
    }
}

/// Writes the register; call it before a credential is handed out, because what is not in it cannot be revoked.
fn keep_register(node: &NodeDirectory, register: &Register) -> Result<(), CliError> {
    Ok(private_file::replace(&node.file(layout::ISSUED), &register.to_bytes()?)?)
}

/// The public keys under which statements of the organisation may stand: the present one first, its announced successor while there is one,
/// its predecessors, and the one under which the node took in the list of revoked credentials it holds.
fn organisation_keys(node: &NodeDirectory, now: Timestamp) -> Result<Vec<PublicKey>, CliError> {
    let files = [layout::ORGANISATION_KEY, layout::ORGANISATION_KEY_OLD, layout::ORGANISATION_KEY_NEXT];
    let files = files.into_iter().map(|name| node.file(name)).filter(|path| path.exists());
    let mut keys: Vec<PublicKey> = files.map(|path| keystore::public_key_of(&path)).collect::<Result<_, _>>()?;
    let earlier = node.file(layout::EARLIER_KEYS);
    if earlier.exists() {
        let damaged = |_| {
            CliError::failed("keys", format!("{} is damaged", earlier.display()))
                .hint("the node writes it when its organisation key changes; take it from a backup")
        };
        let keys_of_before = cbor::from_slice::<Vec<PublicKey>>(&read_file(&earlier, SIGNED_MAX)?, SIGNED_MAX);
        keys.extend(keys_of_before.map_err(damaged)?);
    }
    if let Some(trust) = node.trust(now)? {
        let own = |list: &Signed<StaffRevocation>| list.unverified().is_ok_and(|list| list.ods == node.ods);
        keys.extend(trust.revocations().filter(|(list, _)| own(list)).map(|(_, key)| key.clone()));
    }
    Ok(keys)
}

/// The organisation's list of revoked credentials and the key under which it stands; `None` until somebody was revoked.
fn revocations(
    node: &NodeDirectory,
    keys: &[PublicKey],
) -> Result<Option<(Verified<StaffRevocation>, PublicKey)>, CliError> {
    let path = node.file(layout::REVOCATION);
    if !path.exists() {
        return Ok(None);
    }
    let held = Signed::<StaffRevocation>::from_bytes(read_file(&path, StaffRevocation::MAX)?)?;
    let by = |key: &PublicKey| revocation::verify(&held, &node.network, &node.ods, key).ok();
    match keys.iter().find_map(|key| Some((by(key)?, key.clone()))) {
        Some(found) => Ok(Some(found)),
        None => Err(CliError::new(
            exit::REFUSED,
            "signature",
            format!("{} stands under no key of this organisation", path.display()),
        )
        .hint("it is damaged or another organisation's: put the node's own list back from its backup")),
    }
}

/// What must not be issued again, nor vouch for anybody.
struct Stops {
    /// Credentials that the organisation has revoked.
    revoked: BTreeSet<Digest>,
    /// Keys of people whom governance has suspended: by the key itself, or by a credential of it that still runs. A renewed credential has
    /// another digest, so only the key holds on to the person.
    suspended: BTreeSet<NodeKey>,
}

impl Stops {
    /// From the organisation's own list and from what its node believes.
    fn read(
        node: &NodeDirectory,
        register: &Register,
        revoked: Option<&StaffRevocation>,
        now: Timestamp,
    ) -> Result<Self, CliError> {
        let revoked = revoked.map(|list| list.revoked.iter().map(|entry| entry.credential).collect());
        let suspended = node.trust(now)?.map(|trust| {
            let named = trust.active_suspensions(now).filter_map(|suspension| match suspension.target {
                SuspensionTarget::Node(key) => Some(key),
                SuspensionTarget::Member(_) | SuspensionTarget::Credential(_) => None,
            });
            let held = register.running(now).filter(|held| trust.is_credential_suspended(&held.digest, now));
            named.chain(held.map(|held| held.key)).collect()
        });
        Ok(Self { revoked: revoked.unwrap_or_default(), suspended: suspended.unwrap_or_default() })
    }

    fn is_stopped(&self, issued: &IssuedCredential) -> bool {
        self.revoked.contains(&issued.digest) || self.suspended.contains(&issued.key)
    }
}

/// A scope as it is typed and shown.
fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Operate => "operate",
        Scope::Audit => "audit",
        Scope::Govern => "govern",
    }
}

/// Scopes as they are shown.
fn scope_names(scopes: &[Scope]) -> Vec<&'static str> {
    scopes.iter().copied().map(scope_name).collect()
}
