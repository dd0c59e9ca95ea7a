//! `careweave login` and `logout`, and the agent that the first starts and the second ends.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use std::os::unix::process::CommandExt;

use careweave_certs::keystore::SoftwareKey;
use careweave_certs::layout::STAFF_KEY;
use zeroize::Zeroizing;

use crate::agent;
use crate::args::staff::{AgentArgs, LoginArgs};
use crate::context::Context;
use crate::error::{CliError, exit};
use crate::profile::{self, passphrase};

/// `careweave login`.
///
/// # Errors
/// When the passphrase is wrong or the agent does not come up.
pub fn run(args: &LoginArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let directory = profile::directory(ctx)?;
    let typed = passphrase::obtain(ctx, args.passphrase_file.as_deref(), "Passphrase of your staff key")?;
    let key = SoftwareKey::read_protected(&directory.join(STAFF_KEY), &typed)?;
    let seed = key.ed25519_seed().ok_or_else(|| CliError::failed("key", "a staff key is an Ed25519 key"))?;
    agent::lock(&directory, ctx)?;
    let socket = agent::socket(&directory, ctx)?;
    start(&socket, args.idle, &seed)?;
    let idle = if args.idle == 1 { "1 minute passes".to_owned() } else { format!("{} minutes pass", args.idle) };
    ctx.note(&format!("unlocked until {idle} without use, or `careweave logout`"));
    Ok(exit::DONE)
}

/// `careweave logout`.
///
/// # Errors
/// When the agent cannot be reached although it is there.
pub fn logout(ctx: &mut Context) -> Result<u8, CliError> {
    let locked = agent::lock(&profile::directory(ctx)?, ctx)?;
    ctx.note(if locked { "locked" } else { "nothing was unlocked" });
    Ok(exit::DONE)
}

/// `careweave agent`: takes the key from stdin and serves it.
///
/// # Errors
/// When it cannot listen.
pub async fn agent(args: &AgentArgs) -> Result<u8, CliError> {
    let mut seed = Zeroizing::new([0u8; 32]);
    let unread = |error: std::io::Error| CliError::failed("agent", format!("no key on stdin: {error}"));
    std::io::stdin().lock().read_exact(seed.as_mut_slice()).map_err(unread)?;
    let key = SoftwareKey::from_ed25519_seed(&seed)?;
    drop(seed);
    agent::serve(&args.socket, &key, Duration::from_secs(args.idle.saturating_mul(60))).await?;
    Ok(exit::DONE)
}

/// Starts the agent as a process of its own, in a process group of its own so that an interrupt at the terminal spares it, and
/// waits until it listens. The key goes through a pipe: arguments and environment can be read by others.
fn start(socket: &std::path::Path, idle: u64, seed: &Zeroizing<[u8; 32]>) -> Result<(), CliError> {
    let failed = |error: std::io::Error| CliError::failed("agent", format!("the login agent did not start: {error}"));
    let mut child = Command::new(std::env::current_exe().map_err(failed)?)
        .arg("agent")
        .arg("--socket")
        .arg(socket)
        .arg("--idle")
        .arg(idle.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(seed.as_slice()).map_err(failed)?;
    }
    for _ in 0..START_LOOKS {
        if std::os::unix::net::UnixStream::connect(socket).is_ok() {
            return Ok(());
        }
        if child.try_wait().map_err(failed)?.is_some() {
            break;
        }
        std::thread::sleep(START_LOOK);
    }
    Err(CliError::failed("agent", "the login agent did not start")
        .hint("the profile's directory must be yours alone: chmod 700"))
}

/// How often `login` looks whether the agent listens, and how many times: two seconds together.
const START_LOOK: Duration = Duration::from_millis(20);
const START_LOOKS: u32 = 100;
