//! Officers, their threshold, and registrars.

use careweave_certs::manifest::Manifest;
use careweave_certs::office_key::OfficeRole;
use careweave_protocol::key::PublicKey;
use careweave_protocol::signed::Scope;

use super::super::authorities::resolve;
use super::super::office::Office;
use super::super::office_keys;
use crate::args::governance::{OfficerName, ProposeArgs};
use crate::error::{CliError, exit};

/// What the arguments ask of officers and registrars.
pub(super) fn edit(
    office: &Office,
    manifest: &mut Manifest,
    args: &ProposeArgs,
    notes: &mut Vec<String>,
) -> Result<(), CliError> {
    // All names first: numbers are those of the list as it was read.
    let mut leaving = Vec::new();
    for name in &args.officers_out {
        leaving.push(officer(office, manifest, name)?);
    }
    manifest.governance.keys.retain(|key| !leaving.contains(key));
    for path in &args.officers_in {
        let key = office_keys::read(path, &manifest.network, OfficeRole::Officer)?;
        if leaving.contains(&key) || manifest.governance.keys.contains(&key) {
            return Err(CliError::usage(format!("{} is an officer's key already", path.display()))
                .hint("an officer who changes their key makes a new directory with `gov officer`"));
        }
        notes.push(format!("compare the key hash {} with its officer by another channel", key.spki_hash()));
        manifest.governance.keys.push(key);
    }
    manifest.governance.threshold = args.threshold.unwrap_or(manifest.governance.threshold);
    let count = manifest.governance.keys.len();
    if usize::try_from(manifest.governance.threshold).map_or(true, |threshold| threshold > count) {
        return Err(CliError::new(
            exit::REFUSED,
            "manifest",
            format!("{count} officers cannot make {} sign", manifest.governance.threshold),
        )
        .hint("give --threshold as well, or bring another officer in with --officer-in"));
    }
    registrars(office, manifest, args, notes)
}

/// By the key's hash, or by the place in the list. In an office that keeps officers' keys under numbers of their own the two may differ, and
/// guessing would remove somebody else.
fn officer(office: &Office, manifest: &Manifest, name: &OfficerName) -> Result<PublicKey, CliError> {
    let number = match name {
        OfficerName::Hash(prefix) => {
            let officers = manifest.governance.keys.iter().map(|key| (key.spki_hash(), key.clone()));
            return resolve(prefix, officers, "officer");
        }
        OfficerName::Number(number) => *number,
    };
    let listed = number.checked_sub(1).and_then(|index| manifest.governance.keys.get(index)).ok_or_else(|| {
        CliError::usage(format!("there is no officer {number}")).hint("`careweave gov show` lists them with their keys")
    })?;
    let numbered = u32::try_from(number).map(|number| office.file(&Office::officer(number))).ok();
    match numbered.filter(|path| path.exists()) {
        Some(path) if careweave_certs::keystore::public_key_of(&path)? != *listed => {
            Err(CliError::usage(format!("officer {number} of the manifest is not the one of {}", path.display()))
                .hint("name the officer by the hash of their key; `careweave gov show` lists them"))
        }
        _ => Ok(listed.clone()),
    }
}

fn registrars(
    office: &Office,
    manifest: &mut Manifest,
    args: &ProposeArgs,
    notes: &mut Vec<String>,
) -> Result<(), CliError> {
    for path in &args.registrars_in {
        let key = office_keys::read(path, &manifest.network, OfficeRole::Registrar)?;
        if !manifest.registrars.contains(&key) {
            notes.push(format!("compare the key hash {} with the registrar by another channel", key.spki_hash()));
            manifest.registrars.push(key);
        }
    }
    for prefix in &args.registrars_out {
        let known = manifest.registrars.iter().map(|key| (key.spki_hash(), key.clone()));
        let leaving = resolve(prefix, known, "registrar")?;
        manifest.registrars.retain(|key| *key != leaving);
        let void = attested_by(office, manifest, &leaving)?;
        if !void.is_empty() {
            notes.push(format!("their attestations count no longer; attest and issue again first: {}", void.join(" ")));
        }
    }
    if manifest.registrars.is_empty() {
        return Err(CliError::new(exit::REFUSED, "manifest", "nobody would be left to attest")
            .hint("bring another registrar in with --registrar-in"));
    }
    Ok(())
}

/// Members with an attestation by this registrar.
fn attested_by(office: &Office, manifest: &Manifest, registrar: &PublicKey) -> Result<Vec<String>, CliError> {
    let scope = Scope::network(&manifest.network);
    let mut members = Vec::new();
    for member in &manifest.members {
        if office.attestations(&member.ods)?.iter().any(|a| a.verify(scope, registrar).is_ok()) {
            members.push(member.ods.to_string());
        }
    }
    Ok(members)
}
