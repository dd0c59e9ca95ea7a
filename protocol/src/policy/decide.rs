//! Why was this refused? One function, four questions from the top down; every answer comes from the bundle's policies.

use std::collections::{BTreeSet, HashMap};

use cedar_policy::{AuthorizationError, Context, Decision as Verdict, Request};

use crate::identity::StaffGroup;
use crate::policy::bundle::PolicyBundle;
use crate::policy::decision::{Access, Basis, Decision};
use crate::policy::situation::{Asker, Cell, DecisionKey, Situation};
use crate::policy::words::Verb;
use crate::query::Purpose;
use crate::record::{Category, Label, Labels};

/// What Cedar said to one question.
#[derive(Clone)]
pub(super) struct Answer {
    allowed: bool,
    /// `@id`s of what determined it.
    policies: Vec<String>,
}

/// A refusal: why, and by which policies.
#[derive(Clone)]
pub(super) struct Refusal {
    basis: Basis,
    policies: Vec<String>,
}

/// What the rows of a cell come to.
enum Level {
    /// This much, by these policies.
    Permitted(Access, Vec<String>),
    /// Nothing; these forbid it, if any do.
    Closed(Vec<String>),
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
            rows: cell.rows(),
            sent: cell.sent_to_asker,
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
        self.use_purpose(group, purpose).is_ok()
    }

    /// How much of an unlabelled record of this category the group could read for this purpose, with every relationship and with a
    /// case number: "your role cannot see" without a word about any patient. What is for the own organisation only counts as seen.
    #[must_use]
    pub fn may_see(&self, group: StaffGroup, purpose: Purpose, category: Category) -> Access {
        let mut key = DecisionKey::with_everything(group, purpose, Cell::new(category, Labels::NONE));
        let elsewhere = self.decide_key(&key).access;
        key.own = true;
        elsewhere.max(self.decide_key(&key).access)
    }

    /// As [`PolicyBundle::may_see`], of a record that was sent to the asker's organisation: an O cell is open then.
    #[must_use]
    pub fn may_see_when_sent(&self, group: StaffGroup, purpose: Purpose, category: Category) -> Access {
        let sent = Cell { sent_to_asker: true, ..Cell::new(category, Labels::NONE) };
        self.decide_key(&DecisionKey::with_everything(group, purpose, sent))
            .access
            .max(self.may_see(group, purpose, category))
    }

    /// Kinds of labelled record that a break-glass grant opens to the group's column of the table and this purpose does not: the B
    /// cells, which are said to "may exist" of every patient. Of break-glass itself: what stays closed in categories that the grant
    /// does not name.
    #[must_use]
    pub fn may_exist(&self, group: StaffGroup, purpose: Purpose) -> Vec<&'static str> {
        let kinds = [
            (Label::Psy, "mental-health detail"),
            (Label::Hiv, "sensitive records"),
            (Label::Sealed, "records sealed by the patient"),
        ];
        let level = |label: Label, purpose: Purpose, granted: bool| {
            // Problems: a row that every group with a B cell reads in full when it has no label.
            let cell = Cell::new(Category::Problems, Labels::NONE.with(label));
            let key = DecisionKey { granted, ..DecisionKey::with_everything(group, purpose, cell) };
            let context = self.words.context(&key)?;
            match self.level(&key.rows, group, &context) {
                Ok(Level::Permitted(access, _)) => Some(access),
                Ok(Level::Closed(_)) | Err(_) => None,
            }
        };
        let only_by_grant = |label: Label| level(label, Purpose::Btg, true) > level(label, purpose, false);
        kinds.into_iter().filter(|(label, _)| only_by_grant(*label)).map(|(_, kind)| kind).collect()
    }

    /// May they use the purpose? Must somebody look at it? Does it open the record? How much of it do all rows permit?
    fn weigh(&self, key: &DecisionKey, alert: &mut bool) -> Result<(Access, Vec<String>), Refusal> {
        let (group, purpose) = (key.group, key.purpose.as_str());
        let granted = self.use_purpose(group, key.purpose)?;
        let context = self.words.context(key).ok_or_else(Refusal::unknowable)?;
        *alert = self.ask(Verb::Alert, purpose, group, &context).inspect_err(|_| *alert = true)?.allowed;

        let opened = self.ask(Verb::OpenRecord, purpose, group, &context)?;
        if !opened.allowed {
            return Err(self.forbidden(opened.policies));
        }
        match self.level(&key.rows, group, &context)? {
            Level::Permitted(access, policies) => Ok((access, [granted, &opened.policies, &policies].concat())),
            Level::Closed(forbids) if forbids.is_empty() => Err(self.what_would_open(key)?),
            Level::Closed(forbids) => Err(self.forbidden(forbids)),
        }
    }

    /// The policies that grant the purpose. The question has no situation, so its answers were worked out with the bundle.
    fn use_purpose(&self, group: StaffGroup, purpose: Purpose) -> Result<&[String], Refusal> {
        match self.purposes.get(&(group, purpose)) {
            Some(Ok(answer)) if answer.allowed => Ok(&answer.policies),
            Some(Ok(answer)) => Err(Refusal { basis: Basis::PurposeNotGranted, policies: answer.policies.clone() }),
            Some(Err(refusal)) => Err(refusal.clone()),
            None => Err(Refusal::unknowable()),
        }
    }

    /// Every answer to "may this group use this purpose at all?".
    pub(super) fn purposes(&self) -> HashMap<(StaffGroup, Purpose), Result<Answer, Refusal>> {
        let pairs = StaffGroup::ALL.into_iter().flat_map(|group| Purpose::ALL.map(|purpose| (group, purpose)));
        let ask = |(group, purpose): (StaffGroup, Purpose)| {
            ((group, purpose), self.ask(Verb::UsePurpose, purpose.as_str(), group, &Context::empty()))
        };
        pairs.map(ask).collect()
    }

    /// The most that every row permits. At the last level every row is asked, so that no forbid goes unnamed.
    fn level(&self, rows: &[&'static str], group: StaffGroup, context: &Context) -> Result<Level, Refusal> {
        for (access, verb) in [(Access::Full, Verb::ReadFull), (Access::Essential, Verb::ReadEssential)] {
            if let Some(policies) = self.all_permit(verb, rows, group, context)? {
                return Ok(Level::Permitted(access, policies));
            }
        }
        let (mut all, mut permits, mut forbids) = (true, Vec::new(), Vec::new());
        for row in rows {
            let answer = self.ask(Verb::ReadSummary, row, group, context)?;
            all &= answer.allowed;
            if answer.allowed { &mut permits } else { &mut forbids }.extend(answer.policies);
        }
        Ok(if all { Level::Permitted(Access::Summary, permits) } else { Level::Closed(forbids) })
    }

    /// The policies by which every row permits this, where every row does.
    fn all_permit(
        &self,
        verb: Verb,
        rows: &[&'static str],
        group: StaffGroup,
        context: &Context,
    ) -> Result<Option<Vec<String>>, Refusal> {
        if !rows.iter().all(|row| self.questions.get(&(verb, row)).is_some_and(|question| question.can_be_permitted)) {
            return Ok(None);
        }
        let mut policies = Vec::new();
        for row in rows {
            let answer = self.ask(verb, row, group, context)?;
            if !answer.allowed {
                return Ok(None);
            }
            policies.extend(answer.policies);
        }
        Ok(Some(policies))
    }

    /// The reason a record stays closed that nothing forbids: what would have opened it, or else that nothing does.
    fn what_would_open(&self, key: &DecisionKey) -> Result<Refusal, Refusal> {
        let with_grant = DecisionKey { purpose: Purpose::Btg, grant: true, granted: true, ..key.clone() };
        let when_sent = DecisionKey { sent: true, ..key.clone() };
        for (basis, instead) in [(Basis::BreakGlassOnly, with_grant), (Basis::OnlyWhatWasSent, when_sent)] {
            let context = self.words.context(&instead).ok_or_else(Refusal::unknowable)?;
            if let Level::Permitted(_, policies) = self.level(&key.rows, key.group, &context)? {
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
