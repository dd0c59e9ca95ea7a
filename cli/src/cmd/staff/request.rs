//! `careweave staff request`: a person's two keys and the request for a credential, in a new profile.

use careweave_certs::keystore::{Algorithm, Passphrase, SoftwareKey};
use careweave_certs::staff::StaffRequest;
use careweave_certs::{layout, private_file};
use careweave_protocol::key::Signer;
use ring::rand::SystemRandom;
use serde_json::json;

use crate::args::Output;
use crate::args::staff::StaffRequestArgs;
use crate::context::Context;
use crate::error::{CliError, exit};
use crate::profile::{ProfileConfig, passphrase, relative};

/// Makes the keys, and signs the request with both.
///
/// # Errors
/// When the directory holds a key already, a passphrase will not do, or something cannot be written.
pub(super) fn run(args: &StaffRequestArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let directory = &args.directory;
    if directory.join(layout::STAFF_KEY).exists() {
        return Err(CliError::failed("exists", format!("{} holds a key already", directory.display()))
            .hint("nothing was changed; its staff-request.cbor serves for a renewal as well"));
    }
    let first = passphrase::choose(ctx, args.passphrase_file.as_deref(), "Passphrase for your new staff key")?;
    let second = second_passphrase(args, &first, ctx)?;
    let key = SoftwareKey::generate(Algorithm::Ed25519, &SystemRandom::new())?;
    let step_up = match second {
        Some(passphrase) => Some((SoftwareKey::generate(Algorithm::Ed25519, &SystemRandom::new())?, passphrase)),
        None => None,
    };
    let second_key = step_up.as_ref().map(|(key, _)| key as &dyn Signer);
    let request = StaffRequest::create(args.person.clone(), &args.name, &key, second_key)?;
    private_file::create_dir(directory)?;
    let named = |file: &Option<std::path::PathBuf>| file.as_ref().map(|file| relative(directory, file)).transpose();
    let config = ProfileConfig {
        person: args.person.clone(),
        passphrase_file: named(&args.passphrase_file)?,
        step_up_passphrase_file: named(&args.step_up_passphrase_file)?,
        network: None,
        organisation: None,
        desk: None,
    };
    config.write(directory)?;
    private_file::replace(&directory.join(layout::STAFF_REQUEST), request.as_bytes())?;
    if let Some((step_up, passphrase)) = &step_up {
        let path = directory.join(layout::STEP_UP_KEY);
        // Left by a run that was broken off: the request above no longer speaks of it.
        if path.exists() {
            std::fs::remove_file(&path).map_err(|error| {
                CliError::failed("file", format!("{}: {error}", path.display()))
                    .hint("check the path, and that it is yours to read and write")
            })?;
        }
        step_up.write_protected(&path, passphrase, &SystemRandom::new())?;
    }
    // The key last: while it is missing, the command can simply be run again.
    key.write_protected(&directory.join(layout::STAFF_KEY), &first, &SystemRandom::new())?;

    let path = directory.join(layout::STAFF_REQUEST);
    let [key, step_up] = [Some(&key), step_up.as_ref().map(|(key, _)| key)]
        .map(|key| key.map(|key| key.public_key().spki_hash().to_string()));
    match ctx.output {
        Output::Json => {
            ctx.printer
                .json(&json!({"person": args.person.as_str(), "request": path, "key": key, "step_up_key": step_up}))?;
        }
        Output::Table => {
            ctx.printer.line(&format!("{:<13}{}", "request", path.display()))?;
            ctx.printer.line(&format!("{:<13}{}", "key", key.unwrap_or_default()))?;
            ctx.printer.line(&format!("{:<13}{}", "step-up key", step_up.as_deref().unwrap_or("none")))?;
            ctx.note("next: hand the request to whoever issues credentials in your organisation");
        }
    }
    if step_up.is_none() && !args.no_step_up {
        ctx.note("no step-up key was made, so this person cannot break glass: --step-up-passphrase-file makes one");
    }
    Ok(exit::DONE)
}

/// The passphrase of the step-up key; `None` where none is wanted, and where automation names none.
fn second_passphrase(
    args: &StaffRequestArgs,
    first: &Passphrase,
    ctx: &Context,
) -> Result<Option<Passphrase>, CliError> {
    let file = args.step_up_passphrase_file.as_deref();
    if args.no_step_up || (file.is_none() && !ctx.interactive) {
        return Ok(None);
    }
    if file.is_none() {
        ctx.note("A second passphrase protects your step-up key, which opens records by break-glass.");
    }
    passphrase::choose_other(ctx, file, "Another passphrase, for your step-up key", first).map(Some)
}
