//! `gov collect`: what officers have signed elsewhere comes into the office, and who is missing is said.

use std::path::Path;

use careweave_certs::manifest::{Manifest, Suspension};
use careweave_certs::trust::Trust;
use careweave_protocol::limits::MANIFEST_MAX;
use careweave_protocol::signed::{MultiSigned, Signed, SignedError};
use serde_json::json;

use super::difference;
use super::office::Office;
use super::signatures::Signatures;
use crate::args::Output;
use crate::args::governance::CollectArgs;
use crate::context::Context;
use crate::error::{CliError, exit};
use crate::profile::read_file;

/// Takes the files in, one by one; what is refused keeps nothing else out.
///
/// # Errors
/// When one was refused, after the others were taken in.
pub(super) fn run(args: &CollectArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let office = Office::open(&args.office)?;
    let mut held = office.trust(ctx.now())?;
    let (mut refused, mut suspended) = (Vec::new(), Vec::new());
    for path in &args.files {
        match take_in(&office, path, held.as_mut(), ctx) {
            Ok(Taken::Signatures) => {}
            Ok(Taken::Suspension(what)) => suspended.push(what),
            Err(error) => refused.push((path, error)),
        }
    }
    match refused.into_iter().next() {
        Some((path, first)) => {
            ctx.note("what could be believed was taken in; nothing was lost");
            let message = format!("{}: {}", path.display(), first.message);
            Err(CliError { message, ..first })
        }
        None => tell(&office, held.as_ref(), &suspended, ctx),
    }
}

/// What a file brought.
enum Taken {
    Signatures,
    Suspension(String),
}

fn take_in(office: &Office, path: &Path, held: Option<&mut Trust>, ctx: &Context) -> Result<Taken, CliError> {
    let bytes = read_file(path, MANIFEST_MAX)?;
    let copy: MultiSigned<Manifest> = MultiSigned::from_bytes(bytes.clone())?;
    let manifest = match copy.unverified() {
        Ok(manifest) => manifest,
        Err(error) => return suspension(office, bytes, error, held, ctx),
    };
    let draft = office.draft()?.ok_or_else(|| {
        CliError::new(exit::REFUSED, "no-draft", format!("there is no draft of version {} here", manifest.version))
            .hint("it is published already, or another office's; `gov propose` shows what is here")
    })?;
    let merged = draft.merge(&copy).map_err(|error| match error {
        SignedError::OtherStatement => CliError::new(exit::REFUSED, "other-statement", error.to_string()).hint(
            "it was altered on the way, or the draft has changed since it was signed: send the officer the present draft",
        ),
        error => error.into(),
    })?;
    if who(&copy, &manifest, held.as_deref())?.is_empty() {
        return Err(CliError::new(exit::REFUSED, "not-signed", "no officer has signed this copy")
            .hint("send back what `gov sign --out` wrote"));
    }
    office.keep_draft(&merged)?;
    Ok(Taken::Signatures)
}

/// Whoever has a say and has signed.
fn who(
    copy: &MultiSigned<Manifest>,
    manifest: &Manifest,
    held: Option<&Trust>,
) -> Result<Vec<careweave_protocol::key::PublicKey>, CliError> {
    let previous = held.map(|trust| trust.manifest().governance.keys.clone()).unwrap_or_default();
    let keys: Vec<_> = manifest.governance.keys.iter().cloned().chain(previous).collect();
    Ok(copy.signers(&manifest.network, &keys)?)
}

/// A file that is no draft may be a suspension that an officer signed on their own machine.
fn suspension(
    office: &Office,
    bytes: Vec<u8>,
    no_draft: SignedError,
    held: Option<&mut Trust>,
    ctx: &Context,
) -> Result<Taken, CliError> {
    let read = Signed::from_bytes(bytes).and_then(|signed| Ok((signed.unverified()?, signed)));
    let Ok((statement, signed)): Result<(Suspension, Signed<Suspension>), SignedError> = read else {
        return Err(no_draft.into());
    };
    let trust = held.ok_or_else(|| CliError::failed("unpublished", "no manifest is published yet"))?;
    trust.accept_suspension(signed.clone(), ctx.now())?;
    office.keep_suspension(&signed)?;
    Ok(Taken::Suspension(difference::suspension(&statement)))
}

fn tell(office: &Office, held: Option<&Trust>, suspended: &[String], ctx: &mut Context) -> Result<u8, CliError> {
    let counted = match office.draft()? {
        Some(draft) => {
            let manifest = draft.unverified()?;
            let digest = draft.statement_digest()?;
            Some((manifest.version, digest, Signatures::of(&draft, &manifest, held)?))
        }
        None => None,
    };
    if ctx.output == Output::Json {
        ctx.printer.json(&json!({
            "version": counted.as_ref().map(|(version, ..)| version),
            "digest": counted.as_ref().map(|(_, digest, _)| digest.to_string()),
            "signatures": counted.as_ref().map(|(.., signatures)| signatures.json()),
            "suspensions": suspended,
        }))?;
        return Ok(exit::DONE);
    }
    for what in suspended {
        ctx.printer.line(&format!("suspension of {what}"))?;
        ctx.note("nobody knows yet; next: `gov publish` with a profile of scope govern");
    }
    let Some((version, digest, signatures)) = counted else {
        ctx.note("there is no draft");
        return Ok(exit::DONE);
    };
    ctx.printer.line(&format!("manifest {version}, digest {digest}"))?;
    for line in signatures.lines() {
        ctx.printer.line(&line)?;
    }
    ctx.note(if signatures.are_enough() {
        "enough have signed; next: `gov publish --out FILE`"
    } else {
        "more officers have to sign: send them draft.cbor"
    });
    Ok(exit::DONE)
}
