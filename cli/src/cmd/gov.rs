//! `careweave gov`: the governance office on files: keys, drafts, signatures, certificates, attestations, suspensions.
//!
//! Reading order: `office.rs` (the directory), `init.rs`, `draft.rs` (admit, propose), `difference.rs` (what a draft changes),
//! `ceremony.rs` (sign, publish), `issue.rs` (issue, attest), `suspend.rs`, `show.rs` (show, verify).

mod ceremony;
mod difference;
mod draft;
mod init;
mod issue;
mod office;
mod show;
mod suspend;

use crate::args::governance::GovCommand;
use crate::context::Context;
use crate::error::CliError;

/// `careweave gov`.
///
/// # Errors
/// Whatever the command ends with.
pub async fn run(command: &GovCommand, ctx: &mut Context) -> Result<u8, CliError> {
    match command {
        GovCommand::Init(args) => init::run(args, ctx),
        GovCommand::Admit(args) => draft::admit(args, ctx),
        GovCommand::Propose(args) => draft::propose(args, ctx),
        GovCommand::Sign(args) => ceremony::sign(args, ctx),
        GovCommand::Publish(args) => ceremony::publish(args, ctx).await,
        GovCommand::Issue(args) => issue::issue(args, ctx),
        GovCommand::Attest(args) => issue::attest(args, ctx),
        GovCommand::Suspend(args) => suspend::run(args, ctx),
        GovCommand::Show(args) => show::show(args, ctx),
        GovCommand::Verify(args) => show::verify(args, ctx),
    }
}
