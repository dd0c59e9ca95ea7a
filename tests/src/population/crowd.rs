//! The crowd: people drawn from weighted patterns of need, with histories over the organisations that such needs bring them to.

mod elsewhere;
mod history;
mod hospital;
mod practice;

use jiff::ToSpan;
use jiff::civil::Date;

use super::identity::somebody;
use super::medicine::{self, Medicine};
use super::random::Random;
use super::terminology::measure::{self, Measure};
use super::terminology::{Concept, problem};
use super::{Holding, Person, close};

/// The `index`th member of the crowd with every record about them.
pub(super) fn member(seed: u64, index: usize, as_of: Date) -> (Person, Vec<Holding>) {
    let mut random = Random::new(seed, &format!("crowd {index}"));
    let pattern = pattern_of(&mut random, index);
    let mut person = somebody(&mut random, index, pattern.ages, as_of);
    if pattern.name == RESIDENT.name {
        person.address.first_line = format!("Room {}, 12 Lavender Quay Road", 1 + index / RESIDENT_EVERY);
        person.address.locality = "Bermondsey".to_owned();
        person.address.postcode = "SE16 4AV".to_owned();
        person.note = "lives at VL901".to_owned();
    }
    let wrong_birth_date = deviate(&mut person, index, as_of);
    let diseases = diseases_of(&mut random, pattern, &person, as_of);
    // Nothing is written about the dead but what was known when they died.
    let as_of = person.deceased.unwrap_or(as_of);
    let records = history::records(&person, pattern, &diseases, wrong_birth_date, &mut random, as_of);
    let holdings = close(records);
    (person, holdings)
}

/// A pattern of need: how likely, at what age, with which conditions, seen by whom.
struct Pattern {
    name: &'static str,
    weight: i64,
    /// Youngest and oldest, in years.
    ages: (i64, i64),
    /// Each condition with its chance in a hundred.
    conditions: &'static [(Disease, i64)],
    /// Each holder other than the practice with its chance in a hundred; the acute trust last, because it writes most.
    holders: &'static [(Holder, i64)],
    /// Fewest and most practice contacts.
    contacts: (i64, i64),
}

/// A holder other than the practice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    Acute,
    Community,
    MentalHealth,
    Ambulance,
    CareHome,
    Council,
    Pharmacy,
}

/// A condition with what is prescribed and measured because of it.
#[derive(Clone, Copy)]
struct Disease {
    concept: Concept,
    /// Youngest age, in years, at which it is drawn.
    from_age: i16,
    mental_health: bool,
    medicines: &'static [Medicine],
    measures: &'static [Measure],
}

/// Fixed places for the residents, so that the home is full in any crowd of 200, and for those whose copies differ, who are all grown up; the
/// rest by weight.
fn pattern_of(random: &mut Random, index: usize) -> &'static Pattern {
    let place = index / RESIDENT_EVERY;
    if index % RESIDENT_EVERY == RESIDENT_OFFSET && place < RESIDENTS {
        return &RESIDENT;
    }
    if DEVIANTS.contains(&(index % DEVIANT_EVERY)) {
        return &LONG_TERM;
    }
    let total = PATTERNS.iter().map(|pattern| pattern.weight).sum();
    let mut drawn = random.between(1, total);
    PATTERNS
        .iter()
        .find(|pattern| {
            drawn -= pattern.weight;
            drawn <= 0
        })
        .unwrap_or(&RESIDENT)
}

/// Copies that are deliberately wrong, and the people who have died; returns the birth date the acute trust holds, if it is another.
fn deviate(person: &mut Person, index: usize, as_of: Date) -> Option<Date> {
    match index % DEVIANT_EVERY {
        // Day and month the wrong way round, as typed at a busy desk.
        TRANSPOSED => {
            let day = i8::try_from(1 + index % 12).unwrap_or(1);
            let month = if day == 12 { 3 } else { day + 1 };
            let right = Date::new(person.birth_date.year(), month, day).ok()?;
            let wrong = Date::new(right.year(), day, month).ok()?;
            person.birth_date = right;
            append(&mut person.note, "birth date transposed at R9A");
            Some(wrong)
        }
        DECEASED => {
            person.deceased = Some(as_of.saturating_sub(40.days()));
            append(&mut person.note, "deceased");
            None
        }
        OTHER_YEAR => {
            append(&mut person.note, "another birth year at R9A");
            Some(person.birth_date.saturating_sub(10.years()))
        }
        _ => None,
    }
}

fn append(note: &mut String, words: &str) {
    if !note.is_empty() {
        note.push_str("; ");
    }
    note.push_str(words);
}

fn diseases_of(random: &mut Random, pattern: &Pattern, person: &Person, as_of: Date) -> Vec<Disease> {
    let age = person.age(as_of);
    let mut diseases = Vec::new();
    for (disease, chance) in pattern.conditions {
        let drawn = random.chance(*chance);
        if drawn && age >= disease.from_age {
            diseases.push(*disease);
        }
    }
    diseases
}

/// Every sixteenth person, eleven at most: with Ada, twelve residents in a crowd of 200.
const RESIDENTS: usize = 11;
const RESIDENT_EVERY: usize = 16;
const RESIDENT_OFFSET: usize = 3;

/// Places in every 97 whose records are deliberately at odds.
const DEVIANT_EVERY: usize = 97;
const TRANSPOSED: usize = 7;
const DECEASED: usize = 23;
const OTHER_YEAR: usize = 61;
const DEVIANTS: [usize; 3] = [TRANSPOSED, DECEASED, OTHER_YEAR];

const fn disease(
    concept: Concept,
    from_age: i16,
    medicines: &'static [Medicine],
    measures: &'static [Measure],
) -> Disease {
    Disease { concept, from_age, mental_health: false, medicines, measures }
}

const fn of_the_mind(concept: Concept, from_age: i16, medicines: &'static [Medicine]) -> Disease {
    Disease { concept, from_age, mental_health: true, medicines, measures: &[] }
}

const HEART_FAILURE: Disease = disease(
    problem::HEART_FAILURE,
    50,
    &[medicine::BISOPROLOL, medicine::FUROSEMIDE, medicine::RAMIPRIL],
    &[measure::EGFR, measure::POTASSIUM],
);
const ATRIAL_FIBRILLATION: Disease = disease(problem::ATRIAL_FIBRILLATION, 50, &[medicine::APIXABAN], &[]);
const KIDNEY_DISEASE: Disease =
    disease(problem::CHRONIC_KIDNEY_DISEASE, 45, &[], &[measure::EGFR, measure::CREATININE]);
const HYPERTENSION: Disease = disease(problem::HYPERTENSION, 35, &[medicine::AMLODIPINE], &[measure::SODIUM]);
const DIABETES: Disease = disease(
    problem::TYPE_2_DIABETES,
    30,
    &[medicine::METFORMIN, medicine::GLICLAZIDE],
    &[measure::HBA1C, measure::EGFR],
);
const DIABETES_ON_INSULIN: Disease = disease(
    problem::TYPE_2_DIABETES,
    40,
    &[medicine::METFORMIN, medicine::INSULIN_GLARGINE],
    &[measure::HBA1C, measure::EGFR],
);
const DEMENTIA: Disease = disease(problem::DEMENTIA, 65, &[medicine::DONEPEZIL], &[]);
const COPD: Disease = disease(problem::COPD, 45, &[medicine::SALBUTAMOL], &[]);
const ASTHMA: Disease = disease(problem::ASTHMA, 4, &[medicine::SALBUTAMOL], &[]);
const CORONARY_DISEASE: Disease =
    disease(problem::CORONARY_DISEASE, 45, &[medicine::CLOPIDOGREL, medicine::ATORVASTATIN], &[measure::CHOLESTEROL]);
const STROKE: Disease = disease(problem::STROKE, 50, &[medicine::CLOPIDOGREL], &[]);
const EPILEPSY: Disease = disease(problem::EPILEPSY, 2, &[medicine::LEVETIRACETAM], &[]);
const OSTEOPOROSIS: Disease = disease(problem::OSTEOPOROSIS, 55, &[medicine::ALENDRONIC_ACID], &[]);
const RHEUMATOID_ARTHRITIS: Disease = disease(
    problem::RHEUMATOID_ARTHRITIS,
    25,
    &[medicine::METHOTREXATE],
    &[measure::WHITE_CELLS, measure::C_REACTIVE_PROTEIN],
);
const OSTEOARTHRITIS: Disease = disease(problem::OSTEOARTHRITIS, 50, &[medicine::PARACETAMOL], &[]);
const HYPOTHYROIDISM: Disease = disease(problem::HYPOTHYROIDISM, 18, &[medicine::LEVOTHYROXINE], &[measure::TSH]);
const HYPERLIPIDAEMIA: Disease =
    disease(problem::HYPERLIPIDAEMIA, 35, &[medicine::ATORVASTATIN], &[measure::CHOLESTEROL]);
const IRON_DEFICIENCY: Disease =
    disease(problem::IRON_DEFICIENCY, 12, &[medicine::FERROUS_FUMARATE], &[measure::HAEMOGLOBIN]);
const ECZEMA: Disease = disease(problem::ECZEMA, 0, &[], &[]);
const MIGRAINE: Disease = disease(problem::MIGRAINE, 10, &[], &[]);
const GOUT: Disease = disease(problem::GOUT, 35, &[], &[]);
const DEPRESSION: Disease = of_the_mind(problem::DEPRESSION, 14, &[medicine::SERTRALINE]);
const DEPRESSION_LATE: Disease = of_the_mind(problem::DEPRESSION, 60, &[medicine::MIRTAZAPINE]);
const ANXIETY: Disease = of_the_mind(problem::ANXIETY, 12, &[]);
const SCHIZOPHRENIA: Disease = of_the_mind(problem::SCHIZOPHRENIA, 18, &[medicine::OLANZAPINE]);
const BIPOLAR: Disease = Disease {
    concept: problem::BIPOLAR,
    from_age: 18,
    mental_health: true,
    medicines: &[medicine::LITHIUM],
    measures: &[measure::LITHIUM, measure::TSH],
};

const RESIDENT: Pattern = Pattern {
    name: "resident",
    weight: 0,
    ages: (74, 98),
    conditions: &[
        (DEMENTIA, 65),
        (HYPERTENSION, 70),
        (HEART_FAILURE, 35),
        (ATRIAL_FIBRILLATION, 35),
        (KIDNEY_DISEASE, 45),
        (DIABETES, 30),
        (OSTEOPOROSIS, 40),
        (OSTEOARTHRITIS, 60),
        (DEPRESSION_LATE, 30),
        (STROKE, 25),
    ],
    holders: &[
        (Holder::CareHome, 100),
        (Holder::Community, 65),
        (Holder::Pharmacy, 60),
        (Holder::Council, 50),
        (Holder::Acute, 75),
    ],
    contacts: (5, 12),
};

const LONG_TERM: Pattern = Pattern {
    name: "long-term conditions",
    weight: 28,
    ages: (52, 79),
    conditions: &[
        (HYPERTENSION, 80),
        (DIABETES, 55),
        (CORONARY_DISEASE, 35),
        (COPD, 30),
        (KIDNEY_DISEASE, 30),
        (HYPERLIPIDAEMIA, 50),
        (OSTEOARTHRITIS, 40),
        (DEPRESSION, 25),
        (GOUT, 15),
        (HYPOTHYROIDISM, 15),
    ],
    holders: &[(Holder::Pharmacy, 45), (Holder::Community, 15), (Holder::Ambulance, 10), (Holder::Acute, 65)],
    contacts: (5, 12),
};

const PATTERNS: &[Pattern] = &[
    Pattern {
        name: "frail at home",
        weight: 16,
        ages: (76, 96),
        conditions: &[
            (HYPERTENSION, 75),
            (HEART_FAILURE, 40),
            (ATRIAL_FIBRILLATION, 40),
            (KIDNEY_DISEASE, 50),
            (OSTEOARTHRITIS, 65),
            (OSTEOPOROSIS, 35),
            (DEMENTIA, 30),
            (COPD, 20),
            (DIABETES_ON_INSULIN, 20),
        ],
        holders: &[
            (Holder::Community, 75),
            (Holder::Council, 60),
            (Holder::Ambulance, 35),
            (Holder::Pharmacy, 40),
            (Holder::Acute, 80),
        ],
        contacts: (6, 14),
    },
    LONG_TERM,
    Pattern {
        name: "severe mental illness",
        weight: 9,
        ages: (21, 72),
        conditions: &[
            (SCHIZOPHRENIA, 45),
            (BIPOLAR, 55),
            (DEPRESSION, 25),
            (ASTHMA, 20),
            (DIABETES, 25),
            (HYPERTENSION, 25),
        ],
        holders: &[
            (Holder::MentalHealth, 100),
            (Holder::Pharmacy, 40),
            (Holder::Council, 25),
            (Holder::Ambulance, 15),
            (Holder::Acute, 35),
        ],
        contacts: (4, 10),
    },
    Pattern {
        name: "working age",
        weight: 31,
        ages: (18, 57),
        conditions: &[
            (ASTHMA, 22),
            (DEPRESSION, 20),
            (ANXIETY, 22),
            (MIGRAINE, 18),
            (HYPERTENSION, 15),
            (HYPOTHYROIDISM, 8),
            (RHEUMATOID_ARTHRITIS, 6),
            (IRON_DEFICIENCY, 15),
            (ECZEMA, 12),
            (EPILEPSY, 4),
        ],
        holders: &[(Holder::Pharmacy, 25), (Holder::MentalHealth, 8), (Holder::Acute, 45)],
        contacts: (4, 9),
    },
    Pattern {
        name: "child",
        weight: 16,
        ages: (0, 15),
        conditions: &[(ASTHMA, 25), (ECZEMA, 30), (EPILEPSY, 4), (MIGRAINE, 5)],
        holders: &[(Holder::Community, 25), (Holder::Pharmacy, 15), (Holder::Acute, 40)],
        contacts: (5, 9),
    },
];
