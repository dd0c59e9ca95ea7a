use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use careweave_protocol::desk::view::{
    Absence, Conflict, ConflictEntry, Counts, Deceased, KeyFacts, Moment, Notice, PatientHeader, Row, Source,
    SourceView,
};
use careweave_protocol::desk::warning::Warning;
use careweave_protocol::id::QueryId;
use careweave_protocol::identity::StaffGroup;
use careweave_protocol::query::Purpose;
use careweave_protocol::record::Category;
use careweave_protocol::time::Timestamp;

use super::*;

/// What was written to one of the two streams.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A stream whose reader has left, or that is full.
struct Closed(ErrorKind);

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(self.0.into())
    }
}

fn printer(output: Output) -> (Printer, Sink, Sink) {
    let (out, err) = (Sink::default(), Sink::default());
    let style = Style { colour: false, width: 80 };
    (Printer::to(Box::new(out.clone()), Box::new(err.clone()), output, style), out, err)
}

pub(super) fn source(ods: &str, outcome: &str) -> SourceView {
    let asked = outcome != "not-asked";
    SourceView {
        ods: ods.to_owned(),
        name: format!("Organisation {ods}"),
        own: ods == "Y91001",
        outcome: outcome.to_owned(),
        records: 3,
        ms: 40,
        data_to: Some(Moment(Timestamp(1_793_628_600_000))),
        reason: None,
        asked,
        replied: matches!(outcome, "answered" | "nothing-shareable" | "refused"),
        ineligible: false,
        stale: false,
        duty_contact: (outcome == "timeout").then(|| "020 7946 0000".to_owned()),
    }
}

pub(super) fn row(text: &str) -> Row {
    Row {
        resource_type: "MedicationRequest".to_owned(),
        id: "1".to_owned(),
        text: text.to_owned(),
        code: None,
        codings: Vec::new(),
        status: Some("active".to_owned()),
        status_reason: None,
        verification: None,
        date: Some("2026-10-24".to_owned()),
        date_end: None,
        recorded: None,
        date_shown: "24-Oct-2026".to_owned(),
        undated: false,
        source: Source { ods: "Y91001".to_owned(), name: "Borough GP practice".to_owned() },
        also_at: Vec::new(),
        older_versions: 0,
        author: Some("Duty doctor".to_owned()),
        dose: Some("Take four once a WEEK on the same day".to_owned()),
        route: None,
        group: None,
        newest: true,
        value: None,
        unit: None,
        interpretation: None,
        reference_range: None,
        severity: None,
        negated: false,
        details: Vec::new(),
        form: "full".to_owned(),
        identifiers: Vec::new(),
        version: None,
        linked: Vec::new(),
        signature: "verified".to_owned(),
        retrieved_at: Moment(Timestamp(0)),
        taken_in: Moment(Timestamp(0)),
        new: false,
        notes: Vec::new(),
    }
}

pub(super) fn view(sources: Vec<SourceView>) -> View {
    let all_replied = sources.iter().all(|s| s.replied || !s.asked);
    View {
        query_id: QueryId([7; 16]),
        as_at: Moment(Timestamp(1_793_628_600_000)),
        finished: true,
        asker: "Y91001".parse().unwrap(),
        asker_name: "Borough GP practice".to_owned(),
        requester: "Dr Samira Bell".to_owned(),
        group: StaffGroup::Gp,
        purpose: Purpose::Treat,
        zone: "Europe/London".to_owned(),
        patient: PatientHeader {
            nhs_number: "9990010013".to_owned(),
            nhs_number_shown: "999 001 0013".to_owned(),
            birth_date: "1938-03-14".to_owned(),
            birth_date_shown: "14-Mar-1938".to_owned(),
            name: "Ada Okafor".to_owned(),
            held_by: None,
            address: Some("12 Lavender Quay Road".to_owned()),
            address_restricted: false,
            identity: Identity::Confirmed,
            identity_reason: None,
            deceased: None,
        },
        all_replied,
        sources,
        key_facts: KeyFacts::default(),
        categories: BTreeMap::from([(Category::Medications, vec![row("Methotrexate 2.5mg tablets")])]),
        conflicts: Vec::new(),
        absences: vec![Absence {
            category: Category::Allergies,
            kind: "nothing-supplied".to_owned(),
            text: "Allergies: nothing supplied by 2 sources. This does NOT mean none.".to_owned(),
        }],
        role_cannot_see: vec![Category::Safeguarding],
        may_exist: Vec::new(),
        last_look: None,
        warnings: vec![Notice::new(Warning::NothingSupplied, "")],
        counts: Counts::default(),
    }
}

fn text(view: &View) -> String {
    let (mut printer, out, _) = printer(Output::Table);
    printer.view(view).unwrap();
    out.text()
}

#[test]
fn exit_codes_follow_their_order() {
    let own = || source("Y91001", "answered");
    let empty = || SourceView { records: 0, ..own() };
    let ineligible = || SourceView { ineligible: true, ..source("R9A", "refused") };
    for (sources, code) in [
        (vec![own(), source("R9A", "answered"), source("G9V", "not-asked")], exit::DONE),
        (vec![own(), source("R9A", "nothing-shareable")], exit::DONE),
        (vec![own(), source("R9A", "timeout")], exit::PARTIAL),
        (vec![own(), source("R9A", "answered-partial")], exit::PARTIAL),
        (vec![source("R9A", "nothing-shareable"), source("R9C", "refused")], exit::REFUSED),
        (vec![empty(), source("R9A", "nothing-shareable")], exit::REFUSED),
        (vec![source("R9A", "nothing-shareable"), source("R9C", "timeout")], exit::REFUSED),
        (vec![source("R9A", "timeout"), source("R9C", "unreachable")], exit::PARTIAL),
        (vec![own(), ineligible(), source("R9C", "timeout")], exit::NOT_ELIGIBLE),
        (vec![ineligible()], exit::NOT_ELIGIBLE),
    ] {
        let outcomes: Vec<String> = sources.iter().map(|s| s.outcome.clone()).collect();
        assert_eq!(exit_code(&view(sources)), code, "{outcomes:?}");
    }
    let mut doubtful = view(vec![source("R9A", "nothing-shareable")]);
    doubtful.patient.identity = Identity::NotSafelyMatched;
    assert_eq!(exit_code(&doubtful), exit::NOT_MATCHED);
    doubtful.sources.push(ineligible());
    assert_eq!(exit_code(&doubtful), exit::NOT_ELIGIBLE);
}

#[test]
fn completeness_stands_first_and_last_with_who_to_ring() {
    let shown = text(&view(vec![source("Y91001", "answered"), source("R9C", "timeout")]));
    let statement = "COMPLETENESS: 1 of 2 asked sources replied. THIS VIEW IS INCOMPLETE.";
    assert_eq!(shown.matches(statement).count(), 2);
    assert_eq!(shown.matches("R9C Organisation R9C: timeout, ring 020 7946 0000").count(), 2);
    assert_eq!(shown.matches("Your role cannot see: safeguarding.").count(), 2);
    assert!(shown.find(statement) < shown.find("MEDICATIONS (1)"));
    assert!(shown.rfind(statement) > shown.find("SOURCES"));
    assert!(shown.contains("This does NOT mean none."));
    let whole = text(&view(vec![source("Y91001", "answered")]));
    assert_eq!(whole.matches("COMPLETENESS: all 1 asked sources replied.").count(), 2);
}

#[test]
fn a_source_that_shared_nothing_refused_or_was_left_out_is_never_lost_in_all_replied() {
    let because =
        |ods: &str, outcome: &str, reason: &str| SourceView { reason: Some(reason.to_owned()), ..source(ods, outcome) };
    let shown = text(&view(vec![
        source("Y91001", "answered"),
        source("R9A", "nothing-shareable"),
        because("R9C", "not-asked", "suspended from the network"),
        because("R9M", "refused", "TRAINING_LAPSED 2026-11-01"),
        because("G9V", "not-asked", "holds no records"),
    ]));
    for line in [
        "COMPLETENESS: all 3 asked sources replied. 1 REFUSED: THIS VIEW IS INCOMPLETE.",
        "  1 source shared nothing: this does NOT mean that nothing is held there.",
        "  NOT ASKED: R9C Organisation R9C: suspended from the network",
        "  refused: R9M Organisation R9M: TRAINING_LAPSED 2026-11-01",
    ] {
        assert_eq!(shown.matches(line).count(), 2, "{line}\n{shown}");
    }
    assert!(!shown.contains("NOT ASKED: G9V"), "{shown}");
}

#[test]
fn the_head_confirms_who_it_is_about() {
    let shown = text(&view(vec![source("Y91001", "answered")]));
    assert!(
        shown.starts_with("ADA OKAFOR, born 14-Mar-1938, NHS number 999 001 0013\n12 Lavender Quay Road\n"),
        "{shown}"
    );
    assert!(shown.contains("As at 02-Nov-2026 14:10 GMT, asked by Dr Samira Bell (GP), Y91001 Borough GP"));
    let mut restricted = view(vec![]);
    restricted.patient.address_restricted = true;
    restricted.patient.deceased = Some(Deceased {
        date: None,
        date_shown: "date not recorded".to_owned(),
        sources: vec![Source { ods: "R9A".to_owned(), name: "Acute".to_owned() }],
        disputed: true,
    });
    let shown = text(&restricted);
    assert!(!shown.contains("Lavender"));
    assert!(shown.contains("*** DECEASED: date not recorded according to R9A Acute. DISPUTED"));
}

#[test]
fn a_drug_and_its_dose_are_whole_in_80_columns() {
    let shown = text(&view(vec![source("Y91001", "answered")]));
    for word in ["Methotrexate", "2.5mg", "tablets", "WEEK", "24-Oct-2026", "newest", "Y91001"] {
        assert!(shown.contains(word), "{word}");
    }
    assert!(shown.lines().all(|line| table::columns(line) <= 80), "{shown}");
}

#[test]
fn escape_sequences_in_a_record_never_reach_the_terminal() {
    let mut evil = view(vec![source("Y91001", "answered")]);
    let text_of = "\u{1b}[2J\u{9b}31m\u{202e}Aspirin\u{7}\r";
    evil.patient.name = text_of.to_owned();
    evil.patient.address = Some(text_of.to_owned());
    evil.sources[0].name = text_of.to_owned();
    evil.absences[0].text = text_of.to_owned();
    evil.warnings[0].about = text_of.to_owned();
    let bad = Row {
        dose: Some(text_of.to_owned()),
        notes: vec![text_of.to_owned()],
        author: Some(text_of.to_owned()),
        ..row(text_of)
    };
    evil.categories = BTreeMap::from([(Category::Medications, vec![bad.clone()]), (Category::Letters, vec![bad])]);
    let shown = text(&evil);
    assert!(!shown.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{shown:?}");
    assert!(shown.contains("Aspirin"));
    let (mut printer, out, _) = printer(Output::Json);
    printer.view(&evil).unwrap();
    assert!(!out.text().chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'));
}

#[test]
fn repeated_supplies_share_a_line_with_every_date() {
    let supply = |date: &str| Row {
        resource_type: "MedicationDispense".to_owned(),
        status: Some("completed".to_owned()),
        date_shown: date.to_owned(),
        newest: false,
        ..row("Apixaban")
    };
    let mut made = view(vec![source("Y91001", "answered")]);
    made.categories =
        BTreeMap::from([(Category::Medications, vec![supply("25-Oct-2026"), supply("27-Sep-2026"), row("Apixaban")])]);
    let shown = text(&made);
    assert_eq!(shown.matches("dispensed").count(), 1);
    for date in ["25-Oct-2026", "27-Sep-2026", "24-Oct-2026"] {
        assert!(shown.contains(date));
    }
}

#[test]
fn what_is_new_and_what_is_disputed_is_marked_at_its_row_in_words() {
    let mut made = view(vec![source("Y91001", "answered")]);
    made.last_look = Some(Moment(Timestamp(1_793_542_200_000)));
    made.may_exist = vec!["mental-health detail".to_owned()];
    let new = Row { new: true, id: "2".to_owned(), ..row("Furosemide 40mg tablets") };
    made.categories = BTreeMap::from([(Category::Medications, vec![row("Ramipril 5mg capsules"), new])]);
    let side = |id: &str| ConflictEntry {
        source: row("").source,
        resource_type: "MedicationRequest".to_owned(),
        id: id.to_owned(),
        text: "Ramipril 5mg capsules".to_owned(),
        status: Some("active".to_owned()),
        dose: None,
        severity: None,
        date: None,
        date_shown: "24-Oct-2026".to_owned(),
        newest: false,
    };
    made.conflicts = vec![Conflict {
        id: "CW-H011".to_owned(),
        category: Category::Medications,
        kind: "dose".to_owned(),
        subject: "ramipril".to_owned(),
        text: Warning::MedicineDose.text().to_owned(),
        entries: vec![side("1"), side("other")],
    }];
    let shown = text(&made);
    assert_eq!(shown.matches("NEW Furosemide").count(), 1);
    assert_eq!(shown.matches("CONFLICT CW-H011").count(), 1, "{shown}");
    assert!(shown.contains("1 entry marked NEW: new since 01-Nov-2026 14:10 GMT"));
    assert_eq!(shown.matches("May exist, opened by break-glass only: mental-health detail.").count(), 2);
    assert!(shown.contains("ALLERGIES: nothing supplied. This does NOT mean none."));
}

#[test]
fn the_first_view_says_so() {
    let mut first = view(vec![source("Y91001", "answered"), source("R9A", "awaited")]);
    first.finished = false;
    let shown = text(&first);
    assert_eq!(shown.matches("FIRST VIEW of your own records: 1 sources are still being asked.").count(), 2);
    let awaited = shown.lines().find(|line| line.starts_with("R9A")).unwrap();
    assert!(awaited.ends_with("GMT") && !awaited.contains(" 40 "), "{awaited}");
}

#[test]
fn errors_go_to_stderr_as_two_lines_or_to_stdout_as_json() {
    let error =
        CliError::failed("not-reachable", "node is\nnot reachable").cause("CERT_EXPIRED").hint("start it\u{1b}[0m");
    let (mut printer_table, out, err) = printer(Output::Table);
    printer_table.error(&error);
    assert_eq!(out.text(), "");
    assert_eq!(err.text(), "error: node is not reachable (CERT_EXPIRED)\nhint: start it\u{fffd}[0m\n");
    let (mut printer_json, out, err) = printer(Output::Json);
    printer_json.error(&error);
    assert_eq!(err.text(), "");
    let json: serde_json::Value = serde_json::from_str(&out.text()).unwrap();
    assert_eq!(json["error"]["cause"], "CERT_EXPIRED");
}

#[test]
fn a_reader_that_left_is_no_error_and_a_full_disk_is() {
    let style = Style { colour: false, width: 80 };
    for (kind, fine) in [(ErrorKind::BrokenPipe, true), (ErrorKind::StorageFull, false)] {
        let mut printer = Printer::to(Box::new(Closed(kind)), Box::new(io::sink()), Output::Table, style);
        assert_eq!(printer.line("x").is_ok(), fine);
    }
}
