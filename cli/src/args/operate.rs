//! What organisation IT types to its own running node.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::node_init::NodeInitArgs;

/// `careweave node`.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Make a node directory: configuration, keys, and the request for the governance office
    Init(Box<NodeInitArgs>),
    /// Show the state of the own node
    #[command(after_help = "Examples:\n  careweave node status\n  careweave node status -o json | jq .warnings")]
    Status,
    /// Show every member and how it is reached
    #[command(
        after_help = "Examples:\n  careweave node peers\n  careweave node peers -o json | jq '.[] | select(.connected | not)'"
    )]
    Peers,
    /// Have the own node examine itself and ask every member whether it would refuse it: one line each
    #[command(
        after_help = "Examples:\n  careweave node doctor\n  careweave node doctor -o json | jq '.lines[] | select(.health != \"good\")'\n\nExit code 0: all is well; 3: somebody should see to something; 1: something does not work, or somebody would refuse the node."
    )]
    Doctor,
}

/// `careweave import`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave import records/                         every .json and .ndjson file below, in order of their names
  careweave import discharge.json bloods.ndjson
  careweave import records/ -o json | jq '.files[] | select(.bad != [])'

The same file twice changes nothing. Bad entries are listed and the good ones kept; then the exit code is 3.")]
pub struct ImportArgs {
    /// FHIR R4 Bundles, single resources, or NDJSON; of a directory every .json and .ndjson file
    #[arg(required = true, value_name = "FILE|DIR")]
    pub paths: Vec<PathBuf>,
}

/// `careweave completions`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  careweave completions bash > /etc/bash_completion.d/careweave")]
pub struct CompletionsArgs {
    /// Your shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Shells completions are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU bash
    Bash,
    /// Z shell
    Zsh,
    /// fish
    Fish,
}

/// `careweave man`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  careweave man ~/.local/share/man/man1 && man careweave-view")]
pub struct ManArgs {
    /// Where the pages go: one for each command
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}
