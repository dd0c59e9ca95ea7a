//! Guards outside the policy: membership, standard, agreement, training, staleness, purpose, rate and quota. Each cause here is
//! about the asker, so it is told by name.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use careweave_protocol::id::{NhsNumber, OdsCode, PersonId};
use careweave_protocol::limits::{
    PATIENTS_PER_DAY, PATIENTS_PER_PERSON_DAY, QUERIES_PER_PERSON_SECOND, QUERIES_PER_SECOND,
};
use careweave_protocol::query::Cause;
use careweave_protocol::time::Timestamp;

use super::authenticate::Asked;
use crate::net::gate::NodeSession;
use crate::services::Services;
use crate::store::database::{Database, Family, Put, StoreError};

/// What the guards say.
#[derive(Debug)]
pub enum Admission {
    /// Go on; the alerts are lapses that urgent care may ignore but somebody must see.
    Welcome {
        /// Named lapses.
        alerts: Vec<Cause>,
        /// Whether the asker is new to this patient today; [`mark`] makes that last.
        new_today: bool,
    },
    /// Too fast; nothing was looked at.
    Busy {
        /// Milliseconds after which there is room.
        retry_ms: u32,
    },
    /// Not eligible, for a named cause.
    Refused(Cause),
    /// Over the day's number of patients.
    OverQuota {
        /// Whether this is the first time today, so that somebody is alerted once and the log is not flooded.
        first: bool,
    },
}

/// Rates and quotas of askers.
#[derive(Debug, Default)]
pub struct Guard {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    buckets: HashMap<Asker, Bucket>,
    day: i64,
    patients: HashMap<Asker, HashSet<[u8; 16]>>,
    /// Who was over a quota today.
    over: HashSet<Asker>,
}

/// What counting a patient came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    /// One more for this asker today.
    New,
    /// Asked about today already.
    Known,
    /// No more today; whether that is news.
    Over { first: bool },
}

/// An organisation, or one of its people.
type Asker = (OdsCode, Option<PersonId>);

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    filled: Timestamp,
}

/// Askers remembered at once: every member of a large network and the people of a busy hour. Past it, rates start afresh.
const ASKERS_KEPT: usize = 65_536;
/// Milliseconds in a day.
const DAY_MS: i64 = 86_400_000;
/// First byte of a quota mark among the nonces.
const QUOTA_MARK: u8 = b'q';

/// Asks every guard, in the order of how little each learns.
#[must_use]
pub fn check(services: &Services, session: &NodeSession, asked: &Asked, now: Timestamp) -> Admission {
    let (query, person) = (asked.query.get(), asked.credential.get());
    if let Some(retry_ms) = services.guard.take_token(session.identity.ods(), &person.person, now) {
        return Admission::Busy { retry_ms };
    }
    let eligibility = services.trust().check_eligibility(&session.identity, person, query.purpose, now);
    if let Some(cause) = eligibility.refused {
        return Admission::Refused(cause);
    }
    if !services.role(person.group, query.purpose).granted {
        return Admission::Refused(Cause::PurposeNotGranted(query.purpose));
    }
    // Whoever is asked about under several numbers may be several: each counts.
    let keys = services.database.keys();
    let patients: HashSet<[u8; 16]> = query.patient.numbers().map(|number| keys.blind_number(&number)).collect();
    match services.guard.count(session.identity.ods(), &person.person, &patients, now) {
        Counted::Over { first } => Admission::OverQuota { first },
        counted => Admission::Welcome { alerts: eligibility.alerts, new_today: counted == Counted::New },
    }
}

/// What to write beside the DECISION so that today's distinct patients survive a restart: until when it counts, then who.
#[must_use]
pub fn mark(services: &Services, asked: &Asked, now: Timestamp) -> Vec<Put> {
    let (query, person) = (asked.query.get(), asked.credential.get());
    let day = now.0.div_euclid(DAY_MS);
    let who = format!("{} {}", person.ods, person.person).into_bytes();
    let until = day.saturating_add(1).saturating_mul(DAY_MS);
    let keys = services.database.keys();
    let row = |number: NhsNumber| {
        let mut key = mark_prefix(day);
        key.extend_from_slice(&keys.blind_number(&number));
        key.extend_from_slice(&keys.blind("quota", &[&who]));
        (Family::Nonces, key, [until.to_be_bytes().as_slice(), &who].concat())
    };
    query.patient.numbers().map(row).collect()
}

impl Guard {
    /// Reads today's distinct patients back, so that a restart does not open the quota again.
    ///
    /// # Errors
    /// When the store fails.
    pub fn load(database: &Database, now: Timestamp) -> Result<Self, StoreError> {
        let guard = Self::default();
        {
            let mut state = guard.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.day = now.0.div_euclid(DAY_MS);
            let prefix = mark_prefix(state.day);
            for item in database.scan(Family::Nonces, &prefix)? {
                let (key, value) = item?;
                let text = String::from_utf8_lossy(value.get(8..).unwrap_or_default()).into_owned();
                let patient = key.get(prefix.len()..).and_then(|k| k.get(..16)).and_then(|k| k.try_into().ok());
                if let (Some(patient), Some((ods, person))) = (patient, parse_asker(&text)) {
                    state.note(&ods, &person, patient);
                }
            }
        }
        Ok(guard)
    }

    fn take_token(&self, ods: &OdsCode, person: &PersonId, now: Timestamp) -> Option<u32> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.buckets.len() > ASKERS_KEPT {
            state.buckets.clear();
        }
        let organisation = state.take((ods.clone(), None), QUERIES_PER_SECOND, now);
        let own = state.take((ods.clone(), Some(person.clone())), QUERIES_PER_PERSON_SECOND, now);
        organisation.max(own)
    }

    /// Counts the patients of a query against today's quotas, in one step: queries that come together must not all find the last place
    /// free. All of them count, or none where one is over.
    fn count(&self, ods: &OdsCode, person: &PersonId, patients: &HashSet<[u8; 16]>, now: Timestamp) -> Counted {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let day = now.0.div_euclid(DAY_MS);
        if state.day != day {
            state.day = day;
            state.patients.clear();
            state.over.clear();
        }
        let askers =
            [((ods.clone(), None), PATIENTS_PER_DAY), ((ods.clone(), Some(person.clone())), PATIENTS_PER_PERSON_DAY)];
        for (who, limit) in askers {
            let known = state.patients.get(&who);
            let new = patients.iter().filter(|patient| known.is_none_or(|known| !known.contains(*patient))).count();
            if new > 0 && known.map_or(0, HashSet::len).saturating_add(new) > limit as usize {
                return Counted::Over { first: state.over.len() < ASKERS_KEPT && state.over.insert(who) };
            }
        }
        let mut new = false;
        for patient in patients {
            new |= state.note(ods, person, *patient);
        }
        if new { Counted::New } else { Counted::Known }
    }
}

impl State {
    fn note(&mut self, ods: &OdsCode, person: &PersonId, patient: [u8; 16]) -> bool {
        let new = self.patients.entry((ods.clone(), None)).or_default().insert(patient);
        let own = (ods.clone(), Some(person.clone()));
        // An organisation that makes up people counts as a whole only.
        if self.patients.len() >= ASKERS_KEPT && !self.patients.contains_key(&own) {
            return new;
        }
        self.patients.entry(own).or_default().insert(patient)
    }

    fn take(&mut self, who: Asker, per_second: u32, now: Timestamp) -> Option<u32> {
        let rate = f64::from(per_second);
        let bucket = self.buckets.entry(who).or_insert(Bucket { tokens: rate, filled: now });
        let passed = now.since(bucket.filled).as_secs_f64();
        bucket.tokens = (bucket.tokens + passed * rate).min(rate);
        bucket.filled = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return None;
        }
        // At least a millisecond, and never longer than the second in which a whole bucket fills.
        let wait = ((1.0 - bucket.tokens) / rate * 1000.0).ceil().clamp(1.0, 1000.0);
        Some(wait as u32)
    }
}

fn mark_prefix(day: i64) -> Vec<u8> {
    let mut key = vec![QUOTA_MARK];
    key.extend_from_slice(&day.to_be_bytes());
    key
}

fn parse_asker(text: &str) -> Option<(OdsCode, PersonId)> {
    let (ods, person) = text.split_once(' ')?;
    Some((ods.parse().ok()?, person.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_told_busy_after_the_burst_and_served_again_later() {
        let guard = Guard::default();
        let (ods, person): (OdsCode, PersonId) = ("R9A".parse().unwrap(), "p1".parse().unwrap());
        let now = Timestamp(1_000);
        for _ in 0..QUERIES_PER_PERSON_SECOND {
            assert_eq!(guard.take_token(&ods, &person, now), None);
        }
        assert!(guard.take_token(&ods, &person, now).is_some());
        assert_eq!(guard.take_token(&ods, &"p2".parse().unwrap(), now), None);
        assert_eq!(guard.take_token(&ods, &person, Timestamp(1_100)), None);
    }

    #[test]
    fn the_quota_counts_distinct_patients_and_opens_again_the_next_day() {
        let guard = Guard::default();
        let (ods, person): (OdsCode, PersonId) = ("R9A".parse().unwrap(), "p1".parse().unwrap());
        let now = Timestamp(DAY_MS * 10);
        let patient = |n: u32| {
            let mut key = [0; 16];
            key[..4].copy_from_slice(&n.to_be_bytes());
            HashSet::from([key])
        };
        for n in 0..PATIENTS_PER_PERSON_DAY {
            assert_eq!(guard.count(&ods, &person, &patient(n), now), Counted::New);
        }
        let next = patient(PATIENTS_PER_PERSON_DAY);
        assert_eq!(guard.count(&ods, &person, &next, now), Counted::Over { first: true });
        assert_eq!(guard.count(&ods, &person, &next, now), Counted::Over { first: false }, "one alert a day");
        let known = guard.count(&ods, &person, &patient(3), now);
        assert_eq!(known, Counted::Known, "a patient asked about before is no new one");
        assert_eq!(guard.count(&ods, &"p2".parse().unwrap(), &next, now), Counted::New);
        assert_eq!(guard.count(&ods, &person, &next, Timestamp(DAY_MS * 11)), Counted::New);
    }

    #[test]
    fn a_query_with_several_numbers_counts_each_and_nothing_where_one_is_over() {
        let guard = Guard::default();
        let (ods, person): (OdsCode, PersonId) = ("R9A".parse().unwrap(), "p1".parse().unwrap());
        let now = Timestamp(DAY_MS * 10);
        let patients = |numbers: std::ops::Range<u32>| -> HashSet<[u8; 16]> {
            numbers.map(|n| u128::from(n).to_be_bytes()).collect()
        };
        let last = PATIENTS_PER_PERSON_DAY - 1;
        assert_eq!(guard.count(&ods, &person, &patients(0..last), now), Counted::New);
        // One place is left: not for two, of whom neither then takes it; nor for one who is known and two who are not.
        assert_eq!(guard.count(&ods, &person, &patients(last..last + 2), now), Counted::Over { first: true });
        assert_eq!(guard.count(&ods, &person, &patients(0..last + 2), now), Counted::Over { first: false });
        assert_eq!(guard.count(&ods, &person, &patients(last - 1..last + 1), now), Counted::New, "one known, one new");
        assert_eq!(guard.count(&ods, &person, &patients(last + 1..last + 2), now), Counted::Over { first: false });
    }
}
