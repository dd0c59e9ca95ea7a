//! What the node believes and shows, and how it changes: governance documents that arrive, what peers show of themselves, files that somebody has
//! changed beside the running node.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use careweave_certs::trust::{Advanced, NoticeError, PeerIdentity, TrustError};
use careweave_protocol::desk::GovernanceDocument;
use careweave_protocol::identity::{EndpointRole, NodeBinding};
use careweave_protocol::key::PublicKey;
use careweave_protocol::signed::{MultiSigned, Signed, SignedError};
use serde_bytes::ByteBuf;
use thiserror::Error;

use super::Services;
use crate::own::{OwnError, OwnIdentity};

/// Why a governance document was not taken in.
#[derive(Debug, Error)]
pub enum NotTakenIn {
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] TrustError),
    /// The suspension, list or beacon.
    #[error(transparent)]
    Notice(#[from] NoticeError),
    /// Not a signed document.
    #[error(transparent)]
    Form(#[from] SignedError),
}

impl Services {
    /// Takes in a governance document, keeps it, and announces the change. Gives whether it was new.
    ///
    /// # Errors
    /// Why it was not believed.
    pub async fn take_in(&self, document: &GovernanceDocument) -> Result<bool, NotTakenIn> {
        let now = self.clock.now();
        let new = {
            let mut trust = self.trust.write().unwrap_or_else(PoisonError::into_inner);
            match document {
                GovernanceDocument::Manifest(bytes) => {
                    trust.advance(MultiSigned::from_bytes(bytes.to_vec())?, now)? != Advanced::Unchanged
                }
                GovernanceDocument::Suspension(bytes) => {
                    trust.accept_suspension(Signed::from_bytes(bytes.to_vec())?, now)?
                }
                GovernanceDocument::StaffRevocation { organisation_key, list } => {
                    let list = Signed::from_bytes(list.to_vec())?;
                    match trust.accept_revocation(&list, organisation_key, now) {
                        Err(NoticeError::Older { .. }) => false,
                        outcome => outcome.map(|()| true)?,
                    }
                }
                GovernanceDocument::Endorsement(bytes) => {
                    match trust.accept_endorsement(&Signed::from_bytes(bytes.to_vec())?, now) {
                        Err(NoticeError::Older { .. }) => false,
                        outcome => outcome?,
                    }
                }
                GovernanceDocument::Beacon(bytes) => {
                    trust.accept_beacon(&Signed::from_bytes(bytes.to_vec())?, now)?.is_newer
                }
            }
        };
        if new {
            self.trust_changed().await?;
        }
        Ok(new)
    }

    /// Announces that what is believed has changed, and keeps it.
    async fn trust_changed(&self) -> Result<(), TrustError> {
        // First, because whoever has just lost their access must not keep it while a disk is slow.
        self.changed.announce();
        let change = self.trust_changes.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        let mut written = self.keeping.lock().await;
        // Whoever waited for the lock finds their change in what another has just written: many changes at once are few writes.
        if *written >= change {
            return Ok(());
        }
        let upto = self.trust_changes.load(Ordering::SeqCst);
        let trust = self.trust().clone();
        // Cancelled only when the runtime stops.
        let Ok(bytes) = tokio::task::spawn_blocking(move || trust.to_bytes()).await else { return Ok(()) };
        *written = upto;
        if let Err(error) = self.own().keep_trust(bytes?).await {
            tracing::error!(%error, "trust could not be written; it is held until the node stops");
        }
        Ok(())
    }

    /// What somebody who holds this manifest version may lack: later manifests, and every notice held.
    #[must_use]
    pub fn documents_after(&self, version: u64) -> Vec<GovernanceDocument> {
        let trust = self.trust();
        let bytes = |bytes: &[u8]| ByteBuf::from(bytes.to_vec());
        let manifests = trust.manifest_chain_after(version);
        let manifests = manifests.iter().map(|m| GovernanceDocument::Manifest(bytes(m.as_bytes())));
        let suspensions = trust.suspensions().map(|s| GovernanceDocument::Suspension(bytes(s.as_bytes())));
        let revocations = trust.accepted_revocations(self.clock.now());
        let revocations = revocations.map(|(list, key)| GovernanceDocument::StaffRevocation {
            organisation_key: key.clone(),
            list: bytes(list.as_bytes()),
        });
        let endorsements = trust.endorsements().map(|e| GovernanceDocument::Endorsement(bytes(e.as_bytes())));
        let beacons = trust.beacons().map(|b| GovernanceDocument::Beacon(bytes(b.as_bytes())));
        manifests.chain(suspensions).chain(endorsements).chain(revocations).chain(beacons).collect()
    }

    /// Takes in what a peer, or the own node, showed of itself: the endorsement of its next key, and which endpoint it has replaced.
    pub async fn take_in_shown(&self, identity: &PeerIdentity) {
        if let Some(endorsement) = identity.endorsement() {
            let document = GovernanceDocument::Endorsement(ByteBuf::from(endorsement.signed().as_bytes().to_vec()));
            if let Err(error) = self.take_in(&document).await {
                tracing::warn!(ods = %identity.ods(), %error, "what a member showed of itself was not taken in");
            }
        }
        self.note_retired(identity.binding().get(), identity.organisation_key()).await;
    }

    /// Takes in the organisation's own list of revoked credentials; from here it reaches the others as every notice does.
    async fn take_in_own_revocation(&self) {
        let (list, organisation_key) = match self.own().revocation(&self.config.network) {
            Ok(Some(found)) => found,
            Ok(None) => return,
            Err(error) => {
                tracing::error!(%error, "the list of revoked credentials on disk is not taken in");
                return;
            }
        };
        let list = ByteBuf::from(list.signed().as_bytes().to_vec());
        if let Err(error) = self.take_in(&GovernanceDocument::StaffRevocation { organisation_key, list }).await {
            tracing::error!(%error, "the list of revoked credentials on disk is not taken in");
        }
    }

    /// Remembers which endpoint a binding replaces, and the organisation key under which it has verified.
    pub async fn note_retired(&self, binding: &NodeBinding, organisation_key: &PublicKey) {
        let new = {
            let mut trust = self.trust.write().unwrap_or_else(PoisonError::into_inner);
            trust.note_retired(binding, organisation_key.spki_hash(), self.clock.now())
        };
        if new && let Err(error) = self.trust_changed().await {
            tracing::error!(%error, "trust could not be written");
        }
    }

    /// Reads again what may have changed beside the running node (SIGHUP, and every round): keys, certificates, attestations, the list of
    /// revoked credentials. Gives whether others should hear of it.
    pub async fn reload(self: &Arc<Self>) -> bool {
        let changed = !self.own().is_current();
        if changed && let Err(error) = self.reload_identity().await {
            tracing::error!(%error, "what has changed on disk is not taken in; the node goes on as it was");
        }
        let now = self.clock.now();
        let node = self.endpoint_key().node;
        let identity = self.hello(node).map(|hello| self.trust().check_node(&hello, node, EndpointRole::Peer, now));
        match identity {
            Some(Ok(identity)) => self.take_in_shown(&identity).await,
            Some(Err(cause)) => tracing::error!(%cause, "every other node would refuse this one"),
            None => tracing::error!("the key of the peer endpoint is not the one on disk"),
        }
        // After the endorsement of the key under which it may stand.
        self.take_in_own_revocation().await;
        changed
    }

    /// Puts the identity that lies on disk in the place of the one in use, when others would accept it.
    ///
    /// # Errors
    /// Why it would not do; the one in use stays.
    pub async fn reload_identity(self: &Arc<Self>) -> Result<(), OwnError> {
        // One at a time: an older reading must not take a newer one's place.
        let _one_at_a_time = self.reloading.lock().await;
        let services = Arc::clone(self);
        let loaded = tokio::task::spawn_blocking(move || {
            let loaded = OwnIdentity::load(&services.config)?;
            let trust = services.trust().clone();
            let own = loaded.identify(&services.config, &trust, services.clock.now())?;
            let addresses = services.peers.current().gate.handle.listen_addresses();
            own.renew(&services.config, &addresses, services.clock.now())?;
            Ok::<_, OwnError>(own)
        });
        let own = match loaded.await {
            Ok(own) => own?,
            // Cancelled only when the runtime stops.
            Err(_) => return Ok(()),
        };
        *self.own.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(own);
        Ok(())
    }
}
