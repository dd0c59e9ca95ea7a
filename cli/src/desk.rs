//! The client to one's own node: one connection, proven at both ends, and one stream for each thing asked.
//!
//! Reading order: here, then `desk/greeting.rs` (who is at the other end), `desk/trust.rs` (keeping the person's own trust
//! current), `desk/completeness.rs` (whether a view is whole), `desk/refusal.rs` (what a failure means to the person). What
//! is *not* here: what the replies look like on screen (`output`), and the rules of either end.

mod completeness;
mod connection;
mod frames;
mod greeting;
mod refusal;
mod streams;
mod trust;

use std::time::Duration;

use careweave_protocol::desk::{Assembly, AssemblyError, DeskReply, DeskRequest, ImportFrame};
use careweave_protocol::query::Cause;
use careweave_protocol::{cbor, version};
use libp2p::Stream;
use thiserror::Error;
use tokio::time::timeout;

use crate::error::CliError;
use connection::Connection;
use frames::Frames;

pub use completeness::{Expected, Incomplete};
pub use connection::ConnectError;
pub use frames::FramesError;
pub use refusal::advice;

/// One request and its replies.
pub struct Exchange {
    frames: Frames<Stream>,
    assembly: Assembly,
}

impl Exchange {
    /// The next reply, within `wait`.
    ///
    /// # Errors
    /// When none comes, when it is no reply, and when it says that the request came to nothing.
    pub async fn next(&mut self, wait: Duration) -> Result<DeskReply, CliError> {
        refusal::sort(self.receive(wait).await?)
    }

    /// Sends a frame of an import. Where the node ended the exchange before, its reason is the error.
    ///
    /// # Errors
    /// As [`Exchange::next`].
    pub async fn send(&mut self, frame: &ImportFrame) -> Result<(), CliError> {
        let Err(failed) = self.frames.send_message(frame).await else { return Ok(()) };
        match self.next(LAST_WORD_WAIT).await {
            Err(error) if error.code != "no-reply" => Err(error),
            _ => Err(DeskError::from(failed).into()),
        }
    }

    async fn receive(&mut self, wait: Duration) -> Result<DeskReply, DeskError> {
        let assembled = async {
            loop {
                let frame = self.frames.receive(careweave_protocol::limits::FRAME_MAX).await?;
                if let Some(reply) = self.assembly.push(&frame)? {
                    return Ok::<_, DeskError>(reply);
                }
            }
        };
        let reply = timeout(wait, assembled).await.map_err(|_| DeskError::NoReply(wait))??;
        Ok(cbor::from_slice(&reply, careweave_protocol::desk::REPLY_MAX).map_err(FramesError::from)?)
    }
}

/// Why the node was not asked, or its reply not taken.
#[derive(Debug, Error)]
pub enum DeskError {
    /// No connection.
    #[error("your node is not reachable: {0}")]
    Connect(#[from] ConnectError),
    /// The staff key cannot serve.
    #[error("the staff key cannot be used")]
    Key,
    /// The node does not take us.
    #[error("your node did not accept you: {0}")]
    Refused(Cause),
    /// We do not take the node.
    #[error("the node that answers is not trusted: {0}")]
    NodeNotTrusted(Cause),
    /// Whoever answers is no node.
    #[error("what answers is not a node's desk")]
    NotADesk,
    /// What the node sent to bring the person's trust up to date does not verify.
    #[error("the governance documents from the node were not taken in: {0}")]
    Trust(String),
    /// Sending or receiving failed.
    #[error(transparent)]
    Frames(#[from] FramesError),
    /// The frames make no reply.
    #[error(transparent)]
    Assembly(#[from] AssemblyError),
    /// Nothing came.
    #[error("the node did not reply within {} s", .0.as_secs())]
    NoReply(Duration),
    /// A reply to another request.
    #[error("the node replied to something else")]
    Unexpected,
    /// The view does not account for every member.
    #[error("the view is not shown: {0}")]
    Incomplete(#[from] Incomplete),
}

/// How long a reply may take that needs no other organisation.
pub const REPLY_WAIT: Duration = Duration::from_secs(30);
/// How long a node that has ended an exchange may take to have said why.
const LAST_WORD_WAIT: Duration = Duration::from_secs(2);
