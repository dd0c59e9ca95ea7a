//! What those who answer for the audit log type.

use careweave_protocol::audit::EntryKind;
use careweave_protocol::id::QueryId;
use clap::{Args, Subcommand};

use super::clinical::query_id;

/// `careweave audit`.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// List entries of the own node's log, oldest first
    #[command(after_help = "\
Examples:
  careweave audit list --last 20
  careweave audit list --kind alert
  careweave audit list --query 8c1f0e6a52d94b7f8c1f0e6a52d94b7f -o json")]
    List(ListArgs),
    /// Show an entry, or every entry about one query, in full
    #[command(
        after_help = "Examples:\n  careweave audit show 41\n  careweave audit show 8c1f0e6a52d94b7f8c1f0e6a52d94b7f"
    )]
    Show(ShowArgs),
    /// Fetch the whole log and recompute everything: leaves, tree, checkpoints, their signatures
    #[command(after_help = "Examples:\n  careweave audit verify && echo clean")]
    Verify,
    /// Fetch the receipts of others' answers and verify each under what held when it was given
    #[command(
        after_help = "Examples:\n  careweave audit receipts && echo verified\n  careweave audit receipts -o json | jq .failed"
    )]
    Receipts,
}

/// `careweave audit list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only the newest N entries
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    pub last: u64,
    /// Only this kind: intent, decision, receipt, ack, admin or alert; looks through the whole log
    #[arg(long, value_name = "KIND", value_parser = kind)]
    pub kind: Option<EntryKind>,
    /// Only this query; looks through the whole log
    #[arg(long, value_name = "ID", value_parser = query_id)]
    pub query: Option<QueryId>,
}

/// `careweave audit show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Position in the log, or a query's id
    #[arg(value_name = "INDEX|QUERY_ID", value_parser = target)]
    pub target: Target,
}

/// What to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// One entry.
    Index(u64),
    /// Every entry about one query.
    Query(QueryId),
}

fn kind(text: &str) -> Result<EntryKind, String> {
    const KINDS: [EntryKind; 6] = [
        EntryKind::Intent,
        EntryKind::Decision,
        EntryKind::Receipt,
        EntryKind::Ack,
        EntryKind::Admin,
        EntryKind::Alert,
    ];
    KINDS
        .into_iter()
        .find(|kind| kind.as_str().eq_ignore_ascii_case(text))
        .ok_or_else(|| "an entry's kind is intent, decision, receipt, ack, admin or alert".to_owned())
}

fn target(text: &str) -> Result<Target, String> {
    // A query id of digits alone is 32 long; no log has that many entries.
    match query_id(text) {
        Ok(id) => Ok(Target::Query(id)),
        Err(_) => text
            .parse()
            .map(Target::Index)
            .map_err(|_| "give an entry's position, or a query id of 32 hexadecimal digits".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_and_query_ids_are_told_apart() {
        assert_eq!(target("41"), Ok(Target::Index(41)));
        let digits = "12345678901234567890123456789012";
        assert_eq!(target(digits), Ok(Target::Query(digits.parse().unwrap())));
        assert_eq!(target(&"AB".repeat(16)), Ok(Target::Query("ab".repeat(16).parse().unwrap())));
        for bad in ["", "-1", "latest", "abc"] {
            assert!(target(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn kinds_are_read_in_any_case() {
        assert_eq!(kind("Alert"), Ok(EntryKind::Alert));
        assert!(kind("alerts").is_err());
    }
}
