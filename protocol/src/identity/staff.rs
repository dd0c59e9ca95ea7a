//! A person's credential: issued by their employer, bound to a key made on their own machine.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::{NodeKey, OdsCode, PersonId};
use crate::signed::{Document, Signed};
use crate::time::{Date, Timestamp};

/// Staff group: the column of the access table a person reads by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum StaffGroup {
    /// General practitioner (R0260).
    Gp,
    /// Hospital clinician (R0050).
    Hos,
    /// Psychiatrist (R8000): as hospital clinician, and mental-health detail in full.
    Psy,
    /// Nurse (R0620, R0700, R0600).
    Rn,
    /// Mental-health nurse (R1975).
    Mhn,
    /// Allied health professional (R0950, R1110).
    Ahp,
    /// Pharmacist (R1290).
    Pha,
    /// Registered nurse employed by a care home.
    Chn,
    /// Senior carer or manager of a home without nurses.
    Chs,
    /// Carer (R9720, R9725, R1450).
    Chc,
    /// Paramedic (R1070).
    Par,
    /// Social worker (R1330).
    Sw,
    /// Primary care navigator.
    Nav,
    /// Voluntary worker.
    Vol,
    /// Neighbourhood facilitator.
    Fac,
    /// Privacy officer, Caldicott guardian (R0001, R5105).
    Ig,
    /// Registration authority (R5080).
    Ra,
    /// Systems (R8015).
    It,
}

/// What a person may do at their own node's desk beside asking for views.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Run the node: import, status, peers.
    Operate,
    /// Read the organisation's audit log.
    Audit,
    /// Carry governance documents to the node.
    Govern,
}

/// CWT-style claims, COSE_Sign1 by the organisation key, at most 30 days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaffCredential {
    /// The employer.
    pub ods: OdsCode,
    /// The person within the employer.
    pub person: PersonId,
    /// Name as it appears in audit logs.
    pub name: String,
    /// The column of the access table.
    pub group: StaffGroup,
    /// SDS job role code, such as `R0260`; local codes where SDS has none.
    pub sds_role: String,
    /// Professional registration (GMC, NMC, HCPC …), where there is one.
    pub registration: Option<String>,
    /// Last day of the person's data-security training.
    pub training_expires: Date,
    /// What the desk allows beside views.
    pub scopes: Vec<Scope>,
    /// The person's own key (`cnf`, RFC 8747): signs queries and is the PeerId of their command line.
    pub key: NodeKey,
    /// The person's second key, under a passphrase of its own: signs break-glass grants and nothing else. `None` for people whose
    /// group may not break glass.
    pub step_up: Option<NodeKey>,
    /// Two other people of the organisation who agreed, where a scope asks for that ([`Scope::needs_two_people`]).
    pub approvals: Vec<Approval>,
    /// First instant of validity.
    pub not_before: Timestamp,
    /// First instant at which it no longer holds.
    pub not_after: Timestamp,
}

/// COSE_Sign1 by a person's own key: a credential with these claims should be issued. The credential may then be renewed with the same
/// claims for as long as the approvals run ([`crate::limits::APPROVAL_LIFE`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaffApproval {
    /// The employer.
    pub ods: OdsCode,
    /// Who approves.
    pub approver: PersonId,
    /// Who is to get the credential.
    pub person: PersonId,
    /// Their key.
    pub key: NodeKey,
    /// The scopes that need two people, ascending.
    pub scopes: Vec<Scope>,
    /// When.
    pub at: Timestamp,
}

/// An approval with the credential of whoever gave it, which itself has no scope that needs two people: so approvals never nest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who approves.
    pub credential: Signed<StaffCredential>,
    /// What they approve.
    pub approval: Signed<StaffApproval>,
}

impl Document for StaffApproval {
    const CONTEXT: &'static str = "careweave staff approval 1";
}

impl Scope {
    /// Whether a credential with it needs the word of two other people: whoever reads the log or carries governance documents watches
    /// everybody else.
    #[must_use]
    pub fn needs_two_people(self) -> bool {
        matches!(self, Self::Audit | Self::Govern)
    }
}

impl Document for StaffCredential {
    const CONTEXT: &'static str = "careweave staff credential 1";
}

impl StaffGroup {
    /// Every group, in the order of the vocabulary.
    pub const ALL: [Self; 18] = [
        Self::Gp,
        Self::Hos,
        Self::Psy,
        Self::Rn,
        Self::Mhn,
        Self::Ahp,
        Self::Pha,
        Self::Chn,
        Self::Chs,
        Self::Chc,
        Self::Par,
        Self::Sw,
        Self::Nav,
        Self::Vol,
        Self::Fac,
        Self::Ig,
        Self::Ra,
        Self::It,
    ];

    /// The group's short name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gp => "GP",
            Self::Hos => "HOS",
            Self::Psy => "PSY",
            Self::Rn => "RN",
            Self::Mhn => "MHN",
            Self::Ahp => "AHP",
            Self::Pha => "PHA",
            Self::Chn => "CHN",
            Self::Chs => "CHS",
            Self::Chc => "CHC",
            Self::Par => "PAR",
            Self::Sw => "SW",
            Self::Nav => "NAV",
            Self::Vol => "VOL",
            Self::Fac => "FAC",
            Self::Ig => "IG",
            Self::Ra => "RA",
            Self::It => "IT",
        }
    }
}

impl fmt::Display for StaffGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for StaffGroup {
    type Err = UnknownGroup;
    fn from_str(text: &str) -> Result<Self, UnknownGroup> {
        Self::ALL.into_iter().find(|g| g.as_str().eq_ignore_ascii_case(text)).ok_or(UnknownGroup)
    }
}

/// Not one of the staff groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a staff group; one of GP HOS PSY RN MHN AHP PHA CHN CHS CHC PAR SW NAV VOL FAC IG RA IT")]
pub struct UnknownGroup;
