//! The `careweave` program: reads the clock, the environment and the command line, runs one command, and ends with its exit
//! code. Nothing else in this crate touches the real process.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use careweave_cli::args::{Cli, Global, Output};
use careweave_cli::cmd;
use careweave_cli::context::Context;
use careweave_cli::error::CliError;
use careweave_cli::output::Printer;
use careweave_protocol::time::Timestamp;
use clap::Parser;
use clap::error::ErrorKind;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return not_understood(&error, &arguments),
    };
    let mut ctx = context(&cli.global);
    let outcome = match tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build() {
        Ok(runtime) => runtime.block_on(cmd::run(cli, &mut ctx)),
        Err(error) => Err(CliError::failed("runtime", format!("the program could not start: {error}"))),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            ctx.printer.error(&error);
            ExitCode::from(error.exit)
        }
    }
}

fn context(global: &Global) -> Context {
    let terminal = std::io::stdout().is_terminal();
    let plain = global.no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    Context {
        clock,
        profile: global.profile.clone(),
        home: std::env::var_os("HOME").map(PathBuf::from),
        runtime: std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from),
        printer: Printer::new(global.output.plain(), terminal && !plain),
        output: global.output.plain(),
        form: global.output,
        terminal,
        interactive: std::io::stdin().is_terminal() && std::io::stderr().is_terminal(),
        progress: std::io::stderr().is_terminal(),
        verbose: global.verbose,
    }
}

fn clock() -> Timestamp {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(passed.as_millis()).unwrap_or(i64::MAX))
}

/// Help and version are clap's own; what is wrong becomes one line and a hint, like every other error.
fn not_understood(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        // A reader that left early has seen what it wanted.
        drop(error.print());
        let code = u8::try_from(error.exit_code()).unwrap_or(careweave_cli::error::exit::USAGE);
        return ExitCode::from(code);
    }
    let failure = CliError::from(error);
    let output = if asks_for_json(arguments) { Output::Json } else { Output::Table };
    Printer::new(output, false).error(&failure);
    ExitCode::from(failure.exit)
}

/// Whether the command line that was not understood asked for JSON, so that its error is JSON too.
fn asks_for_json(arguments: &[OsString]) -> bool {
    let mut texts = arguments.iter().filter_map(|argument| argument.to_str()).peekable();
    while let Some(text) = texts.next() {
        match text {
            "-o" | "--output" if texts.peek() == Some(&"json") => return true,
            "-ojson" | "-o=json" | "--output=json" => return true,
            "--" => return false,
            _ => {}
        }
    }
    false
}

/// One waits for the node, one keeps the connection going.
const WORKERS: usize = 2;
