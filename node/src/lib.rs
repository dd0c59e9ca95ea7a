//! The Careweave node: holds one organisation's records, answers authorised queries about them and asks others.
//!
//! Reading order: [`config`] and [`node`] (what starts first), [`net`] (who is this peer), [`answer`] (one query, top to
//! bottom), [`ask`] (the other side of it), [`store`], [`audit`], [`view`], [`desk`].

pub mod answer;
pub mod audit;
pub mod net;
pub mod store;
pub mod view;
