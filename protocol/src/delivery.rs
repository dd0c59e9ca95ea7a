//! Things sent from one organisation to another with store-and-forward: acknowledgements and alerts so far.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::id::{OdsCode, QueryId};
use crate::query::{AcknowledgementBatch, Purpose};
use crate::signed::{Document, Signed};
use crate::time::Timestamp;

/// A signed thing that is delivered once, however often it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// Answers arrived.
    Acknowledgements(Signed<AcknowledgementBatch>),
    /// Something the other side's privacy officers should look at.
    Alert(Signed<Alert>),
}

/// Why the other organisation is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertKind {
    /// An emergency view was answered on the asker's word alone.
    SelfClaimedAccess,
    /// A view was answered under a break-glass grant.
    BreakGlass,
}

/// COSE_Sign1 by the sender's node key, addressed to the recipient. Names no patient: both logs hold the query id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Who tells.
    pub from: OdsCode,
    /// What.
    pub kind: AlertKind,
    /// Which query.
    pub query_id: QueryId,
    /// Purpose of that query.
    pub purpose: Purpose,
    /// When it happened.
    pub at: Timestamp,
}

impl Document for Alert {
    const CONTEXT: &'static str = "careweave alert 1";
}

/// What the recipient says on the same stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryReply {
    /// Logged durably; the sender may forget it.
    Accepted,
    /// Not believed; sending it again would not help.
    Rejected(ByteBuf),
    /// Try again after this many milliseconds.
    Busy(u32),
}
