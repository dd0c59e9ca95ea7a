//! What a draft changes, in words that an officer can read before signing.

use std::collections::BTreeMap;

use careweave_certs::authority::AuthorityDetails;
use careweave_certs::manifest::{
    AuthorityCertificate, AuthorityRole, AuthorityState, Manifest, Member, Suspension, SuspensionTarget,
};
use careweave_certs::trust::Trust;
use careweave_protocol::id::{Digest, OdsCode};
use careweave_protocol::signed::MultiSigned;
use serde_json::json;

use super::signatures::{Quorum, Signatures};
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
    changed("issued", before.map(|m| m.issued.rfc3339()), after.issued.rfc3339());
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
    changed("lowest DSPT status", before.map(|m| m.minimum_standard.to_string()), after.minimum_standard.to_string());
    let sets: [(&str, Listed); 7] = [
        ("enrolment service", |m| m.enrolment.iter().map(ToString::to_string).collect()),
        ("officer", |m| m.governance.keys.iter().map(|k| k.spki_hash().to_string()).collect()),
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
    authorities(before, after, &mut lines);
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
    let signatures = Signatures::of(signed, manifest, held)?;
    let digest = signed.statement_digest()?;
    if ctx.output == Output::Json {
        return ctx.printer.json(&json!({
            "network": manifest.network.as_str(),
            "version": manifest.version,
            "digest": digest.to_string(),
            "changes": lines,
            "signed": signatures.own.count(),
            "needed": signatures.own.needed(),
            "signed_by_previous": signatures.previous.as_ref().map(Quorum::count),
            "needed_of_previous": signatures.previous.as_ref().map(Quorum::needed),
            "signatures": signatures.json(),
        }));
    }
    ctx.printer.line(&format!("{} manifest {}, digest {digest}", manifest.network, manifest.version))?;
    for line in lines {
        ctx.printer.line(&format!("  {line}"))?;
    }
    for line in signatures.lines() {
        ctx.printer.line(&line)?;
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

fn authorities(before: Option<&Manifest>, after: &Manifest, lines: &mut Vec<String>) {
    let of = |manifest: Option<&Manifest>| -> BTreeMap<Digest, AuthorityCertificate> {
        let authorities = manifest.map(|m| m.authorities.clone()).unwrap_or_default();
        authorities.into_iter().map(|a| (Digest::of(&[&a.certificate]), a)).collect()
    };
    let (old, new) = (of(before), of(Some(after)));
    for (digest, gone) in old.iter().filter(|(digest, _)| !new.contains_key(*digest)) {
        lines.push(format!("- authority {} {} {digest}", state(gone.state), authority(gone)));
    }
    for (digest, listed) in &new {
        let Some(held) = old.get(digest) else {
            lines.push(format!("+ authority {} {} {digest}", state(listed.state), authority(listed)));
            continue;
        };
        for (before, after) in [(role(held.role), role(listed.role)), (state(held.state), state(listed.state))] {
            if before != after {
                lines.push(format!("~ authority {} {digest}: {before} -> {after}", authority(listed)));
            }
        }
    }
}

/// An authority in words: its role and how long it lives. What its role in the manifest is counts; the certificate is read for its end.
fn authority(authority: &AuthorityCertificate) -> String {
    let until = AuthorityDetails::read(&authority.certificate).map(|a| a.not_after.rfc3339());
    format!("{} until {}", role(authority.role), until.unwrap_or_else(|_| "an end that cannot be read".to_owned()))
}

/// A role as it is typed and shown.
pub(super) fn role(role: AuthorityRole) -> &'static str {
    match role {
        AuthorityRole::Root => "root",
        AuthorityRole::Intermediate => "intermediate",
    }
}

/// A state as it is shown.
pub(super) fn state(state: AuthorityState) -> &'static str {
    match state {
        AuthorityState::Active => "active",
        AuthorityState::Next => "next",
        AuthorityState::Tainted => "tainted",
    }
}

fn witnesses(manifest: &Manifest) -> Vec<String> {
    let describe = |w: &careweave_certs::manifest::WitnessAssignment| {
        let names: Vec<&str> = w.witnesses.iter().map(OdsCode::as_str).collect();
        format!("of {}: {}", w.ods, names.join(" "))
    };
    manifest.witnesses.iter().map(describe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::gov::draft::tests::manifest;

    #[test]
    fn a_change_of_an_authoritys_role_is_shown_and_so_are_its_state_and_the_date_of_issue() {
        let before = manifest(Vec::new());
        let mut after = before.clone();
        assert_eq!(difference(Some(&before), &after), Vec::<String>::new());
        after.issued = before.issued.after(std::time::Duration::from_secs(1));
        let root = after.authorities.first_mut().unwrap();
        root.role = AuthorityRole::Intermediate;
        root.state = AuthorityState::Next;
        let lines = difference(Some(&before), &after);
        let issued = format!("~ issued: {} -> {}", before.issued.rfc3339(), after.issued.rfc3339());
        assert!(lines.contains(&issued), "{lines:?}");
        for shown in [": root -> intermediate", ": active -> next"] {
            assert!(lines.iter().any(|line| line.starts_with("~ authority") && line.ends_with(shown)), "{lines:?}");
        }
        assert_eq!(lines.len(), 3);
    }
}
