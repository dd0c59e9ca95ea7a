//! `careweave staff install`: a credential into its person's profile.

use careweave_certs::trust::{TRUST_MAX, Trust};
use careweave_certs::{keystore, layout, private_file};
use careweave_protocol::identity::StaffCredential;
use careweave_protocol::key::PublicKey;
use careweave_protocol::limits::SIGNED_MAX;
use careweave_protocol::query::Cause;
use careweave_protocol::signed::Signed;
use careweave_protocol::time::Timestamp;
use libp2p::{Multiaddr, multiaddr};
use serde_json::json;

use crate::args::Output;
use crate::args::staff::StaffInstallArgs;
use crate::context::Context;
use crate::error::{CliError, exit};
use crate::profile::{ProfileConfig, read_file};

/// Checks that credential, key and manifest belong together, then writes all of them.
///
/// The employer's signature is checked by their node, and against its certificate at the first connection: a manifest pins
/// the organisation's key by its hash alone.
///
/// # Errors
/// When they do not belong together, or the profile cannot be written.
pub(super) fn run(args: &StaffInstallArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let (directory, now) = (&args.directory, ctx.now());
    let mut config = ProfileConfig::read(directory)?;
    let credential = Signed::<StaffCredential>::from_bytes(read_file(&args.credential, SIGNED_MAX)?)?;
    let claim = credential.unverified()?;
    let own = keystore::public_key_of(&directory.join(layout::STAFF_KEY))?;
    if PublicKey::from(claim.key) != own || claim.person != config.person {
        return Err(CliError::new(exit::REFUSED, "other-person", "the credential is for another person's key")
            .hint("install it in the profile whose staff-request.cbor it answers"));
    }
    let step_up = directory.join(layout::STEP_UP_KEY);
    if let Some(named) = claim.step_up
        && !(step_up.exists() && keystore::public_key_of(&step_up)? == PublicKey::from(named))
    {
        return Err(CliError::new(exit::REFUSED, "other-person", "the credential names another step-up key")
            .hint("install it in the profile whose staff-request.cbor it answers"));
    }
    if now >= claim.not_after {
        return Err(CliError::refused(&Cause::CredentialExpired, "the credential has expired")
            .hint("have it issued again for the same request"));
    }
    let trust = trust(args, now)?;
    if trust.member(&claim.ods).is_none() {
        return Err(CliError::refused(
            &Cause::NotAMember,
            format!("{} is not a member of {}", claim.ods, trust.network()),
        ));
    }
    let desk = args.node_address.clone().or(config.desk).ok_or_else(|| {
        CliError::usage("--node-address is needed the first time").hint("your IT knows it; `node init` printed it")
    })?;
    check_address(&desk)?;
    config.network = Some(trust.network().clone());
    config.organisation = Some(claim.ods.clone());
    config.desk = Some(desk.clone());
    private_file::replace(&directory.join(layout::STAFF_TRUST), &trust.to_bytes()?)?;
    config.write(directory)?;
    // The credential last: with it the profile is complete.
    private_file::replace(&directory.join(layout::STAFF_CREDENTIAL), credential.as_bytes())?;
    match ctx.output {
        Output::Json => ctx.printer.json(&json!({
            "organisation": claim.ods.as_str(),
            "network": trust.network().as_str(),
            "first_manifest": trust.pinned().to_string(),
            "until": claim.not_after.rfc3339(),
            "desk": desk.to_string(),
        }))?,
        Output::Table => {
            ctx.printer.line(&format!("{:<16}{} in {}", "organisation", claim.ods, trust.network()))?;
            ctx.printer.line(&format!("{:<16}{}", "first manifest", trust.pinned()))?;
            ctx.printer.line(&format!("{:<16}{}", "until", claim.not_after.rfc3339()))?;
        }
    }
    Ok(exit::DONE)
}

/// The file that is given, under the pin that is given or held; without one, what the profile believes already.
fn trust(args: &StaffInstallArgs, now: Timestamp) -> Result<Trust, CliError> {
    let held = args.directory.join(layout::STAFF_TRUST);
    let held = if held.exists() { Some(Trust::from_bytes(&read_file(&held, TRUST_MAX)?, now)?) } else { None };
    let pin = args.pin.or(held.as_ref().map(Trust::pinned));
    match (&args.trust, held) {
        (Some(file), held) => {
            let given = Trust::from_bytes(&read_file(file, TRUST_MAX)?, now)?;
            if let Some(pinned) = pin.filter(|pin| *pin != given.pinned()) {
                return Err(careweave_certs::trust::TrustError::OtherPin { shown: given.pinned(), pinned }.into());
            }
            // Never back to an older manifest than was believed before.
            Ok(held.filter(|held| held.version() > given.version()).unwrap_or(given))
        }
        (None, Some(held)) => Ok(held),
        (None, None) => Err(CliError::usage("--trust is needed the first time")
            .hint("take the node's trust/manifest.cbor, or what `gov publish --out` wrote")),
    }
}

fn check_address(desk: &Multiaddr) -> Result<(), CliError> {
    match desk.iter().last() {
        Some(multiaddr::Protocol::P2p(_)) => Ok(()),
        _ => Err(CliError::usage(format!("{desk} does not end in /p2p/ and the node's id"))
            .hint("add /p2p/ and the desk's peer id, as `node init` printed it")),
    }
}
