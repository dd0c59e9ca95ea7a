//! Where things lie in a node directory and in a staff profile: one list, shared by `careweaved` and `careweave`.
//!
//! All paths are relative to the directory. Files marked private are created with mode 0600.

/// Configuration of the node, TOML.
pub const NODE_CONFIG: &str = "node.toml";
/// Keys of the node; the directory has mode 0700.
pub const KEYS: &str = "keys";
/// Organisation key, P-256, PKCS#8 in PEM. Private.
pub const ORGANISATION_KEY: &str = "keys/organisation.key";
/// Key of the peer endpoint, Ed25519, PKCS#8 in PEM. Private.
pub const PEER_KEY: &str = "keys/peer.key";
/// Its successor while one is prepared: [`ORGANISATION_KEY`], [`PEER_KEY`] and [`CHAIN`] have one, under the same name with `-next`. Private.
pub const ORGANISATION_KEY_NEXT: &str = "keys/organisation-next.key";
/// Its predecessor while that is still accepted; destroyed when the overlap ends. Private.
pub const ORGANISATION_KEY_OLD: &str = "keys/organisation-old.key";
/// Successor of the peer endpoint's key. Private.
pub const PEER_KEY_NEXT: &str = "keys/peer-next.key";
/// Predecessor of the peer endpoint's key. Private.
pub const PEER_KEY_OLD: &str = "keys/peer-old.key";
/// Key that signs beacons, Ed25519, PKCS#8 in PEM. Private.
pub const BEACON_KEY: &str = "keys/beacon.key";
/// Key of the intermediate authority, at a node that runs the enrolment service. Private.
pub const AUTHORITY_KEY: &str = "keys/authority.key";
/// Key of the desk endpoint, Ed25519, PKCS#8 in PEM. Private.
pub const DESK_KEY: &str = "keys/desk.key";
/// Key-encryption key of the store: [`STORE_KEY_LEN`] raw bytes. Private.
pub const STORE_KEY: &str = "keys/store.key";
/// Bytes in [`STORE_KEY`]: AES-256.
pub const STORE_KEY_LEN: usize = 32;

/// What the node believes and shows.
pub const TRUST: &str = "trust";
/// [`crate::trust::Trust::to_bytes`]: pinned first manifest, chain, suspensions, revocations, beacons.
pub const MANIFEST: &str = "trust/manifest.cbor";
/// Organisation certificate and intermediate, PEM, leaf first.
pub const CHAIN: &str = "trust/chain.pem";
/// The chain that follows, while one is prepared.
pub const CHAIN_NEXT: &str = "trust/chain-next.pem";
/// The chain before, while an overlap runs.
pub const CHAIN_OLD: &str = "trust/chain-old.pem";
/// The own `Signed<KeyEndorsement>`: the pinned key's word on its successor; absent while there is none.
pub const ENDORSEMENT: &str = "trust/endorsement.cbor";
/// CBOR array of the organisation's earlier public keys, newest first: credentials may still stand under them.
pub const EARLIER_KEYS: &str = "trust/earlier-keys.cbor";
/// CBOR array of every node key that has signed the audit log's checkpoints, newest first.
pub const LOG_KEYS: &str = "trust/log-keys.cbor";
/// Present while the files of a rotation are being moved: which part; read at the next start when that was cut short.
pub const ACTIVATING: &str = "trust/activating.cbor";
/// Where each rotation stands: [`crate::rotation::Rotations`], CBOR; absent while nothing is being changed.
pub const ROTATIONS: &str = "trust/rotations.cbor";
/// The peer endpoint that was replaced last, and from when it is refused: [`careweave_protocol::identity::RetiredEndpoint`], CBOR.
pub const RETIRED: &str = "trust/retired.cbor";
/// Certificate of the intermediate authority, PEM, at a node that runs the enrolment service.
pub const AUTHORITY_CERTIFICATE: &str = "trust/authority.pem";
/// Adverts known when the node stopped, so that it finds the others again although every one has moved.
pub const ADVERTS: &str = "trust/adverts.cbor";
/// CBOR array of `Signed<Attestation>` about the own organisation.
pub const ATTESTATIONS: &str = "trust/attestations.cbor";
/// The own organisation's `Signed<StaffRevocation>`; absent until somebody was revoked.
pub const REVOCATION: &str = "trust/revocation.cbor";

/// Staff of the organisation.
pub const STAFF: &str = "staff";
/// [`crate::staff::Register`]: every credential issued and not yet expired.
pub const ISSUED: &str = "staff/issued.cbor";

/// Renewed credentials that wait for their people: `DIGEST.cbor`, named by the digest of the person's identifier.
pub const RENEWED: &str = "staff/renewed";
/// What the node measures, in Prometheus' text form, for a collector of text files; written anew each round.
pub const METRICS: &str = "metrics.prom";

/// The store (RocksDB), unless `data_dir` in the configuration says otherwise.
pub const DATA: &str = "data";
/// The enrolment request that `node init` leaves for the governance office: `Signed<EnrolmentRequest>`.
pub const ENROLMENT_REQUEST: &str = "enrolment-request.cbor";

/// Configuration of a staff profile, TOML.
pub const PROFILE_CONFIG: &str = "profile.toml";
/// The person's key under a passphrase. Private.
pub const STAFF_KEY: &str = "staff.key";
/// The person's step-up key, under a passphrase of its own. Private; absent for people who will never break glass.
pub const STEP_UP_KEY: &str = "step-up.key";
/// The request the person hands to their employer: `Signed<StaffRequest>`.
pub const STAFF_REQUEST: &str = "staff-request.cbor";
/// The person's `Signed<StaffCredential>`. Private.
pub const STAFF_CREDENTIAL: &str = "credential.cbor";
/// What the person's command line believes: [`crate::trust::Trust::to_bytes`].
pub const STAFF_TRUST: &str = "trust.cbor";
