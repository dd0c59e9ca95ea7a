//! What the certificate authority and the registrar of the office are told.

use std::path::PathBuf;

use careweave_certs::keystore::TokenUri;
use careweave_protocol::id::OdsCode;
use careweave_protocol::identity::{Standard, StandardStatus};
use careweave_protocol::time::Date;
use clap::{Args, Subcommand};

use super::super::values::{date, standard};
use super::{HashPrefix, OfficeArgs};

/// `careweave gov authority`.
#[derive(Debug, Subcommand)]
pub enum AuthorityCommand {
    /// Make the key and the self-signed certificate of a root
    Root(RootArgs),
    /// Make the key of an intermediate and its certificate under a root
    Intermediate(IntermediateArgs),
}

/// `careweave gov authority root`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave gov authority root --dir governance
  careweave gov propose --authority-in governance/authority/root-2.pem --role root --dir governance")]
pub struct RootArgs {
    /// Make the key in this token
    #[arg(long, value_name = "URI")]
    pub pkcs11: Option<TokenUri>,
    /// Where the office is
    #[command(flatten)]
    pub office: OfficeArgs,
}

/// `careweave gov authority intermediate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave gov authority intermediate --dir governance
  careweave gov authority intermediate --under 2b90e1f7 --dir governance

Needs the key of the root; without --under that is the newest root of the manifest that holds.")]
pub struct IntermediateArgs {
    /// Root to issue under, by the first 8 or more digits of its digest
    #[arg(long, value_name = "HASH")]
    pub under: Option<HashPrefix>,
    /// Make the key in this token
    #[arg(long, value_name = "URI")]
    pub pkcs11: Option<TokenUri>,
    /// Where the office is
    #[command(flatten)]
    pub office: OfficeArgs,
}

/// `careweave gov issue`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave gov issue --request R9A.cbor --out R9A.enrolment --dir governance

The same request again renews the certificate, for 90 days from now. Attestations made so far go into the enrolment. A request for a new
key that the pinned key endorses is accepted as well. Without --under the newest active intermediate issues whose key is here.")]
pub struct IssueArgs {
    /// Enrolment request of a member
    #[arg(long, value_name = "FILE")]
    pub request: PathBuf,
    /// Enrolment to write, for `cert install`
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Intermediate to issue under, by the first 8 or more digits of its digest
    #[arg(long, value_name = "HASH")]
    pub under: Option<HashPrefix>,
    /// Where the office is
    #[command(flatten)]
    pub office: OfficeArgs,
}

/// `careweave gov attest`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave gov attest --ods R9A --standard dspt --expires 2027-06-30 --dir governance
  careweave gov attest --ods R9A --standard dspt --status approaching --expires 2027-06-30 --dir governance")]
pub struct AttestArgs {
    /// Member it is about
    #[arg(long, value_name = "ODS")]
    pub ods: OdsCode,
    /// What it holds: dspt, sharing-agreement
    #[arg(long, value_name = "STANDARD", value_parser = standard)]
    pub standard: Standard,
    /// Published status, of the DSPT: not-met, approaching, met, exceeded; met when left out
    #[arg(long, value_name = "STATUS")]
    pub status: Option<StandardStatus>,
    /// Last day on which it holds
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub expires: Date,
    /// Also hand it to the node of the profile in use, whose enrolment service gives it out with renewals (scope govern)
    #[arg(long)]
    pub to_node: bool,
    /// Registrar's key, where it is not registrar/registrar.key of the office
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Where the office is
    #[command(flatten)]
    pub office: OfficeArgs,
}

/// `careweave gov crl`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave gov crl --out lists --dir governance
  openssl crl -in lists/intermediate.crl.pem -noout -text

For tools outside the network, which ask for such lists; its own nodes need none. A list says that the next one comes within 30 days.")]
pub struct CrlArgs {
    /// Directory for the lists: NAME.crl in DER and NAME.crl.pem of each authority whose key is here
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Where the office is
    #[command(flatten)]
    pub office: OfficeArgs,
}
