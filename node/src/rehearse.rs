//! Would the others follow? Every member is asked what it would make of a hello; nothing is changed by asking.

use std::sync::Arc;

use careweave_certs::manifest::RolloutStage;
use careweave_protocol::desk::MemberVerdict;
use careweave_protocol::directory::Verdict;
use careweave_protocol::id::OdsCode;
use careweave_protocol::identity::NodeHello;
use careweave_protocol::limits::FAN_OUT_MAX;
use careweave_protocol::query::Cause;
use futures::stream::{self, StreamExt};

use crate::net::directory;
use crate::net::gate::Session;
use crate::net::peers::PeerEnd;
use crate::services::{Refusal, Services};
use crate::upkeep::connect;

/// Asks every other member about this hello, or about what the node is now. In the order of their codes.
pub async fn ask_all(services: &Arc<Services>, candidate: Option<NodeHello>) -> Vec<MemberVerdict> {
    let end = services.peers.current();
    let hello = candidate.or_else(|| services.hello(end.node()));
    let members: Vec<(OdsCode, String)> = {
        let trust = services.trust();
        let others = trust.manifest().members.iter().filter(|m| m.ods != services.config.ods);
        others.map(|m| (m.ods.clone(), m.name.clone())).collect()
    };
    let asked = stream::iter(members)
        .map(|(ods, name)| ask_one(services, &end, ods, name, hello.clone()))
        .buffered(FAN_OUT_MAX)
        .collect();
    asked.await
}

async fn ask_one(
    services: &Arc<Services>,
    end: &PeerEnd,
    ods: OdsCode,
    name: String,
    hello: Option<NodeHello>,
) -> MemberVerdict {
    let mut said = MemberVerdict {
        ods,
        name,
        reached: false,
        refused: None,
        lapses: Vec::new(),
        skew: None,
        manifest_version: None,
        remarks: Vec::new(),
    };
    let now = services.clock.now();
    let not_waited_for = {
        let trust = services.trust();
        let planned = trust.member(&said.ods).is_some_and(|member| member.stage == RolloutStage::Planned);
        match (trust.is_suspended(&said.ods, None, now), planned) {
            (true, _) => Some(format!("{}: not asked", Cause::Suspended)),
            (_, true) => Some(format!("{}: not asked", Cause::NotLive(RolloutStage::Planned.as_str().to_owned()))),
            _ => None,
        }
    };
    if let Some(remark) = not_waited_for {
        said.remarks.push(remark);
        return said;
    }
    let (Some(known), Some(hello)) = (services.directory.get(&said.ods, now), hello) else {
        said.remarks.push("no address is known".to_owned());
        return said;
    };
    // What was refused some time ago is not what would be said today.
    if !end.gate.handle.is_admitted(known.peer) {
        services.note_refusal(known.peer, None);
    }
    let Some(peer) = connect(end, known.peer, known.addresses).await else {
        match services.refusal(&known.peer) {
            // It answered, with a refusal: that is a verdict too.
            Some(Refusal::Theirs(cause)) => {
                said.reached = true;
                said.skew = skew_of(&cause).map(|seconds| -seconds);
                said.refused = Some(cause);
            }
            Some(Refusal::Ours(cause)) => {
                said.skew = skew_of(&cause);
                said.remarks.push(format!("we refuse it: {cause}"));
                said.refused = Some(cause);
            }
            None => said.remarks.push("not reached".to_owned()),
        }
        return said;
    };
    // Somebody else may live at that address by now.
    let theirs = matches!(end.gate.sessions.get(&peer), Some(Session::Node(node)) if *node.identity.ods() == said.ods);
    if !theirs {
        said.remarks.push("another organisation answers at its address".to_owned());
        return said;
    }
    match directory::rehearse(end, peer, hello).await {
        Ok(verdict) => judged(services, said, verdict),
        Err(error) => {
            said.remarks.push(format!("did not say: {error}"));
            said
        }
    }
}

fn judged(services: &Services, mut said: MemberVerdict, verdict: Verdict) -> MemberVerdict {
    let Verdict { refused, lapses, clock, manifest_version, .. } = verdict;
    let own = services.trust().version();
    if manifest_version < own {
        said.remarks.push(format!("MANIFEST_OLD {manifest_version}<{own}"));
    } else if manifest_version > own {
        said.remarks.push(format!("it holds a newer manifest: {manifest_version}>{own}"));
    }
    said.reached = true;
    said.skew = Some(clock.0.saturating_sub(services.clock.now().0) / 1000);
    said.refused = refused;
    said.lapses = lapses;
    said.manifest_version = Some(manifest_version);
    said
}

/// How far the caller's clock is ahead, in a refusal for that.
fn skew_of(cause: &Cause) -> Option<i64> {
    match cause {
        Cause::ClockSkew(seconds) => Some(*seconds),
        _ => None,
    }
}

/// Whether a rotation would leave this member behind: it refuses, was not reached, or holds an older manifest than we do. Nobody is waited for
/// who is suspended or not yet in use.
#[must_use]
pub fn stands_in_the_way(verdict: &MemberVerdict) -> bool {
    let says = |name: &str| verdict.remarks.iter().any(|remark| remark.starts_with(name));
    let waited_for = !(says("SUSPENDED") || says("NOT_LIVE"));
    waited_for && (verdict.refused.is_some() || !verdict.reached || says("MANIFEST_OLD"))
}
