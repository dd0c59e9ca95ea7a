//! To whom a record was sent, for the O cells of the access table: organisations that a referral, task, message, meeting or care team
//! names, on that record, on what it carries, and on the Patient it is about.
//!
//! Nothing is looked for by scanning. Every record that names organisations (here: a carrier) leaves a row of what it carries; every
//! record's name has a row that counts by how many carriers each organisation was given it. So the order of arrival does not matter, and
//! a carrier that is revoked, or names less than before, takes back exactly what it gave. All rows are sealed under the patient's key.

use careweave_protocol::cbor;
use careweave_protocol::id::OdsCode;
use careweave_protocol::record::Header;
use careweave_protocol::time::{PartialDate, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::filing::{Filing, Item};
use super::scope::Scope;
use super::subject::organisation;
use crate::store::database::{Family, StoreError};
use crate::store::element::{codings, items, text};
use crate::store::extract::{self, EPISODE_KIND};
use crate::store::patients::{OpenPatient, PatientKey, Rows as _};
use crate::store::records::index_key;
use crate::store::references::{Alias, Literal, Pointer};
use crate::store::seal::SealingKey;

/// What a carrier left behind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Carrier {
    /// Organisations it names, while it stands.
    to: Vec<OdsCode>,
    /// Blinded names of the records it carries.
    carries: Vec<[u8; 16]>,
    /// Blinded names of carriers by which it goes where they go: the care teams of a care plan.
    joins: Vec<[u8; 16]>,
    /// Blinded ids of records that go where this one goes.
    joined: Vec<[u8; 16]>,
}

/// How many carriers gave a record to each organisation.
type Counts = Vec<(OdsCode, u32)>;

/// What is counted up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Give,
    TakeBack,
}

/// Where a record stands: whose it is, and the key to their rows.
#[derive(Clone, Copy)]
struct Owner<'a> {
    key: PatientKey,
    data_key: &'a SealingKey,
}

/// Organisations a record was sent to, when it is filed, and the own code first. What it carries learns of it, and it of what carries it.
pub(super) fn sent_to(
    filing: &mut Filing,
    item: &Item<'_>,
    scope: &Scope<'_>,
    place: &[u8; 16],
) -> Result<Vec<OdsCode>, StoreError> {
    if item.owner == PatientKey::ORGANISATION {
        return Ok(Vec::new());
    }
    let owner = Owner { key: item.owner, data_key: item.data_key };
    let names = CARRIERS.contains(&item.kind);
    let mut said = if names { says(filing, item, scope)? } else { Carrier::default() };
    if !filing.carries() && said == Carrier::default() {
        return Ok(Vec::new());
    }
    let url = scope.full_url.filter(|url| url.starts_with("urn:")).map(|url| Alias::Url(url).key(filing.keys()));
    if let Some(url) = url {
        take_over(filing, owner, &url, place)?;
    }
    if names {
        let before: Carrier = row(filing, owner, &carrier_key(filing, owner, place))?;
        said.joined.clone_from(&before.joined);
        if said != before {
            carry(filing, owner, item.patient, place, &before, &said)?;
        }
    }
    let mut found = listed(filing, owner, &name_key(filing, owner, place), &said.to)?;
    if item.kind == "Patient" {
        found = listed(filing, owner, &about_key(filing, owner), &found)?;
    }
    Ok(found)
}

/// Takes back what a record gave while it was another patient's.
pub(super) fn withdraw(filing: &mut Filing, owner: &PatientKey, place: &[u8; 16]) -> Result<(), StoreError> {
    if !filing.carries() {
        return Ok(());
    }
    let Some(patient) = filing.patient(owner)? else { return Ok(()) };
    let owner = Owner { key: *owner, data_key: &patient.data_key };
    let before: Carrier = row(filing, owner, &carrier_key(filing, owner, place))?;
    let after = Carrier { joined: before.joined.clone(), ..Carrier::default() };
    if before == after { Ok(()) } else { carry(filing, owner, Some(&patient), place, &before, &after) }
}

/// Whether a record names this organisation itself.
pub(super) fn names_own(filing: &mut Filing, item: &Item<'_>, scope: &Scope<'_>) -> Result<bool, StoreError> {
    for reference in named_by(item.resource, item.kind, filing.now) {
        if organisation(filing, reference, item.resource, scope)?.is_some_and(|ods| ods == filing.own) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What a carrier says: whom it names, and what it carries for them.
fn says(filing: &mut Filing, item: &Item<'_>, scope: &Scope<'_>) -> Result<Carrier, StoreError> {
    let resource = item.resource;
    let mut carrier = Carrier::default();
    if extract::status(resource).is_some_and(|status| TAKEN_BACK.contains(&status.as_str())) {
        return Ok(carrier);
    }
    if item.kind == "CarePlan" {
        carrier.joins =
            items(resource, "careTeam").filter_map(|team| named(filing, team, resource)).take(CARRIED).collect();
    }
    for reference in named_by(resource, item.kind, filing.now) {
        if let Some(ods) = organisation(filing, reference, resource, scope)?
            && !carrier.to.contains(&ods)
        {
            carrier.to.push(ods);
        }
    }
    carrier.to = bounded(filing, carrier.to);
    if !carrier.to.is_empty() {
        let carried = carried_by(resource, item.kind).into_iter();
        carrier.carries = carried.filter_map(|reference| named(filing, reference, resource)).take(CARRIED).collect();
        carrier.carries.sort_unstable();
        carrier.carries.dedup();
    }
    Ok(carrier)
}

/// References to those whom a carrier is for. Whoever is no member of a care team any more was one, and reads on nothing of it; that is
/// known as of the import, so an end yet to come counts when the record is imported again.
fn named_by<'a>(resource: &'a Value, kind: &str, now: Timestamp) -> Vec<&'a Value> {
    let direct = |names: &'static [&'static str]| names.iter().flat_map(|name| items(resource, name));
    let inside = |list: &'static str, names: &'static [&'static str]| {
        items(resource, list).flat_map(|entry| names.iter().flat_map(|name| items(entry, name)))
    };
    match kind {
        "ServiceRequest" => direct(&["performer", "requester"]).collect(),
        "Task" => direct(&["owner", "requester"]).collect(),
        "Communication" => direct(&["recipient"]).collect(),
        "Appointment" => items(resource, "participant")
            .filter(|participant| text(participant, "status") != Some("declined"))
            .flat_map(|participant| items(participant, "actor"))
            .collect(),
        "CareTeam" if has_ended(resource, now) => Vec::new(),
        "CareTeam" => {
            let members = items(resource, "participant").filter(|participant| !has_ended(participant, now));
            let named = members.flat_map(|member| ["member", "onBehalfOf"].iter().flat_map(|name| items(member, name)));
            direct(&["managingOrganization"]).chain(named).collect()
        }
        "CarePlan" => items(resource, "contained")
            .filter(|team| text(team, "resourceType") == Some("CareTeam"))
            .filter(|team| text(team, "status").is_none_or(|status| !TAKEN_BACK.contains(&status)))
            .flat_map(|team| named_by(team, "CareTeam", now))
            .collect(),
        "Encounter" if is_meeting(resource) => {
            direct(&["serviceProvider"]).chain(inside("participant", &["individual"])).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether its period is over.
fn has_ended(element: &Value, now: Timestamp) -> bool {
    let end = element.get("period").and_then(|period| text(period, "end")).and_then(PartialDate::parse);
    end.is_some_and(|end| end.until <= now)
}

/// References to what a carrier carries.
fn carried_by<'a>(resource: &'a Value, kind: &str) -> Vec<&'a Value> {
    match kind {
        "ServiceRequest" => items(resource, "supportingInfo").collect(),
        "Task" => {
            let inputs = items(resource, "input").flat_map(|input| items(input, "valueReference"));
            items(resource, "focus").chain(inputs).collect()
        }
        "Communication" => items(resource, "payload").flat_map(|payload| items(payload, "contentReference")).collect(),
        "Appointment" => items(resource, "supportingInformation").collect(),
        _ => Vec::new(),
    }
}

fn is_meeting(encounter: &Value) -> bool {
    codings(encounter, "type").any(|(system, code, _)| system == EPISODE_KIND && code == "meeting")
}

/// The blinded name by which a record is referred to.
fn named(filing: &Filing, reference: &Value, resource: &Value) -> Option<[u8; 16]> {
    let alias = match Pointer::read(reference, resource).literal? {
        Literal::Relative(kind, id) | Literal::Absolute(_, kind, id) => Alias::Record { kind, id },
        Literal::Urn(url) => Alias::Url(url),
    };
    Some(alias.key(filing.keys()))
}

/// Makes the difference between what a carrier said and what it says.
fn carry(
    filing: &mut Filing,
    owner: Owner<'_>,
    patient: Option<&OpenPatient>,
    place: &[u8; 16],
    before: &Carrier,
    after: &Carrier,
) -> Result<(), StoreError> {
    filing.note_carrier();
    // Headers are read from the database, so what was about to be written goes first. Nothing of this record is among it: its rows and
    // the headers it changes are in one batch.
    filing.writer.commit()?;
    let mut touched = Vec::new();
    for (carrier, change) in [(after, Change::Give), (before, Change::TakeBack)] {
        for name in &carrier.carries {
            let target = filing.place_of(name)?;
            count(filing, owner, &name_key(filing, owner, &target), &carrier.to, change)?;
            touched.push(target);
        }
        for joined in &carrier.joined {
            count(filing, owner, &name_key(filing, owner, joined), &carrier.to, change)?;
            touched.push(*joined);
        }
    }
    for (these, others, change) in
        [(&after.joins, &before.joins, Change::Give), (&before.joins, &after.joins, Change::TakeBack)]
    {
        for name in these.iter().filter(|name| !others.contains(name)) {
            let team = filing.place_of(name)?;
            join(filing, owner, &team, place, change)?;
        }
    }
    let about = about_key(filing, owner);
    let known = listed(filing, owner, &about, &[])?;
    count(filing, owner, &about, &after.to, Change::Give)?;
    count(filing, owner, &about, &before.to, Change::TakeBack)?;
    if listed(filing, owner, &about, &[])? != known {
        touched.extend(patient.into_iter().flat_map(|patient| &patient.marks.registrations).map(|r| r.place));
    }
    put(filing, owner, &carrier_key(filing, owner, place), after)?;
    touched.sort_unstable();
    touched.dedup();
    touched.retain(|target| target != place);
    for target in touched {
        refresh(filing, owner, &target)?;
    }
    Ok(())
}

/// A record goes where a carrier goes, or no longer.
fn join(
    filing: &mut Filing,
    owner: Owner<'_>,
    team: &[u8; 16],
    place: &[u8; 16],
    change: Change,
) -> Result<(), StoreError> {
    let key = carrier_key(filing, owner, team);
    let mut carrier: Carrier = row(filing, owner, &key)?;
    let there = carrier.joined.contains(place);
    match change {
        Change::Give if !there && carrier.joined.len() < CARRIED => carrier.joined.push(*place),
        Change::TakeBack if there => carrier.joined.retain(|joined| joined != place),
        _ => return Ok(()),
    }
    count(filing, owner, &name_key(filing, owner, place), &carrier.to, change)?;
    put(filing, owner, &key, &carrier)
}

/// A record arrived that was known by the `urn:` of its entry only: what was counted there is its own.
fn take_over(filing: &mut Filing, owner: Owner<'_>, url: &[u8; 16], place: &[u8; 16]) -> Result<(), StoreError> {
    let (from, to) = (name_key(filing, owner, url), name_key(filing, owner, place));
    let mut waiting: Counts = row(filing, owner, &from)?;
    if !waiting.is_empty() {
        let mut there: Counts = row(filing, owner, &to)?;
        there.append(&mut waiting);
        put(filing, owner, &from, &waiting)?;
        put(filing, owner, &to, &merged(there))?;
    }
    let (from, to) = (carrier_key(filing, owner, url), carrier_key(filing, owner, place));
    let waiting: Carrier = row(filing, owner, &from)?;
    if !waiting.joined.is_empty() {
        put(filing, owner, &from, &Carrier::default())?;
        let mut there: Carrier = row(filing, owner, &to)?;
        there.joined.extend(waiting.joined);
        put(filing, owner, &to, &there)?;
    }
    Ok(())
}

/// Writes the header of a record that is here anew, where its organisations changed.
fn refresh(filing: &mut Filing, owner: Owner<'_>, place: &[u8; 16]) -> Result<(), StoreError> {
    let Some(known) = filing.known(place)?.filter(|known| known.owner == owner.key) else { return Ok(()) };
    let key = index_key(&owner.key, known.category, known.reversed, place);
    let database = filing.rows().database();
    let Some(sealed) = database.get(Family::Index, &key)? else { return Ok(()) };
    let mut header: Header = cbor::from_own(&owner.data_key.open(Family::Index, &key, sealed)?)?;
    let carrier: Carrier = row(filing, owner, &carrier_key(filing, owner, place))?;
    let mut sent_to = listed(filing, owner, &name_key(filing, owner, place), &carrier.to)?;
    if header.resource_type == "Patient" {
        sent_to = listed(filing, owner, &about_key(filing, owner), &sent_to)?;
    }
    if header.sent_to != sent_to {
        header.sent_to = sent_to;
        filing.put_header(&owner.key, owner.data_key, place, &header)?;
    }
    Ok(())
}

fn count(
    filing: &mut Filing,
    owner: Owner<'_>,
    key: &[u8; 16],
    to: &[OdsCode],
    change: Change,
) -> Result<(), StoreError> {
    if to.is_empty() {
        return Ok(());
    }
    let mut counts: Counts = row(filing, owner, key)?;
    for ods in to {
        match (counts.iter_mut().find(|(known, _)| known == ods), change) {
            (Some((_, count)), Change::Give) => *count = count.saturating_add(1),
            (Some((_, count)), Change::TakeBack) => *count = count.saturating_sub(1),
            (None, Change::Give) => counts.push((ods.clone(), 1)),
            (None, Change::TakeBack) => {}
        }
    }
    counts.retain(|(_, count)| *count > 0);
    put(filing, owner, key, &counts)
}

fn merged(counts: Counts) -> Counts {
    let mut out: Counts = Vec::with_capacity(counts.len());
    for (ods, more) in counts {
        match out.iter_mut().find(|(known, _)| *known == ods) {
            Some((_, count)) => *count = count.saturating_add(more),
            None => out.push((ods, more)),
        }
    }
    out
}

/// The organisations of a row of counts, and these.
fn listed(filing: &Filing, owner: Owner<'_>, key: &[u8; 16], and: &[OdsCode]) -> Result<Vec<OdsCode>, StoreError> {
    let counts: Counts = row(filing, owner, key)?;
    Ok(bounded(filing, counts.into_iter().map(|(ods, _)| ods).chain(and.iter().cloned()).collect()))
}

/// The own code first, then by code, so that the same organisations are kept whatever came first.
fn bounded(filing: &Filing, mut found: Vec<OdsCode>) -> Vec<OdsCode> {
    found.sort_by(|a, b| (*a != filing.own, a).cmp(&(*b != filing.own, b)));
    found.dedup();
    found.truncate(SENT_TO);
    found
}

fn row<T: DeserializeOwned + Serialize + Default>(
    filing: &Filing,
    owner: Owner<'_>,
    key: &[u8; 16],
) -> Result<T, StoreError> {
    match filing.rows().row(Family::Sent, key)? {
        Some(sealed) => Ok(cbor::from_own(&owner.data_key.open(Family::Sent, key, sealed)?)?),
        None => Ok(T::default()),
    }
}

fn put<T: Serialize>(filing: &mut Filing, owner: Owner<'_>, key: &[u8; 16], value: &T) -> Result<(), StoreError> {
    let sealed = owner.data_key.seal(Family::Sent, key, &cbor::to_vec(value)?)?;
    filing.writer.put(Family::Sent, key, sealed)
}

fn name_key(filing: &Filing, owner: Owner<'_>, name: &[u8; 16]) -> [u8; 16] {
    filing.keys().blind("sent", &[name, owner.key.as_bytes()])
}

fn about_key(filing: &Filing, owner: Owner<'_>) -> [u8; 16] {
    filing.keys().blind("sent about", &[owner.key.as_bytes()])
}

fn carrier_key(filing: &Filing, owner: Owner<'_>, place: &[u8; 16]) -> [u8; 16] {
    filing.keys().blind("carrier", &[place, owner.key.as_bytes()])
}

/// Types that name organisations they are for.
const CARRIERS: [&str; 7] =
    ["ServiceRequest", "Task", "Communication", "Appointment", "CareTeam", "CarePlan", "Encounter"];
/// Statuses of those types in which nothing was sent, or what was sent is taken back. What was completed stays sent.
const TAKEN_BACK: [&str; 9] = [
    "draft",
    "proposed",
    "preparation",
    "not-done",
    "revoked",
    "rejected",
    "cancelled",
    "inactive",
    "entered-in-error",
];
/// Organisations in one header: a multidisciplinary meeting has a dozen; each costs every header about ten bytes.
const SENT_TO: usize = 16;
/// Records one carrier carries: a referral has a few dozen enclosures; past this they are kept to those who may read them anyhow.
const CARRIED: usize = 256;

#[cfg(test)]
mod tests;
