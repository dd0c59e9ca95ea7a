//! What every task of the node works with, and the few questions that more than one of them asks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use careweave_certs::trust::{Advanced, Eligibility, NoticeError, PeerIdentity, Trust, TrustError};
use careweave_protocol::audit::{Actor, AuditEntry, EntryKind};
use careweave_protocol::delivery::{Alert, AlertKind};
use careweave_protocol::desk::GovernanceDocument;
use careweave_protocol::id::{Digest, NodeKey};
use careweave_protocol::identity::{AdvertRecord, EndpointRole, NodeBinding, NodeHello, StaffCredential, StaffGroup};
use careweave_protocol::key::Signer;
use careweave_protocol::policy::PolicyBundle;
use careweave_protocol::query::{BreakGlassGrant, Cause, Purpose, Query};
use careweave_protocol::signed::{MultiSigned, Signed, SignedError, Verified};
use careweave_protocol::time::Timestamp;
use libp2p::PeerId;
use serde_bytes::ByteBuf;
use thiserror::Error;
use tokio::sync::{Notify, mpsc};

use crate::answer::authenticate::{Asked, describe};
use crate::answer::decisions::{Decisions, Role};
use crate::answer::guard::Guard;
use crate::ask::live::Relationships;
use crate::audit::{Append, AuditLog, PatientKeyring};
use crate::clock::Clock;
use crate::config::Config;
use crate::delivery::Outbox;
use crate::net::directory::Directory;
use crate::net::gate::Gate;
use crate::own::OwnIdentity;
use crate::review::{self, Opening, ReviewError, Reviews};
use crate::store::database::{Database, Put, StoreError};
use crate::store::patients;
use crate::store::seal::SealingKey;
use crate::view::medicines::dmd::Dmd;

/// Credentials that verified lately: one for each person who asks in a busy hour, at about 1 KiB each.
const CREDENTIALS_KEPT: usize = 16_384;
/// Causes of failed connections remembered, for `node peers`: one for each member of a large network.
const CAUSES_KEPT: usize = 1_024;

/// Everything that outlives one exchange.
pub struct Services {
    /// The configuration.
    pub config: Config,
    /// The clock.
    pub clock: Clock,
    /// When the node started.
    pub started: Timestamp,
    /// IANA name of the zone in which people here read times.
    pub zone: String,
    /// The deployer's own dm+d release.
    pub dmd: Option<Dmd>,
    /// Own keys and certificates.
    pub own: OwnIdentity,
    /// The database.
    pub database: Database,
    /// The audit log.
    pub audit: AuditLog,
    /// The policy bundle.
    pub policy: PolicyBundle,
    /// Decisions remembered.
    pub decisions: Decisions,
    /// Rates and quotas.
    pub guard: Guard,
    /// Adverts.
    pub directory: Directory,
    /// Things to be delivered.
    pub outbox: Outbox,
    /// What must be looked at after break-glass.
    pub reviews: Reviews,
    /// The peer endpoint's gate.
    pub peers: Gate,
    /// The desk endpoint's gate.
    pub desk: Gate,
    /// What must be seen to because something changed.
    pub changed: Changed,
    /// Where views under way hear that relationships may have changed.
    pub relationships: Relationships,
    trust: RwLock<Trust>,
    credentials: Mutex<HashMap<Digest, Verified<StaffCredential>>>,
    causes: Mutex<HashMap<PeerId, Refusal>>,
    /// Held while trust is written, so that an older state never replaces a newer one on disk.
    keeping: tokio::sync::Mutex<()>,
}

/// What the upkeep task should do now and not at its next round. That trust has changed has a place of its own, so that no number of
/// peers with news can crowd it out.
#[derive(Debug)]
pub struct Changed {
    pulls: mpsc::Sender<PeerId>,
    trust: Notify,
}

impl Changed {
    /// Announces at this queue.
    #[must_use]
    pub fn new(pulls: mpsc::Sender<PeerId>) -> Self {
        Self { pulls, trust: Notify::new() }
    }

    /// This peer has news. A full queue drops it: the next round asks everybody.
    pub fn pull_from(&self, peer: PeerId) {
        let _ = self.pulls.try_send(peer);
    }

    /// Returns when trust has changed since the last time: check every session, tell every peer.
    pub async fn trust(&self) {
        self.trust.notified().await;
    }
}

/// Why a connection did not pass its gate, and who refused whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// We did not believe the peer.
    Ours(Cause),
    /// The peer refused us.
    Theirs(Cause),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ours(cause) => write!(f, "{cause}"),
            Self::Theirs(cause) => write!(f, "refused us: {cause}"),
        }
    }
}

/// What [`Services`] is made of.
pub struct Parts {
    /// The configuration.
    pub config: Config,
    /// The clock.
    pub clock: Clock,
    /// Zone in which people here read times.
    pub zone: String,
    /// The deployer's own dm+d release.
    pub dmd: Option<Dmd>,
    /// Own keys and certificates.
    pub own: OwnIdentity,
    /// The database.
    pub database: Database,
    /// The audit log.
    pub audit: AuditLog,
    /// The policy bundle.
    pub policy: PolicyBundle,
    /// Rates and quotas.
    pub guard: Guard,
    /// Things to be delivered.
    pub outbox: Outbox,
    /// The peer endpoint's gate.
    pub peers: Gate,
    /// The desk endpoint's gate.
    pub desk: Gate,
    /// Where changes are announced.
    pub changed: Changed,
    /// What is believed at the start.
    pub trust: Trust,
}

impl Services {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self {
            started: parts.clock.now(),
            config: parts.config,
            clock: parts.clock,
            zone: parts.zone,
            dmd: parts.dmd,
            own: parts.own,
            database: parts.database,
            audit: parts.audit,
            policy: parts.policy,
            decisions: Decisions::default(),
            guard: parts.guard,
            directory: Directory::default(),
            outbox: parts.outbox,
            reviews: Reviews::default(),
            peers: parts.peers,
            desk: parts.desk,
            changed: parts.changed,
            relationships: Relationships::default(),
            trust: RwLock::new(parts.trust),
            credentials: Mutex::default(),
            causes: Mutex::default(),
            keeping: tokio::sync::Mutex::default(),
        }
    }

    /// What is believed now. Never hold it over an await.
    pub fn trust(&self) -> RwLockReadGuard<'_, Trust> {
        self.trust.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The peer endpoint's key.
    #[must_use]
    pub fn node_key(&self) -> NodeKey {
        self.own.node_key()
    }

    /// Signs on the hot path.
    #[must_use]
    pub fn node_signer(&self) -> &dyn Signer {
        self.own.node_signer()
    }

    /// The peer endpoint's binding.
    #[must_use]
    pub fn peer_binding(&self) -> Signed<NodeBinding> {
        self.own.binding(EndpointRole::Peer)
    }

    /// What the node says of itself on a new connection.
    #[must_use]
    pub fn hello(&self, role: EndpointRole) -> NodeHello {
        let version = self.trust().version();
        self.own.hello(role, &self.config.network, version, self.clock.now())
    }

    /// The node's own advert.
    #[must_use]
    pub fn own_advert(&self) -> AdvertRecord {
        self.own.advert()
    }

    /// Checks a credential that another organisation's person asks with.
    ///
    /// # Errors
    /// The cause, which may be told.
    pub fn check_staff(
        &self,
        credential: &Signed<StaffCredential>,
        employer: &PeerIdentity,
        now: Timestamp,
    ) -> Result<Verified<StaffCredential>, Cause> {
        // With the employer's key: what verified under a key that has been withdrawn since must not pass under its successor.
        let digest = Digest::of(&[credential.as_bytes(), employer.organisation_key().spki_hash().as_bytes()]);
        let known = self.credentials.lock().unwrap_or_else(PoisonError::into_inner).get(&digest).cloned();
        if let Some(known) = known.filter(|k| k.get().ods == *employer.ods()) {
            // The signature is known to be good; everything that time or a revocation can change is looked at again.
            self.check_current(&known, employer, now)?;
            return Ok(known);
        }
        let verified = self.trust().check_credential(credential, employer.organisation_key(), now)?;
        if verified.get().ods != *employer.ods() {
            return Err(Cause::CredentialInvalid);
        }
        let mut kept = self.credentials.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= CREDENTIALS_KEPT {
            kept.clear();
        }
        kept.insert(digest, verified.clone());
        Ok(verified)
    }

    /// Checks a credential of one of our own people.
    ///
    /// # Errors
    /// The cause, which may be told.
    pub fn check_own_staff(
        &self,
        credential: &Signed<StaffCredential>,
        now: Timestamp,
    ) -> Result<Verified<StaffCredential>, Cause> {
        self.check_staff(credential, self.own.identity(), now)
    }

    /// Whether our own person, at our own organisation, may go on: others would ask the same.
    #[must_use]
    pub fn own_eligibility(&self, person: &StaffCredential, purpose: Purpose, now: Timestamp) -> Eligibility {
        self.trust().check_eligibility(self.own.identity(), person, purpose, now)
    }

    /// What a staff group may do for a purpose, from the table alone.
    #[must_use]
    pub fn role(&self, group: StaffGroup, purpose: Purpose) -> Arc<Role> {
        self.decisions.role(&self.policy, group, purpose)
    }

    /// Manifest version, and age of the newest beacon in seconds.
    #[must_use]
    pub fn trust_age(&self, now: Timestamp) -> (u64, Option<u64>) {
        let trust = self.trust();
        (trust.version(), Some(now.since(trust.current_as_of()).as_secs()))
    }

    /// Notes in an audit entry under which manifest and beacon it was made.
    pub fn note_trust(&self, entry: &mut AuditEntry, now: Timestamp) {
        let (version, age) = self.trust_age(now);
        entry.manifest_version = Some(version);
        entry.beacon_age = age;
    }

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
                GovernanceDocument::Beacon(bytes) => {
                    trust.accept_beacon(&Signed::from_bytes(bytes.to_vec())?, now)?.is_newer
                }
            }
        };
        if new {
            // First, because whoever has just lost their access must not keep it while a disk is slow.
            self.changed.trust.notify_one();
            let _one_writer = self.keeping.lock().await;
            let bytes = self.trust().to_bytes()?;
            if let Err(error) = self.own.keep_trust(bytes).await {
                tracing::error!(%error, "trust could not be written; it is held until the node stops");
            }
        }
        Ok(new)
    }

    /// What somebody who holds this manifest version may lack: later manifests, and every notice held.
    #[must_use]
    pub fn documents_after(&self, version: u64) -> Vec<GovernanceDocument> {
        let trust = self.trust();
        let bytes = |bytes: &[u8]| ByteBuf::from(bytes.to_vec());
        let manifests = trust.manifest_chain_after(version);
        let manifests = manifests.iter().map(|m| GovernanceDocument::Manifest(bytes(m.as_bytes())));
        let suspensions = trust.suspensions().map(|s| GovernanceDocument::Suspension(bytes(s.as_bytes())));
        let revocations = trust.revocations().map(|(list, key)| GovernanceDocument::StaffRevocation {
            organisation_key: key.clone(),
            list: bytes(list.as_bytes()),
        });
        let beacons = trust.beacons().map(|b| GovernanceDocument::Beacon(bytes(b.as_bytes())));
        manifests.chain(suspensions).chain(revocations).chain(beacons).collect()
    }

    fn check_current(
        &self,
        known: &Verified<StaffCredential>,
        employer: &PeerIdentity,
        now: Timestamp,
    ) -> Result<(), Cause> {
        let (credential, digest) = (known.get(), known.statement_digest());
        let trust = self.trust();
        let pinned = |key| trust.member(&credential.ods).is_some_and(|m| m.key.accepts(key));
        if now >= credential.not_after {
            return Err(Cause::CredentialExpired);
        }
        if !pinned(&employer.organisation_key().spki_hash()) {
            return Err(Cause::CredentialInvalid);
        }
        if trust.is_suspended(&credential.ods, None, now) || trust.is_credential_suspended(&digest, now) {
            return Err(Cause::Suspended);
        }
        if trust.is_credential_revoked(&credential.ods, &digest) {
            return Err(Cause::CredentialRevoked);
        }
        Ok(())
    }

    /// Takes in the list of revoked credentials that a peer showed when it connected, and the own one.
    pub async fn take_in_revocation(&self, identity: &PeerIdentity) {
        let Some(list) = identity.revocation() else { return };
        let document = GovernanceDocument::StaffRevocation {
            organisation_key: identity.organisation_key().clone(),
            list: ByteBuf::from(list.signed().as_bytes().to_vec()),
        };
        if let Err(error) = self.take_in(&document).await {
            tracing::warn!(ods = %identity.ods(), %error, "list of revoked credentials not taken in");
        }
    }

    /// Reads again what may have changed beside the running node (SIGHUP, and every round): the own list of revoked
    /// credentials. What needs a restart is said.
    pub async fn reload(&self) {
        let now = self.clock.now();
        let hello = self.hello(EndpointRole::Peer);
        let identity = self.trust().check_node(&hello, self.node_key(), EndpointRole::Peer, now);
        match identity {
            Ok(identity) => self.take_in_revocation(&identity).await,
            Err(cause) => tracing::error!(%cause, "every other node would refuse this one"),
        }
    }

    /// Remembers why a connection did not pass.
    pub fn note_refusal(&self, peer: PeerId, refusal: Option<Refusal>) {
        let mut causes = self.causes.lock().unwrap_or_else(PoisonError::into_inner);
        match refusal {
            Some(refusal) if causes.len() < CAUSES_KEPT || causes.contains_key(&peer) => {
                causes.insert(peer, refusal);
            }
            Some(_) => {}
            None => {
                causes.remove(&peer);
            }
        }
    }

    /// Why the last connection with a peer did not pass, if it did not.
    #[must_use]
    pub fn refusal(&self, peer: &PeerId) -> Option<Refusal> {
        self.causes.lock().unwrap_or_else(PoisonError::into_inner).get(peer).cloned()
    }

    /// Writes an ADMIN entry.
    pub async fn admin(&self, event: &str, actor: Option<&StaffCredential>, detail: String) {
        let mut entry = AuditEntry::new(EntryKind::Admin, self.clock.now(), self.config.ods.clone(), event);
        entry.actor = actor.map(actor_of);
        entry.detail = Some(detail);
        self.append(entry).await;
    }

    /// Writes an ALERT entry about a query of another organisation.
    pub async fn alert(&self, event: &str, asked: Option<&Asked>, cause: Option<String>, now: Timestamp) {
        let mut entry = AuditEntry::new(EntryKind::Alert, now, self.config.ods.clone(), event);
        if let Some(asked) = asked {
            asked.describe(&mut entry);
        }
        entry.cause = cause;
        tracing::warn!(event, "alert");
        self.append(entry).await;
    }

    /// One of our own people asks under break-glass, or in an emergency on nothing but their word: an ALERT and the review that it opens,
    /// in one batch. Nothing for any other view.
    ///
    /// # Errors
    /// When either cannot be made durable; then nothing may be asked.
    pub async fn alert_own_access(
        &self,
        query: &Verified<Query>,
        credential: &Verified<StaffCredential>,
        grant: Option<&BreakGlassGrant>,
        self_claimed: bool,
        now: Timestamp,
    ) -> Result<(), ReviewError> {
        if grant.is_none() && !self_claimed {
            return Ok(());
        }
        let opening = Opening { query: query.get(), credential: credential.get(), grant, holder: None };
        let mut entry = self.access_alert(opening, now);
        entry.query = Some(query.signed().digest());
        self.review_access(opening, entry, Vec::new()).await
    }

    /// An answer is about to be given under break-glass, or in an emergency on the asker's word: an ALERT, the review that it opens, and
    /// word to the asker's privacy officers, in one batch.
    ///
    /// # Errors
    /// When it cannot be made durable; then nothing may be given.
    pub async fn alert_access(&self, asked: &Asked, now: Timestamp) -> Result<(), ReviewError> {
        let (query, grant) = (asked.query.get(), asked.grant.as_ref());
        let opening = Opening { query, credential: asked.credential.get(), grant, holder: Some(&self.config.ods) };
        let mut entry = self.access_alert(opening, now);
        asked.describe(&mut entry);
        let alert = Alert {
            from: self.config.ods.clone(),
            kind: if grant.is_some() { AlertKind::BreakGlass } else { AlertKind::SelfClaimedAccess },
            query_id: query.query_id,
            purpose: query.purpose,
            at: now,
        };
        let word = match crate::delivery::alert(self, &query.asker, &alert) {
            Ok(word) => vec![word],
            // Their own log has their own alert.
            Err(error) => {
                tracing::error!(%error, "an alert could not be queued");
                Vec::new()
            }
        };
        self.review_access(opening, entry, word).await?;
        self.outbox.wake();
        Ok(())
    }

    fn access_alert(&self, opening: Opening<'_>, now: Timestamp) -> AuditEntry {
        let event = review::Kind::of(opening).as_str();
        let mut entry = AuditEntry::new(EntryKind::Alert, now, self.config.ods.clone(), event);
        describe(&mut entry, opening.query, opening.credential);
        entry.holder = opening.holder.cloned();
        tracing::warn!(event, "alert");
        entry
    }

    async fn review_access(&self, opening: Opening<'_>, entry: AuditEntry, more: Vec<Put>) -> Result<(), ReviewError> {
        self.reviews.open((&self.database, &self.audit), &self.zone, opening, entry, more).await
    }

    async fn append(&self, entry: AuditEntry) {
        let append = Append { entry, patient: None, replay: None, extra: Vec::new() };
        if let Err(error) = self.audit.append(append).await {
            tracing::error!(%error, "an entry could not be logged");
        }
    }
}

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

/// Opens what the log says about patients, with each patient's own key.
pub struct Keyring(pub Database);

impl PatientKeyring for Keyring {
    fn keys(&self, blinded: &[u8; 16]) -> Result<Vec<SealingKey>, StoreError> {
        Ok(patients::find_blinded(&self.0, blinded)?.into_iter().map(|patient| patient.data_key).collect())
    }
}

/// A person as the log names them.
#[must_use]
pub fn actor_of(person: &StaffCredential) -> Actor {
    Actor { ods: person.ods.clone(), person: person.person.clone(), name: person.name.clone(), group: person.group }
}
