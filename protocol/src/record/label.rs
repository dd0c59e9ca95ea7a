//! Sensitivity labels of a record, from `meta.security`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One label. The number is its bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Label {
    /// Mental-health detail (v3-ActCode PSY).
    Psy = 1,
    /// Substance misuse (v3-ActCode ETH).
    Eth = 2,
    /// Sexual assault or domestic violence (v3-ActCode SDV).
    Sdv = 4,
    /// HIV (v3-ActCode HIV).
    Hiv = 8,
    /// Sexuality and reproductive health (v3-ActCode SEX).
    Sex = 16,
    /// Sexually transmitted disease (v3-ActCode STD).
    Std = 32,
    /// Restricted (v3-Confidentiality R).
    Restricted = 64,
    /// Very restricted (v3-Confidentiality V).
    VeryRestricted = 128,
    /// The patient sealed it (v3-Confidentiality V with a patient seal).
    Sealed = 256,
    /// Restricted by law, or sealed even in an emergency: never released to another organisation.
    Legal = 512,
}

/// A set of labels.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(u16);

impl Label {
    /// Every label.
    pub const ALL: [Self; 10] = [
        Self::Psy,
        Self::Eth,
        Self::Sdv,
        Self::Hiv,
        Self::Sex,
        Self::Std,
        Self::Restricted,
        Self::VeryRestricted,
        Self::Sealed,
        Self::Legal,
    ];

    /// The row of the access table the label stands for.
    #[must_use]
    pub fn cell(self) -> &'static str {
        match self {
            Self::Psy => "mhdetail",
            Self::Sealed => "sealed",
            Self::Legal => "restricted",
            _ => "sensitive",
        }
    }
}

impl Labels {
    /// No label.
    pub const NONE: Self = Self(0);

    /// The set with one more label.
    #[must_use]
    pub fn with(self, label: Label) -> Self {
        Self(self.0 | label as u16)
    }

    /// Everything in either set: a document is as sensitive as the strictest thing inside it.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the label is in the set.
    #[must_use]
    pub fn contains(self, label: Label) -> bool {
        self.0 & label as u16 != 0
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The labels of the set.
    pub fn iter(self) -> impl Iterator<Item = Label> {
        Label::ALL.into_iter().filter(move |l| self.contains(*l))
    }

    /// As a number, for keys of caches.
    #[must_use]
    pub fn bits(self) -> u16 {
        self.0
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
