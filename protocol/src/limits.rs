//! Every bound of the wire, with its reason. A value over its bound is refused with an error that names it.

use std::time::Duration;

/// One frame on a stream: room for an answer header with a long proof or 8,000 leaf hashes, small enough for one buffer.
pub const FRAME_MAX: usize = 256 * 1024;
/// One request (envelope, desk request): a signed query, a credential and evidence are about 2 KiB; the rest is headroom.
pub const REQUEST_MAX: usize = 64 * 1024;
/// One chunk of an answer: fits a quarter of Yamux's default window, so several are under way at once.
pub const CHUNK_MAX: usize = 64 * 1024;
/// What an asker is willing to receive for one query from one holder.
pub const ANSWER_BUDGET: u64 = 64 * 1024 * 1024;
/// Bytes of answer under way before the asker has said it consumed some.
pub const CREDIT_WINDOW: u32 = 1024 * 1024;
/// Leaf hashes in one frame: 4,096 × 32 bytes is half a frame.
pub const LEAVES_PER_FRAME: usize = 4096;
/// Records in one answer: bounds the asker's list of hashes to 2 MiB.
pub const RECORDS_MAX: u32 = 65_536;
/// One record, uncompressed: larger documents belong behind a link.
pub const RECORD_MAX: usize = 16 * 1024 * 1024;
/// One reply of several frames (a view, a manifest chain with adverts): a view of 3,000 records is about 3 MiB.
pub const REPLY_MAX: usize = 64 * 1024 * 1024;
/// Any signed document but a manifest.
pub const SIGNED_MAX: usize = 64 * 1024;
/// A manifest of 10,000 members at about 700 bytes each.
pub const MANIFEST_MAX: usize = 8 * 1024 * 1024;
/// Members in one manifest.
pub const MEMBERS_MAX: usize = 10_000;
/// Governance officers in one manifest.
pub const OFFICERS_MAX: usize = 32;
/// Pieces of relationship evidence in one envelope: a person has a handful of reasons to be known somewhere.
pub const EVIDENCE_MAX: usize = 16;
/// Other numbers of one person in a query: numbers are replaced once or twice in a life.
pub const OTHER_NUMBERS_MAX: usize = 4;
/// A break-glass grant lives at most this long.
pub const BREAK_GLASS_LIFE: Duration = Duration::from_secs(60 * 60);
/// A medicine is hidden from other organisations for at most this long: then the guardian looks again.
pub const HIDDEN_MEDICINE_LIFE: Duration = Duration::from_secs(90 * 24 * 3600);
/// Codings kept in one index header: further ones stay in the record itself.
pub const CODES_MAX: usize = 16;
/// Organisations asked for one view.
pub const FAN_OUT_MAX: usize = 64;
/// A short text of a person or organisation (name, duty contact).
pub const TEXT_MAX: usize = 256;

/// How long the two ends of a new connection may take to prove who they are.
pub const AUTH_DEADLINE: Duration = Duration::from_secs(5);
/// Connections that have not proved who they are, in total: strangers cannot starve members.
pub const PRE_AUTH_CONNECTIONS: usize = 32;
/// Established connections of one endpoint.
pub const CONNECTIONS_MAX: usize = 256;
/// Connections from one peer: two, so that a reconnect overlaps the connection it replaces.
pub const CONNECTIONS_PER_PEER: usize = 2;
/// Yamux streams of one connection.
pub const STREAMS_PER_CONNECTION: usize = 64;
/// Exchanges of one peer being served at once.
pub const EXCHANGES_PER_PEER: usize = 32;
/// How long an exchange over that number may wait before it is told `busy`.
pub const EXCHANGE_QUEUE: Duration = Duration::from_secs(1);
/// A stream on which nothing arrives for this long is cut.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// A query may say it lives at most this long.
pub const QUERY_LIFE: Duration = Duration::from_secs(60);
/// Clocks of two organisations may differ by this much.
pub const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);
/// Nonces are remembered this long after the query's own expiry; must exceed the clock skew.
pub const NONCE_MEMORY: Duration = Duration::from_secs(10 * 60);
/// A view's deadline when the person states none.
pub const VIEW_DEADLINE: Duration = Duration::from_secs(8);
/// Refusals that must not tell leave on a multiple of this after the request arrived.
pub const REFUSAL_TICK: Duration = Duration::from_millis(50);
/// Refusals that must not tell are padded to a multiple of this many bytes.
pub const REFUSAL_BUCKET: usize = 4096;
/// Distinct patients one organisation may ask about in a day before it is stopped and an alert is raised.
pub const PATIENTS_PER_DAY: u32 = 2_000;
/// Distinct patients one person may ask about in a day: four times the busiest clinic list.
pub const PATIENTS_PER_PERSON_DAY: u32 = 400;
/// Queries of one organisation a second, sustained, and the burst on top: a large trust's peak with room to spare.
pub const QUERIES_PER_SECOND: u32 = 5_000;
/// Queries of one person a second, sustained: a script for a ward round, not a crawler.
pub const QUERIES_PER_PERSON_SECOND: u32 = 50;
/// An advert lives at most this long, so a moved node is found again within a day even if nobody tells.
pub const ADVERT_LIFE: Duration = Duration::from_secs(24 * 3600);
/// Addresses in one advert: a node has a few interfaces, not a list to make others dial.
pub const ADVERT_ADDRESSES: usize = 8;
/// A node binding lives at most this long: a stolen node key is useful for a week at most.
pub const BINDING_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// An endorsement lives at most this long: as long as a manifest, so that the officers have one to pin the successor in.
pub const ENDORSEMENT_LIFE: Duration = Duration::from_secs(180 * 24 * 3600);
/// Other organisation keys shown in one hello: the predecessor, and one announced.
pub const EARLIER_KEYS_MAX: usize = 2;
/// Two people's word on a credential counts for this long; then they are asked again.
pub const APPROVAL_LIFE: Duration = Duration::from_secs(365 * 24 * 3600);
/// A one-time code for a first certificate is good for this long.
pub const INVITATION_LIFE: Duration = Duration::from_secs(14 * 24 * 3600);
/// A staff credential lives at most this long.
pub const CREDENTIAL_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

const _: () = assert!(NONCE_MEMORY.as_secs() > CLOCK_SKEW.as_secs());
const _: () = assert!(LEAVES_PER_FRAME * 32 + 64 < FRAME_MAX);
