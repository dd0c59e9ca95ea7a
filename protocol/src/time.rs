//! Instants, and dates as FHIR writes them: partial dates are intervals, because "2019" is a year and not its first day.

use std::fmt;
use std::time::Duration;

use jiff::civil;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// A calendar date that is written in full: a birth date, an expiry. ISO 8601 `YYYY-MM-DD`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(civil::Date);

/// A FHIR `date`, `dateTime` or `instant` (FHIR R4 §2.24.0.1): its text and the interval of instants it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartialDate {
    /// As written in the record.
    pub text: String,
    /// First instant it can mean.
    pub from: Timestamp,
    /// First instant it can no longer mean.
    pub until: Timestamp,
}

impl Timestamp {
    /// This much later; saturates.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This much earlier; saturates.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Time passed since `earlier`, zero when that is in the future.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 in UTC, to the millisecond.
    #[must_use]
    pub fn rfc3339(self) -> String {
        jiff::Timestamp::from_millisecond(self.0).map_or_else(|_| format!("{} ms", self.0), |t| format!("{t:.3}"))
    }

    /// Reads RFC 3339.
    #[must_use]
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|t| Self(t.as_millisecond()))
    }

    /// The calendar date in UTC.
    #[must_use]
    pub fn date(self) -> Option<Date> {
        let stamp = jiff::Timestamp::from_millisecond(self.0).ok()?;
        Some(Date(stamp.to_zoned(jiff::tz::TimeZone::UTC).date()))
    }
}

impl Date {
    /// A date from its parts, when there is such a day.
    #[must_use]
    pub fn new(year: i16, month: i8, day: i8) -> Option<Self> {
        civil::Date::new(year, month, day).ok().map(Self)
    }

    /// Reads exactly `YYYY-MM-DD`, the form of the wire.
    #[must_use]
    pub fn from_iso(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        if !plain || parts.next().is_some() || (year.len(), month.len(), day.len()) != (4, 2, 2) {
            return None;
        }
        Self::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
    }

    /// Reads a date as people write it: `1938-03-14`, `14/03/1938`, `14-03-1938`, `14.3.1938`, `14-Mar-1938`, `14 March 1938`, `19380314`.
    #[must_use]
    pub fn from_human(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(date) = Self::from_iso(text) {
            return Some(date);
        }
        if text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit()) {
            return Self::new(
                text.get(0..4)?.parse().ok()?,
                text.get(4..6)?.parse().ok()?,
                text.get(6..8)?.parse().ok()?,
            );
        }
        let parts: Vec<&str> = text.split(['/', '-', '.', ' ']).filter(|p| !p.is_empty()).collect();
        let [day, month, year] = parts.as_slice() else {
            return None;
        };
        if year.len() != 4 || day.len() > 2 {
            return None;
        }
        Self::new(year.parse().ok()?, month_number(month)?, day.parse().ok()?)
    }

    /// Day and month exchanged, when that is another date: the slip of somebody who reads dates the other way round.
    #[must_use]
    pub fn transposed(self) -> Option<Self> {
        let swapped = civil::Date::new(self.0.year(), self.0.day(), self.0.month()).ok()?;
        (swapped != self.0).then_some(Self(swapped))
    }

    /// As shown to people: `02-Nov-2026`.
    #[must_use]
    pub fn shown(self) -> String {
        self.0.strftime("%d-%b-%Y").to_string()
    }

    /// The first instant of the day in UTC.
    #[must_use]
    pub fn start(self) -> Timestamp {
        self.0.to_zoned(jiff::tz::TimeZone::UTC).map_or(Timestamp(0), |z| Timestamp(z.timestamp().as_millisecond()))
    }

    /// This many days later, or the last date there is.
    #[must_use]
    pub fn plus_days(self, days: i32) -> Self {
        Self(self.0.saturating_add(jiff::Span::new().days(days)))
    }

    /// The date of the calendar library, for arithmetic.
    #[must_use]
    pub fn civil(self) -> civil::Date {
        self.0
    }
}

impl PartialDate {
    /// Reads `YYYY`, `YYYY-MM`, `YYYY-MM-DD`, or a date with time and zone. A date stands for its whole local day, so days
    /// are widened by the zones there are (UTC−12 to UTC+14) only when they are compared by [`PartialDate::overlaps`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (from, until) = match text.len() {
            4 => {
                let year: i16 = text.parse().ok()?;
                (Date::new(year, 1, 1)?.start(), Date::new(year.checked_add(1)?, 1, 1)?.start())
            }
            7 => {
                let first = Date::from_iso(&format!("{text}-01"))?;
                (first.start(), Date(first.0.saturating_add(jiff::Span::new().months(1))).start())
            }
            10 => {
                let day = Date::from_iso(text)?;
                (day.start(), day.plus_days(1).start())
            }
            _ => {
                let from = Timestamp::from_rfc3339(text)?;
                (from, Timestamp(from.0.saturating_add(1)))
            }
        };
        Some(Self { text: text.to_owned(), from, until })
    }

    /// Whether it can lie in the window; a missing bound is open. `until` is exclusive.
    #[must_use]
    pub fn overlaps(&self, since: Option<Timestamp>, until: Option<Timestamp>) -> bool {
        since.is_none_or(|s| self.until > s) && until.is_none_or(|u| self.from < u)
    }

    /// As shown to people: `02-Nov-2026`, `Nov-2026`, `2026`; a time of day is left to the caller's zone.
    #[must_use]
    pub fn shown(&self) -> String {
        match self.text.len() {
            4 => self.text.clone(),
            7 => self.from.date().map_or_else(|| self.text.clone(), |d| d.0.strftime("%b-%Y").to_string()),
            _ => self.text.get(0..10).and_then(Date::from_iso).map_or_else(|| self.text.clone(), Date::shown),
        }
    }
}

fn month_number(text: &str) -> Option<i8> {
    if let Ok(number) = text.parse::<i8>() {
        return Some(number);
    }
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let lower = text.to_lowercase();
    if lower.len() < 3 {
        return None;
    }
    let index = MONTHS.iter().position(|month| month.starts_with(&lower))?;
    i8::try_from(index + 1).ok()
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::from_iso(&text).ok_or_else(|| serde::de::Error::custom("expected a date as YYYY-MM-DD"))
    }
}

impl fmt::Debug for Date {
    /// Birth dates must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Date(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_write_dates_in_many_ways() {
        let want = Date::new(1938, 3, 14);
        for text in [
            "1938-03-14",
            "14/03/1938",
            "14-03-1938",
            "14.3.1938",
            "14-Mar-1938",
            "14 March 1938",
            "19380314",
            " 14/3/1938 ",
        ] {
            assert_eq!(Date::from_human(text), want, "{text}");
        }
        for text in ["1938-02-30", "14/13/1938", "14/03/38", "yesterday", "", "03-1938", "31/02/1938", "14-Ma-1938"] {
            assert_eq!(Date::from_human(text), None, "{text}");
        }
    }

    #[test]
    fn partial_dates_are_intervals() {
        let since = Date::new(2019, 6, 1).map(Date::start);
        for (text, inside) in [
            ("2019", true),
            ("2018", false),
            ("2019-05", false),
            ("2019-06", true),
            ("2019-05-31", false),
            ("2019-06-01", true),
            ("2019-06-01T00:00:00Z", true),
            ("2019-05-31T23:59:59.999+00:00", false),
        ] {
            assert_eq!(PartialDate::parse(text).unwrap().overlaps(since, None), inside, "{text}");
        }
        for bad in ["19", "2019-13", "2019-02-30", "2019-06-01T25:00:00Z", "soon", "२०१९"] {
            assert_eq!(PartialDate::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn dates_are_shown_with_the_month_in_letters() {
        for (text, shown) in [
            ("2026-11-02", "02-Nov-2026"),
            ("2026-11", "Nov-2026"),
            ("2026", "2026"),
            ("2026-11-02T10:00:00Z", "02-Nov-2026"),
        ] {
            assert_eq!(PartialDate::parse(text).unwrap().shown(), shown);
        }
    }

    #[test]
    fn transposed_dates_are_only_those_that_exist_and_differ() {
        assert_eq!(Date::new(1938, 3, 4).unwrap().transposed(), Date::new(1938, 4, 3));
        assert_eq!(Date::new(1938, 3, 14).unwrap().transposed(), None);
        assert_eq!(Date::new(1938, 3, 3).unwrap().transposed(), None);
    }
}
