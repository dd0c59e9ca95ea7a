//! Moving the files of a rotation: at every instant of a crash either the old set or the new one can be started from.
//!
//! The current name is never absent: the old file gets a second name by a hard link, then the new one is renamed over the current name. A
//! marker says that moving has begun; whoever starts and finds it moves the rest.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use careweave_certs::keystore::{self, KeyStoreError, PrivateKey, public_key_of};
use careweave_certs::rotation::{Rotations, Stage};
use careweave_certs::{layout, private_file, revocation};
use careweave_protocol::cbor;
use careweave_protocol::desk::RotationPart;
use careweave_protocol::id::{NetworkId, NodeKey, OdsCode};
use careweave_protocol::identity::{RetiredEndpoint, StaffRevocation};
use careweave_protocol::key::{PublicKey, Signer};
use careweave_protocol::limits::EARLIER_KEYS_MAX;
use careweave_protocol::signed::Signed;
use careweave_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::RotateError;
use crate::own;

/// What the marker says: enough to finish.
#[derive(Serialize, Deserialize)]
struct Activating {
    part: RotationPart,
    stage: Stage,
    network: NetworkId,
    ods: OdsCode,
    at: Timestamp,
}

/// Current name, its successor's, its predecessor's.
type Names = (&'static str, &'static str, &'static str);

const CHAIN: Names = (layout::CHAIN, layout::CHAIN_NEXT, layout::CHAIN_OLD);
const ORGANISATION: Names = (layout::ORGANISATION_KEY, layout::ORGANISATION_KEY_NEXT, layout::ORGANISATION_KEY_OLD);
const PEER: Names = (layout::PEER_KEY, layout::PEER_KEY_NEXT, layout::PEER_KEY_OLD);
/// Node keys remembered for verifying the log: one a year is a lifetime.
const LOG_KEYS_MAX: usize = 64;

fn names(part: RotationPart) -> &'static [Names] {
    match part {
        RotationPart::Certificate => &[CHAIN],
        RotationPart::OrganisationKey => &[ORGANISATION, CHAIN],
        RotationPart::NodeKey => &[PEER],
    }
}

/// Puts the prepared files in the place of those in use, and notes that the overlap has begun.
pub(super) fn activate(
    dir: &Path,
    part: RotationPart,
    stage: Stage,
    (network, ods): (&NetworkId, &OdsCode),
    now: Timestamp,
) -> Result<(), RotateError> {
    let marker = Activating { part, stage, network: network.clone(), ods: ods.clone(), at: now };
    private_file::replace(&dir.join(layout::ACTIVATING), &cbor::to_vec(&marker)?)?;
    finish_activation(dir)
}

/// Moves what a marker says was being moved; nothing where there is none.
///
/// # Errors
/// When a file cannot be moved, read or signed; the marker stays, and the next start tries again.
pub fn finish_activation(dir: &Path) -> Result<(), RotateError> {
    let path = dir.join(layout::ACTIVATING);
    let marker: Activating = match fs::read(&path) {
        Ok(bytes) => cbor::from_own(&bytes)?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(RotateError::Move { path, source }),
    };
    match marker.part {
        RotationPart::OrganisationKey => {
            // Before the old key has another name: credentials stand under it for a while.
            remember::<PublicKey>(dir, layout::EARLIER_KEYS, EARLIER_KEYS_MAX, before(dir, ORGANISATION)?)?;
        }
        RotationPart::NodeKey => {
            let node: Option<NodeKey> = before(dir, PEER)?.and_then(|key| key.node_key());
            remember(dir, layout::LOG_KEYS, LOG_KEYS_MAX, node)?;
        }
        RotationPart::Certificate => {}
    }
    for (current, next, old) in names(marker.part) {
        exchange(&dir.join(current), &dir.join(next), &dir.join(old))?;
    }
    if marker.part == RotationPart::OrganisationKey {
        resign(dir, &marker)?;
    }
    let mut rotations: Rotations = own::rotations(dir)?;
    rotations.0.insert(marker.part, marker.stage);
    keep(dir, &rotations)?;
    remove(&path)
}

/// Destroys what was before; a node key that is refused from `from` on is remembered without its private half.
pub(super) fn retire(dir: &Path, part: RotationPart, from: Timestamp) -> Result<(), RotateError> {
    if part == RotationPart::NodeKey
        && let Some(node) = former_key(dir)
    {
        private_file::replace(&dir.join(layout::RETIRED), &cbor::to_vec(&RetiredEndpoint { node, from })?)?;
    }
    for (_, _, old) in names(part) {
        let path = dir.join(old);
        if !path.exists() {
            continue;
        }
        if *old == layout::CHAIN_OLD {
            remove(&path)?;
        } else {
            match keystore::destroy(&path, None) {
                // Overwritten already, when a crash came in between; its name is all that is left of it.
                Err(KeyStoreError::NotAKey(_) | KeyStoreError::NoSuchObject { .. }) => remove(&path)?,
                destroyed => destroyed?,
            }
        }
    }
    Ok(())
}

/// `None` also where it was overwritten before a crash, and so remembered before that.
fn former_key(dir: &Path) -> Option<NodeKey> {
    public_key_of(&dir.join(layout::PEER_KEY_OLD)).ok()?.node_key()
}

/// Writes where each rotation stands.
pub(super) fn keep(dir: &Path, rotations: &Rotations) -> Result<(), RotateError> {
    Ok(private_file::replace(&dir.join(layout::ROTATIONS), &cbor::to_vec(rotations)?)?)
}

/// The public key that is being replaced: under the current name while nothing has moved, then under the old one.
fn before(dir: &Path, (current, next, old): Names) -> Result<Option<PublicKey>, RotateError> {
    let path = if dir.join(next).exists() { dir.join(current) } else { dir.join(old) };
    if path.exists() { Ok(Some(public_key_of(&path)?)) } else { Ok(None) }
}

fn remember<T: Serialize + serde::de::DeserializeOwned + PartialEq>(
    dir: &Path,
    name: &'static str,
    most: usize,
    one: Option<T>,
) -> Result<(), RotateError> {
    let Some(one) = one else { return Ok(()) };
    let mut held: Vec<T> = own::read_list(dir, name)?;
    held.retain(|other| *other != one);
    held.insert(0, one);
    held.truncate(most);
    Ok(private_file::replace(&dir.join(name), &cbor::to_vec(&held)?)?)
}

fn exchange(current: &Path, next: &Path, old: &Path) -> Result<(), RotateError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| RotateError::Move { path, source }
    };
    // Gone already: this one was moved before the crash.
    if !next.exists() {
        return Ok(());
    }
    match fs::remove_file(old) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(old)(error)),
        _ => {}
    }
    if current.exists() {
        fs::hard_link(current, old).map_err(failed(old))?;
    }
    fs::rename(next, current).map_err(failed(next))?;
    let folder = current.parent().unwrap_or(Path::new("."));
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed(folder))
}

/// The list of revoked credentials under the new key: members believe the old key no longer than the manifest pins it.
fn resign(dir: &Path, marker: &Activating) -> Result<(), RotateError> {
    let path = dir.join(layout::REVOCATION);
    let Ok(bytes) = fs::read(&path) else { return Ok(()) };
    let key = PrivateKey::read(&dir.join(layout::ORGANISATION_KEY), None)?;
    let signed = Signed::<StaffRevocation>::from_bytes(bytes)?;
    if revocation::verify(&signed, &marker.network, &marker.ods, &key.public_key()).is_ok() {
        return Ok(());
    }
    let earlier: Vec<PublicKey> = own::read_list(dir, layout::EARLIER_KEYS)?;
    let verified = earlier.iter().find_map(|key| revocation::verify(&signed, &marker.network, &marker.ods, key).ok());
    // A list that nobody of ours signed is not made ours.
    let Some(held) = verified else { return Ok(()) };
    let list = revocation::issue(&marker.network, &marker.ods, Some(held.get()), &[], &key, marker.at)?;
    Ok(private_file::replace(&path, list.signed().as_bytes())?)
}

fn remove(path: &Path) -> Result<(), RotateError> {
    fs::remove_file(path).map_err(|source| RotateError::Move { path: path.to_owned(), source })
}
