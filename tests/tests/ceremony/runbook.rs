//! The document's commands are run as they stand there: each line that begins with `$ ` in a `console` block of `docs/governance.md`, in
//! order, in one empty directory.

use std::fs;
use std::path::Path;
use std::process::Command;

use careweave_tests::network::Programs;

/// One command of the document.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    line: usize,
    command: String,
    /// The exit code it ends with: 0, or what the comment before it says.
    exit: i32,
}

/// Reads the commands: `$ ` begins one, a backslash at the end of a line continues it, and a comment such as `# exit 4` says how the next one
/// ends. Everything else in a block is what a program prints.
fn steps(document: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut inside, mut exit, mut continued) = (false, 0, false);
    for (line, text) in (1..).zip(document.lines()) {
        if text.starts_with("```") {
            inside = text == "```console";
            continue;
        }
        if !inside {
            continue;
        }
        if continued {
            let step = steps.last_mut().unwrap();
            step.command.push('\n');
            step.command.push_str(text);
        } else if let Some(command) = text.strip_prefix("$ ") {
            steps.push(Step { line, command: command.to_owned(), exit: std::mem::take(&mut exit) });
        } else if let Some(code) = text.strip_prefix("# exit ") {
            let digits = code.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
            exit = digits.parse().unwrap_or_else(|_| panic!("{line}: {text}"));
            continue;
        } else {
            continue;
        }
        continued = text.ends_with('\\');
    }
    steps
}

/// One shell for all of them, since later commands use what earlier ones set.
fn script(steps: &[Step]) -> String {
    let mut script = String::from("set -u\n");
    for Step { line, command, exit } in steps {
        script.push_str(&format!(
            "{command}\ncode=$?\nif [ $code -ne {exit} ]; then echo \"line {line} ended with $code and not with {exit}\" >&2; exit 99; fi\n"
        ));
    }
    script
}

#[test]
fn every_command_of_the_governance_document_runs_as_it_says() {
    let root = std::env::temp_dir().join(format!("careweave-runbook-{}", std::process::id()));
    fs::create_dir_all(&root).unwrap();
    let programs = Programs::find(&root).unwrap();
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/governance.md");
    let steps = steps(&fs::read_to_string(&document).unwrap());
    assert!(steps.len() >= 40, "the commands are not read as they are written: {}", steps.len());
    let file = root.join("runbook.sh");
    fs::write(&file, script(&steps)).unwrap();
    let own = programs.careweave().parent().unwrap().to_str().unwrap().to_owned();
    let path = format!("{own}:{}", std::env::var("PATH").unwrap());
    let world = root.join("world");
    fs::create_dir(&world).unwrap();
    let mut shell = Command::new("bash");
    shell.arg(&file).current_dir(&world).env("PATH", path).env("HOME", &root).env_remove("CAREWEAVE_PROFILE");
    let output = shell.stdin(std::process::Stdio::null()).output().unwrap();
    let everything =
        format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{everything}");
    if std::env::var_os("CAREWEAVE_KEEP").is_none() {
        fs::remove_dir_all(&root).unwrap();
    }
}

#[test]
fn commands_are_read_with_their_ends_and_what_is_printed_is_not() {
    let document = "```console\n$ one \\\n    two\nprinted\n# exit 6: for a reason\n$ three\n```\n```sh\n$ other\n```\n$ outside\n";
    let wanted = [("one \\\n    two", 0, 2), ("three", 6, 6)];
    let wanted: Vec<Step> =
        wanted.map(|(command, exit, line)| Step { line, command: command.to_owned(), exit }).into_iter().collect();
    assert_eq!(steps(document), wanted);
}
