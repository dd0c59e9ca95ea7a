//! A medicine that an organisation must hide: its Caldicott guardian's signed exception. The view says that a medicine is not shown.

use serde::{Deserialize, Serialize};

use crate::id::{NetworkId, NhsNumber, OdsCode, PersonId};
use crate::signed::Document;
use crate::time::Timestamp;

/// COSE_Sign1 by the staff key of a person of group IG at the organisation that holds the record.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MedicineException {
    /// The network.
    pub network: NetworkId,
    /// The holder.
    pub ods: OdsCode,
    /// The guardian.
    pub guardian: PersonId,
    /// The patient.
    pub nhs_number: NhsNumber,
    /// FHIR resource type: one of the medication types.
    pub resource_type: String,
    /// Logical id of the record.
    pub id: String,
    /// `true` hides it from other organisations, `false` shows it again.
    pub hidden: bool,
    /// Coded or local reason.
    pub reason: String,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// When it ends by itself; at most 90 days later, so that somebody looks again.
    pub expires_at: Timestamp,
}

impl Document for MedicineException {
    const CONTEXT: &'static str = "careweave medicine exception 1";
}

impl std::fmt::Debug for MedicineException {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MedicineException(hidden)")
    }
}

/// One exception that holds.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HiddenMedicine {
    /// The patient.
    pub nhs_number: NhsNumber,
    /// FHIR resource type and logical id: `MedicationRequest/7`.
    pub record: String,
    /// The guardian.
    pub guardian: PersonId,
    /// Reason.
    pub reason: String,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for HiddenMedicine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HiddenMedicine(hidden)")
    }
}
