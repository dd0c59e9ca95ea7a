//! What a person types. `main.rs` reads the clock and the environment; everything here is given them.
//!
//! Reading order: [`args`] (all of clap), [`cmd`] (one file for each noun), [`desk`] (the client to one's own node),
//! [`output`] (the only printer), [`error`] (message, hint, exit code),
//! [`profile`] and [`agent`] (the person's key and what they believe).

pub mod agent;
pub mod args;
pub mod cmd;
pub mod context;
pub mod desk;
pub mod error;
pub mod output;
pub mod profile;
