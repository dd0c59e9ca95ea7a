//! What the node does without being asked: reach members, keep trust current, renew what ends, cut who may no longer stay.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use careweave_certs::keystore::KeyStoreError;
use careweave_protocol::desk::GovernanceDocument;
use careweave_protocol::directory::Verdict;
use careweave_protocol::id::OdsCode;
use careweave_protocol::key::Signer;
use careweave_protocol::limits::FAN_OUT_MAX;
use careweave_protocol::query::Cause;
use careweave_protocol::time::Timestamp;
use libp2p::multiaddr::Protocol as Part;
use libp2p::{Multiaddr, PeerId};
use serde_bytes::ByteBuf;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};

use crate::expiry_watch::ExpiryWatch;
use crate::metrics::{self, HeldRegister};
use crate::net::ConnectError;
use crate::net::directory::{self, Directory, peer_of};
use crate::net::gate::{NodeSession, Session};
use crate::net::peers::PeerEnd;
use crate::rotate;
use crate::services::{Refusal, Services};
use crate::store::database::{Family, StoreError};

/// Between two rounds of reaching members and checking sessions.
const ROUND: Duration = Duration::from_secs(15);
/// Until the first members are reached, rounds are short: a network that starts together finds itself in seconds.
const FIRST_ROUND: Duration = Duration::from_millis(500);
/// Times that a connected member is told what this node has become: a busy one may miss one or two.
const INTRODUCTIONS: usize = 3;
/// Time to reach one member.
const REACH: Duration = Duration::from_secs(5);
/// Between two beacons of a node that signs them; an hour is the longest the design allows, half of it survives one failure.
const BEACON_EVERY: Duration = Duration::from_secs(30 * 60);
/// Without a beacon for this long, somebody is warned: two that should have come did not.
const BEACON_LATE: Duration = Duration::from_secs(2 * 3600);
/// The clock has been put forward or back, rather than corrected, when it gains or loses this much between two rounds.
const CLOCK_STEP: Duration = Duration::from_secs(10);
/// Days before an end at which somebody is warned.
const WARN_DAYS: [i64; 4] = [30, 14, 7, 1];
/// Where the highest time seen is kept.
const HIGHEST_TIME: &[u8] = b"highest time";
/// Milliseconds in a day.
const DAY_MS: i64 = 86_400_000;

/// Runs until cancelled. Three things side by side: a member that is slow to be reached, or to say its news, must not put off that
/// another's connections are cut.
pub async fn run(services: Arc<Services>, news: mpsc::Receiver<PeerId>) {
    tokio::join!(rounds(&services), pulls(&services, news), cuts(&services), rotations(&services));
}

/// Takes the steps of rotations that time asks for. By itself, because asking every member takes as long as the slowest of them.
async fn rotations(services: &Arc<Services>) {
    let mut backoff = rotate::Backoff::new();
    let mut rounds = interval(ROUND);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        rotate::tick(services, &mut backoff).await;
    }
}

/// Acts on every change of trust at once.
async fn cuts(services: &Arc<Services>) {
    loop {
        services.changed.trust().await;
        sweep(services).await;
        for end in services.peers.all() {
            for (peer, _) in end.gate.sessions.all() {
                let end = Arc::clone(&end);
                tokio::spawn(async move { drop(timeout(REACH, directory::notify(&end, peer)).await) });
            }
        }
    }
}

/// Pulls from peers that say they have news: from each one at a time, so at most one for each connected peer. News that comes while one is
/// being asked may be newer than its answer, so it is asked once more.
async fn pulls(services: &Arc<Services>, mut news: mpsc::Receiver<PeerId>) {
    let mut pulling = JoinSet::new();
    let (mut from, mut again) = (HashSet::new(), HashSet::new());
    let ask = |peer: PeerId| {
        let services = Arc::clone(services);
        async move {
            for end in services.peers.all() {
                if end.gate.handle.is_admitted(peer) {
                    pull(&services, &end, peer).await;
                    break;
                }
            }
            peer
        }
    };
    loop {
        tokio::select! {
            Some(peer) = news.recv() => if from.insert(peer) {
                pulling.spawn(ask(peer));
            } else {
                again.insert(peer);
            },
            Some(done) = pulling.join_next() => match done {
                Ok(peer) if again.remove(&peer) => { pulling.spawn(ask(peer)); }
                Ok(peer) => { from.remove(&peer); }
                // Cannot happen; peers that are never forgotten would never be asked again.
                Err(_) => { from.clear(); again.clear(); }
            },
            else => return,
        }
    }
}

async fn rounds(services: &Arc<Services>) {
    let mut rounds = interval(FIRST_ROUND);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut long = false;
    // Ends are dates, so what is due is read off the clock and not off a timer: a machine that slept, or whose clock was put right, is late.
    let mut beacon_signed: Option<Timestamp> = None;
    let mut steps = ClockSteps::new(services.clock.now());
    let mut watch = ExpiryWatch::default();
    let mut register = HeldRegister::default();
    loop {
        rounds.tick().await;
        let now = services.clock.now();
        let renewed = services.own().renewal_due(now) && renew(services).await;
        if beacon_signed.is_none_or(|at| now < at || now >= at.after(BEACON_EVERY)) {
            sign_beacon(services).await;
            beacon_signed = Some(now);
        }
        // On open connections the others judge by what was shown when these began, the clock included.
        let stepped = steps.has_stepped(now);
        if services.reload().await || renewed || stepped {
            introduce(services).await;
        }
        // What ends by itself, a binding or a certificate, is no change of trust.
        sweep(services).await;
        let reached = reach(services).await;
        let store = (&services.database, &services.audit);
        if let Err(error) = services.reviews.escalate(store, &services.config.ods, services.clock.now()).await {
            tracing::error!(%error, "overdue reviews could not be escalated");
        }
        Directory::keep(services).await;
        look_ahead(services, &mut watch, &mut register).await;
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
    // Also where somebody was whose advert is over: after a long silence of everybody there is nothing else to go by.
    let mut wanted: Vec<(PeerId, Vec<Multiaddr>)> = services
        .directory
        .last_known(&services.trust())
        .into_iter()
        .map(|k| (k.peer, k.addresses))
        .take(FAN_OUT_MAX)
        .collect();
    for address in &services.config.bootstrap {
        if let Some(peer) = peer_of(address)
            && !wanted.iter().any(|(p, _)| *p == peer)
        {
            wanted.push((peer, vec![address.clone()]));
        }
    }
    let end = services.peers.current();
    let own = end.gate.handle.local_peer();
    wanted.retain(|(peer, _)| *peer != own);
    let mut all = !wanted.is_empty();
    let mut joining = JoinSet::new();
    for (peer, addresses) in wanted {
        let (services, end) = (Arc::clone(services), Arc::clone(&end));
        joining.spawn(async move {
            let Some(peer) = connect(&end, peer, addresses).await else { return false };
            pull(&services, &end, peer).await
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

/// Connects an endpoint to a member. An address is believed about where, never about whom: where another PeerId answers than the one we
/// knew, its member has changed its key since, and the gate asks that one who it is.
pub(crate) async fn connect(end: &PeerEnd, peer: PeerId, addresses: Vec<Multiaddr>) -> Option<PeerId> {
    let handle = &end.gate.handle;
    if handle.is_admitted(peer) {
        return Some(peer);
    }
    let reached = match handle.dial(peer, addresses.clone(), REACH).await {
        Ok(_) => peer,
        Err(ConnectError::WrongPeer { obtained }) => {
            let bare = addresses.into_iter().map(|a| a.into_iter().filter(|p| !matches!(p, Part::P2p(_))).collect());
            handle.dial(obtained, bare.collect(), REACH).await.ok()?;
            obtained
        }
        Err(_) => return None,
    };
    handle.wait_admitted(reached, REACH).await.ok()?;
    Some(reached)
}

/// Shows every connected member what this node is now.
pub async fn introduce(services: &Arc<Services>) {
    let mut telling = JoinSet::new();
    for end in services.peers.all() {
        for (peer, session) in end.gate.sessions.all() {
            let Session::Node(node) = session else { continue };
            let (services, end) = (Arc::clone(services), Arc::clone(&end));
            telling.spawn(async move {
                let ods = node.identity.ods();
                for _ in 0..INTRODUCTIONS {
                    match timeout(REACH, directory::introduce(&services, &end, peer)).await {
                        Ok(Ok(Verdict { refused: Some(cause @ Cause::ClockSkew(_)), .. })) => {
                            return cut(&services, &end, (peer, ods), Refusal::Theirs(cause)).await;
                        }
                        Ok(Ok(Verdict { refused: Some(cause), .. })) => {
                            return tracing::warn!(%ods, %cause, "a member does not accept what this node has become");
                        }
                        Ok(Ok(_)) => return,
                        Ok(Err(error)) => tracing::debug!(%ods, %error, "not introduced"),
                        Err(_) => tracing::debug!(%ods, "not introduced in time"),
                    }
                    if !end.gate.handle.is_admitted(peer) {
                        // It learns when it connects again.
                        return;
                    }
                }
                // It must not go on with what this node was: receipts would be kept with a chain that nobody believes any more.
                tracing::warn!(%ods, "connection ended, because the member could not be told what this node has become");
                end.gate.handle.disconnect(peer).await;
                end.gate.sessions.remove(&peer);
            });
        }
    }
    while telling.join_next().await.is_some() {}
}

async fn pull(services: &Arc<Services>, end: &PeerEnd, peer: PeerId) -> bool {
    match directory::pull(services, end, peer).await {
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
    for end in services.peers.all() {
        for (peer, session) in end.gate.sessions.all() {
            if let Session::Node(node) = session
                && let Err(cause) = current(services, &node, now)
            {
                cut(services, &end, (peer, node.identity.ods()), Refusal::Ours(cause)).await;
            }
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

/// Ends the connection with a member that may not stay, or does not let us, and says why in log and `node peers`.
pub(crate) async fn cut(services: &Services, end: &PeerEnd, member: (PeerId, &OdsCode), refusal: Refusal) {
    let (peer, ods) = member;
    tracing::warn!(%ods, cause = %refusal, "connection cut");
    end.gate.handle.disconnect(peer).await;
    end.gate.sessions.remove(&peer);
    let detail = format!("{ods} {refusal}");
    services.note_refusal(peer, Some(refusal));
    services.admin("connection-cut", None, detail).await;
}

fn current(services: &Services, node: &NodeSession, now: Timestamp) -> Result<(), Cause> {
    services.trust().recheck(&node.identity, now)
}

/// Says once for each threshold what is about to end, and writes what is measured.
async fn look_ahead(services: &Arc<Services>, watch: &mut ExpiryWatch, register: &mut HeldRegister) {
    let (looking, now) = (Arc::clone(services), services.clock.now());
    let mut held = std::mem::take(register);
    let looking = tokio::task::spawn_blocking(move || (metrics::endings(&looking, &mut held, now), held));
    // Cancelled only when the runtime stops.
    let Ok((endings, held)) = looking.await else { return };
    *register = held;
    for crossed in watch.warn_once(&endings, now) {
        let (what, at) = (&crossed.ending.what, crossed.ending.at);
        let days = at.0.saturating_sub(now.0).div_euclid(DAY_MS);
        tracing::warn!(%what, until = %at.rfc3339(), days, urgency = ?crossed.urgency, "it ends soon, or is over");
    }
    if let Err(error) = metrics::write(services, endings, now).await {
        tracing::warn!(%error, "measurements could not be written");
    }
}

async fn renew(services: &Arc<Services>) -> bool {
    let renewed = services.renew().await;
    if let Err(error) = &renewed {
        let until = services.own().binding_expires().rfc3339();
        match organisation_key(services).await {
            Some(why) => {
                let hint = why.hint().unwrap_or_default();
                tracing::error!(%error, %why, hint, until, "binding and advert could not be renewed");
            }
            None => tracing::error!(%error, until, "binding and advert could not be renewed"),
        }
    }
    renewed.is_ok()
}

/// Why the organisation's key cannot be used now: a token that is away says so only when it is asked.
async fn organisation_key(services: &Arc<Services>) -> Option<KeyStoreError> {
    let own = services.own();
    // Cancelled only when the runtime stops.
    tokio::task::spawn_blocking(move || own.organisation().check().err()).await.ok().flatten()
}

/// Tells a clock that was put forward or back, or a machine that slept, from time that passed.
#[derive(Debug)]
struct ClockSteps {
    seen: Timestamp,
    at: Instant,
}

impl ClockSteps {
    fn new(now: Timestamp) -> Self {
        Self { seen: now, at: Instant::now() }
    }

    /// Whether the clock has gained or lost more than [`CLOCK_STEP`] since this was last asked.
    fn has_stepped(&mut self, now: Timestamp) -> bool {
        let passed = self.at.elapsed();
        let expected = self.seen.after(passed);
        *self = Self::new(now);
        now.since(expected).max(expected.since(now)) > CLOCK_STEP
    }
}

/// Signs a beacon where the manifest names this node for it.
async fn sign_beacon(services: &Arc<Services>) {
    let beacon = {
        let trust = services.trust();
        let Some(key) = &services.beacon else { return };
        let named = key.public_key().node_key().is_some_and(|node| trust.runs_beacon(&services.config.ods, node));
        if !named {
            return;
        }
        trust.sign_beacon(&services.config.ods, key, services.clock.now())
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
    ends("CERT", services.own().identity().certificate().not_after());
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
