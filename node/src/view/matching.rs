//! Is this the person who was asked about? Number, birth date and family name must all fit; only then is anything released.
//!
//! Pure, and the same at the holder (before deciding) and at the asker (own record, and every Patient that arrives).

use careweave_protocol::id::NhsNumber;
use careweave_protocol::query::Patient;
use careweave_protocol::time::Date;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Who a holder's record says the person is. `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Demographics {
    /// NHS number the record is filed under.
    pub nhs_number: NhsNumber,
    /// Birth date, when it is recorded in full.
    pub birth_date: Option<Date>,
    /// Family names, the current one first, then previous and other ones.
    pub families: Vec<String>,
    /// Given names, in order.
    pub given: Vec<String>,
    /// FHIR administrative gender. Never used to match.
    pub gender: Option<String>,
    /// Address in one line.
    pub address_line: Option<String>,
    /// Postcode as recorded.
    pub postcode: Option<String>,
    /// Whether whereabouts are restricted.
    pub restricted: bool,
    /// Date of death (FHIR text), or an empty text when death is recorded without one.
    pub deceased: Option<String>,
    /// The number that replaced this one (FHIR `Patient.link` replaced-by).
    pub superseded_by: Option<NhsNumber>,
    /// Whether the number was invalidated: nothing is released under it.
    pub invalidated: bool,
}

impl std::fmt::Debug for Demographics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Demographics(hidden)")
    }
}

/// How well a record fits what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// The person asked about; the only result that releases anything.
    Certain,
    /// Perhaps; nothing is released.
    Probable(ProbableReason),
    /// Somebody else, or not to be used.
    None,
}

/// What kept a match from being certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProbableReason {
    /// Day and month are exchanged.
    #[error("day and month of the birth date are exchanged")]
    BirthDateTransposed,
    /// The record has no full birth date.
    #[error("the record has no full birth date")]
    BirthDateUnknown,
    /// Number and birth date fit, the family name does not.
    #[error("the family name differs")]
    FamilyNameDiffers,
    /// As before, and the postcode fits.
    #[error("the family name differs, the postcode agrees")]
    FamilyNameDiffersPostcodeAgrees,
}

/// What a holder finds among its records under one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Located {
    /// Exactly one certain record, at this index.
    One(usize),
    /// Nobody under that number.
    NotHeld,
    /// Nothing is released and the holder raises a data-quality task: two certain records, the same number with another
    /// birth date or name, or an invalidated number.
    Doubtful(Doubt),
}

/// What is wrong with a holder's records under one number. Never goes on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// More than one certain record.
    #[error("more than one local record fits")]
    Ambiguous,
    /// One fits in part.
    #[error("{0}")]
    Probable(ProbableReason),
    /// Same number, another person.
    #[error("the record under this number has another birth date or name")]
    Contradicted,
    /// The number was invalidated.
    #[error("the number was invalidated")]
    Invalidated,
}

/// Compares what was asked with one record (rules 1 to 3): number and birth date exactly, and the typed family name with the
/// current or a previous one after folding. The postcode corroborates and never decides; gender is not looked at.
#[must_use]
pub fn match_patient(asked: &Patient, candidate: &Demographics) -> Match {
    if asked.nhs_number != candidate.nhs_number || candidate.invalidated {
        return Match::None;
    }
    let family = candidate.families.iter().any(|family| same_family(&asked.family, family));
    let Some(birth_date) = candidate.birth_date else {
        return if family { Match::Probable(ProbableReason::BirthDateUnknown) } else { Match::None };
    };
    if birth_date != asked.birth_date {
        let transposed = asked.birth_date.transposed() == Some(birth_date);
        return if family && transposed { Match::Probable(ProbableReason::BirthDateTransposed) } else { Match::None };
    }
    if family {
        return Match::Certain;
    }
    let postcode = |text: &Option<String>| text.as_deref().map(fold_postcode).filter(|p| !p.is_empty());
    let agrees = postcode(&asked.postcode).is_some_and(|p| Some(p) == postcode(&candidate.postcode));
    Match::Probable(if agrees {
        ProbableReason::FamilyNameDiffersPostcodeAgrees
    } else {
        ProbableReason::FamilyNameDiffers
    })
}

/// Looks for the person among a holder's records under the number asked.
#[must_use]
pub fn locate(asked: &Patient, candidates: &[Demographics]) -> Located {
    let under_number = || candidates.iter().enumerate().filter(|(_, c)| c.nhs_number == asked.nhs_number);
    if under_number().next().is_none() {
        return Located::NotHeld;
    }
    if under_number().any(|(_, c)| c.invalidated) {
        return Located::Doubtful(Doubt::Invalidated);
    }
    let mut certain = under_number().filter(|(_, c)| match_patient(asked, c) == Match::Certain).map(|(index, _)| index);
    match (certain.next(), certain.next()) {
        (Some(_), Some(_)) => Located::Doubtful(Doubt::Ambiguous),
        // The same number with another birth date beside it makes the certain one uncertain too.
        (Some(index), None) if under_number().count() == 1 => Located::One(index),
        (Some(_), None) => Located::Doubtful(Doubt::Contradicted),
        (None, _) => {
            let probable = under_number().find_map(|(_, c)| match match_patient(asked, c) {
                Match::Probable(reason) => Some(reason),
                Match::Certain | Match::None => None,
            });
            Located::Doubtful(probable.map_or(Doubt::Contradicted, Doubt::Probable))
        }
    }
}

/// Whether two family names are the same after folding; a particle that one of them leaves out (`van der`, `de la`) is
/// forgiven, `O'` and `Mc` are part of the name and are not.
#[must_use]
pub fn same_family(typed: &str, held: &str) -> bool {
    let (a, b) = (fold_words(typed), fold_words(held));
    let (whole_a, whole_b) = (a.concat(), b.concat());
    if whole_a.is_empty() || whole_b.is_empty() {
        return false;
    }
    if whole_a == whole_b {
        return true;
    }
    let (bare_a, bare_b) = (without_particles(&a), without_particles(&b));
    // Only one side may have left it out: "de la Cruz" and "van Cruz" are different names.
    (bare_a.len() == a.len() || bare_b.len() == b.len()) && bare_a.concat() == bare_b.concat()
}

/// Words of a name: compatibility decomposition (NFKD), marks dropped, lower case, letters that do not decompose written out,
/// apostrophes and full stops dropped, hyphens as spaces.
fn fold_words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in name.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase) {
        match c {
            'ß' => push(&mut words, "ss"),
            'ø' => push(&mut words, "o"),
            'ł' => push(&mut words, "l"),
            'đ' | 'ð' => push(&mut words, "d"),
            'æ' => push(&mut words, "ae"),
            'œ' => push(&mut words, "oe"),
            'þ' => push(&mut words, "th"),
            'ı' => push(&mut words, "i"),
            c if c.is_alphanumeric() && !is_combining_mark(c) => push(&mut words, c.encode_utf8(&mut [0; 4])),
            '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{ad}' => words.push(String::new()),
            c if c.is_whitespace() => words.push(String::new()),
            _ => {}
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn push(words: &mut [String], text: &str) {
    if let Some(word) = words.last_mut() {
        word.push_str(text);
    }
}

/// The words after leading particles; all of them when nothing would be left.
fn without_particles(words: &[String]) -> &[String] {
    let start = words.iter().take_while(|word| PARTICLES.contains(&word.as_str())).count();
    match words.split_at_checked(start) {
        Some((_, rest)) if !rest.is_empty() => rest,
        _ => words,
    }
}

fn fold_postcode(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_uppercase()).collect()
}

/// Particles before a family name that feeds write, abbreviate away or leave out.
const PARTICLES: [&str; 16] =
    ["van", "von", "der", "den", "de", "da", "das", "do", "dos", "di", "du", "del", "della", "la", "le", "el"];

#[cfg(test)]
mod tests;
