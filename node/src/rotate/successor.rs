//! Making what comes next: a key, the present key's word on it, a certificate.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use careweave_certs::authority::{CertificateRequest, to_pem};
use careweave_certs::keystore::{Algorithm, KeyForm, PrivateKey, SoftwareKey, form_of, public_key_of};
use careweave_certs::trust::endorse;
use careweave_certs::{attest, layout, private_file};
use careweave_protocol::cbor;
use careweave_protocol::desk::{GovernanceDocument, RotationPart};
use careweave_protocol::directory::RenewalReply;
use careweave_protocol::identity::{Attestation, KeyEndorsement, NodeHello, Standard};
use careweave_protocol::key::Signer;
use careweave_protocol::signed::{Signed, Verified};
use ring::rand::SystemRandom;
use serde_bytes::ByteBuf;

use super::{RotateError, blocking, load_as};
use crate::enrolment;
use crate::own::{self, OwnIdentity};
use crate::services::Services;

/// Makes the successor's key, and announces it. Whatever is there already is kept: a step that failed half way is taken up again.
pub(super) async fn prepare(services: &Arc<Services>, part: RotationPart) -> Result<(), RotateError> {
    match part {
        // A certificate for the key in use: fetched, or already carried here by hand.
        RotationPart::Certificate => complete(services, part).await,
        RotationPart::NodeKey => {
            let path = services.config.dir.join(layout::PEER_KEY_NEXT);
            blocking(move || {
                discard_unreadable(&path)?;
                if path.exists() {
                    return Ok(());
                }
                Ok(SoftwareKey::generate(Algorithm::Ed25519, &SystemRandom::new())?.write_plain(&path)?)
            })
            .await
        }
        RotationPart::OrganisationKey => {
            let making = Arc::clone(services);
            let endorsement = blocking(move || next_organisation_key(&making)).await?;
            announce(services, &endorsement).await;
            Ok(())
        }
    }
}

/// Sees to the successor's certificate, where it needs one and has none.
pub(super) async fn complete(services: &Arc<Services>, part: RotationPart) -> Result<(), RotateError> {
    let waiting = services.config.dir.join(layout::CHAIN_NEXT).exists();
    let served = !services.trust().manifest().enrolment.is_empty();
    if part == RotationPart::NodeKey || (waiting && (!served || believed(services, part).await.is_ok())) {
        return Ok(());
    }
    let for_next = part == RotationPart::OrganisationKey;
    if !served {
        return Err(RotateError::NoCertificate);
    }
    let asking = Arc::clone(services);
    let (request, endorsement) = blocking(move || {
        let (network, ods, name) = (&asking.config.network, &asking.config.ods, &asking.config.name);
        let dir = &asking.config.dir;
        if for_next {
            let key = PrivateKey::read(&dir.join(layout::ORGANISATION_KEY_NEXT), None)?;
            let bytes = private_file::read(&dir.join(layout::ENDORSEMENT), careweave_protocol::limits::SIGNED_MAX)?;
            let endorsement = Signed::<KeyEndorsement>::from_bytes(bytes.to_vec())?;
            Ok((CertificateRequest::create(network, ods, name, &key)?, Some(endorsement)))
        } else {
            Ok((CertificateRequest::create(network, ods, name, asking.own().organisation())?, None))
        }
    })
    .await?;
    match enrolment::renew(services, request, endorsement).await? {
        RenewalReply::Refused(cause) => Err(RotateError::Refused(cause)),
        RenewalReply::Issued { chain, attestations } => {
            let services = Arc::clone(services);
            blocking(move || {
                let dir = &services.config.dir;
                let pem: Vec<_> = chain.iter().map(|der| der.as_slice().into()).collect();
                let known = self::attestations(&services, &attestations)?;
                private_file::replace(&dir.join(layout::ATTESTATIONS), &cbor::to_vec(&known)?)?;
                Ok(private_file::replace(&dir.join(layout::CHAIN_NEXT), to_pem(&pem).as_bytes())?)
            })
            .await
        }
    }
}

/// A key file that a crash has left half written is made anew; nothing was ever signed with it.
fn discard_unreadable(path: &Path) -> Result<(), RotateError> {
    if path.exists() && public_key_of(path).is_err() {
        std::fs::remove_file(path).map_err(|source| RotateError::Move { path: path.to_owned(), source })?;
    }
    Ok(())
}

/// Attestations that an enrolment service hands out beside those held: of each standard the newest that a registrar has signed about this
/// organisation. A service that sends something else takes nothing away.
fn attestations(services: &Services, handed: &[Signed<Attestation>]) -> Result<Vec<Signed<Attestation>>, RotateError> {
    let held: Vec<Signed<Attestation>> = own::read_list(&services.config.dir, layout::ATTESTATIONS)?;
    let verified = {
        let trust = services.trust();
        let verify = |all: &[Signed<Attestation>]| {
            attest::verify_all(all, &services.config.network, &services.config.ods, &trust.manifest().registrars)
        };
        let mut all = verify(&held);
        all.extend(verify(handed));
        all
    };
    let mut newest: BTreeMap<Standard, Verified<Attestation>> = BTreeMap::new();
    for attestation in verified {
        let standard = attestation.get().standard;
        if newest.get(&standard).is_none_or(|known| known.get().issued < attestation.get().issued) {
            newest.insert(standard, attestation);
        }
    }
    Ok(newest.into_values().map(Verified::into_signed).collect())
}

/// What the node would say of itself with the successor in use.
pub(super) async fn candidate(services: &Arc<Services>, part: RotationPart) -> Result<NodeHello, RotateError> {
    let services = Arc::clone(services);
    blocking(move || {
        let version = services.trust().version();
        Ok(load_as(&services, part)?.candidate(&services.config, None, version, services.clock.now())?)
    })
    .await
}

/// As [`candidate`], with nothing made on disk for it: where no node key is prepared, for one that is thrown away again; where no
/// certificate is, `None`, because there is nothing to ask about yet but what is in use.
pub(super) async fn rehearsed(services: &Arc<Services>, part: RotationPart) -> Result<Option<NodeHello>, RotateError> {
    let dir = &services.config.dir;
    let prepared = match part {
        RotationPart::NodeKey => dir.join(layout::PEER_KEY_NEXT).exists(),
        RotationPart::Certificate => dir.join(layout::CHAIN_NEXT).exists(),
        RotationPart::OrganisationKey => {
            dir.join(layout::CHAIN_NEXT).exists() && dir.join(layout::ORGANISATION_KEY_NEXT).exists()
        }
    };
    if prepared {
        return candidate(services, part).await.map(Some);
    }
    if part != RotationPart::NodeKey {
        return Ok(None);
    }
    let services = Arc::clone(services);
    blocking(move || {
        let key = SoftwareKey::generate(Algorithm::Ed25519, &SystemRandom::new())?;
        let (version, now) = (services.trust().version(), services.clock.now());
        let loaded = OwnIdentity::load(&services.config)?;
        Ok(Some(loaded.candidate(&services.config, key.public_key().node_key(), version, now)?))
    })
    .await
}

/// Looks at the successor as every other node will: what nobody would believe is not put in use, whoever insists.
pub(super) async fn believed(services: &Arc<Services>, part: RotationPart) -> Result<(), RotateError> {
    let services = Arc::clone(services);
    blocking(move || {
        let trust = services.trust().clone();
        load_as(&services, part)?.identify(&services.config, &trust, services.clock.now())?;
        Ok(())
    })
    .await
}

/// The key that follows, and the present one's word on it.
fn next_organisation_key(services: &Services) -> Result<Signed<KeyEndorsement>, RotateError> {
    let dir = &services.config.dir;
    let path = dir.join(layout::ORGANISATION_KEY_NEXT);
    let own = services.own();
    let (network, ods) = (&services.config.network, &services.config.ods);
    // Before anything is made: an endorsement by a key that is itself only endorsed would be believed by nobody, and the one that is believed
    // would be gone from the disk.
    let spki = own.organisation().public_key().spki_hash();
    if !services.trust().member(ods).is_some_and(|member| member.key.accepts(&spki)) {
        return Err(RotateError::NotPinned);
    }
    discard_unreadable(&path)?;
    if !path.exists() {
        if matches!(form_of(&dir.join(layout::ORGANISATION_KEY))?, KeyForm::Token { .. }) {
            return Err(RotateError::InToken);
        }
        SoftwareKey::generate(Algorithm::P256, &SystemRandom::new())?.write_plain(&path)?;
    }
    let (successor, now) = (public_key_of(&path)?, services.clock.now());
    // The same word again where it was given: a later one would only replace it.
    let held = services.trust().endorsement(ods).cloned();
    let endorsement = match held {
        Some(held) if held.get().successor == successor && held.get().endorser == own.organisation().public_key() => {
            held
        }
        _ => endorse(network, ods, &successor, own.organisation(), now)?,
    };
    private_file::replace(&dir.join(layout::ENDORSEMENT), endorsement.signed().as_bytes())?;
    Ok(endorsement.into_signed())
}

async fn announce(services: &Arc<Services>, endorsement: &Signed<KeyEndorsement>) {
    let document = GovernanceDocument::Endorsement(ByteBuf::from(endorsement.as_bytes().to_vec()));
    // Peers pull because of it, and hold it before the key signs anything.
    if let Err(error) = services.take_in(&document).await {
        tracing::error!(%error, "own endorsement not taken in");
    }
}
