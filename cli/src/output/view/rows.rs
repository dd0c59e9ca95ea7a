//! The rows of one category: as a table, or for documents as blocks of text. Provenance stands on every row.

use careweave_protocol::desk::view::Row;
use careweave_protocol::record::Category;
use careweave_protocol::time::PartialDate;

use super::Page;

/// Lays out a category.
pub(super) fn category(category: Category, rows: &[Row], page: &mut Page) {
    if DOCUMENTS.contains(&category) {
        for row in rows {
            block(row, page);
        }
        return;
    }
    let medicines = category == Category::Medications;
    let headers = if medicines {
        ["MEDICINE", "DOSE", "STATUS", "DATE", "SOURCE"]
    } else {
        ["WHAT", "DETAIL", "STATUS", "DATE", "SOURCE"]
    };
    let lines: Vec<Vec<String>> =
        repeated(rows).into_iter().map(|(row, others)| line(row, &others, medicines)).collect();
    page.grid(&headers, &lines);
}

/// Supplies and doses given that say the same but for their date share a line with every date on it; all other rows have
/// their own.
fn repeated(rows: &[Row]) -> Vec<(&Row, Vec<&Row>)> {
    let mut lines: Vec<(&Row, Vec<&Row>)> = Vec::new();
    for row in rows {
        let event = matches!(row.resource_type.as_str(), "MedicationDispense" | "MedicationAdministration");
        let same = |other: &Row| {
            other.resource_type == row.resource_type
                && other.text == row.text
                && other.dose == row.dose
                && other.status == row.status
                && other.source == row.source
                && other.details == row.details
                && other.notes == row.notes
                && other.also_at.is_empty()
        };
        match lines.iter_mut().find(|(other, _)| event && row.also_at.is_empty() && same(other)) {
            Some((_, others)) => others.push(row),
            None => lines.push((row, Vec::new())),
        }
    }
    lines
}

fn line(row: &Row, others: &[&Row], medicines: bool) -> Vec<String> {
    let mut middle = Vec::new();
    if medicines {
        middle.extend(row.dose.clone());
        middle.extend(row.route.as_ref().map(|route| format!("route: {route}")));
    }
    middle.extend(findings(row, medicines));
    let mut dates = vec![row.date_shown.clone()];
    if row.newest {
        dates.push("newest".to_owned());
    }
    if !others.is_empty() {
        // The day is enough to tell them by; the time of each stands in the JSON form.
        let day = |row: &Row| row.date_shown.get(..DAY).unwrap_or(&row.date_shown).to_owned();
        let earlier: Vec<String> = others.iter().map(|other| day(other)).collect();
        dates.push(format!("and {}", earlier.join(", ")));
    }
    dates.extend(recorded(row));
    vec![row.text.clone(), middle.join("\n"), status(row), dates.join("\n"), provenance(row)]
}

/// A document: its line, then its words.
fn block(row: &Row, page: &mut Page) {
    let status = status(row);
    let status = if status.is_empty() { String::new() } else { format!("{status}, ") };
    let recorded = recorded(row).map_or_else(String::new, |recorded| format!(" ({recorded})"));
    page.line(&format!("{}, {status}{}{recorded}, {}", row.text, row.date_shown, provenance(row).replace('\n', "; ")));
    for finding in findings(row, false) {
        page.indented(&finding, 4);
    }
}

/// What a row says beside its name: value, severity, named parts, notes.
fn findings(row: &Row, medicines: bool) -> Vec<String> {
    let mut said = Vec::new();
    if let Some(value) = &row.value {
        let unit = row.unit.as_ref().map_or_else(String::new, |unit| format!(" {unit}"));
        let mark = row.interpretation.as_ref().map_or_else(String::new, |mark| format!(" [{mark}]"));
        said.push(format!("{value}{unit}{mark}"));
    }
    said.extend(row.reference_range.as_ref().map(|range| format!("range {range}")));
    said.extend(row.severity.clone());
    if !medicines {
        said.extend(row.dose.clone());
        said.extend(row.route.as_ref().map(|route| format!("route: {route}")));
    }
    said.extend(row.details.iter().map(|detail| match detail.name.as_str() {
        "text" | "report" => detail.value.clone(),
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
pub(super) fn status_words(resource_type: &str, status: &str) -> String {
    match (resource_type, status) {
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
    let parts =
        [Some(said).filter(|said| !said.is_empty()), row.status_reason.clone(), verification.map(str::to_owned)];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// When it was recorded, where that is another day than the one it is listed by.
fn recorded(row: &Row) -> Option<String> {
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
        let differs = copy.differs.as_ref().map_or_else(String::new, |differs| format!(", DIFFERS: {differs}"));
        said.push_str(&format!("\nalso at {} {}{differs}", copy.ods, copy.name));
    }
    if row.older_versions > 0 {
        said.push_str(&format!("\nversion {}", row.version.as_deref().unwrap_or("newest")));
    }
    said
}

/// Length of a day as shown, `02-Nov-2026`.
const DAY: usize = 11;

/// Categories whose entries are read as text.
const DOCUMENTS: [Category; 9] = [
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
