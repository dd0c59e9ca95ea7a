//! What is typed where a network runs an enrolment service: by an officer, by the office, and by organisation IT.

use std::path::PathBuf;

use careweave_protocol::id::{Digest, OdsCode};
use clap::{ArgGroup, Args};
use libp2p::Multiaddr;

use super::governance::{HashPrefix, OfficeArgs};

/// `careweave gov delegate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave gov delegate --node node --dir governance
  careweave gov propose --enrolment G9V --dir governance

Run it where both directories are. A key in a token stays there, and the node gets the reference to it; a key in a file is copied, and the
node's copy is under no passphrase. Whoever has that key can issue only for keys that the officers have pinned, or their owners endorsed.")]
pub struct DelegateArgs {
    /// Node directory
    #[arg(long, value_name = "DIR")]
    pub node: PathBuf,
    /// Intermediate to issue under, by the first 8 or more digits of its digest; the newest active one whose key is here otherwise
    #[arg(long, value_name = "HASH")]
    pub under: Option<HashPrefix>,
    /// Where the office is
    #[command(flatten)]
    pub office: OfficeArgs,
}

/// `careweave gov invite`.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("what").required(true).args(["ods", "carry"])),
    after_help = "\
Examples:
  careweave --profile G9V-ra gov invite --ods VL901 --dir governance
  careweave gov invite --ods VL901 --out VL901.invitation --dir officer
  careweave --profile G9V-ra gov invite --carry VL901.invitation

One officer invites: the code on stdout is shown once, good for one organisation and one key, and goes to that organisation by another
channel. It lets them file a request; a certificate comes when enough officers have admitted the key. The first form hands the invitation
to the node of a profile with the scope govern, which must run the service; the second writes it to a private file, for the third.
Until it has been used that file is as secret as the code itself: it holds the digest with which a request is proved."
)]
pub struct InviteArgs {
    /// Organisation to invite
    #[arg(long, value_name = "ODS")]
    pub ods: Option<OdsCode>,
    /// Which officer of an office that has their keys signs, counted from 1
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub officer: u32,
    /// Days for which the code is good
    #[arg(long, value_name = "DAYS", default_value_t = INVITATION_DAYS, value_parser = clap::value_parser!(u64).range(1..=INVITATION_DAYS))]
    pub days: u64,
    /// Write the invitation here instead of handing it over
    #[arg(long, value_name = "FILE", conflicts_with = "carry")]
    pub out: Option<PathBuf>,
    /// Hand over an invitation that was written before
    #[arg(long, value_name = "FILE")]
    pub carry: Option<PathBuf>,
    /// Where the officer's key is
    #[command(flatten)]
    pub office: OfficeArgs,
}

/// `careweave gov requests`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave --profile G9V-ra gov requests
  careweave --profile G9V-ra gov requests --out requests
  careweave gov admit --request requests/VL901.cbor --dir governance

Compare each key with what the organisation tells you by another channel before you admit it.")]
pub struct RequestsArgs {
    /// Also write each request to ODS.cbor in this directory, for `gov admit`
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// `careweave cert enrol`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave cert enrol --node node --service /dns4/office.example/tcp/4101/p2p/12D3KooW… --pin 9d2f…
  careweave cert enrol --node node --service /dns4/office.example/tcp/4101/p2p/12D3KooW… --code-file code --wait

Sends the node's enrolment request with the proof that you know the one-time code; the code itself is not sent. Exit code 3: the request
waits for the officers, ask again later. The service is not believed: the manifests it sends must follow from the first one, whose digest
you compare or give with --pin, and the certificate must follow from them.")]
pub struct CertEnrolArgs {
    /// Node directory
    #[arg(long, value_name = "DIR")]
    pub node: PathBuf,
    /// Peer address of a node that runs the enrolment service, ending in /p2p/ and its id
    #[arg(long, value_name = "MULTIADDR")]
    pub service: Multiaddr,
    /// File with the one-time code, which nobody else may read; asked for otherwise
    #[arg(long, value_name = "FILE")]
    pub code_file: Option<PathBuf>,
    /// Digest that the first manifest must have
    #[arg(long, value_name = "DIGEST")]
    pub pin: Option<Digest>,
    /// Ask again every 15 seconds until the officers have decided
    #[arg(long)]
    pub wait: bool,
}

/// The life of an invitation in days.
const INVITATION_DAYS: u64 = careweave_protocol::limits::INVITATION_LIFE.as_secs() / (24 * 3600);
