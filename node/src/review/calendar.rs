//! Working days: Monday to Friday but for the bank holidays of England, which are worked out and not looked up.
//!
//! What a royal proclamation adds or moves for one year (Banking and Financial Dealings Act 1971 §1) is not here: a review is then due a
//! day early, never late.

use careweave_protocol::time::Timestamp;
use jiff::ToSpan;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;

/// The last millisecond, in this zone, of the working day so many working days after the day of this instant.
///
/// The instant itself where the calendar ends (the year 9999).
#[must_use]
pub fn due(opened: Timestamp, working_days: u32, zone: &TimeZone) -> Timestamp {
    let end = || {
        let day = jiff::Timestamp::from_millisecond(opened.0).ok()?.to_zoned(zone.clone()).date();
        let after = working_days_after(day, working_days).tomorrow().ok()?;
        let midnight = after.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond();
        Some(Timestamp(midnight.saturating_sub(1)))
    };
    end().unwrap_or(opened)
}

/// The day so many working days after this one, which need not be a working day itself.
#[must_use]
pub fn working_days_after(day: Date, count: u32) -> Date {
    let mut day = day;
    let mut left = count;
    while left > 0 {
        // The last day there is stays.
        let Ok(next) = day.tomorrow() else { return day };
        day = next;
        if is_working_day(day) {
            left -= 1;
        }
    }
    day
}

/// Whether people are at work in England.
#[must_use]
pub fn is_working_day(day: Date) -> bool {
    !is_weekend(day) && !bank_holidays(day.year()).contains(&Some(day))
}

/// The bank holidays of England and Wales in a year, with the days taken instead of those at a weekend (Banking and Financial Dealings
/// Act 1971, schedule 1, and the proclamations that are made every year: 1 January and the first Monday of May).
fn bank_holidays(year: i16) -> [Option<Date>; 8] {
    let fixed = |month, day| Date::new(year, month, day).ok();
    let monday =
        |month, nth| Date::new(year, month, 1).ok().and_then(|day| day.nth_weekday_of_month(nth, Weekday::Monday).ok());
    let easter = easter(year);
    let after_easter = |days: i32| easter.and_then(|sunday| sunday.checked_add(days.days()).ok());
    let christmas = fixed(12, 25).and_then(|day| instead(day, &[]));
    [
        fixed(1, 1).and_then(|day| instead(day, &[])),
        after_easter(-2),
        after_easter(1),
        monday(5, 1),
        monday(5, -1),
        monday(8, -1),
        christmas,
        fixed(12, 26).and_then(|day| instead(day, &[christmas])),
    ]
}

/// The day itself, or the first working day after it that is not taken instead of another holiday.
fn instead(day: Date, taken: &[Option<Date>]) -> Option<Date> {
    let mut day = day;
    while is_weekend(day) || taken.contains(&Some(day)) {
        day = day.tomorrow().ok()?;
    }
    Some(day)
}

fn is_weekend(day: Date) -> bool {
    matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// Easter Sunday in the Gregorian calendar (the "anonymous" algorithm, J. Meeus, Astronomical Algorithms, chapter 8).
fn easter(year: i16) -> Option<Date> {
    let y = i32::from(year);
    let golden = y % 19;
    let (century, of_century) = (y / 100, y % 100);
    let leap_correction = (century - (century + 8) / 25 + 1) / 3;
    let epact = (19 * golden + century - century / 4 - leap_correction + 15) % 30;
    let weekday = (32 + 2 * (century % 4) + 2 * (of_century / 4) - epact - of_century % 4) % 7;
    let late = (golden + 11 * epact + 22 * weekday) / 451;
    let day_of_march = epact + weekday - 7 * late + 114;
    let (month, day) = (day_of_march / 31, day_of_march % 31 + 1);
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    /// As published at gov.uk for England and Wales.
    const PUBLISHED: [(i16, [(i8, i8); 8]); 3] = [
        (2026, [(1, 1), (4, 3), (4, 6), (5, 4), (5, 25), (8, 31), (12, 25), (12, 28)]),
        (2027, [(1, 1), (3, 26), (3, 29), (5, 3), (5, 31), (8, 30), (12, 27), (12, 28)]),
        (2028, [(1, 3), (4, 14), (4, 17), (5, 1), (5, 29), (8, 28), (12, 25), (12, 26)]),
    ];

    #[test]
    fn the_bank_holidays_of_three_years_are_those_published() {
        for (year, days) in PUBLISHED {
            let found: Vec<Date> = bank_holidays(year).into_iter().flatten().collect();
            let published: Vec<Date> = days.iter().map(|(month, day)| date(year, *month, *day)).collect();
            assert_eq!(found, published, "{year}");
            assert!(found.iter().all(|day| !is_working_day(*day)));
        }
    }

    #[test]
    fn easter_falls_where_it_fell_and_will_fall() {
        for (year, month, day) in [
            (1943, 4, 25),
            (1961, 4, 2),
            (2000, 4, 23),
            (2008, 3, 23),
            (2024, 3, 31),
            (2026, 4, 5),
            (2038, 4, 25),
            (2285, 3, 22),
        ] {
            assert_eq!(easter(year), Some(date(year, month, day)));
        }
    }

    #[test]
    fn a_holiday_at_a_weekend_moves_to_the_next_days_that_are_free() {
        // 2021: Christmas on a Saturday, Boxing Day on a Sunday. 2022: Christmas on a Sunday. 2023: New Year on a Sunday.
        for (day, working) in [
            (date(2021, 12, 24), true),
            (date(2021, 12, 27), false),
            (date(2021, 12, 28), false),
            (date(2021, 12, 29), true),
            (date(2022, 12, 26), false),
            (date(2022, 12, 27), false),
            (date(2022, 12, 28), true),
            (date(2023, 1, 2), false),
            (date(2023, 1, 3), true),
        ] {
            assert_eq!(is_working_day(day), working, "{day}");
        }
    }

    #[test]
    fn five_working_days_leave_out_weekends_and_holidays() {
        for (opened, due) in [
            // Monday to Monday.
            (date(2026, 11, 2), date(2026, 11, 9)),
            // Saturday and Sunday count from the Monday on.
            (date(2026, 11, 7), date(2026, 11, 13)),
            (date(2026, 11, 8), date(2026, 11, 13)),
            // Maundy Thursday: Good Friday and Easter Monday are no working days.
            (date(2026, 4, 2), date(2026, 4, 13)),
            // Christmas Eve 2026: the 25th, the 28th and New Year's Day are left out.
            (date(2026, 12, 24), date(2027, 1, 5)),
            // Christmas 2027 at a weekend.
            (date(2027, 12, 23), date(2028, 1, 4)),
        ] {
            assert_eq!(working_days_after(opened, 5), due, "{opened}");
        }
    }

    #[test]
    fn a_review_is_due_at_the_end_of_its_last_day_where_it_is_read() {
        let opened = Timestamp::from_rfc3339("2026-06-01T22:59:00Z").unwrap();
        let london = TimeZone::get("Europe/London").unwrap();
        assert_eq!(due(opened, 5, &london).rfc3339(), "2026-06-08T22:59:59.999Z");
        assert_eq!(due(opened, 5, &TimeZone::UTC).rfc3339(), "2026-06-08T23:59:59.999Z");
        // A minute later it is Tuesday in London.
        let later = Timestamp::from_rfc3339("2026-06-01T23:00:00Z").unwrap();
        assert_eq!(due(later, 5, &london).rfc3339(), "2026-06-09T22:59:59.999Z");
    }
}
