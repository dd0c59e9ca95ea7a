//! What organisation IT types about the organisation's certificate.

use std::path::PathBuf;

use careweave_certs::keystore::TokenUri;
use careweave_protocol::desk::RotationPart;
use careweave_protocol::id::Digest;
use clap::{Args, Subcommand, ValueEnum};

use super::enrol::CertEnrolArgs;

/// `careweave cert`.
#[derive(Debug, Subcommand)]
pub enum CertCommand {
    /// Show every end that is coming; exit code 3 from 30 days before one, 6 after it
    Status(CertStatusArgs),
    /// Ask the network's enrolment service for the first certificate, with a one-time code
    Enrol(CertEnrolArgs),
    /// Make a request for the next certificate, for the governance office
    Request(CertRequestArgs),
    /// Take in what the governance office sent
    Install(CertInstallArgs),
    /// Take the next step in changing certificate or keys of the own running node; ask every member first
    Rotate(CertRotateArgs),
}

/// `careweave cert request`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave cert request --node node --out R9A.request
  careweave cert request --node node --for organisation-key --out R9A.request
  careweave cert request --node node --for organisation-key --out R9A.request \\
    --pkcs11 'pkcs11:token=R9A;object=organisation-2027?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/careweave/pin'

Send the file to the governance office; with what comes back: `careweave cert install`.")]
pub struct CertRequestArgs {
    /// Node directory
    #[arg(long, value_name = "DIR")]
    pub node: PathBuf,
    /// The key to be certified: that in use, or the successor that `cert rotate --key organisation` has prepared
    #[arg(long = "for", value_name = "WHAT", value_enum, default_value_t = RequestFor::Certificate)]
    pub purpose: RequestFor,
    /// Make the next organisation key in this token (RFC 7512) and have the present key endorse it; only with --for organisation-key
    #[arg(long, value_name = "URI")]
    pub pkcs11: Option<TokenUri>,
    /// Where the request goes
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RequestFor {
    /// The next certificate of the organisation key in use.
    Certificate,
    /// The first certificate of the prepared next organisation key.
    OrganisationKey,
}

/// `careweave cert rotate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave cert rotate --rehearse                      would every member accept the next certificate?
  careweave cert rotate                                 the next certificate: prepare it, or put the prepared one in use
  careweave cert rotate --key organisation --rehearse
  careweave cert rotate --key node --force

Each call takes one step: prepare a successor, put it in use, end the overlap. A step that would cut a member off is not taken
without --force. Exit code 3: taken with --force although somebody would not follow, or not everybody was reached by a rehearsal;
4: not taken, or somebody would refuse.")]
pub struct CertRotateArgs {
    /// The key to change; the certificate alone when left out
    #[arg(long, value_name = "KEY", value_enum)]
    pub key: Option<RotatedKey>,
    /// Only ask every member whether it would accept the successor
    #[arg(long)]
    pub rehearse: bool,
    /// Go on although a member would not accept it, was not reached, or the time has not come
    #[arg(long, conflicts_with = "rehearse")]
    pub force: bool,
}

/// A key that is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RotatedKey {
    /// The organisation's key, and with it its certificate.
    Organisation,
    /// The key of the peer endpoint.
    Node,
}

impl CertRotateArgs {
    /// What is changed.
    #[must_use]
    pub fn part(&self) -> RotationPart {
        match self.key {
            None => RotationPart::Certificate,
            Some(RotatedKey::Organisation) => RotationPart::OrganisationKey,
            Some(RotatedKey::Node) => RotationPart::NodeKey,
        }
    }
}

/// `careweave cert install`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave cert install --node node --enrolment R9A.enrolment
  careweave cert install --node node --enrolment R9A.enrolment --pin 9d2f…
  careweave cert install --node node --enrolment R9A.enrolment --next && careweave cert rotate --rehearse

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
    /// Put the certificate beside the one in use; `cert rotate` then asks every member about it before it is used
    #[arg(long)]
    pub next: bool,
}

/// `careweave cert status`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  careweave cert status --node node\n  careweave cert status --node node -o json | jq '.ends[] | select(.days < 30)'"
)]
pub struct CertStatusArgs {
    /// Node directory
    #[arg(long, value_name = "DIR")]
    pub node: PathBuf,
}
