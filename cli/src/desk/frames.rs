//! Frames on a stream; the arithmetic is in [`careweave_protocol::frame`].

use std::io;

use careweave_protocol::cbor::{self, CborError};
use careweave_protocol::frame::{self, FrameError, PREFIX};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// Length-prefixed frames in both directions.
pub(super) struct Frames<S> {
    stream: S,
}

/// Why a frame was not sent or received.
#[derive(Debug, Error)]
pub enum FramesError {
    /// Over the limit.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Not the expected message.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// The node ended the exchange before its reply was whole.
    #[error("the node ended the exchange before its reply was whole")]
    Ended,
    /// The stream or its connection failed, or the node does not offer the protocol to us.
    #[error("the exchange failed: {0}")]
    Io(#[from] io::Error),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    /// Frames from the stream's present position on.
    pub(super) fn new(stream: S) -> Self {
        Self { stream }
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// When it is over the limit or the stream fails.
    pub(super) async fn send(&mut self, payload: &[u8]) -> Result<(), FramesError> {
        self.stream.write_all(&frame::prefix(payload.len())?).await?;
        self.stream.write_all(payload).await?;
        Ok(self.stream.flush().await?)
    }

    /// Sends one message as one frame.
    ///
    /// # Errors
    /// As [`Frames::send`].
    pub(super) async fn send_message<T: Serialize>(&mut self, message: &T) -> Result<(), FramesError> {
        self.send(&cbor::to_vec(message)?).await
    }

    /// Receives one frame of at most `limit` bytes.
    ///
    /// # Errors
    /// When it is longer, cut short, or the stream fails.
    pub(super) async fn receive(&mut self, limit: usize) -> Result<Vec<u8>, FramesError> {
        let mut prefix = [0; PREFIX];
        self.stream.read_exact(&mut prefix).await.map_err(early_end)?;
        let mut payload = vec![0; frame::length(prefix, limit)?];
        self.stream.read_exact(&mut payload).await.map_err(early_end)?;
        Ok(payload)
    }

    /// Receives one frame as a message.
    ///
    /// # Errors
    /// As [`Frames::receive`], and when it is no such message.
    pub(super) async fn receive_message<T: Serialize + DeserializeOwned>(
        &mut self,
        limit: usize,
    ) -> Result<T, FramesError> {
        Ok(cbor::from_slice(&self.receive(limit).await?, limit)?)
    }
}

fn early_end(error: io::Error) -> FramesError {
    if error.kind() == io::ErrorKind::UnexpectedEof { FramesError::Ended } else { FramesError::Io(error) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use careweave_protocol::limits::FRAME_MAX;
    use futures::executor::block_on;
    use futures::io::Cursor;

    #[test]
    fn a_frame_arrives_as_it_was_sent_and_a_cut_one_is_noticed() {
        let mut sent = Frames::new(Cursor::new(Vec::new()));
        block_on(sent.send_message(&"hello")).unwrap();
        let bytes = sent.stream.into_inner();
        let mut received = Frames::new(Cursor::new(bytes.clone()));
        assert_eq!(block_on(received.receive_message::<String>(64)).unwrap(), "hello");
        assert!(matches!(block_on(received.receive(64)), Err(FramesError::Ended)));
        let mut cut = Frames::new(Cursor::new(bytes.get(..6).unwrap().to_vec()));
        assert!(matches!(block_on(cut.receive(64)), Err(FramesError::Ended)));
        let mut narrow = Frames::new(Cursor::new(bytes));
        assert!(matches!(block_on(narrow.receive(3)), Err(FramesError::Frame(_))));
        assert!(block_on(Frames::new(Cursor::new(Vec::new())).send(&vec![0; FRAME_MAX + 1])).is_err());
    }
}
