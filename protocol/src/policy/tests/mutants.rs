//! A bundle with one cell changed is another bundle, and the oracle notices: every cell of every row is taken out, put in, raised and
//! lowered in turn, and every other policy is dropped or loosened. Only the cases that a change is about are compared, up to the first
//! difference.

use cedar_policy::Schema;

use super::cells::{circumstances, relationship_states};
use super::*;
use crate::policy::lint::Linted;

#[test]
fn every_changed_cell_of_the_bundle_is_noticed_by_the_oracle() {
    let oracle = Oracle::new();
    let mut mutants = Vec::new();
    for policy in policies().iter().filter(|p| p.is_row()) {
        let (row, letter) = policy.id.split_once(": ").unwrap();
        let named = |letters: &[&str]| -> Vec<StaffGroup> {
            let ids: Vec<_> = letters.iter().map(|letter| format!("{row}: {letter}")).collect();
            policies().iter().filter(|p| ids.contains(&p.id)).flat_map(Policy::groups).collect()
        };
        // Who reads at least as much of the row already gains nothing.
        let have = match letter {
            "A" => named(&["A"]),
            "S" => named(&["A", "S"]),
            "O" => named(&["A", "O"]),
            // A grant is of no use to those who may not break glass and read a summary without one.
            _ => {
                let in_summary = named(&["S"]).into_iter().filter(|group| !oracle.may_use(*group, Purpose::Btg));
                named(&["A", "B"]).into_iter().chain(in_summary).collect()
            }
        };
        let groups = policy.groups();
        for group in IN_THE_TABLE {
            let (others, what) = match (groups.contains(&group), have.contains(&group)) {
                (true, _) => (groups.iter().copied().filter(|g| *g != group).collect(), "without"),
                (false, false) => ([&groups[..], &[group]].concat(), "with"),
                (false, true) => continue,
            };
            mutants.push(policy.mutant(what, group.as_str(), &policy.with_groups(&others), row_cases(row, &[group])));
        }
        let cases = || row_cases(row, &groups);
        mutants.push(policy.mutant("without", "the policy", "", cases()));
        // Labels have policies of their own that keep essentials.
        let is_label = !Category::ALL.iter().any(|category| category.as_str() == row);
        for (from, to) in LOOSENED.into_iter().filter(|(_, to)| !(is_label && to.contains("whatever"))) {
            let text = policy.text.replacen(from, to, 1);
            if text != policy.text {
                mutants.push(policy.mutant("with", &format!("{to} for {from}"), &text, cases()));
            }
        }
    }
    assert_noticed(&oracle, &mutants, 719);
}

#[test]
fn every_other_changed_policy_of_the_bundle_is_noticed_by_the_oracle() {
    let oracle = Oracle::new();
    let mut mutants = Vec::new();
    for policy in policies().iter().filter(|p| !p.is_row() && !BELT_AND_BRACES.contains(&p.id.as_str())) {
        let cases = || policy.cases();
        mutants.push(policy.mutant("without", "the policy", "", cases()));
        if policy.id.starts_with("purpose ") {
            let groups = policy.groups();
            for group in StaffGroup::ALL {
                let (others, what) = match groups.contains(&group) {
                    true => (groups.iter().copied().filter(|g| *g != group).collect(), "without"),
                    false => ([&groups[..], &[group]].concat(), "with"),
                };
                let cases = Purpose::ALL.map(|purpose| case(group, purpose, Category::Problems, Labels::NONE));
                let text = policy.with_groups(&others);
                mutants.push(policy.mutant(what, group.as_str(), &text, cases.into()));
            }
        }
        if policy.text.contains("containsAny") {
            for relationship in Relationship::ALL {
                let (what, text) = policy.with_relationship_toggled(relationship);
                mutants.push(policy.mutant(what, relationship.as_str(), &text, cases()));
            }
        }
        for (from, to) in LOOSENED {
            let text = policy.text.replacen(from, to, 1);
            if text != policy.text {
                mutants.push(policy.mutant("with", &format!("{to} for {from}"), &text, cases()));
            }
        }
    }
    assert_noticed(&oracle, &mutants, 280);
}

#[test]
fn groups_outside_the_table_gain_nothing_by_being_written_into_its_rows() {
    let outside = [StaffGroup::Fac, StaffGroup::Ra, StaffGroup::It];
    let mut text = BASELINE.to_owned();
    let mut widened = 0;
    for policy in policies().iter().filter(|p| p.is_row()) {
        text = text.replacen(&policy.text, &policy.with_groups(&[&policy.groups()[..], &outside].concat()), 1);
        widened += 1;
    }
    assert_eq!(widened, ROWS);
    let (bundle, oracle) = (PolicyBundle::unvalidated(&text).unwrap(), Oracle::new());
    let cases = Category::ALL.iter().flat_map(|category| row_cases(category.as_str(), &outside));
    let (checked, wrong) = compare(&bundle, &oracle, cases);
    println!("{checked} decisions of groups outside the table, {} differ", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn it_takes_two_faults_before_research_or_systems_staff_read_anything() {
    let open = "@id(\"fault\") permit (principal, action == Action::\"openRecord\", resource);";
    let faults = [
        (
            "research is always refused",
            format!(
                "@id(\"research\") permit (principal, action == Action::\"usePurpose\", resource == Purpose::\"HRESCH\"); {open}"
            ),
            case(StaffGroup::Gp, Purpose::Hresch, Category::Problems, Labels::NONE),
        ),
        (
            "systems staff never read",
            format!(
                "@id(\"it\") permit (principal == Group::\"IT\", action == Action::\"usePurpose\", resource == Purpose::\"TREAT\"); \
                 @id(\"row\") permit (principal == Group::\"IT\", action == Action::\"readFull\", resource); {open}"
            ),
            case(StaffGroup::It, Purpose::Treat, Category::Problems, Labels::NONE),
        ),
    ];
    assert_eq!(faults.each_ref().map(|(id, ..)| *id), BELT_AND_BRACES);
    for (id, fault, case) in faults {
        let policy = policies().into_iter().find(|p| p.id == id).unwrap();
        let one = PolicyBundle::unvalidated(&format!("{BASELINE}\n{fault}")).unwrap();
        assert_eq!(decide(&one, &case).access, Access::None, "{id}");
        let two = format!("{}\n{fault}", BASELINE.replacen(&policy.text, "", 1));
        assert_eq!(decide(&PolicyBundle::unvalidated(&two).unwrap(), &case).access, Access::Full, "{id}");
    }
}

/// A changed policy, and the cases that the change is about.
struct Mutant {
    name: String,
    /// The policy's `@id`.
    id: String,
    /// What stands in its place; empty for nothing.
    text: String,
    cases: Vec<Case>,
}

/// One policy of the baseline.
struct Policy {
    id: String,
    /// From its `@id` to its semicolon.
    text: String,
}

impl Policy {
    /// Whether it is a cell of a row: `row: letter`.
    fn is_row(&self) -> bool {
        self.id.contains(": ")
    }

    /// The groups it names.
    fn groups(&self) -> Vec<StaffGroup> {
        let pieces = self.text.split("Group::\"").skip(1).filter_map(|rest| rest.split('"').next());
        pieces.map(|name| name.parse().unwrap()).collect()
    }

    /// The policy for these groups instead of its own.
    fn with_groups(&self, groups: &[StaffGroup]) -> String {
        let list: Vec<_> = groups.iter().map(|group| format!("Group::\"{group}\"")).collect();
        let list = format!("[{}].contains(principal)", list.join(", "));
        if let Some((head, tail)) = self.text.split_once("].contains(principal)") {
            return format!("{}{list}{tail}", head.rsplit_once('[').unwrap().0);
        }
        // `principal == Group::"IG"`, and no condition.
        let only = format!("principal == Group::\"{}\"", self.groups()[0]);
        let open = self.text.replacen(&only, "principal", 1);
        format!("{} when {{ {list} }};", open.strip_suffix(';').unwrap())
    }

    /// The policy with one relationship more, or less, in its list.
    fn with_relationship_toggled(&self, relationship: Relationship) -> (&'static str, String) {
        let word = format!("Relationship::\"{}\"", relationship.as_str());
        let (head, rest) = self.text.split_once("containsAny([").unwrap();
        let (list, tail) = rest.split_once("])").unwrap();
        let mut words: Vec<&str> = list.split(',').map(str::trim).collect();
        let what = if words.contains(&word.as_str()) { "without" } else { "with" };
        if what == "with" {
            words.push(&word);
        } else {
            words.retain(|w| *w != word);
        }
        (what, format!("{head}containsAny([{}]){tail}", words.join(", ")))
    }

    /// The bundle with this text in the policy's place.
    fn mutant(&self, what: &str, change: &str, text: &str, cases: Vec<Case>) -> Mutant {
        let name = format!("{} {what} {change}", self.id);
        assert_ne!(text, self.text, "{name}");
        Mutant { name, id: self.id.clone(), text: text.to_owned(), cases }
    }

    /// Cases that a policy outside the rows can have a say in.
    fn cases(&self) -> Vec<Case> {
        let states = relationship_states();
        let named: Vec<_> = Purpose::ALL.into_iter().filter(|p| self.text.contains(&format!("\"{p}\""))).collect();
        let opens = self.text.contains("openRecord") || self.text.contains("\"alert\"");
        let purposes =
            if named.is_empty() || self.text.contains("unless { [Purpose::") { Purpose::ALL.into() } else { named };
        let mut cases = Vec::new();
        for purpose in purposes {
            let group = match purpose {
                Purpose::Hoperat | Purpose::Hqualimp | Purpose::Patrqt | Purpose::Hcompl => StaffGroup::Ig,
                Purpose::Hsysadmin => StaffGroup::It,
                _ => StaffGroup::Gp,
            };
            if self.id.starts_with("purpose ") {
                cases.extend(StaffGroup::ALL.map(|group| case(group, purpose, Category::Problems, Labels::NONE)));
            } else if opens {
                cases.extend(circumstances(&case(group, purpose, Category::Problems, Labels::NONE), &states));
            } else {
                cases.extend(Category::ALL.iter().flat_map(|category| row_cases(category.as_str(), &[group])));
            }
        }
        cases
    }
}

/// Every policy of the baseline, in its order.
fn policies() -> Vec<Policy> {
    let mut policies: Vec<Policy> = Vec::new();
    let mut open = false;
    for line in BASELINE.lines().filter(|line| !line.starts_with("//")) {
        if let Some((id, _)) = line.strip_prefix("@id(\"").and_then(|rest| rest.split_once("\")")) {
            assert!(!open, "{id} begins inside another policy");
            policies.push(Policy { id: id.to_owned(), text: line.to_owned() });
            open = true;
        } else if open {
            let policy = policies.last_mut().unwrap();
            policy.text = format!("{}\n{line}", policy.text);
        }
        open &= !line.ends_with(';');
    }
    assert_eq!(policies.iter().filter(|p| p.is_row()).count(), ROWS);
    policies
}

/// The cells that a row of the table has a say in: its own category without and with labels, or records that carry its label.
fn row_cases(row: &str, groups: &[StaffGroup]) -> Vec<Case> {
    let label = |label| Labels::NONE.with(label);
    let cells: Vec<(Category, Labels)> = match Category::ALL.iter().find(|c| c.as_str() == row) {
        Some(category) => {
            [Labels::NONE, label(Label::Psy), label(Label::Hiv), label(Label::Sealed), label(Label::Legal)]
                .map(|labels| (*category, labels))
                .into()
        }
        None => {
            let carried = Label::ALL.into_iter().find(|l| l.cell() == row).unwrap();
            [Category::Problems, Category::Medications, Category::Demographics].map(|c| (c, label(carried))).into()
        }
    };
    let mut cases = Vec::new();
    for group in groups {
        for purpose in
            [Purpose::Treat, Purpose::Coc, Purpose::Btg, Purpose::Patrqt, Purpose::Hcompl, Purpose::Hsysadmin]
        {
            for (category, labels) in &cells {
                for (own, sent) in [(false, false), (false, true), (true, false), (true, true)] {
                    for granted in [*category, Category::Results, Category::Letters] {
                        let grant = Some(BTreeSet::from([granted]));
                        cases.push(Case { own, sent, grant, ..case(*group, purpose, *category, *labels) });
                    }
                }
            }
        }
    }
    cases
}

/// Fails with every mutant in which no case differs from the oracle.
fn assert_noticed(oracle: &Oracle, mutants: &[Mutant], expected: usize) {
    assert_eq!(mutants.len(), expected, "another number of changes than before");
    let (baseline, words) = (lint(&BASELINE.parse().unwrap()).unwrap(), schema().unwrap());
    let halves = mutants.split_at(mutants.len() / 2);
    let unnoticed: Vec<String> = std::thread::scope(|scope| {
        let search = |half: &[Mutant]| -> Vec<String> {
            half.iter().filter(|m| !m.is_noticed(&baseline, &words, oracle)).map(|m| m.name.clone()).collect()
        };
        let workers = [halves.0, halves.1].map(|half| scope.spawn(move || search(half)));
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    println!("{} changed bundles, {} unnoticed", mutants.len(), unnoticed.len());
    assert!(unnoticed.is_empty(), "{}", unnoticed.join("\n"));
}

impl Mutant {
    fn is_noticed(&self, baseline: &Linted, words: &Schema, oracle: &Oracle) -> bool {
        let bundle = self.load(baseline, words);
        self.cases.iter().any(|case| {
            let decision = decide(&bundle, case);
            (decision.access, decision.basis, decision.alert) != oracle.expect(case)
        })
    }

    /// The baseline with the one policy changed. Only that policy is read again: reading all of them takes a tenth of a second.
    fn load(&self, baseline: &Linted, words: &Schema) -> PolicyBundle {
        let changed = lint(&self.text.parse().unwrap()).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let mut linted = baseline.clone();
        linted.policies.retain(|policy| policy.id().to_string() != self.id);
        assert_eq!(linted.policies.len() + 1, baseline.policies.len(), "{}", self.name);
        linted.policies.extend(changed.policies);
        PolicyBundle::assemble(&self.name, words, linted).unwrap()
    }
}

/// `row: letter` policies of the baseline.
const ROWS: usize = 61;

/// The columns of the table, and those read as others.
const IN_THE_TABLE: [StaffGroup; 14] = [
    StaffGroup::Gp,
    StaffGroup::Hos,
    StaffGroup::Psy,
    StaffGroup::Rn,
    StaffGroup::Mhn,
    StaffGroup::Ahp,
    StaffGroup::Pha,
    StaffGroup::Chn,
    StaffGroup::Chs,
    StaffGroup::Chc,
    StaffGroup::Par,
    StaffGroup::Sw,
    StaffGroup::Nav,
    StaffGroup::Vol,
];

/// Forbids of what nothing permits either: dropping one changes no decision, so another test shows what each is for.
const BELT_AND_BRACES: [&str; 2] = ["research is always refused", "systems staff never read"];

/// Words of a policy and what they are exchanged for.
const LOOSENED: [(&str, &str); 16] = [
    ("action in Action::\"A-whatever-the-label\"", "action in Action::\"A\""),
    ("action in Action::\"A-whatever-the-label\"", "action in Action::\"S\""),
    ("action in Action::\"A\"", "action in Action::\"S\""),
    ("action in Action::\"A\"", "action in Action::\"A-whatever-the-label\""),
    ("action in Action::\"S\"", "action in Action::\"A\""),
    (" && context.sent", ""),
    (" && context.granted", ""),
    ("context.purpose == Purpose::\"BTG\" && ", ""),
    (" && !context.own", ""),
    ("context.own || ", ""),
    ("context.objection != Objection::\"none\"", "context.objection == Objection::\"even-emergency\""),
    ("context.objection == Objection::\"even-emergency\"", "context.objection != Objection::\"none\""),
    ("context.deceased && ", ""),
    (" && !context.lastTreating", ""),
    ("Purpose::\"PATRQT\", ", ""),
    (", Purpose::\"HCOMPL\"", ""),
];
