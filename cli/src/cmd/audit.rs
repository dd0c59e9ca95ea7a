//! `careweave audit`: the own node's log, read and recomputed.

mod entry;
mod receipts;
mod verify;

use careweave_protocol::audit::page::LogEntry;
use careweave_protocol::desk::{DeskReply, DeskRequest};
use serde_json::Value;

use crate::args::Output;
use crate::args::audit::{AuditCommand, ListArgs, Target};
use crate::context::Context;
use crate::desk::{Desk, DeskError};
use crate::error::{CliError, exit};

pub(super) use entry::Opened;

/// Runs one of the audit commands.
///
/// # Errors
/// When the node cannot be asked, or there is no such entry.
pub async fn run(command: &AuditCommand, ctx: &mut Context) -> Result<u8, CliError> {
    let desk = Desk::open(ctx).await?;
    let code = match command {
        AuditCommand::List(args) => list(args, &desk, ctx).await?,
        AuditCommand::Show(args) => match args.target {
            Target::Index(index) => show(&entries(&desk, index, index.saturating_add(1)).await?, ctx)?,
            Target::Query(id) => {
                let DeskReply::Explanation(explanation) = desk.reply(&DeskRequest::Explain(id)).await? else {
                    return Err(DeskError::Unexpected.into());
                };
                show(&explanation.entries, ctx)?
            }
        },
        AuditCommand::Verify => verify::run(&desk, ctx).await?,
        AuditCommand::Receipts => receipts::run(&desk, ctx).await?,
    };
    desk.close().await;
    Ok(code)
}

async fn list(args: &ListArgs, desk: &Desk, ctx: &mut Context) -> Result<u8, CliError> {
    let wanted = usize::try_from(args.last).unwrap_or(usize::MAX);
    let mut found: Vec<Opened> = Vec::new();
    let mut end = size(desk).await?;
    // From the newest page backwards, so that the usual question costs one page.
    while end > 0 && found.len() < wanted {
        let start = end.saturating_sub(STRIDE);
        let stride = entries(desk, start, end).await?;
        let fitting = stride.iter().rev().map(Opened::of).filter(|entry| entry.fits(args.kind, args.query));
        found.extend(fitting.take(wanted - found.len()));
        end = start;
    }
    found.reverse();
    match ctx.output {
        Output::Json => ctx.printer.json(&found.iter().map(Opened::json).collect::<Vec<Value>>())?,
        Output::Table => ctx.printer.table(&entry::COLUMNS, &found.iter().map(Opened::row).collect::<Vec<_>>())?,
    }
    if found.is_empty() {
        ctx.note("no entry fits");
    }
    Ok(exit::DONE)
}

fn show(entries: &[LogEntry], ctx: &mut Context) -> Result<u8, CliError> {
    if entries.is_empty() {
        return Err(CliError::failed("not-found", "the log has no such entry")
            .hint("`careweave audit list` shows positions and query ids"));
    }
    let opened: Vec<Opened> = entries.iter().map(Opened::of).collect();
    match ctx.output {
        Output::Json => ctx.printer.json(&opened.iter().map(Opened::json).collect::<Vec<Value>>())?,
        Output::Table => {
            for entry in &opened {
                for line in entry.lines() {
                    ctx.printer.line(&line)?;
                }
                ctx.printer.line("")?;
            }
        }
    }
    Ok(exit::DONE)
}

/// Entries in the log.
async fn size(desk: &Desk) -> Result<u64, CliError> {
    match desk.reply(&DeskRequest::Log { from: 0, count: 1 }).await? {
        DeskReply::Log(page) => Ok(page.size),
        _ => Err(DeskError::Unexpected.into()),
    }
}

/// The entries from `start` up to, and not including, `end`, or up to the end of the log.
async fn entries(desk: &Desk, start: u64, end: u64) -> Result<Vec<LogEntry>, CliError> {
    let mut entries = Vec::new();
    let mut next = start;
    while next < end {
        let count = u32::try_from(end - next).unwrap_or(u32::MAX).min(careweave_protocol::desk::PAGE_MAX);
        let DeskReply::Log(page) = desk.reply(&DeskRequest::Log { from: next, count }).await? else {
            return Err(DeskError::Unexpected.into());
        };
        // A page may be shorter than asked for, but the last position must move on.
        let Some(last) = page.entries.last().map(|entry| entry.index).filter(|last| (next..end).contains(last)) else {
            break;
        };
        entries.extend(page.entries);
        next = last + 1;
    }
    Ok(entries)
}

/// Entries looked through at once when listing backwards.
const STRIDE: u64 = careweave_protocol::audit::page::PAGE_ENTRIES;
