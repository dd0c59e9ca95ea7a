//! Hard people: each is one way in which the records of real people go wrong, at the smallest size that shows it. Every one has a named
//! constructor, which says what is hard about them and which rule of the view (`rules`, by number) they exercise, and stands in [`PEOPLE`].
//!
//! Reading order: here, then by theme: `hard/name.rs` (who is it?), `hard/number.rs` (under which number?), `hard/decision.rs` (death and
//! advance decisions), `hard/label.rs` (who may see it?), `hard/tie.rs` (who has a reason to ask?), `hard/medicine.rs` (forty medicines),
//! `hard/oddity.rs` (entries that say odd things) and `hard/history.rs` (three thousand of them).
//!
//! What is *not* here: the four people the demonstration is told with. Ada has the copy, the medicine on hold and the denied allergy, her
//! namesake the same name and birth date at the same hospital, Ben the lithium, Cara the restricted address.

mod decision;
mod history;
mod label;
mod medicine;
mod name;
mod number;
mod oddity;
mod tie;

#[cfg(test)]
mod tests;

use jiff::civil::Date;

use super::identity::{Person, household};
use super::record::Record;
use super::{Holding, close};

pub use decision::{death_disputed, dnacpr_conflict, dnacpr_review_overdue, dnacpr_revoked};
pub use history::{HISTORY_ENTRIES, long_history};
pub use label::{
    child, legally_restricted, mental_health_detail, objecting, objecting_in_emergency, safeguarded, sealed,
    sealed_in_emergency, sensitive_detail,
};
pub use medicine::forty_medicines;
pub use name::{decomposed, diacritics, maiden_name, particle, transposed, twin_first, twin_second};
pub use number::{
    adoption_after, adoption_before, duplicate_other_birth_date, duplicate_registration, invalidated,
    invalidated_at_hospital, recognition_after, recognition_before, superseded_new, superseded_old,
};
pub use oddity::{LONG_NARRATIVE_END, odd_entries};
pub use tie::{caseload, caseload_ended, in_hospital, referred, respite, respite_over};

/// One hard person. Everything here is the same whatever the population's seed and date.
#[derive(Clone, Copy, Debug)]
pub struct HardPerson {
    /// Stable name of the case, which stands in the `case` column of `people.tsv`.
    pub case: &'static str,
    /// Ten digits, 999 range, valid Modulus 11.
    pub nhs_number: &'static str,
    /// As the practice holds it.
    pub birth_date: Date,
    /// As the practice holds it.
    pub family: &'static str,
    /// First given name.
    pub given: &'static str,
    /// FHIR `administrative-gender`.
    pub gender: &'static str,
    /// ODS code of the registered practice.
    pub registered_practice: &'static str,
    /// ODS codes of everybody who holds something under this number, in the order in which it is written.
    pub holders: &'static [&'static str],
    /// What is hard about them, in one line.
    pub hard: &'static str,
    /// Rules of the view that they exercise, by number.
    pub rules: &'static [u8],
    records: Writer,
}

/// Writes what every holder has about one person: the person, the population's seed and its date.
type Writer = for<'a> fn(&'a Person, u64, Date) -> Vec<Record<'a>>;

/// Every hard person, in the order in which they stand in the population. New ones are added at the end.
pub const PEOPLE: &[HardPerson] = &[
    twin_first(),
    twin_second(),
    transposed(),
    diacritics(),
    particle(),
    decomposed(),
    maiden_name(),
    superseded_old(),
    superseded_new(),
    invalidated(),
    invalidated_at_hospital(),
    adoption_before(),
    adoption_after(),
    recognition_before(),
    recognition_after(),
    duplicate_registration(),
    duplicate_other_birth_date(),
    death_disputed(),
    dnacpr_conflict(),
    dnacpr_revoked(),
    dnacpr_review_overdue(),
    child(),
    mental_health_detail(),
    sensitive_detail(),
    sealed(),
    sealed_in_emergency(),
    legally_restricted(),
    objecting(),
    objecting_in_emergency(),
    safeguarded(),
    referred(),
    caseload(),
    caseload_ended(),
    respite(),
    respite_over(),
    in_hospital(),
    forty_medicines(),
    odd_entries(),
    long_history(),
];

/// Every hard person with their holdings, in the order of [`PEOPLE`].
pub(super) fn everyone(seed: u64, as_of: Date) -> impl Iterator<Item = (Person, Vec<Holding>)> {
    PEOPLE.iter().map(move |hard| {
        let person = hard.person();
        let holdings = close((hard.records)(&person, seed, as_of));
        (person, holdings)
    })
}

impl HardPerson {
    fn person(&self) -> Person {
        let (address, telephone) = household(self.family, self.birth_date);
        Person {
            nhs_number: self.nhs_number.to_owned(),
            birth_date: self.birth_date,
            family: self.family.to_owned(),
            given: self.given.to_owned(),
            gender: self.gender,
            registered_practice: self.registered_practice,
            note: self.hard.to_owned(),
            case: self.case,
            middle: None,
            address,
            telephone,
            restricted: false,
            deceased: None,
        }
    }
}

const FEMALE: &str = "female";
const MALE: &str = "male";
const BOROUGH: &str = "Y91001";
const WALWORTH: &str = "Y91002";
