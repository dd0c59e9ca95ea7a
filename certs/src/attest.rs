//! Attestations: what a registrar says about an organisation.

use careweave_protocol::id::{NetworkId, OdsCode};
use careweave_protocol::identity::{Attestation, Standard, StandardStatus};
use careweave_protocol::key::{PublicKey, Signer};
use careweave_protocol::query::Cause;
use careweave_protocol::signed::{Scope, Signed, SignedError, Verified};
use careweave_protocol::time::{Date, Timestamp};

/// Signs an attestation.
///
/// # Errors
/// When the registrar key cannot sign.
pub fn issue(
    network: &NetworkId,
    ods: &OdsCode,
    standard: (Standard, Option<StandardStatus>),
    expires: Date,
    registrar: &dyn Signer,
    now: Timestamp,
) -> Result<Verified<Attestation>, SignedError> {
    let (standard, status) = standard;
    let attestation = Attestation { ods: ods.clone(), standard, status, issued: now, expires };
    Signed::sign(&attestation, Scope::network(network), registrar)
}

/// Keeps the attestations that are about this organisation and signed by one of the registrars. Others are left out, as if
/// they had not been shown: what is required is missed later, by name.
#[must_use]
pub fn verify_all(
    shown: &[Signed<Attestation>],
    network: &NetworkId,
    ods: &OdsCode,
    registrars: &[PublicKey],
) -> Vec<Verified<Attestation>> {
    let verify = |signed: &Signed<Attestation>| {
        registrars.iter().find_map(|key| signed.verify(Scope::network(network), key).ok())
    };
    shown.iter().take(ATTESTATIONS_MAX).filter_map(verify).filter(|a| a.get().ods == *ods).collect()
}

/// What stands between an organisation and being answered: each required standard that is missing, over, or not met well enough. Of
/// several attestations of one standard the newest counts, so that a registrar can take back what another said.
#[must_use]
pub fn lapses(held: &[Verified<Attestation>], minimum: StandardStatus, now: Timestamp) -> Vec<Cause> {
    Standard::REQUIRED
        .into_iter()
        .filter_map(|standard| {
            let name = standard.as_str().to_owned();
            let of_this = held.iter().map(Verified::get).filter(|a| a.standard == standard);
            let Some(newest) = of_this.max_by_key(|a| (a.issued, a.expires)) else {
                return Some(Cause::AttestationMissing(name));
            };
            // It holds through its last day.
            if now >= newest.expires.plus_days(1).start() {
                return Some(Cause::AttestationExpired(name, newest.expires));
            }
            let status = newest.status.unwrap_or(StandardStatus::NotMet);
            (standard == Standard::Dspt && status < minimum).then_some(Cause::AttestationBelow(name, status, minimum))
        })
        .collect()
}

/// Attestations looked at in one hello: each costs a signature check, and two standards are required.
const ATTESTATIONS_MAX: usize = 8;
