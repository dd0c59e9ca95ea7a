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
/// CBOR array of `Signed<Attestation>` about the own organisation.
pub const ATTESTATIONS: &str = "trust/attestations.cbor";
/// The own organisation's `Signed<StaffRevocation>`; absent until somebody was revoked.
pub const REVOCATION: &str = "trust/revocation.cbor";

/// Staff of the organisation.
pub const STAFF: &str = "staff";
/// [`crate::staff::Register`]: every credential issued and not yet expired.
pub const ISSUED: &str = "staff/issued.cbor";

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
