//! `start / shutdown`: everything is built in the order in which it is needed and stopped in reverse.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use careweave_certs::private_file;
use careweave_certs::trust::TrustError;
use careweave_protocol::frame;
use careweave_protocol::identity::EndpointRole;
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
use crate::net::gate::{Gate, GateError, Session, Sessions};
use crate::net::{Endpoint, EndpointConfig, Handle, Inbound, Limits, Protocol, directory};
use crate::own::{OwnError, OwnIdentity};
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
    /// The dm+d release that the configuration names.
    #[error("the dm+d release cannot be used: {0}")]
    Dmd(#[from] DmdError),
    /// The policy bundle is not the one the manifest names.
    #[error("the policy bundle of this program is not the one the manifest names; install the matching version")]
    PolicyMismatch,
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

        // Who are we, and whom do we believe?
        let loaded = OwnIdentity::load(&config)?;
        let trust = loaded.load_trust(now)?;
        let own = loaded.identify(&config, &trust, now)?;

        // What do we hold, and does our log continue what it said before? RocksDB would make a directory that others may enter.
        private_file::create_dir(&config.data_dir).map_err(OwnError::from)?;
        let database = Database::open(&config.data_dir, &own.key_encryption_key()?)?;
        check_forward(now, upkeep::highest_time(&database)?).map_err(StartError::ClockBackwards)?;
        let audit = AuditLog::open(database.clone(), &config.network, &config.ods, own.node_signer_shared(), &[])?;
        let guard = Guard::load(&database, now)?;

        // What may be read?
        let policy = PolicyBundle::baseline()?;
        if trust.manifest().policy.is_some_and(|named| named != policy.digest()) {
            return Err(StartError::PolicyMismatch);
        }

        let dmd = config.dmd.as_deref().map(Dmd::load).transpose()?;

        // Only now may anybody connect.
        let (peer_events, from_peers) = mpsc::channel(INBOUND);
        let offers = vec![Protocol::Manifest, Protocol::Query, Protocol::Deliver];
        let peer_config = endpoint(own.peer_keypair()?, config.listen.clone(), offers);
        let (peers, peer_loop) = Endpoint::start(peer_config, peer_events).await?;
        let (desk_events, from_desk) = mpsc::channel(INBOUND);
        let desk_config = endpoint(own.desk_keypair()?, config.desk_listen.clone(), vec![Protocol::Desk]);
        let (desk, desk_loop) = Endpoint::start(desk_config, desk_events).await?;
        own.renew(&config, &peers.listen_addresses(), now).map_err(OwnError::from)?;

        let (changed, news) = mpsc::channel(NEWS);
        let zone = jiff::tz::TimeZone::system().iana_name().unwrap_or("Europe/London").to_owned();
        let services = Arc::new(Services::new(Parts {
            zone,
            dmd,
            clock,
            own,
            database,
            audit,
            policy,
            guard,
            outbox: Outbox::default(),
            peers: gate(peers, EndpointRole::Peer),
            desk: gate(desk, EndpointRole::Desk),
            changed: Changed::new(changed),
            trust,
            config,
        }));
        services.admin("started", None, format!("version {}", env!("CARGO_PKG_VERSION"))).await;
        let inflight = Inflight::default();
        let tasks = vec![
            tokio::spawn(accept(Arc::clone(&services), EndpointRole::Peer, from_peers, inflight.clone())),
            tokio::spawn(accept(Arc::clone(&services), EndpointRole::Desk, from_desk, inflight.clone())),
            tokio::spawn(upkeep::run(Arc::clone(&services), news)),
            tokio::spawn(Outbox::run(Arc::clone(&services))),
        ];
        Ok(Self { services, tasks, endpoints: vec![peer_loop, desk_loop], inflight })
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
        self.services.peers.handle.shutdown().await;
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

fn gate(handle: Handle, role: EndpointRole) -> Gate {
    Gate { handle, role, sessions: Sessions::default() }
}

/// Hands every event of one endpoint to a task of its own; the endpoint's own limits bound how many there are.
async fn accept(services: Arc<Services>, role: EndpointRole, mut events: mpsc::Receiver<Inbound>, inflight: Inflight) {
    while let Some(event) = events.recv().await {
        let gate = match role {
            EndpointRole::Peer => &services.peers,
            EndpointRole::Desk => &services.desk,
        };
        match event {
            Inbound::Auth { peer, connection, role: side, stream } => {
                let services = Arc::clone(&services);
                tokio::spawn(async move {
                    let gate = match role {
                        EndpointRole::Peer => &services.peers,
                        EndpointRole::Desk => &services.desk,
                    };
                    let outcome = gate.authenticate(&services, peer, connection, side, stream).await;
                    match outcome {
                        Ok(Session::Node(node)) => services.take_in_revocation(&node.identity).await,
                        Ok(Session::Staff(_)) => {}
                        Err(error @ (GateError::Refused(_) | GateError::RefusedByPeer(_))) => {
                            tracing::warn!(%peer, %error, "connection refused");
                        }
                        Err(error) => tracing::debug!(%peer, %error, "auth did not finish"),
                    }
                });
            }
            Inbound::Exchange { peer, protocol, stream, .. } => {
                let Some(session) = gate.sessions.get(&peer) else {
                    gate.handle.disconnect(peer).await;
                    continue;
                };
                let (services, counted) = (Arc::clone(&services), inflight.begin());
                tokio::spawn(async move {
                    exchange(&services, peer, session, protocol, stream).await;
                    drop(counted);
                });
            }
            Inbound::Disconnected { peer, .. } => {
                if !gate.handle.is_admitted(peer) {
                    gate.sessions.remove(&peer);
                }
            }
        }
    }
}

async fn exchange(
    services: &Arc<Services>,
    peer: libp2p::PeerId,
    session: Session,
    protocol: Protocol,
    stream: crate::net::ExchangeStream,
) {
    let outcome: Result<(), String> = match (&session, protocol) {
        (Session::Node(node), Protocol::Query) => {
            answer::answer(services, node, stream).await.map_err(|e| e.to_string())
        }
        (Session::Node(_), Protocol::Manifest) => {
            directory::serve(services, peer, stream).await.map_err(|e| e.to_string())
        }
        (Session::Node(node), Protocol::Deliver) => {
            delivery::receive(services, node, stream).await.map_err(|e| e.to_string())
        }
        (Session::Staff(staff), Protocol::Desk) => {
            desk::serve(services, staff, stream).await.map_err(|e| e.to_string())
        }
        _ => Err("protocol not served here".to_owned()),
    };
    if let Err(error) = outcome {
        tracing::info!(%peer, protocol = protocol.as_str(), %error, "exchange ended early");
    }
}

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
