//! Whether a view says of every member what came of asking it. The node is not believed: the statement's signature, the
//! binding of the key that made it, and the list itself are checked against the person's own pinned manifest.

use std::collections::{BTreeMap, BTreeSet};

use careweave_certs::binding;
use careweave_protocol::desk::ViewReply;
use careweave_protocol::desk::view::{SourceView, View, WITHHELD};
use careweave_protocol::id::{NetworkId, OdsCode, QueryId};
use careweave_protocol::identity::EndpointRole;
use careweave_protocol::key::PublicKey;
use careweave_protocol::query::{Cause, Completeness, SourceLine, SourceOutcome};
use careweave_protocol::signed::{Scope, SignedError, Verified};
use careweave_protocol::time::Timestamp;
use thiserror::Error;

/// What a view is checked against.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The network.
    pub network: &'a NetworkId,
    /// The own organisation.
    pub organisation: &'a OdsCode,
    /// Its key, from the certificate chain that the node showed.
    pub organisation_key: &'a PublicKey,
    /// The query.
    pub query_id: &'a QueryId,
    /// Version of the manifest that the members are from.
    pub manifest_version: u64,
    /// Every member of the person's own manifest.
    pub members: &'a BTreeSet<OdsCode>,
    /// The present instant.
    pub now: Timestamp,
}

/// Why a view is not shown as complete, nor at all.
#[derive(Debug, Error)]
pub enum Incomplete {
    /// The key that signed is not shown to be the organisation's peer endpoint.
    #[error("the key that signed the view is not shown to be the organisation's: {0}")]
    Binding(Cause),
    /// The statement's signature does not verify.
    #[error("the completeness statement does not verify: {0}")]
    Statement(#[source] SignedError),
    /// The statement is about another query, network or organisation.
    #[error("the completeness statement is about another query")]
    OtherQuery,
    /// The statement lists the members of another manifest.
    #[error("the view was made under manifest {theirs}, but {ours} is the newest known here")]
    OtherManifest {
        /// Version in the statement.
        theirs: u64,
        /// Version of the person's own manifest.
        ours: u64,
    },
    /// Members are not accounted for.
    #[error("the view says nothing of {}", listed(.0))]
    Missing(Vec<OdsCode>),
    /// Organisations are listed that are no members.
    #[error("the view lists {}, which the manifest does not", listed(.0))]
    Stranger(Vec<OdsCode>),
    /// A member is listed more than once.
    #[error("the view lists {0} more than once")]
    Duplicate(OdsCode),
    /// What is shown is not what is signed.
    #[error("what the view says of {0} is not what its completeness statement says")]
    Disagrees(String),
}

/// Checks the statement and its list of sources; see [`Incomplete`] for everything that is.
///
/// # Errors
/// See [`Incomplete`].
pub(super) fn check(reply: &ViewReply, expected: &Expected<'_>) -> Result<Verified<Completeness>, Incomplete> {
    let scope = Scope::network(expected.network);
    // Which key it binds is for the binding to say: the node's peer endpoint is not the one at the other end of this connection.
    let node = reply.binding.unverified().map_err(|_| Incomplete::Binding(Cause::BindingInvalid))?.node;
    let organisation = (expected.organisation, expected.organisation_key);
    binding::verify(&reply.binding, expected.network, organisation, (node, EndpointRole::Peer), expected.now)
        .map_err(Incomplete::Binding)?;
    let statement = reply.completeness.verify(scope, &PublicKey::from(node)).map_err(Incomplete::Statement)?;
    let said = statement.get();
    if said.network != *expected.network || said.query_id != *expected.query_id || said.asker != *expected.organisation
    {
        return Err(Incomplete::OtherQuery);
    }
    if said.manifest_version != expected.manifest_version {
        return Err(Incomplete::OtherManifest { theirs: said.manifest_version, ours: expected.manifest_version });
    }
    every_member_once(&said.sources, expected.members)?;
    what_is_shown_is_what_is_signed(&reply.view, said)?;
    Ok(statement)
}

fn every_member_once(sources: &[SourceLine], members: &BTreeSet<OdsCode>) -> Result<(), Incomplete> {
    let mut listed = BTreeSet::new();
    for source in sources {
        if !listed.insert(source.ods.clone()) {
            return Err(Incomplete::Duplicate(source.ods.clone()));
        }
    }
    let strangers: Vec<OdsCode> = listed.difference(members).cloned().collect();
    if !strangers.is_empty() {
        return Err(Incomplete::Stranger(strangers));
    }
    let missing: Vec<OdsCode> = members.difference(&listed).cloned().collect();
    if missing.is_empty() { Ok(()) } else { Err(Incomplete::Missing(missing)) }
}

/// Where whereabouts are restricted, the local organisations are one line without names; what it says must be the sum of theirs.
fn what_is_shown_is_what_is_signed(view: &View, said: &Completeness) -> Result<(), Incomplete> {
    if view.query_id != said.query_id || view.asker != said.asker || view.as_at.0 != said.as_at || !view.finished {
        return Err(Incomplete::OtherQuery);
    }
    let mut shown: BTreeMap<&str, &SourceView> = BTreeMap::new();
    for source in &view.sources {
        if shown.insert(&source.ods, source).is_some() {
            return Err(Incomplete::Disagrees(source.ods.clone()));
        }
    }
    let withheld = shown.remove(WITHHELD);
    let mut unnamed: Vec<&SourceLine> = Vec::new();
    for line in &said.sources {
        match shown.remove(line.ods.as_str()) {
            Some(source) if agrees(source, line, &said.asker) => {}
            Some(_) => return Err(Incomplete::Disagrees(line.ods.to_string())),
            None => unnamed.push(line),
        }
    }
    if let Some(extra) = shown.keys().next() {
        return Err(Incomplete::Disagrees((*extra).to_owned()));
    }
    match withheld {
        None if unnamed.is_empty() => {}
        Some(source) if !unnamed.is_empty() && sums_up(source, &unnamed) => {}
        _ => return Err(Incomplete::Disagrees("the local organisations".to_owned())),
    }
    let all_replied = said.sources.iter().all(|line| !line.outcome.asked() || line.outcome.replied());
    if view.all_replied == all_replied { Ok(()) } else { Err(Incomplete::Disagrees("whether all replied".to_owned())) }
}

fn sums_up(source: &SourceView, unnamed: &[&SourceLine]) -> bool {
    let asked = unnamed.iter().any(|line| line.outcome.asked());
    let replied = unnamed.iter().all(|line| !line.outcome.asked() || line.outcome.replied());
    source.asked == asked
        && source.replied == (asked && replied)
        && source.ineligible == unnamed.iter().any(|line| ineligible(line))
        && source.records == unnamed.iter().map(|line| line.records).fold(0, u32::saturating_add)
}

fn ineligible(line: &SourceLine) -> bool {
    matches!(&line.outcome, SourceOutcome::Refused(cause) if cause.is_eligibility())
}

fn agrees(source: &SourceView, line: &SourceLine, asker: &OdsCode) -> bool {
    source.outcome == line.outcome.as_str()
        && source.own == (line.ods == *asker)
        && source.records == line.records
        && source.ms == line.ms
        && source.data_to.map(|moment| moment.0) == line.data_to
        && source.asked == line.outcome.asked()
        && source.replied == line.outcome.replied()
        && source.ineligible == ineligible(line)
}

fn listed(codes: &[OdsCode]) -> String {
    codes.iter().map(OdsCode::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
