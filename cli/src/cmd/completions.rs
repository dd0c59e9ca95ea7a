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
    ctx.printer.line(script(args.shell).trim_end())?;
    Ok(exit::DONE)
}

fn script(shell: Shell) -> String {
    // Into memory first: the generator does not expect a reader that leaves early.
    let mut script = Vec::new();
    let mut command = Cli::command();
    match shell {
        Shell::Bash => generate(Bash, &mut command, NAME, &mut script),
        Shell::Zsh => generate(Zsh, &mut command, NAME, &mut script),
        Shell::Fish => generate(Fish, &mut command, NAME, &mut script),
    }
    String::from_utf8_lossy(&script).into_owned()
}

const NAME: &str = "careweave";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::plain::plain;

    #[test]
    fn completions_know_the_commands_and_pass_the_printer_unchanged() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell);
            assert!(script.contains("emergency") && script.contains("deadline"), "{shell:?}");
            assert_eq!(plain(&script), script, "{shell:?}");
        }
    }
}
