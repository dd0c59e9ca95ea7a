//! `careweave cert enrol`: the first certificate, from a network's enrolment service.

use std::time::Duration;

use careweave_certs::enrolment::{Enrolment, EnrolmentRequest};
use careweave_certs::{layout, private_file};
use careweave_protocol::identity::{EnrolHello, EnrolReply};
use careweave_protocol::limits::{INVITATION_LIFE, SIGNED_MAX};
use careweave_protocol::query::Cause;
use careweave_protocol::signed::Signed;
use ring::rand::SystemRandom;
use serde_bytes::ByteBuf;
use serde_json::json;
use zeroize::Zeroizing;

use super::install;
use crate::args::Output;
use crate::args::enrol::CertEnrolArgs;
use crate::cmd::gov::OneTimeCode;
use crate::cmd::node_init::directory::NodeDirectory;
use crate::context::Context;
use crate::desk::{advice, enrol};
use crate::error::{CliError, exit};
use crate::profile::read_file;

/// Sends the node's own request with the proof of the code, and installs what comes back.
///
/// # Errors
/// When the service is not reached, refuses, or sends what does not verify.
pub(super) async fn run(args: &CertEnrolArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let node = NodeDirectory::open(&args.node)?;
    let request = own_request(&node)?;
    let code = code(args, ctx)?;
    let proof = code.prove(&request);
    let deadline = ctx.now().after(INVITATION_LIFE);
    loop {
        let hello = EnrolHello {
            network: node.network.clone(),
            clock: ctx.now(),
            request: ByteBuf::from(request.clone()),
            proof,
        };
        let reply = match enrol(&args.service, hello, &SystemRandom::new()).await {
            // A service that is restarted while somebody waits for the officers is no reason to give up.
            Err(error) if args.wait && error.may_pass() && ctx.now() < deadline => {
                ctx.note(&format!("{error}; asking again"));
                tokio::time::sleep(AGAIN).await;
                continue;
            }
            reply => reply?,
        };
        match reply {
            EnrolReply::Enrolled(bytes) => {
                return install::take_in(&node, Enrolment::from_bytes(&bytes)?, args.pin, ctx);
            }
            EnrolReply::Refused(cause) => return Err(refused(&cause)),
            EnrolReply::AwaitingApproval if args.wait && ctx.now() < deadline => {
                if ctx.verbose {
                    ctx.note("the request waits for the officers");
                }
                tokio::time::sleep(AGAIN).await;
            }
            EnrolReply::AwaitingApproval => return awaiting(&node, &request, ctx),
        }
    }
}

/// The request that `node init` left, when it is this node's own.
fn own_request(node: &NodeDirectory) -> Result<Vec<u8>, CliError> {
    let path = node.file(layout::ENROLMENT_REQUEST);
    let bytes = read_file(&path, SIGNED_MAX)?;
    let request = EnrolmentRequest::verify(&Signed::from_bytes(bytes.clone())?)?.into_inner();
    let key = request.key().map_err(careweave_certs::enrolment::EnrolmentError::from)?;
    if request.ods == node.ods && request.network == node.network && key == node.organisation_public_key()? {
        return Ok(bytes);
    }
    Err(CliError::failed("request", format!("{} is not a request for this node's own key", path.display()))
        .hint("`careweave cert request` makes one; nothing was sent"))
}

fn code(args: &CertEnrolArgs, ctx: &Context) -> Result<OneTimeCode, CliError> {
    if let Some(path) = &args.code_file {
        let bytes = private_file::read(path, CODE_FILE_MAX)?;
        let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let text = std::str::from_utf8(line).unwrap_or_default();
        return text.parse().map_err(|error| {
            CliError::usage(format!("{}: {error}", path.display()))
                .hint("nothing was sent; compare it with what you were told")
        });
    }
    let read = |line: &str| line.parse::<OneTimeCode>().map_err(|error| error.to_string());
    ctx.ask_for("One-time code", "a one-time code is needed", "type it, or name a file with --code-file", |line| {
        read(&Zeroizing::new(line.to_owned()))
    })
}

fn awaiting(node: &NodeDirectory, request: &[u8], ctx: &mut Context) -> Result<u8, CliError> {
    let signed: Signed<EnrolmentRequest> = Signed::from_bytes(request.to_vec())?;
    let key = signed.unverified()?.key().map_err(careweave_certs::enrolment::EnrolmentError::from)?.spki_hash();
    match ctx.output {
        Output::Json => ctx.printer.json(&json!({
            "ods": node.ods.as_str(),
            "state": "awaiting-approval",
            "key": key.to_string(),
        }))?,
        Output::Table => {
            ctx.printer.line(&format!("{:<20}{}", "request of", node.ods))?;
            ctx.printer.line(&format!("{:<20}awaiting approval", "state"))?;
            ctx.printer.line(&format!("{:<20}{key}", "organisation key"))?;
        }
    }
    ctx.note("tell the governance office the organisation key by another channel: they admit that key and no other");
    ctx.note("next: the same command again, with the same code; --wait asks every 15 s");
    Ok(exit::PARTIAL)
}

fn refused(cause: &Cause) -> CliError {
    let hint = match cause {
        Cause::InvitationInvalid => {
            "is it the code for this organisation? After ten wrong ones an hour has to pass; the governance office can make a new one"
        }
        Cause::KeyNotPinned => {
            "another key was sent with this code before: tell the governance office at once, and ask for a new code"
        }
        Cause::NoEnrolmentService => "ask the governance office which node runs the enrolment service",
        Cause::QuotaExceeded => "many requests wait for the officers; try again tomorrow",
        cause => advice(cause),
    };
    CliError::refused(cause, format!("the enrolment service refused: {cause}")).hint(hint)
}

/// How long `--wait` waits between two questions: the officers meet over hours, not seconds.
const AGAIN: Duration = Duration::from_secs(15);
/// A code is one line; longer files are something else.
const CODE_FILE_MAX: usize = 1024;
