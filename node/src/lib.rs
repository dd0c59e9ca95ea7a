//! The Careweave node: holds one organisation's records, answers authorised queries about them and asks others.
//!
//! Reading order: [`config`] and [`node`] (what starts first), [`net`] (who is this peer), [`answer`] (one query, top to
//! bottom), [`ask`] (the other side of it), [`store`], [`audit`], [`view`], [`desk`], [`delivery`], [`review`], [`upkeep`].

pub mod answer;
pub mod ask;
pub mod audit;
pub mod clock;
pub mod config;
pub mod delivery;
pub mod desk;
pub mod doctor;
pub mod enrolment;
pub mod expiry_watch;
pub mod metrics;
pub mod net;
pub mod node;
pub mod own;
pub mod rehearse;
pub mod review;
pub mod rotate;
pub mod services;
pub mod store;
pub mod telemetry;
pub mod upkeep;
pub mod view;
