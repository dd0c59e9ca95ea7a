//! `careweave staff renew`: what was issued, issued again under the organisation's present key.

use std::time::Duration;

use careweave_certs::staff::{self, IssuedCredential, Word, renewed_name};
use careweave_certs::{layout, private_file, revocation};
use careweave_protocol::id::PersonId;
use careweave_protocol::identity::{Approval, StaffCredential};
use careweave_protocol::key::{PublicKey, Signer};
use careweave_protocol::query::Cause;
use careweave_protocol::signed::Verified;
use careweave_protocol::time::{Date, Timestamp};
use serde_json::json;

use super::{Stops, keep_register, organisation_keys, register, revocations};
use crate::args::Output;
use crate::args::staff::StaffRenewArgs;
use crate::cmd::node_init::directory::NodeDirectory;
use crate::context::Context;
use crate::error::{CliError, exit};

/// What a renewal rests on.
struct Renewal<'a> {
    node: &'a NodeDirectory,
    key: &'a dyn Signer,
    /// The organisation's keys, under one of which the credential held must stand.
    keys: Vec<&'a PublicKey>,
    training_expires: Option<Date>,
    life: Duration,
    now: Timestamp,
}

/// What became of everybody who was named.
#[derive(Default)]
struct Outcome {
    renewed: Vec<Verified<StaffCredential>>,
    left_out: Vec<(PersonId, Cause)>,
}

/// Renews one credential, or every one that still runs; whoever is left out is named with the cause, and the others are renewed.
///
/// # Errors
/// When there is nothing to renew, or something cannot be read or written.
pub(super) fn run(args: &StaffRenewArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let (node, now) = (NodeDirectory::open(&args.node)?, ctx.now());
    if let Some(day) = args.training_expires.filter(|day| now >= day.plus_days(1).start()) {
        return Err(CliError::usage(format!("{day} is over")).hint("give the last day of the training that holds now"));
    }
    let key = node.organisation_key(ctx)?;
    let lock = node.lock_register()?;
    let mut register = register(&node)?;
    let keys = organisation_keys(&node, now)?;
    let revoked = revocations(&node, &keys)?;
    let renewal = Renewal {
        node: &node,
        key: &key,
        keys: keys.iter().collect(),
        training_expires: args.training_expires,
        life: Duration::from_secs(args.days.saturating_mul(24 * 3600)),
        now,
    };
    let stops = Stops::read(&node, &register, revoked.as_ref().map(|(list, _)| list.get()), now)?;
    let is_revoked = |digest: &_| stops.revoked.contains(digest);
    let keeps_word = |given: &Approval| register.keeps_word(given, Word::Carried, |held| stops.is_stopped(held), now);
    let mut outcome = Outcome::default();
    for (person, held) in register.renewable(is_revoked, now) {
        if args.all || args.person.as_ref() == Some(&person) {
            let renewed = match held {
                None => Err(Cause::CredentialRevoked),
                Some(held) if stops.suspended.contains(&held.key) => Err(Cause::Suspended),
                Some(held) => renewal.renew(held, keeps_word)?,
            };
            match renewed {
                Ok(credential) => outcome.renewed.push(credential),
                Err(cause) => outcome.left_out.push((person, cause)),
            }
        }
    }
    if outcome.renewed.is_empty() && outcome.left_out.is_empty() {
        return Err(CliError::failed("nothing-to-renew", "no running credential fits").hint(
            "`careweave staff list` shows those that run; what has expired is issued again for the same request",
        ));
    }
    for credential in &outcome.renewed {
        register.enter(credential, &key.public_key(), now);
    }
    keep_register(&node, &register)?;
    // Nothing is to rest on an earlier key for longer than it must: it will be destroyed.
    if let Some((list, _)) = revoked.as_ref().filter(|(_, signer)| *signer != key.public_key()) {
        let list = revocation::issue(&node.network, &node.ods, Some(list.get()), &[], &key, now)?;
        private_file::replace(&node.file(layout::REVOCATION), list.signed().as_bytes())?;
    }
    drop(lock);
    hand_out(&node, &outcome, args)?;
    show(&outcome, ctx)?;
    Ok(if outcome.left_out.is_empty() { exit::DONE } else { exit::PARTIAL })
}

impl Renewal<'_> {
    /// The renewed credential, or why there is none. An approval counts when its giver's word does.
    fn renew(
        &self,
        issued: &IssuedCredential,
        keeps_word: impl Fn(&Approval) -> bool,
    ) -> Result<Result<Verified<StaffCredential>, Cause>, CliError> {
        let by = |key: &&PublicKey| staff::verify(&issued.credential, &self.node.network, key, self.now).ok();
        // Under no key of ours, or not what the line says: the register was altered, or the key is gone.
        let held = self.keys.iter().find_map(by).filter(|held| {
            held.statement_digest() == issued.digest
                && held.get().person == issued.person
                && held.get().ods == self.node.ods
        });
        let Some(held) = held else { return Ok(Err(Cause::CredentialInvalid)) };
        let times = (self.now, self.life);
        let renewed = staff::renew(&self.node.network, &held, self.training_expires, self.key, times)?;
        if let Some(cause) = staff::training_lapse(renewed.get(), self.now) {
            return Ok(Err(cause));
        }
        let mut claim = renewed.get().clone();
        claim.approvals.retain(keeps_word);
        let approved = staff::check_approvals(&claim, &self.node.network, &self.keys, self.now);
        Ok(approved.map(|()| renewed))
    }
}

/// Puts every renewed credential where the node finds it for its person.
fn hand_out(node: &NodeDirectory, outcome: &Outcome, args: &StaffRenewArgs) -> Result<(), CliError> {
    let directory = node.file(layout::RENEWED);
    private_file::create_dir(&directory)?;
    for credential in &outcome.renewed {
        let bytes = credential.signed().as_bytes();
        private_file::replace(&directory.join(renewed_name(&credential.get().person)), bytes)?;
        if let Some(out) = &args.out {
            private_file::replace(out, bytes)?;
        }
    }
    Ok(())
}

fn show(outcome: &Outcome, ctx: &mut Context) -> Result<(), CliError> {
    match ctx.output {
        Output::Json => {
            let renewed = |credential: &Verified<StaffCredential>| {
                let claim = credential.get();
                json!({
                    "person": claim.person.as_str(),
                    "credential": credential.statement_digest().to_string(),
                    "training_expires": claim.training_expires.to_string(),
                    "until": claim.not_after.rfc3339(),
                })
            };
            let left_out = |(person, cause): &(PersonId, Cause)| json!({"person": person.as_str(), "cause": cause.to_string(), "hint": advice(cause)});
            ctx.printer.json(&json!({
                "renewed": outcome.renewed.iter().map(renewed).collect::<Vec<_>>(),
                "left_out": outcome.left_out.iter().map(left_out).collect::<Vec<_>>(),
            }))?;
        }
        Output::Table => {
            for credential in &outcome.renewed {
                let claim = credential.get();
                ctx.printer.line(&format!("renewed  {} until {}", claim.person, claim.not_after.rfc3339()))?;
            }
            for (person, cause) in &outcome.left_out {
                ctx.printer.line(&format!("left out {person}: {cause}"))?;
                ctx.note(&format!("{person}: {}", advice(cause)));
            }
        }
    }
    if !outcome.renewed.is_empty() {
        ctx.note("their people get them from the node at their next command");
    }
    Ok(())
}

/// What the employer can do about somebody who was left out.
fn advice(cause: &Cause) -> &'static str {
    match cause {
        Cause::CredentialRevoked => {
            "whoever comes back makes a new request, for which `staff issue` makes a credential"
        }
        Cause::Suspended => {
            "governance has suspended them: only the officers of the network lift that, or it ends by itself"
        }
        Cause::TrainingLapsed(_) => "when the training is done: --training-expires with its last day",
        Cause::ApprovalMissing => "two colleagues approve again with `staff approve`, then `staff issue`",
        _ => "the credential stands under no key of the organisation any more: issue it again for the person's request",
    }
}
