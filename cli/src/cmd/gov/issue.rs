//! `gov issue` and `gov attest`: what the office and its registrar give to members.

use careweave_certs::enrolment::{Enrolment, EnrolmentRequest};
use careweave_certs::{attest as attestation, authority, chain, private_file};
use careweave_protocol::limits::SIGNED_MAX;
use careweave_protocol::query::Cause;
use careweave_protocol::signed::Signed;
use ring::rand::SystemRandom;
use serde_bytes::ByteBuf;
use serde_json::json;

use super::office::{INTERMEDIATE, Office, REGISTRAR};
use crate::args::Output;
use crate::args::governance::{AttestArgs, IssueArgs};
use crate::context::Context;
use crate::error::{CliError, exit};
use crate::profile::read_file;

/// `gov issue`.
///
/// # Errors
/// When the request does not verify, or its key is not the one the published manifest pins.
pub(super) fn issue(args: &IssueArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let (office, now) = (Office::open(&args.office)?, ctx.now());
    let trust = office.published(now)?;
    let signed = Signed::from_bytes(read_file(&args.request, SIGNED_MAX)?)?;
    let request = EnrolmentRequest::verify(&signed)?.into_inner();
    let certificate_request = request.certificate_request()?;
    let not_admitted = |cause: Cause| {
        CliError::refused(&cause, format!("no certificate for {}: {cause}", request.ods))
            .hint("`gov admit` its request and publish the manifest first")
    };
    let member = trust.member(&request.ods).ok_or_else(|| not_admitted(Cause::NotAMember))?;
    if request.network != *trust.network() || !member.key.accepts(&certificate_request.key().spki_hash()) {
        return Err(not_admitted(Cause::KeyNotPinned));
    }
    let key = office.key(INTERMEDIATE.0, "the intermediate authority", ctx)?;
    let intermediate = office.certificate(INTERMEDIATE.1)?;
    // The manifest's name for the member, not the request's.
    let leaf = office.issuer(&intermediate, &key)?.issue_organisation(
        trust.network(),
        &member.ods,
        &member.name,
        &certificate_request,
        now,
        &SystemRandom::new(),
    )?;
    let chain = vec![ByteBuf::from(leaf.to_vec()), ByteBuf::from(intermediate)];
    let refused = |cause: Cause| {
        CliError::refused(&cause, format!("members would refuse this certificate: {cause}"))
            .hint("is the intermediate in the published manifest, and not tainted?")
    };
    let verified = chain::verify(&chain, trust.manifest(), now).map_err(refused)?;
    let name = format!("certificates/{}-{}.pem", member.ods, verified.not_after().0);
    private_file::replace(&office.file(&name), authority::to_pem(std::slice::from_ref(&leaf)).as_bytes())?;
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
            "attestations": enrolment.attestations.len(),
            "file": args.out,
        }))?,
        Output::Table => {
            ctx.printer.line(&format!("{:<18}{}", "enrolment", args.out.display()))?;
            ctx.printer.line(&format!("{:<18}{}", "certificate until", verified.not_after().rfc3339()))?;
            ctx.printer.line(&format!("{:<18}{}", "attestations", enrolment.attestations.len()))?;
        }
    }
    Ok(exit::DONE)
}

/// `gov attest`.
///
/// # Errors
/// When it is about no member, or over already.
pub(super) fn attest(args: &AttestArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let (office, now) = (Office::open(&args.office)?, ctx.now());
    let trust = office.published(now)?;
    if trust.member(&args.ods).is_none() {
        return Err(CliError::refused(&Cause::NotAMember, format!("{} is not a member", args.ods))
            .hint("`gov admit` its request and publish the manifest first"));
    }
    if now >= args.expires.plus_days(1).start() {
        return Err(CliError::usage(format!("{} is over", args.expires)).hint("give the last day on which it holds"));
    }
    let key = office.key(REGISTRAR, "the registrar", ctx)?;
    let made = attestation::issue(trust.network(), &args.ods, args.standard, args.expires, &key, now)?;
    let mut all = Vec::new();
    for held in office.attestations(&args.ods)? {
        if held.unverified()?.standard != args.standard {
            all.push(held);
        }
    }
    all.push(made.into_signed());
    office.keep_attestations(&args.ods, &all)?;
    match ctx.output {
        Output::Json => ctx.printer.json(&json!({
            "ods": args.ods.as_str(),
            "standard": args.standard.as_str(),
            "expires": args.expires.to_string(),
        }))?,
        Output::Table => {
            ctx.printer.line(&format!("{} {} until {}", args.ods, args.standard.as_str(), args.expires))?;
            ctx.note("next: `gov issue` puts it into the member's enrolment");
        }
    }
    Ok(exit::DONE)
}
