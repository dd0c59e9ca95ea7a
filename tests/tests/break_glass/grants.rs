//! Break-glass on the wire: a grant that does not hold opens nothing, one that ends stops the answer.

use std::fs;
use std::path::Path;
use std::time::Duration;

use careweave_certs::keystore::{Passphrase, SoftwareKey};
use careweave_certs::layout;
use careweave_node::clock::Clock;
use careweave_node::net::Protocol;
use careweave_protocol::cbor;
use careweave_protocol::id::{Digest, NhsNumber, NodeKey, OdsCode, QueryId};
use careweave_protocol::key::Signer;
use careweave_protocol::limits::{CREDIT_WINDOW, FRAME_MAX, QUERY_LIFE, REFUSAL_BUCKET};
use careweave_protocol::query::{
    AnswerFrame, AnswerHeader, AnswerOutcome, BreakGlassGrant, Cause, CreditFrame, Envelope, Patient as AskedPatient,
    Purpose, Query,
};
use careweave_protocol::record::Category;
use careweave_protocol::signed::{Scope, Signed, Verified};
use careweave_protocol::time::{Date, Timestamp};
use careweave_tests::network::{Network, Staff, until};
use careweave_tests::peer::{Member, Peer, Person, Question};
use libp2p::Multiaddr;
use serde_json::{Value, json};

use super::{REASON, TEXT, reviews, stranger};
use crate::scene::{self, Patient, ada, list};

#[test]
fn a_grant_that_is_not_this_persons_for_this_patient_now_opens_nothing() {
    let wire = Wire::new();
    let peer = wire.connect();
    let good = wire.grant();
    let sign = |grant: &BreakGlassGrant, key: &SoftwareKey| {
        Signed::sign(grant, Scope::network(&wire.member.config.network), key).unwrap().into_signed()
    };
    let with = |change: &dyn Fn(&mut BreakGlassGrant)| {
        let mut grant = good.clone();
        change(&mut grant);
        sign(&grant, &wire.step_up)
    };
    let signed = with(&|_| {});
    let mut altered = signed.as_bytes().to_vec();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    let hour = Duration::from_secs(3600);
    let bad = [
        (
            "outlived",
            with(&|g| {
                (g.issued_at, g.expires_at) = (Clock.now().before(hour), Clock.now().before(Duration::from_secs(1)))
            }),
        ),
        ("longer than an hour", with(&|g| g.expires_at = g.issued_at.after(hour + Duration::from_secs(1)))),
        (
            "not yet begun",
            with(&|g| (g.issued_at, g.expires_at) = (Clock.now().after(hour), Clock.now().after(hour * 2))),
        ),
        ("for another patient", with(&|g| g.nhs_number = "9990133484".parse().unwrap())),
        ("for another person", with(&|g| g.person = "rn-other".parse().unwrap())),
        ("for another organisation", with(&|g| g.ods = "R9M".parse().unwrap())),
        ("of another network", with(&|g| g.network = "elsewhere".parse().unwrap())),
        ("without a category", with(&|g| g.categories.clear())),
        ("with another reason", with(&|g| g.reason = "curiosity".to_owned())),
        ("with other words", with(&|g| g.reason_text = Digest([5; 32]))),
        ("altered", Signed::from_bytes(altered).unwrap()),
        ("signed with the ordinary key", sign(&good, &wire.person.key)),
    ];
    for (what, grant) in bad {
        let refused = wire.ask(&peer, &wire.person, Purpose::Btg, Some(grant));
        assert_eq!(refused, AnswerOutcome::Refused(Cause::GrantInvalid), "{what}");
        let logged = wire.newest();
        let said = (&logged["outcome"], &logged["cause"], &logged["actor"]["person"]);
        assert_eq!(said, (&json!("refused"), &json!("GRANT_INVALID"), &json!("rn")), "{what}: {logged:#}");
    }
    assert_eq!(wire.ask(&peer, &wire.person, Purpose::Btg, None), AnswerOutcome::Refused(Cause::GrantInvalid));
    // It covers what it names: not more, and not everything.
    for categories in [vec![], vec![Category::Problems, Category::Assessments]] {
        let wider = |query: &mut Query| query.categories.clone_from(&categories);
        let frames = wire.frames_asking(&peer, &wire.person, &ada(), Purpose::Btg, Some(signed.clone()), &wider);
        assert_eq!(wire.header(&frames).outcome, AnswerOutcome::Refused(Cause::GrantInvalid), "{categories:?}");
        assert_eq!(wire.newest()["cause"], "GRANT_INVALID");
    }
    // A case number belongs to a case.
    let case = |query: &mut Query| query.case_number = Some("SAR-2026-17".to_owned());
    let frames = wire.frames_asking(&peer, &wire.person, &ada(), Purpose::Btg, Some(signed.clone()), &case);
    assert_eq!(wire.header(&frames).outcome, AnswerOutcome::Refused(Cause::Malformed));
    // A grant that holds, brought for what needs none; and by somebody whose credential names no step-up key.
    let reused = wire.ask(&peer, &wire.person, Purpose::Treat, Some(signed.clone()));
    assert_eq!(reused, AnswerOutcome::Refused(Cause::Malformed));
    assert_eq!(wire.newest()["cause"], "MALFORMED");
    let theirs = with(&|g| g.person = "rn-plain".parse().unwrap());
    assert_eq!(wire.ask(&peer, &wire.plain, Purpose::Btg, Some(theirs)), AnswerOutcome::Refused(Cause::GrantInvalid));
    let carer = wire.ask(&peer, &wire.social_worker, Purpose::Btg, Some(signed.clone()));
    assert_eq!(carer, AnswerOutcome::Refused(Cause::PurposeNotGranted(Purpose::Btg)));
    assert!(alerts(&wire.network).is_empty(), "nothing was given");

    // The twin that holds, twice under one grant: two alerts, one review.
    for _ in 0..2 {
        assert_eq!(wire.ask(&peer, &wire.person, Purpose::Btg, Some(signed.clone())), AnswerOutcome::Answered);
    }
    assert_eq!(alerts(&wire.network).len(), 2);
    let open = reviews(&wire.network, HOLDER);
    assert_eq!(open.len(), 1, "{open:#?}");
    assert_eq!(open[0]["queries"].as_array().unwrap().len(), 2);

    // A near miss under a grant looks and costs what a stranger does: one entry, one full bucket.
    let misdated = Patient { birth_date: "1938-03-15".to_owned(), ..ada() };
    for patient in [misdated, stranger(9)] {
        let before = list(&wire.network, HOLDER, &[]).len();
        let grant = with(&|g| g.nhs_number = patient.nhs_number.parse().unwrap());
        let frames = wire.frames(&peer, &wire.person, &patient, Purpose::Btg, Some(grant));
        assert_eq!(wire.header(&frames).outcome, AnswerOutcome::NothingShareable);
        assert_eq!(frames.iter().map(Vec::len).collect::<Vec<_>>(), [REFUSAL_BUCKET + 1, 1]);
        assert_eq!(list(&wire.network, HOLDER, &[]).len(), before + 1);
    }
    assert_eq!(alerts(&wire.network).len(), 2);
}

#[test]
fn a_number_asked_with_the_patients_opens_nothing_under_a_grant_and_is_logged_as_whose_it_is() {
    let wire = Wire::new();
    let peer = wire.connect();
    let known: NhsNumber = ada().nhs_number.parse().unwrap();
    let unheld = Patient { nhs_number: stranger(9).nhs_number, ..ada() };
    let beside = |query: &mut Query| query.patient.other_numbers = vec![known];
    let grant = BreakGlassGrant { nhs_number: unheld.nhs_number.parse().unwrap(), ..wire.grant() };
    let signed = Signed::sign(&grant, Scope::network(&grant.network), &wire.step_up).unwrap().into_signed();

    let frames = wire.frames_asking(&peer, &wire.person, &unheld, Purpose::Btg, Some(signed), &beside);
    assert_eq!(wire.header(&frames).outcome, AnswerOutcome::NothingShareable);
    let logged = wire.newest();
    assert_eq!(
        (&logged["cause"], &logged["patient"]["nhs_number"]),
        (&json!("unknown-patient"), &json!(unheld.nhs_number)),
        "{logged:#}"
    );
    assert!(alerts(&wire.network).is_empty());

    // The twin without a grant is answered, and stands in the trail of whoever's records were given.
    let frames = wire.frames_asking(&peer, &wire.person, &unheld, Purpose::Etreat, None, &beside);
    assert_eq!(wire.header(&frames).outcome, AnswerOutcome::Answered);
    let logged = wire.newest();
    assert_eq!(
        (&logged["outcome"], &logged["patient"]["nhs_number"]),
        (&json!("answered"), &json!(ada().nhs_number)),
        "{logged:#}"
    );
}

#[test]
fn an_answer_that_outlasts_its_grant_is_cut_and_logged() {
    let wire = Wire::new();
    let peer = wire.connect();
    // Nothing leaves after the header before credit is granted; gives every frame that came.
    let ask = |grant: &BreakGlassGrant, credit: bool| {
        let signed = Signed::sign(grant, Scope::network(&grant.network), &wire.step_up).unwrap().into_signed();
        let mut envelope = wire.envelope(&wire.person, &ada(), Purpose::Btg, Some(signed), &|_| {}).into_inner();
        envelope.window = 0;
        let scope = Scope::to(&grant.network, &envelope.audience);
        let envelope = Signed::sign(&envelope, scope, wire.member.own.node_signer()).unwrap();
        wire.runtime.block_on(async {
            let mut stream = peer.open(Protocol::Query).await.unwrap();
            stream.write_frame(envelope.signed().as_bytes()).await.unwrap();
            let mut frames = vec![stream.read_frame(FRAME_MAX).await.unwrap().unwrap()];
            if credit {
                let frame = cbor::to_vec(&CreditFrame { bytes: CREDIT_WINDOW }).unwrap();
                stream.write_frame(&frame).await.unwrap();
            }
            // What comes after a cut is an end or an error, whichever the connection makes of it.
            while let Ok(Some(frame)) = stream.read_frame(FRAME_MAX).await {
                frames.push(frame);
            }
            frames
        })
    };
    let whole = |frames: &[Vec<u8>]| frames.last().unwrap().first() == Some(&AnswerFrame::END);
    let cuts = || {
        let admin = list(&wire.network, HOLDER, &["--kind", "ADMIN"]);
        admin.into_iter().filter(|entry| entry["outcome"] == "answer-cut").collect::<Vec<_>>()
    };
    let good = wire.grant();
    let frames = ask(&good, true);
    assert!(wire.header(&frames).outcome == AnswerOutcome::Answered && whole(&frames));
    assert!(cuts().is_empty());

    let now = Clock.now();
    let brief = BreakGlassGrant { issued_at: now, expires_at: now.after(Duration::from_secs(4)), ..good };
    let frames = ask(&brief, false);
    assert!(wire.header(&frames).outcome == AnswerOutcome::Answered && !whole(&frames));
    let cut = until("the cut is logged", SOON, || cuts().pop().ok_or_else(|| "no cut".to_owned())).unwrap();
    assert_eq!((&cut["cause"], &cut["grant"]), (&json!("GRANT_INVALID"), &json!(brief.id.to_string())), "{cut:#}");
}

/// Within which an event of one node is in its log.
const SOON: Duration = Duration::from_secs(10);
const HOLDER: &str = "R9A";
const ASKER: &str = "R9C";

/// A network of two whose asking node has been stopped, so that its keys are in our hands.
struct Wire {
    network: Network,
    member: Member,
    /// A nurse, with the step-up key that her credential names.
    person: Person,
    step_up: SoftwareKey,
    /// A nurse without one.
    plain: Person,
    /// Somebody whose group may never break glass.
    social_worker: Person,
    to: Multiaddr,
    holder_node: NodeKey,
    runtime: tokio::runtime::Runtime,
}

impl Wire {
    fn new() -> Self {
        let network = scene::small(&[ASKER, HOLDER]);
        let profile = network.profile("R9C-rn").unwrap();
        network.hire(&Staff { step_up: false, ..Staff::named("R9C-rn.plain").unwrap() }).unwrap();
        let plain = network.profile("R9C-rn.plain").unwrap();
        let other = network.profile("R9C-sw").unwrap();
        network.profile(&format!("{HOLDER}-ig")).unwrap();
        network.stop(ASKER).unwrap();
        let member = Member::load(&network.layout().node(ASKER)).unwrap();
        let passphrase = network.layout().passphrase();
        let load = |profile: &Path| Person::load(profile, &passphrase).unwrap();
        let words = fs::read_to_string(network.layout().step_up_passphrase()).unwrap();
        let step_up = SoftwareKey::read_protected(&profile.join(layout::STEP_UP_KEY), &Passphrase::new(words.into()));
        let to: Multiaddr = network.addresses(HOLDER).unwrap().peer.parse().unwrap();
        let holder_node = Member::load(&network.layout().node(HOLDER)).unwrap().own.node_key();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let (person, plain, social_worker) = (load(&profile), load(&plain), load(&other));
        let step_up = step_up.unwrap();
        assert_eq!(person.credential.unverified().unwrap().step_up, step_up.public_key().node_key());
        assert_eq!(plain.credential.unverified().unwrap().step_up, None);
        Self { network, member, person, step_up, plain, social_worker, to, holder_node, runtime }
    }

    fn connect(&self) -> Peer {
        self.runtime.block_on(Peer::connect(self.member.credentials().unwrap(), &self.to)).unwrap()
    }

    /// One that holds: the nurse's, about Ada.
    fn grant(&self) -> BreakGlassGrant {
        let now = Clock.now();
        BreakGlassGrant {
            network: self.member.config.network.clone(),
            id: QueryId([6; 16]),
            ods: ASKER.parse().unwrap(),
            person: "rn".parse().unwrap(),
            nhs_number: ada().nhs_number.parse().unwrap(),
            categories: vec![Category::Problems],
            reason: REASON.to_owned(),
            reason_text: words(),
            issued_at: now,
            expires_at: now.after(Duration::from_secs(3600)),
        }
    }

    fn ask(
        &self,
        peer: &Peer,
        person: &Person,
        purpose: Purpose,
        grant: Option<Signed<BreakGlassGrant>>,
    ) -> AnswerOutcome {
        self.header(&self.frames(peer, person, &ada(), purpose, grant)).outcome
    }

    fn frames(
        &self,
        peer: &Peer,
        person: &Person,
        patient: &Patient,
        purpose: Purpose,
        grant: Option<Signed<BreakGlassGrant>>,
    ) -> Vec<Vec<u8>> {
        self.frames_asking(peer, person, patient, purpose, grant, &|_| {})
    }

    /// As [`Wire::frames`], with something else in the question.
    fn frames_asking(
        &self,
        peer: &Peer,
        person: &Person,
        patient: &Patient,
        purpose: Purpose,
        grant: Option<Signed<BreakGlassGrant>>,
        change: &dyn Fn(&mut Query),
    ) -> Vec<Vec<u8>> {
        let envelope = self.envelope(person, patient, purpose, grant, change);
        self.runtime.block_on(peer.exchange(Protocol::Query, envelope.signed().as_bytes())).unwrap()
    }

    fn envelope(
        &self,
        person: &Person,
        patient: &Patient,
        purpose: Purpose,
        grant: Option<Signed<BreakGlassGrant>>,
        change: &dyn Fn(&mut Query),
    ) -> Verified<Envelope> {
        let question = Question {
            member: &self.member,
            person,
            patient: AskedPatient {
                nhs_number: patient.nhs_number.parse().unwrap(),
                birth_date: Date::from_iso(&patient.birth_date).unwrap(),
                family: patient.family.clone(),
                postcode: None,
                other_numbers: Vec::new(),
            },
            purpose,
            grounds: Vec::new(),
            holder: HOLDER.parse().unwrap(),
            holder_node: self.holder_node,
        };
        let now: Timestamp = Clock.now();
        let mut query = Query {
            categories: vec![Category::Problems],
            reason: Some(REASON.to_owned()),
            reason_text: Some(words()),
            grant,
            asked_at: now,
            expires_at: now.after(QUERY_LIFE),
            ..question.query().unwrap().into_inner()
        };
        change(&mut query);
        let scope = Scope::network(&self.member.config.network);
        let query = Signed::sign(&query, scope, person.key.as_ref()).unwrap();
        question.envelope(&query).unwrap()
    }

    fn header(&self, frames: &[Vec<u8>]) -> AnswerHeader {
        let Some(AnswerFrame::Header(signed)) = AnswerFrame::parse(&frames[0]) else { panic!("no header") };
        let own: OdsCode = ASKER.parse().unwrap();
        let scope = Scope::to(&self.member.config.network, &own);
        let signed = Signed::<AnswerHeader>::from_bytes(signed.to_vec()).unwrap();
        signed.verify(scope, &self.holder_node.into()).unwrap().into_inner()
    }

    /// The newest DECISION of the holder.
    fn newest(&self) -> Value {
        list(&self.network, HOLDER, &["--kind", "DECISION"]).last().unwrap().clone()
    }
}

/// The digest of the words that a grant and its question both carry.
fn words() -> Digest {
    Digest::of(&[TEXT.as_bytes()])
}

/// ALERTs of the holder about break-glass.
fn alerts(network: &Network) -> Vec<Value> {
    let all = list(network, HOLDER, &["--kind", "ALERT"]);
    all.into_iter().filter(|alert| alert["outcome"] == "break-glass").collect()
}
