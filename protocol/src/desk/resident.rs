//! The register of a care home's residents, kept at its own node: evidence of residency begins and ends here.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::NhsNumber;
use crate::time::{Date, Timestamp};

/// One line of the register.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resident {
    /// NHS number.
    pub nhs_number: NhsNumber,
    /// Full name as held here; the family name as registered where no Patient is held.
    pub name: String,
    /// Birth date.
    pub birth_date: Date,
    /// When the stay began.
    pub since: Timestamp,
    /// When it ends or ended: a respite stay has an end from the start, a hospital stay does not end residency.
    pub until: Option<Timestamp>,
    /// Room or unit, where the home recorded one.
    pub room: Option<String>,
}

/// Somebody moves in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResidentAdd {
    /// NHS number.
    pub nhs_number: NhsNumber,
    /// Birth date.
    pub birth_date: Date,
    /// Family name.
    pub family: String,
    /// When the stay begins.
    pub since: Timestamp,
    /// When it ends, for respite.
    pub until: Option<Timestamp>,
    /// Room or unit.
    pub room: Option<String>,
}

/// Somebody has left. Live sessions that rest on the residency are stopped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResidentLeave {
    /// NHS number.
    pub nhs_number: NhsNumber,
    /// When the stay ended.
    pub at: Timestamp,
}

macro_rules! hidden {
    ($($type:ident),+) => {$(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($type), "(hidden)"))
            }
        }
    )+};
}

hidden!(Resident, ResidentAdd, ResidentLeave);
