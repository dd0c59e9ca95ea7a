//! The node's own keys, certificates and statements about itself, as they lie in the node directory.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use careweave_certs::keystore::{KeyStoreError, SoftwareKey};
use careweave_certs::private_file::{self, PrivateFileError};
use careweave_certs::trust::{PeerIdentity, Trust, TrustError};
use careweave_certs::{binding, chain, layout};
use careweave_protocol::cbor;
use careweave_protocol::id::{NetworkId, NodeKey};
use careweave_protocol::identity::{
    Advert, AdvertRecord, Attestation, EndpointRole, NodeBinding, NodeHello, StaffRevocation,
};
use careweave_protocol::key::{PublicKey, Signer};
use careweave_protocol::limits::{ADVERT_ADDRESSES, ADVERT_LIFE, BINDING_LIFE, SIGNED_MAX};
use careweave_protocol::query::Cause;
use careweave_protocol::signed::{Scope, Signed, SignedError};
use careweave_protocol::time::Timestamp;
use careweave_protocol::version::PROTOCOL_VERSION;
use libp2p::{Multiaddr, identity};
use serde_bytes::ByteBuf;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::config::Config;
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
    /// A statement about ourselves could not be signed.
    #[error(transparent)]
    Signing(#[from] SignedError),
}

/// Keys and certificates as loaded; becomes an [`OwnIdentity`] once they verify against the manifest.
pub struct Loaded {
    dir: PathBuf,
    organisation: SoftwareKey,
    peer: Arc<SoftwareKey>,
    desk: SoftwareKey,
    peer_key: NodeKey,
    desk_key: NodeKey,
    chain: Vec<ByteBuf>,
    attestations: Vec<Signed<Attestation>>,
}

/// Who this node is.
pub struct OwnIdentity {
    loaded: Loaded,
    identity: PeerIdentity,
    certificate_expires: Timestamp,
    said: RwLock<Said>,
}

/// What the node says about itself, renewed from time to time.
struct Said {
    peer: Signed<NodeBinding>,
    desk: Signed<NodeBinding>,
    binding_expires: Timestamp,
    advert: Signed<Advert>,
}

impl OwnIdentity {
    /// Reads keys, chain and attestations from the node directory.
    ///
    /// # Errors
    /// See [`OwnError`].
    pub fn load(config: &Config) -> Result<Loaded, OwnError> {
        let dir = &config.dir;
        let organisation = SoftwareKey::read_plain(&dir.join(layout::ORGANISATION_KEY))?;
        let peer = SoftwareKey::read_plain(&dir.join(layout::PEER_KEY))?;
        let desk = SoftwareKey::read_plain(&dir.join(layout::DESK_KEY))?;
        let peer_key = peer.public_key().node_key().ok_or(OwnError::Algorithm(layout::PEER_KEY))?;
        let desk_key = desk.public_key().node_key().ok_or(OwnError::Algorithm(layout::DESK_KEY))?;
        let chain_path = dir.join(layout::CHAIN);
        let chain = chain::from_pem(&read(&chain_path)?).map_err(|_| OwnError::Damaged(chain_path))?;
        let chain = chain.into_iter().map(|der| ByteBuf::from(der.to_vec())).collect();
        let attested = dir.join(layout::ATTESTATIONS);
        let attestations = cbor::from_slice(&read(&attested)?, SIGNED_MAX).map_err(|_| OwnError::Damaged(attested))?;
        let peer = Arc::new(peer);
        Ok(Loaded { dir: dir.clone(), organisation, peer, desk, peer_key, desk_key, chain, attestations })
    }

    /// Who we are in the network.
    #[must_use]
    pub fn identity(&self) -> &PeerIdentity {
        &self.identity
    }

    /// The peer endpoint's key.
    #[must_use]
    pub fn node_key(&self) -> NodeKey {
        self.loaded.peer_key
    }

    /// Signs on the hot path: the peer endpoint's key.
    #[must_use]
    pub fn node_signer(&self) -> &dyn Signer {
        self.loaded.peer.as_ref()
    }

    /// As [`OwnIdentity::node_signer`], for a thread of its own.
    #[must_use]
    pub fn node_signer_shared(&self) -> Arc<dyn Signer> {
        Arc::clone(&self.loaded.peer) as Arc<dyn Signer>
    }

    /// The organisation's public key.
    #[must_use]
    pub fn organisation_key(&self) -> PublicKey {
        self.loaded.organisation.public_key()
    }

    /// End of the organisation certificate.
    #[must_use]
    pub fn certificate_expires(&self) -> Timestamp {
        self.certificate_expires
    }

    /// End of the endpoints' bindings.
    #[must_use]
    pub fn binding_expires(&self) -> Timestamp {
        self.said.read().unwrap_or_else(PoisonError::into_inner).binding_expires
    }

    /// The binding of one endpoint.
    #[must_use]
    pub fn binding(&self, role: EndpointRole) -> Signed<NodeBinding> {
        let said = self.said.read().unwrap_or_else(PoisonError::into_inner);
        match role {
            EndpointRole::Peer => said.peer.clone(),
            EndpointRole::Desk => said.desk.clone(),
        }
    }

    /// What is said on a new connection.
    #[must_use]
    pub fn hello(&self, role: EndpointRole, network: &NetworkId, version: u64, now: Timestamp) -> NodeHello {
        self.loaded.hello(self.binding(role), network, version, now)
    }

    /// Where we are.
    #[must_use]
    pub fn advert(&self) -> AdvertRecord {
        let said = self.said.read().unwrap_or_else(PoisonError::into_inner);
        AdvertRecord {
            organisation_key: self.loaded.organisation.public_key(),
            binding: said.peer.clone(),
            advert: said.advert.clone(),
        }
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
        keypair(&self.loaded.peer, layout::PEER_KEY)
    }

    /// The libp2p identity of the desk endpoint.
    ///
    /// # Errors
    /// When the key is of another algorithm.
    pub fn desk_keypair(&self) -> Result<identity::Keypair, OwnError> {
        keypair(&self.loaded.desk, layout::DESK_KEY)
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
        let hello = self.hello(said.peer.clone(), &config.network, trust.manifest().version, now);
        let identity = trust.check_node(&hello, self.peer_key, EndpointRole::Peer, now).map_err(OwnError::Refused)?;
        if *identity.ods() != config.ods {
            return Err(OwnError::Refused(Cause::CertInvalid));
        }
        let certificate = chain::verify(&self.chain, trust.manifest(), now).map_err(OwnError::Refused)?;
        let certificate_expires = certificate.not_after();
        Ok(OwnIdentity { loaded: self, identity, certificate_expires, said: RwLock::new(said) })
    }

    fn say(&self, config: &Config, addresses: &[Multiaddr], now: Timestamp) -> Result<Said, SignedError> {
        let (network, ods) = (&config.network, &config.ods);
        let bind = |key: NodeKey, role: EndpointRole| {
            binding::issue(network, ods, (key, role), &self.organisation, now, BINDING_LIFE)
        };
        let peer = bind(self.peer_key, EndpointRole::Peer)?;
        let advert = Advert {
            ods: ods.clone(),
            node: self.peer_key,
            addresses: addresses.iter().take(ADVERT_ADDRESSES).map(ToString::to_string).collect(),
            duty_contact: config.duty_contact.clone(),
            issued: now,
            expires: now.after(ADVERT_LIFE.saturating_sub(Duration::from_secs(1))),
        };
        Ok(Said {
            binding_expires: peer.get().not_after,
            peer: peer.into_signed(),
            desk: bind(self.desk_key, EndpointRole::Desk)?.into_signed(),
            advert: Signed::sign(&advert, Scope::network(network), self.peer.as_ref())?.into_signed(),
        })
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
            binding,
            attestations: self.attestations.clone(),
            revocation: self.revocation(),
            manifest_version,
        }
    }

    /// The list is read anew for every connection: `careweave staff revoke` changes it beside the running node.
    fn revocation(&self) -> Option<Signed<StaffRevocation>> {
        let bytes = std::fs::read(self.dir.join(layout::REVOCATION)).ok()?;
        Signed::from_bytes(bytes).ok()
    }
}

fn keypair(key: &SoftwareKey, name: &'static str) -> Result<identity::Keypair, OwnError> {
    let mut seed = key.ed25519_seed().ok_or(OwnError::Algorithm(name))?;
    identity::Keypair::ed25519_from_bytes(seed.as_mut_slice()).map_err(|_| OwnError::Algorithm(name))
}

fn read(path: &Path) -> Result<Vec<u8>, OwnError> {
    std::fs::read(path).map_err(|source| OwnError::Missing { path: path.to_owned(), source })
}
