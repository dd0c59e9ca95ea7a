//! What organisation IT types about the organisation's certificate.

use std::path::PathBuf;

use careweave_protocol::id::Digest;
use clap::{Args, Subcommand};

/// `careweave cert`.
#[derive(Debug, Subcommand)]
pub enum CertCommand {
    /// Take in what the governance office sent
    Install(CertInstallArgs),
    /// Show every end that is coming; exit code 3 from 30 days before one, 6 after it
    Status(CertStatusArgs),
}

/// `careweave cert install`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave cert install --node node --enrolment R9A.enrolment
  careweave cert install --node node --enrolment R9A.enrolment --pin 9d2f…

The first time, compare the digest it prints with the one the governance office tells you by another channel, or give it with --pin.")]
pub struct CertInstallArgs {
    /// Node directory
    #[arg(long, value_name = "DIR")]
    pub node: PathBuf,
    /// Enrolment from the governance office
    #[arg(long, value_name = "FILE")]
    pub enrolment: PathBuf,
    /// Digest that the first manifest must have
    #[arg(long, value_name = "DIGEST")]
    pub pin: Option<Digest>,
}

/// `careweave cert status`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  careweave cert status --node node\n  careweave cert status --node node -o json | jq '.ends[].days'"
)]
pub struct CertStatusArgs {
    /// Node directory
    #[arg(long, value_name = "DIR")]
    pub node: PathBuf,
}
