//! What a bundle must be beyond valid Cedar: every policy named once, nothing in it that can fail while a decision is made.

use std::collections::BTreeMap;
use std::str::FromStr;

use cedar_policy::pst::{BinaryOp, Clause, Expr, UnaryOp, Var};
use cedar_policy::{Effect, Policy, PolicyId, PolicySet};

use crate::policy::bundle::BundleError;
use crate::policy::decision::Basis;

/// Longest `@id`: it is written into every audit entry it decides.
pub(super) const ID_MAX: usize = 128;

/// The policies under their own names, and what was learnt while reading them.
#[derive(Clone)]
pub(super) struct Linted {
    /// In the order of the text; each policy's id is its `@id`.
    pub(super) policies: Vec<Policy>,
    /// What each forbid says about itself.
    pub(super) because: BTreeMap<String, Basis>,
    /// Whether any policy looks at which organisation asks.
    pub(super) names_organisation: bool,
}

/// Reads every policy of the set once.
pub(super) fn lint(set: &PolicySet) -> Result<Linted, BundleError> {
    if set.num_of_templates() > 0 {
        return Err(BundleError::Template);
    }
    let mut linted = Linted { policies: Vec::new(), because: BTreeMap::new(), names_organisation: false };
    let mut seen = BTreeMap::new();
    for (position, policy) in in_order(set) {
        let id = match policy.annotation("id") {
            Some(id) if (1..=ID_MAX).contains(&id.len()) => id.to_owned(),
            _ => return Err(BundleError::MissingId { position }),
        };
        if let Some(first) = seen.insert(id.clone(), position) {
            return Err(BundleError::DuplicateId { id, first, second: position });
        }
        if policy.effect() == Effect::Forbid {
            let basis = match policy.annotation("because") {
                None => Basis::Forbidden,
                Some(word) => match Basis::from_str(word) {
                    Ok(basis) if basis != Basis::Granted => basis,
                    _ => return Err(BundleError::UnknownReason { id, word: word.to_owned() }),
                },
            };
            linted.because.insert(id.clone(), basis);
        }
        let body = policy.to_pst().map_err(|_| BundleError::Expression { id: id.clone() })?;
        for clause in body.body().clauses() {
            let (Clause::When(expression) | Clause::Unless(expression)) = clause;
            linted.names_organisation |= walk(expression, &id)?;
        }
        linted.policies.push(policy.new_id(PolicyId::new(id)));
    }
    Ok(linted)
}

/// The parser numbers policies `policy0`, `policy1` … as they stand in the text, and keeps them in no order.
fn in_order(set: &PolicySet) -> Vec<(usize, &Policy)> {
    let number = |policy: &Policy| policy.id().to_string().strip_prefix("policy").and_then(|n| n.parse::<usize>().ok());
    let mut policies: Vec<_> = set.policies().map(|p| (number(p).map_or(0, |n| n.saturating_add(1)), p)).collect();
    policies.sort_by_key(|(position, _)| *position);
    policies
}

/// Whether the expression looks at the asking organisation; an error where it computes, or is of a kind this reader does not know.
///
/// Arithmetic is refused because it can overflow, and a policy that overflows says nothing. Depth is bounded by Cedar's parser.
fn walk(expression: &Expr, id: &str) -> Result<bool, BundleError> {
    let all = |parts: &mut dyn Iterator<Item = &Expr>| -> Result<bool, BundleError> {
        let mut found = false;
        for part in parts {
            found |= walk(part, id)?;
        }
        Ok(found)
    };
    match expression {
        Expr::Literal(_) => Ok(false),
        // The whole situation is in somebody's hands, organisation included.
        Expr::Var(variable) => Ok(*variable == Var::Context),
        Expr::GetAttr { expr, attr } if **expr == Expr::Var(Var::Context) => Ok(attr == "organisation"),
        Expr::HasAttr { expr, attrs } if **expr == Expr::Var(Var::Context) => Ok(attrs.first() == "organisation"),
        Expr::GetAttr { expr, .. } | Expr::HasAttr { expr, .. } | Expr::Like { expr, .. } => walk(expr, id),
        Expr::UnaryOp { op: UnaryOp::Not | UnaryOp::IsEmpty, expr } => walk(expr, id),
        Expr::UnaryOp { op: UnaryOp::Neg, .. }
        | Expr::BinaryOp { op: BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul, .. } => {
            Err(BundleError::Arithmetic { id: id.to_owned() })
        }
        Expr::BinaryOp {
            op:
                BinaryOp::Eq
                | BinaryOp::NotEq
                | BinaryOp::Less
                | BinaryOp::LessEq
                | BinaryOp::Greater
                | BinaryOp::GreaterEq
                | BinaryOp::And
                | BinaryOp::Or
                | BinaryOp::In
                | BinaryOp::Contains
                | BinaryOp::ContainsAll
                | BinaryOp::ContainsAny,
            left,
            right,
        } => all(&mut [left, right].into_iter().map(|e| &**e)),
        Expr::Is { expr, in_expr, .. } => all(&mut [expr].into_iter().chain(in_expr).map(|e| &**e)),
        Expr::IfThenElse { cond, then_expr, else_expr } => {
            all(&mut [cond, then_expr, else_expr].into_iter().map(|e| &**e))
        }
        Expr::Set(items) => all(&mut items.iter().map(|e| &**e)),
        Expr::Record(fields) => all(&mut fields.values().map(|e| &**e)),
        // Slots, unknowns, tags, extension functions: nothing this schema has words for.
        _ => Err(BundleError::Expression { id: id.to_owned() }),
    }
}
