//! Everything else that a draft changes: members, beacons, enrolment services, registrars, rules; and keys that an organisation endorses.

use std::fs;

use careweave_certs::authority::CertificateRequest;
use careweave_certs::enrolment::EnrolmentRequest;
use careweave_certs::keystore::{Algorithm, SoftwareKey};
use careweave_certs::trust::endorse;
use careweave_protocol::key::Signer;
use careweave_protocol::signed::Signed;
use ring::rand::SystemRandom;

use super::office::{Ceremony, MEMBERS, OFFICE, PASSPHRASE, now, text};
use super::prefix;

#[test]
fn rules_are_changed_in_a_draft_that_says_what_changes() {
    let ceremony = Ceremony::begun();
    let changes: [(&[&str], &str); 7] = [
        (&["--stage", "R9A=pilot"], "~ member R9A stage: live -> pilot"),
        (&["--beacon", "R9A=R9A.cbor"], "+ beacon R9A "),
        (&["--enrolment", "R9C"], "+ enrolment service R9C"),
        (&["--minimum-standard", "approaching"], "~ lowest DSPT status: met -> approaching"),
        (&["--staleness", "care=48,other=12"], "care 168, urgent 720, other 24 -> care 48, urgent 720, other 12"),
        (&["--valid-days", "30"], "~ valid until: "),
        (&["--threshold", "3"], "~ officers who must sign: 2 of 3 -> 3 of 3"),
    ];
    for (change, line) in changes {
        let proposed = ceremony.office(&[&["propose"], change].concat());
        assert!(proposed.stdout.contains(line), "{line}: {}", proposed.everything());
    }
    // A later change of the draft leaves its life as it was meant.
    ceremony.office(&["propose", "--stage", "R9C=planned"]);
    // The new threshold asks for three of the officers that come in, who are the same three.
    for officer in ["ada", "ben"] {
        ceremony.signs(officer, &[]).expect_status(0).unwrap();
    }
    ceremony.office(&["collect", "ada.signed", "ben.signed"]);
    let refused = ceremony.try_office(&["publish", "--out", "manifest.cbor"]);
    assert_eq!(refused.status, 4, "{}", refused.everything());
    ceremony.agreed(&["cy"]);
    let shown = ceremony.shown();
    assert_eq!(shown["enrolment"], serde_json::json!(["R9C"]));
    assert_eq!(shown["minimum_standard"], "approaching");
    assert_eq!(shown["staleness"], serde_json::json!({"care": 48, "urgent": 720, "other": 12}));
    assert_eq!(shown["beacons"][0]["ods"], "R9A");
    let (issued, until) = (text(&shown["issued"]), text(&shown["valid_until"]));
    let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
    assert_eq!((at(&until) - at(&issued)).total(jiff::Unit::Hour).unwrap(), 30.0 * 24.0);

    for (wrong, code) in [
        (&["--stage", "R9X=live"][..], 2),
        (&["--beacon", "R9C=R9A.cbor"], 4),
        (&["--beacon-out", "R9C"], 2),
        (&["--enrolment", "R9X"], 2),
        (&["--enrolment-out", "R9A"], 2),
        (&["--valid-days", "181"], 2),
        (&["--threshold", "4"], 4),
        (&["--officer-out", "4"], 2),
        (&["--officer-out", "1234567g"], 2),
        (&["--registrar-out", prefix(&text(&shown["registrars"][0]), 8)], 4),
        (&["--authority-in", "R9A.cbor", "--role", "root"], 1),
        (&["--authority-in", "governance/authority/root.pem", "--role", "root"], 4),
    ] {
        let refused = ceremony.try_office(&[&["propose"], wrong].concat());
        assert_eq!(refused.status, code, "{wrong:?}: {}", refused.everything());
    }
    assert!(!ceremony.people.path(OFFICE, "governance/draft.cbor").exists(), "what is refused makes no draft");
    ceremony.office(&["propose", "--beacon-out", "R9A", "--enrolment-out", "R9C"]);
}

#[test]
fn a_registrar_is_replaced_and_the_old_one_attests_nothing_any_more() {
    let ceremony = Ceremony::begun();
    let attest = |more: &[&str]| {
        let mut arguments = vec!["attest", "--ods", "R9A", "--standard", "dspt", "--expires", "2099-06-30"];
        arguments.extend(more);
        ceremony.try_office(&arguments)
    };
    attest(&["--status", "exceeded"]).expect_status(0).unwrap();
    let registrar = ["gov", "registrar", "registrar-2", "--network", "borough"];
    ceremony.people.ok(OFFICE, &[&registrar[..], &PASSPHRASE].concat());
    let refused = attest(&["--key", "registrar-2/registrar.key"]);
    assert_eq!(refused.status, 4, "{}", refused.everything());
    let old = text(&ceremony.shown()["registrars"][0]);
    let proposed = ceremony.office(&[
        "propose",
        "--registrar-in",
        "registrar-2/registrar.pub",
        "--registrar-out",
        prefix(&old, 8),
    ]);
    assert!(
        proposed.stderr.contains("attest and issue again") && proposed.stderr.contains("R9A"),
        "{}",
        proposed.everything()
    );
    ceremony.agreed(&["ada", "cy"]);
    let refused = attest(&[]);
    assert_eq!(refused.status, 4, "{}", refused.everything());
    let said = attest(&["--key", "registrar-2/registrar.key", "--status", "approaching"]).expect_status(0).unwrap();
    assert!(said.stderr.contains("met is asked for"), "{}", said.everything());
}

#[test]
fn a_key_that_the_pinned_one_endorses_gets_a_certificate_and_one_that_a_stranger_endorses_does_not() {
    let ceremony = Ceremony::begun();
    let trust = ceremony.trust();
    let pinned = SoftwareKey::read_plain(&ceremony.people.path(MEMBERS, "R9A/keys/organisation.key")).unwrap();
    let fresh = || SoftwareKey::generate(Algorithm::P256, &SystemRandom::new()).unwrap();
    let (successor, stranger) = (fresh(), fresh());
    let bytes = fs::read(ceremony.people.path(OFFICE, "R9A.cbor")).unwrap();
    let first = Signed::<EnrolmentRequest>::from_bytes(bytes).unwrap().unverified().unwrap();
    let request = |endorser: Option<&SoftwareKey>, endorsed: &SoftwareKey| {
        let endorsement = endorser
            .map(|key| endorse(trust.network(), &first.ods, &endorsed.public_key(), key, now()).unwrap().into_signed());
        let pem = CertificateRequest::create(trust.network(), &first.ods, &first.name, &successor).unwrap();
        let request = EnrolmentRequest { certificate_request: pem, endorsement, ..first.clone() };
        request.sign(&successor).unwrap().as_bytes().to_vec()
    };
    for (what, bytes) in [
        ("no pinned key endorses it", request(None, &successor)),
        ("that endorses it is not pinned", request(Some(&stranger), &successor)),
        ("of another key", request(Some(&pinned), &stranger)),
    ] {
        ceremony.people.hand_over(&bytes, (OFFICE, "next.cbor"));
        let refused = ceremony.try_office(&["issue", "--request", "next.cbor", "--out", "next.enrolment"]);
        assert_eq!(refused.status, 4, "{what}: {}", refused.everything());
        assert!(refused.stderr.contains("KEY_NOT_PINNED") && refused.stderr.contains(what), "{}", refused.everything());
    }
    ceremony.people.hand_over(&request(Some(&pinned), &successor), (OFFICE, "next.cbor"));
    ceremony.office(&["issue", "--request", "next.cbor", "--out", "next.enrolment"]);
    // It runs, so no list has it.
    let listed = ceremony.office(&["crl", "--out", "lists", "-o", "json"]).json().unwrap();
    assert!(listed.as_array().unwrap().iter().all(|list| list["revoked"] == 0), "{listed}");
}
