use careweave_protocol::record::code::ODS;
use careweave_protocol::time::Timestamp;
use serde_json::{Value, json};

use crate::store::database::Family;
use crate::store::extract::EPISODE_KIND;
use crate::store::patients;
use crate::store::tests::{ADA, BEN, NOW, Store, condition, person, with};

fn organisation(ods: &str) -> Value {
    json!({"identifier": {"system": ODS, "value": ods}})
}

fn reference(reference: &str) -> Value {
    json!({"reference": reference})
}

fn about(kind: &str, id: &str, status: &str, more: Value) -> Value {
    let subject = reference("Patient/1");
    with(
        json!({"resourceType": kind, "id": id, "status": status, "subject": subject, "patient": subject, "for": subject}),
        more,
    )
}

fn referral(status: &str, performers: &[&str]) -> Value {
    let performers: Vec<Value> = performers.iter().map(|ods| organisation(ods)).collect();
    about(
        "ServiceRequest",
        "r",
        status,
        json!({"intent": "order", "performer": performers,
        "supportingInfo": [reference("Condition/a"), reference("Condition/b")]}),
    )
}

fn sent(store: &Store, number: &str, id: &str) -> String {
    store.header(number, id).sent_to.iter().map(|ods| ods.as_str()).collect::<Vec<_>>().join(" ")
}

fn import(store: &Store, resources: &[Value]) {
    for (step, resource) in (0..).zip(resources) {
        let report = store.import_at(Timestamp(NOW.0 + step), &[&resource.to_string()]);
        assert_eq!(report.bad, 0, "{report:?}");
    }
}

fn all(store: &Store) -> Vec<String> {
    let mut found: Vec<String> =
        store.headers(ADA).iter().map(|i| format!("{}:{}", i.header.id, sent(store, ADA, &i.header.id))).collect();
    found.sort();
    found
}

#[test]
fn what_a_referral_carries_is_sent_with_it_in_whatever_order_and_file_it_comes() {
    let patient = person("1", ADA, "Okafor");
    let carried = condition("a", reference("Patient/1"));
    let other = condition("x", reference("Patient/1"));
    let sent = referral("active", &["VL1"]);
    let mut orders = Vec::new();
    for first in 0..3 {
        for second in 0..3 {
            if first != second {
                let things = [&patient, &carried, &sent];
                orders.push(vec![things[first], things[second], things[3 - first - second], &other]);
            }
        }
    }
    let store = Store::new("sent-orders");
    for (place, order) in orders.into_iter().enumerate() {
        let apart: Vec<String> = order.iter().map(|resource| format!("{resource}\n")).collect();
        let entries: Vec<Value> = order.iter().map(|resource| json!({"resource": resource})).collect();
        let bundle = json!({"resourceType": "Bundle", "type": "collection", "entry": entries}).to_string();
        for (way, files) in [apart.clone(), vec![apart.concat()], vec![bundle]].into_iter().enumerate() {
            store.clear();
            let files: Vec<&str> = files.iter().map(String::as_str).collect();
            assert_eq!(store.import(&files).bad, 0);
            assert_eq!(all(&store), ["1:VL1", "a:VL1", "r:VL1", "x:"], "{place} {way}");
            // The same again, and a newer version of what was carried, change nothing of it.
            store.import_at(Timestamp(NOW.0 + 1), &files);
            import(&store, &[with(carried.clone(), json!({"onsetDateTime": "2020"}))]);
            assert_eq!(all(&store), ["1:VL1", "a:VL1", "r:VL1", "x:"], "{place} {way}");
        }
    }
}

#[test]
fn entries_of_a_bundle_are_found_by_their_urn_before_and_after_their_patient() {
    let urn = |n: u8| format!("urn:uuid:0b3a6f9e-0000-4000-8000-00000000000{n}");
    let entry = |n: u8, resource: Value| json!({"fullUrl": urn(n), "resource": resource});
    let nameless = |mut resource: Value| {
        resource.as_object_mut().unwrap().remove("id");
        resource
    };
    let carried = nameless(condition("", reference("Patient/1")));
    let sent = with(
        referral("active", &["VL1"]),
        json!({"supportingInfo": [reference(&urn(3))],
        "performer": [reference(&urn(4))]}),
    );
    let role = json!({"resourceType": "PractitionerRole", "organization": reference(&urn(5))});
    let organisation = json!({"resourceType": "Organization", "identifier": [{"system": ODS, "value": "VL1"}]});
    let store = Store::new("sent-urn");
    for (way, entries) in [
        vec![entry(2, sent.clone()), entry(3, carried.clone()), entry(4, role.clone()), entry(5, organisation.clone())],
        vec![entry(3, carried), entry(2, sent), entry(4, role), entry(5, organisation)],
    ]
    .into_iter()
    .enumerate()
    {
        let bundle = json!({"resourceType": "Bundle", "type": "collection", "entry": entries}).to_string();
        let patient = person("1", ADA, "Okafor").to_string();
        for (order, files) in [[&patient, &bundle], [&bundle, &patient]].into_iter().enumerate() {
            store.clear();
            assert_eq!(store.import(&files.map(String::as_str)).bad, 0);
            let codes: Vec<usize> = store.headers(ADA).iter().map(|i| i.header.sent_to.len()).collect();
            assert_eq!(codes, [1, 1, 1], "{way} {order} {:?}", all(&store));
        }
    }
}

#[test]
fn a_referral_taken_back_takes_back_what_it_carried_and_no_more() {
    let store = Store::new("sent-back");
    for status in ["revoked", "entered-in-error", "draft"] {
        store.clear();
        let second =
            with(referral("active", &["R9B"]), json!({"id": "s", "supportingInfo": [reference("Condition/a")]}));
        import(
            &store,
            &[
                person("1", ADA, "Okafor"),
                condition("a", reference("Patient/1")),
                condition("b", reference("Patient/1")),
                referral("active", &["VL1", "R9C"]),
                second,
            ],
        );
        assert_eq!(all(&store), ["1:R9B R9C VL1", "a:R9B R9C VL1", "b:R9C VL1", "r:R9C VL1", "s:R9B"]);
        // Completed, it was still sent; to one organisation less; and carrying less.
        import(&store, &[referral("completed", &["VL1"])]);
        assert_eq!(all(&store), ["1:R9B VL1", "a:R9B VL1", "b:VL1", "r:VL1", "s:R9B"]);
        import(&store, &[with(referral("active", &["VL1"]), json!({"supportingInfo": [reference("Condition/b")]}))]);
        assert_eq!(all(&store), ["1:R9B VL1", "a:R9B", "b:VL1", "r:VL1", "s:R9B"]);
        import(&store, &[referral(status, &["VL1"])]);
        assert_eq!(all(&store), ["1:R9B", "a:R9B", "b:", "r:", "s:R9B"]);
        import(&store, &[with(referral("active", &["R9A"]), json!({"meta": {"versionId": "9"}}))]);
        assert_eq!(all(&store), ["1:R9A R9B", "a:R9A R9B", "b:R9A", "r:R9A", "s:R9B"]);
    }
}

#[test]
fn each_kind_of_record_names_those_it_is_for() {
    let role = json!({"resourceType": "PractitionerRole", "id": "role", "organization": organisation("VL1")});
    let team = json!({"resourceType": "Organization", "id": "org", "identifier": [{"system": ODS, "value": "VL1"}]});
    let contained = json!([{"resourceType": "PractitionerRole", "id": "in", "organization": organisation("VL1")}]);
    let meeting = json!([{"coding": [{"system": EPISODE_KIND, "code": "meeting"}]}]);
    let task = json!({"owner": organisation("VL1"), "focus": reference("Condition/a"),
        "input": [{"valueReference": reference("Condition/b")}]});
    let store = Store::new("sent-kinds");
    for (record, a, b) in [
        (about("Task", "t", "requested", task.clone()), "VL1", "VL1"),
        (about("Task", "t", "rejected", task.clone()), "", ""),
        (about("Task", "t", "cancelled", task), "", ""),
        (about("Task", "t", "completed", json!({"requester": organisation("VL1")})), "", ""),
        (
            about(
                "Communication",
                "t",
                "completed",
                json!({"recipient": [reference("Organization/org")],
            "payload": [{"contentString": "x"}, {"contentReference": reference("Condition/a")}]}),
            ),
            "VL1",
            "",
        ),
        (
            about(
                "Communication",
                "t",
                "preparation",
                json!({"recipient": [reference("Organization/org")],
            "payload": [{"contentReference": reference("Condition/a")}]}),
            ),
            "",
            "",
        ),
        (
            about(
                "Appointment",
                "t",
                "booked",
                json!({"subject": null, "participant": [{"actor": reference("Patient/1")},
            {"actor": reference("PractitionerRole/role"), "status": "accepted"}]}),
            ),
            "",
            "",
        ),
        (
            about("CareTeam", "t", "active", json!({"participant": [{"member": reference("PractitionerRole/role")}]})),
            "",
            "",
        ),
        (about("CareTeam", "t", "active", json!({"participant": [{"onBehalfOf": organisation("VL1")}]})), "", ""),
        (
            about(
                "Encounter",
                "t",
                "finished",
                json!({"class": {"code": "VR"}, "type": meeting,
            "participant": [{"individual": reference("PractitionerRole/role")}]}),
            ),
            "",
            "",
        ),
        (
            about("ServiceRequest", "t", "active", json!({"contained": contained, "requester": reference("#in")})),
            "",
            "",
        ),
    ] {
        store.clear();
        import(
            &store,
            &[
                role.clone(),
                team.clone(),
                person("1", ADA, "Okafor"),
                condition("a", reference("Patient/1")),
                condition("b", reference("Patient/1")),
                record.clone(),
            ],
        );
        let back = ["rejected", "cancelled", "preparation"].iter().any(|status| record["status"] == *status);
        let own = if back { "" } else { "VL1" };
        assert_eq!(
            all(&store),
            [format!("1:{own}"), format!("a:{a}"), format!("b:{b}"), format!("t:{own}")],
            "{record}"
        );
    }
    let store = Store::new("sent-not");
    import(
        &store,
        &[
            role,
            person("1", ADA, "Okafor"),
            about(
                "Encounter",
                "e",
                "finished",
                json!({"class": {"code": "AMB"}, "participant": [{"individual": reference("PractitionerRole/role")}]}),
            ),
            about(
                "Appointment",
                "m",
                "booked",
                json!({"subject": null, "participant": [{"actor": reference("Patient/1")},
            {"actor": reference("PractitionerRole/role"), "status": "declined"}]}),
            ),
            about("CareTeam", "t", "inactive", json!({"managingOrganization": [organisation("VL1")]})),
        ],
    );
    assert_eq!(all(&store), ["1:", "e:", "m:", "t:"]);
}

#[test]
fn a_care_plan_goes_where_its_team_goes_whichever_comes_first() {
    let plan = about("CarePlan", "p", "active", json!({"intent": "plan", "careTeam": [reference("CareTeam/t")]}));
    let team =
        |status: &str, ods: &str| about("CareTeam", "t", status, json!({"managingOrganization": [organisation(ods)]}));
    let store = Store::new("sent-plan");
    for order in &[[plan.clone(), team("active", "VL1")], [team("active", "VL1"), plan.clone()]] {
        store.clear();
        import(&store, &[person("1", ADA, "Okafor")]);
        import(&store, order);
        assert_eq!(all(&store), ["1:VL1", "p:VL1", "t:VL1"]);
        import(&store, &[team("active", "R9B")]);
        assert_eq!(all(&store), ["1:R9B", "p:R9B", "t:R9B"]);
        import(&store, &[with(plan.clone(), json!({"careTeam": []}))]);
        assert_eq!(all(&store), ["1:R9B", "p:", "t:R9B"]);
        import(&store, &[plan.clone(), team("inactive", "R9B")]);
        assert_eq!(all(&store), ["1:", "p:", "t:"]);
    }
}

#[test]
fn a_referral_carries_nothing_of_another_patient_and_leaves_with_its_own() {
    let store = Store::new("sent-other");
    import(
        &store,
        &[
            person("1", ADA, "Okafor"),
            person("2", BEN, "Ellis"),
            condition("a", reference("Patient/2")),
            condition("b", reference("Patient/1")),
            referral("active", &["VL1"]),
        ],
    );
    assert_eq!((sent(&store, BEN, "a"), sent(&store, BEN, "2")), (String::new(), String::new()));
    assert_eq!(sent(&store, ADA, "b"), "VL1");
    // A newer version is about the other patient.
    let moved = with(
        referral("active", &["VL1"]),
        json!({"subject": reference("Patient/2"), "patient": null, "for": null,
        "meta": {"versionId": "2"}}),
    );
    import(&store, &[with(referral("active", &["VL1"]), json!({"meta": {"versionId": "1"}})), moved]);
    assert_eq!((sent(&store, BEN, "a"), sent(&store, BEN, "2")), ("VL1".to_owned(), "VL1".to_owned()));
    assert_eq!((sent(&store, ADA, "b"), sent(&store, ADA, "1")), (String::new(), String::new()));
    // After erasure everything is given anew.
    patients::erase(&store.database, &store.patient(BEN).key).unwrap();
    import(&store, &[person("2", BEN, "Ellis"), condition("a", reference("Patient/2"))]);
    assert_eq!((sent(&store, BEN, "a"), sent(&store, BEN, "2")), (String::new(), String::new()));
}

#[test]
fn an_organisation_knows_that_it_was_sent_something_however_many_others_were() {
    let store = Store::new("sent-many");
    let many: Vec<String> = (10..60).map(|n| format!("A{n}")).chain(["R9A".to_owned()]).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    import(&store, &[referral("active", &many), person("1", ADA, "Okafor")]);
    let codes = store.header(ADA, "r").sent_to;
    assert_eq!((codes.len(), codes[0].as_str()), (super::SENT_TO, "R9A"));
}

#[test]
fn whoever_left_a_care_team_is_given_nothing_of_it_any_more() {
    let period = |end: &str| json!({"start": "2024-01-01", "end": end});
    let store = Store::new("sent-left");
    let member = |ods: &str, end: &str| json!({"member": organisation(ods), "period": period(end)});
    let team = |more: Value| about("CareTeam", "t", "active", more);
    let plan = |team: Value| about("CarePlan", "t", "active", json!({"intent": "plan", "contained": [team]}));
    // NOW is noon on 2026-11-02: whoever is there until that day is there.
    let members = json!([member("VL1", "2026-11-01"), member("VL2", "2026-11-02"), {"member": organisation("VL3")}]);
    let over = json!({"participant": members, "period": period("2026-10-31")});
    for (record, given) in [
        (team(json!({"participant": members})), "VL2 VL3"),
        (team(over.clone()), ""),
        (
            plan(with(json!({"resourceType": "CareTeam", "status": "active"}), json!({"participant": members}))),
            "VL2 VL3",
        ),
        (plan(with(json!({"resourceType": "CareTeam", "status": "active"}), over)), ""),
        (plan(json!({"resourceType": "CareTeam", "status": "inactive", "participant": members})), ""),
    ] {
        store.clear();
        import(&store, &[person("1", ADA, "Okafor"), record.clone()]);
        assert_eq!(all(&store), [format!("1:{given}"), format!("t:{given}")], "{record}");
    }
    // A newer version takes back what the older one gave.
    store.clear();
    let still = json!({"participant": [{"member": organisation("VL1")}]});
    import(&store, &[person("1", ADA, "Okafor"), team(still)]);
    assert_eq!(all(&store), ["1:VL1", "t:VL1"]);
    import(&store, &[team(json!({"participant": [member("VL1", "2026-11-01")]}))]);
    assert_eq!(all(&store), ["1:", "t:"]);
}

#[test]
fn erasing_a_patient_leaves_no_row_of_what_was_sent_about_them() {
    let store = Store::new("sent-erased");
    let rows = || store.database.scan(Family::Sent, &[]).unwrap().count();
    let other = with(referral("active", &["VL1"]), json!({"id": "other", "subject": reference("Patient/2")}));
    import(&store, &[person("2", BEN, "Ellis"), other]);
    let of_ben = rows();
    import(&store, &[person("1", ADA, "Okafor"), condition("a", reference("Patient/1")), referral("active", &["VL2"])]);
    assert!(of_ben > 0 && rows() > of_ben);
    patients::erase(&store.database, &store.patient(ADA).key).unwrap();
    assert_eq!(rows(), of_ben);
    assert_eq!(sent(&store, BEN, "other"), "VL1");
}
