//! What a person asks of their own node: one request, then replies until the last.
//!
//! A request is one frame. A reply can be larger than a frame (a view of thousands of rows), so each is cut into frames whose
//! first byte says whether it goes on; see [`crate::frame::split`] and [`crate::frame::Assembly`].

pub mod doctor;
pub mod exception;
pub mod import;
pub mod receipt;
pub mod resident;
pub mod review;
pub mod rotation;
pub mod status;
pub mod view;
pub mod warning;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::audit::page::{LogEntry, LogPage};
use crate::id::{NhsNumber, OdsCode, QueryId};
use crate::identity::{Attestation, NodeBinding, StaffCredential};
use crate::key::PublicKey;
use crate::query::{Cause, Completeness, Query, SourceLine};
use crate::record::{Category, Form};
use crate::signed::Signed;
use crate::time::{Date, Timestamp};

pub use crate::frame::{Assembly, AssemblyError, split};
pub use doctor::{DoctorLine, Health};
pub use exception::{HiddenMedicine, MedicineException};
pub use import::{BadEntry, FileReport, ImportReport};
pub use receipt::{PeerEvidence, ReceiptPage, StoredReceipt};
pub use resident::{Resident, ResidentAdd, ResidentLeave};
pub use review::{Review, ReviewClosing};
pub use rotation::{MemberVerdict, RotationLine, RotationOrder, RotationPart, RotationReport, RotationState};
pub use status::{NodeStatus, PeerLine};
pub use view::View;

/// Entries in one page of the log: about 600 bytes each, so a page stays near a megabyte.
pub const PAGE_MAX: u32 = 2_000;

/// First frame of an exchange, from the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeskRequest {
    /// One view.
    View(Box<ViewRequest>),
    /// Who the own node holds under this number, to be confirmed before asking others.
    Identify(NhsNumber),
    /// State of the node (scope operate).
    Status,
    /// State of its connections (scope operate).
    Peers,
    /// Files follow as [`ImportFrame`]s (scope operate).
    Import,
    /// Entries of the log from this index on, at most [`PAGE_MAX`] (scope audit).
    Log {
        /// First index.
        from: u64,
        /// How many.
        count: u32,
    },
    /// What the log holds about one query: one's own, or any with scope audit.
    Explain(QueryId),
    /// Manifest chain after this version, suspensions and beacons, to keep the person's own trust current.
    Trust {
        /// Newest version the person holds.
        version: u64,
    },
    /// A governance document to take in and pass on (scope govern).
    Publish(GovernanceDocument),
    /// The residents of a care home: current ones, or everybody who ever was.
    Residents {
        /// Whether those who left are listed too.
        all: bool,
    },
    /// Somebody moves in.
    ResidentAdd(ResidentAdd),
    /// Somebody has left.
    ResidentLeave(ResidentLeave),
    /// Reviews of break-glass and alerts (scope audit).
    Reviews {
        /// Whether closed ones are listed too.
        all: bool,
    },
    /// Closes a review (scope audit; never by the person it is about).
    ReviewClose(ReviewClosing),
    /// A medicine the guardian hides, or shows again (staff group IG).
    HideMedicine(Signed<MedicineException>),
    /// The medicines that are hidden (staff group IG).
    HiddenMedicines,
    /// The next step of a rotation, or its rehearsal (scope operate).
    Rotate(RotationOrder),
    /// The node looks at itself and asks every member what they think of it (scope operate).
    Doctor,
    /// Receipts of others' answers, from the beginning or from where the last page ended (scope audit).
    Receipts {
        /// [`ReceiptPage::next`] of the page before.
        from: Option<ByteBuf>,
    },
    /// A one-time code's invitation, signed by an officer, for the enrolment service (scope govern).
    Invite(ByteBuf),
    /// Requests that wait for the officers at the enrolment service (scope govern).
    EnrolmentRequests,
    /// Attestations for the enrolment service to hand out with renewals: signed by a registrar (scope govern).
    Attest(Vec<Signed<Attestation>>),
}

/// A signed governance document as it is carried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GovernanceDocument {
    /// A manifest: COSE_Sign by M officers.
    Manifest(ByteBuf),
    /// A suspension: COSE_Sign1 by one officer.
    Suspension(ByteBuf),
    /// An organisation's list of revoked credentials: COSE_Sign1 by its own key, whose hash the manifest pins.
    StaffRevocation {
        /// The key.
        organisation_key: PublicKey,
        /// The list.
        list: ByteBuf,
    },
    /// A beacon: COSE_Sign1 by a beacon key.
    Beacon(ByteBuf),
    /// An organisation's word on its next key: COSE_Sign1 by the key that the manifest pins.
    Endorsement(ByteBuf),
}

/// A view asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewRequest {
    /// The person's signed question.
    pub query: Signed<Query>,
    /// Free-text reason; its hash is in the query, and it stays in the own node's log.
    pub reason_text: Option<String>,
    /// How long to wait for sources, in milliseconds.
    pub deadline_ms: u32,
    /// Whether the records themselves are wanted beside the view, for a FHIR Bundle; they come as [`DeskReply::Resources`].
    pub resources: bool,
    /// Whether what came since this person's last look at this patient is marked.
    pub mark_new: bool,
}

/// One verified record, as its holder released it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceResource {
    /// Who holds it; [`view::WITHHELD`] for a local organisation of an address-restricted patient.
    pub source: view::Source,
    /// Tells sources of one view apart that share a name because it is withheld; means nothing beyond that view.
    pub origin: u32,
    /// The category under which it was decided.
    pub category: Category,
    /// The form that was granted.
    pub form: Form,
    /// When its holder took it in.
    pub taken_in: Timestamp,
    /// FHIR R4 JSON.
    pub body: ByteBuf,
}

impl std::fmt::Debug for SourceResource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SourceResource({}, {} bytes)", self.category, self.body.len())
    }
}

/// From the person, after [`DeskRequest::Import`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImportFrame {
    /// A file begins.
    File(String),
    /// Some of its bytes, at most 64 KiB.
    Data(ByteBuf),
    /// The file ends; the node replies with its [`FileReport`].
    EndFile,
    /// No more files; the node replies with the [`ImportReport`].
    End,
}

/// From the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeskReply {
    /// What the own organisation holds, before anybody else has replied.
    Own(Box<View>),
    /// Sources now being asked.
    Asking(Vec<OdsCode>),
    /// One of them has come to an end.
    Source(SourceLine),
    /// Some of the records of the view, where they were asked for; before [`DeskReply::View`].
    Resources(Vec<SourceResource>),
    /// The own record says that the number was replaced, or replaced others: ask again with all of them; last.
    OtherNumbers(Vec<NhsNumber>),
    /// Last.
    Residents(Vec<Resident>),
    /// Last.
    Reviews(Vec<Review>),
    /// Last.
    HiddenMedicines(Vec<HiddenMedicine>),
    /// Durable; last.
    Done,
    /// The view; last.
    View(Box<ViewReply>),
    /// Who the own node holds; last.
    Identity(Option<PatientIdentity>),
    /// Last.
    Status(Box<NodeStatus>),
    /// Last.
    Peers(Vec<PeerLine>),
    /// An import may begin.
    Ready,
    /// One file is durable.
    FileImported(FileReport),
    /// Last.
    Imported(ImportReport),
    /// Last.
    Log(LogPage),
    /// Last.
    Explanation(Explanation),
    /// Last.
    Trust {
        /// What the person lacks.
        documents: Vec<GovernanceDocument>,
        /// Their own credential, renewed by the employer since the one they showed.
        credential: Option<Signed<StaffCredential>>,
    },
    /// Last.
    Rotation(Box<RotationReport>),
    /// Last.
    Doctor(Vec<DoctorLine>),
    /// Last.
    Receipts(ReceiptPage),
    /// Signed enrolment requests; last.
    EnrolmentRequests(Vec<ByteBuf>),
    /// The document was taken in; last.
    Published(String),
    /// Not done for a named cause; last.
    Refused(Cause),
    /// Not allowed at this desk; last.
    NotAllowed(String),
    /// The patient is not safely matched in the own record; last.
    NotMatched(String),
    /// Not done, because it does not fit what is there already; nothing was changed; last.
    NotDone {
        /// What does not fit; nothing about a patient.
        why: String,
        /// What to do about it.
        hint: String,
    },
    /// Not done for a local fault; last.
    Failed(String),
}

/// A view with its proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewReply {
    /// What is shown.
    pub view: View,
    /// What it was made from.
    pub completeness: Signed<Completeness>,
    /// Ties the key that signed it to the organisation.
    pub binding: Signed<NodeBinding>,
}

/// Who the own node holds under a number; shown for confirmation, never sent on.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatientIdentity {
    /// Full name as held.
    pub name: String,
    /// Family name as held.
    pub family: String,
    /// Birth date as held.
    pub birth_date: Date,
    /// First line of the address, unless whereabouts are restricted.
    pub address: Option<String>,
    /// Whether the own node holds another person of the same family name and birth date.
    pub namesake: bool,
}

impl std::fmt::Debug for PatientIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PatientIdentity(hidden)")
    }
}

/// What the log holds about one query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The entries, oldest first.
    pub entries: Vec<LogEntry>,
    /// Whether deciding again from the entry gives the same result; `None` where there is no DECISION here or its policy
    /// bundle is no longer held.
    pub replayed: Option<bool>,
}
