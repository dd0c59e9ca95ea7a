//! Private keys of the office, whether in files or in tokens: made and unlocked in one place, so that no command knows the difference.

use std::cell::OnceCell;
use std::path::Path;

use careweave_certs::keystore::{
    Algorithm, KeyForm, Passphrase, PrivateKey, SoftwareKey, TokenUri, form_of, generate_in_token,
};
use ring::rand::SystemRandom;

use crate::context::Context;
use crate::error::CliError;
use crate::profile::passphrase;

/// Makes keys for one command; every file it makes is under one passphrase, which is asked for once.
pub(super) struct NewKeys<'a> {
    passphrase_file: Option<&'a Path>,
    ctx: &'a Context,
    chosen: OnceCell<Passphrase>,
}

impl<'a> NewKeys<'a> {
    /// With the file that holds passphrase or PIN, where one is named.
    pub(super) fn new(passphrase_file: Option<&'a Path>, ctx: &'a Context) -> Self {
        Self { passphrase_file, ctx, chosen: OnceCell::new() }
    }

    /// Makes a P-256 key: in this token, or in a file under the passphrase. What is at `path` afterwards is read by [`unlock`].
    ///
    /// # Errors
    /// When the file exists, nobody can be asked, or the token says no.
    pub(super) fn make(&self, path: &Path, token: Option<&TokenUri>, whose: &str) -> Result<PrivateKey, CliError> {
        if let Some(uri) = token {
            let pin = if uri.pin_needed() { Some(self.pin(uri, whose)?) } else { None };
            return Ok(generate_in_token(path, uri, pin.as_ref())?);
        }
        let random = SystemRandom::new();
        let key = SoftwareKey::generate(Algorithm::P256, &random)?;
        key.write_protected(path, self.passphrase()?, &random)?;
        Ok(PrivateKey::Software(key))
    }

    fn passphrase(&self) -> Result<&Passphrase, CliError> {
        if let Some(chosen) = self.chosen.get() {
            return Ok(chosen);
        }
        let chosen = passphrase::choose(self.ctx, self.passphrase_file, "Passphrase for the new keys")?;
        Ok(self.chosen.get_or_init(|| chosen))
    }

    fn pin(&self, uri: &TokenUri, whose: &str) -> Result<Passphrase, CliError> {
        passphrase::obtain(self.ctx, self.passphrase_file, &format!("PIN of the token {} for {whose}", uri.token()))
    }
}

/// Unlocks a key file of any form; asks for passphrase or PIN only where one is needed.
///
/// # Errors
/// When it is not here, nobody can be asked, or passphrase or PIN are wrong.
pub(super) fn unlock(
    path: &Path,
    whose: &str,
    passphrase_file: Option<&Path>,
    ctx: &Context,
) -> Result<PrivateKey, CliError> {
    if !path.exists() {
        return Err(CliError::failed("key", format!("the key of {whose} is not here ({})", path.display()))
            .hint("run this where that key is kept, with a copy of the office's other files"));
    }
    let question = match form_of(path)? {
        KeyForm::Protected => Some(format!("Passphrase of {whose}")),
        KeyForm::Token { pin_needed: true } => Some(format!("PIN of the token with the key of {whose}")),
        KeyForm::Token { pin_needed: false } => None,
        KeyForm::Plain => {
            ctx.note(&format!("warning: the key of {whose} is under no passphrase ({})", path.display()));
            None
        }
    };
    let secret = match question {
        Some(question) => Some(passphrase::obtain(ctx, passphrase_file, &question)?),
        None => None,
    };
    Ok(PrivateKey::read(path, secret.as_ref())?)
}
