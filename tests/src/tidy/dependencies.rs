//! What depends on what, and how old it may be.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use super::{assert_none, read, root};

#[test]
fn crates_depend_on_each_other_as_the_house_is_drawn() {
    let lock = packages(&read("Cargo.lock"));
    assert_none("a crate reaches what it must not", &forbidden_edges(&lock, &EDGES));
}

#[test]
fn the_command_line_names_no_node_in_its_manifest() {
    let manifest = read("cli/Cargo.toml");
    let names: Vec<_> = SECTIONS.iter().flat_map(|section| dependency_names(&manifest, section)).collect();
    assert!(names.contains(&"careweave-protocol".to_owned()), "the manifest is not read as it is written");
    assert!(!names.contains(&"careweave-node".to_owned()), "cli depends on node");
}

#[test]
fn versions_with_known_faults_are_not_locked() {
    let found = below_minimum(&packages(&read("Cargo.lock")));
    assert_none("see docs/dependencies.md, \"Minimum versions\"", &found);
}

#[test]
fn there_is_one_crypto_provider() {
    // What is built, not what is locked: cargo locks optional packages behind weak features (`libp2p-quic?/tokio`) and never builds them.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--workspace", "--locked", "--offline", "--edges", "normal,build,dev", "--prefix", "none"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let listing = String::from_utf8(output.stdout).unwrap();
    assert!(
        built(&listing).contains("ring"),
        "the one provider is missing, so the listing is not read as it is written"
    );
    assert_none("ring is the only crypto provider", &second_providers(&listing));
}

#[test]
fn the_archived_cbor_crate_is_not_locked() {
    let lock = packages(&read("Cargo.lock"));
    assert!(lock.iter().any(|p| p.name == "serde_cbor_2"));
    assert!(!lock.iter().any(|p| p.name == "serde_cbor"), "serde_cbor is archived and carries an advisory");
}

/// One package of the lock file.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Package {
    name: String,
    version: String,
    dependencies: Vec<String>,
}

/// Reads a lock file: `[[package]]`, its name, version and the names it depends on.
fn packages(lock: &str) -> Vec<Package> {
    let value =
        |line: &str, key: &str| Some(line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"')?.to_owned());
    lock.split("[[package]]")
        .skip(1)
        .map(|block| Package {
            name: block.lines().find_map(|l| value(l, "name")).unwrap_or_default(),
            version: block.lines().find_map(|l| value(l, "version")).unwrap_or_default(),
            dependencies: block
                .lines()
                .filter_map(|l| l.strip_prefix(" \"")?.strip_suffix("\","))
                .map(|l| l.split(' ').next().unwrap_or(l).to_owned())
                .collect(),
        })
        .collect()
}

/// Everything a package reaches, itself left out. Packages of one name count as one, which can only find too much.
fn reached(lock: &[Package], from: &str) -> BTreeSet<String> {
    let mut edges: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in lock {
        edges.entry(&package.name).or_default().extend(package.dependencies.iter().map(String::as_str));
    }
    let mut seen = BTreeSet::new();
    let mut ahead = vec![from];
    while let Some(name) = ahead.pop() {
        for next in edges.get(name).into_iter().flatten() {
            if seen.insert((*next).to_owned()) {
                ahead.push(next);
            }
        }
    }
    seen
}

fn forbidden_edges(lock: &[Package], edges: &[(&str, &[&str])]) -> Vec<String> {
    let mut found = Vec::new();
    for (from, never) in edges {
        if !lock.iter().any(|package| package.name == *from) {
            found.push(format!("{from} is not in Cargo.lock"));
        }
        let reached = reached(lock, from);
        found.extend(never.iter().filter(|to| reached.contains(**to)).map(|to| format!("{from} → {to}")));
    }
    found
}

/// Keys of one section of a manifest: `name = …` and `name.workspace = true`.
fn dependency_names(manifest: &str, section: &str) -> Vec<String> {
    manifest
        .lines()
        .skip_while(|line| line.trim() != section)
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.split_once(['=', '.', ' '])?.0.trim().to_owned()))
        .filter(|name| !name.is_empty())
        .collect()
}

pub(super) fn workspace_dependencies(manifest: &str) -> Vec<String> {
    dependency_names(manifest, "[workspace.dependencies]")
}

fn below_minimum(lock: &[Package]) -> Vec<String> {
    lock.iter()
        .filter_map(|package| {
            let (_, minimum) = MINIMUM.iter().find(|(name, _)| *name == package.name)?;
            is_below(&package.version, minimum).then(|| format!("{} {} < {minimum}", package.name, package.version))
        })
        .collect()
}

/// Semantic Versioning 2.0.0 §11 as far as minimums need it: the three numbers, then a pre-release before its release. What cannot
/// be read is below everything.
fn is_below(version: &str, minimum: &str) -> bool {
    match (parts(version), parts(minimum)) {
        (Some(version), Some(minimum)) => version < minimum,
        _ => true,
    }
}

fn parts(version: &str) -> Option<(u64, u64, u64, bool)> {
    let version = version.split('+').next()?;
    let (numbers, release) = version.split_once('-').map_or((version, true), |(numbers, _)| (numbers, false));
    let mut numbers = numbers.split('.').map(|n| n.parse().ok());
    let parts = (numbers.next()??, numbers.next()??, numbers.next()??, release);
    numbers.next().is_none().then_some(parts)
}

/// Names in a listing of `cargo tree --prefix none`.
fn built(listing: &str) -> BTreeSet<&str> {
    listing.lines().filter_map(|line| line.split(' ').next()).collect()
}

fn second_providers(listing: &str) -> Vec<String> {
    let built = built(listing);
    OTHER_PROVIDERS.iter().filter(|name| built.contains(**name)).map(|name| (*name).to_owned()).collect()
}

/// What each crate must not reach, by whatever way (docs/architecture.md, "The house"; invariant 12).
const EDGES: [(&str, &[&str]); 4] = [
    ("careweave-protocol", &["careweave-certs", "careweave-node", "careweave-cli", "libp2p", "tokio", "rocksdb"]),
    ("careweave-certs", &["careweave-node", "careweave-cli", "libp2p", "rocksdb"]),
    ("careweave-cli", &["careweave-node", "rocksdb"]),
    ("careweave-node", &["careweave-cli"]),
];
/// Sections of a manifest that name dependencies.
const SECTIONS: [&str; 3] = ["[dependencies]", "[dev-dependencies]", "[build-dependencies]"];
/// Versions that closed a fault which `cargo deny` does not know, or which must hold where it is not installed.
const MINIMUM: [(&str, &str); 10] = [
    ("libp2p-gossipsub", "0.49.4"),
    ("yamux", "0.13.10"),
    ("libp2p-rendezvous", "0.17.1"),
    ("libp2p-quic", "0.13.1"),
    ("quinn-proto", "0.11.15"),
    ("rustls-webpki", "0.103.13"),
    ("libp2p-core", "0.31.1"),
    ("snow", "0.9.5"),
    ("h2", "0.4.16"),
    ("tracing-subscriber", "0.3.20"),
];
/// TLS and crypto libraries beside ring.
const OTHER_PROVIDERS: [&str; 8] =
    ["aws-lc-rs", "aws-lc-sys", "boring", "boring-sys", "mbedtls", "native-tls", "openssl", "openssl-sys"];

mod rules_find {
    use super::*;

    const LOCK: &str = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\ndependencies = [\n \"b\",\n \"c 2.0.0\",\n]\n\n\
        [[package]]\nname = \"b\"\nversion = \"0.3.1\"\ndependencies = [\n \"tokio\",\n]\n\n[[package]]\nname = \"yamux\"\nversion = \"0.13.9\"\n";

    #[test]
    fn what_a_package_reaches_by_others() {
        let lock = packages(LOCK);
        assert_eq!(lock.len(), 3);
        assert_eq!(reached(&lock, "a").into_iter().collect::<Vec<_>>(), ["b", "c", "tokio"]);
        assert_eq!(forbidden_edges(&lock, &[("a", &["tokio", "libp2p"])]), ["a → tokio"]);
        assert_eq!(forbidden_edges(&lock, &[("gone", &[])]), ["gone is not in Cargo.lock"]);
    }

    #[test]
    fn an_edge_written_in_either_form() {
        let manifest = "[package]\nname = \"x\"\n\n[dependencies]\nb.workspace = true\n# c = \"1\"\nd = { version = \"1\" }\n\n[lints]\ne = 1\n";
        assert_eq!(dependency_names(manifest, "[dependencies]"), ["b", "d"]);
        assert!(dependency_names(manifest, "[dev-dependencies]").is_empty());
    }

    #[test]
    fn versions_below_the_minimum() {
        for (version, minimum) in
            [("0.13.9", "0.13.10"), ("0.9.5-rc.1", "0.9.5"), ("0.3", "0.3.0"), ("0.103.9", "0.103.13"), ("x", "0.0.0")]
        {
            assert!(is_below(version, minimum), "{version} < {minimum}");
        }
        for (version, minimum) in
            [("0.13.10", "0.13.10"), ("1.0.0", "0.13.10"), ("0.10.0", "0.9.5"), ("0.9.5+build.7", "0.9.5")]
        {
            assert!(!is_below(version, minimum), "{version} ≥ {minimum}");
        }
        assert_eq!(below_minimum(&packages(LOCK)), ["yamux 0.13.9 < 0.13.10"]);
    }

    #[test]
    fn a_planted_version_of_every_gated_crate() {
        for (name, minimum) in MINIMUM {
            let planted =
                |version: &str| Package { name: name.into(), version: version.into(), dependencies: Vec::new() };
            assert_eq!(below_minimum(&[planted("0.0.1")]).len(), 1, "{name}");
            assert_eq!(below_minimum(&[planted(&format!("{minimum}-alpha"))]).len(), 1, "{name}");
            assert!(below_minimum(&[planted(minimum)]).is_empty(), "{name}");
        }
    }

    #[test]
    fn a_second_provider() {
        assert_eq!(second_providers("ring v0.17.14\nopenssl-sys v0.9.1\nserde v1.0.0 (*)"), ["openssl-sys"]);
        assert!(second_providers("ring v0.17.14\nopenssl-probe v0.1.0").is_empty());
    }
}
