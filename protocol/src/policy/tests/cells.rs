//! Every cell of the access table under everything a decision may depend on, compared with the oracle. The counts are written out, so
//! that none of the planes can shrink unnoticed.

use super::*;
use crate::query::Evidence;
use crate::time::Timestamp;

#[test]
fn every_group_category_label_purpose_and_relationship_is_decided_as_the_table_says() {
    let states = relationship_states();
    let checked = all_groups_agree("every cell, purpose and relationship", |group| {
        cells(group, label_sets()).flat_map(|cell| {
            let grant = this(&cell);
            states.iter().map(move |related| Case { related: related.clone(), grant: grant.clone(), ..cell.clone() })
        })
    });
    // groups, categories, sets of labels, purposes, states of relationship; at home none of them matters, which the third plane shows
    assert_eq!(checked, 18 * 25 * 17 * 11 * 11);
}

#[test]
fn every_cell_is_decided_as_the_table_says_with_and_without_grant_case_number_and_delivery() {
    let checked = all_groups_agree("every cell, grant, case number and delivery", |group| {
        cells(group, label_rows()).flat_map(|cell| {
            let grants = [None, this(&cell), another(&cell)];
            let flags = (0..8).map(|bits| (bits & 1 > 0, bits & 2 > 0, bits & 4 > 0));
            let combined = flags.flat_map(move |flags| grants.clone().map(|grant| (flags, grant)));
            combined.map(move |((own, case_number, sent), grant)| Case {
                own,
                case_number,
                sent,
                grant,
                ..cell.clone()
            })
        })
    });
    // groups, categories, rows of labels, purposes, grants (none, for this category, for another), and three things that are so or not
    assert_eq!(checked, 18 * 25 * 6 * 11 * 3 * 2 * 2 * 2);
}

#[test]
fn objection_death_relationship_grant_and_case_number_are_weighed_as_the_rules_say() {
    let states = relationship_states();
    let checked = all_groups_agree("every circumstance", |group| {
        let cells = Purpose::ALL.into_iter().flat_map(move |purpose| telling_cells(group, purpose));
        cells.flat_map(|cell| circumstances(&cell, &states))
    });
    // groups, purposes, cells; objections, states of death, relationships, grants; at home or not, case number or not
    assert_eq!(checked, 18 * 11 * 6 * 3 * 3 * 11 * 3 * 2 * 2);
}

#[test]
fn every_other_circumstance_is_decided_as_the_rules_say() {
    let (bundle, oracle) = (PolicyBundle::baseline().unwrap(), Oracle::new());
    let mut random = Random(0x5eed);
    let (checked, wrong) = compare(&bundle, &oracle, (0..60_000).map(|_| random.case()));
    println!("{checked} random situations compared with the rules, {} differ", wrong.len());
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
}

#[test]
fn what_may_exist_behind_a_grant_is_the_b_cells_and_says_nothing_of_any_patient() {
    let (bundle, oracle) = (PolicyBundle::baseline().unwrap(), Oracle::new());
    let mut said = 0;
    for group in StaffGroup::ALL {
        let expected = Oracle::may_exist(group);
        let rows = [
            ("mental-health detail", "mhdetail"),
            ("sensitive records", "sensitive"),
            ("records sealed by the patient", "sealed by the patient"),
        ];
        for (kind, row) in rows {
            // The list was typed apart from the table: the two agree with each other before the bundle is asked. A home without nurses
            // has the nurse's column and may not break glass at all; the cell is said all the same.
            assert_eq!(expected.contains(&kind), oracle.letter(group, row) == 'B', "{group} {kind}");
        }
        for purpose in Purpose::ALL {
            assert_eq!(bundle.may_exist(group, purpose), expected, "{group} {purpose}");
            said += expected.len();
        }
    }
    // 19 cells of the three rows are B (5 and 7 and 7), under every purpose: break-glass itself leaves what its grant does not name.
    assert_eq!(said, 19 * 11);
}

#[test]
fn what_a_role_may_see_is_the_tables_cell_in_every_row() {
    let (bundle, oracle) = (PolicyBundle::baseline().unwrap(), Oracle::new());
    let mut checked = 0;
    for group in StaffGroup::ALL {
        for purpose in Purpose::ALL {
            for category in Category::ALL.iter().copied() {
                let everything = Case {
                    related: Relationship::ALL.into_iter().collect(),
                    own: purpose == Purpose::Caremgt
                        || category == Category::Other
                        || (group == StaffGroup::Ig && category == Category::Safeguarding),
                    ..case(group, purpose, category, Labels::NONE)
                };
                let everything = Case { grant: this(&everything), ..everything };
                let (expected, _, _) = oracle.expect(&everything);
                assert_eq!(bundle.may_see(group, purpose, category), expected, "{group} {purpose} {category}");
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 18 * 11 * 25);
}

/// Compares the cases of every staff group, on both cores; how many.
fn all_groups_agree<C: Iterator<Item = Case>>(what: &str, cases: impl Fn(StaffGroup) -> C + Sync) -> usize {
    let (bundle, oracle) = (PolicyBundle::baseline().unwrap(), Oracle::new());
    // Alternating, because the groups that may do much are the first ones.
    let halves = [0, 1].map(|half| StaffGroup::ALL.into_iter().skip(half).step_by(2));
    let (checked, wrong) = std::thread::scope(|scope| {
        let workers = halves.map(|groups| scope.spawn(|| compare(&bundle, &oracle, groups.flat_map(&cases))));
        workers.into_iter().map(|w| w.join().unwrap()).fold((0, Vec::new()), |(n, mut all), (m, wrong)| {
            all.extend(wrong);
            (n + m, all)
        })
    });
    println!("{what}: {checked} decisions compared with the table, {} differ", wrong.len());
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
    checked
}

/// Every cell of a group's column under every purpose.
fn cells(group: StaffGroup, label_sets: Vec<Labels>) -> impl Iterator<Item = Case> {
    Category::ALL.iter().copied().flat_map(move |category| {
        let labels = label_sets.clone().into_iter();
        labels.flat_map(move |labels| Purpose::ALL.map(|purpose| case(group, purpose, category, labels)))
    })
}

/// Six cells that between them show every way in which a record can be open or closed.
fn telling_cells(group: StaffGroup, purpose: Purpose) -> [Case; 6] {
    let cell = |category, labels| case(group, purpose, category, labels);
    [
        cell(Category::Problems, Labels::NONE),
        cell(Category::Problems, Labels::NONE.with(Label::Psy)),
        cell(Category::Medications, Labels::NONE.with(Label::Hiv)),
        cell(Category::Allergies, Labels::NONE.with(Label::Legal)),
        Case { sent: true, ..cell(Category::Demographics, Labels::NONE) },
        cell(Category::Other, Labels::NONE),
    ]
}

/// One cell under every objection, death, relationship, grant, and case number, at home and elsewhere.
pub(super) fn circumstances(cell: &Case, states: &[BTreeSet<Relationship>]) -> Vec<Case> {
    let mut cases = Vec::new();
    for objection in Objection::ALL {
        for (deceased, last_treating) in [(false, false), (true, true), (true, false)] {
            for related in states {
                for grant in [None, this(cell), another(cell)] {
                    for (own, case_number) in [(false, false), (false, true), (true, false), (true, true)] {
                        let (related, grant) = (related.clone(), grant.clone());
                        let cell = cell.clone();
                        let to_the_patient = Case { objection, deceased, last_treating, related, ..cell };
                        cases.push(Case { grant, own, case_number, ..to_the_patient });
                    }
                }
            }
        }
    }
    cases
}

/// None; each kind alone, a self-claim among them; several together; and all of them, ended. What has ended is left out by the same
/// function that the node asks.
pub(super) fn relationship_states() -> Vec<BTreeSet<Relationship>> {
    let (begin, end) = (Timestamp(1_000), Timestamp(2_000));
    let evidence = |kinds: &[Relationship]| -> Vec<Evidence> {
        let piece = |kind| Evidence { kind, since: begin, until: Some(end), basis: "own record".to_owned() };
        kinds.iter().copied().map(piece).collect()
    };
    let at = |evidence: Vec<Evidence>, now: i64| {
        evidence.iter().filter(|e| e.holds(Timestamp(now))).map(|e| e.kind).collect::<BTreeSet<_>>()
    };
    let several = [Relationship::OpenEpisode, Relationship::Caseload, Relationship::SelfClaimed];
    let mut states = vec![BTreeSet::new()];
    states.extend(Relationship::ALL.map(|kind| at(evidence(&[kind]), 1_500)));
    states.push(at(evidence(&several), 1_500));
    states.push(at(evidence(&Relationship::ALL), 2_000));
    assert_eq!(states.iter().map(BTreeSet::len).collect::<Vec<_>>(), [0, 1, 1, 1, 1, 1, 1, 1, 1, 3, 0]);
    states
}

/// A grant for the record's own category.
fn this(cell: &Case) -> Option<BTreeSet<Category>> {
    Some(BTreeSet::from([cell.category]))
}

/// A grant for another category.
fn another(cell: &Case) -> Option<BTreeSet<Category>> {
    let other = if cell.category == Category::Results { Category::Letters } else { Category::Results };
    Some(BTreeSet::from([other]))
}

/// No label, one for each label row of the table, and two rows at once.
fn label_rows() -> Vec<Labels> {
    let single = [Label::Psy, Label::Hiv, Label::Sealed, Label::Legal].map(|label| Labels::NONE.with(label));
    let two = Labels::NONE.with(Label::Psy).with(Label::Std);
    std::iter::once(Labels::NONE).chain(single).chain([two]).collect()
}

/// No label, each alone, and some together.
fn label_sets() -> Vec<Labels> {
    let pairs = [
        (Label::Psy, Label::Hiv),
        (Label::Psy, Label::Sealed),
        (Label::Hiv, Label::Std),
        (Label::Eth, Label::Restricted),
        (Label::VeryRestricted, Label::Sealed),
        (Label::Psy, Label::Legal),
    ];
    let single = Label::ALL.into_iter().map(|l| Labels::NONE.with(l));
    let pairs = pairs.into_iter().map(|(a, b)| Labels::NONE.with(a).with(b));
    std::iter::once(Labels::NONE).chain(single).chain(pairs).collect()
}
