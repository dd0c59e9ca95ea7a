use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use careweave_protocol::audit::{AuditEntry, EntryKind};
use careweave_protocol::desk::import::ImportReport;
use careweave_protocol::id::{NetworkId, NhsNumber, OdsCode};
use careweave_protocol::key::{KeyError, PublicKey, Signer};
use careweave_protocol::query::evidence::Relationship;
use careweave_protocol::record::code::{NHS_NUMBER, ODS};
use careweave_protocol::record::{Category, Form, Header, merkle};
use careweave_protocol::time::Timestamp;
use ring::signature::{Ed25519KeyPair, KeyPair};
use rocksdb::WriteBatch;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::database::{Database, Family};
use super::import::Importer;
use super::patients::{self, OpenPatient};
use super::records::{self, Indexed, ReadError};
use super::seal::KeyEncryptionKey;
use crate::answer::permit::{Grant, Permit, Selected};
use crate::audit::{Append, AuditLog};

/// When imports of the tests begin: 2026-11-02T12:00:00Z.
pub(super) const NOW: Timestamp = Timestamp(1_793_620_800_000);

/// A store in a directory that goes with the test.
pub(super) struct Store {
    dir: PathBuf,
    pub(super) database: Database,
}

impl Store {
    pub(super) fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("careweave-store-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&dir));
        let database = Database::open(&dir, &KeyEncryptionKey::new(Zeroizing::new([1; 32]))).unwrap();
        Self { dir, database }
    }

    /// Imports texts as files, an import of its own beginning at `now`.
    pub(super) fn import_at(&self, now: Timestamp, files: &[&str]) -> ImportReport {
        let mut importer = Importer::new(&self.database, &own(), now);
        for (place, text) in files.iter().enumerate() {
            importer.file(&format!("file {place}"), text.as_bytes()).unwrap();
        }
        importer.finish().unwrap()
    }

    pub(super) fn import(&self, files: &[&str]) -> ImportReport {
        self.import_at(NOW, files)
    }

    pub(super) fn patient(&self, number: &str) -> OpenPatient {
        let mut found = self.patients(number);
        assert_eq!(found.len(), 1);
        found.remove(0)
    }

    pub(super) fn patients(&self, number: &str) -> Vec<OpenPatient> {
        patients::find(&self.database, &number.parse::<NhsNumber>().unwrap()).unwrap()
    }

    pub(super) fn headers(&self, number: &str) -> Vec<Indexed> {
        records::headers(&self.database, &self.patient(number)).unwrap()
    }

    pub(super) fn header(&self, number: &str, id: &str) -> Header {
        let found = self.headers(number).into_iter().find(|indexed| indexed.header.id == id);
        found.unwrap_or_else(|| panic!("no record {id}")).header
    }

    /// A form of a record, unpacked.
    pub(super) fn form(&self, number: &str, id: &str, form: Form) -> Option<String> {
        let patient = self.patient(number);
        let indexed = self.headers(number).into_iter().find(|indexed| indexed.header.id == id).unwrap();
        let stated = indexed.header.form(form)?.to_owned();
        let body =
            records::body(&self.database, &patient.key, &patient.data_key, &indexed.place, form).unwrap().unwrap();
        assert_eq!(stated.leaf, merkle::leaf(indexed.header.category, form, indexed.header.imported, &body));
        assert_eq!(usize::try_from(stated.bytes).unwrap(), body.len());
        Some(String::from_utf8(super::forms::unpack(&body).unwrap()).unwrap())
    }

    /// Erases whoever is held under the numbers of these tests, so that one store serves several cases.
    pub(super) fn clear(&self) {
        for patient in [ADA, BEN].iter().flat_map(|number| self.patients(number)) {
            patients::erase(&self.database, &patient.key).unwrap();
        }
    }

    /// Every byte of the store's files.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut dirs = vec![self.dir.clone()];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()) {
                if entry.is_dir() { dirs.push(entry) } else { bytes.extend(std::fs::read(entry).unwrap()) }
            }
        }
        bytes
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

pub(super) fn own() -> OdsCode {
    "R9A".parse().unwrap()
}

pub(super) const ADA: &str = "9990010013";
pub(super) const BEN: &str = "9990133484";

/// A Patient of this number.
pub(super) fn person(id: &str, number: &str, family: &str) -> Value {
    json!({
        "resourceType": "Patient", "id": id, "birthDate": "1938-03-14",
        "identifier": [{"system": NHS_NUMBER, "value": number}],
        "name": [{"use": "official", "family": family, "given": ["Ada"]}],
        "address": [{"line": ["Room 14, 12 Lavender Quay Road"], "city": "Bermondsey", "postalCode": "SE16 4AV"}],
        "generalPractitioner": [{"identifier": {"system": ODS, "value": "R9A"}}]
    })
}

/// A Condition about a reference.
pub(super) fn condition(id: &str, subject: Value) -> Value {
    json!({"resourceType": "Condition", "id": id, "subject": subject,
           "code": {"coding": [{"system": "http://snomed.info/sct", "code": "84114007"}]}})
}

/// With fields changed or added.
pub(super) fn with(mut resource: Value, fields: Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        resource[name] = value.clone();
    }
    resource
}

fn lines(resources: &[Value]) -> String {
    resources.iter().map(|r| format!("{r}\n")).collect()
}

struct Key(Ed25519KeyPair);

impl Signer for Key {
    fn public_key(&self) -> PublicKey {
        PublicKey::Ed25519(self.0.public_key().as_ref().try_into().unwrap())
    }
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

/// A permit to read the full form of everything in `headers`, from a log in the store.
pub(super) fn permit(store: &Store, patient: &OpenPatient, headers: &[Indexed]) -> Permit {
    let selected: Vec<Selected> = headers
        .iter()
        .map(|indexed| {
            let form = indexed.header.form(Form::Full).unwrap();
            let (place, category) = (indexed.place, indexed.header.category);
            let taken_in = indexed.header.imported;
            Selected { place, category, form: Form::Full, taken_in, leaf: form.leaf, bytes: form.bytes }
        })
        .collect();
    let leaves: Vec<_> = selected.iter().map(|s| s.leaf).collect();
    let grant = Grant { patient: patient.key, root: merkle::root(&leaves), selected };
    let network: NetworkId = "test-net".parse().unwrap();
    let key = Arc::new(Key(Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap()));
    let log = AuditLog::open(store.database.clone(), &network, &own(), key, &[]).unwrap();
    let mut entry = AuditEntry::new(EntryKind::Decision, NOW, own(), "answered");
    entry.root = Some(grant.root);
    let receipt = log.append_blocking(Append::new(entry)).unwrap();
    Permit::new(grant, &receipt).unwrap()
}

#[test]
fn what_a_permit_allows_is_read_in_its_order_and_nothing_for_another_patient() {
    let store = Store::new("permit");
    let about = |id| condition(id, json!({"reference": "Patient/1"}));
    store.import(&[&lines(&[person("1", ADA, "Okafor"), person("2", BEN, "Ellis"), about("a"), about("b")])]);
    let patient = store.patient(ADA);
    let mut headers = store.headers(ADA);
    headers.reverse();
    let permit = permit(&store, &patient, &headers);

    let mut read = Vec::new();
    records::read(&store.database, &permit, &patient, |selected, body| {
        assert_eq!(merkle::leaf(selected.category, selected.form, selected.taken_in, &body), selected.leaf);
        read.push(selected.place);
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(read, headers.iter().map(|h| h.place).collect::<Vec<_>>());

    let mut count = 0;
    records::read(&store.database, &permit, &patient, |_, _| {
        count += 1;
        ControlFlow::Break(())
    })
    .unwrap();
    assert_eq!(count, 1);
    let other = records::read(&store.database, &permit, &store.patient(BEN), |_, _| ControlFlow::Continue(()));
    assert!(matches!(other, Err(ReadError::OtherPatient)));
}

#[test]
fn a_body_of_another_length_than_its_header_is_an_error() {
    let store = Store::new("length");
    store.import(&[&lines(&[person("1", ADA, "Okafor"), condition("a", json!({"reference": "Patient/1"}))])]);
    let (patient, headers) = (store.patient(ADA), store.headers(ADA));
    let permit = permit(&store, &patient, &headers);
    let key = records::form_key(&patient.key, &headers[0].place, Form::Full);
    let mut batch = WriteBatch::default();
    let sealed = patient.data_key.seal(Family::Forms, &key, b"another body").unwrap();
    store.database.put(&mut batch, Family::Forms, &key, &sealed).unwrap();
    store.database.write_synced(batch).unwrap();
    let read = records::read(&store.database, &permit, &patient, |_, _| ControlFlow::Continue(()));
    assert!(matches!(read, Err(ReadError::Length { .. })), "{read:?}");
}

#[test]
fn headers_come_by_category_newest_first() {
    let store = Store::new("order");
    let dated = |id, date: &str| with(condition(id, json!({"reference": "Patient/1"})), json!({"onsetDateTime": date}));
    store.import(&[&lines(&[
        person("1", ADA, "Okafor"),
        dated("old", "1990"),
        condition("undated", json!({"reference": "Patient/1"})),
        dated("new", "2026-10-01"),
    ])]);
    let ids: Vec<String> = store.headers(ADA).into_iter().map(|h| h.header.id).collect();
    assert_eq!(ids, ["1", "undated", "new", "old"]);
}

#[test]
fn no_file_of_the_store_shows_a_number_a_name_or_an_id() {
    let store = Store::new("blind");
    let secrets = [ADA, "Okafor", "Lavender", "84114007", "Condition", "secret-id", "waiting-for"];
    let parked = condition("parked", json!({"reference": "Patient/waiting-for"}));
    store.import(&[&lines(&[
        person("secret-id", ADA, "Okafor"),
        condition("a", json!({"reference": "Patient/secret-id"})),
        parked,
    ])]);
    let bytes = store.bytes();
    assert!(bytes.len() > 1_000);
    for secret in secrets {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} is on disk");
    }
}

#[test]
fn erasing_a_patient_leaves_nothing_that_opens_and_no_other_patient_is_touched() {
    let store = Store::new("erase");
    let text = lines(&[
        person("1", ADA, "Okafor"),
        person("2", BEN, "Ellis"),
        condition("a", json!({"reference": "Patient/1"})),
        condition("b", json!({"reference": "Patient/2"})),
    ]);
    store.import(&[&text]);
    let ada = store.patient(ADA);
    patients::erase(&store.database, &ada.key).unwrap();
    assert!(store.patients(ADA).is_empty());
    assert!(patients::open(&store.database, &ada.key).unwrap().is_none());
    assert!(records::headers(&store.database, &ada).unwrap().is_empty());
    assert_eq!(store.headers(BEN).len(), 2);
    // The feed still holds the patient: they come back as somebody new, complete.
    let again = store.import(&[&text]);
    assert_eq!((again.imported, again.files[0].unchanged), (2, 2));
    assert_ne!(store.patient(ADA).key, ada.key);
    assert_eq!(store.headers(ADA).len(), 2);
}

#[test]
fn relationships_come_from_the_own_records_and_end_with_them() {
    let store = Store::new("relationships");
    let subject = json!({"reference": "Patient/1"});
    let episode = |id: &str, kind: &str, status: &str, period: Value| {
        json!({"resourceType": "EpisodeOfCare", "id": id, "status": status, "patient": subject, "period": period,
               "type": [{"coding": [{"system": super::extract::EPISODE_KIND, "code": kind}]}]})
    };
    let referral = |id: &str, status: &str, ods: &str| {
        json!({"resourceType": "ServiceRequest", "id": id, "status": status, "intent": "order", "subject": subject,
               "authoredOn": "2026-10-01", "performer": [{"identifier": {"system": ODS, "value": ods}}]})
    };
    store.import(&[&lines(&[
        person("1", ADA, "Okafor"),
        json!({"resourceType": "Encounter", "id": "e", "status": "in-progress", "class": {"code": "IMP"}, "subject": subject,
               "period": {"start": "2026-11-01"}}),
        episode("home", "residency", "active", json!({"start": "2025-01-01"})),
        referral("r", "active", "R9A"),
    ])]);
    let kinds = |store: &Store, now| -> Vec<Relationship> {
        let patient = store.patient(ADA);
        records::relationships(&store.database, &patient, &own(), now).unwrap().iter().map(|e| e.kind).collect()
    };
    let all =
        [Relationship::RegisteredPractice, Relationship::Referral, Relationship::OpenEpisode, Relationship::Residency];
    assert_eq!(kinds(&store, NOW), all);
    store.import(&[&lines(&[
        with(person("1", ADA, "Okafor"), json!({"generalPractitioner": [{"identifier": {"system": ODS, "value": "Y91001"}}]})),
        json!({"resourceType": "Encounter", "id": "e", "status": "finished", "class": {"code": "IMP"}, "subject": subject,
               "period": {"start": "2026-11-01", "end": "2026-11-02"}}),
        episode("home", "residency", "finished", json!({"start": "2025-01-01", "end": "2026-10-01"})),
        referral("r", "active", "R9C"),
    ])]);
    assert_eq!(kinds(&store, NOW), []);
    let respite = episode("home", "residency", "active", json!({"start": "2026-10-30", "end": "2026-11-09"}));
    store.import(&[&respite.to_string()]);
    assert_eq!(kinds(&store, NOW), [Relationship::Residency]);
    assert_eq!(kinds(&store, Timestamp(NOW.0 + 30 * 86_400_000)), []);
}

#[test]
fn categories_and_labels_follow_the_one_table() {
    use super::classify::classify;
    let coded = |kind: &str, element: &str, system: &str, code: &str| json!({"resourceType": kind, element: [{"coding": [{"system": system, "code": code}]}]});
    let (snomed, loinc) = ("http://snomed.info/sct", "http://loinc.org");
    let document = |code: &str, inside: Value| {
        json!({"resourceType": "Bundle", "type": "document", "entry": [
            {"resource": coded("Composition", "type", snomed, code)}, {"resource": inside}]})
    };
    for (resource, category) in [
        (coded("Flag", "category", "any", "safeguarding"), Category::Safeguarding),
        (coded("Flag", "category", "any", "clinical"), Category::Flags),
        (coded("Flag", "code", snomed, "450476008"), Category::AdvanceCare),
        (coded("Condition", "code", snomed, "450476008"), Category::AdvanceCare),
        (
            coded("Consent", "category", "http://terminology.hl7.org/CodeSystem/consentcategorycodes", "dnr"),
            Category::AdvanceCare,
        ),
        (coded("Consent", "scope", "any", "patient-privacy"), Category::Other),
        (coded("DocumentReference", "type", snomed, "373942005"), Category::Discharge),
        (coded("Composition", "type", loinc, "18842-5"), Category::Discharge),
        (coded("DocumentReference", "type", loinc, "57133-1"), Category::Letters),
        (coded("ServiceRequest", "category", loinc, "57133-1"), Category::Referrals),
        (coded("DocumentReference", "type", loinc, "34117-2"), Category::Other),
        (document("371535009", json!({"resourceType": "Condition"})), Category::RedBag),
        (document("196981000000101", coded("Flag", "code", snomed, "450476008")), Category::Other),
        (document("373942005", coded("Flag", "category", "any", "safeguarding")), Category::Safeguarding),
        (
            json!({"resourceType": "QuestionnaireResponse",
                "questionnaire": "https://careweave.example/fhir/Questionnaire/experience"}),
            Category::Experience,
        ),
        (coded("CarePlan", "category", super::classify::SOCIAL_CARE, "care-package"), Category::SocialCare),
        (coded("Observation", "category", "any", "laboratory"), Category::Results),
        (coded("Observation", "category", "any", "vital-signs"), Category::Vitals),
        (coded("Observation", "code", snomed, "713634000"), Category::Assessments),
        (coded("Observation", "category", "any", "social-history"), Category::Other),
        (coded("DiagnosticReport", "category", "any", "RAD"), Category::Imaging),
        (coded("DiagnosticReport", "category", "any", "LAB"), Category::Results),
        (json!({"resourceType": "Medication"}), Category::Medications),
        (json!({"resourceType": "Claim"}), Category::Other),
    ] {
        assert_eq!(classify(&resource).category, category, "{resource}");
    }

    let confidentiality = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
    let act = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
    let seal = super::classify::SEAL;
    let labelled = |kind: &str, security: &[(&str, &str)]| {
        let codings: Vec<Value> =
            security.iter().map(|(system, code)| json!({"system": system, "code": code})).collect();
        json!({"resourceType": kind, "meta": {"security": codings}})
    };
    for (security, shown) in [
        (&[(act, "PSY"), (confidentiality, "N")][..], "{Psy}"),
        (&[(confidentiality, "R"), (act, "HIV")], "{Hiv, Restricted}"),
        (&[(confidentiality, "V")], "{VeryRestricted}"),
        (&[(confidentiality, "V"), (seal, "patient")], "{Sealed}"),
        (&[(seal, "legal")], "{Legal}"),
        (&[(confidentiality, "V"), (seal, "even-in-emergency")], "{Legal}"),
        (&[(act, "TBOO")], "{Restricted}"),
        (&[("urn:other", "R")], "{}"),
    ] {
        assert_eq!(format!("{:?}", classify(&labelled("Condition", security)).labels), shown);
    }
    let inside = document("373942005", labelled("Condition", &[(act, "STD")]));
    assert_eq!(format!("{:?}", classify(&inside).labels), "{Std}");
    // Where somebody lives is restricted by forms, not by hiding who they are.
    assert!(classify(&labelled("Patient", &[(confidentiality, "R")])).labels.is_empty());
}

#[test]
fn data_is_current_to_the_last_import_or_to_what_the_feed_states() {
    let store = Store::new("currency");
    let current = || records::data_to(&store.database).unwrap();
    assert_eq!(current(), None);
    store.import(&["not json"]);
    assert_eq!(current(), None);
    let entry = json!([{"resource": person("1", ADA, "Okafor")}]);
    let stated = Timestamp(NOW.0 - 1_000);
    let bundle = json!({"resourceType": "Bundle", "type": "collection", "timestamp": stated.rfc3339(), "entry": entry});
    store.import(&[&bundle.to_string()]);
    assert_eq!(current(), Some(stated));
    store.import(&[&json!({"resourceType": "Bundle", "type": "collection", "entry": entry}).to_string()]);
    assert_eq!(current(), Some(NOW));
}
