//! The client to one's own node: one connection, proven at both ends, and one stream for each thing asked.
//!
//! Reading order: here, then `desk/greeting.rs` (who is at the other end), `desk/trust.rs` (keeping the person's own trust
//! current), `desk/completeness.rs` (whether a view is whole), `desk/refusal.rs` (what a failure means to the person). What
//! is *not* here: what the replies look like on screen (`output`), and the rules of either end.

mod completeness;
mod connection;
mod enrolment;
mod frames;
mod greeting;
mod refusal;
mod seen;
mod streams;
mod trust;

use std::collections::BTreeSet;
use std::time::Duration;

use careweave_certs::keystore::SoftwareKey;
use careweave_certs::layout::{STAFF_CREDENTIAL, STAFF_TRUST};
use careweave_certs::manifest::Manifest;
use careweave_certs::private_file;
use careweave_certs::trust::{PeerIdentity, Trust};
use careweave_protocol::cbor;
use careweave_protocol::desk::{
    Assembly, AssemblyError, DeskReply, DeskRequest, GovernanceDocument, ImportFrame, View, ViewReply,
};
use careweave_protocol::frame;
use careweave_protocol::id::{Digest, NetworkId, NodeKey, OdsCode, QueryId};
use careweave_protocol::identity::{EndpointRole, NodeHello, StaffCredential, StaffHello};
use careweave_protocol::key::PublicKey;
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
pub use enrolment::{EnrolError, enrol};
pub use frames::FramesError;
pub use refusal::advice;
pub use seen::SeenLog;

/// A connection to the own node on which both ends have proven who they are.
pub struct Desk {
    connection: Connection,
    /// Whose connection it is. What is learnt of the network is written into its directory.
    profile: Profile,
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
        let (key, trust) = (profile.unlock(ctx)?, profile.trust(ctx.now())?);
        let mut desk = Self::connect(profile, key, trust, ctx.now()).await?;
        // A node hands a credential that the employer has renewed to its person at their next connection, which is this one.
        if let Some(renewed) = desk.advance_trust(ctx.now()).await? {
            desk = desk.renewed(&renewed, ctx).await?;
        }
        if ctx.verbose {
            ctx.note(&format!("connected to {} under manifest {}", desk.profile.organisation, desk.trust.version()));
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
        &self.profile.organisation
    }

    /// The newest manifest that follows from the one the profile pins.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        self.trust.manifest()
    }

    /// Everything the person believes of the network, with every manifest since the one the profile pins.
    #[must_use]
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// SHA-256 of the person's signed credential.
    #[must_use]
    pub fn credential_digest(&self) -> Digest {
        self.profile.credential.digest()
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
            // The organisation's key may have changed while the view was made: then its word on the successor is there to be fetched.
            Err(Incomplete::Binding(_)) => {
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
        SeenLog::read(&self.profile.directory.join(SEEN_LOG))
    }

    /// Keeps what this person saw of the log.
    ///
    /// # Errors
    /// When the profile cannot be written.
    pub fn keep_seen_log(&self, seen: &SeenLog) -> Result<(), CliError> {
        seen.write(&self.profile.directory.join(SEEN_LOG))
    }

    /// The key that signs the log's checkpoints now: the node's peer endpoint. None where this person may not see the state
    /// of the node.
    ///
    /// # Errors
    /// When the node cannot be asked.
    pub async fn log_keys(&self) -> Result<Vec<NodeKey>, CliError> {
        match self.reply(&DeskRequest::Status).await {
            Ok(DeskReply::Status(status)) => {
                Ok(status.peer_id.parse().ok().and_then(node_key).into_iter().chain(status.log_keys).collect())
            }
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
        let organisation = &self.profile.organisation;
        let check = |organisation_key: &PublicKey| {
            let expected = Expected {
                network: self.network(),
                organisation,
                organisation_key,
                query_id,
                manifest_version: self.trust.version(),
                members: &members,
                now,
            };
            completeness::check(reply, &expected)
        };
        let greeted = check(self.node.organisation_key());
        // The successor that the key of the greeting, or the pinned one, has endorsed since.
        let successor = self.trust.endorsement(organisation).map(|endorsed| &endorsed.get().successor);
        match (greeted, successor) {
            (Err(Incomplete::Binding(_)), Some(key)) if self.trust.accepts_key(organisation, &key.spki_hash(), now) => {
                check(key)
            }
            (greeted, _) => greeted,
        }
    }

    /// Fetches what the node knows and the profile does not, and writes the profile's trust anew. Gives the person's credential, where the
    /// node has a renewed one.
    async fn advance_trust(&mut self, now: Timestamp) -> Result<Option<Signed<StaffCredential>>, CliError> {
        let version = self.trust.version();
        let DeskReply::Trust { documents, credential } = self.reply(&DeskRequest::Trust { version }).await? else {
            return Err(DeskError::Unexpected.into());
        };
        if trust::advance(&mut self.trust, &documents, now)? {
            let unwritten = |reason: String| {
                CliError::failed("profile", format!("the newer manifest could not be kept: {reason}"))
                    .hint("the profile's directory must be yours to write")
            };
            let bytes = self.trust.to_bytes().map_err(|error| unwritten(error.to_string()))?;
            let path = self.profile.directory.join(STAFF_TRUST);
            private_file::replace(&path, &bytes).map_err(|error| unwritten(error.to_string()))?;
        }
        // The node must hold under what is believed now, not only under what was believed when it greeted.
        self.trust.recheck(&self.node, now).map_err(DeskError::NodeNotTrusted)?;
        Ok(credential)
    }

    /// Takes a renewed credential into the profile and greets the node with it: it knows this connection by the one before. What cannot be
    /// taken in is a warning, because the person may have come for something urgent and the one they hold still counts.
    async fn renewed(mut self, renewed: &Signed<StaffCredential>, ctx: &Context) -> Result<Self, CliError> {
        let until = match trust::renewed(renewed, &self.profile.credential, &self.trust, &self.node, ctx.now()) {
            Ok(verified) => verified.get().not_after,
            Err(reason) => {
                ctx.note(&format!("warning: the renewed credential from your node was not taken in: {reason}"));
                return Ok(self);
            }
        };
        if let Err(error) = private_file::replace(&self.profile.directory.join(STAFF_CREDENTIAL), renewed.as_bytes()) {
            ctx.note(&format!("warning: the renewed credential from your node could not be kept: {error}"));
            return Ok(self);
        }
        ctx.note(&format!("credential renewed until {}", until.rfc3339()));
        self.profile.credential = renewed.clone();
        // First the end of the one connection, because a person has two at most and another command may be under way.
        self.connection.close().await;
        Self::connect(self.profile, self.key, self.trust, ctx.now()).await
    }

    async fn connect(profile: Profile, key: SoftwareKey, mut trust: Trust, now: Timestamp) -> Result<Self, CliError> {
        let greeting = StaffHello {
            network: trust.network().clone(),
            protocol: PROTOCOL_VERSION,
            clock: now,
            credential: profile.credential.clone(),
        };
        let (desk, organisation) = (&profile.desk, &profile.organisation);
        let (connection, node) = match greet_own(desk, &key, greeting.clone(), (&trust, organisation), now).await {
            // Whoever was away while an authority or the organisation's key changed does not know yet under what their node stands.
            Err(DeskError::NodeNotTrusted(cause)) if matches!(cause, Cause::CertInvalid | Cause::KeyNotPinned) => {
                let documents = newer_documents(desk, &key, greeting.clone(), trust.version()).await?;
                if !trust::advance(&mut trust, &documents, now)? {
                    return Err(DeskError::NodeNotTrusted(cause).into());
                }
                greet_own(desk, &key, greeting, (&trust, organisation), now).await?
            }
            greeted => greeted?,
        };
        Ok(Self { connection, profile, key, node, trust })
    }
}

/// Connects to the own organisation's desk.
async fn greet_own(
    address: &Multiaddr,
    key: &SoftwareKey,
    hello: StaffHello,
    (trust, organisation): (&Trust, &OdsCode),
    now: Timestamp,
) -> Result<(Connection, PeerIdentity), DeskError> {
    let check = |node: &NodeHello, peer: NodeKey| {
        let identity = trust.check_node(node, peer, EndpointRole::Desk, now)?;
        // A member's desk is not one's own organisation's.
        if identity.ods() == organisation { Ok(identity) } else { Err(Cause::BindingInvalid) }
    };
    connect(address, key, hello, check).await
}

/// What the network's officers have published since, from a node that is not believed yet but has proved the PeerId in the profile. It is
/// asked nothing else, and what it sends is believed only as far as it follows from the pinned first manifest.
async fn newer_documents(
    address: &Multiaddr,
    key: &SoftwareKey,
    hello: StaffHello,
    version: u64,
) -> Result<Vec<GovernanceDocument>, CliError> {
    let (connection, ()) = connect(address, key, hello, |_, _| Ok(())).await?;
    let stream = connection.open(DESK).await.map_err(|error| DeskError::Frames(error.into()))?;
    let mut exchange = Exchange { frames: Frames::new(stream), assembly: Assembly::default() };
    exchange.frames.send_message(&DeskRequest::Trust { version }).await.map_err(DeskError::from)?;
    let reply = exchange.next(REPLY_WAIT).await;
    connection.close().await;
    match reply? {
        DeskReply::Trust { documents, .. } => Ok(documents),
        _ => Err(DeskError::Unexpected.into()),
    }
}

async fn connect<T>(
    address: &Multiaddr,
    key: &SoftwareKey,
    hello: StaffHello,
    check: impl FnOnce(&NodeHello, NodeKey) -> Result<T, Cause>,
) -> Result<(Connection, T), DeskError> {
    let mut seed = key.ed25519_seed().ok_or(DeskError::Key)?;
    // libp2p copies the seed and wipes what it is given.
    let keypair = identity::Keypair::ed25519_from_bytes(seed.as_mut_slice()).map_err(|_| DeskError::Key)?;
    let connection = Connection::dial(address, &keypair).await?;
    let peer = node_key(connection.peer()).ok_or(DeskError::NotADesk)?;
    let greeting = async {
        let stream = connection.open(AUTH).await.map_err(FramesError::from)?;
        greeting::greet(stream, hello, |node| check(node, peer)).await
    };
    let greeted = timeout(AUTH_DEADLINE, greeting).await.unwrap_or(Err(DeskError::NoReply(AUTH_DEADLINE)));
    match greeted {
        Ok(checked) => Ok((connection, checked)),
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
