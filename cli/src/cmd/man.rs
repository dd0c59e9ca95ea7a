//! `careweave man`: manual pages, one for each command, made from the command line itself.

use clap::CommandFactory;

use crate::args::Cli;
use crate::args::operate::ManArgs;
use crate::context::Context;
use crate::error::{CliError, exit};

/// Writes the pages.
///
/// # Errors
/// When the directory cannot be written.
pub fn run(args: &ManArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let failed = |error: std::io::Error| {
        CliError::failed("file", format!("{} cannot be written: {error}", args.directory.display()))
            .hint("name a directory that you may write to, such as ~/.local/share/man/man1")
    };
    std::fs::create_dir_all(&args.directory).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), &args.directory).map_err(failed)?;
    ctx.note(&format!("pages are in {}", args.directory.display()));
    Ok(exit::DONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let directory = std::env::temp_dir().join(format!("careweave-man-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        clap_mangen::generate_to(Cli::command(), &directory).unwrap();
        for page in ["careweave.1", "careweave-view.1", "careweave-audit-verify.1", "careweave-node-status.1"] {
            assert!(directory.join(page).is_file(), "{page}");
        }
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
