//! What stands in which file.

use std::collections::BTreeSet;

use super::{assert_none, rust_sources, tree};

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    let found: Vec<_> = rust_sources().iter().filter_map(|f| too_long(&f.path, &f.text)).collect();
    assert_none("a file is split before it has more lines than this", &found);
}

#[test]
fn nothing_unfinished_is_left_in_the_sources() {
    let found: Vec<_> = rust_sources().iter().flat_map(|f| unfinished(&f.path, &f.text)).collect();
    assert_none("finish it or take it out", &found);
}

#[test]
fn the_real_clock_is_read_in_one_place() {
    let sources = rust_sources();
    let found: Vec<_> =
        sources.iter().filter(|f| takes_time(&f.path)).flat_map(|f| real_time(&f.path, &f.text)).collect();
    assert_none("time is an argument; only node/src/clock.rs and main.rs files read the clock", &found);
    assert!(
        !real_time("x.rs", &super::read("node/src/clock.rs")).is_empty(),
        "the clock is not where it is looked for"
    );
}

#[test]
fn cbor_is_used_in_one_file() {
    let found: Vec<_> = rust_sources().iter().filter_map(|f| other_cbor_user(&f.path, &f.text)).collect();
    assert_none("use careweave_protocol::cbor", &found);
    assert!(super::read("protocol/src/cbor.rs").contains("serde_cbor::"), "the one user is not where it is looked for");
}

#[test]
fn the_rules_own_no_network() {
    let sources = rust_sources();
    let pure: Vec<_> = sources.iter().filter(|f| is_pure(&f.path)).collect();
    assert!(pure.iter().any(|f| f.path.starts_with("protocol/src/")));
    assert!(pure.iter().any(|f| f.path.starts_with("node/src/view")));
    let found: Vec<_> = pure.iter().flat_map(|f| asynchronous(&f.path, &f.text)).collect();
    assert_none("protocol and node/src/view compile without tokio", &found);
}

#[test]
fn no_private_key_is_committed() {
    let found: Vec<_> = tree().iter().filter(|f| private_key(&f.path, &f.text)).map(|f| f.path.clone()).collect();
    assert_none("tests make their own keys", &found);
}

#[test]
fn nothing_names_a_registry_host_or_a_path_of_one_machine() {
    let files = tree();
    let found: Vec<_> =
        files.iter().filter(|f| !super::is_tidy(&f.path)).flat_map(|f| places(&f.path, &f.text)).collect();
    assert_none("the repository is the same on every machine", &found);
}

#[test]
fn the_top_level_has_the_folders_of_the_house_and_no_other() {
    let files = tree();
    assert_none("see docs/architecture.md", &top_level(files.iter().map(|f| f.path.as_str())));
    for folder in FOLDERS {
        assert!(files.iter().any(|f| f.path.starts_with(&format!("{folder}/"))), "no folder {folder}");
    }
}

fn too_long(path: &str, text: &str) -> Option<String> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let limit = if matches!(name, "main.rs" | "lib.rs") { ENTRY_LINES } else { FILE_LINES };
    let lines = text.lines().count();
    (lines > limit).then(|| format!("{path}: {lines} lines, limit {limit}"))
}

fn unfinished(path: &str, text: &str) -> Vec<String> {
    let marks = ["todo!", "unimplemented!", "#[ignore", "allow(dead_code", "expect(dead_code", "FIXME"];
    lines_with(path, text, |line| marks.iter().any(|mark| line.contains(mark)))
}

/// Whether the rule about time holds for this file. Tests and the demonstration start real processes and wait for them.
fn takes_time(path: &str) -> bool {
    let exempt = path == "node/src/clock.rs" || path.ends_with("/main.rs") || path.ends_with("/tests.rs");
    !exempt && !path.starts_with("tests/") && !path.contains("/tests/") && !path.contains("/benches/")
}

fn real_time(path: &str, text: &str) -> Vec<String> {
    // Tokio's instants are deadlines of waits, and tests can stop them.
    let tokio_instant = code(text).any(|(_, l)| l.starts_with("use tokio::time") && l.contains("Instant"))
        && !code(text).any(|(_, l)| l.starts_with("use std::time") && l.contains("Instant"));
    lines_with(path, production(text), |line| {
        let line = line.replace("tokio::time::Instant::now", "");
        ["SystemTime::now", "Timestamp::now", "Zoned::now", "UNIX_EPOCH.elapsed"].iter().any(|call| line.contains(call))
            || (line.contains("Instant::now") && !tokio_instant)
    })
}

fn other_cbor_user(path: &str, text: &str) -> Option<String> {
    (path != "protocol/src/cbor.rs" && code(text).any(|(_, line)| line.contains("serde_cbor"))).then(|| path.to_owned())
}

fn is_pure(path: &str) -> bool {
    path.starts_with("protocol/src/") || path.starts_with("node/src/view/") || path == "node/src/view.rs"
}

fn asynchronous(path: &str, text: &str) -> Vec<String> {
    lines_with(path, text, |line| {
        let waits =
            line.split(".await").skip(1).any(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'));
        waits || ["tokio::", "async fn", "async move", "libp2p::", "rocksdb::"].iter().any(|word| line.contains(word))
    })
}

/// A key's armour outside a source file is taken for a key; in a source file it may be a label, so there the body has to follow.
fn private_key(path: &str, text: &str) -> bool {
    let by_name = [".pem", ".key", ".p12", ".pfx", ".p8"].iter().any(|ending| path.ends_with(ending));
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("BEGIN ") {
        let label: String = after.chars().take_while(|c| c.is_ascii_uppercase() || *c == ' ').collect();
        let body: String = after.chars().skip(label.len()).take(160).collect();
        if label.ends_with("PRIVATE KEY") && (!path.ends_with(".rs") || longest_base64(&body) >= KEY_BODY) {
            return true;
        }
        rest = after;
    }
    by_name
}

fn longest_base64(text: &str) -> usize {
    let run = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    text.split(|c| !run(c)).map(str::len).max().unwrap_or(0)
}

fn places(path: &str, text: &str) -> Vec<String> {
    lines_with_comments(path, text, |line| {
        // Cargo itself writes the default registry in every lock file, always in this one form.
        let default = path == "Cargo.lock" && line.starts_with("source = \"registry+") && line.ends_with("-index\"");
        let host =
            HOSTS.iter().any(|(name, end)| line.contains(&format!("{name}.{end}"))) || line.contains("sparse+http");
        let host = host && !default;
        host || MACHINE_PATHS.iter().any(|place| begins_a_word(line, place))
    })
}

/// Whether the line has the path where a path begins, not in the middle of another.
fn begins_a_word(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line.get(..at).and_then(|head| head.chars().next_back());
        before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '.' | '/' | '}' | ')' | '_' | '-' | '~' | '>' | '*'))
    })
}

fn top_level<'a>(paths: impl Iterator<Item = &'a str>) -> Vec<String> {
    let tops: BTreeSet<String> = paths
        .map(|path| path.split_once('/').map_or_else(|| path.to_owned(), |(folder, _)| format!("{folder}/")))
        .collect();
    let allowed = |top: &str| match top.strip_suffix('/') {
        Some(folder) => FOLDERS.contains(&folder) || DOT_FOLDERS.contains(&folder),
        None => FILES.contains(&top) || top.starts_with("LICENSE-"),
    };
    tops.into_iter().filter(|top| !allowed(top)).collect()
}

/// The text before the module of tests at its end.
fn production(text: &str) -> &str {
    let mut at = 0;
    let mut marked = false;
    for line in text.split_inclusive('\n') {
        if marked && line.starts_with("mod ") && line.trim_end().ends_with('{') {
            return text.get(..at).unwrap_or(text);
        }
        marked = line.trim_end() == "#[cfg(test)]";
        at += line.len();
    }
    text
}

/// Lines that are no comments, trimmed, with their numbers from 1.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())).filter(|(_, line)| !line.starts_with("//"))
}

fn lines_with(path: &str, text: &str, wrong: impl Fn(&str) -> bool) -> Vec<String> {
    code(text).filter(|(_, line)| wrong(line)).map(|(at, line)| format!("{path}:{at}: {line}")).collect()
}

fn lines_with_comments(path: &str, text: &str, wrong: impl Fn(&str) -> bool) -> Vec<String> {
    let lines = text.lines().enumerate().filter(|(_, line)| wrong(line.trim()));
    lines.map(|(at, line)| format!("{path}:{}: {}", at + 1, line.trim())).collect()
}

/// Lines of a file.
const FILE_LINES: usize = 600;
/// Lines of `main.rs` and `lib.rs`, which only lead on.
const ENTRY_LINES: usize = 120;
/// Base64 characters in a row that are a key's body and not a name.
const KEY_BODY: usize = 40;
/// Folders of the house.
const FOLDERS: [&str; 6] = ["protocol", "node", "cli", "certs", "tests", "docs"];
/// Folders that convention puts beside them.
const DOT_FOLDERS: [&str; 2] = [".ci", ".cargo"];
/// Files that convention puts beside them.
const FILES: [&str; 10] = [
    "Cargo.toml",
    "Cargo.lock",
    "Makefile",
    "README.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "deny.toml",
    ".clippy.toml",
    ".rustfmt.toml",
    ".gitignore",
];
/// Hosts that packages come from.
const HOSTS: [(&str, &str); 5] = [
    ("crates", "io"),
    ("registry.npmjs", "org"),
    ("pypi", "org"),
    ("files.pythonhosted", "org"),
    ("proxy.golang", "org"),
];
/// Where somebody's home or workplace is.
const MACHINE_PATHS: [&str; 3] = ["/home/", "/root/", "/Users/"];

mod rules_find {
    use super::*;

    #[test]
    fn files_over_the_limit() {
        assert!(too_long("node/src/store.rs", &"\n".repeat(600)).is_none());
        assert!(too_long("node/src/store.rs", &"\n".repeat(601)).is_some());
        assert!(too_long("node/src/main.rs", &"\n".repeat(121)).is_some());
    }

    #[test]
    fn unfinished_work() {
        for text in ["todo!()", "unimplemented!(\"later\")", "#[ignore = \"slow\"]", "#[allow(dead_code)]"] {
            assert_eq!(unfinished("a.rs", text).len(), 1, "{text}");
        }
        assert!(unfinished("a.rs", "let method = 1;").is_empty());
    }

    #[test]
    fn a_second_clock() {
        assert_eq!(real_time("a.rs", "let a = SystemTime::now();\nlet b = jiff::Zoned::now();").len(), 2);
        assert_eq!(real_time("a.rs", "use std::time::Instant;\nInstant::now();").len(), 1);
        assert_eq!(real_time("a.rs", "Instant::now();").len(), 1);
        for fine in [
            "use tokio::time::{Instant, timeout};\nInstant::now();",
            "tokio::time::Instant::now();",
            "// SystemTime::now() is read elsewhere",
            "#[cfg(test)]\nmod tests {\n    fn f() { SystemTime::now(); }\n}",
        ] {
            assert!(real_time("a.rs", fine).is_empty(), "{fine}");
        }
        assert_eq!(real_time("a.rs", "#[cfg(test)]\nmod tests;\nSystemTime::now();").len(), 1);
        assert!(
            takes_time("node/src/node.rs") && !takes_time("cli/src/main.rs") && !takes_time("node/src/net/tests.rs")
        );
    }

    #[test]
    fn a_second_user_of_cbor() {
        assert!(other_cbor_user("node/src/store.rs", "serde_cbor::to_vec(&x)").is_some());
        assert!(other_cbor_user("node/src/store.rs", "// not serde_cbor").is_none());
        assert!(other_cbor_user("protocol/src/cbor.rs", "serde_cbor::to_vec(&x)").is_none());
    }

    #[test]
    fn a_rule_that_waits() {
        assert_eq!(asynchronous("a.rs", "use tokio::sync::mpsc;\npub async fn ask() {}").len(), 2);
        assert!(asynchronous("a.rs", "//! compiles without tokio::anything").is_empty());
        assert!(is_pure("node/src/view/dates.rs") && !is_pure("node/src/ask/fetch.rs"));
    }

    #[test]
    fn committed_keys() {
        let armour = "-----BEGIN EC PRIVATE KEY-----";
        let body = "MHcCAQEEIA".repeat(5);
        assert!(private_key("notes.md", armour));
        assert!(private_key("certs/src/a.rs", &format!("const KEY: &str = \"{armour}\\n{body}\";")));
        assert!(private_key("certs/src/a.rs", &format!("\"{armour}\\nshort\"; later \"{armour}\n{body}\"")));
        assert!(private_key("tests/org.pem", ""));
        assert!(!private_key("certs/src/a.rs", &format!("pem.starts_with(\"{armour}\")")));
        assert!(!private_key("README.md", "-----BEGIN CERTIFICATE-----"));
    }

    #[test]
    fn places_that_are_not_everywhere() {
        let named = format!("see https://{}.{}/x\ncd /home/somebody\n# /root/x", HOSTS[0].0, HOSTS[0].1);
        assert_eq!(places("docs/a.md", &named).len(), 3);
        assert_eq!(places("Cargo.lock", "source = \"sparse+https://mirror.example/\"").len(), 1);
        let lock = format!("source = \"registry+https://git.example/{}.{}-index\"", HOSTS[0].0, HOSTS[0].1);
        assert!(places("Cargo.lock", &lock).is_empty());
        assert_eq!(places("deny.toml", &lock).len(), 1);
        assert!(places("docs/a.md", "$HOME/.cache docs/home/plan node/root/x").is_empty());
    }

    #[test]
    fn a_folder_too_many() {
        let paths = ["protocol/src/lib.rs", ".ci/run", "LICENSE-MIT", "Makefile"];
        assert!(top_level(paths.into_iter()).is_empty());
        assert_eq!(top_level(["utils/a.rs", "notes.txt", ".github/a.yml"].into_iter()).len(), 3);
    }
}
