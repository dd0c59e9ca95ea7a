//! Length-prefixed frames on a stream: a big-endian 32-bit length, then that many bytes.
//!
//! The reading and writing itself is asynchronous and lives where the sockets are; this file is the arithmetic.

use thiserror::Error;

use crate::limits::{FRAME_MAX, REPLY_MAX};

/// Bytes of the length prefix.
pub const PREFIX: usize = 4;

/// A frame that may not be sent or read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The stated length is over the limit; nothing after the prefix was read.
    #[error("frame of {len} bytes is over the limit of {limit}")]
    TooLong {
        /// Bytes announced.
        len: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

/// The prefix for a payload of `len` bytes.
///
/// # Errors
/// When the payload is over [`FRAME_MAX`].
pub fn prefix(len: usize) -> Result<[u8; PREFIX], FrameError> {
    match u32::try_from(len) {
        Ok(short) if len <= FRAME_MAX => Ok(short.to_be_bytes()),
        _ => Err(FrameError::TooLong { len, limit: FRAME_MAX }),
    }
}

/// The payload length a prefix announces.
///
/// # Errors
/// When it is over `limit` (itself at most [`FRAME_MAX`]).
pub fn length(prefix: [u8; PREFIX], limit: usize) -> Result<usize, FrameError> {
    let limit = limit.min(FRAME_MAX);
    match usize::try_from(u32::from_be_bytes(prefix)) {
        Ok(len) if len <= limit => Ok(len),
        Ok(len) => Err(FrameError::TooLong { len, limit }),
        Err(_) => Err(FrameError::TooLong { len: usize::MAX, limit }),
    }
}

/// Cuts a reply into frames: first byte 0 when more follows, 1 on the last.
pub fn split(reply: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let pieces = reply.chunks(FRAME_MAX - 1);
    let last = pieces.len().saturating_sub(1);
    pieces.enumerate().map(move |(index, piece)| {
        let mut frame = Vec::with_capacity(piece.len() + 1);
        frame.push(u8::from(index == last));
        frame.extend_from_slice(piece);
        frame
    })
}

/// Puts a reply together again.
#[derive(Debug, Default)]
pub struct Assembly {
    bytes: Vec<u8>,
}

/// Frames that make no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AssemblyError {
    /// More than [`REPLY_MAX`] bytes.
    #[error("reply is over the limit of {REPLY_MAX} bytes")]
    TooLong,
    /// A frame that begins with neither 0 nor 1.
    #[error("reply frame without a continuation mark")]
    Mark,
}

impl Assembly {
    /// Takes a frame; gives the reply when it was the last.
    ///
    /// # Errors
    /// See [`AssemblyError`].
    pub fn push(&mut self, frame: &[u8]) -> Result<Option<Vec<u8>>, AssemblyError> {
        let (mark, piece) = frame.split_first().ok_or(AssemblyError::Mark)?;
        if self.bytes.len().saturating_add(piece.len()) > REPLY_MAX {
            return Err(AssemblyError::TooLong);
        }
        self.bytes.extend_from_slice(piece);
        match mark {
            0 => Ok(None),
            1 => Ok(Some(std::mem::take(&mut self.bytes))),
            _ => Err(AssemblyError::Mark),
        }
    }
}

/// First byte of a frame that says `busy` in place of any reply; no reply of any protocol begins with it.
pub const BUSY: u8 = 0xb5;

/// The frame that says: no room now, try again after this many milliseconds.
#[must_use]
pub fn busy(retry_ms: u32) -> [u8; 5] {
    let [a, b, c, d] = retry_ms.to_be_bytes();
    [BUSY, a, b, c, d]
}

/// The milliseconds of a `busy` frame, when it is one.
#[must_use]
pub fn retry_after(frame: &[u8]) -> Option<u32> {
    match frame {
        [BUSY, a, b, c, d] => Some(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_round_trip_up_to_the_limit_and_not_beyond() {
        for len in [0, 1, 255, FRAME_MAX] {
            assert_eq!(length(prefix(len).unwrap(), FRAME_MAX), Ok(len));
        }
        assert!(prefix(FRAME_MAX + 1).is_err());
        assert!(length([0xff; 4], FRAME_MAX).is_err());
        assert!(length([0, 0, 0, 9], 8).is_err());
    }

    #[test]
    fn a_reply_of_any_size_is_cut_and_put_together() {
        for size in [1, FRAME_MAX - 1, FRAME_MAX, 3 * FRAME_MAX + 7] {
            let reply: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            let mut assembly = Assembly::default();
            let frames: Vec<_> = split(&reply).collect();
            let (last, rest) = frames.split_last().unwrap();
            for frame in rest {
                assert!(frame.len() <= FRAME_MAX);
                assert_eq!(assembly.push(frame), Ok(None));
            }
            assert_eq!(assembly.push(last), Ok(Some(reply)));
        }
        assert_eq!(Assembly::default().push(&[7, 1]), Err(AssemblyError::Mark));
        assert_eq!(Assembly::default().push(&[]), Err(AssemblyError::Mark));
    }
}
