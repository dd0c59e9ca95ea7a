//! Whose a resource is: every way in which FHIR R4 lets it say so.

use careweave_protocol::id::OdsCode;
use careweave_protocol::record::code::ODS;
use serde_json::Value;

use super::filing::Filing;
use super::reason::{Failure, Reason};
use super::scope::Scope;
use crate::store::database::StoreError;
use crate::store::element::{each, items, text};
use crate::store::patients::{PatientKey, under_number_in};
use crate::store::references::{AMBIGUOUS, Alias, Known, Literal, Pointer, base_of};

/// Whose a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// This patient's.
    Patient(PatientKey),
    /// Nobody's: a Practitioner, an Organization, a Location …
    Organisation,
    /// Somebody's who has not arrived under this blinded name.
    Awaited([u8; 16]),
}

/// Whose the resource is, by its own words.
pub(super) fn whose(filing: &mut Filing, resource: &Value, kind: &str, scope: &Scope<'_>) -> Result<Whose, Failure> {
    let mut awaited = None;
    for pointer in subjects(resource, kind) {
        match resolve(filing, &pointer, scope)? {
            // A Provenance of an Organization is nobody's.
            Found::Owner(PatientKey::ORGANISATION) => return Ok(Whose::Organisation),
            Found::Owner(owner) => return Ok(Whose::Patient(owner)),
            Found::Awaited(name) => awaited = awaited.or(Some(name)),
        }
    }
    if let Some(name) = awaited {
        return Ok(Whose::Awaited(name));
    }
    if kind == "Medication"
        && let Some(owner) = scope.sole_patient
    {
        // Without it the request in the same Bundle would name no drug.
        return Ok(Whose::Patient(owner));
    }
    if OF_A_PATIENT.contains(&kind) && !says_subject(resource) {
        Err(Reason::NoSubject.into())
    } else {
        Ok(Whose::Organisation)
    }
}

/// The references that say it, in the order in which they are believed.
fn subjects<'a>(resource: &'a Value, kind: &str) -> Vec<Pointer<'a>> {
    let direct = SUBJECT.iter().flat_map(|name| items(resource, name));
    let nested: Vec<&Value> = match kind {
        "Appointment" => items(resource, "participant").filter_map(|p| p.get("actor")).collect(),
        "AppointmentResponse" => items(resource, "actor").collect(),
        "Provenance" => items(resource, "target").collect(),
        "AuditEvent" => items(resource, "entity").filter_map(|e| e.get("what")).collect(),
        "Person" => items(resource, "link").filter_map(|l| l.get("target")).collect(),
        "Schedule" => items(resource, "actor").collect(),
        _ => Vec::new(),
    };
    let any_record = matches!(kind, "Provenance" | "AuditEvent");
    let direct = direct.filter(|value| value.is_object()).chain(nested);
    let pointers = direct.map(|reference| Pointer::read(reference, resource));
    pointers.filter(|p| p.kind.is_none_or(|kind| kind == "Patient" || any_record)).collect()
}

/// Whether it has a subject of any kind (a Group, a Device).
fn says_subject(resource: &Value) -> bool {
    SUBJECT.iter().any(|name| resource.get(name).is_some_and(|v| v.is_object() || v.is_array()))
}

/// Whom a reference leads to.
pub(super) enum Found {
    Owner(PatientKey),
    Awaited([u8; 16]),
}

pub(super) fn resolve(filing: &mut Filing, pointer: &Pointer<'_>, scope: &Scope<'_>) -> Result<Found, Failure> {
    let literal = literal_owner(filing, pointer, scope)?;
    let number = match pointer.number() {
        Some(number) => numbered(filing, &Alias::Number(number))?,
        None => None,
    };
    if let (Some(owner), Some(stated)) = (literal, pointer.number()) {
        let theirs = filing
            .patient(&owner)?
            .is_some_and(|p| p.demographics.nhs_number == stated || p.demographics.other_numbers.contains(&stated));
        if !theirs {
            return Err(Reason::SubjectsDiffer.into());
        }
    }
    let logical = match pointer.logical {
        Some(alias @ Alias::Identifier { .. }) if literal.is_none() => named(filing, &alias)?.map(|k| k.owner),
        _ => None,
    };
    match literal.or(number).or(logical) {
        Some(AMBIGUOUS) => Err(Reason::AmbiguousSubject.into()),
        Some(owner) => Ok(Found::Owner(owner)),
        None => {
            let name = match (pointer.logical, pointer.literal) {
                (Some(alias @ Alias::Number(_)), _) => alias,
                // Whether an absolute one fits is looked at again when a record of its type and id arrives from any server.
                (_, Some(Literal::Relative(kind, id) | Literal::Absolute(_, kind, id))) => Alias::Record { kind, id },
                (_, Some(Literal::Urn(url))) => Alias::Url(url),
                (Some(alias), None) => alias,
                (None, None) => return Err(Reason::NoSubject.into()),
            };
            Ok(Found::Awaited(name.key(filing.keys())))
        }
    }
}

/// By `reference`: within the Bundle by full URL, then what this store knows. A relative reference is relative to its own
/// entry's server (FHIR R4 §3.1.1.3.1), so records of two servers with the same ids are never mixed up.
fn literal_owner(filing: &mut Filing, pointer: &Pointer<'_>, scope: &Scope<'_>) -> Result<Option<PatientKey>, Failure> {
    let here = scope.full_url.and_then(base_of);
    match pointer.literal {
        None => Ok(None),
        Some(Literal::Urn(url)) => {
            if let Some(owner) = scope.owner_of(url) {
                return Ok(Some(owner));
            }
            Ok(named(filing, &Alias::Url(url))?.map(|known| known.owner))
        }
        Some(Literal::Relative(kind, id)) => {
            if let Some(owner) = here.and_then(|base| scope.owner_of(&format!("{base}/{kind}/{id}"))) {
                return Ok(Some(owner));
            }
            of_server(filing, kind, id, here)
        }
        Some(Literal::Absolute(url, kind, id)) => {
            if let Some(owner) = scope.owner_of(url) {
                return Ok(Some(owner));
            }
            if let Some(known) = named(filing, &Alias::Url(url))? {
                return Ok(Some(known.owner));
            }
            of_server(filing, kind, id, base_of(url))
        }
    }
}

/// `Type/id` here, unless it is known to come from another server.
fn of_server(filing: &mut Filing, kind: &str, id: &str, base: Option<&str>) -> Result<Option<PatientKey>, Failure> {
    let Some(known) = named(filing, &Alias::Record { kind, id })? else { return Ok(None) };
    let fits = known.base == [0; 16] || base.is_none_or(|base| filing.base_key(base) == known.base);
    Ok(fits.then_some(known.owner))
}

/// A name whose owner is still here.
fn named(filing: &mut Filing, alias: &Alias<'_>) -> Result<Option<Known>, StoreError> {
    let key = alias.key(filing.keys());
    filing.known(&key)
}

/// The one patient under a number; [`AMBIGUOUS`] where there are two. A closed registration, or one that says of which other it is a
/// copy, is no second patient.
fn numbered(filing: &mut Filing, alias: &Alias<'_>) -> Result<Option<PatientKey>, StoreError> {
    let key = alias.key(filing.keys());
    let (mut open, mut copies) = (Vec::new(), Vec::new());
    for owner in under_number_in(filing.rows(), &key)? {
        if let Some(held) = filing.patient(&owner)? {
            let list = if held.demographics.is_copy() { &mut copies } else { &mut open };
            list.push(owner);
        }
    }
    Ok(match (open.as_slice(), copies.as_slice()) {
        ([], []) => None,
        ([one], _) | ([], [one]) => Some(*one),
        _ => Some(AMBIGUOUS),
    })
}

/// The ODS code that a reference to an organisation states, or that its Organization has; of a PractitionerRole, that of the organisation
/// it works for.
pub(super) fn organisation(
    filing: &mut Filing,
    reference: &Value,
    resource: &Value,
    scope: &Scope<'_>,
) -> Result<Option<OdsCode>, StoreError> {
    let stated = items(reference, "identifier").find(|i| text(i, "system") == Some(ODS)).and_then(|i| text(i, "value"));
    if let Some(ods) = stated.and_then(|value| value.parse().ok()) {
        return Ok(Some(ods));
    }
    let pointer = Pointer::read(reference, resource);
    if let Some(Alias::Identifier { system: ODS, value }) = pointer.logical {
        return Ok(value.parse().ok());
    }
    if let Some(role) = contained_role(reference, resource) {
        // A role inside that works for a role inside leads nowhere.
        let employer = role.get("organization").filter(|employer| contained_role(employer, resource).is_none());
        return employer.map_or(Ok(None), |employer| organisation(filing, employer, resource, scope));
    }
    let (known, base) = match pointer.literal {
        Some(Literal::Urn(url) | Literal::Absolute(url, _, _)) if scope.organisations.contains_key(url) => {
            return Ok(scope.organisations.get(url).cloned());
        }
        Some(Literal::Urn(url)) => (named(filing, &Alias::Url(url))?, None),
        Some(Literal::Relative(kind, id)) if EMPLOYERS.contains(&kind) => {
            (named(filing, &Alias::Record { kind, id })?, scope.full_url.and_then(base_of))
        }
        Some(Literal::Absolute(url, kind, id)) if EMPLOYERS.contains(&kind) => {
            (named(filing, &Alias::Record { kind, id })?, base_of(url))
        }
        _ => return Ok(None),
    };
    let Some(known) = known.filter(|known| known.ods.is_some()) else { return Ok(None) };
    let fits = base.is_none() || known.base == [0; 16] || base.is_some_and(|base| filing.base_key(base) == known.base);
    Ok(known.ods.filter(|_| fits))
}

/// The contained PractitionerRole that a reference names.
fn contained_role<'a>(reference: &Value, resource: &'a Value) -> Option<&'a Value> {
    let id = text(reference, "reference")?.strip_prefix('#')?;
    items(resource, "contained")
        .find(|c| text(c, "id") == Some(id) && text(c, "resourceType") == Some("PractitionerRole"))
}

/// References to organisations in `performer` of a request, `generalPractitioner` of a Patient.
pub(super) fn first_organisation(
    filing: &mut Filing,
    resource: &Value,
    name: &str,
    scope: &Scope<'_>,
    wanted: impl Fn(&OdsCode) -> bool,
) -> Result<Option<OdsCode>, StoreError> {
    for reference in each(resource.get(name)) {
        if let Some(ods) = organisation(filing, reference, resource, scope)?.filter(&wanted) {
            return Ok(Some(ods));
        }
    }
    Ok(None)
}

/// Types that lead to an organisation's ODS code.
const EMPLOYERS: [&str; 2] = ["Organization", "PractitionerRole"];

/// Elements that name whom a resource is about.
const SUBJECT: [&str; 5] = ["subject", "patient", "for", "beneficiary", "individual"];

/// Types that are about somebody: one without a subject is a mistake of the feed, not an organisational resource.
const OF_A_PATIENT: [&str; 33] = [
    "AllergyIntolerance",
    "CarePlan",
    "Claim",
    "ClinicalImpression",
    "Condition",
    "Consent",
    "DetectedIssue",
    "DeviceUseStatement",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "EpisodeOfCare",
    "ExplanationOfBenefit",
    "FamilyMemberHistory",
    "Flag",
    "Goal",
    "ImagingStudy",
    "Immunization",
    "ImmunizationEvaluation",
    "ImmunizationRecommendation",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationRequest",
    "MedicationStatement",
    "NutritionOrder",
    "Observation",
    "Procedure",
    "QuestionnaireResponse",
    "RelatedPerson",
    "RiskAssessment",
    "ServiceRequest",
    "VisionPrescription",
    "Composition",
];
