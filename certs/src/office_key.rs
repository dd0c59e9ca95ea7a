//! What an officer or a registrar hands the governance office: their public key, signed with the private one. The private key stays on
//! their own machine.
//!
//! It proves that whoever made the file holds the key, for one network and one office. *Whose* key it is, people have to find out: the
//! hash is compared by another channel before it goes into a draft.

use careweave_protocol::id::NetworkId;
use careweave_protocol::key::{PublicKey, Signer};
use careweave_protocol::signed::{Document, Scope, Signed, SignedError};
use careweave_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// COSE_Sign1 by `key` itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfficeKey {
    /// The network it is made for.
    pub network: NetworkId,
    /// What it signs there.
    pub office: OfficeRole,
    /// The public key, P-256.
    pub key: PublicKey,
    /// When it was made.
    pub issued: Timestamp,
}

/// What a key of the governance office signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OfficeRole {
    /// Manifests and suspensions.
    Officer,
    /// Attestations.
    Registrar,
}

/// Why a public office key was not accepted.
#[derive(Debug, Error)]
pub enum OfficeKeyError {
    /// Not one, or not signed with the key inside.
    #[error(transparent)]
    Signed(#[from] SignedError),
    /// Made for another network.
    #[error("it is made for the network {0}")]
    OtherNetwork(NetworkId),
    /// Made for another office.
    #[error("it is the key of {0}")]
    OtherOffice(&'static str),
    /// Officers and registrars sign with P-256.
    #[error("it is not a P-256 key")]
    Algorithm,
}

impl Document for OfficeKey {
    const CONTEXT: &'static str = "careweave office key 1";
}

impl OfficeKey {
    /// States the public half of a key, signed with it.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn sign(
        network: &NetworkId,
        office: OfficeRole,
        key: &dyn Signer,
        now: Timestamp,
    ) -> Result<Signed<Self>, SignedError> {
        let statement = Self { network: network.clone(), office, key: key.public_key(), issued: now };
        Ok(Signed::sign(&statement, Scope::network(network), key)?.into_signed())
    }

    /// Verifies that whoever made it holds the key, for this network and office.
    ///
    /// # Errors
    /// See [`OfficeKeyError`].
    pub fn verify(signed: &Signed<Self>, network: &NetworkId, office: OfficeRole) -> Result<Self, OfficeKeyError> {
        let claim = signed.unverified()?;
        if claim.network != *network {
            return Err(OfficeKeyError::OtherNetwork(claim.network));
        }
        if claim.office != office {
            return Err(OfficeKeyError::OtherOffice(claim.office.holder()));
        }
        if !matches!(claim.key, PublicKey::P256(_)) {
            return Err(OfficeKeyError::Algorithm);
        }
        Ok(signed.verify(Scope::network(network), &claim.key)?.into_inner())
    }
}

impl OfficeRole {
    /// Who holds such a key, with the article.
    #[must_use]
    pub fn holder(self) -> &'static str {
        match self {
            Self::Officer => "an officer",
            Self::Registrar => "a registrar",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keystore::Algorithm;
    use crate::keystore::tests::key;

    const NOW: Timestamp = Timestamp(1_793_628_600_000);

    #[test]
    fn a_public_key_is_accepted_for_its_own_network_and_office_and_only_from_its_holder() {
        let (orchard, other): (NetworkId, NetworkId) = ("orchard".parse().unwrap(), "other".parse().unwrap());
        let (own, stranger) = (key(Algorithm::P256), key(Algorithm::P256));
        let signed = OfficeKey::sign(&orchard, OfficeRole::Officer, &own, NOW).unwrap();
        assert_eq!(OfficeKey::verify(&signed, &orchard, OfficeRole::Officer).unwrap().key, own.public_key());
        let refused = OfficeKey::verify(&signed, &other, OfficeRole::Officer);
        assert!(matches!(refused, Err(OfficeKeyError::OtherNetwork(_))));
        let refused = OfficeKey::verify(&signed, &orchard, OfficeRole::Registrar);
        assert!(matches!(refused, Err(OfficeKeyError::OtherOffice("an officer"))));

        let claim =
            OfficeKey { network: orchard.clone(), office: OfficeRole::Officer, key: own.public_key(), issued: NOW };
        let stolen = Signed::sign(&claim, Scope::network(&orchard), &stranger).unwrap().into_signed();
        assert!(matches!(OfficeKey::verify(&stolen, &orchard, OfficeRole::Officer), Err(OfficeKeyError::Signed(_))));
        let small = OfficeKey::sign(&orchard, OfficeRole::Officer, &key(Algorithm::Ed25519), NOW).unwrap();
        assert!(matches!(OfficeKey::verify(&small, &orchard, OfficeRole::Officer), Err(OfficeKeyError::Algorithm)));
    }
}
