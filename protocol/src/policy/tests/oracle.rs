//! The rules a second time, from the words of the design vocabulary: the table as it stands there, and plain code for the sentences
//! around it. Shares nothing with the policies but the types.

use std::collections::{BTreeMap, BTreeSet};

use crate::identity::StaffGroup;
use crate::policy::{Access, Basis, Objection};
use crate::query::{Purpose, Relationship};
use crate::record::{Category, Label, Labels};

const TABLE: &str = "
| category | GP | HOS | RN/AHP | PHA | CHN | CHC | PAR | SW | NAV | VOL |
|---|---|---|---|---|---|---|---|---|---|---|
| demographics | A | A | A | A | A | A | A | A | A | O |
| allergies, flags, advance-care, aboutme | A | A | A | A | A | A | A | A | S | O |
| medications | A | A | A | A | A | A | A | S | – | – |
| problems | A | A | A | S | A | S | A | S | – | – |
| results, imaging, vitals | A | A | A | A | A | – | S | – | – | – |
| discharge | A | A | A | A | A | S | A | S | – | – |
| letters, procedures, encounters | A | A | A | S | S | – | S | – | – | – |
| immunisations | A | A | A | A | A | A | S | – | – | – |
| appointments, careteam | A | A | A | S | A | A | S | A | A | O |
| careplan | A | A | A | S | A | A | A | A | S | O |
| assessments | A | A | A | – | A | S | S | A | O | – |
| referrals | A | A | A | – | S | – | – | A | O | O |
| socialcare | S | S | S | – | S | S | S | A | S | – |
| safeguarding | S | S | S | – | S | – | S | A | – | – |
| mhdetail | S | S (PSY, MHN A) | B | – | B | – | B | S | – | – |
| sensitive | B | B | B | – | – | – | B | – | – | – |
| sealed by the patient | B | B | B | – | – | – | B | – | – | – |
| legally restricted, or sealed even in emergency | – | – | – | – | – | – | – | – | – | – |
| redbag | A | A | A | A | A | A | A | S | – | – |
";

const LABEL_ROWS: [&str; 3] = ["mhdetail", "sensitive", "sealed by the patient"];

const PURPOSES: &str = "
TREAT: GP HOS PSY RN MHN AHP PHA PAR CHN CHS CHC SW
COC: GP HOS PSY RN MHN AHP PHA PAR CHN CHS CHC SW NAV VOL
ETREAT: PAR HOS PSY GP RN
BTG: GP HOS PSY RN MHN AHP CHN PAR
CAREMGT: GP RN
HOPERAT: FAC IG
HQUALIMP: FAC IG
PATRQT: IG
HCOMPL: IG
HSYSADMIN: IT RA
HRESCH:
";

/// One question, as flat as it can be.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) group: StaffGroup,
    pub(super) own: bool,
    pub(super) purpose: Purpose,
    pub(super) related: BTreeSet<Relationship>,
    pub(super) objection: Objection,
    pub(super) deceased: bool,
    pub(super) last_treating: bool,
    pub(super) grant: Option<BTreeSet<Category>>,
    pub(super) case_number: bool,
    pub(super) category: Category,
    pub(super) labels: Labels,
    pub(super) sent: bool,
}

/// B cells a second time, by who reads which kind only under a grant.
const ONLY_BY_GRANT: &str = "
mental-health detail: RN AHP CHN CHS PAR
sensitive records: GP HOS PSY RN MHN AHP PAR
records sealed by the patient: GP HOS PSY RN MHN AHP PAR
";

/// The table and the purposes, read once.
pub(super) struct Oracle {
    letters: BTreeMap<(StaffGroup, &'static str), char>,
    purposes: BTreeSet<(StaffGroup, Purpose)>,
}

/// The table as it stands.
struct Table {
    columns: Vec<String>,
    rows: Vec<(Vec<String>, Vec<String>)>,
}

impl Oracle {
    pub(super) fn new() -> Self {
        let mut lines = TABLE
            .lines()
            .filter(|l| l.starts_with('|') && !l.starts_with("|---"))
            .map(|line| line.trim_matches('|').split('|').map(|part| part.trim().to_owned()).collect::<Vec<_>>());
        let columns = lines.next().unwrap();
        let rows: Vec<_> = lines
            .map(|row| {
                assert_eq!(row.len(), columns.len(), "{row:?}");
                (row[0].split(", ").map(str::to_owned).collect(), row)
            })
            .collect();
        assert_eq!(rows.len(), 19);
        let table = Table { columns, rows };
        // Neither is in the table: what is `other` is told apart below, and `experience` is never part of a view.
        let names = Category::ALL.iter().map(|c| c.as_str()).filter(|name| *name != "experience");
        let names: Vec<_> = names.chain(LABEL_ROWS).collect();
        let letters = StaffGroup::ALL.into_iter().flat_map(|group| names.iter().map(move |row| (group, *row)));
        let purposes = StaffGroup::ALL.into_iter().flat_map(|group| Purpose::ALL.map(|purpose| (group, purpose)));
        Self {
            letters: letters.map(|(group, row)| ((group, row), table.letter(group, row))).collect(),
            purposes: purposes.filter(|(group, purpose)| may_use(*group, *purpose)).collect(),
        }
    }

    /// Kinds of record that may exist behind a grant for this group.
    pub(super) fn may_exist(group: StaffGroup) -> Vec<&'static str> {
        let kinds = ONLY_BY_GRANT.lines().filter_map(|line| line.split_once(": "));
        kinds.filter(|(_, groups)| groups.split(' ').any(|g| g == group.as_str())).map(|(kind, _)| kind).collect()
    }

    /// What stands in the table for this group and row.
    pub(super) fn letter(&self, group: StaffGroup, row: &'static str) -> char {
        self.letters[&(group, row)]
    }

    /// Whether the group may use the purpose.
    pub(super) fn may_use(&self, group: StaffGroup, purpose: Purpose) -> bool {
        self.purposes.contains(&(group, purpose))
    }

    /// Access, why, and whether it alerts.
    pub(super) fn expect(&self, case: &Case) -> (Access, Basis, bool) {
        use Purpose::{Btg, Caremgt, Coc, Etreat, Hcompl, Hoperat, Hqualimp, Hresch, Hsysadmin, Patrqt, Treat};
        if !self.may_use(case.group, case.purpose) {
            return (Access::None, Basis::PurposeNotGranted, false);
        }
        let evidence = case.own || case.related.iter().any(|r| *r != Relationship::SelfClaimed);
        let alert = case.purpose == Btg || (case.purpose == Etreat && !evidence);
        let refuse = |basis| (Access::None, basis, alert);

        if case.deceased && !case.last_treating && !matches!(case.purpose, Patrqt | Hcompl) {
            return refuse(Basis::Deceased);
        }
        let objected = match case.purpose {
            Treat | Coc => case.objection >= Objection::Network && !case.own,
            Etreat | Btg => case.objection == Objection::EvenEmergency && !case.own,
            Hoperat | Hqualimp => case.objection >= Objection::Network,
            Caremgt | Patrqt | Hcompl | Hsysadmin | Hresch => false,
        };
        if objected {
            return refuse(Basis::Objection);
        }
        let joint = case.related.contains(&Relationship::Meeting) || case.related.contains(&Relationship::Referral);
        match case.purpose {
            Treat if !evidence => return refuse(Basis::NoRelationship),
            Coc if !case.own && !joint => return refuse(Basis::NoRelationship),
            Btg if case.grant.is_none() => return refuse(Basis::GrantMissing),
            Caremgt if !case.own => return refuse(Basis::OwnOrganisationOnly),
            Patrqt | Hcompl if !case.case_number => return refuse(Basis::CaseNumberMissing),
            Hoperat | Hqualimp => return refuse(Basis::AggregatesOnly),
            Hsysadmin => return refuse(Basis::NoClinicalContent),
            _ => {}
        }

        if case.labels.contains(Label::Legal) {
            return refuse(Basis::Legal);
        }
        if case.category == Category::Other && !case.own {
            return refuse(Basis::OwnOrganisationOnly);
        }
        if case.category == Category::Experience {
            return refuse(Basis::TableSaysNo);
        }
        let (row, labels) = self.cells(case);
        let broken = case.purpose == Btg && case.grant.as_ref().is_some_and(|g| g.contains(&case.category));
        let access = combine(case.category, row, &labels, broken, case.sent);
        let basis = if access > Access::None {
            Basis::Granted
        } else if combine(case.category, row, &labels, true, case.sent) > Access::None {
            Basis::BreakGlassOnly
        } else if combine(case.category, row, &labels, broken, true) > Access::None {
            Basis::OnlyWhatWasSent
        } else {
            Basis::TableSaysNo
        };
        (access, basis, alert)
    }

    /// The category's letter, and the letter of every label that counts.
    fn cells(&self, case: &Case) -> (char, Vec<char>) {
        let labels =
            case.labels.iter().filter(|l| !(case.category == Category::Safeguarding && *l == Label::Restricted));
        if case.group == StaffGroup::Ig {
            let safeguarding = case.category == Category::Safeguarding && !case.own;
            return (if safeguarding { '–' } else { 'A' }, labels.map(|_| if case.own { 'A' } else { '–' }).collect());
        }
        let labels = labels.map(|label| match label {
            Label::Psy => self.letter(case.group, "mhdetail"),
            Label::Sealed => self.letter(case.group, "sealed by the patient"),
            _ => self.letter(case.group, "sensitive"),
        });
        (self.letter(case.group, case.category.as_str()), labels.collect())
    }
}

impl Table {
    /// What stands in the table, or in the words around it.
    fn letter(&self, group: StaffGroup, row: &str) -> char {
        use StaffGroup::{Ahp, Chc, Chn, Chs, Fac, Gp, Hos, Ig, It, Mhn, Nav, Par, Pha, Psy, Ra, Rn, Sw, Vol};
        if row == "other" {
            return if matches!(group, Chc | Nav | Vol | Fac | Ra | It) { '–' } else { 'A' };
        }
        if group == Chs && ["results", "imaging", "vitals", "letters", "procedures", "encounters"].contains(&row) {
            return 'S';
        }
        let column = match group {
            Gp => "GP",
            Hos | Psy | Mhn => "HOS",
            Rn | Ahp => "RN/AHP",
            Pha => "PHA",
            Chn | Chs => "CHN",
            Chc => "CHC",
            Par => "PAR",
            Sw => "SW",
            Nav => "NAV",
            Vol => "VOL",
            Fac | Ig | Ra | It => return '–',
        };
        let column = self.columns.iter().position(|c| c == column).unwrap();
        let (_, cells) = self.rows.iter().find(|(names, _)| names.iter().any(|n| n == row)).unwrap();
        match cells[column].as_str() {
            "S (PSY, MHN A)" if matches!(group, Psy | Mhn) => 'A',
            cell => cell.chars().next().unwrap(),
        }
    }
}

/// The category's cell and every label's: the least of them; for four categories a full cell keeps its essentials.
fn combine(category: Category, row: char, labels: &[char], broken: bool, sent: bool) -> Access {
    let open = |letter: char| match letter {
        'A' => Access::Full,
        'S' => Access::Summary,
        'O' if sent => Access::Full,
        'B' if broken => Access::Full,
        'O' | 'B' | '–' => Access::None,
        other => panic!("no such letter: {other}"),
    };
    let least = labels.iter().copied().map(open).fold(open(row), Ord::min);
    let never_lowered = ["medications", "allergies", "flags", "advance-care"].contains(&category.as_str());
    if never_lowered && row == 'A' { least.max(Access::Essential) } else { least }
}

fn may_use(group: StaffGroup, purpose: Purpose) -> bool {
    let line = PURPOSES.lines().find(|l| l.starts_with(&format!("{purpose}:"))).unwrap();
    line.split_whitespace().skip(1).any(|g| g == group.as_str())
}
