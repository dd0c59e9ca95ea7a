//! The node's own keys, certificates and statements about itself, as they lie in the node directory.
//!
//! Everything here is as of one reading of the files; when they change, another [`OwnIdentity`] takes this one's place
//! ([`crate::services::Services::reload`]).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use careweave_certs::authority::BACK_DATING;
use careweave_certs::keystore::{KeyStoreError, PrivateKey, SoftwareKey, public_key_of};
use careweave_certs::private_file::{self, PrivateFileError};
use careweave_certs::rotation::{Life, ROTATIONS_MAX, Rotations, Stage};
use careweave_certs::trust::{PeerIdentity, Trust, TrustError};
use careweave_certs::{binding, chain, layout, revocation};
use careweave_protocol::cbor;
use careweave_protocol::desk::RotationPart;
use careweave_protocol::id::{Digest, NetworkId, NodeKey};
use careweave_protocol::identity::{
    Advert, AdvertRecord, Attestation, EndpointRole, KeyEndorsement, NodeBinding, NodeHello, RetiredEndpoint,
    StaffRevocation,
};
use careweave_protocol::key::{PublicKey, Signer};
use careweave_protocol::limits::{
    ADVERT_ADDRESSES, ADVERT_LIFE, BINDING_LIFE, EARLIER_KEYS_MAX, REPLY_MAX, SIGNED_MAX,
};
use careweave_protocol::query::Cause;
use careweave_protocol::signed::{Scope, Signed, SignedError, Verified};
use careweave_protocol::time::Timestamp;
use careweave_protocol::version::PROTOCOL_VERSION;
use libp2p::{Multiaddr, identity};
use serde_bytes::ByteBuf;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::config::Config;
use crate::net::peers::EndpointKey;
use crate::store::seal::KeyEncryptionKey;

/// Why the node does not know itself.
#[derive(Debug, Error)]
pub enum OwnError {
    /// A key file.
    #[error(transparent)]
    Key(#[from] KeyStoreError),
    /// The key-encryption key of the store.
    #[error(transparent)]
    StoreKey(#[from] PrivateFileError),
    /// A file of `trust/` that should be there.
    #[error("{path} cannot be read; `careweave cert install` puts it there")]
    Missing {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A file of `trust/` that is not what it should be.
    #[error("{0} is not what `careweave cert install` writes; install the enrolment again")]
    Damaged(PathBuf),
    /// A key is not of the algorithm its place asks for.
    #[error("{0} is not an Ed25519 key")]
    Algorithm(&'static str),
    /// Others would not believe us.
    #[error("this node would be refused by every other: {0}")]
    Refused(Cause),
    /// What is believed does not hold together.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// A statement of ours could not be signed, or none of our keys has signed it.
    #[error(transparent)]
    Signing(#[from] SignedError),
}

/// Keys and certificates as loaded; becomes an [`OwnIdentity`] once they verify against the manifest.
pub struct Loaded {
    dir: PathBuf,
    organisation: PrivateKey,
    peer: Arc<EndpointKey>,
    desk: Arc<EndpointKey>,
    /// The endpoint before, while it is still served, and from when it is refused.
    former: Option<RetiredEndpoint>,
    /// The endpoint that was replaced last, whose key is destroyed: whoever was away then still has to hear of it.
    retired: Option<RetiredEndpoint>,
    chain: Vec<ByteBuf>,
    attestations: Vec<Signed<Attestation>>,
    endorsement: Option<Signed<KeyEndorsement>>,
    earlier_keys: Vec<PublicKey>,
    read: Digest,
}

/// Who this node is.
pub struct OwnIdentity {
    loaded: Loaded,
    identity: PeerIdentity,
    said: RwLock<Said>,
}

/// What the node says about itself, renewed from time to time.
struct Said {
    bindings: HashMap<NodeKey, Signed<NodeBinding>>,
    binding_expires: Timestamp,
    advert: Signed<Advert>,
    /// When all of it was signed.
    at: Timestamp,
}

/// Bindings and advert are renewed at half the advert's life.
const RENEW_EVERY: Duration = Duration::from_secs(12 * 3600);

/// What a change of which the running node takes in.
const WATCHED: [&str; 7] = [
    layout::ORGANISATION_KEY,
    layout::CHAIN,
    layout::ATTESTATIONS,
    layout::ENDORSEMENT,
    layout::EARLIER_KEYS,
    layout::REVOCATION,
    layout::ROTATIONS,
];

impl OwnIdentity {
    /// Reads keys, chain and attestations from the node directory.
    ///
    /// # Errors
    /// See [`OwnError`].
    pub fn load(config: &Config) -> Result<Loaded, OwnError> {
        Self::load_as(config, None)
    }

    /// As [`OwnIdentity::load`], with the prepared successor of one part in its predecessor's place.
    ///
    /// # Errors
    /// See [`OwnError`].
    pub fn load_as(config: &Config, successor: Option<RotationPart>) -> Result<Loaded, OwnError> {
        let dir = &config.dir;
        // First: what changes while the rest is read is then read again.
        let read_as = Self::files(dir);
        let (mut organisation_path, mut chain_path) = (layout::ORGANISATION_KEY, layout::CHAIN);
        let mut peer_path = layout::PEER_KEY;
        match successor {
            Some(RotationPart::OrganisationKey) => {
                (organisation_path, chain_path) = (layout::ORGANISATION_KEY_NEXT, layout::CHAIN_NEXT);
            }
            Some(RotationPart::Certificate) => chain_path = layout::CHAIN_NEXT,
            Some(RotationPart::NodeKey) => peer_path = layout::PEER_KEY_NEXT,
            None => {}
        }
        let organisation = PrivateKey::read(&dir.join(organisation_path), None)?;
        let chain_path = dir.join(chain_path);
        let chain = chain::from_pem(&read(&chain_path)?).map_err(|_| OwnError::Damaged(chain_path))?;
        let chain = chain.into_iter().map(|der| ByteBuf::from(der.to_vec())).collect();
        let attested = dir.join(layout::ATTESTATIONS);
        let attestations = cbor::from_slice(&read(&attested)?, SIGNED_MAX).map_err(|_| OwnError::Damaged(attested))?;
        let endorsement = optional(dir, layout::ENDORSEMENT)?
            .map(|bytes| Signed::from_bytes(bytes).map_err(|_| OwnError::Damaged(dir.join(layout::ENDORSEMENT))))
            .transpose()?;
        let mut earlier_keys: Vec<PublicKey> = read_list(dir, layout::EARLIER_KEYS)?;
        if successor == Some(RotationPart::OrganisationKey) {
            earlier_keys.insert(0, public_key_of(&dir.join(layout::ORGANISATION_KEY))?);
        }
        earlier_keys.truncate(EARLIER_KEYS_MAX);
        Ok(Loaded {
            dir: dir.clone(),
            organisation,
            peer: endpoint_key(dir, peer_path)?,
            desk: endpoint_key(dir, layout::DESK_KEY)?,
            former: former(dir)?,
            retired: retired(dir)?,
            chain,
            attestations,
            endorsement,
            earlier_keys,
            read: read_as,
        })
    }

    /// SHA-256 over the files that a running node takes in again when they change.
    #[must_use]
    pub fn files(dir: &Path) -> Digest {
        let contents: Vec<Zeroizing<Vec<u8>>> =
            WATCHED.iter().map(|name| Zeroizing::new(std::fs::read(dir.join(name)).unwrap_or_default())).collect();
        let digests: Vec<Digest> = contents.iter().map(|content| Digest::of(&[content.as_slice()])).collect();
        Digest::of(&digests.iter().map(|digest| digest.as_bytes().as_slice()).collect::<Vec<_>>())
    }

    /// Whether the files are still those that were read.
    #[must_use]
    pub fn is_current(&self) -> bool {
        Self::files(&self.loaded.dir) == self.loaded.read
    }

    /// Who we are in the network.
    #[must_use]
    pub fn identity(&self) -> &PeerIdentity {
        &self.identity
    }

    /// The key of the peer endpoint.
    #[must_use]
    pub fn peer(&self) -> &Arc<EndpointKey> {
        &self.loaded.peer
    }

    /// The key of the desk endpoint.
    #[must_use]
    pub fn desk(&self) -> &Arc<EndpointKey> {
        &self.loaded.desk
    }

    /// The peer endpoint's public key.
    #[must_use]
    pub fn node_key(&self) -> NodeKey {
        self.loaded.peer.node
    }

    /// Signs on the hot path: the peer endpoint's key.
    #[must_use]
    pub fn node_signer(&self) -> &dyn Signer {
        self.loaded.peer.signer.as_ref()
    }

    /// The organisation's key. A signature may take long where it lies in a token: not for an async thread.
    #[must_use]
    pub fn organisation(&self) -> &PrivateKey {
        &self.loaded.organisation
    }

    /// The life of the organisation certificate, without the hour it is dated back.
    #[must_use]
    pub fn certificate_life(&self) -> Life {
        let certificate = self.identity.certificate();
        let issued_at = certificate.not_before().after(careweave_certs::authority::BACK_DATING);
        Life { issued_at, not_after: Some(certificate.not_after()) }
    }

    /// End of the organisation certificate.
    #[must_use]
    pub fn certificate_expires(&self) -> Timestamp {
        self.identity.certificate().not_after()
    }

    /// End of the endpoints' bindings.
    #[must_use]
    pub fn binding_expires(&self) -> Timestamp {
        self.said().binding_expires
    }

    /// Whether bindings and advert should be signed anew: they are old, or dated by a clock that has been put back since.
    #[must_use]
    pub fn renewal_due(&self, now: Timestamp) -> bool {
        let at = self.said().at;
        now < at || now >= at.after(RENEW_EVERY)
    }

    /// The binding of one endpoint: its own, or of an endpoint of before that is still served.
    #[must_use]
    pub fn binding(&self, node: NodeKey) -> Option<Signed<NodeBinding>> {
        self.said().bindings.get(&node).cloned()
    }

    /// What is said on a new connection of this endpoint.
    #[must_use]
    pub fn hello(&self, node: NodeKey, network: &NetworkId, version: u64, now: Timestamp) -> Option<NodeHello> {
        Some(self.loaded.hello(self.binding(node)?, network, version, now))
    }

    /// The organisation's own list of revoked credentials as it lies on disk now, and which of its keys has signed it: a list of before a
    /// change of key stands under the key of then. `careweave staff revoke` changes it beside the running node.
    ///
    /// # Errors
    /// When the file is there and cannot be read, or none of the keys has signed it.
    pub fn revocation(&self, network: &NetworkId) -> Result<Option<(Verified<StaffRevocation>, PublicKey)>, OwnError> {
        let Some(bytes) = optional(&self.loaded.dir, layout::REVOCATION)? else { return Ok(None) };
        let list = Signed::from_bytes(bytes)?;
        let by = |key: &PublicKey| revocation::verify(&list, network, self.identity.ods(), key);
        let key = self.loaded.organisation.public_key();
        match by(&key) {
            Ok(verified) => Ok(Some((verified, key))),
            Err(error) => {
                let earlier = self.loaded.earlier_keys.iter().find_map(|key| Some((by(key).ok()?, key.clone())));
                earlier.map(Some).ok_or(OwnError::Signing(error))
            }
        }
    }

    /// Where we are.
    #[must_use]
    pub fn advert(&self) -> Option<AdvertRecord> {
        Some(AdvertRecord {
            organisation_key: self.loaded.organisation.public_key(),
            binding: self.binding(self.node_key())?,
            advert: self.said().advert.clone(),
        })
    }

    /// Signs bindings and advert anew.
    ///
    /// # Errors
    /// When a key cannot sign.
    pub fn renew(&self, config: &Config, addresses: &[Multiaddr], now: Timestamp) -> Result<(), SignedError> {
        let said = self.loaded.say(config, addresses, now)?;
        *self.said.write().unwrap_or_else(PoisonError::into_inner) = said;
        Ok(())
    }

    /// Writes what is believed, so that it is believed again after a restart.
    ///
    /// # Errors
    /// When the file cannot be replaced.
    pub async fn keep_trust(&self, bytes: Vec<u8>) -> Result<(), PrivateFileError> {
        let path = self.loaded.dir.join(layout::MANIFEST);
        let write = tokio::task::spawn_blocking(move || private_file::replace(&path, &bytes));
        // Cancelled only when the runtime stops, and then nobody waits for the answer.
        write.await.unwrap_or(Ok(()))
    }

    /// The libp2p identity of the peer endpoint.
    ///
    /// # Errors
    /// When the key is of another algorithm.
    pub fn peer_keypair(&self) -> Result<identity::Keypair, OwnError> {
        keypair(&self.loaded.peer.signer, layout::PEER_KEY)
    }

    /// The libp2p identity of the desk endpoint.
    ///
    /// # Errors
    /// When the key is of another algorithm.
    pub fn desk_keypair(&self) -> Result<identity::Keypair, OwnError> {
        keypair(&self.loaded.desk.signer, layout::DESK_KEY)
    }

    /// What the store is sealed under.
    ///
    /// # Errors
    /// When the file is missing, readable by others, or of another length.
    pub fn key_encryption_key(&self) -> Result<KeyEncryptionKey, OwnError> {
        let path = self.loaded.dir.join(layout::STORE_KEY);
        let bytes = private_file::read(&path, layout::STORE_KEY_LEN)?;
        let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| OwnError::Damaged(path))?;
        Ok(KeyEncryptionKey::new(Zeroizing::new(key)))
    }

    fn said(&self) -> std::sync::RwLockReadGuard<'_, Said> {
        self.said.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loaded {
    /// Reads what was believed when the node stopped.
    ///
    /// # Errors
    /// When the file is missing or does not verify from the pinned first manifest.
    pub fn load_trust(&self, now: Timestamp) -> Result<Trust, OwnError> {
        Ok(Trust::from_bytes(&read(&self.dir.join(layout::MANIFEST))?, now)?)
    }

    /// Checks everything as another node would, so that a node nobody would believe says so and does not start.
    ///
    /// # Errors
    /// [`OwnError::Refused`] with the cause others would name.
    pub fn identify(self, config: &Config, trust: &Trust, now: Timestamp) -> Result<OwnIdentity, OwnError> {
        let said = self.say(config, &[], now)?;
        let binding = said.bindings.get(&self.peer.node).cloned().ok_or(OwnError::Refused(Cause::BindingInvalid))?;
        let hello = self.hello(binding, &config.network, trust.manifest().version, now);
        let identity = trust.check_node(&hello, self.peer.node, EndpointRole::Peer, now).map_err(OwnError::Refused)?;
        if *identity.ods() != config.ods || *identity.organisation_key() != self.organisation.public_key() {
            return Err(OwnError::Refused(Cause::CertInvalid));
        }
        Ok(OwnIdentity { loaded: self, identity, said: RwLock::new(said) })
    }

    /// What this would say of itself on a new connection, for a rehearsal; of another endpoint than its own where one is given.
    ///
    /// # Errors
    /// When a key cannot sign.
    pub fn candidate(
        &self,
        config: &Config,
        endpoint: Option<NodeKey>,
        version: u64,
        now: Timestamp,
    ) -> Result<NodeHello, SignedError> {
        let endpoint = endpoint.unwrap_or(self.peer.node);
        let binding = self.bind(config, (endpoint, EndpointRole::Peer), None, (now, BINDING_LIFE))?;
        Ok(self.hello(binding, &config.network, version, now))
    }

    fn say(&self, config: &Config, addresses: &[Multiaddr], now: Timestamp) -> Result<Said, SignedError> {
        let mut bindings = HashMap::new();
        // For as long as a binding of the replaced endpoint could still run.
        let retired =
            self.retired.filter(|r| r.node != self.peer.node && now < r.from.after(BINDING_LIFE + BACK_DATING));
        let whole = (now, BINDING_LIFE);
        let peer = self.bind(config, (self.peer.node, EndpointRole::Peer), self.former.or(retired), whole)?;
        bindings.insert(self.peer.node, peer);
        bindings.insert(self.desk.node, self.bind(config, (self.desk.node, EndpointRole::Desk), None, whole)?);
        if let Some(former) = self.former {
            // No longer than it is accepted.
            let rest = (now, former.from.since(now));
            bindings.insert(former.node, self.bind(config, (former.node, EndpointRole::Peer), None, rest)?);
        }
        let advert = Advert {
            ods: config.ods.clone(),
            node: self.peer.node,
            addresses: addresses.iter().take(ADVERT_ADDRESSES).map(ToString::to_string).collect(),
            duty_contact: config.duty_contact.clone(),
            issued: now,
            expires: now.after(ADVERT_LIFE.saturating_sub(Duration::from_secs(1))),
        };
        let scope = Scope::network(&config.network);
        Ok(Said {
            at: now,
            binding_expires: now.after(BINDING_LIFE),
            bindings,
            advert: Signed::sign(&advert, scope, self.peer.signer.as_ref())?.into_signed(),
        })
    }

    fn bind(
        &self,
        config: &Config,
        endpoint: (NodeKey, EndpointRole),
        retires: Option<RetiredEndpoint>,
        life: (Timestamp, Duration),
    ) -> Result<Signed<NodeBinding>, SignedError> {
        let bound = binding::issue(&config.network, &config.ods, endpoint, retires, &self.organisation, life)?;
        Ok(bound.into_signed())
    }

    fn hello(
        &self,
        binding: Signed<NodeBinding>,
        network: &NetworkId,
        manifest_version: u64,
        now: Timestamp,
    ) -> NodeHello {
        NodeHello {
            network: network.clone(),
            protocol: PROTOCOL_VERSION,
            clock: now,
            chain: self.chain.clone(),
            endorsement: self.endorsement.clone(),
            earlier_keys: self.earlier_keys.clone(),
            binding,
            attestations: self.attestations.clone(),
            manifest_version,
        }
    }
}

/// Where each rotation stands.
///
/// # Errors
/// When the file is there and is none.
pub fn rotations(dir: &Path) -> Result<Rotations, OwnError> {
    let Some(bytes) = optional(dir, layout::ROTATIONS)? else { return Ok(Rotations::default()) };
    cbor::from_slice(&bytes, ROTATIONS_MAX).map_err(|_| OwnError::Damaged(dir.join(layout::ROTATIONS)))
}

/// A list in a file of `trust/`; none where there is no file.
///
/// # Errors
/// When the file is there and is none.
pub fn read_list<T: serde::Serialize + serde::de::DeserializeOwned>(
    dir: &Path,
    name: &'static str,
) -> Result<Vec<T>, OwnError> {
    let Some(bytes) = optional(dir, name)? else { return Ok(Vec::new()) };
    cbor::from_slice(&bytes, REPLY_MAX).map_err(|_| OwnError::Damaged(dir.join(name)))
}

/// The libp2p identity of a key.
///
/// # Errors
/// When it is of another algorithm.
pub fn keypair(key: &SoftwareKey, name: &'static str) -> Result<identity::Keypair, OwnError> {
    let mut seed = key.ed25519_seed().ok_or(OwnError::Algorithm(name))?;
    identity::Keypair::ed25519_from_bytes(seed.as_mut_slice()).map_err(|_| OwnError::Algorithm(name))
}

/// Reads the key of an endpoint.
///
/// # Errors
/// When it is missing, readable by others, or not Ed25519.
pub fn endpoint_key(dir: &Path, name: &'static str) -> Result<Arc<EndpointKey>, OwnError> {
    let signer = SoftwareKey::read_plain(&dir.join(name))?;
    let node = signer.public_key().node_key().ok_or(OwnError::Algorithm(name))?;
    Ok(Arc::new(EndpointKey { signer: Arc::new(signer), node }))
}

/// The endpoint that is being replaced, while its overlap runs.
fn former(dir: &Path) -> Result<Option<RetiredEndpoint>, OwnError> {
    let path = dir.join(layout::PEER_KEY_OLD);
    match rotations(dir)?.0.get(&RotationPart::NodeKey) {
        Some(Stage::Overlap { until, .. }) if path.exists() => {
            match public_key_of(&path) {
                // Overwritten, when a crash came before it was removed: nothing is served under it any more.
                Err(KeyStoreError::NotAKey(_)) => Ok(None),
                key => {
                    let node = key?.node_key().ok_or(OwnError::Algorithm(layout::PEER_KEY_OLD))?;
                    Ok(Some(RetiredEndpoint { node, from: *until }))
                }
            }
        }
        _ => Ok(None),
    }
}

/// The endpoint that was replaced last.
fn retired(dir: &Path) -> Result<Option<RetiredEndpoint>, OwnError> {
    let Some(bytes) = optional(dir, layout::RETIRED)? else { return Ok(None) };
    cbor::from_slice(&bytes, SIGNED_MAX).map(Some).map_err(|_| OwnError::Damaged(dir.join(layout::RETIRED)))
}

fn optional(dir: &Path, name: &str) -> Result<Option<Vec<u8>>, OwnError> {
    let path = dir.join(name);
    match std::fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(OwnError::Missing { path, source }),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, OwnError> {
    std::fs::read(path).map_err(|source| OwnError::Missing { path: path.to_owned(), source })
}
