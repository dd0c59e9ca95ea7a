//! Medicines that only the hard people take: by SNOMED CT substance, each with the product and strength in its text.

use super::{Every, Medicine, ONE_DAILY, ONE_NIGHT, ONE_TWICE, Route, capsule, tablet};

pub(crate) const ASPIRIN: Medicine =
    tablet("387458008", "Aspirin", "Aspirin 75mg dispersible tablets", "Take one in the morning with food", 1);
pub(crate) const SIMVASTATIN: Medicine = tablet("387584000", "Simvastatin", "Simvastatin 40mg tablets", ONE_NIGHT, 1);
pub(crate) const DIGOXIN: Medicine =
    tablet("387461009", "Digoxin", "Digoxin 125microgram tablets", "Take one in the morning", 1);
pub(crate) const SPIRONOLACTONE: Medicine =
    tablet("387078006", "Spironolactone", "Spironolactone 25mg tablets", "Take one in the morning", 1);
pub(crate) const BENDROFLUMETHIAZIDE: Medicine =
    tablet("91135008", "Bendroflumethiazide", "Bendroflumethiazide 2.5mg tablets", "Take one in the morning", 1);
pub(crate) const LOSARTAN: Medicine = tablet("373567002", "Losartan", "Losartan 50mg tablets", ONE_DAILY, 1);
pub(crate) const PREDNISOLONE: Medicine =
    tablet("116601002", "Prednisolone", "Prednisolone 5mg tablets", "Take six in the morning for five days", 1).taken(
        "Take six in the morning for five days",
        6.0,
        Every::Day(1),
    );
pub(crate) const GABAPENTIN: Medicine =
    capsule("386845007", "Gabapentin", "Gabapentin 300mg capsules", "Take one three times a day", 3);
pub(crate) const CITALOPRAM: Medicine =
    tablet("372596005", "Citalopram", "Citalopram 20mg tablets", "Take one in the morning", 1);
pub(crate) const QUETIAPINE: Medicine = tablet("386850001", "Quetiapine", "Quetiapine 25mg tablets", ONE_NIGHT, 1);
pub(crate) const CLOZAPINE: Medicine = tablet("387568001", "Clozapine", "Clozapine 100mg tablets", ONE_TWICE, 2);
pub(crate) const LANSOPRAZOLE: Medicine = capsule(
    "386888004",
    "Lansoprazole",
    "Lansoprazole 30mg gastro-resistant capsules",
    "Take one in the morning before food",
    1,
);
pub(crate) const FOLIC_ACID: Medicine = tablet("63718003", "Folic acid", "Folic acid 5mg tablets", ONE_DAILY, 1).taken(
    "Take one once a WEEK, not on the day of methotrexate",
    1.0,
    Every::Week,
);
pub(crate) const COLECALCIFEROL: Medicine =
    capsule("18414002", "Colecalciferol", "Colecalciferol 800unit capsules", ONE_DAILY, 1);
pub(crate) const FINASTERIDE: Medicine = tablet("386963006", "Finasteride", "Finasteride 5mg tablets", ONE_DAILY, 1);
pub(crate) const ALLOPURINOL: Medicine = tablet("387135004", "Allopurinol", "Allopurinol 100mg tablets", ONE_DAILY, 1);
pub(crate) const CARBOCISTEINE: Medicine =
    capsule("395842001", "Carbocisteine", "Carbocisteine 375mg capsules", "Take two three times a day", 3).taken(
        "Take two three times a day",
        2.0,
        Every::Day(3),
    );
pub(crate) const THIAMINE: Medicine =
    tablet("259659006", "Thiamine", "Thiamine 100mg tablets", "Take one three times a day", 3);
pub(crate) const MELATONIN: Medicine =
    tablet("41199001", "Melatonin", "Melatonin 2mg modified-release tablets", "Take one an hour before bed", 1);
pub(crate) const DOLUTEGRAVIR: Medicine =
    tablet("713464000", "Dolutegravir", "Dolutegravir 50mg tablets", ONE_DAILY, 1);
/// Two ingredients in one tablet, one of which is in [`super::PARACETAMOL`] as well.
pub(crate) const CO_CODAMOL: Medicine = tablet(
    "322341003",
    "Co-codamol 30mg/500mg tablets",
    "Co-codamol 30mg/500mg tablets",
    "Take two up to four times a day when required",
    0,
)
.taken("Take two up to four times a day when required", 2.0, Every::WhenRequired);
/// The brand of [`super::ATORVASTATIN`], under the same substance code.
pub(crate) const LIPITOR: Medicine = tablet("373444002", "Atorvastatin", "Lipitor 20mg tablets", ONE_NIGHT, 1);
pub(crate) const LACTULOSE: Medicine = Medicine {
    code: "273945008",
    coded_as: "Lactulose",
    product: "Lactulose 3.1-3.7g/5ml oral solution",
    dose: "Take 15 ml twice a day",
    units: 15.0,
    unit: "ml",
    every: Every::Day(2),
    route: Route::Oral,
};
pub(crate) const GLYCERYL_TRINITRATE: Medicine = Medicine {
    code: "387404004",
    coded_as: "Glyceryl trinitrate",
    product: "Glyceryl trinitrate 400micrograms/dose pump sublingual spray",
    dose: "One or two sprays under the tongue when required for chest pain",
    units: 1.0,
    unit: "dose",
    every: Every::WhenRequired,
    route: Route::Sublingual,
};
pub(crate) const HYDROXOCOBALAMIN: Medicine = Medicine {
    code: "409258004",
    coded_as: "Hydroxocobalamin",
    product: "Hydroxocobalamin 1mg/1ml solution for injection ampoules",
    dose: "One injection every twelve weeks",
    units: 1.0,
    unit: "ampoule",
    every: Every::Weeks(12),
    route: Route::Intramuscular,
};
/// The dose is only in words, as it is on many charts: there is no quantity and no timing to compare.
pub(crate) const INSULIN_ASPART: Medicine = Medicine {
    code: "325072002",
    coded_as: "Insulin aspart",
    product: "Insulin aspart 100units/ml solution for injection",
    dose: "Inject four to eight units with each meal",
    units: 4.0,
    unit: "unit",
    every: Every::Day(3),
    route: Route::Subcutaneous,
};
