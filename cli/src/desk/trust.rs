//! Keeps the person's own trust current: what the node knows and the profile does not is fetched, verified against what the
//! profile believes already, and written back whole. The node chooses what it sends; what is believed follows from the
//! pinned first manifest alone.

use careweave_certs::trust::{Advanced, NoticeError, Trust};
use careweave_protocol::desk::GovernanceDocument;
use careweave_protocol::signed::{MultiSigned, Signed, SignedError};
use careweave_protocol::time::Timestamp;

use super::DeskError;

/// Takes the documents in, in the order in which they came. Gives whether anything was new.
///
/// # Errors
/// [`DeskError::Trust`] when a manifest does not follow from the one before, or a notice is by nobody who may.
pub(super) fn advance(trust: &mut Trust, documents: &[GovernanceDocument], now: Timestamp) -> Result<bool, DeskError> {
    let mut new = false;
    for document in documents {
        new |= take_in(trust, document, now)?;
    }
    Ok(new)
}

fn take_in(trust: &mut Trust, document: &GovernanceDocument, now: Timestamp) -> Result<bool, DeskError> {
    let malformed = |error: SignedError| DeskError::Trust(error.to_string());
    match document {
        GovernanceDocument::Manifest(bytes) => {
            let manifest = MultiSigned::from_bytes(bytes.to_vec()).map_err(malformed)?;
            let advanced = trust.advance(manifest, now).map_err(|error| DeskError::Trust(error.to_string()))?;
            Ok(advanced != Advanced::Unchanged)
        }
        GovernanceDocument::Suspension(bytes) => {
            let suspension = Signed::from_bytes(bytes.to_vec()).map_err(malformed)?;
            believed(trust.accept_suspension(suspension, now))
        }
        GovernanceDocument::Beacon(bytes) => {
            let beacon = Signed::from_bytes(bytes.to_vec()).map_err(malformed)?;
            believed(trust.accept_beacon(&beacon, now).map(|news| news.is_newer))
        }
        GovernanceDocument::StaffRevocation { organisation_key, list } => {
            let list = Signed::from_bytes(list.to_vec()).map_err(malformed)?;
            believed(trust.accept_revocation(&list, organisation_key, now).map(|()| true))
        }
    }
}

/// What is over, too early or known already does no harm; what nobody entitled has signed should never have been sent.
fn believed(taken: Result<bool, NoticeError>) -> Result<bool, DeskError> {
    match taken {
        Ok(new) => Ok(new),
        Err(NoticeError::Over | NoticeError::FromTheFuture | NoticeError::Older { .. } | NoticeError::TooMany) => {
            Ok(false)
        }
        Err(error @ (NoticeError::Signed(_) | NoticeError::NotEntitled | NoticeError::KeyNotPinned)) => {
            Err(DeskError::Trust(error.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use careweave_certs::authority::create_root;
    use careweave_certs::keystore::{Algorithm, SoftwareKey};
    use careweave_certs::manifest::{
        AuthorityCertificate, AuthorityRole, AuthorityState, Governance, MANIFEST_LIFE, Manifest, StalenessLimits,
        Suspension, SuspensionTarget,
    };
    use careweave_protocol::id::NetworkId;
    use careweave_protocol::key::Signer;
    use careweave_protocol::signed::Scope;
    use ring::rand::SystemRandom;
    use serde_bytes::ByteBuf;

    const NOW: Timestamp = Timestamp(1_793_628_600_000);

    fn network() -> NetworkId {
        "test".parse().unwrap()
    }

    fn key() -> SoftwareKey {
        SoftwareKey::generate(Algorithm::P256, &SystemRandom::new()).unwrap()
    }

    /// A network of one officer and no members.
    fn manifest(officer: &SoftwareKey, version: u64) -> Manifest {
        let root = create_root(&network(), officer, NOW, &SystemRandom::new()).unwrap();
        Manifest {
            network: network(),
            version,
            issued: NOW,
            expires: NOW.after(MANIFEST_LIFE),
            governance: Governance { keys: vec![officer.public_key()], threshold: 1 },
            authorities: vec![AuthorityCertificate {
                role: AuthorityRole::Root,
                state: AuthorityState::Active,
                certificate: ByteBuf::from(root.to_vec()),
            }],
            members: Vec::new(),
            registrars: Vec::new(),
            beacons: Vec::new(),
            witnesses: Vec::new(),
            witness_quorum: 0,
            policy: None,
            protocol_min: 1,
            staleness: StalenessLimits::default(),
            suspended: Vec::new(),
            lifted: Vec::new(),
        }
    }

    fn signed(officer: &SoftwareKey, signer: &SoftwareKey, version: u64) -> MultiSigned<Manifest> {
        MultiSigned::draft(&manifest(officer, version)).unwrap().add_signature(&network(), signer).unwrap()
    }

    fn carried(manifest: &MultiSigned<Manifest>) -> GovernanceDocument {
        GovernanceDocument::Manifest(ByteBuf::from(manifest.as_bytes().to_vec()))
    }

    #[test]
    fn the_chain_is_followed_and_nothing_new_is_said_to_be_nothing_new() {
        let officer = key();
        let mut trust = Trust::from_pinned(signed(&officer, &officer, 1)).unwrap();
        let chain = [carried(&signed(&officer, &officer, 2)), carried(&signed(&officer, &officer, 3))];
        assert!(advance(&mut trust, &chain, NOW).unwrap());
        assert_eq!(trust.version(), 3);
        let held = carried(trust.manifest_chain_after(2).first().unwrap());
        assert!(!advance(&mut trust, &[held], NOW).unwrap());
    }

    #[test]
    fn a_skipped_version_an_older_one_and_a_strangers_manifest_are_refused() {
        let (officer, stranger) = (key(), key());
        let mut trust = Trust::from_pinned(signed(&officer, &officer, 2)).unwrap();
        for document in [
            carried(&signed(&officer, &officer, 4)),
            carried(&signed(&officer, &officer, 1)),
            carried(&signed(&stranger, &stranger, 3)),
            carried(&signed(&officer, &stranger, 3)),
            GovernanceDocument::Manifest(ByteBuf::from(b"noise".to_vec())),
        ] {
            assert!(matches!(advance(&mut trust, &[document], NOW), Err(DeskError::Trust(_))));
            assert_eq!(trust.version(), 2);
        }
    }

    #[test]
    fn an_officers_suspension_is_taken_in_and_a_strangers_is_refused() {
        let (officer, stranger) = (key(), key());
        let mut trust = Trust::from_pinned(signed(&officer, &officer, 1)).unwrap();
        let suspension = Suspension {
            target: SuspensionTarget::Member("R9A".parse().unwrap()),
            reason: "incident".to_owned(),
            from: NOW,
        };
        let carried = |signer: &SoftwareKey| {
            let signed = Signed::sign(&suspension, Scope::network(&network()), signer).unwrap().into_signed();
            GovernanceDocument::Suspension(ByteBuf::from(signed.as_bytes().to_vec()))
        };
        assert!(advance(&mut trust, &[carried(&officer)], NOW).unwrap());
        assert!(trust.is_suspended(&"R9A".parse().unwrap(), None, NOW));
        assert!(matches!(advance(&mut trust, &[carried(&stranger)], NOW), Err(DeskError::Trust(_))));
    }
}
