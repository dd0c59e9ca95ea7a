//! The draft of the next manifest, and `gov admit`. Everything else that changes it is in `propose`.

use std::time::Duration;

use careweave_certs::enrolment::EnrolmentRequest;
use careweave_certs::manifest::{BeaconKey, MANIFEST_LIFE, Manifest, ManifestError, Member, RolloutStage};
use careweave_certs::trust::Trust;
use careweave_protocol::key::PublicKey;
use careweave_protocol::limits::SIGNED_MAX;
use careweave_protocol::signed::{MultiSigned, Signed};
use careweave_protocol::time::Timestamp;
use serde_json::json;

use super::office::Office;
use crate::args::Output;
use crate::args::governance::AdmitArgs;
use crate::context::Context;
use crate::error::{CliError, exit};
use crate::profile::read_file;

/// `gov admit`.
///
/// # Errors
/// When a request does not verify or is another network's.
pub(super) fn admit(args: &AdmitArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let (office, now) = (Office::open(&args.office)?, ctx.now());
    let held = office.trust(now)?;
    let mut manifest = drafted(&office, held.as_ref(), now)?;
    let mut admitted = Vec::new();
    for path in &args.requests {
        let signed = Signed::from_bytes(read_file(path, SIGNED_MAX)?)?;
        let request = EnrolmentRequest::verify(&signed)?.into_inner();
        if request.network != manifest.network {
            return Err(CliError::new(
                exit::REFUSED,
                "other-network",
                format!("{} asks to join {}, not {}", path.display(), request.network, manifest.network),
            ));
        }
        admitted.push((request.ods.clone(), request.key()?.spki_hash()));
        admit_one(&mut manifest, &request, args.stage, args.beacon)?;
    }
    renew(&mut manifest, None, now);
    keep(&office, &manifest)?;
    match ctx.output {
        Output::Json => {
            let admitted: Vec<_> =
                admitted.iter().map(|(ods, key)| json!({"ods": ods.as_str(), "key": key.to_string()})).collect();
            ctx.printer.json(&json!({"version": manifest.version, "admitted": admitted}))?;
        }
        Output::Table => {
            for (ods, key) in &admitted {
                ctx.printer.line(&format!("{ods:<10}organisation key {key}"))?;
            }
            ctx.note("compare each key with what the organisation tells you by another channel");
            ctx.note("next: `gov propose` shows the draft; send draft.cbor to the officers, for `gov sign`");
        }
    }
    Ok(exit::DONE)
}

/// The draft as it stands, or one that changes nothing but version and life.
pub(super) fn drafted(office: &Office, held: Option<&Trust>, now: Timestamp) -> Result<Manifest, CliError> {
    if let Some(draft) = office.draft()? {
        return Ok(draft.unverified()?);
    }
    let mut next = held.map(|trust| trust.manifest().clone()).ok_or_else(|| {
        CliError::failed("draft", "there is neither a manifest nor a draft")
            .hint("`careweave gov init` makes a first draft")
    })?;
    next.version = next.version.saturating_add(1);
    // What was lifted once has run out by the time this could matter again.
    next.lifted.clear();
    renew(&mut next, Some(MANIFEST_LIFE), now);
    Ok(next)
}

/// Somebody new is live unless told; a member stays what it is, in what is not said.
fn admit_one(
    manifest: &mut Manifest,
    request: &EnrolmentRequest,
    stage: Option<RolloutStage>,
    beacon: bool,
) -> Result<(), CliError> {
    let stage = stage.or_else(|| manifest.member(&request.ods).map(|m| m.stage)).unwrap_or(RolloutStage::Live);
    let beacon = beacon || manifest.beacons.iter().any(|b| b.ods == request.ods);
    let mut member = request.member(stage)?;
    match manifest.members.binary_search_by(|m| m.ods.cmp(&member.ods)) {
        Ok(index) => {
            if let Some(held) = manifest.members.get_mut(index) {
                successor(held, &mut member);
                *held = member;
            }
        }
        Err(index) => manifest.members.insert(index, member),
    }
    manifest.beacons.retain(|b| b.ods != request.ods);
    if beacon {
        manifest.beacons.push(BeaconKey { ods: request.ods.clone(), key: PublicKey::from(request.beacon) });
    }
    Ok(())
}

/// A member with a new key keeps the old one until the same request comes again: announced, then in use.
fn successor(held: &Member, fresh: &mut Member) {
    let shown = fresh.key.active;
    if held.key.active == shown {
        fresh.key.next = held.key.next;
    } else if held.key.next != Some(shown) {
        fresh.key.active = held.key.active;
        fresh.key.next = Some(shown);
    }
}

/// A changed draft counts its life from the change, as long as it was meant to be.
pub(super) fn renew(manifest: &mut Manifest, life: Option<Duration>, now: Timestamp) {
    let life = life.unwrap_or_else(|| manifest.expires.since(manifest.issued));
    manifest.issued = now;
    manifest.expires = now.after(life);
}

/// Signatures are over the old words, so a changed draft begins without any.
pub(super) fn keep(office: &Office, manifest: &Manifest) -> Result<(), CliError> {
    manifest.check().map_err(|error: ManifestError| CliError::new(exit::REFUSED, "manifest", error.to_string()))?;
    office.keep_draft(&MultiSigned::draft(manifest)?)
}
