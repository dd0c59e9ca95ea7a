//! What must be written down.

use std::collections::BTreeSet;

use super::dependencies::workspace_dependencies;
use super::{TreeFile, assert_none, read, root, rust_sources, tree};

#[test]
fn every_configuration_key_is_in_the_operators_guide() {
    let keys = strict_keys(&read("node/src/config.rs"));
    assert!(keys.contains(&"ods".to_owned()), "the keys are not read as they are written: {keys:?}");
    assert_none("docs/operate.md lacks", &unmentioned(&read("docs/operate.md"), &keys));
}

#[test]
fn every_field_of_an_audit_entry_is_documented() {
    let source = read("protocol/src/audit/entry.rs");
    let document = read("docs/audit-log.md");
    for name in ["AuditEntry", "PatientPart", "Actor", "CellDecision"] {
        let fields = fields(&source, name).unwrap_or_default();
        assert!(!fields.is_empty(), "{name} is not in protocol/src/audit/entry.rs");
        assert_none(&format!("docs/audit-log.md lacks, of {name}"), &unmentioned(&document, &fields));
    }
}

#[test]
fn every_limit_and_protocol_name_is_in_the_protocol_document() {
    let document = read("docs/protocol.md");
    let limits = constants(&read("protocol/src/limits.rs"));
    assert!(limits.contains(&"FRAME_MAX".to_owned()));
    assert_none("docs/protocol.md lacks the limit", &unmentioned(&document, &limits));
    let names = quoted(&read("protocol/src/version.rs"), "/careweave/");
    assert!(names.contains(&"/careweave/auth/1".to_owned()));
    assert_none("docs/protocol.md lacks the protocol", &unmentioned(&document, &names));
}

#[test]
fn every_signing_context_is_in_the_protocol_document_and_used_once() {
    let sources = rust_sources();
    let contexts: Vec<_> =
        sources.iter().filter(|f| !f.path.contains("tests")).flat_map(|f| contexts(&f.text)).collect();
    assert!(contexts.contains(&"careweave query 1".to_owned()));
    assert_none("docs/protocol.md lacks the context", &unmentioned(&read("docs/protocol.md"), &contexts));
    assert_none("two types share the context", &twice(&contexts));
}

#[test]
fn every_warning_is_in_the_hazard_log() {
    let ids = quoted(&read("protocol/src/desk/warning.rs"), "CW-H0");
    assert!(ids.contains(&"CW-H001".to_owned()));
    assert_none("docs/hazards.md lacks", &unmentioned(&read("docs/hazards.md"), &ids));
}

#[test]
fn every_field_that_scripts_read_is_documented() {
    let document = read("docs/cli.md");
    for (file, known) in [("view", "all_replied"), ("import", "imported"), ("status", "warnings")] {
        let fields = public_fields(&read(&format!("protocol/src/desk/{file}.rs")));
        assert!(fields.contains(&known.to_owned()), "{file}: the fields are not read as they are written: {fields:?}");
        assert_none(&format!("docs/cli.md lacks, of {file}"), &unmentioned(&document, &fields));
    }
}

#[test]
fn documents_name_files_that_are_there() {
    let files = tree();
    let documents = files.iter().filter(|f| f.path.ends_with(".md"));
    let found: Vec<_> = documents.flat_map(|f| lost_paths(f, |path| root().join(path).exists())).collect();
    assert_none("a document sends the reader to a file that is gone", &found);
}

#[test]
fn documents_name_tests_that_are_there() {
    let files = tree();
    let sources = files.iter().filter(|f| f.path.ends_with(".rs"));
    let functions: BTreeSet<&str> = sources.flat_map(|f| functions(&f.text)).collect();
    let documents = files.iter().filter(|f| f.path.ends_with(".md"));
    let found: Vec<_> = documents.flat_map(|f| lost_tests(f, &functions)).collect();
    assert_none("a document names a test that is gone", &found);
}

#[test]
fn every_dependency_has_its_reason() {
    let names = workspace_dependencies(&read("Cargo.toml"));
    assert!(names.contains(&"libp2p".to_owned()));
    assert_none("docs/dependencies.md has no line for", &without_row(&read("docs/dependencies.md"), &names));
}

#[test]
fn decisions_are_numbered() {
    let decisions: Vec<String> =
        tree().iter().filter_map(|f| f.path.strip_prefix("docs/decisions/")).map(str::to_owned).collect();
    assert!(!decisions.is_empty());
    assert_none("docs/decisions: NNNN-title.md from 0001 without a gap", &misnumbered(&decisions));
}

#[test]
fn links_between_documents_lead_somewhere() {
    let files = tree();
    let documents = files.iter().filter(|f| f.path.ends_with(".md"));
    let found: Vec<_> = documents.flat_map(|f| dead_links(f, |path| root().join(path).exists())).collect();
    assert_none("a link leads nowhere", &found);
}

/// Names of the fields of a struct with named fields; `None` where there is no such struct.
fn fields(source: &str, name: &str) -> Option<Vec<String>> {
    let start = [format!("struct {name} {{"), format!("struct {name}<")];
    let mut lines = source.lines().skip_while(|line| !start.iter().any(|s| line.contains(s.as_str())));
    lines.next()?;
    Some(lines.take_while(|line| *line != "}").filter_map(field).collect())
}

/// The name before the first colon of a line inside a struct.
fn field(line: &str) -> Option<String> {
    let line = line.trim();
    let line = line.strip_prefix("pub ").or_else(|| line.split_once("pub(super) ").map(|(_, l)| l)).unwrap_or(line);
    let (name, _) = line.split_once(':')?;
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    plain.then(|| name.to_owned())
}

/// Fields of every struct whose unknown keys are errors: those are what the file may hold.
fn strict_keys(source: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut strict = false;
    for line in source.lines() {
        if line.contains("deny_unknown_fields") {
            strict = true;
        } else if let Some((_, rest)) = line.split_once("struct ") {
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric()).collect();
            if std::mem::take(&mut strict) {
                keys.extend(fields(source, &name).unwrap_or_default());
            }
        }
    }
    keys
}

/// Fields of every public struct, each name once.
fn public_fields(source: &str) -> Vec<String> {
    let names = source.lines().filter_map(|line| line.strip_prefix("pub struct ")?.strip_suffix(" {"));
    let all: BTreeSet<String> = names.filter_map(|name| fields(source, name)).flatten().collect();
    all.into_iter().collect()
}

/// Names of public constants.
fn constants(source: &str) -> Vec<String> {
    source.lines().filter_map(|l| Some(l.strip_prefix("pub const ")?.split_once(':')?.0.to_owned())).collect()
}

/// String literals that begin like this.
fn quoted(source: &str, beginning: &str) -> Vec<String> {
    source.split('"').filter(|piece| piece.starts_with(beginning)).map(str::to_owned).collect()
}

/// Values of constants named `CONTEXT`; a trailing zero byte belongs to the hash, not to the name.
fn contexts(source: &str) -> Vec<String> {
    source
        .lines()
        .filter(|line| line.contains("const CONTEXT:"))
        .filter_map(|line| Some(line.split('"').nth(1)?.trim_end_matches("\\0").to_owned()))
        .collect()
}

/// Those that the document does not name in backticks.
fn unmentioned(document: &str, names: &[String]) -> Vec<String> {
    names.iter().filter(|name| !document.contains(&format!("`{name}`"))).cloned().collect()
}

/// Those that begin no row of a table.
fn without_row(document: &str, names: &[String]) -> Vec<String> {
    let has = |name: &String| document.lines().any(|line| line.starts_with(&format!("| `{name}` |")));
    names.iter().filter(|name| !has(name)).cloned().collect()
}

fn twice(names: &[String]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    names.iter().filter(|name| !seen.insert(*name)).cloned().collect()
}

/// What is not `NNNN-title.md`, and what breaks the count.
fn misnumbered(names: &[String]) -> Vec<String> {
    let number = |name: &str| -> Option<usize> {
        let (number, title) = name.strip_suffix(".md")?.split_once('-')?;
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let well_formed = number.len() == 4 && !title.is_empty() && title.bytes().all(plain);
        well_formed.then(|| number.parse().ok()).flatten()
    };
    let mut sorted: Vec<_> = names.iter().map(|name| (number(name), name)).collect();
    sorted.sort();
    let wrong = sorted.iter().enumerate().filter(|(at, (number, _))| *number != Some(at + 1));
    wrong.map(|(_, (_, name))| (*name).clone()).collect()
}

/// Relative links of a document that lead to no file. Links into the network are not followed.
fn dead_links(file: &TreeFile, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    file.text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', '#']).next())
        .filter(|target| !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:"))
        .filter(|target| !exists(format!("{folder}/{target}").trim_start_matches('/')))
        .map(|target| format!("{}: {target}", file.path))
        .collect()
}

/// Paths in backticks that begin with a folder of the house and lead nowhere; patterns in braces are not followed.
fn lost_paths(file: &TreeFile, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let inside = |piece: &&str| {
        ["protocol/", "certs/", "node/", "cli/", "tests/"].iter().any(|folder| piece.starts_with(folder))
            && !piece.contains(['{', '<', ' ', '*'])
    };
    let pieces = file.text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    pieces.filter(inside).filter(|path| !exists(path)).map(|path| format!("{}: {path}", file.path)).collect()
}

/// Names of functions.
fn functions(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| line.split_once("fn ")?.1.split(['(', '<']).next())
}

/// Names in backticks that are sentences and no function. Four words joined make a sentence; nothing else in the documents does.
fn lost_tests(file: &TreeFile, functions: &BTreeSet<&str>) -> Vec<String> {
    let sentence = |piece: &&str| {
        piece.matches('_').count() >= 4
            && piece.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let pieces = file.text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let lost = pieces.filter(sentence).filter(|name| !functions.contains(name));
    lost.map(|name| format!("{}: {name}", file.path)).collect()
}

mod rules_find {
    use super::*;

    const SOURCE: &str = "/// Doc: of it.\n#[serde(deny_unknown_fields)]\nstruct File {\n    /// Code: text.\n    ods: OdsCode,\n    \
        #[serde(default = \"a:b\")]\n    pub listen_on: Vec<A>,\n}\n\npub struct Config {\n    pub dir: PathBuf,\n}\n";

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn fields_of_the_struct_that_is_asked_for() {
        assert_eq!(fields(SOURCE, "File"), Some(owned(&["ods", "listen_on"])));
        assert_eq!(fields(SOURCE, "Config"), Some(owned(&["dir"])));
        assert_eq!(fields(SOURCE, "Fil"), None);
        assert_eq!(strict_keys(SOURCE), owned(&["ods", "listen_on"]));
    }

    #[test]
    fn names_that_a_document_lacks() {
        assert_eq!(unmentioned("| `ods` | the code; `listen` |", &owned(&["ods", "listen_on"])), owned(&["listen_on"]));
        assert_eq!(
            without_row("| `libp2p` | streams |\nserde is used", &owned(&["libp2p", "serde"])),
            owned(&["serde"])
        );
    }

    #[test]
    fn files_that_are_gone() {
        let text = "`node/src/a.rs` and `node/src/{b,c}.rs`, `docs` and `cargo run`\nnode/src/d.rs `certs/src/e.rs`"
            .to_owned();
        let file = TreeFile { path: "docs/a.md".into(), text };
        assert_eq!(lost_paths(&file, |path| path == "node/src/a.rs"), ["docs/a.md: certs/src/e.rs"]);
        assert_eq!(public_fields(SOURCE), owned(&["dir"]));
    }

    #[test]
    fn tests_that_are_gone() {
        let known: BTreeSet<&str> = functions("async fn a_log_that_was_cut() {\n    fn generic<T>(x: T) {}").collect();
        assert_eq!(known, BTreeSet::from(["a_log_that_was_cut", "generic"]));
        let text = "`a_log_that_was_cut`, `a_log_that_was_not`, `role_cannot_see`".to_owned();
        let file = TreeFile { path: "docs/a.md".into(), text };
        assert_eq!(lost_tests(&file, &known), ["docs/a.md: a_log_that_was_not"]);
    }

    #[test]
    fn constants_contexts_and_names() {
        let source = "pub const FRAME_MAX: usize = 1;\nconst _: () = ();\nconst CONTEXT: &'static str = \"a 1\";\n\
            const CONTEXT: &[u8] = b\"b 1\\0\";\npub const AUTH: &str = \"/careweave/auth/1\";\n";
        assert_eq!(constants(source), owned(&["FRAME_MAX", "AUTH"]));
        assert_eq!(contexts(source), owned(&["a 1", "b 1"]));
        assert_eq!(quoted(source, "/careweave/"), owned(&["/careweave/auth/1"]));
        assert_eq!(twice(&owned(&["a", "b", "a"])), owned(&["a"]));
    }

    #[test]
    fn decisions_out_of_line() {
        assert!(misnumbered(&owned(&["0002-b-c.md", "0001-a.md"])).is_empty());
        for names in [&["0002-b.md"][..], &["0001-a.md", "0001-b.md"], &["1-a.md"], &["0001-A b.md"], &["readme.md"]] {
            assert!(!misnumbered(&owned(names)).is_empty(), "{names:?}");
        }
    }

    #[test]
    fn links_that_lead_nowhere() {
        let text = "[a](b.md#part) [c](../d.md) [e](https://example.org/x) [f](#part)".to_owned();
        let file = TreeFile { path: "docs/a.md".into(), text };
        assert_eq!(dead_links(&file, |path| path == "docs/b.md"), ["docs/a.md: ../d.md"]);
        assert!(dead_links(&file, |_| true).is_empty());
    }
}
