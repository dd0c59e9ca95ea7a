//! What people type to get a credential, and employers to give and take one.

use std::path::PathBuf;

use careweave_protocol::id::{Digest, PersonId};
use careweave_protocol::identity::{Scope, StaffGroup};
use careweave_protocol::time::Date;
use clap::{ArgGroup, Args, Subcommand};
use libp2p::Multiaddr;

use super::values::{date, scope};

/// `careweave staff`.
#[derive(Debug, Subcommand)]
pub enum StaffCommand {
    /// Make a person's key and request, on the person's own machine
    Request(StaffRequestArgs),
    /// Issue a credential for a request, as the employer
    Issue(StaffIssueArgs),
    /// Put a credential into the profile of its person
    Install(StaffInstallArgs),
    /// Revoke credentials, as the employer
    Revoke(StaffRevokeArgs),
    /// List credentials issued and not yet expired
    List(StaffListArgs),
}

/// `careweave staff request`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave staff request ~/.config/careweave --person gp1 --name 'GP of the practice'
  careweave staff request ~/.config/careweave --person it1 --name 'Systems of the trust' --no-step-up

Two keys are made here, each under a passphrase of its own, and never leave this directory: one for your questions, and a
step-up key that signs nothing but break-glass grants. The request in it is for whoever issues credentials. The two
passphrase files are for automation: the profile names them from then on, and nobody is asked. Where nobody can be asked and
no file is named for it, no step-up key is made.")]
pub struct StaffRequestArgs {
    /// Profile directory to make; it must not hold a key yet
    #[arg(value_name = "PROFILE")]
    pub directory: PathBuf,
    /// The person's identifier at the employer
    #[arg(long, value_name = "ID")]
    pub person: PersonId,
    /// Name as it is to appear in audit logs
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// File with the passphrase, which the profile then names; asked for otherwise
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// File with the other passphrase, of the step-up key, which the profile then names; asked for otherwise
    #[arg(long, value_name = "FILE", conflicts_with = "no_step_up")]
    pub step_up_passphrase_file: Option<PathBuf>,
    /// Make no step-up key: you will never break glass
    #[arg(long)]
    pub no_step_up: bool,
}

/// `careweave staff issue`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave staff issue --node node --request gp1.cbor --group GP --sds-role R0260 --training-expires 2027-06-30 --out gp1.credential
  careweave staff issue --node node --request it1.cbor --group IT --sds-role R8015 --training-expires 2027-06-30 --scope operate --out it1.credential

The same request again renews the credential. It names the step-up key of the request where the access table lets the staff
group break glass, and nowhere else.")]
pub struct StaffIssueArgs {
    /// Node directory of the employer
    #[arg(long, value_name = "DIR")]
    pub node: PathBuf,
    /// The person's request
    #[arg(long, value_name = "FILE")]
    pub request: PathBuf,
    /// Staff group: GP HOS PSY RN MHN AHP PHA CHN CHS CHC PAR SW NAV VOL FAC IG RA IT
    #[arg(long, value_name = "GROUP")]
    pub group: StaffGroup,
    /// SDS job role code, such as R0260; a local one where SDS has none
    #[arg(long, value_name = "CODE")]
    pub sds_role: String,
    /// Last day of the person's data-security training
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub training_expires: Date,
    /// What the desk allows beside views: operate, audit, govern; may be given several times
    #[arg(long = "scope", value_name = "SCOPE", value_parser = scope)]
    pub scopes: Vec<Scope>,
    /// Professional registration, such as 'GMC 1234567'
    #[arg(long, value_name = "TEXT")]
    pub registration: Option<String>,
    /// Days it is valid
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=30))]
    pub days: u64,
    /// Credential to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// `careweave staff install`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave staff install ~/.config/careweave --credential gp1.credential --trust manifest.cbor \\
    --node-address /dns4/node.practice.example/tcp/4201/p2p/12D3KooW…

A renewed credential needs --credential alone.")]
pub struct StaffInstallArgs {
    /// Profile directory that `staff request` made
    #[arg(value_name = "PROFILE")]
    pub directory: PathBuf,
    /// Credential that the employer issued
    #[arg(long, value_name = "FILE")]
    pub credential: PathBuf,
    /// Address of the own node's desk, ending in /p2p/ and its id
    #[arg(long, value_name = "MULTIADDR")]
    pub node_address: Option<Multiaddr>,
    /// Manifest to start from: the node's trust/manifest.cbor, or what `gov publish --out` wrote
    #[arg(long, value_name = "FILE")]
    pub trust: Option<PathBuf>,
    /// Digest that the first manifest must have
    #[arg(long, value_name = "DIGEST")]
    pub pin: Option<Digest>,
}

/// `careweave staff revoke`.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("whose").required(true).args(["person", "credential"])),
    after_help = "\
Examples:
  careweave staff revoke --node node --person gp1
  careweave staff revoke --node node --credential 4c1e…"
)]
pub struct StaffRevokeArgs {
    /// Node directory of the employer
    #[arg(long, value_name = "DIR")]
    pub node: PathBuf,
    /// Every running credential of this person
    #[arg(long, value_name = "ID")]
    pub person: Option<PersonId>,
    /// This credential; `staff list` shows its digest
    #[arg(long, value_name = "DIGEST")]
    pub credential: Option<Digest>,
}

/// `careweave staff list`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  careweave staff list --node node\n  careweave staff list --node node -o json | jq '.[].person'"
)]
pub struct StaffListArgs {
    /// Node directory of the employer
    #[arg(long, value_name = "DIR")]
    pub node: PathBuf,
}

/// `careweave login`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave login
  careweave login --idle 60

Asks for the passphrase once and keeps the key unlocked in a small process of its own, until `careweave logout`, until nothing
has been asked for the idle time, or for twelve hours at most.")]
pub struct LoginArgs {
    /// Minutes without use after which the key is locked again
    #[arg(long, value_name = "MINUTES", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=240))]
    pub idle: u64,
    /// File with the passphrase; asked for otherwise
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// `careweave agent`, which `login` starts: the unlocked key arrives on stdin.
#[derive(Debug, Args)]
pub struct AgentArgs {
    /// Where it listens
    #[arg(long, value_name = "PATH")]
    pub socket: PathBuf,
    /// Minutes without use after which it ends
    #[arg(long, value_name = "MINUTES")]
    pub idle: u64,
}
