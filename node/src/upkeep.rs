//! What the node does without being asked: reach members, keep trust current, renew what ends, cut who may no longer stay.

use std::sync::Arc;
use std::time::Duration;

use careweave_protocol::desk::GovernanceDocument;
use careweave_protocol::limits::FAN_OUT_MAX;
use careweave_protocol::query::Cause;
use careweave_protocol::time::Timestamp;
use libp2p::{Multiaddr, PeerId};
use serde_bytes::ByteBuf;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval, timeout};

use crate::net::directory::{self, peer_of};
use crate::net::gate::{NodeSession, Session};
use crate::services::{Change, Services};
use crate::store::database::{Family, StoreError};

/// Between two rounds of reaching members and checking sessions.
const ROUND: Duration = Duration::from_secs(15);
/// Until the first members are reached, rounds are short: a network that starts together finds itself in seconds.
const FIRST_ROUND: Duration = Duration::from_millis(500);
/// Time to reach one member.
const REACH: Duration = Duration::from_secs(5);
/// Between two beacons of a node that signs them; an hour is the longest the design allows, half of it survives one failure.
const BEACON_EVERY: Duration = Duration::from_secs(30 * 60);
/// Without a beacon for this long, somebody is warned: two that should have come did not.
const BEACON_LATE: Duration = Duration::from_secs(2 * 3600);
/// Own binding and advert are renewed at half the advert's life.
const RENEW_EVERY: Duration = Duration::from_secs(12 * 3600);
/// Days before an end at which somebody is warned.
const WARN_DAYS: [i64; 4] = [30, 14, 7, 1];
/// Where the highest time seen is kept.
const HIGHEST_TIME: &[u8] = b"highest time";
/// Milliseconds in a day.
const DAY_MS: i64 = 86_400_000;

/// Runs until cancelled.
pub async fn run(services: Arc<Services>, mut changes: mpsc::Receiver<Change>) {
    let mut rounds = interval(FIRST_ROUND);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut long = false;
    let mut beacon_at = Instant::now();
    let mut renew_at = Instant::now() + RENEW_EVERY;
    loop {
        tokio::select! {
            _ = rounds.tick() => {
                if Instant::now() >= renew_at {
                    renew(&services);
                    renew_at = Instant::now() + RENEW_EVERY;
                }
                if Instant::now() >= beacon_at {
                    sign_beacon(&services).await;
                    beacon_at = Instant::now() + BEACON_EVERY;
                }
                services.reload().await;
                let reached = reach(&services).await;
                sweep(&services).await;
                if let Err(error) = keep_time(&services).await {
                    tracing::error!(%error, "highest time could not be kept");
                }
                if reached && !long {
                    long = true;
                    rounds = interval(ROUND);
                    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
                    rounds.reset();
                }
            }
            Some(change) = changes.recv() => match change {
                Change::PullFrom(peer) => {
                    pull(&services, peer).await;
                }
                Change::Trust => {
                    sweep(&services).await;
                    for (peer, _) in services.peers.sessions.all() {
                        let services = Arc::clone(&services);
                        tokio::spawn(async move { drop(directory::notify(&services, peer).await) });
                    }
                }
            },
        }
    }
}

/// Connects to every known member, up to what one view asks, and pulls from whoever is connected. Gives whether every
/// member whose address is known is connected, and somebody is.
async fn reach(services: &Arc<Services>) -> bool {
    let now = services.clock.now();
    let mut wanted: Vec<(PeerId, Vec<Multiaddr>)> =
        services.directory.all(now).into_iter().map(|(_, k)| (k.peer, k.addresses)).take(FAN_OUT_MAX).collect();
    for address in &services.config.bootstrap {
        if let Some(peer) = peer_of(address)
            && !wanted.iter().any(|(p, _)| *p == peer)
        {
            wanted.push((peer, vec![address.clone()]));
        }
    }
    let own = services.peers.handle.local_peer();
    wanted.retain(|(peer, _)| *peer != own);
    let mut all = !wanted.is_empty();
    let mut joining = tokio::task::JoinSet::new();
    for (peer, addresses) in wanted {
        let services = Arc::clone(services);
        joining.spawn(async move {
            let handle = &services.peers.handle;
            if !handle.is_admitted(peer) {
                if handle.dial(peer, addresses, REACH).await.is_err() {
                    return false;
                }
                if handle.wait_admitted(peer, REACH).await.is_err() {
                    return false;
                }
            }
            pull(&services, peer).await
        });
    }
    while let Some(joined) = joining.join_next().await {
        all &= joined.unwrap_or(false);
    }
    let members = services.trust().manifest().members.len();
    all && services.directory.all(now).len() + 1 >= members
}

async fn pull(services: &Services, peer: PeerId) -> bool {
    match directory::pull(services, peer).await {
        Ok(_) => true,
        Err(error) => {
            tracing::debug!(%peer, %error, "nothing pulled");
            false
        }
    }
}

/// Checks every session against what is believed now, and cuts those that would not be admitted any more.
pub async fn sweep(services: &Services) {
    let now = services.clock.now();
    for (peer, session) in services.peers.sessions.all() {
        if let Session::Node(node) = session
            && let Err(cause) = current(services, &node, now)
        {
            tracing::warn!(ods = %node.identity.ods(), %cause, "connection cut");
            services.peers.handle.disconnect(peer).await;
            services.peers.sessions.remove(&peer);
            let detail = format!("{} {cause}", node.identity.ods());
            services.note_cause(peer, Some(cause));
            services.admin("connection-cut", None, detail).await;
        }
    }
    for (peer, session) in services.desk.sessions.all() {
        if let Session::Staff(staff) = session
            && services.check_own_staff(staff.credential.signed(), now).is_err()
        {
            services.desk.handle.disconnect(peer).await;
            services.desk.sessions.remove(&peer);
        }
    }
}

fn current(services: &Services, node: &NodeSession, now: Timestamp) -> Result<(), Cause> {
    services.trust().recheck(&node.identity, now)
}

fn renew(services: &Services) {
    let addresses = services.peers.handle.listen_addresses();
    if let Err(error) = services.own.renew(&services.config, &addresses, services.clock.now()) {
        tracing::error!(%error, "binding and advert could not be renewed");
    }
}

/// Signs a beacon where the manifest names this node for it.
async fn sign_beacon(services: &Arc<Services>) {
    let beacon = {
        let trust = services.trust();
        if !trust.runs_beacon(&services.config.ods, services.node_key()) {
            return;
        }
        trust.sign_beacon(&services.config.ods, services.node_signer(), services.clock.now())
    };
    match beacon {
        Ok(signed) => {
            let document = GovernanceDocument::Beacon(ByteBuf::from(signed.signed().as_bytes().to_vec()));
            if let Err(error) = services.take_in(&document).await {
                tracing::error!(%error, "own beacon not taken in");
            }
        }
        Err(error) => tracing::error!(%error, "beacon could not be signed"),
    }
}

/// The highest time this store has seen.
///
/// # Errors
/// When the store fails.
pub fn highest_time(database: &crate::store::database::Database) -> Result<Option<Timestamp>, StoreError> {
    let bytes = database.get(Family::Meta, HIGHEST_TIME)?;
    Ok(bytes.and_then(|b| b.try_into().ok()).map(|b| Timestamp(i64::from_be_bytes(b))))
}

async fn keep_time(services: &Services) -> Result<(), StoreError> {
    let (database, now) = (services.database.clone(), services.clock.now());
    let kept = tokio::task::spawn_blocking(move || {
        if highest_time(&database)?.is_some_and(|seen| seen >= now) {
            return Ok(());
        }
        let mut batch = rocksdb::WriteBatch::default();
        database.put(&mut batch, Family::Meta, HIGHEST_TIME, &now.0.to_be_bytes())?;
        database.write_buffered(batch)
    });
    // Cancelled only when the runtime stops.
    timeout(ROUND, kept).await.ok().and_then(Result::ok).unwrap_or(Ok(()))
}

/// What somebody should see to, named.
#[must_use]
pub fn warnings(services: &Services, now: Timestamp) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut ends = |name: &str, at: Timestamp| {
        let days = (at.0 - now.0) / DAY_MS;
        if at <= now {
            warnings.push(format!("{name}_EXPIRED"));
        } else if WARN_DAYS.iter().any(|limit| days < *limit) {
            warnings.push(format!("{name}_EXPIRES {days} d"));
        }
    };
    ends("CERT", services.own.certificate_expires());
    let trust = services.trust();
    ends("MANIFEST", trust.manifest().expires);
    let known = trust.current_as_of();
    if now.since(known) > BEACON_LATE {
        warnings.push(Cause::BeaconStale(Some(known)).to_string());
    }
    warnings
}
