//! `careweave cert`: the organisation's certificate and keys, and every end that is coming.
//!
//! `status` (what ends when, read from the node directory) · `enrol` (from the network's service) · `request` and `install` (the way by files) ·
//! `rotate` (the running node takes the next step). What is *not* here: when a step is due, which is
//! `careweave_certs::rotation`, and taking it, which is the node's.

mod enrol;
mod install;
mod request;
mod rotate;
mod status;

use crate::args::cert::CertCommand;
use crate::context::Context;
use crate::error::CliError;

/// `careweave cert`.
///
/// # Errors
/// Whatever the command ends with.
pub async fn run(command: &CertCommand, ctx: &mut Context) -> Result<u8, CliError> {
    match command {
        CertCommand::Status(args) => status::run(args, ctx),
        CertCommand::Enrol(args) => enrol::run(args, ctx).await,
        CertCommand::Request(args) => request::run(args, ctx),
        CertCommand::Install(args) => install::run(args, ctx),
        CertCommand::Rotate(args) => rotate::run(args, ctx).await,
    }
}
