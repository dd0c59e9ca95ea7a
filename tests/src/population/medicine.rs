//! Medicines as prescribed: dm+d product codes where known, else the SNOMED CT substance; the text always carries product and strength.

pub(super) mod further;

use serde_json::{Value, json};

use super::terminology::{SNOMED, UCUM};

/// One product with its usual dose.
#[derive(Clone, Copy, Debug)]
pub(super) struct Medicine {
    pub(super) code: &'static str,
    pub(super) coded_as: &'static str,
    /// Product as dm+d writes it.
    pub(super) product: &'static str,
    /// Dose as the label says it.
    pub(super) dose: &'static str,
    pub(super) units: f64,
    pub(super) unit: &'static str,
    pub(super) every: Every,
    pub(super) route: Route,
}

impl Medicine {
    /// FHIR `CodeableConcept` of the product.
    pub(super) fn concept(&self) -> Value {
        json!({
            "coding": [{"system": SNOMED, "code": self.code, "display": self.coded_as}],
            "text": self.product
        })
    }

    /// FHIR `Dosage` with text, timing, route and dose.
    pub(super) fn dosage(&self) -> Value {
        let (route, display) = self.route.code();
        let mut dosage = json!({
            "sequence": 1,
            "text": self.dose,
            "route": {"coding": [{"system": SNOMED, "code": route, "display": display}]},
            "doseAndRate": [{"doseQuantity": {"value": self.units, "unit": self.unit, "system": UCUM, "code": format!("{{{}}}", self.unit)}}]
        });
        if let Some(fields) = dosage.as_object_mut() {
            let repeat = match self.every {
                Every::WhenRequired => None,
                Every::Day(times) => Some((times, 1, "d")),
                Every::Week => Some((1, 1, "wk")),
                Every::Weeks(weeks) => Some((1, weeks, "wk")),
            };
            if let Some((times, period, unit)) = repeat {
                let repeat = json!({"frequency": times, "period": period, "periodUnit": unit});
                fields.insert("timing".to_owned(), json!({"repeat": repeat}));
            } else {
                fields.insert("asNeededBoolean".to_owned(), json!(true));
            }
        }
        dosage
    }

    /// Units supplied for `days` days.
    pub(super) fn quantity(&self, days: u32) -> Value {
        let doses = match self.every {
            Every::WhenRequired => days,
            Every::Day(times) => days.saturating_mul(times),
            Every::Week => days / 7,
            Every::Weeks(weeks) => (days / 7).div_ceil(weeks.max(1)),
        };
        let amount = self.units * f64::from(doses);
        // A trailing zero after the point is a known way to read ten times the amount.
        let value = if amount.fract() == 0.0 { json!(amount as u64) } else { json!(amount) };
        json!({"value": value, "unit": self.unit, "system": UCUM, "code": format!("{{{}}}", self.unit)})
    }

    /// The same product at another dose.
    pub(super) const fn taken(mut self, dose: &'static str, units: f64, every: Every) -> Self {
        self.dose = dose;
        self.units = units;
        self.every = every;
        self
    }

    /// The same product with another number of units each time.
    pub(super) fn at_dose(self, dose: &'static str, units: f64) -> Self {
        self.taken(dose, units, self.every)
    }
}

/// How often it is taken.
#[derive(Clone, Copy, Debug)]
pub(super) enum Every {
    WhenRequired,
    /// This many times a day.
    Day(u32),
    /// Once a week.
    Week,
    /// Once in this many weeks.
    Weeks(u32),
}

/// How it is taken.
#[derive(Clone, Copy, Debug)]
pub(super) enum Route {
    Oral,
    Inhaled,
    Subcutaneous,
    Sublingual,
    Intramuscular,
}

impl Route {
    fn code(self) -> (&'static str, &'static str) {
        match self {
            Self::Oral => ("26643006", "Oral route"),
            Self::Inhaled => ("447694001", "Respiratory tract route"),
            Self::Subcutaneous => ("34206005", "Subcutaneous route"),
            Self::Sublingual => ("37839007", "Sublingual route"),
            Self::Intramuscular => ("78421000", "Intramuscular route"),
        }
    }
}

const fn tablet(
    code: &'static str,
    coded_as: &'static str,
    product: &'static str,
    dose: &'static str,
    times: u32,
) -> Medicine {
    Medicine { code, coded_as, product, dose, units: 1.0, unit: "tablet", every: Every::Day(times), route: Route::Oral }
}

const fn capsule(
    code: &'static str,
    coded_as: &'static str,
    product: &'static str,
    dose: &'static str,
    times: u32,
) -> Medicine {
    Medicine {
        code,
        coded_as,
        product,
        dose,
        units: 1.0,
        unit: "capsule",
        every: Every::Day(times),
        route: Route::Oral,
    }
}

const PARACETAMOL_DOSE: &str = "Take two up to four times a day when required";
const ONE_DAILY: &str = "Take one daily";
const ONE_TWICE: &str = "Take one twice a day";
const ONE_NIGHT: &str = "Take one at night";

pub(super) const APIXABAN: Medicine =
    tablet("42206511000001102", "Apixaban 5mg tablets", "Apixaban 5mg tablets", ONE_TWICE, 2);
pub(super) const BISOPROLOL: Medicine =
    tablet("386868003", "Bisoprolol", "Bisoprolol 2.5mg tablets", "Take one in the morning", 1);
pub(super) const FUROSEMIDE: Medicine =
    tablet("387475002", "Furosemide", "Furosemide 40mg tablets", "Take one in the morning", 1);
pub(super) const RAMIPRIL: Medicine = capsule("386872004", "Ramipril", "Ramipril 5mg capsules", ONE_DAILY, 1);
pub(super) const AMLODIPINE: Medicine = tablet("386864001", "Amlodipine", "Amlodipine 5mg tablets", ONE_DAILY, 1);
pub(super) const METFORMIN: Medicine =
    tablet("325278007", "Metformin 500mg tablets", "Metformin 500mg tablets", "Take one twice a day with food", 2);
pub(super) const GLICLAZIDE: Medicine =
    tablet("395731001", "Gliclazide", "Gliclazide 80mg tablets", "Take one in the morning with food", 1);
pub(super) const ATORVASTATIN: Medicine =
    tablet("373444002", "Atorvastatin", "Atorvastatin 20mg tablets", ONE_NIGHT, 1);
pub(super) const DONEPEZIL: Medicine = tablet("386855006", "Donepezil", "Donepezil 10mg tablets", ONE_NIGHT, 1);
pub(super) const PARACETAMOL: Medicine =
    tablet("322236009", "Paracetamol 500mg tablets", "Paracetamol 500mg tablets", PARACETAMOL_DOSE, 0).taken(
        PARACETAMOL_DOSE,
        2.0,
        Every::WhenRequired,
    );
pub(super) const NAPROXEN: Medicine = tablet("372588000", "Naproxen", "Naproxen 250mg tablets", ONE_TWICE, 2);
pub(super) const TRIMETHOPRIM: Medicine =
    tablet("41956211000001109", "Trimethoprim 200mg tablets", "Trimethoprim 200mg tablets", ONE_TWICE, 2);
pub(super) const LITHIUM: Medicine = tablet(
    "13177001000001108",
    "Lithium carbonate 400mg modified-release tablets",
    "Lithium carbonate 400mg modified-release tablets",
    "Take two at night",
    1,
)
.taken("Take two at night", 2.0, Every::Day(1));
pub(super) const SERTRALINE: Medicine = tablet("372594008", "Sertraline", "Sertraline 50mg tablets", ONE_DAILY, 1);
pub(super) const MIRTAZAPINE: Medicine = tablet("386847004", "Mirtazapine", "Mirtazapine 15mg tablets", ONE_NIGHT, 1);
pub(super) const OLANZAPINE: Medicine = tablet("386849001", "Olanzapine", "Olanzapine 10mg tablets", ONE_NIGHT, 1);
pub(super) const WARFARIN: Medicine = tablet(
    "42217611000001104",
    "Warfarin 3mg tablets",
    "Warfarin 3mg tablets",
    "Take as directed by the anticoagulation clinic",
    1,
);
pub(super) const CLOPIDOGREL: Medicine = tablet("386952008", "Clopidogrel", "Clopidogrel 75mg tablets", ONE_DAILY, 1);
pub(super) const LEVOTHYROXINE: Medicine = tablet(
    "710809001",
    "Levothyroxine",
    "Levothyroxine sodium 50microgram tablets",
    "Take one in the morning before food",
    1,
);
pub(super) const OMEPRAZOLE: Medicine =
    capsule("387137007", "Omeprazole", "Omeprazole 20mg gastro-resistant capsules", ONE_DAILY, 1);
pub(super) const LEVETIRACETAM: Medicine =
    tablet("387000003", "Levetiracetam", "Levetiracetam 500mg tablets", ONE_TWICE, 2);
pub(super) const ALENDRONIC_ACID: Medicine =
    tablet("391730008", "Alendronic acid", "Alendronic acid 70mg tablets", ONE_DAILY, 1).taken(
        "Take one once a week, sitting up, with water",
        1.0,
        Every::Week,
    );
pub(super) const METHOTREXATE: Medicine =
    tablet("387381009", "Methotrexate", "Methotrexate 2.5mg tablets", ONE_DAILY, 1).taken(
        "Take four once a WEEK on the same day",
        4.0,
        Every::Week,
    );
pub(super) const FERROUS_FUMARATE: Medicine =
    tablet("41984711000001104", "Ferrous fumarate 210mg tablets", "Ferrous fumarate 210mg tablets", ONE_DAILY, 1);
pub(super) const AMOXICILLIN: Medicine =
    capsule("372687004", "Amoxicillin", "Amoxicillin 500mg capsules", "Take one three times a day for 5 days", 3);
pub(super) const SALBUTAMOL: Medicine = Medicine {
    code: "39113311000001107",
    coded_as: "Salbutamol 100micrograms/dose inhaler CFC free",
    product: "Salbutamol 100micrograms/dose inhaler CFC free",
    dose: "Inhale two puffs when required",
    units: 2.0,
    unit: "dose",
    every: Every::WhenRequired,
    route: Route::Inhaled,
};
pub(super) const INSULIN_GLARGINE: Medicine = Medicine {
    code: "411529005",
    coded_as: "Insulin glargine",
    product: "Insulin glargine 100units/ml solution for injection",
    dose: "Inject 18 units at bedtime",
    units: 18.0,
    unit: "unit",
    every: Every::Day(1),
    route: Route::Subcutaneous,
};
