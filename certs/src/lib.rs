//! Trust: keys at rest, the manifest, certificates, credentials.
//!
//! Everything is a pure function over bytes and `now`, except [`private_file`] and the `read`/`write` functions of
//! [`keystore`], which touch the paths they are given. What is *not* here: the statements themselves and their signatures
//! (`careweave-protocol`), sockets, prompts and printing. Keys in tokens come behind the same
//! [`careweave_protocol::key::Signer`] that [`keystore::SoftwareKey`] implements; nothing here asks for more than that trait.
//!
//! Reading order: [`layout`] (what lies where), [`private_file`] and [`keystore`] (keys at rest), [`manifest`] and [`quorum`]
//! (who belongs, and who may say so), [`authority`] and [`chain`] (certificates issued and verified), [`binding`], [`staff`]
//! and [`attest`] (statements of organisations and registrars), [`enrolment`] (how a member joins), [`trust`] (all that a node
//! or a command line believes), [`rotation`] and [`expiry`] (when things change and end), [`receipt`] (an old receipt, years
//! later), [`revocation_list`] (for other tools).

pub mod attest;
pub mod authority;
pub mod binding;
pub mod chain;
pub mod enrolment;
pub mod expiry;
pub mod keystore;
pub mod layout;
pub mod manifest;
pub mod office_key;
pub mod private_file;
pub mod quorum;
pub mod receipt;
pub mod revocation;
pub mod revocation_list;
pub mod rotation;
pub mod staff;
pub mod trust;

#[cfg(test)]
mod fixture;
