//! Asking a network's enrolment service for a first certificate: one hello on `/careweave/auth/1`, one reply. Neither end is believed by it.

use std::time::Duration;

use careweave_protocol::cbor;
use careweave_protocol::frame::{self, Assembly, AssemblyError};
use careweave_protocol::identity::{EnrolHello, EnrolReply, Hello};
use careweave_protocol::limits::{FRAME_MAX, REPLY_MAX};
use careweave_protocol::version::AUTH;
use libp2p::{Multiaddr, identity};
use ring::rand::SecureRandom;
use thiserror::Error;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::ConnectError;
use super::connection::Connection;
use super::frames::{Frames, FramesError};
use crate::error::CliError;

/// Why the service gave no answer.
#[derive(Debug, Error)]
pub enum EnrolError {
    /// No connection.
    #[error("the enrolment service is not reachable: {0}")]
    Connect(#[from] ConnectError),
    /// No key for one connection could be made.
    #[error("there is no randomness for a connection")]
    Random,
    /// Sending or receiving failed.
    #[error(transparent)]
    Frames(#[from] FramesError),
    /// The frames make no reply.
    #[error(transparent)]
    Assembly(#[from] AssemblyError),
    /// Nothing came.
    #[error("the enrolment service did not answer within {} s", WAIT.as_secs())]
    NoReply,
    /// It has no room now.
    #[error("the enrolment service is too busy")]
    Busy,
}

/// Says hello to the service at this address and gives its answer.
///
/// The connection has a key of its own, which says nothing about who asks; what is asked for is signed by the organisation's.
///
/// # Errors
/// See [`EnrolError`].
pub async fn enrol(
    service: &Multiaddr,
    hello: EnrolHello,
    random: &dyn SecureRandom,
) -> Result<EnrolReply, EnrolError> {
    let mut seed = Zeroizing::new([0; 32]);
    random.fill(seed.as_mut_slice()).map_err(|_| EnrolError::Random)?;
    let keypair = identity::Keypair::ed25519_from_bytes(seed.as_mut_slice()).map_err(|_| EnrolError::Random)?;
    let connection = Connection::dial(service, &keypair).await?;
    let reply = timeout(WAIT, exchange(&connection, hello)).await.unwrap_or(Err(EnrolError::NoReply));
    connection.close().await;
    reply
}

async fn exchange(connection: &Connection, hello: EnrolHello) -> Result<EnrolReply, EnrolError> {
    let mut frames = Frames::new(connection.open(AUTH).await.map_err(FramesError::from)?);
    frames.send_message(&Hello::Enrol(Box::new(hello))).await?;
    let mut assembly = Assembly::default();
    loop {
        let frame = frames.receive(FRAME_MAX).await?;
        if frame::retry_after(&frame).is_some() {
            return Err(EnrolError::Busy);
        }
        if let Some(reply) = assembly.push(&frame)? {
            return Ok(cbor::from_slice(&reply, REPLY_MAX).map_err(FramesError::from)?);
        }
    }
}

impl EnrolError {
    /// Whether asking again later can help without anybody doing anything here.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        !matches!(self, Self::Random | Self::Connect(ConnectError::AddressWithoutPeer | ConnectError::OtherNode(_)))
    }
}

impl From<EnrolError> for CliError {
    fn from(error: EnrolError) -> Self {
        let message = error.to_string();
        match error {
            EnrolError::Connect(ConnectError::AddressWithoutPeer) => {
                Self::usage("the address of the service does not end in /p2p/ and the node's id")
                    .hint("ask the governance office for the whole address")
            }
            EnrolError::Connect(ConnectError::OtherNode(found)) => {
                Self::failed("wrong-node", format!("another node answers at that address (it shows {found})"))
                    .hint("do not go on: check the address with the governance office")
            }
            EnrolError::Connect(_) => {
                Self::failed("not-reachable", message).hint("check the address with the governance office")
            }
            EnrolError::Busy | EnrolError::NoReply | EnrolError::Frames(FramesError::Io(_)) => {
                Self::failed("no-reply", message).hint("try again in a moment")
            }
            EnrolError::Frames(_) | EnrolError::Assembly(_) => Self::failed("unexpected-reply", message)
                .hint("the node there may be of another generation, or run no enrolment service"),
            EnrolError::Random => Self::failed("randomness", message),
        }
    }
}

/// One answer: a signature in a token and the chain of manifests over a slow line.
const WAIT: Duration = Duration::from_secs(60);
