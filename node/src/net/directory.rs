//! Where members are, and what the network's signed documents say: adverts kept, and `/careweave/manifest/1` both ways.
//!
//! Adverts give addresses; only the manifest gives membership. A false advert cannot be signed; a withheld one costs time.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use careweave_certs::trust::{PeerIdentity, Trust};
use careweave_certs::{layout, private_file};
use careweave_protocol::cbor;
use careweave_protocol::directory::{ManifestReply, ManifestRequest, Verdict};
use careweave_protocol::frame::{Assembly, split};
use careweave_protocol::id::{NetworkId, NodeKey, OdsCode};
use careweave_protocol::identity::{AdvertRecord, EndpointRole, NodeBinding, NodeHello};
use careweave_protocol::limits::{
    ADVERT_ADDRESSES, ADVERT_LIFE, CLOCK_SKEW, FRAME_MAX, MEMBERS_MAX, REPLY_MAX, TEXT_MAX,
};
use careweave_protocol::query::{Cause, Purpose};
use careweave_protocol::signed::Scope;
use careweave_protocol::time::Timestamp;
use libp2p::multiaddr::Protocol as Part;
use libp2p::{Multiaddr, PeerId};
use thiserror::Error;
use tokio::time::timeout;

use super::gate::{NodeSession, Session};
use super::peers::PeerEnd;
use super::{ExchangeStream, FrameError, FramedStream, OpenError, Protocol};
use crate::services::{NotTakenIn, Refusal, Services};

/// How long one pull may take: a manifest chain and 1,500 adverts are under 2 MB.
const PULL_DEADLINE: Duration = Duration::from_secs(10);

/// A verified advert, ready to dial.
#[derive(Debug, Clone)]
pub struct Known {
    /// The endpoint.
    pub peer: PeerId,
    /// Its key.
    pub node: NodeKey,
    /// Where it is.
    pub addresses: Vec<Multiaddr>,
    /// Whom to ring.
    pub duty_contact: String,
    /// What to hand on.
    pub record: AdvertRecord,
    issued: Timestamp,
    expires: Timestamp,
}

/// Every advert known, by organisation: at most one each, so at most [`MEMBERS_MAX`].
#[derive(Debug, Default)]
pub struct Directory {
    known: RwLock<BTreeMap<OdsCode, Known>>,
}

/// Why an advert was not believed.
#[derive(Debug, Error)]
pub enum AdvertError {
    /// The organisation is not a member, or the key is not its own.
    #[error("the advert's organisation key is not the one the manifest pins")]
    Stranger,
    /// A signature does not verify.
    #[error(transparent)]
    Signature(#[from] careweave_protocol::signed::SignedError),
    /// Expired, from the future, too long, or with addresses nobody can dial.
    #[error("the advert is out of its bounds")]
    Bounds,
}

/// Why a pull did not happen.
#[derive(Debug, Error)]
pub enum PullError {
    /// No stream.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The stream failed.
    #[error(transparent)]
    Stream(#[from] FrameError),
    /// The reply is not one.
    #[error("the reply does not follow the manifest protocol")]
    Protocol,
    /// The peer asks to be judged more often than anything it does for us is worth.
    #[error("the peer asks for judgements too often")]
    TooOften,
    /// It took longer than `PULL_DEADLINE`.
    #[error("the reply took too long")]
    Timeout,
}

impl Directory {
    /// The advert of an organisation, while it counts.
    #[must_use]
    pub fn get(&self, ods: &OdsCode, now: Timestamp) -> Option<Known> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(ods).filter(|k| k.expires > now).cloned()
    }

    /// Every advert that counts.
    #[must_use]
    pub fn all(&self, now: Timestamp) -> Vec<(OdsCode, Known)> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().filter(|(_, k)| k.expires > now).map(|(o, k)| (o.clone(), k.clone())).collect()
    }

    /// Where every member was last known to be, whether or not its advert still counts: to try, not to hand on.
    #[must_use]
    pub fn last_known(&self, trust: &Trust) -> Vec<Known> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().filter(|(ods, _)| trust.member(ods).is_some()).map(|(_, known)| known.clone()).collect()
    }

    /// Takes an advert in when it verifies and is newer than what is known. Gives the endpoint's binding when it was new.
    ///
    /// # Errors
    /// See [`AdvertError`].
    pub fn learn(
        &self,
        record: &AdvertRecord,
        network: &NetworkId,
        trust: &Trust,
        now: Timestamp,
    ) -> Result<Option<NodeBinding>, AdvertError> {
        let (binding, fresh) = verify(record, network, trust, now)?;
        let ods = binding.ods.clone();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // One from the future was taken in while our own clock was ahead: it gives way, or it would stay as long as that was.
        let timely = |k: &Known| k.issued <= now.after(CLOCK_SKEW);
        let stale = known.get(&ods).is_some_and(|k| k.issued >= fresh.issued && timely(k));
        let full = known.len() >= MEMBERS_MAX && !known.contains_key(&ods);
        if stale || full {
            return Ok(None);
        }
        known.insert(ods, fresh);
        Ok(Some(binding))
    }
}

impl Directory {
    /// Takes in the adverts that were known when the node stopped, as far as they still verify.
    pub fn restore(&self, services: &Services) {
        let records: Vec<AdvertRecord> =
            crate::own::read_list(&services.config.dir, layout::ADVERTS).unwrap_or_default();
        for record in records {
            // What does not verify any more is as good as not known.
            drop(self.learn(&record, &services.config.network, &services.trust(), services.clock.now()));
        }
    }

    /// Writes the adverts that count, so that the others are found again although every one of them has moved or changed its key.
    pub async fn keep(services: &Arc<Services>) {
        let records: Vec<AdvertRecord> =
            services.directory.all(services.clock.now()).into_iter().map(|(_, known)| known.record).collect();
        let path = services.config.dir.join(layout::ADVERTS);
        let kept = tokio::task::spawn_blocking(move || {
            let bytes = cbor::to_vec(&records).unwrap_or_default();
            if std::fs::read(&path).is_ok_and(|held| held == bytes) {
                Ok(())
            } else {
                private_file::replace(&path, &bytes)
            }
        });
        if let Ok(Err(error)) = kept.await {
            tracing::warn!(%error, "adverts could not be kept");
        }
    }
}

fn verify(
    record: &AdvertRecord,
    network: &NetworkId,
    trust: &Trust,
    now: Timestamp,
) -> Result<(NodeBinding, Known), AdvertError> {
    let scope = Scope::network(network);
    let binding = record.binding.verify(scope, &record.organisation_key)?.into_inner();
    if !trust.accepts_key(&binding.ods, &record.organisation_key.spki_hash(), now)
        || trust.is_retired(&binding.ods, binding.node, now)
    {
        return Err(AdvertError::Stranger);
    }
    let advert = record.advert.verify(scope, &binding.node.into())?.into_inner();
    let bound = binding.role == EndpointRole::Peer
        && binding.not_before <= now.after(CLOCK_SKEW)
        && binding.not_after > now
        && advert.ods == binding.ods
        && advert.node == binding.node;
    let timely = advert.expires > now
        && advert.issued <= now.after(CLOCK_SKEW)
        && advert.expires.since(advert.issued) <= ADVERT_LIFE;
    let small = advert.addresses.len() <= ADVERT_ADDRESSES && advert.duty_contact.len() <= TEXT_MAX;
    let addresses: Vec<Multiaddr> = advert.addresses.iter().filter_map(|a| a.parse().ok()).collect();
    let peer = peer_id(advert.node).ok_or(AdvertError::Bounds)?;
    if !(bound && timely && small) || addresses.is_empty() {
        return Err(AdvertError::Bounds);
    }
    let known = Known {
        peer,
        node: advert.node,
        addresses,
        duty_contact: advert.duty_contact,
        record: record.clone(),
        issued: advert.issued,
        expires: advert.expires,
    };
    Ok((binding, known))
}

/// Asks a connected peer for what we lack and takes it in. Gives whether anything was new.
///
/// # Errors
/// See [`PullError`].
pub async fn pull(services: &Arc<Services>, end: &PeerEnd, peer: PeerId) -> Result<bool, PullError> {
    timeout(PULL_DEADLINE, async {
        let mut stream = open(end, peer).await?;
        let adverts = services.directory.all(services.clock.now()).into_iter().map(|(o, k)| (o, k.issued)).collect();
        let manifest_version = services.trust().version();
        let own = services.own_advert().ok_or(PullError::Protocol)?;
        let request = ManifestRequest::Pull { manifest_version, adverts, own };
        stream.write_frame(&cbor::to_vec(&request).map_err(|_| PullError::Protocol)?).await?;
        stream.close().await?;
        let mut assembly = Assembly::default();
        loop {
            let frame = stream.read_frame(FRAME_MAX).await?.ok_or(PullError::Protocol)?;
            if let Some(reply) = assembly.push(&frame).map_err(|_| PullError::Protocol)? {
                let reply = cbor::from_slice(&reply, REPLY_MAX).map_err(|_| PullError::Protocol)?;
                return Ok(take_in(services, reply).await);
            }
        }
    })
    .await
    .map_err(|_| PullError::Timeout)?
}

/// Tells a connected peer that something has changed here.
///
/// # Errors
/// See [`PullError`].
pub async fn notify(end: &PeerEnd, peer: PeerId) -> Result<(), PullError> {
    let mut stream = open(end, peer).await?;
    stream.write_frame(&cbor::to_vec(&ManifestRequest::Notice).map_err(|_| PullError::Protocol)?).await?;
    stream.close().await?;
    Ok(())
}

/// Shows a connected peer what this endpoint is now, because something of it has changed.
///
/// # Errors
/// See [`PullError`].
pub async fn introduce(services: &Arc<Services>, end: &PeerEnd, peer: PeerId) -> Result<Verdict, PullError> {
    let hello = services.hello(end.node()).ok_or(PullError::Protocol)?;
    verdict(end, peer, &ManifestRequest::Introduce(Box::new(hello))).await
}

/// Asks a connected peer whether it would admit this.
///
/// # Errors
/// See [`PullError`].
pub async fn rehearse(end: &PeerEnd, peer: PeerId, hello: NodeHello) -> Result<Verdict, PullError> {
    verdict(end, peer, &ManifestRequest::Rehearse(Box::new(hello))).await
}

async fn verdict(end: &PeerEnd, peer: PeerId, request: &ManifestRequest) -> Result<Verdict, PullError> {
    timeout(PULL_DEADLINE, async {
        let mut stream = open(end, peer).await?;
        stream.write_frame(&cbor::to_vec(request).map_err(|_| PullError::Protocol)?).await?;
        stream.close().await?;
        let frame = stream.read_frame(FRAME_MAX).await?.ok_or(PullError::Protocol)?;
        cbor::from_slice(&frame, FRAME_MAX).map_err(|_| PullError::Protocol)
    })
    .await
    .map_err(|_| PullError::Timeout)?
}

async fn open(end: &PeerEnd, peer: PeerId) -> Result<FramedStream<ExchangeStream>, PullError> {
    Ok(FramedStream::new(end.gate.handle.open(peer, Protocol::Manifest, PULL_DEADLINE).await?))
}

/// Serves one exchange of `/careweave/manifest/1`, which came to this endpoint.
///
/// # Errors
/// See [`PullError`].
pub async fn serve(
    services: &Arc<Services>,
    end: &Arc<PeerEnd>,
    peer: PeerId,
    stream: ExchangeStream,
) -> Result<(), PullError> {
    let mut stream = FramedStream::new(stream);
    let request = timeout(PULL_DEADLINE, stream.read_frame(FRAME_MAX)).await.map_err(|_| PullError::Timeout)??;
    let request = request.ok_or(PullError::Protocol)?;
    match cbor::from_slice(&request, FRAME_MAX).map_err(|_| PullError::Protocol)? {
        ManifestRequest::Pull { manifest_version, adverts, own } => {
            let held: BTreeMap<OdsCode, Timestamp> = adverts.into_iter().collect();
            let now = services.clock.now();
            let documents = services.documents_after(manifest_version);
            let lacking = services.directory.all(now).into_iter();
            let adverts = lacking
                .filter(|(ods, known)| held.get(ods).is_none_or(|issued| *issued < known.issued))
                .map(|(_, known)| known.record)
                .chain(services.own_advert())
                .collect();
            let reply = cbor::to_vec(&ManifestReply { documents, adverts }).map_err(|_| PullError::Protocol)?;
            timeout(PULL_DEADLINE, async {
                for frame in split(&reply) {
                    stream.write_frame(&frame).await?;
                }
                stream.close().await
            })
            .await
            .map_err(|_| PullError::Timeout)??;
            take_in(services, ManifestReply { documents: Vec::new(), adverts: vec![own] }).await;
            if manifest_version > services.trust().version() {
                services.changed.pull_from(peer);
            }
            Ok(())
        }
        ManifestRequest::Introduce(_) | ManifestRequest::Rehearse(_)
            if !services.may_be_judged(peer, services.clock.now()) =>
        {
            Err(PullError::TooOften)
        }
        ManifestRequest::Introduce(hello) => {
            let said = introduced(services, end, peer, &hello).await?;
            let skewed = said.refused.clone().filter(|cause| matches!(cause, Cause::ClockSkew(_)));
            let replied = reply(&mut stream, &said).await;
            if let (Some(cause), Some(Session::Node(node))) = (skewed, end.gate.sessions.get(&peer)) {
                // Let the verdict arrive before the connection is cut; whoever does not hang up is cut all the same.
                drop(timeout(PULL_DEADLINE, stream.read_frame(FRAME_MAX)).await);
                crate::upkeep::cut(services, end, (peer, node.identity.ods()), Refusal::Ours(cause)).await;
            }
            replied
        }
        ManifestRequest::Rehearse(hello) => {
            let node = hello.binding.unverified().ok().map(|b| b.node);
            let said = judge(services, &hello, node.ok_or(PullError::Protocol)?).1;
            reply(&mut stream, &said).await
        }
        ManifestRequest::Notice => {
            services.changed.pull_from(peer);
            Ok(stream.close().await?)
        }
    }
}

async fn reply(stream: &mut FramedStream<ExchangeStream>, said: &Verdict) -> Result<(), PullError> {
    let bytes = cbor::to_vec(said).map_err(|_| PullError::Protocol)?;
    timeout(PULL_DEADLINE, async {
        stream.write_frame(&bytes).await?;
        stream.close().await
    })
    .await
    .map_err(|_| PullError::Timeout)??;
    Ok(())
}

/// A peer shows itself anew on its open connection. What is refused changes nothing: whether it may stay is decided by what it showed before,
/// and by its clock.
async fn introduced(
    services: &Arc<Services>,
    end: &Arc<PeerEnd>,
    peer: PeerId,
    hello: &NodeHello,
) -> Result<Verdict, PullError> {
    let node = node_key(&peer).ok_or(PullError::Protocol)?;
    let (identity, said) = judge(services, hello, node);
    if let Some(identity) = identity {
        let session = NodeSession::new(identity, Arc::clone(end.key())).map_err(|_| PullError::Protocol)?;
        let session = Arc::new(session);
        end.gate.sessions.insert(peer, Session::Node(Arc::clone(&session)));
        if !end.gate.handle.is_admitted(peer) {
            // The connection ended meanwhile, and whoever forgets sessions has been here already.
            end.gate.sessions.remove(&peer);
        }
        services.take_in_shown(&session.identity).await;
        // Trust may have changed while it was judged; from here on a sweep sees it.
        let current = services.trust().recheck(&session.identity, services.clock.now());
        if let Err(cause) = current {
            crate::upkeep::cut(services, end, (peer, session.identity.ods()), Refusal::Ours(cause)).await;
        }
    }
    Ok(said)
}

/// What we make of a hello, as it would be on a connection of that key.
fn judge(services: &Services, hello: &NodeHello, node: NodeKey) -> (Option<PeerIdentity>, Verdict) {
    let now = services.clock.now();
    let trust = services.trust();
    let judged = trust.check_node(hello, node, EndpointRole::Peer, now);
    let lapses = match &judged {
        Ok(identity) => {
            let organisation = (identity.ods(), Some(node));
            let standing =
                trust.check_standing(organisation, identity.attestations(), None, Purpose::Treat, now).refused;
            standing.into_iter().collect()
        }
        Err(_) => Vec::new(),
    };
    let said = Verdict {
        refused: judged.as_ref().err().cloned(),
        lapses,
        clock: now,
        manifest_version: trust.version(),
        current_as_of: trust.current_as_of(),
    };
    (judged.ok(), said)
}

async fn take_in(services: &Arc<Services>, reply: ManifestReply) -> bool {
    let mut news = false;
    for document in &reply.documents {
        // Each costs signature checks, and a reply may hold very many: the deadline of the pull must be able to end this.
        tokio::task::yield_now().await;
        match services.take_in(document).await {
            Ok(new) => news |= new,
            Err(error @ NotTakenIn::Manifest(_)) => tracing::warn!(%error, "a peer's manifest is not taken in"),
            // Notices run out, and whoever has not noticed yet still hands them on.
            Err(error) => tracing::debug!(%error, "a peer's notice is not taken in"),
        }
    }
    let now = services.clock.now();
    for record in &reply.adverts {
        tokio::task::yield_now().await;
        let learned = services.directory.learn(record, &services.config.network, &services.trust(), now);
        match learned {
            Ok(Some(binding)) => {
                news = true;
                services.note_retired(&binding, &record.organisation_key).await;
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "advert not taken in"),
        }
    }
    news
}

/// The PeerId of a node key.
#[must_use]
pub fn peer_id(node: NodeKey) -> Option<PeerId> {
    PeerId::from_bytes(&node.peer_id_bytes()).ok()
}

/// The node key of a PeerId, when it is an Ed25519 key.
#[must_use]
pub fn node_key(peer: &PeerId) -> Option<NodeKey> {
    let bytes = peer.to_bytes();
    let (_, key) = bytes.split_at_checked(bytes.len().checked_sub(NodeKey::LEN)?)?;
    let node = NodeKey::try_from(key).ok()?;
    (node.peer_id_bytes() == bytes).then_some(node)
}

/// The PeerId a multiaddress ends in.
#[must_use]
pub fn peer_of(address: &Multiaddr) -> Option<PeerId> {
    match address.iter().last()? {
        Part::P2p(peer) => Some(peer),
        _ => None,
    }
}
