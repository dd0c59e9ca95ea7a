//! The governance office, two of its officers and a member, each with a token of their own; and one officer with a key in a file.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use careweave_certs::keystore::{KeyForm, form_of};
use careweave_tests::network::{Output, Programs};

use super::softhsm::{CONFIGURATION, SoftHsm};

/// Somebody with a token, and a directory beside it.
struct Holder {
    token: SoftHsm,
    programs: Programs,
}

impl Holder {
    fn new(label: &str) -> Self {
        let token = SoftHsm::new(label);
        let environment = [(CONFIGURATION.into(), token.configuration().into_os_string())];
        let programs = Programs::find(&token.path("")).unwrap().with_environment(environment);
        fs::write(token.path("passphrase"), "a passphrase of some length\n").unwrap();
        fs::set_permissions(token.path("passphrase"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        Self { token, programs }
    }

    fn path(&self, name: &str) -> String {
        self.token.path(name).to_string_lossy().into_owned()
    }

    /// `careweave`; what begins with `./` is in the holder's directory.
    fn run(&self, arguments: &[&str]) -> Output {
        let full = |argument: &&str| {
            argument.strip_prefix("./").map_or_else(|| (*argument).to_owned(), |name| self.path(name))
        };
        let arguments: Vec<String> = arguments.iter().map(full).collect();
        self.programs.run(None, &arguments.iter().map(String::as_str).collect::<Vec<_>>()).unwrap()
    }

    fn ok(&self, arguments: &[&str]) -> Output {
        self.run(arguments).expect_status(0).unwrap()
    }

    /// With a wrong PIN in the file: refused with a hint, and sent to the token once.
    fn refused_for_its_pin(&self, arguments: &[&str]) {
        self.token.write_pin("999999");
        let before = self.token.logins();
        let refused = self.run(&[arguments, &["-o", "json"]].concat()).expect_status(1).unwrap();
        assert_eq!(refused.field("/error/code").unwrap(), "wrong-pin", "{}", refused.everything());
        let hint = refused.field("/error/hint").unwrap();
        assert!(hint.as_str().unwrap().contains("a token locks itself"), "{hint}");
        assert!(!refused.everything().contains("999999"), "{}", refused.everything());
        assert_eq!(self.token.logins(), before + 1, "a wrong PIN is sent once: {}", refused.command);
        self.token.right_pin();
    }

    fn gets(&self, file: PathBuf, name: &str) {
        fs::copy(&file, self.token.path(name)).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}

#[test]
fn root_intermediate_registrar_officers_and_a_member_keep_their_keys_in_tokens_of_their_own() {
    let [office, first, second, third, member] = ["office", "first", "second", "third", "member"].map(Holder::new);
    let officers = [&first, &second, &third];

    // Two officers' keys in tokens, the third's in a file.
    for (holder, key) in [(&first, true), (&second, true), (&third, false)] {
        let address = holder.token.address("officer");
        let place = if key { ["--pkcs11", &address] } else { ["--passphrase-file", "./passphrase"] };
        let make = [&["gov", "officer", "./officer", "--network", "borough"], &place[..]].concat();
        if key {
            holder.refused_for_its_pin(&make);
            assert!(!holder.token.path("officer").exists() && holder.token.objects() == 0);
        }
        holder.ok(&make);
        let form = form_of(&holder.token.path("officer/officer.key")).unwrap();
        assert_eq!(form, if key { KeyForm::Token { pin_needed: false } } else { KeyForm::Protected });
        assert_eq!(holder.token.objects(), if key { 2 } else { 0 });
    }
    for (holder, name) in officers.iter().zip(["first.pub", "second.pub", "third.pub"]) {
        office.gets(holder.token.path("officer/officer.pub"), name);
    }

    // The office's three keys in one token: with a wrong PIN, one attempt and nothing left.
    let [root, intermediate, registrar] =
        ["root", "intermediate", "registrar"].map(|object| office.token.address(object));
    let mut init = vec!["gov", "init", "./governance", "--network", "borough", "--threshold", "2"];
    init.extend(["--officer-key", "./first.pub", "--officer-key", "./second.pub", "--officer-key", "./third.pub"]);
    init.extend(["--root-pkcs11", &root, "--intermediate-pkcs11", &intermediate, "--registrar-pkcs11", &registrar]);
    office.refused_for_its_pin(&init);
    assert!(!office.token.path("governance").exists() && office.token.objects() == 0);
    office.ok(&init);
    assert_eq!(office.token.objects(), 6);

    let address = member.token.address("organisation");
    let mut node =
        vec!["node", "init", "./R9A", "--network", "borough", "--ods", "R9A", "--name", "Acute hospital trust"];
    node.extend(["--kind", "acute", "--duty-contact", "020 7946 0102", "--organisation-pkcs11", &address]);
    member.refused_for_its_pin(&node);
    assert!(!member.token.path("R9A").exists() && member.token.objects() == 0);
    member.ok(&node);
    office.gets(member.token.path("R9A/enrolment-request.cbor"), "R9A.cbor");
    office.ok(&["gov", "admit", "--request", "./R9A.cbor", "--dir", "./governance"]);
    let pin = office.ok(&["gov", "propose", "-o", "json", "--dir", "./governance"]).field("/digest").unwrap();
    let pin = pin.as_str().unwrap();

    // Two tokens make the first manifest.
    let draft = |holder: &Holder| holder.gets(office.token.path("governance/draft.cbor"), "draft.cbor");
    let sign = [
        "gov",
        "sign",
        "--draft",
        "./draft.cbor",
        "--out",
        "./signed.cbor",
        "--yes",
        "--pin",
        pin,
        "--dir",
        "./officer",
    ];
    for (holder, name) in [(&first, "first.signed"), (&second, "second.signed")] {
        draft(holder);
        holder.refused_for_its_pin(&sign);
        assert!(!holder.token.path("signed.cbor").exists());
        holder.ok(&sign);
        office.gets(holder.token.path("signed.cbor"), name);
    }
    office.ok(&["gov", "collect", "./first.signed", "./second.signed", "--dir", "./governance"]);
    office.ok(&["gov", "publish", "--out", "./manifest.cbor", "--dir", "./governance"]);

    // A token and a file make the second; the token alone does not.
    office.ok(&["gov", "propose", "--staleness", "care=48", "--dir", "./governance"]);
    let chain = ["--chain", "./manifest.cbor"];
    for (holder, name, secret) in
        [(&first, "first.signed", &[][..]), (&third, "third.signed", &["--passphrase-file", "./passphrase"])]
    {
        draft(holder);
        holder.gets(office.token.path("manifest.cbor"), "manifest.cbor");
        holder.ok(&[&sign[..], &chain, secret].concat());
        office.gets(holder.token.path("signed.cbor"), name);
        office.ok(&["gov", "collect", &format!("./{name}"), "--dir", "./governance"]);
        let published = office.run(&["gov", "publish", "--out", "./manifest.cbor", "--dir", "./governance"]);
        assert_eq!(published.status, if name == "first.signed" { 4 } else { 0 }, "{}", published.everything());
    }

    // What the office signs day by day.
    let attest =
        ["gov", "attest", "--ods", "R9A", "--standard", "dspt", "--expires", "2099-06-30", "--dir", "./governance"];
    office.refused_for_its_pin(&attest);
    office.ok(&attest);
    let issue = ["gov", "issue", "--request", "./R9A.cbor", "--out", "./R9A.enrolment", "--dir", "./governance"];
    office.refused_for_its_pin(&issue);
    assert!(!office.token.path("R9A.enrolment").exists());
    office.ok(&issue);
    assert_openssl_accepts(&office);
    member.gets(office.token.path("R9A.enrolment"), "R9A.enrolment");
    member.ok(&["cert", "install", "--node", "./R9A", "--enrolment", "./R9A.enrolment", "--pin", pin]);

    // Whoever watches over the daemon is told not to start it again and again with a wrong PIN.
    member.token.write_pin("999999");
    let before = member.token.logins();
    let started = member.programs.daemon().args(["run", "-c", &member.path("R9A/node.toml")]).output().unwrap();
    let said = String::from_utf8_lossy(&started.stderr);
    assert_eq!(started.status.code(), Some(78), "{said}");
    assert!(said.contains("error: wrong PIN for the token member") && said.contains("hint: "), "{said}");
    assert_eq!(member.token.logins(), before + 1, "{said}");
}

/// Strictly, another tool's opinion of the chain.
fn assert_openssl_accepts(office: &Holder) {
    let issued = fs::read_dir(office.token.path("governance/certificates")).unwrap();
    let leaf = issued.map(|entry| entry.unwrap().path()).next().expect("a certificate was issued");
    let authority = |name: &str| office.token.path("governance/authority").join(name);
    let output = Command::new("openssl")
        .args(["verify", "-x509_strict", "-CAfile"])
        .arg(authority("root.pem"))
        .arg("-untrusted")
        .arg(authority("intermediate.pem"))
        .arg(leaf)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && said.ends_with(": OK\n"), "{said}");
}
