//! Staff profiles: who they are and what their employer vouches for.

use super::Organisation;

/// One person at one organisation. The profile's directory is `<ODS>-<ending>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staff {
    /// Employer.
    pub ods: String,
    /// Ending of the profile's name, such as `gp`.
    pub ending: String,
    /// Staff group, as `careweave staff issue --group` takes it.
    pub group: &'static str,
    /// SDS job role code.
    pub sds_role: &'static str,
    /// What the desk allows beside views.
    pub scope: Option<&'static str>,
    /// Last day of the person's data-security training, `YYYY-MM-DD`.
    pub training_expires: String,
    /// Whether the person makes a step-up key, which break-glass needs.
    pub step_up: bool,
}

impl Staff {
    /// The person behind a profile name such as `Y91001-gp`; `None` when it is not one of the roles here.
    #[must_use]
    pub fn named(profile: &str) -> Option<Self> {
        let (ods, ending) = profile.split_once('-')?;
        // What follows a dot tells people of one role apart: `R9A-hos.two`.
        let role = ending.split_once('.').map_or(ending, |(role, _)| role);
        let (_, group, sds_role, scope) = ROLES.iter().find(|(name, ..)| *name == role)?;
        Some(Self {
            ods: ods.to_owned(),
            ending: ending.to_owned(),
            group,
            sds_role,
            scope: *scope,
            training_expires: TRAINING_EXPIRES.to_owned(),
            step_up: BREAK_GLASS.contains(group),
        })
    }

    /// The two colleagues who approve this person's scope, where it needs that: they have none of the kind themselves.
    #[must_use]
    pub fn approvers(&self) -> Vec<Self> {
        if !self.scope.is_some_and(|scope| matches!(scope, "audit" | "govern")) {
            return Vec::new();
        }
        APPROVERS.iter().filter_map(|ending| Self::named(&format!("{}-{ending}", self.ods))).collect()
    }

    /// The profiles that an organisation has in the demonstration: its own, IT and information governance.
    #[must_use]
    pub fn of(organisation: &Organisation) -> Vec<Self> {
        let endings = organisation.staff.iter().chain(&["it", "ig"]);
        endings.filter_map(|ending| Self::named(&format!("{}-{ending}", organisation.ods))).collect()
    }

    /// Name of the profile's directory.
    #[must_use]
    pub fn profile(&self) -> String {
        format!("{}-{}", self.ods, self.ending)
    }

    /// The person's identifier at their employer.
    #[must_use]
    pub fn person(&self) -> String {
        self.ending.replace('.', "-")
    }

    /// The name in audit logs: a role, because nobody is invented who is not a patient.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} of {}", self.ending, self.ods)
    }

    /// The same person with training that ends on another day.
    #[must_use]
    pub fn trained_until(self, day: &str) -> Self {
        Self { training_expires: day.to_owned(), ..self }
    }
}

/// Far enough for every test to run before it.
const TRAINING_EXPIRES: &str = "2099-12-31";

/// Who approves: IT, and whoever sponsors registrations.
const APPROVERS: [&str; 2] = ["it", "sponsor"];

/// Staff groups that may break glass; the others need no second key.
const BREAK_GLASS: [&str; 8] = ["GP", "HOS", "PSY", "RN", "MHN", "AHP", "CHN", "PAR"];

/// Ending, staff group, SDS role code, scope.
const ROLES: [(&str, &str, &str, Option<&str>); 19] = [
    ("gp", "GP", "R0260", None),
    ("hos", "HOS", "R0050", None),
    ("psy", "PSY", "R8000", None),
    ("rn", "RN", "R0620", None),
    ("mhn", "MHN", "R1975", None),
    ("ahp", "AHP", "R0950", None),
    ("pha", "PHA", "R1290", None),
    ("chn", "CHN", "R0620", None),
    ("chs", "CHS", "senior-carer", None),
    ("chc", "CHC", "R9720", None),
    ("par", "PAR", "R1070", None),
    ("sw", "SW", "R1330", None),
    ("nav", "NAV", "navigator", None),
    ("vol", "VOL", "voluntary-worker", None),
    ("fac", "FAC", "facilitator", None),
    ("ig", "IG", "R0001", Some("audit")),
    ("ra", "RA", "R5080", Some("govern")),
    ("it", "IT", "R8015", Some("operate")),
    ("sponsor", "RA", "sponsor", None),
];
