//! What organisation IT types to make a node directory.

use std::path::PathBuf;

use careweave_certs::keystore::TokenUri;
use careweave_certs::manifest::MemberKind;
use careweave_protocol::id::{NetworkId, OdsCode};
use clap::Args;
use libp2p::Multiaddr;

/// `careweave node init`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave node init node --network borough --ods R9A --name 'Acute hospital trust' --kind acute --duty-contact '020 7946 0102' \\
    --listen /ip4/0.0.0.0/tcp/4101 --desk /ip4/10.0.0.5/tcp/4201 --bootstrap /dns4/node.example/tcp/4101/p2p/12D3KooW…
  careweave node init node … --organisation-pkcs11 \\
    'pkcs11:token=R9A;object=organisation?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/careweave/pin'

Makes the directory with its configuration, five keys and the request for the governance office, and prints what comes next.")]
pub struct NodeInitArgs {
    /// Node directory to make; it must not exist
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Network to join
    #[arg(long, value_name = "NAME")]
    pub network: NetworkId,
    /// The organisation's ODS code
    #[arg(long, value_name = "CODE")]
    pub ods: OdsCode,
    /// The organisation's name
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// gp-practice, acute, community, mental-health, ambulance, care-home, social-care, pharmacy, voluntary, governance
    #[arg(long, value_name = "KIND")]
    pub kind: MemberKind,
    /// Care setting; that of the kind unless told
    #[arg(long, value_name = "TEXT")]
    pub care_setting: Option<String>,
    /// Neighbourhood it belongs to
    #[arg(long, value_name = "NAME")]
    pub neighbourhood: Option<String>,
    /// Whom others ring when its records are needed and its node does not answer
    #[arg(long, value_name = "TEXT")]
    pub duty_contact: String,
    /// Where alerts about it go; the duty contact unless told
    #[arg(long, value_name = "TEXT")]
    pub alert_contact: Option<String>,
    /// Where other organisations' nodes connect; may be given several times
    #[arg(long, value_name = "MULTIADDR", default_value = "/ip4/0.0.0.0/tcp/4101")]
    pub listen: Vec<Multiaddr>,
    /// Where its own staff connect; may be given several times
    #[arg(long, value_name = "MULTIADDR", default_value = "/ip4/127.0.0.1/tcp/4201")]
    pub desk: Vec<Multiaddr>,
    /// Make the organisation key in this token instead of a file (RFC 7512); without a pin-source the PIN is asked for
    #[arg(long, value_name = "URI")]
    pub organisation_pkcs11: Option<TokenUri>,
    /// A member to ask first, ending in /p2p/ and its id; may be given several times
    #[arg(long, value_name = "MULTIADDR")]
    pub bootstrap: Vec<Multiaddr>,
}
