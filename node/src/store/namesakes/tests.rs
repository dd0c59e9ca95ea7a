use careweave_protocol::record::code::NHS_NUMBER;
use serde_json::{Value, json};

use super::has_namesake;
use crate::store::patients::{self, NUMBER_CHANGE};
use crate::store::tests::{ADA, BEN, Store, person, with};

fn namesake(store: &Store, number: &str) -> bool {
    has_namesake(&store.database, &store.patient(number)).unwrap()
}

fn import(store: &Store, patients: &[Value]) {
    for patient in patients {
        assert_eq!(store.import(&[&patient.to_string()]).bad, 0);
    }
}

#[test]
fn another_person_of_the_same_name_and_birth_date_is_a_namesake_living_or_dead() {
    let store = Store::new("namesakes");
    let ada = person("1", ADA, "Okafor");
    for (other, is_one) in [
        (person("2", BEN, "Okafor"), true),
        (person("2", BEN, "OKÁFOR"), true),
        (with(person("2", BEN, "Okafor"), json!({"deceasedDateTime": "2020-01-01"})), true),
        (
            with(person("2", BEN, "Eze"), json!({"name": [{"family": "Eze"}, {"use": "maiden", "family": "Okafor"}]})),
            true,
        ),
        (person("2", BEN, "Ellis"), false),
        (with(person("2", BEN, "Okafor"), json!({"birthDate": "1938-03-15"})), false),
        (with(person("2", BEN, "Okafor"), json!({"birthDate": "1938"})), false),
        (
            with(
                person("2", BEN, "Okafor"),
                json!({"link": [{"type": "replaces", "other": {"identifier": {"system": NHS_NUMBER, "value": ADA}}}]}),
            ),
            false,
        ),
    ] {
        for patients in [[ada.clone(), other.clone()], [other.clone(), ada.clone()]] {
            store.clear();
            import(&store, &patients);
            assert_eq!((namesake(&store, ADA), namesake(&store, BEN)), (is_one, is_one), "{other}");
        }
    }
}

#[test]
fn the_index_follows_corrections_and_erasure() {
    let store = Store::new("namesakes-follow");
    import(&store, &[person("1", ADA, "Okafor"), person("2", BEN, "Ellis")]);
    assert!(!namesake(&store, ADA));
    import(&store, &[person("2", BEN, "Okafor")]);
    assert!(namesake(&store, ADA));
    import(&store, &[with(person("2", BEN, "Okafor"), json!({"birthDate": "1940-01-01"}))]);
    assert!(!namesake(&store, ADA) && !namesake(&store, BEN));
    import(&store, &[person("2", BEN, "Okafor")]);
    assert!(namesake(&store, ADA) && namesake(&store, BEN));
    patients::erase(&store.database, &store.patient(BEN).key).unwrap();
    assert!(!namesake(&store, ADA));
    // Known by a register only, they count as well.
    let mut other = store.patient(ADA).demographics;
    other.nhs_number = BEN.parse().unwrap();
    patients::create(&store.database, other).unwrap();
    assert!(namesake(&store, ADA));
}

#[test]
fn the_two_sides_of_a_number_change_do_not_warn_of_each_other_and_a_second_entry_under_one_number_does() {
    let store = Store::new("namesakes-marked");
    let link = json!({"link": [{"type": "replaces", "other": {"identifier": {"system": NHS_NUMBER, "value": ADA}}}],
        "meta": {"tag": [{"system": NUMBER_CHANGE, "code": "gender-recognition"}]}});
    import(&store, &[person("1", ADA, "Okafor"), with(person("2", BEN, "Okafor"), link)]);
    assert!(!namesake(&store, ADA) && !namesake(&store, BEN));

    // The former Patient comes later and without a link: not marked, and told of from neither side.
    let store = Store::new("namesakes-marked-first");
    let mark = json!({"meta": {"tag": [{"system": NUMBER_CHANGE, "code": "adoption"}]}});
    import(&store, &[with(person("2", BEN, "Okafor"), mark), person("1", ADA, "Okafor")]);
    assert!(!store.patient(ADA).demographics.number_changed);
    assert!(!namesake(&store, ADA) && !namesake(&store, BEN));

    let store = Store::new("namesakes-twice");
    let local = |value: &str| json!({"identifier": [{"system": NHS_NUMBER, "value": ADA}, {"system": "urn:register", "value": value}]});
    import(&store, &[with(person("1", ADA, "Okafor"), local("1")), with(person("2", ADA, "Okafor"), local("2"))]);
    let twice = store.patients(ADA);
    assert_eq!(twice.len(), 2);
    assert!(twice.iter().all(|patient| has_namesake(&store.database, patient).unwrap()));
}
