//! Changing the node's keys and certificate while it runs. *When* is `careweave_certs::rotation`'s to say, or a person's; here is how.
//!
//! Every step is: make or fetch what is new, ask the others, move files so that a crash leaves either the old or the new, take the new in,
//! tell everybody, log it. The predecessor goes on being accepted until the overlap is over; then its private key is destroyed.

mod files;
mod successor;

pub use files::finish_activation;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use careweave_certs::keystore::KeyStoreError;
use careweave_certs::private_file::PrivateFileError;
use careweave_certs::rotation::{Due, Life, Rotations, Stage};
use careweave_protocol::cbor::CborError;
use careweave_protocol::desk::{RotationOrder, RotationPart, RotationReport, RotationState};
use careweave_protocol::identity::StaffCredential;
use careweave_protocol::query::Cause;
use careweave_protocol::signed::SignedError;
use careweave_protocol::time::Timestamp;
use thiserror::Error;

use crate::enrolment::RenewError;
use crate::net::directory::Directory;
use crate::net::gate::Session;
use crate::net::peers::PeerEnd;
use crate::own::{self, OwnError, OwnIdentity, endpoint_key, keypair};
use crate::rehearse::{ask_all, stands_in_the_way};
use crate::services::Services;
use crate::upkeep::{connect, introduce};

/// Why a step was not taken. What was in use stays in use.
#[derive(Debug, Error)]
pub enum RotateError {
    /// Keys or certificates on disk.
    #[error(transparent)]
    Own(#[from] OwnError),
    /// A key could not be made, read or destroyed.
    #[error(transparent)]
    Key(#[from] KeyStoreError),
    /// A file.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// A file could not be moved.
    #[error("{path}: {source}")]
    Move {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A statement could not be signed.
    #[error(transparent)]
    Signing(#[from] SignedError),
    /// A certificate request could not be made.
    #[error(transparent)]
    Request(#[from] careweave_certs::authority::AuthorityError),
    /// Something could not be encoded, which no rotation causes.
    #[error(transparent)]
    Encode(#[from] CborError),
    /// No member runs the enrolment service, or none issued.
    #[error("no certificate was issued: {0}")]
    Renewal(#[from] RenewError),
    /// The enrolment service refuses.
    #[error("the enrolment service refuses: {0}")]
    Refused(Cause),
    /// The successor waits for a certificate that has to be carried by hand.
    #[error("the successor has no certificate yet")]
    NoCertificate,
    /// One endorsed key endorses nobody.
    #[error("the manifest does not pin the present organisation key yet")]
    NotPinned,
    /// Certificate and organisation key share the files of the next chain.
    #[error("the organisation's {0} is being changed; that has to come to its end first")]
    OtherUnderWay(&'static str),
    /// The organisation key lies in a token, and a successor has to be made there first.
    #[error("the organisation key lies in a token, and no successor has been made there")]
    InToken,
    /// An endpoint could not be started.
    #[error(transparent)]
    Endpoint(#[from] crate::net::StartError),
    /// A task was cancelled: the node is stopping.
    #[error("the node is stopping")]
    Stopping,
}

impl RotateError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Renewal(_) | Self::NoCertificate => {
                "`careweave cert request`, have the office `gov issue` it, `careweave cert install`; then order the rotation again"
            }
            Self::Refused(_) => "see to the cause, then order the rotation again; nothing was changed",
            Self::NotPinned => {
                "have the office `gov admit` a fresh `cert request` and publish; then order the rotation again"
            }
            Self::OtherUnderWay(_) => {
                "order that one again, with --force once its successor is in use, to end its overlap now"
            }
            Self::InToken => "`careweave cert request --for organisation-key --pkcs11 URI` makes one in the token",
            _ => {
                let of_key = self.key().and_then(KeyStoreError::hint);
                of_key.unwrap_or("nothing was changed; the node's log says more")
            }
        }
    }

    /// The key that could not be made, read or destroyed, where that is why.
    #[must_use]
    pub fn key(&self) -> Option<&KeyStoreError> {
        match self {
            Self::Key(error) | Self::Own(OwnError::Key(error)) => Some(error),
            _ => None,
        }
    }
}

/// The life of what is in use.
#[must_use]
pub fn life(services: &Services, part: RotationPart) -> Life {
    match part {
        RotationPart::Certificate => services.own().certificate_life(),
        // Keys end when their organisation says so; the certificate over one is what runs out.
        RotationPart::OrganisationKey | RotationPart::NodeKey => Life { issued_at: services.started, not_after: None },
    }
}

/// Parts whose step failed, and when it is tried again.
pub type Backoff = BTreeMap<RotationPart, Timestamp>;

/// What time alone asks for, part by part. Problems are logged and tried again after `AGAIN`.
pub async fn tick(services: &Arc<Services>, backoff: &mut Backoff) {
    let now = services.clock.now();
    let Ok(rotations) = own::rotations(&services.config.dir) else { return };
    backoff.retain(|_, until| now < *until);
    if let Ok(_nobody_rotates) = services.rotating.try_lock()
        && let Err(error) = mend_endpoint(services).await
    {
        tracing::error!(%error, "the endpoint of the present node key could not be started");
    }
    for part in RotationPart::ALL {
        let life = life(services, part);
        let due = Stage::due(rotations.0.get(&part), life, now);
        let served = !services.trust().manifest().enrolment.is_empty();
        if backoff.contains_key(&part) || other_under_way(&rotations, part).is_some() {
            continue;
        }
        // Better without the few who would not follow than without everybody.
        let force = life.not_after.is_some_and(|end| now.after(LAST_CALL) >= end);
        let order = RotationOrder { part, rehearse: false, force };
        let outcome = match due {
            Due::Nothing => continue,
            // Without an enrolment service somebody has to carry files; the warnings say when.
            Due::Prepare if !served => continue,
            Due::Prepare => step(services, None, order, Only::Prepare).await,
            Due::Activate => step(services, None, order, Only::Activate).await,
            Due::Retire => step(services, None, order, Only::Retire).await,
        };
        match outcome {
            Ok(report) if report.done => tracing::info!(part = part.as_str(), said = report.said, "rotation"),
            Ok(report) => {
                tracing::warn!(part = part.as_str(), said = report.said, "rotation waits");
                backoff.insert(part, now.after(AGAIN));
            }
            Err(error) => {
                tracing::warn!(part = part.as_str(), %error, "rotation waits");
                backoff.insert(part, now.after(AGAIN));
            }
        }
    }
}

/// The other part that uses the same files, while it is being changed.
fn other_under_way(rotations: &Rotations, part: RotationPart) -> Option<RotationPart> {
    let other = match part {
        RotationPart::Certificate => RotationPart::OrganisationKey,
        RotationPart::OrganisationKey => RotationPart::Certificate,
        RotationPart::NodeKey => return None,
    };
    (rotations.0.contains_key(&other) && !rotations.0.contains_key(&part)).then_some(other)
}

/// After a step that failed, before it is tried again: whoever stands in the way needs a while to see to it.
const AGAIN: Duration = Duration::from_secs(10 * 60);
/// This long before its end a certificate is put in use whoever would not follow.
const LAST_CALL: Duration = Duration::from_secs(7 * 24 * 3600);

/// What a person orders: prepare and put in use, or, during an overlap, end it.
///
/// # Errors
/// See [`RotateError`].
pub async fn order(
    services: &Arc<Services>,
    person: Option<&StaffCredential>,
    order: RotationOrder,
) -> Result<RotationReport, RotateError> {
    step(services, person, order, Only::Everything).await
}

/// How far one step may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Only {
    Prepare,
    Activate,
    Retire,
    Everything,
}

async fn step(
    services: &Arc<Services>,
    person: Option<&StaffCredential>,
    order: RotationOrder,
    only: Only,
) -> Result<RotationReport, RotateError> {
    let _one_at_a_time = services.rotating.lock().await;
    let part = order.part;
    let mut rotations = own::rotations(&services.config.dir)?;
    if let Some(other) = other_under_way(&rotations, part) {
        return Err(RotateError::OtherUnderWay(other.as_str()));
    }
    let stage = rotations.0.remove(&part);
    let before = Stage::state(stage.as_ref());
    let mut report = RotationReport {
        part,
        before,
        now: before,
        members: Vec::new(),
        said: String::new(),
        next: String::new(),
        done: false,
    };
    if let Some(Stage::Overlap { until, .. }) = stage {
        return overlap(services, person, order, only, until, report).await;
    }
    if only == Only::Retire {
        return Ok(report);
    }
    if order.rehearse {
        // Asking changes nothing, not even here: where there is no successor to show, what is in use stands for it.
        let candidate = successor::rehearsed(services, part).await?;
        let about = match candidate {
            Some(_) => "they were asked about the successor",
            None => "no successor is prepared yet, so they were asked about what is in use",
        };
        report.members = ask_all(services, candidate).await;
        return Ok(rehearsed(report, about));
    }
    if stage.is_none() {
        successor::prepare(services, part).await?;
        keep_stage(services, part, Some(Stage::Prepared { since: services.clock.now() }))?;
        services.admin("rotation-prepared", person, part.as_str().to_owned()).await;
        report.now = RotationState::Prepared;
    }
    if only == Only::Prepare {
        report.said = "a successor is prepared".to_owned();
        report.done = true;
        return Ok(report);
    }
    // The certificate may have come by hand since.
    successor::complete(services, part).await?;
    successor::believed(services, part).await?;
    let candidate = successor::candidate(services, part).await?;
    report.members = ask_all(services, Some(candidate)).await;
    let behind = match only {
        // The timer waits for whoever would refuse; somebody who is off for a while learns when they come back.
        Only::Activate => report.members.iter().filter(|v| v.refused.is_some()).map(|v| v.ods.to_string()).collect(),
        _ => behind(&report),
    };
    if !behind.is_empty() && !order.force {
        report.said = format!("not put in use: {} would be left behind", behind.join(" "));
        report.next = "see to them and order it again; --force goes on without them".to_owned();
        return Ok(report);
    }
    let left = if behind.is_empty() { String::new() } else { format!(" without {}", behind.join(" ")) };
    let now = services.clock.now();
    let until = now.after(services.config.rotation_overlap);
    activate(services, part, now, until).await?;
    services.admin("rotation-activated", person, format!("{}{left}", part.as_str())).await;
    report.now = RotationState::Overlap;
    report.said = format!("the successor is in use{left}; its predecessor is accepted until {}", until.rfc3339());
    report.next = next_after(part).to_owned();
    report.done = true;
    Ok(report)
}

/// Who would be left behind, by code.
fn behind(report: &RotationReport) -> Vec<String> {
    report.members.iter().filter(|verdict| stands_in_the_way(verdict)).map(|verdict| verdict.ods.to_string()).collect()
}

fn rehearsed(mut report: RotationReport, about: &str) -> RotationReport {
    let behind = behind(&report);
    report.said = match behind.as_slice() {
        [] => format!("every member would accept it; {about}; nothing was changed"),
        some => format!("{} would be left behind; {about}; nothing was changed", some.join(" ")),
    };
    report.next = "the same command without --rehearse takes the step".to_owned();
    report.done = behind.is_empty();
    report
}

async fn overlap(
    services: &Arc<Services>,
    person: Option<&StaffCredential>,
    order: RotationOrder,
    only: Only,
    until: Timestamp,
    mut report: RotationReport,
) -> Result<RotationReport, RotateError> {
    let over = services.clock.now() >= until;
    if order.rehearse || !(over || order.force) || matches!(only, Only::Prepare | Only::Activate) {
        report.said = format!("the overlap runs until {}; nothing was changed", until.rfc3339());
        report.next = "then the predecessor is destroyed by itself; --force ends the overlap now".to_owned();
        report.done = order.rehearse;
        return Ok(report);
    }
    let mut from = until;
    if order.part == RotationPart::NodeKey {
        // Before others are told to cut it: what is under way on the former endpoint comes to its end.
        if let Some(former) = services.peers.former() {
            drain(&former).await;
        }
        // Bindings say from when the predecessor is refused: from now on, if that was to be later.
        from = until.min(services.clock.now());
        keep_stage(services, order.part, Some(Stage::Overlap { since: from, until: from }))?;
        services.reload_identity().await?;
        introduce(services).await;
        if let Some(former) = services.peers.take_former() {
            former.gate.handle.shutdown().await;
        }
    }
    let dir = services.config.dir.clone();
    let part = order.part;
    blocking(move || files::retire(&dir, part, from)).await?;
    keep_stage(services, part, None)?;
    if part == RotationPart::NodeKey {
        let signer = Arc::clone(&services.endpoint_key().signer) as Arc<dyn careweave_protocol::key::Signer>;
        drop(services.audit.sign_with(vec![signer]).await);
    }
    services.reload_identity().await?;
    services.admin("rotation-retired", person, part.as_str().to_owned()).await;
    report.now = RotationState::Active;
    report.said = "the overlap is over; what was before is destroyed".to_owned();
    report.done = true;
    Ok(report)
}

/// Puts the successor in use.
async fn activate(
    services: &Arc<Services>,
    part: RotationPart,
    now: Timestamp,
    until: Timestamp,
) -> Result<(), RotateError> {
    match part {
        RotationPart::Certificate | RotationPart::OrganisationKey => {
            move_files(services, part, now, until).await?;
            services.reload_identity().await?;
        }
        RotationPart::NodeKey => activate_endpoint(services, now, until).await?,
    }
    introduce(services).await;
    services.renew().await?;
    // Everybody pulls, and so learns the advert.
    services.changed.announce();
    Directory::keep(services).await;
    Ok(())
}

/// Starts the endpoint of the new key beside the old one, on the same addresses, connects it to everybody, and only then puts it in use.
async fn activate_endpoint(services: &Arc<Services>, now: Timestamp, until: Timestamp) -> Result<(), RotateError> {
    let dir = services.config.dir.clone();
    let key = blocking(move || Ok(endpoint_key(&dir, careweave_certs::layout::PEER_KEY_NEXT)?)).await?;
    let pair = keypair(&key.signer, careweave_certs::layout::PEER_KEY_NEXT)?;
    let next = crate::node::start_peer_end(pair, key, &services.config, services.inbound.clone()).await?;
    let moved = async {
        move_files(services, RotationPart::NodeKey, now, until).await?;
        Ok::<_, RotateError>(services.reload_identity().await?)
    };
    if let Err(error) = moved.await {
        // An endpoint that nobody sweeps must not go on taking connections; [`mend_endpoint`] starts it again when it is due.
        next.gate.handle.shutdown().await;
        return Err(error);
    }
    enter(services, next, now).await;
    Ok(())
}

/// Starts the endpoint of the key that lies on disk, where a step that was cut short has left another one in use.
async fn mend_endpoint(services: &Arc<Services>) -> Result<(), RotateError> {
    let own = services.own();
    if own.node_key() == services.peers.current().node() {
        return Ok(());
    }
    let (pair, key) = (own.peer_keypair()?, Arc::clone(own.peer()));
    let next = crate::node::start_peer_end(pair, key, &services.config, services.inbound.clone()).await?;
    enter(services, next, services.clock.now()).await;
    Ok(())
}

/// Puts an endpoint in use, connects it to everybody the one before is connected with, and lets that one take nobody new.
async fn enter(services: &Arc<Services>, next: Arc<PeerEnd>, now: Timestamp) {
    let before = services.peers.current();
    let signers =
        [&next.key().signer, &before.key().signer].map(|s| Arc::clone(s) as Arc<dyn careweave_protocol::key::Signer>);
    // Checkpoints by both from here on: whoever knows only one of the keys believes the log.
    drop(services.audit.sign_with(signers.to_vec()).await);
    // First, so that every session it opens is one that is swept; whoever asks meanwhile dials.
    if let Some(older) = services.peers.put_in_use(Arc::clone(&next)) {
        older.gate.handle.shutdown().await;
    }
    let wanted: Vec<_> = services
        .directory
        .all(now)
        .into_iter()
        .filter(|(_, known)| matches!(before.gate.sessions.get(&known.peer), Some(Session::Node(_))))
        .collect();
    futures::future::join_all(wanted.into_iter().map(|(_, known)| {
        let next = Arc::clone(&next);
        async move { connect(&next, known.peer, known.addresses).await }
    }))
    .await;
    // New connections come to the new one; those that are open go on.
    before.gate.handle.stop_listening().await;
}

/// Lets exchanges under way on an endpoint come to their end, within reason.
async fn drain(end: &PeerEnd) {
    let deadline = tokio::time::Instant::now() + DRAIN;
    while end.gate.handle.peers().iter().any(|peer| peer.streams > 0) && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(DRAIN_LOOK).await;
    }
}

async fn move_files(
    services: &Arc<Services>,
    part: RotationPart,
    now: Timestamp,
    until: Timestamp,
) -> Result<(), RotateError> {
    let dir = services.config.dir.clone();
    let (network, ods) = (services.config.network.clone(), services.config.ods.clone());
    blocking(move || files::activate(&dir, part, Stage::Overlap { since: now, until }, (&network, &ods), now)).await
}

fn keep_stage(services: &Services, part: RotationPart, stage: Option<Stage>) -> Result<(), RotateError> {
    let mut rotations: Rotations = own::rotations(&services.config.dir)?;
    match stage {
        Some(stage) => rotations.0.insert(part, stage),
        None => rotations.0.remove(&part),
    };
    files::keep(&services.config.dir, &rotations)
}

fn next_after(part: RotationPart) -> &'static str {
    match part {
        RotationPart::Certificate => "nothing: the overlap ends by itself",
        RotationPart::OrganisationKey => {
            "`careweave staff renew --all`, then have the office `gov admit` a fresh `cert request`, so that the manifest pins the new key"
        }
        RotationPart::NodeKey => {
            "nothing: the overlap ends by itself; others' bootstrap addresses may keep the old PeerId"
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RotateError> + Send + 'static,
) -> Result<T, RotateError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| RotateError::Stopping)?
}

/// Longer than any answer may take to its next credit: what is still open then hangs.
const DRAIN: Duration = Duration::from_secs(20);
/// Between two looks at what is still open.
const DRAIN_LOOK: Duration = Duration::from_millis(100);

/// What is needed of the own identity for a candidate.
fn load_as(services: &Services, part: RotationPart) -> Result<own::Loaded, OwnError> {
    OwnIdentity::load_as(&services.config, Some(part))
}
