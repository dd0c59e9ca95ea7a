//! `careweaved`: runs one organisation's node, or checks its configuration.

use std::path::PathBuf;
use std::process::ExitCode;

use careweave_node::clock::Clock;
use careweave_node::config::Config;
use careweave_node::node::{Node, StartError};
use careweave_node::{telemetry, upkeep};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

/// The Careweave node: holds one organisation's records and answers authorised, logged queries about them.
#[derive(Parser)]
#[command(
    name = "careweaved",
    version,
    about,
    after_help = "Examples:\n  careweaved check -c node.toml\n  careweaved run -c /etc/careweave/node.toml"
)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the node until SIGTERM or SIGINT.
    Run {
        /// The configuration, as `careweave node init` wrote it.
        #[arg(short, long, default_value = "node.toml")]
        config: PathBuf,
    },
    /// Check the configuration and print what is in effect.
    Check {
        /// The configuration.
        #[arg(short, long, default_value = "node.toml")]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut text = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                let cause_text = cause.to_string();
                if !text.contains(&cause_text) {
                    text = format!("{text}: {cause_text}");
                }
                source = cause.source();
            }
            write_line(&mut std::io::stderr(), &format!("error: {text}"));
            let not_started = error.downcast_ref::<StartError>();
            if let Some(hint) = not_started.and_then(StartError::hint) {
                write_line(&mut std::io::stderr(), &format!("hint: {hint}"));
            }
            if not_started.is_some_and(StartError::must_not_be_repeated) { NOT_AGAIN.into() } else { ExitCode::FAILURE }
        }
    }
}

fn run(args: Args) -> Result<(), Box<dyn std::error::Error>> {
    match args.command {
        Command::Check { config } => {
            let config = Config::read(&config)?;
            write_line(&mut std::io::stdout(), config.effective().trim_end());
            Ok(())
        }
        Command::Run { config } => {
            let config = Config::read(&config)?;
            telemetry::start(&config.log);
            tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(config))
        }
    }
}

async fn serve(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let node = Node::start(config, Clock).await?;
    let services = node.services();
    for address in services.peers.current().gate.handle.listen_addresses() {
        tracing::info!(%address, peer = %services.peers.current().gate.handle.local_peer(), "peers may connect");
    }
    for address in services.desk.handle.listen_addresses() {
        tracing::info!(%address, peer = %services.desk.handle.local_peer(), "staff may connect");
    }
    tracing::info!(ods = %services.config.ods, "serving");
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                if services.reload().await {
                    upkeep::introduce(services).await;
                }
                tracing::info!("read again: certificates, attestations, revoked credentials; node.toml needs a restart");
            }
        }
    }
    tracing::info!("stopping");
    node.shutdown().await;
    tracing::info!("stopped");
    Ok(())
}

fn write_line(to: &mut impl std::io::Write, text: &str) {
    // A closed terminal is no reason to fail.
    drop(writeln!(to, "{text}"));
}

/// Exit code that tells whoever watches over the daemon not to start it again by itself: EX_CONFIG of sysexits.h.
const NOT_AGAIN: u8 = 78;
