//! `careweave cert`: the organisation's certificate, and every end that is coming.

use careweave_certs::enrolment::{ENROLMENT_MAX, Enrolment};
use careweave_certs::trust::Trust;
use careweave_certs::{attest, authority, chain, layout, private_file};
use careweave_protocol::cbor;
use careweave_protocol::identity::{Attestation, Standard};
use careweave_protocol::key::Signer;
use careweave_protocol::limits::SIGNED_MAX;
use careweave_protocol::query::Cause;
use careweave_protocol::signed::{MultiSigned, Signed};
use careweave_protocol::time::Timestamp;
use serde_json::json;

use crate::args::Output;
use crate::args::cert::{CertCommand, CertInstallArgs, CertStatusArgs};
use crate::cmd::node_init::directory::NodeDirectory;
use crate::context::Context;
use crate::error::{CliError, exit};
use crate::profile::read_file;

/// `careweave cert`.
///
/// # Errors
/// Whatever the command ends with.
pub fn run(command: &CertCommand, ctx: &mut Context) -> Result<u8, CliError> {
    match command {
        CertCommand::Install(args) => install(args, ctx),
        CertCommand::Status(args) => status(args, ctx),
    }
}

/// One end that is coming.
#[derive(Debug, Clone, PartialEq, Eq)]
struct End {
    what: String,
    at: Timestamp,
}

fn install(args: &CertInstallArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let (node, now) = (NodeDirectory::open(&args.node)?, ctx.now());
    let enrolment = Enrolment::from_bytes(&read_file(&args.enrolment, ENROLMENT_MAX)?)?;
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
    let first_time = !node.file(layout::MANIFEST).exists();
    let trust = followed(node.trust(now)?, enrolment.manifests, args, now)?;
    if *trust.network() != node.network {
        return Err(CliError::refused(&Cause::OtherNetwork, "the manifest is another network's"));
    }
    let refused = |cause: Cause| {
        CliError::refused(&cause, format!("every other member would refuse this certificate: {cause}"))
            .hint("ask the governance office for an enrolment of this node's own request")
    };
    let certificate = chain::verify(&enrolment.chain, trust.manifest(), now).map_err(refused)?;
    if *certificate.key() != node.organisation_key()?.public_key() || *certificate.ods() != node.ods {
        return Err(refused(Cause::KeyNotPinned));
    }
    let attested =
        attest::verify_all(&enrolment.attestations, trust.network(), &node.ods, &trust.manifest().registrars);
    let pem = enrolment.chain.iter().map(|der| der.as_slice().into()).collect::<Vec<_>>();
    // The manifest last: while it is missing or old, the node says so rather than run with half of an enrolment.
    private_file::replace(&node.file(layout::CHAIN), authority::to_pem(&pem).as_bytes())?;
    private_file::replace(&node.file(layout::ATTESTATIONS), &cbor::to_vec(&enrolment.attestations)?)?;
    private_file::replace(&node.file(layout::MANIFEST), &trust.to_bytes()?)?;

    if first_time && args.pin.is_none() {
        ctx.note("compare the first manifest's digest with the governance office by another channel before you go on");
    }
    for lapse in attest::lapses(&attested, now) {
        ctx.note(&format!("warning: {lapse}: the organisation will not be answered until it is attested"));
    }
    match ctx.output {
        Output::Json => ctx.printer.json(&json!({
            "ods": node.ods.as_str(),
            "manifest_version": trust.version(),
            "first_manifest": trust.pinned().to_string(),
            "certificate_until": certificate.not_after().rfc3339(),
        }))?,
        Output::Table => {
            ctx.printer.line(&format!("{:<20}{}", "first manifest", trust.pinned()))?;
            ctx.printer.line(&format!("{:<20}{}", "manifest version", trust.version()))?;
            ctx.printer.line(&format!("{:<20}{}", "certificate until", certificate.not_after().rfc3339()))?;
        }
    }
    Ok(exit::DONE)
}

/// What the node believed, brought up to date; or, the first time, what the enrolment begins with.
fn followed(
    held: Option<Trust>,
    manifests: Vec<MultiSigned<careweave_certs::manifest::Manifest>>,
    args: &CertInstallArgs,
    now: Timestamp,
) -> Result<Trust, CliError> {
    let Some(mut trust) = held else { return Ok(Trust::from_chain(manifests, args.pin, now)?) };
    // The whole chain again, from the first manifest that this node has pinned.
    let shown = Trust::from_chain(manifests, Some(args.pin.unwrap_or(trust.pinned())), now)?;
    for next in shown.manifest_chain_after(trust.version()) {
        trust.advance(next, now)?;
    }
    Ok(trust)
}

fn status(args: &CertStatusArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let (node, now) = (NodeDirectory::open(&args.node)?, ctx.now());
    let Some(trust) = node.trust(now)? else {
        return Err(CliError::failed("not-enrolled", "the node has no certificate yet")
            .hint("send its enrolment-request.cbor to the governance office, then `careweave cert install`"));
    };
    let shown = chain::from_pem(&read_file(&node.file(layout::CHAIN), SIGNED_MAX)?)
        .map_err(|error| CliError::failed("file", error.to_string()).hint("install the enrolment again"))?;
    let attestations: Vec<Signed<Attestation>> =
        cbor::from_slice(&read_file(&node.file(layout::ATTESTATIONS), SIGNED_MAX)?, SIGNED_MAX)?;
    let attested = attest::verify_all(&attestations, trust.network(), &node.ods, &trust.manifest().registrars);

    let mut refusals: Vec<Cause> = attest::lapses(&attested, now);
    let mut ends = vec![End { what: "manifest".to_owned(), at: trust.manifest().expires }];
    match chain::verify(&shown, trust.manifest(), now) {
        Ok(certificate) => ends.push(End { what: "certificate".to_owned(), at: certificate.not_after() }),
        Err(cause) => refusals.insert(0, cause),
    }
    if trust.is_suspended(&node.ods, None, now) {
        refusals.insert(0, Cause::Suspended);
    }
    if now >= trust.manifest().expires {
        refusals.push(Cause::ManifestExpired);
    }
    for standard in Standard::REQUIRED {
        let of_this = attested.iter().map(|a| a.get()).filter(|a| a.standard == standard);
        if let Some(last) = of_this.map(|a| a.expires).max() {
            ends.push(End { what: standard.as_str().to_owned(), at: last.plus_days(1).start() });
        }
    }
    show(&node, &trust, (&ends, &refusals), now, ctx)?;
    let near = ends.iter().any(|end| warning(end.at, now).is_some());
    Ok(match (refusals.is_empty(), near) {
        (false, _) => exit::NOT_ELIGIBLE,
        (true, true) => exit::PARTIAL,
        (true, false) => exit::DONE,
    })
}

fn show(
    node: &NodeDirectory,
    trust: &Trust,
    found: (&[End], &[Cause]),
    now: Timestamp,
    ctx: &mut Context,
) -> Result<(), CliError> {
    let (ends, refusals) = found;
    let days = |end: &End| end.at.0.saturating_sub(now.0).div_euclid(DAY_MILLISECONDS);
    if ctx.output == Output::Json {
        let ends: Vec<_> = ends
            .iter()
            .map(|end| {
                json!({"what": end.what, "until": end.at.rfc3339(), "days": days(end), "warning": warning(end.at, now)})
            })
            .collect();
        return ctx.printer.json(&json!({
            "ods": node.ods.as_str(),
            "manifest_version": trust.version(),
            "first_manifest": trust.pinned().to_string(),
            "ends": ends,
            "refused": refusals.iter().map(Cause::to_string).collect::<Vec<_>>(),
        }));
    }
    let rows: Vec<Vec<String>> = ends
        .iter()
        .map(|end| {
            let (left, note) = match warning(end.at, now) {
                _ if end.at <= now => ("none".to_owned(), "ENDED".to_owned()),
                Some(limit) => (format!("{} d", days(end)), format!("within {limit} d")),
                None => (format!("{} d", days(end)), String::new()),
            };
            vec![end.what.clone(), end.at.rfc3339(), left, note]
        })
        .collect();
    ctx.printer.table(&["WHAT", "UNTIL", "LEFT", "WARNING"], &rows)?;
    for cause in refusals {
        ctx.printer.line(&format!("refused by others: {cause}"))?;
    }
    Ok(())
}

/// The tightest of the warning limits, in days, that an end has come within.
fn warning(at: Timestamp, now: Timestamp) -> Option<i64> {
    let left = at.0.saturating_sub(now.0);
    WARNING_DAYS.into_iter().find(|days| left <= days.saturating_mul(DAY_MILLISECONDS))
}

const DAY_MILLISECONDS: i64 = 24 * 3600 * 1000;
/// Days before an end from which on it is warned of, tightest first.
const WARNING_DAYS: [i64; 4] = [1, 7, 14, 30];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_tighten_as_an_end_comes_nearer() {
        for (days, wanted) in
            [(31, None), (30, Some(30)), (15, Some(30)), (14, Some(14)), (7, Some(7)), (1, Some(1)), (-3, Some(1))]
        {
            assert_eq!(warning(Timestamp(days * DAY_MILLISECONDS), Timestamp(0)), wanted, "{days}");
        }
    }
}
