//! Where members are, and what the network's signed documents say: adverts kept, and `/careweave/manifest/1` both ways.
//!
//! Adverts give addresses; only the manifest gives membership. A false advert cannot be signed; a withheld one costs time.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use careweave_certs::trust::Trust;
use careweave_protocol::cbor;
use careweave_protocol::directory::{ManifestReply, ManifestRequest};
use careweave_protocol::frame::{Assembly, split};
use careweave_protocol::id::{NetworkId, NodeKey, OdsCode};
use careweave_protocol::identity::{AdvertRecord, EndpointRole};
use careweave_protocol::limits::{
    ADVERT_ADDRESSES, ADVERT_LIFE, CLOCK_SKEW, FRAME_MAX, MEMBERS_MAX, REPLY_MAX, TEXT_MAX,
};
use careweave_protocol::signed::Scope;
use careweave_protocol::time::Timestamp;
use libp2p::multiaddr::Protocol as Part;
use libp2p::{Multiaddr, PeerId};
use thiserror::Error;
use tokio::time::timeout;

use super::{ExchangeStream, FrameError, FramedStream, OpenError, Protocol};
use crate::services::Services;

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

    /// Takes an advert in when it verifies and is newer than what is known. Gives whether it was new.
    ///
    /// # Errors
    /// See [`AdvertError`].
    pub fn learn(
        &self,
        record: &AdvertRecord,
        network: &NetworkId,
        trust: &Trust,
        now: Timestamp,
    ) -> Result<bool, AdvertError> {
        let (ods, fresh) = verify(record, network, trust, now)?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let stale = known.get(&ods).is_some_and(|k| k.issued >= fresh.issued);
        let full = known.len() >= MEMBERS_MAX && !known.contains_key(&ods);
        if stale || full {
            return Ok(false);
        }
        known.insert(ods, fresh);
        Ok(true)
    }
}

fn verify(
    record: &AdvertRecord,
    network: &NetworkId,
    trust: &Trust,
    now: Timestamp,
) -> Result<(OdsCode, Known), AdvertError> {
    let scope = Scope::network(network);
    let binding = record.binding.verify(scope, &record.organisation_key)?.into_inner();
    let pinned = trust.member(&binding.ods).is_some_and(|m| m.key.accepts(&record.organisation_key.spki_hash()));
    if !pinned {
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
    Ok((advert.ods, known))
}

/// Asks a connected peer for what we lack and takes it in. Gives whether anything was new.
///
/// # Errors
/// See [`PullError`].
pub async fn pull(services: &Services, peer: PeerId) -> Result<bool, PullError> {
    timeout(PULL_DEADLINE, async {
        let mut stream = FramedStream::new(services.peers.handle.open(peer, Protocol::Manifest, PULL_DEADLINE).await?);
        let adverts = services.directory.all(services.clock.now()).into_iter().map(|(o, k)| (o, k.issued)).collect();
        let manifest_version = services.trust().version();
        let request = ManifestRequest::Pull { manifest_version, adverts, own: services.own_advert() };
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
pub async fn notify(services: &Services, peer: PeerId) -> Result<(), PullError> {
    let mut stream = FramedStream::new(services.peers.handle.open(peer, Protocol::Manifest, PULL_DEADLINE).await?);
    stream.write_frame(&cbor::to_vec(&ManifestRequest::Notice).map_err(|_| PullError::Protocol)?).await?;
    stream.close().await?;
    Ok(())
}

/// Serves one exchange of `/careweave/manifest/1`.
///
/// # Errors
/// See [`PullError`].
pub async fn serve(services: &Services, peer: PeerId, stream: ExchangeStream) -> Result<(), PullError> {
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
                .chain(std::iter::once(services.own_advert()))
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
        ManifestRequest::Notice => {
            services.changed.pull_from(peer);
            Ok(stream.close().await?)
        }
    }
}

async fn take_in(services: &Services, reply: ManifestReply) -> bool {
    let mut news = false;
    for document in &reply.documents {
        // Each costs signature checks, and a reply may hold very many: the deadline of the pull must be able to end this.
        tokio::task::yield_now().await;
        news |= services.take_in(document).await.unwrap_or(false);
    }
    let now = services.clock.now();
    for record in &reply.adverts {
        tokio::task::yield_now().await;
        match services.directory.learn(record, &services.config.network, &services.trust(), now) {
            Ok(new) => news |= new,
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
