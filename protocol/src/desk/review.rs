//! Reviews: what somebody other than the person concerned must look at after break-glass or a self-claimed view.

use serde::{Deserialize, Serialize};

use crate::audit::entry::Actor;
use crate::id::{OdsCode, QueryId};
use crate::query::Purpose;
use crate::record::Category;
use crate::time::Timestamp;

/// One review of this organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// The grant's id, or the query's where there is no grant.
    pub id: QueryId,
    /// `break-glass` or `self-claimed`.
    pub kind: String,
    /// When it was opened.
    pub opened: Timestamp,
    /// Five working days later, Saturdays, Sundays and the bank holidays of England left out.
    pub due: Timestamp,
    /// Whether it is open past that.
    pub overdue: bool,
    /// Whose conduct is reviewed.
    pub about: Actor,
    /// The organisation whose records were opened; `None` at the asker, where it may be several.
    pub holder: Option<OdsCode>,
    /// Purpose of use.
    pub purpose: Purpose,
    /// Coded reason given.
    pub reason: Option<String>,
    /// Categories the grant opened.
    pub categories: Vec<Category>,
    /// Queries made under it.
    pub queries: Vec<QueryId>,
    /// How it was closed.
    pub closed: Option<Closed>,
}

/// How a review ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// When.
    pub at: Timestamp,
    /// By whom; never the person it is about.
    pub by: Actor,
    /// `justified` or `not-justified`.
    pub outcome: String,
    /// What was found, in words; no patient.
    pub note: String,
}

/// Closes a review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewClosing {
    /// Which.
    pub id: QueryId,
    /// Whether the access was justified.
    pub justified: bool,
    /// What was found, at most [`crate::limits::TEXT_MAX`] bytes.
    pub note: String,
}
