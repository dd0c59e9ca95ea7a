//! Staff credentials: requested with a key made on the person's own machine, issued by the employer, verified by everybody. What an
//! employer has issued is kept in `staff/register.rs`.

mod register;

pub use register::{IssuedCredential, REGISTER_MAX, Register, Word, renewed_name};

use std::collections::BTreeSet;
use std::time::Duration;

use careweave_protocol::id::{NetworkId, NodeKey, OdsCode, PersonId};
use careweave_protocol::identity::{Approval, Scope as DeskScope, StaffCredential, StaffGroup};
use careweave_protocol::key::{PublicKey, Signer};
use careweave_protocol::limits::{APPROVAL_LIFE, CLOCK_SKEW, CREDENTIAL_LIFE, TEXT_MAX};
use careweave_protocol::query::Cause;
use careweave_protocol::signed::{Document, Scope, Signed, SignedError, Verified};
use careweave_protocol::time::{Date, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::authority::BACK_DATING;

/// A person's request to their employer, signed with the key it is about: proof that they hold it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaffRequest {
    /// The person within the employer.
    pub person: PersonId,
    /// Name as it is to appear in audit logs.
    pub name: String,
    /// The person's own key.
    pub key: NodeKey,
    /// Proof that they hold a step-up key as well; `None` for people who will never break glass.
    pub step_up: Option<Signed<StepUpRequest>>,
}

/// Proof that whoever holds one key holds the other too, signed with the step-up key. It names the person's own key, so nobody can
/// hand it in as theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepUpRequest {
    /// The person's own key.
    pub key: NodeKey,
    /// The step-up key.
    pub step_up: NodeKey,
}

/// What the employer vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaffGrant {
    /// The column of the access table.
    pub group: StaffGroup,
    /// SDS job role code, such as `R0260`.
    pub sds_role: String,
    /// Professional registration, where there is one.
    pub registration: Option<String>,
    /// Last day of the person's data-security training.
    pub training_expires: Date,
    /// What the desk allows beside views.
    pub scopes: Vec<DeskScope>,
    /// Whether the policy lets the group break glass: only then does the credential name the step-up key.
    pub break_glass: bool,
    /// Two other people's word, where a scope needs it.
    pub approvals: Vec<Approval>,
    /// How long, at most 30 days.
    pub life: Duration,
}

/// Why a request was refused.
#[derive(Debug, Error)]
pub enum StaffError {
    /// Not a request, or not signed with the key it is about.
    #[error(transparent)]
    Signed(#[from] SignedError),
    /// The network name that stands for "none yet" does not parse; no request causes this.
    #[error("the request cannot be read")]
    Scope,
    /// The step-up key is the person's own key again, or was proved for another person's.
    #[error("the request's step-up key does not belong to it")]
    StepUp,
    /// A text is empty or too long.
    #[error("{0} is empty or longer than {TEXT_MAX} bytes")]
    Text(&'static str),
}

/// A request is made before the person's machine knows any network, so it is signed for this one.
const REQUEST_NETWORK: &str = "staff-request";
/// How many other people must agree to a scope that needs two.
pub const APPROVERS: usize = 2;
/// Approvals looked at: each costs two signature checks.
pub const APPROVALS_MAX: usize = 4;

impl Document for StaffRequest {
    const CONTEXT: &'static str = "careweave staff request 1";
}

impl Document for StepUpRequest {
    const CONTEXT: &'static str = "careweave step-up request 1";
}

impl StaffRequest {
    /// Signs a request with the person's Ed25519 key, and the proof inside it with their step-up key where they have one.
    ///
    /// # Errors
    /// When a text is too long, or a key is not Ed25519 or cannot sign.
    pub fn create(
        person: PersonId,
        name: &str,
        key: &dyn Signer,
        step_up: Option<&dyn Signer>,
    ) -> Result<Signed<Self>, StaffError> {
        check_text("name", name)?;
        let network = request_network()?;
        let node = key.public_key().node_key().ok_or(SignedError::Algorithm)?;
        let prove = |second: &dyn Signer| {
            let step_up = second.public_key().node_key().ok_or(SignedError::Algorithm)?;
            let claim = StepUpRequest { key: node, step_up };
            Ok::<_, SignedError>(Signed::sign(&claim, Scope::network(&network), second)?.into_signed())
        };
        let step_up = step_up.map(prove).transpose()?;
        let request = Self { person, name: name.to_owned(), key: node, step_up };
        Ok(Signed::sign(&request, Scope::network(&network), key)?.into_signed())
    }

    /// Verifies a request under the key it is about, and the step-up key it brings under that one.
    ///
    /// # Errors
    /// When whoever made it does not hold both keys.
    pub fn verify(signed: &Signed<Self>) -> Result<Verified<Self>, StaffError> {
        let key = PublicKey::from(signed.unverified()?.key);
        let verified = signed.verify(Scope::network(&request_network()?), &key)?;
        check_text("name", &verified.get().name)?;
        verified.get().step_up_key()?;
        Ok(verified)
    }

    /// The step-up key, proved.
    ///
    /// # Errors
    /// When whoever made the request does not hold it, or it is no second key of the same person.
    pub fn step_up_key(&self) -> Result<Option<NodeKey>, StaffError> {
        let Some(signed) = &self.step_up else { return Ok(None) };
        let key = PublicKey::from(signed.unverified()?.step_up);
        let claim = signed.verify(Scope::network(&request_network()?), &key)?.into_inner();
        let second = claim.key == self.key && claim.step_up != self.key;
        if second { Ok(Some(claim.step_up)) } else { Err(StaffError::StepUp) }
    }
}

/// Issues a credential for at most 30 days; it begins an hour ago.
///
/// # Errors
/// When a text is too long or the organisation key cannot sign.
pub fn issue(
    network: &NetworkId,
    ods: &OdsCode,
    request: &Verified<StaffRequest>,
    grant: &StaffGrant,
    organisation: &dyn Signer,
    now: Timestamp,
) -> Result<Verified<StaffCredential>, StaffError> {
    check_text("SDS role", &grant.sds_role)?;
    check_text("registration", grant.registration.as_deref().unwrap_or("-"))?;
    let request = request.get();
    let mut scopes = grant.scopes.clone();
    scopes.sort_unstable();
    scopes.dedup();
    let credential = StaffCredential {
        ods: ods.clone(),
        person: request.person.clone(),
        name: request.name.clone(),
        group: grant.group,
        sds_role: grant.sds_role.clone(),
        registration: grant.registration.clone(),
        training_expires: grant.training_expires,
        scopes,
        key: request.key,
        step_up: if grant.break_glass { request.step_up_key()? } else { None },
        approvals: grant.approvals.clone(),
        not_before: now.before(BACK_DATING),
        not_after: now.after(grant.life.min(CREDENTIAL_LIFE)),
    };
    Ok(Signed::sign(&credential, Scope::network(network), organisation)?)
}

/// Issues again what has been issued: the same person, key and claims, for at most another 30 days, with a later last day of training
/// where one is given. Approvals are carried along and not looked at; [`check_approvals`] says whether they still count.
///
/// # Errors
/// When the organisation key cannot sign.
pub fn renew(
    network: &NetworkId,
    held: &Verified<StaffCredential>,
    training_expires: Option<Date>,
    organisation: &dyn Signer,
    (now, life): (Timestamp, Duration),
) -> Result<Verified<StaffCredential>, StaffError> {
    let mut credential = held.get().clone();
    // An earlier day would be a correction, and that is a new issue.
    credential.training_expires =
        credential.training_expires.max(training_expires.unwrap_or(credential.training_expires));
    credential.not_before = now.before(BACK_DATING);
    credential.not_after = now.after(life.min(CREDENTIAL_LIFE));
    Ok(Signed::sign(&credential, Scope::network(network), organisation)?)
}

/// Verifies a credential's signature and life; revocation and suspension are [`crate::trust::Trust`]'s to know.
///
/// # Errors
/// [`Cause::CredentialInvalid`] for another signer or a life over the limit; [`Cause::CredentialExpired`] outside its life.
pub fn verify(
    credential: &Signed<StaffCredential>,
    network: &NetworkId,
    organisation: &PublicKey,
    now: Timestamp,
) -> Result<Verified<StaffCredential>, Cause> {
    let verified = credential.verify(Scope::network(network), organisation).map_err(|_| Cause::CredentialInvalid)?;
    let claim = verified.get();
    if claim.not_after > claim.not_before.after(CREDENTIAL_LIFE + BACK_DATING) {
        return Err(Cause::CredentialInvalid);
    }
    if now >= claim.not_after || now.after(CLOCK_SKEW) < claim.not_before {
        return Err(Cause::CredentialExpired);
    }
    Ok(verified)
}

/// Whether two other people of the organisation agreed to the scopes that need that: each approval is signed by a person whose own
/// credential stood under one of the organisation's keys when they gave it, and has no such scope itself. The two have two keys, because one
/// key under two names is one person. What only the employer knows of them, [`Register::keeps_word`] says.
///
/// # Errors
/// [`Cause::ApprovalMissing`].
pub fn check_approvals(
    credential: &StaffCredential,
    network: &NetworkId,
    organisation: &[&PublicKey],
    now: Timestamp,
) -> Result<(), Cause> {
    let scopes: Vec<DeskScope> = credential.scopes.iter().copied().filter(|s| s.needs_two_people()).collect();
    if scopes.is_empty() {
        return Ok(());
    }
    let scope = Scope::network(network);
    let holds = |given: &Approval| -> Option<(PersonId, NodeKey)> {
        let approver = organisation.iter().find_map(|key| given.credential.verify(scope, key).ok())?.into_inner();
        let said = given.approval.verify(scope, &approver.key.into()).ok()?.into_inner();
        let entitled = approver.ods == credential.ods
            && approver.person == said.approver
            && approver.person != credential.person
            && approver.key != credential.key
            && Some(approver.key) != credential.step_up
            && !approver.scopes.iter().any(|s| s.needs_two_people())
            && approver.not_before <= said.at.after(CLOCK_SKEW)
            && said.at < approver.not_after;
        let about = said.ods == credential.ods
            && said.person == credential.person
            && said.key == credential.key
            && said.scopes == scopes
            && said.at <= now.after(CLOCK_SKEW)
            && now < said.at.after(APPROVAL_LIFE);
        (entitled && about).then_some((approver.person, approver.key))
    };
    let (people, keys): (BTreeSet<PersonId>, BTreeSet<NodeKey>) =
        credential.approvals.iter().take(APPROVALS_MAX).filter_map(holds).unzip();
    if people.len().min(keys.len()) >= APPROVERS { Ok(()) } else { Err(Cause::ApprovalMissing) }
}

/// The person's training, when it is over; it holds through its last day.
#[must_use]
pub fn training_lapse(credential: &StaffCredential, now: Timestamp) -> Option<Cause> {
    let last = credential.training_expires;
    (now >= last.plus_days(1).start()).then_some(Cause::TrainingLapsed(last))
}

fn request_network() -> Result<NetworkId, StaffError> {
    REQUEST_NETWORK.parse().map_err(|_| StaffError::Scope)
}

fn check_text(field: &'static str, text: &str) -> Result<(), StaffError> {
    if text.is_empty() || text.len() > TEXT_MAX { Err(StaffError::Text(field)) } else { Ok(()) }
}
