//! `careweave cert install`: takes in what the governance office sent, or nothing of it.

use std::path::Path;

use careweave_certs::enrolment::{ENROLMENT_MAX, Enrolment};
use careweave_certs::keystore::public_key_of;
use careweave_certs::manifest::Manifest;
use careweave_certs::trust::Trust;
use careweave_certs::{attest, authority, layout, private_file};
use careweave_protocol::cbor;
use careweave_protocol::id::Digest;
use careweave_protocol::key::PublicKey;
use careweave_protocol::query::Cause;
use careweave_protocol::signed::MultiSigned;
use careweave_protocol::time::Timestamp;
use serde_json::json;

use crate::args::Output;
use crate::args::cert::CertInstallArgs;
use crate::cmd::node_init::directory::NodeDirectory;
use crate::context::Context;
use crate::error::{CliError, exit};
use crate::profile::read_file;

/// Which of the organisation's keys a chain is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ForKey {
    /// The one in use.
    Present,
    /// The successor that is prepared.
    Next,
}

pub(super) fn run(args: &CertInstallArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let node = NodeDirectory::open(&args.node)?;
    let enrolment = Enrolment::from_bytes(&read_file(&args.enrolment, ENROLMENT_MAX)?)?;
    place(&node, enrolment, (args.pin, args.next), ctx)
}

/// Verifies an enrolment from the pinned first manifest on, and installs it for use.
///
/// # Errors
/// When anything in it does not verify, or is not for this node; then nothing is changed.
pub(super) fn take_in(
    node: &NodeDirectory,
    enrolment: Enrolment,
    pin: Option<Digest>,
    ctx: &mut Context,
) -> Result<u8, CliError> {
    place(node, enrolment, (pin, false), ctx)
}

/// As [`take_in`]; `next` puts a certificate for the key in use beside the one in use.
fn place(
    node: &NodeDirectory,
    enrolment: Enrolment,
    (pin, next): (Option<Digest>, bool),
    ctx: &mut Context,
) -> Result<u8, CliError> {
    let now = ctx.now();
    if enrolment.network != node.network || enrolment.ods != node.ods {
        return Err(CliError::new(
            exit::REFUSED,
            "other-organisation",
            format!(
                "the enrolment is for {} in {}, the node for {} in {}",
                enrolment.ods, enrolment.network, node.ods, node.network
            ),
        )
        .hint("nothing was changed; ask the governance office for the enrolment of this organisation"));
    }
    let held = node.trust(now)?;
    let (first_time, held_version) = (held.is_none(), held.as_ref().map(Trust::version));
    let trust = followed(held, enrolment.manifests, pin, now)?;
    if *trust.network() != node.network {
        return Err(CliError::refused(&Cause::OtherNetwork, "the manifest is another network's"));
    }
    let endorsement = node.endorsement()?;
    let certificate = trust.verify_chain(&enrolment.chain, endorsement.as_ref(), now).map_err(|c| refused(&c))?;
    if *certificate.ods() != node.ods {
        return Err(refused(&Cause::CertInvalid));
    }
    let for_key = for_key(node, certificate.key())?;
    let waits = for_key == ForKey::Next || next;
    if first_time && waits {
        return Err(CliError::usage("the first certificate cannot wait beside another").hint("leave --next out"));
    }
    if next && for_key == ForKey::Present && node.file(layout::ORGANISATION_KEY_NEXT).exists() {
        return Err(CliError::failed(
            "key-prepared",
            "a next organisation key is prepared, and its certificate has that place",
        )
        .hint("nothing was changed; end that rotation first: `careweave cert rotate --key organisation`"));
    }
    let attested =
        attest::verify_all(&enrolment.attestations, trust.network(), &node.ods, &trust.manifest().registrars);

    let pem = enrolment.chain.iter().map(|der| der.as_slice().into()).collect::<Vec<_>>();
    let chain = node.file(if waits { layout::CHAIN_NEXT } else { layout::CHAIN });
    // The manifest last: while it is missing or old, the node says so rather than run with half of an enrolment.
    private_file::replace(&chain, authority::to_pem(&pem).as_bytes())?;
    private_file::replace(&node.file(layout::ATTESTATIONS), &cbor::to_vec(&enrolment.attestations)?)?;
    // A running node writes the same file: it is touched only when there is news for it.
    if held_version != Some(trust.version()) {
        private_file::replace(&node.file(layout::MANIFEST), &trust.to_bytes()?)?;
    }

    if first_time && pin.is_none() {
        ctx.note("compare the first manifest's digest with the governance office by another channel before you go on");
    }
    for lapse in attest::lapses(&attested, trust.manifest().minimum_standard, now) {
        ctx.note(&format!("warning: {lapse}: the organisation will not be answered until it is attested"));
    }
    tell(node, &trust, (certificate.not_after(), for_key), ctx)?;
    if !first_time {
        ctx.note(match (for_key, waits) {
            (ForKey::Next, _) => {
                "it waits beside the certificate in use; `careweave cert rotate --key organisation` puts key and certificate in use"
            }
            (ForKey::Present, true) => "it waits beside the certificate in use; `careweave cert rotate` puts it in use",
            (ForKey::Present, false) => {
                "a running node takes it into use within 15 s, at once when it is sent SIGHUP; no restart is needed"
            }
        });
    }
    Ok(exit::DONE)
}

/// What the node believed, brought up to date; or, the first time, what the enrolment begins with.
fn followed(
    held: Option<Trust>,
    manifests: Vec<MultiSigned<Manifest>>,
    pin: Option<Digest>,
    now: Timestamp,
) -> Result<Trust, CliError> {
    let Some(mut trust) = held else { return Ok(Trust::from_chain(manifests, pin, now)?) };
    // The whole chain again, from the first manifest that this node has pinned.
    let shown = Trust::from_chain(manifests, Some(pin.unwrap_or(trust.pinned())), now)?;
    for next in shown.manifest_chain_after(trust.version()) {
        trust.advance(next, now)?;
    }
    Ok(trust)
}

/// Which key of this node is certified.
///
/// # Errors
/// When it is none of them: whoever holds that key is not this node.
fn for_key(node: &NodeDirectory, certified: &PublicKey) -> Result<ForKey, CliError> {
    let is = |path: &Path| -> Result<bool, CliError> { Ok(path.exists() && public_key_of(path)? == *certified) };
    if is(&node.file(layout::ORGANISATION_KEY))? {
        Ok(ForKey::Present)
    } else if is(&node.file(layout::ORGANISATION_KEY_NEXT))? {
        Ok(ForKey::Next)
    } else {
        Err(CliError::refused(&Cause::KeyNotPinned, "the certificate is for a key that this node does not have").hint(
            "nothing was changed; send the governance office a request of this node's own: `careweave cert request`",
        ))
    }
}

fn refused(cause: &Cause) -> CliError {
    CliError::refused(cause, format!("every other member would refuse this certificate: {cause}"))
        .hint("nothing was changed; ask the governance office for an enrolment of this node's own request")
}

fn tell(
    node: &NodeDirectory,
    trust: &Trust,
    certified: (Timestamp, ForKey),
    ctx: &mut Context,
) -> Result<(), CliError> {
    let (until, for_key) = certified;
    let key = if for_key == ForKey::Next { "next" } else { "present" };
    if ctx.output == Output::Json {
        return ctx.printer.json(&json!({
            "ods": node.ods.as_str(),
            "manifest_version": trust.version(),
            "first_manifest": trust.pinned().to_string(),
            "certificate_until": until.rfc3339(),
            "key": key,
        }));
    }
    ctx.printer.line(&format!("{:<20}{}", "first manifest", trust.pinned()))?;
    ctx.printer.line(&format!("{:<20}{}", "manifest version", trust.version()))?;
    ctx.printer.line(&format!("{:<20}{}", "certificate until", until.rfc3339()))?;
    ctx.printer.line(&format!("{:<20}{key}", "for the key"))
}
