//! `gov officer` and `gov registrar`: a key on its holder's own machine, and the public half to carry to the office.

use std::fs;
use std::path::Path;

use careweave_certs::office_key::{OfficeKey, OfficeKeyError, OfficeRole};
use careweave_certs::private_file;
use careweave_protocol::id::NetworkId;
use careweave_protocol::key::{PublicKey, Signer};
use careweave_protocol::limits::SIGNED_MAX;
use careweave_protocol::signed::Signed;
use serde_json::json;

use super::keys::NewKeys;
use super::office::{OFFICER_FOLDERS, OFFICER_KEY, OFFICER_PUB};
use crate::args::Output;
use crate::args::governance::OfficeKeyArgs;
use crate::cmd::node_init::whole_or_nothing;
use crate::context::Context;
use crate::error::{CliError, exit};
use crate::profile::read_file;

/// Makes the directory.
///
/// # Errors
/// When it exists or the key cannot be made; then nothing of it is left.
pub(super) fn run(role: OfficeRole, args: &OfficeKeyArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let (now, (key_name, public_name)) = (ctx.now(), names(role));
    let keys = NewKeys::new(args.passphrase_file.as_deref(), ctx);
    let public = whole_or_nothing(&args.dir, |fresh| {
        if role == OfficeRole::Officer {
            for folder in OFFICER_FOLDERS {
                private_file::create_dir(&fresh.join(folder))?;
            }
        }
        let key = keys.make(&fresh.join(key_name), args.pkcs11.as_ref(), role.holder())?;
        let signed = OfficeKey::sign(&args.network, role, &key, now)?;
        private_file::create(&fresh.join(public_name), signed.as_bytes())?;
        Ok(key.public_key())
    })?;
    let (hash, carried) = (public.spki_hash(), args.dir.join(public_name));
    match ctx.output {
        Output::Json => ctx.printer.json(&json!({
            "directory": args.dir,
            "network": args.network.as_str(),
            "key": hash.to_string(),
            "file": carried,
        }))?,
        Output::Table => {
            ctx.printer.line(&format!("{:<12}{}", "directory", args.dir.display()))?;
            ctx.printer.line(&format!("{:<12}{hash}", "key hash"))?;
            ctx.note(&format!("next: carry {} to the governance office, and tell them", carried.display()));
            ctx.note("      the key hash by another channel; the private key stays here");
        }
    }
    Ok(exit::DONE)
}

/// Reads the public half that somebody carried here; proves possession of the private half, and nothing about who it was.
///
/// # Errors
/// When it is damaged, or made for another network or office.
pub(super) fn read(path: &Path, network: &NetworkId, role: OfficeRole) -> Result<PublicKey, CliError> {
    let signed = Signed::from_bytes(read_file(path, SIGNED_MAX)?)?;
    let refused = |error: OfficeKeyError| {
        CliError::new(exit::REFUSED, "office-key", format!("{}: {error}", path.display()))
            .hint(format!("it has to be the file ending in .pub that {} made for {network}", role.holder()))
    };
    Ok(OfficeKey::verify(&signed, network, role).map_err(refused)?.key)
}

/// What an officer's own directory says about itself; `None` for an office.
///
/// # Errors
/// When its public half is damaged, or not of the key beside it.
pub(super) fn of_officer(directory: &Path) -> Result<Option<OfficeKey>, CliError> {
    if !directory.join(OFFICER_KEY).exists() {
        return Ok(None);
    }
    let path = directory.join(OFFICER_PUB);
    if fs::metadata(&path).is_err() {
        return Err(CliError::failed("office", format!("{} is gone", path.display()))
            .hint("take it from your copy of this directory, or from the governance office"));
    }
    let signed: Signed<OfficeKey> = Signed::from_bytes(read_file(&path, SIGNED_MAX)?)?;
    let network = signed.unverified()?.network;
    let damaged = |error: OfficeKeyError| CliError::failed("office", format!("{}: {error}", path.display()));
    OfficeKey::verify(&signed, &network, OfficeRole::Officer).map(Some).map_err(damaged)
}

fn names(role: OfficeRole) -> (&'static str, &'static str) {
    match role {
        OfficeRole::Officer => (OFFICER_KEY, OFFICER_PUB),
        OfficeRole::Registrar => ("registrar.key", "registrar.pub"),
    }
}
