//! What a draft changes, in words that an officer can read before signing.

use std::collections::BTreeMap;

use careweave_certs::manifest::{Manifest, Member, Suspension, SuspensionTarget};
use careweave_certs::trust::Trust;
use careweave_protocol::id::OdsCode;
use careweave_protocol::signed::MultiSigned;
use serde_json::json;

use crate::args::Output;
use crate::cmd::node_init::shown_peer_id;
use crate::context::Context;
use crate::error::CliError;

/// What a manifest holds several of, each in words.
type Listed = fn(&Manifest) -> Vec<String>;

/// One line for each change; nothing that differs is left out, because what is not shown is signed all the same.
pub(super) fn difference(before: Option<&Manifest>, after: &Manifest) -> Vec<String> {
    let mut lines = Vec::new();
    let mut changed = |what: &str, old: Option<String>, new: String| match old {
        Some(old) if old == new => {}
        Some(old) => lines.push(format!("~ {what}: {old} -> {new}")),
        None => lines.push(format!("+ {what}: {new}")),
    };
    changed("version", before.map(|m| m.version.to_string()), after.version.to_string());
    changed("valid until", before.map(|m| m.expires.rfc3339()), after.expires.rfc3339());
    changed("officers who must sign", before.map(threshold), threshold(after));
    changed("lowest protocol version", before.map(|m| m.protocol_min.to_string()), after.protocol_min.to_string());
    changed("policy bundle", before.map(policy), policy(after));
    changed("staleness limits (hours)", before.map(staleness), staleness(after));
    changed(
        "witnesses of a checkpoint",
        before.map(|m| m.witness_quorum.to_string()),
        after.witness_quorum.to_string(),
    );
    let sets: [(&str, Listed); 7] = [
        ("officer", |m| m.governance.keys.iter().map(|k| k.spki_hash().to_string()).collect()),
        ("authority", authorities),
        ("registrar", |m| m.registrars.iter().map(|k| k.spki_hash().to_string()).collect()),
        ("beacon", |m| m.beacons.iter().map(|b| format!("{} {}", b.ods, b.key.spki_hash())).collect()),
        ("witnesses", witnesses),
        ("confirmed suspension", |m| m.suspended.iter().map(suspension).collect()),
        ("lifted suspension", |m| m.lifted.iter().map(ToString::to_string).collect()),
    ];
    for (what, of) in sets {
        let (old, new) = (before.map(of).unwrap_or_default(), of(after));
        lines.extend(old.iter().filter(|line| !new.contains(line)).map(|line| format!("- {what} {line}")));
        lines.extend(new.iter().filter(|line| !old.contains(line)).map(|line| format!("+ {what} {line}")));
    }
    members(before, after, &mut lines);
    lines
}

/// Prints the changes, and who has signed.
///
/// # Errors
/// When stdout cannot be written or the draft is damaged.
pub(super) fn show(
    lines: &[String],
    manifest: &Manifest,
    signed: &MultiSigned<Manifest>,
    held: Option<&Trust>,
    ctx: &mut Context,
) -> Result<(), CliError> {
    let count = |of: &Manifest| signed.signers(&manifest.network, &of.governance.keys).map(|keys| keys.len());
    let own = count(manifest)?;
    let previous = match held {
        Some(trust) => Some((count(trust.manifest())?, trust.manifest().governance.threshold)),
        None => None,
    };
    let digest = signed.statement_digest()?;
    if ctx.output == Output::Json {
        return ctx.printer.json(&json!({
            "network": manifest.network.as_str(),
            "version": manifest.version,
            "digest": digest.to_string(),
            "changes": lines,
            "signed": own,
            "needed": manifest.governance.threshold,
            "signed_by_previous": previous.map(|(signed, _)| signed),
            "needed_of_previous": previous.map(|(_, needed)| needed),
        }));
    }
    ctx.printer.line(&format!("{} manifest {}, digest {digest}", manifest.network, manifest.version))?;
    for line in lines {
        ctx.printer.line(&format!("  {line}"))?;
    }
    ctx.printer.line(&format!("signed by {own} of {} officers", manifest.governance.threshold))?;
    if let Some((signed, needed)) = previous {
        ctx.printer.line(&format!("signed by {signed} of {needed} officers of the manifest that holds"))?;
    }
    Ok(())
}

/// A suspension in words.
pub(super) fn suspension(suspension: &Suspension) -> String {
    let target = match &suspension.target {
        SuspensionTarget::Member(ods) => format!("member {ods}"),
        SuspensionTarget::Node(node) => {
            format!("endpoint {}", shown_peer_id(*node).unwrap_or_else(|_| node.to_string()))
        }
        SuspensionTarget::Credential(digest) => format!("credential {digest}"),
    };
    format!("{target} from {}: {}", suspension.from.rfc3339(), suspension.reason)
}

fn members(before: Option<&Manifest>, after: &Manifest, lines: &mut Vec<String>) {
    let of = |manifest: Option<&Manifest>| -> BTreeMap<OdsCode, Member> {
        let members = manifest.map(|m| m.members.clone()).unwrap_or_default();
        members.into_iter().map(|member| (member.ods.clone(), member)).collect()
    };
    let (old, new) = (of(before), of(Some(after)));
    for (ods, member) in old.iter().filter(|(ods, _)| !new.contains_key(*ods)) {
        lines.push(format!("- member {ods} {}", member.name));
    }
    for (ods, member) in &new {
        match old.get(ods) {
            None => {
                let described = facts(member).map(|(field, text)| format!("{field} {text}")).join(", ");
                lines.push(format!("+ member {ods} {described}"));
            }
            Some(held) => {
                let pairs = facts(held).into_iter().zip(facts(member)).filter(|((_, a), (_, b))| a != b);
                lines.extend(pairs.map(|((field, a), (_, b))| format!("~ member {ods} {field}: {a} -> {b}")));
            }
        }
    }
}

fn facts(member: &Member) -> [(&'static str, String); 9] {
    let absent = || "none".to_owned();
    [
        ("name", member.name.clone()),
        ("kind", member.kind.to_string()),
        ("care setting", member.care_setting.clone()),
        ("neighbourhood", member.neighbourhood.clone().unwrap_or_else(absent)),
        ("stage", member.stage.as_str().to_owned()),
        ("duty contact", member.duty_contact.clone()),
        ("alert contact", member.alert_contact.clone()),
        ("key", member.key.active.to_string()),
        ("next key", member.key.next.map_or_else(absent, |key| key.to_string())),
    ]
}

fn threshold(manifest: &Manifest) -> String {
    format!("{} of {}", manifest.governance.threshold, manifest.governance.keys.len())
}

fn policy(manifest: &Manifest) -> String {
    manifest.policy.map_or_else(|| "built in".to_owned(), |digest| digest.to_string())
}

fn staleness(manifest: &Manifest) -> String {
    let limits = &manifest.staleness;
    format!("care {}, urgent {}, other {}", limits.care_hours, limits.urgent_hours, limits.other_hours)
}

fn authorities(manifest: &Manifest) -> Vec<String> {
    let describe = |a: &careweave_certs::manifest::AuthorityCertificate| {
        let digest = careweave_protocol::id::Digest::of(&[a.certificate.as_slice()]);
        format!("{:?} {:?} {digest}", a.role, a.state).to_lowercase()
    };
    manifest.authorities.iter().map(describe).collect()
}

fn witnesses(manifest: &Manifest) -> Vec<String> {
    let describe = |w: &careweave_certs::manifest::WitnessAssignment| {
        let names: Vec<&str> = w.witnesses.iter().map(OdsCode::as_str).collect();
        format!("of {}: {}", w.ods, names.join(" "))
    };
    manifest.witnesses.iter().map(describe).collect()
}
