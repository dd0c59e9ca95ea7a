//! What people ask of their node about the network and the node itself: its state, its members, governance documents, its keys.

use std::collections::BTreeSet;
use std::sync::Arc;

use careweave_certs::rotation::Stage;
use careweave_certs::{layout, staff};
use careweave_protocol::desk::{
    DeskReply, GovernanceDocument, NodeStatus, PeerLine, RotationLine, RotationOrder, RotationPart,
};
use careweave_protocol::id::OdsCode;
use careweave_protocol::identity::StaffCredential;
use careweave_protocol::signed::Signed;
use careweave_protocol::time::Timestamp;
use serde_bytes::ByteBuf;

use super::{blocking, failed};
use crate::ask::fetch::is_connected;
use crate::net::gate::{Session, StaffSession};
use crate::own;
use crate::rotate;
use crate::services::Services;
use crate::store::records;

/// What the person's own trust lacks, and their credential where the employer has renewed it.
pub(super) async fn trust(
    services: &Arc<Services>,
    session: &StaffSession,
    version: u64,
) -> Result<DeskReply, DeskReply> {
    let documents = services.documents_after(version);
    let held = session.credential.get().clone();
    let path = services.config.dir.join(layout::RENEWED).join(staff::renewed_name(&held.person));
    let renewed = tokio::task::spawn_blocking(move || std::fs::read(path).ok()).await.map_err(failed)?;
    let renewed = renewed.and_then(|bytes| Signed::<StaffCredential>::from_bytes(bytes).ok());
    // Whether it holds is for the person's own command line to verify; here only that it is theirs, and newer.
    let credential = renewed.filter(|signed| {
        signed.unverified().is_ok_and(|claim| {
            claim.person == held.person && claim.key == held.key && claim.not_before > held.not_before
        })
    });
    Ok(DeskReply::Trust { documents, credential })
}

pub(super) fn status(services: &Services, now: Timestamp) -> Result<DeskReply, DeskReply> {
    let (manifest_version, beacon_age) = services.trust_age(now);
    // Read once and let go: a second read while a writer waits would wait for ever.
    let (manifest_expires, members) = {
        let trust = services.trust();
        (trust.manifest().expires, trust.manifest().members.len())
    };
    let own = services.own();
    let end = services.peers.current();
    let connected: BTreeSet<OdsCode> = services
        .peers
        .all()
        .iter()
        .flat_map(|end| end.gate.sessions.all())
        .filter_map(|(_, session)| match session {
            Session::Node(node) => Some(node.identity.ods().clone()),
            Session::Staff(_) => None,
        })
        .collect();
    let texts = |addresses: Vec<libp2p::Multiaddr>| addresses.iter().map(ToString::to_string).collect();
    Ok(DeskReply::Status(Box::new(NodeStatus {
        ods: services.config.ods.clone(),
        name: services.config.name.clone(),
        network: services.config.network.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: services.started,
        now,
        manifest_version,
        manifest_expires,
        beacon_age,
        members: u32::try_from(members).unwrap_or(u32::MAX),
        connected: u32::try_from(connected.len()).unwrap_or(u32::MAX),
        certificate_expires: own.identity().certificate().not_after(),
        binding_expires: own.binding_expires(),
        rotations: rotations(services),
        log_keys: own::read_list(&services.config.dir, layout::LOG_KEYS).unwrap_or_default(),
        peer_id: end.gate.handle.local_peer().to_string(),
        listen: texts(end.gate.handle.listen_addresses()),
        desk_peer_id: services.desk.handle.local_peer().to_string(),
        desk_listen: texts(services.desk.handle.listen_addresses()),
        log_size: services.audit.size(),
        data_to: records::data_to(&services.database).map_err(failed)?,
        outbox: crate::delivery::waiting(services).map_err(failed)?,
        warnings: crate::upkeep::warnings(services, now),
    })))
}

pub(super) fn peers(services: &Services, now: Timestamp) -> Result<DeskReply, DeskReply> {
    let trust = services.trust();
    let members = trust.manifest().members.iter().filter(|m| m.ods != services.config.ods);
    let line = |member: &careweave_certs::manifest::Member| {
        let known = services.directory.get(&member.ods, now);
        let ends = services.peers.all();
        let session = known.as_ref().and_then(|k| ends.iter().find_map(|end| end.gate.sessions.get(&k.peer)));
        PeerLine {
            ods: member.ods.clone(),
            name: member.name.clone(),
            peer_id: known.as_ref().map(|k| k.peer.to_string()),
            addresses: known.iter().flat_map(|k| &k.addresses).map(ToString::to_string).collect(),
            connected: known.as_ref().is_some_and(|k| is_connected(services, k)),
            skew: match session {
                Some(Session::Node(node)) => Some(node.identity.clock_ahead()),
                _ => None,
            },
            cause: known.as_ref().and_then(|k| services.refusal(&k.peer)).map(|c| c.to_string()),
        }
    };
    Ok(DeskReply::Peers(members.map(line).collect()))
}

pub(super) async fn publish(
    services: &Arc<Services>,
    person: &StaffCredential,
    document: GovernanceDocument,
) -> Result<DeskReply, DeskReply> {
    let kind = match &document {
        GovernanceDocument::Manifest(_) => "manifest",
        GovernanceDocument::Suspension(_) => "suspension",
        GovernanceDocument::StaffRevocation { .. } => "staff-revocation",
        GovernanceDocument::Beacon(_) => "beacon",
        GovernanceDocument::Endorsement(_) => "endorsement",
    };
    let new = match services.take_in(&document).await {
        Ok(new) => new,
        Err(error) => {
            // What somebody tried to have believed is worth keeping in mind: a fork is signed by officers.
            services.admin("publish-refused", Some(person), format!("{kind}: {error}")).await;
            return Err(failed(error));
        }
    };
    let outcome = if new { "taken in" } else { "already known" };
    services.admin("published", Some(person), format!("{kind}: {outcome}")).await;
    Ok(DeskReply::Published(outcome.to_owned()))
}

/// One step of a rotation, or its rehearsal.
pub(super) async fn rotate(
    services: &Arc<Services>,
    person: &StaffCredential,
    order: RotationOrder,
) -> Result<DeskReply, DeskReply> {
    match rotate::order(services, Some(person), order).await {
        Ok(report) => Ok(DeskReply::Rotation(Box::new(report))),
        Err(error) => Err(DeskReply::NotDone { why: error.to_string(), hint: error.hint().to_owned() }),
    }
}

/// Some of the receipts of others' answers.
pub(super) async fn receipts(services: &Arc<Services>, from: Option<ByteBuf>) -> Result<DeskReply, DeskReply> {
    let services = Arc::clone(services);
    let read = move || crate::delivery::receipts(&services, from.as_ref().map(|key| key.as_slice()));
    blocking(read).await.map(DeskReply::Receipts)
}

/// What came of something that was handed over.
pub(super) fn handed<E: std::fmt::Display>(outcome: Result<String, E>) -> Result<DeskReply, DeskReply> {
    outcome
        .map(DeskReply::Published)
        .map_err(|error| DeskReply::NotDone { why: error.to_string(), hint: "nothing was changed".to_owned() })
}

/// Keys and certificates, and where their rotation stands.
fn rotations(services: &Services) -> Vec<RotationLine> {
    let rotations = own::rotations(&services.config.dir).unwrap_or_default();
    let life = |part| rotate::life(services, part);
    let line = |part: RotationPart| {
        let stage = rotations.0.get(&part);
        RotationLine {
            part,
            state: Stage::state(stage),
            until: life(part).not_after,
            next_step: Stage::next_step(stage, life(part)),
        }
    };
    RotationPart::ALL.map(line).to_vec()
}
