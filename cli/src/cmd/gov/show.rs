//! `gov show` and `gov verify`: the manifest that holds, and whether the chain to it does.

use careweave_certs::authority::AuthorityDetails;
use careweave_certs::manifest::{AuthorityCertificate, Manifest, Member};
use careweave_certs::trust::{TRUST_MAX, Trust, TrustError};
use careweave_protocol::id::{Digest, NodeKey, OdsCode};
use careweave_protocol::time::Timestamp;
use serde_json::{Value, json};

use super::difference;
use super::office::Office;
use crate::args::Output;
use crate::args::governance::{ShowArgs, VerifyArgs};
use crate::cmd::node_init::shown_peer_id;
use crate::context::Context;
use crate::error::{CliError, exit};
use crate::profile::read_file;

/// `gov show`.
///
/// # Errors
/// When nothing is published.
pub(super) fn show(args: &ShowArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let (office, now) = (Office::open(&args.office)?, ctx.now());
    let mut trust = office.published(now)?;
    for suspension in office.suspensions()? {
        // What has run out is not shown.
        drop(trust.accept_suspension(suspension, now));
    }
    let mut suspensions = Vec::new();
    for suspension in trust.active_suspensions(now) {
        suspensions.push((suspension.digest()?.to_string(), difference::suspension(suspension)));
    }
    let manifest = trust.manifest();
    if ctx.output == Output::Json {
        ctx.printer.json(&as_json(&trust, &suspensions, now))?;
        return Ok(exit::DONE);
    }
    let quorum = format!("{} of {}", manifest.governance.threshold, manifest.governance.keys.len());
    let limits = &manifest.staleness;
    let enrolment: Vec<&str> = manifest.enrolment.iter().map(OdsCode::as_str).collect();
    for (what, value) in [
        ("network", manifest.network.to_string()),
        ("manifest version", manifest.version.to_string()),
        ("first manifest", trust.pinned().to_string()),
        ("issued", manifest.issued.rfc3339()),
        ("valid until", manifest.expires.rfc3339()),
        ("officers", quorum),
        ("members", manifest.members.len().to_string()),
        ("enrolment service", if enrolment.is_empty() { "none".to_owned() } else { enrolment.join(" ") }),
        ("lowest DSPT status", manifest.minimum_standard.to_string()),
        (
            "staleness (hours)",
            format!("care {}, urgent {}, other {}", limits.care_hours, limits.urgent_hours, limits.other_hours),
        ),
    ] {
        ctx.printer.line(&format!("{what:<20}{value}"))?;
    }
    let authorities: Vec<Vec<String>> = manifest.authorities.iter().map(|a| authority_row(a, now)).collect();
    ctx.printer.table(&["AUTHORITY", "STATE", "AGE", "LEFT", "DIGEST"], &authorities)?;
    let keys = manifest.governance.keys.iter().map(|key| ("officer", key));
    let keys = keys.chain(manifest.registrars.iter().map(|key| ("registrar", key)));
    let mut counted = (0u32, 0u32);
    let keys: Vec<Vec<String>> = keys
        .map(|(what, key)| {
            let count = if what == "officer" { &mut counted.0 } else { &mut counted.1 };
            *count = count.saturating_add(1);
            vec![format!("{what} {count}"), key.spki_hash().to_string()]
        })
        .collect();
    ctx.printer.table(&["KEY OF", "HASH"], &keys)?;
    let rows: Vec<Vec<String>> = manifest.members.iter().map(|m| row(manifest, m)).collect();
    ctx.printer.table(&["ODS", "NAME", "KIND", "NEIGHBOURHOOD", "STAGE", "BEACON", "DUTY CONTACT"], &rows)?;
    for (digest, what) in suspensions {
        ctx.printer.line(&format!("SUSPENDED {what} ({digest})"))?;
    }
    Ok(exit::DONE)
}

/// `gov verify`.
///
/// # Errors
/// When a manifest does not follow from the one before, or the first is not the pinned one.
pub(super) fn verify(args: &VerifyArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let now = ctx.now();
    let trust = match &args.file {
        Some(path) => Trust::from_bytes(&read_file(path, TRUST_MAX)?, now)?,
        None => Office::open(&args.office)?.published(now)?,
    };
    if let Some(pinned) = args.pin.filter(|pin| *pin != trust.pinned()) {
        return Err(TrustError::OtherPin { shown: trust.pinned(), pinned }.into());
    }
    let expired = now >= trust.manifest().expires;
    match ctx.output {
        Output::Json => ctx.printer.json(&json!({
            "network": trust.network().as_str(),
            "first_manifest": trust.pinned().to_string(),
            "version": trust.version(),
            "manifests": trust.manifest_chain_after(0).len(),
            "valid_until": trust.manifest().expires.rfc3339(),
            "expired": expired,
        }))?,
        Output::Table => {
            ctx.printer.line(&format!("{:<18}{}", "first manifest", trust.pinned()))?;
            ctx.printer.line(&format!("{:<18}{}", "manifest version", trust.version()))?;
            ctx.printer.line(&format!("{:<18}{}", "valid until", trust.manifest().expires.rfc3339()))?;
        }
    }
    if expired {
        ctx.note("warning: MANIFEST_EXPIRED: publish a new one");
    } else {
        ctx.note("verified: every manifest follows from the one before and is signed by its quorum");
    }
    Ok(exit::DONE)
}

fn row(manifest: &Manifest, member: &Member) -> Vec<String> {
    let beacon = manifest.beacons.iter().any(|b| b.ods == member.ods);
    vec![
        member.ods.to_string(),
        member.name.clone(),
        member.kind.to_string(),
        member.neighbourhood.clone().unwrap_or_default(),
        member.stage.as_str().to_owned(),
        if beacon { "yes" } else { "" }.to_owned(),
        member.duty_contact.clone(),
    ]
}

/// Age and time left in days; an authority's certificate is back-dated by an hour.
fn authority_row(authority: &AuthorityCertificate, now: Timestamp) -> Vec<String> {
    let details = AuthorityDetails::read(&authority.certificate).ok();
    let days =
        |from: Timestamp, to: Timestamp| format!("{} d", to.0.saturating_sub(from.0).div_euclid(DAY_MILLISECONDS));
    vec![
        difference::role(authority.role).to_owned(),
        difference::state(authority.state).to_owned(),
        details.as_ref().map(|d| days(d.not_before, now)).unwrap_or_default(),
        details.as_ref().map(|d| days(now, d.not_after)).unwrap_or_default(),
        Digest::of(&[&authority.certificate]).to_string(),
    ]
}

fn authority_json(authority: &AuthorityCertificate, now: Timestamp) -> Value {
    let details = AuthorityDetails::read(&authority.certificate).ok();
    let age = |d: &AuthorityDetails| now.0.saturating_sub(d.not_before.0).div_euclid(DAY_MILLISECONDS);
    json!({
        "role": difference::role(authority.role),
        "state": difference::state(authority.state),
        "digest": Digest::of(&[&authority.certificate]).to_string(),
        "age_days": details.as_ref().map(age),
        "valid_until": details.as_ref().map(|d| d.not_after.rfc3339()),
    })
}

fn as_json(trust: &Trust, suspensions: &[(String, String)], now: Timestamp) -> Value {
    let manifest = trust.manifest();
    let members: Vec<Value> = manifest
        .members
        .iter()
        .map(|m| {
            json!({
                "ods": m.ods.as_str(),
                "name": m.name,
                "kind": m.kind.as_str(),
                "care_setting": m.care_setting,
                "neighbourhood": m.neighbourhood,
                "stage": m.stage.as_str(),
                "duty_contact": m.duty_contact,
                "alert_contact": m.alert_contact,
                "key": m.key.active.to_string(),
                "next_key": m.key.next.map(|key| key.to_string()),
            })
        })
        .collect();
    let peer = |key: Option<NodeKey>| key.and_then(|key| shown_peer_id(key).ok());
    let beacons: Vec<Value> =
        manifest.beacons.iter().map(|b| json!({"ods": b.ods.as_str(), "peer_id": peer(b.key.node_key())})).collect();
    let suspensions: Vec<Value> =
        suspensions.iter().map(|(digest, what)| json!({"digest": digest, "what": what})).collect();
    json!({
        "network": manifest.network.as_str(),
        "version": manifest.version,
        "first_manifest": trust.pinned().to_string(),
        "issued": manifest.issued.rfc3339(),
        "valid_until": manifest.expires.rfc3339(),
        "threshold": manifest.governance.threshold,
        "officers": manifest.governance.keys.iter().map(|k| k.spki_hash().to_string()).collect::<Vec<_>>(),
        "registrars": manifest.registrars.iter().map(|k| k.spki_hash().to_string()).collect::<Vec<_>>(),
        "authorities": manifest.authorities.iter().map(|a| authority_json(a, now)).collect::<Vec<_>>(),
        "enrolment": manifest.enrolment.iter().map(OdsCode::as_str).collect::<Vec<_>>(),
        "minimum_standard": manifest.minimum_standard.as_str(),
        "staleness": {
            "care": manifest.staleness.care_hours,
            "urgent": manifest.staleness.urgent_hours,
            "other": manifest.staleness.other_hours,
        },
        "members": members,
        "beacons": beacons,
        "suspensions": suspensions,
    })
}

const DAY_MILLISECONDS: i64 = 24 * 3600 * 1000;
