//! Protocol names. A change that an older node cannot read gets a new number; the manifest names the lowest accepted.

/// The version every message of this program speaks.
pub const PROTOCOL_VERSION: u32 = 1;

/// Proves who is at each end; the only protocol offered before it has passed.
pub const AUTH: &str = "/careweave/auth/1";
/// Manifest chain, suspensions, staff revocations, beacons and adverts, between nodes.
pub const MANIFEST: &str = "/careweave/manifest/1";
/// One signed query and its streamed answer.
pub const QUERY: &str = "/careweave/query/1";
/// Store-and-forward of signed things.
pub const DELIVER: &str = "/careweave/deliver/1";
/// Checkpoint cosigning and consistency proofs.
pub const WITNESS: &str = "/careweave/witness/1";
/// A member's next certificate, from a node that runs the enrolment service.
pub const ENROL: &str = "/careweave/enrol/1";
/// Everything a person asks of their own node.
pub const DESK: &str = "/careweave/desk/1";
