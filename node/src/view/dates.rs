//! Dates of rows: which one counts, whether it lies in the window asked for, and how it is shown (rules 10 and 15).

use careweave_protocol::desk::view::{Row, shown_in};
use careweave_protocol::query::Period;
use careweave_protocol::record::Category;
use careweave_protocol::time::{PartialDate, Timestamp};

/// Whether a row is listed for the window asked for. Safety categories are never filtered; an undated row is always listed.
/// A period lasts until its end; without one it is still going on when `ongoing` says so.
#[must_use]
pub fn in_window(category: Category, row: &Row, ongoing: bool, period: &Period) -> bool {
    if Category::SAFETY.contains(&category) || (period.since.is_none() && period.until.is_none()) {
        return true;
    }
    let Some(start) = listed_by(row) else { return true };
    let end = row.date_end.as_deref().and_then(parse).map(|end| end.until);
    let until = match end {
        Some(end) => Some(end.max(start.until)),
        None if ongoing => None,
        None => Some(start.until),
    };
    period.since.is_none_or(|since| until.is_none_or(|until| until > since))
        && period.until.is_none_or(|until| start.from < until)
}

/// The clinical date, else the recorded date; `None` when the row has neither, or neither can be read.
#[must_use]
pub fn listed_by(row: &Row) -> Option<PartialDate> {
    let read = |text: &Option<String>| text.as_deref().and_then(parse);
    read(&row.date).or_else(|| read(&row.recorded))
}

/// A date as an interval: from its first instant until the first that is no longer part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First instant.
    pub from: Timestamp,
    /// First instant after it.
    pub until: Timestamp,
}

impl From<PartialDate> for Span {
    fn from(date: PartialDate) -> Self {
        Self { from: date.from, until: date.until }
    }
}

/// Reads a FHIR date; a time without its zone, which FHIR forbids and feeds send, counts as its day.
#[must_use]
pub fn parse(text: &str) -> Option<PartialDate> {
    PartialDate::parse(text).or_else(|| PartialDate::parse(text.get(..10)?))
}

/// A FHIR date as people read it: `02-Nov-2026`, `Nov-2026`, `2026`, and with a time of day in the local zone
/// `02-Nov-2026 14:10 GMT`. What cannot be read is shown as written and said to be unreadable.
#[must_use]
pub fn shown(text: &str, zone: &str) -> String {
    parse(text).map_or_else(|| format!("{text} (unreadable date)"), |date| in_zone(&date, zone))
}

fn in_zone(date: &PartialDate, zone: &str) -> String {
    if date.text.len() > 10 { shown_in(date.from, zone) } else { date.shown() }
}

/// What stands in a row's date column, given what can be read of its clinical and its recorded date.
#[must_use]
pub fn row_shown(row: &Row, clinical: Option<&PartialDate>, recorded: Option<&PartialDate>, zone: &str) -> String {
    let readable = clinical
        .map(|date| in_zone(date, zone))
        .or_else(|| recorded.map(|date| format!("recorded {}", in_zone(date, zone))));
    let raw = || [&row.date, &row.recorded].into_iter().flatten().next().map(|text| format!("undated ({text})"));
    let start = readable.or_else(raw).unwrap_or_else(|| "undated".to_owned());
    let Some(end) = row.date_end.as_deref().filter(|_| row.date.is_some()).map(|end| shown(end, zone)) else {
        return start;
    };
    if end == start {
        return start;
    }
    // Within one day the end is only its time: `05-Oct-2026 10:20 to 11:20 BST`.
    match (start.split_once(' '), end.split_once(' ')) {
        (Some((day, from)), Some((last, to))) if day == last && start.contains(':') => {
            let from = from.split_once(' ').map_or(from, |(time, zone)| if to.ends_with(zone) { time } else { from });
            format!("{day} {from} to {to}")
        }
        _ => format!("{start} to {end}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::tests_support::blank;
    use super::*;
    use careweave_protocol::time::Date;

    fn row(date: Option<&str>, end: Option<&str>, recorded: Option<&str>) -> Row {
        Row {
            date: date.map(str::to_owned),
            date_end: end.map(str::to_owned),
            recorded: recorded.map(str::to_owned),
            ..blank()
        }
    }

    #[test]
    fn windows_use_the_clinical_date_then_the_recorded_one_and_never_drop_the_undated() {
        let period =
            Period { since: Date::new(2020, 1, 1).map(Date::start), until: Date::new(2021, 1, 1).map(Date::start) };
        for (row, ongoing, listed) in [
            (row(Some("2020-06-01"), None, None), false, true),
            (row(Some("2019-12-31"), None, Some("2020-06-01")), false, false),
            (row(None, None, Some("2020-06-01")), false, true),
            (row(None, None, Some("2022")), false, false),
            (row(None, None, None), false, true),
            (row(Some("about then"), None, None), false, true),
            (row(Some("about then"), None, Some("2022")), false, false),
            (row(Some("2020"), None, None), false, true),
            (row(Some("2019-05"), Some("2020-02"), None), false, true),
            (row(Some("2019-05"), Some("2019-07"), None), false, false),
            (row(Some("2019-05"), None, None), true, true),
            (row(Some("2021-01-01T00:00:00Z"), None, None), true, false),
            (row(Some("2020-02-03T10:00:00"), None, None), false, true),
        ] {
            assert_eq!(in_window(Category::Results, &row, ongoing, &period), listed, "{:?}", row.date);
            assert!(in_window(Category::Allergies, &row, ongoing, &period));
        }
    }

    #[test]
    fn dates_are_shown_as_people_read_them() {
        let zone = "Europe/London";
        for (row, shown) in [
            (row(Some("2026-11-02"), None, None), "02-Nov-2026"),
            (row(Some("2026-11"), None, None), "Nov-2026"),
            (row(Some("1996"), None, Some("2020-01-01")), "1996"),
            (row(None, None, Some("2020-01-01")), "recorded 01-Jan-2020"),
            (row(Some("2026-07-02T09:00:00Z"), None, None), "02-Jul-2026 10:00 BST"),
            (row(Some("2026-07-02T09:00:00"), None, None), "02-Jul-2026"),
            (row(Some("2026-07-01"), Some("2026-07-03"), None), "01-Jul-2026 to 03-Jul-2026"),
            (row(Some("2026-10-05T09:20:00Z"), Some("2026-10-05T10:20:00Z"), None), "05-Oct-2026 10:20 to 11:20 BST"),
            (
                row(Some("2026-10-24T23:50:00Z"), Some("2026-10-25T01:10:00Z"), None),
                "25-Oct-2026 00:50 BST to 01:10 GMT",
            ),
            (
                row(Some("2026-10-05T09:20:00Z"), Some("2026-10-12T10:20:00Z"), None),
                "05-Oct-2026 10:20 BST to 12-Oct-2026 11:20 BST",
            ),
            (row(None, None, None), "undated"),
            (row(Some("last spring"), None, None), "undated (last spring)"),
        ] {
            let read = |text: &Option<String>| text.as_deref().and_then(parse);
            assert_eq!(row_shown(&row, read(&row.date).as_ref(), read(&row.recorded).as_ref(), zone), shown);
        }
    }
}
