//! A policy bundle: Cedar text that has been checked, ready to be asked.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;

use cedar_policy::{
    ActionConstraint, Authorizer, CedarSchemaError, Effect, Entities, EntityUid, ParseErrors, Policy, PolicySet,
    PolicySetError, ResourceConstraint, Schema, ValidationError, ValidationMode, ValidationWarning, Validator,
    entities_errors,
};
use thiserror::Error;

use crate::id::Digest;
use crate::identity::StaffGroup;
use crate::policy::decide::{Answer, Refusal};
use crate::policy::decision::Basis;
use crate::policy::lint::{ID_MAX, Linted, lint};
use crate::policy::words::{Asked, Verb, Words};
use crate::query::Purpose;

/// The baseline bundle every network starts from: the access table of the vocabulary. An organisation's bundle is this text with its
/// own policies after it.
pub const BASELINE: &str = include_str!("baseline.cedar");

/// The schema, part of the contract: a bundle brings policies, never words.
const SCHEMA: &str = include_str!("schema.cedarschema");

/// Longest bundle in bytes: eight times the baseline, so that reading one takes a bounded time.
pub const BUNDLE_MAX: usize = 256 * 1024;

/// A checked set of policies. Reading one takes milliseconds, so it is kept and shared; asking it allocates little and locks nothing.
pub struct PolicyBundle {
    digest: Digest,
    pub(super) words: Words,
    pub(super) authorizer: Authorizer,
    /// The schema's actions: which belong to which.
    pub(super) actions: Entities,
    pub(super) questions: HashMap<(Verb, &'static str), Question>,
    pub(super) because: BTreeMap<String, Basis>,
    pub(super) names_organisation: bool,
    /// Who may use which purpose: independent of any situation, so asked once.
    pub(super) purposes: HashMap<(StaffGroup, Purpose), Result<Answer, Refusal>>,
}

/// One question about one thing, with the policies that can have a say in it.
pub(super) struct Question {
    pub(super) action: EntityUid,
    pub(super) resource: EntityUid,
    pub(super) policies: PolicySet,
    /// Whether any of them is a permit: without one the answer is no, and need not be asked for.
    pub(super) can_be_permitted: bool,
}

/// Why a text is not a policy bundle.
#[derive(Debug, Error)]
pub enum BundleError {
    /// Longer than [`BUNDLE_MAX`].
    #[error("the bundle has {0} bytes; the limit is {BUNDLE_MAX}")]
    TooLarge(usize),
    /// Not Cedar.
    #[error("the bundle does not parse: {0}")]
    Syntax(Box<ParseErrors>),
    /// A policy without a name, or with too long a one. Positions count from 1.
    #[error("policy {position} of the bundle needs an @id of 1 to {ID_MAX} characters")]
    MissingId {
        /// Which policy of the text.
        position: usize,
    },
    /// Two policies of one name.
    #[error("policies {first} and {second} of the bundle have the same @id: {id}")]
    DuplicateId {
        /// The name.
        id: String,
        /// Where it was first.
        first: usize,
        /// Where it was again.
        second: usize,
    },
    /// `@because` with a word that is no reason.
    #[error("policy {id} gives a reason that does not exist: {word}")]
    UnknownReason {
        /// The policy.
        id: String,
        /// The word.
        word: String,
    },
    /// Arithmetic can overflow, and then the policy would say nothing.
    #[error("policy {id} calculates; arithmetic is not allowed in policies")]
    Arithmetic {
        /// The policy.
        id: String,
    },
    /// An expression that no word of the schema needs.
    #[error("policy {id} uses an expression that is not allowed in policies")]
    Expression {
        /// The policy.
        id: String,
    },
    /// Templates are never linked, so one would silently do nothing.
    #[error("the bundle has a policy template")]
    Template,
    /// Against the schema, in strict mode.
    #[error("the bundle does not follow the schema: {0}")]
    Invalid(Box<ValidationError>),
    /// Valid, and probably not what was meant: a policy that can never apply, letters that look alike.
    #[error("the bundle is suspicious: {0}")]
    Suspicious(Box<ValidationWarning>),
    /// The contract's own schema does not parse.
    #[error("the policy schema is broken")]
    Schema(#[source] Box<CedarSchemaError>),
    /// The contract's own schema has actions that contradict each other.
    #[error("the policy schema's actions are broken")]
    Actions(#[source] Box<entities_errors::EntitiesError>),
    /// The contract's own words do not parse.
    #[error("the policy schema's words are broken")]
    Words(#[source] Box<ParseErrors>),
    /// The policies cannot stand together.
    #[error("the bundle's policies cannot stand together: {0}")]
    Set(Box<PolicySetError>),
}

impl PolicyBundle {
    /// Parses, lints and validates (strict mode, no warnings) a bundle.
    ///
    /// # Errors
    /// [`BundleError`], which names the policy.
    pub fn parse(text: &str) -> Result<Self, BundleError> {
        let schema = schema()?;
        let linted = read(text)?;
        let set =
            PolicySet::from_policies(linted.policies.iter().cloned()).map_err(|e| BundleError::Set(Box::new(e)))?;
        let result = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
        if let Some(error) = result.validation_errors().next() {
            return Err(BundleError::Invalid(Box::new(error.clone())));
        }
        if let Some(warning) = result.validation_warnings().next() {
            return Err(BundleError::Suspicious(Box::new(warning.clone())));
        }
        Self::assemble(text, &schema, linted)
    }

    /// The baseline bundle.
    ///
    /// # Errors
    /// [`BundleError`], never with the text as shipped.
    pub fn baseline() -> Result<Self, BundleError> {
        Self::parse(BASELINE)
    }

    /// SHA-256 of the bundle's text.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Linted, but not validated: for tests of what happens when a policy fails after all.
    #[cfg(test)]
    pub(super) fn unvalidated(text: &str) -> Result<Self, BundleError> {
        Self::assemble(text, &schema()?, read(text)?)
    }

    /// A bundle of policies that were read before; the text is only what the digest is of.
    pub(super) fn assemble(text: &str, schema: &Schema, linted: Linted) -> Result<Self, BundleError> {
        let actions = schema.action_entities().map_err(|e| BundleError::Actions(Box::new(e)))?;
        let mut questions = HashMap::new();
        for Asked { verb, name, action, resource } in Verb::questions().map_err(BundleError::Words)? {
            let relevant: Vec<_> =
                linted.policies.iter().filter(|p| can_apply(p, &action, &resource, &actions)).cloned().collect();
            let can_be_permitted = relevant.iter().any(|p| p.effect() == Effect::Permit);
            let policies = PolicySet::from_policies(relevant).map_err(|e| BundleError::Set(Box::new(e)))?;
            questions.insert((verb, name), Question { action, resource, policies, can_be_permitted });
        }
        let mut bundle = Self {
            digest: Digest::of(&[text.as_bytes()]),
            words: Words::new().map_err(BundleError::Words)?,
            authorizer: Authorizer::new(),
            actions,
            questions,
            because: linted.because,
            names_organisation: linted.names_organisation,
            purposes: HashMap::new(),
        };
        bundle.purposes = bundle.purposes();
        Ok(bundle)
    }
}

impl fmt::Debug for PolicyBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicyBundle({})", self.digest)
    }
}

pub(super) fn schema() -> Result<Schema, BundleError> {
    let (schema, _warnings) = Schema::from_cedarschema_str(SCHEMA).map_err(|e| BundleError::Schema(Box::new(e)))?;
    Ok(schema)
}

fn read(text: &str) -> Result<Linted, BundleError> {
    if text.len() > BUNDLE_MAX {
        return Err(BundleError::TooLarge(text.len()));
    }
    lint(&PolicySet::from_str(text).map_err(|e| BundleError::Syntax(Box::new(e)))?)
}

/// Whether the policy's scope leaves it a say in this question. Where it does not, Cedar would find the scope false without looking
/// at the condition, so leaving the policy out changes neither the answer nor which policies fail.
fn can_apply(policy: &Policy, action: &EntityUid, resource: &EntityUid, actions: &Entities) -> bool {
    let names_action = match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(only) => only == *action,
        ActionConstraint::In(any) => any.iter().any(|one| one == action || actions.is_ancestor_of(one, action)),
    };
    let names_resource = match policy.resource_constraint() {
        ResourceConstraint::Eq(only) => only == *resource,
        ResourceConstraint::Any
        | ResourceConstraint::In(_)
        | ResourceConstraint::Is(_)
        | ResourceConstraint::IsIn(..) => true,
    };
    names_action && names_resource
}
