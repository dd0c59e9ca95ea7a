//! Information governance reads clinical content for a case that has a number, and not otherwise.

use careweave_node::clock::Clock;
use careweave_protocol::desk::{DeskReply, DeskRequest, ViewRequest};
use careweave_protocol::id::QueryId;
use careweave_protocol::limits::QUERY_LIFE;
use careweave_protocol::query::{Patient, Period, Purpose, Query};
use careweave_protocol::signed::{Scope, Signed};
use careweave_protocol::time::Date;
use careweave_tests::network::Network;
use careweave_tests::peer::{Peer, Person};
use libp2p::Multiaddr;
use serde_json::json;

use crate::scene::{ada, assert_clean, decision, entries, list, query_id, rows, small, source, view};

#[test]
fn governance_reads_the_whole_own_record_for_a_case_with_a_number_and_the_log_names_it() {
    let network = small(&[OWN, HOSPITAL, MENTAL_HEALTH]);
    let officer = format!("{OWN}-ig");
    for (aim, purpose, case) in [("subject-access", "PATRQT", "SAR-2026-17"), ("audit", "HCOMPL", "AUD-3")] {
        let seen = view(&network, &officer, &ada(), &["--for", aim, "--case", case]).expect_status(0).unwrap();
        let seen = seen.json().unwrap();
        assert_eq!(seen["purpose"], purpose);
        let own: Vec<_> = rows(&seen).into_iter().filter(|(_, row)| row["source"]["ods"] == OWN).collect();
        assert!(own.iter().any(|(category, _)| *category == "problems"), "{seen:#}");
        assert!(own.iter().all(|(_, row)| row["form"] == "full"), "the own record is read in full, labels or not");

        // Other organisations answer by the same policy: what has no label. Nothing of mental-health detail leaves.
        assert_eq!(source(&seen, HOSPITAL)["outcome"], "answered");
        let query = query_id(&seen);
        for ods in [HOSPITAL, MENTAL_HEALTH] {
            let decided = decision(&network, ods, &query);
            assert_eq!((&decided["purpose"], &decided["case_number"]), (&purpose.into(), &case.into()));
            assert_eq!(decided["actor"]["group"], "IG");
            for cell in decided["cells"].as_array().unwrap() {
                let labelled = cell["labels"].as_array().is_some_and(|labels| !labels.is_empty());
                assert!(!labelled || cell["access"] != "full", "{cell}");
            }
        }
        for kind in ["INTENT", "DECISION"] {
            let logged = entries(&network, OWN, &query);
            let entry = logged.iter().find(|entry| entry["kind"] == kind).unwrap();
            assert_eq!(entry["case_number"], case, "{entry:#}");
        }
    }
    for ods in [OWN, HOSPITAL] {
        assert_clean(&network, ods);
    }
}

#[test]
fn without_a_case_number_nothing_clinical_is_read_and_a_number_opens_nothing_to_others() {
    let network = small(&[OWN, HOSPITAL]);
    let officer = format!("{OWN}-ig");
    // The command line asks for the number; a question without one, sent all the same, opens nothing anywhere.
    let typed = view(&network, &officer, &ada(), &["--for", "subject-access"]);
    assert_eq!(typed.status, 2, "{}", typed.everything());
    let query = ask_without_number(&network, &officer);
    for ods in [OWN, HOSPITAL] {
        let decided = decision(&network, ods, &query);
        assert_eq!(decided["outcome"], "nothing-shareable", "{ods}");
        assert_eq!(
            (&decided["cause"], &decided["case_number"]),
            (&"case-number-missing".into(), &json!(null)),
            "{ods}"
        );
    }
    // A case is not for clinicians, and care is not for privacy officers.
    for (profile, more) in
        [(format!("{OWN}-gp"), &["--for", "subject-access", "--case", "SAR-2026-17"][..]), (officer.clone(), &[])]
    {
        let refused = view(&network, &profile, &ada(), more);
        assert_eq!(refused.status, 4, "{}", refused.everything());
        assert!(refused.field("/error/cause").unwrap().as_str().unwrap().starts_with("PURPOSE_NOT_GRANTED"));
    }
    let refused = list(&network, OWN, &["--kind", "decision"]);
    let refused: Vec<_> = refused.iter().filter(|entry| entry["outcome"] == "refused").collect();
    assert_eq!(refused.len(), 2, "{refused:#?}");
    // The twin: with the number it is answered.
    view(&network, &officer, &ada(), &["--for", "subject-access", "--case", "SAR-2026-17"]).expect_status(0).unwrap();
}

/// A subject access without its number, signed as the command line never signs one; gives the query's id.
fn ask_without_number(network: &Network, profile: &str) -> String {
    let person = Person::load(&network.layout().profile(profile), &network.layout().passphrase()).unwrap();
    let (desk, id): (Multiaddr, _) = (network.addresses(OWN).unwrap().desk.parse().unwrap(), "demo".parse().unwrap());
    let (patient, now) = (ada(), Clock.now());
    let query = Query {
        network: id,
        query_id: QueryId([7; 16]),
        asker: OWN.parse().unwrap(),
        credential: person.credential.digest(),
        patient: Patient {
            nhs_number: patient.nhs_number.parse().unwrap(),
            birth_date: Date::from_iso(&patient.birth_date).unwrap(),
            family: patient.family,
            postcode: None,
            other_numbers: Vec::new(),
        },
        categories: Vec::new(),
        period: Period::default(),
        purpose: Purpose::Patrqt,
        reason: None,
        reason_text: None,
        case_number: None,
        grant: None,
        asked_at: now,
        expires_at: now.after(QUERY_LIFE),
    };
    let signed = Signed::sign(&query, Scope::network(&query.network), person.key.as_ref()).unwrap().into_signed();
    let request =
        ViewRequest { query: signed, reason_text: None, deadline_ms: 8_000, resources: false, mark_new: false };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let replies = runtime.block_on(async {
        let peer = Peer::connect(person.credentials(&query.network).unwrap(), &desk).await.unwrap();
        peer.desk(&DeskRequest::View(Box::new(request))).await.unwrap()
    });
    let Some((_, DeskReply::View(reply))) = replies.last() else { panic!("{replies:?}") };
    assert!(reply.view.categories.is_empty());
    query.query_id.to_string()
}

const OWN: &str = "Y91001";
const HOSPITAL: &str = "R9A";
const MENTAL_HEALTH: &str = "R9M";
