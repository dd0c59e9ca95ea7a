//! `gov crl`: certificate revocation lists (RFC 5280 §5) for other tools. The network's own nodes need none: for them a certificate ends with
//! the manifest that says so.

use std::path::Path;

use careweave_certs::authority::key_of;
use careweave_certs::manifest::{AuthorityRole, AuthorityState, Manifest};
use careweave_certs::revocation_list::{self, RevocationListError, RevocationReason, RevokedCertificate};
use careweave_certs::trust::Trust;
use careweave_certs::{authority, private_file};
use careweave_protocol::time::Timestamp;
use serde_json::json;

use super::authorities::{Kept, issued, kept};
use super::office::Office;
use crate::args::Output;
use crate::args::governance::CrlArgs;
use crate::context::Context;
use crate::error::{CliError, exit};

/// Writes a list of each authority whose key is here, in DER and in PEM.
///
/// # Errors
/// When no key is here, or a list cannot be made or written.
pub(super) fn run(args: &CrlArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let (office, now) = (Office::open(&args.office)?, ctx.now());
    let mut trust = office.published(now)?;
    for endorsement in office.endorsements()? {
        // What has run out endorses nobody, and its certificates are listed.
        drop(trust.accept_endorsement(&endorsement, now));
    }
    let manifests =
        trust.manifest_chain_after(0).iter().map(|m| Ok(m.unverified()?)).collect::<Result<Vec<_>, CliError>>()?;
    let all = kept(&office)?;
    private_file::create_dir(&args.out)?;
    let mut written = Vec::new();
    for one in &all {
        match &one.key {
            Some(_) if one.details.not_after <= now => ctx.note(&format!("{} has ended; nothing to list", one.name)),
            Some(key) => {
                let revoked = match one.details.role {
                    AuthorityRole::Root => intermediates(one, &manifests, now)?,
                    AuthorityRole::Intermediate => organisations(&office, one, (&trust, &manifests), now)?,
                };
                let number = write(&office, (one, key), &revoked, &args.out, now, ctx)?;
                written.push((one, number, revoked.len()));
            }
            None => ctx.note(&format!("the key of {} is not here: no list", one.name)),
        }
    }
    if written.is_empty() {
        return Err(CliError::failed("key", "the key of no authority is here").hint("run this where they are kept"));
    }
    if ctx.output == Output::Json {
        let lists: Vec<_> = written
            .iter()
            .map(|(one, number, count)| {
                let file = args.out.join(format!("{}.crl", one.name));
                json!({"authority": one.name, "digest": one.details.digest.to_string(), "number": number, "revoked": count, "file": file})
            })
            .collect();
        ctx.printer.json(&lists)?;
        return Ok(exit::DONE);
    }
    let rows = written.iter().map(|(one, number, count)| vec![one.name.clone(), number.to_string(), count.to_string()]);
    ctx.printer.table(&["AUTHORITY", "LIST", "REVOKED"], &rows.collect::<Vec<_>>())?;
    Ok(exit::DONE)
}

/// Signs and writes one list, and gives its number.
fn write(
    office: &Office,
    authority: (&Kept, &str),
    revoked: &[RevokedCertificate],
    out: &Path,
    now: Timestamp,
    ctx: &Context,
) -> Result<u64, CliError> {
    let (one, key) = authority;
    let key = office.key(key, &format!("the authority {}", one.name), ctx)?;
    let issuer = Office::issuer(&one.certificate, &key)?;
    let number = office.next_list_number(&one.name)?;
    let list = revocation_list::issue(&issuer, revoked, number, now).map_err(|error| failed(&error))?;
    // The number first: one that is used twice would be worse than one that is left out.
    office.keep_list_number(&one.name, number)?;
    private_file::replace(&out.join(format!("{}.crl", one.name)), list.der())?;
    private_file::replace(&out.join(format!("{}.crl.pem", one.name)), list.pem().as_bytes())?;
    Ok(number)
}

/// Intermediates of this root that were in a manifest and are tainted or gone.
fn intermediates(root: &Kept, manifests: &[Manifest], now: Timestamp) -> Result<Vec<RevokedCertificate>, CliError> {
    let mut certificates: Vec<&[u8]> = Vec::new();
    for known in manifests.iter().flat_map(|m| &m.authorities).filter(|a| a.role == AuthorityRole::Intermediate) {
        if !certificates.contains(&known.certificate.as_slice()) {
            certificates.push(&known.certificate);
        }
    }
    let mut revoked = Vec::new();
    for certificate in certificates.into_iter().filter(|c| authority::is_issued_by(c, &root.certificate)) {
        let state = |m: &Manifest| m.authorities.iter().find(|a| *a.certificate == *certificate).map(|a| a.state);
        let tainted = manifests.iter().any(|m| state(m) == Some(AuthorityState::Tainted));
        let accepted = |m: &Manifest| state(m).is_some_and(|state| state != AuthorityState::Tainted);
        let reason = if tainted { RevocationReason::CaCompromise } else { RevocationReason::Superseded };
        if let Some(at) = ended(manifests, accepted) {
            revoked.push(entry(certificate, reason, at.min(now))?);
        }
    }
    Ok(revoked)
}

/// Organisation certificates that this intermediate has issued, that still run, and that nobody would accept: the member is gone, or its key
/// is neither pinned nor endorsed any more.
fn organisations(
    office: &Office,
    intermediate: &Kept,
    known: (&Trust, &[Manifest]),
    now: Timestamp,
) -> Result<Vec<RevokedCertificate>, CliError> {
    let (trust, manifests) = known;
    let mut revoked = Vec::new();
    for (ods, end, certificate) in issued(office)? {
        if end <= now || !authority::is_issued_by(&certificate, &intermediate.certificate) {
            continue;
        }
        let spki = key_of(&certificate)?.spki_hash();
        if trust.accepts_key(&ods, &spki, now) {
            continue;
        }
        let reason = match trust.member(&ods) {
            None => RevocationReason::CessationOfOperation,
            Some(_) => RevocationReason::Superseded,
        };
        let accepted = |m: &Manifest| m.member(&ods).is_some_and(|member| member.key.accepts(&spki));
        revoked.push(entry(&certificate, reason, ended(manifests, accepted).unwrap_or(now).min(now))?);
    }
    Ok(revoked)
}

/// When the last manifest that accepted something was followed by one that did not; `None` where the newest accepts it.
fn ended(manifests: &[Manifest], accepted: impl Fn(&Manifest) -> bool) -> Option<Timestamp> {
    manifests.iter().rev().take_while(|m| !accepted(m)).last().map(|m| m.issued)
}

fn entry(certificate: &[u8], reason: RevocationReason, at: Timestamp) -> Result<RevokedCertificate, CliError> {
    RevokedCertificate::certificate(certificate, reason, at).map_err(|error| failed(&error))
}

fn failed(error: &RevocationListError) -> CliError {
    CliError::failed("crl", error.to_string())
}
