//! Members, beacons, enrolment services, suspensions.

use careweave_certs::enrolment::EnrolmentRequest;
use careweave_certs::manifest::{BeaconKey, Manifest, Suspension};
use careweave_protocol::id::{Digest, NodeKey, OdsCode};
use careweave_protocol::key::PublicKey;
use careweave_protocol::limits::SIGNED_MAX;
use careweave_protocol::signed::Signed;

use super::super::authorities::resolve;
use super::super::office::Office;
use crate::args::governance::{HashPrefix, ProposeArgs};
use crate::args::values::peer_id;
use crate::error::{CliError, exit};
use crate::profile::read_file;

/// What the arguments ask of members and suspensions.
pub(super) fn edit(
    office: &Office,
    manifest: &mut Manifest,
    args: &ProposeArgs,
    notes: &mut Vec<String>,
) -> Result<(), CliError> {
    for ods in &args.removed {
        remove(manifest, ods)?;
        notes.push(format!("{ods} leaves: `gov crl` lists its certificates once this is published"));
    }
    for (ods, stage) in &args.stages {
        let index = manifest.members.iter().position(|m| m.ods == *ods);
        let member = index.and_then(|index| manifest.members.get_mut(index)).ok_or_else(|| not_a_member(ods))?;
        member.stage = *stage;
    }
    for ods in &args.beacons_out {
        let held = manifest.beacons.len();
        manifest.beacons.retain(|b| b.ods != *ods);
        if manifest.beacons.len() == held {
            return Err(CliError::usage(format!("{ods} signs no beacons")));
        }
    }
    for (ods, given) in &args.beacons {
        let key = PublicKey::from(beacon_key(manifest, ods, given)?);
        manifest.beacons.retain(|b| b.ods != *ods);
        manifest.beacons.push(BeaconKey { ods: ods.clone(), key });
    }
    for ods in &args.enrolment_out {
        if !manifest.enrolment.contains(ods) {
            return Err(CliError::usage(format!("{ods} runs no enrolment service")));
        }
        manifest.enrolment.retain(|held| held != ods);
    }
    for ods in &args.enrolment {
        manifest.member(ods).ok_or_else(|| not_a_member(ods))?;
        if let Err(index) = manifest.enrolment.binary_search(ods) {
            manifest.enrolment.insert(index, ods.clone());
        }
    }
    suspensions(office, manifest, args)
}

fn suspensions(office: &Office, manifest: &mut Manifest, args: &ProposeArgs) -> Result<(), CliError> {
    let known = office.suspensions()?;
    for prefix in &args.confirmed {
        let (_, suspension) = find(manifest, &known, prefix)?;
        if !manifest.suspended.contains(&suspension) {
            manifest.suspended.push(suspension);
        }
    }
    for prefix in &args.lifted {
        let (digest, suspension) = find(manifest, &known, prefix)?;
        manifest.suspended.retain(|s| *s != suspension);
        if !manifest.lifted.contains(&digest) {
            manifest.lifted.push(digest);
        }
    }
    Ok(())
}

/// A suspension that is kept here, or that the manifest confirms.
fn find(
    manifest: &Manifest,
    known: &[Signed<Suspension>],
    prefix: &HashPrefix,
) -> Result<(Digest, Suspension), CliError> {
    let mut all: Vec<(Digest, Suspension)> = Vec::new();
    let here = known.iter().map(|signed| Ok(signed.unverified()?)).collect::<Result<Vec<_>, CliError>>()?;
    for suspension in here.into_iter().chain(manifest.suspended.iter().cloned()) {
        let digest = suspension.digest()?;
        if all.iter().all(|(held, _)| *held != digest) {
            all.push((digest, suspension));
        }
    }
    resolve(prefix, all.into_iter().map(|(digest, suspension)| (digest, (digest, suspension))), "suspension here")
}

fn remove(manifest: &mut Manifest, ods: &OdsCode) -> Result<(), CliError> {
    manifest.member(ods).ok_or_else(|| not_a_member(ods))?;
    manifest.members.retain(|m| m.ods != *ods);
    manifest.beacons.retain(|b| b.ods != *ods);
    manifest.enrolment.retain(|held| held != ods);
    manifest.witnesses.retain(|w| w.ods != *ods);
    manifest.witnesses.iter_mut().for_each(|w| w.witnesses.retain(|witness| witness != ods));
    Ok(())
}

/// The key of a PeerId, or the beacon key of a member's own enrolment request, signed with a key that the manifest pins.
fn beacon_key(manifest: &Manifest, ods: &OdsCode, given: &str) -> Result<NodeKey, CliError> {
    let member = manifest.member(ods).ok_or_else(|| not_a_member(ods))?;
    if let Ok(key) = peer_id(given) {
        return Ok(key);
    }
    let signed = Signed::from_bytes(read_file(given.as_ref(), SIGNED_MAX)?)?;
    let request = EnrolmentRequest::verify(&signed)?.into_inner();
    let own =
        request.ods == *ods && request.network == manifest.network && member.key.accepts(&request.key()?.spki_hash());
    if own {
        return Ok(request.beacon);
    }
    Err(CliError::new(exit::REFUSED, "other-organisation", format!("{given} is not a request of {ods}'s own key"))
        .hint("give the enrolment-request.cbor of that member's node, or the PeerId of its beacon key"))
}

fn not_a_member(ods: &OdsCode) -> CliError {
    CliError::usage(format!("{ods} is not a member")).hint("`careweave gov show` lists the members")
}
