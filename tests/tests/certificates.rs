//! docs/certificates.md, typed line by line on a real network; and what its commands refuse.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use careweave_tests::network::{Network, until};
use serde_json::Value;

use crate::scene;

/// One command of the page, and the exit codes the page says it may have.
#[derive(Debug, PartialEq, Eq)]
struct Typed {
    command: String,
    codes: Vec<i32>,
}

#[test]
fn every_command_of_the_page_about_certificates_does_what_the_page_says() {
    let network = scene::small(&["Y91001", "R9A", "G9V"]);
    for profile in ["R9A-it", "R9A-ig", "Y91001-ig", "G9V-ra"] {
        network.profile(profile).unwrap();
    }
    // The practice has a receipt from before the hospital's keys are changed.
    let query = answered(&network);
    scene::entry(&network, "Y91001", &query, |entry| entry["kind"] == "RECEIPT");
    let before = keys(&network, "R9A");

    let commands = commands(&page());
    assert!(commands.len() > 30, "the page is not read as it is written: {commands:#?}");
    for typed in &commands {
        type_in(&network, typed);
    }

    let after = keys(&network, "R9A");
    assert_ne!(before.0, after.0, "the organisation key was changed");
    assert_ne!(before.1, after.1, "the node key was changed");
    let events = scene::list(&network, "R9A", &["--kind", "admin"]);
    let count = |event: &str| events.iter().filter(|entry| entry["outcome"] == event).count();
    assert_eq!(count("rotation-activated"), 3, "{events:#?}");
    assert_eq!(count("rotation-retired"), 3, "{events:#?}");
    // Under the keys of today it is answered as before, and both receipts verify.
    answered(&network);
    until("both receipts verified", COMING_ROUND, || {
        let receipts = network.cli("Y91001-ig", &["audit", "receipts", "-o", "json"]).map_err(|e| e.to_string())?;
        let field = |name: &str| receipts.field(name).ok().and_then(|value| value.as_u64());
        let all = (receipts.status, field("/verified"), field("/without_evidence"), field("/failed"));
        if matches!(all, (0, Some(2..), Some(0), Some(0))) { Ok(()) } else { Err(receipts.everything()) }
    })
    .unwrap();
    scene::assert_clean(&network, "R9A");
}

#[test]
fn a_rotation_that_would_leave_a_member_behind_is_refused_until_it_is_forced_and_the_log_says_so() {
    let network = Network::builder().organisations(&["Y91001", "R9A"]).start().unwrap();
    network.stop("Y91001").unwrap();
    let it = |arguments: &[&str]| network.cli("R9A-it", arguments).unwrap();
    let before = keys(&network, "R9A");

    let rehearsed = it(&["cert", "rotate", "--key", "node", "--rehearse", "-o", "json"]).expect_status(3).unwrap();
    assert_eq!(rehearsed.field("/members/0/reached").unwrap(), false);
    let refused = it(&["cert", "rotate", "--key", "node"]).expect_status(4).unwrap();
    assert!(refused.stderr.contains("--force") && refused.stdout.contains("not reached"), "{}", refused.everything());
    assert_eq!(keys(&network, "R9A"), before);
    assert!(activated(&network).is_empty());

    it(&["cert", "rotate", "--key", "node", "--force"]).expect_status(3).unwrap();
    assert_ne!(keys(&network, "R9A").1, before.1);
    let events = activated(&network);
    assert_eq!(events.len(), 1);
    assert!(events[0]["detail"].as_str().unwrap().contains("without Y91001"), "{events:#?}");

    // Whoever comes back finds the node under its new key.
    network.start("Y91001").unwrap();
    network.wait_connected("R9A").unwrap();
}

#[test]
fn only_whoever_operates_the_node_rotates_or_examines_it() {
    let network = Network::builder().organisations(&["Y91001", "R9A"]).start().unwrap();
    for arguments in [&["cert", "rotate", "--force"][..], &["node", "doctor"]] {
        let refused = network.cli("R9A-hos", arguments).unwrap().expect_status(4).unwrap();
        assert!(refused.stderr.contains("operate"), "{}", refused.everything());
    }
    let refused = network.cli("R9A-it", &["audit", "receipts"]).unwrap().expect_status(4).unwrap();
    assert!(refused.stderr.contains("audit"), "{}", refused.everything());
}

#[test]
fn an_enrolment_for_another_key_is_refused_and_changes_nothing() {
    let network = Network::builder().organisations(&["Y91001", "R9A"]).establish().unwrap();
    let (root, node) = (network.layout().root().to_owned(), network.layout().node("R9A"));
    let enrolment = |ods: &str| network.layout().post().join(format!("{ods}.enrolment"));
    let before = trust_files(&node);

    let other = network.commands().cert_install(&node, &enrolment("Y91001")).unwrap().expect_status(4).unwrap();
    assert!(other.stderr.contains("nothing was changed"), "{}", other.everything());
    assert_eq!(trust_files(&node), before);

    // The same organisation on a machine that does not have its key.
    let elsewhere = root.join("elsewhere");
    let path = elsewhere.to_string_lossy().into_owned();
    let init = ["node", "init", &path, "--network", "demo", "--ods", "R9A", "--name", "Acute hospital trust"];
    let more = ["--kind", "acute", "--duty-contact", "020 7946 0102"];
    let arguments: Vec<&str> = init.into_iter().chain(more).collect();
    network.programs().run(None, &arguments).unwrap().expect_status(0).unwrap();
    let refused = network.commands().cert_install(&elsewhere, &enrolment("R9A")).unwrap().expect_status(4).unwrap();
    assert!(refused.stderr.contains("KEY_NOT_PINNED") && refused.stderr.contains("hint:"), "{}", refused.everything());
    assert!(trust_files(&elsewhere).is_empty());
}

#[test]
fn the_doctor_names_what_fails_and_without_the_node_says_what_the_profile_shows() {
    let network = Network::builder().organisations(&["Y91001", "R9A"]).start().unwrap();
    let doctor = || network.cli("R9A-it", &["node", "doctor", "-o", "json"]).unwrap();
    let well = doctor();
    assert!(matches!(well.status, 0 | 3), "{}", well.everything());
    let health = |json: &Value, what: &str| {
        let lines = json["lines"].as_array().unwrap();
        let line = lines.iter().find(|line| line["what"] == what).unwrap_or_else(|| panic!("no {what}: {json:#}"));
        line["health"].as_str().unwrap().to_owned()
    };
    let json = well.json().unwrap();
    for what in ["clock", "certificate", "organisation key", "binding", "manifest", "beacon", "audit log", "key files"]
    {
        assert_eq!(health(&json, what), "good", "{json:#}");
    }
    assert_eq!(health(&json, "member Y91001"), "good", "{json:#}");

    let key = network.layout().node("R9A").join("keys/desk.key");
    let open = |mode| fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    open(0o644);
    network.stop("Y91001").unwrap();
    let ill = doctor().expect_status(1).unwrap().json().unwrap();
    assert_eq!(health(&ill, "key files"), "failing", "{ill:#}");
    assert_eq!(health(&ill, "member Y91001"), "warning", "{ill:#}");
    open(0o600);

    network.stop("R9A").unwrap();
    let alone = doctor().expect_status(1).unwrap().json().unwrap();
    assert_eq!((&alone["reached"], health(&alone, "node").as_str()), (&Value::Bool(false), "failing"), "{alone:#}");
    assert_eq!(health(&alone, "manifest"), "good", "{alone:#}");
}

#[test]
fn the_page_explains_every_cause_there_is() {
    let source = fs::read_to_string(repository().join("protocol/src/query/cause.rs")).unwrap();
    let page = page();
    let causes: Vec<&str> = source
        .split('"')
        .filter_map(|text| text.split(' ').next())
        .filter(|word| word.len() > 6 && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
        .collect();
    assert!(causes.contains(&"KEY_NOT_PINNED") && causes.len() > 30, "{causes:?}");
    let missing: Vec<&&str> = causes.iter().filter(|cause| !page.contains(&format!("| `{cause}"))).collect();
    assert!(missing.is_empty(), "docs/certificates.md does not explain {missing:?}");
}

#[test]
fn commands_are_read_off_a_page() {
    let text = "```console\n$ one --two \\\n    three\nsaid\n$ four   # exit 1 or 3\n```\n```sh\n$ no\n```\n";
    let typed = |command: &str, codes: &[i32]| Typed { command: command.to_owned(), codes: codes.to_vec() };
    assert_eq!(commands(text), [typed("one --two \\\n    three", &[0]), typed("four", &[1, 3])]);
}

/// Types a command as the page has it. One that only looks is typed again until the network has come round, as a person would.
fn type_in(network: &Network, typed: &Typed) {
    let root = network.layout().root();
    let programs = network.programs().careweave().parent().unwrap();
    let path =
        env::join_paths([programs.to_owned()].into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap())));
    let path = path.unwrap();
    let run = || {
        let output = Command::new("sh")
            .args(["-c", &typed.command])
            .current_dir(root)
            .env("PATH", &path)
            .env("HOME", root)
            .env("NO_COLOR", "1")
            .env_remove("CAREWEAVE_PROFILE")
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        let code = output.status.code().unwrap_or(-1);
        if typed.codes.contains(&code) { Ok(()) } else { Err(format!("exit {code}\n{said}")) }
    };
    let looks = ["status", "doctor", "peers", "--rehearse", "cat "].iter().any(|word| typed.command.contains(word));
    let patience = if looks { COMING_ROUND } else { Duration::ZERO };
    until(&format!("`{}` ending with {:?}", typed.command, typed.codes), patience, run)
        .unwrap_or_else(|error| panic!("{error}\n--- log of R9A\n{}", network.log("R9A")));
}

/// The lines that begin with `$ ` in blocks marked `console`; a line that ends with a backslash goes on.
fn commands(page: &str) -> Vec<Typed> {
    let mut found: Vec<Typed> = Vec::new();
    let (mut console, mut goes_on) = (false, false);
    for line in page.lines() {
        if line.starts_with("```") {
            console = line == "```console";
        } else if console && goes_on {
            let command = &mut found.last_mut().unwrap().command;
            command.push('\n');
            command.push_str(line);
            goes_on = line.ends_with('\\');
        } else if console && let Some(command) = line.strip_prefix("$ ") {
            let (command, codes) = command.split_once("# exit ").unwrap_or((command, "0"));
            let codes = codes.split(" or ").map(|code| code.trim().parse().unwrap()).collect();
            found.push(Typed { command: command.trim_end().to_owned(), codes });
            goes_on = line.ends_with('\\');
        }
    }
    found
}

fn page() -> String {
    fs::read_to_string(repository().join("docs/certificates.md")).unwrap()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Organisation key and node key of a node, as they lie in its directory.
fn keys(network: &Network, ods: &str) -> (Vec<u8>, Vec<u8>) {
    let read = |name: &str| fs::read(network.layout().node(ods).join("keys").join(name)).unwrap();
    (read("organisation.key"), read("peer.key"))
}

/// Every file of `trust/`, by name.
fn trust_files(node: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<(PathBuf, Vec<u8>)> = fs::read_dir(node.join("trust"))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.clone(), fs::read(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// The practice asks, and the hospital answers.
fn answered(network: &Network) -> String {
    let view = scene::view(network, "Y91001-gp", &scene::ada(), &[]).json().unwrap();
    assert_eq!(scene::source(&view, "R9A")["outcome"], "answered", "{view:#}");
    scene::query_id(&view)
}

fn activated(network: &Network) -> Vec<Value> {
    let events = scene::list(network, "R9A", &["--kind", "admin"]);
    events.into_iter().filter(|entry| entry["outcome"] == "rotation-activated").collect()
}

/// A manifest reaches every connected node within a minute, and a stopped one is noticed within its rounds.
const COMING_ROUND: Duration = Duration::from_secs(90);
