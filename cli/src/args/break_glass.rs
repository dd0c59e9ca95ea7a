//! What a clinician types to open, for a short while and on the record, what the access table keeps closed.

use std::time::Duration;

use careweave_protocol::id::NhsNumber;
use careweave_protocol::limits::{BREAK_GLASS_LIFE, TEXT_MAX};
use careweave_protocol::record::{Category, UnknownCategory};
use careweave_protocol::time::Date;
use clap::Args;

use super::clinical::{DEADLINE_SHOWN, QuestionArgs, date, deadline, family_name, nhs_number};

/// `careweave break-glass`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct BreakGlassArgs {
    /// NHS number, with or without spaces; asked for when left out, so that it need not stand in the shell's history
    #[arg(value_name = "NHS", value_parser = nhs_number)]
    pub nhs_number: Option<NhsNumber>,
    /// Birth date; taken from your own record after you confirm it, or asked for
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub dob: Option<Date>,
    /// Family name; taken from your own record after you confirm it, or asked for
    #[arg(long, value_name = "NAME", value_parser = family_name)]
    pub family: Option<String>,
    /// Postcode, which can corroborate
    #[arg(long, value_name = "PC")]
    pub postcode: Option<String>,
    /// Coded reason (SNOMED CT or a local code), which every holder logs; asked for when left out
    #[arg(long, value_name = "CODE", value_parser = reason)]
    pub reason: Option<String>,
    /// Why, in your own words; stays in your own organisation's log; asked for when left out
    #[arg(long, value_name = "TEXT", value_parser = reason_text)]
    pub text: Option<String>,
    /// Categories to open, and the only ones to show beside allergies, problems, medications, flags and advance care; asked
    /// for when left out
    #[arg(long = "category", value_name = "A,B", value_delimiter = ',', value_parser = category)]
    pub categories: Vec<Category>,
    /// Minutes for which the grant holds
    #[arg(long, value_name = "N", default_value_t = MINUTES_MAX, value_parser = clap::value_parser!(u64).range(1..=MINUTES_MAX))]
    pub for_minutes: u64,
    /// Clinical date from this day on
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub since: Option<Date>,
    /// Clinical date up to and including this day
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub until: Option<Date>,
    /// How long to wait for the sources
    #[arg(long, value_name = "TIME", value_parser = deadline, default_value = DEADLINE_SHOWN)]
    pub deadline: Duration,
    /// Confirm everything, for scripts: that glass is broken, and birth date and family name from your own record
    #[arg(long)]
    pub yes: bool,
}

impl BreakGlassArgs {
    /// What narrows the question: the categories that are opened, no others.
    #[must_use]
    pub fn question(&self, reason: Option<String>, categories: Vec<Category>) -> QuestionArgs {
        QuestionArgs {
            dob: self.dob,
            family: self.family.clone(),
            postcode: self.postcode.clone(),
            reason,
            categories,
            since: self.since,
            until: self.until,
            deadline: self.deadline,
            new: false,
            yes: self.yes,
        }
    }
}

/// Reads a coded reason: any text that is not blank.
///
/// # Errors
/// When it is blank or over [`TEXT_MAX`].
pub fn reason(text: &str) -> Result<String, String> {
    bounded(text, TEXT_MAX, "a coded reason")
}

/// Reads a reason in words: any text that is not blank.
///
/// # Errors
/// When it is blank or over 2,000 bytes.
pub fn reason_text(text: &str) -> Result<String, String> {
    bounded(text, REASON_TEXT_MAX, "the reason in your own words")
}

/// Reads a category that a view can show.
///
/// # Errors
/// With the list of them when it is none.
pub fn category(text: &str) -> Result<Category, String> {
    let found = text.trim().parse().ok().filter(|c| !matches!(c, Category::Other | Category::Experience));
    found.ok_or_else(|| UnknownCategory.to_string())
}

/// Reads several categories, as they are typed at a question.
///
/// # Errors
/// As [`category`], and when there is none.
pub fn categories(text: &str) -> Result<Vec<Category>, String> {
    text.split([',', ' '])
        .filter(|word| !word.is_empty())
        .map(category)
        .collect::<Result<Vec<_>, _>>()
        .and_then(|found| if found.is_empty() { Err("at least one category is opened".to_owned()) } else { Ok(found) })
}

fn bounded(text: &str, limit: usize, what: &str) -> Result<String, String> {
    let text = text.trim();
    if (1..=limit).contains(&text.len()) { Ok(text.to_owned()) } else { Err(format!("{what} has 1 to {limit} bytes")) }
}

/// [`BREAK_GLASS_LIFE`].
const MINUTES_MAX: u64 = BREAK_GLASS_LIFE.as_secs() / 60;
/// A paragraph: with the number it must fit in one entry's part about the patient, which has 8 KiB.
const REASON_TEXT_MAX: usize = 2_000;

const EXAMPLES: &str = "\
Examples:
  careweave break-glass                             asks for everything
  careweave break-glass 9990010013 --reason acute-confusion --text 'found at home' --category problems
  careweave break-glass 9990010013 --yes --for-minutes 15 --reason acute-confusion --text '…' \\
    --category results,letters -o json

Opens what the access table gives your role by break-glass only (mental-health detail, sensitive,
sealed by the patient): one patient, the categories named, an hour at most. The privacy officers of
both organisations are alerted, and each opens a review that somebody else than you must close.
Your step-up key signs, so its passphrase is asked for even when you are logged in. What is
restricted by law, or sealed even in an emergency, stays closed.

Exit codes: as `careweave view`; 1 also for a wrong passphrase, and then nothing was sent.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_never_blank_and_categories_are_those_of_a_view() {
        assert_eq!(reason_text("  found collapsed ").as_deref(), Ok("found collapsed"));
        for blank in ["", "   "] {
            assert!(reason(blank).is_err() && reason_text(blank).is_err());
        }
        assert!(reason_text(&"x".repeat(REASON_TEXT_MAX + 1)).is_err());
        assert_eq!(categories("problems, results"), Ok(vec![Category::Problems, Category::Results]));
        for wrong in ["gossip", "problems,gossip", "other", "experience"] {
            assert!(categories(wrong).unwrap_err().contains("safeguarding"), "{wrong}");
        }
        assert!(categories(" , ").is_err());
    }
}
