//! The login agent: a process that keeps one person's unlocked key until it has been idle for a while.
//!
//! It listens on a Unix socket in a directory that only the person may enter. A request is one byte: `GIVE_KEY` is answered
//! with the 32-byte Ed25519 seed (the connection to the node needs the key itself, RFC 8032), `LOCK` ends the agent.
//! It ends with its process, so nothing of the key outlives the lock.

use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use careweave_certs::keystore::SoftwareKey;
use careweave_certs::layout::STAFF_KEY;
use careweave_certs::private_file;
use careweave_protocol::id::Digest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::time::{Instant, sleep_until, timeout};
use zeroize::Zeroizing;

use crate::context::Context;
use crate::error::CliError;
use crate::profile::is_key_of;

/// Asks for the seed.
const GIVE_KEY: u8 = b'K';
/// Asks the agent to end.
const LOCK: u8 = b'L';
/// How long either end of a request may take: both are on this machine.
const REQUEST_DEADLINE: Duration = Duration::from_secs(2);
/// The agent ends after a long shift, used or not.
const AGENT_LIFE: Duration = Duration::from_secs(12 * 3600);
/// Bytes of a socket's path, with the final zero (unix(7)).
const SOCKET_PATH_MAX: usize = 107;

/// The key of a profile, when an agent keeps it unlocked.
///
/// # Errors
/// When somebody else could have put the socket there, or the agent keeps another key.
pub fn unlocked(profile: &Path, ctx: &Context) -> Result<Option<SoftwareKey>, CliError> {
    let Some(mut stream) = connect(profile, ctx)? else { return Ok(None) };
    let mut seed = Zeroizing::new([0u8; 32]);
    if stream.write_all(&[GIVE_KEY]).and_then(|()| stream.read_exact(seed.as_mut_slice())).is_err() {
        // It locked itself between our connecting and our asking.
        return Ok(None);
    }
    let key = SoftwareKey::from_ed25519_seed(&seed)?;
    if is_key_of(&profile.join(STAFF_KEY), &key)? {
        return Ok(Some(key));
    }
    Err(CliError::failed("agent", "the login agent keeps another key than the profile's")
        .hint("`careweave logout`, then `careweave login`"))
}

/// Ends the agent of a profile; `false` when there was none.
///
/// # Errors
/// When somebody else could have put the socket there.
pub fn lock(profile: &Path, ctx: &Context) -> Result<bool, CliError> {
    let Some(mut stream) = connect(profile, ctx)? else { return Ok(false) };
    // It answers by ending; a failed write means that it has.
    drop(stream.write_all(&[LOCK]).and_then(|()| stream.read_to_end(&mut Vec::new())));
    Ok(true)
}

/// Where the agent of a profile listens: in the runtime directory of the session, else in the profile.
///
/// # Errors
/// When the path is too long for a socket.
pub fn socket(profile: &Path, ctx: &Context) -> Result<PathBuf, CliError> {
    let real = std::fs::canonicalize(profile)
        .map_err(|error| CliError::failed("profile", format!("{}: {error}", profile.display())))?;
    let path = match &ctx.runtime {
        Some(runtime) => {
            let name = Digest::of(&[real.as_os_str().as_encoded_bytes()]).to_string();
            runtime.join("careweave").join(format!("{}.sock", name.get(..16).unwrap_or_default()))
        }
        None => real.join("agent.sock"),
    };
    if path.as_os_str().len() <= SOCKET_PATH_MAX {
        return Ok(path);
    }
    Err(CliError::failed("agent", format!("{} is too long for a socket", path.display()))
        .hint("set XDG_RUNTIME_DIR, or use a profile with a shorter path"))
}

/// Serves the key until told to lock, idle for too long, or past a shift. Removes its socket at the end.
///
/// # Errors
/// When it cannot listen.
pub async fn serve(socket: &Path, key: &SoftwareKey, idle: Duration) -> Result<(), CliError> {
    let failed = |error: io::Error| CliError::failed("agent", format!("{}: {error}", socket.display()));
    let directory = socket.parent().unwrap_or(Path::new("."));
    private_file::create_dir(directory)?;
    let owner = own_directory(directory)?;
    // Left behind by an agent that was killed; a living one was asked to end before.
    let unready = socket.with_extension("new");
    match std::fs::remove_file(&unready) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(&unready).map_err(failed)?;
    // The directory keeps others out already; this is for whoever widens it later. It has its name only once it has its mode.
    std::fs::set_permissions(&unready, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    std::fs::rename(&unready, socket).map_err(failed)?;
    let seed = key.ed25519_seed().ok_or_else(|| CliError::failed("key", "a staff key is an Ed25519 key"))?;
    let end = Instant::now() + AGENT_LIFE;
    let mut locks = Instant::now() + idle;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = sleep_until(locks.min(end)) => break,
        };
        let Ok((mut stream, _)) = accepted else { break };
        // Only the owner can reach the socket; a process of another user that holds an open directory must not.
        if stream.peer_cred().map_or(true, |peer| peer.uid() != owner) {
            continue;
        }
        match timeout(REQUEST_DEADLINE, stream.read_u8()).await {
            Ok(Ok(GIVE_KEY)) => {
                // Whoever asked and left has not used it.
                if let Ok(Ok(())) = timeout(REQUEST_DEADLINE, stream.write_all(seed.as_slice())).await {
                    locks = Instant::now() + idle;
                }
            }
            Ok(Ok(LOCK)) => break,
            _ => {}
        }
    }
    std::fs::remove_file(socket).map_err(failed)
}

fn connect(profile: &Path, ctx: &Context) -> Result<Option<UnixStream>, CliError> {
    let path = socket(profile, ctx)?;
    if !path.exists() {
        return Ok(None);
    }
    own_directory(path.parent().unwrap_or(Path::new(".")))?;
    // A socket that nobody answers at was left behind.
    let Ok(stream) = UnixStream::connect(&path) else { return Ok(None) };
    let bounded =
        stream.set_read_timeout(Some(REQUEST_DEADLINE)).and_then(|()| stream.set_write_timeout(Some(REQUEST_DEADLINE)));
    match bounded {
        Ok(()) => Ok(Some(stream)),
        Err(error) => Err(CliError::failed("agent", format!("the login agent cannot be asked: {error}"))),
    }
}

/// That nobody else may enter the directory of the socket; gives whose it is.
fn own_directory(directory: &Path) -> Result<u32, CliError> {
    let metadata = std::fs::metadata(directory)
        .map_err(|error| CliError::failed("agent", format!("{}: {error}", directory.display())))?;
    if metadata.permissions().mode() & 0o077 == 0 {
        return Ok(metadata.uid());
    }
    Err(CliError::failed("readable-by-others", format!("others may enter {}", directory.display()))
        .hint(format!("`chmod 700 {}`, then try again", directory.display())))
}

#[cfg(test)]
mod tests;
