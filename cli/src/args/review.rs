//! What whoever reviews break-glass and alerts types.

use careweave_protocol::id::QueryId;
use careweave_protocol::limits::TEXT_MAX;
use clap::{ArgGroup, Args, Subcommand};

use super::clinical::query_id;

/// `careweave review`.
#[derive(Debug, Subcommand)]
pub enum ReviewCommand {
    /// List the reviews that are open, the most urgent first
    #[command(after_help = "\
Examples:
  careweave review list
  careweave review list --all -o json | jq '.[] | select(.overdue)'")]
    List(ReviewListArgs),
    /// Close a review with what was found; never one's own
    #[command(
        group(ArgGroup::new("outcome").required(true).args(["justified", "not_justified"])),
        after_help = "\
Examples:
  careweave review close 8c1f0e6a52d94b7f8c1f0e6a52d94b7f --justified --note 'ambulance sheet seen, collapse at home'
  careweave review close 8c1f0e6a52d94b7f8c1f0e6a52d94b7f --not-justified --note 'no contact with the service; line manager told'"
    )]
    Close(ReviewCloseArgs),
}

/// `careweave review list`.
#[derive(Debug, Args)]
pub struct ReviewListArgs {
    /// Closed ones too
    #[arg(long)]
    pub all: bool,
}

/// `careweave review close`.
#[derive(Debug, Args)]
pub struct ReviewCloseArgs {
    /// The review's id, as `review list` shows it
    #[arg(value_name = "ID", value_parser = query_id)]
    pub id: QueryId,
    /// The access was justified
    #[arg(long)]
    pub justified: bool,
    /// The access was not justified
    #[arg(long)]
    pub not_justified: bool,
    /// What was found, in words, without naming the patient
    #[arg(long, value_name = "TEXT", value_parser = note)]
    pub note: String,
}

/// Reads a note: any text that is not blank.
///
/// # Errors
/// When it is blank or over [`TEXT_MAX`].
fn note(text: &str) -> Result<String, String> {
    let text = text.trim();
    if (1..=TEXT_MAX).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err(format!("a note has 1 to {TEXT_MAX} bytes"))
    }
}
