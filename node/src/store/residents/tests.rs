use careweave_protocol::id::NhsNumber;
use careweave_protocol::time::Date;
use rocksdb::WriteBatch;
use serde_json::json;

use super::super::tests::{NOW, Store};
use super::*;

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

fn number() -> NhsNumber {
    "9990010013".parse().unwrap()
}

fn moves_in() -> ResidentAdd {
    ResidentAdd {
        nhs_number: number(),
        birth_date: Date::new(1938, 3, 14).unwrap(),
        family: "Okafor".to_owned(),
        since: NOW,
        until: None,
        room: Some("14".to_owned()),
    }
}

fn write(store: &Store, change: Change) {
    let mut batch = WriteBatch::default();
    for (family, key, value) in change.rows {
        store.database.put(&mut batch, family, &key, &value).unwrap();
    }
    store.database.write_synced(batch).unwrap();
}

fn added(store: &Store, line: &ResidentAdd) {
    write(store, add(&store.database, line).unwrap().unwrap());
}

fn refused(store: &Store, line: &ResidentAdd) -> Unfit {
    add(&store.database, line).unwrap().err().unwrap()
}

fn left(store: &Store, at: Timestamp, now: Timestamp) -> Result<(), Unfit> {
    leave(&store.database, &ResidentLeave { nhs_number: number(), at }, now).unwrap().map(|change| write(store, change))
}

#[test]
fn a_resident_without_records_is_known_from_the_register_and_gone_when_erased() {
    let store = Store::new("resident-alone");
    added(&store, &moves_in());
    let listed = everybody(&store.database, false, NOW).unwrap();
    assert_eq!((listed.len(), listed[0].name.as_str(), listed[0].room.as_deref()), (1, "Okafor", Some("14")));
    let patient = store.patient("9990010013");
    let evidence = residency(&store.database, &patient, NOW).unwrap().unwrap();
    assert_eq!((evidence.len(), evidence[0].kind), (1, Relationship::Residency));

    patients::erase(&store.database, &patient.key).unwrap();
    assert!(everybody(&store.database, true, NOW).unwrap().is_empty());
    assert_eq!(store.database.scan(Family::Residents, &[]).unwrap().count(), 0);
}

#[test]
fn the_full_name_is_the_held_one_and_what_contradicts_the_held_record_is_not_entered() {
    let store = Store::new("resident-held");
    let ada = json!({
        "resourceType": "Patient", "id": "ada", "birthDate": "1938-03-14",
        "identifier": [{"system": careweave_protocol::record::code::NHS_NUMBER, "value": "9990010013"}],
        "name": [{"family": "Okafor", "given": ["Ada", "Ngozi"]}]
    });
    store.import(&[&ada.to_string()]);
    let other = ResidentAdd { birth_date: Date::new(1938, 3, 15).unwrap(), ..moves_in() };
    assert_eq!(refused(&store, &other), Unfit::Doubtful(Doubt::Contradicted));
    let other = ResidentAdd { family: "Okonkwo".to_owned(), ..moves_in() };
    assert!(matches!(refused(&store, &other), Unfit::Doubtful(Doubt::Probable(_))));
    assert!(everybody(&store.database, true, NOW).unwrap().is_empty());

    added(&store, &ResidentAdd { family: "OKAFOR".to_owned(), ..moves_in() });
    assert_eq!(everybody(&store.database, false, NOW).unwrap()[0].name, "Ada Ngozi Okafor");
    assert_eq!(store.patients("9990010013").len(), 1);
}

#[test]
fn stays_do_not_overlap_and_dates_are_in_order() {
    let store = Store::new("resident-dates");
    let respite = ResidentAdd { until: Some(NOW.after(DAY * 7)), ..moves_in() };
    assert_eq!(refused(&store, &ResidentAdd { until: Some(NOW), ..moves_in() }), Unfit::DatesReversed);
    assert_eq!(
        refused(&store, &ResidentAdd { since: Timestamp(-4_000_000_000_000), ..moves_in() }),
        Unfit::BeforeBirth
    );
    added(&store, &respite);
    assert_eq!(refused(&store, &moves_in()), Unfit::AlreadyResident);
    assert_eq!(refused(&store, &ResidentAdd { since: NOW.before(DAY), ..moves_in() }), Unfit::AlreadyResident);
    // The next stay begins when this one ends.
    added(&store, &ResidentAdd { since: NOW.after(DAY * 7), ..moves_in() });
    let patient = store.patient("9990010013");
    for (days, stays) in [(0, 1), (6, 1), (7, 1), (400, 1)] {
        let evidence = residency(&store.database, &patient, NOW.after(DAY * days)).unwrap().unwrap();
        assert_eq!(evidence.len(), stays, "day {days}");
    }
    assert_eq!(everybody(&store.database, true, NOW).unwrap().len(), 2);
    assert_eq!(everybody(&store.database, false, NOW).unwrap().len(), 1);
}

#[test]
fn whoever_left_is_no_resident_from_that_instant_and_may_come_again() {
    let store = Store::new("resident-leaves");
    assert_eq!(left(&store, NOW, NOW), Err(Unfit::NotResident));
    added(&store, &moves_in());
    let later = NOW.after(DAY);
    assert_eq!(left(&store, NOW.before(DAY), later), Err(Unfit::DatesReversed));
    left(&store, later, later).unwrap();
    let patient = store.patient("9990010013");
    assert_eq!(residency(&store.database, &patient, later).unwrap(), Some(Vec::new()), "the register says: not here");
    assert_eq!(left(&store, later, later), Err(Unfit::NotResident));
    added(&store, &ResidentAdd { since: later.after(DAY), ..moves_in() });
    assert_eq!(residency(&store.database, &patient, later.after(DAY)).unwrap().unwrap().len(), 1);
}

#[test]
fn a_stay_under_way_gets_another_end_without_being_entered_again() {
    let store = Store::new("resident-longer");
    added(&store, &ResidentAdd { until: Some(NOW.after(DAY * 7)), ..moves_in() });
    left(&store, NOW.after(DAY * 14), NOW.after(DAY)).unwrap();
    let patient = store.patient("9990010013");
    assert_eq!(residency(&store.database, &patient, NOW.after(DAY * 10)).unwrap().unwrap().len(), 1);
    assert_eq!(residency(&store.database, &patient, NOW.after(DAY * 14)).unwrap().unwrap().len(), 0);
}

#[test]
fn the_register_stays_silent_about_people_it_does_not_have() {
    let store = Store::new("resident-silent");
    added(&store, &ResidentAdd { nhs_number: "9990133484".parse().unwrap(), ..moves_in() });
    added(&store, &moves_in());
    let patient = store.patient("9990010013");
    assert!(residency(&store.database, &patient, NOW).unwrap().is_some());
    let held = patients::create(
        &store.database,
        Demographics { nhs_number: "9990256950".parse().unwrap(), ..patient.demographics.clone() },
    )
    .unwrap();
    assert_eq!(residency(&store.database, &held, NOW).unwrap(), None);
}
