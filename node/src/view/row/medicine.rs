//! Medicines as ordered, stated, supplied and given.

use serde_json::Value;

use super::element::{
    concept, concept_texts, first_text, joined, list, number, quantity, quantity_text, reference, text,
};
use super::{Activity, Entry};
use crate::view::dates;

/// What comparing two entries about medicines needs.
#[derive(Debug, Clone, PartialEq)]
pub struct MedicineFacts {
    /// What kind of entry.
    pub kind: Kind,
    /// Course-of-therapy or setting code (`community`, `discharge`, `inpatient`).
    pub setting: Option<String>,
    /// Units taken each time, with the unit's name.
    pub each: Option<(f64, String)>,
    /// Times a day.
    pub per_day: Option<f64>,
    /// Whether it is taken only when required.
    pub as_needed: bool,
    /// `Medication/…` that names it, when the entry itself does not.
    pub reference: Option<String>,
    /// `MedicationRequest.intent`.
    pub intent: Option<String>,
    /// Its substances, sorted; filled in when the medicines of all sources are put together.
    pub substances: Vec<String>,
    /// Its product's name in lower case and single spaces; filled in with the substances.
    pub product: String,
}

/// What an entry about a medicine asserts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `MedicationRequest`.
    Order,
    /// `MedicationStatement`.
    Statement,
    /// `MedicationDispense`.
    Supply,
    /// `MedicationAdministration`.
    Given,
    /// `Medication`.
    Product,
}

/// Any of the five medication resources.
pub(super) fn read(entry: &mut Entry, json: &Value, resource_type: &str) {
    let kind = match resource_type {
        "MedicationRequest" => Kind::Order,
        "MedicationStatement" => Kind::Statement,
        "MedicationDispense" => Kind::Supply,
        "MedicationAdministration" => Kind::Given,
        _ => Kind::Product,
    };
    let reference = name(entry, json, kind);
    entry.activity = match text(json, "/intent").as_deref() {
        // What somebody proposes is not taken yet.
        Some("proposal" | "option") => Activity::Unknown,
        _ => activity(kind, entry.row.status.as_deref()),
    };
    entry.ongoing = entry.activity == Activity::Current;
    let row = &mut entry.row;
    row.status_reason = concept_texts(json, "/statusReason").or_else(|| text(json, "/statusReasonReference/display"));
    when(entry, json, kind);
    let dosages = match kind {
        Kind::Statement => list(json, "/dosage"),
        Kind::Order | Kind::Supply => list(json, "/dosageInstruction"),
        Kind::Given => list(json, "/dosage"),
        Kind::Product => &[],
    };
    entry.row.dose = joined(dosages.iter().filter_map(dose_text), "; then ");
    entry.row.route = dosages.iter().find_map(|dosage| concept(dosage, "/route")).map(|route| route.text);
    let first = dosages.first();
    entry.medicine = Some(MedicineFacts {
        kind,
        setting: setting(json),
        // More than one dosage cannot be compared as one amount a day.
        each: first.filter(|_| dosages.len() == 1).and_then(each),
        per_day: first.filter(|_| dosages.len() == 1).and_then(per_day),
        as_needed: dosages.iter().any(|d| {
            d.get("asNeededBoolean") == Some(&Value::Bool(true)) || d.get("asNeededCodeableConcept").is_some()
        }),
        reference,
        intent: text(json, "/intent"),
        substances: Vec::new(),
        product: String::new(),
    });
    extras(entry, json, kind);
}

/// Names the medicine; gives the reference when only another resource names it.
fn name(entry: &mut Entry, json: &Value, kind: Kind) -> Option<String> {
    let own = if kind == Kind::Product { "/code" } else { "/medicationCodeableConcept" };
    entry.describe(concept(json, own));
    if !entry.row.text.is_empty() {
        return None;
    }
    let reference = text(json, "/medicationReference/reference");
    let by_id = reference
        .as_deref()
        .and_then(|r| r.strip_prefix('#'))
        .and_then(|id| list(json, "/contained").iter().find(|resource| text(resource, "/id").as_deref() == Some(id)));
    // A contained Medication that nothing points at can only be the one meant.
    let only = || match list(json, "/contained") {
        [one] if reference.is_none() && text(one, "/resourceType").as_deref() == Some("Medication") => Some(one),
        _ => None,
    };
    if let Some(medication) = by_id.or_else(only) {
        entry.describe(concept(medication, "/code"));
        ingredients(entry, medication);
    } else if kind == Kind::Product {
        ingredients(entry, json);
    }
    if !entry.row.text.is_empty() {
        return None;
    }
    if let Some(display) = text(json, "/medicationReference/display") {
        entry.row.text = display;
    }
    if entry.row.text.is_empty() && reference.is_none() {
        own_words(entry, json);
    }
    reference
}

/// A product without a code or a name is called by what is in it.
fn ingredients(entry: &mut Entry, medication: &Value) {
    if entry.row.text.is_empty() {
        let items = list(medication, "/ingredient").iter();
        let named = items.filter_map(|item| {
            concept(item, "/itemCodeableConcept")
                .map(|c| c.text)
                .or_else(|| super::element::reference(item, "/itemReference"))
        });
        entry.row.text = joined(named, " + ").unwrap_or_default();
    }
}

/// A medicine that only a note or a dosage names is listed under those words.
fn own_words(entry: &mut Entry, json: &Value) {
    let notes = joined(list(json, "/note").iter().filter_map(|note| text(note, "/text")), "; ");
    let dosages =
        ["/dosageInstruction", "/dosage"].iter().find_map(|p| list(json, p).iter().find_map(|d| text(d, "/text")));
    entry.row.text = notes.or(dosages).unwrap_or_default();
}

/// Where it was prescribed: a code of medicationrequest-category wherever it stands, else the first category.
fn setting(json: &Value) -> Option<String> {
    let categories = super::element::concepts(json, "/category");
    let mut codes = categories.iter().flat_map(|category| &category.codings).map(|coding| coding.code.as_str());
    let known = codes.find(|code| SETTINGS.contains(code)).map(str::to_owned);
    known.or_else(|| super::element::code(json, "/category/0").or_else(|| super::element::code(json, "/category")))
}

/// FHIR `medicationrequest-category`.
const SETTINGS: [&str; 4] = ["discharge", "inpatient", "outpatient", "community"];

fn when(entry: &mut Entry, json: &Value, kind: Kind) {
    let row = &mut entry.row;
    match kind {
        Kind::Order => {
            row.date = text(json, "/authoredOn");
            row.author = reference(json, "/requester").or_else(|| reference(json, "/recorder"));
        }
        Kind::Statement => {
            row.date = first_text(json, &["/effectiveDateTime", "/effectivePeriod/start"]);
            row.date_end = text(json, "/effectivePeriod/end");
            row.recorded = text(json, "/dateAsserted");
            row.author = reference(json, "/informationSource");
        }
        Kind::Supply => {
            row.date = first_text(json, &["/whenHandedOver", "/whenPrepared"]);
            row.author = reference(json, "/performer/0/actor");
        }
        Kind::Given => {
            row.date = first_text(json, &["/effectiveDateTime", "/effectivePeriod/start"]);
            row.date_end = text(json, "/effectivePeriod/end");
            row.author = reference(json, "/performer/0/actor");
        }
        Kind::Product => {}
    }
}

fn extras(entry: &mut Entry, json: &Value, kind: Kind) {
    let setting = entry.medicine.as_ref().and_then(|facts| facts.setting.clone());
    entry.detail("setting", setting);
    let intent = text(json, "/intent").filter(|intent| !matches!(intent.as_str(), "order" | "original-order"));
    entry.detail("intent", intent);
    let issued = list(json, "/extension")
        .iter()
        .find(|e| text(e, "/url").is_some_and(|url| url.to_lowercase().replace('-', "").contains("lastissuedate")));
    let issued = issued.and_then(|e| first_text(e, &["/valueDateTime", "/valueDate"]));
    entry.detail("last issued", issued.map(|date| dates::parse(&date).map_or(date, |date| date.shown())));
    entry.detail("indication", concept_texts(json, "/reasonCode"));
    entry.detail("course", concept(json, "/courseOfTherapyType").map(|course| course.text));
    match kind {
        Kind::Order => entry.detail("quantity", quantity_text(json, "/dispenseRequest/quantity")),
        Kind::Supply => {
            entry.detail("quantity", quantity_text(json, "/quantity"));
            entry.detail("supply for", quantity_text(json, "/daysSupply"));
        }
        Kind::Product => entry.detail("form", concept(json, "/form").map(|form| form.text)),
        Kind::Statement | Kind::Given => {}
    }
    if json.get("doNotPerform") == Some(&Value::Bool(true)) {
        entry.row.text = format!("DO NOT GIVE: {}", entry.row.text);
        entry.activity = Activity::Ended;
    }
    entry.annotations(json);
}

/// The words of a dosage; put together from its parts where it has no words.
fn dose_text(dosage: &Value) -> Option<String> {
    let words = text(dosage, "/text");
    let instruction = text(dosage, "/patientInstruction").filter(|i| words.as_ref() != Some(i));
    let words = words.or_else(|| {
        let amount = quantity_text(dosage, "/doseAndRate/0/doseQuantity")
            .or_else(|| super::element::range_text(dosage, "/doseAndRate/0/doseRange"))
            .or_else(|| quantity_text(dosage, "/dose"));
        let often = timing(dosage).or_else(|| text(dosage, "/timing/code/text"));
        let needed = (dosage.get("asNeededBoolean") == Some(&Value::Bool(true))).then(|| "when required".to_owned());
        joined([amount, often, needed].into_iter().flatten(), " ")
    });
    joined([words, instruction].into_iter().flatten(), ". ")
}

fn timing(dosage: &Value) -> Option<String> {
    let repeat = dosage.pointer("/timing/repeat")?;
    let frequency = repeat.get("frequency").and_then(number)?;
    let period = repeat.get("period").and_then(number).unwrap_or_else(|| "1".to_owned());
    let unit = text(repeat, "/periodUnit").unwrap_or_else(|| "d".to_owned());
    Some(format!("{frequency} times every {period} {unit}"))
}

fn each(dosage: &Value) -> Option<(f64, String)> {
    let pointer =
        if dosage.pointer("/doseAndRate/0/doseQuantity").is_some() { "/doseAndRate/0/doseQuantity" } else { "/dose" };
    let (value, unit) = quantity(dosage, pointer)?;
    Some((value.parse().ok()?, unit.unwrap_or_default().to_lowercase()))
}

fn per_day(dosage: &Value) -> Option<f64> {
    let repeat = dosage.pointer("/timing/repeat")?;
    let frequency = repeat.get("frequency")?.as_f64()?;
    let period = repeat.get("period").and_then(Value::as_f64).unwrap_or(1.0);
    let days = match text(repeat, "/periodUnit")?.as_str() {
        "h" => 1.0 / 24.0,
        "d" => 1.0,
        "wk" => 7.0,
        _ => return None,
    };
    (period > 0.0).then(|| frequency / (period * days))
}

/// What a status says about taking it. A completed order is a finished course and disagrees with nothing; a supply or a dose
/// given says that it was being taken at its date.
fn activity(kind: Kind, status: Option<&str>) -> Activity {
    match (kind, status) {
        (_, Some("stopped" | "on-hold" | "cancelled" | "not-taken" | "not-done" | "declined" | "inactive")) => {
            Activity::Ended
        }
        (Kind::Order | Kind::Statement, Some("active" | "intended")) => Activity::Current,
        (Kind::Supply | Kind::Given, Some("completed" | "in-progress")) => Activity::Current,
        _ => Activity::Unknown,
    }
}
