//! What may be read: the access table as Cedar policies, and the one pure function that asks them.
//!
//! `schema.cedarschema` has the words, `baseline.cedar` the table; changing a cell there changes the decision, nothing else needs to.
//! [`bundle`] is a checked set of policies, [`situation`] what a decision may depend on, [`decision`] what it says, and [`decide`]
//! answers "why was this refused?".

pub mod bundle;
pub mod decide;
pub mod decision;
mod lint;
pub mod situation;
mod words;

#[cfg(test)]
mod tests;

pub use bundle::{BASELINE, BUNDLE_MAX, BundleError, PolicyBundle};
pub use decision::{Access, Basis, Decision, UnknownBasis};
pub use situation::{Asker, Cell, DecisionKey, Objection, Situation};
