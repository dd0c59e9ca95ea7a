use careweave_protocol::query::Cause;
use std::time::Duration;

use super::*;

fn source(ods: &str, outcome: Option<SourceOutcome>, open: &[Category]) -> SourceRecords {
    SourceRecords {
        ods: ods.parse().unwrap(),
        name: format!("name of {ods}"),
        own: false,
        local: false,
        outcome,
        open: open.to_vec(),
        ms: 10,
        data_to: None,
        feed_interval: None,
        medicines_not_shown: 0,
        outside_period: 0,
        duty_contact: Some("020 7946 0000".to_owned()),
        records: Vec::new(),
    }
}

const A: &[Category] = &[Category::Allergies];

fn answered(ods: &str, open: &[Category]) -> SourceRecords {
    source(ods, Some(SourceOutcome::Answered), open)
}

fn said(sources: &[SourceRecords]) -> (String, String) {
    said_of(Category::Allergies, &[], sources, &Period::default())
}

fn said_of(
    category: Category,
    rejected: &[(usize, Category)],
    sources: &[SourceRecords],
    period: &Period,
) -> (String, String) {
    let absence = absences([category].into_iter(), &BTreeMap::new(), rejected, sources, period).remove(0);
    (absence.kind, absence.text)
}

#[test]
fn absence_is_never_shown_as_a_negative() {
    let nothing = || source("R9C", Some(SourceOutcome::NothingShareable), &[]);
    let refused = || source("R9X", Some(SourceOutcome::Refused(Cause::QueryStale)), &[]);
    let not_asked = || source("G9V", Some(SourceOutcome::NotAsked(NotAsked::HoldsNoRecords)), &[]);
    let late = || source("R9M", Some(SourceOutcome::Timeout), &[]);
    let partial = || source("R9M", Some(SourceOutcome::AnsweredPartial), A);
    let none = "nothing-supplied";
    for (sources, kind, text) in [
        (
            vec![answered("A1", A), answered("A2", A), answered("A3", A), nothing(), refused(), not_asked()],
            "none-recorded",
            "Allergies: none recorded at 3 of 5 sources. This does NOT mean none elsewhere.",
        ),
        (
            vec![nothing(), nothing(), nothing(), refused(), nothing()],
            none,
            "Allergies: nothing supplied by 5 sources. This does NOT mean none.",
        ),
        (
            vec![answered("A1", A), late()],
            none,
            "Allergies: nothing supplied by 2 sources. This does NOT mean none. 1 of them was not reached.",
        ),
        (
            vec![answered("A1", A), answered("A2", A), answered("A3", A), late(), late()],
            none,
            "Allergies: nothing supplied by 5 sources. This does NOT mean none. 2 of them were not reached.",
        ),
        (
            vec![answered("A1", A), partial()],
            none,
            "Allergies: nothing supplied by 2 sources. This does NOT mean none.",
        ),
        (
            vec![answered("A1", A), source("A2", None, &[])],
            none,
            "Allergies: nothing supplied by 2 sources. This does NOT mean none. 1 of them is still being asked.",
        ),
        (vec![answered("A1", &[])], none, "Allergies: nothing supplied by 1 source. This does NOT mean none."),
        (vec![answered("A1", A)], "none-recorded", "Allergies: none recorded at 1 of 1 source."),
        (vec![not_asked()], none, "Allergies: nothing supplied by 0 sources. This does NOT mean none."),
        (vec![], none, "Allergies: nothing supplied by 0 sources. This does NOT mean none."),
    ] {
        assert_eq!(said(&sources), (kind.to_owned(), text.to_owned()));
    }
}

#[test]
fn none_recorded_is_not_said_where_something_was_withheld_left_out_or_not_asked_for() {
    let open = [Category::Medications, Category::Letters, Category::Allergies];
    let since = Period { since: Some(Timestamp(0)), until: None };
    let always = Period::default();
    let hiding = || SourceRecords { medicines_not_shown: 1, ..answered("A1", &open) };
    for (category, rejected, sources, period, text) in [
        (
            Category::Medications,
            vec![],
            vec![hiding()],
            always,
            "Medications: nothing supplied by 1 source. This does NOT mean none.",
        ),
        (
            Category::Medications,
            vec![],
            vec![hiding(), answered("A2", &open)],
            always,
            "Medications: none recorded at 1 of 2 sources. This does NOT mean none elsewhere.",
        ),
        (Category::Allergies, vec![], vec![hiding()], always, "Allergies: none recorded at 1 of 1 source."),
        (
            Category::Letters,
            vec![(0, Category::Letters)],
            vec![answered("A1", &open)],
            always,
            "Letters: nothing supplied by 1 source. This does NOT mean none.",
        ),
        (
            Category::Letters,
            vec![],
            vec![answered("A1", &open)],
            since,
            "Letters: none recorded at 1 of 1 source for the dates asked for.",
        ),
        (Category::Allergies, vec![], vec![answered("A1", &open)], since, "Allergies: none recorded at 1 of 1 source."),
    ] {
        assert_eq!(said_of(category, &rejected, &sources, &period).1, text);
    }
}

#[test]
fn all_replied_counts_refusals_and_not_those_that_were_not_asked() {
    for (outcome, all) in [
        (Some(SourceOutcome::Answered), true),
        (Some(SourceOutcome::NothingShareable), true),
        (Some(SourceOutcome::Refused(Cause::Suspended)), true),
        (Some(SourceOutcome::NotAsked(NotAsked::Suspended)), true),
        (Some(SourceOutcome::AnsweredPartial), false),
        (Some(SourceOutcome::Timeout), false),
        (Some(SourceOutcome::Unreachable), false),
        (Some(SourceOutcome::Untrusted(Cause::CertInvalid)), false),
        (Some(SourceOutcome::Incompatible), false),
        (Some(SourceOutcome::Busy(10)), false),
        (None, false),
    ] {
        assert_eq!(all_replied(&[answered("A1", A), source("B1", outcome.clone(), &[])]), all, "{outcome:?}");
    }
}

#[test]
fn the_duty_number_stands_only_where_there_was_no_reply() {
    let as_at = Timestamp(10_000_000);
    let mut stale = answered("A1", A);
    stale.data_to = Some(Timestamp(0));
    stale.feed_interval = Some(Duration::from_secs(3600));
    let lines = lines(&[source("Z1", Some(SourceOutcome::Timeout), &[]), stale], false, as_at);
    assert_eq!(lines[0].ods, "A1");
    assert_eq!((lines[0].duty_contact.as_deref(), lines[0].stale), (None, true));
    assert_eq!((lines[1].duty_contact.as_deref(), lines[1].stale), (Some("020 7946 0000"), false));
}

#[test]
fn local_organisations_of_a_restricted_patient_become_one_line_without_a_name() {
    let mut practice = answered("Y91001", A);
    practice.local = true;
    let mut home = source("VL901", Some(SourceOutcome::Timeout), &[]);
    home.local = true;
    let mut own = answered("FZ901", A);
    own.local = true;
    own.own = true;
    let sources = [practice, answered("R9A", A), home, own];
    let shown = lines(&sources, true, Timestamp(0));
    let codes: Vec<&str> = shown.iter().map(|line| line.ods.as_str()).collect();
    assert_eq!(codes, ["FZ901", "R9A", WITHHELD]);
    assert_eq!((shown[2].outcome.as_str(), shown[2].replied), ("answered-partial", false));
    assert_eq!(shown[2].duty_contact, None);
    assert!(!format!("{:?}", shown[2]).contains("Y91001"));
    assert_eq!(lines(&sources, false, Timestamp(0)).len(), 4);
}

#[test]
fn local_organisations_of_a_restricted_patient_are_as_fresh_as_the_oldest_and_unknown_where_one_does_not_say() {
    let local = |ods: &str, data_to: Option<i64>| SourceRecords {
        local: true,
        data_to: data_to.map(Timestamp),
        ..answered(ods, A)
    };
    for (sources, data_to) in [
        (vec![local("A1", Some(7)), local("A2", Some(5))], Some(5)),
        (vec![local("A1", Some(7)), local("A2", None)], None),
    ] {
        let shown = lines(&sources, true, Timestamp(0));
        assert_eq!(shown[0].data_to.map(|moment| moment.0.0), data_to);
    }
}
