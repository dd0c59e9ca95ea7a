//! What an advance decision says about resuscitation, as far as its codes and words tell.

use super::super::row::Entry;

/// For or against attempted cardiopulmonary resuscitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stance {
    /// It is to be attempted.
    For,
    /// It is not.
    Against,
    /// The words say both.
    Both,
}

/// What the entry says; `None` where it says nothing about it.
#[must_use]
pub fn stance(entry: &Entry) -> Option<Stance> {
    let coded = |code: &str| entry.row.codings.iter().any(|coding| coding.code == code);
    let details = entry.row.details.iter().map(|detail| detail.value.as_str());
    let words = std::iter::once(entry.row.text.as_str()).chain(details).collect::<Vec<_>>().join(" . ");
    let said = of_words(&words);
    match (coded(NOT_FOR), coded(FOR)) {
        (true, true) => Some(Stance::Both),
        (true, false) => Some(if said == Some(Stance::For) { Stance::Both } else { Stance::Against }),
        (false, true) => Some(if said == Some(Stance::Against) { Stance::Both } else { Stance::For }),
        (false, false) => said,
    }
}

/// Phrases against are taken out before phrases for it are looked for: "not for resuscitation" contains "for resuscitation".
fn of_words(words: &str) -> Option<Stance> {
    let mut words = normal(words);
    let mut against = false;
    for phrase in AGAINST {
        if words.contains(phrase) {
            against = true;
            words = words.replace(phrase, " ");
        }
    }
    match (PRO.iter().any(|phrase| words.contains(phrase)), against) {
        (true, true) => Some(Stance::Both),
        (true, false) => Some(Stance::For),
        (false, true) => Some(Stance::Against),
        (false, false) => None,
    }
}

/// Lower-case words with single spaces, whatever stood between them, with a space at both ends.
fn normal(words: &str) -> String {
    let words: String = words.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    let mut out = " ".to_owned();
    for word in words.to_lowercase().split_whitespace() {
        // The longer names of the same thing.
        if matches!(word, "cardiopulmonary" | "cardio" | "pulmonary" | "attempted" | "attempts" | "is" | "are") {
            continue;
        }
        out.push_str(if matches!(word, "cpr" | "resuscitate" | "resuscitated" | "resus") {
            "resuscitation"
        } else {
            word
        });
        out.push(' ');
    }
    out
}

/// SNOMED CT: not for attempted cardiopulmonary resuscitation.
const NOT_FOR: &str = "450476008";
/// SNOMED CT: for attempted cardiopulmonary resuscitation.
const FOR: &str = "450475007";
/// Longest first, because each is taken out when it is found.
const AGAINST: [&str; 18] = [
    " not to be resuscitation ",
    " not be resuscitation ",
    " resuscitation recommended no ",
    " resuscitation not recommended ",
    " resuscitation not to be attempt ",
    " resuscitation should not ",
    " resuscitation not appropriate ",
    " do not attempt resuscitation ",
    " not for full resuscitation ",
    " deny resuscitation ",
    " refuses resuscitation ",
    " declines resuscitation ",
    " do not resuscitation ",
    " not for resuscitation ",
    " no resuscitation ",
    " dnacpr ",
    " dnar ",
    " dnr ",
];
const PRO: [&str; 7] = [
    " for full resuscitation ",
    " for resuscitation ",
    " resuscitation recommended ",
    " attempt resuscitation ",
    " permit resuscitation ",
    " wants resuscitation ",
    " full resuscitation ",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_about_resuscitation_are_read_either_way() {
        for (words, expected) in [
            ("Not for attempted cardiopulmonary resuscitation.", Some(Stance::Against)),
            ("ReSPECT. For full treatment. For attempted resuscitation.", Some(Stance::For)),
            ("CPR attempts NOT recommended", Some(Stance::Against)),
            ("CPR attempts recommended: No", Some(Stance::Against)),
            ("CPR attempts recommended: Yes", Some(Stance::For)),
            ("Do not attempt CPR", Some(Stance::Against)),
            ("She should not be resuscitated", Some(Stance::Against)),
            ("DNACPR in place", Some(Stance::Against)),
            ("deny: Cardiopulmonary resuscitation", Some(Stance::Against)),
            ("permit: Cardiopulmonary resuscitation", Some(Stance::For)),
            ("No CPR at home. For CPR in hospital.", Some(Stance::Both)),
            ("Not for intensive care. Comfort first.", None),
            ("Wishes to die at home", None),
            ("", None),
        ] {
            assert_eq!(of_words(words), expected, "{words}");
        }
    }
}
