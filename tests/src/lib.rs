//! What tests and the demonstration share.

pub mod population;
