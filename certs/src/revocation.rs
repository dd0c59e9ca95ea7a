//! Staff revocations: the employer's own stop. One list per organisation; a higher version replaces a lower one.

use careweave_protocol::id::{Digest, NetworkId, OdsCode, PersonId};
use careweave_protocol::identity::{RevokedCredential, StaffRevocation};
use careweave_protocol::key::{PublicKey, Signer};
use careweave_protocol::signed::{Scope, Signed, SignedError, Verified};
use careweave_protocol::time::Timestamp;

use crate::staff::IssuedCredential;

/// Signs the list that follows `previous`: what is still running of it, and these credentials.
///
/// # Errors
/// When the organisation key cannot sign, or the list is over the limit of a signed document.
pub fn issue(
    network: &NetworkId,
    ods: &OdsCode,
    previous: Option<&StaffRevocation>,
    credentials: &[&IssuedCredential],
    organisation: &dyn Signer,
    now: Timestamp,
) -> Result<Verified<StaffRevocation>, SignedError> {
    let mut revoked: Vec<RevokedCredential> =
        previous.map(|p| p.revoked.iter().filter(|r| r.until > now).cloned().collect()).unwrap_or_default();
    for credential in credentials {
        if !revoked.iter().any(|r| r.credential == credential.digest) {
            revoked.push(RevokedCredential {
                credential: credential.digest,
                person: credential.person.clone(),
                at: now,
                until: credential.not_after,
            });
        }
    }
    let version = previous.map_or(0, |p| p.version).saturating_add(1);
    let list = StaffRevocation { ods: ods.clone(), version, issued: now, revoked };
    Signed::sign(&list, Scope::network(network), organisation)
}

/// Verifies a list of an organisation.
///
/// # Errors
/// When the signature does not verify, or the list is another organisation's.
pub fn verify(
    signed: &Signed<StaffRevocation>,
    network: &NetworkId,
    ods: &OdsCode,
    organisation: &PublicKey,
) -> Result<Verified<StaffRevocation>, SignedError> {
    let verified = signed.verify(Scope::network(network), organisation)?;
    if verified.get().ods == *ods { Ok(verified) } else { Err(SignedError::Form) }
}

/// Whether the list names this credential.
#[must_use]
pub fn revokes(list: &StaffRevocation, credential: &Digest) -> bool {
    list.revoked.iter().any(|r| r.credential == *credential)
}

/// Every credential of a person that is issued and still runs.
#[must_use]
pub fn running<'a>(issued: &'a [IssuedCredential], person: &PersonId, now: Timestamp) -> Vec<&'a IssuedCredential> {
    issued.iter().filter(|c| c.person == *person && c.not_after > now).collect()
}
