//! Keys of the office in PKCS#11 tokens (SoftHSM): whoever uses one types the PIN where others type a passphrase, and nothing else differs.

use std::fs;
use std::path::{Path, PathBuf};

use careweave_tests::network::Output;

use super::office::{OFFICE, PASSPHRASE};
use super::people::People;

/// Makes a token in somebody's directory whose PIN is their passphrase, and gives its configuration.
fn token(people: &People, who: &str, label: &str) -> PathBuf {
    let home = people.path(who, "");
    let config = format!("directories.tokendir = {}tokens\nobjectstore.backend = file\n", home.display());
    people.hand_over(config.as_bytes(), (who, "softhsm2.conf"));
    let config = people.path(who, "softhsm2.conf");
    let make = "mkdir -p tokens && softhsm2-util --init-token --free --label \"$0\" --so-pin 87654321 --pin \"$(cat passphrase)\"";
    let made = people.command(who, "sh").args(["-c", make, label]).env("SOFTHSM2_CONF", &config).output();
    let made = made.expect("sh starts");
    assert!(
        made.status.success(),
        "softhsm2-util (Debian package softhsm2): {}",
        String::from_utf8_lossy(&made.stderr)
    );
    config
}

fn address(label: &str, object: &str) -> String {
    let places = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"];
    let module = places.into_iter().find(|path| Path::new(path).exists()).expect("the Debian package softhsm2");
    format!("pkcs11:token={label};object={object}?module-path={module}")
}

#[test]
fn an_officer_and_an_office_keep_their_keys_in_tokens() {
    let people = People::new(&[OFFICE, "ada", "ben"]);
    let (adas, offices) = (token(&people, "ada", "ada"), token(&people, OFFICE, "office"));
    let as_ada = |arguments: &[&str]| -> Output {
        people.run_with("ada", &[arguments, &PASSPHRASE].concat(), &[("SOFTHSM2_CONF", &adas)])
    };
    let as_office = |arguments: &[&str]| -> Output {
        people.run_with(OFFICE, &[arguments, &PASSPHRASE].concat(), &[("SOFTHSM2_CONF", &offices)])
    };
    let officer = ["gov", "officer", "officer", "--network", "borough"];
    as_ada(&[&officer[..], &["--pkcs11", &address("ada", "officer")]].concat()).expect_status(0).unwrap();
    people.ok("ben", &[&officer[..], &PASSPHRASE].concat());
    let file = fs::read_to_string(people.path("ada", "officer/officer.key")).unwrap();
    assert!(file.contains("pkcs11:") && !file.contains("PRIVATE KEY"), "the file only refers to the key");
    for who in ["ada", "ben"] {
        people.carry((who, "officer/officer.pub"), (OFFICE, &format!("{who}.pub")));
    }
    let (root, intermediate, registrar) =
        (address("office", "root"), address("office", "intermediate"), address("office", "registrar"));
    let init =
        ["gov", "init", "governance", "--network", "borough", "--officer-key", "ada.pub", "--officer-key", "ben.pub"];
    let places = [
        "--threshold",
        "2",
        "--root-pkcs11",
        &root,
        "--intermediate-pkcs11",
        &intermediate,
        "--registrar-pkcs11",
        &registrar,
    ];
    as_office(&[&init[..], &places].concat()).expect_status(0).unwrap();
    let node = ["node", "init", "R9A", "--network", "borough", "--ods", "R9A", "--name", "Trust", "--kind", "acute"];
    people.ok(OFFICE, &[&node[..], &["--duty-contact", "020"]].concat());
    let office = |arguments: &[&str]| as_office(&[&["gov"], arguments, &["--dir", "governance"]].concat());
    office(&["admit", "--request", "R9A/enrolment-request.cbor"]).expect_status(0).unwrap();
    let shown = office(&["propose", "-o", "json"]).json().unwrap();
    let pin = shown["digest"].as_str().unwrap();

    let sign = ["gov", "sign", "--draft", "draft.cbor", "--out", "signed", "--yes", "--pin", pin, "--dir", "officer"];
    for who in ["ada", "ben"] {
        people.carry((OFFICE, "governance/draft.cbor"), (who, "draft.cbor"));
    }
    // Without the token, or with another PIN, nobody signs for ada.
    let absent = people.run("ada", &[&sign[..], &PASSPHRASE].concat());
    assert_eq!(absent.status, 1, "{}", absent.everything());
    people.hand_over(b"another PIN", ("ada", "wrong"));
    let wrong =
        people.run_with("ada", &[&sign[..], &["--passphrase-file", "wrong"]].concat(), &[("SOFTHSM2_CONF", &adas)]);
    assert_eq!(wrong.status, 1, "{}", wrong.everything());
    assert!(wrong.stderr.contains("PIN") && !wrong.everything().contains("another PIN"), "{}", wrong.everything());
    as_ada(&sign).expect_status(0).unwrap();
    people.ok("ben", &[&sign[..], &PASSPHRASE].concat());
    for who in ["ada", "ben"] {
        people.carry((who, "signed"), (OFFICE, &format!("{who}.signed")));
    }
    office(&["collect", "ada.signed", "ben.signed"]).expect_status(0).unwrap();
    office(&["publish", "--out", "manifest.cbor"]).expect_status(0).unwrap();
    let attest = ["attest", "--ods", "R9A", "--standard", "dspt", "--expires", "2099-06-30"];
    office(&attest).expect_status(0).unwrap();
    office(&["issue", "--request", "R9A/enrolment-request.cbor", "--out", "R9A.enrolment"]).expect_status(0).unwrap();
    people.ok(OFFICE, &["cert", "install", "--node", "R9A", "--enrolment", "R9A.enrolment", "--pin", pin]);

    // A successor in the token, under the root in the token; and lists by both.
    office(&["authority", "intermediate", "--pkcs11", &address("office", "intermediate-2")]).expect_status(0).unwrap();
    office(&["crl", "--out", "lists"]).expect_status(0).unwrap();
    let suspend = ["suspend", "--ods", "R9A", "--reason", "incident", "--dir", "officer"];
    people.carry((OFFICE, "manifest.cbor"), ("ada", "manifest.cbor"));
    as_ada(&[&["gov"], &suspend[..], &["--chain", "manifest.cbor", "--pin", pin]].concat()).expect_status(0).unwrap();
}
