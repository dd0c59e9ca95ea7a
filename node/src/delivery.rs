//! Store-and-forward of signed things: acknowledgements and alerts go out when their recipient can be reached, and have their
//! effect once however often they arrive.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use careweave_protocol::audit::{AuditEntry, EntryKind};
use careweave_protocol::cbor;
use careweave_protocol::delivery::{Alert, AlertKind, Delivery, DeliveryReply};
use careweave_protocol::desk::receipt::{RECEIPTS_PER_PAGE, ReceiptPage, StoredReceipt};
use careweave_protocol::id::{Digest, Nonce, OdsCode, QueryId};
use careweave_protocol::limits::{FAN_OUT_MAX, IDLE_TIMEOUT, REQUEST_MAX, SIGNED_MAX};
use careweave_protocol::query::acknowledgement::BATCH_MAX;
use careweave_protocol::query::{Acknowledgement, AcknowledgementBatch, AnswerHeader};
use careweave_protocol::signed::{Scope, Signed, SignedError, Verified};
use careweave_protocol::time::Timestamp;
use futures::stream::StreamExt;
use ring::rand::SecureRandom;
use rocksdb::WriteBatch;
use serde_bytes::ByteBuf;
use thiserror::Error;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::audit::{Append, AppendError};
use crate::net::gate::NodeSession;
use crate::net::peers::PeerEnd;
use crate::net::{ConnectError, ExchangeStream, FrameError, FramedStream, OpenError, Protocol};
use crate::services::Services;
use crate::store::database::{Family, Put, StoreError};

/// How long acknowledgements gather before they leave together.
const GATHER: Duration = Duration::from_millis(500);
/// How often what could not be delivered is tried again.
const RETRY: Duration = Duration::from_secs(15);
/// Things of one recipient read at a time: one batch of acknowledgements and as many others.
const READ_AT_ONCE: usize = 2 * BATCH_MAX;
/// Largest delivery: a batch of 256 acknowledgements is about 35 KiB.
const DELIVERY_MAX: usize = SIGNED_MAX + 1024;
/// Time for one recipient in one round; what is left goes in the next.
const ONE_RECIPIENT: Duration = Duration::from_secs(60);
/// Time to reach a recipient.
const CONNECT: Duration = Duration::from_secs(5);

/// First byte of keys in the outbox: acknowledgements to be batched, and things ready to go.
const ACKNOWLEDGEMENT: u8 = b'a';
const READY: u8 = b'd';
/// First byte of keys among the receipts: headers we hold, and deliveries that had their effect.
const HEADER: u8 = b'r';
const DONE: u8 = b'k';
/// Bytes of one page of receipts and evidence: a fraction of the longest reply.
const PAGE_BYTES: usize = careweave_protocol::limits::REPLY_MAX / 4;
/// One certificate, one endorsement and one binding at their longest.
const EVIDENCE_MOST: usize = 24 * 1024;
/// First byte of keys of what receipts are verified with.
const EVIDENCE: u8 = b'e';

/// What is still to be delivered lives in the store; this only wakes whoever delivers.
#[derive(Debug, Default)]
pub struct Outbox {
    woken: Notify,
    /// Held from looking for marks until they are set, so that a delivery sent twice at once has its effect once.
    taking: tokio::sync::Mutex<()>,
}

/// Why something was not delivered, or not taken in.
#[derive(Debug, Error)]
pub enum DeliveryError {
    /// The recipient's address is not known.
    #[error("no address is known")]
    NoAddress,
    /// The recipient is not reached.
    #[error(transparent)]
    Unreachable(#[from] ConnectError),
    /// No stream.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The stream failed.
    #[error(transparent)]
    Stream(#[from] FrameError),
    /// It took too long.
    #[error("the other side went quiet")]
    Idle,
    /// Not of the protocol.
    #[error(transparent)]
    Shape(#[from] cbor::CborError),
    /// Could not be signed, or does not verify.
    #[error(transparent)]
    Signature(#[from] SignedError),
    /// The recipient cannot take it now.
    #[error("the recipient did not take it")]
    NotTaken,
    /// Not believed; sending it again would not help.
    #[error("not believed")]
    Rejected,
    /// The own store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The own log failed.
    #[error(transparent)]
    Audit(#[from] AppendError),
    /// No randomness.
    #[error("no randomness")]
    Randomness,
    /// A task ended early.
    #[error("an internal task ended early")]
    Task(#[from] tokio::task::JoinError),
}

/// What is written beside a RECEIPT: the header itself, and the acknowledgement to be sent.
///
/// # Errors
/// When a value cannot be sealed.
pub fn keep(
    services: &Services,
    holder: &OdsCode,
    item: &Acknowledgement,
    (header, evidence): (&Verified<AnswerHeader>, &(Digest, Vec<u8>)),
) -> Result<Vec<Put>, StoreError> {
    let log = &services.database.keys().log;
    let receipt_key = key(HEADER, holder, item.query_id.as_bytes());
    let kept = Kept { header: ByteBuf::from(header.signed().as_bytes()), evidence: Some(evidence.0) };
    let receipt = log.seal(Family::Receipts, &receipt_key, &cbor::to_vec(&kept)?)?;
    let outbox_key = key(ACKNOWLEDGEMENT, holder, item.query_id.as_bytes());
    let waiting = log.seal(Family::Outbox, &outbox_key, &cbor::to_vec(item)?)?;
    let mut rows = vec![(Family::Receipts, receipt_key, receipt), (Family::Outbox, outbox_key, waiting)];
    let evidence_key = evidence_key(&evidence.0);
    // Once for all answers under one binding; twice does no harm.
    if services.database.get(Family::Receipts, &evidence_key)?.is_none() {
        let sealed = log.seal(Family::Receipts, &evidence_key, &evidence.1)?;
        rows.push((Family::Receipts, evidence_key, sealed));
    }
    Ok(rows)
}

/// A header as it is kept, with the digest of the evidence that it stands under.
#[derive(serde::Serialize, serde::Deserialize)]
struct Kept {
    header: ByteBuf,
    evidence: Option<Digest>,
}

/// Some of the receipts held, with the evidence that each stands under.
///
/// # Errors
/// When the store fails, or a row is not what it was written as.
pub fn receipts(services: &Services, from: Option<&[u8]>) -> Result<ReceiptPage, StoreError> {
    let log = &services.database.keys().log;
    let mut page = ReceiptPage::default();
    let mut named = BTreeSet::new();
    let mut bytes = 0usize;
    for item in services.database.scan_from(Family::Receipts, &[HEADER], from.unwrap_or(&[HEADER]))? {
        let (key, sealed) = item?;
        if page.receipts.len() >= RECEIPTS_PER_PAGE || bytes >= PAGE_BYTES {
            page.next = Some(ByteBuf::from(key.into_vec()));
            break;
        }
        let (Some(holder), Some(query_id)) = (recipient_of(&key), query_of(&key)) else { continue };
        let kept: Kept = cbor::from_own(&log.open(Family::Receipts, &key, sealed.into_vec())?)?;
        // Each with evidence of its own, at the worst.
        bytes = bytes.saturating_add(kept.header.len()).saturating_add(EVIDENCE_MOST);
        named.extend(kept.evidence);
        page.receipts.push(StoredReceipt { holder, query_id, header: kept.header, evidence: kept.evidence });
    }
    for digest in named {
        let key = evidence_key(&digest);
        if let Some(sealed) = services.database.get(Family::Receipts, &key)? {
            page.evidence.push(cbor::from_own(&log.open(Family::Receipts, &key, sealed)?)?);
        }
    }
    Ok(page)
}

fn evidence_key(digest: &Digest) -> Vec<u8> {
    let mut key = vec![EVIDENCE];
    key.extend_from_slice(digest.as_bytes());
    key
}

fn query_of(key: &[u8]) -> Option<QueryId> {
    let (_, id) = key.split_at_checked(key.len().checked_sub(16)?)?;
    id.try_into().ok().map(QueryId)
}

/// The row that queues an alert for another organisation; it is signed when it leaves, with the key of that time, to be written in the batch of the entry that tells of it here; then
/// [`Outbox::wake`].
///
/// # Errors
/// When it cannot be signed or sealed.
pub fn alert(services: &Services, to: &OdsCode, alert: &Alert) -> Result<Put, DeliveryError> {
    let mut number = [0u8; Nonce::LEN];
    ring::rand::SystemRandom::new().fill(&mut number).map_err(|_| DeliveryError::Randomness)?;
    let key = key(READY, to, &number);
    let bytes = cbor::to_vec(alert)?;
    let sealed = services.database.keys().log.seal(Family::Outbox, &key, &bytes).map_err(StoreError::from)?;
    Ok((Family::Outbox, key, sealed))
}

impl Outbox {
    /// Something new is waiting.
    pub fn wake(&self) {
        self.woken.notify_one();
    }

    /// Delivers until cancelled.
    pub async fn run(services: Arc<Services>) {
        loop {
            // Whichever comes first; then a little longer, so that the acknowledgements of one view leave together.
            drop(timeout(RETRY, services.outbox.woken.notified()).await);
            tokio::time::sleep(GATHER).await;
            let (waiting, reading) = (Arc::clone(&services), services.database.clone());
            let recipients = tokio::task::spawn_blocking(move || recipients(&waiting, &reading)).await;
            let recipients = match recipients {
                Ok(Ok(recipients)) => recipients,
                Ok(Err(error)) => {
                    tracing::error!(%error, "outbox could not be read");
                    continue;
                }
                Err(_) => return,
            };
            // Side by side: one recipient that is slow, or takes its time on purpose, must not keep the others waiting.
            let services = &services;
            futures::stream::iter(recipients)
                .for_each_concurrent(FAN_OUT_MAX, |(recipient, things)| async move {
                    match timeout(ONE_RECIPIENT, deliver(services, &recipient, things)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => tracing::debug!(%recipient, %error, "delivery waits"),
                        Err(_) => tracing::debug!(%recipient, "delivery goes on later"),
                    }
                })
                .await;
        }
    }
}

/// How many things wait.
///
/// # Errors
/// When the store fails.
pub fn waiting(services: &Services) -> Result<u64, StoreError> {
    let mut count = 0u64;
    for item in services.database.scan(Family::Outbox, &[])? {
        item?;
        count = count.saturating_add(1);
    }
    Ok(count)
}

type Things = Vec<(Vec<u8>, Vec<u8>)>;

fn recipients(
    services: &Services,
    database: &crate::store::database::Database,
) -> Result<BTreeMap<OdsCode, Things>, StoreError> {
    let mut recipients: BTreeMap<OdsCode, Things> = BTreeMap::new();
    for item in database.scan(Family::Outbox, &[])? {
        let (key, sealed) = item?;
        let Some(recipient) = recipient_of(&key) else { continue };
        let things = recipients.entry(recipient).or_default();
        if things.len() < READ_AT_ONCE {
            let plain = services.database.keys().log.open(Family::Outbox, &key, sealed.into_vec())?;
            things.push((key.into_vec(), plain));
        }
    }
    Ok(recipients)
}

async fn deliver(services: &Arc<Services>, recipient: &OdsCode, things: Things) -> Result<(), DeliveryError> {
    let known = services.directory.get(recipient, services.clock.now()).ok_or(DeliveryError::NoAddress)?;
    let end = services.peers.current();
    let (handle, signer) = (&end.gate.handle, end.key().signer.as_ref());
    if !handle.is_admitted(known.peer) {
        handle.dial(known.peer, known.addresses.clone(), CONNECT).await?;
        handle.wait_admitted(known.peer, CONNECT).await?;
    }
    let (batch, ready): (Things, Things) = things.into_iter().partition(|(k, _)| k.first() == Some(&ACKNOWLEDGEMENT));
    for part in batch.chunks(BATCH_MAX) {
        let items = part.iter().map(|(_, bytes)| cbor::from_own(bytes)).collect::<Result<Vec<_>, _>>()?;
        let statement = AcknowledgementBatch { asker: services.config.ods.clone(), holder: recipient.clone(), items };
        let scope = Scope::to(&services.config.network, recipient);
        let signed = Signed::sign(&statement, scope, signer)?.into_signed();
        let sent = send(&end, known.peer, &cbor::to_vec(&Delivery::Acknowledgements(signed))?).await;
        settle(services, recipient, sent, part.iter().map(|(k, _)| k.clone()).collect()).await?;
    }
    for (key, bytes) in ready {
        let alert: Alert = cbor::from_own(&bytes)?;
        let scope = Scope::to(&services.config.network, recipient);
        let signed = Signed::sign(&alert, scope, signer)?.into_signed();
        let sent = send(&end, known.peer, &cbor::to_vec(&Delivery::Alert(signed))?).await;
        settle(services, recipient, sent, vec![key]).await?;
    }
    Ok(())
}

/// Forgets what was taken, and what never will be: it would stand before everything that comes after it.
async fn settle(
    services: &Arc<Services>,
    recipient: &OdsCode,
    sent: Result<(), DeliveryError>,
    keys: Vec<Vec<u8>>,
) -> Result<(), DeliveryError> {
    if let Err(DeliveryError::Rejected) = sent {
        services.admin("delivery-rejected", None, format!("{} to {recipient}", keys.len())).await;
    } else {
        sent?;
    }
    forget(services, keys).await
}

async fn send(end: &PeerEnd, peer: libp2p::PeerId, delivery: &[u8]) -> Result<(), DeliveryError> {
    let mut stream = FramedStream::new(end.gate.handle.open(peer, Protocol::Deliver, CONNECT).await?);
    stream.write_frame(delivery).await?;
    stream.close().await?;
    let reply = timeout(IDLE_TIMEOUT, stream.read_frame(REQUEST_MAX)).await.map_err(|_| DeliveryError::Idle)??;
    match cbor::from_slice(&reply.ok_or(DeliveryError::Idle)?, REQUEST_MAX)? {
        DeliveryReply::Accepted => Ok(()),
        DeliveryReply::Rejected(_) => Err(DeliveryError::Rejected),
        DeliveryReply::Busy(_) => Err(DeliveryError::NotTaken),
    }
}

async fn forget(services: &Arc<Services>, keys: Vec<Vec<u8>>) -> Result<(), DeliveryError> {
    let services = Arc::clone(services);
    tokio::task::spawn_blocking(move || {
        let mut batch = WriteBatch::default();
        for key in keys {
            services.database.delete(&mut batch, Family::Outbox, &key)?;
        }
        // Losing this to a crash sends the thing again, and it has its effect once.
        Ok(services.database.write_buffered(batch)?)
    })
    .await?
}

/// Takes in one delivery of another organisation.
///
/// # Errors
/// See [`DeliveryError`]; the sender has been told whether to try again.
pub async fn receive(
    services: &Arc<Services>,
    session: &NodeSession,
    stream: ExchangeStream,
) -> Result<(), DeliveryError> {
    let mut stream = FramedStream::new(stream);
    let frame = timeout(IDLE_TIMEOUT, stream.read_frame(DELIVERY_MAX)).await.map_err(|_| DeliveryError::Idle)??;
    let Some(frame) = frame else { return Ok(()) };
    let outcome = take_in(services, session, &frame).await;
    let reply = match &outcome {
        Ok(()) => DeliveryReply::Accepted,
        Err(DeliveryError::Store(_) | DeliveryError::Audit(_) | DeliveryError::Task(_)) => {
            DeliveryReply::Busy(u32::try_from(RETRY.as_millis()).unwrap_or(u32::MAX))
        }
        Err(_) => DeliveryReply::Rejected(ByteBuf::new()),
    };
    stream.write_frame(&cbor::to_vec(&reply)?).await?;
    stream.close().await?;
    outcome
}

async fn take_in(services: &Arc<Services>, session: &NodeSession, frame: &[u8]) -> Result<(), DeliveryError> {
    let scope = Scope::to(&services.config.network, &services.config.ods);
    let from = &session.identity;
    let now = services.clock.now();
    match cbor::from_slice(frame, DELIVERY_MAX)? {
        Delivery::Acknowledgements(signed) => {
            let batch = signed.verify(scope, &from.node().into())?.into_inner();
            if batch.asker != *from.ods() || batch.holder != services.config.ods || batch.items.len() > BATCH_MAX {
                return Err(DeliveryError::Rejected);
            }
            let entries = batch.items.into_iter().map(|item| {
                let mut entry = AuditEntry::new(EntryKind::Ack, now, services.config.ods.clone(), "acknowledged");
                entry.asker = Some(from.ods().clone());
                entry.holder = Some(services.config.ods.clone());
                entry.query_id = Some(item.query_id);
                entry.receipt = Some(item.header);
                (entry, key(DONE, from.ods(), item.query_id.as_bytes()))
            });
            log_once(services, entries.collect(), now).await
        }
        Delivery::Alert(signed) => {
            let alert = signed.verify(scope, &from.node().into())?.into_inner();
            if alert.from != *from.ods() {
                return Err(DeliveryError::Rejected);
            }
            let event = match alert.kind {
                AlertKind::SelfClaimedAccess => "self-claimed-at-holder",
                AlertKind::BreakGlass => "break-glass-at-holder",
            };
            let mut entry = AuditEntry::new(EntryKind::Alert, now, services.config.ods.clone(), event);
            entry.holder = Some(from.ods().clone());
            entry.query_id = Some(alert.query_id);
            entry.purpose = Some(alert.purpose);
            let mut what = alert.query_id.as_bytes().to_vec();
            what.push(1);
            log_once(services, vec![(entry, key(DONE, from.ods(), &what))], now).await
        }
    }
}

/// Logs each entry that is about a query this log knows and whose mark is not there yet, and sets the mark in the same batch. Without
/// the first, any member could fill the log with queries that it makes up.
async fn log_once(
    services: &Arc<Services>,
    entries: Vec<(AuditEntry, Vec<u8>)>,
    now: Timestamp,
) -> Result<(), DeliveryError> {
    let _one_at_a_time = services.outbox.taking.lock().await;
    let (database, audit) = (services.database.clone(), services.audit.clone());
    let fresh = tokio::task::spawn_blocking(move || {
        let mut fresh: BTreeMap<Vec<u8>, AuditEntry> = BTreeMap::new();
        for (entry, mark) in entries {
            let known = entry.query_id.as_ref().map(|query| audit.knows_query(query)).transpose()?;
            if known == Some(true) && database.get(Family::Receipts, &mark)?.is_none() {
                fresh.entry(mark).or_insert(entry);
            }
        }
        Ok::<_, StoreError>(fresh)
    })
    .await??;
    let appends = fresh.into_iter().map(|(mark, entry)| {
        let extra = vec![(Family::Receipts, mark, now.0.to_be_bytes().to_vec())];
        services.audit.append(Append { entry, patient: None, replay: None, extra })
    });
    for outcome in futures::future::join_all(appends).await {
        outcome?;
    }
    Ok(())
}

fn key(kind: u8, ods: &OdsCode, what: &[u8]) -> Vec<u8> {
    let mut key = vec![kind];
    key.extend_from_slice(ods.as_str().as_bytes());
    key.push(0);
    key.extend_from_slice(what);
    key
}

fn recipient_of(key: &[u8]) -> Option<OdsCode> {
    let (_, rest) = key.split_first()?;
    let end = rest.iter().position(|b| *b == 0)?;
    std::str::from_utf8(rest.get(..end)?).ok()?.parse().ok()
}
