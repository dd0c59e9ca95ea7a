//! The value without which no record is read: made only from a granting decision and the receipt of a synced audit append.

use careweave_protocol::id::Digest;
use careweave_protocol::record::{Category, Form};
use careweave_protocol::time::Timestamp;

use crate::audit::AppendReceipt;
use crate::store::patients::PatientKey;

/// One stored form that may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selected {
    /// Where the record is: its blinded id.
    pub place: [u8; 16],
    /// Its category.
    pub category: Category,
    /// Which form.
    pub form: Form,
    /// When it was taken in.
    pub taken_in: Timestamp,
    /// Its Merkle leaf.
    pub leaf: Digest,
    /// Bytes of its body.
    pub bytes: u32,
}

/// What was decided to be given: for one patient, exactly these forms, under this root.
pub struct Grant {
    /// The patient.
    pub patient: PatientKey,
    /// In the order in which they are sent.
    pub selected: Vec<Selected>,
    /// Merkle root over their leaves.
    pub root: Digest,
}

/// Leave to read exactly what a durable DECISION commits to.
pub struct Permit {
    grant: Grant,
}

impl Permit {
    /// Turns a grant into leave to read it. `None` when the durable entry commits to something else.
    #[must_use]
    pub fn new(grant: Grant, receipt: &AppendReceipt) -> Option<Self> {
        (receipt.root() == Some(grant.root)).then_some(Self { grant })
    }

    /// The patient.
    #[must_use]
    pub fn patient(&self) -> &PatientKey {
        &self.grant.patient
    }

    /// What may be read, in order.
    #[must_use]
    pub fn selected(&self) -> &[Selected] {
        &self.grant.selected
    }
}
