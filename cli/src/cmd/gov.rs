//! `careweave gov`: the governance office on files: keys, drafts, signatures, certificates, attestations, suspensions.
//!
//! Reading order: `office.rs` (the directory), `keys.rs` (files and tokens), `office_keys.rs` (officer, registrar), `init.rs`, `draft.rs`
//! (admit), `propose.rs` (every other change, taint), `difference.rs` and `signatures.rs` (what a draft changes, who has signed), `follow.rs`
//! and `sign.rs` (an officer elsewhere), `collect.rs`, `publish.rs`, `authorities.rs`, `delegate.rs`, `invite.rs` and `requests.rs`, `issue.rs`,
//! `attest.rs`, `crl.rs`, `suspend.rs`, `show.rs` (show, verify).

mod attest;
mod authorities;
mod collect;
mod crl;
mod delegate;
mod difference;
mod draft;
mod follow;
mod init;
mod invite;
mod issue;
mod keys;
mod office;
mod office_keys;
mod propose;
mod publish;
mod requests;
mod show;
mod sign;
mod signatures;
mod suspend;

use careweave_certs::office_key::OfficeRole;

use crate::args::governance::GovCommand;
use crate::context::Context;
use crate::error::CliError;

pub(crate) use invite::code::OneTimeCode;

/// `careweave gov`.
///
/// # Errors
/// Whatever the command ends with.
pub async fn run(command: &GovCommand, ctx: &mut Context) -> Result<u8, CliError> {
    match command {
        GovCommand::Officer(args) => office_keys::run(OfficeRole::Officer, args, ctx),
        GovCommand::Registrar(args) => office_keys::run(OfficeRole::Registrar, args, ctx),
        GovCommand::Init(args) => init::run(args, ctx),
        GovCommand::Delegate(args) => delegate::run(args, ctx),
        GovCommand::Invite(args) => invite::run(args, ctx).await,
        GovCommand::Requests(args) => requests::run(args, ctx).await,
        GovCommand::Admit(args) => draft::admit(args, ctx),
        GovCommand::Propose(args) => propose::run(args, ctx),
        GovCommand::Taint(args) => propose::taint(args, ctx),
        GovCommand::Sign(args) => sign::run(args, ctx),
        GovCommand::Collect(args) => collect::run(args, ctx),
        GovCommand::Publish(args) => publish::publish(args, ctx).await,
        GovCommand::Authority(command) => authorities::run(command, ctx),
        GovCommand::Issue(args) => issue::run(args, ctx),
        GovCommand::Attest(args) => attest::run(args, ctx).await,
        GovCommand::Crl(args) => crl::run(args, ctx),
        GovCommand::Suspend(args) => suspend::run(args, ctx),
        GovCommand::Show(args) => show::show(args, ctx),
        GovCommand::Verify(args) => show::verify(args, ctx),
    }
}
