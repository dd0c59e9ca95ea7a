//! One file for each noun of the command line; each has `run(args, ctx)` and gives the exit code.

pub mod audit;
pub mod break_glass;
pub mod cert;
pub mod completions;
pub mod directory;
pub mod exception;
pub mod explain;
pub mod gov;
pub mod import;
pub mod login;
pub mod man;
pub mod node;
pub mod node_init;
pub mod resident;
pub mod review;
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
    let shows_a_view = matches!(cli.command, Command::View(_) | Command::Emergency(_) | Command::BreakGlass(_));
    if ctx.form.is_of_a_view() && !shows_a_view {
        return Err(CliError::usage("only a view has the forms fhir and html").hint("use -o table or -o json"));
    }
    match cli.command {
        Command::View(args) => view::run(&args, ctx).await,
        Command::Emergency(args) => view::emergency(args, ctx).await,
        Command::BreakGlass(args) => break_glass::run(&args, ctx).await,
        Command::Residents(args) => resident::list(&args, ctx).await,
        Command::Resident(command) => resident::run(&command, ctx).await,
        Command::Exception(command) => exception::run(&command, ctx).await,
        Command::Explain(args) => explain::run(&args, ctx).await,
        Command::Directory(args) => directory::run(&args, ctx).await,
        Command::Import(args) => import::run(&args, ctx).await,
        Command::Node(NodeCommand::Init(args)) => node_init::run(&args, ctx),
        Command::Node(NodeCommand::Status) => node::status(ctx).await,
        Command::Node(NodeCommand::Peers) => node::peers(ctx).await,
        Command::Node(NodeCommand::Doctor) => node::doctor::run(ctx).await,
        Command::Audit(command) => audit::run(&command, ctx).await,
        Command::Review(command) => review::run(&command, ctx).await,
        Command::Login(args) => login::run(&args, ctx),
        Command::Logout => login::logout(ctx),
        Command::Staff(command) => staff::run(&command, ctx),
        Command::Cert(command) => cert::run(&command, ctx).await,
        Command::Gov(command) => gov::run(&command, ctx).await,
        Command::Agent(args) => login::agent(&args).await,
        Command::Completions(args) => completions::run(&args, ctx),
        Command::Man(args) => man::run(&args, ctx),
    }
}
