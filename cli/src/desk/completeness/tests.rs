use std::collections::BTreeMap;

use careweave_certs::keystore::{Algorithm, SoftwareKey};
use careweave_protocol::desk::view::{Counts, Identity, KeyFacts, Moment, PatientHeader};
use careweave_protocol::id::NodeKey;
use careweave_protocol::identity::{NodeBinding, StaffGroup};
use careweave_protocol::key::Signer;
use careweave_protocol::query::Purpose;
use careweave_protocol::query::completeness::NotAsked;
use careweave_protocol::signed::Signed;
use ring::rand::SystemRandom;

use super::*;

const NOW: Timestamp = Timestamp(1_793_628_600_000);
const HOUR: i64 = 3_600_000;

/// A network of four, and a node that tells the truth until a test bends it.
struct Case {
    network: NetworkId,
    organisation: SoftwareKey,
    node: SoftwareKey,
    binding: NodeBinding,
    said: Completeness,
    view: View,
    members: BTreeSet<OdsCode>,
}

fn ods(code: &str) -> OdsCode {
    code.parse().unwrap()
}

fn key(algorithm: Algorithm) -> SoftwareKey {
    SoftwareKey::generate(algorithm, &SystemRandom::new()).unwrap()
}

fn node_key(key: &SoftwareKey) -> NodeKey {
    key.public_key().node_key().unwrap()
}

fn line(code: &str, outcome: SourceOutcome) -> SourceLine {
    SourceLine { ods: ods(code), outcome, records: 3, ms: 120, data_to: Some(NOW), receipt: None }
}

fn shown(line: &SourceLine) -> SourceView {
    SourceView {
        ods: line.ods.to_string(),
        name: format!("Organisation {}", line.ods),
        own: line.ods == ods("Y91001"),
        outcome: line.outcome.as_str().to_owned(),
        records: line.records,
        ms: line.ms,
        data_to: line.data_to.map(Moment),
        reason: None,
        asked: line.outcome.asked(),
        replied: line.outcome.replied(),
        ineligible: matches!(&line.outcome, SourceOutcome::Refused(cause) if cause.is_eligibility()),
        stale: false,
        duty_contact: None,
    }
}

fn view(sources: Vec<SourceView>) -> View {
    View {
        query_id: QueryId([7; 16]),
        as_at: Moment(NOW),
        finished: true,
        asker: ods("Y91001"),
        asker_name: "Organisation Y91001".to_owned(),
        requester: "Dr Samira Bell".to_owned(),
        group: StaffGroup::Gp,
        purpose: Purpose::Treat,
        zone: "Europe/London".to_owned(),
        patient: PatientHeader {
            nhs_number: "9990010013".to_owned(),
            nhs_number_shown: "999 001 0013".to_owned(),
            birth_date: "1938-03-14".to_owned(),
            birth_date_shown: "14-Mar-1938".to_owned(),
            name: "Ada Okafor".to_owned(),
            held_by: None,
            address: None,
            address_restricted: false,
            identity: Identity::Confirmed,
            identity_reason: None,
            deceased: None,
        },
        all_replied: false,
        sources,
        key_facts: KeyFacts::default(),
        categories: BTreeMap::new(),
        conflicts: Vec::new(),
        absences: Vec::new(),
        role_cannot_see: Vec::new(),
        may_exist: Vec::new(),
        last_look: None,
        warnings: Vec::new(),
        counts: Counts::default(),
    }
}

impl Case {
    fn new() -> Self {
        let network: NetworkId = "test".parse().unwrap();
        let (organisation, node) = (key(Algorithm::P256), key(Algorithm::Ed25519));
        let sources = vec![
            line("R9A", SourceOutcome::Answered),
            line("R9C", SourceOutcome::Timeout),
            line("X901", SourceOutcome::NotAsked(NotAsked::HoldsNoRecords)),
            line("Y91001", SourceOutcome::Answered),
        ];
        Self {
            binding: NodeBinding {
                ods: ods("Y91001"),
                node: node_key(&node),
                role: EndpointRole::Peer,
                retires: None,
                not_before: Timestamp(NOW.0 - HOUR),
                not_after: Timestamp(NOW.0 + HOUR),
            },
            members: sources.iter().map(|source| source.ods.clone()).collect(),
            view: view(sources.iter().map(shown).collect()),
            said: Completeness {
                network: network.clone(),
                query_id: QueryId([7; 16]),
                asker: ods("Y91001"),
                as_at: NOW,
                manifest_version: 4,
                sources,
            },
            network,
            organisation,
            node,
        }
    }

    fn reply(&self) -> ViewReply {
        let scope = Scope::network(&self.network);
        ViewReply {
            view: self.view.clone(),
            completeness: Signed::sign(&self.said, scope, &self.node).unwrap().into_signed(),
            binding: Signed::sign(&self.binding, scope, &self.organisation).unwrap().into_signed(),
        }
    }

    fn check_reply(&self, reply: &ViewReply) -> Result<(), Incomplete> {
        let expected = Expected {
            network: &self.network,
            organisation: &ods("Y91001"),
            organisation_key: &self.organisation.public_key(),
            query_id: &QueryId([7; 16]),
            manifest_version: 4,
            members: &self.members,
            now: NOW,
        };
        check(reply, &expected).map(drop)
    }

    fn check(&self) -> Result<(), Incomplete> {
        self.check_reply(&self.reply())
    }
}

#[test]
fn a_view_that_accounts_for_every_member_is_taken() {
    Case::new().check().unwrap();
}

#[test]
fn a_member_left_out_is_named() {
    let mut case = Case::new();
    case.said.sources.retain(|source| source.ods != ods("R9C"));
    case.view.sources.retain(|source| source.ods != "R9C");
    assert!(matches!(case.check(), Err(Incomplete::Missing(missing)) if missing == [ods("R9C")]));
}

#[test]
fn an_organisation_that_is_no_member_is_named() {
    let mut case = Case::new();
    case.members.remove(&ods("R9A"));
    assert!(matches!(case.check(), Err(Incomplete::Stranger(strangers)) if strangers == [ods("R9A")]));
}

#[test]
fn a_member_listed_twice_is_named() {
    let mut case = Case::new();
    case.said.sources.push(line("R9A", SourceOutcome::Answered));
    assert!(matches!(case.check(), Err(Incomplete::Duplicate(twice)) if twice == ods("R9A")));
}

#[test]
fn a_statement_signed_by_another_key_is_not_taken() {
    let case = Case::new();
    let mut forged = case.reply();
    let other = key(Algorithm::Ed25519);
    forged.completeness = Signed::sign(&case.said, Scope::network(&case.network), &other).unwrap().into_signed();
    assert!(matches!(case.check_reply(&forged), Err(Incomplete::Statement(_))));
}

#[test]
fn a_binding_signed_by_another_organisation_or_for_another_endpoint_or_time_is_not_taken() {
    let case = Case::new();
    let mut forged = case.reply();
    let other = key(Algorithm::P256);
    forged.binding = Signed::sign(&case.binding, Scope::network(&case.network), &other).unwrap().into_signed();
    assert!(matches!(case.check_reply(&forged), Err(Incomplete::Binding(_))));

    let bend: [fn(&mut NodeBinding); 4] = [
        |binding| binding.role = EndpointRole::Desk,
        |binding| binding.ods = ods("R9A"),
        |binding| binding.not_after = NOW,
        |binding| binding.not_before = Timestamp(NOW.0 + HOUR / 2),
    ];
    for bend in bend {
        let mut case = Case::new();
        bend(&mut case.binding);
        assert!(matches!(case.check(), Err(Incomplete::Binding(_))));
    }
}

#[test]
fn a_statement_about_another_query_or_manifest_is_not_taken() {
    let mut case = Case::new();
    case.said.query_id = QueryId([8; 16]);
    assert!(matches!(case.check(), Err(Incomplete::OtherQuery)));
    let mut case = Case::new();
    case.said.manifest_version = 5;
    assert!(matches!(case.check(), Err(Incomplete::OtherManifest { theirs: 5, ours: 4 })));
}

#[test]
fn what_is_shown_must_be_what_is_signed() {
    let bend: [fn(&mut View); 8] = [
        |view| view.sources.iter_mut().for_each(|source| source.replied = true),
        |view| view.sources.iter_mut().for_each(|source| source.records = 9),
        |view| view.sources.iter_mut().for_each(|source| source.outcome = "answered".to_owned()),
        |view| view.sources.retain(|source| source.ods != "R9C"),
        |view| view.sources.extend(view.sources.clone()),
        |view| view.all_replied = true,
        |view| view.finished = false,
        |view| view.query_id = QueryId([9; 16]),
    ];
    for (number, bend) in bend.into_iter().enumerate() {
        let mut case = Case::new();
        bend(&mut case.view);
        assert!(matches!(case.check(), Err(Incomplete::Disagrees(_) | Incomplete::OtherQuery)), "{number}");
    }
}

#[test]
fn a_refusal_for_eligibility_must_be_shown_as_one() {
    let mut case = Case::new();
    case.said.sources = vec![
        line("R9A", SourceOutcome::Refused(Cause::Suspended)),
        line("R9C", SourceOutcome::Answered),
        line("X901", SourceOutcome::NotAsked(NotAsked::HoldsNoRecords)),
        line("Y91001", SourceOutcome::Answered),
    ];
    case.view.sources = case.said.sources.iter().map(shown).collect();
    case.view.all_replied = true;
    case.check().unwrap();
    case.view.sources.iter_mut().for_each(|source| source.ineligible = false);
    assert!(matches!(case.check(), Err(Incomplete::Disagrees(who)) if who == "R9A"));
}

/// The line of the local organisations, when these two are they.
fn withheld() -> SourceView {
    let mut source = shown(&line("R9C", SourceOutcome::Timeout));
    source.ods = WITHHELD.to_owned();
    source.name = "local organisations, names withheld".to_owned();
    source.records = 6;
    source
}

#[test]
fn restricted_whereabouts_hide_names_but_not_numbers_or_outcomes() {
    let restricted = || {
        let mut case = Case::new();
        case.view.sources.retain(|source| source.ods != "R9A" && source.ods != "R9C");
        case.view.sources.push(withheld());
        case
    };
    restricted().check().unwrap();
    let bend: [fn(&mut View); 5] = [
        |view| view.sources.retain(|source| source.ods != WITHHELD),
        |view| view.sources.push(withheld()),
        |view| view.sources.iter_mut().filter(|source| source.ods == WITHHELD).for_each(|source| source.replied = true),
        |view| view.sources.iter_mut().filter(|source| source.ods == WITHHELD).for_each(|source| source.asked = false),
        |view| view.sources.iter_mut().filter(|source| source.ods == WITHHELD).for_each(|source| source.records = 5),
    ];
    for (number, bend) in bend.into_iter().enumerate() {
        let mut case = restricted();
        bend(&mut case.view);
        assert!(matches!(case.check(), Err(Incomplete::Disagrees(_))), "{number}");
    }
    let mut case = Case::new();
    case.view.sources.push(withheld());
    assert!(matches!(case.check(), Err(Incomplete::Disagrees(_))), "nobody is left to be withheld");
}
