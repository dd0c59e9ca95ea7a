//! The audit log's contract: what an entry says, how entries make a tree, and how anyone checks it without believing the node.
//!
//! Reading order: [`entry`] (what is said), [`leaf`] (what one leaf commits to), [`tree`] (RFC 6962), [`checkpoint`] (what
//! the log's owner signs), [`page`] (how a log is handed over), [`verify`] (is this log whole?), [`sequence`] (is this
//! patient's part of it whole?). What is *not* here: storage, appending, and asking witnesses (`careweave-node`).

pub mod checkpoint;
pub mod entry;
pub mod leaf;
pub mod page;
pub mod sequence;
pub mod tree;
pub mod verify;

pub use checkpoint::{CheckpointError, Origin};
pub use entry::{Actor, AuditEntry, CellDecision, EntryKind, PatientPart};
pub use leaf::{LeafParts, PatientCommitment, PatientDetails};
pub use page::{EntryContent, LogEntry, LogPage};
pub use tree::{Frontier, StoredHash, TreeError, TreeHead};
pub use verify::{Finding, FindingKind, LogReport, LogVerifier, ReceiptError, verify_receipt};
