//! What a person types. `main.rs` reads the clock and the environment; everything here is given them.
//!
//! Reading order: [`args`] (all of clap), [`cmd`] (one file for each noun), [`desk`] (the client to one's own node).

pub mod args;
pub mod context;
pub mod desk;
pub mod error;
