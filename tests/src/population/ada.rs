//! Ada Okafor, 88 or so, who lives at the care home: known to eight organisations, with the conflicts, copies and labels that a view must
//! get right.

mod elsewhere;
mod hospital;
mod practice;

use jiff::civil::Date;

use super::random::Random;
use super::{Holding, Person, close};

/// Everything the eight organisations hold about her.
pub(super) fn records(person: &Person, seed: u64, as_of: Date) -> Vec<Holding> {
    let mut random = Random::new(seed, "ada");
    let (practice, shared) = practice::record(person, &mut random, as_of);
    close(vec![
        practice,
        hospital::record(person, &mut random, as_of, &shared),
        elsewhere::community(person, &mut random, as_of),
        elsewhere::mental_health(person, &mut random, as_of),
        elsewhere::ambulance(person, &mut random, as_of),
        elsewhere::care_home(person, &mut random, as_of, &shared),
        elsewhere::council(person, as_of),
        elsewhere::pharmacy(person, as_of),
    ])
}

/// Identifiers (system, value) of the practice's entries of which others hold copies.
struct Shared {
    penicillin: Option<(String, String)>,
    respect: Option<(String, String)>,
}

/// Her plan for emergencies, as last agreed.
const RESPECT: &str = "ReSPECT. Priority: comfort, while treating what can be treated at home or on a ward. For hospital admission if it can relieve distress. \
Not for intensive care. Not for attempted cardiopulmonary resuscitation. Discussed with Ada and her daughter.";
