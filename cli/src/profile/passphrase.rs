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
/// With `otherwise` as what to do, when nobody can be asked.
pub fn ask(ctx: &Context, question: &str, otherwise: &str) -> Result<Passphrase, CliError> {
    if !ctx.interactive {
        return Err(CliError::failed("passphrase", "a passphrase is needed and nobody can be asked").hint(otherwise));
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
        None => ask(ctx, question, FILE_HINT),
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
    let first = ask(ctx, question, FILE_HINT)?;
    if ask(ctx, "The same again", FILE_HINT)? == first {
        return Ok(first);
    }
    Err(CliError::usage("the two passphrases differ").hint("run the command again"))
}

/// As [`choose`], for a second key: whoever knows the first passphrase must not know this one.
///
/// # Errors
/// As [`choose`], and when it is the first one again.
pub fn choose_other(
    ctx: &Context,
    file: Option<&Path>,
    question: &str,
    first: &Passphrase,
) -> Result<Passphrase, CliError> {
    let second = choose(ctx, file, question)?;
    if second == *first {
        return Err(CliError::usage("the step-up key needs a passphrase of its own")
            .hint("choose another one: who sees you type the first must not be able to break glass"));
    }
    Ok(second)
}

const FILE_HINT: &str = "run it at a terminal, or name a file with --passphrase-file";
/// A passphrase is a line; longer files are something else.
const PASSPHRASE_FILE_MAX: usize = 1024;
