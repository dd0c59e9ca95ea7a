//! `gov requests`: what organisations ask for that have used their one-time codes; and what the office gives the service to hand out.

use careweave_certs::enrolment::EnrolmentRequest;
use careweave_certs::private_file;
use careweave_protocol::desk::{DeskReply, DeskRequest};
use careweave_protocol::id::Digest;
use careweave_protocol::identity::Attestation;
use careweave_protocol::signed::Signed;
use serde_bytes::ByteBuf;
use serde_json::{Value, json};

use crate::args::Output;
use crate::args::enrol::RequestsArgs;
use crate::context::Context;
use crate::desk::{Desk, DeskError};
use crate::error::{CliError, exit};

/// A request that verified, as it came.
struct Waiting {
    signed: ByteBuf,
    request: EnrolmentRequest,
    key: Digest,
}

/// Lists the requests that wait for the officers.
///
/// # Errors
/// When the node cannot be asked, or what it sends does not verify.
pub(super) async fn run(args: &RequestsArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let desk = Desk::open(ctx).await?;
    let reply = desk.reply(&DeskRequest::EnrolmentRequests).await?;
    let runs = desk.manifest().enrolment.contains(desk.organisation());
    desk.close().await;
    let DeskReply::EnrolmentRequests(signed) = reply else { return Err(DeskError::Unexpected.into()) };
    let waiting = signed.into_iter().map(Waiting::read).collect::<Result<Vec<_>, _>>()?;
    if let Some(directory) = &args.out {
        private_file::create_dir(directory)?;
        for one in &waiting {
            private_file::replace(&directory.join(format!("{}.cbor", one.request.ods)), &one.signed)?;
        }
    }
    match ctx.output {
        Output::Json => ctx.printer.json(&waiting.iter().map(Waiting::fields).collect::<Vec<_>>())?,
        Output::Table => ctx.printer.table(&COLUMNS, &waiting.iter().map(Waiting::row).collect::<Vec<_>>())?,
    }
    match (waiting.is_empty(), runs) {
        (true, false) => ctx.note("nothing waits here: your node does not run the enrolment service"),
        (true, true) => ctx.note("nothing waits"),
        (false, _) => {
            ctx.note("compare each key with what the organisation tells you by another channel");
            ctx.note(match args.out {
                Some(_) => "next: `careweave gov admit --request FILE`",
                None => "next: `careweave gov requests --out DIR` writes them as files for `careweave gov admit`",
            });
        }
    }
    Ok(exit::DONE)
}

/// Gives attestations to the enrolment service of the own node, which hands them out with renewals. Gives what the node said.
///
/// # Errors
/// When the node cannot be asked, or does not take them.
pub(super) async fn hand_over(ctx: &Context, attestations: &[Signed<Attestation>]) -> Result<String, CliError> {
    let desk = Desk::open(ctx).await?;
    let reply = desk.reply(&DeskRequest::Attest(attestations.to_vec())).await?;
    desk.close().await;
    match reply {
        DeskReply::Published(said) => Ok(said),
        _ => Err(DeskError::Unexpected.into()),
    }
}

impl Waiting {
    /// Verifies what the node sent: the organisation key of each request has signed it.
    fn read(signed: ByteBuf) -> Result<Self, CliError> {
        let request = EnrolmentRequest::verify(&Signed::from_bytes(signed.to_vec())?)?.into_inner();
        let key = request.key().map_err(careweave_certs::enrolment::EnrolmentError::from)?.spki_hash();
        Ok(Self { signed, request, key })
    }

    /// A row under [`COLUMNS`].
    fn row(&self) -> Vec<String> {
        let request = &self.request;
        vec![request.ods.to_string(), request.name.clone(), request.kind.to_string(), self.key.to_string()]
    }

    fn fields(&self) -> Value {
        let request = &self.request;
        json!({
            "ods": request.ods.as_str(),
            "name": request.name,
            "kind": request.kind.to_string(),
            "care_setting": request.care_setting,
            "neighbourhood": request.neighbourhood,
            "duty_contact": request.duty_contact,
            "key": self.key.to_string(),
        })
    }
}

const COLUMNS: [&str; 4] = ["ODS", "NAME", "KIND", "ORGANISATION KEY"];
