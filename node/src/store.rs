//! What the node keeps: RocksDB with every value sealed, and keys of HMACs and codes only.
//!
//! Nothing here is asynchronous; callers on async threads go through `spawn_blocking` or the audit writer.
//!
//! [`database`] (the one open database and its column families) · [`seal`] (how a value is encrypted).

pub mod database;
pub mod seal;
