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
    /// Numbers that replaced this one or were replaced by it, by the holder's own records (FHIR `Patient.link` replaced-by and
    /// replaces). This number itself is among them where another registration under it is recorded to be the same person's.
    pub other_numbers: Vec<NhsNumber>,
    /// Whether an adoption or gender-recognition marker forbids linking this number to any other.
    pub number_changed: bool,
    /// Whether the holder's registration of the person was closed (FHIR `Patient.active` false).
    pub closed: bool,
    /// Whether the number was invalidated: nothing is released under it.
    pub invalidated: bool,
}

impl Demographics {
    /// Whether the registration was closed or says of which other under the same number it is a copy: no second person.
    #[must_use]
    pub fn is_copy(&self) -> bool {
        self.closed || self.other_numbers.contains(&self.nhs_number)
    }
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

/// What a holder finds among its records under the numbers of one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Located {
    /// One person, certainly; the record at this index is theirs, and under the number asked where one is.
    One(usize),
    /// Nobody under those numbers.
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
/// current or a previous one after folding. A number that replaced the one asked, or was replaced by it, is as good, unless a marker
/// forbids the link. The postcode corroborates and never decides; gender is not looked at.
#[must_use]
pub fn match_patient(asked: &Patient, candidate: &Demographics) -> Match {
    let linked = |number| candidate.nhs_number == number || candidate.other_numbers.contains(&number);
    let theirs = candidate.nhs_number == asked.nhs_number || !candidate.number_changed && asked.numbers().any(linked);
    if theirs { fit(asked, candidate) } else { Match::None }
}

/// Looks for the person among a holder's records; the index is that of the record to begin with, see [`held`] for all of them.
#[must_use]
pub fn locate(asked: &Patient, candidates: &[Demographics]) -> Located {
    match held(asked, candidates) {
        Ok(found) => found.first().map_or(Located::NotHeld, |index| Located::One(*index)),
        Err(doubt) => Located::Doubtful(doubt),
    }
}

/// Every record that is certainly the person's, by its index: those under the number asked first, then those under numbers that
/// replaced it or were replaced by it. Each number is judged by itself. A doubt about the number asked releases nothing; a record
/// under another number that does not fit as well is not the person's, and no reason to withhold what is.
///
/// # Errors
/// What is wrong with the records, where none may be released.
pub fn held(asked: &Patient, candidates: &[Demographics]) -> Result<Vec<usize>, Doubt> {
    let (mut found, mut doubt) = (Vec::new(), None);
    for number in linked_numbers(asked.nhs_number, asked.numbers(), candidates) {
        match under(number, asked, candidates) {
            Ok(indices) => found.extend(indices),
            Err(wrong) if number == asked.nhs_number => return Err(wrong),
            Err(wrong) => doubt = doubt.or(Some(wrong)),
        }
    }
    match doubt {
        Some(doubt) if found.is_empty() => Err(doubt),
        _ => Ok(found),
    }
}

/// The numbers of one person: `first`, those that `asked` gives with it, and those that the records link to them. None is reached across
/// a marker.
#[must_use]
pub fn linked_numbers(
    first: NhsNumber,
    asked: impl Iterator<Item = NhsNumber>,
    candidates: &[Demographics],
) -> Vec<NhsNumber> {
    let marked = |number: NhsNumber| candidates.iter().any(|c| c.nhs_number == number && c.number_changed);
    if marked(first) {
        return vec![first];
    }
    let mut numbers: Vec<NhsNumber> = Vec::new();
    let mut reached: Vec<NhsNumber> = asked.collect();
    while let Some(number) = reached.pop() {
        if numbers.contains(&number) || marked(number) {
            continue;
        }
        numbers.push(number);
        for candidate in candidates {
            if candidate.nhs_number == number {
                reached.extend(&candidate.other_numbers);
            } else if candidate.other_numbers.contains(&number) {
                reached.push(candidate.nhs_number);
            }
        }
    }
    numbers.sort_by_key(|number| *number != first);
    numbers
}

/// The records under one number that are certainly the person's.
fn under(number: NhsNumber, asked: &Patient, candidates: &[Demographics]) -> Result<Vec<usize>, Doubt> {
    let here: Vec<(usize, &Demographics)> =
        candidates.iter().enumerate().filter(|(_, c)| c.nhs_number == number).collect();
    if here.iter().any(|(_, c)| c.invalidated) {
        return Err(Doubt::Invalidated);
    }
    let certain = here.iter().filter(|(_, c)| fit(asked, c) == Match::Certain).count();
    if certain < here.len() {
        // The same number with another birth date beside it makes a certain one uncertain too.
        let probable = here.iter().find_map(|(_, c)| match fit(asked, c) {
            Match::Probable(reason) if certain == 0 => Some(reason),
            _ => None,
        });
        return Err(probable.map_or(Doubt::Contradicted, Doubt::Probable));
    }
    let (open, copies): (Vec<_>, Vec<_>) = here.into_iter().partition(|(_, c)| !c.is_copy());
    if open.len() > 1 {
        return Err(Doubt::Ambiguous);
    }
    Ok(open.into_iter().chain(copies).map(|(index, _)| index).collect())
}

/// Birth date and family name, whatever the number.
fn fit(asked: &Patient, candidate: &Demographics) -> Match {
    if candidate.invalidated {
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

/// A family name as it is compared, particles included; empty where nothing of it can be compared.
#[must_use]
pub fn folded_family(name: &str) -> String {
    fold_words(name).concat()
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
