//! What clinicians and care staff type.

use std::time::Duration;

use careweave_certs::manifest::MemberKind;
use careweave_protocol::id::{NhsNumber, QueryId};
use careweave_protocol::limits::VIEW_DEADLINE;
use careweave_protocol::query::Purpose;
use careweave_protocol::record::Category;
use careweave_protocol::time::Date;
use clap::{Args, ValueEnum};

/// `careweave view`.
#[derive(Debug, Args)]
#[command(after_help = VIEW_EXAMPLES)]
pub struct ViewArgs {
    /// NHS number, with or without spaces; asked for when left out, so that it need not stand in the shell's history
    #[arg(value_name = "NHS", value_parser = nhs_number)]
    pub nhs_number: Option<NhsNumber>,
    /// Why you look
    #[arg(long = "for", value_enum, default_value_t = Aim::Care)]
    pub aim: Aim,
    /// Number of the governance case, for subject access and audit
    #[arg(long, value_name = "NUMBER", value_parser = case_number)]
    pub case: Option<String>,
    /// What narrows the question.
    #[command(flatten)]
    pub question: QuestionArgs,
}

/// `careweave emergency`.
#[derive(Debug, Args)]
#[command(after_help = EMERGENCY_EXAMPLES)]
pub struct EmergencyArgs {
    /// NHS number, with or without spaces; asked for when left out
    #[arg(value_name = "NHS", value_parser = nhs_number)]
    pub nhs_number: Option<NhsNumber>,
    /// What narrows the question.
    #[command(flatten)]
    pub question: QuestionArgs,
}

/// What a view can be asked with beside the number and the aim.
#[derive(Debug, Clone, Args)]
pub struct QuestionArgs {
    /// Birth date: 1938-03-14, 14/03/1938 or 14-Mar-1938; taken from your own record after you confirm it, or asked for
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub dob: Option<Date>,
    /// Family name; taken from your own record after you confirm it, or asked for
    #[arg(long, value_name = "NAME", value_parser = family_name)]
    pub family: Option<String>,
    /// Postcode, which can corroborate
    #[arg(long, value_name = "PC")]
    pub postcode: Option<String>,
    /// Coded reason (SNOMED CT or a local code)
    #[arg(long, value_name = "CODE")]
    pub reason: Option<String>,
    /// Only these categories; allergies, problems, medications, flags and advance care are always shown
    #[arg(long = "category", value_name = "A,B", value_delimiter = ',', value_parser = category)]
    pub categories: Vec<Category>,
    /// Clinical date from this day on
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub since: Option<Date>,
    /// Clinical date up to and including this day
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub until: Option<Date>,
    /// How long to wait for the sources
    #[arg(long, value_name = "TIME", value_parser = deadline, default_value = DEADLINE_SHOWN)]
    pub deadline: Duration,
    /// Mark what came since you last looked at this patient
    #[arg(long)]
    pub new: bool,
    /// Take birth date and family name from your own record without confirming (for scripts)
    #[arg(long)]
    pub yes: bool,
}

/// Why somebody looks, in everyday words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Aim {
    /// Direct care (TREAT)
    Care,
    /// A meeting or referral about the patient (COC)
    Meeting,
    /// An emergency (ETREAT); both sides are alerted when it rests on your word alone
    Emergency,
    /// A person's request for their own record (PATRQT), by a privacy officer with a case number
    SubjectAccess,
    /// A review of how records were used (HCOMPL), by a privacy officer with a case number
    Audit,
}

/// `careweave explain`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  careweave explain 8c1f0e6a52d94b7f8c1f0e6a52d94b7f")]
pub struct ExplainArgs {
    /// The query's id, as the view shows it
    #[arg(value_name = "ID", value_parser = query_id)]
    pub id: QueryId,
}

/// `careweave directory`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  careweave directory\n  careweave directory --type gp-practice")]
pub struct DirectoryArgs {
    /// Only this neighbourhood
    #[arg(long, value_name = "N")]
    pub neighbourhood: Option<String>,
    /// Only this kind of organisation, such as gp-practice, acute or care-home
    #[arg(long = "type", value_name = "T", value_parser = kind)]
    pub kind: Option<MemberKind>,
}

impl Aim {
    /// The purpose of use it stands for.
    #[must_use]
    pub fn purpose(self) -> Purpose {
        match self {
            Self::Care => Purpose::Treat,
            Self::Meeting => Purpose::Coc,
            Self::Emergency => Purpose::Etreat,
            Self::SubjectAccess => Purpose::Patrqt,
            Self::Audit => Purpose::Hcompl,
        }
    }
}

/// Reads an NHS number as people write it.
///
/// # Errors
/// Says what is wrong with it, without repeating it.
pub fn nhs_number(text: &str) -> Result<NhsNumber, String> {
    text.trim().parse().map_err(|error: careweave_protocol::id::IdError| error.to_string())
}

/// Reads a date as people write it.
///
/// # Errors
/// Says which forms are read.
pub fn date(text: &str) -> Result<Date, String> {
    Date::from_human(text).ok_or_else(|| "a date is written 1938-03-14, 14/03/1938 or 14-Mar-1938".to_owned())
}

/// Reads a family name: any text that is not blank.
///
/// # Errors
/// When it is blank or over [`careweave_protocol::limits::TEXT_MAX`].
pub fn family_name(text: &str) -> Result<String, String> {
    let name = text.trim();
    if name.is_empty() || name.len() > careweave_protocol::limits::TEXT_MAX {
        return Err("a family name has 1 to 256 characters".to_owned());
    }
    Ok(name.to_owned())
}

/// Reads the number of a governance case: any text that is not blank.
///
/// # Errors
/// When it is blank or over [`careweave_protocol::limits::TEXT_MAX`].
pub fn case_number(text: &str) -> Result<String, String> {
    let number = text.trim();
    if number.is_empty() || number.len() > careweave_protocol::limits::TEXT_MAX {
        return Err("a case number has 1 to 256 characters".to_owned());
    }
    Ok(number.to_owned())
}

/// Reads a query's id: 32 hexadecimal digits, of which people may type some as capitals.
///
/// # Errors
/// When it is not one.
pub fn query_id(text: &str) -> Result<QueryId, String> {
    text.trim().to_ascii_lowercase().parse().map_err(|_| "a query id has 32 hexadecimal digits".to_owned())
}

fn kind(text: &str) -> Result<MemberKind, String> {
    text.trim().parse::<MemberKind>().map_err(|error| error.to_string())
}

fn category(text: &str) -> Result<Category, String> {
    text.trim().parse().map_err(|error: careweave_protocol::record::UnknownCategory| error.to_string())
}

/// Reads `8s`, `1500ms`, `1m` or plain seconds.
pub(super) fn deadline(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let (number, unit) = [("ms", 1), ("s", 1_000), ("m", 60_000)]
        .into_iter()
        .find_map(|(suffix, unit)| text.strip_suffix(suffix).map(|number| (number, unit)))
        .unwrap_or((text, 1_000));
    let milliseconds = number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).map(Duration::from_millis);
    milliseconds
        .filter(|time| (DEADLINE_MIN..=DEADLINE_MAX).contains(time))
        .ok_or_else(|| "a deadline is written 8s, 1500ms or 1m, and lies between 100ms and 1m".to_owned())
}

/// Shorter than this not even the own node replies.
const DEADLINE_MIN: Duration = Duration::from_millis(100);
/// A signed query lives no longer.
const DEADLINE_MAX: Duration = careweave_protocol::limits::QUERY_LIFE;
/// [`VIEW_DEADLINE`], as the help shows it.
pub(super) const DEADLINE_SHOWN: &str = "8s";
const _: () = assert!(VIEW_DEADLINE.as_secs() == 8);

const VIEW_EXAMPLES: &str = "\
Examples:
  careweave view                                    asks for everything
  careweave view '999 001 0013'
  careweave view 9990010013 --dob 14/03/1938 --family Okafor
  careweave view 9990010013 --yes --category results,letters --since 2025-01-01
  careweave view 9990010013 --yes --new              marks what came since your last look
  careweave view 9990010013 --yes -o json | jq '.sources[] | {ods, outcome}'
  careweave view 9990010013 --yes -o html > view.html
  careweave view 9990010013 --yes --for subject-access --case SAR-2026-17

Exit codes: 0 every asked source replied, 3 a source did not, 4 refused or nothing shareable,
5 patient not safely matched, 6 not eligible, 1 failed, 2 usage.";

const EMERGENCY_EXAMPLES: &str = "\
Examples:
  careweave emergency                               asks for everything
  careweave emergency 9990010013 --dob 14/03/1938 --family Okafor";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_read_in_everyday_units_and_bounded() {
        for (text, want) in [("8s", Some(8_000)), ("1500ms", Some(1_500)), ("1m", Some(60_000)), ("5", Some(5_000))] {
            assert_eq!(deadline(text).ok(), want.map(Duration::from_millis), "{text}");
        }
        for text in ["", "s", "0s", "99ms", "2m", "-1s", "8 s", "1.5s", "99999999999999999999s"] {
            assert!(deadline(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_and_dates_are_read_as_people_write_them_and_never_repeated_in_the_error() {
        assert!(nhs_number(" 999 001 0013 ").is_ok());
        assert!(nhs_number("999-001-0013").is_ok());
        let wrong = nhs_number("9990010014").unwrap_err();
        assert!(!wrong.contains("999"), "{wrong}");
        assert_eq!(date("14/03/1938"), date("1938-03-14"));
        assert!(date("14/03/38").is_err());
        assert!(family_name("  ").is_err());
        assert_eq!(family_name(" O'Brien ").as_deref(), Ok("O'Brien"));
    }

    #[test]
    fn everyday_aims_are_purposes_of_use() {
        for (aim, purpose) in [
            (Aim::Care, Purpose::Treat),
            (Aim::Meeting, Purpose::Coc),
            (Aim::Emergency, Purpose::Etreat),
            (Aim::SubjectAccess, Purpose::Patrqt),
            (Aim::Audit, Purpose::Hcompl),
        ] {
            assert_eq!(aim.purpose(), purpose);
        }
    }
}
