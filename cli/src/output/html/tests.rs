use std::collections::{BTreeMap, BTreeSet};

use careweave_protocol::desk::view::{
    Absence, AlsoAt, Conflict, ConflictEntry, Deceased, Detail, Fact, Moment, Notice, Row, Source, WITHHELD,
};
use careweave_protocol::desk::warning::Warning;
use careweave_protocol::record::Category;
use careweave_protocol::time::Timestamp;

use super::said::css_string;
use super::*;
use crate::output::tests::{row, source, view};

fn usual() -> View {
    view(vec![source("Y91001", "answered"), source("R9A", "timeout"), source("R9C", "refused")])
}

fn with_rows(category: Category, rows: Vec<Row>) -> View {
    let mut made = usual();
    made.categories = BTreeMap::from([(category, rows)]);
    made
}

fn fact(text: &str) -> Fact {
    Fact {
        text: text.to_owned(),
        detail: Some(format!("more of {text}")),
        severity: Some("severe".to_owned()),
        severity_source: Some(Source { ods: "R9A".to_owned(), name: "Acute".to_owned() }),
        date_shown: "1998".to_owned(),
        sources: vec![Source { ods: "R9A".to_owned(), name: "Acute".to_owned() }],
        conflict: true,
    }
}

fn side(id: &str, dose: &str) -> ConflictEntry {
    ConflictEntry {
        source: Source { ods: "Y91001".to_owned(), name: "Borough GP practice".to_owned() },
        resource_type: "MedicationRequest".to_owned(),
        id: id.to_owned(),
        text: "Furosemide 40mg tablets".to_owned(),
        status: Some("active".to_owned()),
        dose: Some(dose.to_owned()),
        severity: None,
        date: None,
        date_shown: "13-Nov-2026".to_owned(),
        newest: id == "1",
    }
}

fn conflict() -> Conflict {
    Conflict {
        id: "CW-H011".to_owned(),
        category: Category::Medications,
        kind: "dose".to_owned(),
        subject: "furosemide".to_owned(),
        text: Warning::MedicineDose.text().to_owned(),
        entries: vec![side("1", "Take one in the morning"), side("2", "Take two in the morning")],
    }
}

/// A view in which everything that can be text is this text.
fn filled(text: &str) -> View {
    let said = || Some(text.to_owned());
    let from = || Source { ods: text.to_owned(), name: text.to_owned() };
    let entry = || Row {
        text: text.to_owned(),
        status: said(),
        status_reason: said(),
        verification: said(),
        recorded: said(),
        date_shown: text.to_owned(),
        source: from(),
        also_at: vec![AlsoAt {
            ods: text.to_owned(),
            name: text.to_owned(),
            id: text.to_owned(),
            version: said(),
            date_shown: text.to_owned(),
            differs: said(),
        }],
        older_versions: 1,
        version: said(),
        author: said(),
        dose: said(),
        route: said(),
        group: said(),
        value: said(),
        unit: said(),
        interpretation: said(),
        reference_range: said(),
        severity: said(),
        details: ["text", text].map(|name| Detail { name: name.to_owned(), value: text.to_owned() }).to_vec(),
        form: "summary".to_owned(),
        code: said(),
        linked: vec![text.to_owned()],
        signature: text.to_owned(),
        notes: vec![text.to_owned()],
        ..row(text)
    };
    let mut made = usual();
    for category in Category::ALL {
        made.categories.insert(*category, vec![entry(), entry()]);
    }
    for source in &mut made.sources {
        (source.ods, source.name, source.outcome) = (text.to_owned(), text.to_owned(), text.to_owned());
        (source.reason, source.duty_contact) = (said(), said());
    }
    let facts = || Fact { text: text.to_owned(), detail: said(), sources: vec![from()], ..fact(text) };
    made.key_facts.allergies = vec![facts()];
    made.key_facts.about_me = vec![facts()];
    made.conflicts =
        vec![Conflict { id: text.to_owned(), subject: text.to_owned(), text: text.to_owned(), ..conflict() }];
    made.absences = vec![Absence { category: Category::Imaging, kind: text.to_owned(), text: text.to_owned() }];
    made.warnings = vec![Notice { id: text.to_owned(), text: text.to_owned(), about: text.to_owned() }];
    made.may_exist = vec![text.to_owned()];
    (made.asker_name, made.requester) = (text.to_owned(), text.to_owned());
    let patient = &mut made.patient;
    (patient.name, patient.address, patient.identity_reason) = (text.to_owned(), said(), said());
    patient.held_by = Some(from());
    patient.deceased =
        Some(Deceased { date: said(), date_shown: text.to_owned(), sources: vec![from()], disputed: true });
    made
}

/// What stands between two marks, once for each time.
fn between<'a>(page: &'a str, start: &str, end: &str) -> Vec<&'a str> {
    page.split(start).skip(1).filter_map(|rest| rest.split(end).next()).collect()
}

#[test]
fn nothing_in_a_record_becomes_markup_or_acts_on_the_page() {
    let hostile = "</style></title></td><script>alert(1)</script><img src=x onerror=y>\"'>&\u{202e}\u{1b}[2J\u{0}";
    let page = page(&filled(hostile));
    for forbidden in ["<script", "<img", "\u{202e}", "\u{1b}", "\u{0}", "&\u{fffd}"] {
        assert!(!page.contains(forbidden), "{forbidden:?}");
    }
    assert_eq!(page.matches("</style>").count(), 1);
    assert_eq!(page.matches("</title>").count(), 1);
    assert!(page.contains("&lt;script&gt;alert(1)"));
}

#[test]
fn no_page_refers_to_anything_outside_itself() {
    let made = page(&filled("see http://evil.example/x.css and url(http://evil.example) @import"));
    let markup_only: String = made.split('<').map(|part| part.split('>').next().unwrap_or_default()).collect();
    assert!(!markup_only.contains("evil.example"), "only ever as text");
    let plain = page(&usual());
    for forbidden in ["http:", "https:", "src=", "url(", "@import", "<link", "<script", "<iframe", "<object", " on"] {
        let found = between(&plain, "<", ">").into_iter().find(|tag| tag.contains(forbidden));
        assert_eq!(found, None, "{forbidden}");
        assert!(forbidden == " on" || !STYLE.contains(forbidden), "{forbidden}");
    }
    assert!(between(&plain, "href=\"", "\"").iter().all(|to| to.starts_with('#')));
    assert!(plain.contains("content=\"default-src 'none'; style-src 'unsafe-inline'\""));
    assert!(plain.contains("<html lang=\"en-GB\">") && plain.contains("<meta charset=\"utf-8\">"));
}

#[test]
fn the_title_names_nobody_because_it_names_the_printed_file() {
    let made = page(&usual());
    let [title] = between(&made, "<title>", "</title>")[..] else { panic!("one title") };
    for known in ["Okafor", "999", "1938"] {
        assert!(!title.contains(known), "{title}");
    }
}

#[test]
fn every_warning_stands_with_its_id_and_words() {
    let mut made = usual();
    made.warnings = Warning::ALL.iter().map(|warning| Notice::new(*warning, "about this")).collect();
    let page = page(&made);
    for warning in Warning::ALL {
        assert!(page.contains(&format!("<span class=\"code\">{}</span>", warning.id())), "{}", warning.id());
        assert!(page.contains(&maud::html! { (warning.text()) }.into_string()), "{}", warning.id());
    }
}

#[test]
fn completeness_stands_first_last_and_on_every_sheet() {
    let made = usual();
    let page = page(&made);
    let brief = "INCOMPLETE: 1 of 3 asked sources did not reply in full: R9A; 1 refused: R9C";
    // The sheet's margin, the banner, the first and the last panel.
    assert_eq!(page.matches(brief).count() + page.matches(&css_string(brief)).count(), 4);
    assert!(page.contains(&format!("@bottom-left{{content:{};}}", css_string(brief))));
    let (first, last) = (page.find("id=\"completeness-first\""), page.find("id=\"completeness-last\""));
    assert!(first.is_some() && first < page.find("id=\"key-facts\""));
    assert!(last > page.find("id=\"sources\""));
    assert_eq!(page.matches("no full reply: R9A Organisation R9A: timeout, ring 020 7946 0000").count(), 2);
    assert_eq!(page.matches("Your role cannot see: Safeguarding.").count(), 3);
}

#[test]
fn a_whole_view_says_how_many_replied() {
    let page = page(&view(vec![source("Y91001", "answered"), source("R9A", "nothing-shareable")]));
    assert_eq!(page.matches("All 2 asked sources replied").count(), 4);
    assert_eq!(page.matches("All 2 asked sources replied; 1 shared nothing<").count(), 3);
    assert_eq!(page.matches("this does NOT mean that nothing is held there").count(), 2);
    assert!(!page.contains("INCOMPLETE"));
}

#[test]
fn every_sheet_carries_patient_time_requester_purpose_and_page_number() {
    let page = page(&usual());
    let [rule] = between(&page, "@page{@top-left", "}}")[..] else { panic!("one rule") };
    for said in [
        "Ada Okafor",
        "Born 14-Mar-1938",
        "NHS number 999 001 0013",
        "As at 02-Nov-2026 14:10 GMT",
        "Asked by Dr Samira Bell, general practitioner",
        "Y91001 Borough GP practice",
        "For direct care ",
        "\"Page \" counter(page) \" of \" counter(pages)",
    ] {
        assert!(rule.contains(said), "{said} in {rule}");
    }
}

#[test]
fn a_name_cannot_leave_the_string_it_stands_in() {
    for (name, string) in [
        ("Ada Okafor", "\"Ada Okafor\""),
        ("O\"Brien", "\"O\\22 Brien\""),
        ("back\\slash", "\"back\\5c slash\""),
        ("two\nlines\r\nmore", "\"two lines more\""),
        ("</style>", "\"\\3c \\2f style\\3e \""),
        ("D'Arcy; } *{color:red", "\"D\\27 Arcy\\3b  \\7d  \\2a \\7b color:red\""),
        ("Zoë Ngọc", "\"Zoë Ngọc\""),
        ("שרה 5", "\"\\2068 שרה 5\\2069 \""),
    ] {
        assert_eq!(css_string(name), string);
    }
    let mut made = usual();
    made.patient.name = "x".repeat(10_000);
    assert!(page_margins::style(&made, &Account::of(&made)).len() < 1_500, "the margin has room for the rest");
}

#[test]
fn a_number_keeps_its_place_beside_words_from_right_to_left() {
    let page = page(&with_rows(Category::Medications, vec![row("أموكسيسيلين 500mg")]));
    assert!(page.contains("<bdi>أموكسيسيلين 500mg</bdi>"));
}

#[test]
fn every_row_stands_with_its_provenance() {
    let rows: Vec<Row> = (0..40)
        .map(|number| Row {
            source: Source { ods: format!("X9{number:02}"), name: format!("Place {number}") },
            author: Some(format!("Author {number}")),
            recorded: Some("2026-10-30".to_owned()),
            signature: if number % 2 == 0 { "verified" } else { "own" }.to_owned(),
            form: if number == 3 { "essential" } else { "summary" }.to_owned(),
            also_at: vec![AlsoAt {
                ods: format!("Z9{number:02}"),
                name: "Copy holder".to_owned(),
                id: String::new(),
                version: None,
                date_shown: "01-Jan-2026".to_owned(),
                differs: Some(format!("dose {number}")),
            }],
            ..row("Apixaban 5mg tablets")
        })
        .collect();
    for category in [Category::Medications, Category::Vitals, Category::Letters] {
        let page = page(&with_rows(category, rows.clone()));
        for number in 0..40 {
            for said in [
                format!("<b class=\"ods\">X9{number:02}</b> Place {number}"),
                format!("Author {number}"),
                format!("<b class=\"ods\">Z9{number:02}</b> Copy holder"),
                format!("DIFFERS: dose {number}<"),
            ] {
                assert!(page.contains(&said), "{category}: {said}");
            }
        }
        assert_eq!(page.matches(">recorded <span class=\"day\">30-Oct-2026</span>").count(), 40, "{category}");
        assert_eq!(page.matches(">24-Oct-2026<").count(), 40, "{category}");
        assert_eq!(page.matches("· signature verified<").count(), 20, "{category}");
        assert_eq!(page.matches("· own record<").count(), 20, "{category}");
        assert_eq!(page.matches("(codes and dates only)").count(), 39, "{category}");
        assert_eq!(page.matches("(indication and narrative withheld)").count(), 1, "{category}");
        assert!(page.matches(">active<").count() >= 40, "{category}");
    }
}

#[test]
fn a_drug_and_its_dose_are_never_cut() {
    let (drug, dose) = ("Methotrexate 2.5mg ".repeat(60), "Take four once a WEEK ".repeat(200));
    let entry = Row { dose: Some(dose.clone()), ..row(&drug) };
    let page = page(&with_rows(Category::Medications, vec![entry]));
    assert!(page.contains(&drug) && page.contains(&dose));
    for cutting in ["ellipsis", "line-clamp", "overflow: hidden", "overflow-x: hidden", "clip"] {
        assert!(!STYLE.contains(cutting), "{cutting}");
    }
}

#[test]
fn supplies_that_share_a_row_keep_every_date_and_time() {
    let supply = |date: &str, new: bool| Row {
        resource_type: "MedicationDispense".to_owned(),
        status: Some("completed".to_owned()),
        date_shown: date.to_owned(),
        new,
        ..row("Apixaban 5mg tablets")
    };
    let (first, other, newer) = ("25-Oct-2026 11:30 GMT", "27-Sep-2026 09:15 BST", "30-Oct-2026 08:00 GMT");
    let rows = vec![supply(newer, true), supply(first, false), supply(other, false)];
    let page = page(&with_rows(Category::Medications, rows));
    assert_eq!(page.matches(">dispensed<").count(), 2, "what is new keeps a row of its own");
    assert!(page.contains("2 times") && page.contains(other));
}

#[test]
fn a_long_course_of_one_supply_lists_its_newest_dates_and_says_how_many_more_there_are() {
    let supply = |month: usize| Row {
        resource_type: "MedicationDispense".to_owned(),
        status: Some("completed".to_owned()),
        date_shown: format!("01-{month:02}-2020"),
        ..row("Apixaban 5mg tablets")
    };
    let page = page(&with_rows(Category::Medications, (10..50).rev().map(supply).collect()));
    assert!(page.contains("40 times") && page.contains("01-48-2020") && page.contains("01-43-2020"));
    assert!(page.contains("and 33 more back to 01-10-2020") && !page.contains("01-42-2020"));
}

#[test]
fn what_is_new_is_marked_in_words_and_counted_from_the_last_look() {
    let mut made = with_rows(
        Category::Medications,
        vec![Row { new: true, taken_in: Moment(Timestamp(1_793_628_600_000)), ..row("Apixaban") }, row("Ramipril")],
    );
    made.last_look = Some(Moment(Timestamp(1_793_542_200_000)));
    let page = page(&made);
    assert!(page.contains("1 entry marked NEW: new since 01-Nov-2026 14:10 GMT"));
    assert_eq!(page.matches("<tr class=\"new\">").count(), 1);
    assert!(page.contains("Apixaban</span> <span class=\"mark new\">NEW</span>"));
    assert!(page.contains("taken in 02-Nov-2026 14:10 GMT"));
    assert!(page.contains("<b>1 NEW</b>"), "in the contents");
}

#[test]
fn a_conflict_has_every_side_and_marks_the_rows_that_take_part() {
    let rows = vec![row("Furosemide 40mg tablets"), Row { id: "3".to_owned(), ..row("Ramipril 5mg") }];
    let mut made = with_rows(Category::Medications, rows);
    made.conflicts = vec![conflict()];
    let page = page(&made);
    assert!(page.contains("Take one in the morning") && page.contains("Take two in the morning"));
    assert_eq!(page.matches("href=\"#conflict-1\">▲ CONFLICT CW-H011<").count(), 1);
    let (sides, _) = page.split_once("</article>").unwrap();
    assert_eq!(sides.matches(">newest<").count(), 1);
}

#[test]
fn a_restricted_patient_has_no_address_and_no_local_organisation() {
    let mut local = source("R9A", "answered");
    (local.ods, local.name) = (WITHHELD.to_owned(), "local organisations, names withheld".to_owned());
    let hidden = Source { ods: WITHHELD.to_owned(), name: "local organisation, name withheld".to_owned() };
    let mut made = view(vec![source("G9V", "answered"), local]);
    (made.asker, made.asker_name) = ("G9V".parse().unwrap(), "Organisation G9V".to_owned());
    made.patient.address_restricted = true;
    made.patient.held_by = Some(hidden.clone());
    made.key_facts.allergies =
        vec![Fact { severity_source: Some(hidden.clone()), sources: vec![hidden.clone()], ..fact("Latex") }];
    let copy = AlsoAt {
        ods: hidden.ods.clone(),
        name: hidden.name.clone(),
        id: String::new(),
        version: None,
        date_shown: String::new(),
        differs: None,
    };
    let entry = Row { source: hidden, also_at: vec![copy], ..row("Ramipril 5mg") };
    made.categories = BTreeMap::from([(Category::Medications, vec![entry])]);
    let page = page(&made);
    for local in ["Lavender", "Borough", "R9A", "Y91001", "<b class=\"ods\">withheld</b>"] {
        assert!(!page.contains(local), "{local}");
    }
    assert!(page.contains("ADDRESS RESTRICTED") && page.contains("local organisation, name withheld"));
}

#[test]
fn absences_stand_in_their_exact_words_and_nothing_is_said_to_be_none() {
    let mut made = usual();
    made.may_exist = vec!["mental-health detail".to_owned(), "sensitive".to_owned()];
    made.counts.entered_in_error = 2;
    let made = page(&made);
    let exact = "Allergies: nothing supplied by 2 sources. This does NOT mean none.";
    assert_eq!(made.matches(exact).count(), 2, "among the key facts and in its place");
    assert!(made.contains("May exist, opened by break-glass only: mental-health detail, sensitive."));
    assert!(made.contains("2 entries marked as entered in error."));
    assert!(made.contains("Flags: nothing supplied. This does NOT mean none."));
    let mut ended = with_rows(Category::Allergies, vec![row("No known allergy")]);
    ended.absences.clear();
    assert!(page(&ended).contains("Allergies: nothing in force by the 1 entry listed below. This does NOT mean none."));
}

#[test]
fn headings_go_down_one_step_at_a_time_and_every_link_has_its_place() {
    let mut made = filled("words");
    made.categories.retain(|category, _| *category != Category::Experience);
    let page = page(&made);
    let levels: Vec<u32> = between(&page, "<h", ">").iter().filter_map(|tag| tag.get(..1)?.parse().ok()).collect();
    assert_eq!(levels.iter().filter(|level| **level == 1).count(), 1);
    assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
    let ids = between(&page, " id=\"", "\"");
    let places: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), places.len(), "an id stands once");
    for to in between(&page, "href=\"#", "\"") {
        assert!(places.contains(to), "{to}");
    }
    for landmark in ["<header", "<nav", "<main", "<footer"] {
        assert_eq!(page.matches(landmark).count(), 1, "{landmark}");
    }
    assert!(between(&page, "<thead>", "</thead>").iter().all(|head| head.contains("scope=\"col\"")));
}

#[test]
fn words_stand_out_from_what_is_behind_them_in_both_themes() {
    let (light, rest) = STYLE.split_once("@media screen and (prefers-color-scheme: dark)").unwrap();
    let (dark, _) = rest.split_once("* { box-sizing").unwrap();
    for theme in [light, dark] {
        for (ink, ground) in [
            ("ink", "paper"),
            ("ink", "ground"),
            ("soft", "paper"),
            ("soft", "ground"),
            ("accent", "paper"),
            ("on-banner", "banner"),
            ("stop", "paper"),
            ("stop", "stop-ground"),
            ("ink", "stop-ground"),
            ("good", "paper"),
            ("warn", "warn-ground"),
            ("warn", "paper"),
            ("soft", "warn-ground"),
            ("ink", "warn-ground"),
            ("new", "new-ground"),
            ("new", "ground"),
            ("me", "paper"),
        ] {
            let ratio = contrast(luminance(theme, ink), luminance(theme, ground));
            assert!(ratio >= 4.5, "{ink} on {ground}: {ratio:.2}");
        }
    }
}

/// Contrast ratio of WCAG 2.2, section 1.4.3.
fn contrast(one: f64, other: f64) -> f64 {
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// Relative luminance (WCAG 2.2) of a colour of the style sheet.
fn luminance(theme: &str, name: &str) -> f64 {
    let digits = between(theme, &format!(" --{name}: #"), ";")[0];
    let pairs: Vec<String> = match digits.len() {
        3 => digits.chars().map(|digit| digit.to_string().repeat(2)).collect(),
        _ => digits.as_bytes().chunks(2).map(|pair| String::from_utf8(pair.to_vec()).unwrap()).collect(),
    };
    let linear = |pair: &String| {
        let value = f64::from(u8::from_str_radix(pair, 16).unwrap()) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    pairs.iter().map(linear).zip([0.2126, 0.7152, 0.0722]).map(|(value, weight)| value * weight).sum()
}
