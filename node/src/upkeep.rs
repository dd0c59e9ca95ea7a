//! What the node does without being asked: reach members, keep trust current, renew what ends, cut who may no longer stay.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use careweave_protocol::desk::GovernanceDocument;
use careweave_protocol::limits::FAN_OUT_MAX;
use careweave_protocol::query::Cause;
use careweave_protocol::time::Timestamp;
use libp2p::{Multiaddr, PeerId};
use serde_bytes::ByteBuf;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};

use crate::net::directory::{self, peer_of};
use crate::net::gate::{NodeSession, Session};
use crate::services::{Refusal, Services};
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

/// Runs until cancelled. Three things side by side: a member that is slow to be reached, or to say its news, must not put off that
/// another's connections are cut.
pub async fn run(services: Arc<Services>, news: mpsc::Receiver<PeerId>) {
    tokio::join!(rounds(&services), pulls(&services, news), cuts(&services));
}

/// Acts on every change of trust at once.
async fn cuts(services: &Arc<Services>) {
    loop {
        services.changed.trust().await;
        sweep(services).await;
        for (peer, _) in services.peers.sessions.all() {
            let services = Arc::clone(services);
            tokio::spawn(async move { drop(timeout(REACH, directory::notify(&services, peer)).await) });
        }
    }
}

/// Pulls from peers that say they have news: from each one at a time, so at most one for each connected peer.
async fn pulls(services: &Arc<Services>, mut news: mpsc::Receiver<PeerId>) {
    let mut pulling = JoinSet::new();
    let mut from = HashSet::new();
    loop {
        tokio::select! {
            Some(peer) = news.recv() => if from.insert(peer) {
                let services = Arc::clone(services);
                pulling.spawn(async move {
                    pull(&services, peer).await;
                    peer
                });
            },
            Some(done) = pulling.join_next() => match done {
                Ok(peer) => { from.remove(&peer); }
                // Cannot happen; peers that are never forgotten would never be asked again.
                Err(_) => from.clear(),
            },
            else => return,
        }
    }
}

async fn rounds(services: &Arc<Services>) {
    let mut rounds = interval(FIRST_ROUND);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut long = false;
    let mut beacon_at = Instant::now();
    let mut renew_at = Instant::now() + RENEW_EVERY;
    loop {
        rounds.tick().await;
        if Instant::now() >= renew_at {
            renew(services);
            renew_at = Instant::now() + RENEW_EVERY;
        }
        if Instant::now() >= beacon_at {
            sign_beacon(services).await;
            beacon_at = Instant::now() + BEACON_EVERY;
        }
        services.reload().await;
        // What ends by itself, a binding or a certificate, is no change of trust.
        sweep(services).await;
        let reached = reach(services).await;
        let store = (&services.database, &services.audit);
        if let Err(error) = services.reviews.escalate(store, &services.config.ods, services.clock.now()).await {
            tracing::error!(%error, "overdue reviews could not be escalated");
        }
        if let Err(error) = keep_time(services).await {
            tracing::error!(%error, "highest time could not be kept");
        }
        if reached && !long {
            long = true;
            rounds = interval(ROUND);
            rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            rounds.reset();
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
    let mut joining = JoinSet::new();
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
    let others = services.trust().manifest().members.iter().filter(|m| m.ods != services.config.ods).count();
    // Our own advert comes back with the others' and is not one of them.
    let known = services.directory.all(now).into_iter().filter(|(ods, _)| *ods != services.config.ods).count();
    all && known >= others
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
            services.note_refusal(peer, Some(Refusal::Ours(cause)));
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
    // Read once and let go: the reviews are many, and whoever changes what is trusted must not wait for them.
    let (manifest_expires, known) = {
        let trust = services.trust();
        (trust.manifest().expires, trust.current_as_of())
    };
    ends("MANIFEST", manifest_expires);
    if now.since(known) > BEACON_LATE {
        warnings.push(Cause::BeaconStale(Some(known)).to_string());
    }
    warnings.extend(crate::review::warning(&services.database, now));
    warnings
}
