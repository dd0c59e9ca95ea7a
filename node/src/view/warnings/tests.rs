use super::*;

#[test]
fn a_warning_is_given_once_with_everything_it_is_about() {
    let mut told = Warnings::default();
    told.add(Warning::StaleData, "R9A");
    told.add(Warning::SelfClaimed, "");
    told.add(Warning::StaleData, "R9C");
    told.add(Warning::StaleData, "R9A");
    told.add_by_id("CW-H001", "why");
    told.add_by_id("CW-H999", "nothing");
    let notices = told.into_notices();
    let said: Vec<(&str, &str)> = notices.iter().map(|n| (n.id.as_str(), n.about.as_str())).collect();
    assert_eq!(said, [("CW-H001", "why"), ("CW-H009", "R9A; R9C"), ("CW-H038", "")]);
}

#[test]
fn only_what_is_marked_at_its_row_is_counted_instead_of_named() {
    let mut told = Warnings::default();
    for number in 0..30 {
        told.add(Warning::ImplausibleDate, &format!("entry {number}"));
        told.add(Warning::NothingShareable, &format!("source {number}"));
    }
    let notices = told.into_notices();
    assert!(notices[0].about.contains("source 29"));
    assert!(
        notices[1].about.ends_with("entry 19; and 10 more, each marked where it is listed"),
        "{}",
        notices[1].about
    );
}

#[test]
fn whom_to_ring_is_said_unless_it_would_tell_where_somebody_is() {
    let source = |own: bool, contact: Option<&str>| SourceRecords {
        ods: "VL901".parse().unwrap(),
        name: "Care home".to_owned(),
        own,
        local: true,
        outcome: Some(SourceOutcome::Answered),
        open: Vec::new(),
        ms: 0,
        data_to: None,
        feed_interval: None,
        medicines_not_shown: 0,
        outside_period: 0,
        duty_contact: contact.map(str::to_owned),
        records: Vec::new(),
    };
    for (own, contact, restricted, said) in [
        (false, Some("020 7946 0901"), false, "ring 020 7946 0901"),
        (false, Some(" "), false, "ring it, no duty number is listed"),
        (false, None, false, "ring it, no duty number is listed"),
        (false, Some("020 7946 0901"), true, "its number is withheld, ask your own privacy officer"),
        (true, Some("020 7946 0901"), true, "ring 020 7946 0901"),
    ] {
        assert_eq!(ring(&source(own, contact), restricted), said);
    }
}
