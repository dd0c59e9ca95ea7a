//! Who must have signed a manifest: M of the previous version's officers and M of its own (the root rotation rule of The
//! Update Framework, specification 1.0 §5.3.4). The first one needs M of its own and is pinned by whoever starts from it.

use careweave_protocol::id::{Digest, NetworkId};
use careweave_protocol::query::Cause;
use careweave_protocol::signed::{MultiSigned, SignedError};
use thiserror::Error;

use crate::manifest::{Governance, Manifest, ManifestError};

/// A manifest that enough officers have signed, in the bytes it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedManifest {
    manifest: Manifest,
    signed: MultiSigned<Manifest>,
    digest: Digest,
}

/// Why a manifest was not accepted.
#[derive(Debug, Error)]
pub enum QuorumError {
    /// Not of the expected form.
    #[error(transparent)]
    Signed(#[from] SignedError),
    /// Makes no sense in itself.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Another network's.
    #[error("manifest of another network ({shown}, not {expected})")]
    OtherNetwork {
        /// Its network.
        shown: NetworkId,
        /// Ours.
        expected: NetworkId,
    },
    /// Older than the one that is held.
    #[error("MANIFEST_ROLLBACK {shown}<{known}")]
    Rollback {
        /// Its version.
        shown: u64,
        /// The version held.
        known: u64,
    },
    /// Not the next one.
    #[error("MANIFEST_SKIPPED {shown} does not follow {known}; the ones between are missing")]
    Skipped {
        /// Its version.
        shown: u64,
        /// The version held.
        known: u64,
    },
    /// Too few officers of the version before.
    #[error("{signed} of {needed} officers of the previous version have signed")]
    PreviousOfficers {
        /// How many have.
        signed: usize,
        /// How many must.
        needed: u32,
    },
    /// Too few of its own officers.
    #[error("{signed} of {needed} officers of its own have signed")]
    OwnOfficers {
        /// How many have.
        signed: usize,
        /// How many must.
        needed: u32,
    },
}

impl VerifiedManifest {
    /// Verifies a first manifest: M of its own officers. That it is *the* first one is for the caller to know, by
    /// [`VerifiedManifest::digest`] over another channel.
    ///
    /// # Errors
    /// See [`QuorumError`].
    pub fn first(signed: MultiSigned<Manifest>) -> Result<Self, QuorumError> {
        let manifest = signed.unverified()?;
        manifest.check()?;
        check_own(&signed, &manifest)?;
        let digest = signed.statement_digest()?;
        Ok(Self { manifest, signed, digest })
    }

    /// Verifies the manifest that follows this one.
    ///
    /// # Errors
    /// See [`QuorumError`]; one that skips a version is refused whoever signed it.
    pub fn next(&self, signed: MultiSigned<Manifest>) -> Result<Self, QuorumError> {
        let manifest = signed.unverified()?;
        let (shown, known) = (manifest.version, self.manifest.version);
        if manifest.network != self.manifest.network {
            return Err(QuorumError::OtherNetwork { shown: manifest.network, expected: self.manifest.network.clone() });
        }
        if shown <= known {
            return Err(QuorumError::Rollback { shown, known });
        }
        if known.checked_add(1) != Some(shown) {
            return Err(QuorumError::Skipped { shown, known });
        }
        manifest.check()?;
        let (count, met) = count(&signed, &manifest.network, &self.manifest.governance)?;
        if !met {
            return Err(QuorumError::PreviousOfficers { signed: count, needed: self.manifest.governance.threshold });
        }
        check_own(&signed, &manifest)?;
        let digest = signed.statement_digest()?;
        Ok(Self { manifest, signed, digest })
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The bytes it came in.
    #[must_use]
    pub fn signed(&self) -> &MultiSigned<Manifest> {
        &self.signed
    }

    /// SHA-256 of the statement without its signatures: what people compare to pin a first manifest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

impl QuorumError {
    /// The cause to name to whoever showed the manifest.
    #[must_use]
    pub fn cause(&self) -> Cause {
        match self {
            Self::Rollback { shown, known } => Cause::ManifestRollback { shown: *shown, known: *known },
            Self::OtherNetwork { .. } => Cause::OtherNetwork,
            Self::Signed(SignedError::Cbor(_) | SignedError::Form) | Self::Manifest(_) | Self::Skipped { .. } => {
                Cause::Malformed
            }
            Self::Signed(_) | Self::PreviousOfficers { .. } | Self::OwnOfficers { .. } => Cause::SignatureInvalid,
        }
    }
}

fn check_own(signed: &MultiSigned<Manifest>, manifest: &Manifest) -> Result<(), QuorumError> {
    let (count, met) = count(signed, &manifest.network, &manifest.governance)?;
    if met { Ok(()) } else { Err(QuorumError::OwnOfficers { signed: count, needed: manifest.governance.threshold }) }
}

/// How many of these officers have signed, and whether that is enough. A key counts once, however often it signed.
fn count(
    signed: &MultiSigned<Manifest>,
    network: &NetworkId,
    governance: &Governance,
) -> Result<(usize, bool), QuorumError> {
    let count = signed.signers(network, &governance.keys)?.len();
    Ok((count, u32::try_from(count).is_ok_and(|c| c >= governance.threshold)))
}

#[cfg(test)]
mod tests;
