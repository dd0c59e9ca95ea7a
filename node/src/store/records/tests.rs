use careweave_protocol::query::evidence::Relationship;
use careweave_protocol::record::code::ODS;
use careweave_protocol::time::Timestamp;
use serde_json::{Value, json};

use super::relationships;
use crate::store::extract::EPISODE_KIND;
use crate::store::tests::{ADA, NOW, Store, own, person, with};

fn organisation(ods: &str) -> Value {
    json!({"identifier": {"system": ODS, "value": ods}})
}

/// A record about the patient with this status and period.
fn record(kind: &str, status: &str, period: Value, more: Value) -> Value {
    let about = json!({"reference": "Patient/1"});
    let mut record = json!({"resourceType": kind, "id": "r", "status": status, "subject": about, "patient": about});
    let element = if kind == "ServiceRequest" { "occurrencePeriod" } else { "period" };
    if !period.is_null() {
        record[element] = period;
    }
    with(record, more)
}

#[test]
fn each_kind_of_relationship_holds_while_it_is_open_and_not_before_or_after() {
    let home = json!({"type": [{"coding": [{"system": EPISODE_KIND, "code": "residency"}]}], "managingOrganization": organisation("R9A")});
    let stay = json!({"class": {"code": "IMP"}, "serviceProvider": organisation("R9A")});
    let referral = json!({"performer": [organisation("R9A")], "authoredOn": "2026-10-01"});
    let team = json!({"managingOrganization": [organisation("R9A")]});
    let member = json!({"participant": [{"member": {"display": "nurse"}, "onBehalfOf": organisation("R9A")}]});
    let none = Value::Null;
    let store = Store::new("relationship-kinds");
    let since = json!({"start": "2026-10-01"});
    let over = json!({"start": "2026-10-01", "end": "2026-11-01"});
    let respite = json!({"start": "2026-11-01", "end": "2026-11-09"});
    let future = json!({"start": "2026-12-01"});
    for (kind, status, period, more, expected) in [
        ("Encounter", "in-progress", &since, &stay, Some(Relationship::OpenEpisode)),
        ("Encounter", "onleave", &none, &stay, Some(Relationship::OpenEpisode)),
        ("Encounter", "in-progress", &over, &stay, None),
        ("Encounter", "in-progress", &future, &stay, None),
        ("Encounter", "finished", &over, &stay, None),
        ("Encounter", "finished", &since, &stay, None),
        ("Encounter", "cancelled", &none, &stay, None),
        ("Encounter", "planned", &since, &stay, None),
        (
            "Encounter",
            "in-progress",
            &since,
            &json!({"serviceProvider": organisation("R9A01")}),
            Some(Relationship::OpenEpisode),
        ),
        ("Encounter", "in-progress", &since, &json!({"serviceProvider": organisation("R9B")}), None),
        (
            "Encounter",
            "in-progress",
            &since,
            &json!({"serviceProvider": {"display": "ward"}}),
            Some(Relationship::OpenEpisode),
        ),
        ("EpisodeOfCare", "active", &since, &json!({}), Some(Relationship::OpenEpisode)),
        ("EpisodeOfCare", "active", &none, &json!({}), Some(Relationship::OpenEpisode)),
        ("EpisodeOfCare", "active", &over, &json!({}), None),
        ("EpisodeOfCare", "onhold", &since, &json!({}), None),
        ("EpisodeOfCare", "finished", &over, &json!({}), None),
        ("EpisodeOfCare", "active", &since, &home, Some(Relationship::Residency)),
        ("EpisodeOfCare", "onhold", &since, &home, Some(Relationship::Residency)),
        ("EpisodeOfCare", "active", &respite, &home, Some(Relationship::Residency)),
        ("EpisodeOfCare", "active", &over, &home, None),
        ("EpisodeOfCare", "finished", &over, &home, None),
        (
            "EpisodeOfCare",
            "active",
            &since,
            &with(home.clone(), json!({"managingOrganization": organisation("VL1")})),
            None,
        ),
        ("ServiceRequest", "active", &none, &referral, Some(Relationship::Referral)),
        ("ServiceRequest", "active", &future, &referral, Some(Relationship::Referral)),
        ("ServiceRequest", "active", &over, &referral, None),
        ("ServiceRequest", "completed", &none, &referral, None),
        ("ServiceRequest", "revoked", &none, &referral, None),
        ("ServiceRequest", "active", &none, &json!({"performer": [organisation("R9B")]}), None),
        (
            "ServiceRequest",
            "active",
            &none,
            &json!({"requester": organisation("R9A"), "performer": [organisation("R9B")]}),
            None,
        ),
        ("CareTeam", "active", &since, &team, Some(Relationship::Caseload)),
        ("CareTeam", "active", &none, &member, Some(Relationship::Caseload)),
        ("CareTeam", "active", &over, &team, None),
        ("CareTeam", "active", &future, &team, None),
        ("CareTeam", "inactive", &since, &team, None),
        ("CareTeam", "proposed", &none, &team, None),
        ("CareTeam", "active", &since, &json!({"managingOrganization": [organisation("R9B")]}), None),
    ] {
        store.clear();
        let elsewhere = with(person("1", ADA, "Okafor"), json!({"generalPractitioner": []}));
        let record = record(kind, status, period.clone(), more.clone());
        assert_eq!(store.import(&[&elsewhere.to_string(), &record.to_string()]).bad, 0);
        let found = relationships(&store.database, &store.patient(ADA), &own(), NOW).unwrap();
        assert_eq!(
            found.iter().map(|e| e.kind).collect::<Vec<_>>(),
            expected.into_iter().collect::<Vec<_>>(),
            "{record}"
        );
    }
}

#[test]
fn a_practice_is_one_until_the_patient_has_another_and_a_hospital_stay_ends_no_residency() {
    let store = Store::new("relationship-practice");
    let kinds = |now: Timestamp| -> Vec<Relationship> {
        relationships(&store.database, &store.patient(ADA), &own(), now).unwrap().iter().map(|e| e.kind).collect()
    };
    store.import(&[&person("1", ADA, "Okafor").to_string()]);
    assert_eq!(kinds(NOW), [Relationship::RegisteredPractice]);
    assert!(kinds(Timestamp(NOW.0 - 1)).is_empty());
    let elsewhere = with(person("1", ADA, "Okafor"), json!({"generalPractitioner": [organisation("Y91001")]}));
    store.import(&[&elsewhere.to_string()]);
    assert!(kinds(NOW).is_empty());

    let home = json!({"id": "home", "type": [{"coding": [{"system": EPISODE_KIND, "code": "residency"}]}]});
    let hospital = json!({"id": "h", "class": {"code": "IMP"}, "serviceProvider": organisation("R9B")});
    let since = json!({"start": "2026-10-01"});
    store.import(&[
        &record("EpisodeOfCare", "active", json!({"start": "2024-01-01"}), home).to_string(),
        &record("Encounter", "in-progress", since, hospital).to_string(),
    ]);
    assert_eq!(kinds(NOW), [Relationship::Residency]);
}
