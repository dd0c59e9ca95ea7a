//! `gov delegate`: gives a node the key of an intermediate, for the enrolment service.

use careweave_certs::authority::to_pem;
use careweave_certs::keystore::{self, KeyForm};
use careweave_certs::{layout, private_file};
use careweave_protocol::limits::SIGNED_MAX;
use careweave_protocol::query::Cause;
use serde_json::json;

use super::authorities::issuing;
use super::office::Office;
use crate::args::Output;
use crate::args::enrol::DelegateArgs;
use crate::cmd::node_init::directory::NodeDirectory;
use crate::context::Context;
use crate::error::{CliError, exit};

/// Writes key and certificate into a node directory. A key in a token stays there: the node gets the reference to it.
///
/// # Errors
/// When the key is not here, the node has another one, or a token would ask the node for a PIN.
pub(super) fn run(args: &DelegateArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let (office, node) = (Office::open(&args.office)?, NodeDirectory::open(&args.node)?);
    let trust = office.published(ctx.now())?;
    if node.network != *trust.network() {
        return Err(CliError::refused(&Cause::OtherNetwork, format!("the node belongs to {}", node.network)));
    }
    let intermediate = issuing(&office, trust.manifest(), args.under.as_ref())?;
    let name = intermediate.key.as_deref().unwrap_or_default();
    let (from, to) = (office.file(name), node.file(layout::AUTHORITY_KEY));
    let held = if to.exists() { Some(keystore::public_key_of(&to)?) } else { None };
    if held.as_ref().is_some_and(|held| *held != intermediate.details.key) {
        return Err(CliError::failed("key", format!("{} is the key of another authority", to.display()))
            .hint("nothing was changed; take it away first, once nothing is issued under it any more"));
    }
    let form = keystore::form_of(&from)?;
    match (held, form) {
        (Some(_), _) => {}
        (None, KeyForm::Token { pin_needed: true }) => {
            return Err(CliError::failed("key", "nobody can be asked for the token's PIN when the node starts")
                .hint("give the reference in the key file a pin-source (RFC 7512)"));
        }
        (None, KeyForm::Token { pin_needed: false }) => {
            private_file::create(&to, &private_file::read(&from, SIGNED_MAX)?)?;
        }
        (None, KeyForm::Plain | KeyForm::Protected) => {
            let key = office.key(name, &format!("the authority {}", intermediate.name), ctx)?.into_software();
            key.ok_or_else(|| CliError::failed("key", "the key is not in a file"))?.write_plain(&to)?;
        }
    }
    let pem = to_pem(&[intermediate.certificate.as_slice().into()]);
    private_file::replace(&node.file(layout::AUTHORITY_CERTIFICATE), pem.as_bytes())?;
    let named = trust.manifest().enrolment.contains(&node.ods);
    match ctx.output {
        Output::Json => ctx.printer.json(&json!({
            "ods": node.ods.as_str(),
            "authority": intermediate.details.digest.to_string(),
            "until": intermediate.details.not_after.rfc3339(),
            "named": named,
        }))?,
        Output::Table => {
            ctx.printer.line(&format!("{:<12}{}", "node of", node.ods))?;
            ctx.printer.line(&format!("{:<12}{}", "authority", intermediate.details.digest))?;
            ctx.printer.line(&format!("{:<12}{}", "until", intermediate.details.not_after.rfc3339()))?;
            if form == KeyForm::Protected {
                ctx.note("warning: the node's copy of the key is under no passphrase; a token would keep it");
            }
            if !named {
                ctx.note(&format!("next: `careweave gov propose --enrolment {}`, then sign and publish", node.ods));
            }
            ctx.note("the node runs the service from its next start");
        }
    }
    Ok(exit::DONE)
}
