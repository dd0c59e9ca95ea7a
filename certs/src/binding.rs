//! Node bindings: issued by the organisation key, verified against the connection they are shown on.

use std::time::Duration;

use careweave_protocol::id::{NetworkId, NodeKey, OdsCode};
use careweave_protocol::identity::{EndpointRole, NodeBinding, RetiredEndpoint};
use careweave_protocol::key::{PublicKey, Signer};
use careweave_protocol::limits::{BINDING_LIFE, CLOCK_SKEW};
use careweave_protocol::query::Cause;
use careweave_protocol::signed::{Scope, Signed, SignedError, Verified};
use careweave_protocol::time::Timestamp;

use crate::authority::BACK_DATING;

/// Binds an endpoint to the organisation from `life.0` on, for `life.1` and at most seven days; it begins an hour before. `retires` is the
/// endpoint that it replaces.
///
/// # Errors
/// When the organisation key cannot sign.
pub fn issue(
    network: &NetworkId,
    ods: &OdsCode,
    endpoint: (NodeKey, EndpointRole),
    retires: Option<RetiredEndpoint>,
    organisation: &dyn Signer,
    life: (Timestamp, Duration),
) -> Result<Verified<NodeBinding>, SignedError> {
    let ((node, role), (now, life)) = (endpoint, life);
    let binding = NodeBinding {
        ods: ods.clone(),
        node,
        role,
        retires,
        not_before: now.before(BACK_DATING),
        not_after: now.after(life.min(BINDING_LIFE)),
    };
    Signed::sign(&binding, Scope::network(network), organisation)
}

/// Verifies that the endpoint on the other end of a connection belongs to the organisation.
///
/// # Errors
/// [`Cause::BindingInvalid`] for another key, organisation, role or signer, or a life over the limit;
/// [`Cause::BindingExpired`] outside its life.
pub fn verify(
    binding: &Signed<NodeBinding>,
    network: &NetworkId,
    organisation: (&OdsCode, &PublicKey),
    endpoint: (NodeKey, EndpointRole),
    now: Timestamp,
) -> Result<Verified<NodeBinding>, Cause> {
    let (ods, key) = organisation;
    let verified = binding.verify(Scope::network(network), key).map_err(|_| Cause::BindingInvalid)?;
    let claim = verified.get();
    let ours = claim.ods == *ods && (claim.node, claim.role) == endpoint;
    if !ours || claim.not_after > claim.not_before.after(BINDING_LIFE + BACK_DATING) {
        return Err(Cause::BindingInvalid);
    }
    if now >= claim.not_after || now.after(CLOCK_SKEW) < claim.not_before {
        return Err(Cause::BindingExpired);
    }
    Ok(verified)
}
