//! What the node keeps: RocksDB with every value sealed, and keys of HMACs and codes only.
//!
//! Nothing here is asynchronous; callers on async threads go through `spawn_blocking` or the audit writer.
//!
//! [`database`] (the one open database and its column families) · [`seal`] (how a value is encrypted) · [`patients`] (who is held) ·
//! [`records`] (headers to choose by, and reading under a permit) · [`import`] (how records come in) · [`classify`] (category and
//! labels, one table) · [`forms`] (full, summary, essential, and each without whereabouts) · [`parked`] (what waits for its patient).

pub mod classify;
pub mod database;
mod element;
pub mod extract;
pub mod forms;
pub mod import;
pub mod parked;
pub mod patients;
pub mod records;
mod references;
pub mod seal;
mod strip;
#[cfg(test)]
mod tests;
