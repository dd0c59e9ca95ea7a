//! `start / shutdown`: everything is built in the order in which it is needed and stopped in reverse.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use careweave_certs::keystore::{KeyStoreError, SoftwareKey};
use careweave_certs::trust::TrustError;
use careweave_certs::{layout, private_file};
use careweave_protocol::frame;
use careweave_protocol::id::NodeKey;
use careweave_protocol::identity::EndpointRole;
use careweave_protocol::key::Signer;
use careweave_protocol::policy::{BundleError, PolicyBundle};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::answer;
use crate::answer::guard::Guard;
use crate::audit::{AuditError, AuditLog};
use crate::clock::{Clock, check_forward};
use crate::config::Config;
use crate::delivery::{self, Outbox};
use crate::desk;
use crate::enrolment::{self, EnrolmentServiceError};
use crate::net::gate::{Gate, GateError, Session, Sessions};
use crate::net::peers::{EndpointKey, PeerEnd, Peers};
use crate::net::{Endpoint, EndpointConfig, Handle, Inbound, Limits, Protocol, directory};
use crate::own::{self, OwnError, OwnIdentity};
use crate::rotate;
use crate::services::{Changed, Parts, Services};
use crate::store::database::{Database, StoreError};
use crate::upkeep;
use crate::view::medicines::dmd::{Dmd, DmdError};

/// Streams and events waiting to be looked at: a moment's burst; beyond it the handler answers busy.
const INBOUND: usize = 256;
/// Peers with news waiting for the upkeep task; more are covered by its next round.
const NEWS: usize = 64;
/// What a busy node asks others to wait before they come back.
const RETRY_MS: u32 = 1_000;
/// Time for exchanges under way to end before connections are cut.
const GRACE: Duration = Duration::from_secs(8);

/// Why a node did not start: always something here that somebody can mend.
#[derive(Debug, Error)]
pub enum StartError {
    /// Keys, certificates or trust.
    #[error(transparent)]
    Own(#[from] OwnError),
    /// What is believed.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The policy bundle.
    #[error(transparent)]
    Policy(#[from] BundleError),
    /// A listener.
    #[error(transparent)]
    Listen(#[from] crate::net::StartError),
    /// The clock woke behind what it showed before.
    #[error(
        "CLOCK_BACKWARDS {0} s: the clock is behind the highest time this node has seen; set it right and start again"
    )]
    ClockBackwards(u64),
    /// The authority of an enrolment service.
    #[error(transparent)]
    Enrolment(#[from] EnrolmentServiceError),
    /// A rotation that was cut short cannot be finished.
    #[error("a rotation that was cut short cannot be finished: {0}")]
    Rotation(#[from] rotate::RotateError),
    /// The dm+d release that the configuration names.
    #[error("the dm+d release cannot be used: {0}")]
    Dmd(#[from] DmdError),
    /// The policy bundle is not the one the manifest names.
    #[error("the policy bundle of this program is not the one the manifest names; install the matching version")]
    PolicyMismatch,
}

impl StartError {
    /// What to do about it, where the message does not say.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        self.key().and_then(KeyStoreError::hint)
    }

    /// Whether another start would make it worse: each sends the same wrong PIN, and a token locks itself after a few.
    #[must_use]
    pub fn must_not_be_repeated(&self) -> bool {
        matches!(self.key(), Some(KeyStoreError::WrongPin { .. } | KeyStoreError::PinLocked { .. }))
    }

    fn key(&self) -> Option<&KeyStoreError> {
        match self {
            Self::Own(OwnError::Key(error)) => Some(error),
            Self::Rotation(error) => error.key(),
            _ => None,
        }
    }
}

/// A running node.
pub struct Node {
    services: Arc<Services>,
    tasks: Vec<JoinHandle<()>>,
    endpoints: Vec<JoinHandle<()>>,
    inflight: Inflight,
}

impl Node {
    /// Starts everything and returns when the node serves.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: Config, clock: Clock) -> Result<Self, StartError> {
        let now = clock.now();

        // Who are we, and whom do we believe? A rotation that was cut short is finished first.
        rotate::finish_activation(&config.dir)?;
        let loaded = OwnIdentity::load(&config)?;
        let trust = loaded.load_trust(now)?.of(config.ods.clone());
        let own = loaded.identify(&config, &trust, now)?;

        // What do we hold, and does our log continue what it said before? RocksDB would make a directory that others may enter.
        private_file::create_dir(&config.data_dir).map_err(OwnError::from)?;
        let database = Database::open(&config.data_dir, &own.key_encryption_key()?)?;
        check_forward(now, upkeep::highest_time(&database)?).map_err(StartError::ClockBackwards)?;
        let earlier: Vec<NodeKey> = own::read_list(&config.dir, layout::LOG_KEYS)?;
        let signer = Arc::clone(&own.peer().signer) as Arc<dyn Signer>;
        let audit = AuditLog::open(database.clone(), &config.network, &config.ods, signer, &earlier)?;
        let guard = Guard::load(&database, now)?;

        // What may be read?
        let policy = PolicyBundle::baseline()?;
        if trust.manifest().policy.is_some_and(|named| named != policy.digest()) {
            return Err(StartError::PolicyMismatch);
        }

        let dmd = config.dmd.as_deref().map(Dmd::load).transpose()?;

        let enrolment = enrolment::Service::load(&config.dir)?;
        let beacon = beacon_key(&config.dir)?;

        // Only now may anybody connect.
        let (inbound, arriving) = mpsc::channel(INBOUND);
        let peers = start_peer_end(own.peer_keypair()?, Arc::clone(own.peer()), &config, inbound.clone()).await?;
        let (desk_events, from_desk) = mpsc::channel(INBOUND);
        let desk_config = endpoint(own.desk_keypair()?, config.desk_listen.clone(), vec![Protocol::Desk]);
        let (desk, desk_loop) = Endpoint::start(desk_config, desk_events).await?;
        own.renew(&config, &peers.gate.handle.listen_addresses(), now).map_err(OwnError::from)?;

        let (changed, news) = mpsc::channel(NEWS);
        let zone = jiff::tz::TimeZone::system().iana_name().unwrap_or("Europe/London").to_owned();
        let services = Arc::new(Services::new(Parts {
            zone,
            dmd,
            clock,
            desk: desk_gate(desk, Arc::clone(own.desk())),
            own,
            enrolment,
            beacon,
            database,
            audit,
            policy,
            guard,
            outbox: Outbox::default(),
            peers: Peers::new(peers),
            inbound,
            changed: Changed::new(changed),
            trust,
            config,
        }));
        services.directory.restore(&services);
        services.admin("started", None, format!("version {}", env!("CARGO_PKG_VERSION"))).await;
        let inflight = Inflight::default();
        let tasks = vec![
            tokio::spawn(accept_peers(Arc::clone(&services), arriving, inflight.clone())),
            tokio::spawn(accept_staff(Arc::clone(&services), from_desk, inflight.clone())),
            tokio::spawn(upkeep::run(Arc::clone(&services), news)),
            tokio::spawn(Outbox::run(Arc::clone(&services))),
        ];
        Ok(Self { services, tasks, endpoints: vec![desk_loop], inflight })
    }

    /// What the node works with, for whoever started it.
    #[must_use]
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// Stops in order: no new exchanges, those under way end, connections close, the log's writer ends, the store closes.
    pub async fn shutdown(self) {
        // First the tasks that begin things; a running exchange is not theirs.
        for task in &self.tasks {
            task.abort();
        }
        self.inflight.drained(GRACE).await;
        self.services.admin("stopped", None, "in order".to_owned()).await;
        self.services.desk.handle.shutdown().await;
        for end in self.services.peers.all() {
            end.gate.handle.shutdown().await;
        }
        for endpoint in self.endpoints {
            drop(endpoint.await);
        }
        self.services.audit.shutdown().await;
    }
}

fn endpoint(
    keypair: libp2p::identity::Keypair,
    listen: Vec<libp2p::Multiaddr>,
    offers: Vec<Protocol>,
) -> EndpointConfig {
    EndpointConfig {
        keypair,
        listen,
        offers,
        limits: Limits::default(),
        busy_frame: Arc::from(frame::busy(RETRY_MS).as_slice()),
        clock: Arc::new(|| {
            let millis = u64::try_from(Clock.now().0).unwrap_or(0);
            SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
        }),
    }
}

/// Starts a peer endpoint; what comes to it goes to the one queue that every peer endpoint shares. It is ended through its handle.
///
/// # Errors
/// When it cannot listen.
pub async fn start_peer_end(
    keypair: libp2p::identity::Keypair,
    key: Arc<EndpointKey>,
    config: &Config,
    inbound: mpsc::Sender<(Arc<PeerEnd>, Inbound)>,
) -> Result<Arc<PeerEnd>, crate::net::StartError> {
    let (events, mut arriving) = mpsc::channel(INBOUND);
    let offers = vec![Protocol::Manifest, Protocol::Query, Protocol::Deliver, Protocol::Enrol];
    let (handle, _) = Endpoint::start(endpoint(keypair, config.listen.clone(), offers), events).await?;
    let end = Arc::new(PeerEnd::new(handle, key));
    let to = Arc::clone(&end);
    tokio::spawn(async move {
        while let Some(event) = arriving.recv().await {
            // The node has stopped; nobody is left to serve.
            if inbound.send((Arc::clone(&to), event)).await.is_err() {
                return;
            }
        }
    });
    Ok(end)
}

fn desk_gate(handle: Handle, key: Arc<EndpointKey>) -> Gate {
    Gate { handle, role: EndpointRole::Desk, sessions: Sessions::default(), key }
}

/// The key that signs beacons; a node of before there was one has none.
fn beacon_key(dir: &std::path::Path) -> Result<Option<SoftwareKey>, OwnError> {
    let path = dir.join(layout::BEACON_KEY);
    if path.exists() { Ok(Some(SoftwareKey::read_plain(&path)?)) } else { Ok(None) }
}

/// Hands every event of the peer endpoints to a task of its own; the endpoints' own limits bound how many there are.
async fn accept_peers(
    services: Arc<Services>,
    mut events: mpsc::Receiver<(Arc<PeerEnd>, Inbound)>,
    inflight: Inflight,
) {
    while let Some((end, event)) = events.recv().await {
        match event {
            Inbound::Auth { peer, connection, role, stream } => {
                let services = Arc::clone(&services);
                tokio::spawn(async move {
                    let outcome = end.gate.authenticate(&services, peer, connection, role, stream).await;
                    if let Some(Session::Node(node)) = judged(peer, outcome) {
                        services.take_in_shown(&node.identity).await;
                    }
                });
            }
            Inbound::Exchange { peer, protocol, stream, .. } => {
                let Some(Session::Node(session)) = end.gate.sessions.get(&peer) else {
                    end.gate.handle.disconnect(peer).await;
                    continue;
                };
                let (services, counted) = (Arc::clone(&services), inflight.begin());
                tokio::spawn(async move {
                    let outcome: Result<(), String> = match protocol {
                        Protocol::Query => answer::answer(&services, &session, stream).await.map_err(|e| e.to_string()),
                        Protocol::Manifest => {
                            directory::serve(&services, &end, peer, stream).await.map_err(|e| e.to_string())
                        }
                        Protocol::Deliver => {
                            delivery::receive(&services, &session, stream).await.map_err(|e| e.to_string())
                        }
                        Protocol::Enrol => {
                            enrolment::serve(&services, &session, stream).await.map_err(|e| e.to_string())
                        }
                        _ => Err(NOT_SERVED.to_owned()),
                    };
                    ended(peer, protocol, outcome);
                    drop(counted);
                });
            }
            Inbound::Disconnected { peer, .. } => forget(&end.gate, peer),
        }
    }
}

/// As [`accept_peers`], for the organisation's own people.
async fn accept_staff(services: Arc<Services>, mut events: mpsc::Receiver<Inbound>, inflight: Inflight) {
    while let Some(event) = events.recv().await {
        match event {
            Inbound::Auth { peer, connection, role, stream } => {
                let services = Arc::clone(&services);
                tokio::spawn(async move {
                    judged(peer, services.desk.authenticate(&services, peer, connection, role, stream).await);
                });
            }
            Inbound::Exchange { peer, protocol, stream, .. } => {
                let Some(Session::Staff(staff)) = services.desk.sessions.get(&peer) else {
                    services.desk.handle.disconnect(peer).await;
                    continue;
                };
                let (services, counted) = (Arc::clone(&services), inflight.begin());
                tokio::spawn(async move {
                    let outcome = match protocol {
                        Protocol::Desk => desk::serve(&services, &staff, stream).await.map_err(|e| e.to_string()),
                        _ => Err(NOT_SERVED.to_owned()),
                    };
                    ended(peer, protocol, outcome);
                    drop(counted);
                });
            }
            Inbound::Disconnected { peer, .. } => forget(&services.desk, peer),
        }
    }
}

fn judged(peer: libp2p::PeerId, outcome: Result<Session, GateError>) -> Option<Session> {
    match outcome {
        Ok(session) => return Some(session),
        Err(error @ (GateError::Refused(_) | GateError::RefusedByPeer(_))) => {
            tracing::warn!(%peer, %error, "connection refused");
        }
        Err(error) => tracing::debug!(%peer, %error, "auth did not finish"),
    }
    None
}

fn ended(peer: libp2p::PeerId, protocol: Protocol, outcome: Result<(), String>) {
    if let Err(error) = outcome {
        tracing::info!(%peer, protocol = protocol.as_str(), %error, "exchange ended early");
    }
}

fn forget(gate: &Gate, peer: libp2p::PeerId) {
    if !gate.handle.is_admitted(peer) {
        gate.sessions.remove(&peer);
    }
}

const NOT_SERVED: &str = "protocol not served here";

/// Counts exchanges under way, so that a stopping node can wait for them.
#[derive(Debug, Clone)]
struct Inflight {
    count: tokio::sync::watch::Sender<usize>,
}

impl Default for Inflight {
    fn default() -> Self {
        Self { count: tokio::sync::watch::Sender::new(0) }
    }
}

impl Inflight {
    fn begin(&self) -> Counted {
        self.count.send_modify(|n| *n = n.saturating_add(1));
        Counted(self.count.clone())
    }

    async fn drained(&self, within: Duration) {
        let mut watching = self.count.subscribe();
        // Out of time is an answer too: connections are cut then.
        drop(tokio::time::timeout(within, watching.wait_for(|n| *n == 0)).await);
    }
}

/// One exchange under way; counted until it is dropped.
struct Counted(tokio::sync::watch::Sender<usize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n = n.saturating_sub(1));
    }
}
