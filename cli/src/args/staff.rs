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
    /// Approve that a colleague gets a credential with the scope audit or govern, with your own key
    Approve(StaffApproveArgs),
    /// Issue a credential for a request, as the employer
    Issue(StaffIssueArgs),
    /// Renew credentials that still run, as the employer
    Renew(StaffRenewArgs),
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

/// `careweave staff approve`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave staff approve --request ig1.cbor --scope audit --out it1.approval
  careweave --profile ~/.config/careweave staff approve --request ra1.cbor --scope govern --out gp1.approval --yes

Whoever reads the audit log, or carries governance documents to the node, watches everybody else: so two colleagues have to
agree to such a credential, and whoever issues it is not enough. You agree with your own key, and your own credential must
have neither of these scopes. Your approval travels inside the credential, where every organisation checks it, and counts for
a year.")]
pub struct StaffApproveArgs {
    /// The person's request
    #[arg(long, value_name = "FILE")]
    pub request: PathBuf,
    /// What they are to be allowed: audit, govern; may be given several times
    #[arg(long = "scope", value_name = "SCOPE", value_parser = scope, required = true)]
    pub scopes: Vec<Scope>,
    /// Approval to write, for whoever issues the credential
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Approve without being asked
    #[arg(long)]
    pub yes: bool,
}

/// `careweave staff issue`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave staff issue --node node --request gp1.cbor --group GP --sds-role R0260 --training-expires 2027-06-30 --out gp1.credential
  careweave staff issue --node node --request it1.cbor --group IT --sds-role R8015 --training-expires 2027-06-30 --scope operate --out it1.credential
  careweave staff issue --node node --request ig1.cbor --group IG --sds-role R0001 --training-expires 2027-06-30 \\
    --scope audit --approval it1.approval --approval gp1.approval --out ig1.credential

The scopes audit and govern need the word of two other people of the organisation, from `careweave staff approve`. To renew
what was issued, use `careweave staff renew`; to change any of it, issue again for the same request. The credential names the step-up key of the request where the access table lets the staff
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
    /// A colleague's approval, from `staff approve`; two for the scopes audit and govern
    #[arg(long = "approval", value_name = "FILE")]
    pub approvals: Vec<PathBuf>,
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

/// `careweave staff renew`.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("who").required(true).args(["person", "all"])),
    after_help = "\
Examples:
  careweave staff renew --node node --all
  careweave staff renew --node node --person chc1 --training-expires 2027-06-30

Issues what was issued before again: same person, same key, same claims. Everybody gets theirs from the node at their next
command, without a file to carry. Who is revoked, whose training has lapsed or whose approvals have run out is left out and
named, and the exit code is then 3. With --training-expires, training that ends before that day is taken to end on it: of
everybody, with --all, so name people one by one unless all of them were there. Of somebody with several keys the newest is
renewed."
)]
pub struct StaffRenewArgs {
    /// Node directory of the employer
    #[arg(long, value_name = "DIR")]
    pub node: PathBuf,
    /// This person
    #[arg(long, value_name = "ID")]
    pub person: Option<PersonId>,
    /// Everybody whose credential still runs
    #[arg(long)]
    pub all: bool,
    /// Last day of their data-security training, where it is later than what the credential says
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub training_expires: Option<Date>,
    /// Days it is valid
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=30))]
    pub days: u64,
    /// Credential to write as well, for a profile that cannot reach the node
    #[arg(long, value_name = "FILE", conflicts_with = "all")]
    pub out: Option<PathBuf>,
}

/// `careweave staff install`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave staff install ~/.config/careweave --credential gp1.credential --trust manifest.cbor \\
    --node-address /dns4/node.practice.example/tcp/4201/p2p/12D3KooW…

A credential that was issued again needs --credential alone; one that `staff renew` made comes by itself.")]
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
