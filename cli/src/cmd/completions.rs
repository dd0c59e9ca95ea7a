//! `careweave completions`: what the shell completes, made from the command line itself.

use clap::CommandFactory;
use clap_complete::aot::{Bash, Fish, Zsh};
use clap_complete::generate;

use crate::args::Cli;
use crate::args::operate::{CompletionsArgs, Shell};
use crate::context::Context;
use crate::error::{CliError, exit};

/// Prints the completions.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(args: &CompletionsArgs, ctx: &mut Context) -> Result<u8, CliError> {
    // Into memory first: the generator does not expect a reader that leaves early.
    let mut script = Vec::new();
    let mut command = Cli::command();
    match args.shell {
        Shell::Bash => generate(Bash, &mut command, NAME, &mut script),
        Shell::Zsh => generate(Zsh, &mut command, NAME, &mut script),
        Shell::Fish => generate(Fish, &mut command, NAME, &mut script),
    }
    ctx.printer.line(String::from_utf8_lossy(&script).trim_end())?;
    Ok(exit::DONE)
}

const NAME: &str = "careweave";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completions_know_the_commands() {
        let mut script = Vec::new();
        generate(Bash, &mut Cli::command(), NAME, &mut script);
        let script = String::from_utf8(script).unwrap();
        assert!(script.contains("emergency") && script.contains("--deadline"));
    }
}
