//! The hazard log (`docs/hazards.md`): every hazard with a score that follows from the printed matrix and a test that is there; every
//! warning of a view with a hazard, and its words in the log.

use std::collections::{BTreeMap, BTreeSet};

use careweave_protocol::desk::warning::Warning;

use super::{TreeFile, assert_none, is_tidy, read, rust_sources, tree};

#[test]
fn every_hazard_has_scores_that_follow_from_the_matrix_and_somebody_who_accepts_it() {
    let log = Log::read(&read(LOG));
    assert_none("a row of the hazard log is not of the form that its head says", &log.malformed);
    assert!(log.hazards.len() >= HAZARDS_MIN, "{} hazards; the log has at least {HAZARDS_MIN}", log.hazards.len());
    assert_none("an id stands in two rows", &log.twice());
    assert_none("a risk that does not follow", &log.wrong_risks());
}

#[test]
fn every_hazard_names_a_test_that_is_there() {
    let files = tree();
    let log = Log::read(&read(LOG));
    assert!(!log.hazards.is_empty());
    let source = |path: &str| files.iter().find(|file| file.path == path).map(|file| file.text.as_str());
    assert_none("a hazard without proof", &log.unproven(source));
}

#[test]
fn every_warning_of_a_view_is_a_hazard_with_its_words_and_no_other_id_is_a_warnings() {
    let warnings: Vec<(&str, &str)> = Warning::ALL.iter().map(|warning| (warning.id(), warning.text())).collect();
    assert_none("warnings and the hazard log", &Log::read(&read(LOG)).against(&warnings));
}

#[test]
fn every_hazard_id_that_anything_mentions_is_in_the_log() {
    let log = Log::read(&read(LOG));
    let files = tree();
    let others = files.iter().filter(|file| !is_tidy(&file.path));
    let found: Vec<_> = others.flat_map(|file| unknown_ids(file, &log.ids())).collect();
    assert_none("an id without a row in the hazard log", &found);
}

#[test]
fn warnings_are_shown_by_their_type_only() {
    let found: Vec<_> = rust_sources().iter().flat_map(literal_ids).collect();
    assert_none("take the id from Warning::id, the words from Warning::text", &found);
}

/// One row of the log.
#[derive(Debug)]
struct Hazard {
    id: String,
    /// As printed: `Major × Low = 3`.
    initial: Option<Risk>,
    residual: Option<Risk>,
    controls: String,
    /// File and function.
    tests: Vec<(String, String)>,
    accepted_by: String,
}

/// Severity, likelihood, and the number beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Risk {
    severity: String,
    likelihood: String,
    score: u8,
}

/// The document, read.
#[derive(Default)]
struct Log {
    hazards: Vec<Hazard>,
    /// Rows with another number of cells, an empty cell, a risk or a proof that is not in its form.
    malformed: Vec<String>,
    /// (likelihood, severity) → score.
    matrix: BTreeMap<(String, String), u8>,
}

impl Log {
    fn read(document: &str) -> Self {
        let mut log = Self::default();
        let mut severities: Vec<String> = Vec::new();
        for line in document.lines().filter(|line| line.starts_with('|')) {
            let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
            match cells.as_slice() {
                [first, rest @ ..] if *first == MATRIX_HEAD => {
                    severities = rest.iter().map(|s| (*s).to_owned()).collect();
                }
                [likelihood, scores @ ..] if scores.len() == severities.len() && is_scores(scores) => {
                    for (severity, score) in severities.iter().zip(scores) {
                        let key = ((*likelihood).to_owned(), severity.clone());
                        log.matrix.insert(key, score.parse().unwrap_or(0));
                    }
                }
                [first, ..] if first.trim_matches('`').starts_with(PREFIX) => log.row(&cells),
                _ => {}
            }
        }
        log
    }

    fn row(&mut self, cells: &[&str]) {
        let [id, hazard, causes, effect, initial, controls, proof, residual, accepted_by] = *cells else {
            let id = cells.first().copied().unwrap_or_default();
            self.malformed.push(format!("{id}: {} cells instead of {CELLS}", cells.len()));
            return;
        };
        let id = id.trim_matches('`').to_owned();
        let empty = [hazard, causes, effect, controls].iter().any(|cell| cell.len() < CELL_MIN);
        let (initial, residual) = (Risk::read(initial), Risk::read(residual));
        let tests = tests_of(proof);
        let plain = id.len() == PREFIX.len() + 3 && id.bytes().skip(PREFIX.len()).all(|b| b.is_ascii_digit());
        if !plain || empty || initial.is_none() || residual.is_none() || !ACCEPTED_BY.contains(&accepted_by) {
            self.malformed.push(format!("{id}: id, words, risks or who accepts it"));
        }
        if tests.as_ref().is_none_or(Vec::is_empty) {
            self.malformed.push(format!("{id}: names no test as `file`: `function`"));
        }
        self.hazards.push(Hazard {
            id,
            initial,
            residual,
            controls: controls.to_owned(),
            tests: tests.unwrap_or_default(),
            accepted_by: accepted_by.to_owned(),
        });
    }

    fn ids(&self) -> BTreeSet<&str> {
        self.hazards.iter().map(|hazard| hazard.id.as_str()).collect()
    }

    fn twice(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        self.hazards.iter().filter(|hazard| !seen.insert(&hazard.id)).map(|hazard| hazard.id.clone()).collect()
    }

    /// Scores that the matrix does not give, residual risks above the initial or above what may be accepted, and undesirable ones
    /// that the deployer is not asked about.
    fn wrong_risks(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.matrix.len() != 25 {
            found.push(format!("the matrix has {} fields instead of 25", self.matrix.len()));
        }
        for hazard in &self.hazards {
            let (Some(initial), Some(residual)) = (&hazard.initial, &hazard.residual) else { continue };
            for risk in [initial, residual] {
                let field = self.matrix.get(&(risk.likelihood.clone(), risk.severity.clone()));
                if field != Some(&risk.score) {
                    found.push(format!("{}: {risk:?}, the matrix says {field:?}", hazard.id));
                }
            }
            if residual.score > initial.score {
                found.push(format!("{}: the control makes it worse", hazard.id));
            }
            if residual.score > ACCEPTABLE {
                found.push(format!("{}: nobody may accept a risk of {}", hazard.id, residual.score));
            }
            if residual.score == ACCEPTABLE && hazard.accepted_by == "manufacturer" {
                found.push(format!("{}: an undesirable risk is the deployer's to accept as well", hazard.id));
            }
        }
        found
    }

    /// Named tests that are not in the named file, or are no tests.
    fn unproven<'a>(&self, source: impl Fn(&str) -> Option<&'a str>) -> Vec<String> {
        let mut found = Vec::new();
        for hazard in &self.hazards {
            if hazard.tests.is_empty() {
                found.push(format!("{}: no test", hazard.id));
            }
            for (path, function) in &hazard.tests {
                match source(path) {
                    None => found.push(format!("{}: no file {path}", hazard.id)),
                    Some(text) if !test_functions(text).contains(&function.as_str()) => {
                        found.push(format!("{}: {path} has no test {function}", hazard.id));
                    }
                    Some(_) => {}
                }
            }
        }
        found
    }

    /// Warnings without a row or with other words there, and rows of the warnings' range without a warning.
    fn against(&self, warnings: &[(&str, &str)]) -> Vec<String> {
        let mut found = Vec::new();
        for (id, text) in warnings {
            match self.hazards.iter().find(|hazard| hazard.id == *id) {
                None => found.push(format!("{id}: a warning without a hazard")),
                Some(hazard) if !hazard.controls.contains(&format!("“{text}”")) => {
                    found.push(format!("{id}: the controls do not quote “{text}”"));
                }
                Some(_) => {}
            }
        }
        let of_a_warning = |id: &str| id.trim_start_matches(PREFIX).parse::<u32>().is_ok_and(|n| n < FIRST_WITHOUT);
        let lost = self.ids().into_iter().filter(|id| of_a_warning(id) && !warnings.iter().any(|(w, _)| w == id));
        found.extend(lost.map(|id| format!("{id}: no warning has this id")));
        found
    }
}

impl Risk {
    /// `Major × Low = 3`.
    fn read(cell: &str) -> Option<Self> {
        let (words, score) = cell.split_once(" = ")?;
        let (severity, likelihood) = words.split_once(" × ")?;
        Some(Self { severity: severity.to_owned(), likelihood: likelihood.to_owned(), score: score.parse().ok()? })
    }
}

fn is_scores(cells: &[&str]) -> bool {
    cells.iter().all(|cell| cell.len() == 1 && cell.bytes().all(|b| b.is_ascii_digit()))
}

/// `file`: `function`, `function`; `file`: `function`. `None` where it is of another form.
fn tests_of(cell: &str) -> Option<Vec<(String, String)>> {
    let plain = |piece: &str| piece.trim().strip_prefix('`')?.strip_suffix('`').map(str::to_owned);
    let mut tests = Vec::new();
    for part in cell.split(';') {
        let (path, functions) = part.split_once("`: ")?;
        let path = path.trim().strip_prefix('`')?.to_owned();
        for function in functions.split(',') {
            tests.push((path.clone(), plain(function)?));
        }
    }
    Some(tests)
}

/// Names of functions that a test runner calls.
fn test_functions(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut marked = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        } else if let Some(name) = line.split_once("fn ").and_then(|(_, rest)| rest.split(['(', '<']).next()) {
            if std::mem::take(&mut marked) {
                found.push(name);
            }
        } else if !line.starts_with("#[") && !line.starts_with("//") {
            marked = false;
        }
    }
    found
}

/// Ids that the file mentions and the log does not know.
fn unknown_ids(file: &TreeFile, known: &BTreeSet<&str>) -> Vec<String> {
    let mut found = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        for piece in line.split(PREFIX).skip(1) {
            let number: String = piece.chars().take_while(char::is_ascii_digit).collect();
            let id = format!("{PREFIX}{number}");
            if number.len() >= 3 && number != PLANTED && !known.contains(id.as_str()) {
                found.push(format!("{}:{}: {id}", file.path, at + 1));
            }
        }
    }
    found
}

/// Lines of the node's and the command line's own code that write an id out. Tests may: they say what is expected.
fn literal_ids(file: &TreeFile) -> Vec<String> {
    let own = ["node/src/", "cli/src/", "certs/src/"].iter().any(|folder| file.path.starts_with(folder));
    let is_test = file.path.ends_with("/tests.rs") || file.path.contains("/tests/");
    if !own || is_test {
        return Vec::new();
    }
    let code = file.text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let lines = code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    let written_out =
        |line: &str| line.split(PREFIX).skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let lines = lines.filter(|(_, line)| written_out(line));
    lines.map(|(at, line)| format!("{}:{}: {}", file.path, at + 1, line.trim())).collect()
}

/// The document.
const LOG: &str = "docs/hazards.md";
/// What every id begins with; three digits follow.
const PREFIX: &str = "CW-H";
/// A number that tests use for an id that nobody has.
const PLANTED: &str = "999";
/// From this number on hazards have no warning of their own.
const FIRST_WITHOUT: u32 = 100;
/// A log with fewer has lost some.
const HAZARDS_MIN: usize = 45;
/// Cells of a row.
const CELLS: usize = 9;
/// Characters below which a cell says nothing.
const CELL_MIN: usize = 5;
/// First cell of the matrix's head.
const MATRIX_HEAD: &str = "likelihood \\ severity";
/// Highest residual risk that anybody may accept: 4 must be reduced, 5 is unacceptable.
const ACCEPTABLE: u8 = 3;
/// Who accepts a residual risk: the clinical safety officer of the manufacturer (DCB0129), of the deployer (DCB0160), or both.
const ACCEPTED_BY: [&str; 3] = ["manufacturer", "deployer", "both"];

mod rules_find {
    use super::*;

    const HEAD: &str = "\
| likelihood \\ severity | Minor | Significant | Considerable | Major | Catastrophic |
|---|---|---|---|---|---|
| Very high | 3 | 4 | 4 | 5 | 5 |
| High | 2 | 3 | 3 | 4 | 5 |
| Medium | 2 | 2 | 3 | 3 | 4 |
| Low | 1 | 2 | 2 | 3 | 4 |
| Very low | 1 | 1 | 2 | 2 | 3 |
";
    const ROW: &str = "| `CW-H001` | the wrong person is treated | a number mistyped | a wrong dose is given | Major × Medium = 3 | \
        shown: “Check the person.” | `a.rs`: `one_is_told_from_another`, `b`; `c/d.rs`: `e` | Major × Very low = 2 | both |";
    const SOURCE: &str = "#[test]\nfn one_is_told_from_another() {}\n\n/// Not a test.\nfn b() {}\n\n#[tokio::test(flavor = \"x\")]\n\
        // why\n#[should_panic]\nasync fn e() {}\n";

    fn with(from: &str, to: &str) -> Log {
        assert!(ROW.contains(from), "{from}");
        Log::read(&format!("{HEAD}{}", ROW.replacen(from, to, 1)))
    }

    #[test]
    fn nothing_in_a_sound_row() {
        let log = with("one_is", "one_is");
        assert_eq!((log.hazards.len(), log.matrix.len()), (1, 25));
        assert!(log.malformed.is_empty() && log.twice().is_empty() && log.wrong_risks().is_empty());
        assert_eq!(log.against(&[("CW-H001", "Check the person.")]), Vec::<String>::new());
        let tests: Vec<_> = log.hazards[0].tests.iter().map(|(path, name)| (path.as_str(), name.as_str())).collect();
        assert_eq!(tests, [("a.rs", "one_is_told_from_another"), ("a.rs", "b"), ("c/d.rs", "e")]);
    }

    #[test]
    fn rows_out_of_form() {
        for (from, to) in [
            ("a number mistyped", ""),
            ("a number mistyped | ", ""),
            ("Major × Medium = 3", "Major, Medium"),
            ("Very low = 2", "Very low"),
            ("| both |", "| everybody |"),
            ("`a.rs`: `one_is_told_from_another`, `b`; `c/d.rs`: `e`", "looked at by hand"),
            ("`, `b`", "`, b"),
            ("`CW-H001`", "`CW-H1`"),
        ] {
            assert!(!with(from, to).malformed.is_empty(), "{from} → {to}");
        }
        assert_eq!(Log::read(&format!("{HEAD}{ROW}\n{ROW}")).twice(), ["CW-H001"]);
    }

    #[test]
    fn risks_that_do_not_follow() {
        for (from, to) in [
            ("Major × Medium = 3", "Major × Medium = 4"),
            ("Major × Medium = 3", "Severe × Medium = 3"),
            ("Major × Medium = 3", "Minor × Low = 1"),
            ("Major × Very low = 2 | both", "Major × High = 4 | both"),
            ("Major × Very low = 2 | both", "Major × Low = 3 | manufacturer"),
        ] {
            assert_eq!(with(from, to).wrong_risks().len(), if to.ends_with("both") { 2 } else { 1 }, "{from} → {to}");
        }
        assert_eq!(Log::read(&HEAD.replace("| Low | 1 | 2 | 2 | 3 | 4 |\n", "")).wrong_risks().len(), 1);
    }

    #[test]
    fn tests_that_are_none() {
        let files = |path: &str| (path == "a.rs" || path == "c/d.rs").then_some(SOURCE);
        assert_eq!(test_functions(SOURCE), ["one_is_told_from_another", "e"]);
        assert_eq!(with("one_is", "one_is").unproven(files), ["CW-H001: a.rs has no test b"]);
        let gone = with("`, `b`", "`").unproven(|path: &str| (path == "a.rs").then_some(SOURCE));
        assert_eq!(gone, ["CW-H001: no file c/d.rs"]);
        assert!(with("`, `b`", "`").unproven(files).is_empty());
        assert_eq!(with("told_from", "taken_for").unproven(files).len(), 2);
    }

    #[test]
    fn warnings_without_a_hazard_and_hazards_without_a_warning() {
        let log = with("one_is", "one_is");
        assert_eq!(log.against(&[("CW-H001", "Check the number.")]).len(), 1, "other words");
        assert_eq!(log.against(&[("CW-H001", "Check the person."), ("CW-H002", "Text.")]).len(), 1, "no row");
        assert_eq!(log.against(&[]), ["CW-H001: no warning has this id"]);
        assert!(with("`CW-H001`", "`CW-H101`").against(&[]).is_empty());
    }

    #[test]
    fn ids_that_the_log_does_not_know() {
        let file = |path: &str, text: &str| TreeFile { path: path.into(), text: text.into() };
        let log = with("one_is", "one_is");
        let planted = format!("see {PREFIX}001 and\n{PREFIX}044…{PREFIX}001, {PREFIX}1234, {PREFIX}999");
        let found = unknown_ids(&file("docs/a.md", &planted), &log.ids());
        assert_eq!(found, ["docs/a.md:2: CW-H044", "docs/a.md:2: CW-H1234"]);
        let code = format!(
            "// {PREFIX}001\nlet all = \"{PREFIX}…\";\nlet id = \"{PREFIX}001\";\n#[cfg(test)]\nmod tests {{\n    \"{PREFIX}001\"\n}}"
        );
        assert_eq!(literal_ids(&file("cli/src/output/view.rs", &code)).len(), 1);
        assert!(literal_ids(&file("cli/src/output/tests.rs", &code)).is_empty());
        assert!(literal_ids(&file("protocol/src/desk/warning.rs", &code)).is_empty());
    }
}
