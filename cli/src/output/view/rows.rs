//! The rows of one category: as a table, or for documents as blocks of text. Provenance stands on every row.
//!
//! A terminal of 80 columns has three columns, so that a drug and its dose stand together on few lines; a wider one has five.

use careweave_protocol::desk::view::{Detail, Row, Source};
use careweave_protocol::record::Category;
use careweave_protocol::time::PartialDate;

use super::Page;
use super::clashes::Clashes;

/// Lays out a category.
pub(super) fn category(category: Category, rows: &[Row], clashes: &Clashes<'_>, page: &mut Page) {
    if DOCUMENTS.contains(&category) {
        for (number, row) in rows.iter().enumerate() {
            if number > 0 {
                page.text.push('\n');
            }
            block(row, clashes, page);
        }
        return;
    }
    let medicines = category == Category::Medications;
    let narrow = page.style.width < WIDE;
    let headers: &[&str] = match (medicines, narrow) {
        (true, true) => &["MEDICINE AND DOSE", "STATUS, DATE", "SOURCE"],
        (true, false) => &["MEDICINE", "DOSE", "STATUS", "DATE", "SOURCE"],
        (false, true) => &["WHAT", "STATUS, DATE", "SOURCE"],
        (false, false) => &["WHAT", "DETAIL", "STATUS", "DATE", "SOURCE"],
    };
    let mut lines: Vec<Vec<String>> = repeated(rows)
        .into_iter()
        .map(|(row, others)| {
            let cells = Cells::of(row, &others, clashes);
            if narrow { cells.narrow() } else { cells.wide() }
        })
        .collect();
    // An empty line between rows, or the eye slips from one drug to the dose of the next. Numbers are short and many.
    let spaced = if MEASURED.contains(&category) { 0 } else { lines.len().saturating_sub(1) };
    for cell in lines.iter_mut().take(spaced).flatten() {
        cell.push('\n');
    }
    page.grid(headers, &lines);
}

/// What a row says, apart by kind.
struct Cells {
    name: String,
    said: Vec<String>,
    status: Vec<String>,
    dates: Vec<String>,
    from: String,
}

impl Cells {
    fn of(row: &Row, others: &[&Row], clashes: &Clashes<'_>) -> Self {
        let mut dates = vec![row.date_shown.clone()];
        dates.extend(row.newest.then(|| "newest".to_owned()));
        dates.extend(recorded(row));
        let status = Some(status(row)).filter(|status| !status.is_empty()).into_iter().collect();
        let mut said: Vec<String> = row.dose.iter().cloned().collect();
        said.extend(status_reason(row));
        said.extend(conflicts(row, clashes));
        said.extend(findings(row));
        said.extend(other_dates(others));
        Self { name: named(row), said, status, dates, from: provenance(row) }
    }

    fn wide(self) -> Vec<String> {
        vec![self.name, self.said.join("\n"), self.status.join("\n"), self.dates.join("\n"), self.from]
    }

    fn narrow(self) -> Vec<String> {
        let join = |first: Vec<String>, then: Vec<String>| first.into_iter().chain(then).collect::<Vec<_>>().join("\n");
        vec![join(vec![self.name], self.said), join(self.status, self.dates), self.from]
    }
}

/// Supplies and doses given that say the same but for their date share a line with every date on it; all other rows have
/// their own.
pub(in crate::output) fn repeated(rows: &[Row]) -> Vec<(&Row, Vec<&Row>)> {
    let mut lines: Vec<(&Row, Vec<&Row>)> = Vec::new();
    for row in rows {
        let single = |row: &Row| row.also_at.is_empty() && row.older_versions == 0 && row.linked.is_empty();
        let event = matches!(row.resource_type.as_str(), "MedicationDispense" | "MedicationAdministration");
        let same = |other: &Row| {
            other.resource_type == row.resource_type
                && other.text == row.text
                && (&other.dose, &other.route) == (&row.dose, &row.route)
                && (&other.status, &other.status_reason, &other.verification)
                    == (&row.status, &row.status_reason, &row.verification)
                && (&other.source, &other.author) == (&row.source, &row.author)
                && (&other.value, &other.unit, &other.severity) == (&row.value, &row.unit, &row.severity)
                && (&other.form, &other.signature, other.new) == (&row.form, &row.signature, row.new)
                && other.details == row.details
                && other.notes == row.notes
                && single(other)
        };
        match lines.iter_mut().find(|(other, _)| event && single(row) && same(other)) {
            Some((_, others)) => others.push(row),
            None => lines.push((row, Vec::new())),
        }
    }
    lines
}

/// A document: its line, then its words.
fn block(row: &Row, clashes: &Clashes<'_>, page: &mut Page) {
    let status = status(row);
    let status = if status.is_empty() { String::new() } else { format!("{status}, ") };
    let recorded = recorded(row).map_or_else(String::new, |recorded| format!(" ({recorded})"));
    page.strong(&named(row));
    page.indented(&format!("{status}{}{recorded}, {}", row.date_shown, provenance(row).replace('\n', "; ")), 2);
    let said =
        row.dose.clone().into_iter().chain(status_reason(row)).chain(conflicts(row, clashes)).chain(findings(row));
    for line in said {
        page.indented(&line, 4);
    }
}

/// What it is, with its mark when it is new.
fn named(row: &Row) -> String {
    if row.new { format!("NEW {}", row.text) } else { row.text.clone() }
}

/// That others say otherwise, with the ids under which they are listed.
fn conflicts(row: &Row, clashes: &Clashes<'_>) -> Option<String> {
    let ids: Vec<&str> = clashes.at(row).iter().map(|clash| clash.id).collect();
    (!ids.is_empty()).then(|| format!("CONFLICT {}", ids.join(" ")))
}

/// What a row says beside its name and dose: value, severity, route, named parts, notes.
fn findings(row: &Row) -> Vec<String> {
    let mut said = Vec::new();
    if let Some(value) = &row.value {
        let unit = row.unit.as_ref().map_or_else(String::new, |unit| format!(" {unit}"));
        let mark = row.interpretation.as_ref().map_or_else(String::new, |mark| format!(" [{mark}]"));
        said.push(format!("{value}{unit}{mark}"));
    }
    said.extend(row.reference_range.as_ref().map(|range| format!("range {range}")));
    said.extend(row.severity.clone());
    let (short, long): (Vec<&Detail>, Vec<&Detail>) =
        row.details.iter().partition(|detail| detail.value.len() <= SHORT && !UNNAMED.contains(&detail.name.as_str()));
    let route = row.route.as_ref().map(|route| format!("route: {route}"));
    let short: Vec<String> =
        route.into_iter().chain(short.iter().map(|part| format!("{}: {}", part.name, part.value))).collect();
    if !short.is_empty() {
        said.push(short.join("; "));
    }
    said.extend(long.iter().map(|detail| match detail.name.as_str() {
        name if UNNAMED.contains(&name) => detail.value.clone(),
        name => format!("{name}: {}", detail.value),
    }));
    said.extend(row.notes.iter().map(|note| format!("NOTE: {note}")));
    match row.form.as_str() {
        "summary" => said.push("(codes and dates only)".to_owned()),
        "essential" => said.push("(indication and narrative withheld)".to_owned()),
        _ => {}
    }
    if !row.linked.is_empty() {
        said.push(format!("about the same event: {}", row.linked.join(", ")));
    }
    said
}

/// A status in words: a supply and a dose given are said to be that, so that they do not read as orders.
pub(in crate::output) fn status_words(resource_type: &str, status: &str) -> String {
    match (resource_type, status) {
        (_, "") => String::new(),
        ("MedicationDispense", "completed") => "dispensed".to_owned(),
        ("MedicationAdministration", "completed") => "given".to_owned(),
        ("MedicationDispense", status) => format!("dispensing {status}"),
        ("MedicationAdministration", status) => format!("giving {status}"),
        ("MedicationStatement", status) => format!("stated {status}"),
        (_, status) => status.to_owned(),
    }
}

fn status(row: &Row) -> String {
    let said = status_words(&row.resource_type, row.status.as_deref().unwrap_or_default());
    let verification = row.verification.as_deref().filter(|verification| *verification != "confirmed");
    let parts = [Some(said).filter(|said| !said.is_empty()), verification.map(str::to_owned)];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// Why the status is what it is, beside what it is about.
fn status_reason(row: &Row) -> Option<String> {
    row.status_reason.as_ref().map(|reason| format!("{}: {reason}", row.status.as_deref().unwrap_or("status")))
}

/// The other days of a supply or dose that shares its line; the time of each stands in the JSON form.
fn other_dates(others: &[&Row]) -> Option<String> {
    let day = |row: &Row| row.date_shown.get(..DAY).unwrap_or(&row.date_shown).to_owned();
    let listed: Vec<String> = others.iter().take(dates_listed(others.len())).map(|other| day(other)).collect();
    let earliest = others.last().filter(|_| listed.len() < others.len()).map(|other| day(other));
    let rest = earliest.map_or_else(String::new, |first| and_more(others.len() - listed.len(), &first));
    (!listed.is_empty()).then(|| format!("{} times, also on {}{rest}", others.len() + 1, listed.join(", ")))
}

/// How many of the other dates are listed, newest first: all of a few, the newest of a long course.
pub(in crate::output) fn dates_listed(others: usize) -> usize {
    if others <= DATES_LISTED { others } else { DATES_LISTED / 2 }
}

/// What is said of the dates that are not listed.
pub(in crate::output) fn and_more(count: usize, first: &str) -> String {
    format!(" and {count} more back to {first} (each in the JSON form)")
}

/// When it was recorded, where that is another day than the one it is listed by.
pub(in crate::output) fn recorded(row: &Row) -> Option<String> {
    let recorded = row.recorded.as_deref()?;
    let date = row.date.as_deref()?;
    let other_day = recorded.get(..10) != date.get(..10);
    other_day.then(|| {
        let shown = PartialDate::parse(recorded).map_or_else(|| recorded.to_owned(), |date| date.shown());
        format!("recorded {shown}")
    })
}

/// Organisation with its code, author, and who else holds it.
fn provenance(row: &Row) -> String {
    let author = row.author.as_ref().map_or_else(String::new, |author| format!(", {author}"));
    let mut said = format!("{}{author}", row.source);
    for copy in &row.also_at {
        let holder = Source { ods: copy.ods.clone(), name: copy.name.clone() };
        let differs = copy.differs.as_ref().map_or_else(String::new, |differs| format!(", DIFFERS: {differs}"));
        said.push_str(&format!("\nalso at {holder}{differs}"));
    }
    if row.older_versions > 0 {
        said.push_str(&format!("\nversion {}", row.version.as_deref().unwrap_or("newest")));
    }
    said
}

/// Categories of numbers, laid out more densely.
pub(in crate::output) const MEASURED: [Category; 2] = [Category::Results, Category::Vitals];
/// Columns from which a row is laid out in five cells.
const WIDE: u16 = 110;
/// More dates of one supply than this would push the next medicine off the page.
const DATES_LISTED: usize = 12;
/// Length of a day as shown, `02-Nov-2026`.
const DAY: usize = 11;
/// Bytes of a part that shares a line with others.
const SHORT: usize = 40;
/// Parts whose name says nothing beside the entry they are in.
const UNNAMED: [&str; 2] = ["text", "report"];

/// Categories whose entries are read as text.
pub(in crate::output) const DOCUMENTS: [Category; 9] = [
    Category::Discharge,
    Category::Letters,
    Category::CarePlan,
    Category::AdvanceCare,
    Category::Assessments,
    Category::AboutMe,
    Category::RedBag,
    Category::Safeguarding,
    Category::Other,
];
