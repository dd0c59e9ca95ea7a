//! The contract every organisation of a Careweave network shares.
//!
//! Pure: no I/O, no clock, no async, no randomness of its own. What is *not* here: keys at rest and X.509
//! (`careweave-certs`), sockets, storage and record merging (`careweave-node`), printing (`careweave-cli`).
//!
//! Reading order: [`id`] and [`time`] (the words), [`limits`] (every bound of the wire), [`cbor`], [`key`] and [`signed`]
//! (how a statement is signed), [`frame`] (how it travels), [`identity`] (who is who), [`record`] (what is held),
//! [`query`] (what is asked and answered), [`policy`] (what may be read), [`audit`] (what is remembered),
//! [`delivery`] (what is sent between organisations), [`desk`] (what a person asks of their own node), [`directory`] (what nodes tell
//! each other about the network itself).

pub mod audit;
pub mod cbor;
pub mod delivery;
pub mod desk;
pub mod directory;
pub mod frame;
pub mod id;
pub mod identity;
pub mod key;
pub mod limits;
pub mod policy;
pub mod query;
pub mod record;
pub mod signed;
pub mod time;
pub mod version;
