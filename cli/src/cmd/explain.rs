//! `careweave explain`: why one query was answered or refused as it was, from the own node's log.

use careweave_protocol::desk::{DeskReply, DeskRequest};
use serde_json::{Value, json};

use super::audit::Opened;
use crate::args::Output;
use crate::args::clinical::ExplainArgs;
use crate::context::Context;
use crate::desk::{Desk, DeskError};
use crate::error::{CliError, exit};

/// Prints every entry about the query, and whether deciding again gives the same result.
///
/// # Errors
/// When the node cannot be asked or knows nothing of the query; and when deciding again gives another result.
pub async fn run(args: &ExplainArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let desk = Desk::open(ctx).await?;
    let DeskReply::Explanation(explanation) = desk.reply(&DeskRequest::Explain(args.id)).await? else {
        return Err(DeskError::Unexpected.into());
    };
    desk.close().await;
    if explanation.entries.is_empty() {
        return Err(CliError::failed("not-found", "your node's log has nothing about this query that you may see")
            .hint("check the id; another person's query needs the scope audit"));
    }
    let opened: Vec<Opened> = explanation.entries.iter().map(Opened::of).collect();
    match ctx.output {
        Output::Json => {
            let entries: Vec<Value> = opened.iter().map(Opened::json).collect();
            ctx.printer
                .json(&json!({ "query_id": args.id, "entries": entries, "replayed_same": explanation.replayed }))?;
        }
        Output::Table => {
            for entry in &opened {
                for line in entry.lines() {
                    ctx.printer.line(&line)?;
                }
                ctx.printer.line("")?;
            }
            ctx.printer.line(match explanation.replayed {
                Some(true) => "decided again from the entry: the same result",
                Some(false) => "decided again from the entry: ANOTHER result",
                None => "not decided again: the decision is not in this log, or its policy bundle is no longer held",
            })?;
        }
    }
    Ok(if explanation.replayed == Some(false) { exit::FAILED } else { exit::DONE })
}
