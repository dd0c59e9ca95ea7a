//! What tests and the demonstration share, and the house rules that a program can check.

pub mod demo;
pub mod network;
pub mod peer;
pub mod population;
#[cfg(test)]
mod tidy;
