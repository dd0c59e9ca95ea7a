//! Whom to ask: every member of a record-holding kind, at most [`FAN_OUT_MAX`]; everybody else is listed with the reason.

use std::time::Duration;

use careweave_certs::manifest::{MemberKind, RolloutStage};
use careweave_protocol::id::OdsCode;
use careweave_protocol::limits::FAN_OUT_MAX;
use careweave_protocol::query::completeness::NotAsked;
use careweave_protocol::time::Timestamp;

use super::Own;
use crate::net::directory::Known;
use crate::services::Services;

/// The longest a person may let a view wait.
pub const LONGEST_DEADLINE: Duration = Duration::from_secs(60);

/// One member of the manifest, as a view lists it.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The member.
    pub ods: OdsCode,
    /// Its name.
    pub name: String,
    /// Whether its name would tell where a patient lives (a practice, a home, a council, a pharmacy).
    pub local: bool,
    /// Whom to ring.
    pub duty_contact: Option<String>,
    /// Why it is not asked, when it is not.
    pub not_asked: Option<NotAsked>,
}

/// Whom one view asks.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Every member, in the order of their codes.
    pub members: Vec<Listed>,
    /// Those asked, with where they are when that is known.
    pub asked: Vec<(OdsCode, Option<Known>)>,
    /// The manifest the list is from.
    pub manifest_version: u64,
}

/// Whether the name of such a member would tell where its patients live.
#[must_use]
pub fn is_local(kind: MemberKind) -> bool {
    !matches!(kind, MemberKind::Acute | MemberKind::MentalHealth | MemberKind::Ambulance)
}

/// Makes the plan for one view.
#[must_use]
pub fn plan(services: &Services, question: &Own, now: Timestamp) -> Plan {
    let trust = services.trust();
    let manifest = trust.manifest();
    let group = question.credential.get().group;
    let sees_nothing = services.role(group, question.query.get().purpose).sees_nothing;
    let mut plan = Plan { members: Vec::new(), asked: Vec::new(), manifest_version: manifest.version };
    let mut members: Vec<_> = manifest.members.iter().collect();
    members.sort_by(|a, b| a.ods.cmp(&b.ods));
    for member in members {
        let own = member.ods == services.config.ods;
        let not_asked = if own {
            None
        } else if !member.kind.holds_records() {
            Some(NotAsked::HoldsNoRecords)
        } else if trust.is_suspended(&member.ods, None, now) {
            Some(NotAsked::Suspended)
        } else if member.stage == RolloutStage::Planned {
            Some(NotAsked::NotLive)
        } else if sees_nothing {
            Some(NotAsked::RoleSeesNothing)
        } else if plan.asked.len() >= FAN_OUT_MAX {
            Some(NotAsked::FanOutLimit)
        } else {
            None
        };
        let known = services.directory.get(&member.ods, now);
        let duty_contact = known
            .as_ref()
            .map(|k| k.duty_contact.clone())
            .filter(|c| !c.is_empty())
            .or_else(|| Some(member.duty_contact.clone()).filter(|c| !c.is_empty()));
        if !own && not_asked.is_none() {
            plan.asked.push((member.ods.clone(), known));
        }
        plan.members.push(Listed {
            ods: member.ods.clone(),
            name: member.name.clone(),
            local: is_local(member.kind),
            duty_contact,
            not_asked,
        });
    }
    plan
}
