//! `/careweave/auth/1` as the person's side speaks it: own hello, the node's hello, own verdict, the node's verdict.

use careweave_protocol::cbor;
use careweave_protocol::identity::{Hello, HelloReply, NodeHello, StaffHello};
use careweave_protocol::limits::FRAME_MAX;
use careweave_protocol::query::Cause;
use futures::{AsyncRead, AsyncWrite};

use super::DeskError;
use super::frames::{Frames, FramesError};

/// Greets the node and gives what `check` made of its hello.
///
/// # Errors
/// [`DeskError::Refused`] when the node does not take us, [`DeskError::NodeNotTrusted`] when `check` does not take the node,
/// and whatever the stream fails with.
pub(super) async fn greet<S: AsyncRead + AsyncWrite + Unpin, T>(
    stream: S,
    hello: StaffHello,
    check: impl FnOnce(&NodeHello) -> Result<T, Cause>,
) -> Result<T, DeskError> {
    let mut frames = Frames::new(stream);
    frames.send_message(&Hello::Staff(Box::new(hello))).await?;
    let node = node_hello(&frames.receive(FRAME_MAX).await?)?;
    let checked = match check(&node) {
        Ok(checked) => checked,
        Err(cause) => {
            // The node may have gone already; what we think of it is said either way.
            drop(frames.send_message(&HelloReply::Refused(cause.clone())).await);
            return Err(DeskError::NodeNotTrusted(cause));
        }
    };
    let welcome = frames.send_message(&HelloReply::Welcome).await;
    // A node that refused may have closed before it read our verdict: its reason is worth more than our failed write.
    match (frames.receive_message(FRAME_MAX).await, welcome) {
        (Ok(HelloReply::Welcome), _) => Ok(checked),
        (Ok(HelloReply::Refused(cause)), _) => Err(DeskError::Refused(cause)),
        (Err(_), Err(error)) | (Err(error), Ok(())) => Err(error.into()),
    }
}

/// A node's hello, or the refusal it sent instead.
fn node_hello(frame: &[u8]) -> Result<NodeHello, DeskError> {
    match cbor::from_slice(frame, FRAME_MAX) {
        Ok(Hello::Node(hello)) => Ok(*hello),
        Ok(Hello::Staff(_) | Hello::Enrol(_)) => Err(DeskError::NotADesk),
        Err(error) => match cbor::from_slice(frame, FRAME_MAX) {
            Ok(HelloReply::Refused(cause)) => Err(DeskError::Refused(cause)),
            _ => Err(FramesError::from(error).into()),
        },
    }
}

#[cfg(test)]
mod tests;
