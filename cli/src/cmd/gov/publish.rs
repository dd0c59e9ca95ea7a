//! `gov publish`: a draft with a quorum becomes the manifest, and goes to a file or to a node.

use careweave_certs::private_file;
use careweave_certs::trust::Trust;
use careweave_protocol::desk::{DeskReply, DeskRequest, GovernanceDocument};
use careweave_protocol::time::Timestamp;
use serde_bytes::ByteBuf;
use serde_json::json;

use super::difference;
use super::office::Office;
use crate::args::Output;
use crate::args::governance::PublishArgs;
use crate::context::Context;
use crate::desk::{Desk, DeskError};
use crate::error::{CliError, exit};

/// `gov publish`: a draft that enough officers have signed becomes the manifest; then to a file, or to a node.
///
/// # Errors
/// When too few have signed, or the node does not take it.
pub(super) async fn publish(args: &PublishArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let (office, now) = (Office::open(&args.office)?, ctx.now());
    let trust = promoted(&office, args.out.is_some(), now, ctx)?;
    match &args.out {
        Some(path) => {
            private_file::replace(path, &trust.to_bytes()?)?;
            match ctx.output {
                Output::Json => ctx.printer.json(&json!({
                    "network": trust.network().as_str(),
                    "version": trust.version(),
                    "first_manifest": trust.pinned().to_string(),
                    "file": path,
                }))?,
                Output::Table => {
                    ctx.printer.line(&format!("{:<18}{}", "manifest version", trust.version()))?;
                    ctx.printer.line(&format!("{:<18}{}", "first manifest", trust.pinned()))?;
                }
            }
        }
        None => tell_node(&office, &trust, ctx).await?,
    }
    Ok(exit::DONE)
}

/// Promotes a draft with a quorum. One without is no obstacle to telling a node what is published already.
fn promoted(office: &Office, must: bool, now: Timestamp, ctx: &Context) -> Result<Trust, CliError> {
    let held = office.trust(now)?;
    let Some(draft) = office.draft()? else {
        return held.map_or_else(|| office.published(now), Ok);
    };
    let next = match &held {
        Some(trust) => {
            let mut next = trust.clone();
            next.advance(draft.clone(), now).map(|_| next)
        }
        None => Trust::from_pinned(draft.clone()),
    };
    match (next, held) {
        (Ok(next), _) => {
            office.promote(&next, &draft)?;
            Ok(next)
        }
        (Err(error), Some(held)) if !must => {
            ctx.note(&format!("the draft is left out: {error}"));
            Ok(held)
        }
        (Err(error), _) => Err(error.into()),
    }
}

async fn tell_node(office: &Office, trust: &Trust, ctx: &mut Context) -> Result<(), CliError> {
    let desk = Desk::open(ctx).await?;
    let mut outcomes = Vec::new();
    for (what, document) in documents(office, trust, desk.manifest().version, ctx.now())? {
        let DeskReply::Published(outcome) = desk.reply(&DeskRequest::Publish(document)).await? else {
            return Err(DeskError::Unexpected.into());
        };
        outcomes.push((what, outcome));
    }
    desk.close().await;
    if ctx.output == Output::Json {
        let outcomes: Vec<_> =
            outcomes.iter().map(|(what, outcome)| json!({"document": what, "outcome": outcome})).collect();
        return ctx.printer.json(&outcomes);
    }
    if outcomes.is_empty() {
        ctx.note("the node knows everything already");
    }
    for (what, outcome) in outcomes {
        ctx.printer.line(&format!("{what}: {outcome}"))?;
    }
    Ok(())
}

/// What a node that holds this version does not know: manifests in order, then suspensions that still run.
fn documents(
    office: &Office,
    trust: &Trust,
    version: u64,
    now: Timestamp,
) -> Result<Vec<(String, GovernanceDocument)>, CliError> {
    let mut documents = Vec::new();
    for manifest in trust.manifest_chain_after(version) {
        let what = format!("manifest {}", manifest.unverified()?.version);
        documents.push((what, GovernanceDocument::Manifest(ByteBuf::from(manifest.as_bytes()))));
    }
    let mut believed = trust.clone();
    for suspension in office.suspensions()? {
        // What has run out, or was signed by nobody who may, is not worth sending.
        if believed.accept_suspension(suspension.clone(), now).is_ok() {
            let what = format!("suspension of {}", difference::suspension(&suspension.unverified()?));
            documents.push((what, GovernanceDocument::Suspension(ByteBuf::from(suspension.as_bytes()))));
        }
    }
    Ok(documents)
}
