//! `gov sign`: one officer reads what a draft changes, computed where their key is, and adds one signature.

use std::path::Path;

use careweave_certs::keystore::PrivateKey;
use careweave_certs::manifest::Manifest;
use careweave_certs::private_file;
use careweave_certs::trust::Trust;
use careweave_protocol::key::Signer;
use careweave_protocol::limits::MANIFEST_MAX;
use careweave_protocol::query::Cause;
use careweave_protocol::signed::MultiSigned;

use super::difference::{self, difference};
use super::follow;
use super::office::Office;
use super::office_keys;
use crate::args::governance::SignArgs;
use crate::context::Context;
use crate::error::{CliError, exit};
use crate::profile::read_file;

/// `gov sign`.
///
/// # Errors
/// When there is no draft, it does not follow what is held, the officer has no say in it, or they do not confirm.
pub(super) fn run(args: &SignArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let office = Office::open(&args.office)?;
    match (args.officer, &args.draft, &args.out) {
        (Some(number), ..) => in_office(&office, number, args, ctx),
        (None, Some(draft), Some(out)) => elsewhere(&office, (draft, out), args, ctx),
        (None, ..) => Err(CliError::usage("nothing says what to sign").hint("--officer N, or --draft FILE with --out")),
    }
}

/// In an office that has the officers' keys.
fn in_office(office: &Office, number: u32, args: &SignArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let draft = office.draft()?.ok_or_else(|| {
        CliError::failed("draft", "there is no draft to sign").hint("`careweave gov admit` or `gov propose` makes one")
    })?;
    let held = office.trust(ctx.now())?;
    let manifest = read_first((&draft, held.as_ref()), args.yes, ctx)?;
    let key = office.officer_key(number, ctx)?;
    entitled(&key, &manifest, held.as_ref(), &format!("officer {number}"))?;
    let signed = draft.add_signature(&manifest.network, &key)?;
    office.keep_draft(&signed)?;
    said((&signed, &manifest, held.as_ref()), args.yes, ctx)
}

/// On an officer's own machine, against what that officer has verified.
fn elsewhere(office: &Office, files: (&Path, &Path), args: &SignArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let (path, out) = files;
    let own = office_keys::of_officer(office.directory())?.ok_or_else(|| {
        CliError::failed("office", format!("{} is not an officer's own directory", office.directory().display()))
            .hint("name it with --dir; `careweave gov officer` makes one; in an office: `gov sign --officer N`")
    })?;
    let draft: MultiSigned<Manifest> =
        MultiSigned::from_bytes(read_file(path, MANIFEST_MAX)?).map_err(|error| follow::damaged(path, &error))?;
    let manifest = draft.unverified().map_err(|error| follow::damaged(path, &error))?;
    if manifest.network != own.network {
        let message = format!("the draft is of {}, and this officer's key is for {}", manifest.network, own.network);
        return Err(CliError::refused(&Cause::OtherNetwork, message).hint("nothing was signed"));
    }
    manifest.check().map_err(|error| {
        CliError::new(exit::REFUSED, "manifest", format!("the draft makes no sense: {error}"))
            .hint("nothing was signed; ask the office for another draft")
    })?;
    let held = follow::follow(office, &args.chain, Some(&own.network), args.yes, ctx)?;
    follow::must_follow(manifest.version, held.as_ref())?;
    let digest = draft.statement_digest()?;
    if held.is_none() {
        follow::compare_first(digest, args.chain.pin, args.yes, ctx)?;
    }
    if office.signed_before(manifest.version)?.iter().any(|other| *other != digest.to_string()) {
        ctx.note(&format!("warning: you have signed another draft of version {} before", manifest.version));
    }
    read_first((&draft, held.as_ref()), args.yes, ctx)?;
    let key = office.officer_key(1, ctx)?;
    if key.public_key() != own.key {
        return Err(CliError::failed("key", "the private key is not the one of officer.pub")
            .hint("nothing was signed; take both from the same copy of this directory"));
    }
    entitled(&key, &manifest, held.as_ref(), "this officer")?;
    let signed = draft.add_signature(&manifest.network, &key)?;
    office.keep_signed(manifest.version, &signed)?;
    private_file::replace(out, signed.as_bytes())?;
    ctx.note(&format!("next: carry {} to the governance office, for `gov collect`", out.display()));
    said((&signed, &manifest, held.as_ref()), args.yes, ctx)
}

/// Shows what changes and asks, unless told not to.
fn read_first(
    draft: (&MultiSigned<Manifest>, Option<&Trust>),
    assume_yes: bool,
    ctx: &mut Context,
) -> Result<Manifest, CliError> {
    let (draft, held) = draft;
    let manifest = draft.unverified()?;
    if assume_yes {
        return Ok(manifest);
    }
    let lines = difference(held.map(Trust::manifest), &manifest);
    difference::show(&lines, &manifest, draft, held, ctx)?;
    let answer = ctx.ask(
        "Sign this manifest? Type yes",
        "nobody has agreed to sign",
        "read the changes above; --yes signs without asking",
    )?;
    if answer == "yes" {
        return Ok(manifest);
    }
    Err(CliError::failed("not-signed", "not signed").hint("nothing was changed"))
}

fn entitled(key: &PrivateKey, manifest: &Manifest, held: Option<&Trust>, who: &str) -> Result<(), CliError> {
    let public = key.public_key();
    let has_say = manifest.governance.keys.contains(&public)
        || held.is_some_and(|trust| trust.manifest().governance.keys.contains(&public));
    if has_say {
        return Ok(());
    }
    Err(CliError::new(exit::REFUSED, "not-an-officer", format!("{who} has no say in this draft")).hint(format!(
        "the key {} is neither in the manifest that holds nor in the draft; nothing was signed",
        public.spki_hash()
    )))
}

fn said(
    signed: (&MultiSigned<Manifest>, &Manifest, Option<&Trust>),
    assume_yes: bool,
    ctx: &mut Context,
) -> Result<u8, CliError> {
    let (signed, manifest, held) = signed;
    if assume_yes {
        let lines = difference(held.map(Trust::manifest), manifest);
        difference::show(&lines, manifest, signed, held, ctx)?;
    } else {
        ctx.note("signed");
    }
    Ok(exit::DONE)
}
