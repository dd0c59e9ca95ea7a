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
        duty_contact: Some("020 7946 0000".to_owned()),
        records: Vec::new(),
    }
}

const A: &[Category] = &[Category::Allergies];

fn answered(ods: &str, open: &[Category]) -> SourceRecords {
    source(ods, Some(SourceOutcome::Answered), open)
}

fn said(sources: &[SourceRecords]) -> (String, String) {
    let absence = absences([Category::Allergies].into_iter(), &BTreeMap::new(), sources).remove(0);
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
            "Allergies: none recorded at 3 of 5 sources.",
        ),
        (
            vec![nothing(), nothing(), nothing(), refused(), nothing()],
            none,
            "Allergies: nothing supplied by 5 sources. This does NOT mean none.",
        ),
        (vec![answered("A1", A), late()], none, "Allergies: nothing supplied by 2 sources. This does NOT mean none."),
        (
            vec![answered("A1", A), partial()],
            none,
            "Allergies: nothing supplied by 2 sources. This does NOT mean none.",
        ),
        (
            vec![answered("A1", A), source("A2", None, &[])],
            none,
            "Allergies: nothing supplied by 2 sources. This does NOT mean none.",
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
