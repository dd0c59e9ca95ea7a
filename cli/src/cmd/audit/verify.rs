//! `careweave audit verify`: fetches the whole log and recomputes it. The node is believed in nothing but its signatures, and
//! in those not for what an earlier run saw: the newest checkpoint is kept in the profile and must still be in the log.

use careweave_protocol::audit::{Finding, FindingKind, LogReport, LogVerifier, Origin, TreeHead, checkpoint};
use careweave_protocol::desk::{DeskReply, DeskRequest, PAGE_MAX};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::args::Output;
use crate::context::Context;
use crate::desk::{Desk, DeskError};
use crate::error::{CliError, exit};

/// Verifies the log and prints what came out.
///
/// # Errors
/// When the node cannot be asked.
pub(super) async fn run(desk: &Desk, ctx: &mut Context) -> Result<u8, CliError> {
    let origin = Origin::new(desk.network(), desk.organisation());
    let mut seen = desk.seen_log()?;
    seen.learn(desk.log_keys().await?);
    if seen.keys.is_empty() {
        // Without a key every checkpoint would look forged, which is a worse thing to say than that it was not checked.
        return Err(CliError::failed(
            "log-key",
            "the key that signs the log is not known here, so nothing can be verified",
        )
        .hint("your node must let you see its state once: ask for the scope operate"));
    }
    let mut verifier = LogVerifier::new(origin.clone(), seen.keys.clone());
    let kept = seen.checkpoint.clone();
    if let Some(note) = &kept {
        verifier.checkpoint(note);
    }
    let bar = bar(ctx.progress);
    let mut newest: Option<(u64, String)> = None;
    loop {
        let from = verifier.position();
        let DeskReply::Log(page) = desk.reply(&DeskRequest::Log { from, count: PAGE_MAX }).await? else {
            return Err(DeskError::Unexpected.into());
        };
        for note in &page.checkpoints {
            if let Ok(TreeHead { size, .. }) = checkpoint::verify(note, &origin, &seen.keys)
                && newest.as_ref().is_none_or(|(known, _)| *known < size)
            {
                newest = Some((size, note.clone()));
            }
        }
        verifier.page(&page);
        bar.set_length(page.size);
        bar.set_position(verifier.position());
        // A node that sends nothing more, or the same again, has no more to show; what is missing is then a finding.
        if verifier.position() >= page.size || verifier.position() == from {
            break;
        }
    }
    bar.finish_and_clear();
    let report = verifier.finish();
    if report.is_whole()
        && let Some((size, note)) = newest
        && size <= report.verified
    {
        seen.checkpoint = Some(note);
        desk.keep_seen_log(&seen)?;
    }
    show(&report, kept.is_some(), ctx)?;
    Ok(if report.is_whole() { exit::DONE } else { exit::FAILED })
}

fn show(report: &LogReport, continued: bool, ctx: &mut Context) -> Result<(), CliError> {
    let root = report.latest.map(|head| head.root.to_string());
    if ctx.output == Output::Json {
        let findings: Vec<_> = report
            .findings
            .iter()
            .map(|Finding { first, last, kind }| json!({ "first": first, "last": last, "kind": name(*kind) }))
            .collect();
        return ctx.printer.json(&json!({
            "clean": report.is_whole(),
            "size": report.size,
            "verified": report.verified,
            "root": root,
            "continues_earlier_run": continued,
            "findings": findings,
            "unlisted": report.unlisted,
        }));
    }
    ctx.printer.line(&format!("entries   {}", report.size))?;
    ctx.printer.line(&format!("verified  {}", report.verified))?;
    ctx.printer.line(&format!("root      {}", root.as_deref().unwrap_or("none: no checkpoint was reached")))?;
    if report.is_whole() {
        let since = if continued { ", and continues what the last run saw" } else { "" };
        return ctx.printer.line(&format!("clean: every entry is what was signed{since}"));
    }
    for Finding { first, last, kind } in &report.findings {
        let place = if first == last { format!("entry {first}") } else { format!("entries {first} to {last}") };
        ctx.printer.line(&format!("FINDING   {place}: {}", meaning(*kind)))?;
    }
    if report.unlisted > 0 {
        ctx.printer.line(&format!("FINDING   {} more findings are not listed", report.unlisted))?;
    }
    Ok(())
}

/// Stable name for programs.
fn name(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::EntryAltered => "entry-altered",
        FindingKind::EntryMissing => "entry-missing",
        FindingKind::Reordered => "reordered",
        FindingKind::LeafHashMissing => "leaf-hash-missing",
        FindingKind::RootMismatch => "root-mismatch",
        FindingKind::Truncated => "truncated",
        FindingKind::Uncovered => "uncovered",
        FindingKind::Forked => "forked",
        FindingKind::CheckpointSignature => "checkpoint-signature",
        FindingKind::Unchecked => "unchecked",
    }
}

fn meaning(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::EntryAltered => "altered: it is not what its leaf commits to",
        FindingKind::EntryMissing => "missing",
        FindingKind::Reordered => "stands where another belongs, or comes twice",
        FindingKind::LeafHashMissing => "the leaf hash kept beside it is gone",
        FindingKind::RootMismatch => "changed, added or removed: the signed root does not come out",
        FindingKind::Truncated => "signed for by a checkpoint, and not there",
        FindingKind::Uncovered => "not covered by any checkpoint",
        FindingKind::Forked => "two checkpoints of one size differ: the log has shown two faces",
        FindingKind::CheckpointSignature => "the checkpoint that ends here is not signed by this log",
        FindingKind::Unchecked => "could not be checked, because of what is wrong before",
    }
}

fn bar(shown: bool) -> ProgressBar {
    if !shown {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    // The template is a constant; were it wrong, the default style would do.
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} entries {eta}") {
        bar.set_style(style);
    }
    bar
}
