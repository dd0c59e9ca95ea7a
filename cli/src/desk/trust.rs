//! Keeps the person's own trust current: what the node knows and the profile does not is fetched, verified against what the
//! profile believes already, and written back whole. The node chooses what it sends; what is believed follows from the
//! pinned first manifest alone. A renewed credential is looked at in the same way.

use careweave_certs::trust::{Advanced, NoticeError, PeerIdentity, Trust};
use careweave_protocol::desk::GovernanceDocument;
use careweave_protocol::identity::StaffCredential;
use careweave_protocol::query::Cause;
use careweave_protocol::signed::{MultiSigned, Signed, SignedError, Verified};
use careweave_protocol::time::Timestamp;
use thiserror::Error;

use super::DeskError;

/// Why a renewed credential was not taken in. The one held stays.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum NotRenewed {
    /// It is not one, or the one held is damaged.
    #[error("it cannot be read")]
    Malformed,
    /// Another person's, or another organisation's.
    #[error("it is somebody else's")]
    OtherPerson,
    /// For a key that this profile does not hold.
    #[error("it is for another key than this profile's")]
    OtherKey,
    /// Not after the one held.
    #[error("it is no newer than the one held")]
    NotNewer,
    /// Others would refuse it.
    #[error("it would be refused: {0}")]
    Refused(Cause),
}

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

/// Checks a renewed credential: for the same person and keys as the one held, newer, and one that every other organisation would take.
///
/// # Errors
/// See [`NotRenewed`].
pub(super) fn renewed(
    shown: &Signed<StaffCredential>,
    held: &Signed<StaffCredential>,
    trust: &Trust,
    employer: &PeerIdentity,
    now: Timestamp,
) -> Result<Verified<StaffCredential>, NotRenewed> {
    let read = |signed: &Signed<StaffCredential>| signed.unverified().map_err(|_| NotRenewed::Malformed);
    follows(&read(shown)?, &read(held)?)?;
    let (verified, _) = trust.check_credential(shown, employer, now).map_err(NotRenewed::Refused)?;
    Ok(verified)
}

/// Whether one is the other's renewal. Its group, role, scopes and training are the employer's to say.
fn follows(shown: &StaffCredential, held: &StaffCredential) -> Result<(), NotRenewed> {
    if shown.ods != held.ods || shown.person != held.person {
        Err(NotRenewed::OtherPerson)
    } else if shown.key != held.key || shown.step_up != held.step_up {
        Err(NotRenewed::OtherKey)
    } else if shown.not_before <= held.not_before {
        Err(NotRenewed::NotNewer)
    } else {
        Ok(())
    }
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
        GovernanceDocument::Endorsement(bytes) => {
            let endorsement = Signed::from_bytes(bytes.to_vec()).map_err(malformed)?;
            believed(trust.accept_endorsement(&endorsement, now))
        }
        GovernanceDocument::StaffRevocation { organisation_key, list } => {
            let list = Signed::from_bytes(list.to_vec()).map_err(malformed)?;
            believed(trust.accept_revocation(&list, organisation_key, now).map(|()| true))
        }
    }
}

/// What is over, too early or known already does no harm, nor does what stands under an organisation key that was accepted once: a node may be a
/// manifest ahead of whoever gave it that. What nobody entitled has signed should never have been sent.
fn believed(taken: Result<bool, NoticeError>) -> Result<bool, DeskError> {
    match taken {
        Ok(new) => Ok(new),
        Err(
            NoticeError::Over
            | NoticeError::FromTheFuture
            | NoticeError::Older { .. }
            | NoticeError::TooFarAhead { .. }
            | NoticeError::TooMany
            | NoticeError::KeyNotPinned,
        ) => Ok(false),
        Err(error @ (NoticeError::Signed(_) | NoticeError::NotEntitled)) => Err(DeskError::Trust(error.to_string())),
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
    use careweave_certs::revocation;
    use careweave_certs::trust::endorse;
    use careweave_protocol::id::{NetworkId, OdsCode};
    use careweave_protocol::identity::StaffGroup;
    use careweave_protocol::key::Signer;
    use careweave_protocol::signed::Scope;
    use careweave_protocol::time::Date;
    use ring::rand::SystemRandom;
    use serde_bytes::ByteBuf;
    use std::time::Duration;

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
            enrolment: Vec::new(),
            minimum_standard: careweave_protocol::identity::StandardStatus::Met,
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

    #[test]
    fn what_stands_under_a_key_that_is_not_accepted_any_more_is_passed_over() {
        let (officer, organisation, successor) = (key(), key(), key());
        let mut trust = Trust::from_pinned(signed(&officer, &officer, 1)).unwrap();
        let ods: OdsCode = "R9A".parse().unwrap();
        let list = revocation::issue(&network(), &ods, None, &[], &organisation, NOW).unwrap();
        let word = endorse(&network(), &ods, &successor.public_key(), &organisation, NOW).unwrap();
        let bytes = |bytes: &[u8]| ByteBuf::from(bytes.to_vec());
        let documents = [
            GovernanceDocument::StaffRevocation {
                organisation_key: organisation.public_key(),
                list: bytes(list.signed().as_bytes()),
            },
            GovernanceDocument::Endorsement(bytes(word.signed().as_bytes())),
            carried(&signed(&officer, &officer, 2)),
        ];
        assert!(advance(&mut trust, &documents, NOW).unwrap());
        assert_eq!((trust.version(), trust.revocations().count(), trust.endorsements().count()), (2, 0, 0));
    }

    #[test]
    fn a_renewal_is_for_the_same_person_and_keys_and_begins_later() {
        let [own, step_up, other] =
            [(); 3].map(|()| SoftwareKey::generate(Algorithm::Ed25519, &SystemRandom::new()).unwrap());
        let [own, step_up, other] = [own, step_up, other].map(|key| key.public_key().node_key().unwrap());
        let held = StaffCredential {
            ods: "R9A".parse().unwrap(),
            person: "hos".parse().unwrap(),
            name: "hos of R9A".to_owned(),
            group: StaffGroup::Hos,
            sds_role: "R0050".to_owned(),
            registration: None,
            training_expires: Date::new(2026, 1, 31).unwrap(),
            scopes: Vec::new(),
            key: own,
            step_up: Some(step_up),
            approvals: Vec::new(),
            not_before: NOW,
            not_after: NOW.after(Duration::from_secs(3600)),
        };
        let next = StaffCredential {
            not_before: NOW.after(Duration::from_secs(1)),
            training_expires: Date::new(2027, 1, 31).unwrap(),
            ..held.clone()
        };
        assert_eq!(follows(&next, &held), Ok(()));
        for (shown, wrong) in [
            (held.clone(), NotRenewed::NotNewer),
            (StaffCredential { not_before: Timestamp(0), ..next.clone() }, NotRenewed::NotNewer),
            (StaffCredential { key: other, ..next.clone() }, NotRenewed::OtherKey),
            (StaffCredential { step_up: Some(other), ..next.clone() }, NotRenewed::OtherKey),
            (StaffCredential { step_up: None, ..next.clone() }, NotRenewed::OtherKey),
            (StaffCredential { person: "psy".parse().unwrap(), ..next.clone() }, NotRenewed::OtherPerson),
            (StaffCredential { ods: "R9C".parse().unwrap(), ..next.clone() }, NotRenewed::OtherPerson),
        ] {
            assert_eq!(follows(&shown, &held), Err(wrong), "{shown:?}");
        }
    }
}
