//! `careweave-demo`: runs, shows and ends the demonstration network.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use careweave_tests::demo::{Demo, DemoError};
use clap::{Parser, Subcommand};

/// A network of eleven organisations on this machine, with synthetic people only.
#[derive(Debug, Parser)]
#[command(name = "careweave-demo", version)]
struct Arguments {
    /// Where everything is kept
    #[arg(long, value_name = "DIR", env = "CAREWEAVE_DEMO", default_value = ".demo", global = true)]
    directory: PathBuf,
    /// Print how long each phase took
    #[arg(short, long, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Set the network up anew, run the story, and leave the network running
    Run,
    /// End the network
    Stop,
    /// Show which nodes run; exit code 1 unless all do
    Status,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments, &mut io::stdout().lock()) {
        Ok(code) => code,
        Err(error) => {
            // Where stderr is gone, the exit code still tells.
            drop(writeln!(io::stderr(), "error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<ExitCode, DemoError> {
    let demo = Demo::new(&arguments.directory, arguments.verbose);
    match arguments.command {
        Command::Run => {
            demo.run(jiff::Zoned::now().date(), out)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Stop => {
            let ended = demo.stop()?;
            writeln!(out, "{ended} nodes ended; everything stays in {}", arguments.directory.display())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Status => {
            let nodes = demo.status();
            for node in &nodes {
                let state = node.pid.map_or_else(|| "stopped".to_owned(), |pid| format!("running, process {pid}"));
                writeln!(out, "{:<8}{:<28}{state}", node.ods, node.name)?;
            }
            let all = nodes.iter().all(|node| node.pid.is_some());
            Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}
