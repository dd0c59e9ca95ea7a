//! Every warning a view can carry, with its id in the hazard log (DCB0129) and its fixed words. The only place where they stand.

macro_rules! warnings {
    ($($(#[$doc:meta])* $variant:ident = $id:literal $text:literal),+ $(,)?) => {
        /// A warning to the reader of a view.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Warning {
            $($(#[$doc])* $variant),+
        }

        impl Warning {
            /// Every warning, in the order of their ids, which is also the order in which they are shown.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable id.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self { $(Self::$variant => $id),+ }
            }

            /// The fixed text.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

warnings! {
    /// The own record contradicts what was typed.
    NotSafelyMatched = "CW-H001" "The patient is not safely matched. Check number, birth date and family name with the person.",
    /// A source sent a record about another person.
    SomebodyElse = "CW-H002" "A source sent records about somebody else. They were left out; tell that source.",
    /// Death is recorded.
    Deceased = "CW-H003" "A source records that this person has died.",
    /// Death is disputed.
    DeathDisputed = "CW-H004" "Sources disagree about this person's death. Check before acting.",
    /// Not every asked source replied.
    Incomplete = "CW-H005" "THIS VIEW IS INCOMPLETE: not every source that was asked replied.",
    /// Sources are still being waited for.
    FirstView = "CW-H006" "First view: sources are still being asked. What is missing here may still come.",
    /// A category has nothing in it.
    NothingSupplied = "CW-H007" "Nothing supplied does NOT mean none.",
    /// The role is closed to some categories.
    RoleCannotSee = "CW-H008" "Your role cannot see every category.",
    /// A source's data is older than its feed interval.
    StaleData = "CW-H009" "Data of a source is older than its feed should be.",
    /// Active at one source, stopped or on hold at another.
    MedicineStatus = "CW-H010" "Sources disagree whether a medicine is being taken.",
    /// Doses differ.
    MedicineDose = "CW-H011" "Sources disagree about the dose of a medicine.",
    /// One ingredient in two current products.
    MedicineDuplicate = "CW-H012" "One ingredient is in more than one current product.",
    /// A discharge change is not in another source's list.
    DischargeChange = "CW-H013" "A medicine changed at discharge is not recorded so elsewhere.",
    /// Prescribed, and the pharmacies that replied did not dispense it.
    NotDispensed = "CW-H014" "A medicine is prescribed and no source that replied dispensed it.",
    /// No known allergy beside an active allergy.
    AllergyDenied = "CW-H015" "One source says that there is no known allergy, another records one.",
    /// Severity or activity of an allergy differs.
    AllergyDiffers = "CW-H016" "Sources disagree about an allergy. The highest severity is shown.",
    /// Active at one source and resolved at another.
    ProblemActivity = "CW-H017" "Sources disagree whether a problem is active.",
    /// Advance decisions differ or are out of date.
    AdvanceCare = "CW-H018" "CONFLICT: check the original of the advance decision.",
    /// Advance decisions that no longer hold are in the record.
    AdvanceCareEnded = "CW-H019" "An advance decision was revoked, replaced or is out of date. It is not among the key facts.",
    /// Whereabouts are restricted.
    AddressRestricted = "CW-H020" "Whereabouts are restricted: do not reveal any address, contact or local organisation.",
    /// Copies of one record differ.
    CopiesDiffer = "CW-H021" "Copies of one record differ. Each difference stands at its row.",
    /// Withdrawn at the origin, still in force elsewhere.
    WithdrawnAtOrigin = "CW-H022" "A record was entered in error at its origin and still stands elsewhere.",
    /// Entered-in-error records are counted.
    EnteredInError = "CW-H023" "Entries marked as entered in error are counted and not listed.",
    /// Undated entries stand among dated ones.
    Undated = "CW-H024" "Undated entries are listed whatever dates were asked for.",
    /// Summary forms.
    CodesOnly = "CW-H025" "Some entries show codes and dates only.",
    /// Essential forms.
    NarrativeWithheld = "CW-H026" "The indication or narrative of some entries is withheld.",
    /// Not readable.
    Unreadable = "CW-H027" "An entry could not be read. Ask its source.",
    /// Entries outside the dates asked for.
    OutsidePeriod = "CW-H028" "Entries outside the dates asked for are not listed.",
    /// Kinds of record that only break-glass opens to the role, from the access table alone.
    MayExist = "CW-H029" "Records that only break-glass opens may exist. This is said of every patient.",
    /// A medicine is hidden by the guardian's signed exception.
    MedicineNotShown = "CW-H030" "MEDICINE NOT SHOWN, may interact: ring the duty contact.",
    /// The number asked for was replaced by another, or replaced one.
    NumberReplaced = "CW-H031" "The NHS number was replaced. Records under both numbers were asked for.",
    /// The own node holds another person of that name and birth date.
    Namesake = "CW-H032" "Another person of the same name and birth date is known here. Check the NHS number.",
    /// A source shares nothing.
    NothingShareable = "CW-H033" "A source shares nothing about this person with you. That does NOT mean that it holds nothing.",
    /// An answer was cut at the asker's budget.
    AnswerCut = "CW-H034" "A source sent only part of what it would: its answer is longer than one view takes.",
    /// Medicine or allergy without a code.
    Uncoded = "CW-H035" "A medicine or allergy has no code. It is shown in its own words and may not be compared with the others.",
    /// A code and the words beside it mean different things.
    CodeAgainstWords = "CW-H036" "A code and its words do not agree. Both are shown: check with the source.",
    /// A date that cannot be right.
    ImplausibleDate = "CW-H037" "An entry is dated in the future or before birth. Its date may be wrong.",
    /// The view rests on nothing but the asker's word.
    SelfClaimed = "CW-H038" "This view rests on your word alone. Both organisations are alerted.",
    /// Opened by break-glass.
    BreakGlass = "CW-H039" "Opened by break-glass. Both organisations' privacy officers are alerted and a review is open.",
    /// Safeguarding is recorded and the role reads codes and dates only.
    Safeguarding = "CW-H040" "Safeguarding is recorded that your role does not read in full: ring the contact shown.",
    /// A code that is no longer in use.
    RetiredCode = "CW-H041" "An entry carries a code that is no longer in use. Read its words.",
    /// One test in two units.
    UnitsDiffer = "CW-H042" "Results of one test are given in different units. Do not compare the bare numbers.",
    /// A source does not say up to when its data is complete.
    CurrencyUnknown = "CW-H043" "A source does not say how current its data is.",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_numbered_without_gaps_and_texts_are_sentences() {
        for (index, warning) in Warning::ALL.iter().enumerate() {
            assert_eq!(warning.id(), format!("CW-H{:03}", index + 1));
            assert!(warning.text().ends_with('.'), "{}", warning.id());
        }
    }
}
