//! What the node keeps: RocksDB with every value sealed, and keys of HMACs and codes only.
//!
//! Nothing here is asynchronous; callers on async threads go through `spawn_blocking` or the audit writer.
//!
//! [`database`] (the one open database and its column families) · [`seal`] (how a value is encrypted) · [`patients`] (who is held) ·
//! [`numbers`] (one person under several numbers) · [`namesakes`] (who has the same name and birth date) · [`records`] (headers to choose by, and reading under a permit) · [`import`] (how records come in) · [`classify`] (category and
//! labels, one table) · [`forms`] (full, summary, essential, and each without whereabouts) · [`parked`] (what waits for its patient) ·
//! [`residents`] (who lives here, for a care home) · [`exceptions`] (medicines that the Caldicott guardian hides).

pub mod classify;
pub mod database;
mod element;
pub mod exceptions;
pub mod extract;
pub mod forms;
pub mod import;
pub mod namesakes;
pub(crate) mod number_change;
pub mod numbers;
pub mod parked;
pub mod patients;
pub mod records;
mod references;
mod registration;
mod required;
pub mod residents;
pub mod seal;
mod strip;
#[cfg(test)]
mod tests;
