//! What a decision may depend on: everything is handed in, nothing is looked up.

use std::collections::BTreeSet;

use crate::id::OdsCode;
use crate::identity::StaffGroup;
use crate::query::{Purpose, Relationship};
use crate::record::{Category, Label, Labels};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// Staff group in the person's credential.
    pub group: StaffGroup,
    /// The person's organisation.
    pub ods: OdsCode,
    /// Whether that organisation is the one that holds the record.
    pub own_organisation: bool,
}

/// What the patient said about sharing over the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Objection {
    /// No objection.
    #[default]
    None,
    /// No sharing, but in an emergency.
    Network,
    /// No sharing even in an emergency.
    EvenEmergency,
}

/// Why they ask, and how things stand between asker and patient now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Situation {
    /// Purpose of use.
    pub purpose: Purpose,
    /// Kinds of evidence that hold now; ended ones are left out by the caller ([`crate::query::Evidence::holds`]).
    pub relationships: Vec<Relationship>,
    /// The patient's objection.
    pub objection: Objection,
    /// Whether the patient has died.
    pub deceased: bool,
    /// Whether the asking organisation was among the last to treat; matters only after death.
    pub last_treating: bool,
    /// Categories of a verified break-glass grant for this patient that runs now; `None` without a grant.
    pub break_glass: Option<BTreeSet<Category>>,
    /// Whether a governance case number was given.
    pub case_number: bool,
}

/// Which kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cell {
    /// The row of the access table.
    pub category: Category,
    /// Sensitivity labels.
    pub labels: Labels,
    /// Whether the record was sent to the asking organisation, or is of its own meeting or referral.
    pub sent_to_asker: bool,
}

/// Everything a decision of one bundle depends on, so also the key under which a decision may be kept: two equal keys have equal
/// decisions. Labels of the same row are the same to it. Made by [`crate::policy::PolicyBundle::key`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DecisionKey {
    pub(super) group: StaffGroup,
    /// Only where the bundle's policies look at it, so that a usual bundle's decisions are shared by all organisations.
    pub(super) organisation: Option<OdsCode>,
    pub(super) own: bool,
    pub(super) purpose: Purpose,
    pub(super) relationships: BTreeSet<Relationship>,
    pub(super) objection: Objection,
    pub(super) deceased: bool,
    pub(super) last_treating: bool,
    pub(super) grant: bool,
    pub(super) granted: bool,
    pub(super) case_number: bool,
    /// The category's row first.
    pub(super) rows: Vec<&'static str>,
    pub(super) sent: bool,
}

impl DecisionKey {
    /// Another organisation's asker of this group with every relationship, a grant and a case number, so that only the table, the
    /// purpose and the labels are left to say no.
    pub(super) fn with_everything(group: StaffGroup, purpose: Purpose, cell: Cell) -> Self {
        Self {
            group,
            organisation: None,
            own: false,
            purpose,
            relationships: Relationship::ALL.into_iter().collect(),
            objection: Objection::None,
            deceased: false,
            last_treating: false,
            grant: true,
            granted: true,
            case_number: true,
            rows: cell.rows(),
            sent: cell.sent_to_asker,
        }
    }
}

impl Situation {
    /// Somebody asks for this purpose, and nothing else is known: no relationship, no objection, no grant.
    #[must_use]
    pub fn new(purpose: Purpose) -> Self {
        Self {
            purpose,
            relationships: Vec::new(),
            objection: Objection::None,
            deceased: false,
            last_treating: false,
            break_glass: None,
            case_number: false,
        }
    }
}

impl Cell {
    /// A record of this category with these labels, not sent to the asker.
    #[must_use]
    pub fn new(category: Category, labels: Labels) -> Self {
        Self { category, labels, sent_to_asker: false }
    }

    /// The rows of the table that must all permit: the category's, then one for each kind of label.
    ///
    /// A safeguarding flag carries R by definition (that is how it is recognised), and its own row says who reads it: R adds
    /// nothing there, every other label does.
    pub(super) fn rows(self) -> Vec<&'static str> {
        let mut rows = vec![self.category.as_str()];
        for label in self.labels.iter() {
            let by_definition = self.category == Category::Safeguarding && label == Label::Restricted;
            if !by_definition && !rows.contains(&label.cell()) {
                rows.push(label.cell());
            }
        }
        rows
    }
}

impl Objection {
    /// Every state, from the mildest.
    pub const ALL: [Self; 3] = [Self::None, Self::Network, Self::EvenEmergency];

    /// The name in policies.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Network => "network",
            Self::EvenEmergency => "even-emergency",
        }
    }
}
