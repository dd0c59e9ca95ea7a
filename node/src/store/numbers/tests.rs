use std::ops::ControlFlow;

use careweave_protocol::id::NhsNumber;
use careweave_protocol::policy::Objection;
use careweave_protocol::query::Patient;
use careweave_protocol::record::Form;
use careweave_protocol::record::code::NHS_NUMBER;
use careweave_protocol::time::{Date, Timestamp};
use serde_json::{Value, json};

use super::{Search, other_numbers, search};
use crate::store::patients::{self, NUMBER_CHANGE, OpenPatient};
use crate::store::records::{self, ReadError};
use crate::store::tests::{ADA, BEN, NOW, Store, condition, permit, person, with};
use crate::view::matching::{Doubt, ProbableReason};

fn asked(number: &str, others: &[&str]) -> Patient {
    Patient {
        nhs_number: number.parse().unwrap(),
        birth_date: Date::new(1938, 3, 14).unwrap(),
        family: "Okafor".into(),
        postcode: None,
        other_numbers: others.iter().map(|number| number.parse().unwrap()).collect(),
    }
}

fn found(store: &Store, number: &str, others: &[&str]) -> Search {
    search(&store.database, &asked(number, others)).unwrap()
}

fn one(store: &Store, number: &str, others: &[&str]) -> OpenPatient {
    match found(store, number, others) {
        Search::One(patient) => *patient,
        other => panic!("{other:?}"),
    }
}

/// Ids of what is found, in the order of the index.
fn ids(store: &Store, number: &str, others: &[&str]) -> Vec<String> {
    let headers = records::headers(&store.database, &one(store, number, others)).unwrap();
    headers.into_iter().map(|indexed| indexed.header.id).collect()
}

fn others(store: &Store, number: &str) -> Vec<NhsNumber> {
    other_numbers(&store.database, number.parse().unwrap()).unwrap()
}

fn link(kind: &str, other: Value) -> Value {
    json!({"link": [{"type": kind, "other": other}]})
}

fn number(number: &str) -> Value {
    json!({"identifier": {"system": NHS_NUMBER, "value": number}})
}

fn reference(reference: &str) -> Value {
    json!({"reference": reference})
}

/// An import of its own for each resource, in this order.
fn in_order(store: &Store, resources: &[&Value]) {
    for (step, resource) in (0..).zip(resources) {
        let report = store.import_at(Timestamp(NOW.0 + step), &[&resource.to_string()]);
        assert_eq!(report.bad, 0, "{report:?}");
    }
}

/// Every order of a few things.
fn orders<T: Clone>(things: &[T]) -> Vec<Vec<T>> {
    let Some((first, rest)) = things.split_first() else { return vec![vec![]] };
    let mut all = Vec::new();
    for order in orders(rest) {
        for place in 0..=order.len() {
            let mut order = order.clone();
            order.insert(place, first.clone());
            all.push(order);
        }
    }
    all
}

#[test]
fn numbers_that_replaced_one_another_are_one_person_whichever_patient_says_so_and_comes_first() {
    let store = Store::new("numbers-orders");
    let (about_old, about_new) = (condition("a", reference("Patient/1")), condition("b", reference("Patient/2")));
    let (old, new) = (person("1", ADA, "Okafor"), person("2", BEN, "Okafor"));
    for (place, (old, new)) in [
        (with(old.clone(), link("replaced-by", number(BEN))), new.clone()),
        (with(old.clone(), link("replaced-by", reference("Patient/2"))), new.clone()),
        (old.clone(), with(new.clone(), link("replaces", number(ADA)))),
        (old.clone(), with(new.clone(), link("replaces", reference("Patient/1")))),
        (with(old, link("replaced-by", reference("Patient/2"))), with(new, link("replaces", reference("Patient/1")))),
    ]
    .into_iter()
    .enumerate()
    {
        for (order, resources) in orders(&[&old, &new, &about_old]).into_iter().enumerate() {
            store.clear();
            in_order(&store, &resources);
            in_order(&store, &[&about_new]);
            let mut both = ids(&store, ADA, &[]);
            both.sort();
            assert_eq!(both, ["1", "2", "a", "b"], "{place} {order}");
            assert_eq!(one(&store, ADA, &[]).demographics.nhs_number.digits(), ADA);
            assert_eq!(one(&store, BEN, &[]).demographics.nhs_number.digits(), BEN);
            assert_eq!(ids(&store, BEN, &[ADA]).len(), 4);
            assert_eq!(others(&store, ADA), [BEN.parse().unwrap()]);
            assert_eq!(others(&store, BEN), [ADA.parse().unwrap()]);
        }
    }
}

#[test]
fn a_number_known_only_by_its_link_finds_the_person_and_so_does_asking_for_both() {
    let store = Store::new("numbers-known-by-link");
    in_order(&store, &[&with(person("1", ADA, "Okafor"), link("replaced-by", number(BEN)))]);
    assert_eq!(ids(&store, BEN, &[]), ["1"]);
    assert_eq!((others(&store, ADA), others(&store, BEN)), (vec![BEN.parse().unwrap()], vec![ADA.parse().unwrap()]));
    assert_eq!(patients::find(&store.database, &BEN.parse().unwrap()).unwrap().len(), 1);

    // The holder knows of no link: it takes the asker's word, and birth date and name must fit as always.
    let store = Store::new("numbers-known-by-asker");
    in_order(&store, &[&person("1", ADA, "Okafor"), &person("2", BEN, "Okafor")]);
    assert_eq!(ids(&store, ADA, &[]), ["1"]);
    assert_eq!(ids(&store, ADA, &[BEN]).len(), 2);
    assert!(others(&store, ADA).is_empty());
    let elsewhere = "9990256950";
    assert!(matches!(found(&store, elsewhere, &[]), Search::NotHeld));
    assert_eq!(ids(&store, elsewhere, &[ADA]), ["1"]);
    in_order(&store, &[&with(person("2", BEN, "Ellis"), json!({"meta": {"versionId": "2"}}))]);
    let store = Store::new("numbers-of-another");
    in_order(&store, &[&person("1", ADA, "Okafor"), &person("2", BEN, "Ellis")]);
    assert_eq!(ids(&store, ADA, &[BEN]), ["1"]);
    assert!(matches!(found(&store, BEN, &[ADA]), Search::Doubtful(Doubt::Probable(ProbableReason::FamilyNameDiffers))));
}

#[test]
fn one_permit_reads_what_is_held_under_both_numbers_and_none_of_it_for_one_row_alone() {
    let store = Store::new("numbers-permit");
    in_order(
        &store,
        &[
            &with(person("1", ADA, "Okafor"), link("replaced-by", number(BEN))),
            &person("2", BEN, "Okafor"),
            &condition("a", reference("Patient/1")),
            &condition("b", reference("Patient/2")),
        ],
    );
    let whole = one(&store, BEN, &[]);
    let headers = records::headers(&store.database, &whole).unwrap();
    let permit = permit(&store, &whole, &headers);
    let mut read = Vec::new();
    records::read(&store.database, &permit, &whole, |selected, _| {
        read.push(selected.place);
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(read, headers.iter().map(|h| h.place).collect::<Vec<_>>());
    let other = records::read(&store.database, &permit, &store.patient(ADA), |_, _| ControlFlow::Continue(()));
    assert!(matches!(other, Err(ReadError::OtherPatient)));
    let alone = records::read(&store.database, &permit, &store.patient(BEN), |_, _| ControlFlow::Continue(()));
    assert!(matches!(alone, Err(ReadError::Missing)));
}

#[test]
fn a_link_that_is_taken_back_and_a_number_that_is_invalidated_release_nothing_of_the_other() {
    let store = Store::new("numbers-taken-back");
    let tag = json!([{"system": "https://careweave.example/fhir/CodeSystem/nhs-number-status", "code": "invalidated"}]);
    let (old, new) = (person("1", ADA, "Okafor"), person("2", BEN, "Okafor"));
    in_order(&store, &[&with(old.clone(), link("replaced-by", number(BEN))), &new]);
    assert_eq!(ids(&store, BEN, &[]).len(), 2);
    in_order(&store, &[&old]);
    assert_eq!((ids(&store, BEN, &[]), ids(&store, ADA, &[])), (vec!["2".to_owned()], vec!["1".to_owned()]));
    assert!(others(&store, ADA).is_empty() && others(&store, BEN).is_empty());

    let invalidated = with(with(old, link("replaced-by", number(BEN))), json!({"meta": {"tag": tag}}));
    in_order(&store, &[&invalidated]);
    assert!(matches!(found(&store, ADA, &[BEN]), Search::Doubtful(Doubt::Invalidated)));
    assert_eq!(ids(&store, BEN, &[ADA]), ["2"]);
    assert!(others(&store, ADA).is_empty() && others(&store, BEN).is_empty());
}

#[test]
fn what_one_row_says_about_the_person_counts_for_every_row() {
    let confidential = json!({"meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}});
    let consent = json!({"resourceType": "Consent", "id": "o", "status": "active", "patient": {"reference": "Patient/1"},
        "scope": {"coding": [{"code": "patient-privacy"}]}, "provision": {"type": "deny"}});
    let old = with(with(person("1", ADA, "Okafor"), link("replaced-by", number(BEN))), confidential);
    let died = json!({"deceasedDateTime": "2026-10-01", "address": [{"line": ["5 Larch Row"]}]});
    let new = with(person("2", BEN, "Okafor"), died);
    let moved = with(
        condition("c", reference("Patient/2")),
        json!({"note": [{"text": "moved to 12 Lavender Quay Road, SE16 4AV"}]}),
    );
    let store = Store::new("numbers-restricted");
    for (place, order) in orders(&[&old, &new, &moved]).into_iter().enumerate() {
        store.clear();
        in_order(&store, &order);
        in_order(&store, &[&consent]);
        for number in [ADA, BEN] {
            let whole = one(&store, number, &[]);
            assert!(whole.demographics.restricted && whole.demographics.deceased.is_some());
            assert_eq!(whole.objection(), Objection::Network);
            for indexed in records::headers(&store.database, &whole).unwrap() {
                assert!(indexed.header.form(Form::FullStripped).is_some(), "{place} {}", indexed.header.id);
            }
        }
        let left = store.form(BEN, "c", Form::FullStripped).unwrap();
        assert!(!left.contains("Lavender"), "{place} {left}");
        // Where the person moves to under one number is withheld under the other, in what was there before.
        let told =
            with(condition("d", reference("Patient/2")), json!({"note": [{"text": "safe at Rowan Lodge Refuge"}]}));
        let refuge = with(old.clone(), json!({"address": [{"line": ["Rowan Lodge Refuge"]}]}));
        in_order(&store, &[&told]);
        assert!(store.form(BEN, "d", Form::FullStripped).unwrap().contains("Rowan Lodge"), "{place}");
        in_order(&store, &[&refuge]);
        assert!(!store.form(BEN, "d", Form::FullStripped).unwrap().contains("Rowan Lodge"), "{place}");
        // The restriction ends where it began.
        let lifted = with(person("1", ADA, "Okafor"), link("replaced-by", number(BEN)));
        in_order(&store, &[&lifted]);
        assert!(!one(&store, BEN, &[]).demographics.restricted, "{place}");
        assert!(store.form(BEN, "d", Form::FullStripped).is_none(), "{place}");
    }
}

/// Every form of every Patient held.
fn shown(store: &Store, number: &str) -> String {
    let mut shown = String::new();
    for indexed in store.headers(number).into_iter().filter(|indexed| indexed.header.resource_type == "Patient") {
        for form in Form::ALL {
            shown += &store.form(number, &indexed.header.id, form).unwrap_or_default();
        }
    }
    shown
}

#[test]
fn nothing_is_linked_across_a_number_change_marker_and_nothing_tells_of_the_other_number() {
    let old = with(
        person("1", ADA, "Okafor"),
        json!({"name": [{"use": "official", "family": "Okafor", "given": ["Former"]}]}),
    );
    let identifiers = json!([{"system": NHS_NUMBER, "value": BEN}, {"system": NHS_NUMBER, "value": ADA, "use": "old"},
        {"system": "urn:mrn", "value": "mrn-of-both"}]);
    let names = json!([{"use": "official", "family": "Okafor", "given": ["Ada"]}, {"use": "old", "family": "Former-Name"},
        {"family": "Former-Name", "period": {"end": "2026-01-01"}}]);
    let new = with(
        with(person("2", BEN, "Okafor"), link("replaces", reference("Patient/1"))),
        json!({"identifier": identifiers, "name": names, "text": {"status": "generated", "div": "<div>Former</div>"},
            "extension": [{"url": "urn:birth-name", "valueString": "Former"}]}),
    );
    let store = Store::new("numbers-marker");
    let mut place = 0;
    for code in ["adoption", "gender-recognition"] {
        let marker = |list: &str| json!({"meta": {list: [{"system": NUMBER_CHANGE, "code": code}]}});
        for (old, new) in [
            (old.clone(), with(new.clone(), marker("tag"))),
            (with(old.clone(), link("replaced-by", number(BEN))), with(new.clone(), marker("security"))),
            (with(with(old.clone(), link("replaced-by", number(BEN))), marker("tag")), new.clone()),
            (with(old.clone(), link("replaced-by", reference("Patient/2"))), with(new.clone(), marker("tag"))),
        ] {
            // At once in either order, and on a person who was linked before.
            let unmarked = with(new.clone(), json!({"meta": {}}));
            for order in [vec![&old, &new], vec![&new, &old], vec![&old, &unmarked, &new], vec![&unmarked, &old, &new]]
            {
                place += 1;
                store.clear();
                in_order(&store, &order);
                in_order(&store, &[&condition("a", reference("Patient/1")), &condition("b", reference("Patient/2"))]);
                assert_eq!(ids(&store, ADA, &[BEN]), ["1", "a"], "{place}");
                assert_eq!(ids(&store, BEN, &[ADA]), ["2", "b"], "{place}");
                assert!(others(&store, ADA).is_empty() && others(&store, BEN).is_empty());
                assert_eq!(one(&store, BEN, &[]).demographics.families, ["Okafor"]);
                let after = shown(&store, BEN);
                for trace in [ADA, "Former", "replaces", "mrn-of-both", NUMBER_CHANGE, code] {
                    assert!(!after.contains(trace), "{place}: {trace} in {after}");
                }
                assert!(after.contains(BEN) && after.contains("Lavender"));
                let before = shown(&store, ADA);
                for trace in [BEN, "replaced-by", NUMBER_CHANGE] {
                    assert!(!before.contains(trace), "{place}: {trace} in {before}");
                }
                // A version that lost the marker changes nothing of that.
                in_order(
                    &store,
                    &[&with(unmarked.clone(), json!({"gender": "female"})), &with(old.clone(), json!({"meta": {}}))],
                );
                assert_eq!((ids(&store, ADA, &[BEN]).len(), ids(&store, BEN, &[ADA]).len()), (2, 2), "{place}");
                assert!(!shown(&store, BEN).contains("Former") && !shown(&store, ADA).contains(BEN));
            }
        }
    }
}

#[test]
fn a_document_with_a_marked_patient_is_refused_while_it_tells_of_the_other_number() {
    let store = Store::new("numbers-document");
    let marked =
        with(person("2", BEN, "Okafor"), json!({"meta": {"tag": [{"system": NUMBER_CHANGE, "code": "adoption"}]}}));
    let document = |patient: &Value| {
        let composition =
            json!({"resourceType": "Composition", "status": "final", "subject": {"reference": "urn:uuid:p"}});
        json!({"resourceType": "Bundle", "type": "document", "identifier": {"value": patient.to_string().len()}, "entry": [
            {"fullUrl": "urn:uuid:c", "resource": composition}, {"fullUrl": "urn:uuid:p", "resource": patient}]})
        .to_string()
    };
    let linked = with(marked.clone(), link("replaces", number(ADA)));
    assert!(store.import(&[&document(&linked)]).files[0].bad[0].reason.contains("number-change marker"));
    assert_eq!(store.import(&[&document(&marked)]).imported, 1);
    // What the person's row knows holds for a document that does not say it.
    let unsaid = with(person("2", BEN, "Okafor"), link("replaces", number(ADA)));
    assert_eq!(store.import(&[&document(&unsaid)]).bad, 1);
}

#[test]
fn one_person_in_a_register_twice_is_doubtful_until_the_register_says_which_entry_stands() {
    let local = |value: &str| json!({"identifier": [{"system": NHS_NUMBER, "value": ADA}, {"system": "urn:register", "value": value}]});
    let first = with(person("1", ADA, "Okafor"), local("77"));
    let second = with(person("2", ADA, "Okafor"), local("78"));
    let about = [condition("a", reference("Patient/1")), condition("b", reference("Patient/2"))];
    let settled = [
        with(second.clone(), json!({"active": false})),
        with(second.clone(), link("replaced-by", reference("Patient/1"))),
    ];
    let store = Store::new("registered-twice");
    for order in orders(&[&first, &second]) {
        for settled in &settled {
            store.clear();
            in_order(&store, &order);
            in_order(&store, &[&about[0], &about[1]]);
            assert!(matches!(found(&store, ADA, &[]), Search::Doubtful(Doubt::Ambiguous)));
            assert_eq!(store.import(&[&condition("c", number(ADA)).to_string()]).bad, 1);
            in_order(&store, &[settled]);
            let mut all = ids(&store, ADA, &[]);
            all.sort();
            assert_eq!(all, ["1", "2", "a", "b"]);
            assert_eq!(store.import(&[&condition("c", number(ADA)).to_string()]).imported, 1);
        }
    }
    // From one server under two ids it is the same thing.
    let store = Store::new("registered-twice-server");
    let entry = |id: &str| {
        let url = format!("https://a.example/fhir/Patient/{id}");
        json!({"resourceType": "Bundle", "type": "searchset", "entry": [{"fullUrl": url, "resource": person(id, ADA, "Okafor")}]})
    };
    in_order(&store, &[&entry("1"), &entry("2")]);
    assert!(matches!(found(&store, ADA, &[]), Search::Doubtful(Doubt::Ambiguous)));
}

#[test]
fn one_person_sent_again_by_another_system_under_its_own_id_is_one_person() {
    let local =
        |system: &str| json!({"identifier": [{"system": NHS_NUMBER, "value": ADA}, {"system": system, "value": "77"}]});
    let store = Store::new("sent-again");
    for again in [
        person("2", ADA, "Okafor"),
        with(person("2", ADA, "Okafor"), local("urn:another-register")),
        with(person("2", ADA, "Okafor"), local("urn:register")),
        with(person("2", ADA, "Adeyemi"), json!({"address": []})),
    ]
    .iter()
    {
        store.clear();
        in_order(&store, &[&with(person("1", ADA, "Okafor"), local("urn:register")), again]);
        in_order(&store, &[&condition("a", reference("Patient/1")), &condition("b", reference("Patient/2"))]);
        assert_eq!(store.patients(ADA).len(), 1);
        assert_eq!(ids(&store, ADA, &[]).len(), 4);
    }
}

#[test]
fn erasing_one_number_leaves_the_other_and_no_link_to_what_was_erased() {
    let store = Store::new("numbers-erased");
    in_order(
        &store,
        &[&with(person("1", ADA, "Okafor"), link("replaced-by", number(BEN))), &person("2", BEN, "Okafor")],
    );
    patients::erase(&store.database, &store.patient(ADA).key).unwrap();
    assert_eq!(ids(&store, BEN, &[ADA]), ["2"]);
    assert!(others(&store, BEN).is_empty());
    assert!(
        patients::find_blinded(&store.database, &store.database.keys().blind_number(&BEN.parse().unwrap()))
            .unwrap()
            .len()
            == 1
    );
}
