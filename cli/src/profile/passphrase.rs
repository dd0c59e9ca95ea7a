//! Where a passphrase comes from: a file that only its owner can read, or the terminal.

use std::path::Path;

use careweave_certs::keystore::Passphrase;
use careweave_certs::private_file;
use zeroize::Zeroizing;

use crate::context::Context;
use crate::error::CliError;

/// The first line of a file, which others must not be able to read.
///
/// # Errors
/// When they can, or it is no text.
pub fn from_file(path: &Path) -> Result<Passphrase, CliError> {
    let bytes = private_file::read(path, PASSPHRASE_FILE_MAX)?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let text =
        std::str::from_utf8(line).map_err(|_| CliError::failed("passphrase", "the passphrase file is no text"))?;
    Ok(Passphrase::new(Zeroizing::new(text.to_owned())))
}

/// Asks on the terminal; nothing typed is shown.
///
/// # Errors
/// When nobody can be asked.
pub fn ask(ctx: &Context, question: &str) -> Result<Passphrase, CliError> {
    if !ctx.interactive {
        return Err(CliError::failed("passphrase", "a passphrase is needed and nobody can be asked")
            .hint("run `careweave login` first, or name a file with --passphrase-file"));
    }
    let typed = rpassword::prompt_password(format!("{question}: "));
    let typed = typed.map_err(|error| CliError::failed("passphrase", format!("no passphrase was read: {error}")))?;
    Ok(Passphrase::new(Zeroizing::new(typed)))
}

/// The file when one is named, else asks.
///
/// # Errors
/// As [`from_file`] and [`ask`].
pub fn obtain(ctx: &Context, file: Option<&Path>, question: &str) -> Result<Passphrase, CliError> {
    match file {
        Some(file) => from_file(file),
        None => ask(ctx, question),
    }
}

/// A passphrase for a new key: the file when one is named, else asked for twice.
///
/// # Errors
/// As [`obtain`], and when the two differ.
pub fn choose(ctx: &Context, file: Option<&Path>, question: &str) -> Result<Passphrase, CliError> {
    if let Some(file) = file {
        return from_file(file);
    }
    let first = ask(ctx, question)?;
    if ask(ctx, "The same again")? == first {
        return Ok(first);
    }
    Err(CliError::usage("the two passphrases differ").hint("run the command again"))
}

/// A passphrase is a line; longer files are something else.
const PASSPHRASE_FILE_MAX: usize = 1024;
