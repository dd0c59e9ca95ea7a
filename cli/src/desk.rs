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
mod seen;
mod streams;
mod trust;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use careweave_certs::keystore::SoftwareKey;
use careweave_certs::layout::STAFF_TRUST;
use careweave_certs::manifest::Manifest;
use careweave_certs::private_file;
use careweave_certs::trust::{PeerIdentity, Trust};
use careweave_protocol::cbor;
use careweave_protocol::desk::{Assembly, AssemblyError, DeskReply, DeskRequest, ImportFrame, View, ViewReply};
use careweave_protocol::frame;
use careweave_protocol::id::{Digest, NetworkId, NodeKey, OdsCode, QueryId};
use careweave_protocol::identity::{EndpointRole, StaffCredential, StaffHello};
use careweave_protocol::limits::{AUTH_DEADLINE, FRAME_MAX, REPLY_MAX};
use careweave_protocol::query::{Cause, Completeness};
use careweave_protocol::signed::{Document, Scope, Signed, Verified};
use careweave_protocol::time::Timestamp;
use careweave_protocol::version::{AUTH, DESK, PROTOCOL_VERSION};
use libp2p::{Multiaddr, PeerId, Stream, identity};
use thiserror::Error;
use tokio::time::timeout;

use crate::context::Context;
use crate::error::CliError;
use crate::profile::Profile;
use connection::Connection;
use frames::Frames;

pub use completeness::{Expected, Incomplete};
pub use connection::ConnectError;
pub use frames::FramesError;
pub use refusal::advice;
pub use seen::SeenLog;

/// A connection to the own node on which both ends have proven who they are.
pub struct Desk {
    connection: Connection,
    /// The profile's directory: what is learnt of the network is written there.
    directory: PathBuf,
    organisation: OdsCode,
    credential: Signed<StaffCredential>,
    key: SoftwareKey,
    /// The node at the other end, under the organisation's certificate.
    node: PeerIdentity,
    trust: Trust,
}

impl Desk {
    /// Connects with the profile in use and brings its trust up to date.
    ///
    /// # Errors
    /// Whatever is wrong with the profile, the key, the node or the way to it.
    pub async fn open(ctx: &Context) -> Result<Self, CliError> {
        let profile = Profile::open(ctx)?;
        let key = profile.unlock(ctx)?;
        let now = ctx.now();
        let trust = profile.trust(now)?;
        let greeting = StaffHello {
            network: trust.network().clone(),
            protocol: PROTOCOL_VERSION,
            clock: now,
            credential: profile.credential.clone(),
        };
        let (connection, node) = connect(&profile.desk, &key, greeting, &trust, &profile.organisation, now).await?;
        let mut desk = Self {
            connection,
            directory: profile.directory,
            organisation: profile.organisation,
            credential: profile.credential,
            key,
            node,
            trust,
        };
        if desk.node.manifest_version() > desk.trust.version() {
            desk.advance_trust(now).await?;
        }
        if ctx.verbose {
            ctx.note(&format!("connected to {} under manifest {}", desk.organisation, desk.trust.version()));
        }
        Ok(desk)
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &NetworkId {
        self.trust.network()
    }

    /// The own organisation.
    #[must_use]
    pub fn organisation(&self) -> &OdsCode {
        &self.organisation
    }

    /// The newest manifest that follows from the one the profile pins.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        self.trust.manifest()
    }

    /// SHA-256 of the person's signed credential.
    #[must_use]
    pub fn credential_digest(&self) -> Digest {
        self.credential.digest()
    }

    /// Signs a question, or another statement of the person's to the network, with the person's key.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn sign<T: Document + Clone>(&self, statement: &T) -> Result<Signed<T>, CliError> {
        let signed = Signed::sign(statement, Scope::network(self.network()), &self.key);
        Ok(signed.map_err(|_| DeskError::Key)?.into_signed())
    }

    /// Asks something, on a stream of its own.
    ///
    /// # Errors
    /// When the connection is gone or the request is too long.
    pub async fn ask(&self, request: &DeskRequest) -> Result<Exchange, CliError> {
        let stream = self.connection.open(DESK).await.map_err(|error| DeskError::Frames(error.into()))?;
        let mut frames = Frames::new(stream);
        frames.send_message(request).await.map_err(DeskError::from)?;
        Ok(Exchange { frames, assembly: Assembly::default() })
    }

    /// Asks something that has one reply.
    ///
    /// # Errors
    /// As [`Desk::ask`] and [`Exchange::next`].
    pub async fn reply(&self, request: &DeskRequest) -> Result<DeskReply, CliError> {
        self.ask(request).await?.next(REPLY_WAIT).await
    }

    /// The view and its completeness statement, once it is shown to account for every member of the person's own manifest.
    ///
    /// # Errors
    /// [`DeskError::Incomplete`]; a view made under a newer manifest is checked again when that has been fetched.
    pub async fn whole(
        &mut self,
        reply: ViewReply,
        query_id: &QueryId,
        now: Timestamp,
    ) -> Result<(View, Completeness), CliError> {
        let completeness = match self.check(&reply, query_id, now) {
            Err(Incomplete::OtherManifest { theirs, ours }) if theirs > ours => {
                self.advance_trust(now).await?;
                self.check(&reply, query_id, now).map_err(DeskError::from)?
            }
            checked => checked.map_err(DeskError::from)?,
        };
        Ok((reply.view, completeness.into_inner()))
    }

    /// What this person saw of the log when they last verified it.
    ///
    /// # Errors
    /// When the profile cannot be read.
    pub fn seen_log(&self) -> Result<SeenLog, CliError> {
        SeenLog::read(&self.directory.join(SEEN_LOG))
    }

    /// Keeps what this person saw of the log.
    ///
    /// # Errors
    /// When the profile cannot be written.
    pub fn keep_seen_log(&self, seen: &SeenLog) -> Result<(), CliError> {
        seen.write(&self.directory.join(SEEN_LOG))
    }

    /// The key that signs the log's checkpoints now: the node's peer endpoint. None where this person may not see the state
    /// of the node.
    ///
    /// # Errors
    /// When the node cannot be asked.
    pub async fn log_keys(&self) -> Result<Vec<NodeKey>, CliError> {
        match self.reply(&DeskRequest::Status).await {
            Ok(DeskReply::Status(status)) => Ok(status.peer_id.parse().ok().and_then(node_key).into_iter().collect()),
            Ok(_) => Err(DeskError::Unexpected.into()),
            Err(error) if error.code == "not-allowed" => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Ends the connection in order.
    pub async fn close(self) {
        self.connection.close().await;
    }

    fn check(
        &self,
        reply: &ViewReply,
        query_id: &QueryId,
        now: Timestamp,
    ) -> Result<Verified<Completeness>, Incomplete> {
        let members: BTreeSet<OdsCode> = self.manifest().members.iter().map(|member| member.ods.clone()).collect();
        let expected = Expected {
            network: self.network(),
            organisation: &self.organisation,
            organisation_key: self.node.organisation_key(),
            query_id,
            manifest_version: self.trust.version(),
            members: &members,
            now,
        };
        completeness::check(reply, &expected)
    }

    /// Fetches what the node knows and the profile does not, and writes the profile's trust anew.
    async fn advance_trust(&mut self, now: Timestamp) -> Result<(), CliError> {
        let version = self.trust.version();
        let DeskReply::Trust(documents) = self.reply(&DeskRequest::Trust { version }).await? else {
            return Err(DeskError::Unexpected.into());
        };
        if trust::advance(&mut self.trust, &documents, now)? {
            let unwritten = |reason: String| {
                CliError::failed("profile", format!("the newer manifest could not be kept: {reason}"))
                    .hint("the profile's directory must be yours to write")
            };
            let bytes = self.trust.to_bytes().map_err(|error| unwritten(error.to_string()))?;
            let path = self.directory.join(STAFF_TRUST);
            private_file::replace(&path, &bytes).map_err(|error| unwritten(error.to_string()))?;
        }
        // The node must hold under what is believed now, not only under what was believed when it greeted.
        self.trust.recheck(&self.node, now).map_err(|cause| DeskError::NodeNotTrusted(cause).into())
    }
}

async fn connect(
    address: &Multiaddr,
    key: &SoftwareKey,
    hello: StaffHello,
    trust: &Trust,
    organisation: &OdsCode,
    now: Timestamp,
) -> Result<(Connection, PeerIdentity), DeskError> {
    let mut seed = key.ed25519_seed().ok_or(DeskError::Key)?;
    // libp2p copies the seed and wipes what it is given.
    let keypair = identity::Keypair::ed25519_from_bytes(seed.as_mut_slice()).map_err(|_| DeskError::Key)?;
    let connection = Connection::dial(address, &keypair).await?;
    let peer = node_key(connection.peer()).ok_or(DeskError::NotADesk)?;
    let greeting = async {
        let stream = connection.open(AUTH).await.map_err(FramesError::from)?;
        greeting::greet(stream, hello, |node| {
            let identity = trust.check_node(node, peer, EndpointRole::Desk, now)?;
            // A member's desk is not one's own organisation's.
            if identity.ods() == organisation { Ok(identity) } else { Err(Cause::BindingInvalid) }
        })
        .await
    };
    let greeted = timeout(AUTH_DEADLINE, greeting).await.unwrap_or(Err(DeskError::NoReply(AUTH_DEADLINE)));
    match greeted {
        Ok(identity) => Ok((connection, identity)),
        Err(error) => {
            connection.close().await;
            Err(error)
        }
    }
}

/// The key in a PeerId, when it is an Ed25519 key (libp2p peer-ids specification).
fn node_key(peer: PeerId) -> Option<NodeKey> {
    let bytes = peer.to_bytes();
    let (_, key) = bytes.split_at_checked(bytes.len().checked_sub(NodeKey::LEN)?)?;
    let node = NodeKey::try_from(key).ok()?;
    (node.peer_id_bytes() == bytes).then_some(node)
}

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
                let frame = self.frames.receive(FRAME_MAX).await?;
                if let Some(milliseconds) = frame::retry_after(&frame) {
                    return Err(DeskError::Busy(Duration::from_millis(milliseconds.into())));
                }
                if let Some(reply) = self.assembly.push(&frame)? {
                    return Ok::<_, DeskError>(reply);
                }
            }
        };
        let reply = timeout(wait, assembled).await.map_err(|_| DeskError::NoReply(wait))??;
        Ok(cbor::from_slice(&reply, REPLY_MAX).map_err(FramesError::from)?)
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
    /// The node has no room for the request now.
    #[error("your node is too busy; it asks to be tried again in {} s", .0.as_secs().max(1))]
    Busy(Duration),
    /// A reply to another request.
    #[error("the node replied to something else")]
    Unexpected,
    /// The view does not account for every member.
    #[error("the view is not shown: {0}")]
    Incomplete(#[from] Incomplete),
}

/// In the profile's directory: [`SeenLog`]. Private.
const SEEN_LOG: &str = "log-seen.cbor";
/// How long a reply may take that needs no other organisation.
pub const REPLY_WAIT: Duration = Duration::from_secs(30);
/// How long a node that has ended an exchange may take to have said why.
const LAST_WORD_WAIT: Duration = Duration::from_secs(2);
