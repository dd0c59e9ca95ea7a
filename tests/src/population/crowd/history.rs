//! How one member of the crowd comes to be known to several organisations, and what all of them agree on.

use jiff::civil::Date;

use super::{Disease, Holder, Pattern, elsewhere, hospital, practice};
use crate::population::Person;
use crate::population::random::Random;
use crate::population::record::Record;
use crate::population::terminology::measure::{self, Measure};
use crate::population::terminology::{Concept, allergy};

/// The practice's record, then one for each other holder the pattern draws: five at most.
pub(super) fn records<'a>(
    person: &'a Person,
    pattern: &Pattern,
    diseases: &[Disease],
    birth_date_at_hospital: Option<Date>,
    random: &mut Random,
    as_of: Date,
) -> Vec<Record<'a>> {
    let story = Story {
        diseases,
        allergy: random.chance(32).then(|| random.pick(ALLERGIES, ALLERGIES_FIRST)),
        last_admission: random.between(14, 900),
    };
    let (general, shared) = practice::general_practice(person, pattern, &story, random, as_of);
    let mut records = vec![general];
    for (holder, chance) in pattern.holders {
        let drawn = random.chance(*chance);
        let needed = birth_date_at_hospital.is_some() && *holder == Holder::Acute;
        let entries: usize = records.iter().map(Record::len).sum();
        let room = records.len() < MOST_HOLDERS && entries < ENOUGH_ENTRIES;
        if needed || drawn && room {
            let born = birth_date_at_hospital.unwrap_or(person.birth_date);
            records.push(match holder {
                Holder::Acute => hospital::acute(person, &story, &shared, born, random, as_of),
                Holder::Community => elsewhere::community(person, random, as_of),
                Holder::MentalHealth => elsewhere::mental_health(person, &story, random, as_of),
                Holder::Ambulance => elsewhere::ambulance(person, &story, random, as_of),
                Holder::CareHome => elsewhere::care_home(person, &shared, random, as_of),
                Holder::Council => elsewhere::council(person, random, as_of),
                Holder::Pharmacy => elsewhere::pharmacy(person, &story, random, as_of),
            });
        }
    }
    records
}

/// What all holders agree on.
pub(super) struct Story<'a> {
    pub(super) diseases: &'a [Disease],
    pub(super) allergy: Option<(Concept, Concept, &'static str)>,
    /// Days before the population's date.
    pub(super) last_admission: i64,
}

/// Identifiers of practice entries that others hold copies of.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) allergy: Option<(String, String)>,
    pub(super) plan: Option<(String, String)>,
}

/// A small whole number for a year count; `low` when the range is empty.
pub(super) fn bounded(random: &mut Random, low: i16, high: i16) -> i16 {
    i16::try_from(random.between(i64::from(low), i64::from(high.max(low)))).unwrap_or(low)
}

/// Past this many entries no further holder is added, which keeps a history within 120.
const ENOUGH_ENTRIES: usize = 78;

/// No person is held by more than five organisations.
const MOST_HOLDERS: usize = 5;

const ALLERGIES_FIRST: (Concept, Concept, &str) = (allergy::PENICILLIN, allergy::RASH, "mild");

const ALLERGIES: &[(Concept, Concept, &str)] = &[
    ALLERGIES_FIRST,
    (allergy::PENICILLIN, allergy::ANAPHYLAXIS, "severe"),
    (allergy::SULFONAMIDE, allergy::RASH, "moderate"),
    (allergy::LATEX, allergy::URTICARIA, "mild"),
    (allergy::PEANUT, allergy::ANAPHYLAXIS, "severe"),
    (allergy::ASPIRIN, allergy::URTICARIA, "moderate"),
];

pub(super) const RENAL: &[Measure] =
    &[measure::SODIUM, measure::POTASSIUM, measure::UREA, measure::CREATININE, measure::EGFR];

pub(super) const BLOODS: &[Measure] = &[measure::HAEMOGLOBIN, measure::WHITE_CELLS, measure::C_REACTIVE_PROTEIN];
