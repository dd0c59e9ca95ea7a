//! Objections: an active FHIR `Consent` of scope `patient-privacy` whose root provision denies.

use serde_json::Value;

use super::filing::Filing;
use crate::store::database::StoreError;
use crate::store::element::{codings, text};
use crate::store::patients::{OBJECTION, PatientKey};

/// Records what a Consent says, or takes back what its older version said.
pub(super) fn note(
    filing: &mut Filing,
    owner: &PatientKey,
    consent: &Value,
    place: [u8; 16],
) -> Result<(), StoreError> {
    let Some(patient) = filing.patient(owner)? else { return Ok(()) };
    let said = objection(consent);
    let mut objections = patient.marks.objections.clone();
    objections.retain(|(by, _)| *by != place);
    objections.extend(said.map(|even_in_emergency| (place, even_in_emergency)));
    if objections == patient.marks.objections {
        return Ok(());
    }
    let mut changed = patient.as_ref().clone();
    changed.marks.objections = objections;
    filing.put_patient(changed)?;
    Ok(())
}

/// Whether a Consent objects, and then whether even in an emergency.
fn objection(consent: &Value) -> Option<bool> {
    let privacy = codings(consent, "scope").any(|(_, code, _)| code == "patient-privacy");
    let provision = consent.get("provision").unwrap_or(&Value::Null);
    if !privacy || text(consent, "status") != Some("active") || text(provision, "type") != Some("deny") {
        return None;
    }
    let meta = consent.get("meta").unwrap_or(&Value::Null);
    let mut markers = codings(consent, "category")
        .chain(codings(provision, "code"))
        .chain(codings(provision, "purpose"))
        .chain(codings(meta, "tag"));
    Some(markers.any(|(system, code, _)| system == OBJECTION && code == "even-in-emergency"))
}
