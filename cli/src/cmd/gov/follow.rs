//! How an officer's own directory learns which manifests were published: a file that somebody carries, verified from the first manifest
//! that this officer has pinned.

use std::path::Path;

use careweave_certs::trust::{TRUST_MAX, Trust, TrustError};
use careweave_protocol::id::{Digest, NetworkId};
use careweave_protocol::query::Cause;
use careweave_protocol::signed::SignedError;

use super::office::Office;
use crate::args::governance::ChainArgs;
use crate::context::Context;
use crate::error::{CliError, exit};
use crate::profile::read_file;

/// What this directory believes, brought up to date from `--chain`; `None` while it has never seen a manifest.
///
/// # Errors
/// When the chain is another network's, begins with another first manifest, contradicts what is held, or nobody has compared the first
/// manifest's digest yet.
pub(super) fn follow(
    office: &Office,
    args: &ChainArgs,
    network: Option<&NetworkId>,
    assume_yes: bool,
    ctx: &Context,
) -> Result<Option<Trust>, CliError> {
    let now = ctx.now();
    let held = office.trust(now)?;
    if let (Some(trust), Some(pinned)) =
        (&held, args.pin.filter(|pin| held.as_ref().is_some_and(|t| t.pinned() != *pin)))
    {
        return Err(TrustError::OtherPin { shown: trust.pinned(), pinned }.into());
    }
    let Some(path) = &args.chain else { return Ok(held) };
    let shown = Trust::from_bytes(&read_file(path, TRUST_MAX)?, now)?;
    if network.is_some_and(|network| network != shown.network()) {
        return Err(CliError::refused(
            &Cause::OtherNetwork,
            format!("{} is the chain of {}", path.display(), shown.network()),
        )
        .hint("nothing was changed; ask the governance office for the chain of your network"));
    }
    let followed = match held {
        Some(held) => advanced(held, &shown, path, ctx)?,
        None => {
            compare_first(shown.pinned(), args.pin, assume_yes, ctx)?;
            // The manifests alone: notices in the file are the office's business.
            Trust::from_chain(shown.manifest_chain_after(0), Some(shown.pinned()), now)?
        }
    };
    office.keep_chain(&followed)?;
    Ok(Some(followed))
}

/// The first time: the digest of the first manifest is what everything else follows from, so a person compares it.
///
/// # Errors
/// When it is not the one given with `--pin`, or there is none and nobody confirms.
pub(super) fn compare_first(
    shown: Digest,
    pin: Option<Digest>,
    assume_yes: bool,
    ctx: &Context,
) -> Result<(), CliError> {
    match pin {
        Some(pinned) if pinned == shown => return Ok(()),
        Some(pinned) => return Err(TrustError::OtherPin { shown, pinned }.into()),
        None => {}
    }
    let (missing, hint) = (
        "nobody has compared the digest of the first manifest",
        "ask the other officers for it by another channel and give it with --pin",
    );
    if assume_yes {
        return Err(CliError::usage(missing).hint(hint));
    }
    ctx.note(&format!("first manifest: {shown}"));
    ctx.note("compare this digest with the other officers by another channel, by telephone or in person");
    if ctx.ask("Is it the same? Type yes", missing, hint)? == "yes" {
        return Ok(());
    }
    Err(CliError::failed("not-compared", "the digest of the first manifest was not confirmed")
        .hint("nothing was changed; do not sign until you have compared it"))
}

fn advanced(mut held: Trust, shown: &Trust, path: &Path, ctx: &Context) -> Result<Trust, CliError> {
    if shown.pinned() != held.pinned() {
        return Err(TrustError::OtherPin { shown: shown.pinned(), pinned: held.pinned() }.into());
    }
    // Both begin with the same manifest, so the n-th of one is of the same version as the n-th of the other.
    for (own, theirs) in held.manifest_chain_after(0).iter().zip(shown.manifest_chain_after(0)) {
        if own.statement_digest()? != theirs.statement_digest()? {
            return Err(TrustError::Forked { version: own.unverified()?.version }.into());
        }
    }
    if shown.version() < held.version() {
        ctx.note(&format!("{} ends with version {}; {} is held here", path.display(), shown.version(), held.version()));
    }
    for next in shown.manifest_chain_after(held.version()) {
        held.advance(next, ctx.now())?;
    }
    Ok(held)
}

/// Why a draft of this version is not one that follows what is held.
///
/// # Errors
/// When it does not follow.
pub(super) fn must_follow(version: u64, held: Option<&Trust>) -> Result<(), CliError> {
    let known = held.map_or(0, Trust::version);
    if known.checked_add(1) == Some(version) {
        return Ok(());
    }
    let refused = CliError::new(
        exit::REFUSED,
        "does-not-follow",
        match held {
            Some(_) => format!("the draft is of version {version}, and this directory holds version {known}"),
            None => format!("the draft is of version {version}, and this directory holds no manifest yet"),
        },
    );
    Err(if version > known {
        refused.hint("bring it up to date first: --chain FILE, with what `gov publish --out` wrote")
    } else {
        refused.hint("it is published already, or an old draft: ask the office for the draft of the next version")
    })
}

/// A draft that cannot be read.
pub(super) fn damaged(path: &Path, error: &SignedError) -> CliError {
    CliError::new(exit::REFUSED, "draft", format!("{} is not a draft: {error}", path.display()))
        .hint("it was damaged on the way or is another file; take it from the office again")
}
