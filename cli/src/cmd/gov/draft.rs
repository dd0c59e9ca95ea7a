//! The draft of the next manifest, and `gov admit`. Everything else that changes it is in `propose`.

use std::collections::HashSet;
use std::time::Duration;

use careweave_certs::enrolment::EnrolmentRequest;
use careweave_certs::manifest::{
    BeaconKey, MANIFEST_LIFE, Manifest, ManifestError, Member, RolloutStage, SUSPENSION_LIFE, Suspension,
};
use careweave_certs::trust::Trust;
use careweave_protocol::id::Digest;
use careweave_protocol::key::PublicKey;
use careweave_protocol::limits::SIGNED_MAX;
use careweave_protocol::signed::{MultiSigned, Signed};
use careweave_protocol::time::Timestamp;
use serde_json::json;

use super::office::Office;
use crate::args::Output;
use crate::args::governance::AdmitArgs;
use crate::context::Context;
use crate::error::{CliError, exit};
use crate::profile::read_file;

/// `gov admit`.
///
/// # Errors
/// When a request does not verify or is another network's.
pub(super) fn admit(args: &AdmitArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let (office, now) = (Office::open(&args.office)?, ctx.now());
    let held = office.trust(now)?;
    let mut manifest = drafted(&office, held.as_ref(), now)?;
    let mut admitted = Vec::new();
    for path in &args.requests {
        let signed = Signed::from_bytes(read_file(path, SIGNED_MAX)?)?;
        let request = EnrolmentRequest::verify(&signed)?.into_inner();
        if request.network != manifest.network {
            return Err(CliError::new(
                exit::REFUSED,
                "other-network",
                format!("{} asks to join {}, not {}", path.display(), request.network, manifest.network),
            ));
        }
        admitted.push((request.ods.clone(), request.key()?.spki_hash()));
        let published = held.as_ref().and_then(|trust| trust.member(&request.ods));
        admit_one(&mut manifest, published, &request, (args.stage, args.beacon))?;
    }
    renew(&mut manifest, None, now);
    keep(&office, &manifest)?;
    match ctx.output {
        Output::Json => {
            let admitted: Vec<_> =
                admitted.iter().map(|(ods, key)| json!({"ods": ods.as_str(), "key": key.to_string()})).collect();
            ctx.printer.json(&json!({"version": manifest.version, "admitted": admitted}))?;
        }
        Output::Table => {
            for (ods, key) in &admitted {
                ctx.printer.line(&format!("{ods:<10}organisation key {key}"))?;
            }
            ctx.note("compare each key with what the organisation tells you by another channel");
            ctx.note("next: `gov propose` shows the draft; send draft.cbor to the officers, for `gov sign`");
        }
    }
    Ok(exit::DONE)
}

/// The draft as it stands, or one that changes nothing but version and life.
pub(super) fn drafted(office: &Office, held: Option<&Trust>, now: Timestamp) -> Result<Manifest, CliError> {
    if let Some(draft) = office.draft()? {
        return Ok(draft.unverified()?);
    }
    let mut next = held.map(|trust| trust.manifest().clone()).ok_or_else(|| {
        CliError::failed("draft", "there is neither a manifest nor a draft")
            .hint("`careweave gov init` makes a first draft")
    })?;
    next.version = next.version.saturating_add(1);
    let known = office.suspensions()?;
    let known = known.iter().map(Signed::unverified).collect::<Result<Vec<_>, _>>()?;
    drop_over(&mut next.lifted, &known, now)?;
    renew(&mut next, Some(MANIFEST_LIFE), now);
    Ok(next)
}

/// Somebody new is live unless told; a member stays what it is, in what is not said.
fn admit_one(
    manifest: &mut Manifest,
    published: Option<&Member>,
    request: &EnrolmentRequest,
    (stage, beacon): (Option<RolloutStage>, bool),
) -> Result<(), CliError> {
    let stage = stage.or_else(|| manifest.member(&request.ods).map(|m| m.stage)).unwrap_or(RolloutStage::Live);
    let beacon = beacon || manifest.beacons.iter().any(|b| b.ods == request.ods);
    let mut member = request.member(stage)?;
    match manifest.members.binary_search_by(|m| m.ods.cmp(&member.ods)) {
        Ok(index) => {
            if let Some(held) = manifest.members.get_mut(index) {
                successor(published, held, &mut member);
                *held = member;
            }
        }
        Err(index) => manifest.members.insert(index, member),
    }
    manifest.beacons.retain(|b| b.ods != request.ods);
    if beacon {
        manifest.beacons.push(BeaconKey { ods: request.ods.clone(), key: PublicKey::from(request.beacon) });
    }
    Ok(())
}

/// A lifted suspension stays lifted for as long as it could run: left out sooner it would count again, wherever it is still held. One that is
/// not kept here may still run.
fn drop_over(lifted: &mut Vec<Digest>, known: &[Suspension], now: Timestamp) -> Result<(), CliError> {
    let mut over = HashSet::new();
    for suspension in known.iter().filter(|s| now >= s.from.after(SUSPENSION_LIFE)) {
        over.insert(suspension.digest()?);
    }
    lifted.retain(|digest| !over.contains(digest));
    Ok(())
}

/// A member with a new key keeps the old one until the same request comes again for the manifest after: announced to everybody, then in use.
fn successor(published: Option<&Member>, held: &Member, fresh: &mut Member) {
    let shown = fresh.key.active;
    if held.key.active == shown {
        fresh.key.next = held.key.next;
    } else if published.and_then(|member| member.key.next) != Some(shown) {
        fresh.key.active = held.key.active;
        fresh.key.next = Some(shown);
    }
}

/// A changed draft counts its life from the change, as long as it was meant to be.
pub(super) fn renew(manifest: &mut Manifest, life: Option<Duration>, now: Timestamp) {
    let life = life.unwrap_or_else(|| manifest.expires.since(manifest.issued));
    manifest.issued = now;
    manifest.expires = now.after(life);
}

/// Signatures are over the old words, so a changed draft begins without any.
pub(super) fn keep(office: &Office, manifest: &Manifest) -> Result<(), CliError> {
    manifest.check().map_err(|error: ManifestError| CliError::new(exit::REFUSED, "manifest", error.to_string()))?;
    office.keep_draft(&MultiSigned::draft(manifest)?)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use careweave_certs::authority::create_root;
    use careweave_certs::keystore::{Algorithm, SoftwareKey};
    use careweave_certs::manifest::{
        AuthorityCertificate, AuthorityRole, AuthorityState, Governance, KeyPin, MemberKind, StalenessLimits,
        SuspensionTarget,
    };
    use careweave_protocol::id::NetworkId;
    use careweave_protocol::identity::StandardStatus;
    use careweave_protocol::key::Signer;
    use careweave_protocol::signed::Scope;
    use ring::rand::SystemRandom;
    use serde_bytes::ByteBuf;

    use crate::args::governance::OfficeArgs;

    const NOW: Timestamp = Timestamp(1_793_628_600_000);

    fn network() -> NetworkId {
        "test".parse().unwrap()
    }

    /// The first manifest of a network of one officer, with these members.
    pub(in crate::cmd::gov) fn manifest(members: Vec<Member>) -> Manifest {
        by(&SoftwareKey::generate(Algorithm::P256, &SystemRandom::new()).unwrap(), members)
    }

    fn by(officer: &SoftwareKey, members: Vec<Member>) -> Manifest {
        let root = create_root(&network(), officer, NOW, &SystemRandom::new()).unwrap();
        Manifest {
            network: network(),
            version: 1,
            issued: NOW,
            expires: NOW.after(MANIFEST_LIFE),
            governance: Governance { keys: vec![officer.public_key()], threshold: 1 },
            authorities: vec![AuthorityCertificate {
                role: AuthorityRole::Root,
                state: AuthorityState::Active,
                certificate: ByteBuf::from(root.to_vec()),
            }],
            members,
            registrars: Vec::new(),
            beacons: Vec::new(),
            enrolment: Vec::new(),
            minimum_standard: StandardStatus::Met,
            witnesses: Vec::new(),
            witness_quorum: 0,
            policy: None,
            protocol_min: 1,
            staleness: StalenessLimits::default(),
            suspended: Vec::new(),
            lifted: Vec::new(),
        }
    }

    fn member(active: u8, next: Option<u8>) -> Member {
        let pin = |key: u8| Digest::of(&[&[key]]);
        Member {
            ods: "R9A".parse().unwrap(),
            name: "R9A".to_owned(),
            kind: MemberKind::Acute,
            care_setting: "acute".to_owned(),
            neighbourhood: None,
            stage: RolloutStage::Live,
            alert_contact: "alerts".to_owned(),
            duty_contact: "switchboard".to_owned(),
            key: KeyPin { active: pin(active), next: next.map(pin) },
        }
    }

    #[test]
    fn a_new_key_is_announced_in_one_manifest_and_in_use_in_the_next_however_often_it_is_admitted() {
        let admitted = |published: &Member, held: &Member, key| {
            let mut fresh = member(key, None);
            successor(Some(published), held, &mut fresh);
            fresh
        };
        let published = member(1, None);
        let mut draft = published.clone();
        for _ in 0..3 {
            draft = admitted(&published, &draft, 2);
            assert_eq!(draft, member(1, Some(2)), "announced, and no more on this draft");
        }
        let announced = draft;
        let mut draft = announced.clone();
        for _ in 0..3 {
            draft = admitted(&announced, &draft, 2);
            assert_eq!(draft, member(2, None));
        }
        assert_eq!(admitted(&announced, &announced, 1), announced, "the key in use changes nothing");
        assert_eq!(admitted(&announced, &announced, 3), member(1, Some(3)), "another one is announced first");
    }

    #[test]
    fn a_lifted_suspension_stays_lifted_in_the_drafts_that_follow_until_it_is_over() {
        let directory = std::env::temp_dir().join(format!("careweave-lifted-{}", std::process::id()));
        for folder in ["manifests", "suspensions"] {
            std::fs::create_dir_all(directory.join(folder)).unwrap();
        }
        let args = OfficeArgs { dir: directory.clone(), passphrase_file: None };
        let office = Office::open(&args).unwrap();
        let officer = SoftwareKey::generate(Algorithm::P256, &SystemRandom::new()).unwrap();
        let lifted = |from| {
            let target = SuspensionTarget::Member("R9A".parse().unwrap());
            let stop = Suspension { target, reason: "incident".to_owned(), from };
            office
                .keep_suspension(&Signed::sign(&stop, Scope::network(&network()), &officer).unwrap().into_signed())
                .unwrap();
            stop.digest().unwrap()
        };
        let (running, over) = (lifted(NOW), lifted(NOW.before(Duration::from_secs(3600))));
        let unknown = Digest::of(&[b"not kept here"]);
        let mut first = by(&officer, vec![member(1, None)]);
        first.lifted = vec![running, over, unknown];
        let signed = MultiSigned::draft(&first).unwrap().add_signature(&network(), &officer).unwrap();
        let held = Trust::from_pinned(signed).unwrap();
        let lifted_at = |now| drafted(&office, Some(&held), now).unwrap().lifted;
        assert_eq!(lifted_at(NOW), [running, over, unknown]);
        let last = NOW.after(SUSPENSION_LIFE).before(Duration::from_millis(1));
        assert_eq!(lifted_at(last), [running, unknown]);
        assert_eq!(lifted_at(NOW.after(SUSPENSION_LIFE)), [unknown]);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
