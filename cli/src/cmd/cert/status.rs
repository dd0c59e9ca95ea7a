//! `careweave cert status`: every end that is coming for this node, its staff and the network, and why others would refuse it.
//! Read from the node directory alone; the node need not run.

use std::collections::BTreeSet;

use careweave_certs::expiry::{self, Ending, EndingKind, Urgency};
use careweave_certs::keystore::public_key_of;
use careweave_certs::manifest::RolloutStage;
use careweave_certs::rotation::{ROTATIONS_MAX, Rotations, Stage};
use careweave_certs::staff::{REGISTER_MAX, Register};
use careweave_certs::trust::Trust;
use careweave_certs::{attest, layout, revocation};
use careweave_protocol::cbor;
use careweave_protocol::desk::RotationPart;
use careweave_protocol::id::Digest;
use careweave_protocol::identity::{Attestation, KeyEndorsement, StaffRevocation};
use careweave_protocol::query::Cause;
use careweave_protocol::signed::{Document, Signed, Verified};
use careweave_protocol::time::Timestamp;
use serde_bytes::ByteBuf;
use serde_json::{Value, json};

use crate::args::Output;
use crate::args::cert::CertStatusArgs;
use crate::cmd::node_init::directory::NodeDirectory;
use crate::context::Context;
use crate::error::{CliError, exit};
use crate::profile::read_file;

/// What was found.
struct Found {
    trust: Trust,
    /// Soonest first.
    endings: Vec<Ending>,
    refusals: Vec<Cause>,
    rotations: Rotations,
}

pub(super) fn run(args: &CertStatusArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let (node, now) = (NodeDirectory::open(&args.node)?, ctx.now());
    let found = find(&node, now)?;
    match ctx.output {
        Output::Json => ctx.printer.json(&as_json(&node, &found, now))?,
        Output::Table => show(&found, now, ctx)?,
    }
    Ok(exit_code(&found.endings, &found.refusals, now))
}

/// 6 when something is over or others would refuse, 3 when a warning is due, else 0.
fn exit_code(endings: &[Ending], refusals: &[Cause], now: Timestamp) -> u8 {
    let most_urgent = endings.iter().map(|ending| expiry::warning(ending, now)).min().unwrap_or(Urgency::Later);
    match most_urgent {
        _ if !refusals.is_empty() => exit::NOT_ELIGIBLE,
        Urgency::Over => exit::NOT_ELIGIBLE,
        Urgency::Within(_) => exit::PARTIAL,
        Urgency::Later => exit::DONE,
    }
}

fn find(node: &NodeDirectory, now: Timestamp) -> Result<Found, CliError> {
    let not_enrolled = || {
        CliError::failed("not-enrolled", "the node has no certificate yet")
            .hint("send its enrolment-request.cbor to the governance office, then `careweave cert install`")
    };
    let trust = node.trust(now)?.ok_or_else(not_enrolled)?;
    let chain = node.chain(layout::CHAIN)?.ok_or_else(not_enrolled)?;
    let next_chain = node.chain(layout::CHAIN_NEXT)?.unwrap_or_default();
    let endorsement = node.endorsement()?;
    let attested = attest::verify_all(&node.attestations()?, trust.network(), &node.ods, &trust.manifest().registrars);
    let endings = expiry::soonest_first([
        expiry::chain_endings(&chain, EndingKind::Certificate),
        expiry::chain_endings(&next_chain, EndingKind::NextCertificate),
        expiry::manifest_endings(trust.manifest()),
        expiry::attestation_endings(&attested),
        endorsement_endings(node, &trust, endorsement.as_ref()),
        staff_endings(node, now)?,
    ]);
    let mut refusals = refusals(node, &trust, (&chain, &attested, endorsement.as_ref()), now);
    // A successor that nobody would accept is worth knowing before it is put in use.
    if !next_chain.is_empty()
        && let Err(cause) = trust.verify_chain(&next_chain, endorsement.as_ref(), now)
        && !refusals.contains(&cause)
    {
        refusals.push(cause);
    }
    Ok(Found { rotations: rotations(node)?, trust, endings, refusals })
}

/// Why other members would not admit or not answer this node, the most serious first.
fn refusals(
    node: &NodeDirectory,
    trust: &Trust,
    shown: (&[ByteBuf], &[Verified<Attestation>], Option<&Signed<KeyEndorsement>>),
    now: Timestamp,
) -> Vec<Cause> {
    let (chain, attested, endorsement) = shown;
    let mut refusals = Vec::new();
    if trust.is_suspended(&node.ods, None, now) {
        refusals.push(Cause::Suspended);
    }
    match trust.verify_chain(chain, endorsement, now) {
        Ok(certificate) if *certificate.ods() != node.ods => refusals.push(Cause::CertInvalid),
        Ok(_) => {}
        Err(cause) => refusals.push(cause),
    }
    if let Some(stage @ RolloutStage::Planned) = trust.member(&node.ods).map(|member| member.stage) {
        refusals.push(Cause::NotLive(stage.as_str().to_owned()));
    }
    refusals.extend(attest::lapses(attested, trust.manifest().minimum_standard, now));
    if now >= trust.manifest().expires {
        refusals.push(Cause::ManifestExpired);
    }
    refusals
}

/// An endorsement's end matters only while a key of the node needs it: one that the manifest does not pin.
fn endorsement_endings(
    node: &NodeDirectory,
    trust: &Trust,
    endorsement: Option<&Signed<KeyEndorsement>>,
) -> Vec<Ending> {
    let Some(claim) = endorsement.and_then(|signed| signed.unverified().ok()) else { return Vec::new() };
    let spki = claim.successor.spki_hash();
    let pinned = trust.member(&node.ods).is_some_and(|member| member.key.accepts(&spki));
    if pinned { Vec::new() } else { expiry::endorsement_endings(&claim) }
}

fn staff_endings(node: &NodeDirectory, now: Timestamp) -> Result<Vec<Ending>, CliError> {
    let path = node.file(layout::ISSUED);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let register = Register::from_bytes(&read_file(&path, REGISTER_MAX)?)?;
    let revoked = revoked(node)?;
    Ok(expiry::staff_endings(&register, |digest| revoked.contains(digest), now))
}

/// Credentials that the own organisation has taken back, by a list that one of its keys here has signed.
fn revoked(node: &NodeDirectory) -> Result<BTreeSet<Digest>, CliError> {
    let path = node.file(layout::REVOCATION);
    if !path.exists() {
        return Ok(BTreeSet::new());
    }
    let list = Signed::<StaffRevocation>::from_bytes(read_file(&path, StaffRevocation::MAX)?)?;
    let keys = [layout::ORGANISATION_KEY, layout::ORGANISATION_KEY_OLD].map(|name| node.file(name));
    let verified = keys.iter().filter(|path| path.exists()).find_map(|path| {
        let key = public_key_of(path).ok()?;
        revocation::verify(&list, &node.network, &node.ods, &key).ok()
    });
    // A list that is not the organisation's own revokes nobody.
    Ok(verified.iter().flat_map(|list| &list.get().revoked).map(|revoked| revoked.credential).collect())
}

fn rotations(node: &NodeDirectory) -> Result<Rotations, CliError> {
    let path = node.file(layout::ROTATIONS);
    if !path.exists() {
        return Ok(Rotations::default());
    }
    Ok(cbor::from_slice(&read_file(&path, ROTATIONS_MAX)?, ROTATIONS_MAX)?)
}

fn show(found: &Found, now: Timestamp, ctx: &mut Context) -> Result<(), CliError> {
    let (people, others): (Vec<&Ending>, Vec<&Ending>) =
        found.endings.iter().partition(|ending| is_of_a_person(ending));
    let named: Vec<&Ending> = people.iter().take(PEOPLE_NAMED).copied().collect();
    let mut listed: Vec<&Ending> = others.into_iter().chain(named).collect();
    listed.sort();
    let rows: Vec<Vec<String>> = listed.iter().map(|ending| row(ending, now)).collect();
    ctx.printer.table(&COLUMNS, &rows)?;

    let unnamed = people.get(PEOPLE_NAMED..).unwrap_or_default();
    if !unnamed.is_empty() {
        let soon = unnamed.iter().filter(|ending| days(ending, now) <= FIRST_WARNING).count();
        ctx.printer
            .line(&format!("of the staff {} more, {soon} of them within {FIRST_WARNING} days", unnamed.len()))?;
    }
    for (part, stage) in stages(&found.rotations) {
        let said = match stage {
            Stage::Prepared { since } => format!("prepared since {}", since.rfc3339()),
            Stage::Overlap { until, .. } => format!("overlap until {}", until.rfc3339()),
        };
        ctx.printer.line(&format!("rotation of {}: {said}", part.as_str()))?;
    }
    for cause in &found.refusals {
        ctx.printer.line(&format!("refused by others: {cause}"))?;
    }
    Ok(())
}

fn row(ending: &Ending, now: Timestamp) -> Vec<String> {
    let state = match expiry::warning(ending, now) {
        Urgency::Over => "OVER".to_owned(),
        Urgency::Within(1) => "WITHIN 1 DAY".to_owned(),
        Urgency::Within(limit) => format!("WITHIN {limit} DAYS"),
        Urgency::Later => "ok".to_owned(),
    };
    vec![ending.what.clone(), ending.kind.to_string(), ending.at.rfc3339(), days(ending, now).to_string(), state]
}

fn as_json(node: &NodeDirectory, found: &Found, now: Timestamp) -> Value {
    let ends: Vec<Value> = found
        .endings
        .iter()
        .map(|ending| {
            let (over, warning) = match expiry::warning(ending, now) {
                Urgency::Over => (true, None),
                Urgency::Within(limit) => (false, Some(limit)),
                Urgency::Later => (false, None),
            };
            json!({
                "what": ending.what,
                "kind": ending.kind.as_str(),
                "until": ending.at.rfc3339(),
                "days": days(ending, now),
                "warning": warning,
                "over": over,
            })
        })
        .collect();
    let rotations: Vec<Value> = stages(&found.rotations)
        .map(|(part, stage)| match stage {
            Stage::Prepared { since } => {
                json!({"part": part, "state": "prepared", "since": since.rfc3339(), "until": null})
            }
            Stage::Overlap { since, until } => {
                json!({"part": part, "state": "overlap", "since": since.rfc3339(), "until": until.rfc3339()})
            }
        })
        .collect();
    json!({
        "ods": node.ods.as_str(),
        "manifest_version": found.trust.version(),
        "first_manifest": found.trust.pinned().to_string(),
        "ends": ends,
        "rotations": rotations,
        "refused": found.refusals.iter().map(Cause::to_string).collect::<Vec<_>>(),
    })
}

fn stages(rotations: &Rotations) -> impl Iterator<Item = (RotationPart, &Stage)> {
    RotationPart::ALL.into_iter().filter_map(|part| rotations.0.get(&part).map(|stage| (part, stage)))
}

fn is_of_a_person(ending: &Ending) -> bool {
    matches!(ending.kind, EndingKind::Credential | EndingKind::Approval | EndingKind::Training)
}

/// Whole days that are left; below zero when it is over.
fn days(ending: &Ending, now: Timestamp) -> i64 {
    ending.at.0.saturating_sub(now.0).div_euclid(DAY_MILLISECONDS)
}

const COLUMNS: [&str; 5] = ["WHAT", "KIND", "UNTIL", "DAYS", "STATE"];
/// People named in the table: a screen has room for them beside what concerns everybody; JSON has all.
const PEOPLE_NAMED: usize = 5;
/// Days of the first warning.
const FIRST_WARNING: i64 = 30;
const DAY_MILLISECONDS: i64 = 24 * 3600 * 1000;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000 * DAY_MILLISECONDS);

    fn ending(kind: EndingKind, days: i64) -> Ending {
        Ending { at: Timestamp(NOW.0 + days * DAY_MILLISECONDS), kind, what: kind.to_string() }
    }

    #[test]
    fn the_exit_code_is_that_of_the_worst_end_and_a_refusal_is_worse_than_any() {
        use EndingKind::{Certificate, Credential, Manifest, Training};
        for (ends, code) in [
            (vec![(Certificate, 60), (Manifest, 120)], exit::DONE),
            (vec![(Certificate, 30), (Manifest, 120)], exit::PARTIAL),
            (vec![(Certificate, 60), (Manifest, 0)], exit::NOT_ELIGIBLE),
            // A credential lives thirty days in all.
            (vec![(Credential, 29)], exit::DONE),
            (vec![(Credential, 7)], exit::PARTIAL),
            (vec![(Training, 29)], exit::PARTIAL),
            (vec![], exit::DONE),
        ] {
            let endings: Vec<Ending> = ends.iter().map(|(kind, days)| ending(*kind, *days)).collect();
            assert_eq!(exit_code(&endings, &[], NOW), code, "{ends:?}");
            assert_eq!(exit_code(&endings, &[Cause::Suspended], NOW), exit::NOT_ELIGIBLE);
        }
    }

    #[test]
    fn rows_count_days_down_and_past_the_end() {
        let state = |days| row(&ending(EndingKind::Certificate, days), NOW)[3..].to_vec();
        assert_eq!(state(31), ["31", "ok"]);
        assert_eq!(state(14), ["14", "WITHIN 14 DAYS"]);
        assert_eq!(state(1), ["1", "WITHIN 1 DAY"]);
        assert_eq!(state(-3), ["-3", "OVER"]);
    }
}
