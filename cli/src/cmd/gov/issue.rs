//! `gov issue`: an organisation's certificate, and its enrolment.

use careweave_certs::authority::{self, CertificateRequest};
use careweave_certs::enrolment::{Enrolment, EnrolmentRequest};
use careweave_certs::manifest::Manifest;
use careweave_certs::private_file;
use careweave_certs::trust::{NoticeError, Trust};
use careweave_protocol::limits::SIGNED_MAX;
use careweave_protocol::query::Cause;
use careweave_protocol::signed::Signed;
use careweave_protocol::time::Timestamp;
use ring::rand::SystemRandom;
use serde_bytes::ByteBuf;
use serde_json::json;

use super::authorities::{issuing, usable};
use super::difference::state;
use super::office::Office;
use crate::args::Output;
use crate::args::governance::IssueArgs;
use crate::context::Context;
use crate::error::{CliError, exit};
use crate::profile::read_file;

/// `gov issue`.
///
/// # Errors
/// When the request does not verify, or its key is neither the one the published manifest pins nor one that such a key endorses.
pub(super) fn run(args: &IssueArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let (office, now) = (Office::open(&args.office)?, ctx.now());
    let trust = office.published(now)?;
    let signed = Signed::from_bytes(read_file(&args.request, SIGNED_MAX)?)?;
    let request = EnrolmentRequest::verify(&signed)?.into_inner();
    let certificate_request = request.certificate_request()?;
    if request.network != *trust.network() {
        let message = format!("{} asks for a certificate of {}, not {}", request.ods, request.network, trust.network());
        return Err(CliError::refused(&Cause::OtherNetwork, message));
    }
    let member = trust.member(&request.ods).ok_or_else(|| not_admitted(&request, &Cause::NotAMember, None))?;
    key_accepted(&trust, &request, &certificate_request, now)?;
    let intermediate = issuing(&office, trust.manifest(), args.under.as_ref())?;
    overlap(trust.manifest(), &intermediate.certificate, ctx);
    let key = intermediate.key.as_deref().unwrap_or_default();
    let key = office.key(key, &format!("the authority {}", intermediate.name), ctx)?;
    // The manifest's name for the member, not the request's.
    let leaf = Office::issuer(&intermediate.certificate, &key)?.issue_organisation(
        trust.network(),
        &member.ods,
        &member.name,
        &certificate_request,
        now,
        &SystemRandom::new(),
    )?;
    let chain = vec![ByteBuf::from(leaf.to_vec()), ByteBuf::from(intermediate.certificate)];
    let refused = |cause: Cause| {
        CliError::refused(&cause, format!("members would refuse this certificate: {cause}"))
            .hint("is the intermediate in the published manifest, and not tainted?")
    };
    let verified = trust.verify_chain(&chain, request.endorsement.as_ref(), now).map_err(refused)?;
    let name = format!("certificates/{}-{}.pem", member.ods, verified.not_after().0);
    private_file::replace(&office.file(&name), authority::to_pem(std::slice::from_ref(&leaf)).as_bytes())?;
    if let Some(endorsement) =
        request.endorsement.filter(|_| !member.key.accepts(&certificate_request.key().spki_hash()))
    {
        office.keep_endorsement(&member.ods, &endorsement)?;
    }
    let enrolment = Enrolment {
        network: trust.network().clone(),
        ods: member.ods.clone(),
        chain,
        attestations: office.attestations(&member.ods)?,
        manifests: trust.manifest_chain_after(0),
    };
    private_file::replace(&args.out, &enrolment.to_bytes()?)?;
    match ctx.output {
        Output::Json => ctx.printer.json(&json!({
            "ods": member.ods.as_str(),
            "until": verified.not_after().rfc3339(),
            "issuer": intermediate.details.digest.to_string(),
            "attestations": enrolment.attestations.len(),
            "file": args.out,
        }))?,
        Output::Table => {
            ctx.printer.line(&format!("{:<18}{}", "enrolment", args.out.display()))?;
            ctx.printer.line(&format!("{:<18}{}", "certificate until", verified.not_after().rfc3339()))?;
            ctx.printer.line(&format!("{:<18}{} ({})", "issued by", intermediate.details.digest, intermediate.name))?;
            ctx.printer.line(&format!("{:<18}{}", "attestations", enrolment.attestations.len()))?;
        }
    }
    Ok(exit::DONE)
}

/// The key is pinned, or a pinned key says that it is the member's next one.
fn key_accepted(
    trust: &Trust,
    request: &EnrolmentRequest,
    asked: &CertificateRequest,
    now: Timestamp,
) -> Result<(), CliError> {
    let key = asked.key();
    if trust.accepts_key(&request.ods, &key.spki_hash(), now) {
        return Ok(());
    }
    let Some(endorsement) = &request.endorsement else {
        return Err(not_admitted(
            request,
            &Cause::KeyNotPinned,
            Some("its key is not pinned, and no pinned key endorses it"),
        ));
    };
    match trust.verify_endorsement(endorsement, now) {
        Ok(verified) if verified.get().ods == request.ods && verified.get().successor == *key => Ok(()),
        Ok(_) => Err(not_admitted(request, &Cause::KeyNotPinned, Some("the endorsement is of another key"))),
        Err(NoticeError::KeyNotPinned) => {
            Err(not_admitted(request, &Cause::KeyNotPinned, Some("the key that endorses it is not pinned")))
        }
        Err(error) => {
            let why = format!("its endorsement does not count: {error}");
            let cause = match error {
                NoticeError::Signed(_) => Cause::SignatureInvalid,
                _ => Cause::KeyNotPinned,
            };
            Err(not_admitted(request, &cause, Some(&why)))
        }
    }
}

/// While more than one intermediate is accepted, whoever issues should know which one they use.
fn overlap(manifest: &Manifest, issuing: &[u8], ctx: &Context) {
    let accepted = usable(manifest);
    if accepted.len() < 2 {
        return;
    }
    ctx.note("an overlap is going on: more than one intermediate is accepted");
    for authority in accepted {
        let digest = careweave_protocol::id::Digest::of(&[&authority.certificate]);
        let mark = if *authority.certificate == issuing { "  issues now" } else { "" };
        ctx.note(&format!("  {:<8}{digest}{mark}", state(authority.state)));
    }
}

fn not_admitted(request: &EnrolmentRequest, cause: &Cause, why: Option<&str>) -> CliError {
    let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
    CliError::refused(cause, format!("no certificate for {}: {cause}{why}", request.ods))
        .hint("`gov admit` its request and publish the manifest first")
}
