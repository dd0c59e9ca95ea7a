//! The schema's words as Cedar values, made once: a decision parses no text.

use std::collections::BTreeMap;
use std::str::FromStr;

use cedar_policy::{Context, EntityId, EntityTypeName, EntityUid, ParseErrors, RestrictedExpression};

use crate::identity::StaffGroup;
use crate::policy::situation::{DecisionKey, Objection};
use crate::query::{Purpose, Relationship};
use crate::record::{Category, Label};

/// One question that policies answer. The names are those of the schema's actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Verb {
    UsePurpose,
    OpenRecord,
    Alert,
    ReadFull,
    ReadEssential,
    ReadSummary,
}

/// One question about one thing: a purpose or a row.
pub(super) struct Asked {
    pub(super) verb: Verb,
    /// The purpose's or row's name.
    pub(super) name: &'static str,
    pub(super) action: EntityUid,
    pub(super) resource: EntityUid,
}

/// Entity ids of every word that a request is made of.
pub(super) struct Words {
    groups: BTreeMap<StaffGroup, EntityUid>,
    purposes: BTreeMap<Purpose, RestrictedExpression>,
    relationships: BTreeMap<Relationship, RestrictedExpression>,
    objections: BTreeMap<Objection, RestrictedExpression>,
    organisation: EntityTypeName,
}

impl Words {
    /// Makes them.
    pub(super) fn new() -> Result<Self, Box<ParseErrors>> {
        let (group, purpose) = (EntityTypeName::from_str("Group")?, EntityTypeName::from_str("Purpose")?);
        let (relationship, objection) =
            (EntityTypeName::from_str("Relationship")?, EntityTypeName::from_str("Objection")?);
        let word = |kind: &EntityTypeName, id: &str| RestrictedExpression::new_entity_uid(uid(kind, id));
        Ok(Self {
            groups: StaffGroup::ALL.into_iter().map(|g| (g, uid(&group, g.as_str()))).collect(),
            purposes: Purpose::ALL.into_iter().map(|p| (p, word(&purpose, p.as_str()))).collect(),
            relationships: Relationship::ALL.into_iter().map(|r| (r, word(&relationship, r.as_str()))).collect(),
            objections: Objection::ALL.into_iter().map(|o| (o, word(&objection, o.as_str()))).collect(),
            organisation: EntityTypeName::from_str("Organisation")?,
        })
    }

    /// The principal.
    pub(super) fn group(&self, group: StaffGroup) -> Option<&EntityUid> {
        self.groups.get(&group)
    }

    /// The schema's `Situation`; `None` where Cedar does not take it.
    pub(super) fn context(&self, key: &DecisionKey) -> Option<Context> {
        let flag = RestrictedExpression::new_bool;
        let relationships = key.relationships.iter().filter_map(|r| self.relationships.get(r)).cloned();
        let known = [
            ("own", flag(key.own)),
            ("relationships", RestrictedExpression::new_set(relationships)),
            ("deceased", flag(key.deceased)),
            ("lastTreating", flag(key.last_treating)),
            ("grant", flag(key.grant)),
            ("granted", flag(key.granted)),
            ("caseNumber", flag(key.case_number)),
            ("sent", flag(key.sent)),
        ];
        // A word that is missing here is missing in the context, so a policy that needs it fails, which refuses.
        let purpose = self.purposes.get(&key.purpose).map(|p| ("purpose", p.clone()));
        let objection = self.objections.get(&key.objection).map(|o| ("objection", o.clone()));
        let organisation = key
            .organisation
            .as_ref()
            .map(|ods| ("organisation", RestrictedExpression::new_entity_uid(uid(&self.organisation, ods.as_str()))));
        let pairs = known.into_iter().chain(purpose).chain(objection).chain(organisation);
        Context::from_pairs(pairs.map(|(name, value)| (name.to_owned(), value))).ok()
    }
}

impl Verb {
    /// Every question.
    pub(super) const ALL: [Self; 6] =
        [Self::UsePurpose, Self::OpenRecord, Self::Alert, Self::ReadFull, Self::ReadEssential, Self::ReadSummary];

    /// The action's name.
    fn as_str(self) -> &'static str {
        match self {
            Self::UsePurpose => "usePurpose",
            Self::OpenRecord => "openRecord",
            Self::Alert => "alert",
            Self::ReadFull => "readFull",
            Self::ReadEssential => "readEssential",
            Self::ReadSummary => "readSummary",
        }
    }

    /// Every question with every thing it can be asked of.
    pub(super) fn questions() -> Result<Vec<Asked>, Box<ParseErrors>> {
        let action = EntityTypeName::from_str("Action")?;
        let (purpose, row) = (EntityTypeName::from_str("Purpose")?, EntityTypeName::from_str("Row")?);
        let mut all = Vec::new();
        for verb in Self::ALL {
            let (kind, names): (_, Vec<&'static str>) = match verb {
                Self::UsePurpose | Self::OpenRecord | Self::Alert => {
                    (&purpose, Purpose::ALL.into_iter().map(Purpose::as_str).collect())
                }
                Self::ReadFull | Self::ReadEssential | Self::ReadSummary => (&row, rows()),
            };
            all.extend(names.into_iter().map(|name| Asked {
                verb,
                name,
                action: uid(&action, verb.as_str()),
                resource: uid(kind, name),
            }));
        }
        Ok(all)
    }
}

/// Every row of the table: the categories, then the kinds of label.
fn rows() -> Vec<&'static str> {
    let mut rows: Vec<_> = Category::ALL.iter().map(|c| c.as_str()).collect();
    for label in Label::ALL {
        if !rows.contains(&label.cell()) {
            rows.push(label.cell());
        }
    }
    rows
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}
