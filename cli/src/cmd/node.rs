//! `careweave node status`, `careweave node peers` and `careweave node doctor`: the own running node.

pub mod doctor;

use careweave_protocol::desk::{DeskReply, DeskRequest, NodeStatus, PeerLine, RotationLine};
use careweave_protocol::time::Timestamp;
use serde_json::{Value, json};

use crate::args::Output;
use crate::cmd::node_init::shown_peer_id;
use crate::context::Context;
use crate::desk::{Desk, DeskError};
use crate::error::{CliError, exit};

/// `careweave node status`.
///
/// # Errors
/// When the node cannot be asked.
pub async fn status(ctx: &mut Context) -> Result<u8, CliError> {
    let desk = Desk::open(ctx).await?;
    let DeskReply::Status(status) = desk.reply(&DeskRequest::Status).await? else {
        return Err(DeskError::Unexpected.into());
    };
    desk.close().await;
    match ctx.output {
        Output::Json => ctx.printer.json(&status_json(&status))?,
        Output::Table => {
            for (name, value) in status_lines(&status) {
                ctx.printer.line(&format!("{name:<20}{value}"))?;
            }
        }
    }
    Ok(exit::DONE)
}

/// `careweave node peers`.
///
/// # Errors
/// When the node cannot be asked.
pub async fn peers(ctx: &mut Context) -> Result<u8, CliError> {
    let desk = Desk::open(ctx).await?;
    let DeskReply::Peers(peers) = desk.reply(&DeskRequest::Peers).await? else {
        return Err(DeskError::Unexpected.into());
    };
    desk.close().await;
    match ctx.output {
        // The field names of the reply are the stable ones.
        Output::Json => ctx.printer.json(&peers)?,
        Output::Table => {
            ctx.printer.table(&PEER_COLUMNS, &peers.iter().map(peer_row).collect::<Vec<_>>())?;
        }
    }
    Ok(exit::DONE)
}

fn status_lines(status: &NodeStatus) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("organisation", format!("{} {}", status.ods, status.name)),
        ("network", status.network.to_string()),
        ("version", status.version.clone()),
        ("started", status.started.rfc3339()),
        ("clock", status.now.rfc3339()),
        ("manifest", format!("{} (until {})", status.manifest_version, status.manifest_expires.rfc3339())),
        ("beacon", status.beacon_age.map_or_else(|| "never seen".to_owned(), |age| format!("{age} s old"))),
        ("members", format!("{} ({} connected)", status.members, status.connected)),
        ("certificate until", status.certificate_expires.rfc3339()),
        ("binding until", status.binding_expires.rfc3339()),
        ("peer id", status.peer_id.clone()),
        ("listens", status.listen.join(" ")),
        ("desk peer id", status.desk_peer_id.clone()),
        ("desk listens", status.desk_listen.join(" ")),
        ("audit log", format!("{} entries", status.log_size)),
        ("data to", status.data_to.map_or_else(|| "not stated".to_owned(), Timestamp::rfc3339)),
        ("outbox", format!("{} waiting", status.outbox)),
    ];
    lines.extend(status.rotations.iter().map(|line| (line.part.as_str(), rotation(line))));
    lines.extend(status.warnings.iter().map(|warning| ("WARNING", warning.clone())));
    lines
}

/// Where one key or certificate stands: `prepared, until 2027-01-02T…, next step 2027-01-03T…`.
fn rotation(line: &RotationLine) -> String {
    let mut said = line.state.as_str().to_owned();
    for (name, at) in [("until", line.until), ("next step", line.next_step)] {
        if let Some(at) = at {
            said.push_str(&format!(", {name} {}", at.rfc3339()));
        }
    }
    said
}

/// The fields of the status under their own names, times as RFC 3339.
fn status_json(status: &NodeStatus) -> Value {
    json!({
        "ods": status.ods,
        "name": status.name,
        "network": status.network,
        "version": status.version,
        "started": status.started.rfc3339(),
        "now": status.now.rfc3339(),
        "manifest_version": status.manifest_version,
        "manifest_expires": status.manifest_expires.rfc3339(),
        "beacon_age": status.beacon_age,
        "members": status.members,
        "connected": status.connected,
        "certificate_expires": status.certificate_expires.rfc3339(),
        "binding_expires": status.binding_expires.rfc3339(),
        "rotations": status.rotations.iter().map(|line| json!({
            "part": line.part,
            "state": line.state,
            "until": line.until.map(Timestamp::rfc3339),
            "next_step": line.next_step.map(Timestamp::rfc3339),
        })).collect::<Vec<_>>(),
        "peer_id": status.peer_id,
        "listen": status.listen,
        "desk_peer_id": status.desk_peer_id,
        "desk_listen": status.desk_listen,
        "log_size": status.log_size,
        "log_keys": status.log_keys.iter().filter_map(|key| shown_peer_id(*key).ok()).collect::<Vec<_>>(),
        "data_to": status.data_to.map(Timestamp::rfc3339),
        "outbox": status.outbox,
        "warnings": status.warnings,
    })
}

fn peer_row(peer: &PeerLine) -> Vec<String> {
    vec![
        peer.ods.to_string(),
        peer.name.clone(),
        if peer.connected { "connected" } else { "not connected" }.to_owned(),
        peer.skew.map_or_else(String::new, |skew| format!("{skew:+} s")),
        peer.addresses.join(" "),
        peer.cause.clone().unwrap_or_default(),
    ]
}

const PEER_COLUMNS: [&str; 6] = ["ODS", "NAME", "STATE", "CLOCK", "ADDRESSES", "LAST FAILURE"];
