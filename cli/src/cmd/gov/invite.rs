//! `gov invite`: one officer's word that whoever knows a one-time code may ask for a member's first certificate.

pub(crate) mod code;

use std::time::Duration;

use careweave_certs::enrolment::Invitation;
use careweave_certs::private_file;
use careweave_protocol::desk::{DeskReply, DeskRequest};
use careweave_protocol::id::OdsCode;
use careweave_protocol::key::Signer;
use careweave_protocol::limits::SIGNED_MAX;
use careweave_protocol::signed::{Scope, Signed};
use ring::rand::SystemRandom;
use serde_bytes::ByteBuf;
use serde_json::json;

use super::office::Office;
use crate::args::Output;
use crate::args::enrol::InviteArgs;
use crate::context::Context;
use crate::desk::{Desk, DeskError};
use crate::error::{CliError, exit};
use code::OneTimeCode;

/// Makes a code and its invitation; or hands one over that was made before.
///
/// # Errors
/// When the key is not an officer's, or the node does not take it. No code is shown then.
pub(super) async fn run(args: &InviteArgs, ctx: &mut Context) -> Result<u8, CliError> {
    if let Some(path) = &args.carry {
        let bytes = private_file::read(path, SIGNED_MAX)?;
        let signed: Signed<Invitation> = Signed::from_bytes(bytes.to_vec())?;
        let said = hand_over(&Desk::open(ctx).await?, &signed).await?;
        match ctx.output {
            Output::Json => ctx.printer.json(&json!({"ods": signed.unverified()?.ods.as_str(), "taken": said}))?,
            Output::Table => ctx.printer.line(&format!("invited {said}"))?,
        }
        return Ok(exit::DONE);
    }
    let Some(ods) = &args.ods else {
        return Err(CliError::usage("nobody is named").hint("say who is invited: --ods"));
    };
    // Before a passphrase is asked for: without somebody to hand it to, an invitation would be lost.
    let desk = if args.out.is_none() { Some(Desk::open(ctx).await?) } else { None };
    let (code, signed) = invitation(args, ods, ctx)?;
    let handed_over = desk.is_some();
    if let Some(desk) = desk {
        hand_over(&desk, &signed).await?;
        desk.close().await;
    }
    if let Some(path) = &args.out {
        private_file::replace(path, signed.as_bytes())?;
    }
    let until = signed.unverified()?.expires.rfc3339();
    match ctx.output {
        Output::Json => ctx.printer.json(&json!({
            "ods": ods.as_str(),
            "code": code.to_text().as_str(),
            "until": until,
            "handed_over": handed_over,
            "file": args.out,
        }))?,
        Output::Table => {
            ctx.printer.line(&format!("{:<10}{ods}", "invited"))?;
            ctx.printer.line(&format!("{:<10}{}", "code", code.to_text().as_str()))?;
            ctx.printer.line(&format!("{:<10}{until}", "until"))?;
            ctx.note("the code is shown once; give it to the organisation by a channel that you trust");
            match &args.out {
                Some(path) => ctx.note(&format!("next: `careweave gov invite --carry {}`", path.display())),
                None => ctx.note("next: when they have used it, `careweave gov requests` lists what they ask for"),
            }
        }
    }
    Ok(exit::DONE)
}

/// A fresh code, and the officer's signed word on it.
fn invitation(args: &InviteArgs, ods: &OdsCode, ctx: &Context) -> Result<(OneTimeCode, Signed<Invitation>), CliError> {
    let (office, now) = (Office::open(&args.office)?, ctx.now());
    let trust = office.published(now)?;
    let key = office.officer_key(args.officer, ctx)?;
    if !trust.manifest().governance.keys.contains(&key.public_key()) {
        return Err(CliError::new(exit::REFUSED, "not-an-officer", "the key is not an officer's of the manifest here")
            .hint("nothing was made; `careweave gov show` lists the officers"));
    }
    let code = OneTimeCode::random(&SystemRandom::new())
        .map_err(|_| CliError::failed("randomness", "there is no randomness for a code"))?;
    let expires = now.after(Duration::from_secs(args.days.saturating_mul(24 * 3600)));
    let invitation = Invitation { ods: ods.clone(), code: code.digest(), expires };
    let signed = Signed::sign(&invitation, Scope::network(trust.network()), &key)?.into_signed();
    Ok((code, signed))
}

async fn hand_over(desk: &Desk, signed: &Signed<Invitation>) -> Result<String, CliError> {
    let invitation = ByteBuf::from(signed.as_bytes().to_vec());
    match desk.reply(&DeskRequest::Invite(invitation)).await? {
        DeskReply::Published(said) => Ok(said),
        _ => Err(DeskError::Unexpected.into()),
    }
}
