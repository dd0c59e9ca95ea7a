//! A number of a new identity, by the own record: whatever a source knows, nothing in the view leads to or from another number.

use super::*;

const OTHER: &str = "9990380422";

fn changed(sources: &[SourceRecords]) -> View {
    let query = query();
    assemble(&Request { number_changed: true, ..request(&query) }, sources)
}

/// What a holder sends that has the number linked to the former one: both Patients, and records under each.
fn linked() -> SourceRecords {
    let link =
        |number: &str, kind: &str| json!([{"type": kind, "other": {"identifier": {"system": NHS, "value": number}}}]);
    let mut new = patient("1938-03-14");
    new["id"] = json!("new");
    new["link"] = link(OTHER, "replaces");
    new["identifier"] = json!([{"system": NHS, "value": "9990010013"}, {"system": NHS, "value": OTHER, "use": "old"}]);
    new["name"].as_array_mut().unwrap().push(json!({"use": "old", "family": "Okafor", "given": ["Formerly"]}));
    let mut old = patient("1938-03-14");
    old["id"] = json!("old");
    old["identifier"] = json!([{"system": NHS, "value": OTHER}]);
    old["name"] = json!([{"family": "Okafor", "given": ["Formerly"]}]);
    old["link"] = link("9990010013", "replaced-by");
    let by = |mut json: Value, subject: Value| {
        json["subject"] = subject;
        json
    };
    let numbered = |number: &str| json!({"identifier": {"system": NHS, "value": number}});
    let mut allergy = allergy("Penicillin", "severe");
    allergy["patient"] = numbered(OTHER);
    answered(
        "R9A",
        vec![
            record(Category::Demographics, &new),
            record(Category::Demographics, &old),
            record(Category::Problems, &by(problem("Asthma", "active", "2020"), numbered("9990010013"))),
            record(Category::Problems, &by(problem("Gout", "active", "2020"), numbered(OTHER))),
            record(Category::Problems, &by(problem("Angina", "active", "2020"), json!({"reference": "Patient/old"}))),
            record(Category::Problems, &by(problem("Eczema", "active", "2020"), json!({"reference": "Patient/new"}))),
            record(Category::Allergies, &allergy),
        ],
    )
}

fn problems(view: &View) -> Vec<&str> {
    let mut texts: Vec<&str> = view.rows(Category::Problems).iter().map(|row| row.text.as_str()).collect();
    texts.sort_unstable();
    texts
}

#[test]
fn a_source_that_links_a_number_of_a_new_identity_shows_nothing_of_the_other() {
    let view = changed(&[linked()]);
    let printed = serde_json::to_string(&view).unwrap();
    for trace in [OTHER, "999 038 0422", "Formerly"] {
        assert!(!printed.contains(trace), "{trace} in {printed}");
    }
    assert_eq!(problems(&view), ["Asthma", "Eczema"]);
    assert_eq!(view.rows(Category::Demographics).len(), 1);
    assert!(!warned(&view, Warning::NumberReplaced) && !warned(&view, Warning::SomebodyElse));
    assert_eq!(view.counts.about_somebody_else, 0);
    let allergies = view.absences.iter().find(|absence| absence.category == Category::Allergies).unwrap();
    assert_eq!(allergies.kind, "nothing-supplied", "what is not told of is not said to be absent");
    // A record of another birth date is somebody else's, and that is said.
    let other = changed(&[answered("R9A", vec![record(Category::Demographics, &patient("1951-07-02"))])]);
    assert!(warned(&other, Warning::SomebodyElse));
}

#[test]
fn without_a_new_identity_both_numbers_are_shown_and_said() {
    let view = view(&[linked()]);
    assert_eq!(problems(&view), ["Angina", "Asthma", "Eczema", "Gout"]);
    assert!(warned(&view, Warning::NumberReplaced));
    assert!(!warned(&view, Warning::SomebodyElse));
}

#[test]
fn what_is_released_beside_the_view_is_what_the_view_shows() {
    let (query, source) = (query(), linked());
    let released = |number_changed: bool| {
        let subject = Subject::of(&query.patient, &source.records, number_changed);
        let bodies = source.records.iter().filter_map(|record| subject.release(&record.body));
        bodies.map(|body| String::from_utf8(body).unwrap()).collect::<Vec<String>>()
    };
    let left = released(true);
    assert_eq!(left.len(), 3);
    assert!(left.iter().all(|body| !body.contains(OTHER) && !body.contains("Formerly")), "{left:?}");
    let whole: Vec<String> =
        source.records.iter().map(|record| String::from_utf8(record.body.clone()).unwrap()).collect();
    assert_eq!(released(false), whole, "records under a number that the source links are released as they came");
    for (number_changed, given) in [(true, None), (false, Some(b"{".to_vec()))] {
        assert_eq!(Subject::of(&query.patient, &[], number_changed).release(b"{"), given);
    }
}
