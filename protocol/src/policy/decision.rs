//! What a decision says.

use std::fmt;
use std::str::FromStr;

/// How much of a record may be read. Ordered: each is more than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Nothing.
    None,
    /// Codes, dates and status ([`crate::record::Form::Summary`]).
    Summary,
    /// Everything but indication and narrative ([`crate::record::Form::Essential`]): a labelled medicine, allergy, flag or advance
    /// decision.
    Essential,
    /// Everything ([`crate::record::Form::Full`]).
    Full,
}

/// What one question came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// How much may be read.
    pub access: Access,
    /// `@id`s of the policies that determined it, sorted. Of a refusal: what forbade it, what failed, or what would have opened it;
    /// empty where simply nothing permits it.
    pub policies: Vec<String>,
    /// Somebody has to look at this afterwards, whatever the access.
    pub alert: bool,
    /// Why: for the answerer's own log. What travels is only [`Basis::PurposeNotGranted`], which is about the asker.
    pub basis: Basis,
}

macro_rules! bases {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// Why a decision is what it is. Where several forbids apply, the first of this list is the one named.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Basis {
            $($(#[$doc])* $variant),+
        }

        impl Basis {
            /// Every basis.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in `@because` and in the audit log.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

bases! {
    /// A policy failed to evaluate: cannot tell, so no.
    PolicyError = "policy-error",
    /// The staff group may not use this purpose: about the asker, not the patient.
    PurposeNotGranted = "purpose-not-granted",
    /// Restricted by law, or sealed even in an emergency.
    Legal = "legal",
    /// The patient has died, and neither the purpose nor the organisation is one that still reads.
    Deceased = "deceased",
    /// The patient objects.
    Objection = "objection",
    /// Nothing ties the asker to the patient, or nothing that suffices for the purpose.
    NoRelationship = "no-relationship",
    /// Break-glass without a signed grant.
    GrantMissing = "grant-missing",
    /// Governance without a case number.
    CaseNumberMissing = "case-number-missing",
    /// Only the organisation that holds it reads it.
    OwnOrganisationOnly = "own-organisation-only",
    /// The purpose counts patients and opens none.
    AggregatesOnly = "aggregates-only",
    /// The group or purpose has no clinical content, ever.
    NoClinicalContent = "no-clinical-content",
    /// A policy forbids it without naming a reason of this list.
    Forbidden = "forbidden",
    /// A break-glass grant for the category would open it, and there is none.
    BreakGlassOnly = "break-glass-only",
    /// It would be open had it been sent to the asker, or were it of their own meeting or referral.
    OnlyWhatWasSent = "only-what-was-sent",
    /// No policy permits it.
    TableSaysNo = "table-says-no",
    /// It may be read.
    Granted = "granted",
}

impl Decision {
    /// Whether anything may be read.
    #[must_use]
    pub fn is_granted(&self) -> bool {
        self.access > Access::None
    }
}

impl Access {
    /// The access's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Summary => "summary",
            Self::Essential => "essential",
            Self::Full => "full",
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Basis {
    type Err = UnknownBasis;
    fn from_str(text: &str) -> Result<Self, UnknownBasis> {
        Self::ALL.iter().copied().find(|b| b.as_str() == text).ok_or(UnknownBasis)
    }
}

/// Not one of the reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a reason a refusal can have")]
pub struct UnknownBasis;
