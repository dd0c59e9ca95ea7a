//! Why was this refused? One function, four questions from the top down; every answer comes from the bundle's policies.

use std::collections::BTreeSet;

use cedar_policy::{AuthorizationError, Context, Decision as Verdict, Request};

use crate::identity::StaffGroup;
use crate::policy::bundle::PolicyBundle;
use crate::policy::decision::{Access, Basis, Decision};
use crate::policy::situation::{Asker, Cell, DecisionKey, Objection, Situation};
use crate::policy::words::Verb;
use crate::query::{Purpose, Relationship};
use crate::record::{Category, Labels};

/// From the most to the least.
const LEVELS: [(Access, Verb); 3] =
    [(Access::Full, Verb::ReadFull), (Access::Essential, Verb::ReadEssential), (Access::Summary, Verb::ReadSummary)];

/// What Cedar said to one question.
struct Answer {
    allowed: bool,
    /// `@id`s of what determined it.
    policies: Vec<String>,
}

/// A refusal: why, and by which policies.
struct Refusal {
    basis: Basis,
    policies: Vec<String>,
}

impl PolicyBundle {
    /// Decides one kind of record for one asker in one situation. Pure; any failure of a policy is a denial.
    ///
    /// Of an asker's own organisation every relationship is assumed, and a network objection does not bind it.
    #[must_use]
    pub fn decide(&self, asker: &Asker, situation: &Situation, cell: &Cell) -> Decision {
        self.decide_key(&self.key(asker, situation, cell))
    }

    /// What [`PolicyBundle::decide`] depends on, to keep its decisions by (together with [`PolicyBundle::digest`]).
    #[must_use]
    pub fn key(&self, asker: &Asker, situation: &Situation, cell: &Cell) -> DecisionKey {
        DecisionKey {
            group: asker.group,
            organisation: self.names_organisation.then(|| asker.ods.clone()),
            own: asker.own_organisation,
            purpose: situation.purpose,
            relationships: situation.relationships.iter().copied().collect(),
            objection: situation.objection,
            deceased: situation.deceased,
            last_treating: situation.last_treating,
            grant: situation.break_glass.is_some(),
            granted: situation.break_glass.as_ref().is_some_and(|categories| categories.contains(&cell.category)),
            case_number: situation.case_number,
            cell: *cell,
        }
    }

    /// As [`PolicyBundle::decide`], for a key made before.
    #[must_use]
    pub fn decide_key(&self, key: &DecisionKey) -> Decision {
        let mut alert = false;
        match self.weigh(key, &mut alert) {
            Ok((access, policies)) => Decision { access, policies: sorted(policies), alert, basis: Basis::Granted },
            Err(Refusal { basis, policies }) => {
                Decision { access: Access::None, policies: sorted(policies), alert, basis }
            }
        }
    }

    /// Whether the staff group may use the purpose at all. Asked before anything about the patient: a refusal is about the asker and
    /// is named to them.
    #[must_use]
    pub fn purpose_granted(&self, group: StaffGroup, purpose: Purpose) -> bool {
        self.ask(Verb::UsePurpose, purpose.as_str(), group, &Context::empty()).is_ok_and(|answer| answer.allowed)
    }

    /// How much of an unlabelled record of this category the group could read for this purpose, with every relationship and with a
    /// case number: "your role cannot see" without a word about any patient. What is for the own organisation only counts as seen.
    #[must_use]
    pub fn may_see(&self, group: StaffGroup, purpose: Purpose, category: Category) -> Access {
        let mut key = DecisionKey {
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
            cell: Cell::new(category, Labels::NONE),
        };
        let mut decision = self.decide_key(&key);
        if decision.basis == Basis::OwnOrganisationOnly {
            key.own = true;
            decision = self.decide_key(&key);
        }
        decision.access
    }

    /// May they use the purpose? Must somebody look at it? Does it open the record? How much of it do all rows permit?
    fn weigh(&self, key: &DecisionKey, alert: &mut bool) -> Result<(Access, Vec<String>), Refusal> {
        let (group, purpose) = (key.group, key.purpose.as_str());
        let context = self.words.context(key).map_err(|_| Refusal::unknowable())?;

        let granted = self.ask(Verb::UsePurpose, purpose, group, &Context::empty())?;
        if !granted.allowed {
            return Err(Refusal { basis: Basis::PurposeNotGranted, policies: granted.policies });
        }
        *alert = self.ask(Verb::Alert, purpose, group, &context).inspect_err(|_| *alert = true)?.allowed;

        let opened = self.ask(Verb::OpenRecord, purpose, group, &context)?;
        if !opened.allowed {
            return Err(self.forbidden(opened.policies));
        }
        let rows = key.cell.rows();
        match self.level(&rows, group, &context)? {
            Some((access, policies)) => Ok((access, [granted.policies, opened.policies, policies].concat())),
            None => Err(self.why_nothing(key, &rows, &context)?),
        }
    }

    /// The most that every row permits, with the policies that do.
    fn level(
        &self,
        rows: &[&'static str],
        group: StaffGroup,
        context: &Context,
    ) -> Result<Option<(Access, Vec<String>)>, Refusal> {
        'levels: for (access, verb) in LEVELS {
            let mut policies = Vec::new();
            for row in rows {
                let answer = self.ask(verb, row, group, context)?;
                if !answer.allowed {
                    continue 'levels;
                }
                policies.extend(answer.policies);
            }
            return Ok(Some((access, policies)));
        }
        Ok(None)
    }

    /// The reason a record that is open at all stays closed: what forbids it; else what would have opened it; else nothing does.
    fn why_nothing(&self, key: &DecisionKey, rows: &[&'static str], context: &Context) -> Result<Refusal, Refusal> {
        let mut forbids = Vec::new();
        for row in rows {
            let answer = self.ask(Verb::ReadSummary, row, key.group, context)?;
            if !answer.allowed {
                forbids.extend(answer.policies);
            }
        }
        if !forbids.is_empty() {
            return Ok(self.forbidden(forbids));
        }
        let with_grant = DecisionKey { purpose: Purpose::Btg, grant: true, granted: true, ..key.clone() };
        let when_sent = DecisionKey { cell: Cell { sent_to_asker: true, ..key.cell }, ..key.clone() };
        for (basis, instead) in [(Basis::BreakGlassOnly, with_grant), (Basis::OnlyWhatWasSent, when_sent)] {
            let context = self.words.context(&instead).map_err(|_| Refusal::unknowable())?;
            if let Some((_, policies)) = self.level(rows, key.group, &context)? {
                return Ok(Refusal { basis, policies });
            }
        }
        Ok(Refusal { basis: Basis::TableSaysNo, policies: Vec::new() })
    }

    /// One question to Cedar. Cedar leaves out a policy that fails and decides without it, which would turn a failing forbid into a
    /// permission; so any failure refuses.
    fn ask(&self, verb: Verb, name: &'static str, group: StaffGroup, context: &Context) -> Result<Answer, Refusal> {
        let (Some(question), Some(principal)) = (self.questions.get(&(verb, name)), self.words.group(group)) else {
            return Err(Refusal::unknowable());
        };
        if question.policies.is_empty() {
            return Ok(Answer { allowed: false, policies: Vec::new() });
        }
        // The bundle was validated against the schema, and every request is made of its words: checking each again would say nothing.
        let request =
            Request::new(principal.clone(), question.action.clone(), question.resource.clone(), context.clone(), None)
                .map_err(|_| Refusal::unknowable())?;
        let response = self.authorizer.is_authorized(&request, &question.policies, &self.actions);
        let failed: Vec<_> = response.diagnostics().errors().map(policy_of).collect();
        if !failed.is_empty() {
            return Err(Refusal { basis: Basis::PolicyError, policies: failed });
        }
        let allowed = response.decision() == Verdict::Allow;
        Ok(Answer { allowed, policies: response.diagnostics().reason().map(ToString::to_string).collect() })
    }

    /// A refusal by these forbids; by nothing permitting it where there are none.
    fn forbidden(&self, policies: Vec<String>) -> Refusal {
        let basis = policies.iter().filter_map(|id| self.because.get(id)).min();
        Refusal { basis: basis.copied().unwrap_or(Basis::TableSaysNo), policies }
    }
}

impl Refusal {
    /// The question itself could not be put.
    fn unknowable() -> Self {
        Self { basis: Basis::PolicyError, policies: Vec::new() }
    }
}

fn policy_of(error: &AuthorizationError) -> String {
    let AuthorizationError::PolicyEvaluationError(error) = error;
    error.policy_id().to_string()
}

fn sorted(policies: Vec<String>) -> Vec<String> {
    policies.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}
