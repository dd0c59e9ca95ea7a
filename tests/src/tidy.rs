//! House rules that a program can check. Each rule is a pure function over text with a twin test in which it must find something;
//! the tests that read the tree only collect what the rules say.
//!
//! Reading order: [`sources`] (what stands in which file), [`dependencies`] (what depends on what), [`documents`] (what must be
//! written down), [`hazards`] (what may go wrong for a patient). What is *not* here: form and lints, which rustfmt and clippy see to.
#![cfg(test)]

mod dependencies;
mod documents;
mod hazards;
mod sources;

use std::path::{Path, PathBuf};
use std::process::Command;

/// One file of the repository.
struct TreeFile {
    /// From the repository's root, with `/`.
    path: String,
    /// Its text; bytes that are no UTF-8 are replaced.
    text: String,
}

/// The repository's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every file that git tracks or would track, and that is there.
fn tree() -> Vec<TreeFile> {
    let listing = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(listing.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listing.stderr));
    let names = String::from_utf8(listing.stdout).unwrap();
    let files: Vec<TreeFile> = names
        .split('\0')
        .filter(|path| !path.is_empty())
        .filter_map(|path| {
            let bytes = std::fs::read(root().join(path)).ok()?;
            Some(TreeFile { path: path.to_owned(), text: String::from_utf8_lossy(&bytes).into_owned() })
        })
        .collect();
    assert!(files.iter().any(|file| file.path == "Cargo.toml"), "this is not the repository's root: {:?}", root());
    files
}

/// Rust sources of the repository, without these rules, which must name what they forbid.
fn rust_sources() -> Vec<TreeFile> {
    tree().into_iter().filter(|file| file.path.ends_with(".rs") && !is_tidy(&file.path)).collect()
}

/// One file that must be there.
fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn is_tidy(path: &str) -> bool {
    path == "tests/src/tidy.rs" || path.starts_with("tests/src/tidy/")
}

/// Fails with every finding at once, so that one run tells all.
fn assert_none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}
