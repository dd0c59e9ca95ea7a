//! What governance officers and registrars type. Everything works on files in one governance directory, offline.

use std::path::PathBuf;

use careweave_certs::manifest::RolloutStage;
use careweave_protocol::id::{Digest, NetworkId, NodeKey, OdsCode};
use careweave_protocol::identity::Standard;
use careweave_protocol::time::Date;
use clap::{ArgGroup, Args, Subcommand};

use super::values::{date, peer_id, standard};

/// `careweave gov`.
#[derive(Debug, Subcommand)]
pub enum GovCommand {
    /// Make the officers' keys, the certificate authority, the registrar's key and a first draft
    Init(GovInitArgs),
    /// Put members into the draft of the next manifest
    Admit(AdmitArgs),
    /// Show the draft against the manifest that holds; make one when there is none
    Propose(ProposeArgs),
    /// Sign the draft as one officer, after reading what it changes
    Sign(SignArgs),
    /// Write the signed manifest to a file, or hand a node what it does not know yet
    Publish(PublishArgs),
    /// Issue an organisation's certificate and put its enrolment together
    Issue(IssueArgs),
    /// State that an organisation meets a standard or has signed the agreement
    Attest(AttestArgs),
    /// Stop a member, an endpoint or a credential for seven days, as one officer
    Suspend(SuspendArgs),
    /// Show the manifest that holds
    Show(ShowArgs),
    /// Verify the chain of manifests from the first one on, offline
    Verify(VerifyArgs),
}

/// Where the governance office keeps its files.
#[derive(Debug, Clone, Args)]
pub struct OfficeArgs {
    /// Governance directory, as `gov init` made it
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// File with the passphrase of the key that is needed; asked for otherwise
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// `careweave gov init`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave gov init governance --network borough --officers 5 --threshold 3

Each officer takes officers/N to a machine of their own, and the root key goes to a safe; only the intermediate and the registrar's
key are needed day by day.")]
pub struct GovInitArgs {
    /// Directory to make; it must not exist
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Name of the network: lower-case letters, digits, hyphens
    #[arg(long, value_name = "NAME")]
    pub network: NetworkId,
    /// How many officers there are
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=32))]
    pub officers: u32,
    /// How many of them must sign a manifest
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u32).range(1..=32))]
    pub threshold: u32,
    /// File with the passphrase of every key; asked for otherwise
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// `careweave gov admit`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave gov admit --request R9A.cbor --request R9C.cbor --dir governance
  careweave gov admit --request Y91001.cbor --beacon --dir governance

A request of somebody who is a member already brings their entry up to date; a new key is announced beside the one in use, and the
same request again puts it in use. Signatures that the draft had are void once it changes.")]
pub struct AdmitArgs {
    /// Enrolment request, as `node init` leaves it; may be given several times
    #[arg(long = "request", required = true, value_name = "FILE", num_args = 1..)]
    pub requests: Vec<PathBuf>,
    /// They also sign beacons, with the key of their peer endpoint
    #[arg(long)]
    pub beacon: bool,
    /// How far their activation has come: planned, pilot, live
    #[arg(long, value_name = "STAGE", default_value = "live")]
    pub stage: RolloutStage,
    /// Where the office is
    #[command(flatten)]
    pub office: OfficeArgs,
}

/// `careweave gov propose`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave gov propose --dir governance
  careweave gov propose --remove 8Z901 --dir governance
  careweave gov propose --lift 4c1e… --dir governance")]
pub struct ProposeArgs {
    /// Leave this member out of the draft
    #[arg(long = "remove", value_name = "ODS")]
    pub removed: Vec<OdsCode>,
    /// Make this suspension last until a later manifest leaves it out; `gov suspend` prints its digest
    #[arg(long = "confirm", value_name = "DIGEST")]
    pub confirmed: Vec<Digest>,
    /// End this suspension before its seven days are over
    #[arg(long = "lift", value_name = "DIGEST")]
    pub lifted: Vec<Digest>,
    /// Where the office is
    #[command(flatten)]
    pub office: OfficeArgs,
}

/// `careweave gov sign`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  careweave gov sign --officer 2 --dir governance")]
pub struct SignArgs {
    /// Which officer signs, counted from 1
    #[arg(long, value_name = "N")]
    pub officer: u32,
    /// Sign without asking, for scripts
    #[arg(long)]
    pub yes: bool,
    /// Where the office is
    #[command(flatten)]
    pub office: OfficeArgs,
}

/// `careweave gov publish`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave gov publish --out manifest.cbor --dir governance
  careweave --profile G9V-ra gov publish --dir governance

The first form writes the whole chain to a file that nodes and profiles take; the second hands it, with suspensions, to the node of a
profile whose credential has the scope govern.")]
pub struct PublishArgs {
    /// File to write; without it the node of the profile in use is told
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Where the office is
    #[command(flatten)]
    pub office: OfficeArgs,
}

/// `careweave gov issue`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave gov issue --request R9A.cbor --out R9A.enrolment --dir governance

The same request again renews the certificate, for 90 days from now. Attestations made so far go into the enrolment.")]
pub struct IssueArgs {
    /// Enrolment request of a member
    #[arg(long, value_name = "FILE")]
    pub request: PathBuf,
    /// Enrolment to write, for `cert install`
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Where the office is
    #[command(flatten)]
    pub office: OfficeArgs,
}

/// `careweave gov attest`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  careweave gov attest --ods R9A --standard dspt --expires 2027-06-30 --dir governance"
)]
pub struct AttestArgs {
    /// Member it is about
    #[arg(long, value_name = "ODS")]
    pub ods: OdsCode,
    /// What it holds: dspt, sharing-agreement
    #[arg(long, value_name = "STANDARD", value_parser = standard)]
    pub standard: Standard,
    /// Last day on which it holds
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub expires: Date,
    /// Where the office is
    #[command(flatten)]
    pub office: OfficeArgs,
}

/// `careweave gov suspend`.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("target").required(true).args(["ods", "node", "credential"])),
    after_help = "\
Examples:
  careweave gov suspend --ods VL901 --reason 'incident 12' --dir governance
  careweave gov suspend --node 12D3KooW… --reason 'stolen server' --officer 3 --dir governance
  careweave --profile G9V-ra gov publish --dir governance       makes it known"
)]
pub struct SuspendArgs {
    /// Stop this member with all its nodes and staff
    #[arg(long, value_name = "ODS")]
    pub ods: Option<OdsCode>,
    /// Stop this endpoint
    #[arg(long, value_name = "PEERID", value_parser = peer_id)]
    pub node: Option<NodeKey>,
    /// Stop this staff credential
    #[arg(long, value_name = "DIGEST")]
    pub credential: Option<Digest>,
    /// Why, as everybody will read it
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Which officer signs, counted from 1
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub officer: u32,
    /// Also write the signed suspension here
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Where the office is
    #[command(flatten)]
    pub office: OfficeArgs,
}

/// `careweave gov show`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  careweave gov show --dir governance\n  careweave gov show -o json | jq .members")]
pub struct ShowArgs {
    /// Where the office is
    #[command(flatten)]
    pub office: OfficeArgs,
}

/// `careweave gov verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave gov verify --dir governance
  careweave gov verify --file node/trust/manifest.cbor --pin 9d2f…

The digest of the first manifest is what people compare over another channel: everything else follows from it.")]
pub struct VerifyArgs {
    /// Verify this file instead: what `gov publish --out` wrote, or a node's trust/manifest.cbor
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Digest that the first manifest must have
    #[arg(long, value_name = "DIGEST")]
    pub pin: Option<Digest>,
    /// Where the office is
    #[command(flatten)]
    pub office: OfficeArgs,
}
