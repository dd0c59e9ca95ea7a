//! What every task of the node works with, and the few questions that more than one of them asks.

mod belief;

pub use belief::NotTakenIn;

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use careweave_certs::keystore::SoftwareKey;
use careweave_certs::trust::{Eligibility, PeerIdentity, Trust};
use careweave_protocol::audit::{Actor, AuditEntry, EntryKind};
use careweave_protocol::delivery::{Alert, AlertKind};
use careweave_protocol::id::{Digest, NodeKey};
use careweave_protocol::identity::{AdvertRecord, NodeHello, StaffCredential, StaffGroup};
use careweave_protocol::key::PublicKey;
use careweave_protocol::policy::PolicyBundle;
use careweave_protocol::query::{BreakGlassGrant, Cause, Purpose, Query};
use careweave_protocol::signed::{Signed, SignedError, Verified};
use careweave_protocol::time::Timestamp;
use libp2p::PeerId;
use tokio::sync::{Notify, mpsc};

use crate::answer::authenticate::{Asked, describe};
use crate::answer::decisions::{Decisions, Role};
use crate::answer::guard::Guard;
use crate::ask::live::Relationships;
use crate::audit::{Append, AuditLog, PatientKeyring};
use crate::clock::Clock;
use crate::config::Config;
use crate::delivery::Outbox;
use crate::enrolment;
use crate::net::Inbound;
use crate::net::directory::Directory;
use crate::net::gate::Gate;
use crate::net::peers::{EndpointKey, PeerEnd, Peers};
use crate::own::OwnIdentity;
use crate::review::{self, Opening, ReviewError, Reviews};
use crate::store::database::{Database, Put, StoreError};
use crate::store::patients;
use crate::store::seal::SealingKey;
use crate::view::medicines::dmd::Dmd;

/// Credentials that verified lately: one for each person who asks in a busy hour, at about 1 KiB each.
const CREDENTIALS_KEPT: usize = 16_384;
/// Judgements of one peer within [`JUDGED_WITHIN`]: a rotation is a handful, a script is stopped.
const JUDGED_MOST: u32 = 30;
/// The time over which they are counted.
const JUDGED_WITHIN: std::time::Duration = std::time::Duration::from_secs(60);
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
    /// The authority, where this node runs the enrolment service.
    pub enrolment: Option<enrolment::Service>,
    /// Signs beacons, where the manifest names this node for them.
    pub beacon: Option<SoftwareKey>,
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
    /// The peer endpoint, and the one before it during an overlap.
    pub peers: Peers,
    /// The desk endpoint's gate.
    pub desk: Gate,
    /// Where new exchanges of every endpoint arrive, for an endpoint that is started later.
    pub inbound: mpsc::Sender<(Arc<PeerEnd>, Inbound)>,
    /// Held while keys or certificates are changed: one step at a time.
    pub rotating: tokio::sync::Mutex<()>,
    /// What must be seen to because something changed.
    pub changed: Changed,
    /// Where views under way hear that relationships may have changed.
    pub relationships: Relationships,
    own: RwLock<Arc<OwnIdentity>>,
    trust: RwLock<Trust>,
    credentials: Mutex<HashMap<Digest, (Verified<StaffCredential>, PublicKey)>>,
    causes: Mutex<HashMap<PeerId, Refusal>>,
    /// Held while the own identity is read anew.
    reloading: tokio::sync::Mutex<()>,
    /// Counts changes of trust.
    trust_changes: AtomicU64,
    /// Held while trust is written, so that an older state never replaces a newer one on disk: how many changes what was written last holds.
    keeping: tokio::sync::Mutex<u64>,
    /// How often each peer has shown itself anew, or asked what we would make of somebody, in the minute that began then.
    judged: Mutex<HashMap<PeerId, (Timestamp, u32)>>,
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

    /// Others should hear of something: trust, or what this node says of itself.
    pub fn announce(&self) {
        self.trust.notify_one();
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
    /// The authority, where this node runs the enrolment service.
    pub enrolment: Option<enrolment::Service>,
    /// Signs beacons.
    pub beacon: Option<SoftwareKey>,
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
    /// The peer endpoint.
    pub peers: Peers,
    /// The desk endpoint's gate.
    pub desk: Gate,
    /// Where new exchanges arrive.
    pub inbound: mpsc::Sender<(Arc<PeerEnd>, Inbound)>,
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
            own: RwLock::new(Arc::new(parts.own)),
            enrolment: parts.enrolment,
            beacon: parts.beacon,
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
            inbound: parts.inbound,
            rotating: tokio::sync::Mutex::default(),
            changed: parts.changed,
            relationships: Relationships::default(),
            trust: RwLock::new(parts.trust),
            credentials: Mutex::default(),
            causes: Mutex::default(),
            reloading: tokio::sync::Mutex::default(),
            trust_changes: AtomicU64::new(0),
            keeping: tokio::sync::Mutex::default(),
            judged: Mutex::default(),
        }
    }

    /// What is believed now. Never hold it over an await.
    pub fn trust(&self) -> RwLockReadGuard<'_, Trust> {
        self.trust.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who this node is now.
    #[must_use]
    pub fn own(&self) -> Arc<OwnIdentity> {
        Arc::clone(&self.own.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The key of the peer endpoint in use.
    #[must_use]
    pub fn endpoint_key(&self) -> Arc<EndpointKey> {
        Arc::clone(self.peers.current().key())
    }

    /// What one endpoint of the node says of itself on a new connection; `None` for one that is not ours any more.
    #[must_use]
    pub fn hello(&self, node: NodeKey) -> Option<NodeHello> {
        let version = self.trust().version();
        self.own().hello(node, &self.config.network, version, self.clock.now())
    }

    /// The node's own advert.
    #[must_use]
    pub fn own_advert(&self) -> Option<AdvertRecord> {
        self.own().advert()
    }

    /// Signs bindings and advert anew, off the async threads: the organisation's key may lie in a token.
    ///
    /// # Errors
    /// When a key cannot sign.
    pub async fn renew(self: &Arc<Self>) -> Result<(), SignedError> {
        let services = Arc::clone(self);
        let renewed = tokio::task::spawn_blocking(move || {
            let addresses = services.peers.current().gate.handle.listen_addresses();
            services.own().renew(&services.config, &addresses, services.clock.now())
        });
        // Cancelled only when the runtime stops.
        renewed.await.unwrap_or(Ok(()))
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
        if let Some((known, key)) = known.filter(|(k, _)| k.get().ods == *employer.ods()) {
            // The signature is known to be good; everything that time or a revocation can change is looked at again.
            self.check_current(&known, &key, employer, now)?;
            return Ok(known);
        }
        let (verified, key) = self.trust().check_credential(credential, employer, now)?;
        if verified.get().ods != *employer.ods() {
            return Err(Cause::CredentialInvalid);
        }
        let mut kept = self.credentials.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= CREDENTIALS_KEPT {
            kept.clear();
        }
        kept.insert(digest, (verified.clone(), key));
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
        self.check_staff(credential, self.own().identity(), now)
    }

    /// Whether our own person, at our own organisation, may go on: others would ask the same.
    #[must_use]
    pub fn own_eligibility(&self, person: &StaffCredential, purpose: Purpose, now: Timestamp) -> Eligibility {
        let own = self.own();
        self.trust().check_eligibility(own.identity(), person, purpose, now)
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

    fn check_current(
        &self,
        known: &Verified<StaffCredential>,
        key: &PublicKey,
        employer: &PeerIdentity,
        now: Timestamp,
    ) -> Result<(), Cause> {
        let (credential, digest) = (known.get(), known.statement_digest());
        let trust = self.trust();
        if now >= credential.not_after {
            return Err(Cause::CredentialExpired);
        }
        let shown = employer.organisation_keys().any(|k| k == key);
        let endorsed = employer.endorsement().map(Verified::get).is_some_and(|e| {
            let pinned = trust.member(&credential.ods).is_some_and(|m| m.key.accepts(&e.endorser.spki_hash()));
            pinned && e.successor == *key && now < e.expires
        });
        // The employer's own connection is checked with the endorsement it showed; here what everybody has heard of counts as well.
        if !shown || !(endorsed || trust.accepts_key(&credential.ods, &key.spki_hash(), now)) {
            return Err(Cause::CredentialInvalid);
        }
        let stopped = trust.is_credential_suspended(&digest, now) || trust.is_key_suspended(&credential.key, now);
        if trust.is_suspended(&credential.ods, None, now) || stopped {
            return Err(Cause::Suspended);
        }
        if trust.is_credential_revoked(&credential.ods, &digest) {
            return Err(Cause::CredentialRevoked);
        }
        Ok(())
    }

    /// Whether a peer may be judged once more now: each judgement costs a dozen signature checks.
    #[must_use]
    pub fn may_be_judged(&self, peer: PeerId, now: Timestamp) -> bool {
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        judged.retain(|_, (since, _)| now.since(*since) < JUDGED_WITHIN);
        let (_, count) = judged.entry(peer).or_insert((now, 0));
        *count = count.saturating_add(1);
        *count <= JUDGED_MOST
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
