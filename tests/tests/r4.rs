//! Opinions on FHIR R4 that are not ours. `fhirkit` reads a resource against the official structure definitions: elements, types,
//! cardinality, primitives. `rh-hl7-fhir-r4-core`, generated from the official package by other people, has the codes of required
//! bindings and the invariants, and `rh-fhirpath` evaluates these. What is ours is the walk, and the table of which element an
//! invariant is about, because the generated lists do not say.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use fhirkit::Severity;
use rh_fhirpath::{EvaluationContext, FhirPathEvaluator, FhirPathExpression, FhirPathParser, FhirPathValue};
use rh_hl7_fhir_r4_core::datatypes;
use rh_hl7_fhir_r4_core::metadata::{FhirFieldType, get_field_info};
use rh_hl7_fhir_r4_core::validation::ValidatableResource;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// Every error in a resource and in everything in it, with where it is; none when it is valid R4.
pub(crate) fn errors(text: &str) -> Vec<String> {
    let mut found: Vec<String> = match fhirkit::from_json::<fhirkit::r4::Resource>(text) {
        Ok((_, issues)) => {
            issues.iter().filter(|issue| issue.severity == Severity::Error).map(ToString::to_string).collect()
        }
        Err(error) => return vec![error.to_string()],
    };
    match serde_json::from_str::<Value>(text) {
        Ok(value) => Checker::default().resource(&value, &kind(&value), &mut found),
        Err(error) => found.push(error.to_string()),
    }
    found.sort();
    found.dedup();
    found
}

/// Evaluates invariants; each expression is parsed once.
#[derive(Default)]
struct Checker {
    parsed: BTreeMap<&'static str, FhirPathExpression>,
    evaluator: FhirPathEvaluator,
}

impl Checker {
    /// A resource with its contained resources, or a Bundle with those of its entries.
    fn resource(&mut self, value: &Value, path: &str, found: &mut Vec<String>) {
        let mut own = value.clone();
        for (index, entry) in each(value, "entry").enumerate() {
            let inner = &entry["resource"];
            if inner.is_object() {
                self.resource(inner, &format!("{path}.entry[{index}]/{}", kind(inner)), found);
            }
            // The Bundle's own invariants look at no more of an entry than this, and copy all that there is.
            if let Some(slot) = own.pointer_mut(&format!("/entry/{index}/resource")) {
                *slot = outline(inner);
            }
        }
        for (index, inner) in each(value, "contained").enumerate() {
            self.codes(inner, &format!("{path}.contained[{index}]/{}", kind(inner)), found);
        }
        self.codes(&own, path, found);
        let contains = each(value, "contained").next().is_some();
        let parts = parts(&own);
        for (key, expression) in invariants(&kind(value)) {
            if key.starts_with("dom-") && !contains {
                continue;
            }
            match ON_ELEMENTS.iter().find(|(about, _)| *about == key) {
                None => parts.iter().for_each(|part| self.holds(part, part, (key, expression), path, found)),
                Some((_, name)) => {
                    for element in named(&own, name) {
                        self.holds(element, element, (key, expression), &format!("{path}.{name}"), found);
                    }
                }
            }
        }
        if let Some(fields) = own.as_object() {
            self.elements(fields, &kind(value), &own, path, found);
        }
    }

    /// Codes of required bindings.
    fn codes(&mut self, value: &Value, path: &str, found: &mut Vec<String>) {
        let mut plain = value.clone();
        without_generator_s_gaps(&mut plain, &kind(value));
        if let Err(error) = typed(&kind(value), &plain) {
            found.push(format!("error at {path}: {error}"));
        }
        for (kind_of, name, codes) in CONCEPTS {
            let concept = &value[*name];
            let fits =
                each(concept, "coding").any(|coding| coding["code"].as_str().is_some_and(|code| codes.contains(&code)));
            if kind(value) == *kind_of && concept.is_object() && !fits {
                found.push(format!("error at {path}.{name}: no code of its required value set"));
            }
        }
    }

    /// Invariants of the datatypes in an object of this type.
    fn elements(&mut self, fields: &Map<String, Value>, of: &str, root: &Value, path: &str, found: &mut Vec<String>) {
        for (name, value) in fields {
            let Some(kind) = type_of(of, name) else { continue };
            let many = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            for inner in many {
                let path = format!("{path}.{name}");
                // The one invariant of a reference is about those to a contained resource.
                if kind != "Reference" || inner["reference"].as_str().is_some_and(|to| to.starts_with('#')) {
                    for invariant in datatype_invariants(&kind) {
                        self.holds(inner, root, invariant, &path, found);
                    }
                }
                if let Some(fields) = inner.as_object() {
                    self.elements(fields, &kind, root, &path, found);
                }
            }
        }
    }

    fn holds(&mut self, focus: &Value, root: &Value, invariant: Invariant, path: &str, found: &mut Vec<String>) {
        let (key, expression) = invariant;
        let parsed = match self.parsed.entry(expression) {
            Slot::Occupied(known) => known.into_mut(),
            Slot::Vacant(slot) => match FhirPathParser::new().parse(expression) {
                Ok(parsed) => slot.insert(parsed),
                Err(error) => return found.push(format!("{key} cannot be read: {error}")),
            },
        };
        // The root is copied for each evaluation, so only where the expression asks for it.
        let context = if expression.contains('%') {
            let mut context = EvaluationContext::new(root.clone()).with_current(focus.clone());
            context.add_constant("rootResource".to_owned(), FhirPathValue::Object(root.clone()));
            context
        } else {
            EvaluationContext::new(focus.clone())
        };
        match self.evaluator.evaluate(parsed, &context) {
            Ok(FhirPathValue::Boolean(true) | FhirPathValue::Empty) => {}
            Ok(FhirPathValue::Boolean(false)) => found.push(format!("error at {path}: {key}: {expression}")),
            Ok(other) => found.push(format!("error at {path}: {key} gave {other:?}")),
            Err(error) => found.push(format!("error at {path}: {key} could not be evaluated: {error}")),
        }
    }
}

/// Key and FHIRPath.
type Invariant = (&'static str, &'static str);
type Invariants = Vec<Invariant>;

/// Reads a resource as its generated type, whose enumerations are the required value sets.
fn read_as<T: DeserializeOwned>(value: &Value) -> Result<(), String> {
    T::deserialize(value).map(drop).map_err(|error| error.to_string())
}

fn invariants_of<T: ValidatableResource>() -> Invariants {
    let errors = T::invariants().iter().filter(|invariant| invariant.severity.to_string() == "error");
    let stated = errors.map(|invariant| (invariant.key.as_str(), invariant.expression.as_str()));
    // Every element has a value or children: fhirkit looks. An extension is about each extension, not about the resource.
    // Whether a member of a care team was found elsewhere (`resolve()`) is not for one resource to say.
    stated.filter(|(key, _)| !matches!(*key, "ele-1" | "ext-1" | "ctm-1")).collect()
}

macro_rules! resources {
    ($($module:ident $name:ident),+ $(,)?) => {
        fn typed(kind: &str, value: &Value) -> Result<(), String> {
            match kind {
                $(stringify!($name) => read_as::<rh_hl7_fhir_r4_core::resources::$module::$name>(value),)+
                _ => Err(format!("{kind} is not among the resources that are checked")),
            }
        }

        fn invariants(kind: &str) -> Invariants {
            match kind {
                $(stringify!($name) => invariants_of::<rh_hl7_fhir_r4_core::resources::$module::$name>(),)+
                _ => Vec::new(),
            }
        }
    };
}

resources! {
    allergy_intolerance AllergyIntolerance, appointment Appointment, bundle Bundle, care_plan CarePlan, care_team CareTeam,
    composition Composition, condition Condition, consent Consent, device Device, diagnostic_report DiagnosticReport,
    document_reference DocumentReference, encounter Encounter, episode_of_care EpisodeOfCare, flag Flag, goal Goal,
    imaging_study ImagingStudy, immunization Immunization, location Location, medication Medication,
    medication_administration MedicationAdministration, medication_dispense MedicationDispense,
    medication_request MedicationRequest, medication_statement MedicationStatement, observation Observation,
    operation_outcome OperationOutcome, organization Organization, patient Patient, practitioner Practitioner,
    practitioner_role PractitionerRole, procedure Procedure, provenance Provenance,
    questionnaire_response QuestionnaireResponse, related_person RelatedPerson, service_request ServiceRequest,
    specimen Specimen, task Task,
}

fn datatype_invariants(kind: &str) -> Invariants {
    match kind {
        "Attachment" => invariants_of::<datatypes::attachment::Attachment>(),
        "ContactPoint" => invariants_of::<datatypes::contact_point::ContactPoint>(),
        "Extension" => vec![("ext-1", "extension.exists() != value.exists()")],
        "Period" => invariants_of::<datatypes::period::Period>(),
        "Quantity" => invariants_of::<datatypes::quantity::Quantity>(),
        "Range" => invariants_of::<datatypes::range::Range>(),
        "Ratio" => invariants_of::<datatypes::ratio::Ratio>(),
        "Reference" => invariants_of::<datatypes::reference::Reference>(),
        _ => Vec::new(),
    }
}

/// The type of a member: its own, or the one in the name of a choice (`valueQuantity`).
fn type_of(of: &str, name: &str) -> Option<String> {
    match get_field_info(of, name).map(|info| &info.field_type) {
        Some(FhirFieldType::Complex(kind) | FhirFieldType::BackboneElement(kind)) => Some((*kind).to_owned()),
        Some(FhirFieldType::Reference) => Some("Reference".to_owned()),
        Some(FhirFieldType::Primitive(_)) => None,
        None => CHOICES.iter().find(|kind| name.ends_with(**kind)).map(|kind| (*kind).to_owned()),
    }
}

/// Every element of this name, at any depth of one resource.
fn named<'a>(value: &'a Value, name: &str) -> Vec<&'a Value> {
    match value {
        Value::Array(list) => list.iter().flat_map(|inner| named(inner, name)).collect(),
        Value::Object(fields) => {
            let here = fields
                .get(name)
                .into_iter()
                .flat_map(|here| here.as_array().map_or(vec![here], |list| list.iter().collect()));
            let nested = fields.iter().filter(|(name, _)| *name != "resource" && *name != "contained");
            here.chain(nested.flat_map(|(_, inner)| named(inner, name))).collect()
        }
        _ => Vec::new(),
    }
}

/// What the generated types lack is put aside before they are asked: a code that stands under another in its code system is replaced
/// by that one, a required choice has one type, a primitive may have extensions only, and of open value sets there is nothing to check.
fn without_generator_s_gaps(value: &mut Value, kind: &str) {
    if let Some(fields) = value.as_object_mut() {
        for (of, name, substitute) in CHOSEN {
            if *of == kind {
                fields.entry(*name).or_insert_with(substitute);
            }
        }
    }
    narrow(value, kind);
}

fn narrow(value: &mut Value, kind: &str) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(|inner| narrow(inner, kind)),
        Value::Object(fields) => {
            fields.remove("contentType");
            let without_value: Vec<String> = fields
                .keys()
                .filter_map(|name| name.strip_prefix('_'))
                .filter(|name| !fields.contains_key(*name))
                .map(str::to_owned)
                .collect();
            fields.extend(without_value.into_iter().map(|name| (name, Value::from("x"))));
            for (name, inner) in fields.iter_mut() {
                let parent = NESTED.iter().find(|(of, member, child, _)| {
                    (of.is_empty() || *of == kind) && member == name && inner.as_str() == Some(*child)
                });
                match parent {
                    Some((.., parent)) => *inner = Value::from(*parent),
                    None => narrow(inner, kind),
                }
            }
        }
        _ => {}
    }
}

/// A Bundle that is no document in pieces, the entries of one full URL together: its invariants compare no others, and evaluating
/// them copies the whole for each entry.
fn parts(value: &Value) -> Vec<Value> {
    if kind(value) != "Bundle" || value["type"] == "document" {
        return vec![value.clone()];
    }
    let mut groups: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for entry in each(value, "entry") {
        groups.entry(entry["fullUrl"].to_string()).or_default().push(entry.clone());
    }
    let mut head = value.clone();
    head["entry"] = Value::Null;
    let piece = |entries: Vec<Value>| {
        let mut piece = head.clone();
        piece["entry"] = Value::Array(entries);
        piece
    };
    if groups.is_empty() { vec![value.clone()] } else { groups.into_values().map(piece).collect() }
}

fn outline(resource: &Value) -> Value {
    let kept = ["resourceType", "id", "meta"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), resource.get(name)?.clone())));
    Value::Object(kept.collect())
}

fn each<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value[name].as_array().into_iter().flatten()
}

fn kind(value: &Value) -> String {
    value["resourceType"].as_str().unwrap_or_default().to_owned()
}

/// Makes a value of a type.
type Substitute = fn() -> Value;

/// Choices of which one must be there and the generated type wants this one. fhirkit sees to it that there is one.
const CHOSEN: &[(&str, &str, Substitute)] = &[
    ("Immunization", "occurrenceString", || json!("x")),
    ("Immunization", "occurrenceDateTime", || json!("2026")),
    ("MedicationAdministration", "effectiveDateTime", || json!("2026")),
    ("MedicationAdministration", "effectivePeriod", || json!({})),
    ("MedicationAdministration", "medicationCodeableConcept", || json!({})),
    ("MedicationAdministration", "medicationReference", || json!({})),
    ("MedicationDispense", "medicationCodeableConcept", || json!({})),
    ("MedicationDispense", "medicationReference", || json!({})),
    ("MedicationRequest", "medicationCodeableConcept", || json!({})),
    ("MedicationRequest", "medicationReference", || json!({})),
    ("MedicationStatement", "medicationCodeableConcept", || json!({})),
    ("MedicationStatement", "medicationReference", || json!({})),
];

/// Resource type (any when empty), member, code, and the code above it in the code system.
const NESTED: &[(&str, &str, &str, &str)] = &[
    ("", "use", "maiden", "old"),
    ("DiagnosticReport", "status", "preliminary", "partial"),
    ("DiagnosticReport", "status", "corrected", "amended"),
    ("DiagnosticReport", "status", "appended", "amended"),
    ("Goal", "lifecycleStatus", "active", "accepted"),
    ("Goal", "lifecycleStatus", "on-hold", "accepted"),
    ("Goal", "lifecycleStatus", "completed", "accepted"),
    ("Observation", "status", "corrected", "amended"),
    ("OperationOutcome", "code", "conflict", "processing"),
    ("OperationOutcome", "code", "forbidden", "security"),
    ("OperationOutcome", "code", "incomplete", "transient"),
    ("OperationOutcome", "code", "multiple-matches", "processing"),
    ("OperationOutcome", "code", "suppressed", "security"),
    ("OperationOutcome", "code", "timeout", "transient"),
    ("Provenance", "role", "removal", "derivation"),
    ("Provenance", "role", "quotation", "derivation"),
    ("Provenance", "role", "revision", "derivation"),
    ("Provenance", "role", "source", "derivation"),
];

/// Types of choices that have invariants or hold something that has.
const CHOICES: &[&str] = &[
    "Attachment",
    "ContactPoint",
    "Identifier",
    "Period",
    "Quantity",
    "Range",
    "Ratio",
    "Reference",
    "Timing",
    "Extension",
];

/// Invariants about an element and not about the resource, with the element's name.
const ON_ELEMENTS: &[(&str, &str)] = &[
    ("app-1", "participant"),
    ("bdl-5", "entry"),
    ("bdl-8", "entry"),
    ("cmp-1", "section"),
    ("cmp-2", "section"),
    ("con-1", "stage"),
    ("con-2", "evidence"),
    ("cpl-3", "activity"),
    ("ctm-1", "participant"),
    ("gol-1", "target"),
    ("imm-1", "education"),
    ("mad-1", "dosage"),
    ("obs-3", "referenceRange"),
    ("pat-1", "contact"),
    ("prr-1", "orderDetail"),
    ("qrs-1", "item"),
];

/// Required value sets of concepts, which have no enumeration: at least one coding is of theirs (R4, 4.1.5).
const CONCEPTS: &[(&str, &str, &[&str])] = &[
    ("AllergyIntolerance", "clinicalStatus", &["active", "inactive", "resolved"]),
    ("AllergyIntolerance", "verificationStatus", &["unconfirmed", "confirmed", "refuted", "entered-in-error"]),
    ("Condition", "clinicalStatus", &["active", "recurrence", "relapse", "inactive", "remission", "resolved"]),
    (
        "Condition",
        "verificationStatus",
        &["unconfirmed", "provisional", "differential", "confirmed", "refuted", "entered-in-error"],
    ),
];
