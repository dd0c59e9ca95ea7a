use std::time::Duration;

use careweave_certs::keystore::{Algorithm, SoftwareKey};
use careweave_protocol::id::{NetworkId, NhsNumber};
use careweave_protocol::identity::StaffGroup;
use careweave_protocol::key::Signer as _;
use careweave_protocol::signed::Scope;
use careweave_protocol::time::Date;
use ring::rand::SystemRandom;
use rocksdb::WriteBatch;
use serde_json::{Value, json};

use super::super::tests::{ADA, BEN, NOW, Store, condition, own, person, with};
use super::*;

const DAY: Duration = Duration::from_secs(86_400);

/// A store with two medicines and a problem of Ada's, and a guardian.
struct Scene {
    store: Store,
    guardian: SoftwareKey,
    network: NetworkId,
}

impl Scene {
    fn new(name: &str) -> Self {
        let store = Store::new(name);
        let medicine =
            |id: &str, code: &str| medicine("MedicationRequest", id, json!({"medicationCodeableConcept": coded(code)}));
        let records = [
            person("ada", ADA, "Okafor"),
            person("ben", BEN, "Ellis"),
            medicine("one", "321787000"),
            medicine("two", "387458008"),
            condition("heart", json!({"reference": "Patient/ada"})),
        ];
        let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
        assert_eq!(store.import(&[&lines]).imported, 5);
        let guardian = SoftwareKey::generate(Algorithm::Ed25519, &SystemRandom::new()).unwrap();
        Self { store, guardian, network: "test".parse().unwrap() }
    }

    fn exception(
        &self,
        number: &str,
        record: (&str, &str),
        hidden: bool,
        at: Timestamp,
    ) -> Verified<MedicineException> {
        let exception = MedicineException {
            network: self.network.clone(),
            ods: own(),
            guardian: "ig".parse().unwrap(),
            nhs_number: number.parse::<NhsNumber>().unwrap(),
            resource_type: record.0.to_owned(),
            id: record.1.to_owned(),
            hidden,
            reason: "court-order".to_owned(),
            issued_at: at,
            expires_at: at.after(DAY * 30),
        };
        Signed::sign(&exception, Scope::network(&self.network), &self.guardian).unwrap()
    }

    fn credential(&self) -> Signed<StaffCredential> {
        let credential = StaffCredential {
            ods: own(),
            person: "ig".parse().unwrap(),
            name: "guardian".to_owned(),
            group: StaffGroup::Ig,
            sds_role: "R5105".to_owned(),
            registration: None,
            training_expires: Date::new(2027, 1, 1).unwrap(),
            scopes: Vec::new(),
            key: self.guardian.public_key().node_key().unwrap(),
            step_up: None,
            approvals: Vec::new(),
            not_before: NOW,
            not_after: NOW.after(DAY * 30),
        };
        Signed::sign(&credential, Scope::network(&self.network), &self.guardian).unwrap().into_signed()
    }

    fn kept(&self, exception: &Verified<MedicineException>) -> Result<(), Unfit> {
        let database = &self.store.database;
        keep(database, exception, &self.credential()).unwrap().map(|change| {
            let mut batch = WriteBatch::default();
            for (family, key, value) in change.rows {
                database.put(&mut batch, family, &key, &value).unwrap();
            }
            database.write_synced(batch).unwrap();
        })
    }

    fn hidden(&self, at: Timestamp) -> usize {
        hidden(&self.store.database, &self.store.patient(ADA), &self.store.headers(ADA), at).unwrap().len()
    }
}

fn coded(code: &str) -> Value {
    json!({"coding": [{"system": "http://snomed.info/sct", "code": code}]})
}

/// A medicine of Ada's of a kind that the feed states in the same words for all of them.
fn medicine(kind: &str, id: &str, more: Value) -> Value {
    with(
        json!({"resourceType": kind, "id": id, "status": "active", "intent": "order",
            "subject": {"reference": "Patient/ada"}, "category": coded("community")}),
        more,
    )
}

const ONE: (&str, &str) = ("MedicationRequest", "one");

#[test]
fn a_medicine_is_hidden_until_its_end_or_until_it_is_shown_again() {
    let scene = Scene::new("exception-ends");
    assert_eq!(scene.hidden(NOW), 0);
    scene.kept(&scene.exception(ADA, ONE, true, NOW)).unwrap();
    assert_eq!((scene.hidden(NOW), scene.hidden(NOW.after(DAY * 30))), (1, 0));
    let headers = scene.store.headers(ADA);
    let places = hidden(&scene.store.database, &scene.store.patient(ADA), &headers, NOW).unwrap();
    let place = places.into_iter().next().unwrap();
    let indexed = headers.into_iter().find(|indexed| indexed.place == place).unwrap();
    assert_eq!(indexed.header.id, "one");
    let listed = list(&scene.store.database, NOW).unwrap();
    assert_eq!((listed.len(), listed[0].record.as_str()), (1, "MedicationRequest/one"));

    let later = NOW.after(DAY);
    scene.kept(&scene.exception(ADA, ONE, false, later)).unwrap();
    assert_eq!(scene.hidden(later), 0);
    assert!(list(&scene.store.database, later).unwrap().is_empty());
    assert_eq!(scene.kept(&scene.exception(ADA, ONE, false, later.after(DAY))), Err(Unfit::NotHidden));
    // What was signed before its end does not hide it again.
    assert_eq!(scene.kept(&scene.exception(ADA, ONE, true, NOW)), Err(Unfit::Older));
    assert_eq!(scene.hidden(later), 0);
}

#[test]
fn with_a_medicine_every_other_record_of_the_same_drug_is_hidden_and_no_other() {
    let scene = Scene::new("exception-same-drug");
    let drug = |code: &str| json!({"medicationCodeableConcept": coded(code)});
    let by = |reference: &str| json!({"medicationReference": {"reference": reference}});
    let inside = json!({"contained": [{"resourceType": "Medication", "id": "in", "code": coded("321787000")}],
        "medicationReference": {"reference": "#in"}});
    let urn = "urn:uuid:0b3a6f9e-0000-4000-8000-000000000001";
    let records = [
        (None, medicine("MedicationDispense", "dispensed", drug("321787000"))),
        (None, medicine("MedicationStatement", "contained", inside)),
        (Some(urn), medicine("Medication", "filed", json!({"code": coded("321787000")}))),
        (None, medicine("MedicationAdministration", "given", by("Medication/filed"))),
        (None, medicine("MedicationRequest", "asked", by(urn))),
        (None, medicine("MedicationDispense", "other", drug("387458008"))),
        (
            None,
            medicine("MedicationStatement", "words", json!({"medicationCodeableConcept": {"text": "the same drug"}})),
        ),
    ];
    let entries: Vec<Value> = records.iter().map(|(url, r)| json!({"fullUrl": url, "resource": r})).collect();
    let report =
        scene.store.import(&[&json!({"resourceType": "Bundle", "type": "collection", "entry": entries}).to_string()]);
    assert_eq!((report.imported, report.bad), (7, 0), "{report:?}");
    let ids = |record| {
        scene.kept(&scene.exception(ADA, record, true, NOW)).unwrap();
        let headers = scene.store.headers(ADA);
        let places = hidden(&scene.store.database, &scene.store.patient(ADA), &headers, NOW).unwrap();
        let mut ids: Vec<String> =
            headers.into_iter().filter(|i| places.contains(&i.place)).map(|i| i.header.id).collect();
        ids.sort();
        ids.join(" ")
    };
    assert_eq!(scene.hidden(NOW), 0);
    // Hidden by what it refers to, it hides what has the coding, and the other way round.
    for record in [("MedicationRequest", "asked"), ONE] {
        assert_eq!(ids(record), "asked contained dispensed filed given one");
    }
    assert_eq!(ids(("MedicationStatement", "words")), "asked contained dispensed filed given one words");
}

#[test]
fn only_a_medicine_of_that_patient_can_be_hidden() {
    let scene = Scene::new("exception-whose");
    for (number, record) in [
        (BEN, ONE),
        (ADA, ("MedicationRequest", "three")),
        (ADA, ("MedicationStatement", "one")),
        (ADA, ("Condition", "heart")),
        ("9990256950", ONE),
    ] {
        assert_eq!(scene.kept(&scene.exception(number, record, true, NOW)), Err(Unfit::NoSuchMedicine), "{record:?}");
    }
    assert_eq!(scene.kept(&scene.exception(ADA, ONE, false, NOW)), Err(Unfit::NotHidden));
    assert_eq!(scene.hidden(NOW), 0);
}

#[test]
fn exceptions_go_with_the_patient() {
    let scene = Scene::new("exception-erased");
    scene.kept(&scene.exception(ADA, ONE, true, NOW)).unwrap();
    patients::erase(&scene.store.database, &scene.store.patient(ADA).key).unwrap();
    assert!(list(&scene.store.database, NOW).unwrap().is_empty());
    assert_eq!(scene.store.database.scan(Family::Exceptions, &[]).unwrap().count(), 0);
}
