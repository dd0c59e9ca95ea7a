//! How a review is kept: sealed under the log's key, by its id.

use careweave_protocol::id::NodeKey;
use careweave_protocol::signed::Signed;
use serde::{Deserialize, Serialize};

use super::*;

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) review: Review,
    /// The grant's id, where there is one.
    pub(super) grant: Option<QueryId>,
    /// SHA-256 of the signed grant: another grant that bears the same id is another matter.
    signed_grant: Option<Digest>,
    /// Whether it was alerted to as overdue.
    pub(super) escalated: bool,
    /// The key of the person it is about, and their professional registration: one human may have several identities.
    #[serde(default)]
    key: Option<NodeKey>,
    #[serde(default)]
    registration: Option<String>,
}

impl Stored {
    /// The review under this id.
    pub(super) fn read(database: &Database, id: &QueryId) -> Result<Option<Self>, StoreError> {
        let Some(sealed) = database.get(Family::Reviews, id.as_bytes())? else { return Ok(None) };
        Self::open(database, id.as_bytes(), sealed).map(Some)
    }

    /// The row to be written.
    pub(super) fn put(&self, database: &Database) -> Result<Put, StoreError> {
        let key = self.review.id.as_bytes().to_vec();
        let sealed = database.keys().log.seal(Family::Reviews, &key, &cbor::to_vec(self)?)?;
        Ok((Family::Reviews, key, sealed))
    }

    pub(super) fn is_overdue(&self, now: Timestamp) -> bool {
        self.review.closed.is_none() && now > self.review.due
    }

    /// As it is now.
    pub(super) fn shown(self, now: Timestamp) -> Review {
        let overdue = self.is_overdue(now);
        Review { overdue, ..self.review }
    }

    /// Whether this is, by anything that is known of both, the person it is about.
    pub(super) fn is_about(&self, person: &StaffCredential) -> bool {
        let about = &self.review.about;
        let same_person = about.ods.as_str().eq_ignore_ascii_case(person.ods.as_str())
            && about.person.as_str().eq_ignore_ascii_case(person.person.as_str());
        let registration = |text: &Option<String>| {
            text.as_ref().map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty())
        };
        let theirs = registration(&person.registration);
        let same_registration = theirs.is_some() && theirs == registration(&self.registration);
        same_person || self.key == Some(person.key) || same_registration
    }

    /// Whose turn it is to write it: every query under grants of one id, and whoever closes or escalates what came of them.
    pub(super) fn turn(&self) -> QueryId {
        self.grant.unwrap_or(self.review.id)
    }

    /// The id under which it stands when as many others before are taken. Nobody outside can work out any but the first.
    fn id_after(&self, database: &Database, taken: u8) -> Option<QueryId> {
        if taken == 0 {
            return Some(self.review.id);
        }
        let signed = self.signed_grant.filter(|_| taken <= IDS_TRIED)?;
        Some(QueryId(database.keys().blind("review", &[signed.as_bytes(), &[taken]])))
    }

    /// Whether a query of this person under this grant belongs to it: what was looked at before does not cover what came after.
    fn is_joined_by(&self, later: &Self) -> bool {
        let (ours, theirs) = (&self.review.about, &later.review.about);
        let same_person = (&ours.ods, &ours.person) == (&theirs.ods, &theirs.person);
        self.review.closed.is_none()
            && same_person
            && self.signed_grant.is_some()
            && self.signed_grant == later.signed_grant
    }

    fn open(database: &Database, key: &[u8], sealed: Vec<u8>) -> Result<Self, StoreError> {
        Ok(cbor::from_own(&database.keys().log.open(Family::Reviews, key, sealed)?)?)
    }
}

/// A review with this one query.
pub(super) fn first(opening: Opening<'_>, zone: &str, now: Timestamp) -> Stored {
    let Opening { query, credential, grant, holder } = opening;
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    Stored {
        review: Review {
            id: grant.map_or(query.query_id, |grant| grant.id),
            kind: Kind::of(opening).as_str().to_owned(),
            opened: now,
            due: calendar::due(now, WORKING_DAYS, &zone),
            overdue: false,
            about: actor_of(credential),
            holder: holder.cloned(),
            purpose: query.purpose,
            reason: query.reason.clone(),
            categories: grant.map(|grant| grant.categories.clone()).unwrap_or_default(),
            queries: vec![query.query_id],
            closed: None,
        },
        grant: grant.map(|grant| grant.id),
        signed_grant: query.grant.as_ref().filter(|_| grant.is_some()).map(Signed::digest),
        escalated: false,
        key: Some(credential.key),
        registration: credential.registration.clone(),
    }
}

/// The open review that this one joins, with its query; else this one, under an id of its own. Askers choose ids, so one that is taken
/// says nothing: then the signed grant itself names the review, and its next query finds it there.
pub(super) fn place(database: &Database, mut fresh: Stored) -> Result<Stored, ReviewError> {
    let mut joined = None;
    for taken in 0..=IDS_TRIED {
        let Some(id) = fresh.id_after(database, taken) else { break };
        match Stored::read(database, &id)? {
            None => {
                fresh.review.id = id;
                return Ok(fresh);
            }
            Some(held) if held.is_joined_by(&fresh) => {
                joined = Some(held);
                break;
            }
            Some(_) => {}
        }
    }
    let Some(mut held) = joined else {
        let mut id = [0; QueryId::LEN];
        ring::rand::SystemRandom::new().fill(&mut id).map_err(|_| ReviewError::Randomness)?;
        return Ok(Stored { review: Review { id: QueryId(id), ..fresh.review }, ..fresh });
    };
    let queries = &mut held.review.queries;
    for query in fresh.review.queries {
        if queries.len() < QUERIES_LISTED && !queries.contains(&query) {
            queries.push(query);
        }
    }
    Ok(held)
}

/// Every review.
pub(super) fn all(database: &Database) -> Result<Vec<Stored>, StoreError> {
    let rows = database.scan(Family::Reviews, &[])?;
    rows.map(|row| row.and_then(|(key, sealed)| Stored::open(database, &key, sealed.into_vec()))).collect()
}

impl Kind {
    /// With a grant it is break-glass.
    #[must_use]
    pub fn of(opening: Opening<'_>) -> Self {
        if opening.grant.is_some() { Self::BreakGlass } else { Self::SelfClaimed }
    }

    /// As it stands in a review, and as the event of the ALERT is called.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BreakGlass => "break-glass",
            Self::SelfClaimed => "self-claimed",
        }
    }
}

/// Queries listed in one review: a grant lasts an hour; the log has every one of them.
const QUERIES_LISTED: usize = 256;
/// Ids that one signed grant's reviews have after the first: one more each time that one was closed within the grant's hour.
const IDS_TRIED: u8 = 16;
