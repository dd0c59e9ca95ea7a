//! What governance officers and registrars type. Everything works on files in one governance directory, offline.
//!
//! Here: the office, officers, signatures. What changes the draft is in [`draft`], what certificate authority and registrar are told in
//! [`authority`].

pub mod authority;
pub mod draft;
pub mod hash;

use std::path::PathBuf;

use careweave_certs::keystore::TokenUri;
use careweave_protocol::id::{Digest, NetworkId, NodeKey, OdsCode};
use clap::{ArgGroup, Args, Subcommand};

use super::enrol::{DelegateArgs, InviteArgs, RequestsArgs};
use super::values::peer_id;
pub use authority::{AttestArgs, AuthorityCommand, CrlArgs, IntermediateArgs, IssueArgs, RootArgs};
pub use draft::{AdmitArgs, ProposeArgs, TaintArgs};
pub use hash::{HashPrefix, OfficerName};

/// `careweave gov`.
#[derive(Debug, Subcommand)]
pub enum GovCommand {
    /// Make an officer's key on their own machine, and the public half for the office
    Officer(OfficeKeyArgs),
    /// Make a registrar's key, and the public half for the office
    Registrar(OfficeKeyArgs),
    /// Make the office: the certificate authority, the registrar's key and a first draft
    Init(Box<GovInitArgs>),
    /// Give a node the key of an intermediate, for the enrolment service
    Delegate(DelegateArgs),
    /// Invite an organisation with a one-time code, as one officer
    Invite(InviteArgs),
    /// List what invited organisations ask for
    Requests(RequestsArgs),
    /// Put members into the draft of the next manifest
    Admit(AdmitArgs),
    /// Show the draft against the manifest that holds; make one when there is none
    Propose(Box<ProposeArgs>),
    /// Mark a certificate authority in the draft as compromised
    Taint(TaintArgs),
    /// Sign the draft as one officer, after reading what it changes
    Sign(Box<SignArgs>),
    /// Take in what officers have signed elsewhere, and say who is missing
    Collect(CollectArgs),
    /// Write the signed manifest to a file, or hand a node what it does not know yet
    Publish(PublishArgs),
    /// Make a successor of the root or the intermediate
    #[command(subcommand)]
    Authority(AuthorityCommand),
    /// Issue an organisation's certificate and put its enrolment together
    Issue(Box<IssueArgs>),
    /// State that an organisation meets a standard or has signed the agreement
    Attest(Box<AttestArgs>),
    /// Write certificate revocation lists for tools outside the network
    Crl(CrlArgs),
    /// Stop a member, an endpoint or a credential for seven days, as one officer
    Suspend(Box<SuspendArgs>),
    /// Show the manifest that holds
    Show(ShowArgs),
    /// Verify the chain of manifests from the first one on, offline
    Verify(VerifyArgs),
}

/// Where the governance office keeps its files.
#[derive(Debug, Clone, Args)]
pub struct OfficeArgs {
    /// Governance directory, as `gov init` made it, or an officer's own, as `gov officer` made it
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// File with the passphrase of the key that is needed, or the PIN of its token; asked for otherwise
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// What an officer's directory believes, and how it is brought up to date.
#[derive(Debug, Clone, Args)]
pub struct ChainArgs {
    /// Bring this directory up to date first: what `gov publish --out` wrote
    #[arg(long, value_name = "FILE")]
    pub chain: Option<PathBuf>,
    /// Digest that the first manifest must have, as you know it by another channel
    #[arg(long, value_name = "DIGEST")]
    pub pin: Option<Digest>,
}

/// `careweave gov officer` and `careweave gov registrar`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave gov officer officer --network borough
  careweave gov officer officer --network borough \\
    --pkcs11 'pkcs11:token=officer;object=careweave?module-path=/usr/lib/softhsm/libsofthsm2.so'
  careweave gov registrar registrar --network borough

The private key never leaves this machine. Carry the file ending in .pub to the governance office, and tell them the hash by another
channel.")]
pub struct OfficeKeyArgs {
    /// Directory to make; it must not exist
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Name of the network
    #[arg(long, value_name = "NAME")]
    pub network: NetworkId,
    /// Make the key in this token, whose PIN is asked for
    #[arg(long, value_name = "URI")]
    pub pkcs11: Option<TokenUri>,
    /// File with the passphrase of the key, or the PIN of the token; asked for otherwise
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// `careweave gov init`.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("who").required(true).args(["officers", "officer_keys"])),
    after_help = "\
Examples:
  careweave gov init governance --network borough --officer-key a.pub --officer-key b.pub --officer-key c.pub --threshold 2
  careweave gov init governance --network borough --officers 5 --threshold 3

The first form is for officers who keep their keys themselves (`gov officer`): no private key of theirs is in the directory. The second
makes all keys here, for trying things out; each officer would have to take officers/N away. Either way the root key goes to a safe; only
the intermediate and the registrar's key are needed day by day."
)]
pub struct GovInitArgs {
    /// Directory to make; it must not exist
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Name of the network: lower-case letters, digits, hyphens
    #[arg(long, value_name = "NAME")]
    pub network: NetworkId,
    /// How many officers' keys to make here
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=32))]
    pub officers: Option<u32>,
    /// An officer's public key, as `gov officer` wrote it; once for each officer
    #[arg(long = "officer-key", value_name = "FILE")]
    pub officer_keys: Vec<PathBuf>,
    /// How many of them must sign a manifest
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u32).range(1..=32))]
    pub threshold: u32,
    /// Make the root's key in this token
    #[arg(long, value_name = "URI")]
    pub root_pkcs11: Option<TokenUri>,
    /// Make the intermediate's key in this token
    #[arg(long, value_name = "URI")]
    pub intermediate_pkcs11: Option<TokenUri>,
    /// Make the registrar's key in this token
    #[arg(long, value_name = "URI")]
    pub registrar_pkcs11: Option<TokenUri>,
    /// File with the passphrase of every key, or the PIN of every token; asked for otherwise
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// `careweave gov sign`.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("which").required(true).args(["officer", "draft"])),
    after_help = "\
Examples:
  careweave gov sign --draft draft.cbor --out signed-by-a.cbor --dir officer
  careweave gov sign --draft draft.cbor --chain manifest.cbor --out signed-by-a.cbor --dir officer
  careweave gov sign --officer 2 --dir governance

The first two are for an officer's own directory (`gov officer`): the draft is compared with what that directory holds, which --chain
brings up to date. The first time, the digest of the first manifest has to be compared by another channel, or given with --pin. The third
signs in an office that has the officers' keys."
)]
pub struct SignArgs {
    /// Which officer of this office signs, counted from 1
    #[arg(long, value_name = "N", conflicts_with_all = ["chain", "pin", "out"])]
    pub officer: Option<u32>,
    /// Draft from the office
    #[arg(long, value_name = "FILE", requires = "out")]
    pub draft: Option<PathBuf>,
    /// Write the draft with your signature here, to carry back
    #[arg(long, value_name = "FILE", requires = "draft")]
    pub out: Option<PathBuf>,
    /// What this directory believes
    #[command(flatten)]
    pub chain: ChainArgs,
    /// Sign without asking, for scripts
    #[arg(long)]
    pub yes: bool,
    /// Where the key is
    #[command(flatten)]
    pub office: OfficeArgs,
}

/// `careweave gov collect`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave gov collect --dir governance
  careweave gov collect signed-by-a.cbor signed-by-b.cbor --dir governance
  careweave gov collect suspension.cbor --dir governance

A copy of another statement than the draft is refused by name; the others are taken in. Suspensions that an officer signed elsewhere are
taken in as well, for `gov publish`.")]
pub struct CollectArgs {
    /// Copies of the draft with signatures, or suspensions
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
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

/// `careweave gov suspend`.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("target").required(true).args(["ods", "node", "credential"])),
    after_help = "\
Examples:
  careweave gov suspend --ods VL901 --reason 'incident 12' --dir governance
  careweave gov suspend --node 12D3KooW… --reason 'stolen server' --officer 3 --dir governance
  careweave gov suspend --ods VL901 --reason 'incident 12' --out suspension.cbor --dir officer
  careweave --profile G9V-ra gov publish --dir governance       makes it known"
)]
pub struct SuspendArgs {
    /// Stop this member with all its nodes and staff
    #[arg(long, value_name = "ODS")]
    pub ods: Option<OdsCode>,
    /// Stop this endpoint, or this person by the PeerId of their key
    #[arg(long, value_name = "PEERID", value_parser = peer_id)]
    pub node: Option<NodeKey>,
    /// Stop this staff credential
    #[arg(long, value_name = "DIGEST")]
    pub credential: Option<Digest>,
    /// Why, as everybody will read it
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Which officer of an office that has their keys signs, counted from 1
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub officer: u32,
    /// Also write the signed suspension here, to carry to the office
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// What this directory believes
    #[command(flatten)]
    pub chain: ChainArgs,
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
