//! What a handful of codes mean, for telling a code from words that contradict it, and which codes are no longer in use. A small
//! list of our own; meanings are to be confirmed against a licensed release, and of medicines a deployer's dm+d knows more.

use std::fmt;

use careweave_protocol::record::code::SNOMED;
use careweave_protocol::record::{Category, Coding};

use super::medicines::dmd::Dmd;
use super::medicines::substance;
use super::row::Entry;

/// What contradicts what, in words: the meaning of a code against the words beside it. `None` where all agree, where nothing is
/// known about either, and outside medicines, allergies and problems, whose words are short and name one thing.
#[must_use]
pub fn contradiction(entry: &Entry, dmd: Option<&Dmd>) -> Option<String> {
    let read = match entry.category {
        Category::Medications => medicine_of,
        Category::Allergies | Category::Problems => concept_of,
        _ => return None,
    };
    let row = &entry.row;
    let meaning = |said: Said<'_>| read(said, dmd);
    let codes = row.codings.iter().filter(|coding| is_snomed(coding)).map(|coding| Said::Code(&coding.code));
    let mut said: Vec<(Said<'_>, Meaning)> = codes.filter_map(|code| Some((code, meaning(code)?))).collect();
    let displays = row.codings.iter().filter_map(|coding| coding.display.as_deref());
    let displays: Vec<&str> = displays.filter(|display| !display.eq_ignore_ascii_case(&row.text)).collect();
    // Most entries have one name and a code of which nothing is known: there is nothing to compare.
    if said.is_empty() && displays.is_empty() {
        return None;
    }
    let words = displays.into_iter().map(Said::Display).chain([Said::Words(&row.text)]);
    said.extend(words.filter_map(|words| Some((words, meaning(words)?))));
    let pairs = said.iter().enumerate().flat_map(|(place, one)| said.iter().skip(place + 1).map(move |two| (one, two)));
    let mut against = pairs.filter(|((_, one), (_, two))| one.contradicts(two));
    against
        .next()
        .map(|((one, means), (two, but))| format!("{one} means {}, {two} means {}", means.shown(), but.shown()))
}

/// Whether a code is no longer in use.
#[must_use]
pub fn is_retired(coding: &Coding, dmd: Option<&Dmd>) -> bool {
    is_snomed(coding)
        && (RETIRED.contains(&coding.code.as_str()) || dmd.is_some_and(|release| release.is_retired(&coding.code)))
}

/// Whether the code is of SNOMED CT, of which dm+d is a part.
#[must_use]
pub fn is_snomed(coding: &Coding) -> bool {
    matches!(coding.system.as_str(), SNOMED | DMD | "")
}

/// A code or words of an entry.
#[derive(Clone, Copy)]
enum Said<'a> {
    Code(&'a str),
    Display(&'a str),
    Words(&'a str),
}

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "code {code}"),
            Self::Display(words) => write!(f, "its display \"{words}\""),
            Self::Words(words) => write!(f, "\"{words}\""),
        }
    }
}

/// What something is known to mean.
enum Meaning {
    /// A medicine of these substances.
    Substances(Vec<String>),
    /// Words that name medicines only on the way: of these substances.
    Mentions(Vec<String>),
    /// Concepts of [`CONCEPTS`], by place.
    Concepts(Vec<usize>),
}

impl Meaning {
    fn contradicts(&self, other: &Self) -> bool {
        use Meaning::{Concepts, Mentions, Substances};
        match (self, other) {
            (Substances(a), Substances(b)) => a != b,
            (Substances(a) | Mentions(a), Substances(b) | Mentions(b)) => !a.iter().any(|one| b.contains(one)),
            (Concepts(a), Concepts(b)) => !a.iter().any(|one| b.contains(one)),
            (Concepts(_), _) | (_, Concepts(_)) => false,
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Substances(names) | Self::Mentions(names) => names.join(" + "),
            Self::Concepts(places) => {
                let names = places.iter().filter_map(|place| CONCEPTS.get(*place)?.1.first().copied());
                names.collect::<Vec<_>>().join(" or ")
            }
        }
    }
}

/// As a product's code or name, else by every substance the words mention.
fn medicine_of(said: Said<'_>, dmd: Option<&Dmd>) -> Option<Meaning> {
    match said {
        Said::Code(code) => substance::of_code(code, dmd).map(Meaning::Substances),
        Said::Display(words) | Said::Words(words) => {
            substance::of_name(words, dmd).map(Meaning::Substances).or_else(|| {
                let mentioned = substance::mentioned(words);
                (!mentioned.is_empty()).then_some(Meaning::Mentions(mentioned))
            })
        }
    }
}

fn concept_of(said: Said<'_>, _dmd: Option<&Dmd>) -> Option<Meaning> {
    let concepts = CONCEPTS.iter().enumerate();
    let places: Vec<usize> = match said {
        Said::Code(code) => concepts.filter(|(_, (codes, _))| codes.contains(&code)).map(|(place, _)| place).collect(),
        Said::Display(words) | Said::Words(words) => {
            let lower = words.to_lowercase();
            let named = |names: &[&str]| names.iter().any(|name| mentions(&lower, name));
            concepts.filter(|(_, (_, names))| named(names)).map(|(place, _)| place).collect()
        }
    };
    (!places.is_empty()).then_some(Meaning::Concepts(places))
}

/// Whether the name stands in the (lower-case) words as a word. An ending may follow a long one; `af` is not in `after`.
pub(super) fn mentions(lower: &str, name: &str) -> bool {
    lower.match_indices(name).any(|(at, _)| {
        let before = lower.get(..at).and_then(|before| before.chars().next_back());
        let after = lower.get(at + name.len()..).and_then(|after| after.chars().next());
        let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        !word(before) && (name.len() > SHORT || !word(after))
    })
}

/// Names up to this length must be whole words.
const SHORT: usize = 4;

/// The system by which dm+d is named of late; its codes are SNOMED CT's.
const DMD: &str = "https://dmd.nhs.uk";

/// SNOMED CT concepts that were retired: angina (367416001), perinephric abscess (235998001), soft tissue X-ray abnormal
/// (145857006), each a duplicate of another.
const RETIRED: [&str; 3] = ["367416001", "235998001", "145857006"];

/// Concepts with the words by which people name them; the first is how it is shown. Words of one concept that are part of
/// another's are given to both, so that nothing is contradicted by being exact.
const CONCEPTS: &[(&[&str], &[&str])] = &[
    (&["91936005"], &["allergy to penicillin", "penicillin", "amoxicillin", "flucloxacillin", "co-amoxiclav"]),
    (&["91939003"], &["allergy to sulfonamide", "sulfonamide", "sulphonamide", "co-trimoxazole", "sulfa"]),
    (&["300916003"], &["latex allergy", "latex", "rubber"]),
    (&["91935009"], &["allergy to peanut", "peanut", "nut allerg"]),
    (&["293586001"], &["allergy to aspirin", "aspirin", "salicylate", "nsaid"]),
    (&["716186003", "409137002"], &["no known allergy", "no known", "nkda", "nka", "none known", "nil known"]),
    (&["84114007"], &["heart failure", "cardiac failure", "hfref", "hfpef", "ccf"]),
    (&["49436004"], &["atrial fibrillation", "fibrillation", "af", "paf"]),
    (&["709044004"], &["chronic kidney disease", "kidney", "renal", "ckd"]),
    (&["38341003"], &["hypertension", "hypertensive", "high blood pressure"]),
    (&["44054006"], &["type 2 diabetes", "type ii diabetes", "t2dm", "diabetes mellitus type 2", "niddm"]),
    (&["46635009"], &["type 1 diabetes", "type i diabetes", "t1dm", "diabetes mellitus type 1", "iddm"]),
    (&["52448006", "26929004"], &["dementia", "alzheimer"]),
    (&["13645005", "195951007"], &["copd", "chronic obstructive", "emphysema"]),
    (&["195967001"], &["asthma"]),
    (&["53741008"], &["coronary disease", "coronary", "ischaemic heart", "angina", "ihd"]),
    (&["230690007"], &["stroke", "cerebrovascular", "cva"]),
    (&["35489007"], &["depression", "depressi"]),
    (&["84757009"], &["epilepsy", "epilep", "seizure"]),
    (&["64859006"], &["osteoporosis", "osteoporo"]),
    (&["69896004"], &["rheumatoid arthritis", "rheumatoid"]),
    (&["58214004"], &["schizophrenia", "schizophren"]),
    (&["13746004"], &["bipolar disorder", "bipolar", "manic"]),
    (&["396275006"], &["osteoarthritis", "osteoarthr"]),
    (&["197480006"], &["anxiety", "anxious"]),
    (&["40930008"], &["hypothyroidism", "hypothyroid", "underactive thyroid"]),
    (&["34486009"], &["hyperthyroidism", "hyperthyroid", "thyrotoxic", "overactive thyroid"]),
    (&["233604007"], &["pneumonia"]),
    (&["68566005"], &["urinary tract infection", "urinary infection", "uti", "cystitis"]),
    (&["14669001"], &["acute kidney injury", "kidney", "renal", "aki"]),
    (&["5913000"], &["fracture of neck of femur", "fracture", "hip", "femur"]),
    (&["76272004"], &["syphilis"]),
    (&["43116000"], &["eczema", "dermatitis"]),
    (&["37796009"], &["migraine"]),
    (&["65363002"], &["otitis media", "ear infection"]),
    (&["44465007"], &["sprain of ankle", "ankle"]),
    (&["90560007"], &["gout"]),
];

#[cfg(test)]
mod tests;
