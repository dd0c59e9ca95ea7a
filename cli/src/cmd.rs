//! One file for each noun of the command line; each has `run(args, ctx)` and gives the exit code.

pub mod audit;
pub mod cert;
pub mod completions;
pub mod directory;
pub mod explain;
pub mod gov;
pub mod import;
pub mod login;
pub mod man;
pub mod node;
pub mod node_init;
pub mod staff;
pub mod view;

use crate::args::operate::NodeCommand;
use crate::args::{Cli, Command};
use crate::context::Context;
use crate::error::CliError;

/// Runs what was typed and gives the exit code.
///
/// # Errors
/// Whatever the command ends with.
pub async fn run(cli: Cli, ctx: &mut Context) -> Result<u8, CliError> {
    match cli.command {
        Command::View(args) => view::run(&args, ctx).await,
        Command::Emergency(args) => view::emergency(args, ctx).await,
        Command::Explain(args) => explain::run(&args, ctx).await,
        Command::Directory(args) => directory::run(&args, ctx).await,
        Command::Import(args) => import::run(&args, ctx).await,
        Command::Node(NodeCommand::Init(args)) => node_init::run(&args, ctx),
        Command::Node(NodeCommand::Status) => node::status(ctx).await,
        Command::Node(NodeCommand::Peers) => node::peers(ctx).await,
        Command::Audit(command) => audit::run(&command, ctx).await,
        Command::Login(args) => login::run(&args, ctx),
        Command::Logout => login::logout(ctx),
        Command::Staff(command) => staff::run(&command, ctx),
        Command::Cert(command) => cert::run(&command, ctx),
        Command::Gov(command) => gov::run(&command, ctx).await,
        Command::Agent(args) => login::agent(&args).await,
        Command::Completions(args) => completions::run(&args, ctx),
        Command::Man(args) => man::run(&args, ctx),
    }
}
