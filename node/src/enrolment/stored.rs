//! What the service keeps: invitations with what became of them, and attestations to hand out. Sealed under the log's key, under keys that
//! are HMACs of ODS codes.

use std::time::Duration;

use careweave_certs::enrolment::Invitation;
use careweave_protocol::cbor;
use careweave_protocol::id::{Digest, OdsCode};
use careweave_protocol::identity::Attestation;
use careweave_protocol::signed::Signed;
use careweave_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::store::database::{Database, Family, Put, StoreError};

/// One organisation's invitation; a later one takes its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stored {
    /// What the officer signed.
    pub(super) invitation: Invitation,
    /// With the signature, because officers change.
    pub(super) signed: Signed<Invitation>,
    /// The request that was filed with its code.
    pub(super) waiting: Option<Waiting>,
    /// The certificate it was used up for.
    pub(super) used: Option<Used>,
}

/// A request that waits for the officers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Waiting {
    /// As it came: COSE_Sign1 by the organisation key.
    pub(super) request: ByteBuf,
    /// SHA-256 of the key it asks for.
    pub(super) key: Digest,
}

/// A first certificate that was issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Used {
    /// When.
    pub(super) at: Timestamp,
    /// SHA-256 of the request.
    pub(super) request: Digest,
    /// The certificate, DER.
    pub(super) leaf: ByteBuf,
}

impl Stored {
    /// A fresh invitation.
    pub(super) fn new(invitation: Invitation, signed: Signed<Invitation>) -> Self {
        Self { invitation, signed, waiting: None, used: None }
    }

    /// The invitation of an organisation, if it ever had one that is still remembered.
    pub(super) fn read(database: &Database, ods: &OdsCode) -> Result<Option<Self>, StoreError> {
        let key = row_key(database, INVITATION, ods);
        let Some(sealed) = database.get(Family::Meta, &key)? else { return Ok(None) };
        Self::open(database, &key, sealed).map(Some)
    }

    /// Every invitation that is remembered, with the key of its row.
    pub(super) fn all(database: &Database) -> Result<Vec<(Vec<u8>, Self)>, StoreError> {
        let rows = database.scan(Family::Meta, INVITATION)?;
        rows.map(|row| {
            let (key, sealed) = row?;
            let stored = Self::open(database, &key, sealed.into_vec())?;
            Ok((key.into_vec(), stored))
        })
        .collect()
    }

    /// The row to be written.
    pub(super) fn put(&self, database: &Database) -> Result<Put, StoreError> {
        let key = row_key(database, INVITATION, &self.invitation.ods);
        let sealed = database.keys().log.seal(Family::Meta, &key, &cbor::to_vec(self)?)?;
        Ok((Family::Meta, key, sealed))
    }

    /// Whether its code can still be used: it was not, and is not over; or it was, and the reply may have been lost.
    pub(super) fn counts(&self, now: Timestamp) -> bool {
        match &self.used {
            None => now < self.invitation.expires,
            Some(used) => now.since(used.at) <= REPEATED,
        }
    }

    /// Whether its request waits for the officers.
    pub(super) fn waits(&self, now: Timestamp) -> Option<&Waiting> {
        self.waiting.as_ref().filter(|_| self.used.is_none() && self.counts(now))
    }

    /// Whether it may be forgotten. One that was used is kept until its end, so that the same paper does not invite twice.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        now >= self.invitation.expires && !self.counts(now)
    }

    fn open(database: &Database, key: &[u8], sealed: Vec<u8>) -> Result<Self, StoreError> {
        Ok(cbor::from_own(&database.keys().log.open(Family::Meta, key, sealed)?)?)
    }
}

/// The attestations of a member that were handed over.
pub(super) fn attestations(database: &Database, ods: &OdsCode) -> Result<Vec<Signed<Attestation>>, StoreError> {
    let key = row_key(database, ATTESTATIONS, ods);
    let Some(sealed) = database.get(Family::Meta, &key)? else { return Ok(Vec::new()) };
    Ok(cbor::from_own(&database.keys().log.open(Family::Meta, &key, sealed)?)?)
}

/// The row of a member's attestations.
pub(super) fn put_attestations(
    database: &Database,
    ods: &OdsCode,
    all: &[Signed<Attestation>],
) -> Result<Put, StoreError> {
    let key = row_key(database, ATTESTATIONS, ods);
    let sealed = database.keys().log.seal(Family::Meta, &key, &cbor::to_vec(&all)?)?;
    Ok((Family::Meta, key, sealed))
}

fn row_key(database: &Database, kind: &[u8], ods: &OdsCode) -> Vec<u8> {
    let blinded = database.keys().blind("enrolment", &[ods.as_str().as_bytes()]);
    [kind, blinded.as_slice()].concat()
}

/// A reply can be lost on the way: for this long the same request with the same code gets the same certificate again.
pub(super) const REPEATED: Duration = Duration::from_secs(3600);
/// Begins the keys of invitations.
const INVITATION: &[u8] = b"enrolment invitation ";
/// Begins the keys of attestations.
const ATTESTATIONS: &[u8] = b"enrolment attestations ";
